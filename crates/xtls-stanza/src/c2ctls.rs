//! XEP-0250: which TLS methods and keys a client is ready for, before the handshake.

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use core::fmt;

use crate::{ElementRef, Fingerprint, ns, write};

/// The name of a key as `<keyinfo/>` carries it: the fingerprint of an X.509 certificate or of an OpenPGP key (XEP-0250
/// § 3.1). It may be any text of 1 to [`KeyName::MAX_BYTES`] bytes without white space around it.
///
/// A name crosses whatever network there is in clear and proves nothing: it only helps to choose.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

/// Why a text is not the name of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyNameError {
    /// Nothing is there, or white space alone.
    Empty,
    /// More than [`KeyName::MAX_BYTES`] bytes.
    TooLong,
    /// A character that XML cannot carry (XML 1.0 § 2.2).
    Character,
}

/// What a known key is good for. The name alone does not tell it (XEP-0250 § 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// An X.509 certificate (§ 2.1).
    X509,
    /// An OpenPGP key (§ 2.2).
    OpenPgp,
}

/// An `<offer/>`: the methods that its sender is ready for and the names of its keys.
///
/// It stands in an IQ that asks before a stream is opened (§ 3.2), in the stream feature (§ 3.3.1), in `<starttls/>`
/// (§ 3.3.2) and, naming one method, in `<proceed/>` (§ 3.3.3).
///
/// ```
/// use xtls_stanza::{Element, KeyKind, KeyName, Limits, OwnMethods, TlsOffer};
///
/// let theirs = Element::parse(
///     "<offer xmlns='urn:xmpp:tmp:c2ctls'><keyinfo xmlns='urn:xmpp:tmp:pubkey'>\
///      <name>RomeoX509CertificateHash</name></keyinfo><srp/></offer>",
///     &Limits::default(),
/// )?;
/// let theirs = TlsOffer::parse(theirs.root()).ok_or("an offer")?;
/// let mut own = OwnMethods::default();
/// own.keys.push((KeyKind::X509, KeyName::new("JulietX509CertificateHash")?));
/// own.srp = true;
/// // Juliet does not know Romeo's certificate, so she does not show hers.
/// let answer = theirs.answer(&own, |_| None);
/// assert!(answer.keys.is_empty() && answer.srp);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TlsOffer {
    /// The names of its sender's keys, at most [`TlsOffer::MAX_KEYS`], without repetition.
    pub keys: Vec<KeyName>,
    /// A certificate that nobody can verify yet is taken, to be verified later (§ 3.2).
    pub insecure: bool,
    /// A shared secret may be used, by SRP (§ 2.3).
    pub srp: bool,
}

/// What an entity could use, from which [`TlsOffer::answer`] picks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct OwnMethods {
    /// Its keys, in the order it prefers them.
    pub keys: Vec<(KeyKind, KeyName)>,
    /// It would take a certificate that it cannot verify, to verify it later.
    pub insecure: bool,
    /// It may share a secret with the peer.
    pub srp: bool,
}

impl KeyName {
    /// The longest name, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 256;

    /// Takes a name; white space around it is dropped.
    ///
    /// # Errors
    ///
    /// When nothing is left, or what is left is too long or not XML.
    pub fn new(name: &str) -> Result<Self, KeyNameError> {
        let name = name.trim_matches([' ', '\t', '\n', '\r']);
        if name.is_empty() {
            return Err(KeyNameError::Empty);
        }
        if name.len() > Self::MAX_BYTES {
            return Err(KeyNameError::TooLong);
        }
        if !name.chars().all(crate::element::is_xml_char) {
            return Err(KeyNameError::Character);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The fingerprint that the name spells, if it is hexadecimal digits of a length that tells the algorithm.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        Fingerprint::parse(None, &self.0).ok()
    }
}

impl From<&Fingerprint> for KeyName {
    /// The digest in lower-case hexadecimal digits, as § 3.1 shows.
    fn from(fingerprint: &Fingerprint) -> Self {
        Self(fingerprint.hex())
    }
}

impl TlsOffer {
    /// How many keys are kept of an offer, the first ones.
    pub const MAX_KEYS: usize = 8;

