//! Who calls: users by token, machines by secret. One reading of the credentials, four extractors on top of it.
//!
//! What is presented decides who is judged: the secret's header first, then `Authorization: Bearer`, then the cookie.
//! A valid caller of another kind is a 403, everything else a 401. It does not know what a caller may see: that is the
//! service's, by owner.

mod authenticator;
mod claims;
mod cross_site;
mod jwks;
mod presented;
mod sibling;
mod tokens;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use chrono::{DateTime, Utc};
use futures_util::future::LocalBoxFuture;
use serde_json::{Map, Value};
use switchhook_core::ids::UserId;
use switchhook_core::problem::Problem;

pub use authenticator::{Authenticator, ScopedSecret};
pub(crate) use cross_site::refuse_cross_site;
pub(crate) use presented::COOKIE;
pub use sibling::Sibling;

use super::Failure;
use crate::kit::Kit;

/// A user, known by his token.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// The claim `sub`.
    pub id: UserId,
    /// The claim `email`, where there is one.
    pub email: Option<String>,
    /// The claim `role`, one or several.
    pub roles: Vec<String>,
    /// The claim `exp`: streams end then.
    pub expires_at: DateTime<Utc>,
    /// All claims.
    pub claims: Map<String, Value>,
}

impl User {
    /// Whether he has a role.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own == role)
    }
}

/// A machine (n8n, an operator's tool), known by a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The secret's name; `default` where it has none.
    pub name: String,
    /// The part of the service that the secret reaches; all of it where there is none.
    pub scope: Option<String>,
}

/// Either kind of caller.
#[derive(Debug, Clone, PartialEq)]
pub enum Caller {
    /// A user.
    User(User),
    /// A machine.
    Machine(Machine),
}

/// A machine that posts what n8n posts: with `WEBHOOK_AUTH=off` also one without credentials. Never for reads, erasures
/// or takeover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachinePost(pub Machine);

/// Either kind of caller of what n8n posts: with `WEBHOOK_AUTH=off` also one without credentials.
#[derive(Debug, Clone, PartialEq)]
pub struct CallerPost(pub Caller);

/// Anyone; whoever presents valid credentials is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Anyone(pub Option<Caller>);

/// What the credentials of a request amount to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Identity {
    /// No credentials.
    Nobody,
    /// Credentials that prove something.
    Known(Caller),
}

async fn identify(request: &HttpRequest) -> Result<Identity, Failure> {
    let Some(kit) = request.app_data::<Data<Kit>>() else {
        return Err(Failure(Problem::internal()));
    };
    let identity = kit.auth.identify(request, kit).await?;
    if let Identity::Known(Caller::Machine(machine)) = &identity {
        tracing::Span::current().record("machine", machine.name.as_str());
    }
    Ok(identity)
}

fn missing() -> Failure {
    Failure(Problem::unauthorized("Credentials are required"))
}

fn other_kind(needed: &str) -> Failure {
    Failure(Problem::forbidden(format!("This address is for {needed}")))
}

/// What an extractor makes of whoever calls; `nobody` decides on a request without credentials.
fn judged<T: 'static>(
    request: &HttpRequest,
    known: fn(Caller) -> Result<T, Failure>,
    nobody: fn(&HttpRequest) -> Result<T, Failure>,
) -> LocalBoxFuture<'static, Result<T, Failure>> {
    let request = request.clone();
    Box::pin(async move {
        match identify(&request).await? {
            Identity::Known(caller) => known(caller),
            Identity::Nobody => nobody(&request),
        }
    })
}

fn only_user(caller: Caller) -> Result<User, Failure> {
    match caller {
        Caller::User(user) => Ok(user),
        Caller::Machine(_) => Err(other_kind("users, who present a token")),
    }
}

fn only_machine(caller: Caller) -> Result<Machine, Failure> {
    match caller {
        Caller::Machine(machine) => Ok(machine),
        Caller::User(_) => Err(other_kind("machines, which present the webhook secret")),
    }
}

impl FromRequest for User {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        judged(request, only_user, |_| Err(missing()))
    }
}

impl FromRequest for Machine {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        judged(request, only_machine, |_| Err(missing()))
    }
}

fn unverified(request: &HttpRequest) -> Result<Machine, Failure> {
    match request.app_data::<Data<Kit>>() {
        Some(kit) => kit.auth.admit_without_credentials(request.method()),
        None => Err(missing()),
    }
}

impl FromRequest for MachinePost {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        judged(
            request,
            |caller| only_machine(caller).map(Self),
            |request| unverified(request).map(Self),
        )
    }
}

impl FromRequest for CallerPost {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        judged(
            request,
            |caller| Ok(Self(caller)),
            |request| unverified(request).map(|machine| Self(Caller::Machine(machine))),
        )
    }
}

impl FromRequest for Caller {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        judged(request, Ok, |_| Err(missing()))
    }
}

impl FromRequest for Anyone {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            match identify(&request).await {
                Ok(Identity::Known(caller)) => Ok(Self(Some(caller))),
                Ok(Identity::Nobody) | Err(_) => Ok(Self(None)),
            }
        })
    }
}
