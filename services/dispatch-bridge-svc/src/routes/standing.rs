//! How LiveKit stands, for `/readyz`: asked seldom, and never waited for long.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::clients::livekit::LiveKit;
use crate::domain::trouble::Trouble;

/// How long an answer holds.
const HOLDS: Duration = Duration::from_secs(5);

/// What is known of LiveKit. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Standing {
    livekit: Arc<dyn LiveKit>,
    known: Arc<Mutex<Option<(Instant, &'static str)>>>,
}

impl Standing {
    pub(crate) fn new(livekit: Arc<dyn LiveKit>) -> Self {
        Self {
            livekit,
            known: Arc::default(),
        }
    }

    /// `ok`, `unreachable` or `unauthorized`. Whoever comes while it is asked waits for that answer.
    pub(crate) async fn word(&self) -> &'static str {
        let mut known = self.known.lock().await;
        if let Some((at, word)) = *known
            && at.elapsed() < HOLDS
        {
            return word;
        }
        let word = judged(self.livekit.probe().await);
        *known = Some((Instant::now(), word));
        word
    }
}

fn judged(outcome: Result<(), Trouble>) -> &'static str {
    match outcome {
        Ok(()) => "ok",
        Err(Trouble::Refused(refusal))
            if matches!(refusal.code.as_str(), "unauthenticated" | "permission_denied") =>
        {
            "unauthorized"
        }
        // A server that has something else to say is there.
        Err(Trouble::Refused(refusal)) if refusal.code != "unavailable" => "ok",
        Err(Trouble::Unusable(_)) => "unauthorized",
        Err(_) => "unreachable",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::domain::trouble::Refusal;

    #[test]
    fn a_refused_key_is_told_from_a_server_that_is_away() {
        let refused = |code: &str| {
            Err(Trouble::Refused(Refusal {
                code: code.into(),
                msg: String::new(),
                meta: Map::new(),
            }))
        };
        for (outcome, word) in [
            (Ok(()), "ok"),
            (refused("unauthenticated"), "unauthorized"),
            (refused("permission_denied"), "unauthorized"),
            (refused("internal"), "ok"),
            (refused("unavailable"), "unreachable"),
            (Err(Trouble::Unreachable), "unreachable"),
            (Err(Trouble::Late), "unreachable"),
            (Err(Trouble::NotLiveKit), "unreachable"),
        ] {
            assert_eq!(judged(outcome), word);
        }
    }
}
