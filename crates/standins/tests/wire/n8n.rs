//! n8n's stand-in.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use switchhook_standins::control::{Break, Mode};
use switchhook_standins::{Control, N8n, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::http::{DEADLINE, call, post, read_request, until};

const START: &str =
    r#"{"userId":"u1","userEmail":null,"sessionId":"s1","dailyCallLimit":4,"callsMadeToday":0}"#;

/// A `session-svc` that grants so many claims, fails some requests first, and writes down what it gets.
struct Session {
    url: String,
    got: Arc<Mutex<Vec<(String, String)>>>,
}

impl Session {
    async fn start(granted: usize, refusal: &'static str, failures: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let got = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&got);
        tokio::spawn(async move {
            let mut seen = std::collections::HashSet::new();
            let mut failures = failures;
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (head, body) = read_request(&mut stream).await;
                let claims = head.lines().next().unwrap().contains("/calls ");
                let answer = if failures > 0 {
                    failures -= 1;
                    None
                } else if claims && (seen.contains(&body) || seen.len() < granted) {
                    seen.insert(body.clone());
                    Some(json!({"allowed": true, "callsMade": seen.len(), "remaining": granted - seen.len()}))
                } else if claims {
                    Some(json!({"allowed": false, "callsMade": granted, "remaining": 0, "reason": refusal}))
                } else {
                    Some(json!({"success": true}))
                };
                log.lock().unwrap().push((head, body));
                let status = if answer.is_some() {
                    "200 OK"
                } else {
                    "503 Service Unavailable"
                };
                let text = answer.unwrap_or_default().to_string();
                let reply = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{text}",
                    text.len()
                );
                stream.write_all(reply.as_bytes()).await.unwrap();
            }
        });
        Self { url, got }
    }

    fn bodies(&self, path_end: &str) -> Vec<Value> {
        let got = self.got.lock().unwrap();
        let of_path = got
            .iter()
            .filter(|(head, _)| head.lines().next().unwrap().contains(path_end));
        of_path
            .map(|(_, body)| serde_json::from_str(body).unwrap())
            .collect()
    }

    fn completion(&self) -> Option<Value> {
        self.bodies("/webhook ")
            .into_iter()
            .find(|body| body["status"] == "finished")
    }
}

fn quick() -> Options {
    Options {
        call_interval: Duration::from_millis(5),
        ..Options::default()
    }
}

fn with_session(session: &Session) -> Options {
    Options {
        session_url: Some(session.url.clone()),
        machine_secret: Some("machine".into()),
        ..quick()
    }
}

