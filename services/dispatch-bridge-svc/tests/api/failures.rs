//! LiveKit says no, says nothing, or is not there: each has its answer, and nothing dials later by itself.

use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;
use switchhook_standins::control::Break;

use crate::world::{
    Ask, CREATE_DISPATCH, CREATE_ROOM, DELETE_ROOM, World, breaks, call, failed, late, lost, says,
};

const NUMBER: &str = "61402012298";

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_refusal_is_passed_on_in_livekits_words(pool: PgPool) {
    let world = World::new(&pool).await;
    for path in [CREATE_ROOM, CREATE_DISPATCH] {
        let said = json!({"code": "permission_denied", "msg": "403 Forbidden auth ID", "meta": {"sip_status_code": "403"}});
        world.on(path, says(403, said.clone()));
        let body = failed(world.app.dispatch(call(NUMBER)).await, 502, "livekit_error").await;
        assert_eq!(
            body["error"],
            "LiveKit refused the dispatch: 403 Forbidden auth ID"
        );
        assert_eq!((&body["message"], &body["livekit"]), (&said["msg"], &said));
        assert!(body["hint"].as_str().unwrap().contains("caller_id"), "{body}");
        assert_eq!(body.get("outcome"), None, "{body}");
    }
    for (status, code) in [
        (404, "not_found"),
        (429, "resource_exhausted"),
        (400, "invalid_argument"),
    ] {
        world.on(CREATE_DISPATCH, says(status, json!({"code": code, "msg": "no"})));
        let body = failed(world.app.dispatch(call(NUMBER)).await, 502, "livekit_error").await;
        assert_eq!(
            (&body["livekit"]["code"], &body["livekit"]["meta"]),
            (&json!(code), &json!({}))
        );
    }
    // Each was free to be tried again, and left a row that says why.
    let list = world.app.read("/dispatches").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 5);
    assert_eq!(
        (&list["items"][0]["status"], &list["items"][0]["message"]),
        (&json!("failed"), &json!("no"))
    );
    world.until_no_room().await;
    world.dialled(call(NUMBER)).await;
    assert_eq!(world.acted().len(), 1);
}

