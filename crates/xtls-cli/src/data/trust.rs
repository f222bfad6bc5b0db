//! The trust file: which certificates peers are known by.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jid::BareJid;
use serde::{Deserialize, Serialize};
use xtls::{Attempts, Confirmed, Fingerprint, Learned, Method, PasswordOutcome, Pin, TrustRecord, TrustStore};

use super::file;
use crate::exit::Failure;

/// The version of the format that is written and understood.
const VERSION: u32 = 1;

/// The trust file as it was read last; changes are written at once.
#[derive(Debug)]
pub(crate) struct TrustFile {
    path: PathBuf,
    records: BTreeMap<BareJid, TrustRecord>,
    /// Wrong passwords that could not be written: they count for this run at least.
    unwritten: BTreeMap<BareJid, Attempts>,
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
    /// By which methods; without it, as files were written once, what the pins leave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    secured_by: Vec<StoredMethod>,
    /// Passwords that were tried in vain, if there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wrong_passwords: Option<StoredAttempts>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredAttempts {
    /// How many since the last right one.
    count: u32,
    /// When the last one was, in seconds of Unix time.
    last: u64,
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

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StoredMethod {
    X509,
    Srp,
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
        Ok(Self { path, records, unwritten: BTreeMap::new(), failure: None })
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

    /// Forgets the certificates of a peer; tells whether there was anything to forget. Wrong passwords stay counted: to
    /// forget them would give away more guesses.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; it stays as it is.
    pub(crate) fn remove(&mut self, peer: &BareJid) -> Result<bool, Failure> {
        self.change(|records| {
            let Some(record) = records.remove(peer) else { return false };
            if record.attempts != Attempts::default() {
                records.entry(peer.clone()).or_default().attempts = record.attempts;
            }
            record.secured_before() || !record.pins.is_empty()
        })
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
        let mut record = records.get(peer).cloned().unwrap_or_default();
        add_unwritten(&mut record, self.unwritten.get(peer));
        record
    }

    fn confirmed(&mut self, peer: &BareJid, confirmed: &Confirmed) {
        // Remembered for this run in any case.
        self.records.entry(peer.clone()).or_default().confirm(confirmed);
        let changed = self.change(|records| records.entry(peer.clone()).or_default().confirm(confirmed));
        if let Err(failure) = changed {
            self.failure = Some(failure);
        }
    }

    fn password_tried(&mut self, peer: &BareJid, outcome: PasswordOutcome, unix_time: u64) {
        let mut known = self.record(peer);
        let unwritten = self.unwritten.remove(peer);
        let changed = self.change(|records| {
            let record = records.entry(peer.clone()).or_default();
            add_unwritten(record, unwritten.as_ref());
            record.password_tried(outcome, unix_time);
        });
        if let Err(failure) = changed {
            known.password_tried(outcome, unix_time);
            self.unwritten.insert(peer.clone(), known.attempts);
            self.failure = Some(failure);
        }
    }
}

/// Counts wrong passwords that the file does not know of.
fn add_unwritten(record: &mut TrustRecord, unwritten: Option<&Attempts>) {
    if let Some(attempts) = unwritten
        && attempts.failed > record.attempts.failed
    {
        record.attempts = *attempts;
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
        for method in &self.secured_by {
            record.note_secured(match method {
                StoredMethod::X509 => Method::X509,
                StoredMethod::Srp => Method::Srp,
            });
        }
        if self.secured && self.secured_by.is_empty() {
            // Nothing but a password has ever secured a peer without a pin, before methods were written down.
            record.note_secured(if self.pins.is_empty() { Method::Srp } else { Method::X509 });
        }
        for pin in &self.pins {
            let fingerprint: Fingerprint =
                pin.fingerprint.parse().map_err(|e| format!("{:?} is no fingerprint: {e}", pin.fingerprint))?;
            let learned = match pin.learned {
                StoredLearned::Manual => Learned::Manual,
                StoredLearned::LeapOfFaith => Learned::LeapOfFaith,
            };
            record.add(Pin::new(fingerprint, learned));
        }
        if let Some(wrong) = self.wrong_passwords {
            record.attempts.failed = wrong.count;
            record.attempts.last_unix = wrong.last;
        }
        Ok(record)
    }
}

fn stored_method(method: Method) -> StoredMethod {
    if method == Method::Srp { StoredMethod::Srp } else { StoredMethod::X509 }
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
        let Attempts { failed, last_unix, .. } = record.attempts;
        Self {
            pins: record.pins.iter().map(stored).collect(),
            secured: record.secured_before(),
            secured_by: record.secured_by.iter().map(|method| stored_method(*method)).collect(),
            wrong_passwords: (failed > 0).then_some(StoredAttempts { count: failed, last: last_unix }),
        }
    }
}

#[cfg(test)]
mod tests;
