//! Clients that are gone: some hang up, others vanish without a word, as whoever loses his network. What they had open is
//! given back, whatever it was waiting for.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use devstack::Stack;
use e2e::people::token_with;
use e2e::waiting::eventually;
use futures_util::future::join_all;
use serde_json::{Value, json};
use switchhook_standins::Control;
use switchhook_standins::control::Mode;
use switchhook_standins::n8n::AGENT_RESPOND_PATH;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::houses::{Desk, HOUSES, House, street};
use crate::load::others;
use crate::raw::host;
use crate::{ALONE, say};

/// Of each kind, from each side, at each service.
const CLIENTS: usize = 25;
/// A kept connection lasts 75 s, a peer that is silent is given up after 45 s, a stream says something every 15 s.
const FREED_WITHIN: Duration = Duration::from_secs(75);
const LOOK_EVERY: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(30);
const OTHERS_WAIT: Duration = Duration::from_secs(2);

/// Addresses of the loopback that nobody else has: one for those who hang up, one for those who vanish.
fn addresses() -> (Ipv4Addr, Ipv4Addr) {
    let [.., high, low] = std::process::id().to_be_bytes();
    (
        Ipv4Addr::new(127, 77, high, low),
        Ipv4Addr::new(127, 78, high, low),
    )
}

/// A network that is gone for one address: nothing of it arrives, and nothing arrives there. Whole again when dropped.
struct Cut(Ipv4Addr);

impl Cut {
    /// None where this user may not filter packets.
    fn off(address: Ipv4Addr) -> Option<Self> {
        let cut = Self(address);
        (cut.rule("-I", "-s") && cut.rule("-I", "-d")).then_some(cut)
    }

    fn rule(&self, verb: &str, side: &str) -> bool {
        let status = Command::new("iptables")
            .args(["-w", verb, "INPUT", side, &self.0.to_string(), "-j", "DROP"])
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.rule("-D", "-s");
        self.rule("-D", "-d");
    }
}

/// What a client asked for before he was gone, and the words of the answer that he waited for, where one comes.
struct Wish {
    what: &'static str,
    request: String,
    until: Option<&'static str>,
}

/// What may be open at a service.
fn wishes(stack: &Stack, house: House, task: &str) -> Vec<Wish> {
    let role = match house {
        House::Chat | House::Dispatch => json!({"role": "operator"}),
        House::Session | House::Retell | House::Tasks => json!({}),
    };
    let token = token_with(stack.keys(), "reader", &role);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    let stream = match house {
        House::Session => "/api/ai-session/events".to_owned(),
        House::Chat => "/api/operator/events".to_owned(),
        House::Retell => "/api/retell/events".to_owned(),
        House::Dispatch => "/dispatches/events".to_owned(),
        House::Tasks => format!("/api/communications/stream?taskId={task}"),
    };
    let wish = |what, request, until| Wish { what, request, until };
    let mut wishes = vec![
        wish("a kept connection", get("/healthz"), Some("{\"status\":\"ok\"}")),
        wish("a stream", get(&stream), Some("text/event-stream")),
        wish("half a head", "GET /healthz HTTP/1.1\r\nHo".to_owned(), None),
    ];
    if house == House::Tasks {
        let poll = get(&format!(
            "/api/communications/get-responses?taskId={task}&wait=55"
        ));
        wishes.push(wish("a long poll", poll, None));
    }
    wishes
}

async fn open(from: Ipv4Addr, listener: &str, wish: &Wish) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let opening = async {
        let mut stream = socket.connect(listener.parse().unwrap()).await.unwrap();
        stream.write_all(wish.request.as_bytes()).await.unwrap();
        let (mut came, mut chunk) = (String::new(), vec![0; 4096]);
        while wish.until.is_some_and(|words| !came.contains(words)) {
            let read = stream.read(&mut chunk).await.unwrap();
            assert!(read > 0, "{}: closed after {came}", wish.what);
            came += &String::from_utf8_lossy(&chunk[..read]);
        }
        stream
    };
    let opened = tokio::time::timeout(PATIENCE, opening).await;
    opened.unwrap_or_else(|_| panic!("{} does not come about", wish.what))
}

