//! Which request to the API gets which answer.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::{Method, Request};
use serde_json::{Value, json};

use super::{Platform, agents, control, recording};
use crate::control::{Control, Orders, Refused};
use crate::log::Log;
use crate::role::{Received, Role, acts_by_itself};
use crate::server::Answer;

const JSON: &str = "application/json; charset=utf-8";

impl Role for Platform {
    fn orders(&self) -> &Orders {
        &self.orders
    }

    fn log(&self) -> &Log {
        &self.log
    }

    async fn answer(self: &Arc<Self>, received: Received, order: Option<&Control>) -> Answer {
        // An order with a status or a body stands in the place of whatever would have been said.
        if order.is_some_and(|order| order.status.is_some() || order.body.is_some()) {
            return of_json(200, &json!({}));
        }
        let (method, path) = (&received.parts.method, received.path.as_str());
        if method == Method::GET
            && let Some(agent) = path.strip_prefix("/get-agent/")
        {
            return self.agent(&received, agent);
        }
        if method == Method::GET
            && let Some(call) = path.strip_prefix("/recordings/")
        {
            return recording::answer(call);
        }
        failure(404, &format!("Cannot {method} {path}"))
    }

    fn dressed(status: u16, content_type: &str, body: String) -> Answer {
        Answer {
            status,
            headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
            body: body.into(),
            pace: None,
        }
    }

    fn too_large() -> Answer {
        failure(413, "request entity too large")
    }

    fn admits(order: &Control) -> Result<(), Refused> {
        match order.mode {
            None => acts_by_itself(order),
            Some(_) => Err(Refused {
                field: "mode".to_owned(),
                why: "is for workflows alone",
            }),
        }
    }

    async fn own_control(self: &Arc<Self>, request: Request<Incoming>) -> Result<Answer, Request<Incoming>> {
        control::answer(self, request).await
    }
}

impl Platform {
    fn agent(&self, received: &Received, agent: &str) -> Answer {
        let presented = received
            .parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let Some(key) = presented else {
            return failure(401, "API key is missing.");
        };
        match self.workspaces.sees(key, agent) {
            None => failure(401, "Invalid API key."),
            Some(false) => failure(404, "Item agent not found."),
            Some(true) => {
                let webhook = self.webhooks.target();
                of_json(
                    200,
                    &agents::described(agent, webhook.as_ref().map(url::Url::as_str)),
                )
            }
        }
    }
}

fn failure(status: u16, message: &str) -> Answer {
    of_json(status, &json!({"status": "error", "message": message}))
}

fn of_json(status: u16, body: &Value) -> Answer {
    Platform::dressed(status, JSON, body.to_string())
}
