//! Decision 2.30: both initiate at once, or there is a tunnel already.

use core::time::Duration;

use xtls::{CloseReason, Disposition, EndedBy, Event, Fault, TrustPolicy, TunnelOptions, jingle::ReasonCondition};
use xtls_stanza::{Condition, ErrorType, ns};
use xtls_testkit::{EntityId, EntityOptions, World};

use crate::common::{
    JULIET, ROMEO, SID, Stage, closed, element, jingle_error, kinds, payload, remote_reason, said, terminate,
};

fn options(check_support: bool) -> TunnelOptions {
    let mut options = TunnelOptions::xml_stream(TrustPolicy::Pinned);
    options.check_support = check_support;
    options
}

fn initiate(world: &mut World, from: EntityId, to: EntityId, check_support: bool) {
    let peer = world.jid(to).clone();
    world.with(from, |engine, now| engine.initiate(now, peer, options(check_support))).unwrap();
}

/// Both accept whatever they are offered until all is quiet; the events of both.
fn accept_all(world: &mut World, ids: [EntityId; 2]) -> [Vec<Event>; 2] {
    loop {
        world.run();
        let accepted = ids.map(|id| world.accept(id, options(true)).is_some());
        if accepted == [false, false] {
            return ids.map(|id| world.take_events(id));
        }
    }
}

fn assert_one_tunnel(world: &mut World, ids: [EntityId; 2], events: &[Vec<Event>; 2]) {
    for (id, events) in ids.into_iter().zip(events) {
        let secured = events.iter().filter(|event| matches!(event, Event::Secured { .. })).count();
        let opened = events.iter().filter(|event| matches!(event, Event::StreamOpened { .. })).count();
        assert_eq!((secured, opened), (1, 1), "{events:?}");
        assert_eq!(world.with(id, |engine, _| engine.tunnels().count()), 1, "{events:?}");
    }
}

#[test]
fn wire_2_30_when_both_initiate_at_once_exactly_one_tunnel_comes_of_it() {
    let mut winners = [0, 0];
    for seed in (0..32).step_by(2) {
        for check_support in [false, true] {
            let (mut world, romeo, juliet) = World::pair(seed);
            initiate(&mut world, romeo, juliet, check_support);
            initiate(&mut world, juliet, romeo, check_support);
            let events = accept_all(&mut world, [romeo, juliet]);
            assert_one_tunnel(&mut world, [romeo, juliet], &events);
            let initiates: Vec<_> = world
                .relay
                .log()
                .iter()
                .filter_map(|passed| {
                    let stanza = element(&passed.stanza);
                    let jingle = stanza.child("jingle", ns::JINGLE)?;
                    let sid = jingle.attribute("sid")?.to_owned();
                    (jingle.attribute("action") == Some("session-initiate")).then_some((sid, passed.from.clone()))
                })
                .collect();
            let winner = initiates.iter().min().unwrap().1.clone();
            let errors: Vec<_> = world
                .relay
                .log()
                .iter()
                .map(|passed| (element(&passed.stanza), passed.from.clone()))
                .filter(|(stanza, _)| stanza.attribute("type") == Some("error"))
                .collect();
            // The winner, whose sid is the lower one, refuses the other's.
            let [(error, from)] = errors.as_slice() else { panic!("one refusal: {}", errors.len()) };
            assert_eq!(said(error), jingle_error(Condition::Conflict, ErrorType::Cancel, "tie-break"));
            assert_eq!(*from, winner);
            let loser = usize::from(winner == ROMEO);
            let faults = events[loser].iter().filter(|event| {
                matches!(event, Event::Closed(closed)
                    if matches!(&closed.reason, CloseReason::Fault(fault) if matches!(**fault, Fault::TieBreak)))
            });
            assert_eq!((initiates.len(), faults.count()), (2, 1));
            winners[1 - loser] += 1;
        }
    }
    assert!(winners[0] > 0 && winners[1] > 0, "both happen: {winners:?}");
}

/// With room for one tunnel with a peer, the offer that gives way makes room for the one that stands.
#[test]
fn wire_2_30_the_tie_is_judged_before_the_number_of_tunnels() {
    for seed in (0..32).step_by(2) {
        for check_support in [false, true] {
            let mut world = World::default();
            let [romeo, juliet] = [(ROMEO, seed), (JULIET, seed + 1)].map(|(jid, seed)| {
                let mut options = EntityOptions::seeded(seed);
                options.config.tunnels_per_peer = 1;
                options.config.tunnels = 1;
                world.add(jid, options)
            });
            world.introduce(romeo, juliet);
            initiate(&mut world, romeo, juliet, check_support);
            initiate(&mut world, juliet, romeo, check_support);
            let events = accept_all(&mut world, [romeo, juliet]);
            assert_one_tunnel(&mut world, [romeo, juliet], &events);
            for id in [romeo, juliet] {
                assert!(world.take_others(id).is_empty(), "the error of the tie is nobody else's");
            }
        }
    }
}

/// The loser's offer had been acknowledged before the other was made: it says a farewell, and makes room all the same.
#[test]
fn wire_2_30_an_offer_that_was_acknowledged_makes_room_too() {
    let mut options = EntityOptions::seeded(1);
    options.config.tunnels_per_peer = 1;
    let mut stage = Stage::new(ROMEO, JULIET, options);
    stage.engine_offers(TrustPolicy::Pinned);
    // Lower than any sid of ours, which begin with a letter.
    let offer = crate::common::stage::initiate("-", "other", 4096, &stage.peer_security());
    let others = stage.ask_fine(&offer);
    let [end] = others.as_slice() else { panic!("one request: {}", others.len()) };
    let reason = "<reason><alternative-session><sid>-</sid></alternative-session></reason>";
    let expected =
        format!("<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='{}'>{reason}</jingle>", stage.sid);
    assert_eq!(payload(end), element(&expected));
    assert_eq!(kinds(&stage.events()), ["Closed", "Incoming"]);
    // And now it is full.
    let third = crate::common::stage::initiate("--", "third", 4096, &stage.peer_security());
    let (answer, _) = stage.ask(&third);
    assert_eq!(said(&answer), (Condition::ResourceConstraint, ErrorType::Wait, None));
}

