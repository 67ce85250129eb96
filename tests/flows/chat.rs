//! Chats on two replicas while these are restarted one after the other, or one of them is killed: whatever was
//! acknowledged is at everybody who should have it, once and in order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use devstack::Stack;
use e2e::people::client;
use e2e::visitors::{Came, Visitor};
use e2e::waiting::eventually;
use futures_util::{StreamExt, stream};
use rand::Rng;
use rand::distr::uniform::SampleUniform;
use reqwest::Client;
use serde_json::{Value, json};
use switchhook_standins::n8n::CHAT_PATH;
use tokio::task::JoinSet;

use crate::HEAVY;

const CHAT: &str = "chat-ws-svc";
/// Visitors, where `CHAT_VISITORS` does not say it.
const VISITORS: usize = 2_000;
/// Time between two messages of a visitor, for each visitor that there is: whatever their number, they write as much.
const PAUSE_EACH_MS: std::ops::Range<u64> = 8..16;
/// How long a client waits before it comes back, at most.
const BACK_WITHIN_MS: u64 = 2_000;
const PATIENCE: Duration = Duration::from_secs(120);
/// Time over which each replica sees its visitors off is four fifths of this.
const SHUTDOWN: &str = "20s";
/// At most a tenth of the visitors is sent away a second. When they come back is their own matter: on a machine that other
/// tests keep busy, what was due in several seconds falls into one. The figures that are printed tell how it was.
const BUNCHING: usize = 3;
/// Chats that the test begins, ends and reads at a time.
const AT_ONCE: usize = 16;
/// A killed replica is judged dead ten seconds after its last beat.
const JUDGED_WITHIN: Duration = Duration::from_secs(40);

#[allow(
    clippy::disallowed_methods,
    reason = "the size of the test, not a setting of a service"
)]
fn visitors() -> usize {
    std::env::var("CHAT_VISITORS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(VISITORS)
}

async fn stack() -> Stack {
    Stack::builder()
        .services(&[CHAT])
        .replicas(CHAT, 2)
        .set("CONNECTIONS_PER_ADDRESS", "100000")
        .set("SEND_MESSAGE_RATE", "6000")
        .set("SHUTDOWN_TIMEOUT", SHUTDOWN)
        .set("RUST_LOG", "warn")
        .start()
        .await
        .unwrap()
}

/// A random number; the generator must not live across an `await`.
fn drawn<T: SampleUniform + PartialOrd>(range: std::ops::Range<T>) -> T {
    rand::rng().random_range(range)
}

/// The WebSocket of each replica, as `host:port`.
fn sockets(stack: &Stack) -> Vec<String> {
    let of = |nth| {
        let url = stack.replica(CHAT, nth).ws_url().unwrap().to_owned();
        url.trim_start_matches("ws://")
            .split('/')
            .next()
            .unwrap()
            .to_owned()
    };
    vec![of(0), of(1)]
}

/// n8n, and whoever else holds the secret.
#[derive(Clone)]
struct Machine {
    client: Client,
    urls: Vec<String>,
    secret: String,
}

impl Machine {
    fn of(stack: &Stack) -> Self {
        let urls = (0..2).map(|nth| stack.url(CHAT, nth).to_owned()).collect();
        Self {
            client: client(),
            urls,
            secret: stack.keys().webhook_secret.clone(),
        }
    }

    /// One try by one replica: status and body.
    async fn send(&self, replica: usize, session: &str, text: &str, key: &str) -> Option<(u16, Value)> {
        let body = json!({"sessionId": session, "text": text, "whenOffline": "store", "idempotencyKey": key});
        self.post(replica, &body).await
    }

    async fn post(&self, replica: usize, body: &Value) -> Option<(u16, Value)> {
        let url = format!("{}/api/send-message", self.urls[replica]);
        let request = self
            .client
            .post(url)
            .header("x-n8n-webhook-secret", &self.secret)
            .json(body);
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.json().await.ok()?))
    }

    /// Sends until it is acknowledged, by whichever replica is there. Gives the message's id.
    async fn sent(&self, session: &str, text: &str, key: &str) -> String {
        eventually("send-message is taken", PATIENCE, || async {
            let replica = drawn(0..2);
            let (status, body) = self.send(replica, session, text, key).await?;
            assert!(matches!(status, 200 | 202 | 409 | 429 | 503), "{status}: {body}");
            matches!(status, 200 | 202).then(|| body["messageId"].as_str().unwrap().to_owned())
        })
        .await
    }

    /// The whole transcript of a chat, page by page.
    async fn transcript(&self, session: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut next = Some(format!(
            "{}/api/sessions/{session}/messages?limit=200",
            self.urls[0]
        ));
        while let Some(url) = next {
            let request = self.client.get(url).header("x-n8n-webhook-secret", &self.secret);
            let page: Value = request
                .send()
                .await
                .unwrap()
                .error_for_status()
                .unwrap()
                .json()
                .await
                .unwrap();
            items.extend(page["items"].as_array().unwrap().clone());
            next = page["next"].as_str().map(str::to_owned);
        }
        items
    }
}

