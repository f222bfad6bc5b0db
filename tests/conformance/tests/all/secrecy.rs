//! No plaintext before verification: everything that crosses the relay is read, and everything that an engine hands out.
mod play;

use core::time::Duration;

use crate::common::{JULIET, ROMEO, blocks_of, bytes_without_hash, closed, kinds};
use play::{assert_secret, assert_talked, both, ends, has, is_failed, pin_another, play, world};
use xtls::{
    Application, Event, Fault, TrustDecision, TrustPolicy,
    jingle::{Reason, ReasonCondition},
    trust::{Pin, TrustStore},
};
use xtls_stanza::Fingerprint;
use xtls_testkit::{EntityOptions, Passed, World};

#[test]
fn pinned() {
    for application in both() {
        let (mut world, romeo, juliet) = world();
        world.introduce(romeo, juliet);
        let outcome = play(&mut world, [romeo, juliet], &application, [TrustPolicy::Pinned; 2], None);
        assert_talked(&outcome, &application);
    }
}

#[test]
fn leap_of_faith() {
    for application in both() {
        let (mut world, romeo, juliet) = world();
        let outcome = play(&mut world, [romeo, juliet], &application, [TrustPolicy::LeapOfFaith; 2], None);
        assert_talked(&outcome, &application);
    }
}

#[test]
fn ask_and_yes() {
    for application in both() {
        let (mut world, romeo, juliet) = world();
        let decide = Some(TrustDecision::Accept);
        let outcome = play(&mut world, [romeo, juliet], &application, [TrustPolicy::Ask; 2], decide);
        assert_talked(&outcome, &application);
        for events in [&outcome.romeo, &outcome.juliet] {
            assert_eq!(kinds(events)[..2], ["TrustRequired", "Secured"]);
        }
    }
}

#[test]
fn ask_and_no() {
    for application in both() {
        for asking in 0..2 {
            let (mut world, romeo, juliet) = world();
            let mut policies = [TrustPolicy::Pinned; 2];
            policies[asking] = TrustPolicy::Ask;
            if asking == 0 {
                world.trust(juliet, romeo)
            } else {
                world.trust(romeo, juliet)
            }
            let decide = Some(TrustDecision::Refuse);
            let outcome = play(&mut world, [romeo, juliet], &application, policies, decide);
            assert_eq!(ends(&outcome.log), ["security-error"]);
            let (asked, other) =
                if asking == 0 { (outcome.romeo, outcome.juliet) } else { (outcome.juliet, outcome.romeo) };
            assert_eq!(kinds(&asked), ["TrustRequired", "Closed"]);
            assert!(matches!(is_failed(asked), Some(Fault::TrustRefused)));
            // Nobody thinks that it is secured: a peer that was not accepted is not confirmed.
            assert!(!has(&other, "Secured"), "{:?}", kinds(&other));
            assert_eq!(is_failed(other).map(|fault| format!("{fault:?}")), None);
        }
    }
}

/// While the person judges, nothing goes either way; and the question may take as long as the ring time.
#[test]
fn ask_while_the_person_judges() {
    for application in both() {
        for asking in 0..2 {
            let (mut world, romeo, juliet) = world();
            let mut policies = [TrustPolicy::Pinned; 2];
            policies[asking] = TrustPolicy::Ask;
            if asking == 0 {
                world.trust(juliet, romeo)
            } else {
                world.trust(romeo, juliet)
            }
            let outcome = play(&mut world, [romeo, juliet], &application, policies, None);
            let asked = if asking == 0 { &outcome.romeo } else { &outcome.juliet };
            assert_eq!(kinds(asked), ["TrustRequired"]);
            if asking == 0 {
                // The initiator has not even finished its handshake on the wire: one flight, its ClientHello.
                assert_eq!(blocks_of(&outcome.log, ROMEO).len(), 1);
                assert!(outcome.juliet.is_empty(), "{:?}", kinds(&outcome.juliet));
            } else {
                // One flight, the server's: no ticket, no header.
                assert_eq!(blocks_of(&outcome.log, JULIET).len(), 1);
                assert!(!has(&outcome.romeo, "StreamOpened") && !has(&outcome.romeo, "Readable"));
            }
            let before = outcome.log.len();
            // 300 s in all.
            world.run_for(Duration::from_secs(290));
            assert_secret(world.relay.log());
            let blocks = |log: &[Passed]| blocks_of(log, [ROMEO, JULIET][asking]).len();
            assert_eq!(blocks(&world.relay.log()[before..]), 0);
            world.run_for(Duration::from_secs(30));
            let id = [romeo, juliet][asking];
            assert!(matches!(is_failed(world.take_events(id)), Some(Fault::TrustRefused)));
            assert_secret(world.relay.log());
            assert_eq!(ends(world.relay.log()), ["security-error"]);
        }
    }
}

