//! What XEP-0047 and XEP-0261 oblige to, named by section.

use xtls_stanza::ErrorType;

use super::*;

#[test]
fn xep_0261_2_2_open_carries_the_negotiated_sid_and_block_size() {
    let mut end = End::new(BytestreamRole::Opener, 2048, BytestreamConfig::default());
    end.stream.open();
    let (sent, stanza) = end.poll().unwrap();
    assert_eq!(sent, Sent::Open);
    let id = Parts::of(&stanza).id;
    assert_eq!(
        stanza,
        format!(
            "<iq type='set' id='{id}' to='{JULIET}'>\
             <open xmlns='http://jabber.org/protocol/ibb' block-size='2048' sid='{SID}' stanza='iq'/></iq>"
        )
    );
    assert!(matches!(request_of(&parse(&stanza)), Request::Open { sid: SID, block_size: 2048 }));
}

#[test]
fn xep_0261_2_2_a_larger_block_size_than_agreed_is_a_resource_constraint() {
    let mut end = End::new(BytestreamRole::Acceptor, 2048, BytestreamConfig::default());
    let fault = end.request("a", &Request::Open { sid: SID, block_size: 2049 }).unwrap_err();
    let error = fault.to_stanza_error();
    assert_eq!((error.condition, error.error_type), (Condition::ResourceConstraint, ErrorType::Modify));
    // The opener may try again with what was agreed, or with less.
    assert_eq!(end.request("b", &Request::Open { sid: SID, block_size: 1000 }), Ok(Handled::Opened));
    assert_eq!(end.stream.block_size(), 1000);
}

#[test]
fn xep_0047_2_1_an_open_is_answered_with_a_result() {
    let mut end = End::new(BytestreamRole::Acceptor, 4096, BytestreamConfig::default());
    assert_eq!(end.request("jn3h8g65", &Request::Open { sid: SID, block_size: 4096 }), Ok(Handled::Opened));
    let mut out = String::new();
    let envelope = Envelope::new(ROMEO, Some(JULIET));
    let sent = end.stream.poll(&mut end.ids, &envelope, &mut |bytes, _| bytes.len(), &mut out);
    assert_eq!(sent, Some(Sent::Result));
    assert_eq!(out, format!("<iq type='result' id='jn3h8g65' to='{ROMEO}' from='{JULIET}'/>"));
}

#[test]
fn xep_0047_2_1_a_refused_open_closes() {
    for condition in [Condition::ServiceUnavailable, Condition::FeatureNotImplemented, Condition::NotAcceptable] {
        let mut end = End::new(BytestreamRole::Opener, 4096, BytestreamConfig::default());
        end.write(b"never sent");
        end.stream.open();
        let (_, open) = end.poll().unwrap();
        let outcome = end.stream.handle_error(Parts::of(&open).id, &stanza_error(condition));
        assert_eq!(outcome, Some(ErrorOutcome::OpenRefused));
        assert_eq!((end.stream.state(), end.poll(), end.stream.unacked()), (BytestreamState::Closed, None, 10));
    }
}

#[test]
fn xep_0047_2_1_smaller_blocks_are_tried_down_to_1024_bytes() {
    let mut end = End::new(BytestreamRole::Opener, 4098, BytestreamConfig::default());
    end.stream.open();
    for (size, outcome) in
        [(4098, ErrorOutcome::Retrying), (2048, ErrorOutcome::Retrying), (1024, ErrorOutcome::OpenRefused)]
    {
        let (sent, open) = end.poll().unwrap();
        assert_eq!(sent, Sent::Open);
        assert!(open.contains(&format!("block-size='{size}'")), "{open}");
        let error = stanza_error(Condition::ResourceConstraint);
        assert_eq!(end.stream.handle_error(Parts::of(&open).id, &error), Some(outcome));
    }
    assert_eq!((end.stream.state(), end.poll()), (BytestreamState::Closed, None));
}

