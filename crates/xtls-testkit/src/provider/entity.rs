use std::cell::RefCell;
use std::fmt;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use rustls::crypto::GetRandomFailed;

thread_local! {
    /// The random numbers of the entity that is entered, if one is.
    static CURRENT: RefCell<Option<ChaCha20Rng>> = const { RefCell::new(None) };
}

/// One side of a simulated conversation, with a stream of random numbers of its own.
///
/// **For tests only.** The stream is ChaCha20 keyed with the seed; it depends on the seed and on what this entity drew
/// before, not on what others do.
pub struct Entity {
    random: Option<ChaCha20Rng>,
}

impl Entity {
    /// An entity at the start of the stream of `seed`.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self { random: Some(ChaCha20Rng::from_seed(seed)) }
    }

    /// An entity with a small number for a seed.
    #[must_use]
    pub fn numbered(seed: u64) -> Self {
        Self { random: Some(ChaCha20Rng::seed_from_u64(seed)) }
    }

    /// Runs `work` with this entity's random numbers. Another entity may be entered inside; when it is left, or when
    /// either panics, the one before it is current again.
    pub fn enter<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let outer = swap(self.random.take());
        let guard = Guard { entity: self, outer };
        let result = work();
        drop(guard);
        result
    }
}

/// Debug shows nothing of the stream.
impl fmt::Debug for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entity").finish_non_exhaustive()
    }
}

struct Guard<'a> {
    entity: &'a mut Entity,
    outer: Option<ChaCha20Rng>,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.entity.random = swap(self.outer.take());
    }
}

fn swap(random: Option<ChaCha20Rng>) -> Option<ChaCha20Rng> {
    CURRENT.with_borrow_mut(|current| std::mem::replace(current, random))
}

/// Fails outside any entity.
pub(super) fn fill(buf: &mut [u8]) -> Result<(), GetRandomFailed> {
    CURRENT.with_borrow_mut(|current| {
        current.as_mut().ok_or(GetRandomFailed)?.fill_bytes(buf);
        Ok(())
    })
}
