//! Every state against every request and every answer.

use super::*;

/// The states that behave differently, finer than [`BytestreamState`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Situation {
    Idle,
    AwaitingOpen,
    OpenQueued,
    OpenSent,
    OpenSentThenClose,
    OpenAsOpener,
    OpenAsAcceptor,
    /// Our close waits for an acknowledgement.
    CloseWaiting,
    CloseSent,
    FaultBeforeClose,
    FaultAfterClose,
    Closed,
    Aborted,
}

use Situation::*;

const SITUATIONS: [Situation; 13] = [
    Idle,
    AwaitingOpen,
    OpenQueued,
    OpenSent,
    OpenSentThenClose,
    OpenAsOpener,
    OpenAsAcceptor,
    CloseWaiting,
    CloseSent,
    FaultBeforeClose,
    FaultAfterClose,
    Closed,
    Aborted,
];

/// An end in that situation; where it is or was open, it has processed one block of the peer.
fn end_in(situation: Situation) -> End {
    let opener = || End::new(BytestreamRole::Opener, 8, BytestreamConfig::default());
    let open = || {
        let (mut end, mut peer) = pair(8, BytestreamConfig::default());
        peer.write(b"1");
        run(&mut end, &mut peer);
        end
    };
    let faulty = || {
        let mut end = open();
        assert!(end.data("gap", 7, "QQ==").unwrap_err().ends_bytestream());
        end
    };
    let mut end = match situation {
        Idle | OpenQueued | OpenSent | OpenSentThenClose => opener(),
        AwaitingOpen => End::new(BytestreamRole::Acceptor, 8, BytestreamConfig::default()),
        OpenAsOpener | CloseWaiting | CloseSent | Closed | Aborted => open(),
        OpenAsAcceptor => {
            let (mut peer, mut end) = pair(8, BytestreamConfig::default());
            peer.write(b"1");
            run(&mut peer, &mut end);
            end
        }
        FaultBeforeClose | FaultAfterClose => faulty(),
    };
    match situation {
        OpenQueued => end.stream.open(),
        OpenSent | OpenSentThenClose => {
            end.stream.open();
            assert_eq!(end.poll().unwrap().0, Sent::Open);
            if situation == OpenSentThenClose {
                end.stream.close();
            }
        }
        CloseWaiting => {
            end.write(b"unacknowledged");
            end.stream.close();
            while let Some((sent, _)) = end.poll() {
                assert!(matches!(sent, Sent::Data { .. }));
            }
        }
        CloseSent => {
            end.stream.close();
            assert_eq!(end.poll().unwrap().0, Sent::Close);
        }
        FaultAfterClose => assert_eq!(end.poll_all().last().unwrap().0, Sent::Close),
        Closed => {
            assert_eq!(end.request("bye", &Request::Close { sid: SID }), Ok(Handled::Closed));
            end.poll_all();
        }
        Aborted => end.stream.abort(),
        Idle | AwaitingOpen | OpenAsOpener | OpenAsAcceptor | FaultBeforeClose => {}
    }
    end
}

fn state_of(situation: Situation) -> BytestreamState {
    match situation {
        Idle => BytestreamState::Idle,
        AwaitingOpen => BytestreamState::AwaitingOpen,
        OpenQueued | OpenSent => BytestreamState::Opening,
        OpenAsOpener | OpenAsAcceptor => BytestreamState::Open,
        OpenSentThenClose | CloseWaiting | CloseSent | FaultBeforeClose | FaultAfterClose => BytestreamState::Closing,
        Closed | Aborted => BytestreamState::Closed,
    }
}

type Cell = (Result<Handled, BytestreamFault>, BytestreamState);

const OPENED: Cell = (Ok(Handled::Opened), BytestreamState::Open);
const CLOSED: Cell = (Ok(Handled::Closed), BytestreamState::Closed);
const DATA: Result<Handled, BytestreamFault> = Ok(Handled::Data { bytes: 1 });
const TOO_LARGE: BytestreamFault = BytestreamFault::BlockTooLarge { bytes: 9, block_size: 8 };
const USED: BytestreamFault = BytestreamFault::SeqUsed { seq: 0, expected: 1 };
const AHEAD: BytestreamFault = BytestreamFault::SeqAhead { seq: 2, expected: 1 };
const BELOW: BytestreamFault = BytestreamFault::BlockSizeTooSmall { asked: 7, least: 8 };
const ABOVE: BytestreamFault = BytestreamFault::BlockSizeAboveAgreed { asked: 9, agreed: 8 };

