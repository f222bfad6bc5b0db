//! Which clocks stand still while the outer stream is away (XEP-0198), and which run on.
use std::time::Duration;

use crate::common::{
    JULIET, MILLI, ROMEO, SECOND, bodies, closed, deadline, initiate, left, noise,
    password::{asking, by_word, strangers},
    piping, raw, read, send, sent, streaming, terminations, write, xml,
};
use xtls::{
    CloseReason, EndedBy, Event, Fault, Timer, TrustPolicy,
    jingle::{Reason, ReasonCondition},
};
use xtls_testkit::World;

const AWAY: Duration = Duration::from_secs(300);

#[test]
fn what_waits_for_a_peer_has_the_time_it_had_left_and_30_seconds_at_least() {
    let (mut world, romeo, juliet) = World::pair(84);
    // The answer to the question for support is lost; 1 ms of its time is left.
    let peer = world.jid(juliet).clone();
    world.relay.meddle(|_| xtls_testkit::Fate::Replace(Vec::new()));
    world.with(romeo, |engine, now| engine.initiate(now, peer, xml(TrustPolicy::Pinned))).unwrap();
    world.run_for(SECOND * 30 - MILLI);
    assert_eq!(left(&mut world, romeo), (MILLI, Timer::Answer));
    world.suspend(romeo);
    world.run_for(AWAY);
    world.resume(romeo);
    assert_eq!(left(&mut world, romeo), (SECOND * 30, Timer::Answer));
    world.run_for(SECOND * 30 - MILLI);
    assert!(world.take_events(romeo).is_empty());
    world.run_for(MILLI);
    assert!(matches!(closed(&mut world, romeo).fault, Some(Fault::Timeout { timer: Timer::Answer, .. })));

    // An offer that rings at the other end for 100 s.
    world.relay.stop_meddling();
    initiate(&mut world, romeo, juliet);
    world.run_for(SECOND * 100);
    let before = left(&mut world, romeo);
    assert_eq!(before, (SECOND * 200, Timer::Question));
    world.suspend(romeo);
    // Juliet knows of it, and goes by her own clock.
    world.run_for(SECOND * 190);
    world.resume(romeo);
    assert_eq!(left(&mut world, romeo), before);
    world.accept(juliet, xml(TrustPolicy::Pinned)).unwrap();
    world.run();
    assert!(world.take_events(romeo).iter().any(|event| matches!(event, Event::StreamOpened { .. })));
}

#[test]
fn questions_to_the_user_keep_their_time() {
    // An offer that nobody has decided on.
    let (mut world, romeo, juliet) = World::pair(86);
    initiate(&mut world, romeo, juliet);
    world.run();
    let before = deadline(&mut world, juliet);
    world.suspend(juliet);
    assert_eq!(deadline(&mut world, juliet), before);
    let (wait, timer) = left(&mut world, juliet);
    assert_eq!(timer, Timer::Question);
    world.run_for(wait - MILLI);
    assert!(matches!(&*world.take_events(juliet), [Event::Incoming(_)]));
    world.run_for(MILLI);
    assert!(matches!(&*world.take_events(juliet), [Event::IncomingGone { .. }]));
    assert_eq!(terminations(&world, JULIET, ROMEO), [""; 0], "she cannot say so yet");
    world.resume(juliet);
    world.run();
    assert_eq!(terminations(&world, JULIET, ROMEO), ["decline"]);

    // A certificate that a person has to judge.
    let (mut world, [romeo, juliet]) = strangers(88);
    crate::common::password::meet(&mut world, [romeo, juliet], raw(TrustPolicy::Ask), raw(TrustPolicy::LeapOfFaith));
    assert!(matches!(&*world.take_events(romeo), [Event::TrustRequired { .. }]));
    let before = deadline(&mut world, romeo);
    world.suspend(romeo);
    let (wait, timer) = left(&mut world, romeo);
    assert!(
        timer == Timer::Question && wait > SECOND * 290 && before.is_some_and(|before| before.at - world.now() <= wait)
    );
    world.run_for(wait);
    assert!(matches!(closed(&mut world, romeo).fault, Some(Fault::TrustRefused)));

    // A password.
    let (mut world, [romeo, juliet]) = strangers(90);
    let peer = world.jid(juliet).clone();
    world.with(romeo, |engine, now| engine.initiate(now, peer, by_word())).unwrap();
    world.run();
    world.accept(juliet, asking(TrustPolicy::Pinned)).unwrap();
    world.run();
    assert!(matches!(&*world.take_events(juliet), [Event::PasswordRequired { .. }]));
    world.suspend(juliet);
    let (wait, timer) = left(&mut world, juliet);
    assert!(timer == Timer::Question && wait > SECOND * 290);
    world.run_for(wait);
    assert!(closed(&mut world, juliet).security);
}

