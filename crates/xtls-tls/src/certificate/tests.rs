use proptest::prelude::*;
use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair, SanType};

use super::names::utf8_string;
use super::*;
use crate::testing::ca::{self, Name};
use crate::testing::{NOW, at, juliet};

fn with(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    of_key(&KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(), change)
}

/// A certificate with a key of its own.
pub(crate) fn some_certificate() -> PeerCertificate {
    PeerCertificate::from_der(&with(|_| ())).unwrap()
}

fn of_key(pair: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = CertificateParams::default();
    change(&mut params);
    params.self_signed(pair).unwrap().der().to_vec()
}

/// A certificate of exactly `size` bytes.
fn of_size(size: usize) -> Vec<u8> {
    // The serial number follows from the key, and is a byte shorter now and then.
    let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let padded = |padding: usize| {
        of_key(&pair, |params| {
            let content = vec![0; padding];
            params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 2, 3, 4], content));
        })
    };
    let first = padded(size - 300).len();
    let certificate = padded(size - 300 + size - first);
    assert_eq!(certificate.len(), size);
    certificate
}

#[test]
fn p18_a_certificate_of_16_kib_is_taken_and_one_byte_more_is_not() {
    assert!(PeerCertificate::from_der(&of_size(MAX_CERTIFICATE)).is_ok());
    let fault = PeerCertificate::from_der(&of_size(MAX_CERTIFICATE + 1)).unwrap_err();
    assert_eq!(fault, CertificateFault::TooLarge { bytes: MAX_CERTIFICATE + 1 });
}

#[test]
fn a_certificate_has_the_fingerprints_of_its_encoding_and_no_others() {
    let [one, other] = [(); 2].map(|()| some_certificate());
    for algo in [HashAlgo::Sha1, HashAlgo::Sha224, HashAlgo::Sha256, HashAlgo::Sha384, HashAlgo::Sha512] {
        let fingerprint = Fingerprint::of(algo, one.der()).unwrap();
        assert_eq!(one.fingerprint(algo), Some(fingerprint));
        assert!(one.has(&fingerprint) && !other.has(&fingerprint), "{algo}");
    }
    assert_eq!(one.fingerprint_sha256(), Fingerprint::sha256(one.der()));
    let md5 = Fingerprint::parse(Some("md5"), &"0".repeat(32)).unwrap();
    assert!(!one.has(&md5) && one.fingerprint(HashAlgo::Md5).is_none());
}

#[test]
fn what_is_not_a_certificate_is_malformed() {
    let good = juliet().certificate().to_vec();
    let malformed = |der: &[u8]| PeerCertificate::from_der(der) == Err(CertificateFault::Malformed);
    assert!(malformed(b""));
    assert!(malformed(b"-----BEGIN CERTIFICATE-----"));
    for cut in 0..good.len() {
        assert!(malformed(good.get(..cut).unwrap()), "cut at {cut}");
    }
    assert!(malformed(&[&good[..], &[0]].concat()), "a byte too many");
}

#[test]
fn p18_version_1_is_refused() {
    // The version is the first field of the certificate: [0] { INTEGER 2 } for version 3.
    let mut der = juliet().certificate().to_vec();
    let at = der.windows(5).position(|bytes| bytes == [0xa0, 3, 2, 1, 2]).unwrap();
    for version in [0, 1] {
        *der.get_mut(at + 4).unwrap() = version;
        assert_eq!(PeerCertificate::from_der(&der), Err(CertificateFault::NotVersion3));
    }
}

#[test]
fn addresses_are_read_from_xmpp_names_alone() {
    let der = with(|params| {
        params.distinguished_name.push(DnType::CommonName, "mallory@example.org");
        params.subject_alt_names = vec![
            SanType::DnsName("capulet.lit".try_into().unwrap()),
            SanType::OtherName((ID_ON_XMPP_ADDR.to_vec(), "juliet@capulet.lit".into())),
            SanType::OtherName((vec![1, 3, 6, 1, 5, 5, 7, 8, 7], "nurse@capulet.lit".into())),
            SanType::OtherName((ID_ON_XMPP_ADDR.to_vec(), "not a jid@@".into())),
            SanType::OtherName((ID_ON_XMPP_ADDR.to_vec(), "juliet@capulet.lit/balcony".into())),
            SanType::OtherName((ID_ON_XMPP_ADDR.to_vec(), "capulet.lit".into())),
        ];
    });
    let certificate = PeerCertificate::from_der(&der).unwrap();
    let addresses: Vec<String> = certificate.xmpp_addrs().iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["juliet@capulet.lit", "capulet.lit"]);
}

