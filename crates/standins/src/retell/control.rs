//! The control endpoints that only Retell's stand-in has.

use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use serde_json::{Map, Value, json};

use super::{Platform, Play};
use crate::control::Refused;
use crate::doors::{bad_request, done, json_body, plain, unknown_method};
use crate::role::read;
use crate::server::Answer;

/// Answers `/_agents`, `/_call` and `/_send`; any other request comes back.
pub(super) async fn answer(
    platform: &Arc<Platform>,
    request: Request<Incoming>,
) -> Result<Answer, Request<Incoming>> {
    Ok(match (request.method().as_str(), request.uri().path()) {
        ("POST", "/_agents") => set_agents(platform, request).await,
        ("POST", "/_call") => play(platform, request).await,
        ("POST", "/_send") => send(platform, request).await,
        (_, "/_agents" | "/_call" | "/_send") => unknown_method(),
        _ => return Err(request),
    })
}

async fn set_agents(platform: &Platform, request: Request<Incoming>) -> Answer {
    let body = match json_body(request).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let key = match body.get("api_key") {
        None | Some(Value::Null) => platform.workspaces.first_key(),
        Some(Value::String(key)) if !key.is_empty() => key.clone(),
        Some(_) => return bad_request("api_key", "must be a text"),
    };
    let ids = body.get("agents").and_then(Value::as_array).map(|ids| {
        let id = |id: &Value| id.as_str().map(str::to_owned);
        ids.iter().map(id).collect::<Option<Vec<_>>>()
    });
    let Some(Some(agents)) = ids else {
        return bad_request("agents", "must be a list of ids");
    };
    platform.workspaces.set(&key, agents);
    done()
}

async fn play(platform: &Platform, request: Request<Incoming>) -> Answer {
    let Ok(body) = read(request.into_body()).await else {
        return bad_request("body", "could not be read");
    };
    let body = match serde_json::from_slice(&body) {
        Ok(body) => body,
        Err(_) if body.is_empty() => Value::Object(Map::new()),
        Err(error) => return bad_request("body", &format!("is not JSON: {error}")),
    };
    let play = match Play::from_json(&body) {
        Ok(play) => play,
        Err(refused) => return refusal(&refused),
    };
    match platform.play(&play) {
        Ok(id) => plain(202, &json!({ if play.chat { "chat_id" } else { "call_id" }: id })),
        Err(refused) => refusal(&refused),
    }
}

async fn send(platform: &Platform, request: Request<Incoming>) -> Answer {
    let Ok(body) = read(request.into_body()).await else {
        return bad_request("body", "could not be read");
    };
    let key = platform.key_for(&serde_json::from_slice(&body).unwrap_or_default());
    platform.webhooks.send(key, body);
    plain(202, &json!({"ok": true}))
}

fn refusal(refused: &Refused) -> Answer {
    bad_request(&refused.field, refused.why)
}
