//! The options and the profiles: what each reads, offers and tolerates.

use xtls_jingle::{
    Acceptance, Action, Description, Dialect, IbbVersion, JingleFault, JingleVersion, Offer, OfferRefusal, Profile,
    Session, SessionEvent, Transport,
};
use xtls_stanza::{Method, XtlsVersion};

use super::{
    BOTH, IBB_SID, JULIET, ROMEO, SID, active, element, jid, jingle, next, offer, over_version, parse_with, pending,
    read_with, security, write,
};

/// Strict, draft02, tolerant.
const DIALECTS: [Dialect; 3] = [Dialect::STRICT, Dialect::DRAFT_02, Dialect::TOLERANT];

const OLD: [&str; 4] = [
    "urn:xmpp:jingle:0",
    "urn:xmpp:tmp:jingle",
    "urn:xmpp:tmp:jingle:apps:xmlstream",
    "urn:xmpp:tmp:jingle:apps:xmlstream:0",
];

#[test]
fn the_profiles_have_their_rows() {
    assert_eq!(Dialect::default(), Dialect::TOLERANT);
    assert_eq!(Profile::default(), Profile::Tolerant);
    let rows = [
        (Profile::Strict, "strict", Dialect::STRICT),
        (Profile::Draft02, "draft02", Dialect::DRAFT_02),
        (Profile::Tolerant, "tolerant", Dialect::TOLERANT),
    ];
    assert_eq!(rows.map(|row| row.0), Profile::ALL);
    for (profile, name, dialect) in rows {
        assert_eq!((profile.as_str(), Profile::parse(name), Dialect::from(profile)), (name, Some(profile), dialect));
    }
    assert_eq!(Profile::parse("lenient"), None);
}

/// For each dialect, whether it reads an empty session-info in this namespace.
fn reads_jingle(ns: &str) -> [bool; 3] {
    let xml = format!("<jingle xmlns='{ns}' action='session-info' sid='{SID}'/>");
    DIALECTS.map(|dialect| {
        let read = read_with(&xml, &dialect).map(Result::unwrap);
        assert_eq!(read.is_some(), dialect.jingle_version(ns).is_some());
        read.is_some_and(|jingle| jingle.version.ns() == ns)
    })
}

#[test]
fn namespaces_of_jingle() {
    assert_eq!(JingleVersion::ALL.len(), 3);
    assert_eq!(reads_jingle("urn:xmpp:jingle:1"), [true; 3]);
    assert_eq!(reads_jingle("urn:xmpp:jingle:0"), [false, false, true]);
    assert_eq!(reads_jingle("urn:xmpp:tmp:jingle"), [false, false, true]);
    for unknown in
        ["urn:xmpp:jingle:2", "urn:xmpp:jingle", "urn:xmpp:tmp:jingle:0", "http://jabber.org/protocol/jingle"]
    {
        assert_eq!(reads_jingle(unknown), [false; 3], "{unknown}");
    }
}

#[test]
fn namespaces_of_the_application() {
    let reads = |ns: &str| {
        let xml = format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s'><content name='c'>\
             <description xmlns='{ns}'/></content></jingle>"
        );
        DIALECTS.map(|dialect| {
            let description = parse_with(&xml, &dialect).contents.remove(0).description.unwrap();
            assert_eq!(description.ns(), ns);
            description.is_xmlstream()
        })
    };
    assert_eq!(reads("urn:xmpp:jingle:apps:xmlstream:0"), [true; 3]);
    assert_eq!(reads("urn:xmpp:jingle:apps:xmlstream:1"), [true; 3]);
    assert_eq!(reads("urn:xmpp:tmp:jingle:apps:xmlstream"), [false, false, true]);
    assert_eq!(reads("urn:xmpp:tmp:jingle:apps:xmlstream:0"), [false, false, true]);
    assert_eq!(reads("urn:xmpp:jingle:apps:xmlstream:2"), [false; 3]);
}

#[test]
fn namespaces_of_the_transport() {
    let reads = |ns: &str| {
        let xml = format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s'><content name='c'>\
             <transport xmlns='{ns}' sid='x' block-size='1'/></content></jingle>"
        );
        DIALECTS.map(|dialect| {
            let transport = parse_with(&xml, &dialect).contents.remove(0).transport.unwrap();
            assert_eq!(transport.ns(), ns);
            matches!(transport, Transport::Ibb(_))
        })
    };
    assert_eq!(IbbVersion::ALL.len(), 3);
    assert_eq!(reads("urn:xmpp:jingle:transports:ibb:1"), [true; 3]);
    assert_eq!(reads("urn:xmpp:jingle:transports:ibb:0"), [true; 3]);
    assert_eq!(reads("urn:xmpp:tmp:jingle:transports:ibb"), [false, false, true]);
    assert_eq!(reads("urn:xmpp:jingle:transports:ibb:2"), [false; 3]);
    assert_eq!(reads("urn:xmpp:jingle:transports:s5b:1"), [false; 3]);
}

