//! Peers that fall silent, go offline or never answer: every timer, at its deadline and just before it.
use std::time::Duration;

use crate::common::{
    Ended, JULIET, MALLORY, MILLI, ROMEO, SECOND, closed, noise, piping, script::Script, sent, streaming, terminations,
    write, xml,
};
use xtls::{EndedBy, Event, Fault, Timer, TrustPolicy};
use xtls_testkit::{EntityId, Fate, World};

/// Nothing happens until just before `after`, and the tunnel ends then.
fn ends_after(world: &mut World, id: EntityId, after: Duration) -> Ended {
    world.run_for(after - MILLI);
    let before = world.take_events(id);
    assert!(before.is_empty(), "too early: {before:?}");
    world.run_for(2 * MILLI);
    closed(world, id)
}

fn silence(world: &mut World) {
    world.relay.meddle(|_| Fate::Replace(Vec::new()));
}

#[test]
fn the_answer_to_the_question_for_support_has_30_seconds() {
    let (mut world, romeo, juliet) = World::pair(1);
    silence(&mut world);
    let peer = world.jid(juliet).clone();
    world.with(romeo, |engine, now| engine.initiate(now, peer, xml(TrustPolicy::Pinned))).unwrap();
    let due = world.with(romeo, |engine, _| engine.poll_timeout()).unwrap();
    assert_eq!((due.at - world.now(), due.timer), (30 * SECOND, Timer::Answer));
    let end = ends_after(&mut world, romeo, 30 * SECOND);
    assert!(
        matches!(end.fault, Some(Fault::Timeout { timer: Timer::Answer, .. })) && end.by == EndedBy::Engine,
        "{end:?}"
    );
    assert!(!end.truncated && end.unacked == 0);
}

#[test]
fn an_offer_rings_for_300_seconds_at_both_ends() {
    let (mut world, romeo, juliet) = World::pair(3);
    let peer = world.jid(juliet).clone();
    let mut options = xml(TrustPolicy::Pinned);
    options.check_support = false;
    world.with(romeo, |engine, now| engine.initiate(now, peer, options)).unwrap();
    let begun = world.now();
    world.run();
    assert!(matches!(&*world.take_events(juliet), [Event::Incoming(_)]));
    let left = 300 * SECOND - (world.now() - begun);
    let end = ends_after(&mut world, romeo, left);
    assert!(matches!(end.fault, Some(Fault::Timeout { timer: Timer::Question, .. })), "{end:?}");
    world.run_for(SECOND);
    assert!(matches!(&*world.take_events(juliet), [Event::IncomingGone { .. }]));
    assert_eq!(terminations(&world, ROMEO, JULIET), ["timeout"]);
}

#[test]
fn an_initiator_that_takes_its_offer_back_is_told_of() {
    let (mut world, romeo, juliet) = World::pair(5);
    let peer = world.jid(juliet).clone();
    let tunnel = world.with(romeo, |engine, now| engine.initiate(now, peer, xml(TrustPolicy::Pinned))).unwrap();
    world.run();
    let events = world.take_events(juliet);
    let Some(Event::Incoming(incoming)) = events.into_iter().next() else { panic!("an offer") };
    crate::common::close(&mut world, romeo, tunnel);
    world.run();
    assert_eq!(closed(&mut world, romeo).condition.as_deref(), Some("cancel"));
    assert!(matches!(&*world.take_events(juliet), [Event::IncomingGone { id }] if *id == incoming.id()));
    let late = world.with(juliet, |engine, now| engine.accept(now, incoming, xml(TrustPolicy::Pinned)));
    assert_eq!(late.unwrap_err(), xtls::error::AcceptError::Gone);
}

#[test]
fn a_handshake_has_60_seconds_from_its_first_byte() {
    let (mut world, romeo, juliet) = World::pair(7);
    let peer = world.jid(juliet).clone();
    world.with(romeo, |engine, now| engine.initiate(now, peer, xml(TrustPolicy::Pinned))).unwrap();
    world.run();
    // Whatever Juliet sends of TLS is lost, and everything else goes through.
    world.relay.meddle(|passed| match passed.from == JULIET && passed.stanza.contains("<data ") {
        true => Fate::Replace(Vec::new()),
        false => Fate::Pass,
    });
    world.accept(juliet, xml(TrustPolicy::Pinned)).unwrap();
    world.run();
    let hello = world.relay.log().iter().find(|it| it.from == ROMEO && it.stanza.contains("<data ")).unwrap().at;
    let left = 60 * SECOND - (world.now() - hello);
    let end = ends_after(&mut world, romeo, left);
    assert!(matches!(end.fault, Some(Fault::Timeout { timer: Timer::Handshake, .. })) && !end.secured, "{end:?}");
    assert_eq!(terminations(&world, ROMEO, JULIET), ["timeout"]);
    world.run();
    assert!(!closed(&mut world, juliet).done);
}

