//! One end of the stream.

mod hash;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::as_conversions)]
mod tests;

use xtls_stanza::jid::FullJid;
use xtls_stanza::{Element, Id, Ids, Limits, StreamHeader, StreamItem, StreamReader, ns, write::to_bytes};

use self::hash::Hash;
use crate::{
    CloseError, OpenError, StreamError, StreamEvent, StreamFault, StreamSendError,
    address::{End, Named},
    queue::Queue,
    rules::{check_namespaces, is_stanza, is_supported, reported, stamp, unsupported, write_without_addresses},
    write,
};

/// The part that this end had in setting up the tunnel. It decides who opens the first stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamRole {
    /// It sent the session-initiate, and opens the first stream (draft-meyer § 4).
    Initiator,
    /// It accepted, and answers the first stream.
    Responder,
}

/// One end of the XML stream inside a tunnel, between two full JIDs that the tunnel has authenticated.
///
/// Its methods are of four kinds: getters; [`TunnelStream::handle_bytes`], which brings in what was decrypted; the
/// commands [`open`](TunnelStream::open), [`send`](TunnelStream::send) and [`close`](TunnelStream::close); and
/// [`TunnelStream::poll_event`]. Whatever has to be encrypted and sent is appended to the `out` of the call that causes
/// it.
///
/// ```
/// use xtls_stanza::{Element, Ids, Limits, jid::FullJid};
/// use xtls_stream::{StreamEvent, StreamRole, TunnelStream};
///
/// let romeo = FullJid::new("romeo@montague.lit/orchard")?;
/// let juliet = FullJid::new("juliet@capulet.lit/balcony")?;
/// let mut initiator = TunnelStream::new(StreamRole::Initiator, romeo.clone(), juliet.clone(), Limits::default());
/// let mut responder = TunnelStream::new(StreamRole::Responder, juliet, romeo, Limits::default());
/// let (mut initiator_ids, mut responder_ids) = (Ids::new([1; 32]), Ids::new([2; 32]));
///
/// let (mut to_responder, mut to_initiator) = (Vec::new(), Vec::new());
/// initiator.open(&mut to_responder)?;
/// assert_eq!(responder.handle_bytes(&to_responder, &mut responder_ids, &mut to_initiator), to_responder.len());
/// to_responder.clear();
/// assert_eq!(initiator.handle_bytes(&to_initiator, &mut initiator_ids, &mut to_responder), to_initiator.len());
/// assert!(matches!(initiator.poll_event(), Some(StreamEvent::Opened)));
/// assert!(matches!(responder.poll_event(), Some(StreamEvent::Opened)));
///
/// let message = Element::builder("message", "jabber:client").open("body", "jabber:client").text("M'lady").build()?;
/// initiator.send(&message, &mut to_responder)?;
/// assert_eq!(responder.handle_bytes(&to_responder, &mut responder_ids, &mut to_initiator), to_responder.len());
/// let Some(StreamEvent::Stanza(message)) = responder.poll_event() else { panic!("a message was sent") };
/// assert_eq!(message.attribute("from"), Some("romeo@montague.lit/orchard"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Bounds: once [`TunnelStream::MAX_EVENTS`] events wait, or stanzas that hold [`Limits::stanza_bytes`] in memory, no more is
/// read until they have been polled. Of a stanza that is incomplete what was read of at most `stanza_bytes` is kept.
#[derive(Debug)]
pub struct TunnelStream {
    role: StreamRole,
    local: End,
    peer: End,
    limits: Limits,
    reader: StreamReader,
    outgoing: Outgoing,
    /// The peer's header has come and its end has not.
    incoming: bool,
    /// This end answered the peer's header, instead of the other way round.
    answered: bool,
    /// A stream has been closed: the next may be opened from either end.
    reused: bool,
    failed: bool,
    hash: Option<Hash>,
    events: Queue<StreamEvent>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outgoing {
    Idle,
    Open,
    Closed,
}

impl TunnelStream {
    /// The most events that wait to be polled.
    pub const MAX_EVENTS: usize = Queue::<StreamEvent>::MAX_EVENTS;

    /// The stream of a tunnel that has been secured, not opened yet. `local` and `peer` are its two ends; `limits` bound
    /// every stanza, in both directions.
    #[must_use]
    pub fn new(role: StreamRole, local: FullJid, peer: FullJid, limits: Limits) -> Self {
        Self {
            role,
            local: End::new(local),
            peer: End::new(peer),
            limits,
            reader: StreamReader::new(limits),
            outgoing: Outgoing::Idle,
            incoming: false,
            answered: false,
            reused: false,
            failed: false,
            hash: None,
            events: Queue::new(limits.stanza_bytes),
        }
    }

    /// The same with the hash of what the ends said to one another outside of the tunnel, as this end saw it.
    ///
    /// Each stream begins with a comparison: the end that answers has its hash among its features, and the other sends its own
    /// as the first element when it has checked that. Nothing that follows is given out before. A peer that has none is taken,
    /// unless a hash `is_required`.
    #[must_use]
    pub fn with_hash(mut self, hash: [u8; 32], is_required: bool) -> Self {
        self.hash = Some(Hash::new(hash, is_required));
        self
    }

