//! The ways a tunnel ends.
//!
//! In order, from the inside out: `</stream:stream>` both ways, TLS close_notify, IBB `<close/>` when everything is
//! acknowledged, session-terminate (draft-meyer-xmpp-e2e-encryption-02 § 4, XEP-0261 § 2.5, XEP-0166 § 6.7). The peer may
//! leave out any of the first ones. After a fault only what tells the peer why still goes out, and the session-terminate.

use xtls_ibb::{Bytestream, BytestreamState};
use xtls_jingle::{Reason, ReasonCondition, SessionState};
use xtls_tls::TlsSession;

use super::{Inside, Phase, Tunnel};
use crate::{
    event::{CloseReason, EndedBy},
    fault::Fault,
    shared::Shared,
    timer::Timer,
};

/// How a tunnel ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) by: EndedBy,
    pub(super) reason: CloseReason,
    pub(super) truncated: bool,
    pub(super) unacked: u64,
    /// The embedder knows.
    pub(super) told: bool,
    /// A farewell is to be sent or to be acknowledged.
    pub(super) lingers: bool,
}

impl Tunnel {
    /// Ends the tunnel in order.
    pub(crate) fn close(&mut self, shared: &mut Shared) {
        match self.phase {
            Phase::Closing | Phase::Ended => {}
            Phase::Secured => self.begin_close(EndedBy::Local, shared),
            Phase::Asking
            | Phase::Offered
            | Phase::Password
            | Phase::Accepted
            | Phase::Handshake
            | Phase::Judging
            | Phase::Confirming => self.abort(Reason::new(ReasonCondition::Cancel), shared),
        }
    }

    /// Ends the tunnel at once.
    pub(crate) fn abort(&mut self, reason: Reason, shared: &Shared) {
        if self.ended.is_some() {
            return;
        }
        if let Some(bytestream) = &mut self.bytestream {
            // What was queued counts as not acknowledged.
            bytestream.end();
        }
        self.end_session(reason.clone());
        self.end(EndedBy::Local, CloseReason::Terminated(reason), shared);
    }

    /// Ends the tunnel because of a fault.
    pub(super) fn fail(&mut self, fault: Fault, shared: &Shared) {
        if self.ended.is_some() {
            return;
        }
        let row = fault.row();
        if self.verified.is_none() && self.tls.as_ref().is_some_and(TlsSession::handshake_complete) {
            // The end of the handshake waits to be sent, and would say that the peer was accepted.
            self.held.clear();
        }
        if row.farewell {
            self.release_held();
        } else if let Some(bytestream) = &mut self.bytestream {
            bytestream.end();
        }
        if let Some(condition) = row.reason {
            self.end_session(Reason::new(condition));
        } else {
            self.drop_session();
        }
        self.end(EndedBy::Engine, CloseReason::Fault(Box::new(fault)), shared);
    }

    /// The outer connection is gone: nobody can be told anything.
    pub(crate) fn handle_disconnect(&mut self, shared: &mut Shared) {
        self.fail(Fault::Disconnected, shared);
        self.session = None;
        if let Some(bytestream) = &mut self.bytestream {
            bytestream.abort();
        }
        self.farewell_taken();
    }

    /// A timer has run out.
    pub(crate) fn handle_timer(&mut self, timer: Timer, shared: &mut Shared) {
        match timer {
            Timer::Ring if self.phase == Phase::Password => {
                // Nobody has one, then.
                let _ = self.provide_password(None, shared);
            }
            Timer::Ring if self.phase == Phase::Judging => self.fail(Fault::TrustRefused, shared),
            // XEP-0166 § 6.7: an offer that nobody decided on is declined.
            Timer::Ring if self.is_ringing() => {
                self.end_session(Reason::new(ReasonCondition::Decline));
                let fault = Fault::Timeout(timer);
                self.end(EndedBy::Engine, CloseReason::Fault(Box::new(fault)), shared);
            }
            // A ping that is not answered means that nobody is there.
            Timer::Answer if self.timers.is_set(Timer::LivenessAnswer) => self.fail(Fault::Gone, shared),
            Timer::Ring | Timer::Handshake | Timer::Answer | Timer::Stall | Timer::Stream => {
                self.fail(Fault::Timeout(timer), shared);
            }
            Timer::Retry => {
                if let Some(bytestream) = &mut self.bytestream {
                    bytestream.resume();
                }
            }
            Timer::LivenessIdle => {
                if let Some(session) = &mut self.session {
                    // One that was sent before and has no answer yet does as well.
                    let _ = session.ping();
                }
                self.timers.set(Timer::LivenessAnswer, shared.after(shared.config.timers.liveness_answer));
            }
            Timer::Certificates => self.certificates_timed_out(shared),
            Timer::LivenessAnswer | Timer::Gone => self.fail(Fault::Gone, shared),
            Timer::Confirm => self.confirm_timed_out(shared),
            Timer::Close => self.close_timed_out(shared),
            Timer::Drain => self.discard_unread(),
            Timer::Reuse => self.begin_close(EndedBy::Engine, shared),
        }
    }

