//! XML streams: stanzas, limits, ends, reuse.
use crate::common::{
    JULIET, MALLORY, ROMEO, SECOND, bodies, close, closed, message, send, sent, streaming, terminations, xml,
};
use xtls::{
    Element, EndedBy, Event, Fault, TrustPolicy,
    error::{FinishError, SendError, StreamStateError, WriteError},
};
use xtls_stanza::{Limits, ns};
use xtls_testkit::{EntityOptions, World};

/// A message of exactly this many bytes in the tunnel.
fn sized(bytes: usize) -> Element {
    let empty = message("").to_xml(ns::CLIENT).len();
    // An empty body is written shorter.
    let one = message("x").to_xml(ns::CLIENT).len() - 1;
    assert!(bytes > empty);
    let element = message(&"x".repeat(bytes - one));
    assert_eq!(element.to_xml(ns::CLIENT).len(), bytes);
    element
}

#[test]
fn a_stanza_at_the_limit_goes_over_many_blocks_and_one_past_it_is_not_sent() {
    let (mut world, [romeo, juliet], [here, _]) = streaming(1);
    let limit = Limits::default().stanza_bytes;
    let largest = sized(limit);
    world.with(romeo, |engine, now| engine.tunnel(here).unwrap().send(now, &largest)).unwrap();
    world.run();
    let events = world.take_events(juliet);
    let [Event::Stanza { stanza, .. }] = &*events else { panic!("{} events", events.len()) };
    assert_eq!(stanza.child("body", ns::CLIENT).unwrap().text(), largest.child("body", ns::CLIENT).unwrap().text());
    let slip = world.with(romeo, |engine, now| engine.tunnel(here).unwrap().send(now, &sized(limit + 1)));
    assert_eq!(slip, Err(SendError::TooLarge));
    send(&mut world, romeo, here, "and on").unwrap();
    world.run();
    assert_eq!(bodies(&world.take_events(juliet)), ["and on"]);
}

#[test]
fn a_stanza_above_the_receivers_limit_is_a_policy_violation() {
    for (bytes, fits) in [(10_000, true), (10_001, false)] {
        let mut world = World::default();
        world.relay.keep_log();
        let romeo = world.add(ROMEO, EntityOptions::seeded(3));
        let mut options = EntityOptions::seeded(4);
        options.config.tunnel_limits.stanza_bytes = 10_000;
        let juliet = world.add(JULIET, options);
        world.introduce(romeo, juliet);
        let tunnel = world.connect(romeo, juliet);
        world.with(romeo, |engine, now| engine.tunnel(tunnel).unwrap().send(now, &sized(bytes))).unwrap();
        world.run();
        if fits {
            assert_eq!(world.take_events(juliet).len(), 1);
            continue;
        }
        let there = closed(&mut world, juliet);
        assert!(matches!(there.fault, Some(Fault::Stream(_))) && there.truncated && !there.security, "{there:?}");
        let here = closed(&mut world, romeo);
        // The stream error tells the sender what was wrong, inside the tunnel.
        assert!(here.said.contains("policy-violation"), "{here:?}");
        assert_eq!(terminations(&world, JULIET, ROMEO), ["general-error"]);
    }
}

#[test]
fn a_thousand_messages_go_both_ways_in_order() {
    let (mut world, ids, tunnels) = streaming(5);
    let mut got = [Vec::new(), Vec::new()];
    for word in 0..1000 {
        for at in 0..2 {
            send(&mut world, ids[at], tunnels[at], &word.to_string()).unwrap();
        }
        if word % 7 == 0 {
            world.run();
        }
    }
    world.run();
    for at in 0..2 {
        got[at].extend(bodies(&world.take_events(ids[at])));
    }
    let expected: Vec<String> = (0..1000).map(|word| word.to_string()).collect();
    assert!(got[0] == expected && got[1] == expected);
}

#[test]
fn either_end_closes_in_order() {
    for closer in [0, 1] {
        let (mut world, ids, tunnels) = streaming(7);
        for at in 0..2 {
            send(&mut world, ids[at], tunnels[at], "last words").unwrap();
        }
        close(&mut world, ids[closer], tunnels[closer]);
        close(&mut world, ids[closer], tunnels[closer]);
        let slip = send(&mut world, ids[closer], tunnels[closer], "too late");
        assert_eq!(slip, Err(SendError::Closing));
        world.run();
        for (at, by) in [(closer, EndedBy::Local), (1 - closer, EndedBy::Remote)] {
            let events = world.take_events(ids[at]);
            assert_eq!(bodies(&events), ["last words"]);
            let end = crate::common::the_end(&events);
            assert!(matches!(end.reason, xtls::CloseReason::Done) && end.by == by && !end.truncated);
            assert_eq!(end.unacked, 0);
        }
        let (from, to) = if closer == 0 { (ROMEO, JULIET) } else { (JULIET, ROMEO) };
        assert_eq!(terminations(&world, from, to), ["success"]);
        assert!(terminations(&world, to, from).is_empty());
        assert!(sent(&world, from, to).iter().any(|stanza| stanza.contains("<close ")));
        for id in ids {
            assert_eq!(world.with(id, |engine, _| (engine.tunnels().count(), engine.poll_timeout())), (0, None));
        }
    }
}

