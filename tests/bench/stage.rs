//! What the benches start: services with quiet logs, beside a PostgreSQL that is as durable as in production.

use anyhow::{Context, Result};
use devstack::{Builder, Stack};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use switchhook_standins::Control;
use switchhook_standins::control::Mode;

use crate::process::postmaster;

const ANALYZE_FILLED: &str = "DO $$ DECLARE filled regclass; BEGIN \
    FOR filled IN SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND pg_relation_size(c.oid) > 0 \
    LOOP EXECUTE format('ANALYZE %s', filled); END LOOP; END $$";

/// A stack of these services, to be added to.
pub(crate) fn of(services: &[&str]) -> Builder {
    Stack::builder()
        .services(services)
        .measured_postgres()
        .set("LOG_FORMAT", "json")
        .set("RUST_LOG", "warn")
}

/// A running stack of one service, and the processes whose cost is told.
pub(crate) struct Stage {
    pub(crate) stack: Stack,
    pub(crate) service: &'static str,
    pub(crate) pid: i32,
    pub(crate) postmaster: i32,
}

impl Stage {
    pub(crate) async fn start(service: &'static str, builder: Builder) -> Result<Self> {
        let stack = builder.start().await?;
        let pid = stack.pid(service, 0).await.context("the service runs")?;
        let postmaster = postmaster(stack.database_url()).await?;
        Ok(Self {
            stack,
            service,
            pid,
            postmaster,
        })
    }

    pub(crate) fn url(&self) -> &str {
        self.stack.url(self.service, 0)
    }

    /// `host:port` of the service.
    pub(crate) fn host(&self) -> &str {
        self.url().trim_start_matches("http://")
    }

    /// The header of machines, as a line.
    pub(crate) fn machine(&self) -> String {
        format!("x-n8n-webhook-secret: {}\r\n", self.stack.keys().webhook_secret)
    }

    /// n8n answers everything at once, with this body, and does nothing more.
    pub(crate) fn n8n_answers(&self, body: Option<Value>) {
        let mode = body.is_none().then_some(Mode::Silent);
        self.stack.n8n().push(Control {
            times: 0,
            status: body.is_some().then_some(200),
            body,
            mode,
            ..Control::default()
        });
    }

    /// Runs statements, as one transaction.
    pub(crate) async fn run(&self, sql: &str) -> Result<()> {
        let mut conn = PgConnection::connect(self.stack.database_url()).await?;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut conn)
            .await?;
        Ok(conn.close().await?)
    }

    /// Fills the database, and lets PostgreSQL look at what is there. Not at tables that are empty still: plans that are made for
    /// those would be kept while they fill.
    pub(crate) async fn fill(&self, sql: &str) -> Result<()> {
        self.run(sql).await?;
        self.run(ANALYZE_FILLED).await
    }

    /// The first column of a query.
    pub(crate) async fn texts(&self, sql: &str) -> Result<Vec<String>> {
        let mut conn = PgConnection::connect(self.stack.database_url()).await?;
        let rows = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
            .fetch_all(&mut conn)
            .await?;
        conn.close().await?;
        Ok(rows)
    }
}
