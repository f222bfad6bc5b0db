use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType};
use rcgen::{GeneralSubtree, NameConstraints};
use rustls::{Connection, SupportedCipherSuite};

use super::*;
use crate::testing::ca::{Ca, Name, expired, identity, names, params, valid};
use crate::testing::{NOW, Noon, Pair, Presents, romeo};
use crate::{Alert, CertificateFault, ChainFault, ExportError, MAX_CHAIN, TlsErrorKind, TlsSession, default_provider};

const CAPULET: &str = "capulet.lit";

fn towards(domain: &str, verification: ServerVerification) -> TowardsServer {
    TowardsServer::new(DomainPart::new(domain).unwrap(), default_provider(), Arc::new(Noon), verification)
}

fn by(ca: &Ca) -> ServerVerification {
    ServerVerification::Authorities(ca.trusted())
}

fn server(identity: &Identity, verification: ClientVerification) -> TowardsClient {
    TowardsClient::new(identity.clone(), default_provider(), Arc::new(Noon), verification)
}

fn tls12(provider: &Arc<CryptoProvider>) -> Arc<CryptoProvider> {
    let mut provider = (**provider).clone();
    provider.cipher_suites.retain(|suite| matches!(suite, SupportedCipherSuite::Tls12(_)));
    Arc::new(provider)
}

fn pair(client: &TowardsServer, server: &TowardsClient) -> Pair {
    let mut to_server = Vec::new();
    let client = TlsSession::towards_server(client, &mut to_server).unwrap();
    Pair::of(client, TlsSession::towards_client(server).unwrap(), to_server)
}

fn connected(client: &TowardsServer, server: &TowardsClient) -> Pair {
    let mut pair = pair(client, server);
    pair.settle().unwrap();
    assert!(pair.client.handshake_complete() && pair.server.handshake_complete());
    pair
}

