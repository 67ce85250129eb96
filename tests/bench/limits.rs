//! What HTTP itself costs here: an actix-web handler that does nothing, and what a service's own stack around every request adds
//! to it.

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context, Result};
use std::sync::Arc;

use crate::contest::{Contest, Side};
use crate::figures::heading;
use crate::load::{Make, get};
use crate::peers::Peer;
use crate::stage::{self, Stage};

/// The word that turns this program into the bare handler.
pub(crate) const BARE_HTTP: &str = "bare-http";
const SESSION: &str = "session-svc";
const CONNECTIONS: usize = 32;
/// As many as a service has.
const WORKERS: usize = 2;

pub(crate) async fn run() -> Result<()> {
    let stage = Stage::start(SESSION, stage::of(&[SESSION])).await?;
    let bare = Peer::own(BARE_HTTP).await?;
    heading("HTTP alone");
    let asks = |host: &str| -> Make {
        let request = get(host, "/healthz", "");
        Arc::new(move |_, _| request.clone())
    };
    let sides = [
        Side::http(
            "session-svc, /healthz",
            stage.host(),
            stage.pid,
            asks(stage.host()),
        ),
        Side::http(
            "bare actix-web handler",
            &bare.host,
            bare.pid()?,
            asks(&bare.host),
        ),
    ];
    let contest = Contest {
        work: "requests",
        connections: CONNECTIONS,
        postmaster: stage.postmaster,
    };
    contest.run(&sides).await?.tell();
    stage.stack.stop().await
}

/// Serves the bare handler until it is killed.
#[allow(clippy::print_stdout, reason = "says where it listens")]
pub(crate) async fn bare_http() -> Result<()> {
    let answer = || async { HttpResponse::Ok().body("ok") };
    let server = HttpServer::new(move || App::new().route("/healthz", web::get().to(answer)));
    let server = server.workers(WORKERS).bind("127.0.0.1:0")?;
    let address = server.addrs().first().copied().context("it listens")?;
    println!("listening {}", address.port());
    Ok(server.run().await?)
}
