//! Jingle up to an agreed method.

use xtls_channel::{CloseReason, EndedBy, Fault, Missing, Timer, Unanswered};
use xtls_jingle::{
    Acceptance, Action, Jingle, JingleCondition, JingleFault, Offer, Reason, ReasonCondition, Role, Session,
    SessionEvent, SessionTransport, Verdict,
};
use xtls_s5b::S5bTransport;
use xtls_stanza::{Condition, ElementRef, ErrorType, Id, Method, SecurityOffer, StanzaError, jid::FullJid};

use super::{Phase, Place, TunnelCore, question::Question, transport::Transport};
use crate::{
    answer::Answer,
    application::Application,
    capabilities::Supports,
    engine::watch,
    event::{Event, Incoming, TunnelId},
    shared::Shared,
    transports::Transport as WantedTransport,
};
use xtls_channel::{Announcements, Channel, Side, Terms};

/// What leads to an agreement, and the session that holds it.
#[derive(Default)]
pub(super) struct Negotiation {
    /// Initiator: ask the peer first whether it has XTLS at all.
    check_support: bool,
    /// The XML stream tunnel with the peer that the session can be negotiated in.
    around: Option<u64>,
    /// That question, while it is open.
    pub(super) question: Question,
    /// Absent while the peer is asked, and once the peer cannot be told anything any more.
    pub(super) session: Option<Session>,
    /// The id that the session is to have, until it is offered.
    pub(super) named: Option<String>,
    /// The offer goes to another resource than was asked for.
    pub(super) redirected: bool,
    /// It is to be redirected, once.
    pub(super) elsewhere: Option<Box<super::redirect::Elsewhere>>,
    /// The peer has shown the same negotiation hash as ours.
    pub(super) matches: bool,
    /// Ids of requests that nobody waits for any more and that may still be answered.
    late: Vec<Id>,
}

impl Negotiation {
    /// Forgets the session: the peer does not know of it, or cannot be told.
    pub(super) fn drop_session(&mut self) {
        if let Some(session) = self.session.take() {
            self.late.extend(session.unanswered());
        }
    }

    /// The ids of requests that may still be answered.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = Id> {
        let session = self.session.iter().flat_map(Session::unanswered);
        self.late.iter().copied().chain(self.question.unanswered()).chain(session)
    }
}

/// How an initiator wants its tunnel.
pub(crate) struct Wishes {
    pub(crate) check_support: bool,
    pub(crate) transports: Vec<WantedTransport>,
    /// The XML stream tunnel with the peer that the session can be negotiated in.
    pub(crate) around: Option<u64>,
    /// The id of the session, if it is not to be a random one.
    pub(crate) sid: Option<String>,
}

impl TunnelCore {
    /// Begins a tunnel as its initiator.
    pub(crate) fn initiate(
        id: TunnelId,
        peer: FullJid,
        application: Application,
        channel: Channel,
        wishes: Wishes,
        shared: &mut Shared,
    ) -> Self {
        let mut tunnel = Self::new(id, peer, Role::Initiator, application, shared);
        tunnel.channel = Some(channel);
        tunnel.transports = wishes.transports;
        tunnel.negotiation.around = wishes.around;
        tunnel.negotiation.named = wishes.sid;
        tunnel.negotiation.check_support = wishes.check_support;
        tunnel.begin(shared);
        tunnel
    }

    /// Asks whether the peer supports XTLS, or offers at once.
    pub(super) fn begin(&mut self, shared: &mut Shared) {
        if self.negotiation.check_support {
            self.check_support(shared);
        } else {
            self.offer(None, shared);
        }
    }

    /// Takes up an offer of the peer.
    pub(crate) fn incoming(
        id: TunnelId,
        peer: FullJid,
        session: Session,
        application: Application,
        place: Place,
        shared: &mut Shared,
    ) -> Self {
        let mut tunnel = Self::new(id, peer, Role::Responder, application, shared);
        tunnel.place = place;
        let offer = session.offer().security.clone();
        tunnel.negotiation.session = Some(session);
        tunnel.timers.ask_user(shared.after(shared.config.timers.question));
        if offer.is_empty() {
            // Nothing could ever be agreed on, whatever the user says.
            tunnel.fail(Fault::NoCommonMethod { offered: Vec::new() }, shared);
            tunnel.was_told();
        } else {
            let (peer, application) = (tunnel.peer.clone(), tunnel.application.clone());
            let sid = tunnel.session_sid().to_owned();
            shared.events.push(Event::Incoming(Incoming { id, peer, application, offer, sid }));
        }
        tunnel
    }

