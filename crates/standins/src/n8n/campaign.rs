//! The workflow that makes a session's calls: claim, call, report.
//!
//! Every call is claimed from `session-svc` before it is made, so that the limit holds whatever this workflow thinks.
//! Claims that a large limit needs are made several at a time, as n8n does with several items at once.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior};
use url::Url;

use super::{Options, Target, Workflows, answers, request};

/// Shortest time between two rounds of claims.
const SHORTEST_ROUND: Duration = Duration::from_millis(50);
/// Time between two progress reports.
const PROGRESS_EVERY: Duration = Duration::from_millis(900);
const COMPLETED: &str = "Completed all calls";
const STOPPED: &str = "The session was stopped";

/// What the start webhook asked for.
pub(super) struct Campaign {
    session_id: String,
    limit: u32,
    made_today: u32,
}

/// How the run tells of itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    /// By progress and completion webhooks.
    Callback,
    /// By the answer to the waiting request alone.
    Answer,
}

/// What a claim was answered.
enum Claim {
    Granted,
    LimitReached,
    Stopped,
}

/// A run that came to its end.
struct Ended {
    made: u32,
    message: &'static str,
}

impl Campaign {
    /// Reads the start webhook; none when it is not one.
    pub(super) fn from_body(body: &Value) -> Option<Self> {
        let session_id = body.get("sessionId")?.as_str()?.to_owned();
        let count = |name: &str| {
            body.get(name)
                .and_then(Value::as_u64)
                .and_then(|count| u32::try_from(count).ok())
        };
        let limit = count("dailyCallLimit")?;
        Some(Self {
            session_id,
            limit,
            made_today: count("callsMadeToday").unwrap_or(0),
        })
    }

    pub(super) fn session_id(&self) -> &str {
        &self.session_id
    }

    /// Makes the calls; gives how many were made, or what broke the workflow.
    pub(super) async fn run(&self, workflows: &Workflows, report: Report) -> Result<u32, String> {
        let target = workflows.target();
        let ended = self.make_calls(workflows, &target, report).await?;
        if report == Report::Callback {
            let body = answers::completion(&self.session_id, ended.made, Some(ended.message));
            self.report(workflows, &target, &body).await?;
        }
        Ok(ended.made)
    }

    async fn make_calls(
        &self,
        workflows: &Workflows,
        target: &Target,
        report: Report,
    ) -> Result<Ended, String> {
        let most = workflows.options.max_calls;
        let planned = self.limit.saturating_sub(self.made_today).min(most);
        let pace = Pace::of(planned, &workflows.options);
        let mut rounds = tokio::time::interval(pace.round);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reported = Instant::now();
        let (mut asked, mut made) = (0, 0);
        while asked < most {
            rounds.tick().await;
            let last = most.min(asked + pace.claims);
            let claims = (asked + 1..=last).map(|number| self.claim(workflows, target, number, planned));
            asked = last;
            let mut over = None;
            for claim in join_all(claims).await {
                match claim? {
                    Claim::Granted => made += 1,
                    Claim::LimitReached => over = over.or(Some(COMPLETED)),
                    Claim::Stopped => over = Some(STOPPED),
                }
            }
            if let Some(message) = over {
                return Ok(Ended { made, message });
            }
            if report == Report::Callback && reported.elapsed() >= PROGRESS_EVERY {
                reported = Instant::now();
                let body = json!({"sessionId": self.session_id, "status": "in_progress", "callsMade": made});
                self.report(workflows, target, &body.to_string()).await?;
            }
        }
        Ok(Ended {
            made,
            message: COMPLETED,
        })
    }

    async fn claim(
        &self,
        workflows: &Workflows,
        target: &Target,
        number: u32,
        planned: u32,
    ) -> Result<Claim, String> {
        let Some(base) = &target.url else {
            return Ok(if number <= planned {
                Claim::Granted
            } else {
                Claim::LimitReached
            });
        };
        let url = endpoint(base, &["api", "ai-session", &self.session_id, "calls"])?;
        let body = json!({ "callId": format!("lead-{number}") }).to_string();
        let answer = post(workflows, &url, target.secret.as_deref(), &body).await?;
        let reason = answer.get("reason").and_then(Value::as_str);
        match (answer.get("allowed").and_then(Value::as_bool), reason) {
            (Some(true), _) => Ok(Claim::Granted),
            (Some(false), Some("stopped")) => Ok(Claim::Stopped),
            (Some(false), _) => Ok(Claim::LimitReached),
            (None, _) => Err(format!("a claim was answered without \"allowed\": {answer}")),
        }
    }

