//! What is known of one peer, and what changes it.

use core::{fmt, str::FromStr};

use xtls_stanza::{Fingerprint, Method};
use xtls_tls::UnixTime;

use crate::guess::{Attempts, Guess, GuessCount, Permit};

/// How a pin came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Learned {
    /// The user compared or supplied the fingerprint.
    Manual,
    /// It was the first certificate seen.
    LeapOfFaith,
    /// The peer gave it in a tunnel that a password of the two users secured, and then proved to hold its key in a second tunnel
    /// (draft-meyer-xmpp-e2e-encryption-02 § 5.1, XEP-0250 § 4).
    Pairing,
    /// The two users compared a short string in a tunnel that it secured (docs/wire.md of the repository, "Comparing a short string").
    Comparison,
}

/// Why a text is not the name of a [`Learned`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LearnedError {
    /// Nothing has this name. Names are compared as they are: case and white space count.
    Unknown,
}

/// A certificate that a peer is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Pin {
    /// The digest of the DER certificate. The library itself only ever stores SHA-256.
    pub fingerprint: Fingerprint,
    /// How it came to be.
    pub learned: Learned,
    /// When it came to be, by whoever made it; `None` where nobody said.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none", with = "optional_seconds"))]
    pub since: Option<UnixTime>,
}

/// What is known of one peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct TrustRecord {
    /// Its certificates, one for each device perhaps.
    pub pins: Vec<Pin>,
    /// By which methods it was secured and confirmed before, none of them twice. From then on it is expected to speak one of
    /// them, or to hold a pinned certificate: see [`Fault::Downgraded`](crate::Fault::Downgraded).
    pub secured_by: Vec<Method>,
    /// It has shown the negotiation hash before: inside of a tunnel, what it saw of the negotiation outside. From then on it has
    /// to: see [`Fault::NegotiationMissing`](crate::Fault::NegotiationMissing).
    pub negotiation_hash: bool,
    /// Guesses at the password that were not right, by either side.
    pub attempts: Attempts,
}

/// The proof that both ends of a tunnel or link have authenticated one another. Only the library makes one, so nothing else
/// can cause a pin to be learned from the network:
///
/// ```compile_fail,E0624
/// let make = xtls_channel::Confirmed::new; // private
/// ```
///
/// Nor can one be kept for another time:
///
/// ```compile_fail,E0277
/// fn keep(confirmed: &xtls_channel::Confirmed) -> xtls_channel::Confirmed {
///     Clone::clone(confirmed)
/// }
/// ```
#[derive(Debug)]
pub struct Confirmed {
    method: Method,
    /// The pins that the judgement was made by; `None` where none was, with a password.
    judged_by: Option<Vec<Fingerprint>>,
    learn: Option<Learn>,
    negotiation_hash: bool,
}

/// What became of a [`Confirmed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Confirmation {
    /// It is remembered.
    Remembered,
    /// The pins have changed since the judgement; nothing was remembered. The certificate is judged again by the new ones.
    PinsChanged,
}

/// What is to be learned from a certificate that was accepted.
#[derive(Debug, Clone)]
pub(crate) struct Learn {
    pub(crate) pin: Pin,
    /// What goes for it: the same certificate's pin by a weaker digest, or the pins of the certificates before it.
    pub(crate) replaces: Vec<Fingerprint>,
}

impl Learned {
    /// A short and stable name, for storing: `manual`, `leap-of-faith`, `pairing` or `comparison`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::LeapOfFaith => "leap-of-faith",
            Self::Pairing => "pairing",
            Self::Comparison => "comparison",
        }
    }
}

/// The name of [`Learned::as_str`], which [`FromStr`] reads back.
impl fmt::Display for Learned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads the name of [`Learned::as_str`].
impl FromStr for Learned {
    type Err = LearnedError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Self::Manual, Self::LeapOfFaith, Self::Pairing, Self::Comparison]
            .into_iter()
            .find(|learned| learned.as_str() == name)
            .ok_or(LearnedError::Unknown)
    }
}

impl fmt::Display for LearnedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("a pin is learned by `manual`, `leap-of-faith`, `pairing` or `comparison`"),
        }
    }
}

impl core::error::Error for LearnedError {}

/// As its text.
#[cfg(feature = "serde")]
impl serde::Serialize for Learned {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        xtls_stanza::serde::write(self, serializer)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Learned {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        xtls_stanza::serde::read(deserializer)
    }
}

impl Pin {
    /// A pin that the user vouches for.
    #[must_use]
    pub fn manual(fingerprint: Fingerprint) -> Self {
        Self::new(fingerprint, Learned::Manual)
    }

    /// A pin that came to be in the given way.
    #[must_use]
    pub fn new(fingerprint: Fingerprint, learned: Learned) -> Self {
        Self { fingerprint, learned, since: None }
    }

    /// The same pin, which came to be at this time.
    #[must_use]
    pub fn with_since(self, since: UnixTime) -> Self {
        Self { since: Some(since), ..self }
    }
}

impl TrustRecord {
    /// Adds a pin unless there is one for the same digest. What the users have done about it, by comparing fingerprints or a string
    /// or by pairing, replaces what was known of that digest.
    pub fn add(&mut self, pin: Pin) {
        match self.pins.iter_mut().find(|known| known.fingerprint == pin.fingerprint) {
            Some(known) if pin.learned != Learned::LeapOfFaith => *known = pin,
            Some(_) => {}
            None => self.pins.push(pin),
        }
    }

