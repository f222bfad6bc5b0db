//! Certificates asked for inside of a tunnel, between two engines (draft-meyer-xmpp-e2e-encryption-02 § 5.1).
use crate::common::{
    JULIET, ROMEO, base64, errors,
    password::{WORD, meet, secured, strangers, word},
    script::{self, Script},
    xml,
};
use xtls::{
    Disposition, Event, TrustPolicy, TunnelId,
    event::{CertificatesFault, ReceivedCertificate},
    trust::Fingerprint,
};
use xtls_testkit::{EntityId, Fate, World, provider};
use xtls_tls::{SrpConfig, SrpCredentials, TlsSession};

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

/// A peer of before the negotiation hash, whom a script plays, with a stream by a word that both know. In its offer stands this
/// in the place of its fingerprints. It gives its certificate to who asks.
fn asked_by_word(seed: u8, announced: &[Fingerprint]) -> Result<Vec<ReceivedCertificate>, Box<CertificatesFault>> {
    let mut script = Script::new(seed);
    let security = script::security(announced, &["srp"]);
    assert_eq!(script.set(&script::offer("s1", "b1", 4096, &security)).as_deref(), Some("result"));
    let tunnel = script.world.accept(script.juliet, xml(TrustPolicy::Pinned).with_password(word())).unwrap();
    script.settle();
    assert_eq!(script.set(&script::info("s1", &["srp"])).as_deref(), Some("result"));
    assert_eq!(script.set(&script::open("b1", "4096")).as_deref(), Some("result"));
    let config = SrpConfig::new(SrpCredentials::new("mallory@verona.lit", WORD).unwrap(), provider::deterministic());
    let mut hello = Vec::new();
    let mut random = provider::Entity::numbered(98);
    script.tls = Some(random.enter(|| TlsSession::srp_client(&config, &mut hello)).unwrap());
    script.block(&hello);
    let (_, key) = script.tls_read();
    script.block(&key);
    script.tls_read();
    script.say(script::HEADER);
    let juliet = script.juliet;
    assert!(script.world.take_events(juliet).iter().any(|event| matches!(event, Event::StreamOpened { .. })));
    script.world.with(juliet, |engine, now| engine.tunnel(tunnel).unwrap().request_certificates(now)).unwrap();
    script.settle();
    let asked = String::from_utf8(script.tls_read().0).unwrap();
    let id = asked.split(" id='").nth(1).unwrap().split('\'').next().unwrap();
    let der = base64(script.identity.certificate());
    script.say(&format!(
        "<iq type='result' id='{id}'><pubkeys xmlns='urn:xmpp:pubkey:0'><keyinfo><x509cert>{der}</x509cert></keyinfo>\
         </pubkeys></iq>"
    ));
    match <[Event; 1]>::try_from(script.world.take_events(juliet)) {
        Ok([Event::CertificatesReceived { id, result }]) if id == tunnel => result,
        other => panic!("one answer: {other:?}"),
    }
}

/// 2.13: a server that altered the announcement kept the word from nobody, but what it announced is not what comes.
#[test]
fn wire_2_13_a_certificate_that_was_not_announced_is_not_taken() {
    for other in [Fingerprint::sha1(b"another"), Fingerprint::sha256(b"another")] {
        let fault = asked_by_word(45, &[other]).unwrap_err();
        let presented = Script::new(45).identity.fingerprint_sha256();
        assert!(
            matches!(*fault, CertificatesFault::NotAnnounced { presented: one, .. } if one == presented),
            "{fault}"
        );
    }
}

/// 2.13: "if it was announced".
#[test]
fn wire_2_13_where_nothing_was_announced_the_tunnel_vouches_for_what_comes() {
    let presented = Script::new(47).identity.fingerprint_sha256();
    for announced in [&[][..], &[presented]] {
        let received = asked_by_word(47, announced).unwrap();
        assert_eq!(received.len(), 1);
        assert_eq!(received[0].certificate.fingerprint_sha256(), presented);
    }
}

/// Over the server's stream nobody is given a certificate, and none that comes there is taken; and what comes inside is pinned by
/// nobody but the user.
#[test]
fn p27_certificates_come_inside_of_the_tunnel_alone_and_are_stored_by_the_user_alone() {
    let (mut world, [romeo, juliet], [here, _]) = by_word(51, |_| Fate::Pass);
    let ask = format!("<iq type='get' id='q' from='{ROMEO}' to='{JULIET}'><pubkeys xmlns='urn:xmpp:pubkey:0'/></iq>");
    let Disposition::Unclaimed(refusal) = world.deliver(juliet, &ask) else { panic!("it is not left unclaimed") };
    world.with(juliet, |engine, now| engine.refuse(now, refusal));
    world.run();
    assert_eq!(errors(&world, JULIET, ROMEO), ["service-unavailable"]);
    // Romeo asks inside. The server answers outside, with a certificate of its own and under any id.
    world.with(romeo, |engine, now| engine.tunnel(here).unwrap().request_certificates(now)).unwrap();
    let own = provider::identity(&"juliet@capulet.lit".parse().unwrap(), [66; 32], 1_767_225_600);
    let forged = format!(
        "<pubkeys xmlns='urn:xmpp:pubkey:0'><keyinfo><x509cert>{}</x509cert></keyinfo></pubkeys>",
        base64(own.certificate())
    );
    for id in ["q", "x1", ""] {
        let answer = format!("<iq type='result' id='{id}' from='{JULIET}' to='{ROMEO}'>{forged}</iq>");
        assert!(!matches!(world.deliver(romeo, &answer), Disposition::Consumed), "{id}");
    }
    world.run();
    let events = world.take_events(romeo);
    let [Event::CertificatesReceived { result: Ok(received), .. }] = &*events else { panic!("one answer: {events:?}") };
    assert!(is_of(&world, received, juliet), "the one from inside");
    for (id, peer) in [(romeo, juliet), (juliet, romeo)] {
        let peer = world.jid(peer).to_bare();
        let pins = world.with_store(id, |store| store.of(&peer).pins.clone());
        assert!(pins.is_empty(), "a password pins nothing");
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
