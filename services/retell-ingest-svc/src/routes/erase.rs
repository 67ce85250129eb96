//! Erasing calls: one, or all with a phone number.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use switchhook_chassis::http::failures::{Always, Guarded, WithBody};
use switchhook_chassis::http::{Failure, Json, Query, User};
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::ids::UserId;
use switchhook_core::lenient;
use switchhook_core::problem::Problem;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::error::Error;
use crate::store::erasure;

/// Most characters of an id or a number.
const MAX_CHARS: usize = 255;

/// What is to be erased; exactly one of the two, here or in the query.
#[derive(Debug, Default, ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct EraseIn {
    /// All calls from or to this number.
    #[schema(examples("+14155550100"))]
    phone: Option<String>,
    /// This call.
    call_id: Option<String>,
}

impl FromFields for EraseIn {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let id = |value: &_| lenient::id_text(value, 1, MAX_CHARS);
        let read = Self {
            phone: fields.optional("phone", id),
            call_id: fields.optional("callId", id),
        };
        fields.finish()?;
        Ok(read)
    }
}

/// What was erased.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EraseOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// How many calls.
    deleted: u64,
}

/// Which calls go.
enum Victims {
    Call(String),
    Numbers(Vec<String>),
}

impl Victims {
    fn named(body: EraseIn, query: EraseIn) -> Result<Self, Problem> {
        let given = [body.phone, query.phone]
            .into_iter()
            .flatten()
            .map(Self::with_number);
        let calls = [body.call_id, query.call_id]
            .into_iter()
            .flatten()
            .map(Self::Call);
        let mut named = given.chain(calls);
        match (named.next(), named.next()) {
            (Some(victims), None) => Ok(victims),
            (None, _) => Err(Problem::invalid_field("phone", "or callId is required")),
            (Some(_), Some(_)) => Err(Problem::invalid_field(
                "phone",
                "and callId must not be given together, or twice",
            )),
        }
    }

    /// As it is, and its digits alone with a plus sign and without, however people group them; two noughts stand for the
    /// plus sign, and in a query one that nobody escaped is a space.
    fn with_number(phone: String) -> Self {
        let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
        let plain = digits.strip_prefix("00").unwrap_or(&digits);
        let mut numbers = vec![phone.clone(), phone.trim().to_owned()];
        // Names of SIP have digits too.
        if !plain.is_empty() && !phone.chars().any(char::is_alphabetic) {
            numbers.extend([format!("+{plain}"), plain.to_owned(), digits.clone()]);
        }
        numbers.sort_unstable();
        numbers.dedup();
        Self::Numbers(numbers)
    }
}

/// Erases calls
///
/// One, or all from or to a number, with all that is kept about them. An event that comes late brings nothing back.
#[utoipa::path(
    delete,
    path = "/api/retell/calls",
    tag = "calls",
    operation_id = "eraseCalls",
    params(
        ("phone" = Option<String>, Query, description = "All calls from or to this number"),
        ("callId" = Option<String>, Query, description = "This call")
    ),
    request_body = EraseIn,
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "How many calls were erased", body = EraseOut),
        (status = 400, description = "Neither phone nor callId is given, or both", body = ref("#/components/schemas/Problem")),
        Guarded, WithBody, Always
    )
)]
pub(crate) async fn erase(
    state: Data<AppState>,
    user: User,
    query: Query<EraseIn>,
    body: Json<EraseIn>,
) -> Result<HttpResponse, Failure> {
    let victims = Victims::named(body.0, query.0)?;
    let work = erase_calls(state.as_ref().clone(), user.id, victims);
    let deleted = state.kit.run(work).await?;
    tracing::info!(deleted, "calls erased");
    Ok(HttpResponse::Ok().json(EraseOut {
        success: true,
        deleted,
    }))
}

/// In batches: each is a short transaction. Where the time is over in between, the same request goes on.
async fn erase_calls(state: AppState, owner: UserId, victims: Victims) -> Result<u64, Error> {
    let mut deleted = 0;
    let mut place = Some(None);
    while let Some(after) = place {
        let mut conn = state.kit.pool.acquire().await?;
        let (found, reached) = match &victims {
            Victims::Call(call_id) => (erasure::by_call_id(&mut conn, &owner, call_id).await?, None),
            Victims::Numbers(numbers) => erasure::by_number(&mut conn, &owner, numbers, after).await?,
        };
        drop(conn);
        place = reached.map(Some);
        for batch in found.chunks(erasure::ERASED_AT_ONCE) {
            let mut tx = state.kit.pool.begin().await?;
            let erased = erasure::erase(&mut tx, &owner, batch, state.kit.clock.now()).await?;
            tx.commit().await?;
            if erased > 0 {
                state.announce([&owner]);
            }
            deleted += erased;
        }
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(phone: &str) -> EraseIn {
        EraseIn {
            phone: Some(phone.to_owned()),
            call_id: None,
        }
    }

    #[test]
    fn a_number_is_known_with_a_plus_sign_and_without() {
        for given in ["+1415", "1415", " 1415"] {
            let Ok(Victims::Numbers(numbers)) = Victims::named(phone(given), EraseIn::default()) else {
                panic!("{given}");
            };
            for expected in ["+1415", "1415", given] {
                assert!(
                    numbers.iter().any(|number| number == expected),
                    "{given} {expected}"
                );
            }
        }
    }

    #[test]
    fn exactly_one_thing_is_erased() {
        let call = || EraseIn {
            phone: None,
            call_id: Some("c".to_owned()),
        };
        assert!(Victims::named(call(), EraseIn::default()).is_ok());
        assert!(Victims::named(EraseIn::default(), call()).is_ok());
        for (body, query) in [
            (EraseIn::default(), EraseIn::default()),
            (call(), call()),
            (phone("1"), call()),
        ] {
            assert_eq!(
                Victims::named(body, query).err().map(|problem| problem.status),
                Some(400)
            );
        }
    }
}
