//! One tunnel: a negotiation, the transport that it sets up, the secure channel over that, and the application inside.
//!
//! Each part owns its data. Each file is one concern:
//!
//! - `question`: does the peer have XTLS at all;
//! - `negotiation`: Jingle up to an agreed method;
//! - `redirect`: an offer that is to be made to another resource;
//! - `method`: which method, and what the user says about a password;
//! - `inside`: sessions that are negotiated inside of another tunnel;
//! - `connection`: which connection it will be, where it is to be one;
//! - `carried`: the connection that carries it;
//! - `transport`: what carries the records, and which of the plaintext in it has arrived;
//! - `secure`: what comes of the secure channel (`xtls-channel`);
//! - `stream` and `bytes`: the two applications;
//! - `agreement`: whether both ends saw the same negotiation;
//! - `receipt`: whether the other application has everything;
//! - `liveness`: is the peer there;
//! - `certificates`: those asked for and given inside the stream;
//! - `throttle`: does a server let little through;
//! - `timers`: what is waited for;
//! - `ending`: the ways a tunnel ends.

mod agreement;
mod bytes;
mod carried;
mod certificates;
mod connection;
mod ending;
mod inside;
mod liveness;
mod method;
mod negotiation;
mod question;
mod receipt;
mod redirect;
mod secure;
mod stream;
mod throttle;
mod timers;
mod transport;

use core::fmt;
use std::sync::Arc;

pub(crate) use self::{inside::Passed, negotiation::Wishes};

use xtls_channel::{Channel, CloseReason, EndedBy, Fault, Instant, Security, Side};
use xtls_jingle::{Role, Session, SessionState};
use xtls_stanza::{
    Envelope, Id,
    jid::{FullJid, Jid},
};

use self::{
    bytes::RawBytes, connection::Search, ending::Ended, liveness::Overdue, negotiation::Negotiation, receipt::Receipts,
    stream::XmlStream, timers::Table, transport::Transport,
};
use crate::{
    application::Application,
    config::Window,
    event::{Closed, Event, TunnelId},
    shared::Shared,
    stats::{TunnelPhase, TunnelStats},
    transports::Transport as WantedTransport,
};

pub use self::receipt::GiveReceipt;

/// How far a tunnel has come. It only ever moves down this list, but for a redirected offer, which begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Responder: nobody has decided on the offer.
    Ringing,
    /// Initiator: the peer is asked whether it supports XTLS.
    Asking,
    /// Initiator: the offer is out.
    Offered,
    /// The user is asked for the password that the answer, or the choice of a method, depends on.
    Password,
    /// Both have agreed. The channel tells how far TLS has come.
    Running,
    /// It ends in order.
    Closing,
    /// It has ended; a farewell may be on its way, and received bytes may wait to be read.
    Ended,
}

/// What runs inside, from the moment that the peer is accepted.
enum Inside {
    Stream(Box<XmlStream>),
    Bytes(RawBytes),
}

/// The peer's address, to be shared.
#[derive(Debug)]
struct Addresses {
    /// What it is found by.
    canonical: Arc<str>,
    /// What goes into stanzas.
    to: Arc<str>,
    /// What a server makes of it that prepares by RFC 6122, if that is another address.
    older: Option<Arc<str>>,
    /// For the stanzas of its bytestream.
    envelope: Envelope,
}

impl Addresses {
    fn of(peer: &FullJid, from: Option<&str>) -> Self {
        let canonical: Arc<str> = Arc::from(peer.canonical());
        let to = if peer.as_str() == &*canonical { Arc::clone(&canonical) } else { Arc::from(peer.as_str()) };
        let older = peer.prepared_by_rfc_6122();
        let older = (*older != *canonical).then(|| Arc::from(older));
        Self { envelope: Envelope::new(&to, from), canonical, to, older }
    }
}

