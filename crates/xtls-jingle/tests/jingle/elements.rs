//! Elements: what is written reads back, what breaks a rule is named, what is unknown is ignored.

use xtls_jingle::{
    Action, Content, Creator, Description, DescriptionError, Dialect, Jingle, MAX_SID, MalformedKind, Reason,
    ReasonCondition, Security, Senders, Transport,
};
use xtls_stanza::{Condition, Element, Method};

use super::{BOTH, JULIET, ROMEO, SID, element, ibb, jingle, parse, read, read_with, security, write};

fn content(inner: &str) -> Content {
    jingle(Action::SessionAccept, inner).contents.remove(0)
}

#[test]
fn every_action_survives_the_wire() {
    assert_eq!(Action::ALL.len(), 15);
    for action in Action::ALL {
        assert_eq!(Action::parse(action.as_str()), Some(*action));
        let sent = Jingle::new(*action, SID);
        assert_eq!(parse(&write(&sent)), sent);
    }
    assert_eq!(Action::parse("Session-Initiate"), None);
}

#[test]
fn every_part_of_an_element_survives_the_wire() {
    let raw = Element::builder("description", "urn:example:app")
        .attribute("media", "<&'\">")
        .open("range", "urn:example:other")
        .text("\r\n\t ]]> ")
        .build()
        .unwrap();
    for description in [None, Some(Description::xmlstream()), Some(Description::new(&raw).unwrap())] {
        for transport in [
            None,
            Some(Transport::Ibb(ibb(None, None))),
            Some(Transport::Ibb(ibb(Some("x.1"), Some(65_535)))),
            Some(Transport::Other { ns: "urn:x'y".into() }),
        ] {
            for security in [Security::Absent, Security::Xtls(security(BOTH)), Security::Other { ns: "urn:z".into() }] {
                for senders in [Senders::Both, Senders::Initiator, Senders::None, Senders::Responder] {
                    let mut content = Content::new("a\n'name'");
                    content.creator = if senders == Senders::None { Creator::Responder } else { Creator::Initiator };
                    content.senders = senders;
                    content.disposition = (senders == Senders::Both).then(|| "early-session".into());
                    content.description = description.clone();
                    content.transport = transport.clone();
                    content.security = security.clone();
                    let mut sent = Jingle::new(Action::ContentAdd, SID);
                    sent.initiator = Some(ROMEO.parse().unwrap());
                    sent.responder = Some(JULIET.parse().unwrap());
                    sent.reason = Some(Reason::new(ReasonCondition::Success).with_text("<a> & b"));
                    sent.contents = vec![content.clone(), content];
                    assert_eq!(parse(&write(&sent)), sent);
                }
            }
        }
    }
}

#[test]
fn a_payload_survives_the_wire() {
    let sent = jingle(Action::SessionInfo, "<ringing xmlns='urn:xmpp:jingle:apps:rtp:1:info'/>");
    let payload = sent.payload.clone().unwrap();
    assert_eq!((payload.name.as_str(), payload.ns.as_str()), ("ringing", "urn:xmpp:jingle:apps:rtp:1:info"));
    assert_eq!(parse(&write(&sent)), sent);
}

#[test]
fn every_reason_survives_the_wire() {
    assert_eq!(ReasonCondition::ALL.len(), 17);
    for condition in ReasonCondition::ALL {
        let bare = Reason::new(*condition);
        for reason in [bare.clone(), bare.with_text("why <&>")] {
            assert_eq!(parse(&write(&Jingle::terminate(SID, reason.clone()))).reason, Some(reason));
        }
    }
    let alternative = Reason::alternative_session("b84tkkwlmb48kgfb");
    assert_eq!(parse(&write(&Jingle::terminate(SID, alternative.clone()))).reason, Some(alternative));
}

#[test]
fn a_sid_goes_with_an_alternative_session_only() {
    let mut busy = Reason::new(ReasonCondition::Busy);
    busy.alternative_sid = Some("b84tkkwlmb48kgfb".into());
    assert!(!write(&Jingle::terminate(SID, busy)).contains("b84tkkwlmb48kgfb"));
    for bad in ["", "a b", "&#9;", &"x".repeat(MAX_SID + 1)] {
        let reason = format!("<reason><alternative-session><sid>{bad}</sid></alternative-session></reason>");
        let read = jingle(Action::SessionTerminate, &reason).reason.unwrap();
        assert_eq!(read, Reason::new(ReasonCondition::AlternativeSession), "{bad:?}");
    }
}

#[test]
fn a_reason_that_is_unknown_or_empty_is_undefined() {
    for inner in ["", "<blue-moon/>", "<busy xmlns='urn:x'/>", "words", "<text/>"] {
        let reason = jingle(Action::SessionTerminate, &format!("<reason>{inner}</reason>")).reason.unwrap();
        assert_eq!(reason.condition, ReasonCondition::Undefined, "{inner}");
    }
    assert_eq!(ReasonCondition::Undefined.as_str(), "general-error");
}

