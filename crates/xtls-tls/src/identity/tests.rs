use rcgen::{CertificateParams, KeyPair, RsaKeySize};

use super::issue::LAST_DATE;
use super::*;
use crate::certificate::CertificateFault;
use crate::testing::ca::{Ca, params};
use crate::testing::{NOW, Pair, at, config, juliet, pin, romeo, tls12_alone};
use crate::{TlsVersion, Verification};

/// RFC 8410 § 10.3: an Ed25519 private key.
const ED25519_KEY: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";

const KINDS: [KeyAlgorithm; 3] = [KeyAlgorithm::EcdsaP256, KeyAlgorithm::Ed25519, KeyAlgorithm::Rsa3072];

fn jid() -> BareJid {
    "juliet@capulet.lit".parse().unwrap()
}

#[test]
fn a_generated_certificate_names_the_jid_and_nobody() {
    for kind in KINDS {
        let identity = Identity::generate(&jid(), kind, at(NOW)).unwrap();
        assert_eq!(identity.key_algorithm(), Some(kind));
        let certificate = identity.as_peer_certificate();
        assert_eq!(certificate.xmpp_addrs(), [jid()]);
        assert_eq!(certificate.key_description(), kind.to_string());
        let now = i64::try_from(NOW).unwrap();
        assert_eq!(certificate.not_before(), now - 24 * 3600);
        assert_eq!(certificate.not_after(), now + 3653 * 24 * 3600);
        assert_eq!(identity.not_after(), certificate.not_after());

        let (_, x509) = x509_parser::parse_x509_certificate(identity.certificate()).unwrap();
        assert_eq!(x509.version(), x509_parser::x509::X509Version::V3);
        assert_eq!(x509.subject().to_string(), "CN=XTLS");
        assert_eq!(x509.issuer().to_string(), "CN=XTLS");
        assert_eq!(x509.extensions().len(), 1, "the subject alternative name alone");
        assert!(
            x509.raw_serial().len() == 16 && x509.raw_serial().first().is_some_and(|byte| (0x40..0x80).contains(byte))
        );
    }
}

#[test]
fn two_generated_identities_share_neither_key_nor_serial() {
    let serial = |identity: &Identity| {
        let (_, x509) = x509_parser::parse_x509_certificate(identity.certificate()).unwrap();
        x509.raw_serial().to_vec()
    };
    assert_ne!(serial(&romeo()), serial(&juliet()));
    assert_ne!(romeo().as_peer_certificate().spki_sha256(), juliet().as_peer_certificate().spki_sha256());
}

#[test]
fn an_ed25519_certificate_for_a_given_key_is_always_the_same() {
    let make = |serial, now| Identity::from_key(&jid(), ED25519_KEY, [serial; 16], at(now)).unwrap();
    assert_eq!(make(7, NOW).certificate(), make(7, NOW).certificate());
    assert_ne!(make(7, NOW).certificate(), make(8, NOW).certificate());
    assert_ne!(make(7, NOW).certificate(), make(7, NOW + 1).certificate());
    assert_eq!(make(0, NOW).key_algorithm(), Some(KeyAlgorithm::Ed25519));
    // A serial of zeros would not be a valid one.
    make(0, NOW);
    make(255, NOW);
}

#[test]
fn an_identity_reads_back_from_pem() {
    for kind in KINDS {
        let identity = Identity::generate(&jid(), kind, at(NOW)).unwrap();
        let pem = identity.to_pem();
        let read = Identity::from_pem(&pem.certificate, pem.key.expose()).unwrap();
        assert_eq!(read.certificate(), identity.certificate());
        assert_eq!(read.key_algorithm(), Some(kind));
        assert_eq!(read.to_pem().key.expose(), pem.key.expose());
        assert!(pem.certificate.lines().all(|line| line.len() <= 64));

        let both = format!("{}{}", pem.key.expose(), pem.certificate);
        assert_eq!(
            Identity::from_pem(&both, &both).unwrap().certificate(),
            identity.certificate(),
            "one file for both"
        );
    }
}

