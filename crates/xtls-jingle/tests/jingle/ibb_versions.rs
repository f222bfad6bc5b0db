//! The generations of in-band bytestreams as a transport: the namespace selects how they begin and end.

use xtls_jingle::{
    Acceptance, Action, Dialect, IbbVersion, JingleFault, Offer, OfferRefusal, Reason, Session, SessionEvent, Transport,
};

use super::{BOTH, IBB_SID, JULIET, ROMEO, SID, ibb, jid, next_xml, offer, over_version, parse_with, security};

fn offer_over(version: IbbVersion) -> Offer {
    let mut offer = offer();
    offer.transport = over_version(&offer, version);
    offer
}

/// A pending initiator that offered this version, and its session-initiate.
fn offered(version: IbbVersion) -> (Session, String) {
    let mut session = Session::initiate(SID, &jid(ROMEO), offer_over(version)).unwrap().with_dialect(Dialect::TOLERANT);
    let (_, xml) = next_xml(&mut session).unwrap();
    (session, xml)
}

fn accept(version: IbbVersion) -> String {
    format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-accept' sid='{SID}'>\
         <content creator='initiator' name='xmlstream'><description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>\
         <transport xmlns='{}' block-size='2048' sid='{IBB_SID}'/>\
         <security xmlns='urn:xmpp:jingle:security:xtls:0'><method name='x509'/></security></content></jingle>",
        version.ns()
    )
}

#[test]
fn only_ibb_1_is_opened() {
    assert_eq!(IbbVersion::ALL.iter().map(|version| version.has_open()).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(IbbVersion::default(), IbbVersion::Ibb1);
}

#[test]
fn the_offered_version_is_written_and_echoed() {
    for version in IbbVersion::ALL {
        let (mut initiator, initiate) = offered(*version);
        let transport = format!("<transport xmlns='{}' block-size='4096' sid='ch3d9s71'/>", version.ns());
        assert!(initiate.contains(&transport), "{initiate}");
        assert_eq!(initiator.in_band().unwrap().version, *version);

        let mut responder = Session::incoming(&parse_with(&initiate, &Dialect::TOLERANT)).unwrap();
        assert_eq!((responder.in_band().unwrap().version, responder.offer()), (*version, &offer_over(*version)));
        responder.accept(Acceptance::new(jid(JULIET), 2048, security(BOTH))).unwrap();
        let (_, accept) = next_xml(&mut responder).unwrap();
        let accept = parse_with(&accept, &Dialect::TOLERANT);
        let answered = ibb(Some(IBB_SID), Some(2048)).with_version(*version);
        assert_eq!(accept.contents[0].transport, Some(Transport::Ibb(answered)));
        assert!(matches!(
            initiator.handle_request(&accept),
            Ok(Some(SessionEvent::Accepted { security: Some(_), .. }))
        ));
        assert_eq!((initiator.in_band().unwrap().version, initiator.in_band().unwrap().block_size), (*version, 2048));
    }
}

#[test]
fn the_version_of_the_accept_is_followed() {
    for offered_version in IbbVersion::ALL {
        for accepted in IbbVersion::ALL {
            let (mut initiator, _) = offered(*offered_version);
            let event = initiator.handle_request(&parse_with(&accept(*accepted), &Dialect::TOLERANT));
            assert!(matches!(event, Ok(Some(SessionEvent::Accepted { security: Some(_), .. }))));
            assert_eq!(initiator.in_band().unwrap().version, *accepted);
            assert_eq!(
                initiator.offer().transport.in_band().unwrap().version,
                *offered_version,
                "what was offered stays known"
            );
        }
    }
}

#[test]
fn a_version_that_is_not_read_is_not_followed() {
    let rows = [
        (Dialect::STRICT, [true, true, false]),
        (Dialect::DRAFT_02, [true, true, false]),
        (Dialect::TOLERANT, [true, true, true]),
    ];
    for (dialect, followed) in rows {
        for (version, is_followed) in IbbVersion::ALL.iter().zip(followed) {
            let (mut initiator, _) = offered(IbbVersion::Ibb1);
            let answer = initiator.handle_request(&parse_with(&accept(*version), &dialect));
            assert_eq!(answer.is_ok(), is_followed, "{dialect:?} {version:?}");
            assert!(is_followed || matches!(answer, Err(JingleFault::NotAcceptable(_))));
        }
    }
}

#[test]
fn an_offer_in_a_version_that_is_not_read_is_unsupported() {
    let mut without_ibb_0 = Dialect::STRICT;
    without_ibb_0.ibb_0 = false;
    for (version, dialect) in [(IbbVersion::Ibb0, without_ibb_0), (IbbVersion::Tmp, Dialect::STRICT)] {
        let (_, initiate) = offered(version);
        let Err(OfferRefusal::Unsupported(Reason { condition, .. })) =
            Session::incoming(&parse_with(&initiate, &dialect))
        else {
            panic!("{version:?} is not read")
        };
        assert_eq!(condition, xtls_jingle::ReasonCondition::UnsupportedTransports);
    }
}

/// A session-initiate whose transport has these attributes.
fn initiate(version: IbbVersion, attributes: &str) -> Result<Session, OfferRefusal> {
    let xml = format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='{SID}'>\
         <content creator='initiator' name='xmlstream'><description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>\
         <transport xmlns='{}' {attributes}/>\
         <security xmlns='urn:xmpp:jingle:security:xtls:0'><method name='x509'/></security></content></jingle>",
        version.ns()
    );
    Session::incoming(&parse_with(&xml, &Dialect::TOLERANT))
}

