//! A peer that a test plays stanza by stanza, against a real engine.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use xtls::{
    Event, Identity, TrustPolicy, TunnelId,
    trust::{Fingerprint, Pin},
};
use xtls_stanza::jid::FullJid;
use xtls_stanza::{Iq, IqType, ns};
use xtls_testkit::{EntityId, EntityOptions, World, provider};
use xtls_tls::{TlsConfig, TlsSession, Verification};

use super::{JULIET, MALLORY, condition, element, xml};

/// Mallory, whom a test plays, and Juliet's engine, which knows her certificate.
pub struct Script {
    pub world: World,
    pub juliet: EntityId,
    pub jid: &'static str,
    pub identity: Identity,
    pub tls: Option<TlsSession>,
    random: provider::Entity,
    seen: usize,
    ids: u64,
    seq: u16,
    /// What Juliet asked for and was given a result.
    pub requests: Vec<String>,
    /// Bytes of TLS that Juliet sent and that were not looked at.
    pub records: Vec<u8>,
    /// Whether what Juliet asks for is answered.
    pub answers: bool,
}

impl Script {
    pub fn new(seed: u8) -> Self {
        Self::with_options(EntityOptions::seeded(seed))
    }

    pub fn with_options(options: EntityOptions) -> Self {
        let mut world = World::default();
        world.relay.keep_log();
        let juliet = world.add(JULIET, options);
        world.relay.set_online(MALLORY, true);
        let full: FullJid = MALLORY.parse().unwrap();
        let identity = provider::identity(&full.to_bare(), [200; 32], 1_767_225_600);
        world.with_store(juliet, |store| store.pin(&full.to_bare(), Pin::manual(identity.fingerprint_sha256())));
        Self {
            world,
            juliet,
            jid: MALLORY,
            identity,
            tls: None,
            random: provider::Entity::numbered(99),
            seen: 0,
            ids: 0,
            seq: 0,
            requests: Vec::new(),
            records: Vec::new(),
            answers: true,
        }
    }

    /// Sends a stanza as it is, and lets Juliet deal with it.
    pub fn stanza(&mut self, stanza: &str) {
        let now = self.world.now();
        self.world.relay.handle_stanza(now, self.jid, stanza);
        self.settle();
    }

    /// Sends an IQ set with this payload and gives Juliet's answer: `result`, an error's condition, or nothing.
    pub fn set(&mut self, payload: &str) -> Option<String> {
        self.ids += 1;
        let id = format!("m{}", self.ids);
        let from = self.seen;
        self.stanza(&format!("<iq type='set' id='{id}' to='{JULIET}'>{payload}</iq>"));
        let answer = self.world.relay.log()[from..].iter().find(|passed| {
            passed.to == self.jid && element(&passed.stanza).attribute("id") == Some(&id) && passed.from == JULIET
        })?;
        Some(condition(&answer.stanza).unwrap_or_else(|| "result".to_owned()))
    }

    /// Lets things come to rest, answering whatever Juliet asks for.
    pub fn settle(&mut self) {
        loop {
            self.world.run();
            let log = self.world.relay.log();
            let new: Vec<_> = log[self.seen..].iter().filter(|passed| passed.to == self.jid).cloned().collect();
            self.seen = log.len();
            let mut answered = false;
            for passed in new {
                let stanza = element(&passed.stanza);
                let Some(Ok(iq)) = Iq::parse(&stanza) else { continue };
                let (IqType::Set, Some(payload)) = (iq.iq_type, iq.payload) else { continue };
                self.requests.push(passed.stanza.clone());
                if payload.is("data", ns::IBB) {
                    self.records.extend(STANDARD.decode(payload.text().as_bytes()).unwrap());
                }
                if self.answers {
                    let mut out = String::new();
                    Iq::write_result(&mut out, iq.id, JULIET, None);
                    self.world.relay.handle_stanza(self.world.now(), self.jid, &out);
                    answered = true;
                }
            }
            if !answered {
                return;
            }
        }
    }

    /// What Juliet asked for since the last look.
    pub fn take_requests(&mut self) -> Vec<String> {
        std::mem::take(&mut self.requests)
    }

    pub fn security(&self) -> String {
        security(&[self.identity.fingerprint_sha256()], &["x509"])
    }

    /// A session-initiate for an XML stream.
    pub fn initiate(&mut self, sid: &str, ibb: &str) -> Option<String> {
        let security = self.security();
        self.set(&offer(sid, ibb, 4096, &security))
    }

    /// Gets as far as Juliet's acceptance.
    pub fn accepted(&mut self) -> TunnelId {
        assert_eq!(self.initiate("s1", "b1").as_deref(), Some("result"));
        let tunnel = self.world.accept(self.juliet, xml(TrustPolicy::Pinned)).unwrap();
        self.settle();
        let accepts = self.take_requests();
        assert!(accepts.len() == 1 && accepts[0].contains("session-accept"), "{accepts:?}");
        tunnel
    }

