//! Webhooks: signed, late, twice, out of order, or never.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use livekit_api::access_token::TokenVerifier;
use livekit_protocol::WebhookEvent;
use serde_json::json;
use sha2::{Digest, Sha256};
use switchhook_standins::LiveKit;
use switchhook_standins::livekit::{DEFAULT_KEY, DEFAULT_SECRET, Delivery, InWhichOrder, Options};

use super::{NUMBER, client, dialled, job, swift_options, until};
use crate::service::Service;

fn told(service: &Service) -> LiveKit {
    let options = Options {
        service_url: Some(service.url.clone()),
        ..swift_options()
    };
    LiveKit::start(options).unwrap()
}

/// A call from the start to the deleted room.
async fn whole_call(livekit: &LiveKit, room: &str) {
    dialled(livekit, room, NUMBER).await;
    job(livekit, room, |job| job.state.as_ref().unwrap().ended_at > 0).await;
    client(livekit).room().delete_room(room).await.unwrap();
}

async fn wait_for(service: &Service, count: usize) -> Vec<String> {
    until(
        "the events",
        || async { service.events() },
        |events| events.len() >= count,
    )
    .await
}

const EVENTS_OF_A_CALL: usize = 8;

#[tokio::test]
async fn livekit_s_own_verifier_accepts_them_and_its_types_read_them() {
    let service = Service::start(|_, _| Some(200)).await;
    let livekit = told(&service);
    whole_call(&livekit, "r1").await;
    wait_for(&service, EVENTS_OF_A_CALL).await;
    for (head, body) in service.got.lock().unwrap().iter() {
        let header = |name: &str| {
            let prefix = format!("{name}: ");
            head.lines()
                .find_map(|line| line.strip_prefix(&prefix))
                .unwrap()
                .to_owned()
        };
        assert_eq!(header("content-type"), "application/webhook+json");
        assert_eq!(header("user-agent"), "LiveKit");
        assert!(head.starts_with("POST /livekit/webhook "), "{head}");
        let verifier = TokenVerifier::with_api_key(DEFAULT_KEY, DEFAULT_SECRET);
        let claims = verifier.verify(&header("authorization")).unwrap();
        assert_eq!(claims.sha256, STANDARD.encode(Sha256::digest(body)));
        let event: WebhookEvent = serde_json::from_str(body).unwrap();
        assert!(!event.event.is_empty() && event.created_at > 1_600_000_000);
    }
}

#[tokio::test]
async fn they_come_twice_when_told_so() {
    let service = Service::start(|_, _| Some(200)).await;
    let livekit = told(&service);
    livekit.set_delivery(Delivery {
        copies: 2,
        ..Delivery::default()
    });
    whole_call(&livekit, "r1").await;
    wait_for(&service, 2 * EVENTS_OF_A_CALL).await;
    let bodies = service.bodies();
    assert!(bodies.chunks(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn they_come_last_first_when_told_so() {
    let service = Service::start(|_, _| Some(200)).await;
    let livekit = told(&service);
    livekit.set_delivery(Delivery {
        order: InWhichOrder::Reversed,
        ..Delivery::default()
    });
    whole_call(&livekit, "r1").await;
    let events = wait_for(&service, EVENTS_OF_A_CALL).await;
    assert_eq!(
        (events[0].as_str(), events[7].as_str()),
        ("room_finished", "room_started")
    );
    dialled(&livekit, "r2", NUMBER).await;
    job(&livekit, "r2", |_| true).await;
    livekit.flush_webhooks();
    assert!(wait_for(&service, EVENTS_OF_A_CALL + 2).await.len() > EVENTS_OF_A_CALL);
}

#[tokio::test]
async fn they_come_in_any_order_when_told_so() {
    let service = Service::start(|_, _| Some(200)).await;
    let livekit = told(&service);
    livekit.set_delivery(Delivery {
        order: InWhichOrder::Shuffled,
        ..Delivery::default()
    });
    whole_call(&livekit, "r1").await;
    assert_eq!(wait_for(&service, EVENTS_OF_A_CALL).await.len(), EVENTS_OF_A_CALL);
}

#[tokio::test]
async fn they_come_late_or_only_some_or_never_when_told_so() {
    let service = Service::start(|_, _| Some(200)).await;
    let livekit = told(&service);
    livekit.set_delivery(Delivery {
        sends: false,
        ..Delivery::default()
    });
    whole_call(&livekit, "never").await;
    livekit.set_delivery(Delivery {
        events: Some(vec!["room_finished".into()]),
        ..Delivery::default()
    });
    whole_call(&livekit, "some").await;
    assert_eq!(wait_for(&service, 1).await, ["room_finished"]);
    let late = Duration::from_millis(300);
    let begun = Instant::now();
    livekit.set_delivery(Delivery {
        delay: late,
        ..Delivery::default()
    });
    whole_call(&livekit, "late").await;
    let events = wait_for(&service, 1 + EVENTS_OF_A_CALL).await;
    assert!(begun.elapsed() >= late);
    assert_eq!(events.len(), 1 + EVENTS_OF_A_CALL);
}

#[tokio::test]
async fn a_failing_one_is_tried_again_and_a_refused_one_is_not() {
    let service = Service::start(|event, before| match (event, before) {
        ("retried", 0..2) => Some(503),
        ("refused", _) => Some(400),
        _ => Some(200),
    })
    .await;
    let livekit = told(&service);
    assert!(livekit.send(&json!({"event": "retried", "id": "EV_1"})).await);
    assert!(!livekit.send(&json!({"event": "refused", "id": "EV_2"})).await);
    assert_eq!(service.events(), ["retried", "retried", "retried", "refused"]);
    assert_eq!(livekit.sent().len(), 4);
}
