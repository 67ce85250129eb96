//! HTTP in: one server, one stack around every request, one shape of failure, the callers and their credentials.
//!
//! A service gives its URL table; everything else that answers (probes, metrics, page, documents, 404, 405, a crash)
//! is answered here, alike on every service. It knows nothing of any service's domain.
//!
//! Reading order: [`failure`], [`mod@resource`] (routes), [`auth`] (who calls), [`body`], [`query`], [`paging`], [`sse`],
//! [`observe`] (what surrounds every request), [`server`] (where it all comes together).

pub mod address;
pub mod auth;
pub mod body;
pub mod docs;
pub(crate) mod door;
pub mod failure;
pub mod failures;
pub mod health;
pub mod observe;
pub mod page;
pub mod paging;
pub(crate) mod peer;
pub mod query;
pub mod resource;
pub mod server;
pub mod sign_in;
pub mod sse;
pub mod trace;
mod unread;

pub use auth::{Anyone, Caller, CallerPost, Machine, MachinePost, User};
pub use body::{FromN8n, Json, NoBody};
pub use failure::Failure;
pub use paging::{Paging, next_url};
pub use query::Query;
pub use resource::{Endpoint, resource};
pub use trace::RequestTrace;
