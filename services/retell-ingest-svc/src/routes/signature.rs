//! Which key must have signed a webhook of Retell's, and whether it has.
//!
//! The key of whoever has the agent, else one of `RETELL_API_KEYS`. Clients' keys are remembered for a moment, so that a
//! busy agent does not cost a query an event; a signature that does not fit is judged again by what the database says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::header::HeaderMap;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use sqlx::PgPool;
use switchhook_core::webhook::retell::{HEADER, Refused, Signature};

use crate::clients::vault::Vault;
use crate::config::RetellSettings;
use crate::domain::agent::AgentId;
use crate::error::Error;
use crate::store;

/// How long a client's key is used without asking the database.
const REMEMBERED_FOR: Duration = Duration::from_secs(2);
/// Agents whose keys are remembered.
const MAX_REMEMBERED: usize = 10_000;

/// The keys that sign. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SigningKeys {
    shared: Arc<Vec<SecretString>>,
    pool: PgPool,
    vault: Vault,
    remembered: Arc<Mutex<HashMap<String, Remembered>>>,
}

#[derive(Clone)]
struct Remembered {
    at: Instant,
    keys: Arc<Vec<SecretString>>,
}

/// What is judged.
#[derive(Clone, Copy)]
pub(crate) struct Signed<'a> {
    pub(crate) signature: &'a Signature,
    pub(crate) body: &'a [u8],
    pub(crate) now: DateTime<Utc>,
}

impl Signed<'_> {
    fn by_one_of(self, keys: &[SecretString]) -> Result<(), Refused> {
        let mut refused = Refused::Mismatch;
        for key in keys {
            match self.signature.verify(key, self.body, self.now) {
                Ok(()) => return Ok(()),
                Err(why) => refused = why,
            }
        }
        Err(refused)
    }
}

impl SigningKeys {
    pub(crate) fn new(settings: &RetellSettings, pool: PgPool, vault: Vault) -> Self {
        Self {
            shared: Arc::new(settings.api_keys()),
            pool,
            vault,
            remembered: Arc::default(),
        }
    }

    /// Succeeds when the right key has signed.
    ///
    /// Nothing of the request is believed yet: only what may be the id of a client's agent is looked up and remembered.
    pub(crate) async fn verify(&self, agent: Option<&str>, signed: Signed<'_>) -> Result<(), Error> {
        signed.signature.is_timely(signed.now).map_err(refused)?;
        let Some(agent) = agent.and_then(AgentId::parse) else {
            return signed.by_one_of(&self.shared).map_err(refused);
        };
        let agent = agent.as_str();
        if let Some(keys) = self.remembered(agent) {
            match signed.by_one_of(&keys) {
                Err(Refused::Mismatch) => {}
                judged => return judged.map_err(refused),
            }
        }
        let keys = self.look_up(agent).await?;
        signed.by_one_of(&keys).map_err(refused)
    }

    fn remembered(&self, agent: &str) -> Option<Arc<Vec<SecretString>>> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let found = remembered.get(agent)?;
        (found.at.elapsed() < REMEMBERED_FOR).then(|| Arc::clone(&found.keys))
    }

    async fn look_up(&self, agent: &str) -> Result<Arc<Vec<SecretString>>, Error> {
        let sealed = store::users::key_of_agent(&mut *self.pool.acquire().await?, agent).await?;
        let keys = match sealed {
            None => Arc::clone(&self.shared),
            Some((owner, sealed)) => match self.vault.open(&owner, &sealed) {
                Ok(key) => Arc::new(vec![key]),
                Err(error) => {
                    tracing::error!(%error, agent, "webhooks of this agent are refused until it is connected again");
                    Arc::default()
                }
            },
        };
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        let now = Remembered {
            at: Instant::now(),
            keys: Arc::clone(&keys),
        };
        remembered.insert(agent.to_owned(), now);
        Ok(keys)
    }
}

/// The signature of a request.
pub(crate) fn signature(headers: &HeaderMap) -> Result<Signature, Error> {
    let mut given = headers.get_all(HEADER);
    match (given.next(), given.next()) {
        (Some(value), None) => {
            let text = value.to_str().map_err(|_| refused(Refused::Malformed))?;
            Signature::parse(text).map_err(refused)
        }
        (None, _) => Err(Error::Signature("is required")),
        (Some(_), Some(_)) => Err(Error::Signature("is given more than once")),
    }
}

fn refused(why: Refused) -> Error {
    Error::Signature(match why {
        Refused::Malformed => "must look like v=<milliseconds>,d=<64 hex digits>",
        Refused::Stale => "is older or younger than five minutes",
        Refused::Mismatch => "does not fit the body and the key of the agent's workspace",
    })
}
