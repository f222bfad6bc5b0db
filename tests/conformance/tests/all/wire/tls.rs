//! Decisions on TLS and certificates: 2.17, 2.25, 2.26, 2.31, 2.32.

use xtls::{
    Application, Event, Fault, Identity, Security, TrustPolicy, TunnelOptions,
    error::TermsError,
    tls::{KeyAlgorithm, TlsVersion},
    trust::{Authentication, Method, Pin},
};
use xtls_testkit::{EntityOptions, World};

use crate::common::{
    HEADER_JULIET, HEADER_ROMEO, JULIET, ROMEO, Stage, closed, fault, kinds, payload,
    stage::{data, tls12_provider},
    terminate,
};

fn security(events: Vec<Event>) -> Security {
    events
        .into_iter()
        .find_map(|event| match event {
            Event::Secured { security, .. } => Some(*security),
            _ => None,
        })
        .expect("secured")
}

#[test]
fn wire_2_17_tls_1_3_is_preferred_and_the_ends_agree() {
    let (mut world, romeo, juliet) = World::pair(1);
    world.connect_with(romeo, juliet, TunnelOptions::xml_stream(TrustPolicy::Pinned));
    for id in [romeo, juliet] {
        let security = security(world.take_events(id));
        assert_eq!((security.method, security.authenticated_by), (Method::X509, Authentication::Pinned));
        assert_eq!(security.tls.version, TlsVersion::Tls13);
        assert!(security.confirmed && security.changed_from.is_empty());
    }
}

#[test]
fn wire_2_17_with_real_cryptography_the_hybrid_group_is_preferred() {
    let mut world = World::default();
    let real = |seed| {
        let mut options = EntityOptions::seeded(seed);
        options.real_cryptography = true;
        options
    };
    let romeo = world.add(ROMEO, real(1));
    let juliet = world.add(JULIET, real(2));
    world.introduce(romeo, juliet);
    world.connect_with(romeo, juliet, TunnelOptions::xml_stream(TrustPolicy::Pinned));
    for id in [romeo, juliet] {
        let security = security(world.take_events(id));
        assert_eq!((security.tls.version, security.tls.group), (TlsVersion::Tls13, "X25519MLKEM768"));
    }
}

#[test]
fn wire_2_17_tls_1_2_is_the_floor_as_client_and_as_server() {
    let mut stage = Stage::juliet();
    let incoming = stage.offer();
    stage.accept(incoming, TrustPolicy::Pinned);
    stage.choose_and_open();
    stage.start_client(&tls12_provider(&stage.tls_config()));
    assert_eq!(stage.play(), []);
    assert_eq!(security(stage.events()).tls.version, TlsVersion::Tls12);
    stage.write(HEADER_ROMEO);
    stage.play();
    assert_eq!(kinds(&stage.events()), ["StreamOpened"]);

    let mut stage = Stage::romeo();
    stage.engine_offers(TrustPolicy::Pinned);
    stage.start_server(&tls12_provider(&stage.tls_config()));
    let accept = stage.accept_with(&stage.peer_security());
    let requests = stage.ask_fine(&accept);
    requests.iter().for_each(|request| stage.ack(request));
    assert_eq!(stage.play(), []);
    let security = security(stage.events());
    assert_eq!(security.tls.version, TlsVersion::Tls12);
    // The server has judged us before the client's handshake ends.
    assert!(security.confirmed);
    assert!(security.tls.cipher_suite.starts_with("TLS_ECDHE_"), "{}", security.tls.cipher_suite);
    assert_eq!(stage.told(), HEADER_ROMEO);
    stage.write(HEADER_JULIET);
    stage.play();
    assert_eq!(kinds(&stage.events()), ["StreamOpened"]);
}

