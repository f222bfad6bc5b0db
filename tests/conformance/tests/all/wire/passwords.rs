//! Decisions on the password method: 2.12, 2.13, 2.33, and what of 2.14 to 2.17 shows with it.

use std::sync::{Arc, Mutex};

use xtls::{
    Fault, Password, TrustPolicy, TunnelId, TunnelOptions,
    tls::TlsVersion,
    trust::{MemoryTrustStore, TrustStore as _},
};
use xtls_stanza::{Fingerprint, ns};
use xtls_testkit::{EntityOptions, provider};
use xtls_tls::{SrpConfig, SrpCredentials, TlsErrorKind, TlsSession};

use crate::common::{HEADER_JULIET, HEADER_ROMEO, JULIET, ROMEO, Stage, closed, fault, kinds, payload, terminate};

const WORD: &str = "wherefore";

fn options() -> TunnelOptions {
    let mut options = TunnelOptions::xml_stream(TrustPolicy::Pinned).with_password(Password::new(WORD).unwrap());
    options.check_support = false;
    options
}

fn security(fingerprints: &[Fingerprint], methods: &[&str]) -> String {
    let fingerprints =
        fingerprints.iter().map(|it| format!("<fingerprint algo='{}'>{}</fingerprint>", it.algo(), it.hex()));
    let inside: String =
        fingerprints.chain(methods.iter().map(|method| format!("<method name='{method}'/>"))).collect();
    format!("<security xmlns='urn:xmpp:jingle:security:xtls:0'>{inside}</security>")
}

fn config(name: &str, password: &str) -> SrpConfig {
    SrpConfig::new(SrpCredentials::new(name, password).unwrap(), provider::deterministic())
}

/// The engine accepts an offer of the password method alone.
fn accepted(stage: &mut Stage) -> TunnelId {
    let initiate = stage.initiate_with(&security(&[], &["srp"]));
    assert!(stage.ask_fine(&initiate).is_empty());
    let incoming = stage.take_incoming();
    let tunnel = stage.with(|engine, now| engine.accept(now, incoming, options())).unwrap();
    let accept = stage.sent_one();
    stage.ack(&accept);
    let content = payload(&accept);
    let said = content.child("content", ns::JINGLE).unwrap().child("security", ns::XTLS_0).unwrap();
    let own = security(&stage.world.identity(stage.engine).announced_fingerprints(), &["srp"]);
    assert_eq!(said.to_element(), crate::common::element(&own), "the fingerprint is for later");
    let info = stage.security_info("<method name='srp'/>");
    assert!(stage.ask_fine(&info).is_empty());
    let open = stage.open();
    assert!(stage.ask_fine(&open).is_empty());
    tunnel
}

fn start_client(stage: &mut Stage, name: &str, password: &str) {
    let (config, mut hello) = (config(name, password), Vec::new());
    stage.tls = Some(stage.random.enter(|| TlsSession::srp_client(&config, &mut hello)).unwrap());
    stage.send_records(&hello);
}

/// The handshake types of a flight in the clear (RFC 5246 § 7.4).
fn handshake_types(mut records: &[u8]) -> Vec<u8> {
    let mut messages = Vec::new();
    while let [22, 3, _, high, low, rest @ ..] = records {
        let (fragment, more) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        messages.extend_from_slice(fragment);
        records = more;
    }
    let (mut types, mut rest) = (Vec::new(), &messages[..]);
    while let [kind, 0, high, low, body @ ..] = rest {
        types.push(*kind);
        rest = &body[usize::from(u16::from_be_bytes([*high, *low]))..];
    }
    types
}

#[test]
fn wire_2_12_the_user_name_that_is_sent_is_the_initiators_bare_jid() {
    let mut stage = Stage::romeo();
    let bare: xtls_stanza::jid::BareJid = "juliet@capulet.lit".parse().unwrap();
    stage.world.with_store(stage.engine, |store| store.remove(&bare));
    let (_, initiate) = stage.engine_offers_with(options());
    let content = payload(&initiate);
    let said = content.child("content", ns::JINGLE).unwrap().child("security", ns::XTLS_0).unwrap();
    let methods: Vec<_> = said.children().filter_map(|child| child.attribute("name")).collect();
    assert_eq!(methods, ["srp"], "no certificate of the peer's is known");
    let server = config("romeo@montague.lit", WORD);
    stage.tls = Some(TlsSession::srp_server(&server).unwrap());
    let accept = stage.accept_with(&security(&[], &["srp"]));
    let requests = stage.ask_fine(&accept);
    let info = stage.security_info("<method name='srp'/>");
    let said = payload(&requests[0]);
    assert_eq!(said, crate::common::element(&info));
    requests.iter().for_each(|request| stage.ack(request));
    assert_eq!(stage.play(), []);
    let hello = &stage.blocks[0];
    let name = b"romeo@montague.lit";
    let at = hello.windows(name.len()).position(|part| part == name).unwrap();
    assert_eq!(usize::from(hello[at - 1]), name.len(), "no resource behind it");
    assert_eq!(kinds(&stage.events()), ["Secured"]);
    assert_eq!(stage.told(), HEADER_ROMEO);
    stage.write(HEADER_JULIET);
    stage.play();
    assert_eq!(kinds(&stage.events()), ["StreamOpened"]);
}

