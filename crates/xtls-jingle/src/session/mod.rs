//! One session (XEP-0166 § 5) with its security precondition (draft § 3).

mod error;
mod request;

use std::collections::VecDeque;

use xtls_stanza::{Condition, Ids, Method, SecurityOffer, StanzaError, jid::FullJid};

pub use error::{AcceptError, ChooseError, InitiateError, PingError};

use crate::{Action, Answer, Content, Jingle, JingleCondition, Offer, Reason, Refusal, Security, Sent, sid};

/// The state machine of one Jingle session with one content, an in-band bytestream and XTLS.
///
/// Its methods are of four kinds: getters; commands, which queue what is to be sent ([`Session::accept`],
/// [`Session::choose`], [`Session::ping`], [`Session::terminate`]); `handle_*`, which bring in what the peer sent; and
/// [`Session::poll`], which takes out what is to be sent. They can be called in any order.
///
/// The driver has checked that what it hands in comes from the peer of this session; it acknowledges with an empty result
/// each request that [`Session::handle_request`] takes. Trust, timers, and which method to use are its business.
///
/// Bounds: of each action at most one request waits to be sent and at most one to be answered, hence never more than four
/// each: an initiator's session-initiate, security-info, session-info and session-terminate.
#[derive(Debug)]
pub struct Session {
    role: Role,
    state: State,
    sid: String,
    offer: Offer,
    /// The responder's `<security/>`, once the session is accepted.
    answer: Option<SecurityOffer>,
    block_size: u16,
    method: Option<Method>,
    queue: VecDeque<Jingle>,
    unanswered: Vec<Sent>,
}

/// Which end of the session this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// Offers the session; the TLS client.
    Initiator,
    /// Accepts it; the TLS server.
    Responder,
}

/// The overall state of a session (XEP-0166 § 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Offered, not yet accepted.
    Pending,
    /// Accepted.
    Active,
    /// Terminated by either side, or unknown to the peer. Whatever comes is answered unknown-session.
    Ended,
}

/// What a request of the peer brought.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// To the initiator: the responder accepted. The negotiated values are there to be read.
    Accepted {
        /// The responder's `<security/>`. Without one, securing the transport has failed (draft § 3); with one that names
        /// no method, nothing is agreed on.
        security: Option<SecurityOffer>,
    },
    /// To the responder: the initiator has chosen this method.
    MethodChosen(Method),
    /// The peer has ended the session. A reason is not required.
    Terminated(Option<Reason>),
}

/// One of our requests was answered with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// Which request.
    pub action: Action,
    /// What it means for the session.
    pub verdict: Verdict,
}

/// What an error means for the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Nothing: the peer is alive and does not know the request, which it need not.
    Tolerated,
    /// The peer has no such session (any more): the state is [`State::Ended`], and nothing is left to be sent.
    Ended,
    /// The session cannot go on as it is; the driver terminates it, unless it knows better (a temporary error to a ping).
    Fatal,
}

impl Session {
    /// Offers a session: queues a session-initiate.
    ///
    /// `sid` is a fresh random identifier, `initiator` the own full JID.
    ///
    /// # Errors
    ///
    /// When a value cannot be offered.
    pub fn initiate(sid: &str, initiator: &FullJid, offer: Offer) -> Result<Self, InitiateError> {
        if !sid::is_sid(sid) || !sid::is_sid(&offer.ibb_sid) {
            return Err(InitiateError::Sid);
        }
        if offer.block_size == 0 {
            return Err(InitiateError::BlockSize);
        }
        if offer.content_name.len() > Content::MAX_NAME {
            return Err(InitiateError::ContentName);
        }
        if offer.security.is_empty() {
            return Err(InitiateError::NoMethod);
        }
        // § 7.1: the initiator attribute SHOULD be there in session-initiate, and SHOULD NOT in anything else.
        let request = Jingle::new(Action::SessionInitiate, sid).with_initiator(initiator).with_content(offer.content());
        let mut session = Self::new(Role::Initiator, sid, offer);
        session.queue.push_back(request);
        Ok(session)
    }