#[test]
fn wire_2_17_the_floor_can_be_tls_1_3() {
    let mut options = EntityOptions::seeded(2);
    options.config.security.minimum_tls = TlsVersion::Tls13;
    let mut stage = Stage::new(JULIET, ROMEO, options);
    let incoming = stage.offer();
    stage.accept(incoming, TrustPolicy::Pinned);
    stage.choose_and_open();
    stage.start_client(&tls12_provider(&stage.tls_config()));
    let requests = stage.play();
    assert_eq!(payload(requests.last().unwrap()), terminate(&stage.sid, "security-error"));
    assert!(matches!(fault(&closed(stage.events())), Fault::Tls(_)));
}

/// A ClientHello of TLS 1.1, as the clients of 2009 sent it: protocol_version, and security-error.
#[test]
fn wire_2_17_older_versions_are_refused_with_an_alert() {
    for minor in [0, 1, 2] {
        let mut stage = Stage::juliet();
        let incoming = stage.offer();
        stage.accept(incoming, TrustPolicy::Pinned);
        stage.choose_and_open();
        let mut body = vec![3, minor];
        body.extend([7; 32]);
        // No session id, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
        body.extend([0, 0, 2, 0, 0x2f, 1, 0]);
        let mut hello = vec![22, 3, 1, 0, u8::try_from(body.len() + 4).unwrap()];
        hello.extend([1, 0, 0, u8::try_from(body.len()).unwrap()]);
        hello.extend(body);
        let block = stage.data(&hello);
        let requests = stage.ask_fine(&block);
        let alerts: Vec<_> =
            requests.iter().filter(|r| crate::common::is_data(r)).map(crate::common::decoded).collect();
        let [alert] = alerts.as_slice() else { panic!("one alert: {alerts:?}") };
        // RFC 5246 § 7.2: alert, fatal, protocol_version.
        assert_eq!((alert[0], &alert[5..]), (21, &[2, 70][..]));
        assert_eq!(payload(requests.last().unwrap()), terminate(&stage.sid, "security-error"));
        assert!(matches!(fault(&closed(stage.events())), Fault::Tls(_)));
    }
}

/// One ticket, which cannot be redeemed, tells the initiator that it was accepted; and the next tunnel is a full handshake.
#[test]
fn wire_2_17_one_ticket_confirms_and_nothing_is_resumed() {
    let mut stage = Stage::juliet();
    stage.secure_as_responder();
    assert_eq!(stage.tls.as_ref().unwrap().tickets_received(), 1);

    let (mut world, romeo, juliet) = World::pair(1);
    let first = world.connect(romeo, juliet);
    world.with(romeo, |engine, now| engine.tunnel(first).unwrap().close(now));
    world.run();
    let (_, _) = (world.take_events(romeo), world.take_events(juliet));
    world.connect_with(romeo, juliet, TunnelOptions::xml_stream(TrustPolicy::Pinned));
    for (id, peer) in [(romeo, juliet), (juliet, romeo)] {
        let security = security(world.take_events(id));
        assert_eq!(security.certificate.unwrap().der(), world.identity(peer).certificate());
    }
}

#[test]
fn wire_2_25_an_own_certificate_names_the_bare_jid_and_nothing_else() {
    let (mut world, romeo, juliet) = World::pair(1);
    world.connect_with(romeo, juliet, TunnelOptions::xml_stream(TrustPolicy::Pinned));
    let certificate = security(world.take_events(juliet)).certificate.unwrap();
    let bare = world.jid(romeo).to_bare();
    assert_eq!(certificate.xmpp_addrs(), [bare]);
    let text = String::from_utf8_lossy(certificate.der()).into_owned();
    assert_eq!(text.matches("romeo").count(), 1, "once, in the subjectAltName");
    assert!(!text.contains("orchard"), "not the resource");
}

/// A pinned certificate counts by its fingerprint; whatever address stands in it.
#[test]
fn wire_2_25_a_pinned_certificate_need_not_name_the_peer() {
    let mut stage = Stage::romeo();
    let other = Stage::new("somebody@else.lit/x", ROMEO, EntityOptions::seeded(77));
    stage.identity = other.world.identity(other.engine).clone();
    let peer = stage.peer.parse::<xtls_stanza::jid::FullJid>().unwrap().to_bare();
    let pin = Pin::manual(stage.identity.fingerprint_sha256());
    stage.world.with_store(stage.engine, |store| {
        store.remove(&peer);
        store.pin(&peer, pin);
    });
    stage.open_as_initiator();
}

