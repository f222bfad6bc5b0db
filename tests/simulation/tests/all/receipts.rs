//! Receipts: raw bytes that the peer's application has, by the peer's own word (docs/wire.md § 9; attack table, row M30).
use std::{cell::RefCell, rc::Rc, time::Duration};

use crate::common::{
    Ended, JULIET, MILLI, ROMEO, SECOND, close, closed, element, errors, left, noise,
    password::{by_word, meet, strangers},
    piping, raw_without_hash, read, sent, streaming, terminations, the_end, write,
};
use xtls::{
    EndedBy, Event, Fault, GiveReceipt, Receipt, Timer, TrustPolicy, TunnelId,
    error::{FinishError, ReceiptError},
};
use xtls_stanza::{Condition, ErrorType, StanzaError};
use xtls_testkit::{EntityId, Fate, World};

fn finish(world: &mut World, id: EntityId, tunnel: TunnelId) {
    match world.with(id, |engine, now| engine.tunnel(tunnel).unwrap().finish(now)) {
        Ok(()) => {}
        Err(FinishError::NotInThisTls) => close(world, id, tunnel),
        Err(slip) => panic!("{slip}"),
    }
}

fn set_give(world: &mut World, id: EntityId, tunnel: TunnelId, give: GiveReceipt) {
    world.with(id, |engine, now| engine.tunnel(tunnel).unwrap().set_give_receipt(now, give));
}

fn give(world: &mut World, id: EntityId, tunnel: TunnelId) -> Result<(), ReceiptError> {
    world.with(id, |engine, now| {
        engine.tunnel(tunnel).map_or(Err(ReceiptError::Ended), |mut tunnel| tunnel.give_receipt(now))
    })
}

fn state(world: &mut World, id: EntityId, tunnel: TunnelId) -> Receipt {
    world.with(id, |engine, _| engine.tunnel(tunnel).unwrap().receipt())
}

/// For how many bytes receipts came.
fn receipts(events: &[Event]) -> Vec<u64> {
    let bytes = events.iter().filter_map(|event| match event {
        Event::Receipt { bytes, .. } => Some(*bytes),
        _ => None,
    });
    bytes.collect()
}

/// The receipts that went from one address to another.
fn given(world: &World, from: &str, to: &str) -> Vec<String> {
    sent(world, from, to)
        .into_iter()
        .filter(|stanza| stanza.contains("<receipt") && stanza.contains("session-info"))
        .collect()
}

/// Two who are secured in TLS 1.3, or by a password in TLS 1.2.
fn pair(seed: u8, by_password: bool) -> (World, [EntityId; 2], [TunnelId; 2]) {
    if !by_password {
        return piping(seed);
    }
    let (mut world, ends) = strangers(seed);
    let tunnels = meet(&mut world, ends, by_word(), by_word());
    let _ = ends.map(|id| world.take_events(id));
    (world, ends, tunnels)
}

/// What comes at an end is read, bit by bit, until nothing comes.
fn read_all(world: &mut World, id: EntityId, tunnel: TunnelId) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        world.run();
        let part = read(world, id, tunnel);
        if part.is_empty() {
            return all;
        }
        all.extend(part);
    }
}