/// Writes now and then, and comes back whenever he is sent away, until nobody writes any more and he has it all.
async fn live(
    mut visitor: Visitor,
    replicas: Vec<String>,
    pause: std::ops::Range<u64>,
    over: Arc<AtomicBool>,
    complete: Arc<AtomicUsize>,
) -> Visitor {
    let mut at = drawn(0..replicas.len());
    let mut counted = false;
    let mut next_at = Instant::now() + Duration::from_millis(drawn(0..pause.end));
    loop {
        if !visitor.is_connected() {
            // Another one than the last time, first.
            at = (at + 1) % replicas.len();
            if visitor.connect(&replicas[at]).await.is_err() {
                tokio::time::sleep(Duration::from_millis(drawn(50..250))).await;
            }
            continue;
        }
        let writing = !over.load(Ordering::SeqCst);
        if !writing && visitor.is_all_acked() && visitor.texts.iter().any(|text| text == "the end") {
            return visitor;
        }
        if !writing && visitor.is_all_acked() && !counted {
            counted = true;
            complete.fetch_add(1, Ordering::SeqCst);
        }
        let rest = next_at
            .saturating_duration_since(Instant::now())
            .min(Duration::from_secs(1));
        let came = tokio::select! {
            came = visitor.read() => Some(came),
            () = tokio::time::sleep(rest) => None,
        };
        match came {
            Some(Came::Ended(code)) => {
                assert!(matches!(code, Some(1012) | None), "closed with {code:?}");
                let pause = drawn(0..BACK_WITHIN_MS);
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            Some(Came::Frame) => {}
            None if writing && next_at <= Instant::now() => {
                let text = format!("{} writes {}", visitor.name, visitor.acked.len());
                visitor.say(&text).await;
                next_at = Instant::now() + Duration::from_millis(drawn(pause.clone()));
            }
            None => {}
        }
    }
}

/// Sends to chats as operators do, until it is over. Gives the ids of what was acknowledged, by chat.
async fn operate(
    machine: Machine,
    chats: Vec<String>,
    over: Arc<AtomicBool>,
    name: usize,
) -> BTreeMap<String, Vec<String>> {
    let mut sent: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut nth = 0;
    while !over.load(Ordering::SeqCst) {
        let chat = chats[drawn(0..chats.len())].clone();
        let id = machine
            .sent(
                &chat,
                &format!("operator {name} says {nth}"),
                &format!("{name}-{nth}"),
            )
            .await;
        sent.entry(chat).or_default().push(id);
        nth += 1;
    }
    sent
}

/// The most that connected within any one second.
fn most_in_a_second(mut times: Vec<Instant>) -> usize {
    times.sort_unstable();
    let within = |first: &Instant| {
        let from = times.partition_point(|at| at < first);
        times.partition_point(|at| *at < *first + Duration::from_secs(1)) - from
    };
    times.iter().map(within).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout, reason = "the counts are what the test is for")]
