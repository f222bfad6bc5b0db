//! A server's end towards its client, and the client's towards its server.

use xtls_stanza::jid::DomainPart;

use super::*;

/// A client that pins its server's certificate, and the server.
fn pair(external: bool) -> Pair {
    let setup = Setup::strangers(Tls::V13, TrustPolicy::Pinned);
    setup.store(I).pin(R, fingerprint(R));
    let mut pair = setup.pair();
    pair.end(R).channel = Channel::towards_client(external, &pair.end(R).env).expect("TLS can be set up");
    let domain = DomainPart::new("capulet.lit").expect("a domain");
    let terms = TowardsServerTerms { domain, present_certificate: external, alpn: false, sessions: None };
    let End { channel, env, out, .. } = pair.end(I);
    channel.start_towards_server(terms, env, out).expect("TLS can be set up");
    pair
}

/// The same with the handshake done.
fn encrypted(external: bool) -> Pair {
    let mut pair = pair(external);
    let _ = pair.pass(I);
    let progress = pair.pass(R);
    assert!(progress.accepted, "{progress:?}");
    let progress = pair.pass(I);
    assert!(progress.encrypted && progress.accepted && !progress.secured, "{progress:?}");
    pair
}

#[test]
fn a_client_is_encrypted_before_anybody_is_authenticated() {
    for external in [false, true] {
        let mut pair = pair(external);
        assert!(pair.end(R).channel.channel_binding().is_none());
        let _ = pair.pass(I);
        assert!(pair.end(R).channel.channel_binding().is_none());
        let mut pair = encrypted(external);
        let end = pair.end(R);
        assert!(end.channel.is_encrypted() && end.channel.security().is_none());
        assert_eq!(end.channel.peer_certificate().is_some(), external);
        assert!(end.store.with(|store| store.calls.len()) == 2, "nobody is looked up but for the pair");
        end.write(b"who are you?");
        // A server that asked for no certificate has nothing to accept.
        assert_eq!(pair.states()[0], if external { "confirming" } else { "secured" });
        assert!(!pair.pass(R).secured);
        if external {
            assert!(pair.end(I).confirm(Sign::Header).secured);
        }
        assert!(pair.security(I).confirmed && pair.security(I).authenticated_by == Authentication::Pinned);
        assert_eq!(pair.end(I).plaintext, b"who are you?");
        let bindings = SIDES.map(|side| pair.end(side).channel.channel_binding());
        assert!(bindings[0].is_some() && bindings[0] == bindings[1]);
    }
}

#[test]
fn a_client_is_identified_once_and_not_before_it_is_encrypted() {
    let mut pair = pair(false);
    let identify = |pair: &mut Pair, by| {
        let End { channel, env, .. } = pair.end(R);
        channel.identify(by, env)
    };
    for _ in 0..2 {
        assert!(!identify(&mut pair, Authentication::Sasl));
        assert!(pair.end(R).channel.security().is_none());
        let _ = pair.pass(I);
    }
    let mut pair = encrypted(true);
    let before = pair.end(R).channel.channel_binding();
    assert!(identify(&mut pair, Authentication::Authority));
    assert!(!identify(&mut pair, Authentication::Sasl));
    let security = pair.security(R);
    assert!(security.authenticated_by == Authentication::Authority && security.confirmed);
    assert_eq!(security.certificate.map(|certificate| certificate.fingerprint_sha256()), Some(fingerprint(I)));
    assert_eq!(pair.end(R).channel.channel_binding(), before, "SASL may have been bound to it");
    pair.end(R).write(b"welcome");
    let _ = pair.pass(R);
    assert_eq!(pair.end(I).plaintext, b"welcome");
}

#[test]
fn a_certificate_that_proved_nothing_is_not_shown_as_if_it_had() {
    let mut pair = encrypted(true);
    let End { channel, env, .. } = pair.end(R);
    assert!(channel.peer_certificate().is_some() && channel.identify(Authentication::Sasl, env));
    assert!(pair.security(R).certificate.is_none());
}

#[test]
fn nobody_but_a_servers_end_identifies_and_it_has_no_peer_to_choose_for() {
    for tls in EACH_TLS {
        for side in SIDES {
            let mut pair = Setup::new(tls).secured();
            let before = pair.security(side).authenticated_by;
            let End { channel, env, .. } = pair.end(side);
            assert!(!channel.identify(Authentication::Sasl, env));
            assert_eq!(pair.security(side).authenticated_by, before);
        }
    }
    let mut pair = pair(false);
    let End { channel, env, .. } = pair.end(R);
    assert_eq!(channel.offerable(), Err(Unofferable::NoMethod));
    assert!(matches!(channel.choose(&[Method::X509]), Choice::Refuse(Fault::Internal(_))));
    assert!(!channel.takes_unknown() && channel.refresh(env).is_ok() && channel.pins().is_empty());
}

#[test]
fn a_server_with_another_certificate_than_the_pinned_one_is_refused() {
    let mut pair = pair(false);
    pair.end(I).store.with(|store| {
        assert!(store.memory.remove(&jid(R)));
        store.memory.pin(&jid(R), Pin::manual(another()));
    });
    let _ = pair.pass(I);
    let found = fault(pair.pass(R));
    assert!(matches!(&found, Fault::CertificateChanged { pinned, .. } if *pinned == [another()]), "{found:?}");
    assert!(pair.end(I).is_dead());
}
