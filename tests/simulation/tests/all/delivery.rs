//! Delivery errors to data (XEP-0047 § 2.2): the tunnel waits, and nothing is lost, doubled or waited for without end.
use std::{cell::Cell, rc::Rc};

use crate::common::{JULIET, MILLI, ROMEO, SECOND, closed, element, noise, piping, read, sent, write};
use xtls::{EndedBy, Event, Fault, Timer, TunnelId};
use xtls_stanza::{Condition, ErrorType, StanzaError, ns};
use xtls_testkit::{EntityId, EntityOptions, Fate, Passed, World};

fn is_data(passed: &Passed) -> bool {
    passed.from == ROMEO && passed.stanza.contains("<data ")
}

fn wait(condition: Condition) -> Fate {
    Fate::Bounce(StanzaError::new(condition).with_type(ErrorType::Wait))
}

/// The way to Juliet is blocked as long as the cell says so: data comes back with this error.
fn block(world: &mut World, condition: Condition) -> Rc<Cell<bool>> {
    let blocked = Rc::new(Cell::new(true));
    let is_blocked = Rc::clone(&blocked);
    world.relay.meddle(move |passed| if is_blocked.get() && is_data(passed) { wait(condition) } else { Fate::Pass });
    blocked
}

fn seqs(world: &World, from: usize) -> Vec<u16> {
    let stanzas = sent(world, ROMEO, JULIET).into_iter().skip(from).filter(|stanza| stanza.contains("<data "));
    stanzas
        .map(|stanza| element(&stanza).child("data", ns::IBB).unwrap().attribute("seq").unwrap().parse().unwrap())
        .collect()
}

/// Lets the tunnel go on until Juliet has so many bytes, or a minute has passed.
fn receive(world: &mut World, juliet: EntityId, there: TunnelId, bytes: usize) -> Vec<u8> {
    let mut received = Vec::new();
    for _ in 0..60 {
        world.run_for(SECOND);
        received.extend(read(world, juliet, there));
        if received.len() >= bytes {
            break;
        }
    }
    received
}

#[test]
fn xep_0047_2_2_data_that_comes_back_for_now_goes_again_and_nothing_is_lost() {
    for condition in [
        Condition::RecipientUnavailable,
        Condition::RemoteServerTimeout,
        Condition::ResourceConstraint,
        Condition::PolicyViolation,
    ] {
        let (mut world, [romeo, juliet], [here, there]) = piping(40);
        let text = noise(60_000, 7);
        let blocked = block(&mut world, condition);
        let before = sent(&world, ROMEO, JULIET).len();
        assert_eq!(write(&mut world, romeo, here, &text), text.len());
        world.run_for(MILLI * 500);
        let first = seqs(&world, before);
        assert_eq!(first.len(), 4, "the window, and nothing more while it is suspended");
        // Once more after 2 s and after 4 s more, the first alone.
        world.run_for(SECOND * 2);
        assert_eq!(seqs(&world, before)[4..], first[..1]);
        world.run_for(SECOND * 4);
        assert_eq!(seqs(&world, before)[5..], first[..1]);
        blocked.set(false);
        assert_eq!(receive(&mut world, juliet, there, text.len()), text, "{condition:?}");
        world.with(romeo, |engine, now| engine.tunnel(here).unwrap().close(now));
        world.run();
        assert!(closed(&mut world, romeo).is_clean(EndedBy::Local));
        assert!(closed(&mut world, juliet).is_clean(EndedBy::Remote));
    }
}

