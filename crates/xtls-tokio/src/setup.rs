//! What a client that has a clock and randomness at hand need not say.

use std::io;

use xtls::{Local, Setup, tls::UnixTime, trust::TrustStore};

/// What an engine or a link is made from, with the time of day of the system and a seed that the cryptography provider draws.
///
/// # Errors
///
/// When the provider has no randomness.
pub fn setup<J, C: Default>(local: Local<J>, store: impl TrustStore + 'static) -> io::Result<Setup<J, C>> {
    let mut seed = [0; 32];
    let filled = local.provider.secure_random.fill(&mut seed);
    filled.map_err(|_| io::Error::other("the cryptography provider has no randomness"))?;
    Ok(Setup::new(local, Box::new(store), seed, UnixTime::now()))
}
