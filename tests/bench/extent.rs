//! How much is measured: all of it in an optimised build; in another one, whose figures mean nothing, just as much as shows that a
//! bench works.

use std::time::Duration;

const IS_TRIAL: bool = cfg!(debug_assertions);
/// A trial counts this many times less.
const LESS: usize = 20;
const TRIAL: Duration = Duration::from_millis(200);

/// How long a round takes.
pub(crate) const fn lasting(ms: u64) -> Duration {
    if IS_TRIAL {
        TRIAL
    } else {
        Duration::from_millis(ms)
    }
}

/// How many there are of something that takes time one by one.
pub(crate) const fn counting(all: usize) -> usize {
    if IS_TRIAL { all.div_ceil(LESS) } else { all }
}