    /// The local end.
    #[must_use]
    pub fn local(&self) -> &FullJid {
        self.local.jid()
    }

    /// The authenticated peer.
    #[must_use]
    pub fn peer(&self) -> &FullJid {
        self.peer.jid()
    }

    /// Whether stanzas can be sent: both headers are there, and no end is; and the hash, where the peer's comes first.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.incoming && self.outgoing == Outgoing::Open && !self.awaits_hash()
    }

    /// Whether our header was sent and the peer's has not come, or not the hash that has to follow it.
    #[must_use]
    pub fn awaits_header(&self) -> bool {
        self.outgoing == Outgoing::Open && (!self.incoming || self.awaits_hash())
    }

    /// Whether there is no stream in either direction, nor the beginning of one: the tunnel can end here without cutting
    /// anything off.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        !self.incoming && self.outgoing == Outgoing::Idle && self.reader.buffered() == 0
    }

    /// Whether the stream has failed and is of no further use.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.failed
    }

    /// Brings in decrypted bytes, cut anyhow, and appends the answers to `out`: header and features to a header, an end
    /// to an end, a stream error to a fault. Returns how many bytes were used.
    ///
    /// Fewer than all are used when the events that wait have reached their bound; the rest is to be passed again after
    /// polling. After a failure all are used up and have no effect.
    #[must_use = "bytes that were not used must be passed again"]
    pub fn handle_bytes(&mut self, bytes: &[u8], ids: &mut Ids, out: &mut Vec<u8>) -> usize {
        let mut rest = bytes;
        loop {
            let used = self.handle_next(rest, ids, out);
            rest = rest.get(used..).unwrap_or_default();
            if used == 0 || rest.is_empty() {
                return bytes.len() - rest.len();
            }
        }
    }

    /// The same up to the end of the next header, stanza or end, so that the caller can stop when too much waits to be sent.
    #[must_use = "bytes that were not used must be passed again"]
    pub fn handle_next(&mut self, bytes: &[u8], ids: &mut Ids, out: &mut Vec<u8>) -> usize {
        let mut input = bytes;
        let mut read = if self.failed || !self.events.has_room() { Ok(None) } else { self.reader.read(&mut input) };
        while let Some(item) = read.transpose() {
            let done = item.map_err(|fault| StreamFault::Xml(fault.kind)).and_then(|item| self.item(item, ids, out));
            if let Err(fault) = done {
                self.fail(fault, ids, out);
                return bytes.len();
            }
            // A header that is an empty element is followed by its end, which takes no bytes.
            read = self.reader.read(&mut &[][..]);
        }
        if self.failed { bytes.len() } else { bytes.len() - input.len() }
    }

    /// Opens the stream: appends the header to `out`. [`StreamEvent::Opened`] follows when the peer has answered.
    ///
    /// The first stream is the initiator's; once it has been closed, either end may open another (draft-meyer § 4).
    ///
    /// # Errors
    ///
    /// When a stream exists already or cannot exist.
    pub fn open(&mut self, out: &mut Vec<u8>) -> Result<(), OpenError> {
        if self.failed {
            return Err(OpenError::Failed);
        }
        if self.outgoing != Outgoing::Idle {
            return Err(OpenError::AlreadyOpen);
        }
        if self.role == StreamRole::Responder && !self.reused {
            return Err(OpenError::NotInitiator);
        }
        self.write_header(None, out);
        self.outgoing = Outgoing::Open;
        Ok(())
    }

    /// Sends a message, presence or IQ: appends it to `out`.
    ///
    /// Addresses that name the ends of the tunnel are left out (XEP-0246 § 4); bare JIDs of the ends are kept.
    ///
    /// # Errors
    ///
    /// When the stream is not open, or this stanza has no place in it. Nothing is appended then.
    pub fn send(&mut self, stanza: &Element, out: &mut Vec<u8>) -> Result<(), StreamSendError> {
        if !self.is_open() {
            return Err(StreamSendError::NotOpen);
        }
        if !is_stanza(stanza) {
            return Err(StreamSendError::NotAStanza);
        }
        to_bytes(out, |text| {
            let written = write_without_addresses(stanza, &self.local, &self.peer, text);
            let is_too_large = text.len() > self.limits.stanza_bytes;
            let sent = if is_too_large { written.and(Err(StreamSendError::TooLarge)) } else { written };
            if sent.is_err() {
                text.clear();
            }
            sent
        })
    }

    /// Ends the stream in the outgoing direction: appends its end to `out`. Stanzas may still come in;
    /// [`StreamEvent::Closed`] follows when the peer has closed too (XEP-0246 § 5).
    ///
    /// # Errors
    ///
    /// When there is no open stream.
    pub fn close(&mut self, out: &mut Vec<u8>) -> Result<(), CloseError> {
        if self.outgoing != Outgoing::Open {
            return Err(CloseError::NotOpen);
        }
        write::end(out);
        self.outgoing = Outgoing::Closed;
        Ok(())
    }

    /// The next event.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<StreamEvent> {
        self.events.pop()
    }

    fn item(&mut self, item: StreamItem, ids: &mut Ids, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        match item {
            StreamItem::Header(header) => self.header(&header, ids, out),
            StreamItem::Stanza(stanza) => self.child(stanza, out),
            StreamItem::Close => self.peer_closed(out),
            // The stream reader knows no other items.
            _ => Err(StreamFault::UnsupportedStanza),
        }
    }

    fn header(&mut self, header: &StreamHeader, ids: &mut Ids, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        self.check_header(header)?;
        self.incoming = true;
        if self.outgoing == Outgoing::Idle {
            self.answer_header(ids, out);
            write::features(self.hash.as_ref().map(Hash::own), out);
        }
        if let Some(hash) = &mut self.hash {
            hash.expect(self.answered || header.scope().binds(ns::NEGOTIATION_1));
        }
        self.tell_opened();
        Ok(())
    }

    fn tell_opened(&mut self) {
        if self.is_open() {
            self.events.push(StreamEvent::Opened, 0);
        }
    }

    fn check_header(&self, header: &StreamHeader) -> Result<(), StreamFault> {
        check_namespaces(header)?;
        // XEP-0246 § 2 and the draft only recommend addresses, and the tunnel has authenticated the peer anyway. A bare
        // JID is XEP-0246's own way. Anything else contradicts the tunnel.
        if matches!(self.peer.named(header.from()), Named::Other(_)) {
            return Err(StreamFault::From);
        }
        if matches!(self.local.named(header.to()), Named::Other(_)) {
            return Err(StreamFault::To);
        }
        let is_answer = self.outgoing != Outgoing::Idle;
        if !header.version().is_some_and(|version| is_supported(version, is_answer)) {
            return Err(StreamFault::Version);
        }
        Ok(())
    }

    /// XEP-0246 § 2, with full JIDs (XEP-0247 § 2).
    fn write_header(&self, id: Option<Id>, out: &mut Vec<u8>) {
        let (from, to) = (Some(self.local.full()), Some(self.peer.full()));
        let announces_hash = id.is_some() && self.hash.is_some();
        let id = id.as_ref().map(Id::as_str);
        write::Header { from, id, to, version: true, announces_hash, ..Default::default() }.write(out);
    }

    fn answer_header(&mut self, ids: &mut Ids, out: &mut Vec<u8>) {
        self.write_header(Some(ids.next_id()), out);
        self.outgoing = Outgoing::Open;
        self.answered = true;
    }

    /// A first-level child of the stream.
    fn child(&mut self, mut stanza: Element, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if let Some(error) = StreamError::parse(stanza.root()) {
            return Err(reported(error));
        }
        if self.check_hash(&stanza, out)? {
            return Ok(());
        }
        // Nothing is negotiated inside the tunnel, so features are never waited for and whatever they offer is left
        // alone. They come from the side that answers (RFC 6120 § 4.3.2).
        if stanza.is("features", ns::STREAM) && !self.answered {
            return Ok(());
        }
        if !is_stanza(&stanza) {
            return Err(unsupported(&stanza));
        }
        let (event, held) = if let Err(claimed) = stamp(&mut stanza, "from", &self.peer) {
            let held = claimed.len();
            (StreamEvent::Impersonation { claimed }, held)
        } else if let Err(claimed) = stamp(&mut stanza, "to", &self.local) {
            let held = claimed.len();
            (StreamEvent::Misaddressed { claimed }, held)
        } else {
            let held = stanza.held_bytes();
            (StreamEvent::Stanza(stanza), held)
        };
        self.events.push(event, held);
        Ok(())
    }

    /// The end of the peer's stream is answered at once, and then there is room for another stream (draft-meyer § 4).
    fn peer_closed(&mut self, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if self.awaits_hash() {
            return Err(StreamFault::NegotiationMissing);
        }
        if let Some(hash) = &mut self.hash {
            hash.expect_no_more();
        }
        if self.outgoing == Outgoing::Open {
            write::end(out);
        }
        self.outgoing = Outgoing::Idle;
        self.incoming = false;
        self.answered = false;
        self.reused = true;
        self.reader.reset();
        self.events.push(StreamEvent::Closed, 0);
        Ok(())
    }

    /// RFC 6120 § 4.9.1: a stream error stands inside a stream, so a header goes before it if need be, and the stream is
    /// closed after it.
    fn fail(&mut self, fault: StreamFault, ids: &mut Ids, out: &mut Vec<u8>) {
        if self.outgoing == Outgoing::Idle {
            self.answer_header(ids, out);
        }
        if self.outgoing == Outgoing::Open {
            if let Some(condition) = fault.stream_condition() {
                write::error(out, &condition.into());
            }
            write::end(out);
        }
        self.outgoing = Outgoing::Closed;
        self.incoming = false;
        self.failed = true;
        self.reader.reset();
        self.events.push(StreamEvent::Failed(fault), 0);
    }
}
