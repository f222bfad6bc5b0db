//! The embedder's slips (attack table, rows L1, L3 to L6 and L8).
use std::collections::BTreeMap;

use crate::common::{
    JULIET, MALLORY, ROMEO, SECOND, message, raw,
    script::{data, ibb_close, info, offer, open, security, terminate},
    streaming, xml,
};
use proptest::prelude::*;
use rustls::crypto::CryptoProvider;
use xtls::{
    Event, Incoming, Password, TrustDecision, TrustPolicy, TunnelId, TunnelOptions,
    error::{FinishError, InitiateError, NotAsked, SendError, StreamStateError, WriteError},
    jingle::{MAX_SID, Reason, ReasonCondition},
};
use xtls_testkit::{EntityId, Fate, World};

#[test]
fn l01_nothing_can_be_sent_before_the_tunnel_is_secured() {
    let (mut world, romeo, juliet) = World::pair(1);
    let peer = world.jid(juliet).clone();
    for raw_bytes in [false, true] {
        let options = if raw_bytes { raw(TrustPolicy::Pinned) } else { xml(TrustPolicy::Pinned) };
        let here = world.with(romeo, |engine, now| engine.initiate(now, peer.clone(), options.clone())).unwrap();
        let check = |world: &mut World, id, tunnel| {
            world.with(id, |engine, now| {
                let mut tunnel = engine.tunnel(tunnel).unwrap();
                assert!(tunnel.security().is_none());
                assert!(tunnel.export_keying_material(32, b"label", None).is_none());
                assert_eq!(tunnel.trust(now, TrustDecision::Accept), Err(NotAsked));
                assert_eq!(tunnel.read(now, &mut Vec::new()), 0);
                assert_eq!(tunnel.unacked(), 0);
                if raw_bytes {
                    assert_eq!(tunnel.write(now, b"secret"), Err(WriteError::NotSecured));
                    assert_eq!(tunnel.finish(now), Err(FinishError::NotSecured));
                } else {
                    assert_eq!(tunnel.send(now, &message("secret")), Err(SendError::NotSecured));
                    assert_eq!(tunnel.open_stream(now), Err(StreamStateError::NotSecured));
                    assert_eq!(tunnel.close_stream(now), Err(StreamStateError::NotSecured));
                }
            });
        };
        check(&mut world, romeo, here);
        world.run();
        check(&mut world, romeo, here);
        // The handshake gets stuck behind the ClientHello.
        world.relay.meddle(|passed| match passed.from == JULIET && passed.stanza.contains("<data ") {
            true => Fate::Replace(Vec::new()),
            false => Fate::Pass,
        });
        let there = world.accept(juliet, options).unwrap();
        check(&mut world, juliet, there);
        world.run();
        check(&mut world, romeo, here);
        check(&mut world, juliet, there);
        world.relay.stop_meddling();
        world.with(romeo, |engine, now| engine.tunnel(here).unwrap().close(now));
        world.run();
        let _ = (world.take_events(romeo), world.take_events(juliet));
    }
}

#[test]
fn l03_an_engine_without_random_numbers_secures_nothing_and_says_so() {
    for failing in [0, 1] {
        let mut world = World::default();
        let ids = [ROMEO, JULIET].map(|jid| {
            let mut options = xtls_testkit::EntityOptions::seeded(31 + jid.len() as u8);
            if jid == [ROMEO, JULIET][failing] {
                let provider = (*xtls_testkit::provider::deterministic()).clone();
                options.provider = Some(CryptoProvider { secure_random: &NoRandom, ..provider }.into());
            }
            world.add(jid, options)
        });
        world.introduce(ids[0], ids[1]);
        world.connect_with(ids[0], ids[1], raw(TrustPolicy::Pinned));
        world.run_for(10 * SECOND);
        for (at, id) in ids.into_iter().enumerate() {
            let end = crate::common::closed(&mut world, id);
            assert!(!end.secured && !end.done, "{end:?}");
            let told = matches!(end.fault, Some(xtls::Fault::Internal(_) | xtls::Fault::Tls(_)));
            assert!(told || at != failing, "{end:?}");
            assert_eq!(world.with(id, |engine, _| engine.tunnels().count()), 0);
        }
    }
}

