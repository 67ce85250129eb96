//! Who works with chats: operators by their token, machines by a secret.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use switchhook_chassis::http::{Caller, CallerPost, Failure, User};
use switchhook_core::problem::Problem;

use crate::domain::operator::{self, Reach};
use crate::domain::session::{Person, Taker};

/// An operator or a machine.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    /// Whose visitors are his.
    pub(crate) reach: Reach,
    caller: Caller,
}

/// As [`Desk`], for what n8n posts: with `WEBHOOK_AUTH=off` also without credentials.
#[derive(Debug, Clone)]
pub(crate) struct DeskPost(pub(super) Desk);

/// An operator.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    pub(crate) user: User,
    /// Whose visitors are his.
    pub(crate) reach: Reach,
}

impl Desk {
    fn of(caller: Caller) -> Result<Self, Failure> {
        let reach = match &caller {
            Caller::User(user) => reach(user)?,
            Caller::Machine(machine) => Reach::of_secret(machine.scope.as_deref()),
        };
        Ok(Self { reach, caller })
    }

    /// For whom a chat is taken over.
    pub(crate) fn taker(&self) -> Taker {
        match &self.caller {
            Caller::User(user) => Taker::Operator(person(user)),
            Caller::Machine(_) => Taker::Machine,
        }
    }

    /// What visitors know him by.
    pub(crate) fn public_name(&self) -> Option<String> {
        match &self.caller {
            Caller::User(user) => operator::public_name(&user.claims),
            Caller::Machine(_) => None,
        }
    }

    /// The operator's user id.
    pub(crate) fn author(&self) -> Option<String> {
        match &self.caller {
            Caller::User(user) => Some(user.id.to_string()),
            Caller::Machine(_) => None,
        }
    }

    /// The caller to the keys of requests: users and machines never meet.
    pub(crate) fn keys_caller(&self) -> String {
        match &self.caller {
            Caller::User(user) => user_caller(user.id.as_str()),
            Caller::Machine(machine) => format!("machine:{}", machine.name),
        }
    }
}

/// The caller that a user is to the keys of requests.
pub(crate) fn user_caller(id: &str) -> String {
    format!("user:{id}")
}

fn reach(user: &User) -> Result<Reach, Failure> {
    if !user.has_role(operator::ROLE) {
        return Err(Problem::forbidden("This address is for operators: the token lacks the role").into());
    }
    Ok(Reach::of_claims(&user.claims))
}

/// An operator as other operators know him.
fn person(user: &User) -> Person {
    let name = operator::public_name(&user.claims).or_else(|| user.email.clone());
    Person {
        id: user.id.to_string(),
        name: name.unwrap_or_else(|| user.id.to_string()),
    }
}

type Extracted<T> = Pin<Box<dyn Future<Output = Result<T, Failure>>>>;

impl FromRequest for Desk {
    type Error = Failure;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = Caller::from_request(request, payload);
        Box::pin(async move { Self::of(caller.await?) })
    }
}

impl FromRequest for DeskPost {
    type Error = Failure;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = CallerPost::from_request(request, payload);
        Box::pin(async move { Desk::of(caller.await?.0).map(Self) })
    }
}

impl FromRequest for Operator {
    type Error = Failure;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let user = User::from_request(request, payload);
        Box::pin(async move {
            let user = user.await?;
            let reach = reach(&user)?;
            Ok(Self { user, reach })
        })
    }
}
