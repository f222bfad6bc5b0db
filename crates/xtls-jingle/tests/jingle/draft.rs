//! The examples of draft-meyer-xmpp-e2e-encryption-02 §§ 3, 4 and 6. Those of § 3 are printed with slips (a start tag
//! closed before its attributes, `<security/>` closed before its content): as printed they are refused, corrected they
//! are understood.

use xtls_jingle::{
    Action, Description, Dialect, IbbVersion, MalformedKind, Reason, ReasonCondition, Security, Session, SessionEvent,
    Transport,
};
use xtls_stanza::{Element, Limits, Method, XtlsVersion};

use super::{ROMEO, SID, active, ibb, parse, parse_with, pending, read};

const INITIATE: &str = "<iq from='romeo@montague.lit/orchard' id='xn28s7gk' to='juliet@capulet.lit/balcony' type='set'>
  <jingle xmlns='urn:xmpp:jingle:1'
    action='session-initiate'
    initiator='romeo@montague.lit/orchard'
    sid='a73sjjvkl37jfea'>
    <content creator='initiator' name='xmlstream'>
      <description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>
      <transport xmlns='urn:xmpp:jingle:transports:ibb:0' block-size='4096' sid='ch3d9s71'/>
      <security xmlns='urn:xmpp:jingle:security:xtls:0'>
        <fingerprint algo='sha1'>RomeoX509CertSHA1Hash</fingerprint>
        <method name='x509'/>
        <method name='srp'/>
      </security>
    </content>
  </jingle>
</iq>";

const ACCEPT: &str = "<iq from='juliet@capulet.com/balcony' id='hf64hl' to='romeo@montague.net/orchard' type='set'>
  <jingle xmlns='urn:xmpp:jingle:1'
    action='session-accept'
    initiator='romeo@montague.lit/orchard'
    sid='a73sjjvkl37jfea'>
    <content creator='initiator' name='xmlstream'>
      <description xmlns='urn:xmpp:jingle:apps:xmlstream:0' />
      <transport xmlns='urn:xmpp:jingle:transports:ibb:0' block-size='4096' sid='ch3d9s71' />
      <security xmlns='urn:xmpp:jingle:security:xtls:0'>
        <fingerprint algo='sha1'>JulietX509CertSHA1Hash</fingerprint>
        <method name='x509' />
        <method name='srp' />
      </security>
    </content>
  </jingle>
</iq>";

const SECURITY_INFO: &str =
    "<iq from='romeo@montague.lit/orchard' id='hf749j' to='juliet@capulet.lit/balcony' type='set'>
  <jingle xmlns='urn:xmpp:jingle:1'
    action='security-info'
    initiator='romeo@montague.lit/orchard'
    sid='a73sjjvkl37jfea'>
    <content creator='initiator' name='xmlstream'>
      <security xmlns='urn:xmpp:jingle:security:xtls:0'>
        <method name='x509' />
      </security>
    </content>
  </jingle>
</iq>";

const TERMINATE_4: &str =
    "<iq from='juliet@capulet.lit/balcony' id='psy617r4' to='romeo@montague.lit/orchard' type='set'>
  <jingle xmlns='urn:xmpp:jingle:1'
    action='session-terminate'
    initiator='romeo@montague.lit/orchard'
    sid='851ba2' />
</iq>";

const TERMINATE_6: &str =
    "<iq from='romeo@montague.lit/orchard' id='hz81vf48' to='juliet@capulet.lit/balcony' type='set'>
  <jingle xmlns='urn:xmpp:jingle:1'
    action='session-terminate'
    initiator='romeo@montague.lit/orchard'
    sid='a73sjjvkl37jfea'>
    <reason><security-error/></reason>
  </jingle>
</iq>";

/// As printed: the start tag of `<jingle>` ends before its attributes.
fn as_printed(xml: &str) -> String {
    xml.replace("<jingle xmlns='urn:xmpp:jingle:1'", "<jingle xmlns='urn:xmpp:jingle:1'>")
}

#[test]
fn draft_3_session_initiate_corrected() {
    let jingle = parse(INITIATE);
    assert_eq!((jingle.action, jingle.sid.as_str()), (Action::SessionInitiate, SID));
    assert_eq!(jingle.initiator.unwrap().as_str(), ROMEO);
    assert_eq!((jingle.responder, jingle.reason, jingle.payload), (None, None, None));
    let [content] = jingle.contents.as_slice() else { panic!("one content") };
    assert_eq!(content.name.as_deref(), Some("xmlstream"));
    assert_eq!(content.description, Some(Description::xmlstream()));
    let offered = ibb(Some("ch3d9s71"), Some(4096)).with_version(IbbVersion::Ibb0);
    assert_eq!(content.transport, Some(Transport::Ibb(offered)));
    let security = content.xtls().unwrap();
    assert_eq!((security.version, &security.methods[..]), (XtlsVersion::Xtls0, &[Method::X509, Method::Srp][..]));
    // "RomeoX509CertSHA1Hash" is no fingerprint.
    assert_eq!(security.fingerprints, []);
}