    async fn report(&self, workflows: &Workflows, target: &Target, body: &str) -> Result<(), String> {
        let Some(base) = &target.url else { return Ok(()) };
        let url = endpoint(base, &["api", "ai-session", "webhook"])?;
        post(workflows, &url, target.secret.as_deref(), body)
            .await
            .map(drop)
    }
}

async fn post(workflows: &Workflows, url: &Url, secret: Option<&str>, body: &str) -> Result<Value, String> {
    let _turn = workflows
        .requests
        .acquire()
        .await
        .map_err(|error| error.to_string())?;
    request::post_with_retries(url, secret, body).await
}

fn endpoint(base: &str, path: &[&str]) -> Result<Url, String> {
    let mut url = Url::parse(base).map_err(|error| format!("the session URL {base:?} is no URL: {error}"))?;
    let mut segments = url
        .path_segments_mut()
        .map_err(|()| format!("the session URL {base:?} has no path"))?;
    segments.pop_if_empty().extend(path);
    drop(segments);
    Ok(url)
}

/// How many claims are made at a time, and how often.
#[derive(Debug, PartialEq, Eq)]
struct Pace {
    claims: u32,
    round: Duration,
}

impl Pace {
    /// One call an interval, unless that takes too long: then faster, and from 20 rounds a second on more at a time.
    fn of(planned: u32, options: &Options) -> Self {
        let planned = planned.max(1);
        let round = options.call_interval.min(options.longest_run / planned);
        if round >= SHORTEST_ROUND || round == options.call_interval {
            return Self {
                claims: 1,
                round: round.max(Duration::from_millis(1)),
            };
        }
        let rounds = (options.longest_run.as_millis() / SHORTEST_ROUND.as_millis()).max(1);
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        Self {
            claims: planned.div_ceil(rounds),
            round: SHORTEST_ROUND,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(planned: u32) -> Pace {
        Pace::of(planned, &Options::default())
    }

    #[test]
    fn small_limits_are_called_one_by_one() {
        assert_eq!(
            pace(1),
            Pace {
                claims: 1,
                round: Duration::from_millis(300)
            }
        );
        assert_eq!(
            pace(33),
            Pace {
                claims: 1,
                round: Duration::from_millis(300)
            }
        );
        assert_eq!(
            pace(100),
            Pace {
                claims: 1,
                round: Duration::from_millis(100)
            }
        );
    }

    #[test]
    fn no_limit_takes_longer_than_the_longest_run() {
        for planned in [0, 1, 34, 199, 200, 201, 999, 10_000] {
            let pace = pace(planned);
            let rounds = planned.div_ceil(pace.claims);
            assert!(
                pace.round * rounds <= Duration::from_millis(10_050),
                "{planned}: {pace:?}"
            );
        }
        assert_eq!(
            pace(10_000),
            Pace {
                claims: 50,
                round: SHORTEST_ROUND
            }
        );
    }

    #[test]
    fn endpoints_keep_the_path_of_the_base_and_escape_ids() {
        let url = endpoint("http://127.0.0.1:3000/base/", &["api", "a/b"]).unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:3000/base/api/a%2Fb");
        assert!(endpoint("nowhere", &["api"]).is_err());
    }

    #[test]
    fn a_body_without_session_or_limit_is_no_start() {
        assert!(Campaign::from_body(&json!({"sessionId": "s"})).is_none());
        assert!(Campaign::from_body(&json!({"dailyCallLimit": 3})).is_none());
        let campaign = Campaign::from_body(&json!({"sessionId": "s", "dailyCallLimit": 3})).unwrap();
        assert_eq!((campaign.limit, campaign.made_today), (3, 0));
    }
}
