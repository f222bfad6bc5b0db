//! XEP-0261: the parameters of the bytestream, by section.

use xtls_jingle::{Action, Answer, Transport};

use super::{BOTH, IBB_SID, JULIET, ibb, jid, jingle, next, offer, parse, pending, security};

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
