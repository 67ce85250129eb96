//! The WebSocket listener: who comes in, how many, and how all of them go when the service stops.
//!
//! One task for each connection ([`connection`]), which waits for nobody else's.

mod accept;
mod catch_up;
mod connection;
mod display;
pub mod echo;
mod handshakes;
mod heartbeat;
mod opening;
mod origin;
mod places;
mod post;
pub(crate) mod socket;

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use switchhook_chassis::config::SettingError;
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::app::AppState;
use crate::protocol;
use handshakes::Handshakes;
use heartbeat::Rhythm;
use origin::OwnPages;
use places::Places;
use socket::Goodbye;

/// Pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What of `SHUTDOWN_TIMEOUT` is used for saying goodbye; the rest is for what is under way then.
const PARTING_SHARE: f64 = 0.8;
/// Clients are asked to go elsewhere at these intervals.
const PARTING_STEP: Duration = Duration::from_millis(100);
/// How often it is looked whether siblings know of this process.
const KNOWN_PAUSE: Duration = Duration::from_millis(20);
/// How fast the last few go.
const PARTING_EACH: Duration = Duration::from_secs(1);

/// The service restarts, and another replica is there.
const RESTART: Goodbye = Goodbye::new(CloseCode::Restart, "the service restarts: connect again");

/// The listener, bound and not yet serving. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Listener {
    /// Taken when it serves, so that it closes when that ends.
    listener: Arc<Mutex<Option<TcpListener>>>,
    address: SocketAddr,
}

impl Listener {
    /// Binds the address: a port that is taken stops the start.
    pub(crate) fn bind(wanted: SocketAddr) -> Result<Self, SettingError> {
        let bound = TcpListener::bind(wanted).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        });
        let (address, listener) = bound.map_err(|cause| SettingError {
            variable: "WS_BIND_ADDR".into(),
            problem: format!("{wanted} cannot be used: {cause}"),
            example: "0.0.0.0:8080".into(),
        })?;
        Ok(Self {
            listener: Arc::new(Mutex::new(Some(listener))),
            address,
        })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.address
    }

    fn take(&self) -> Option<TcpListener> {
        self.listener
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// What every connection works with.
pub(crate) struct Context {
    state: AppState,
    own_pages: OwnPages,
    rhythm: Rhythm,
    max_chars: usize,
    frame_bytes: usize,
    handshakes: Arc<Handshakes>,
    places: Arc<Places>,
    /// Connections of the pool for what visitors read: those who come back after an outage, all at once, wait here in
    /// turn, and not so long for the pool that it gives up on them.
    reading: Semaphore,
}

impl Context {
    fn new(state: &AppState) -> Arc<Self> {
        let settings = &state.settings;
        let connections = state.kit.pool.options().get_max_connections() as usize;
        let max_chars = settings.message_chars.get() as usize;
        let places = Places::new(
            settings.max_connections.get() as usize,
            settings.connections_per_address.get() as usize,
        );
        Arc::new(Self {
            state: state.clone(),
            own_pages: OwnPages::new(&state.kit.settings, state.kit.port),
            rhythm: Rhythm::new(settings.ping_interval.0, settings.idle_timeout.0),
            max_chars,
            frame_bytes: protocol::frame_bytes(max_chars),
            handshakes: Arc::default(),
            places,
            reading: Semaphore::new((connections / 2).max(1)),
        })
    }
}

/// Serves visitors until the service stops, and then sees them off.
pub(crate) fn serve(state: &AppState) {
    state.registry.start();
    let Some(listener) = state.ws.get().and_then(Listener::take) else {
        return;
    };
    let tasks = &state.kit.tasks;
    tasks.keep("WebSocket listener", listen(Context::new(state), listener));
    let (state, stopping) = (state.clone(), tasks.stopping().clone());
    tasks.spawn(async move {
        stopping.cancelled().await;
        part(&state).await;
    });
}

async fn listen(ctx: Arc<Context>, listener: TcpListener) {
    let stopping = ctx.state.kit.tasks.stopping().clone();
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the WebSocket listener cannot be used"),
    };
    // What a process holds that nobody knows to be alive counts as held by nobody.
    while !ctx.state.kit.replica.is_current() && !stopping.is_cancelled() {
        tokio::time::sleep(KNOWN_PAUSE).await;
    }
    tracing::info!(address = ?listener.local_addr().ok(), "visitors are served");
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((tcp, peer)) => {
                let room = ctx.handshakes.room();
                let Some(handshake) = stopping.run_until_cancelled(room).await else {
                    return;
                };
                let visit = connection::serve(Arc::clone(&ctx), tcp, peer, handshake);
                ctx.state.kit.tasks.spawn(visit);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Asks everybody to go elsewhere, spread over the time that there is, so that the others are not overrun.
async fn part(state: &AppState) {
    let connections = u32::try_from(state.hub.connections()).unwrap_or(u32::MAX);
    let all = state.kit.settings.shutdown_timeout.0.mul_f64(PARTING_SHARE);
    let within = all.min(PARTING_EACH.saturating_mul(connections));
    tracing::info!(connections, ?within, "visitors are asked to connect elsewhere");
    state.hub.close_all(RESTART, within, PARTING_STEP).await;
}
