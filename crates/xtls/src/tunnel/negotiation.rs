//! Jingle up to an agreed method.

use xtls_ibb::{Acked, Bytestream, BytestreamConfig, BytestreamRole, BytestreamState, ErrorOutcome, Whitespace};
use xtls_jingle::{
    Acceptance, Action, Jingle, JingleCondition, JingleFault, Offer, Reason, ReasonCondition, Role, Session,
    SessionEvent, Verdict,
};
use xtls_stanza::{Condition, ElementRef, ErrorType, Method, SecurityOffer, StanzaError, jid::FullJid};

use super::{Phase, Tunnel, method::Secret};
use crate::{
    answer::Answer,
    application::{Application, TunnelOptions},
    config::Window,
    event::{CloseReason, EndedBy, Event, Incoming, TunnelId},
    fault::{Fault, Missing},
    shared::Shared,
    timer::Timer,
};

impl Tunnel {
    /// Begins a tunnel as its initiator.
    pub(crate) fn initiate(id: TunnelId, peer: FullJid, options: TunnelOptions, shared: &mut Shared) -> Self {
        let mut tunnel = Self::new(id, peer, Role::Initiator, options.application.clone(), shared);
        tunnel.take_options(options);
        tunnel.begin(shared);
        tunnel
    }

    /// Asks whether the peer supports XTLS, or offers at once.
    pub(super) fn begin(&mut self, shared: &mut Shared) {
        if self.options.as_ref().is_some_and(|options| options.check_support) {
            self.check_support(shared);
        } else {
            self.offer(shared);
        }
    }

    /// Takes up an offer of the peer.
    pub(crate) fn incoming(
        id: TunnelId,
        peer: FullJid,
        session: Session,
        application: Application,
        shared: &mut Shared,
    ) -> Self {
        let mut tunnel = Self::new(id, peer, Role::Responder, application, shared);
        let offer = session.offer().security.clone();
        tunnel.announced.clone_from(&offer.fingerprints);
        tunnel.session = Some(session);
        tunnel.timers.set(Timer::Ring, shared.after(shared.config.timers.ring));
        if offer.is_empty() {
            // Nothing could ever be agreed on, whatever a person says.
            tunnel.fail(tunnel.no_methods(shared), shared);
            tunnel.was_told();
        } else {
            let (peer, application) = (tunnel.peer.clone(), tunnel.application.clone());
            shared.events.push(Event::Incoming(Incoming { id, peer, application, offer }));
        }
        tunnel
    }

    /// An offer without any method: those that the peer was secured by before are missing, if there are any.
    fn no_methods(&self, shared: &Shared) -> Fault {
        let missing = self.record(shared).secured_by;
        if missing.is_empty() {
            return Fault::NoCommonMethod { offered: Vec::new() };
        }
        Fault::Downgraded { missing: Missing::Methods(missing) }
    }

    /// What it means that the peer does without XTLS.
    pub(super) fn lacks_xtls(&self, missing: Missing, shared: &Shared) -> Fault {
        // Draft § 8.3: a peer that could do it before is not believed to have lost it.
        let secured_before = self.record(shared).secured_before();
        if secured_before { Fault::Downgraded { missing } } else { Fault::PeerLacksXtls }
    }

    /// Accepts the offer, if there is a method for that; somebody may have to be asked for a password first.
    pub(crate) fn accept(&mut self, options: TunnelOptions, shared: &mut Shared) {
        self.take_options(options);
        self.timers.clear(Timer::Ring);
        self.answer_offer(shared);
    }

    /// Sends the acceptance. Draft § 3: a responder MUST return `<security/>`; the session echoes its namespace.
    pub(super) fn accept_session(&mut self, security: SecurityOffer, shared: &Shared) {
        let Some(session) = &mut self.session else { return };
        let answer = Acceptance::new(shared.local.jid.clone(), shared.config.block_size, security);
        if session.accept(answer).is_err() {
            return self.fail(Fault::Internal("an offer that was taken up cannot be accepted"), shared);
        }
        self.agreed(shared);
    }

    pub(super) fn take_options(&mut self, mut options: TunnelOptions) {
        self.secret = options.password.take().map_or_else(Secret::default, Secret::Known);
        self.options = Some(options);
    }

    /// Declines the offer.
    pub(crate) fn reject(&mut self, reason: Reason, shared: &Shared) {
        self.end_session(reason.clone());
        self.end(EndedBy::Local, CloseReason::Terminated(reason), shared);
        self.was_told();
    }

    /// The embedder knows of the end, or never heard of the offer.
    fn was_told(&mut self) {
        if let Some(ended) = &mut self.ended {
            ended.told = true;
        }
    }

    /// Our offer crossed one of the peer's, and gives way to it (XEP-0166 § 7.2.16).
    pub(crate) fn lose_tie_break(&mut self, winner: &str, shared: &Shared) {
        match &mut self.session {
            // The peer has taken ours up before it sent its own: it does not see a tie, and is told.
            Some(session) if !session.wants_to_send() && !session.waits_for_answer() => {
                session.terminate(Reason::alternative_session(winner));
            }
            _ => self.drop_session(),
        }
        self.end(EndedBy::Remote, CloseReason::Fault(Box::new(Fault::TieBreak)), shared);
    }

