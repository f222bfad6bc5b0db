//! The trust file: which certificates peers are known by.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jid::BareJid;
use serde::{Deserialize, Serialize};
use xtls::{Confirmed, Fingerprint, Learned, Pin, TrustRecord, TrustStore};

use super::file;
use crate::exit::Failure;

/// The version of the format that is written and understood.
const VERSION: u32 = 1;

/// The trust file as it was read last; changes are written at once.
#[derive(Debug)]
pub(crate) struct TrustFile {
    path: PathBuf,
    records: BTreeMap<BareJid, TrustRecord>,
    /// What went wrong when the engine had something to remember; the engine itself cannot be told.
    failure: Option<Failure>,
}

/// The file's own words.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    peers: BTreeMap<String, StoredPeer>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPeer {
    pins: Vec<StoredPin>,
    /// Whether a tunnel with this peer was secured and confirmed before.
    secured: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPin {
    /// `sha-256:` and hex.
    fingerprint: String,
    learned: StoredLearned,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StoredLearned {
    Manual,
    LeapOfFaith,
}

/// Only the version, for a file of another one.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl TrustFile {
    /// Reads the file; one that does not exist is empty.
    ///
    /// # Errors
    ///
    /// When it is damaged, of another version, or cannot be read. It stays as it is.
    pub(super) fn load(path: PathBuf) -> Result<Self, Failure> {
        let records = read(&path)?;
        Ok(Self { path, records, failure: None })
    }

    /// All peers with their records, in the order of their addresses.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&BareJid, &TrustRecord)> {
        self.records.iter()
    }

    /// Pins a certificate to a peer, beside those it has.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; it stays as it is.
    pub(crate) fn add(&mut self, peer: &BareJid, pin: Pin) -> Result<(), Failure> {
        self.change(|records| records.entry(peer.clone()).or_default().add(pin))
    }

    /// Forgets a peer; tells whether it was known.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; it stays as it is.
    pub(crate) fn remove(&mut self, peer: &BareJid) -> Result<bool, Failure> {
        self.change(|records| records.remove(peer).is_some())
    }

    /// What went wrong since the last call, while the engine had something to remember.
    pub(crate) fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    /// Changes what the file says now: another process may have written it since it was read.
    fn change<R>(&mut self, change: impl FnOnce(&mut BTreeMap<BareJid, TrustRecord>) -> R) -> Result<R, Failure> {
        let before = read(&self.path)?;
        let mut records = before.clone();
        let result = change(&mut records);
        if records != before {
            self.write(&records)?;
        }
        self.records = records;
        Ok(result)
    }

    fn write(&self, records: &BTreeMap<BareJid, TrustRecord>) -> Result<(), Failure> {
        let peers = records.iter().map(|(peer, record)| (peer.to_string(), StoredPeer::from(record))).collect();
        let unwritable = |e: io::Error| {
            Failure::other(format!(
                "the trust file {} cannot be written: {e}; check the permissions of its directory",
                self.path.display()
            ))
        };
        let mut text =
            serde_json::to_vec_pretty(&Stored { version: VERSION, peers }).map_err(|e| unwritable(e.into()))?;
        text.push(b'\n');
        file::write_private(&self.path, &text).map_err(unwritable)
    }
}

impl TrustStore for TrustFile {
    /// What the file says now, so that trust that was given or taken away elsewhere counts at once; what it said last if
    /// it cannot be read.
    fn record(&self, peer: &BareJid) -> TrustRecord {
        let now = read(&self.path);
        let records = now.as_ref().unwrap_or(&self.records);
        records.get(peer).cloned().unwrap_or_default()
    }

    fn confirmed(&mut self, peer: &BareJid, confirmed: &Confirmed) {
        // Remembered for this run in any case.
        self.records.entry(peer.clone()).or_default().confirm(confirmed);
        let changed = self.change(|records| records.entry(peer.clone()).or_default().confirm(confirmed));
        if let Err(failure) = changed {
            self.failure = Some(failure);
        }
    }
}

fn read(path: &Path) -> Result<BTreeMap<BareJid, TrustRecord>, Failure> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(e) => {
            return Err(Failure::other(format!(
                "the trust file {} cannot be read: {e}; check its permissions",
                path.display()
            )));
        }
    };
    let damaged = |why: &str| {
        Failure::other(format!(
            "the trust file {} is damaged: {why}; it was left as it is: repair it, or move it away to start without trust",
            path.display()
        ))
    };
    let Versioned { version } = serde_json::from_slice(&text).map_err(|e| damaged(&e.to_string()))?;
    if version != VERSION {
        return Err(Failure::other(format!(
            "the trust file {} has version {version} and this xtls knows version {VERSION} only; it was left as it is: use the xtls that wrote it",
            path.display()
        )));
    }
    let stored: Stored = serde_json::from_slice(&text).map_err(|e| damaged(&e.to_string()))?;
    let mut records = BTreeMap::new();
    for (peer, stored) in stored.peers {
        let peer = peer.parse().map_err(|e| damaged(&format!("{peer:?} is no bare address: {e}")))?;
        records.insert(peer, stored.record().map_err(|e| damaged(&e))?);
    }
    Ok(records)
}