/// A server's certificate with these names.
fn named(ca: &Ca, san: &[Name<'_>]) -> Identity {
    ca.issue(&[], |params| params.custom_extensions.push(names(san)))
}

/// A server's certificate for `capulet.lit`, changed.
fn changed(ca: &Ca, change: impl FnOnce(&mut CertificateParams)) -> Identity {
    ca.issue(&[], |params| {
        params.subject_alt_names = vec![SanType::DnsName(CAPULET.try_into().unwrap())];
        change(params);
    })
}

/// What a client makes of a server in both versions, with a certificate of its own and without: why it refused it, and the
/// alert that the server got.
fn judged(config: &TowardsServer, identity: &Identity) -> Result<(), (CertificateFault, &'static str)> {
    let vouched = matches!(config.verification, ServerVerification::Authorities(_));
    let mut results = Vec::new();
    for old in [false, true] {
        for own in [None, Some(romeo())] {
            let mut config = config.clone();
            config.identity.clone_from(&own);
            if old {
                config.provider = tls12(&config.provider);
            }
            let mut pair = pair(&config, &server(identity, ClientVerification::Deferred));
            results.push(match pair.settle() {
                Ok(()) => {
                    assert!(pair.client.handshake_complete() && pair.server.handshake_complete());
                    assert_eq!(pair.client.is_vouched_for(), vouched);
                    assert_eq!(pair.client.peer_certificate(), Some(identity.as_peer_certificate()));
                    assert_eq!(pair.server.peer_certificate(), own.as_ref().map(Identity::as_peer_certificate));
                    assert_eq!(pair.client.parameters(), pair.server.parameters());
                    let version = if old { TlsVersion::Tls12 } else { TlsVersion::Tls13 };
                    assert_eq!(pair.client.parameters().unwrap().version, version);
                    Ok(())
                }
                Err(error) => {
                    assert!(!pair.client.handshake_complete() && !pair.client.is_vouched_for());
                    assert!(pair.client.peer_certificate().is_none() && pair.client_plaintext.is_empty());
                    let TlsErrorKind::BadCertificate { fault, presented } = error.kind() else { panic!("{error}") };
                    assert_eq!(*presented, Some(identity.fingerprint_sha256()));
                    let heard = pair.server.read(&pair.to_server, &mut Vec::new(), &mut Vec::new()).unwrap_err();
                    let alert = error.alert_sent().unwrap();
                    assert_eq!(*heard.kind(), TlsErrorKind::AlertReceived(alert));
                    Err((fault.clone(), alert.name()))
                }
            });
        }
    }
    let first = results.first().unwrap().clone();
    assert!(results.iter().all(|result| *result == first), "{results:?}");
    first
}

fn is_named(ca: &Ca, domain: &str, san: &[Name<'_>]) -> bool {
    let identity = named(ca, san);
    let is_named = match judged(&towards(domain, by(ca)), &identity) {
        Ok(()) => true,
        Err((CertificateFault::WrongServer { .. }, "bad_certificate")) => false,
        Err(other) => panic!("{other:?}"),
    };
    assert_eq!(identity.as_peer_certificate().names_server_of(&DomainPart::new(domain).unwrap()), is_named);
    is_named
}

#[test]
fn rfc_6120_13_7_1_2_a_server_is_named_by_dns_service_or_address() {
    let root = Ca::root("root");
    for good in [Name::Dns(CAPULET), Name::Dns("CAPULET.Lit"), Name::Srv("_xmpp-client.capulet.lit")] {
        assert!(is_named(&root, CAPULET, &[good]));
    }
    assert!(is_named(&root, CAPULET, &[Name::Srv("_XMPP-Client.Capulet.LIT"), Name::Dns("x.lit")]));
    assert!(is_named(&root, CAPULET, &[Name::Xmpp(CAPULET)]));
    assert!(is_named(&root, "Capulet.LIT", &[Name::Dns("montague.lit"), Name::Xmpp("CAPULET.lit")]));
    // Behind more names than are shown.
    let many: Vec<String> = (0..40).map(|number| format!("host{number}.lit")).collect();
    let many: Vec<_> = many.iter().map(|name| Name::Dns(name)).chain([Name::Dns(CAPULET)]).collect();
    assert!(is_named(&root, CAPULET, &many));
}

#[test]
fn rfc_6120_13_7_2_1_other_names_are_no_server_of_this_domain() {
    let root = Ca::root("root");
    for bad in [
        Name::Dns("montague.lit"),
        Name::Dns("capulet.lit.example"),
        Name::Dns("xmpp.capulet.lit"),
        Name::Dns("lit"),
        Name::Dns("_xmpp-client.capulet.lit"),
        Name::Srv("_xmpp-server.capulet.lit"),
        Name::Srv("_xmpp-client.montague.lit"),
        Name::Srv(CAPULET),
        Name::Xmpp("juliet@capulet.lit"),
        Name::Xmpp("capulet.lit/balcony"),
        Name::Xmpp("montague.lit"),
        Name::Mail("juliet@capulet.lit"),
    ] {
        assert!(!is_named(&root, CAPULET, &[bad]));
    }
}

#[test]
fn rfc_6125_6_4_3_a_wildcard_is_one_whole_left_most_label() {
    let root = Ca::root("root");
    assert!(is_named(&root, "im.capulet.lit", &[Name::Dns("*.capulet.lit")]));
    assert!(is_named(&root, "IM.capulet.lit", &[Name::Dns("*.CAPULET.lit")]));
    for (domain, wildcard) in [
        ("a.im.capulet.lit", "*.capulet.lit"),
        (CAPULET, "*.capulet.lit"),
        ("foo.capulet.lit", "f*.capulet.lit"),
        ("foo.capulet.lit", "*o.capulet.lit"),
        ("foo.capulet.lit", "foo.*.lit"),
        ("foo.capulet.lit", "*.*.lit"),
        (CAPULET, "*.lit"),
        ("foo.capulet.lit", "*"),
        ("foo.capulet.lit", "*."),
    ] {
        assert!(!is_named(&root, domain, &[Name::Dns(wildcard)]), "{wildcard} for {domain}");
    }
    for other in [Name::Srv("_xmpp-client.*.capulet.lit"), Name::Srv("*.capulet.lit"), Name::Xmpp("*.capulet.lit")] {
        assert!(!is_named(&root, "im.capulet.lit", &[other]), "DNS names alone have wildcards");
    }
}

#[test]
fn rfc_6125_6_4_2_internationalized_names_are_compared_by_their_a_labels() {
    let root = Ca::root("root");
    for domain in ["bücher.example", "BÜCHER.example", "xn--bcher-kva.example"] {
        assert!(is_named(&root, domain, &[Name::Dns("XN--bcher-kva.example")]));
        assert!(is_named(&root, domain, &[Name::Srv("_xmpp-client.xn--bcher-kva.example")]));
        assert!(is_named(&root, domain, &[Name::Xmpp("bücher.example")]));
        assert!(!is_named(&root, domain, &[Name::Dns("bucher.example")]));
    }
}

#[test]
fn an_authority_that_is_limited_to_names_vouches_for_no_server_beyond_them_by_any_form_of_name() {
    let root = Ca::root("root");
    let limited = root.below("limited", |params| {
        let subtree = |name: &str| vec![GeneralSubtree::DnsName(name.into())];
        params.name_constraints =
            Some(NameConstraints { permitted_subtrees: subtree("lit"), excluded_subtrees: subtree("capulet.lit") });
    });
    let beyond = Err((CertificateFault::Chain(ChainFault::NameConstraint), "certificate_unknown"));
    for san in [Name::Dns(CAPULET), Name::Srv("_xmpp-client.capulet.lit"), Name::Xmpp(CAPULET)] {
        let identity = named(&limited, &[san]);
        assert_eq!(judged(&towards(CAPULET, by(&root)), &identity), beyond);
    }
    // Beside a name that is good, and for another service, too.
    let both = named(&limited, &[Name::Dns("montague.lit"), Name::Srv("_imap.im.CAPULET.lit")]);
    assert_eq!(judged(&towards("montague.lit", by(&root)), &both), beyond);
    for san in [Name::Dns("montague.lit"), Name::Srv("_xmpp-client.montague.lit"), Name::Xmpp("Montague.lit")] {
        let identity = named(&limited, &[san]);
        assert_eq!(judged(&towards("montague.lit", by(&root)), &identity), Ok(()));
    }
}

#[test]
fn a_domain_that_is_an_address_is_named_by_that_address_alone() {
    let root = Ca::root("root");
    let with = |address: &str| {
        root.issue(&[], |params| params.subject_alt_names = vec![SanType::IpAddress(address.parse().unwrap())])
    };
    assert_eq!(judged(&towards("192.0.2.1", by(&root)), &with("192.0.2.1")), Ok(()));
    assert_eq!(judged(&towards("[2001:db8::1]", by(&root)), &with("2001:db8::1")), Ok(()));
    let refused = |domain: &str, identity: &Identity| {
        let (fault, _) = judged(&towards(domain, by(&root)), identity).unwrap_err();
        assert!(matches!(fault, CertificateFault::WrongServer { .. }), "{fault:?}");
    };
    refused("192.0.2.1", &with("192.0.2.2"));
    refused("192.0.2.1", &with("::ffff:192.0.2.1"));
    refused(CAPULET, &with("192.0.2.1"));
    refused("192.0.2.1", &named(&root, &[Name::Dns("192.0.2.1"), Name::Xmpp("192.0.2.1")]));
}

/// A server's certificate that its owner has made, for `capulet.lit`, and changed.
fn self_made(change: impl FnOnce(&mut CertificateParams)) -> (KeyPair, CertificateParams) {
    let key = KeyPair::generate().unwrap();
    let mut params = params("capulet");
    params.subject_alt_names = vec![SanType::DnsName(CAPULET.try_into().unwrap())];
    change(&mut params);
    (key, params)
}

fn pem(der: &[u8]) -> String {
    crate::pem::encode("CERTIFICATE", der).to_string()
}

/// As it is presented, and as those have it who were given it beside an authority.
fn given(change: impl FnOnce(&mut CertificateParams)) -> (Identity, ServerVerification) {
    let (key, params) = self_made(change);
    let certificate = params.self_signed(&key).unwrap();
    let text = pem(&Ca::root("root").certificate) + &pem(certificate.der());
    let authorities = Authorities::from_pem_with_servers(&text).unwrap();
    assert_eq!(authorities.len(), 2);
    (identity(&[certificate.into()], &key), ServerVerification::Authorities(Arc::new(authorities)))
}

/// What `openssl req -x509` and Prosody's generator make says that it is an authority's, and has no key usage.
#[test]
fn a_server_certificate_that_is_given_itself_is_good_whether_it_says_that_it_is_an_authoritys_or_not() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, CodeSigning, ServerAuth};
    let unconstrained = IsCa::Ca(BasicConstraints::Unconstrained);
    for is_ca in [unconstrained, IsCa::Ca(BasicConstraints::Constrained(0)), IsCa::ExplicitNoCa, IsCa::NoCa] {
        let made = |change: &dyn Fn(&mut CertificateParams)| {
            let (identity, given) = given(|params| {
                params.is_ca = is_ca;
                change(params);
            });
            judged(&towards(CAPULET, given), &identity)
        };
        assert_eq!(made(&|_| {}), Ok(()), "{is_ca:?}");
        // Dates, purposes and names count as in any other.
        let chain = |fault, alert| Err((CertificateFault::Chain(fault), alert));
        assert_eq!(made(&|params| expired(params)), chain(ChainFault::Expired, "certificate_expired"));
        let future = made(&|params| valid(params, NOW + 1, NOW + 1000));
        assert_eq!(future, chain(ChainFault::NotYetValid, "certificate_expired"));
        assert_eq!(made(&|params| valid(params, NOW, NOW)), Ok(()), "its first and last second");
        for good in [vec![ServerAuth], vec![Any], vec![ClientAuth, ServerAuth]] {
            assert_eq!(made(&|params| params.extended_key_usages = good.clone()), Ok(()));
        }
        for bad in [vec![ClientAuth], vec![CodeSigning]] {
            let judged = made(&|params| params.extended_key_usages = bad.clone());
            assert_eq!(judged, chain(ChainFault::NotForServers, "certificate_unknown"));
        }
        let (identity, given) = given(|params| params.is_ca = is_ca);
        let elsewhere = judged(&towards("montague.lit", given), &identity);
        assert!(matches!(elsewhere, Err((CertificateFault::WrongServer { .. }, _))), "{elsewhere:?}");
    }
    // Another certificate with the same names, which was not given, is not accepted.
    let (_, trusted) = given(|params| params.is_ca = unconstrained);
    let (another, _) = given(|params| params.is_ca = unconstrained);
    assert!(judged(&towards(CAPULET, trusted), &another).is_err());
}