async fn both_replicas_are_restarted_under_traffic_and_everybody_has_everything_once_and_in_order() {
    const OPERATORS: usize = 4;
    let _alone = HEAVY.lock().await;
    let stack = stack().await;
    let (machine, replicas, count) = (Machine::of(&stack), sockets(&stack), visitors());
    let coming = (0..count).map(|nth| {
        let replica = replicas[nth % 2].clone();
        async move {
            let mut visitor = Visitor::new(format!("v{nth}"));
            visitor.connect(&replica).await.unwrap();
            visitor
        }
    });
    let crowd: Vec<Visitor> = stream::iter(coming).buffered(AT_ONCE).collect().await;
    let chats: Vec<String> = crowd.iter().map(|visitor| visitor.session.clone()).collect();
    let (over, complete) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let pause = PAUSE_EACH_MS.start * count as u64..PAUSE_EACH_MS.end * count as u64;
    let mut living = JoinSet::new();
    for visitor in crowd {
        living.spawn(live(
            visitor,
            replicas.clone(),
            pause.clone(),
            Arc::clone(&over),
            Arc::clone(&complete),
        ));
    }
    let mut operating = JoinSet::new();
    for name in 0..OPERATORS {
        operating.spawn(operate(machine.clone(), chats.clone(), Arc::clone(&over), name));
    }
    let begun = Instant::now();
    for nth in 0..2 {
        stack.restart(CHAT, nth).await.unwrap();
        eventually("everybody is back", PATIENCE, || async {
            let mut back = 0;
            for url in &machine.urls {
                let health = machine.client.get(format!("{url}/health")).send().await.ok()?;
                let health: Value = health.json().await.ok()?;
                back += health["activeSessions"].as_u64()?;
            }
            (back >= count as u64).then_some(())
        })
        .await;
    }
    over.store(true, Ordering::SeqCst);
    let mut sent: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (chat, ids) in operating.join_all().await.into_iter().flatten() {
        sent.entry(chat).or_default().extend(ids);
    }
    eventually("everything is acked", PATIENCE, || async {
        (complete.load(Ordering::SeqCst) == count).then_some(())
    })
    .await;
    // The bot answers each message, and then comes the end.
    let ending = stream::iter(chats.iter().enumerate());
    ending
        .for_each_concurrent(AT_ONCE, |(nth, chat)| end(&machine, nth, chat))
        .await;
    let crowd = tokio::time::timeout(PATIENCE, living.join_all())
        .await
        .expect("everybody has the end");
    judge(&stack, &machine, &crowd, &sent, begun).await;
    stack.stop().await.unwrap();
}

/// Waits for the bot's last answer, and says that nothing more comes.
async fn end(machine: &Machine, nth: usize, chat: &str) {
    eventually("the bot has answered", PATIENCE, || async {
        let transcript = machine.transcript(chat).await;
        let from = |who: &str| transcript.iter().filter(|item| item["from"] == who).count();
        (from("bot") >= from("user")).then_some(())
    })
    .await;
    machine.sent(chat, "the end", &format!("end-{nth}")).await;
}

#[allow(clippy::print_stdout, reason = "the counts are what the test is for")]
async fn judge(
    stack: &Stack,
    machine: &Machine,
    crowd: &[Visitor],
    sent: &BTreeMap<String, Vec<String>>,
    begun: Instant,
) {
    let mut asked: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for request in stack.n8n().log_of(CHAT_PATH) {
        let body = request.body().unwrap();
        let word = |name: &str| body[name].as_str().unwrap().to_owned();
        asked
            .entry(word("sessionId"))
            .or_default()
            .push(word("messageId"));
    }
    let (mut written, mut answered, mut pushed) = (0, 0, 0);
    let (mut returns, mut ends) = (Vec::new(), Vec::new());
    let judging = crowd.iter().map(|visitor| {
        let asked = asked.remove(&visitor.session).unwrap_or_default();
        let sent = sent.get(&visitor.session).map_or(&[][..], Vec::as_slice);
        async move { judge_one(machine, visitor, &asked, sent).await }
    });
    let judged: Vec<[usize; 3]> = stream::iter(judging).buffered(AT_ONCE).collect().await;
    for (visitor, [own, bot, operators]) in crowd.iter().zip(judged) {
        written += own;
        answered += bot;
        pushed += operators;
        ends.extend(&visitor.ended_at);
        returns.extend(visitor.connected_at.iter().copied().filter(|at| *at > begun));
    }
    let (all, came) = (crowd.len(), returns.len());
    let (sent_away, most) = (most_in_a_second(ends), most_in_a_second(returns));
    println!(
        "{all} visitors, {:.0} s: {written} messages acked, {answered} answered, {pushed} of operators, each seen once and \
         in order; at most {sent_away} were sent away within a second; {came} came back, at most {most} within a second",
        begun.elapsed().as_secs_f64()
    );
    assert!(written > all && pushed > 0, "there was traffic");
    assert!(came >= all, "everybody was sent away at least once");
    let tenth = all.max(100) / 10;
    assert!(
        sent_away <= tenth,
        "{sent_away} of {all} were sent away within one second"
    );
    assert!(
        most <= tenth * BUNCHING,
        "{most} of {all} came back within one second"
    );
}