#[test]
fn both_ends_close_at_once() {
    let (mut world, ids, tunnels) = streaming(9);
    for at in 0..2 {
        send(&mut world, ids[at], tunnels[at], "good night").unwrap();
        close(&mut world, ids[at], tunnels[at]);
    }
    world.run();
    for id in ids {
        let events = world.take_events(id);
        assert_eq!(bodies(&events), ["good night"]);
        let end = crate::common::the_end(&events);
        assert!(matches!(end.reason, xtls::CloseReason::Done) && !end.truncated && end.unacked == 0, "{end:?}");
        assert_eq!(world.with(id, |engine, _| engine.poll_timeout()), None);
    }
}

#[test]
fn a_closed_stream_leaves_the_tunnel_for_another_one() {
    for opener in [0, 1] {
        let (mut world, ids, tunnels) = streaming(11);
        let secured = crate::common::sent_data(&world, ROMEO, JULIET);
        world.with(ids[0], |engine, now| {
            let mut tunnel = engine.tunnel(tunnels[0]).unwrap();
            assert_eq!(tunnel.open_stream(now), Err(StreamStateError::WrongState));
            tunnel.close_stream(now).unwrap();
            assert_eq!(tunnel.close_stream(now), Err(StreamStateError::WrongState));
            assert_eq!(tunnel.send(now, &message("no")), Err(SendError::NoStream));
        });
        world.run();
        for id in ids {
            assert!(matches!(&*world.take_events(id), [Event::StreamClosed { .. }]));
        }
        world.run_for(29 * SECOND);
        world.with(ids[opener], |engine, now| engine.tunnel(tunnels[opener]).unwrap().open_stream(now)).unwrap();
        world.run();
        for id in ids {
            assert!(matches!(&*world.take_events(id), [Event::StreamOpened { .. }]), "{opener}");
        }
        for at in 0..2 {
            send(&mut world, ids[at], tunnels[at], "again").unwrap();
        }
        world.run_for(100 * SECOND);
        for id in ids {
            assert_eq!(bodies(&world.take_events(id)), ["again"]);
        }
        assert!(crate::common::sent_data(&world, ROMEO, JULIET) > secured);
    }
}

#[test]
fn a_tunnel_without_a_stream_is_closed_after_the_reuse_time() {
    let (mut world, ids, tunnels) = streaming(13);
    world.with(ids[0], |engine, now| engine.tunnel(tunnels[0]).unwrap().close_stream(now)).unwrap();
    world.run();
    for id in ids {
        assert!(matches!(&*world.take_events(id), [Event::StreamClosed { .. }]));
    }
    world.run_for(29 * SECOND + SECOND / 2);
    assert!(ids.iter().all(|id| world.take_events(*id).is_empty()));
    world.run_for(SECOND);
    for id in ids {
        let end = closed(&mut world, id);
        assert!(end.done && !end.truncated && end.by != EndedBy::Local, "{end:?}");
    }
}

#[test]
fn a_stream_whose_close_is_not_answered_ends_after_the_close_time() {
    let mut script = crate::common::script::Script::new(15);
    let tunnel = script.streaming();
    script.world.with(script.juliet, |engine, now| engine.tunnel(tunnel).unwrap().close_stream(now)).unwrap();
    script.settle();
    script.world.run_for(4 * SECOND);
    assert!(script.world.take_events(script.juliet).is_empty());
    script.world.run_for(2 * SECOND);
    let end = closed(&mut script.world, script.juliet);
    assert!(matches!(end.fault, Some(Fault::Timeout { timer: xtls::Timer::Close, .. })) && end.truncated, "{end:?}");
}

#[test]
fn a_whole_close_that_is_not_answered_ends_after_the_close_time() {
    let mut script = crate::common::script::Script::new(17);
    let tunnel = script.streaming();
    close(&mut script.world, script.juliet, tunnel);
    script.settle();
    script.world.run_for(4 * SECOND);
    assert!(script.world.take_events(script.juliet).is_empty());
    script.world.run_for(2 * SECOND);
    let end = closed(&mut script.world, script.juliet);
    assert!(matches!(end.fault, Some(Fault::Timeout { timer: xtls::Timer::Close, .. })) && end.truncated, "{end:?}");
    assert_eq!(terminations(&script.world, JULIET, MALLORY), ["timeout"]);
}

#[test]
fn the_end_of_tls_without_the_end_of_the_stream_is_authenticated() {
    let mut script = crate::common::script::Script::new(19);
    script.streaming();
    let mut end = script.seal(b"<message><body>the last</body></message>");
    script.tls.as_mut().unwrap().close(&mut end);
    assert_eq!(script.block(&end).as_deref(), Some("result"));
    assert_eq!(script.set(&crate::common::script::ibb_close("b1")).as_deref(), Some("result"));
    assert_eq!(script.set(&crate::common::script::terminate("s1", "success")).as_deref(), Some("result"));
    let events = script.world.take_events(script.juliet);
    assert_eq!(bodies(&events), ["the last"]);
    let end = crate::common::the_end(&events);
    assert!(!end.truncated && matches!(end.reason, xtls::CloseReason::Done) && end.by == EndedBy::Remote);
}

