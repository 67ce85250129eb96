//! Rooms and dispatches, tokens, and what is refused.

use std::time::Duration;

use livekit_api::access_token::{AccessToken, VideoGrants};
use livekit_api::services::room::CreateRoomOptions;
use livekit_api::services::{LiveKitApi, ServerError, ServiceError};
use livekit_protocol::JobStatus;
use serde_json::json;
use switchhook_standins::LiveKit;
use switchhook_standins::livekit::{DEFAULT_KEY, DEFAULT_SECRET, Ending, Options, Plan};

use super::{AGENT, NUMBER, client, code, dialled, dispatch, job, status, swift, swift_options, until};
use crate::http::{call, post};

#[tokio::test]
async fn a_dispatch_finds_a_worker_and_shows_its_job() {
    let livekit = LiveKit::start(swift_options()).unwrap();
    let made = dialled(&livekit, "r1", NUMBER).await;
    assert!(made.id.starts_with("AD_") && made.state.clone().unwrap().jobs.is_empty());
    let job = job(&livekit, "r1", |_| true).await;
    assert_eq!((&job.dispatch_id, job.agent_name.as_str()), (&made.id, AGENT));
    assert_eq!(
        (&job.metadata, job.room.clone().unwrap().name),
        (&made.metadata, "r1".to_owned())
    );
    assert!(job.id.starts_with("AJ_") && job.state.unwrap().started_at > 1_000_000_000_000_000_000);
    let one = client(&livekit)
        .agent_dispatch()
        .get_dispatch(made.id.clone(), "r1")
        .await
        .unwrap();
    assert_eq!(one.unwrap().id, made.id);
    let acted = livekit.acted();
    assert_eq!((acted.len(), &acted[0].dispatch_id), (1, &made.id));
    assert_eq!(acted[0].destination.as_deref(), Some(NUMBER));
}

#[tokio::test]
async fn a_job_may_be_listed_before_a_worker_has_it_and_be_called_off() {
    let plan = Plan {
        pends: true,
        ..swift()
    };
    let livekit = LiveKit::start(Options {
        plan,
        ..swift_options()
    })
    .unwrap();
    dialled(&livekit, "taken", NUMBER).await;
    let running = job(&livekit, "taken", |job| status(job) == JobStatus::JsRunning).await;
    assert_eq!(running.id, livekit.acted()[0].job_id);
    livekit.plan(Plan {
        pends: true,
        job_after: Duration::from_secs(3_600),
        ..swift()
    });
    let made = dialled(&livekit, "waiting", NUMBER).await;
    let pending = job(&livekit, "waiting", |_| true).await;
    assert_eq!(
        (status(&pending), pending.state.unwrap().started_at),
        (JobStatus::JsPending, 0)
    );
    let api = client(&livekit);
    let last = api
        .agent_dispatch()
        .delete_dispatch(made.id, "waiting")
        .await
        .unwrap();
    let last = last.state.unwrap().jobs.remove(0).state.unwrap();
    // Newer than the protocol's crate: cancelled.
    assert_eq!((last.status, last.started_at), (4, 0));
    assert_eq!(livekit.acted().len(), 1);
}

#[tokio::test]
async fn without_a_worker_a_dispatch_succeeds_and_nobody_acts() {
    let livekit = LiveKit::start(Options {
        workers: 0,
        ..swift_options()
    })
    .unwrap();
    let made = dialled(&livekit, "r1", NUMBER).await;
    livekit.set_workers(1);
    // A worker that comes later gets later dispatches alone; once it has, the first one's time would have come too.
    dialled(&livekit, "r2", NUMBER).await;
    job(&livekit, "r2", |_| true).await;
    let listed = client(&livekit)
        .agent_dispatch()
        .list_dispatch("r1")
        .await
        .unwrap();
    assert_eq!(
        (listed[0].id.clone(), listed[0].state.clone().unwrap().jobs.len()),
        (made.id, 0)
    );
    assert_eq!(livekit.acted().len(), 1);
}

#[tokio::test]
async fn a_late_worker_finds_the_room_gone_and_dials_nobody() {
    let late = Plan {
        job_after: Duration::from_millis(300),
        ..swift()
    };
    let livekit = LiveKit::start(Options {
        plan: late,
        ..swift_options()
    })
    .unwrap();
    dialled(&livekit, "gone", NUMBER).await;
    client(&livekit).room().delete_room("gone").await.unwrap();
    // Made again under the same name, it is another room.
    client(&livekit)
        .room()
        .create_room("gone", CreateRoomOptions::default())
        .await
        .unwrap();
    dialled(&livekit, "stays", NUMBER).await;
    job(&livekit, "stays", |_| true).await;
    let rooms: Vec<String> = livekit.acted().into_iter().map(|one| one.room).collect();
    assert_eq!(rooms, ["stays"]);
}