/// A source that has nothing.
#[derive(Debug)]
struct NoRandom;

impl rustls::crypto::SecureRandom for NoRandom {
    fn fill(&self, _: &mut [u8]) -> Result<(), rustls::crypto::GetRandomFailed> {
        Err(rustls::crypto::GetRandomFailed)
    }
}

#[test]
fn l04_a_clock_that_jumps_or_goes_backwards_only_moves_deadlines() {
    let (mut world, [romeo, juliet], [tunnel, _]) = streaming(3);
    let past = world.now().checked_sub(5 * SECOND).unwrap();
    world.with(romeo, |engine, _| {
        engine.handle_timeout(past);
        engine.tunnel(tunnel).unwrap().send(past, &message("from the past")).unwrap();
    });
    world.run();
    assert_eq!(crate::common::bodies(&world.take_events(juliet)), ["from the past"]);
    let future = world.now() + 1_000_000 * SECOND;
    world.with(romeo, |engine, _| engine.handle_timeout(future));
    // One jump asks for a sign of life, and a second one gives up.
    assert!(world.with(romeo, |engine, _| engine.poll_timeout()).is_some_and(|due| due.at > future));
    world.with(romeo, |engine, _| engine.handle_timeout(future + 100 * SECOND));
    let ended = world.with(romeo, |engine, _| engine.poll_event());
    assert!(matches!(ended, Some(Event::Closed(_))), "{ended:?}");
}

#[test]
fn l06_plaintext_and_keys_stay_out_of_debug() {
    let (mut world, [romeo, juliet], [tunnel, _]) = streaming(5);
    world.ignore_events(juliet, true);
    crate::common::send(&mut world, romeo, tunnel, "CANARY").unwrap();
    world.with(romeo, |engine, _| {
        let handle = format!("{:?}", engine.tunnel(tunnel).unwrap());
        assert!(!format!("{engine:?}{engine:#?}{handle}").contains("CANARY"));
    });
    world.run();
    world.with(juliet, |engine, _| assert!(!format!("{engine:?}").contains("CANARY")));
    let key = world.identity(romeo).to_pem();
    let secret: String = key.key.expose().lines().nth(1).unwrap().chars().take(20).collect();
    let shown = world.with(romeo, |engine, _| format!("{engine:#?}")) + &format!("{:?}{key:?}", world.identity(romeo));
    assert!(shown.contains(ROMEO) && !shown.contains(&secret));
    let (mut world, [_, juliet], [_, there]) = {
        let (mut world, ids, tunnels) = crate::common::piping(7);
        crate::common::write(&mut world, ids[0], tunnels[0], b"67 65 78 65 82 89 CANARY");
        world.run();
        (world, ids, tunnels)
    };
    let shown = world.with(juliet, |engine, _| format!("{engine:?}"));
    assert!(!shown.contains("67, 65, 78, 65, 82, 89") && !shown.contains("CANARY"));
    assert!(!crate::common::read(&mut world, juliet, there).is_empty());
}

