//! Digests calls that changed, after the commit: what that costs must not be paid by whoever brings an event.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use sqlx::PgConnection;
use tokio::time::Instant;

use crate::app::AppState;
use crate::domain::day::{day_of, start_of};
use crate::domain::search::Words;
use crate::store::digests::{self, Digest, Due, Want};
use crate::store::figures;

/// Time between two rounds.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);
/// Rows of the queue that one transaction takes.
const BATCH: i64 = 200;
/// Transactions of a round.
const BATCHES: u32 = 500;
/// How many times as long as it worked it pauses: while events wait for their commit, and else.
const PAUSE_BUSY: u32 = 12;
const PAUSE_IDLE: u32 = 1;

/// Digests until the queue is empty, with pauses: while events pour in, most of the time is theirs. A batch that fails, or
/// that takes longer than PostgreSQL lets it, is tried again in smaller ones, so that no call holds up the others.
pub(super) async fn round(state: AppState) -> Result<(), sqlx::Error> {
    let mut size = BATCH;
    for _ in 0..BATCHES {
        if state.kit.tasks.stopping().is_cancelled() {
            break;
        }
        let begun = Instant::now();
        match batch(&state, size).await {
            Ok(true) => size = (size * 2).min(BATCH),
            Ok(false) => break,
            Err(error) if size > 1 => {
                tracing::warn!(%error, size, "a batch was not digested; smaller ones are tried");
                size = (size / 8).max(1);
            }
            Err(error) => return Err(error),
        }
        let pause = if state.ledger.is_idle() {
            PAUSE_IDLE
        } else {
            PAUSE_BUSY
        };
        tokio::time::sleep(begun.elapsed() * pause).await;
    }
    Ok(())
}

/// One transaction. Says whether there is more to do.
async fn batch(state: &AppState, size: i64) -> Result<bool, sqlx::Error> {
    let zone = state.kit.settings.day_timezone;
    let mut tx = state.kit.pool.begin().await?;
    if !digests::try_digester(&mut tx).await? {
        return Ok(false);
    }
    digests::take_turn(&mut tx).await?;
    let (known, decides) = digests::zone(&mut tx, state.kit.replica.id()).await?;
    let more = if known.as_deref() == Some(zone.name()) {
        let queued = digests::take_queued(&mut tx, size).await?;
        if queued.is_empty() {
            return Ok(false);
        }
        digest(&mut tx, &queued, zone).await?;
        i64::try_from(queued.len()) == Ok(size)
    } else if decides {
        change_zone(&mut tx, zone).await?;
        true
    } else {
        return Ok(false);
    };
    tx.commit().await?;
    Ok(more)
}

async fn digest(conn: &mut PgConnection, queued: &[i64], zone: Tz) -> Result<(), sqlx::Error> {
    let mut changes = figures::Changes::default();
    let mut made = Vec::with_capacity(queued.len());
    for due in digests::due(conn, queued, Want::All).await? {
        let digest = digest_of(&due, zone);
        if let Some(before) = &due.before {
            changes.remove(before);
        }
        changes.add(&digest.counted);
        made.push(digest);
        // Long transcripts must not keep other tasks from this thread.
        tokio::task::yield_now().await;
    }
    digests::write(conn, &made).await?;
    figures::apply(conn, changes).await
}

fn digest_of(due: &Due, zone: Tz) -> Digest {
    Digest {
        call: due.call,
        words: Words::of(due.texts.iter().flatten().map(String::as_str)),
        counted: due.said.counted(&due.owner, day_of(due.sort_at, zone)),
    }
}

async fn change_zone(conn: &mut PgConnection, zone: Tz) -> Result<(), sqlx::Error> {
    let extent = digests::extent(conn).await?;
    let days = extent.map_or_else(Vec::new, |(first, last)| days_between(first, last, zone));
    let starts: Vec<DateTime<Utc>> = days.iter().map(|day| start_of(*day, zone)).collect();
    if !days.is_empty() {
        tracing::info!(
            zone = zone.name(),
            "DAY_TIMEZONE has changed: adding all calls up anew"
        );
    }
    digests::change_zone(conn, zone.name(), &days, &starts).await
}

fn days_between(first: DateTime<Utc>, last: DateTime<Utc>, zone: Tz) -> Vec<NaiveDate> {
    let last = day_of(last, zone);
    day_of(first, zone)
        .iter_days()
        .take_while(|day| *day <= last)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_days_of_a_zone_cover_the_first_and_the_last_call() {
        let at = |text: &str| text.parse().unwrap();
        let days = days_between(
            at("2026-03-01T23:30:00Z"),
            at("2026-03-03T22:59:59Z"),
            chrono_tz::Europe::Berlin,
        );
        let expected: Vec<NaiveDate> = vec!["2026-03-02".parse().unwrap(), "2026-03-03".parse().unwrap()];
        assert_eq!(days, expected);
    }
}
