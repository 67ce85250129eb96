//! What the commands do.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use sqlx::{Connection, PgConnection};
use switchhook_core::ids::UserId;

use super::{CommandError, OutboxAction};
use crate::app::{self, Program, RunError, ServiceSettings, service};
use crate::clock::SystemClock;
use crate::config::CommonSettings;
use crate::db;
use crate::outbound::Outbound;
use crate::outbox::admin;
use crate::telemetry;

const PROBE_LIMIT: Duration = Duration::from_secs(3);

/// Applies the migrations.
pub(super) async fn migrate<P: Program>(common: &CommonSettings) -> Result<(), CommandError> {
    let options = db::options(&common.database_url, "DATABASE_URL", service::<P>())?;
    db::migrate(&options, &P::migrator())
        .await
        .map_err(RunError::from)?;
    tracing::info!("migrations are applied");
    Ok(())
}

/// Judges every setting as `serve` would.
pub(super) fn check_config<P: Program>(settings: &ServiceSettings<P::Own>) -> Result<(), CommandError> {
    let service = service::<P>();
    P::validate(settings)?;
    app::authenticator::<P>(settings)?;
    Outbound::new(&settings.common, service)?;
    telemetry::filter(&settings.common, service)?;
    db::options(&settings.common.database_url, "DATABASE_URL", service)?;
    db::listen_options(&settings.common, service)?;
    Ok(writeln!(
        io::stdout(),
        "{}: the settings are valid",
        service.name
    )?)
}

/// Asks `/healthz` of the service that runs beside this process.
pub(super) fn healthcheck(common: &CommonSettings) -> Result<(), CommandError> {
    let address = reachable(common.bind_addr.0);
    let status = probe(address)
        .map_err(|error| CommandError::Refused(format!("{address} does not answer: {error}")))?;
    if status == 200 {
        Ok(())
    } else {
        Err(CommandError::Refused(format!("{address} answers {status}")))
    }
}

/// A listener on every address is reached on the loopback.
fn reachable(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}

fn probe(address: SocketAddr) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, PROBE_LIMIT)?;
    stream.set_read_timeout(Some(PROBE_LIMIT))?;
    stream.set_write_timeout(Some(PROBE_LIMIT))?;
    write!(
        stream,
        "GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut head = Vec::new();
    stream.take(4096).read_to_end(&mut head)?;
    let text = String::from_utf8_lossy(&head);
    let status = text
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok());
    status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "that is no HTTP"))
}

/// Lists, shows, retries, discards.
pub(super) async fn outbox<P: Program>(
    common: &CommonSettings,
    action: OutboxAction,
) -> Result<(), CommandError> {
    let service = service::<P>();
    let options = db::options(&common.database_url, "DATABASE_URL", service)?;
    let mut conn = PgConnection::connect_with(&options).await?;
    if !admin::exists(&mut conn, service).await? {
        let why = format!(
            "{} has no outbox: it owes nothing, or was never migrated",
            service.name
        );
        return Err(CommandError::Refused(why));
    }
    let outcome = match action {
        OutboxAction::List { limit } => {
            let rows = admin::list(&mut conn, service, limit).await?;
            rows.iter().try_for_each(print)
        }
        OutboxAction::Show { id } => match admin::show(&mut conn, service, id).await? {
            Some(row) => print(&row),
            None => Err(CommandError::Refused(format!("there is no delivery {id}"))),
        },
        OutboxAction::Retry { id } => done(admin::retry(&mut conn, service, id).await?, "is due at once"),
        OutboxAction::Discard { id } => {
            done(admin::discard(&mut conn, service, id).await?, "will be given up")
        }
    };
    let _ = conn.close().await;
    outcome
}

fn done(done: bool, what: &str) -> Result<(), CommandError> {
    if !done {
        let why = "it is not owed: what was sent, or is over, cannot be changed from here";
        return Err(CommandError::Refused(why.to_owned()));
    }
    Ok(writeln!(io::stdout(), "the delivery {what}")?)
}

/// One JSON object a line.
fn print(row: &impl Serialize) -> Result<(), CommandError> {
    let line = serde_json::to_string(row).map_err(io::Error::from)?;
    Ok(writeln!(io::stdout(), "{line}")?)
}

/// Erases what is kept about a user.
pub(super) async fn erase<P: Program>(
    settings: &ServiceSettings<P::Own>,
    user: String,
) -> Result<(), CommandError> {
    let user = UserId::parse(user)
        .ok_or_else(|| CommandError::Refused("--user takes an id of 1 to 255 characters".to_owned()))?;
    let outbound = Outbound::new(&settings.common, service::<P>())?;
    let port = settings.common.bind_addr.0.port();
    let kit = app::kit::<P>(settings, port, outbound, Arc::new(SystemClock))?;
    let pool = kit.pool.clone();
    let state = P::state(kit, settings.own.clone())?;
    let erased = P::erase(&state, &user).await;
    pool.close().await;
    let rows = erased?;
    Ok(writeln!(io::stdout(), "erased: {rows} rows")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_everywhere_is_probed_here() {
        let at = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(at("0.0.0.0:3000"), "127.0.0.1:3000");
        assert_eq!(at("[::]:3000"), "[::1]:3000");
        assert_eq!(at("10.1.2.3:80"), "10.1.2.3:80");
    }
}