#[test]
fn xep_0047_2_2_nothing_is_sent_before_the_open_is_answered() {
    let mut end = End::new(BytestreamRole::Opener, 4096, BytestreamConfig::default());
    end.write(b"early");
    assert_eq!(end.poll(), None);
    end.stream.open();
    let (sent, open) = end.poll().unwrap();
    assert_eq!((sent, end.poll()), (Sent::Open, None));
    assert_eq!(end.stream.handle_result(Parts::of(&open).id), Some(Acked::Open));
    assert_eq!(end.poll().unwrap().0, Sent::Data { bytes: 5 });

    let mut end = End::new(BytestreamRole::Acceptor, 4096, BytestreamConfig::default());
    end.write(b"early");
    assert_eq!(end.poll(), None);
}

#[test]
fn xep_0047_2_2_a_block_is_never_larger_than_the_block_size() {
    for block_size in [1, 2, 3, 4, 7, 4096, 65535] {
        let (mut a, mut b) = pair(block_size, fixed(4));
        let text = sample(3 * usize::from(block_size) + 1);
        a.write(&text);
        let stanzas = a.poll_all();
        assert_eq!(stanzas.len(), 4);
        for (sent, stanza) in stanzas {
            let Sent::Data { bytes } = sent else { panic!() };
            assert!((1..=usize::from(block_size)).contains(&bytes));
            assert_eq!(b.take(&stanza), None);
        }
        assert_eq!(b.received, text);
    }
}

#[test]
fn the_cut_is_asked_for_whole_records_and_kept_within_its_limits() {
    let (mut a, _) = pair(100, fixed(10));
    a.write(&sample(250));
    let mut asked = Vec::new();
    let mut answers = [60, 100, 0, 1000, usize::MAX].into_iter();
    let mut sizes = Vec::new();
    let mut cut = |bytes: &[u8], limit: usize| {
        asked.push((bytes.len(), limit));
        answers.next().unwrap()
    };
    let (mut out, envelope) = (String::new(), Envelope::new(JULIET, None));
    while let Some(Sent::Data { bytes }) = a.stream.poll(&mut a.ids, &envelope, &mut cut, &mut out) {
        sizes.push(bytes);
    }
    assert_eq!(sizes, [60, 100, 1, 89]);
    assert_eq!(asked, [(250, 100), (190, 100), (90, 100), (89, 100)]);
}

#[test]
fn xep_0047_2_2_each_block_is_one_run_of_base64_with_padding() {
    let (mut a, _) = pair(4, fixed(9));
    a.write(b"abcd");
    assert_eq!(Parts::of(&a.poll().unwrap().1).payload(), "YWJjZA==");
    a.write(b"abc");
    assert_eq!(Parts::of(&a.poll().unwrap().1).payload(), "YWJj");
    a.write(b"ab");
    let (_, stanza) = a.poll().unwrap();
    let id = Parts::of(&stanza).id;
    assert_eq!(
        stanza,
        format!(
            "<iq type='set' id='{id}' to='{JULIET}'>\
             <data xmlns='http://jabber.org/protocol/ibb' seq='2' sid='{SID}'>YWI=</data></iq>"
        )
    );
}

#[test]
fn xep_0047_2_2_the_seq_starts_at_0_and_goes_up_by_one() {
    let (mut a, _) = pair(1, fixed(20));
    a.write(b"0123456789ab");
    let seqs: Vec<String> = a.poll_all().iter().map(|(_, s)| Parts::of(s).value("seq").to_owned()).collect();
    assert_eq!(seqs, (0..12).map(|seq: u16| seq.to_string()).collect::<Vec<_>>());
}

#[test]
fn xep_0047_3_the_two_directions_have_sequences_of_their_own() {
    let (mut a, mut b) = pair(1, BytestreamConfig::default());
    a.write(b"0123");
    run(&mut a, &mut b);
    b.write(b"xy");
    let seqs: Vec<String> = b.poll_all().iter().map(|(_, s)| Parts::of(s).value("seq").to_owned()).collect();
    assert_eq!(seqs, ["0", "1"]);
}

