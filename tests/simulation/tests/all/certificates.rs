//! Certificates asked for inside of a tunnel, between two engines (draft-meyer-xmpp-e2e-encryption-02 § 5.1).
use crate::common::{
    ROMEO,
    password::{meet, secured, strangers, word},
    xml,
};
use xtls::{
    Event, TrustPolicy, TunnelId,
    event::{CertificatesFault, ReceivedCertificate},
};
use xtls_testkit::{EntityId, Fate, World};

/// Two strangers with an XML stream by a word that both know, under this meddler.
fn by_word(
    seed: u8,
    meddler: impl FnMut(&xtls_testkit::Passed) -> Fate + 'static,
) -> (World, [EntityId; 2], [TunnelId; 2]) {
    let (mut world, ends) = strangers(seed);
    world.relay.meddle(meddler);
    let options = || xml(TrustPolicy::Pinned).with_password(word());
    let tunnels = meet(&mut world, ends, options(), options());
    for end in ends {
        secured(&mut world, end);
    }
    (world, ends, tunnels)
}

/// Asks, and gives what comes of it.
fn ask(world: &mut World, end: EntityId, tunnel: TunnelId) -> Result<Vec<ReceivedCertificate>, Box<CertificatesFault>> {
    world.with(end, |engine, now| engine.tunnel(tunnel).unwrap().request_certificates(now)).unwrap();
    world.run();
    match <[Event; 1]>::try_from(world.take_events(end)) {
        Ok([Event::CertificatesReceived { id, result }]) if id == tunnel => result,
        other => panic!("one answer: {other:?}"),
    }
}

/// The one certificate that came is this entity's.
fn is_of(world: &World, received: &[ReceivedCertificate], of: EntityId) -> bool {
    let [one] = received else { panic!("one: {received:?}") };
    one.held && one.certificate.der() == world.identity(of).certificate()
}

#[test]
fn both_ends_of_a_tunnel_by_certificates_give_the_one_they_showed() {
    let (mut world, [romeo, juliet], [here, there]) = crate::common::streaming(41);
    let received = ask(&mut world, romeo, here).unwrap();
    assert!(is_of(&world, &received, juliet));
    let received = ask(&mut world, juliet, there).unwrap();
    assert!(is_of(&world, &received, romeo));
}

/// Draft § 5: after a password, certificates are exchanged for later. Nothing is pinned by that alone.
#[test]
fn both_ends_of_a_tunnel_by_password_give_the_one_they_announced() {
    let (mut world, [romeo, juliet], [here, there]) = by_word(43, |_| Fate::Pass);
    for (end, tunnel, peer) in [(romeo, here, juliet), (juliet, there, romeo)] {
        let received = ask(&mut world, end, tunnel).unwrap();
        assert!(is_of(&world, &received, peer));
        let peer = world.jid(peer).to_bare();
        world.with_store(end, |store| {
            use xtls::trust::TrustStore as _;
            assert!(store.record(&peer).unwrap().pins.is_empty());
        });
    }
}

/// 2.13: a server that altered the announcement kept the word from nobody, but what it announced is not what comes.
#[test]
fn wire_2_13_a_certificate_that_was_not_announced_is_not_taken() {
    for (action, victim) in [("session-initiate", 1), ("session-accept", 0)] {
        for algo in ["sha1", "sha-256"] {
            let (mut world, ends, tunnels) = by_word(45, move |passed| {
                let mark = format!("<fingerprint algo='{algo}'>");
                match passed.stanza.split_once(&mark).filter(|_| passed.stanza.contains(action)) {
                    Some((before, after)) => {
                        let digit = if after.starts_with('0') { "1" } else { "0" };
                        Fate::Replace(vec![format!("{before}{mark}{digit}{}", &after[1..])])
                    }
                    None => Fate::Pass,
                }
            });
            let fault = ask(&mut world, ends[victim], tunnels[victim]).unwrap_err();
            let peer = world.identity(ends[1 - victim]).fingerprint_sha256();
            assert!(
                matches!(*fault, CertificatesFault::NotAnnounced { presented, .. } if presented == peer),
                "{fault}"
            );
            // The other one is not deceived, and the tunnel goes on.
            let received = ask(&mut world, ends[1 - victim], tunnels[1 - victim]).unwrap();
            assert!(is_of(&world, &received, ends[victim]));
        }
    }
}

/// 2.13: "if it was announced".
#[test]
fn wire_2_13_where_nothing_was_announced_the_tunnel_vouches_for_what_comes() {
    let (mut world, ends, tunnels) = by_word(47, |passed| {
        let mut stanza = passed.stanza.clone();
        while let (Some(start), Some(end)) = (stanza.find("<fingerprint"), stanza.find("</fingerprint>")) {
            stanza.replace_range(start..end + "</fingerprint>".len(), "");
        }
        if stanza == passed.stanza { Fate::Pass } else { Fate::Replace(vec![stanza]) }
    });
    for (end, other) in [(0, 1), (1, 0)] {
        let received = ask(&mut world, ends[end], tunnels[end]).unwrap();
        assert!(is_of(&world, &received, ends[other]));
    }
}

/// Both may ask at once; and what they say to one another meanwhile keeps its order.
#[test]
fn questions_cross_like_any_stanza() {
    let (mut world, ends, tunnels) = crate::common::streaming(49);
    for (end, tunnel) in ends.into_iter().zip(tunnels) {
        crate::common::send(&mut world, end, tunnel, "one").unwrap();
        world.with(end, |engine, now| engine.tunnel(tunnel).unwrap().request_certificates(now)).unwrap();
        crate::common::send(&mut world, end, tunnel, "two").unwrap();
    }
    world.run();
    for end in ends {
        let events = world.take_events(end);
        assert_eq!(crate::common::bodies(&events), ["one", "two"]);
        assert_eq!(events.len(), 3);
        assert!(matches!(&events[2], Event::CertificatesReceived { result: Ok(_), .. }), "{events:?}");
    }
    assert!(world.relay.log().iter().all(|passed| !passed.stanza.contains("pubkeys")), "nothing of it shows outside");
    assert!(world.relay.log().iter().any(|passed| passed.from == ROMEO));
}
