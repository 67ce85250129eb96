//! What replicas tell each other of chats that several of them hold: how far a log goes, and never what it says.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

use super::{ERASED, FLUSH_LIMIT, Inner, Registry, bounded};
use crate::domain::entry::Sender;
use crate::domain::ids::SessionId;
use crate::store::registrations::{self, Peer};

/// What a hint and its answer may take on their way, beside the wait for a socket.
const WAY_LIMIT: Duration = Duration::from_millis(500);

/// What became of a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// A socket that showed life lately has flushed up to the position.
    pub(crate) flushed: bool,
}

/// What travels between replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hint", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Hint {
    /// The chat's log goes on up to this position.
    Entry { session_id: SessionId, seq: i64 },
    /// Somebody writes, or stopped.
    Typing {
        session_id: SessionId,
        from: Sender,
        active: bool,
    },
    /// The chat is erased.
    Erased { session_id: SessionId },
}

pub(super) fn entry(session: &SessionId, seq: i64) -> Hint {
    Hint::Entry {
        session_id: session.clone(),
        seq,
    }
}

impl Registry {
    /// A hint of another replica.
    pub(crate) async fn receive(&self, hint: Hint) -> Told {
        self.inner.obey(&hint);
        let flushed = match &hint {
            Hint::Entry { session_id, seq } => self.inner.hub.flushed(session_id, *seq, FLUSH_LIMIT).await,
            Hint::Typing { .. } | Hint::Erased { .. } => false,
        };
        Told { flushed }
    }

    pub(super) fn to_all(&self, hint: &Hint) {
        for peer in self.inner.peers().iter() {
            drop(self.inner.send(peer.clone(), hint.clone()));
        }
    }

    /// Asks the database only where there is anybody else; whoever has just come finds it by his poll.
    pub(super) fn to_holders(&self, session: &SessionId, hint: Hint) {
        if self.inner.peers().is_empty() {
            return;
        }
        let (inner, session) = (Arc::clone(&self.inner), session.clone());
        self.inner.kit.tasks.spawn(async move {
            for peer in inner.holders(&session).await.unwrap_or_default() {
                drop(inner.send(peer, hint.clone()));
            }
        });
    }
}

impl Inner {
    pub(super) fn obey(&self, hint: &Hint) {
        match hint {
            Hint::Entry { session_id, seq } => {
                self.operators.changed();
                self.hub.heard_of(session_id, *seq);
            }
            Hint::Typing {
                session_id,
                from: Sender::User,
                active,
            } => {
                self.operators.typing(session_id, Sender::User, *active);
            }
            Hint::Typing {
                session_id,
                from,
                active,
            } => self.hub.typing(session_id, *from, *active),
            Hint::Erased { session_id } => {
                self.operators.changed();
                self.hub.close(session_id, ERASED);
            }
        }
    }

    /// Sends a hint in a task of its own; the task's result is the other replica's answer.
    pub(super) fn send(self: &Arc<Self>, peer: Peer, hint: Hint) -> tokio::task::JoinHandle<Option<Told>> {
        let inner = Arc::clone(self);
        self.kit.tasks.spawn(async move {
            let _place = inner.hints.try_acquire().ok()?;
            let url = format!("{}/internal/hints", peer.url.trim_end_matches('/'));
            let request = inner
                .kit
                .outbound
                .client()
                .post(url)
                .bearer_auth(peer.token)
                .json(&hint);
            let answer = request.timeout(FLUSH_LIMIT + WAY_LIMIT).send().await;
            match answer {
                Ok(answer) if answer.status().is_success() => answer.json().await.ok(),
                _ => None,
            }
        })
    }

    /// The other replicas that hold a chat and live.
    pub(super) async fn holders(&self, session: &SessionId) -> Result<Vec<Peer>, sqlx::Error> {
        bounded(async {
            let mut conn = self.kit.pool.acquire().await?;
            registrations::holders(&mut conn, session, self.kit.replica.id()).await
        })
        .await
    }
}
