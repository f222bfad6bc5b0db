//! Decisions on the bytestream: 2.3, 2.9, 2.22, 2.27, 2.28, 2.29.

use xtls::{CloseReason, Disposition, Fault, TrustPolicy, TunnelOptions};
use xtls_stanza::{Condition, ErrorType, ns};
use xtls_testkit::EntityOptions;

use crate::common::{
    IBB_SID, JULIET, ROMEO, Stage, base64, closed, decoded, element, fault, id, is_data, kinds, payload, result, said,
    stage::{data, texts},
    terminate,
};

/// An engine that has offered, with the peer's TLS ready.
fn offered(options: EntityOptions) -> Stage {
    let mut stage = Stage::new(ROMEO, JULIET, options);
    stage.engine_offers(TrustPolicy::Pinned);
    stage.start_server(&stage.tls_config());
    stage
}

/// ibb:1: the initiator's `<open/>` and its result come before any data (XEP-0261 § 2.2).
#[test]
fn wire_2_03_no_data_goes_before_the_open_is_answered() {
    let mut stage = offered(EntityOptions::seeded(1));
    let accept = stage.accept_with(&stage.peer_security());
    let requests = stage.ask_fine(&accept);
    assert_eq!(payload(&requests[1]).name(), "open");
    stage.ack(&requests[0]);
    stage.sent_nothing();
    stage.ack(&requests[1]);
    assert!(is_data(&stage.sent_one()));
}

/// ibb:1: data without an `<open/>` is for no bytestream.
#[test]
fn wire_2_03_data_without_an_open_is_not_found() {
    let mut stage = Stage::juliet();
    let incoming = stage.offer();
    stage.accept(incoming, TrustPolicy::Pinned);
    let (answer, others) = stage.ask(&data(IBB_SID, 0, "AAAA"));
    assert_eq!(said(&answer), (Condition::ItemNotFound, ErrorType::Cancel, None));
    assert_eq!(others, []);
    // The session goes on.
    stage.choose_and_open();
    stage.start_client(&stage.tls_config());
    stage.play();
    assert_eq!(kinds(&stage.events()), ["Secured"]);
}

/// ibb:1: the bytestream is closed, acknowledged, before the session is terminated (XEP-0261 § 2.5).
#[test]
fn wire_2_03_close_is_answered_before_the_session_is_terminated() {
    let (mut stage, tunnel) = Stage::initiator_with_stream();
    stage.with(|engine, now| engine.tunnel(tunnel).unwrap().close(now));
    stage.play();
    stage.write("</stream:stream>");
    let mut close = None;
    while close.is_none() {
        for stanza in stage.sent() {
            if is_data(&stanza) {
                stage.ack(&stanza);
                stage.take_block(&stanza);
            } else if crate::common::is_request(&stanza) {
                assert!(close.is_none());
                close = Some(stanza);
            }
        }
    }
    let close = close.unwrap();
    let expected = format!("<close xmlns='http://jabber.org/protocol/ibb' sid='{}'/>", stage.ibb_sid);
    assert_eq!(payload(&close), element(&expected));
    stage.sent_nothing();
    stage.ack(&close);
    assert_eq!(payload(&stage.sent_one()), terminate(&stage.sid, "success"));
}

#[test]
fn wire_2_09_an_open_of_the_responder_is_taken_and_ours_crosses_it() {
    let mut stage = offered(EntityOptions::seeded(1));
    let accept = stage.accept_with(&stage.peer_security());
    let requests = stage.ask_fine(&accept);
    let open = stage.open();
    let answered = stage.ask_fine(&open);
    // The peer's open is enough to begin, or the answer to ours is.
    let mut begun: Vec<_> = answered.into_iter().filter(is_data).collect();
    for request in &requests {
        let stanza = format!("<iq from='{JULIET}' to='{ROMEO}' id='{}' type='result'/>", id(request));
        let _ = stage.deliver(&stanza);
    }
    begun.extend(stage.sent().into_iter().filter(is_data));
    let [hello] = begun.as_slice() else { panic!("one ClientHello: {}", texts(&begun)) };
    stage.ack(hello);
    stage.take_block(hello);
    assert_eq!(stage.play(), []);
    assert_eq!(kinds(&stage.events()), ["Secured"]);
}

/// Where both opens cross, ours may be refused as a second one: the bytestream is open all the same.
#[test]
fn wire_2_09_our_open_may_be_refused_when_the_peers_crosses_it() {
    let mut stage = offered(EntityOptions::seeded(1));
    let accept = stage.accept_with(&stage.peer_security());
    let requests = stage.ask_fine(&accept);
    stage.ack(&requests[0]);
    let open = stage.open();
    let hello = stage.ask_fine(&open);
    let _ = stage.refuse(&requests[1], "cancel", "not-acceptable", "");
    for block in hello.iter().filter(|stanza| is_data(stanza)) {
        stage.ack(block);
        stage.take_block(block);
    }
    assert_eq!(stage.play(), []);
    assert_eq!(kinds(&stage.events()), ["Secured"]);
}

