#![allow(clippy::unwrap_used)]

use super::*;
use crate::tests::Seeded;

const DATA: ContentType = ContentType::ApplicationData;

fn pair(suite: CipherSuite) -> (Sealer, Opener) {
    let keys = WriteKeys::new(suite, &[7; 20], &vec![9; suite.key_length()]);
    (Sealer::new(&keys), Opener::new(&keys))
}

fn seal(sealer: &mut Sealer, plaintext: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut random = Seeded::new(1);
    sealer.seal(DATA, plaintext, &mut random, &mut out).unwrap();
    out
}

/// A record whose padding is whatever the caller says, under a right MAC.
pub(crate) fn forged(sealer: &mut Sealer, blocks: &[u8]) -> Vec<u8> {
    let iv = [3; BLOCK];
    let mut body = iv.to_vec();
    body.extend_from_slice(blocks);
    let (chunks, _) = Array::slice_as_chunks_mut(&mut body[BLOCK..]);
    match &sealer.cipher {
        Encryptor::Aes128(key) => {
            cbc::Encryptor::inner_iv_init(&**key, &iv.into()).encrypt_blocks(chunks);
        }
        Encryptor::Aes256(key) => {
            cbc::Encryptor::inner_iv_init(&**key, &iv.into()).encrypt_blocks(chunks);
        }
    }
    let mac = authenticate(&mut sealer.mac, sealer.used.records, DATA, &body);
    body.extend_from_slice(&mac);
    body
}

#[test]
fn every_length_up_to_four_blocks_and_the_largest_round_trip() {
    for suite in CipherSuite::ALL {
        let (mut sealer, mut opener) = pair(suite);
        for length in (0..=64).chain([MAX_PLAINTEXT - 1, MAX_PLAINTEXT]) {
            let plaintext = vec![0xA5; length];
            let record = seal(&mut sealer, &plaintext);
            assert_eq!(record.len(), HEADER + sealed_length(length));
            let mut out = b"before".to_vec();
            opener.open(DATA, &record[HEADER..], &mut out).unwrap();
            assert_eq!(out[6..], plaintext);
        }
    }
}

/// Computed with another implementation (Python `hmac` and OpenSSL's AES) from the definition in RFC 7366 § 3.
#[test]
fn rfc_7366_3_known_answer() {
    let keys = WriteKeys::new(CipherSuite::TlsSrpShaWithAes128CbcSha, &[0x11; 20], &[0x22; 16]);
    let mut sealer = Sealer::new(&keys);
    sealer.set_used(5, 0);
    let mut out = Vec::new();
    let mut random = crate::tests::Bytes(vec![0x33; BLOCK]);
    sealer.seal(DATA, b"encrypt, then MAC", &mut random, &mut out).unwrap();
    assert_eq!(out, crate::tests::hex(KNOWN_ANSWER));
}

const KNOWN_ANSWER: &str = "17030300443333333333333333333333333333333390f3b25e0547f8bd60d194a49e77c25de9fee9
     93849c3076312f352e9e417a18c7eb3f7ed9bc264887f616f59b255cfc0d90bfb8";

#[test]
fn p16_bad_mac_bad_padding_and_bad_length_are_one_error() {
    let bad = Err(PeerMisbehaved::BadRecordMac.into());
    for suite in CipherSuite::ALL {
        let (mut sealer, mut opener) = pair(suite);
        let body = seal(&mut sealer, b"plaintext")[HEADER..].to_vec();
        let mut out = b"before".to_vec();
        let mut refused = |body: &[u8]| {
            assert_eq!(opener.open(DATA, body, &mut out), bad);
            assert_eq!(out, b"before");
        };
        // Every bit of IV, ciphertext and MAC.
        for index in 0..body.len() {
            let mut flipped = body.clone();
            flipped[index] ^= 1 << (index % 8);
            refused(&flipped);
        }
        // Every shorter length, and longer ones.
        for length in 0..body.len() {
            refused(&body[..length]);
        }
        refused(&[&body[..], &[0]].concat());
        refused(&[&body[..], &[0; BLOCK]].concat());
        // Another type of record.
        let other = ContentType::Handshake;
        assert_eq!(opener.open(other, &body, &mut Vec::new()), bad);

        // A right MAC over wrong padding: a byte that differs, and more than there is.
        let (mut sealer, mut opener) = pair(suite);
        let mut wrong = [1; BLOCK];
        wrong[BLOCK - 2] = 0;
        for blocks in [&wrong[..], &[BLOCK_AND_MORE; BLOCK], &[0xFF; 2 * BLOCK]] {
            let body = forged(&mut sealer, blocks);
            assert_eq!(opener.open(DATA, &body, &mut Vec::new()), bad);
        }
        // The same forgery with right padding is accepted: the rows above fail for the padding alone.
        let body = forged(&mut sealer, &[15; BLOCK]);
        assert_eq!(opener.open(DATA, &body, &mut Vec::new()), Ok(()));
    }
}

