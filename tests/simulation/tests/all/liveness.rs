//! Peers that are silent: they are asked, and what they say counts for more than that they say nothing (wire.md, decision 38).
use crate::common::{
    JULIET, MALLORY, MILLI, ROMEO, SECOND, closed, element, errors, noise, piping, read,
    script::{Script, ibb_close},
    send, sent, streaming, write,
};
use xtls::{EndedBy, Event, Fault, Timer, TunnelId};
use xtls_stanza::{Condition, ErrorType, Iq, StanzaError};
use xtls_testkit::{Fate, World};

/// It is answered by a request of Juliet's own, content-reject.
const ADD: &str = "<jingle xmlns='urn:xmpp:jingle:1' action='content-add' sid='s1'>\
    <content creator='responder' name='voice'/></jingle>";

fn is_ping(stanza: &str) -> bool {
    stanza.contains("action='session-info'")
}

fn pings(world: &World) -> usize {
    sent(world, ROMEO, JULIET).iter().filter(|stanza| is_ping(stanza)).count()
}

fn offline(world: &mut World, to: xtls_testkit::EntityId) {
    let presence = format!("<presence type='unavailable' from='{JULIET}' to='{ROMEO}'/>");
    assert!(matches!(world.deliver(to, &presence), xtls::Disposition::Observed));
}

/// Answers a request of Juliet's with a result.
fn answer(script: &mut Script, request: &str) {
    let id = element(request).attribute("id").unwrap().to_owned();
    script.stanza(&format!("<iq type='result' id='{id}' to='{JULIET}'/>"));
}

fn is_there(script: &mut Script, tunnel: TunnelId) -> bool {
    let juliet = script.juliet;
    script.world.with(juliet, |engine, _| engine.tunnel(tunnel).is_some())
}

/// Mallory answers this question for a sign of life, and the one behind it if this one was older than what is overdue: by as
/// little as nothing.
fn is_there_without(script: &mut Script, asked: Vec<String>) {
    answer(script, &asked[0]);
    for again in script.take_requests() {
        if is_ping(&again) {
            answer(script, &again);
        }
    }
}

#[test]
fn wire_2_38_a_silent_peer_is_asked_once_and_has_600_seconds() {
    let (mut world, [romeo, juliet], _) = streaming(1);
    world.hold(juliet);
    world.run_for(SECOND * 599);
    assert_eq!(pings(&world), 1);
    assert!(world.take_events(romeo).is_empty() && world.take_events(juliet).is_empty());
    world.release(juliet);
    world.run();
    // Each has heard of the other, and begins anew.
    world.run_for(SECOND * 3600);
    assert!(world.take_events(romeo).is_empty() && world.take_events(juliet).is_empty());
    world.hold(juliet);
    world.run_for(SECOND * 631);
    for id in [romeo, juliet] {
        let end = closed(&mut world, id);
        assert!(matches!(end.fault, Some(Fault::Gone)) && end.by == EndedBy::Engine && end.truncated, "{end:?}");
    }
}

#[test]
fn wire_2_38_a_question_that_is_lost_ends_the_tunnel_whatever_else_is_heard_of_the_peer() {
    let (mut world, [romeo, _], _) = streaming(2);
    // From now on they hear nothing of their session.
    world.relay.meddle(|_| Fate::Replace(Vec::new()));
    let chatter = format!("<message from='{JULIET}' to='{ROMEO}'><body>good morrow</body></message>");
    for _ in 0..23 {
        world.run_for(SECOND * 25);
        let _ = world.deliver(romeo, &chatter);
    }
    // Whoever speaks now and then is not asked.
    assert_eq!(pings(&world), 0);
    world.run_for(SECOND * 31);
    assert_eq!(pings(&world), 1);
    for _ in 0..22 {
        let _ = world.deliver(romeo, &chatter);
        world.run_for(SECOND * 25);
    }
    assert!(world.take_events(romeo).is_empty());
    world.run_for(SECOND * 25);
    let end = closed(&mut world, romeo);
    assert!(matches!(end.fault, Some(Fault::Gone)) && end.by == EndedBy::Engine, "{end:?}");
}

