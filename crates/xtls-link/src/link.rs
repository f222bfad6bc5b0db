//! The three types of links in common: what comes in, what follows from it, what goes out.

use core::{fmt, mem};

use xtls_channel::{
    Channel, CloseReason, Deadline, EndedBy, Fault, Instant, Io, NotAsked, Progress, Security, SendError, Sign, Stage,
    TrustDecision,
};
use xtls_stanza::{Element, jid::Jid};
use xtls_stream::{DirectEvent, DirectStage};

use crate::{common::Core, event::LinkEvent, kind::Kind, stats::LinkStats};

/// How much of the input TLS gets at a time.
const CHUNK: usize = 4096;

/// One end of a direct connection, sans-IO: a stream, the negotiation of TLS, TLS, and the stream inside it. The caller moves
/// bytes, tells the time, and answers questions. It is a [`PeerLink`](crate::PeerLink), a [`ClientLink`](crate::ClientLink) or
/// a [`ServerLink`](crate::ServerLink), each with constructors and commands of its own.
///
/// Its methods are of four kinds: getters; `handle_*`, which bring the world in; the commands; and `poll_*`, which take
/// things out. They may be called in any order. After each call that is not a getter, take everything out: what there is to
/// send, the events, the next deadline.
///
/// Nothing is sent in clear but headers, features, the negotiation of TLS and stream errors, and nothing of the peer's is
/// handed on before the peer is authenticated: a stanza in clear ends the link.
/// (The exceptions are [`ServerTls::Opportunistic`](crate::ServerTls::Opportunistic) and
/// [`ServerTls::Never`](crate::ServerTls::Never), and what a client negotiates inside TLS.)
///
/// Bounds: while 32 events wait, or elements that hold [`Limits::stanza_bytes`](xtls_stanza::Limits::stanza_bytes) in memory,
/// or 16 KiB that are not read yet, or 64 KiB of answers to send, no more bytes are taken ([`Link::handle_bytes`]). What you
/// have sent and the connection has not taken stops nothing but you
/// ([`LinkConfig::send_buffer`](crate::LinkConfig::send_buffer)). Handshakes are bounded by [`xtls_tls::MAX_HANDSHAKE`].
pub struct Link<K: Kind> {
    pub(crate) core: Core,
    pub(crate) kind: K,
}

