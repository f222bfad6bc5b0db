//! One tunnel: a Jingle session, the bytestream it negotiates, TLS over that, and what runs inside.
//!
//! Each file is one concern; all work on the same [`Tunnel`], which is small enough to be read whole:
//!
//! - `support`: does the peer have XTLS at all;
//! - `negotiation`: Jingle up to an agreed method;
//! - `probe`: what would become of it, before there is one;
//! - `redirect`: an offer that is to be made to somebody else;
//! - `method`: which method, and whose password;
//! - `handshake`: how TLS begins, by either method;
//! - `transport`: blocks to TLS records and back;
//! - `trust`: whose certificate is it;
//! - `stream` and `bytes`: the two applications;
//! - `certificates`: those asked for and given inside of the stream;
//! - `ending`: the ways a tunnel ends.

mod bytes;
mod certificates;
mod ending;
mod handshake;
mod method;
mod negotiation;
mod probe;
mod redirect;
mod stream;
mod support;
mod transport;
mod trust;

use core::fmt;
use std::sync::Arc;

use xtls_ibb::Bytestream;
use xtls_jingle::{Role, Session, SessionState};
use xtls_stanza::{Fingerprint, Id, StanzaError, jid::FullJid};
use xtls_stream::TunnelStream;
use xtls_tls::TlsSession;

use self::{
    bytes::RawBytes,
    ending::Ended,
    method::Secret,
    support::Question,
    transport::{Opened, Sealed},
};
use crate::{
    application::{Application, TunnelOptions},
    event::{Closed, EndedBy, Event, TunnelId},
    fault::Fault,
    judgement::Verified,
    security::Security,
    shared::Shared,
    timer::{Table, Timer},
};

/// How far a tunnel has come. It only ever moves down this list, but for a redirected offer, which begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Initiator: the peer is asked whether it supports XTLS.
    Asking,
    /// Initiator: the offer is out. Responder: nobody has decided on it.
    Offered,
    /// A person is asked for the password that the answer, or the choice of a method, depends on.
    Password,
    /// Both have agreed; the bytestream is being opened and TLS has not begun.
    Accepted,
    /// The TLS handshake runs.
    Handshake,
    /// A person judges the certificate.
    Judging,
    /// Initiator: all is well here; the responder has not shown yet that it thinks so too.
    Confirming,
    /// It can be used.
    Secured,
    /// It ends in order.
    Closing,
    /// It has ended; a farewell may be on its way, and received bytes may wait to be read.
    Ended,
}

/// What runs inside.
enum Inside {
    Stream(Box<TunnelStream>),
    Bytes(RawBytes),
}

/// One tunnel.
pub(crate) struct Tunnel {
    pub(crate) id: TunnelId,
    pub(crate) timers: Table,
    /// Whether the engine has it in its list of those that may have something to send.
    pub(crate) ready: bool,
    peer: FullJid,
    to: Arc<str>,
    role: Role,
    phase: Phase,
    application: Application,
    /// The offer goes to another resource than was asked for.
    redirected: bool,
    /// Absent until an offered tunnel is accepted.
    options: Option<TunnelOptions>,
    /// Whether it has XTLS, as the peer is asked.
    question: Question,
    /// Absent while the peer is asked for its features.
    session: Option<Session>,
    bytestream: Option<Bytestream>,
    /// Ids of requests that nobody waits for any more and that may still be answered.
    late: Vec<Id>,
    /// Why blocks came back, since something got through last, and how many times in a row they are sent again.
    returned: Option<StanzaError>,
    retries: u32,
    tls: Option<TlsSession>,
    inside: Inside,
    /// What TLS wants to send and may not yet.
    held: Vec<u8>,
    /// How much of a record that is larger than a block is still to be sent.
    split: usize,
    /// Which of the plaintext that was sealed has been acknowledged.
    sealed: Sealed,
    /// Which of the plaintext that came has been taken.
    opened: Opened,
    /// Authenticated plaintext that came before the peer was judged.
    early: Vec<u8>,
    /// Fingerprints that the peer announced in its offer or answer.
    announced: Vec<Fingerprint>,
    /// The password that is shared with the peer.
    secret: Secret,
    /// The first bytes of a handshake whose method is not known yet.
    sniffed: Vec<u8>,
    verified: Option<Verified>,
    /// A guess at the password that was lost on this tunnel has been counted.
    guess_counted: bool,
    security: Option<Box<Security>>,
    /// TLS can seal nothing more.
    exhausted: bool,
    /// The id of the question for the peer's certificates that is out.
    asked_certificates: Option<Id>,
    /// Who began an end in order.
    closing_by: EndedBy,
    /// How much plaintext lies before the farewell that is on its way: the peer's answer is due once all of that is
    /// acknowledged.
    farewell_from: Option<u64>,
    /// The application found no room for what it wanted to send.
    wants_room: bool,
    ended: Option<Ended>,
}

