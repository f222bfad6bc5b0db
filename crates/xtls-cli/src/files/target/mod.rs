//! The directory that files are received into.
//!
//! What is being received is there under names of its own: the bytes in `NAME.xtls-part`, what they are of in `NAME.xtls-part.info`,
//! and the manifest of a directory in `NAME.xtls-part.manifest`. Everything is opened in directories that are open, one name at a time,
//! and never by way of a link, so that nothing outside is ever written, whatever is changed meanwhile.

mod claim;
mod part;
mod settle;
mod tree;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use cap_fs_ext::{FollowSymlinks, MetadataExt as _, OpenOptionsFollowExt as _, OpenOptionsSyncExt as _};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions};

use super::{TargetError, system};

pub(crate) use claim::{Claim, Left};
pub(crate) use part::PartFile;
pub(crate) use tree::PartTree;

/// A directory to receive into. It is opened once: that it is renamed or replaced meanwhile leads nowhere else.
#[derive(Debug)]
pub(crate) struct Target {
    dir: Dir,
    path: PathBuf,
}

impl Target {
    /// Opens it. The path that the user gave may be a link; nothing below it may.
    ///
    /// # Errors
    ///
    /// When there is no such directory.
    pub(crate) fn open(path: &Path) -> Result<Self, TargetError> {
        let opened = Dir::open_ambient_dir(path, ambient_authority());
        let path = path.to_owned();
        match opened {
            Ok(dir) => Ok(Self { dir, path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(TargetError::NoDirectory(path)),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(TargetError::NotADirectory(path)),
            // Windows opens a file as a directory, and says something else of it.
            Err(_) if path.is_file() => Err(TargetError::NotADirectory(path)),
            Err(error) => Err(TargetError::Unusable(path, error)),
        }
    }

    /// How many bytes there is room for; `None` where that cannot be told.
    pub(crate) fn free_space(&self) -> Option<u64> {
        system::free_space(&self.dir)
    }

    /// As the user gave it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Opens a file that is there. A link is refused ([`io::ErrorKind::FilesystemLoop`] and the like), and a pipe is not waited for.
fn open(dir: &Dir, name: &str, options: &mut OpenOptions) -> io::Result<File> {
    Ok(dir.open_with(name, options.follow(FollowSymlinks::No).nonblock(true))?.into_std())
}

/// Opens a file of our own that is there, to read and to write it. `Ok(None)` if there is none.
fn open_own(dir: &Dir, name: &str, path: &Path) -> Result<Option<File>, TargetError> {
    let obstacle = || TargetError::Obstacle(path.to_owned());
    match open(dir, name, OpenOptions::new().read(true).write(true)) {
        Ok(file) => {
            let metadata = file.metadata().map_err(|error| TargetError::of(path, error))?;
            if system::is_own_file(&metadata) { Ok(Some(file)) } else { Err(obstacle()) }
        }
        Err(error) => match dir.symlink_metadata(name) {
            Ok(metadata) if metadata.is_file() => Err(TargetError::of(path, error)),
            Ok(_) => Err(obstacle()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(TargetError::of(path, error)),
        },
    }
}

/// Whether this is the file of this name, and not one that was removed or replaced since it was opened.
fn is_still(dir: &Dir, file: &File, name: &str) -> bool {
    let id = |metadata: Metadata| (metadata.dev(), metadata.ino());
    let (opened, named) = (Metadata::from_file(file).map(id), dir.symlink_metadata(name).map(id));
    matches!((opened, named), (Ok(opened), Ok(named)) if opened == named)
}

/// The same of a directory.
fn is_dir_still(dir: &Dir, opened: &Dir, name: &str) -> bool {
    let id = |metadata: Metadata| (metadata.dev(), metadata.ino());
    let (opened, named) = (opened.dir_metadata().map(id), dir.symlink_metadata(name).map(id));
    matches!((opened, named), (Ok(opened), Ok(named)) if opened == named)
}

/// Makes a file that was not there.
fn make(dir: &Dir, name: &str, mode: u16) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    Ok(dir.open_with(name, system::made_with(&mut options, mode))?.into_std())
}

/// Removes what is no directory; that it is not there is fine.
fn remove(dir: &Dir, name: &str) -> io::Result<()> {
    match dir.remove_file(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
