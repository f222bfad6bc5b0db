//! Which method is taken when there is a password, whatever a server makes of the negotiation; and whose name it is for.
use crate::common::{
    JULIET, MALLORY, ROMEO, SECOND, closed,
    password::{WORD, action, asking, by_word, meet, passed, secured, strangers, word},
    raw,
    script::{self, Script, info, open},
    sent, sent_data, terminations, xml,
};
use xtls::{
    EndedBy, Event, Fault, TrustPolicy, TunnelId,
    error::{InitiateError, TermsError},
    trust::{Authentication, Method},
};
use xtls_testkit::{EntityId, EntityOptions, Fate, World, provider};
use xtls_tls::{SrpConfig, SrpCredentials, TlsSession};

/// By which method, and what authenticated the peer, at both ends.
fn outcome(world: &mut World, ends: [EntityId; 2]) -> (Method, Authentication) {
    let [one, other] = ends.map(|id| secured(world, id));
    assert_eq!((one.method, one.authenticated_by), (other.method, other.authenticated_by));
    (one.method, one.authenticated_by)
}

const BY_PASSWORD: (Method, Authentication) = (Method::Srp, Authentication::Password);
const BY_FAITH: (Method, Authentication) = (Method::X509, Authentication::LeapOfFaith);

#[test]
fn a_pinned_certificate_goes_before_the_password_and_nobody_is_asked() {
    for (here, there) in [(by_word(), by_word()), (asking(TrustPolicy::Pinned), asking(TrustPolicy::Pinned))] {
        let (mut world, ends) = strangers(1);
        world.introduce(ends[0], ends[1]);
        meet(&mut world, ends, here, there);
        assert_eq!(outcome(&mut world, ends), (Method::X509, Authentication::Pinned));
    }
}

#[test]
fn a_password_goes_before_a_certificate_that_nobody_knows() {
    for policy in [TrustPolicy::LeapOfFaith, TrustPolicy::Ask, TrustPolicy::Pinned] {
        let (mut world, ends) = strangers(3);
        let options = raw(policy).with_password(word());
        meet(&mut world, ends, options.clone(), options);
        assert_eq!(outcome(&mut world, ends), BY_PASSWORD);
    }
    let (mut world, ends) = strangers(5);
    meet(&mut world, ends, raw(TrustPolicy::LeapOfFaith), raw(TrustPolicy::LeapOfFaith));
    assert_eq!(outcome(&mut world, ends), BY_FAITH);
}

#[test]
fn a_certificate_that_only_one_end_knows_does_not_do_where_the_password_does() {
    for knows in [0, 1] {
        let (mut world, ends) = strangers(7);
        world.trust(ends[knows], ends[1 - knows]);
        meet(&mut world, ends, by_word(), by_word());
        assert_eq!(outcome(&mut world, ends), BY_PASSWORD);
    }
}

#[test]
fn a_password_at_one_end_only_leaves_the_certificates() {
    for has in [0, 1] {
        // Whoever has a password takes no leap of faith: a server may have left the other one's out.
        for (policy, works) in
            [(TrustPolicy::Ask, true), (TrustPolicy::LeapOfFaith, false), (TrustPolicy::Pinned, false)]
        {
            let (mut world, ends) = strangers(9);
            let (with, without) = (raw(policy).with_password(word()), raw(policy));
            let (here, there) = if has == 0 { (with, without) } else { (without, with) };
            if policy == TrustPolicy::Pinned && has == 1 {
                let peer = world.jid(ends[1]).clone();
                let slip = world.with(ends[0], |engine, now| engine.initiate(now, peer, here));
                assert_eq!(slip, Err(InitiateError::Terms(TermsError::NotPinned)));
                continue;
            }
            meet(&mut world, ends, here, there);
            if works {
                for at in [0, 1] {
                    let events = world.take_events(ends[at]);
                    let Some(id) = events.iter().find_map(|event| match event {
                        Event::TrustRequired { id, .. } => Some(*id),
                        _ => None,
                    }) else {
                        continue;
                    };
                    world
                        .with(ends[at], |engine, now| {
                            engine.tunnel(id).unwrap().trust(now, xtls::TrustDecision::Accept)
                        })
                        .unwrap();
                    world.run();
                }
                for id in ends {
                    let tunnel = world.with(id, |engine, _| engine.tunnels().next()).unwrap();
                    let security =
                        world.with(id, |engine, _| engine.tunnel(tunnel).unwrap().security().cloned()).unwrap();
                    assert_eq!((security.method, security.authenticated_by), (Method::X509, Authentication::Approved));
                }
            } else {
                assert!(ends.iter().all(|id| closed(&mut world, *id).security));
                assert_eq!(sent_data(&world, ROMEO, JULIET), 0);
            }
        }
    }
}

