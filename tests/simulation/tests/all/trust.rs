//! Whose certificate is it: pins, changes, questions, leaps of faith.
use crate::common::{JULIET, ROMEO, SECOND, closed, errors, raw, sent_data, terminations, xml};
use xtls::{
    EndedBy, Event, Fault, TrustDecision, TrustPolicy,
    error::{AcceptError, InitiateError, NotAsked, TermsError},
    trust::{Authentication, Learned, Pin, TrustStore as _},
};
use xtls_stanza::HashAlgo;
use xtls_testkit::{EntityId, EntityOptions, World, provider};

/// Two entities that know nothing of one another.
fn strangers(seed: u8) -> (World, EntityId, EntityId) {
    let mut world = World::default();
    world.relay.keep_log();
    let romeo = world.add(ROMEO, EntityOptions::seeded(seed));
    let juliet = world.add(JULIET, EntityOptions::seeded(seed + 1));
    (world, romeo, juliet)
}

fn pins(world: &World, id: EntityId, peer: EntityId) -> Vec<Pin> {
    let peer = world.jid(peer).to_bare();
    world.with_store(id, |store| store.record(&peer).unwrap().pins)
}

#[test]
fn peers_that_are_pinned_both_ways_are_secured_and_confirmed_and_nothing_is_pinned_anew() {
    let (mut world, romeo, juliet) = World::pair(1);
    let before = [pins(&world, romeo, juliet), pins(&world, juliet, romeo)];
    world.connect_with(romeo, juliet, xml(TrustPolicy::Pinned));
    for (id, peer) in [(romeo, juliet), (juliet, romeo)] {
        let events = world.take_events(id);
        let [Event::Secured { security, .. }, Event::StreamOpened { .. }] = &*events else { panic!("{events:?}") };
        assert!(security.confirmed);
        assert_eq!(security.authenticated_by, Authentication::Pinned);
        assert_eq!(
            security.certificate.as_ref().unwrap().fingerprint_sha256(),
            world.identity(peer).fingerprint_sha256()
        );
        assert!(security.changed_from.is_empty());
        let peer = world.jid(peer).to_bare();
        assert!(world.with_store(id, |store| store.record(&peer).unwrap().secured_before()));
    }
    assert_eq!([pins(&world, romeo, juliet), pins(&world, juliet, romeo)], before);
}

#[test]
fn an_initiator_that_is_not_trusted_is_refused_before_session_accept() {
    let (mut world, romeo, juliet) = strangers(3);
    world.trust(romeo, juliet);
    world.connect_with(romeo, juliet, xml(TrustPolicy::Pinned));
    let (here, there) = (closed(&mut world, romeo), closed(&mut world, juliet));
    assert!(here.security && here.by == EndedBy::Remote && here.condition.as_deref() == Some("security-error"));
    let presented = world.identity(romeo).fingerprint_sha256();
    assert!(matches!(there.fault, Some(Fault::NotTrusted { fingerprint: Some(f) }) if f == presented), "{there:?}");
    assert!(there.security && there.by == EndedBy::Engine);
    assert_eq!(terminations(&world, JULIET, ROMEO), ["security-error"]);
    assert!(!world.relay.log().iter().any(|passed| passed.stanza.contains("session-accept")));
    assert_eq!(sent_data(&world, ROMEO, JULIET), 0);
}

#[test]
fn under_the_pinned_policy_nothing_is_offered_to_a_peer_without_a_pin() {
    let (mut world, romeo, juliet) = strangers(5);
    let peer = world.jid(juliet).clone();
    let slip = world.with(romeo, |engine, now| engine.initiate(now, peer.clone(), xml(TrustPolicy::Pinned)));
    assert_eq!(slip.unwrap_err(), InitiateError::Terms(TermsError::NotPinned));
    let own = world.jid(romeo).clone();
    let slip = world.with(romeo, |engine, now| engine.initiate(now, own, xml(TrustPolicy::Ask)));
    assert_eq!(slip.unwrap_err(), InitiateError::OwnAddress);
    world.run();
    assert!(world.relay.log().is_empty());
}

/// Juliet has a new certificate since Romeo pinned the old one.
fn changed(
    seed: u8,
    offered_by_juliet: bool,
    policy: TrustPolicy,
) -> (World, EntityId, EntityId, [xtls::trust::Fingerprint; 2]) {
    let (mut world, romeo, juliet) = strangers(seed);
    let old = xtls::trust::Fingerprint::sha256(b"the old certificate");
    let peer = world.jid(juliet).to_bare();
    world.with_store(romeo, |store| store.pin(&peer, Pin::manual(old)));
    world.trust(juliet, romeo);
    let (initiator, responder) = if offered_by_juliet { (juliet, romeo) } else { (romeo, juliet) };
    world.connect_with(initiator, responder, xml(policy));
    let new = world.identity(juliet).fingerprint_sha256();
    (world, romeo, juliet, [old, new])
}

