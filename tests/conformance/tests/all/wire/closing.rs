//! Decision 2.21: the end on the wire, and what is accepted of it.

use core::time::Duration;

use xtls::{CloseReason, Closed, EndedBy, Fault};
use xtls_stanza::ns;

use crate::common::{
    HEADER_ROMEO, JULIET, ROMEO, Stage, closed, element, fault, is_data, is_request, kinds, payload, terminate,
};

/// What the engine does in its closing, in order: what it says in the tunnel, the end of TLS, close, terminate.
fn steps(stage: &mut Stage) -> Vec<String> {
    let mut steps = Vec::new();
    loop {
        let sent = stage.sent();
        if sent.is_empty() {
            return steps;
        }
        for stanza in sent.into_iter().filter(is_request) {
            stage.ack(&stanza);
            if is_data(&stanza) {
                let ended = stage.tls.as_ref().unwrap().peer_closed();
                stage.take_block(&stanza);
                let told = stage.told();
                if !told.is_empty() {
                    steps.push(told);
                }
                if !ended && stage.tls.as_ref().unwrap().peer_closed() {
                    steps.push("close_notify".to_owned());
                }
            } else {
                let payload = payload(&stanza);
                let reason = payload.child("reason", ns::JINGLE);
                let reason = reason.map(|reason| reason.children().next().unwrap().name().to_owned());
                steps.push(reason.unwrap_or_else(|| payload.name().to_owned()));
            }
        }
    }
}

#[test]
fn wire_2_21_an_end_in_order_goes_from_the_inside_out() {
    for (mut stage, tunnel) in [Stage::initiator_with_stream(), Stage::responder_with_stream()] {
        stage.with(|engine, now| engine.tunnel(tunnel).unwrap().close(now));
        assert_eq!(steps(&mut stage), ["</stream:stream>"]);
        stage.write("</stream:stream>");
        assert_eq!(steps(&mut stage), ["close_notify", "close", "success"]);
        let events = stage.events();
        let closed = closed(events);
        assert_eq!((closed.by, closed.truncated, closed.unacked), (EndedBy::Local, false, 0));
        assert!(matches!(closed.reason, CloseReason::Done));
        assert_eq!(stage.with(|engine, _| engine.tunnels().count()), 0);
    }
}

/// What was written before is delivered first.
#[test]
fn wire_2_21_an_end_in_order_comes_after_what_was_sent() {
    let (mut stage, tunnel) = Stage::responder_with_stream();
    for body in ["one", "two"] {
        let message = crate::common::message(body);
        stage.with(|engine, now| engine.tunnel(tunnel).unwrap().send(now, &message)).unwrap();
    }
    stage.with(|engine, now| engine.tunnel(tunnel).unwrap().close(now));
    let said = steps(&mut stage).concat();
    assert_eq!(said, "<message><body>one</body></message><message><body>two</body></message></stream:stream>");
}

/// How a tunnel ends when the peer does the first `steps` of an end in order and then terminates.
fn ended_after(steps: usize) -> Closed {
    let (mut stage, _) = Stage::initiator_with_stream();
    if steps > 0 {
        stage.write("</stream:stream>");
        assert_eq!(stage.play(), []);
        assert_eq!(stage.told(), "</stream:stream>");
    }
    if steps > 1 {
        stage.write_close_notify();
        assert_eq!(stage.play(), []);
        assert!(stage.tls.as_ref().unwrap().peer_closed(), "close_notify is answered with one");
    }
    if steps > 2 {
        let close = format!("<close xmlns='http://jabber.org/protocol/ibb' sid='{}'/>", stage.ibb_sid);
        assert_eq!(stage.ask_fine(&close), []);
    }
    let end = terminate(&stage.sid, "success").to_xml("");
    assert_eq!(stage.ask_fine(&end), [], "the session-terminate is acknowledged, and nothing else");
    closed(stage.events())
}

#[test]
fn wire_2_21_any_prefix_of_an_end_in_order_is_accepted() {
    for steps in 0..=3 {
        let closed = ended_after(steps);
        assert!(matches!(closed.reason, CloseReason::Done), "{steps}: {closed:?}");
        assert_eq!(closed.by, EndedBy::Remote, "{steps}");
        // What breaks off in an open stream is truncated.
        assert_eq!(closed.truncated, steps == 0, "{steps}");
    }
}

