//! A deterministic TLS provider. **For tests and simulations only: sessions made with it are not secret.**
//!
//! Every random number of a handshake comes from a seed that the test knows, so whoever knows the seed can read
//! everything. Nothing in this module may be reachable from a program that talks to people.
//!
//! What it is for: the same seeds give the same bytes. A simulation that is run twice sends the same records, and a
//! failure can be replayed from its seed.
//!
//! rustls takes its random numbers from statics, which cannot know whose session they are asked for. So each [`Entity`]
//! has a stream of its own, and [`Entity::enter`] makes it the current one of the thread while a closure runs:
//!
//! ```
//! use xtls_testkit::provider::{self, Entity};
//!
//! let draw = |entity: &mut Entity| {
//!     let mut bytes = [0; 8];
//!     entity.enter(|| provider::deterministic().secure_random.fill(&mut bytes)).unwrap();
//!     bytes
//! };
//! let (mut romeo, mut juliet) = (Entity::new([1; 32]), Entity::new([2; 32]));
//! let first = draw(&mut romeo);
//! draw(&mut juliet);
//! let second = draw(&mut romeo);
//!
//! let mut again = Entity::new([1; 32]);
//! assert_eq!([draw(&mut again), draw(&mut again)], [first, second], "whatever Juliet did in between");
//! ```
//!
//! Outside of any entity there are no random numbers: a handshake that is not inside [`Entity::enter`] fails instead of
//! being random in secret.
//!
//! The key exchange is X25519 and signatures are Ed25519: the same key and message give the same signature. ECDSA and
//! ML-KEM draw from the random number generator of aws-lc, which cannot be seeded, so use [`identity`] for identities.

mod entity;
mod identity;
mod kx;
mod time;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, GetRandomFailed, SecureRandom, aws_lc_rs};

pub use entity::Entity;
pub use identity::identity;
pub use time::VirtualTime;

/// The provider: X25519 and random numbers from the current [`Entity`], everything else from aws-lc-rs.
#[must_use]
pub fn deterministic() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        kx_groups: vec![&kx::X25519],
        secure_random: &SeededRandom,
        ..aws_lc_rs::default_provider()
    })
}

/// The same without TLS 1.3.
#[must_use]
pub fn tls12() -> Arc<CryptoProvider> {
    let mut provider = (*deterministic()).clone();
    provider.cipher_suites.retain(|suite| suite.tls13().is_none());
    Arc::new(provider)
}

#[derive(Debug)]
struct SeededRandom;

impl SecureRandom for SeededRandom {
    fn fill(&self, buf: &mut [u8]) -> Result<(), GetRandomFailed> {
        entity::fill(buf)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
