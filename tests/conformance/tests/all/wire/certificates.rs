//! Decision 2.24: certificates inside the tunnel, as XEP-0189 v0.9 has them.

use std::time::Duration;

use xtls::{Disposition, Event, TrustPolicy, TunnelId, error::RequestCertificatesError, event::CertificatesFault};
use xtls_stanza::{Element, Fingerprint, KeyInfo, Pubkeys, PubkeysVariant, ns};
use xtls_testkit::EntityOptions;

use crate::common::{HEADER_ROMEO, JULIET, ROMEO, Stage, element, id, kinds, stanzas};

const VARIANTS: [PubkeysVariant; 4] =
    [PubkeysVariant::Pubkey0, PubkeysVariant::Temporary, PubkeysVariant::Pubkey2, PubkeysVariant::Pubkey2Single];

/// The peer sends this through the tunnel; what the engine says to it.
fn say(stage: &mut Stage, stanza: &str) -> String {
    stage.write(stanza);
    assert_eq!(stage.play(), []);
    stage.told()
}

/// The same after a while, in which the engine may have asked whether the peer is there.
fn say_later(stage: &mut Stage, stanza: &str) -> String {
    stage.write(stanza);
    stage.play();
    stage.told()
}

fn asking(inner: &str) -> String {
    format!("<iq type='get' id='q'>{inner}</iq>")
}

fn request(stage: &mut Stage, tunnel: TunnelId) -> Result<(), RequestCertificatesError> {
    stage.with(|engine, now| engine.tunnel(tunnel).unwrap().request_certificates(now))
}

/// The engine has asked; its query.
fn asked() -> (Stage, TunnelId, Element) {
    let (mut stage, tunnel) = Stage::responder_with_stream();
    request(&mut stage, tunnel).unwrap();
    assert_eq!(stage.play(), []);
    let query = element(&stage.told());
    (stage, tunnel, query)
}

/// The peer answers with this in its result; what the application hears of it.
fn answered(inner: &str) -> Result<Vec<xtls::event::ReceivedCertificate>, Box<CertificatesFault>> {
    let (mut stage, _, query) = asked();
    assert_eq!(say(&mut stage, &format!("<iq type='result' id='{}'>{inner}</iq>", id(&query))), "");
    one(stage.events())
}

fn one(events: Vec<Event>) -> Result<Vec<xtls::event::ReceivedCertificate>, Box<CertificatesFault>> {
    match <[Event; 1]>::try_from(events) {
        Ok([Event::CertificatesReceived { result, .. }]) => result,
        other => panic!("one answer: {other:?}"),
    }
}

/// A condition that a query is refused with, as it stands in the tunnel.
fn refusal(condition: &str) -> String {
    format!("<iq type='error' id='q'><error type='cancel'><{condition} xmlns='{}'/></error></iq>", ns::STANZA_ERRORS)
}

fn der(seed: u8) -> Vec<u8> {
    let jid = "romeo@montague.lit".parse().unwrap();
    xtls_testkit::provider::identity(&jid, [seed; 32], 1_767_225_600).certificate().to_vec()
}

fn pubkeys(keys: Pubkeys) -> String {
    keys.to_element().unwrap().to_xml(ns::CLIENT)
}

/// An answer is spelt like its question, and says nothing but the own certificate.
#[test]
fn wire_2_24_each_spelling_is_answered_in_kind() {
    for variant in VARIANTS {
        let (mut stage, _) = Stage::responder_with_stream();
        let told = say(&mut stage, &asking(&pubkeys(Pubkeys::new(variant))));
        let identity = stage.world.identity(stage.engine).clone();
        let keys = Pubkeys::new(variant).with_key(KeyInfo::new(identity.certificate()));
        assert_eq!(told, format!("<iq type='result' id='q'>{}</iq>", pubkeys(keys)));
        assert!(told.contains("</name><x509cert>MII"), "{told}");
        assert!(stage.events().is_empty());
    }
}

