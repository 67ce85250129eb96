//! A client's calls as CSV, for spreadsheets.
//!
//! The body is made piece by piece as the reader takes it, each piece by a short look into the database: who reads slowly
//! holds nothing. A body that cannot be completed breaks off, so that nobody takes a piece for the whole.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use bytes::Bytes;
use csv::{Terminator, WriterBuilder};
use futures_util::{Stream, stream};
use switchhook_chassis::db;
use switchhook_chassis::http::failures::{Always, Guarded};
use switchhook_chassis::http::{Failure, Query, User};
use switchhook_core::ids::UserId;
use switchhook_core::models::time::WireTime;

use super::calls::Filters;
use crate::app::AppState;
use crate::domain::search::Selection;
use crate::domain::shown::{Cursor, ShownCall};
use crate::error::Error;
use crate::store::lists::{self, Listed};

/// Calls that are looked at for a piece of the body.
const PIECE: i64 = 2_000;

const COLUMNS: [&str; 17] = [
    "callId",
    "agentId",
    "channel",
    "status",
    "direction",
    "fromNumber",
    "toNumber",
    "startedAt",
    "endedAt",
    "durationMinutes",
    "summary",
    "sentiment",
    "successful",
    "disconnectionReason",
    "costCents",
    "recordingUrl",
    "createdAt",
];

/// Calls of the user as CSV
///
/// The same selection as the list, all of it. Text that a spreadsheet would take for a formula begins with an apostrophe.
#[utoipa::path(
    get,
    path = "/api/retell/calls.csv",
    tag = "calls",
    operation_id = "exportCalls",
    params(
        ("q" = Option<String>, Query, description = "Words that are all in the transcript or the summary; three characters or more also find the beginning of a word"),
        ("sentiment" = Option<String>, Query, description = "Positive, Neutral, Negative or Unknown"),
        ("from" = Option<String>, Query, description = "A day of DAY_TIMEZONE, or a time"),
        ("to" = Option<String>, Query, description = "A day, which is included, or a time, which is not")
    ),
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "Newest first, with a header", body = String, content_type = "text/csv"),
        (status = 400, description = "A parameter is wrong", body = ref("#/components/schemas/Problem")),
        Guarded, Always
    )
)]
pub(crate) async fn export(
    state: Data<AppState>,
    user: User,
    filters: Query<Filters>,
) -> Result<HttpResponse, Failure> {
    let selection = filters.0.selection(state.kit.settings.day_timezone)?;
    let mut export = Export {
        state: state.as_ref().clone(),
        owner: user.id,
        selection,
        next: Some(None),
    };
    // The first piece is made before the answer begins: what fails now has a status.
    let first = export.piece(true).await?;
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"calls.csv\""))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(export.pieces(first)))
}

/// An export under way.
struct Export {
    state: AppState,
    owner: UserId,
    selection: Selection,
    /// After which call it goes on; nothing when it is complete.
    next: Option<Option<Cursor>>,
}

impl Export {
    fn pieces(self, first: Bytes) -> impl Stream<Item = Result<Bytes, Failure>> {
        stream::unfold((Some(self), Some(first)), |(export, ready)| async move {
            let mut export = export?;
            if let Some(ready) = ready {
                return Some((Ok(ready), (Some(export), None)));
            }
            export.next?;
            match export.piece(false).await {
                Ok(piece) => Some((Ok(piece), (Some(export), None))),
                Err(failure) => Some((Err(failure), (None, None))),
            }
        })
    }

    /// The next piece; never empty while there is another, because an empty one would end the body.
    async fn piece(&mut self, with_header: bool) -> Result<Bytes, Failure> {
        let mut text = if with_header { header_row() } else { Vec::new() };
        while let Some(after) = self.next {
            if self.state.kit.tasks.stopping().is_cancelled() {
                return Err(db::unavailable().into());
            }
            let work = walk(
                self.state.clone(),
                self.owner.clone(),
                self.selection.clone(),
                after,
            );
            let (calls, reached) = self.state.kit.run(work).await?;
            self.next = reached.map(Some);
            for listed in &calls {
                text.extend(row(&listed.call));
            }
            if !text.is_empty() {
                break;
            }
        }
        Ok(text.into())
    }
}

async fn walk(
    state: AppState,
    owner: UserId,
    selection: Selection,
    after: Option<Cursor>,
) -> Result<(Vec<Listed>, Option<Cursor>), Error> {
    let mut tx = lists::begin(&state.kit.pool).await?;
    let walked = lists::walk(&mut tx, &owner, &selection, after, PIECE).await?;
    tx.commit().await?;
    Ok(walked)
}

fn header_row() -> Vec<u8> {
    encode(COLUMNS.iter().map(|&name| name.to_owned()))
}

fn row(call: &ShownCall) -> Vec<u8> {
    let text = |value: &Option<String>| value.as_deref().map(harmless).unwrap_or_default();
    let number = |value: Option<f64>| value.map(|number| number.to_string()).unwrap_or_default();
    let time = |value: Option<WireTime>| value.map(wire).unwrap_or_default();
    encode(
        [
            harmless(&call.call_id),
            harmless(&call.agent_id),
            harmless(&call.channel),
            text(&call.status),
            text(&call.direction),
            text(&call.from_number),
            text(&call.to_number),
            time(call.started_at),
            time(call.ended_at),
            number(call.duration_minutes),
            text(&call.summary),
            text(&call.sentiment),
            call.successful
                .map(|successful| successful.to_string())
                .unwrap_or_default(),
            text(&call.disconnection_reason),
            number(call.cost_cents),
            text(&call.recording_url),
            wire(call.created_at),
        ]
        .into_iter(),
    )
}

fn encode(cells: impl Iterator<Item = String>) -> Vec<u8> {
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(Vec::new());
    // Memory takes everything.
    let _ = writer.write_record(cells.map(String::into_bytes));
    writer.into_inner().unwrap_or_default()
}

fn wire(at: WireTime) -> String {
    match serde_json::to_value(at) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}

/// The text behind an apostrophe where a spreadsheet would take it for a formula: it looks behind blanks and quotes, too.
fn harmless(text: &str) -> String {
    let blank = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '\u{feff}');
    let first = text.chars().next();
    let telling = text.trim_start_matches(blank).chars().next();
    let runs = |c: char| matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠');
    if first.is_some_and(|c| matches!(c, '\t' | '\r' | '\n')) || telling.is_some_and(runs) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_formula_gets_an_apostrophe() {
        for formula in [
            "=1+1",
            "+14155550100",
            "-1",
            "@SUM(A1)",
            "\tx",
            "\rx",
            "\nx",
            " =1",
            "\"=1",
            "'=1",
            "\u{a0}+1",
            "\u{feff}=1",
            "＝1",
        ] {
            assert_eq!(harmless(formula), format!("'{formula}"), "{formula:?}");
        }
        for text in [
            "",
            " ",
            "a=b",
            "1-2",
            "Bye. -- Ada",
            "'quoted'",
            "https://example.com/?a=b",
        ] {
            assert_eq!(harmless(text), text);
        }
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let cells = ["plain", "a,b", "say \"hi\"", "two\nlines", ""];
        let row = encode(cells.iter().map(|&cell| cell.to_owned()));
        assert_eq!(row, b"plain,\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",\r\n");
        assert_eq!(
            header_row().iter().filter(|&&byte| byte == b',').count(),
            COLUMNS.len() - 1
        );
    }
}
