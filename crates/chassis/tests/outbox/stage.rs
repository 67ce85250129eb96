//! The stage of the outbox's tests: processes with a runtime of their own, which die like processes; an owner that
//! writes down what it was told; the n8n stand-in.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgConnection, PgPool};
use switchhook_chassis::clock::SystemClock;
use switchhook_chassis::config::{CommonSettings, SettingsBlock, Source};
use switchhook_chassis::http::auth::Authenticator;
use switchhook_chassis::kit::Kit;
use switchhook_chassis::lifecycle::Tasks;
use switchhook_chassis::outbound::Outbound;
use switchhook_chassis::outbox::{
    After, Delivery, Guarantee, Listener, NewDelivery, Outbox, Outcome, Owed, Owner, Reason, Topic,
};
use switchhook_chassis::replicas::{Pace, Replica};
use switchhook_chassis::service::Service;
use switchhook_chassis::wake::Wake;
use switchhook_core::trace::TraceContext;
use switchhook_standins::N8n;
use url::Url;
use uuid::Uuid;

pub(crate) const SERVICE: Service = Service {
    name: "outbox-test",
    env_prefix: "OUTBOX_TEST",
    schema: "outbox_test",
    port: 1,
    path_prefix: "outbox-test",
    title: "Outbox test",
    retention_days: 365,
    version: "0",
};

pub(crate) const ONCE: &Topic = &TOPICS[0];
pub(crate) const REPEATED: &Topic = &TOPICS[1];
/// Repeated while nobody can have it twice at a time: after a broken connection, not after a time-out.
pub(crate) const AGAIN: &Topic = &TOPICS[2];
pub(crate) const TOPICS: &[Topic] = &[
    Topic {
        name: "once",
        guarantee: Guarantee::AtMostOnce,
        give_up_after: Duration::from_secs(3600),
        answer_limit: None,
        opening: 50,
        in_flight: 10_000,
    },
    Topic {
        name: "repeated",
        guarantee: Guarantee::AtLeastOnce { always: true },
        give_up_after: Duration::from_secs(3600),
        answer_limit: Some(Duration::from_secs(5)),
        opening: 50,
        in_flight: 10_000,
    },
    Topic {
        name: "again",
        guarantee: Guarantee::AtLeastOnce { always: false },
        give_up_after: Duration::from_secs(3600),
        answer_limit: Some(Duration::from_secs(2)),
        opening: 50,
        in_flight: 10_000,
    },
];

/// Longest a test waits for a condition.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until the condition gives something.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE * 2, "it never came about: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Knows targets by name and writes down every outcome.
pub(crate) struct Ledger {
    pub(crate) targets: Arc<Mutex<HashMap<String, Url>>>,
    pub(crate) unwanted: Arc<Mutex<HashSet<String>>>,
    pub(crate) seen: Seen,
}

/// What the owner saw beside its transactions, in order: pieces of answers, the ends of tries, what was committed.
pub(crate) type Seen = Arc<Mutex<Vec<String>>>;

struct Ear {
    key: String,
    seen: Seen,
}

impl Listener for Ear {
    fn chunk(&mut self, bytes: &[u8]) {
        let heard = format!("{} {}", self.key, String::from_utf8_lossy(bytes));
        self.seen.lock().unwrap().push(heard);
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.seen.lock().unwrap().push(format!("{} over", self.key));
    }
}

#[async_trait]
impl Owner for Ledger {
    fn url(&self, target: &str) -> Result<Url, Reason> {
        let known = self.targets.lock().unwrap().get(target).cloned();
        known.ok_or_else(|| Reason::new("unknown_target", "no such target"))
    }