impl Tunnel {
    fn new(id: TunnelId, peer: FullJid, role: Role, application: Application, shared: &Shared) -> Self {
        let inside = match application {
            Application::XmlStream => Inside::Stream(Box::new(stream::new(role, &peer, shared))),
            Application::Bytes(_) => Inside::Bytes(RawBytes::default()),
        };
        let to = Arc::from(peer.as_str());
        Self {
            id,
            timers: Table::default(),
            ready: false,
            peer,
            to,
            role,
            phase: Phase::Offered,
            application,
            redirected: false,
            options: None,
            question: Question::default(),
            session: None,
            bytestream: None,
            late: Vec::new(),
            returned: None,
            retries: 0,
            tls: None,
            inside,
            held: Vec::new(),
            split: 0,
            sealed: Sealed::default(),
            opened: Opened::default(),
            early: Vec::new(),
            announced: Vec::new(),
            secret: Secret::default(),
            sniffed: Vec::new(),
            verified: None,
            guess_counted: false,
            security: None,
            exhausted: false,
            asked_certificates: None,
            closing_by: EndedBy::Local,
            farewell_from: None,
            wants_room: false,
            ended: None,
        }
    }

    pub(crate) fn peer(&self) -> &FullJid {
        &self.peer
    }

    /// The peer, as a stanza's `to`.
    pub(crate) fn address(&self) -> &Arc<str> {
        &self.to
    }

    pub(crate) fn application(&self) -> &Application {
        &self.application
    }

    pub(crate) fn security(&self) -> Option<&Security> {
        self.security.as_deref()
    }

    /// The sid of the session; empty while there is none.
    pub(crate) fn session_sid(&self) -> &str {
        self.session.as_ref().map_or("", Session::sid)
    }

    pub(crate) fn has_session(&self, sid: &str) -> bool {
        self.session.as_ref().is_some_and(|session| session.sid() == sid)
    }

    pub(crate) fn has_bytestream(&self, sid: &str) -> bool {
        self.session.as_ref().is_some_and(|session| session.ibb_sid() == sid)
    }

    pub(crate) fn is_xml(&self) -> bool {
        matches!(self.inside, Inside::Stream(_))
    }

    /// Whether it is an offer that nobody has decided on.
    pub(crate) fn is_ringing(&self) -> bool {
        self.role == Role::Responder && self.phase == Phase::Offered
    }

    /// Whether it is an XML stream that we offer to this peer, or are about to, and that it has not accepted.
    pub(crate) fn is_pending_stream_to(&self, peer: &FullJid) -> bool {
        self.is_xml() && self.role == Role::Initiator && self.phase <= Phase::Offered && self.peer == *peer
    }

    /// Whether our offer is made.
    pub(crate) fn has_offered(&self) -> bool {
        self.phase > Phase::Asking
    }

    /// Whether it is an XML stream with this peer that both have agreed to and that does not end.
    pub(crate) fn is_live_stream_with(&self, peer: &FullJid) -> bool {
        self.is_xml() && (Phase::Password..Phase::Closing).contains(&self.phase) && self.peer == *peer
    }

    /// Whether its id is alive: it is decided on, and its end has not been told.
    pub(crate) fn is_usable(&self) -> bool {
        !self.is_ringing() && !self.ended.as_ref().is_some_and(|ended| ended.told)
    }

    /// Whether nothing is left to tell, to send or to wait for.
    pub(crate) fn is_finished(&self) -> bool {
        self.ended.as_ref().is_some_and(|ended| ended.told && !ended.lingers)
    }

