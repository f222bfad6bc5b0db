//! Records as they come and go: splitting, joining, sizes.

use proptest::prelude::*;

use super::*;
use crate::record::ContentType;
use crate::{DecodeError, MAX_EMPTY_RECORDS, MAX_RECORDS, PeerMisbehaved, WriteError};

const DATA: ContentType = ContentType::ApplicationData;

/// All that a session heard and said while its input came in these pieces.
fn in_pieces<T: End>(session: &mut T, input: &[u8], splits: &[usize]) -> Output {
    let mut all = Output { result: Ok(()), plaintext: Vec::new(), records: Vec::new() };
    let mut from = 0;
    for to in splits.iter().copied().chain([input.len()]) {
        let output = session.take(&input[from..to.max(from)]);
        from = to.max(from);
        all.plaintext.extend(output.plaintext);
        all.records.extend(output.records);
        all.result = output.result;
    }
    all
}

/// What a server gets in a whole session: handshake, data, close; or `broken`, which dies on the way.
fn recorded(broken: bool) -> Vec<u8> {
    let (mut client, mut server) = (client(4), server(4));
    let mut all = client.take(&[]).quiet();
    let flight = server.take(&all).quiet();
    let flight = client.take(&flight).quiet();
    all.extend(&flight);
    let last = server.take(&flight).quiet();
    let _ = client.take(&last).quiet();
    for text in [&b"one"[..], b"", &[b'x'; 100], b"three"] {
        let data = sealed!(client, DATA, text);
        all.extend(data);
    }
    if broken {
        let mut data = sealed!(client, DATA, b"never delivered");
        data[30] ^= 1;
        all.extend(data);
    }
    client.close(&mut all);
    all.extend(b"and anything after it");
    all
}

#[test]
fn every_split_in_two_gives_the_same_output() {
    for broken in [false, true] {
        let input = recorded(broken);
        let whole = server(4).take(&input);
        assert_eq!(whole.plaintext, [b"one", &[b'x'; 100][..], b"three"].concat());
        let died = Err(PeerMisbehaved::BadRecordMac.into());
        assert_eq!(whole.result, if broken { died } else { Ok(()) });
        for split in 0..=input.len() {
            assert_eq!(in_pieces(&mut server(4), &input, &[split]), whole);
        }
        let each: Vec<usize> = (0..input.len()).collect();
        assert_eq!(in_pieces(&mut server(4), &input, &each), whole);
    }
}

/// One of the calls that a caller can make; most of them the honest one, so that sessions get somewhere.
macro_rules! any_call {
    ($call:expr, $session:ident, $incoming:ident, $heard:ident, $outgoing:ident) => {
        match $call {
            0 => $session.close(&mut $outgoing),
            1 => {
                let _ = $session.read(&[99; 5], &mut $heard, &mut $outgoing);
            }
            2 => $session.set_max_record(100),
            3 => {
                let _ = $session.export_keying_material(&mut [0; 8], b"EXPORTER-x", None);
                let _ = $session.end_of_input();
            }
            4 => {
                let _ = $session.write(b"word", &mut $outgoing);
            }
            _ => {
                let incoming = std::mem::take(&mut $incoming);
                let _ = $session.read(&incoming, &mut $heard, &mut $outgoing);
            }
        }
    };
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done to the bytes, how they are split makes no difference, and nothing panics.
    #[test]
    fn any_split_of_any_input_gives_the_same_output(
        mut splits in proptest::collection::vec(0..2000_usize, 0..20),
        changes in proptest::collection::vec((0..2000_usize, any::<u8>()), 0..3),
        cut in 0..2000_usize,
        broken in any::<bool>(),
    ) {
        let mut input = recorded(broken);
        for (index, value) in changes {
            let index = index % input.len();
            input[index] = value;
        }
        input.truncate(cut.max(1));
        for split in &mut splits {
            *split %= input.len();
        }
        splits.sort_unstable();
        prop_assert_eq!(in_pieces(&mut server(4), &input, &splits), server(4).take(&input));
    }

    /// Bytes of no sense at all, to both sides.
    #[test]
    fn noise_is_refused_without_a_panic(noise in proptest::collection::vec(any::<u8>(), 5..600)) {
        let mut noise = noise;
        noise[0] = 20 + noise[0] % 4;
        noise[1] = 3;
        noise[3] = 0;
        let mut client = client(1);
        let _ = client.take(&[]);
        let _ = client.take(&noise);
        prop_assert!(client.is_handshaking());
        let mut server = server(1);
        let _ = server.take(&noise);
        prop_assert!(server.is_handshaking());
    }

    /// Row L8: calls in any order, on both sides, with the bytes of one reaching the other or not. Nothing panics, nothing is
    /// delivered that was not written, and nothing is delivered before the handshake is complete.
    #[test]
    fn l08_calls_in_any_order(calls in proptest::collection::vec((0..9_u8, any::<bool>()), 0..40)) {
        let (mut client, mut server) = (client(1), server(1));
        let (mut to_client, mut to_server) = (Vec::new(), Vec::new());
        let (mut client_heard, mut server_heard) = (Vec::new(), Vec::new());
        for (call, left) in calls {
            if left {
                any_call!(call, client, to_client, client_heard, to_server);
            } else {
                any_call!(call, server, to_server, server_heard, to_client);
            }
        }
        prop_assert!(client_heard.chunks(4).all(|word| word == b"word"));
        prop_assert!(server_heard.chunks(4).all(|word| word == b"word"));
        prop_assert!(client_heard.is_empty() || !client.is_handshaking());
        prop_assert!(server_heard.is_empty() || !server.is_handshaking());
    }

    /// Data of any length, in records of any size, arrives whole.
    #[test]
    fn whatever_is_written_arrives(
        texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3000), 1..5),
        size in 0..3000_usize,
    ) {
        let (mut client, mut server) = connected(8);
        client.set_max_record(size);
        let mut wire = Vec::new();
        for text in &texts {
            client.write(text, &mut wire).unwrap();
        }
        for record in records(&wire) {
            prop_assert!(record.len() <= size.max(57));
        }
        prop_assert_eq!(server.take(&wire).plaintext, texts.concat());
    }
}

