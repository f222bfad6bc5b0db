//! A responder that really speaks before it has seen the initiator's certificate (RFC 8446 § 4.4.4): OpenSSL's library, led by
//! `half_rtt.py`. What it says then shows nothing (2.17).

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use xtls::event::Side;
use xtls::link::LinkEvent;
use xtls::trust::{Authentication, TrustRecord, TrustStore as _};
use xtls::{
    Application, CloseReason, Event, Fault, Identity, Terms, TrustPolicy, TunnelId, TunnelOptions, jid::FullJid,
};
use xtls_stanza::Element;
use xtls_testkit::LinkPair;

use crate::common::{HEADER_JULIET, Stage, bytes_without_hash, is_data, kinds, payload, terminate};

/// What the server does once it has seen the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judges {
    Refuses,
    /// And sends no ticket.
    Accepts,
    AcceptsWithTickets,
}

/// The server.
struct Server {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What the server does upon a command.
struct Answer {
    state: String,
    records: Vec<u8>,
    said: String,
}

impl Server {
    fn start(judges: Judges, identity: &Identity) -> Self {
        let words = match judges {
            Judges::Refuses => ["refuses", "2"],
            Judges::Accepts => ["accepts", "0"],
            Judges::AcceptsWithTickets => ["accepts", "2"],
        };
        let mut child = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("half_rtt.py"))
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("python3 cannot be started: {e}; tests/run installs it"));
        let commands = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self { child, commands, answers };
        let pem = identity.to_pem();
        server.command("identity", &[(pem.certificate + pem.key.expose()).as_bytes()]);
        server
    }

    fn command(&mut self, command: &str, words: &[&[u8]]) {
        let words: String = words.iter().map(|word| format!(" {}", STANDARD.encode(word))).collect();
        writeln!(self.commands, "{command}{words}").expect("the server is there");
    }

    fn ask(&mut self, command: &str, words: &[&[u8]]) -> Answer {
        self.command(command, words);
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let [state, records, said] = line.trim_end_matches('\n').split(' ').collect::<Vec<_>>()[..] else {
            panic!("the server is gone; what it said is above: {line:?}")
        };
        let decoded = |word| STANDARD.decode(word).unwrap();
        Answer { state: state.to_owned(), records: decoded(records), said: String::from_utf8(decoded(said)).unwrap() }
    }

    /// The first flight, and what is said with it.
    fn hello(&mut self, records: &[u8], early: &str) -> Vec<u8> {
        let Answer { state, records, .. } = self.ask("hello", &[records, early.as_bytes()]);
        assert_eq!(state, "waits", "it has not seen the certificate");
        records
    }

    /// Hands over the client's last flight, and gives what the client said with it, and the answer.
    fn judge(&mut self, judges: Judges, flight: &[u8]) -> (String, Vec<u8>) {
        let Answer { state, records, said } = self.ask("read", &[flight]);
        assert_eq!(state, if judges == Judges::Refuses { "failed" } else { "done" });
        // An alert, or tickets.
        assert_eq!(records.is_empty(), judges == Judges::Accepts);
        (said, records)
    }

    fn write(&mut self, text: &str) -> Vec<u8> {
        self.ask("write", &[text.as_bytes()]).records
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const ALL: [Judges; 3] = [Judges::Refuses, Judges::Accepts, Judges::AcceptsWithTickets];

/// The answering header of a link, and its features.
const ANSWER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
    from='juliet@pronto' to='romeo@forza' id='x' version='1.0'><stream:features/>";

/// Romeo's end of a link to Juliet, whom he has never met and takes as she is.
struct Link {
    pair: LinkPair,
    read: usize,
    server: Server,
}

impl Link {
    /// The server has said this before it has seen the certificate; gives the flight that has the certificate.
    fn told_early(judges: Judges, early: &str) -> (Self, Vec<u8>) {
        let mut pair = LinkPair::new(3);
        for end in [Side::Initiator, Side::Responder] {
            pair.tamper(end, Vec::clear);
        }
        pair.start(Terms::new(TrustPolicy::LeapOfFaith), None);
        pair.run();
        let server = Server::start(judges, pair.identity(Side::Responder));
        let mut link = Self { pair, read: 0, server };
        link.sent();
        let (header, _) = ANSWER.split_once("<stream:features/>").unwrap();
        let starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
        link.give(format!("{header}<stream:features>{starttls}</stream:features>").as_bytes());
        assert!(String::from_utf8(link.sent()).unwrap().starts_with("<starttls"));
        link.give(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        let hello = link.sent();
        let flight = link.server.hello(&hello, early);
        link.give(&flight);
        let flight = link.sent();
        assert!(!flight.is_empty());
        (link, flight)
    }

    fn give(&mut self, bytes: &[u8]) {
        self.pair.inject(Side::Initiator, bytes);
        self.pair.run();
    }

    /// What Romeo's end has sent since the last time.
    fn sent(&mut self) -> Vec<u8> {
        let bytes = self.pair.sent(Side::Initiator)[self.read..].to_vec();
        self.read += bytes.len();
        bytes
    }

    /// The server has judged the certificate, and says nothing else.
    fn judge(&mut self, judges: Judges, flight: &[u8]) {
        let (said, records) = self.server.judge(judges, flight);
        assert_eq!(said.contains("<stream:stream"), judges != Judges::Refuses);
        self.give(&records);
    }

    fn say(&mut self, text: &str) {
        let records = self.server.write(text);
        self.give(&records);
    }

    fn events(&mut self) -> Vec<LinkEvent> {
        self.pair.take_events(Side::Initiator)
    }

    /// Romeo's end has told that it is secured, and has remembered Juliet.
    fn is_confirmed(&mut self) {
        let events = self.events();
        let secured = |event: &LinkEvent| matches!(event, LinkEvent::Secured { security } if security.confirmed);
        assert!(events.iter().any(secured), "{events:?}");
        self.is_remembered();
    }

    fn is_remembered(&self) {
        let record = self.pair.record(Side::Initiator);
        assert!(record.secured_before());
        assert_eq!(record.pins.len(), 1);
        assert_eq!(record.pins[0].fingerprint, self.pair.identity(Side::Responder).fingerprint_sha256());
    }

    fn knows_nothing(&self) {
        assert_eq!(self.pair.record(Side::Initiator), TrustRecord::default());
    }
}

#[test]
#[ignore = "needs python3 and OpenSSL's library: see tests/run"]
fn l07_a_link_pins_nobody_for_a_header_in_half_rtt() {
    for judges in ALL {
        let (mut link, flight) = Link::told_early(judges, ANSWER);
        let events = link.events();
        let [LinkEvent::Secured { security }, LinkEvent::StreamOpened] = &events[..] else { panic!("{events:?}") };
        assert_eq!((security.authenticated_by, security.confirmed), (Authentication::LeapOfFaith, false));
        link.knows_nothing();
        link.judge(judges, &flight);
        let events = link.events();
        match judges {
            Judges::Refuses => {
                let [LinkEvent::Closed(closed)] = &events[..] else { panic!("{events:?}") };
                assert!(
                    matches!(&closed.reason, CloseReason::Fault(fault) if matches!(**fault, Fault::Tls(_))),
                    "{closed:?}"
                );
                link.knows_nothing();
            }
            Judges::Accepts => {
                // Nothing else shows it any more.
                link.say("<message><body>But soft</body></message>");
                let events = link.events();
                assert!(matches!(&events[..], [LinkEvent::Stanza { .. }]), "{events:?}");
                link.knows_nothing();
            }
            Judges::AcceptsWithTickets => {
                assert!(matches!(&events[..], [LinkEvent::Confirmed]), "{events:?}");
                link.is_remembered();
            }
        }
    }
}

#[test]
#[ignore = "needs python3 and OpenSSL's library: see tests/run"]
fn l07_a_link_pins_nobody_for_a_header_that_began_in_half_rtt() {
    for cut in [1, ANSWER.find('>').unwrap()] {
        let (mut link, flight) = Link::told_early(Judges::Accepts, &ANSWER[..cut]);
        assert!(link.events().is_empty());
        link.judge(Judges::Accepts, &flight);
        link.say(&ANSWER[cut..]);
        let events = link.events();
        let [LinkEvent::Secured { security }, LinkEvent::StreamOpened] = &events[..] else { panic!("{events:?}") };
        assert!(!security.confirmed, "{cut}");
        link.knows_nothing();
    }
}

#[test]
#[ignore = "needs python3 and OpenSSL's library: see tests/run"]
fn wire_2_17_a_link_takes_a_ticket_or_a_header_that_answers_for_the_word_of_a_real_server() {
    let (mut link, flight) = Link::told_early(Judges::AcceptsWithTickets, "");
    link.knows_nothing();
    link.judge(Judges::AcceptsWithTickets, &flight);
    link.is_confirmed();
    let (mut link, flight) = Link::told_early(Judges::Accepts, "");
    link.judge(Judges::Accepts, &flight);
    assert!(link.events().is_empty());
    link.knows_nothing();
    link.say(ANSWER);
    link.is_confirmed();
}

/// Romeo's engine and a tunnel to Juliet, whom it has never met and takes as she is.
struct Tunnel {
    stage: Stage,
    id: TunnelId,
    server: Server,
}

impl Tunnel {
    /// The offer is accepted, and the ClientHello there.
    fn offered(application: &Application, judges: Judges) -> (Self, Vec<u8>) {
        let mut stage = Stage::romeo();
        let peer = bare(&stage);
        stage.world.with_store(stage.engine, |store| store.remove(&peer));
        let mut options = TunnelOptions::new(application.clone(), TrustPolicy::LeapOfFaith);
        options.check_support = false;
        let (id, _) = stage.engine_offers_with(options);
        let mut accept = stage.accept_with(&stage.peer_security());
        if *application != Application::XmlStream {
            accept = accept.replace(xtls_stanza::ns::XMLSTREAM_0, xtls::jingle::BYTES_0_NS);
            accept = accept.replace("name='xmlstream'", "name='data'");
        }
        let requests = stage.ask_fine(&accept);
        requests.iter().for_each(|request| stage.ack(request));
        let hello = blocks(&mut stage);
        hello.iter().for_each(|block| stage.ack(block));
        let server = Server::start(judges, &stage.identity);
        let hello = taken(&mut stage, &hello);
        (Self { stage, id, server }, hello)
    }

    /// The server has said this before it has seen the certificate; gives the blocks of Romeo's last flight.
    fn told_early(application: &Application, judges: Judges, early: &str) -> (Self, Vec<Element>) {
        let (mut tunnel, hello) = Self::offered(application, judges);
        let records = tunnel.server.hello(&hello, early);
        let flight = tunnel.flight_upon(&records);
        (tunnel, flight)
    }

    /// The blocks of Romeo's last flight, which answers these records.
    fn flight_upon(&mut self, records: &[u8]) -> Vec<Element> {
        self.stage.send_records(records);
        let flight = blocks(&mut self.stage);
        assert!(!flight.is_empty());
        flight
    }

    fn judge(&mut self, judges: Judges, flight: &[Element]) {
        flight.iter().for_each(|block| self.stage.ack(block));
        let (_, records) = self.server.judge(judges, &taken(&mut self.stage, flight));
        self.stage.send_records(&records);
        self.stage.world.run();
    }

    fn say(&mut self, text: &str) {
        let records = self.server.write(text);
        self.stage.send_records(&records);
        self.stage.world.run();
    }

    /// Whether nothing was told of, nothing can be read, and nothing is remembered.
    fn is_silent(&mut self) -> bool {
        self.stage.events().is_empty() && self.readable().is_empty() && !self.has_learned()
    }

    /// What there is to read now.
    fn readable(&mut self) -> String {
        let id = self.id;
        let mut read = Vec::new();
        let count =
            self.stage.with(|engine, now| engine.tunnel(id).map_or(0, |mut tunnel| tunnel.read(now, &mut read)));
        assert_eq!(count, read.len());
        String::from_utf8(read).unwrap()
    }

    fn has_learned(&self) -> bool {
        let peer = bare(&self.stage);
        let record = self.stage.world.with_store(self.stage.engine, |store| store.record(&peer).unwrap());
        assert_eq!(record.secured_before(), !record.pins.is_empty());
        record.secured_before()
    }

    /// Romeo's engine has told just this since, and has remembered Juliet.
    fn is_confirmed(&mut self, by: &[&str]) {
        let events = self.stage.events();
        assert!(matches!(&events[0], Event::Secured { security, .. } if security.confirmed), "{events:?}");
        assert_eq!(kinds(&events), by);
        assert!(self.has_learned());
    }
}

fn bare(stage: &Stage) -> xtls::jid::BareJid {
    stage.peer.parse::<FullJid>().unwrap().to_bare()
}

/// The blocks that Romeo's engine has sent since the last time.
fn blocks(stage: &mut Stage) -> Vec<Element> {
    stage.sent().into_iter().filter(is_data).collect()
}

/// What they hold, for the server.
fn taken(stage: &mut Stage, blocks: &[Element]) -> Vec<u8> {
    let before = stage.blocks.len();
    blocks.iter().for_each(|block| stage.take_block(block));
    stage.blocks[before..].concat()
}

fn applications() -> [(Application, String); 2] {
    [
        (Application::XmlStream, format!("{HEADER_JULIET}<stream:features/>")),
        (bytes_without_hash(), "half-RTT".to_owned()),
    ]
}

#[test]
#[ignore = "needs python3 and OpenSSL's library: see tests/run"]
fn p17_a_server_that_speaks_early_and_then_refuses_us_never_secures_a_tunnel() {
    for (application, early) in applications() {
        let (mut tunnel, flight) = Tunnel::told_early(&application, Judges::Refuses, &early);
        assert!(tunnel.is_silent());
        tunnel.judge(Judges::Refuses, &flight);
        let ends = tunnel.stage.play();
        assert_eq!(ends.last().map(payload), Some(terminate(&tunnel.stage.sid, "security-error")));
        assert_eq!(kinds(&tunnel.stage.events()), ["Closed"]);
        assert!(tunnel.is_silent());
    }
}

#[test]
#[ignore = "needs python3 and OpenSSL's library: see tests/run"]
fn l07_a_tunnel_pins_nobody_for_what_was_said_in_half_rtt() {
    for (application, early) in applications() {
        for judges in [Judges::Accepts, Judges::AcceptsWithTickets] {
            let (mut tunnel, flight) = Tunnel::told_early(&application, judges, &early);
            assert!(tunnel.is_silent());
            tunnel.judge(judges, &flight);
            let inside = if application == Application::XmlStream { "StreamOpened" } else { "Readable" };
            if judges == Judges::AcceptsWithTickets {
                tunnel.is_confirmed(&["Secured", inside]);
                continue;
            }
            assert!(tunnel.is_silent());
            tunnel.stage.world.run_for(std::time::Duration::from_secs(4));
            let events = tunnel.stage.events();
            assert!(matches!(&events[0], Event::Secured { security, .. } if !security.confirmed), "{events:?}");
            assert_eq!(kinds(&events), ["Secured", inside]);
            assert_eq!(tunnel.readable(), if inside == "Readable" { early.as_str() } else { "" });
            assert!(tunnel.is_silent());
        }
    }
}

#[test]
#[ignore = "needs python3 and OpenSSL's library: see tests/run"]
fn wire_2_17_a_tunnel_of_raw_bytes_takes_what_comes_after_its_flight_for_the_word_of_a_real_server() {
    let (mut tunnel, flight) = Tunnel::told_early(&bytes_without_hash(), Judges::Accepts, "half-RTT");
    tunnel.judge(Judges::Accepts, &flight);
    assert!(tunnel.is_silent());
    tunnel.say("!");
    tunnel.is_confirmed(&["Secured", "Readable"]);
    assert_eq!(tunnel.readable(), "half-RTT!");
}

/// The block with what was said early comes when our last flight has left, and before it was acknowledged.
#[test]
#[ignore = "needs python3 and OpenSSL's library: see tests/run"]
fn wire_2_17_what_was_said_in_half_rtt_and_comes_late_confirms_nothing() {
    let (mut tunnel, hello) = Tunnel::offered(&bytes_without_hash(), Judges::Accepts);
    let records = tunnel.server.hello(&hello, "half-RTT");
    let (first, early) = records.split_at(last_record(&records));
    let flight = tunnel.flight_upon(first);
    tunnel.stage.send_records(early);
    tunnel.stage.world.run();
    assert!(tunnel.is_silent());
    tunnel.judge(Judges::Accepts, &flight);
    assert!(tunnel.is_silent());
    tunnel.say("!");
    tunnel.is_confirmed(&["Secured", "Readable"]);
}

/// Where the last of these records begins.
fn last_record(records: &[u8]) -> usize {
    let (mut at, mut last) = (0, 0);
    while let Some([_, _, _, high, low]) = records.get(at..at + 5) {
        last = at;
        at += 5 + usize::from(u16::from_be_bytes([*high, *low]));
    }
    assert_eq!(at, records.len(), "whole records");
    last
}
