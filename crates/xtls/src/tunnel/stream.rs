//! An XML stream as what runs inside.

use xtls_channel::{EndedBy, Fault, SendError, Sign, Timer};
use xtls_jingle::Role;
use xtls_stanza::{Element, jid::FullJid};
use xtls_stream::{OpenError, StreamEvent, StreamFault, StreamRole, StreamSendError, TunnelStream};

use super::{
    Inside, NotUsable, Phase, TunnelCore,
    certificates::{GivenUp, Taken},
    inside::is_session,
    transport::Transport,
};
use crate::{
    certificates::CertificatesFault,
    error::StreamStateError,
    event::Event,
    shared::{Shared, Weight},
};

/// The state of a tunnel that carries an XML stream.
pub(super) struct XmlStream {
    stream: TunnelStream,
    /// Plaintext that the stream has not taken.
    pub(super) inbox: Vec<u8>,
    /// What the events hold in memory that the application has not taken.
    waiting: usize,
    /// The id of the question for the peer's certificates that is out.
    pub(super) asked_certificates: Option<xtls_stanza::Id>,
    /// Those of questions that nobody waits for any more.
    pub(super) given_up: GivenUp,
}

impl XmlStream {
    /// `hash` is the negotiation hash, and whether the peer has to show it.
    pub(super) fn new(role: Role, peer: &FullJid, hash: Option<([u8; 32], bool)>, shared: &Shared) -> Self {
        let role = match role {
            Role::Responder => StreamRole::Responder,
            Role::Initiator | _ => StreamRole::Initiator,
        };
        let mut stream = TunnelStream::new(role, shared.jid.clone(), peer.clone(), shared.config.tunnel_limits);
        if let Some((hash, is_required)) = hash {
            stream = stream.with_hash(hash, is_required);
        }
        Self { stream, inbox: Vec::new(), waiting: 0, asked_certificates: None, given_up: GivenUp::default() }
    }
}

impl XmlStream {
    /// Whether stanzas can be sent, and come.
    pub(super) fn is_open(&self) -> bool {
        self.stream.is_open()
    }

    /// Writes a stanza; false if it cannot be sent.
    pub(super) fn send(&mut self, stanza: &Element, out: &mut Vec<u8>) -> bool {
        self.stream.send(stanza, out).is_ok()
    }
}

impl TunnelCore {
    /// The initiator's header goes out with the end of its handshake (draft-meyer-xmpp-e2e-encryption-02 § 4).
    pub(super) fn begin_stream(&mut self, shared: &Shared) {
        let is_first = self.role == Role::Initiator;
        let Some(xml) = self.xml().filter(|_| is_first) else { return };
        let mut header = Vec::new();
        match xml.stream.open(&mut header) {
            Ok(()) => self.seal(&header),
            Err(_) => self.fail(Fault::Internal("a new stream cannot be opened"), shared),
        }
    }

    pub(crate) fn send(&mut self, stanza: &Element, shared: &mut Shared) -> Result<(), SendError> {
        self.check_usable()?;
        let room = self.room();
        let Some(Inside::Stream(xml)) = &mut self.inside else { return Err(SendError::NotXml) };
        if room == 0 {
            self.want_room();
            return Err(SendError::Full);
        }
        let mut text = shared.scratch.take_empty();
        let sent = xml.stream.send(stanza, &mut text);
        if sent.is_ok() {
            self.make_room(text.len(), shared);
            self.seal(&text);
        }
        shared.scratch.put_back(text, shared.config.block_size);
        sent.map_err(|slip| match slip {
            StreamSendError::NotOpen => SendError::NoStream,
            StreamSendError::From | StreamSendError::To => SendError::ForeignAddress,
            StreamSendError::TooLarge => SendError::TooLarge,
            StreamSendError::NotAStanza | _ => SendError::NotAStanza,
        })
    }

    pub(crate) fn open_stream(&mut self, _: &mut Shared) -> Result<(), StreamStateError> {
        self.check_usable()?;
        let Some(xml) = self.xml() else { return Err(StreamStateError::NotXml) };
        let mut header = Vec::new();
        xml.stream.open(&mut header).map_err(|slip| match slip {
            OpenError::Failed => StreamStateError::Closing,
            OpenError::AlreadyOpen | OpenError::NotInitiator | _ => StreamStateError::WrongState,
        })?;
        self.timers.clear(Timer::Reuse);
        self.seal(&header);
        Ok(())
    }

