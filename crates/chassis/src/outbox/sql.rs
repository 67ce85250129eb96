//! The statements of the outbox, built once from the name of the service's schema.

use crate::replicas::DEAD_AFTER_S;

/// Columns of a row that is about to be sent.
const CLAIMED: &str = "o.id, o.key, o.target, o.headers, o.body, o.attempts";

/// What the reaper must know of a row in flight.
const ORPHAN: &str = "id, replica, guarantee, sent_at IS NOT NULL AS sent, \
                      COALESCE((last_error->>'losses')::integer, 0) AS losses";

/// All statements. Rows are never locked in two orders: see the parent module.
pub(crate) struct Sql {
    /// Inserts; claims at once where the caller may and no unfinished row of the key is before it.
    pub(crate) owe: &'static str,
    /// Claims due rows of a topic, of targets that are not listed.
    pub(crate) claim: &'static str,
    /// Claims due rows of a topic, of the targets listed.
    pub(crate) claim_target: &'static str,
    /// The last step before the first byte.
    pub(crate) mark_sent: &'static str,
    /// Gives a row back to be tried later, its mark taken back.
    pub(crate) release: &'static str,
    /// Ends a row that nobody wants any more.
    pub(crate) abandon: &'static str,
    /// Records an outcome, where the holder still holds it, or nobody knows better.
    pub(crate) finish: &'static str,
    /// What an owner is told about a row.
    pub(crate) describe: &'static str,
    /// Calls off what was not sent.
    pub(crate) cancel: &'static str,
    /// Calls off what is not under way.
    pub(crate) cancel_owed: &'static str,
    /// Moves the rows of a dead target to its next probe.
    pub(crate) postpone: &'static str,
    /// Targets that a process finds in trouble when it begins: more rows than these wait for another try.
    pub(crate) troubled: &'static str,
    /// What the reaper asks.
    pub(crate) reaper: ReaperSql,
    /// What is owed: count and age of the oldest in seconds.
    pub(crate) summary: &'static str,
}

impl Sql {
    pub(crate) fn of(schema: &'static str) -> Self {
        let table = format!("{schema}.outbox");
        // A head that waits holds back what is behind it, also while it is in backoff.
        let is_head = format!(
            "NOT EXISTS (SELECT 1 FROM {table} h WHERE h.key = d.key AND h.seq < d.seq AND h.state IN ('owed', 'sending'))"
        );
        let claim_where = |targets: &str| {
            format!(
                "UPDATE {table} o SET state = 'sending', attempts = attempts + 1, replica = $1, sent_at = NULL \
                 WHERE id IN (SELECT d.id FROM {table} d WHERE d.state = 'owed' AND d.next_attempt_at <= now() \
                 AND d.deadline > now() AND d.topic = $4 AND {targets} AND {is_head} \
                 ORDER BY d.next_attempt_at, d.seq LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING {CLAIMED}"
            )
        };
        Self {
            owe: leak(format!(
                "INSERT INTO {table} (id, topic, key, target, headers, body, guarantee, state, attempts, \
                 next_attempt_at, deadline, replica, last_error) \
                 SELECT $1, $2, $3, $4, $5, $6, $7, CASE WHEN free THEN 'sending' ELSE 'owed' END, \
                 CASE WHEN free THEN 1 ELSE 0 END, now() + make_interval(secs => $11), \
                 now() + make_interval(secs => $8), CASE WHEN free THEN $9::uuid END, $12 \
                 FROM (SELECT $10 AND NOT EXISTS (SELECT 1 FROM {table} WHERE key = $3 \
                 AND state IN ('owed', 'sending')) AS free) AS head RETURNING state = 'sending'"
            )),
            claim: leak(claim_where("d.target <> ALL($2)")),
            claim_target: leak(claim_where("d.target = ANY($2)")),
            mark_sent: leak(format!(
                "UPDATE {table} SET sent_at = clock_timestamp() \
                 WHERE id = $1 AND replica = $2 AND attempts = $3 AND state = 'sending' AND sent_at IS NULL"
            )),
            release: leak(release(&table, "")),
            abandon: leak(format!(
                "UPDATE {table} SET state = 'cancelled', finished_at = now(), headers = NULL, body = NULL, \
                 replica = NULL WHERE id = $1 AND replica = $2 AND state = 'sending'"
            )),
            finish: leak(format!(
                "UPDATE {table} SET state = $3, finished_at = now(), outcome = $4, last_error = COALESCE($5, last_error), \
                 headers = NULL, body = NULL, replica = NULL WHERE id = $1 \
                 AND ((state = 'sending' AND replica = $2) OR state = 'unknown' OR (state = 'owed' AND $2 IS NULL)) \
                 AND (NOT $6 OR sent_at IS NULL)"
            )),
            // How long a dead holder waited is told by its last sign of life; one that left has waited for nothing.
            describe: leak(format!(
                "SELECT o.id, o.topic, o.key, o.target, o.attempts, o.sent_at, CASE WHEN o.sent_at IS NOT NULL \
                 THEN COALESCE(extract(epoch FROM r.beat_at - o.sent_at), 0)::float8 END AS waited_s \
                 FROM {table} o LEFT JOIN {schema}.replicas r ON r.id = o.replica WHERE o.id = $1"
            )),
            cancel: leak(format!(
                "UPDATE {table} SET state = 'cancelled', finished_at = now(), headers = NULL, body = NULL, \
                 replica = NULL WHERE topic = $1 AND key = $2 AND state IN ('owed', 'sending') AND sent_at IS NULL"
            )),
            cancel_owed: leak(format!(
                "UPDATE {table} SET state = 'cancelled', finished_at = now(), headers = NULL, body = NULL, \
                 replica = NULL WHERE topic = $1 AND key = $2 AND state = 'owed' \
                 RETURNING id, last_error->>'message' AS last_error"
            )),
            postpone: leak(format!(
                "UPDATE {table} SET next_attempt_at = LEAST(now() + make_interval(secs => $2), deadline), \
                 last_error = $3 WHERE id IN (SELECT id FROM {table} WHERE target = $1 AND state = 'owed' \
                 AND next_attempt_at < now() + make_interval(secs => $2) AND deadline > now() \
                 ORDER BY seq LIMIT 2000 FOR UPDATE SKIP LOCKED) RETURNING key"
            )),
            // A holder that was lost says nothing about the target.
            troubled: leak(format!(
                "SELECT target FROM {table} WHERE state = 'owed' AND last_error->>'code' <> 'holder_lost' \
                 GROUP BY target HAVING count(*) > $1 LIMIT 1000"
            )),
            reaper: ReaperSql::of(schema, &table),
            summary: leak(format!(
                "SELECT count(*)::bigint, COALESCE(extract(epoch FROM now() - min(created_at)), 0)::float8 \
                 FROM {table} WHERE state = 'owed' OR (state = 'sending' AND sent_at IS NULL)"
            )),
        }
    }
}