/// A responder that opens first, even before its session-accept.
#[test]
fn wire_2_09_an_open_before_the_session_accept_is_taken() {
    let mut stage = offered(EntityOptions::seeded(1));
    let open = stage.open();
    assert_eq!(stage.ask_fine(&open), []);
    let accept = stage.accept_with(&stage.peer_security());
    let requests = stage.ask_fine(&accept);
    for request in &requests {
        let stanza = format!("<iq from='{JULIET}' to='{ROMEO}' id='{}' type='result'/>", id(request));
        let _ = stage.deliver(&stanza);
        if is_data(request) {
            stage.take_block(request);
        }
    }
    stage.play();
    assert_eq!(kinds(&stage.events()), ["Secured"]);
}

#[test]
fn wire_2_22_seq_counts_from_zero_and_a_gap_ends_the_bytestream() {
    let mut stage = Stage::juliet();
    let incoming = stage.offer();
    stage.accept(incoming, TrustPolicy::Pinned);
    stage.choose_and_open();
    let (answer, others) = stage.ask(&data(IBB_SID, 1, "FgMB"));
    assert_eq!(said(&answer), (Condition::UnexpectedRequest, ErrorType::Cancel, None));
    let payloads: Vec<_> = others.iter().map(payload).collect();
    let close = element(&format!("<close xmlns='http://jabber.org/protocol/ibb' sid='{IBB_SID}'/>"));
    assert_eq!(payloads, [close, terminate(&stage.sid, "failed-transport")]);
    let closed = closed(stage.events());
    assert!(matches!(fault(&closed), Fault::Bytestream(_)), "{closed:?}");
}

#[test]
fn wire_2_27_the_smallest_of_offer_answer_and_open_holds() {
    // (what the answer says, what is to be in our open)
    for (answer, expected) in [("block-size='1024'", 1024), ("block-size='4096'", 4096), ("", 4096)] {
        let mut stage = offered(EntityOptions::seeded(1));
        let accept = stage.accept_over(&stage.peer_security(), &format!("{answer} sid='{}'", stage.ibb_sid));
        let requests = stage.ask_fine(&accept);
        assert_eq!(payload(&requests[1]).attribute("block-size"), Some(&*expected.to_string()));
        stage.block_size = expected;
        requests.iter().for_each(|request| stage.ack(request));
        // `take_block` holds each block to the size.
        assert_eq!(stage.play(), []);
        assert_eq!(kinds(&stage.events()), ["Secured"]);
    }
}

#[test]
fn wire_2_27_a_larger_answer_is_clamped() {
    let mut stage = offered(EntityOptions::seeded(1));
    let accept = stage.accept_over(&stage.peer_security(), &format!("block-size='65535' sid='{}'", stage.ibb_sid));
    let requests = stage.ask_fine(&accept);
    assert_eq!(payload(&requests[1]).attribute("block-size"), Some("4096"));
}

/// An answer without a sid means the offered one.
#[test]
fn wire_2_27_an_answer_without_a_sid_is_taken() {
    let mut stage = offered(EntityOptions::seeded(1));
    let accept = stage.accept_over(&stage.peer_security(), "block-size='65535'");
    let requests = stage.ask_fine(&accept);
    assert_eq!(payload(&requests[1]).attribute("sid"), Some(&*stage.ibb_sid));
}

#[test]
fn wire_2_27_the_responder_answers_with_the_smaller_size_and_keeps_to_it() {
    for (offered, answered) in [(65_535, 4096), (4096, 4096), (1000, 1000), (100, 100), (64, 64)] {
        let mut stage = Stage::juliet();
        stage.block_size = offered;
        let incoming = stage.offer();
        let (_, accept) = stage.accept(incoming, TrustPolicy::Pinned);
        let jingle = payload(&accept);
        let transport = jingle.child("content", ns::JINGLE).unwrap().child("transport", ns::JINGLE_IBB).unwrap();
        assert_eq!(transport.attribute("block-size"), Some(&*answered.to_string()));
        stage.block_size = answered;
        stage.choose_and_open();
        stage.start_client(&stage.tls_config());
        assert_eq!(stage.play(), []);
        assert_eq!(kinds(&stage.events()), ["Secured"], "{offered}");
    }
}

#[test]
fn wire_2_27_an_open_with_a_larger_size_than_agreed_is_a_resource_constraint() {
    let mut stage = Stage::juliet();
    let incoming = stage.offer();
    stage.accept(incoming, TrustPolicy::Pinned);
    let open = stage.open().replace("4096", "4097");
    let (answer, others) = stage.ask(&open);
    assert_eq!(said(&answer), (Condition::ResourceConstraint, ErrorType::Modify, None));
    assert_eq!(others, []);
    // A smaller one is fine, and holds.
    stage.block_size = 512;
    stage.choose_and_open();
    stage.start_client(&stage.tls_config());
    assert_eq!(stage.play(), []);
    assert_eq!(kinds(&stage.events()), ["Secured"]);
}

