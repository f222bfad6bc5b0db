//! The choice of the method (draft § 3), and row M7 of the attack table: what was injected changes nothing.

use xtls_jingle::{Acceptance, Action, ChooseError, Dialect, Jingle, JingleFault, Session, SessionEvent};
use xtls_stanza::{Method, XtlsVersion};

use super::{BOTH, JULIET, active, active_with, jid, jingle, next, offer, parse, pending, picture, security, write};

/// A security-info whose content has these attributes and whose `<security/>` has these methods.
fn info_as(attributes: &str, methods: &[&str]) -> Jingle {
    let methods: String = methods.iter().map(|name| format!("<method name='{name}'/>")).collect();
    jingle(
        Action::SecurityInfo,
        &format!(
            "<content {attributes}><security xmlns='urn:xmpp:jingle:security:xtls:0'>{methods}</security></content>"
        ),
    )
}

fn info(methods: &[&str]) -> Jingle {
    info_as("creator='initiator' name='xmlstream'", methods)
}

/// The fault, and that it changed nothing.
fn fault(session: &mut Session, request: &Jingle) -> JingleFault {
    let before = picture(session);
    let fault = session.handle_request(request).unwrap_err();
    assert_eq!(picture(session), before);
    fault
}

#[test]
fn draft_3_the_initiators_choice_reaches_the_responder() {
    for method in BOTH {
        let (mut initiator, mut responder) = active();
        initiator.choose(*method).unwrap();
        let (_, request) = next(&mut initiator);
        assert_eq!(responder.handle_request(&request), Ok(Some(SessionEvent::MethodChosen(*method))));
        assert_eq!((initiator.method(), responder.method()), (Some(*method), Some(*method)));
    }
}

#[test]
fn draft_3_security_info_is_written_as_in_the_example() {
    let (mut initiator, _) = active();
    initiator.choose(Method::X509).unwrap();
    assert_eq!(
        write(&next(&mut initiator).1),
        "<jingle xmlns='urn:xmpp:jingle:1' action='security-info' sid='a73sjjvkl37jfea'>\
         <content creator='initiator' name='xmlstream'>\
         <security xmlns='urn:xmpp:jingle:security:xtls:0'><method name='x509'/></security></content></jingle>"
    );
}

#[test]
fn the_version_of_the_answer_is_echoed() {
    let (mut initiator, mut responder) = pending(offer());
    responder.accept(Acceptance::new(jid(JULIET), 4096, security(BOTH))).unwrap();
    let accept = write(&next(&mut responder).1).replace("xtls:0", "xtls:1");
    initiator.handle_request(&parse(&accept)).unwrap();
    initiator.choose(Method::X509).unwrap();
    let (_, request) = next(&mut initiator);
    assert_eq!(request.contents[0].xtls().unwrap().version, XtlsVersion::Xtls1);
    assert_eq!(responder.handle_request(&request), Ok(Some(SessionEvent::MethodChosen(Method::X509))));
}

#[test]
fn a_method_is_chosen_once_and_only_from_both_offers() {
    let (mut initiator, _) = active_with(&[Method::X509]);
    assert_eq!(initiator.choose(Method::Srp), Err(ChooseError::NotOffered));
    assert_eq!(initiator.choose(Method::X509), Ok(()));
    assert_eq!(initiator.choose(Method::X509), Err(ChooseError::AlreadyChosen));

    let (mut initiator, _) = active();
    initiator.tls_started(Method::X509);
    assert_eq!(initiator.choose(Method::Srp), Err(ChooseError::AlreadyChosen));
}

#[test]
fn m07_security_info_from_the_responder_is_out_of_order() {
    for (mut initiator, _) in [pending(offer()), active()] {
        assert!(matches!(fault(&mut initiator, &info(&["x509"])), JingleFault::OutOfOrder(_)));
        assert_eq!(initiator.method(), None);
    }
}

