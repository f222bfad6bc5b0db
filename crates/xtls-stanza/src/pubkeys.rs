//! Certificates asked for and given inside a tunnel (XEP-0189 version 0.9, draft-meyer-xmpp-e2e-encryption-02 § 5.1).

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{BuildError, Element, ElementRef, Fingerprint, ns};

/// A `<pubkeys/>`: a request for keys, or keys.
///
/// ```
/// use xtls_stanza::{KeyInfo, Pubkeys, PubkeysVariant};
///
/// let keys = Pubkeys::new(PubkeysVariant::Pubkey0).with_key(KeyInfo::new(b"a certificate in DER"));
/// let read = Pubkeys::parse(keys.to_element()?.root()).map(|read| read.keys);
/// assert_eq!(read, Some(keys.keys));
/// # Ok::<(), xtls_stanza::BuildError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pubkeys {
    /// How it is spelt; an answer is spelt like its question.
    pub variant: PubkeysVariant,
    /// Whose keys they are, if not those of whoever is asked (XEP-0189 v0.9 § 6).
    pub jid: Option<String>,
    /// In a request: the fingerprints of the keys that are wanted, as far as they can be read, at most [`Pubkeys::MAX`];
    /// `None` where all are (XEP-0189 v0.9 § 5).
    pub wanted: Option<Vec<Fingerprint>>,
    /// The certificates that could be read, at most [`Pubkeys::MAX`]. What holds an OpenPGP key or nothing that can be read
    /// is left out.
    pub keys: Vec<KeyInfo>,
}

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInfo {
    /// Whose it is, where the sender says so: it does not hold the private key then (XEP-0189 v0.9 § 5).
    pub jid: Option<String>,
    /// What it calls itself: the SHA-1 in hexadecimal digits, if anything. It proves nothing.
    pub name: Option<String>,
    /// The certificate in DER, not looked into yet; at most [`KeyInfo::MAX_BYTES`].
    pub certificate: Vec<u8>,
}

/// The ways in which documents and clients have spelt the same question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PubkeysVariant {
    /// `<pubkeys xmlns='urn:xmpp:pubkey:0'/>`: XEP-0189 v0.9 and draft-meyer-xmpp-e2e-encryption-02.
    Pubkey0,
    /// `<pubkeys xmlns='urn:xmpp:tmp:pubkey'/>`: before the namespace was issued.
    Temporary,
    /// `<pubkeys xmlns='urn:xmpp:pubkey:2'/>`: the later namespace around the earlier content.
    Pubkey2,
    /// `<pubkey xmlns='urn:xmpp:pubkey:2'/>`: the same under the later name.
    Pubkey2Single,
}

impl Pubkeys {
    /// Keys, and fingerprints, that are read out of one element.
    pub const MAX: usize = 8;

    /// A request for all keys; with keys it is an answer.
    #[must_use]
    pub fn new(variant: PubkeysVariant) -> Self {
        Self { variant, jid: None, wanted: None, keys: Vec::new() }
    }

    /// The same with a certificate.
    #[must_use]
    pub fn with_key(mut self, key: KeyInfo) -> Self {
        self.keys.push(key);
        self
    }

    /// Reads the element in any of its spellings; `None` when it is something else.
    #[must_use]
    pub fn parse(element: ElementRef<'_>) -> Option<Self> {
        let variant = PubkeysVariant::of(element)?;
        let children = |name| element.children().filter(move |child| child.is(name, variant.ns()));
        let mut wanted = children("fingerprint").peekable();
        let is_specific = wanted.peek().is_some();
        let wanted = wanted.filter_map(|child| Fingerprint::parse(child.attribute("algo"), &child.text()).ok());
        let wanted = is_specific.then(|| wanted.take(Self::MAX).collect());
        let keys = children("keyinfo").filter_map(|child| KeyInfo::read(child, variant.ns())).take(Self::MAX).collect();
        Some(Self { variant, jid: element.attribute("jid").map(str::to_owned), wanted, keys })
    }

