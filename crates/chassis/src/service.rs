//! What a service says about itself.

/// The constants of one service.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Name of the binary, such as `session-svc`.
    pub name: &'static str,
    /// Prefix of its own settings: `SESSION` makes `SESSION__X` win over `X`.
    pub env_prefix: &'static str,
    /// PostgreSQL schema, owned by this service alone.
    pub schema: &'static str,
    /// Default HTTP port.
    pub port: u16,
    /// The path under which page, docs and OpenAPI also stand, such as `sessions`.
    pub path_prefix: &'static str,
    /// Default of `SERVICE_TITLE`.
    pub title: &'static str,
    /// Default of `RETENTION_DAYS`.
    pub retention_days: u32,
    /// Version of the package.
    pub version: &'static str,
}
