//! Who speaks to the visitor.

use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;
use switchhook_standins::{Control, N8n, Options};

use crate::world::{Ask, SAM, SEND, World, failed, held, operator_of, stored, to};
use crate::ws_client::{SOON, Visitor, replica};

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn an_operator_takes_a_chat_over_and_hands_it_back(pool: PgPool) {
    let world = World::new(&pool).await;
    let mut visitor = Visitor::new(&world.app).await;
    let sam = operator_of(&world.app, SAM, json!("*"));
    let taken = json_of(
        world
            .app
            .hand_over(&sam, &visitor.session, "takeover", json!({}))
            .await,
        200,
    )
    .await;
    assert_eq!(
        taken,
        json!({"success": true, "mode": "operator", "operator": "SAM"})
    );
    assert_eq!(
        visitor.frame_of("status").await,
        json!({"type": "status", "mode": "operator"})
    );
    let chat = world.app.chat(&visitor.session).await;
    assert_eq!(
        (
            &chat["mode"],
            &chat["operator"],
            &chat["operatorId"],
            &chat["waiting"]
        ),
        (&json!("operator"), &json!("SAM"), &json!(SAM), &json!(false))
    );
    visitor.say("is somebody there?", "c1").await;
    let released = json_of(
        world
            .app
            .hand_over(&sam, &visitor.session, "release", json!({}))
            .await,
        200,
    )
    .await;
    assert_eq!(
        released,
        json!({"success": true, "mode": "bot", "operator": null})
    );
    assert_eq!(visitor.frame_of("status").await["mode"], "bot");
    visitor.say("bot?", "c2").await;
    assert_eq!(visitor.frame_of("message").await["text"], "You said: bot?");
    assert_eq!(
        world.n8n.wait_for("/webhook/chat", 1, SOON).await.len(),
        1,
        "the bot heard what came after"
    );
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_chat_of_another_operator_is_taken_by_force_only(pool: PgPool) {
    let world = World::new(&pool).await;
    let visitor = Visitor::new(&world.app).await;
    let (sam, ann) = (
        operator_of(&world.app, SAM, json!("*")),
        operator_of(&world.app, "ann", json!("*")),
    );
    let path = &visitor.session;
    json_of(world.app.hand_over(&sam, path, "takeover", json!({})).await, 200).await;
    // His own again is no news.
    json_of(world.app.hand_over(&sam, path, "takeover", json!({})).await, 200).await;
    for what in ["takeover", "release"] {
        let refused = failed(
            world.app.hand_over(&ann, path, what, json!({})).await,
            409,
            "taken_over",
        )
        .await;
        assert_eq!(
            (&refused["mode"], &refused["operator"]),
            (&json!("operator"), &json!("SAM"))
        );
        failed(
            world
                .app
                .hand_over(world.app.secret(), path, what, json!({}))
                .await,
            409,
            "taken_over",
        )
        .await;
    }
    let forced = world
        .app
        .hand_over(&ann, path, "takeover", json!({"force": "true"}))
        .await;
    assert_eq!(json_of(forced, 200).await["operator"], "ANN");
    let freed = world
        .app
        .hand_over(&sam, path, "release", json!({"force": true}))
        .await;
    assert_eq!(json_of(freed, 200).await["mode"], "bot");
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_machine_hands_a_chat_to_whoever_comes(pool: PgPool) {
    let world = World::new(&pool).await;
    let mut visitor = Visitor::new(&world.app).await;
    let machine = world.app.secret();
    let taken = json_of(
        world
            .app
            .hand_over(machine, &visitor.session, "takeover", json!({}))
            .await,
        200,
    )
    .await;
    assert_eq!(
        taken,
        json!({"success": true, "mode": "operator", "operator": null})
    );
    assert_eq!(visitor.frame_of("status").await["mode"], "operator");
    let waiting = world.app.read("/api/sessions?state=waiting").await;
    assert_eq!(
        (&waiting["count"], &waiting["sessions"][0]["waiting"]),
        (&json!(1), &json!(true))
    );
    let sam = world.app.operator(SAM);
    json_of(
        world
            .app
            .hand_over(&sam, &visitor.session, "takeover", json!({}))
            .await,
        200,
    )
    .await;
    assert_eq!(world.app.read("/api/sessions?state=waiting").await["count"], 0);
    assert_eq!(world.app.read("/api/sessions?state=operator").await["count"], 1);
    // The visitor has heard of it once.
    json_of(
        world
            .app
            .hand_over(&sam, &visitor.session, "release", json!({}))
            .await,
        200,
    )
    .await;
    assert_eq!(visitor.frame_of("status").await["mode"], "bot");
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn there_is_nothing_to_take_where_there_is_no_chat(pool: PgPool) {
    let world = World::new(&pool).await;
    let sam = world.app.operator(SAM);
    for id in ["cw-1759838400000-aaaaaaaaaaaaaaaa", "nonsense"] {
        for what in ["takeover", "release"] {
            failed(
                world.app.hand_over(&sam, id, what, json!({})).await,
                404,
                "session_not_found",
            )
            .await;
        }
    }
    let visitor = Visitor::new(&world.app).await;
    let wrong = world
        .app
        .hand_over(&sam, &visitor.session, "takeover", json!({"force": 7}))
        .await;
    failed(wrong, 400, "invalid_field").await;
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_streamed_answer_is_taken_back_at_the_takeover_and_goes_on_unseen(pool: PgPool) {
    let n8n = N8n::start(Options {
        thinking: Duration::from_secs(6),
        ..Options::default()
    })
    .unwrap();
    let webhook = n8n.webhook_url("chat-stream");
    let app = replica(&pool, &n8n, &[("N8N_WEBHOOK_URL", &webhook)]).await;
    let mut visitor = Visitor::new(&app).await;
    visitor.say("a b c d e f g h", "c1").await;
    let open = visitor.frame_of("delta").await["messageId"].clone();
    let sam = operator_of(&app, SAM, json!("*"));
    json_of(
        app.hand_over(&sam, &visitor.session, "takeover", json!({})).await,
        200,
    )
    .await;
    let mut before = Vec::new();
    loop {
        let frame = visitor.frame().await;
        if frame["type"] == "status" {
            break;
        }
        before.push(frame);
    }
    let void = json!({"type": "delta", "messageId": open, "reset": true});
    let silent = json!({"type": "typing", "from": "bot", "active": false});
    assert!(before.ends_with(&[void, silent]), "{before:?}");
    let said = app.until_said(&visitor.session, 2).await;
    assert_eq!(said[1]["audience"], "operators");
    stored(
        app.bearing(
            &sam,
            reqwest::Method::POST,
            SEND,
            Some(to(&visitor.session, "my view")),
        )
        .await,
    )
    .await;
    let next = visitor.frame().await;
    assert_eq!(
        next["text"], "my view",
        "nothing of the bot comes before it: {next}"
    );
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn an_answer_that_was_under_way_at_the_takeover_stays_for_operators_after_the_release(pool: PgPool) {
    let world = World::new(&pool).await;
    let mut visitor = Visitor::new(&world.app).await;
    let sam = operator_of(&world.app, SAM, json!("*"));
    let broken = Control {
        status: Some(500),
        ..held(json!({"message": "Error in workflow"}))
    };
    let answers = [held(json!({"text": "the bot's view"})), broken];
    for (at, answer) in answers.into_iter().enumerate() {
        let (asked, next) = (format!("asked {at}"), format!("next {at}"));
        world.n8n.push(answer);
        visitor.say(&asked, &asked).await;
        world.n8n.wait_for("/webhook/chat", 2 * at + 1, SOON).await;
        for what in ["takeover", "release"] {
            let changed = world.app.hand_over(&sam, &visitor.session, what, json!({})).await;
            json_of(changed, 200).await;
        }
        world.n8n.clear();
        visitor.say(&next, &next).await;
        loop {
            let frame = visitor.frame().await;
            assert_ne!(frame["type"], "error", "{frame}");
            if frame["type"] == "message" {
                assert_eq!(frame["text"], format!("You said: {next}"));
                break;
            }
        }
    }
    let said = world.app.transcript(&visitor.session).await;
    let hidden: Vec<_> = said
        .iter()
        .filter(|message| message["audience"] == "operators")
        .collect();
    assert_eq!((hidden.len(), &hidden[0]["text"]), (1, &json!("the bot's view")));
    assert_eq!(world.app.chat(&visitor.session).await["flagged"], false);
}
