//! Databases on a server: made, reached, removed.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection, Executor};
use url::Url;

use crate::secrets;

const CONNECT_TIME: Duration = Duration::from_secs(5);

/// Whether the server answers.
///
/// # Errors
/// Why it does not.
pub async fn reachable(url: &str) -> Result<()> {
    connect(url)
        .await?
        .close()
        .await
        .context("the connection did not close")
}

/// Makes a database, unless it is there.
///
/// # Errors
/// The server refuses.
pub async fn make(url: &str, name: &str) -> Result<()> {
    let mut connection = connect(url).await?;
    let known: Option<i32> = sqlx::query_scalar("SELECT 1 FROM pg_database WHERE datname = $1")
        .bind(name)
        .fetch_optional(&mut connection)
        .await?;
    if known.is_none() {
        let statement = AssertSqlSafe(format!("CREATE DATABASE \"{name}\""));
        connection
            .execute(statement)
            .await
            .with_context(|| format!("cannot make the database {name}"))?;
    }
    connection.close().await.context("the connection did not close")
}

/// A fresh database beside the one that the URL names; gives its URL.
///
/// # Errors
/// The server refuses.
pub async fn make_fresh(url: &str) -> Result<String> {
    let name = format!("switchhook_{}", secrets::word());
    make(url, &name).await?;
    named(url, &name)
}

/// Removes a database made by [`make_fresh`], whoever is still connected to it.
///
/// # Errors
/// The server refuses.
pub async fn remove_fresh(server: &str, fresh: &str) -> Result<()> {
    let fresh = Url::parse(fresh).context("the database's URL cannot be read")?;
    let name = fresh.path().trim_start_matches('/').to_owned();
    let mut connection = connect(server).await?;
    let statement = AssertSqlSafe(format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)"));
    connection
        .execute(statement)
        .await
        .with_context(|| format!("cannot remove the database {name}"))?;
    connection.close().await.context("the connection did not close")
}

/// The same server, another database.
fn named(url: &str, name: &str) -> Result<String> {
    let mut url = Url::parse(url).context("DATABASE_URL cannot be read as a URL")?;
    url.set_path(&format!("/{name}"));
    Ok(url.into())
}

async fn connect(url: &str) -> Result<PgConnection> {
    let options = PgConnectOptions::from_str(url).context("DATABASE_URL cannot be read")?;
    let connecting = PgConnection::connect_with(&options);
    Ok(tokio::time::timeout(CONNECT_TIME, connecting)
        .await
        .context("the database does not answer")??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database_keeps_the_rest_of_the_url() {
        let url = named("postgres://u:p%40@h:5/one?sslmode=disable", "two").unwrap();
        assert_eq!(url, "postgres://u:p%40@h:5/two?sslmode=disable");
    }
}
