//! Retell's stand-in.

use std::collections::HashSet;

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::{Value, json};
use switchhook_core::webhook::retell::{HEADER, Signature};
use switchhook_standins::control::Break;
use switchhook_standins::retell::{DEFAULT_AGENT, DEFAULT_KEY, Options, Play, WEBHOOK_PATH};
use switchhook_standins::{Control, Retell};

use crate::http::{DEADLINE, Got, call, post};
use crate::service::Service;

fn quick(service: &Service) -> Options {
    Options {
        service_url: Some(service.url.clone()),
        webhook_timeout: Duration::from_millis(500),
        between_tries: Duration::from_millis(20),
        pause: Duration::ZERO,
        ..Options::default()
    }
}

async fn played(retell: &Retell, play: Play) -> String {
    let id = retell.play(&play).unwrap();
    assert!(retell.settled(&id, DEADLINE).await, "the call did not end");
    id
}

async fn agent(retell: &Retell, agent: &str, key: &str) -> Got {
    let header = if key.is_empty() {
        String::new()
    } else {
        format!("Authorization: Bearer {key}\r\n")
    };
    call(
        "GET",
        &format!("{}/get-agent/{agent}", retell.api_url()),
        &header,
        "",
    )
    .await
}

#[tokio::test]
async fn a_key_sees_its_own_agents_and_no_others() {
    let retell = Retell::start(Options::default()).unwrap();
    retell.set_agents("key_other", &["agent_other"]);
    let got = agent(&retell, DEFAULT_AGENT, DEFAULT_KEY).await;
    assert_eq!(
        (got.status, &got.json()["agent_id"]),
        (Some(200), &json!(DEFAULT_AGENT))
    );
    for (wanted, key, status) in [
        ("agent_other", "key_other", 200),
        ("agent_other", DEFAULT_KEY, 404),
        (DEFAULT_AGENT, "key_other", 404),
        (DEFAULT_AGENT, "key_unknown", 401),
        (DEFAULT_AGENT, "", 401),
    ] {
        let got = agent(&retell, wanted, key).await;
        assert_eq!(got.status, Some(status), "{wanted} {key}");
        assert!(status == 200 || got.json()["message"].is_string());
    }
    retell.remove_key("key_other");
    assert_eq!(agent(&retell, "agent_other", "key_other").await.status, Some(401));
}

