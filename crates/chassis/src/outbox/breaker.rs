//! One breaker per target: a dead target costs one probe an interval, and one that comes back is not run over.
//!
//! Pure: time is given. Closed → (not sent) → open, probed with growing pauses → (got through) → ramp, from one a second
//! doubling each second → closed. A try carries the ticket of its beginning: what began before the last failure says
//! nothing about the target now.

use std::time::{Duration, Instant};

use super::Reason;

/// Longest pause between tries or probes.
pub(crate) const MAX_PAUSE: Duration = Duration::from_secs(30);
const MIN_PAUSE: Duration = Duration::from_millis(250);
/// From this rate on a target counts as well again.
const FULL_RATE: u32 = 512;

/// One target as this process sees it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Breaker {
    /// Rises with every failure that counts.
    generation: u64,
    state: State,
}

#[derive(Debug, Clone, Default)]
enum State {
    /// Everything is sent at once.
    #[default]
    Closed,
    /// Nothing but one probe each pause.
    Open {
        failures: u32,
        probe_at: Instant,
        reason: Reason,
    },
    /// Came back: `rate` a second.
    Ramp { rate: u32, until: Instant },
}

/// When a try began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// What a failed try means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setback {
    /// Until the next try.
    pub(crate) pause: Duration,
    /// It is the first to tell: the target's other rows are to be moved to its next probe.
    pub(crate) news: bool,
}

impl Breaker {
    /// Whether a new delivery may be sent at once.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// What this process inherits tells that the target was in trouble, and nobody here knows how it is now: it is not run
    /// over either. Says nothing where this process has already learned something itself.
    pub(crate) fn doubt(&mut self, now: Instant) {
        if self.generation == 0 && self.is_closed() {
            self.state = State::Ramp { rate: 1, until: now };
        }
    }

    /// Taken by a try that begins.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(self.generation)
    }

    /// How many of the target's rows may be claimed now. A granted probe is granted once.
    pub(crate) fn allowance(&mut self, now: Instant) -> u32 {
        match &mut self.state {
            State::Closed => u32::MAX,
            State::Open {
                failures, probe_at, ..
            } if *probe_at <= now => {
                // Until the probe is back there is no other.
                *probe_at = now + pause_bound(*failures) + MAX_PAUSE;
                1
            }
            State::Open { .. } => 0,
            State::Ramp { rate, until } if *until <= now => {
                let granted = *rate;
                if granted >= FULL_RATE {
                    self.state = State::Closed;
                    return u32::MAX;
                }
                *rate *= 2;
                *until = now + Duration::from_secs(1);
                granted
            }
            State::Ramp { .. } => 0,
        }
    }

    /// A try did not get through. The pause is drawn with `jitter` in 0..=1, and is never below what the target asked
    /// for (bounded by [`MAX_PAUSE`]).
    pub(crate) fn not_sent(
        &mut self,
        now: Instant,
        ticket: Ticket,
        reason: Reason,
        asked: Option<Duration>,
        jitter: f64,
    ) -> Setback {
        let asked = asked.unwrap_or_default();
        if ticket != self.ticket() {
            let pause = self.obstacle(now).map_or(MIN_PAUSE, |(_, pause)| pause);
            return Setback {
                pause: pause.max(MIN_PAUSE).max(asked).min(MAX_PAUSE),
                news: false,
            };
        }
        self.generation += 1;
        let failures = match &self.state {
            State::Open { failures, .. } => failures.saturating_add(1),
            State::Closed | State::Ramp { .. } => 1,
        };
        let drawn = pause_bound(failures).mul_f64(jitter.clamp(0.0, 1.0));
        let pause = drawn.max(MIN_PAUSE).max(asked).min(MAX_PAUSE);
        self.state = State::Open {
            failures,
            probe_at: now + pause,
            reason,
        };
        Setback { pause, news: true }
    }

    /// The target took a request that began with this ticket, whatever it answers.
    pub(crate) fn got_through(&mut self, now: Instant, ticket: Ticket) {
        if matches!(self.state, State::Open { .. }) && ticket == self.ticket() {
            self.state = State::Ramp { rate: 1, until: now };
        }
    }

    /// A probe was not made, or told nothing: the next may come at once.
    pub(crate) fn unused(&mut self, now: Instant) {
        if let State::Open { probe_at, .. } = &mut self.state {
            *probe_at = now + MIN_PAUSE;
        }
    }

    /// Why nothing is sent, and for how long.
    pub(crate) fn obstacle(&self, now: Instant) -> Option<(Reason, Duration)> {
        match &self.state {
            State::Open { probe_at, reason, .. } => Some((
                reason.clone(),
                probe_at.saturating_duration_since(now).min(MAX_PAUSE),
            )),
            State::Closed | State::Ramp { .. } => None,
        }
    }
}

