use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use xtls_stanza::Fingerprint;
use xtls_stanza::jid::BareJid;
use xtls_tls::Identity;

/// An Ed25519 private key in PKCS #8 (RFC 8410 § 7) up to the 32 bytes of the key.
const PKCS8_PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// An Ed25519 identity for `jid` made from `seed` alone: the same arguments give the same certificate and key.
///
/// **For tests only.**
///
/// # Panics
///
/// If `now_unix`, in seconds since 1970-01-01 UTC, is past the last date that a certificate can have.
#[must_use]
pub fn identity(jid: &BareJid, seed: [u8; 32], now_unix: u64) -> Identity {
    let der: Vec<u8> = PKCS8_PREFIX.iter().chain(&seed).copied().collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der));
    let mut serial = [0; 16];
    for (to, from) in serial.iter_mut().zip(Fingerprint::sha256(&seed).digest()) {
        *to = *from;
    }
    Identity::from_key(jid, &pem, serial, crate::unix(now_unix)).expect("an Ed25519 key and a date that fits")
}