#[test]
fn of_several_reasons_the_first_known_counts() {
    let reason = jingle(Action::SessionTerminate, "<reason><moon/><text>t</text><gone/><success/></reason>").reason;
    assert_eq!(reason, Some(Reason::new(ReasonCondition::Gone).with_text("t")));
}

#[test]
fn a_reason_shown_to_people_cannot_steer_their_terminal() {
    let reason = Reason::new(ReasonCondition::Decline).with_text("no\u{1b}[2J");
    assert_eq!(reason.to_string(), "decline: no\\u{1b}[2J");
    assert_eq!(Reason::new(ReasonCondition::Undefined).to_string(), "an undefined reason");
}

#[test]
fn other_elements_are_not_jingle() {
    for xml in ["<jingle/>", "<jingle xmlns='urn:xmpp:jingle:2'/>", "<open xmlns='urn:xmpp:jingle:1'/>"] {
        assert!(Jingle::parse(element(xml).root()).is_none(), "{xml}");
    }
}

#[test]
fn what_breaks_a_rule_is_named_and_answered() {
    let with = |attributes: &str, inner: &str| {
        read(&format!("<jingle xmlns='urn:xmpp:jingle:1' {attributes}>{inner}</jingle>")).unwrap_err()
    };
    let in_content = |attributes: &str, inner: &str| {
        let content = format!("<content {attributes}>{inner}</content>");
        with("action='session-initiate' sid='s'", &content)
    };
    let ibb = |attributes: &str| {
        let transport = format!("<transport xmlns='urn:xmpp:jingle:transports:ibb:1' {attributes}/>");
        in_content("creator='initiator' name='c'", &transport)
    };
    let two = |name: &str| format!("<{name} xmlns='urn:a'/><{name} xmlns='urn:b'/>");
    for (malformed, kind, condition) in [
        (with("sid='s'", ""), MalformedKind::Action, Condition::BadRequest),
        (with("action='' sid='s'", ""), MalformedKind::Action, Condition::BadRequest),
        (with("action='session-info'", ""), MalformedKind::NoSid, Condition::BadRequest),
        (with("action='session-info' sid=''", ""), MalformedKind::NoSid, Condition::BadRequest),
        (with("action='session-info' sid='a b'", ""), MalformedKind::Sid, Condition::NotAcceptable),
        (in_content("creator='me'", ""), MalformedKind::Creator, Condition::BadRequest),
        (in_content("senders='all'", ""), MalformedKind::Senders, Condition::BadRequest),
        (in_content("disposition='early-session'", ""), MalformedKind::Disposition, Condition::BadRequest),
        (in_content("", &two("description")), MalformedKind::SeveralDescriptions, Condition::BadRequest),
        (in_content("", &two("transport")), MalformedKind::SeveralTransports, Condition::BadRequest),
        (ibb("sid='a/b'"), MalformedKind::IbbSid, Condition::BadRequest),
        (ibb("sid=''"), MalformedKind::IbbSid, Condition::BadRequest),
        (ibb("stanza='presence'"), MalformedKind::IbbStanza, Condition::BadRequest),
        (ibb("block-size=''"), MalformedKind::BlockSize, Condition::BadRequest),
    ] {
        assert_eq!(malformed.kind, kind);
        assert_eq!(malformed.stanza_error().condition, condition, "{kind:?}");
        assert!(malformed.stanza_error().text.is_some(), "{kind:?}");
    }
}

#[test]
fn p07_a_sid_that_is_no_nmtoken_is_not_acceptable_unless_it_is_tolerated() {
    let read = |sid: &str, dialect: &Dialect| {
        let sid = sid.replace('&', "&amp;").replace('<', "&lt;");
        let xml = format!("<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='{sid}'/>");
        read_with(&xml, dialect).unwrap()
    };
    let refused = |sid: &str, dialect: &Dialect| {
        let malformed = read(sid, dialect).unwrap_err();
        assert_eq!(malformed.stanza_error().condition, Condition::NotAcceptable, "{sid}");
        assert_eq!((malformed.action, malformed.sid), (Some(Action::SessionInitiate), None), "{sid}");
    };
    let longest = "+".repeat(MAX_SID);
    for sid in ["a+b", "AIzo/6tFg==", "<&>", &longest] {
        assert_eq!(read(sid, &Dialect::TOLERANT).unwrap().sid, sid);
        // What is written in answer is the same again.
        assert_eq!(parse(&write(&Jingle::terminate(sid, Reason::alternative_session(sid)))).sid, sid);
        let reason = parse(&write(&Jingle::terminate(sid, Reason::alternative_session(sid)))).reason.unwrap();
        assert_eq!(reason.alternative_sid.as_deref(), Some(sid));
        for dialect in [Dialect::STRICT, Dialect::DRAFT_02] {
            refused(sid, &dialect);
        }
    }
    for sid in [" ", "a b", "a\u{A0}b", "a\u{7F}b", &"+".repeat(MAX_SID + 1)] {
        refused(sid, &Dialect::TOLERANT);
    }
}