#[test]
fn sixteen_addresses_are_read_and_not_more() {
    for (named, expected) in [(16, 16), (17, 16)] {
        let der = with(|params| {
            params.subject_alt_names = (0..named)
                .map(|number| {
                    SanType::OtherName((ID_ON_XMPP_ADDR.to_vec(), format!("juliet{number}@capulet.lit").into()))
                })
                .collect();
        });
        assert_eq!(PeerCertificate::from_der(&der).unwrap().xmpp_addrs().len(), expected);
    }
}

#[test]
fn a_certificate_without_a_jid_is_fine() {
    let certificate = PeerCertificate::from_der(&with(|_| {})).unwrap();
    assert!(certificate.xmpp_addrs().is_empty());
    assert_eq!(certificate.key_description(), "Ed25519");
}

#[test]
fn only_a_tagged_utf8_string_is_an_address() {
    assert_eq!(utf8_string(b"\xa0\x05\x0c\x03a@b").as_deref(), Some("a@b"));
    for wrong in [
        &b""[..],
        b"\x0c\x03a@b",
        b"\xa0\x05\x16\x03a@b",
        b"\xa1\x05\x0c\x03a@b",
        b"\xa0\x05\x0c\x03a@b\x00",
        b"\xa0\x06\x0c\x03a@b\x00",
        b"\xa0\x05\x0c\x04a@b",
        b"\xa0\x05\x0c\x03a\xffb",
        b"\xa0\x00",
    ] {
        assert_eq!(utf8_string(wrong), None, "{wrong:02x?}");
    }
}

#[test]
fn keys_are_described_for_people() {
    for (algorithm, expected) in [
        (&rcgen::PKCS_ED25519, "Ed25519"),
        (&rcgen::PKCS_ECDSA_P256_SHA256, "ECDSA P-256"),
        (&rcgen::PKCS_ECDSA_P384_SHA384, "ECDSA P-384"),
        (&rcgen::PKCS_ECDSA_P521_SHA512, "ECDSA P-521"),
        (&rcgen::PKCS_RSA_SHA256, "RSA 2048"),
    ] {
        let pair = KeyPair::generate_for(algorithm).unwrap();
        let der = CertificateParams::default().self_signed(&pair).unwrap();
        assert_eq!(PeerCertificate::from_der(der.der()).unwrap().key_description(), expected);
    }
}

#[test]
fn validity_is_told_to_the_second() {
    let identity = juliet();
    let certificate = identity.as_peer_certificate();
    let (first, last) = (certificate.not_before() as u64, certificate.not_after() as u64);
    assert!(!certificate.is_expired(at(NOW)));
    assert!(certificate.is_expired(at(first - 1)) && !certificate.is_expired(at(first)));
    assert!(!certificate.is_expired(at(last)) && certificate.is_expired(at(last + 1)));
    assert!(certificate.is_expired(at(u64::MAX)));
}

#[test]
fn the_key_hash_is_the_same_for_all_certificates_of_a_key() {
    let identity = juliet();
    let again = crate::Identity::from_key(
        &"juliet@example.org".parse().unwrap(),
        identity.to_pem().key.expose(),
        [9; 16],
        at(NOW),
    )
    .unwrap();
    assert_ne!(again.fingerprint_sha256(), identity.fingerprint_sha256());
    assert_eq!(again.as_peer_certificate().spki_sha256(), identity.as_peer_certificate().spki_sha256());
}

