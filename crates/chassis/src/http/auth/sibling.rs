//! Another replica of this service, which calls what is under `/internal`.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use switchhook_core::problem::Problem;

use super::Failure;
use super::presented::Presented;
use crate::kit::Kit;

/// A sibling, known by this process's token, which only those who read the table of replicas have.
#[derive(Debug, Clone, Copy)]
pub struct Sibling;

impl FromRequest for Sibling {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let kit = request.app_data::<Data<Kit>>();
        let known = match (Presented::by(request.headers()), kit) {
            (Presented::Bearer(token), Some(kit)) => kit.replica.admits(token.as_bytes()),
            _ => false,
        };
        ready(if known {
            Ok(Self)
        } else {
            Err(Problem::unauthorized("This address is for replicas of this service").into())
        })
    }
}
