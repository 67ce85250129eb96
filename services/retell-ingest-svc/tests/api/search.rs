//! Searching transcripts and summaries, and filtering by sentiment: at once, and after calls were digested.

use serde_json::{Value, json};
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use switchhook_chassis::testing::{eventually, failed, json_of};

use crate::world::{ADA, BOB, OTHER_AGENT, SOON, World, event, event_of, ms};

/// Nothing is digested as long as it lives: it is the one that digests.
pub(crate) struct Undigested(PoolConnection<Postgres>);

const DIGESTER: i64 = 0x7265_7465_6c6e;

impl Undigested {
    pub(crate) async fn begin(pool: &PgPool) -> Self {
        let mut connection = pool.acquire().await.unwrap();
        let place = sqlx::query("SELECT pg_advisory_lock($1)").bind(DIGESTER);
        place.execute(&mut *connection).await.unwrap();
        Self(connection)
    }

    /// Lets the digests be made, and waits for them.
    pub(crate) async fn end(mut self, world: &World) {
        let place = sqlx::query("SELECT pg_advisory_unlock($1)").bind(DIGESTER);
        place.execute(&mut *self.0).await.unwrap();
        digested(world).await;
    }
}

/// Waits until all calls are digested.
pub(crate) async fn digested(world: &World) {
    eventually(
        || async { (world.count("undigested").await == 0).then_some(()) },
        SOON,
    )
    .await;
}

async fn found(world: &World, user: &str, query: &str) -> Vec<String> {
    let list = json_of(
        world.app.get(user, &format!("/api/retell/calls?{query}")).await,
        200,
    )
    .await;
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|call| call["callId"].as_str().unwrap().to_owned())
        .collect()
}

async fn say(world: &World, call: &str, transcript: &str, summary: &str, sentiment: Value) {
    let said = json!({"start_timestamp": ms(-600), "transcript": transcript,
        "call_analysis": {"call_summary": summary, "user_sentiment": sentiment}});
    world.forward(event("call_analyzed", call, said), 200).await;
}