#[test]
fn a_server_certificate_that_is_given_itself_vouches_for_no_other() {
    let (key, params) = self_made(|params| params.is_ca = IsCa::ExplicitNoCa);
    let certificate = params.self_signed(&key).unwrap();
    let text = pem(certificate.der());
    assert_eq!(Authorities::from_pem(&text).unwrap_err(), crate::AuthoritiesError::NoAuthority { number: 1 });
    let given = ServerVerification::Authorities(Arc::new(Authorities::from_pem_with_servers(&text).unwrap()));
    let below_key = KeyPair::generate().unwrap();
    let (_, below) = self_made(|_| {});
    let below = below.signed_by(&below_key, &rcgen::Issuer::new(params, key)).unwrap();
    assert!(judged(&towards(CAPULET, given), &identity(&[below.into()], &below_key)).is_err());
}

#[test]
fn faults_say_what_is_wrong_and_alerts_what_rfc_8446_6_2_has_words_for() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, CodeSigning, ServerAuth};
    let root = Ca::root("root");
    let config = towards(CAPULET, by(&root));
    let chain = |fault, alert| Err((CertificateFault::Chain(fault), alert));
    let future = |params: &mut CertificateParams| valid(params, NOW + 1, NOW + 1000);
    assert_eq!(judged(&config, &changed(&root, expired)), chain(ChainFault::Expired, "certificate_expired"));
    assert_eq!(judged(&config, &changed(&root, future)), chain(ChainFault::NotYetValid, "certificate_expired"));
    let below = changed(&root.below("old", expired), |_| {});
    assert_eq!(judged(&config, &below), chain(ChainFault::Expired, "certificate_expired"));

    let unknown = changed(&Ca::root("another"), |_| {});
    assert_eq!(judged(&config, &unknown), chain(ChainFault::UnknownIssuer, "unknown_ca"));
    let key = KeyPair::generate().unwrap();
    let mut own = params("capulet");
    own.subject_alt_names = vec![SanType::DnsName(CAPULET.try_into().unwrap())];
    let own = identity(&[own.self_signed(&key).unwrap().into()], &key);
    assert_eq!(judged(&config, &own), chain(ChainFault::SelfSigned, "unknown_ca"));
    let (own, _) = given(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(judged(&config, &own), chain(ChainFault::SelfSigned, "unknown_ca"));

    let purposes = |purposes: Vec<ExtendedKeyUsagePurpose>| {
        judged(&config, &changed(&root, |params| params.extended_key_usages = purposes))
    };
    for good in [vec![], vec![ServerAuth], vec![Any], vec![ClientAuth, ServerAuth]] {
        assert_eq!(purposes(good), Ok(()));
    }
    for bad in [vec![ClientAuth], vec![CodeSigning]] {
        assert_eq!(purposes(bad), chain(ChainFault::NotForServers, "certificate_unknown"));
    }
    let authority = changed(&root, |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(judged(&config, &authority), chain(ChainFault::IsAuthority, "certificate_unknown"));

    let (fault, alert) = judged(&config, &root.issue(&[], |_| {})).unwrap_err();
    assert_eq!((fault.to_string().as_str(), alert), ("it names no server", "bad_certificate"));
    let other = named(&root, &[Name::Dns("a.lit"), Name::Srv("_xmpp-client.b.lit"), Name::Xmpp("c.lit")]);
    let (fault, _) = judged(&config, &other).unwrap_err();
    assert_eq!(fault.to_string(), "it was issued for another server: a.lit, _xmpp-client.b.lit, c.lit");
    let many: Vec<String> = (0..17).map(|number| format!("host{number}.lit")).collect();
    let many: Vec<_> = many.iter().map(|name| Name::Dns(name)).chain([Name::Srv("_x.y")]).collect();
    let (fault, _) = judged(&config, &named(&root, &many)).unwrap_err();
    let CertificateFault::WrongServer { named } = fault else { panic!("{fault}") };
    assert_eq!((named.len(), named.last().map(String::as_str)), (16, Some("host15.lit")));
}

#[test]
fn rfc_6125_6_4_4_a_common_name_names_no_server() {
    let root = Ca::root("root");
    let common = root.issue(&[], |params| params.distinguished_name.push(DnType::CommonName, CAPULET));
    let fault = CertificateFault::WrongServer { named: Vec::new() };
    assert_eq!(judged(&towards(CAPULET, by(&root)), &common), Err((fault, "bad_certificate")));
}

/// A server of rustls that presents a chain that is no identity of ours.
fn refused(config: &TowardsServer, attacker: &Arc<Presents>) -> CertificateFault {
    let faults = Presents::versions().map(|versions| {
        let mut out = Vec::new();
        let mut session = TlsSession::towards_server(config, &mut out).unwrap();
        let mut server = attacker.server(versions);
        let answer = feed(&mut server, &out);
        let error = session.read(&answer, &mut Vec::new(), &mut out).unwrap_err();
        assert!(!session.handshake_complete());
        let TlsErrorKind::BadCertificate { fault, .. } = error.kind() else { panic!("{error}") };
        assert_eq!(error.alert_sent().map(Alert::name), Some("bad_certificate"));
        fault.clone()
    });
    assert_eq!(faults[0], faults[1]);
    faults[0].clone()
}

fn feed(server: &mut Connection, mut bytes: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    while !bytes.is_empty() {
        server.read_tls(&mut bytes).unwrap();
        server.process_new_packets().unwrap();
    }
    while server.wants_write() {
        server.write_tls(&mut answer).unwrap();
    }
    answer
}

#[test]
fn a_chain_as_long_as_the_bound_is_taken_and_not_one_more_however_it_is_judged() {
    let root = Ca::root("root");
    let deep = root.below("one", |_| {}).below("two", |_| {}).below("three", |_| {}).below("four", |_| {});
    let whole = changed(&deep, |_| {});
    assert_eq!(whole.chain().len(), MAX_CHAIN);
    let longer = [whole.chain(), std::slice::from_ref(&root.certificate)].concat();
    let longer = Presents::chain(longer, &whole);
    let pinned = ServerVerification::Pinned(vec![whole.fingerprint_sha256()]);
    for verification in [by(&root), pinned, ServerVerification::Deferred] {
        let config = towards(CAPULET, verification);
        assert_eq!(judged(&config, &whole), Ok(()));
        let fault = CertificateFault::ChainTooLong { certificates: MAX_CHAIN + 1 };
        assert_eq!(refused(&config, &longer), fault);
    }
}

#[test]
fn a_pinned_server_is_judged_by_the_pin_alone() {
    let root = Ca::root("root");
    let pin = |identity: &Identity| ServerVerification::Pinned(vec![identity.fingerprint_sha256()]);
    let old = root.issue(&[], expired);
    assert_eq!(judged(&towards(CAPULET, pin(&old)), &old), Ok(()), "neither names nor dates count");
    let good = changed(&root, |_| {});
    let refused = Err((CertificateFault::NotPinned, "certificate_unknown"));
    assert_eq!(judged(&towards(CAPULET, pin(&old)), &good), refused);
}

#[test]
fn rfc_6066_3_the_domain_is_sent_as_server_name_and_an_address_is_not() {
    let hello = |domain: &str| {
        let mut hello = Vec::new();
        TlsSession::towards_server(&towards(domain, ServerVerification::Deferred), &mut hello).unwrap();
        hello
    };
    let sni = |hello: &[u8]| {
        let mut acceptor = rustls::server::Acceptor::default();
        acceptor.read_tls(&mut &hello[..]).unwrap();
        let accepted = acceptor.accept().unwrap().unwrap();
        (accepted.client_hello().server_name().map(str::to_owned), accepted.client_hello().alpn().is_some())
    };
    assert_eq!(sni(&hello("Capulet.lit")), (Some(CAPULET.to_owned()), false));
    assert_eq!(sni(&hello("bücher.example")), (Some("xn--bcher-kva.example".to_owned()), false));
    assert_eq!(sni(&hello("192.0.2.1")), (None, false));
    let mut out = Vec::new();
    let error =
        TlsSession::towards_server(&towards("[fe80::1%25eth0]", ServerVerification::Deferred), &mut out).unwrap_err();
    assert_eq!((error, out.len()), (TlsConfigError::Domain, 0));
}

#[test]
fn xep_0368_3_the_application_protocol_is_xmpp_client_or_none() {
    let root = Ca::root("root");
    let good = changed(&root, |_| {});
    let mut config = towards(CAPULET, by(&root));
    for alpn in [false, true] {
        config.alpn = alpn;
        connected(&config, &server(&good, ClientVerification::NotAsked));
    }
    // One that speaks something else.
    let (mut rustls, _) = config.client(config.verifier(&config.server().unwrap()), None).unwrap();
    assert_eq!(rustls.alpn_protocols, [b"xmpp-client"]);
    rustls.alpn_protocols = vec![b"xmpp-server".to_vec()];
    let name = CAPULET.try_into().unwrap();
    let mut client: Connection = rustls::ClientConnection::new(Arc::new(rustls), name).unwrap().into();
    let mut session = TlsSession::towards_client(&server(&good, ClientVerification::NotAsked)).unwrap();
    let (hello, mut answer) = (feed(&mut client, &[]), Vec::new());
    let error = session.read(&hello, &mut Vec::new(), &mut answer).unwrap_err();
    assert!(matches!(error.kind(), TlsErrorKind::PeerIncompatible(_)), "{error:?}");
    client.read_tls(&mut &answer[..]).unwrap();
    let heard = client.process_new_packets().unwrap_err();
    assert_eq!(heard, rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol));
}

