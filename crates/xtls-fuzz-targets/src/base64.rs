//! The base64 of a block, beside the book (RFC 4648 § 4).

use xtls_ibb::{Bytestream, BytestreamConfig, BytestreamFault, BytestreamRole, Handled, Request, Whitespace};
use xtls_stanza::{Element, Envelope, Ids, ns};

use crate::input::Input;

const SID: &str = "s";
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The first byte says whether white space is taken and in how many pieces the text comes, the next two the block size. The
/// rest is the text of a block; and, for the way back, bytes.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (options, block_size) = (input.byte(), input.number().max(1));
    check_encoded(input.rest());
    let Ok(text) = core::str::from_utf8(input.rest()) else { return };
    let whitespace = if options & 1 == 0 { Whitespace::Tolerant } else { Whitespace::Strict };
    let expected = expected(text, whitespace, usize::from(block_size));

    let whole = Request::Data { sid: SID, seq: 0, payload: text.into() };
    assert_eq!(decode(&whole, whitespace, block_size), expected);
    if options & 2 != 0 {
        // The same in pieces, as references and CDATA make them.
        let at = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).nth(usize::from(options >> 2)).unwrap_or(0);
        let (first, second) = text.split_at(at);
        let element = Element::builder("data", ns::IBB).attribute("sid", SID).attribute("seq", "0");
        let Ok(element) = element.text(first).text("").text(second).build() else { return };
        let request = Request::parse(element.root()).expect("it is of XEP-0047").expect("it has a sid");
        assert_eq!(decode(&request, whitespace, block_size), expected);
    }
}

fn decode(request: &Request<'_>, whitespace: Whitespace, block_size: u16) -> Result<Vec<u8>, BytestreamFault> {
    let mut config = BytestreamConfig::default();
    config.whitespace = whitespace;
    config.block_size_min = 1;
    let mut end = Bytestream::new(BytestreamRole::Acceptor, SID, block_size, config);
    let mut received = b"before".to_vec();
    let open = Request::Open { sid: SID, block_size };
    assert_eq!(end.handle_request("1", &open, &mut received), Ok(Handled::Opened));
    let handled = end.handle_request("2", request, &mut received);
    assert!(received.starts_with(b"before"), "what was there before stays");
    let decoded = received.split_off(6);
    match handled {
        Ok(handled) => assert_eq!(handled, Handled::Data { bytes: decoded.len() }),
        Err(_) => assert!(decoded.is_empty(), "a fault appends nothing"),
    }
    handled.map(|_| decoded)
}

/// What the text is by the book: which fault, if it is none, is told by the order of the checks.
fn expected(text: &str, whitespace: Whitespace, block_size: usize) -> Result<Vec<u8>, BytestreamFault> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let run: Vec<u8> = text.bytes().filter(|byte| !is_space(byte)).collect();
    if whitespace == Whitespace::Strict && run.len() != text.len() || !run.len().is_multiple_of(4) {
        return Err(BytestreamFault::NotBase64);
    }
    let pads = run.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    let bytes = (run.len() / 4 * 3).saturating_sub(pads);
    if bytes > block_size {
        let block_size = u16::try_from(block_size).unwrap_or(u16::MAX);
        return Err(BytestreamFault::BlockTooLarge { bytes, block_size });
    }
    by_the_book(&run[..run.len() - pads], pads).ok_or(BytestreamFault::NotBase64)
}

/// One digit after the other. `None` for an alien character, and where bits are set that no byte carries.
fn by_the_book(digits: &[u8], pads: usize) -> Option<Vec<u8>> {
    let (mut out, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for digit in digits {
        bits = bits << 6 | u32::try_from(ALPHABET.iter().position(|c| c == digit)?).ok()?;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    (bits == 0 && count == pads * 2).then_some(out)
}

/// What is sent of these bytes is their base64, and decodes to them.
fn check_encoded(bytes: &[u8]) {
    let mut config = BytestreamConfig::default();
    config.max_unacked_bytes = u64::MAX;
    let mut end = Bytestream::new(BytestreamRole::Negotiated, SID, u16::MAX, config);
    end.open();
    end.outgoing().extend_from_slice(bytes);
    let mut stanza = String::new();
    let mut cut = |queued: &[u8], _: usize| queued.len();
    let Some(_) = end.poll(&mut Ids::new([1; 32]), &Envelope::new("a@b", None), &mut cut, &mut stanza) else {
        assert!(bytes.is_empty());
        return;
    };
    let text = stanza.split_once("'>").and_then(|(_, rest)| rest.split_once("</data>")).expect("a block").0;
    let text = text.rsplit('>').next().unwrap_or_default();
    let sent = expected(text, Whitespace::Strict, usize::from(u16::MAX)).expect("sound base64");
    assert!(bytes.starts_with(&sent) && sent.len() == bytes.len().min(usize::from(u16::MAX)));
}
