//! § 3: session-initiate, session-accept, security-info.

use xtls::{Disposition, Fault, TrustPolicy, jingle::Profile, trust::Method};
use xtls_stanza::{Condition, ErrorType, ns};
use xtls_testkit::EntityOptions;

use crate::common::{
    IBB_SID, JULIET, ROMEO, SID, Stage, closed, compact, element, fault, id, payload, result, said, stage::texts,
    terminate, unknown_session,
};

/// As the draft has it, but for the start tags.
pub(crate) const INITIATE: &str =
    "<iq from='romeo@montague.lit/orchard' id='xn28s7gk' to='juliet@capulet.lit/balcony' type='set'>
  <jingle xmlns='urn:xmpp:jingle:1'
    action='session-initiate'
    initiator='romeo@montague.lit/orchard'
    sid='a73sjjvkl37jfea'>
    <content creator='initiator' name='xmlstream'>
      <description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>
      <transport xmlns='urn:xmpp:jingle:transports:ibb:0'
        block-size='4096'
        sid='ch3d9s71'/>
      <security xmlns='urn:xmpp:jingle:security:xtls:0'>
        <fingerprint algo='sha1'>RomeoX509CertSHA1Hash</fingerprint>
        <method name='x509'/>
        <method name='srp'/>
      </security>
    </content>
  </jingle>
</iq>";

const ACCEPT: &str = "<iq from='juliet@capulet.lit/balcony' id='hf64hl' to='romeo@montague.lit/orchard' type='set'>
  <jingle xmlns='urn:xmpp:jingle:1'
    action='session-accept'
    initiator='romeo@montague.lit/orchard'
    sid='a73sjjvkl37jfea'>
    <content creator='initiator' name='xmlstream'>
      <description xmlns='urn:xmpp:jingle:apps:xmlstream:0' />
      <transport xmlns='urn:xmpp:jingle:transports:ibb:0'
        block-size='4096'
        sid='ch3d9s71' />
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

/// The examples with the transport that is offered by default.
pub(crate) fn over_ibb_1(xml: &str) -> String {
    xml.replace("transports:ibb:0", "transports:ibb:1")
}

/// As printed: the start tag of `<jingle>` ends before its attributes.
fn as_printed(xml: &str) -> String {
    xml.replace("<jingle xmlns='urn:xmpp:jingle:1'", "<jingle xmlns='urn:xmpp:jingle:1'>")
}

/// The draft's example of a session-accept, for the session that the engine offered.
fn accept_for(stage: &Stage) -> String {
    over_ibb_1(ACCEPT).replace(SID, &stage.sid).replace(IBB_SID, &stage.ibb_sid)
}

/// An example as our engine writes it: its own ids, sids and fingerprints, no srp, and the `initiator` that XEP-0166
/// § 7.1 wants on session-initiate alone.
fn emitted(
    example: &str,
    id: &str,
    sid: &str,
    ibb_sid: &str,
    fingerprints: [xtls::trust::Fingerprint; 2],
) -> xtls::Element {
    let [sha1, sha256] = fingerprints.map(|fingerprint| fingerprint.hex());
    let start = example.find(" id='").unwrap() + 5;
    let end = start + example[start..].find('\'').unwrap();
    let example = format!("{}{id}{}", &example[..start], &example[end..]);
    let both = format!("{sha1}</fingerprint><fingerprint algo='sha-256'>{sha256}");
    let example = over_ibb_1(&example).replace(SID, sid).replace(IBB_SID, ibb_sid);
    let example = example.replace("RomeoX509CertSHA1Hash", &both).replace("JulietX509CertSHA1Hash", &both);
    let example = example.replace("<method name='srp'/>", "").replace("<method name='srp' />", "");
    let initiator = "initiator='romeo@montague.lit/orchard'";
    compact(&if example.contains("session-accept") {
        example.replace(initiator, "responder='juliet@capulet.lit/balcony'")
    } else if example.contains("session-initiate") {
        example
    } else {
        example.replace(initiator, "")
    })
}

#[test]
fn draft_3_the_engine_sends_the_session_initiate_of_the_example() {
    let mut stage = Stage::romeo();
    let (_, initiate) = stage.engine_offers(TrustPolicy::Pinned);
    let fingerprints = stage.world.identity(stage.engine).announced_fingerprints();
    assert_eq!(initiate, emitted(INITIATE, id(&initiate), &stage.sid, &stage.ibb_sid, fingerprints));
}

