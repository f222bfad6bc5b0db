use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, NameConstraints};
use rcgen::{DnType, GeneralSubtree, SanType};

use super::*;
use crate::testing::ca::{Ca, expired, identity, params, valid};
use crate::testing::{NOW, Pair, config, juliet, mallory, pin, romeo, tls12_alone};
use crate::{Alert, Identity, MAX_CHAIN, TlsErrorKind, TlsVersion, Verification, pem};

const JULIET: &str = "juliet@capulet.lit";

fn by(ca: &Ca, address: &str) -> Verification {
    Verification::Authorities { authorities: ca.trusted(), address: address.parse().unwrap() }
}

/// What Romeo, who believes `verification`, makes of a peer in both roles and both versions.
fn judged(verification: &Verification, peer: &Identity) -> Result<(), CertificateFault> {
    let mut results = Vec::new();
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let mut own = config(&romeo(), verification.clone());
        if version == TlsVersion::Tls12 {
            own = tls12_alone(own);
        }
        let other = config(peer, pin(&romeo()));
        for is_client in [true, false] {
            let mut pair = if is_client { Pair::new(&own, &other) } else { Pair::new(&other, &own) };
            let settled = pair.settle();
            let own = if is_client { &pair.client } else { &pair.server };
            results.push(match settled {
                Ok(()) => {
                    assert!(own.handshake_complete() && own.is_vouched_for());
                    Ok(())
                }
                Err(error) => {
                    assert!(!own.handshake_complete() && !own.is_vouched_for() && own.peer_certificate().is_none());
                    let TlsErrorKind::BadCertificate { fault, presented } = error.kind() else { panic!("{error}") };
                    assert_eq!(*presented, Some(peer.fingerprint_sha256()));
                    Err(fault.clone())
                }
            });
        }
    }
    let first = results.first().unwrap().clone();
    assert!(results.iter().all(|result| *result == first), "{results:?}");
    first
}

fn refused(verification: &Verification, peer: &Identity) -> CertificateFault {
    judged(verification, peer).unwrap_err()
}

#[test]
fn rfc_6120_13_7_1_4_whoever_an_authority_names_by_this_address_is_accepted() {
    let root = Ca::root("root");
    assert_eq!(judged(&by(&root, JULIET), &root.issue(&[JULIET], |_| {})), Ok(()));
    let several = ["nurse@capulet.lit", JULIET, "capulet.lit"];
    assert_eq!(judged(&by(&root, JULIET), &root.issue(&several, |_| {})), Ok(()));
    // RFC 7622 § 3.3: addresses are compared as they are normalised.
    assert_eq!(judged(&by(&root, "JULIET@Capulet.Lit"), &root.issue(&["Juliet@CAPULET.lit"], |_| {})), Ok(()));
}

#[test]
fn rfc_6120_13_7_1_4_whoever_is_named_otherwise_is_refused() {
    let root = Ca::root("root");
    let dns = |params: &mut CertificateParams| {
        params.subject_alt_names = vec![SanType::DnsName("capulet.lit".try_into().unwrap())];
    };
    let mail = |params: &mut CertificateParams| {
        params.subject_alt_names = vec![SanType::Rfc822Name(JULIET.try_into().unwrap())];
    };
    let common_name = |params: &mut CertificateParams| params.distinguished_name.push(DnType::CommonName, JULIET);
    for peer in [
        root.issue(&["mallory@capulet.lit"], |_| {}),
        root.issue(&["capulet.lit"], |_| {}),
        root.issue(&["juliet@capulet.lit/balcony"], |_| {}),
        root.issue(&["juliet@capulet.lit.example.org"], |_| {}),
        root.issue(&[], |_| {}),
        root.issue(&[], common_name),
        root.issue(&[], dns),
        root.issue(&[], mail),
    ] {
        assert_eq!(refused(&by(&root, JULIET), &peer), CertificateFault::WrongName);
    }
}

#[test]
fn of_sixteen_addresses_the_last_one_counts_and_the_seventeenth_does_not() {
    let root = Ca::root("root");
    let others: Vec<String> = (0..16).map(|number| format!("nurse{number}@capulet.lit")).collect();
    let mut names: Vec<&str> = others.iter().map(String::as_str).take(15).chain([JULIET]).collect();
    assert_eq!(judged(&by(&root, JULIET), &root.issue(&names, |_| {})), Ok(()));
    names.insert(0, "another@capulet.lit");
    assert_eq!(refused(&by(&root, JULIET), &root.issue(&names, |_| {})), CertificateFault::WrongName);
}

#[test]
fn a_chain_through_intermediates_is_followed() {
    let root = Ca::root("root");
    let deep = root.below("one", |_| {}).below("two", |_| {}).below("three", |_| {});
    let peer = deep.below("four", |_| {}).issue(&[JULIET], |_| {});
    assert_eq!(peer.chain().len(), MAX_CHAIN);
    assert_eq!(judged(&by(&root, JULIET), &peer), Ok(()));
}

