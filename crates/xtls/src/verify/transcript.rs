//! What is hashed: the commitment, and the short string (docs/wire.md § 6).

use core::fmt;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{VERIFY_NS, wire::Nonce};
use crate::{jid::Jid, trust::Fingerprint};

/// One end of the channel: its address as the channel has it, and the SHA-256 of the certificate it has shown there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a pair")]
pub struct Party {
    /// Its address. Both ends have to take the same form of it: with a tunnel the full one.
    pub jid: Jid,
    /// Of the whole certificate in DER.
    pub certificate: Fingerprint,
}

/// The string that the two users compare: 32 bits, as digits or as words of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShortString(u32);

impl ShortString {
    /// Ten digits in three groups, such as `"012 345 6789"`.
    #[must_use]
    pub fn digits(self) -> String {
        let digits = format!("{:010}", self.0);
        let (first, rest) = digits.split_at(3);
        let (second, third) = rest.split_at(3);
        format!("{first} {second} {third}")
    }

    /// Three places in a list of 2048 words, such as BIP-39's. The first is below 1024, since two lists' worth of words and ten
    /// bits are 32.
    #[must_use]
    pub fn places(self) -> [u16; 3] {
        [22, 11, 0].map(|shift| u16::try_from(self.0 >> shift & 0x7ff).unwrap_or_default())
    }

    #[cfg(test)]
    pub(super) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits themselves.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }
}

/// Whoever sees it can tell nothing by it, but it is not for logs: whoever reads it aloud is to read it from a screen.
impl fmt::Debug for ShortString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShortString(..)")
    }
}

/// What both ends know of the channel, in one order for both: the end that has proposed comes first.
pub(super) struct Transcript<'a> {
    pub(super) channel: &'a [u8; 32],
    pub(super) attempt: &'a str,
    pub(super) proposer: &'a Party,
    pub(super) responder: &'a Party,
}

impl Transcript<'_> {
    /// What the responder sends before it has seen the proposer's nonce, so that it cannot choose its own by that.
    pub(super) fn commitment(&self, responders: &Nonce) -> [u8; 32] {
        let mut text = Text::new("commitment");
        text.put(self.attempt.as_bytes()).put_party(self.responder).put(responders.bytes());
        text.hash()
    }

    pub(super) fn string(&self, proposers: &Nonce, responders: &Nonce) -> ShortString {
        let mut text = Text::new("string");
        text.put(self.channel).put(self.attempt.as_bytes()).put_party(self.proposer).put_party(self.responder);
        text.put(proposers.bytes()).put(responders.bytes());
        let [first, second, third, fourth, ..] = text.hash();
        ShortString(u32::from_be_bytes([first, second, third, fourth]))
    }
}

/// Strings, each after its length in four bytes: no two lists of strings make the same text.
struct Text(Zeroizing<Vec<u8>>);

impl Text {
    fn new(what: &str) -> Self {
        let mut text = Self(Zeroizing::new(Vec::with_capacity(1024)));
        text.put(VERIFY_NS.as_bytes()).put(what.as_bytes());
        text
    }

    fn put(&mut self, string: &[u8]) -> &mut Self {
        let length = u32::try_from(string.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(string);
        self
    }

    fn put_party(&mut self, party: &Party) -> &mut Self {
        self.put(party.jid.canonical().as_bytes()).put(party.certificate.digest())
    }

    fn hash(&self) -> [u8; 32] {
        Sha256::digest(&*self.0).into()
    }
}
