//! Clients that mean no good, or are broken: whatever they send or leave unsaid, memory stays bounded and nobody else
//! notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use devstack::Stack;
use e2e::people::client;
use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::houses::{Desk, HOUSES, House, street};
use crate::load::others;
use crate::raw::{Came, exchange, host, read};
use crate::{ALONE, say};

/// Connections that say nothing, to each listener under test.
const SILENT: usize = 8_000;
/// Together with these it is ten thousand: they dribble.
const DRIBBLING: usize = 2_000;
/// A head has to be there within 10 s, a WebSocket's handshake within its own time.
const CLOSED_WITHIN: Duration = Duration::from_secs(25);
/// Memory that a service may take for all of them.
const MORE_MIB: u64 = 220;
/// What the others may wait: the machine is shared with ten thousand connections in one test.
const OTHERS_WAIT: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Resident memory of a process, in MiB.
pub(crate) fn resident_mib(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}

/// Open files of a process.
fn open_files(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

struct Crowd {
    /// The most memory that was seen, beyond what it was before.
    more_mib: u64,
    files: usize,
    longest: Duration,
    others: Vec<Duration>,
}

/// Opens ten thousand connections of which no request ever comes, and waits until the service has closed them.
async fn crowd(stack: &Stack, desk: &Desk, house: House, listener: &str) -> Crowd {
    let pid = stack.pid(house.name(), 0).await.unwrap();
    let before = resident_mib(pid);
    let over = Arc::new(AtomicBool::new(false));
    let watching = async {
        let (mut most, mut files) = (before, 0);
        while !over.load(Ordering::SeqCst) {
            most = most.max(resident_mib(pid));
            files = files.max(open_files(pid));
            tokio::time::sleep(LOOK_EVERY).await;
        }
        (most, files)
    };
    let crowding = async {
        let mut connections = JoinSet::new();
        for nth in 0..SILENT + DRIBBLING {
            let connecting = TcpStream::connect(listener);
            let stream = tokio::time::timeout(PATIENCE, connecting).await.unwrap().unwrap();
            if nth < SILENT {
                connections.spawn(silent(stream));
            } else {
                connections.spawn(dribbling(stream));
            }
        }
        let mut longest = Duration::ZERO;
        while let Some(closed) = connections.join_next().await {
            longest = longest.max(closed.unwrap());
        }
        over.store(true, Ordering::SeqCst);
        longest
    };
    let (longest, (most, files), others) = tokio::join!(crowding, watching, others(desk, house, &over));
    Crowd {
        more_mib: most.saturating_sub(before),
        files,
        longest,
        others,
    }
}

async fn silent(mut stream: TcpStream) -> Duration {
    let came = read(&mut stream, CLOSED_WITHIN * 2).await;
    assert!(came.closed, "a silent connection stays open");
    came.took
}

/// A head that comes byte by byte, and never ends.
async fn dribbling(mut stream: TcpStream) -> Duration {
    let begun = Instant::now();
    let endless = async {
        if stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            .await
            .is_err()
        {
            return;
        }
        while stream.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let ended = tokio::time::timeout(CLOSED_WITHIN * 2, endless).await;
    assert!(ended.is_ok(), "a head that never ends keeps its connection");
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_connections_without_a_request_are_closed_and_nobody_else_notices() {
    let _alone = ALONE.lock().await;
    let stack = street().start().await.unwrap();
    let desk = Desk::open(&stack).await;
    let sockets = host(stack.replica(House::Chat.name(), 0).ws_url().unwrap());
    let http = |house: House| host(stack.url(house.name(), 0));
    let listeners = [
        (House::Tasks, "HTTP", http(House::Tasks), SILENT..usize::MAX),
        // Who has not said what he wants has one of few places, and makes room for the next.
        (House::Chat, "WebSockets", sockets, 500..2_000),
    ];
    for (house, what, listener, expected_files) in listeners {
        let crowd = crowd(&stack, &desk, house, &listener).await;
        let mut took = crowd.others.clone();
        took.sort_unstable();
        let (middle, worst) = (took[took.len() / 2], took[took.len() - 1]);
        say(&format!(
            "{} ({what}): {SILENT} silent and {DRIBBLING} dribbling connections, the last closed after {:.1} s, \
             {} MiB more, {} open files; {} requests of others meanwhile: median {:.1} ms, worst {:.0} ms",
            house.name(),
            crowd.longest.as_secs_f64(),
            crowd.more_mib,
            crowd.files,
            took.len(),
            middle.as_secs_f64() * 1000.0,
            worst.as_secs_f64() * 1000.0
        ));
        assert!(
            expected_files.contains(&crowd.files),
            "{what}: {} files",
            crowd.files
        );
        assert!(crowd.longest < CLOSED_WITHIN, "{:?}", crowd.longest);
        assert!(crowd.more_mib < MORE_MIB, "{} MiB", crowd.more_mib);
        assert!(worst < OTHERS_WAIT, "{worst:?}");
    }
    stack.stop().await.unwrap();
}

const PIPELINED: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_each_once_and_in_order() {
    let _alone = ALONE.lock().await;
    let stack = street().start().await.unwrap();
    for house in HOUSES {
        let listener = host(stack.url(house.name(), 0));
        let mut bytes = String::new();
        for nth in 0..PIPELINED {
            let path = if nth % 2 == 0 { "/healthz" } else { "/nothing-here" };
            bytes += &format!("GET {path} HTTP/1.1\r\nHost: x\r\nx-request-id: pipelined-{nth}\r\n\r\n");
        }
        bytes += "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let came = exchange(&listener, bytes.as_bytes(), PATIENCE).await;
        let statuses = came.statuses();
        let mut expected: Vec<u16> = (0..PIPELINED)
            .map(|nth| if nth % 2 == 0 { 200 } else { 404 })
            .collect();
        expected.push(200);
        assert_eq!(statuses, expected, "{house:?}");
        let positions: Vec<Option<usize>> = (0..PIPELINED)
            .map(|nth| came.text.find(&format!("x-request-id: pipelined-{nth}\r\n")))
            .collect();
        assert!(
            positions.is_sorted() && positions.iter().all(Option::is_some),
            "{house:?}"
        );
        assert!(came.closed);
    }
    say(&format!(
        "{PIPELINED} requests in one go, on each of {} services",
        HOUSES.len()
    ));
    stack.stop().await.unwrap();
}

/// Sends this many bombs at once.
const BOMBS: usize = 8;
const BOMB_MIB: usize = 64;
const BOMBED_MIB: u64 = 200;

async fn bomb(listener: &str, head: String, piece: Vec<u8>) -> Came {
    let mut stream = TcpStream::connect(listener).await.unwrap();
    let throwing = async {
        if stream.write_all(head.as_bytes()).await.is_err() {
            return;
        }
        for _ in 0..BOMB_MIB * 1024 * 1024 / piece.len() {
            if stream.write_all(&piece).await.is_err() {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(PATIENCE, throwing).await;
    read(&mut stream, PATIENCE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_in_heads_and_bodies_cost_no_memory_and_nobody_else_notices() {
    let _alone = ALONE.lock().await;
    let stack = street().start().await.unwrap();
    let desk = Desk::open(&stack).await;
    let json = "Host: x\r\nContent-Type: application/json";
    let piece = 64 * 1024;
    let mut chunk = format!("{piece:x}\r\n").into_bytes();
    chunk.extend(vec![b'['; piece]);
    chunk.extend(b"\r\n");
    let bombs = [
        (
            "one endless header",
            "GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ".to_owned(),
            vec![b'a'; piece],
        ),
        (
            "endless headers",
            "GET /healthz HTTP/1.1\r\nHost: x\r\n".to_owned(),
            b"X-A: b\r\n".repeat(piece / 8),
        ),
        ("an endless address", "GET /".to_owned(), vec![b'a'; piece]),
        (
            "an endless body",
            format!("POST /sign-in HTTP/1.1\r\n{json}\r\nTransfer-Encoding: chunked\r\n\r\n"),
            chunk,
        ),
        (
            "an endless body of an announced length",
            format!(
                "POST /sign-in HTTP/1.1\r\n{json}\r\nContent-Length: {}\r\n\r\n",
                1_u64 << 40
            ),
            vec![b'['; piece],
        ),
    ];
    for house in HOUSES {
        let listener = host(stack.url(house.name(), 0));
        let pid = stack.pid(house.name(), 0).await.unwrap();
        for (name, head, piece) in &bombs {
            let before = resident_mib(pid);
            let over = AtomicBool::new(false);
            let throwing = async {
                let all = (0..BOMBS).map(|_| bomb(&listener, head.clone(), piece.clone()));
                let came = join_all(all).await;
                let after = resident_mib(pid);
                over.store(true, Ordering::SeqCst);
                (came, after)
            };
            let ((came, after), others) = tokio::join!(throwing, others(&desk, house, &over));
            let worst = others.iter().max().copied().unwrap_or_default();
            say(&format!(
                "{}: {BOMBS} times {name}: answered {:?}, {} MiB more, worst answer to others {:.0} ms",
                house.name(),
                came.iter().flat_map(Came::statuses).collect::<Vec<_>>(),
                after.saturating_sub(before),
                worst.as_secs_f64() * 1000.0
            ));
            assert!(
                came.iter().all(|one| one.closed),
                "{house:?}: {name} keeps its connection"
            );
            assert!(
                came.iter()
                    .flat_map(Came::statuses)
                    .all(|status| (400..500).contains(&status))
            );
            assert!(
                after < before + BOMBED_MIB,
                "{house:?}: {name}: from {before} to {after} MiB"
            );
            assert!(worst < OTHERS_WAIT, "{house:?}: {name}: {worst:?}");
        }
    }
    stack.stop().await.unwrap();
}

const SLOW_BODIES: usize = 500;

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_dribble_end_after_their_time_and_nobody_else_notices() {
    let _alone = ALONE.lock().await;
    let stack = street()
        .services(&[House::Session.name()])
        .set("DEV_SIGN_IN", "true")
        .start()
        .await
        .unwrap();
    let listener = host(stack.url(House::Session.name(), 0));
    let url = format!("{}/healthz", stack.url(House::Session.name(), 0));
    let over = AtomicBool::new(false);
    let slow = async {
        let bodies = join_all((0..SLOW_BODIES).map(|_| slow_body(&listener))).await;
        over.store(true, Ordering::SeqCst);
        bodies
    };
    let others = async {
        let (client, mut worst) = (client(), Duration::ZERO);
        while !over.load(Ordering::SeqCst) {
            let begun = Instant::now();
            assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
            worst = worst.max(begun.elapsed());
            tokio::time::sleep(LOOK_EVERY).await;
        }
        worst
    };
    let (bodies, worst) = tokio::join!(slow, others);
    let timed_out = bodies.iter().filter(|came| came.statuses() == [408]).count();
    let longest = bodies.iter().map(|came| came.took).max().unwrap();
    say(&format!(
        "{SLOW_BODIES} dribbling bodies: {timed_out} answered 408, the last after {:.1} s; worst answer to others {:.0} ms",
        longest.as_secs_f64(),
        worst.as_secs_f64() * 1000.0
    ));
    assert!(bodies.iter().all(|came| came.closed));
    assert_eq!(timed_out, SLOW_BODIES);
    assert!(worst < OTHERS_WAIT, "{worst:?}");
    stack.stop().await.unwrap();
}

/// A body of which a byte comes every second.
async fn slow_body(listener: &str) -> Came {
    let stream = TcpStream::connect(listener).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let begun = Instant::now();
    let dribble = async {
        let head = "POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n";
        let _ = writing.write_all(head.as_bytes()).await;
        while writing.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut bytes = Vec::new();
    let ending = tokio::io::AsyncReadExt::read_to_end(&mut reading, &mut bytes);
    let closed = tokio::select! {
        ended = tokio::time::timeout(CLOSED_WITHIN * 3, ending) => ended.is_ok(),
        () = dribble => false,
    };
    Came {
        text: String::from_utf8_lossy(&bytes).into_owned(),
        closed,
        took: begun.elapsed(),
    }
}