/// A certificate that a stranger has filled with what steers terminals.
#[test]
fn p28_a_report_for_people_is_bounded_and_cannot_mislead() {
    let root = ca::Ca::root("CA \u{202e}evil\u{1b}[2J");
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let mut params = ca::params(&"x\u{7}".repeat(1000));
    params.serial_number = Some(vec![0x7f; 40].into());
    let texts = (0..20).map(|number| {
        let host = format!("host{number}.capulet.lit");
        (format!("juliet{number}@capulet.lit"), format!("_xmpp-client.{host}"), host)
    });
    let texts: Vec<_> = texts.collect();
    let names: Vec<_> = texts
        .iter()
        .flat_map(|(user, service, host)| [Name::Dns(host), Name::Mail(user), Name::Xmpp(user), Name::Srv(service)])
        .collect();
    params.custom_extensions = vec![ca::names(&names)];
    let certificate = PeerCertificate::from_der(&root.sign(&params, &key)).unwrap();
    assert_eq!(certificate.subject().chars().count(), 256);
    assert_eq!(certificate.issuer(), "CN=CA \\u{202e}evil\\u{1b}[2J");
    assert_eq!(certificate.serial(), "7f".repeat(32));
    for names in [certificate.dns_names(), certificate.srv_names(), certificate.email_addrs()] {
        assert_eq!(names.len(), 16);
    }
    assert_eq!(certificate.srv_names().first().unwrap(), "_xmpp-client.host0.capulet.lit");
    assert_eq!(certificate.signature_algorithm(), "ECDSA with SHA-256");
    assert!(!certificate.is_self_issued() && !certificate.is_authority());
    let report = certificate.to_string();
    assert!(report.len() < 30_000 && report.lines().count() == 64 + 9, "{report}");
    assert!(report.chars().all(|c| c == '\n' || c == '…' || c.is_ascii_graphic() || c == ' '), "{report}");
    let authority = PeerCertificate::from_der(&root.certificate).unwrap();
    assert!(authority.is_authority() && authority.is_self_issued());
    assert!(authority.to_string().contains("an authority's certificate\n"));
}

#[test]
fn names_that_are_too_long_are_left_out() {
    let named = |name: String| {
        let der = with(|params| params.subject_alt_names = vec![SanType::Rfc822Name(name.try_into().unwrap())]);
        PeerCertificate::from_der(&der).unwrap().email_addrs().len()
    };
    assert_eq!(named("x".repeat(253)), 1);
    assert_eq!(named("x".repeat(254)), 0);
    assert_eq!(named("a b".to_owned()), 0, "a space is in no such name");
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(noise in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = PeerCertificate::from_der(&noise);
    }

    #[test]
    fn no_altered_certificate_makes_the_reader_panic(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut der = juliet().certificate().to_vec();
        for (index, value) in changes {
            let at = index.index(der.len());
            *der.get_mut(at).unwrap() = value;
        }
        if let Ok(certificate) = PeerCertificate::from_der(&der) {
            prop_assert_eq!(certificate.der().as_ref(), &der[..]);
        }
    }
}

/// The same certificate with these bytes replaced, wherever they are.
fn replaced(der: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut der = der.to_vec();
    let mut count = 0;
    for at in 0..der.len() {
        if der.get(at..).unwrap().starts_with(from) {
            der.get_mut(at..at + to.len()).unwrap().copy_from_slice(to);
            count += 1;
        }
    }
    assert!(count > 0);
    der
}

#[test]
fn a_certificate_that_can_never_work_is_told_before_it_is_trusted() {
    let usable = |der: &[u8]| {
        let certificate = PeerCertificate::from_der(der).unwrap();
        (certificate.check_usable(&crate::default_provider()), certificate.key_description().to_owned())
    };
    let signed = |algorithm| {
        let pair = KeyPair::generate_for(algorithm).unwrap();
        CertificateParams::default().self_signed(&pair).unwrap().der().to_vec()
    };
    for (algorithm, name) in [
        (&rcgen::PKCS_ED25519, "Ed25519"),
        (&rcgen::PKCS_ECDSA_P256_SHA256, "ECDSA P-256"),
        (&rcgen::PKCS_ECDSA_P384_SHA384, "ECDSA P-384"),
        (&rcgen::PKCS_RSA_SHA256, "RSA 2048"),
    ] {
        assert_eq!(usable(&signed(algorithm)), (Ok(()), name.to_owned()));
    }
    let unsupported = |name: &str| (Err(CertificateFault::UnsupportedKey), name.to_owned());
    let ed448 = replaced(&signed(&rcgen::PKCS_ED25519), &[6, 3, 0x2b, 0x65, 0x70], &[6, 3, 0x2b, 0x65, 0x71]);
    assert_eq!(usable(&ed448), unsupported("Ed448"));
    let rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
    let pss = replaced(&signed(&rcgen::PKCS_RSA_SHA256), &[&rsa[..], &[1]].concat(), &[&rsa[..], &[10]].concat());
    assert_eq!(usable(&pss), unsupported("RSA-PSS"));

    let extended = |critical| {
        with(|params| {
            let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
            extension.set_criticality(critical);
            params.custom_extensions.push(extension);
        })
    };
    assert_eq!(usable(&extended(false)).0, Ok(()));
    let fault = usable(&extended(true)).0.unwrap_err();
    assert_eq!(fault, CertificateFault::UnknownExtension { oid: "1.2.3.4".to_owned() });
    assert_eq!(fault.to_string(), "it has a critical extension that is not understood: 1.2.3.4");
}
