//! Every input that is wrong gets a clean 4xx in the one shape, and its code says what is wrong.

use std::time::Duration;

use serde_json::{Value, json};
use switchhook_chassis::testing::TestApp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::mini::{Mini, mini};

/// More than the time that a client is given to leave.
const CLOSED_WITHIN: Duration = Duration::from_secs(15);

/// A failure has exactly this shape; gives its body.
async fn refused(response: reqwest::Response, status: u16, code: &str, what: &str) -> Value {
    let (actual, headers) = (response.status().as_u16(), response.headers().clone());
    let body: Value = response
        .json()
        .await
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(
        (actual, body["code"].as_str()),
        (status, Some(code)),
        "{what}: {body}"
    );
    assert_eq!(body["success"], false, "{what}");
    assert!(
        body["error"]
            .as_str()
            .is_some_and(|sentence| !sentence.is_empty()),
        "{what}"
    );
    assert_eq!(headers["content-type"], "application/json", "{what}");
    assert!(headers.contains_key("x-request-id"), "{what}");
    body
}

async fn post(
    app: &TestApp<Mini>,
    path: &str,
    content_type: Option<&str>,
    body: impl Into<reqwest::Body>,
) -> reqwest::Response {
    let mut request = app
        .client()
        .post(app.url(path))
        .bearer_auth(app.user("u"))
        .body(body);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn bodies_that_are_no_json_are_told_where() {
    let app = mini(&[]).await;
    let nested = "[".repeat(50_000);
    let cases: [(&str, &[u8]); 16] = [
        ("open object", b"{"),
        ("trailing comma", b"{\"name\":\"a\",}"),
        ("single quotes", b"{'name':'a'}"),
        ("two values", b"{} {}"),
        ("bare word", b"name"),
        ("form", b"name=a"),
        ("control character", b"{\"name\":\"a\nb\"}"),
        ("bad escape", b"{\"name\":\"\\x\"}"),
        ("lone surrogate", b"{\"name\":\"\\ud800\"}"),
        ("not UTF-8", b"{\"name\":\"\xff\"}"),
        ("number out of range", b"{\"count\":1e999}"),
        ("NaN", b"{\"count\":NaN}"),
        ("leading zero", b"{\"count\":007}"),
        ("byte order mark", b"\xef\xbb\xbf{}"),
        ("U+0000", b"\0"),
        ("deep nesting", nested.as_bytes()),
    ];
    for (what, body) in cases {
        let response = post(&app, "/api/mini/items", Some("application/json"), body.to_vec()).await;
        let body = refused(response, 400, "invalid_json", what).await;
        let sentence = body["error"].as_str().unwrap();
        assert!(
            sentence.contains("line ") && sentence.contains("column "),
            "{what}: {sentence}"
        );
    }
}

#[tokio::test]
async fn only_an_object_is_a_body() {
    let app = mini(&[]).await;
    for body in ["[]", "\"text\"", "7", "null", "true", "[{\"name\":\"a\"}]"] {
        let response = post(&app, "/api/mini/items", Some("application/json"), body).await;
        refused(response, 400, "invalid_json", body).await;
    }
}

#[tokio::test]
async fn wrong_fields_are_named_all_at_once() {
    let app = mini(&[]).await;
    let cases = [
        (json!({}), vec![("name", "name is required")]),
        (json!({"name": null}), vec![("name", "name is required")]),
        (json!({"name": ""}), vec![("name", "name must not be empty")]),
        (json!({"name": 7}), vec![("name", "name must be text")]),
        (
            json!({"name": "a".repeat(11)}),
            vec![("name", "name must have at most 10 characters")],
        ),
        (
            json!({"name": "a\u{0}"}),
            vec![("name", "name must not contain U+0000")],
        ),
        (
            json!({"name": "a", "count": 0}),
            vec![("count", "count must be a whole number from 1 to 5")],
        ),
        (
            json!({"name": "a", "count": "x"}),
            vec![("count", "count must be a whole number from 1 to 5")],
        ),
        (
            json!({"name": "a", "count": 1.5}),
            vec![("count", "count must be a whole number from 1 to 5")],
        ),
        (
            json!({"name": "a", "count": [1]}),
            vec![("count", "count must be a whole number from 1 to 5")],
        ),
        (
            json!({"count": 9}),
            vec![
                ("count", "count must be a whole number from 1 to 5"),
                ("name", "name is required"),
            ],
        ),
    ];
    for (sent, faults) in cases {
        let what = sent.to_string();
        let body = refused(
            post(&app, "/api/mini/items", None, what.clone()).await,
            400,
            "invalid_field",
            &what,
        )
        .await;
        let expected: serde_json::Map<_, _> = faults
            .iter()
            .map(|(name, why)| ((*name).into(), json!(why)))
            .collect();
        assert_eq!(body["fields"], Value::Object(expected), "{what}");
        if let [(_, why)] = faults[..] {
            assert_eq!(body["error"], why);
        }
    }
}

#[tokio::test]
async fn types_that_are_not_json_are_refused() {
    let app = mini(&[]).await;
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/jsonp",
        "application/json; charset=iso-8859-1",
        "json",
    ] {
        let response = post(&app, "/api/mini/items", Some(content_type), "{\"name\":\"a\"}").await;
        refused(response, 415, "unsupported_media_type", content_type).await;
    }
    for encoding in ["gzip", "br", "deflate", "x"] {
        let request = app
            .client()
            .post(app.url("/api/mini/items"))
            .bearer_auth(app.user("u"));
        let response = request
            .header("content-encoding", encoding)
            .body("{}")
            .send()
            .await
            .unwrap();
        refused(response, 415, "unsupported_media_type", encoding).await;
    }
}