/// One asks for support while the other's offer arrives; it accepts that at once, or only when it has answered.
#[test]
fn wire_2_30_an_offer_that_arrives_while_support_is_asked_for_still_makes_one_tunnel() {
    for seed in (0..32).step_by(2) {
        for accept_first in [true, false] {
            let (mut world, romeo, juliet) = World::pair(seed);
            initiate(&mut world, romeo, juliet, false);
            world.run_for(Duration::from_millis(10));
            initiate(&mut world, juliet, romeo, true);
            // Romeo's offer has arrived, and the answer to Juliet's query has not.
            world.run_for(Duration::from_millis(50));
            if accept_first {
                assert!(world.accept(juliet, options(true)).is_some());
            }
            let events = accept_all(&mut world, [romeo, juliet]);
            assert_one_tunnel(&mut world, [romeo, juliet], &events);
        }
    }
}

#[test]
fn wire_2_30_gajims_spelling_of_tie_break_is_understood() {
    for specific in ["<tie-break xmlns='urn:xmpp:jingle:errors:1'/>", "<tiebreak xmlns='urn:xmpp:jingle:errors:1'/>"] {
        let mut stage = Stage::romeo();
        stage.with(|engine, now| engine.initiate(now, JULIET.parse().unwrap(), options(false))).unwrap();
        let initiate = stage.sent_one();
        assert!(matches!(stage.refuse(&initiate, "cancel", "conflict", specific), Disposition::Consumed));
        stage.sent_nothing();
        let closed = closed(stage.events());
        assert!(
            matches!(&closed.reason, CloseReason::Fault(fault) if matches!(**fault, Fault::TieBreak)),
            "{closed:?}"
        );
        assert_eq!(closed.by, EndedBy::Remote);
    }
}

/// Of equal sids the lower JID wins: Juliet's.
#[test]
fn wire_2_30_of_equal_sids_the_lower_jid_wins() {
    // The engine's own sid comes back in an offer of the peer.
    let mut stage = Stage::romeo();
    stage.engine_offers(TrustPolicy::Pinned);
    let sid = stage.sid.clone();
    let offer = crate::common::stage::initiate(&sid, "other", 4096, &stage.peer_security());
    // Under the same sid and peer it is a message of that session: Juliet's is the lower JID, so hers stands.
    let (answer, _) = stage.ask(&offer);
    assert_eq!(answer.attribute("type"), Some("result"), "{}", answer.to_xml(ns::CLIENT));
    assert_eq!(kinds(&stage.events()), ["Closed", "Incoming"]);
}

#[test]
fn wire_2_30_a_second_stream_with_the_same_peer_is_refused_with_alternative_session() {
    let (mut stage, tunnel) = Stage::responder_with_stream();
    let offer = crate::common::stage::initiate("second", "second-ibb", 4096, &stage.peer_security());
    let requests = stage.ask_fine(&offer);
    let [end] = requests.as_slice() else { panic!("one request: {}", requests.len()) };
    let expected = format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='second'>\
         <reason><alternative-session><sid>{SID}</sid></alternative-session></reason></jingle>"
    );
    assert_eq!(payload(end), element(&expected));
    assert!(stage.events().is_empty());
    assert!(stage.with(|engine, _| engine.tunnel(tunnel).is_some()));
}

#[test]
fn wire_2_30_where_the_configuration_says_replace_the_new_tunnel_takes_the_place_of_the_old() {
    let mut options = EntityOptions::seeded(2);
    options.config.replace_tunnels = true;
    let mut stage = Stage::new(JULIET, ROMEO, options);
    let old = stage.secure_as_responder();
    let offer = crate::common::stage::initiate("second", "second-ibb", 4096, &stage.peer_security());
    assert!(stage.ask_fine(&offer).is_empty());
    // It takes the place when it is accepted, not before.
    assert!(stage.with(|engine, _| engine.tunnel(old).is_some()));
    let incoming = stage.take_incoming();
    let tunnel_options = TunnelOptions::xml_stream(TrustPolicy::Pinned);
    let new = stage.with(|engine, now| engine.accept(now, incoming, tunnel_options)).unwrap();
    let sent: Vec<_> = stage.sent().iter().map(payload).collect();
    assert!(sent.contains(&terminate(SID, "gone")), "the old one ends");
    assert!(sent.iter().any(|jingle| jingle.attribute("action") == Some("session-accept")));
    let closed = closed(stage.events());
    assert_eq!((closed.id, closed.by), (old, EndedBy::Local));
    assert!(stage.with(|engine, _| engine.tunnel(new).is_some()));
}

#[test]
fn wire_2_30_a_peer_that_names_an_alternative_session_ends_the_tunnel() {
    let mut stage = Stage::romeo();
    stage.engine_offers(TrustPolicy::Pinned);
    let end = format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='{}'>\
         <reason><alternative-session><sid>older</sid></alternative-session></reason></jingle>",
        stage.sid
    );
    assert!(stage.ask_fine(&end).is_empty());
    let closed = closed(stage.events());
    assert_eq!(remote_reason(&closed), ReasonCondition::AlternativeSession);
}
