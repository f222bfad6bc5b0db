//! The negotiation hash (docs/wire.md § 5): what two updated ends could not notice otherwise ends the tunnel.

mod honest;

use xtls::{
    Application, CloseReason, Event, Fault, TrustPolicy, TunnelId, TunnelOptions,
    jingle::{BYTES_0_NS, BYTES_NS, Description},
    trust::{Method, TrustStore as _},
};
use xtls_testkit::{EntityId, EntityOptions, Fate, World};

use crate::common::{
    JULIET, ROMEO, SECOND, bodies, close, closed, errors,
    password::{passed, word},
    piping, raw, read,
    script::{HEADER, Script},
    send, sent, streaming, terminations, the_end, write, xml,
};

/// What a test wants of both applications.
fn both() -> [fn(TrustPolicy) -> TunnelOptions; 2] {
    [xml, raw]
}

/// Two who know one another's certificates and share a word, and a server that changes what one of them says.
fn meddled(seed: u8, action: &'static str, change: impl Fn(&str) -> String + 'static) -> (World, [EntityId; 2]) {
    let (mut world, romeo, juliet) = World::pair(seed);
    world.relay.meddle(move |passed| match passed.stanza.contains(action) {
        true => {
            let changed = change(&passed.stanza);
            assert_ne!(changed, passed.stanza);
            Fate::Replace(vec![changed])
        }
        false => Fate::Pass,
    });
    (world, [romeo, juliet])
}

/// Whether a peer is remembered to show the hash.
fn remembered(world: &World, id: EntityId, peer: EntityId) -> bool {
    let peer = world.jid(peer).to_bare();
    world.with_store(id, |store| store.record(&peer).unwrap().negotiation_hash)
}

/// Both ends have ended because of what was changed, and nothing came of it.
fn both_end(world: &mut World, ends: [EntityId; 2]) {
    world.run_for(10 * SECOND);
    let mut faults = 0;
    for id in ends {
        let events = world.take_events(id);
        let end = the_end(&events);
        assert!(end.reason.is_security(), "{end:?}");
        faults += usize::from(
            matches!(&end.reason, CloseReason::Fault(fault) if matches!(**fault, Fault::NegotiationDiffers)),
        );
        assert!(
            !events.iter().any(|event| matches!(event, Event::Stanza { .. } | Event::Readable { .. })),
            "{events:?}"
        );
    }
    assert!(faults > 0, "one of them has seen why");
    let said = [terminations(world, ROMEO, JULIET), terminations(world, JULIET, ROMEO)].concat();
    assert!(!said.is_empty() && said.iter().all(|reason| reason == "security-error"), "{said:?}");
    assert!(!remembered(world, ends[0], ends[1]) && !remembered(world, ends[1], ends[0]));
}

#[test]
fn m03_a_method_stripped_from_either_message_ends_the_tunnel_that_the_other_method_made() {
    for (strip, leaves) in [("srp", Method::X509), ("x509", Method::Srp)] {
        for action in ["session-initiate", "session-accept"] {
            for options in both() {
                let element = format!("<method name='{strip}'/>");
                let (mut world, ends) = meddled(21, action, move |stanza| stanza.replace(&element, ""));
                let options = options(TrustPolicy::Pinned).with_password(word());
                world.connect_with(ends[0], ends[1], options);
                assert!(passed(&world, "security-info"), "it falls to the method that is left");
                let mut infos =
                    sent(&world, ROMEO, JULIET).into_iter().filter(|stanza| stanza.contains("security-info"));
                assert!(infos.next_back().unwrap().contains(leaves.as_str()));
                both_end(&mut world, ends);
            }
        }
    }
}

