//! Digests of calls: what searches and figures use of them. They are made after the commit of what changed; until then a
//! call is in the queue `retell.undigested`, and whoever searches or counts looks at the call itself.
//!
//! Digests and figures agree in every snapshot: both are changed in one transaction, by one process at a time
//! ([`take_turn`]).

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use switchhook_core::ids::UserId;
use uuid::Uuid;

use crate::domain::day::{Kind, Range, Sums};
use crate::domain::search::{TEXT_MAX_CHARS, Words};
use crate::domain::shown::Sentiment;

/// Whoever holds it changes digests and figures.
const TURN: i64 = 0x7265_7465_6c6d;
/// Whoever holds it digests: one process at a time.
const DIGESTER: i64 = 0x7265_7465_6c6e;

/// What a call adds to its client's figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) owner: UserId,
    pub(crate) kind: Kind,
    pub(crate) sums: Sums,
}

/// A call as it is now, and as it was when it was digested last.
#[derive(Debug, Clone)]
pub(crate) struct Due {
    pub(crate) call: i64,
    pub(crate) owner: UserId,
    pub(crate) sort_at: DateTime<Utc>,
    pub(crate) said: Said,
    pub(crate) texts: [Option<String>; 2],
    pub(crate) before: Option<Counted>,
}

/// What a call is counted by.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) sentiment: Option<String>,
    pub(crate) successful: Option<bool>,
    pub(crate) reason: Option<String>,
    pub(crate) minutes: Option<f64>,
    pub(crate) cents: Option<f64>,
}

impl Said {
    /// What the call adds, on the day on which it began.
    pub(crate) fn counted(&self, owner: &UserId, day: NaiveDate) -> Counted {
        Counted {
            owner: owner.clone(),
            kind: Kind::new(
                day,
                self.sentiment.as_deref(),
                self.successful,
                self.reason.as_deref(),
            ),
            sums: Sums::of_call(self.minutes, self.cents),
        }
    }
}

/// A digest to be written.
#[derive(Debug, Clone)]
pub(crate) struct Digest {
    pub(crate) call: i64,
    pub(crate) words: Words,
    pub(crate) counted: Counted,
}

/// Makes this process the one that digests until the end of the transaction, where no other does. It needs its turn besides.
pub(crate) async fn try_digester(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // What is lost with the last commits of a crash is in the queue again.
    sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_xact_lock($1) AND set_config('synchronous_commit', 'off', true) = 'off' AS "mine!""#,
        DIGESTER
    )
    .fetch_one(conn)
    .await
}

/// Waits for the turn to change digests and figures, until the end of the transaction. Before any lock on a row: its
/// holder may wait for rows.
pub(crate) async fn take_turn(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", TURN)
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes calls out of the queue, at most `limit` rows of it. They may be named twice, or exist no more.
pub(crate) async fn take_queued(conn: &mut PgConnection, limit: i64) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        "DELETE FROM retell.undigested WHERE ctid = ANY(ARRAY(SELECT ctid FROM retell.undigested LIMIT $1))
        RETURNING call",
        limit
    )
    .fetch_all(conn)
    .await
}

/// What is wanted of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// What they are counted by.
    Figures,
    /// Their texts, too.
    All,
}

/// Those of these calls that somebody owns, in `call_id` order: whoever inserts their digests in that order waits for
/// the calls as everybody does who locks them.
pub(crate) async fn due(conn: &mut PgConnection, calls: &[i64], want: Want) -> Result<Vec<Due>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT c.id AS "id!", c.user_id AS "user_id!", c.sort_at AS "sort_at!", c.sentiment, c.successful, c.disconnection_reason,
            c.duration_minutes, c.cost_cents, CASE WHEN $3 THEN left(c.summary, $2) END AS summary,
            CASE WHEN $3 THEN left(c.transcript, $2) END AS transcript,
            d.user_id AS "owner?", d.day AS "day?", d.sentiment AS "feeling?", d.outcome AS "outcome?",
            d.reason AS "reason?", d.centiminutes AS "centiminutes?", d.millicents AS "millicents?"
        FROM retell.calls c LEFT JOIN retell.digests d ON d.call = c.id
        WHERE c.id = ANY($1) AND c.user_id IS NOT NULL ORDER BY c.call_id, c.id"#,
        calls,
        TEXT_MAX_CHARS,
        want == Want::All
    )
    .fetch_all(conn)
    .await?;
    let due = rows.into_iter().filter_map(|row| {
        let owner = UserId::parse(row.user_id)?;
        let before = row.owner.and_then(UserId::parse).zip(row.day);
        let before = before.map(|(owner, day)| Counted {
            owner,
            kind: kind(
                day,
                row.feeling.as_deref(),
                row.outcome.as_deref(),
                row.reason.as_deref(),
            ),
            sums: Sums {
                calls: 1,
                centiminutes: row.centiminutes.unwrap_or(0),
                millicents: row.millicents.unwrap_or(0),
            },
        });
        Some(Due {
            call: row.id,
            owner,
            sort_at: row.sort_at,
            said: Said {
                sentiment: row.sentiment,
                successful: row.successful,
                reason: row.disconnection_reason,
                minutes: row.duration_minutes,
                cents: row.cost_cents,
            },
            texts: [row.summary, row.transcript],
            before,
        })
    });
    Ok(due.collect())
}

