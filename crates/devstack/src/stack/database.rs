//! The database of a stack: on a private server, or on one of the caller's.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;

use crate::guard::Guard;
use crate::logs::Output;
use crate::postgres::{DATABASE, Durability, Postgres, databases};

/// Where a stack's data is.
pub(super) enum Database {
    /// On a server of its own.
    Private(Box<Postgres>),
    /// In a database of the caller's, used as it is.
    Given(String),
    /// In a database made for this stack on a server of the caller's.
    Fresh { server: String, url: String },
}

impl Database {
    /// A private server with one database.
    pub(super) async fn private_in(
        directory: PathBuf,
        durability: Durability,
        output: Output,
        guard: &Arc<Guard>,
    ) -> Result<Self> {
        Ok(Self::Private(Box::new(
            Postgres::start_in(directory, durability, output, guard).await?,
        )))
    }

    /// A new database on the server of the given one.
    pub(super) async fn fresh_beside(given: &str) -> Result<Self> {
        Ok(Self::Fresh {
            server: given.to_owned(),
            url: databases::make_fresh(given).await?,
        })
    }

    pub(super) fn url(&self) -> String {
        match self {
            Self::Private(postgres) => postgres.url(DATABASE),
            Self::Given(url) | Self::Fresh { url, .. } => url.clone(),
        }
    }

    pub(super) fn private(&self) -> Option<&Postgres> {
        match self {
            Self::Private(postgres) => Some(postgres),
            Self::Given(_) | Self::Fresh { .. } => None,
        }
    }

    /// Stops and removes what was made for the stack alone.
    pub(super) async fn finish(&self) -> Result<()> {
        match self {
            Self::Private(postgres) => postgres.finish().await,
            Self::Given(_) => Ok(()),
            Self::Fresh { server, url } => databases::remove_fresh(server, url).await,
        }
    }
}