#[test]
fn m04_a_fingerprint_that_no_certificate_is_held_to_ends_the_tunnel_when_it_was_changed() {
    // With a password no certificate is shown that would contradict the announcement.
    for action in ["session-initiate", "session-accept"] {
        for options in both() {
            let (mut world, romeo, juliet) = World::pair(23);
            for (id, peer) in [(romeo, juliet), (juliet, romeo)] {
                let peer = world.jid(peer).to_bare();
                world.with_store(id, |store| store.remove(&peer));
            }
            world.relay.meddle(move |passed| match passed.stanza.find("<fingerprint algo='sha-256'>") {
                Some(start) if passed.stanza.contains(action) => {
                    let end = start + passed.stanza[start..].find("</fingerprint>").unwrap();
                    let other = format!("<fingerprint algo='sha-256'>{}", "ab".repeat(32));
                    Fate::Replace(vec![format!("{}{other}{}", &passed.stanza[..start], &passed.stanza[end..])])
                }
                _ => Fate::Pass,
            });
            world.connect_with(romeo, juliet, options(TrustPolicy::Pinned).with_password(word()));
            both_end(&mut world, [romeo, juliet]);
        }
    }
}

#[test]
fn m04_fingerprints_that_were_left_out_end_the_tunnel() {
    for action in ["session-initiate", "session-accept"] {
        for options in both() {
            let (mut world, ends) = meddled(25, action, |stanza| {
                let start = stanza.find("<fingerprint ").unwrap();
                let end = stanza.rfind("</fingerprint>").unwrap() + "</fingerprint>".len();
                format!("{}{}", &stanza[..start], &stanza[end..])
            });
            world.connect_with(ends[0], ends[1], options(TrustPolicy::Pinned));
            both_end(&mut world, ends);
        }
    }
}

#[test]
fn wire_5_what_only_names_things_ends_the_tunnel_when_it_was_changed() {
    let changes: [(&str, &str, &str); 3] = [
        ("session-initiate", "apps:xmlstream:0", "apps:xmlstream:1"),
        ("session-accept", "apps:xmlstream:0", "apps:xmlstream:1"),
        ("session-accept", "creator='initiator'", "creator='responder'"),
    ];
    for (action, from, to) in changes {
        let (mut world, ends) = meddled(27, action, move |stanza| stanza.replace(from, to));
        world.connect_with(ends[0], ends[1], xml(TrustPolicy::Pinned));
        both_end(&mut world, ends);
    }
}

#[test]
fn wire_5_a_description_that_was_made_older_and_newer_again_gives_nobody_a_hash_for_data() {
    // The responder takes what is offered for raw bytes without a hash, the initiator for such with one.
    let (mut world, romeo, juliet) = World::pair(29);
    world.relay.meddle(|passed| match &passed.stanza {
        stanza if stanza.contains("session-initiate") => Fate::Replace(vec![stanza.replace(BYTES_NS, BYTES_0_NS)]),
        stanza if stanza.contains("session-accept") => Fate::Replace(vec![stanza.replace(BYTES_0_NS, BYTES_NS)]),
        _ => Fate::Pass,
    });
    let (_, there) = world.connect_with(romeo, juliet, raw(TrustPolicy::Pinned));
    assert!(matches!(&*world.take_events(juliet), [Event::Secured { .. }]), "nothing to read");
    assert_eq!(write(&mut world, juliet, there, &[7; 100]), 100);
    world.run();
    assert!(matches!(closed(&mut world, romeo).fault, Some(Fault::NegotiationDiffers)));
    let end = closed(&mut world, juliet);
    assert!(end.security, "{end:?}");
    assert_eq!(read(&mut world, juliet, there), b"");
}

#[test]
fn wire_5_honest_ends_compare_and_remember_in_both_applications_and_by_both_methods() {
    for options in both() {
        for method in [Method::X509, Method::Srp] {
            let (mut world, romeo, juliet) = World::pair(31);
            let mut options = options(TrustPolicy::Pinned).with_password(word());
            options.terms.methods = vec![method];
            let ids = world.connect_with(romeo, juliet, options);
            world.run();
            let tunnels = [(romeo, ids.0, juliet), (juliet, ids.1, romeo)];
            let seen = tunnels.map(|(id, tunnel, peer)| {
                assert!(remembered(&world, id, peer), "{method}");
                world.with(id, |engine, _| {
                    let tunnel = engine.tunnel(tunnel).unwrap();
                    assert!(tunnel.negotiation_matches());
                    tunnel.negotiation_hash().unwrap()
                })
            });
            assert_eq!(seen[0], seen[1]);
        }
    }
}

