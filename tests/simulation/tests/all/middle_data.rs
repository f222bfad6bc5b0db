//! A server in the middle, against the data (attack table, rows M9 to M16 and M24).
use std::{cell::RefCell, rc::Rc};

use crate::common::{
    Ended, JULIET, ROMEO, SECOND, closed, errors, noise, piping, read, sent, sent_data, streaming, terminations, write,
};
use xtls::{EndedBy, Event, Fault, Timer};
use xtls_stanza::{Condition, ErrorType, StanzaError};
use xtls_testkit::{EntityId, Fate, Misdeed, Passed, World};

/// What Romeo's server does with the n-th data stanza that he sends from now on.
fn meddle_with_data(world: &mut World, mut meddle: impl FnMut(usize, &Passed) -> Fate + 'static) {
    let mut seen = 0;
    world.relay.meddle(move |passed| {
        if passed.from != ROMEO || !passed.stanza.contains("<data ") {
            return Fate::Pass;
        }
        seen += 1;
        meddle(seen - 1, passed)
    });
}

/// Romeo writes 64 KiB in blocks of 4096 while his server does something to one of them.
struct Attacked {
    world: World,
    romeo: EntityId,
    sent: Vec<u8>,
    read: Vec<u8>,
    here: Ended,
    there: Ended,
}

fn attacked(seed: u8, meddle: impl FnMut(usize, &Passed) -> Fate + 'static) -> Attacked {
    let (mut world, [romeo, juliet], [tunnel, theirs]) = piping(seed);
    meddle_with_data(&mut world, meddle);
    let sent = noise(64 * 1024, 7);
    let mut got = Vec::new();
    let memory = allocation_counter::measure(|| {
        assert_eq!(write(&mut world, romeo, tunnel, &sent), sent.len());
        world.run();
        got = read(&mut world, juliet, theirs);
        world.run_for(700 * SECOND);
        got.extend(read(&mut world, juliet, theirs));
    });
    // Both ends, what is on the way, and what the relay's log keeps of it.
    assert!(memory.bytes_max <= MEMORY, "{} bytes", memory.bytes_max);
    let here = closed(&mut world, romeo);
    let there = closed(&mut world, juliet);
    for id in [romeo, juliet] {
        assert_eq!(world.with(id, |engine, _| (engine.tunnels().count(), engine.poll_timeout())), (0, None));
    }
    // Whatever came is a beginning of what was sent: nothing twice, nothing altered, no gap.
    assert!(sent.starts_with(&got), "{} bytes", got.len());
    assert!(there.truncated, "{there:?}");
    assert!(here.unacked > 0, "{here:?}");
    Attacked { world, romeo, sent, read: got, here, there }
}

/// Bytes of memory that an attack on 64 KiB of data may come to.
const MEMORY: u64 = 16 * 64 * 1024;

/// One record a block: 4096 bytes less the header, the content type and the tag.
const IN_A_BLOCK: usize = 4096 - 22;

#[test]
fn m09_a_block_that_is_lost_ends_the_bytestream_at_the_next_one() {
    let it = attacked(1, |at, _| if at == 3 { Fate::Replace(Vec::new()) } else { Fate::Pass });
    assert_eq!(it.read.len(), 3 * IN_A_BLOCK);
    assert_eq!(errors(&it.world, JULIET, ROMEO)[0], "unexpected-request");
    assert!(matches!(it.there.fault, Some(Fault::Bytestream(xtls_fault)) if xtls_fault.ends_bytestream()));
    assert_eq!(terminations(&it.world, JULIET, ROMEO), ["failed-transport"]);
    assert_eq!(it.here.unacked, (it.sent.len() - 3 * IN_A_BLOCK) as u64, "{:?}", it.here);
}

#[test]
fn m09_the_last_block_lost_is_noticed_by_the_stall() {
    let last = 64 * 1024 / IN_A_BLOCK;
    let it = attacked(3, move |at, _| if at == last { Fate::Replace(Vec::new()) } else { Fate::Pass });
    assert_eq!(it.read.len(), last * IN_A_BLOCK);
    assert!(matches!(it.here.fault, Some(Fault::Timeout { timer: Timer::Stall, .. })), "{:?}", it.here);
    assert_eq!(it.here.unacked, (it.sent.len() - last * IN_A_BLOCK) as u64);
    assert_eq!(terminations(&it.world, ROMEO, JULIET), ["timeout"]);
}

