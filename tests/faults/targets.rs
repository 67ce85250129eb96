//! n8n is away, slow, busy or strange: everything owed arrives afterwards, in order and without a burst, nothing is sent
//! twice that must not be, and one dead URL slows no other.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use devstack::Stack;
use e2e::people::{client, token};
use e2e::waiting::eventually;
use reqwest::Client;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use switchhook_standins::control::Break;
use switchhook_standins::log::Entry;
use switchhook_standins::n8n::AGENT_RESPOND_PATH;
use switchhook_standins::{Control, N8n, Options};
use tokio::net::TcpListener;

use crate::houses::House;
use crate::{ALONE, say};

const DEADLINE: Duration = Duration::from_secs(90);
/// A chat with an agent.
const CONVERSATIONS: usize = 40;
const MESSAGES: usize = 4;
/// After so many tries in vain the pauses between them are as long as they get, and stay so: what follows is the same
/// after a minute as after an hour.
const TRIES_IN_VAIN: i64 = 7;
/// Most requests in the first second after an outage, and in the one after it: the rate starts at 1 a second and doubles;
/// a second's end falls where it will.
const FIRST_SECOND: usize = 4;
const SECOND_SECOND: usize = 8;

/// A user of `task-chat-svc`.
struct Writer {
    client: Client,
    base: String,
    token: String,
}

impl Writer {
    fn of(stack: &Stack) -> Self {
        Self {
            client: client(),
            base: stack.url(House::Tasks.name(), 0).to_owned(),
            token: token(stack, "writer"),
        }
    }

    /// Writes to an agent, in a conversation where there is one; gives its task.
    async fn write(&self, agent: &str, task: Option<&str>, text: &str) -> String {
        let url = format!("{}/api/tasks/assign-user-task", self.base);
        let mut body = json!({"agentId": agent, "message": text});
        if let Some(task) = task {
            body["taskId"] = json!(task);
        }
        let request = self.client.post(url).bearer_auth(&self.token).json(&body);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(status, 201, "{body}");
        body["taskId"].as_str().unwrap().to_owned()
    }

    async fn task(&self, task: &str) -> Value {
        let url = format!("{}/api/tasks/{task}", self.base);
        let request = self.client.get(url).bearer_auth(&self.token);
        let body: Value = request.send().await.unwrap().json().await.unwrap();
        body["task"].clone()
    }

    async fn until(&self, task: &str, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        eventually(what, DEADLINE, || async {
            let shown = self.task(task).await;
            fits(&shown).then_some(shown)
        })
        .await
    }
}

/// n8n's stand-in, and a stack whose agents are these: their names and URLs.
async fn agents(options: Options, agents: impl Fn(&N8n) -> Value) -> (N8n, Stack) {
    let n8n = N8n::start(options).unwrap();
    let stack = Stack::builder()
        .services(&[House::Tasks.name()])
        .set("AGENT_WEBHOOKS", &agents(&n8n).to_string())
        .set("AGENT_TIMEOUT", "20s")
        .set("RUST_LOG", "warn")
        .start()
        .await
        .unwrap();
    (n8n, stack)
}

/// How many came within a second from a moment on.
fn came_within(entries: &[Entry], from: DateTime<Utc>, second: i64) -> usize {
    let begin = from + TimeDelta::seconds(second);
    let end = begin + TimeDelta::seconds(1);
    entries
        .iter()
        .filter(|entry| entry.at >= begin && entry.at < end)
        .count()
}

/// Writes everything that will be owed while the agent is away; gives the tasks.
async fn owe(writer: &Writer) -> Vec<String> {
    let mut tasks = Vec::new();
    for nth in 0..CONVERSATIONS {
        let task = writer.write("any", None, &format!("{nth}/0")).await;
        for message in 1..MESSAGES {
            writer
                .write("any", Some(&task), &format!("{nth}/{message}"))
                .await;
        }
        tasks.push(task);
    }
    writer
        .until(&tasks[0], "it says why it waits", |task| {
            task["delivery"]["lastError"]["code"] == "n8n_unreachable"
        })
        .await;
    tasks
}

