//! RFC 5246 §§ 5, 6.3, 7.4.9, RFC 7627 § 4 and RFC 5705 § 4: everything that is derived from the premaster secret.

use hmac::{HmacReset, KeyInit, Mac};
use sha2::Sha256;
use sha2::digest::FixedOutputReset;
use zeroize::Zeroizing;

use crate::record::WriteKeys;
use crate::suite::CipherSuite;
use crate::wipe::{Wiped, wiped};

/// Bytes of verify_data (RFC 5246 § 7.4.9).
pub(crate) const VERIFY_DATA: usize = 12;

/// Bytes of each hello random.
pub(crate) const RANDOM: usize = 32;

/// Bytes of SHA-256.
const HASH: usize = 32;

const MASTER_SECRET: &[u8] = b"extended master secret";
const KEY_EXPANSION: &[u8] = b"key expansion";
const CLIENT_FINISHED: &[u8] = b"client finished";
const SERVER_FINISHED: &[u8] = b"server finished";

/// `PRF(secret, label, seed)` of RFC 5246 § 5, with SHA-256; `seed` is given in parts.
fn prf(secret: &[u8], label: &[u8], seed: &[&[u8]], out: &mut [u8]) {
    let mut mac = HmacReset::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    let mut a = Zeroizing::new([0; HASH]);
    absorb(&mut mac, label, seed);
    mac.finalize_into_reset((&mut *a).into());
    let mut block = Zeroizing::new([0; HASH]);
    for chunk in out.chunks_mut(HASH) {
        mac.update(a.as_slice());
        absorb(&mut mac, label, seed);
        mac.finalize_into_reset((&mut *block).into());
        chunk.copy_from_slice(&block[..chunk.len()]);
        mac.update(a.as_slice());
        mac.finalize_into_reset((&mut *a).into());
    }
}

fn absorb(mac: &mut HmacReset<Sha256>, label: &[u8], seed: &[&[u8]]) {
    mac.update(label);
    for part in seed {
        mac.update(part);
    }
}

/// Whose Finished or whose keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// The master secret and the two hello randoms: all that later derivations need.
#[derive(Clone)]
pub(crate) struct MasterSecret {
    secret: Wiped<48>,
    client_random: [u8; RANDOM],
    server_random: [u8; RANDOM],
}

impl MasterSecret {
    /// RFC 7627 § 4: bound to the handshake up to ClientKeyExchange, so that no two sessions share one.
    pub(crate) fn new(
        premaster: &[u8],
        session_hash: &[u8],
        client_random: [u8; RANDOM],
        server_random: [u8; RANDOM],
    ) -> Self {
        let mut secret: Wiped<48> = wiped();
        prf(premaster, MASTER_SECRET, &[session_hash], secret.as_mut_slice());
        Self { secret, client_random, server_random }
    }

    /// For tests of what is shown.
    #[cfg(test)]
    pub(crate) fn expose(&self) -> &[u8] {
        self.secret.as_slice()
    }

    /// RFC 5246 § 6.3: MAC keys and encryption keys of both sides. These suites take no IV from here.
    pub(crate) fn keys(&self, suite: CipherSuite) -> (WriteKeys, WriteKeys) {
        let key = suite.key_length();
        let mut block = Zeroizing::new(vec![0; 2 * (WriteKeys::MAC + key)]);
        let seed = [self.server_random.as_slice(), &self.client_random];
        prf(self.secret.as_slice(), KEY_EXPANSION, &seed, &mut block);
        let (macs, keys) = block.split_at(2 * WriteKeys::MAC);
        let (client_mac, server_mac) = macs.split_at(WriteKeys::MAC);
        let (client_key, server_key) = keys.split_at(key);
        (WriteKeys::new(suite, client_mac, client_key), WriteKeys::new(suite, server_mac, server_key))
    }

    /// RFC 5246 § 7.4.9: what `side` says in its Finished after a handshake with this hash.
    pub(crate) fn verify_data(&self, side: Side, handshake_hash: &[u8]) -> [u8; VERIFY_DATA] {
        let label = match side {
            Side::Client => CLIENT_FINISHED,
            Side::Server => SERVER_FINISHED,
        };
        let mut out = [0; VERIFY_DATA];
        prf(self.secret.as_slice(), label, &[handshake_hash], &mut out);
        out
    }

    /// RFC 5705 § 4. A context that is absent and one that is empty give different results.
    pub(crate) fn export(&self, label: &[u8], context: Option<(u16, &[u8])>, out: &mut [u8]) {
        let randoms: [&[u8]; 2] = [&self.client_random, &self.server_random];
        match context {
            None => prf(self.secret.as_slice(), label, &randoms, out),
            Some((length, context)) => {
                let length = length.to_be_bytes();
                let seed = [randoms[0], randoms[1], &length, context];
                prf(self.secret.as_slice(), label, &seed, out);
            }
        }
    }
}

/// Whether an exporter must not be given this label, since TLS itself uses it: those that "MUST NOT be used for the purpose
/// described in RFC 5705" (§ 6 there), and that of RFC 7627 § 4.
///
/// ```
/// assert!(tls_srp::is_reserved_label(b"master secret"));
/// assert!(!tls_srp::is_reserved_label(b"EXPORTER-Channel-Binding"));
/// ```
#[must_use]
pub fn is_reserved_label(label: &[u8]) -> bool {
    let of_tls = [CLIENT_FINISHED, SERVER_FINISHED, KEY_EXPANSION, MASTER_SECRET, b"master secret"];
    of_tls.contains(&label)
}

#[cfg(test)]
mod tests;