    pub(crate) fn close_stream(&mut self, _: &mut Shared) -> Result<(), StreamStateError> {
        self.check_usable()?;
        let Some(xml) = self.xml() else { return Err(StreamStateError::NotXml) };
        let mut farewell = Vec::new();
        xml.stream.close(&mut farewell).map_err(|_| StreamStateError::WrongState)?;
        self.farewell_from = Some(self.written());
        self.seal(&farewell);
        Ok(())
    }

    /// A peer that is there, and never opens the stream, is not waited for without end. A stream that was closed may be
    /// followed by another, which has a timer of its own.
    pub(super) fn settle_header_timer(&mut self, shared: &Shared) {
        let unsent = self.transport.as_ref().is_none_or(|transport| transport.carrier.in_flight() > 0);
        if unsent || self.is_overdue(Timer::Stream) || !self.awaits_header() {
            return self.timers.clear(Timer::Stream);
        }
        let timers = &shared.config.timers;
        let confirmed = self.security().is_some_and(|security| security.confirmed);
        // Until the peer has confirmed us, its user may still be judging our certificate.
        let wait = if confirmed { timers.answer } else { timers.question.saturating_add(timers.answer) };
        self.timers.set_if_unset(Timer::Stream, shared.after(wait));
    }

    /// Whether the peer has to open the stream next, or to show its hash where raw bytes begin with it.
    pub(super) fn awaits_header(&self) -> bool {
        let awaits = |stream: &TunnelStream| stream.awaits_header() || stream.is_idle();
        let is_due = match &self.inside {
            Some(Inside::Stream(xml)) => self.unseen() == 0 && !self.timers.is_set(Timer::Reuse) && awaits(&xml.stream),
            Some(Inside::Bytes(_)) => self.awaits_hash(),
            None => false,
        };
        self.is_secured() && is_due
    }

    /// Whether no stream is open: an end of the tunnel cuts nothing off.
    pub(super) fn is_idle_stream(&self) -> bool {
        matches!(&self.inside, Some(Inside::Stream(xml)) if xml.stream.is_idle() && xml.inbox.is_empty())
    }

    /// Hands the stream what has come, and on what it makes of it, until too much of that waits to be sent or to be told.
    pub(super) fn deliver_to_stream(&mut self, shared: &mut Shared) {
        let mut inbox = self.xml().map(|xml| core::mem::take(&mut xml.inbox)).unwrap_or_default();
        let mut rest = inbox.as_slice();
        while !rest.is_empty()
            && !self.is_held_by(shared.config.receive_buffer)
            && let Some(xml) = self.xml()
        {
            let mut answer = Vec::new();
            let used = xml.stream.handle_next(rest, &mut shared.ids, &mut answer);
            rest = rest.get(used..).unwrap_or_default();
            self.seal_answer(&answer);
            let told = self.drain_stream(used, shared);
            if used == 0 && !told {
                break;
            }
        }
        // The buffer is kept for its capacity.
        let used = inbox.len() - rest.len();
        inbox.drain(..used);
        if let Some(xml) = self.xml() {
            xml.inbox = inbox;
        }
    }

    /// Whether the stream may be given no more: because of what the peer is owed, or of what the application has not taken.
    pub(super) fn is_held_by(&mut self, events_max: usize) -> bool {
        let owed = self.transport.as_mut().map_or(0, Transport::owed);
        let waiting = self.xml().map_or(0, |xml| xml.waiting);
        (self.ended.is_none() && owed >= Self::MAX_OWED) || waiting >= events_max
    }

    /// Sends what answers a stanza of the peer.
    pub(super) fn answer(&mut self, stanza: &Element) {
        let mut text = Vec::new();
        // Where nothing can be sent any more, nothing is answered.
        if self.check_usable().is_ok()
            && let Some(xml) = self.xml()
            && xml.stream.send(stanza, &mut text).is_ok()
        {
            self.seal_answer(&text);
        }
    }

