//! Hostile relays and hostile peers.

use super::*;

/// Two ends, the first of which has sent four blocks that the second has not seen.
fn four_blocks() -> (End, End, Vec<String>) {
    let (mut a, b) = pair(4, BytestreamConfig::default());
    a.write(b"aaaabbbbccccdddd");
    let blocks = a.poll_all().into_iter().map(|(_, stanza)| stanza).collect();
    (a, b, blocks)
}

#[test]
fn m09_a_dropped_block_ends_the_bytestream_at_the_next_one() {
    let (mut a, mut b, blocks) = four_blocks();
    assert_eq!(b.take(&blocks[0]), None);
    let error = b.take(&blocks[2]).unwrap();
    assert!(error.contains("<unexpected-request "));
    a.take(&error);
    run(&mut b, &mut a);
    assert_eq!(
        (a.stream.state(), b.stream.state(), b.received),
        (BytestreamState::Closed, BytestreamState::Closed, b"aaaa".to_vec())
    );
    // Only the first block counts as arrived.
    assert_eq!(a.stream.unacked(), 12);
}

#[test]
fn m10_without_results_the_sender_stalls_at_the_window() {
    let (mut a, mut b, blocks) = four_blocks();
    a.write(b"eeee");
    for block in &blocks {
        assert_eq!(b.take(block), None);
    }
    assert_eq!(b.poll_all().len(), 4);
    // None of the results arrives: nothing is sent again, and nothing new.
    assert_eq!((a.poll(), a.stream.in_flight(), a.stream.unacked()), (None, 4, 20));
}

#[test]
fn m11_a_duplicated_block_is_refused_and_never_delivered_twice() {
    let (_, mut b, blocks) = four_blocks();
    assert_eq!(b.take(&blocks[0]), None);
    let error = b.take(&blocks[0]).unwrap();
    assert!(error.contains("type='cancel'><unexpected-request "));
    assert_eq!((b.received.as_slice(), b.stream.state()), (b"aaaa".as_slice(), BytestreamState::Closing));
}

#[test]
fn m12_a_reordered_block_is_not_processed() {
    let (_, mut b, blocks) = four_blocks();
    assert_eq!(b.take(&blocks[0]), None);
    for late in [&blocks[2], &blocks[1], &blocks[3]] {
        assert!(b.take(late).is_some());
    }
    assert_eq!((b.received.as_slice(), b.stream.state()), (b"aaaa".as_slice(), BytestreamState::Closing));
}

#[test]
fn m13_base64_that_stays_valid_is_left_to_the_layer_above() {
    let (_, mut b, blocks) = four_blocks();
    assert_eq!(b.take(&blocks[0].replace("YWFhYQ==", "YWFhZQ==")), None);
    assert_eq!(b.received, b"aaae");
}

#[test]
fn m14_a_block_that_is_not_base64_ends_the_bytestream() {
    let (_, mut b, blocks) = four_blocks();
    let error = b.take(&blocks[0].replace("YWFhYQ==", "YWFhYR==")).unwrap();
    assert!(error.contains("type='cancel'><bad-request "));
    assert!(b.take(&blocks[0]).unwrap().contains("<item-not-found "));
    assert_eq!((b.received.as_slice(), b.stream.state()), (b"".as_slice(), BytestreamState::Closing));
}

#[test]
fn m15_m16_a_close_in_the_middle_delivers_what_came_and_counts_what_did_not_go() {
    let (mut a, mut b, blocks) = four_blocks();
    a.write(b"eeee");
    b.write(b"reply");
    assert_eq!(b.take(&blocks[0]), None);
    for end in [&mut a, &mut b] {
        assert_eq!(end.request("forged", &Request::Close { sid: SID }), Ok(Handled::Closed));
    }
    assert_eq!(b.received, b"aaaa");
    assert_eq!((a.stream.unacked(), b.stream.unacked()), (20, 5));
    // What was in flight may still turn out to have arrived.
    assert_eq!(a.stream.handle_result(Parts::of(&blocks[0]).id), Some(Acked::Data { bytes: 4 }));
    assert_eq!(a.stream.unacked(), 16);
}

#[test]
fn m19_another_sid_is_not_found_and_changes_nothing() {
    let (_, mut b) = pair(4, BytestreamConfig::default());
    for request in [
        Request::Open { sid: "other", block_size: 4 },
        Request::Data { sid: "other", seq: 0, payload: "QQ==".into() },
        Request::Close { sid: "other" },
        Request::Malformed { sid: "other", fault: BytestreamFault::Seq },
    ] {
        let fault = b.request("x", &request).unwrap_err();
        assert_eq!(fault.to_stanza_error().condition, Condition::ItemNotFound);
    }
    assert_eq!((b.stream.state(), b.poll()), (BytestreamState::Open, None));
    assert_eq!(b.data("y", 0, "QQ=="), Ok(Handled::Data { bytes: 1 }));
}

