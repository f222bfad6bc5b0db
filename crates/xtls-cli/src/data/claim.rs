//! Which of the processes that share a data directory has the resource that peers look for.

use std::fs::File;

use xtls::trust::Fingerprint;
use xtls_stanza::jid::FullJid;
use xtls_store::{make_private_dir, private_file};

use super::DataDir;

/// The directory of those that are logged in, in the data directory.
const ONLINE: &str = "online";

/// The right to log in with an address, among the processes that share a data directory, until it is dropped. The operating system
/// takes it away from a process that dies.
#[derive(Debug)]
pub(crate) struct Claim {
    _held: File,
}

impl DataDir {
    /// Takes the right to log in with this address; `None` if another process has it, or that cannot be told. Servers that let
    /// the later login in would end the one of that process.
    pub(crate) fn claim(&self, jid: &FullJid) -> Option<Claim> {
        let dir = self.path.join(ONLINE);
        let name = format!("{}.lock", Fingerprint::sha256(jid.canonical().as_bytes()).hex());
        make_private_dir(&dir).ok()?;
        // It is empty and stays.
        let file = private_file().create(true).truncate(false).open(dir.join(name)).ok()?;
        file.try_lock().ok().map(|()| Claim { _held: file })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_address_is_claimed_once_until_that_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(Some(dir.path())).unwrap();
        let claim = |jid: &str| data.claim(&jid.parse().unwrap());
        let held = claim("a@b/xtls");
        assert!(held.is_some() && claim("A@b/xtls").is_none());
        assert!(claim("a@b/other").is_some());
        drop(held);
        assert!(claim("a@b/xtls").is_some());
    }

    #[test]
    fn where_nothing_can_be_locked_nothing_is_claimed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(ONLINE), "").unwrap();
        let data = DataDir::open(Some(dir.path())).unwrap();
        assert!(data.claim(&"a@b/xtls".parse().unwrap()).is_none());
    }
}