#[test]
fn xep_0047_2_2_each_block_that_is_processed_is_answered_with_a_result() {
    let (_, mut b) = pair(4096, BytestreamConfig::default());
    for (seq, id) in [(0, "kr91n475"), (1, "a'b<c>"), (2, "7")] {
        assert_eq!(b.data(id, seq, "QUJD"), Ok(Handled::Data { bytes: 3 }));
    }
    b.stream.release_acks(u64::MAX);
    let results: Vec<String> = b.poll_all().into_iter().map(|(_, stanza)| stanza).collect();
    assert_eq!(results.len(), 3);
    for (stanza, id) in results.iter().zip(["kr91n475", "a'b<c>", "7"]) {
        let element = parse(stanza);
        let iq = Iq::parse(&element).unwrap().unwrap();
        assert_eq!((iq.iq_type, iq.id, iq.payload.is_none()), (IqType::Result, id, true));
    }
}

#[test]
fn xep_0047_2_2_the_sender_may_wait_for_each_acknowledgement() {
    let (mut a, mut b) = pair(1, fixed(1));
    a.write(b"abc");
    for _ in 0..3 {
        let (_, stanza) = a.poll().unwrap();
        assert_eq!(a.poll(), None);
        assert_eq!(b.take(&stanza), None);
        a.take(&b.poll().unwrap().1);
    }
    assert_eq!((a.poll(), b.received), (None, b"abc".to_vec()));
}

#[test]
fn xep_0047_2_2_errors_about_the_packet() {
    let cases = [
        (1, "QUJD", Condition::UnexpectedRequest),
        (3, "QUJ", Condition::BadRequest),
        (3, "QU*D", Condition::BadRequest),
        (3, "QUJDQUJDQUJDQUJD", Condition::BadRequest),
    ];
    for (seq, text, condition) in cases {
        let (_, mut b) = pair(9, BytestreamConfig::default());
        for seq in 0..3 {
            b.data("x", seq, "QQ==").unwrap();
        }
        let fault = b.data("y", seq, text).unwrap_err();
        let error = fault.to_stanza_error();
        assert_eq!((error.condition, error.error_type), (condition, ErrorType::Cancel), "{fault}");
        assert_eq!(error.text, Some(fault.to_string()));
    }
    let (_, mut b) = pair(9, BytestreamConfig::default());
    let error = b.request("x", &Request::Close { sid: "unknown" }).unwrap_err().to_stanza_error();
    assert_eq!((error.condition, error.error_type), (Condition::ItemNotFound, ErrorType::Cancel));
}

#[test]
fn xep_0047_2_2_on_an_error_about_a_packet_the_sender_closes() {
    for condition in Condition::ALL {
        for error_type in [ErrorType::Cancel, ErrorType::Modify, ErrorType::Wait] {
            let (mut a, _) = pair(4, BytestreamConfig::default());
            a.write(b"one two three");
            let blocks = a.poll_all();
            a.write(b"more");
            let error = stanza_error(*condition).with_type(error_type);
            if is_delivery_error(&error) {
                // About the way to the peer, and not about the packet.
                continue;
            }
            let outcome = a.stream.handle_error(Parts::of(&blocks[1].1).id, &error);
            assert_eq!(outcome, Some(ErrorOutcome::Ended { temporary: error_type == ErrorType::Wait }));
            let sent = a.poll_all();
            assert_eq!(sent.len(), 1, "nothing but the close");
            let close = parse(&sent[0].1);
            assert!(matches!(request_of(&close), Request::Close { sid: SID }));
            // The others that were in flight are still accounted for.
            assert_eq!(a.stream.unacked(), 17);
            assert_eq!(a.stream.handle_result(Parts::of(&blocks[0].1).id), Some(Acked::Data { bytes: 4 }));
            assert_eq!(a.stream.handle_error(Parts::of(&blocks[2].1).id, &error), Some(ErrorOutcome::Late));
            assert_eq!(a.stream.unacked(), 13);
            let id = Parts::of(&sent[0].1).id;
            assert_eq!(a.stream.handle_error(id, &stanza_error(Condition::ItemNotFound)), Some(ErrorOutcome::Closed));
            assert_eq!(a.stream.state(), BytestreamState::Closed);
        }
    }
}

