//! Certificate fingerprints, as stanzas carry them and as people read them.
//!
//! A fingerprint in a stanza passes through servers that are not trusted: it helps to find a certificate, it never
//! makes one trusted. Trust is kept as the SHA-256 of the certificate.

use std::fmt;
use std::str::FromStr;

use sha1::Sha1;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq as _;

/// The longest digest, in bytes: that of SHA-512.
const MAX_DIGEST: usize = 64;

/// A hash algorithm that fingerprints are made with.
///
/// `Display` is the name used on the wire: `sha1` as in draft-meyer-xmpp-e2e-encryption § 3, and dashed names as in
/// XEP-0300 for the others. Parsing takes both, in any case, with or without the dash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum HashAlgo {
    /// MD5, 16 bytes. Understood, never trusted, never computed.
    Md5,
    /// SHA-1, 20 bytes. What old peers announce; a hint for looking a certificate up.
    Sha1,
    /// SHA-224, 28 bytes.
    Sha224,
    /// SHA-256, 32 bytes. What trust is kept as.
    Sha256,
    /// SHA-384, 48 bytes.
    Sha384,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl HashAlgo {
    /// The length of its digest in bytes, 16 to 64.
    #[must_use]
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The name on the wire: `md5`, `sha1`, `sha-224`, `sha-256`, `sha-384` or `sha-512`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha224 => "sha-224",
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// The algorithm whose digest has this many hexadecimal digits, for fingerprints that name none.
    const fn by_digits(digits: usize) -> Option<Self> {
        match digits {
            32 => Some(Self::Md5),
            40 => Some(Self::Sha1),
            56 => Some(Self::Sha224),
            64 => Some(Self::Sha256),
            96 => Some(Self::Sha384),
            128 => Some(Self::Sha512),
            _ => None,
        }
    }
}

impl fmt::Display for HashAlgo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for HashAlgo {
    type Err = FingerprintError;

    /// Takes the name with or without a dash, in any case, with XML whitespace around it.
    ///
    /// # Errors
    ///
    /// [`FingerprintError::UnknownAlgorithm`] for every other name.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name.trim_matches(is_xml_whitespace).to_ascii_lowercase().as_str() {
            "md5" | "md-5" => Ok(Self::Md5),
            "sha1" | "sha-1" => Ok(Self::Sha1),
            "sha224" | "sha-224" => Ok(Self::Sha224),
            "sha256" | "sha-256" => Ok(Self::Sha256),
            "sha384" | "sha-384" => Ok(Self::Sha384),
            "sha512" | "sha-512" => Ok(Self::Sha512),
            _ => Err(FingerprintError::UnknownAlgorithm(shortened(name))),
        }
    }
}

/// The fingerprint of a certificate: a hash algorithm and the digest of the DER encoding.
///
/// ```
/// use xtls_stanza::{Fingerprint, HashAlgo};
///
/// let announced = Fingerprint::parse(Some("sha1"), "a9993e36 4706816a ba3e2571 7850c26c 9cd0d89d")?;
/// assert_eq!(announced.algo(), HashAlgo::Sha1);
/// assert!(announced.matches(b"abc"));
/// assert_eq!("sha1:A9:99:3E:36:47:06:81:6A:BA:3E:25:71:78:50:C2:6C:9C:D0:D8:9D".parse(), Ok(announced));
/// # Ok::<(), xtls_stanza::FingerprintError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    algo: HashAlgo,
    /// The digest, followed by zeros, so that the derived comparisons hold.
    digest: [u8; MAX_DIGEST],
}

impl Fingerprint {
    /// Reads a fingerprint as it stands in a stanza: hexadecimal digits of any case, among which XML whitespace, colons
    /// and dashes are skipped. Without `algo`, or with an empty one, the number of digits tells the algorithm.
    ///
    /// # Errors
    ///
    /// Says what was wrong: the algorithm, the number of digits, or a character and where it stands.
    pub fn parse(algo: Option<&str>, text: &str) -> Result<Self, FingerprintError> {
        let named = match algo {
            Some(name) if !name.trim_matches(is_xml_whitespace).is_empty() => Some(name.parse::<HashAlgo>()?),
            _ => None,
        };
        let mut digest = [0_u8; MAX_DIGEST];
        let mut digits = 0_usize;
        for (index, character) in text.chars().enumerate() {
            if is_xml_whitespace(character) || character == ':' || character == '-' {
                continue;
            }
            let value = character
                .to_digit(16)
                .and_then(|value| u8::try_from(value).ok())
                .ok_or(FingerprintError::BadCharacter { character, position: index + 1 })?;
            // Digits past the longest digest are counted only: the length is refused below.
            if let Some(byte) = digest.get_mut(digits / 2) {
                *byte = *byte << 4 | value;
            }
            digits += 1;
        }
        let algo = match named {
            _ if digits == 0 => return Err(FingerprintError::Empty),
            Some(algo) if digits != algo.digest_len() * 2 => return Err(FingerprintError::Length { algo, digits }),
            Some(algo) => algo,
            None => HashAlgo::by_digits(digits).ok_or(FingerprintError::UnknownLength { digits })?,
        };
        Ok(Self { algo, digest })
    }

    /// The fingerprint of `data`, the DER encoding of a certificate. `None` for MD5, which is never computed.
    #[must_use]
    pub fn of(algo: HashAlgo, data: &[u8]) -> Option<Self> {
        Some(match algo {
            HashAlgo::Md5 => return None,
            HashAlgo::Sha1 => Self::from_digest(algo, &Sha1::digest(data)),
            HashAlgo::Sha224 => Self::from_digest(algo, &Sha224::digest(data)),
            HashAlgo::Sha256 => Self::from_digest(algo, &Sha256::digest(data)),
            HashAlgo::Sha384 => Self::from_digest(algo, &Sha384::digest(data)),
            HashAlgo::Sha512 => Self::from_digest(algo, &Sha512::digest(data)),
        })
    }