/// XEP-0189 v0.9 § 5: one or more specific keys.
#[test]
fn xep_0189_v0_9_5_only_a_wanted_certificate_is_given() {
    let (mut stage, _) = Stage::responder_with_stream();
    let own = stage.world.identity(stage.engine).certificate().to_vec();
    for fingerprint in [Fingerprint::sha1(&own), Fingerprint::sha256(&own)] {
        let mut query = Pubkeys::new(PubkeysVariant::Pubkey0);
        query.wanted = Some(vec![Fingerprint::sha1(b"another"), fingerprint]);
        assert!(say(&mut stage, &asking(&pubkeys(query))).contains("<x509cert>"));
    }
    for unknown in [Fingerprint::sha1(b"another").hex(), "Juliet-PKP-Hash".into()] {
        let query = format!("<pubkeys xmlns='urn:xmpp:pubkey:0'><fingerprint>{unknown}</fingerprint></pubkeys>");
        assert_eq!(say(&mut stage, &asking(&query)), refusal("item-not-found"));
    }
}

/// XEP-0189 v0.9 § 6: a third party's keys are not kept here; our own account's are ours.
#[test]
fn xep_0189_v0_9_6_the_keys_of_a_third_party_are_not_found() {
    let (mut stage, _) = Stage::responder_with_stream();
    let of = |jid: &str| asking(&format!("<pubkeys xmlns='urn:xmpp:pubkey:0' jid='{jid}'/>"));
    for jid in ["benvolio@montague.net", ROMEO, "capulet.lit", "", "@"] {
        assert_eq!(say(&mut stage, &of(jid)), refusal("item-not-found"), "{jid}");
    }
    for jid in [JULIET, "juliet@capulet.lit", "Juliet@Capulet.LIT"] {
        assert!(say(&mut stage, &of(jid)).contains("<x509cert>"), "{jid}");
    }
    // An IQ for somebody else goes no further than the tunnel does (2.20).
    let elsewhere = asking("<pubkeys xmlns='urn:xmpp:pubkey:0'/>").replace("<iq", "<iq to='benvolio@montague.net/x'");
    assert_eq!(say(&mut stage, &elsewhere), "");
    assert!(matches!(&*stage.events(), [Event::Misaddressed { .. }]));
}

/// XEP-0189 v0.9 § 8: nothing is signed here; nor can keys be set.
#[test]
fn xep_0189_v0_9_8_requests_to_sign_or_to_set_are_refused() {
    let (mut stage, _) = Stage::responder_with_stream();
    let content = "<issuer algo='sha1'>UserCertificateHash</issuer><pubkeys><keyinfo/></pubkeys></sign>";
    for request in [
        format!("<sign node='urn:xmpp:pubkey:0'>{content}"),
        format!("<sign xmlns='urn:xmpp:pubkey:0'>{content}"),
        "<pubkeys xmlns='urn:xmpp:pubkey:0'/>".into(),
        "<pubkey xmlns='urn:xmpp:pubkey:2'/>".into(),
    ] {
        let set = asking(&request).replace("'get'", "'set'");
        assert_eq!(say(&mut stage, &set), refusal("service-unavailable"), "{request}");
    }
    assert!(stage.events().is_empty());
}

/// XEP-0189 v0.9 § 7: keys in a message are the application's to look at, and so is every other IQ.
#[test]
fn wire_2_24_everything_else_is_the_applications() {
    let (mut stage, _) = Stage::responder_with_stream();
    let others = [
        format!("<message>{}</message>", pubkeys(Pubkeys::new(PubkeysVariant::Pubkey0))),
        asking("<query xmlns='jabber:iq:version'/>"),
        asking("<sign/>"),
        asking("<keyinfo xmlns='urn:xmpp:pubkey:0'/>"),
        "<iq type='result' id='q'><pubkeys xmlns='urn:xmpp:pubkey:0'/></iq>".into(),
    ];
    for other in &others {
        assert_eq!(say(&mut stage, other), "");
    }
    assert_eq!(stanzas(stage.events()).len(), others.len());
}

/// XEP-0189 v0.9 § 5: the answer of the example, with a key of the same person and one of OpenPGP.
#[test]
fn xep_0189_v0_9_5_the_answer_of_the_example_is_taken() {
    for variant in VARIANTS {
        let mut user = KeyInfo::new(&der(2));
        user.jid = Some("romeo@montague.lit".into());
        let mut stranger = KeyInfo::new(&der(3));
        stranger.jid = Some("benvolio@montague.lit".into());
        let keys = Pubkeys::new(variant).with_key(KeyInfo::new(&der(1))).with_key(user).with_key(stranger);
        let keys = pubkeys(keys).replacen("</x509cert>", "</x509cert><signature/>", 1);
        let keys = keys.replacen("<keyinfo>", "<keyinfo><pgpdata>mQGi</pgpdata></keyinfo><keyinfo>", 1);
        let certificates = answered(&keys).unwrap();
        let told: Vec<_> = certificates.iter().map(|one| (one.certificate.der().to_vec(), one.held)).collect();
        assert_eq!(told, [(der(1), true), (der(2), false)], "nobody answers for others");
    }
}