#[test]
fn handshake_messages_may_come_a_byte_to_a_record_or_all_in_one() {
    let (mut client, mut server) = (client(1), server(1));
    let hello = messages(&client.take(&[]).quiet()).concat();
    let bytes: Vec<u8> = hello.iter().flat_map(|byte| plain(22, &[*byte])).collect();
    let flight = server.take(&bytes).quiet();
    // The server puts its three messages into one record; here each goes into a record of its own, but for the last two
    // bytes of each, which go with the next.
    let joined = messages(&flight).concat();
    let (left, right) = joined.split_at(100);
    let (right, end) = right.split_at(200);
    let pieces = [plain(22, left), plain(22, right), plain(22, end)].concat();
    let answer = client.take(&pieces).quiet();
    let last = server.take(&answer).quiet();
    let _ = client.take(&last).quiet();
    assert!(!client.is_handshaking());
}

#[test]
fn records_of_both_sides_keep_to_the_size_set_even_in_the_handshake() {
    for size in [0, 57, 58, 100, 512, 16441, usize::MAX] {
        let (mut client, mut server) = (client(1), server(1));
        client.set_max_record(size);
        server.set_max_record(size);
        let hello = client.take(&[]).quiet();
        let flight = server.take(&hello).quiet();
        let answer = client.take(&flight).quiet();
        let last = server.take(&answer).quiet();
        let _ = client.take(&last).quiet();
        let mut data = Vec::new();
        client.write(&[7; 40_000], &mut data).unwrap();
        for record in records(&[hello, flight, answer, last, data.clone()].concat()) {
            assert!(record.len() <= size.clamp(57, 16441));
        }
        let largest = records(&data).iter().map(Vec::len).max();
        assert!(largest.unwrap() + 16 > size.clamp(57, 16441));
        assert_eq!(server.take(&data).plaintext, [7; 40_000]);
    }
}

#[test]
fn plaintext_capacity_says_what_one_record_holds() {
    for wire in [57, 58, 100, 4096, 16441, 32760] {
        let (mut client, _) = connected(1);
        client.set_max_record(wire);
        let mut data = Vec::new();
        let capacity = ClientSession::plaintext_capacity(wire);
        client.write(&vec![0; capacity], &mut data).unwrap();
        assert_eq!(records(&data).len(), 1);
        assert!(data.len() <= wire);
        data.clear();
        client.write(&vec![0; capacity + 1], &mut data).unwrap();
        assert_eq!(records(&data).len(), 2);
    }
    assert_eq!(ServerSession::plaintext_capacity(56), 0);
}

/// RFC 5246 §§ 6.2.1, 6.2.3, at the limit and one past it, before and after the keys.
#[test]
fn record_lengths_at_the_limit_and_one_past_it() {
    let overflow = PeerMisbehaved::RecordOverflow;
    let mut server = server(1);
    assert_eq!(server.take(&[22, 3, 1, 0x40, 0x00]).quiet(), []);
    died(&super::server(1).take(&[22, 3, 1, 0x40, 0x01]), overflow, 22);
    let (_, mut server) = connected(1);
    assert_eq!(server.take(&[23, 3, 3, 0x48, 0x00]).quiet(), []);
    let (_, mut server) = connected(1);
    let output = server.take(&[23, 3, 3, 0x48, 0x01]);
    assert_eq!(output.result, Err(overflow.into()));
    // The largest plaintext, and one byte more under a right MAC.
    let (mut client, mut server) = connected(1);
    let data = sealed!(client, DATA, &[1; 1 << 14]);
    assert_eq!(server.take(&data).plaintext, [1; 1 << 14]);
    let data = sealed!(client, DATA, &[1; (1 << 14) + 1]);
    let output = server.take(&data);
    assert_eq!(output.result, Err(overflow.into()));
    assert!(output.plaintext.is_empty());
}

