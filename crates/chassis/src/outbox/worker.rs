//! What the process holds in memory, and the entry points of services.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::json;
use sqlx::types::Json;
use sqlx::{PgConnection, Row};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::breaker::Breaker;
use super::held::{Held, Hold};
use super::sql::Sql;
use super::{Guarantee, NewDelivery, Outbox, Owed, Owner, Reason, Topic};
use crate::kit::Kit;

/// Connections of the pool that records leave to everybody else.
const SPARED_CONNECTIONS: u32 = 2;

pub(crate) struct Inner {
    pub(crate) kit: Kit,
    pub(crate) topics: &'static [Topic],
    pub(crate) owner: Arc<dyn Owner>,
    pub(crate) sql: Sql,
    pub(crate) held: Held,
    /// Places for records being written: thousands of answers at once must not keep everybody else from the pool.
    pub(crate) recording: Semaphore,
    breakers: Mutex<HashMap<String, Breaker>>,
    opening: Mutex<HashMap<(&'static str, String), Arc<Semaphore>>>,
}

/// A claimed row, ready to be sent.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) id: Uuid,
    pub(crate) topic: &'static Topic,
    pub(crate) key: String,
    pub(crate) target: String,
    pub(crate) traceparent: String,
    pub(crate) body: Vec<u8>,
    /// Tries, this one included.
    pub(crate) attempts: i32,
    /// The breaker let it through although the target is in trouble.
    pub(crate) probe: bool,
}

/// A row that was called off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancelled {
    /// Its id.
    pub id: Uuid,
    /// What its last try met, where there was one.
    pub last_error: Option<String>,
}

/// What is owed at the moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OwedSummary {
    /// Rows that were not sent yet.
    pub rows: i64,
    /// Age of the oldest in seconds; 0 where there is none.
    pub oldest_age_s: f64,
}

impl Outbox {
    /// The outbox of one service. Nothing runs yet.
    pub fn new(kit: &Kit, topics: &'static [Topic], owner: Arc<dyn Owner>) -> Self {
        let places = kit
            .pool
            .options()
            .get_max_connections()
            .saturating_sub(SPARED_CONNECTIONS)
            .max(1);
        let inner = Inner {
            kit: kit.clone(),
            topics,
            owner,
            sql: Sql::of(kit.service.schema),
            held: Held::default(),
            recording: Semaphore::new(places as usize),
            breakers: Mutex::default(),
            opening: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Writes down what is owed, in the transaction of the state that causes it.
    ///
    /// The caller holds the lock of the key's own row, so that deliveries of one key stand in the order of their causes.
    pub async fn owe(
        &self,
        conn: &mut PgConnection,
        topic: &'static Topic,
        new: NewDelivery,
    ) -> Result<Owed, sqlx::Error> {
        let draft = self.draft(self.new_id(), topic, new);
        let columns = draft.columns();
        let sending: bool = sqlx::query_scalar(self.inner.sql.owe)
            .bind(columns.id)
            .bind(columns.topic)
            .bind(&draft.row.key)
            .bind(&draft.row.target)
            .bind(&columns.headers)
            .bind(draft.body())
            .bind(columns.guarantee)
            .bind(columns.give_up_after_s)
            .bind(columns.replica)
            .bind(columns.willing)
            .bind(columns.pause_s)
            .bind(&columns.last_error)
            .fetch_one(conn)
            .await?;
        Ok(self.written(draft, sending))
    }

    /// Sends what this process has just written, after its commit.
    pub fn send_now(&self, owed: Owed) {
        if let Some((row, hold)) = owed.mine {
            self.inner.dispatch(row, hold);
        }
    }

    /// Calls off what was not sent yet, in the caller's transaction. `true`: not a byte of it will be sent.
    pub async fn cancel_unsent(
        &self,
        conn: &mut PgConnection,
        topic: &Topic,
        key: &str,
    ) -> Result<bool, sqlx::Error> {
        let done = sqlx::query(self.inner.sql.cancel)
            .bind(topic.name)
            .bind(key)
            .execute(conn)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Calls off what is owed and not under way, in the caller's transaction, and gives the rows with what their last try
    /// met.
    pub async fn cancel_owed(
        &self,
        conn: &mut PgConnection,
        topic: &Topic,
        key: &str,
    ) -> Result<Vec<Cancelled>, sqlx::Error> {
        let rows = sqlx::query(self.inner.sql.cancel_owed)
            .bind(topic.name)
            .bind(key)
            .fetch_all(conn)
            .await?;
        let cancelled = |row: sqlx::postgres::PgRow| {
            Ok(Cancelled {
                id: row.try_get("id")?,
                last_error: row.try_get("last_error")?,
            })
        };
        rows.into_iter().map(cancelled).collect()
    }

    /// What is owed at the moment, for metrics.
    pub async fn owed(&self) -> Result<OwedSummary, sqlx::Error> {
        let row = sqlx::query(self.inner.sql.summary)
            .fetch_one(&self.inner.kit.pool)
            .await?;
        Ok(OwedSummary {
            rows: row.try_get(0)?,
            oldest_age_s: row.try_get(1)?,
        })
    }

    /// How many requests are in hand or waiting for an answer in this process.
    pub fn in_flight(&self) -> usize {
        self.inner.held.len()
    }

    /// Runs the sweep and the reaper until the service stops.
    pub fn start(&self) {
        let tasks = &self.inner.kit.tasks;
        tasks.keep("sweep of the outbox", super::sweep::run(Arc::clone(&self.inner)));
        tasks.keep(
            "reaper of the outbox",
            super::reaper::run(Arc::clone(&self.inner)),
        );
    }
}

impl Inner {
    /// Sends a claimed row in a task of its own.
    pub(crate) fn dispatch(self: &Arc<Self>, row: Claimed, hold: Hold) {
        let inner = Arc::clone(self);
        self.kit.tasks.spawn(async move {
            inner.send(row).await;
            drop(hold);
        });
    }

    /// Looks at, or changes, the breaker of one target.
    pub(crate) fn breaker<T>(&self, target: &str, act: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        match breakers.get_mut(target) {
            Some(breaker) => act(breaker),
            None => act(breakers.entry(target.to_owned()).or_default()),
        }
    }

    /// How many rows of each target may be claimed now.
    pub(crate) fn allowances(&self) -> Vec<(String, u32)> {
        let now = Instant::now();
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        breakers
            .iter_mut()
            .map(|(target, breaker)| (target.clone(), breaker.allowance(now)))
            .collect()
    }

    /// The places for requests of one target that are being opened.
    pub(crate) fn opening(&self, topic: &'static Topic, target: &str) -> Arc<Semaphore> {
        let mut opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let places = opening
            .entry((topic.name, target.to_owned()))
            .or_insert_with(|| Arc::new(Semaphore::new(topic.opening)));
        Arc::clone(places)
    }
}

pub(crate) fn reason_json(reason: Reason) -> Json<serde_json::Value> {
    Json(json!({ "code": reason.code, "message": reason.message }))
}

pub(crate) fn guarantee_word(guarantee: Guarantee) -> &'static str {
    match guarantee {
        Guarantee::AtMostOnce => "at_most_once",
        Guarantee::AtLeastOnce { .. } => "at_least_once",
    }
}
