use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, NameConstraints};
use rcgen::{DnType, GeneralSubtree, SanType};

use super::*;
use crate::testing::ca::{Ca, expired, identity, other_name_constraint, params, valid};
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

/// An authority below `root` that is limited to these names.
fn limited(root: &Ca, permitted: &[&str], excluded: &[&str]) -> Ca {
    let subtrees = |names: &[&str]| names.iter().map(|name| GeneralSubtree::DnsName((*name).into())).collect();
    root.below("limited", |params| {
        params.name_constraints =
            Some(NameConstraints { permitted_subtrees: subtrees(permitted), excluded_subtrees: subtrees(excluded) });
    })
}

const BEYOND: CertificateFault = CertificateFault::Chain(ChainFault::NameConstraint);

#[test]
fn an_authority_that_is_limited_to_names_vouches_for_no_address_beyond_them() {
    let root = Ca::root("root");
    let capulet = limited(&root, &["capulet.lit"], &[]);
    let named = |name: &'static str| {
        move |params: &mut CertificateParams| {
            params.subject_alt_names.push(SanType::DnsName(name.try_into().unwrap()));
        }
    };
    assert_eq!(judged(&by(&root, JULIET), &capulet.issue(&[JULIET], named("capulet.lit"))), Ok(()));
    assert_eq!(refused(&by(&root, JULIET), &capulet.issue(&[JULIET], named("montague.lit"))), BEYOND);
    // An XMPP address is held to the same, alone or beside one that may be vouched for, bare domains too.
    let romeo = "romeo@montague.lit";
    assert_eq!(refused(&by(&root, romeo), &capulet.issue(&[romeo], |_| {})), BEYOND);
    assert_eq!(refused(&by(&root, JULIET), &capulet.issue(&[JULIET, "montague.lit"], |_| {})), BEYOND);
    let below = "nurse@im.Capulet.lit";
    assert_eq!(judged(&by(&root, below), &capulet.issue(&[below], |_| {})), Ok(()));
    let nearly = "nurse@notcapulet.lit";
    assert_eq!(refused(&by(&root, nearly), &capulet.issue(&[nearly], |_| {})), BEYOND);
    // What the DNS has no name for is in no subtree.
    let host = "nurse@[2001:db8::1]";
    assert_eq!(refused(&by(&root, host), &capulet.issue(&[host], |_| {})), BEYOND);
}

#[test]
fn names_that_an_authority_must_not_vouch_for_are_held_against_addresses() {
    let root = Ca::root("root");
    let all_but_capulet = limited(&root, &[], &["capulet.lit"]);
    assert_eq!(refused(&by(&root, JULIET), &all_but_capulet.issue(&[JULIET], |_| {})), BEYOND);
    let romeo = "romeo@montague.lit";
    assert_eq!(judged(&by(&root, romeo), &all_but_capulet.issue(&[romeo], |_| {})), Ok(()));
    // By their A-labels.
    let strasse = limited(&root, &["xn--strae-oqa.example"], &[]);
    let (sharp, double) = ("a@stra\u{df}e.example", "a@strasse.example");
    assert_eq!(judged(&by(&root, sharp), &strasse.issue(&[sharp], |_| {})), Ok(()));
    assert_eq!(refused(&by(&root, double), &strasse.issue(&[double], |_| {})), BEYOND);
}

#[test]
fn the_limits_of_every_authority_of_a_chain_count() {
    let limits = |names: &[&str]| NameConstraints {
        permitted_subtrees: names.iter().map(|name| GeneralSubtree::DnsName((*name).into())).collect(),
        excluded_subtrees: Vec::new(),
    };
    let key = KeyPair::generate().unwrap();
    let mut root = params("limited root");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.name_constraints = Some(limits(&["capulet.lit"]));
    let root = Ca::self_signed(root, key);
    assert_eq!(judged(&by(&root, JULIET), &root.issue(&[JULIET], |_| {})), Ok(()));
    let romeo = "romeo@montague.lit";
    assert_eq!(refused(&by(&root, romeo), &root.issue(&[romeo], |_| {})), BEYOND, "those of the anchor");
    let wider = root.below("wider", |params| params.name_constraints = Some(limits(&["lit"])));
    assert_eq!(refused(&by(&root, romeo), &wider.issue(&[romeo], |_| {})), BEYOND, "nobody gives more than it has");
    assert_eq!(judged(&by(&root, JULIET), &wider.issue(&[JULIET], |_| {})), Ok(()));
}