#[test]
fn p03_long_handshake_messages_are_refused_by_their_header() {
    let long = DecodeError::HandshakeTooLong;
    for header in [[1, 0, 0x40, 0x01], [1, 0xFF, 0xFF, 0xFF]] {
        died(&server(1).take(&plain(22, &header)), long, 50);
    }
    // One at the limit is waited for.
    let mut server = server(1);
    assert_eq!(server.take(&plain(22, &[1, 0, 0x40, 0])).quiet(), []);
}

#[test]
fn p04_empty_records() {
    // Application data: 16 in a row, and any number that are not in a row.
    let (mut client, mut server) = connected(1);
    for _ in 0..3 {
        for _ in 0..MAX_EMPTY_RECORDS {
            let empty = sealed!(client, DATA, b"");
            assert_eq!(server.take(&empty).quiet(), []);
        }
        let data = sealed!(client, DATA, b"x");
        assert_eq!(server.take(&data).plaintext, b"x");
    }
    for _ in 0..MAX_EMPTY_RECORDS {
        let empty = sealed!(client, DATA, b"");
        let _ = server.take(&empty).quiet();
    }
    let empty = sealed!(client, DATA, b"");
    let output = server.take(&empty);
    assert_eq!(output.result, Err(PeerMisbehaved::TooManyEmptyRecords.into()));
    // Anything else must not be empty, protected or not.
    for content_type in [21, 22] {
        died(&super::server(1).take(&plain(content_type, &[])), PeerMisbehaved::EmptyFragment, 10);
    }
    for content_type in [ContentType::Alert, ContentType::Handshake] {
        let (mut client, mut server) = connected(1);
        let empty = sealed!(client, content_type, &[]);
        assert_eq!(server.take(&empty).result, Err(PeerMisbehaved::EmptyFragment.into()));
    }
}

#[test]
fn a_record_without_data_tells_the_peer_nothing() {
    let (mut client, mut server) = (client(1), server(1));
    let mut out = Vec::new();
    assert_eq!(client.write_empty(&mut out), Err(WriteError::Handshaking));
    connect(&mut client, &mut server);
    for _ in 0..MAX_EMPTY_RECORDS {
        client.write_empty(&mut out).unwrap();
    }
    // RFC 7366 § 3: header, IV, one block of padding, MAC.
    assert_eq!(out.len(), usize::from(MAX_EMPTY_RECORDS) * (5 + 16 + 16 + 20));
    client.write(b"last", &mut out).unwrap();
    let output = server.take(&out);
    assert_eq!((output.plaintext.as_slice(), output.records.len()), (&b"last"[..], 0));
    client.close(&mut out);
    let end = out.len();
    assert_eq!(client.write_empty(&mut out), Err(WriteError::Closed));
    assert_eq!(out.len(), end, "nothing follows the end");
    // The keys are used up by records, not by bytes alone.
    let (mut client, _) = connected(1);
    let (common, _) = client.inner().parts();
    common.sealer.as_mut().unwrap().set_used(MAX_RECORDS, 0);
    assert_eq!(client.write_empty(&mut Vec::new()), Err(WriteError::KeyExhausted));
}

#[test]
fn unknown_content_types_and_other_versions_end_the_session() {
    for first in [0x80, b'G', 0, 19, 24, 255] {
        died(&server(1).take(&[first, 3, 3, 0, 5]), PeerMisbehaved::UnknownContentType, 10);
    }
    for version in [[2, 0], [0, 2], [4, 3]] {
        let record = [22, version[0], version[1], 0, 5];
        died(&server(1).take(&record), PeerMisbehaved::RecordVersion, 70);
    }
    // Once the version is negotiated, no other will do.
    let (mut client, mut server) = (client(1), server(1));
    let hello = client.take(&[]).quiet();
    let flight = server.take(&hello).quiet();
    died(&server.take(&[22, 3, 1, 0, 5]), PeerMisbehaved::RecordVersion, 70);
    let mut old = flight.clone();
    old[2] = 1;
    let _ = client.take(&old);
    died(&super::server(1).take(&[22, 0, 0, 0, 0]), PeerMisbehaved::RecordVersion, 70);
}

