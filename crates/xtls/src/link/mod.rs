//! A direct connection: two entities without a server between them (XEP-0174, XEP-0246), or a client and its server.

mod bytes;
mod client;
mod config;
mod ending;
mod error;
mod event;
mod fault;
mod handshake;
mod method;
mod queue;
mod server;
mod stream;
mod trust;

use std::time::Instant;

use xtls_stanza::{Element, Fingerprint, Ids, Method, jid::Jid};
use xtls_stream::{Addressing, DirectStream, Features, StreamOptions};
use xtls_tls::TlsSession;

pub use client::ClientTerms;
pub use config::{LinkConfig, LinkLocal, LinkSetup, LinkTerms, LinkTimer, LinkTimers};
pub use error::{LinkAnswerError, LinkError, LinkSendError, LinkTermsError};
pub use event::{LinkClosed, LinkDeadline, LinkEvent, LinkReason, LinkStage};
pub use fault::LinkFault;
pub(crate) use method::fingerprints;
pub use server::{ServerTerms, ServerTls};

use crate::{
    event::EndedBy,
    judgement::Verified,
    password::Password,
    security::Security,
    trust::{TrustDecision, TrustStore},
    wall::Clock,
};
use client::Client;
use method::Secret;
use queue::Queue;
use server::Server;

/// One end of a direct connection between two entities that authenticate one another: a stream, the negotiation of TLS with
/// the offers of XEP-0250, TLS by certificates or a password, and the stream inside of it, sans-IO. The caller moves bytes,
/// tells the time, and answers questions. The client's end of a connection to a server is one too ([`Link::to_server`]), and
/// the server's ([`Link::from_client`]).
///
/// Its methods are of four kinds: getters; `handle_*`, which bring the world in; the commands; and `poll_*`, which take
/// things out. They may be called in any order. After each call that is not a getter, take everything out: what there is to
/// send, the events, the next deadline.
///
/// Nothing is sent in clear but headers, features, the negotiation of TLS and stream errors, and nothing of the peer's is
/// handed on before the peer is authenticated: a stanza in clear ends the link. ([`ServerTls::Opportunistic`] is the one
/// exception; and what a client negotiates inside of TLS.)
///
/// Bounds: while 32 events wait, or elements of [`Limits::stanza_bytes`](xtls_stanza::Limits::stanza_bytes), or 16 KiB that
/// are not read yet, or [`LinkConfig::send_buffer`] and 64 KiB more to send, no more bytes are taken
/// ([`Link::handle_bytes`]). Handshakes are bounded by [`xtls_tls::MAX_HANDSHAKE`].
///
/// ```
/// use std::time::{Duration, Instant};
/// use xtls::{
///     Identity, KeyAlgorithm, Link, LinkEvent, LinkLocal, LinkSetup, LinkTerms, MemoryTrustStore, Pin, TrustPolicy,
///     jid::Jid,
/// };
///
/// let (now, unix) = (Instant::now(), Duration::from_secs(1_760_000_000));
/// let (romeo, juliet) = (Jid::new("romeo@forza")?, Jid::new("juliet@pronto")?);
/// let identity = |jid: &Jid| Identity::generate(&jid.to_bare(), KeyAlgorithm::EcdsaP256, unix.as_secs());
/// let (his, hers) = (identity(&romeo)?, identity(&juliet)?);
/// let setup = |jid: &Jid, own: &Identity, peer: &Jid, peers: &Identity| {
///     let mut store = MemoryTrustStore::default();
///     store.pin(&peer.to_bare(), Pin::manual(peers.fingerprint_sha256()));
///     LinkSetup::new(LinkLocal::new(jid.clone(), own.clone()), Box::new(store), [7; 32], unix)
/// };
/// let terms = LinkTerms::new(TrustPolicy::Pinned);
/// let mut initiating = Link::to_peer(setup(&romeo, &his, &juliet, &hers), juliet.clone(), terms.clone(), now)?;
/// let mut receiving = Link::from_peer(setup(&juliet, &hers, &romeo, &his), None, now)?;
///
/// let (mut opened, mut bytes) = (0, Vec::new());
/// while opened < 2 {
///     for turn in 0..2 {
///         let (from, to) = if turn == 0 { (&mut initiating, &mut receiving) } else { (&mut receiving, &mut initiating) };
///         bytes.clear();
///         if from.poll_transmit(now, &mut bytes) {
///             // Bytes that are not taken would have to be passed again once the events are taken.
///             assert_eq!(to.handle_bytes(now, &bytes), bytes.len());
///         }
///         while let Some(event) = to.poll_event() {
///             match event {
///                 LinkEvent::Incoming { peer } if peer == romeo => to.accept(now, terms.clone())?,
///                 LinkEvent::Secured(security) => assert!(security.confirmed),
///                 LinkEvent::Opened => opened += 1,
///                 other => panic!("{other:?}"),
///             }
///         }
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Link {
    config: LinkConfig,
    local: LinkLocal,
    store: Box<dyn TrustStore>,
    ids: Ids,
    clock: Clock,
    initiating: bool,
    /// Who is at the other end, or says so.
    peer: Option<Jid>,
    /// That is a server, and this end its client.
    server: Option<Server>,
    /// What that has offered in clear.
    clear_features: Option<Box<Features>>,
    /// That is a client, and this end its server.
    client: Option<Client>,
    terms: Option<LinkTerms>,
    secret: Secret,
    stage: LinkStage,
    stream: DirectStream,
    /// What the peer is ready for.
    theirs: Vec<Method>,
    /// Whether the peer has said so, by an offer.
    peer_offers: bool,
    /// Whether that offer names keys.
    peer_shows: bool,
    /// The certificates that the peer says are its own.
    announced: Vec<Fingerprint>,
    /// Initiating: the methods that `<starttls/>` named, the preferred one first.
    asked: Vec<Method>,
    method: Option<Method>,
    tls: Option<TlsSession>,
    /// Records of the handshake that wait for a judgement.
    held: Vec<u8>,
    /// Plaintext that the stream has not taken.
    early: Vec<u8>,
    out: Vec<u8>,
    verified: Option<Verified>,
    security: Option<Box<Security>>,
    /// The password proved right, although what came with the proof was broken.
    password_was_right: bool,
    /// Whether a header came.
    greeted: bool,
    /// The first bytes that came.
    first: Vec<u8>,
    /// Nothing more will come; whether it broke off.
    input_ended: Option<Truncated>,
    wait: Option<LinkDeadline>,
    sent_at: Instant,
    heard_at: Instant,
    events: Queue,
    wants_room: bool,
}