/// RFC 4985 § 4 has constraints for services; nobody writes them, so none are understood.
#[test]
fn constraints_on_other_names_are_failed_closed() {
    let root = Ca::root("root");
    for inside in ["capulet.lit", "montague.lit"] {
        let limited = root.below("limited", |params| params.custom_extensions = vec![other_name_constraint(inside)]);
        assert_eq!(refused(&by(&root, JULIET), &limited.issue(&[JULIET], |_| {})), BEYOND, "{inside}");
    }
}

#[test]
fn rfc_5280_6_1_4_an_issuer_whose_key_is_not_for_certificates_vouches_for_nobody() {
    use rcgen::KeyUsagePurpose::{CrlSign, DigitalSignature, KeyCertSign};
    let root = Ca::root("root");
    let between = |usages: Vec<rcgen::KeyUsagePurpose>| root.below("between", |params| params.key_usages = usages);
    for usages in [vec![], vec![KeyCertSign], vec![DigitalSignature, KeyCertSign, CrlSign]] {
        assert_eq!(judged(&by(&root, JULIET), &between(usages).issue(&[JULIET], |_| {})), Ok(()));
    }
    for usages in [vec![DigitalSignature], vec![CrlSign], vec![DigitalSignature, CrlSign]] {
        let fault = refused(&by(&root, JULIET), &between(usages).issue(&[JULIET], |_| {}));
        assert_eq!(fault, CertificateFault::Chain(ChainFault::IssuedByNoAuthority));
    }
    // One that is given is trusted by itself.
    let mut given = params("given");
    given.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    given.key_usages = vec![DigitalSignature];
    let given = Ca::self_signed(given, KeyPair::generate().unwrap());
    assert_eq!(judged(&by(&given, JULIET), &given.issue(&[JULIET], |_| {})), Ok(()));
}

#[test]
fn rfc_8446_4_4_2_2_whoever_signs_needs_a_key_for_signatures() {
    use rcgen::KeyUsagePurpose::{DataEncipherment, DigitalSignature, KeyAgreement};
    let root = Ca::root("root");
    let peer = |usages: Vec<rcgen::KeyUsagePurpose>| root.issue(&[JULIET], |params| params.key_usages = usages);
    for usages in [vec![], vec![DigitalSignature], vec![KeyAgreement, DigitalSignature]] {
        let peer = peer(usages);
        assert_eq!(judged(&by(&root, JULIET), &peer), Ok(()));
        assert_eq!(peer.as_peer_certificate().check_usable(&crate::default_provider()), Ok(()));
    }
    for usages in [vec![KeyAgreement], vec![DataEncipherment, KeyAgreement]] {
        let peer = peer(usages);
        assert_eq!(refused(&by(&root, JULIET), &peer), CertificateFault::NotForSignatures);
        // A pin changes nothing about that: it is what the protocol asks of whoever signs.
        let mut pair = Pair::new(&config(&romeo(), pin(&peer)), &config(&peer, pin(&romeo())));
        let error = pair.settle().unwrap_err();
        let TlsErrorKind::BadCertificate { fault, .. } = error.kind() else { panic!("{error}") };
        assert_eq!(*fault, CertificateFault::NotForSignatures);
        let usable = peer.as_peer_certificate().check_usable(&crate::default_provider());
        assert_eq!(usable, Err(CertificateFault::NotForSignatures));
    }
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

mod rfc_5280;
