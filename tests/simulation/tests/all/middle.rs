//! A server in the middle, against the negotiation (attack table, rows M1 to M7, M17 to M23, M26, M29).
use crate::common::{
    JULIET, MALLORY, ROMEO, SECOND, closed, element, errors, piping, script::Script, sent, sent_data, streaming,
    terminations, write, xml,
};
use xtls::{EndedBy, Event, Fault, TrustPolicy};
use xtls_stanza::ns;
use xtls_testkit::{EntityOptions, Fate, World};

/// Without the `<security/>` of its content.
fn stripped(stanza: &str) -> String {
    let start = stanza.find("<security ").unwrap();
    let end = stanza.find("</security>").unwrap() + "</security>".len();
    format!("{}{}", &stanza[..start], &stanza[end..])
}

#[test]
fn m01_security_stripped_from_the_offer_never_becomes_a_plain_stream() {
    for sole_handler in [true, false] {
        let mut world = World::default();
        world.relay.keep_log();
        let romeo = world.add(ROMEO, EntityOptions::seeded(1));
        let mut options = EntityOptions::seeded(2);
        options.config.sole_handler = sole_handler;
        let juliet = world.add(JULIET, options);
        world.introduce(romeo, juliet);
        world.relay.meddle(|passed| match passed.stanza.contains("session-initiate") {
            true => Fate::Replace(vec![stripped(&passed.stanza)]),
            false => Fate::Pass,
        });
        let peer = world.jid(juliet).clone();
        world.with(romeo, |engine, now| engine.initiate(now, peer, xml(TrustPolicy::Pinned))).unwrap();
        world.run();
        if !sole_handler {
            // Somebody else may want it; nobody does.
            let [(xtls::Disposition::Unclaimed(_), _)] = &*world.take_others(juliet) else {
                panic!("it is not left unclaimed")
            };
            continue;
        }
        let end = closed(&mut world, romeo);
        assert!(end.security && end.by == EndedBy::Remote, "{end:?}");
        assert_eq!(terminations(&world, JULIET, ROMEO), ["security-error"]);
        assert!(world.take_events(juliet).is_empty());
        assert!(!world.relay.log().iter().any(|passed| passed.stanza.contains("session-accept")));
    }
}

#[test]
fn m01_what_nobody_takes_is_refused_by_the_embedder() {
    let (mut world, _, juliet) = World::pair(3);
    let offer = "<iq type='set' id='x' from='romeo@montague.lit/orchard' to='juliet@capulet.lit/balcony'>\
        <jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s'><content creator='initiator' name='c'>\
        <description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>\
        <transport xmlns='urn:xmpp:jingle:transports:ibb:1' sid='b' block-size='4096'/></content></jingle></iq>";
    let xtls::Disposition::Unclaimed(refusal) = world.deliver(juliet, offer) else { panic!("not ours alone") };
    world.with(juliet, |engine, now| engine.refuse(now, refusal));
    world.run();
    assert_eq!(terminations(&world, JULIET, ROMEO), ["security-error"]);
    assert!(sent(&world, JULIET, ROMEO)[0].contains("type='result'"), "it is acknowledged first");
}

#[test]
fn m02_security_stripped_from_the_answer_ends_the_session() {
    let (mut world, romeo, juliet) = World::pair(5);
    world.relay.meddle(|passed| match passed.stanza.contains("session-accept") {
        true => Fate::Replace(vec![stripped(&passed.stanza)]),
        false => Fate::Pass,
    });
    world.connect_with(romeo, juliet, xml(TrustPolicy::Pinned));
    let end = closed(&mut world, romeo);
    assert!(matches!(end.fault, Some(Fault::PeerLacksXtls)) && end.security && !end.secured, "{end:?}");
    assert_eq!(terminations(&world, ROMEO, JULIET), ["security-error"]);
    assert!(closed(&mut world, juliet).security);
    assert_eq!(sent_data(&world, ROMEO, JULIET) + sent_data(&world, JULIET, ROMEO), 0);
}

