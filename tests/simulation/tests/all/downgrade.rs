//! A peer that was secured before is not taken for less (draft § 8.3).
use crate::common::{
    JULIET, ROMEO, closed,
    password::{action, by_word, meet, secured, strangers, word},
    raw, sent_data, terminations,
};
use xtls::{
    Fault, TrustPolicy, TunnelOptions,
    error::{InitiateError, Missing, TermsError},
    trust::{Authentication, Fingerprint, Method, Pin, TrustStore as _},
};
use xtls_stanza::{Condition, StanzaError};
use xtls_testkit::{EntityId, Fate, World};

/// Two entities that this method has secured before, in both stores.
fn acquaintances(seed: u8, methods: &[Method]) -> (World, [EntityId; 2]) {
    let (mut world, ends) = strangers(seed);
    if methods.contains(&Method::Srp) {
        let tunnels = meet(&mut world, ends, by_word(), by_word());
        end(&mut world, ends, tunnels);
    }
    if methods.contains(&Method::X509) {
        world.introduce(ends[0], ends[1]);
        let tunnels = meet(&mut world, ends, raw(TrustPolicy::Pinned), raw(TrustPolicy::Pinned));
        end(&mut world, ends, tunnels);
    }
    let peer = world.jid(ends[1]).to_bare();
    assert_eq!(world.with_store(ends[0], |store| store.record(&peer).unwrap().secured_by.len()), methods.len());
    (world, ends)
}

fn end(world: &mut World, ends: [EntityId; 2], tunnels: [xtls::TunnelId; 2]) {
    world.with(ends[0], |engine, now| engine.tunnel(tunnels[0]).unwrap().close(now));
    world.run_for(crate::common::SECOND);
    for id in ends {
        assert!(closed(world, id).secured);
    }
}

/// Replaces a text in every stanza that contains `within`.
fn replace(world: &mut World, within: &'static str, what: &'static str, by: &'static str) {
    world.relay.meddle(move |sent| {
        if sent.stanza.contains(within) { Fate::Replace(vec![sent.stanza.replace(what, by)]) } else { Fate::Pass }
    });
}

fn missing(world: &mut World, id: EntityId) -> Missing {
    let end = closed(world, id);
    assert!(end.security && !end.secured, "{end:?}");
    match end.fault {
        Some(Fault::Downgraded { missing }) => missing,
        other => panic!("{other:?}"),
    }
}

fn offer(world: &mut World, [romeo, juliet]: [EntityId; 2], options: TunnelOptions) {
    let peer = world.jid(juliet).clone();
    world.with(romeo, |engine, now| engine.initiate(now, peer, options)).unwrap();
    world.run();
}

#[test]
fn m26_features_without_xtls_are_a_downgrade_for_whom_it_was_there_before() {
    for (acquainted, options) in [(true, by_word()), (false, by_word())] {
        let (mut world, ends) = if acquainted { acquaintances(1, &[Method::Srp]) } else { strangers(1) };
        let before = sent_data(&world, ROMEO, JULIET);
        world.relay.meddle(|sent| {
            let stripped = sent.stanza.replace("urn:xmpp:jingle:security:xtls", "urn:example:other");
            Fate::Replace(vec![stripped])
        });
        offer(&mut world, ends, options);
        if acquainted {
            assert_eq!(missing(&mut world, ends[0]), Missing::Support);
        } else {
            assert!(matches!(closed(&mut world, ends[0]).fault, Some(Fault::PeerLacksXtls)));
        }
        assert_eq!(sent_data(&world, ROMEO, JULIET), before);
    }
}

#[test]
fn a_peer_that_cannot_be_asked_is_unreachable_and_nothing_else() {
    for condition in [Condition::ServiceUnavailable, Condition::RecipientUnavailable, Condition::ItemNotFound] {
        let (mut world, ends) = acquaintances(3, &[Method::Srp]);
        world.relay.meddle(move |sent| {
            if sent.stanza.contains("disco#info") {
                return Fate::Bounce(StanzaError::new(condition));
            }
            Fate::Pass
        });
        offer(&mut world, ends, by_word());
        let end = closed(&mut world, ends[0]);
        assert!(matches!(end.fault, Some(Fault::Unreachable { .. })) && !end.security, "{end:?}");
    }
}

