//! What surrounds every request: ids, traces, addresses, headers, figures.

use switchhook_chassis::testing::{TestApp, json_of};

use crate::malformed::raw;
use crate::mini::{Mini, mini};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test]
async fn a_request_id_is_taken_when_sane_and_always_returned() {
    let app = mini(&[]).await;
    let id = async |path: &str, given: &str| {
        let request = app.client().get(app.url(path)).header("x-request-id", given);
        request.send().await.unwrap().headers()["x-request-id"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    for path in ["/healthz", "/nothing", "/api/mini/whoami", "/api/mini/panic", "/"] {
        assert_eq!(id(path, "trace.me-1_A").await, "trace.me-1_A", "{path}");
        for insane in ["", "a b", "<script>", &"a".repeat(129)] {
            let made = id(path, insane).await;
            assert!(
                made.len() == 32 && made.bytes().all(|b| b.is_ascii_hexdigit()),
                "{path} {insane}: {made}"
            );
        }
    }
}

#[tokio::test]
async fn a_trace_is_continued_or_begun() {
    let app = mini(&[]).await;
    let position = async |parent: Option<&str>| {
        let mut request = app.client().get(app.url("/api/mini/place"));
        if let Some(parent) = parent {
            request = request.header("traceparent", parent);
        }
        let body = json_of(request.send().await.unwrap(), 200).await;
        body["traceparent"].as_str().unwrap().to_owned()
    };
    let continued = position(Some(PARENT)).await;
    assert_eq!(continued[..36], PARENT[..36], "the same trace");
    assert_ne!(continued[36..], PARENT[36..], "another position");
    let begun = position(None).await;
    assert_ne!(begun, position(Some("rubbish")).await);
    assert!(begun.starts_with("00-") && begun.len() == PARENT.len());
}

#[tokio::test]
async fn the_client_is_whom_a_trusted_proxy_names() {
    let seen = async |app: &TestApp<Mini>| {
        let request = app
            .client()
            .get(app.url("/api/mini/place"))
            .header("x-forwarded-for", "1.1.1.1, 198.51.100.7");
        json_of(request.send().await.unwrap(), 200).await["client"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(seen(&mini(&[]).await).await, "127.0.0.1");
    assert_eq!(
        seen(&mini(&[("TRUSTED_PROXIES", "127.0.0.0/8")]).await).await,
        "198.51.100.7"
    );
}

#[tokio::test]
async fn the_next_page_has_an_absolute_url() {
    let next = async |app: &TestApp<Mini>| {
        let request = app
            .client()
            .get(app.url("/api/mini/items?days=7&cursor=old&limit=2"))
            .bearer_auth(app.user("u"));
        json_of(request.send().await.unwrap(), 200).await["next"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let app = mini(&[]).await;
    let expected = |base: &str| format!("{base}/api/mini/items?days=7&limit=2&cursor=n%2F2");
    assert_eq!(next(&app).await, expected(&format!("http://{}", app.addr())));
    let public = mini(&[("PUBLIC_URL", "https://calls.example.com/")]).await;
    assert_eq!(next(&public).await, expected("https://calls.example.com"));
}

#[tokio::test]
async fn every_answer_carries_the_common_headers() {
    let app = mini(&[]).await;
    for path in [
        "/",
        "/healthz",
        "/nothing",
        "/api/mini/whoami",
        "/page.json",
        "/docs/",
        "/assets/app.js",
    ] {
        let response = app.client().get(app.url(path)).send().await.unwrap();
        assert_eq!(response.headers()["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(response.headers()["referrer-policy"], "no-referrer", "{path}");
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("script-src 'self' 'unsafe"), "{path}: {policy}");
        assert!(response.headers().contains_key("cache-control"), "{path}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_pattern_and_never_by_what_people_send() {
    let app = mini(&[]).await;
    let get = async |path: &str| app.client().get(app.url(path)).send().await.unwrap();
    get("/api/mini/items/4711").await;
    get("/secret-path-of-a-user?token=secret-query").await;
    app.client()
        .delete(app.url("/api/mini/items/4711"))
        .send()
        .await
        .unwrap();
    raw(&app, "INVENTED /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let metrics = get("/metrics").await;
    assert_eq!(
        metrics.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let text = metrics.text().await.unwrap();
    for line in [
        r#"http_requests_total{route="/api/mini/items/{id}",method="GET",status="200"} "#,
        r#"http_requests_total{route="/api/mini/items/{id}",method="DELETE",status="401"} "#,
        r#"http_requests_total{route="unmatched",method="GET",status="404"} "#,
        r#"http_requests_total{route="/healthz",method="other",status="405"} "#,
        r#"http_request_duration_seconds_bucket{route="/api/mini/items/{id}",method="GET",status="200",le="0.005"} "#,
        r#"db_pool_connections{state="idle"} 0"#,
        r#"db_pool_max_connections 4"#,
        r#"build_info{service="mini-svc",version="1.2.3"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    for never in ["4711", "secret-path", "secret-query", "INVENTED"] {
        assert!(!text.contains(never), "{never}");
    }
}