#[test]
fn xep_0178_2_a_client_may_have_a_certificate_and_is_judged_by_it() {
    use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    let root = Ca::root("root");
    let good = changed(&root, |_| {});
    let purposes = |purposes: Vec<ExtendedKeyUsagePurpose>| {
        root.issue(&["romeo@capulet.lit"], |params| params.extended_key_usages = purposes)
    };
    let judged = |identity: Option<Identity>, verification: ClientVerification| {
        let mut results = [false, true].map(|old| {
            let mut config = towards(CAPULET, by(&root));
            config.identity = identity.clone();
            if old {
                config.provider = tls12(&config.provider);
            }
            let mut pair = pair(&config, &server(&good, verification.clone()));
            pair.settle().map(|()| {
                assert!(pair.server.handshake_complete());
                (pair.server.peer_certificate().cloned(), pair.server.is_vouched_for())
            })
        });
        assert_eq!(results[0], results[1]);
        std::mem::replace(&mut results[0], Ok((None, false)))
    };
    let authorities = || ClientVerification::Authorities(root.trusted());
    let either = || ClientVerification::AuthoritiesOrDeferred(root.trusted());
    for verification in [authorities(), either(), ClientVerification::Deferred, ClientVerification::NotAsked] {
        assert_eq!(judged(None, verification), Ok((None, false)));
    }
    let certificate = |identity: &Identity| Some(identity.as_peer_certificate().clone());
    let client = purposes(vec![ClientAuth]);
    for verification in [authorities(), either()] {
        assert_eq!(judged(Some(client.clone()), verification), Ok((certificate(&client), true)));
    }
    assert_eq!(judged(Some(client.clone()), ClientVerification::Deferred), Ok((certificate(&client), false)));
    assert_eq!(judged(Some(client), ClientVerification::NotAsked), Ok((None, false)));
    assert_eq!(judged(Some(romeo()), ClientVerification::Deferred), Ok((certificate(&romeo()), false)));
    for (bad, fault, alert) in [
        (romeo(), ChainFault::UnknownIssuer, "unknown_ca"),
        (purposes(vec![ServerAuth]), ChainFault::NotForClients, "certificate_unknown"),
        (root.issue(&["romeo@capulet.lit"], expired), ChainFault::Expired, "certificate_expired"),
    ] {
        let error = judged(Some(bad.clone()), authorities()).unwrap_err();
        let presented = Some(bad.fingerprint_sha256());
        let fault = CertificateFault::Chain(fault);
        assert_eq!(*error.kind(), TlsErrorKind::BadCertificate { presented, fault });
        assert_eq!(error.alert_sent().map(Alert::name), Some(alert));
        // Where it need not be vouched for, it passes and is not.
        assert_eq!(judged(Some(bad.clone()), either()), Ok((certificate(&bad), false)));
    }
}