/// XEP-0189 v0.9 § 5: access denied.
#[test]
fn xep_0189_v0_9_5_a_refusal_is_told() {
    let (mut stage, tunnel, query) = asked();
    let denied = format!(
        "<iq type='error' id='{}'><pubkeys xmlns='urn:xmpp:pubkey:0'/><error code='503' type='cancel'>\
         <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
        id(&query)
    );
    assert_eq!(say(&mut stage, &denied), "");
    let fault = one(stage.events()).unwrap_err();
    let CertificatesFault::Refused(error) = *fault else { panic!("{fault}") };
    assert_eq!(error.condition, xtls_stanza::Condition::ServiceUnavailable);
    // It can be asked again.
    request(&mut stage, tunnel).unwrap();
}

#[test]
fn wire_2_24_an_answer_to_something_else_is_none() {
    for wrong in [
        "",
        "<query xmlns='jabber:iq:version'/>",
        "<pubkeys xmlns='urn:xmpp:pubkey:0' jid='benvolio@montague.net'/>",
        "<pubkeys/>",
    ] {
        assert_eq!(*answered(wrong).unwrap_err(), CertificatesFault::Malformed, "{wrong}");
    }
    assert_eq!(answered("<pubkeys xmlns='urn:xmpp:pubkey:0'/>").unwrap(), []);
}

/// At most eight, of at most 16 KiB each.
#[test]
fn wire_2_24_what_is_read_is_bounded() {
    let nine = (1..=9).fold(Pubkeys::new(PubkeysVariant::Pubkey0), |keys, n| keys.with_key(KeyInfo::new(&der(n))));
    assert_eq!(answered(&pubkeys(nine)).unwrap().len(), 8);
}

/// In a tunnel by certificates the handshake has shown which is the peer's; what else it gives is told as it is.
#[test]
fn wire_2_24_one_question_at_a_time_and_answered_once() {
    let (mut stage, tunnel, query) = asked();
    assert_eq!(request(&mut stage, tunnel), Err(RequestCertificatesError::AlreadyAsked));
    let answer = format!("<iq type='result' id='{}'><pubkeys xmlns='urn:xmpp:pubkey:0'/></iq>", id(&query));
    say(&mut stage, &answer.repeat(2));
    // The second one answers nothing any more.
    assert_eq!(kinds(&stage.events()), ["CertificatesReceived", "Stanza"]);
}

#[test]
fn wire_2_24_there_is_a_time_for_the_answer_and_the_tunnel_outlives_it() {
    let (mut stage, tunnel, _) = asked();
    stage.world.run_for(Duration::from_secs(29));
    assert!(stage.events().is_empty());
    stage.world.run_for(Duration::from_secs(1));
    assert_eq!(*one(stage.events()).unwrap_err(), CertificatesFault::Timeout);
    request(&mut stage, tunnel).unwrap();
}

/// Decision 24: the application asked for certificates, and gets no stanza that it never asked for.
#[test]
fn wire_2_24_an_answer_that_comes_too_late_is_swallowed() {
    let answer =
        |query: &Element| format!("<iq type='result' id='{}'><pubkeys xmlns='urn:xmpp:pubkey:0'/></iq>", id(query));
    let error = |query: &Element| format!("<iq type='error' id='{}'><error type='cancel'/></iq>", id(query));
    for of in [&answer as &dyn Fn(&Element) -> String, &error] {
        let (mut stage, tunnel, late) = asked();
        stage.world.run_for(Duration::from_secs(30));
        assert_eq!(*one(stage.events()).unwrap_err(), CertificatesFault::Timeout);
        assert_eq!(say_later(&mut stage, &of(&late)), "");
        assert!(stage.events().is_empty());
        // Once: what comes again answers nothing.
        say_later(&mut stage, &of(&late));
        assert_eq!(kinds(&stage.events()), ["Stanza"]);
        // Another question is answered as ever.
        request(&mut stage, tunnel).unwrap();
        stage.play();
        let query = element(&stage.told());
        say_later(&mut stage, &answer(&query));
        assert_eq!(kinds(&stage.events()), ["CertificatesReceived"]);
    }
}

