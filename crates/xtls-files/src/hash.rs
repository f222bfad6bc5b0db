//! Hashes of files (XEP-0300).

use core::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256, Sha512};
use xtls_stanza::{ElementRef, write};

use crate::ns;

/// A hash function that files are checked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum FileHashAlgo {
    /// SHA-256, which is offered and preferred.
    #[default]
    Sha256,
    /// SHA-512, for peers that use it.
    Sha512,
}

/// The hash of a file, or of a part of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileHash {
    algo: FileHashAlgo,
    /// Zeros after the digest.
    digest: [u8; FileHashAlgo::LONGEST],
}

/// Hashes bytes as they come, and counts them.
///
/// A copy goes on from where the original was: it is how a file that is half there is not read once more.
#[derive(Clone)]
pub struct FileHasher {
    state: State,
    bytes: u64,
}

#[derive(Clone)]
enum State {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl FileHashAlgo {
    /// All of them, the preferred one first.
    pub const ALL: &'static [Self] = &[Self::Sha256, Self::Sha512];

    const LONGEST: usize = 64;

    /// Its name (XEP-0300 § 3).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha512 => "sha-512",
        }
    }

    /// How many bytes its digests have.
    #[must_use]
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// The function of this name, exactly as XEP-0300 § 3 spells it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|algo| algo.name() == name)
    }

    /// The feature that says that it is known (XEP-0300 § 5).
    #[must_use]
    pub fn feature(self) -> String {
        format!("{}{}", ns::HASH_FEATURE, self.name())
    }
}

impl FileHash {
    /// The hash with this digest; `None` when the digest has another length than those of the function.
    #[must_use]
    pub fn new(algo: FileHashAlgo, digest: &[u8]) -> Option<Self> {
        let mut hash = Self { algo, digest: [0; FileHashAlgo::LONGEST] };
        let place = hash.digest.get_mut(..digest.len()).filter(|place| place.len() == algo.digest_len())?;
        place.copy_from_slice(digest);
        Some(hash)
    }

    /// The hash of `bytes`.
    #[must_use]
    pub fn of(algo: FileHashAlgo, bytes: &[u8]) -> Self {
        let mut hasher = FileHasher::new(algo);
        hasher.update(bytes);
        hasher.finish()
    }

    /// Which function it is of.
    #[must_use]
    pub fn algo(&self) -> FileHashAlgo {
        self.algo
    }

    /// The digest.
    #[must_use]
    pub fn digest(&self) -> &[u8] {
        self.digest.get(..self.algo.digest_len()).unwrap_or_default()
    }

    /// The digest in hexadecimal digits, as `sha256sum` writes it.
    #[must_use]
    pub fn hex(&self) -> String {
        self.digest().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The digest in base64 (RFC 4648 § 4).
    #[must_use]
    pub fn base64(&self) -> String {
        STANDARD.encode(self.digest())
    }

    /// Reads a digest in base64. XEP-0300 § 3: white space is not allowed in it, and its padding bits are zero.
    #[must_use]
    pub fn from_base64(algo: FileHashAlgo, text: &str) -> Option<Self> {
        // Nothing longer is decoded.
        let digest = (text.len() <= 4 * FileHashAlgo::LONGEST).then(|| STANDARD.decode(text).ok())??;
        Self::new(algo, &digest)
    }

    /// Appends a `<hash/>` (XEP-0300 § 3).
    pub(crate) fn write(&self, out: &mut String) {
        out.push_str("<hash");
        write::attribute(out, "xmlns", ns::HASHES);
        write::attribute(out, "algo", self.algo.name());
        out.push('>');
        out.push_str(&self.base64());
        out.push_str("</hash>");
    }
}

impl fmt::Debug for FileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algo.name(), self.hex())
    }
}

impl fmt::Display for FileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl FileHasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new(algo: FileHashAlgo) -> Self {
        let state = match algo {
            FileHashAlgo::Sha256 => State::Sha256(Sha256::new()),
            FileHashAlgo::Sha512 => State::Sha512(Sha512::new()),
        };
        Self { state, bytes: 0 }
    }

    /// Which function it computes.
    #[must_use]
    pub fn algo(&self) -> FileHashAlgo {
        match self.state {
            State::Sha256(_) => FileHashAlgo::Sha256,
            State::Sha512(_) => FileHashAlgo::Sha512,
        }
    }

    /// How many bytes it has seen.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Goes on with these bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
        self.bytes = self.bytes.saturating_add(wide(bytes.len()));
    }

    /// The hash of what it has seen. It can go on afterwards.
    #[must_use]
    pub fn finish(&self) -> FileHash {
        let digest = match &self.state {
            State::Sha256(state) => state.clone().finalize().to_vec(),
            State::Sha512(state) => state.clone().finalize().to_vec(),
        };
        // It has the length of its function.
        let none = FileHash { algo: self.algo(), digest: [0; FileHashAlgo::LONGEST] };
        FileHash::new(self.algo(), &digest).unwrap_or(none)
    }
}

impl Default for FileHasher {
    fn default() -> Self {
        Self::new(FileHashAlgo::default())
    }
}

impl fmt::Debug for FileHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileHasher({}, {} bytes)", self.algo().name(), self.bytes)
    }
}

/// What an element says about hashes: those that are known, of each function the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hashes {
    pub(crate) values: Vec<FileHash>,
    /// Functions that are named without a value (`<hash-used/>`, or an empty `<hash/>`).
    pub(crate) used: Vec<FileHashAlgo>,
    /// Whether any function is named at all, a known one or not.
    pub(crate) any: bool,
}

/// Why the hashes of an element are not read.
pub(crate) struct BadHash(pub(crate) &'static str);

impl Hashes {
    /// How many of them an element may have.
    pub(crate) const MAX: usize = 16;

    /// Reads the hashes among the children of an element. Those of functions that are not known here are left out.
    pub(crate) fn read(element: ElementRef<'_>) -> Result<Self, BadHash> {
        let mut hashes = Self::default();
        let children = element.children().filter(|child| child.ns() == ns::HASHES);
        for (count, child) in children.enumerate() {
            if count == Self::MAX {
                return Err(BadHash("more than 16 hashes"));
            }
            // XEP-0300 § 3: the attribute is required.
            let name = child.attribute("algo").ok_or(BadHash("a hash without the name of its function"))?;
            hashes.any = true;
            let Some(algo) = FileHashAlgo::parse(name) else { continue };
            let text = child.text();
            if child.name() == "hash-used" || text.is_empty() {
                hashes.used.push(algo);
                continue;
            }
            let hash = FileHash::from_base64(algo, &text).ok_or(BadHash("a hash that is not base64 of its length"))?;
            // XEP-0300 § 3: several hashes have different functions.
            if hashes.value(algo).is_some() {
                return Err(BadHash("two hashes of one function"));
            }
            hashes.values.push(hash);
        }
        Ok(hashes)
    }

    pub(crate) fn value(&self, algo: FileHashAlgo) -> Option<FileHash> {
        self.values.iter().copied().find(|hash| hash.algo == algo)
    }
}

/// Appends a `<hash-used/>` (XEP-0300 § 3).
pub(crate) fn write_used(out: &mut String, algo: FileHashAlgo) {
    out.push_str("<hash-used");
    write::attribute(out, "xmlns", ns::HASHES);
    write::attribute(out, "algo", algo.name());
    out.push_str("/>");
}

pub(crate) fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
