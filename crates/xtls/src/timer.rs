//! The timers of one tunnel.

use core::fmt;
use std::time::Instant;

/// What a tunnel may be waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Timer {
    /// The peer's acceptance, or a person's answer to a question.
    Ring,
    /// The end of the TLS handshake.
    Handshake,
    /// The answer to an IQ that is not data.
    Answer,
    /// An acknowledgement of data.
    Stall,
    /// The way to the peer to be free again, after data came back.
    Retry,
    /// Any sign of life, after which the peer is asked for one.
    LivenessIdle,
    /// The answer to that question.
    LivenessAnswer,
    /// A sign that an unavailable presence was a mistake.
    Gone,
    /// The responder's first authenticated byte.
    Confirm,
    /// The peer's part in an orderly end.
    Close,
    /// The application's reading of what came before the end.
    Drain,
    /// The peer's stream header.
    Stream,
    /// Another stream, after one was closed.
    Reuse,
    /// The peer's certificates, which it was asked for inside of the tunnel.
    Certificates,
}

/// The next deadline and what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadline {
    /// When [`Engine::handle_timeout`](crate::Engine::handle_timeout) is to be called.
    pub at: Instant,
    /// Why.
    pub timer: Timer,
}

/// One slot for each timer.
#[derive(Debug, Default)]
pub(crate) struct Table([Option<Instant>; Timer::ALL.len()]);

impl Timer {
    const ALL: [Self; 14] = [
        Self::Ring,
        Self::Handshake,
        Self::Answer,
        Self::Stall,
        Self::Retry,
        Self::LivenessIdle,
        Self::LivenessAnswer,
        Self::Gone,
        Self::Confirm,
        Self::Close,
        Self::Drain,
        Self::Stream,
        Self::Reuse,
        Self::Certificates,
    ];

    fn slot(self) -> usize {
        Self::ALL.iter().position(|timer| *timer == self).unwrap_or_default()
    }
}

impl Table {
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer.slot()] = Some(at);
    }

    pub(crate) fn set_if_unset(&mut self, timer: Timer, at: Instant) {
        self.0[timer.slot()].get_or_insert(at);
    }

    pub(crate) fn clear(&mut self, timer: Timer) {
        self.0[timer.slot()] = None;
    }

    pub(crate) fn clear_all(&mut self) {
        self.0 = Default::default();
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.0[timer.slot()].is_some()
    }

    /// The earliest.
    pub(crate) fn next(&self) -> Option<Deadline> {
        let set = Timer::ALL.iter().zip(&self.0).filter_map(|(timer, at)| at.map(|at| Deadline { at, timer: *timer }));
        set.min_by_key(|deadline| deadline.at)
    }

    /// Takes one that has run out, if any: each fires once.
    pub(crate) fn expired(&mut self, now: Instant) -> Option<Timer> {
        let due = self.next().filter(|deadline| deadline.at <= now)?;
        self.clear(due.timer);
        Some(due.timer)
    }
}

impl fmt::Display for Timer {
    /// What was waited for, as in "no … in time".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ring => "decision on the offer",
            Self::Handshake => "end of the TLS handshake",
            Self::Answer => "answer",
            Self::Stall | Self::Retry => "acknowledgement of data",
            Self::LivenessIdle | Self::LivenessAnswer | Self::Gone => "sign of life",
            Self::Confirm => "confirmation",
            Self::Close => "answer to the end",
            Self::Drain => "reading of what came",
            Self::Stream => "stream header",
            Self::Reuse => "new stream",
            Self::Certificates => "certificates",
        })
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "an arbitrary starting point")]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn the_earliest_fires_first_and_once() {
        let start = Instant::now();
        let mut table = Table::default();
        assert_eq!(table.next(), None);
        table.set(Timer::Stall, start + Duration::from_secs(2));
        table.set(Timer::Close, start + Duration::from_secs(1));
        table.set_if_unset(Timer::Close, start);
        assert_eq!(table.next(), Some(Deadline { at: start + Duration::from_secs(1), timer: Timer::Close }));
        assert_eq!(table.expired(start), None);
        let later = start + Duration::from_secs(3);
        assert_eq!(table.expired(later), Some(Timer::Close));
        assert_eq!(table.expired(later), Some(Timer::Stall));
        assert_eq!(table.expired(later), None);
    }
}
