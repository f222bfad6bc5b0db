//! How the peer negotiates a tunnel, in either role.

use xtls::{Event, Incoming, TrustPolicy, TunnelId, TunnelOptions};
use xtls_stanza::{Element, ns};

use super::{Stage, initiate, security, texts};
use crate::common::{HEADER_JULIET, HEADER_ROMEO};

impl Stage {
    /// The session-initiate of the draft's § 3, over ibb:1 and with `security` for its precondition.
    pub fn initiate_with(&self, security: &str) -> String {
        initiate(&self.sid, &self.ibb_sid, self.block_size, security)
    }

    /// `<security/>` with the peer's fingerprint.
    pub fn peer_security(&self) -> String {
        security(&self.identity.announced_fingerprints())
    }

    /// `<security/>` as the engine writes it.
    pub fn own_security(&self) -> String {
        security(&self.world.identity(self.engine).announced_fingerprints())
    }

    /// The peer offers a tunnel, which is acknowledged.
    pub fn offer(&mut self) -> Incoming {
        let initiate = self.initiate_with(&self.peer_security());
        let others = self.ask_fine(&initiate);
        assert!(others.is_empty());
        self.take_incoming()
    }

    pub fn take_incoming(&mut self) -> Incoming {
        let mut events = self.events();
        match (events.pop(), events.len()) {
            (Some(Event::Incoming(incoming)), 0) => incoming,
            (last, _) => panic!("an offer and nothing else: {events:?} {last:?}"),
        }
    }

    /// The engine accepts; the peer acknowledges. Gives the session-accept.
    pub fn accept(&mut self, incoming: Incoming, policy: TrustPolicy) -> (TunnelId, Element) {
        let options = TunnelOptions::new(incoming.application.clone(), policy);
        let tunnel = self.with(|engine, now| engine.accept(now, incoming, options)).unwrap();
        let accept = self.sent_one();
        self.ack(&accept);
        (tunnel, accept)
    }

    /// The peer chooses x509 and opens the bytestream.
    pub fn choose_and_open(&mut self) {
        let info = self.security_info("<method name='x509'/>");
        assert!(self.ask_fine(&info).is_empty());
        let open = self.open();
        assert!(self.ask_fine(&open).is_empty());
    }

    pub fn security_info(&self, methods: &str) -> String {
        format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='security-info' sid='{}'><content creator='initiator' \
             name='xmlstream'><security xmlns='urn:xmpp:jingle:security:xtls:0'>{methods}</security></content></jingle>",
            self.sid
        )
    }

    pub fn open(&self) -> String {
        let Self { ibb_sid, block_size, .. } = self;
        format!("<open xmlns='http://jabber.org/protocol/ibb' block-size='{block_size}' sid='{ibb_sid}' stanza='iq'/>")
    }

    /// The engine offers an XML stream tunnel; its session-initiate, acknowledged.
    pub fn engine_offers(&mut self, policy: TrustPolicy) -> (TunnelId, Element) {
        let mut options = TunnelOptions::xml_stream(policy);
        options.check_support = false;
        self.engine_offers_with(options)
    }

    pub fn engine_offers_with(&mut self, options: TunnelOptions) -> (TunnelId, Element) {
        let peer = self.peer.parse().unwrap();
        let tunnel = self.with(|engine, now| engine.initiate(now, peer, options)).unwrap();
        let initiate = self.sent_one();
        let jingle = crate::common::payload(&initiate);
        self.sid = jingle.attribute("sid").unwrap().to_owned();
        let content = jingle.child("content", ns::JINGLE).unwrap();
        let transport = content.children().find(|child| child.name() == "transport").unwrap();
        self.ibb_sid = transport.attribute("sid").unwrap().to_owned();
        self.ack(&initiate);
        (tunnel, initiate)
    }

    /// The peer's session-accept with `security` for its precondition.
    pub fn accept_with(&self, security: &str) -> String {
        self.accept_over(security, &format!("block-size='{}' sid='{}'", self.block_size, self.ibb_sid))
    }

    pub fn accept_over(&self, security: &str, transport: &str) -> String {
        format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='session-accept' responder='{}' sid='{}'><content \
             creator='initiator' name='xmlstream'><description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>\
             <transport xmlns='urn:xmpp:jingle:transports:ibb:1' {transport}/>{security}</content></jingle>",
            self.peer, self.sid
        )
    }

    /// An open XML stream that the engine began.
    pub fn initiator_with_stream() -> (Self, TunnelId) {
        let mut stage = Self::romeo();
        let tunnel = stage.open_as_initiator();
        (stage, tunnel)
    }

    /// The same with the engine that there is.
    pub fn open_as_initiator(&mut self) -> TunnelId {
        let (tunnel, _) = self.engine_offers(TrustPolicy::Pinned);
        self.start_server(&self.tls_config());
        let accept = self.accept_with(&self.peer_security());
        let requests = self.ask_fine(&accept);
        assert_eq!(requests.len(), 2, "security-info and open: {}", texts(&requests));
        requests.iter().for_each(|request| self.ack(request));
        assert_eq!(self.play(), []);
        let _ = self.told();
        self.write(&format!("{HEADER_JULIET}<stream:features/>"));
        assert_eq!(self.play(), []);
        assert_eq!(crate::common::kinds(&self.events()), ["Secured", "StreamOpened"]);
        tunnel
    }

    /// An open XML stream that the peer began.
    pub fn responder_with_stream() -> (Self, TunnelId) {
        let mut stage = Self::juliet();
        let tunnel = stage.secure_as_responder();
        stage.write(HEADER_ROMEO);
        assert_eq!(stage.play(), []);
        assert_eq!(crate::common::kinds(&stage.events()), ["StreamOpened"]);
        let _ = stage.told();
        (stage, tunnel)
    }

    /// A secured tunnel that the peer began; it has not sent its stream header.
    pub fn secure_as_responder(&mut self) -> TunnelId {
        let incoming = self.offer();
        let (tunnel, _) = self.accept(incoming, TrustPolicy::Pinned);
        self.choose_and_open();
        self.start_client(&self.tls_config());
        assert_eq!(self.play(), []);
        assert_eq!(crate::common::kinds(&self.events()), ["Secured"]);
        tunnel
    }
}
