//! XEP-0261: the parameters of the bytestream, by section.

use xtls_jingle::{Acceptance, Action, Dialect, JingleCondition, JingleVersion, Transport};
use xtls_stanza::{Condition, ErrorType};

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
    assert_eq!(&*initiator.in_band().unwrap().sid, IBB_SID);
    initiator.in_band().unwrap().block_size
}

#[test]
fn xep_0261_2_2_the_responder_may_lower_the_block_size() {
    assert_eq!(negotiated("sid='ch3d9s71' block-size='2048'"), 2048);
    assert_eq!(negotiated("sid='ch3d9s71' block-size='4096'"), 4096);
    assert_eq!(negotiated("sid='ch3d9s71' block-size='64'"), 64);
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
    for (answered, written) in [(64, 64), (2048, 2048), (4096, 4096), (4097, 4096), (65_535, 4096)] {
        let (_, mut responder) = pending(offer());
        responder.accept(Acceptance::new(jid(JULIET), answered, security(BOTH))).unwrap();
        let (_, accept) = next(&mut responder);
        assert_eq!(accept.contents[0].transport, Some(Transport::Ibb(ibb(Some(IBB_SID), Some(written)))));
        assert_eq!(responder.in_band().unwrap().block_size, written);
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

/// § 2.4 lets either party authorise a further bytestream by a transport-info. A session has one: whoever asks for another
/// hears at once that there will be none, and nothing is kept. What else a transport-info may say is not understood.
#[test]
fn xep_0261_2_4_no_further_bytestream_is_authorised() {
    let content = |transport: &str| format!("<content creator='initiator' name='xmlstream'>{transport}</content>");
    for dialect in [Dialect::STRICT, Dialect::DRAFT_02, Dialect::TOLERANT] {
        let ((a, b), (c, d)) = (pending(offer()), active());
        for session in [a, b, c, d] {
            let mut session = session.with_dialect(dialect);
            let before = picture(&session);
            for inner in [
                content("<transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='2048' sid='bt8a71h6'/>"),
                content("<transport xmlns='urn:xmpp:jingle:transports:ibb:1' sid='ch3d9s71'/>"),
                content("<transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='b'/>"),
                content(""),
                String::new(),
            ] {
                let fault = session.handle_request(&jingle(Action::TransportInfo, &inner)).unwrap_err();
                let error = fault.stanza_error(JingleVersion::Jingle1);
                assert_eq!(JingleCondition::of(&error), Some(JingleCondition::UnsupportedInfo));
                assert_eq!((error.condition, error.error_type), (Condition::FeatureNotImplemented, ErrorType::Modify));
                assert_eq!(picture(&session), before);
            }
        }
    }
}
