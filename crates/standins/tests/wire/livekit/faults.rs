//! What the stand-in can be told over HTTP, and how it breaks.

use std::time::{Duration, Instant};

use livekit_api::services::{ServerError, ServiceError};
use serde_json::{Map, json};
use switchhook_standins::control::Break;
use switchhook_standins::{Control, LiveKit};

use super::{NUMBER, client, code, dialled, dispatch, job, swift_options, until};
use crate::http::{call, post};

const CREATE: &str = "/twirp/livekit.AgentDispatchService/CreateDispatch";

fn on_create(control: Control) -> Control {
    Control {
        path: Some(CREATE.into()),
        ..control
    }
}

/// What the client makes of the next dispatch.
async fn outcome(livekit: &LiveKit, room: &str) -> ServerError {
    let made = client(livekit)
        .agent_dispatch()
        .create_dispatch(dispatch(room, NUMBER))
        .await;
    match made.unwrap_err() {
        ServiceError::Twirp(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_error_that_is_told_is_answered_without_a_dispatch_unless_it_acts() {
    let livekit = LiveKit::start(swift_options()).unwrap();
    let refusal = Control {
        status: Some(403),
        body: Some(json!({"code": "permission_denied", "msg": "403 Forbidden auth ID", "meta": {"a": "b"}})),
        ..Control::default()
    };
    livekit.push(on_create(refusal.clone()));
    match outcome(&livekit, "refused").await {
        ServerError::Twirp(error) => {
            assert_eq!(
                (error.code.as_str(), error.msg.as_str()),
                ("permission_denied", "403 Forbidden auth ID")
            );
            assert_eq!(error.meta["a"], "b");
        }
        other => panic!("{other:?}"),
    }
    assert!(livekit.open_rooms().is_empty());
    livekit.push(on_create(Control {
        acts: true,
        ..refusal
    }));
    outcome(&livekit, "acted").await;
    job(&livekit, "acted", |_| true).await;
    livekit.push(on_create(Control {
        status: Some(502),
        body: Some(json!("<html>Bad Gateway</html>")),
        ..Control::default()
    }));
    match outcome(&livekit, "html").await {
        ServerError::Request(error) => assert!(error.is_decode(), "{error:?}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(livekit.open_rooms(), ["acted"]);
}

#[tokio::test]
async fn a_connection_breaks_before_or_after_it_acted_or_in_the_answer() {
    let livekit = LiveKit::start(swift_options()).unwrap();
    for (room, drop, acts) in [
        ("before", Break::Before, false),
        ("after", Break::After, true),
        ("middle", Break::Middle, true),
    ] {
        livekit.push(on_create(Control {
            drop: Some(drop),
            ..Control::default()
        }));
        assert!(
            matches!(outcome(&livekit, room).await, ServerError::Request(_)),
            "{room}"
        );
        assert_eq!(livekit.open_rooms().contains(&room.to_owned()), acts, "{room}");
    }
    livekit.down().await.unwrap();
    match outcome(&livekit, "down").await {
        ServerError::Request(error) => assert!(error.is_connect(), "{error:?}"),
        other => panic!("{other:?}"),
    }
    livekit.up().await.unwrap();
    dialled(&livekit, "up", NUMBER).await;
}

#[tokio::test]
async fn it_can_be_slow_before_it_acts_and_after() {
    let livekit = LiveKit::start(swift_options()).unwrap();
    let slow = Duration::from_millis(300);
    let matching = Map::from_iter([("room".to_owned(), json!("slow"))]);
    livekit.push(on_create(Control {
        act_after: slow,
        matching,
        ..Control::default()
    }));
    let begun = Instant::now();
    dialled(&livekit, "quick", NUMBER).await;
    let making = tokio::spawn({
        let client = client(&livekit);
        async move {
            client
                .agent_dispatch()
                .create_dispatch(dispatch("slow", NUMBER))
                .await
                .map(|made| made.id)
        }
    });
    until("it came", || async { livekit.log().len() }, |count| *count >= 3).await;
    assert_eq!(livekit.open_rooms(), ["quick"], "not acted yet");
    making.await.unwrap().unwrap();
    assert!(begun.elapsed() >= slow);
    assert!(livekit.open_rooms().contains(&"slow".to_owned()));
    livekit.push(on_create(Control {
        act_after: slow,
        ..Control::default()
    }));
    let hasty = client(&livekit).with_request_timeout(Duration::from_millis(50));
    let given_up = hasty
        .agent_dispatch()
        .create_dispatch(dispatch("abandoned", NUMBER))
        .await;
    assert!(given_up.is_err());
    // Nobody waits for it any more.
    until(
        "it was done all the same",
        || async { livekit.open_rooms() },
        |open| open.contains(&"abandoned".to_owned()),
    )
    .await;
    livekit.push(on_create(Control {
        delay: slow,
        ..Control::default()
    }));
    let begun = Instant::now();
    dialled(&livekit, "late", NUMBER).await;
    assert!(begun.elapsed() >= slow);
}

#[tokio::test]
async fn the_log_shows_protobuf_as_json() {
    let livekit = LiveKit::start(swift_options()).unwrap();
    let made = dialled(&livekit, "r1", NUMBER).await;
    let came = livekit.wait_for(CREATE, 1, crate::http::DEADLINE).await;
    assert_eq!(came[0].header("content-type"), Some("application/protobuf"));
    let body = came[0].body().unwrap();
    assert_eq!(
        (&body["room"], &body["agentName"]),
        (&json!("r1"), &json!("nehos-outbound-agent"))
    );
    let answered = || async {
        livekit
            .wait_for(CREATE, 1, crate::http::DEADLINE)
            .await
            .remove(0)
            .answered
    };
    let answered = until("the answer", answered, Option::is_some).await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answered.text).unwrap();
    assert_eq!((answered.status, &answer["id"]), (Some(200), &json!(made.id)));
}

#[tokio::test]
async fn what_is_not_written_down_is_answered_all_the_same() {
    let livekit = LiveKit::start(swift_options()).unwrap();
    livekit.set_logging(false);
    dialled(&livekit, "r1", NUMBER).await;
    assert_eq!((livekit.log().len(), livekit.open_rooms().len()), (0, 1));
    livekit.set_logging(true);
    dialled(&livekit, "r2", NUMBER).await;
    assert_eq!(livekit.log().len(), 2);
}

#[tokio::test]
async fn everything_can_be_told_and_seen_over_http() {
    let livekit = LiveKit::start(swift_options()).unwrap();
    let url = |path: &str| format!("{}{path}", livekit.url());
    let plan = r#"{"ending":"never","jobAfterMs":1,"dialAfterMs":1,"dialMs":1}"#;
    assert_eq!(post(&url("/_plan"), plan).await.status, Some(200));
    dialled(&livekit, "r1", NUMBER).await;
    let ringing = || async {
        post(&url("/_call"), r#"{"room":"r1","do":"answer"}"#)
            .await
            .status
    };
    until("the call could be answered", ringing, |status| {
        *status == Some(200)
    })
    .await;
    let acted = call("GET", &url("/_acted"), "", "").await.json();
    assert_eq!(
        (&acted["items"][0]["dialled"], &acted["items"][0]["answered"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(acted["items"][0]["metadata"]["ticket_id"], "INC-1");
    assert_eq!(
        post(&url("/_call"), r#"{"room":"r1","do":"hang_up"}"#)
            .await
            .status,
        Some(200)
    );
    assert_eq!(
        post(&url("/_call"), r#"{"room":"r1","do":"hang_up"}"#)
            .await
            .status,
        Some(404)
    );
    assert_eq!(post(&url("/_close"), r#"{"room":"r1"}"#).await.status, Some(200));
    let rooms = call("GET", &url("/_rooms"), "", "").await.json();
    assert_eq!(
        (&rooms["items"][0]["closedBecause"], &rooms["items"][0]["jobs"]),
        (&json!("idle"), &json!(1))
    );
    for (path, body, status) in [
        ("/_workers", r#"{"workers":0}"#, 200),
        ("/_workers", r#"{"workers":"many"}"#, 400),
        ("/_webhooks", r#"{"sends":false}"#, 200),
        ("/_webhooks", r#"{"copies":0}"#, 400),
        ("/_recording", r#"{"ending":"refused"}"#, 200),
        ("/_recording", "{}", 400),
        ("/_plan", r#"{"ending":"late"}"#, 400),
        ("/_call", r#"{"do":"answer"}"#, 400),
        ("/_control", r#"{"acts":true,"status":500}"#, 200),
        ("/_control", r#"{"mode":"hold"}"#, 400),
        ("/_flush", "", 200),
    ] {
        assert_eq!(post(&url(path), body).await.status, Some(status), "{path} {body}");
    }
    assert_eq!(call("DELETE", &url("/_plan"), "", "").await.status, Some(200));
    assert_eq!(call("GET", &url("/_plan"), "", "").await.status, Some(405));
    call("DELETE", &url("/_control"), "", "").await;
    assert_eq!(
        code(client(&livekit).agent_dispatch().list_dispatch("r1").await),
        "unavailable"
    );
}
