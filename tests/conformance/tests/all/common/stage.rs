//! One engine, and a peer that the test plays stanza by stanza.

mod negotiation;

use std::sync::Arc;

use xtls::{Disposition, Engine, Event, Identity, trust::Pin};
use xtls_stanza::{Element, Fingerprint, ns};
use xtls_testkit::{EntityId, EntityOptions, World, provider};
use xtls_tls::{TlsConfig, TlsError, TlsSession, Verification, whole_records};

use super::{IBB_SID, JULIET, ROMEO, SID, base64, decoded, element, id, is_data, is_request};

/// The wall time at which every world begins.
const EPOCH: u64 = 1_767_225_600;

/// One engine, and a peer that the test plays: it says what the test wants it to say. It has real TLS.
pub struct Stage {
    pub world: World,
    pub engine: EntityId,
    pub own: String,
    pub peer: String,
    /// The peer's identity, which the engine trusts.
    pub identity: Identity,
    /// The sids of the session.
    pub sid: String,
    pub ibb_sid: String,
    pub tls: Option<TlsSession>,
    pub tls_error: Option<TlsError>,
    /// What the engine said inside of the tunnel, since it was last taken.
    pub plaintext: Vec<u8>,
    /// The bytes of each block of the engine.
    pub blocks: Vec<Vec<u8>>,
    pub block_size: usize,
    pub seq_out: u16,
    seq_in: u16,
    pub random: provider::Entity,
    seen: usize,
    ids: u32,
}

impl Stage {
    /// The engine is Romeo's, and the test plays Juliet.
    pub fn romeo() -> Self {
        Self::new(ROMEO, JULIET, EntityOptions::seeded(1))
    }

    /// The engine is Juliet's, and the test plays Romeo.
    pub fn juliet() -> Self {
        Self::new(JULIET, ROMEO, EntityOptions::seeded(2))
    }

    pub fn new(own: &str, peer: &str, options: EntityOptions) -> Self {
        let mut world = World::default();
        world.relay.keep_log();
        world.relay.set_online(peer, true);
        let engine = world.add(own, options);
        let seed = [200; 32];
        let bare = peer.parse::<xtls_stanza::jid::FullJid>().unwrap().to_bare();
        let identity = provider::identity(&bare, seed, EPOCH);
        world.with_store(engine, |store| store.pin(&bare, Pin::manual(identity.fingerprint_sha256())));
        Self {
            world,
            engine,
            own: own.to_owned(),
            peer: peer.to_owned(),
            identity,
            sid: SID.to_owned(),
            ibb_sid: IBB_SID.to_owned(),
            tls: None,
            tls_error: None,
            plaintext: Vec::new(),
            blocks: Vec::new(),
            block_size: 4096,
            seq_out: 0,
            seq_in: 0,
            random: provider::Entity::new(seed),
            seen: 0,
            ids: 0,
        }
    }

    /// Does something with the engine.
    pub fn with<R>(&mut self, action: impl FnOnce(&mut Engine, std::time::Instant) -> R) -> R {
        self.world.with(self.engine, action)
    }

    pub fn events(&mut self) -> Vec<Event> {
        self.world.take_events(self.engine)
    }

    /// What the engine has sent since the last call.
    pub fn sent(&mut self) -> Vec<Element> {
        self.world.run();
        let log = self.world.relay.log();
        let new = log[self.seen..].iter().map(|passed| element(&passed.stanza)).collect();
        self.seen = log.len();
        new
    }

    /// The one stanza that the engine has sent since the last call.
    pub fn sent_one(&mut self) -> Element {
        let sent = self.sent();
        let Ok([one]) = <[Element; 1]>::try_from(sent.clone()) else { panic!("one stanza: {}", texts(&sent)) };
        one
    }

    pub fn sent_nothing(&mut self) {
        let sent = self.sent();
        assert!(sent.is_empty(), "nothing to say: {}", texts(&sent));
    }

    pub fn fresh_id(&mut self) -> String {
        self.ids += 1;
        format!("peer{}", self.ids)
    }

    /// Hands the engine a stanza as it is.
    pub fn deliver(&mut self, stanza: &str) -> Disposition {
        self.world.deliver(self.engine, stanza)
    }

