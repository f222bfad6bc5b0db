//! How much memory an engine holds.

use std::{panic, sync::Once};

use allocation_counter::{measure, opt_out};

/// Bytes that are allocated by what is measured and not given back: what the engine and the little around it hold. The C of
/// the provider of cryptography is not counted.
#[derive(Debug, Default)]
pub(super) struct Live(i64);

/// What is printed of a panic counts for nobody. Debug builds of rustls have some that are caught where they come from.
pub(super) fn leave_panics_out() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = panic::take_hook();
        panic::set_hook(Box::new(move |info| opt_out(|| hook(info))));
    });
}

impl Live {
    /// Counts what this allocates and gives back.
    pub(super) fn measure<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let mut result = None;
        self.0 += measure(|| result = Some(work())).bytes_current;
        result.expect("it was done")
    }

    /// Drops something that the engine allocated and gave away.
    pub(super) fn dropped<T>(&mut self, thing: T) {
        self.measure(|| drop(thing));
    }

    /// How many bytes are held.
    pub(super) fn bytes(&self) -> i64 {
        self.0
    }
}
