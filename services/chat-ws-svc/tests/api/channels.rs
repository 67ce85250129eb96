//! Whose visitors somebody reaches.

use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;

use crate::world::{Ask, SEND, World, failed, operator_of, stored, to};
use crate::ws_client::{Door, Visitor, replica};

const ACME_SECRET: &str = "the-secret-of-acme";

/// Two channels with a visitor each.
async fn world(pool: &PgPool) -> (World, Visitor, Visitor) {
    let n8n = crate::world::n8n();
    n8n.push(crate::world::silent());
    let url = n8n.webhook_url("chat");
    let channels = json!({
        "default": {"n8nUrl": url, "origins": []},
        "acme": {"n8nUrl": url, "origins": ["https://acme.example"], "secret": ACME_SECRET}
    });
    let app = replica(pool, &n8n, &[("CHAT_CHANNELS", &channels.to_string())]).await;
    let own = Door::new().query("?channel=acme").enter(&app).await;
    let other = Visitor::new(&app).await;
    (World { app, n8n }, own, other)
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_channel_s_secret_and_its_operators_reach_that_channel_alone(pool: PgPool) {
    let (world, own, other) = world(&pool).await;
    let app = &world.app;
    let of_acme = operator_of(app, "ann", json!(["acme"]));
    for bearer in [ACME_SECRET, of_acme.as_str()] {
        let list = json_of(app.bearing(bearer, Method::GET, "/api/sessions", None).await, 200).await;
        assert_eq!(
            (&list["count"], &list["sessions"][0]["sessionId"]),
            (&json!(1), &json!(own.session))
        );
        let all = json_of(
            app.bearing(bearer, Method::GET, "/api/sessions?state=all", None)
                .await,
            200,
        )
        .await;
        assert_eq!(all["count"], 1);
        stored(
            app.bearing(bearer, Method::POST, SEND, Some(to(&own.session, "hello")))
                .await,
        )
        .await;
        let foreign = app
            .bearing(bearer, Method::POST, SEND, Some(to(&other.session, "hello")))
            .await;
        assert_eq!(
            failed(foreign, 404, "session_not_found").await["activeSessions"],
            1
        );
        for (method, path) in [
            (Method::GET, format!("/api/sessions/{}", other.session)),
            (Method::GET, format!("/api/sessions/{}/messages", other.session)),
            (Method::POST, format!("/api/sessions/{}/takeover", other.session)),
            (Method::POST, format!("/api/sessions/{}/release", other.session)),
        ] {
            failed(
                app.bearing(bearer, method, &path, None).await,
                404,
                "session_not_found",
            )
            .await;
        }
        let typing = json!({"sessionId": other.session, "active": true});
        failed(
            app.bearing(bearer, Method::POST, "/api/typing", Some(typing))
                .await,
            404,
            "session_not_found",
        )
        .await;
    }
    let erase = format!("/api/sessions/{}", other.session);
    failed(
        app.bearing(&of_acme, Method::DELETE, &erase, None).await,
        404,
        "session_not_found",
    )
    .await;
    assert!(app.transcript(&other.session).await.is_empty());
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn who_has_no_channels_in_his_token_has_the_default_one_and_a_star_is_all(pool: PgPool) {
    let (world, own, other) = world(&pool).await;
    let tokens = [
        (world.app.operator("sam"), vec![&other.session]),
        (
            operator_of(&world.app, "sam", json!("*")),
            vec![&other.session, &own.session],
        ),
        (operator_of(&world.app, "sam", json!([])), vec![]),
        (world.app.secret().to_owned(), vec![&other.session, &own.session]),
    ];
    for (token, expected) in tokens {
        let list = world
            .app
            .bearing(&token, Method::GET, "/api/sessions", None)
            .await;
        let shown = json_of(list, 200).await["sessions"].as_array().unwrap().clone();
        let ids: Vec<&str> = shown
            .iter()
            .map(|session| session["sessionId"].as_str().unwrap())
            .collect();
        assert_eq!(ids, expected);
    }
}
