//! Waiting with an end.

use std::time::{Duration, Instant};

/// Longest wait for anything in these tests; far beyond what a loaded machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Tries until it works.
///
/// # Panics
///
/// When nothing came in [`PATIENCE`]; `what` names it.
#[allow(clippy::disallowed_methods, reason = "these tests run in real time")]
pub(crate) fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
