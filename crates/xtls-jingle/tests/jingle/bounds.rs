//! Every bound, at the limit and one past it.

use xtls_jingle::{
    Acceptance, Action, Content, Description, DescriptionError, InBand, InitiateError, Jingle, JingleFault, MAX_SID,
    MalformedKind, OfferRefusal, PingError, Reason, ReasonCondition, Session, SessionTransport,
};
use xtls_stanza::{Element, Method};

use super::{
    BOTH, IBB_SID, JULIET, ROMEO, SID, active, jid, jingle, next, next_xml, offer, parse, pending, read, security,
    write,
};

fn with_sid(sid: &str) -> String {
    format!("<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='{sid}'/>")
}

#[test]
fn a_sid_has_at_most_256_bytes() {
    assert_eq!(MAX_SID, 256);
    assert!(read(&with_sid(&"x".repeat(256))).is_ok());
    assert_eq!(read(&with_sid(&"x".repeat(257))).unwrap_err().kind, MalformedKind::Sid);
    assert!(Session::initiate(&"x".repeat(256), &jid(ROMEO), offer()).is_ok());
    assert_eq!(Session::initiate(&"x".repeat(257), &jid(ROMEO), offer()).unwrap_err(), InitiateError::Sid);
}

#[test]
fn a_bytestream_sid_has_at_most_256_bytes() {
    let with = |length: usize| {
        read(&format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s'><content>\
             <transport xmlns='urn:xmpp:jingle:transports:ibb:1' sid='{}'/></content></jingle>",
            "x".repeat(length)
        ))
    };
    assert!(with(256).is_ok());
    assert_eq!(with(257).unwrap_err().kind, MalformedKind::IbbSid);
    for (length, expected) in [(256, None), (257, Some(InitiateError::Sid))] {
        let mut offer = offer();
        offer.transport = SessionTransport::InBand(InBand::new(&"x".repeat(length), 4096));
        assert_eq!(Session::initiate(SID, &jid(ROMEO), offer).err(), expected);
    }
}

#[test]
fn an_element_has_at_most_16_contents() {
    let with = |count: usize| {
        let contents = "<content name='c'/>".repeat(count);
        read(&format!("<jingle xmlns='urn:xmpp:jingle:1' action='content-add' sid='s'>{contents}</jingle>"))
    };
    assert_eq!(with(16).unwrap().contents.len(), Jingle::MAX_CONTENTS);
    assert_eq!(with(17).unwrap_err().kind, MalformedKind::Contents);
}

#[test]
fn a_content_name_has_at_most_256_bytes() {
    let with = |length: usize| {
        read(&format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='content-add' sid='s'><content name='{}'/></jingle>",
            "x".repeat(length)
        ))
    };
    assert_eq!(with(256).unwrap().contents[0].name.as_ref().unwrap().len(), Content::MAX_NAME);
    assert_eq!(with(257).unwrap_err().kind, MalformedKind::ContentName);
    for (length, expected) in [(256, None), (257, Some(InitiateError::ContentName))] {
        let mut offer = offer();
        offer.content_name = "x".repeat(length);
        assert_eq!(Session::initiate(SID, &jid(ROMEO), offer).err(), expected);
    }
}

#[test]
fn a_reason_keeps_1024_bytes_of_text() {
    let kept = |text: &str| {
        let reason = format!("<reason><busy/><text>{text}</text></reason>");
        jingle(Action::SessionTerminate, &reason).reason.unwrap().text.unwrap().len()
    };
    assert_eq!(kept(&"x".repeat(1024)), Reason::MAX_TEXT);
    assert_eq!(kept(&"x".repeat(1025)), Reason::MAX_TEXT);
    // A character is never cut in two.
    assert_eq!(kept(&format!("{}\u{E9}", "x".repeat(1023))), 1023);
}

/// A description of exactly so many bytes of text.
fn description(bytes: usize) -> Element {
    let frame = Element::builder("description", "urn:example:app").text("x").build().unwrap();
    let padding = bytes - frame.to_xml("urn:xmpp:jingle:1").len() + 1;
    Element::builder("description", "urn:example:app").text(&"x".repeat(padding)).build().unwrap()
}

#[test]
fn a_description_has_at_most_16_kib() {
    let limit = Description::new(&description(Description::MAX_BYTES)).unwrap();
    assert_eq!(Description::new(&description(Description::MAX_BYTES + 1)), Err(DescriptionError::TooLarge));

    let mut offer = offer();
    offer.description = limit;
    let mut initiator = Session::initiate(SID, &jid(ROMEO), offer).unwrap();
    let (_, initiate) = next(&mut initiator);
    assert!(Session::incoming(&initiate).is_ok());
    let longer = parse(&write(&initiate).replacen("xxx", "xxxx", 1));
    assert!(matches!(Session::incoming(&longer), Err(OfferRefusal::Fault(JingleFault::NotAcceptable(_)))));
}

#[test]
fn a_block_has_at_least_64_bytes() {
    let too_small = Some(InitiateError::BlockSize);
    for (size, expected) in [(0, too_small), (63, too_small), (64, None), (u16::MAX, None)] {
        let mut offer = offer();
        offer.transport = SessionTransport::InBand(InBand::new(IBB_SID, size));
        assert_eq!(Session::initiate(SID, &jid(ROMEO), offer).err(), expected, "{size}");
    }
}

