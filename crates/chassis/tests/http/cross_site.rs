//! Writes that the cookie authenticates, the sign-in itself, and what other sites' scripts may do.

use switchhook_chassis::testing::{TestApp, json_of};

use crate::mini::{Mini, mini};

/// `POST` to an address for users and machines with these headers and, unless given, the user's cookie.
async fn write(app: &TestApp<Mini>, headers: &[(&str, &str)]) -> (u16, String) {
    let mut request = app.client().post(app.url("/api/mini/caller"));
    if !headers.iter().any(|(name, _)| *name == "authorization") {
        request = request.header("cookie", format!("access_token={}", app.user("u")));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body: serde_json::Value = response.json().await.unwrap();
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_write_by_cookie_comes_from_our_own_pages() {
    let app = mini(&[("PUBLIC_URL", "https://calls.example.com/base")]).await;
    let own = format!("http://{}", app.addr());
    let fine = (200, String::new());
    let refused = (403, "cross_site_request".to_owned());
    assert_eq!(write(&app, &[]).await, fine, "curl says nothing");
    assert_eq!(write(&app, &[("sec-fetch-site", "same-origin")]).await, fine);
    assert_eq!(
        write(
            &app,
            &[
                ("sec-fetch-site", "same-origin"),
                ("origin", "https://evil.example")
            ]
        )
        .await,
        fine
    );
    assert_eq!(
        write(&app, &[("origin", "https://calls.example.com")]).await,
        fine
    );
    assert_eq!(write(&app, &[("origin", &own)]).await, fine);
    for site in ["cross-site", "same-site", "none"] {
        assert_eq!(write(&app, &[("sec-fetch-site", site)]).await, refused, "{site}");
        assert_eq!(
            write(&app, &[("sec-fetch-site", site), ("origin", &own)]).await,
            refused,
            "{site} with our origin"
        );
    }
    for origin in [
        "https://evil.example",
        "http://calls.example.com",
        "null",
        "https://calls.example.com.evil.example",
    ] {
        assert_eq!(write(&app, &[("origin", origin)]).await, refused, "{origin}");
    }
}

#[tokio::test]
async fn a_token_in_a_header_is_no_ambient_authority() {
    let app = mini(&[]).await;
    let bearer = format!("Bearer {}", app.user("u"));
    let (status, _) = write(
        &app,
        &[("authorization", &bearer), ("sec-fetch-site", "cross-site")],
    )
    .await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn reads_by_cookie_are_free() {
    let app = mini(&[]).await;
    let request = app
        .client()
        .get(app.url("/api/mini/whoami"))
        .header("sec-fetch-site", "cross-site");
    let response = request
        .header("cookie", format!("access_token={}", app.user("u")))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn a_wrong_cookie_is_a_401_wherever_it_comes_from() {
    let app = mini(&[]).await;
    let request = app
        .client()
        .post(app.url("/api/mini/caller"))
        .header("sec-fetch-site", "cross-site");
    assert_eq!(
        request
            .header("cookie", "access_token=x")
            .send()
            .await
            .unwrap()
            .status(),
        401
    );
}

#[tokio::test]
async fn a_link_signs_in_where_that_is_on() {
    let app = mini(&[("DEV_SIGN_IN", "true")]).await;
    for folder in ["", "/minis"] {
        let token = app.user("u");
        let sign_in = app
            .client()
            .post(app.url(&format!("{folder}/sign-in")))
            .json(&serde_json::json!({"token": token}));
        let response = sign_in.send().await.unwrap();
        let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
        assert_eq!(json_of(response, 200).await["user"]["id"], "u");
        assert!(
            cookie.starts_with(&format!("access_token={token}; Path=/; Max-Age=")),
            "{cookie}"
        );
        assert!(
            cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Lax"),
            "{cookie}"
        );
        assert!(!cookie.contains("Secure"), "plain http could not keep it");
        let whoami = app
            .client()
            .get(app.url("/api/mini/whoami"))
            .header("cookie", format!("access_token={token}"));
        assert_eq!(whoami.send().await.unwrap().status(), 200);
        let out = app
            .client()
            .post(app.url(&format!("{folder}/sign-out")))
            .send()
            .await
            .unwrap();
        assert_eq!(out.status(), 200);
        assert!(
            out.headers()["set-cookie"]
                .to_str()
                .unwrap()
                .starts_with("access_token=; Path=/; Max-Age=0;")
        );
    }
}

#[tokio::test]
async fn a_sign_in_is_refused_for_what_is_wrong_with_it() {
    let app = mini(&[
        ("DEV_SIGN_IN", "true"),
        ("PUBLIC_URL", "https://calls.example.com"),
    ])
    .await;
    let post = async |body: String, site: &str| {
        let request = app
            .client()
            .post(app.url("/sign-in"))
            .header("sec-fetch-site", site)
            .body(body);
        let response = request.send().await.unwrap();
        (
            response.status().as_u16(),
            response.headers().contains_key("set-cookie"),
        )
    };
    let good = serde_json::json!({"token": app.user("u")}).to_string();
    assert_eq!(post(good.clone(), "same-origin").await, (200, true));
    assert_eq!(
        post(good, "cross-site").await,
        (403, false),
        "nobody is signed in by another site"
    );
    assert_eq!(
        post("{\"token\":\"x\"}".into(), "same-origin").await,
        (401, false)
    );
    assert_eq!(post("{}".into(), "same-origin").await, (400, false));
    let secret = serde_json::json!({"token": app.secret()}).to_string();
    assert_eq!(
        post(secret, "same-origin").await,
        (401, false),
        "a machine's secret is no token"
    );
}

#[tokio::test]
async fn behind_https_the_cookie_stays_there() {
    let app = mini(&[
        ("DEV_SIGN_IN", "true"),
        ("PUBLIC_URL", "https://calls.example.com"),
    ])
    .await;
    let request = app
        .client()
        .post(app.url("/sign-in"))
        .json(&serde_json::json!({"token": app.user("u")}));
    let response = request.send().await.unwrap();
    assert!(
        response.headers()["set-cookie"]
            .to_str()
            .unwrap()
            .ends_with("; Secure")
    );
}

#[tokio::test]
async fn without_dev_sign_in_there_is_no_sign_in() {
    let app = mini(&[]).await;
    for body in [
        serde_json::json!({"token": app.user("u")}).to_string(),
        "{".to_owned(),
    ] {
        let response = app
            .client()
            .post(app.url("/sign-in"))
            .body(body)
            .send()
            .await
            .unwrap();
        assert!(!response.headers().contains_key("set-cookie"));
        assert_eq!(json_of(response, 404).await["code"], "not_found");
    }
}

#[tokio::test]
async fn other_sites_may_call_where_allowed_and_never_with_cookies() {
    let app = mini(&[("CORS_ALLOWED_ORIGINS", "https://app.example.com")]).await;
    let preflight = async |origin: &str| {
        let request = app
            .client()
            .request(reqwest::Method::OPTIONS, app.url("/api/mini/items"));
        let request = request
            .header("origin", origin)
            .header("access-control-request-method", "POST");
        request
            .header("access-control-request-headers", "authorization,content-type")
            .send()
            .await
            .unwrap()
    };
    let allowed = preflight("https://app.example.com").await;
    assert_eq!(allowed.status(), 200);
    assert_eq!(
        allowed.headers()["access-control-allow-origin"],
        "https://app.example.com"
    );
    assert!(!allowed.headers().contains_key("access-control-allow-credentials"));
    let refused = preflight("https://evil.example").await;
    assert!(!refused.headers().contains_key("access-control-allow-origin"));
    assert!(refused.status().is_client_error());
    assert_eq!(
        refused.json::<serde_json::Value>().await.unwrap()["success"],
        false
    );
    let request = app
        .client()
        .get(app.url("/api/mini/whoami"))
        .bearer_auth(app.user("u"));
    let answer = request
        .header("origin", "https://app.example.com")
        .send()
        .await
        .unwrap();
    assert_eq!(
        answer.headers()["access-control-allow-origin"],
        "https://app.example.com"
    );
    assert!(
        answer.headers()["access-control-expose-headers"]
            .to_str()
            .unwrap()
            .contains("x-request-id")
    );
    let own = format!("http://{}", app.addr());
    let fine = (200, String::new());
    assert_eq!(
        write(&app, &[("origin", &own)]).await,
        fine,
        "our own pages need no permission"
    );
}

#[tokio::test]
async fn without_allowed_origins_nothing_is_said_about_them() {
    let app = mini(&[]).await;
    let request = app
        .client()
        .get(app.url("/api/mini/whoami"))
        .bearer_auth(app.user("u"));
    let answer = request
        .header("origin", "https://app.example.com")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert!(
        !answer
            .headers()
            .keys()
            .any(|name| name.as_str().starts_with("access-control-"))
    );
}

#[tokio::test]
async fn any_origin_is_a_star_without_credentials() {
    let app = mini(&[("CORS_ALLOWED_ORIGINS", "*")]).await;
    let request = app
        .client()
        .get(app.url("/api/mini/whoami"))
        .bearer_auth(app.user("u"));
    let answer = request
        .header("origin", "https://any.example")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    assert!(!answer.headers().contains_key("access-control-allow-credentials"));
}
