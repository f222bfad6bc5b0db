//! One end of a stream over a connection of its own.

mod event;
mod input;
mod options;
mod send;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod tls;

use xtls_stanza::jid::Jid;
use xtls_stanza::{Id, Ids, StreamReader, TlsOffer};

pub use event::{CommandError, DirectEvent, DirectFault, StartTlsFault};
pub use options::{Addressing, StartTlsDialect, StreamOptions, TlsPolicy};

use crate::{StreamError, address::End, queue::Queue, write};

/// One end of an XML stream over bytes of any kind (RFC 6120 §§ 4, 5): a TCP connection, a bytestream. It negotiates TLS
/// and knows nothing of it; the caller runs TLS between the bytes and the stream.
///
/// Its methods are of four kinds: getters; [`handle_bytes`](Self::handle_bytes) and [`handle_end`](Self::handle_end),
/// which bring the world in; the commands; and [`poll_event`](Self::poll_event). Whatever has to be sent is appended to
/// the `out` of the call that causes it.
///
/// The stages of a stream ([`DirectStream::stage`]), with what the initiating entity (I) and the receiving one (R) do:
///
/// ```text
/// Start     I: start                                R: waits for the header, which is answered
/// Header    I: waits for the header
/// Features  I: waits for the features               R: send_features
/// Open      stanzas, nonzas (SASL: then restart, which leads to Start again), close
///           I: start_tls                            R: waits for <starttls/>
/// Asked     I: waits for <proceed/> or <failure/>   R: proceed or refuse
/// Tls       bytes are TLS's; secured, which leads to Start again
/// Closing   this end's end was sent; stanzas may still come
/// Closed    nothing more comes or goes              Failed  the same, after a fault
/// ```
///
/// ```
/// use xtls_stanza::{Ids, jid::Jid};
/// use xtls_stream::{DirectEvent, DirectStream, Features, StreamOptions};
///
/// let server = Jid::new("im.example.com")?;
/// let mut client = DirectStream::initiating(StreamOptions::new(None, Some(server.clone())));
/// let mut ids = Ids::new([1; 32]);
/// let (mut sent, mut answered) = (Vec::new(), Vec::new());
/// client.start(&mut sent)?;
///
/// let mut receiving = DirectStream::receiving(StreamOptions::new(Some(server), None));
/// assert_eq!(receiving.handle_bytes(&sent, &mut ids, &mut answered), sent.len());
/// assert!(matches!(receiving.poll_event(), Some(DirectEvent::Header(_))));
/// receiving.send_features(&Features::default(), &mut answered)?;
///
/// sent.clear();
/// assert_eq!(client.handle_bytes(&answered, &mut ids, &mut sent), answered.len());
/// assert!(matches!(client.poll_event(), Some(DirectEvent::Header(_))));
/// assert!(matches!(client.poll_event(), Some(DirectEvent::Features(features)) if features.starttls.is_some()));
/// assert!(client.wants_tls());
/// client.start_tls(None, &mut sent)?;
///
/// answered.clear();
/// assert_eq!(receiving.handle_bytes(&sent, &mut ids, &mut answered), sent.len());
/// assert!(matches!(receiving.poll_event(), Some(DirectEvent::StartTlsRequested { offer: None })));
/// receiving.proceed(None, &mut answered)?;
/// assert!(matches!(receiving.poll_event(), Some(DirectEvent::StartTls { .. })));
///
/// sent.clear();
/// assert_eq!(client.handle_bytes(&answered, &mut ids, &mut sent), answered.len());
/// assert!(matches!(client.poll_event(), Some(DirectEvent::StartTls { .. })));
/// // The handshake comes here. Then the stream begins anew, inside TLS:
/// client.secured(&mut sent)?;
/// assert!(sent.starts_with(b"<stream:stream"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Bounds: once [`DirectStream::MAX_EVENTS`] events wait, or elements that hold
/// [`Limits::stanza_bytes`](xtls_stanza::Limits::stanza_bytes) in memory, no more is read until they have been polled; the
/// last element read may add two events. Of an element that is incomplete what was read of at most `stanza_bytes` is kept.
#[derive(Debug)]
pub struct DirectStream {
    initiating: bool,
    options: StreamOptions,
    local: Option<End<Jid>>,
    peer: Option<End<Jid>>,
    reader: StreamReader,
    stage: DirectStage,
    secured: bool,
    /// The stream is one of XEP-0035: without version and features.
    legacy: bool,
    /// The peer's header is of a version that is not spoken here.
    unsupported: bool,
    /// TLS was offered on this stream: by the peer where this end initiates, else by this end.
    offered: bool,
    /// The peer requires TLS.
    demanded: bool,
    /// What this end said it is ready for when it asked for TLS.
    asked_with: Option<TlsOffer>,
    events: Queue<DirectEvent>,
}