    /// Takes up a session-initiate. Whether the offer is wanted, its peer trusted and a method possible is for the driver
    /// to decide; it then calls [`Session::accept`] or [`Session::terminate`].
    ///
    /// # Errors
    ///
    /// When no session can come of it: the refusal says what is to be done instead.
    pub fn incoming(initiate: &Jingle) -> Result<Self, Refusal> {
        Offer::read(initiate).map(|offer| Self::new(Role::Responder, &initiate.sid, offer))
    }

    fn new(role: Role, sid: &str, offer: Offer) -> Self {
        Self {
            role,
            state: State::Pending,
            sid: sid.to_owned(),
            answer: None,
            block_size: offer.block_size,
            offer,
            method: None,
            queue: VecDeque::new(),
            unanswered: Vec::new(),
        }
    }

    /// Which end this is.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The overall state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// The session's sid.
    #[must_use]
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// What the session-initiate said.
    #[must_use]
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// What we say in our `<security/>`; a responder says nothing before it accepts.
    #[must_use]
    pub fn local_security(&self) -> Option<&SecurityOffer> {
        match self.role {
            Role::Initiator => Some(&self.offer.security),
            Role::Responder => self.answer.as_ref(),
        }
    }

    /// What the peer said in its `<security/>`, if it sent one.
    #[must_use]
    pub fn peer_security(&self) -> Option<&SecurityOffer> {
        match self.role {
            Role::Initiator => self.answer.as_ref(),
            Role::Responder => Some(&self.offer.security),
        }
    }

    /// Bytes of one block: the offered number, and the negotiated one once the session is active.
    #[must_use]
    pub fn block_size(&self) -> u16 {
        self.block_size
    }

    /// The sid of the bytestream.
    #[must_use]
    pub fn ibb_sid(&self) -> &str {
        &self.offer.ibb_sid
    }

    /// The method that the initiator chose, or that TLS began with.
    #[must_use]
    pub fn method(&self) -> Option<Method> {
        self.method
    }