impl StoredPeer {
    fn record(&self) -> Result<TrustRecord, String> {
        let mut record = TrustRecord::default();
        record.secured_before = self.secured;
        for pin in &self.pins {
            let fingerprint: Fingerprint =
                pin.fingerprint.parse().map_err(|e| format!("{:?} is no fingerprint: {e}", pin.fingerprint))?;
            let learned = match pin.learned {
                StoredLearned::Manual => Learned::Manual,
                StoredLearned::LeapOfFaith => Learned::LeapOfFaith,
            };
            record.add(Pin::new(fingerprint, learned));
        }
        Ok(record)
    }
}

impl From<&TrustRecord> for StoredPeer {
    fn from(record: &TrustRecord) -> Self {
        let stored = |pin: &Pin| StoredPin {
            fingerprint: pin.fingerprint.to_string(),
            learned: if pin.learned == Learned::LeapOfFaith {
                StoredLearned::LeapOfFaith
            } else {
                StoredLearned::Manual
            },
        };
        Self { pins: record.pins.iter().map(stored).collect(), secured: record.secured_before }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn jid(text: &str) -> BareJid {
        text.parse().unwrap()
    }

    fn pin(text: &[u8]) -> Pin {
        Pin::manual(Fingerprint::sha256(text))
    }

    #[test]
    fn pins_are_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trust.json");
        let mut trust = TrustFile::load(path.clone()).unwrap();
        trust.add(&jid("romeo@montague.lit"), pin(b"one")).unwrap();
        trust.add(&jid("romeo@montague.lit"), Pin::new(Fingerprint::sha256(b"two"), Learned::LeapOfFaith)).unwrap();
        let again = TrustFile::load(path.clone()).unwrap();
        assert_eq!(again.record(&jid("romeo@montague.lit")), trust.record(&jid("romeo@montague.lit")));
        assert_eq!(again.iter().count(), 1);
        assert!(trust.remove(&jid("romeo@montague.lit")).unwrap());
        assert!(!trust.remove(&jid("romeo@montague.lit")).unwrap());
        assert_eq!(TrustFile::load(path).unwrap().iter().count(), 0);
    }

    #[test]
    fn two_processes_do_not_undo_each_others_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trust.json");
        let mut one = TrustFile::load(path.clone()).unwrap();
        let mut two = TrustFile::load(path.clone()).unwrap();
        one.add(&jid("a@b"), pin(b"a")).unwrap();
        two.add(&jid("c@d"), pin(b"c")).unwrap();
        assert_eq!(TrustFile::load(path).unwrap().iter().count(), 2);
    }

    #[test]
    fn trust_that_is_taken_away_elsewhere_counts_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trust.json");
        let mut one = TrustFile::load(path.clone()).unwrap();
        one.add(&jid("a@b"), pin(b"a")).unwrap();
        let mut two = TrustFile::load(path.clone()).unwrap();
        two.remove(&jid("a@b")).unwrap();
        assert!(one.record(&jid("a@b")).pins.is_empty());
        fs::write(path, "damaged").unwrap();
        assert!(two.record(&jid("a@b")).pins.is_empty());
    }

    #[test]
    fn a_damaged_file_is_reported_by_line_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trust.json");
        let mut trust = TrustFile::load(path.clone()).unwrap();
        for damaged in [
            "",
            "{\"version\":1,\n\"peers\":{",
            "{\"version\":1,\n\"peers\":{\"a@b\":{\"pins\":[],\"secured\":7}}}",
            "{\"version\":1,\"peers\":{\"a@b\":{\"pins\":[{\"fingerprint\":\"zz\",\"learned\":\"manual\"}],\"secured\":true}}}",
        ] {
            fs::write(&path, damaged).unwrap();
            let failure = TrustFile::load(path.clone()).unwrap_err();
            assert!(failure.message.contains("trust.json is damaged"), "{failure}");
            assert!(trust.add(&jid("a@b"), pin(b"a")).is_err());
            assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
        }
        fs::write(&path, "{\"version\":1,\n\"peers\":{").unwrap();
        let failure = TrustFile::load(path).unwrap_err();
        assert!(failure.message.contains("line 2"), "{failure}");
    }

    #[test]
    fn a_later_version_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trust.json");
        fs::write(&path, "{\"version\":2,\"anything\":[]}").unwrap();
        let failure = TrustFile::load(path.clone()).unwrap_err();
        assert!(failure.message.contains("version 2"), "{failure}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"version\":2,\"anything\":[]}");
    }
}
