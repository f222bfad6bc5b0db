//! A peer that says what a test wants, in clear and through TLS.

use xtls::link::{ClientTerms, LinkEvent, ServerTerms};
use xtls::{CloseReason, Fault, Terms, event::Side};
use xtls_testkit::{
    LinkPair,
    provider::{self, Entity, VirtualTime},
};
use xtls_tls::Identity;
use xtls_tls::{ServerVerification, TlsConfig, TlsError, TlsSession, TowardsServer, Verification};

pub(crate) const I: Side = Side::Initiator;
pub(crate) const R: Side = Side::Responder;

/// The initiating and the receiving entity's headers, as a peer may write them.
pub(crate) const FROM_ROMEO: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
    from='romeo@forza' to='juliet@pronto' version='1.0'>";
pub(crate) const FROM_JULIET: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
    from='juliet@pronto' to='romeo@forza' id='x' version='1.0'>";
pub(crate) const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
pub(crate) const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

/// A link that the test itself is the peer of.
pub(crate) struct Scripted {
    pub(crate) pair: LinkPair,
    pub(crate) side: Side,
    read: usize,
    pub(crate) tls: Option<TlsSession>,
    /// As a client towards a server, with this certificate or none.
    client: Option<Option<Identity>>,
    pub(crate) random: Entity,
}

impl Scripted {
    /// The link of the given end; the peer is known to it by its certificate.
    pub(crate) fn new(side: Side, terms: Terms) -> Self {
        let mut pair = LinkPair::new(9);
        pair.trust(I);
        pair.trust(R);
        Self::of(pair, side, terms)
    }

    /// The same among ends that are prepared already.
    pub(crate) fn of(pair: LinkPair, side: Side, terms: Terms) -> Self {
        Self::between(pair, side, terms.clone(), terms)
    }

    /// The same with terms for each end.
    pub(crate) fn between(mut pair: LinkPair, side: Side, initiating: Terms, receiving: Terms) -> Self {
        for end in [I, R] {
            pair.tamper(end, Vec::clear);
        }
        pair.start(initiating, Some(receiving));
        pair.run();
        Self::idle(pair, side)
    }

    /// The link of the given end, among ends that have begun.
    pub(crate) fn idle(pair: LinkPair, side: Side) -> Self {
        Self { pair, side, read: 0, tls: None, client: None, random: Entity::numbered(7) }
    }

    /// A client's link to a server, which the test plays.
    pub(crate) fn client(mut pair: LinkPair, terms: &ServerTerms) -> Self {
        pair.start_to_server(terms);
        pair.run();
        Self { pair, side: I, read: 0, tls: None, client: None, random: Entity::numbered(7) }
    }

    /// A server's link to a client, which the test plays and which has this certificate or none.
    pub(crate) fn server(mut pair: LinkPair, terms: &ClientTerms, certificate: Option<Identity>) -> Self {
        pair.start_from_client(terms);
        pair.run();
        Self { pair, side: R, read: 0, tls: None, client: Some(certificate), random: Entity::numbered(7) }
    }

    /// Says something in clear, and gives what the link answers.
    pub(crate) fn say(&mut self, text: &str) -> String {
        self.pair.inject(self.side, text.as_bytes());
        self.pair.run();
        self.hear()
    }

    /// What the link has said since the last time, in clear.
    pub(crate) fn hear(&mut self) -> String {
        String::from_utf8(self.take()).unwrap()
    }

    pub(crate) fn take(&mut self) -> Vec<u8> {
        let bytes = self.pair.sent(self.side)[self.read..].to_vec();
        self.read += bytes.len();
        bytes
    }

    /// Does the peer's part of the handshake, with its own certificate, and gives what the link says first inside of TLS.
    pub(crate) fn secure(&mut self) -> String {
        self.begin_tls();
        self.exchange().unwrap()
    }

    /// The same, and the link does not take the peer's certificate.
    pub(crate) fn secure_in_vain(&mut self) {
        self.begin_tls();
        assert!(self.exchange().is_err(), "an alert comes");
    }

    pub(crate) fn begin_tls(&mut self) {
        if let Some(certificate) = self.client.clone() {
            return self.begin_tls_as_client(certificate);
        }
        let peer = if self.side == I { R } else { I };
        let identity = self.pair.identity(peer).clone();
        let pin = self.pair.identity(self.side).fingerprint_sha256();
        let time = VirtualTime::new(1_760_000_000);
        let mut config = TlsConfig::new(identity, provider::deterministic(), time, Verification::Pinned(vec![pin]));
        // A ticket would tell that it has accepted the link's certificate.
        config.send_ticket = false;
        let mut out = Vec::new();
        let made = self.random.enter(|| match self.side {
            Side::Initiator => TlsSession::server(&config),
            _ => TlsSession::client(&config, &mut out),
        });
        self.tls = Some(made.unwrap());
        self.pair.inject(self.side, &out);
        self.pair.run();
    }

    fn begin_tls_as_client(&mut self, certificate: Option<Identity>) {
        let domain = self.pair.jid(R).domain_part();
        let pin = self.pair.identity(R).fingerprint_sha256();
        let time = VirtualTime::new(1_760_000_000);
        let verification = ServerVerification::Pinned(vec![pin]);
        let mut config = TowardsServer::new(domain, provider::deterministic(), time, verification);
        config.identity = certificate;
        let mut out = Vec::new();
        self.tls = Some(self.random.enter(|| TlsSession::towards_server(&config, &mut out)).unwrap());
        self.pair.inject(R, &out);
        self.pair.run();
    }

    /// Says something through TLS, and gives what the link answers there.
    pub(crate) fn say_inside(&mut self, text: &str) -> String {
        let mut out = Vec::new();
        self.tls.as_mut().unwrap().write(text.as_bytes(), &mut out).unwrap();
        self.pair.inject(self.side, &out);
        self.pair.run();
        self.exchange().unwrap()
    }

    /// Whether the link has ended TLS in order.
    pub(crate) fn tls_closed(&self) -> bool {
        self.tls.as_ref().unwrap().peer_closed()
    }

    pub(crate) fn exchange(&mut self) -> Result<String, TlsError> {
        let mut plaintext = Vec::new();
        loop {
            let records = self.take();
            if records.is_empty() {
                return Ok(String::from_utf8_lossy(&plaintext).into_owned());
            }
            let mut out = Vec::new();
            let tls = self.tls.as_mut().unwrap();
            self.random.enter(|| tls.read(&records, &mut plaintext, &mut out))?;
            self.pair.inject(self.side, &out);
            self.pair.run();
        }
    }

    pub(crate) fn events(&mut self) -> Vec<LinkEvent> {
        self.pair.take_events(self.side)
    }

    /// The fault that ended the link.
    pub(crate) fn fault(&mut self) -> Fault {
        let mut events = self.events();
        match events.pop() {
            Some(LinkEvent::Closed(closed)) => match closed.reason {
                CloseReason::Fault(fault) => *fault,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }
}