/// How far a direct stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DirectStage {
    /// No header was sent, of the first stream or of the one after a restart.
    Start,
    /// Initiating: the header was sent and not answered.
    Header,
    /// Both headers are there, the features are not.
    Features,
    /// The features are there as well.
    Open,
    /// TLS was asked for and not answered.
    Asked,
    /// Bytes are TLS's.
    Tls,
    /// We have sent `</stream:stream>`, the peer has not.
    Closing,
    /// Both ends were sent.
    Closed,
    /// The stream has failed.
    Failed,
}

impl DirectStream {
    /// The most events that wait to be polled.
    pub const MAX_EVENTS: usize = Queue::<DirectEvent>::MAX_EVENTS;

    /// The side that opened the connection. [`DirectStream::start`] comes next.
    #[must_use]
    pub fn initiating(options: StreamOptions) -> Self {
        Self::new(true, options)
    }

    /// The side that the connection was opened to. It waits for a header.
    #[must_use]
    pub fn receiving(options: StreamOptions) -> Self {
        Self::new(false, options)
    }

    fn new(initiating: bool, options: StreamOptions) -> Self {
        Self {
            initiating,
            local: options.local.clone().map(End::new),
            peer: options.peer.clone().map(End::new),
            reader: StreamReader::new(options.limits),
            stage: DirectStage::Start,
            secured: options.secured,
            legacy: initiating && options.dialect == StartTlsDialect::Xep0035,
            unsupported: false,
            offered: false,
            demanded: false,
            asked_with: None,
            events: Queue::new(options.limits.stanza_bytes),
            options,
        }
    }

    /// How far the stream has come.
    #[must_use]
    pub fn stage(&self) -> DirectStage {
        self.stage
    }

    /// Whether this is the side that opened the connection.
    #[must_use]
    pub fn is_initiating(&self) -> bool {
        self.initiating
    }

    /// Whether the bytes are secured.
    #[must_use]
    pub fn is_secured(&self) -> bool {
        self.secured
    }

