//! RFC 7366 (Encrypt-then-MAC): AES-CBC, then HMAC-SHA1 over what goes over the wire.
//!
//! There is no MAC-then-encrypt here, not even for the sake of old peers: what that needs to be safe (Lucky Thirteen,
//! POODLE) is a great deal, and all that matters is that nothing is decrypted before its MAC has been verified.

use aes::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit};
use aes::{Aes128Dec, Aes128Enc, Aes256Dec, Aes256Enc};
use hmac::{HmacReset, Mac};
use sha1::Sha1;
use sha1::digest::FixedOutputReset;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::{ContentType, HEADER, Header, MAX_PLAINTEXT};
use crate::error::{Error, PeerMisbehaved};
use crate::random::{Random, RandomFailed};
use crate::suite::CipherSuite;
use crate::wipe::{Wiped, wiped};

/// The most records, and the most bytes of plaintext, that one key protects: 2^32 and 2^36.
///
/// A sequence number never wraps (RFC 5246 § 6.1), and a 128-bit block leaves CBC a wide margin at 2^36 bytes.
pub const MAX_RECORDS: u64 = 1 << 32;
/// See [`MAX_RECORDS`].
pub const MAX_BYTES: u64 = 1 << 36;

/// Records that are kept back, so that there is always one for the last alert.
const RESERVED_RECORDS: u64 = 16;

pub(crate) const BLOCK: usize = 16;
pub(crate) const MAC: usize = 20;

/// Wire bytes of a record that are neither plaintext nor padding.
pub(crate) const OVERHEAD: usize = HEADER + BLOCK + MAC;

type Block = [u8; BLOCK];

/// The keys of one direction (RFC 5246 § 6.3).
pub(crate) struct WriteKeys {
    suite: CipherSuite,
    mac: Wiped<MAC>,
    key: Zeroizing<Vec<u8>>,
}

impl WriteKeys {
    pub(crate) const MAC: usize = MAC;

    pub(crate) fn new(suite: CipherSuite, mac: &[u8], key: &[u8]) -> Self {
        let mut keys = Self { suite, mac: wiped(), key: Zeroizing::new(key.to_vec()) };
        keys.mac.copy_from_slice(mac);
        keys
    }

    fn hmac(&self) -> Keyed {
        Box::new(HmacReset::new_from_slice(self.mac.as_slice()).expect("HMAC takes keys of any length"))
    }
}

/// HMAC with its key, used over and over: a copy for each record would be one more to wipe.
type Keyed = Box<HmacReset<Sha1>>;

/// How much the keys of one direction have been used.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    records: u64,
    bytes: u64,
}