/// The requests, in the order of the columns below.
fn requests() -> [(&'static str, Request<'static>); 13] {
    let data = |seq, text: &'static str| Request::Data { sid: SID, seq, payload: text.into() };
    let malformed = |fault| Request::Malformed { sid: SID, fault };
    [
        ("open", Request::Open { sid: SID, block_size: 8 }),
        ("open too small", Request::Open { sid: SID, block_size: 7 }),
        ("open larger", Request::Open { sid: SID, block_size: 9 }),
        ("open without size", malformed(BytestreamFault::BlockSize)),
        ("open for messages", malformed(BytestreamFault::MessageStanzas)),
        ("next block", data(1, "QQ==")),
        ("used seq", data(0, "QQ==")),
        ("seq ahead", data(2, "QQ==")),
        ("no seq", malformed(BytestreamFault::Seq)),
        ("no base64", data(1, "Q===")),
        ("too large", data(1, "QUFBQUFBQUFB")),
        ("close", Request::Close { sid: SID }),
        ("another sid", Request::Close { sid: "another" }),
    ]
}

fn expected(situation: Situation) -> [Cell; 13] {
    let state = state_of(situation);
    let refused = |fault| (Err(fault), state);
    let ended = |fault| (Err(fault), BytestreamState::Closing);
    let [below, above] = [refused(BELOW), refused(ABOVE)];
    let [size, messages] = [refused(BytestreamFault::BlockSize), refused(BytestreamFault::MessageStanzas)];
    let other = refused(BytestreamFault::UnknownSid);
    match situation {
        Idle | AwaitingOpen | OpenQueued | OpenSent => {
            let early = refused(BytestreamFault::NotOpen);
            [OPENED, below, above, size, messages, early, early, early, early, early, early, CLOSED, other]
        }
        OpenSentThenClose => {
            let early = refused(BytestreamFault::NotOpen);
            let opened = (Ok(Handled::Opened), BytestreamState::Closing);
            [opened, below, above, size, messages, early, early, early, early, early, early, CLOSED, other]
        }
        OpenAsOpener | OpenAsAcceptor | CloseWaiting | CloseSent => {
            let again = refused(BytestreamFault::AlreadyOpen);
            let [used, ahead, no_seq] = [ended(USED), ended(AHEAD), ended(BytestreamFault::Seq)];
            let [no_base64, large] = [ended(BytestreamFault::NotBase64), ended(TOO_LARGE)];
            let next = (DATA, state);
            [again, again, again, size, messages, next, used, ahead, no_seq, no_base64, large, CLOSED, other]
        }
        FaultBeforeClose | FaultAfterClose => {
            let again = refused(BytestreamFault::AlreadyOpen);
            let late = refused(BytestreamFault::Closed);
            [again, again, again, size, messages, late, late, late, late, late, late, CLOSED, other]
        }
        Closed | Aborted => {
            let late = refused(BytestreamFault::Closed);
            [late, late, late, late, late, late, late, late, late, late, late, late, other]
        }
    }
}

#[test]
fn p08_every_request_in_every_state() {
    for situation in SITUATIONS {
        for ((name, request), (outcome, state)) in requests().iter().zip(expected(situation)) {
            let mut end = end_in(situation);
            assert_eq!(end.stream.state(), state_of(situation), "{situation:?}");
            let received = end.received.clone();
            assert_eq!(end.request("an-id", request), outcome, "{situation:?} × {name}");
            assert_eq!(end.stream.state(), state, "{situation:?} × {name}");
            let appended = usize::from(outcome == DATA);
            assert_eq!(end.received.len(), received.len() + appended, "{situation:?} × {name}");
            // What is acknowledged is answered under its id, opens and closes at once.
            end.stream.release_acks(u64::MAX);
            let results = end.poll_all().iter().filter(|(sent, _)| *sent == Sent::Result).count();
            assert_eq!(results, usize::from(outcome.is_ok()), "{situation:?} × {name}");
        }
    }
}