#[test]
fn data_in_the_middle_of_a_handshake_message_is_refused() {
    let (mut client, mut server) = connected(1);
    let half = sealed!(client, ContentType::Handshake, &[1, 0]);
    let _ = server.take(&half).quiet();
    let data = sealed!(client, DATA, b"x");
    let output = server.take(&data);
    assert_eq!(output.result, Err(PeerMisbehaved::UnexpectedMessage.into()));
    assert!(output.plaintext.is_empty());
}

/// Rows P16 and M13: whatever is wrong with a record, the answer is the same, byte for byte but for its IV.
#[test]
fn p16_tampered_records_have_one_answer() {
    let tampered: [fn(&mut Vec<u8>); 6] = [
        |record| record[5] ^= 1,                                      // IV
        |record| record[25] ^= 0x80,                                  // ciphertext
        |record| *record.last_mut().unwrap() ^= 1,                    // MAC
        |record| *record = plain(23, &record[5..41]),                 // too short
        |record| *record = plain(23, &[&record[5..], &[0]].concat()), // not whole blocks
        |record| *record = plain(23, &[0; 256]),                      // nothing of it is right
    ];
    let mut answers = std::collections::BTreeSet::new();
    let mut answer_to = |make: &dyn Fn(&mut ClientSession) -> Vec<u8>| {
        let (mut client, mut server) = connected(1);
        let record = make(&mut client);
        let output = server.take(&record);
        assert_eq!(output.result, Err(PeerMisbehaved::BadRecordMac.into()));
        assert!(output.plaintext.is_empty());
        // There is no second try: what comes after it is not even looked at.
        let again = server.take(&sealed!(client, DATA, b"genuine"));
        assert_eq!((again.result, again.plaintext, again.records), (output.result, Vec::new(), Vec::new()));
        // The client, which shares the keys, reads the alert.
        assert_eq!(
            client.take(&output.records).result,
            Err(Error::AlertReceived(crate::AlertDescription::BadRecordMac))
        );
        answers.insert(output.records);
    };
    for tamper in tampered {
        answer_to(&|client| {
            let mut record = sealed!(client, DATA, &[b'x'; 40]);
            tamper(&mut record);
            record
        });
    }
    // Wrong padding under a right MAC, which takes the keys: a byte that differs, and more than there is.
    let mut uneven = [1; 16];
    uneven[14] = 0;
    for padding in [uneven, [16; 16]] {
        answer_to(&|client| {
            let sealer = client.inner().parts().0.sealer.as_mut().unwrap();
            plain(23, &crate::record::forged(sealer, &padding))
        });
    }
    assert_eq!(answers.len(), 1);
}

/// What was authenticated before a fault is delivered.
#[test]
fn m15_data_before_a_fault_is_delivered() {
    let (mut client, mut server) = connected(1);
    let mut wire = sealed!(client, DATA, b"genuine");
    wire.extend([99; 5]);
    let output = server.take(&wire);
    assert_eq!(output.plaintext, b"genuine");
    assert_eq!(output.result, Err(PeerMisbehaved::UnknownContentType.into()));
    let again = server.take(b"");
    assert_eq!(again.result, output.result);
    assert!(again.plaintext.is_empty() && again.records.is_empty());
}

#[test]
fn keys_are_used_up_to_their_limit() {
    let (mut client, mut server) = connected(1);
    let mut wire = Vec::new();
    let common = client.inner().parts().0;
    common.sealer.as_mut().unwrap().set_used(MAX_RECORDS - 17, 0);
    client.write(b"last", &mut wire).unwrap();
    let before = wire.clone();
    assert_eq!(client.write(b"x", &mut wire), Err(WriteError::KeyExhausted));
    assert_eq!(wire, before);
    // There is room to say goodbye, and it is understood.
    client.close(&mut wire);
    assert_eq!(records(&wire).len(), 2);
    let common = server.inner().parts().0;
    common.opener.as_mut().unwrap().set_used(MAX_RECORDS - 17, 0);
    let output = server.take(&wire);
    assert_eq!((output.plaintext, output.result), (b"last".to_vec(), Ok(())));
    assert!(server.peer_closed());
    // A peer that goes on beyond its limit is stopped.
    let (mut client, mut server) = connected(1);
    let data = sealed!(client, DATA, b"x");
    server.inner().parts().0.opener.as_mut().unwrap().set_used(MAX_RECORDS, 0);
    let output = server.take(&data);
    assert_eq!(output.result, Err(PeerMisbehaved::KeyOverused.into()));
}

/// Nothing is kept while nothing is happening.
#[test]
fn an_idle_session_has_no_buffers() {
    let (mut client, mut server) = connected(1);
    let data = sealed!(client, DATA, &[0; 1 << 14]);
    let (first, second) = data.split_at(8000);
    let _ = server.take(first).quiet();
    assert_eq!(server.take(second).plaintext.len(), 1 << 14);
    assert_eq!(server.inner().parts().0.buffered(), 0);
}