    /// The ids of requests that may still be answered.
    pub(crate) fn unanswered(&self) -> impl Iterator<Item = Id> {
        let session = self.session.iter().flat_map(Session::unanswered);
        let bytestream = self.bytestream.iter().flat_map(Bytestream::unanswered);
        self.late.iter().copied().chain(self.question.unanswered()).chain(session).chain(bytestream)
    }

    /// A stanza came from the peer: it is alive.
    pub(crate) fn heard(&mut self, shared: &mut Shared) {
        self.timers.clear(Timer::Gone);
        self.timers.clear(Timer::LivenessAnswer);
        if (Phase::Accepted..Phase::Ended).contains(&self.phase) {
            self.timers.set(Timer::LivenessIdle, shared.after(shared.config.timers.liveness_idle));
        }
    }

    /// The peer went offline, says its server (XEP-0166 § 6.7).
    pub(crate) fn unavailable(&mut self, shared: &Shared) {
        if self.ended.is_none() {
            self.timers.set_if_unset(Timer::Gone, shared.after(shared.config.timers.gone));
        }
    }

    /// Takes one stanza out, if there is one to send.
    pub(crate) fn poll_transmit(&mut self, shared: &mut Shared, out: &mut String) -> Option<Arc<str>> {
        // What a session needs first to begin (security-info before the bytestream opens) it needs last to end: the TLS
        // alert that says why is to arrive before the session-terminate.
        let ends = self.session.as_ref().is_some_and(|session| session.state() == SessionState::Ended);
        let sent = if ends {
            self.poll_bytestream(shared, out) || self.poll_session(shared, out)
        } else {
            self.poll_query(shared, out) || self.poll_session(shared, out) || self.poll_bytestream(shared, out)
        };
        if sent {
            self.after_sending(shared);
        }
        if ends {
            self.after_farewell();
        }
        sent.then(|| Arc::clone(&self.to))
    }

    /// Sees to what follows from whatever happened.
    pub(crate) fn settle(&mut self, shared: &mut Shared) {
        self.advance_end(shared);
        if self.exhausted {
            self.fail(Fault::Internal("TLS can seal nothing more"), shared);
        }
        self.count_guess(shared);
        self.tell_writable(shared);
        self.tell_end(shared);
        self.settle_timers(shared);
    }

    /// What is not waited for any more has no timer.
    fn settle_timers(&mut self, shared: &Shared) {
        if let Some(from) = self.farewell_from.filter(|_| self.ended.is_none()) {
            if self.sealed.acked() < from {
                // What was written goes first, and has the time that data has.
                self.timers.clear(Timer::Close);
            } else {
                self.timers.set_if_unset(Timer::Close, shared.after(shared.config.timers.close));
            }
        }
        self.settle_header_timer(shared);
        if !self.waits_for_answer() {
            self.timers.clear(Timer::Answer);
        }
        let in_flight = self.bytestream.as_ref().map_or(0, Bytestream::in_flight);
        if in_flight == 0 || self.ended.is_some() {
            self.timers.clear(Timer::Stall);
        }
        if !self.bytestream.as_ref().is_some_and(Bytestream::is_suspended) {
            self.timers.clear(Timer::Retry);
        }
    }

    fn after_sending(&mut self, shared: &Shared) {
        if self.ended.is_none() && self.waits_for_answer() {
            self.timers.set_if_unset(Timer::Answer, shared.after(shared.config.timers.answer));
        }
        if self.bytestream.as_ref().is_some_and(|bytestream| bytestream.in_flight() > 0) && self.ended.is_none() {
            self.timers.set_if_unset(Timer::Stall, shared.after(shared.config.timers.stall));
        }
    }

    /// Plaintext that the application can read and has not.
    fn unread(&self) -> usize {
        match &self.inside {
            Inside::Bytes(raw) => raw.unread(),
            Inside::Stream(_) => 0,
        }
    }

    fn tell_end(&mut self, shared: &mut Shared) {
        if self.unread() > 0 {
            return;
        }
        let Some(ended) = self.ended.as_mut().filter(|ended| !ended.told) else { return };
        ended.told = true;
        self.timers.clear(Timer::Drain);
        if self.role == Role::Responder && self.options.is_none() {
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
        }));
    }
}

/// What people said and what keys were made from stays out of it.
impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel")
            .field("peer", &self.peer.as_str())
            .field("role", &self.role)
            .field("phase", &self.phase)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