    /// What it means that the peer does without XTLS.
    pub(super) fn lacks_xtls(&self, missing: Missing) -> Fault {
        // Draft § 8.3: a peer that could do it before is not believed to have lost it.
        let secured_before = self.channel.as_ref().is_some_and(|channel| !channel.secured_by().is_empty());
        if secured_before { Fault::Downgraded { missing } } else { Fault::PeerLacksXtls }
    }

    /// Accepts the offer, if there is a method for that; the user may have to be asked for a password first.
    pub(crate) fn accept(&mut self, terms: Terms, transports: Vec<WantedTransport>, shared: &mut Shared) {
        self.transports = transports;
        self.timers.clear(Timer::Question);
        // It is decided on, and its end is told from here on.
        self.phase = Phase::Offered;
        let peer = self.peer.to_bare();
        match Channel::new(Side::Responder, peer, terms, Announcements::Every, &shared.env) {
            Ok(mut channel) => {
                let session = self.negotiation.session.as_ref();
                channel
                    .announce(session.map(|session| session.offer().security.fingerprints.clone()).unwrap_or_default());
                self.channel = Some(channel);
                if self.lacks_hash(shared) {
                    return self.fail(Fault::NegotiationMissing, shared);
                }
                let in_band = session.and_then(Session::in_band).is_some();
                if in_band && !self.may_go_in_band() {
                    return self.fail(Fault::NoTransport, shared);
                }
                self.answer_offer(shared);
            }
            Err(fault) => self.fail(fault, shared),
        }
    }

    /// Sends the acceptance. Draft § 3: a responder MUST return `<security/>`; the session echoes its namespace.
    pub(super) fn accept_session(&mut self, security: SecurityOffer, shared: &mut Shared) {
        let block_size = self.block_size(shared);
        let candidates = self.answering_candidates(shared);
        let receipts = !self.is_xml();
        let Some(session) = &mut self.negotiation.session else { return };
        let mut answer = Acceptance::new(shared.jid.clone(), block_size, security);
        answer.receipts = receipts;
        let theirs = match &session.offer().transport {
            SessionTransport::Socks5(theirs) => Some(theirs.clone()),
            SessionTransport::InBand(_) | _ => None,
        };
        if let Some(own) = &candidates {
            answer.candidates = own.candidates().to_vec();
            answer.dst_addr = own.dst_addr;
        }
        let own = answer.candidates.clone();
        if session.accept(answer).is_err() {
            return self.fail(Fault::Internal("an offer that was taken up cannot be accepted"), shared);
        }
        self.agreed(shared);
        if let Some(theirs) = theirs {
            self.search(own, &theirs, shared);
        }
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
        match &mut self.negotiation.session {
            // The peer has taken ours up before it sent its own: it does not see a tie, and is told.
            Some(session) if !session.wants_to_send() && !session.waits_for_answer() => {
                session.terminate(Reason::alternative_session(winner));
            }
            _ => self.drop_session(),
        }
        self.end(EndedBy::Remote, CloseReason::from(Fault::TieBreak), shared);
    }