#[test]
fn xep_0047_2_2_after_an_out_of_sequence_packet_nothing_is_processed_and_close_is_sent() {
    let (_, mut b) = pair(9, BytestreamConfig::default());
    b.data("a", 0, "QQ==").unwrap();
    assert_eq!(b.data("c", 2, "Qw=="), Err(BytestreamFault::SeqAhead { seq: 2, expected: 1 }));
    assert_eq!(b.data("b", 1, "Qg=="), Err(BytestreamFault::Closed));
    assert_eq!(b.data("c", 2, "Qw=="), Err(BytestreamFault::Closed));
    assert_eq!(b.received, b"A");
    let sent: Vec<Sent> = b.poll_all().into_iter().map(|(sent, _)| sent).collect();
    // The block that was processed is acknowledged.
    assert_eq!(sent, [Sent::Result, Sent::Close]);
}

#[test]
fn xep_0047_2_3_close_waits_until_all_is_sent_and_acknowledged() {
    let (mut a, mut b) = pair(4, fixed(2));
    a.write(b"abcdefghij");
    a.stream.close();
    assert_eq!((a.stream.state(), a.stream.writable()), (BytestreamState::Closing, 0));
    let mut kinds = Vec::new();
    while let Some((sent, stanza)) = a.poll() {
        kinds.push(sent);
        assert_eq!(b.take(&stanza), None);
        if a.stream.in_flight() == 2 {
            assert_eq!(a.poll(), None);
        }
        a.take(&b.poll().unwrap().1);
    }
    assert_eq!(kinds, [4, 4, 2].map(|bytes| Sent::Data { bytes }).into_iter().chain([Sent::Close]).collect::<Vec<_>>());
    assert_eq!(
        (a.stream.state(), b.stream.state(), b.received),
        (BytestreamState::Closed, BytestreamState::Closed, b"abcdefghij".to_vec())
    );
    assert_eq!(a.stream.unacked(), 0);
}

#[test]
fn xep_0047_2_3_until_close_is_answered_the_data_of_the_peer_is_taken() {
    let (mut a, mut b) = pair(4, BytestreamConfig::default());
    a.stream.close();
    let (_, close) = a.poll().unwrap();
    b.write(b"late");
    let (_, late) = b.poll().unwrap();
    assert_eq!(a.take(&late), None);
    assert_eq!(a.received, b"late");
    assert_eq!(b.take(&close), None);
    run(&mut a, &mut b);
    assert_eq!(
        (a.stream.state(), b.stream.state(), b.stream.unacked()),
        (BytestreamState::Closed, BytestreamState::Closed, 0)
    );
}

#[test]
fn xep_0047_2_3_close_is_acknowledged_and_in_either_case_it_is_closed() {
    let (mut a, mut b) = pair(4, BytestreamConfig::default());
    a.write(b"unsent");
    assert_eq!(a.request("us71g45j", &Request::Close { sid: SID }), Ok(Handled::Closed));
    assert_eq!(a.poll().map(|(_, stanza)| stanza), Some(format!("<iq type='result' id='us71g45j' to='{JULIET}'/>")));
    assert_eq!((a.poll(), a.stream.state(), a.stream.unacked()), (None, BytestreamState::Closed, 6));
    // The other end learns item-not-found.
    b.stream.close();
    let (_, close) = b.poll().unwrap();
    let error = a.take(&close).unwrap();
    assert!(error.contains("<item-not-found "));
    assert_eq!(b.take(&error), None);
    assert_eq!(b.stream.state(), BytestreamState::Closed);
}

#[test]
fn xep_0047_2_3_acknowledgements_that_were_withheld_go_before_that_of_the_close() {
    let (_, mut b) = pair(4, BytestreamConfig::default());
    b.data("first", 0, "QQ==").unwrap();
    b.stream.mark_ack(1000);
    b.stream.release_acks(0);
    assert_eq!(b.poll(), None);
    assert_eq!(b.request("second", &Request::Close { sid: SID }), Ok(Handled::Closed));
    let ids: Vec<String> = b.poll_all().iter().map(|(_, stanza)| Parts::of(stanza).id.to_owned()).collect();
    assert_eq!(ids, ["first", "second"]);
}

/// A window that does not change.
fn fixed(window: u16) -> BytestreamConfig {
    BytestreamConfig { window, ..BytestreamConfig::default() }
}