#[test]
fn wire_5_the_hash_of_raw_bytes_is_no_business_of_the_applications() {
    let (mut world, [romeo, juliet], [here, there]) = piping(33);
    for (id, tunnel, other, its) in [(romeo, here, juliet, there), (juliet, there, romeo, here)] {
        assert_eq!(write(&mut world, id, tunnel, b"hello"), 5);
        world.run();
        assert_eq!(read(&mut world, other, its), b"hello");
    }
    close(&mut world, romeo, here);
    world.run();
    for id in [romeo, juliet] {
        let end = closed(&mut world, id);
        assert!(end.done && !end.truncated && end.unacked == 0, "{end:?}");
    }
}

#[test]
fn wire_5_whoever_writes_and_finishes_at_once_does_so_behind_its_hash() {
    // Blocks so small that the hash of the responder comes apart from the end of its handshake.
    let mut options = [EntityOptions::seeded(34), EntityOptions::seeded(35)];
    options.iter_mut().for_each(|options| options.config.block_size = 256);
    let mut world = World::default();
    world.relay.keep_log();
    let [one, other] = options;
    let (romeo, juliet) = (world.add(ROMEO, one), world.add(JULIET, other));
    world.introduce(romeo, juliet);
    let (here, there) = world.connect_with(romeo, juliet, raw(TrustPolicy::Pinned));
    assert_eq!(write(&mut world, romeo, here, b"all there is"), 12);
    world.with(romeo, |engine, now| engine.tunnel(here).unwrap().finish(now)).unwrap();
    world.run();
    assert_eq!(read(&mut world, juliet, there), b"all there is");
    assert!(world.take_events(juliet).iter().any(|event| matches!(event, Event::PeerFinished { .. })));
}

#[test]
fn wire_5_a_peer_without_a_hash_is_taken_until_it_has_shown_one() {
    // A peer of before: a script.
    let mut script = Script::new(36);
    script.streaming();
    script.say("<message><body>hello</body></message>");
    assert_eq!(bodies(&script.world.take_events(script.juliet)), ["hello"]);

    let mut script = Script::new(37);
    let mallory = "mallory@verona.lit".parse().unwrap();
    script.world.with_store(script.juliet, |store| store.of(&mallory).negotiation_hash = true);
    script.secured();
    let header = script.seal(HEADER.as_bytes());
    assert_eq!(script.block(&header).as_deref(), Some("result"));
    script.tls_read();
    let stanza = script.seal(b"<message><body>hello</body></message>");
    script.block(&stanza);
    let end = closed(&mut script.world, script.juliet);
    assert!(matches!(end.fault, Some(Fault::NegotiationMissing)) && end.security, "{end:?}");
    assert!(script.requests.iter().any(|request| request.contains("<security-error/>")), "{:?}", script.requests);
}

#[test]
fn wire_5_a_hash_that_is_required_is_missed_at_a_first_meeting_too() {
    let mut options = EntityOptions::seeded(38);
    options.config.require_negotiation_hash = true;
    let mut script = Script::with_options(options);
    script.secured();
    let header = script.seal(HEADER.as_bytes());
    assert_eq!(script.block(&header).as_deref(), Some("result"));
    script.tls_read();
    let stanza = script.seal(b"<message><body>hello</body></message>");
    script.block(&stanza);
    let events = script.world.take_events(script.juliet);
    let end = the_end(&events);
    assert!(
        matches!(&end.reason, CloseReason::Fault(fault) if matches!(**fault, Fault::NegotiationMissing)),
        "{end:?}"
    );
    assert!(bodies(&events).is_empty());

    // Two who both require it get what they want.
    for application in both() {
        let mut world = World::default();
        world.relay.keep_log();
        let strict = |seed| {
            let mut options = EntityOptions::seeded(seed);
            options.config.require_negotiation_hash = true;
            options
        };
        let (romeo, juliet) = (world.add(ROMEO, strict(39)), world.add(JULIET, strict(40)));
        world.introduce(romeo, juliet);
        let (here, there) = world.connect_with(romeo, juliet, application(TrustPolicy::Pinned));
        for (id, tunnel) in [(romeo, here), (juliet, there)] {
            assert!(world.with(id, |engine, _| engine.tunnel(tunnel).unwrap().negotiation_matches()));
        }
    }
}

