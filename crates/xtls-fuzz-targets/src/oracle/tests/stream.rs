//! The same as streams, with bytes altered.

use super::*;

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
    fn p22_altered_streams_are_read_as_by_another_parser(xml in stream(), cut in any::<u8>()) {
        // How it is cut, the limits, and the stream.
        crate::stream::run(&[&[cut, 0][..], &xml].concat());
    }
}