#[test]
fn one_way_and_both_ways_every_sender_has_its_receipt_once_in_tls_1_3_and_1_2() {
    for (by_password, lengths) in [false, true]
        .into_iter()
        .flat_map(|tls12| [[0, 100_000], [100_000, 0], [70_000, 30_000], [1, 1]].map(|lengths| (tls12, lengths)))
    {
        let label = format!("{by_password} {lengths:?}");
        let (mut world, ids, tunnels) = pair(40, by_password);
        let bytes = [noise(lengths[0], 1), noise(lengths[1], 2)];
        for at in 0..2 {
            assert_eq!(write(&mut world, ids[at], tunnels[at], &bytes[at]), lengths[at]);
        }
        world.run();
        if by_password {
            // One end for both directions: all of it has arrived by then.
            for at in 0..2 {
                assert!(read_all(&mut world, ids[at], tunnels[at]) == bytes[1 - at], "{label}");
            }
            close(&mut world, ids[0], tunnels[0]);
        } else {
            let expected = if lengths[0] == 0 { Receipt::NotNeeded } else { Receipt::Missing };
            assert_eq!(state(&mut world, ids[0], tunnels[0]), expected);
            finish(&mut world, ids[0], tunnels[0]);
            world.run();
            finish(&mut world, ids[1], tunnels[1]);
            for at in 0..2 {
                assert!(read_all(&mut world, ids[at], tunnels[at]) == bytes[1 - at], "{label}");
            }
        }
        world.run();
        for at in 0..2 {
            let events = world.take_events(ids[at]);
            let end = the_end(&events);
            assert!(
                matches!(end.reason, xtls::CloseReason::Done) && !end.truncated && end.unacked == 0,
                "{label}: {end:?}"
            );
            let expected = u64::try_from(lengths[at]).unwrap();
            let (told, receipt) =
                if expected == 0 { (vec![], Receipt::NotNeeded) } else { (vec![expected], Receipt::Given) };
            assert_eq!((receipts(&events), end.receipt), (told, receipt), "{label}: {events:?}");
        }
        assert!(given(&world, ROMEO, JULIET).len() <= 1 && given(&world, JULIET, ROMEO).len() <= 1);
    }
}

#[test]
fn both_have_their_receipts_when_both_close_at_once_in_tls_1_2_too() {
    for by_password in [false, true] {
        let (mut world, ids, tunnels) = pair(42, by_password);
        for at in 0..2 {
            write(&mut world, ids[at], tunnels[at], b"last words");
            close(&mut world, ids[at], tunnels[at]);
        }
        for at in [0, 1, 0] {
            read_all(&mut world, ids[at], tunnels[at]);
        }
        for id in ids {
            let events = world.take_events(id);
            assert_eq!(receipts(&events), [10], "{by_password}: {events:?}");
            let end = the_end(&events);
            assert!(matches!(end.reason, xtls::CloseReason::Done) && !end.truncated, "{by_password}: {end:?}");
        }
    }
}

#[test]
fn nothing_needs_no_receipt() {
    let (mut world, ids, tunnels) = piping(44);
    finish(&mut world, ids[0], tunnels[0]);
    world.run();
    assert_eq!(give(&mut world, ids[1], tunnels[1]), Ok(()));
    assert_eq!(state(&mut world, ids[0], tunnels[0]), Receipt::NotNeeded);
    set_give(&mut world, ids[0], tunnels[0], GiveReceipt::WhenTold);
    finish(&mut world, ids[1], tunnels[1]);
    world.run();
    for id in ids {
        let end = closed(&mut world, id);
        assert!(end.done && end.receipt == Receipt::NotNeeded, "{end:?}");
    }
    assert!(given(&world, ROMEO, JULIET).is_empty() && given(&world, JULIET, ROMEO).is_empty());
}

#[test]
fn the_application_says_when_and_the_end_waits_for_it() {
    let (mut world, [romeo, juliet], [here, there]) = piping(46);
    set_give(&mut world, juliet, there, GiveReceipt::WhenTold);
    write(&mut world, romeo, here, b"for the archive");
    world.run();
    assert_eq!(give(&mut world, juliet, there), Err(ReceiptError::Early), "it may not be all");
    close(&mut world, romeo, here);
    world.run();
    assert_eq!(give(&mut world, juliet, there), Err(ReceiptError::Early), "it is not read");
    assert_eq!(read(&mut world, juliet, there), b"for the archive");
    world.run_for(59 * SECOND);
    assert_eq!(world.with(romeo, |engine, _| engine.tunnel(here).unwrap().unacked()), 0, "say the servers");
    assert!(world.take_events(romeo).is_empty(), "and nobody else yet");
    assert_eq!(give(&mut world, juliet, there), Ok(()));
    assert_eq!(give(&mut world, juliet, there), Ok(()), "once more says nothing new");
    world.run();
    let events = world.take_events(romeo);
    assert_eq!(receipts(&events), [15]);
    assert_eq!(the_end(&events).receipt, Receipt::Given);
    assert_eq!(given(&world, JULIET, ROMEO).len(), 1);
    assert!(closed(&mut world, juliet).is_clean(EndedBy::Remote));
    assert_eq!(give(&mut world, juliet, there), Err(ReceiptError::Ended));
}

