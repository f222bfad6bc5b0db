//! For tests, simulations and demonstrations of XTLS, never for production: a virtual clock, a simulated server, worlds
//! of engines that talk through it, and a deterministic TLS provider.
//!
//! ```
//! use xtls::{Event, TrustPolicy, TunnelOptions};
//! use xtls_testkit::World;
//!
//! // Two entities that trust one another, and a server between them; everything follows from the seed.
//! let (mut world, romeo, juliet) = World::pair(7);
//! let tunnel = world.connect(romeo, juliet);
//! let message = xtls_stanza::Element::builder("message", "jabber:client").build().expect("a stanza");
//! world.with(romeo, |engine, now| engine.tunnel(tunnel).expect("it is live").send(now, &message)).expect("it is open");
//! world.run();
//! assert!(world.take_events(juliet).iter().any(|event| matches!(event, Event::Stanza { .. })));
//! ```

mod client;
mod link;
mod network;
pub mod provider;
mod relay;
mod sockets;
mod store;
mod world;

pub use client::{Client, Connection};
pub use link::{AnyLink, LinkPair, SIDES};
pub use network::{EntityId, Happening, Network};
/// The time of day so many seconds after 1970-01-01 UTC.
#[must_use]
pub fn unix(seconds: u64) -> xtls::tls::UnixTime {
    xtls::tls::UnixTime::since_unix_epoch(core::time::Duration::from_secs(seconds))
}

pub use relay::{Delivery, Fate, Misdeed, Passed, Relay, UnknownMisdeed};
pub use sockets::{Conduct, Cut, Sockets, Visit};
pub use store::{FailingStore, StoreCall, check_store};
pub use world::{EngineClient, EntityOptions, World};
