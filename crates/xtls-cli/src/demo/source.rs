//! The bytes that `xtls demo` moves: a file, or made-up ones.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use crate::args::DemoArgs;
use crate::exit::Failure;

/// Bytes that can be read any number of times over.
#[derive(Debug)]
pub(super) enum Source {
    File { path: PathBuf, length: u64 },
    MadeUp { length: u64 },
}

impl Source {
    pub(super) fn new(args: &DemoArgs) -> Result<Self, Failure> {
        let Some(path) = &args.file else { return Ok(Self::MadeUp { length: args.bytes }) };
        let unusable =
            |why: String| Failure::other(format!("{} cannot be read: {why}; give another --file", path.display()));
        let metadata = File::open(path).and_then(|file| file.metadata()).map_err(|e| unusable(e.to_string()))?;
        if !metadata.is_file() {
            return Err(unusable("it is no file".to_owned()));
        }
        Ok(Self::File { path: path.clone(), length: metadata.len() })
    }

    pub(super) fn length(&self) -> u64 {
        match self {
            Self::File { length, .. } | Self::MadeUp { length } => *length,
        }
    }

    /// Reads from the beginning.
    pub(super) fn open(&self) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            // A file that grows meanwhile is taken as it was.
            Self::File { path, length } => Box::new(File::open(path)?.take(*length)),
            Self::MadeUp { length } => Box::new(MadeUp(0x9e37_79b9_7f4a_7c15).take(*length)),
        })
    }
}

/// Marsaglia's xorshift: bytes that do not repeat soon and do not compress.
struct MadeUp(u64);

impl Read for MadeUp {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        for chunk in out.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(self.0.to_le_bytes().get(..chunk.len()).unwrap_or_default());
        }
        Ok(out.len())
    }
}