    /// The peer's IQ of type set around `payload`.
    pub fn iq(&self, id: &str, payload: &str) -> String {
        let Self { own, peer, .. } = self;
        format!("<iq from='{peer}' to='{own}' id='{id}' type='set'>{payload}</iq>")
    }

    /// The peer makes a request; the engine's answer, and what else it sent.
    pub fn ask(&mut self, payload: &str) -> (Element, Vec<Element>) {
        let id = self.fresh_id();
        let stanza = self.iq(&id, payload);
        let disposition = self.deliver(&stanza);
        assert!(matches!(disposition, Disposition::Consumed), "{disposition:?}: {stanza}");
        self.answer_to(&id)
    }

    /// The engine's one answer to the request of this id, and what else it has sent.
    pub fn answer_to(&mut self, id: &str) -> (Element, Vec<Element>) {
        let (mut answers, others): (Vec<_>, Vec<_>) =
            self.sent().into_iter().partition(|stanza| !is_request(stanza) && super::id(stanza) == id);
        assert_eq!(answers.len(), 1, "one answer: {}", texts(&answers));
        let answer = answers.remove(0);
        assert_eq!(answer.attribute("to"), Some(&*self.peer), "the answer goes to who asked");
        assert_eq!(answer.attribute("from"), Some(&*self.own));
        (answer, others)
    }

    /// The peer makes a request that the engine takes and answers with an empty result; what else it sent.
    pub fn ask_fine(&mut self, payload: &str) -> Vec<Element> {
        let (answer, others) = self.ask(payload);
        assert_eq!(answer, super::result(&self.own, &self.peer, id(&answer)), "{}", answer.to_xml(ns::CLIENT));
        others
    }

    /// The peer makes a request in the clear that has to be inside of TLS; what the engine sent besides the error that
    /// XEP-0166 § 9 asks for.
    pub fn ask_in_the_clear(&mut self, payload: &str) -> Vec<Element> {
        let (answer, others) = self.ask(payload);
        let error = answer.child("error", ns::CLIENT).expect("an error");
        assert_eq!(error.attribute("type"), Some("cancel"));
        let conditions: Vec<_> = error.children().map(|child| (child.ns(), child.name())).collect();
        assert_eq!(conditions, [(ns::STANZA_ERRORS, "not-acceptable"), (ns::JINGLE_ERRORS, "security-required")]);
        others
    }

    /// The peer acknowledges a request of the engine.
    pub fn ack(&mut self, request: &Element) {
        let disposition = self.deliver_result(request);
        assert!(
            matches!(disposition, Disposition::Consumed),
            "{disposition:?}: the result of {}",
            request.to_xml(ns::CLIENT)
        );
    }

    fn deliver_result(&mut self, request: &Element) -> Disposition {
        let Self { own, peer, .. } = self;
        let stanza = format!("<iq from='{peer}' to='{own}' id='{}' type='result'/>", id(request));
        self.deliver(&stanza)
    }

    /// The peer answers a request of the engine with an error.
    pub fn refuse(&mut self, request: &Element, error_type: &str, condition: &str, specific: &str) -> Disposition {
        let Self { own, peer, .. } = self;
        let stanza = format!(
            "<iq from='{peer}' to='{own}' id='{}' type='error'><error type='{error_type}'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>{specific}</error></iq>",
            id(request)
        );
        self.deliver(&stanza)
    }

    /// Lets both talk until they are quiet: the peer acknowledges everything and its TLS takes every block. Gives the
    /// engine's requests that are not data.
    pub fn play(&mut self) -> Vec<Element> {
        let mut requests = Vec::new();
        loop {
            let sent = self.sent();
            if sent.is_empty() {
                return requests;
            }
            for stanza in sent.into_iter().filter(is_request) {
                // An answer that comes after the end of the session is nobody's any more.
                let _ = self.deliver_result(&stanza);
                if is_data(&stanza) {
                    self.take_block(&stanza);
                } else {
                    requests.push(stanza);
                }
            }
        }
    }