    async fn settle(
        &self,
        conn: &mut PgConnection,
        delivery: &Delivery,
        outcome: &Outcome,
    ) -> Result<After, sqlx::Error> {
        let (word, detail) = match outcome {
            Outcome::Answered(body) => ("answered", String::from_utf8_lossy(body).into_owned()),
            Outcome::Refused(reason) => ("refused", reason.code.clone()),
            Outcome::Failed(reason) => ("failed", reason.code.clone()),
            Outcome::GivenUp(reason) => ("given_up", reason.code.clone()),
            Outcome::Unknown(reason) => ("unknown", reason.code.clone()),
        };
        sqlx::query(
            "INSERT INTO outbox_test.things (key, outcome, detail, waited_s) VALUES ($1, $2, $3, $4)",
        )
        .bind(&delivery.key)
        .bind(word)
        .bind(detail)
        .bind(delivery.waited.map(|waited| waited.as_secs_f64()))
        .execute(conn)
        .await?;
        let (seen, told) = (Arc::clone(&self.seen), format!("{} {word}", delivery.key));
        Ok(Some(Box::new(move || seen.lock().unwrap().push(told))))
    }

    fn listener(&self, delivery: &Delivery) -> Option<Box<dyn Listener>> {
        let key = delivery.key.clone();
        let seen = Arc::clone(&self.seen);
        key.starts_with("heard").then(|| Box::new(Ear { key, seen }) as _)
    }

    async fn still_wanted(&self, _: &mut PgConnection, delivery: &Delivery) -> Result<bool, sqlx::Error> {
        Ok(!self.unwanted.lock().unwrap().contains(&delivery.key))
    }

    async fn touched(&self, conn: &mut PgConnection, keys: &[String]) -> Result<Vec<String>, sqlx::Error> {
        sqlx::query(
            "INSERT INTO outbox_test.watchers SELECT unnest($1::text[]), 1 \
             ON CONFLICT (key) DO UPDATE SET revision = outbox_test.watchers.revision + 1",
        )
        .bind(keys)
        .execute(conn)
        .await?;
        Ok(keys.to_vec())
    }
}

/// A process: a runtime, a kit, an outbox.
pub(crate) struct Process {
    runtime: Option<tokio::runtime::Runtime>,
    pub(crate) outbox: Outbox,
    pub(crate) kit: Kit,
}

impl Process {
    /// Dies at once, in the middle of whatever it does; it is dead when this returns.
    pub(crate) fn kill(mut self) {
        let runtime = self.runtime.take().unwrap();
        // A runtime cannot be waited for on a thread of another.
        let dying = std::thread::spawn(move || runtime.shutdown_timeout(PATIENCE));
        dying.join().unwrap();
    }

    /// Owes and sends in a transaction of its own, as a handler does.
    pub(crate) async fn owe(&self, topic: &'static Topic, key: &str, target: &str) -> Uuid {
        let (outbox, pool) = (self.outbox.clone(), self.kit.pool.clone());
        let new = delivery(key, target);
        let work = async move {
            let mut tx = pool.begin().await.unwrap();
            let owed: Owed = outbox.owe(&mut tx, topic, new).await.unwrap();
            let id = owed.id();
            tx.commit().await.unwrap();
            outbox.send_now(owed);
            id
        };
        self.kit.tasks.run(work).await.unwrap()
    }

    /// Ends as a service does: no more new work, what is in flight gets its time.
    pub(crate) async fn stop(self) {
        self.kit.tasks.stopping().cancel();
        assert!(self.kit.tasks.finish(PATIENCE).await, "work was left");
        self.kill();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) fn delivery(key: &str, target: &str) -> NewDelivery {
    NewDelivery {
        key: key.to_owned(),
        target: target.to_owned(),
        body: format!("{{\"key\":\"{key}\"}}").into_bytes(),
        trace: TraceContext::from_seed(Uuid::from_u128(42)),
    }
}

/// A database, an n8n, and the processes that come and go.
pub(crate) struct Stage {
    pub(crate) pool: PgPool,
    pub(crate) n8n: N8n,
    targets: Arc<Mutex<HashMap<String, Url>>>,
    pub(crate) unwanted: Arc<Mutex<HashSet<String>>>,
    pub(crate) seen: Seen,
}

impl Stage {
    pub(crate) async fn set(pool: PgPool) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let n8n = N8n::start(switchhook_standins::Options::default()).unwrap();
        let stage = Self {
            pool,
            n8n,
            targets: Arc::default(),
            unwanted: Arc::default(),
            seen: Arc::default(),
        };
        stage.target("n8n", &stage.n8n.webhook_url("ai-session"));
        stage
    }