#[test]
fn m02_an_answer_without_security_is_a_downgrade_and_ends_in_security_error() {
    let (mut world, ends) = acquaintances(5, &[Method::X509]);
    world.relay.meddle(|sent| {
        if !action(&sent.stanza, "session-accept") {
            return Fate::Pass;
        }
        let (start, end) = (sent.stanza.find("<security").unwrap(), sent.stanza.find("</security>").unwrap());
        let mut stanza = sent.stanza.clone();
        stanza.replace_range(start..end + "</security>".len(), "");
        Fate::Replace(vec![stanza])
    });
    let before = sent_data(&world, ROMEO, JULIET);
    meet(&mut world, ends, raw(TrustPolicy::Pinned), raw(TrustPolicy::Pinned));
    assert_eq!(missing(&mut world, ends[0]), Missing::Security);
    assert_eq!(terminations(&world, ROMEO, JULIET).last().map(String::as_str), Some("security-error"));
    assert_eq!(sent_data(&world, ROMEO, JULIET), before);
}

#[test]
fn m03_the_method_that_has_secured_a_peer_is_missed_in_its_offer_and_its_answer() {
    for (method, stripped) in [(Method::Srp, "<method name='srp'/>"), (Method::X509, "<method name='x509'/>")] {
        // A pin that was given up leaves the memory of the method alone.
        let options = raw(TrustPolicy::Ask).with_password(word());
        for message in ["session-initiate", "session-accept"] {
            let (mut world, ends) = acquaintances(7, &[method]);
            let before = sent_data(&world, ROMEO, JULIET);
            replace(&mut world, message, stripped, "");
            offer(&mut world, ends, options.clone());
            world.accept(ends[1], options.clone());
            world.run();
            let judge = if message == "session-initiate" { ends[1] } else { ends[0] };
            assert_eq!(missing(&mut world, judge), Missing::Methods(vec![method]), "{message}");
            assert_eq!(sent_data(&world, ROMEO, JULIET), before);
            assert!(closed(&mut world, ends[usize::from(judge == ends[0])]).security);

            // Whoever is told that this is meant may go on.
            let mut allowed = options.clone();
            allowed.terms.allow_downgrade = true;
            if method == Method::X509 {
                meet(&mut world, ends, allowed.clone(), allowed);
                for id in ends {
                    assert_eq!(secured(&mut world, id).authenticated_by, Authentication::Password);
                }
            }
        }
    }
}

#[test]
fn one_of_several_known_methods_is_enough_and_so_is_a_pin() {
    for stripped in ["<method name='srp'/>", "<method name='x509'/>"] {
        let (mut world, ends) = acquaintances(9, &[Method::Srp, Method::X509]);
        replace(&mut world, "session-initiate", stripped, "");
        meet(&mut world, ends, by_word(), by_word());
        secured(&mut world, ends[0]);
    }
    // By a password before, and then somebody has compared the fingerprints.
    let (mut world, ends) = acquaintances(11, &[Method::Srp]);
    world.introduce(ends[0], ends[1]);
    meet(&mut world, ends, raw(TrustPolicy::Pinned), raw(TrustPolicy::Pinned));
    assert_eq!(secured(&mut world, ends[0]).authenticated_by, Authentication::Pinned);
}

#[test]
fn no_leap_of_faith_is_taken_to_a_peer_that_a_password_has_secured() {
    let (mut world, ends) = acquaintances(13, &[Method::Srp]);
    let [romeo, juliet] = ends.map(|id| world.jid(id).clone());
    let leap = || raw(TrustPolicy::LeapOfFaith);
    // A method that cannot succeed is not offered (draft § 3).
    let slip = world.with(ends[0], |engine, now| engine.initiate(now, juliet.clone(), leap()));
    assert_eq!(slip, Err(InitiateError::Terms(TermsError::Downgraded)));
    let slip = world.with(ends[1], |engine, now| engine.initiate(now, romeo, leap()));
    assert_eq!(slip, Err(InitiateError::Terms(TermsError::Downgraded)));
    // Nor is one taken from who has forgotten.
    world.with_store(ends[0], |store| assert!(store.remove(&juliet.to_bare())));
    offer(&mut world, ends, leap());
    world.accept(ends[1], leap());
    world.run();
    assert_eq!(missing(&mut world, ends[1]), Missing::Proof);
    assert!(closed(&mut world, ends[0]).security);
}

#[test]
fn a_password_that_stands_in_for_a_changed_certificate_names_the_change() {
    let (mut world, ends) = strangers(15);
    let old = Pin::manual(Fingerprint::sha256(b"the old certificate"));
    let peer = world.jid(ends[1]).to_bare();
    world.with_store(ends[0], |store| store.pin(&peer, old));
    meet(&mut world, ends, by_word(), by_word());
    let here = secured(&mut world, ends[0]);
    assert_eq!(here.authenticated_by, Authentication::Password);
    assert_eq!(here.changed_from, [old.fingerprint]);
    assert!(secured(&mut world, ends[1]).changed_from.is_empty(), "nothing was known of Romeo");
}