    /// Takes a request of the session, and gives its answer.
    pub(crate) fn handle_jingle(&mut self, jingle: &Jingle, shared: &mut Shared) -> Answer {
        let Some(session) = &mut self.session else {
            return Answer::Error(JingleCondition::UnknownSession.stanza_error(jingle.version));
        };
        match session.handle_request(jingle) {
            Err(fault) => {
                // An acceptance of something else than was offered leads nowhere. Whatever else does not fit, whoever
                // sent it, changes nothing.
                let leads_nowhere = matches!(fault, JingleFault::Malformed(_) | JingleFault::NotAcceptable(_));
                if jingle.action == Action::SessionAccept && leads_nowhere {
                    self.fail(Fault::Jingle(fault), shared);
                }
                Answer::Error(fault.stanza_error(jingle.version))
            }
            Ok(event) => {
                match event {
                    Some(SessionEvent::Accepted { security }) => self.accepted(security, shared),
                    Some(SessionEvent::Terminated(reason)) => self.terminated(reason, shared),
                    Some(SessionEvent::MethodChosen(_)) | Some(_) | None => {}
                }
                Answer::Result
            }
        }
    }

    /// Takes an answer, if it is one to a request of this tunnel.
    pub(crate) fn handle_answer(
        &mut self,
        id: &str,
        payload: Option<ElementRef<'_>>,
        error: Option<&StanzaError>,
        shared: &mut Shared,
    ) -> bool {
        if self.question.is(id) {
            self.support_told(payload, error, shared);
            return true;
        }
        if self.handle_session_answer(id, payload, error, shared) || self.handle_bytestream_answer(id, error, shared) {
            // One answer came; whatever else is due has its time again.
            if self.waits_for_answer() {
                self.timers.set(Timer::Answer, shared.after(shared.config.timers.answer));
            }
            return true;
        }
        false
    }

    /// Whether an answer is due to anything but data.
    pub(super) fn waits_for_answer(&self) -> bool {
        self.ended.is_none()
            && (self.phase == Phase::Asking
                || self.session.as_ref().is_some_and(Session::waits_for_answer)
                || self.bytestream.as_ref().is_some_and(|bytestream| bytestream.state() == BytestreamState::Opening))
    }

    pub(super) fn poll_session(&mut self, shared: &mut Shared, out: &mut String) -> bool {
        let from = shared.config.stamp_from.then(|| shared.local.jid.as_str());
        let Some(session) = &mut self.session else { return false };
        session.poll(&mut shared.ids, &self.to, from, out).is_some()
    }

    /// Sends the offer.
    pub(super) fn offer(&mut self, shared: &mut Shared) {
        self.phase = Phase::Offered;
        let security = self.own_offer(shared);
        if security.is_empty() {
            // What could succeed when the tunnel was asked for may not any more, now that the peer told its features.
            return self.fail(self.nothing_to_offer(shared), shared);
        }
        let ibb_sid = shared.ids.next_id();
        let block_size = shared.config.block_size;
        let mut offer = Offer::new(self.application.description(), ibb_sid.as_str(), block_size, security);
        offer.ibb_version = shared.dialect.offered_ibb;
        let ring = shared.config.timers.ring;
        // The responder may have to ask somebody for a password after somebody has decided on the offer.
        let asks = offer.security.methods.contains(&Method::Srp);
        let wait = if asks { ring.saturating_mul(2) } else { ring };
        let sid = shared.ids.next_id();
        match Session::initiate(sid.as_str(), &shared.local.jid, offer) {
            Ok(session) => self.session = Some(session.with_dialect(shared.dialect)),
            Err(_) => return self.fail(Fault::Internal("a sound offer cannot be made"), shared),
        }
        self.timers.set(Timer::Ring, shared.after(wait));
    }

    /// The responder accepted, perhaps without security.
    fn accepted(&mut self, security: Option<SecurityOffer>, shared: &mut Shared) {
        self.timers.clear(Timer::Ring);
        let Some(security) = security else {
            // Draft § 3, initiator's rule 1: securing the transport has failed. Nothing is ever sent in the clear.
            return self.fail(self.lacks_xtls(Missing::Security, shared), shared);
        };
        self.announced = security.fingerprints;
        self.choose_answer(shared);
    }

    /// Initiator: the method is chosen.
    pub(super) fn begin_transport(&mut self, shared: &Shared) {
        self.agreed(shared);
        let Some(bytestream) = &mut self.bytestream else { return };
        bytestream.open();
        if bytestream.state() == BytestreamState::Open {
            self.begin_handshake(shared);
        }
    }