#[test]
fn a_changed_certificate_is_refused_and_named_and_nothing_is_pinned() {
    for offered_by_juliet in [false, true] {
        for policy in [TrustPolicy::Pinned, TrustPolicy::LeapOfFaith] {
            let (mut world, romeo, juliet, [old, new]) = changed(7, offered_by_juliet, policy);
            world.run_for(10 * SECOND);
            let here = closed(&mut world, romeo);
            let Some(Fault::CertificateChanged { presented, pinned }) = &here.fault else { panic!("{here:?}") };
            assert_eq!((*presented, pinned.as_slice()), (Some(new), &[old][..]));
            assert!(here.security && !here.secured && here.by == EndedBy::Engine && !here.truncated);
            assert!(here.said.contains(&old.to_string()) && here.said.contains(&new.to_string()), "{}", here.said);
            // Juliet learns it by the alert, or from the session-terminate.
            assert!(closed(&mut world, juliet).security);
            assert_eq!(terminations(&world, ROMEO, JULIET), ["security-error"]);
            assert_eq!(pins(&world, romeo, juliet), [Pin::manual(old)]);
            let peer = world.jid(juliet).to_bare();
            assert!(!world.with_store(romeo, |store| store.record(&peer).unwrap().secured_before()));
        }
    }
}

#[test]
fn a_leap_of_faith_pins_after_the_confirmation_and_holds_the_peer_to_it() {
    let (mut world, romeo, juliet) = strangers(9);
    world.connect_with(romeo, juliet, xml(TrustPolicy::LeapOfFaith));
    for (id, peer) in [(romeo, juliet), (juliet, romeo)] {
        let events = world.take_events(id);
        let Some(Event::Secured { security, .. }) = events.first() else { panic!("{events:?}") };
        assert_eq!(security.authenticated_by, Authentication::LeapOfFaith);
        let pinned = Pin::new(world.identity(peer).fingerprint_sha256(), Learned::LeapOfFaith);
        let known = pins(&world, id, peer);
        assert!(known.iter().all(|pin| pin.since.is_some()), "{known:?}");
        assert_eq!(known.iter().map(|pin| Pin::new(pin.fingerprint, pin.learned)).collect::<Vec<_>>(), [pinned]);
    }
    // The next one by that name has another key.
    let mut second = World::default();
    second.relay.keep_log();
    let juliet_again = second.add(JULIET, EntityOptions::seeded(77));
    let romeo_again = second.add(ROMEO, EntityOptions::seeded(9));
    let known = pins(&world, romeo, juliet)[0];
    let peer = second.jid(juliet_again).to_bare();
    second.with_store(romeo_again, |store| store.pin(&peer, known));
    second.connect_with(romeo_again, juliet_again, xml(TrustPolicy::LeapOfFaith));
    second.run_for(10 * SECOND);
    let end = closed(&mut second, romeo_again);
    assert!(matches!(end.fault, Some(Fault::CertificateChanged { .. })), "{end:?}");
}