    /// The element.
    ///
    /// # Errors
    ///
    /// When an address or a name holds a character that XML cannot carry.
    pub fn to_element(&self) -> Result<Element, BuildError> {
        let ns = self.variant.ns();
        let mut out = Element::builder(self.variant.element(), ns).optional_attribute("jid", self.jid.as_deref());
        for fingerprint in self.wanted.iter().flatten() {
            out = out.open("fingerprint", ns).attribute("algo", fingerprint.algo().name());
            out = out.text(&fingerprint.hex()).close();
        }
        for key in &self.keys {
            out = out.open("keyinfo", ns).optional_attribute("jid", key.jid.as_deref());
            if let Some(name) = &key.name {
                out = out.open("name", ns).text(name).close();
            }
            out = out.open("x509cert", ns).text(&in_lines(&key.certificate)).close().close();
        }
        out.build()
    }
}

impl KeyInfo {
    /// Bytes of one certificate.
    pub const MAX_BYTES: usize = 16 * 1024;

    /// The sender's own certificate, under the name that it had in the first documents: its SHA-1.
    #[must_use]
    pub fn new(der: &[u8]) -> Self {
        Self { jid: None, name: Some(Fingerprint::sha1(der).hex()), certificate: der.to_vec() }
    }

    fn read(element: ElementRef<'_>, ns: &str) -> Option<Self> {
        let certificate = decode(&element.child("x509cert", ns)?.text())?;
        let name = element.child("name", ns).map(|name| {
            let kept: String = name.text().trim().chars().take(NAME_CHARS).collect();
            // What is written is read as the same.
            kept.trim_end().to_owned()
        });
        Some(Self { jid: element.attribute("jid").map(str::to_owned), name, certificate })
    }
}

impl PubkeysVariant {
    const ALL: [Self; 4] = [Self::Pubkey0, Self::Temporary, Self::Pubkey2, Self::Pubkey2Single];

    /// The spelling of an element; `None` when it is something else.
    #[must_use]
    pub fn of(element: ElementRef<'_>) -> Option<Self> {
        Self::ALL.into_iter().find(|variant| element.is(variant.element(), variant.ns()))
    }

    /// Its namespace.
    #[must_use]
    pub fn ns(self) -> &'static str {
        match self {
            Self::Pubkey0 => ns::PUBKEY_0,
            Self::Temporary => ns::PUBKEY_TMP,
            Self::Pubkey2 | Self::Pubkey2Single => ns::PUBKEY_2,
        }
    }

    /// Its name.
    #[must_use]
    pub fn element(self) -> &'static str {
        match self {
            Self::Pubkey0 | Self::Temporary | Self::Pubkey2 => "pubkeys",
            Self::Pubkey2Single => "pubkey",
        }
    }
}

/// Characters of a name that are kept: a SHA-512 in hexadecimal digits.
const NAME_CHARS: usize = 128;
/// Columns of a certificate's text, as in XEP-0189 v0.9 § 2.1 and in PEM.
const COLUMNS: usize = 64;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Lines of 64 columns, each with its end, and nothing before them.
fn in_lines(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut out = String::with_capacity(text.len() + text.len() / COLUMNS + 1);
    for (at, c) in text.chars().enumerate() {
        if at > 0 && at % COLUMNS == 0 {
            out.push('\n');
        }
        out.push(c);
    }
    out.push('\n');
    out
}

/// White space may stand anywhere (the examples are indented), and PEM's armour around it.
fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let text = match text.strip_prefix(BEGIN) {
        Some(armoured) => armoured.strip_suffix(END)?,
        None => text,
    };
    let text: String = text.chars().filter(|c| !matches!(c, ' ' | '\t' | '\r' | '\n')).collect();
    if text.len() > KeyInfo::MAX_BYTES.div_ceil(3) * 4 {
        return None;
    }
    let der = STANDARD.decode(text).ok()?;
    (!der.is_empty() && der.len() <= KeyInfo::MAX_BYTES).then_some(der)
}
