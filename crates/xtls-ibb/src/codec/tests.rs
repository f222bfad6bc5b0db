use proptest::prelude::*;
use xtls_stanza::{Element, Limits, ns};

use super::*;
use crate::Request;

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn decoded(text: &str, whitespace: Whitespace, block_size: u16) -> Result<Vec<u8>, BytestreamFault> {
    // What was received before must stay as it was, whatever comes now.
    let mut out = b"before".to_vec();
    let size = decode(text.into(), whitespace, block_size, &mut out);
    assert!(out.starts_with(b"before"));
    match size {
        Ok(size) => assert_eq!(out.len(), 6 + size),
        Err(_) => assert_eq!(out.len(), 6, "a fault appended something"),
    }
    size.map(|_| out.split_off(6))
}

fn strict(text: &str) -> Result<Vec<u8>, BytestreamFault> {
    decoded(text, Whitespace::Strict, u16::MAX)
}

fn tolerant(text: &str) -> Result<Vec<u8>, BytestreamFault> {
    decoded(text, Whitespace::Tolerant, u16::MAX)
}

/// RFC 4648 § 4, one bit after the other; `None` for what is not canonical.
fn reference(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let pads = text.len() - digits.len();
    if !text.len().is_multiple_of(4) || pads > 2 {
        return None;
    }
    let (mut out, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for digit in digits.bytes() {
        bits = bits << 6 | u32::try_from(ALPHABET.iter().position(|c| *c == digit)?).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count).unwrap());
            bits &= (1 << count) - 1;
        }
    }
    (bits == 0 && count == pads * 2).then_some(out)
}

#[test]
fn rfc_4648_10_test_vectors() {
    for (plain, text) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ] {
        let mut out = String::new();
        encode(plain.as_bytes(), &mut out);
        assert_eq!(out, text);
        assert_eq!(out.len(), encoded_len(plain.len()));
        assert_eq!(strict(text).unwrap(), plain.as_bytes());
        assert_eq!(reference(text).unwrap(), plain.as_bytes());
    }
}

#[test]
fn m14_what_is_not_base64_is_rejected_and_not_ignored() {
    for wrong in [
        "A",
        "AA",
        "AAA",
        "AA=",
        "AAAAA",
        "=",
        "====",
        "A===",
        "AAAA====",
        "AAAA=",
        // XEP-0047 § 6: the pad character anywhere but at the end.
        "=AAA",
        "BBBB=CCC",
        "AA==AAAA",
        "AAA=AAAA",
        "AA=A",
        // Another alphabet, alien characters.
        "AA-_",
        "AA*A",
        "AAA\u{0}",
        "AA\u{E9}",
        "AAA\u{A0}",
        "AAAA\u{2003}",
        "AAA\u{B}",
        // Bits that no byte carries are set.
        "AB==",
        "AAB=",
        "Zh==",
    ] {
        assert_eq!(strict(wrong), Err(BytestreamFault::NotBase64), "{wrong:?}");
        assert_eq!(tolerant(wrong), Err(BytestreamFault::NotBase64), "{wrong:?}");
        assert_eq!(tolerant(&format!(" {wrong}\n")), Err(BytestreamFault::NotBase64), "{wrong:?}");
        assert_eq!(tolerant(&format!("AA\nAA{wrong}")), Err(BytestreamFault::NotBase64), "{wrong:?}");
    }
}

#[test]
fn xep_0047_6_padding_is_only_at_the_end_of_a_long_block() {
    for at in 0..3 * GATHERED / 4 {
        let mut text = "AAAA".repeat(3 * GATHERED / 4);
        text.replace_range(at * 4 + 3..at * 4 + 4, "=");
        let last = at + 1 == 3 * GATHERED / 4;
        assert_eq!(tolerant(&text).is_ok(), last, "{at}");
        text.insert(5, '\n');
        assert_eq!(tolerant(&text).is_ok(), last, "{at}, with white space");
    }
}

#[test]
fn xep_0047_2_2_the_white_space_of_the_examples() {
    let text = "\n        qANQR1DBwU4DX7jmYZnncmUQB/9KuKBddzQH+tZ1ZywKK0yHKnq57kWq+RFtQdCJ\n        \
                WpdWpR0uQsuJe7+vh3NWn59/gTc5MDlX8dS9p0ovStmNcyLhxVgmqS8ZKhsblVeu\n      ";
    let run: String = text.split_whitespace().collect();
    assert_eq!(tolerant(text).unwrap(), reference(&run).unwrap());
    assert_eq!(strict(text), Err(BytestreamFault::NotBase64));
    assert_eq!(strict("QUJD\n"), Err(BytestreamFault::NotBase64));
    assert_eq!(strict("QU JD"), Err(BytestreamFault::NotBase64));
}

