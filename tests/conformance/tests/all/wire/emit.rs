//! What an engine sends, row by row.

use xtls::{Application, TrustPolicy, TunnelOptions, jingle::Profile};
use xtls_stanza::ns;
use xtls_testkit::{EntityOptions, Passed, World};

use crate::common::{
    HEADER_JULIET, HEADER_ROMEO, IBB_SID, JULIET, ROMEO, SID, Stage, element, id, is_data, message, payload,
};

/// Everything that crossed the relay in a session with a message each way, from disco#info to session-terminate.
fn whole_session() -> Vec<Passed> {
    let (mut world, romeo, juliet) = World::pair(5);
    let (tunnel, other) = world.connect_with(romeo, juliet, TunnelOptions::xml_stream(TrustPolicy::Pinned));
    world.with(romeo, |engine, now| engine.tunnel(tunnel).unwrap().send(now, &message("one"))).unwrap();
    world.run();
    world.with(juliet, |engine, now| engine.tunnel(other).unwrap().send(now, &message("other"))).unwrap();
    world.run();
    world.with(romeo, |engine, now| engine.tunnel(tunnel).unwrap().close(now));
    world.run();
    world.relay.log().to_vec()
}

fn jingles(log: &[Passed]) -> Vec<(String, xtls::Element)> {
    log.iter()
        .filter_map(|passed| {
            let jingle = element(&passed.stanza).child("jingle", ns::JINGLE)?.to_element();
            Some((passed.from.clone(), jingle))
        })
        .collect()
}

#[test]
fn wire_1_jingle_messages_of_a_session_in_order_and_in_the_current_namespace() {
    let log = whole_session();
    let actions: Vec<_> = jingles(&log)
        .iter()
        .map(|(from, jingle)| (from.clone(), jingle.attribute("action").unwrap().to_owned(), jingle.ns().to_owned()))
        .collect();
    let expected = [
        (ROMEO, "session-initiate"),
        (JULIET, "session-accept"),
        (ROMEO, "security-info"),
        (ROMEO, "session-terminate"),
    ];
    let expected = expected.map(|(from, action)| (from.to_owned(), action.to_owned(), ns::JINGLE.to_owned()));
    assert_eq!(actions, expected);
}

/// Neither namespace nor `from` is written on the stanza itself: they are the stream's and the server's.
#[test]
fn wire_1_stanzas_carry_no_namespace_of_their_own() {
    for passed in whole_session() {
        let start = format!("<iq from='{}' type='", passed.from);
        assert!(passed.stanza.starts_with(&start), "{}", passed.stanza);
        assert!(!passed.stanza.contains("jabber:client"), "{}", passed.stanza);
    }
}

#[test]
fn wire_1_session_initiate_exactly() {
    let mut stage = Stage::romeo();
    let (_, initiate) = stage.engine_offers(TrustPolicy::Pinned);
    let [sha1, sha256] = stage.world.identity(stage.engine).announced_fingerprints();
    let expected = format!(
        "<iq from='{ROMEO}' to='{JULIET}' id='{}' type='set'>\
         <jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' initiator='{ROMEO}' sid='{}'>\
         <content creator='initiator' name='xmlstream'>\
         <description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>\
         <transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='{}'/>\
         <security xmlns='urn:xmpp:jingle:security:xtls:0'>\
         <fingerprint algo='sha1'>{}</fingerprint><fingerprint algo='sha-256'>{}</fingerprint>\
         <method name='x509'/></security></content></jingle></iq>",
        id(&initiate),
        stage.sid,
        stage.ibb_sid,
        sha1.hex(),
        sha256.hex()
    );
    assert_eq!(initiate, element(&expected));
    assert!(sha1.hex().bytes().chain(sha256.hex().bytes()).all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c)));
    assert_eq!((sha1.hex().len(), sha256.hex().len()), (40, 64));
}

#[test]
fn wire_1_session_initiate_of_raw_bytes_exactly() {
    let mut stage = Stage::romeo();
    let mut options = TunnelOptions::new(Application::bytes(), TrustPolicy::Pinned);
    options.check_support = false;
    let (_, initiate) = stage.engine_offers_with(options);
    let expected = format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' initiator='{ROMEO}' sid='{}'>\
         <content creator='initiator' name='data'><description xmlns='urn:xtls:apps:bytes:1'/>\
         <transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='{}'/>{}</content>\
         <receipt xmlns='urn:xtls:receipt:0'/></jingle>",
        stage.sid,
        stage.ibb_sid,
        stage.own_security()
    );
    assert_eq!(payload(&initiate), element(&expected));
}

#[test]
fn wire_1_session_accept_exactly() {
    let mut stage = Stage::juliet();
    let incoming = stage.offer();
    let (_, accept) = stage.accept(incoming, TrustPolicy::Pinned);
    let expected = format!(
        "<iq from='{JULIET}' to='{ROMEO}' id='{}' type='set'>\
         <jingle xmlns='urn:xmpp:jingle:1' action='session-accept' responder='{JULIET}' sid='{SID}'>\
         <content creator='initiator' name='xmlstream'><description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>\
         <transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='{IBB_SID}'/>{}\
         </content></jingle></iq>",
        id(&accept),
        stage.own_security()
    );
    assert_eq!(accept, element(&expected));
}

