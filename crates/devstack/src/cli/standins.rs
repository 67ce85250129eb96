//! `devstack standins`: the stand-ins without a stack; and what they do, shown among the other lines.

use std::io::{IsTerminal, Write};

use anyhow::{Context, Result};
use switchhook_standins::{LiveKit, N8n, Options, Retell, livekit, retell};
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use super::Asked;
use crate::environment::Environment;
use crate::{logs, say};

/// Base URLs of the services that the stand-ins call.
pub(super) struct Services {
    pub(super) session: Option<String>,
    pub(super) retell: Option<String>,
    pub(super) dispatch: Option<String>,
}

/// Runs the stand-ins alone until it is asked to stop.
pub(super) async fn alone(services: Services, port: u16) -> Result<u8> {
    follow();
    let mut asked = Asked::new()?;
    let caller = Environment::of_process();
    let after = |count: u16| if port == 0 { 0 } else { port.saturating_add(count) };
    let options = Options {
        control_port: port,
        webhook_port: after(1),
        secret: caller.get("N8N_OUTBOUND_SECRET").map(str::to_owned),
        machine_secret: caller.get("WEBHOOK_SECRET").map(str::to_owned),
        session_url: services.session,
        ..Options::default()
    };
    let n8n = N8n::start(options).context("cannot start n8n's stand-in")?;
    say::result(&format!(
        "n8n: {} (webhooks that can be taken down: {})",
        n8n.url(),
        n8n.webhook_url("ai-session")
    ));
    let mut options = retell::Options {
        control_port: after(2),
        api_port: after(3),
        service_url: services.retell,
        ..retell::Options::default()
    };
    if let Some(key) = caller.get("RETELL_API_KEY") {
        options.keys = vec![(key.to_owned(), vec![retell::DEFAULT_AGENT.to_owned()])];
    }
    let retell = Retell::start(options).context("cannot start Retell's stand-in")?;
    say::result(&format!(
        "Retell: {} (API that can be taken down: {})",
        retell.url(),
        retell.api_url()
    ));
    let mut options = livekit::Options {
        control_port: after(4),
        api_port: after(5),
        service_url: services.dispatch,
        ..livekit::Options::default()
    };
    if let (Some(key), Some(secret)) = (caller.get("LIVEKIT_API_KEY"), caller.get("LIVEKIT_API_SECRET")) {
        options.keys = vec![(key.to_owned(), secret.to_owned())];
    }
    let livekit = LiveKit::start(options).context("cannot start LiveKit's stand-in")?;
    say::result(&format!(
        "LiveKit: {} (API that can be taken down: {})",
        livekit.url(),
        livekit.api_url()
    ));
    asked.stop().await;
    Ok(0)
}

/// Shows what the stand-ins do among the other processes' lines.
pub(super) fn follow() {
    struct Lines(&'static str);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let prefix = logs::prefix(self.0, std::io::stderr().is_terminal());
            write!(
                std::io::stderr().lock(),
                "{prefix} {}",
                String::from_utf8_lossy(bytes)
            )?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    struct ByModule;
    impl MakeWriter<'_> for ByModule {
        type Writer = Lines;
        fn make_writer(&self) -> Lines {
            Lines("stand-in")
        }
        fn make_writer_for(&self, event: &Metadata<'_>) -> Lines {
            match event.target().split("::").nth(1) {
                Some("n8n") => Lines("n8n stand-in"),
                Some("retell") => Lines("Retell stand-in"),
                Some("livekit") => Lines("LiveKit stand-in"),
                _ => self.make_writer(),
            }
        }
    }
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new("switchhook_standins=info"))
        .with_writer(ByModule)
        .with_ansi(false)
        .with_target(false)
        .with_level(false)
        .without_time();
    // Only one can be set; a second one would be the same.
    let _ = subscriber.try_init();
}
