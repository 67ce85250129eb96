//! One try: the request, and what came of it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use futures_util::StreamExt;
use reqwest::header::{LOCATION, RETRY_AFTER};
use reqwest::{Method, Request, Response};
use switchhook_core::n8n::reply::{self, Reading};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::breaker::Ticket;
use super::mark::Mark;
use super::worker::{Claimed, Inner};
use super::{ANSWER_BYTES, Delivery, Guarantee, Listener, Outcome, Reason};

/// A target that has had a request for this long without refusing it has taken it: refusals come at once.
const TAKEN_AFTER: Duration = Duration::from_secs(2);

/// What is to be done after a try.
#[derive(Debug)]
pub(crate) enum Fate {
    /// Record it; nothing more is sent.
    Final {
        /// What came of it.
        outcome: Outcome,
        /// From the mark to the end of the wait, where it was marked.
        waited: Option<Duration>,
    },
    /// The target did not take it: later, and go easy on the target.
    NotSent {
        reason: Reason,
        asked: Option<Duration>,
        ticket: Ticket,
    },
    /// The target is in trouble, and this is not its probe: later.
    Postponed { reason: Reason, pause: Duration },
    /// It may have arrived, and a repeat is harmless: later.
    Repeat { reason: Reason, asked: Option<Duration> },
    /// This process cannot send now (it is stopping, or away from the database): back, without a word.
    HandBack,
    /// Somebody called it off.
    CalledOff,
}

impl Fate {
    fn settled(outcome: Outcome) -> Self {
        Self::Final {
            outcome,
            waited: None,
        }
    }
}

impl Claimed {
    /// The row as its owner knows it, before anything is known of this try.
    pub(super) fn described(&self) -> Delivery {
        Delivery {
            id: self.id,
            topic: self.topic.name.to_owned(),
            key: self.key.clone(),
            target: self.target.clone(),
            attempts: self.attempts,
            sent_at: None,
            waited: None,
        }
    }
}

impl Inner {
    /// Sends a claimed row and records what came of it.
    pub(crate) async fn send(self: &Arc<Self>, row: Claimed) {
        let fate = match self.owner.url(&row.target) {
            Ok(url) => {
                let mut request = Request::new(Method::POST, url);
                let id = row.id.to_string();
                let now = self.kit.clock.now();
                *request.headers_mut() = self.kit.outbound.headers(&id, &row.traceparent, now, &row.body);
                *request.body_mut() = Some(row.body.clone().into());
                self.attempt(&row, request).await
            }
            Err(reason) => Fate::settled(Outcome::Refused(reason)),
        };
        if row.probe && !matches!(fate, Fate::NotSent { .. } | Fate::Final { .. }) {
            self.breaker(&row.target, |breaker| breaker.unused(Instant::now()));
        }
        self.record(&row, fate).await;
    }

    async fn attempt(self: &Arc<Self>, row: &Claimed, request: Request) -> Fate {
        let opening = self.opening(row.topic, &row.target);
        let place = match Arc::clone(&opening).try_acquire_owned() {
            Ok(place) => Some(place),
            Err(_taken) => match self.wait_for_place(row, opening).await {
                Ok(place) => place,
                Err(fate) => return fate,
            },
        };
        // It may have waited for its place while others found the target dead.
        let (ticket, obstacle) = self.breaker(&row.target, |breaker| {
            (breaker.ticket(), breaker.obstacle(Instant::now()))
        });
        if let (Some((reason, pause)), false) = (obstacle, row.probe) {
            return Fate::Postponed { reason, pause };
        }
        let always = match row.topic.guarantee {
            Guarantee::AtMostOnce => return self.attempt_once(row, request, place, ticket).await,
            Guarantee::AtLeastOnce { always } => always,
        };
        let exchange = self
            .exchange(row, self.kit.outbound.client().execute(request))
            .await;
        drop(place);
        match exchange {
            // Here an answer says something: what it lost on the way is got by another try.
            Exchange::Read(answer) if answer.is_broken_success() => Fate::Repeat {
                reason: Reason::new(
                    "connection_lost",
                    "The connection to n8n broke in the middle of its answer",
                ),
                asked: None,
            },
            Exchange::Read(answer) => self.fate_of(row, answer, always, ticket, None),
            Exchange::Broken(error) if error.is_connect() => not_reached(&error, ticket),
            Exchange::Broken(error) => Fate::Repeat {
                reason: broken(&error),
                asked: None,
            },
            Exchange::TooLong(limit) if always => Fate::Repeat {
                reason: too_long(limit),
                asked: None,
            },
            Exchange::TooLong(limit) => Fate::settled(Outcome::Unknown(too_long(limit))),
            Exchange::Cut => Fate::HandBack,
        }
    }

