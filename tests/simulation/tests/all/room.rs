//! What waits to be sent and to be told, and what of it stops reading: what a peer is owed and what the application has not
//! taken do, what the application has written does not.
use crate::common::{
    MILLI, bodies, noise, piping, read,
    script::{HEADER, Script},
    send, streaming, write,
};
use allocation_counter::measure;
use xtls::{CloseReason, Event};

/// What may be owed to a peer.
const MAX_OWED: usize = 64 * 1024;

/// The end of a stream and the header of the next one: each is answered.
fn again() -> String {
    format!("</stream:stream>{HEADER}")
}

/// Sends the end of a stream and the next header, a block each time, until one of the blocks is not acknowledged; how many
/// were.
fn cycles(script: &mut Script, most: usize) -> usize {
    for sent in 0..most {
        let block = script.seal(again().as_bytes());
        if script.block(&block).is_none() {
            return sent;
        }
    }
    most
}

/// A peer that opens and closes streams, and acknowledges nothing.
fn flooding(seed: u8) -> Script {
    let mut script = Script::new(seed);
    script.streaming();
    script.answers = false;
    script
}

#[test]
fn p21_answers_to_a_peer_that_takes_none_are_bounded_and_stop_the_reading() {
    let mut script = Script::new(1);
    let tunnel = script.streaming();
    let block = script.seal(again().as_bytes());
    script.block(&block);
    let one = script.records.len();
    assert!(script.tls_read().0.ends_with(b"</stream:features>"));

    script.answers = false;
    let answered = cycles(&mut script, 10_000);
    // What is on its way is bounded by the window; the rest waits, and is as much as may be owed, but for the last answer.
    let owed = answered * one - script.records.len();
    assert!((MAX_OWED..MAX_OWED + one).contains(&owed), "{owed} bytes are owed");
    // It has gone on, without anything more being answered, until the window of what is not acknowledged is used up.
    for _ in 1..32 {
        let block = script.seal(again().as_bytes());
        assert_eq!(script.block(&block), None);
    }
    let unacked = script.world.with(script.juliet, |engine, _| engine.tunnel(tunnel).unwrap().unacked());
    assert!(unacked as usize <= answered * one, "{unacked}");
    let opened = |events: Vec<Event>| {
        assert!(events.iter().all(|event| matches!(event, Event::StreamOpened { .. } | Event::StreamClosed { .. })));
        events.iter().filter(|event| matches!(event, Event::StreamOpened { .. })).count()
    };
    assert_eq!(opened(script.world.take_events(script.juliet)), answered + 1);

    // A peer that takes its answers after all gets all of them.
    script.answers = true;
    let unanswered = script.take_requests();
    for request in unanswered {
        let id = crate::common::element(&request).attribute("id").unwrap().to_owned();
        script.stanza(&format!("<iq type='result' id='{id}' to='{}'/>", crate::common::JULIET));
    }
    let text = String::from_utf8(script.tls_read().0).unwrap();
    assert_eq!(text.matches("<stream:features>").count(), answered + 32);
    assert_eq!(opened(script.world.take_events(script.juliet)), 32);
}

#[test]
fn p21_reading_goes_on_up_to_the_bound_of_what_is_owed_and_stops_one_past_it() {
    let most = cycles(&mut flooding(1), 10_000);
    assert!(most > 100);
    let mut script = flooding(1);
    assert_eq!(cycles(&mut script, most), most);
    assert_eq!(cycles(&mut script, 1), 0);
    // The same peer, if it takes its answers.
    let mut script = Script::new(1);
    script.streaming();
    assert_eq!(cycles(&mut script, 2 * most), 2 * most);
}

/// Row P21: what the application wrote does not stop the reading, and what is owed has room beside it.
#[test]
fn what_the_application_has_written_takes_no_room_from_answers_and_answers_take_none_from_it() {
    let mut script = flooding(1);
    let tunnel = {
        let events = script.world.take_events(script.juliet);
        assert!(events.is_empty());
        script.world.with(script.juliet, |engine, _| engine.tunnels().next().unwrap())
    };
    let mut written = 0;
    while send(&mut script.world, script.juliet, tunnel, &"x".repeat(1000)).is_ok() {
        written += 1;
    }
    assert!(written * 1000 > 240_000 && written < 300, "{written}");
    script.settle();
    // All that has been read is answered, although all the room of the application is used.
    let answered = cycles(&mut script, 10_000);
    assert!(answered > 100, "{answered}");

    // And the other way round.
    let mut script = flooding(1);
    script.world.take_events(script.juliet);
    cycles(&mut script, 10_000);
    let tunnel = script.world.with(script.juliet, |engine, _| engine.tunnels().next().unwrap());
    let mut beside = 0;
    while send(&mut script.world, script.juliet, tunnel, &"x".repeat(1000)).is_ok() {
        beside += 1;
    }
    assert!(beside * 1000 > 240_000, "{beside}");
}