/// Whether an end came without an authenticated goodbye.
type Truncated = bool;

impl Link {
    /// The end that opened the connection, to the peer of this address.
    ///
    /// # Errors
    ///
    /// When the configuration or the conditions make no sense.
    pub fn to_peer(setup: LinkSetup, peer: Jid, terms: LinkTerms, now: Instant) -> Result<Self, LinkError> {
        if peer == setup.local.jid {
            return Err(LinkError::OwnAddress);
        }
        let mut link = Self::new(setup, true, Some(peer), None, None, now)?;
        link.take_terms(terms)?;
        link.begin();
        Ok(link)
    }

    /// The end that the connection was opened to. [`LinkEvent::Incoming`] tells who comes; with `expected`, nobody else
    /// may. The dialect of XEP-0035 does not tell, so that it needs `expected`.
    ///
    /// # Errors
    ///
    /// When the configuration makes no sense.
    pub fn from_peer(setup: LinkSetup, expected: Option<Jid>, now: Instant) -> Result<Self, LinkError> {
        let mut link = Self::new(setup, false, expected, None, None, now)?;
        link.wait_for_step();
        Ok(link)
    }

    fn new(
        setup: LinkSetup,
        initiating: bool,
        peer: Option<Jid>,
        server: Option<Server>,
        client: Option<Client>,
        now: Instant,
    ) -> Result<Self, LinkError> {
        let LinkSetup { local, store, seed, unix_time, config } = setup;
        config.check().map_err(LinkError::Config)?;
        if local.provider.cipher_suites.is_empty() || local.provider.kx_groups.is_empty() {
            return Err(LinkError::Provider);
        }
        let mut options = StreamOptions::new(Some(local.jid.clone()), peer.clone());
        let is_between_peers = server.is_none() && client.is_none();
        options.addressing = if is_between_peers { Addressing::Peers } else { Addressing::Server };
        if let Some(server) = &server {
            options.tls = server.tls;
            options.secured = server.direct_tls;
        }
        if let Some(client) = &client {
            options.secured = client.is_direct();
        }
        options.dialect = config.dialect;
        options.try_unoffered = config.try_unoffered;
        options.limits = config.limits;
        let stream = if initiating { DirectStream::initiating(options) } else { DirectStream::receiving(options) };
        Ok(Self {
            events: Queue::new(config.limits.stanza_bytes),
            config,
            local,
            store,
            ids: Ids::new(seed),
            clock: Clock::new(now, unix_time),
            initiating,
            peer,
            server,
            clear_features: None,
            client,
            terms: None,
            secret: Secret::Unknown,
            stage: LinkStage::Greeting,
            stream,
            theirs: Vec::new(),
            peer_offers: false,
            peer_shows: false,
            announced: Vec::new(),
            asked: Vec::new(),
            method: None,
            tls: None,
            held: Vec::new(),
            early: Vec::new(),
            out: Vec::new(),
            verified: None,
            security: None,
            password_was_right: false,
            greeted: false,
            first: Vec::new(),
            input_ended: None,
            wait: None,
            sent_at: now,
            heard_at: now,
            wants_room: false,
        })
    }

