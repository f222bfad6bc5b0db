//! A file for each account.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use xtls::{Identity, jid::BareJid, tls::IdentityError, trust::Fingerprint};

use super::IdentityFile;
use crate::{
    error::{FileError, FileFault},
    file::PrivateFile,
    private::make_private_dir,
};

/// A directory with an [`IdentityFile`] for each of your accounts, named after the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityDir {
    path: PathBuf,
}

/// Your certificate for an account, and what is to be said about other files.
#[derive(Debug)]
#[non_exhaustive]
pub struct FoundIdentity {
    /// It.
    pub identity: Identity,
    /// Where it is.
    pub path: PathBuf,
    /// Whether it was made just now.
    pub is_new: bool,
    /// Other files for the same account, which are not used: versions that did not convert A-labels took its spellings for two
    /// accounts.
    pub unused: Vec<PathBuf>,
    /// Files for other accounts that versions which prepared addresses by RFC 6122 took for the same one. Peers may know the
    /// account by one of these.
    pub confused: Vec<(PathBuf, BareJid)>,
}

impl IdentityDir {
    /// The directory of this name, which need not exist.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Its name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Your certificate for an account; if there is none, what `make` makes, which is written. Files that older versions named by
    /// other spellings of the address are found. Of several processes that do this at once one makes it.
    ///
    /// # Errors
    ///
    /// When the directory or a file cannot be read, made or written, or the file is damaged; it stays as it is.
    pub fn find_or_make(
        &self,
        jid: &BareJid,
        make: impl FnOnce() -> Result<Identity, IdentityError>,
    ) -> Result<FoundIdentity, FileError> {
        let named = IdentityFile::new(self.path.join(file_name(jid)));
        if let Some(found) = self.find(jid, &named)? {
            return Ok(found);
        }
        let whole = PrivateFile::new("directory of certificates", &self.path);
        make_private_dir(&self.path).map_err(|e| whole.error(FileFault::Write(e)))?;
        let _lock = whole.lock()?;
        // Another process may have been here meanwhile.
        if let Some(found) = self.find(jid, &named)? {
            return Ok(found);
        }
        let identity = named.find_or_make(make)?;
        let Others { same: unused, confused } = self.others(jid, named.path())?;
        Ok(FoundIdentity { identity, path: named.path().to_owned(), is_new: true, unused, confused })
    }

    fn find(&self, jid: &BareJid, named: &IdentityFile) -> Result<Option<FoundIdentity>, FileError> {
        let Others { mut same, confused } = self.others(jid, named.path())?;
        let found = |identity, path, unused| FoundIdentity { identity, path, is_new: false, unused, confused };
        if let Some(identity) = named.read()? {
            return Ok(Some(found(identity, named.path().to_owned(), same)));
        }
        if same.is_empty() {
            return Ok(None);
        }
        let path = same.remove(0);
        Ok(IdentityFile::new(&path).read()?.map(|identity| found(identity, path, same)))
    }

