//! § 3: the TLS handshake over the in-band bytestream.

use xtls::{Disposition, Event, TrustPolicy, tls::TlsVersion};
use xtls_stanza::{Condition, ErrorType};
use xtls_testkit::World;

use crate::common::{
    HEADER_ROMEO, IBB_SID, JULIET, ROMEO, Stage, base64, blocks_of, decoded, element, id, is_data, result,
};

/// The draft's example of data from the initiator, with another block and the session's sid.
fn data_from_romeo(seq: u16, text: &str) -> String {
    format!(
        "<iq from='romeo@montague.lit/orchard'
  id='vh38s618'
  to='juliet@capulet.lit/balcony'
  type='set'>
  <data xmlns='http://jabber.org/protocol/ibb'
    seq='{seq}'
    sid='{IBB_SID}'>
    {text}
  </data>
</iq>"
    )
}

#[test]
fn draft_3_data_as_in_the_example_with_white_space_around_it_is_taken() {
    let mut stage = Stage::juliet();
    let incoming = stage.offer();
    stage.accept(incoming, TrustPolicy::Pinned);
    stage.choose_and_open();
    // A ClientHello, taken from another stage.
    let hello = {
        let mut other = Stage::romeo();
        other.engine_offers(TrustPolicy::Pinned);
        let accept = other.accept_with(&other.peer_security());
        let requests = other.ask_fine(&accept);
        requests.iter().for_each(|request| other.ack(request));
        decoded(&other.sent_one())
    };
    assert!(matches!(stage.deliver(&data_from_romeo(0, &base64(&hello))), Disposition::Consumed));
    let (answer, flight) = stage.answer_to("vh38s618");
    assert_eq!(answer, result(JULIET, ROMEO, "vh38s618"));
    // "Because in-band bytestreams are bidirectional ... the 'seq' attribute has a value of zero, not 1."
    let [flight] = flight.as_slice() else { panic!("the server's flight in one block") };
    let text = base64(&decoded(flight));
    let expected = format!(
        "<iq from='{JULIET}' id='{}' to='{ROMEO}' type='set'>\
         <data xmlns='http://jabber.org/protocol/ibb' seq='0' sid='{IBB_SID}'>{text}</data></iq>",
        id(flight)
    );
    assert_eq!(*flight, element(&expected));
}

/// As printed, the block is no base64: "Base64-encoded-TLS-data".
#[test]
fn draft_3_data_as_printed_is_a_bad_request_and_ends_the_session() {
    let mut stage = Stage::juliet();
    let incoming = stage.offer();
    stage.accept(incoming, TrustPolicy::Pinned);
    stage.choose_and_open();
    assert!(matches!(stage.deliver(&data_from_romeo(0, "Base64-encoded-TLS-data")), Disposition::Consumed));
    let (answer, others) = stage.answer_to("vh38s618");
    assert_eq!(crate::common::said(&answer), (Condition::BadRequest, ErrorType::Cancel, None));
    // XEP-0047 § 2.2: the bytestream MUST be closed.
    let [close, end] = others.as_slice() else { panic!("close and terminate: {}", others.len()) };
    let expected = format!("<close xmlns='http://jabber.org/protocol/ibb' sid='{IBB_SID}'/>");
    assert_eq!(crate::common::payload(close), element(&expected));
    assert_eq!(crate::common::payload(end), crate::common::terminate(&stage.sid, "failed-transport"));
    let closed = crate::common::closed(stage.events());
    assert!(matches!(crate::common::fault(&closed), xtls::Fault::Bytestream(_)), "{closed:?}");
}

/// As printed, the responder's data has 'from' twice and no 'to'.
#[test]
fn draft_3_data_with_from_twice_is_malformed() {
    let mut stage = Stage::romeo();
    stage.engine_offers(TrustPolicy::Pinned);
    let printed = "<iq from='juliet@capulet.com/balcony'
  id='xyw516d0'
  from='romeo@montague.net/orchard'
  type='set'>
  <data xmlns='http://jabber.org/protocol/ibb'
    seq='0'
    sid='vj3hs98y'>
    Base64-encoded-TLS-data
  </data>
</iq>";
    assert!(matches!(stage.deliver(printed), Disposition::Malformed(_)));
    stage.sent_nothing();
    assert!(stage.events().is_empty());
}

