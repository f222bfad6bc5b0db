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

/// Your certificate for an account, and what is to be said about other files.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) identity: Identity,
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
        let dir = self.path.join(IDENTITIES);
        let named = dir.join(file_name(jid));
        let others = self.others(jid, &named)?;
        let is_there = read(&named)?;
        let path = others.same.first().filter(|_| is_there.is_none()).unwrap_or(&named);
        let unused = others.same.iter().filter(|other| *other != path).map(|other| {
            format!(
                "{} is for {jid} too and is not used, but {}: move one of them away",
                other.display(),
                path.display()
            )
        });
        let found = if is_there.is_some() { is_there } else { read(path)? };
        if let Some(identity) = found {
            return match kind {
                Some(kind) if identity.key_algorithm() != Some(kind) => Err(Failure::other(format!(
                    "the certificate for {jid} exists already and its key is {}, not {kind}; it was left as it is: peers \
                     know it. To get a new one, move {} away",
                    identity.as_peer_certificate().key_description(),
                    path.display()
                ))),
                _ => Ok(Found { identity, warnings: unused.collect() }),
            };
        }
        let identity = Identity::generate(jid, kind.unwrap_or_default(), clock::unix())
            .map_err(|e| Failure::other(format!("no certificate can be made for {jid}: {e}")))?;
        let pem = identity.to_pem();
        let text = Zeroizing::new(format!("{}{}", pem.certificate, pem.key.expose()));
        let unwritable = |e: io::Error| {
            Failure::other(format!("the certificate cannot be kept in {}: {e}; check --data-dir", path.display()))
        };
        file::make_private_dir(&dir).map_err(unwritable)?;
        file::write_private(path, text.as_bytes()).map_err(unwritable)?;
        let confused = others.confused.iter().map(|(other, theirs)| {
            format!(
                "a new certificate was made for {jid}. Older versions took {theirs} for the same address: if peers know you by \
                 {}, copy that to {}",
                other.display(),
                path.display()
            )
        });
        Ok(Found { identity, warnings: confused.collect() })
    }

    /// The other files that older versions may have written for an account, in the order of their names.
    fn others(&self, jid: &BareJid, named: &Path) -> Result<Others, Failure> {
        let mut others = Others::default();
        for path in self.identity_paths()?.into_iter().filter(|path| path != named) {
            match address_of(&path) {
                Some(other) if other == *jid => others.same.push(path),
                Some(other) if other.is_confused_with(jid) => {
                    others.confused.push((path, other));
                }
                Some(_) | None => {}
            }
        }
        Ok(others)
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

/// Files with your certificates.
#[derive(Debug, Default)]
struct Others {
    /// For the same address, which older versions took for another one: they did not convert A-labels.
    same: Vec<PathBuf>,
    /// For addresses that older versions took for the same, and those.
    confused: Vec<(PathBuf, BareJid)>,
}

/// Whom a file is for, by its name, or by the certificate where the name is a digest.
fn address_of(path: &Path) -> Option<BareJid> {
    let name = path.file_stem()?.to_str()?;
    if !name.contains('@') {
        let identity = read(path).ok().flatten()?;
        return identity.as_peer_certificate().xmpp_addrs().first().cloned();
    }
    let mut bytes = Vec::new();
    let mut rest = name.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        bytes.push(match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                rest = after;
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(*high)? * 16 + digit(*low)?
            }
            (byte, _) => *byte,
        });
    }
    String::from_utf8(bytes).ok()?.parse().ok()
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
    fn p28_file_names_cannot_leave_the_directory() {
        assert_eq!(file_name(&jid("juliet@capulet.lit")), Path::new("juliet@capulet.lit.pem"));
        assert_eq!(file_name(&jid("a#b+c@d.lit")), Path::new("a%23b%2Bc@d.lit.pem"));
        let long = file_name(&jid(&format!("{}@capulet.lit", "ü".repeat(200))));
        assert_eq!(long.as_os_str().len(), 64 + 4);
        // Whatever an address may hold, its file is one name in the directory.
        let localparts = ["..", ".", "a\\..\\b", "%2f..%2fb", "\u{2024}\u{2024}", "con", "-rf", "*"];
        for jid in localparts.into_iter().filter_map(|local| format!("{local}@d.lit").parse::<BareJid>().ok()) {
            let name = file_name(&jid);
            let parts: Vec<_> = name.components().collect();
            assert!(matches!(parts[..], [std::path::Component::Normal(_)]), "{name:?}");
            let text = name.to_str().unwrap();
            assert!(text.ends_with("@d.lit.pem") && !text.contains(['/', '\\', '*', '\0', '\u{2024}']), "{text}");
        }
    }

    #[test]
    fn an_identity_is_made_once_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(Some(&dir.path().join("new"))).unwrap();
        assert_eq!(data.identities().unwrap().len(), 0);
        let made = data.identity(&jid("juliet@capulet.lit"), None).unwrap().identity;
        let found = data.identity(&jid("juliet@capulet.lit"), None).unwrap().identity;
        assert_eq!(made.fingerprint_sha256(), found.fingerprint_sha256());
        let other = data.identity(&jid("romeo@montague.lit"), None).unwrap().identity;
        assert_ne!(made.fingerprint_sha256(), other.fingerprint_sha256());
        assert_eq!(data.identities().unwrap().len(), 2);
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

    /// Makes a certificate and moves it to where an older version would have put it.
    fn old(data: &DataDir, made_for: &str, name: &str) -> (Fingerprint, PathBuf) {
        let made = data.identity(&jid(made_for), None).unwrap().identity;
        let dir = data.path.join(IDENTITIES);
        let path = dir.join(name);
        fs::rename(dir.join(file_name(&jid(made_for))), &path).unwrap();
        (made.fingerprint_sha256(), path)
    }

    #[test]
    fn a_certificate_under_an_a_label_is_found_and_one_that_is_not_used_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(Some(dir.path())).unwrap();
        let (fingerprint, path) = old(&data, "user@münchen.example", "user@xn--mnchen-3ya.example.pem");
        for spelling in ["user@münchen.example", "user@xn--mnchen-3ya.example", "User@MÜNCHEN.example"] {
            let found = data.identity(&jid(spelling), None).unwrap();
            assert_eq!((found.identity.fingerprint_sha256(), found.warnings), (fingerprint, vec![]), "{spelling}");
        }
        assert_eq!(data.identities().unwrap().len(), 1);
        // An older version has made one for each spelling.
        let kept = dir.path().join("kept");
        fs::rename(&path, &kept).unwrap();
        let made = data.identity(&jid("user@münchen.example"), None).unwrap().identity;
        fs::rename(&kept, &path).unwrap();
        let found = data.identity(&jid("user@xn--mnchen-3ya.example"), None).unwrap();
        assert_eq!(found.identity.fingerprint_sha256(), made.fingerprint_sha256());
        let [warning] = &found.warnings[..] else { panic!("{:?}", found.warnings) };
        assert!(warning.starts_with(&path.display().to_string()) && warning.contains("is not used"), "{warning}");
    }

    #[test]
    fn a_certificate_under_a_digest_is_found_by_the_address_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(Some(dir.path())).unwrap();
        let long = format!("{}@münchen.example", "ü".repeat(200));
        let (fingerprint, _) = old(&data, &long, &format!("{}.pem", Fingerprint::sha256(b"an A-label").hex()));
        let found = data.identity(&jid(&long), None).unwrap();
        assert_eq!((found.identity.fingerprint_sha256(), found.warnings), (fingerprint, vec![]));
    }

    #[test]
    fn a_certificate_under_an_address_that_was_taken_for_the_same_is_named_and_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(Some(dir.path())).unwrap();
        let old = data.identity(&jid("user@strasse.example"), None).unwrap().identity;
        let found = data.identity(&jid("user@straße.example"), None).unwrap();
        assert_ne!(found.identity.fingerprint_sha256(), old.fingerprint_sha256());
        let [warning] = &found.warnings[..] else { panic!("{:?}", found.warnings) };
        for words in
            ["user@straße.example", "took user@strasse.example for", "user@strasse.example.pem", "%C3%9Fe.example.pem"]
        {
            assert!(warning.contains(words), "{warning}");
        }
        // It is said where a new one is made, and not each time.
        for jid in ["user@straße.example", "user@strasse.example"].map(jid) {
            assert_eq!(data.identity(&jid, None).unwrap().warnings, Vec::<String>::new());
        }
    }

    #[test]
    fn files_of_others_and_files_that_are_no_certificates_are_nobodys() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(Some(dir.path())).unwrap();
        let made = data.identity(&jid("user@other.example"), None).unwrap().identity;
        let ours = data.path.join(IDENTITIES);
        for name in ["x.pem", "%.pem", "%FF@x.pem", "user@%zz.pem", "user@xn--mnchen-3ya.example.txt", "@.pem"] {
            fs::write(ours.join(name), "no PEM").unwrap();
        }
        let found = data.identity(&jid("user@münchen.example"), None).unwrap();
        assert_ne!(found.identity.fingerprint_sha256(), made.fingerprint_sha256());
        assert_eq!(found.warnings, Vec::<String>::new());
    }
}
