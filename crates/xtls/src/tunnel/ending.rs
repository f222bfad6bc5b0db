//! The ways a tunnel ends.
//!
//! In order, from the inside out: `</stream:stream>` both ways, TLS close_notify, receipts, IBB `<close/>` when everything is
//! acknowledged, session-terminate (draft-meyer-xmpp-e2e-encryption-02 § 4, XEP-0261 § 2.5, XEP-0166 § 6.7). The peer may
//! leave out any of the first ones. After a fault only what tells the peer why still goes out, and the session-terminate.

use xtls_channel::{CloseReason, EndedBy, Fault, Timer, row};
use xtls_jingle::{Reason, ReasonCondition, Session, SessionState};

use super::{
    Phase, TunnelCore,
    transport::{Transport, nudges::Nudges},
};
use crate::{event::Receipt, shared::Shared};

/// How a tunnel ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) by: EndedBy,
    pub(super) reason: CloseReason,
    pub(super) truncated: bool,
    pub(super) unacked: u64,
    pub(super) receipt: Receipt,
    /// Nobody had decided on the offer.
    pub(super) undecided: bool,
    /// The embedder knows.
    pub(super) told: bool,
    /// A farewell is to be sent or to be acknowledged.
    pub(super) lingers: bool,
    /// The connection is not closed yet.
    pub(super) connected: bool,
}

impl Ended {
    /// Whether something of it is left to be seen to.
    pub(super) fn is_left(&self) -> bool {
        self.lingers || self.connected
    }
}

impl TunnelCore {
    /// Ends the tunnel in order.
    pub(crate) fn close(&mut self, shared: &mut Shared) {
        match self.phase {
            Phase::Closing | Phase::Ended => {}
            Phase::Running if self.is_secured() => self.begin_close(EndedBy::Local, shared),
            Phase::Ringing | Phase::Asking | Phase::Offered | Phase::Password | Phase::Running => {
                self.abort(Reason::new(ReasonCondition::Cancel), shared);
            }
        }
    }

    /// Ends the tunnel at once.
    pub(crate) fn abort(&mut self, reason: Reason, shared: &Shared) {
        if self.ended.is_some() {
            return;
        }
        if let Some(transport) = &mut self.transport {
            // What was queued counts as not acknowledged.
            transport.carrier.end();
        }
        self.end_session(reason.clone());
        self.end(EndedBy::Local, CloseReason::Terminated(reason), shared);
    }

    /// Ends the tunnel because of a fault.
    pub(super) fn fail(&mut self, fault: impl Into<Box<Fault>>, shared: &Shared) {
        let fault = fault.into();
        if self.ended.is_some() {
            return;
        }
        let row = row(&fault);
        if let Some(transport) = self.transport.as_mut().filter(|_| !row.farewell) {
            transport.carrier.end();
        }
        if let Some(condition) = row.reason {
            self.end_session(Reason::new(condition));
        } else {
            self.drop_session();
        }
        self.end(EndedBy::Engine, CloseReason::Fault(fault), shared);
    }

    /// The outer connection is gone: nobody can be told anything.
    pub(crate) fn handle_disconnect(&mut self, shared: &mut Shared) {
        self.fail(Fault::Disconnected, shared);
        self.negotiation.session = None;
        if let Some(transport) = &mut self.transport {
            transport.carrier.abort();
        }
        self.farewell_taken();
    }

    /// Begins an end in order, unless one has begun; [`advance_end`](Self::advance_end) does the rest.
    pub(super) fn begin_close(&mut self, by: EndedBy, shared: &Shared) {
        if self.phase >= Phase::Closing {
            return;
        }
        self.phase = Phase::Closing;
        self.closing_by = by;
        self.farewell_from = Some(self.written());
        self.timers.clear(Timer::Reuse);
        self.set(Timer::Close, shared.config.timers.close, shared);
        self.set(Timer::End, shared.config.timers.end, shared);
    }