    /// Hands a block of the engine to the peer's TLS, and sends what that answers.
    pub fn take_block(&mut self, stanza: &Element) {
        let data = stanza.child("data", ns::IBB).unwrap();
        assert_eq!(data.attribute("sid"), Some(&*self.ibb_sid));
        assert_eq!(data.attribute("seq"), Some(&*self.seq_in.to_string()), "seq from 0, one by one");
        self.seq_in += 1;
        let block = decoded(stanza);
        assert!(!block.is_empty() && block.len() <= self.block_size);
        self.blocks.push(block.clone());
        let mut out = Vec::new();
        if let Some(tls) = &mut self.tls
            && self.tls_error.is_none()
        {
            let plaintext = &mut self.plaintext;
            self.tls_error = self.random.enter(|| tls.read(&block, plaintext, &mut out)).err();
        }
        self.send_records(&out);
    }

    /// The peer sends bytes, in blocks of whole records.
    pub fn send_records(&mut self, records: &[u8]) {
        let mut rest = records;
        while !rest.is_empty() {
            let (block, more) = rest.split_at(whole_records(rest, self.block_size).max(1));
            rest = more;
            let (id, data) = (self.fresh_id(), self.data(block));
            let stanza = self.iq(&id, &data);
            let disposition = self.deliver(&stanza);
            assert!(matches!(disposition, Disposition::Consumed), "{disposition:?}");
        }
    }

    /// The peer's next `<data/>`.
    pub fn data(&mut self, block: &[u8]) -> String {
        self.seq_out += 1;
        data(&self.ibb_sid, self.seq_out - 1, &base64(block))
    }

    /// The peer says something inside of the tunnel.
    pub fn write(&mut self, text: &str) {
        let mut out = Vec::new();
        let tls = self.tls.as_mut().unwrap();
        self.random.enter(|| tls.write(text.as_bytes(), &mut out)).unwrap();
        self.send_records(&out);
    }

    /// The peer ends TLS.
    pub fn write_close_notify(&mut self) {
        let mut out = Vec::new();
        self.tls.as_mut().unwrap().close(&mut out);
        self.send_records(&out);
    }

    /// What the engine said inside of the tunnel since the last call.
    pub fn told(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.plaintext)).unwrap()
    }

    /// The peer's TLS configuration: it insists on the engine's certificate.
    pub fn tls_config(&self) -> TlsConfig {
        let own = self.world.identity(self.engine).fingerprint_sha256();
        TlsConfig::new(
            self.identity.clone(),
            provider::deterministic(),
            provider::VirtualTime::new(EPOCH),
            Verification::Pinned(vec![own]),
        )
    }

    /// The peer becomes the TLS client and sends its first flight.
    pub fn start_client(&mut self, config: &TlsConfig) {
        let mut out = Vec::new();
        self.tls = Some(self.random.enter(|| TlsSession::client(config, &mut out)).unwrap());
        self.send_records(&out);
    }

    /// The peer becomes the TLS server.
    pub fn start_server(&mut self, config: &TlsConfig) {
        self.tls = Some(self.random.enter(|| TlsSession::server(config)).unwrap());
    }
}

/// `<data/>` with this text.
pub fn data(sid: &str, seq: u16, text: &str) -> String {
    format!("<data xmlns='http://jabber.org/protocol/ibb' seq='{seq}' sid='{sid}'>{text}</data>")
}

/// The draft's session-initiate over ibb:1.
pub fn initiate(sid: &str, ibb_sid: &str, block_size: usize, security: &str) -> String {
    format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' initiator='{ROMEO}' sid='{sid}'><content \
         creator='initiator' name='xmlstream'><description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/><transport \
         xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='{block_size}' sid='{ibb_sid}'/>{security}</content></jingle>"
    )
}

/// `<security/>` with these fingerprints and x509.
pub fn security(fingerprints: &[Fingerprint]) -> String {
    let mut out = String::from("<security xmlns='urn:xmpp:jingle:security:xtls:0'>");
    for fingerprint in fingerprints {
        out += &format!("<fingerprint algo='{}'>{}</fingerprint>", fingerprint.algo(), fingerprint.hex());
    }
    out + "<method name='x509'/></security>"
}

pub fn texts(stanzas: &[Element]) -> String {
    stanzas.iter().map(|stanza| stanza.to_xml(ns::CLIENT) + "\n").collect()
}

/// A provider that knows TLS 1.2 alone.
pub fn tls12_provider(config: &TlsConfig) -> TlsConfig {
    let mut provider = (*config.provider).clone();
    provider.cipher_suites.retain(|suite| suite.tls13().is_none());
    let mut config = config.clone();
    config.provider = Arc::new(provider);
    config
}