#[test]
fn rfc_8446_4_3_2_a_client_knows_whether_it_was_asked_for_a_certificate() {
    let root = Ca::root("root");
    let good = changed(&root, |_| {});
    for presents in [false, true] {
        let mut config = towards(CAPULET, by(&root));
        config.identity = presents.then(romeo);
        for (verification, asked) in [(ClientVerification::NotAsked, false), (ClientVerification::Deferred, true)] {
            let pair = connected(&config, &server(&good, verification));
            assert_eq!(pair.client.certificate_requested(), asked);
            assert!(!pair.server.certificate_requested());
        }
    }
}

#[test]
fn rfc_9266_2_both_sides_have_the_same_channel_binding_and_no_other_session_has_it() {
    let root = Ca::root("root");
    let good = changed(&root, |_| {});
    let mut seen = Vec::new();
    for old in [false, false, true, true] {
        let mut config = towards(CAPULET, by(&root));
        if old {
            config.provider = tls12(&config.provider);
        }
        let mut pair = pair(&config, &server(&good, ClientVerification::NotAsked));
        assert_eq!(pair.client.channel_binding(), Err(ExportError::NotSecured));
        pair.settle().unwrap();
        let binding = pair.client.channel_binding().unwrap();
        assert_eq!(pair.server.channel_binding(), Ok(binding));
        let mut exported = [0; 32];
        pair.server.export_keying_material(&mut exported, b"EXPORTER-Channel-Binding", Some(&[])).unwrap();
        assert_eq!(exported, binding);
        assert!(!seen.contains(&binding) && binding != [0; 32]);
        seen.push(binding);
    }
}

#[test]
fn rfc_9325_4_2_every_suite_has_an_ephemeral_exchange_of_keys_and_an_aead() {
    for suite in &default_provider().cipher_suites {
        let name = format!("{:?}", suite.suite());
        assert!(name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_"), "{name}");
        assert!(name.contains("_GCM_") || name.contains("_CHACHA20_POLY1305_"), "{name}");
    }
}

#[test]
fn tls13_is_insisted_on_where_it_is_the_minimum() {
    let root = Ca::root("root");
    let good = changed(&root, |_| {});
    for client_insists in [true, false] {
        let (mut config, mut server) = (towards(CAPULET, by(&root)), server(&good, ClientVerification::NotAsked));
        if client_insists {
            config.minimum = TlsVersion::Tls13;
            server.provider = tls12(&server.provider);
        } else {
            config.provider = tls12(&config.provider);
            server.minimum = TlsVersion::Tls13;
        }
        let error = pair(&config, &server).settle().unwrap_err();
        assert!(matches!(error.kind(), TlsErrorKind::PeerIncompatible(_)), "{error:?}");
        assert_eq!(error.alert_sent().map(Alert::name), Some("protocol_version"));
    }
}
