//! Requests whose end is a matter of opinion: a proxy of the other opinion would let a second request through.

use std::time::Duration;

use crate::houses::{HOUSES, House, street};
use crate::raw::{exchange, host};
use crate::{ALONE, say};

const PATIENCE: Duration = Duration::from_secs(20);

/// A request that is not one: what is sent, and whether it may be understood as one request.
struct Shape {
    name: &'static str,
    bytes: String,
}

/// Requests whose end is a matter of opinion. In each, a reader who is of the other opinion finds a second one.
fn smuggling() -> Vec<Shape> {
    const INNER: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Inner: 1\r\n\r\n";
    let post = |name, headers: &str, body: &str| Shape {
        name,
        bytes: format!(
            "POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{headers}\r\n\r\n{body}"
        ),
    };
    let chunked = format!("0\r\n\r\n{INNER}");
    let length = |extra: &str| format!("Content-Length: {}{extra}", chunked.len());
    vec![
        post(
            "Content-Length and Transfer-Encoding",
            &(length("") + "\r\nTransfer-Encoding: chunked"),
            &chunked,
        ),
        post(
            "Transfer-Encoding and Content-Length",
            &("Transfer-Encoding: chunked\r\n".to_owned() + &length("")),
            &chunked,
        ),
        post(
            "two Content-Lengths",
            &format!("Content-Length: 0\r\nContent-Length: {}", INNER.len()),
            INNER,
        ),
        post(
            "a list of Content-Lengths",
            &format!("Content-Length: 0, {}", INNER.len()),
            INNER,
        ),
        post(
            "a signed Content-Length",
            &format!("Content-Length: +{}", INNER.len()),
            INNER,
        ),
        post("a hexadecimal Content-Length", "Content-Length: 0x10", INNER),
        post("a negative Content-Length", "Content-Length: -1", INNER),
        post(
            "a huge Content-Length",
            "Content-Length: 99999999999999999999",
            INNER,
        ),
        post(
            "a folded Transfer-Encoding",
            &(length("") + "\r\nTransfer-Encoding:\r\n chunked"),
            &chunked,
        ),
        post(
            "a space before the colon",
            &(length("") + "\r\nTransfer-Encoding : chunked"),
            &chunked,
        ),
        post(
            "an unknown Transfer-Encoding",
            &(length("") + "\r\nTransfer-Encoding: xchunked"),
            &chunked,
        ),
        post(
            "Transfer-Encoding twice",
            &(length("") + "\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked"),
            &chunked,
        ),
        post(
            "a vertical tab",
            &(length("") + "\r\nTransfer-Encoding: \u{b}chunked"),
            &chunked,
        ),
        post(
            "a chunk size that is none",
            "Transfer-Encoding: chunked",
            &format!("xyz\r\n{INNER}"),
        ),
        post(
            "a chunk size beyond all bounds",
            "Transfer-Encoding: chunked",
            &format!("fffffffffffffffff\r\n{INNER}"),
        ),
        post(
            "a chunk that is longer than it says",
            "Transfer-Encoding: chunked",
            &format!("1\r\n{{}}garbage{INNER}"),
        ),
        Shape {
            name: "a null byte in a header",
            bytes: format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n{INNER}"),
        },
        Shape {
            name: "a bare carriage return",
            bytes: format!("GET /healthz HTTP/1.1\r\nHost: x\rX-A: b\r\n\r\n{INNER}"),
        },
        Shape {
            name: "no HTTP at all",
            bytes: format!("\u{16}\u{3}\u{1}hello there\r\n\r\n{INNER}"),
        },
        Shape {
            name: "HTTP/2 without TLS",
            bytes: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_end_is_in_doubt_is_refused_and_its_connection_closed() {
    let _alone = ALONE.lock().await;
    let stack = street().start().await.unwrap();
    let mut wrong = Vec::new();
    let mut judged = 0;
    let mut listeners: Vec<(House, String)> = HOUSES
        .map(|house| (house, host(stack.url(house.name(), 0))))
        .into();
    let sockets = stack.replica(House::Chat.name(), 0).ws_url().unwrap();
    listeners.push((House::Chat, host(sockets)));
    for (house, listener) in &listeners {
        for shape in smuggling() {
            let came = exchange(listener, shape.bytes.as_bytes(), PATIENCE).await;
            judged += 1;
            let statuses = came.statuses();
            let refused = statuses.iter().all(|status| (400..500).contains(status)) && statuses.len() <= 1;
            if !refused || !came.closed {
                let (name, closed) = (shape.name, came.closed);
                wrong.push(format!(
                    "{house:?} {listener}: {name}: {statuses:?}, closed {closed}"
                ));
            }
        }
    }
    say(&format!(
        "{judged} requests of doubtful length on {} listeners",
        listeners.len()
    ));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    stack.stop().await.unwrap();
}
