//! Certificates that an authority vouches for, beside pins (RFC 6120 § 13.7), and what dates mean.
use std::sync::Arc;

use crate::common::{
    JULIET, ROMEO, SECOND, ca,
    ca::Ca,
    closed,
    password::{secured, word},
    raw, sent_data,
};
use xtls::{
    Event, Fault, Identity, TrustDecision, TrustPolicy, TunnelOptions,
    error::{InitiateError, TermsError},
    trust::{Authentication, Authorities, Fingerprint, Method, Pin, TrustStore as _},
};
use xtls_testkit::{EntityId, EntityOptions, World};

const BARE_ROMEO: &str = "romeo@montague.lit";
const BARE_JULIET: &str = "juliet@capulet.lit";

fn by_authority() -> TunnelOptions {
    raw(TrustPolicy::Authorities)
}

/// Two entities with these certificates; Romeo, who offers, believes these authorities, and so does Juliet.
fn world(romeo: Identity, juliet: Identity, trusted: &Arc<Authorities>) -> (World, [EntityId; 2]) {
    let mut world = World::default();
    world.relay.keep_log();
    let ends = [(ROMEO, romeo), (JULIET, juliet)].map(|(jid, identity)| {
        let mut options = EntityOptions::seeded(1);
        options.identity = Some(identity);
        options.real_cryptography = true;
        options.authorities = Some(Arc::clone(trusted));
        world.add(jid, options)
    });
    (world, ends)
}

/// Offers and accepts, if it comes to that.
fn meet(world: &mut World, [romeo, juliet]: [EntityId; 2], options: &TunnelOptions) {
    let peer = world.jid(juliet).clone();
    world.with(romeo, |engine, now| engine.initiate(now, peer, options.clone())).unwrap();
    world.run();
    world.accept(juliet, options.clone());
    world.run();
}

/// Both ends refuse, and nothing is remembered.
fn refused(world: &mut World, ends: [EntityId; 2]) -> [crate::common::Ended; 2] {
    world.run_for(10 * SECOND);
    for (id, peer) in [(ends[0], ends[1]), (ends[1], ends[0])] {
        let peer = world.jid(peer).to_bare();
        assert!(!world.with_store(id, |store| store.record(&peer).unwrap().secured_before()));
    }
    ends.map(|id| {
        let end = closed(world, id);
        assert!(end.security && !end.secured, "{end:?}");
        end
    })
}

#[test]
fn rfc_6120_13_7_whoever_an_authority_vouches_for_is_secured_and_not_pinned() {
    let ca = Ca::new();
    let (mut world, ends) = world(ca.issue(BARE_ROMEO), ca.issue(BARE_JULIET), &ca.trusted);
    meet(&mut world, ends, &by_authority());
    for (id, peer) in [(ends[0], ends[1]), (ends[1], ends[0])] {
        let security = secured(&mut world, id);
        assert_eq!((security.method, security.authenticated_by), (Method::X509, Authentication::Authority));
        assert!(security.confirmed && !security.out_of_date && security.changed_from.is_empty());
        let peer = world.jid(peer).to_bare();
        let record = world.with_store(id, |store| store.record(&peer).unwrap());
        assert!(record.pins.is_empty() && record.secured_by == [Method::X509], "{record:?}");
    }
}

#[test]
fn rfc_6120_13_7_1_4_an_authority_vouches_for_the_address_it_names_and_for_no_other() {
    let ca = Ca::new();
    for (romeo, juliet) in [
        (ca.issue(BARE_ROMEO), ca.issue("nurse@capulet.lit")),
        (ca.issue(BARE_ROMEO), ca.issue("capulet.lit")),
        (ca.issue(BARE_ROMEO), ca.issue(JULIET)),
        (ca.issue("mercutio@verona.lit"), ca.issue(BARE_JULIET)),
    ] {
        let (mut world, ends) = world(romeo, juliet, &ca.trusted);
        meet(&mut world, ends, &by_authority());
        let [here, there] = refused(&mut world, ends);
        assert!([&here, &there].iter().any(|end| end.said.contains("issued for somebody else")), "{here:?} {there:?}");
    }
}

#[test]
fn dates_and_strangers_are_refused_where_authorities_count() {
    let (ca, other) = (Ca::new(), Ca::named("another authority"));
    for (juliet, why) in [
        (ca.issue_expired(BARE_JULIET), "has expired"),
        (other.issue(BARE_JULIET), "no authority that is trusted"),
        (ca::expired_self_signed(BARE_JULIET), "has expired"),
    ] {
        let (mut world, ends) = world(ca.issue(BARE_ROMEO), juliet, &ca.trusted);
        meet(&mut world, ends, &by_authority());
        let [here, _] = refused(&mut world, ends);
        assert!(here.said.contains(why), "{}", here.said);
    }
}

#[test]
fn a_peer_with_a_pin_is_judged_by_it_alone_whoever_vouches_for_it() {
    let ca = Ca::new();
    // Another key than the pinned one, and a valid certificate for the address.
    let (mut world, ends) = world(ca.issue(BARE_ROMEO), ca.issue(BARE_JULIET), &ca.trusted);
    let old = Pin::manual(Fingerprint::sha256(b"the old certificate"));
    let peer = world.jid(ends[1]).to_bare();
    world.with_store(ends[0], |store| store.pin(&peer, old));
    meet(&mut world, ends, &by_authority());
    let [here, _] = refused(&mut world, ends);
    assert!(matches!(here.fault, Some(Fault::CertificateChanged { .. })), "{here:?}");
    // By a weaker digest it is the engine that judges, and not TLS.
    let weak = Pin::manual(Fingerprint::sha1(b"the old certificate"));
    world.with_store(ends[0], |store| {
        store.remove(&peer);
        store.pin(&peer, weak);
    });
    meet(&mut world, ends, &by_authority());
    let [here, _] = refused(&mut world, ends);
    assert!(matches!(here.fault, Some(Fault::CertificateChanged { .. })), "{here:?}");
}