async fn assert_found(world: &World, searches: &[(&str, &[&str])]) {
    for (query, expected) in searches {
        assert_eq!(found(world, ADA, query).await, *expected, "{query}");
    }
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn what_was_said_is_found_at_once_and_after_it_was_digested(pool: PgPool) {
    let world = World::connected(&pool).await;
    let held_back = Undigested::begin(&pool).await;
    say(
        &world,
        "c1",
        "Agent: Hello Müller!\nUser: It's about my appointment.",
        "Asked for a date.",
        json!("Positive"),
    )
    .await;
    say(
        &world,
        "c2",
        "User: 预约明天",
        "Asked for tomorrow; call +1 (415) 555-0100.",
        json!("Negative"),
    )
    .await;
    say(&world, "c3", "User: nothing", "A wrong number.", Value::Null).await;
    let other =
        json!({"transcript": "hello müller appointment", "call_analysis": {"user_sentiment": "Positive"}});
    world
        .forward(event_of(OTHER_AGENT, "call_ended", "b1", other), 200)
        .await;
    let searches: &[(&str, &[&str])] = &[
        ("q=appoint", &["c1"]),
        ("q=APPOINTMENT+m%C3%BCll", &["c1"]),
        ("q=asked", &["c2", "c1"]),
        ("q=asked+date", &["c1"]),
        ("q=it%27s", &["c1"]),
        ("q=415-555-0100", &["c2"]),
        ("q=%E9%A2%84%E7%BA%A6", &["c2"]),
        ("q=ask", &["c2", "c1"]),
        ("q=as", &[]),
        ("q=a", &["c3", "c1"]),
        ("q=pointment", &[]),
        ("q=asked+nothing", &[]),
        ("q=wrong&sentiment=unknown", &["c3"]),
        ("q=asked&sentiment=Negative", &["c2"]),
        ("sentiment=POSITIVE", &["c1"]),
        ("sentiment=Neutral", &[]),
        ("sentiment=Unknown", &["c3"]),
        ("q=asked&limit=1", &["c2"]),
        ("q=asked&to=2020-01-01", &[]),
    ];
    assert_found(&world, searches).await;
    held_back.end(&world).await;
    assert_found(&world, searches).await;
    assert_eq!(found(&world, BOB, "q=appointment").await, ["b1"]);
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_call_that_changed_is_found_by_what_it_says_now(pool: PgPool) {
    let world = World::connected(&pool).await;
    let start = ms(-600);
    let early = json!({"start_timestamp": start, "transcript": "User: zebra"});
    world.forward(event("call_started", "c1", early), 200).await;
    digested(&world).await;
    assert_found(&world, &[("q=zebra", &["c1"])]).await;
    let held_back = Undigested::begin(&pool).await;
    let late = json!({"transcript": "User: giraffe", "call_analysis": {"user_sentiment": "Negative"}});
    world.forward(event("call_analyzed", "c1", late), 200).await;
    let now: &[(&str, &[&str])] = &[
        ("q=zebra", &[]),
        ("q=giraffe", &["c1"]),
        ("sentiment=negative", &["c1"]),
    ];
    assert_found(&world, now).await;
    held_back.end(&world).await;
    assert_found(&world, now).await;
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_search_is_walked_by_its_own_links(pool: PgPool) {
    let world = World::connected(&pool).await;
    for nth in 0..7 {
        let word = if nth % 2 == 0 { "even" } else { "odd" };
        say(
            &world,
            &format!("c{nth}"),
            &format!("User: {word}"),
            "All.",
            json!("Neutral"),
        )
        .await;
        if nth == 3 {
            digested(&world).await;
        }
    }
    let mut seen = Vec::new();
    let mut url = world
        .app
        .url("/api/retell/calls?q=even&sentiment=neutral&limit=3");
    loop {
        let asked = world
            .app
            .client()
            .get(&url)
            .bearer_auth(world.app.user(ADA))
            .send();
        let page = json_of(asked.await.unwrap(), 200).await;
        let items = page["items"].as_array().unwrap().iter();
        seen.extend(items.map(|call| call["callId"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        url = next.to_owned();
    }
    assert_eq!(seen, ["c6", "c4", "c2", "c0"]);
}

/// Further back than a search looks call by call.
#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn what_is_rare_and_old_is_found_by_the_index(pool: PgPool) {
    let world = World::connected(&pool).await;
    let mut connection = pool.acquire().await.unwrap();
    let fill = include_str!("../../../../tests/data/retell/fill.sql");
    sqlx::raw_sql(fill).execute(&mut *connection).await.unwrap();
    for client in [ADA, BOB] {
        let fill = sqlx::query("SELECT pg_temp.fill($1, 6000)").bind(client);
        fill.execute(&mut *connection).await.unwrap();
    }
    assert_eq!(found(&world, ADA, "q=ref5900").await.len(), 1);
    assert_eq!(found(&world, ADA, "q=zebra").await.len(), 1);
    assert_eq!(found(&world, ADA, "q=voicemail&limit=200").await.len(), 6);
    let old = json_of(world.app.get(ADA, "/api/retell/calls?q=ref5900").await, 200).await;
    let id = old["items"][0]["callId"].as_str().unwrap().to_owned();
    // An old call that changes is found once, by what it says now.
    let held_back = Undigested::begin(&pool).await;
    let sql = "UPDATE retell.calls SET summary = 'now a giraffe' WHERE call_id = $1 RETURNING id";
    let call: i64 = sqlx::query_scalar(sql).bind(&id).fetch_one(&pool).await.unwrap();
    let queue = sqlx::query("INSERT INTO retell.undigested (call) VALUES ($1), ($1)").bind(call);
    queue.execute(&pool).await.unwrap();
    assert_eq!(found(&world, ADA, "q=giraffe").await, [id.as_str()]);
    assert_eq!(found(&world, ADA, "q=ref5900").await, Vec::<String>::new());
    held_back.end(&world).await;
    assert_eq!(found(&world, ADA, "q=giraffe").await, [id.as_str()]);
    assert_eq!(found(&world, ADA, "q=ref5900").await, Vec::<String>::new());
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn what_is_no_search_is_refused(pool: PgPool) {
    let world = World::connected(&pool).await;
    let long = "a".repeat(201);
    for (query, field) in [
        ("q=", "q"),
        ("q=%3F%21", "q"),
        ("q=a%00b", "q"),
        (&format!("q={long}"), "q"),
        ("q=a+b+c+d+e+f+g+h+i+j+k", "q"),
        ("sentiment=angry", "sentiment"),
        ("sentiment=", "sentiment"),
    ] {
        let body = failed(
            world.app.get(ADA, &format!("/api/retell/calls?{query}")).await,
            400,
            "invalid_field",
        )
        .await;
        assert!(body["fields"][field].is_string(), "{query}: {body}");
    }
    for harmless in ["%27%3A%2A+%26+x", "a%5C%27b", "%40bob", "%23positive+x"] {
        found(&world, ADA, &format!("q={harmless}")).await;
    }
}
