//! Tunnels between two who share a password: what they get, and who is asked for it when.
use crate::common::{
    JULIET, ROMEO, SECOND, bodies, close, closed, element, noise,
    password::{WORD, asked, asking, by_word, meet, passed, provide, secured, strangers, strangers_with, word},
    raw, read, send, sent, sent_data, terminations, write, xml,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use xtls::{
    EndedBy, Event, Fault, TrustPolicy,
    error::{FinishError, NotAsked},
    event::Side,
    tls::TlsVersion,
    trust::{Authentication, Method, TrustStore as _},
};
use xtls_stanza::ns;
use xtls_testkit::{EntityId, EntityOptions, World};

fn check_security(world: &mut World, id: EntityId, peer: EntityId) {
    let security = secured(world, id);
    assert_eq!((security.method, security.authenticated_by), (Method::Srp, Authentication::Password));
    assert_eq!(security.tls.version, TlsVersion::Tls12);
    assert_eq!(security.tls.cipher_suite, "TLS_SRP_SHA_WITH_AES_256_CBC_SHA");
    assert_eq!(security.tls.group, "srp-3072");
    assert!(security.certificate.is_none() && security.changed_from.is_empty() && security.confirmed);
    let peer = world.jid(peer).to_bare();
    let record = world.with_store(id, |store| store.record(&peer).unwrap());
    assert!(record.secured_before() && record.pins.is_empty() && record.attempts.failed == 0, "{record:?}");
}

#[test]
fn a_shared_password_secures_a_stream_either_way_round() {
    for juliet_offers in [false, true] {
        let (mut world, [romeo, juliet]) = strangers(1);
        let ends = if juliet_offers { [juliet, romeo] } else { [romeo, juliet] };
        let options = xml(TrustPolicy::Pinned).with_password(word());
        let tunnels = meet(&mut world, ends, options.clone(), options);
        check_security(&mut world, ends[0], ends[1]);
        check_security(&mut world, ends[1], ends[0]);
        for (at, (id, peer)) in [(ends[0], ends[1]), (ends[1], ends[0])].into_iter().enumerate() {
            let exported = world.with(id, |engine, _| {
                let tunnel = engine.tunnel(tunnels[at]).unwrap();
                assert_eq!(tunnel.security().map(|security| security.method), Some(Method::Srp));
                tunnel.export_keying_material(32, b"EXPORTER-test", None).unwrap()
            });
            let other = world.with(peer, |engine, _| {
                engine.tunnel(tunnels[1 - at]).unwrap().export_keying_material(32, b"EXPORTER-test", None).unwrap()
            });
            assert_eq!(exported, other);
            send(&mut world, id, tunnels[at], "but soft").unwrap();
            world.run();
            assert_eq!(bodies(&world.take_events(peer)).last().map(String::as_str), Some("but soft"));
            let _ = world.take_events(id);
        }
        close(&mut world, ends[0], tunnels[0]);
        world.run();
        assert!(closed(&mut world, ends[0]).is_clean(EndedBy::Local));
        assert!(closed(&mut world, ends[1]).is_clean(EndedBy::Remote));
    }
}

#[test]
fn raw_bytes_of_8_mib_go_both_ways_in_small_and_large_blocks() {
    for block_size in [4096, 32_760] {
        let options = |seed| {
            let mut options = EntityOptions::seeded(seed);
            options.config.block_size = block_size;
            options
        };
        let (mut world, ends) = strangers_with(options(3), options(4));
        let tunnels = meet(&mut world, ends, by_word(), by_word());
        check_security(&mut world, ends[0], ends[1]);
        check_security(&mut world, ends[1], ends[0]);
        let data = [noise(8 << 20, 1), noise(8 << 20, 2)];
        let (mut written, mut got) = ([0, 0], [Vec::new(), Vec::new()]);
        while got[0].len() < data[1].len() || got[1].len() < data[0].len() {
            for at in [0, 1] {
                written[at] += write(&mut world, ends[at], tunnels[at], &data[at][written[at]..]);
            }
            world.run();
            for at in [0, 1] {
                got[at].extend(read(&mut world, ends[at], tunnels[at]));
                let _ = world.take_events(ends[at]);
            }
        }
        assert!(got[0] == data[1] && got[1] == data[0]);
        close(&mut world, ends[0], tunnels[0]);
        world.run();
        assert!(closed(&mut world, ends[0]).is_clean(EndedBy::Local));
    }
}

#[test]
fn one_direction_cannot_be_finished_alone_and_a_close_delivers_all() {
    let (mut world, ends) = strangers(5);
    let tunnels = meet(&mut world, ends, by_word(), by_word());
    for at in [0, 1] {
        let _ = world.take_events(ends[at]);
        let slip = world.with(ends[at], |engine, now| engine.tunnel(tunnels[at]).unwrap().finish(now));
        assert_eq!(slip, Err(FinishError::NotInThisTls));
    }
    let data = noise(200_000, 9);
    assert_eq!(write(&mut world, ends[0], tunnels[0], &data), data.len());
    close(&mut world, ends[0], tunnels[0]);
    let mut got = Vec::new();
    for _ in 0..100 {
        world.run();
        got.extend(read(&mut world, ends[1], tunnels[1]));
    }
    assert!(got == data, "{} of {}", got.len(), data.len());
    world.run();
    assert!(closed(&mut world, ends[0]).is_clean(EndedBy::Local));
    let events = world.take_events(ends[1]);
    assert!(events.iter().any(|event| matches!(event, Event::PeerFinished { .. })), "{events:?}");
    let end = crate::common::the_end(&events);
    assert!(!end.truncated && end.by == EndedBy::Remote && end.unacked == 0, "{end:?}");
}

#[test]
fn the_responder_is_asked_between_the_accept_and_session_accept() {
    let (mut world, ends) = strangers(7);
    let tunnels = meet(&mut world, ends, by_word(), asking(TrustPolicy::Pinned));
    asked(&mut world, ends[1], Side::Responder);
    assert!(!passed(&world, "session-accept"));
    provide(&mut world, ends[1], tunnels[1], Some(word()));
    check_security(&mut world, ends[0], ends[1]);
    check_security(&mut world, ends[1], ends[0]);
    // It is answered.
    let again = world.with(ends[1], |engine, now| engine.tunnel(tunnels[1]).unwrap().provide_password(now, None));
    assert_eq!(again, Err(NotAsked));
}

#[test]
fn the_initiator_is_asked_between_session_accept_and_security_info() {
    let (mut world, ends) = strangers(9);
    let tunnels = meet(&mut world, ends, asking(TrustPolicy::Pinned), by_word());
    asked(&mut world, ends[0], Side::Initiator);
    assert!(passed(&world, "session-accept") && !passed(&world, "security-info"));
    assert!(!world.relay.log().iter().any(|passed| passed.stanza.contains("<open ")));
    provide(&mut world, ends[0], tunnels[0], Some(word()));
    check_security(&mut world, ends[0], ends[1]);
    check_security(&mut world, ends[1], ends[0]);
}

#[test]
fn both_may_be_asked_one_after_the_other() {
    let (mut world, ends) = strangers(11);
    let tunnels = meet(&mut world, ends, asking(TrustPolicy::Pinned), asking(TrustPolicy::Pinned));
    assert!(world.take_events(ends[0]).is_empty(), "nothing is known of the responder yet");
    asked(&mut world, ends[1], Side::Responder);
    provide(&mut world, ends[1], tunnels[1], Some(word()));
    asked(&mut world, ends[0], Side::Initiator);
    provide(&mut world, ends[0], tunnels[0], Some(word()));
    check_security(&mut world, ends[0], ends[1]);
    check_security(&mut world, ends[1], ends[0]);
}

/// Who is asked, with which policy at both ends; the other one has the password.
fn question(seed: u8, side: Side, policy: TrustPolicy) -> (World, [EntityId; 2], usize, xtls::TunnelId) {
    let (mut world, ends) = strangers(seed);
    let (at, here, there) = match side {
        Side::Initiator => (0, asking(policy), raw(policy).with_password(word())),
        _ => (1, raw(policy).with_password(word()), asking(policy)),
    };
    let tunnels = meet(&mut world, ends, here, there);
    asked(&mut world, ends[at], side);
    (world, ends, at, tunnels[at])
}

#[test]
fn a_no_goes_on_by_a_leap_of_faith_where_the_policy_takes_one_and_silence_does_not() {
    let (options, leaps) = (asking(TrustPolicy::LeapOfFaith), raw(TrustPolicy::LeapOfFaith));
    for at in [0, 1] {
        for answered in [true, false] {
            let (mut world, ends) = strangers(13);
            let [here, there] = if at == 0 { [&options, &leaps] } else { [&leaps, &options] };
            let tunnels = meet(&mut world, ends, here.clone(), there.clone());
            asked(&mut world, ends[at], [Side::Initiator, Side::Responder][at]);
            if answered {
                provide(&mut world, ends[at], tunnels[at], None);
                for id in ends {
                    let security = secured(&mut world, id);
                    let by = (security.method, security.authenticated_by);
                    assert_eq!(by, (Method::X509, Authentication::LeapOfFaith));
                }
                continue;
            }
            world.run_for(299 * SECOND);
            assert!(world.take_events(ends[at]).is_empty(), "it may still be answered");
            world.run_for(2 * SECOND);
            let [end, other] = [at, 1 - at].map(|at| closed(&mut world, ends[at]));
            assert!(!end.secured && !other.secured && sent_data(&world, ROMEO, JULIET) == 0);
            if at == 0 {
                assert!(matches!(end.fault, Some(Fault::NotTrusted { .. })) && end.security, "{end:?}");
                assert!(other.security, "{other:?}");
            } else {
                // Who offers certificates only expects no question for a password, and waits no longer than it rings.
                assert_eq!(end.condition.as_deref(), Some("timeout"));
            }
        }
    }
}

#[test]
fn a_password_refuses_the_leap_of_faith_that_only_a_no_allows() {
    // The other end speaks certificates only, or a server has left the password method out.
    let (options, leaps) = (asking(TrustPolicy::LeapOfFaith), raw(TrustPolicy::LeapOfFaith));
    for at in [0, 1] {
        let (mut world, ends) = strangers(23);
        let [here, there] = if at == 0 { [&options, &leaps] } else { [&leaps, &options] };
        let tunnels = meet(&mut world, ends, here.clone(), there.clone());
        asked(&mut world, ends[at], [Side::Initiator, Side::Responder][at]);
        provide(&mut world, ends[at], tunnels[at], Some(word()));
        let end = closed(&mut world, ends[at]);
        assert!(matches!(end.fault, Some(Fault::NotTrusted { .. })) && end.security && !end.secured, "{end:?}");
        assert_eq!(sent_data(&world, ROMEO, JULIET), 0);
    }
}

#[test]
fn a_no_and_no_answer_end_in_security_error_where_only_a_pin_or_the_password_will_do() {
    for (side, other) in [(Side::Initiator, JULIET), (Side::Responder, ROMEO)] {
        for answered in [true, false] {
            let (mut world, ends, at, tunnel) = question(15, side, TrustPolicy::Pinned);
            if answered {
                provide(&mut world, ends[at], tunnel, None);
            } else {
                world.run_for(301 * SECOND);
            }
            let end = closed(&mut world, ends[at]);
            assert!(matches!(end.fault, Some(Fault::NotTrusted { .. })) && end.security, "{end:?}");
            let own = if other == ROMEO { JULIET } else { ROMEO };
            assert_eq!(terminations(&world, own, other), ["security-error"]);
            assert!(closed(&mut world, ends[1 - at]).security);
            assert_eq!(sent_data(&world, ROMEO, JULIET), 0);
        }
    }
}

#[test]
fn the_handshake_clock_stands_still_while_a_question_is_open() {
    for side in [Side::Initiator, Side::Responder] {
        let (mut world, ends, at, tunnel) = question(17, side, TrustPolicy::Pinned);
        world.run_for(299 * SECOND);
        assert!(ends.iter().all(|id| world.take_events(*id).is_empty()));
        provide(&mut world, ends[at], tunnel, Some(word()));
        check_security(&mut world, ends[0], ends[1]);
        check_security(&mut world, ends[1], ends[0]);
    }
}

#[test]
fn the_responders_person_may_take_as_long_for_the_offer_as_for_the_password() {
    let (mut world, ends) = strangers(19);
    let peer = world.jid(ends[1]).clone();
    world.with(ends[0], |engine, now| engine.initiate(now, peer, by_word())).unwrap();
    world.run_for(299 * SECOND);
    let tunnel = world.accept(ends[1], asking(TrustPolicy::Pinned)).unwrap();
    world.run_for(299 * SECOND);
    asked(&mut world, ends[1], Side::Responder);
    provide(&mut world, ends[1], tunnel, Some(word()));
    check_security(&mut world, ends[0], ends[1]);
}

#[test]
fn an_initiator_that_is_asked_and_takes_it_back_cancels() {
    for side in [Side::Initiator, Side::Responder] {
        let (mut world, ends, at, tunnel) = question(21, side, TrustPolicy::Pinned);
        close(&mut world, ends[at], tunnel);
        world.run();
        let end = closed(&mut world, ends[at]);
        assert!(end.by == EndedBy::Local && end.condition.as_deref() == Some("cancel"), "{end:?}");
        let end = closed(&mut world, ends[1 - at]);
        assert!(end.by == EndedBy::Remote && end.condition.as_deref() == Some("cancel"), "{end:?}");
    }
}

#[test]
fn a_stream_whose_password_is_being_asked_for_is_in_the_way_of_another_one() {
    let (mut world, ends) = strangers(23);
    let options = xml(TrustPolicy::Pinned);
    let [_, there] = meet(&mut world, ends, options.clone().with_password(word()), options.clone().asking_password());
    asked(&mut world, ends[1], Side::Responder);
    let peer = world.jid(ends[1]).clone();
    let second = options.with_password(word());
    world.with(ends[0], |engine, now| engine.initiate(now, peer, second)).unwrap();
    world.run();
    let end = closed(&mut world, ends[0]);
    assert_eq!(end.condition.as_deref(), Some("alternative-session"), "{end:?}");
    provide(&mut world, ends[1], there, Some(word()));
    check_security(&mut world, ends[0], ends[1]);
}

#[test]
fn l06_the_password_is_in_no_debug_output_and_in_no_stanza() {
    let (mut world, ends) = strangers(25);
    let options = by_word();
    let mut said = format!("{options:?}");
    let tunnels = meet(&mut world, ends, options, asking(TrustPolicy::Pinned));
    said += &format!("{world:?}");
    provide(&mut world, ends[1], tunnels[1], Some(word()));
    said += &format!("{world:?}");
    for at in [0, 1] {
        said += &world.with(ends[at], |engine, _| format!("{:?}", engine.tunnel(tunnels[at])));
        said += &format!("{:?}", world.take_events(ends[at]));
    }
    assert!(said.contains("Password(..)") && !said.contains(WORD), "{said}");
    let mut decoded = Vec::new();
    for passed in world.relay.log() {
        assert!(!passed.stanza.contains(WORD));
        if let Some(data) = element(&passed.stanza).child("data", ns::IBB) {
            decoded.extend(STANDARD.decode(data.text().as_bytes()).unwrap());
        }
    }
    let within = |needle: &str| decoded.windows(needle.len()).any(|part| part == needle.as_bytes());
    assert!(!within(WORD));
    assert!(within("romeo@montague.lit"), "the user name of the ClientHello");
}

/// All that went over the wire in one tunnel.
fn transcript(seed: u8) -> Vec<(String, String)> {
    let (mut world, ends) = strangers(seed);
    let tunnels = meet(&mut world, ends, by_word(), by_word());
    write(&mut world, ends[0], tunnels[0], b"but soft");
    world.run();
    close(&mut world, ends[0], tunnels[0]);
    assert_eq!(read(&mut world, ends[1], tunnels[1]), b"but soft");
    world.run();
    assert!(sent(&world, ROMEO, JULIET).iter().any(|stanza| stanza.contains("session-terminate")));
    world.relay.log().iter().map(|passed| (passed.from.clone(), passed.stanza.clone())).collect()
}

#[test]
fn the_same_seed_gives_the_same_transcript() {
    let once = transcript(27);
    assert_eq!(once, transcript(27));
    assert_ne!(once, transcript(29));
}