/// The statements of the reaper.
pub(crate) struct ReaperSql {
    /// Rows whose time is up.
    pub(crate) overdue: &'static str,
    /// Gives a row back that its holder has not marked.
    pub(crate) release_unsent: &'static str,
    /// Rows in flight whose replica is dead.
    pub(crate) orphans: &'static str,
    /// Rows in flight that this replica does not hold in memory.
    pub(crate) strays: &'static str,
    /// Deletes the rows of replicas that are long dead.
    pub(crate) forget_replicas: &'static str,
    /// Deletes finished rows.
    pub(crate) prune: &'static str,
}

impl ReaperSql {
    fn of(schema: &str, table: &str) -> Self {
        let alive = format!(
            "EXISTS (SELECT 1 FROM {schema}.replicas r WHERE r.id = o.replica \
             AND r.beat_at > now() - make_interval(secs => {DEAD_AFTER_S}))"
        );
        Self {
            overdue: leak(format!(
                "SELECT id, last_error FROM {table} WHERE state = 'owed' AND deadline <= now() ORDER BY seq LIMIT 500"
            )),
            release_unsent: leak(release(table, "AND sent_at IS NULL")),
            orphans: leak(format!(
                "SELECT {ORPHAN} FROM {table} o \
                 WHERE state = 'sending' AND NOT {alive} ORDER BY seq LIMIT 500"
            )),
            strays: leak(format!(
                "SELECT {ORPHAN} FROM {table} o \
                 WHERE state = 'sending' AND replica = $1 AND id <> ALL($2) ORDER BY seq LIMIT 500"
            )),
            forget_replicas: leak(format!(
                "DELETE FROM {schema}.replicas r WHERE beat_at < now() - interval '10 minutes' \
                 AND NOT EXISTS (SELECT 1 FROM {table} o WHERE o.replica = r.id AND o.state = 'sending')"
            )),
            prune: leak(format!(
                "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} \
                 WHERE finished_at < now() - interval '7 days' LIMIT 1000)"
            )),
        }
    }
}

fn release(table: &str, condition: &str) -> String {
    format!(
        "UPDATE {table} SET state = 'owed', replica = NULL, sent_at = NULL, \
         next_attempt_at = LEAST(now() + make_interval(secs => $3), deadline), \
         last_error = COALESCE($4, last_error) \
         WHERE id = $1 AND replica = $2 AND state = 'sending' {condition}"
    )
}

/// Built once per process and schema, so that the statement cache of sqlx knows them by their text.
fn leak(sql: String) -> &'static str {
    sql.leak()
}
