//! Pages of lists: `limit`, `cursor`, and the absolute URL of the next page.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::lenient;
use switchhook_core::problem::Problem;
use url::form_urlencoded;

use super::{Failure, address, query};
use crate::kit::Kit;

/// Entries of a page where the caller does not say.
pub const DEFAULT_LIMIT: i64 = 50;
/// Most entries of a page.
pub const MAX_LIMIT: i64 = 200;
const CURSOR_MAX_CHARS: usize = 512;

/// Which page of a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging {
    /// Entries, 1..=200.
    pub limit: i64,
    /// Where the page before ended, as the list itself wrote it.
    pub cursor: Option<String>,
}

impl FromFields for Paging {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let limit = fields.optional("limit", |value| lenient::integer(value, 1, MAX_LIMIT));
        let cursor = fields.optional("cursor", |value| lenient::text(value, 1, CURSOR_MAX_CHARS));
        fields.finish()?;
        Ok(Self {
            limit: limit.unwrap_or(DEFAULT_LIMIT),
            cursor,
        })
    }
}

impl FromRequest for Paging {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(query::read(request.query_string()).map_err(Failure))
    }
}

/// What a cursor that is none of ours gets.
pub fn bad_cursor() -> Failure {
    Failure(Problem::invalid_field("cursor", "is not a cursor of this list"))
}

/// The absolute URL of the next page: this request's, with another cursor.
pub fn next_url(request: &HttpRequest, cursor: &str) -> String {
    let base = match request.app_data::<Data<Kit>>() {
        Some(kit) => address::base_url(request.head(), &kit.settings),
        None => String::new(),
    };
    format!(
        "{base}{}?{}",
        request.path(),
        with_cursor(request.query_string(), cursor)
    )
}

fn with_cursor(query: &str, cursor: &str) -> String {
    let mut next = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "cursor") {
        next.append_pair(&name, &value);
    }
    next.append_pair("cursor", cursor);
    next.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_has_bounds() {
        let read = |text: &str| query::read::<Paging>(text);
        assert_eq!(
            read("").unwrap(),
            Paging {
                limit: 50,
                cursor: None
            }
        );
        assert_eq!(
            read("limit=200&cursor=abc").unwrap(),
            Paging {
                limit: 200,
                cursor: Some("abc".into())
            }
        );
        for wrong in [
            "limit=0",
            "limit=201",
            "limit=-1",
            "limit=x",
            "limit=",
            "limit=1.5",
            "limit=1&limit=2",
            "cursor=",
        ] {
            let problem = read(wrong).unwrap_err();
            assert_eq!(
                (problem.status, problem.code.as_ref()),
                (400, "invalid_field"),
                "{wrong}"
            );
        }
        assert!(read(&format!("cursor={}", "a".repeat(513))).is_err());
        assert!(read("cursor=a%00b").is_err());
    }

    #[test]
    fn the_next_page_keeps_the_filters() {
        assert_eq!(
            with_cursor("state=a+b&cursor=old&limit=2", "new/1"),
            "state=a+b&limit=2&cursor=new%2F1"
        );
        assert_eq!(with_cursor("", "c"), "cursor=c");
    }
}