/// Everything owed arrives once, in order, slowly at first, and is answered.
async fn everything_arrives(n8n: &N8n, writer: &Writer, tasks: &[String], after: &str) {
    let owed = CONVERSATIONS * MESSAGES;
    let came = n8n.wait_for(AGENT_RESPOND_PATH, owed, DEADLINE).await;
    assert_eq!(came.len(), owed, "everything arrives once");
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in &came {
        let text = entry.body().unwrap()["message"].as_str().unwrap().to_owned();
        let (conversation, _) = text.split_once('/').unwrap();
        texts
            .entry(conversation.to_owned())
            .or_default()
            .push(text.clone());
    }
    for (conversation, texts) in texts {
        let expected: Vec<String> = (0..MESSAGES).map(|nth| format!("{conversation}/{nth}")).collect();
        assert_eq!(texts, expected, "in order");
    }
    let first = came[0].at;
    let rates: Vec<usize> = (0..10).map(|second| came_within(&came, first, second)).collect();
    say(&format!("{owed} owed after {after}: a second each {rates:?}"));
    assert!(rates[0] <= FIRST_SECOND && rates[1] <= SECOND_SECOND, "{rates:?}");
    for task in tasks {
        writer
            .until(task, "it is answered", |task| task["state"] == "answered")
            .await;
    }
}

