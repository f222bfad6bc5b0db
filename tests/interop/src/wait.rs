//! Waiting with an end, and ports.

use std::net::TcpListener;
use std::time::{Duration, Instant};

/// Longest wait for anything in these tests; far beyond what a loaded machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Tries until it works.
///
/// # Panics
///
/// When nothing came in a minute; `what` names it.
#[allow(clippy::disallowed_methods, reason = "these tests run in real time")]
pub fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}