#[test]
fn at_most_four_requests_of_an_initiator_are_open() {
    let mut initiator = Session::initiate(SID, &jid(ROMEO), offer()).unwrap();
    let (first, initiate) = next(&mut initiator);
    let mut responder = Session::incoming(&initiate).unwrap();
    responder.accept(Acceptance::new(jid(JULIET), 4096, security(BOTH))).unwrap();
    initiator.handle_request(&next(&mut responder).1).unwrap();
    initiator.choose(Method::X509).unwrap();
    initiator.ping().unwrap();
    let mut open = vec![first, next(&mut initiator).0, next(&mut initiator).0];
    for _ in 0..100 {
        assert_eq!(initiator.ping(), Err(PingError::Unanswered));
        assert!(initiator.choose(Method::X509).is_err());
        assert!(!initiator.wants_to_send());
    }
    for _ in 0..100 {
        initiator.terminate(Reason::new(ReasonCondition::Success));
    }
    open.push(next(&mut initiator).0);
    assert!(!initiator.wants_to_send());
    let actions = [Action::SessionInitiate, Action::SecurityInfo, Action::SessionInfo, Action::SessionTerminate];
    assert_eq!(open.iter().map(|sent| sent.action).collect::<Vec<_>>(), actions);
    for sent in open {
        assert_eq!(initiator.handle_result(sent.id.as_str()), Some(sent.action));
        assert_eq!(initiator.handle_result(sent.id.as_str()), None, "answered once");
    }
}

#[test]
fn at_most_eight_requests_are_open_with_the_answers_to_the_peers() {
    let requests = || {
        let content = |inner: &str| format!("<content creator='initiator' name='xmlstream' {inner}</content>");
        [
            jingle(Action::ContentAdd, "<content creator='responder' name='xmlstream'/>"),
            jingle(Action::ContentModify, &content("senders='none'>")),
            jingle(Action::TransportReplace, &content("><transport xmlns='urn:x'/>")),
        ]
    };
    let mut with_receipts = offer();
    with_receipts.receipts = true;
    let mut initiator = Session::initiate(SID, &jid(ROMEO), with_receipts).unwrap();
    let (first, initiate) = next(&mut initiator);
    let mut responder = Session::incoming(&initiate).unwrap();
    let mut answer = Acceptance::new(jid(JULIET), 4096, security(BOTH));
    answer.receipts = true;
    responder.accept(answer).unwrap();
    initiator.handle_request(&next(&mut responder).1).unwrap();
    initiator.choose(Method::X509).unwrap();
    initiator.ping().unwrap();
    let mut open = vec![first.action];
    for _ in 0..100 {
        let _ = initiator.give_receipt([7; 32]);
        for request in requests() {
            let _ = initiator.handle_request(&request);
        }
        while initiator.wants_to_send() {
            open.push(next(&mut initiator).0.action);
        }
    }
    initiator.terminate(Reason::new(ReasonCondition::Success));
    open.push(next(&mut initiator).0.action);
    assert_eq!(
        open,
        [
            Action::SessionInitiate,
            Action::SecurityInfo,
            Action::SessionInfo,
            Action::SessionInfo,
            Action::ContentReject,
            Action::ContentModify,
            Action::TransportReject,
            Action::SessionTerminate
        ]
    );
}

#[test]
fn a_rejected_content_add_has_at_most_16_contents() {
    let add = |count: usize| {
        let contents: String = (0..count).map(|at| format!("<content name='{at}'/>")).collect();
        read(&format!("<jingle xmlns='urn:xmpp:jingle:1' action='content-add' sid='{SID}'>{contents}</jingle>"))
    };
    let (mut initiator, _) = active();
    initiator.handle_request(&add(16).unwrap()).unwrap();
    assert_eq!(next(&mut initiator).1.contents.len(), Jingle::MAX_CONTENTS);
    assert_eq!(add(17).unwrap_err().kind, MalformedKind::Contents);
}

#[test]
fn a_ping_waits_for_its_answer() {
    let (mut initiator, _) = active();
    assert_eq!(initiator.ping(), Ok(()));
    assert_eq!(initiator.ping(), Err(PingError::Unanswered), "queued");
    let (sent, _) = next(&mut initiator);
    assert_eq!(initiator.ping(), Err(PingError::Unanswered), "sent");
    assert_eq!(initiator.handle_result(sent.id.as_str()), Some(Action::SessionInfo));
    assert_eq!(initiator.ping(), Ok(()));
}

#[test]
fn requests_of_the_peer_make_nothing_grow() {
    let (mut initiator, mut responder) = pending(offer());
    for action in Action::ALL {
        let request = Jingle::new(*action, SID);
        if *action != Action::SessionTerminate {
            for _ in 0..100 {
                let _ = initiator.handle_request(&request);
                let _ = responder.handle_request(&request);
            }
        }
    }
    assert_eq!(next_xml(&mut initiator), None);
    assert_eq!(next_xml(&mut responder), None);
}

/// One namespace, declared once and used by thousands of elements: as text it is a thousand times what came.
#[test]
fn p21_a_description_holds_no_more_than_what_came_and_its_copies_are_one() {
    let initiate = |ns: usize, elements: usize| {
        format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s'><content>\
             <description xmlns='urn:x' xmlns:p='{}'>{}</description></content></jingle>",
            "u".repeat(ns),
            "<p:a/>".repeat(elements)
        )
    };
    let held = |ns, elements| {
        let jingle = read(&initiate(ns, elements)).unwrap();
        let description = jingle.contents[0].description.as_ref().unwrap();
        (description.element().unwrap().held_bytes(), description.clone())
    };
    let (bytes, description) = held(8000, 2000);
    assert!(bytes <= 16 * (8000 + 2000 * "<p:a/>".len()), "{bytes}");
    // Copies are one and the same.
    let copy = description.clone();
    assert!(std::ptr::eq(copy.element().unwrap(), description.element().unwrap()));
}