/// How many sockets the listener's process still holds to this address. Those that only the kernel still closes have no
/// file any more, and their inode is 0.
fn held(listener: &str, peer: Ipv4Addr) -> usize {
    let port: u16 = listener.rsplit(':').next().unwrap().parse().unwrap();
    let local = format!(":{port:04X}");
    let remote = format!("{:08X}:", u32::from_ne_bytes(peer.octets()));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let is_held = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[1].ends_with(&local) && fields[2].starts_with(&remote) && fields[9] != "0"
    };
    table.lines().skip(1).filter(is_held).count()
}

/// Looks until there is none; how long the last one lasted.
async fn until_freed(listener: &str, peer: Ipv4Addr, opened: usize) -> Duration {
    let begun = Instant::now();
    loop {
        let left = held(listener, peer);
        if left == 0 {
            return begun.elapsed();
        }
        assert!(
            begun.elapsed() < FREED_WITHIN,
            "{left} of {opened} connections to {peer} are still open at {listener}"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A task whose agent never answers.
async fn unanswered(stack: &Stack, desk: &Desk) -> String {
    stack.n8n().push(Control {
        path: Some(AGENT_RESPOND_PATH.to_owned()),
        times: 0,
        mode: Some(Mode::Hold),
        ..Control::default()
    });
    let answer: Value = desk
        .write(House::Tasks, 0)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    answer["taskId"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hangs_up_or_vanishes_costs_nothing_after_a_minute() {
    let _alone = ALONE.lock().await;
    let stack = street().start().await.unwrap();
    let desk = Desk::open(&stack).await;
    let task = unanswered(&stack, &desk).await;
    let (polite, lost) = addresses();
    let mut opened = Vec::new();
    for house in HOUSES {
        let listener = host(stack.url(house.name(), 0));
        let wishes = wishes(&stack, house, &task);
        for from in [polite, lost] {
            let streams = wishes
                .iter()
                .flat_map(|wish| (0..CLIENTS).map(|_| open(from, &listener, wish)));
            let streams = join_all(streams).await;
            // The kernel's table may show a line twice while it changes.
            eventually("all of them are held", PATIENCE, || async {
                (held(&listener, from) == streams.len()).then_some(())
            })
            .await;
            opened.push((house, listener.clone(), from, streams));
        }
    }
    let cut = Cut::off(lost);
    if cut.is_none() {
        say("vanished: not shown: this user may not filter packets");
    }
    // Who hangs up says so; who vanishes keeps his end, and nothing that he says arrives.
    let mut ends = Vec::new();
    let mut watched = Vec::new();
    for (house, listener, from, streams) in opened {
        watched.push((house, listener, from, streams.len()));
        if from == lost && cut.is_some() {
            ends.push(streams);
        }
    }
    let over = AtomicBool::new(false);
    let watching = async {
        let freed = watched.iter().map(|(house, listener, from, count)| async move {
            (*house, *from, *count, until_freed(listener, *from, *count).await)
        });
        let freed = join_all(freed).await;
        over.store(true, Ordering::SeqCst);
        freed
    };
    let (freed, others) = tokio::join!(watching, others(&desk, House::Tasks, &over));
    for (house, from, count, took) in freed {
        let how = if from == lost && cut.is_some() {
            "vanished"
        } else {
            "hung up"
        };
        say(&format!(
            "{}: {count} clients {how}, the last forgotten after {:.0} s",
            house.name(),
            took.as_secs_f64()
        ));
    }
    let worst = others.iter().max().copied().unwrap_or_default();
    say(&format!(
        "{} requests of others meanwhile, the slowest {:.0} ms",
        others.len(),
        worst.as_secs_f64() * 1000.0
    ));
    assert!(worst < OTHERS_WAIT, "{worst:?}");
    drop((ends, cut));
    stack.stop().await.unwrap();
}