/// Who drops an engine has told it nothing to send. The peer, which hears no end of TLS, is told at once by the engine that comes
/// after it, or else by the silence; and it never takes a part for the whole.
#[test]
fn l05_an_engine_that_is_dropped_while_it_writes_leaves_no_whole_looking_part() {
    for comes_back in [true, false] {
        let (mut world, [romeo, juliet], [here, there]) = crate::common::piping(9);
        let bytes = crate::common::noise(200_000, 9);
        assert!(crate::common::write(&mut world, romeo, here, &bytes) > 100_000);
        // Some of it is on its way.
        world.run_for(3 * SECOND / 10);
        let (jid, identity) = (world.jid(romeo).clone(), world.identity(romeo).clone());
        world.with(romeo, |engine, now| {
            let mut local = xtls::Local::new(jid.clone(), identity);
            local.provider = xtls_testkit::provider::deterministic();
            let store = Box::new(xtls::trust::MemoryTrustStore::default());
            let mut config = xtls::Config::default();
            config.sole_handler = true;
            let setup = xtls::Setup::new(local, store, [77; 32], xtls_testkit::unix(1_767_225_600)).with_config(config);
            *engine = xtls::Engine::new(setup, now).unwrap();
        });
        if !comes_back {
            world.relay.set_online(ROMEO, false);
        }
        let mut got = crate::common::read(&mut world, juliet, there);
        world.run_for(700 * SECOND);
        got.extend(crate::common::read(&mut world, juliet, there));
        world.run();
        assert!(bytes.starts_with(&got) && got.len() < bytes.len(), "{}", got.len());
        let end = crate::common::closed(&mut world, juliet);
        assert!(end.truncated && !end.done, "{end:?}");
        assert_eq!(world.with(juliet, |engine, _| (engine.tunnels().count(), engine.poll_timeout())), (0, None));
    }
}

/// Something that an embedder, a peer or a server can do.
#[derive(Debug, Clone)]
enum Step {
    Initiate { raw: bool, trust: u8, asks: bool },
    Decide { accept: bool, raw: bool, trust: u8 },
    Trust(bool),
    Send(usize),
    Write(usize),
    Read,
    Finish,
    Close,
    Abort,
    OpenStream,
    CloseStream,
    Forged(u8, u8),
    Replay(usize),
    Lose(u8),
    Run,
    Wait(u16),
    Offline,
    Disconnect,
    IgnoreEvents(bool),
    RequestCertificates,
    ProvidePassword(bool),
    Export(usize),
    Probe(bool),
    AllowOffers(bool),
    Suspend,
    Resume,
}

fn step() -> impl Strategy<Value = (bool, usize, Step)> {
    let step = prop_oneof![
        4 => (any::<bool>(), 0..3_u8, any::<bool>()).prop_map(|(raw, trust, asks)| Step::Initiate { raw, trust, asks }),
        6 => (prop::bool::weighted(0.9), any::<bool>(), 0..3_u8)
            .prop_map(|(accept, raw, trust)| Step::Decide { accept, raw, trust }),
        2 => any::<bool>().prop_map(Step::Trust),
        3 => (0..20_000_usize).prop_map(Step::Send),
        3 => (0..400_000_usize).prop_map(Step::Write),
        3 => Just(Step::Read),
        1 => Just(Step::Finish),
        1 => Just(Step::Close),
        1 => Just(Step::Abort),
        1 => Just(Step::OpenStream),
        1 => Just(Step::CloseStream),
        3 => (any::<u8>(), any::<u8>()).prop_map(|(kind, variant)| Step::Forged(kind, variant)),
        2 => any::<usize>().prop_map(Step::Replay),
        1 => any::<u8>().prop_map(Step::Lose),
        12 => Just(Step::Run),
        2 => (0..400_u16).prop_map(Step::Wait),
        1 => Just(Step::Offline),
        1 => Just(Step::Disconnect),
        1 => any::<bool>().prop_map(Step::IgnoreEvents),
        1 => Just(Step::RequestCertificates),
        1 => any::<bool>().prop_map(Step::ProvidePassword),
        1 => (0..20_000_usize).prop_map(Step::Export),
        1 => any::<bool>().prop_map(Step::Probe),
        1 => any::<bool>().prop_map(Step::AllowOffers),
        1 => Just(Step::Suspend),
        1 => Just(Step::Resume),
    ];
    (any::<bool>(), 0..6_usize, step)
}

