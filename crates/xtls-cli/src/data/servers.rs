//! Which certificate each server had when it was seen last.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use xtls::trust::Fingerprint;
use xtls_stanza::jid::BareJid;
use xtls_store::{FileError, PrivateFile};

use crate::exit::Failure;

/// The version of the format that is written and understood.
const VERSION: u32 = 1;
/// The most domains that are remembered; of more, those that were not seen for the longest time are forgotten.
const MAX_SERVERS: usize = 1000;

/// The file of servers as it was read; changes are written at once. Nothing is trusted by it.
#[derive(Debug)]
pub(crate) struct ServersFile {
    file: PrivateFile,
    servers: BTreeMap<String, Seen>,
}

/// The file's own words.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    /// By domain.
    servers: BTreeMap<String, Seen>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    /// `sha-256:` and hex.
    certificate: String,
    /// When, in seconds of Unix time.
    last: u64,
}

impl ServersFile {
    /// Reads the file; one that does not exist is empty.
    ///
    /// # Errors
    ///
    /// When it is damaged, of another version, or cannot be read. It stays as it is.
    pub(super) fn load(path: PathBuf) -> Result<Self, Failure> {
        let file = PrivateFile::new("file of servers", path);
        let servers = read(&file).map_err(failure)?;
        Ok(Self { file, servers })
    }

    /// The certificate that the server of a domain had last, if it was seen before.
    pub(crate) fn last(&self, domain: &BareJid) -> Option<Fingerprint> {
        self.servers.get(domain.canonical())?.certificate.parse().ok()
    }

    /// Remembers the certificate that the server of a domain has now.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; it stays as it is.
    pub(crate) fn remember(&mut self, domain: &BareJid, seen: Fingerprint, unix_time: u64) -> Result<(), Failure> {
        let _lock = self.file.lock().map_err(failure)?;
        // Another process may have written it since it was read.
        self.servers = read(&self.file).map_err(failure)?;
        let seen = Seen { certificate: seen.to_string(), last: unix_time };
        self.servers.insert(domain.canonical().to_owned(), seen);
        while self.servers.len() > MAX_SERVERS {
            let others = self.servers.iter().filter(|(name, _)| *name != domain.canonical());
            let Some(oldest) = others.min_by_key(|(_, seen)| seen.last).map(|(name, _)| name.clone()) else { break };
            self.servers.remove(&oldest);
        }
        let stored = Stored { version: VERSION, servers: self.servers.clone() };
        let mut text = serde_json::to_vec_pretty(&stored).map_err(|e| Failure::other(e.to_string()))?;
        text.push(b'\n');
        self.file.write(&text).map_err(failure)
    }
}

fn read(file: &PrivateFile) -> Result<BTreeMap<String, Seen>, FileError> {
    let Some(text) = file.read()? else { return Ok(BTreeMap::new()) };
    let stored: Stored = serde_json::from_slice(&text).map_err(|e| file.damaged(e))?;
    if stored.version != VERSION {
        return Err(file.damaged(format_args!("its version is {} and only {VERSION} is known", stored.version)));
    }
    if let Some(seen) = stored.servers.values().find(|seen| seen.certificate.parse::<Fingerprint>().is_err()) {
        return Err(file.damaged(format_args!("{:?} is no fingerprint", seen.certificate)));
    }
    Ok(by_canonical_names(stored.servers))
}

fn failure(error: FileError) -> Failure {
    Failure::other(error.to_string())
}

