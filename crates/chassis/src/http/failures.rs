//! The failures that addresses have in common, for the descriptions of the APIs.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// What every address may answer.
pub struct Always;

/// What an address that takes a JSON body may answer besides.
pub struct WithBody;

/// What an address behind credentials may answer besides.
pub struct Guarded;

type Responses = BTreeMap<String, RefOr<Response>>;

impl IntoResponses for Always {
    fn responses() -> Responses {
        described(&[
            ("429", "Too many requests; Retry-After says when to come back"),
            (
                "503",
                "The database is away, or the service is draining; Retry-After says when to come back",
            ),
        ])
    }
}

impl IntoResponses for WithBody {
    fn responses() -> Responses {
        described(&[
            ("408", "The body did not arrive in time"),
            ("413", "The body is larger than MAX_BODY_BYTES"),
            ("415", "The body is of another type than JSON"),
        ])
    }
}

impl IntoResponses for Guarded {
    fn responses() -> Responses {
        described(&[
            ("401", "Credentials are missing or wrong"),
            (
                "403",
                "Credentials of another kind of caller, or a write that another site caused",
            ),
        ])
    }
}

fn described(failures: &[(&str, &str)]) -> Responses {
    failures
        .iter()
        .map(|(status, what)| ((*status).to_owned(), RefOr::T(problem(what))))
        .collect()
}

fn problem(what: &str) -> Response {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    ResponseBuilder::new()
        .description(what)
        .content("application/json", content)
        .build()
}