/// The bytestream is closed in the middle of a stream: truncated, and the session has no transport any more.
#[test]
fn wire_2_21_a_close_of_the_bytestream_without_close_notify_is_a_truncation() {
    let (mut stage, _) = Stage::initiator_with_stream();
    let close = format!("<close xmlns='http://jabber.org/protocol/ibb' sid='{}'/>", stage.ibb_sid);
    let requests = stage.ask_fine(&close);
    assert_eq!(requests.iter().map(payload).collect::<Vec<_>>(), [terminate(&stage.sid, "failed-transport")]);
    let closed = closed(stage.events());
    assert!(matches!(fault(&closed), Fault::BytestreamClosed), "{closed:?}");
    assert!(closed.truncated);
}

/// A peer that stops after its `</stream:stream>` leaves the tunnel for another stream, for 30 s.
#[test]
fn wire_2_21_after_the_end_of_a_stream_the_tunnel_stays_for_30_seconds() {
    let (mut stage, tunnel) = Stage::responder_with_stream();
    stage.write("</stream:stream>");
    assert_eq!(stage.play(), []);
    assert_eq!(stage.told(), "</stream:stream>");
    assert_eq!(kinds(&stage.events()), ["StreamClosed"]);
    stage.world.run_for(Duration::from_millis(29_500));
    assert!(stage.with(|engine, _| engine.tunnel(tunnel).is_some()));
    // Another header opens another stream.
    stage.write(HEADER_ROMEO);
    stage.play();
    assert_eq!(kinds(&stage.events()), ["StreamOpened"]);
    let _ = stage.told();
    stage.write("</stream:stream>");
    stage.play();
    let _ = stage.told();
    assert_eq!(kinds(&stage.events()), ["StreamClosed"]);
    // And if none comes, the tunnel ends.
    stage.world.run_for(Duration::from_millis(30_500));
    let said = steps(&mut stage);
    let ends: Vec<_> = said.iter().filter(|step| *step != "jingle").collect();
    assert_eq!(ends, ["close_notify", "close", "success"], "{said:?}");
    let closed = closed(stage.events());
    assert!(matches!(closed.reason, CloseReason::Done) && !closed.truncated, "{closed:?}");
}

/// A peer that does not answer the end of the stream is not waited for any longer than the close time.
#[test]
fn wire_2_21_an_end_that_is_not_answered_is_given_up() {
    let (mut stage, tunnel) = Stage::responder_with_stream();
    stage.with(|engine, now| engine.tunnel(tunnel).unwrap().close(now));
    assert_eq!(steps(&mut stage), ["</stream:stream>"]);
    stage.world.run_for(Duration::from_secs(6));
    let said = steps(&mut stage);
    assert_eq!(said.last().map(String::as_str), Some("timeout"), "{said:?}");
    let closed = closed(stage.events());
    assert!(matches!(fault(&closed), Fault::Timeout { .. }), "{closed:?}");
    assert!(closed.truncated, "its stream was never closed");
}

/// Two engines: the whole end, as it crosses the relay.
#[test]
fn wire_2_21_two_engines_end_with_one_close_and_one_session_terminate() {
    let (mut world, romeo, juliet) = xtls_testkit::World::pair(9);
    let tunnel = world.connect(romeo, juliet);
    let before = world.relay.log().len();
    world.with(romeo, |engine, now| engine.tunnel(tunnel).unwrap().close(now));
    world.run();
    let log = world.relay.log()[before..].to_vec();
    let requests: Vec<_> = log
        .iter()
        .map(|passed| (passed.from.as_str(), element(&passed.stanza)))
        .filter(|(_, stanza)| is_request(stanza))
        .map(|(from, stanza)| (from, payload(&stanza).name().to_owned()))
        .collect();
    let expected = [
        (ROMEO, "data"),  // </stream:stream>
        (JULIET, "data"), // </stream:stream>
        (ROMEO, "data"),  // close_notify
        (JULIET, "data"), // close_notify
        (ROMEO, "close"),
        (ROMEO, "jingle"),
    ];
    let mut sorted: Vec<_> = requests.iter().map(|(from, name)| (*from, name.as_str())).collect();
    assert_eq!(sorted.len(), expected.len(), "{sorted:?}");
    // Juliet's close_notify and Romeo's close may cross.
    sorted[3..5].sort_unstable();
    let mut expected = expected.to_vec();
    expected[3..5].sort_unstable();
    assert_eq!(sorted, expected);
    for (id, by) in [(romeo, EndedBy::Local), (juliet, EndedBy::Remote)] {
        let closed = closed(world.take_events(id));
        assert_eq!((closed.by, closed.truncated, closed.unacked), (by, false, 0));
        assert!(matches!(closed.reason, CloseReason::Done), "{closed:?}");
    }
}