#[test]
fn both_namespaces_of_the_precondition_are_read_by_all() {
    for version in ["0", "1"] {
        let xml = format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s'><content name='c'>\
             <security xmlns='urn:xmpp:jingle:security:xtls:{version}'/></content></jingle>"
        );
        for dialect in DIALECTS {
            assert!(parse_with(&xml, &dialect).contents[0].xtls().is_some());
        }
    }
}

#[test]
fn no_dialect_offers_an_old_namespace() {
    for dialect in DIALECTS {
        let mut offer = Offer::new(Description::xmlstream(), IBB_SID, 4096, security(BOTH));
        offer.transport = over_version(&offer, dialect.offered_ibb);
        let mut session = Session::initiate(SID, &jid(ROMEO), offer).unwrap().with_dialect(dialect);
        let (_, xml) = super::next_xml(&mut session).unwrap();
        assert!(xml.contains(dialect.offered_ibb.ns()), "{xml}");
        assert!(OLD.iter().all(|ns| !xml.contains(&format!("'{ns}'"))), "{xml}");
        assert!(!xml.contains("urn:xmpp:tmp:"), "{xml}");
    }
    assert_eq!(DIALECTS.map(|dialect| dialect.offered_ibb), [IbbVersion::Ibb1, IbbVersion::Ibb0, IbbVersion::Ibb1]);
}

#[test]
fn draft_7_and_xep_0261_4_every_supported_version_is_advertised() {
    let features = [
        "urn:xmpp:jingle:1",
        "urn:xmpp:jingle:apps:xmlstream:0",
        "urn:xmpp:jingle:apps:xmlstream:1",
        "urn:xmpp:jingle:security:xtls:0",
        "urn:xmpp:jingle:security:xtls:1",
        "urn:xmpp:jingle:transports:ibb:1",
        "urn:xmpp:jingle:transports:ibb:0",
    ];
    for mut dialect in DIALECTS {
        assert_eq!(dialect.features(), features);
        dialect.ibb_0 = false;
        assert_eq!(dialect.features(), &features[..6]);
    }
}

fn info(content: &str, methods: &[&str]) -> xtls_jingle::Jingle {
    let methods: String = methods.iter().map(|name| format!("<method name='{name}'/>")).collect();
    jingle(
        Action::SecurityInfo,
        &format!("<content {content}><security xmlns='urn:xmpp:jingle:security:xtls:0'>{methods}</security></content>"),
    )
}

#[test]
fn security_info_with_several_methods_chooses_nothing_where_it_is_tolerated() {
    let request = info("creator='initiator' name='xmlstream'", &["srp", "x509"]);
    let tolerated = DIALECTS.map(|dialect| {
        let mut responder = active().1.with_dialect(dialect);
        let before = super::picture(&responder);
        let answer = responder.handle_request(&request);
        assert_eq!(super::picture(&responder), before, "nothing is chosen");
        assert!(matches!(answer, Ok(None) | Err(JingleFault::Malformed(_))), "{answer:?}");
        // A later one that is clear still counts.
        let clear = info("creator='initiator' name='xmlstream'", &["x509"]);
        assert_eq!(responder.handle_request(&clear), Ok(Some(SessionEvent::MethodChosen(Method::X509))));
        assert_eq!(responder.handle_request(&request).is_ok(), answer.is_ok(), "nor changed");
        assert_eq!(responder.method(), Some(Method::X509));
        answer.is_ok()
    });
    assert_eq!(tolerated, [false, true, true]);
}

#[test]
fn xep_0047_6_white_space_in_base64_is_refused_by_the_strict_profile_alone() {
    assert_eq!(DIALECTS.map(|dialect| dialect.white_space), [false, true, true]);
}

#[test]
fn m07_no_dialect_makes_a_method_possible_that_not_both_offered() {
    for dialect in DIALECTS {
        let mut responder = super::active_with(&[Method::X509]).1.with_dialect(dialect);
        let name = "creator='initiator' name='xmlstream'";
        assert!(matches!(responder.handle_request(&info(name, &["srp"])), Err(JingleFault::OutOfOrder(_))));
        assert!(matches!(responder.handle_request(&info(name, &[])), Err(JingleFault::Malformed(_))));
        assert_eq!(responder.method(), None);
    }
}

