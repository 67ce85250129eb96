//! From the user's click to n8n having the request, next to a Node server on the same database and to a bare POST from this
//! process, all to the same n8n.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use e2e::people::{client, now, token};
use e2e::waiting::eventually;
use serde_json::{Value, json};

use crate::extent::counting;
use crate::figures::{Series, figure, goal, heading};
use crate::report::Bar;
use crate::session_contest::start_peer;
use crate::stage::{self, Stage};

const SESSION: &str = "session-svc";
const ROUNDS: usize = counting(300);
const GOAL_P99_MS: f64 = 25.0;
/// Who is measured, ours first.
const SIDES: [&str; 3] = ["session-svc, three commits", "Node, two commits", "bare POST"];

pub(crate) async fn run() -> Result<()> {
    let stage = Stage::start(SESSION, stage::of(&[SESSION])).await?;
    stage.n8n_answers(None);
    let node = start_peer(&stage).await?;
    let client = client();
    let n8n = stage.stack.n8n().webhook_url("ai-session");
    let hosts = [stage.url().to_owned(), format!("http://{}", node.host)];
    let mut begun = HashMap::new();
    // In turn, so that a slow moment of the machine falls on all of them.
    for round in 0..ROUNDS {
        for side in 0..SIDES.len() {
            let user = format!("latency-{side}-{round}");
            let request = match hosts.get(side) {
                Some(host) => client
                    .post(format!("{host}/api/ai-session/start"))
                    .bearer_auth(token(&stage.stack, &user))
                    .json(&json!({"dailyCallLimit": 10})),
                None => client
                    .post(&n8n)
                    .header("x-n8n-webhook-secret", &stage.stack.keys().n8n_secret)
                    .json(&json!({"userId": user, "sessionId": user, "dailyCallLimit": 1})),
            };
            begun.insert(user, (side, now()));
            request.send().await?.error_for_status()?;
            let wanted = begun.len();
            eventually("n8n has it", Duration::from_secs(60), || async {
                (stage.stack.n8n().log().len() >= wanted).then_some(())
            })
            .await;
        }
    }
    report(&stage, &begun)?;
    stage.stack.stop().await
}

fn report(stage: &Stage, begun: &HashMap<String, (usize, DateTime<Utc>)>) -> Result<()> {
    let mut waits: [Series; 3] = Default::default();
    for entry in stage.stack.n8n().log() {
        let body: Value = entry.body().context("it has a body")?;
        let user = body["userId"].as_str().context("it has a user")?;
        if let Some((side, begun)) = begun.get(user) {
            waits[*side].push((entry.at - *begun).to_std().unwrap_or_default());
        }
    }
    heading("Start of a session, one at a time: from the request to n8n having it");
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let bars = SIDES
            .iter()
            .zip(&mut waits)
            .map(|(who, series)| Bar::new(who, &[series.quantile_ms(share)]));
        figure(name, "ms", bars.collect());
    }
    let p99 = waits[0].quantile_ms(0.99);
    goal(&format!("p99 under {GOAL_P99_MS} ms"), p99 < GOAL_P99_MS);
    Ok(())
}