#[test]
fn an_answer_to_a_question_counts_while_the_stream_is_away() {
    let (mut world, romeo, juliet) = World::pair(92);
    let tunnel = initiate(&mut world, romeo, juliet);
    world.run();
    world.suspend(juliet);
    world.run_for(SECOND * 200);
    world.accept(juliet, xml(TrustPolicy::Pinned)).unwrap();
    world.run_for(SECOND * 80);
    // What begins meanwhile has its whole time once the stream is back.
    world.resume(juliet);
    assert_eq!(left(&mut world, juliet), (SECOND * 30, Timer::Answer));
    world.run();
    send(&mut world, romeo, tunnel, "hi").unwrap();
    world.run();
    assert_eq!(bodies(&world.take_events(juliet)), ["hi"]);
}

#[test]
fn a_tunnel_that_is_begun_meanwhile_waits_for_the_stream() {
    let (mut world, romeo, juliet) = World::pair(94);
    world.suspend(romeo);
    let peer = world.jid(juliet).clone();
    world.run_for(SECOND * 10);
    world.with(romeo, |engine, now| engine.initiate(now, peer, xml(TrustPolicy::Pinned))).unwrap();
    world.run_for(AWAY);
    assert!(world.take_events(romeo).is_empty());
    assert_eq!(left(&mut world, romeo).1, Timer::Suspended);
    world.resume(romeo);
    assert_eq!(left(&mut world, romeo), (SECOND * 30, Timer::Answer));
    world.run();
    world.accept(juliet, xml(TrustPolicy::Pinned)).unwrap();
    world.run();
    assert!(world.take_events(romeo).iter().any(|event| matches!(event, Event::StreamOpened { .. })));
}

#[test]
fn a_close_meanwhile_ends_after_5_seconds_if_nothing_was_on_its_way() {
    let (mut world, [romeo, juliet], [here, _]) = piping(96);
    world.suspend(romeo);
    world.run_for(SECOND);
    crate::common::close(&mut world, romeo, here);
    assert_eq!(left(&mut world, romeo), (SECOND * 5, Timer::Close));
    world.run_for(SECOND * 5 - MILLI);
    assert!(world.take_events(romeo).is_empty());
    world.run_for(MILLI);
    let end = closed(&mut world, romeo);
    assert!(matches!(end.fault, Some(Fault::Timeout { timer: Timer::Close, .. })) && end.unacked == 0, "{end:?}");
    world.run_for(AWAY);
    world.resume(romeo);
    world.run();
    assert!(!closed(&mut world, juliet).truncated, "the farewell went first");
}

#[test]
fn a_close_meanwhile_waits_for_what_is_on_its_way() {
    let (mut world, [romeo, juliet], [here, there]) = piping(98);
    world.suspend(romeo);
    write(&mut world, romeo, here, &noise(50_000, 1));
    crate::common::close(&mut world, romeo, here);
    world.run_for(AWAY);
    assert!(world.take_events(romeo).is_empty());
    world.resume(romeo);
    world.run();
    assert_eq!(read(&mut world, juliet, there), noise(50_000, 1));
    world.run();
    assert!(closed(&mut world, romeo).is_clean(EndedBy::Local));
    assert!(closed(&mut world, juliet).is_clean(EndedBy::Remote));
}

#[test]
fn an_abort_meanwhile_ends_at_once_and_is_told_later() {
    let (mut world, [romeo, juliet], [here, _]) = streaming(100);
    world.suspend(romeo);
    world.with(romeo, |engine, now| engine.tunnel(here).unwrap().abort(now, Reason::new(ReasonCondition::Cancel)));
    world.run_for(AWAY);
    assert_eq!(closed(&mut world, romeo).condition.as_deref(), Some("cancel"));
    world.resume(romeo);
    world.run();
    assert_eq!(closed(&mut world, juliet).condition.as_deref(), Some("cancel"));
}

#[test]
fn a_question_for_an_offer_stands_still_too() {
    let (mut world, romeo, juliet) = World::pair(102);
    let peer = world.jid(juliet).clone();
    let options = xml(TrustPolicy::Pinned);
    world.with(romeo, |engine, now| engine.probe(now, peer.clone(), &options)).unwrap();
    world.suspend(romeo);
    world.run_for(SECOND * 10);
    world.with(romeo, |engine, now| engine.probe(now, peer, &options)).unwrap();
    world.run_for(AWAY);
    assert!(world.take_events(romeo).is_empty());
    world.resume(romeo);
    assert_eq!(left(&mut world, romeo), (SECOND * 30, Timer::Answer));
    world.run();
    let events = world.take_events(romeo);
    assert!(
        matches!(&*events, [Event::Probed { result: Ok(_), .. }, Event::Probed { result: Ok(_), .. }]),
        "{events:?}"
    );
}

#[test]
fn bytes_that_nobody_reads_after_the_end_are_dropped_in_their_time() {
    let (mut world, [romeo, juliet], [here, _]) = piping(104);
    write(&mut world, romeo, here, b"unread");
    world.run();
    crate::common::close(&mut world, romeo, here);
    // Nobody gives a receipt.
    world.run_for(SECOND * 61);
    world.suspend(juliet);
    assert_eq!(left(&mut world, juliet).1, Timer::Drain);
    world.run_for(SECOND * 60);
    let events = world.take_events(juliet);
    let Some(Event::Closed(end)) = events.last() else { panic!("{events:?}") };
    assert!(matches!(end.reason, CloseReason::Done));
    assert!(!sent(&world, JULIET, ROMEO).is_empty());
}
