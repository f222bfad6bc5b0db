//! Decisions on the negotiation: 2.1, 2.2, 2.7, 2.10, 2.14, 2.15, 2.16.

use xtls::{
    CloseReason, Disposition, Event, Fault, TrustPolicy, TunnelOptions,
    error::{AcceptError, InitiateError, TermsError},
    trust::Method,
};
use xtls_stanza::{Condition, ErrorType, ns};

use crate::common::{
    HEADER_ROMEO, JULIET, ROMEO, SID, Stage, closed, element, fault, id, jingle_error, kinds, payload, said,
    stage::texts, terminate, unknown_session,
};

fn content_child(stanza: &xtls::Element, name: &str, ns: &str) -> Option<xtls::Element> {
    let jingle = payload(stanza);
    jingle.child("content", ns::JINGLE)?.child(name, ns).map(|child| child.to_element())
}

#[test]
fn wire_2_01_the_responder_echoes_the_security_namespace_of_the_offer() {
    for (version, other) in [(ns::XTLS_0, ns::XTLS_1), (ns::XTLS_1, ns::XTLS_0)] {
        let mut stage = Stage::juliet();
        let initiate = stage.initiate_with(&stage.peer_security().replace(ns::XTLS_0, version));
        assert!(stage.ask_fine(&initiate).is_empty());
        let incoming = stage.take_incoming();
        let (_, accept) = stage.accept(incoming, TrustPolicy::Pinned);
        let expected = element(&stage.own_security().replace(ns::XTLS_0, version));
        assert_eq!(content_child(&accept, "security", version), Some(expected));
        assert_eq!(content_child(&accept, "security", other), None);
        // And the choice may come in either.
        let info = stage.security_info("<method name='x509'/>").replace(ns::XTLS_0, other);
        assert!(stage.ask_fine(&info).is_empty());
    }
}

#[test]
fn wire_2_01_the_initiator_echoes_the_security_namespace_of_the_answer() {
    for version in [ns::XTLS_0, ns::XTLS_1] {
        let mut stage = Stage::romeo();
        stage.engine_offers(TrustPolicy::Pinned);
        let accept = stage.accept_with(&stage.peer_security().replace(ns::XTLS_0, version));
        let requests = stage.ask_fine(&accept);
        let expected = element(&format!("<security xmlns='{version}'><method name='x509'/></security>"));
        assert_eq!(content_child(&requests[0], "security", version), Some(expected));
    }
}

#[test]
fn wire_2_02_the_description_is_answered_in_the_namespace_of_the_offer() {
    for version in [ns::XMLSTREAM_0, ns::XMLSTREAM_1] {
        let mut stage = Stage::juliet();
        let initiate = stage.initiate_with(&stage.peer_security()).replace(ns::XMLSTREAM_0, version);
        assert!(stage.ask_fine(&initiate).is_empty());
        let incoming = stage.take_incoming();
        assert_eq!(incoming.application, xtls::Application::XmlStream);
        let (_, accept) = stage.accept(incoming, TrustPolicy::Pinned);
        let expected = element(&format!("<description xmlns='{version}'/>"));
        assert_eq!(content_child(&accept, "description", version), Some(expected));
    }
}

#[test]
fn wire_2_02_an_answer_in_the_other_namespace_is_the_same_application() {
    let mut stage = Stage::romeo();
    stage.engine_offers(TrustPolicy::Pinned);
    let accept = stage.accept_with(&stage.peer_security()).replace(ns::XMLSTREAM_0, ns::XMLSTREAM_1);
    assert_eq!(stage.ask_fine(&accept).len(), 2);
}