/// Whatever broke while the dispatch was made: nobody can tell, and the key says so for ever.
async fn is_unknown_for_ever(world: &World, status: u16, code: &str) -> Value {
    let body = failed(world.app.keyed(Some("k"), call(NUMBER)).await, status, code).await;
    assert_eq!(body["outcome"], "unknown", "{body}");
    let dialled = world.acted().len();
    for _ in 0..2 {
        let again = failed(
            world.app.keyed(Some("k"), call(NUMBER)).await,
            502,
            "outcome_unknown",
        )
        .await;
        assert_eq!(again["outcome"], "unknown");
    }
    failed(world.app.dispatch(call(NUMBER)).await, 409, "duplicate_dial").await;
    assert_eq!(world.acted().len(), dialled);
    world.until_no_room().await;
    world.until_asked(DELETE_ROOM, 1).await;
    body
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn an_error_that_proves_nothing_is_never_sent_again(pool: PgPool) {
    let world = World::new(&pool).await;
    world.on(
        CREATE_DISPATCH,
        says(500, json!({"code": "internal", "msg": "oops"})),
    );
    let body = is_unknown_for_ever(&world, 502, "outcome_unknown").await;
    assert_eq!(
        (&body["message"], &body["livekit"]["code"]),
        (&json!("oops"), &json!("internal"))
    );
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_proxys_page_is_never_sent_again(pool: PgPool) {
    let world = World::new(&pool).await;
    world.on(
        CREATE_DISPATCH,
        says(502, json!("<html><body>Bad Gateway</body></html>")),
    );
    is_unknown_for_ever(&world, 502, "outcome_unknown").await;
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn half_an_answer_is_never_sent_again(pool: PgPool) {
    let world = World::new(&pool).await;
    world.on(CREATE_DISPATCH, breaks(Break::Middle));
    is_unknown_for_ever(&world, 502, "outcome_unknown").await;
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_connection_that_breaks_is_never_sent_again(pool: PgPool) {
    let world = World::new(&pool).await;
    world.on(CREATE_DISPATCH, breaks(Break::After));
    is_unknown_for_ever(&world, 502, "outcome_unknown").await;
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn an_answer_that_comes_too_late_is_never_sent_again_and_its_room_deleted(pool: PgPool) {
    let world = World::new(&pool).await;
    world.on(CREATE_DISPATCH, late());
    is_unknown_for_ever(&world, 504, "upstream_timeout").await;
    let owed: (Vec<i32>, bool) = sqlx::query_as("SELECT again_s, due_at > now() FROM dispatch.closings")
        .fetch_one(&pool)
        .await
        .unwrap();
    // Deleted at once; again after 15 and 60 s, of which the first may have come meanwhile.
    assert!([vec![60], vec![15, 60], vec![]].contains(&owed.0), "{owed:?}");
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_room_is_deleted_again_until_nothing_can_be_on_its_way(pool: PgPool) {
    let world = World::new(&pool).await;
    world.on(CREATE_DISPATCH, breaks(Break::After));
    failed(world.app.dispatch(call(NUMBER)).await, 502, "outcome_unknown").await;
    for times in 2..=3 {
        world.until_asked(DELETE_ROOM, times - 1).await;
        let aged = "UPDATE dispatch.closings SET due_at = due_at - interval '1 hour'";
        let look = || async {
            sqlx::query(aged).execute(&pool).await.unwrap();
            let asked = world
                .livekit
                .log()
                .iter()
                .filter(|entry| entry.path == DELETE_ROOM)
                .count();
            (asked >= times).then_some(())
        };
        switchhook_chassis::testing::eventually(look, crate::world::SOON).await;
    }
    let none_left = || async {
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM dispatch.closings")
            .fetch_one(&pool)
            .await
            .unwrap();
        (left == 0).then_some(())
    };
    switchhook_chassis::testing::eventually(none_left, crate::world::SOON).await;
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn what_breaks_before_the_dispatch_has_dialled_nothing_and_may_be_tried_again(pool: PgPool) {
    let world = World::new(&pool).await;
    let html: Value = json!("<html>Bad Gateway</html>");
    for (control, status, code) in [
        (
            says(500, json!({"code": "internal", "msg": "oops"})),
            502,
            "livekit_error",
        ),
        (says(502, html), 502, "livekit_error"),
        (breaks(Break::After), 502, "livekit_unreachable"),
        (lost(), 504, "upstream_timeout"),
    ] {
        world.on(CREATE_ROOM, control);
        failed(world.app.keyed(Some("k"), call(NUMBER)).await, status, code).await;
    }
    json_of(world.app.keyed(Some("k"), call(NUMBER)).await, 200).await;
    assert_eq!(world.acted().len(), 1);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_livekit_that_is_away_is_said_to_be_so(pool: PgPool) {
    let world = World::new(&pool).await;
    let ready = world
        .app
        .client()
        .get(world.app.url("/readyz"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        json_of(ready, 200).await,
        json!({"status": "ok", "livekit": "ok"})
    );
    world.livekit.down().await.unwrap();
    failed(
        world.app.keyed(Some("k"), call(NUMBER)).await,
        502,
        "livekit_unreachable",
    )
    .await;
    let look = || async {
        let ready = world
            .app
            .client()
            .get(world.app.url("/readyz"))
            .send()
            .await
            .unwrap();
        let body = json_of(ready, 200).await;
        (body["livekit"] == "unreachable").then_some(body)
    };
    switchhook_chassis::testing::eventually(look, crate::world::SOON).await;
    world.livekit.up().await.unwrap();
    json_of(world.app.keyed(Some("k"), call(NUMBER)).await, 200).await;
    assert_eq!(world.acted().len(), 1);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_key_that_livekit_does_not_know_is_named(pool: PgPool) {
    let world = World::with(
        &pool,
        &[("LIVEKIT_API_SECRET", "another-secret-that-is-long-enough")],
    )
    .await;
    let body = failed(world.app.dispatch(call(NUMBER)).await, 502, "livekit_error").await;
    assert!(
        body["error"].as_str().unwrap().contains("LIVEKIT_API_KEY"),
        "{body}"
    );
    assert!(!body.to_string().contains("another-secret"), "{body}");
    let ready = world
        .app
        .client()
        .get(world.app.url("/readyz"))
        .send()
        .await
        .unwrap();
    assert_eq!(json_of(ready, 200).await["livekit"], "unauthorized");
}