/// Bytes before base64, not characters: a block of exactly the size is taken, one byte more is not.
#[test]
fn wire_2_27_the_size_counts_bytes_before_base64() {
    for (bytes, taken) in [(4096, true), (4097, false)] {
        let mut stage = Stage::juliet();
        let incoming = stage.offer();
        stage.accept(incoming, TrustPolicy::Pinned);
        stage.choose_and_open();
        // The beginning of a long handshake record.
        let mut block = vec![22, 3, 1, 0x3f, 0xff, 1, 0, 0x3f, 0xf0, 3, 3];
        block.resize(bytes, 0);
        let (answer, others) = stage.ask(&data(IBB_SID, 0, &base64(&block)));
        if taken {
            assert_eq!(answer, result(JULIET, ROMEO, id(&answer)));
            assert_eq!(others, []);
        } else {
            assert_eq!(said(&answer), (Condition::BadRequest, ErrorType::Cancel, None));
            assert_eq!(payload(others.last().unwrap()), terminate(&stage.sid, "failed-transport"));
        }
    }
}

/// Halving down to 1024, then it fails.
#[test]
fn wire_2_27_an_open_refused_for_resource_constraint_is_tried_with_half_the_size() {
    let mut stage = offered(EntityOptions::seeded(1));
    let accept = stage.accept_with(&stage.peer_security());
    let mut requests = stage.ask_fine(&accept);
    stage.ack(&requests[0]);
    let mut open = requests.remove(1);
    for size in ["2048", "1024"] {
        let _ = stage.refuse(&open, "modify", "resource-constraint", "");
        open = stage.sent_one();
        assert_eq!(payload(&open).name(), "open", "{}", open.to_xml(ns::CLIENT));
        assert_eq!(payload(&open).attribute("block-size"), Some(size));
    }
    let _ = stage.refuse(&open, "modify", "resource-constraint", "");
    assert_eq!(payload(&stage.sent_one()).attribute("action"), Some("session-terminate"));
}

/// Blocks that arrive before the responder has polled anything, or its session-accept is answered, are taken in order.
#[test]
fn wire_2_29_data_right_behind_the_session_accept_is_taken() {
    let mut stage = Stage::juliet();
    let incoming = stage.offer();
    let options = TunnelOptions::xml_stream(TrustPolicy::Pinned);
    stage.with(|engine, now| engine.accept(now, incoming, options)).unwrap();
    // The session-accept is not even polled, and no security-info comes.
    let open = stage.open();
    let open = stage.iq("open", &open);
    assert!(matches!(stage.deliver(&open), Disposition::Consumed));
    stage.start_client(&stage.tls_config());
    let sent = stage.sent();
    let answers: Vec<_> = sent.iter().filter(|stanza| !crate::common::is_request(stanza)).map(id).collect();
    assert_eq!(answers.len(), 2, "open and the ClientHello: {answers:?}");
    for request in sent.iter().filter(|stanza| crate::common::is_request(stanza)) {
        stage.ack(request);
        if is_data(request) {
            stage.take_block(request);
        }
    }
    assert_eq!(stage.play(), []);
    assert_eq!(kinds(&stage.events()), ["Secured"]);
}

/// § 1: XML white space around and inside the base64 is skipped, an empty block is nothing, an alien character is not.
#[test]
fn wire_1_white_space_and_empty_blocks_are_tolerated_in_data() {
    let mut stage = Stage::juliet();
    let incoming = stage.offer();
    stage.accept(incoming, TrustPolicy::Pinned);
    stage.choose_and_open();
    let mut hello = Stage::romeo();
    hello.engine_offers(TrustPolicy::Pinned);
    let accept = hello.accept_with(&hello.peer_security());
    let requests = hello.ask_fine(&accept);
    requests.iter().for_each(|request| hello.ack(request));
    let text = base64(&decoded(&hello.sent_one()));
    assert_eq!(stage.ask_fine(&data(IBB_SID, 0, "")), []);
    assert_eq!(stage.ask_fine(&data(IBB_SID, 1, " \n\t ")), []);
    let (one, other) = text.split_at(102);
    let flight = stage.ask_fine(&data(IBB_SID, 2, &format!("\n  {one}\r\n\t {other} ")));
    assert!(flight.iter().all(is_data) && flight.len() == 1);
    let (answer, _) = stage.ask(&data(IBB_SID, 3, "AA*A"));
    assert_eq!(said(&answer), (Condition::BadRequest, ErrorType::Cancel, None));
    let closed = closed(stage.events());
    assert!(matches!(closed.reason, CloseReason::Fault(_)));
}