    /// Waits for a place at the target. Meanwhile the owner may have lost interest; a row that is sent at most once is asked
    /// about that by its mark.
    async fn wait_for_place(
        &self,
        row: &Claimed,
        opening: Arc<Semaphore>,
    ) -> Result<Option<OwnedSemaphorePermit>, Fate> {
        let place = tokio::select! {
            biased;
            () = self.kit.tasks.stopping().cancelled() => return Err(Fate::HandBack),
            place = opening.acquire_owned() => place.ok(),
        };
        if row.topic.guarantee == Guarantee::AtMostOnce {
            return Ok(place);
        }
        match tokio::time::timeout(crate::db::WORK_LIMIT, self.keep_wanted(row)).await {
            Ok(Ok(true)) => Ok(place),
            Ok(Ok(false)) => Err(Fate::CalledOff),
            Ok(Err(_)) | Err(_) => Err(Fate::HandBack),
        }
    }

    /// At most once: between the connection and its first byte the row is marked as sent, in a commit of its own.
    async fn attempt_once(
        self: &Arc<Self>,
        row: &Claimed,
        request: Request,
        place: Option<OwnedSemaphorePermit>,
        ticket: Ticket,
    ) -> Fate {
        let mark = Arc::new(Mark::default());
        let gate = self.gate(row, &mark, place);
        let sending = self.kit.outbound.send_gated(request, gate);
        let exchange = tokio::select! {
            exchange = self.exchange(row, sending) => exchange,
            never = self.trust(row, &mark, ticket) => match never {},
        };
        let waited = mark.sent_at().map(|at| at.elapsed());
        let unknown = |reason| Fate::Final {
            outcome: Outcome::Unknown(reason),
            waited,
        };
        match exchange {
            Exchange::Read(answer) => self.fate_of(row, answer, false, ticket, waited),
            Exchange::Broken(_) if mark.is_called_off() => Fate::CalledOff,
            Exchange::Broken(_) if mark.is_unable() => Fate::HandBack,
            // Connected, but the time for it ran out over the mark: not a byte was written, and n8n is not to blame.
            Exchange::Broken(error) if mark.is_connected() && (waited.is_none() || error.is_connect()) => {
                Fate::HandBack
            }
            Exchange::Broken(error) if waited.is_none() => not_reached(&error, ticket),
            Exchange::TooLong(_) | Exchange::Cut if waited.is_none() => Fate::HandBack,
            Exchange::Broken(error) => unknown(broken(&error)),
            Exchange::TooLong(limit) => unknown(too_long(limit)),
            Exchange::Cut => unknown(Reason::new(
                "service_restarted",
                "The service was restarted while it waited for n8n's answer",
            )),
        }
    }

    /// A request that is held says that its target is well, long before it is answered.
    async fn trust(&self, row: &Claimed, mark: &Mark, ticket: Ticket) -> Infallible {
        mark.opened().await;
        tokio::time::sleep(TAKEN_AFTER).await;
        self.breaker(&row.target, |breaker| breaker.got_through(Instant::now(), ticket));
        std::future::pending().await
    }

