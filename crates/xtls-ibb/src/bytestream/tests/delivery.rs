//! Delivery errors (XEP-0047 § 2.2): suspension, and sending again what surely was not processed.

use super::*;

const TEMPORARY: [Condition; 4] = [
    Condition::RecipientUnavailable,
    Condition::RemoteServerTimeout,
    Condition::ResourceConstraint,
    Condition::PolicyViolation,
];

/// Two open ends, and four blocks of one byte on their way from the first, "0123".
fn in_flight() -> (End, End, Vec<String>) {
    let (mut a, b) = pair(1, BytestreamConfig::default());
    a.write(b"0123456789");
    let blocks: Vec<_> = a.poll_all().into_iter().map(|(_, stanza)| stanza).collect();
    assert_eq!(blocks.len(), 4);
    (a, b, blocks)
}

fn bounce(end: &mut End, stanza: &str, condition: Condition) -> Option<ErrorOutcome> {
    let error = stanza_error(condition).with_type(ErrorType::Wait);
    end.stream.handle_error(Parts::of(stanza).id, &error)
}

fn ack(end: &mut End, stanza: &str) -> Option<Acked> {
    end.stream.handle_result(Parts::of(stanza).id)
}

fn seqs(stanzas: &[(Sent, String)]) -> Vec<(&str, &str)> {
    stanzas.iter().map(|(_, stanza)| (Parts::of(stanza).value("seq"), Parts::of(stanza).payload())).collect()
}

#[test]
fn xep_0047_2_2_a_delivery_error_suspends_and_the_same_blocks_go_again_in_order() {
    for condition in TEMPORARY {
        let (mut a, mut b, blocks) = in_flight();
        // The first got through; the others come back, in any order.
        assert_eq!(b.take(&blocks[0]), None);
        assert_eq!(a.take(&b.poll().unwrap().1), None);
        for at in [2, 1, 3] {
            assert_eq!(bounce(&mut a, &blocks[at], condition), Some(ErrorOutcome::Suspended));
            assert!(a.stream.is_suspended());
            assert_eq!(a.poll(), None, "nothing goes while it is suspended");
        }
        assert_eq!((a.stream.in_flight(), a.stream.unacked()), (3, 9));
        a.stream.set_window(2);
        a.stream.resume();
        let mut again = a.poll_all();
        assert_eq!(seqs(&again), [("1", "MQ==")], "one to see whether the way is free");
        assert_eq!(b.take(&again[0].1), None);
        assert_eq!(a.take(&b.poll().unwrap().1), None);
        again.extend(a.poll_all());
        assert_eq!(seqs(&again[1..]), [("2", "Mg=="), ("3", "Mw==")], "as far as the smaller window goes");
        for (old, (_, new)) in blocks[1..].iter().zip(&again) {
            assert_ne!(Parts::of(old).id, Parts::of(new).id, "under an id of its own");
            assert_eq!(ack(&mut a, old), None, "the old one was answered");
        }
        for (_, stanza) in &again[1..] {
            assert_eq!(b.take(stanza), None);
        }
        run(&mut a, &mut b);
        assert_eq!((&*b.received, a.stream.unacked()), (&b"0123456789"[..], 0));
    }
}

/// As long as a block behind it is on its way, one that came back must not go again: the other may have got through.
#[test]
fn xep_0047_2_2_nothing_goes_again_while_a_later_block_is_on_its_way() {
    let (mut a, mut b, blocks) = in_flight();
    assert_eq!(bounce(&mut a, &blocks[0], TEMPORARY[0]), Some(ErrorOutcome::Suspended));
    assert_eq!(bounce(&mut a, &blocks[3], TEMPORARY[0]), Some(ErrorOutcome::Suspended));
    a.stream.resume();
    assert_eq!(a.poll(), None);
    assert_eq!(bounce(&mut a, &blocks[1], TEMPORARY[0]), Some(ErrorOutcome::Suspended));
    a.stream.resume();
    assert_eq!(a.poll(), None);
    assert_eq!(bounce(&mut a, &blocks[2], TEMPORARY[0]), Some(ErrorOutcome::Suspended));
    assert_eq!(a.poll(), None, "until it is resumed");
    a.stream.resume();
    run(&mut a, &mut b);
    assert_eq!(b.received, b"0123456789");
}

