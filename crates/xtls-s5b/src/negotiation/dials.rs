//! The candidates of the peer, and the connections to them.

use core::time::Duration;

use xtls_stanza::Instant;

use super::{Attempt, Negotiation};
use crate::{Candidate, CandidateType, DstAddr};

/// The candidates of the peer that may be dialled, the highest priority first.
#[derive(Debug)]
pub(super) struct Dials {
    dst_addr: DstAddr,
    began: Instant,
    /// When one was dialled last.
    last: Option<Instant>,
    list: Vec<Dial>,
    /// How many there ever were.
    total: usize,
}

#[derive(Debug)]
struct Dial {
    candidate: Candidate,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waits,
    Dialled(Attempt),
    Connected(Attempt),
    /// It has failed, or was given up.
    Over,
}

/// How dialling goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// This one is due.
    Dial(usize),
    /// This one has had its time.
    GiveUp(Attempt),
    /// Nothing is due yet.
    Waits,
    /// There is nothing left to dial, and nothing that could still connect.
    Exhausted,
}

impl Dials {
    /// XEP-0260 § 4: one after the other begins.
    const STAGGER: Duration = Duration::from_millis(200);
    /// § 4: proxies wait a bit longer.
    const PROXIES_WAIT: Duration = Duration::from_millis(500);

    pub(super) fn new(now: Instant, dst_addr: DstAddr) -> Self {
        Self { dst_addr, began: now, last: None, list: Vec::new(), total: 0 }
    }

    /// Dialling begins now. § 2.2: what the owner of a candidate has calculated is right, if addresses are written in several ways.
    pub(super) fn start(&mut self, now: Instant, dst_addr: Option<DstAddr>) {
        self.began = now;
        self.dst_addr = dst_addr.unwrap_or(self.dst_addr);
    }

    pub(super) fn add<'c>(&mut self, candidates: impl Iterator<Item = &'c Candidate>) {
        for candidate in candidates {
            let is_new = self.list.iter().all(|dial| dial.candidate.cid != candidate.cid);
            if is_new && self.total < Candidate::MAX {
                self.total += 1;
                let at = self.list.partition_point(|dial| dial.candidate.priority >= candidate.priority);
                self.list.insert(at, Dial { candidate: candidate.clone(), state: State::Waits });
            }
        }
    }

    /// What is to be done now.
    pub(super) fn next(&mut self, now: Instant) -> Progress {
        if now >= self.began + Negotiation::DIAL_TIME {
            let open = self.list.iter_mut().find(|dial| !matches!(dial.state, State::Over));
            return match open.map(|dial| core::mem::replace(&mut dial.state, State::Over)) {
                Some(State::Dialled(attempt) | State::Connected(attempt)) => Progress::GiveUp(attempt),
                Some(State::Waits | State::Over) => self.next(now),
                None => Progress::Exhausted,
            };
        }
        match self.waiting() {
            Some(index) if self.due(index) <= now => Progress::Dial(index),
            Some(_) => Progress::Waits,
            None if self.list.iter().any(|dial| matches!(dial.state, State::Dialled(_))) => Progress::Waits,
            None => Progress::Exhausted,
        }
    }

    /// Dials the one that is due.
    pub(super) fn begin(&mut self, now: Instant, index: usize, attempt: Attempt) -> (&Candidate, DstAddr) {
        self.last = Some(now);
        let dial = &mut self.list[index];
        dial.state = State::Dialled(attempt);
        (&dial.candidate, self.dst_addr)
    }

    /// When something is to be done, if nothing comes of what was dialled.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let end = self.began + Negotiation::DIAL_TIME;
        Some(self.waiting().map_or(end, |index| self.due(index).min(end)))
    }

    /// A connection is made: by which candidate. `None` if it was given up.
    pub(super) fn connected(&mut self, attempt: Attempt) -> Option<Candidate> {
        let dial = self.list.iter_mut().find(|dial| dial.state == State::Dialled(attempt))?;
        dial.state = State::Connected(attempt);
        Some(dial.candidate.clone())
    }

    /// A connection was not made. The next one need not wait then.
    pub(super) fn failed(&mut self, now: Instant, attempt: Attempt) {
        let is = |dial: &&mut Dial| matches!(dial.state, State::Dialled(of) | State::Connected(of) if of == attempt);
        if let Some(dial) = self.list.iter_mut().find(is) {
            dial.state = State::Over;
            let nothing_runs = !self.list.iter().any(|dial| matches!(dial.state, State::Dialled(_)));
            if nothing_runs && let Some(waiting) = self.waiting() {
                // Dialled at once, as if it had waited.
                self.last = now.checked_sub(self.wait(waiting)).or(self.last);
            }
        }
    }

    /// The connection that was made, if it stands.
    pub(super) fn used(&self) -> Option<(Attempt, &Candidate)> {
        self.list.iter().find_map(|dial| match dial.state {
            State::Connected(attempt) => Some((attempt, &dial.candidate)),
            State::Waits | State::Dialled(_) | State::Over => None,
        })
    }

    /// Drops those with less than this priority. Gives what was begun of them.
    pub(super) fn drop_below(&mut self, priority: u32) -> Vec<Attempt> {
        self.give_up_if(|dial| dial.candidate.priority < priority)
    }

    /// Drops all but this one. Gives what was begun of them.
    pub(super) fn give_up(&mut self, but: Option<Attempt>) -> Vec<Attempt> {
        self.give_up_if(|dial| but.is_none() || dial.state != State::Connected(but.unwrap_or(Attempt(0))))
    }

    fn give_up_if(&mut self, is_dropped: impl Fn(&Dial) -> bool) -> Vec<Attempt> {
        let dropped = self.list.iter_mut().filter(|dial| is_dropped(dial));
        let states = dropped.map(|dial| core::mem::replace(&mut dial.state, State::Over));
        let begun = states.filter_map(|state| match state {
            State::Dialled(attempt) | State::Connected(attempt) => Some(attempt),
            State::Waits | State::Over => None,
        });
        begun.collect()
    }

    fn waiting(&self) -> Option<usize> {
        self.list.iter().position(|dial| dial.state == State::Waits)
    }

    /// When the one at this index is dialled.
    fn due(&self, index: usize) -> Instant {
        self.last.map_or(self.began, |last| last + self.wait(index))
    }

    /// How long it waits after the one before it.
    fn wait(&self, index: usize) -> Duration {
        let is_proxy = |dial: &Dial| dial.candidate.kind == CandidateType::Proxy;
        let waits_longer = is_proxy(&self.list[index]) && !self.list[..index].iter().all(is_proxy);
        if waits_longer { Self::PROXIES_WAIT } else { Self::STAGGER }
    }
}