#[test]
fn m07_a_method_that_not_both_offered_is_out_of_order() {
    let (_, mut responder) = active_with(&[Method::X509]);
    assert!(
        matches!(fault(&mut responder, &info(&["srp"])), JingleFault::OutOfOrder(_)),
        "the responder did not offer it"
    );
    let mut x509_only = offer();
    x509_only.security = security(&[Method::X509]);
    let (_, mut responder) = pending(x509_only);
    responder.accept(Acceptance::new(jid(JULIET), 4096, security(BOTH))).unwrap();
    assert!(
        matches!(fault(&mut responder, &info(&["srp"])), JingleFault::OutOfOrder(_)),
        "the initiator did not offer it"
    );
}

#[test]
fn m07_a_second_choice_changes_nothing() {
    let (_, mut responder) = active();
    responder.handle_request(&info(&["x509"])).unwrap();
    assert!(matches!(fault(&mut responder, &info(&["srp"])), JingleFault::OutOfOrder(_)));
    assert_eq!(responder.handle_request(&info(&["x509"])), Ok(None), "the same again is harmless");
    assert_eq!(responder.method(), Some(Method::X509));
}

#[test]
fn m07_after_the_start_of_tls_the_method_stands() {
    let (_, mut responder) = active();
    responder.tls_started(Method::X509);
    assert!(matches!(fault(&mut responder, &info(&["srp"])), JingleFault::OutOfOrder(_)));
    assert_eq!(responder.handle_request(&info(&["x509"])), Ok(None), "late, but true");
    assert_eq!(responder.method(), Some(Method::X509));
}

#[test]
fn m07_security_info_without_one_clear_method_is_malformed() {
    let no_security = jingle(Action::SecurityInfo, "<content creator='initiator' name='xmlstream'/>");
    let stub = "<content name='xmlstream'><security xmlns='urn:xmpp:jingle:security:stub:0'/></content>";
    let not_in_content = "<security xmlns='urn:xmpp:jingle:security:xtls:0'><method name='x509'/></security>";
    for (label, request) in [
        ("no method", info(&[])),
        ("an unknown method", info(&["openpgp"])),
        ("two possible methods", info(&["x509", "srp"])),
        ("no security", no_security),
        ("another precondition", jingle(Action::SecurityInfo, stub)),
        ("no content", jingle(Action::SecurityInfo, not_in_content)),
        ("two contents", jingle(Action::SecurityInfo, &"<content name='xmlstream'/>".repeat(2))),
        ("another content", info_as("name='other'", &["x509"])),
        ("a content of the responder's", info_as("creator='responder' name='xmlstream'", &["x509"])),
    ] {
        let mut responder = active().1.with_dialect(Dialect::STRICT);
        assert!(matches!(fault(&mut responder, &request), JingleFault::Malformed(_)), "{label}");
    }
}

#[test]
fn of_several_methods_the_only_possible_one_is_taken() {
    let (_, mut responder) = active();
    assert_eq!(
        responder.handle_request(&info(&["openpgp", "srp", "srp"])),
        Ok(Some(SessionEvent::MethodChosen(Method::Srp))),
        "unknown and repeated"
    );
    let (_, mut responder) = active_with(&[Method::X509]);
    assert_eq!(
        responder.handle_request(&info(&["srp", "x509"])),
        Ok(Some(SessionEvent::MethodChosen(Method::X509))),
        "not offered"
    );
}

#[test]
fn missing_content_attributes_are_tolerated_where_there_is_one_content() {
    for attributes in ["", "name='xmlstream'", "creator='initiator'"] {
        let (_, mut responder) = active();
        let event = responder.handle_request(&info_as(attributes, &["x509"]));
        assert_eq!(event, Ok(Some(SessionEvent::MethodChosen(Method::X509))), "{attributes}");
    }
}

#[test]
fn a_choice_before_the_answer_stands_if_the_answer_allows_it() {
    for (answered, expected) in [(BOTH, Some(Method::Srp)), (&[Method::X509][..], None)] {
        let (_, mut responder) = pending(offer());
        assert_eq!(responder.handle_request(&info(&["srp"])), Ok(None));
        assert!(matches!(fault(&mut responder, &info(&["x509"])), JingleFault::OutOfOrder(_)), "m7: twice");
        responder.accept(Acceptance::new(jid(JULIET), 4096, security(answered))).unwrap();
        assert_eq!(responder.method(), expected);
    }
}
