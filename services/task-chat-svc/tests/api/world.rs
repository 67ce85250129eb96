//! What every test needs: a replica, an agent in n8n's stand-in, and short words for requests.

use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};
use sqlx::PgPool;
pub(crate) use switchhook_chassis::testing::failed;
use switchhook_chassis::testing::{TestApp, eventually, json_of};
use switchhook_standins::control::Mode;
pub(crate) use switchhook_standins::n8n::AGENT_PATH;
use switchhook_standins::{Control, N8n, Options};
use task_chat_svc::app::TaskChatSvc;

/// Longest that anything may take.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// The user of most tests.
pub(crate) const ADA: &str = "ada";
/// Where users write.
pub(crate) const ASSIGN: &str = "/api/tasks/assign-user-task";
/// Where agents answer.
pub(crate) const HOOK: &str = "/api/communications/webhook-response";
/// Where users pretend to be agents.
pub(crate) const TEST: &str = "/api/communications/test-response";

/// One replica and one n8n.
pub(crate) struct World {
    pub(crate) app: TestApp<TaskChatSvc>,
    pub(crate) n8n: N8n,
}

impl World {
    /// With an agent that takes every message and says nothing.
    pub(crate) async fn new(pool: &PgPool) -> Self {
        let world = Self::with(pool, &[]).await;
        world.n8n.push(silent());
        world
    }

    /// With an agent that was told nothing, and other settings.
    pub(crate) async fn with(pool: &PgPool, settings: &[(&str, &str)]) -> Self {
        let n8n = n8n();
        let app = replica(pool, &n8n, settings).await;
        n8n.set_secret(app.secret());
        Self { app, n8n }
    }

    /// With an agent that answers the next message like this and the others not at all.
    pub(crate) async fn answering(pool: &PgPool, control: Control) -> Self {
        let world = Self::with(pool, &[]).await;
        world.n8n.push(control);
        world.n8n.push(silent());
        world
    }
}

/// An n8n whose agents do not think long.
pub(crate) fn n8n() -> N8n {
    N8n::start(Options {
        thinking: Duration::from_millis(1),
        ..Options::default()
    })
    .unwrap()
}

/// The agents of every replica.
pub(crate) fn webhooks(n8n: &N8n) -> String {
    let agents =
        json!({"default": n8n.webhook_url("task-agent"), "echo": n8n.webhook_url("task-agent-respond")});
    agents.to_string()
}

/// One more replica on the same database.
pub(crate) async fn replica(pool: &PgPool, n8n: &N8n, settings: &[(&str, &str)]) -> TestApp<TaskChatSvc> {
    let agents = webhooks(n8n);
    let mut all = vec![
        ("AGENT_WEBHOOKS", agents.as_str()),
        ("ENABLE_TEST_ENDPOINTS", "true"),
    ];
    all.retain(|(name, _)| !settings.iter().any(|(given, _)| given == name));
    all.extend(settings);
    TestApp::start(pool, &all).await
}

/// The agent takes every message and says nothing.
pub(crate) fn silent() -> Control {
    Control {
        mode: Some(Mode::Silent),
        times: 0,
        ..Control::default()
    }
}

/// The agent's request is answered like this.
pub(crate) fn says(status: u16, body: Value) -> Control {
    Control {
        status: Some(status),
        body: Some(body),
        ..Control::default()
    }
}

/// Short words for requests to one replica.
pub(crate) trait Ask {
    fn app(&self) -> &TestApp<TaskChatSvc>;

    /// Begins a task and gives its id.
    async fn begin(&self, user: &str, message: &str) -> String {
        let body = json!({"agentId": "default", "message": message});
        let said = json_of(self.app().post(user, ASSIGN, body).await, 201).await;
        said["taskId"].as_str().unwrap().to_owned()
    }

    /// Writes the next message of a task.
    async fn write(&self, user: &str, task: &str, message: &str) -> Value {
        let body = json!({"agentId": "default", "message": message, "taskId": task});
        json_of(self.app().post(user, ASSIGN, body).await, 201).await
    }

    /// Answers as the agent and gives the answer's id.
    async fn answer(&self, task: &str, text: &str) -> String {
        let said = json_of(
            self.app()
                .as_n8n(HOOK, json!({"taskId": task, "response": text}))
                .await,
            200,
        )
        .await;
        said["responseId"].as_str().unwrap().to_owned()
    }

    /// A task with its conversation.
    async fn task(&self, user: &str, task: &str) -> Value {
        json_of(self.app().get(user, &format!("/api/tasks/{task}")).await, 200).await
    }

    /// The answers of a task, as they are asked for.
    async fn responses(&self, user: &str, task: &str, more: &str) -> Vec<Value> {
        let path = format!("/api/communications/get-responses?taskId={task}{more}");
        let request = self
            .app()
            .client()
            .get(self.app().url(&path))
            .bearer_auth(self.app().user(user));
        let body = json_of(request.timeout(SOON * 2).send().await.unwrap(), 200).await;
        assert_eq!(body.as_object().unwrap().len(), 3, "{body}");
        assert_eq!((&body["success"], &body["taskId"]), (&json!(true), &json!(task)));
        body["responses"].as_array().unwrap().clone()
    }

    /// Waits until a task is as described.
    async fn until(&self, user: &str, task: &str, described: impl Fn(&Value) -> bool) -> Value {
        let look = || async {
            let shown = self.task(user, task).await;
            described(&shown["task"]).then_some(shown)
        };
        eventually(look, SOON).await
    }

    /// Waits until a task is in a state.
    async fn until_state(&self, user: &str, task: &str, state: &str) -> Value {
        self.until(user, task, |task| task["state"] == state).await
    }

    /// Sends the last message again.
    async fn resend(&self, user: &str, task: &str) -> Response {
        self.app()
            .post(user, &format!("/api/tasks/{task}/resend"), json!({}))
            .await
    }
}

impl Ask for TestApp<TaskChatSvc> {
    fn app(&self) -> &TestApp<TaskChatSvc> {
        self
    }
}

/// What the answers say.
pub(crate) fn texts(responses: &[Value]) -> Vec<&str> {
    responses
        .iter()
        .map(|response| response["response"].as_str().unwrap())
        .collect()
}
