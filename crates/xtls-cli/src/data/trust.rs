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
    Attempts, Confirmation, Confirmed, Fingerprint, Guess, GuessCount, Learned, MemoryTrustStore, Method, Permit, Pin,
    StoreError, TrustRecord, TrustStore,
};
use xtls_stanza::jid::BareJid;

use super::file;
use super::lock::{self, Lock, PATIENCE};
use crate::exit::Failure;

/// The version of the format that is written. Those before it are understood.
const VERSION: u32 = 3;

/// The trust file as it was read last; changes are written at once.
#[derive(Debug)]
pub(crate) struct TrustFile {
    path: PathBuf,
    known: MemoryTrustStore,
    /// The names in it that are no addresses any more.
    unread: Vec<String>,
    /// Pins that the command line gives to peers without one. They are written when the peer is confirmed.
    given: BTreeMap<BareJid, Vec<Pin>>,
}

/// The file's own words.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    peers: BTreeMap<String, StoredPeer>,
    /// Wrong passwords by local address, from strangers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    guessed_at: BTreeMap<String, StoredCount>,
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
    /// Whether it has shown the negotiation hash; files up to version 2 do not say.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    negotiation_hash: bool,
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
    /// How many in all that are not forgiven; without it, as files were written once, those since the last right one.
    #[serde(default)]
    total: Option<StoredCount>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredCount {
    count: u32,
    /// Since when time counts towards the next that is forgiven, in seconds of Unix time.
    since: u64,
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
        let (known, unread) = read(&path)?;
        Ok(Self { path, known, unread: unread.into_keys().collect(), given: BTreeMap::new() })
    }

    /// All that is known, as it was read last.
    pub(crate) fn known(&self) -> &MemoryTrustStore {
        &self.known
    }

    /// What the file has under names that are no addresses (RFC 7622), as older versions wrote some. It is kept, and nobody is
    /// verified by it.
    pub(crate) fn unread(&self) -> &[String] {
        &self.unread
    }

    /// Trusts a certificate of a peer in this run; it is remembered when the peer has confirmed us. Nothing is changed for a
    /// peer that the file has a pin for: the user has to say what becomes of that one.
    ///
    /// # Errors
    ///
    /// When the file has pins for the peer, and this is none of them.
    pub(crate) fn give(&mut self, peer: &BareJid, fingerprint: Fingerprint) -> Result<(), Failure> {
        let pins = self.known.record(peer).map(|record| record.pins).unwrap_or_default();
        if pins.iter().any(|pin| pin.fingerprint == fingerprint) {
            return Ok(());
        }
        if let Some(known) = pins.first() {
            return Err(Failure::security(format!(
                "{peer} is trusted with {}, and not with {fingerprint}, which --trust gives: {}",
                known.fingerprint,
                what_becomes_of_others(peer, &fingerprint)
            )));
        }
        self.given.entry(peer.clone()).or_default().push(Pin::manual(fingerprint));
        Ok(())
    }

    /// Whether the command line has given a certificate to this peer.
    pub(crate) fn is_given(&self, peer: &BareJid) -> bool {
        self.given.contains_key(peer)
    }

    /// Pins a certificate to a peer, beside those it has.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; it stays as it is.
    pub(crate) fn add(&mut self, peer: &BareJid, pin: Pin) -> Result<(), Failure> {
        self.change(|known| known.pin(peer, pin))
    }

    /// Pins a certificate to a peer in the place of those it has. Gives these.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; it stays as it is.
    pub(crate) fn replace(&mut self, peer: &BareJid, pin: Pin) -> Result<Vec<Pin>, Failure> {
        self.change(|known| {
            let record = known.of(peer);
            let others = record.pins.extract_if(.., |one| one.fingerprint != pin.fingerprint).collect();
            record.add(pin);
            others
        })
    }

    /// Forgets the certificates of a peer; tells whether there was anything to forget. Wrong passwords stay counted: to
    /// forget them would give away more guesses.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; it stays as it is.
    pub(crate) fn remove(&mut self, peer: &BareJid) -> Result<bool, Failure> {
        self.change(|known| known.remove(peer))
    }

    /// Forgets the wrong passwords with a peer, and those at a local address; tells whether there were any.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; it stays as it is.
    pub(crate) fn forgive(&mut self, jid: &BareJid) -> Result<bool, Failure> {
        self.change(|known| known.forgive(jid))
    }

    /// Changes what the file says now: another process may have written it since it was read, and waits until this one is
    /// done.
    fn change<R>(&mut self, change: impl FnOnce(&mut MemoryTrustStore) -> R) -> Result<R, Failure> {
        let _lock = Lock::of(&self.path, PATIENCE).map_err(|e| self.unwritable(&lock::failure(&self.path, &e)))?;
        let (before, unread) = read(&self.path)?;
        let mut known = before.clone();
        let result = change(&mut known);
        if known != before {
            self.write(&known, unread)?;
        }
        self.known = known;
        Ok(result)
    }

    /// Does what a store in memory does, to what the file says.
    fn store<R>(&mut self, call: impl FnOnce(&mut MemoryTrustStore) -> Result<R, StoreError>) -> Result<R, StoreError> {
        self.change(call).map_err(StoreError::new)?
    }

    fn write(&self, known: &MemoryTrustStore, unread: BTreeMap<String, StoredPeer>) -> Result<(), Failure> {
        let name = |jid: &BareJid| jid.canonical().to_owned();
        let peers = known.iter().map(|(peer, record)| (name(peer), StoredPeer::from(record))).chain(unread).collect();
        let guessed_at = known.listeners().map(|(own, count)| (name(own), StoredCount::from(count))).collect();
        let unwritable = |e: io::Error| self.unwritable(&format!("{e}; check the permissions of its directory"));
        let mut text = serde_json::to_vec_pretty(&Stored { version: VERSION, peers, guessed_at })
            .map_err(|e| unwritable(e.into()))?;
        text.push(b'\n');
        file::write_private(&self.path, &text).map_err(unwritable)
    }

    fn unwritable(&self, why: &str) -> Failure {
        Failure::other(format!("the trust file {} cannot be written: {why}", self.path.display()))
    }
}

