//! Calls per day.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::Data;
use chrono::NaiveDate;
use serde::Serialize;
use switchhook_chassis::http::{Failure, Query, User};
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::ids::UserId;
use switchhook_core::lenient;
use switchhook_core::problem::Problem;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::domain::day;
use crate::error::Error;
use crate::store;
use switchhook_chassis::http::failures::{Always, Guarded};

const DEFAULT_DAYS: u32 = 30;
const MAX_DAYS: i64 = 366;

/// How far back.
#[derive(Debug)]
pub(crate) struct Range {
    days: u32,
}

impl FromFields for Range {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let days = fields.optional("days", |value| {
            lenient::integer(value, 1, MAX_DAYS).map(|days| u32::try_from(days).unwrap_or(DEFAULT_DAYS))
        });
        fields.finish()?;
        Ok(Self {
            days: days.unwrap_or(DEFAULT_DAYS),
        })
    }
}

/// A day and its calls.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DayOut {
    /// A day of `DAY_TIMEZONE`.
    day: NaiveDate,
    /// Calls of all of the user's sessions.
    calls: i64,
}

/// Calls per day.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatsOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// Newest first; days without calls are there too.
    items: Vec<DayOut>,
}

/// Calls per day
#[utoipa::path(
    get,
    path = "/api/ai-session/stats",
    tag = "sessions",
    operation_id = "sessionStats",
    params(("days" = Option<i64>, Query, description = "Days up to today, 30 by default", minimum = 1, maximum = 366)),
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "Every day of the range, newest first", body = StatsOut),
        (status = 400, description = "days is wrong", body = ref("#/components/schemas/Problem")),
        Guarded, Always
    )
)]
pub(crate) async fn stats(
    state: Data<AppState>,
    user: User,
    range: Query<Range>,
) -> Result<HttpResponse, Failure> {
    let (_, today) = state.moment();
    let days = range.0.days;
    let calls = state
        .kit
        .run(calls_since(
            state.as_ref().clone(),
            user.id,
            day::first_of(today, days),
        ))
        .await?;
    let items = day::last_days(today, days, &calls)
        .into_iter()
        .map(|(day, calls)| DayOut { day, calls })
        .collect();
    Ok(HttpResponse::Ok().json(StatsOut { success: true, items }))
}

async fn calls_since(
    state: AppState,
    owner: UserId,
    first: NaiveDate,
) -> Result<BTreeMap<NaiveDate, i64>, Error> {
    let mut conn = state.kit.pool.acquire().await?;
    Ok(store::sessions::calls_since(&mut conn, &owner, first)
        .await?
        .into_iter()
        .collect())
}