#[test]
fn m04_an_announcement_that_was_altered_does_not_fit_the_certificate() {
    for action in ["session-initiate", "session-accept"] {
        for algo in ["sha1", "sha-256"] {
            let (mut world, romeo, juliet) = World::pair(7);
            world.relay.meddle(move |passed| {
                let start = passed.stanza.find(&format!("<fingerprint algo='{algo}'>"));
                match start.filter(|_| passed.stanza.contains(action)) {
                    Some(start) => {
                        let at = start + format!("<fingerprint algo='{algo}'>").len();
                        let mut altered = passed.stanza.clone();
                        let digit = if &altered[at..=at] == "0" { "1" } else { "0" };
                        altered.replace_range(at..=at, digit);
                        Fate::Replace(vec![altered])
                    }
                    None => Fate::Pass,
                }
            });
            world.connect_with(romeo, juliet, xml(TrustPolicy::Pinned));
            world.run_for(10 * SECOND);
            let (victim, other) = if action == "session-accept" { (romeo, juliet) } else { (juliet, romeo) };
            let end = closed(&mut world, victim);
            let Some(Fault::FingerprintMismatch { presented, .. }) = end.fault else { panic!("{end:?}") };
            assert_eq!(presented, world.identity(other).fingerprint_sha256());
            assert!(end.security && !end.secured);
            let end = closed(&mut world, other);
            assert!(end.security && end.condition.as_deref() == Some("security-error"), "{end:?}");
        }
    }
}

#[test]
fn m05_a_man_in_the_middle_with_certificates_of_his_own_reaches_nobody() {
    // The server at romeo's side is mallory's: he plays Juliet to Romeo, and Romeo to Juliet.
    let mut near = World::default();
    near.relay.keep_log();
    let romeo = near.add(ROMEO, EntityOptions::seeded(9));
    let false_juliet = near.add(JULIET, EntityOptions::seeded(66));
    let mut far = World::default();
    far.relay.keep_log();
    let false_romeo = far.add(ROMEO, EntityOptions::seeded(67));
    let juliet = far.add(JULIET, EntityOptions::seeded(10));
    // The real two know one another, and the false ones know everybody.
    let pin = |world: &World, id| xtls::trust::Pin::manual(world.identity(id).fingerprint_sha256());
    let (jid, known) = (far.jid(juliet).to_bare(), pin(&far, juliet));
    near.with_store(romeo, |store| store.pin(&jid, known));
    let (jid, known) = (near.jid(romeo).to_bare(), pin(&near, romeo));
    far.with_store(juliet, |store| store.pin(&jid, known));
    near.trust(false_juliet, romeo);
    far.trust(false_romeo, juliet);
    near.connect_with(romeo, false_juliet, xml(TrustPolicy::Pinned));
    far.connect_with(false_romeo, juliet, xml(TrustPolicy::Pinned));
    near.run_for(10 * SECOND);
    far.run_for(10 * SECOND);
    for (world, victim, impostor) in [(&mut near, romeo, false_juliet), (&mut far, juliet, false_romeo)] {
        let end = closed(world, victim);
        assert!(matches!(end.fault, Some(Fault::CertificateChanged { .. })) && !end.secured, "{end:?}");
        assert!(closed(world, impostor).security);
    }
    assert_eq!(terminations(&near, ROMEO, JULIET), ["security-error"]);
    assert_eq!(terminations(&far, JULIET, ROMEO), ["security-error"]);
}

#[test]
fn m17_a_session_that_is_replayed_completes_no_handshake() {
    let (mut world, romeo, juliet) = World::pair(11);
    let (tunnel, _) = world.connect_with(romeo, juliet, xml(TrustPolicy::Pinned));
    crate::common::send(&mut world, romeo, tunnel, "I take thee at thy word").unwrap();
    world.run();
    let recorded = sent(&world, ROMEO, JULIET);
    let mut again = World::default();
    again.relay.keep_log();
    // The same Juliet with other random numbers.
    let mut options = EntityOptions::seeded(99);
    options.identity = Some(world.identity(juliet).clone());
    let juliet = again.add(JULIET, options);
    let peer = world.jid(romeo).to_bare();
    let known = xtls::trust::Pin::manual(world.identity(romeo).fingerprint_sha256());
    again.with_store(juliet, |store| store.pin(&peer, known));
    again.relay.set_online(ROMEO, true);
    for stanza in recorded {
        let _ = again.deliver(juliet, &stanza);
        again.run();
        again.accept(juliet, xml(TrustPolicy::Pinned));
        again.run();
    }
    let end = closed(&mut again, juliet);
    assert!(matches!(end.fault, Some(Fault::Tls(_))) && end.security && !end.secured, "{end:?}");
    assert_eq!(terminations(&again, JULIET, ROMEO), ["security-error"]);
}

