//! Decision 2.11, and the fingerprint row of § 1: announced fingerprints help nobody and contradict nothing.

use xtls::{
    Event, Fault, TrustPolicy,
    trust::{Fingerprint, HashAlgo},
};

use crate::common::{Stage, closed, fault, kinds, payload, terminate};

/// What becomes of a session that is accepted with these fingerprints; they are filled in from the peer's certificate.
fn accepted_with(fingerprints: &str) -> (Stage, Vec<xtls::Element>, Vec<Event>) {
    let mut stage = Stage::romeo();
    stage.engine_offers(TrustPolicy::Pinned);
    stage.start_server(&stage.tls_config());
    let of = |algo| Fingerprint::of(algo, stage.identity.certificate()).unwrap().hex();
    let colons = |hex: String| {
        let pairs: Vec<String> =
            hex.as_bytes().chunks(2).map(|pair| String::from_utf8(pair.to_vec()).unwrap()).collect();
        pairs.join(":").to_uppercase()
    };
    let fingerprints = fingerprints
        .replace("{sha1}", &of(HashAlgo::Sha1))
        .replace("{SHA1}", &colons(of(HashAlgo::Sha1)))
        .replace("{sha256}", &of(HashAlgo::Sha256))
        .replace("{SHA256}", &colons(of(HashAlgo::Sha256)))
        .replace("{sha512}", &of(HashAlgo::Sha512));
    let security =
        format!("<security xmlns='urn:xmpp:jingle:security:xtls:0'>{fingerprints}<method name='x509'/></security>");
    let accept = stage.accept_with(&security);
    let requests = stage.ask_fine(&accept);
    assert_eq!(requests.len(), 2);
    requests.iter().for_each(|request| stage.ack(request));
    let requests = stage.play();
    let events = stage.events();
    (stage, requests, events)
}

#[test]
fn wire_2_11_the_spellings_that_clients_use_are_understood() {
    let spellings = [
        "",
        "<fingerprint algo='sha1'>{sha1}</fingerprint><fingerprint algo='sha-256'>{sha256}</fingerprint>",
        "<fingerprint algo='sha-256'>{sha256}</fingerprint><fingerprint algo='sha1'>{sha1}</fingerprint>",
        "<fingerprint>{sha1}</fingerprint>",
        "<fingerprint>{SHA256}</fingerprint>",
        "<fingerprint algo='sha-1'>{SHA1}</fingerprint>",
        "<fingerprint algo='SHA256'>\n  {sha256}\n</fingerprint>",
        "<fingerprint algo='sha-512'>{sha512}</fingerprint>",
        "<fingerprint algo='sha1'>RomeoX509CertSHA1Hash</fingerprint>",
        "<fingerprint algo='whirlpool'>00</fingerprint><fingerprint algo='sha1'>{sha1}</fingerprint>",
        // MD5 is never trusted, and says nothing either way.
        "<fingerprint algo='md5'>00000000000000000000000000000000</fingerprint>",
    ];
    for spelling in spellings {
        let (_, requests, events) = accepted_with(spelling);
        assert_eq!(requests, [], "{spelling}");
        assert_eq!(kinds(&events), ["Secured"], "{spelling}");
    }
}

#[test]
fn wire_2_11_every_announced_fingerprint_must_match_the_certificate() {
    let zeros = |digits: usize| "0".repeat(digits);
    let (sha1, sha256) = (zeros(40), zeros(64));
    let contradictions = [
        (format!("<fingerprint algo='sha1'>{sha1}</fingerprint>"), HashAlgo::Sha1),
        (format!("<fingerprint algo='sha-256'>{sha256}</fingerprint>"), HashAlgo::Sha256),
        (
            format!(
                "<fingerprint algo='sha1'>{sha1}</fingerprint><fingerprint algo='sha-256'>{{sha256}}</fingerprint>"
            ),
            HashAlgo::Sha1,
        ),
        (
            format!(
                "<fingerprint algo='sha1'>{{sha1}}</fingerprint><fingerprint algo='sha-256'>{sha256}</fingerprint>"
            ),
            HashAlgo::Sha256,
        ),
    ];
    for (fingerprints, wrong) in contradictions {
        let (mut stage, requests, events) = accepted_with(&fingerprints);
        let end = requests.last().unwrap();
        assert_eq!(payload(end), terminate(&stage.sid, "security-error"), "{fingerprints}");
        let closed = closed(events);
        let Fault::FingerprintMismatch { announced, presented } = fault(&closed) else { panic!("{closed:?}") };
        assert_eq!((announced.algo(), *presented), (wrong, stage.identity.fingerprint_sha256()));
        assert!(closed.reason.is_security());
        assert_eq!(stage.told(), "", "nothing is said");
    }
}

/// The responder holds the initiator to its announcement too.
#[test]
fn wire_2_11_the_initiators_fingerprints_must_match_too() {
    let mut stage = Stage::juliet();
    let own = stage.identity.announced_fingerprints()[0].hex();
    let security = stage.peer_security().replace(&own, &"0".repeat(40));
    let initiate = stage.initiate_with(&security);
    assert!(stage.ask_fine(&initiate).is_empty());
    let incoming = stage.take_incoming();
    stage.accept(incoming, TrustPolicy::Pinned);
    stage.choose_and_open();
    stage.start_client(&stage.tls_config());
    let requests = stage.play();
    let end = requests.last().expect("a session-terminate");
    assert_eq!(payload(end), terminate(&stage.sid, "security-error"));
    let closed = closed(stage.events());
    assert!(matches!(fault(&closed), Fault::FingerprintMismatch { .. }), "{closed:?}");
}

/// sha1 is a hint for looking a certificate up: what is stored is SHA-256.
#[test]
fn wire_2_11_what_is_learned_is_the_sha_256_of_the_certificate() {
    let mut stage = Stage::romeo();
    let peer = stage.peer.parse::<xtls_stanza::jid::FullJid>().unwrap().to_bare();
    stage.world.with_store(stage.engine, |store| store.remove(&peer));
    stage.engine_offers(TrustPolicy::LeapOfFaith);
    stage.start_server(&stage.tls_config());
    let sha1 = stage.identity.announced_fingerprints()[0];
    let accept = stage.accept_with(&crate::common::stage::security(&[sha1]));
    let requests = stage.ask_fine(&accept);
    requests.iter().for_each(|request| stage.ack(request));
    stage.play();
    assert_eq!(kinds(&stage.events()), ["Secured"]);
    let pins = stage.world.with_store(stage.engine, |store| {
        let record = xtls::trust::TrustStore::record(store, &peer).unwrap();
        record.pins.iter().map(|pin| pin.fingerprint).collect::<Vec<_>>()
    });
    assert_eq!(pins, [stage.identity.fingerprint_sha256()]);
}
