//! Every order of the same events ends in the same row, and a rebuild from the events is that row.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::world::{AGENT, World, recorded};

const FILES: [&str; 6] = [
    "voice-call/call_started.json",
    "voice-call/transcript_updated.json",
    "voice-call/transfer_started.json",
    "voice-call/transfer_ended.json",
    "voice-call/call_ended.json",
    "voice-call/call_analyzed.json",
];

/// All orders of so many things, by Heap's algorithm.
fn orders(count: usize) -> Vec<Vec<usize>> {
    fn permute(left: usize, order: &mut Vec<usize>, all: &mut Vec<Vec<usize>>) {
        if left <= 1 {
            all.push(order.clone());
            return;
        }
        for nth in 0..left {
            permute(left - 1, order, all);
            order.swap(if left.is_multiple_of(2) { nth } else { 0 }, left - 1);
        }
    }
    let mut all = Vec::new();
    permute(count, &mut (0..count).collect(), &mut all);
    all
}

/// What a row says, but for what is its own: numbers, and the moments at which its events happened to arrive.
async fn rows(pool: &PgPool) -> BTreeMap<String, Value> {
    let sql = "SELECT call_id, to_jsonb(c) - '{id,call_id,created_at,heard_at,sources}'::text[] FROM retell.calls c";
    let rows: Vec<(String, Value)> = sqlx::query_as(sql).fetch_all(pool).await.unwrap();
    rows.into_iter().collect()
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn every_order_with_repeats_ends_in_the_same_row(pool: PgPool) {
    let world = World::connected(&pool).await;
    let events: Vec<Value> = FILES.iter().map(|file| recorded(file)).collect();
    let orders = orders(events.len());
    assert_eq!(orders.len(), 720);
    // Each order is a call of its own; different calls at the same time, the events of one after each other.
    let play = async |nth: usize, order: &[usize]| {
        for (place, which) in order.iter().enumerate() {
            let mut event = events[*which].clone();
            event["call"]["call_id"] = json!(format!("call_{nth}"));
            event["call"]["agent_id"] = json!(AGENT);
            world.forward(event.clone(), 200).await;
            if place % 2 == nth % 2 {
                assert_eq!(world.forward(event, 200).await["duplicate"], true);
            }
        }
    };
    for group in orders.chunks(24).enumerate().collect::<Vec<_>>().chunks(1) {
        let (at, group) = group[0];
        let all = group
            .iter()
            .enumerate()
            .map(|(nth, order)| play(at * 24 + nth, order));
        futures_util::future::join_all(all).await;
    }
    let rows = rows(&world.pool).await;
    assert_eq!((rows.len(), world.count("events").await), (720, 720 * 6));
    let first = &rows["call_0"];
    assert_eq!(first["status"], "ended");
    assert!(
        first["summary"].is_string() && first["transcript"].is_string() && first["cost_cents"].is_number()
    );
    for (call, row) in &rows {
        assert_eq!(row, first, "{call}");
    }
}
