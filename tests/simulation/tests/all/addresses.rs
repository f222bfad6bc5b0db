//! Addresses: the spelling that was typed goes out, and the canonical form tells who somebody is (docs/wire.md § 2, 41).
use std::time::Duration;

use crate::common::{ROMEO, closed, element, message, sent, xml};
use xtls::jid::{FullJid, Jid};
use xtls::tls::{KeyAlgorithm, UnixTime};
use xtls::trust::{MemoryTrustStore, Pin};
use xtls::{Config, Engine, Event, Fault, Identity, Local, Setup, TrustPolicy, event::ProbeFault};
use xtls_testkit::{EntityOptions, Fate, World};

/// Whom the user means.
const TYPED: &str = "juliet@stra\u{df}e.example/balcony";
/// Whom a server that prepares by RFC 6122 takes her for.
const TAKEN_FOR: &str = "juliet@strasse.example/balcony";
/// Nobody takes her for these.
const OTHERS: [&str; 4] = [
    "mallory@strasse.example/balcony",
    "juliet@strasse.example/chamber",
    "juliet@strasse.example",
    "juliet@capulet.lit/balcony",
];

/// Romeo alone; what he sends to Juliet reaches nobody.
fn alone() -> (World, xtls_testkit::EntityId) {
    let mut world = World::default();
    world.relay.keep_log();
    let romeo = world.add(ROMEO, EntityOptions::seeded(1));
    world.relay.meddle(|passed| if passed.to == TYPED { Fate::Replace(Vec::new()) } else { Fate::Pass });
    (world, romeo)
}

fn error(from: &str, id: &str) -> String {
    format!(
        "<iq from='{from}' to='{ROMEO}' id='{id}' type='error'><error type='cancel'>\
         <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    )
}

/// The id of the last request to Juliet, which is addressed as she was typed.
fn asked(world: &World) -> String {
    let request = element(&sent(world, ROMEO, TYPED).pop().unwrap());
    assert_eq!(request.attribute("to"), Some(TYPED));
    request.attribute("id").unwrap().to_owned()
}

#[test]
fn wire_2_41_an_answer_by_whom_a_server_takes_the_peer_for_ends_the_attempt_at_once_and_names_it() {
    for check_support in [true, false] {
        let (mut world, romeo) = alone();
        let mut options = xml(TrustPolicy::LeapOfFaith);
        options.check_support = check_support;
        world.with(romeo, |engine, now| engine.initiate(now, TYPED.parse().unwrap(), options)).unwrap();
        world.run();
        let (id, began) = (asked(&world), world.now());
        for other in OTHERS {
            let _ = world.deliver(romeo, &error(other, &id));
        }
        let _ = world.deliver(romeo, &error(TAKEN_FOR, "another"));
        world.run();
        assert!(world.take_events(romeo).is_empty(), "the answers of others are none (RFC 6120 § 8.1.3)");
        let _ = world.deliver(romeo, &error(TAKEN_FOR, &id));
        world.run();
        let ended = closed(&mut world, romeo);
        let Some(Fault::AnotherAnswered { address }) = &ended.fault else { panic!("{ended:?}") };
        assert_eq!(*address, TAKEN_FOR.parse::<Jid>().unwrap());
        assert!(ended.security && ended.said.contains(TAKEN_FOR), "{}", ended.said);
        assert!(world.now() - began < Duration::from_secs(1));
    }
}

#[test]
fn wire_2_41_a_question_that_another_answers_is_told_with_its_address() {
    let (mut world, romeo) = alone();
    let options = xml(TrustPolicy::LeapOfFaith);
    world.with(romeo, |engine, now| engine.probe(now, TYPED.parse().unwrap(), &options)).unwrap();
    world.run();
    let id = asked(&world);
    for other in OTHERS {
        let _ = world.deliver(romeo, &error(other, &id));
    }
    world.run();
    assert!(world.take_events(romeo).is_empty());
    let _ = world.deliver(romeo, &error(TAKEN_FOR, &id));
    world.run();
    let events = world.take_events(romeo);
    let [Event::Probed { result: Err(fault), .. }] = &*events else { panic!("{events:?}") };
    assert_eq!(**fault, ProbeFault::AnotherAnswered(TAKEN_FOR.parse().unwrap()));
}

/// Two entities on one string, as in the README.
#[test]
fn wire_2_41_a_peer_is_the_same_in_every_spelling_and_is_answered_in_the_one_that_came() {
    let typed = "Juliet@XN--STRAE-OQA.example/balcony";
    let stamped = "juliet@stra\u{df}e.example/balcony";
    let (mut now, time) = (World::default().now(), UnixTime::since_unix_epoch(Duration::from_secs(1_760_000_000)));
    let jids: [FullJid; 2] = [ROMEO.parse().unwrap(), stamped.parse().unwrap()];
    let identities =
        [0, 1].map(|end: usize| Identity::generate(&jids[end].to_bare(), KeyAlgorithm::EcdsaP256, time).unwrap());
    let mut ends = [0, 1].map(|end: usize| {
        let mut store = MemoryTrustStore::default();
        // Romeo's user has pinned her by what was typed.
        let peer: FullJid = if end == 0 { typed.parse().unwrap() } else { ROMEO.parse().unwrap() };
        store.pin(&peer.to_bare(), Pin::manual(identities[1 - end].fingerprint_sha256()));
        let mut config = Config::default();
        config.stamp_from = true;
        let local = Local::new(jids[end].clone(), identities[end].clone());
        let seed = [u8::try_from(end).unwrap(); 32];
        Engine::new(Setup::new(local, Box::new(store), seed, time).with_config(config), now).unwrap()
    });
    let mut options = xml(TrustPolicy::Pinned);
    options.check_support = false;
    ends[0].initiate(now, typed.parse().unwrap(), options.clone()).unwrap();
    let (mut to_juliet, mut heard) = (Vec::new(), None);
    for end in [0, 1].into_iter().cycle().take(200) {
        now += Duration::from_millis(1);
        let mut stanza = String::new();
        while let Some(transmit) = ends[end].poll_transmit(now, &mut stanza) {
            if end == 0 {
                to_juliet.push(transmit.to.to_string());
            }
            let _ = ends[1 - end].handle_stanza(now, &std::mem::take(&mut stanza));
        }
        while let Some(event) = ends[end].poll_event() {
            match event {
                Event::Incoming(offer) => drop(ends[end].accept(now, offer, options.clone()).unwrap()),
                Event::StreamOpened { id } if end == 0 => {
                    ends[end].tunnel(id).unwrap().send(now, &message("But soft!")).unwrap();
                }
                Event::Stanza { stanza, .. } => heard = Some(stanza),
                Event::Closed(closed) => panic!("{closed:?}"),
                _ => {}
            }
        }
    }
    assert_eq!(heard.unwrap().attribute("to"), Some(stamped), "as she is spelt at her own end");
    assert_eq!(to_juliet.first().map(String::as_str), Some(typed));
    assert!(to_juliet.iter().any(|to| to == stamped), "answers go to what was stamped");
    assert!(to_juliet.iter().all(|to| [typed, stamped].contains(&to.as_str())));
}
