//! Two ends that exchange bytes: nothing is lost, doubled or reordered, and the windows are kept.

use proptest::prelude::*;

use super::*;

#[test]
fn p06_the_seq_wraps_over_200_000_blocks() {
    let (mut a, mut b) = pair(3, BytestreamConfig::default());
    let mut expected = 0_u64;
    let mut wraps = 0;
    for round in 0..4000_u64 {
        for block in 0..50 {
            a.write(&(round * 50 + block).to_be_bytes()[5..]);
        }
        loop {
            let mut moved = false;
            while let Some((_, stanza)) = a.poll() {
                moved = true;
                wraps += u32::from(stanza.contains(" seq='65535' "));
                assert_eq!(b.take(&stanza), None);
                assert_eq!(b.received.split_off(0), expected.to_be_bytes()[5..]);
                expected += 1;
            }
            while let Some((_, stanza)) = b.poll() {
                a.take(&stanza);
            }
            if !moved {
                break;
            }
        }
    }
    assert_eq!((expected, wraps, a.stream.unacked()), (200_000, 3, 0));
}

#[test]
fn the_window_is_what_it_was_set_to_last_and_0_holds_all_data_back() {
    let (mut a, mut b) = pair(1, BytestreamConfig::default());
    a.write(&[0; 100]);
    let mut blocks = a.poll_all();
    assert_eq!((blocks.len(), a.stream.window(), a.stream.last_sent()), (4, 4, a.stream.unanswered().last()));
    a.stream.set_window(6);
    blocks.extend(a.poll_all());
    assert_eq!(blocks.len(), 6);
    a.stream.set_window(0);
    for (_, stanza) in blocks {
        assert_eq!(b.take(&stanza), None);
    }
    for (_, stanza) in b.poll_all() {
        a.take(&stanza);
    }
    assert_eq!((a.poll(), a.stream.in_flight(), a.stream.waits_for_window()), (None, 0, true));
    // What is owed to the peer goes all the same.
    b.write(b"x");
    let (_, block) = b.poll().unwrap();
    assert_eq!(a.take(&block), None);
    assert_eq!(a.poll().unwrap().0, Sent::Result);
    a.stream.set_window(1);
    run(&mut a, &mut b);
    assert_eq!((b.received.len(), a.stream.waits_for_window()), (100, false));
}

#[test]
fn sizes_of_0_count_as_1() {
    let config = BytestreamConfig { window: 0, ..BytestreamConfig::default() };
    let stream = Bytestream::new(BytestreamRole::Opener, SID, 0, config);
    assert_eq!((stream.window(), stream.block_size()), (1, 1));
}

#[test]
fn bytes_in_flight_are_bounded_and_one_block_always_goes() {
    let config = BytestreamConfig { max_unacked_bytes: 10, ..fixed(100) };
    let (mut a, _) = pair(4, config);
    a.write(&[0; 40]);
    assert_eq!(a.poll_all().len(), 2);
    let (mut a, _) = pair(5, config);
    a.write(&[0; 40]);
    assert_eq!(a.poll_all().len(), 2);
    let (mut a, _) = pair(11, config);
    a.write(&[0; 40]);
    assert_eq!(a.poll_all().len(), 1);
}

#[test]
fn writable_is_the_room_that_is_left() {
    let config = BytestreamConfig { outgoing_bytes: 10, ..fixed(1) };
    let (mut a, mut b) = pair(4, config);
    assert_eq!(a.stream.writable(), 10);
    a.write(&[0; 7]);
    assert_eq!((a.stream.writable(), a.stream.queued()), (3, 7));
    let (_, block) = a.poll().unwrap();
    assert_eq!((a.stream.writable(), a.stream.queued(), a.stream.unacked()), (7, 3, 7));
    a.write(&[0; 9]);
    assert_eq!((a.stream.writable(), a.stream.queued()), (0, 12));
    assert_eq!(b.take(&block), None);
    run(&mut a, &mut b);
    assert_eq!((a.stream.writable(), a.stream.unacked(), b.received.len()), (10, 0, 16));
}

#[test]
fn results_may_come_in_any_order() {
    let (mut a, _) = pair(1, fixed(8));
    a.write(b"01234567");
    let blocks = a.poll_all();
    for (left, at) in [3, 7, 0, 5, 1, 6, 2, 4].into_iter().rev().enumerate().rev() {
        assert_eq!(a.stream.handle_result(Parts::of(&blocks[at].1).id), Some(Acked::Data { bytes: 1 }));
        assert_eq!((a.stream.in_flight(), a.stream.unacked()), (left, sender::wide(left)));
    }
}

fn fixed(window: u16) -> BytestreamConfig {
    BytestreamConfig { window, ..BytestreamConfig::default() }
}