    /// The SHA-256 fingerprint of `data`: what trust is kept as.
    #[must_use]
    pub fn sha256(data: &[u8]) -> Self {
        Self::from_digest(HashAlgo::Sha256, &Sha256::digest(data))
    }

    /// The SHA-1 fingerprint of `data`: what old peers look for first.
    #[must_use]
    pub fn sha1(data: &[u8]) -> Self {
        Self::from_digest(HashAlgo::Sha1, &Sha1::digest(data))
    }

    fn from_digest(algo: HashAlgo, bytes: &[u8]) -> Self {
        let mut digest = [0; MAX_DIGEST];
        for (to, from) in digest.iter_mut().zip(bytes) {
            *to = *from;
        }
        Self { algo, digest }
    }

    /// The hash algorithm.
    #[must_use]
    pub const fn algo(&self) -> HashAlgo {
        self.algo
    }

    /// The digest, [`HashAlgo::digest_len`] bytes.
    #[must_use]
    pub fn digest(&self) -> &[u8] {
        self.digest.get(..self.algo.digest_len()).unwrap_or_default()
    }

    /// Whether the algorithm is strong enough that a pin may rest on it: SHA-224 and better. MD5 and SHA-1 are not:
    /// SHA-1 collisions are practical, so a SHA-1 fingerprint is a hint for looking a certificate up.
    #[must_use]
    pub const fn is_trustworthy(&self) -> bool {
        match self.algo {
            HashAlgo::Md5 | HashAlgo::Sha1 => false,
            HashAlgo::Sha224 | HashAlgo::Sha256 | HashAlgo::Sha384 | HashAlgo::Sha512 => true,
        }
    }

    /// Whether this is the fingerprint of `der`, compared in constant time. An MD5 fingerprint matches nothing.
    #[must_use]
    pub fn matches(&self, der: &[u8]) -> bool {
        Self::of(self.algo, der).is_some_and(|other| self.is_same(&other))
    }

    /// Whether the two are the same, compared in constant time.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.algo == other.algo && bool::from(self.digest.ct_eq(&other.digest))
    }

    /// The digest in lower-case hexadecimal digits without separators, as it goes on the wire.
    #[must_use]
    pub fn hex(&self) -> String {
        let mut hex = String::with_capacity(2 * self.algo.digest_len());
        let digits = self.digest().iter().flat_map(|byte| [byte >> 4, byte & 15]);
        hex.extend(digits.filter_map(|digit| char::from_digit(digit.into(), 16)));
        hex
    }

    /// The digest in groups of eight lower-case hexadecimal digits, as users read it to one another, and as the draft's example has it
    /// (draft-meyer-xmpp-e2e-encryption § 3). A SHA-256 takes 71 characters.
    #[must_use]
    pub fn grouped(&self) -> String {
        let groups: Vec<String> =
            self.digest().chunks(4).map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect()).collect();
        groups.join(" ")
    }

    /// The digest in upper-case hexadecimal bytes with colons between them, as other programs show it.
    #[must_use]
    pub fn colon_hex(&self) -> String {
        let bytes: Vec<String> = self.digest().iter().map(|byte| format!("{byte:02X}")).collect();
        bytes.join(":")
    }
}

/// `sha-256:` and lower-case hexadecimal digits, which [`FromStr`] reads back.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algo, self.hex())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads what people type or paste: hexadecimal digits with or without separators, and before them, if wanted, the
/// algorithm and a colon (`sha-256:`, `sha1:`).
impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((name, digits)) = text.split_once(':') {
            // `AB:CD:..` has a colon too: only what cannot be digits is the name of an algorithm.
            let may_be_digits = name.chars().all(|c| c.is_ascii_hexdigit() || is_xml_whitespace(c) || c == '-');
            if !may_be_digits {
                return Self::parse(Some(name), digits);
            }
        }
        Self::parse(None, text)
    }
}

/// Why a text is not a fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FingerprintError {
    /// The algorithm is not known. Its name, shortened to 32 characters.
    UnknownAlgorithm(String),
    /// There is no digit.
    Empty,
    /// The number of digits does not fit the algorithm.
    Length {
        /// The algorithm that was named.
        algo: HashAlgo,
        /// The number of hexadecimal digits found.
        digits: usize,
    },
    /// No algorithm was named, and none has this number of digits.
    UnknownLength {
        /// The number of hexadecimal digits found.
        digits: usize,
    },
    /// A character that is neither a hexadecimal digit nor a separator.
    BadCharacter {
        /// The character.
        character: char,
        /// Which character of the text it is, counted from 1.
        position: usize,
    },
}

impl fmt::Display for FingerprintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownAlgorithm(name) => write!(f, "unknown hash algorithm {name:?}"),
            Self::Empty => f.write_str("the fingerprint is empty"),
            Self::Length { algo, digits } => {
                write!(f, "a {algo} fingerprint has {} hexadecimal digits, not {digits}", algo.digest_len() * 2)
            }
            Self::UnknownLength { digits } => {
                write!(f, "no hash algorithm has {digits} hexadecimal digits (sha1 has 40, sha-256 has 64)")
            }
            Self::BadCharacter { character, position } => {
                write!(f, "character {position} of the fingerprint, {character:?}, is not a hexadecimal digit")
            }
        }
    }
}

impl std::error::Error for FingerprintError {}

/// XML 1.0 § 2.3, production S.
const fn is_xml_whitespace(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

/// At most 32 characters of a name that a peer chose, for messages.
fn shortened(name: &str) -> String {
    name.chars().take(32).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
