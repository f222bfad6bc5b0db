//! Bytes for `xtls pipe` and `xtls link … --pipe`.

use std::io::{Read, Write};
use std::thread::{self, JoinHandle};

use crate::Xtls;

/// Bytes that do not repeat soon, different for each seed (Marsaglia's xorshift).
#[must_use]
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Writes all of it and then ends the input.
///
/// # Panics
///
/// When it was taken or ended before; the thread, when not all is read.
pub fn feed(xtls: &mut Xtls, bytes: Vec<u8>) -> JoinHandle<()> {
    let mut stdin = xtls.take_stdin();
    thread::spawn(move || stdin.write_all(&bytes).expect("xtls reads its input"))
}

/// Reads until the end of the output.
///
/// # Panics
///
/// When it was taken before; the thread, when it cannot be read.
pub fn drain(xtls: &mut Xtls) -> JoinHandle<Vec<u8>> {
    let mut stdout = xtls.take_stdout();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.read_to_end(&mut bytes).expect("the output of xtls is read");
        bytes
    })
}
