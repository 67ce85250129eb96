//! When a connection is pinged, and when it is given up: dead, or without a word for too long.

use std::time::Duration;

/// Silence after which a peer is dead, in pings that it did not answer, and the time that the last of them has on its way.
const PINGS_UNANSWERED: u32 = 2;
const ON_ITS_WAY: Duration = Duration::from_secs(10);

/// The times of every connection, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rhythm {
    ping_ms: u64,
    dead_ms: u64,
    idle_ms: u64,
}

impl Rhythm {
    pub(crate) fn new(ping: Duration, idle: Duration) -> Self {
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self {
            ping_ms: ms(ping),
            dead_ms: ms(ping.saturating_mul(PINGS_UNANSWERED).saturating_add(ON_ITS_WAY)),
            idle_ms: ms(idle),
        }
    }
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beat {
    /// A ping.
    Ping,
    /// The peer is dead.
    Dead,
    /// Nobody said anything for too long.
    Idle,
    /// Nothing.
    Rest,
}

/// One connection's heartbeat. Times are milliseconds of the hub's clock.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    pinged_at_ms: u64,
    talked_at_ms: u64,
}

impl Heartbeat {
    pub(crate) fn new(now_ms: u64) -> Self {
        Self {
            pinged_at_ms: now_ms,
            talked_at_ms: now_ms,
        }
    }

    /// A message went one way or the other.
    pub(crate) fn talked(&mut self, now_ms: u64) {
        self.talked_at_ms = now_ms;
    }

    /// What is to be done now, and when to ask again at the latest.
    pub(crate) fn beat(&mut self, now_ms: u64, heard_at_ms: u64, rhythm: Rhythm) -> (Beat, u64) {
        let dead_at = heard_at_ms.saturating_add(rhythm.dead_ms);
        let idle_at = self.talked_at_ms.saturating_add(rhythm.idle_ms);
        let beat = if now_ms >= dead_at {
            Beat::Dead
        } else if now_ms >= idle_at {
            Beat::Idle
        } else if now_ms >= self.pinged_at_ms.saturating_add(rhythm.ping_ms) {
            self.pinged_at_ms = now_ms;
            Beat::Ping
        } else {
            Beat::Rest
        };
        let ping_at = self.pinged_at_ms.saturating_add(rhythm.ping_ms);
        (beat, ping_at.min(dead_at).min(idle_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RHYTHM: fn() -> Rhythm = || Rhythm::new(Duration::from_secs(25), Duration::from_secs(3600));

    #[test]
    fn a_silent_peer_is_pinged_twice_and_then_dead() {
        let mut heart = Heartbeat::new(0);
        let beats: Vec<_> = (0..=60).map(|s| heart.beat(s * 1000, 0, RHYTHM()).0).collect();
        for (s, beat) in beats.iter().enumerate() {
            let expected = match s {
                25 | 50 => Beat::Ping,
                60 => Beat::Dead,
                _ => Beat::Rest,
            };
            assert_eq!(*beat, expected, "after {s} s");
        }
    }

    #[test]
    fn one_who_answers_pings_is_kept_until_nobody_has_said_anything_for_too_long() {
        let mut heart = Heartbeat::new(0);
        heart.talked(10_000);
        let mut last = Beat::Rest;
        let mut now_ms = 0;
        while last != Beat::Idle {
            let (beat, next) = heart.beat(now_ms, now_ms, RHYTHM());
            assert_ne!(beat, Beat::Dead);
            assert!(next > now_ms || beat == Beat::Idle);
            last = beat;
            now_ms = next;
        }
        assert_eq!(now_ms, 10_000 + 3_600_000);
    }
}