#[test]
fn what_is_said_later_than_sixty_seconds_after_the_last_acknowledgement_is_not_waited_for() {
    let (mut world, [romeo, juliet], [here, there]) = piping(48);
    set_give(&mut world, juliet, there, GiveReceipt::WhenTold);
    write(&mut world, romeo, here, b"for the archive");
    close(&mut world, romeo, here);
    world.run();
    read(&mut world, juliet, there);
    let (wait, timer) = left(&mut world, romeo);
    assert!(timer == Timer::LivenessIdle && wait <= 30 * SECOND, "the peer is asked whether it is there: {timer:?}");
    world.run_for(61 * SECOND);
    let end = closed(&mut world, romeo);
    assert!(end.is_clean(EndedBy::Local) && end.receipt == Receipt::Missing, "{end:?}");
    assert_eq!(terminations(&world, ROMEO, JULIET), ["success"]);
    assert_eq!(give(&mut world, juliet, there), Err(ReceiptError::Ended));
}

#[test]
fn who_will_never_give_one_keeps_nobody_waiting_at_its_own_end() {
    let (mut world, [romeo, juliet], [here, there]) = piping(50);
    set_give(&mut world, juliet, there, GiveReceipt::Never);
    write(&mut world, romeo, here, b"of no use");
    finish(&mut world, romeo, here);
    world.run();
    read(&mut world, juliet, there);
    close(&mut world, juliet, there);
    world.run();
    assert!(closed(&mut world, juliet).is_clean(EndedBy::Local));
    let end = closed(&mut world, romeo);
    assert!(end.is_clean(EndedBy::Remote) && end.receipt == Receipt::Missing, "{end:?}");
}

/// A peer that lacks receipts, or a server that takes the announcement out of either message: there is none, and no wait.
#[test]
fn without_the_announcement_nobody_waits_and_nobody_is_confirmed() {
    for action in ["session-initiate", "session-accept"] {
        let (mut world, romeo, juliet) = World::pair(52);
        world.relay.meddle(move |passed| {
            let without = passed.stanza.replace("<receipt xmlns='urn:xtls:receipt:0'/>", "");
            if passed.stanza.contains(action) {
                assert_ne!(without, passed.stanza, "it is announced");
                return Fate::Replace(vec![without]);
            }
            Fate::Pass
        });
        let options = crate::common::raw(TrustPolicy::Pinned);
        let (here, there) = world.connect_with(romeo, juliet, options);
        let _ = [romeo, juliet].map(|id| world.take_events(id));
        write(&mut world, romeo, here, b"hello");
        close(&mut world, romeo, here);
        world.run();
        let end = closed(&mut world, romeo);
        assert!(end.is_clean(EndedBy::Local) && end.receipt == Receipt::Unsupported, "{end:?}");
        assert_eq!(give(&mut world, juliet, there), Err(ReceiptError::Ended));
        assert_eq!(read(&mut world, juliet, there), b"hello");
        world.run();
        assert!(closed(&mut world, juliet).is_clean(EndedBy::Remote));
        // One end may believe in receipts that the other one does not know; nothing comes of it.
        assert!(given(&world, ROMEO, JULIET).is_empty());
    }
}