#[test]
fn wire_2_38_a_question_that_comes_back_ends_the_tunnel_and_one_that_cannot_be_delivered_now_is_asked_again() {
    for (condition, error_type, ends) in [
        (Condition::ServiceUnavailable, ErrorType::Cancel, true),
        (Condition::ItemNotFound, ErrorType::Cancel, true),
        (Condition::RecipientUnavailable, ErrorType::Wait, false),
        (Condition::RemoteServerTimeout, ErrorType::Wait, false),
    ] {
        let (mut world, [romeo, _], _) = streaming(3);
        world.relay.meddle(move |passed| match passed.to == JULIET {
            true => Fate::Bounce(StanzaError::new(condition).with_type(error_type)),
            false => Fate::Replace(Vec::new()),
        });
        world.run_for(SECOND * 29);
        assert!(world.take_events(romeo).is_empty());
        world.run_for(SECOND * 2);
        if ends {
            assert!(matches!(closed(&mut world, romeo).fault, Some(Fault::Refused { .. })), "{condition:?}");
            continue;
        }
        world.run_for(SECOND * 560);
        assert!(world.take_events(romeo).is_empty(), "{condition:?}");
        assert!((18..=20).contains(&pings(&world)), "{}", pings(&world));
        world.run_for(SECOND * 10);
        assert!(matches!(closed(&mut world, romeo).fault, Some(Fault::Gone)), "{condition:?}");
    }
}

#[test]
fn wire_2_38_a_peer_that_goes_offline_is_asked_at_once_and_an_answer_contradicts() {
    // Its unavailable presence was for somebody else's eyes: it is there.
    let (mut world, [romeo, juliet], [here, _]) = streaming(5);
    offline(&mut world, romeo);
    world.run();
    assert_eq!(pings(&world), 1);
    world.run_for(SECOND * 20);
    send(&mut world, romeo, here, "still there").unwrap();
    world.run();
    assert_eq!(crate::common::bodies(&world.take_events(juliet)), ["still there"]);

    // It is held by its server at that moment, and silent for longer than that.
    let (mut world, [romeo, juliet], _) = streaming(7);
    world.hold(juliet);
    world.run_for(SECOND * 100);
    offline(&mut world, romeo);
    world.run_for(SECOND * 8 - MILLI);
    assert!(world.take_events(romeo).is_empty());
    world.run_for(MILLI);
    assert!(matches!(closed(&mut world, romeo).fault, Some(Fault::Gone)));
    assert_eq!(pings(&world), 1, "one question that is open is enough");

    // The server sends the question back.
    let (mut world, [romeo, _], _) = streaming(9);
    world.relay.set_online(JULIET, false);
    offline(&mut world, romeo);
    world.run_for(SECOND);
    assert!(matches!(closed(&mut world, romeo).fault, Some(Fault::Refused { .. })));
}

#[test]
fn wire_2_38_an_offer_whose_peer_goes_offline_is_asked_about_too() {
    let (mut world, romeo, juliet) = World::pair(11);
    let peer = world.jid(juliet).clone();
    let options = crate::common::xml(xtls::TrustPolicy::Pinned);
    let tunnel = world.with(romeo, |engine, now| engine.initiate(now, peer, options.clone())).unwrap();
    world.run();
    offline(&mut world, romeo);
    world.run_for(SECOND * 9);
    assert_eq!((pings(&world), errors(&world, JULIET, ROMEO).len()), (1, 0));
    world.accept(juliet, options).unwrap();
    world.run();
    assert!(world.take_events(romeo).iter().any(|event| matches!(event, Event::StreamOpened { id } if *id == tunnel)));
}

