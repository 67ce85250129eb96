//! What operators are told, as it is read: messages, chats as they stand now, chats that are gone.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use sqlx::{PgConnection, PgPool};

use crate::domain::entry::Sender;
use crate::domain::ids::SessionId;
use crate::domain::shown::{ShownMessage, ShownSession};
use crate::domain::snapshot::Snapshot;
use crate::store::listing::{self, Asked, Which};
use crate::store::{changes, sessions};

/// Entries that are read at a time.
const PAGE: i64 = 500;
/// Pages after which the present state says more than what led to it.
const PAGES: u32 = 8;
/// Chats of a kind in the present state.
const STATE: i64 = 200;
/// Chats that changed without an entry.
const CHANGED: i64 = 1_000;

/// One event, for whoever may see the channel.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) channel: String,
    /// `session`, `message`, `erased` or `typing`.
    pub(super) name: &'static str,
    pub(super) data: String,
}

impl Told {
    fn new(channel: &str, name: &'static str, data: &impl Serialize) -> Self {
        Self {
            channel: channel.to_owned(),
            name,
            data: serde_json::to_string(data).unwrap_or_default(),
        }
    }
}

/// What one snapshot sees and the one before does not.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) from: Snapshot,
    pub(super) to: Snapshot,
    /// Nothing where it is too much to be told one by one.
    pub(super) events: Option<Vec<Told>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageOut<'a> {
    session_id: &'a SessionId,
    #[serde(flatten)]
    message: ShownMessage,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErasedOut<'a> {
    session_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TypingOut<'a> {
    session_id: &'a SessionId,
    from: Sender,
    active: bool,
}

/// What is new since `from`; nothing where nothing was committed at all.
pub(super) async fn news(pool: &PgPool, from: &Snapshot) -> Result<Option<Batch>, sqlx::Error> {
    let mut conn = pool.acquire().await?;
    let to = changes::snapshot(&mut conn).await?;
    if to == *from {
        return Ok(None);
    }
    between(&mut conn, from, &to).await.map(Some)
}

/// What `to` sees and `from` does not.
pub(super) async fn between(
    conn: &mut PgConnection,
    from: &Snapshot,
    to: &Snapshot,
) -> Result<Batch, sqlx::Error> {
    let (mut entries, mut after) = (Vec::new(), None);
    for _ in 0..PAGES {
        let page = changes::entries(conn, from, to, after.as_ref(), PAGE).await?;
        entries.extend(page.entries);
        after = page.end;
        if after.is_none() {
            break;
        }
    }
    let changed = changes::changed(conn, from, to, CHANGED).await?;
    let too_much = after.is_some() || changed.len() >= usize::try_from(CHANGED).unwrap_or(usize::MAX);
    let mut batch = Batch {
        from: from.clone(),
        to: to.clone(),
        events: None,
    };
    if too_much {
        return Ok(batch);
    }
    let mut ids: BTreeSet<String> = entries.iter().map(|(id, _)| id.to_string()).collect();
    ids.extend(changed.iter().map(|changed| changed.session_id.clone()));
    let shown = listing::shown(conn, &ids.into_iter().collect::<Vec<_>>()).await?;
    let shown: BTreeMap<&str, &ShownSession> = shown
        .iter()
        .map(|session| (session.session_id.as_str(), session))
        .collect();
    let mut events = Vec::new();
    for (id, entry) in entries {
        if let (Some(session), Some(message)) = (shown.get(id.as_str()), ShownMessage::of(entry)) {
            let out = MessageOut {
                session_id: &id,
                message,
            };
            events.push(Told::new(session.channel.as_str(), "message", &out));
        }
    }
    events.extend(
        shown
            .values()
            .map(|session| Told::new(session.channel.as_str(), "session", session)),
    );
    for gone in changed
        .iter()
        .filter(|changed| !shown.contains_key(changed.session_id.as_str()))
    {
        if let Some(channel) = &gone.channel {
            let out = ErasedOut {
                session_id: &gone.session_id,
            };
            events.push(Told::new(channel, "erased", &out));
        }
    }
    batch.events = Some(events);
    Ok(batch)
}

/// The chats that matter now: those that are connected, wait or are flagged.
pub(super) async fn state(pool: &PgPool, channels: Option<&[String]>) -> Result<Vec<Told>, sqlx::Error> {
    let mut conn = pool.acquire().await?;
    let mut ids = BTreeSet::new();
    for which in [Which::Connected, Which::Waiting, Which::Operator, Which::Flagged] {
        let asked = Asked {
            which,
            channels,
            words: None,
            before: None,
            limit: STATE,
        };
        ids.extend(listing::find(&mut conn, &asked).await?.ids);
    }
    let shown = listing::shown(&mut conn, &ids.into_iter().collect::<Vec<_>>()).await?;
    let told = |session: &ShownSession| Told::new(session.channel.as_str(), "session", session);
    Ok(shown.iter().map(told).collect())
}

/// Somebody writes in a chat, or stopped.
pub(super) async fn typing(
    pool: &PgPool,
    session: &SessionId,
    from: Sender,
    active: bool,
) -> Result<Option<Told>, sqlx::Error> {
    let channel = sessions::channel_of(&mut *pool.acquire().await?, session, None).await?;
    let out = TypingOut {
        session_id: session,
        from,
        active,
    };
    Ok(channel.map(|channel| Told::new(&channel, "typing", &out)))
}
