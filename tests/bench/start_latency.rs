//! From the user's click to n8n having the request, next to a bare POST from the same process to the same n8n.

use std::collections::HashMap;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use devstack::Stack;
use e2e::people::{User, client};
use e2e::waiting::eventually;
use serde_json::json;
use switchhook_standins::Control;
use switchhook_standins::control::Mode;

use crate::figures::{Series, goal, heading, row};

const ROUNDS: usize = 400;
const GOAL_P99_MS: f64 = 25.0;

pub(crate) async fn run() -> Result<()> {
    let stack = Stack::builder()
        .services(&["session-svc"])
        .set("LOG_FORMAT", "json")
        .set("RUST_LOG", "warn")
        .start()
        .await?;
    stack.n8n().push(Control {
        times: 0,
        mode: Some(Mode::Silent),
        ..Control::default()
    });
    let client = client();
    let (mut starts, mut bare) = (HashMap::new(), HashMap::new());
    for round in 0..ROUNDS {
        // Alternating, so that a slow moment of the machine falls on both.
        let key = format!("bare-{round}");
        bare.insert(key.clone(), now());
        let body = json!({"userId": key, "sessionId": key, "dailyCallLimit": 1});
        post(&stack, &client, &body).await?;
        let user = User::with_client(&stack, 0, &format!("latency-{round}"), &client);
        starts.insert(user.sub.clone(), now());
        user.started(10).await;
        eventually("n8n has it", std::time::Duration::from_secs(10), || async {
            (stack.n8n().log().len() >= 2 * (round + 1)).then_some(())
        })
        .await;
    }
    let (mut start, mut direct) = (Series::default(), Series::default());
    for entry in stack.n8n().log() {
        let user = entry
            .body()
            .and_then(|body| Some(body["userId"].as_str()?.to_owned()))
            .context("no user")?;
        let sides = [(starts.get(&user), &mut start), (bare.get(&user), &mut direct)];
        for (begun, series) in sides {
            if let Some(begun) = begun {
                series.push((entry.at - *begun).to_std().unwrap_or_default());
            }
        }
    }
    report(&mut start, &mut direct);
    stack.stop().await
}

fn report(start: &mut Series, direct: &mut Series) {
    heading("Start of a session: from the request to n8n having it");
    for (name, series) in [
        ("POST /api/ai-session/start, three commits", start),
        ("bare POST", direct),
    ] {
        let (p50, p99) = (series.quantile_ms(0.5), series.quantile_ms(0.99));
        row(
            name,
            &format!("p50 {p50:6.2} ms   p99 {p99:6.2} ms   n {}", series.len()),
        );
        if !name.starts_with("bare") {
            goal(&format!("p99 under {GOAL_P99_MS} ms"), p99 < GOAL_P99_MS);
        }
    }
}

async fn post(stack: &Stack, client: &reqwest::Client, body: &serde_json::Value) -> Result<()> {
    let url = stack.n8n().webhook_url("ai-session");
    let request = client
        .post(url)
        .header("x-n8n-webhook-secret", &stack.keys().n8n_secret)
        .json(body);
    request.send().await?.error_for_status()?;
    Ok(())
}

#[allow(
    clippy::disallowed_methods,
    reason = "the stand-in's log has the machine's time, and so must the other end"
)]
fn now() -> DateTime<Utc> {
    Utc::now()
}