#[test]
fn silence_is_asked_about_after_30_seconds_and_ends_after_600() {
    let (mut world, [romeo, juliet], _) = streaming(9);
    let both = |world: &World| [sent(world, ROMEO, JULIET), sent(world, JULIET, ROMEO)].concat();
    let before = both(&world).len();
    let quiet = world.now();
    world.run_for(29 * SECOND);
    assert_eq!(both(&world).len(), before);
    world.run_for(2 * SECOND);
    // One of them asks, and hears the other by that.
    let pings = both(&world);
    assert!(pings.iter().any(|ping| ping.contains("session-info")), "{pings:?}");
    // Both are there, for hours.
    world.run_for(3600 * SECOND);
    assert!(world.take_events(romeo).is_empty() && world.take_events(juliet).is_empty());
    assert!(world.now() > quiet);
    // And now nobody hears anything any more.
    let heard = world.relay.log().iter().rfind(|it| it.to == ROMEO).unwrap().at + 50 * MILLI;
    silence(&mut world);
    let left = 600 * SECOND - (world.now() - heard);
    let end = ends_after(&mut world, romeo, left);
    assert!(matches!(end.fault, Some(Fault::Gone)) && end.truncated, "{end:?}");
    let _ = world.take_events(juliet);
}

#[test]
fn a_peer_that_goes_offline_is_gone_after_8_seconds_unless_it_is_heard_of() {
    for speaks in [false, true] {
        let (mut world, [romeo, juliet], [_, there]) = streaming(11);
        // Otherwise she would answer when she is asked.
        world.relay.meddle(|passed| match passed.from == JULIET && passed.stanza.contains("type='result'") {
            true => Fate::Replace(Vec::new()),
            false => Fate::Pass,
        });
        let offline = format!("<presence type='unavailable' from='{JULIET}' to='{ROMEO}'/>");
        assert!(matches!(world.deliver(romeo, &offline), xtls::Disposition::Observed));
        if speaks {
            world.run_for(7 * SECOND);
            crate::common::send(&mut world, juliet, there, "I am here").unwrap();
            world.run_for(20 * SECOND);
            assert_eq!(crate::common::bodies(&world.take_events(romeo)), ["I am here"]);
            continue;
        }
        // Bounces and presences of others are no sign of life.
        let _ = world.deliver(romeo, &format!("<message type='error' from='{JULIET}' to='{ROMEO}'/>"));
        let _ = world.deliver(romeo, &format!("<presence from='{MALLORY}' to='{ROMEO}'/>"));
        let end = ends_after(&mut world, romeo, 8 * SECOND);
        assert!(matches!(end.fault, Some(Fault::Gone)) && end.truncated && end.by == EndedBy::Engine, "{end:?}");
        assert_eq!(terminations(&world, ROMEO, JULIET), ["gone"]);
    }
}

#[test]
fn the_presence_of_another_resource_says_nothing() {
    let (mut world, [romeo, _], _) = streaming(13);
    let offline = format!("<presence type='unavailable' from='juliet@capulet.lit/tower' to='{ROMEO}'/>");
    assert!(matches!(world.deliver(romeo, &offline), xtls::Disposition::NotOurs));
    world.run_for(100 * SECOND);
    assert!(world.take_events(romeo).is_empty());
}

#[test]
fn data_that_is_never_acknowledged_stalls_for_600_seconds_while_the_peer_is_alive() {
    let (mut world, [romeo, _], [tunnel, _]) = piping(15);
    let mut last = String::new();
    world.relay.meddle(move |passed| {
        if passed.from == ROMEO && passed.stanza.contains("<data ") {
            passed.stanza.split(" id='").nth(1).unwrap().split('\'').next().unwrap().clone_into(&mut last);
        }
        match passed.from == JULIET && passed.stanza.contains(&format!("id='{last}'")) && !last.is_empty() {
            true => Fate::Replace(Vec::new()),
            false => Fate::Pass,
        }
    });
    write(&mut world, romeo, tunnel, b"unheard");
    let end = ends_after(&mut world, romeo, 600 * SECOND);
    assert!(matches!(end.fault, Some(Fault::Timeout { timer: Timer::Stall, .. })) && end.truncated, "{end:?}");
    assert_eq!(end.unacked, 7);
}

#[test]
fn a_confirmation_has_3_seconds() {
    let (mut world, romeo, juliet) = World::pair(17);
    let peer = world.jid(juliet).clone();
    let mut options = crate::common::raw(TrustPolicy::Pinned);
    world.with(romeo, |engine, now| engine.initiate(now, peer, options.clone())).unwrap();
    world.run();
    options.terms.trust = TrustPolicy::Pinned;
    // The ticket is lost, and everything after it.
    let mut blocks = 0;
    world.relay.meddle(move |passed| {
        blocks += usize::from(passed.from == JULIET && passed.stanza.contains("<data "));
        if passed.from == JULIET && blocks > 1 && passed.stanza.contains("<data ") {
            return Fate::Replace(Vec::new());
        }
        Fate::Pass
    });
    world.accept(juliet, options).unwrap();
    world.run();
    let finished =
        world.relay.log().iter().filter(|it| it.from == ROMEO && it.stanza.contains("<data ")).nth(1).unwrap();
    let left = 3 * SECOND - (world.now() - finished.at);
    world.run_for(left - MILLI);
    assert!(world.take_events(romeo).is_empty());
    world.run_for(2 * MILLI);
    assert!(matches!(&*world.take_events(romeo), [Event::Secured { security, .. }] if !security.confirmed));
}