#[test]
fn wire_2_07_requests_from_anyone_but_the_exact_full_jid_are_refused() {
    let strangers = [
        "romeo@montague.lit",
        "romeo@montague.lit/balcony",
        "romeo@montague.net/orchard",
        "romeo@montague.lit/Orchard",
    ];
    for stranger in strangers {
        let (mut stage, tunnel) = Stage::responder_with_stream();
        let requests = [
            (stage.security_info("<method name='x509'/>"), unknown_session()),
            (element(&terminate(SID, "success").to_xml("")).to_xml(""), unknown_session()),
            (stage.open(), (Condition::NotAcceptable, ErrorType::Cancel, None)),
            (
                crate::common::stage::data(&stage.ibb_sid, stage.seq_out, "AAAA"),
                (Condition::ItemNotFound, ErrorType::Cancel, None),
            ),
            (
                format!("<close xmlns='http://jabber.org/protocol/ibb' sid='{}'/>", stage.ibb_sid),
                (Condition::ItemNotFound, ErrorType::Cancel, None),
            ),
        ];
        for (request, expected) in requests {
            let stanza = format!("<iq from='{stranger}' to='{JULIET}' id='x' type='set'>{request}</iq>");
            assert!(matches!(stage.deliver(&stanza), Disposition::Consumed), "{stanza}");
            let answer = stage.sent_one();
            assert_eq!(said(&answer), expected, "{stanza}");
            assert_eq!((answer.attribute("to"), id(&answer)), (Some(stranger), "x"));
        }
        assert!(stage.events().is_empty());
        assert!(stage.with(|engine, _| engine.tunnel(tunnel).is_some()));
        stage.write("<presence/>");
        assert_eq!(stage.play(), []);
        assert_eq!(kinds(&stage.events()), ["Stanza"]);
    }
}

/// The server's spelling of an address is normalised as RFC 7622 says, no more.
#[test]
fn wire_2_07_addresses_are_compared_after_preparation() {
    let (mut stage, _) = Stage::responder_with_stream();
    stage.peer = "Romeo@MONTAGUE.lit/orchard".to_owned();
    stage.world.relay.set_online(&stage.peer.clone(), true);
    stage.write("<presence/>");
    let _ = stage.sent();
    assert_eq!(kinds(&stage.events()), ["Stanza"]);
}

#[test]
fn wire_2_10_initiator_and_responder_stand_only_where_xep_0166_wants_them() {
    let (mut world, romeo, juliet) = xtls_testkit::World::pair(5);
    let (tunnel, _) = world.connect_with(romeo, juliet, TunnelOptions::xml_stream(TrustPolicy::Pinned));
    world.with(romeo, |engine, now| engine.tunnel(tunnel).unwrap().close(now));
    world.run();
    let mut actions = Vec::new();
    for passed in world.relay.log() {
        let stanza = element(&passed.stanza);
        let Some(jingle) = stanza.child("jingle", ns::JINGLE) else { continue };
        let action = jingle.attribute("action").unwrap();
        let initiator = (action == "session-initiate").then_some(ROMEO);
        let responder = (action == "session-accept").then_some(JULIET);
        assert_eq!((jingle.attribute("initiator"), jingle.attribute("responder")), (initiator, responder), "{action}");
        actions.push(action.to_owned());
    }
    assert_eq!(actions.len(), 4);
}

#[test]
fn wire_2_10_initiator_and_responder_are_ignored_wherever_they_come() {
    let mut stage = Stage::juliet();
    let initiate = stage.initiate_with(&stage.peer_security()).replace(ROMEO, "mallory@evil.lit/x");
    assert!(stage.ask_fine(&initiate).is_empty());
    let incoming = stage.take_incoming();
    assert_eq!(incoming.peer.as_str(), ROMEO, "the sender of the IQ");
    let (_, accept) = stage.accept(incoming, TrustPolicy::Pinned);
    assert_eq!(accept.attribute("to"), Some(ROMEO));
    for attributes in ["initiator='mallory@evil.lit/x' responder='mallory@evil.lit/y'", "initiator='not a jid'"] {
        let info = stage.security_info("<method name='x509'/>").replace(" sid=", &format!(" {attributes} sid="));
        assert!(stage.ask_fine(&info).is_empty());
    }

    // The draft's session-accept has an initiator and no responder.
    let mut stage = Stage::romeo();
    stage.engine_offers(TrustPolicy::Pinned);
    let accept = stage.accept_with(&stage.peer_security()).replace("responder=", "initiator=");
    assert_eq!(stage.ask_fine(&accept).len(), 2);
}

