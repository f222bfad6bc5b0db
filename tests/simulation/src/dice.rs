//! Where a history's choices come from: a seed, or the bytes of a fuzzer.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// A source of choices.
pub trait Dice {
    /// A number below `sides`, which is at least 1.
    fn roll(&mut self, sides: u32) -> u32;

    /// Whether something happens that happens once in `times`.
    fn once_in(&mut self, times: u32) -> bool {
        self.roll(times) == 0
    }

    /// One of these.
    fn pick<T: Clone>(&mut self, choices: &[T]) -> T
    where
        Self: Sized,
    {
        let count = u32::try_from(choices.len()).unwrap_or(u32::MAX);
        choices[usize::try_from(self.roll(count)).unwrap_or(0)].clone()
    }

    /// Whether there is more to choose from; a fuzzer's input ends.
    fn is_empty(&self) -> bool {
        false
    }
}

/// Choices that follow from a number.
#[derive(Debug)]
pub struct Seeded(ChaCha8Rng);

impl Seeded {
    /// The choices of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }
}

impl Dice for Seeded {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0.next_u32() % sides
    }
}

/// Choices that are the bytes of an input: two for each, and 0 when there are no more.
#[derive(Debug)]
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// The choices of this input.
    #[must_use]
    pub fn new(input: &'a [u8]) -> Self {
        Self(input)
    }
}

impl Dice for Bytes<'_> {
    fn roll(&mut self, sides: u32) -> u32 {
        let (value, rest) = match self.0 {
            [first, second, rest @ ..] => (u16::from_le_bytes([*first, *second]), rest),
            [first, rest @ ..] => (u16::from(*first), rest),
            [] => (0, self.0),
        };
        self.0 = rest;
        u32::from(value) % sides
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