/// "The responder MUST take the role of the TLS server and the initiator MUST take the role of the TLS client", and the
/// first data on the transport is TLS.
#[test]
fn draft_3_the_initiator_is_the_tls_client_and_its_hello_is_the_first_data() {
    let (mut world, romeo, juliet) = World::pair(1);
    world.connect(romeo, juliet);
    let first =
        world.relay.log().iter().map(|passed| (element(&passed.stanza), &passed.from)).find(|(s, _)| is_data(s));
    let (first, from) = first.unwrap();
    assert_eq!(from, ROMEO);
    let hello = decoded(&first);
    // A handshake record of TLS that holds a ClientHello.
    assert_eq!((hello[0], hello[1], hello[5]), (22, 3, 1));
    let answer = blocks_of(world.relay.log(), JULIET)[0].1.clone();
    // ... and a ServerHello.
    assert_eq!((answer[0], answer[1], answer[5]), (22, 3, 2));
}

/// seq counts from 0 in each direction, and each block is acknowledged with an empty result.
#[test]
fn draft_3_blocks_are_numbered_from_zero_and_each_is_acknowledged() {
    let (mut world, romeo, juliet) = World::pair(1);
    world.connect(romeo, juliet);
    let log = world.relay.log();
    for (sender, receiver) in [(ROMEO, JULIET), (JULIET, ROMEO)] {
        let seqs: Vec<u16> = blocks_of(log, sender).iter().map(|(seq, _)| *seq).collect();
        assert_eq!(seqs, (0..u16::try_from(seqs.len()).unwrap()).collect::<Vec<_>>());
        assert!(seqs.len() >= 2);
        let sent: Vec<_> = log.iter().filter(|passed| passed.from == sender).map(|p| element(&p.stanza)).collect();
        let answers: Vec<_> = log.iter().filter(|passed| passed.from == receiver).map(|p| element(&p.stanza)).collect();
        for block in sent.iter().filter(|stanza| is_data(stanza)) {
            let expected = result(receiver, sender, id(block));
            assert_eq!(answers.iter().filter(|answer| **answer == expected).count(), 1);
        }
    }
}

/// "The responder MUST send a CertificateRequest": without one it would never see the initiator's certificate.
#[test]
fn draft_3_both_ends_present_a_certificate() {
    let mut stage = Stage::juliet();
    let incoming = stage.offer();
    stage.accept(incoming, TrustPolicy::Pinned);
    stage.choose_and_open();
    stage.start_client(&stage.tls_config());
    assert_eq!(stage.play(), []);
    let events = stage.events();
    let [Event::Secured { security, .. }] = events.as_slice() else { panic!("secured: {events:?}") };
    assert_eq!(security.certificate.as_ref().unwrap().der(), stage.identity.certificate());
    assert_eq!(security.tls.version, TlsVersion::Tls13);
    let own = stage.world.identity(stage.engine).certificate();
    assert_eq!(stage.tls.as_ref().unwrap().peer_certificate().unwrap().der(), own);
}

/// The application hears that the tunnel is open only after the handshake.
#[test]
fn draft_3_nothing_is_open_before_the_handshake_is_complete() {
    let mut stage = Stage::juliet();
    let incoming = stage.offer();
    let (tunnel, _) = stage.accept(incoming, TrustPolicy::Pinned);
    stage.choose_and_open();
    assert!(stage.events().is_empty());
    stage.start_client(&stage.tls_config());
    // The ClientHello has come and the server's flight is out; the client's Finished has not come.
    let flight = stage.sent();
    assert!(flight.iter().any(is_data));
    assert!(stage.events().is_empty());
    let message = crate::common::message("too early");
    let refused = stage.with(|engine, now| engine.tunnel(tunnel).unwrap().send(now, &message));
    assert_eq!(refused, Err(xtls::error::SendError::NotSecured));
    for block in flight.iter().filter(|stanza| is_data(stanza)) {
        stage.ack(block);
        stage.take_block(block);
    }
    assert_eq!(stage.play(), []);
    assert_eq!(crate::common::kinds(&stage.events()), ["Secured"]);
    stage.write(HEADER_ROMEO);
    assert_eq!(stage.play(), []);
    assert_eq!(crate::common::kinds(&stage.events()), ["StreamOpened"]);
}