/// Dino answers feature-not-implemented; it need not know security-info.
#[test]
fn wire_2_14_a_refused_security_info_is_not_fatal() {
    for (error_type, condition) in [("cancel", "feature-not-implemented"), ("modify", "bad-request")] {
        let mut stage = Stage::romeo();
        stage.engine_offers(TrustPolicy::Pinned);
        stage.start_server(&stage.tls_config());
        let accept = stage.accept_with(&stage.peer_security());
        let requests = stage.ask_fine(&accept);
        assert!(matches!(stage.refuse(&requests[0], error_type, condition, ""), Disposition::Consumed));
        stage.ack(&requests[1]);
        assert_eq!(stage.play(), []);
        assert_eq!(stage.told(), HEADER_ROMEO);
        assert_eq!(kinds(&stage.events()), ["Secured"]);
    }
}

#[test]
fn wire_2_14_security_info_may_be_absent_or_late_or_lack_the_contents_attributes() {
    let attributes = "creator='initiator' name='xmlstream'";
    for when in ["absent", "after open", "after the handshake", "without attributes", "two methods"] {
        let mut stage = Stage::juliet();
        let incoming = stage.offer();
        stage.accept(incoming, TrustPolicy::Pinned);
        let info = stage.security_info("<method name='x509'/>");
        if when == "without attributes" {
            let info = info.replace(&format!("<content {attributes}>"), "<content>");
            assert!(stage.ask_fine(&info).is_empty(), "{when}");
        }
        if when == "two methods" {
            // Only one of them is one that both have offered.
            let info = stage.security_info("<method name='srp'/><method name='openpgp'/><method name='x509'/>");
            assert!(stage.ask_fine(&info).is_empty(), "{when}");
        }
        let open = stage.open();
        assert!(stage.ask_fine(&open).is_empty(), "{when}");
        if when == "after open" {
            assert!(stage.ask_fine(&info).is_empty(), "{when}");
        }
        stage.start_client(&stage.tls_config());
        assert_eq!(stage.play(), [], "{when}");
        assert_eq!(kinds(&stage.events()), ["Secured"], "{when}");
        if when == "after the handshake" {
            assert!(stage.ask_fine(&info).is_empty(), "{when}");
            assert!(stage.events().is_empty());
        }
    }
}

#[test]
fn wire_2_14_a_method_that_was_not_offered_by_both_is_refused_and_changes_nothing() {
    let mut stage = Stage::juliet();
    let incoming = stage.offer();
    stage.accept(incoming, TrustPolicy::Pinned);
    let info = stage.security_info("<method name='srp'/>");
    let (answer, others) = stage.ask(&info);
    assert_eq!(said(&answer), jingle_error(Condition::UnexpectedRequest, ErrorType::Wait, "out-of-order"));
    assert_eq!(others, []);
    let info = stage.security_info("");
    let (answer, _) = stage.ask(&info);
    assert_eq!(said(&answer), (Condition::BadRequest, ErrorType::Modify, None));
    stage.choose_and_open();
    stage.start_client(&stage.tls_config());
    stage.play();
    assert_eq!(kinds(&stage.events()), ["Secured"]);
}

/// Both mean unsupported: a session-accept without `<security/>`, and an error to the session-initiate.
#[test]
fn wire_2_15_an_error_to_the_session_initiate_ends_the_tunnel() {
    for (error_type, condition) in
        [("cancel", "feature-not-implemented"), ("cancel", "service-unavailable"), ("modify", "bad-request")]
    {
        let mut stage = Stage::romeo();
        let mut options = TunnelOptions::xml_stream(TrustPolicy::Pinned);
        options.check_support = false;
        stage.with(|engine, now| engine.initiate(now, JULIET.parse().unwrap(), options)).unwrap();
        let initiate = stage.sent_one();
        assert!(matches!(stage.refuse(&initiate, error_type, condition, ""), Disposition::Consumed));
        // There is no session to terminate (XEP-0166 § 6.3.2).
        stage.sent_nothing();
        let closed = closed(stage.events());
        let Fault::Refused { error, .. } = fault(&closed) else { panic!("{closed:?}") };
        assert_eq!(error.condition.as_str(), condition);
    }
}