/// What one end does in a random run.
#[derive(Debug, Clone)]
enum Step {
    Write(bool, Vec<u8>),
    Move(bool, usize),
    Read(bool),
    Cut(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)).prop_map(|(who, text)| Step::Write(who, text)),
        6 => (any::<bool>(), 1..20_usize).prop_map(|(who, count)| Step::Move(who, count)),
        2 => any::<bool>().prop_map(Step::Read),
        1 => (0..200_usize).prop_map(Step::Cut),
    ]
}

proptest! {
    #[test]
    fn bytes_arrive_intact_whatever_the_sizes(
        sizes in (1..200_u16, 1..200_u16),
        window in 0..6_u16,
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let config = BytestreamConfig { window, block_size_min: 1, ..BytestreamConfig::default() };
        let mut ends =
            [End::new(BytestreamRole::Opener, sizes.0.min(sizes.1), config), End::new(BytestreamRole::Acceptor, sizes.1, config)];
        let mut texts = [Vec::new(), Vec::new()];
        let mut at_cut = 1;
        ends[0].stream.open();
        for end in &mut ends {
            end.reads = false;
        }
        for step in steps {
            match step {
                Step::Write(who, text) => {
                    let who = usize::from(who);
                    ends[who].write(&text);
                    texts[who].extend(text);
                }
                Step::Move(who, count) => {
                    for _ in 0..count {
                        let mut out = String::new();
                        let from = &mut ends[usize::from(who)];
                        let cut = &mut |_: &[u8], _| at_cut;
                        if from.stream.poll(&mut from.ids, &Envelope::new(JULIET, None), cut, &mut out).is_none() {
                            break;
                        }
                        prop_assert!(from.stream.in_flight() <= usize::from(from.stream.window()));
                        // Read by a real parser here.
                        prop_assert!(Iq::parse(&parse(&out)).is_some_and(|iq| iq.is_ok()));
                        prop_assert_eq!(ends[usize::from(!who)].take(&out), None);
                    }
                }
                Step::Read(who) => ends[usize::from(who)].stream.release_acks(u64::MAX),
                Step::Cut(at) => at_cut = at,
            }
        }
        let [mut a, mut b] = ends;
        a.reads = true;
        b.reads = true;
        a.stream.release_acks(u64::MAX);
        b.stream.release_acks(u64::MAX);
        run(&mut a, &mut b);
        prop_assert_eq!(&b.received, &texts[0]);
        prop_assert_eq!(&a.received, &texts[1]);
        prop_assert_eq!((a.stream.unacked(), b.stream.unacked()), (0, 0));
        prop_assert!(b.stream.block_size() <= sizes.0.min(sizes.1));
        a.stream.close();
        run(&mut a, &mut b);
        prop_assert_eq!((a.stream.state(), b.stream.state()), (BytestreamState::Closed, BytestreamState::Closed));
    }
}

proptest! {
    /// A way on which, again and again, everything comes back from some block on: all arrives, in order and once.
    #[test]
    fn bytes_arrive_intact_whatever_comes_back(
        window in 1..6_u16,
        role in prop::sample::select(&[BytestreamRole::Opener, BytestreamRole::Negotiated]),
        passes in prop::collection::vec(0..6_usize, 1..40),
        backwards in any::<bool>(),
    ) {
        let (mut a, mut b) = pair(4, BytestreamConfig { window, ..BytestreamConfig::default() });
        a.stream.agree(role, 4);
        b.stream.agree(role, 4);
        let text = sample(600);
        a.write(&text);
        for pass in passes {
            let mut blocks = a.poll_all();
            let mut back = blocks.split_off(pass.min(blocks.len()));
            for (_, stanza) in blocks {
                prop_assert_eq!(b.take(&stanza), None);
            }
            for (_, result) in b.poll_all() {
                a.take(&result);
            }
            if backwards {
                back.reverse();
            }
            for (_, stanza) in back {
                let error = stanza_error(Condition::RemoteServerTimeout);
                let outcome = a.stream.handle_error(Parts::of(&stanza).id, &error);
                prop_assert_eq!(outcome, Some(ErrorOutcome::Suspended));
            }
            a.stream.resume();
        }
        a.stream.close();
        run(&mut a, &mut b);
        prop_assert_eq!(&b.received, &text);
        prop_assert_eq!((a.stream.state(), a.stream.unacked()), (BytestreamState::Closed, 0));
    }
}

/// What a hostile world and a careless caller can do to one end.
#[derive(Debug, Clone)]
enum Operation {
    Open(u16),
    Data(u16, bool, String),
    NextData(String),
    Close,
    Malformed(bool),
    Answer(usize, Option<Condition>),
    Resume,
    Poll,
    Write(usize),
    Command(u8),
    Release(u64),
}