#[test]
fn wire_2_12_another_name_than_the_initiators_bare_jid_fails_as_a_wrong_password() {
    for (name, works) in [("romeo@montague.lit", true), (ROMEO, false), ("juliet@capulet.lit", false)] {
        let mut stage = Stage::juliet();
        accepted(&mut stage);
        start_client(&mut stage, name, WORD);
        let requests = stage.play();
        if works {
            assert_eq!(kinds(&stage.events()), ["Secured"]);
        } else {
            assert_eq!(payload(requests.last().unwrap()), terminate(&stage.sid, "security-error"));
            assert!(matches!(fault(&closed(stage.events())), Fault::WrongPassword));
        }
    }
}

#[test]
fn wire_2_13_no_certificate_is_shown_or_asked_for_in_a_password_handshake() {
    let mut stage = Stage::juliet();
    let tunnel = accepted(&mut stage);
    start_client(&mut stage, "romeo@montague.lit", WORD);
    assert_eq!(stage.play(), []);
    // ServerHello, ServerKeyExchange, ServerHelloDone: neither Certificate nor CertificateRequest.
    assert_eq!(handshake_types(&stage.blocks[0]), [2, 12, 14]);
    stage.with(|engine, _| {
        let tunnel = engine.tunnel(tunnel).unwrap();
        let security = tunnel.security().unwrap();
        assert!(security.certificate.is_none());
        assert_eq!(security.tls.version, TlsVersion::Tls12);
        assert!(security.tls.cipher_suite.starts_with("TLS_SRP_SHA_WITH_AES_"), "{}", security.tls.cipher_suite);
    });
    assert!(stage.tls.as_ref().unwrap().peer_certificate().is_none());
}

#[test]
fn wire_2_33_a_wrong_password_is_one_error_and_is_counted_for_the_bare_jid_across_engines() {
    let store: Arc<Mutex<MemoryTrustStore>> = Arc::default();
    let failed = || store.record(&"romeo@montague.lit".parse().unwrap()).unwrap().attempts.failed;
    for guess in 1..=3 {
        // Each is a new engine, as after a restart, and another device of the peer's.
        let mut entity = EntityOptions::seeded(guess);
        entity.store = Some(Arc::clone(&store));
        let mut stage = Stage::new(JULIET, &format!("romeo@montague.lit/{guess}"), entity);
        accepted(&mut stage);
        start_client(&mut stage, "romeo@montague.lit", "a plague");
        let requests = stage.play();
        assert_eq!(payload(requests.last().unwrap()), terminate(&stage.sid, "security-error"));
        assert!(matches!(fault(&closed(stage.events())), Fault::WrongPassword));
        // bad_record_mac: the client's Finished cannot be read.
        let kind = stage.tls_error.as_ref().map(|error| error.kind().clone());
        assert_eq!(kind, Some(TlsErrorKind::AuthenticationFailed));
        assert_eq!(failed(), u32::from(guess));
    }
    let mut entity = EntityOptions::seeded(4);
    entity.store = Some(Arc::clone(&store));
    let mut stage = Stage::new(JULIET, "romeo@montague.lit/4", entity);
    let initiate = stage.initiate_with(&security(&[], &["srp"]));
    assert!(stage.ask_fine(&initiate).is_empty());
    let incoming = stage.take_incoming();
    stage.with(|engine, now| engine.accept(now, incoming, options())).unwrap();
    let requests = stage.sent();
    assert_eq!(payload(&requests[0]), terminate(&stage.sid, "security-error"));
    assert!(matches!(fault(&closed(stage.events())), Fault::PasswordLocked { .. }));
}
