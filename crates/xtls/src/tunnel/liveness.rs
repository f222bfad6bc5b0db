//! Whether the peer is there.
//!
//! Silence proves nothing: a server may hold the stanzas of a peer that is away and will be back (XEP-0198), and once it is,
//! everything comes in order. So a peer that is silent is asked, and the tunnel ends when the question comes back as an error,
//! when the peer goes offline and does not answer, or after the time that unacknowledged data has. What a secured peer does not
//! do in time counts against it only once it has answered a later question without having done it.

use xtls_channel::Timer;
use xtls_jingle::Session;

use super::{Phase, TunnelCore};
use crate::shared::Shared;

/// What a secured peer has not done in time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Overdue {
    timer: Timer,
    /// A question for a sign of life went out after it was due.
    asked: bool,
}

impl TunnelCore {
    /// A stanza came from the peer: it is alive, and may have forgotten this session.
    pub(crate) fn heard(&mut self, shared: &Shared) {
        self.timers.clear(Timer::Gone);
        self.expect_life(shared);
    }

    /// A stanza came that belongs to this session: the peer has not forgotten it.
    pub(crate) fn heard_of_session(&mut self, shared: &Shared) {
        self.heard(shared);
        self.not_silent(shared);
    }

    /// The peer went offline, says its server (XEP-0166 § 6.7). It is asked at once, since that may be one presence of
    /// several.
    pub(crate) fn unavailable(&mut self, shared: &Shared) {
        if self.ended.is_none() {
            self.timers.set_if_unset(Timer::Gone, shared.after(shared.config.timers.gone));
            self.ask_for_life();
        }
    }

    /// Once both have agreed, the peer is to be heard of now and then.
    pub(super) fn expect_life(&mut self, shared: &Shared) {
        if (Phase::Running..Phase::Ended).contains(&self.phase) {
            self.ask_later(shared);
            // A question has to be answered: what else the peer says shows nothing of a session that it may have forgotten.
            if !self.negotiation.session.as_ref().is_some_and(Session::is_pinging) {
                self.not_silent(shared);
            }
        }
    }

    fn not_silent(&mut self, shared: &Shared) {
        if (Phase::Running..Phase::Ended).contains(&self.phase) {
            self.set(Timer::Silence, shared.config.timers.stall, shared);
        }
    }

    /// The peer is asked for a sign of life if it gives none by itself.
    pub(super) fn ask_later(&mut self, shared: &Shared) {
        self.set(Timer::LivenessIdle, shared.config.timers.liveness_idle, shared);
    }

    /// Asks for a sign of life (XEP-0166 § 6.8), unless an earlier question has no answer yet: that one does as well.
    pub(super) fn ask_for_life(&mut self) -> bool {
        self.negotiation.session.as_mut().is_some_and(|session| session.ping().is_ok())
    }

    /// The peer answered a question for a sign of life. Stanzas keep their order, so it had everything before that and has
    /// not done what is overdue.
    pub(super) fn life_shown(&mut self, shared: &mut Shared) {
        self.expect_life(shared);
        self.answered_behind_block(shared);
        let Some(Overdue { timer, asked }) = self.overdue.take() else { return };
        let waits = if timer == Timer::Stream { self.awaits_header() } else { self.waits_for_answer() };
        match asked {
            _ if !waits => {}
            true => self.fail(self.timeout(timer), shared),
            // The question was older than what is overdue.
            false => self.becomes_overdue(timer),
        }
    }

    /// A secured peer has not done something in time.
    pub(super) fn becomes_overdue(&mut self, timer: Timer) {
        if !self.is_overdue(timer) {
            self.overdue = Some(Overdue { timer, asked: self.ask_for_life() });
        }
    }

    pub(super) fn is_overdue(&self, timer: Timer) -> bool {
        self.overdue.is_some_and(|overdue| overdue.timer == timer)
    }
}
