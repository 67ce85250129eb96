//! Long polls and streams that wait on one replica while the answer comes to the other: how long until each has it, and
//! what the waiting and the waking cost the database.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use devstack::Stack;
use e2e::people::{client, token};
use e2e::waiting::eventually;
use futures_util::StreamExt;
use reqwest::Client;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use switchhook_standins::Control;
use switchhook_standins::control::Mode;
use tokio::sync::mpsc;

use crate::figures::{Series, goal, heading, row};
use crate::process::metric;

const TASK_CHAT: &str = "task-chat-svc";
const FEW: usize = 10;
const MANY: usize = 1_000;
/// Answers that are sent to all who wait, one after the other.
const ROUNDS: usize = 3;
const GOAL_P99_MS: f64 = 100.0;
/// Over which transactions are counted: PostgreSQL tells them with a delay of up to a second.
const COUNTED: Duration = Duration::from_secs(3);

/// Both replicas, and who talks to them.
struct Chat {
    client: Client,
    replicas: [String; 2],
    token: String,
    secret: String,
    database: String,
}

pub(crate) async fn run() -> Result<()> {
    let stack = Stack::builder()
        .services(&[TASK_CHAT])
        .replicas(TASK_CHAT, 2)
        .set("LOG_FORMAT", "json")
        .set("RUST_LOG", "warn")
        .start()
        .await?;
    stack.n8n().push(Control {
        times: 0,
        mode: Some(Mode::Silent),
        ..Control::default()
    });
    let chat = Chat {
        client: client(),
        replicas: [0, 1].map(|nth| stack.url(TASK_CHAT, nth).to_owned()),
        token: token(&stack, "waits"),
        secret: stack.keys().webhook_secret.clone(),
        database: stack.database_url().to_owned(),
    };
    heading(
        "An answer that comes to one replica while others wait on the other, half of them by long poll, half by stream",
    );
    let few = chat.transactions(FEW).await?;
    let (mut waits, many) = chat.measure(MANY).await?;
    let (p50, p99) = (waits.quantile_ms(0.5), waits.quantile_ms(0.99));
    row(
        &format!("{MANY} wait, {ROUNDS} answers, from the request to each"),
        &format!("p50 {p50:6.1} ms   p99 {p99:6.1} ms   n {}", waits.len()),
    );
    goal(&format!("p99 under {GOAL_P99_MS} ms"), p99 < GOAL_P99_MS);
    row(
        &format!(
            "transactions in {} s with an answer, {FEW} streams",
            COUNTED.as_secs()
        ),
        &few.to_string(),
    );
    row(
        &format!(
            "transactions in {} s with an answer, {MANY} streams",
            COUNTED.as_secs()
        ),
        &many.to_string(),
    );
    goal("they do not grow with those who wait", many <= few + few / 2 + 5);
    stack.stop().await
}

impl Chat {
    /// How long the answers took, and the transactions around one of them while only streams wait: a long poll asks
    /// anew after each answer, by itself.
    async fn measure(&self, waiting: usize) -> Result<(Series, i64)> {
        let mut waits = Series::default();
        for _ in 0..ROUNDS {
            let task = self.assign().await?;
            let (tell, mut told) = mpsc::channel(waiting);
            for nth in 0..waiting {
                let (request, tell) = (self.wait(&task, nth % 2 == 0), tell.clone());
                tokio::spawn(async move {
                    let answered = first_answer(request).await;
                    let _ = tell.send(answered.map(|()| Instant::now())).await;
                });
            }
            drop(tell);
            self.until_waiting(waiting).await?;
            let begun = Instant::now();
            self.answer(&task).await?;
            let mut count = 0;
            while let Some(at) = told.recv().await {
                waits.push(at?.duration_since(begun));
                count += 1;
            }
            ensure!(count == waiting, "{count} of {waiting} got the answer");
            // The service notices a reader that left when it writes to it next.
            self.until_waiting(0).await?;
        }
        Ok((waits, self.transactions(waiting).await?))
    }

    async fn transactions(&self, waiting: usize) -> Result<i64> {
        let task = self.assign().await?;
        let mut streams = Vec::new();
        for _ in 0..waiting {
            streams.push(self.wait(&task, false).send().await?.error_for_status()?);
        }
        self.until_waiting(waiting).await?;
        tokio::time::sleep(COUNTED).await;
        let mut conn = PgConnection::connect(&self.database).await?;
        let before = committed(&mut conn).await?;
        self.answer(&task).await?;
        tokio::time::sleep(COUNTED).await;
        let after = committed(&mut conn).await?;
        drop(streams);
        self.until_waiting(0).await?;
        Ok(after - before)
    }

    async fn assign(&self) -> Result<String> {
        let url = format!("{}/api/tasks/assign-user-task", self.replicas[0]);
        let body = json!({"agentId": "echo", "message": "Hello"});
        let answer = self
            .client
            .post(url)
            .bearer_auth(&self.token)
            .json(&body)
            .send()
            .await?;
        let answer: Value = answer.error_for_status()?.json().await?;
        answer["taskId"]
            .as_str()
            .map(str::to_owned)
            .context("a task has an id")
    }

    async fn answer(&self, task: &str) -> Result<()> {
        let url = format!("{}/api/communications/webhook-response", self.replicas[0]);
        let request = self.client.post(url).header("x-n8n-webhook-secret", &self.secret);
        let body = json!({"taskId": task, "response": "Here you are."});
        request.json(&body).send().await?.error_for_status()?;
        Ok(())
    }

    fn wait(&self, task: &str, by_poll: bool) -> reqwest::RequestBuilder {
        let path = match by_poll {
            true => format!("get-responses?taskId={task}&wait=55"),
            false => format!("stream?taskId={task}"),
        };
        let url = format!("{}/api/communications/{path}", self.replicas[1]);
        let request = self.client.get(url).bearer_auth(&self.token);
        request.timeout(Duration::from_secs(60))
    }

    async fn until_waiting(&self, count: usize) -> Result<()> {
        eventually("all wait", Duration::from_secs(60), || async {
            let waiting = metric(&self.client, &self.replicas[1], "waiting_readers")
                .await
                .ok()?;
            (waiting == count as f64).then_some(())
        })
        .await;
        Ok(())
    }
}

/// Reads until the answer is there.
async fn first_answer(request: reqwest::RequestBuilder) -> Result<()> {
    let mut body = request.send().await?.error_for_status()?.bytes_stream();
    let mut text = String::new();
    while let Some(chunk) = body.next().await {
        text.push_str(&String::from_utf8_lossy(&chunk?));
        if text.contains("Here you are.") {
            return Ok(());
        }
    }
    anyhow::bail!("it ended without the answer: {text}")
}

async fn committed(conn: &mut PgConnection) -> Result<i64> {
    let sql = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()";
    Ok(sqlx::query_scalar(sql).fetch_one(conn).await?)
}
