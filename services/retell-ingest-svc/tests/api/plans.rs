//! How PostgreSQL runs what lists, searches and figures ask, where a client has very many calls.
//!
//! The statements are the store's own: they are taken from the query data that the service is built with.

use serde_json::Value;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres};

use crate::world::{ADA, BOB};

const CALLS: i32 = 100_000;
/// As many newest calls as a search looks at one by one.
const LOOKED_AT: i64 = 5_000;
const PAGE: i64 = 51;
/// How the ledger begins.
const LEDGER: &str = "BEGIN; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off";

/// The one statement of the store that has all of these pieces.
fn statement(pieces: &[&str]) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/.sqlx");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| std::fs::read(file.unwrap().path()).unwrap());
    let texts = files.map(|file| {
        let data: Value = serde_json::from_slice(&file).unwrap();
        data["query"].as_str().unwrap().to_owned()
    });
    let found: Vec<String> = texts
        .filter(|text| pieces.iter().all(|piece| text.contains(piece)))
        .collect();
    assert_eq!(found.len(), 1, "{pieces:?}: {found:#?}");
    found.into_iter().next().unwrap()
}

/// What a scan of a table did.
#[derive(Debug)]
struct Scan {
    how: String,
    index: String,
    rows: i64,
}

/// How a statement runs with the settings of the store's own transactions.
async fn scans(
    conn: &mut PgConnection,
    sql: &str,
    bind: impl FnOnce(Query<'_, Postgres, PgArguments>) -> Query<'_, Postgres, PgArguments>,
) -> Vec<Scan> {
    let explain = format!("EXPLAIN (ANALYZE, FORMAT JSON) {sql}");
    let row = bind(sqlx::query(AssertSqlSafe(explain)))
        .fetch_one(conn)
        .await
        .unwrap();
    let plan: Value = sqlx::Row::get(&row, 0);
    let mut scans = Vec::new();
    collect(&plan[0]["Plan"], &mut scans);
    scans
}

fn collect(node: &Value, scans: &mut Vec<Scan>) {
    let text = |name: &str| node[name].as_str().unwrap_or_default().to_owned();
    let how = text("Node Type");
    if how.contains("Scan") && (node["Index Name"].is_string() || node["Relation Name"].is_string()) {
        let number = |name: &str| node[name].as_f64().unwrap_or(0.0);
        let seen = number("Actual Rows")
            + number("Rows Removed by Filter")
            + number("Rows Removed by Index Recheck");
        scans.push(Scan {
            how,
            index: text("Index Name"),
            rows: (seen * number("Actual Loops")) as i64,
        });
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        collect(child, scans);
    }
}

/// Only these indexes are used, all of them, no table is read through, and no scan sees more rows than this.
fn assert_runs_by(what: &str, scans: &[Scan], indexes: &[&str], most: i64) {
    let mut used: Vec<&str> = scans
        .iter()
        .map(|scan| scan.index.as_str())
        .filter(|index| !index.is_empty())
        .collect();
    used.sort_unstable();
    used.dedup();
    assert_eq!(used, indexes, "{what}: {scans:#?}");
    for scan in scans {
        assert_ne!(scan.how, "Seq Scan", "{what}: {scans:#?}");
        assert!(scan.rows <= most, "{what}: {scans:#?}");
    }
}

async fn fill(pool: &PgPool) -> sqlx::pool::PoolConnection<Postgres> {
    let mut connection = pool.acquire().await.unwrap();
    let fill = include_str!("../../../../tests/data/retell/fill.sql");
    sqlx::raw_sql(fill).execute(&mut *connection).await.unwrap();
    for (client, calls) in [(ADA, CALLS), (BOB, 2_000)] {
        let fill = sqlx::query("SELECT pg_temp.fill($1, $2)")
            .bind(client)
            .bind(calls);
        fill.execute(&mut *connection).await.unwrap();
    }
    for table in [
        "ANALYZE retell.calls",
        "ANALYZE retell.digests",
        "ANALYZE retell.figures",
    ] {
        sqlx::query(table).execute(&mut *connection).await.unwrap();
    }
    let settings = statement(&["set_config('plan_cache_mode'"]).replace(", true)", ", false)");
    sqlx::query(AssertSqlSafe(settings))
        .execute(&mut *connection)
        .await
        .unwrap();
    connection
}

fn time(text: &str) -> chrono::DateTime<chrono::Utc> {
    text.parse().unwrap()
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn pages_searches_and_figures_go_by_the_indexes(pool: PgPool) {
    let mut conn = fill(&pool).await;
    let (from, until) = (time("0001-01-01T00:00:00Z"), time("9999-12-31T00:00:00Z"));
    let first = statement(&["c.sort_at DESC, c.id DESC LIMIT $6"]);
    let page = scans(&mut conn, &first, |query| {
        query
            .bind(ADA)
            .bind(from)
            .bind(until)
            .bind(until)
            .bind(i64::MAX)
            .bind(PAGE)
    });
    assert_runs_by("first page", &page.await, &["calls_listed"], PAGE);
    let newest = statement(&["next.id = ANY($8)"]);
    let by_index = statement(&["found CROSS JOIN LATERAL"]);
    let nothing: &[i64] = &[];
    for (word, seen, found) in [
        ("'@ada' & 'appointment':*", 200, CALLS as i64),
        ("'@ada' & 'ref77777':*", LOOKED_AT, 1),
        (
            "'@ada' & 'voicemail':* & '#positive'",
            LOOKED_AT,
            CALLS as i64 / 1000,
        ),
    ] {
        let near = scans(&mut conn, &newest, |query| {
            let query = query
                .bind(ADA)
                .bind(from)
                .bind(until)
                .bind(until)
                .bind(i64::MAX)
                .bind(LOOKED_AT);
            query.bind(word).bind(nothing).bind(nothing).bind(PAGE)
        });
        let near = near.await;
        let listed = near.iter().filter(|scan| scan.index == "calls_listed");
        assert!(
            listed.map(|scan| scan.rows).sum::<i64>() <= seen,
            "{word}: {near:#?}"
        );
        assert_runs_by(
            word,
            &near,
            &["calls_listed", "calls_pkey", "digests_pkey"],
            LOOKED_AT,
        );
        if seen < LOOKED_AT {
            continue;
        }
        let far = scans(&mut conn, &by_index, |query| {
            let query = query.bind(ADA).bind(from).bind(until).bind(until).bind(i64::MAX);
            query.bind(word).bind(nothing).bind(nothing).bind(PAGE)
        });
        assert_runs_by(word, &far.await, &["calls_pkey", "digests_words"], found);
    }
    let figures = statement(&["GROUPING SETS"]);
    let added = scans(&mut conn, &figures, |query| {
        query.bind(ADA).bind(from.date_naive()).bind(until.date_naive())
    });
    assert_runs_by("figures", &added.await, &["figures_pkey"], 3_000);
}

/// What another client says often must not cost the one who looks for it in vain.
#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_search_sees_no_rows_of_other_clients(pool: PgPool) {
    let mut conn = fill(&pool).await;
    let (from, until) = (time("0001-01-01T00:00:00Z"), time("9999-12-31T00:00:00Z"));
    let nothing: &[i64] = &[];
    let by_index = statement(&["found CROSS JOIN LATERAL"]);
    let far = scans(&mut conn, &by_index, |query| {
        let query = query.bind(BOB).bind(from).bind(until).bind(until).bind(i64::MAX);
        query
            .bind("'@bob' & 'appointment':*")
            .bind(nothing)
            .bind(nothing)
            .bind(PAGE)
    });
    assert_runs_by(
        "appointments of Bob's",
        &far.await,
        &["calls_pkey", "digests_words"],
        1_200,
    );
}

/// What an event costs must not grow with the table: a plan that reads it through was found by its figures alone.
#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_batch_of_events_looks_at_its_own_calls_alone(pool: PgPool) {
    // The connection of `fill` has the settings of the store's reading transactions; the ledger's are others.
    fill(&pool).await.close().await.unwrap();
    let had = "INSERT INTO retell.tenures (agent_id, user_id, proven, began_at) \
               SELECT DISTINCT agent_id, user_id, true, timestamptz '2020-01-01' FROM retell.calls RETURNING agent_id";
    let agents: Vec<String> = sqlx::query_scalar(had).fetch_all(&pool).await.unwrap();
    let known: Vec<String> =
        sqlx::query_scalar("SELECT call_id FROM retell.calls WHERE user_id = 'ada' LIMIT 32")
            .fetch_all(&pool)
            .await
            .unwrap();
    let new = (0..32).map(|nth| format!("new_{nth}"));
    let calls: Vec<String> = known.into_iter().chain(new).collect();
    let agents = vec![agents[0].clone(); calls.len()];
    let moments = vec![Some(time("2026-06-01T00:00:00Z")); calls.len()];
    let hashes = vec![vec![7_u8; 32]; calls.len()];
    let read = statement(&["candidates AS MATERIALIZED"]);
    let mut conn = pool.begin_with(LEDGER).await.unwrap();
    let scans = scans(&mut conn, &read, |query| {
        query
            .bind(agents)
            .bind(calls)
            .bind(moments)
            .bind(hashes.clone())
            .bind(hashes)
    });
    for scan in scans.await {
        assert!(scan.rows <= 1_000, "{scan:#?}");
    }
}