#[tokio::test]
async fn what_is_json_by_another_name_is_read() {
    let app = mini(&[]).await;
    for content_type in [
        None,
        Some("application/json; charset=utf-8"),
        Some("application/webhook+json"),
        Some("Application/JSON"),
    ] {
        let response = post(
            &app,
            "/api/mini/items",
            content_type,
            "{\"name\":\"a\",\"count\":\"5\",\"more\":{}}",
        )
        .await;
        assert_eq!(response.status(), 201, "{content_type:?}");
    }
    let empty = post(&app, "/api/mini/items", None, "").await;
    assert_eq!(
        refused(empty, 400, "invalid_field", "empty body").await["error"],
        "name is required"
    );
}

#[tokio::test]
async fn a_body_has_a_bound_announced_or_not() {
    let app = mini(&[("MAX_BODY_BYTES", "2048")]).await;
    let large = vec![b' '; 4096];
    let body = refused(
        post(&app, "/api/mini/items", None, large.clone()).await,
        413,
        "payload_too_large",
        "announced",
    )
    .await;
    assert_eq!(body["limitBytes"], 2048);
    let chunks = futures_util::stream::iter((0..8).map(|_| Ok::<_, std::io::Error>(vec![b' '; 512])));
    let streamed = post(&app, "/api/mini/items", None, reqwest::Body::wrap_stream(chunks)).await;
    refused(streamed, 413, "payload_too_large", "in chunks").await;
    let huge = post(&app, "/api/mini/items", None, vec![b' '; 8 * 1024 * 1024]).await;
    refused(huge, 413, "payload_too_large", "huge").await;
    let own = post(
        &app,
        "/api/mini/big",
        None,
        [&large[..], b"{\"name\":\"a\"}"].concat(),
    )
    .await;
    assert_eq!(own.status(), 201, "an address may have a bound of its own");
}

#[tokio::test]
async fn parameters_are_judged_like_fields() {
    let app = mini(&[]).await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=-1", "limit"),
        ("limit=5&limit=6", "limit"),
        ("cursor=", "cursor"),
        ("cursor=a%00", "cursor"),
        ("days=0", "days"),
        ("days=%ff", "days"),
        ("days=%zz", "days"),
        ("days=7%", "days"),
    ] {
        let request = app.client().get(app.url(&format!("/api/mini/items?{query}")));
        let body = refused(
            request.bearer_auth(app.user("u")).send().await.unwrap(),
            400,
            "invalid_field",
            query,
        )
        .await;
        assert!(body["fields"][field].is_string(), "{query}: {body}");
    }
}

#[tokio::test]
async fn wrong_addresses_and_methods_are_told() {
    let app = mini(&[]).await;
    for path in [
        "/nothing",
        "/api/mini",
        "/api/mini/items/",
        "//api/mini/items",
        "/api/mini/items/x",
        "/api/mini/items/-1",
        "/api/mini/items/99999999999999",
        "/api/mini/items/1%00",
        "/api/mini/items/%ff",
        "/api/mini/items/%zz",
        "/assets/../Cargo.toml",
        "/assets/%2e%2e/Cargo.toml",
        "/assets/",
        "/docs/nothing.js",
    ] {
        let response = raw(
            &app,
            &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        )
        .await;
        assert!(response.starts_with("HTTP/1.1 404 "), "{path}: {response}");
        assert!(response.contains("\"code\":\"not_found\""), "{path}: {response}");
    }
    for (method, path, allow) in [
        ("DELETE", "/api/mini/items", "GET, HEAD, POST"),
        ("PUT", "/api/mini/items/1", "GET, HEAD, DELETE"),
        ("GET", "/api/mini/hook", "POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("PATCH", "/", "GET, HEAD"),
        ("OPTIONS", "/page.json", "GET, HEAD"),
        ("BREW", "/sign-in", "POST"),
    ] {
        let request = app.client().request(method.parse().unwrap(), app.url(path));
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["allow"], allow, "{method} {path}");
        refused(response, 405, "method_not_allowed", path).await;
    }
}

