//! What a path is measured by: its rate, and the least round trip.

use core::time::Duration;

use xtls_channel::Instant;

/// For how long a least round trip is remembered at least, and twice that at most.
const MEMORY: Duration = Duration::from_secs(10);
/// The same in round trips, where that is longer.
const MEMORY_ROUNDS: u32 = 32;

/// How fast the path takes bytes: those that it took, and the time that it needed, the more recent the weightier.
#[derive(Debug, Default)]
pub(super) struct Rate {
    bytes: u64,
    time: Duration,
    /// The quotient: the time for a byte, in nanoseconds times [`Rate::SCALE`].
    pace: u128,
}

/// A mean, the more recent the weightier.
#[derive(Debug, Default)]
pub(super) struct Mean {
    sum: Duration,
    pub(super) count: u32,
}

/// The least round trip of the last while, in two halves of it.
#[derive(Debug, Default)]
pub(super) struct Least {
    current: Option<RoundTrip>,
    previous: Option<RoundTrip>,
    since: Option<Instant>,
}

/// How long it was from a block to its result, and how large the block was.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoundTrip {
    pub(super) time: Duration,
    pub(super) bytes: u64,
}

impl Rate {
    const SCALE: u128 = 1 << 16;

    pub(super) fn of(bytes: u64, time: Duration) -> Self {
        let mut rate = Self::default();
        rate.add(bytes, time);
        rate
    }

    pub(super) fn is_unknown(&self) -> bool {
        self.bytes == 0
    }

    pub(super) fn add(&mut self, bytes: u64, time: Duration) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.time = self.time.saturating_add(time);
        self.pace = (self.time.as_nanos() * Self::SCALE).checked_div(self.bytes.into()).unwrap_or(0);
    }

    /// What was added so far counts half; what is known stays known.
    pub(super) fn fade(&mut self) {
        if self.bytes > 1 {
            self.bytes /= 2;
            self.time /= 2;
        }
    }

    /// How long the path needs for so many bytes; no time if that is unknown.
    pub(super) fn takes(&self, bytes: u64) -> Duration {
        let nanos = self.pace.saturating_mul(bytes.into()) / Self::SCALE;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How many bytes it takes in this time; as many as can be if nothing shows a limit.
    pub(super) fn holds(&self, time: Duration) -> u64 {
        let bytes = time.as_nanos().saturating_mul(Self::SCALE).checked_div(self.pace);
        bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(u64::MAX)
    }
}

impl Mean {
    pub(super) fn add(&mut self, time: Duration) {
        self.sum = self.sum.saturating_add(time);
        self.count += 1;
    }

    /// What was added so far counts half.
    pub(super) fn fade(&mut self) {
        if self.count > 1 {
            self.sum /= 2;
            self.count /= 2;
        }
    }

    pub(super) fn value(&self) -> Duration {
        self.sum.checked_div(self.count).unwrap_or_default()
    }
}

impl Least {
    /// Takes a round trip, and tells whether an older one was forgotten for it.
    pub(super) fn note(&mut self, now: Instant, round_trip: RoundTrip, rate: &Rate) -> bool {
        let memory = MEMORY.max(round_trip.time.saturating_mul(MEMORY_ROUNDS));
        let age = self.since.map(|since| now.saturating_duration_since(since));
        let is_over = age.is_none_or(|age| age >= memory);
        if is_over {
            self.previous = self.current.take().filter(|_| age.is_some_and(|age| age < memory.saturating_mul(2)));
            self.since = Some(now);
        }
        let is_outdated = self.current.is_some_and(|than| !than.is_possible(rate));
        let is_less = |than: RoundTrip| round_trip.latency(rate) <= than.latency(rate);
        if is_outdated || self.current.is_none_or(is_less) {
            self.current = Some(round_trip);
        }
        is_outdated || is_over && age.is_some()
    }

    /// How long a block takes that has no size and waits for nothing.
    pub(super) fn latency(&self, rate: &Rate) -> Option<Duration> {
        let known = self.current.filter(|least| least.is_possible(rate)).into_iter();
        known.chain(self.previous.filter(|least| least.is_possible(rate))).map(|least| least.latency(rate)).min()
    }
}

impl RoundTrip {
    /// Whether the path takes the block in this time at this rate, or nearly. One that it does not is of a faster path.
    pub(super) fn is_possible(self, rate: &Rate) -> bool {
        self.time >= rate.takes(self.bytes) / 8 * 7
    }

    pub(super) fn latency(self, rate: &Rate) -> Duration {
        self.time.saturating_sub(rate.takes(self.bytes))
    }
}