/// Always, exactly one method, with creator and name; and it goes before the `<open/>`.
#[test]
fn wire_1_security_info_and_open_exactly() {
    let mut stage = Stage::romeo();
    stage.engine_offers(TrustPolicy::Pinned);
    let accept = stage.accept_with(&stage.peer_security());
    let requests = stage.ask_fine(&accept);
    let payloads: Vec<_> = requests.iter().map(payload).collect();
    let info = format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='security-info' sid='{}'>\
         <content creator='initiator' name='xmlstream'><security xmlns='urn:xmpp:jingle:security:xtls:0'>\
         <method name='x509'/></security></content></jingle>",
        stage.sid
    );
    let open =
        format!("<open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='{}' stanza='iq'/>", stage.ibb_sid);
    assert_eq!(payloads, [element(&info), element(&open)]);
}

#[test]
fn wire_1_a_responder_opens_no_bytestream() {
    let log = whole_session();
    let opens: Vec<_> = log.iter().filter(|passed| element(&passed.stanza).child("open", ns::IBB).is_some()).collect();
    assert_eq!(opens.len(), 1);
    assert_eq!(opens[0].from, ROMEO);
}

/// One run of base64 without white space, never empty; and nothing else in the element.
#[test]
fn wire_1_data_exactly() {
    let log = whole_session();
    let data: Vec<_> = log.iter().filter(|passed| is_data(&element(&passed.stanza))).collect();
    assert!(data.len() >= 8);
    for passed in data {
        let stanza = element(&passed.stanza);
        let inner = stanza.child("data", ns::IBB).unwrap();
        let (seq, sid) = (inner.attribute("seq").unwrap(), inner.attribute("sid").unwrap());
        let text = inner.text();
        let expected = format!(
            "<iq from='{}' to='{}' id='{}' type='set'>\
             <data xmlns='http://jabber.org/protocol/ibb' seq='{seq}' sid='{sid}'>{text}</data></iq>",
            passed.from,
            passed.to,
            id(&stanza)
        );
        assert_eq!(stanza, element(&expected));
        assert!(!text.is_empty() && text.len().is_multiple_of(4));
        assert!(text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'=')));
    }
}

/// Full JIDs, version 1.0, an id on the response, features behind it; no XML declaration.
#[test]
fn wire_1_stream_headers_exactly() {
    let mut stage = Stage::romeo();
    stage.engine_offers(TrustPolicy::Pinned);
    stage.start_server(&stage.tls_config());
    let accept = stage.accept_with(&stage.peer_security());
    let requests = stage.ask_fine(&accept);
    requests.iter().for_each(|request| stage.ack(request));
    stage.play();
    assert_eq!(stage.told(), HEADER_ROMEO);

    let mut stage = Stage::juliet();
    stage.secure_as_responder();
    stage.write(HEADER_ROMEO);
    stage.play();
    let told = stage.told();
    let id = told.split("id='").nth(1).unwrap().split('\'').next().unwrap();
    let header = HEADER_JULIET.replace("hs91gh1836d8s717", id);
    let header = header.replace(" from=", " xmlns:n='urn:xtls:negotiation:1' from=");
    let hash = told.split("<hash xmlns='urn:xtls:negotiation:1'>").nth(1).unwrap().split('<').next().unwrap();
    assert!(hash.len() == 64 && hash.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c)), "{hash}");
    let features = format!("<stream:features><hash xmlns='urn:xtls:negotiation:1'>{hash}</hash></stream:features>");
    assert_eq!(told, header + &features);
}

/// XEP-0065 § 3 and XEP-0260 § 5: both are advertised where tunnels may go by connections, and neither where they may not.
#[test]
fn xep_0065_3_socks5_bytestreams_are_advertised_where_they_are_supported() {
    for is_on in [false, true] {
        let mut options = EntityOptions::seeded(1);
        options.config.socks5 = is_on;
        let mut stage = Stage::new(ROMEO, JULIET, options);
        let features = stage.with(|engine, _| engine.features());
        for feature in ["http://jabber.org/protocol/bytestreams", "urn:xmpp:jingle:transports:s5b:1"] {
            assert_eq!(features.contains(&feature), is_on, "{feature}");
        }
    }
}

/// Sorted as XEP-0115 § 5.1 wants them, with every version of the transport that is supported (XEP-0261 § 4).
#[test]
fn wire_1_features_exactly() {
    let expected = [
        "http://jabber.org/protocol/ibb",
        "urn:xmpp:jingle:1",
        "urn:xmpp:jingle:apps:xmlstream:0",
        "urn:xmpp:jingle:apps:xmlstream:1",
        "urn:xmpp:jingle:security:xtls:0",
        "urn:xmpp:jingle:security:xtls:1",
        "urn:xmpp:jingle:transports:ibb:0",
        "urn:xmpp:jingle:transports:ibb:1",
        "urn:xmpp:pubkey:0",
        "urn:xtls:apps:bytes:1",
    ];
    assert!(expected.is_sorted());
    for profile in Profile::ALL {
        let mut options = EntityOptions::seeded(1);
        options.config.profile = *profile;
        let mut stage = Stage::new(ROMEO, JULIET, options);
        assert_eq!(stage.with(|engine, _| engine.features()), expected, "{profile:?}");
    }
}