#[tokio::test]
async fn a_deleted_dispatch_is_not_dialled() {
    let slow = Plan {
        dial_after: Duration::from_millis(300),
        ..swift()
    };
    let livekit = LiveKit::start(Options {
        plan: slow,
        ..swift_options()
    })
    .unwrap();
    let made = dialled(&livekit, "r1", NUMBER).await;
    let job_id = job(&livekit, "r1", |_| true).await.id;
    let deleted = client(&livekit)
        .agent_dispatch()
        .delete_dispatch(made.id.clone(), "r1")
        .await
        .unwrap();
    let ended = &deleted.state.as_ref().unwrap().jobs[0];
    assert_eq!(
        (&ended.id, deleted.state.as_ref().unwrap().deleted_at > 0),
        (&job_id, true)
    );
    dialled(&livekit, "r2", NUMBER).await;
    until(
        "the second dial",
        || async { livekit.acted() },
        |acted| acted.iter().any(|one| one.dialled),
    )
    .await;
    assert!(!livekit.acted()[0].dialled);
    assert_eq!(
        code(
            client(&livekit)
                .agent_dispatch()
                .delete_dispatch(made.id, "r1")
                .await
        ),
        "not_found"
    );
}

#[tokio::test]
async fn a_dispatch_makes_a_missing_room_only_where_livekit_is_set_so() {
    let livekit = LiveKit::start(swift_options()).unwrap();
    client(&livekit)
        .agent_dispatch()
        .create_dispatch(dispatch("new", NUMBER))
        .await
        .unwrap();
    assert_eq!(livekit.open_rooms(), ["new"]);
    assert_eq!(
        code(client(&livekit).agent_dispatch().list_dispatch("other").await),
        "unavailable"
    );
    let strict = LiveKit::start(Options {
        auto_create: false,
        ..swift_options()
    })
    .unwrap();
    let refused = client(&strict)
        .agent_dispatch()
        .create_dispatch(dispatch("new", NUMBER))
        .await;
    assert_eq!(code(refused), "unavailable");
    assert!(strict.open_rooms().is_empty() && strict.acted().is_empty());
}

#[tokio::test]
async fn rooms_are_listed_kept_once_and_deleted() {
    let livekit = LiveKit::start(swift_options()).unwrap();
    let client = client(&livekit);
    let options = || CreateRoomOptions {
        empty_timeout: 7,
        ..CreateRoomOptions::default()
    };
    let first = client.room().create_room("r1", options()).await.unwrap();
    let again = client.room().create_room("r1", options()).await.unwrap();
    client.room().create_room("r2", options()).await.unwrap();
    assert_eq!((first.empty_timeout, first.departure_timeout), (7, 20));
    assert_eq!(first.sid, again.sid);
    let listed = client.room().list_rooms(vec!["r1".into()]).await.unwrap();
    assert_eq!((listed.len(), &listed[0].sid), (1, &first.sid));
    assert_eq!(client.room().list_rooms(vec![]).await.unwrap().len(), 2);
    client.room().delete_room("r1").await.unwrap();
    assert_eq!(code(client.room().delete_room("r1").await), "not_found");
    assert!(client.room().list_participants("r1").await.unwrap().is_empty());
    assert_eq!(
        code(client.room().get_participant("r1", "nobody").await),
        "not_found"
    );
}

#[tokio::test]
async fn empty_rooms_close_when_their_time_is_up() {
    let livekit = LiveKit::start(swift_options()).unwrap();
    let client = client(&livekit);
    let options = |empty, departure| CreateRoomOptions {
        empty_timeout: empty,
        departure_timeout: departure,
        ..CreateRoomOptions::default()
    };
    client.room().create_room("empty", options(1, 600)).await.unwrap();
    client.room().create_room("left", options(600, 1)).await.unwrap();
    client
        .room()
        .create_room("stays", options(600, 600))
        .await
        .unwrap();
    client
        .agent_dispatch()
        .create_dispatch(dispatch("left", NUMBER))
        .await
        .unwrap();
    until(
        "two rooms closed",
        || async { livekit.open_rooms() },
        |open| open.len() == 1,
    )
    .await;
    assert_eq!(livekit.open_rooms(), ["stays"]);
    let closed = livekit.rooms();
    assert!(
        closed
            .iter()
            .filter(|room| !room.open)
            .all(|room| room.closed_because == Some("idle"))
    );
    assert_eq!(closed.iter().find(|room| room.name == "left").unwrap().dialled, 1);
}

