//! Every call in every state, of each role: a table beside this file. A state or a call that is added has no cell there, and the
//! test fails. What it prints then is the table as it is.

use core::fmt::Write as _;
use std::collections::BTreeSet;

use xtls_stanza::jid::DomainPart;

use super::*;

/// Where a channel is: finer than its state, as TLS and what has left make a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Situation {
    InitiatorChooses,
    ResponderWaits,
    HalfAHello,
    ClientGreeted,
    ClientGreeted12,
    ClientGreetedSrp,
    ServerAnswered,
    ServerAnsweredSrp,
    TowardsServer,
    TowardsClient,
    ClientJudges,
    ServerJudges,
    ConfirmingBeforeFlight,
    ConfirmingAfterFlight,
    Unconfirmed,
    ClientEncrypted,
    InitiatorSecured,
    ResponderSecured,
    ResponderSecuredSrp,
    PeerClosed,
    Failed,
    Abandoned,
}

use Situation::*;

const SITUATIONS: [Situation; 22] = [
    InitiatorChooses,
    ResponderWaits,
    HalfAHello,
    ClientGreeted,
    ClientGreeted12,
    ClientGreetedSrp,
    ServerAnswered,
    ServerAnsweredSrp,
    TowardsServer,
    TowardsClient,
    ClientJudges,
    ServerJudges,
    ConfirmingBeforeFlight,
    ConfirmingAfterFlight,
    Unconfirmed,
    ClientEncrypted,
    InitiatorSecured,
    ResponderSecured,
    ResponderSecuredSrp,
    PeerClosed,
    Failed,
    Abandoned,
];

type Act = fn(&mut Scene) -> Progress;

/// What can be done with a channel. What gives no [`Progress`] gives the empty one.
const CALLS: [(&str, Act); 19] = [
    ("start", |scene| {
        let End { channel, env, out, .. } = &mut scene.end;
        let started = channel.start(Method::X509, Start::PLAIN, env, out);
        Progress::default().and(started)
    }),
    ("listen", |scene| {
        let hello = hello();
        let End { channel, env, plaintext, out, .. } = &mut scene.end;
        let answered: &[Method] = &[Method::X509, Method::Srp];
        let listen = Listen { agreed: None, answered, start: Start::PLAIN };
        channel.listen(&hello, listen, &mut Io { env, plaintext, out })
    }),
    ("read-nothing", |scene| scene.read(b"")),
    ("read-junk", |scene| scene.read(b"neither TLS nor anything else")),
    ("read-next", |scene| {
        let next = std::mem::take(&mut scene.next);
        scene.read(&next)
    }),
    // A record of application data that nobody has protected.
    ("read-clear", |scene| scene.read(&[23, 3, 3, 0, 3, b'a', b'b', b'c'])),
    ("read-next-data", |scene| {
        let data = scene.other.sealed(b"but soft");
        let next = std::mem::take(&mut scene.next);
        scene.read(&[next, data].concat())
    }),
    // The same without what goes before it.
    ("read-data", |scene| {
        let data = scene.other.sealed(b"but soft");
        scene.read(&data)
    }),
    ("read-notify", |scene| {
        let mut notify = Vec::new();
        scene.other.channel.close_write(&mut notify);
        scene.read(&notify)
    }),
    ("decide-yes", |scene| scene.end.decide(TrustDecision::Accept)),
    ("decide-no", |scene| scene.end.decide(TrustDecision::Refuse)),
    ("confirm-header", |scene| scene.end.confirm(Sign::Header)),
    ("confirm-data", |scene| scene.end.confirm(Sign::Data)),
    ("go-on", |scene| {
        let End { channel, env, .. } = &mut scene.end;
        channel.go_on_unconfirmed(env)
    }),
    ("identify", |scene| {
        let End { channel, env, .. } = &mut scene.end;
        let secured = channel.identify(Authentication::Sasl, env);
        Progress { secured, ..Progress::default() }
    }),
    ("password", |scene| {
        scene.end.channel.provide_password(Some(word()));
        Progress::default()
    }),
    ("write", |scene| {
        let End { channel, out, .. } = &mut scene.end;
        let written = channel.write(b"wherefore", out);
        scene.said = written.err().map(|slip| format!("{slip:?}"));
        Progress::default()
    }),
    ("close-write", |scene| {
        let End { channel, out, .. } = &mut scene.end;
        channel.close_write(out);
        Progress::default()
    }),
    ("abandon", |scene| {
        scene.end.channel.abandon();
        Progress::default()
    }),
];

