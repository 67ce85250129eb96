//! What is deployed is judged before it is: `k8s/`, `deploy/compose.yaml`, `deploy/Dockerfile`, `.env.example`, and the
//! dashboard and alert rules ([`monitoring`]).
//!
//! The overlays are rendered with kubectl and judged by schema (kubernetes-validate) and by the rules of [`policy`]; what
//! the services would be given is put to the services themselves (`settings`, `check-config`), whose programs are built
//! before. That the rules see something is shown in [`defects`]: each defect is planted in a copy and must be found.
//!
//! `make k8s` brings the programs that are needed and runs this.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and so do the functions that serve it"
)]

mod compose;
mod defects;
mod dockerfile;
mod example;
mod monitoring;
mod overlays;
mod policy;
mod rendered;
mod secrets;
mod settings;
mod tools;
