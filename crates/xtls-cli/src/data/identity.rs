//! Your certificates: one PEM file with certificate and key for each account.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use xtls::{Identity, tls::KeyAlgorithm, trust::Fingerprint};
use xtls_stanza::jid::BareJid;
use zeroize::Zeroizing;

use super::{DataDir, file};
use crate::clock;
use crate::exit::Failure;

/// The directory of your certificates, in the data directory.
pub(super) const IDENTITIES: &str = "identities";
/// Largest file that is read: a key, and a chain of certificates as long as they may be.
const MAX_FILE: u64 = 128 * 1024;

impl DataDir {
    /// Your certificate for an account, made if there is none: with a key of this kind, if one is asked for.
    ///
    /// # Errors
    ///
    /// When the file is damaged, cannot be read or written, or has a key of another kind than is asked for; it stays as it
    /// is.
    pub(crate) fn identity(&self, jid: &BareJid, kind: Option<KeyAlgorithm>) -> Result<Identity, Failure> {
        let path = self.path.join(IDENTITIES).join(file_name(jid));
        if let Some(found) = read(&path)? {
            return match kind {
                Some(kind) if found.key_algorithm() != Some(kind) => Err(Failure::other(format!(
                    "the certificate for {jid} exists already and its key is {}, not {kind}; it was left as it is: peers \
                     know it. To get a new one, move {} away",
                    found.as_peer_certificate().key_description(),
                    path.display()
                ))),
                _ => Ok(found),
            };
        }
        let identity = Identity::generate(jid, kind.unwrap_or_default(), clock::unix())
            .map_err(|e| Failure::other(format!("no certificate can be made for {jid}: {e}")))?;
        let pem = identity.to_pem();
        let text = Zeroizing::new(format!("{}{}", pem.certificate, pem.key.expose()));
        let unwritable = |e: io::Error| {
            Failure::other(format!("the certificate cannot be kept in {}: {e}; check --data-dir", path.display()))
        };
        file::make_private_dir(&self.path.join(IDENTITIES)).map_err(unwritable)?;
        file::write_private(&path, text.as_bytes()).map_err(unwritable)?;
        Ok(identity)
    }

    /// Every certificate of yours, in the order of the file names.
    ///
    /// # Errors
    ///
    /// When a file is damaged or cannot be read.
    pub(crate) fn identities(&self) -> Result<Vec<Identity>, Failure> {
        self.identity_paths()?.iter().filter_map(|path| read(path).transpose()).collect()
    }

    /// The files with your certificates, in the order of their names.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub(super) fn identity_paths(&self) -> Result<Vec<PathBuf>, Failure> {
        let dir = self.path.join(IDENTITIES);
        let unreadable = |e: io::Error| Failure::other(format!("{} cannot be read: {e}", dir.display()));
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(unreadable(e)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|extension| extension == "pem") {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }
}

/// Reads an identity; `None` if there is no file.
fn read(path: &Path) -> Result<Option<Identity>, Failure> {
    let name = path.display();
    let size = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Failure::other(format!("the certificate {name} cannot be read: {e}"))),
    };
    if size > MAX_FILE {
        return Err(damaged(path, "it is too large"));
    }
    let text = fs::read_to_string(path)
        .map_err(|e| Failure::other(format!("the certificate {name} cannot be read: {e}; check its permissions")))?;
    let text = Zeroizing::new(text);
    Identity::from_pem(&text, &text).map(Some).map_err(|e| damaged(path, &e.to_string()))
}

fn damaged(path: &Path, why: &str) -> Failure {
    Failure::other(format!(
        "the certificate file {} cannot be used: {why}; it was left as it is: repair it, or move it away to get a new one",
        path.display()
    ))
}

/// The address as a file name: letters, digits and a few signs stay, other bytes become `%XX`; a very long one is named
/// by its digest.
fn file_name(jid: &BareJid) -> PathBuf {
    let mut name = String::new();
    for byte in jid.canonical().bytes() {
        if byte.is_ascii_alphanumeric() || b"@._-".contains(&byte) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    if name.len() > 200 {
        name = Fingerprint::sha256(jid.canonical().as_bytes()).hex();
    }
    PathBuf::from(format!("{name}.pem"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn jid(text: &str) -> BareJid {
        text.parse().unwrap()
    }

    #[test]
    fn file_names_cannot_leave_the_directory() {
        assert_eq!(file_name(&jid("juliet@capulet.lit")), Path::new("juliet@capulet.lit.pem"));
        assert_eq!(file_name(&jid("a#b+c@d.lit")), Path::new("a%23b%2Bc@d.lit.pem"));
        let long = file_name(&jid(&format!("{}@capulet.lit", "ü".repeat(200))));
        assert_eq!(long.as_os_str().len(), 64 + 4);
    }

    #[test]
    fn an_identity_is_made_once_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(Some(&dir.path().join("new"))).unwrap();
        assert_eq!(data.identities().unwrap().len(), 0);
        let made = data.identity(&jid("juliet@capulet.lit"), None).unwrap();
        let found = data.identity(&jid("juliet@capulet.lit"), None).unwrap();
        assert_eq!(made.fingerprint_sha256(), found.fingerprint_sha256());
        let other = data.identity(&jid("romeo@montague.lit"), None).unwrap();
        assert_ne!(made.fingerprint_sha256(), other.fingerprint_sha256());
        assert_eq!(data.identities().unwrap().len(), 2);
    }

    #[test]
    fn the_kind_of_key_is_chosen_once_and_nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(Some(dir.path())).unwrap();
        let made = data.identity(&jid("juliet@capulet.lit"), Some(KeyAlgorithm::Ed25519)).unwrap();
        assert_eq!(made.key_algorithm(), Some(KeyAlgorithm::Ed25519));
        let failure = data.identity(&jid("juliet@capulet.lit"), Some(KeyAlgorithm::Rsa3072)).unwrap_err();
        assert!(failure.message.contains("its key is Ed25519, not RSA 3072"), "{failure}");
        for kind in [None, Some(KeyAlgorithm::Ed25519)] {
            let found = data.identity(&jid("juliet@capulet.lit"), kind).unwrap();
            assert_eq!(found.fingerprint_sha256(), made.fingerprint_sha256());
        }
    }

    #[test]
    fn a_damaged_identity_is_reported_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(Some(dir.path())).unwrap();
        data.identity(&jid("juliet@capulet.lit"), None).unwrap();
        let path = dir.path().join("identities/juliet@capulet.lit.pem");
        fs::write(&path, "no PEM").unwrap();
        let failure = data.identity(&jid("juliet@capulet.lit"), None).unwrap_err();
        assert!(failure.message.contains("juliet@capulet.lit.pem"), "{failure}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "no PEM");
    }
}
