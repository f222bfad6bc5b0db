//! Identifiers nobody can guess: IQ ids, Jingle and bytestream sids, stream ids.

use core::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};

/// One identifier: a letter and 21 URL-safe base64 characters, carrying 126 random bits.
///
/// It is an NMTOKEN, as XEP-0047 § 2.1 and XEP-0166 § 7.1 ask of a sid, and needs no escaping anywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; Self::LEN]);

impl Id {
    /// Length in bytes (and characters) of every identifier.
    pub const LEN: usize = 22;

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq<str> for Id {
    fn eq(&self, other: &str) -> bool {
        self.0 == *other.as_bytes()
    }
}

/// The source of identifiers: a ChaCha20 stream from a seed that enters once.
///
/// The same seed gives the same identifiers in the same order, so a run can be replayed; with a secret random seed
/// nobody else can predict one (an answer to an IQ is matched by its id and its sender).
pub struct Ids(ChaCha20Rng);

impl Ids {
    /// Starts from `seed`, which outside tests and simulations is 32 bytes from the operating system.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha20Rng::from_seed(seed))
    }

    /// The next identifier.
    pub fn next_id(&mut self) -> Id {
        let mut random = [0; 16];
        self.0.fill_bytes(&mut random);
        let mut text = [b'A'; Id::LEN];
        // 16 bytes are 22 characters without padding; the slice is exactly as long.
        let _ = URL_SAFE_NO_PAD.encode_slice(random, &mut text);
        // The first character may be a digit or a dash, which is fine in an NMTOKEN but not in an xml:id (NCName).
        text[0] = b'a' + (random[0] >> 4);
        Id(text)
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_identifiers() {
        let (mut a, mut b, mut c) = (Ids::new([7; 32]), Ids::new([7; 32]), Ids::new([8; 32]));
        for _ in 0..100 {
            let id = a.next_id();
            assert_eq!(id, b.next_id());
            assert_ne!(id, c.next_id());
        }
    }

    #[test]
    fn an_identifier_is_a_name_and_never_repeats() {
        let mut ids = Ids::new([1; 32]);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..10_000 {
            let id = ids.next_id();
            assert_eq!(id.as_str().len(), Id::LEN);
            assert!(id.as_str().starts_with(|c: char| c.is_ascii_lowercase()));
            assert!(id.as_str().chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'));
            assert!(seen.insert(id));
        }
    }

    #[test]
    fn debug_does_not_show_the_state() {
        assert_eq!(format!("{:?}", Ids::new([1; 32])), "Ids(..)");
    }
}