/// A kind as it is stored.
pub(crate) fn kind(
    day: NaiveDate,
    sentiment: Option<&str>,
    outcome: Option<&str>,
    reason: Option<&str>,
) -> Kind {
    Kind::new(day, sentiment, successful(outcome), reason)
}

/// The word of a sentiment in digests and figures.
pub(crate) fn sentiment_word(sentiment: Sentiment) -> &'static str {
    match sentiment {
        Sentiment::Unknown => "",
        known => known.word(),
    }
}

/// The word of an outcome in digests and figures.
pub(crate) fn outcome_word(successful: Option<bool>) -> &'static str {
    match successful {
        Some(true) => "successful",
        Some(false) => "unsuccessful",
        None => "",
    }
}

/// The outcome of a word in digests and figures.
pub(crate) fn successful(outcome: Option<&str>) -> Option<bool> {
    match outcome {
        Some("successful") => Some(true),
        Some("unsuccessful") => Some(false),
        _ => None,
    }
}

/// Writes digests. Whatever takes time is done before the first row is locked.
pub(crate) async fn write(conn: &mut PgConnection, digests: &[Digest]) -> Result<(), sqlx::Error> {
    let each = digests.iter();
    let calls: Vec<i64> = each.clone().map(|digest| digest.call).collect();
    let counted: Vec<&Counted> = each.clone().map(|digest| &digest.counted).collect();
    let words: Vec<String> = each
        .map(|digest| {
            digest
                .words
                .tsvector(&digest.counted.owner, digest.counted.kind.sentiment)
        })
        .collect();
    let columns = Columns::of(counted.iter().map(|one| (&one.owner, &one.kind, one.sums)));
    sqlx::query!(
        "INSERT INTO retell.digests (call, words, user_id, day, sentiment, outcome, reason, centiminutes, millicents)
        SELECT call, words::tsvector, user_id, day, sentiment, outcome, reason, centiminutes, millicents
        FROM unnest($1::bigint[], $2::text[], $3::text[], $4::date[], $5::text[], $6::text[], $7::text[],
            $8::bigint[], $9::bigint[])
            AS made (call, words, user_id, day, sentiment, outcome, reason, centiminutes, millicents)
        ON CONFLICT (call) DO UPDATE SET words = excluded.words, user_id = excluded.user_id, day = excluded.day,
            sentiment = excluded.sentiment, outcome = excluded.outcome, reason = excluded.reason,
            centiminutes = excluded.centiminutes, millicents = excluded.millicents",
        &calls,
        &words,
        &columns.users,
        &columns.days,
        &columns.sentiments,
        &columns.outcomes,
        &columns.reasons,
        &columns.centiminutes,
        &columns.millicents
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What digests and figures have in common, column by column.
#[derive(Default)]
pub(crate) struct Columns {
    pub(crate) users: Vec<String>,
    pub(crate) days: Vec<NaiveDate>,
    pub(crate) sentiments: Vec<String>,
    pub(crate) outcomes: Vec<String>,
    pub(crate) reasons: Vec<String>,
    pub(crate) calls: Vec<i64>,
    pub(crate) centiminutes: Vec<i64>,
    pub(crate) millicents: Vec<i64>,
}

impl Columns {
    pub(crate) fn of<'a>(counted: impl Iterator<Item = (&'a UserId, &'a Kind, Sums)>) -> Self {
        let mut columns = Self::default();
        for (owner, kind, sums) in counted {
            columns.users.push(owner.as_str().to_owned());
            columns.days.push(kind.day);
            columns.sentiments.push(sentiment_word(kind.sentiment).to_owned());
            columns.outcomes.push(outcome_word(kind.successful).to_owned());
            columns.reasons.push(kind.reason.clone());
            columns.calls.push(sums.calls);
            columns.centiminutes.push(sums.centiminutes);
            columns.millicents.push(sums.millicents);
        }
        columns
    }
}

/// Calls of a client that are in the queue, the newest first. Each is looked up by itself: a client has many more calls
/// than the queue.
pub(crate) async fn queued(conn: &mut PgConnection, owner: &UserId) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT c.id AS "id!" FROM (SELECT DISTINCT call FROM retell.undigested) q
        CROSS JOIN LATERAL (SELECT id, user_id FROM retell.calls WHERE id = q.call OFFSET 0) c
        WHERE c.user_id = $1 ORDER BY c.id DESC"#,
        owner.as_str()
    )
    .fetch_all(conn)
    .await
}