#[test]
fn under_the_description_without_a_hash_there_are_receipts_and_in_an_xml_stream_there_are_none() {
    let (mut world, romeo, juliet) = World::pair(54);
    let (here, there) = world.connect_with(romeo, juliet, raw_without_hash(TrustPolicy::Pinned));
    let _ = [romeo, juliet].map(|id| world.take_events(id));
    write(&mut world, romeo, here, b"hello");
    close(&mut world, romeo, here);
    read_all(&mut world, juliet, there);
    assert_eq!(receipts(&world.take_events(romeo)), [5]);

    let (mut world, ids, tunnels) = streaming(54);
    for (id, tunnel) in ids.into_iter().zip(tunnels) {
        assert_eq!(give(&mut world, id, tunnel), Err(ReceiptError::NotRaw));
        assert_eq!(state(&mut world, id, tunnel), Receipt::Unsupported);
    }
    close(&mut world, ids[0], tunnels[0]);
    world.run();
    assert!(!sent(&world, ROMEO, JULIET).iter().any(|stanza| stanza.contains("receipt")));
}

/// A session-info of Juliet's for the session of this tunnel, with this proof.
fn forged(world: &World, proof: &str) -> String {
    let session = sent(world, ROMEO, JULIET).iter().rev().find_map(|stanza| {
        let stanza = element(stanza);
        let jingle = stanza.children().find(|child| child.name() == "jingle")?;
        jingle.attribute("sid").map(str::to_owned)
    });
    format!(
        "<iq from='{JULIET}' to='{ROMEO}' type='set' id='forged'><jingle xmlns='urn:xmpp:jingle:1' action='session-info' \
         sid='{}'><receipt xmlns='urn:xtls:receipt:0' proof='{proof}'/></jingle></iq>",
        session.expect("a session")
    )
}

fn proof_in(stanza: &str) -> String {
    let stanza = element(stanza);
    let jingle = stanza.children().find(|child| child.name() == "jingle").unwrap();
    jingle.children().next().unwrap().attribute("proof").unwrap().to_owned()
}

/// How the tunnel goes in which 64 bytes go each way and are read, but for the receipts.
struct Exchange {
    world: World,
    ids: [EntityId; 2],
    tunnels: [TunnelId; 2],
}

impl Exchange {
    fn new(seed: u8, by_password: bool) -> Self {
        let (mut world, ids, tunnels) = pair(seed, by_password);
        for at in 0..2 {
            write(&mut world, ids[at], tunnels[at], &noise(64, 1));
        }
        for at in 0..2 {
            assert_eq!(read_all(&mut world, ids[at], tunnels[at]).len(), 64);
        }
        set_give(&mut world, ids[1], tunnels[1], GiveReceipt::WhenTold);
        Self { world, ids, tunnels }
    }

    /// Hands Romeo a receipt that is none: it is refused, and tells him nothing.
    fn refuses(&mut self, proof: &str) {
        let before = errors(&self.world, ROMEO, JULIET).len();
        let stanza = forged(&self.world, proof);
        let _ = self.world.deliver(self.ids[0], &stanza);
        self.world.run();
        assert_eq!(errors(&self.world, ROMEO, JULIET)[before..], ["bad-request"]);
        assert!(receipts(&self.world.take_events(self.ids[0])).is_empty());
        assert_eq!(state(&mut self.world, self.ids[0], self.tunnels[0]), Receipt::Missing);
    }
}

#[test]
fn m30_a_receipt_that_is_forged_replayed_or_turned_round_is_refused_and_the_genuine_one_counts() {
    for by_password in [false, true] {
        // The receipt of another tunnel between the same two, for as many bytes.
        let mut other = Exchange::new(60, by_password);
        set_give(&mut other.world, other.ids[1], other.tunnels[1], GiveReceipt::WhenRead);
        finish(&mut other.world, other.ids[0], other.tunnels[0]);
        other.world.run();
        let replayed = proof_in(&given(&other.world, JULIET, ROMEO)[0]);

        let mut it = Exchange::new(62, by_password);
        it.refuses(&replayed);
        finish(&mut it.world, it.ids[1], it.tunnels[1]);
        it.world.run();
        // Romeo's own, for as many bytes of Juliet's.
        let turned = given(&it.world, ROMEO, JULIET);
        assert_eq!(turned.len(), 1);
        it.refuses(&proof_in(&turned[0]));
        if !by_password {
            finish(&mut it.world, it.ids[0], it.tunnels[0]);
            it.world.run();
        }
        for proof in [proof_in(&turned[0]), replayed, "0".repeat(64), "f".repeat(64), "0".repeat(63), "x".repeat(64)] {
            it.refuses(&proof);
        }
        let [romeo, juliet] = it.ids;
        assert_eq!(give(&mut it.world, juliet, it.tunnels[1]), Ok(()));
        it.world.run();
        let events = it.world.take_events(romeo);
        assert_eq!(receipts(&events), [64]);
        let end = the_end(&events);
        assert!(matches!(end.reason, xtls::CloseReason::Done) && end.receipt == Receipt::Given, "{end:?}");
        let end = closed(&mut it.world, juliet);
        assert!(end.done && end.receipt == Receipt::Given, "{end:?}");
    }
}