/// The end in question, its other one, and what that sends next if all goes well.
struct Scene {
    end: End,
    other: End,
    next: Vec<u8>,
    /// What a call said that gives no progress.
    said: Option<String>,
}

impl Scene {
    fn of(pair: Pair, side: Side) -> Self {
        let Pair([initiator, responder]) = pair;
        let (end, mut other) = if side == I { (initiator, responder) } else { (responder, initiator) };
        let next = std::mem::take(&mut other.out);
        Self { end, other, next, said: None }
    }

    fn read(&mut self, records: &[u8]) -> Progress {
        let End { channel, env, plaintext, out, .. } = &mut self.end;
        channel.read(records, &mut Io { env, plaintext, out })
    }
}

impl End {
    /// Plaintext as records, where there can be any.
    fn sealed(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let _ = self.channel.write(plaintext, &mut out);
        out
    }
}

/// The first flight of a client.
fn hello() -> Vec<u8> {
    let mut pair = Setup::new(Tls::V13).begun();
    pair.end(I).send()
}

/// A pair, of which one end has been handed so many flights in turn.
fn after(setup: &Setup, flights: usize) -> Pair {
    let mut pair = setup.begun();
    for flight in 0..flights {
        let _ = pair.pass(if flight % 2 == 0 { I } else { R });
    }
    pair
}

fn towards(flights: usize) -> Pair {
    let setup = Setup::strangers(Tls::V13, TrustPolicy::Pinned);
    setup.store(I).pin(R, fingerprint(R));
    let mut pair = setup.pair();
    pair.end(R).channel = Channel::towards_client(true, &pair.end(R).env).expect("TLS can be set up");
    let domain = DomainPart::new("capulet.lit").expect("a domain");
    let terms = TowardsServerTerms { domain, present_certificate: true, alpn: false, sessions: None };
    let End { channel, env, out, .. } = pair.end(I);
    channel.start_towards_server(terms, env, out).expect("TLS can be set up");
    for flight in 0..flights {
        let _ = pair.pass(if flight % 2 == 0 { I } else { R });
    }
    pair
}

fn scene(situation: Situation) -> Scene {
    let asks = || Setup::strangers(Tls::V13, TrustPolicy::Ask);
    match situation {
        InitiatorChooses => Scene::of(Setup::new(Tls::V13).pair(), I),
        ResponderWaits => Scene::of(Setup::new(Tls::V13).begun(), R),
        HalfAHello => {
            let mut scene = Scene::of(Setup::new(Tls::V13).begun(), R);
            let rest = scene.next.split_off(20);
            let first = std::mem::replace(&mut scene.next, rest);
            let _ = scene.end.read(&first);
            scene
        }
        ClientGreeted => Scene::of(after(&Setup::new(Tls::V13), 1), I),
        ClientGreeted12 => Scene::of(after(&Setup::new(Tls::V12), 1), I),
        ClientGreetedSrp => Scene::of(after(&Setup::new(Tls::Srp), 1), I),
        ServerAnswered => Scene::of(after(&Setup::new(Tls::V13), 2), R),
        ServerAnsweredSrp => Scene::of(after(&Setup::new(Tls::Srp), 2), R),
        TowardsServer => Scene::of(towards(1), I),
        TowardsClient => Scene::of(towards(2), R),
        ClientJudges => Scene::of(after(&asks(), 2), I),
        ServerJudges => {
            let mut pair = after(&asks(), 2);
            let _ = pair.end(I).decide(TrustDecision::Accept);
            let _ = pair.pass(I);
            Scene::of(pair, R)
        }
        ConfirmingBeforeFlight => Scene::of(after(&Setup::new(Tls::V13), 2), I),
        ConfirmingAfterFlight => Scene::of(after(&Setup::new(Tls::V13), 3), I),
        Unconfirmed => {
            let mut scene = scene(ConfirmingAfterFlight);
            let End { channel, env, .. } = &mut scene.end;
            assert!(channel.go_on_unconfirmed(env).secured);
            scene
        }
        ClientEncrypted => Scene::of(towards(3), R),
        InitiatorSecured => Scene::of(Setup::new(Tls::V13).secured(), I),
        ResponderSecured => Scene::of(Setup::new(Tls::V13).secured(), R),
        ResponderSecuredSrp => Scene::of(Setup::new(Tls::Srp).secured(), R),
        PeerClosed => {
            let mut scene = scene(InitiatorSecured);
            let mut notify = Vec::new();
            scene.other.channel.close_write(&mut notify);
            assert!(scene.read(&notify).fault.is_none() && scene.end.channel.peer_closed());
            scene
        }
        Failed => {
            let mut scene = scene(ClientGreeted);
            assert!(scene.read(b"neither TLS nor anything else").fault.is_some());
            scene.end.out.clear();
            scene
        }
        Abandoned => {
            let mut scene = scene(InitiatorSecured);
            scene.end.channel.abandon();
            scene
        }
    }
}