/// A description of somebody else's.
fn foreign() -> Application {
    let element = xtls::Element::builder("description", "urn:example:files").build().unwrap();
    Application::Bytes(Description::new(&element).unwrap())
}

/// Raw bytes of the version before, as a peer offers them that has no newer one.
fn older() -> Application {
    let element = xtls::Element::builder("description", BYTES_0_NS).build().unwrap();
    Application::Bytes(Description::new(&element).unwrap())
}

#[test]
fn wire_5_raw_bytes_of_the_version_before_are_taken_until_the_peer_has_shown_a_hash() {
    let connect = |world: &mut World, romeo, juliet, application: Application| {
        let options = |application| TunnelOptions::new(application, TrustPolicy::Pinned);
        let peer = world.jid(juliet).clone();
        world.with(romeo, |engine, now| engine.initiate(now, peer, options(application))).unwrap();
        world.run();
        world.accept(juliet, options(Application::bytes()))
    };
    let (mut world, romeo, juliet) = World::pair(41);
    let there: TunnelId = connect(&mut world, romeo, juliet, older()).unwrap();
    world.run();
    assert_eq!(write(&mut world, juliet, there, b"plain"), 5);
    world.run();
    let tunnel = world.with(romeo, |engine, _| engine.tunnels().next().unwrap());
    assert_eq!(read(&mut world, romeo, tunnel), b"plain");
    assert!(!remembered(&world, juliet, romeo));

    // The same of one who is known to do better: no byte of TLS goes.
    let (mut world, romeo, juliet) = World::pair(43);
    let peer = world.jid(romeo).to_bare();
    world.with_store(juliet, |store| store.of(&peer).negotiation_hash = true);
    connect(&mut world, romeo, juliet, older());
    world.run();
    let end = closed(&mut world, juliet);
    assert!(matches!(end.fault, Some(Fault::NegotiationMissing)) && !end.secured, "{end:?}");
    assert_eq!(terminations(&world, JULIET, ROMEO), ["security-error"]);
    assert!(!sent(&world, ROMEO, JULIET).iter().any(|stanza| stanza.contains("<data ")));
    assert!(errors(&world, JULIET, ROMEO).is_empty());

    // Who allows a downgrade gets one.
    let (mut world, romeo, juliet) = World::pair(45);
    let peer = world.jid(romeo).to_bare();
    world.with_store(juliet, |store| store.of(&peer).negotiation_hash = true);
    let offered = world.jid(juliet).clone();
    world
        .with(romeo, |engine, now| engine.initiate(now, offered, TunnelOptions::new(older(), TrustPolicy::Pinned)))
        .unwrap();
    world.run();
    let mut lenient = raw(TrustPolicy::Pinned);
    lenient.terms.allow_downgrade = true;
    world.accept(juliet, lenient).unwrap();
    world.run();
    assert!(matches!(&*world.take_events(juliet), [Event::Secured { .. }]));
}

