//! Server-Sent Events: `event`, `id`, `data`; a comment while nothing happens; an end when the token's time is over or
//! the service stops.
//!
//! The stream is pulled: the next event is asked for only when the socket has taken the last one, so that a slow reader
//! costs its own buffer and nothing else.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{Stream, StreamExt, stream};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::clock::Clock;
use crate::kit::Kit;

/// Time between two comments.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
const EVENT_ID_MAX_BYTES: usize = 255;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// A noun, such as `session`.
    pub name: &'static str,
    /// Cursor: what a reader sends back as `Last-Event-ID`.
    pub id: String,
    /// The JSON of the matching GET.
    pub data: String,
}

impl Event {
    fn encode(&self) -> Bytes {
        let mut text = format!(
            "event: {}\nid: {}\n",
            self.name,
            self.id.replace(['\r', '\n', '\0'], "")
        );
        for line in self.data.lines() {
            text.push_str("data: ");
            text.push_str(line);
            text.push('\n');
        }
        text.push('\n');
        Bytes::from(text)
    }
}

/// Where a reader that comes back left off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastEventId(pub Option<String>);

impl FromRequest for LastEventId {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let given = request
            .headers()
            .get("last-event-id")
            .and_then(|value| value.to_str().ok());
        let sane = given.filter(|id| (1..=EVENT_ID_MAX_BYTES).contains(&id.len()));
        ready(Ok(Self(sane.map(str::to_owned))))
    }
}

/// Streams the events until `until`, until the service stops, or until they end.
pub fn respond<S>(kit: &Kit, until: DateTime<Utc>, events: S) -> HttpResponse
where
    S: Stream<Item = Event> + 'static,
{
    let ends = Ends {
        clock: Arc::clone(&kit.clock),
        until,
        stopping: kit.tasks.stopping().clone(),
    };
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Proxies of the nginx kind would hold events back.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(bytes(ends, HEARTBEAT, events))
}

/// When a stream is over, whatever its events do.
struct Ends {
    clock: Arc<dyn Clock>,
    until: DateTime<Utc>,
    stopping: CancellationToken,
}

impl Ends {
    fn over(&self) -> bool {
        self.stopping.is_cancelled() || self.left().is_zero()
    }

    fn left(&self) -> Duration {
        (self.until - self.clock.now()).to_std().unwrap_or(Duration::ZERO)
    }
}

struct Streaming<S> {
    ends: Ends,
    beat: Interval,
    events: Pin<Box<S>>,
}

fn bytes<S>(ends: Ends, heartbeat: Duration, events: S) -> impl Stream<Item = Result<Bytes, Infallible>>
where
    S: Stream<Item = Event> + 'static,
{
    let mut beat = interval_at(Instant::now() + heartbeat, heartbeat);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let streaming = Streaming {
        ends,
        beat,
        events: Box::pin(events),
    };
    stream::unfold(streaming, move |mut streaming| async move {
        if streaming.ends.over() {
            return None;
        }
        let next = tokio::select! {
            biased;
            () = streaming.ends.stopping.cancelled() => None,
            () = tokio::time::sleep(streaming.ends.left()) => None,
            event = streaming.events.next() => event.map(|event| event.encode()),
            _ = streaming.beat.tick() => Some(Bytes::from_static(b": still here\n\n")),
        };
        next.map(|bytes| (Ok(bytes), streaming))
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::clock::ManualClock;

    const SOON: Duration = Duration::from_millis(20);

    fn ends(after: TimeDelta) -> (Ends, ManualClock, CancellationToken) {
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let (clock, stopping) = (ManualClock::at(start), CancellationToken::new());
        (
            Ends {
                clock: Arc::new(clock.clone()),
                until: start + after,
                stopping: stopping.clone(),
            },
            clock,
            stopping,
        )
    }

    async fn next<S: Stream<Item = Result<Bytes, Infallible>>>(stream: &mut Pin<Box<S>>) -> Option<Bytes> {
        let next = tokio::time::timeout(Duration::from_secs(10), stream.next()).await;
        next.expect("something within the deadline").map(Result::unwrap)
    }

    #[test]
    fn an_event_is_written_line_by_line() {
        let event = Event {
            name: "session",
            id: "7\n8".into(),
            data: "{\n}".into(),
        };
        assert_eq!(event.encode(), "event: session\nid: 78\ndata: {\ndata: }\n\n");
    }

    #[tokio::test]
    async fn silence_is_filled_with_comments_and_ends_with_the_token() {
        let (ends, clock, _stopping) = ends(TimeDelta::hours(1));
        let mut stream = Box::pin(bytes(ends, SOON, stream::pending()));
        for _ in 0..2 {
            assert!(next(&mut stream).await.unwrap().starts_with(b":"));
        }
        clock.advance(TimeDelta::hours(1));
        assert_eq!(next(&mut stream).await, None);
    }

    #[tokio::test]
    async fn the_end_comes_without_an_event_or_a_beat() {
        let (ends, _clock, _stopping) = ends(TimeDelta::milliseconds(30));
        let mut stream = Box::pin(bytes(ends, HEARTBEAT, stream::pending()));
        assert_eq!(next(&mut stream).await, None);
    }

    #[tokio::test]
    async fn a_stop_ends_the_stream_even_before_waiting_events() {
        let (ends, _clock, stopping) = ends(TimeDelta::hours(1));
        let event = Event {
            name: "n",
            id: "1".into(),
            data: "{}".into(),
        };
        let mut stream = Box::pin(bytes(ends, HEARTBEAT, stream::repeat(event)));
        assert_eq!(next(&mut stream).await.unwrap(), "event: n\nid: 1\ndata: {}\n\n");
        stopping.cancel();
        assert_eq!(next(&mut stream).await, None);
    }

    #[tokio::test]
    async fn the_end_of_the_events_is_the_end() {
        let (ends, _clock, _stopping) = ends(TimeDelta::hours(1));
        let mut stream = Box::pin(bytes(ends, HEARTBEAT, stream::empty()));
        assert_eq!(next(&mut stream).await, None);
    }
}
