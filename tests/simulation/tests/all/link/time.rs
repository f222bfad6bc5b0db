//! Silence, early ends, garbage: within the deadline, and with nothing said that should not be.

use std::time::Duration;

use xtls::link::{ClientTerms, LinkEvent, PeerLink, ServerTerms};
use xtls::{CloseReason, Fault, Terms, Timer, TrustDecision, TrustPolicy, link::Stage};
use xtls_testkit::{LinkPair, SIDES};

use super::common::{I, R, bodies, clear, closed, fault, friends, message, password, pinned, secured};

const SECOND: Duration = Duration::from_secs(1);

/// The link of an end fails because of this timer, at this second and not one earlier.
fn times_out(pair: &mut LinkPair, side: xtls::event::Side, timer: Timer, seconds: u64) {
    let before = pair.link(side).stage();
    pair.run_for(SECOND * u32::try_from(seconds).unwrap() - SECOND);
    assert_eq!(pair.link(side).stage(), before, "not yet");
    pair.run_for(SECOND);
    match fault(pair, side) {
        Fault::Timeout { timer: found, stage, .. } => assert_eq!((found, stage), (timer, Some(before))),
        other => panic!("{other:?}"),
    }
}

/// Lets nothing of what an end sends through from the first time that it sends this.
fn mute(pair: &mut LinkPair, side: xtls::event::Side, from: &'static [u8]) {
    let mut muted = false;
    pair.tamper(side, move |bytes| {
        muted |= bytes.windows(from.len()).any(|window| window == from);
        if muted {
            bytes.clear();
        }
    });
}

#[test]
fn a_peer_that_never_says_anything() {
    for side in SIDES {
        let mut pair = friends(1);
        pair.tamper(I, Vec::clear);
        pair.tamper(R, Vec::clear);
        pair.start(pinned(), Some(pinned()));
        pair.run();
        times_out(&mut pair, side, Timer::Answer, 30);
    }
}

#[test]
fn a_peer_that_falls_silent_at_any_step() {
    // Features, STARTTLS, its answer, the handshake from either end, the stream inside.
    for (silent, from, waiting, timer, seconds) in [
        (R, b"<stream:features".as_slice(), I, Timer::Answer, 30),
        (I, b"<starttls", R, Timer::Answer, 30),
        (R, b"<proceed", I, Timer::Answer, 30),
        (I, &[22, 3], R, Timer::Handshake, 60),
        (R, &[22, 3], I, Timer::Handshake, 60),
        // The initiating end's person may be judging the certificate.
        (I, &[20, 3, 3], R, Timer::Handshake, 360),
    ] {
        let mut pair = friends(1);
        mute(&mut pair, silent, from);
        pair.start(pinned(), Some(pinned()));
        pair.run();
        times_out(&mut pair, waiting, timer, seconds);
        assert!(!clear(pair.sent(waiting)).contains("<message"));
    }
}

#[test]
fn a_peer_whose_person_may_be_asked_is_given_time() {
    let mut pair = LinkPair::new(1);
    mute(&mut pair, R, b"<proceed");
    pair.connect(password("wherefore"));
    times_out(&mut pair, I, Timer::Answer, 330);
    let mut pair = LinkPair::new(1);
    mute(&mut pair, I, b"<starttls");
    pair.connect(password("wherefore"));
    times_out(&mut pair, R, Timer::Answer, 330);
}

#[test]
fn questions_that_nobody_answers() {
    // Whether to take the link.
    let mut pair = friends(1);
    pair.start(pinned(), None);
    pair.run();
    // The other end does not wait that long for features.
    times_out(&mut pair, I, Timer::Answer, 30);
    let mut pair = friends(1);
    pair.start(pinned(), None);
    pair.run();
    pair.tamper(I, Vec::clear);
    times_out(&mut pair, R, Timer::Question, 300);
    // The password.
    let mut pair = LinkPair::new(1);
    pair.start(pinned().asking_password(), Some(password("wherefore")));
    pair.run();
    times_out(&mut pair, I, Timer::Question, 300);
    // The certificate.
    for judge in SIDES {
        let mut pair = friends(1);
        pair.renew(if judge == I { R } else { I });
        let ask = Terms::new(TrustPolicy::Ask);
        let (first, second) = if judge == I { (ask, pinned()) } else { (pinned(), ask) };
        pair.start(first, Some(second));
        pair.run();
        assert_eq!(pair.link(judge).stage(), Stage::Judging);
        times_out(&mut pair, judge, Timer::Question, 300);
    }
}

