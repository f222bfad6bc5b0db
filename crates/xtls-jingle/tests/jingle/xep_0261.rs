//! XEP-0261: the parameters of the bytestream, by section.

use xtls_jingle::{Action, Answer, Dialect, Event, Fault, Jingle, JingleCondition, Session, Transport};
use xtls_stanza::Condition;

use super::{BOTH, IBB_SID, JULIET, active, ibb, jid, jingle, next, offer, parse, pending, picture, security};

/// The block size after an accept that states this transport.
fn negotiated(transport: &str) -> u16 {
    let (mut initiator, _) = pending(offer());
    let accept = jingle(
        Action::SessionAccept,
        &format!(
            "<content creator='initiator' name='xmlstream'><description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>\
             <transport xmlns='urn:xmpp:jingle:transports:ibb:1' {transport}/></content>"
        ),
    );
    initiator.handle_request(&accept).unwrap();
    assert_eq!(initiator.ibb_sid(), IBB_SID);
    initiator.block_size()
}

#[test]
fn xep_0261_2_2_the_responder_may_lower_the_block_size() {
    assert_eq!(negotiated("sid='ch3d9s71' block-size='2048'"), 2048);
    assert_eq!(negotiated("sid='ch3d9s71' block-size='4096'"), 4096);
    assert_eq!(negotiated("sid='ch3d9s71' block-size='1'"), 1);
}

#[test]
fn xep_0261_2_2_a_larger_block_size_is_lowered_to_the_offer() {
    assert_eq!(negotiated("sid='ch3d9s71' block-size='4097'"), 4096);
    assert_eq!(negotiated("sid='ch3d9s71' block-size='65535'"), 4096);
}

#[test]
fn xep_0261_2_2_what_an_answer_leaves_out_is_as_offered() {
    assert_eq!(negotiated("sid='ch3d9s71'"), 4096);
    assert_eq!(negotiated("block-size='1024'"), 1024);
    assert_eq!(negotiated(""), 4096);
}

#[test]
fn xep_0261_2_2_our_answer_never_exceeds_the_offer() {
    for (answered, written) in [(1, 1), (2048, 2048), (4096, 4096), (4097, 4096), (65_535, 4096)] {
        let (_, mut responder) = pending(offer());
        responder.accept(Answer::new(jid(JULIET), answered, security(BOTH))).unwrap();
        let (_, accept) = next(&mut responder);
        assert_eq!(accept.contents[0].transport, Some(Transport::Ibb(ibb(Some(IBB_SID), Some(written)))));
        assert_eq!(responder.block_size(), written);
    }
}

#[test]
fn xep_0261_2_2_the_examples() {
    let example = |action: &str, size: u16| {
        parse(&format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='a73sjjvkla37jfea'>
              <content creator='initiator' name='ex'>
                <description xmlns='urn:xmpp:example'/>
                <transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='{size}' sid='ch3d9s71'/>
              </content>
            </jingle>"
        ))
    };
    for (action, size) in [("session-initiate", 4096), ("session-accept", 2048)] {
        let content = &example(action, size).contents[0];
        assert_eq!(content.transport, Some(Transport::Ibb(ibb(Some("ch3d9s71"), Some(size)))));
        assert_eq!(content.description.as_ref().unwrap().ns(), "urn:xmpp:example");
    }
}

fn further(transport: &str) -> Jingle {
    let content = format!("<content creator='initiator' name='xmlstream'>{transport}</content>");
    jingle(Action::TransportInfo, &content)
}

/// Both ends of a pending and of an active session whose driver takes further bytestreams.
fn sessions() -> [Session; 4] {
    let ((a, b), (c, d)) = (pending(offer()), active());
    [a, b, c, d].map(|session| session.with_dialect(Dialect::STRICT))
}

#[test]
fn xep_0261_2_4_the_example_authorises_a_further_bytestream() {
    let example = parse(
        "<iq from='romeo@montague.lit/orchard' id='znb376s4' to='juliet@capulet.lit/balcony' type='set'>
          <jingle xmlns='urn:xmpp:jingle:1' action='transport-info' sid='a73sjjvkl37jfea'>
            <content creator='initiator' name='xmlstream'>
              <transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='2048' sid='bt8a71h6'/>
            </content>
          </jingle>
        </iq>",
    );
    for mut session in sessions() {
        let before = picture(&session);
        let event = Event::TransportInfo { sid: "bt8a71h6".into(), block_size: 2048 };
        // Either party may say so, and as often as it likes: the driver counts.
        for _ in 0..2 {
            assert_eq!(session.handle_request(&example), Ok(Some(event.clone())));
        }
        assert_eq!(picture(&session), before, "the session keeps nothing of it");
    }
}

#[test]
fn xep_0261_2_4_a_driver_that_knows_no_further_bytestreams_is_not_asked() {
    let request = further("<transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='2048' sid='bt8a71h6'/>");
    let (mut initiator, _) = active();
    let error = initiator.handle_request(&request).unwrap_err().stanza_error();
    assert_eq!(JingleCondition::of(&error), Some(JingleCondition::UnsupportedInfo));
    assert_eq!(error.condition, Condition::FeatureNotImplemented);
}

#[test]
fn xep_0261_2_4_the_block_size_is_what_was_said_or_that_of_the_first() {
    for (attribute, expected) in [("", 4096), ("block-size='1'", 1), ("block-size='65535'", 65_535)] {
        for mut session in sessions() {
            let transport = format!("<transport xmlns='urn:xmpp:jingle:transports:ibb:1' {attribute} sid='b'/>");
            let event = session.handle_request(&further(&transport));
            assert_eq!(event, Ok(Some(Event::TransportInfo { sid: "b".into(), block_size: expected })));
        }
    }
}

#[test]
fn xep_0261_2_4_what_authorises_nothing_is_refused() {
    let ibb = |attributes: &str| format!("<transport xmlns='urn:xmpp:jingle:transports:ibb:1' {attributes}/>");
    let s5b = "<transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='b'><candidate-used cid='1'/></transport>";
    for mut session in sessions() {
        let before = picture(&session);
        let mut fault = |request: &Jingle| session.handle_request(request).unwrap_err();
        assert!(matches!(fault(&further(&ibb("block-size='2048'"))), Fault::Malformed(_)), "no sid");
        assert!(matches!(fault(&further(&ibb("sid='ch3d9s71'"))), Fault::NotAcceptable(_)), "the first one");
        assert!(matches!(fault(&further(&ibb("sid='b' stanza='message'"))), Fault::NotAcceptable(_)));
        assert_eq!(fault(&further(s5b)), Fault::UnsupportedInfo);
        assert_eq!(fault(&further("")), Fault::UnsupportedInfo);
        assert_eq!(fault(&jingle(Action::TransportInfo, "")), Fault::UnsupportedInfo);
        let mut other_content = further(&ibb("sid='b'"));
        other_content.contents[0].name = Some("another".into());
        assert!(matches!(fault(&other_content), Fault::Malformed(_)));
        let mut other_version = further(&ibb("sid='b'"));
        let over_ibb_0 = super::ibb(Some("b"), Some(1)).with_version(xtls_jingle::IbbVersion::Ibb0);
        other_version.contents[0].transport = Some(Transport::Ibb(over_ibb_0));
        assert_eq!(fault(&other_version), Fault::UnsupportedInfo);
        assert_eq!(picture(&session), before);
    }
}