    /// Whether stanzas and nonzas can be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.stage == DirectStage::Open && !self.must_secure()
    }

    /// Whether the stream is closed or has failed: nothing more comes or goes.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.stage, DirectStage::Closed | DirectStage::Failed)
    }

    /// The local end; between peers, if it was not given, as the peer's header names it.
    #[must_use]
    pub fn local(&self) -> Option<&Jid> {
        self.local.as_ref().map(End::jid)
    }

    /// The other end; between peers, if it was not given, as its header names it, which proves nothing: it has to be held
    /// against what TLS authenticated.
    #[must_use]
    pub fn peer(&self) -> Option<&Jid> {
        self.peer.as_ref().map(End::jid)
    }

    /// Opens the stream: appends the header.
    ///
    /// # Errors
    ///
    /// On the receiving side, and when it was called before.
    pub fn start(&mut self, out: &mut Vec<u8>) -> Result<(), CommandError> {
        self.check(true, DirectStage::Start)?;
        self.write_header(None, out);
        self.stage = DirectStage::Header;
        Ok(())
    }

    /// Says who was authenticated at the other end, by TLS or SASL: headers and, between peers, stanzas are held to it from
    /// here on.
    pub fn authenticated(&mut self, peer: Jid) {
        self.options.peer = Some(peer.clone());
        self.peer = Some(End::new(peer));
    }

    /// Begins the stream anew, as after SASL (RFC 6120 § 4.3.3): initiating, the header is appended; receiving, another
    /// header is waited for. Both sides call it after the last nonza.
    ///
    /// # Errors
    ///
    /// When the stream is not open, or TLS has to come first.
    pub fn restart(&mut self, out: &mut Vec<u8>) -> Result<(), CommandError> {
        self.check(self.initiating, DirectStage::Open)?;
        if self.must_secure() {
            return Err(CommandError::TlsRequired);
        }
        self.begin_anew(out);
        Ok(())
    }

    /// Ends the stream in the outgoing direction. Stanzas may still come in; [`DirectEvent::Closed`] follows when the
    /// peer has closed too.
    ///
    /// # Errors
    ///
    /// When no header was sent, the end was, or bytes are TLS's.
    pub fn close(&mut self, out: &mut Vec<u8>) -> Result<(), CommandError> {
        if !self.is_outgoing() {
            return Err(CommandError::Stage);
        }
        write::end(out);
        self.stage = DirectStage::Closing;
        Ok(())
    }

    /// Ends the stream with an error (RFC 6120 § 4.9.1), such as host-unknown to a header that nobody serves. If need be
    /// a header goes before it. No event follows.
    ///
    /// # Errors
    ///
    /// When the end was sent, bytes are TLS's, or an initiating entity has not started.
    pub fn fail(&mut self, error: &StreamError, ids: &mut Ids, out: &mut Vec<u8>) -> Result<(), CommandError> {
        let unopened = !self.initiating && self.stage == DirectStage::Start;
        if !(unopened || self.is_outgoing()) {
            return Err(CommandError::Stage);
        }
        if unopened {
            self.write_header(Some(ids.next_id()), out);
        }
        write::error(out, error);
        write::end(out);
        self.stage = DirectStage::Failed;
        self.reader.reset();
        Ok(())
    }

    /// The next event.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<DirectEvent> {
        self.events.pop()
    }

    /// Whether TLS has to come before anything else.
    fn must_secure(&self) -> bool {
        !self.secured && (self.options.tls == TlsPolicy::Required || self.demanded)
    }

    /// Whether this end has sent a header, and no end, in clear or in TLS.
    fn is_outgoing(&self) -> bool {
        use DirectStage::{Asked, Closed, Closing, Failed, Features, Header, Open, Start, Tls};
        match self.stage {
            Header | Features | Open | Asked => true,
            Start | Tls | Closing | Closed | Failed => false,
        }
    }

    fn check(&self, initiating: bool, stage: DirectStage) -> Result<(), CommandError> {
        if self.initiating != initiating {
            return Err(CommandError::Role);
        }
        if self.stage == stage { Ok(()) } else { Err(CommandError::Stage) }
    }

    /// RFC 6120 § 4.3.3: nothing of the old stream is kept.
    fn begin_anew(&mut self, out: &mut Vec<u8>) {
        self.reader.reset();
        self.unsupported = false;
        self.offered = false;
        self.demanded = false;
        self.asked_with = None;
        self.stage = DirectStage::Start;
        if self.initiating {
            self.write_header(None, out);
            self.stage = DirectStage::Header;
        }
    }

    /// RFC 6120 § 4.7.4: an answering header MUST have a language, the server's default if need be. Between peers (XEP-0246)
    /// and in the old dialect (XEP-0035) none is asked for.
    fn language(&self, answers: bool) -> Option<&str> {
        let is_server = answers && self.options.addressing == Addressing::Server && !self.legacy;
        if is_server { Some(self.options.lang.as_deref().unwrap_or("en")) } else { self.options.lang.as_deref() }
    }

    fn write_header(&self, id: Option<Id>, out: &mut Vec<u8>) {
        let local = self.local.as_ref().map(End::full);
        // RFC 6120 § 4.7.1: a client does not tell who it is in clear.
        let is_private = self.initiating && self.options.addressing == Addressing::Server && !self.secured;
        write::Header {
            from: local.filter(|_| !is_private && !self.legacy),
            id: id.as_ref().map(Id::as_str),
            to: self.peer.as_ref().map(End::full).filter(|_| self.initiating || !self.legacy),
            version: !self.legacy,
            lang: self.language(id.is_some()),
            announces_tls: self.legacy && if self.initiating { self.may_offer_tls() } else { self.offered },
            announces_hash: false,
        }
        .write(out);
    }
}