/// One tunnel.
pub(crate) struct TunnelCore {
    pub(crate) id: TunnelId,
    /// Whose place it took when it began.
    place: Place,
    pub(crate) timers: Table,
    peer: FullJid,
    addresses: Addresses,
    role: Role,
    application: Application,
    phase: Phase,
    negotiation: Negotiation,
    /// What may carry it, the first choice first.
    transports: Vec<WantedTransport>,
    /// A connection is sought.
    search: Option<Box<Search>>,
    /// The tunnel that the session is negotiated in, if it is in one.
    inside_of: Option<u64>,
    /// Made when both have agreed, or when a responder opens the bytestream before it accepts.
    transport: Option<Transport>,
    /// Absent until an offered tunnel is accepted.
    channel: Option<Channel>,
    inside: Option<Inside>,
    receipts: Receipts,
    /// What a secured peer has not done in time, as it is asked whether it is there.
    overdue: Option<Overdue>,
    /// Who began an end in order.
    closing_by: EndedBy,
    began: Instant,
    secured_at: Option<Instant>,
    /// How much plaintext lies before the farewell that is on its way: the peer's answer is due once all of that is
    /// acknowledged.
    farewell_from: Option<u64>,
    /// The peer has ended the session, and what it sent by the connection before that may not be here yet.
    last_words: Option<CloseReason>,
    ended: Option<Ended>,
}

/// Whose place a tunnel takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Of a peer that is known, or of the user who offers.
    Known,
    /// Of a stranger: a peer without a pin that was never secured, and that the embedder has not named.
    Stranger,
}

/// Why a tunnel cannot be used for sending.
#[derive(Debug, Clone, Copy)]
enum NotUsable {
    NotSecured,
    Closing,
}

impl TunnelCore {
    fn new(id: TunnelId, peer: FullJid, role: Role, application: Application, shared: &Shared) -> Self {
        let addresses = Addresses::of(&peer, shared.from());
        Self {
            id,
            place: Place::Known,
            timers: Table::default(),
            peer,
            addresses,
            role,
            application,
            phase: Phase::Ringing,
            negotiation: Negotiation::default(),
            transports: vec![WantedTransport::InBand],
            search: None,
            inside_of: None,
            transport: None,
            channel: None,
            inside: None,
            receipts: Receipts::default(),
            overdue: None,
            closing_by: EndedBy::Local,
            began: shared.env.clock().now(),
            secured_at: None,
            farewell_from: None,
            last_words: None,
            ended: None,
        }
    }

    pub(crate) fn peer(&self) -> &FullJid {
        &self.peer
    }

    /// The peer's canonical address.
    pub(crate) fn address(&self) -> &Arc<str> {
        &self.addresses.canonical
    }

    /// The address that a server may take the peer's for.
    pub(crate) fn older_address(&self) -> Option<&Arc<str>> {
        self.addresses.older.as_ref()
    }

    /// Whether a request of this id may still be answered, and nothing is secured yet.
    pub(crate) fn attempts(&self, id: &str) -> bool {
        self.security().is_none() && self.unanswered().any(|own| own.as_str() == id)
    }

    /// A request was answered from an address that a server may confuse with the peer's.
    pub(crate) fn answered_by(&mut self, other: Jid, shared: &Shared) {
        self.fail(Fault::AnotherAnswered { address: other }, shared);
    }

    /// The peer, as a stanza's `to`.
    fn to(&self) -> &Arc<str> {
        &self.addresses.to
    }

    pub(crate) fn application(&self) -> &Application {
        &self.application
    }

    pub(crate) fn security(&self) -> Option<&Security> {
        self.channel.as_ref().and_then(Channel::security)
    }

    /// The sid of the session, also of one that is still to be offered under that; empty while there is none.
    pub(crate) fn session_sid(&self) -> &str {
        let named = self.negotiation.named.as_deref().unwrap_or_default();
        self.negotiation.session.as_ref().map_or(named, Session::sid)
    }

    /// The sid of the session's in-band bytestream; empty while there is none.
    pub(crate) fn bytestream_sid(&self) -> &str {
        self.negotiation.session.as_ref().and_then(Session::in_band).map_or("", |in_band| &in_band.sid)
    }

    /// Whether it is an offer that nobody has decided on.
    pub(crate) fn is_ringing(&self) -> bool {
        self.phase == Phase::Ringing
    }