    /// How far the link has come.
    #[must_use]
    pub fn stage(&self) -> LinkStage {
        self.stage
    }

    /// Whether this is the end that opened the connection.
    #[must_use]
    pub fn is_initiating(&self) -> bool {
        self.initiating
    }

    /// Who is at the other end; from a client `None` until it has authenticated. It is proven from the moment that [`Link::security`] is there.
    #[must_use]
    pub fn peer(&self) -> Option<&Jid> {
        self.peer.as_ref()
    }

    /// How the link is secured; `None` until [`LinkEvent::Secured`].
    #[must_use]
    pub fn security(&self) -> Option<&Security> {
        self.security.as_deref()
    }

    /// Derives keying material that both ends share (RFC 5705, RFC 8446 § 7.5): `None` before the link is secured (from a
    /// client: encrypted), after its end, or for a length that TLS cannot derive.
    #[must_use]
    pub fn export_keying_material(&self, length: usize, label: &[u8], context: Option<&[u8]>) -> Option<Vec<u8>> {
        let tls = self.tls.as_ref().filter(|_| self.is_secured())?;
        let mut out = vec![0; length];
        tls.export_keying_material(&mut out, label, context).ok()?;
        Some(out)
    }

    /// Channel-binding data of the type `tls-exporter` (RFC 9266 § 2), for SASL: `None` as with
    /// [`Link::export_keying_material`].
    #[must_use]
    pub fn channel_binding(&self) -> Option<[u8; 32]> {
        let tls = self.tls.as_ref().filter(|_| self.is_secured())?;
        let mut out = [0; 32];
        // Without the extended master secret TLS 1.2 could not be used for this (RFC 9266 § 4.2); it is always required.
        tls.export_keying_material(&mut out, b"EXPORTER-Channel-Binding", Some(b"")).ok()?;
        Some(out)
    }

    /// Whether there is something to derive keys from. SASL binds them to TLS before a client is known.
    fn is_secured(&self) -> bool {
        self.security.is_some() || self.is_client_encrypted()
    }

    /// Answers [`LinkEvent::Incoming`] with yes, under these conditions.
    ///
    /// # Errors
    ///
    /// When nobody asked, or the conditions cannot be met with this peer; then the question still stands.
    pub fn accept(&mut self, now: Instant, terms: LinkTerms) -> Result<(), LinkTermsError> {
        self.clock.advance(now);
        if self.stage != LinkStage::Deciding {
            return Err(LinkTermsError::NotAsked);
        }
        self.take_terms(terms)?;
        self.offer();
        self.deliver();
        Ok(())
    }