#[test]
fn p08_after_a_fault_the_close_goes_out_exactly_once() {
    for situation in [OpenAsOpener, OpenAsAcceptor, CloseWaiting, CloseSent] {
        let mut end = end_in(situation);
        let already_sent = usize::from(situation == CloseSent);
        assert_eq!(end.data("x", 2, "QQ=="), Err(AHEAD));
        assert_eq!(end.data("y", 1, "QQ=="), Err(BytestreamFault::Closed));
        let sent = end.poll_all();
        let closes = sent.iter().filter(|(sent, _)| *sent == Sent::Close).count();
        assert_eq!(closes + already_sent, 1, "{situation:?}");
        assert_eq!(sent.len(), closes);
    }
}

/// Open, data and close answered with a result and with an error, in the situations where such an answer is due.
#[test]
fn every_answer_in_every_state() {
    let error = stanza_error(Condition::NotAcceptable);
    for situation in SITUATIONS {
        let fresh = end_in(situation);
        let waits = [
            ("open", answer_id(&fresh, Sent::Open)),
            ("data", answer_id(&fresh, Sent::Data { bytes: 0 })),
            ("close", answer_id(&fresh, Sent::Close)),
        ];
        let names: Vec<&str> = waits.iter().filter(|(_, id)| id.is_some()).map(|(name, _)| *name).collect();
        let due: &[&str] = match situation {
            OpenSent | OpenSentThenClose => &["open"],
            CloseWaiting => &["data"],
            CloseSent | FaultAfterClose => &["close"],
            Idle | AwaitingOpen | OpenQueued | OpenAsOpener | OpenAsAcceptor | FaultBeforeClose | Closed | Aborted => {
                &[]
            }
        };
        assert_eq!(names, due, "{situation:?}");
        for (name, id) in waits {
            let Some(id) = id else { continue };
            let (acked, refused, after_result, after_error) = match name {
                "open" => {
                    let after = if situation == OpenSent { BytestreamState::Open } else { BytestreamState::Closing };
                    (Acked::Open, ErrorOutcome::OpenRefused, after, BytestreamState::Closed)
                }
                "data" => (
                    Acked::Data { bytes: 8 },
                    ErrorOutcome::Ended { temporary: false },
                    BytestreamState::Closing,
                    BytestreamState::Closing,
                ),
                _ => (Acked::Close, ErrorOutcome::Closed, BytestreamState::Closed, BytestreamState::Closed),
            };
            let mut end = end_in(situation);
            assert_eq!(end.stream.handle_result(&id), Some(acked), "{situation:?}");
            assert_eq!(end.stream.state(), after_result, "{situation:?}");
            let mut end = end_in(situation);
            assert_eq!(end.stream.handle_error(&id, &error), Some(refused), "{situation:?}");
            assert_eq!(end.stream.state(), after_error, "{situation:?}");
            // An answer counts once.
            assert_eq!(end.stream.handle_result(&id), None);
            assert_eq!(end.stream.handle_error(&id, &error), None);
        }
        // An id that is not ours is not ours in any state.
        let mut end = end_in(situation);
        assert_eq!(end.stream.handle_result("a-stranger's"), None);
        assert_eq!(end.stream.handle_error("a-stranger's", &error), None);
        assert_eq!(end.stream.state(), state_of(situation));
    }
}

/// The id under which an answer is due. The same situation has the same ids each time it is built.
fn answer_id(end: &End, kind: Sent) -> Option<String> {
    let stream = &end.stream;
    match (kind, stream.phase, stream.close) {
        (Sent::Open, Phase::OpenSent(id), _) | (Sent::Close, _, Close::Sent { id, .. }) => Some(id.to_string()),
        (Sent::Data { .. }, ..) => stream.sender.unanswered().next().map(|id| id.to_string()),
        _ => None,
    }
}

