//! What peers and strangers can make `xtls pair` and `xtls verify` do by asking without end: they stay within their bounds, and
//! then go on. The server and the peers are played here, so that nothing else bounds them.

#![allow(clippy::wildcard_enum_match_arm, reason = "of what happens most does not matter here")]

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use xtls::jid::FullJid;
use xtls::tls::{KeyAlgorithm, UnixTime};
use xtls::trust::{Fingerprint, Learned, MemoryTrustStore, Method, Pin};
use xtls::verify::{EXPORTER_LABEL, Party, Verifier, VerifyEvent};
use xtls::{
    Config, Element, Engine, Event, Identity, Local, Password, Setup, TrustPolicy, TunnelId, TunnelOptions,
    error::SendError,
};
use xtls_interop::Xtls;
use xtls_stanza::{Limits, StreamItem, StreamReader, ns};

use crate::login::scripted::{HEADER, Scripted};

const ALICE: &str = "alice@localhost/xtls";
const BOB: &str = "bob@localhost/xtls";
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(50);
/// What the memory of the command may grow by, however much is asked.
const MAX_GROWTH: u64 = 6 * 1024 * 1024;

/// Alice's server, where she runs a command, and those who write to her.
struct World {
    server: Scripted,
    login: Receiver<TcpStream>,
    stanzas: Receiver<Element>,
    to_alice: Option<TcpStream>,
}

/// Somebody with an engine, who does nothing of itself.
struct Peer {
    engine: Engine,
    store: Arc<Mutex<MemoryTrustStore>>,
    identity: Identity,
    /// Stanzas that came in tunnels and were not looked at.
    inside: Vec<Element>,
}

impl World {
    fn new() -> Self {
        let ((login_in, login), (stanzas_in, stanzas)) = (channel(), channel());
        let server = Scripted::in_clear(move |talk| {
            talk.plain("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")?;
            talk.bind()?;
            login_in.send(talk.writer()).ok()?;
            let mut reader = StreamReader::new(Limits::default());
            let mut read = |mut bytes: &[u8]| {
                while let Some(item) = reader.read(&mut bytes).expect("what the command says is XML") {
                    if let StreamItem::Stanza(stanza) = item {
                        stanzas_in.send(stanza).ok()?;
                    }
                }
                Some(())
            };
            read(HEADER.as_bytes())?;
            loop {
                read(talk.hear_more()?.as_bytes())?;
            }
        });
        Self { server, login, stanzas, to_alice: None }
    }

    /// Alice runs this, and has logged in.
    fn run(&mut self, args: &[&str]) -> Xtls {
        let mut command = self.server.command(args);
        command.event("online");
        self.to_alice = self.login.recv_timeout(PATIENCE).ok();
        command
    }

    fn say(&mut self, stanza: &str) {
        self.to_alice.as_mut().expect("she has logged in").write_all(stanza.as_bytes()).expect("she is there");
    }

    /// The next stanza that she says to others.
    fn said(&self, patience: Duration) -> Option<Element> {
        match self.stanzas.recv_timeout(patience) {
            Ok(stanza) => Some(stanza),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("she has gone"),
        }
    }

    /// Carries what there is both ways, and waits so long for more.
    fn carry(&mut self, peer: &mut Peer, patience: Duration) {
        peer.engine.handle_timeout(now());
        let mut out = String::new();
        while peer.engine.poll_transmit(now(), &mut out).is_some() {}
        self.say(&out);
        let mut wait = patience;
        while let Some(stanza) = self.said(wait) {
            wait = Duration::ZERO;
            // The server says who it is from.
            let stamped = stanza.to_xml("jabber:client").replacen(' ', &format!(" from='{ALICE}' "), 1);
            let _ = peer.engine.handle_stanza(now(), &stamped);
            if stanza.child("query", ns::DISCO_INFO).is_some() && stanza.attribute("type") == Some("get") {
                let features = peer.engine.features().into_iter().map(|feature| format!("<feature var='{feature}'/>"));
                let answer = format!(
                    "<iq type='result' id='{}' from='{BOB}' to='{ALICE}'><query xmlns='{}'>{}</query></iq>",
                    stanza.attribute("id").expect("an id"),
                    ns::DISCO_INFO,
                    features.collect::<String>(),
                );
                self.say(&answer);
            }
        }
    }

