//! Whatever reads make of it, it comes to the same.

use proptest::prelude::*;

use super::*;

/// Bytes in pieces that end at these places.
fn pieces<'b>(bytes: &'b [u8], cuts: &[usize]) -> Vec<&'b [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([0, bytes.len()]).collect();
    places.sort_unstable();
    places.windows(2).map(|place| &bytes[place[0]..place[1]]).collect()
}

/// What a client makes of what comes after its request: how much it took, and how it ended.
fn after_request(pieces: &[&[u8]]) -> (usize, Option<ClientFault>, bool) {
    let mut client = asked();
    let mut taken = 0;
    for piece in pieces {
        match client.handle_bytes(piece) {
            Ok(bytes) => taken += bytes,
            Err(_) => break,
        }
    }
    let taken = if client.fault().is_some() { 0 } else { taken };
    (taken, client.fault(), client.is_connected())
}

/// The same of an acceptor and what comes after its choice, with what it says in the end.
fn after_choice(pieces: &[&[u8]]) -> (Option<AcceptorFault>, Option<DstAddr>, Option<Vec<u8>>) {
    let mut acceptor = chosen();
    for piece in pieces {
        let _ = acceptor.handle_bytes(piece);
    }
    let asked = acceptor.asked();
    (acceptor.fault(), asked, polled(|out| acceptor.poll(out)))
}

/// Bytes that are often nearly right.
fn nearly(right: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let len = right.len();
    let change = (0..len, any::<u8>());
    (Just(right), proptest::collection::vec(change, 0..3), proptest::collection::vec(any::<u8>(), 0..300)).prop_map(
        |(mut bytes, changes, more)| {
            for (place, byte) in changes {
                bytes[place] = byte;
            }
            bytes.extend(more);
            bytes
        },
    )
}

proptest! {
    #[test]
    fn a_client_comes_to_the_same_however_a_reply_is_cut(
        bytes in prop_oneof![nearly(reply()), nearly(refusal(0)), proptest::collection::vec(any::<u8>(), 0..300)],
        cuts in proptest::collection::vec(any::<usize>(), 0..20),
    ) {
        prop_assert_eq!(after_request(&pieces(&bytes, &cuts)), after_request(&[&bytes]));
        let each: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(after_request(&each), after_request(&[&bytes]));
    }

    #[test]
    fn an_acceptor_comes_to_the_same_however_a_request_is_cut(
        bytes in prop_oneof![nearly(request()), Just(request()), proptest::collection::vec(any::<u8>(), 0..300)],
        cuts in proptest::collection::vec(any::<usize>(), 0..20),
    ) {
        prop_assert_eq!(after_choice(&pieces(&bytes, &cuts)), after_choice(&[&bytes]));
        let each: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(after_choice(&each), after_choice(&[&bytes]));
    }

    #[test]
    fn what_follows_the_reply_is_handed_back_untouched(
        text in proptest::collection::vec(any::<u8>(), 0..255),
        bytestream in proptest::collection::vec(any::<u8>(), 0..100),
        cuts in proptest::collection::vec(any::<usize>(), 0..20),
    ) {
        let bytes = [message([5, SUCCEEDED, 0], DOMAIN, &text, 0), bytestream.clone()].concat();
        let mut client = asked();
        let mut received = Vec::new();
        for piece in pieces(&bytes, &cuts) {
            let taken = client.handle_bytes(piece).unwrap();
            received.extend_from_slice(&piece[taken..]);
        }
        prop_assert!(client.is_connected());
        prop_assert_eq!(received, bytestream);
    }

    #[test]
    fn both_ends_come_together_over_any_connection(cuts in proptest::collection::vec(any::<usize>(), 0..20)) {
        let (mut client, mut acceptor) = (Client::new(name()), Acceptor::new());
        let mut messages = 0;
        while let Some(sent) = polled(|out| client.poll(out)) {
            messages += 1;
            for piece in pieces(&sent, &cuts) {
                prop_assert_eq!(acceptor.handle_bytes(piece), Ok(piece.len()));
            }
            if acceptor.asked() == Some(name()) {
                acceptor.accept().unwrap();
            }
            let answer = polled(|out| acceptor.poll(out)).unwrap();
            for piece in pieces(&answer, &cuts) {
                prop_assert_eq!(client.handle_bytes(piece), Ok(piece.len()));
            }
        }
        prop_assert_eq!(messages, 2);
        prop_assert!(client.is_connected() && acceptor.is_accepted());
    }
}