/// A server that leaves a method out of the offer or of the answer.
fn strip(world: &mut World, method: &str, message: &'static str) {
    let method = format!("<method name='{method}'/>");
    world.relay.meddle(move |sent| {
        if !action(&sent.stanza, message) {
            return Fate::Pass;
        }
        assert!(sent.stanza.contains(&method), "{}", sent.stanza);
        Fate::Replace(vec![sent.stanza.replace(&method, "")])
    });
}

#[test]
fn m03_a_method_that_is_left_out_leaves_the_other_one_if_the_policy_takes_it() {
    for message in ["session-initiate", "session-accept"] {
        // Only the password would do.
        let (mut world, ends) = strangers(11);
        strip(&mut world, "srp", message);
        let peer = world.jid(ends[1]).clone();
        world.with(ends[0], |engine, now| engine.initiate(now, peer, by_word())).unwrap();
        world.run();
        world.accept(ends[1], by_word());
        world.run();
        let end = closed(&mut world, ends[0]);
        assert!(end.security && !end.secured, "{end:?}");
        assert_eq!(sent_data(&world, ROMEO, JULIET), 0);

        // Nor is a leap of faith taken by who has a password, be it a first meeting ...
        let leap = raw(TrustPolicy::LeapOfFaith).with_password(word());
        let (mut world, ends) = strangers(13);
        strip(&mut world, "srp", message);
        meet(&mut world, ends, leap.clone(), leap.clone());
        assert_eq!(sent_data(&world, ROMEO, JULIET), 0);
        for id in ends {
            let end = closed(&mut world, id);
            assert!(end.security && !end.secured, "{end:?}");
        }

        // ... or a peer that the password has secured before.
        let (mut world, ends) = strangers(15);
        meet(&mut world, ends, leap.clone(), leap.clone());
        assert_eq!(outcome(&mut world, ends), BY_PASSWORD);
        strip(&mut world, "srp", message);
        meet(&mut world, ends, leap.clone(), leap);
        for id in ends {
            let end = closed(&mut world, id);
            assert!(end.security && !end.secured, "{end:?}");
        }

        // The certificates are pinned: the password does as well.
        let (mut world, ends) = strangers(17);
        world.introduce(ends[0], ends[1]);
        strip(&mut world, "x509", message);
        meet(&mut world, ends, by_word(), by_word());
        assert_eq!(outcome(&mut world, ends), BY_PASSWORD);
    }
}

#[test]
fn a_method_that_was_not_offered_is_not_taken_from_the_answer() {
    let (mut world, ends) = strangers(19);
    world.relay.meddle(|sent| {
        if !action(&sent.stanza, "session-accept") {
            return Fate::Pass;
        }
        Fate::Replace(vec![sent.stanza.replace("<method name='srp'/>", "<method name='x509'/>")])
    });
    meet(&mut world, ends, by_word(), by_word());
    let end = closed(&mut world, ends[0]);
    assert!(matches!(&end.fault, Some(Fault::NotTrusted { .. } | Fault::NoCommonMethod { .. })), "{end:?}");
    assert_eq!(terminations(&world, ROMEO, JULIET), ["security-error"]);
}

#[test]
fn security_info_may_be_lost_or_refused_as_unknown() {
    for refused in [true, false] {
        let (mut world, ends) = strangers(21);
        world.relay.meddle(move |sent| match action(&sent.stanza, "security-info") {
            true if refused => {
                Fate::Bounce(xtls_stanza::StanzaError::new(xtls_stanza::Condition::FeatureNotImplemented))
            }
            true => Fate::Replace(Vec::new()),
            false => Fate::Pass,
        });
        let options = raw(TrustPolicy::LeapOfFaith).with_password(word());
        meet(&mut world, ends, options.clone(), options);
        assert!(passed(&world, "security-info"));
        assert_eq!(outcome(&mut world, ends), BY_PASSWORD);
    }
}