/// The same by domains as they compare: older versions took an A-label and its U-label for two. Of what was seen under several
/// names the last counts.
fn by_canonical_names(servers: BTreeMap<String, Seen>) -> BTreeMap<String, Seen> {
    let mut named: BTreeMap<String, Seen> = BTreeMap::new();
    for (name, seen) in servers {
        let name = name.parse::<BareJid>().map_or(name, |domain| domain.canonical().to_owned());
        if named.get(&name).is_none_or(|before| before.last < seen.last) {
            named.insert(name, seen);
        }
    }
    named
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    fn domain(number: usize) -> BareJid {
        format!("server{number}.example").parse().unwrap()
    }

    #[test]
    fn what_several_processes_remember_at_once_is_all_remembered() {
        const EACH: usize = 8;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("servers.json");
        let fingerprint = Fingerprint::sha256(b"certificate");
        // Each of them has read the file for itself, as a process does.
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let mut file = ServersFile::load(path.clone()).unwrap();
                std::thread::spawn(move || {
                    (0..EACH).for_each(|at| file.remember(&domain(writer * EACH + at), fingerprint, 7).unwrap());
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let file = ServersFile::load(path).unwrap();
        assert!((0..4 * EACH).all(|number| file.last(&domain(number)) == Some(fingerprint)));
    }

    #[test]
    fn what_is_remembered_outlives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let load = || ServersFile::load(dir.path().join("servers.json")).unwrap();
        assert_eq!(load().last(&domain(1)), None);
        let (first, second) = (Fingerprint::sha256(b"1"), Fingerprint::sha256(b"2"));
        load().remember(&domain(1), first, 7).unwrap();
        load().remember(&domain(2), second, 8).unwrap();
        assert_eq!((load().last(&domain(1)), load().last(&domain(2))), (Some(first), Some(second)));
        load().remember(&domain(1), second, 9).unwrap();
        assert_eq!(load().last(&domain(1)), Some(second));
    }

    #[test]
    fn of_too_many_the_one_that_was_not_seen_for_the_longest_time_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("servers.json");
        let seen = |last| Seen { certificate: Fingerprint::sha256(b"1").to_string(), last };
        let servers = (1..MAX_SERVERS).map(|number| (domain(number).to_string(), seen(10)));
        let servers = servers.chain([("oldest.example".to_owned(), seen(1))]).collect();
        fs::write(&path, serde_json::to_vec(&Stored { version: VERSION, servers }).unwrap()).unwrap();
        let mut file = ServersFile::load(path.clone()).unwrap();
        // As many as there may be.
        file.remember(&domain(1), Fingerprint::sha256(b"2"), 11).unwrap();
        assert_eq!(file.servers.len(), MAX_SERVERS);
        assert!(file.servers.contains_key("oldest.example"));
        // One more, which is not the one that goes, even if the clock went backwards.
        file.remember(&domain(5000), Fingerprint::sha256(b"2"), 0).unwrap();
        let file = ServersFile::load(path).unwrap();
        assert_eq!(file.servers.len(), MAX_SERVERS);
        assert!(file.servers.contains_key("server5000.example") && !file.servers.contains_key("oldest.example"));
    }

    #[test]
    fn a_damaged_file_is_told_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("servers.json");
        for text in [
            "",
            "{}",
            r#"{"version":2,"servers":{}}"#,
            r#"{"version":1,"servers":{"a":{"certificate":"x","last":1}}}"#,
            r#"{"version":1,"servers":{},"more":1}"#,
        ] {
            fs::write(&path, text).unwrap();
            let failure = ServersFile::load(path.clone()).unwrap_err();
            assert!(failure.message.contains("servers.json"), "{failure}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn what_stands_under_an_a_label_is_found_and_of_two_spellings_the_last_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("servers.json");
        let fingerprints = [b"1", b"2", b"3", b"4"].map(|text| Fingerprint::sha256(text));
        let seen = |number: usize, last| Seen { certificate: fingerprints[number].to_string(), last };
        let servers = [
            ("xn--mnchen-3ya.example", seen(0, 7)),
            ("xn--strae-oqa.example", seen(1, 9)),
            ("straße.example", seen(2, 8)),
            ("strasse.example", seen(3, 10)),
            ("no domain", seen(0, 1)),
        ];
        let servers = servers.map(|(name, seen)| (name.to_owned(), seen)).into();
        fs::write(&path, serde_json::to_vec(&Stored { version: VERSION, servers }).unwrap()).unwrap();
        let mut file = ServersFile::load(path.clone()).unwrap();
        let last = |file: &ServersFile, domain: &str| file.last(&domain.parse().unwrap());
        for (domain, number) in [
            ("münchen.example", 0),
            ("xn--mnchen-3ya.example", 0),
            ("straße.example", 1),
            ("xn--strae-oqa.example", 1),
            ("strasse.example", 3),
        ] {
            assert_eq!(last(&file, domain), Some(fingerprints[number]), "{domain}");
        }
        file.remember(&domain(1), fingerprints[0], 11).unwrap();
        let file = ServersFile::load(path).unwrap();
        assert_eq!(last(&file, "münchen.example"), Some(fingerprints[0]));
        assert!(file.servers.contains_key("no domain"), "nothing is lost");
    }
}