    /// Whether it is an XML stream that we offer, or are about to, and that the peer has not accepted.
    pub(crate) fn is_pending_stream(&self) -> bool {
        self.is_xml() && matches!(self.phase, Phase::Asking | Phase::Offered)
    }

    /// Whether our offer is made.
    pub(crate) fn has_offered(&self) -> bool {
        self.phase > Phase::Asking
    }

    /// Whether it is an XML stream that both have agreed to and that does not end.
    pub(crate) fn is_live_stream(&self) -> bool {
        self.is_xml() && (Phase::Password..Phase::Closing).contains(&self.phase)
    }

    /// Whether its id is alive: it is decided on, and its end has not been told.
    pub(crate) fn is_usable(&self) -> bool {
        !self.is_ringing() && !self.ended.as_ref().is_some_and(|ended| ended.told)
    }

    /// Whose place it takes: a stranger's until the peer is authenticated, and none once it has ended.
    pub(crate) fn place(&self) -> Option<Place> {
        match self.place {
            _ if self.ended.is_some() => None,
            Place::Stranger if self.security().is_none() => Some(Place::Stranger),
            Place::Stranger | Place::Known => Some(Place::Known),
        }
    }

    /// Whether it has ended, everybody knows, and only a farewell is on its way.
    pub(crate) fn is_farewell(&self) -> bool {
        self.ended.as_ref().is_some_and(|ended| ended.told && ended.is_left())
    }

    /// Whether nothing is left to tell, to send or to wait for.
    pub(crate) fn is_finished(&self) -> bool {
        self.ended.as_ref().is_some_and(|ended| ended.told && !ended.is_left())
    }

    /// The ids of requests that may still be answered.
    pub(crate) fn unanswered(&self) -> impl Iterator<Item = Id> {
        let bytestream = self.transport.iter().flat_map(|transport| transport.carrier.unanswered());
        self.negotiation.unanswered().chain(bytestream)
    }

    pub(crate) fn unacked(&self) -> u64 {
        self.transport.as_ref().map_or(0, Transport::unacked)
    }

    /// Bytes of records that no stanza has taken yet.
    pub(crate) fn unsent(&self) -> usize {
        self.transport.as_ref().map_or(0, |transport| transport.carrier.queued())
    }

    pub(crate) fn stats(&self, shared: &Shared) -> TunnelStats {
        let now = shared.env.clock().now();
        let since = |moment: Instant| now.saturating_duration_since(moment);
        let mut stats = TunnelStats {
            phase: self.stage(),
            age: since(self.began),
            secured_for: self.secured_at.map(since),
            sent: 0,
            acked: 0,
            received: 0,
            blocks_sent: 0,
            blocks_received: 0,
            blocks_in_flight: 0,
            retries: 0,
            throttled: None,
            window: matches!(shared.config.window, Window::Adaptive).then(|| shared.flow.window()),
            round_trip: shared.flow.round_trip(),
        };
        if let Some(transport) = &self.transport {
            transport.note(&mut stats);
        }
        stats
    }

    /// By whom and why it has ended.
    #[cfg(feature = "tracing")]
    pub(crate) fn the_end(&self) -> Option<(EndedBy, &CloseReason)> {
        self.ended.as_ref().map(|ended| (ended.by, &ended.reason))
    }

    /// How far it has come, the channel's way included.
    pub(crate) fn stage(&self) -> TunnelPhase {
        match self.phase {
            Phase::Ringing => TunnelPhase::Ringing,
            Phase::Asking => TunnelPhase::Asking,
            Phase::Offered => TunnelPhase::Offered,
            Phase::Password => TunnelPhase::Password,
            Phase::Running if self.security().is_some() => TunnelPhase::Secured,
            Phase::Running => match &self.channel {
                Some(channel) if channel.is_judging() => TunnelPhase::Judging,
                Some(channel) if channel.is_confirming() => TunnelPhase::Confirming,
                Some(_) | None => TunnelPhase::Handshake,
            },
            Phase::Closing => TunnelPhase::Closing,
            Phase::Ended => TunnelPhase::Ended,
        }
    }