    pub(crate) fn target(&self, name: &str, url: &str) {
        self.targets
            .lock()
            .unwrap()
            .insert(name.to_owned(), url.parse().unwrap());
    }

    /// Starts a process and waits until it may claim rows.
    pub(crate) async fn process(&self) -> Process {
        self.process_with(&[]).await
    }

    pub(crate) async fn process_with(&self, settings: &[(&str, &str)]) -> Process {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let options = (*self.pool.connect_options()).clone();
        let pairs = [
            ("DATABASE_URL", "postgres://unused"),
            ("WEBHOOK_AUTH", "off"),
            ("JWT_SECRET", "0123456789abcdef"),
        ];
        let pairs = pairs
            .iter()
            .chain(settings)
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let source = Source::from_variables(&SERVICE, CommonSettings::SPECS, pairs).unwrap();
        let settings = CommonSettings::read(&source).unwrap();
        let owner = Arc::new(Ledger {
            targets: Arc::clone(&self.targets),
            unwanted: Arc::clone(&self.unwanted),
            seen: Arc::clone(&self.seen),
        });
        let built = runtime.spawn(async move {
            let pool = PgPoolOptions::new()
                .max_connections(5)
                .connect_lazy_with(options.clone());
            let pace = Pace {
                beat: Duration::from_millis(50),
                ..Pace::default()
            };
            let replica = Replica::new(&SERVICE, &pool, None, pace);
            let kit = Kit {
                service: &SERVICE,
                port: SERVICE.port,
                clock: Arc::new(SystemClock),
                wake: Wake::new(&SERVICE, pool.clone(), options, replica.id()),
                outbound: Outbound::new(&settings, &SERVICE).unwrap(),
                auth: Arc::new(Authenticator::new(&settings).unwrap()),
                tasks: Tasks::on_current_runtime(),
                settings: Arc::new(settings),
                pool,
                replica,
            };
            let outbox = Outbox::new(&kit, TOPICS, owner);
            kit.replica.start(&kit.tasks);
            outbox.start();
            (kit, outbox)
        });
        let (kit, outbox) = built.await.unwrap();
        eventually("the process is current", || async {
            kit.replica.is_current().then_some(())
        })
        .await;
        Process {
            runtime: Some(runtime),
            outbox,
            kit,
        }
    }

    /// The state of a row.
    pub(crate) async fn state(&self, id: Uuid) -> String {
        sqlx::query_scalar("SELECT state FROM outbox_test.outbox WHERE id = $1")
            .bind(id)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    pub(crate) async fn until_state(&self, id: Uuid, state: &str) {
        let there = async || (self.state(id).await == state).then_some(());
        if tokio::time::timeout(PATIENCE, eventually("its state", there))
            .await
            .is_err()
        {
            let row: serde_json::Value =
                sqlx::query_scalar("SELECT to_jsonb(o) FROM outbox_test.outbox o WHERE id = $1")
                    .bind(id)
                    .fetch_one(&self.pool)
                    .await
                    .unwrap();
            panic!("delivery is not {state}: {row:#}\nn8n got {:?}", self.n8n.log());
        }
    }

    /// What the owner was told, in order.
    pub(crate) async fn told(&self, key: &str) -> Vec<(String, String)> {
        sqlx::query_as("SELECT outcome, detail FROM outbox_test.things WHERE key = $1 ORDER BY at")
            .bind(key)
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }

    pub(crate) async fn execute(&self, sql: &'static str) {
        sqlx::query(sql).execute(&self.pool).await.unwrap();
    }

    /// Lets ten seconds pass on the database's clock for every replica that does not renew.
    pub(crate) async fn age_replicas(&self) {
        self.execute("UPDATE outbox_test.replicas SET beat_at = beat_at - interval '11 seconds'")
            .await;
    }

    /// The keys of the requests that n8n got, in order.
    pub(crate) fn got(&self) -> Vec<String> {
        let entries = self.n8n.log();
        entries
            .iter()
            .filter_map(|e| Some(e.body()?.get("key")?.as_str()?.to_owned()))
            .collect()
    }

    /// How often n8n got a request with this key.
    pub(crate) fn times(&self, key: &str) -> usize {
        self.got().iter().filter(|got| *got == key).count()
    }
}
