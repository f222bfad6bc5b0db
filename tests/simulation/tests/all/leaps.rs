//! Leaps of faith side by side: with one account only one certificate can be the first one seen.
use crate::common::{JULIET, ROMEO, SECOND, closed, raw, raw_without_hash, read, sent_data, terminations, write};
use xtls::{
    Event, Fault, TrustDecision, TrustPolicy, TunnelId,
    tls::TlsErrorKind,
    trust::{Authentication, Fingerprint, Learned, Pin, TrustStore as _},
};
use xtls_testkit::{EntityId, EntityOptions, World};

const CHAMBER: &str = "juliet@capulet.lit/chamber";

/// Romeo, and Juliet at two resources, with the same certificate or with two.
fn world(same: bool) -> (World, EntityId, [EntityId; 2]) {
    let mut world = World::default();
    world.relay.keep_log();
    let romeo = world.add(ROMEO, EntityOptions::seeded(1));
    let balcony = world.add(JULIET, EntityOptions::seeded(2));
    let mut options = EntityOptions::seeded(3);
    options.identity = same.then(|| world.identity(balcony).clone());
    let chamber = world.add(CHAMBER, options);
    (world, romeo, [balcony, chamber])
}

fn offer(world: &mut World, from: EntityId, to: EntityId) -> TunnelId {
    offer_of(world, from, to, raw(TrustPolicy::LeapOfFaith))
}

fn offer_of(world: &mut World, from: EntityId, to: EntityId, options: xtls::TunnelOptions) -> TunnelId {
    let peer = world.jid(to).clone();
    world.with(from, |engine, now| engine.initiate(now, peer, options)).unwrap()
}

/// Without the times since when they are trusted, which those have that were leapt to.
fn pins(world: &World, id: EntityId) -> Vec<Pin> {
    let juliet = JULIET.split('/').next().unwrap().parse().unwrap();
    let pins = world.with_store(id, |store| store.record(&juliet).unwrap().pins);
    assert!(pins.iter().all(|pin| pin.since.is_some() == (pin.learned == Learned::LeapOfFaith)), "{pins:?}");
    pins.iter().map(|pin| Pin::new(pin.fingerprint, pin.learned)).collect()
}

/// Romeo's events, after he has leapt to both at once, or they to him.
fn side_by_side(same: bool, romeo_offers: bool) -> (World, EntityId, [EntityId; 2], Vec<Event>) {
    let (mut world, romeo, juliets) = world(same);
    for juliet in juliets {
        let (from, to) = if romeo_offers { (romeo, juliet) } else { (juliet, romeo) };
        offer(&mut world, from, to);
    }
    world.run();
    let leap = raw(TrustPolicy::LeapOfFaith);
    if romeo_offers {
        assert!(juliets.into_iter().all(|id| world.accept(id, leap.clone()).is_some()));
    } else {
        assert!((0..2).all(|_| world.accept(romeo, leap.clone()).is_some()));
    }
    world.run();
    let events = world.take_events(romeo);
    (world, romeo, juliets, events)
}

#[test]
fn of_two_leaps_side_by_side_to_different_certificates_one_counts_and_the_other_finds_a_changed_one() {
    for romeo_offers in [true, false] {
        let (world, romeo, juliets, events) = side_by_side(false, romeo_offers);
        let secured: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                Event::Secured { security, .. } => Some(security),
                _ => None,
            })
            .collect();
        let [security] = secured[..] else { panic!("one of them: {events:?}") };
        assert_eq!(security.authenticated_by, Authentication::LeapOfFaith);
        let first = security.certificate.as_ref().unwrap().fingerprint_sha256();
        assert_eq!(pins(&world, romeo), [Pin::new(first, Learned::LeapOfFaith)]);
        let fault = events.iter().find_map(|event| match event {
            Event::Closed(end) => match &end.reason {
                xtls::CloseReason::Fault(fault) => Some(fault),
                _ => None,
            },
            _ => None,
        });
        let Some(Fault::CertificateChanged { presented, pinned }) = fault.map(|fault| &**fault) else {
            panic!("{events:?}")
        };
        let mut shown = [*presented, Some(first)];
        let mut theirs = juliets.map(|id| Some(world.identity(id).fingerprint_sha256()));
        shown.sort();
        theirs.sort();
        assert_eq!((shown, pinned.as_slice()), (theirs, &[first][..]));
    }
}