    /// Takes one stanza out, if there is one to send.
    pub(crate) fn poll_transmit(&mut self, shared: &mut Shared, out: &mut String) -> Option<Arc<str>> {
        // What a session needs first to begin (security-info before the bytestream opens) it needs last to end: the TLS
        // alert that says why is to arrive before the session-terminate.
        if let Some(proxy) = self.poll_activation(shared, out) {
            return Some(Arc::from(proxy.as_str()));
        }
        let ends = self.negotiation.session.as_ref().is_some_and(|session| session.state() == SessionState::Ended);
        let sent = if ends {
            self.poll_bytestream(shared, out) || self.poll_session(shared, out)
        } else {
            self.poll_query(shared, out) || self.poll_session(shared, out) || self.poll_bytestream(shared, out)
        };
        if sent {
            self.after_sending(shared);
            if self.unseen() > 0 {
                // What the peer is owed was in the way.
                self.resume(shared);
                self.settle(shared);
            }
        }
        if ends {
            self.after_farewell();
        }
        debug_assert!(sent || self.has_end_in_sight(), "a tunnel in {:?} that may last for ever", self.phase);
        sent.then(|| Arc::clone(self.to()))
    }

    /// Whether it has ended, and has not told the peer yet.
    pub(crate) fn owes_farewell(&self) -> bool {
        let session = self.negotiation.session.as_ref();
        session.is_some_and(|session| session.state() == SessionState::Ended && session.wants_to_send())
    }

    /// Sees to what follows from whatever happened.
    pub(crate) fn settle(&mut self, shared: &mut Shared) {
        self.advance_end(shared);
        self.advance_letting_go(shared);
        if self.transport.as_ref().is_some_and(Transport::is_exhausted) {
            self.fail(Fault::Internal("the TLS keys are used up"), shared);
        }
        self.tell_writable(shared);
        self.tell_end(shared);
        self.settle_timers(shared);
        self.trim_memory(shared);
    }

    fn is_xml(&self) -> bool {
        matches!(self.application, Application::XmlStream)
    }

    /// Whether it can be used: the peer is authenticated, and nothing ends.
    fn is_secured(&self) -> bool {
        self.phase == Phase::Running && self.security().is_some()
    }

    fn check_usable(&self) -> Result<(), NotUsable> {
        match self.phase {
            Phase::Closing | Phase::Ended => Err(NotUsable::Closing),
            Phase::Running if self.is_secured() => Ok(()),
            Phase::Ringing | Phase::Asking | Phase::Offered | Phase::Password | Phase::Running => {
                Err(NotUsable::NotSecured)
            }
        }
    }

    pub(crate) fn side(&self) -> Side {
        match self.role {
            Role::Responder => Side::Responder,
            Role::Initiator | _ => Side::Initiator,
        }
    }

    /// Plaintext that the application can read and has not.
    fn unread(&self) -> usize {
        match &self.inside {
            Some(Inside::Bytes(raw)) => raw.unread(),
            Some(Inside::Stream(_)) | None => self.unseen(),
        }
    }

    /// Plaintext that the stream has not looked at.
    fn unseen(&self) -> usize {
        match &self.inside {
            Some(Inside::Stream(xml)) => xml.inbox.len(),
            Some(Inside::Bytes(_)) | None => 0,
        }
    }

    fn tell_end(&mut self, shared: &mut Shared) {
        if self.unread() > 0 {
            return;
        }
        let Some(ended) = self.ended.as_mut().filter(|ended| !ended.told) else { return };
        ended.told = true;
        self.timers.clear(xtls_channel::Timer::Drain);
        if ended.undecided {
            if !shared.events.retract(self.id) {
                shared.events.push(Event::IncomingGone { id: self.id });
            }
            return;
        }
        shared.events.push(Event::Closed(Closed {
            id: self.id,
            peer: self.peer.clone(),
            by: ended.by,
            reason: ended.reason.clone(),
            truncated: ended.truncated,
            unacked: ended.unacked,
            receipt: ended.receipt,
        }));
    }
}

/// What the user said and what keys were made from stays out of it.
impl fmt::Debug for TunnelCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel")
            .field("peer", &self.peer.as_str())
            .field("role", &self.role)
            .field("phase", &self.phase)
            .field("channel", &self.channel)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