/// At most eight of them are remembered, the oldest forgotten first.
#[test]
fn wire_2_24_questions_that_were_given_up_are_remembered_at_the_limit_and_not_one_past_it() {
    let (mut stage, tunnel, first) = asked();
    let mut late = vec![first];
    loop {
        stage.world.run_for(Duration::from_secs(30));
        assert_eq!(*one(stage.events()).unwrap_err(), CertificatesFault::Timeout);
        if late.len() == 9 {
            break;
        }
        request(&mut stage, tunnel).unwrap();
        stage.play();
        late.push(element(&stage.told()));
    }
    for (at, query) in late.iter().enumerate() {
        say_later(
            &mut stage,
            &format!("<iq type='result' id='{}'><pubkeys xmlns='urn:xmpp:pubkey:0'/></iq>", id(query)),
        );
        let events = stage.events();
        assert_eq!(kinds(&events), if at == 0 { vec!["Stanza"] } else { vec![] }, "{at}");
    }
}

#[test]
fn wire_2_24_who_closes_the_stream_answers_no_more() {
    let (mut stage, tunnel, _) = asked();
    say(&mut stage, "</stream:stream>");
    let events = stage.events();
    assert_eq!(kinds(&events), ["CertificatesReceived", "StreamClosed"]);
    assert!(matches!(&events[0], Event::CertificatesReceived { result: Err(fault), .. }
        if **fault == CertificatesFault::StreamClosed));
    assert_eq!(request(&mut stage, tunnel), Err(RequestCertificatesError::NoStream));
    // The same question can be put in the next stream.
    say(&mut stage, HEADER_ROMEO);
    request(&mut stage, tunnel).unwrap();
}

#[test]
fn wire_2_24_nothing_is_asked_before_the_tunnel_is_secured_or_at_its_end() {
    let mut stage = Stage::juliet();
    let incoming = stage.offer();
    let (tunnel, _) = stage.accept(incoming, TrustPolicy::Pinned);
    assert_eq!(request(&mut stage, tunnel), Err(RequestCertificatesError::NotSecured));
    let (mut stage, tunnel) = Stage::responder_with_stream();
    stage.with(|engine, now| engine.tunnel(tunnel).unwrap().close(now));
    assert_eq!(request(&mut stage, tunnel), Err(RequestCertificatesError::Closing));
}

/// A peer that asks and asks, and takes none of the answers, is not read any further once 64 KiB of them wait; none is lost.
#[test]
fn wire_2_24_a_flood_of_questions_fills_nothing() {
    let mut options = EntityOptions::seeded(2);
    options.config.send_buffer = 16 * 1024;
    let mut stage = Stage::new(JULIET, ROMEO, options);
    let tunnel = stage.secure_as_responder();
    stage.write(HEADER_ROMEO);
    assert_eq!(stage.play(), []);
    assert_eq!(kinds(&stage.events()), ["StreamOpened"]);
    let _ = stage.told();
    let question = asking("<pubkeys xmlns='urn:xmpp:pubkey:0'/>");
    for _ in 0..31 {
        // Nothing of the engine is acknowledged meanwhile.
        stage.write(&question.repeat(64));
    }
    let unacked = stage.with(|engine, _| engine.tunnel(tunnel).unwrap().unacked());
    // Blocks on their way, what may be owed, and one answer.
    assert!((60 * 1024..4 * 4096 + 66 * 1024).contains(&unacked), "{unacked}");
    assert_eq!(stage.play(), []);
    assert_eq!(stage.told().matches("<iq type='result'").count(), 31 * 64);
    assert!(stage.events().is_empty(), "nor does the application hear of it");
    assert!(say(&mut stage, &question).contains("<x509cert>"));
}

/// Outside there is nothing to find out, not even by answers to what was not asked.
#[test]
fn wire_2_24_an_answer_nobody_asked_for_is_not_ours() {
    let mut stage = Stage::juliet();
    let answer =
        format!("<iq from='{ROMEO}' to='{JULIET}' id='x' type='result'><pubkeys xmlns='urn:xmpp:pubkey:0'/></iq>");
    assert!(matches!(stage.deliver(&answer), Disposition::NotOurs));
    stage.sent_nothing();
}
