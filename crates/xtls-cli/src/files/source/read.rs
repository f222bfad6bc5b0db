//! Reading what was found, and noticing when it is not that any more.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cap_fs_ext::{MetadataExt as _, OpenOptionsSyncExt as _};
use cap_std::ambient_authority;
use cap_std::fs::{File as CapFile, Metadata, OpenOptions};
use xtls_files::{FileHashAlgo, FileHasher};

use super::Item;
use crate::files::error::Change;
use crate::files::{BLOCK, Progress, SourceError, narrow, wide};

/// What tells a file, and what is in it, from others, without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    pub(super) size: u64,
    modified: Option<SystemTime>,
}

/// Reads files as one sequence of bytes, and notices when one of them is not as it was found.
#[derive(Debug)]
pub(crate) struct SourceReader {
    files: Vec<(PathBuf, Stamp)>,
    /// Where each of them ends in the sequence.
    ends: Vec<u64>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    index: usize,
    file: CapFile,
    position: u64,
}

impl SourceReader {
    pub(super) fn new(items: impl IntoIterator<Item = Item>) -> Self {
        let files: Vec<_> = items.into_iter().filter_map(|item| item.stamp.map(|stamp| (item.place, stamp))).collect();
        let mut end: u64 = 0;
        let ends = files.iter().map(|(_, stamp)| {
            end = end.saturating_add(stamp.size);
            end
        });
        Self { ends: ends.collect(), files, open: None }
    }

    /// How many bytes there are.
    pub(crate) fn size(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Reads what is at `position`, at most to the end of the file that it is in; 0 bytes only at the end of all.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is not as it was found.
    pub(crate) fn read(&mut self, position: u64, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let index = self.ends.partition_point(|end| *end <= position);
        let Some((path, stamp)) = self.files.get(index) else { return Ok(0) };
        let start = self.ends[index] - stamp.size;
        let offset = position - start;
        let open = match self.open.take().filter(|open| open.index == index) {
            Some(open) => open,
            None => Open { index, file: stamp.open(path)?, position: 0 },
        };
        let open = self.open.insert(open);
        let room = narrow(stamp.size - offset, buffer.len());
        let read = open.read(offset, &mut buffer[..room]).map_err(|error| SourceError::of(path, error))?;
        // What was read is what was found only if nobody has written meanwhile.
        stamp.compare(path, &open.file)?;
        if read == 0 && room > 0 {
            return Err(SourceError::Changed(path.clone(), Change::Shrank));
        }
        Ok(read)
    }

    /// Hashes a part of the sequence; with nothing of it, an empty one.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, is not as it was found, or the caller wants no more.
    pub(crate) fn hash(&mut self, range: Range<u64>, progress: Progress<'_>) -> Result<FileHasher, SourceError> {
        let mut hasher = FileHasher::new(FileHashAlgo::Sha256);
        let mut buffer = vec![0; BLOCK];
        let mut position = range.start;
        while position < range.end {
            let room = narrow(range.end - position, buffer.len());
            let read = self.read(position, &mut buffer[..room])?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            position += wide(read);
            if progress(wide(read)).is_break() {
                return Err(SourceError::Stopped);
            }
        }
        Ok(hasher)
    }
}

impl Open {
    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position != offset {
            self.position = self.file.seek(SeekFrom::Start(offset))?;
        }
        let read = loop {
            match self.file.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.position += wide(read);
        Ok(read)
    }
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: metadata.modified().ok().map(cap_std::time::SystemTime::into_std),
        }
    }

    /// What is known of the file that this path leads to.
    pub(super) fn look(path: &Path) -> io::Result<Metadata> {
        open(path)?.metadata()
    }

    /// Opens the file that it is of. Where links on the way were changed meanwhile, that is another one, and noticed.
    fn open(&self, path: &Path) -> Result<CapFile, SourceError> {
        let file = open(path).map_err(|error| SourceError::of(path, error))?;
        self.compare(path, &file)?;
        Ok(file)
    }

    fn compare(&self, path: &Path, file: &CapFile) -> Result<(), SourceError> {
        let now = file.metadata().map_err(|error| SourceError::of(path, error))?;
        match self.change(&Self::of(&now)) {
            _ if !now.is_file() => Err(SourceError::Changed(path.to_owned(), Change::Replaced)),
            Some(change) => Err(SourceError::Changed(path.to_owned(), change)),
            None => Ok(()),
        }
    }

    fn change(&self, now: &Self) -> Option<Change> {
        match () {
            () if (self.device, self.inode) != (now.device, now.inode) => Some(Change::Replaced),
            () if now.size < self.size => Some(Change::Shrank),
            () if now.size > self.size => Some(Change::Grew),
            () => (now.modified != self.modified).then_some(Change::Written),
        }
    }
}

/// Opens a file to be read. Something else that has taken its place meanwhile cannot make that wait.
fn open(path: &Path) -> io::Result<CapFile> {
    CapFile::open_ambient_with(path, OpenOptions::new().read(true).nonblock(true), ambient_authority())
}
