//! Who works with dispatches: machines by a secret, operators by their token.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use chrono::{DateTime, Utc};
use switchhook_chassis::http::{Caller, CallerPost, Failure};
use switchhook_core::problem::Problem;

/// The role of operators.
const ROLE: &str = "operator";

/// An operator or a machine.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    /// When an operator's token is over; a machine's secret is not.
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

/// As [`Operator`], for what n8n posts: with `WEBHOOK_AUTH=off` also without credentials.
#[derive(Debug, Clone)]
pub(crate) struct OperatorPost;

impl Operator {
    fn of(caller: Caller) -> Result<Self, Failure> {
        match caller {
            Caller::Machine(_) => Ok(Self { expires_at: None }),
            Caller::User(user) if user.has_role(ROLE) => Ok(Self {
                expires_at: Some(user.expires_at),
            }),
            Caller::User(_) => {
                Err(Problem::forbidden("This address is for operators: the token lacks the role").into())
            }
        }
    }
}

type Extracted<T> = Pin<Box<dyn Future<Output = Result<T, Failure>>>>;

impl FromRequest for Operator {
    type Error = Failure;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = Caller::from_request(request, payload);
        Box::pin(async move { Self::of(caller.await?) })
    }
}

impl FromRequest for OperatorPost {
    type Error = Failure;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = CallerPost::from_request(request, payload);
        Box::pin(async move { Operator::of(caller.await?.0).map(|_| Self) })
    }
}