/// Upper end of the pause after so many failures in a row: 1, 2, 4 … 30 s.
pub(crate) fn pause_bound(failures: u32) -> Duration {
    let doubled = 1_u64
        .checked_shl(failures.saturating_sub(1).min(16))
        .unwrap_or(u64::MAX);
    Duration::from_secs(doubled).min(MAX_PAUSE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn down() -> Reason {
        Reason::new("n8n_unreachable", "connection refused")
    }

    fn fail(breaker: &mut Breaker, now: Instant) -> Setback {
        let ticket = breaker.ticket();
        breaker.not_sent(now, ticket, down(), None, 1.0)
    }

    #[test]
    fn a_dead_target_costs_one_probe_an_interval() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        assert!(breaker.is_closed());
        let pause = fail(&mut breaker, start).pause;
        assert_eq!(pause, Duration::from_secs(1));
        assert_eq!(breaker.allowance(start), 0);
        assert_eq!(breaker.allowance(start + pause), 1);
        assert_eq!(breaker.allowance(start + pause), 0, "one probe, not two");
    }

    #[test]
    fn pauses_grow_to_thirty_seconds_and_stay_there() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        let pauses: Vec<u64> = (0..8).map(|_| fail(&mut breaker, now).pause.as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
        let ticket = breaker.ticket();
        let asked = breaker.not_sent(now, ticket, down(), Some(Duration::from_secs(3600)), 0.0);
        assert_eq!(asked.pause, MAX_PAUSE);
    }

    #[test]
    fn tries_that_began_together_count_once() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        let ticket = breaker.ticket();
        let setbacks: Vec<Setback> = (0..50)
            .map(|_| breaker.not_sent(now, ticket, down(), None, 1.0))
            .collect();
        assert_eq!(setbacks.iter().filter(|setback| setback.news).count(), 1);
        assert!(
            setbacks
                .iter()
                .all(|setback| setback.pause == Duration::from_secs(1))
        );
    }

    #[test]
    fn what_began_before_the_failure_says_nothing_about_the_target_now() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        let old = breaker.ticket();
        fail(&mut breaker, now);
        breaker.got_through(now, old);
        assert!(breaker.obstacle(now).is_some());
        let probe = breaker.ticket();
        breaker.got_through(now, probe);
        assert!(breaker.obstacle(now).is_none());
        // A late failure of the old try does not reset the ramp.
        assert!(!breaker.not_sent(now, old, down(), None, 1.0).news);
        assert!(breaker.obstacle(now).is_none());
    }

    #[test]
    fn a_target_that_comes_back_is_not_run_over() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        fail(&mut breaker, start);
        let probe = breaker.ticket();
        breaker.got_through(start, probe);
        let per_second: Vec<u32> = (0..10)
            .map(|second| breaker.allowance(start + Duration::from_secs(second)))
            .collect();
        assert_eq!(per_second, [1, 2, 4, 8, 16, 32, 64, 128, 256, u32::MAX]);
        assert!(breaker.is_closed());
    }

    #[test]
    fn ten_minutes_of_outage_cost_few_probes_and_end_as_gently_as_a_short_one() {
        let start = Instant::now();
        let (mut breaker, mut now, mut probes) = (Breaker::default(), start, 0_u32);
        while now < start + Duration::from_secs(600) {
            let ticket = breaker.ticket();
            // Spread evenly, as draws are in the long run.
            let jitter = (f64::from(probes) * 0.618).fract();
            breaker.not_sent(now, ticket, down(), None, jitter);
            let begun = now;
            while breaker.allowance(now) == 0 {
                now += Duration::from_millis(500);
            }
            assert!(
                now - begun <= MAX_PAUSE + Duration::from_millis(500),
                "it is found back in time"
            );
            probes += 1;
        }
        assert!((20..=60).contains(&probes), "{probes} probes");
        let probe = breaker.ticket();
        breaker.got_through(now, probe);
        let per_second: Vec<u32> = (0..4)
            .map(|second| breaker.allowance(now + Duration::from_secs(second)))
            .collect();
        assert_eq!(per_second, [1, 2, 4, 8]);
    }

    #[test]
    fn a_target_that_others_found_dead_is_begun_with_slowly() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        breaker.doubt(now);
        assert!(!breaker.is_closed());
        assert_eq!([breaker.allowance(now), breaker.allowance(now)], [1, 0]);
        let mut known = Breaker::default();
        fail(&mut known, now);
        known.doubt(now);
        assert!(
            known.obstacle(now).is_some(),
            "what it learned itself counts more"
        );
    }

    proptest! {
        #[test]
        fn no_pause_is_longer_than_thirty_seconds(
            failures in 1_u32..1000, jitter in -1.0_f64..2.0, asked in 0_u64..100_000,
        ) {
            let now = Instant::now();
            let mut breaker =
                Breaker { generation: 7, state: State::Open { failures, probe_at: now, reason: down() } };
            let ticket = breaker.ticket();
            let pause = breaker.not_sent(now, ticket, down(), Some(Duration::from_secs(asked)), jitter).pause;
            prop_assert!(pause >= MIN_PAUSE && pause <= MAX_PAUSE);
        }
    }
}