/// One visitor: what he saw, the transcript, what n8n was asked and what operators sent are the same. Gives how many
/// messages were his own, the bot's and the operators'.
async fn judge_one(machine: &Machine, visitor: &Visitor, asked: &[String], sent: &[String]) -> [usize; 3] {
    assert!(
        visitor.errors.is_empty(),
        "{}: {:?}",
        visitor.name,
        visitor.errors
    );
    let transcript = machine.transcript(&visitor.session).await;
    let ids = |who: &str| -> Vec<String> {
        let of = transcript
            .iter()
            .filter(|item| who.is_empty() || item["from"] == who);
        of.map(|item| item["messageId"].as_str().unwrap().to_owned())
            .collect()
    };
    // What he was shown is the transcript: all of it, in its order, each message once.
    assert_eq!(visitor.seen, ids(""), "{}", visitor.name);
    // Each message that was acked is there once, and went to n8n once, in that order.
    let mut acks: Vec<&String> = visitor.acked.values().collect();
    let own = ids("user");
    acks.sort_unstable_by_key(|id| own.iter().position(|other| other == *id));
    assert_eq!(acks, own.iter().collect::<Vec<_>>(), "{}", visitor.name);
    assert_eq!(asked, own, "{}", visitor.name);
    // Each was answered once.
    let texts = |who: &str| -> Vec<&str> {
        let of = transcript.iter().filter(|item| item["from"] == who);
        of.map(|item| item["text"].as_str().unwrap()).collect()
    };
    let expected: Vec<String> = texts("user")
        .iter()
        .map(|text| format!("You said: {text}"))
        .collect();
    assert_eq!(texts("bot"), expected, "{}", visitor.name);
    // What operators were told is stored is there once.
    let mut operators = ids("operator");
    let mut expected = sent.to_vec();
    // Besides the end.
    assert_eq!(operators.len(), expected.len() + 1, "{}", visitor.name);
    operators.pop();
    operators.sort_unstable();
    expected.sort_unstable();
    assert_eq!(operators, expected, "{}", visitor.name);
    [own.len(), ids("bot").len(), operators.len()]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_replica_that_holds_a_chat_is_killed_and_the_visitor_finds_everything_on_the_other() {
    let stack = stack().await;
    let (machine, replicas) = (Machine::of(&stack), sockets(&stack));
    let mut visitor = Visitor::new("survivor".to_owned());
    visitor.connect(&replicas[0]).await.unwrap();
    visitor.say("before").await;
    while visitor.texts.is_empty() {
        assert_eq!(visitor.read().await, Came::Frame);
    }
    stack.kill9(CHAT, 0).await;
    let killed = Instant::now();
    // Until it is judged dead, what is sent is stored; then it is said that nobody is there.
    let mut stored = 0;
    loop {
        let body = json!({"sessionId": visitor.session, "text": "are you there?"});
        let (status, answer) = machine.post(1, &body).await.expect("the other replica answers");
        match status {
            202 => stored += 1,
            404 => {
                assert_eq!(answer["error"], "Connection closed");
                break;
            }
            other => panic!("{other}: {answer}"),
        }
        assert!(killed.elapsed() < JUDGED_WITHIN, "it is still taken to be alive");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    visitor.vanish();
    visitor.say("while it was dead").await;
    visitor.connect(&replicas[1]).await.unwrap();
    let expected = 2 + stored + 2;
    while visitor.seen.len() < expected {
        assert_eq!(visitor.read().await, Came::Frame);
    }
    stack.restart(CHAT, 0).await.unwrap();
    let transcript = machine.transcript(&visitor.session).await;
    let ids: Vec<&str> = transcript
        .iter()
        .map(|item| item["messageId"].as_str().unwrap())
        .collect();
    assert_eq!(visitor.seen, ids);
    assert_eq!(
        stack.n8n().log_of(CHAT_PATH).len(),
        2,
        "each message went to the bot once"
    );
    stack.stop().await.unwrap();
}
