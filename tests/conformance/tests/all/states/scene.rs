//! A tunnel, and the peer that leads it to where it is to be.

use xtls::{Application, Event, Incoming, TrustPolicy, TunnelId, TunnelOptions, event::Side, jingle::BYTES_0_NS};
use xtls_stanza::{Element, ns};
use xtls_tls::TlsSession;

use crate::common::{HEADER_JULIET, HEADER_ROMEO, Stage, bytes_without_hash, is_data, is_request, payload};

/// A tunnel in a situation, and the peer that led it there.
pub struct Scene {
    pub stage: Stage,
    pub tunnel: Option<TunnelId>,
    /// The offer, while it rings.
    pub incoming: Option<Incoming>,
    /// What the engine asked and was not answered, the oldest first.
    pub unanswered: Vec<Element>,
    pub raw: bool,
    /// The namespace of its description.
    pub description: String,
    /// The name of the session's content.
    pub content: String,
}

impl Scene {
    pub fn new(stage: Stage, raw: bool) -> Self {
        let description = if raw { BYTES_0_NS } else { ns::XMLSTREAM_0 };
        Self {
            stage,
            tunnel: None,
            incoming: None,
            unanswered: Vec::new(),
            raw,
            description: description.to_owned(),
            content: "xmlstream".to_owned(),
        }
    }

    pub fn initiate(&mut self, options: TunnelOptions) {
        let peer = self.stage.peer.parse().unwrap();
        self.tunnel = Some(self.stage.with(|engine, now| engine.initiate(now, peer, options)).unwrap());
        self.collect();
    }

    pub fn offered(mut options: TunnelOptions) -> Self {
        options.check_support = false;
        let mut scene = Self::new(Stage::romeo(), options.application != Application::XmlStream);
        scene.initiate(options);
        let jingle = payload(&scene.unanswered[0]);
        scene.stage.sid = jingle.attribute("sid").unwrap().to_owned();
        let content = jingle.child("content", ns::JINGLE).unwrap();
        scene.content = content.attribute("name").unwrap().to_owned();
        let description = content.children().find(|child| child.name() == "description").unwrap();
        scene.description = description.ns().to_owned();
        let transport = content.children().find(|child| child.name() == "transport").unwrap();
        scene.stage.ibb_sid = transport.attribute("sid").unwrap().to_owned();
        scene
    }

    /// The peer has accepted; security-info and `<open/>` are out. Under [`TrustPolicy::Ask`] it is a stranger.
    pub fn agreed(policy: TrustPolicy, raw: bool) -> Self {
        Self::agreed_on(if raw { bytes_without_hash() } else { Application::XmlStream }, policy)
    }

    fn agreed_on(application: Application, policy: TrustPolicy) -> Self {
        let options = TunnelOptions::new(application, policy);
        let mut scene = Self::offered(options).acked();
        if policy == TrustPolicy::Ask {
            scene.forget_peer();
        }
        let config = scene.stage.tls_config();
        scene.stage.start_server(&config);
        scene.peer_accepts(&scene.stage.peer_security());
        assert_eq!(scene.unanswered.len(), 2, "security-info and open");
        scene
    }

    /// Our Finished is out, and the peer, who has acknowledged it, shows nothing.
    pub fn confirming() -> Self {
        let mut scene = Self::agreed(TrustPolicy::Pinned, false).acked();
        let mut flights = 0;
        scene.play(|_| {
            flights += 1;
            flights == 1
        });
        scene
    }

    pub fn secured(side: Side, raw: bool) -> Self {
        let mut scene = match side {
            Side::Responder => Self::handshaking(TrustPolicy::Pinned, raw),
            _ => Self::agreed(TrustPolicy::Pinned, raw).acked(),
        };
        scene.play(|_| true);
        scene.expect(&["Secured"])
    }

    /// Raw bytes that begin with the hashes, of which none has come.
    pub fn secured_without_hash() -> Self {
        let mut scene = Self::agreed_on(Application::bytes(), TrustPolicy::Pinned).acked();
        scene.play(|_| true);
        scene.expect(&["Secured"])
    }

    /// The peer has answered the header and announced its hash, which has not come.
    pub fn announced() -> Self {
        let mut scene = Self::secured(Side::Initiator, false);
        scene.stage.write(&HEADER_JULIET.replace(" from=", " xmlns:n='urn:xtls:negotiation:1' from="));
        scene.expect(&[]).acked()
    }

    pub fn streaming(side: Side) -> Self {
        let mut scene = Self::secured(side, false);
        let features = if side == Side::Initiator { "<stream:features/>" } else { "" };
        let header = scene.header();
        scene.stage.write(&format!("{header}{features}"));
        scene.expect(&["StreamOpened"]).acked()
    }

