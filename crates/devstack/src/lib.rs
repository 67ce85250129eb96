//! Starts a whole Switchhook on one machine: PostgreSQL, the services, stand-ins for what lies outside.
//!
//! The binary is behind `make up`, `make test` and `make run`; the library is what end-to-end tests use to start, kill,
//! pause and restart the same processes. Reading order:
//!
//! - [`services`]: the table of services; a further one is a row there;
//! - [`settings`]: which settings each of them gets, and why the caller's win;
//! - [`stack`]: one running stack; [`upkeep`] keeps it running; [`table`] tells a person about it;
//! - [`postgres`]: a private cluster;
//! - [`process`], [`guard`], [`logs`]: children, and that none is left behind;
//! - [`instance`], [`loan`]: one stack per clone, and how other invocations talk to it;
//! - [`places`], [`packages`], `node`, [`environment`], [`env_file`], [`secrets`], [`probe`], [`say`]: the small parts.
//!
//! Nothing here knows what a service does, beyond how it is started and told to be ready.

pub mod cli;
pub mod env_file;
pub mod environment;
pub mod guard;
pub mod instance;
pub mod loan;
pub mod logs;
mod node;
pub mod packages;
pub mod places;
pub mod postgres;
pub mod probe;
pub mod process;
pub mod say;
pub mod secrets;
pub mod services;
pub mod settings;
pub mod stack;
pub mod table;
pub mod upkeep;

pub use stack::{Builder, Stack};
