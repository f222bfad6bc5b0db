#![allow(clippy::unwrap_used)]

use xtls::{Event, TrustPolicy, TunnelOptions};
use xtls_stanza::Condition;
use xtls_testkit::{EntityOptions, World, provider};

use super::*;

fn own(has_password: bool) -> Own {
    Own { jid: "juliet@capulet.lit".parse().unwrap(), fingerprint: Fingerprint::sha256(b"juliet"), has_password }
}

fn advice(fault: &Fault, has_password: bool) -> String {
    let bare = "romeo@montague.lit".parse().unwrap();
    let failure = authentication_advice(fault, "tunnel", "romeo@montague.lit/x", &bare, &own(has_password));
    failure.unwrap().message
}

#[test]
fn whoever_is_not_taken_is_told_the_fingerprint_to_hand_over() {
    let command = format!("xtls trust add juliet@capulet.lit {}", Fingerprint::sha256(b"juliet"));
    let refused = Fault::StartTls(StartTlsFault::Refused);
    for has_password in [false, true] {
        let words = advice(&refused, has_password);
        assert!(words.ends_with(&command) && !words.contains("intercepted"), "{words}");
        // A lock at the other end cannot be told from a password that it does not share.
        assert_eq!(words.contains("takes none for now"), has_password, "{words}");
    }
}

#[test]
fn faults_of_two_ends_that_do_not_go_together_blame_nobody_in_between() {
    for fault in [
        Fault::NoCommonMethod { offered: Vec::new() },
        Fault::NoCommonMethod { offered: vec![Method::X509] },
        Fault::OutOfDate { fingerprint: Fingerprint::sha256(b"old") },
    ] {
        let words = advice(&fault, false);
        assert!(!words.contains("intercepted"), "{words}");
    }
    let mismatch =
        Fault::FingerprintMismatch { announced: Fingerprint::sha256(b"one"), presented: Fingerprint::sha256(b"other") };
    for fault in [mismatch, Fault::NoTls, Fault::StartTls(StartTlsFault::Injection)] {
        let words = advice(&fault, false);
        assert!(words.contains("may be intercepted"), "{words}");
    }
}

#[test]
fn tls_that_has_too_little_is_told_from_tls_that_somebody_changed() {
    let words = |error: &TlsErrorKind| tls_advice(error, "tunnel", "romeo@montague.lit/x", &own(false)).message;
    let lacks = words(&TlsErrorKind::PeerIncompatible("it has no extended_master_secret (RFC 7627)".to_owned()));
    assert!(lacks.contains("it has no extended_master_secret") && lacks.contains("its owner can update it"), "{lacks}");
    assert!(!lacks.contains("intercepted"), "{lacks}");
    for changed in [TlsErrorKind::BadRecord, TlsErrorKind::NotTls, TlsErrorKind::PeerMisbehaved("x".to_owned())] {
        assert!(words(&changed).contains("may be intercepted"), "{changed}");
    }
    for (fault, intercepted) in [(CertificateFault::WrongName, true), (CertificateFault::UnsupportedKey, false)] {
        let refused = words(&TlsErrorKind::BadCertificate { presented: None, fault });
        assert_eq!(refused.contains("may be intercepted"), intercepted, "{refused}");
    }
}

#[test]
fn a_certificate_that_does_not_work_is_told_from_one_that_may_be_anothers() {
    for fault in [
        CertificateFault::UnsupportedKey,
        CertificateFault::Malformed,
        CertificateFault::NoCertificate,
        CertificateFault::Chain(ChainFault::Expired),
        CertificateFault::Chain(ChainFault::Purpose),
    ] {
        assert!(!is_anothers(&fault), "{fault}");
    }
    for fault in [
        CertificateFault::BadSignature,
        CertificateFault::WrongName,
        CertificateFault::Chain(ChainFault::UnknownIssuer),
        CertificateFault::Chain(ChainFault::NameConstraint),
    ] {
        assert!(is_anothers(&fault), "{fault}");
    }
}

#[test]
fn whoever_answers_in_the_place_of_the_peer_is_named_with_what_to_do() {
    let words = advice(&Fault::AnotherAnswered { address: "romeo@strasse.example/x".parse().unwrap() }, false);
    assert!(words.starts_with("romeo@strasse.example/x answers what is sent to romeo@montague.lit/x"), "{words}");
    assert!(words.ends_with("give that address") && !words.contains("intercepted"), "{words}");
}

#[test]
fn a_server_that_ours_cannot_find_is_named_with_what_to_check() {
    let peer = "romeo@montague.lit/x".parse().unwrap();
    assert!(unreachable_server(&peer, &StanzaError::new(Condition::ServiceUnavailable)).is_none());
    let words = unreachable_server(&peer, &StanzaError::new(Condition::RemoteServerNotFound)).unwrap().message;
    assert!(words.contains("server of montague.lit") && words.contains("_xmpp-server._tcp.montague.lit"), "{words}");
}

/// An initiator that wants to ask its user needs TLS 1.3, which the responder does not have.
#[test]
fn a_peer_that_has_tls_1_2_only_where_tls_1_3_is_needed_is_told_so_and_nobody_in_between_is_blamed() {
    let mut world = World::default();
    let romeo = world.add("romeo@montague.lit/x", EntityOptions::seeded(1));
    let mut options = EntityOptions::seeded(2);
    options.provider = Some(provider::tls12());
    let juliet = world.add("juliet@capulet.lit/x", options);
    let peer = world.jid(juliet).clone();
    let asking = TunnelOptions::xml_stream(TrustPolicy::Ask);
    world.with(romeo, |engine, now| engine.initiate(now, peer, asking)).unwrap();
    world.run();
    world.accept(juliet, TunnelOptions::xml_stream(TrustPolicy::LeapOfFaith)).unwrap();
    world.run();
    for end in [romeo, juliet] {
        let events = world.take_events(end);
        let [Event::Closed(closed)] = &events[..] else { panic!("{events:?}") };
        let Verdict::Failed(failure) = Verdict::of(closed, &own(false)) else { panic!("{closed:?}") };
        assert_has_no_version(&failure);
    }
}

/// It says that the versions of TLS do not go together and what to do, and nothing about anybody in between.
fn assert_has_no_version(failure: &Failure) {
    let words = &failure.message;
    assert_eq!(failure.code, crate::exit::Code::Security);
    assert!(words.contains("could not be secured") && words.contains("version of TLS"), "{words}");
    assert!(words.contains("its owner can update it"), "{words}");
    assert!(!words.contains("intercepted") && !words.contains("in between"), "{words}");
    assert!(!words.contains("trust"), "{words}");
}