/// What a search looks at in a call that has no digest, or an old one.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) call: i64,
    pub(crate) sentiment: Sentiment,
    pub(crate) texts: [Option<String>; 2],
}

/// The texts of those of these calls that a client owns and that began in a range.
pub(crate) async fn texts(
    conn: &mut PgConnection,
    owner: &UserId,
    calls: &[i64],
    range: Range,
) -> Result<Vec<Text>, sqlx::Error> {
    let (from, until) = range.moments();
    let rows = sqlx::query!(
        "SELECT id, sentiment, left(summary, $5) AS summary, left(transcript, $5) AS transcript FROM retell.calls
        WHERE id = ANY($2) AND user_id = $1 AND sort_at >= $3 AND sort_at < $4",
        owner.as_str(),
        calls,
        from,
        until,
        TEXT_MAX_CHARS
    )
    .fetch_all(conn)
    .await?;
    let texts = rows.into_iter().map(|row| Text {
        call: row.id,
        sentiment: Sentiment::of(row.sentiment.as_deref()),
        texts: [row.summary, row.transcript],
    });
    Ok(texts.collect())
}

/// The time zone of the days in digests and figures, and whether this replica decides about it: of those that live, the one
/// with the highest id, so that two with different settings never take turns.
pub(crate) async fn zone(
    conn: &mut PgConnection,
    replica: Uuid,
) -> Result<(Option<String>, bool), sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT (SELECT zone FROM retell.digest_zone) AS zone, NOT EXISTS (
            SELECT FROM retell.replicas WHERE id > $1 AND beat_at > now() - interval '10 s') AS "decides!""#,
        replica
    )
    .fetch_one(conn)
    .await?;
    Ok((row.zone, row.decides))
}

/// The first and the last start of a digested call.
pub(crate) async fn extent(
    conn: &mut PgConnection,
) -> Result<Option<(DateTime<Utc>, DateTime<Utc>)>, sqlx::Error> {
    let row = sqlx::query!(
        "SELECT min(c.sort_at) AS first, max(c.sort_at) AS last
        FROM retell.digests d JOIN retell.calls c ON c.id = d.call"
    )
    .fetch_one(conn)
    .await?;
    Ok(row.first.zip(row.last))
}

/// Changes the time zone: every digest gets the day that began last before its call, and figures are added up anew.
/// Calls in the queue keep their places.
pub(crate) async fn change_zone(
    conn: &mut PgConnection,
    zone: &str,
    days: &[NaiveDate],
    starts: &[DateTime<Utc>],
) -> Result<(), sqlx::Error> {
    // Takes as long as there are many calls; the limit is for requests.
    sqlx::query!("SET LOCAL statement_timeout = 0")
        .execute(&mut *conn)
        .await?;
    sqlx::query!(
        "INSERT INTO retell.digest_zone (zone) VALUES ($1) ON CONFLICT (singleton) DO UPDATE SET zone = excluded.zone",
        zone
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE retell.digests d SET day = moved.day FROM (
            SELECT id, ($1::date[])[width_bucket(sort_at, $2::timestamptz[])] AS day FROM retell.calls
            WHERE user_id IS NOT NULL) moved
        WHERE moved.id = d.call AND moved.day <> d.day",
        days,
        starts
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("DELETE FROM retell.figures")
        .execute(&mut *conn)
        .await?;
    sqlx::query!(
        "INSERT INTO retell.figures (user_id, day, sentiment, outcome, reason, calls, centiminutes, millicents)
        SELECT user_id, day, sentiment, outcome, reason, count(*), sum(centiminutes)::bigint, sum(millicents)::bigint
        FROM retell.digests GROUP BY user_id, day, sentiment, outcome, reason"
    )
    .execute(conn)
    .await?;
    Ok(())
}