#[test]
fn dates_count_for_every_certificate_of_the_chain() {
    let root = Ca::root("root");
    let future = |params: &mut CertificateParams| valid(params, NOW + 1, NOW + 1000);
    let expired_fault = CertificateFault::Chain(ChainFault::Expired);
    let early = CertificateFault::Chain(ChainFault::NotYetValid);
    assert_eq!(refused(&by(&root, JULIET), &root.issue(&[JULIET], expired)), expired_fault);
    assert_eq!(refused(&by(&root, JULIET), &root.below("old", expired).issue(&[JULIET], |_| {})), expired_fault);
    assert_eq!(refused(&by(&root, JULIET), &root.issue(&[JULIET], future)), early);
    assert_eq!(refused(&by(&root, JULIET), &root.below("new", future).issue(&[JULIET], |_| {})), early);
    let just = |params: &mut CertificateParams| valid(params, NOW, NOW);
    assert_eq!(judged(&by(&root, JULIET), &root.issue(&[JULIET], just)), Ok(()), "its first and last second");
}

#[test]
fn nobody_vouches_for_the_self_signed_and_those_of_other_authorities() {
    let root = Ca::root("root");
    let unknown = CertificateFault::Chain(ChainFault::UnknownIssuer);
    assert_eq!(refused(&by(&root, JULIET), &juliet()), unknown);
    assert_eq!(refused(&by(&root, JULIET), &Ca::root("another").issue(&[JULIET], |_| {})), unknown);
    // A name proves nothing.
    let twin = refused(&by(&root, JULIET), &Ca::root("root").issue(&[JULIET], |_| {}));
    assert!(matches!(twin, CertificateFault::Chain(ChainFault::BadSignature | ChainFault::UnknownIssuer)), "{twin:?}");
    // The authority in between is left out.
    let key = KeyPair::generate().unwrap();
    let whole = root.below("between", |_| {}).issue_for(&key, &[JULIET], |_| {});
    let alone = identity(whole.chain().get(..1).unwrap(), &key);
    assert_eq!(refused(&by(&root, JULIET), &alone), unknown);
    assert_eq!(judged(&by(&root, JULIET), &whole), Ok(()));
}

#[test]
fn a_peers_certificate_vouches_for_nobody_and_an_authoritys_is_no_peers() {
    let root = Ca::root("root");
    let authority = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let fault = CertificateFault::Chain(ChainFault::IsAuthority);
    assert_eq!(refused(&by(&root, JULIET), &root.issue(&[JULIET], authority)), fault);
    // Mallory has a certificate of her own, and issues one for Juliet with it.
    let key = KeyPair::generate().unwrap();
    let mallory = root.below("mallory", |params| params.is_ca = IsCa::ExplicitNoCa);
    let mut forged = params("juliet");
    forged.subject_alt_names = vec![crate::testing::ca::xmpp(JULIET)];
    let forged = mallory.sign(&forged, &key);
    let attacker = crate::testing::Presents::key_chain(vec![forged, mallory.certificate.clone()], &key);
    let fault = crate::testing::refused_by(&config(&romeo(), by(&root, JULIET)), &attacker);
    assert_eq!(fault, CertificateFault::Chain(ChainFault::IssuedByNoAuthority));
    // One that may issue for people alone has made another authority.
    let limited = root.below("limited", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let peer = limited.below("below", |_| {}).issue(&[JULIET], |_| {});
    assert_eq!(refused(&by(&root, JULIET), &peer), CertificateFault::Chain(ChainFault::IssuedByNoAuthority));
}

#[test]
fn what_a_certificate_is_meant_for_must_be_tls_if_it_says_so() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, CodeSigning, EmailProtection, ServerAuth};
    let root = Ca::root("root");
    let peer =
        |purposes: Vec<ExtendedKeyUsagePurpose>| root.issue(&[JULIET], |params| params.extended_key_usages = purposes);
    for purposes in [vec![], vec![ClientAuth], vec![ServerAuth], vec![EmailProtection, ClientAuth], vec![Any]] {
        assert_eq!(judged(&by(&root, JULIET), &peer(purposes)), Ok(()));
    }
    for purposes in [vec![CodeSigning], vec![EmailProtection, CodeSigning]] {
        assert_eq!(refused(&by(&root, JULIET), &peer(purposes)), CertificateFault::Chain(ChainFault::Purpose));
    }
}

