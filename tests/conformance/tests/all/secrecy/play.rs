//! Two applications that press for all that they can get, and an eye on everything.

use core::time::Duration;

use xtls::{Application, Event, Fault, TrustDecision, TrustPolicy, TunnelId, TunnelOptions, trust::Pin};
use xtls_stanza::{Fingerprint, ns};
use xtls_testkit::{EntityId, EntityOptions, Passed, World};

use crate::common::{JULIET, ROMEO, blocks_of, closed, element, kinds, message};

/// What the application says, which nobody on the way may see.
const CANARIES: [&str; 4] = ["wherefore", "balcony-secret", "<message", "<stream:stream"];

pub(crate) fn world() -> (World, EntityId, EntityId) {
    let mut world = World::default();
    world.relay.keep_log();
    let romeo = world.add(ROMEO, EntityOptions::seeded(11));
    let juliet = world.add(JULIET, EntityOptions::seeded(12));
    (world, romeo, juliet)
}

fn contains(bytes: &[u8], canary: &str) -> bool {
    bytes.windows(canary.len()).any(|window| window == canary.as_bytes())
}

/// Nothing of the application is on the wire: neither in the stanzas nor in what they decode to, block by block or joined.
pub(crate) fn assert_secret(log: &[Passed]) {
    for passed in log {
        for canary in CANARIES {
            assert!(!passed.stanza.contains(canary), "{canary} in {}", passed.stanza);
        }
        assert_eq!(element(&passed.stanza).name(), "iq", "nothing else goes around the tunnel");
    }
    for sender in [ROMEO, JULIET] {
        let blocks = blocks_of(log, sender);
        let joined: Vec<u8> = blocks.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
        for canary in CANARIES {
            assert!(!contains(&joined, canary), "{canary} from {sender}");
        }
        assert_records(&joined);
    }
}

/// The bytes are TLS records and nothing else: application data only behind the handshake.
fn assert_records(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        assert!(matches!(bytes[0], 20..=23) && bytes[1] == 3, "a TLS record");
        let length = 5 + usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
        bytes = &bytes[length..];
    }
}

/// Nothing of the application was handed out before `Secured`, or at all where that never came.
fn assert_nothing_before_secured(events: &[Event]) {
    let hands_out = |kind: &&str| {
        matches!(
            *kind,
            "Stanza"
                | "Readable"
                | "StreamOpened"
                | "StreamClosed"
                | "Impersonation"
                | "PeerFinished"
                | "Writable"
                | "Confirmed"
        )
    };
    let kinds = kinds(events);
    let secured = kinds.iter().position(|kind| *kind == "Secured").unwrap_or(kinds.len());
    assert!(!kinds[..secured].iter().any(hands_out), "{kinds:?}");
}

/// Tries everything that an application can do with a tunnel; all of it must be refused before `Secured`.
fn push(world: &mut World, id: EntityId, tunnel: TunnelId) {
    world.with(id, |engine, now| {
        let Some(mut tunnel) = engine.tunnel(tunnel) else { return };
        if tunnel.security().is_some() {
            return;
        }
        assert!(tunnel.send(now, &message("wherefore art thou")).is_err());
        assert!(tunnel.write(now, b"balcony-secret").is_err());
        assert!(tunnel.open_stream(now).is_err());
        assert!(tunnel.close_stream(now).is_err());
        assert!(tunnel.finish(now).is_err());
        assert_eq!(tunnel.export_keying_material(32, b"EXPORTER-test", None), None);
        let mut out = Vec::new();
        assert_eq!((tunnel.read(now, &mut out), out), (0, Vec::new()));
    });
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) romeo: Vec<Event>,
    pub(crate) juliet: Vec<Event>,
    pub(crate) log: Vec<Passed>,
}

/// Plays a tunnel from Romeo to Juliet in small steps, in which both applications press for all that they can get; as
/// soon as they are secured they talk. A person who is asked says what `decide` says.
pub(crate) fn play(
    world: &mut World,
    [romeo, juliet]: [EntityId; 2],
    application: &Application,
    [offers, accepts]: [TrustPolicy; 2],
    decide: Option<TrustDecision>,
) -> Outcome {
    let peer = world.jid(juliet).clone();
    let options = TunnelOptions::new(application.clone(), offers);
    let tunnel = world.with(romeo, |engine, now| engine.initiate(now, peer, options)).unwrap();
    let mut tunnels = [(romeo, tunnel)].to_vec();
    let mut seen: [Vec<Event>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..300 {
        world.run_for(Duration::from_millis(10));
        if let Some(accepted) = world.accept(juliet, TunnelOptions::new(application.clone(), accepts)) {
            tunnels.push((juliet, accepted));
        }
        for (id, tunnel) in tunnels.clone() {
            push(world, id, tunnel);
        }
        for (seen, id) in seen.iter_mut().zip([romeo, juliet]) {
            for event in world.take_events(id) {
                match (&event, decide) {
                    (Event::TrustRequired { id: tunnel, .. }, Some(decision)) => {
                        let tunnel = *tunnel;
                        world.with(id, |engine, now| engine.tunnel(tunnel).unwrap().trust(now, decision)).unwrap();
                    }
                    (Event::StreamOpened { id: tunnel }, _) => {
                        let (tunnel, text) = (*tunnel, message("wherefore art thou"));
                        world.with(id, |engine, now| engine.tunnel(tunnel).unwrap().send(now, &text)).unwrap();
                    }
                    (Event::Secured { id: tunnel, .. }, _) if *application != Application::XmlStream => {
                        let tunnel = *tunnel;
                        world
                            .with(id, |engine, now| engine.tunnel(tunnel).unwrap().write(now, b"balcony-secret"))
                            .unwrap();
                    }
                    _ => {}
                }
                seen.push(event);
            }
        }
    }
    let [romeo, juliet] = seen;
    let log = world.relay.log().to_vec();
    assert_secret(&log);
    assert_nothing_before_secured(&romeo);
    assert_nothing_before_secured(&juliet);
    Outcome { romeo, juliet, log }
}

pub(crate) fn has(events: &[Event], kind: &str) -> bool {
    kinds(events).contains(&kind)
}

/// What came through, on either side, where all went well.
pub(crate) fn assert_talked(outcome: &Outcome, application: &Application) {
    let kind = if *application == Application::XmlStream { "Stanza" } else { "Readable" };
    assert!(has(&outcome.romeo, kind) && has(&outcome.juliet, kind));
}

/// The session-terminates that crossed the relay, as their conditions.
pub(crate) fn ends(log: &[Passed]) -> Vec<String> {
    log.iter()
        .filter_map(|passed| {
            let stanza = element(&passed.stanza);
            let jingle = stanza.child("jingle", ns::JINGLE)?;
            let reason = jingle.child("reason", ns::JINGLE)?;
            Some(reason.children().next().unwrap().name().to_owned())
        })
        .collect()
}

pub(crate) fn both() -> [Application; 2] {
    [Application::XmlStream, Application::bytes()]
}

/// Pins another certificate than the peer has.
pub(crate) fn pin_another(world: &World, id: EntityId, peer: EntityId) {
    let jid = world.jid(peer).to_bare();
    world.with_store(id, |store| store.pin(&jid, Pin::manual(Fingerprint::sha256(b"another certificate"))));
}

pub(crate) fn is_failed(events: Vec<Event>) -> Option<Fault> {
    let closed = closed(events);
    assert!(closed.reason.is_security(), "{closed:?}");
    match closed.reason {
        xtls::CloseReason::Fault(fault) => Some(*fault),
        _ => None,
    }
}
