use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// Wall time that stands still until it is set.
#[derive(Debug)]
pub struct VirtualTime(AtomicU64);

impl VirtualTime {
    /// A clock that shows `unix_seconds`, seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn new(unix_seconds: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(unix_seconds)))
    }

    /// Sets the clock, forwards or backwards.
    pub fn set(&self, unix_seconds: u64) {
        self.0.store(unix_seconds, Ordering::Relaxed);
    }

    /// What the clock shows.
    #[must_use]
    pub fn unix_seconds(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl TimeProvider for VirtualTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.unix_seconds())))
    }
}