#[test]
fn wire_2_26_keys_are_ecdsa_p_256_by_default() {
    let jid = "romeo@montague.lit".parse().unwrap();
    let identity = Identity::generate(&jid, KeyAlgorithm::default(), xtls_testkit::unix(1_767_225_600)).unwrap();
    assert_eq!(identity.key_algorithm(), Some(KeyAlgorithm::EcdsaP256));
}

#[test]
fn wire_2_31_a_leap_of_faith_is_taken_only_where_the_policy_says_so() {
    let mut stage = Stage::romeo();
    let peer = stage.peer.parse::<xtls_stanza::jid::FullJid>().unwrap().to_bare();
    stage.world.with_store(stage.engine, |store| store.remove(&peer));
    let options = TunnelOptions::xml_stream(TrustPolicy::Pinned);
    let refused = stage.with(|engine, now| engine.initiate(now, JULIET.parse().unwrap(), options));
    assert_eq!(refused, Err(xtls::error::InitiateError::Terms(TermsError::NotPinned)));
    stage.sent_nothing();
    stage.engine_offers(TrustPolicy::LeapOfFaith);
    stage.start_server(&stage.tls_config());
    let accept = stage.accept_with(&stage.peer_security());
    let requests = stage.ask_fine(&accept);
    requests.iter().for_each(|request| stage.ack(request));
    stage.play();
    assert_eq!(security(stage.events()).authenticated_by, Authentication::LeapOfFaith);
}

/// Plaintext where TLS was agreed: it never reaches the application, and the session ends.
#[test]
fn wire_2_32_plaintext_where_tls_was_agreed_ends_the_session_with_security_error() {
    let header = format!("{HEADER_ROMEO}<message><body>canary</body></message>");
    for plaintext in [header.as_str(), "canary", "GET / HTTP/1.1\r\n\r\n", "\0", "\u{17}\u{3}\u{3}\0\u{1}x"] {
        let mut stage = Stage::juliet();
        let incoming = stage.offer();
        stage.accept(incoming, TrustPolicy::Pinned);
        stage.choose_and_open();
        let requests = {
            let block = stage.data(plaintext.as_bytes());
            stage.ask_in_the_clear(&block)
        };
        let end = requests.last().expect("a session-terminate");
        assert_eq!(payload(end), terminate(&stage.sid, "security-error"), "{plaintext:?}");
        let events = stage.events();
        assert_eq!(kinds(&events), ["Closed"], "{plaintext:?}");
        assert!(matches!(fault(&closed(events)), Fault::Tls(_)));
    }
}

#[test]
fn wire_2_32_plaintext_from_a_responder_ends_the_session_too() {
    for application in [Application::XmlStream, Application::bytes()] {
        let mut stage = Stage::romeo();
        let mut options = TunnelOptions::new(application.clone(), TrustPolicy::Pinned);
        options.check_support = false;
        stage.engine_offers_with(options);
        let accept = stage.accept_with(&stage.peer_security());
        let accept = match application {
            Application::XmlStream => accept,
            _ => accept
                .replace("name='xmlstream'", "name='data'")
                .replace(xtls_stanza::ns::XMLSTREAM_0, xtls::jingle::BYTES_NS),
        };
        let requests = stage.ask_fine(&accept);
        requests.iter().for_each(|request| stage.ack(request));
        let hello = stage.sent_one();
        stage.ack(&hello);
        let block = data(&stage.ibb_sid, 0, &crate::common::base64(HEADER_JULIET.as_bytes()));
        let requests = stage.ask_in_the_clear(&block);
        assert_eq!(payload(requests.last().unwrap()), terminate(&stage.sid, "security-error"));
        let events = stage.events();
        assert_eq!(kinds(&events), ["Closed"]);
        assert!(matches!(fault(&closed(events)), Fault::Tls(_)));
    }
}
