//! What file systems have in ways of their own.

use std::fs::{File, Metadata};
use std::io;

use cap_std::fs::{Dir, OpenOptions};

/// How much room a user has in the file system of a directory; `None` where that cannot be told.
#[cfg(unix)]
pub(super) fn free_space(dir: &Dir) -> Option<u64> {
    let status = rustix::fs::fstatvfs(dir).ok()?;
    status.f_bavail.checked_mul(status.f_frsize)
}

#[cfg(not(unix))]
pub(super) fn free_space(_dir: &Dir) -> Option<u64> {
    None
}

/// Renames within a directory, unless the new name is taken ([`io::ErrorKind::AlreadyExists`]).
pub(super) fn rename_new(dir: &Dir, from: &str, to: &str) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        use rustix::io::Errno;
        match rustix::fs::renameat_with(dir, from, dir, to, rustix::fs::RenameFlags::NOREPLACE) {
            // The file system, or the kernel, cannot do that.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            done => return Ok(done?),
        }
    }
    rename_onto_own(dir, from, to)
}

/// The same where no call of the operating system does it: what is replaced is empty, and was made a moment before, since nothing had
/// the name.
pub(super) fn rename_onto_own(dir: &Dir, from: &str, to: &str) -> io::Result<()> {
    if dir.symlink_metadata(from)?.is_dir() {
        dir.create_dir(to)?;
        if cfg!(windows) {
            dir.remove_dir(to)?;
        }
    } else {
        dir.open_with(to, OpenOptions::new().write(true).create_new(true))?;
    }
    dir.rename(from, dir, to)
}

/// Permissions that a file or a directory is made with; the operating system takes away what the user's mask says.
#[cfg(unix)]
pub(super) fn made_with(options: &mut OpenOptions, mode: u16) -> &mut OpenOptions {
    cap_std::fs::OpenOptionsExt::mode(options, mode.into())
}

#[cfg(not(unix))]
pub(super) fn made_with(options: &mut OpenOptions, _mode: u16) -> &mut OpenOptions {
    options
}

/// Makes a directory with such permissions.
pub(super) fn make_dir(dir: &Dir, name: &str, mode: u16) -> io::Result<()> {
    let mut builder = cap_std::fs::DirBuilder::new();
    #[cfg(unix)]
    cap_std::fs::DirBuilderExt::mode(&mut builder, mode.into());
    #[cfg(not(unix))]
    let _ = mode;
    dir.create_dir_with(name, builder.recursive(false))
}

/// Takes permissions away from a directory.
pub(super) fn restrict_dir(dir: &Dir, mode: u16) -> io::Result<()> {
    if cfg!(unix) { restrict(&readable(dir)?, mode) } else { Ok(()) }
}

/// Takes permissions away from what was made with more of them. Nothing is ever added.
#[cfg(unix)]
pub(super) fn restrict(file: &File, mode: u16) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let now = file.metadata()?.permissions().mode() & 0o7777;
    let wanted = now & u32::from(mode);
    if now == wanted { Ok(()) } else { file.set_permissions(std::fs::Permissions::from_mode(wanted)) }
}

#[cfg(not(unix))]
pub(super) fn restrict(_file: &File, _mode: u16) -> io::Result<()> {
    Ok(())
}

/// The permissions of something, as a manifest has them; `None` where there are no such.
#[cfg(unix)]
pub(super) fn mode(metadata: &cap_std::fs::Metadata) -> Option<u16> {
    use cap_std::fs::PermissionsExt as _;
    u16::try_from(metadata.permissions().mode() & 0o777).ok()
}

#[cfg(not(unix))]
pub(super) fn mode(_metadata: &cap_std::fs::Metadata) -> Option<u16> {
    None
}

/// Whether it is a file of this user's own that has no other name: what is written to it is written to nothing else.
#[cfg(unix)]
pub(super) fn is_own_file(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    metadata.is_file() && metadata.nlink() == 1 && metadata.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
pub(super) fn is_own_file(metadata: &Metadata) -> bool {
    metadata.is_file()
}

/// Whether it is a directory of this user's own.
#[cfg(unix)]
pub(super) fn is_own_dir(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
pub(super) fn is_own_dir(metadata: &Metadata) -> bool {
    metadata.is_dir()
}

/// Sees to it that what was written in a file system is there after a loss of power, and that there was room for it. Where only single
/// files can be synced, they have been.
pub(super) fn sync(dir: &Dir) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    rustix::fs::syncfs(readable(dir)?)?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = dir;
    Ok(())
}

/// The same for the names in a directory, where it can be done.
pub(super) fn sync_dir(dir: &Dir) {
    let _ = readable(dir).and_then(|dir| dir.sync_all());
}

/// A directory as a file. What is open as a directory is open for looking up names alone.
fn readable(dir: &Dir) -> io::Result<File> {
    Ok(dir.open(".")?.into_std())
}