    /// The other files that older versions may have written for an account, in the order of their names.
    fn others(&self, jid: &BareJid, named: &Path) -> Result<Others, FileError> {
        let mut others = Others::default();
        for path in self.paths()?.into_iter().filter(|path| path != named) {
            match address_of(&path) {
                Some(other) if other == *jid => others.same.push(path),
                Some(other) if other.is_confused_with(jid) => others.confused.push((path, other)),
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
    pub fn identities(&self) -> Result<Vec<Identity>, FileError> {
        self.paths()?.into_iter().filter_map(|path| IdentityFile::new(path).read().transpose()).collect()
    }

    /// The files with your certificates, in the order of their names.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read. One that does not exist has none.
    pub fn paths(&self) -> Result<Vec<PathBuf>, FileError> {
        let unreadable = |e| FileError::new("directory of certificates", &self.path, FileFault::Read(e));
        let entries = match fs::read_dir(&self.path) {
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
    same: Vec<PathBuf>,
    confused: Vec<(PathBuf, BareJid)>,
}

/// Whom a file is for, by its name, or by the certificate where the name is a digest.
fn address_of(path: &Path) -> Option<BareJid> {
    let name = path.file_stem()?.to_str()?;
    if !name.contains('@') {
        let identity = IdentityFile::new(path).read().ok().flatten()?;
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

    use std::{thread, time::Duration};

    use xtls::tls::{KeyAlgorithm, UnixTime};

    use super::*;

    fn jid(text: &str) -> BareJid {
        text.parse().unwrap()
    }

    /// A directory that is made when it is needed, in one that goes when it is dropped.
    fn empty() -> (tempfile::TempDir, IdentityDir) {
        let dir = tempfile::tempdir().unwrap();
        let identities = IdentityDir::new(dir.path().join("identities"));
        (dir, identities)
    }

    fn find_or_make(dir: &IdentityDir, account: &str) -> FoundIdentity {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(1_760_000_000));
        dir.find_or_make(&jid(account), || Identity::generate(&jid(account), KeyAlgorithm::Ed25519, time)).unwrap()
    }

    /// The fingerprint, and whether it is as if there were no other files.
    fn of(dir: &IdentityDir, account: &str) -> (Fingerprint, bool) {
        let found = find_or_make(dir, account);
        (found.identity.fingerprint_sha256(), found.unused.is_empty() && found.confused.is_empty())
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
        let (_temporary, dir) = empty();
        assert_eq!(dir.identities().unwrap().len(), 0);
        let made = find_or_make(&dir, "juliet@capulet.lit");
        assert!(made.is_new && made.path == dir.path().join("juliet@capulet.lit.pem"), "{made:?}");
        let found = find_or_make(&dir, "juliet@capulet.lit");
        assert!(!found.is_new && found.path == made.path);
        assert_eq!(made.identity.fingerprint_sha256(), found.identity.fingerprint_sha256());
        let other = find_or_make(&dir, "romeo@montague.lit").identity;
        assert_ne!(made.identity.fingerprint_sha256(), other.fingerprint_sha256());
        assert_eq!(dir.identities().unwrap().len(), 2);
    }

    #[test]
    fn an_identity_is_made_once_however_many_begin_at_the_same_time() {
        let (_temporary, dir) = empty();
        let made: Vec<_> = (0..8)
            .map(|number| {
                let (dir, account) = (dir.clone(), ["user@münchen.example", "user@xn--mnchen-3ya.example"][number % 2]);
                thread::spawn(move || of(&dir, account))
            })
            .collect();
        let kept: Vec<_> = made.into_iter().map(|made| made.join().unwrap()).collect();
        assert_eq!(kept, vec![of(&dir, "user@münchen.example"); 8]);
        assert_eq!(dir.identities().unwrap().len(), 1);
    }

    #[test]
    fn a_damaged_identity_is_reported_and_kept() {
        let (_temporary, dir) = empty();
        let path = find_or_make(&dir, "juliet@capulet.lit").path;
        fs::write(&path, "no PEM").unwrap();
        let error = dir.find_or_make(&jid("juliet@capulet.lit"), || panic!("it is not replaced")).unwrap_err();
        assert_eq!(error.path(), path);
        assert_eq!(dir.identities().unwrap_err().path(), path);
        assert_eq!(fs::read_to_string(&path).unwrap(), "no PEM");
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let (temporary, _) = empty();
        let file = temporary.path().join("file");
        fs::write(&file, "").unwrap();
        let dir = IdentityDir::new(file.join("identities"));
        let error = dir.find_or_make(&jid("juliet@capulet.lit"), || panic!("there is no place for it")).unwrap_err();
        assert_eq!(error.path(), dir.path());
    }

    /// Makes a certificate and moves it to where an older version would have put it.
    fn old(dir: &IdentityDir, made_for: &str, name: &str) -> (Fingerprint, PathBuf) {
        let made = find_or_make(dir, made_for);
        let path = dir.path().join(name);
        fs::rename(made.path, &path).unwrap();
        (made.identity.fingerprint_sha256(), path)
    }

    #[test]
    fn a_certificate_under_an_a_label_is_found_and_one_that_is_not_used_is_named() {
        let (temporary, dir) = empty();
        let (fingerprint, path) = old(&dir, "user@münchen.example", "user@xn--mnchen-3ya.example.pem");
        for spelling in ["user@münchen.example", "user@xn--mnchen-3ya.example", "User@MÜNCHEN.example"] {
            assert_eq!(of(&dir, spelling), (fingerprint, true), "{spelling}");
        }
        assert_eq!(dir.identities().unwrap().len(), 1);
        // An older version has made one for each spelling.
        let kept = temporary.path().join("kept");
        fs::rename(&path, &kept).unwrap();
        let made = find_or_make(&dir, "user@münchen.example");
        fs::rename(&kept, &path).unwrap();
        let found = find_or_make(&dir, "user@xn--mnchen-3ya.example");
        assert_eq!((found.path, found.unused), (made.path, vec![path]));
        assert_eq!(found.identity.fingerprint_sha256(), made.identity.fingerprint_sha256());
    }

    #[test]
    fn a_certificate_under_a_digest_is_found_by_the_address_in_it() {
        let (_temporary, dir) = empty();
        let long = format!("{}@münchen.example", "ü".repeat(200));
        let (fingerprint, _) = old(&dir, &long, &format!("{}.pem", Fingerprint::sha256(b"an A-label").hex()));
        assert_eq!(of(&dir, &long), (fingerprint, true));
    }

    #[test]
    fn a_certificate_under_an_address_that_was_taken_for_the_same_is_named_and_not_used() {
        let (_temporary, dir) = empty();
        let old = find_or_make(&dir, "user@strasse.example");
        let found = find_or_make(&dir, "user@straße.example");
        assert_ne!(found.identity.fingerprint_sha256(), old.identity.fingerprint_sha256());
        assert!(found.is_new && found.path.ends_with("user@stra%C3%9Fe.example.pem"), "{found:?}");
        assert_eq!(found.confused, [(old.path, jid("user@strasse.example"))]);
    }

    #[test]
    fn files_of_others_and_files_that_are_no_certificates_are_nobodys() {
        let (_temporary, dir) = empty();
        let (others, _) = of(&dir, "user@other.example");
        for name in ["x.pem", "%.pem", "%FF@x.pem", "user@%zz.pem", "user@xn--mnchen-3ya.example.txt", "@.pem"] {
            fs::write(dir.path().join(name), "no PEM").unwrap();
        }
        let (made, alone) = of(&dir, "user@münchen.example");
        assert!(made != others && alone);
    }
}