#[test]
fn data_on_its_way_to_a_silent_peer_has_600_seconds() {
    let (mut world, [romeo, juliet], [here, there]) = piping(13);
    world.hold(juliet);
    let text = noise(30_000, 1);
    write(&mut world, romeo, here, &text);
    world.run_for(SECOND * 595);
    world.release(juliet);
    world.run();
    assert_eq!(read(&mut world, juliet, there), text);
    world.hold(juliet);
    write(&mut world, romeo, here, &text);
    world.run_for(SECOND * 601);
    let end = closed(&mut world, romeo);
    assert!(
        matches!(end.fault, Some(Fault::Timeout { timer: Timer::Stall, .. } | Fault::Gone)) && end.unacked > 0,
        "{end:?}"
    );
}

/// A request of ours that a secured peer does not answer: whatever else it says, the answer to a later question decides.
#[test]
fn wire_2_38_what_a_secured_peer_leaves_unanswered_ends_the_tunnel_only_if_it_is_there() {
    for is_there_then in [true, false] {
        let mut script = Script::new(15);
        let tunnel = script.streaming();
        let _ = script.take_requests();
        script.answers = false;
        assert_eq!(script.set(ADD).as_deref(), Some("result"));
        let rejects = script.take_requests();
        assert!(rejects.len() == 1 && rejects[0].contains("content-reject"), "{rejects:?}");
        script.world.run_for(SECOND * 31);
        script.settle();
        let asked = script.take_requests();
        assert!(asked.len() == 1 && is_ping(&asked[0]), "{asked:?}");
        assert!(is_there(&mut script, tunnel));
        if !is_there_then {
            script.world.run_for(SECOND * 560);
            assert!(is_there(&mut script, tunnel));
            // It was away, and now everything comes in order.
            answer(&mut script, &rejects[0]);
            answer(&mut script, &asked[0]);
            script.world.run_for(SECOND);
            assert!(is_there(&mut script, tunnel));
            continue;
        }
        is_there_without(&mut script, asked);
        let juliet = script.juliet;
        let end = closed(&mut script.world, juliet);
        assert!(matches!(end.fault, Some(Fault::Timeout { timer: Timer::Answer, .. })), "{end:?}");
    }
}

#[test]
fn wire_2_38_the_answer_to_an_older_question_decides_nothing() {
    let mut script = Script::new(17);
    let tunnel = script.streaming();
    let _ = script.take_requests();
    script.answers = false;
    script.world.run_for(SECOND * 31);
    script.settle();
    let asked = script.take_requests();
    assert!(asked.len() == 1 && is_ping(&asked[0]), "{asked:?}");
    assert_eq!(script.set(ADD).as_deref(), Some("result"));
    let rejects = script.take_requests();
    script.world.run_for(SECOND * 31);
    script.settle();
    assert_eq!(script.take_requests(), [""; 0], "the question is open still");
    answer(&mut script, &asked[0]);
    assert!(is_there(&mut script, tunnel));
    let again = script.take_requests();
    assert!(again.len() == 1 && is_ping(&again[0]), "{again:?}");
    answer(&mut script, &rejects[0]);
    answer(&mut script, &again[0]);
    script.world.run_for(SECOND * 20);
    assert!(is_there(&mut script, tunnel));
}

/// The same for the stream header, which comes through the tunnel.
#[test]
fn wire_2_38_a_secured_peer_that_is_silent_has_time_for_its_stream_header() {
    for opens in [true, false] {
        let mut script = Script::new(19);
        let tunnel = script.secured();
        let _ = script.take_requests();
        script.answers = false;
        script.world.run_for(SECOND * 590);
        script.settle();
        let asked = script.take_requests();
        assert!(asked.len() == 1 && is_ping(&asked[0]), "{asked:?}");
        assert!(is_there(&mut script, tunnel));
        if opens {
            let header = script.seal(crate::common::script::HEADER.as_bytes());
            assert_eq!(script.block(&header).as_deref(), Some("result"));
            answer(&mut script, &asked[0]);
            script.world.run_for(SECOND * 20);
            assert!(is_there(&mut script, tunnel));
            continue;
        }
        is_there_without(&mut script, asked);
        let juliet = script.juliet;
        let end = closed(&mut script.world, juliet);
        assert!(matches!(end.fault, Some(Fault::Timeout { timer: Timer::Stream, .. })), "{end:?}");
    }
}