#[test]
fn an_authority_that_is_limited_to_names_vouches_for_no_address_beyond_them() {
    let root = Ca::root("root");
    let limited = |subtrees: Vec<GeneralSubtree>| {
        root.below("limited", |params| {
            params.name_constraints =
                Some(NameConstraints { permitted_subtrees: subtrees, excluded_subtrees: Vec::new() });
        })
    };
    let capulet = limited(vec![GeneralSubtree::DnsName("capulet.lit".into())]);
    let named = |name: &'static str| {
        move |params: &mut CertificateParams| {
            params.subject_alt_names.push(SanType::DnsName(name.try_into().unwrap()));
        }
    };
    assert_eq!(judged(&by(&root, JULIET), &capulet.issue(&[JULIET], named("capulet.lit"))), Ok(()));
    let beyond = capulet.issue(&[JULIET], named("montague.lit"));
    assert_eq!(refused(&by(&root, JULIET), &beyond), CertificateFault::Chain(ChainFault::NameConstraint));
}

#[test]
fn a_pin_is_judged_by_itself_whatever_authorities_say() {
    let root = Ca::root("root");
    let issued = root.below("between", |_| {}).issue(&[JULIET], |_| {});
    // What is behind the pinned certificate does not count, and neither does who it names.
    let pair = Pair::connected(&config(&romeo(), pin(&issued)), &config(&issued, pin(&romeo())));
    assert!(!pair.client.is_vouched_for());
    let mut pair = Pair::new(&config(&romeo(), pin(&juliet())), &config(&issued, pin(&romeo())));
    let error = pair.settle().unwrap_err();
    assert!(matches!(error.kind(), TlsErrorKind::BadCertificate { fault: CertificateFault::NotPinned, .. }));
}

#[test]
fn alerts_say_what_rfc_8446_6_2_has_words_for() {
    let root = Ca::root("root");
    let alert = |peer: &Identity| {
        let mut pair = Pair::new(&config(peer, pin(&romeo())), &config(&romeo(), by(&root, JULIET)));
        pair.settle().unwrap_err().alert_sent().map(Alert::name)
    };
    assert_eq!(alert(&juliet()), Some("unknown_ca"));
    assert_eq!(alert(&root.issue(&[JULIET], expired)), Some("certificate_expired"));
    assert_eq!(alert(&root.issue(&["mallory@example.org"], |_| {})), Some("bad_certificate"));
    let authority = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    assert_eq!(alert(&root.issue(&[JULIET], authority)), Some("certificate_unknown"));
}

#[test]
fn authorities_are_read_from_pem_and_what_is_wrong_is_named() {
    let (one, other) = (Ca::root("one"), Ca::root("other\u{202e}"));
    let text = |certificates: &[&CertificateDer<'_>]| -> String {
        certificates.iter().map(|der| pem::encode("CERTIFICATE", der).to_string()).collect()
    };
    let read = Authorities::from_pem(&text(&[&one.certificate, &other.certificate])).unwrap();
    assert_eq!(read.len(), 2);
    assert_eq!(read.subjects().collect::<Vec<_>>(), ["CN=one", "CN=other\\u{202e}"]);
    assert_eq!(Authorities::from_pem("").unwrap_err(), AuthoritiesError::None);
    assert_eq!(Authorities::from_pem(juliet().to_pem().key.expose()).unwrap_err(), AuthoritiesError::None);
    let broken = "-----BEGIN CERTIFICATE-----\nM*A=\n-----END CERTIFICATE-----\n";
    assert_eq!(Authorities::from_pem(broken).unwrap_err(), AuthoritiesError::Pem);
    let error = Authorities::from_pem(&text(&[&one.certificate, mallory().certificate()])).unwrap_err();
    assert_eq!(error, AuthoritiesError::NoAuthority { number: 2 });
    let error = Authorities::from_der([&b"nonsense"[..]]).unwrap_err();
    assert_eq!(error, AuthoritiesError::Certificate { number: 1, fault: CertificateFault::Malformed });
}

#[test]
fn as_many_authorities_as_the_bound_are_taken_and_not_one_more() {
    let root = Ca::root("root").certificate;
    assert_eq!(Authorities::from_der(std::iter::repeat_n(&root, MAX_AUTHORITIES)).unwrap().len(), MAX_AUTHORITIES);
    let error = Authorities::from_der(std::iter::repeat_n(&root, MAX_AUTHORITIES + 1)).unwrap_err();
    assert_eq!(error, AuthoritiesError::TooMany);
}

#[test]
fn a_byte_order_mark_hides_no_authority() {
    let one = crate::pem::encode("CERTIFICATE", &Ca::root("One").certificate);
    let other = crate::pem::encode("CERTIFICATE", &Ca::root("Other").certificate);
    for text in [
        format!("\u{feff}{}{}", *one, *other),
        format!("{}\u{feff}{}", *one, *other),
        format!("\u{feff}\r\n{} \u{feff} {}", *one, *other),
    ] {
        let authorities = Authorities::from_pem(&text).unwrap();
        assert_eq!(authorities.subjects().collect::<Vec<_>>(), ["CN=One", "CN=Other"]);
    }
}
