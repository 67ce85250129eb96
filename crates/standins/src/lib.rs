//! Stateful stand-ins for the systems outside Switchhook.
//!
//! A stand-in is a small HTTP server that behaves as the real system does on the wire, can be told to misbehave, and
//! writes down what it got. Tests start one in their own process; `make up` starts the same one for a person.
//!
//! Reading order:
//! - [`control`]: what a stand-in can be told (`POST /_control`), the same for every stand-in;
//! - [`log`]: what it remembers (`GET /_log`);
//! - `server`: sockets, and answers that can be cut off half-way;
//! - `role`, `doors`: how a request reaches what the stand-in plays, and the control endpoints beside it;
//! - `outgoing`: requests that a stand-in makes by itself;
//! - [`n8n`]: n8n's webhooks and the workflow that makes a session's calls;
//! - [`retell`]: Retell's API, and the signed webhooks of the calls that it plays;
//! - [`livekit`]: LiveKit's API, its rooms and agents, calls and recordings, and its signed webhooks.
//!
//! A further stand-in adds one module beside these and uses the others as they are. Nothing here knows
//! a service's code or its database: it speaks to a service as the real system would, over HTTP.

pub mod control;
mod doors;
pub mod livekit;
pub mod log;
pub mod n8n;
mod outgoing;
pub mod retell;
mod role;
mod server;

pub use control::Control;
pub use livekit::LiveKit;
pub use n8n::{N8n, Options};
pub use retell::Retell;