#[test]
fn m18_what_is_thrown_back_leads_nowhere() {
    // As it is, it comes from ourselves and is nobody's.
    let (mut world, romeo, juliet) = World::pair(13);
    world.relay.meddle(|_| Fate::Replace(Vec::new()));
    let peer = world.jid(juliet).clone();
    let mut options = xml(TrustPolicy::Pinned);
    options.check_support = false;
    world.with(romeo, |engine, now| engine.initiate(now, peer, options)).unwrap();
    world.run();
    let own = sent(&world, ROMEO, JULIET)[0].clone();
    let disposition = world.deliver(romeo, &own);
    assert!(matches!(disposition, xtls::Disposition::Consumed), "{disposition:?}");
    // Or as if Juliet had sent it: it ties with ours, and never more than one of them is left.
    let theirs = own.replace("from='romeo@montague.lit/orchard'", "from='juliet@capulet.lit/balcony'");
    let _ = world.deliver(romeo, &theirs);
    world.run();
    assert!(world.take_events(romeo).iter().all(|event| !matches!(event, Event::Secured { .. })));
    world.run_for(400 * SECOND);
    let events = world.take_events(romeo);
    assert!(events.iter().all(|event| !matches!(event, Event::Secured { .. })), "{events:?}");
    assert_eq!(world.with(romeo, |engine, _| engine.tunnels().count()), 0);
}

#[test]
fn m19_somebody_else_who_knows_the_sids_changes_nothing() {
    let (mut world, [romeo, juliet], [tunnel, _]) = streaming(15);
    let accept = sent(&world, JULIET, ROMEO).into_iter().find(|stanza| stanza.contains("session-accept")).unwrap();
    let accept = element(&accept);
    let jingle = accept.child("jingle", ns::JINGLE).unwrap();
    let sid = jingle.attribute("sid").unwrap().to_owned();
    let content = jingle.children().next().unwrap();
    let ibb =
        content.children().find(|child| child.name() == "transport").unwrap().attribute("sid").unwrap().to_owned();
    world.relay.set_online(MALLORY, true);
    world.relay.set_online("juliet@capulet.lit/tower", true);
    let attacks = [
        (crate::common::script::data(&ibb, "2", "AAAA"), "item-not-found"),
        (crate::common::script::ibb_close(&ibb), "item-not-found"),
        (crate::common::script::open(&ibb, "4096"), "not-acceptable"),
        (crate::common::script::terminate(&sid, "success"), "item-not-found/unknown-session"),
        (crate::common::script::info(&sid, &["x509"]), "item-not-found/unknown-session"),
    ];
    // Another resource is another entity.
    for from in [MALLORY, "juliet@capulet.lit/tower"] {
        for (payload, _) in &attacks {
            let now = world.now();
            let iq = format!("<iq type='set' id='m' to='{ROMEO}'>{payload}</iq>");
            world.relay.handle_stanza(now, from, &iq);
            world.run();
        }
        let expected: Vec<&str> = attacks.iter().map(|(_, error)| *error).collect();
        assert_eq!(errors(&world, ROMEO, from), expected);
    }
    crate::common::send(&mut world, romeo, tunnel, "still here").unwrap();
    world.run();
    assert_eq!(crate::common::bodies(&world.take_events(juliet)), ["still here"]);
    assert!(world.take_events(romeo).is_empty());
}