/// Juliet, who shares a word with Mallory and knows her certificate: both methods would do. Mallory offers `methods`.
fn negotiated(seed: u8, methods: &[&str]) -> (Script, TunnelId) {
    let mut script = Script::new(seed);
    let security = script::security(&[script.identity.fingerprint_sha256()], methods);
    assert_eq!(script.set(&script::offer("s1", "b1", 4096, &security)).as_deref(), Some("result"));
    let options = xml(TrustPolicy::Pinned).with_password(word());
    let tunnel = script.world.accept(script.juliet, options).unwrap();
    script.settle();
    let accepts = script.take_requests();
    assert!(methods.iter().all(|method| accepts[0].contains(&format!("name='{method}'"))), "{accepts:?}");
    (script, tunnel)
}

/// Mallory's side of TLS-SRP under a name.
fn srp_hello(script: &mut Script, name: &str) -> Vec<u8> {
    let config = SrpConfig::new(SrpCredentials::new(name, WORD).unwrap(), provider::deterministic());
    let mut hello = Vec::new();
    let session = provider::Entity::numbered(98).enter(|| TlsSession::srp_client(&config, &mut hello)).unwrap();
    script.tls = Some(session);
    hello
}

fn open_bytestream(script: &mut Script) {
    assert_eq!(script.set(&open("b1", "4096")).as_deref(), Some("result"));
}

/// Sends the ClientHello in blocks of this size, and plays the handshake to its end.
fn shake_hands(script: &mut Script, hello: &[u8], block: usize) {
    for part in hello.chunks(block) {
        assert_eq!(script.block(part).as_deref(), Some("result"));
    }
    let (_, answer) = script.tls_read();
    for part in answer.chunks(4096) {
        assert_eq!(script.block(part).as_deref(), Some("result"));
    }
    let (_, rest) = script.tls_read();
    assert!(rest.is_empty() && script.tls.as_ref().unwrap().handshake_complete());
}

#[test]
fn without_security_info_the_client_hello_decides_even_byte_by_byte() {
    for block in [4096, 1] {
        for method in [Method::Srp, Method::X509] {
            let (mut script, _) = negotiated(23, &["x509", "srp"]);
            open_bytestream(&mut script);
            let hello = match method {
                Method::Srp => srp_hello(&mut script, "mallory@verona.lit"),
                _ => script.start_tls(),
            };
            shake_hands(&mut script, &hello, block);
            let security = secured(&mut script.world, script.juliet);
            assert_eq!(security.method, method);
            // It is late and says nothing new; another method cannot be chosen any more.
            let (same, other) = if method == Method::Srp { ("srp", "x509") } else { ("x509", "srp") };
            assert_eq!(script.set(&info("s1", &[same])).as_deref(), Some("result"));
            assert_eq!(script.set(&info("s1", &[other])).as_deref(), Some("unexpected-request/out-of-order"));
            assert!(script.world.take_events(script.juliet).is_empty());
        }
    }
}

#[test]
fn m07_security_info_in_the_middle_of_the_client_hello_is_the_choice() {
    let (mut script, _) = negotiated(25, &["x509", "srp"]);
    open_bytestream(&mut script);
    let hello = srp_hello(&mut script, "mallory@verona.lit");
    assert_eq!(script.block(&hello[..20]).as_deref(), Some("result"));
    assert_eq!(script.set(&info("s1", &["srp"])).as_deref(), Some("result"));
    assert_eq!(script.set(&info("s1", &["x509"])).as_deref(), Some("unexpected-request/out-of-order"));
    shake_hands(&mut script, &hello[20..], 4096);
    assert_eq!(secured(&mut script.world, script.juliet).method, Method::Srp);
}

#[test]
fn m08_a_client_hello_of_another_method_than_was_said_is_refused_with_an_alert() {
    for said in ["srp", "x509"] {
        let (mut script, _) = negotiated(27, &["x509", "srp"]);
        assert_eq!(script.set(&info("s1", &[said])).as_deref(), Some("result"));
        open_bytestream(&mut script);
        let hello = if said == "srp" { script.start_tls() } else { srp_hello(&mut script, "mallory@verona.lit") };
        script.block(&hello);
        refused_with_an_alert(&mut script);
    }
}

fn refused_with_an_alert(script: &mut Script) {
    let alert = std::mem::take(&mut script.records);
    assert!(matches!(alert.as_slice(), [21, 3, _, 0, 2, 2, 40]), "handshake_failure: {alert:?}");
    let end = closed(&mut script.world, script.juliet);
    assert!(end.security && !end.secured && end.by == EndedBy::Engine, "{end:?}");
    assert_eq!(terminations(&script.world, JULIET, MALLORY), ["security-error"]);
    let peer = MALLORY.parse::<xtls_stanza::jid::FullJid>().unwrap().to_bare();
    let failed = script
        .world
        .with_store(script.juliet, |store| xtls::trust::TrustStore::record(store, &peer).unwrap().attempts.failed);
    assert_eq!(failed, 0);
}