    /// An offer of these keys and methods. Keys beyond [`TlsOffer::MAX_KEYS`] are left out.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = KeyName>, srp: bool) -> Self {
        let mut offer = Self { srp, ..Self::default() };
        keys.into_iter().for_each(|key| offer.push(key));
        offer
    }

    /// Reads an `<offer/>`; `None` when the element is something else.
    ///
    /// What it holds and is not understood is ignored (§ 2), and so is a `<keyinfo/>` without a name that can be one.
    #[must_use]
    pub fn parse(element: ElementRef<'_>) -> Option<Self> {
        if !element.is("offer", ns::C2C_TLS) {
            return None;
        }
        let mut offer = Self::default();
        for child in element.children() {
            if child.is("keyinfo", ns::PUBKEY_TMP) {
                let name = child.child("name", ns::PUBKEY_TMP).and_then(|name| KeyName::new(&name.text()).ok());
                name.into_iter().for_each(|name| offer.push(name));
            }
            offer.insecure |= child.is("insecure", ns::C2C_TLS);
            offer.srp |= child.is("srp", ns::C2C_TLS);
        }
        Some(offer)
    }

    /// The `<offer/>` inside an element, such as a `<starttls/>`.
    #[must_use]
    pub fn within(element: ElementRef<'_>) -> Option<Self> {
        element.children().find_map(Self::parse)
    }

    /// Appends the element.
    pub fn write(&self, out: &mut String) {
        out.push_str("<offer");
        write::attribute(out, "xmlns", ns::C2C_TLS);
        out.push('>');
        for key in self.keys.iter().take(Self::MAX_KEYS) {
            out.push_str("<keyinfo");
            write::attribute(out, "xmlns", ns::PUBKEY_TMP);
            out.push_str("><name>");
            write::text(out, key.as_str());
            out.push_str("</name></keyinfo>");
        }
        for (is_there, element) in [(self.insecure, "<insecure/>"), (self.srp, "<srp/>")] {
            if is_there {
                out.push_str(element);
            }
        }
        out.push_str("</offer>");
    }

    /// Whether it names no method that is understood: nothing is left that both could use (§ 3.3.3).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && !self.insecure && !self.srp
    }

    /// How many methods it names, each key being one.
    #[must_use]
    pub fn methods(&self) -> usize {
        self.keys.len().min(Self::MAX_KEYS) + usize::from(self.insecure) + usize::from(self.srp)
    }

    /// What of `own` answers this offer, which is the peer's (§ 3.2).
    ///
    /// A key is shown only if the offer names one of the same kind that can be verified; `verifiable` tells of which
    /// kind a named key is, and nothing of one that is unknown or cannot be verified. SRP is there if both are ready for
    /// it. `<insecure/>` is there if the peer shows keys, or takes such itself, and no certificate among them can be
    /// verified.
    #[must_use]
    pub fn answer(&self, own: &OwnMethods, mut verifiable: impl FnMut(&KeyName) -> Option<KeyKind>) -> Self {
        let kinds: Vec<KeyKind> = self.keys.iter().filter_map(&mut verifiable).collect();
        let shown = own.keys.iter().filter(|(kind, _)| kinds.contains(kind)).map(|(_, name)| name.clone());
        let mut answer = Self::new(shown, own.srp && self.srp);
        let shows = !self.keys.is_empty() || self.insecure;
        answer.insecure = own.insecure && shows && !kinds.contains(&KeyKind::X509);
        answer
    }

    fn push(&mut self, key: KeyName) {
        if self.keys.len() < Self::MAX_KEYS && !self.keys.contains(&key) {
            self.keys.push(key);
        }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyName({})", self.0)
    }
}

impl fmt::Display for KeyNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an empty name of a key",
            Self::TooLong => "the name of a key is too long",
            Self::Character => "a character that XML cannot carry",
        })
    }
}

impl core::error::Error for KeyNameError {}