/// In TLS 1.3 the initiator is done before the responder has judged it. What it then writes is never handed out.
#[test]
fn an_initiators_early_words_wait_for_the_responders_judgement() {
    let (mut world, romeo, juliet) = world();
    world.trust(romeo, juliet);
    let policies = [TrustPolicy::Pinned, TrustPolicy::Ask];
    // Under the library's own description nothing would leave before the responder has shown its hash.
    let application = bytes_without_hash();
    // Three seconds are over: Romeo's tunnel is secured, not confirmed, and he writes.
    let outcome = play(&mut world, [romeo, juliet], &application, policies, None);
    world.run_for(Duration::from_secs(5));
    let mut events = outcome.romeo;
    events.extend(world.take_events(romeo));
    let Some(Event::Secured { id, security }) = events.into_iter().find(|event| matches!(event, Event::Secured { .. }))
    else {
        panic!("secured after the confirm time")
    };
    assert!(!security.confirmed);
    world.with(romeo, |engine, now| engine.tunnel(id).unwrap().write(now, b"balcony-secret")).unwrap();
    world.run();
    assert!(world.take_events(juliet).is_empty(), "the person has not judged");
    assert!(world.take_events(romeo).is_empty(), "and Romeo hears nothing of her");
    assert_eq!(blocks_of(world.relay.log(), JULIET).len(), 1, "but the server's flight");
    assert_secret(world.relay.log());
    // After the yes it is handed out, and Romeo is confirmed.
    let Some(Event::TrustRequired { id: other, .. }) = outcome.juliet.into_iter().next() else { panic!("asked") };
    world.with(juliet, |engine, now| engine.tunnel(other).unwrap().trust(now, TrustDecision::Accept)).unwrap();
    world.run();
    assert_eq!(kinds(&world.take_events(juliet)), ["Secured", "Readable"]);
    assert_eq!(kinds(&world.take_events(romeo)), ["Confirmed"]);
    let mut read = Vec::new();
    world.with(juliet, |engine, now| engine.tunnel(other).unwrap().read(now, &mut read));
    assert_eq!(read, b"balcony-secret");
}

#[test]
fn an_untrusted_responder() {
    for application in both() {
        // Romeo has no pin for Juliet that fits, and wants one.
        for policy in [TrustPolicy::Pinned, TrustPolicy::LeapOfFaith] {
            let (mut world, romeo, juliet) = world();
            pin_another(&world, romeo, juliet);
            world.trust(juliet, romeo);
            let outcome = play(&mut world, [romeo, juliet], &application, [policy, TrustPolicy::Pinned], None);
            assert_eq!(kinds(&outcome.romeo), ["Closed"]);
            assert!(matches!(is_failed(outcome.romeo), Some(Fault::CertificateChanged { .. })));
            assert_eq!(kinds(&outcome.juliet), ["Closed"]);
            is_failed(outcome.juliet);
            let ends = ends(&outcome.log);
            assert!(!ends.is_empty() && ends.iter().all(|end| end == "security-error"), "{ends:?}");
        }
    }
}

#[test]
fn an_untrusted_initiator() {
    for application in both() {
        for policy in [TrustPolicy::Pinned, TrustPolicy::LeapOfFaith] {
            let (mut world, romeo, juliet) = world();
            world.trust(romeo, juliet);
            pin_another(&world, juliet, romeo);
            let outcome = play(&mut world, [romeo, juliet], &application, [TrustPolicy::Pinned, policy], None);
            assert_eq!(kinds(&outcome.juliet), ["Closed"]);
            assert!(matches!(is_failed(outcome.juliet), Some(Fault::CertificateChanged { .. })));
            // Romeo finished his handshake, was not confirmed, and heard the alert or the session-terminate.
            assert_eq!(kinds(&outcome.romeo), ["Closed"]);
            is_failed(outcome.romeo);
            let ends = ends(&outcome.log);
            assert!(!ends.is_empty() && ends.iter().all(|end| end == "security-error"), "{ends:?}");
        }
    }
}

/// Without any pin and under the strict policy, there is not even a handshake.
#[test]
fn an_unknown_initiator_is_refused_before_the_handshake() {
    for application in both() {
        let (mut world, romeo, juliet) = world();
        world.trust(romeo, juliet);
        let outcome = play(&mut world, [romeo, juliet], &application, [TrustPolicy::Pinned; 2], None);
        assert_eq!(ends(&outcome.log), ["security-error"]);
        assert!(blocks_of(&outcome.log, ROMEO).is_empty() && blocks_of(&outcome.log, JULIET).is_empty());
        assert!(matches!(is_failed(outcome.juliet), Some(Fault::NotTrusted { .. })));
        assert_eq!(crate::common::remote_reason(&closed(outcome.romeo)), ReasonCondition::SecurityError);
    }
}