#[test]
fn m20_an_answer_counts_only_from_whom_it_is_due() {
    for answer in ["result", "error"] {
        let (mut world, [romeo, juliet], [tunnel, _]) = piping(17);
        world.relay.meddle(|passed| match passed.stanza.contains("type='result'") {
            true => Fate::Replace(Vec::new()),
            false => Fate::Pass,
        });
        write(&mut world, romeo, tunnel, b"data");
        world.run();
        let block = sent(&world, ROMEO, JULIET).pop().unwrap();
        let id = element(&block).attribute("id").unwrap().to_owned();
        assert_eq!(id.len(), 22, "126 bits at least");
        for from in [MALLORY, ROMEO, "juliet@capulet.lit/tower", "juliet@capulet.lit"] {
            let inside = match answer {
                "error" => "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
                _ => "",
            };
            let spoofed = format!("<iq type='{answer}' id='{id}' from='{from}' to='{ROMEO}'>{inside}</iq>");
            let disposition = world.deliver(romeo, &spoofed);
            assert!(matches!(disposition, xtls::Disposition::NotOurs), "{disposition:?}");
        }
        let unacked = world.with(romeo, |engine, _| engine.tunnel(tunnel).unwrap().unacked());
        assert_eq!(unacked, 4);
        // An answer under another id from the right one counts as little.
        let _ = world.deliver(romeo, &format!("<iq type='result' id='{id}x' from='{JULIET}' to='{ROMEO}'/>"));
        assert_eq!(world.with(romeo, |engine, _| engine.tunnel(tunnel).unwrap().unacked()), 4);
        let _ = world.deliver(romeo, &format!("<iq type='result' id='{id}' from='{JULIET}' to='{ROMEO}'/>"));
        assert_eq!(world.with(romeo, |engine, _| engine.tunnel(tunnel).unwrap().unacked()), 0);
        assert!(matches!(&*world.take_events(juliet), [Event::Readable { .. }]));
    }
}

#[test]
fn m23_everything_hours_late_ends_in_timeouts() {
    let (mut world, romeo, juliet) = World::pair(19);
    world.relay.set_latency(3 * 60 * 60 * SECOND);
    let peer = world.jid(juliet).clone();
    world.with(romeo, |engine, now| engine.initiate(now, peer.clone(), xml(TrustPolicy::Pinned))).unwrap();
    world.run_for(29 * SECOND);
    assert!(world.take_events(romeo).is_empty());
    world.run_for(2 * SECOND);
    let end = closed(&mut world, romeo);
    assert!(matches!(end.fault, Some(Fault::Timeout { timer: xtls::Timer::Answer, .. })) && !end.truncated, "{end:?}");
    let mut options = xml(TrustPolicy::Pinned);
    options.check_support = false;
    world.with(romeo, |engine, now| engine.initiate(now, peer, options)).unwrap();
    world.run_for(31 * SECOND);
    assert!(matches!(closed(&mut world, romeo).fault, Some(Fault::Timeout { timer: xtls::Timer::Answer, .. })));
    assert_eq!(terminations(&world, ROMEO, JULIET), ["timeout"]);
    // Hours later the offer comes, and is taken back in the same breath.
    world.run_for(7 * 60 * 60 * SECOND);
    let events = world.take_events(juliet);
    assert!(matches!(&*events, [Event::Incoming(_), Event::IncomingGone { .. }]), "{events:?}");
    for id in [romeo, juliet] {
        assert_eq!(world.with(id, |engine, _| (engine.tunnels().count(), engine.poll_timeout())), (0, None));
    }
}

#[test]
fn m26_a_peer_that_does_not_tell_of_xtls_is_offered_nothing() {
    let mut world = World::default();
    world.relay.keep_log();
    let romeo = world.add(ROMEO, EntityOptions::seeded(21));
    let mut options = EntityOptions::seeded(22);
    options.features = Some(vec!["urn:xmpp:jingle:1".to_owned(), "urn:xmpp:jingle:apps:xmlstream:0".to_owned()]);
    let juliet = world.add(JULIET, options);
    world.introduce(romeo, juliet);
    let peer = world.jid(juliet).clone();
    world.with(romeo, |engine, now| engine.initiate(now, peer, xml(TrustPolicy::Pinned))).unwrap();
    world.run();
    let end = closed(&mut world, romeo);
    assert!(matches!(end.fault, Some(Fault::PeerLacksXtls)) && end.security, "{end:?}");
    assert_eq!(sent(&world, ROMEO, JULIET).len(), 1, "the question");
    // Who is not there at all is told apart from who cannot.
    let nobody: xtls_stanza::jid::FullJid = "juliet@capulet.lit/gone".parse().unwrap();
    world.with(romeo, |engine, now| engine.initiate(now, nobody, xml(TrustPolicy::Pinned))).unwrap();
    world.run();
    let end = closed(&mut world, romeo);
    assert!(matches!(end.fault, Some(Fault::Unreachable { .. })) && !end.security, "{end:?}");
}