#[test]
fn an_offer_of_the_oldest_version_may_leave_out_sid_and_block_size() {
    let parameters = |attributes: &str| {
        let session = initiate(IbbVersion::Tmp, attributes).unwrap();
        (session.in_band().unwrap().sid.clone(), session.in_band().unwrap().block_size)
    };
    assert_eq!(parameters(""), (SID.to_owned(), 4096));
    assert_eq!(parameters("sid='x'"), ("x".to_owned(), 4096));
    assert_eq!(parameters("block-size='65535'"), (SID.to_owned(), 65_535));
    for version in [IbbVersion::Ibb0, IbbVersion::Ibb1] {
        for attributes in ["", "sid='x'", "block-size='1'"] {
            let refusal = initiate(version, attributes).unwrap_err();
            assert!(matches!(refusal, OfferRefusal::Fault(JingleFault::Malformed(_))), "{version:?} {attributes}");
        }
    }
}

#[test]
fn the_bounds_of_the_parameters_hold_in_every_version() {
    for version in IbbVersion::ALL {
        let read = |attributes: &str| {
            let xml = format!(
                "<jingle xmlns='urn:xmpp:jingle:1' action='session-accept' sid='s'><content name='c'>\
                 <transport xmlns='{}' {attributes}/></content></jingle>",
                version.ns()
            );
            super::read_with(&xml, &Dialect::TOLERANT).unwrap().map(|_| ()).map_err(|malformed| malformed.kind)
        };
        use xtls_jingle::MalformedKind::{BlockSize, IbbSid, IbbStanza};
        assert_eq!(read(&format!("sid='{}'", "x".repeat(256))), Ok(()));
        assert_eq!(read(&format!("sid='{}'", "x".repeat(257))), Err(IbbSid));
        for (size, expected) in [("0", Err(BlockSize)), ("1", Ok(())), ("65535", Ok(())), ("65536", Err(BlockSize))] {
            assert_eq!(read(&format!("block-size='{size}'")), expected, "{size}");
        }
        assert_eq!(read("stanza='message'"), Ok(()));
        assert_eq!(read("stanza='presence'"), Err(IbbStanza));
        let refusal = initiate(*version, "sid='x' block-size='1' stanza='message'").unwrap_err();
        assert!(matches!(refusal, OfferRefusal::Unsupported(_)));
    }
}

#[test]
fn xep_0247_2_the_examples_over_ibb_0_with_the_precondition_added() {
    let (mut initiator, initiate) = offered(IbbVersion::Ibb0);
    let strict = parse_with(&initiate, &Dialect::STRICT);
    assert_eq!(strict.action, Action::SessionInitiate);
    assert!(Session::incoming(&strict).is_ok());
    assert!(initiator.handle_request(&parse_with(&accept(IbbVersion::Ibb0), &Dialect::STRICT)).is_ok());
    assert!(!initiator.in_band().unwrap().version.has_open());
}
