//! The caller's clock: milliseconds from anywhere.

use core::time::Duration;

use xtls::Instant;

/// Milliseconds of the caller's clock as moments. Which number it begins with does not matter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
    first: u64,
}

impl Clock {
    /// A clock that shows this number now.
    #[allow(clippy::disallowed_methods, reason = "a moment to count from; nothing else makes one")]
    pub(crate) fn new(first: u64) -> Self {
        Self { start: Instant::now(), first }
    }

    /// The moment of this number. One before the first counts as the first.
    pub(crate) fn at(&self, now: u64) -> Instant {
        // As far as a moment can lie ahead everywhere; no timer comes near it.
        const FAR: u64 = 100 * 365 * 24 * 60 * 60 * 1000;
        let passed = Duration::from_millis(now.saturating_sub(self.first).min(FAR));
        self.start.checked_add(passed).unwrap_or(self.start)
    }

    /// How long it is from `now` until then. A part of a millisecond counts as a whole one: whoever waits for so long is not early.
    pub(crate) fn until(&self, then: Instant, now: u64) -> u64 {
        let left = then.saturating_duration_since(self.at(now));
        u64::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_moments_wherever_they_begin_and_however_they_jump() {
        for first in [0, 1_700_000_000_000, u64::MAX - 5] {
            let clock = Clock::new(first);
            assert_eq!(clock.at(first + 5) - clock.at(first), Duration::from_millis(5));
            assert_eq!(clock.at(0), clock.at(first), "before the first is the first");
            assert_eq!(clock.until(clock.at(first + 5), first + 2), 3);
            assert_eq!(clock.until(clock.at(first) + Duration::from_micros(1), first), 1, "never early");
            assert_eq!(clock.until(clock.at(first), first + 5), 0);
        }
        let clock = Clock::new(0);
        assert!(clock.at(u64::MAX) > clock.at(1_000_000));
    }
}