#[test]
fn every_kind_of_key_goes_through_a_handshake_in_both_roles_and_versions() {
    for kind in KINDS {
        let identity = Identity::generate(&jid(), kind, at(NOW)).unwrap();
        for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
            let (mut own, other) = (config(&identity, pin(&romeo())), config(&romeo(), pin(&identity)));
            if version == TlsVersion::Tls12 {
                own = tls12_alone(own);
            }
            for (client, server) in [(&own, &other), (&other, &own)] {
                let pair = Pair::connected(client, server);
                assert_eq!(pair.server.parameters().unwrap().version, version, "{kind}");
            }
        }
    }
}

#[test]
fn a_chain_reads_back_from_pem_and_is_presented() {
    let root = Ca::root("root");
    let identity = root.below("one", |_| {}).below("two", |_| {}).issue(&["juliet@capulet.lit"], |_| {});
    assert_eq!(identity.chain().len(), 3);
    assert_eq!(identity.chain().first(), Some(identity.certificate()));
    let pem = identity.to_pem();
    let read = Identity::from_pem(&pem.certificate, pem.key.expose()).unwrap();
    assert_eq!(read.chain(), identity.chain());
    let trusted =
        Verification::Authorities { authorities: root.trusted(), address: "juliet@capulet.lit".parse().unwrap() };
    Pair::connected(&config(&romeo(), trusted), &config(&read, pin(&romeo())));
}

#[test]
fn five_certificates_are_a_chain_and_six_are_too_many() {
    let four = Ca::root("root").below("1", |_| {}).below("2", |_| {}).below("3", |_| {});
    assert_eq!(four.below("4", |_| {}).issue(&[], |_| {}).chain().len(), MAX_CHAIN);
    let five = four.below("4", |_| {}).below("5", |_| {});
    let key = KeyPair::generate().unwrap();
    let (own, key) = (five.sign(&params("own"), &key), pem::encode("PRIVATE KEY", key.serialized_der()));
    let text: String =
        [vec![own], five.above.clone()].concat().iter().map(|d| pem::encode("CERTIFICATE", d).to_string()).collect();
    assert_eq!(Identity::from_pem(&text, &key).unwrap_err(), IdentityError::ChainTooLong);
}

#[test]
fn certificates_that_would_not_fit_a_handshake_together_are_too_long() {
    let root = Ca::root("root");
    let padding = |bytes: usize| {
        move |params: &mut CertificateParams| {
            let content = vec![0; bytes];
            params.custom_extensions.push(rcgen::CustomExtension::from_oid_content(&[1, 2, 3, 4], content));
        }
    };
    let key = KeyPair::generate().unwrap();
    let key_pem = pem::encode("PRIVATE KEY", key.serialized_der());
    let between = root.below("1", padding(15_000)).below("2", padding(15_000)).below("3", padding(15_000));
    let with = |bytes: usize| {
        let mut params = params("own");
        padding(bytes)(&mut params);
        let chain = [vec![between.sign(&params, &key)], between.above.clone()].concat();
        let total: usize = chain.iter().map(|der| der.len()).sum();
        let text: String = chain.iter().map(|der| pem::encode("CERTIFICATE", der).to_string()).collect();
        (total, Identity::from_pem(&text, &key_pem))
    };
    // A signature has a length of its own each time.
    let most = 1000 + MAX_CHAIN_BYTES - with(1000).0;
    let (total, fits) =
        (most - 8..).map(with).find(|(total, _)| (MAX_CHAIN_BYTES - 4..=MAX_CHAIN_BYTES).contains(total)).unwrap();
    let identity = fits.unwrap();
    assert_eq!(identity.chain().iter().map(|der| der.len()).sum::<usize>(), total);
    Pair::connected(&config(&romeo(), pin(&identity)), &config(&identity, pin(&romeo())));
    let (_, over) = (most..).map(with).find(|(total, _)| *total > MAX_CHAIN_BYTES).unwrap();
    assert_eq!(over.unwrap_err(), IdentityError::ChainTooLong);
}

#[test]
fn rsa_keys_that_were_made_elsewhere_are_read() {
    for (size, kind) in [(RsaKeySize::_2048, None), (RsaKeySize::_3072, Some(KeyAlgorithm::Rsa3072))] {
        let pair = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).unwrap();
        let key = pem::encode("PRIVATE KEY", pair.serialized_der());
        let identity = Identity::from_key(&jid(), &key, [1; 16], at(NOW)).unwrap();
        assert_eq!(identity.key_algorithm(), kind);
        Pair::connected(&config(&romeo(), pin(&identity)), &config(&identity, pin(&romeo())));
    }
}