#[tokio::test]
async fn a_session_is_claimed_call_by_call_and_completed_by_callback() {
    let session = Session::start(4, "limit_reached", 0).await;
    let n8n = N8n::start(with_session(&session)).unwrap();
    let got = post(&n8n.webhook_url("ai-session"), START).await;
    assert_eq!(got.body, r#"{"message":"Workflow was started"}"#);
    until("the completion", || session.completion().is_some()).await;
    let completion = session.completion().unwrap();
    assert_eq!(
        completion,
        json!({"sessionId": "s1", "status": "finished", "callsMade": 4, "message": "Completed all calls"})
    );
    let claims = session.bodies("/api/ai-session/s1/calls ");
    let wanted: Vec<Value> = (1..=5)
        .map(|number| json!({"callId": format!("lead-{number}")}))
        .collect();
    assert_eq!(claims, wanted);
}

#[tokio::test]
async fn its_requests_look_like_n8n_s_http_request_node() {
    let session = Session::start(0, "limit_reached", 0).await;
    let n8n = N8n::start(with_session(&session)).unwrap();
    post(&n8n.webhook_url("ai-session"), START).await;
    until("the completion", || session.completion().is_some()).await;
    let heads: Vec<String> = session
        .got
        .lock()
        .unwrap()
        .iter()
        .map(|(head, _)| head.to_lowercase())
        .collect();
    let names: Vec<&str> = heads[0]
        .lines()
        .skip(1)
        .map(|line| line.split(':').next().unwrap())
        .collect();
    let wanted = [
        "accept",
        "content-type",
        "x-n8n-webhook-secret",
        "user-agent",
        "content-length",
    ];
    assert_eq!(
        names,
        [wanted.as_slice(), &["accept-encoding", "host", "connection"]].concat()
    );
    for line in [
        "x-n8n-webhook-secret: machine",
        "user-agent: n8n",
        "connection: close",
    ] {
        assert!(
            heads[0].lines().any(|found| found == line),
            "{line} in {}",
            heads[0]
        );
    }
}

#[tokio::test]
async fn a_long_session_reports_its_progress() {
    let session = Session::start(30, "limit_reached", 0).await;
    let n8n = N8n::start(Options {
        call_interval: Duration::from_millis(80),
        ..with_session(&session)
    })
    .unwrap();
    post(&n8n.webhook_url("ai-session"), &START.replace(":4", ":30")).await;
    until("the completion", || session.completion().is_some()).await;
    let reports = session.bodies("/webhook ");
    let progress: Vec<&Value> = reports
        .iter()
        .filter(|body| body["status"] == "in_progress")
        .collect();
    assert!(!progress.is_empty(), "{reports:?}");
    let counts: Vec<u64> = progress
        .iter()
        .map(|body| body["callsMade"].as_u64().unwrap())
        .collect();
    assert!(
        counts.is_sorted() && counts.iter().all(|count| (1..=30).contains(count)),
        "{counts:?}"
    );
}

#[tokio::test]
async fn failed_requests_are_tried_three_times() {
    let session = Session::start(1, "limit_reached", 2).await;
    let n8n = N8n::start(with_session(&session)).unwrap();
    post(&n8n.webhook_url("ai-session"), START).await;
    until("the completion", || session.completion().is_some()).await;
    let first: Vec<Value> = session.bodies("/calls ").into_iter().take(3).collect();
    assert_eq!(first, vec![json!({"callId": "lead-1"}); 3]);
    assert_eq!(session.completion().unwrap()["callsMade"], 1);
}

#[tokio::test]
async fn a_stopped_session_gets_no_further_claims() {
    let session = Session::start(2, "stopped", 0).await;
    let n8n = N8n::start(with_session(&session)).unwrap();
    post(&n8n.webhook_url("ai-session"), START).await;
    until("the completion", || session.completion().is_some()).await;
    assert_eq!(session.completion().unwrap()["callsMade"], 2);
    assert_eq!(session.bodies("/calls ").len(), 3);
}

#[tokio::test]
async fn the_respond_workflow_answers_the_waiting_request_at_the_end() {
    let session = Session::start(3, "limit_reached", 0).await;
    let n8n = N8n::start(with_session(&session)).unwrap();
    let got = post(&n8n.webhook_url("ai-session-respond"), START).await;
    assert_eq!(
        got.body,
        r#"{"sessionId":"s1","status":"finished","callsMade":3}"#
    );
    assert_eq!(session.bodies("/calls ").len(), 4);
    assert_eq!(session.bodies("/webhook ").len(), 0);
}

#[tokio::test]
async fn without_a_session_service_it_counts_by_itself() {
    let n8n = N8n::start(quick()).unwrap();
    let body = r#"{"sessionId":"s9","dailyCallLimit":10,"callsMadeToday":7}"#;
    assert_eq!(
        post(&n8n.webhook_url("ai-session-respond"), body).await.json()["callsMade"],
        3
    );
}

#[tokio::test]
async fn a_run_ends_in_about_ten_seconds_however_large_the_limit() {
    let options = Options {
        longest_run: Duration::from_millis(500),
        ..Options::default()
    };
    let n8n = N8n::start(options).unwrap();
    let began = Instant::now();
    let got = post(
        &n8n.webhook_url("ai-session-respond"),
        &START.replace(":4", ":10000"),
    )
    .await;
    assert_eq!(got.json()["callsMade"], 10_000);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_n8n_refuses_is_refused_in_its_words() {
    let n8n = N8n::start(Options {
        secret: Some("s3cret".into()),
        ..quick()
    })
    .unwrap();
    let hook = n8n.webhook_url("ai-session");
    let unknown = post(&n8n.webhook_url("nope"), "{}").await;
    assert_eq!(unknown.status, Some(404));
    assert_eq!(
        unknown.json()["message"],
        "The requested webhook \"POST nope\" is not registered."
    );
    let method = call("GET", &hook, "", "").await;
    assert_eq!(
        method.json()["message"],
        "This webhook is not registered for GET requests. Did you mean to make a POST request?"
    );
    let forbidden = post(&hook, START).await;
    assert_eq!(
        (forbidden.status, forbidden.body.as_str()),
        (Some(403), "Authorization data is wrong!")
    );
    assert!(!forbidden.head.to_lowercase().contains("content-type"));
    let secret = "x-n8n-webhook-secret: s3cret\r\n";
    assert_eq!(call("POST", &hook, secret, START).await.status, Some(200));
    assert_eq!(
        call("POST", &format!("{hook}/"), secret, START).await.status,
        Some(200)
    );
    let broken = call("POST", &hook, secret, "{x").await;
    assert_eq!(
        (broken.status, &broken.json()["message"]),
        (Some(422), &json!("Failed to parse request body"))
    );
    assert_eq!(
        call("OPTIONS", &n8n.webhook_url("nope"), "", "").await.status,
        Some(204)
    );
    let large = call("POST", &hook, secret, &"x".repeat((16 << 20) + 1)).await;
    assert_eq!((large.status, &large.json()["code"]), (Some(500), &json!(0)));
}

#[tokio::test]
async fn ordered_answers_come_in_their_order_and_then_the_workflow_again() {
    let n8n = N8n::start(quick()).unwrap();
    let control = format!("{}/_control", n8n.url());
    let hook = n8n.webhook_url("ai-session");
    let order = json!({"path": "/webhook/ai-session", "times": 2, "status": 503, "headers": {"Retry-After": "7"},
                       "body": {"code": 503}, "delayMs": 60});
    assert_eq!(post(&control, &order.to_string()).await.status, Some(200));
    assert_eq!(
        post(
            &control,
            r#"{"status": 200, "body": "late", "contentType": "text/plain"}"#
        )
        .await
        .status,
        Some(200)
    );
    let began = Instant::now();
    let first = post(&hook, START).await;
    assert!(began.elapsed() >= Duration::from_millis(60));
    assert_eq!(
        (first.status, first.body.as_str()),
        (Some(503), r#"{"code":503}"#)
    );
    assert!(
        first.head.to_lowercase().contains("retry-after: 7"),
        "{}",
        first.head
    );
    assert_eq!(post(&hook, START).await.status, Some(503));
    let third = post(&n8n.webhook_url("anything"), START).await;
    assert_eq!((third.status, third.body.as_str()), (Some(200), "late"));
    assert!(
        third.head.to_lowercase().contains("content-type: text/plain"),
        "{}",
        third.head
    );
    assert_eq!(
        post(&hook, START).await.body,
        r#"{"message":"Workflow was started"}"#
    );
}

#[tokio::test]
async fn an_order_with_a_match_touches_only_that_user() {
    let n8n = N8n::start(quick()).unwrap();
    let control = format!("{}/_control", n8n.url());
    post(
        &control,
        r#"{"match": {"userId": "u2"}, "times": 0, "status": 500}"#,
    )
    .await;
    let hook = n8n.webhook_url("ai-session");
    let other = START.replace("u1", "u2");
    assert_eq!(post(&hook, START).await.status, Some(200));
    assert_eq!(post(&hook, &other).await.status, Some(500));
    call("DELETE", &format!("{control}?userId=u1"), "", "").await;
    assert_eq!(post(&hook, &other).await.status, Some(500));
    call("DELETE", &format!("{control}?userId=u2"), "", "").await;
    assert_eq!(post(&hook, &other).await.status, Some(200));
}

#[tokio::test]
async fn a_control_that_cannot_be_read_names_the_field() {
    let n8n = N8n::start(quick()).unwrap();
    let control = format!("{}/_control", n8n.url());
    for (body, field) in [
        ("{", "body"),
        ("[]", "body"),
        (r#"{"times":"x"}"#, "times"),
        (r#"{"stauts":1}"#, "stauts"),
    ] {
        let got = post(&control, body).await;
        assert_eq!(
            (got.status, &got.json()["field"]),
            (Some(400), &json!(field)),
            "{body}"
        );
    }
    assert_eq!(call("PUT", &control, "", "").await.status, Some(405));
    assert_eq!(
        post(
            &n8n.webhook_url("ai-session")
                .replace("webhook/ai-session", "_control"),
            "{}"
        )
        .await
        .status,
        Some(404)
    );
}

#[tokio::test]
async fn connections_break_where_they_are_told_to() {
    let n8n = N8n::start(quick()).unwrap();
    let hook = n8n.webhook_url("ai-session");
    for place in [Break::Before, Break::After] {
        n8n.push(Control {
            drop: Some(place),
            ..Control::default()
        });
        let got = post(&hook, START).await;
        assert_eq!((got.status, got.whole), (None, false), "{place:?}");
    }
    n8n.push(Control {
        drop: Some(Break::Middle),
        ..Control::default()
    });
    let got = post(&hook, START).await;
    assert_eq!((got.status, got.whole), (Some(200), false));
    assert_eq!(got.body, r#"{"message":"Workf"#);
    let log = n8n.log();
    let dropped: Vec<_> = log
        .iter()
        .map(|entry| entry.answered.as_ref().unwrap().dropped)
        .collect();
    assert_eq!(
        dropped,
        [Some(Break::Before), Some(Break::After), Some(Break::Middle)]
    );
    assert_eq!((log[0].text.as_str(), log[1].text.as_str()), ("", START));
}

#[tokio::test]
async fn an_answer_lost_after_reading_does_not_stop_the_workflow() {
    let session = Session::start(2, "limit_reached", 0).await;
    let n8n = N8n::start(with_session(&session)).unwrap();
    n8n.push(Control {
        drop: Some(Break::After),
        mode: Some(Mode::Callback),
        ..Control::default()
    });
    assert_eq!(post(&n8n.webhook_url("ai-session"), START).await.status, None);
    until("the completion", || session.completion().is_some()).await;
}

#[tokio::test]
async fn a_silent_workflow_makes_no_calls() {
    let session = Session::start(2, "limit_reached", 0).await;
    let n8n = N8n::start(with_session(&session)).unwrap();
    n8n.push(Control {
        mode: Some(Mode::Silent),
        ..Control::default()
    });
    let got = post(&n8n.webhook_url("ai-session"), START).await;
    assert_eq!(got.body, r#"{"message":"Workflow was started"}"#);
    post(&n8n.webhook_url("ai-session"), &START.replace("s1", "s2")).await;
    until("the other session's completion", || {
        session.completion().is_some()
    })
    .await;
    assert!(session.bodies("/s1/calls ").is_empty());
}

#[tokio::test]
async fn held_requests_wait_until_they_are_released() {
    let n8n = N8n::start(quick()).unwrap();
    n8n.push(Control {
        mode: Some(Mode::Hold),
        times: 0,
        ..Control::default()
    });
    let hook = n8n.webhook_url("ai-session");
    let other = START.replace("u1", "u2");
    let first = tokio::spawn({
        let hook = hook.clone();
        async move { post(&hook, START).await }
    });
    let second = tokio::spawn(async move { post(&hook, &other).await });
    until("two held requests", || n8n.held() == 2).await;
    assert!(n8n.log().iter().all(|entry| entry.answered.is_none()));
    call("DELETE", &format!("{}/_control?userId=u2", n8n.url()), "", "").await;
    assert_eq!(second.await.unwrap().status, Some(200));
    assert_eq!((n8n.held(), first.is_finished()), (1, false));
    n8n.clear();
    assert_eq!(first.await.unwrap().body, r#"{"message":"Workflow was started"}"#);
}

#[tokio::test]
async fn a_held_request_whose_caller_leaves_is_forgotten() {
    let n8n = N8n::start(quick()).unwrap();
    n8n.push(Control {
        mode: Some(Mode::Hold),
        ..Control::default()
    });
    let hook = n8n.webhook_url("ai-session");
    let caller = tokio::spawn(async move { post(&hook, START).await });
    until("the held request", || n8n.held() == 1).await;
    caller.abort();
    until("nobody held", || n8n.held() == 0).await;
}

#[tokio::test]
async fn six_thousand_requests_can_wait_at_once() {
    // Both ends of every connection are open in this process.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let n8n = N8n::start(quick()).unwrap();
    n8n.push(Control {
        mode: Some(Mode::Hold),
        times: 0,
        ..Control::default()
    });
    let host = n8n
        .webhook_url("x")
        .replace("http://", "")
        .replace("/webhook/x", "");
    let request = format!(
        "POST /webhook/ai-session HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n{START}",
        START.len()
    );
    let mut callers = Vec::new();
    for _ in 0..6000 {
        let mut stream = TcpStream::connect(&host).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        callers.push(stream);
    }
    until("six thousand held requests", || n8n.held() == 6000).await;
    n8n.clear();
    for mut caller in callers {
        let mut status = [0; 12];
        tokio::time::timeout(DEADLINE, caller.read_exact(&mut status))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
    }
}

#[tokio::test]
async fn a_port_that_is_down_refuses_and_comes_back_on_the_same_number() {
    let n8n = N8n::start(quick()).unwrap();
    n8n.push(Control {
        mode: Some(Mode::Hold),
        ..Control::default()
    });
    let hook = n8n.webhook_url("ai-session");
    let host = hook.replace("http://", "").replace("/webhook/ai-session", "");
    let waiting = tokio::spawn({
        let hook = hook.clone();
        async move { post(&hook, START).await }
    });
    until("the held request", || n8n.held() == 1).await;
    for _ in 0..2 {
        assert_eq!(post(&format!("{}/_down", n8n.url()), "").await.status, Some(200));
        let refused = TcpStream::connect(&host).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }
    assert_eq!(waiting.await.unwrap().status, None);
    assert_eq!(
        post(&format!("{}/webhook/ai-session", n8n.url()), START)
            .await
            .status,
        Some(200)
    );
    for _ in 0..2 {
        assert_eq!(post(&format!("{}/_up", n8n.url()), "").await.status, Some(200));
        assert_eq!(post(&hook, START).await.status, Some(200));
    }
}

#[tokio::test]
async fn the_log_lists_what_came_and_what_was_answered() {
    let n8n = N8n::start(quick()).unwrap();
    call(
        "POST",
        &n8n.webhook_url("ai-session"),
        "Idempotency-Key: k1\r\n",
        START,
    )
    .await;
    post(&n8n.webhook_url("nope"), "text").await;
    let seen = n8n.wait_for("/webhook/ai-session", 1, DEADLINE).await;
    assert_eq!((seen.len(), seen[0].header("idempotency-key")), (1, Some("k1")));
    let url = format!("{}/_log", n8n.url());
    let all = call("GET", &url, "", "").await.json();
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    let one = call("GET", &format!("{url}?path=/webhook/ai-session&limit=1"), "", "")
        .await
        .json();
    let entry = &one["items"][0];
    assert_eq!(
        (&entry["body"]["sessionId"], &entry["headers"]["idempotency-key"]),
        (&json!("s1"), &json!("k1"))
    );
    assert_eq!(
        (&entry["method"], &entry["answered"]["status"]),
        (&json!("POST"), &json!(200))
    );
    assert_eq!(
        call("GET", &format!("{url}?limit=x"), "", "").await.status,
        Some(400)
    );
    call("DELETE", &url, "", "").await;
    assert!(n8n.log().is_empty());
}