    /// Carries until this happens to the peer; stanzas that come inside are put aside.
    #[track_caller]
    fn until<T>(&mut self, peer: &mut Peer, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        self.until_told(peer, |event| wanted(&event).ok_or_else(|| Box::new(event)))
    }

    /// The same of what is taken out of the event.
    #[track_caller]
    fn until_told<T>(&mut self, peer: &mut Peer, mut wanted: impl FnMut(Event) -> Result<T, Box<Event>>) -> T {
        let end = now() + PATIENCE;
        while now() < end {
            while let Some(event) = peer.engine.poll_event() {
                let event = match wanted(event) {
                    Ok(found) => return found,
                    Err(event) => *event,
                };
                match event {
                    Event::Stanza { stanza, .. } => peer.inside.push(stanza),
                    Event::Closed(closed) => panic!("the tunnel has ended: {closed:?}"),
                    _ => {}
                }
            }
            self.carry(peer, Duration::from_millis(20));
        }
        panic!("it never happened");
    }

    /// Carries until the one tunnel of the peer has ended, after a minute at the earliest.
    fn carry_to_the_end(&mut self, peer: &mut Peer) {
        let start = now();
        while peer.engine.tunnels().next().is_some() {
            assert!(now() < start + PATIENCE + Duration::from_secs(60), "it never ended");
            self.carry(peer, Duration::from_millis(20));
            while peer.engine.poll_event().is_some() {}
        }
        assert!(now() > start + Duration::from_secs(58), "it ended early");
    }

    /// Asks for all of this in a tunnel, and takes no answer meanwhile, nor acknowledges any.
    fn flood(&mut self, peer: &mut Peer, id: TunnelId, requests: impl Iterator<Item = String>) {
        for request in requests {
            let request = Element::parse(&request, &Limits::default()).expect("a stanza");
            loop {
                let mut tunnel = peer.engine.tunnel(id).expect("the tunnel is there");
                match tunnel.send(now(), &request) {
                    Ok(()) => break,
                    Err(SendError::Full) => self.carry(peer, Duration::from_millis(5)),
                    Err(error) => panic!("{error}"),
                }
            }
        }
        let end = now() + PATIENCE;
        while peer.engine.tunnel(id).expect("the tunnel is there").unacked() > 0 {
            assert!(now() < end, "she has stopped to read");
            self.carry(peer, Duration::from_millis(20));
        }
    }

    /// How many answers there were to requests of whatever kind, once no more come.
    fn answers(&mut self, peer: &mut Peer) -> usize {
        let mut last = now();
        while now() < last + Duration::from_secs(2) {
            while let Some(event) = peer.engine.poll_event() {
                match event {
                    Event::Stanza { stanza, .. } => peer.inside.push(stanza),
                    Event::Closed(closed) => panic!("the tunnel has ended: {closed:?}"),
                    _ => continue,
                }
                last = now();
            }
            self.carry(peer, Duration::from_millis(20));
        }
        let is_answer = |stanza: &Element| matches!(stanza.attribute("type"), Some("result" | "error"));
        std::mem::take(&mut peer.inside).iter().filter(|stanza| is_answer(stanza)).count()
    }

