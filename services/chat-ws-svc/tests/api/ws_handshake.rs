//! Who may connect, and what whoever may not is told.

use futures_util::SinkExt;
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::ws_client::{App, Door, SOON, Visitor, replica, silent_bot};

const CHANNELS: &str = r#"{"default":{"n8nUrl":"http://127.0.0.1:9/webhook/chat","origins":"https://a.example"},
    "acme":{"n8nUrl":"http://127.0.0.1:9/webhook/acme","origins":["https://acme.example"]}}"#;

/// Sends bytes and gives everything that is answered until the connection ends.
async fn raw(app: &App, bytes: &[u8]) -> String {
    let mut tcp = TcpStream::connect(app.state().ws_addr().unwrap()).await.unwrap();
    tcp.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(SOON, tcp.read_to_end(&mut answer))
        .await
        .expect("it ends in time")
        .unwrap();
    String::from_utf8(answer).unwrap()
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_visitor_is_told_his_chat_first_of_all(pool: PgPool) {
    let app = replica(&pool, &silent_bot(), &[]).await;
    let visitor = Visitor::new(&app).await;
    let (session, token) = (visitor.session.as_str(), visitor.token.as_str());
    assert_eq!(
        visitor.greeting,
        json!({"type": "session", "sessionId": session, "resumeToken": token, "resumed": false, "mode": "bot"})
    );
    let (time, random) = session.strip_prefix("cw-").unwrap().split_once('-').unwrap();
    assert!(time.parse::<u64>().is_ok() && random.len() >= 16, "{session}");
    assert!(
        token.len() == 64 && token.bytes().all(|b| b.is_ascii_hexdigit()),
        "{token}"
    );
    let kept: String = sqlx::query_scalar("SELECT row_to_json(s)::text FROM chat.sessions s")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(
        kept.contains(session) && !kept.contains(token),
        "the token itself is not kept: {kept}"
    );
    assert_eq!(Visitor::new(&app).await.token.len(), 64);
    // Both addresses are the same, whether or not protocols are offered.
    Door::new()
        .query("?channel=default")
        .resume("nonsense")
        .enter(&app)
        .await;
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn foreign_web_sites_and_unknown_channels_are_closed_with_1008(pool: PgPool) {
    let app = replica(&pool, &silent_bot(), &[("CHAT_CHANNELS", CHANNELS)]).await;
    let own = format!("http://127.0.0.1:{}", app.addr().port());
    for (query, origin, welcome) in [
        ("", None, true),
        ("", Some("https://a.example"), true),
        ("", Some(own.as_str()), true),
        ("?channel=acme", Some("https://acme.example"), true),
        ("", Some("https://acme.example"), false),
        ("?channel=acme", Some("https://a.example"), false),
        ("", Some("null"), false),
        ("?channel=nobody", None, false),
        ("?channel=a%20b", None, false),
    ] {
        let mut door = Door::new().query(query);
        if let Some(origin) = origin {
            door = door.header("origin", origin);
        }
        if welcome {
            door.enter(&app).await.leave().await;
        } else {
            assert_eq!(door.open(&app).await.closed().await, 1008, "{query} {origin:?}");
        }
    }
    let sessions: i64 = sqlx::query_scalar("SELECT count(*) FROM chat.sessions")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(sessions, 4, "nothing is kept of those who may not come in");
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn what_is_no_websocket_gets_an_answer_in_http(pool: PgPool) {
    let app = replica(&pool, &silent_bot(), &[]).await;
    let upgrade = "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    for (request, status, code) in [
        (
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            426,
            "upgrade_required",
        ),
        (format!("GET /elsewhere HTTP/1.1\r\n{upgrade}"), 404, "not_found"),
        (
            format!("POST /ws HTTP/1.1\r\n{upgrade}"),
            405,
            "method_not_allowed",
        ),
        ("nonsense\r\n\r\n".to_owned(), 400, "invalid_request"),
        (
            format!("GET /ws HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(20_000)),
            431,
            "head_too_large",
        ),
    ] {
        let answer = raw(&app, request.as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (&body["success"], &body["code"]),
            (&json!(false), &json!(code)),
            "{body}"
        );
    }
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn one_address_has_so_many_connections_and_proxies_count_for_their_clients(pool: PgPool) {
    let settings = [
        ("CONNECTIONS_PER_ADDRESS", "2"),
        ("TRUSTED_PROXIES", "127.0.0.0/8"),
    ];
    let app = replica(&pool, &silent_bot(), &settings).await;
    let from = |address: &str| Door::new().header("x-forwarded-for", address);
    let first = from("192.0.2.1").enter(&app).await;
    let _second = from("192.0.2.1").enter(&app).await;
    assert_eq!(from("192.0.2.1").open(&app).await.closed().await, 1013);
    let _other = from("192.0.2.2").enter(&app).await;
    // Who forges the header before the proxy is not believed.
    assert_eq!(
        from("203.0.113.9, 192.0.2.1").open(&app).await.closed().await,
        1013
    );
    first.leave().await;
    eventually(
        async || {
            let mut visitor = from("192.0.2.1").open(&app).await;
            matches!(visitor.next().await, Ok(Message::Text(_))).then_some(())
        },
        SOON,
    )
    .await;
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_full_process_says_so_with_1013(pool: PgPool) {
    let app = replica(&pool, &silent_bot(), &[("MAX_CONNECTIONS", "2")]).await;
    let (_first, _second) = (Visitor::new(&app).await, Visitor::new(&app).await);
    assert_eq!(Door::new().open(&app).await.closed().await, 1013);
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn those_who_do_not_say_what_they_want_keep_nobody_out(pool: PgPool) {
    const SILENT: usize = 1_200;
    let app = replica(&pool, &silent_bot(), &[("MAX_CONNECTIONS", "2")]).await;
    let address = app.state().ws_addr().unwrap();
    let mut silent = Vec::new();
    for _ in 0..SILENT {
        let connecting = tokio::time::timeout(SOON, TcpStream::connect(address));
        silent.push(connecting.await.expect("it is accepted in time").unwrap());
    }
    let mut visitor = Visitor::new(&app).await;
    visitor.say("hello", "c1").await;
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn an_oversized_frame_is_closed_with_1009_and_harms_nobody_else(pool: PgPool) {
    let app = replica(&pool, &silent_bot(), &[]).await;
    let mut other = Visitor::new(&app).await;
    let mut visitor = Visitor::new(&app).await;
    let huge = Message::text("x".repeat(10 * 1024 * 1024));
    // The whole frame goes out before the Close is read: a server that hangs up at once resets the connection.
    visitor.socket.send(huge).await.unwrap();
    assert_eq!(visitor.closed().await, 1009);
    other.say("still here", "c1").await;
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn bad_frames_are_answered_and_the_connection_stays_open(pool: PgPool) {
    let app = replica(&pool, &silent_bot(), &[("MESSAGE_CHARS", "10")]).await;
    let mut visitor = Visitor::new(&app).await;
    for (frame, code, client_id) in [
        ("{".to_owned(), "invalid_json", json!(null)),
        (
            json!({"type": "session"}).to_string(),
            "invalid_frame",
            json!(null),
        ),
        (
            json!({"type": "message", "text": 5, "clientId": "c"}).to_string(),
            "invalid_text",
            json!("c"),
        ),
        (
            json!({"type": "message", "text": " ", "clientId": "c"}).to_string(),
            "empty_message",
            json!("c"),
        ),
        (
            json!({"text": "é".repeat(11), "clientId": "c"}).to_string(),
            "message_too_long",
            json!("c"),
        ),
    ] {
        visitor.socket.send(Message::text(frame)).await.unwrap();
        let error = visitor.frame().await;
        assert_eq!(
            (&error["type"], &error["code"], &error["clientId"]),
            (&json!("error"), &json!(code), &client_id),
            "{error}"
        );
        assert!(
            error["error"]
                .as_str()
                .is_some_and(|sentence| sentence.len() > 10),
            "{error}"
        );
    }
    visitor.socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(visitor.frame().await["code"], "invalid_frame");
    visitor.say(&"😀".repeat(10), "c1").await;
}
