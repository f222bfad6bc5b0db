//! Sessions in the namespaces of before 2009: the examples of XEP-0247 and of the first text on XTLS, and what was sent
//! before any namespace was issued.

use xtls_jingle::{
    Acceptance, Action, Description, Dialect, IbbVersion, Jingle, JingleFault, JingleVersion, OfferRefusal, Reason,
    ReasonCondition, Security, Session, SessionEvent, SessionState, Transport,
};
use xtls_stanza::{Element, Ids, Method};

use super::{BOTH, JULIET, ROMEO, element, ibb, jid, next, next_xml, parse_with, read_with, security, write};

/// The first text on XTLS, its start tag mended.
const INBOX: &str = "<iq from='romeo@montague.lit/orchard' id='xn28s7gk' to='juliet@capulet.lit/balcony' type='set'>
  <jingle xmlns='urn:xmpp:jingle:0'
          action='session-initiate'
          initiator='romeo@montague.lit/orchard'
          sid='a73sjjvkla37jfea'>
    <content creator='initiator' name='xmlstream'>
      <description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>
      <transport xmlns='urn:xmpp:jingle:transports:ibb:0' block-size='4096' sid='ch3d9s71'/>
      <security xmlns='urn:xmpp:jingle:security:xtls:0'>
        <fingerprint>RomeoX509CertificateHash</fingerprint>
        <method name='x509'/>
        <method name='srp'/>
      </security>
    </content>
  </jingle>
</iq>";

const INBOX_INFO: &str = "<jingle xmlns='urn:xmpp:jingle:0'
          action='security-info'
          initiator='romeo@montague.lit/orchard'
          sid='a73sjjvkla37jfea'>
    <content creator='initiator' name='xmlstream'>
      <security xmlns='urn:xmpp:jingle:security:xtls:0'><method name='x509'/></security>
    </content>
  </jingle>";

const INBOX_TERMINATE: &str = "<jingle xmlns='urn:xmpp:jingle:0'
          action='session-terminate'
          initiator='romeo@montague.lit/orchard'
          sid='a73sjjvkla37jfea'>
    <reason><security-error/></reason>
  </jingle>";

fn tolerant(xml: &str) -> Jingle {
    parse_with(xml, &Dialect::TOLERANT)
}

/// The offer of the inbox text, or of an older namespace, taken up.
fn incoming(version: JingleVersion) -> Session {
    let initiate = tolerant(&INBOX.replace("urn:xmpp:jingle:0'", &format!("{}'", version.ns())));
    assert_eq!(initiate.version, version);
    Session::incoming(&initiate).unwrap().with_dialect(Dialect::TOLERANT)
}

#[test]
fn inbox_2_the_examples_are_understood() {
    let mut responder = incoming(JingleVersion::Jingle0);
    assert_eq!(responder.version(), JingleVersion::Jingle0);
    assert_eq!(
        (responder.in_band().unwrap().version, &*responder.in_band().unwrap().sid),
        (IbbVersion::Ibb0, "ch3d9s71")
    );
    assert_eq!(responder.peer_security().unwrap().methods, [Method::X509, Method::Srp]);
    responder.accept(Acceptance::new(jid(JULIET), 4096, security(BOTH))).unwrap();
    assert_eq!(responder.handle_request(&tolerant(INBOX_INFO)), Ok(Some(SessionEvent::MethodChosen(Method::X509))));
    let reason = Reason::new(ReasonCondition::SecurityError);
    assert_eq!(responder.handle_request(&tolerant(INBOX_TERMINATE)), Ok(Some(SessionEvent::Terminated(Some(reason)))));
}

#[test]
fn inbox_2_the_examples_are_nobodys_outside_the_tolerant_profile() {
    for dialect in [Dialect::STRICT, Dialect::DRAFT_02] {
        for example in [INBOX, INBOX_INFO, INBOX_TERMINATE] {
            assert_eq!(read_with(example, &dialect), None);
        }
    }
}

#[test]
fn xep_0247_2_the_examples_have_no_precondition() {
    let example = "<jingle xmlns='urn:xmpp:jingle:0' action='session-initiate' initiator='romeo@montague.lit/orchard'
              sid='851ba2'>
        <content creator='initiator' name='xmlstream'>
          <description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>
          <transport xmlns='urn:xmpp:jingle:transports:ibb:0' block-size='4096' sid='vj3hs98y'/>
        </content>
      </jingle>";
    let initiate = tolerant(example);
    let content = &initiate.contents[0];
    assert_eq!((&content.description, &content.security), (&Some(Description::xmlstream()), &Security::Absent));
    let offered = ibb(Some("vj3hs98y"), Some(4096)).with_version(IbbVersion::Ibb0);
    assert_eq!(content.transport, Some(Transport::Ibb(offered)));
    assert_eq!(Session::incoming(&initiate).unwrap_err(), OfferRefusal::NotXtls);
    let terminate = tolerant(
        "<jingle xmlns='urn:xmpp:jingle:0' action='session-terminate' initiator='romeo@montague.lit/orchard'
              sid='851ba2'/>",
    );
    assert_eq!((terminate.action, terminate.reason), (Action::SessionTerminate, None));
}