    /// Both have agreed: the bytestream can be opened.
    fn agreed(&mut self, shared: &Shared) {
        let role = self.bytestream_role();
        match (&mut self.bytestream, &self.session) {
            // The peer has opened it before it accepted: what it said then counts.
            (Some(bytestream), Some(session)) => bytestream.agree(role, session.block_size()),
            (Some(_) | None, _) => self.make_bytestream(shared),
        }
        self.phase = Phase::Accepted;
        if self.role == Role::Responder {
            if let Some(bytestream) = &mut self.bytestream {
                // Where the negotiation stands in for `<open/>`, data may come from now on.
                bytestream.open();
            }
            let timers = &shared.config.timers;
            let answer = self.session.as_ref().and_then(Session::local_security);
            let asks = answer.is_some_and(|answer| answer.methods.contains(&Method::Srp));
            // The initiator may have to ask somebody for the password before it begins.
            let wait = if asks { timers.ring.saturating_add(timers.handshake) } else { timers.ring };
            self.timers.set(Timer::Handshake, shared.after(wait));
        }
        self.timers.set(Timer::LivenessIdle, shared.after(shared.config.timers.liveness_idle));
    }

    /// The bytestream of the session, in the block size that is agreed so far.
    pub(super) fn make_bytestream(&mut self, shared: &Shared) {
        let Some(session) = &self.session else { return };
        let role = self.bytestream_role();
        let mut config = BytestreamConfig::default();
        config.outgoing_bytes = shared.config.send_buffer;
        config.window_fixed = match shared.config.window {
            Window::Adaptive => None,
            Window::Fixed(blocks) => Some(blocks),
        };
        config.whitespace = if shared.dialect.white_space { Whitespace::Tolerant } else { Whitespace::Strict };
        self.bytestream = Some(Bytestream::new(role, session.ibb_sid(), session.block_size(), config));
    }

    /// Who opens: the namespace of the transport says so.
    fn bytestream_role(&self) -> BytestreamRole {
        let has_open = self.session.as_ref().is_none_or(|session| session.ibb_version().has_open());
        match self.role {
            _ if !has_open => BytestreamRole::Negotiated,
            Role::Responder => BytestreamRole::Acceptor,
            Role::Initiator | _ => BytestreamRole::Opener,
        }
    }

    fn terminated(&mut self, reason: Option<Reason>, shared: &Shared) {
        let reason = match reason {
            None => CloseReason::Done,
            Some(reason) if reason.condition == ReasonCondition::Success => CloseReason::Done,
            Some(reason) => CloseReason::Terminated(reason),
        };
        if let Some(bytestream) = &mut self.bytestream {
            bytestream.end();
        }
        self.end(EndedBy::Remote, reason, shared);
    }

    fn handle_session_answer(
        &mut self,
        id: &str,
        payload: Option<ElementRef<'_>>,
        error: Option<&StanzaError>,
        shared: &mut Shared,
    ) -> bool {
        let Some(session) = &mut self.session else { return false };
        let Some(error) = error else {
            let Some(action) = session.handle_result(id) else { return false };
            if action == Action::SessionTerminate {
                self.farewell_taken();
            }
            return true;
        };
        let Some(refused) = session.handle_error(id, error) else { return false };
        if refused.action == Action::SessionTerminate {
            self.farewell_taken();
        }
        if refused.verdict == Verdict::Tolerated {
            // It does not know the request, so it is there.
            self.heard(shared);
            return true;
        }
        if refused.action == Action::SessionInfo && error.error_type == ErrorType::Wait {
            // Whether the peer is alive is still open, and so is the time for its answer.
            return true;
        }
        let lost = JingleCondition::of(error) == Some(JingleCondition::TieBreak);
        if refused.action == Action::SessionInitiate && lost {
            self.session = None;
            self.end(EndedBy::Remote, CloseReason::Fault(Box::new(Fault::TieBreak)), shared);
        } else if refused.action == Action::SessionInitiate && error.condition == Condition::Redirect {
            if self.ended.is_none() {
                self.redirect(payload, error, shared);
            }
        } else if self.ended.is_none() {
            self.fail(Fault::Refused { action: refused.action, error: error.clone() }, shared);
        }
        true
    }

    fn handle_bytestream_answer(&mut self, id: &str, error: Option<&StanzaError>, shared: &Shared) -> bool {
        let Some(bytestream) = &mut self.bytestream else { return false };
        let Some(error) = error else {
            let Some(acked) = bytestream.handle_result(id) else { return false };
            match acked {
                Acked::Open => self.begin_handshake(shared),
                Acked::Data { .. } => self.data_acked(shared),
                Acked::Gap { .. } => {
                    let error = self.returned.take().unwrap_or_else(|| Condition::UndefinedCondition.into());
                    self.fail(Fault::Undelivered { error }, shared);
                }
                Acked::Close | _ => {}
            }
            return true;
        };
        let Some(outcome) = bytestream.handle_error(id, error) else { return false };
        match outcome {
            ErrorOutcome::OpenRefused | ErrorOutcome::Ended { .. } => {
                self.fail(Fault::Undelivered { error: error.clone() }, shared);
            }
            ErrorOutcome::Suspended => self.data_returned(error, shared),
            ErrorOutcome::Retrying | ErrorOutcome::Closed | ErrorOutcome::Late | _ => {}
        }
        true
    }
}