    /// Both users say that the strings are the same, and both ends know it.
    fn compare(&mut self, bob: &mut Peer, id: TunnelId, alice: &mut Xtls) {
        let channel = bob.engine.tunnel(id).and_then(|tunnel| tunnel.export_keying_material(32, EXPORTER_LABEL, None));
        let party = |jid: &str, certificate| Party { jid: jid.parse().expect("an address"), certificate };
        let (we, peer) = (party(BOB, bob.identity.fingerprint_sha256()), party(ALICE, self.alices_fingerprint()));
        let channel = channel.and_then(|key| key.try_into().ok()).expect("it is secured");
        let mut verifier = Verifier::new(channel, we, peer, [7; 32]);
        verifier.propose().expect("it is the first");
        let (end, mut is_verified) = (now() + PATIENCE, false);
        while !is_verified {
            assert!(now() < end, "they are not verified");
            self.carry(bob, Duration::from_millis(20));
            while let Some(event) = bob.engine.poll_event() {
                if let Event::Stanza { stanza, .. } = event {
                    assert!(verifier.handle_stanza(&stanza), "{stanza:?}");
                }
            }
            while let Some(event) = verifier.poll_event() {
                match event {
                    VerifyEvent::Compare(string) => {
                        assert_eq!(alice.event("compare")["digits"], string.digits());
                        alice.line("yes");
                        verifier.answer(true);
                    }
                    VerifyEvent::Verified => is_verified = true,
                    event => panic!("{event:?}"),
                }
            }
            while let Some(stanza) = verifier.poll_transmit() {
                bob.send(id, &stanza);
            }
        }
        self.carry(bob, Duration::ZERO);
    }

    fn alices_fingerprint(&self) -> Fingerprint {
        let ended = Xtls::run(self.server.data_dir(), None, &["identity", "--jid", "alice@localhost"]);
        let identity = ended.named("identity").next().expect("an identity is shown");
        format!("sha-256:{}", identity["sha256"].as_str().expect("it has a fingerprint")).parse().expect("one")
    }
}

impl Peer {
    fn new(jid: &str) -> Self {
        let jid: FullJid = jid.parse().expect("an address");
        let identity =
            Identity::generate(&jid.to_bare(), KeyAlgorithm::EcdsaP256, UnixTime::now()).expect("a certificate");
        let store = Arc::new(Mutex::new(MemoryTrustStore::default()));
        let mut config = Config::default();
        config.stamp_from = true;
        let seed = Fingerprint::sha256(jid.as_str().as_bytes()).digest().try_into().expect("32 bytes");
        let local = Local::new(jid, identity.clone());
        let setup = Setup::new(local, Box::new(Arc::clone(&store)), seed, UnixTime::now()).with_config(config);
        let engine = Engine::new(setup, now()).expect("an engine");
        Self { engine, store, identity, inside: Vec::new() }
    }

    fn trust(&self, pin: Pin) {
        self.store.lock().expect("no panic").pin(&"alice@localhost".parse().expect("an address"), pin);
    }

    /// Offers Alice a tunnel: by the password, or else by certificates that are pinned.
    fn offer(&mut self, password: Option<&str>) -> TunnelId {
        let mut options = TunnelOptions::xml_stream(TrustPolicy::Pinned);
        options.check_support = false;
        if let Some(password) = password {
            options.terms.methods = vec![Method::Srp];
            options.terms.password = Some(Password::new(password).expect("a password"));
        }
        self.engine.initiate(now(), ALICE.parse().expect("an address"), options).expect("it can be offered")
    }

    fn send(&mut self, id: TunnelId, stanza: &Element) {
        self.engine.tunnel(id).expect("the tunnel is there").send(now(), stanza).expect("there is room");
    }
}

#[allow(clippy::disallowed_methods, reason = "these tests run in real time")]
fn now() -> Instant {
    Instant::now()
}

fn is_open(event: &Event) -> Option<()> {
    matches!(event, Event::StreamOpened { .. }).then_some(())
}

/// A request of each kind that is answered, and some that are not: what is in them is given.
fn requests(count: usize, ours: &'static [&'static str]) -> impl Iterator<Item = String> {
    let others = [
        "type='get'><ping xmlns='urn:xmpp:ping'/>",
        "type='set'><what xmlns='urn:x'/>",
        "type='get'><query xmlns='http://jabber.org/protocol/disco#info'/>",
        "type='get'/>",
    ];
    let kinds: Vec<&str> = others.iter().chain(ours).copied().collect();
    (0..count).map(move |n| {
        let rest = kinds[n % kinds.len()];
        let end = if rest.ends_with("'/>") && !rest.contains("><") { "" } else { "</iq>" };
        format!("<iq xmlns='jabber:client' id='{n}' {rest}{end}")
    })
}