#[test]
fn two_leaps_side_by_side_to_the_same_certificate_both_stand() {
    for romeo_offers in [true, false] {
        let (world, romeo, juliets, events) = side_by_side(true, romeo_offers);
        let [Event::Secured { security: one, .. }, Event::Secured { security: other, .. }] = &*events else {
            panic!("{events:?}")
        };
        assert!(one.confirmed && other.confirmed);
        let by = [one.authenticated_by, other.authenticated_by];
        assert_eq!(by, [Authentication::LeapOfFaith, Authentication::Pinned], "the second one found the pin");
        let fingerprint = world.identity(juliets[0]).fingerprint_sha256();
        assert_eq!(pins(&world, romeo), [Pin::new(fingerprint, Learned::LeapOfFaith)]);
    }
}

/// Juliet is asked, so that Romeo waits for her to accept him, and goes on without after a while; meanwhile somebody else pins
/// another certificate of hers.
#[test]
fn nothing_is_read_from_a_peer_whose_certificate_turned_out_to_be_another_one() {
    for waits in [false, true] {
        let (mut world, romeo, [juliet, _]) = world(true);
        let here = offer(&mut world, romeo, juliet);
        world.run();
        let there = world.accept(juliet, raw(TrustPolicy::Ask)).unwrap();
        world.run();
        if !waits {
            world.run_for(4 * SECOND);
            let events = world.take_events(romeo);
            assert!(matches!(&*events, [Event::Secured { security, .. }] if !security.confirmed), "{events:?}");
        }
        let pin = Pin::manual(Fingerprint::sha256(b"another certificate of hers"));
        let peer = world.jid(juliet).to_bare();
        world.with_store(romeo, |store| store.pin(&peer, pin));
        world.with(juliet, |engine, now| engine.tunnel(there).unwrap().trust(now, TrustDecision::Accept)).unwrap();
        assert_eq!(write(&mut world, juliet, there, b"but soft"), 8);
        world.run();
        assert!(read(&mut world, romeo, here).is_empty());
        let end = closed(&mut world, romeo);
        assert!(matches!(end.fault, Some(Fault::CertificateChanged { .. })) && !end.secured, "{end:?}");
        assert_eq!(pins(&world, romeo), [pin]);
        assert_eq!(terminations(&world, ROMEO, JULIET), ["security-error"]);
        // RFC 8446 § 6.2: the alert is there before the session ends.
        let end = closed(&mut world, juliet);
        let Some(Fault::Tls(error)) = &end.fault else { panic!("{end:?}") };
        assert!(matches!(error.kind(), TlsErrorKind::AlertReceived(alert) if alert.name() == "certificate_unknown"));
        assert!(end.security);
    }
}

#[test]
fn nothing_more_is_sent_to_a_peer_whose_certificate_turned_out_to_be_another_one() {
    let (mut world, romeo, [juliet, _]) = world(true);
    let here = offer_of(&mut world, romeo, juliet, raw_without_hash(TrustPolicy::LeapOfFaith));
    world.run();
    let there = world.accept(juliet, raw_without_hash(TrustPolicy::Ask)).unwrap();
    world.run_for(4 * SECOND);
    // Under the description with the hash nothing is taken yet. More than is sent before acknowledgements come.
    assert!(write(&mut world, romeo, here, &[7; 1 << 20]) > 100_000);
    world.run();
    let pin = Pin::manual(Fingerprint::sha256(b"another certificate of hers"));
    let peer = world.jid(juliet).to_bare();
    world.with_store(romeo, |store| store.pin(&peer, pin));
    let before = sent_data(&world, ROMEO, JULIET);
    world.with(juliet, |engine, now| engine.tunnel(there).unwrap().trust(now, TrustDecision::Accept)).unwrap();
    world.run();
    let end = closed(&mut world, romeo);
    assert!(matches!(end.fault, Some(Fault::CertificateChanged { .. })) && end.unacked > 100_000, "{end:?}");
    assert_eq!(sent_data(&world, ROMEO, JULIET), before);
}