#[test]
fn wire_2_16_an_offer_without_a_usable_method_is_ended_with_security_error() {
    let empty = "<security xmlns='urn:xmpp:jingle:security:xtls:0'/>";
    let unknown = "<security xmlns='urn:xmpp:jingle:security:xtls:0'><method name='openpgp'/></security>";
    for security in [empty, unknown] {
        let mut stage = Stage::juliet();
        let initiate = stage.initiate_with(security);
        let requests = stage.ask_fine(&initiate);
        let [end] = requests.as_slice() else { panic!("one request: {}", texts(&requests)) };
        assert_eq!(payload(end), terminate(SID, "security-error"));
        assert!(stage.events().is_empty(), "nothing to decide on");
    }
}

#[test]
fn wire_2_16_an_answer_without_a_usable_method_is_ended_with_security_error() {
    let cases = [("", vec![]), ("<method name='openpgp'/>", vec![]), ("<method name='srp'/>", vec![Method::Srp])];
    for (methods, offered) in cases {
        let mut stage = Stage::romeo();
        stage.engine_offers(TrustPolicy::Pinned);
        let security = format!("<security xmlns='urn:xmpp:jingle:security:xtls:0'>{methods}</security>");
        let accept = stage.accept_with(&security);
        let requests = stage.ask_fine(&accept);
        let [end] = requests.as_slice() else { panic!("one request: {}", texts(&requests)) };
        assert_eq!(payload(end), terminate(&stage.sid, "security-error"));
        let closed = closed(stage.events());
        assert!(matches!(fault(&closed), Fault::NoCommonMethod { offered: said } if *said == offered), "{closed:?}");
    }
}

#[test]
fn wire_2_16_an_empty_security_is_never_sent() {
    let mut options = TunnelOptions::xml_stream(TrustPolicy::Pinned);
    options.terms.methods.clear();

    let mut stage = Stage::romeo();
    let refused = stage.with(|engine, now| engine.initiate(now, JULIET.parse().unwrap(), options.clone()));
    assert_eq!(refused, Err(InitiateError::Terms(TermsError::NoMethod)));
    stage.sent_nothing();

    let mut stage = Stage::juliet();
    let incoming = stage.offer();
    let refused = stage.with(|engine, now| engine.accept(now, incoming, options.clone()));
    assert_eq!(refused, Err(AcceptError::NoMethod));
    assert_eq!(payload(&stage.sent_one()), terminate(SID, "decline"));

    // What is allowed was not offered.
    let mut stage = Stage::juliet();
    let incoming = stage.offer();
    options.terms.methods = vec![Method::Srp];
    stage.with(|engine, now| engine.accept(now, incoming, options)).unwrap();
    assert_eq!(payload(&stage.sent_one()), terminate(SID, "security-error"));
    let closed = closed(stage.events());
    assert!(matches!(fault(&closed), Fault::NoCommonMethod { offered } if *offered == [Method::X509]), "{closed:?}");
}

#[test]
fn wire_2_16_unknown_methods_beside_a_known_one_are_ignored() {
    let mut stage = Stage::juliet();
    let security = stage.peer_security().replace("<method", "<method name='openpgp'/><method");
    let initiate = stage.initiate_with(&security);
    assert!(stage.ask_fine(&initiate).is_empty());
    assert_eq!(stage.take_incoming().offer.methods, [Method::X509]);
}

/// An offer that is declined is terminated with the embedder's reason.
#[test]
fn wire_2_23_a_declined_offer_is_terminated_with_the_reason() {
    let mut stage = Stage::juliet();
    let incoming = stage.offer();
    let reason = xtls::jingle::Reason::from(xtls::jingle::ReasonCondition::Busy);
    stage.with(|engine, now| engine.reject(now, incoming, reason)).unwrap();
    assert_eq!(payload(&stage.sent_one()), terminate(SID, "busy"));
    assert!(stage.events().is_empty());
}

#[test]
fn wire_2_23_a_session_terminate_without_a_reason_is_taken() {
    let (mut stage, _) = Stage::responder_with_stream();
    let end = format!("<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='{SID}'/>");
    assert!(stage.ask_fine(&end).is_empty());
    let events: Vec<Event> = stage.events();
    let closed = closed(events);
    assert!(matches!(closed.reason, CloseReason::Done) && closed.truncated, "{closed:?}");
}