fn options(raw_bytes: bool, trust: u8) -> TunnelOptions {
    let trust = [TrustPolicy::Pinned, TrustPolicy::Ask, TrustPolicy::LeapOfFaith][usize::from(trust)];
    if raw_bytes { raw(trust) } else { xml(trust) }
}

/// Two entities, and what a test knows of them.
struct Play {
    world: World,
    ids: [EntityId; 2],
    offers: [Vec<Incoming>; 2],
    tunnels: [Vec<TunnelId>; 2],
    /// How often each tunnel has ended.
    ended: [BTreeMap<TunnelId, usize>; 2],
}

impl Play {
    /// With a stream open, with a raw-bytes tunnel open, or with nothing yet.
    fn new(start: u8) -> Self {
        let (mut world, romeo, juliet) = World::pair(9);
        world.relay.set_online(MALLORY, true);
        let mut tunnels = [Vec::new(), Vec::new()];
        if start < 2 {
            let (here, there) = world.connect_with(romeo, juliet, options(start == 1, 0));
            tunnels = [vec![here], vec![there]];
        }
        Self { world, ids: [romeo, juliet], offers: Default::default(), tunnels, ended: Default::default() }
    }

    /// Takes events and checks that nothing comes after an end.
    fn look(&mut self) {
        for at in 0..2 {
            for event in self.world.take_events(self.ids[at]) {
                let Some(id) = event.tunnel() else { continue };
                match event {
                    Event::Incoming(incoming) => self.offers[at].push(incoming),
                    Event::Closed(closed) => {
                        assert_eq!(self.ended[at].insert(closed.id, 1), None, "ended twice");
                        continue;
                    }
                    _ => {}
                }
                assert!(!self.ended[at].contains_key(&id), "something after the end of {id:?}");
            }
        }
    }