#[test]
fn a_session_terminate_that_nobody_answers_is_forgotten_after_5_seconds() {
    let (mut world, [romeo, _], [tunnel, _]) = streaming(19);
    silence(&mut world);
    world.with(romeo, |engine, now| {
        engine.tunnel(tunnel).unwrap().abort(now, xtls::jingle::Reason::new(xtls::jingle::ReasonCondition::Cancel));
    });
    world.run();
    assert_eq!(closed(&mut world, romeo).condition.as_deref(), Some("cancel"));
    let due = world.with(romeo, |engine, _| engine.poll_timeout()).unwrap();
    assert_eq!(due.timer, Timer::Close);
    world.run_for(5 * SECOND);
    assert_eq!(world.with(romeo, |engine, _| engine.poll_timeout()), None);
}

#[test]
fn a_close_into_silence_ends_after_5_seconds_when_everything_before_it_was_acknowledged() {
    let (mut world, [romeo, _], [tunnel, _]) = streaming(21);
    silence(&mut world);
    crate::common::close(&mut world, romeo, tunnel);
    let end = ends_after(&mut world, romeo, 5 * SECOND);
    assert!(matches!(end.fault, Some(Fault::Timeout { timer: Timer::Close, .. })) && end.truncated, "{end:?}");
}

#[test]
fn a_broken_connection_ends_every_tunnel_at_once_and_tells_what_was_lost() {
    let (mut world, [romeo, juliet], [tunnel, _]) = piping(23);
    let second = world.connect_with(romeo, juliet, xml(TrustPolicy::Pinned)).0;
    let _ = world.take_events(romeo);
    write(&mut world, romeo, tunnel, &noise(1000, 1));
    world.disconnect(romeo);
    let events = world.take_events(romeo);
    let [Event::Closed(first), Event::Closed(other)] = &*events else { panic!("{events:?}") };
    assert_eq!((first.id, first.unacked, first.truncated), (tunnel, 1000, true));
    assert_eq!((other.id, other.unacked, other.truncated), (second, 0, true));
    for closed in [first, other] {
        assert!(matches!(&closed.reason, xtls::CloseReason::Fault(fault) if matches!(**fault, Fault::Disconnected)));
        assert_eq!(closed.by, EndedBy::Engine);
    }
    assert_eq!(world.with(romeo, |engine, _| (engine.tunnels().count(), engine.poll_timeout())), (0, None));
    // The peer finds out by itself.
    world.run_for(61 * SECOND);
    let ends = world.take_events(juliet);
    assert_eq!(ends.iter().filter(|event| matches!(event, Event::Closed(closed) if closed.truncated)).count(), 2);
}

#[test]
fn data_to_somebody_who_is_not_there_any_more_ends_at_once() {
    let (mut world, [romeo, _], [tunnel, _]) = piping(25);
    world.relay.set_online(JULIET, false);
    write(&mut world, romeo, tunnel, b"hello?");
    let before = world.now();
    world.run();
    assert!(world.now() - before < SECOND);
    let end = closed(&mut world, romeo);
    let Some(Fault::Undelivered { error }) = &end.fault else { panic!("{end:?}") };
    assert_eq!(error.condition, xtls_stanza::Condition::ServiceUnavailable);
    assert!(end.truncated && end.unacked == 6 && !end.security);
}

#[test]
fn a_ping_that_is_refused_ends_at_once_unless_a_living_peer_refuses_it() {
    for (condition, ends) in [
        ("service-unavailable", true),
        ("item-not-found", true),
        ("feature-not-implemented", false),
        ("bad-request", false),
    ] {
        let mut script = Script::new(27);
        script.streaming();
        script.answers = false;
        script.world.run_for(31 * SECOND);
        script.settle();
        let ping = script.take_requests().pop().unwrap();
        assert!(ping.contains("session-info"), "{ping}");
        let id = ping.split(" id='").nth(1).unwrap().split('\'').next().unwrap().to_owned();
        script.stanza(&format!(
            "<iq type='error' id='{id}' to='{JULIET}'><error type='cancel'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        ));
        let events = script.world.take_events(script.juliet);
        assert_eq!(!events.is_empty(), ends, "{condition}: {events:?}");
        if !ends {
            // It goes on, and is asked again in its time.
            script.world.run_for(29 * SECOND);
            assert!(script.world.take_events(script.juliet).is_empty(), "{condition}");
        }
    }
}

#[test]
fn a_peer_that_is_killed_and_comes_back_knows_nothing_and_says_so() {
    let (mut world, [romeo, juliet], [tunnel, _]) = streaming(29);
    // Her client was restarted: the stanza reaches another engine, which is the only one to handle bytestreams.
    world.relay.set_online(JULIET, false);
    crate::common::send(&mut world, romeo, tunnel, "are you there").unwrap();
    world.run();
    let end = closed(&mut world, romeo);
    assert!(end.truncated && end.unacked > 0, "{end:?}");
    let _ = juliet;
}