/// A server that lets the receipt disappear, or answers it in the peer's name, costs the sender its certainty and the wait.
#[test]
fn m30_a_receipt_that_is_held_back_leaves_a_sender_that_knows_that_nothing_is_confirmed() {
    type Answer = fn() -> Fate;
    let answers: [Answer; 2] =
        [|| Fate::Replace(Vec::new()), || Fate::Bounce(StanzaError::new(Condition::FeatureNotImplemented))];
    for answer in answers {
        let (mut world, [romeo, juliet], [here, there]) = piping(64);
        world.relay.meddle(move |passed| if passed.stanza.contains(" proof='") { answer() } else { Fate::Pass });
        write(&mut world, romeo, here, b"hello");
        finish(&mut world, romeo, here);
        finish(&mut world, juliet, there);
        read_all(&mut world, juliet, there);
        world.run_for(70 * SECOND);
        let end = closed(&mut world, romeo);
        assert!(end.done && end.unacked == 0 && end.receipt == Receipt::Missing, "{end:?}");
        assert!(closed(&mut world, juliet).done);
    }
}

/// RFC 6120 § 8.3.2: an error of type wait asks for another try after waiting.
#[test]
fn a_receipt_that_comes_back_with_a_temporary_error_is_given_again_after_twice_as_long_each_time() {
    for (times, given_in_the_end) in [(1, true), (4, true), (usize::MAX, false)] {
        let (mut world, [romeo, juliet], [here, there]) = piping(64);
        let mut left = times;
        world.relay.meddle(move |passed| {
            if !passed.stanza.contains(" proof='") || left == 0 {
                return Fate::Pass;
            }
            left -= 1;
            Fate::Bounce(StanzaError::new(Condition::RemoteServerTimeout).with_type(ErrorType::Wait))
        });
        write(&mut world, romeo, here, b"hello");
        finish(&mut world, romeo, here);
        finish(&mut world, juliet, there);
        read_all(&mut world, juliet, there);
        let began = world.elapsed();
        assert_eq!(given(&world, JULIET, ROMEO).len(), 1);
        // Asking for it meanwhile changes nothing.
        assert_eq!(give(&mut world, juliet, there), Ok(()));
        for (until, count) in [(1, 1), (3, 2), (7, 3), (15, 4), (31, 5), (80, 5)] {
            world.run_for((began + SECOND * until).saturating_sub(world.elapsed()));
            let tries = given(&world, JULIET, ROMEO).len();
            assert_eq!(tries, count.min(times.saturating_add(1)), "{times} after {until} s");
        }
        let end = closed(&mut world, romeo);
        let expected = if given_in_the_end { Receipt::Given } else { Receipt::Missing };
        assert!(end.done && end.receipt == expected, "{times}: {end:?}");
        assert!(closed(&mut world, juliet).done);
    }
}

