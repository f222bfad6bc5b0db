//! The text of a trust file, read and written. No file is touched here, so that any text can be tried.

use core::{error::Error, fmt, fmt::Display, str::FromStr, time::Duration};
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use xtls::jid::BareJid;
use xtls::tls::UnixTime;
use xtls::trust::{Attempts, Fingerprint, GuessCount, Learned, MemoryTrustStore, Method, Pin, TrustRecord};

/// What a trust file says: the JSON of [`FileTrustStore`](crate::FileTrustStore), for whoever keeps it elsewhere.
///
/// ```
/// use xtls::trust::{Fingerprint, Pin};
/// use xtls_store::TrustDocument;
///
/// let mut document = TrustDocument::default();
/// document.known.pin(&"juliet@capulet.lit".parse()?, Pin::manual(Fingerprint::sha256(b"a certificate")));
/// let text = document.to_json();
/// assert_eq!(TrustDocument::from_json(&text)?.known, document.known);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct TrustDocument {
    /// What is known of peers, and what was counted at your own addresses.
    pub known: MemoryTrustStore,
    unread: BTreeMap<String, StoredPeer>,
}

/// Why a text is no [`TrustDocument`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DocumentError {
    /// It is damaged; the words say where and how.
    Damaged(String),
    /// It has this version, which is not known here.
    Version(u32),
}

impl TrustDocument {
    /// The version of the format that is written. Those before it are read.
    pub const VERSION: u32 = 4;

    /// Reads the text.
    ///
    /// # Errors
    ///
    /// When it is no such document, has a member that is not known, or another version. Nothing is skipped: it might say
    /// that a peer is not to be trusted.
    pub fn from_json(text: &[u8]) -> Result<Self, DocumentError> {
        let damaged = |why: serde_json::Error| DocumentError::Damaged(why.to_string());
        let Versioned { version } = serde_json::from_slice(text).map_err(damaged)?;
        if !(1..=Self::VERSION).contains(&version) {
            return Err(DocumentError::Version(version));
        }
        let stored: Stored = serde_json::from_slice(text).map_err(damaged)?;
        let (mut known, mut unread) = (MemoryTrustStore::default(), BTreeMap::new());
        for (peer, stored) in stored.peers {
            let record = stored.record().map_err(DocumentError::Damaged)?;
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
            let own: BareJid =
                own.parse().map_err(|e| DocumentError::Damaged(format!("{own:?} is no bare address: {e}")))?;
            *known.at(&own) = stored.into();
        }
        Ok(Self { known, unread })
    }

    /// The text that says this: JSON in lines, in the order of the addresses.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let name = |jid: &BareJid| jid.canonical().to_owned();
        let peers = self.known.iter().map(|(peer, record)| (name(peer), StoredPeer::from(record)));
        let peers = peers.chain(self.unread.iter().map(|(name, stored)| (name.clone(), stored.clone()))).collect();
        let guessed_at = self.known.listeners().map(|(own, count)| (name(own), StoredCount::from(count))).collect();
        let stored = Stored { version: Self::VERSION, peers, guessed_at };
        let mut text = serde_json::to_vec_pretty(&stored).expect("names, texts and numbers can always be written");
        text.push(b'\n');
        text
    }

    /// The names in it that are no addresses (RFC 7622), as older versions wrote some. What stands there is kept, and nobody is
    /// verified by it.
    pub fn unread(&self) -> impl Iterator<Item = &str> {
        self.unread.keys().map(String::as_str)
    }
}

impl Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(why) => f.write_str(why),
            Self::Version(version) => write!(f, "it has version {version}, which is not known"),
        }
    }
}

impl Error for DocumentError {}

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

#[derive(Clone, Debug, Serialize, Deserialize)]
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

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPin {
    /// `sha-256:` and hex.
    fingerprint: String,
    learned: Word<Learned>,
    /// When that was, in seconds of Unix time, where it is known; files up to version 3 do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<u64>,
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
            let learned = Pin::new(fingerprint, pin.learned.0);
            record.add(pin.since.map_or(learned, |since| learned.with_since(unix(since))));
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
        let stored = |pin: &Pin| StoredPin {
            fingerprint: pin.fingerprint.to_string(),
            learned: Word(pin.learned),
            since: pin.since.map(|since| since.as_secs()),
        };
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
