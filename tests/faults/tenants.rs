//! Whoever is not meant to see something does not, at any address that a service describes: another user, an operator of
//! another channel, somebody without the role, and nobody at all.

use std::collections::BTreeMap;
use std::time::Duration;

use devstack::Stack;
use e2e::people::{CallOwner, User, client, now, token_with};
use e2e::visitors::Visitor;
use e2e::waiting::eventually;
use futures_util::StreamExt;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use switchhook_standins::Control;
use switchhook_standins::control::Mode;

use crate::houses::{HOUSES, House, street};
use crate::raw::host;
use crate::{ALONE, say};

/// In everything that is Ada's.
const MARK: &str = "words-of-ada";
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a stream is listened to.
const LISTEN: Duration = Duration::from_millis(700);

/// What Ada has, by the names that parameters and fields have.
type Things = BTreeMap<&'static str, String>;

/// An address of a description.
struct Operation {
    method: Method,
    path: String,
    query: Vec<String>,
    is_guarded: bool,
}

async fn operations(client: &Client, base: &str) -> Vec<Operation> {
    let url = format!("{base}/openapi.json");
    let description: Value = client.get(url).send().await.unwrap().json().await.unwrap();
    let mut operations = Vec::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method = match method.as_str() {
                "get" => Method::GET,
                "post" => Method::POST,
                "delete" => Method::DELETE,
                other => panic!("{path} has {other}, which nobody here thought of"),
            };
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let query = parameters.iter().filter(|one| one["in"] == "query");
            operations.push(Operation {
                method,
                path: path.clone(),
                query: query
                    .map(|one| one["name"].as_str().unwrap().to_owned())
                    .collect(),
                is_guarded: needs_credentials(&operation["security"]),
            });
        }
    }
    operations
}

/// An empty requirement among others admits everybody.
fn needs_credentials(security: &Value) -> bool {
    let requirements = security.as_array().map(Vec::as_slice).unwrap_or_default();
    let is_some = |one: &Value| one.as_object().is_some_and(|names| !names.is_empty());
    !requirements.is_empty() && requirements.iter().all(is_some)
}

impl Operation {
    /// The request for Ada's things.
    fn request(&self, client: &Client, base: &str, things: &Things) -> RequestBuilder {
        let mut path = self.path.clone();
        for (name, value) in things {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        assert!(
            !path.contains('{'),
            "{path} has a parameter that Ada has nothing for"
        );
        let query: Vec<(&str, &String)> = self
            .query
            .iter()
            .filter_map(|name| Some((name.as_str(), things.get(name.as_str())?)))
            .collect();
        let request = client
            .request(self.method.clone(), format!("{base}{path}"))
            .query(&query);
        match self.method {
            Method::GET => request,
            _ => request.json(things),
        }
    }

    fn name(&self, house: House) -> String {
        format!("{house:?}: {} {}", self.method, self.path)
    }
}

/// Status and body; of a stream, what comes at once.
async fn answer(request: RequestBuilder) -> (u16, String) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    let mut chunks = answer.bytes_stream();
    let reading = async {
        while let Some(Ok(chunk)) = chunks.next().await {
            body.extend_from_slice(&chunk);
        }
    };
    let _ = tokio::time::timeout(LISTEN, reading).await;
    (status, String::from_utf8_lossy(&body).into_owned())
}