impl TrustStore for TrustFile {
    /// What the file says now, so that trust that was given or taken away elsewhere counts at once. It is replaced as a
    /// whole, so that reading it needs no lock.
    fn record(&self, peer: &BareJid) -> Result<TrustRecord, StoreError> {
        let (mut known, _) = read(&self.path).map_err(StoreError::new)?;
        with_given(&mut known, &self.given, peer);
        known.record(peer)
    }

    fn locked_until(&self, local: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Option<UnixTime>, StoreError> {
        read(&self.path).map_err(StoreError::new)?.0.locked_until(local, peer, guess)
    }

    fn begin_guess(&mut self, local: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Permit, StoreError> {
        self.store(|known| known.begin_guess(local, peer, guess))
    }

    fn guess_was_right(&mut self, local: &BareJid, peer: &BareJid) -> Result<(), StoreError> {
        self.store(|known| known.guess_was_right(local, peer))
    }

    fn confirm(&mut self, peer: &BareJid, confirmed: &Confirmed) -> Result<Confirmation, StoreError> {
        let given = self.given.clone();
        self.store(|known| {
            let mut changed = known.clone();
            with_given(&mut changed, &given, peer);
            let confirmation = changed.confirm(peer, confirmed)?;
            if confirmation == Confirmation::Remembered {
                *known = changed;
            }
            Ok(confirmation)
        })
    }
}

/// What to do about a peer that is trusted with another certificate than this one.
pub(crate) fn what_becomes_of_others(peer: &BareJid, fingerprint: &Fingerprint) -> String {
    format!(
        "if its owner says by other means that it has changed: xtls trust add {peer} {fingerprint} --replace; if it has both: \
         xtls trust add {peer} {fingerprint} --keep"
    )
}

/// Adds what the command line gives to a peer that has no pin.
fn with_given(known: &mut MemoryTrustStore, given: &BTreeMap<BareJid, Vec<Pin>>, peer: &BareJid) {
    if let Some(pins) = given.get(peer)
        && known.record(peer).is_ok_and(|record| record.pins.is_empty())
    {
        pins.iter().for_each(|pin| known.pin(peer, *pin));
    }
}

/// What the file says, and what it has under names that are no addresses.
fn read(path: &Path) -> Result<(MemoryTrustStore, BTreeMap<String, StoredPeer>), Failure> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
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
    if !(1..=VERSION).contains(&version) {
        return Err(Failure::other(format!(
            "the trust file {} has version {version} and this xtls knows versions up to {VERSION} only; it was left as it is: use the xtls that wrote it",
            path.display()
        )));
    }
    let stored: Stored = serde_json::from_slice(&text).map_err(|e| damaged(&e.to_string()))?;
    let bare = |jid: &str| jid.parse::<BareJid>().map_err(|e| damaged(&format!("{jid:?} is no bare address: {e}")));
    let (mut known, mut unread) = (MemoryTrustStore::default(), BTreeMap::new());
    for (peer, stored) in stored.peers {
        let record = stored.record().map_err(|e| damaged(&e))?;
        let Ok(jid) = peer.parse::<BareJid>() else {
            unread.insert(peer, stored);
            continue;
        };
        let known = known.of(&jid);
        // Files from before addresses were those of RFC 7622 may have one peer twice: by A-labels and by U-labels.
        record.pins.iter().for_each(|pin| known.add(*pin));
        record.secured_by.iter().for_each(|method| known.note_secured(*method));
        known.negotiation_hash |= record.negotiation_hash;
        if known.attempts.failed <= record.attempts.failed {
            known.attempts = record.attempts;
        }
    }
    for (own, stored) in stored.guessed_at {
        *known.at(&bare(&own)?) = stored.into();
    }
    Ok((known, unread))
}

impl StoredPeer {
    fn record(&self) -> Result<TrustRecord, String> {
        let mut record = TrustRecord::default();
        record.negotiation_hash = self.negotiation_hash;
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
            let total = wrong.total.unwrap_or(StoredCount { count: wrong.count, since: wrong.last });
            record.attempts.failed = wrong.count;
            record.attempts.last = unix(wrong.last);
            record.attempts.total = total.into();
        }
        Ok(record)
    }
}

impl From<&TrustRecord> for StoredPeer {
    fn from(record: &TrustRecord) -> Self {
        let stored = |pin: &Pin| StoredPin { fingerprint: pin.fingerprint.to_string(), learned: Word(pin.learned) };
        let attempts = record.attempts;
        Self {
            pins: record.pins.iter().map(stored).collect(),
            secured: record.secured_before(),
            secured_by: record.secured_by.iter().copied().map(Word).collect(),
            negotiation_hash: record.negotiation_hash,
            wrong_passwords: (attempts != Attempts::default()).then(|| StoredAttempts {
                count: attempts.failed,
                last: attempts.last.as_secs(),
                total: Some((&attempts.total).into()),
            }),
        }
    }
}

impl From<StoredCount> for GuessCount {
    fn from(stored: StoredCount) -> Self {
        Self::new(stored.count, unix(stored.since))
    }
}

impl From<&GuessCount> for StoredCount {
    fn from(count: &GuessCount) -> Self {
        Self { count: count.count, since: count.since.as_secs() }
    }
}

fn unix(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests;
