//! How far bytes have come: a line on standard error that changes, while a user watches; above the line that is being typed, where
//! lines are edited.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Output;
use super::throttled::{Amount, Long};
use crate::terminal;

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
    /// What is still to come, if that is known.
    pub(crate) coming: Option<u64>,
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
        Self::start_from(output, now, Moved::default())
    }

    /// The same where so much had gone before.
    pub(crate) fn start_from(output: Output, now: Instant, before: Moved) -> Option<Self> {
        let is_watched = !output.json && io::stderr().is_terminal();
        is_watched.then(|| {
            let mut counts = Counts::default();
            counts.add(now, before);
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
        if let Some(words) = self.counts.words() {
            set(words);
        }
    }

    /// Shows how much of so many bytes is hashed.
    pub(crate) fn show_hashed(&mut self, now: Instant, hashed: u64, all: u64) {
        self.next = now + TICK;
        set(format!("looked at {} of {}", Amount(hashed), Amount(all)));
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
        let part = |before: u64, after: u64, left: Option<u64>, done: &str| {
            let rate = after.saturating_sub(before).saturating_mul(1000) / millis;
            let mut part = match left {
                Some(left) => format!("{} of {} {done}", Amount(after), Amount(after.saturating_add(left))),
                None => format!("{} {done}", Amount(after)),
            };
            part.push_str(&format!(", {}/s", Amount(rate)));
            if let Some(seconds) = left.filter(|left| *left > 0).and_then(|left| left.checked_div(rate)) {
                part.push_str(&format!(", {} left", Long(Duration::from_secs(seconds))));
            }
            part
        };
        let is_some = |bytes: u64, left: Option<u64>| bytes > 0 || left.is_some_and(|left| left > 0);
        let mut parts = Vec::new();
        if is_some(moved.sent, moved.left) {
            parts.push(part(before.sent, moved.sent, moved.left, "sent"));
        }
        if is_some(moved.received, moved.coming) {
            parts.push(part(before.received, moved.received, moved.coming, "received"));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

fn set(words: String) {
    if terminal::is_active() {
        return terminal::set_status(Some(format!("  {words}")));
    }
    let mut line = line();
    let bar = line.get_or_insert_with(bar);
    bar.set_message(words);
    bar.tick();
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    match ProgressStyle::with_template("  {wide_msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn clear() {
    terminal::set_status(None);
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
            all.add(start + Duration::from_millis(millis), Moved { sent, left, received, coming: None });
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
    fn what_goes_on_after_a_break_has_the_rate_of_what_comes_now() {
        let (start, mut all) = (Instant::now(), Counts::default());
        let moved = |received, coming| Moved { received, coming: Some(coming), ..Moved::default() };
        all.add(start, moved(50_000_000, 50_000_000));
        all.add(start + Duration::from_secs(1), moved(60_000_000, 40_000_000));
        assert_eq!(all.words().unwrap(), "60 MB of 100 MB received, 10 MB/s, 4 s left");
    }

    #[test]
    fn the_rate_is_that_of_the_last_five_seconds() {
        let counts: Vec<_> = (0..=40_u64).map(|tick| (tick * 500, tick.min(30) * 1000, None, 0)).collect();
        assert_eq!(words(&counts[..=30]).unwrap(), "30 kB sent, 2.0 kB/s");
        assert_eq!(words(&counts[..=35]).unwrap(), "30 kB sent, 1.0 kB/s");
        assert_eq!(words(&counts).unwrap(), "30 kB sent, 0 bytes/s");
    }
}