#[test]
fn p05_the_size_is_computed_before_anything_is_decoded() {
    let text = "AAAA".repeat(1366);
    assert_eq!(decoded(&text, Whitespace::Tolerant, 4098).unwrap().len(), 4098);
    assert_eq!(decoded(&format!("A {}", &text[1..]), Whitespace::Tolerant, 4098).unwrap().len(), 4098);
    for size in [1, 4096, 4097] {
        let fault = Err(BytestreamFault::BlockTooLarge { bytes: 4098, block_size: size });
        assert_eq!(decoded(&text, Whitespace::Tolerant, size), fault);
        assert_eq!(decoded(&format!("A {}", &text[1..]), Whitespace::Tolerant, size), fault);
    }
    // 4096 bytes need the same number of characters, two of them padding.
    let fits = format!("{}==", &text[..5462]);
    assert_eq!(decoded(&fits, Whitespace::Tolerant, 4096).unwrap().len(), 4096);
    // Nothing was reserved for what was refused.
    let mut out = Vec::new();
    assert!(decode("A".repeat(4 * 65_536).as_str().into(), Whitespace::Tolerant, 4096, &mut out).is_err());
    assert_eq!(out.capacity(), 0);
}

#[test]
fn a_block_in_several_pieces_is_one_block() {
    let pieces = |inner: &str| {
        let xml = format!("<data xmlns='{}' sid='a' seq='0'>{inner}</data>", ns::IBB);
        let element = Element::parse(&xml, &Limits::default()).unwrap();
        let Some(Ok(Request::Data { payload, .. })) = Request::parse(element.root()) else { panic!() };
        let mut out = Vec::new();
        decode(payload, Whitespace::Tolerant, 100, &mut out).map(|_| out)
    };
    assert_eq!(pieces("QU<![CDATA[JD]]>").unwrap(), b"ABC");
    assert_eq!(pieces("Q&#x55;JD").unwrap(), b"ABC");
    assert_eq!(pieces("QUJD<x xmlns='urn:x'/>"), Err(BytestreamFault::NotBase64));
    assert_eq!(pieces("QU<x xmlns='urn:x'/>JD"), Err(BytestreamFault::NotBase64));
    assert_eq!(pieces("<x xmlns='urn:x'>QUJD</x>"), Err(BytestreamFault::NotBase64));
}

proptest! {
    #[test]
    fn decoding_agrees_with_a_reference(text in "[A-Fw-z0-9+/=]{0,24}") {
        prop_assert_eq!(strict(&text).ok(), reference(&text));
        prop_assert_eq!(tolerant(&text).ok(), reference(&text));
    }

    #[test]
    fn decoding_agrees_with_a_reference_on_nearly_valid_text(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        at in any::<prop::sample::Index>(),
        change in any::<Option<char>>(),
    ) {
        let mut text = String::new();
        encode(&bytes, &mut text);
        prop_assert_eq!(&text, &BASE64.encode(&bytes));
        prop_assert_eq!(reference(&text), Some(bytes));
        if let Some(change) = change && !text.is_empty() {
            let at = at.index(text.len());
            text.replace_range(at..=at, change.encode_utf8(&mut [0; 4]));
        }
        prop_assert_eq!(strict(&text).ok(), reference(&text));
    }

    #[test]
    fn white_space_anywhere_changes_nothing(
        bytes in prop::collection::vec(any::<u8>(), 0..3000),
        spaces in prop::collection::vec((any::<prop::sample::Index>(), "[ \t\r\n]{1,3}"), 1..40),
    ) {
        let mut text = String::new();
        encode(&bytes, &mut text);
        for (at, space) in spaces {
            text.insert_str(at.index(text.len() + 1), &space);
        }
        prop_assert_eq!(tolerant(&text), Ok(bytes.clone()));
        prop_assert_eq!(strict(&text), Err(BytestreamFault::NotBase64));
        if !bytes.is_empty() {
            let limit = u16::try_from(bytes.len() - 1).unwrap();
            let block_size = limit.max(1);
            prop_assert_eq!(
                decoded(&text, Whitespace::Tolerant, block_size).is_err(),
                bytes.len() > usize::from(block_size)
            );
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in ".{0,64}", block_size in 1..100_u16) {
        let size = decoded(&text, Whitespace::Tolerant, block_size).map_or(0, |bytes| bytes.len());
        prop_assert!(size <= usize::from(block_size));
    }
}
