//! Secrets live in one place, on the heap, and are wiped there.
//!
//! A value that is moved leaves its bytes where it was, and nothing wipes those. So a secret is made in a box, and only the
//! pointer to it moves. A function that works with a secret may leave parts of it on the stack: that part of the stack is
//! overwritten when the function has returned.

use std::hint::black_box;

use zeroize::{Zeroize, Zeroizing};

/// A secret of fixed length that stays where it was made.
pub(crate) type Wiped<const N: usize> = Box<Zeroizing<[u8; N]>>;

/// A place for a secret, full of zeros.
pub(crate) fn wiped<const N: usize>() -> Wiped<N> {
    Box::new(Zeroizing::new([0; N]))
}

/// Words of eight bytes: some times what a handshake uses of the stack.
const HANDSHAKE: usize = 4096;

/// Words of eight bytes: some times what a record, the exporter or SASLprep use of it.
const RECORDS: usize = 512;

/// Calls `work`, which does arithmetic with secrets or derives keys, and overwrites the stack that it used.
pub(crate) fn handshake<T>(work: impl FnOnce() -> T) -> T {
    let result = apart(work);
    overwrite::<HANDSHAKE>();
    result
}

/// The same for work that goes less deep: records, the exporter, SASLprep.
pub(crate) fn records<T>(work: impl FnOnce() -> T) -> T {
    let result = apart(work);
    overwrite::<RECORDS>();
    result
}

/// A frame of its own, which ends before the stack is overwritten.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Its frame begins where that of [`apart`] began. [`Zeroize`] sees to it that the compiler does not leave the writes out.
#[inline(never)]
fn overwrite<const WORDS: usize>() {
    let mut stack = [0_u64; WORDS];
    stack.zeroize();
    black_box(&stack);
}