#[test]
fn draft_3_the_session_initiate_of_the_example_is_acknowledged_and_accepted() {
    let mut stage = Stage::juliet();
    assert!(matches!(stage.deliver(&over_ibb_1(INITIATE)), Disposition::Consumed));
    assert_eq!(stage.sent_one(), result(JULIET, ROMEO, "xn28s7gk"));
    let incoming = stage.take_incoming();
    assert_eq!(incoming.peer.as_str(), ROMEO);
    assert_eq!(incoming.offer.methods, [Method::X509, Method::Srp]);
    // "RomeoX509CertSHA1Hash" is no fingerprint, and says nothing.
    assert_eq!(incoming.offer.fingerprints, []);
    let (_, accept) = stage.accept(incoming, TrustPolicy::Pinned);
    let fingerprints = stage.world.identity(stage.engine).announced_fingerprints();
    assert_eq!(accept, emitted(ACCEPT, id(&accept), SID, IBB_SID, fingerprints));
}

/// With ibb:0, as the example is printed but for its start tags.
#[test]
fn draft_3_the_session_initiate_over_ibb_0_is_accepted_over_ibb_0() {
    for profile in Profile::ALL {
        let mut options = EntityOptions::seeded(2);
        options.config.profile = *profile;
        let mut stage = Stage::new(JULIET, ROMEO, options);
        assert!(matches!(stage.deliver(INITIATE), Disposition::Consumed));
        assert_eq!(stage.sent_one(), result(JULIET, ROMEO, "xn28s7gk"));
        let incoming = stage.take_incoming();
        let (_, accept) = stage.accept(incoming, TrustPolicy::Pinned);
        let fingerprints = stage.world.identity(stage.engine).announced_fingerprints();
        let over_ibb_1 = emitted(ACCEPT, id(&accept), SID, IBB_SID, fingerprints).to_xml(ns::CLIENT);
        assert_eq!(accept, element(&over_ibb_1.replace("transports:ibb:1", "transports:ibb:0")), "{profile:?}");
    }
}

#[test]
fn draft_3_the_session_initiate_as_printed_is_a_bad_request() {
    let mut stage = Stage::juliet();
    let printed = as_printed(&over_ibb_1(INITIATE));
    // It has neither action nor sid, but XTLS in it: it is no other handler's.
    assert!(matches!(stage.deliver(&printed), Disposition::Consumed));
    let answer = stage.sent_one();
    assert_eq!(said(&answer), (Condition::BadRequest, ErrorType::Modify, None));
    assert_eq!((id(&answer), answer.attribute("to")), ("xn28s7gk", Some(ROMEO)));
    assert!(stage.events().is_empty());
}

#[test]
fn draft_3_the_session_accept_of_the_example_leads_to_security_info_and_open() {
    let mut stage = Stage::romeo();
    stage.engine_offers(TrustPolicy::Pinned);
    assert!(matches!(stage.deliver(&accept_for(&stage)), Disposition::Consumed));
    let (answer, requests) = stage.answer_to("hf64hl");
    assert_eq!(answer, result(ROMEO, JULIET, "hf64hl"));
    let [info, open] = requests.as_slice() else { panic!("two requests: {}", texts(&requests)) };
    let fingerprints = stage.world.identity(stage.engine).announced_fingerprints();
    assert_eq!(*info, emitted(SECURITY_INFO, id(info), &stage.sid, &stage.ibb_sid, fingerprints));
    // Not in the draft, which has ibb:0: XEP-0261 § 2.2.
    let expected = format!(
        "<iq from='{ROMEO}' to='{JULIET}' id='{}' type='set'><open xmlns='http://jabber.org/protocol/ibb' \
         block-size='4096' sid='{}' stanza='iq'/></iq>",
        id(open),
        stage.ibb_sid
    );
    assert_eq!(*open, element(&expected));
    // No TLS before the bytestream is open.
    stage.sent_nothing();
    stage.ack(info);
    stage.sent_nothing();
    stage.ack(open);
    let hello = stage.sent_one();
    assert!(crate::common::is_data(&hello));
}

#[test]
fn draft_3_the_session_accept_as_printed_is_refused() {
    // `<security/>` is closed before its content: the end tag has no start.
    let mut stage = Stage::romeo();
    stage.engine_offers(TrustPolicy::Pinned);
    let printed = accept_for(&stage).replace("security:xtls:0'>", "security:xtls:0' />");
    assert!(matches!(stage.deliver(&printed), Disposition::Malformed(_)));
    stage.sent_nothing();
    assert!(stage.events().is_empty());

    // Where that is mended, the start tag of `<jingle>` still ends before its attributes.
    let printed = as_printed(&accept_for(&stage));
    assert!(matches!(stage.deliver(&printed), Disposition::Consumed));
    assert_eq!(said(&stage.sent_one()), (Condition::BadRequest, ErrorType::Modify, None));

    // The offer still stands.
    assert!(matches!(stage.deliver(&accept_for(&stage)), Disposition::Consumed));
    let (answer, requests) = stage.answer_to("hf64hl");
    assert_eq!((answer, requests.len()), (result(ROMEO, JULIET, "hf64hl"), 2));
}

