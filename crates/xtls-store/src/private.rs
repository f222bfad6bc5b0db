//! What the operating system has for files of their owner's alone. Elsewhere than on Unix, files have the permissions of the directory
//! that they are made in, and nothing is said of them.

#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
};

/// Options to write a file that only its owner may read and write, if it is made by them. Whether it is made, and what happens to one
/// that is there, is for the caller to add.
#[must_use]
pub fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    options.mode(0o600);
    options
}

/// Whether every user of the machine can read this file: warn of a key that is. `false` where there are no such permissions.
#[must_use]
pub fn is_readable_by_all(path: &Path) -> bool {
    allows_all(path, 0o004) && path.is_file()
}

/// Whether every user of the machine can write this file, or this directory, and so replace what is in it: warn of what decides
/// whom to trust, or what to run. `false` where there are no such permissions.
#[must_use]
pub fn is_writable_by_all(path: &Path) -> bool {
    allows_all(path, 0o002)
}

#[cfg(unix)]
fn allows_all(path: &Path, bit: u32) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & bit != 0)
}

#[cfg(not(unix))]
fn allows_all(_path: &Path, _bit: u32) -> bool {
    false
}

/// Makes a directory that only its owner may enter, with those above it. One that exists is left as it is.
///
/// # Errors
///
/// When it cannot be made, or something else has its name.
pub fn make_private_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(path)
}

/// Makes a renaming durable, where directories can be synced.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::PrivateFile;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        make_private_dir(&inner).unwrap();
        assert_eq!((mode(&dir.path().join("a")), mode(&inner)), (0o700, 0o700));
        let file = inner.join("secret");
        PrivateFile::new("secret", &file).write(b"one").unwrap();
        PrivateFile::new("secret", &file).write(b"two").unwrap();
        assert_eq!((fs::read(&file).unwrap().as_slice(), mode(&file)), (b"two".as_slice(), 0o600));
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn what_others_can_write_is_noticed_be_it_a_file_or_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [&file, dir.path()] {
            for (mode, expected) in [(0o700, false), (0o775, false), (0o702, true)] {
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
                assert_eq!(is_writable_by_all(path), expected, "{mode:o}");
            }
        }
        assert!(!is_writable_by_all(&dir.path().join("missing")));
    }
}