    fn play(&mut self, at: usize, which: usize, step: Step) {
        let (id, other) = (self.ids[at], self.ids[1 - at]);
        let tunnels = &self.tunnels[at];
        let tunnel = tunnels.get(which % tunnels.len().max(1)).copied();
        let world = &mut self.world;
        let on_tunnel = |world: &mut World, action: &mut dyn FnMut(&mut xtls::Tunnel<'_>, std::time::Instant)| {
            let Some(tunnel) = tunnel else { return };
            world.with(id, |engine, now| {
                if let Some(mut tunnel) = engine.tunnel(tunnel) {
                    action(&mut tunnel, now);
                }
            });
        };
        match step {
            Step::Initiate { raw, trust, asks } => {
                let peer = world.jid(other).clone();
                let mut options = options(raw, trust);
                options.check_support = asks;
                if let Ok(tunnel) = world.with(id, |engine, now| engine.initiate(now, peer, options)) {
                    self.tunnels[at].push(tunnel);
                }
            }
            Step::Decide { accept, raw, trust } => {
                let Some(incoming) = self.offers[at].pop() else { return };
                if accept {
                    let accepted = world.with(id, |engine, now| engine.accept(now, incoming, options(raw, trust)));
                    self.tunnels[at].extend(accepted);
                } else {
                    let reason = Reason::new(ReasonCondition::Decline);
                    let _ = world.with(id, |engine, now| engine.reject(now, incoming, reason));
                }
            }
            Step::Trust(yes) => on_tunnel(world, &mut |tunnel, now| {
                let _ = tunnel.trust(now, if yes { TrustDecision::Accept } else { TrustDecision::Refuse });
            }),
            Step::Send(length) => on_tunnel(world, &mut |tunnel, now| {
                let _ = tunnel.send(now, &message(&"x".repeat(length)));
            }),
            Step::Write(length) => on_tunnel(world, &mut |tunnel, now| {
                let _ = tunnel.write(now, &vec![7; length]);
            }),
            Step::Read => on_tunnel(world, &mut |tunnel, now| {
                tunnel.read(now, &mut Vec::new());
            }),
            Step::Finish => on_tunnel(world, &mut |tunnel, now| {
                let _ = tunnel.finish(now);
            }),
            Step::Close => on_tunnel(world, &mut |tunnel, now| tunnel.close(now)),
            Step::Abort => on_tunnel(world, &mut |tunnel, now| tunnel.abort(now, Reason::new(ReasonCondition::Cancel))),
            Step::OpenStream => on_tunnel(world, &mut |tunnel, now| {
                let _ = tunnel.open_stream(now);
            }),
            Step::CloseStream => on_tunnel(world, &mut |tunnel, now| {
                let _ = tunnel.close_stream(now);
            }),
            Step::Forged(kind, variant) => self.forge(at, kind, variant),
            Step::Replay(index) => {
                let log = world.relay.log();
                if !log.is_empty() {
                    let stanza = log[index % log.len()].stanza.clone();
                    let _ = world.deliver(id, &stanza);
                }
            }
            Step::Lose(every) => {
                let (mut seen, every) = (0_usize, usize::from(every) + 2);
                world.relay.meddle(move |_| {
                    seen += 1;
                    if seen % every == 0 { Fate::Replace(Vec::new()) } else { Fate::Pass }
                });
            }
            Step::Run => world.run(),
            Step::Wait(seconds) => world.run_for(u32::from(seconds) * SECOND),
            Step::Offline => {
                let from = world.jid(other).clone();
                let _ = world.deliver(id, &format!("<presence type='unavailable' from='{from}'/>"));
            }
            Step::Disconnect => {
                world.disconnect(id);
                let jid = world.jid(id).as_str().to_owned();
                world.relay.set_online(&jid, true);
            }
            Step::IgnoreEvents(ignore) => world.ignore_events(id, ignore),
            Step::RequestCertificates => on_tunnel(world, &mut |tunnel, now| {
                let _ = tunnel.request_certificates(now);
            }),
            Step::ProvidePassword(known) => on_tunnel(world, &mut |tunnel, now| {
                let _ = tunnel.provide_password(now, known.then(|| Password::new("a word").unwrap()));
            }),
            Step::Export(length) => on_tunnel(world, &mut |tunnel, _| {
                let exported = tunnel.export_keying_material(length, b"EXPORTER-l08", None);
                assert!(exported.is_none_or(|bytes| bytes.len() == length && tunnel.security().is_some()));
            }),
            Step::Probe(raw) => {
                let peer = world.jid(other).clone();
                let _ = world.with(id, |engine, now| engine.probe(now, peer, &options(raw, 0)));
            }
            Step::AllowOffers(allow) => {
                let peer = world.jid(other).to_bare();
                world.with(id, |engine, _| engine.allow_offers(peer, allow));
            }
            Step::Suspend => world.with(id, |engine, now| engine.handle_suspended(now)),
            Step::Resume => world.with(id, |engine, now| engine.handle_resumed(now)),
        }
    }

