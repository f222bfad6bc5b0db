//! LIMIT: the parts that a block is made of, each by itself, and nothing in between.

use std::hint::black_box;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64_simd::{AsOut as _, STANDARD};

use crate::{engines::noise, transfer::Shape};

/// A part, and a closure that does its work for one write.
pub(crate) type Part = (&'static str, Box<dyn FnMut()>);

/// Bytes of a stanza around its block.
const AROUND: usize = 240;

/// Encryption and decryption, base64 both ways, and two copies and one look through the stanza.
pub(crate) fn parts(shape: Shape) -> Vec<Part> {
    vec![("AEAD", aead(shape)), ("base64", base64(shape)), ("copies", copies(shape))]
}

fn aead(shape: Shape) -> Box<dyn FnMut()> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[7; 16]).expect("a key"));
    let nonce = || Nonce::assume_unique_for_key([1; 12]);
    let (payload, records) = (shape.record_payload(), shape.write.div_ceil(shape.record_payload()));
    let mut record = vec![0; payload + AES_128_GCM.tag_len()];
    Box::new(move || {
        for _ in 0..records {
            let tag = key.seal_in_place_separate_tag(nonce(), Aad::from([0; 5]), &mut record[..payload]);
            record[payload..].copy_from_slice(tag.expect("it is sealed").as_ref());
            let opened = key.open_in_place(nonce(), Aad::from([0; 5]), &mut record).expect("it is authentic");
            assert_eq!(black_box(opened).len(), payload);
        }
    })
}

fn base64(shape: Shape) -> Box<dyn FnMut()> {
    let block = noise(shape.block);
    let text = STANDARD.encode_to_string(&block).into_bytes();
    let (mut encoded, mut decoded) = (vec![0; text.len()], vec![0; block.len()]);
    Box::new(move || {
        for length in shape.blocks() {
            let text = &text[..length.div_ceil(3) * 4];
            black_box(STANDARD.encode(black_box(&block[..length]), encoded.as_out()));
            // The last, shorter block is a whole number of groups, so that no padding is missing.
            let back = STANDARD.decode(black_box(text), decoded.as_out()).expect("it is base64");
            assert_eq!(back.len(), length);
        }
    })
}

fn copies(shape: Shape) -> Box<dyn FnMut()> {
    let stanza = vec![b'A'; shape.block.div_ceil(3) * 4 + AROUND];
    let mut copy = vec![0; stanza.len()];
    Box::new(move || {
        for length in shape.blocks() {
            let length = length.div_ceil(3) * 4 + AROUND;
            for _ in 0..2 {
                copy[..length].copy_from_slice(black_box(&stanza[..length]));
                black_box(&copy);
            }
            black_box(memchr::memchr2(b'<', b'>', black_box(&stanza[..length])));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::BLOCKS;

    #[test]
    fn every_part_does_its_work_for_every_block_size() {
        for block in BLOCKS {
            let parts = parts(Shape::of(block));
            assert_eq!(parts.len(), 3);
            for (_, mut work) in parts {
                work();
            }
        }
    }
}