    /// Answers [`LinkEvent::Incoming`] with no.
    ///
    /// # Errors
    ///
    /// When nobody asked.
    pub fn refuse(&mut self, now: Instant) -> Result<(), LinkAnswerError> {
        self.clock.advance(now);
        if self.stage != LinkStage::Deciding {
            return Err(LinkAnswerError::NotAsked);
        }
        self.farewell(xtls_stream::StreamCondition::PolicyViolation);
        self.end(EndedBy::Local, LinkReason::Aborted);
        Ok(())
    }

    /// Answers [`LinkEvent::PasswordRequired`]; `None` says that there is no password.
    ///
    /// # Errors
    ///
    /// When nobody asked.
    pub fn provide_password(&mut self, now: Instant, password: Option<Password>) -> Result<(), LinkAnswerError> {
        self.clock.advance(now);
        if self.stage != LinkStage::Password {
            return Err(LinkAnswerError::NotAsked);
        }
        self.secret = password.map_or(Secret::Declined, Secret::Known);
        self.negotiate();
        self.deliver();
        Ok(())
    }

    /// Answers [`LinkEvent::TrustRequired`].
    ///
    /// # Errors
    ///
    /// When nobody asked.
    pub fn trust(&mut self, now: Instant, decision: TrustDecision) -> Result<(), LinkAnswerError> {
        self.clock.advance(now);
        if self.stage != LinkStage::Judging {
            return Err(LinkAnswerError::NotAsked);
        }
        self.decide(decision);
        self.deliver();
        Ok(())
    }

    /// Sends a message, presence or IQ. Between peers, addresses that name the ends are left out (XEP-0246 § 4).
    ///
    /// # Errors
    ///
    /// When it cannot be sent now, or not over this link, or the client has not authenticated. Nothing was sent then.
    pub fn send(&mut self, now: Instant, stanza: &Element) -> Result<(), LinkSendError> {
        if self.is_known_client() == Some(false) {
            return Err(LinkSendError::NotOpen);
        }
        self.write(now, |stream, text| stream.send(stanza, text))
    }

    /// Sends another first-level child. It must not be of the namespaces of streams, of TLS or of stanzas.
    ///
    /// # Errors
    ///
    /// As with [`Link::send`].
    pub fn send_nonza(&mut self, now: Instant, nonza: &Element) -> Result<(), LinkSendError> {
        self.write(now, |stream, text| stream.send_nonza(nonza, text))
    }

    /// Ends the link in order: the stream is closed, the peer's end waited for, TLS closed. Before the link is open this
    /// calls it off. A second call does nothing.
    pub fn close(&mut self, now: Instant) {
        self.clock.advance(now);
        self.begin_close();
        self.deliver();
    }

    /// Ends the link at once; what comes after that is lost.
    pub fn abort(&mut self, now: Instant) {
        self.clock.advance(now);
        self.end(EndedBy::Local, LinkReason::Aborted);
    }

    /// Appends all there is to send and tells whether there was anything.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        self.clock.advance(now);
        if self.out.is_empty() {
            return false;
        }
        out.append(&mut self.out);
        self.sent_at = self.clock.now();
        if core::mem::take(&mut self.wants_room) && self.stage == LinkStage::Open {
            self.events.push(LinkEvent::Writable, 0);
        }
        true
    }

    /// The next event. Taking one may make room for bytes that were not taken.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<LinkEvent> {
        if let Some(event) = self.events.pop() {
            self.deliver();
            return Some(event);
        }
        None
    }
}

impl core::fmt::Debug for Link {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Link")
            .field("initiating", &self.initiating)
            .field("local", &self.local.jid)
            .field("peer", &self.peer)
            .field("stage", &self.stage)
            .field("security", &self.security)
            .finish_non_exhaustive()
    }
}