#[test]
fn a_method_that_is_not_in_our_answer_is_refused_in_security_info_and_in_the_client_hello() {
    for (answered, other) in [("srp", "x509"), ("x509", "srp")] {
        let (mut script, _) = negotiated(29, &[answered]);
        assert_eq!(script.set(&info("s1", &[other])).as_deref(), Some("unexpected-request/out-of-order"));
        open_bytestream(&mut script);
        let hello = if answered == "srp" { script.start_tls() } else { srp_hello(&mut script, "mallory@verona.lit") };
        script.block(&hello);
        refused_with_an_alert(&mut script);
    }
}

#[test]
fn a_client_hello_of_both_methods_is_refused() {
    let (mut script, _) = negotiated(31, &["x509", "srp"]);
    open_bytestream(&mut script);
    let mut hello = srp_hello(&mut script, "mallory@verona.lit");
    // The first cipher suite, behind two headers, version, random and an empty session id.
    let suites = 5 + 4 + 2 + 32 + 1;
    assert_eq!(hello[suites + 2], 0xC0, "{hello:?}");
    hello[suites + 2..suites + 4].copy_from_slice(&[0xC0, 0x2F]);
    script.block(&hello);
    let end = closed(&mut script.world, script.juliet);
    assert!(matches!(end.fault, Some(Fault::NoCommonMethod { .. })) && end.security, "{end:?}");
    assert_eq!(terminations(&script.world, JULIET, MALLORY), ["security-error"]);
}

#[test]
fn the_user_name_is_the_initiators_bare_jid_and_no_other_one_will_do() {
    for (name, works) in [("mallory@verona.lit", true), (MALLORY, false), ("juliet@capulet.lit", false)] {
        let (mut script, _) = negotiated(33, &["srp"]);
        open_bytestream(&mut script);
        let hello = srp_hello(&mut script, name);
        if works {
            shake_hands(&mut script, &hello, 4096);
            assert_eq!(secured(&mut script.world, script.juliet).authenticated_by, Authentication::Password);
        } else {
            script.block(&hello);
            let end = closed(&mut script.world, script.juliet);
            assert!(matches!(end.fault, Some(Fault::WrongPassword)) && !end.secured, "{end:?}");
        }
    }
}

#[test]
fn the_user_name_is_normalised_alike_at_both_ends() {
    let mut world = World::default();
    let romeo = world.add("RomeO@MONTAGUE.lit/orchard", EntityOptions::seeded(35));
    let juliet = world.add(JULIET, EntityOptions::seeded(36));
    meet(&mut world, [romeo, juliet], by_word(), by_word());
    assert_eq!(outcome(&mut world, [romeo, juliet]), BY_PASSWORD);
}

#[test]
fn an_address_that_rfc_5054_cannot_carry_is_refused_before_anything_is_sent() {
    let mut world = World::default();
    world.relay.keep_log();
    let long = format!("{}@montague.lit/orchard", "r".repeat(250));
    let romeo = world.add(&long, EntityOptions::seeded(37));
    let juliet = world.add(JULIET, EntityOptions::seeded(38));
    let peer = world.jid(juliet).clone();
    for options in [by_word(), raw(TrustPolicy::LeapOfFaith).with_password(word()), asking(TrustPolicy::Pinned)] {
        let peer = peer.clone();
        let slip = world.with(romeo, |engine, now| engine.initiate(now, peer, options));
        assert_eq!(slip, Err(InitiateError::Terms(TermsError::UserName)));
    }
    world.run();
    assert!(world.relay.log().is_empty());
    // Where nobody needs the name, it is not in the way: neither ours nor the peer's.
    let ends = [romeo, juliet];
    meet(&mut world, ends, asking(TrustPolicy::LeapOfFaith), asking(TrustPolicy::LeapOfFaith));
    assert_eq!(outcome(&mut world, ends), BY_FAITH);
}

/// Characters of Unicode 5.0, of which RFC 7622 allows addresses and SASLprep (Unicode 3.2) knows nothing.
const NEW: &str = "rome\u{242}@montague.lit/orchard";

