//! The trust file: which certificates peers are known by.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use xtls::tls::UnixTime;
use xtls::trust::{
    Attempts, Confirmation, Confirmed, Fingerprint, Guess, Learned, Method, Permit, Pin, StoreError, TrustRecord,
    TrustStore,
};
use xtls_stanza::jid::BareJid;

use super::file;
use super::lock::{self, Lock};
use crate::exit::Failure;

/// The version of the format that is written and understood.
const VERSION: u32 = 1;

/// How long another process may keep us from writing, until that is a failure.
const PATIENCE: Duration = Duration::from_secs(5);

/// The peers that are known.
type Records = BTreeMap<BareJid, TrustRecord>;

/// The trust file as it was read last; changes are written at once.
#[derive(Debug)]
pub(crate) struct TrustFile {
    path: PathBuf,
    records: Records,
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
    secured_by: Vec<Word<Method>>,
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
    learned: Word<Learned>,
}

/// What is stored by its own name.
#[derive(Clone, Copy, Debug)]
struct Word<T>(T);

impl<T: Display> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map(Self).map_err(|e| D::Error::custom(format_args!("{name:?}: {e}")))
    }
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
        Ok(Self { path, records })
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

    /// Changes what the file says now: another process may have written it since it was read, and waits until this one is
    /// done.
    fn change<R>(&mut self, change: impl FnOnce(&mut Records) -> R) -> Result<R, Failure> {
        let _lock = Lock::of(&self.path, PATIENCE).map_err(|e| self.not_locked(&e))?;
        let before = read(&self.path)?;
        let mut records = before.clone();
        let result = change(&mut records);
        if records != before {
            self.write(&records)?;
        }
        self.records = records;
        Ok(result)
    }

    /// Changes what the file says of a peer.
    fn change_peer<R>(&mut self, peer: &BareJid, change: impl FnOnce(&mut TrustRecord) -> R) -> Result<R, StoreError> {
        let changed = self.change(|records| {
            let before = records.get(peer).cloned().unwrap_or_default();
            let mut record = before.clone();
            let result = change(&mut record);
            if record != before {
                records.insert(peer.clone(), record);
            }
            result
        });
        changed.map_err(StoreError::new)
    }

    fn write(&self, records: &Records) -> Result<(), Failure> {
        let peers =
            records.iter().map(|(peer, record)| (peer.canonical().to_owned(), StoredPeer::from(record))).collect();
        let unwritable = |e: io::Error| self.unwritable(&format!("{e}; check the permissions of its directory"));
        let mut text =
            serde_json::to_vec_pretty(&Stored { version: VERSION, peers }).map_err(|e| unwritable(e.into()))?;
        text.push(b'\n');
        file::write_private(&self.path, &text).map_err(unwritable)
    }

    fn not_locked(&self, e: &io::Error) -> Failure {
        let lock = lock::name_of(&self.path);
        let lock = lock.display();
        self.unwritable(&match e.kind() {
            io::ErrorKind::TimedOut => {
                format!("another process has held {lock} for {} s; end it, or try again", PATIENCE.as_secs())
            }
            _ => format!("{lock} cannot be locked: {e}; check the permissions of its directory"),
        })
    }

    fn unwritable(&self, why: &str) -> Failure {
        Failure::other(format!("the trust file {} cannot be written: {why}", self.path.display()))
    }
}

impl TrustStore for TrustFile {
    /// What the file says now, so that trust that was given or taken away elsewhere counts at once. It is replaced as a
    /// whole, so that reading it needs no lock.
    fn record(&self, peer: &BareJid) -> Result<TrustRecord, StoreError> {
        Ok(read(&self.path).map_err(StoreError::new)?.remove(peer).unwrap_or_default())
    }

    fn begin_guess(&mut self, _: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Permit, StoreError> {
        self.change_peer(peer, |record| record.begin_guess(guess))
    }

    fn guess_was_right(&mut self, _: &BareJid, peer: &BareJid) -> Result<(), StoreError> {
        self.change_peer(peer, TrustRecord::guess_was_right)
    }

    fn confirm(&mut self, peer: &BareJid, confirmed: &Confirmed) -> Result<Confirmation, StoreError> {
        self.change_peer(peer, |record| record.confirm(confirmed))
    }
}

fn read(path: &Path) -> Result<Records, Failure> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Records::new()),
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
    let mut records = Records::new();
    for (peer, stored) in stored.peers {
        let peer = peer.parse().map_err(|e| damaged(&format!("{peer:?} is no bare address: {e}")))?;
        records.insert(peer, stored.record().map_err(|e| damaged(&e))?);
    }
    Ok(records)
}

impl StoredPeer {
    fn record(&self) -> Result<TrustRecord, String> {
        let mut record = TrustRecord::default();
        for Word(method) in &self.secured_by {
            record.note_secured(*method);
        }
        if self.secured && self.secured_by.is_empty() {
            // Nothing but a password has ever secured a peer without a pin, before methods were written down.
            record.note_secured(if self.pins.is_empty() { Method::Srp } else { Method::X509 });
        }
        for pin in &self.pins {
            let fingerprint: Fingerprint =
                pin.fingerprint.parse().map_err(|e| format!("{:?} is no fingerprint: {e}", pin.fingerprint))?;
            record.add(Pin::new(fingerprint, pin.learned.0));
        }
        if let Some(wrong) = self.wrong_passwords {
            record.attempts.failed = wrong.count;
            record.attempts.last = UnixTime::since_unix_epoch(Duration::from_secs(wrong.last));
        }
        Ok(record)
    }
}

impl From<&TrustRecord> for StoredPeer {
    fn from(record: &TrustRecord) -> Self {
        let stored = |pin: &Pin| StoredPin { fingerprint: pin.fingerprint.to_string(), learned: Word(pin.learned) };
        let Attempts { failed, last, .. } = record.attempts;
        Self {
            pins: record.pins.iter().map(stored).collect(),
            secured: record.secured_before(),
            secured_by: record.secured_by.iter().copied().map(Word).collect(),
            wrong_passwords: (failed > 0).then_some(StoredAttempts { count: failed, last: last.as_secs() }),
        }
    }
}

#[cfg(test)]
mod tests;