#[test]
fn stanzas_that_do_not_belong_in_the_tunnel_are_not_sent() {
    let (mut world, [romeo, juliet], [here, _]) = streaming(21);
    let stanza = |name: &str, ns: &str, attribute: Option<(&str, &str)>| {
        let builder = Element::builder(name, ns);
        match attribute {
            Some((name, value)) => builder.attribute(name, value).build().unwrap(),
            None => builder.build().unwrap(),
        }
    };
    for (element, slip) in [
        (stanza("body", ns::CLIENT, None), SendError::NotAStanza),
        (stanza("message", "jabber:server", None), SendError::NotAStanza),
        (stanza("message", ns::CLIENT, Some(("from", MALLORY))), SendError::ForeignAddress),
        (stanza("message", ns::CLIENT, Some(("to", MALLORY))), SendError::ForeignAddress),
    ] {
        let found = world.with(romeo, |engine, now| engine.tunnel(here).unwrap().send(now, &element));
        assert_eq!(found, Err(slip), "{element:?}");
    }
    for element in [
        stanza("message", ns::CLIENT, Some(("to", JULIET))),
        stanza("presence", ns::CLIENT, Some(("from", ROMEO))),
        stanza("iq", ns::CLIENT, Some(("to", "juliet@capulet.lit"))),
    ] {
        world.with(romeo, |engine, now| engine.tunnel(here).unwrap().send(now, &element)).unwrap();
    }
    world.with(romeo, |engine, now| {
        let mut tunnel = engine.tunnel(here).unwrap();
        assert_eq!(tunnel.write(now, b"raw"), Err(WriteError::NotRaw));
        assert_eq!(tunnel.finish(now), Err(FinishError::NotRaw));
        assert_eq!(tunnel.read(now, &mut Vec::new()), 0);
    });
    world.run();
    assert_eq!(world.take_events(juliet).len(), 3);
}

#[test]
fn a_full_send_buffer_is_told_and_so_is_room() {
    let (mut world, [romeo, juliet], [here, _]) = streaming(23);
    let mut sent = 0;
    while send(&mut world, romeo, here, &"x".repeat(10_000)).is_ok() {
        sent += 1;
        assert!(sent < 100);
    }
    assert_eq!(send(&mut world, romeo, here, "more"), Err(SendError::Full));
    assert_eq!(sent, 26, "as much as 256 KiB of records");
    world.run();
    assert!(matches!(&*world.take_events(romeo), [Event::Writable { .. }]));
    assert_eq!(bodies(&world.take_events(juliet)).len(), 26);
}

#[test]
fn a_new_stream_takes_the_place_of_an_older_one_only_where_that_is_wanted() {
    for replace in [false, true] {
        let mut world = World::default();
        world.relay.keep_log();
        let romeo = world.add(ROMEO, EntityOptions::seeded(25));
        let mut options = EntityOptions::seeded(26);
        options.config.replace_tunnels = replace;
        let juliet = world.add(JULIET, options);
        world.introduce(romeo, juliet);
        let first = world.connect(romeo, juliet);
        let peer = world.jid(juliet).clone();
        world.with(romeo, |engine, now| engine.initiate(now, peer, xml(TrustPolicy::Pinned))).unwrap();
        world.run();
        let accepted = world.accept(juliet, xml(TrustPolicy::Pinned));
        world.run();
        assert_eq!(accepted.is_some(), replace);
        let events = world.take_events(romeo);
        let ends: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                Event::Closed(closed) => Some((closed.id == first, closed.reason.to_string())),
                _ => None,
            })
            .collect();
        let [(was_first, reason)] = ends.as_slice() else { panic!("{events:?}") };
        assert_eq!(*was_first, replace);
        assert!(reason.contains(if replace { "gone" } else { "alternative-session" }), "{reason}");
        assert_eq!(world.with(romeo, |engine, _| engine.tunnels().count()), 1);
        assert_eq!(world.with(juliet, |engine, _| engine.tunnels().count()), 1);
    }
}

#[test]
fn a_stranger_does_not_take_the_place_of_a_tunnel_by_offering_another() {
    // Romeo is trusted no more: his new offer is refused, and what is open stays.
    let mut world = World::default();
    let romeo = world.add(ROMEO, EntityOptions::seeded(27));
    let mut options = EntityOptions::seeded(28);
    options.config.replace_tunnels = true;
    let juliet = world.add(JULIET, options);
    world.introduce(romeo, juliet);
    let tunnel = world.connect(romeo, juliet);
    let bare = world.jid(romeo).to_bare();
    world.with_store(juliet, |store| store.remove(&bare));
    world.connect_with(romeo, juliet, xml(TrustPolicy::Pinned));
    assert!(closed(&mut world, romeo).security);
    send(&mut world, romeo, tunnel, "still").unwrap();
    world.run();
    assert_eq!(bodies(&world.take_events(juliet)), ["still"]);
}
