//! Who is let in: every kind of caller at every kind of address, with every kind of credential.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};
use switchhook_chassis::clock::ManualClock;
use switchhook_chassis::testing::{TestApp, TokenSpec, json_of};

use crate::mini::{Mini, NO_DATABASE, mini};

/// The status of a request with these headers.
async fn status(app: &TestApp<Mini>, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
    let mut request = app
        .client()
        .request(method.parse().unwrap(), app.url(path))
        .body("{\"name\":\"a\"}");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn each_address_takes_its_kind_of_caller() {
    let app = mini(&[]).await;
    let (user, secret) = (app.user("u"), app.secret().to_owned());
    let presented: BTreeMap<&str, (&str, String)> = BTreeMap::from([
        ("nothing", ("x-nothing", String::new())),
        ("user by bearer", ("authorization", format!("Bearer {user}"))),
        ("user by cookie", ("cookie", format!("access_token={user}"))),
        ("machine by header", ("x-n8n-webhook-secret", secret.clone())),
        ("machine by bearer", ("authorization", format!("bearer {secret}"))),
        ("wrong secret", ("x-n8n-webhook-secret", "wrong".to_owned())),
        ("empty secret", ("x-n8n-webhook-secret", String::new())),
        ("wrong bearer", ("authorization", "Bearer wrong".to_owned())),
        ("wrong cookie", ("cookie", "access_token=wrong".to_owned())),
        ("basic", ("authorization", "Basic dTpw".to_owned())),
    ]);
    let matrix = [
        ("nothing", 401, 401, 401),
        ("user by bearer", 200, 403, 200),
        ("user by cookie", 200, 403, 200),
        ("machine by header", 403, 200, 200),
        ("machine by bearer", 403, 200, 200),
        ("wrong secret", 401, 401, 401),
        ("empty secret", 401, 401, 401),
        ("wrong bearer", 401, 401, 401),
        ("wrong cookie", 401, 401, 401),
        ("basic", 401, 401, 401),
    ];
    for (what, for_users, for_machines, for_both) in matrix {
        let (name, value) = &presented[what];
        let header = [(*name, value.as_str())];
        assert_eq!(
            status(&app, "GET", "/api/mini/whoami", &header).await,
            for_users,
            "{what} at a user's address"
        );
        assert_eq!(
            status(&app, "DELETE", "/api/mini/items/1", &header).await,
            for_machines,
            "{what} at a machine's"
        );
        assert_eq!(
            status(&app, "POST", "/api/mini/hook", &header).await,
            for_machines,
            "{what} at n8n's"
        );
        assert_eq!(
            status(&app, "GET", "/api/mini/caller", &header).await,
            for_both,
            "{what} at one for both"
        );
    }
}

#[tokio::test]
async fn where_several_are_presented_one_decides() {
    let app = mini(&[]).await;
    let (bearer, cookie) = (
        format!("Bearer {}", app.user("b")),
        format!("access_token={}", app.user("c")),
    );
    let at = "/api/mini/caller";
    let all = [
        ("x-n8n-webhook-secret", "wrong"),
        ("authorization", bearer.as_str()),
        ("cookie", cookie.as_str()),
    ];
    assert_eq!(
        status(&app, "GET", at, &all).await,
        401,
        "a wrong secret is not healed by a token"
    );
    let request = app
        .client()
        .get(app.url(at))
        .header("authorization", &bearer)
        .header("cookie", &cookie);
    assert_eq!(
        json_of(request.send().await.unwrap(), 200).await,
        json!({"user": "b"}),
        "bearer wins over cookie"
    );
    let wrong_bearer = [("authorization", "Bearer x.y.z"), ("cookie", cookie.as_str())];
    assert_eq!(
        status(&app, "GET", at, &wrong_bearer).await,
        401,
        "a wrong bearer is not healed by a cookie"
    );
}

#[tokio::test]
async fn a_401_says_how_and_tells_nothing() {
    let app = mini(&[]).await;
    let response = app
        .client()
        .get(app.url("/api/mini/whoami"))
        .bearer_auth("secret-words")
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    let body = json_of(response, 401).await;
    assert_eq!(body["code"], "unauthorized");
    assert!(!body.to_string().contains("secret-words"));
}

#[tokio::test]
async fn a_token_counts_while_the_services_clock_says_so() {
    let start = DateTime::from_timestamp(1_900_000_000, 0).unwrap();
    let clock = ManualClock::at(start);
    let (app, _) = TestApp::<Mini>::start_unready(NO_DATABASE, &[], Arc::new(clock.clone())).await;
    let now = start.timestamp();
    let judge = async |spec: TokenSpec| {
        let request = app
            .client()
            .get(app.url("/api/mini/whoami"))
            .bearer_auth(app.token(&spec));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(judge(TokenSpec::user("u", now + 60)).await, 200);
    assert_eq!(
        judge(TokenSpec::user("u", now - 59)).await,
        200,
        "a minute of leeway"
    );
    assert_eq!(judge(TokenSpec::user("u", now - 60)).await, 401, "expired");
    assert_eq!(
        judge(TokenSpec::user("u", now + 60).with("nbf", now + 61)).await,
        401,
        "not yet"
    );
    assert_eq!(
        judge(TokenSpec::user("u", now + 60).with("exp", Value::Null)).await,
        401,
        "no expiry"
    );
    assert_eq!(judge(TokenSpec::user("", now + 60)).await, 401, "no subject");
    assert_eq!(
        judge(TokenSpec::user("u", now + 60).with("sub", 7)).await,
        401,
        "a number as subject"
    );
    clock.advance(TimeDelta::seconds(120));
    assert_eq!(
        judge(TokenSpec::user("u", now + 60)).await,
        401,
        "the clock has moved on"
    );
}

#[tokio::test]
async fn issuer_and_audience_are_checked_where_configured() {
    let app = mini(&[("JWT_ISSUER", "https://id/"), ("JWT_AUDIENCE", "calls")]).await;
    let judge = async |spec: TokenSpec| {
        let request = app
            .client()
            .get(app.url("/api/mini/whoami"))
            .bearer_auth(app.token(&spec));
        request.send().await.unwrap().status().as_u16()
    };
    let spec = TokenSpec::user("u", 4_000_000_000)
        .with("iss", "https://id/")
        .with("aud", json!(["x", "calls"]));
    assert_eq!(judge(spec.clone()).await, 200);
    assert_eq!(judge(spec.clone().with("iss", "https://evil/")).await, 401);
    assert_eq!(judge(spec.clone().with("aud", "other")).await, 401);
    assert_eq!(judge(spec.with("aud", Value::Null)).await, 401);
}

#[tokio::test]
async fn the_user_is_what_the_token_says() {
    let app = mini(&[]).await;
    let spec = TokenSpec::user("auth0|é", 4_000_000_000)
        .with("role", json!(["operator", "x"]))
        .with("email", Value::Null);
    let request = app
        .client()
        .get(app.url("/api/mini/whoami"))
        .bearer_auth(app.token(&spec));
    let expected = json!({"id": "auth0|é", "email": null, "roles": ["operator", "x"]});
    assert_eq!(json_of(request.send().await.unwrap(), 200).await, expected);
}

#[tokio::test]
async fn several_secrets_have_names() {
    let app = mini(&[(
        "WEBHOOK_SECRETS",
        "old:first-secret-of-length,n8n:second-secret-of-length,third-secret-of-length",
    )])
    .await;
    for (secret, name) in [
        ("first-secret-of-length", "old"),
        ("second-secret-of-length", "n8n"),
        ("third-secret-of-length", "default"),
    ] {
        let request = app
            .client()
            .get(app.url("/api/mini/caller"))
            .header("x-n8n-webhook-secret", secret);
        assert_eq!(
            json_of(request.send().await.unwrap(), 200).await,
            json!({"machine": name})
        );
    }
    assert_eq!(
        status(
            &app,
            "GET",
            "/api/mini/caller",
            &[("x-n8n-webhook-secret", "n8n:second-secret-of-length")]
        )
        .await,
        401
    );
}

#[tokio::test]
async fn without_authentication_only_n8ns_posts_are_open() {
    let app = mini(&[("WEBHOOK_AUTH", "off")]).await;
    let user = format!("Bearer {}", app.user("u"));
    assert_eq!(
        status(&app, "POST", "/api/mini/hook", &[]).await,
        200,
        "a post of n8n"
    );
    assert_eq!(
        status(
            &app,
            "POST",
            "/api/mini/hook",
            &[("x-n8n-webhook-secret", app.secret())]
        )
        .await,
        200
    );
    assert_eq!(
        status(
            &app,
            "POST",
            "/api/mini/hook",
            &[("x-n8n-webhook-secret", "wrong")]
        )
        .await,
        401,
        "wrong is wrong"
    );
    assert_eq!(
        status(&app, "POST", "/api/mini/hook", &[("authorization", &user)]).await,
        403,
        "a user is no machine"
    );
    assert_eq!(
        status(&app, "GET", "/api/mini/hook-read", &[]).await,
        401,
        "never a read"
    );
    assert_eq!(
        status(&app, "DELETE", "/api/mini/items/1", &[]).await,
        401,
        "never an erasure"
    );
    assert_eq!(status(&app, "GET", "/api/mini/caller", &[]).await, 401);
}

#[tokio::test]
async fn a_machine_has_a_rate_where_configured_each_by_its_name() {
    let secrets = "one:first-secret-of-length,two:second-secret-of-length";
    let app = mini(&[("WEBHOOK_SECRETS", secrets), ("MACHINE_RATE", "5")]).await;
    let get = async |secret: &str| {
        let request = app
            .client()
            .get(app.url("/api/mini/caller"))
            .header("x-n8n-webhook-secret", secret);
        request.send().await.unwrap()
    };
    let mut refused = None;
    for _ in 0..30 {
        let response = get("first-secret-of-length").await;
        if response.status() == 429 {
            refused = Some(response);
            break;
        }
    }
    let refused = refused.expect("thirty at once are more than five a second");
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(json_of(refused, 429).await["code"], "rate_limited");
    assert_eq!(
        get("second-secret-of-length").await.status(),
        200,
        "another machine has its own"
    );
}
