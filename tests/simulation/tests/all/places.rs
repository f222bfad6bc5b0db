//! Places: strangers do not take those of the user and of the user's friends.
use crate::common::{JULIET, ROMEO, condition, element, raw};
use core::time::Duration;
use xtls::{
    Disposition, Event, TrustDecision, TrustPolicy,
    error::InitiateError,
    trust::{Fingerprint, Pin},
};
use xtls_testkit::{EntityId, EntityOptions, World};

const WITH_METHOD: &str = "<method name='x509'/>";

fn juliet() -> (World, EntityId) {
    let mut world = World::default();
    world.relay.keep_log();
    let juliet = world.add(JULIET, EntityOptions::seeded(1));
    (world, juliet)
}

/// An offer of raw bytes, under ids of its own; how it was answered: nothing but a result says that it rings or was ended.
fn offer(world: &mut World, juliet: EntityId, from: &str, sid: &str, methods: &str) -> String {
    // It takes what it is sent, and says nothing.
    world.relay.set_online(from, true);
    let before = world.relay.log().len();
    let stanza = format!(
        "<iq type='set' id='{sid}' from='{from}' to='{JULIET}'><jingle xmlns='urn:xmpp:jingle:1' \
         action='session-initiate' initiator='{from}' sid='{sid}'><content creator='initiator' name='data'>\
         <description xmlns='urn:xtls:apps:bytes:0'/><transport xmlns='urn:xmpp:jingle:transports:ibb:1' \
         block-size='4096' sid='b{sid}'/><security xmlns='urn:xmpp:jingle:security:xtls:0'>{methods}</security>\
         </content></jingle></iq>"
    );
    assert!(matches!(world.deliver(juliet, &stanza), Disposition::Consumed));
    world.run();
    let answer = world.relay.log()[before..].iter().find(|passed| {
        let answer = element(&passed.stanza);
        answer.attribute("id") == Some(sid) && answer.attribute("to") == Some(from)
    });
    condition(&answer.expect("it is answered").stanza).unwrap_or_else(|| "result".to_owned())
}

fn rings(world: &mut World, juliet: EntityId, from: &str, sid: &str) -> bool {
    let answer = offer(world, juliet, from, sid, WITH_METHOD);
    assert!(["result", "resource-constraint"].contains(&&*answer), "{answer}");
    answer == "result"
}

fn pin(world: &World, juliet: EntityId, peer: &str) {
    world.with_store(juliet, |store| {
        store.pin(&peer.parse().unwrap(), Pin::manual(Fingerprint::sha256(peer.as_bytes())))
    });
}

#[test]
fn strangers_take_half_of_the_places_and_not_one_more_and_the_user_has_the_others() {
    let (mut world, juliet) = juliet();
    let taken =
        (0..64).filter(|at| rings(&mut world, juliet, &format!("nobody@evil{at}.lit/x"), &format!("s{at}"))).count();
    assert_eq!(taken, 32);
    // Those whom she knows, or names, have the other half; and so has she.
    pin(&world, juliet, "romeo@montague.lit");
    assert!(rings(&mut world, juliet, ROMEO, "r"));
    world.with(juliet, |engine, _| engine.allow_offers("nurse@evil1.lit".parse().unwrap(), true));
    assert!(rings(&mut world, juliet, "nurse@evil1.lit/x", "n"));
    let mut opened = 0;
    let last = loop {
        let peer = format!("friend{opened}@verona.lit/x");
        pin(&world, juliet, &format!("friend{opened}@verona.lit"));
        let peer = peer.parse().unwrap();
        match world.with(juliet, |engine, now| engine.initiate(now, peer, raw(TrustPolicy::Pinned))) {
            Ok(_) => opened += 1,
            Err(slip) => break slip,
        }
    };
    assert_eq!((opened, last), (30, InitiateError::TooMany));
}

