//! The timers of one tunnel, and what happens when one runs out.

use core::time::Duration;

use xtls_channel::{CloseReason, Deadline, EndedBy, Fault, Instant, Timer};
use xtls_jingle::{Reason, ReasonCondition};

use super::{Phase, TunnelCore, transport::Transport};
use crate::shared::{Ahead, Shared};

/// One slot for each timer that a tunnel has.
#[derive(Debug, Default)]
pub(crate) struct Table {
    slots: [Option<Instant>; TIMERS.len()],
    /// A bit for each slot that is taken: few are, and they are asked for with every stanza.
    taken: u32,
    /// [`Timer::Question`] stands for a question to the user here, not for the peer's answer.
    asks_user: bool,
}

const TIMERS: [Timer; 18] = [
    Timer::Question,
    Timer::Handshake,
    Timer::Answer,
    Timer::Stall,
    Timer::Retry,
    Timer::LivenessIdle,
    Timer::Silence,
    Timer::Gone,
    Timer::Confirm,
    Timer::Close,
    Timer::End,
    Timer::Drain,
    Timer::Stream,
    Timer::Reuse,
    Timer::Certificates,
    Timer::Rest,
    Timer::Connection,
    Timer::Receipt,
];

impl TunnelCore {
    /// A timer has run out.
    pub(crate) fn handle_timer(&mut self, timer: Timer, shared: &mut Shared) {
        match timer {
            Timer::Question if self.phase == Phase::Password => {
                if let Some(channel) = &mut self.channel {
                    channel.password_not_answered();
                }
                self.choose_again(shared);
            }
            Timer::Question if self.is_judging() => self.fail(Fault::TrustRefused, shared),
            // XEP-0166 § 6.7: an offer that nobody decided on is declined.
            Timer::Question if self.is_ringing() => {
                self.end_session(Reason::new(ReasonCondition::Decline));
                self.end(EndedBy::Engine, CloseReason::from(Fault::timeout(timer)), shared);
            }
            Timer::Answer | Timer::Stream if self.phase >= Phase::Closing || self.is_secured() => {
                self.becomes_overdue(timer);
            }
            Timer::Question | Timer::Handshake | Timer::Answer | Timer::Stall | Timer::Stream | Timer::Rest => {
                self.fail(self.timeout(timer), shared);
            }
            Timer::Retry => {
                if let Some(transport) = &mut self.transport {
                    transport.carrier.resume();
                }
                self.give_receipt_again();
            }
            Timer::LivenessIdle => {
                if let Some(transport) = &mut self.transport {
                    transport.carrier.release_memory();
                }
                self.ask_for_life();
            }
            Timer::Certificates => self.certificates_timed_out(shared),
            Timer::Silence | Timer::Gone => self.fail(Fault::Gone, shared),
            Timer::Confirm => self.confirm_timed_out(shared),
            Timer::Close => self.close_timed_out(shared),
            Timer::Receipt => self.receipt_timed_out(),
            Timer::End => self.fail(Fault::timeout(Timer::End), shared),
            Timer::Drain => self.drain_timed_out(),
            Timer::Connection => self.connection_timed_out(shared),
            Timer::Reuse => self.begin_close(EndedBy::Engine, shared),
            // Those of links and of the engine.
            Timer::KeepAlive | Timer::Suspended | Timer::Turn | _ => {}
        }
    }

    /// What was waited for has not come in time.
    pub(super) fn timeout(&self, timer: Timer) -> Fault {
        let request = self.unanswered_request().filter(|_| timer == Timer::Answer);
        request.map_or_else(|| Fault::timeout(timer), Fault::unanswered)
    }

    /// Sets a timer, or sets it anew.
    pub(super) fn set(&mut self, timer: Timer, wait: Duration, shared: &Shared) {
        self.timers.set(timer, shared.after(wait));
    }

