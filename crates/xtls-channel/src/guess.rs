//! How often a password may be guessed at.
//!
//! A right password and a wrong one look alike until the last message of a handshake, so each handshake that gets as far as
//! that is a guess. Guesses are counted for each name that a peer goes by, and, since names are cheap, for each of your
//! addresses too. [`GuessLimits`] has the bounds, [`TrustRecord::begin_guess`](crate::TrustRecord::begin_guess) the rule.

use core::time::Duration;

use xtls_tls::UnixTime;

/// How many wrong guesses at a password there may be, the same in tunnels and links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuessLimits {
    /// Wrong ones in a row with one peer until no more are tried, by either side; at least 1. Default 3.
    pub in_a_row: u32,
    /// How long none is tried then; after that one more for each time as long, until one is right. At least 1 s. Default
    /// 1 h.
    pub cooldown: Duration,
    /// Wrong ones with one peer, whatever succeeds between them; at least 1. Default 10.
    pub by_name: u32,
    /// One of those is forgiven for each time as long. At least 1 s. Default 24 h.
    pub by_name_forgiven: Duration,
    /// Wrong ones at one of your bare addresses, by all peers together that no password has secured before; at least 1.
    /// Default 30.
    pub by_listener: u32,
    /// One of those is forgiven for each time as long. At least 1 s. Default 1 h.
    pub by_listener_forgiven: Duration,
}

/// A guess that is about to be made, and the bounds it is under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Guess {
    /// When it is made.
    pub time: UnixTime,
    /// How many there may be.
    pub limits: GuessLimits,
}

/// Whether a guess may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Permit {
    /// It may, and has been counted.
    Granted,
    /// It may not.
    Locked {
        /// Until when.
        until: UnixTime,
    },
}

/// Guesses that were not right, or did not get to their end, of which one is forgiven from time to time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct GuessCount {
    /// How many were not forgiven, when one was counted last.
    pub count: u32,
    /// Since when time counts towards the next that is forgiven; without any, 1970.
    #[cfg_attr(feature = "serde", serde(with = "crate::record::seconds"))]
    pub since: UnixTime,
}

/// Guesses with one peer that were not right, or did not get to their end. An attacker may have made each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct Attempts {
    /// How many since the last right one.
    pub failed: u32,
    /// When the last one began; without any, 1970.
    #[cfg_attr(feature = "serde", serde(with = "crate::record::seconds"))]
    pub last: UnixTime,
    /// How many in all, but for those forgiven. A right one takes itself off it, and no other.
    pub total: GuessCount,
}

impl Default for GuessLimits {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_secs(60 * 60);
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            in_a_row: 3,
            cooldown: HOUR,
            by_name: 10,
            by_name_forgiven: DAY,
            by_listener: 30,
            by_listener_forgiven: HOUR,
        }
    }
}

impl GuessLimits {
    /// The first field that is out of bounds, if there is one, as a field of the configuration.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        let is_short = |time: Duration| time < Duration::from_secs(1);
        match self {
            Self { in_a_row: 0, .. } => Some("security.guesses.in_a_row"),
            Self { by_name: 0, .. } => Some("security.guesses.by_name"),
            Self { by_listener: 0, .. } => Some("security.guesses.by_listener"),
            limits if is_short(limits.cooldown) => Some("security.guesses.cooldown"),
            limits if is_short(limits.by_name_forgiven) => Some("security.guesses.by_name_forgiven"),
            limits if is_short(limits.by_listener_forgiven) => Some("security.guesses.by_listener_forgiven"),
            _ => None,
        }
    }
}

impl Guess {
    /// A guess at this time, under these limits.
    #[must_use]
    pub fn new(time: UnixTime, limits: GuessLimits) -> Self {
        Self { time, limits }
    }
}

impl Default for GuessCount {
    fn default() -> Self {
        Self { count: 0, since: EPOCH }
    }
}