/// What came of a call, in short.
fn outcome(mut scene: Scene, call: Act) -> String {
    let before = scene.end.channel.state.name();
    let sent = scene.end.out.len();
    let had = scene.end.channel.security().is_some();
    let progress = call(&mut scene);
    let End { channel, plaintext, out, .. } = &scene.end;
    let told = [
        ("started", progress.started.is_some()),
        ("answered", progress.answered),
        ("asks", progress.question.is_some()),
        ("accepted", progress.accepted),
        ("encrypted", progress.encrypted),
        ("secured", progress.secured),
        ("confirmed", progress.confirmed),
        ("unsaved", progress.unsaved.is_some()),
        ("received", progress.received > 0),
        ("plaintext", !plaintext.is_empty()),
        ("sends", out.len() > sent),
    ];
    let mut words: Vec<String> = told.iter().filter(|(_, is)| *is).map(|(word, _)| (*word).to_owned()).collect();
    words.extend(scene.said.clone());
    words.extend(progress.fault.as_ref().map(|fault| format!("!{}", fault.as_str())));
    let after = channel.state.name();
    if after != before {
        words.push(format!("→{after}"));
    }
    // What holds whatever happens.
    assert!(plaintext.is_empty() || channel.security().is_some() || channel.is_encrypted(), "{before}: {words:?}");
    assert!(!had || channel.security().is_some(), "how it was secured is not forgotten: {before}");
    // A secured channel whose TLS has failed stays what it was, so that it says how it was secured; nothing is derived from it.
    let failed = progress.fault.as_ref().is_some_and(|fault| !matches!(**fault, Fault::Internal(_)));
    // TLS 1.2 ends in both directions at once, and its keys with it.
    let ended = channel.peer_closed() && channel.security().is_some_and(|security| security.method == Method::Srp);
    let derives = matches!(after, "secured" | "encrypted") && !failed && !ended;
    assert_eq!(channel.channel_binding().is_some(), derives, "{before}: {words:?}");
    if let Some(fault) = &progress.fault {
        // A slip of the caller's changes nothing, nor does a method that was not answered.
        let is_slip = matches!(**fault, Fault::Internal(_)) || before == "choosing";
        let is_left = matches!(before, "confirming" | "encrypted" | "secured") || is_slip;
        assert!(after == "closed" || after == before && is_left, "{before}: {words:?}");
    }
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

#[test]
fn every_call_in_every_state() {
    let mut table = String::new();
    let mut states = BTreeSet::new();
    for situation in SITUATIONS {
        let state = match scene(situation).end.channel.state {
            State::Choosing { .. } => 0,
            State::Handshake(_) => 1,
            State::Judging(_) => 2,
            State::Confirming { .. } => 3,
            State::Encrypted(_) => 4,
            State::Secured { .. } => 5,
            State::Closed { .. } => 6,
        };
        states.insert(state);
        writeln!(table, "{situation:?}: {}", scene(situation).end.channel.state.name()).expect("a string");
        let mut outcomes: Vec<(String, Vec<&str>)> = Vec::new();
        for (name, call) in CALLS {
            let outcome = outcome(scene(situation), call);
            match outcomes.iter_mut().find(|(seen, _)| *seen == outcome) {
                Some((_, calls)) => calls.push(name),
                None => outcomes.push((outcome, vec![name])),
            }
        }
        for (outcome, calls) in outcomes {
            writeln!(table, "  {outcome} <- {}", calls.join(", ")).expect("a string");
        }
    }
    assert_eq!(states.len(), 7, "every state is one of a situation");
    assert!(table == include_str!("cells.txt"), "another table than cells.txt:\n{table}");
}
