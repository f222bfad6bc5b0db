//! Raw bytes: transfers, half-close, backpressure, ends.
use crate::common::{JULIET, ROMEO, SECOND, close, closed, noise, piping, raw, read, the_end, write};
use xtls::{
    Application, CloseReason, Config, Disposition, EndedBy, Event, Fault, Receipt, TrustPolicy, TunnelId,
    config::Window,
    error::{FinishError, InitiateError, SendError, StreamStateError, TermsError, WriteError},
    jingle::{Reason, ReasonCondition},
    tls::TlsVersion,
};
use xtls_testkit::{EntityId, EntityOptions, Fate, World, provider};

/// A raw-bytes tunnel between entities with this configuration.
fn piping_with(seed: u8, change: impl Fn(&mut Config)) -> (World, [EntityId; 2], [TunnelId; 2]) {
    let mut world = World::default();
    world.relay.keep_log();
    let [romeo, juliet] = [(ROMEO, seed), (JULIET, seed + 1)].map(|(jid, seed)| {
        let mut options = EntityOptions::seeded(seed);
        change(&mut options.config);
        world.add(jid, options)
    });
    world.introduce(romeo, juliet);
    let (here, there) = world.connect_with(romeo, juliet, raw(TrustPolicy::Pinned));
    for id in [romeo, juliet] {
        assert!(matches!(&*world.take_events(id), [Event::Secured { .. }]));
    }
    (world, [romeo, juliet], [here, there])
}

fn finish(world: &mut World, id: EntityId, tunnel: TunnelId) -> Result<(), FinishError> {
    world.with(id, |engine, now| engine.tunnel(tunnel).unwrap().finish(now))
}

#[test]
fn much_goes_both_ways_at_every_block_size() {
    for (block_size, megabytes) in [(256, 1), (4096, 8), (32_760, 8)] {
        let (mut world, ids, tunnels) = piping_with(1, |config| config.block_size = block_size);
        world.relay.set_latency(crate::common::MILLI);
        let bytes = [noise(megabytes << 20, 1), noise(megabytes << 20, 2)];
        let (mut written, mut got) = ([0, 0], [Vec::new(), Vec::new()]);
        while (0..2).any(|at| got[1 - at].len() < bytes[at].len()) {
            for at in 0..2 {
                written[at] += write(&mut world, ids[at], tunnels[at], &bytes[at][written[at]..]);
            }
            world.run();
            for at in 0..2 {
                let part = read(&mut world, ids[at], tunnels[at]);
                got[at].extend(part);
            }
            world.run();
        }
        assert!(got[1] == bytes[0] && got[0] == bytes[1], "{block_size}");
        close(&mut world, ids[0], tunnels[0]);
        world.run();
        assert!(closed(&mut world, ids[0]).is_clean(EndedBy::Local));
        assert!(closed(&mut world, ids[1]).is_clean(EndedBy::Remote));
    }
}

#[test]
fn seq_wraps_after_65535() {
    let (mut world, [romeo, juliet], [here, there]) = piping_with(3, |config| {
        config.block_size = 256;
        config.window = Window::Fixed(32);
    });
    world.relay.set_latency(std::time::Duration::ZERO);
    // 234 bytes in a block of 256.
    let bytes = noise(234 * 70_000, 9);
    let (mut written, mut got) = (0, Vec::new());
    while got.len() < bytes.len() {
        written += write(&mut world, romeo, here, &bytes[written..]);
        world.run();
        got.extend(read(&mut world, juliet, there));
    }
    assert!(got == bytes);
    let wrapped = world.relay.log().iter().filter(|passed| passed.stanza.contains(" seq='0'")).count();
    assert_eq!(wrapped, 3, "one in the other direction, and one for the wrap");
}

#[test]
fn either_end_can_finish_first_and_the_other_goes_on() {
    for first in [0, 1] {
        let (mut world, ids, tunnels) = piping(5);
        let last = 1 - first;
        write(&mut world, ids[first], tunnels[first], b"all I have to say");
        finish(&mut world, ids[first], tunnels[first]).unwrap();
        finish(&mut world, ids[first], tunnels[first]).unwrap();
        let late = world.with(ids[first], |engine, now| engine.tunnel(tunnels[first]).unwrap().write(now, b"more"));
        assert_eq!(late, Err(WriteError::Closing));
        world.run();
        assert!(matches!(&*world.take_events(ids[last]), [Event::Readable { .. }, Event::PeerFinished { .. }]));
        assert_eq!(read(&mut world, ids[last], tunnels[last]), b"all I have to say");
        // The other direction works for as long as it likes.
        for word in [&b"I"[..], b" have", b" more"] {
            assert_eq!(write(&mut world, ids[last], tunnels[last], word), word.len());
            world.run_for(100 * SECOND);
        }
        finish(&mut world, ids[last], tunnels[last]).unwrap();
        world.run();
        let events = world.take_events(ids[first]);
        assert!(
            matches!(&*events, [Event::Receipt { bytes: 17, .. }, Event::Readable { .. }, Event::PeerFinished { .. }]),
            "{events:?}"
        );
        // The end waits for the last byte to be read.
        assert_eq!(read(&mut world, ids[first], tunnels[first]), b"I have more");
        world.run();
        assert!(closed(&mut world, ids[first]).is_clean(EndedBy::Remote));
        assert!(closed(&mut world, ids[last]).is_clean(EndedBy::Local));
        assert!(world.with(ids[first], |engine, _| engine.tunnel(tunnels[first]).is_none()));
    }
}