    /// A stanza of the peer's, or of somebody else's, under sids that may be those of a live session.
    fn forge(&mut self, at: usize, kind: u8, variant: u8) {
        let of = |attribute: &str| {
            let mut log = self.world.relay.log().iter().filter(|passed| passed.stanza.contains("session-initiate"));
            let offer = log.next_back().map(|passed| passed.stanza.clone()).unwrap_or_default();
            let place = if attribute == "session" { 1 } else { 2 };
            let sid = offer.split(" sid='").nth(place).and_then(|rest| rest.split('\'').next());
            sid.unwrap_or("nothing").to_owned()
        };
        let (session, ibb) = (of("session"), of("ibb"));
        let numbers = ["0", "1", "2", "65535", "-1", "x"];
        let number = numbers[usize::from(variant) % numbers.len()];
        let payload = match kind % 9 {
            0 => data(&ibb, number, "AAAA"),
            1 => data(&ibb, number, "!!"),
            2 => ibb_close(&ibb),
            3 => open(&ibb, ["4096", "256", "0", "70000"][usize::from(variant) % 4]),
            4 => terminate(&session, ["success", "gone", "security-error"][usize::from(variant) % 3]),
            5 => info(&session, &[["x509", "srp"][usize::from(variant) % 2]]),
            6 => offer(&session, &ibb, 4096, &security(&[], &["x509"])),
            7 => offer(&session, &ibb, 1, &security(&[], &["x509"])).replace("session-initiate", "session-accept"),
            _ => format!("<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='{session}'/>"),
        };
        let peers = [ROMEO, JULIET];
        let from = if variant % 5 == 4 { MALLORY } else { peers[1 - at] };
        let _ = self.world.deliver(self.ids[at], &format!("<iq type='set' id='f{kind}' from='{from}'>{payload}</iq>"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn l08_any_calls_and_stanzas_in_any_order_panic_nowhere_and_end_each_tunnel_at_most_once(
        start in 0..3_u8,
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let mut play = Play::new(start);
        for (here, which, step) in steps {
            play.play(usize::from(here), which, step);
            play.look();
        }
        // When nobody does anything any more and the peer has gone, all of it comes to an end.
        play.world.relay.stop_meddling();
        for id in play.ids {
            play.world.ignore_events(id, false);
            play.world.with(id, |engine, now| engine.handle_resumed(now));
        }
        play.world.run();
        play.look();
        play.world.relay.meddle(|_| Fate::Replace(Vec::new()));
        play.world.run_for(1500 * SECOND);
        play.look();
        for (at, id) in play.ids.into_iter().enumerate() {
            let left = play.world.with(id, |engine, _| (engine.tunnels().count(), engine.poll_timeout()));
            prop_assert_eq!(left, (0, None));
            for tunnel in &play.tunnels[at] {
                prop_assert!(play.ended[at].contains_key(tunnel), "{:?} never ended", tunnel);
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_transcript() {
    let transcript = || {
        let (mut world, romeo, juliet) = World::pair(11);
        let tunnel = world.connect(romeo, juliet);
        crate::common::send(&mut world, romeo, tunnel, "again and again").unwrap();
        world.run();
        crate::common::close(&mut world, romeo, tunnel);
        world.run();
        world.relay.log().iter().map(|passed| passed.stanza.clone()).collect::<Vec<_>>()
    };
    assert!(transcript() == transcript());
}

#[test]
fn a_session_can_be_named_beforehand_once() {
    let (mut world, romeo, juliet) = World::pair(77);
    let peer = world.jid(juliet).clone();
    let named = |sid: &str| raw(TrustPolicy::Pinned).named(sid);
    let initiate =
        |world: &mut World, sid: &str| world.with(romeo, |engine, now| engine.initiate(now, peer.clone(), named(sid)));
    let longest = "s".repeat(MAX_SID);
    for bad in ["", "two words", "a/b", &format!("{longest}s")] {
        assert_eq!(initiate(&mut world, bad), Err(InitiateError::Sid), "{bad:?}");
    }
    initiate(&mut world, &longest).unwrap();
    // It has its name before it is offered.
    assert_eq!(initiate(&mut world, &longest), Err(InitiateError::Sid));
    world.run();
    let offered = world.take_events(juliet).into_iter().find_map(|event| match event {
        Event::Incoming(incoming) => Some(incoming),
        _ => None,
    });
    let offered = offered.unwrap();
    assert_eq!(offered.sid, longest);
    world.with(juliet, |engine, now| engine.accept(now, offered, raw(TrustPolicy::Pinned))).unwrap();
    world.run();
    let secured = world.take_events(romeo).iter().any(|event| matches!(event, Event::Secured { .. }));
    assert!(secured);
    assert_eq!(initiate(&mut world, &longest), Err(InitiateError::Sid));
}