#[test]
fn every_request_is_in_the_namespace_of_the_session() {
    for version in JingleVersion::ALL {
        let mut session = incoming(*version);
        let from_peer = |action: Action, inner: &str| {
            tolerant(&format!(
                "<jingle xmlns='{}' action='{action}' sid='a73sjjvkla37jfea'>{inner}</jingle>",
                version.ns()
            ))
        };
        session.accept(Acceptance::new(jid(JULIET), 4096, security(BOTH))).unwrap();
        session.ping().unwrap();
        session.handle_request(&from_peer(Action::ContentAdd, "<content name='voice'/>")).unwrap();
        let modify = "<content name='xmlstream' senders='none'/>";
        session.handle_request(&from_peer(Action::ContentModify, modify)).unwrap();
        let replace = "<content name='xmlstream'><transport xmlns='urn:x'/></content>";
        session.handle_request(&from_peer(Action::TransportReplace, replace)).unwrap();
        let mut actions = Vec::new();
        while session.wants_to_send() {
            let (sent, xml) = next_xml(&mut session).unwrap();
            assert!(xml.contains(&format!("<jingle xmlns='{}'", version.ns())), "{xml}");
            actions.push(sent.action);
        }
        session.terminate(ReasonCondition::Success.into());
        assert_eq!(next(&mut session).1.version, *version);
        assert_eq!(
            actions,
            [
                Action::SessionAccept,
                Action::SessionInfo,
                Action::ContentReject,
                Action::ContentModify,
                Action::TransportReject
            ]
        );
    }
}

#[test]
fn a_refused_offer_is_terminated_in_its_own_namespace() {
    for version in JingleVersion::ALL {
        let refused = Jingle::terminate("851ba2", ReasonCondition::Busy.into()).with_version(*version);
        let mut out = String::new();
        refused.write_iq(&mut Ids::new([1; 32]), ROMEO, None, &mut out);
        assert!(out.contains(version.ns()), "{out}");
        assert_eq!(tolerant(&out), refused);
    }
}

#[test]
fn a_session_is_not_carried_on_in_another_namespace() {
    for own in JingleVersion::ALL {
        for other in JingleVersion::ALL.iter().filter(|other| *other != own) {
            let mut session = incoming(*own);
            let terminate = Jingle::terminate(session.sid(), ReasonCondition::Success.into()).with_version(*other);
            assert_eq!(session.handle_request(&terminate), Err(JingleFault::UnknownSession));
            assert_eq!(session.state(), SessionState::Pending);
        }
    }
}

#[test]
fn an_application_of_before_the_registration_is_answered_by_its_name() {
    for name in ["urn:xmpp:tmp:jingle:apps:xmlstream", "urn:xmpp:tmp:jingle:apps:xmlstream:0"] {
        let initiate = INBOX
            .replace("urn:xmpp:jingle:apps:xmlstream:0", name)
            .replace("urn:xmpp:jingle:transports:ibb:0", "urn:xmpp:tmp:jingle:transports:ibb")
            .replace(" block-size='4096' sid='ch3d9s71'", "")
            .replace("urn:xmpp:jingle:0", "urn:xmpp:tmp:jingle");
        let mut responder = Session::incoming(&tolerant(&initiate)).unwrap();
        assert!(responder.offer().description.is_xmlstream());
        assert_eq!(
            (&*responder.in_band().unwrap().sid, responder.in_band().unwrap().block_size),
            ("a73sjjvkla37jfea", 4096)
        );
        responder.accept(Acceptance::new(jid(JULIET), 4096, security(BOTH))).unwrap();
        let (_, accept) = next(&mut responder);
        let content = &accept.contents[0];
        assert_eq!((accept.version, content.description.as_ref().unwrap().ns()), (JingleVersion::Tmp, name));
        let answered = ibb(Some("a73sjjvkla37jfea"), Some(4096)).with_version(IbbVersion::Tmp);
        assert_eq!(content.transport, Some(Transport::Ibb(answered)));
    }
}

#[test]
fn all_names_of_the_xml_stream_are_one_application() {
    let description = |name: &str| {
        let xml = format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='s'><content><description xmlns='{name}'/>\
             </content></jingle>"
        );
        tolerant(&xml).contents.remove(0).description.unwrap()
    };
    let old = description("urn:xmpp:tmp:jingle:apps:xmlstream");
    assert!(old.is_same_application(&Description::xmlstream()) && Description::xmlstream().is_same_application(&old));
}

#[test]
fn every_element_survives_the_wire_in_every_version() {
    let raw = Element::builder("description", "urn:example:app").open("range", "urn:xmpp:jingle:1").build().unwrap();
    for version in JingleVersion::ALL {
        for ibb_version in IbbVersion::ALL {
            let mut content = xtls_jingle::Content::new("c");
            content.description = Some(Description::new(&raw).unwrap());
            content.transport = Some(Transport::Ibb(ibb(Some("s"), Some(7)).with_version(*ibb_version)));
            content.security = Security::Xtls(security(BOTH));
            let mut sent =
                Jingle::terminate("s", Reason::alternative_session("b84").with_text("why")).with_version(*version);
            sent.contents = vec![content];
            let xml = write(&sent);
            assert_eq!(element(&xml).ns(), version.ns());
            assert_eq!(tolerant(&xml), sent);
        }
    }
}