#[test]
fn m29_of_two_offers_that_cross_exactly_one_becomes_a_tunnel() {
    for (seed, check_support) in (20..40).zip([true, false].into_iter().cycle()) {
        let (mut world, romeo, juliet) = World::pair(seed);
        let mut options = xml(TrustPolicy::Pinned);
        options.check_support = check_support;
        for (id, peer) in [(romeo, juliet), (juliet, romeo)] {
            let peer = world.jid(peer).clone();
            world.with(id, |engine, now| engine.initiate(now, peer, options.clone())).unwrap();
        }
        world.run();
        let accepted = [romeo, juliet].map(|id| world.accept(id, xml(TrustPolicy::Pinned)));
        assert_eq!(accepted.iter().flatten().count(), 1, "one offer stands");
        world.run();
        let mut ties = 0;
        for id in [romeo, juliet] {
            let events = world.take_events(id);
            assert!(events.iter().any(|event| matches!(event, Event::StreamOpened { .. })), "{events:?}");
            ties += events
                .iter()
                .filter(|event| {
                    matches!(event, Event::Closed(closed)
                if matches!(&closed.reason, xtls::CloseReason::Fault(fault) if matches!(**fault, Fault::TieBreak)))
                })
                .count();
            assert_eq!(world.with(id, |engine, _| engine.tunnels().count()), 1);
        }
        assert_eq!(ties, 1);
        assert_eq!(errors(&world, ROMEO, JULIET).len() + errors(&world, JULIET, ROMEO).len(), 1);
    }
}

#[test]
fn m29_an_offer_that_comes_while_the_peer_is_still_asked_goes_first() {
    let (mut world, romeo, juliet) = World::pair(41);
    let mut options = xml(TrustPolicy::Pinned);
    options.check_support = false;
    let peer = world.jid(juliet).clone();
    world.with(romeo, |engine, now| engine.initiate(now, peer, options)).unwrap();
    let peer = world.jid(romeo).clone();
    world.with(juliet, |engine, now| engine.initiate(now, peer, xml(TrustPolicy::Pinned))).unwrap();
    world.run();
    assert!(world.accept(juliet, xml(TrustPolicy::Pinned)).is_some());
    world.run();
    assert!(!sent(&world, JULIET, ROMEO).iter().any(|stanza| stanza.contains("session-initiate")));
    assert_eq!(world.with(juliet, |engine, _| engine.tunnels().count()), 1);
    assert!(world.take_events(romeo).iter().any(|event| matches!(event, Event::StreamOpened { .. })));
}

#[test]
fn m29_an_offer_to_somebody_whose_own_one_rings_leaves_no_stale_one() {
    for seed in 42..52 {
        let (mut world, romeo, juliet) = World::pair(seed);
        for (id, peer) in [(romeo, juliet), (juliet, romeo)] {
            let peer = world.jid(peer).clone();
            world.with(id, |engine, now| engine.initiate(now, peer, xml(TrustPolicy::Pinned))).unwrap();
            world.run();
        }
        // Each is asked at most once for an offer that still stands.
        let standing: usize = [romeo, juliet]
            .map(|id| {
                let events = world.take_events(id);
                let offered = events.iter().filter(|event| matches!(event, Event::Incoming(_))).count();
                offered - events.iter().filter(|event| matches!(event, Event::IncomingGone { .. })).count()
            })
            .iter()
            .sum();
        assert_eq!(standing, 1, "seed {seed}");
    }
}

