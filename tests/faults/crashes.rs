//! Every service is killed again and again under load: nothing that was acknowledged is lost, nothing is there twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use devstack::Stack;
use e2e::people::client;
use e2e::visitors::{Came, Visitor};
use e2e::waiting::eventually;
use futures_util::future::join_all;
use rand::Rng;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use switchhook_standins::n8n::{AGENT_RESPOND_PATH, CALLBACK_PATH, CHAT_PATH};

use crate::houses::{Desk, HOUSES, House, Means, judge, nobody_is_dialled_twice, stored, street};
use crate::load::ask;
use crate::{ALONE, say};

/// Of each service.
const KILLS: usize = 50;
/// Between two kills of a service, at most.
const LIVES_MS: u64 = 600;
/// Whoever is killed at every dial never learns that one succeeded: what a kill interrupts waits for 15 s.
const LIVES_OF_DISPATCH_MS: u64 = 4_000;
/// The storm takes no longer, however slow the machine is.
const STORM_AT_MOST: Duration = Duration::from_secs(240);
const WRITERS: usize = 2;
/// Least that each service must have acknowledged, and visitors written: else the kills prove nothing.
const PROVES_AT_LEAST: usize = 20;
/// Whoever dials waits for seconds after a kill until it is known what became of his dial: there are more of them,
/// but not so many that two processors are busy with nothing but their repairs.
const CALLERS: usize = 24;
const VISITORS: usize = 12;
const DEADLINE: Duration = Duration::from_secs(120);
const AGAIN_AFTER: Duration = Duration::from_millis(50);
const WRITES_EVERY: Duration = Duration::from_millis(250);
/// The bot answers one message of a chat after the other: whoever writes faster waits for minutes afterwards.
const UNANSWERED: usize = 20;
/// Of a writer, between two writes: what the stand-ins remember is bounded.
const PAUSE: Duration = Duration::from_millis(60);

fn drawn(up_to: u64) -> Duration {
    Duration::from_millis(rand::rng().random_range(0..up_to))
}

/// Kills one service at random moments, and says when its storm is over; gives how often.
async fn kill(stack: &Stack, house: House, over: &AtomicBool) -> usize {
    let begun = Instant::now();
    let lives_ms = match house {
        House::Dispatch => LIVES_OF_DISPATCH_MS,
        House::Session | House::Chat | House::Retell | House::Tasks => LIVES_MS,
    };
    let mut kills = 0;
    while kills < KILLS && begun.elapsed() < STORM_AT_MOST {
        tokio::time::sleep(drawn(lives_ms)).await;
        stack.kill9(house.name(), 0).await;
        kills += 1;
        stack.restart(house.name(), 0).await.unwrap();
    }
    over.store(true, Ordering::SeqCst);
    kills
}

/// What writers were told, by the number of the write.
type Ends = Vec<(usize, Means)>;