impl<K: Kind> Link<K> {
    /// How far the link has come.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.core.stage
    }

    /// How it is doing, as of the last call that took a `now`.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        let core = &self.core;
        let now = core.env.clock().now();
        LinkStats {
            stage: core.stage,
            age: now.saturating_duration_since(core.began),
            heard: (core.received > 0).then(|| now.saturating_duration_since(core.heard_at)),
            sent: core.sent,
            received: core.received,
            unsent: core.out.len(),
        }
    }

    /// Whether this is the end that opened the connection.
    #[must_use]
    pub fn is_initiating(&self) -> bool {
        self.core.stream.is_initiating()
    }

    /// Who is at the other end; from a client `None` until it has authenticated. It is proven from the moment that
    /// [`Link::security`] is there.
    #[must_use]
    pub fn peer(&self) -> Option<&Jid> {
        self.core.peer.as_ref()
    }

    /// How the link is secured; `None` until [`LinkEvent::Secured`].
    #[must_use]
    pub fn security(&self) -> Option<&Security> {
        self.core.channel.as_ref().and_then(Channel::security)
    }

    /// Derives keying material that both ends share (RFC 5705, RFC 8446 § 7.5): `None` before the link is secured (from a
    /// client: encrypted), after its end, or for a length that TLS cannot derive.
    #[must_use]
    pub fn export_keying_material(&self, length: usize, label: &[u8], context: Option<&[u8]>) -> Option<Vec<u8>> {
        self.core.channel.as_ref()?.export_keying_material(length, label, context)
    }

    /// Channel-binding data of the type `tls-exporter` (RFC 9266 § 2), for SASL: `None` as with
    /// [`Link::export_keying_material`].
    #[must_use]
    pub fn channel_binding(&self) -> Option<[u8; 32]> {
        self.core.channel.as_ref()?.channel_binding()
    }

    /// Sends a message, presence or IQ. Between peers, addresses that name the ends are left out (XEP-0246 § 4).
    ///
    /// # Errors
    ///
    /// When it cannot be sent now, or not over this link, or the client has not authenticated. Nothing was sent then.
    pub fn send(&mut self, now: Instant, stanza: &Element) -> Result<(), SendError> {
        self.act(now, |link| {
            if !link.kind.may_talk(&link.core) {
                return Err(SendError::NoStream);
            }
            link.core.write(|stream, text| stream.send(stanza, text))
        })
    }

    /// Sends another first-level child. It must not be of the namespaces of streams, of TLS or of stanzas.
    ///
    /// # Errors
    ///
    /// When it cannot be sent now, or not over this link. Nothing was sent then.
    pub fn send_nonza(&mut self, now: Instant, nonza: &Element) -> Result<(), SendError> {
        self.act(now, |link| link.core.write(|stream, text| stream.send_nonza(nonza, text)))
    }

    /// Ends the link in order: the stream is closed, the peer's end waited for, TLS closed. Before the link is open this
    /// calls it off. A second call does nothing.
    pub fn close(&mut self, now: Instant) {
        self.act(now, |link| link.core.close());
    }

    /// Ends the link at once; what comes after that is lost.
    pub fn abort(&mut self, now: Instant) {
        self.act(now, |link| link.core.end(EndedBy::Local, CloseReason::Aborted));
    }

    /// Brings in bytes from the connection, cut anyhow, and returns how many were taken.
    ///
    /// Fewer than all are taken when too much waits to be polled, or while the user judges a certificate: pass the rest
    /// again after polling, or after the answer. Once the link has ended all are taken and have no effect.
    #[must_use = "bytes that were not taken must be passed again"]
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while !rest.is_empty() && self.core.takes_bytes() {
            let used = self.act(now, |link| {
                let used = link.take(rest);
                link.core.received = link.core.received.saturating_add(u64::try_from(used).unwrap_or(u64::MAX));
                used
            });
            rest = rest.get(used..).unwrap_or_default();
            if used == 0 {
                break;
            }
        }
        if self.core.is_over() { bytes.len() } else { bytes.len() - rest.len() }
    }

    /// The connection ended in the incoming direction. What was not taken before is lost.
    pub fn handle_end(&mut self, now: Instant) {
        self.act(now, |link| {
            link.core.input_ended.get_or_insert(true);
        });
    }

    /// Lets time pass. An extra call does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.act(now, |link| {
            let core = &mut link.core;
            // Each turn ends the link or moves a deadline into the future.
            while let Some(due) = core.deadline().filter(|due| due.at <= core.env.clock().now()) {
                core.expire(due.timer);
            }
        });
    }

    /// The next deadline, if there is one.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.core.deadline()
    }

    /// Appends all there is to send and tells whether there was anything.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        self.act(now, |link| link.core.transmit(out))
    }

    /// The next event. Taking one may make room for bytes that were not taken.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<LinkEvent> {
        let event = self.core.events.pop()?;
        self.settle();
        Some(event)
    }

    /// Carries out a call and all that follows from it: whatever call is made, nothing is left for the next one to do.
    pub(crate) fn act<T>(&mut self, now: Instant, call: impl FnOnce(&mut Self) -> T) -> T {
        self.core.env.advance(now);
        self.core.watch.clone().around(|| {
            let result = call(self);
            self.settle();
            result
        })
    }

    /// The user has judged the peer's certificate.
    pub(crate) fn decide(&mut self, now: Instant, decision: TrustDecision) -> Result<(), NotAsked> {
        self.act(now, |link| {
            let Core { channel, env, plain, out, .. } = &mut link.core;
            let channel = channel.as_mut().filter(|channel| channel.is_judging()).ok_or(NotAsked)?;
            let progress = channel.decide(decision, &mut Io { env, plaintext: plain, out });
            link.follow(progress);
            Ok(())
        })
    }

    /// Does what follows from a call, until nothing more does.
    fn settle(&mut self) {
        let before = self.core.out.len();
        self.drain();
        if self.core.input_ended.is_some() && self.core.plain.is_empty() {
            self.see_end();
        }
        self.core.owe_since(before);
        debug_assert!(self.core.has_end_in_sight(), "a link in {:?} that may last for ever", self.core.stage);
    }

    /// Hands on what came, as far as there is room for what the stream makes of it.
    fn drain(&mut self) {
        while self.hear() || self.hand_on() {}
    }

    /// Takes bytes from the connection, a piece at a time where they are TLS's. How many.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let records = |core: &Core| core.channel.as_ref().map(|channel| channel.records().ended);
        let before = self.core.out.len();
        let ended = records(&self.core);
        let used = if self.core.in_tls() { self.tls_bytes(bytes) } else { self.clear_bytes(bytes) };
        // Inside TLS only a whole record is heard: bytes that fill one up whose end was lost say nothing.
        if !self.core.in_tls() || records(&self.core) != ended {
            self.core.heard_at = self.core.env.clock().now();
        }
        self.core.owe_since(before);
        used
    }

    /// Takes bytes in clear.
    fn clear_bytes(&mut self, bytes: &[u8]) -> usize {
        const ENOUGH_TO_TELL: usize = 8;
        if let Some(first) = &mut self.core.first {
            let missing = ENOUGH_TO_TELL.saturating_sub(first.len());
            first.extend(bytes.iter().take(missing));
        }
        loop {
            let used = self.core.feed(bytes);
            let heard = self.hear();
            // Otherwise events were in the way, and are gone now.
            if used > 0 || !heard || self.core.is_over() || self.core.in_tls() {
                return used;
            }
        }
    }

    /// Takes a piece of what is TLS's.
    fn tls_bytes(&mut self, bytes: &[u8]) -> usize {
        let chunk = bytes.get(..CHUNK).unwrap_or(bytes);
        let Core { channel: Some(channel), env, plain, out, input_ended, .. } = &mut self.core else { return 0 };
        let progress = channel.read(chunk, &mut Io { env, plaintext: plain, out });
        if channel.peer_closed() {
            input_ended.get_or_insert(false);
        }
        self.follow(progress);
        chunk.len()
    }

    /// Goes on from what came of a call of the channel's.
    fn follow(&mut self, progress: Progress) {
        let Self { core, kind } = self;
        if progress.answered && kind.may_be_judged() {
            core.expect_judgement();
        }
        if let Some(question) = progress.question {
            core.ask(Stage::Judging, LinkEvent::TrustRequired { question });
        }
        if progress.accepted {
            kind.accepted(core);
        }
        if progress.secured
            && let Some(security) = core.channel.as_ref().and_then(Channel::security).cloned()
        {
            core.tell(LinkEvent::Secured { security: Box::new(security) });
        }
        if progress.confirmed {
            core.tell(LinkEvent::Confirmed);
        }
        if let Some(error) = progress.unsaved {
            core.tell(LinkEvent::StoreFailed { error });
        }
        if let Some(fault) = progress.fault {
            // What came before it is sound.
            self.drain();
            self.core.fail(fault);
        }
    }

    /// Hands the stream plaintext, if there is any and there is room for what comes of it. Whether something did.
    fn hand_on(&mut self) -> bool {
        if !self.core.takes_plaintext() {
            return false;
        }
        let mut plain = mem::take(&mut self.core.plain);
        let used = self.core.feed(&plain);
        plain.drain(..used);
        // The link may have ended by its own answer.
        if !self.core.is_over() {
            self.core.plain = plain;
        }
        self.hear() || used > 0
    }

    /// The header inside TLS answers ours, and so shows that the peer has accepted us; one that came too early for that shows
    /// nothing, and the stream goes on without.
    fn see_header(&mut self) {
        let Core { channel: Some(channel), env, plain, out, .. } = &mut self.core else { return };
        let progress = if channel.heeds(Sign::Header) {
            channel.confirm(Sign::Header, &mut Io { env, plaintext: plain, out })
        } else {
            channel.go_on_unconfirmed(env)
        };
        self.follow(progress);
    }

    /// Nothing more will come in, and the stream has all that came.
    fn see_end(&mut self) {
        if self.core.is_over() {
            return;
        }
        let mut answer = Vec::new();
        self.core.stream.handle_end(&mut self.core.ids, &mut answer);
        self.core.emit(&answer);
        self.hear();
        // Nothing else can come, whatever the stream made of it.
        self.core.stream_failed(xtls_stream::DirectFault::EarlyEnd);
    }

    /// Turns what the stream tells into events and next steps. Whether there was anything.
    fn hear(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.core.stream.poll_event() {
            any = true;
            if self.core.is_over() {
                continue;
            }
            if self.kind.is_hasty(&self.core) {
                self.core.fail(Fault::NotAuthenticated);
            } else {
                self.heard(event);
            }
        }
        any
    }

    fn heard(&mut self, event: DirectEvent) {
        if matches!(event, DirectEvent::Header(_)) {
            self.see_header();
        }
        let Self { core, kind } = self;
        // A stream that has failed since goes nowhere.
        let goes_on = core.stream.stage() != DirectStage::Failed;
        match event {
            DirectEvent::Header(_) => {
                core.first = None;
                if goes_on {
                    kind.header(core);
                }
            }
            DirectEvent::Features(_) | DirectEvent::StartTlsRequested { .. } | DirectEvent::StartTls { .. }
                if !goes_on => {}
            DirectEvent::Features(features) => kind.features(core, features),
            DirectEvent::StartTlsRequested { offer } => kind.starttls(core, offer),
            DirectEvent::StartTls { offer } => kind.agreed(core, offer),
            // RFC 6120 § 4.9.3.12.
            DirectEvent::Stanza(_) if !kind.may_talk(core) => core.fail(Fault::NotAuthenticated),
            DirectEvent::Stanza(stanza) => core.tell(LinkEvent::Stanza { stanza }),
            DirectEvent::Nonza(nonza) => kind.nonza(core, nonza),
            DirectEvent::Impersonation { claimed } => core.tell(LinkEvent::Impersonation { from: claimed }),
            DirectEvent::Misaddressed { claimed } => core.tell(LinkEvent::Misaddressed { to: claimed }),
            DirectEvent::Closed => {
                let by = if core.stage == Stage::Closing { EndedBy::Local } else { EndedBy::Remote };
                core.end(by, CloseReason::Done);
            }
            DirectEvent::Failed(fault) => core.stream_failed(fault),
            _ => {}
        }
    }
}

impl<K: Kind> fmt::Debug for Link<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("initiating", &self.is_initiating())
            .field("local", &self.core.local)
            .field("peer", &self.core.peer)
            .field("stage", &self.core.stage)
            .field("security", &self.security())
            .finish_non_exhaustive()
    }
}