/// Ada uses every service.
async fn things_of_ada(stack: &Stack) -> BTreeMap<House, Things> {
    stack.n8n().push(Control {
        path: Some(switchhook_standins::n8n::CALLBACK_PATH.to_owned()),
        times: 0,
        mode: Some(Mode::Silent),
        ..Control::default()
    });
    let client = client();
    let machine = |house: House, path: &str| {
        let request = client.post(format!("{}{path}", stack.url(house.name(), 0)));
        request.header("x-n8n-webhook-secret", &stack.keys().webhook_secret)
    };
    let ada = User::of(stack, 0, MARK);
    let session = ada.started(5).await;
    let mut visitor = Visitor::new("ada".to_owned());
    visitor
        .connect(&host(stack.replica(House::Chat.name(), 0).ws_url().unwrap()))
        .await
        .unwrap();
    visitor.say(MARK).await;
    while !visitor.is_all_acked() {
        visitor.read().await;
    }
    let owner = CallOwner::of(stack, 0, MARK);
    owner.connect("agent_of_ada").await;
    let event = json!({"event": "call_ended", "call": {"call_id": format!("call-{MARK}"), "agent_id": "agent_of_ada",
        "start_timestamp": now().timestamp_millis(), "transcript": format!("Agent: {MARK}")}});
    let taken = machine(House::Retell, "/api/n8n/retell-webhook")
        .json(&event)
        .send()
        .await
        .unwrap();
    assert_eq!(taken.status(), 200);
    let order = json!({"destination": "61402012298", "account_code": MARK});
    let dispatched: Value = machine(House::Dispatch, "/dispatch")
        .json(&order)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let assign = client
        .post(format!(
            "{}/api/tasks/assign-user-task",
            stack.url(House::Tasks.name(), 0)
        ))
        .bearer_auth(token_with(stack.keys(), MARK, &json!({})));
    let task = assign.json(&json!({"agentId": "echo", "message": MARK}));
    let task: Value = task.send().await.unwrap().json().await.unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned();
    let fixed = |name: &'static str, value: &str| (name, value.to_owned());
    BTreeMap::from([
        (
            House::Session,
            Things::from([
                ("id", session.clone()),
                ("sessionId", session),
                fixed("callId", "lead-1"),
                fixed("status", "finished"),
            ]),
        ),
        (
            House::Chat,
            Things::from([
                ("id", visitor.session.clone()),
                ("sessionId", visitor.session.clone()),
                fixed("text", "from somebody else"),
                fixed("whenOffline", "store"),
            ]),
        ),
        (
            House::Retell,
            Things::from([
                ("callId", format!("call-{MARK}")),
                fixed("agentId", "agent_of_ada"),
                fixed("number", "61402012298"),
            ]),
        ),
        (
            House::Dispatch,
            Things::from([
                ("dispatch_id", text(&dispatched["dispatch_id"])),
                fixed("account_code", MARK),
            ]),
        ),
        (
            House::Tasks,
            Things::from([
                ("taskId", text(&task["taskId"])),
                fixed("agentId", "echo"),
                fixed("message", "from somebody else"),
                fixed("response", "from somebody else"),
            ]),
        ),
    ])
}

/// Somebody who is signed in and may see nothing of Ada's.
fn stranger(stack: &Stack, house: House) -> String {
    let further = match house {
        House::Chat => json!({"role": "operator", "channels": ["elsewhere"]}),
        _ => json!({}),
    };
    token_with(stack.keys(), "somebody-else", &further)
}