#[tokio::test]
async fn requests_that_are_no_http_get_a_4xx_and_never_more() {
    let app = mini(&[]).await;
    for request in [
        "GARBAGE\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /nothing here HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
        "POST /api/mini/hook HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        "POST /api/mini/hook HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        &format!("GET / HTTP/1.1\r\nHost: x\r\nx: {}\r\n\r\n", "a".repeat(300_000)),
    ] {
        let response = raw(&app, request).await;
        let shown: String = request.chars().take(60).collect();
        assert!(response.starts_with("HTTP/1.1 4"), "{shown}: {response}");
    }
}

#[tokio::test]
async fn a_chunked_body_that_lies_is_a_400() {
    let app = mini(&[]).await;
    let head = format!(
        "POST /api/mini/hook HTTP/1.1\r\nHost: x\r\nx-n8n-webhook-secret: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        app.secret()
    );
    let response = raw(&app, &format!("{head}zz\r\n{{}}\r\n0\r\n\r\n")).await;
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
}

/// An early answer, while the client neither sends the rest nor leaves.
#[tokio::test]
async fn a_body_that_nobody_reads_to_its_end_ends_its_connection() {
    let app = mini(&[("MAX_BODY_BYTES", "1024")]).await;
    let large = "x".repeat(4096);
    let chunk = format!("{:x}\r\n{large}\r\n", large.len());
    for (path, head, body) in [
        ("/api/mini/hook", "Transfer-Encoding: chunked", chunk.as_str()),
        ("/api/mini/hook", "Content-Length: 1000000", large.as_str()),
        ("/nothing-here", "Transfer-Encoding: chunked", chunk.as_str()),
        ("/nothing-here", "Transfer-Encoding: chunked", ""),
    ] {
        let secret = app.secret();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nx-n8n-webhook-secret: {secret}\r\nContent-Type: application/json\r\n\
             {head}\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(app.addr()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let ending = tokio::time::timeout(CLOSED_WITHIN, stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("HTTP/1.1 4"), "{path} {head}: {answer}");
        assert!(ending.is_ok(), "{path} {head} keeps its connection: {answer}");
    }
}

#[tokio::test]
async fn errors_of_other_origin_get_the_common_shape_and_lose_their_words() {
    let app = mini(&[]).await;
    let foreign = app
        .client()
        .get(app.url("/api/mini/foreign-error"))
        .send()
        .await
        .unwrap();
    let body = refused(foreign, 400, "invalid_request", "foreign error").await;
    assert!(!body["error"].as_str().unwrap().contains("another crate"));
    let crash = app.client().get(app.url("/api/mini/panic")).send().await.unwrap();
    let body = refused(crash, 500, "internal", "panic").await;
    assert!(!body["error"].as_str().unwrap().contains("internals"));
    let alive = app.client().get(app.url("/healthz")).send().await.unwrap();
    assert_eq!(alive.status(), 200, "a crash costs its own request and no more");
}

#[tokio::test]
async fn n8n_may_wrap_what_it_sends() {
    let app = mini(&[]).await;
    let bare = json!({"name": "a"});
    let item = json!({"headers": {}, "params": {}, "query": {}, "body": bare});
    for body in [bare.clone(), json!([bare]), item.clone(), json!([item])] {
        let request = app
            .client()
            .post(app.url("/api/mini/hook"))
            .header("x-n8n-webhook-secret", app.secret());
        let response = request.json(&body).send().await.unwrap();
        assert_eq!(response.status(), 200, "{body}");
    }
    let two = app
        .client()
        .post(app.url("/api/mini/hook"))
        .header("x-n8n-webhook-secret", app.secret());
    refused(
        two.json(&json!([bare, bare])).send().await.unwrap(),
        400,
        "invalid_json",
        "two objects",
    )
    .await;
}

/// What comes back for bytes that no client library would send.
pub(crate) async fn raw(app: &TestApp<Mini>, request: &str) -> String {
    let mut stream = TcpStream::connect(app.addr()).await.unwrap();
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let reading = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..read]);
            if answer.starts_with(b"HTTP/1.1 ")
                && answer.windows(4).any(|window| window == b"\r\n\r\n")
                && read < buffer.len()
            {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(15), reading)
        .await
        .expect("an answer in time");
    String::from_utf8_lossy(&answer).into_owned()
}