#[tokio::test]
async fn agents_can_be_given_to_a_key_over_http() {
    let retell = Retell::start(Options::default()).unwrap();
    let url = format!("{}/_agents", retell.url());
    assert_eq!(
        post(&url, r#"{"agents":["agent_a","agent_b"]}"#).await.status,
        Some(200)
    );
    assert_eq!(
        post(&url, r#"{"api_key":"key_two","agents":["agent_c"]}"#)
            .await
            .status,
        Some(200)
    );
    for (wanted, key, status) in [
        ("agent_b", DEFAULT_KEY, 200),
        (DEFAULT_AGENT, DEFAULT_KEY, 404),
        ("agent_c", "key_two", 200),
    ] {
        assert_eq!(agent(&retell, wanted, key).await.status, Some(status), "{wanted}");
    }
    for (body, field) in [("{", "body"), ("{}", "agents"), (r#"{"agents":[1]}"#, "agents")] {
        let got = post(&url, body).await;
        assert_eq!(
            (got.status, &got.json()["field"]),
            (Some(400), &json!(field)),
            "{body}"
        );
    }
}

#[tokio::test]
async fn the_api_misbehaves_as_it_is_told() {
    let retell = Retell::start(Options::default()).unwrap();
    let control = format!("{}/_control", retell.url());
    post(&control, r#"{"path":"/get-agent/agent_demo","status":500}"#).await;
    post(&control, r#"{"status":200,"body":"<html>gateway</html>"}"#).await;
    post(&control, r#"{"delayMs":30}"#).await;
    retell.push(Control {
        drop: Some(Break::After),
        ..Control::default()
    });
    assert_eq!(agent(&retell, DEFAULT_AGENT, DEFAULT_KEY).await.status, Some(500));
    let page = agent(&retell, DEFAULT_AGENT, DEFAULT_KEY).await;
    assert!(
        page.head.contains("text/html") && page.body.starts_with("<html>"),
        "{page:?}"
    );
    let late = agent(&retell, DEFAULT_AGENT, DEFAULT_KEY).await;
    assert_eq!(
        (late.status, &late.json()["agent_id"]),
        (Some(200), &json!(DEFAULT_AGENT))
    );
    let after = retell.log()[2].answered.clone().unwrap().after_ms;
    assert!(after >= 30, "{after} ms");
    assert_eq!(agent(&retell, DEFAULT_AGENT, DEFAULT_KEY).await.status, None);
    assert_eq!(agent(&retell, DEFAULT_AGENT, DEFAULT_KEY).await.status, Some(200));
    let refused = post(&control, r#"{"mode":"hold"}"#).await;
    assert_eq!(
        (refused.status, &refused.json()["field"]),
        (Some(400), &json!("mode"))
    );
}

#[tokio::test]
async fn the_api_can_be_taken_down_and_up_again() {
    let retell = Retell::start(Options::default()).unwrap();
    assert_eq!(
        post(&format!("{}/_down", retell.url()), "").await.status,
        Some(200)
    );
    let host = retell.api_url().replace("http://", "");
    let refused = tokio::net::TcpStream::connect(&host).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(post(&format!("{}/_up", retell.url()), "").await.status, Some(200));
    assert_eq!(agent(&retell, DEFAULT_AGENT, DEFAULT_KEY).await.status, Some(200));
}

#[tokio::test]
async fn a_call_is_played_from_its_start_to_its_analysis() {
    let service = Service::start(|_, _| Some(200)).await;
    let retell = Retell::start(quick(&service)).unwrap();
    let id = played(
        &retell,
        Play {
            duration: Some(Duration::from_secs(90)),
            sentiment: Some("Positive".into()),
            from_number: Some("+12065550100".into()),
            ..Play::default()
        },
    )
    .await;
    let events = service.events();
    assert_eq!(events.first().unwrap(), "call_started");
    assert_eq!(events[events.len() - 2..], ["call_ended", "call_analyzed"]);
    assert!(
        events
            .iter()
            .filter(|event| *event == "transcript_updated")
            .count()
            >= 2
    );
    let bodies = service.bodies();
    for body in &bodies {
        let call = &body["call"];
        assert_eq!(
            (&call["call_id"], &call["agent_id"]),
            (&json!(id), &json!(DEFAULT_AGENT))
        );
        assert_eq!(call["from_number"], "+12065550100");
        for field in ["to_number", "start_timestamp", "telephony_identifier"] {
            assert_eq!(call[field], bodies[0]["call"][field], "{field}");
        }
    }
    assert!(
        bodies[0]["call"].get("transcript").is_none() && bodies[0]["call"].get("end_timestamp").is_none()
    );
    let (ended, analyzed) = (
        &bodies[bodies.len() - 2]["call"],
        &bodies[bodies.len() - 1]["call"],
    );
    assert!(ended.get("call_analysis").is_none());
    assert_eq!(analyzed["duration_ms"], 90_000);
    let times = |field: &str| analyzed[field].as_i64().unwrap();
    assert_eq!(times("end_timestamp") - times("start_timestamp"), 90_000);
    assert_eq!(analyzed["call_analysis"]["user_sentiment"], "Positive");
    assert!(
        !analyzed["call_analysis"]["call_summary"]
            .as_str()
            .unwrap()
            .is_empty()
    );
    assert_eq!(analyzed["transcript"], ended["transcript"]);
    let turns = analyzed["transcript_object"].as_array().unwrap();
    assert_eq!(
        turns.len(),
        analyzed["transcript"].as_str().unwrap().lines().count()
    );
    let last_word = turns.last().unwrap()["words"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    assert_eq!(last_word["end"], 90.0);
    let costs = analyzed["call_cost"]["product_costs"].as_array().unwrap().iter();
    let sum: f64 = costs.map(|cost| cost["cost"].as_f64().unwrap()).sum();
    assert!((sum - analyzed["call_cost"]["combined_cost"].as_f64().unwrap()).abs() < 0.01);
    let recording = call("GET", analyzed["recording_url"].as_str().unwrap(), "", "").await;
    assert!(recording.head.contains("audio/wav"), "{}", recording.head);
}

#[tokio::test]
async fn every_webhook_is_signed_with_the_key_of_its_agent() {
    let service = Service::start(|event, before| {
        Some(if event == "call_ended" && before == 0 {
            500
        } else {
            202
        })
    })
    .await;
    let retell = Retell::start(quick(&service)).unwrap();
    retell.set_agents("key_two", &["agent_two"]);
    for (agent, key) in [("agent_two", "key_two"), ("agent_of_nobody", DEFAULT_KEY)] {
        retell.clear_log();
        let play = Play {
            agent_id: Some(agent.into()),
            ..Play::default()
        };
        let id = played(&retell, play).await;
        let sent = retell.sent();
        assert!(sent.len() > 4 && sent.iter().all(|entry| entry.path == WEBHOOK_PATH));
        for entry in sent {
            let signature = Signature::parse(entry.header(HEADER).unwrap()).unwrap();
            let now: DateTime<Utc> = std::time::SystemTime::now().into();
            signature
                .verify(&SecretString::from(key), entry.text.as_bytes(), now)
                .unwrap();
            assert!(entry.text.contains(&id) && entry.text.contains(agent));
        }
    }
}

#[tokio::test]
async fn a_failing_event_is_sent_three_times_and_holds_back_nobody() {
    let service = Service::start(|event, _| Some(if event == "call_started" { 503 } else { 200 })).await;
    let retell = Retell::start(Options {
        between_tries: Duration::from_millis(300),
        ..quick(&service)
    })
    .unwrap();
    played(&retell, Play::default()).await;
    let events = service.events();
    let at = |wanted: &str| events.iter().position(|event| event == wanted).unwrap();
    let starts: Vec<usize> = (0..events.len())
        .filter(|at| events[*at] == "call_started")
        .collect();
    assert_eq!((starts.len(), starts[0]), (3, 0), "{events:?}");
    assert!(at("call_analyzed") < starts[1], "{events:?}");
    let sent = retell.sent();
    let failed = sent
        .iter()
        .filter(|entry| entry.answered.as_ref().unwrap().status == Some(503));
    assert_eq!(failed.count(), 3);
}

#[tokio::test]
async fn no_answer_in_time_counts_as_a_failure() {
    let service = Service::start(|_, before| (before > 0).then_some(200)).await;
    let retell = Retell::start(quick(&service)).unwrap();
    let body = json!({"event": "call_started", "call": {"call_id": "c1", "agent_id": DEFAULT_AGENT}});
    assert!(retell.send(&body).await);
    let sent = retell.sent();
    let statuses: Vec<Option<u16>> = sent
        .iter()
        .map(|entry| entry.answered.as_ref().unwrap().status)
        .collect();
    assert_eq!(statuses, [None, Some(200)]);
}

#[tokio::test]
async fn nobody_at_home_is_tried_three_times() {
    let service = Service::start(|_, _| Some(200)).await;
    let retell = Retell::start(quick(&service)).unwrap();
    // Nobody listens on port 9 of this machine.
    retell.set_service("http://127.0.0.1:9");
    assert!(!retell.send(&json!({"event": "call_started"})).await);
    assert_eq!(retell.sent().len(), 3);
    retell.set_service(&service.url);
    assert!(retell.send(&json!({"event": "call_started"})).await);
}

#[tokio::test]
async fn outcomes_decide_which_events_come() {
    let service = Service::start(|_, _| Some(200)).await;
    let retell = Retell::start(quick(&service)).unwrap();
    for (outcome, chat, expected) in [
        ("dial_no_answer", false, &["call_ended", "call_analyzed"][..]),
        (
            "call_transfer",
            false,
            &[
                "call_started",
                "transfer_started",
                "transfer_bridged",
                "transfer_ended",
                "call_ended",
                "call_analyzed",
            ],
        ),
        (
            "transfer_cancelled",
            false,
            &[
                "call_started",
                "transfer_started",
                "transfer_cancelled",
                "call_ended",
                "call_analyzed",
            ],
        ),
        (
            "voicemail",
            false,
            &["call_started", "call_ended", "call_analyzed"],
        ),
        (
            "completed",
            true,
            &["chat_started", "chat_ended", "chat_analyzed"],
        ),
    ] {
        service.got.lock().unwrap().clear();
        let play = Play {
            outcome: Some(outcome.into()),
            chat,
            ..Play::default()
        };
        let id = played(&retell, play).await;
        let events = service.events();
        let others: Vec<&String> = events
            .iter()
            .filter(|event| *event != "transcript_updated")
            .collect();
        assert_eq!(others, expected, "{outcome}");
        let last = service.bodies().pop().unwrap();
        if chat {
            assert_eq!(
                (&last["chat"]["chat_id"], &last["call"]),
                (&json!(id), &Value::Null)
            );
            continue;
        }
        let never = outcome == "dial_no_answer";
        let status = if never { "not_connected" } else { "ended" };
        assert_eq!(last["call"]["call_status"], status, "{outcome}");
        assert_eq!(last["call"].get("transcript").is_none(), never);
        assert_eq!(
            last["call"]["call_analysis"]["in_voicemail"],
            outcome == "voicemail"
        );
    }
}

#[tokio::test]
async fn a_person_s_call_is_answered_at_once_with_its_id() {
    let service = Service::start(|_, _| Some(200)).await;
    let retell = Retell::start(quick(&service)).unwrap();
    let url = format!("{}/_call", retell.url());
    let mut numbers = HashSet::new();
    for body in ["", "{}", r#"{"outcome":"user_hangup","duration_ms":61000}"#] {
        let got = post(&url, body).await;
        assert_eq!(got.status, Some(202), "{body}");
        let id = got.json()["call_id"].as_str().unwrap().to_owned();
        assert!(retell.settled(&id, DEADLINE).await);
        numbers.insert(service.bodies().pop().unwrap()["call"]["call_analysis"]["call_summary"].to_string());
    }
    assert_eq!(numbers.len(), 3, "calls in a row differ");
    let chat = post(&url, r#"{"chat":true}"#).await.json();
    assert!(chat["chat_id"].as_str().unwrap().starts_with("chat_"));
    let refused = post(&url, r#"{"outcome":"dial_no_anwser"}"#).await;
    assert_eq!(
        (refused.status, &refused.json()["field"]),
        (Some(400), &json!("outcome"))
    );
    assert_eq!(call("GET", &url, "", "").await.status, Some(405));
}

#[tokio::test]
async fn a_webhook_of_one_s_own_is_sent_byte_by_byte() {
    let service = Service::start(|_, _| Some(200)).await;
    let retell = Retell::start(quick(&service)).unwrap();
    let body = r#"{ "event": "new_event", "call": {"agent_id":"agent_demo", "cost": 10.0} }"#;
    assert_eq!(
        post(&format!("{}/_send", retell.url()), body).await.status,
        Some(202)
    );
    let sent = retell.wait_for(WEBHOOK_PATH, 1, DEADLINE).await;
    assert_eq!(sent[0].text, body);
    let log = call(
        "GET",
        &format!("{}/_log?path={WEBHOOK_PATH}", retell.url()),
        "",
        "",
    )
    .await
    .json();
    assert_eq!(log["items"][0]["direction"], "sent");
}