/// A block that came back, and one behind it that was acknowledged: to send the first again would be fatal or wrong.
#[test]
fn xep_0047_2_2_a_block_that_was_overtaken_ends_the_bytestream() {
    // The error comes first, or the acknowledgement.
    let (mut a, _, blocks) = in_flight();
    assert_eq!(bounce(&mut a, &blocks[1], TEMPORARY[0]), Some(ErrorOutcome::Suspended));
    assert_eq!(ack(&mut a, &blocks[0]), Some(Acked::Data { bytes: 1 }), "what was before it is no matter");
    assert_eq!(ack(&mut a, &blocks[2]), Some(Acked::Gap { bytes: 1 }));
    assert_eq!((a.stream.state(), a.stream.unacked()), (BytestreamState::Closing, 8));
    assert_eq!(a.poll_all().iter().map(|(sent, _)| *sent).collect::<Vec<_>>(), [Sent::Close]);
    assert_eq!(ack(&mut a, &blocks[3]), Some(Acked::Data { bytes: 1 }), "what is still on its way is counted");
    assert_eq!((a.stream.in_flight(), a.stream.unacked()), (0, 7));

    let (mut a, _, blocks) = in_flight();
    assert_eq!(ack(&mut a, &blocks[2]), Some(Acked::Data { bytes: 1 }));
    assert_eq!(bounce(&mut a, &blocks[1], TEMPORARY[0]), Some(ErrorOutcome::Ended { temporary: true }));
    assert_eq!((a.stream.state(), a.stream.unacked()), (BytestreamState::Closing, 9));
}

/// The block was processed, and the error was not true: the peer says so, and the bytestream ends.
#[test]
fn xep_0047_2_2_a_block_that_had_got_there_all_the_same_is_never_delivered_twice() {
    let (mut a, mut b) = pair(1, BytestreamConfig::default());
    a.write(b"0");
    let (_, block) = a.poll().unwrap();
    assert_eq!(b.take(&block), None);
    assert_eq!(bounce(&mut a, &block, TEMPORARY[1]), Some(ErrorOutcome::Suspended));
    a.stream.resume();
    let (_, again) = a.poll().unwrap();
    let error = b.take(&again).unwrap();
    assert!(error.contains("unexpected-request"), "{error}");
    assert_eq!(b.received, b"0");
    a.take(&error);
    assert_eq!(a.stream.state(), BytestreamState::Closing);
}

#[test]
fn xep_0047_2_2_only_temporary_delivery_errors_suspend() {
    for condition in Condition::ALL {
        for error_type in [ErrorType::Auth, ErrorType::Cancel, ErrorType::Modify, ErrorType::Wait] {
            let (mut a, _, blocks) = in_flight();
            let error = stanza_error(*condition).with_type(error_type);
            let outcome = a.stream.handle_error(Parts::of(&blocks[3]).id, &error).unwrap();
            let suspends = error_type == ErrorType::Wait && TEMPORARY.contains(condition);
            assert_eq!(outcome == ErrorOutcome::Suspended, suspends, "{condition:?} {error_type:?}");
            assert_eq!(a.stream.is_suspended(), suspends);
        }
    }
}

/// What is kept for sending again is what is in flight, and that is bounded by the window and by the bytes.
#[test]
fn what_is_kept_is_bounded_by_the_window() {
    let config = BytestreamConfig { window: 4, ..BytestreamConfig::default() };
    let (mut a, mut b) = pair(1000, config);
    for _ in 0..1000 {
        a.write(&[7; 1000]);
        for (_, block) in a.poll_all() {
            assert_eq!(b.take(&block), None);
        }
        for (_, result) in b.poll_all() {
            a.take(&result);
        }
        assert!(a.stream.in_flight() <= 4);
        assert!(a.stream.outgoing().capacity() <= 16_000, "{}", a.stream.outgoing().capacity());
    }
}