#[test]
fn m10_results_that_are_lost_stall_the_sender_which_sends_nothing_twice() {
    let (mut world, [romeo, juliet], [tunnel, theirs]) = piping(5);
    world.relay.meddle(|passed| match passed.from == JULIET && passed.stanza.contains("type='result'") {
        true => Fate::Replace(Vec::new()),
        false => Fate::Pass,
    });
    let before = sent_data(&world, ROMEO, JULIET);
    let bytes = noise(64 * 1024, 5);
    let memory = allocation_counter::measure(|| {
        write(&mut world, romeo, tunnel, &bytes);
        world.run();
        assert!(read(&mut world, juliet, theirs) == bytes[..4 * IN_A_BLOCK]);
        // The answers to pings are lost as well.
        world.run_for(29 * SECOND);
        assert!(world.take_events(romeo).is_empty());
        world.run_for(600 * SECOND);
    });
    assert!(memory.bytes_max <= MEMORY, "{} bytes", memory.bytes_max);
    let end = closed(&mut world, romeo);
    assert!(matches!(end.fault, Some(Fault::Gone | Fault::Timeout { .. })) && end.by == EndedBy::Engine, "{end:?}");
    assert_eq!(end.unacked, bytes.len() as u64);
    assert_eq!(sent_data(&world, ROMEO, JULIET) - before, 4, "no more than the window, and nothing again");
    assert!(closed(&mut world, juliet).truncated);
}

#[test]
fn m11_a_block_that_comes_twice_is_delivered_once() {
    let it = attacked(7, |at, passed| match at {
        2 => Fate::Replace(vec![passed.stanza.clone(), passed.stanza.clone()]),
        _ => Fate::Pass,
    });
    assert_eq!(it.read.len(), 3 * IN_A_BLOCK);
    assert_eq!(errors(&it.world, JULIET, ROMEO)[0], "unexpected-request");
    assert_eq!(terminations(&it.world, JULIET, ROMEO), ["failed-transport"]);
    assert_eq!(it.world.jid(it.romeo).as_str(), ROMEO);
}

#[test]
fn m12_a_reordered_block_is_not_processed_nor_any_after_it() {
    let held = Rc::new(RefCell::new(None));
    let it = attacked(9, move |at, passed| match at {
        1 => {
            *held.borrow_mut() = Some(passed.stanza.clone());
            Fate::Replace(Vec::new())
        }
        2 => Fate::Replace(vec![passed.stanza.clone(), held.borrow_mut().take().unwrap()]),
        _ => Fate::Pass,
    });
    assert_eq!(it.read.len(), IN_A_BLOCK);
    assert_eq!(errors(&it.world, JULIET, ROMEO)[0], "unexpected-request");
    assert!(matches!(it.there.fault, Some(Fault::Bytestream(_))));
}

/// The stanza with the character at this place of its base64 replaced.
fn with_character(stanza: &str, at: usize, by: impl Fn(char) -> char) -> String {
    let start = stanza.find("'>").map(|_| stanza.rfind("<data ").unwrap()).unwrap();
    let start = start + stanza[start..].find('>').unwrap() + 1 + at;
    let mut altered = stanza.to_owned();
    let old = altered[start..].chars().next().unwrap();
    altered.replace_range(start..=start, &by(old).to_string());
    altered
}

#[test]
fn m13_a_flipped_bit_in_sound_base64_is_a_bad_record() {
    // In the record's header, in its middle, and in its tag.
    for place in [2, 8, 2700, 5440] {
        let it = attacked(11, move |at, passed| match at {
            1 => Fate::Replace(vec![with_character(&passed.stanza, place, |c| if c == 'A' { 'B' } else { 'A' })]),
            _ => Fate::Pass,
        });
        assert_eq!(it.read.len(), IN_A_BLOCK, "at {place}");
        assert!(matches!(it.there.fault, Some(Fault::Tls(_))) && it.there.security, "{:?}", it.there);
        assert!(it.here.security, "{:?}", it.here);
        assert_eq!(terminations(&it.world, JULIET, ROMEO), ["security-error"]);
        assert!(!errors(&it.world, JULIET, ROMEO).contains(&"bad-request".to_owned()));
    }
}

#[test]
fn m13_the_alert_says_what_was_wrong() {
    let (mut world, [romeo, juliet], [tunnel, _]) = streaming(13);
    meddle_with_data(&mut world, |_, passed| {
        Fate::Replace(vec![with_character(&passed.stanza, 30, |c| if c == 'A' { 'B' } else { 'A' })])
    });
    crate::common::send(&mut world, romeo, tunnel, "a word").unwrap();
    world.run();
    let end = closed(&mut world, romeo);
    assert!(end.said.contains("bad_record_mac") && end.security && end.truncated, "{end:?}");
    let events = world.take_events(juliet);
    assert!(crate::common::bodies(&events).is_empty());
    assert_eq!(events.len(), 1);
}