#[test]
fn strangers_give_no_sign_of_life() {
    let (mut world, [romeo, juliet], _) = streaming(21);
    world.hold(juliet);
    for _ in 0..60 {
        world.run_for(SECOND * 10);
        let _ = world.deliver(romeo, &format!("<message from='{MALLORY}' to='{ROMEO}'/>"));
        let _ = world.deliver(romeo, &format!("<message from='juliet@capulet.lit/tower' to='{ROMEO}'/>"));
        let mut error = String::new();
        Iq::write_error(&mut error, "1", ROMEO, Some(JULIET), &Condition::ServiceUnavailable.into());
        let _ = world.deliver(romeo, &error);
    }
    assert!(matches!(closed(&mut world, romeo).fault, Some(Fault::Gone)));
}

/// What was queued when the peer closed the bytestream goes nowhere: there is nothing to wait for, whatever the peer answers.
#[test]
fn p_a_peer_that_closes_the_bytestream_and_answers_pings_does_not_keep_a_tunnel_for_ever() {
    for closes in [false, true] {
        let mut script = Script::new(30);
        let tunnel = script.streaming();
        let juliet = script.juliet;
        script.answers = false;
        script.take_requests();
        let body = "x".repeat(4000);
        while send(&mut script.world, juliet, tunnel, &body).is_ok() {}
        script.settle();
        let in_flight = script.take_requests();
        assert!(in_flight.iter().filter(|stanza| stanza.contains("<data ")).count() >= 4);

        let mut end = script.seal(b"</stream:stream>");
        script.tls.as_mut().unwrap().close(&mut end);
        assert_eq!(script.block(&end).as_deref(), Some("result"));
        assert_eq!(script.set(&ibb_close("b1")).as_deref(), Some("result"));
        script.answers = true;
        for request in in_flight {
            answer(&mut script, &request);
        }
        if closes {
            crate::common::close(&mut script.world, juliet, tunnel);
        }
        // Every question is answered as soon as it comes.
        for _ in 0..5 {
            script.settle();
            script.world.run_for(SECOND);
        }
        script.settle();
        let ended = closed(&mut script.world, juliet);
        assert!(ended.by == EndedBy::Remote && ended.unacked > 0, "{}", ended.said);
        assert!(!is_there(&mut script, tunnel));
    }
}

#[test]
fn p21_a_peer_that_takes_a_block_now_and_then_does_not_draw_out_an_end() {
    let mut script = Script::new(47);
    let tunnel = script.streaming();
    script.take_requests();
    script.answers = false;
    let juliet = script.juliet;
    let body = "x".repeat(40_000);
    let message = element(&format!("<message xmlns='jabber:client'><body>{body}</body></message>"));
    script.world.with(juliet, |engine, now| engine.tunnel(tunnel).unwrap().send(now, &message)).unwrap();
    script.world.with(juliet, |engine, now| engine.tunnel(tunnel).unwrap().close(now));
    script.settle();
    for taken in 0..5 {
        script.world.run_for(SECOND * 119);
        script.settle();
        assert!(script.world.take_events(juliet).is_empty(), "{taken} blocks were taken");
        let blocks: Vec<_> = script.requests.iter().filter(|request| request.contains("<data")).cloned().collect();
        answer(&mut script, &blocks[taken]);
    }
    script.world.run_for(SECOND * 4);
    assert!(script.world.take_events(juliet).is_empty());
    script.world.run_for(SECOND * 2);
    let end = closed(&mut script.world, juliet);
    assert!(matches!(end.fault, Some(Fault::Timeout { timer: Timer::End, .. })), "{end:?}");
    assert_eq!(end.by, EndedBy::Engine);
}