    pub fn ringing(raw: bool) -> Self {
        let mut scene = Self::new(Stage::juliet(), raw);
        let security = scene.stage.peer_security();
        scene.ring(&security);
        scene
    }

    pub fn ring(&mut self, security: &str) {
        let initiate = self.initiate_text(security);
        assert!(self.stage.ask_fine(&initiate).is_empty());
        self.incoming = Some(self.stage.take_incoming());
    }

    pub fn accept(&mut self, options: TunnelOptions) {
        let incoming = self.incoming.take().unwrap();
        self.tunnel = Some(self.stage.with(|engine, now| engine.accept(now, incoming, options)).unwrap());
        self.collect();
    }

    /// Under [`TrustPolicy::Ask`] the peer is a stranger.
    pub fn accepted(policy: TrustPolicy, raw: bool) -> Self {
        let mut scene = Self::ringing(raw);
        if policy == TrustPolicy::Ask {
            scene.forget_peer();
        }
        let application = scene.incoming.as_ref().unwrap().application.clone();
        scene.accept(TunnelOptions::new(application, policy));
        scene.acked()
    }

    pub fn opened(policy: TrustPolicy, raw: bool) -> Self {
        let mut scene = Self::accepted(policy, raw);
        scene.stage.choose_and_open();
        scene
    }

    /// The ClientHello is in, and the server's flight is out.
    pub fn handshaking(policy: TrustPolicy, raw: bool) -> Self {
        let mut scene = Self::opened(policy, raw);
        let config = scene.stage.tls_config();
        scene.stage.start_client(&config);
        scene.collect();
        scene
    }

    fn forget_peer(&self) {
        let peer = self.stage.peer.parse::<xtls_stanza::jid::FullJid>().unwrap().to_bare();
        self.stage.world.with_store(self.stage.engine, |store| store.remove(&peer));
    }

    pub fn peer_accepts(&mut self, security: &str) {
        let accept = self.accept_text(security);
        let requests = self.stage.ask_fine(&accept);
        self.unanswered.extend(requests);
    }

    /// The peer's session-initiate.
    pub fn initiate_text(&self, security: &str) -> String {
        self.described(&self.stage.initiate_with(security))
    }

    /// The peer's session-accept.
    pub fn accept_text(&self, security: &str) -> String {
        self.described(&self.stage.accept_with(security))
    }

    /// With the content that is negotiated.
    pub fn described(&self, text: &str) -> String {
        let text = text.replace("name='xmlstream'", &format!("name='{}'", self.content));
        if self.raw { text.replace(ns::XMLSTREAM_0, &self.description) } else { text }
    }

    /// Does something with the tunnel, and takes what it asks.
    pub fn act<R>(&mut self, action: impl FnOnce(&mut xtls::Tunnel<'_>, std::time::Instant) -> R) -> R {
        let tunnel = self.tunnel.unwrap();
        let result = self.stage.with(|engine, now| action(&mut engine.tunnel(tunnel).unwrap(), now));
        self.collect();
        result
    }

    /// Takes what the engine has asked; what else it sent.
    pub fn collect(&mut self) -> Vec<Element> {
        let (asked, others) = self.stage.sent().into_iter().partition(is_request);
        self.unanswered.extend::<Vec<_>>(asked);
        others
    }

    /// The peer acknowledges all that was asked, and no more: its TLS sees nothing of it.
    pub fn acked(mut self) -> Self {
        self.ack();
        self
    }

    pub fn ack(&mut self) {
        self.collect();
        for request in std::mem::take(&mut self.unanswered) {
            self.acknowledge(&request);
        }
        self.collect();
    }

    fn acknowledge(&mut self, request: &Element) {
        let Stage { own, peer, .. } = &self.stage;
        let id = request.attribute("id").unwrap();
        let stanza = format!("<iq from='{peer}' to='{own}' id='{id}' type='result'/>");
        let _ = self.stage.deliver(&stanza);
    }

    /// Lets both talk until they are quiet: the peer acknowledges everything, and its TLS takes the blocks that it is to take.
    pub fn play(&mut self, mut takes: impl FnMut(&TlsSession) -> bool) {
        loop {
            self.collect();
            if self.unanswered.is_empty() {
                return;
            }
            for request in std::mem::take(&mut self.unanswered) {
                self.acknowledge(&request);
                if is_data(&request) && self.stage.tls.as_ref().is_some_and(&mut takes) {
                    self.stage.take_block(&request);
                }
            }
        }
    }

    pub fn expect(mut self, kinds: &[&str]) -> Self {
        self.collect();
        let events: Vec<Event> = self.stage.events();
        assert_eq!(crate::common::kinds(&events), kinds);
        self
    }

    /// The header that the peer opens its stream with.
    pub fn header(&self) -> &'static str {
        if self.stage.own == crate::common::ROMEO { HEADER_JULIET } else { HEADER_ROMEO }
    }
}