#[test]
fn a_pinned_peer_needs_no_authority_and_no_dates() {
    let ca = Ca::new();
    let (romeo, juliet) = (ca::expired_self_signed("nobody@verona.lit"), ca::expired_self_signed("else@verona.lit"));
    let (mut world, ends) = world(romeo, juliet, &ca.trusted);
    world.introduce(ends[0], ends[1]);
    meet(&mut world, ends, &by_authority());
    for id in ends {
        let security = secured(&mut world, id);
        assert_eq!(security.authenticated_by, Authentication::Pinned);
        assert!(security.out_of_date, "it is told");
    }
}

#[test]
fn a_pin_that_is_taken_away_during_the_handshake_is_not_made_up_for_by_the_policy() {
    let ca = Ca::new();
    let (mut world, ends) = world(ca.issue(BARE_ROMEO), ca.issue(BARE_JULIET), &ca.trusted);
    let (peer, full) = (world.jid(ends[1]).to_bare(), world.jid(ends[1]).clone());
    world.trust(ends[1], ends[0]);
    // A weak pin leaves the judgement to the engine: TLS follows no chain.
    let weak = world.identity(ends[1]).fingerprint(xtls::trust::HashAlgo::Sha1).unwrap();
    world.with_store(ends[0], |store| store.pin(&peer, Pin::manual(weak)));
    let tunnel = world.with(ends[0], |engine, now| engine.initiate(now, full, by_authority())).unwrap();
    world.run();
    world.accept(ends[1], by_authority());
    // The ClientHello is out.
    while sent_data(&world, ROMEO, JULIET) == 0 {
        world.run_for(std::time::Duration::from_millis(10));
    }
    assert!(world.with(ends[0], |engine, _| engine.tunnel(tunnel).is_some()));
    world.with_store(ends[0], |store| store.remove(&peer));
    world.run_for(10 * SECOND);
    let end = closed(&mut world, ends[0]);
    assert!(matches!(end.fault, Some(Fault::NotTrusted { .. })) && !end.secured, "{end:?}");
}

#[test]
fn expiry_counts_at_the_handshake_and_not_later() {
    let ca = Ca::new();
    let (mut world, ends) = world(ca.issue(BARE_ROMEO), ca.issue(BARE_JULIET), &ca.trusted);
    meet(&mut world, ends, &by_authority());
    for id in ends {
        secured(&mut world, id);
    }
    world.run_for(2 * u32::try_from(ca::HOUR).unwrap() * SECOND);
    for id in ends {
        assert!(world.take_events(id).is_empty(), "the tunnel stays");
    }
    meet(&mut world, ends, &by_authority());
    world.run_for(10 * SECOND);
    let end = closed(&mut world, ends[0]);
    assert!(end.said.contains("has expired"), "{}", end.said);
}

#[test]
fn a_leap_of_faith_is_not_taken_to_an_expired_certificate_and_a_person_may_take_it() {
    let (romeo, juliet) = (ca::expired_self_signed(BARE_ROMEO), ca::expired_self_signed(BARE_JULIET));
    let (mut first, ends) = world(romeo.clone(), juliet.clone(), &Ca::new().trusted);
    first.trust(ends[1], ends[0]);
    meet(&mut first, ends, &raw(TrustPolicy::LeapOfFaith));
    let end = closed(&mut first, ends[0]);
    assert!(matches!(end.fault, Some(Fault::OutOfDate { .. })) && end.security, "{end:?}");

    let (mut second, ends) = world(romeo, juliet, &Ca::new().trusted);
    second.trust(ends[1], ends[0]);
    let full = second.jid(ends[1]).clone();
    let tunnel = second.with(ends[0], |engine, now| engine.initiate(now, full, raw(TrustPolicy::Ask))).unwrap();
    second.run();
    second.accept(ends[1], raw(TrustPolicy::Pinned));
    second.run();
    let events = second.take_events(ends[0]);
    let [Event::TrustRequired { question, .. }] = &*events else { panic!("{events:?}") };
    assert!(question.certificate.is_expired(xtls_testkit::unix(1_767_225_600)), "the user sees it");
    second.with(ends[0], |engine, now| engine.tunnel(tunnel).unwrap().trust(now, TrustDecision::Accept)).unwrap();
    second.run();
    let security = secured(&mut second, ends[0]);
    assert!(security.authenticated_by == Authentication::Approved && security.out_of_date);
}

#[test]
fn a_password_goes_before_the_authorities_and_nothing_is_offered_without_any() {
    let ca = Ca::new();
    let (mut both, ends) = world(ca.issue(BARE_ROMEO), ca.issue(BARE_JULIET), &ca.trusted);
    meet(&mut both, ends, &by_authority().with_password(word()));
    assert_eq!(secured(&mut both, ends[0]).authenticated_by, Authentication::Password);

    let mut world = World::default();
    let romeo = world.add(ROMEO, EntityOptions::seeded(3));
    let juliet = JULIET.parse().unwrap();
    let slip = world.with(romeo, |engine, now| engine.initiate(now, juliet, by_authority()));
    assert_eq!(slip.unwrap_err(), InitiateError::Terms(TermsError::NoAuthorities));
}