/// A way that is blocked for 300 ms of every 700: everything arrives, in order and once.
#[test]
fn wire_2_28_a_way_that_is_blocked_again_and_again_only_delays() {
    for seed in 0..8 {
        let (mut world, [romeo, juliet], [here, there]) = piping(50 + seed);
        let text = noise(400_000, seed.into());
        let start = world.now();
        let returned = Rc::new(Cell::new(0));
        let count = Rc::clone(&returned);
        world.relay.meddle(move |passed| {
            if is_data(passed) && (passed.at - start).as_millis() % 700 >= 400 {
                count.set(count.get() + 1);
                return wait(Condition::PolicyViolation);
            }
            Fate::Pass
        });
        let (mut written, mut received) = (0, Vec::new());
        for _ in 0..6000 {
            written += write(&mut world, romeo, here, &text[written..]);
            world.run_for(MILLI * 100);
            received.extend(read(&mut world, juliet, there));
            if received.len() == text.len() {
                break;
            }
        }
        assert!(received == text, "{seed}: {} of {}", received.len(), text.len());
        assert!(returned.get() > 10, "{seed}: {}", returned.get());
        let data = seqs(&world, 0);
        let last = usize::from(*data.iter().max().unwrap());
        assert_eq!(data.len(), last + 1 + returned.get(), "each block that came back went again, and no other");
    }
}

#[test]
fn xep_0047_2_2_a_later_block_that_gets_through_ends_the_tunnel_and_is_never_delivered() {
    let (mut world, [romeo, juliet], [here, there]) = piping(41);
    let first = Cell::new(true);
    world.relay.meddle(move |passed| {
        if is_data(passed) && first.replace(false) { wait(Condition::RecipientUnavailable) } else { Fate::Pass }
    });
    write(&mut world, romeo, here, &noise(12_000, 1));
    world.run();
    assert_eq!(read(&mut world, juliet, there), b"");
    let ended = closed(&mut world, juliet);
    assert!(matches!(ended.fault, Some(Fault::Bytestream(_))) && ended.truncated, "{ended:?}");
    let ended = closed(&mut world, romeo);
    assert_eq!(ended.unacked, 12_000);
}

/// A server that acknowledges a block behind one that it sent back contradicts itself.
#[test]
fn xep_0047_2_2_an_acknowledgement_behind_what_came_back_ends_the_tunnel() {
    let (mut world, [romeo, _], [here, _]) = piping(42);
    let before = sent(&world, ROMEO, JULIET).len();
    let count = Cell::new(0);
    // The first comes back, of the others nothing is heard.
    world.relay.meddle(move |passed| {
        if !is_data(passed) {
            return Fate::Pass;
        }
        count.set(count.get() + 1);
        if count.get() == 1 { wait(Condition::RecipientUnavailable) } else { Fate::Replace(Vec::new()) }
    });
    write(&mut world, romeo, here, &noise(12_000, 1));
    world.run();
    let data = sent(&world, ROMEO, JULIET).into_iter().skip(before).filter(|stanza| stanza.contains("<data ")).nth(1);
    let id = element(&data.unwrap()).attribute("id").unwrap().to_owned();
    let _ = world.deliver(romeo, &format!("<iq from='{JULIET}' to='{ROMEO}' id='{id}' type='result'/>"));
    world.run();
    let ended = closed(&mut world, romeo);
    assert!(
        matches!(&ended.fault, Some(Fault::Undelivered { error }) if error.condition == Condition::RecipientUnavailable)
    );
    assert_eq!(ended.by, EndedBy::Engine);
}

/// Where pings get through and data never does, the stall time is the last; the waits double until then.
#[test]
fn wire_2_28_the_stall_time_bounds_the_retries() {
    let (mut world, [romeo, _], [here, _]) = piping(43);
    let before = sent(&world, ROMEO, JULIET).len();
    let _blocked = block(&mut world, Condition::RecipientUnavailable);
    write(&mut world, romeo, here, b"never");
    world.run_for(SECOND * 599);
    assert!(world.with(romeo, |engine, _| engine.tunnel(here).is_some()));
    // At 0, 2, 6, 14, 30, 62, 126, 254 and 510 seconds.
    let tries = seqs(&world, before);
    assert_eq!(tries.len(), 9, "{tries:?}");
    assert!(tries.windows(2).all(|two| two[0] == two[1]));
    world.run_for(SECOND * 2);
    let ended = closed(&mut world, romeo);
    assert!(matches!(ended.fault, Some(Fault::Timeout { timer: Timer::Stall, .. })), "{ended:?}");
    assert_eq!(ended.unacked, 5);
}

