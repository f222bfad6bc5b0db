//! Each command at each stage of a link.

use xtls::link::{LinkAcceptError, PeerLink};
use xtls::{
    Password, Terms, TrustDecision, TrustPolicy,
    error::{NotAsked, SendError},
    event::Side,
    link::Stage,
};
use xtls_stanza::Element;
use xtls_testkit::LinkPair;

use super::common::{I, R, friends, message, password, pinned};

/// Stops what an end sends from the first time that it sends this.
fn hold(pair: &mut LinkPair, side: Side, from: &'static [u8]) {
    let mut held = false;
    pair.tamper(side, move |bytes| {
        held |= bytes.windows(from.len()).any(|window| window == from);
        if held {
            bytes.clear();
        }
    });
}

/// An end at a stage.
fn at(stage: Stage, side: Side) -> Option<LinkPair> {
    let other = if side == I { R } else { I };
    let mut pair = friends(2);
    let mut terms = [pinned(), pinned()];
    let mut accepts = true;
    match (stage, side) {
        (Stage::Greeting, _) => hold(&mut pair, other, b"<"),
        (Stage::Deciding, Side::Responder) => accepts = false,
        (Stage::Password, _) => {
            pair = LinkPair::new(2);
            terms = [password("wherefore"), password("wherefore")];
            terms[usize::from(side == R)] = pinned().asking_password();
        }
        (Stage::Asking, Side::Initiator) => hold(&mut pair, R, b"<proceed"),
        (Stage::Asking, _) => hold(&mut pair, I, b"<starttls"),
        (Stage::Handshake, _) => hold(&mut pair, other, &[22, 3]),
        (Stage::Judging, _) => {
            pair = LinkPair::new(2);
            pair.trust(other);
            terms[usize::from(side == R)] = Terms::new(TrustPolicy::Ask);
        }
        // What the initiating end sends in TLS first holds its header; the other one's answer is the second flight.
        (Stage::Restarting, Side::Initiator) => {
            let mut flights = 0;
            pair.tamper(R, move |bytes| {
                flights += usize::from(bytes.first().is_some_and(|first| (20..=23).contains(first)));
                if flights > 1 {
                    bytes.clear();
                }
            });
        }
        (Stage::Open | Stage::Closing | Stage::Ended, _) => {}
        _ => return None,
    }
    let [first, second] = terms;
    pair.start(first, accepts.then_some(second));
    pair.run();
    match stage {
        Stage::Closing => {
            pair.tamper(side, Vec::clear);
            pair.with(side, PeerLink::close);
        }
        Stage::Ended => pair.with(side, PeerLink::abort),
        _ => {}
    }
    assert_eq!(pair.link(side).stage(), stage, "{side:?}");
    Some(pair)
}

#[test]
fn each_command_is_taken_at_its_stage_alone_and_else_changes_nothing() {
    use Stage::{Asking, Closing, Deciding, Ended, Greeting, Handshake, Judging, Open, Password as Asks, Restarting};
    let stages = [Greeting, Deciding, Asks, Asking, Handshake, Judging, Restarting, Open, Closing, Ended];
    let mut seen = 0;
    for stage in stages {
        for side in [I, R] {
            let Some(mut pair) = at(stage, side) else { continue };
            seen += 1;
            let sent = pair.sent(side).len();
            let deadline = pair.link(side).poll_timeout();
            let accepted = |link: &mut PeerLink, now| link.accept(now, pinned());
            if stage != Deciding {
                assert_eq!(pair.with(side, accepted), Err(LinkAcceptError::NotAsked), "{stage:?}");
                assert_eq!(pair.with(side, PeerLink::refuse), Err(NotAsked), "{stage:?}");
            }
            if stage != Asks {
                let known = Password::new("wherefore").unwrap();
                let slip = pair.with(side, |link, now| link.provide_password(now, Some(known)));
                assert_eq!(slip, Err(NotAsked), "{stage:?}");
            }
            if stage != Judging {
                let slip = pair.with(side, |link, now| link.trust(now, TrustDecision::Accept));
                assert_eq!(slip, Err(NotAsked), "{stage:?}");
            }
            if stage != Open {
                let slip = pair.with(side, |link, now| link.send(now, &message("Hi")));
                assert_eq!(slip, Err(SendError::NoStream), "{stage:?}");
                let nonza = Element::builder("x", "urn:example:x").build().unwrap();
                let slip = pair.with(side, |link, now| link.send_nonza(now, &nonza));
                assert_eq!(slip, Err(SendError::NoStream), "{stage:?}");
            }
            pair.with(side, PeerLink::handle_timeout);
            assert_eq!(pair.with(side, |link, now| link.handle_bytes(now, b"")), 0);
            assert_eq!(pair.link(side).poll_timeout(), deadline, "{stage:?}");
            // Nobody is told to be authenticated before that is so.
            let secured = matches!(stage, Open | Closing | Ended);
            assert_eq!(pair.link(side).security().is_some(), secured, "{stage:?} {side:?}");
            let exported = pair.link(side).channel_binding().is_some();
            assert_eq!(exported, matches!(stage, Open | Closing), "{stage:?}");
            assert_eq!((pair.link(side).stage(), pair.sent(side).len()), (stage, sent), "{side:?}");
            // Whatever the stage, it can be ended, and ends but once.
            pair.with(side, PeerLink::abort);
            pair.with(side, PeerLink::close);
            pair.with(side, PeerLink::handle_end);
            pair.run();
            let events = pair.take_events(side);
            let ends = events.iter().filter(|event| matches!(event, xtls::link::LinkEvent::Closed(_))).count();
            assert_eq!((ends, pair.link(side).poll_timeout()), (1, None), "{stage:?} {side:?} {events:?}");
            assert_eq!(pair.with(side, |link, now| link.handle_bytes(now, b"anything")), 8);
        }
    }
    assert_eq!(seen, 18, "all but an initiating end that decides and a receiving one that is held between");
}