/// Mostly a result; else an error, for good or for now.
fn answer() -> impl Strategy<Value = Option<Condition>> {
    prop_oneof![
        8 => Just(None),
        1 => Just(Some(Condition::ItemNotFound)),
        3 => Just(Some(Condition::RecipientUnavailable)),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let base64 = || prop_oneof![4 => Just("QUJD".to_owned()), 1 => "[A-Z=]{0,8}", 1 => Just(String::new())];
    prop_oneof![
        2 => prop_oneof![Just(8), any::<u16>()].prop_map(Operation::Open),
        1 => (any::<u16>(), any::<bool>(), base64()).prop_map(|(seq, mine, text)| Operation::Data(seq, mine, text)),
        8 => base64().prop_map(Operation::NextData),
        1 => Just(Operation::Close),
        1 => any::<bool>().prop_map(Operation::Malformed),
        6 => (0..8_usize, answer()).prop_map(|(which, error)| Operation::Answer(which, error)),
        2 => Just(Operation::Resume),
        12 => Just(Operation::Poll),
        6 => (0..40_usize).prop_map(Operation::Write),
        2 => (0..12_u8).prop_map(Operation::Command),
        4 => (0..64_u64).prop_map(Operation::Release),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nothing_that_comes_breaks_an_end(
        role in prop::sample::select(&[BytestreamRole::Opener, BytestreamRole::Acceptor, BytestreamRole::Negotiated]),
        operations in prop::collection::vec(operation(), 0..120),
    ) {
        let mut end = End::new(role, 8, BytestreamConfig::default());
        let (mut seq, mut written, mut acked, mut wire) = (0_u16, 0_u64, 0_u64, Vec::new());
        for operation in operations {
            let (before, had) = (end.stream.state(), end.received.len());
            let outcome = match operation {
                Operation::Open(block_size) => Some(end.request("o", &Request::Open { sid: SID, block_size })),
                Operation::Data(seq, mine, text) => {
                    let sid = if mine { SID } else { "other" };
                    Some(end.request("d", &Request::Data { sid, seq, payload: text.as_str().into() }))
                }
                Operation::NextData(text) => Some(end.data("n", seq, &text)),
                Operation::Close => Some(end.request("c", &Request::Close { sid: SID })),
                Operation::Malformed(data) => {
                    let fault = if data { BytestreamFault::Seq } else { BytestreamFault::BlockSize };
                    Some(end.request("m", &Request::Malformed { sid: SID, fault }))
                }
                Operation::Answer(which, error) if which < wire.len() => {
                    let id: String = wire.remove(which);
                    if let Some(condition) = error {
                        let _ = end.stream.handle_error(&id, &stanza_error(condition));
                    } else if let Some(Acked::Data { bytes } | Acked::Gap { bytes }) = end.stream.handle_result(&id) {
                        acked += sender::wide(bytes);
                    }
                    None
                }
                Operation::Resume => { end.stream.resume(); None }
                Operation::Answer(..) => None,
                Operation::Poll => {
                    if let Some((sent, stanza)) = end.poll() && sent != Sent::Result {
                        wire.push(Parts::of(&stanza).id.to_owned());
                    }
                    None
                }
                Operation::Write(count) => {
                    end.write(&vec![1; count]);
                    written += sender::wide(count);
                    None
                }
                Operation::Command(0) => { end.stream.abort(); None }
                Operation::Command(1..3) => { end.stream.close(); None }
                Operation::Command(_) => { end.stream.open(); None }
                Operation::Release(position) => { end.stream.release_acks(position); None }
            };
            match outcome {
                Some(Ok(Handled::Data { bytes })) => {
                    seq = seq.wrapping_add(1);
                    end.stream.mark_ack(u64::from(seq));
                    prop_assert!(bytes <= 8);
                    prop_assert_eq!(end.received.len(), had + bytes);
                }
                // Nothing but processed data reaches the application.
                _ => prop_assert_eq!(end.received.len(), had),
            }
            let state = end.stream.state();
            prop_assert!(before != BytestreamState::Closed || state == BytestreamState::Closed);
            prop_assert!(before != BytestreamState::Closing || state >= BytestreamState::Closing);
            prop_assert!(end.stream.withheld_acks() <= 32);
            prop_assert!(end.stream.in_flight() <= 32);
            prop_assert!(end.stream.unanswered().count() <= 33);
            prop_assert!(end.stream.block_size() <= 8);
            // Every byte written is acknowledged or not.
            prop_assert_eq!(end.stream.unacked(), written - acked);
            prop_assert!(matches!(state, BytestreamState::Closing | BytestreamState::Closed) || end.stream.writable() > 0);
        }
    }
}