#[test]
fn both_can_finish_and_close_at_once() {
    for closes in [false, true] {
        let (mut world, ids, tunnels) = piping(7);
        for at in 0..2 {
            write(&mut world, ids[at], tunnels[at], b"last words");
            match closes {
                true => close(&mut world, ids[at], tunnels[at]),
                false => finish(&mut world, ids[at], tunnels[at]).unwrap(),
            }
        }
        world.run();
        for at in 0..2 {
            assert_eq!(read(&mut world, ids[at], tunnels[at]), b"last words");
        }
        world.run();
        for id in ids {
            let events = world.take_events(id);
            assert!(
                events.iter().any(|event| matches!(event, Event::Receipt { bytes: 10, .. })),
                "{closes}: {events:?}"
            );
            let end = the_end(&events);
            assert!(matches!(end.reason, CloseReason::Done) && !end.truncated && end.unacked == 0, "{closes}: {end:?}");
        }
    }
}

#[test]
fn what_was_written_before_the_close_arrives_however_slowly_it_is_read() {
    let (mut world, [romeo, juliet], [here, there]) = piping(9);
    let bytes = noise(200_000, 4);
    assert_eq!(write(&mut world, romeo, here, &bytes), bytes.len());
    close(&mut world, romeo, here);
    let mut got = Vec::new();
    // Far longer than the close time, for each part.
    while got.len() < bytes.len() {
        world.run_for(50 * SECOND);
        let part = read(&mut world, juliet, there);
        assert!(!part.is_empty(), "after {} bytes", got.len());
        got.extend(part);
    }
    assert!(got == bytes);
    world.run();
    assert!(closed(&mut world, romeo).is_clean(EndedBy::Local));
    assert!(closed(&mut world, juliet).is_clean(EndedBy::Remote));
}

#[test]
fn the_send_buffer_bounds_what_is_taken_and_writable_comes_once_there_is_room() {
    for send_buffer in [1024, 10_000, 256 * 1024] {
        let (mut world, [romeo, juliet], [here, there]) = piping_with(11, |config| config.send_buffer = send_buffer);
        let bytes = noise(400_000, 6);
        let taken = write(&mut world, romeo, here, &bytes);
        assert_eq!(taken, send_buffer);
        assert_eq!(write(&mut world, romeo, here, &bytes[taken..]), 0);
        assert!(world.take_events(romeo).is_empty());
        world.run();
        assert!(matches!(&*world.take_events(romeo), [Event::Writable { .. }]));
        // Writable is told again only after another short write.
        let _ = read(&mut world, juliet, there);
        world.run();
        assert!(world.take_events(romeo).is_empty());
    }
}

#[test]
fn the_receive_buffer_bounds_what_is_acknowledged() {
    for receive_buffer in [1, 5000, 64 * 1024] {
        let (mut world, [romeo, juliet], [here, there]) =
            piping_with(13, |config| config.receive_buffer = receive_buffer);
        let bytes = noise(250_000, 8);
        assert_eq!(write(&mut world, romeo, here, &bytes), bytes.len());
        world.run();
        let acked = bytes.len() as u64 - world.with(romeo, |engine, _| engine.tunnel(here).unwrap().unacked());
        assert!(acked <= receive_buffer as u64, "{acked} acknowledged, and nobody has read");
        assert!(acked + 4074 > receive_buffer as u64, "{acked}: as much as fits");
        let mut got = Vec::new();
        while got.len() < bytes.len() {
            let part = read(&mut world, juliet, there);
            assert!(!part.is_empty(), "no deadlock");
            got.extend(part);
            world.run();
        }
        assert!(got == bytes);
        assert_eq!(world.with(romeo, |engine, _| engine.tunnel(here).unwrap().unacked()), 0);
    }
}

