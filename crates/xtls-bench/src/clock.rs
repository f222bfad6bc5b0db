//! The only place that reads the clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use xtls::tls::UnixTime;

/// The monotonic clock.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The time of day, for the validity of certificates.
#[allow(clippy::disallowed_methods, reason = "certificates are made for today")]
pub(crate) fn unix() -> UnixTime {
    UnixTime::since_unix_epoch(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// How many seconds the work takes.
pub(crate) fn seconds(work: impl FnOnce()) -> f64 {
    let start = now();
    work();
    since(start)
}

/// The seconds since then.
pub(crate) fn since(start: Instant) -> f64 {
    now().duration_since(start).as_secs_f64()
}
