//! The control endpoints that only LiveKit's stand-in has.
//!
//! | request | does |
//! |---|---|
//! | `POST /_workers` `{"workers":0}` | says how many workers take jobs |
//! | `POST /_plan` [`Plan`], `DELETE /_plan` | says how coming calls go; forgets it |
//! | `POST /_webhooks` [`Delivery`] | says how webhooks arrive |
//! | `POST /_recording` `{"ending":"fails","words":"…"}` | says how coming recordings go |
//! | `POST /_call` `{"room","do":"ring|answer|hang_up"}` | takes a call on |
//! | `POST /_close` `{"room"}` | closes a room as when its time is up |
//! | `POST /_send` | signs the body as it is and sends it |
//! | `POST /_flush` | sends the webhooks that are kept to be sent in reverse order |
//! | `GET /_acted`, `GET /_rooms` | lists the jobs that workers took; the rooms |

use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::delivery::Delivery;
use super::plan::{Plan, RecordingEnding, refused};
use super::world::Platform;
use crate::control::Refused;
use crate::doors::{bad_request, done, json_body, plain, unknown_method};
use crate::role::read;
use crate::server::Answer;

const PATHS: [&str; 9] = [
    "/_workers",
    "/_plan",
    "/_webhooks",
    "/_recording",
    "/_call",
    "/_close",
    "/_flush",
    "/_acted",
    "/_rooms",
];

/// Answers what is in the table; any other request comes back.
pub(super) async fn answer(
    platform: &Arc<Platform>,
    request: Request<Incoming>,
) -> Result<Answer, Request<Incoming>> {
    let path = request.uri().path().to_owned();
    Ok(match (request.method().as_str(), path.as_str()) {
        ("GET", "/_acted") => {
            let world = platform.world();
            let items: Vec<Value> = world.acted.iter().map(|one| one.to_json()).collect();
            plain(200, &json!({ "items": items }))
        }
        ("GET", "/_rooms") => {
            let rooms = platform.world().seen();
            let items: Vec<Value> = rooms.iter().map(|room| room.to_json()).collect();
            plain(200, &json!({ "items": items }))
        }
        ("DELETE", "/_plan") => {
            platform.clear_plans();
            done()
        }
        ("POST", "/_flush") => {
            platform.webhooks.flush();
            done()
        }
        ("POST", "/_send") => send(platform, request).await,
        ("POST", "/_workers" | "/_plan" | "/_webhooks" | "/_recording" | "/_call" | "/_close") => {
            match json_body(request).await {
                Ok(body) => told(platform, &path, &body)
                    .unwrap_or_else(|refused| bad_request(&refused.field, refused.why)),
                Err(answer) => answer,
            }
        }
        (_, "/_send") => unknown_method(),
        (_, known) if PATHS.contains(&known) => unknown_method(),
        _ => return Err(request),
    })
}

fn told(platform: &Arc<Platform>, path: &str, body: &Value) -> Result<Answer, Refused> {
    match path {
        "/_workers" => {
            let workers = body.get("workers").and_then(Value::as_u64);
            let workers = workers.and_then(|workers| usize::try_from(workers).ok());
            platform.set_workers(workers.ok_or_else(|| refused("workers", "must be a whole number from 0"))?);
        }
        "/_plan" => {
            let plan = Plan::from_json(body, platform.world().plans.usual())?;
            platform.add_plan(plan);
        }
        "/_webhooks" => platform.webhooks.set_delivery(Delivery::from_json(body)?),
        "/_recording" => platform.set_recording(RecordingEnding::from_json(body)?),
        _ => return moved(platform, path, body),
    }
    Ok(done())
}

/// Takes a call or a room on; 404 when there is none in that state.
fn moved(platform: &Arc<Platform>, path: &str, body: &Value) -> Result<Answer, Refused> {
    let room = body.get("room").and_then(Value::as_str);
    let room = room.ok_or_else(|| refused("room", "must be a room's name"))?;
    let happened = match (path, body.get("do").and_then(Value::as_str)) {
        ("/_close", _) => platform.close_as_idle(room),
        (_, Some("ring")) => platform.ring(room),
        (_, Some("answer")) => platform.answer_call(room),
        (_, Some("hang_up")) => platform.hang_up(room),
        _ => return Err(refused("do", "must be ring, answer or hang_up")),
    };
    Ok(if happened {
        done()
    } else {
        plain(
            404,
            &json!({"error": "there is no such room or call in that state"}),
        )
    })
}

async fn send(platform: &Platform, request: Request<Incoming>) -> Answer {
    let Ok(body) = read(request.into_body()).await else {
        return bad_request("body", "could not be read");
    };
    let taken = platform.webhooks.deliver(body).await;
    plain(200, &json!({"taken": taken}))
}