/// Its wait is 16 s by then.
#[test]
fn data_that_comes_back_does_not_wait_for_as_long_as_a_receipt_that_came_back_often() {
    let (mut world, [romeo, juliet], [here, there]) = piping(66);
    let (mut receipts, mut blocks) = (4, 1);
    world.relay.meddle(move |passed| {
        let left = match &passed.stanza {
            stanza if stanza.contains(" proof='") => &mut receipts,
            stanza if passed.from == JULIET && stanza.contains("<data ") => &mut blocks,
            _ => return Fate::Pass,
        };
        if *left == 0 {
            return Fate::Pass;
        }
        *left -= 1;
        Fate::Bounce(StanzaError::new(Condition::RemoteServerTimeout).with_type(ErrorType::Wait))
    });
    write(&mut world, romeo, here, b"hello");
    finish(&mut world, romeo, here);
    world.run();
    assert_eq!(read(&mut world, juliet, there), b"hello");
    world.run_for(SECOND * 15);
    assert_eq!(given(&world, JULIET, ROMEO).len(), 4);
    write(&mut world, juliet, there, b"and you");
    world.run_for(SECOND * 3);
    assert_eq!(read(&mut world, romeo, here), b"and you");
    world.run_for(SECOND * 30);
    assert_eq!(given(&world, JULIET, ROMEO).len(), 5, "it is given all the same");
    finish(&mut world, juliet, there);
    world.run();
    let end = closed(&mut world, romeo);
    assert!(end.done && end.receipt == Receipt::Given, "{end:?}");
}

/// The responder's last words of the handshake, all that it has to say, and the end, all in one block. After the last of them TLS has no keys
/// any more.
#[test]
fn data_and_the_end_may_follow_the_handshake_of_tls_1_2_in_the_same_block() {
    let (mut world, [romeo, juliet]) = strangers(48);
    let peer = world.jid(juliet).clone();
    let here = world.with(romeo, |engine, now| engine.initiate(now, peer, by_word())).unwrap();
    world.run();
    // What completes the handshake at Juliet's end is the second thing that Romeo says inside.
    let (mut said, held) = (0, Rc::new(RefCell::new(None)));
    let keep = Rc::clone(&held);
    world.relay.meddle(move |passed| {
        if passed.from != ROMEO || !passed.stanza.contains("<data ") {
            return Fate::Pass;
        }
        said += 1;
        if said != 2 {
            return Fate::Pass;
        }
        *keep.borrow_mut() = Some(passed.stanza.clone());
        Fate::Replace(Vec::new())
    });
    let there = world.accept(juliet, by_word()).unwrap();
    world.run();
    let finished = held.borrow_mut().take().expect("it has passed");
    world.with(juliet, |engine, now| {
        let _ = engine.handle_stanza(now, &finished);
        let mut tunnel = engine.tunnel(there).unwrap();
        assert!(tunnel.security().is_some(), "that was it");
        assert_eq!(tunnel.write(now, b"all there is to say"), Ok(19));
        tunnel.close(now);
    });
    world.run();
    let blocks = sent(&world, JULIET, ROMEO).into_iter().filter(|stanza| stanza.contains("<data ")).count();
    assert_eq!(blocks, 2, "one for the hello, and one for all of this");
    assert_eq!(read_all(&mut world, romeo, here), b"all there is to say");
    for (id, expected) in [(juliet, Receipt::Given), (romeo, Receipt::NotNeeded)] {
        let events = world.take_events(id);
        let end = the_end(&events);
        assert!(matches!(end.reason, xtls::CloseReason::Done) && !end.truncated, "{end:?}");
        assert_eq!(end.receipt, expected, "{events:?}");
    }
}

#[test]
fn m30_a_server_that_acknowledges_what_it_swallows_confirms_nothing() {
    let (mut world, [romeo, juliet], [here, _]) = piping(66);
    // All that Juliet has not seen is acknowledged in her name.
    world.relay.meddle(|passed| {
        if passed.from == ROMEO && passed.stanza.contains("<data ") { Fate::Replace(Vec::new()) } else { Fate::Pass }
    });
    write(&mut world, romeo, here, &noise(20_000, 3));
    close(&mut world, romeo, here);
    let mut acknowledged = 0;
    for _ in 0..20 {
        world.run();
        let data: Vec<_> = sent(&world, ROMEO, JULIET).into_iter().filter(|stanza| stanza.contains("<data ")).collect();
        for stanza in &data[acknowledged..] {
            let id = element(stanza).attribute("id").unwrap().to_owned();
            let _ = world.deliver(romeo, &format!("<iq from='{JULIET}' to='{ROMEO}' type='result' id='{id}'/>"));
        }
        acknowledged = data.len();
    }
    assert_eq!(world.with(romeo, |engine, _| engine.tunnel(here).unwrap().unacked()), 0, "says the server");
    world.run_for(61 * SECOND);
    let end = closed(&mut world, romeo);
    assert!(end.is_clean(EndedBy::Local) && end.receipt == Receipt::Missing, "{end:?}");
    let _ = (juliet, end);
}

