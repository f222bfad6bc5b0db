//! Your certificates: one PEM file with certificate and key for each account.

use xtls::{Identity, tls::KeyAlgorithm};
use xtls_stanza::jid::BareJid;
use xtls_store::IdentityDir;

use super::DataDir;
use crate::clock;
use crate::exit::Failure;

/// The directory of your certificates, in the data directory.
const IDENTITIES: &str = "identities";

/// Your certificate for an account, and what is to be said about other files.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) identity: Identity,
    /// It was made now.
    pub(crate) is_new: bool,
    /// Files that may be meant, in words for the user.
    pub(crate) warnings: Vec<String>,
}

impl DataDir {
    /// Your certificate for an account, made if there is none: with a key of this kind, if one is asked for. Older versions
    /// named files by other spellings of addresses, which are found.
    ///
    /// # Errors
    ///
    /// When the file is damaged, cannot be read or written, or has a key of another kind than is asked for; it stays as it
    /// is.
    pub(crate) fn identity(&self, jid: &BareJid, kind: Option<KeyAlgorithm>) -> Result<Found, Failure> {
        let make = || Identity::generate(jid, kind.unwrap_or_default(), clock::unix());
        let found = self.identity_dir().find_or_make(jid, make).map_err(|e| Failure::other(e.to_string()))?;
        let (identity, path) = (found.identity, found.path.display());
        if let Some(kind) = kind
            && identity.key_algorithm() != Some(kind)
        {
            return Err(Failure::other(format!(
                "the certificate for {jid} exists already and its key is {}, not {kind}; it was left as it is: peers know \
                 it. To get a new one, move {path} away",
                identity.as_peer_certificate().key_description(),
            )));
        }
        let unused = found.unused.iter().map(|other| {
            format!("{} is for {jid} too and is not used, but {path}: move one of them away", other.display())
        });
        // That is said where a new one is made, and not each time.
        let confused = found.confused.iter().filter(|_| found.is_new).map(|(other, theirs)| {
            format!(
                "a new certificate was made for {jid}. Older versions took {theirs} for the same address: if peers know you by \
                 {}, copy that to {path}",
                other.display(),
            )
        });
        Ok(Found { warnings: unused.chain(confused).collect(), identity, is_new: found.is_new })
    }

    /// Every certificate of yours, in the order of the file names.
    ///
    /// # Errors
    ///
    /// When a file is damaged or cannot be read.
    pub(crate) fn identities(&self) -> Result<Vec<Identity>, Failure> {
        self.identity_dir().identities().map_err(|e| Failure::other(e.to_string()))
    }

    /// The files with your certificates.
    pub(super) fn identity_dir(&self) -> IdentityDir {
        IdentityDir::new(self.path.join(IDENTITIES))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    fn jid(text: &str) -> BareJid {
        text.parse().unwrap()
    }

    #[test]
    fn the_kind_of_key_is_chosen_once_and_nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(Some(dir.path())).unwrap();
        let made = data.identity(&jid("juliet@capulet.lit"), Some(KeyAlgorithm::Ed25519)).unwrap().identity;
        assert_eq!(made.key_algorithm(), Some(KeyAlgorithm::Ed25519));
        let failure = data.identity(&jid("juliet@capulet.lit"), Some(KeyAlgorithm::Rsa3072)).unwrap_err();
        assert!(failure.message.contains("its key is Ed25519, not RSA 3072"), "{failure}");
        for kind in [None, Some(KeyAlgorithm::Ed25519)] {
            let found = data.identity(&jid("juliet@capulet.lit"), kind).unwrap().identity;
            assert_eq!(found.fingerprint_sha256(), made.fingerprint_sha256());
        }
    }

    #[test]
    fn a_damaged_identity_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(Some(&dir.path().join("new"))).unwrap();
        data.identity(&jid("juliet@capulet.lit"), None).unwrap();
        let path = dir.path().join("new/identities/juliet@capulet.lit.pem");
        fs::write(&path, "no PEM").unwrap();
        let failure = data.identity(&jid("juliet@capulet.lit"), None).unwrap_err();
        assert!(failure.message.contains("juliet@capulet.lit.pem is damaged"), "{failure}");
    }

    #[test]
    fn a_certificate_that_is_not_used_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(Some(dir.path())).unwrap();
        data.identity(&jid("user@münchen.example"), None).unwrap();
        let other = dir.path().join("identities/user@xn--mnchen-3ya.example.pem");
        fs::copy(dir.path().join("identities/user@m%C3%BCnchen.example.pem"), &other).unwrap();
        let found = data.identity(&jid("user@xn--mnchen-3ya.example"), None).unwrap();
        let [warning] = &found.warnings[..] else { panic!("{:?}", found.warnings) };
        assert!(warning.starts_with(&other.display().to_string()) && warning.contains("is not used"), "{warning}");
    }

    #[test]
    fn a_certificate_under_an_address_that_was_taken_for_the_same_is_named_when_a_new_one_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(Some(dir.path())).unwrap();
        data.identity(&jid("user@strasse.example"), None).unwrap();
        let found = data.identity(&jid("user@straße.example"), None).unwrap();
        let [warning] = &found.warnings[..] else { panic!("{:?}", found.warnings) };
        for words in
            ["user@straße.example", "took user@strasse.example for", "user@strasse.example.pem", "%C3%9Fe.example.pem"]
        {
            assert!(warning.contains(words), "{warning}");
        }
        for jid in ["user@straße.example", "user@strasse.example"].map(jid) {
            assert_eq!(data.identity(&jid, None).unwrap().warnings, Vec::<String>::new());
        }
    }
}