#[test]
fn draft_3_the_offer_of_the_example_is_taken_up() {
    let session = Session::incoming(&parse(INITIATE)).unwrap();
    assert_eq!(
        (session.sid(), &*session.in_band().unwrap().sid, session.in_band().unwrap().block_size),
        (SID, "ch3d9s71", 4096)
    );
    assert!(session.offer().description.is_xmlstream());
    assert_eq!(session.peer_security().unwrap().methods, [Method::X509, Method::Srp]);
}

#[test]
fn draft_3_the_examples_over_ibb_0_as_the_draft_has_them() {
    for dialect in [Dialect::STRICT, Dialect::DRAFT_02, Dialect::TOLERANT] {
        let mut responder = Session::incoming(&parse_with(INITIATE, &dialect)).unwrap().with_dialect(dialect);
        assert_eq!(
            (responder.in_band().unwrap().version, &*responder.in_band().unwrap().sid),
            (IbbVersion::Ibb0, "ch3d9s71")
        );
        responder
            .accept(super::Acceptance::new(super::jid(super::JULIET), 4096, super::security(super::BOTH)))
            .unwrap();
        let info = parse_with(SECURITY_INFO, &dialect);
        assert_eq!(responder.handle_request(&info), Ok(Some(SessionEvent::MethodChosen(Method::X509))));

        let (mut initiator, _) = pending(super::offer());
        assert!(matches!(
            initiator.handle_request(&parse_with(ACCEPT, &dialect)),
            Ok(Some(SessionEvent::Accepted { .. }))
        ));
        assert_eq!(initiator.in_band().unwrap().version, IbbVersion::Ibb0, "that of the accept");
    }
}

#[test]
fn draft_3_session_accept_corrected() {
    let (mut initiator, _) = pending(super::offer());
    let event = initiator.handle_request(&parse(ACCEPT)).unwrap();
    let Some(SessionEvent::Accepted { security: Some(security), .. }) = event else { panic!("accepted with security") };
    assert_eq!(security.methods, [Method::X509, Method::Srp]);
    let content = &parse(ACCEPT).contents[0];
    assert_eq!(
        content.transport,
        Some(Transport::Ibb(ibb(Some("ch3d9s71"), Some(4096)).with_version(IbbVersion::Ibb0)))
    );
}

#[test]
fn draft_3_security_info_corrected() {
    let (_, mut responder) = active();
    assert_eq!(responder.handle_request(&parse(SECURITY_INFO)), Ok(Some(SessionEvent::MethodChosen(Method::X509))));
}

#[test]
fn draft_3_a_start_tag_closed_before_its_attributes_is_refused() {
    for example in [INITIATE, SECURITY_INFO] {
        let malformed = read(&as_printed(example)).unwrap_err();
        assert_eq!((malformed.kind, malformed.action, malformed.sid), (MalformedKind::Action, None, None));
    }
}

#[test]
fn draft_3_a_security_element_closed_before_its_content_is_refused() {
    let printed = ACCEPT.replace("xtls:0'>", "xtls:0' />");
    assert!(Element::parse(&printed, &Limits::default()).is_err());
    // Even where the end tag is mended away, the methods are not in the element.
    let mended = parse(&printed.replace("</security>", ""));
    assert!(mended.contents[0].xtls().unwrap().is_empty());
}

#[test]
fn draft_4_session_terminate_without_a_reason() {
    let jingle = parse(TERMINATE_4);
    assert_eq!((jingle.action, jingle.sid.as_str(), &jingle.reason), (Action::SessionTerminate, "851ba2", &None));
    let (mut initiator, _) = active();
    let ours = parse(&TERMINATE_4.replace("851ba2", SID));
    assert_eq!(initiator.handle_request(&ours), Ok(Some(SessionEvent::Terminated(None))));
}

#[test]
fn draft_6_session_terminate_with_security_error() {
    let (_, mut responder) = active();
    let reason = Reason::new(ReasonCondition::SecurityError);
    assert_eq!(responder.handle_request(&parse(TERMINATE_6)), Ok(Some(SessionEvent::Terminated(Some(reason)))));
}

#[test]
fn draft_7_the_other_names_of_the_namespaces_mean_the_same() {
    let renamed = INITIATE.replace("security:xtls:0", "security:xtls:1").replace("xmlstream:0", "xmlstream:1");
    let session = Session::incoming(&parse(&renamed)).unwrap();
    assert!(session.offer().description.is_xmlstream());
    assert_eq!(session.offer().security.version, XtlsVersion::Xtls1);
    let Security::Xtls(offer) = &parse(&renamed).contents[0].security else { panic!("ours") };
    assert_eq!(offer.methods, [Method::X509, Method::Srp]);
}
