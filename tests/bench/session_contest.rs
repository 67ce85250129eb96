//! Sessions next to Node: starts a second; claims a second on one session, which all want at once, and on a thousand. Claims
//! also next to the bare UPDATE of one row.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use e2e::people::token_with;
use serde_json::Value;

use crate::contest::{Contest, Side};
use crate::figures::heading;
use crate::load::{Make, post};
use crate::peers::Peer;
use crate::pgbench::Pgbench;
use crate::stage::{self, Stage};

const SESSION: &str = "session-svc";
const NODE: &str = "Node, express and pg";
const CONNECTIONS: usize = 32;
const SESSIONS: usize = 1_000;
/// Sessions of both sides, with a limit that no round reaches.
const SEED: &str = "INSERT INTO session.ai_sessions (id, user_id, status, daily_call_limit, started_at, heard, delivery_state) \
    SELECT md5('claims' || n)::uuid, 'claims-' || n, 'active', 1000000, now(), true, 'delivered' \
    FROM generate_series(1, 1000) AS numbers (n); \
    INSERT INTO peer_sessions (id, user_id, status, daily_call_limit) \
    SELECT id, user_id, 'active', daily_call_limit FROM session.ai_sessions";
/// The sessions that have calls left.
pub(crate) const ACTIVE: &str =
    "SELECT id::text FROM session.ai_sessions WHERE status = 'active' ORDER BY user_id";

pub(crate) async fn run() -> Result<()> {
    let stage = Stage::start(SESSION, stage::of(&[SESSION])).await?;
    stage.n8n_answers(None);
    let node = start_peer(&stage).await?;
    stage.fill(SEED).await?;
    let sessions = Arc::new(stage.texts(ACTIVE).await?);
    starts(&stage, &node).await?;
    claims(&stage, &node, &sessions, 1).await?;
    claims(&stage, &node, &sessions, SESSIONS).await?;
    drop(node);
    stage.stack.stop().await
}

/// The Node server, on the stack's database and n8n.
pub(crate) async fn start_peer(stage: &Stage) -> Result<Peer> {
    let keys = stage.stack.keys();
    let n8n = stage.stack.n8n().webhook_url("ai-session");
    let variables: [(&str, &str); 5] = [
        ("DATABASE_URL", stage.stack.database_url()),
        ("N8N_WEBHOOK_URL", &n8n),
        ("N8N_OUTBOUND_SECRET", &keys.n8n_secret),
        ("JWT_SECRET", keys.jwt_secret.as_deref().unwrap_or_default()),
        ("WEBHOOK_SECRET", &keys.webhook_secret),
    ];
    Peer::node("session", &variables).await
}

/// Starts, each of another user.
pub(crate) fn start(stage: &Stage, host: &str) -> Make {
    let keys = stage.stack.keys().clone();
    let (host, next) = (host.to_owned(), AtomicUsize::new(0));
    Arc::new(move |_, _| {
        let user = format!("{host}-{}", next.fetch_add(1, Ordering::Relaxed));
        let headers = format!(
            "authorization: Bearer {}\r\n",
            token_with(&keys, &user, &Value::Null)
        );
        post(
            &host,
            "/api/ai-session/start",
            &headers,
            r#"{"dailyCallLimit":100}"#,
        )
    })
}

/// Claims of new calls, spread over the sessions.
pub(crate) fn claim(stage: &Stage, host: &str, sessions: &Arc<Vec<String>>, count: usize) -> Make {
    let (host, sessions, machine) = (host.to_owned(), Arc::clone(sessions), stage.machine());
    let next = AtomicUsize::new(0);
    Arc::new(move |_, _| {
        let nth = next.fetch_add(1, Ordering::Relaxed);
        // Far apart, so that neighbours in time are no neighbours on a page.
        let session = &sessions[nth * 617 % count.min(sessions.len())];
        let path = format!("/api/ai-session/{session}/calls");
        post(&host, &path, &machine, format!(r#"{{"callId":"call-{nth}"}}"#))
    })
}

async fn starts(stage: &Stage, node: &Peer) -> Result<()> {
    heading("Starts of sessions: stored, answered, and told to n8n");
    let contest = Contest {
        work: "starts",
        connections: CONNECTIONS,
        postmaster: stage.postmaster,
    };
    let ours = Side::http(SESSION, stage.host(), stage.pid, start(stage, stage.host()));
    let theirs = Side::http(NODE, &node.host, node.pid()?, start(stage, &node.host));
    let sides = [ours, theirs];
    let outcome = contest.run(&sides).await?;
    outcome.tell();
    outcome.tell_cost(SESSION);
    contest.half_load(&sides[0], &sides[1], &outcome).await
}

async fn claims(stage: &Stage, node: &Peer, sessions: &Arc<Vec<String>>, count: usize) -> Result<()> {
    let work = match count {
        1 => "claims on one session".to_owned(),
        count => format!("claims on {count} sessions"),
    };
    heading(&format!("Claims of calls: {work}"));
    let contest = Contest {
        work: &work,
        connections: CONNECTIONS,
        postmaster: stage.postmaster,
    };
    let update = format!(
        "\\set n random(1, {count})\nUPDATE peer_sessions SET calls_made = calls_made + 1 \
         WHERE id = md5('claims' || :n)::uuid AND status = 'active' AND calls_made < daily_call_limit RETURNING calls_made;\n"
    );
    let sides = [
        Side::http(
            SESSION,
            stage.host(),
            stage.pid,
            claim(stage, stage.host(), sessions, count),
        ),
        Side::http(
            NODE,
            &node.host,
            node.pid()?,
            claim(stage, &node.host, sessions, count),
        ),
        Side::pgbench(
            "pgbench, UPDATE of one row",
            Pgbench::new(stage.stack.database_url(), &update)?,
        ),
    ];
    let outcome = contest.run(&sides).await?;
    outcome.tell();
    outcome.tell_cost(SESSION);
    contest.half_load(&sides[0], &sides[1], &outcome).await
}