    /// Turns what the stream tells into events. `bytes` of plaintext led to it: they count as taken when the last of the
    /// events is.
    fn drain_stream(&mut self, bytes: usize, shared: &mut Shared) -> bool {
        let mut any = false;
        let id = self.id;
        let mut fault = None;
        // It is told when it is known whether it is the last one.
        let mut last = None;
        while let Some(event) = self.xml().and_then(|xml| xml.stream.poll_event()) {
            any = true;
            let (event, held) = match event {
                StreamEvent::Opened => {
                    self.see(Sign::Header, shared);
                    if self.ended.is_some() {
                        self.taken(bytes, shared);
                        return true;
                    }
                    self.timers.clear(Timer::Reuse);
                    (Event::StreamOpened { id }, 0)
                }
                StreamEvent::Stanza(stanza) => {
                    if is_session(&stanza, shared) {
                        shared.inside.push_back((self.id.number, stanza));
                        continue;
                    }
                    let held = stanza.held_bytes();
                    match self.take_certificates(&stanza, shared) {
                        Taken::No => (Event::Stanza { id, stanza }, held),
                        Taken::Yes => continue,
                        Taken::Told(event) => (event, held),
                    }
                }
                StreamEvent::Impersonation { claimed } => {
                    let held = claimed.len();
                    (Event::Impersonation { id, from: claimed }, held)
                }
                StreamEvent::Misaddressed { claimed } => {
                    let held = claimed.len();
                    (Event::Misaddressed { id, to: claimed }, held)
                }
                StreamEvent::Closed => {
                    self.stream_closed(shared);
                    if let Some(unanswered) = self.certificates_fault(CertificatesFault::StreamClosed) {
                        self.tell(last.replace((unanswered, 0)), 0, shared);
                    }
                    (Event::StreamClosed { id }, 0)
                }
                StreamEvent::NegotiationMatches => {
                    self.hash_matches(shared);
                    continue;
                }
                StreamEvent::Failed(failed) => {
                    fault = Some(failed);
                    continue;
                }
                _ => continue,
            };
            self.tell(last.replace((event, held)), 0, shared);
        }
        if last.is_none() {
            self.taken(bytes, shared);
        }
        self.tell(last, bytes, shared);
        if let Some(fault) = fault {
            self.fail(fault_of(fault), shared);
        }
        any
    }

    /// Tells an event of the stream's that holds so much; `bytes` of plaintext count as taken when it is.
    fn tell(&mut self, event: Option<(Event, usize)>, bytes: usize, shared: &mut Shared) {
        let Some((event, held)) = event else { return };
        let weight = Weight { tunnel: self.id, bytes, held: held + Weight::OF_AN_EVENT };
        if let Some(xml) = self.xml() {
            xml.waiting += weight.held;
        }
        shared.events.push_weighing(event, weight);
    }

    /// The application has taken an event of the stream's.
    pub(crate) fn event_taken(&mut self, weight: Weight, shared: &mut Shared) {
        if let Some(xml) = self.xml() {
            xml.waiting = xml.waiting.saturating_sub(weight.held);
        }
        self.taken(weight.bytes, shared);
        self.resume(shared);
    }

    /// The stream is closed in both directions, and the tunnel stays for another one.
    fn stream_closed(&mut self, shared: &Shared) {
        if self.is_secured() {
            self.farewell_from = None;
            self.timers.clear(Timer::Close);
            self.set(Timer::Reuse, shared.config.timers.reuse, shared);
        }
    }

    /// The peer has ended TLS in order.
    pub(super) fn stream_peer_closed(&mut self, shared: &Shared) {
        if self.phase < Phase::Closing {
            self.begin_close(EndedBy::Remote, shared);
        }
    }

    /// Says goodbye to the stream, if that was not done. Whether the peer's part of it is missing.
    pub(super) fn end_stream(&mut self) -> bool {
        let Some(xml) = self.xml() else { return false };
        let mut farewell = Vec::new();
        // One that was closed before only waits for its peer.
        let _ = xml.stream.close(&mut farewell);
        let waits = !xml.stream.is_idle();
        self.seal(&farewell);
        waits
    }

    pub(super) fn xml(&mut self) -> Option<&mut XmlStream> {
        match &mut self.inside {
            Some(Inside::Stream(xml)) => Some(xml),
            Some(Inside::Bytes(_)) | None => None,
        }
    }
}

/// What the negotiation came to is no matter of the stream that showed it.
fn fault_of(fault: StreamFault) -> Fault {
    match fault {
        StreamFault::NegotiationDiffers => Fault::NegotiationDiffers,
        StreamFault::NegotiationMissing => Fault::NegotiationMissing,
        other @ (StreamFault::Xml(_)
        | StreamFault::Namespace
        | StreamFault::Version
        | StreamFault::From
        | StreamFault::To
        | StreamFault::UnsupportedStanza
        | StreamFault::Reported { .. }
        | _) => Fault::Stream(other),
    }
}

impl From<NotUsable> for StreamStateError {
    fn from(why: NotUsable) -> Self {
        match why {
            NotUsable::NotSecured => Self::NotSecured,
            NotUsable::Closing => Self::Closing,
        }
    }
}

impl From<NotUsable> for SendError {
    fn from(why: NotUsable) -> Self {
        match why {
            NotUsable::NotSecured => Self::NotSecured,
            NotUsable::Closing => Self::Closing,
        }
    }
}