/// Writes one thing after the other, each until it is told what became of it, as long as the storm lasts. In the storm itself
/// a write may be interrupted again and again; afterwards everybody is told in time.
async fn write_on(desk: &Desk, house: House, next: &AtomicUsize, over: &AtomicBool) -> Ends {
    let mut ends = Vec::new();
    let mut over_since = None;
    while !over.load(Ordering::SeqCst) {
        let nth = next.fetch_add(1, Ordering::SeqCst);
        let means = loop {
            let told = ask(desk, house, Some(nth)).await;
            assert!(told.means != Means::Wrong, "{told:?}");
            if told.means != Means::Again {
                break told.means;
            }
            if over.load(Ordering::SeqCst) {
                let since: Instant = *over_since.get_or_insert_with(Instant::now);
                assert!(
                    since.elapsed() < DEADLINE,
                    "{house:?}: write {nth} was told nothing: {told:?}"
                );
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        };
        ends.push((nth, means));
        tokio::time::sleep(PAUSE).await;
    }
    ends
}

/// A visitor who writes and comes back, until nobody writes any more and he has an answer to everything.
async fn visit(mut visitor: Visitor, replica: String, over: Arc<AtomicBool>) -> Visitor {
    let mut next_at = Instant::now();
    let mut over_since = None;
    loop {
        let writing = !over.load(Ordering::SeqCst);
        if !writing {
            let since: Instant = *over_since.get_or_insert_with(Instant::now);
            assert!(
                since.elapsed() < DEADLINE,
                "{} waits for an answer: {:?}",
                visitor.name,
                visitor.errors
            );
            if visitor.is_all_acked() && visitor.texts.len() >= visitor.acked.len() {
                return visitor;
            }
        }
        if !visitor.is_connected() && visitor.connect(&replica).await.is_err() {
            tokio::time::sleep(AGAIN_AFTER).await;
            continue;
        }
        let unanswered = visitor.acked.len().saturating_sub(visitor.texts.len());
        if writing && unanswered < UNANSWERED && next_at <= Instant::now() {
            let text = format!("{} writes {}", visitor.name, visitor.acked.len());
            visitor.say(&text).await;
            next_at = Instant::now() + WRITES_EVERY;
        }
        let came = tokio::time::timeout(WRITES_EVERY, visitor.read()).await;
        if let Ok(Came::Ended(_)) = came {
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_of_each_service_lose_nothing_and_double_nothing() {
    let _alone = ALONE.lock().await;
    let stack = Arc::new(street().start().await.unwrap());
    let desk = Desk::open(&stack).await;
    let over = HOUSES.map(|house| (house, Arc::new(AtomicBool::new(false))));
    let over: BTreeMap<House, Arc<AtomicBool>> = over.into();
    let sockets = stack.replica(House::Chat.name(), 0).ws_url().unwrap();
    let replica = sockets
        .trim_start_matches("ws://")
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    let visits = (0..VISITORS).map(|nth| {
        let visitor = Visitor::new(format!("v{nth}"));
        tokio::spawn(visit(visitor, replica.clone(), Arc::clone(&over[&House::Chat])))
    });
    let visits: Vec<_> = visits.collect();
    let numbers: BTreeMap<House, AtomicUsize> = HOUSES.map(|house| (house, AtomicUsize::new(0))).into();
    let writers = HOUSES.into_iter().flat_map(|house| {
        let count = if house == House::Dispatch {
            CALLERS
        } else {
            WRITERS
        };
        std::iter::repeat_n(house, count)
    });
    let writing = join_all(writers.map(|house| {
        let (desk, next, over) = (&desk, &numbers[&house], &over[&house]);
        async move { (house, write_on(desk, house, next, over).await) }
    }));
    let killing = join_all(HOUSES.map(|house| kill(&stack, house, &over[&house])));
    let (written, kills) = tokio::join!(writing, killing);
    let mut ends: BTreeMap<House, Ends> = BTreeMap::new();
    for (house, of_writer) in written {
        ends.entry(house).or_default().extend(of_writer);
    }
    for (house, kills) in HOUSES.into_iter().zip(&kills) {
        let done: Vec<usize> = ends[&house]
            .iter()
            .filter(|(_, means)| *means == Means::Done)
            .map(|(nth, _)| *nth)
            .collect();
        let stored = stored(stack.database_url(), house).await;
        say(&format!(
            "{}: {kills} kills, {} writes, {} acknowledged, {} stored",
            house.name(),
            ends[&house].len(),
            done.len(),
            stored.len()
        ));
        assert!(
            *kills >= KILLS / 2,
            "only {kills} kills of {house:?} in {STORM_AT_MOST:?}"
        );
        assert!(
            done.len() >= PROVES_AT_LEAST,
            "{house:?}: {} acknowledged writes prove nothing",
            done.len()
        );
        judge(house, &done, &stored).unwrap();
    }
    let mut visitors = Vec::new();
    for visit in visits {
        visitors.push(visit.await.unwrap());
    }
    say(&format!(
        "LiveKit: {} numbers, none twice",
        nobody_is_dialled_twice(&stack)
    ));
    every_start_was_sent_once(&stack).await;
    every_task_is_answered_once(&stack).await;
    every_chat_is_whole(&stack, &visitors).await;
    Arc::into_inner(stack).unwrap().stop().await.unwrap();
}

/// n8n got no start twice, and every one that counts as delivered.
async fn every_start_was_sent_once(stack: &Stack) {
    let mut conn = PgConnection::connect(stack.database_url()).await.unwrap();
    eventually("every start has its verdict", DEADLINE, || async {
        let mut conn = PgConnection::connect(stack.database_url()).await.ok()?;
        let open = "SELECT count(*) FROM session.ai_sessions WHERE delivery_state IN ('pending', 'waiting')";
        let open: i64 = sqlx::query_scalar(open).fetch_one(&mut conn).await.ok()?;
        (open == 0).then_some(())
    })
    .await;
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT id::text, delivery_state FROM session.ai_sessions")
            .fetch_all(&mut conn)
            .await
            .unwrap();
    let mut got: BTreeMap<String, usize> = BTreeMap::new();
    for entry in stack.n8n().log_of(CALLBACK_PATH) {
        let id = entry.body().unwrap()["sessionId"].as_str().unwrap().to_owned();
        *got.entry(id).or_default() += 1;
    }
    let mut unknown = 0;
    for (id, state) in &rows {
        let times = got.get(id).copied().unwrap_or_default();
        match state.as_str() {
            "delivered" => assert_eq!(times, 1, "the start of {id} is delivered"),
            "unknown" => {
                unknown += 1;
                assert!(times <= 1, "the start of {id} was sent {times} times");
            }
            other => panic!("the start of {id} is {other}"),
        }
    }
    say(&format!(
        "n8n: {} starts, none twice, {unknown} unknown",
        got.len()
    ));
}

/// Every message to an agent arrived, and has one answer, however often it was sent.
async fn every_task_is_answered_once(stack: &Stack) {
    let (messages, answers) = eventually("every task is answered", DEADLINE, || async {
        let mut conn = PgConnection::connect(stack.database_url()).await.ok()?;
        let sql = "SELECT count(*), count(*) FILTER (WHERE state = 'answered') FROM task_chat.tasks";
        let (all, answered): (i64, i64) = sqlx::query_as(sql).fetch_one(&mut conn).await.ok()?;
        let sql = "SELECT (SELECT count(*) FROM task_chat.messages), (SELECT count(*) FROM task_chat.communications)";
        let counts: (i64, i64) = sqlx::query_as(sql).fetch_one(&mut conn).await.ok()?;
        (all == answered).then_some(counts)
    })
    .await;
    let asked = stack.n8n().log_of(AGENT_RESPOND_PATH);
    let distinct: BTreeSet<String> = asked
        .iter()
        .map(|entry| entry.body().unwrap()["messageId"].as_str().unwrap().to_owned())
        .collect();
    say(&format!(
        "agents: {messages} messages, {} requests, {answers} answers",
        asked.len()
    ));
    assert_eq!(usize::try_from(messages).unwrap(), distinct.len());
    assert_eq!(messages, answers, "each message has one answer");
}

/// What each visitor saw is what is stored, in its order, each message once and each answered once.
async fn every_chat_is_whole(stack: &Stack, visitors: &[Visitor]) {
    let client = client();
    let (mut written, mut came) = (0, 0);
    for visitor in visitors {
        let transcript = transcript(stack, &client, &visitor.session).await;
        let ids: Vec<&str> = transcript
            .iter()
            .map(|item| item["messageId"].as_str().unwrap())
            .collect();
        assert_eq!(visitor.seen, ids, "{}", visitor.name);
        let from = |who: &str| transcript.iter().filter(|item| item["from"] == who).count();
        assert_eq!(from("user"), visitor.acked.len(), "{}", visitor.name);
        assert_eq!(
            from("bot"),
            visitor.acked.len(),
            "{}: {:?}",
            visitor.name,
            visitor.errors
        );
        written += visitor.acked.len();
        came += visitor.connected_at.len();
    }
    let asked: Vec<String> = stack
        .n8n()
        .log_of(CHAT_PATH)
        .iter()
        .map(|entry| entry.body().unwrap()["messageId"].as_str().unwrap().to_owned())
        .collect();
    let distinct: BTreeSet<&String> = asked.iter().collect();
    say(&format!(
        "chats: {VISITORS} visitors came {came} times, {written} messages, {} requests to the bot, {written} answers",
        asked.len()
    ));
    assert_eq!(distinct.len(), written);
    assert!(
        written >= PROVES_AT_LEAST,
        "{written} messages of visitors prove nothing"
    );
}

async fn transcript(stack: &Stack, client: &reqwest::Client, session: &str) -> Vec<Value> {
    let base = stack.url(House::Chat.name(), 0);
    let mut next = Some(format!("{base}/api/sessions/{session}/messages?limit=200"));
    let mut items = Vec::new();
    while let Some(url) = next {
        let request = client
            .get(url)
            .header("x-n8n-webhook-secret", &stack.keys().webhook_secret);
        let page: Value = request.send().await.unwrap().json().await.unwrap();
        items.extend(page["items"].as_array().unwrap().clone());
        next = page["next"].as_str().map(str::to_owned);
    }
    items
}