/// The ledger's plan may be as old as its connection: made when the tables were empty, it is used when they are full.
#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_plan_of_the_ledger_that_was_made_for_empty_tables_goes_by_the_right_indexes(pool: PgPool) {
    let read = statement(&["candidates AS MATERIALIZED"]);
    let mut tx = pool.begin_with(LEDGER).await.unwrap();
    let prepare = format!("PREPARE reading (text[], text[], timestamptz[], bytea[], bytea[]) AS {read}");
    sqlx::raw_sql(AssertSqlSafe(prepare))
        .execute(&mut *tx)
        .await
        .unwrap();
    let explain = "EXPLAIN (FORMAT JSON) EXECUTE reading ('{}', '{}', '{}', '{}', '{}')";
    let plan: Value = sqlx::query_scalar(explain).fetch_one(&mut *tx).await.unwrap();
    let mut used = Vec::new();
    indexes_of(&plan, &mut used);
    used.sort_unstable();
    used.dedup();
    let of_one_call = [
        "calls_held",
        "calls_owned",
        "calls_pkey",
        "events_pkey",
        "tombstones_pkey",
    ];
    let known: Vec<&String> = used
        .iter()
        .filter(|index| !index.starts_with("tenures"))
        .collect();
    assert_eq!(known, of_one_call, "{plan:#}");
}

/// The indexes that a plan uses, at any depth.
fn indexes_of(plan: &Value, used: &mut Vec<String>) {
    match plan {
        Value::Object(node) => {
            used.extend(node.get("Index Name").and_then(Value::as_str).map(str::to_owned));
            node.values().for_each(|value| indexes_of(value, used));
        }
        Value::Array(nodes) => nodes.iter().for_each(|node| indexes_of(node, used)),
        _ => {}
    }
}