#[test]
fn m24_a_delivery_failure_suspends_and_loses_nothing() {
    for condition in [Condition::RecipientUnavailable, Condition::RemoteServerTimeout] {
        let (mut a, _, blocks) = four_blocks();
        let outcome = a.stream.handle_error(Parts::of(&blocks[3]).id, &stanza_error(condition));
        assert_eq!(outcome, Some(ErrorOutcome::Suspended));
        assert_eq!((a.stream.state(), a.stream.unacked()), (BytestreamState::Open, 16));
    }
}

#[test]
fn m25_block_sizes_in_an_open_that_were_not_agreed() {
    let open = |size: &str| {
        let mut end = End::new(BytestreamRole::Acceptor, 4096, BytestreamConfig::default());
        let xml =
            format!("<iq type='set' id='a'><open xmlns='http://jabber.org/protocol/ibb' sid='{SID}' {size}/></iq>");
        let element = parse(&xml);
        let handled = end.request("a", &request_of(&element));
        // Nothing is set aside for blocks that have not come.
        assert_eq!((end.received.capacity(), end.stream.outgoing().capacity()), (0, 0));
        (handled.map_err(|fault| fault.to_stanza_error().condition), end.stream.state())
    };
    let refused = |condition| (Err(condition), BytestreamState::AwaitingOpen);
    assert_eq!(open("block-size='4096'"), (Ok(Handled::Opened), BytestreamState::Open));
    assert_eq!(open("block-size='64'"), (Ok(Handled::Opened), BytestreamState::Open));
    assert_eq!(open("block-size='63'"), refused(Condition::NotAcceptable));
    assert_eq!(open("block-size='1'"), refused(Condition::NotAcceptable));
    assert_eq!(open("block-size='4097'"), refused(Condition::ResourceConstraint));
    assert_eq!(open("block-size='65535'"), refused(Condition::ResourceConstraint));
    for wrong in ["block-size='0'", "block-size='65536'", "", "block-size='x'", "block-size='-4096'"] {
        assert_eq!(open(wrong), refused(Condition::BadRequest), "{wrong}");
    }
}

#[test]
fn p04_at_most_sixteen_empty_blocks_in_a_row() {
    let (_, mut b) = pair(4, BytestreamConfig::default());
    for seq in 0..16 {
        assert_eq!(b.data("x", seq, ""), Ok(Handled::Data { bytes: 0 }));
        b.stream.release_acks(0);
    }
    // One with content starts the count anew; white space is no content.
    assert_eq!(b.data("x", 16, "QQ=="), Ok(Handled::Data { bytes: 1 }));
    for seq in 17..33 {
        assert_eq!(b.data("x", seq, " \n"), Ok(Handled::Data { bytes: 0 }));
        b.stream.release_acks(0);
    }
    assert_eq!(b.data("x", 33, ""), Err(BytestreamFault::EmptyBlocks));
    assert_eq!(b.stream.state(), BytestreamState::Closing);
}

#[test]
fn p05_an_oversize_block_ends_the_bytestream() {
    let (_, mut b) = pair(4096, BytestreamConfig::default());
    assert_eq!(b.data("x", 0, &"AAAA".repeat(1365)), Ok(Handled::Data { bytes: 4095 }));
    let fault = BytestreamFault::BlockTooLarge { bytes: 4098, block_size: 4096 };
    assert_eq!(b.data("y", 1, &"AAAA".repeat(1366)), Err(fault));
    assert_eq!(fault.to_stanza_error().condition, Condition::BadRequest);
    assert_eq!((b.received.len(), b.stream.state()), (4095, BytestreamState::Closing));
}

#[test]
fn p06_a_seq_that_is_no_number_ends_the_bytestream() {
    for seq in ["", "+0", "-0", "00", "65536", "zero"] {
        let (_, mut b) = pair(4, BytestreamConfig::default());
        let xml = format!(
            "<iq type='set' id='a'>\
             <data xmlns='http://jabber.org/protocol/ibb' sid='{SID}' seq='{seq}'>QQ==</data></iq>"
        );
        let element = parse(&xml);
        assert_eq!(b.request("a", &request_of(&element)), Err(BytestreamFault::Seq), "{seq:?}");
        assert_eq!((b.received.len(), b.stream.state()), (0, BytestreamState::Closing));
    }
}