#[tokio::test]
async fn an_agent_that_breaks_or_does_not_dial_leaves_no_call() {
    let livekit = LiveKit::start(swift_options()).unwrap();
    livekit.plan(Plan {
        ending: Ending::NeverDials,
        times: 1,
        ..swift()
    });
    dialled(&livekit, "idle", NUMBER).await;
    dialled(&livekit, "broken", "+61 7 3107 0500").await;
    let broken = job(&livekit, "broken", |job| job.state.as_ref().unwrap().ended_at > 0).await;
    assert_eq!(
        broken.state.as_ref().unwrap().error,
        "RuntimeError: the agent crashed"
    );
    assert_eq!(status(&broken), JobStatus::JsFailed);
    assert!(livekit.acted().iter().all(|one| !one.dialled));
}

#[tokio::test]
async fn tokens_are_judged_as_livekit_judges_them() {
    let livekit = LiveKit::start(swift_options()).unwrap();
    let stranger = LiveKitApi::with_api_key(&livekit.api_url(), "APIstranger", DEFAULT_SECRET);
    let thief = LiveKitApi::with_api_key(&livekit.api_url(), DEFAULT_KEY, "another secret");
    for client in [stranger, thief] {
        // The refusal is no Twirp: the client cannot read it, and its status is lost.
        match client.room().list_rooms(vec![]).await.unwrap_err() {
            ServiceError::Twirp(ServerError::Request(error)) => assert!(error.is_decode(), "{error:?}"),
            other => panic!("{other:?}"),
        }
    }
    let path = "/twirp/livekit.RoomService/ListRooms";
    let got = post(&format!("{}{path}", livekit.api_url()), "{}").await;
    assert_eq!(got.status, Some(401));
    assert_eq!(
        got.json(),
        json!({"code": "unauthenticated", "msg": "permissions denied"})
    );
    let grants = VideoGrants {
        room_admin: true,
        room: "r1".into(),
        ..VideoGrants::default()
    };
    let token = AccessToken::with_api_key(DEFAULT_KEY, DEFAULT_SECRET)
        .with_grants(grants)
        .to_jwt()
        .unwrap();
    let limited = LiveKitApi::with_token(&livekit.api_url(), &token);
    assert_eq!(code(limited.room().list_rooms(vec![]).await), "unauthenticated");
    assert_eq!(
        code(
            limited
                .agent_dispatch()
                .create_dispatch(dispatch("r2", NUMBER))
                .await
        ),
        "unauthenticated"
    );
    limited
        .agent_dispatch()
        .create_dispatch(dispatch("r1", NUMBER))
        .await
        .unwrap();
}

#[tokio::test]
async fn json_is_spoken_too_and_other_types_and_paths_are_refused() {
    let livekit = LiveKit::start(swift_options()).unwrap();
    let grants = VideoGrants {
        room_create: true,
        ..VideoGrants::default()
    };
    let token = AccessToken::with_api_key(DEFAULT_KEY, DEFAULT_SECRET)
        .with_grants(grants)
        .to_jwt()
        .unwrap();
    let authorization = format!("Authorization: Bearer {token}\r\n");
    let url = format!("{}/twirp/livekit.RoomService/CreateRoom", livekit.api_url());
    let got = call(
        "POST",
        &url,
        &authorization,
        r#"{"name":"r1","empty_timeout":9,"departureTimeout":8}"#,
    )
    .await;
    assert_eq!(got.status, Some(200));
    let room = got.json();
    assert_eq!(
        (&room["name"], &room["emptyTimeout"], &room["departureTimeout"]),
        (&json!("r1"), &json!(9), &json!(8))
    );
    assert!(room["creationTime"].is_string(), "{room}");
    let got = call("POST", &url, &authorization, "not json").await;
    assert_eq!(
        (got.status, &got.json()["code"]),
        (Some(400), &json!("malformed"))
    );
    let got = call("GET", &url, &authorization, "").await;
    assert_eq!(
        (got.status, &got.json()["code"]),
        (Some(404), &json!("bad_route"))
    );
    let unknown = format!("{}/twirp/livekit.RoomService/Nothing", livekit.api_url());
    assert_eq!(
        call("POST", &unknown, &authorization, "{}").await.status,
        Some(404)
    );
}
