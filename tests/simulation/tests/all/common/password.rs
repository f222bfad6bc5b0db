//! Two entities that know nothing of one another but, perhaps, a word.

use xtls::{Event, Password, Security, TrustPolicy, TunnelId, TunnelOptions, event::Side, trust::TrustStore as _};
use xtls_testkit::{EntityId, EntityOptions, World};

use super::{JULIET, ROMEO, raw};

/// The word that both know. It is found nowhere by chance.
pub const WORD: &str = "wherefore-art-thou-7391";

pub fn word() -> Password {
    Password::new(WORD).unwrap()
}

pub fn wrong() -> Password {
    Password::new("a plague on both your houses").unwrap()
}

/// Raw bytes between those who know the word, and no certificate that nobody knows.
pub fn by_word() -> TunnelOptions {
    raw(TrustPolicy::Pinned).with_password(word())
}

pub fn asking(trust: TrustPolicy) -> TunnelOptions {
    raw(trust).asking_password()
}

pub fn strangers(seed: u8) -> (World, [EntityId; 2]) {
    strangers_with(EntityOptions::seeded(seed), EntityOptions::seeded(seed.wrapping_add(1)))
}

pub fn strangers_with(romeo: EntityOptions, juliet: EntityOptions) -> (World, [EntityId; 2]) {
    let mut world = World::default();
    world.relay.keep_log();
    let romeo = world.add(ROMEO, romeo);
    let juliet = world.add(JULIET, juliet);
    (world, [romeo, juliet])
}

/// One offers and the other accepts, each on its own conditions.
pub fn meet(
    world: &mut World,
    [one, other]: [EntityId; 2],
    here: TunnelOptions,
    there: TunnelOptions,
) -> [TunnelId; 2] {
    let peer = world.jid(other).clone();
    let ours = world.with(one, |engine, now| engine.initiate(now, peer, here)).unwrap();
    world.run();
    let theirs = world.accept(other, there).unwrap();
    world.run();
    [ours, theirs]
}

/// Takes an entity's events, of which the first says how the tunnel is secured.
pub fn secured(world: &mut World, id: EntityId) -> Security {
    let events = world.take_events(id);
    match events.first() {
        Some(Event::Secured { security, .. }) => (**security).clone(),
        _ => panic!("secured first of all: {events:?}"),
    }
}

/// Takes an entity's events: it is asked for a password, and nothing else.
pub fn asked(world: &mut World, id: EntityId, expected: Side) {
    let events = world.take_events(id);
    assert!(matches!(&*events, [Event::PasswordRequired { side, .. }] if *side == expected), "{events:?}");
}

pub fn provide(world: &mut World, id: EntityId, tunnel: TunnelId, password: Option<Password>) {
    world.with(id, |engine, now| engine.tunnel(tunnel).unwrap().provide_password(now, password)).unwrap();
    world.run();
}

/// How many guesses one counts for the other.
pub fn guesses(world: &World, id: EntityId, peer: EntityId) -> u32 {
    let peer = world.jid(peer).to_bare();
    world.with_store(id, |store| store.record(&peer).unwrap().attempts.failed)
}

pub fn action(stanza: &str, action: &str) -> bool {
    stanza.contains(&format!("action='{action}'"))
}

/// Whether a Jingle action went over the wire.
pub fn passed(world: &World, name: &str) -> bool {
    world.relay.log().iter().any(|passed| action(&passed.stanza, name))
}