impl GuessCount {
    /// Guesses of which none is forgiven before `since` and a time have passed.
    #[must_use]
    pub fn new(count: u32, since: UnixTime) -> Self {
        Self { count, since }
    }

    /// What is left of it at this time, if one is forgiven for each `every`. A clock that was set back forgives nothing.
    #[must_use]
    pub fn at(self, time: UnixTime, every: Duration) -> Self {
        let every = every.as_secs().max(1);
        let passed = time.as_secs().saturating_sub(self.since.as_secs());
        let forgiven = passed / every;
        match u32::try_from(forgiven).ok().and_then(|forgiven| self.count.checked_sub(forgiven)) {
            None | Some(0) => Self::default(),
            Some(count) => Self { count, since: later(self.since, forgiven.saturating_mul(every)) },
        }
    }

    /// Until when there is no room for one more, if `most` may be counted and one is forgiven for each `every`.
    fn full_until(self, time: UnixTime, most: u32, every: Duration) -> Option<UnixTime> {
        let left = self.at(time, every);
        let over = left.count.checked_sub(most)?;
        Some(later(left.since, every.as_secs().max(1).saturating_mul(u64::from(over).saturating_add(1))))
    }

    fn add(&mut self, time: UnixTime, every: Duration) {
        let left = self.at(time, every);
        let since = if left.count == 0 { time } else { left.since };
        *self = Self { count: left.count.saturating_add(1), since };
    }

    fn take_back(&mut self) {
        *self = match self.count {
            0 | 1 => Self::default(),
            count => Self { count: count - 1, ..*self },
        };
    }
}

impl Default for Attempts {
    fn default() -> Self {
        Self { failed: 0, last: EPOCH, total: GuessCount::default() }
    }
}

impl Attempts {
    /// Whether nothing is left that keeps a guess back, now or later: neither a cool-down nor a guess that is not forgiven.
    #[must_use]
    pub fn is_spent(&self, guess: &Guess) -> bool {
        let Guess { time, limits } = guess;
        let is_cool = self.failed == 0 || later(self.last, limits.cooldown.as_secs()) <= *time;
        is_cool && self.total.at(*time, limits.by_name_forgiven).count == 0
    }

    /// Until when a guess like this one may not be made. `listener` is what was counted at your address, for a peer that it
    /// counts for.
    pub(crate) fn locked_until(&self, listener: Option<&GuessCount>, guess: &Guess) -> Option<UnixTime> {
        let Guess { time, limits } = guess;
        let cool = later(self.last, limits.cooldown.as_secs());
        let in_a_row = (self.failed >= limits.in_a_row && *time < cool).then_some(cool);
        let by_name = self.total.full_until(*time, limits.by_name, limits.by_name_forgiven);
        let by_listener =
            listener.and_then(|one| one.full_until(*time, limits.by_listener, limits.by_listener_forgiven));
        [in_a_row, by_name, by_listener].into_iter().flatten().max()
    }

    /// Counts a guess, or says until when it may not be made.
    pub(crate) fn begin(&mut self, listener: Option<&mut GuessCount>, guess: &Guess) -> Permit {
        if let Some(until) = self.locked_until(listener.as_deref(), guess) {
            return Permit::Locked { until };
        }
        let Guess { time, limits } = guess;
        (self.failed, self.last) = (self.failed.saturating_add(1), *time);
        self.total.add(*time, limits.by_name_forgiven);
        if let Some(listener) = listener {
            listener.add(*time, limits.by_listener_forgiven);
        }
        Permit::Granted
    }

    /// A guess that was counted was right.
    pub(crate) fn take_back(&mut self, listener: Option<&mut GuessCount>) {
        self.total.take_back();
        (self.failed, self.last) = (0, EPOCH);
        if let Some(listener) = listener {
            listener.take_back();
        }
    }
}

/// The time that stands for none.
const EPOCH: UnixTime = UnixTime::since_unix_epoch(Duration::ZERO);

fn later(time: UnixTime, seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(time.as_secs().saturating_add(seconds)))
}

#[cfg(test)]
mod tests;