#[test]
fn a_window_of_one_waits_for_each_acknowledgement() {
    let (mut world, [romeo, _], [here, _]) = piping_with(15, |config| config.window = Window::Fixed(1));
    world.relay.set_latency(10 * SECOND);
    write(&mut world, romeo, here, &noise(20_000, 1));
    let before = crate::common::sent_data(&world, ROMEO, JULIET);
    world.run_for(19 * SECOND);
    assert_eq!(crate::common::sent_data(&world, ROMEO, JULIET) - before, 1);
    world.run_for(2 * SECOND);
    assert_eq!(crate::common::sent_data(&world, ROMEO, JULIET) - before, 2);
}

/// Data that comes before the session-terminate has gone out is refused, and the peer would take that for the end.
#[test]
fn why_a_tunnel_was_broken_off_is_told_before_data_for_it_is_refused() {
    let (mut world, [romeo, juliet], [here, there]) = piping(18);
    let stanza = world.with(juliet, |engine, now| {
        engine.tunnel(there).unwrap().write(now, b"on its way").unwrap();
        let mut stanza = String::new();
        assert!(engine.poll_transmit(now, &mut stanza).is_some());
        stanza.replace("<iq ", &format!("<iq from='{JULIET}' "))
    });
    world.with(romeo, |engine, now| {
        engine.tunnel(here).unwrap().abort(now, Reason::new(ReasonCondition::Busy));
        assert!(matches!(engine.handle_stanza(now, &stanza), Disposition::Consumed));
    });
    world.run();
    let end = closed(&mut world, juliet);
    assert_eq!((end.by, end.condition.as_deref()), (EndedBy::Remote, Some("busy")), "{end:?}");
}

#[test]
fn what_came_can_be_read_after_the_end_until_the_drain_time() {
    for waits in [59, 61] {
        let (mut world, [romeo, juliet], [here, there]) = piping(17);
        write(&mut world, romeo, here, b"a legacy");
        world.run();
        world.with(romeo, |engine, now| engine.tunnel(here).unwrap().abort(now, Reason::new(ReasonCondition::Busy)));
        world.run();
        let end = closed(&mut world, romeo);
        assert!(end.condition.as_deref() == Some("busy") && end.by == EndedBy::Local && !end.truncated, "{end:?}");
        assert!(matches!(&*world.take_events(juliet), [Event::Readable { .. }]));
        let slip = world.with(juliet, |engine, now| engine.tunnel(there).unwrap().write(now, b"too late"));
        assert_eq!(slip, Err(WriteError::Closing));
        world.run_for(waits * SECOND);
        let alive = world.with(juliet, |engine, _| engine.tunnel(there).is_some());
        assert_eq!(alive, waits < 60);
        let part = read(&mut world, juliet, there);
        assert_eq!(part, if waits < 60 { &b"a legacy"[..] } else { b"" });
        world.run();
        let end = closed(&mut world, juliet);
        assert!(end.truncated && end.by == EndedBy::Remote && end.condition.as_deref() == Some("busy"), "{end:?}");
    }
}

#[test]
fn an_end_in_order_whose_data_is_not_read_in_time_is_truncated() {
    // The receipt has 60 s, and then what came has 60 s.
    for waits in [59, 61, 119, 121] {
        let (mut world, [romeo, juliet], [here, there]) = piping(18);
        write(&mut world, romeo, here, b"a legacy");
        close(&mut world, romeo, here);
        world.run_for(waits * SECOND);
        let part = read(&mut world, juliet, there);
        assert_eq!(part, if waits < 120 { &b"a legacy"[..] } else { b"" });
        world.run();
        let end = closed(&mut world, juliet);
        assert!(end.done && end.by == EndedBy::Remote && end.truncated == (waits > 120), "{end:?}");
        let end = closed(&mut world, romeo);
        assert!(end.is_clean(EndedBy::Local));
        assert_eq!(end.receipt, if waits < 60 { Receipt::Given } else { Receipt::Missing });
    }
}

#[test]
fn unacked_counts_plaintext_record_by_record() {
    let (mut world, [romeo, juliet], [here, there]) = piping(19);
    let bytes = noise(50_000, 2);
    write(&mut world, romeo, here, &bytes);
    assert_eq!(world.with(romeo, |engine, _| engine.tunnel(here).unwrap().unacked()), 50_000);
    // Three results come through, and the connection breaks.
    let mut results = 0;
    world.relay.meddle(move |passed| {
        results += usize::from(passed.from == JULIET && passed.stanza.contains("type='result'"));
        if results > 3 { Fate::Replace(Vec::new()) } else { Fate::Pass }
    });
    world.run();
    world.disconnect(romeo);
    let end = closed(&mut world, romeo);
    assert!(matches!(end.fault, Some(Fault::Disconnected)) && end.truncated, "{end:?}");
    assert_eq!(end.unacked, 50_000 - 3 * 4074);
    let _ = (read(&mut world, juliet, there), world.take_events(juliet));
}