#[test]
fn wire_2_12_an_own_address_newer_than_saslprep_and_a_password_are_a_slip_that_names_the_reason() {
    let mut world = World::default();
    world.relay.keep_log();
    let romeo = world.add(NEW, EntityOptions::seeded(40));
    let juliet = world.add(JULIET, EntityOptions::seeded(41));
    world.introduce(romeo, juliet);
    let peer = world.jid(juliet).clone();
    // A certificate would do, but a password was given.
    let slip = world.with(romeo, |engine, now| engine.initiate(now, peer, by_word()));
    assert_eq!(slip, Err(InitiateError::Terms(TermsError::UserName)));
    assert!(slip.unwrap_err().to_string().contains("newer than Unicode 3.2"));
    world.run();
    assert!(world.relay.log().is_empty());
    // Without one it is an address like any other, and so it is for a responder, whose name is not in use.
    let ends = [romeo, juliet];
    meet(&mut world, ends, asking(TrustPolicy::Pinned), by_word());
    assert_eq!(outcome(&mut world, ends).1, Authentication::Pinned);
    let mut world = World::default();
    let [romeo, juliet] = [(NEW, 40), (JULIET, 41)].map(|(jid, seed)| world.add(jid, EntityOptions::seeded(seed)));
    meet(&mut world, [juliet, romeo], by_word(), by_word());
    assert_eq!(outcome(&mut world, [juliet, romeo]), BY_PASSWORD);
}

#[test]
fn wire_2_12_who_has_a_password_takes_no_leap_to_a_peer_whose_address_is_newer_than_saslprep() {
    let mut world = World::default();
    let romeo = world.add(NEW, EntityOptions::seeded(42));
    let juliet = world.add(JULIET, EntityOptions::seeded(43));
    let ends = [romeo, juliet];
    let leap = raw(TrustPolicy::LeapOfFaith);
    meet(&mut world, ends, leap.clone(), leap.clone().with_password(word()));
    let end = closed(&mut world, juliet);
    assert!(matches!(end.fault, Some(Fault::NotTrusted { .. })) && end.security, "{end:?}");
    let _ = closed(&mut world, romeo);
    // Without a password she has nothing to insist on.
    meet(&mut world, ends, leap.clone(), asking(TrustPolicy::LeapOfFaith));
    assert_eq!(outcome(&mut world, ends), BY_FAITH);
}

/// Both tunnels are Romeo's: the server plays his own words back to him in Juliet's name.
#[test]
fn m18_what_is_reflected_to_its_sender_never_completes() {
    let mut world = World::default();
    world.relay.keep_log();
    let romeo = world.add(ROMEO, EntityOptions::seeded(39));
    world.relay.set_online(JULIET, true);
    let mut options = by_word();
    options.check_support = false;
    let peer = JULIET.parse().unwrap();
    world.with(romeo, |engine, now| engine.initiate(now, peer, options)).unwrap();
    let (mut seen, mut sids) = (0, Vec::new());
    let mut accepted = false;
    for _ in 0..60 {
        world.run();
        let log: Vec<_> = sent(&world, ROMEO, JULIET).split_off(seen);
        seen += log.len();
        for stanza in log {
            if sids.is_empty() {
                sids = stanza.split(" sid='").skip(1).map(|rest| rest.split('\'').next().unwrap().to_owned()).collect();
                assert_eq!(sids.len(), 2, "{stanza}");
            }
            // The other tunnel's sids, and the other one's name.
            let pairs = [(sids[0].as_str(), "other-session"), (sids[1].as_str(), "other-stream"), (ROMEO, JULIET)];
            let mut reflected = stanza;
            for (one, other) in pairs {
                reflected = reflected.replace(one, "\u{1}").replace(other, one).replace('\u{1}', other);
            }
            let now = world.now();
            world.relay.inject(now, ROMEO, &reflected);
        }
        if !accepted && world.accept(romeo, by_word()).is_some() {
            accepted = true;
        }
    }
    world.run_for(100 * SECOND);
    assert!(accepted && sent_data(&world, ROMEO, JULIET) > 0, "it got as far as TLS");
    let events = world.take_events(romeo);
    assert!(!events.iter().any(|event| matches!(event, Event::Secured { .. })), "{events:?}");
    let ends = events.iter().filter(|event| matches!(event, Event::Closed(end) if end.reason.is_security()));
    assert_eq!(ends.count(), 2, "{events:?}");
}
