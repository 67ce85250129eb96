//! The two doors of a stand-in, and what a test says and asks through the one that is always up.
//!
//! | request to the control door | does |
//! |---|---|
//! | `POST /_control`, `DELETE /_control` | adds an order; removes those that the query names |
//! | `GET /_log`, `DELETE /_log` | lists what came and went (`?path=`, `?limit=`); forgets it |
//! | `POST /_down`, `POST /_up` | takes the other door down and up |
//! | anything else | the stand-in's own, else what the system outside answers |

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use serde_json::{Map, Value, json};

use crate::control::{Control, Refused};
use crate::role::{Role, read, receive};
use crate::server::{Answer, Handler, Port, Reply};

/// The door that can be taken down: the system outside alone.
pub(crate) struct OuterDoor<R> {
    role: Arc<R>,
}

/// The door that is always up: the control endpoints, and the system too.
pub(crate) struct ControlDoor<R> {
    role: Arc<R>,
    outer: Arc<Port<OuterDoor<R>>>,
}

/// Both doors of a running stand-in.
pub(crate) struct Doors<R> {
    pub(crate) outer: Arc<Port<OuterDoor<R>>>,
    pub(crate) control: Port<ControlDoor<R>>,
}

impl<R: Role> Doors<R> {
    /// Opens both; number 0 takes a free port.
    pub(crate) fn open(role: &Arc<R>, ip: IpAddr, control_port: u16, outer_port: u16) -> io::Result<Self> {
        let door = OuterDoor {
            role: Arc::clone(role),
        };
        let outer = Arc::new(Port::open(SocketAddr::new(ip, outer_port), Arc::new(door))?);
        let door = ControlDoor {
            role: Arc::clone(role),
            outer: Arc::clone(&outer),
        };
        let control = Port::open(SocketAddr::new(ip, control_port), Arc::new(door))?;
        Ok(Self { outer, control })
    }
}

impl<R: Role> Handler for OuterDoor<R> {
    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Reply {
        receive(&self.role, request).await
    }
}

impl<R: Role> Handler for ControlDoor<R> {
    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Reply {
        let query = request.uri().query().unwrap_or_default();
        let answer = match (request.method().as_str(), request.uri().path()) {
            ("POST", "/_control") => push(self.role.as_ref(), request).await,
            ("DELETE", "/_control") => clear(self.role.as_ref(), query),
            ("GET", "/_log") => list(self.role.as_ref(), query),
            ("DELETE", "/_log") => {
                self.role.log().clear();
                done()
            }
            ("POST", "/_down") => moved(self.outer.down().await),
            ("POST", "/_up") => moved(self.outer.up().await),
            (_, "/_control" | "/_log" | "/_down" | "/_up") => unknown_method(),
            _ => match self.role.own_control(request).await {
                Ok(answer) => answer,
                Err(request) => return receive(&self.role, request).await,
            },
        };
        Reply::Answer(answer)
    }
}

/// JSON without the system's own headers around it.
pub(crate) fn plain(status: u16, body: &Value) -> Answer {
    let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    Answer {
        status,
        headers,
        body: body.to_string().into(),
        pace: None,
    }
}

pub(crate) fn done() -> Answer {
    plain(200, &json!({"ok": true}))
}

pub(crate) fn unknown_method() -> Answer {
    plain(405, &json!({"error": "this endpoint does not know the method"}))
}

pub(crate) fn bad_request(field: &str, why: &str) -> Answer {
    plain(400, &json!({"error": format!("{field} {why}"), "field": field}))
}

/// The body of a control request as JSON.
pub(crate) async fn json_body(request: Request<Incoming>) -> Result<Value, Answer> {
    match read(request.into_body()).await {
        Ok(body) => serde_json::from_slice(&body)
            .map_err(|error| bad_request("body", &format!("is not JSON: {error}"))),
        Err(_) => Err(bad_request("body", "could not be read")),
    }
}

fn moved(result: io::Result<()>) -> Answer {
    match result {
        Ok(()) => done(),
        Err(error) => plain(500, &json!({"error": error.to_string()})),
    }
}

async fn push<R: Role>(role: &R, request: Request<Incoming>) -> Answer {
    let body = match json_body(request).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let order = Control::from_json(&body).and_then(|order| R::admits(&order).map(|()| order));
    match order.map(|order| role.orders().push(order)) {
        Ok(true) => done(),
        Ok(false) => plain(429, &json!({"error": "too many orders wait already"})),
        Err(Refused { field, why }) => bad_request(&field, why),
    }
}

fn clear<R: Role>(role: &R, query: &str) -> Answer {
    let mut values = Map::new();
    let mut path = None;
    for (name, value) in pairs(query) {
        if name == "path" {
            path = Some(value);
        } else {
            values.insert(name, Value::String(value));
        }
    }
    role.clear(path.as_deref(), &values);
    done()
}

fn list<R: Role>(role: &R, query: &str) -> Answer {
    let (mut path, mut limit) = (None, None);
    for (name, value) in pairs(query) {
        match name.as_str() {
            "path" => path = Some(value),
            "limit" => match value.parse() {
                Ok(number) => limit = Some(number),
                Err(_) => return bad_request("limit", "must be a whole number"),
            },
            _ => return bad_request(&name, "is not a filter of the log"),
        }
    }
    plain(200, &role.log().list_json(path.as_deref(), limit))
}

fn pairs(query: &str) -> Vec<(String, String)> {
    serde_urlencoded::from_str(query).unwrap_or_default()
}