    /// Whether the session has ended and nothing is left to be sent or answered: it can be forgotten.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let open = self.unanswered.iter().any(|sent| sent.action == Action::SessionTerminate);
        self.state == State::Ended && self.queue.is_empty() && !open
    }

    /// Whether an answer of the peer is due to anything but a session-terminate.
    #[must_use]
    pub fn waits_for_answer(&self) -> bool {
        self.unanswered.iter().any(|sent| sent.action != Action::SessionTerminate)
    }

    /// Responder: accepts the session. Queues a session-accept.
    ///
    /// # Errors
    ///
    /// When there is nothing to accept, or a value cannot be answered.
    pub fn accept(&mut self, answer: Answer) -> Result<(), AcceptError> {
        if self.role != Role::Responder || self.state != State::Pending {
            return Err(AcceptError::NotPending);
        }
        if answer.block_size == 0 {
            return Err(AcceptError::BlockSize);
        }
        // Draft § 3: a responder that supports XTLS MUST return <security/>; an empty one would agree on nothing.
        if answer.security.is_empty() {
            return Err(AcceptError::NoMethod);
        }
        let mut security = answer.security;
        security.version = self.offer.security.version;
        self.block_size = answer.block_size.min(self.offer.block_size);
        // A choice that came early stands only if this answer allows it too.
        self.method = self.method.filter(|method| security.methods.contains(method));
        let content = self.offer.content_with(self.block_size, security.clone());
        let request =
            Jingle::new(Action::SessionAccept, &self.sid).with_responder(answer.responder).with_content(content);
        self.queue.push_back(request);
        self.answer = Some(security);
        self.state = State::Active;
        Ok(())
    }

    /// Initiator: tells the responder which method to use. Queues a security-info.
    ///
    /// # Errors
    ///
    /// When there is nothing to choose (any more), or not both ends offered the method.
    pub fn choose(&mut self, method: Method) -> Result<(), ChooseError> {
        let (Role::Initiator, State::Active, Some(answer)) = (self.role, self.state, &self.answer) else {
            return Err(ChooseError::NotAccepted);
        };
        if self.method.is_some() {
            return Err(ChooseError::AlreadyChosen);
        }
        if !self.is_offered_by_both(method) {
            return Err(ChooseError::NotOffered);
        }
        let security = SecurityOffer::new(answer.version, Vec::new(), vec![method]);
        let content = Content { security: Security::Xtls(security), ..Content::new(&self.offer.content_name) };
        self.queue.push_back(Jingle::new(Action::SecurityInfo, &self.sid).with_content(content));
        self.method = Some(method);
        Ok(())
    }

    /// TLS has begun with this method: no security-info can change it any more, whether one came or not.
    pub fn tls_started(&mut self, method: Method) {
        self.method = Some(method);
    }

    /// Asks whether the peer is alive: queues an empty session-info (XEP-0166 § 6.8).
    ///
    /// # Errors
    ///
    /// When the session has ended, or the last ping is not answered yet.
    pub fn ping(&mut self) -> Result<(), PingError> {
        if self.state == State::Ended {
            return Err(PingError::Ended);
        }
        let is_ping = |action| action == Action::SessionInfo;
        if self.queue.iter().any(|request| is_ping(request.action))
            || self.unanswered.iter().any(|sent| is_ping(sent.action))
        {
            return Err(PingError::Unanswered);
        }
        self.queue.push_back(Jingle::new(Action::SessionInfo, &self.sid));
        Ok(())
    }

    /// Ends the session: queues a session-terminate, instead of what else was queued. The state is [`State::Ended`] at
    /// once (XEP-0166 § 6.7).
    ///
    /// Nothing is queued if the session has ended before, or was never offered because its session-initiate is still
    /// queued.
    pub fn terminate(&mut self, reason: Reason) {
        if self.state == State::Ended {
            return;
        }
        let is_unknown_to_peer = self.queue.iter().any(|request| request.action == Action::SessionInitiate);
        self.end();
        if !is_unknown_to_peer {
            self.queue.push_back(Jingle::terminate(&self.sid, reason));
        }
    }

    /// The peer acknowledged a request: which one. `None` when no request of this id is open.
    pub fn handle_result(&mut self, id: &str) -> Option<Action> {
        let at = self.unanswered.iter().position(|sent| sent.id.as_str() == id)?;
        Some(self.unanswered.swap_remove(at).action)
    }

    /// The peer, or a server in between, refused a request: which one, and what it means. `None` when no request of this
    /// id is open.
    pub fn handle_error(&mut self, id: &str, error: &StanzaError) -> Option<Refused> {
        let action = self.handle_result(id)?;
        let verdict = self.verdict(action, error);
        if verdict == Verdict::Ended {
            self.end();
        }
        Some(Refused { action, verdict })
    }

    fn verdict(&self, action: Action, error: &StanzaError) -> Verdict {
        let is_unknown = error.condition == Condition::ItemNotFound
            || JingleCondition::of(error) == Some(JingleCondition::UnknownSession);
        // A refused session-initiate has made no session (XEP-0166 § 6.3.2).
        let is_over = matches!(action, Action::SessionInitiate | Action::SessionTerminate);
        if self.state == State::Ended || is_unknown || is_over {
            return Verdict::Ended;
        }
        // Clients that do not know security-info (it is "not really necessary", draft § 3) or pings answer so.
        let is_ignorance = matches!(error.condition, Condition::FeatureNotImplemented | Condition::BadRequest);
        if is_ignorance && matches!(action, Action::SecurityInfo | Action::SessionInfo) {
            return Verdict::Tolerated;
        }
        Verdict::Fatal
    }

    /// Takes out the next request: appends one whole IQ. `from` is for whom no server stamps.
    #[must_use]
    pub fn poll(&mut self, ids: &mut Ids, to: &str, from: Option<&str>, out: &mut String) -> Option<Sent> {
        let request = self.queue.pop_front()?;
        let sent = request.write_iq(ids, to, from, out);
        self.unanswered.push(sent);
        Some(sent)
    }

    /// Whether [`Session::poll`] has something to take out.
    #[must_use]
    pub fn wants_to_send(&self) -> bool {
        !self.queue.is_empty()
    }

    fn end(&mut self) {
        self.state = State::Ended;
        self.queue.clear();
    }

    /// Whether a method is in both offers, as far as they are known.
    fn is_offered_by_both(&self, method: Method) -> bool {
        let answered = self.answer.as_ref().is_none_or(|answer| answer.methods.contains(&method));
        answered && self.offer.security.methods.contains(&method)
    }
}