#[test]
fn m14_what_is_not_base64_is_a_bad_request() {
    for (name, by) in
        [("no alphabet's", '!'), ("the other alphabet's", '_'), ("padding inside", '='), ("no ASCII", 'ä')]
    {
        let it = attacked(15, move |at, passed| match at {
            1 => Fate::Replace(vec![with_character(&passed.stanza, 100, |_| by)]),
            _ => Fate::Pass,
        });
        assert_eq!(it.read.len(), IN_A_BLOCK, "{name}");
        assert_eq!(errors(&it.world, JULIET, ROMEO)[0], "bad-request", "{name}");
        assert!(matches!(it.there.fault, Some(Fault::Bytestream(_))), "{name}");
    }
}

#[test]
fn m15_a_bytestream_closed_without_the_end_of_tls_is_truncated() {
    let (mut world, [romeo, juliet], [tunnel, theirs]) = piping(17);
    write(&mut world, romeo, tunnel, b"the beginning");
    world.run();
    let sid = sid_of(&world);
    let close = crate::common::script::ibb_close(&sid);
    let _ = world.deliver(juliet, &format!("<iq type='set' id='x' from='{ROMEO}' to='{JULIET}'>{close}</iq>"));
    world.run();
    // What was authenticated before is there to be read, and the end waits for it.
    let events = world.take_events(juliet);
    assert!(matches!(&*events, [Event::Readable { .. }]), "{events:?}");
    assert_eq!(read(&mut world, juliet, theirs), b"the beginning");
    world.run();
    let end = closed(&mut world, juliet);
    assert!(matches!(end.fault, Some(Fault::BytestreamClosed)) && end.truncated, "{end:?}");
    assert_eq!(terminations(&world, JULIET, ROMEO), ["failed-transport"]);
    assert!(closed(&mut world, romeo).truncated);
}

fn sid_of(world: &World) -> String {
    let data = sent(world, ROMEO, JULIET).into_iter().find(|stanza| stanza.contains("<data ")).unwrap();
    let sid = data.split("sid='").nth(1).unwrap();
    sid.split('\'').next().unwrap().to_owned()
}

fn session_of(world: &World) -> String {
    let accept = sent(world, JULIET, ROMEO).into_iter().find(|stanza| stanza.contains("session-accept")).unwrap();
    let sid = accept.split(" sid='").nth(1).unwrap();
    sid.split('\'').next().unwrap().to_owned()
}

#[test]
fn m16_a_session_terminated_in_mid_stream_is_truncated_whatever_it_says() {
    for reason in ["success", "gone", "cancel", "security-error"] {
        let (mut world, [_, juliet], _) = streaming(19);
        let terminate = crate::common::script::terminate(&session_of(&world), reason);
        let _ = world.deliver(juliet, &format!("<iq type='set' id='x' from='{ROMEO}' to='{JULIET}'>{terminate}</iq>"));
        world.run();
        let end = closed(&mut world, juliet);
        assert!(end.truncated && end.by == EndedBy::Remote, "{reason}: {end:?}");
        assert_eq!(end.done, reason == "success");
        assert_eq!(end.security, reason == "security-error");
    }
}

#[test]
fn m16_a_termination_that_overtakes_the_peers_part_of_our_own_end_is_told() {
    let (mut world, [romeo, _], [tunnel, _]) = streaming(21);
    let session = session_of(&world);
    crate::common::close(&mut world, romeo, tunnel);
    let terminate = crate::common::script::terminate(&session, "success");
    let _ = world.deliver(romeo, &format!("<iq type='set' id='x' from='{JULIET}' to='{ROMEO}'>{terminate}</iq>"));
    let end = {
        world.run();
        closed(&mut world, romeo)
    };
    assert!(end.truncated && end.done, "Juliet's last words were cut off: {end:?}");
}