    /// What is not waited for any more has no timer.
    pub(super) fn settle_timers(&mut self, shared: &Shared) {
        if let Some(from) = self.farewell_from.filter(|_| self.ended.is_none()) {
            let delivers = self.transport.as_ref().is_some_and(Transport::delivers);
            if self.acked() < from && delivers {
                // What was written goes first, and has the time that data has.
                self.timers.clear(Timer::Close);
            } else if self.awaits_receipts() {
                // The peer's part is done, but for what its application does, or ours.
                self.timers.clear(Timer::Close);
                self.timers.set_if_unset(Timer::Receipt, shared.after(shared.config.timers.receipt));
            } else {
                self.timers.clear(Timer::Receipt);
                self.timers.set_if_unset(Timer::Close, shared.after(shared.config.timers.close));
            }
        }
        self.settle_header_timer(shared);
        if !self.waits_for_answer() {
            self.timers.clear(Timer::Answer);
        }
        let in_flight = self.transport.as_ref().map_or(0, |transport| transport.carrier.in_flight());
        if in_flight == 0 || self.ended.is_some() {
            self.timers.clear(Timer::Stall);
        }
        let is_suspended = self.transport.as_ref().is_some_and(|transport| transport.carrier.is_suspended());
        if !is_suspended && !self.is_receipt_returned() {
            self.timers.clear(Timer::Retry);
        }
    }

    /// Whether it ends by itself, or can be used and is the user's to end. What a peer keeps alive by answering does not count.
    pub(super) fn has_end_in_sight(&self) -> bool {
        let ends = |timer| {
            matches!(
                timer,
                Timer::Question
                    | Timer::Answer
                    | Timer::Handshake
                    | Timer::Connection
                    | Timer::Stream
                    | Timer::Confirm
                    | Timer::Stall
                    | Timer::Retry
                    | Timer::Close
                    | Timer::Receipt
                    | Timer::End
            )
        };
        let is_left = self.ended.as_ref().is_some_and(|ended| !ended.is_left());
        self.is_secured() || is_left || self.timers.all().any(|(timer, _)| ends(timer))
    }

    pub(super) fn after_sending(&mut self, shared: &Shared) {
        if self.ended.is_some() {
            return;
        }
        let timers = &shared.config.timers;
        if self.waits_for_answer() {
            self.timers.set_if_unset(Timer::Answer, shared.after(timers.answer));
        }
        if self.transport.as_ref().is_some_and(|transport| transport.carrier.in_flight() > 0) {
            self.timers.set_if_unset(Timer::Stall, shared.after(timers.stall));
        }
    }
}

impl Table {
    pub(crate) fn set(&mut self, timer: Timer, ahead: Ahead) {
        if timer == Timer::Question {
            self.asks_user = false;
        }
        let at = if self.runs_on(timer) { ahead.real } else { ahead.protocol };
        self.put(timer, Some(at));
    }

    pub(crate) fn set_if_unset(&mut self, timer: Timer, ahead: Ahead) {
        if !self.is_set(timer) {
            self.set(timer, ahead);
        }
    }

    /// Sets [`Timer::Question`] for a question to the user here, who is there whatever becomes of the outer stream.
    pub(crate) fn ask_user(&mut self, ahead: Ahead) {
        self.asks_user = true;
        self.put(Timer::Question, Some(ahead.real));
    }

    pub(crate) fn clear(&mut self, timer: Timer) {
        self.put(timer, None);
    }

    pub(crate) fn clear_all(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        slot(timer).is_some_and(|slot| self.taken & 1 << slot != 0)
    }

    /// The earliest; while the outer stream is away, of those that run on.
    pub(crate) fn next(&self, suspended: bool) -> Option<Deadline> {
        // It runs whenever anything happens to a tunnel, so only slots that are taken are looked at.
        let running = self.all().filter(|(timer, _)| !suspended || self.runs_on(*timer));
        running
            .reduce(|first, other| if other.1 < first.1 { other } else { first })
            .map(|(timer, at)| Deadline::new(at, timer))
    }

    /// Takes one that has run out, if any: each fires once.
    pub(crate) fn expired(&mut self, now: Instant, suspended: bool) -> Option<Timer> {
        let due = self.next(suspended).filter(|deadline| deadline.at <= now)?;
        self.clear(due.timer);
        Some(due.timer)
    }

