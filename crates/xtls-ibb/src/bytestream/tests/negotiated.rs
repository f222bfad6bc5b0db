//! Bytestreams without `<open/>` and `<close/>`: XEP-0261 up to its version 0.3, and the examples of the draft.

use super::*;

fn negotiated() -> (End, End) {
    let end = || {
        let mut end = End::new(BytestreamRole::Negotiated, 8, BytestreamConfig::default());
        assert_eq!(end.stream.state(), BytestreamState::Idle);
        end.stream.open();
        assert_eq!((end.stream.state(), end.poll()), (BytestreamState::Open, None), "nothing is said");
        end
    };
    let (a, mut b) = (end(), end());
    // Ids of their own: the ends of this kind have the same seed.
    b.ids = Ids::new([9; 32]);
    (a, b)
}

#[test]
fn wire_2_03_data_goes_both_ways_from_seq_0_without_an_open() {
    let (mut a, mut b) = negotiated();
    a.write(b"first block");
    b.write(b"other way");
    let (_, stanza) = a.poll().unwrap();
    assert_eq!(Parts::of(&stanza).value("seq"), "0");
    assert_eq!(b.take(&stanza), None);
    run(&mut a, &mut b);
    assert_eq!((&*b.received, &*a.received), (&b"first block"[..], &b"other way"[..]));
}

#[test]
fn wire_2_03_data_before_the_session_is_accepted_is_not_found() {
    let mut end = End::new(BytestreamRole::Negotiated, 8, BytestreamConfig::default());
    assert_eq!(end.data("early", 0, "QQ=="), Err(BytestreamFault::NotOpen));
    end.stream.open();
    assert_eq!(end.data("now", 0, "QQ=="), Ok(Handled::Data { bytes: 1 }));
}

#[test]
fn wire_2_03_the_end_says_nothing_and_waits_for_what_was_sent() {
    let (mut a, mut b) = negotiated();
    a.write(b"last words");
    a.stream.close();
    assert_eq!((a.stream.state(), a.stream.writable()), (BytestreamState::Closing, 0));
    for (sent, stanza) in a.poll_all() {
        assert!(matches!(sent, Sent::Data { .. }));
        assert_eq!(b.take(&stanza), None);
    }
    assert_eq!(a.stream.state(), BytestreamState::Closing);
    for (_, stanza) in b.poll_all() {
        a.take(&stanza);
    }
    assert_eq!((a.stream.state(), a.poll(), a.stream.unacked()), (BytestreamState::Closed, None, 0));
    // With nothing to wait for it is over at once.
    b.stream.close();
    assert_eq!((b.stream.state(), b.poll()), (BytestreamState::Closed, None));
}

#[test]
fn wire_2_09_an_open_that_comes_all_the_same_is_acknowledged_once() {
    for before in [true, false] {
        let config = BytestreamConfig { block_size_min: 4, ..BytestreamConfig::default() };
        let mut end = End::new(BytestreamRole::Negotiated, 8, config);
        if before {
            assert_eq!(end.request("o", &Request::Open { sid: SID, block_size: 8 }), Ok(Handled::Opened));
            end.stream.open();
        } else {
            end.stream.open();
            assert_eq!(end.data("d", 0, "QQ=="), Ok(Handled::Data { bytes: 1 }));
            let larger = end.request("x", &Request::Open { sid: SID, block_size: 9 });
            assert_eq!(larger, Err(BytestreamFault::BlockSizeAboveAgreed { asked: 9, agreed: 8 }));
            assert_eq!(end.request("o", &Request::Open { sid: SID, block_size: 4 }), Ok(Handled::Opened));
            assert_eq!(end.stream.block_size(), 4);
        }
        assert_eq!(end.stream.state(), BytestreamState::Open);
        assert_eq!(end.request("o2", &Request::Open { sid: SID, block_size: 4 }), Err(BytestreamFault::AlreadyOpen));
        assert!(end.poll_all().iter().any(|(_, stanza)| Parts::of(stanza).id == "o"));
    }
}

#[test]
fn wire_2_03_a_close_that_comes_all_the_same_is_acknowledged() {
    let (mut a, _) = negotiated();
    assert_eq!(a.request("bye", &Request::Close { sid: SID }), Ok(Handled::Closed));
    assert_eq!(a.poll().map(|(sent, _)| sent), Some(Sent::Result));
    assert_eq!((a.poll(), a.stream.state()), (None, BytestreamState::Closed));
}

#[test]
fn wire_2_03_a_fault_or_an_error_ends_it_without_a_close() {
    let (mut a, mut b) = negotiated();
    assert!(a.data("gap", 7, "QQ==").unwrap_err().ends_bytestream());
    assert_eq!((a.stream.state(), a.poll()), (BytestreamState::Closed, None));
    b.write(b"to be refused");
    let (_, stanza) = b.poll().unwrap();
    let outcome = b.stream.handle_error(Parts::of(&stanza).id, &stanza_error(Condition::ItemNotFound));
    assert_eq!(outcome, Some(ErrorOutcome::Ended { temporary: false }));
    assert_eq!((b.stream.state(), b.poll(), b.stream.unacked()), (BytestreamState::Closed, None, 13));
}

/// The answer has the last word on how the bytestream begins and ends, also where an `<open/>` came before it.
#[test]
fn wire_2_03_the_version_of_the_answer_counts_after_an_early_open_too() {
    for (offered, accepted) in
        [(BytestreamRole::Opener, BytestreamRole::Negotiated), (BytestreamRole::Negotiated, BytestreamRole::Opener)]
    {
        let mut end = End::new(offered, 4096, BytestreamConfig::default());
        assert_eq!(end.request("o", &Request::Open { sid: SID, block_size: 4096 }), Ok(Handled::Opened));
        end.stream.agree(accepted, 1024);
        end.stream.open();
        assert_eq!((end.stream.state(), end.stream.block_size()), (BytestreamState::Open, 1024));
        assert_eq!(end.poll_all().len(), 1, "the result and no open of ours");
        end.stream.close();
        let closed =
            if accepted == BytestreamRole::Negotiated { BytestreamState::Closed } else { BytestreamState::Closing };
        assert_eq!(end.stream.state(), closed);
    }
}