/// XEP-0047 § 2.2: what comes back for now is sent again later. Only what is lost for good ends the tunnel, and says so.
#[test]
fn m24_data_that_bounces_for_now_suspends_the_tunnel_first_and_ends_it_if_that_lasts() {
    for condition in [Condition::RecipientUnavailable, Condition::RemoteServerTimeout] {
        for lasts in [false, true] {
            let (mut world, [romeo, juliet], [here, there]) = piping(27);
            let blocked = Rc::new(std::cell::Cell::new(true));
            let blocks = Rc::clone(&blocked);
            meddle_with_data(&mut world, move |_, _| match blocks.get() {
                true => Fate::Bounce(StanzaError::new(condition).with_type(ErrorType::Wait)),
                false => Fate::Pass,
            });
            let bytes = noise(16 * 1024, 1);
            assert_eq!(write(&mut world, romeo, here, &bytes), bytes.len());
            world.run_for(60 * SECOND);
            for id in [romeo, juliet] {
                assert!(world.take_events(id).is_empty(), "{condition:?}: nothing ends, and nothing is told");
            }
            let unacked = world.with(romeo, |engine, _| engine.tunnel(here).unwrap().unacked());
            assert_eq!(unacked, bytes.len() as u64, "nothing counts as arrived");
            if lasts {
                world.run_for(700 * SECOND);
                let end = closed(&mut world, romeo);
                assert!(matches!(end.fault, Some(Fault::Timeout { timer: Timer::Stall, .. })), "{end:?}");
                assert!(end.unacked == bytes.len() as u64 && end.truncated);
                continue;
            }
            blocked.set(false);
            world.run_for(60 * SECOND);
            assert!(read(&mut world, juliet, there) == bytes, "{condition:?}: nothing is lost");
            world.run();
            assert_eq!(world.with(romeo, |engine, _| engine.tunnel(here).unwrap().unacked()), 0);
        }
    }
}

/// One block that comes back while later ones arrive is lost: the peer takes none out of order.
#[test]
fn m24_a_block_that_bounces_ends_the_tunnel_and_says_so() {
    for (condition, kind) in [
        (Condition::RecipientUnavailable, ErrorType::Wait),
        (Condition::RemoteServerTimeout, ErrorType::Wait),
        (Condition::ServiceUnavailable, ErrorType::Cancel),
        (Condition::PolicyViolation, ErrorType::Modify),
    ] {
        let (mut world, [romeo, juliet], [tunnel, _]) = piping(23);
        meddle_with_data(&mut world, move |at, _| match at {
            1 => Fate::Bounce(StanzaError::new(condition).with_type(kind)),
            _ => Fate::Pass,
        });
        let before = world.elapsed();
        write(&mut world, romeo, tunnel, &noise(16 * 1024, 1));
        world.run();
        assert!(world.elapsed() - before < SECOND, "at once");
        let end = closed(&mut world, romeo);
        assert!(matches!(end.fault, Some(Fault::Undelivered { .. })) && end.by == EndedBy::Engine, "{end:?}");
        assert!(end.unacked >= IN_A_BLOCK as u64 && end.truncated);
        assert!(
            terminations(&world, ROMEO, JULIET) == ["connectivity-error"]
                || terminations(&world, JULIET, ROMEO) == ["failed-transport"]
        );
        let _ = world.take_events(juliet);
    }
}

#[test]
fn other_tunnels_do_not_notice() {
    let (mut world, romeo, juliet) = World::pair(25);
    let benvolio = world.add("benvolio@montague.lit/street", xtls_testkit::EntityOptions::seeded(90));
    world.introduce(romeo, benvolio);
    world.connect(romeo, juliet);
    let theirs = world.connect(romeo, benvolio);
    world.relay.meddle(|passed| match passed.to == JULIET && passed.stanza.contains("<data ") {
        true => Fate::Replace(vec![with_character(&passed.stanza, 20, |c| if c == 'A' { 'B' } else { 'A' })]),
        false => Fate::Pass,
    });
    let first = world.with(romeo, |engine, _| engine.tunnels().next().unwrap());
    for word in 0..10 {
        if world.with(romeo, |engine, _| engine.tunnel(first).is_some()) {
            let _ = crate::common::send(&mut world, romeo, first, "to Juliet");
        }
        crate::common::send(&mut world, romeo, theirs, &format!("to Benvolio {word}")).unwrap();
        world.run();
    }
    assert!(closed(&mut world, juliet).security);
    assert_eq!(crate::common::bodies(&world.take_events(benvolio)).len(), 10);
    world.run_for(1000 * SECOND);
    assert!(world.take_events(benvolio).is_empty());
}

#[test]
fn a_record_whose_end_is_cut_off_ends_the_tunnel_in_the_time_that_data_has() {
    let (mut world, [romeo, juliet], [here, _]) = piping(41);
    world.relay.plan(Misdeed::Cut(3));
    write(&mut world, romeo, here, b"a pound of flesh");
    world.run_for(599 * SECOND);
    // The block was acknowledged, and nobody knows better.
    assert_eq!(world.with(romeo, |engine, _| engine.tunnel(here).unwrap().unacked()), 0);
    assert!(world.take_events(juliet).is_empty());
    world.run_for(2 * SECOND);
    let end = closed(&mut world, juliet);
    assert!(matches!(&end.fault, Some(Fault::Timeout { timer: Timer::Rest, .. })), "{end:?}");
    assert!(end.truncated && end.by == EndedBy::Engine, "{end:?}");
    assert_eq!(closed(&mut world, romeo).by, EndedBy::Remote);
}