#[test]
fn a_question_keeps_everything_back_until_it_is_answered() {
    let (mut world, romeo, juliet) = strangers(11);
    world.trust(juliet, romeo);
    let old = Pin::manual(xtls::trust::Fingerprint::sha256(b"the old certificate"));
    let peer = world.jid(juliet).to_bare();
    world.with_store(romeo, |store| store.pin(&peer, old));
    let offer = xml(TrustPolicy::Ask);
    let full = world.jid(juliet).clone();
    let tunnel = world.with(romeo, |engine, now| engine.initiate(now, full, offer)).unwrap();
    world.run();
    world.accept(juliet, xml(TrustPolicy::Pinned)).unwrap();
    world.run();
    let events = world.take_events(romeo);
    let [Event::TrustRequired { question, .. }] = &*events else { panic!("{events:?}") };
    let (certificate, previous) = (&question.certificate, &question.previous);
    assert_eq!(certificate.fingerprint_sha256(), world.identity(juliet).fingerprint_sha256());
    assert_eq!(*previous, [old.fingerprint]);
    // The ClientHello, and nothing since: the client's Finished would say that Juliet is accepted.
    assert_eq!(sent_data(&world, ROMEO, JULIET), 1);
    // A person may take nearly as long as an offer may ring; the peer's own deadline stands still as well.
    world.run_for(299 * SECOND);
    assert_eq!(sent_data(&world, ROMEO, JULIET), 1);
    assert!(world.take_events(juliet).is_empty());
    world.with(romeo, |engine, now| engine.tunnel(tunnel).unwrap().trust(now, TrustDecision::Accept)).unwrap();
    world.run();
    let events = world.take_events(romeo);
    let [Event::Secured { security, .. }, Event::StreamOpened { .. }] = &*events else { panic!("{events:?}") };
    assert_eq!(security.authenticated_by, Authentication::Approved);
    assert_eq!(security.changed_from, [old.fingerprint]);
    let [pin] = pins(&world, romeo, juliet)[..] else { panic!("one pin") };
    assert_eq!((pin.fingerprint, pin.learned), (world.identity(juliet).fingerprint_sha256(), Learned::Manual));
    // It is trusted since the answer.
    assert_eq!(pin.since.map(|since| since.as_secs()), Some(1_767_225_899));
    assert!(matches!(&*world.take_events(juliet), [Event::Secured { .. }, Event::StreamOpened { .. }]));
    let again = world.with(romeo, |engine, now| engine.tunnel(tunnel).unwrap().trust(now, TrustDecision::Accept));
    assert_eq!(again, Err(NotAsked));
}

#[test]
fn a_no_and_no_answer_at_all_end_in_security_error() {
    for (seed, asks_initiator, answers) in [(13, true, true), (15, true, false), (17, false, true), (19, false, false)]
    {
        let (mut world, romeo, juliet) = strangers(seed);
        let (asked, other) = if asks_initiator { (romeo, juliet) } else { (juliet, romeo) };
        world.trust(other, asked);
        let policy = |id| if id == asked { TrustPolicy::Ask } else { TrustPolicy::Pinned };
        let full = world.jid(juliet).clone();
        let here = world.with(romeo, |engine, now| engine.initiate(now, full, xml(policy(romeo)))).unwrap();
        world.run();
        let there = world.accept(juliet, xml(policy(juliet))).unwrap();
        world.run();
        let tunnel = if asks_initiator { here } else { there };
        assert!(
            matches!(&*world.take_events(asked), [Event::TrustRequired { question, .. }] if question.previous.is_empty())
        );
        if answers {
            world.with(asked, |engine, now| engine.tunnel(tunnel).unwrap().trust(now, TrustDecision::Refuse)).unwrap();
            world.run();
        } else {
            world.run_for(299 * SECOND);
            assert!(world.take_events(asked).is_empty(), "it may still be answered");
            world.run_for(2 * SECOND);
        }
        let end = closed(&mut world, asked);
        assert!(matches!(end.fault, Some(Fault::TrustRefused)) && end.security, "{end:?}");
        let end = closed(&mut world, other);
        assert!(end.security && end.by == EndedBy::Remote, "{end:?}");
        assert!(pins(&world, asked, other).is_empty());
        assert!(world.with(asked, |engine, _| engine.tunnel(tunnel).is_none()));
    }
}

#[test]
fn while_the_responder_judges_the_initiator_is_secured_and_not_confirmed() {
    let (mut world, romeo, juliet) = strangers(21);
    world.trust(romeo, juliet);
    let full = world.jid(juliet).clone();
    world.with(romeo, |engine, now| engine.initiate(now, full, raw(TrustPolicy::Pinned))).unwrap();
    world.run();
    let there = world.accept(juliet, raw(TrustPolicy::Ask)).unwrap();
    world.run();
    // The confirm time runs from the moment the server's part of the handshake has come.
    assert!(world.take_events(romeo).is_empty());
    world.run_for(3 * SECOND);
    let events = world.take_events(romeo);
    assert!(matches!(&*events, [Event::Secured { security, .. }] if !security.confirmed), "{events:?}");
    // L7: without a confirmation nothing is remembered.
    let peer = world.jid(juliet).to_bare();
    assert!(!world.with_store(romeo, |store| store.record(&peer).unwrap().secured_before()));
    world.with(juliet, |engine, now| engine.tunnel(there).unwrap().trust(now, TrustDecision::Accept)).unwrap();
    world.run();
    assert!(matches!(&*world.take_events(romeo), [Event::Confirmed { .. }]));
    assert!(world.with_store(romeo, |store| store.record(&peer).unwrap().secured_before()));
}