/// RFC 7622 §§ 3.2, 3.3: localpart and domainpart are compared without case, and § 3.4: the resourcepart with it.
#[test]
fn m21_the_peer_in_other_letters_is_the_peer_and_another_resource_is_somebody_else() {
    let mut script = Script::new(31);
    let tunnel = script.secured();
    script.world.take_events(script.juliet);
    let ping = "<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='s1'/>";
    let mut answer_to = |from: &str| {
        let stanza = format!("<iq type='set' id='x' from='{from}' to='{JULIET}'>{ping}</iq>");
        let disposition = script.world.deliver(script.juliet, &stanza);
        assert!(matches!(disposition, xtls::Disposition::Consumed), "{from}: {disposition:?}");
        let mut out = String::new();
        let sent = script.world.with(script.juliet, |engine, now| engine.poll_transmit(now, &mut out)).unwrap();
        assert!(sent.to.eq_ignore_ascii_case(from), "{from}: {}", sent.to);
        crate::common::condition(&out).unwrap_or_else(|| "result".to_owned())
    };
    let (bare, resource) = MALLORY.split_once('/').unwrap();
    let in_letters = |text: &str, mask: u64| -> String {
        let letters = text.chars().enumerate();
        letters.map(|(at, c)| if mask >> at & 1 == 1 { c.to_ascii_uppercase() } else { c }).collect()
    };
    for mask in crate::common::noise(256, 5).chunks(4) {
        let mask = u64::from(u32::from_le_bytes(mask.try_into().unwrap()));
        let same = format!("{}/{resource}", in_letters(bare, mask));
        assert_eq!(answer_to(&same), "result", "{same}");
        let other = format!("{bare}/{}", in_letters(resource, mask | 1));
        assert_eq!(answer_to(&other), "item-not-found/unknown-session", "{other}");
    }
    for other in
        [bare, "mallory@verona.lit/squar", "mallory@verona.lit/square/x", "mallory@verona.lit/x", "verona.lit/square"]
    {
        assert_eq!(answer_to(other), "item-not-found/unknown-session", "{other}");
    }
    assert!(script.world.take_events(script.juliet).is_empty());
    assert!(script.world.with(script.juliet, |engine, _| engine.tunnel(tunnel).is_some()), "it goes on");
}

/// Another device of the account that is pinned, with a certificate of its own, to which somebody on the way leads the tunnel.
#[test]
fn m22_another_device_of_a_peer_who_is_known_is_not_accepted_silently() {
    const CHAMBER: &str = "juliet@capulet.lit/chamber";
    for policy in [TrustPolicy::Pinned, TrustPolicy::LeapOfFaith, TrustPolicy::Ask] {
        for romeo_begins in [true, false] {
            let (mut world, romeo, balcony) = World::pair(33);
            let chamber = world.add(CHAMBER, EntityOptions::seeded(77));
            world.trust(chamber, romeo);
            let known = world.identity(balcony).fingerprint_sha256();
            assert_ne!(world.identity(chamber).fingerprint_sha256(), known);
            let (from, to) = if romeo_begins { (romeo, chamber) } else { (chamber, romeo) };
            let of = |id| xml(if id == romeo { policy } else { TrustPolicy::Pinned });
            let peer = world.jid(to).clone();
            let options = of(from);
            let _ = world.with(from, |engine, now| engine.initiate(now, peer, options));
            world.run();
            let options = of(to);
            world.accept(to, options);
            world.run();
            let events = world.take_events(romeo);
            let silently = events.iter().any(|event| matches!(event, Event::Secured { .. } | Event::Stanza { .. }));
            assert!(!silently, "{policy:?}: {events:?}");
            let question = events.iter().find_map(|event| match event {
                Event::TrustRequired { question, .. } => Some(question),
                _ => None,
            });
            match (policy, question) {
                // The user sees that another certificate was known.
                (TrustPolicy::Ask, Some(question)) => assert_eq!(question.previous, [known]),
                (TrustPolicy::Ask, None) => panic!("nobody is asked: {events:?}"),
                (_, _) => {
                    let end = crate::common::the_end(&events);
                    assert!(end.reason.is_security(), "{policy:?}, {romeo_begins}: {}", end.reason);
                }
            }
            let pins = world.with_store(romeo, |store| {
                xtls::trust::TrustStore::record(store, &CHAMBER.parse::<xtls_stanza::jid::FullJid>().unwrap().to_bare())
                    .unwrap()
                    .fingerprints()
            });
            assert_eq!(pins, [known], "{policy:?}: nothing is learnt");
            let there = world.take_events(chamber);
            assert!(!there.iter().any(|event| matches!(event, Event::StreamOpened { .. })), "{policy:?}: {there:?}");
        }
    }
}