#[test]
fn importing_says_what_is_wrong() {
    let good = juliet().to_pem();
    let other = romeo().to_pem();
    let error = |certificate: &str, key: &str| Identity::from_pem(certificate, key).unwrap_err();
    assert_eq!(error("", good.key.expose()), IdentityError::NoCertificate);
    assert_eq!(error(good.key.expose(), good.key.expose()), IdentityError::NoCertificate);
    assert_eq!(error(&good.certificate, ""), IdentityError::NoKey);
    assert_eq!(error(&good.certificate, &good.certificate), IdentityError::NoKey);
    assert_eq!(error(&good.certificate, other.key.expose()), IdentityError::KeyMismatch);
    assert_eq!(error(&good.certificate, ED25519_KEY), IdentityError::KeyMismatch);
    let chain = format!("{}{}", good.certificate, other.certificate);
    assert_eq!(error(&chain, good.key.expose()), IdentityError::BrokenChain, "nobody's authority");
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert_eq!(error(&good.certificate, encrypted), IdentityError::EncryptedKey);
    let nonsense = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
    assert_eq!(error(&good.certificate, nonsense), IdentityError::UnsupportedKey);
    let broken = "-----BEGIN PRIVATE KEY-----\nM*A=\n-----END PRIVATE KEY-----\n";
    assert_eq!(error(&good.certificate, broken), IdentityError::Pem);
    assert_eq!(error(&good.certificate.replace("-----END", "-----FIN"), good.key.expose()), IdentityError::Pem);
    let not_x509 = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    assert_eq!(error(not_x509, good.key.expose()), IdentityError::Certificate(CertificateFault::Malformed));
}

#[test]
fn a_key_of_another_kind_is_not_supported() {
    let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let key = pem::encode("PRIVATE KEY", pair.serialized_der());
    let certificate = CertificateParams::default().self_signed(&pair).unwrap();
    let certificate = pem::encode("CERTIFICATE", certificate.der());
    assert_eq!(Identity::from_pem(&certificate, &key).unwrap_err(), IdentityError::UnsupportedKey);
    assert_eq!(Identity::from_key(&jid(), &key, [1; 16], at(NOW)).unwrap_err(), IdentityError::UnsupportedKey);
}

#[test]
fn dates_that_a_certificate_cannot_express_are_refused() {
    let make = |now| Identity::from_key(&jid(), ED25519_KEY, [1; 16], at(now));
    assert_eq!(make(LAST_DATE).unwrap().not_after(), 253_402_300_799);
    assert_eq!(make(LAST_DATE + 1).unwrap_err(), IdentityError::DateOutOfRange);
    assert_eq!(make(u64::MAX).unwrap_err(), IdentityError::DateOutOfRange);
    assert_eq!(make(0).unwrap().as_peer_certificate().not_before(), 0, "no date before 1970");
}

#[test]
fn fingerprints_are_announced_sha1_first() {
    let [first, second] = juliet().announced_fingerprints();
    assert_eq!(first, juliet().fingerprint(HashAlgo::Sha1).unwrap());
    assert_eq!(second, juliet().fingerprint_sha256());
    assert!(first.matches(juliet().certificate()) && second.matches(juliet().certificate()));
    assert_eq!(juliet().fingerprint(HashAlgo::Md5), None);
}

#[test]
fn l06_debug_shows_nothing_of_the_key() {
    let identity = Identity::from_key(&jid(), ED25519_KEY, [1; 16], at(NOW)).unwrap();
    let text =
        format!("{identity:?} {identity:#?} {:?} {:?}", identity.to_pem(), config(&identity, Verification::Deferred));
    // The beginning of the key as PEM, hexadecimal and a list of bytes.
    for canary in ["MC4CAQ", "NTuctv5", "d4ee72db", "D4EE72DB", "212, 238, 114, 219"] {
        assert!(!text.contains(canary), "{canary} in {text}");
    }
    assert!(text.contains(&identity.fingerprint_sha256().to_string()));
}