    /// Begins an end in order, unless one has begun; [`advance_end`](Self::advance_end) does the rest.
    pub(super) fn begin_close(&mut self, by: EndedBy, shared: &Shared) {
        if self.phase >= Phase::Closing {
            return;
        }
        self.phase = Phase::Closing;
        self.closing_by = by;
        self.farewell_from = Some(self.sealed.plaintext());
        self.timers.clear(Timer::Reuse);
        self.timers.set(Timer::Close, shared.after(shared.config.timers.close));
    }

    /// Goes on with an end in order, as far as the peer lets it.
    pub(super) fn advance_end(&mut self, shared: &Shared) {
        if self.phase != Phase::Closing || self.ended.is_some() {
            return;
        }
        let peer_closed = self.tls.as_ref().is_some_and(TlsSession::peer_closed);
        if let Inside::Stream(stream) = &mut self.inside {
            let mut farewell = Vec::new();
            // One that was closed before only waits for its peer.
            let _ = stream.close(&mut farewell);
            let waits = !stream.is_idle() && !peer_closed;
            self.seal(&farewell);
            if waits {
                return;
            }
        }
        self.seal_end();
        if self.closing_by == EndedBy::Remote {
            // Whoever begins the end is the one to end the outer layers.
            return;
        }
        let Some(bytestream) = &mut self.bytestream else { return };
        bytestream.close();
        if bytestream.state() == BytestreamState::Closed {
            self.end_session(Reason::new(ReasonCondition::Success));
            self.end(self.closing_by, CloseReason::Done, shared);
        }
    }

    /// The tunnel has ended. This is the one way there.
    pub(super) fn end(&mut self, by: EndedBy, reason: CloseReason, shared: &Shared) {
        if self.ended.is_some() {
            return;
        }
        let truncated = self.is_truncated(by);
        // Whoever began an end in order has ended the tunnel, whoever says the last word.
        let in_order = self.phase == Phase::Closing && matches!(reason, CloseReason::Done);
        let by = if in_order { self.closing_by } else { by };
        let lingers = self
            .session
            .as_ref()
            .is_some_and(|session| session.state() == SessionState::Ended && !session.is_finished());
        self.ended = Some(Ended { by, truncated, reason, unacked: self.unacked(), told: false, lingers });
        self.phase = Phase::Ended;
        self.timers.clear_all();
        self.early = Vec::new();
        if lingers {
            self.timers.set(Timer::Close, shared.after(shared.config.timers.close));
        }
        if self.unread() > 0 {
            self.timers.set(Timer::Drain, shared.after(shared.config.timers.drain));
        }
    }

    /// Ends the session on the wire, if the peer knows of it.
    pub(super) fn end_session(&mut self, reason: Reason) {
        if let Some(session) = &mut self.session {
            session.terminate(reason);
        }
    }

    /// Forgets the session: the peer does not know of it, or cannot be told.
    pub(super) fn drop_session(&mut self) {
        if let Some(session) = self.session.take() {
            self.late.extend(session.unanswered());
        }
    }

    /// Nothing more is to be sent or waited for.
    pub(super) fn farewell_taken(&mut self) {
        self.timers.clear(Timer::Close);
        if let Some(ended) = &mut self.ended {
            ended.lingers = false;
        }
    }

    /// Once the session-terminate is out, nothing else follows it.
    pub(super) fn after_farewell(&mut self) {
        let terminated = self.session.as_ref().is_some_and(|s| s.state() == SessionState::Ended && !s.wants_to_send());
        if terminated && let Some(bytestream) = &mut self.bytestream {
            bytestream.end();
        }
    }

    /// Whether the peer's data broke off without an authenticated end.
    fn is_truncated(&self, by: EndedBy) -> bool {
        let complete = self.tls.as_ref().is_some_and(TlsSession::peer_closed) || self.is_idle_stream();
        self.security.is_some() && by != EndedBy::Local && !complete
    }

    fn confirm_timed_out(&mut self, shared: &mut Shared) {
        if self.phase == Phase::Confirming {
            self.secured(false, shared);
            self.deliver(shared);
        }
    }

    /// The peer did not do its part of the end, or has not acknowledged ours.
    fn close_timed_out(&mut self, shared: &Shared) {
        if self.ended.is_some() {
            if let Some(bytestream) = &mut self.bytestream {
                bytestream.end();
            }
            self.drop_session();
            return self.farewell_taken();
        }
        // A peer that has ended the bytestream wants nothing more of ours.
        let is_over =
            |bytestream: &Bytestream| bytestream.unacked() == 0 || bytestream.state() == BytestreamState::Closed;
        let all_acked = self.bytestream.as_ref().is_none_or(is_over);
        let by = self.closing_by;
        let peer_closed = self.tls.as_ref().is_some_and(TlsSession::peer_closed);
        if all_acked && (peer_closed || self.is_idle_stream()) {
            self.end_session(Reason::new(ReasonCondition::Success));
            self.end(by, CloseReason::Done, shared);
        } else {
            self.fail(Fault::Timeout(Timer::Close), shared);
        }
    }
}