/// There the initiator cannot be done before the responder's Finished, which waits for the judgement.
#[test]
fn in_tls_1_2_the_initiator_waits_for_the_responders_person() {
    let mut world = World::default();
    let [romeo, juliet] = [(ROMEO, 31), (JULIET, 32)].map(|(jid, seed)| {
        let mut options = EntityOptions::seeded(seed);
        options.provider = Some(provider::tls12());
        world.add(jid, options)
    });
    world.trust(romeo, juliet);
    let full = world.jid(juliet).clone();
    world.with(romeo, |engine, now| engine.initiate(now, full, raw(TrustPolicy::Pinned))).unwrap();
    world.run();
    let there = world.accept(juliet, raw(TrustPolicy::Ask)).unwrap();
    world.run_for(299 * SECOND);
    assert!(world.take_events(romeo).is_empty());
    world.with(juliet, |engine, now| engine.tunnel(there).unwrap().trust(now, TrustDecision::Accept)).unwrap();
    world.run();
    let events = world.take_events(romeo);
    assert!(matches!(&*events, [Event::Secured { security, .. }] if security.confirmed), "{events:?}");
}

#[test]
fn l07_a_leap_of_faith_is_not_pinned_without_the_confirmation() {
    let (mut world, romeo, juliet) = strangers(23);
    let full = world.jid(juliet).clone();
    world.with(romeo, |engine, now| engine.initiate(now, full, raw(TrustPolicy::LeapOfFaith))).unwrap();
    world.run();
    let there = world.accept(juliet, raw(TrustPolicy::Ask)).unwrap();
    world.run_for(4 * SECOND);
    assert!(matches!(&*world.take_events(romeo), [Event::Secured { security, .. }] if !security.confirmed));
    world.with(juliet, |engine, now| engine.tunnel(there).unwrap().trust(now, TrustDecision::Refuse)).unwrap();
    world.run();
    assert!(closed(&mut world, romeo).security);
    assert!(pins(&world, romeo, juliet).is_empty());
}

#[test]
fn a_sha_1_pin_works_once_and_gives_way_to_sha_256() {
    let (mut world, romeo, juliet) = strangers(25);
    world.trust(juliet, romeo);
    let weak = world.identity(juliet).fingerprint(HashAlgo::Sha1).unwrap();
    let peer = world.jid(juliet).to_bare();
    world.with_store(romeo, |store| store.pin(&peer, Pin::manual(weak)));
    world.connect_with(romeo, juliet, xml(TrustPolicy::Pinned));
    let events = world.take_events(romeo);
    let Some(Event::Secured { security, .. }) = events.first() else { panic!("{events:?}") };
    assert_eq!(security.authenticated_by, Authentication::Pinned);
    assert_eq!(pins(&world, romeo, juliet), [Pin::manual(world.identity(juliet).fingerprint_sha256())]);
}

#[test]
fn l02_an_own_certificate_is_nobody_elses() {
    let mut world = World::default();
    let romeo = world.add(ROMEO, EntityOptions::seeded(27));
    let mut options = EntityOptions::seeded(28);
    options.identity = Some(world.identity(romeo).clone());
    let twin = world.add(JULIET, options);
    world.introduce(romeo, twin);
    world.connect_with(romeo, twin, xml(TrustPolicy::Pinned));
    world.run_for(10 * SECOND);
    for id in [romeo, twin] {
        let end = closed(&mut world, id);
        assert!(end.security && !end.secured, "{end:?}");
    }
}

#[test]
fn offers_and_tunnels_of_another_engine_are_an_error() {
    let (mut world, romeo, juliet) = World::pair(29);
    let full = world.jid(juliet).clone();
    let here = world.with(romeo, |engine, now| engine.initiate(now, full, xml(TrustPolicy::Pinned))).unwrap();
    world.run();
    let events = world.take_events(juliet);
    let Some(Event::Incoming(incoming)) = events.into_iter().next() else { panic!("an offer") };
    let options = xml(TrustPolicy::Pinned);
    let slip = world.with(romeo, |engine, now| engine.accept(now, incoming, options));
    assert_eq!(slip.unwrap_err(), AcceptError::OtherEngine);
    assert!(world.with(juliet, |engine, _| engine.tunnel(here).is_none()), "the number may be the same");
    assert!(world.with(romeo, |engine, _| engine.tunnel(here).is_some()));
    // Nobody has decided on the offer: it rings until it is declined.
    world.run_for(301 * SECOND);
    let end = closed(&mut world, romeo);
    assert!(!end.security && end.by != EndedBy::Local, "{end:?}");
    assert!(matches!(&*world.take_events(juliet), [Event::IncomingGone { .. }]));
    assert!(errors(&world, JULIET, ROMEO).is_empty());
}