/// Row P21: what waits for an application that takes nothing is counted by what it holds.
#[test]
fn p21_events_that_wait_are_weighed_by_what_they_hold() {
    for (stanza, from) in
        [("<iq/>", ""), ("<iq/>", "long"), ("<message><a/><a/><a/></message>", ""), ("<message/>", "wide")]
    {
        let mut script = Script::new(1);
        script.streaming();
        script.world.ignore_events(script.juliet, true);
        let stanza = match from {
            // Written out again in each stanza.
            "long" => format!(
                "<iq from='mallory@verona.lit/square' to='juliet@capulet.lit/balcony' id='{}'/>",
                "i".repeat(1000)
            ),
            // It holds twenty times what it has in bytes.
            "wide" => format!("<message>{}</message>", "<a/>".repeat(900)),
            _ => stanza.to_owned(),
        };
        let text = stanza.repeat(4000 / stanza.len());
        let mut sent = 0;
        let held = measure(|| {
            for _ in 0..100 {
                let block = script.seal(text.as_bytes());
                sent += 4000 / stanza.len();
                if script.block(&block).is_none() {
                    break;
                }
            }
            // What ignores the backpressure is bounded by the window.
            for _ in 1..32 {
                let block = script.seal(text.as_bytes());
                script.block(&block);
                sent += 4000 / stanza.len();
            }
        })
        .bytes_current;
        // 64 KiB of events, 128 KiB that the peer may send beyond that, the log of the relay (more than twice as much), and
        // the peer's own.
        assert!(held < 1024 * 1024, "{held} bytes are held for {sent} times {stanza}");
        script.world.ignore_events(script.juliet, false);
        script.settle();
        let events = script.world.take_events(script.juliet);
        assert_eq!(events.len(), sent, "all of them come, once there is room");
    }
}

/// After so many times 30 ms in which nothing came, nothing will.
const IDLE: usize = 100;

#[test]
fn two_streams_that_both_send_far_more_than_is_on_its_way_do_not_block_one_another() {
    for bytes in [1000, 250_000] {
        let (mut world, ids, tunnels) = streaming(1);
        let count = 2_000_000_usize.div_ceil(bytes);
        let (mut sent, mut arrived) = ([0, 0], [0, 0]);
        let mut idle = 0;
        while idle < IDLE {
            let before = (sent, arrived);
            for at in 0..2 {
                while sent[at] < count && send(&mut world, ids[at], tunnels[at], &"x".repeat(bytes)).is_ok() {
                    sent[at] += 1;
                }
            }
            // Whenever there is room, the applications send more.
            world.run_for(30 * MILLI);
            for at in 0..2 {
                arrived[at] += bodies(&world.take_events(ids[at])).len();
            }
            idle = if before == (sent, arrived) { idle + 1 } else { 0 };
        }
        assert_eq!((sent, arrived), ([count; 2], [count; 2]), "{bytes}");
    }
}

#[test]
fn two_pipes_that_both_write_far_more_than_is_on_its_way_do_not_block_one_another() {
    let (mut world, ids, tunnels) = piping(1);
    let bytes = noise(2_000_000, 7);
    let (mut sent, mut got) = ([0, 0], [Vec::new(), Vec::new()]);
    let mut idle = 0;
    while idle < IDLE {
        let before = (sent, got.each_ref().map(Vec::len));
        for at in 0..2 {
            sent[at] += write(&mut world, ids[at], tunnels[at], &bytes[sent[at]..]);
        }
        world.run_for(30 * MILLI);
        for at in 0..2 {
            got[at].extend(read(&mut world, ids[at], tunnels[at]));
            let _ = world.take_events(ids[at]);
        }
        idle = if before == (sent, got.each_ref().map(Vec::len)) { idle + 1 } else { 0 };
    }
    assert!(got.iter().all(|got| *got == bytes), "{sent:?}");
}

/// A stream that is held back goes on to its end, and what was held is told before it.
#[test]
fn what_waits_for_the_application_is_told_before_an_orderly_end() {
    let (mut world, [romeo, juliet], [here, _]) = streaming(3);
    let _ = world.take_events(juliet);
    world.ignore_events(juliet, true);
    let mut sent = 0;
    while sent < 2000 && send(&mut world, romeo, here, "some words").is_ok() {
        sent += 1;
    }
    world.run();
    crate::common::close(&mut world, romeo, here);
    world.run();
    world.ignore_events(juliet, false);
    world.run();
    let events = world.take_events(juliet);
    assert_eq!(bodies(&events).len(), sent);
    let end = crate::common::the_end(&events);
    assert!(!end.truncated && matches!(end.reason, CloseReason::Done), "{:?}", end.reason);
}