    /// Whether it was secured and confirmed before.
    #[must_use]
    pub fn secured_before(&self) -> bool {
        !self.secured_by.is_empty()
    }

    /// Notes that it was secured by this method.
    pub fn note_secured(&mut self, method: Method) {
        if !self.secured_by.contains(&method) {
            self.secured_by.push(method);
        }
    }

    /// Does what [`TrustStore::confirm`](crate::TrustStore::confirm) is for: notes the method, and the new pin if there is one,
    /// in the place of those that it replaces; unless the pins have changed since the judgement.
    pub fn confirm(&mut self, confirmed: &Confirmed) -> Confirmation {
        let is_as_judged = |by: &Vec<Fingerprint>| {
            by.len() == self.pins.len() && self.pins.iter().all(|pin| by.contains(&pin.fingerprint))
        };
        if !confirmed.judged_by.as_ref().is_none_or(is_as_judged) {
            return Confirmation::PinsChanged;
        }
        self.note_secured(confirmed.method);
        self.negotiation_hash |= confirmed.negotiation_hash;
        if let Some(Learn { pin, replaces }) = &confirmed.learn {
            self.pins.retain(|known| !replaces.contains(&known.fingerprint));
            self.add(*pin);
        }
        Confirmation::Remembered
    }

    /// Does what [`TrustStore::begin_guess`](crate::TrustStore::begin_guess) is for. `listener` is what was counted at your
    /// address.
    ///
    /// A name that no password has secured before draws on both counts, since anybody can make up names. One that was draws
    /// on its own alone: what strangers do does not keep it out.
    pub fn begin_guess(&mut self, listener: &mut GuessCount, guess: &Guess) -> Permit {
        let listener = self.is_unproven().then_some(listener);
        self.attempts.begin(listener, guess)
    }

    /// Does what [`TrustStore::guess_was_right`](crate::TrustStore::guess_was_right) is for: the guess is taken back, the row of
    /// wrong ones has ended, and the other wrong ones stay counted.
    pub fn guess_was_right(&mut self, listener: &mut GuessCount) {
        let listener = self.is_unproven().then_some(listener);
        self.attempts.take_back(listener);
    }

    /// Until when a guess like this one may not be made.
    #[must_use]
    pub fn locked_until(&self, listener: &GuessCount, guess: &Guess) -> Option<UnixTime> {
        self.attempts.locked_until(self.is_unproven().then_some(listener), guess)
    }

    /// Whether it holds nothing but guesses, as it does of a stranger who made them.
    #[must_use]
    pub fn is_strangers(&self) -> bool {
        self.pins.is_empty() && !self.secured_before()
    }

    /// Whether no password has secured it before.
    fn is_unproven(&self) -> bool {
        !self.secured_by.contains(&Method::Srp)
    }

    /// The digests of its pins.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        self.pins.iter().map(|pin| pin.fingerprint).collect()
    }
}

impl Confirmed {
    pub(crate) fn new(method: Method, judged_by: Option<Vec<Fingerprint>>, learn: Option<Learn>) -> Self {
        Self { method, judged_by, learn, negotiation_hash: false }
    }

    /// The same of a peer that has shown the negotiation hash, or has not.
    pub(crate) fn with_negotiation_hash(self, negotiation_hash: bool) -> Self {
        Self { negotiation_hash, ..self }
    }

    /// The method that secured it.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// The pin to remember, if the certificate was not pinned yet.
    #[must_use]
    pub fn pin(&self) -> Option<Pin> {
        self.learn.as_ref().map(|learn| learn.pin)
    }

    /// The fingerprints that the new pin stands in for: the same certificate by a weaker digest than SHA-256, or the certificates
    /// that the user has approved this one in the place of.
    #[must_use]
    pub fn replaces(&self) -> &[Fingerprint] {
        self.learn.as_ref().map_or(&[], |learn| &learn.replaces)
    }

    /// Whether the peer has shown the negotiation hash in this tunnel by now.
    #[must_use]
    pub fn negotiation_hash(&self) -> bool {
        self.negotiation_hash
    }

    /// The digests that were pinned when the certificate was judged; `None` with a password, where none is.
    #[must_use]
    pub fn judged_by(&self) -> Option<&[Fingerprint]> {
        self.judged_by.as_deref()
    }
}

/// Time of day in seconds since 1970.
#[cfg(feature = "serde")]
pub(crate) mod seconds {
    use core::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};
    use xtls_tls::UnixTime;

    pub(crate) fn serialize<S: Serializer>(time: &UnixTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(time.as_secs())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixTime, D::Error> {
        u64::deserialize(deserializer).map(|seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// The same where there may be none.
#[cfg(feature = "serde")]
mod optional_seconds {
    use core::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
    use xtls_tls::UnixTime;

    #[allow(clippy::ref_option, reason = "serde hands it on so")]
    pub(crate) fn serialize<S: Serializer>(time: &Option<UnixTime>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(|time| time.as_secs()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<UnixTime>, D::Error> {
        let seconds = Option::<u64>::deserialize(deserializer)?;
        Ok(seconds.map(|seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds))))
    }
}

#[cfg(test)]
mod tests;