#[test]
fn an_end_in_order_waits_for_what_is_to_be_sent_again() {
    for role in [BytestreamRole::Opener, BytestreamRole::Negotiated] {
        let (mut a, mut b) = pair(1, BytestreamConfig::default());
        a.stream.agree(role, 1);
        b.stream.agree(role, 1);
        a.write(b"ab");
        a.stream.close();
        for (_, block) in a.poll_all() {
            assert_eq!(bounce(&mut a, &block, TEMPORARY[0]), Some(ErrorOutcome::Suspended));
        }
        assert_eq!((a.stream.state(), a.poll()), (BytestreamState::Closing, None));
        a.stream.resume();
        run(&mut a, &mut b);
        assert_eq!((&*b.received, a.stream.state(), a.stream.unacked()), (&b"ab"[..], BytestreamState::Closed, 0));
    }
}

#[test]
fn the_end_counts_what_came_back_as_lost() {
    for end in [Bytestream::end, Bytestream::abort] {
        let (mut a, _, blocks) = in_flight();
        bounce(&mut a, &blocks[3], TEMPORARY[0]);
        bounce(&mut a, &blocks[2], TEMPORARY[0]);
        end(&mut a.stream);
        assert_eq!((a.stream.unacked(), a.stream.is_suspended(), a.poll()), (10, false, None));
    }
}

/// XEP-0047 § 2.1: the block size is a maximum.
#[test]
fn xep_0047_2_1_blocks_may_be_smaller_than_agreed_and_what_comes_is_not_concerned() {
    let (mut a, mut b) = pair(8, BytestreamConfig::default());
    a.stream.limit_blocks(3);
    a.write(b"0123456789");
    b.write(b"01234567");
    let sent = a.poll_all();
    let sizes: Vec<_> = sent.iter().map(|(sent, _)| *sent).collect();
    let data = |bytes| Sent::Data { bytes };
    assert_eq!(sizes, [data(3), data(3), data(3), data(1)]);
    assert!(sent.iter().all(|(_, stanza)| b.take(stanza).is_none()));
    run(&mut a, &mut b);
    assert_eq!((&*a.received, &*b.received), (&b"01234567"[..], &b"0123456789"[..]));
    // More than was agreed it never is, and at least one byte.
    a.stream.limit_blocks(u16::MAX);
    a.write(b"0123456789");
    assert_eq!(a.poll().unwrap().0, data(8));
    a.stream.limit_blocks(0);
    assert_eq!(a.poll().unwrap().0, data(1));
}

/// What came back as too large goes again in smaller blocks, from its seq on, once all that was sent after it has come back.
#[test]
fn what_came_back_is_cut_anew_where_blocks_have_to_be_smaller() {
    let (mut a, mut b) = pair(4, BytestreamConfig::default());
    a.write(b"0123456789ab");
    let blocks: Vec<_> = a.poll_all().into_iter().map(|(_, stanza)| stanza).collect();
    assert_eq!(blocks.len(), 3);
    assert_eq!(b.take(&blocks[0]), None);
    assert_eq!(a.take(&b.poll().unwrap().1), None);
    assert_eq!(bounce(&mut a, &blocks[1], Condition::PolicyViolation), Some(ErrorOutcome::Suspended));
    a.stream.limit_blocks(2);
    a.stream.resume();
    assert_eq!(a.poll(), None, "one that was sent after it may yet get there");
    assert_eq!(bounce(&mut a, &blocks[2], Condition::PolicyViolation), Some(ErrorOutcome::Suspended));
    assert_eq!(a.poll(), None, "nothing goes while it is suspended");
    a.stream.resume();
    let first = a.poll_all();
    assert_eq!(seqs(&first), [("1", "NDU=")], "one to see whether the way is free");
    assert_eq!((a.stream.in_flight(), a.stream.unacked()), (1, 8));
    assert_eq!(b.take(&first[0].1), None);
    assert_eq!(a.take(&b.poll().unwrap().1), None);
    assert_eq!(ack(&mut a, &blocks[2]), None, "an old block is not waited for any more");
    run(&mut a, &mut b);
    assert_eq!((&*b.received, a.stream.unacked(), a.stream.in_flight()), (&b"0123456789ab"[..], 0, 0));
}