    /// Goes on with an end in order, as far as the peer lets it.
    pub(super) fn advance_end(&mut self, shared: &Shared) {
        if self.phase != Phase::Closing || self.ended.is_some() {
            return;
        }
        if self.last_words.is_some() && self.peer_closed() && self.unseen() == 0 {
            return self.end_of_last_words(shared);
        }
        if self.end_stream() && !self.peer_closed() {
            return;
        }
        self.seal_end(shared);
        if self.closing_by == EndedBy::Remote {
            // Whoever begins the end is the one to end the outer layers.
            return;
        }
        if self.awaits_receipts() {
            return;
        }
        if self.transport.as_mut().is_some_and(|transport| transport.carrier.close()) {
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
        let is_leaving = |session: &Session| session.state() == SessionState::Ended && !session.is_finished();
        let lingers = self.negotiation.session.as_ref().is_some_and(is_leaving);
        let connected = self.transport.as_ref().is_some_and(|transport| transport.carrier.is_connection());
        let undecided = self.is_ringing();
        let (unacked, receipt) = (self.unacked(), self.receipt());
        self.ended =
            Some(Ended { by, truncated, reason, unacked, receipt, undecided, told: false, lingers, connected });
        self.phase = Phase::Ended;
        self.timers.clear_all();
        if let Some(channel) = self.channel.as_mut().filter(|channel| channel.security().is_none()) {
            // What is held back would say that the peer was accepted, and what came early is from nobody.
            channel.abandon();
            self.discard_unread();
        }
        let connection = self.transport.as_mut().and_then(|transport| transport.carrier.connection());
        if connection.is_some_and(|connection| connection.pushes_end()) {
            self.set(Timer::Connection, Nudges::FIRST, shared);
        }
        if lingers || connected {
            self.set(Timer::Close, shared.config.timers.close, shared);
        }
        if self.unread() > 0 {
            self.set(Timer::Drain, shared.config.timers.drain, shared);
        }
    }

    /// Ends the session on the wire, if the peer knows of it.
    pub(super) fn end_session(&mut self, reason: Reason) {
        if let Some(session) = &mut self.negotiation.session {
            session.terminate(reason);
        }
    }

    /// Forgets the session: the peer does not know of it, or cannot be told.
    pub(super) fn drop_session(&mut self) {
        self.negotiation.drop_session();
    }

    /// Nothing more is to be sent or waited for.
    pub(super) fn farewell_taken(&mut self) {
        if let Some(ended) = &mut self.ended {
            ended.lingers = false;
            if !ended.connected {
                self.timers.clear(Timer::Close);
            }
        }
    }

    /// The peer has ended the session. By a connection it may have said more than has come: the two ways do not keep an order.
    pub(super) fn hear_last_words(&mut self, reason: CloseReason, shared: &Shared) {
        self.last_words = Some(reason);
        self.begin_close(EndedBy::Remote, shared);
        self.expect_last_words(shared);
    }

    /// They have their time anew: that of the application, while it leaves no room for them.
    pub(super) fn expect_last_words(&mut self, shared: &Shared) {
        if self.last_words.is_some() && self.ended.is_none() {
            let timers = &shared.config.timers;
            let wait = if self.has_room_to_receive(shared) { timers.close } else { timers.drain };
            self.set(Timer::Close, wait, shared);
            self.set(Timer::End, timers.end, shared);
        }
    }

    /// All has come, or nothing more can.
    pub(super) fn end_of_last_words(&mut self, shared: &Shared) {
        if let Some(reason) = self.last_words.take() {
            self.end(EndedBy::Remote, reason, shared);
        }
    }

    /// Closes the connection of a tunnel that has ended, once both ends have said that they are done: a proxy that sees one end
    /// close cuts off the other. After a fault nothing of the peer's is waited for.
    pub(super) fn advance_letting_go(&mut self, shared: &mut Shared) {
        if self.ended.is_some() {
            self.stop_searching(shared);
        }
        let Some(ended) = self.ended.as_ref().filter(|ended| ended.connected) else { return };
        let is_in_order = matches!(ended.reason, CloseReason::Done);
        let has_left = self
            .transport
            .as_ref()
            .is_none_or(|transport| transport.carrier.is_closed() || transport.carrier.queued() == 0);
        let is_over = self.transport.as_ref().is_none_or(|transport| transport.carrier.is_closed());
        if is_over || has_left && (!is_in_order || self.peer_closed()) {
            self.let_go(shared);
        }
    }

    /// Closes the connection of a tunnel that has ended.
    pub(crate) fn let_go(&mut self, shared: &mut Shared) {
        let Some(ended) = self.ended.as_mut().filter(|ended| ended.connected) else { return };
        ended.connected = false;
        if !ended.lingers {
            self.timers.clear(Timer::Close);
        }
        self.let_connection_go(shared);
    }

    /// Once the session-terminate is out, nothing else follows it.
    pub(super) fn after_farewell(&mut self) {
        let is_out = |session: &Session| session.state() == SessionState::Ended && !session.wants_to_send();
        if self.negotiation.session.as_ref().is_some_and(is_out)
            && let Some(transport) = self.transport.as_mut().filter(|transport| !transport.carrier.is_connection())
        {
            transport.carrier.end();
        }
    }

    /// Nobody has read what came before the end. It is thrown away, and told.
    pub(super) fn drain_timed_out(&mut self) {
        let lost = self.inside.as_mut().is_some_and(|inside| !inside.inbox().is_empty());
        self.discard_unread();
        if let Some(ended) = &mut self.ended {
            ended.truncated |= lost;
        }
    }

    /// Whether the peer's data broke off without an authenticated end.
    fn is_truncated(&self, by: EndedBy) -> bool {
        let complete = self.peer_closed() || self.is_idle_stream();
        self.security().is_some() && by != EndedBy::Local && !complete
    }

    /// The peer did not do its part of the end, or has not acknowledged ours.
    pub(super) fn close_timed_out(&mut self, shared: &Shared) {
        if self.ended.is_some() {
            if let Some(transport) = &mut self.transport {
                transport.carrier.end();
            }
            self.drop_session();
            return self.farewell_taken();
        }
        if self.last_words.is_some() {
            return self.end_of_last_words(shared);
        }
        // A peer that has ended the bytestream wants nothing more of ours.
        let is_over = |transport: &Transport| transport.carrier.unacked() == 0 || transport.carrier.is_closed();
        let all_acked = self.transport.as_ref().is_none_or(is_over);
        let by = self.closing_by;
        if all_acked && (self.peer_closed() || self.is_idle_stream()) {
            self.end_session(Reason::new(ReasonCondition::Success));
            self.end(by, CloseReason::Done, shared);
        } else {
            self.fail(Fault::timeout(Timer::Close), shared);
        }
    }
}