#[test]
fn an_error_of_type_cancel_ends_the_tunnel_at_once() {
    let (mut world, [romeo, _], [here, _]) = piping(44);
    world.relay.meddle(|passed| match is_data(passed) {
        true => Fate::Bounce(StanzaError::new(Condition::ServiceUnavailable)),
        false => Fate::Pass,
    });
    write(&mut world, romeo, here, b"never");
    world.run();
    let ended = closed(&mut world, romeo);
    assert!(matches!(ended.fault, Some(Fault::Undelivered { .. })), "{ended:?}");
}

/// Answers to what was on its way when a tunnel ended belong to nobody else.
#[test]
fn answers_that_come_after_the_end_are_consumed() {
    let (mut world, [romeo, juliet], [here, there]) = piping(45);
    let before = sent(&world, ROMEO, JULIET).len();
    // Blocks are held back by somebody; the session ends meanwhile by a fault.
    world.relay.meddle(|passed| if is_data(passed) { Fate::Replace(Vec::new()) } else { Fate::Pass });
    write(&mut world, romeo, here, &noise(12_000, 1));
    world.run();
    world.with(juliet, |engine, now| {
        engine
            .tunnel(there)
            .unwrap()
            .abort(now, xtls::jingle::Reason::new(xtls::jingle::ReasonCondition::GeneralError));
    });
    world.run();
    closed(&mut world, romeo);
    assert!(world.take_others(romeo).is_empty());
    let blocks: Vec<_> =
        sent(&world, ROMEO, JULIET).into_iter().skip(before).filter(|stanza| stanza.contains("<data ")).collect();
    assert!(blocks.len() >= 3, "{}", blocks.len());
    for (at, block) in blocks.iter().enumerate() {
        let block = element(block);
        let id = block.attribute("id").unwrap();
        let answer = if at % 2 == 0 {
            format!("<iq from='{JULIET}' to='{ROMEO}' id='{id}' type='result'/>")
        } else {
            let error = "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>";
            format!("<iq from='{JULIET}' to='{ROMEO}' id='{id}' type='error'><error type='cancel'>{error}</error></iq>")
        };
        // From somebody else it is nobody's.
        let strange = world.deliver(romeo, &answer.replace(JULIET, "juliet@capulet.lit/chamber"));
        assert!(matches!(strange, xtls::Disposition::NotOurs), "{strange:?}");
        let taken = world.deliver(romeo, &answer);
        assert!(matches!(taken, xtls::Disposition::Consumed), "{taken:?}");
        let again = world.deliver(romeo, &answer);
        assert!(matches!(again, xtls::Disposition::NotOurs), "once: {again:?}");
    }
}

/// Records that are larger than a block arrive whole, whichever of their blocks came back.
#[test]
fn a_record_in_several_blocks_survives_a_suspension() {
    for skip in 0..12 {
        let mut world = World::default();
        world.relay.keep_log();
        let [romeo, juliet] = [(ROMEO, 60), (JULIET, 61)].map(|(jid, seed)| {
            let mut options = EntityOptions::seeded(seed);
            options.config.block_size = 256;
            options.config.window = xtls::config::Window::Fixed(2);
            world.add(jid, options)
        });
        world.introduce(romeo, juliet);
        // From the block with this number on, two come back.
        let count = Cell::new(0);
        world.relay.meddle(move |passed| {
            if !is_data(passed) {
                return Fate::Pass;
            }
            count.set(count.get() + 1);
            if (skip..skip + 2).contains(&count.get()) { wait(Condition::RemoteServerTimeout) } else { Fate::Pass }
        });
        let options = crate::common::raw(xtls::TrustPolicy::Pinned);
        let (here, there) = world.connect_with(romeo, juliet, options);
        world.run_for(SECOND * 20);
        let text = noise(3000, skip);
        let events = world.take_events(romeo);
        assert!(matches!(&*events, [Event::Secured { .. }, ..]), "{skip}: {events:?}");
        assert_eq!(write(&mut world, romeo, here, &text), text.len());
        assert_eq!(receive(&mut world, juliet, there, text.len()), text, "{skip}");
        let large = world.relay.log().iter().filter(|passed| is_data(passed)).count();
        assert!(large > 10, "{large}");
    }
}