    fn fate_of(
        &self,
        row: &Claimed,
        answer: Answer,
        repeat_unknown: bool,
        ticket: Ticket,
        waited: Option<Duration>,
    ) -> Fate {
        let Answer {
            reading, body, asked, ..
        } = answer;
        if !matches!(reading, Reading::NotSent(_)) {
            self.breaker(&row.target, |breaker| breaker.got_through(Instant::now(), ticket));
        }
        let outcome = match reading {
            Reading::NotSent(reason) => {
                return Fate::NotSent {
                    reason,
                    asked,
                    ticket,
                };
            }
            Reading::Unknown(reason) if repeat_unknown => return Fate::Repeat { reason, asked },
            Reading::Answered => Outcome::Answered(body),
            Reading::Refused(reason) => Outcome::Refused(reason),
            Reading::Failed(reason) => Outcome::Failed(reason),
            Reading::Unknown(reason) => Outcome::Unknown(reason),
        };
        Fate::Final { outcome, waited }
    }

    /// Waits for the answer and reads it, within the topic's limit and the process's life.
    async fn exchange(
        &self,
        row: &Claimed,
        sending: impl Future<Output = Result<Response, reqwest::Error>>,
    ) -> Exchange {
        let listener = self.owner.listener(&row.described());
        let reading = async move {
            match sending.await {
                Ok(response) => read(response, listener).await,
                Err(error) => Exchange::Broken(error),
            }
        };
        let limit = self.owner.answer_limit(row.topic);
        let time_is_up = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let cut = async {
            self.kit.tasks.stopping().cancelled().await;
            // What is left of the shutdown's time goes into the records.
            tokio::time::sleep(self.kit.settings.shutdown_timeout.0.mul_f64(0.6)).await;
        };
        tokio::select! {
            outcome = reading => outcome,
            () = time_is_up => Exchange::TooLong(limit.unwrap_or_default()),
            () = cut => Exchange::Cut,
        }
    }
}

/// An answer, read by what it says.
struct Answer {
    reading: Reading,
    body: Vec<u8>,
    whole: bool,
    asked: Option<Duration>,
}

impl Answer {
    /// A 2xx whose body broke off.
    fn is_broken_success(&self) -> bool {
        !self.whole && self.reading == Reading::Answered
    }
}

enum Exchange {
    Read(Answer),
    Broken(reqwest::Error),
    TooLong(Duration),
    Cut,
}

async fn read(response: Response, listener: Option<Box<dyn Listener>>) -> Exchange {
    let status = response.status().as_u16();
    let header = |name| response.headers().get(name)?.to_str().ok().map(str::to_owned);
    let location = header(LOCATION);
    let asked = header(RETRY_AFTER)
        .and_then(|text| text.trim().parse().ok())
        .map(Duration::from_secs);
    let mut body = BytesMut::new();
    let mut whole = true;
    let mut listener = listener.filter(|_| response.status().is_success());
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let Ok(chunk) = chunk else {
            whole = false;
            break;
        };
        let room = ANSWER_BYTES.saturating_sub(body.len());
        let taken = chunk.get(..room.min(chunk.len())).unwrap_or_default();
        body.extend_from_slice(taken);
        if let Some(listener) = &mut listener {
            listener.chunk(taken);
        }
        if room <= chunk.len() {
            break;
        }
    }
    let reading = reply::read(status, location.as_deref(), &body);
    // The head alone says that n8n has the request; half a body says nothing more.
    let body = if whole { body.into() } else { Vec::new() };
    Exchange::Read(Answer {
        reading,
        body,
        whole,
        asked,
    })
}

fn not_reached(error: &reqwest::Error, ticket: Ticket) -> Fate {
    let why = root_cause(error);
    Fate::NotSent {
        reason: Reason::new("n8n_unreachable", format!("n8n cannot be reached: {why}")),
        asked: None,
        ticket,
    }
}

fn broken(error: &reqwest::Error) -> Reason {
    Reason::new(
        "connection_lost",
        format!(
            "The connection to n8n broke before its answer came: {}",
            root_cause(error)
        ),
    )
}

fn too_long(limit: Duration) -> Reason {
    Reason::new(
        "answer_timeout",
        format!("n8n did not answer within {} s", limit.as_secs()),
    )
}

/// The innermost cause in plain words: it names the trouble, and never the URL.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let words = cause.to_string();
    // "Connection refused (os error 111)": the number says nothing to a user.
    let plain = words.split(" (os error").next().unwrap_or_default();
    let mut letters = plain.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