    /// Takes a request of the session, and gives its answer.
    pub(crate) fn handle_jingle(&mut self, jingle: &Jingle, shared: &mut Shared) -> Answer {
        let Some(session) = &mut self.negotiation.session else {
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
                    Some(SessionEvent::Accepted { security, socks5 }) => self.accepted(security, socks5, shared),
                    Some(SessionEvent::TransportInfo(said)) => return self.candidates_said(&said, shared),
                    Some(SessionEvent::ReplaceTransport) => self.replacement_asked(shared),
                    Some(SessionEvent::TransportReplaced) => self.go_in_band(shared),
                    Some(SessionEvent::TransportRejected) => self.fail(Fault::NoConnection, shared),
                    Some(SessionEvent::Terminated(reason)) => self.terminated(reason, shared),
                    Some(SessionEvent::Receipt(proof)) if !self.receipt_came(&proof, shared) => {
                        // Whoever sent it: the peer's, if it comes, counts as before.
                        let fault = JingleFault::Malformed("a receipt whose proof does not hold");
                        return Answer::Error(fault.stanza_error(jingle.version));
                    }
                    Some(SessionEvent::MethodChosen(_) | SessionEvent::Receipt(_)) | Some(_) | None => {}
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
        if self.negotiation.question.is(id) {
            self.support_told(payload, error, shared);
            return true;
        }
        if self.handle_session_answer(id, payload, error, shared) || self.handle_bytestream_answer(id, error, shared) {
            // One answer came; whatever else is due has its time again.
            if self.waits_for_answer() {
                self.set(Timer::Answer, shared.config.timers.answer, shared);
            }
            return true;
        }
        false
    }

    /// Whether an answer is due to anything but data.
    pub(super) fn waits_for_answer(&self) -> bool {
        self.ended.is_none() && self.unanswered_request().is_some()
    }

    /// The request to which an answer is due.
    pub(super) fn unanswered_request(&self) -> Option<Unanswered> {
        if self.phase == Phase::Asking {
            return Some(Unanswered::Features);
        }
        let action = self.negotiation.session.as_ref().and_then(Session::unanswered_action);
        let opens = |transport: &Transport| transport.carrier.is_opening();
        let open = self.transport.as_ref().is_some_and(opens).then_some(Unanswered::Open);
        action.map(Unanswered::Session).or(open)
    }

    /// Takes out what the session has to say, unless that is said inside of another tunnel.
    pub(super) fn poll_session(&mut self, shared: &mut Shared, out: &mut String) -> bool {
        self.inside_of().is_none() && self.say(shared, out)
    }

    /// Takes out what the session has to say.
    pub(super) fn say(&mut self, shared: &mut Shared, out: &mut String) -> bool {
        let from = shared.config.stamp_from.then(|| shared.jid.as_str());
        let Some(session) = &mut self.negotiation.session else { return false };
        let sent = session.poll(&mut shared.ids, &self.addresses.to, from, out);
        if let Some(sent) = &sent {
            watch::sent(sent.action.as_str());
        }
        sent.is_some()
    }

    /// Sends the offer. `supports` is what the peer's features said, if it was asked.
    pub(super) fn offer(&mut self, supports: Option<Supports>, shared: &mut Shared) {
        self.phase = Phase::Offered;
        if self.lacks_hash(shared) {
            return self.fail(Fault::NegotiationMissing, shared);
        }
        let security = match self.own_offer(shared) {
            Ok(security) => security,
            Err(fault) => return self.fail(fault, shared),
        };
        let Some(transport) = self.first_transport(supports, shared) else {
            return self.fail(Fault::NoTransport, shared);
        };
        let description = self.offered_application(supports, shared).description();
        let is_connection = transport.in_band().is_none();
        let mut offer = Offer::over(transport, description, security);
        offer.receipts = !self.is_xml();
        let question = shared.config.timers.question;
        // The responder may have to ask the user for a password after the user has decided on the offer.
        let asks = offer.security.methods.contains(&Method::Srp);
        let wait = if asks { question.saturating_mul(2) } else { question };
        let sid = self.negotiation.named.take().unwrap_or_else(|| shared.ids.next_id().as_str().to_owned());
        match Session::initiate(&sid, &shared.jid, offer) {
            Ok(session) => self.negotiation.session = Some(session.with_dialect(shared.dialect)),
            Err(_) => return self.fail(Fault::Internal("a sound offer cannot be made"), shared),
        }
        // A peer that knows nothing of that would take it for a stanza of its application's.
        let knows = is_connection && supports.is_some_and(|supports| supports.inside);
        if let Some(around) = self.negotiation.around.filter(|_| knows) {
            self.go_inside(around, shared);
        }
        self.expect_connections(shared);
        self.set(Timer::Question, wait, shared);
    }

    /// The responder accepted, perhaps without security.
    fn accepted(&mut self, security: Option<SecurityOffer>, socks5: Option<S5bTransport>, shared: &mut Shared) {
        self.timers.clear(Timer::Question);
        let (Some(security), Some(channel)) = (security, &mut self.channel) else {
            // Draft § 3, initiator's rule 1: securing the transport has failed. Nothing is ever sent in the clear.
            return self.fail(self.lacks_xtls(Missing::Security), shared);
        };
        channel.announce(security.fingerprints);
        if let Some(theirs) = socks5 {
            self.candidates_answered(&theirs, shared);
        }
        self.choose_answer(shared);
    }

    /// Initiator: the method is chosen.
    pub(super) fn begin_transport(&mut self, shared: &mut Shared) {
        self.agreed(shared);
        let Some(transport) = &mut self.transport else { return };
        if transport.carrier.open() {
            self.begin_handshake(shared);
        }
    }

    /// Both have agreed: the bytestream can be opened.
    fn agreed(&mut self, shared: &mut Shared) {
        let role = self.bytestream_role();
        match (&mut self.transport, &self.negotiation.session) {
            // The peer has opened it before it accepted: what it said then counts.
            (Some(transport), Some(session)) => {
                let block_size = session.in_band().map_or(0, |in_band| in_band.block_size);
                if let Some(bytestream) = transport.carrier.in_band() {
                    bytestream.agree(role, block_size);
                }
            }
            (Some(_) | None, _) => self.make_transport(shared),
        }
        self.phase = Phase::Running;
        let timers = &shared.config.timers;
        if self.role == Role::Responder {
            if let Some(transport) = &mut self.transport {
                // Where the negotiation stands in for `<open/>`, data may come from now on.
                transport.carrier.open();
            }
            let session = self.negotiation.session.as_ref();
            let asks = session.is_some_and(|session| session.offer().security.methods.contains(&Method::Srp));
            // The initiator may have to ask its user for the password before it begins, if only to hear that there is none.
            let wait = if asks { timers.question.saturating_add(timers.handshake) } else { timers.question };
            self.set(Timer::Handshake, wait, shared);
        }
        self.expect_life(shared);
        self.take_connection(shared);
    }

    fn terminated(&mut self, reason: Option<Reason>, shared: &Shared) {
        let reason = match reason {
            None => CloseReason::Done,
            Some(reason) if reason.condition == ReasonCondition::Success => CloseReason::Done,
            Some(reason) => CloseReason::Terminated(reason),
        };
        if self.goes_by_connection()
            && self.ended.is_none()
            && self.security().is_some()
            && matches!(reason, CloseReason::Done)
        {
            return self.hear_last_words(reason, shared);
        }
        if let Some(transport) = &mut self.transport {
            transport.carrier.end();
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
        let Some(session) = &mut self.negotiation.session else { return false };
        let is_receipt = session.is_receipt(id);
        let Some(error) = error else {
            let Some(action) = session.handle_result(id) else { return false };
            if action == Action::SessionTerminate {
                self.farewell_taken();
            } else if action == Action::SessionInfo && !is_receipt {
                self.life_shown(shared);
            }
            return true;
        };
        let Some(refused) = session.handle_error(id, error) else { return false };
        if refused.action == Action::SessionTerminate {
            self.farewell_taken();
        }
        if is_receipt && refused.verdict != Verdict::Ended {
            self.heard(shared);
            self.receipt_refused(shared);
            return true;
        }
        if refused.verdict == Verdict::Tolerated {
            // It does not know the request, so it is there.
            self.heard(shared);
            if refused.action == Action::SessionInfo {
                self.life_shown(shared);
            } else if refused.action == Action::TransportInfo {
                self.candidates_refused(shared);
            }
            return true;
        }
        if refused.action == Action::SessionInfo && error.error_type == ErrorType::Wait {
            // Whether the peer is alive is still open.
            if self.ended.is_none() {
                self.ask_later(shared);
            }
            return true;
        }
        let lost = JingleCondition::of(error) == Some(JingleCondition::TieBreak);
        if refused.action == Action::SessionInitiate && lost {
            self.negotiation.session = None;
            self.end(EndedBy::Remote, CloseReason::from(Fault::TieBreak), shared);
        } else if refused.action == Action::SessionInitiate && error.condition == Condition::Redirect {
            if self.ended.is_none() {
                self.redirect(payload, error, shared);
            }
        } else if self.ended.is_none() {
            self.fail(Fault::Refused { action: refused.action, error: error.clone() }, shared);
        }
        true
    }
}
