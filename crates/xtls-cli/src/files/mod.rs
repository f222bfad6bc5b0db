//! Files on disk, for `send` and `receive`: what is sent is found, hashed and read; what is received is written next to what is there,
//! and nowhere else.
//!
//! All of it blocks, and is called where that may be. Nothing in it knows of the network.

#![cfg_attr(not(test), expect(dead_code, reason = "tests look closer at it than the commands do"))]

mod error;
mod source;
mod system;
mod target;

#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

pub(crate) use error::{SourceError, TargetError};
pub(crate) use source::{Found, HashedTree, Problem, Skipped, SourceFile, SourceReader, SourceTree, survey};
pub(crate) use target::{Left, PartFile, PartTree, Target};

/// Is told of the bytes that were read since the last call, and says whether to go on.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(u64) -> ControlFlow<()>;

/// How many bytes are read or hashed at once.
const BLOCK: usize = 256 * 1024;

/// A length in memory as one of files.
pub(crate) fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// As much of a length of files as there is room for in memory.
fn narrow(length: u64, room: usize) -> usize {
    usize::try_from(length).map_or(room, |length| length.min(room))
}