/// What strangers ask outside of tunnels is answered once each, and their offers are refused.
fn strangers_ask(world: &mut World, count: usize) {
    for n in 0..count {
        world.say(&format!(
            "<iq type='get' id='{n}' from='mercutio@verona.example/{n}'><ping xmlns='urn:xmpp:ping'/></iq>\
             <message from='tybalt{n}@verona.example/x'><body>What, drawn, and talk of peace!</body></message>"
        ));
    }
    let mut answers = 0;
    let end = now() + PATIENCE;
    while answers < count && now() < end {
        let said = world.said(Duration::from_millis(100));
        answers += usize::from(said.is_some_and(|said| said.attribute("type") == Some("result")));
    }
    assert_eq!(answers, count);
}

/// Alice and Bob, who have nothing but a server between them.
fn two_who_trust_one_another() -> (World, Peer) {
    let (world, bob) = (World::new(), Peer::new(BOB));
    bob.trust(Pin::new(world.alices_fingerprint(), Learned::LeapOfFaith));
    let fingerprint = bob.identity.fingerprint_sha256().to_string();
    let trusted = Xtls::run(world.server.data_dir(), None, &["trust", "add", "bob@localhost", &fingerprint]);
    assert_eq!(trusted.code, Some(0), "{}", trusted.stderr);
    (world, bob)
}

/// Bob asks 20 000 things before he compares.
#[test]
fn p25_a_peer_that_asks_without_end_while_strings_are_compared_is_held_in_bounds_and_can_compare() {
    let (mut world, mut bob) = two_who_trust_one_another();
    let mut alice = world.run(&["verify"]);
    strangers_ask(&mut world, 2000);
    let id = bob.offer(None);
    world.until(&mut bob, is_open);
    let before = alice.peak_memory();
    let ours = &[
        "type='set'><abort xmlns='urn:xtls:verify:0' attempt='x'/>",
        "type='set'><answer xmlns='urn:xtls:verify:0'/>",
    ];
    world.flood(&mut bob, id, requests(20_000, ours));
    let answers = world.answers(&mut bob);
    // Those for which there was room, and at least as many as wait for it.
    assert!((256..4_000).contains(&answers), "{answers} answers");
    let grown = alice.peak_memory() - before;
    assert!(grown < MAX_GROWTH, "it has grown by {grown} bytes");
    // It goes on as if nothing had been.
    world.compare(&mut bob, id, &mut alice);
    while bob.engine.tunnel(id).is_some() {
        world.carry(&mut bob, Duration::from_millis(20));
        while bob.engine.poll_event().is_some() {}
    }
    let ended = alice.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.named("verified").count(), 1);
    // A hundred of those who wrote outside are told of, and no more.
    assert_eq!(ended.named("outside").count(), 100);
}

