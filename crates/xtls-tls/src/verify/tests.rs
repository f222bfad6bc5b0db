use std::io::{Read as _, Write as _};
use std::sync::Arc;

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::Connection;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use xtls_stanza::HashAlgo;

use super::*;
use crate::testing::{Pair, Presents, at, config, juliet, juliet_config, mallory, pin, romeo, romeo_config};
use crate::{
    Alert, Identity, MAX_CERTIFICATE, MAX_CHAIN, TlsConfig, TlsError, TlsErrorKind, TlsSession, default_provider,
};

/// How a session fares against another TLS stack.
struct Meeting {
    session: TlsSession,
    other: Connection,
    plaintext: Vec<u8>,
    error: Option<TlsError>,
    other_error: Option<Error>,
}

fn meet(
    config: &TlsConfig,
    attacker: &Arc<Presents>,
    as_client: bool,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Meeting {
    let mut out = Vec::new();
    let (session, other) = if as_client {
        (TlsSession::client(config, &mut out).unwrap(), attacker.server(versions))
    } else {
        (TlsSession::server(config).unwrap(), attacker.client(versions))
    };
    let mut meeting = Meeting { session, other, plaintext: Vec::new(), error: None, other_error: None };
    for _ in 0..10 {
        let sent = std::mem::take(&mut out);
        let mut sent = &sent[..];
        while !sent.is_empty() && meeting.other.read_tls(&mut sent).is_ok_and(|read| read > 0) {
            if let Err(error) = meeting.other.process_new_packets() {
                meeting.other_error = Some(error);
                break;
            }
        }
        let mut answer = Vec::new();
        while meeting.other.wants_write() {
            meeting.other.write_tls(&mut answer).unwrap();
        }
        if meeting.error.is_none() {
            meeting.error = meeting.session.read(&answer, &mut meeting.plaintext, &mut out).err();
        }
    }
    meeting
}

fn refused(meeting: &Meeting) -> (Option<Fingerprint>, CertificateFault) {
    assert!(!meeting.session.handshake_complete());
    assert!(meeting.plaintext.is_empty());
    assert_eq!(meeting.session.peer_certificate(), None);
    match meeting.error.as_ref().map(TlsError::kind) {
        Some(TlsErrorKind::BadCertificate { presented, fault }) => (*presented, fault.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn m06_the_genuine_certificate_without_its_key_is_refused_in_both_directions() {
    for versions in Presents::versions() {
        let attacker = Presents::chain(vec![juliet().certificate().clone()], &mallory());
        let meeting = meet(&romeo_config(), &attacker, true, versions);
        assert_eq!(refused(&meeting), (Some(juliet().fingerprint_sha256()), CertificateFault::BadSignature));
        assert_eq!(meeting.error.unwrap().alert_sent().map(Alert::name), Some("decrypt_error"));

        let attacker = Presents::chain(vec![romeo().certificate().clone()], &mallory());
        let meeting = meet(&juliet_config(), &attacker, false, versions);
        assert_eq!(refused(&meeting), (Some(romeo().fingerprint_sha256()), CertificateFault::BadSignature));
    }
}

#[test]
fn m06_deferred_verification_proves_the_key_all_the_same() {
    for versions in Presents::versions() {
        let attacker = Presents::chain(vec![juliet().certificate().clone()], &mallory());
        let meeting = meet(&config(&romeo(), Verification::Deferred), &attacker, true, versions);
        assert_eq!(refused(&meeting).1, CertificateFault::BadSignature);
        let meeting = meet(&config(&romeo(), Verification::Deferred), &attacker, false, versions);
        assert_eq!(refused(&meeting).1, CertificateFault::BadSignature);
    }
}

#[test]
fn m05_certificates_of_a_man_in_the_middle_fail_both_pins() {
    for versions in Presents::versions() {
        let attacker = Presents::chain(vec![mallory().certificate().clone()], &mallory());
        for (ours, as_client) in [(romeo_config(), true), (juliet_config(), false)] {
            let meeting = meet(&ours, &attacker, as_client, versions);
            assert_eq!(refused(&meeting), (Some(mallory().fingerprint_sha256()), CertificateFault::NotPinned));
            assert_eq!(meeting.error.unwrap().alert_sent().map(Alert::name), Some("certificate_unknown"));
            assert!(matches!(meeting.other_error, Some(Error::AlertReceived(_))), "the other side is told");
        }
    }
}

#[test]
fn p17_a_client_without_a_certificate_is_refused_and_never_confirmed() {
    for (versions, alert) in Presents::versions().into_iter().zip(["certificate_required", "certificate_required"]) {
        let meeting = meet(&juliet_config(), &Presents::nothing(), false, versions);
        assert_eq!(refused(&meeting), (None, CertificateFault::NoCertificate));
        assert_eq!(meeting.error.unwrap().alert_sent().map(Alert::name), Some(alert));
        let Connection::Client(client) = &meeting.other else { panic!("a client") };
        assert_eq!(client.tls13_tickets_received(), 0, "no ticket confirms it");
        assert!(meeting.other_error.is_some());
    }
}

#[test]
fn p17_a_client_with_the_wrong_certificate_is_never_confirmed() {
    // In TLS 1.3 the client's handshake is complete before the server has judged: only the ticket tells.
    let mut pair = Pair::new(&config(&mallory(), pin(&juliet())), &juliet_config());
    let error = pair.settle().unwrap_err();
    assert!(matches!(error.kind(), TlsErrorKind::BadCertificate { fault: CertificateFault::NotPinned, .. }));
    assert!(pair.client.handshake_complete() && !pair.server.handshake_complete());
    assert_eq!(pair.client.tickets_received(), 0);
    let error = pair.client.read(&pair.to_client, &mut pair.client_plaintext, &mut pair.to_server).unwrap_err();
    assert_eq!(error.kind(), &TlsErrorKind::AlertReceived(Alert::CERTIFICATE_UNKNOWN));
    assert_eq!(pair.client.tickets_received(), 0);
}

#[test]
fn p18_what_is_presented_behind_a_pinned_certificate_is_bounded_and_does_not_count() {
    for versions in Presents::versions() {
        for verification in [pin(&juliet()), Verification::Deferred] {
            for certificates in [MAX_CHAIN, MAX_CHAIN + 1] {
                let mut chain = vec![mallory().certificate().clone(); certificates];
                *chain.first_mut().unwrap() = juliet().certificate().clone();
                let attacker = Presents::chain(chain, &juliet());
                for as_client in [true, false] {
                    let meeting = meet(&config(&romeo(), verification.clone()), &attacker, as_client, versions);
                    if certificates == MAX_CHAIN {
                        assert_eq!(meeting.session.peer_certificate(), Some(juliet().as_peer_certificate()));
                        continue;
                    }
                    assert_eq!(refused(&meeting).1, CertificateFault::ChainTooLong { certificates });
                    assert_eq!(meeting.error.unwrap().alert_sent().map(Alert::name), Some("bad_certificate"));
                }
            }
            // Only the first one counts.
            let chain = vec![mallory().certificate().clone(), juliet().certificate().clone()];
            let meeting = meet(&romeo_config(), &Presents::chain(chain, &mallory()), true, versions);
            assert_eq!(refused(&meeting).1, CertificateFault::NotPinned);
            let huge = vec![juliet().certificate().clone(), vec![0; MAX_CERTIFICATE + 1].into()];
            let meeting = meet(&romeo_config(), &Presents::chain(huge, &juliet()), true, versions);
            assert_eq!(refused(&meeting).1, CertificateFault::TooLarge { bytes: MAX_CERTIFICATE + 1 });
        }
    }
}

/// An RSA key of this many bits, which nobody holds.
struct Modulus(Vec<u8>);

impl rcgen::PublicKeyData for Modulus {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

#[test]
fn p18_rsa_keys_of_2048_to_8192_bits_are_accepted_and_no_others() {
    let root = crate::testing::ca::Ca::root("root");
    for (bits, accepted) in [(2047, false), (2048, true), (4096, true), (8192, true), (8193, false), (16_384, false)] {
        // SEQUENCE { INTEGER modulus, INTEGER 65537 }
        let mut modulus = vec![0xff; bits / 8];
        if bits % 8 != 0 {
            modulus.insert(0, (1 << (bits % 8)) - 1);
        } else {
            modulus.insert(0, 0);
        }
        let length = |bytes: usize| [vec![0x82], u16::try_from(bytes).unwrap().to_be_bytes().to_vec()].concat();
        let integer = [vec![2], length(modulus.len()), modulus].concat();
        let content = [integer, vec![2, 3, 1, 0, 1]].concat();
        let key = Modulus([vec![0x30], length(content.len()), content].concat());
        let der = root.sign(&crate::testing::ca::params("rsa"), &key);
        assert_eq!(PeerCertificate::from_der(&der).unwrap().key_description(), format!("RSA {bits}"));
        let pinned = Verification::Pinned(vec![Fingerprint::sha256(&der)]);
        let attacker = Presents::chain(vec![der], &mallory());
        for as_client in [true, false] {
            let meeting = meet(&config(&romeo(), pinned.clone()), &attacker, as_client, &[&rustls::version::TLS13]);
            // Nobody holds the key, so a key that is accepted fails next.
            let expected = if accepted { CertificateFault::BadSignature } else { CertificateFault::UnsupportedKey };
            assert_eq!(refused(&meeting).1, expected, "{bits}");
        }
    }
}

/// X25519, Ed448 and a kind that nobody has heard of, in certificates that are pinned: no signature is right for such a key.
#[test]
fn p18_keys_of_unknown_kinds_are_refused() {
    const ED25519: [u8; 5] = [6, 3, 0x2b, 0x65, 0x70];
    let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let sound = CertificateParams::default().self_signed(&pair).unwrap().der().to_vec();
    let key = PrivateKeyDer::try_from(pair.serialize_der()).unwrap();
    // The certificate names its algorithm three times; the second names the key's.
    let at = sound.windows(5).enumerate().filter(|(_, bytes)| *bytes == ED25519).nth(1).unwrap().0;
    for last in [0x70, 0x6e, 0x71, 0x7f] {
        let mut der = sound.clone();
        *der.get_mut(at + 4).unwrap() = last;
        let pinned = Verification::Pinned(vec![Fingerprint::sha256(&der)]);
        let peer = Presents::key(der.into(), &key);
        for as_client in [true, false] {
            let meeting = meet(&config(&romeo(), pinned.clone()), &peer, as_client, &[&rustls::version::TLS13]);
            if last == 0x70 {
                assert!(meeting.session.handshake_complete(), "{:?}", meeting.error);
                continue;
            }
            assert_eq!(refused(&meeting).1, CertificateFault::BadSignature, "{last:x}");
        }
    }
}

/// An identity whose certificate has `extra` bytes more than it needs.
fn padded(extra: usize) -> (Identity, CertificateDer<'static>) {
    let identity = mallory();
    let pem = identity.to_pem();
    let key = PrivateKeyDer::from_pem_slice(pem.key.expose().as_bytes()).unwrap();
    let key = KeyPair::try_from(&key).unwrap();
    let mut params = CertificateParams::default();
    params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![0; extra]));
    (identity, params.self_signed(&key).unwrap().into())
}

#[test]
fn p18_a_huge_certificate_is_refused() {
    for (extra, refused_for_size) in [(MAX_CERTIFICATE - 1000, false), (MAX_CERTIFICATE, true), (60_000, true)] {
        let (identity, certificate) = padded(extra);
        let bytes = certificate.len();
        let pinned = Verification::Pinned(vec![Fingerprint::sha256(&certificate)]);
        let attacker = Presents::chain(vec![certificate], &identity);
        for as_client in [true, false] {
            let meeting = meet(&config(&romeo(), pinned.clone()), &attacker, as_client, &[&rustls::version::TLS13]);
            if refused_for_size {
                assert_eq!(refused(&meeting).1, CertificateFault::TooLarge { bytes });
            } else {
                assert!(meeting.session.handshake_complete());
            }
        }
    }
}

#[test]
fn p18_version_1_and_garbage_are_refused() {
    let mut version1 = mallory().certificate().to_vec();
    let at = version1.windows(5).position(|bytes| bytes == [0xa0, 3, 2, 1, 2]).unwrap();
    *version1.get_mut(at + 4).unwrap() = 0;
    for (der, expected) in
        [(version1, CertificateFault::NotVersion3), (b"not a certificate".to_vec(), CertificateFault::Malformed)]
    {
        let pinned = Verification::Pinned(vec![Fingerprint::sha256(&der)]);
        let attacker = Presents::chain(vec![der.into()], &mallory());
        for as_client in [true, false] {
            let meeting = meet(&config(&romeo(), pinned.clone()), &attacker, as_client, &[&rustls::version::TLS13]);
            assert_eq!(refused(&meeting).1, expected);
        }
    }
}

/// An RSA key of 1024 bits, as in the certificates of 2009.
const RSA_1024: &str = "-----BEGIN CERTIFICATE-----
MIIB+jCCAWOgAwIBAgIUeZlqOwdnVByGdL3ojiKt7jPv5WcwDQYJKoZIhvcNAQEL
BQAwDzENMAsGA1UEAwwEWFRMUzAeFw0yNjExMjEwMTQ2NTFaFw0zNjExMTgwMTQ2
NTFaMA8xDTALBgNVBAMMBFhUTFMwgZ8wDQYJKoZIhvcNAQEBBQADgY0AMIGJAoGB
ANiUkyBPrImTjsclvcwUcJ+Z4vv+x4muO32aV1tTRYzG2Xy42QU5X4SFQ56leB9x
b3XlnLZTcw60Mdtk+fRlFu4SwJHFwwxjdI/iGwpVVxb52yFpVIc3Kk+DO068xltm
BToKRIP1fyX6siZybzvIef8+/rWa4V6caEpJfum62OttAgMBAAGjUzBRMB0GA1Ud
DgQWBBRStpFdTcsvEdrI66CjVQdCkqb1ETAfBgNVHSMEGDAWgBRStpFdTcsvEdrI
66CjVQdCkqb1ETAPBgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3DQEBCwUAA4GBAL3I
0XCNLxzzpRPUHfMB2O2GADER91QrTh458Tfaze1BYI/hpaabbWvXqb/yCAfa8H7m
eRM10YkMXO/ouMsIx8O/bfsJ4MAQO/rWLYhWQ1cYj0KwFj0tS6Fndf3YwMkA46R5
C5Pgkp9wvQoTWKk6Dwl7na880o7u2tceSoLx8s79
-----END CERTIFICATE-----
";

#[test]
fn p18_a_short_rsa_key_is_refused_for_what_it_is() {
    let der = CertificateDer::from_pem_slice(RSA_1024.as_bytes()).unwrap();
    assert_eq!(PeerCertificate::from_der(&der).unwrap().key_description(), "RSA 1024");
    let pinned = Verification::Pinned(vec![Fingerprint::sha256(&der)]);
    let attacker = Presents::chain(vec![der], &mallory());
    for versions in Presents::versions() {
        let meeting = meet(&config(&romeo(), pinned.clone()), &attacker, true, versions);
        assert_eq!(refused(&meeting).1, CertificateFault::UnsupportedKey);
        assert_eq!(meeting.error.unwrap().alert_sent().map(Alert::name), Some("bad_certificate"));
    }
}

#[test]
fn p18_keys_of_other_kinds_are_accepted() {
    for algorithm in [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ECDSA_P521_SHA512, &rcgen::PKCS_RSA_SHA256] {
        let pair = KeyPair::generate_for(algorithm).unwrap();
        let certificate = CertificateParams::default().self_signed(&pair).unwrap();
        let pinned = Verification::Pinned(vec![Fingerprint::sha256(certificate.der())]);
        let key = PrivateKeyDer::try_from(pair.serialize_der()).unwrap();
        let peer = Presents::key(certificate.der().clone(), &key);
        for as_client in [true, false] {
            let meeting = meet(&config(&romeo(), pinned.clone()), &peer, as_client, &[&rustls::version::TLS13]);
            assert!(meeting.session.handshake_complete(), "{:?}", meeting.error);
        }
    }
}

#[test]
fn m06_the_wrong_kind_of_key_proves_nothing_either() {
    let key = PrivateKeyDer::try_from(KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_der()).unwrap();
    let attacker = Presents::key(juliet().certificate().clone(), &key);
    let meeting = meet(&romeo_config(), &attacker, true, &[&rustls::version::TLS13]);
    assert_eq!(refused(&meeting).1, CertificateFault::BadSignature);
}

#[test]
fn p18_an_expired_certificate_is_taken_if_it_is_pinned_and_its_dates_are_told() {
    use crate::testing::NOW;
    let old =
        Identity::from_key(&"mallory@example.org".parse().unwrap(), mallory().to_pem().key.expose(), [1; 16], at(0))
            .unwrap();
    let pair = Pair::connected(&config(&romeo(), pin(&old)), &config(&old, pin(&romeo())));
    assert!(pair.client.peer_certificate().unwrap().is_expired(at(NOW)));
    assert!(!pair.server.peer_certificate().unwrap().is_expired(at(NOW)));
}

#[test]
fn any_one_of_several_pins_may_match() {
    let pins = vec![mallory().fingerprint_sha256(), juliet().fingerprint_sha256(), romeo().fingerprint_sha256()];
    Pair::connected(&config(&romeo(), Verification::Pinned(pins)), &juliet_config());
    for algo in [HashAlgo::Sha224, HashAlgo::Sha384, HashAlgo::Sha512] {
        let pins = vec![juliet().fingerprint(algo).unwrap()];
        Pair::connected(&config(&romeo(), Verification::Pinned(pins)), &juliet_config());
    }
}

#[test]
fn without_a_trustworthy_pin_nobody_is_accepted() {
    let md5 = Fingerprint::parse(Some("md5"), &"0".repeat(32)).unwrap();
    for pins in [vec![], vec![md5], vec![juliet().fingerprint(HashAlgo::Sha1).unwrap()]] {
        let error = Pair::new(&config(&romeo(), Verification::Pinned(pins)), &juliet_config()).settle().unwrap_err();
        let fault = CertificateFault::NotPinned;
        let expected = TlsErrorKind::BadCertificate { presented: Some(juliet().fingerprint_sha256()), fault };
        assert_eq!(error.kind(), &expected);
    }
}

#[test]
fn deferred_verification_shows_the_certificate_after_the_handshake() {
    let pair = Pair::connected(&config(&romeo(), Verification::Deferred), &config(&juliet(), Verification::Deferred));
    assert_eq!(pair.client.peer_certificate(), Some(juliet().as_peer_certificate()));
    assert_eq!(pair.server.peer_certificate(), Some(romeo().as_peer_certificate()));
}

#[test]
fn ed25519_and_ecdsa_identities_meet() {
    let ed25519 = Identity::generate(
        &"nurse@capulet.lit".parse().unwrap(),
        crate::KeyAlgorithm::Ed25519,
        at(crate::testing::NOW),
    )
    .unwrap();
    Pair::connected(&config(&romeo(), pin(&ed25519)), &config(&ed25519, pin(&romeo())));
    Pair::connected(&config(&ed25519, pin(&romeo())), &config(&romeo(), pin(&ed25519)));
}

#[test]
fn p04_key_updates_are_followed_and_a_flood_of_them_ends_the_session() {
    let peer = Presents::chain(vec![romeo().certificate().clone()], &romeo());
    let mut meeting = meet(&juliet_config(), &peer, false, &[&rustls::version::TLS13]);
    assert!(meeting.session.handshake_complete());
    let mut out = Vec::new();
    let sent = |other: &mut Connection| {
        let mut sent = Vec::new();
        while other.wants_write() {
            other.write_tls(&mut sent).unwrap();
        }
        sent
    };
    for _ in 0..40 {
        meeting.other.refresh_traffic_keys().unwrap();
        meeting.other.writer().write_all(b"x").unwrap();
        meeting.session.read(&sent(&mut meeting.other), &mut meeting.plaintext, &mut out).unwrap();
    }
    assert_eq!(meeting.plaintext, [b'x'; 40]);
    meeting.session.write(b"still here", &mut out).unwrap();
    let mut answer = &out[..];
    while !answer.is_empty() {
        meeting.other.read_tls(&mut answer).unwrap();
        meeting.other.process_new_packets().unwrap();
    }
    let mut received = [0; 10];
    meeting.other.reader().read_exact(&mut received).unwrap();
    assert_eq!(&received, b"still here");

    let mut update = || {
        meeting.other.refresh_traffic_keys().unwrap();
        meeting.session.read(&sent(&mut meeting.other), &mut meeting.plaintext, &mut out)
    };
    let error = (0..100).find_map(|count| update().err().map(|error| (count, error)));
    let (count, error) = error.unwrap();
    assert_eq!(count, 32, "32 without any data between them are followed");
    assert!(matches!(error.kind(), TlsErrorKind::PeerMisbehaved(_)));
}

#[test]
fn a_client_certificate_is_always_demanded_and_from_nobody_in_particular() {
    let verifier =
        PeerVerifier::new(Rule::Peer(pin(&romeo())), None, default_provider().signature_verification_algorithms);
    assert!(verifier.offer_client_auth() && verifier.client_auth_mandatory());
    assert!(ClientCertVerifier::root_hint_subjects(&*verifier).is_empty());
}

/// Signatures are checked by rustls; nothing in this crate may claim one to be valid.
#[test]
fn no_signature_is_asserted_anywhere() {
    let forbidden = ["HandshakeSignatureValid", "::", "assertion"].concat();
    let mut read = 0;
    let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.file_stem().and_then(|name| name.to_str()) {
                // What an attacker may do is for tests to show.
                Some("tests" | "testing") => {}
                _ if path.is_dir() => folders.push(path),
                _ => {
                    assert!(!std::fs::read_to_string(&path).unwrap().contains(&forbidden), "{}", path.display());
                    read += 1;
                }
            }
        }
    }
    assert!(read > 20, "{read} files");
}
