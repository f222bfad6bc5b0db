//! Everything on disk, as users and their peers make it nasty.

#![allow(clippy::unwrap_used, clippy::unwrap_in_result, clippy::type_complexity, clippy::single_range_in_vec_init)]

mod full;
mod round;
mod source;
mod target;
mod tree;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use xtls_files::PartialRecord;
use xtls_files::manifest::ManifestLimits;

use super::source::{Skipped, Survey};
use super::target::Claim;
use super::*;

fn temp() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Goes on.
fn on() -> impl FnMut(u64) -> ControlFlow<()> {
    |_| ControlFlow::Continue(())
}

/// Makes files with these bytes, and the directories above them.
fn plant(root: &Path, files: &[(&str, &str)]) {
    for (path, bytes) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn find(path: impl AsRef<Path>) -> Result<Survey, SourceError> {
    survey(&[path.as_ref().to_owned()], false, ManifestLimits::default())
}

fn find_tree(path: impl AsRef<Path>) -> SourceTree {
    match find(path).unwrap().found {
        Found::Tree(tree) => tree,
        Found::File(file) => panic!("{file:?}"),
    }
}

fn find_file(path: impl AsRef<Path>) -> SourceFile {
    match find(path).unwrap().found {
        Found::File(file) => file,
        Found::Tree(tree) => panic!("{tree:?}"),
    }
}

fn record(name: &str, size: u64) -> PartialRecord {
    let mut record = PartialRecord::new("juliet@capulet.lit".parse().unwrap(), name.parse().unwrap());
    record.size = Some(size);
    record
}

/// What is in a directory, sorted.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Does something as a user without any rights, also where the tests run as root, whom no permissions stop.
#[cfg(unix)]
fn as_nobody<R: Send>(act: impl FnOnce() -> R + Send) -> R {
    use rustix::process::Uid;
    std::thread::scope(|scope| {
        let act = || {
            if rustix::process::geteuid().is_root() {
                let nobody = Uid::from_raw(65_534);
                // Of this thread alone.
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            }
            act()
        };
        scope.spawn(act).join().unwrap()
    })
}

#[cfg(unix)]
fn allow(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn unlink(path: PathBuf) {
    fs::remove_file(path).unwrap();
}
