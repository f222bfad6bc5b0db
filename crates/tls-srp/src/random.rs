//! Where random bytes come from: the caller.

use std::fmt;

/// A source of random bytes that an attacker cannot predict.
///
/// The engine has no source of its own, so that it runs wherever the caller has one, and so that a test can replay a
/// session byte for byte. A session takes from it the hello random, the salt, the private value of SRP and the
/// initialization vector of each record.
pub trait Random {
    /// Fills the whole of `out`.
    ///
    /// # Errors
    ///
    /// [`RandomFailed`] if fewer bytes are to be had. The session then ends: it never goes on with what it has, and it
    /// never asks again.
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed>;
}

/// The source of random bytes has none to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // Whoever implements `Random` has to make one.
pub struct RandomFailed;

impl fmt::Display for RandomFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the source of random bytes failed")
    }
}

impl std::error::Error for RandomFailed {}