#[test]
fn a_malformed_element_still_tells_whom_it_concerns() {
    let bad = |security: &str| {
        read(&format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='{SID}'>\
             <content creator='nobody'><security xmlns='{security}'/></content></jingle>"
        ))
        .unwrap_err()
    };
    let ours = bad("urn:xmpp:jingle:security:xtls:1");
    assert_eq!((ours.action, ours.sid.as_deref()), (Some(Action::SessionInitiate), Some(SID)));
    assert!(ours.has_xtls);
    assert!(!bad("urn:xmpp:jingle:security:stub:0").has_xtls);
}

#[test]
fn a_block_size_is_digits_from_1_to_65535() {
    let read_size = |value: &str| {
        read(&format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='session-accept' sid='s'><content>\
             <transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='{value}'/></content></jingle>"
        ))
    };
    for (value, size) in [("1", 1), ("4096", 4096), ("32760", 32_760), ("65535", 65_535), ("0001", 1)] {
        let content = read_size(value).unwrap().contents.remove(0);
        assert_eq!(content.transport, Some(Transport::Ibb(ibb(None, Some(size)))), "{value}");
    }
    for value in ["", "0", "65536", "-1", "+1", " 1", "1 ", "0x10", "1e3", "4096.0", "99999999999999999999", "\u{661}"]
    {
        assert_eq!(read_size(value).unwrap_err().kind, MalformedKind::BlockSize, "{value:?}");
    }
}

#[test]
fn unknown_attributes_and_children_are_ignored() {
    let plain = jingle(Action::SessionAccept, "<content name='c'/>");
    let decorated = parse(&format!(
        "<jingle xmlns='urn:xmpp:jingle:1' xmlns:x='urn:x' x:action='none' action='session-accept' colour='red' \
         sid='{SID}'>text<content name='c' colour='red'><other xmlns='urn:x'/>text<description/></content></jingle>"
    ));
    assert_eq!(decorated, plain);
}

#[test]
fn xep_0166_16_1_the_parts_of_a_content_are_in_namespaces_of_their_own() {
    for name in ["description", "transport", "security"] {
        for own in ["", " xmlns=''"] {
            assert_eq!(content(&format!("<content><{name}{own}/></content>")), content("<content/>"), "{name}{own}");
        }
    }
}

#[test]
fn defaults_of_a_content() {
    let with_disposition = |value: &str| content(&format!("<content disposition='{value}'/>"));
    let content = content("<content/>");
    assert_eq!((content.creator, content.senders, content.name.as_deref()), (Creator::Initiator, Senders::Both, None));
    assert!(content.is_session());
    assert!(with_disposition("session").is_session());
    assert!(!with_disposition("").is_session());
}

#[test]
fn our_precondition_counts_whatever_stands_beside_it() {
    let beside = content(
        "<content><security xmlns='urn:xmpp:jingle:security:stub:0'/>\
         <security xmlns='urn:xmpp:jingle:security:xtls:0'><method name='x509'/></security></content>",
    );
    assert_eq!(beside.xtls().unwrap().methods, [Method::X509]);
    let stub = content("<content><security xmlns='urn:xmpp:jingle:security:stub:0'/></content>");
    assert_eq!(stub.security, Security::Other { ns: "urn:xmpp:jingle:security:stub:0".into() });
    assert_eq!(content("<content><security/></content>").security, Security::Absent);
}

#[test]
fn a_malformed_initiator_is_left_out() {
    let xml = "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s' initiator='@@' responder='a@b/c'/>";
    let jingle = parse(xml);
    assert_eq!(jingle.initiator, None);
    assert_eq!(jingle.responder.unwrap().as_str(), "a@b/c");
}

#[test]
fn a_description_is_told_by_its_namespace() {
    let of = |ns: &str| Description::new(&Element::builder("description", ns).build().unwrap());
    let zero = of("urn:xmpp:jingle:apps:xmlstream:0").unwrap();
    let one = of("urn:xmpp:jingle:apps:xmlstream:1").unwrap();
    let raw = of("urn:example:app").unwrap();
    assert_eq!(zero, Description::xmlstream());
    assert!(zero.is_xmlstream() && one.is_xmlstream() && !raw.is_xmlstream());
    assert!(zero.is_same_application(&one) && one.is_same_application(&zero));
    assert!(!zero.is_same_application(&raw) && !raw.is_same_application(&one));
    let with_parameters = Element::builder("description", "urn:example:app").attribute("a", "b").build().unwrap();
    assert!(raw.is_same_application(&Description::new(&with_parameters).unwrap()));
    assert_eq!((zero.element(), raw.element().map(Element::ns)), (None, Some("urn:example:app")));
    for ns in ["", "urn:xmpp:jingle:1"] {
        assert_eq!(of(ns), Err(DescriptionError::Name), "{ns:?}");
    }
    let misnamed = Element::builder("transport", "urn:example:app").build().unwrap();
    assert_eq!(Description::new(&misnamed), Err(DescriptionError::Name));
}
