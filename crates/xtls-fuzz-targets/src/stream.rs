//! The reader of XML streams: however the bytes are cut, and beside another parser.

use xtls_stanza::{Limits, ParseError, StreamItem, StreamReader};

use crate::input::{Input, pieces};
use crate::oracle::{COMPARED, Said, is_departure, it_knows_all_of, other_parser, say_element, say_start, say_text};

/// The first byte says how the rest, a stream, is cut; the second, which limits hold.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (cut, tight) = (input.byte(), input.byte() & 3 == 1);
    let bytes = input.rest();
    let limits = if tight { tight_limits() } else { Limits::default() };

    let whole = read(&[bytes], limits);
    let single: Vec<_> = bytes.chunks(1).collect();
    for other in [read(&pieces(bytes, cut), limits), read(&single, limits)] {
        assert_eq!(other.said, whole.said);
        assert_eq!((other.used, other.closed), (whole.used, whole.closed));
        assert_eq!(other.fault, whole.fault);
    }
    if !tight && bytes.len() <= COMPARED {
        compare(bytes, &whole);
    }
}

/// What the reader made of a stream.
struct Read {
    said: Vec<Said>,
    /// Bytes up to the end of the last item.
    used: usize,
    closed: bool,
    fault: Option<ParseError>,
}

fn read(pieces: &[&[u8]], limits: Limits) -> Read {
    let mut reader = StreamReader::new(limits);
    let mut read = Read { said: Vec::new(), used: 0, closed: false, fault: None };
    let mut begin = 0;
    for piece in pieces {
        let mut rest = *piece;
        loop {
            let item = match reader.read(&mut rest) {
                Ok(Some(item)) => item,
                Ok(None) => {
                    assert!(rest.is_empty(), "all of it was used");
                    break;
                }
                Err(fault) => {
                    assert_eq!(reader.read(&mut rest).err().as_ref(), Some(&fault), "a fault is for good");
                    assert_eq!(reader.buffered(), 0, "nothing is kept after a fault");
                    return Read { fault: Some(fault), ..read };
                }
            };
            read.used = begin + piece.len() - rest.len();
            match &item {
                StreamItem::Header(header) => say_start(&mut read.said, header.element().root()),
                StreamItem::Stanza(stanza) => say_element(&mut read.said, stanza.root()),
                StreamItem::Close => {
                    assert!(reader.read(&mut rest).is_ok_and(|item| item.is_none()), "nothing is taken after the end");
                    read.said.push(Said::End);
                    return Read { closed: true, ..read };
                }
                _ => {}
            }
        }
        assert!(reader.buffered() <= limits.stanza_bytes, "{} bytes are kept", reader.buffered());
        begin += piece.len();
    }
    read
}

/// Whatever we took so far, the other one took too and read the same; what we took as whole is whole, and what we did not is
/// not.
fn compare(xml: &[u8], ours: &Read) {
    if !it_knows_all_of(xml) {
        // Broken UTF-8 is shown by a character that it does not know.
        assert!(core::str::from_utf8(xml).is_ok() || !ours.closed || ours.used < xml.len(), "broken UTF-8 was taken");
        return;
    }
    let (said, heard) = other_parser(&xml[..ours.used]);
    assert_eq!(ours.said, without_space_between(said));
    assert_eq!(ours.closed, heard.whole);
    let (_, all) = other_parser(xml);
    match &ours.fault {
        Some(fault) => assert!(is_departure(fault.kind) || !all.whole, "only ours refuses it: {fault}"),
        // What follows the end is not ours to read.
        None => assert!(ours.closed || !all.whole, "only ours waits for the rest"),
    }
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

fn tight_limits() -> Limits {
    let mut limits = Limits::default();
    limits.stanza_bytes = 300;
    limits.depth = 5;
    limits.attributes = 3;
    limits.declarations = 4;
    limits.name_bytes = 12;
    limits.value_bytes = 40;
    limits.nodes = 20;
    limits
}