    /// Gets as far as an open bytestream.
    pub fn opened(&mut self) -> TunnelId {
        let tunnel = self.accepted();
        assert_eq!(self.set(&info("s1", &["x509"])).as_deref(), Some("result"));
        assert_eq!(self.set(&open("b1", "4096")).as_deref(), Some("result"));
        tunnel
    }

    /// Gets as far as a finished handshake, with nothing inside yet.
    pub fn secured(&mut self) -> TunnelId {
        let tunnel = self.opened();
        let hello = self.start_tls();
        assert_eq!(self.block(&hello).as_deref(), Some("result"));
        let (plaintext, finished) = self.tls_read();
        assert!(plaintext.is_empty());
        assert_eq!(self.block(&finished).as_deref(), Some("result"));
        self.tls_read();
        tunnel
    }

    /// Gets as far as an open stream.
    pub fn streaming(&mut self) -> TunnelId {
        let tunnel = self.secured();
        let header = self.seal(HEADER.as_bytes());
        assert_eq!(self.block(&header).as_deref(), Some("result"));
        let (answer, _) = self.tls_read();
        assert!(String::from_utf8(answer).unwrap().contains("<stream:features>"));
        assert!(self.world.take_events(self.juliet).iter().any(|event| matches!(event, Event::StreamOpened { .. })));
        tunnel
    }

    /// Begins TLS and gives the ClientHello.
    pub fn start_tls(&mut self) -> Vec<u8> {
        let time = provider::VirtualTime::new(1_767_225_600);
        let config = TlsConfig::new(self.identity.clone(), provider::deterministic(), time, Verification::Deferred);
        let mut hello = Vec::new();
        self.tls = Some(self.random.enter(|| TlsSession::client(&config, &mut hello)).unwrap());
        hello
    }

    /// Reads what Juliet sent: its plaintext, and what TLS answers.
    pub fn tls_read(&mut self) -> (Vec<u8>, Vec<u8>) {
        let records = std::mem::take(&mut self.records);
        let (mut plaintext, mut out) = (Vec::new(), Vec::new());
        let tls = self.tls.as_mut().unwrap();
        self.random.enter(|| tls.read(&records, &mut plaintext, &mut out)).unwrap();
        (plaintext, out)
    }

    pub fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let tls = self.tls.as_mut().unwrap();
        self.random.enter(|| tls.write(plaintext, &mut out)).unwrap();
        out
    }

    /// The next seq, as the wire has it.
    pub fn take_seq(&mut self) -> String {
        let seq = self.seq;
        self.seq = seq.wrapping_add(1);
        seq.to_string()
    }

    /// Sends the next block and gives the answer.
    pub fn block(&mut self, bytes: &[u8]) -> Option<String> {
        let seq = self.take_seq();
        self.set(&data("b1", &seq, &STANDARD.encode(bytes)))
    }

    /// Sends text through the stream and gives what Juliet answers in it.
    pub fn say(&mut self, text: &str) -> String {
        let records = self.seal(text.as_bytes());
        for block in records.chunks(4096) {
            assert_eq!(self.block(block).as_deref(), Some("result"));
        }
        let (plaintext, _) = self.tls_read();
        String::from_utf8(plaintext).unwrap()
    }
}

pub const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
    from='mallory@verona.lit/square' to='juliet@capulet.lit/balcony' version='1.0'>";

pub fn security(fingerprints: &[Fingerprint], methods: &[&str]) -> String {
    let fingerprints =
        fingerprints.iter().map(|it| format!("<fingerprint algo='{}'>{}</fingerprint>", it.algo(), it.hex()));
    let methods = methods.iter().map(|method| format!("<method name='{method}'/>"));
    let inside: String = fingerprints.chain(methods).collect();
    format!("<security xmlns='urn:xmpp:jingle:security:xtls:0'>{inside}</security>")
}

pub fn offer(sid: &str, ibb: &str, block_size: u16, security: &str) -> String {
    format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' initiator='{MALLORY}' sid='{sid}'>\
         <content creator='initiator' name='xmlstream'><description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>\
         <transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='{block_size}' sid='{ibb}'/>{security}\
         </content></jingle>"
    )
}

pub fn info(sid: &str, methods: &[&str]) -> String {
    let security = security(&[], methods);
    format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='security-info' sid='{sid}'>\
         <content creator='initiator' name='xmlstream'>{security}</content></jingle>"
    )
}

pub fn terminate(sid: &str, reason: &str) -> String {
    format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='{sid}'><reason><{reason}/></reason></jingle>"
    )
}

pub fn open(sid: &str, block_size: &str) -> String {
    format!("<open xmlns='http://jabber.org/protocol/ibb' block-size='{block_size}' sid='{sid}' stanza='iq'/>")
}

pub fn data(sid: &str, seq: &str, base64: &str) -> String {
    format!("<data xmlns='http://jabber.org/protocol/ibb' seq='{seq}' sid='{sid}'>{base64}</data>")
}

pub fn ibb_close(sid: &str) -> String {
    format!("<close xmlns='http://jabber.org/protocol/ibb' sid='{sid}'/>")
}
