//! A client of your own: an engine, what it knows of its peers, and what it does when something happens.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Instant,
};

use xtls::{
    Application, Config, Disposition, Element, Engine, Event, Identity, Local, Setup, TrustPolicy, TunnelId,
    TunnelOptions,
    trust::{MemoryTrustStore, Pin},
};
use xtls_stanza::{Disco, DiscoIdentity, Iq, Limits, jid::FullJid};
use xtls_testkit::{Client, Connection, provider, unix};

/// The moment at which the certificates are made.
const TODAY: u64 = 1_767_225_600;

/// Greets whoever it has a tunnel with, and keeps what it is told.
pub(crate) struct SmallClient {
    engine: Engine,
    pub(crate) identity: Identity,
    pub(crate) store: Arc<Mutex<MemoryTrustStore>>,
    says: VecDeque<String>,
    pub(crate) heard: Vec<String>,
    /// Tunnels that it opened or accepted and that have not ended.
    pub(crate) tunnels: Vec<TunnelId>,
    pub(crate) secured: usize,
}

impl SmallClient {
    /// A client of this address. Its keys follow from the seed.
    pub(crate) fn new(jid: &str, seed: u8, now: Instant) -> Self {
        let jid: FullJid = jid.parse().expect("a full JID");
        let identity = provider::identity(&jid.to_bare(), [seed; 32], TODAY);
        let store = Arc::new(Mutex::new(MemoryTrustStore::default()));
        // In production these are the real provider and the real time of day.
        let local = Local::new(jid, identity.clone()).with_provider(provider::deterministic());
        let mut config = Config::default();
        config.sole_handler = true;
        let setup = Setup::new(local, Box::new(Arc::clone(&store)), [seed; 32], unix(TODAY)).with_config(config);
        let engine = Engine::new(setup, now).expect("a sound configuration");
        Self { engine, identity, store, says: VecDeque::new(), heard: Vec::new(), tunnels: Vec::new(), secured: 0 }
    }

    /// Knows this certificate for its owner's from now on.
    pub(crate) fn trust(&self, peer: &str, identity: &Identity) {
        let peer = peer.parse().expect("a bare JID");
        self.store.lock().expect("nobody panicked").pin(&peer, Pin::manual(identity.fingerprint_sha256()));
    }

    /// Opens a tunnel to this address.
    pub(crate) fn call(&mut self, now: Instant, peer: &str) {
        let peer = peer.parse().expect("a full JID");
        let tunnel = self.engine.initiate(now, peer, TunnelOptions::xml_stream(TrustPolicy::Pinned));
        self.tunnels.extend(tunnel);
    }

    fn handle_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Incoming(offer) if offer.application == Application::XmlStream => {
                let options = TunnelOptions::xml_stream(TrustPolicy::Pinned);
                self.tunnels.extend(self.engine.accept(now, offer, options));
            }
            Event::Secured { .. } => self.secured += 1,
            Event::StreamOpened { id } => {
                let greeting =
                    Element::builder("message", "jabber:client").open("body", "jabber:client").text("good day");
                let greeting = greeting.close().build().expect("a message");
                if let Some(mut tunnel) = self.engine.tunnel(id) {
                    tunnel.send(now, &greeting).expect("the stream has just opened");
                }
            }
            Event::Stanza { stanza, .. } => {
                self.heard.extend(stanza.child("body", "jabber:client").map(|body| body.text()));
            }
            Event::Closed(closed) => self.tunnels.retain(|tunnel| *tunnel != closed.id),
            _ => {}
        }
    }
}

impl Client for SmallClient {
    fn handle_stanza(&mut self, now: Instant, stanza: &str) {
        if matches!(self.engine.handle_stanza(now, stanza), Disposition::NotOurs)
            && let Ok(element) = Element::parse(stanza, &Limits::default())
            && let Some(Ok(iq)) = Iq::parse(&element)
            && let Some(from) = iq.from
        {
            // Service discovery is the client's own to answer.
            let info = self.engine.disco_info(DiscoIdentity::new("client", "pc"));
            let mut answer = String::new();
            if Disco::new(info, "https://client.example").is_ok_and(|disco| disco.answer(&iq, from, None, &mut answer))
            {
                self.says.push_back(answer);
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.engine.handle_timeout(now);
    }

    fn handle_connection(&mut self, now: Instant, change: Connection) {
        match change {
            Connection::Offline => self.engine.handle_disconnect(now),
            Connection::Suspended => self.engine.handle_suspended(now),
            Connection::Resumed => self.engine.handle_resumed(now),
            Connection::Online => self.says.push_back("<presence/>".to_owned()),
            _ => {}
        }
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut String) -> bool {
        while let Some(event) = self.engine.poll_event() {
            self.handle_event(now, event);
        }
        if let Some(stanza) = self.says.pop_front() {
            out.push_str(&stanza);
            return true;
        }
        self.engine.poll_transmit(now, out).is_some()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.engine.poll_timeout().map(|due| due.at)
    }
}
