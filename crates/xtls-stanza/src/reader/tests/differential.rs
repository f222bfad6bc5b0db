//! The same streams, with bytes altered, given to `rxml`, a parser of the same subset of XML that shares no code with ours.

use super::*;
use crate::element::tests::differential::{
    DEPARTURES, PIECES, Said, cases, document, it_knows_all_characters, say_element, say_start, say_text,
    theirs_of_bytes,
};

/// What our reader made of a stream.
struct Read {
    said: Vec<Said>,
    /// Bytes up to the end of the last item.
    used: usize,
    closed: bool,
    fault: Option<ParseError>,
}

fn ours(xml: &[u8], piece: usize) -> Read {
    let mut reader = StreamReader::new(Limits::default());
    let mut read = Read { said: Vec::new(), used: 0, closed: false, fault: None };
    let mut begin = 0;
    for piece in xml.chunks(piece) {
        let mut rest = piece;
        loop {
            let item = match reader.read(&mut rest) {
                Ok(Some(item)) => item,
                Ok(None) => break,
                Err(fault) => return Read { fault: Some(fault), ..read },
            };
            read.used = begin + piece.len() - rest.len();
            match &item {
                StreamItem::Header(header) => say_start(&mut read.said, header.element().root()),
                StreamItem::Stanza(stanza) => say_element(&mut read.said, stanza.root()),
                StreamItem::Close => {
                    read.said.push(Said::End);
                    return Read { closed: true, ..read };
                }
            }
        }
        begin += piece.len();
    }
    read
}

/// The other parser's tale without the white space between stanzas.
fn without_space_between(said: Vec<Said>) -> Vec<Said> {
    let mut depth = 0_usize;
    let mut kept = Vec::new();
    for piece in said {
        match piece {
            Said::Start { .. } => depth += 1,
            Said::End => depth -= 1,
            Said::Text(text) if depth == 1 && text.trim_matches([' ', '\t', '\n']).is_empty() => continue,
            Said::Text(text) => {
                say_text(&mut kept, &text);
                continue;
            }
        }
        kept.push(piece);
    }
    kept
}

/// Whatever we took so far, it took too and read the same; what we took as whole is whole, and what we did not is not.
fn compare(xml: &[u8], piece: usize) -> Result<(), TestCaseError> {
    let shown = String::from_utf8_lossy(xml);
    let ours = ours(xml, piece);
    if !it_knows_all_characters(xml) {
        // Broken UTF-8 is shown by a character that it does not know.
        prop_assert!(core::str::from_utf8(xml).is_ok() || !ours.closed || ours.used < xml.len(), "{:?}", shown);
        return Ok(());
    }
    let (said, heard) = theirs_of_bytes(&xml[..ours.used]);
    prop_assert_eq!(&ours.said, &without_space_between(said), "{:?} in pieces of {}", shown, piece);
    prop_assert_eq!(ours.closed, heard.whole, "{:?} in pieces of {}", shown, piece);

    let (_, all) = theirs_of_bytes(xml);
    match ours.fault {
        // What stands between stanzas must be white space as such (RFC 6120 § 4.6.1); in a document any text will do.
        Some(fault) if DEPARTURES.contains(&fault.kind) || fault.kind == BETWEEN => {}
        Some(fault) => prop_assert!(!all.whole, "only ours refuses {:?}: {}", shown, fault),
        // What follows the end is not ours to read.
        None => prop_assert!(ours.closed || !all.whole, "only ours waits for the rest of {:?}", shown),
    }
    Ok(())
}

const BETWEEN: ParseErrorKind = ParseErrorKind::NotWellFormed("text outside of a stanza");

/// No character's UTF-8: a lone byte, too long, a surrogate, beyond Unicode, cut short; and a byte order mark.
const BROKEN: [&[u8]; 9] = [
    b"\xFF",
    b"\x80",
    b"\xC0\x80",
    b"\xE0\x80\xAF",
    b"\xED\xA0\x80",
    b"\xF4\x90\x80\x80",
    b"\xC3",
    b"\xF0\x9D\x84",
    b"\xEF\xBB\xBF",
];

const DECLARATIONS: [&str; 5] =
    ["", "<?xml version='1.0'?>", "<?xml version=\"1.0\" encoding='UTF-8' ?>\n", "\n", "<?xml version='1.1'?>"];

#[derive(Debug, Clone)]
enum Change {
    Flip(u8),
    Cut(usize),
    Truncate,
    Duplicate(usize),
    Insert(Vec<u8>),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        2 => (0..8_u8).prop_map(Change::Flip),
        2 => (1..12_usize).prop_map(Change::Cut),
        1 => Just(Change::Truncate),
        2 => (1..24_usize).prop_map(Change::Duplicate),
        4 => prop::sample::select(PIECES).prop_map(|piece| Change::Insert(piece.as_bytes().to_vec())),
        1 => prop::sample::select(&BROKEN[..]).prop_map(|bytes| Change::Insert(bytes.to_vec())),
        1 => any::<u8>().prop_map(|byte| Change::Insert(vec![byte])),
    ]
}

/// A stream of a document's children, with some of its bytes changed.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), change()), 0..4);
    (prop::sample::select(&DECLARATIONS[..]), document(), changes).prop_map(|(declaration, document, changes)| {
        let mut bytes = [declaration.as_bytes(), document.as_bytes()].concat();
        for (at, change) in changes {
            let at = at.index(bytes.len() + 1);
            let upto = |length: usize| bytes.len().min(at + length);
            match change {
                Change::Flip(bit) => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << bit),
                Change::Cut(length) => drop(bytes.drain(at..upto(length))),
                Change::Truncate => bytes.truncate(at),
                Change::Duplicate(length) => {
                    let again = bytes[at..upto(length)].to_vec();
                    bytes.splice(at..at, again);
                }
                Change::Insert(piece) => drop(bytes.splice(at..at, piece)),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn p22_altered_streams_are_read_as_by_another_parser(xml in stream(), piece in 1..40_usize) {
        compare(&xml, piece)?;
        compare(&xml, xml.len().max(1))?;
    }
}
