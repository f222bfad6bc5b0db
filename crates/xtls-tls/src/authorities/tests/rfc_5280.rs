//! What RFC 5280 asks of whoever relies on a certificate, beyond what stands beside.

use rcgen::{CustomExtension, DnType, SerialNumber};
use rustls_pki_types::CertificateDer;
use xtls_stanza::Fingerprint;

use super::{
    BEYOND, Ca, CertificateFault, CertificateParams, ChainFault, GeneralSubtree, JULIET, KeyPair, NOW, NameConstraints,
    Verification, by, config, judged, params, romeo, valid,
};

/// An extension that says nothing: not even one that is known by its number needs to be understood.
fn extension(oid: &[u64], critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, vec![5, 0]);
    extension.set_criticality(critical);
    extension
}

/// Why Romeo, who believes `verification`, refuses whoever presents this chain and has the key: what no identity of ours is.
fn refused(verification: &Verification, chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> CertificateFault {
    let presents = crate::testing::Presents::key_chain(chain, key);
    crate::testing::refused_by(&config(&romeo(), verification.clone()), &presents)
}

/// The parameters of a certificate for Juliet.
fn juliets(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = params("somebody");
    params.subject_alt_names = vec![crate::testing::ca::xmpp(JULIET)];
    change(&mut params);
    params
}

/// § 4.2, § 6.1.4 (o), § 6.1.5 (f). Policies are among what is not understood: certificatePolicies, policyMappings,
/// policyConstraints and inhibitAnyPolicy.
#[test]
fn rfc_5280_4_2_a_critical_extension_that_is_not_understood_is_refused_wherever_it_stands() {
    let root = Ca::root("root");
    for oid in [&[1, 2, 3, 4][..], &[2, 5, 29, 32], &[2, 5, 29, 33], &[2, 5, 29, 36], &[2, 5, 29, 54]] {
        let with =
            |critical| move |params: &mut CertificateParams| params.custom_extensions = vec![extension(oid, critical)];
        let name: Vec<String> = oid.iter().map(u64::to_string).collect();
        let unknown = CertificateFault::UnknownExtension { oid: name.join(".") };
        let key = KeyPair::generate().unwrap();
        let peer = root.sign(&juliets(with(true)), &key);
        assert_eq!(refused(&by(&root, JULIET), vec![peer.clone()], &key), unknown);
        let pinned = Verification::Pinned(vec![Fingerprint::sha256(&peer)]);
        assert_eq!(refused(&pinned, vec![peer], &key), unknown, "a pin changes nothing about that");
        let between = root.below("between", with(true));
        let peer = between.sign(&juliets(|_| {}), &key);
        let fault = refused(&by(&root, JULIET), vec![peer, between.certificate], &key);
        assert!(matches!(fault, CertificateFault::Chain(_)), "{fault}");
        // § 4.2: one that is not critical may be ignored.
        for peer in [root.issue(&[JULIET], with(false)), root.below("x", with(false)).issue(&[JULIET], |_| {})] {
            assert_eq!(judged(&by(&root, JULIET), &peer), Ok(()), "{oid:?}");
        }
    }
}

#[test]
fn rfc_5280_4_2_no_extension_stands_in_a_certificate_twice() {
    let root = Ca::root("root");
    // rcgen writes the names once more.
    let names = || crate::testing::ca::names(&[crate::testing::ca::Name::Xmpp(JULIET)]);
    let key = KeyPair::generate().unwrap();
    let twice = root.sign(&juliets(|params| params.custom_extensions = vec![names()]), &key);
    refused(&by(&root, JULIET), vec![twice], &key);
    let once = root.issue(&[], |params| params.custom_extensions = vec![names()]);
    assert_eq!(judged(&by(&root, JULIET), &once), Ok(()));
}

#[test]
fn rfc_5280_4_1_2_2_serial_numbers_of_twenty_octets_are_handled() {
    let root = Ca::root("root");
    for serial in [vec![1], vec![0x7f; 20]] {
        let peer = root.issue(&[JULIET], |params| params.serial_number = Some(SerialNumber::from_slice(&serial)));
        assert_eq!(judged(&by(&root, JULIET), &peer), Ok(()));
    }
}

#[test]
fn rfc_5280_4_1_2_5_dates_go_as_far_as_the_year_9999() {
    // 9999-12-31T23:59:59Z, which stands for no end (§ 4.1.2.5); 2049 and 2050 are written in two ways.
    const NEVER: u64 = 253_402_300_799;
    let root = Ca::root("root");
    for end in [2_524_607_999, 2_524_608_000, NEVER] {
        let peer = root.issue(&[JULIET], |params| valid(params, NOW, end));
        assert_eq!(judged(&by(&root, JULIET), &peer), Ok(()));
        assert_eq!(u64::try_from(peer.as_peer_certificate().not_after()), Ok(end));
    }
}

/// § 4.2.1.10: what cannot be processed is refused, and so are limits on names that nothing here is judged by.
#[test]
fn rfc_5280_4_2_1_10_constraints_on_names_of_other_forms_fail_closed_where_such_names_are() {
    let root = Ca::root("root");
    let mut subject = rcgen::DistinguishedName::new();
    subject.push(DnType::OrganizationName, "Capulet");
    let limited = root.below("limited", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DirectoryName(subject.clone())],
            excluded_subtrees: Vec::new(),
        });
    });
    assert_eq!(judged(&by(&root, JULIET), &limited.issue(&[JULIET], |_| {})), Err(BEYOND));
}

/// § 6.1.3 (a) (1) and (4): each is signed by the one above, and names it as its issuer.
#[test]
fn rfc_5280_6_1_3_each_certificate_names_and_is_signed_by_the_one_above_it() {
    let root = Ca::root("root");
    let (one, other) = (root.below("one", |_| {}), root.below("other", |_| {}));
    let key = KeyPair::generate().unwrap();
    let issued = one.issue_for(&key, &[JULIET], |_| {});
    assert_eq!(judged(&by(&root, JULIET), &issued), Ok(()));
    let below =
        |issuer: &Ca| refused(&by(&root, JULIET), vec![issued.chain()[0].clone(), issuer.certificate.clone()], &key);
    assert_eq!(below(&other), CertificateFault::Chain(ChainFault::UnknownIssuer));
    // Of the same name, with another key.
    let fault = below(&root.below("one", |_| {}));
    assert!(matches!(fault, CertificateFault::Chain(ChainFault::BadSignature | ChainFault::UnknownIssuer)), "{fault}");
}
