//! Servers of an XMPP domain (RFC 6120 § 13.7.1.2).

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose};

use crate::testing::ca::{Ca, Name, expired, names};
use crate::testing::{Pair, config, juliet, romeo};
use crate::{CertificateFault, ChainFault, Identity, TlsErrorKind, Verification};

const DOMAIN: &str = "im.example.com";

/// What a client of the domain says of a server that has this certificate.
fn judged(ca: &Ca, server: &Identity, domain: &str) -> Result<(), CertificateFault> {
    let verification = Verification::Domain { authorities: ca.trusted(), domain: domain.to_owned() };
    let mut pair = Pair::new(&config(&romeo(), verification), &config(server, Verification::Deferred));
    match pair.settle() {
        Ok(()) => {
            assert!(pair.client.is_vouched_for());
            Ok(())
        }
        Err(error) => {
            let TlsErrorKind::BadCertificate { fault, .. } = error.kind() else { panic!("{error}") };
            Err(fault.clone())
        }
    }
}

fn issue(ca: &Ca, san: &[Name<'_>], change: impl FnOnce(&mut CertificateParams)) -> Identity {
    ca.issue(&[], |params| {
        params.custom_extensions.push(names(san));
        change(params);
    })
}

#[test]
fn rfc_6120_13_7_1_2_a_server_is_named_by_dns_service_or_address() {
    let ca = Ca::root("root");
    for san in [
        Name::Dns(DOMAIN),
        Name::Dns("IM.Example.COM"),
        Name::Dns("*.example.com"),
        Name::Srv("_xmpp-client.im.example.com"),
        Name::Xmpp(DOMAIN),
    ] {
        assert_eq!(judged(&ca, &issue(&ca, &[Name::Dns("other.example"), san], |_| {}), DOMAIN), Ok(()));
    }
}

#[test]
fn rfc_6125_6_4_other_names_name_nobody() {
    let ca = Ca::root("root");
    for san in [
        Name::Dns("example.com"),
        Name::Dns("x.im.example.com"),
        Name::Dns("im.example.com."),
        // A wildcard stands for the whole first label, and for one label.
        Name::Dns("i*.example.com"),
        Name::Dns("im.*.com"),
        Name::Dns("*.com"),
        Name::Dns("*.im.example.com"),
        Name::Dns("*"),
        Name::Srv("_xmpp-server.im.example.com"),
        Name::Srv("_xmpp-client.example.com"),
        Name::Srv("_xmpp-client.*.example.com"),
        Name::Xmpp("romeo@im.example.com"),
        Name::Mail("im.example.com"),
    ] {
        assert_eq!(judged(&ca, &issue(&ca, &[san], |_| {}), DOMAIN), Err(CertificateFault::WrongName));
    }
    // Nor does a common name, and nothing names what is no domain.
    let named = ca.issue(&[], |params| params.distinguished_name.push(rcgen::DnType::CommonName, DOMAIN));
    assert_eq!(judged(&ca, &named, DOMAIN), Err(CertificateFault::WrongName));
    let wildcard = issue(&ca, &[Name::Dns("*.com"), Name::Dns("*.example.com")], |_| {});
    for domain in ["", ".", "com", "example.com", "a.b.example.com", "b\u{fc}cher.example.com"] {
        assert_eq!(judged(&ca, &wildcard, domain), Err(CertificateFault::WrongName), "{domain}");
    }
}

#[test]
fn a_server_needs_an_authority_and_the_purpose_of_one() {
    let ca = Ca::root("root");
    let name = [Name::Dns(DOMAIN)];
    let chain = |fault| Err(CertificateFault::Chain(fault));
    assert_eq!(judged(&ca, &issue(&Ca::root("another"), &name, |_| {}), DOMAIN), chain(ChainFault::UnknownIssuer));
    assert_eq!(judged(&ca, &issue(&ca, &name, expired), DOMAIN), chain(ChainFault::Expired));
    assert!(judged(&ca, &juliet(), DOMAIN).is_err(), "self-signed");
    let purpose = |purpose| issue(&ca, &name, |params| params.extended_key_usages = vec![purpose]);
    assert_eq!(judged(&ca, &purpose(ExtendedKeyUsagePurpose::ServerAuth), DOMAIN), Ok(()));
    assert_eq!(judged(&ca, &purpose(ExtendedKeyUsagePurpose::ClientAuth), DOMAIN), chain(ChainFault::NotForServers));
}

#[test]
fn a_client_sends_the_servers_name_and_its_own_certificate_only_if_it_is_told_to() {
    let contains = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let server = config(&juliet(), Verification::Deferred);
    for (name, sent) in [(Some(DOMAIN), true), (None, false), (Some("10.0.0.1"), false), (Some("not a name"), false)] {
        let mut client = config(&romeo(), Verification::Deferred);
        client.server_name = name.map(str::to_owned);
        client.protocols = vec![b"xmpp-client".to_vec()];
        let mut hello = Vec::new();
        crate::TlsSession::client(&client, &mut hello).unwrap();
        assert!(contains(&hello, "\x0bxmpp-client"));
        assert_eq!(contains(&hello, name.unwrap_or(DOMAIN)), sent, "{name:?}");
        assert!(!contains(&hello, "xtls.invalid"));
    }
    let mut client = config(&romeo(), Verification::Deferred);
    client.present_certificate = false;
    let error = Pair::new(&client, &server).settle().unwrap_err();
    assert!(matches!(error.kind(), TlsErrorKind::BadCertificate { fault: CertificateFault::NoCertificate, .. }));
}
