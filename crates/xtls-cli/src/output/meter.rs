//! How far a file is: a line that changes while a user watches, and events with `--json`.

use std::time::{Duration, Instant};

use super::{Moved, Output, Progress, Report};

/// How often an event is told.
const TICK: Duration = Duration::from_secs(1);

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    In,
    Out,
}

impl Direction {
    /// As events say it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// Tells how far something is.
pub(crate) struct Meter {
    output: Output,
    peer: String,
    direction: Direction,
    /// Whether there is a line at all.
    has_line: bool,
    line: Option<Progress>,
    /// When the next event is due, and what was told in the last one.
    next: Option<Instant>,
    last: Option<(Instant, u64)>,
}

impl Meter {
    /// Of what goes to this peer, or comes from it. Nothing is told before the first byte.
    pub(crate) fn new(output: Output, peer: &str, direction: Direction) -> Self {
        Self { output, peer: peer.to_owned(), direction, has_line: true, line: None, next: None, last: None }
    }

    /// The same where one line is for several: events alone.
    pub(crate) fn of_events(output: Output, peer: &str, direction: Direction) -> Self {
        Self { has_line: false, ..Self::new(output, peer, direction) }
    }

    /// When to call [`Meter::show`] at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.line.as_ref().map(Progress::deadline).or(self.next)
    }

    /// So many bytes of the files are there, and so many are left.
    pub(crate) fn show(&mut self, now: Instant, name: &str, done: u64, left: u64) {
        if self.output.json {
            return self.tell(now, name, done, left);
        }
        if !self.has_line {
            return;
        }
        let Self { output, line, direction, .. } = self;
        let line = match line {
            Some(line) => line,
            None => {
                let Some(started) = Progress::start_from(*output, now, moved(*direction, done, left)) else { return };
                line.insert(started)
            }
        };
        if now >= line.deadline() {
            line.show(now, moved(*direction, done, left));
        }
    }

    /// It is over, and the line goes.
    pub(crate) fn stop(&mut self) {
        (self.line, self.next, self.last) = (None, None, None);
    }

    fn tell(&mut self, now: Instant, name: &str, done: u64, left: u64) {
        let Some(next) = self.next else {
            (self.next, self.last) = (Some(now + TICK), Some((now, done)));
            return;
        };
        if now < next {
            return;
        }
        let rate = self.last.and_then(|(since, before)| {
            let millis = u64::try_from((now - since).as_millis()).ok()?;
            done.saturating_sub(before).saturating_mul(1000).checked_div(millis)
        });
        (self.next, self.last) = (Some(now + TICK), Some((now, done)));
        let bytes_per_second = rate.unwrap_or_default();
        // What cannot be said is lost: the end is told in any case.
        let _ = self.output.report(&Report::FileProgress {
            peer: &self.peer,
            name,
            direction: self.direction.as_str(),
            bytes: done,
            size: done.saturating_add(left),
            bytes_per_second,
            seconds: left.checked_div(bytes_per_second),
        });
    }
}

fn moved(direction: Direction, done: u64, left: u64) -> Moved {
    match direction {
        Direction::Out => Moved { sent: done, left: Some(left), ..Moved::default() },
        Direction::In => Moved { received: done, coming: Some(left), ..Moved::default() },
    }
}