    /// The outer stream is back: what stood still goes on, and whatever would end something leaves time for what waited at
    /// the server.
    pub(crate) fn resume(&mut self, away: Duration, earliest: Instant) {
        let asks_user = self.asks_user;
        for (timer, slot) in TIMERS.iter().zip(&mut self.slots) {
            if let Some(at) = slot.as_mut().filter(|_| !runs_on(*timer, asks_user)) {
                *at = at.checked_add(away).unwrap_or(*at);
                if *timer != Timer::Retry {
                    *at = earliest.max(*at);
                }
            }
        }
    }

    fn runs_on(&self, timer: Timer) -> bool {
        runs_on(timer, self.asks_user)
    }

    fn all(&self) -> impl Iterator<Item = (Timer, Instant)> {
        let mut rest = self.taken;
        core::iter::from_fn(move || {
            let slot = usize::try_from(rest.trailing_zeros()).ok()?;
            rest &= rest.wrapping_sub(1);
            Some((*TIMERS.get(slot)?, (*self.slots.get(slot)?)?))
        })
    }

    fn put(&mut self, timer: Timer, at: Option<Instant>) {
        let Some((slot, place)) = slot(timer).and_then(|slot| Some((slot, self.slots.get_mut(slot)?))) else { return };
        *place = at;
        self.taken = self.taken & !(1 << slot) | u32::from(at.is_some()) << slot;
    }
}

/// The place of a timer in [`TIMERS`].
fn slot(timer: Timer) -> Option<usize> {
    TIMERS.iter().position(|one| *one == timer)
}

/// Whether it goes by the caller's clock while the outer stream is away: nobody else's part is waited for.
fn runs_on(timer: Timer, asks_user: bool) -> bool {
    matches!(timer, Timer::Close | Timer::End | Timer::Drain) || timer == Timer::Question && asks_user
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "an arbitrary starting point")]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(moment: Instant) -> Ahead {
        Ahead { real: moment, protocol: moment }
    }

    #[test]
    fn the_earliest_fires_first_and_once() {
        let start = Instant::now();
        let mut table = Table::default();
        assert_eq!(table.next(false), None);
        table.set(Timer::Stall, at(start + 2 * SECOND));
        table.set(Timer::Close, at(start + SECOND));
        table.set_if_unset(Timer::Close, at(start));
        assert_eq!(table.next(false), Some(Deadline::new(start + SECOND, Timer::Close)));
        assert_eq!(table.expired(start, false), None);
        let later = start + 3 * SECOND;
        assert_eq!(table.expired(later, false), Some(Timer::Close));
        assert_eq!(table.expired(later, false), Some(Timer::Stall));
        assert_eq!(table.expired(later, false), None);
    }

    #[test]
    fn what_depends_on_the_outer_stream_stands_still_while_that_is_away() {
        let start = Instant::now();
        let runs_on = |timer| matches!(timer, Timer::Close | Timer::End | Timer::Drain);
        for timer in TIMERS {
            let mut table = Table::default();
            table.set(timer, at(start + SECOND));
            assert_eq!(table.next(true).is_some(), runs_on(timer), "{timer:?}");
            // What is set meanwhile goes by the clock that it will be held to.
            table.set(timer, Ahead { real: start + 9 * SECOND, protocol: start + 2 * SECOND });
            table.resume(100 * SECOND, start + 130 * SECOND);
            let expected = match timer == Timer::Retry {
                _ if runs_on(timer) => 9,
                true => 102,
                false => 130,
            };
            assert_eq!(table.next(false), Some(Deadline::new(start + expected * SECOND, timer)), "{timer:?}");
        }
    }

    #[test]
    fn a_question_to_the_user_runs_on_and_the_same_clock_for_the_peer_does_not() {
        let start = Instant::now();
        let mut table = Table::default();
        let ahead = Ahead { real: start + 9 * SECOND, protocol: start + 2 * SECOND };
        table.ask_user(ahead);
        assert_eq!(table.next(true), Some(Deadline::new(ahead.real, Timer::Question)));
        table.resume(100 * SECOND, start);
        assert_eq!(table.next(false).map(|deadline| deadline.at), Some(ahead.real));
        table.set(Timer::Question, ahead);
        assert_eq!(table.next(true), None);
        table.resume(100 * SECOND, start);
        assert_eq!(table.next(false).map(|deadline| deadline.at), Some(start + 102 * SECOND));
    }
}