#[test]
fn commands_in_every_state() {
    for situation in SITUATIONS {
        let mut end = end_in(situation);
        end.stream.open();
        let opened = if situation == Idle { BytestreamState::Opening } else { state_of(situation) };
        assert_eq!(end.stream.state(), opened, "open in {situation:?}");

        let mut end = end_in(situation);
        end.stream.close();
        let closed = match situation {
            Idle | AwaitingOpen | OpenQueued | Closed | Aborted => BytestreamState::Closed,
            OpenSent | OpenSentThenClose | OpenAsOpener | OpenAsAcceptor | CloseWaiting | CloseSent
            | FaultBeforeClose | FaultAfterClose => BytestreamState::Closing,
        };
        assert_eq!(end.stream.state(), closed, "close in {situation:?}");
        assert_eq!(end.stream.writable(), 0, "{situation:?}");

        let mut end = end_in(situation);
        end.write(b"lost");
        let unacked = end.stream.unacked();
        end.stream.abort();
        assert_eq!(end.stream.state(), BytestreamState::Closed, "abort in {situation:?}");
        assert_eq!(end.poll(), None, "abort in {situation:?}");
        assert_eq!(end.stream.unacked(), unacked, "abort in {situation:?}");
        assert_eq!((end.stream.in_flight(), end.stream.queued()), (0, 0));
    }
}

#[test]
fn a_close_before_the_open_is_answered_follows_it() {
    let mut end = End::new(BytestreamRole::Opener, 8, BytestreamConfig::default());
    let mut peer = End::new(BytestreamRole::Acceptor, 8, BytestreamConfig::default());
    end.stream.open();
    let (_, open) = end.poll().unwrap();
    end.write(b"last words");
    end.stream.close();
    assert_eq!(end.poll(), None);
    assert_eq!(peer.take(&open), None);
    run(&mut peer, &mut end);
    assert_eq!(peer.received, b"last words");
    assert_eq!((end.stream.state(), peer.stream.state()), (BytestreamState::Closed, BytestreamState::Closed));
    assert_eq!(end.stream.unacked(), 0);
}

#[test]
fn an_open_that_crosses_ours_opens_and_the_smaller_block_size_counts() {
    let mut end = End::new(BytestreamRole::Opener, 4096, BytestreamConfig::default());
    end.stream.open();
    let (_, ours) = end.poll().unwrap();
    assert_eq!(end.request("theirs", &Request::Open { sid: SID, block_size: 1024 }), Ok(Handled::Opened));
    assert_eq!((end.stream.state(), end.stream.block_size()), (BytestreamState::Open, 1024));
    // The answer to ours says nothing new, whatever it is.
    assert_eq!(end.stream.handle_error(Parts::of(&ours).id, &stanza_error(Condition::NotAcceptable)), None);
    assert_eq!(end.stream.state(), BytestreamState::Open);
}

#[test]
fn closes_that_cross_close_both_ends() {
    let (mut a, mut b) = pair(8, BytestreamConfig::default());
    a.stream.close();
    b.stream.close();
    let (from_a, from_b) = (a.poll().unwrap().1, b.poll().unwrap().1);
    assert_eq!(a.take(&from_b), None);
    assert_eq!(b.take(&from_a), None);
    run(&mut a, &mut b);
    assert_eq!((a.stream.state(), b.stream.state()), (BytestreamState::Closed, BytestreamState::Closed));
}

#[test]
fn what_is_written_after_the_end_is_dropped_and_counted() {
    for situation in [CloseSent, FaultBeforeClose, FaultAfterClose, Closed, Aborted] {
        let mut end = end_in(situation);
        let unacked = end.stream.unacked();
        end.poll_all();
        for _ in 0..100 {
            end.write(&[0; 100]);
            assert_eq!(end.stream.queued(), 100, "{situation:?}");
        }
        assert_eq!((end.poll(), end.stream.unacked()), (None, unacked + 10_000), "{situation:?}");
    }
    let mut end = end_in(OpenAsOpener);
    end.write(b"dropped by the fault");
    end.data("gap", 7, "QQ==").unwrap_err();
    assert_eq!((end.stream.queued(), end.stream.unacked()), (0, 20));
}