async fn away() -> (N8n, Stack, Writer) {
    let options = Options {
        thinking: Duration::from_millis(20),
        ..Options::default()
    };
    let one = |n8n: &N8n| json!({"default": n8n.webhook_url("task-agent-respond")});
    let (n8n, stack) = agents(options, one).await;
    let writer = Writer::of(&stack);
    n8n.down().await.unwrap();
    (n8n, stack, writer)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_outage_everything_owed_arrives_in_order_and_without_a_burst() {
    let _alone = ALONE.lock().await;
    let (n8n, stack, writer) = away().await;
    let tasks = owe(&writer).await;
    let mut conn = PgConnection::connect(stack.database_url()).await.unwrap();
    let begun = Instant::now();
    let tries = eventually("the pauses have grown", DEADLINE, || async {
        let mut conn = PgConnection::connect(stack.database_url()).await.ok()?;
        let sql = "SELECT sum(attempts) FROM task_chat.outbox";
        let tries: i64 = sqlx::query_scalar(sql).fetch_one(&mut conn).await.ok()?;
        (tries >= TRIES_IN_VAIN).then_some(tries)
    })
    .await;
    // What a row knows of time: ten minutes of it pass.
    let sql = "UPDATE task_chat.outbox SET created_at = created_at - interval '10 minutes', \
               deadline = deadline - interval '10 minutes', next_attempt_at = next_attempt_at - interval '10 minutes'";
    let aged = sqlx::query(sql).execute(&mut conn).await.unwrap().rows_affected();
    assert_eq!(usize::try_from(aged).unwrap(), CONVERSATIONS * MESSAGES);
    n8n.up().await.unwrap();
    let after = format!(
        "ten minutes ({:.0} s of them on this clock) and {tries} tries",
        begun.elapsed().as_secs_f64()
    );
    everything_arrives(&n8n, &writer, &tasks, &after).await;
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_an_outage_does_not_make_its_end_a_burst() {
    let _alone = ALONE.lock().await;
    let (n8n, stack, writer) = away().await;
    let tasks = owe(&writer).await;
    stack.kill9(House::Tasks.name(), 0).await;
    n8n.up().await.unwrap();
    stack.restart(House::Tasks.name(), 0).await.unwrap();
    everything_arrives(&n8n, &writer, &tasks, "a restart").await;
    stack.stop().await.unwrap();
}

/// Accepts connections and never says anything.
async fn black_hole() -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhook/hole", listener.local_addr().unwrap());
    let swallowing = tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    (url, swallowing)
}

const OWED_TO_EACH: usize = 60;
const LIVE: usize = 40;
/// From the write until the live agent has it, at worst.
const LIVE_WITHIN: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn dead_slow_and_busy_agents_slow_no_other() {
    let _alone = ALONE.lock().await;
    let (hole, swallowing) = black_hole().await;
    let options = Options {
        thinking: Duration::from_millis(10),
        ..Options::default()
    };
    let (n8n, stack) = agents(options, |n8n| {
        json!({"live": n8n.webhook_url("task-agent-respond"), "busy": n8n.webhook_url("busy"),
            "refused": "http://127.0.0.1:9/webhook/refused", "hole": hole,
            "unknown": "http://no-such-host.invalid/webhook/x"})
    })
    .await;
    n8n.push(Control {
        path: Some("/webhook/busy".to_owned()),
        times: 0,
        status: Some(503),
        headers: vec![("Retry-After".to_owned(), "2".to_owned())],
        ..Control::default()
    });
    let writer = Writer::of(&stack);
    for dead in ["busy", "refused", "hole", "unknown"] {
        for nth in 0..OWED_TO_EACH {
            writer.write(dead, None, &format!("{dead} {nth}")).await;
        }
    }
    let mut took = Vec::new();
    for nth in 0..LIVE {
        let begun = Instant::now();
        let task = writer.write("live", None, &format!("live {nth}")).await;
        writer
            .until(&task, "the live agent answers", |task| {
                task["state"] == "answered"
            })
            .await;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    let worst = took[LIVE - 1];
    let busy = n8n.log_of("/webhook/busy");
    say(&format!(
        "{OWED_TO_EACH} owed to each of four dead agents; {LIVE} messages to a live one: median {:.0} ms, worst {:.0} ms; \
         the busy one was asked {} times",
        took[LIVE / 2].as_secs_f64() * 1000.0,
        worst.as_secs_f64() * 1000.0,
        busy.len()
    ));
    assert!(worst < LIVE_WITHIN, "{worst:?}");
    // What was under way when it said so came, too; then it is left alone for the time it asked for.
    assert!(
        busy.len() <= OWED_TO_EACH + 10,
        "{} requests to a busy agent",
        busy.len()
    );
    swallowing.abort();
    stack.stop().await.unwrap();
}

/// A strange answer, and what the task says of it.
struct Strange {
    agent: &'static str,
    answer: Control,
    state: &'static str,
    code: Option<&'static str>,
}

fn strange(elsewhere: &str) -> Vec<Strange> {
    let status = |status| Control {
        status: Some(status),
        ..Control::default()
    };
    let says = |body: Value| Control {
        body: Some(body),
        ..Control::default()
    };
    let case = |agent, answer, state, code| Strange {
        agent,
        answer,
        state,
        code,
    };
    let redirect = |status| Control {
        status: Some(status),
        headers: vec![("Location".to_owned(), elsewhere.to_owned())],
        ..Control::default()
    };
    vec![
        case("gone", status(410), "failed", Some("n8n_refused")),
        case("forbidden", status(403), "failed", Some("n8n_refused")),
        case("moved", redirect(301), "failed", Some("redirected")),
        case("found", redirect(302), "failed", Some("redirected")),
        case("see-other", redirect(307), "failed", Some("redirected")),
        case("broken", status(500), "failed", Some("n8n_error")),
        case(
            "half-closed",
            Control {
                drop: Some(Break::Middle),
                ..says(json!({"text": "half"}))
            },
            "answered",
            None,
        ),
        case(
            "hangs-up",
            Control {
                drop: Some(Break::After),
                ..Control::default()
            },
            "answered",
            None,
        ),
        case(
            "garbage",
            says(json!("\u{1}\u{7f}<<<{{{[[[\u{fffd}")),
            "answered",
            None,
        ),
        case(
            "a-page",
            Control {
                content_type: Some("text/html".to_owned()),
                ..says(json!("<html><b>hello"))
            },
            "answered",
            None,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strange_answer_gets_the_documented_state_and_nothing_is_sent_twice() {
    let _alone = ALONE.lock().await;
    let options = Options {
        thinking: Duration::from_millis(10),
        ..Options::default()
    };
    let names: Vec<&str> = strange("").iter().map(|one| one.agent).collect();
    let (n8n, stack) = agents(options, |n8n| {
        let urls = names
            .iter()
            .map(|name| ((*name).to_owned(), json!(n8n.webhook_url(name))));
        Value::Object(urls.collect())
    })
    .await;
    let writer = Writer::of(&stack);
    let elsewhere = n8n.webhook_url("elsewhere");
    let mut wrong = Vec::new();
    for one in strange(&elsewhere) {
        let path = format!("/webhook/{}", one.agent);
        let is_repeated = one.answer.drop.is_some();
        n8n.push(Control {
            path: Some(path.clone()),
            ..one.answer
        });
        // Where it is sent again, it is answered then.
        n8n.push(Control {
            path: Some(path.clone()),
            times: 0,
            body: Some(json!({"text": "well"})),
            ..Control::default()
        });
        let task = writer.write(one.agent, None, "hello").await;
        let shown = writer
            .until(&task, one.agent, |task| task["state"] != "waiting")
            .await;
        let requests = n8n.log_of(&path).len();
        let expected = if is_repeated { 2 } else { 1 };
        if shown["state"] != one.state
            || shown["failure"]["code"].as_str() != one.code
            || requests != expected
        {
            wrong.push(format!("{}: {requests} requests, {shown}", one.agent));
        }
    }
    say(&format!("{} strange answers", names.len()));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        n8n.log_of("/webhook/elsewhere").is_empty(),
        "no redirect is followed"
    );
    stack.stop().await.unwrap();
}