#[test]
fn what_is_for_xml_streams_is_refused() {
    let (mut world, [romeo, _], [here, _]) = piping(21);
    world.with(romeo, |engine, now| {
        let mut tunnel = engine.tunnel(here).unwrap();
        assert_eq!(tunnel.send(now, &crate::common::message("no")), Err(SendError::NotXml));
        assert_eq!(tunnel.open_stream(now), Err(StreamStateError::NotXml));
        assert_eq!(tunnel.close_stream(now), Err(StreamStateError::NotXml));
        assert!(matches!(tunnel.application(), Some(Application::Bytes(_))));
        assert_eq!(tunnel.peer().unwrap().as_str(), JULIET);
    });
}

/// The user could not be asked in time: in TLS 1.2 an initiator finishes first.
#[test]
fn a_tunnel_that_asks_is_refused_at_once_where_the_provider_has_no_tls_1_3() {
    let mut world = World::default();
    let mut options = EntityOptions::seeded(23);
    options.provider = Some(provider::tls12());
    let romeo = world.add(ROMEO, options);
    let juliet = world.add(JULIET, EntityOptions::seeded(24));
    world.introduce(romeo, juliet);
    let peer = world.jid(juliet).clone();
    for (trust, expected) in
        [(TrustPolicy::Ask, Err(InitiateError::Terms(TermsError::NoTls13))), (TrustPolicy::Pinned, Ok(()))]
    {
        let begun = world.with(romeo, |engine, now| engine.initiate(now, peer.clone(), raw(trust)));
        assert_eq!(begun.map(|_| ()), expected);
    }
    assert!(TermsError::NoTls13.to_string().contains("TLS 1.3, which the cryptography provider cannot do"));
}

#[test]
fn tls_1_2_has_no_half_close_and_closes_in_order() {
    let mut world = World::default();
    let [romeo, juliet] = [(ROMEO, 23), (JULIET, 24)].map(|(jid, seed)| {
        let mut options = EntityOptions::seeded(seed);
        options.provider = Some(provider::tls12());
        world.add(jid, options)
    });
    world.introduce(romeo, juliet);
    let (here, there) = world.connect_with(romeo, juliet, raw(TrustPolicy::Pinned));
    for id in [romeo, juliet] {
        let events = world.take_events(id);
        let [Event::Secured { security, .. }] = &*events else { panic!("{events:?}") };
        assert!(security.tls.version == TlsVersion::Tls12 && security.confirmed);
    }
    assert_eq!(finish(&mut world, romeo, here), Err(FinishError::NotInThisTls));
    let bytes = noise(100_000, 3);
    assert_eq!(write(&mut world, romeo, here, &bytes), bytes.len());
    close(&mut world, romeo, here);
    world.run();
    let mut got = read(&mut world, juliet, there);
    world.run();
    got.extend(read(&mut world, juliet, there));
    world.run();
    assert!(got == bytes);
    assert!(closed(&mut world, romeo).is_clean(EndedBy::Local));
    assert!(closed(&mut world, juliet).is_clean(EndedBy::Remote));
    // An initiator that lets a person judge cannot wait in TLS 1.2, and refuses it.
    let nurse = world.add("nurse@capulet.lit/hall", EntityOptions::seeded(40));
    world.introduce(nurse, juliet);
    world.connect_with(nurse, juliet, raw(TrustPolicy::Ask));
    assert!(closed(&mut world, nurse).security);
    let events = world.take_events(juliet);
    assert!(matches!(&*events, [Event::Closed(closed)] if closed.reason.is_security()), "{events:?}");
}

#[test]
fn both_ends_derive_the_same_keys_and_another_tunnel_does_not() {
    let (mut world, [romeo, juliet], [here, there]) = piping(25);
    let derive = |world: &mut World, id, tunnel, context: &[u8]| {
        let label = b"EXPORTER-Channel-Binding";
        world.with(id, |engine, _| engine.tunnel(tunnel).unwrap().export_keying_material(32, label, Some(context)))
    };
    let one = derive(&mut world, romeo, here, b"").unwrap();
    assert_eq!(derive(&mut world, juliet, there, b"").unwrap(), one);
    assert_ne!(derive(&mut world, juliet, there, b"x").unwrap(), one);
    let (again, _) = world.connect_with(romeo, juliet, raw(TrustPolicy::Pinned));
    assert_ne!(derive(&mut world, romeo, again, b"").unwrap(), one);
}
