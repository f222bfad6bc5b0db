//! Wall time for TLS, derived from the caller's clock.

use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::sync::Arc;

use rustls::{pki_types::UnixTime, time_provider::TimeProvider};
use xtls_stanza::Instant;

/// The caller's `now`, and the wall time that follows from it: anchored once, never read from the system.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    start_unix: Duration,
    now: Instant,
    wall: Arc<Wall>,
}

/// What rustls asks for the time.
#[derive(Debug)]
struct Wall(AtomicU64);

impl Clock {
    /// A clock that shows this time of day at `now`.
    #[must_use]
    pub fn new(now: Instant, time: UnixTime) -> Self {
        let unix_time = Duration::from_secs(time.as_secs());
        let wall = Arc::new(Wall(AtomicU64::new(unix_time.as_secs())));
        Self { start: now, start_unix: unix_time, now, wall }
    }

    /// Takes the caller's time. One that goes backwards counts as no time passed.
    pub fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        let unix = self.start_unix.saturating_add(self.now.saturating_duration_since(self.start));
        self.wall.0.store(unix.as_secs(), Ordering::Relaxed);
    }

    /// The caller's time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The time of day.
    #[must_use]
    pub fn unix_time(&self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(self.wall.0.load(Ordering::Relaxed)))
    }

    /// The moment that lies `wait` ahead. One that cannot be represented is as far ahead as a day from now.
    #[must_use]
    pub fn after(&self, wait: Duration) -> Instant {
        const FAR: Duration = Duration::from_secs(24 * 60 * 60);
        self.now.checked_add(wait).or_else(|| self.now.checked_add(FAR)).unwrap_or(self.now)
    }

    /// Wall time for TLS, which moves on with this clock.
    #[must_use]
    pub fn wall(&self) -> Arc<dyn TimeProvider> {
        Arc::<Wall>::clone(&self.wall)
    }
}

impl TimeProvider for Wall {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "an arbitrary starting point")]
    fn l04_time_never_goes_backwards() {
        let start = Instant::now();
        let mut clock = Clock::new(start, UnixTime::since_unix_epoch(Duration::from_secs(1000)));
        clock.advance(start + Duration::from_secs(5));
        clock.advance(start);
        assert_eq!(clock.now(), start + Duration::from_secs(5));
        let unix = clock.wall().current_time().map(|time| time.as_secs());
        assert_eq!(unix, Some(1005));
        assert!(clock.after(Duration::MAX) > clock.now());
    }
}