#[test]
fn p06_used_and_ahead_are_told_apart_around_the_wrap() {
    let after = |blocks: u32, seq: u16| {
        let (_, mut b) = pair(4, BytestreamConfig { empty_blocks_max: u16::MAX, ..BytestreamConfig::default() });
        for number in 0..blocks {
            b.data("x", u16::try_from(number % 65536).unwrap(), "QQ==").unwrap();
            b.stream.release_acks(0);
            assert_eq!(b.poll().unwrap().0, Sent::Result);
        }
        b.data("y", seq, "QQ==").unwrap_err()
    };
    // Before the first block nothing was used.
    assert_eq!(after(0, 65535), BytestreamFault::SeqAhead { seq: 65535, expected: 0 });
    assert_eq!(after(0, 1), BytestreamFault::SeqAhead { seq: 1, expected: 0 });
    assert_eq!(after(2, 0), BytestreamFault::SeqUsed { seq: 0, expected: 2 });
    assert_eq!(after(2, 65535), BytestreamFault::SeqAhead { seq: 65535, expected: 2 });
    assert_eq!(after(65536, 65535), BytestreamFault::SeqUsed { seq: 65535, expected: 0 });
    assert_eq!(after(65536, 1), BytestreamFault::SeqAhead { seq: 1, expected: 0 });
    assert_eq!(after(65537, 65535), BytestreamFault::SeqUsed { seq: 65535, expected: 1 });
    assert_eq!(after(65537, 0), BytestreamFault::SeqUsed { seq: 0, expected: 1 });
}

#[test]
fn p07_a_live_sid_cannot_be_opened_again() {
    let (_, mut b) = pair(4, BytestreamConfig::default());
    b.data("x", 0, "QQ==").unwrap();
    let fault = b.request("y", &Request::Open { sid: SID, block_size: 4 }).unwrap_err();
    assert_eq!(fault.to_stanza_error().condition, Condition::NotAcceptable);
    // It neither starts over nor ends.
    assert_eq!(b.data("z", 1, "Qg=="), Ok(Handled::Data { bytes: 1 }));
    assert_eq!(b.received, b"AB");
}

#[test]
fn p25_acknowledgements_are_withheld_until_the_application_reads() {
    const CAPACITY: usize = 16;
    let (mut a, mut b) = pair(4, BytestreamConfig::default());
    b.reads = false;
    let text = sample(4 * 200);
    a.write(&text);
    let (mut read, mut stalls) = (0, 0);
    while a.stream.unacked() > 0 {
        let mut moved = false;
        while let Some((_, stanza)) = a.poll() {
            moved = true;
            assert_eq!(b.take(&stanza), None);
            b.stream.mark_ack(sender::wide(b.received.len()));
            b.stream.release_acks(sender::wide(read + CAPACITY));
        }
        while let Some((sent, stanza)) = b.poll() {
            moved = true;
            assert_eq!(sent, Sent::Result);
            a.take(&stanza);
        }
        let held = b.received.len() - read;
        assert!(held <= CAPACITY + 4 * usize::from(a.stream.window()), "{held} bytes held");
        if !moved {
            // The buffer is full and the window with it: only reading goes on.
            assert!(held > CAPACITY);
            assert!(a.stream.queued() == 0 || a.stream.in_flight() == usize::from(a.stream.window()));
            stalls += 1;
            read += 4;
            b.stream.release_acks(sender::wide(read + CAPACITY));
        }
    }
    assert_eq!(b.received, text);
    assert!(stalls > 100, "{stalls}");
}

#[test]
fn p25_a_peer_that_ignores_the_backpressure_is_cut_off() {
    let (_, mut b) = pair(4, BytestreamConfig::default());
    for seq in 0..32 {
        assert_eq!(b.data("x", seq, "QQ=="), Ok(Handled::Data { bytes: 1 }));
    }
    assert_eq!(b.stream.withheld_acks(), 32);
    let fault = b.data("x", 32, "QQ==").unwrap_err();
    assert_eq!(fault, BytestreamFault::Unacknowledged);
    assert_eq!(fault.to_stanza_error().condition, Condition::ResourceConstraint);
    assert_eq!((b.received.len(), b.stream.state()), (32, BytestreamState::Closing));
}

#[test]
fn answers_that_nobody_polls_are_bounded() {
    let (_, mut b) = pair(4, BytestreamConfig { answers_max: 100, ..BytestreamConfig::default() });
    for seq in 0..100 {
        assert_eq!(b.data("x", seq, "QQ=="), Ok(Handled::Data { bytes: 1 }));
        b.stream.release_acks(0);
    }
    assert_eq!(b.data("x", 100, "QQ=="), Err(BytestreamFault::Unacknowledged));
}

#[test]
fn an_id_has_at_most_1024_bytes() {
    let (_, mut b) = pair(4, BytestreamConfig::default());
    let id = "x".repeat(Bytestream::MAX_REQUEST_ID);
    assert_eq!(b.data(&id, 0, "QQ=="), Ok(Handled::Data { bytes: 1 }));
    b.stream.release_acks(0);
    assert_eq!(Parts::of(&b.poll().unwrap().1).id, id);
    assert_eq!(b.data(&format!("{id}x"), 1, "QQ=="), Err(BytestreamFault::IdTooLong));
    assert_eq!(b.stream.state(), BytestreamState::Closing);
}
