//! Two ends that both send more than the connection between them holds.

use xtls::{
    TrustPolicy,
    error::SendError,
    link::{ClientTerms, Features, LinkEvent, ServerTerms},
};
use xtls_testkit::{LinkPair, SIDES};

use super::common::{I, R, bodies, friends, message, pinned};

/// What a socket may hold in one direction.
const PIPE: usize = 64 * 1024;

/// Lets each end send so many stanzas with bodies of so many bytes, as fast as its link takes them; how many arrived at each.
fn send_both_ways(pair: &mut LinkPair, count: usize, bytes: usize) -> [usize; 2] {
    pair.pipe = PIPE;
    let stanza = message(&"x".repeat(bytes));
    let mut sent = [0, 0];
    let mut arrived = [0, 0];
    loop {
        let before = sent;
        for (at, side) in SIDES.into_iter().enumerate() {
            while sent[at] < count {
                match pair.send(side, &stanza) {
                    Ok(()) => sent[at] += 1,
                    Err(SendError::Full) => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        // Whenever there is room, the applications send more.
        let moved = pair.turn();
        for (at, side) in SIDES.into_iter().enumerate() {
            let events = pair.take_events(side);
            let sound = |event: &LinkEvent| matches!(event, LinkEvent::Stanza { .. } | LinkEvent::Writable);
            assert!(events.iter().all(sound), "{events:?}");
            arrived[at] += bodies(&events).len();
        }
        if !moved && before == sent {
            assert_eq!(sent, [count; 2], "nothing moves any more, and {arrived:?} arrived");
            return arrived;
        }
    }
}

#[test]
fn two_peers_that_both_send_far_more_than_the_connection_holds_do_not_block_one_another() {
    for bytes in [1000, 60_000, 200_000, 250_000] {
        let mut pair = friends(1);
        pair.connect(pinned());
        let _ = SIDES.map(|side| pair.take_events(side));
        let count = 4_000_000_usize.div_ceil(bytes);
        assert_eq!(send_both_ways(&mut pair, count, bytes), [count; 2], "{bytes}");
    }
}

#[test]
fn a_client_and_its_server_that_both_send_far_more_than_the_connection_holds_do_not_block_one_another() {
    let mut pair = friends(1);
    pair.name(I, "romeo@forza");
    pair.name(R, "forza");
    pair.trust(I);
    pair.trust(R);
    let mut client = ServerTerms::new(TrustPolicy::Pinned);
    client.present_certificate = true;
    pair.start_client_and_server(&client, &ClientTerms::new());
    pair.run();
    for restarted in [false, true] {
        pair.with_server(|link, now| link.send_features(now, &Features::default())).unwrap();
        pair.run();
        if !restarted {
            pair.with_client(|link, now| link.authenticate_external(now, None)).unwrap();
            pair.run();
        }
    }
    let told = pair.take_events(R);
    assert!(told.iter().any(|event| matches!(event, LinkEvent::ClientAuthenticated { .. })), "{told:?}");
    let _ = pair.take_events(I);
    assert_eq!(send_both_ways(&mut pair, 20, 200_000), [20; 2]);
}

/// What is read is bounded all the same: by what the application has not taken.
#[test]
fn an_end_whose_application_takes_nothing_reads_no_more_although_the_other_one_sends() {
    let mut pair = friends(1);
    pair.connect(pinned());
    let _ = SIDES.map(|side| pair.take_events(side));
    pair.pipe = PIPE;
    pair.ignore_events(R, true);
    let stanza = message(&"x".repeat(60_000));
    for _ in 0..100 {
        let _ = pair.send(I, &stanza);
        let _ = pair.send(R, &stanza);
        pair.run();
    }
    assert_eq!(pair.waiting_for(R), PIPE);
    assert_eq!(pair.send(I, &stanza), Err(SendError::Full));
    pair.ignore_events(R, false);
    pair.run();
    assert_eq!(pair.waiting_for(R), 0);
}