#[test]
fn xep_0166_7_3_a_content_without_a_name_is_taken_where_it_is_tolerated() {
    for (attributes, expected) in [
        ("creator='initiator' name='xmlstream'", [true; 3]),
        // The default of the creator is the initiator.
        ("name='xmlstream'", [true; 3]),
        ("creator='initiator'", [false, true, true]),
        ("", [false, true, true]),
        ("name=''", [false; 3]),
        ("creator='responder'", [false; 3]),
    ] {
        let taken = DIALECTS.map(|dialect| {
            let mut responder = active().1.with_dialect(dialect);
            responder.handle_request(&info(attributes, &["x509"])).is_ok()
        });
        assert_eq!(taken, expected, "{attributes}");
    }
}

#[test]
fn xep_0166_7_3_the_responder_as_creator_is_taken_in_an_accept_where_it_is_tolerated() {
    for (creator, name, expected) in [
        ("initiator", "xmlstream", [true; 3]),
        ("responder", "xmlstream", [false, false, true]),
        ("responder", "x", [false; 3]),
    ] {
        let taken = DIALECTS.map(|dialect| {
            let (initiator, mut responder) = pending(offer());
            let mut initiator = initiator.with_dialect(dialect);
            responder.accept(Acceptance::new(jid(JULIET), 4096, security(BOTH))).unwrap();
            let (_, accept) = super::next_xml(&mut responder).unwrap();
            let accept = accept
                .replace("creator='initiator'", &format!("creator='{creator}'"))
                .replace("name='xmlstream'", &format!("name='{name}'"));
            let taken = initiator.handle_request(&parse_with(&accept, &dialect)).is_ok();
            // What it answers names who made it.
            if taken {
                initiator.choose(Method::X509).unwrap();
                assert!(super::next_xml(&mut initiator).unwrap().1.contains("creator='initiator'"));
            }
            taken
        });
        assert_eq!(taken, expected, "{creator} {name}");
    }
}

/// The oldest transport has no sid of its own; a bytestream cannot have every one that a session can.
#[test]
fn xep_0047_2_1_a_session_whose_sid_is_no_nmtoken_lends_it_to_no_bytestream() {
    let initiate = |sid: &str| {
        let content = "<content creator='initiator' name='xmlstream'>\
            <description xmlns='urn:xmpp:tmp:jingle:apps:xmlstream'/>\
            <transport xmlns='urn:xmpp:tmp:jingle:transports:ibb'/>\
            <security xmlns='urn:xmpp:jingle:security:xtls:0'><method name='x509'/></security></content>";
        let xml =
            format!("<jingle xmlns='urn:xmpp:tmp:jingle' action='session-initiate' sid='{sid}'>{content}</jingle>");
        Session::incoming(&parse_with(&xml, &Dialect::TOLERANT))
    };
    assert!(initiate("abc").is_ok());
    assert!(matches!(initiate("a+c"), Err(OfferRefusal::Fault(JingleFault::Malformed(_)))));
}

#[test]
fn security_info_is_taken_before_and_after_the_accept_by_all() {
    for dialect in DIALECTS {
        let name = "creator='initiator' name='xmlstream'";
        let mut early = pending(offer()).1.with_dialect(dialect);
        assert_eq!(early.handle_request(&info(name, &["srp"])), Ok(None));
        early.accept(Acceptance::new(jid(JULIET), 4096, security(BOTH))).unwrap();
        assert_eq!(early.method(), Some(Method::Srp));
        let mut late = active().1.with_dialect(dialect);
        late.tls_started(Method::Srp);
        assert_eq!(late.handle_request(&info(name, &["srp"])), Ok(None));
    }
}