impl Use {
    fn add(&mut self, bytes: usize) {
        self.records += 1;
        self.bytes = self.bytes.saturating_add(count(bytes));
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// RFC 7366 § 3: `MAC(MAC_write_key, seq_num + type + version + length + IV + ciphertext)`.
fn authenticate(mac: &mut Keyed, sequence: u64, content_type: ContentType, iv_and_ciphertext: &[u8]) -> [u8; MAC] {
    mac.update(&sequence.to_be_bytes());
    mac.update(&Header::encode(content_type, iv_and_ciphertext.len()));
    mac.update(iv_and_ciphertext);
    let mut out = [0; MAC];
    mac.finalize_into_reset((&mut out).into());
    out
}

enum Encryptor {
    Aes128(Box<Aes128Enc>),
    Aes256(Box<Aes256Enc>),
}

enum Decryptor {
    Aes128(Box<Aes128Dec>),
    Aes256(Box<Aes256Dec>),
}

/// Protects the records of one direction.
pub(crate) struct Sealer {
    cipher: Encryptor,
    mac: Keyed,
    used: Use,
}

impl Sealer {
    pub(crate) fn new(keys: &WriteKeys) -> Self {
        let length = "the key is as long as the suite wants it";
        let cipher = match keys.suite {
            CipherSuite::TlsSrpShaWithAes128CbcSha => {
                Encryptor::Aes128(Box::new(Aes128Enc::new_from_slice(&keys.key).expect(length)))
            }
            CipherSuite::TlsSrpShaWithAes256CbcSha => {
                Encryptor::Aes256(Box::new(Aes256Enc::new_from_slice(&keys.key).expect(length)))
            }
        };
        Self { cipher, mac: keys.hmac(), used: Use::default() }
    }

    /// Whether `records` more with `bytes` of plaintext in all may be sent.
    pub(crate) fn allows(&self, records: usize, bytes: usize) -> bool {
        self.used.records.saturating_add(count(records)) <= MAX_RECORDS - RESERVED_RECORDS
            && self.used.bytes.saturating_add(count(bytes)) <= MAX_BYTES
    }

    /// Appends one record. `plaintext` is at most [`MAX_PLAINTEXT`] bytes.
    pub(crate) fn seal(
        &mut self,
        content_type: ContentType,
        plaintext: &[u8],
        random: &mut dyn Random,
        out: &mut Vec<u8>,
    ) -> Result<(), RandomFailed> {
        // RFC 5246 § 6.2.3.2: the IV MUST be unpredictable.
        let mut iv = Block::default();
        random.fill(&mut iv)?;
        let length = sealed_length(plaintext.len());
        out.reserve(HEADER + length);
        out.extend_from_slice(&Header::encode(content_type, length));
        let start = out.len();
        out.extend_from_slice(&iv);
        out.extend_from_slice(plaintext);
        // RFC 5246 § 6.2.3.2: n bytes of padding, each n, and n once more as the length.
        let padding = BLOCK - 1 - plaintext.len() % BLOCK;
        out.resize(out.len() + padding + 1, byte(padding));

        let (blocks, _) = Array::slice_as_chunks_mut(&mut out[start + BLOCK..]);
        match &self.cipher {
            Encryptor::Aes128(key) => {
                cbc::Encryptor::inner_iv_init(&**key, &iv.into()).encrypt_blocks(blocks);
            }
            Encryptor::Aes256(key) => {
                cbc::Encryptor::inner_iv_init(&**key, &iv.into()).encrypt_blocks(blocks);
            }
        }
        let mac = authenticate(&mut self.mac, self.used.records, content_type, &out[start..]);
        out.extend_from_slice(&mac);
        self.used.add(plaintext.len());
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn set_used(&mut self, records: u64, bytes: u64) {
        self.used = Use { records, bytes };
    }
}

/// A length of padding as a byte.
fn byte(padding: usize) -> u8 {
    u8::try_from(padding).expect("it is less than a block")
}

/// The body of a record that holds this much plaintext: IV, ciphertext with at least one byte of padding, MAC.
pub(crate) const fn sealed_length(plaintext: usize) -> usize {
    BLOCK + (plaintext / BLOCK + 1) * BLOCK + MAC
}

/// The most plaintext that fits a record of `wire` bytes, header included.
pub(crate) fn capacity(wire: usize) -> usize {
    let blocks = wire.saturating_sub(OVERHEAD) / BLOCK;
    (blocks * BLOCK).saturating_sub(1).min(MAX_PLAINTEXT)
}

/// Verifies and decrypts the records of one direction.
pub(crate) struct Opener {
    cipher: Decryptor,
    mac: Keyed,
    used: Use,
}

impl Opener {
    pub(crate) fn new(keys: &WriteKeys) -> Self {
        let length = "the key is as long as the suite wants it";
        let cipher = match keys.suite {
            CipherSuite::TlsSrpShaWithAes128CbcSha => {
                Decryptor::Aes128(Box::new(Aes128Dec::new_from_slice(&keys.key).expect(length)))
            }
            CipherSuite::TlsSrpShaWithAes256CbcSha => {
                Decryptor::Aes256(Box::new(Aes256Dec::new_from_slice(&keys.key).expect(length)))
            }
        };
        Self { cipher, mac: keys.hmac(), used: Use::default() }
    }

    /// Appends the plaintext of a record to `out`, and nothing if there is an error.
    ///
    /// A length that cannot be, a wrong MAC and wrong padding are one error (RFC 5246 § 6.2.3.2, RFC 7366 § 3), and only
    /// who has the MAC key gets as far as the padding.
    pub(crate) fn open(&mut self, content_type: ContentType, body: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        if self.used.records >= MAX_RECORDS || self.used.bytes >= MAX_BYTES {
            return Err(PeerMisbehaved::KeyOverused.into());
        }
        let start = out.len();
        match self.verify_and_decrypt(content_type, body, out) {
            Some(length) if length <= MAX_PLAINTEXT => {
                out[start + length..].zeroize();
                out.truncate(start + length);
                self.used.add(length);
                Ok(())
            }
            // RFC 5246 § 6.2.3: record_overflow also for plaintext that is too long once decrypted.
            Some(_) => {
                out[start..].zeroize();
                out.truncate(start);
                Err(PeerMisbehaved::RecordOverflow.into())
            }
            None => {
                out[start..].zeroize();
                out.truncate(start);
                Err(PeerMisbehaved::BadRecordMac.into())
            }
        }
    }

    /// Appends plaintext and padding, and says how long the plaintext is.
    fn verify_and_decrypt(&mut self, content_type: ContentType, body: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let (iv_and_ciphertext, mac) = body.split_last_chunk::<MAC>()?;
        let (iv, ciphertext) = iv_and_ciphertext.split_first_chunk::<BLOCK>()?;
        if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(BLOCK) {
            return None;
        }
        let expected = authenticate(&mut self.mac, self.used.records, content_type, iv_and_ciphertext);
        if !bool::from(expected.ct_eq(mac)) {
            return None;
        }
        let start = out.len();
        out.extend_from_slice(ciphertext);
        let (blocks, _) = Array::slice_as_chunks_mut(&mut out[start..]);
        match &self.cipher {
            Decryptor::Aes128(key) => {
                cbc::Decryptor::inner_iv_init(&**key, &(*iv).into()).decrypt_blocks(blocks);
            }
            Decryptor::Aes256(key) => {
                cbc::Decryptor::inner_iv_init(&**key, &(*iv).into()).decrypt_blocks(blocks);
            }
        }
        let (padding, rest) = out[start..].split_last()?;
        let content = rest.len().checked_sub((*padding).into())?;
        // RFC 5246 § 6.2.3.2: each byte of the padding MUST be checked.
        rest[content..].iter().all(|byte| byte == padding).then_some(content)
    }

    #[cfg(test)]
    pub(crate) fn set_used(&mut self, records: u64, bytes: u64) {
        self.used = Use { records, bytes };
    }
}

#[cfg(test)]
pub(crate) mod tests;
