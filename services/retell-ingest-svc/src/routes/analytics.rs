//! What a client's calls add up to.

use actix_web::HttpResponse;
use actix_web::web::Data;
use chrono::NaiveDate;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use switchhook_chassis::http::failures::{Always, Guarded};
use switchhook_chassis::http::{Failure, Query, User};
use switchhook_core::ids::UserId;
use utoipa::ToSchema;

use super::calls::Asked;
use crate::app::AppState;
use crate::domain::day::{Range, Totals, day_of};
use crate::domain::shown::Sentiment;
use crate::error::Error;
use crate::store::{figures, lists};

/// Figures.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AnalyticsOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// The figures.
    data: FiguresOut,
}

/// What calls add up to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FiguresOut {
    /// How many.
    calls: i64,
    /// Minutes, two decimals.
    minutes: f64,
    /// What they cost, in cents.
    cost_cents: f64,
    /// How the people felt.
    sentiment: SentimentsOut,
    /// Calls that reached their goal, as Retell judges.
    successful: i64,
    /// Whether calls reached their goal.
    outcomes: OutcomesOut,
    /// Why calls ended, the most frequent reason first; calls of which that is not known are left out.
    #[schema(value_type = std::collections::HashMap<String, i64>)]
    #[serde(serialize_with = "as_map")]
    disconnection_reasons: Vec<(String, i64)>,
    /// Days that have calls, in their order.
    per_day: Vec<CallDayOut>,
}

/// Calls by sentiment.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SentimentsOut {
    /// Content.
    positive: i64,
    /// Neither.
    neutral: i64,
    /// Not content.
    negative: i64,
    /// Not known.
    unknown: i64,
}

/// Calls by outcome.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutcomesOut {
    /// The goal was reached.
    successful: i64,
    /// It was not.
    unsuccessful: i64,
    /// Not known.
    unknown: i64,
}

/// A day and its calls.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CallDayOut {
    /// A day of `DAY_TIMEZONE`.
    day: NaiveDate,
    /// Calls that began on it.
    calls: i64,
    /// Their minutes.
    minutes: f64,
}

impl FiguresOut {
    fn of(totals: &Totals) -> Self {
        let felt = |sentiment| totals.sentiments.get(&sentiment).map_or(0, |sums| sums.calls);
        let ended = |successful| totals.outcomes.get(&successful).map_or(0, |sums| sums.calls);
        let reasons = totals.frequent_reasons().into_iter();
        let days = totals.days.iter().filter(|(_, sums)| sums.calls > 0);
        Self {
            calls: totals.all.calls,
            minutes: totals.all.minutes(),
            cost_cents: totals.all.cents(),
            sentiment: SentimentsOut {
                positive: felt(Sentiment::Positive),
                neutral: felt(Sentiment::Neutral),
                negative: felt(Sentiment::Negative),
                unknown: felt(Sentiment::Unknown),
            },
            successful: ended(Some(true)),
            outcomes: OutcomesOut {
                successful: ended(Some(true)),
                unsuccessful: ended(Some(false)),
                unknown: ended(None),
            },
            disconnection_reasons: reasons
                .map(|(reason, calls)| (reason.to_owned(), calls))
                .collect(),
            per_day: days
                .map(|(day, sums)| CallDayOut {
                    day: *day,
                    calls: sums.calls,
                    minutes: sums.minutes(),
                })
                .collect(),
        }
    }
}

fn as_map<S: Serializer>(entries: &[(String, i64)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(entries.len()))?;
    for (name, count) in entries {
        map.serialize_entry(name, count)?;
    }
    map.end()
}

/// What calls add up to
#[utoipa::path(
    get,
    path = "/api/retell/analytics",
    tag = "calls",
    operation_id = "callAnalytics",
    params(
        ("from" = Option<String>, Query, description = "A day of DAY_TIMEZONE, or a time"),
        ("to" = Option<String>, Query, description = "A day, which is included, or a time, which is not")
    ),
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "The figures", body = AnalyticsOut),
        (status = 400, description = "A parameter is wrong", body = ref("#/components/schemas/Problem")),
        Guarded, Always
    )
)]
pub(crate) async fn analytics(
    state: Data<AppState>,
    user: User,
    asked: Query<Asked>,
) -> Result<HttpResponse, Failure> {
    let range = asked.0.range(state.kit.settings.day_timezone)?;
    let totals = state
        .kit
        .run(add_up(state.as_ref().clone(), user.id, range))
        .await?;
    let data = FiguresOut::of(&totals);
    Ok(HttpResponse::Ok().json(AnalyticsOut { success: true, data }))
}

async fn add_up(state: AppState, owner: UserId, range: Range) -> Result<Totals, Error> {
    let zone = state.kit.settings.day_timezone;
    let mut tx = lists::begin(&state.kit.pool).await?;
    let totals = figures::totals(&mut tx, &owner, &range.parts(zone), |due| {
        day_of(due.sort_at, zone)
    })
    .await?;
    tx.commit().await?;
    Ok(totals)
}
