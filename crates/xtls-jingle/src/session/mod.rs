//! One session (XEP-0166 § 5) with its security precondition (draft § 3).

mod answer;
mod change;
mod error;
mod hash;
mod receipt;
mod request;
mod transport;

use std::collections::VecDeque;

use xtls_s5b::S5bTransport;
use xtls_stanza::{Id, Ids, Method, SecurityOffer, jid::FullJid};

use self::transport::Replacement;
pub use answer::{Refused, Verdict};
pub use error::{AcceptError, ChooseError, InitiateError, PingError, ReceiptError, TransportError};

use self::receipt::OwnReceipt;
use crate::{
    Acceptance, Action, Content, Creator, Dialect, IbbTransport, InBand, Jingle, JingleVersion, Offer, OfferRefusal,
    Reason, Receipt, Security, Sent, SessionTransport, sid,
};

/// The state machine of one Jingle session with one content, a bytestream and XTLS.
///
/// Its methods are of four kinds: getters; commands, which queue what is to be sent ([`Session::accept`],
/// [`Session::choose`], [`Session::ping`], [`Session::terminate`] and those about the transport); `handle_*`, which bring in what
/// the peer sent; and
/// [`Session::poll`], which takes out what is to be sent. They can be called in any order.
///
/// The driver has checked that what it hands in comes from the peer of this session; it acknowledges with an empty result
/// each request that [`Session::handle_request`] takes, before it sends what that has queued. Trust, timers, and which
/// method to use are its business.
///
/// A session has one content from beginning to end: what would change that is refused as XEP-0166 § 7.2 says, some of it by a
/// request in return. A SOCKS5 bytestream can be replaced by an in-band one, once, by the initiator and before TLS begins
/// (XEP-0260 § 3); no other change of the transport is taken.
///
/// Bounds: of each action at most one request waits to be sent or to be answered, one receipt, and of transport-info
/// [`Session::MAX_INFOS`].
#[derive(Debug)]
pub struct Session {
    role: Role,
    state: SessionState,
    dialect: Dialect,
    version: JingleVersion,
    sid: String,
    offer: Offer,
    /// The responder's `<security/>`, once the session is accepted.
    answer: Option<SecurityOffer>,
    /// Whom the session-accept named as the content's creator.
    answer_creator: Creator,
    /// The namespace of the application as the session-accept spelt it, if otherwise than the offer.
    answer_application: Option<String>,
    /// What carries the data as far as it is agreed.
    transport: SessionTransport,
    /// The namespace of the transport as the session-accept spelt it.
    answer_transport: Option<&'static str>,
    /// What a SOCKS5 bytestream is to be replaced by, or was: as it was asked for.
    replacement: Option<Replacement>,
    method: Option<Method>,
    /// TLS runs.
    tls_began: bool,
    /// Both ends give receipts.
    receipts: bool,
    /// What became of ours.
    own_receipt: OwnReceipt,
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
pub enum SessionState {
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
pub enum SessionEvent {
    /// To the initiator: the responder accepted. The negotiated values are there to be read.
    Accepted {
        /// The responder's `<security/>`. Without one, securing the transport has failed (draft § 3); with one that names
        /// no method, nothing is agreed on.
        security: Option<SecurityOffer>,
        /// Of a SOCKS5 bytestream, where the responder can be reached.
        socks5: Option<S5bTransport>,
    },
    /// What the peer says about the SOCKS5 bytestream, in a transport-info.
    TransportInfo(S5bTransport),
    /// To the responder: the initiator wants an in-band bytestream instead of the SOCKS5 one. It is answered with
    /// [`Session::accept_transport`] or [`Session::reject_transport`].
    ReplaceTransport,
    /// To the initiator: the in-band bytestream that was asked for takes the place of the SOCKS5 one.
    TransportReplaced,
    /// To the initiator: it does not.
    TransportRejected,
    /// To the responder: the initiator has chosen this method.
    MethodChosen(Method),
    /// The peer says that it has everything. Whether the proof holds is for the driver to find out; it answers one that does not with
    /// bad-request.
    Receipt([u8; 32]),
    /// The peer has ended the session, or has removed its only content, so that it is ended from here: a session-terminate
    /// is then queued. A reason is not required.
    Terminated(Option<Reason>),
}

impl Session {
    /// Offers a session: queues a session-initiate.
    ///
    /// `sid` is a fresh random identifier, `initiator` your full JID.
    ///
    /// # Errors
    ///
    /// When a value cannot be offered.
    pub fn initiate(sid: &str, initiator: &FullJid, offer: Offer) -> Result<Self, InitiateError> {
        let transport_sid = match &offer.transport {
            SessionTransport::InBand(in_band) => &in_band.sid,
            SessionTransport::Socks5(socks5) => &socks5.sid,
        };
        if !sid::is_nmtoken(sid) || !sid::is_nmtoken(transport_sid) {
            return Err(InitiateError::Sid);
        }
        if offer.transport.in_band().is_some_and(|in_band| in_band.block_size < IbbTransport::MIN_BLOCK_SIZE) {
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
        let request = if offer.receipts { request.with_receipt(Receipt::Announced) } else { request };
        let mut session = Self::new(Role::Initiator, JingleVersion::Jingle1, sid, offer);
        session.queue.push_back(request);
        Ok(session)
    }

    /// Takes up a session-initiate. Whether the offer is wanted, its peer trusted and a method possible is for the driver
    /// to decide; it then calls [`Session::accept`] or [`Session::terminate`].
    ///
    /// # Errors
    ///
    /// When no session can come of it: the refusal says what is to be done instead.
    pub fn incoming(initiate: &Jingle) -> Result<Self, OfferRefusal> {
        Offer::read(initiate).map(|offer| Self::new(Role::Responder, initiate.version, &initiate.sid, offer))
    }

    /// The same session with the tolerances of a dialect; a new one has those of the default.
    #[must_use]
    pub fn with_dialect(self, dialect: Dialect) -> Self {
        Self { dialect, ..self }
    }

    fn new(role: Role, version: JingleVersion, sid: &str, offer: Offer) -> Self {
        Self {
            role,
            state: SessionState::Pending,
            dialect: Dialect::default(),
            version,
            sid: sid.to_owned(),
            answer: None,
            answer_creator: Creator::Initiator,
            answer_application: None,
            transport: offer.transport.clone(),
            answer_transport: None,
            replacement: None,
            offer,
            method: None,
            tls_began: false,
            receipts: false,
            own_receipt: OwnReceipt::default(),
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
    pub fn state(&self) -> SessionState {
        self.state
    }

    /// The namespace in which the session is carried on: that of its session-initiate.
    #[must_use]
    pub fn version(&self) -> JingleVersion {
        self.version
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

    /// What carries the data: as offered, and as agreed once the session is active.
    #[must_use]
    pub fn transport(&self) -> &SessionTransport {
        &self.transport
    }

    /// The in-band bytestream, if that is what carries the data.
    #[must_use]
    pub fn in_band(&self) -> Option<&InBand> {
        self.transport.in_band()
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
        self.state == SessionState::Ended && self.queue.is_empty() && !open
    }

    /// Whether an answer of the peer is due to anything but a session-terminate, a transport-info or a [`ping`](Self::ping): how long a peer may
    /// be silent is another matter than how long it may take for an answer.
    #[must_use]
    pub fn waits_for_answer(&self) -> bool {
        self.unanswered_action().is_some()
    }

    /// The oldest request to which such an answer is due.
    #[must_use]
    pub fn unanswered_action(&self) -> Option<Action> {
        let is_due =
            |action: &Action| !matches!(action, Action::SessionTerminate | Action::SessionInfo | Action::TransportInfo);
        self.unanswered.iter().map(|sent| sent.action).find(is_due)
    }

    /// The ids of the requests to which an answer is due still.
    pub fn unanswered(&self) -> impl Iterator<Item = Id> {
        self.unanswered.iter().map(|sent| sent.id)
    }

    /// Responder: accepts the session. Queues a session-accept.
    ///
    /// # Errors
    ///
    /// When there is nothing to accept, or a value cannot be answered.
    pub fn accept(&mut self, answer: Acceptance) -> Result<(), AcceptError> {
        if self.role != Role::Responder || self.state != SessionState::Pending {
            return Err(AcceptError::NotPending);
        }
        // Draft § 3: a responder that supports XTLS MUST return <security/>; an empty one would agree on nothing.
        if answer.security.is_empty() {
            return Err(AcceptError::NoMethod);
        }
        let transport = self.own_answer(&answer)?;
        let mut security = answer.security;
        security.version = self.offer.security.version;
        // A choice that came early stands only if this answer allows it too.
        self.method = self.method.filter(|method| security.methods.contains(method));
        let content = self.offer.content_with(transport, security.clone());
        let request = self.request(Action::SessionAccept).with_responder(answer.responder).with_content(content);
        self.receipts = self.offer.receipts && answer.receipts;
        let request = if self.receipts { request.with_receipt(Receipt::Announced) } else { request };
        self.queue.push_back(request);
        self.answer = Some(security);
        self.state = SessionState::Active;
        Ok(())
    }

    /// Initiator: tells the responder which method to use. Queues a security-info.
    ///
    /// # Errors
    ///
    /// When there is nothing to choose (any more), or not both ends offered the method.
    pub fn choose(&mut self, method: Method) -> Result<(), ChooseError> {
        let (Role::Initiator, SessionState::Active, Some(answer)) = (self.role, self.state, &self.answer) else {
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
        self.queue.push_back(self.request(Action::SecurityInfo).with_content(content));
        self.method = Some(method);
        Ok(())
    }

    /// TLS has begun with this method: no security-info can change it any more, whether one came or not.
    pub fn tls_started(&mut self, method: Method) {
        self.method = Some(method);
        self.tls_began = true;
    }

    /// Asks whether the peer is alive: queues an empty session-info (XEP-0166 § 6.8).
    ///
    /// # Errors
    ///
    /// When the session has ended, or the last ping is not answered yet.
    pub fn ping(&mut self) -> Result<(), PingError> {
        if self.state == SessionState::Ended {
            return Err(PingError::Ended);
        }
        if self.is_pinging() {
            return Err(PingError::Unanswered);
        }
        self.queue.push_back(self.request(Action::SessionInfo));
        Ok(())
    }

    /// Whether a ping is queued or not answered yet.
    #[must_use]
    pub fn is_pinging(&self) -> bool {
        let is_ping = |request: &Jingle| request.action == Action::SessionInfo && request.receipt.is_none();
        self.queue.iter().any(is_ping)
            || self
                .unanswered
                .iter()
                .any(|sent| sent.action == Action::SessionInfo && !self.is_receipt(sent.id.as_str()))
    }

    /// Ends the session: queues a session-terminate, instead of what else was queued. The state is
    /// [`SessionState::Ended`] at once (XEP-0166 § 6.7).
    ///
    /// Nothing is queued if the session has ended before, or was never offered because its session-initiate is still
    /// queued.
    pub fn terminate(&mut self, reason: Reason) {
        if self.state == SessionState::Ended {
            return;
        }
        let is_unknown_to_peer = self.queue.iter().any(|request| request.action == Action::SessionInitiate);
        self.end();
        if !is_unknown_to_peer {
            self.queue.push_back(Jingle::terminate(&self.sid, reason).with_version(self.version));
        }
    }

    /// Takes out the next request: appends one whole IQ. `from` is for whom no server stamps.
    #[must_use]
    pub fn poll(&mut self, ids: &mut Ids, to: &str, from: Option<&str>, out: &mut String) -> Option<Sent> {
        let request = self.queue.pop_front()?;
        if self.queue.is_empty() {
            // For most of a session nothing waits.
            self.queue = VecDeque::new();
        }
        let sent = request.write_iq(ids, to, from, out);
        if request.action == Action::SessionInfo && request.receipt.is_some() {
            self.own_receipt = OwnReceipt::Sent(sent.id);
        }
        self.unanswered.push(sent);
        Some(sent)
    }

    /// Whether [`Session::poll`] has something to take out.
    #[must_use]
    pub fn wants_to_send(&self) -> bool {
        !self.queue.is_empty()
    }

    fn request(&self, action: Action) -> Jingle {
        Jingle::new(action, &self.sid).with_version(self.version)
    }

    /// Whether a request of this action waits to be sent or to be answered.
    fn is_open(&self, action: Action) -> bool {
        self.queue.iter().any(|request| request.action == action)
            || self.unanswered.iter().any(|sent| sent.action == action)
    }

    fn end(&mut self) {
        self.state = SessionState::Ended;
        self.queue.clear();
    }

    /// Whether a method is in both offers, as far as they are known.
    fn is_offered_by_both(&self, method: Method) -> bool {
        let answered = self.answer.as_ref().is_none_or(|answer| answer.methods.contains(&method));
        answered && self.offer.security.methods.contains(&method)
    }
}