#[test]
fn in_tls_1_2_the_initiating_end_waits_for_the_other_ones_person() {
    let judged = |config: fn(&mut LinkPair)| {
        let mut pair = LinkPair::new(1);
        pair.trust(I);
        pair.tls12(R);
        config(&mut pair);
        pair.start(pinned(), Some(Terms::new(TrustPolicy::Ask)));
        pair.run();
        assert_eq!((pair.link(R).stage(), pair.link(I).stage()), (Stage::Judging, Stage::Handshake));
        pair
    };
    // As long as the question stands.
    let mut pair = judged(|_| {});
    pair.run_for(SECOND * 299);
    pair.with(R, |link, now| link.trust(now, TrustDecision::Accept)).unwrap();
    pair.run();
    for side in SIDES {
        let security = secured(&mut pair, side);
        assert_eq!(security.tls.version, xtls_tls::TlsVersion::Tls12);
    }
    let mut pair = judged(|_| {});
    times_out(&mut pair, R, Timer::Question, 300);
    // And no longer than that and a handshake.
    let mut pair = judged(|pair| pair.config(R).timers.question = SECOND * 1000);
    times_out(&mut pair, I, Timer::Handshake, 360);
}

#[test]
fn in_tls_1_2_a_server_has_nobody_to_ask() {
    let mut pair = LinkPair::new(1);
    pair.name(R, "pronto");
    pair.trust(I);
    pair.tls12(R);
    mute(&mut pair, R, &[20, 3, 3]);
    pair.start_client_and_server(&ServerTerms::new(TrustPolicy::Pinned), &ClientTerms::new());
    pair.run();
    times_out(&mut pair, I, Timer::Handshake, 60);
}

#[test]
fn an_initiating_end_that_asks_insists_on_tls_1_3() {
    let mut pair = LinkPair::new(1);
    pair.trust(R);
    pair.tls12(R);
    pair.connect(Terms::new(TrustPolicy::Ask));
    for side in SIDES {
        let events = pair.take_events(side);
        assert!(!events.iter().any(|event| matches!(event, LinkEvent::TrustRequired { .. })), "{events:?}");
        assert_eq!(pair.link(side).stage(), Stage::Ended);
    }
}

#[test]
fn an_end_that_is_not_answered_is_one_after_the_close_time() {
    let mut pair = friends(1);
    pair.connect(pinned());
    let _ = (pair.take_events(I), pair.take_events(R));
    pair.tamper(I, Vec::clear);
    pair.with(I, PeerLink::close);
    pair.run_for(SECOND * 4);
    assert_eq!(pair.link(I).stage(), Stage::Closing);
    pair.run_for(SECOND);
    assert!(matches!(closed(&mut pair, I).reason, CloseReason::Done));
}

#[test]
fn a_link_tells_how_it_is_doing() {
    let mut pair = friends(2);
    pair.start(pinned(), Some(pinned()));
    let stats = pair.link(I).stats();
    assert_eq!((stats.stage, stats.age, stats.heard, stats.received), (Stage::Greeting, Duration::ZERO, None, 0));
    assert_eq!((stats.sent, stats.unsent > 0), (0, true));
    pair.run();
    pair.send(I, &message("wherefore")).unwrap();
    pair.run();
    pair.run_for(SECOND * 20);
    SIDES.into_iter().for_each(|side| pair.with(side, PeerLink::handle_timeout));
    let [here, there] = SIDES.map(|side| pair.link(side).stats());
    let bytes = SIDES.map(|side| u64::try_from(pair.sent(side).len()).unwrap());
    assert_eq!([here.sent, there.sent], bytes);
    assert_eq!([there.received, here.received], bytes);
    assert_eq!((here.unsent, there.unsent), (0, 0));
    for stats in [here, there] {
        assert_eq!(stats.stage, Stage::Open);
        assert!(stats.age >= SECOND * 20 && stats.heard.is_some_and(|heard| heard >= SECOND * 20), "{stats:?}");
    }
}

