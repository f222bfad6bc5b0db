//! What a stranger's stanza costs in memory, as a multiple of its bytes, from the text that comes in to the event that waits.
use crate::common::{JULIET, script::security};
use allocation_counter::{AllocationInfo, measure};
use xtls::{Disposition, Event};
use xtls_testkit::{EntityId, EntityOptions, World};

/// Bytes of memory for each byte that came.
const FACTOR: usize = 16;

/// An offer of another application.
fn offer(from: &str, action: &str, description: &str) -> String {
    format!(
        "<iq type='set' id='i' from='{from}' to='{JULIET}'>\
         <jingle xmlns='urn:xmpp:jingle:1' action='{action}' initiator='{from}' sid='s'>\
         <content creator='initiator' name='c'>{description}\
         <transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='b'/>{}</content></jingle></iq>",
        security(&[], &["x509"]),
    )
}

fn juliet() -> (World, EntityId) {
    let mut world = World::default();
    let juliet = world.add(JULIET, EntityOptions::seeded(2));
    (world, juliet)
}

fn delivered(world: &mut World, juliet: EntityId, stanza: &str) -> AllocationInfo {
    measure(|| {
        let disposition = world.deliver(juliet, stanza);
        assert!(matches!(disposition, Disposition::Consumed | Disposition::Unclaimed(_)), "{disposition:?}");
    })
}

#[test]
fn p21_one_stanza_of_a_stranger_costs_a_small_multiple_of_its_bytes() {
    // Declared once, as long as may be, and used by as many elements as may be.
    let (ns, elements) = ("u".repeat(16_000), "<p:a/>".repeat(16_000));
    let description = format!("<description xmlns='urn:x' xmlns:p='{ns}'>{elements}</description>");
    for action in ["session-initiate", "content-add"] {
        let (mut world, juliet) = juliet();
        let stanza = offer("mallory@verona.lit/street", action, &description);
        let peak = delivered(&mut world, juliet, &stanza).bytes_max;
        assert!(peak <= (FACTOR * stanza.len()) as u64, "{action}: {peak} bytes for {}", stanza.len());
        world.run();
        // As text the description would have 256 MB, far more than `Description::MAX_BYTES`.
        assert!(world.take_events(juliet).is_empty(), "{action}");
    }
}

#[test]
fn p21_offers_that_wait_hold_a_small_multiple_of_their_bytes() {
    let (mut world, juliet) = juliet();
    // As text each is within `Description::MAX_BYTES`.
    let description = format!("<description xmlns='{}'>{}</description>", "u".repeat(8160), "<a/>".repeat(2030));
    let stanzas: Vec<_> = (0..64)
        .map(|number| offer(&format!("guest{number}@verona.lit/hall"), "session-initiate", &description))
        .collect();
    for number in 0..64 {
        // Strangers would not get as many places.
        let guest = format!("guest{number}@verona.lit").parse().unwrap();
        world.with(juliet, |engine, _| engine.allow_offers(guest, true));
    }
    let bytes: usize = stanzas.iter().map(String::len).sum();
    let held: i64 = stanzas.iter().map(|stanza| delivered(&mut world, juliet, stanza).bytes_current).sum();
    assert!(held <= (FACTOR * bytes) as i64, "{held} bytes for {bytes}");
    world.run();
    let events = world.take_events(juliet);
    let incoming = events.iter().filter(|event| matches!(event, Event::Incoming { .. })).count();
    assert_eq!(incoming, stanzas.len(), "each waits for the user");
}
