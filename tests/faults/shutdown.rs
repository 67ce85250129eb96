//! SIGTERM under load: whoever comes again when a connection is refused notices nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use devstack::Stack;
use e2e::people::client;
use futures_util::future::join_all;

use crate::houses::{Desk, HOUSES, House, Means, judge, stored, street};
use crate::{ALONE, say};

const ROUNDS: usize = 3;
const CLIENTS: usize = 8;
/// Between two requests of a client: kept connections are idle at times, too.
const PAUSE: Duration = Duration::from_millis(5);
/// Of a client whose connection was refused.
const AGAIN_AFTER: Duration = Duration::from_millis(20);
const ROUND: Duration = Duration::from_millis(700);
/// What is promised for an exit with work in flight that ends.
const EXIT_WITHIN: Duration = Duration::from_secs(10);

struct Count {
    done: Vec<usize>,
    refused: usize,
}

/// Writes one thing after the other; a refused connection is tried again, anything else that fails is a failure.
async fn write_on(desk: &Desk, house: House, next: &AtomicUsize, over: &AtomicBool) -> Count {
    let desk = desk.with_client(client());
    let mut count = Count {
        done: Vec::new(),
        refused: 0,
    };
    while !over.load(Ordering::SeqCst) {
        let nth = next.fetch_add(1, Ordering::SeqCst);
        loop {
            match desk.write(house, nth).send().await {
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    let body = answer.json().await.expect("the answer comes whole");
                    assert_eq!(
                        house.means(status, &body),
                        Means::Done,
                        "{house:?}: {status} {body}"
                    );
                    count.done.push(nth);
                    break;
                }
                Err(error) if error.is_connect() => {
                    count.refused += 1;
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
                Err(error) => panic!("{house:?}: write {nth} failed: {error:?}"),
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    count
}

/// Stops the service and starts it again; gives how long the longest stop took.
async fn restart(stack: &Stack, house: House) -> Duration {
    let mut longest = Duration::ZERO;
    for _ in 0..ROUNDS {
        tokio::time::sleep(ROUND).await;
        let begun = Instant::now();
        let code = stack.replica(house.name(), 0).stop().await;
        longest = longest.max(begun.elapsed());
        assert_eq!(code, Some(0), "{house:?} ends in order");
        stack.restart(house.name(), 0).await.unwrap();
    }
    tokio::time::sleep(ROUND).await;
    longest
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_fails_no_request() {
    let _alone = ALONE.lock().await;
    let stack = street().start().await.unwrap();
    let desk = Desk::open(&stack).await;
    for house in HOUSES {
        let (next, over) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
        let writing = join_all((0..CLIENTS).map(|_| write_on(&desk, house, &next, &over)));
        let stopping = async {
            let longest = restart(&stack, house).await;
            over.store(true, Ordering::SeqCst);
            longest
        };
        let (counts, longest) = tokio::join!(writing, stopping);
        let done: Vec<usize> = counts
            .iter()
            .flat_map(|count| count.done.iter().copied())
            .collect();
        let refused: usize = counts.iter().map(|count| count.refused).sum();
        say(&format!(
            "{}: {ROUNDS} stops, {} writes, none failed, {refused} connections refused, longest stop {:.2} s",
            house.name(),
            done.len(),
            longest.as_secs_f64()
        ));
        judge(house, &done, &stored(stack.database_url(), house).await).unwrap();
        assert!(longest < EXIT_WITHIN, "{house:?}: {longest:?}");
    }
    stack.stop().await.unwrap();
}
