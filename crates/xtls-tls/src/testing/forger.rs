//! A peer that has the keys and sends with them what no TLS stack would.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::{Connection, ConnectionTrafficSecrets, ProtocolVersion};

/// What a handshake with one of our sessions came to: the other side's keys for sending.
pub(crate) struct Forger {
    key: LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
    is_tls13: bool,
}

impl Forger {
    /// Takes over from rustls, whose handshake is complete and whose suite is AES-256-GCM.
    pub(crate) fn new(connection: Connection) -> Self {
        let is_tls13 = connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        let secrets = connection.dangerous_extract_secrets().unwrap();
        let (sequence, ConnectionTrafficSecrets::Aes256Gcm { key, iv }) = secrets.tx else {
            panic!("another suite");
        };
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).unwrap());
        Self { key, iv: iv.as_ref().try_into().unwrap(), sequence, is_tls13 }
    }

    /// A protected record of this type with this content, in the order of the calls.
    pub(crate) fn record(&mut self, content_type: u8, content: &[u8]) -> Vec<u8> {
        let sequence = self.sequence.to_be_bytes();
        self.sequence += 1;
        let mut nonce = self.iv;
        for (byte, number) in nonce.iter_mut().skip(4).zip(sequence) {
            *byte ^= number;
        }
        let seal = |aad: &[u8], plaintext: &[u8]| {
            let mut sealed = plaintext.to_vec();
            let nonce = Nonce::assume_unique_for_key(nonce);
            self.key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut sealed).unwrap();
            sealed
        };
        let length = |bytes: usize| u16::try_from(bytes).unwrap().to_be_bytes();
        if self.is_tls13 {
            // RFC 8446 § 5.2: the type follows the content, and the header is the additional data.
            let header = [&[23, 3, 3], &length(content.len() + 1 + 16)[..]].concat();
            let body = seal(&header, &[content, &[content_type]].concat());
            [header, body].concat()
        } else {
            // RFC 5246 § 6.2.3.3, RFC 5288 § 3: eight bytes of the nonce go with the record.
            let explicit = &nonce[4..];
            let aad = [&sequence[..], &[content_type, 3, 3], &length(content.len())].concat();
            let body = seal(&aad, content);
            [&[content_type, 3, 3], &length(8 + body.len())[..], explicit, &body].concat()
        }
    }
}