/// Juliet was secured before, and comes back with another certificate.
#[test]
fn a_changed_certificate() {
    for policy in [TrustPolicy::Pinned, TrustPolicy::LeapOfFaith] {
        let (mut world, romeo, juliet) = world();
        world.introduce(romeo, juliet);
        let tunnel = world.connect(romeo, juliet);
        world.with(romeo, |engine, now| engine.tunnel(tunnel).unwrap().abort(now, Reason::new(ReasonCondition::Gone)));
        world.run();
        let old = world.identity(juliet).fingerprint_sha256();

        // Another device that has her resource now; she still knows Romeo.
        let mut other = World::default();
        other.relay.keep_log();
        let bare = JULIET.parse::<xtls_stanza::jid::FullJid>().unwrap().to_bare();
        let record = world.with_store(romeo, |store| store.record(&bare).unwrap());
        assert!(record.secured_before());
        let romeo = other.add(ROMEO, EntityOptions::seeded(11));
        let juliet = other.add(JULIET, EntityOptions::seeded(99));
        let bare = other.jid(juliet).to_bare();
        other.with_store(romeo, |store| record.pins.iter().for_each(|pin| store.pin(&bare, *pin)));
        other.trust(juliet, romeo);
        let new = other.identity(juliet).fingerprint_sha256();
        let outcome = play(&mut other, [romeo, juliet], &Application::XmlStream, [policy, TrustPolicy::Pinned], None);
        let Some(Fault::CertificateChanged { presented, pinned }) = is_failed(outcome.romeo) else { panic!("changed") };
        assert_eq!((presented, pinned), (Some(new), vec![old]));
        assert!(!has(&outcome.juliet, "Secured"));
    }
}

/// A person who is asked sees what the certificate was before; the yes is told as a change.
#[test]
fn a_changed_certificate_that_a_person_accepts() {
    let (mut world, romeo, juliet) = world();
    pin_another(&world, romeo, juliet);
    world.trust(juliet, romeo);
    let decide = Some(TrustDecision::Accept);
    let policies = [TrustPolicy::Ask, TrustPolicy::Pinned];
    let outcome = play(&mut world, [romeo, juliet], &Application::XmlStream, policies, decide);
    let old = Fingerprint::sha256(b"another certificate");
    assert!(matches!(&outcome.romeo[0], Event::TrustRequired { question, .. }
        if question.previous == [old] && question.certificate.der() == world.identity(juliet).certificate()));
    assert!(matches!(&outcome.romeo[1], Event::Secured { security, .. } if security.changed_from == [old]));
    assert_talked(&outcome, &Application::XmlStream);
}

/// A block that comes while the person judges lets nothing out that waits for the judgement.
#[test]
fn a_block_in_the_middle_of_the_judgement() {
    let mut stage = crate::common::Stage::romeo();
    stage.engine_offers(TrustPolicy::Ask);
    let bare = JULIET.parse::<xtls_stanza::jid::FullJid>().unwrap().to_bare();
    stage.world.with_store(stage.engine, |store| store.remove(&bare));
    stage.start_server(&stage.tls_config());
    let accept = stage.accept_with(&stage.peer_security());
    let requests = stage.ask_fine(&accept);
    requests.iter().for_each(|request| stage.ack(request));
    assert_eq!(stage.play(), []);
    let events = stage.events();
    let [Event::TrustRequired { id, .. }] = events.as_slice() else { panic!("asked: {events:?}") };
    assert_eq!(stage.blocks.len(), 1, "the ClientHello");
    // Nothing in it, and it is acknowledged; nothing else follows.
    let empty = stage.data(b"");
    assert_eq!(stage.ask_fine(&empty), []);
    stage.sent_nothing();
    stage.with(|engine, now| engine.tunnel(*id).unwrap().trust(now, TrustDecision::Accept)).unwrap();
    assert_eq!(stage.play(), []);
    assert_eq!((stage.blocks.len(), stage.told().as_str()), (2, crate::common::HEADER_ROMEO));
    assert_eq!(kinds(&stage.events()), ["Secured"]);
}

/// A pin that is no SHA-256 is looked at too, and one that fits is remembered as SHA-256.
#[test]
fn a_certificate_with_a_pin_of_sha_1() {
    for (fits, policy) in
        [true, false].into_iter().flat_map(|fits| [(fits, TrustPolicy::Pinned), (fits, TrustPolicy::LeapOfFaith)])
    {
        let (mut world, romeo, juliet) = world();
        world.trust(juliet, romeo);
        let bare = world.jid(juliet).to_bare();
        let der = if fits { world.identity(juliet).certificate().to_vec() } else { b"another".to_vec() };
        world.with_store(romeo, |store| store.pin(&bare, Pin::manual(Fingerprint::sha1(&der))));
        let policies = [policy, TrustPolicy::Pinned];
        let outcome = play(&mut world, [romeo, juliet], &Application::XmlStream, policies, None);
        if fits {
            assert_talked(&outcome, &Application::XmlStream);
            let presented = world.identity(juliet).fingerprint_sha256();
            let record = world.with_store(romeo, |store| store.record(&bare).unwrap());
            assert!(record.pins.iter().any(|pin| pin.fingerprint == presented));
        } else {
            assert!(!has(&outcome.juliet, "Secured"));
            assert!(matches!(is_failed(outcome.romeo), Some(Fault::CertificateChanged { .. })));
            assert_eq!(ends(&outcome.log), ["security-error"]);
        }
    }
}
