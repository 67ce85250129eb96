//! What the calls of a client add up to. Digested calls are added up in `retell.figures` by day; calls in the queue are
//! looked at directly, and so are the pieces of days at the ends of a range.

use std::collections::HashMap;

use chrono::NaiveDate;
use sqlx::PgConnection;
use switchhook_core::ids::UserId;

use super::digests::{self, Columns, Counted, Due, Want};
use crate::domain::day::{Kind, Parts, Piece, Sums, Totals};
use crate::domain::shown::Sentiment;

/// Differences to the figures of clients.
#[derive(Debug, Default)]
pub(crate) struct Changes(HashMap<(UserId, Kind), Sums>);

impl Changes {
    /// A call adds this.
    pub(crate) fn add(&mut self, counted: &Counted) {
        self.note(counted, counted.sums);
    }

    /// A call adds this no more.
    pub(crate) fn remove(&mut self, counted: &Counted) {
        self.note(counted, counted.sums.negated());
    }

    fn note(&mut self, counted: &Counted, sums: Sums) {
        let key = (counted.owner.clone(), counted.kind.clone());
        self.0.entry(key).or_default().add(sums);
    }
}

/// Changes figures.
pub(crate) async fn apply(conn: &mut PgConnection, changes: Changes) -> Result<(), sqlx::Error> {
    let changed = changes.0.iter().filter(|(_, sums)| !sums.is_nothing());
    let columns = Columns::of(changed.map(|((owner, kind), sums)| (owner, kind, *sums)));
    if columns.users.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO retell.figures AS f (user_id, day, sentiment, outcome, reason, calls, centiminutes, millicents)
        SELECT * FROM unnest($1::text[], $2::date[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
            $8::bigint[])
        ON CONFLICT (user_id, day, sentiment, outcome, reason) DO UPDATE SET calls = f.calls + excluded.calls,
            centiminutes = f.centiminutes + excluded.centiminutes, millicents = f.millicents + excluded.millicents",
        &columns.users,
        &columns.days,
        &columns.sentiments,
        &columns.outcomes,
        &columns.reasons,
        &columns.calls,
        &columns.centiminutes,
        &columns.millicents
    )
    .execute(&mut *conn)
    .await?;
    remove_empty(conn, &columns.users, &columns.days).await
}

/// Takes calls that are about to be deleted out of the figures.
pub(crate) async fn subtract(conn: &mut PgConnection, calls: &[i64]) -> Result<(), sqlx::Error> {
    let gone = sqlx::query!(
        r#"UPDATE retell.figures f SET calls = f.calls - gone.calls, centiminutes = f.centiminutes - gone.centiminutes,
            millicents = f.millicents - gone.millicents
        FROM (
            SELECT user_id, day, sentiment, outcome, reason, count(*) AS calls, sum(centiminutes)::bigint AS centiminutes,
                sum(millicents)::bigint AS millicents
            FROM retell.digests WHERE call = ANY($1) GROUP BY user_id, day, sentiment, outcome, reason
        ) gone
        WHERE f.user_id = gone.user_id AND f.day = gone.day AND f.sentiment = gone.sentiment
            AND f.outcome = gone.outcome AND f.reason = gone.reason
        RETURNING f.user_id, f.day"#,
        calls
    )
    .fetch_all(&mut *conn)
    .await?;
    let (users, days): (Vec<String>, Vec<NaiveDate>) =
        gone.into_iter().map(|row| (row.user_id, row.day)).unzip();
    remove_empty(conn, &users, &days).await
}

async fn remove_empty(
    conn: &mut PgConnection,
    users: &[String],
    days: &[NaiveDate],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM retell.figures f USING unnest($1::text[], $2::date[]) AS touched (user_id, day)
        WHERE f.user_id = touched.user_id AND f.day = touched.day AND f.calls = 0",
        users,
        days
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What a client's calls in a range add up to. One snapshot for the whole: [`super::lists::begin`]. `day_of` tells days of
/// calls in the queue.
pub(crate) async fn totals(
    conn: &mut PgConnection,
    owner: &UserId,
    parts: &Parts,
    day_of: impl Fn(&Due) -> NaiveDate,
) -> Result<Totals, sqlx::Error> {
    let mut totals = digested(conn, owner, parts).await?;
    let queued = digests::queued(conn, owner).await?;
    for batch in queued.chunks(QUEUED_AT_ONCE) {
        for due in digests::due(conn, batch, Want::Figures).await? {
            let now = due.said.counted(&due.owner, day_of(&due));
            let gone = due.before.filter(|before| before.owner == *owner);
            let gone = gone.map(|before| (before.kind, before.sums.negated()));
            for (kind, sums) in [Some((now.kind, now.sums)), gone].into_iter().flatten() {
                if parts.has(kind.day) {
                    totals.add(&kind, sums);
                }
            }
        }
    }
    for piece in &parts.pieces {
        of_piece(conn, owner, piece, &mut totals).await?;
    }
    Ok(totals)
}

/// Calls in the queue that are read at a time.
const QUEUED_AT_ONCE: usize = 1_000;

async fn digested(conn: &mut PgConnection, owner: &UserId, parts: &Parts) -> Result<Totals, sqlx::Error> {
    let (first, last) = parts.days();
    let rows = sqlx::query!(
        r#"SELECT day AS "day?", sentiment AS "sentiment?", outcome AS "outcome?", reason AS "reason?",
            sum(calls)::bigint AS "calls!", sum(centiminutes)::bigint AS "centiminutes!",
            sum(millicents)::bigint AS "millicents!"
        FROM retell.figures WHERE user_id = $1 AND day >= $2 AND day <= $3
        GROUP BY GROUPING SETS ((day), (sentiment), (outcome), (reason))"#,
        owner.as_str(),
        first,
        last
    )
    .fetch_all(conn)
    .await?;
    let mut totals = Totals::default();
    for row in rows {
        let sums = Sums {
            calls: row.calls,
            centiminutes: row.centiminutes,
            millicents: row.millicents,
        };
        match (row.day, row.sentiment, row.outcome, row.reason) {
            (Some(day), ..) => totals.days.entry(day).or_default().add(sums),
            (_, Some(word), ..) => {
                totals.all.add(sums);
                totals
                    .sentiments
                    .entry(Sentiment::of(Some(&word)))
                    .or_default()
                    .add(sums);
            }
            (_, _, Some(word), _) => {
                let successful = digests::successful(Some(&word));
                totals.outcomes.entry(successful).or_default().add(sums);
            }
            (.., Some(reason)) => totals.reasons.entry(reason).or_default().add(sums),
            (None, None, None, None) => {}
        }
    }
    Ok(totals)
}

async fn of_piece(
    conn: &mut PgConnection,
    owner: &UserId,
    piece: &Piece,
    totals: &mut Totals,
) -> Result<(), sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT sentiment, successful, disconnection_reason AS reason, count(*) AS "calls!",
            COALESCE(sum(round(duration_minutes * 100)), 0)::bigint AS "centiminutes!",
            COALESCE(sum(round(cost_cents * 1000)), 0)::bigint AS "millicents!"
        FROM retell.calls WHERE user_id = $1 AND sort_at >= $2 AND sort_at < $3
        GROUP BY sentiment, successful, disconnection_reason"#,
        owner.as_str(),
        piece.from,
        piece.until
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let kind = Kind::new(
            piece.day,
            row.sentiment.as_deref(),
            row.successful,
            row.reason.as_deref(),
        );
        let sums = Sums {
            calls: row.calls,
            centiminutes: row.centiminutes,
            millicents: row.millicents,
        };
        totals.add(&kind, sums);
    }
    Ok(())
}