/// Without the end tag that has no start, the methods stand beside an empty `<security/>`.
#[test]
fn draft_3_the_session_accept_with_a_mended_end_tag_agrees_on_nothing() {
    let mut stage = Stage::romeo();
    stage.engine_offers(TrustPolicy::Pinned);
    let mended = accept_for(&stage).replace("security:xtls:0'>", "security:xtls:0' />").replace("</security>", "");
    assert!(matches!(stage.deliver(&mended), Disposition::Consumed));
    let (answer, requests) = stage.answer_to("hf64hl");
    assert_eq!(answer, result(ROMEO, JULIET, "hf64hl"));
    let [end] = requests.as_slice() else { panic!("one request: {}", texts(&requests)) };
    assert_eq!(payload(end), terminate(&stage.sid, "security-error"));
    let closed = closed(stage.events());
    assert!(matches!(fault(&closed), Fault::NoCommonMethod { offered } if offered.is_empty()), "{closed:?}");
}

/// As printed, the responder answers from capulet.com to montague.net: editorial, and not our peer.
#[test]
fn draft_3_the_session_accept_from_capulet_com_is_nobodys() {
    let mut stage = Stage::romeo();
    stage.engine_offers(TrustPolicy::Pinned);
    let foreign = accept_for(&stage)
        .replace("juliet@capulet.lit/balcony", "juliet@capulet.com/balcony")
        .replace("to='romeo@montague.lit", "to='romeo@montague.net");
    assert!(matches!(stage.deliver(&foreign), Disposition::Consumed));
    let answer = stage.sent_one();
    assert_eq!((said(&answer), id(&answer)), (unknown_session(), "hf64hl"));
    assert_eq!(answer.attribute("to"), Some("juliet@capulet.com/balcony"));
    assert!(stage.events().is_empty());
}

#[test]
fn draft_3_the_security_info_of_the_example_is_acknowledged() {
    let mut stage = Stage::juliet();
    let incoming = stage.offer();
    stage.accept(incoming, TrustPolicy::Pinned);
    assert!(matches!(stage.deliver(SECURITY_INFO), Disposition::Consumed));
    assert_eq!(stage.sent_one(), result(JULIET, ROMEO, "hf749j"));
    assert!(stage.events().is_empty());
}

#[test]
fn draft_3_the_security_info_as_printed_is_a_bad_request() {
    let mut stage = Stage::juliet();
    let incoming = stage.offer();
    stage.accept(incoming, TrustPolicy::Pinned);
    assert!(matches!(stage.deliver(&as_printed(SECURITY_INFO)), Disposition::Consumed));
    assert_eq!(said(&stage.sent_one()), (Condition::BadRequest, ErrorType::Modify, None));
}

/// Initiator's rule 1: without `<security/>`, securing the transport has failed.
#[test]
fn draft_3_a_session_accept_without_security_ends_the_session() {
    let mut stage = Stage::romeo();
    stage.engine_offers(TrustPolicy::LeapOfFaith);
    let accept = stage.accept_with("");
    let requests = stage.ask_fine(&accept);
    let [end] = requests.as_slice() else { panic!("one request: {}", texts(&requests)) };
    assert_eq!(payload(end), terminate(&stage.sid, "security-error"));
    let closed = closed(stage.events());
    assert!(matches!(fault(&closed), Fault::PeerLacksXtls), "{closed:?}");
    assert!(closed.reason.is_security());
}

/// Responder's rule 5: whoever cannot verify the initiator and will not trust it may terminate the session.
#[test]
fn draft_3_a_responder_that_cannot_verify_the_initiator_ends_the_session() {
    let mut stage = Stage::juliet();
    let peer = stage.peer.parse::<xtls_stanza::jid::FullJid>().unwrap().to_bare();
    stage.world.with_store(stage.engine, |store| store.remove(&peer));
    let incoming = stage.offer();
    let options = xtls::TunnelOptions::xml_stream(TrustPolicy::Pinned);
    stage.with(|engine, now| engine.accept(now, incoming, options)).unwrap();
    let end = stage.sent_one();
    assert_eq!(payload(&end), terminate(SID, "security-error"));
    let closed = closed(stage.events());
    let announced = Some(stage.identity.fingerprint_sha256());
    assert!(matches!(fault(&closed), Fault::NotTrusted { fingerprint } if *fingerprint == announced), "{closed:?}");
}

/// Responder's rule 5: or it sends its own fingerprint and takes a leap of faith.
#[test]
fn draft_3_a_responder_that_takes_a_leap_of_faith_includes_its_fingerprint() {
    let mut stage = Stage::juliet();
    let peer = stage.peer.parse::<xtls_stanza::jid::FullJid>().unwrap().to_bare();
    stage.world.with_store(stage.engine, |store| store.remove(&peer));
    let incoming = stage.offer();
    let (_, accept) = stage.accept(incoming, TrustPolicy::LeapOfFaith);
    let jingle = payload(&accept);
    let content = jingle.child("content", ns::JINGLE).unwrap();
    assert_eq!(content.child("security", ns::XTLS_0).unwrap(), element(&stage.own_security()).root());
}
