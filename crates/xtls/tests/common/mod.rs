//! Two engines with nothing but a string between them.

use std::time::Duration;

use xtls::{
    Engine, Event, Identity, Instant, Local, Setup, TunnelOptions,
    config::Config,
    jid::{BareJid, FullJid},
    tls::{KeyAlgorithm, UnixTime},
    trust::MemoryTrustStore,
};

/// The initiator's address and the responder's.
pub(crate) const JIDS: [&str; 2] = ["romeo@montague.lit/orchard", "juliet@capulet.lit/balcony"];

pub(crate) fn bare(jid: &str) -> BareJid {
    jid.parse::<FullJid>().unwrap().to_bare()
}

pub(crate) fn time() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(1_760_000_000))
}

pub(crate) fn identity(of: &str, key: KeyAlgorithm) -> Identity {
    Identity::generate(&bare(of), key, time()).unwrap()
}

/// The engine of one of them.
pub(crate) fn engine(jid: &str, identity: Identity, store: MemoryTrustStore, now: Instant) -> Engine {
    let mut config = Config::default();
    config.stamp_from = true;
    let local = Local::new(jid.parse().unwrap(), identity);
    Engine::new(Setup::new(local, Box::new(store), [7; 32], time()).with_config(config), now).unwrap()
}

/// Offers a tunnel, accepts it, shows all other events with their end and its number, and lets stanzas pass until nothing happens
/// any more.
pub(crate) fn play(
    mut ends: [Engine; 2],
    now: Instant,
    options: &TunnelOptions,
    mut on: impl FnMut(&mut Engine, usize, Event),
) {
    ends[0].initiate(now, JIDS[1].parse().unwrap(), options.clone()).unwrap();
    let (mut stanza, mut quiet) = (String::new(), 0);
    while quiet < 2 {
        quiet += 1;
        for at in 0..2 {
            while let Some(event) = ends[at].poll_event() {
                quiet = 0;
                match event {
                    Event::Incoming(offer) => drop(ends[at].accept(now, offer, options.clone()).unwrap()),
                    event => on(&mut ends[at], at, event),
                }
            }
            while ends[at].poll_transmit(now, &mut stanza).is_some() {
                quiet = 0;
                let _ = ends[1 - at].handle_stanza(now, &stanza);
                stanza.clear();
            }
        }
    }
}