#[test]
fn white_space_keeps_an_open_link_alive_and_silence_ends_it() {
    let mut pair = friends(1);
    for side in SIDES {
        pair.config(side).timers.silence = Some(SECOND * 150);
    }
    pair.connect(pinned());
    let _ = (pair.take_events(I), pair.take_events(R));
    let sent = pair.sent(I).len();
    pair.run_for(SECOND * 3600);
    assert!(pair.sent(I).len() > sent);
    assert!(pair.take_events(I).is_empty() && pair.take_events(R).is_empty());
    pair.tamper(I, Vec::clear);
    pair.run_for(SECOND * 150);
    assert!(matches!(fault(&mut pair, R), Fault::Timeout { timer: Timer::Silence, stage: Some(Stage::Open), .. }));
}

#[test]
fn a_connection_that_ends_early_says_how_far_it_had_come() {
    for (silent, from, waiting, stage) in [
        (R, b"<stream:stream".as_slice(), I, Stage::Greeting),
        (R, b"<proceed", I, Stage::Asking),
        (I, b"<starttls", R, Stage::Asking),
        (R, &[22, 3], I, Stage::Handshake),
    ] {
        let mut pair = friends(1);
        mute(&mut pair, silent, from);
        pair.start(pinned(), Some(pinned()));
        pair.run();
        pair.cut_off(waiting);
        let found = fault(&mut pair, waiting);
        assert!(matches!(found, Fault::EndedEarly { stage: at, truncated: true } if at == stage), "{found:?}");
        assert!(found.to_string().starts_with("the peer closed the connection "), "{found}");
    }
}

#[test]
fn whoever_speaks_something_else_is_told_apart_and_hears_nothing_secret() {
    for (bytes, name) in [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(), "HTTP"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "SSH"),
        (b"\x16\x03\x01\x00\x05hello", "TLS"),
        (b"<html><body/></html>", "does not speak XMPP"),
        (b"\x00\x01\x02", "does not speak XMPP"),
    ] {
        for side in SIDES {
            let mut pair = friends(1);
            pair.tamper(if side == I { R } else { I }, Vec::clear);
            pair.start(pinned(), Some(pinned()));
            pair.run();
            pair.inject(side, bytes);
            pair.run();
            let found = fault(&mut pair, side);
            assert!(matches!(found, Fault::NotXmpp { .. }), "{side:?} {found:?}");
            assert!(found.to_string().contains(name), "{found}");
        }
    }
}

#[test]
fn features_twice_and_starttls_inside_of_tls_are_refused() {
    let mut pair = friends(1);
    pair.tamper(R, |bytes| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        if let Some(at) = text.find("<stream:features") {
            bytes.extend_from_slice(&text.as_bytes()[at..]);
        }
    });
    pair.connect(pinned());
    assert!(matches!(fault(&mut pair, I), Fault::Link(xtls_stream::DirectFault::FeaturesTwice)));
}

#[test]
fn a_reader_that_does_not_read_is_not_read_for() {
    let mut pair = friends(1);
    pair.connect(pinned());
    let _ = (pair.take_events(I), pair.take_events(R));
    pair.ignore_events(R, true);
    let stanza = message(&"x".repeat(1000));
    let mut sent = 0;
    for _ in 0..400 {
        pair.with(I, |link, now| link.send(now, &stanza)).unwrap();
        sent += 1;
        pair.run();
    }
    assert!(pair.waiting_for(R) > 300_000, "all but a few stay on the wire: {}", pair.waiting_for(R));
    pair.ignore_events(R, false);
    pair.run();
    let events = pair.take_events(R);
    assert_eq!(bodies(&events).len(), sent);
    assert!(events.iter().all(|event| matches!(event, LinkEvent::Stanza { .. })));
}

#[test]
fn a_send_buffer_that_is_full_says_so_and_then_that_there_is_room() {
    let mut pair = friends(1);
    pair.connect(pinned());
    let _ = (pair.take_events(I), pair.take_events(R));
    let stanza = message(&"x".repeat(10_000));
    let mut taken = 0;
    while pair.with(I, |link, now| link.send(now, &stanza)).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, 256 * 1024 / 10_000 + 1);
    assert_eq!(pair.with(I, |link, now| link.send(now, &stanza)), Err(xtls::error::SendError::Full));
    pair.run();
    assert!(matches!(pair.take_events(I)[..], [LinkEvent::Writable]));
    assert_eq!(bodies(&pair.take_events(R)).len(), taken);
}
