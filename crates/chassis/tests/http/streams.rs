//! Server-Sent Events over a real connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use futures_util::StreamExt;
use switchhook_chassis::clock::{Clock, ManualClock, SystemClock};
use switchhook_chassis::testing::{TestApp, TokenSpec, eventually};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::mini::{Mini, NO_DATABASE, mini};

async fn open(app: &TestApp<Mini>, token: &str) -> reqwest::Response {
    let request = app.client().get(app.url("/api/mini/events")).bearer_auth(token);
    request.header("last-event-id", "41").send().await.unwrap()
}

/// Everything up to the end of the stream, which must come by itself.
async fn until_its_end(response: reqwest::Response) -> String {
    let reading = async {
        let mut chunks = response.bytes_stream();
        let mut text = String::new();
        while let Some(chunk) = chunks.next().await {
            text.push_str(&String::from_utf8_lossy(
                &chunk.expect("the stream ends in order"),
            ));
        }
        text
    };
    tokio::time::timeout(Duration::from_secs(9), reading)
        .await
        .expect("the stream ends in time")
}

#[tokio::test]
async fn a_stream_begins_at_once_and_ends_with_the_token() {
    let app = mini(&[]).await;
    let exp = SystemClock.now().timestamp() + 2;
    let response = open(&app, &app.token(&TokenSpec::user("u", exp))).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(
        until_its_end(response).await,
        "event: mini\nid: 1\ndata: {\"last\":\"41\"}\n\n"
    );
    assert!(SystemClock.now().timestamp() >= exp, "not before its time");
}

#[tokio::test]
async fn an_expired_token_within_its_leeway_opens_a_stream_that_is_over() {
    let clock = ManualClock::at(DateTime::from_timestamp(1_900_000_000, 0).unwrap());
    let (app, _) = TestApp::<Mini>::start_unready(NO_DATABASE, &[], Arc::new(clock.clone())).await;
    let token = app.token(&TokenSpec::user("u", clock.now().timestamp() + 30));
    clock.advance(TimeDelta::seconds(60));
    assert_eq!(until_its_end(open(&app, &token).await).await, "");
}

#[tokio::test]
async fn a_stop_ends_every_stream() {
    let app = mini(&[]).await;
    let response = open(&app, &app.user("u")).await;
    app.begin_stop();
    assert!(until_its_end(response).await.starts_with("event: mini\n"));
}

#[tokio::test]
async fn head_tells_of_a_stream_without_beginning_it() {
    let app = mini(&[]).await;
    let response = app
        .client()
        .head(app.url("/api/mini/events"))
        .bearer_auth(app.user("u"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            response.status().as_u16(),
            response.headers()["content-type"].to_str().unwrap()
        ),
        (200, "text/event-stream")
    );
    let again = app.client().head(app.url("/healthz")).send().await.unwrap();
    assert_eq!(again.headers()["content-length"], "15");
    assert_eq!(again.text().await.unwrap(), "");
}

#[tokio::test]
async fn a_reader_who_does_not_read_is_not_written_for() {
    // What the kernel buffers of a loopback connection may hold, and some more.
    const BUFFERS: usize = 32 * 1024 * 1024;
    let app = mini(&[]).await;
    let mut stream = TcpStream::connect(app.addr()).await.unwrap();
    let token = app.user("u");
    let request = format!("GET /api/mini/flood HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut last, mut unchanged) = (0, 0);
    let asked_for = eventually(
        || {
            let now = app.state().flooded.load(Ordering::SeqCst);
            unchanged = if now > 0 && now == last { unchanged + 1 } else { 0 };
            last = now;
            std::future::ready((unchanged >= 30).then_some(now))
        },
        Duration::from_secs(15),
    )
    .await;
    assert!(asked_for < BUFFERS, "{asked_for} bytes were made for nobody");
    let other = app.client().get(app.url("/healthz")).send().await.unwrap();
    assert_eq!(other.status(), 200, "others are served meanwhile");
    drop(stream);
}