#[test]
fn wire_5_the_version_before_is_offered_to_a_peer_whose_features_have_no_newer_one() {
    // The server takes the feature out of the answer, or the peer is older.
    let strip = |world: &mut World| {
        world.relay.meddle(|passed| {
            let feature = format!("<feature var='{BYTES_NS}'/>");
            match passed.stanza.contains(&feature) {
                true => Fate::Replace(vec![passed.stanza.replace(&feature, "")]),
                false => Fate::Pass,
            }
        });
    };
    let offered =
        |world: &World| sent(world, ROMEO, JULIET).into_iter().find(|stanza| stanza.contains("session-initiate"));
    let (mut world, romeo, juliet) = World::pair(47);
    strip(&mut world);
    let (here, there) = world.connect_with(romeo, juliet, raw(TrustPolicy::Pinned));
    assert!(offered(&world).unwrap().contains(BYTES_0_NS));
    assert_eq!(write(&mut world, romeo, here, b"plain"), 5);
    world.run();
    assert_eq!(read(&mut world, juliet, there), b"plain");

    // A peer that has shown a hash before is believed to have it still, and one that has to is offered nothing else.
    for known in [true, false] {
        let mut world = World::default();
        world.relay.keep_log();
        let mut options = EntityOptions::seeded(48);
        options.config.require_negotiation_hash = !known;
        let (romeo, juliet) = (world.add(ROMEO, options), world.add(JULIET, EntityOptions::seeded(49)));
        world.introduce(romeo, juliet);
        let peer = world.jid(juliet).to_bare();
        world.with_store(romeo, |store| store.of(&peer).negotiation_hash = known);
        strip(&mut world);
        world.connect_with(romeo, juliet, raw(TrustPolicy::Pinned));
        assert!(offered(&world).unwrap().contains(BYTES_NS));
        assert!(matches!(&*world.take_events(romeo), [Event::Secured { .. }]));
    }
}

#[test]
fn wire_5_what_others_have_described_has_no_hash_and_is_refused_where_one_is_required() {
    let (mut world, romeo, juliet) = World::pair(50);
    let options = || TunnelOptions::new(foreign(), TrustPolicy::Pinned);
    let (here, there) = world.connect_with(romeo, juliet, options());
    assert_eq!(write(&mut world, romeo, here, b"hello"), 5);
    world.run();
    assert_eq!(read(&mut world, juliet, there), b"hello");
    // Its two ends can compare it themselves.
    let seen = [(romeo, here), (juliet, there)]
        .map(|(id, tunnel)| world.with(id, |engine, _| engine.tunnel(tunnel).unwrap().negotiation_hash()));
    assert!(seen[0].is_some() && seen[0] == seen[1]);

    for strict_initiator in [true, false] {
        let mut world = World::default();
        world.relay.keep_log();
        let mut both = [EntityOptions::seeded(51), EntityOptions::seeded(52)];
        both[usize::from(!strict_initiator)].config.require_negotiation_hash = true;
        let [one, other] = both;
        let (romeo, juliet) = (world.add(ROMEO, one), world.add(JULIET, other));
        world.introduce(romeo, juliet);
        let peer = world.jid(juliet).clone();
        world.with(romeo, |engine, now| engine.initiate(now, peer, options())).unwrap();
        world.run();
        world.accept(juliet, options());
        world.run();
        let end = closed(&mut world, if strict_initiator { romeo } else { juliet });
        assert!(matches!(end.fault, Some(Fault::NegotiationMissing)) && !end.secured, "{end:?}");
    }
}

#[test]
fn wire_5_the_end_of_a_tunnel_needs_no_hash_where_nothing_was_said() {
    // The initiator closes as soon as it may.
    for options in both() {
        let (mut world, romeo, juliet) = World::pair(53);
        let peer = world.jid(juliet).clone();
        let here = world.with(romeo, |engine, now| engine.initiate(now, peer, options(TrustPolicy::Pinned))).unwrap();
        world.run();
        world.accept(juliet, options(TrustPolicy::Pinned)).unwrap();
        world.run();
        close(&mut world, romeo, here);
        world.run();
        for id in [romeo, juliet] {
            let end = closed(&mut world, id);
            assert!(end.done && !end.truncated, "{end:?}");
        }
    }
}

#[test]
fn wire_5_streams_that_follow_one_another_each_begin_with_it() {
    let (mut world, [romeo, juliet], [here, there]) = streaming(55);
    world.with(romeo, |engine, now| engine.tunnel(here).unwrap().close_stream(now)).unwrap();
    world.run();
    world.with(juliet, |engine, now| engine.tunnel(there).unwrap().open_stream(now)).unwrap();
    world.run();
    send(&mut world, romeo, here, "again").unwrap();
    world.run();
    assert_eq!(bodies(&world.take_events(juliet)), ["again"]);
}