#[test]
fn one_domain_takes_an_eighth_and_one_account_two() {
    let (mut world, juliet) = juliet();
    let of_account =
        (0..16).filter(|at| rings(&mut world, juliet, &format!("a@evil.lit/{at}"), &format!("a{at}"))).count();
    assert_eq!(of_account, 2);
    // Spelled otherwise it is the same one.
    assert!(!rings(&mut world, juliet, "A@EVIL.lit/other", "other"));
    let of_domain =
        (0..64).filter(|at| rings(&mut world, juliet, &format!("n{at}@evil.lit/x"), &format!("n{at}"))).count();
    assert_eq!(of_account + of_domain, 8);
    assert!(rings(&mut world, juliet, "nobody@good.lit/x", "g"));
}

#[test]
fn what_has_ended_holds_no_place_and_its_farewells_are_bounded() {
    let (mut world, juliet) = juliet();
    // Nobody acknowledges what these are told: that they offer no method.
    for at in 0..1000 {
        assert_eq!(offer(&mut world, juliet, &format!("n{at}@evil.lit/x"), &format!("s{at}"), ""), "result");
    }
    let events = world.take_events(juliet);
    assert!(events.is_empty(), "nobody is rung for: {}", events.len());
    assert!(rings(&mut world, juliet, "another@evil.lit/x", "another"));
    assert!(matches!(&*world.take_events(juliet), [Event::Incoming(_)]));
    // As many farewells as there are places, and the one that was added before they are looked at.
    let kept = world.with(juliet, |engine, _| format!("{engine:?}").matches("phase: Ended").count());
    assert_eq!(kept, 64, "the oldest is forgotten for each new one");
}

#[test]
fn a_stranger_takes_a_strangers_place_until_it_is_authenticated() {
    let mut world = World::default();
    world.relay.keep_log();
    let mut options = EntityOptions::seeded(1);
    // One place for the strangers of a domain.
    options.config.tunnels = 8;
    let juliet = world.add(JULIET, options);
    let romeo = world.add(ROMEO, EntityOptions::seeded(2));
    let identity = world.identity(juliet).fingerprint_sha256();
    world.with_store(romeo, |store| store.pin(&"juliet@capulet.lit".parse().unwrap(), Pin::manual(identity)));
    let peer = world.jid(juliet).clone();
    world.with(romeo, |engine, now| engine.initiate(now, peer, raw(TrustPolicy::Pinned))).unwrap();
    world.run();
    world.accept(juliet, raw(TrustPolicy::Ask)).unwrap();
    world.run();
    let events = world.take_events(juliet);
    let Some(Event::TrustRequired { id, .. }) = events.first() else { panic!("{events:?}") };
    assert!(!rings(&mut world, juliet, "benvolio@montague.lit/x", "b1"), "nobody is authenticated yet");
    world.with(juliet, |engine, now| engine.tunnel(*id).unwrap().trust(now, TrustDecision::Accept)).unwrap();
    world.run();
    assert!(rings(&mut world, juliet, "benvolio@montague.lit/x", "b2"));
    assert!(!rings(&mut world, juliet, "mercutio@montague.lit/x", "m"));
}

/// As an embedder does that shares a password with somebody: anybody may try it.
#[test]
fn an_account_whose_offers_are_all_accepted_takes_two_places_until_one_is_authenticated() {
    let (mut world, juliet) = juliet();
    let mut accepted = 0;
    for at in 0..64 {
        rings(&mut world, juliet, &format!("a@evil{}.lit/{at}", at % 2), &format!("a{at}"));
        for event in world.take_events(juliet) {
            if let Event::Incoming(incoming) = event {
                let options = raw(TrustPolicy::LeapOfFaith);
                world.with(juliet, |engine, now| engine.accept(now, incoming, options)).unwrap();
                accepted += 1;
            }
        }
        world.run();
    }
    assert_eq!(accepted, 4, "two of each account");
    // They have the time of a handshake that does not begin, and then there is room again.
    world.run_for(Duration::from_secs(301));
    assert!(rings(&mut world, juliet, "a@evil0.lit/again", "again"));
}