/// Bob does not end the tunnel.
#[test]
fn what_comes_after_a_comparison_takes_nothing_back() {
    let (mut world, mut bob) = two_who_trust_one_another();
    let mut alice = world.run(&["verify"]);
    let id = bob.offer(None);
    world.until(&mut bob, is_open);
    world.compare(&mut bob, id, &mut alice);
    alice.event("verified");
    alice.interrupt();
    let ended = alice.wait();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

/// Whoever waits takes another one then; whoever called ends.
#[test]
fn a_peer_that_compares_nothing_is_let_go_after_a_minute() {
    const WORDS: &str = "bob@localhost/xtls compares nothing: let its user run xtls verify there";
    let waits = || {
        let (mut world, mut bob) = two_who_trust_one_another();
        let mut alice = world.run(&["verify"]);
        bob.offer(None);
        world.carry_to_the_end(&mut bob);
        assert_eq!(alice.event("error")["message"], WORDS);
        let id = bob.offer(None);
        world.until(&mut bob, is_open);
        world.compare(&mut bob, id, &mut alice);
        alice.event("verified");
        alice.interrupt();
        assert_eq!(alice.wait().code, Some(0));
    };
    let calls = || {
        let (mut world, mut bob) = two_who_trust_one_another();
        let mut alice = world.run(&["verify", BOB]);
        let incoming = world.until_told(&mut bob, |event| match event {
            Event::Incoming(incoming) => Ok(incoming),
            event => Err(Box::new(event)),
        });
        let options = TunnelOptions::xml_stream(TrustPolicy::Pinned);
        bob.engine.accept(now(), incoming, options).expect("it stands");
        world.carry_to_the_end(&mut bob);
        assert_eq!(alice.event("error")["message"], WORDS);
        assert_eq!(alice.wait().code, Some(4));
    };
    std::thread::scope(|scope| {
        scope.spawn(calls);
        waits();
    });
}

/// Bob has the code, and asks 10 000 things in the tunnel by it. Strangers offer what they can, and have no code.
#[test]
fn p25_a_peer_that_asks_without_end_while_two_pair_is_held_in_bounds_and_can_pair() {
    let mut world = World::new();
    let mut alice = world.run(&["pair"]);
    let shown = alice.event("code");
    let code = shown["code"].as_str().expect("a code").to_owned();
    strangers_ask(&mut world, 2000);
    // An account has two places at most: it keeps nobody else from trying the code.
    let mut mallory = Peer::new("mallory@localhost/1");
    for n in 0..100 {
        mallory.offer(Some("is crimson in thy lips"));
        let mut offer = String::new();
        while mallory.engine.poll_transmit(now(), &mut offer).is_some() {}
        world.say(&offer.replace("mallory@localhost/1", &format!("mallory@localhost/{n}")));
        mallory.engine.handle_disconnect(now());
        while mallory.engine.poll_event().is_some() {}
    }
    let mut bob = Peer::new(BOB);
    let id = bob.offer(Some(&code));
    world.until(&mut bob, is_open);
    let before = alice.peak_memory();
    // What the engine answers itself is bounded there: it stops to read.
    let ours = &["type='get'><received xmlns='urn:xtls:pairing:1'/>"];
    world.flood(&mut bob, id, requests(10_000, ours));
    let answers = world.answers(&mut bob);
    assert!((256..4_000).contains(&answers), "{answers} answers");
    let grown = alice.peak_memory() - before;
    assert!(grown < MAX_GROWTH, "it has grown by {grown} bytes");
    // It goes on as if nothing had been: each gets the other's certificate and knows that it has it.
    bob.engine.tunnel(id).expect("the tunnel is there").request_certificates(now()).expect("it can be asked");
    let given = world.until(&mut bob, |event| match event {
        Event::CertificatesReceived { result: Ok(given), .. } => Some(given[0].certificate.fingerprint_sha256()),
        _ => None,
    });
    assert_eq!(given, world.alices_fingerprint());
    bob.trust(Pin::new(given, Learned::Pairing));
    let received = "<iq xmlns='jabber:client' type='get' id='last'><received xmlns='urn:xtls:pairing:1'/></iq>";
    bob.send(id, &Element::parse(received, &Limits::default()).expect("a stanza"));
    let answer = world.until(&mut bob, |event| match event {
        Event::Stanza { stanza, .. } if stanza.attribute("id") == Some("last") => {
            stanza.attribute("type").map(str::to_owned)
        }
        _ => None,
    });
    assert_eq!(answer, "result");
    let closed = |event: &Event| matches!(event, Event::Closed(_)).then_some(());
    bob.engine.tunnel(id).expect("the tunnel is there").close(now());
    world.until(&mut bob, closed);
    let id = bob.offer(None);
    world.until(&mut bob, is_open);
    bob.engine.tunnel(id).expect("the tunnel is there").close(now());
    world.until(&mut bob, closed);
    let ended = alice.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.named("paired").count(), 1);
}