/// draft-meyer-xmpp-e2e-encryption-02 writes both: they are taken alike, what is none of them is none, and what we offer is
/// always `:0`.
#[test]
fn m27_the_security_precondition_has_two_namespaces_and_no_others() {
    for dialect in DIALECTS {
        for (ns, expected) in [
            ("urn:xmpp:jingle:security:xtls:0", Some(XtlsVersion::Xtls0)),
            ("urn:xmpp:jingle:security:xtls:1", Some(XtlsVersion::Xtls1)),
            ("urn:xmpp:jingle:security:xtls", None),
            ("urn:xmpp:jingle:security:xtls:", None),
            ("urn:xmpp:jingle:security:xtls:2", None),
            ("urn:xmpp:jingle:security:xtls:00", None),
            ("urn:xmpp:jingle:security:xtls:10", None),
            ("urn:xmpp:jingle:security:xtls:0 ", None),
            ("URN:xmpp:jingle:security:xtls:0", None),
            ("urn:xmpp:jingle:security:XTLS:0", None),
            ("urn:xmpp:tmp:jingle:security:xtls", None),
            ("urn:xmpp:jingle:security:stub:0", None),
        ] {
            let (_, initiate) = super::next_xml(&mut Session::initiate(SID, &jid(ROMEO), offer()).unwrap()).unwrap();
            assert!(initiate.contains("'urn:xmpp:jingle:security:xtls:0'"), "that is what is offered");
            let initiate = initiate.replace("urn:xmpp:jingle:security:xtls:0", ns);
            let taken = Session::incoming(&parse_with(&initiate, &dialect));
            let Some(version) = expected else {
                assert_eq!(taken.unwrap_err(), OfferRefusal::NotXtls, "{ns}");
                continue;
            };
            let mut responder = taken.unwrap().with_dialect(dialect);
            assert_eq!(responder.offer().security.version, version);
            responder.accept(Acceptance::new(jid(JULIET), 4096, security(BOTH))).unwrap();
            // The answer echoes the peer's.
            assert!(super::next_xml(&mut responder).unwrap().1.contains(&format!("'{ns}'")));
            // Both of them in one content: the first counts.
            let both = initiate.replace(
                "<security",
                "<security xmlns='urn:xmpp:jingle:security:xtls:1'><method name='srp'/></security><security",
            );
            let first = Session::incoming(&parse_with(&both, &dialect)).unwrap();
            let methods = &first.offer().security.methods;
            assert_eq!((first.offer().security.version, methods.as_slice()), (XtlsVersion::Xtls1, &[Method::Srp][..]));
        }
        let advertised = dialect.features().iter().filter(|feature| feature.contains(":security:"));
        assert_eq!(
            advertised.collect::<Vec<_>>(),
            [&"urn:xmpp:jingle:security:xtls:0", &"urn:xmpp:jingle:security:xtls:1"]
        );
    }
}

#[test]
fn a_part_in_the_namespace_of_any_jingle_is_no_part() {
    for own in ["urn:xmpp:jingle:0", "urn:xmpp:jingle:1", "urn:xmpp:tmp:jingle"] {
        let parts = ["description", "transport", "security"].map(|name| format!("<{name} xmlns='{own}'/>")).concat();
        let xml = format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='s'><content>{parts}</content></jingle>"
        );
        let content = parse_with(&xml, &Dialect::TOLERANT).contents.remove(0);
        assert_eq!((content.description, content.transport), (None, None), "{own}");
        assert_eq!(content.security, xtls_jingle::Security::Absent, "{own}");
        let description = element(&format!("<description xmlns='{own}'/>"));
        assert!(Description::new(&description).is_err(), "{own}");
    }
}

#[test]
fn the_contents_of_an_element_are_in_its_own_namespace() {
    let xml = "<jingle xmlns='urn:xmpp:jingle:0' action='session-terminate' sid='s'>\
        <content xmlns='urn:xmpp:jingle:1' name='c'/><reason xmlns='urn:xmpp:jingle:1'><busy/></reason></jingle>";
    let jingle = parse_with(xml, &Dialect::TOLERANT);
    assert_eq!((jingle.contents.len(), jingle.reason.is_none()), (0, true));
    let renamed = xml.replace(" xmlns='urn:xmpp:jingle:1'", "");
    let jingle = parse_with(&renamed, &Dialect::TOLERANT);
    assert_eq!((jingle.contents.len(), jingle.reason.is_some()), (1, true));
    assert_eq!(parse_with(&write(&jingle), &Dialect::TOLERANT), jingle);
}

#[test]
fn an_answer_has_the_dialect_of_nobody() {
    // Whatever the responder's dialect, it answers in the versions of the offer.
    for dialect in DIALECTS {
        for version in [IbbVersion::Ibb1, IbbVersion::Ibb0] {
            let mut offer = offer();
            offer.transport = over_version(&offer, version);
            let (_, initiate) = super::next_xml(&mut Session::initiate(SID, &jid(ROMEO), offer).unwrap()).unwrap();
            let mut responder = Session::incoming(&parse_with(&initiate, &dialect)).unwrap().with_dialect(dialect);
            responder.accept(Acceptance::new(jid(JULIET), 4096, security(BOTH))).unwrap();
            let (_, xml) = super::next_xml(&mut responder).unwrap();
            assert!(xml.contains(version.ns()), "{xml}");
        }
    }
    assert_eq!(next(&mut Session::initiate(SID, &jid(ROMEO), offer()).unwrap()).1.version, JingleVersion::Jingle1);
}