/// What Ada, or whoever may, sees of her things.
async fn seen_by_ada(stack: &Stack, house: House, things: &Things) -> String {
    let client = client();
    let base = stack.url(house.name(), 0);
    let path = match house {
        House::Session => format!("/api/ai-session/{}", things["id"]),
        House::Chat => format!("/api/sessions/{}/messages", things["id"]),
        House::Retell => format!("/api/retell/calls/{}", things["callId"]),
        House::Dispatch => format!("/dispatch/{}", things["dispatch_id"]),
        House::Tasks => format!("/api/tasks/{}", things["taskId"]),
    };
    let further = match house {
        House::Chat | House::Dispatch => json!({"role": "operator"}),
        _ => json!({}),
    };
    let request = client.get(format!("{base}{path}"));
    let (status, body) = answer(request.bearer_auth(token_with(stack.keys(), MARK, &further))).await;
    assert_eq!(status, 200, "{house:?}: {body}");
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn no_address_of_any_service_shows_or_changes_what_is_another_s() {
    let _alone = ALONE.lock().await;
    let stack = street().start().await.unwrap();
    let things = things_of_ada(&stack).await;
    let client = client();
    let (mut asked, mut refused, mut found) = (0, 0, Vec::new());
    for house in HOUSES {
        let (base, things) = (stack.url(house.name(), 0), &things[&house]);
        let before = eventually("what is under way is over", PATIENCE, || async {
            let first = seen_by_ada(&stack, house, things).await;
            tokio::time::sleep(LISTEN).await;
            (seen_by_ada(&stack, house, things).await == first).then_some(first)
        })
        .await;
        for operation in operations(&client, base).await {
            let request = operation.request(&client, base, things);
            let (status, body) = answer(request.bearer_auth(stranger(&stack, house))).await;
            asked += 1;
            if body.contains(MARK) && !body.contains("\"fields\"") {
                found.push(format!(
                    "{}: a stranger got {status} {body}",
                    operation.name(house)
                ));
            }
            let (status, body) = answer(operation.request(&client, base, things)).await;
            let is_refused = status == 401;
            refused += usize::from(is_refused);
            if body.contains(MARK) || (operation.is_guarded && !is_refused) {
                found.push(format!("{}: nobody got {status} {body}", operation.name(house)));
            }
        }
        let after = seen_by_ada(&stack, house, things).await;
        if before != after {
            found.push(format!("{house:?}: a stranger changed\n{before}\nto\n{after}"));
        }
    }
    say(&format!(
        "{asked} addresses asked by a stranger, {refused} refused to nobody"
    ));
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(asked > 40 && refused > 35);
    stack.stop().await.unwrap();
}

/// Pages and documents: where they are.
const PAGES: [&str; 3] = ["/", "/docs/", "/demo"];

#[tokio::test(flavor = "multi_thread")]
async fn no_page_may_run_a_script_that_is_not_a_file_of_ours() {
    let _alone = ALONE.lock().await;
    let stack = street().start().await.unwrap();
    let client = client();
    let mut judged = 0;
    for house in HOUSES {
        for path in PAGES {
            let answer = client
                .get(format!("{}{path}", stack.url(house.name(), 0)))
                .send()
                .await
                .unwrap();
            if answer.status() != 200 {
                assert_eq!((path, answer.status().as_u16()), ("/demo", 404), "{house:?}");
                continue;
            }
            judged += 1;
            let policy = answer.headers()["content-security-policy"]
                .to_str()
                .unwrap()
                .to_owned();
            let sniff = answer.headers()["x-content-type-options"]
                .to_str()
                .unwrap()
                .to_owned();
            assert_eq!(sniff, "nosniff", "{house:?} {path}");
            let html = answer.text().await.unwrap();
            judge_policy(&format!("{house:?} {path}"), &policy);
            judge_html(&format!("{house:?} {path}"), &html);
        }
    }
    say(&format!(
        "{judged} pages with a strict policy and without inline script"
    ));
    assert!(judged >= 11);
    stack.stop().await.unwrap();
}

fn judge_policy(page: &str, policy: &str) {
    let directives: BTreeMap<&str, Vec<&str>> = policy
        .split(';')
        .filter_map(|directive| {
            let mut words = directive.split_whitespace();
            Some((words.next()?, words.collect()))
        })
        .collect();
    assert_eq!(directives["default-src"], ["'none'"], "{page}: {policy}");
    assert_eq!(directives["script-src"], ["'self'"], "{page}: {policy}");
    for (name, allowed) in [("base-uri", "'none'"), ("frame-ancestors", "'none'")] {
        assert_eq!(
            directives.get(name).map(Vec::as_slice),
            Some(&[allowed][..]),
            "{page}: {name} in {policy}"
        );
    }
}

fn judge_html(page: &str, html: &str) {
    let lower = html.to_lowercase();
    for script in lower.split("<script").skip(1) {
        let (tag, rest) = script.split_once('>').unwrap();
        let is_data = tag.contains("application/json") || tag.contains("importmap");
        assert!(
            tag.contains("src=") || is_data || rest.starts_with("</script"),
            "{page}: {script}"
        );
    }
    let handlers = ["onload=", "onerror=", "onclick=", "javascript:"];
    assert!(
        handlers.iter().all(|handler| !lower.contains(handler)),
        "{page}: {html}"
    );
}
