//! How far bytes have come: a line on standard error that changes, while a user watches.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Output;
use super::throttled::{Amount, Long};

/// How often the line changes.
const TICK: Duration = Duration::from_millis(500);
/// Over how many changes the rate is measured, beside the first: five seconds.
const TICKS: usize = 10;

/// The line, while there is one.
static LINE: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// How much has gone both ways.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moved {
    /// What has left, as far as that is known: acknowledged by servers in band, else given to the connection.
    pub(crate) sent: u64,
    /// What is left, if that is known.
    pub(crate) left: Option<u64>,
    pub(crate) received: u64,
}

/// A line with that, its rate, and how long the rest takes. It goes with this.
pub(crate) struct Progress {
    /// Standard output is a terminal too, most likely the same.
    shares_screen: bool,
    next: Instant,
    counts: Counts,
}

/// What had gone at times, the oldest first.
#[derive(Debug, Default)]
struct Counts(VecDeque<(Instant, Moved)>);

impl Progress {
    /// A line, if a user watches standard error.
    pub(crate) fn start(output: Output, now: Instant) -> Option<Self> {
        let is_watched = !output.json && io::stderr().is_terminal();
        is_watched.then(|| {
            let mut counts = Counts::default();
            counts.add(now, Moved::default());
            Self { shares_screen: io::stdout().is_terminal(), next: now + TICK, counts }
        })
    }

    /// Something comes to standard output; whether the line stands in its way.
    pub(crate) const fn is_in_the_way(&self) -> bool {
        self.shares_screen
    }

    /// When to call [`Progress::show`].
    pub(crate) const fn deadline(&self) -> Instant {
        self.next
    }

    /// Shows how far it is.
    pub(crate) fn show(&mut self, now: Instant, moved: Moved) {
        self.next = now + TICK;
        self.counts.add(now, moved);
        let Some(words) = self.counts.words() else { return };
        let mut line = line();
        let bar = line.get_or_insert_with(bar);
        bar.set_message(words);
        bar.tick();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        clear();
    }
}

/// Writes something to standard error, above the line.
pub(super) fn beside<R>(write: impl FnOnce() -> R) -> R {
    match &*line() {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

impl Counts {
    fn add(&mut self, now: Instant, moved: Moved) {
        self.0.push_back((now, moved));
        if self.0.len() > TICKS + 1 {
            self.0.pop_front();
        }
    }

    /// What there is to say; nothing before the first byte.
    fn words(&self) -> Option<String> {
        let ((began, before), (now, moved)) = (self.0.front()?, self.0.back()?);
        let millis = u64::try_from((*now - *began).as_millis()).ok().filter(|millis| *millis > 0)?;
        let rate = |before: u64, after: u64| after.saturating_sub(before).saturating_mul(1000) / millis;
        let mut parts = Vec::new();
        if moved.sent > 0 || moved.left.is_some_and(|left| left > 0) {
            let rate = rate(before.sent, moved.sent);
            let mut part = match moved.left {
                Some(left) => format!("{} of {} sent", Amount(moved.sent), Amount(moved.sent.saturating_add(left))),
                None => format!("{} sent", Amount(moved.sent)),
            };
            part.push_str(&format!(", {}/s", Amount(rate)));
            if let Some(seconds) = moved.left.and_then(|left| left.checked_div(rate)).filter(|_| moved.left != Some(0))
            {
                part.push_str(&format!(", {} left", Long(Duration::from_secs(seconds))));
            }
            parts.push(part);
        }
        if moved.received > 0 {
            let rate = rate(before.received, moved.received);
            parts.push(format!("{} received, {}/s", Amount(moved.received), Amount(rate)));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    match ProgressStyle::with_template("  {wide_msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn clear() {
    if let Some(bar) = line().take() {
        bar.finish_and_clear();
    }
}

fn line() -> MutexGuard<'static, Option<ProgressBar>> {
    LINE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "an arbitrary starting point")]
mod tests {
    use super::*;

    fn words(counts: &[(u64, u64, Option<u64>, u64)]) -> Option<String> {
        let (start, mut all) = (Instant::now(), Counts::default());
        for (millis, sent, left, received) in counts.iter().copied() {
            all.add(start + Duration::from_millis(millis), Moved { sent, left, received });
        }
        all.words()
    }

    #[test]
    fn the_line_says_what_has_gone_how_fast_and_how_long_the_rest_takes() {
        let start = (0, 0, None, 0);
        assert_eq!(words(&[start, (500, 0, None, 0)]), None);
        assert_eq!(
            words(&[start, (500, 1_000_000, Some(9_000_000), 0)]).unwrap(),
            "1.0 MB of 10 MB sent, 2.0 MB/s, 4 s left"
        );
        assert_eq!(words(&[start, (500, 3500, None, 0)]).unwrap(), "3.5 kB sent, 7.0 kB/s");
        assert_eq!(
            words(&[start, (1000, 20_000, Some(0), 40_000)]).unwrap(),
            "20 kB of 20 kB sent, 20 kB/s; 40 kB received, 40 kB/s"
        );
        assert_eq!(words(&[start, (1000, 0, Some(7), 0)]).unwrap(), "0 bytes of 7 bytes sent, 0 bytes/s");
        assert_eq!(words(&[start, (0, 7, None, 0)]), None, "no time has passed");
    }

    #[test]
    fn the_rate_is_that_of_the_last_five_seconds() {
        let counts: Vec<_> = (0..=40_u64).map(|tick| (tick * 500, tick.min(30) * 1000, None, 0)).collect();
        assert_eq!(words(&counts[..=30]).unwrap(), "30 kB sent, 2.0 kB/s");
        assert_eq!(words(&counts[..=35]).unwrap(), "30 kB sent, 1.0 kB/s");
        assert_eq!(words(&counts).unwrap(), "30 kB sent, 0 bytes/s");
    }
}