#[test]
fn a_peer_that_dies_after_its_acknowledgements_has_confirmed_nothing() {
    let (mut world, [romeo, juliet], [here, there]) = piping(68);
    set_give(&mut world, juliet, there, GiveReceipt::WhenTold);
    write(&mut world, romeo, here, &noise(20_000, 3));
    finish(&mut world, romeo, here);
    world.run();
    // It has the bytes in memory.
    assert_eq!(read(&mut world, juliet, there).len(), 20_000);
    world.run();
    assert!(world.with(romeo, |engine, _| engine.tunnel(here).unwrap().is_finish_acked()));
    world.disconnect(juliet);
    world.run_for(60 * SECOND);
    let end = closed(&mut world, romeo);
    assert!(matches!(end.fault, Some(Fault::Refused { .. })) && end.unacked == 0, "{end:?}");
    assert_eq!(end.receipt, Receipt::Missing);
}

#[test]
fn wire_2_38_a_receipt_survives_300_seconds_without_either_end() {
    for (which, told) in [(0, true), (1, true), (0, false), (1, false)] {
        for step in 0..8 {
            let (mut world, ids, tunnels) = piping(70);
            set_give(&mut world, ids[1], tunnels[1], GiveReceipt::WhenTold);
            write(&mut world, ids[0], tunnels[0], &noise(9_000, 5));
            close(&mut world, ids[0], tunnels[0]);
            world.run();
            read(&mut world, ids[1], tunnels[1]);
            world.run();
            give(&mut world, ids[1], tunnels[1]).unwrap();
            world.run_for(MILLI * 15 * step);
            if told {
                world.suspend(ids[which])
            } else {
                world.hold(ids[which])
            }
            // Who does not know that nothing can come waits for as long as it would else.
            let away = if told { 300 } else { 40 };
            world.run_for(Duration::from_secs(away));
            if told {
                world.resume(ids[which])
            } else {
                world.release(ids[which])
            }
            world.run_for(10 * SECOND);
            let events = world.take_events(ids[0]);
            let end = the_end(&events);
            assert_eq!(receipts(&events), [9_000], "{which} {told} {step}: {end:?}");
            assert_eq!(end.receipt, Receipt::Given);
        }
    }
}

#[test]
fn a_question_for_life_and_a_receipt_do_not_get_in_one_anothers_way() {
    let (mut world, [romeo, juliet], [here, there]) = piping(72);
    set_give(&mut world, juliet, there, GiveReceipt::WhenTold);
    write(&mut world, romeo, here, b"hello");
    finish(&mut world, romeo, here);
    world.run();
    read(&mut world, juliet, there);
    // Both ends have asked by now, and answers are on their way.
    world.relay.set_latency(5 * SECOND);
    world.run_for(32 * SECOND);
    give(&mut world, juliet, there).unwrap();
    world.run_for(40 * SECOND);
    assert_eq!(receipts(&world.take_events(romeo)), [5]);
    write(&mut world, juliet, there, b"and an answer");
    close(&mut world, juliet, there);
    world.run_for(11 * SECOND);
    assert_eq!(read(&mut world, romeo, here), b"and an answer");
    world.run_for(60 * SECOND);
    let end: Ended = closed(&mut world, juliet);
    assert!(end.is_clean(EndedBy::Local) && end.receipt == Receipt::Given, "{end:?}");
}