const BLOCK_AND_MORE: u8 = 16;

/// RFC 5246 § 6.2.3.2 allows up to 255 bytes of padding.
#[test]
fn long_padding_is_accepted() {
    let (mut sealer, mut opener) = pair(CipherSuite::TlsSrpShaWithAes256CbcSha);
    let mut blocks = vec![0xFF; 256];
    blocks.extend([0xFF; 16]);
    blocks[..16].copy_from_slice(&[b'x'; 16]);
    let mut out = Vec::new();
    opener.open(DATA, &forged(&mut sealer, &blocks), &mut out).unwrap();
    assert_eq!(out, [b'x'; 16]);
}

#[test]
fn plaintext_beyond_the_limit_is_an_overflow_even_if_it_verifies() {
    let (mut sealer, mut opener) = pair(CipherSuite::TlsSrpShaWithAes128CbcSha);
    let too_long = seal(&mut sealer, &vec![0; MAX_PLAINTEXT + 1]);
    let mut out = Vec::new();
    assert_eq!(opener.open(DATA, &too_long[HEADER..], &mut out), Err(PeerMisbehaved::RecordOverflow.into()));
    assert!(out.is_empty());
}

#[test]
fn replayed_and_reordered_records_do_not_verify() {
    let (mut sealer, mut opener) = pair(CipherSuite::TlsSrpShaWithAes256CbcSha);
    let first = seal(&mut sealer, b"first");
    let second = seal(&mut sealer, b"second");
    let bad = Err(PeerMisbehaved::BadRecordMac.into());
    let mut out = Vec::new();
    assert_eq!(opener.open(DATA, &second[HEADER..], &mut out), bad);
    assert_eq!(opener.open(DATA, &first[HEADER..], &mut out), Ok(()));
    assert_eq!(opener.open(DATA, &first[HEADER..], &mut out), bad);
    assert_eq!(opener.open(DATA, &second[HEADER..], &mut out), Ok(()));
    assert_eq!(out, b"firstsecond");
}

#[test]
fn key_use_at_the_limits_and_one_past_them() {
    let (mut sealer, mut opener) = pair(CipherSuite::TlsSrpShaWithAes128CbcSha);
    sealer.set_used(MAX_RECORDS - RESERVED_RECORDS - 1, MAX_BYTES - 5);
    assert!(sealer.allows(1, 5));
    assert!(!sealer.allows(1, 6));
    assert!(!sealer.allows(2, 5));

    sealer.set_used(MAX_RECORDS - 1, 0);
    opener.set_used(MAX_RECORDS - 1, MAX_BYTES - 1);
    let mut out = Vec::new();
    let last = seal(&mut sealer, b"");
    assert_eq!(opener.open(DATA, &last[HEADER..], &mut out), Ok(()));
    let overused = Err(PeerMisbehaved::KeyOverused.into());
    assert_eq!(opener.open(DATA, &last[HEADER..], &mut out), overused);
    opener.set_used(0, MAX_BYTES);
    assert_eq!(opener.open(DATA, &last[HEADER..], &mut out), overused);
}

#[test]
fn capacity_is_what_fits_and_no_more() {
    for wire in 0..700 {
        let capacity = capacity(wire);
        if wire < OVERHEAD + BLOCK {
            assert_eq!(capacity, 0);
        } else {
            assert!(HEADER + sealed_length(capacity) <= wire);
            assert!(HEADER + sealed_length(capacity + 1) > wire);
        }
    }
    assert_eq!(capacity(usize::MAX), MAX_PLAINTEXT);
}
