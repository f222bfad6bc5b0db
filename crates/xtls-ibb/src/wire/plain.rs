//! Blocks and their results, recognised in the text of a stanza: no tree is made for them, and nothing is copied but what is
//! decoded.

use xtls_stanza::{Iq, Limits, ns};

use super::{Request, is_nmtoken, unsigned_short};
use crate::codec;

/// One of the two stanzas that nearly all of a busy bytestream consists of, borrowed from its text.
///
/// What is recognised is a list of what servers write. Everything else, however well-formed, is for
/// [`Element::parse`](xtls_stanza::Element::parse), and what is on the list comes out as it does there.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum PlainIq<'a> {
    /// An IQ of type set with a block.
    Data {
        /// What its result is matched by.
        id: &'a str,
        /// The sender as the server stamped it.
        from: &'a str,
        /// [`Request::Block`].
        request: Request<'a>,
    },
    /// An empty result, which has a sender.
    Result(Iq<'a>),
}

impl<'a> PlainIq<'a> {
    /// The longest text that is looked at, in bytes: no block is longer.
    const LONGEST: usize = 128 * 1024;

    /// Recognises a stanza that was cut out of its stream, which stands without any context.
    ///
    /// The list: an `<iq>` with `id`, `from` and `type`, maybe `to`, `xml:lang` and the namespace of stanzas, and nothing else;
    /// in a set a `<data>` with its namespace, `sid` and `seq`, and nothing else, around one run of base64 (RFC 4648
    /// § 4, as XEP-0047 § 6 wants it); in a result nothing. One space stands before each attribute and no other white space in or
    /// around the markup.
    /// There is no reference, nor anything in a value that XML changes or forbids.
    ///
    /// The text is taken as bytes, since nobody has to have looked whether it is UTF-8: what is recognised is.
    ///
    /// A block is decoded into `block`, in place of what was in it: to decode it is to see that it is one. It has fewer bytes than
    /// `xml`; whether they are too many for its bytestream is for [`Bytestream::handle_request`] to say.
    ///
    /// [`Bytestream::handle_request`]: crate::Bytestream::handle_request
    #[must_use]
    pub fn recognise(xml: &'a [u8], limits: &Limits, block: &'a mut Vec<u8>) -> Option<Self> {
        if xml.len() > limits.stanza_bytes.min(Self::LONGEST) || !are_usual(limits) {
            return None;
        }
        let ([id, from, to, iq_type, namespace, _], rest) =
            attributes(xml.strip_prefix(b"<iq")?, of_an_iq, limits.value_bytes)?;
        let (id, from) = (id.filter(|id| !id.is_empty())?, from?);
        if !namespace.is_none_or(ns::is_stanza) {
            return None;
        }
        match iq_type? {
            "result" if matches!(rest, b"/>" | b"></iq>") => Some(Self::Result(Iq::empty_result(id, Some(from), to))),
            "set" => {
                let ([namespace, sid, seq], rest) =
                    attributes(rest.strip_prefix(b"><data")?, of_data, limits.value_bytes)?;
                let text = rest.strip_prefix(b">")?.strip_suffix(b"</data></iq>")?;
                let sid = sid.filter(|sid| sid.len() <= Request::MAX_SID && is_nmtoken(sid))?;
                let seq = seq.and_then(unsigned_short)?;
                if namespace != Some(ns::IBB) || !codec::decode_run(text, block) {
                    return None;
                }
                Some(Self::Data { id, from, request: Request::Block { sid, seq, block } })
            }
            _ => None,
        }
    }
}

/// Whether nothing on the list exceeds a limit but by its length: six attributes, two declarations, ten rows of a tree.
fn are_usual(limits: &Limits) -> bool {
    limits.depth >= 2
        && limits.attributes >= 6
        && limits.declarations >= 2
        && limits.name_bytes >= "xml:lang".len()
        && limits.nodes >= 10
}

/// The place of an attribute that an IQ may have.
fn of_an_iq(name: &[u8]) -> Option<usize> {
    Some(match name {
        b"id" => 0,
        b"from" => 1,
        b"to" => 2,
        b"type" => 3,
        b"xmlns" => 4,
        b"xml:lang" => 5,
        _ => return None,
    })
}

fn of_data(name: &[u8]) -> Option<usize> {
    Some(match name {
        b"xmlns" => 0,
        b"sid" => 1,
        b"seq" => 2,
        _ => return None,
    })
}

/// The values of the attributes at the start of `rest`, each of which has a name whose place is known and is there once at most;
/// and what follows them.
fn attributes<const N: usize>(
    mut rest: &[u8],
    place: impl Fn(&[u8]) -> Option<usize>,
    longest: usize,
) -> Option<([Option<&str>; N], &[u8])> {
    let mut values = [None; N];
    while let Some(attribute) = rest.strip_prefix(b" ") {
        let equals = attribute.iter().position(|byte| *byte == b'=')?;
        let (name, [_, quote @ (b'\'' | b'"'), quoted @ ..]) = attribute.split_at_checked(equals)? else { return None };
        let ends = if *quote == b'"' { QUOTE | CHANGED } else { APOSTROPHE | CHANGED };
        let length = quoted.iter().position(|byte| KINDS[usize::from(*byte)] & ends != 0)?;
        let (value, after) = quoted.split_at_checked(length)?;
        rest = after.strip_prefix(core::slice::from_ref(quote))?;
        if value.len() > longest || values.get_mut(place(name)?)?.replace(core::str::from_utf8(value).ok()?).is_some() {
            return None;
        }
    }
    Some((values, rest))
}

const APOSTROPHE: u8 = 1;
const QUOTE: u8 = 2;
/// Does not come out of an attribute's value as it is, or ends it wrongly: a reference, markup, white space that XML 1.0 § 3.3.3
/// changes, and what may be part of a character that § 2.2 forbids, which are controls, U+FFFE and U+FFFF.
const CHANGED: u8 = 4;

/// What each byte is in an attribute's value.
const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        kinds[control] = CHANGED;
        control += 1;
    }
    kinds[0x22] = QUOTE;
    kinds[0x26] = CHANGED; // &
    kinds[0x27] = APOSTROPHE;
    kinds[0x3C] = CHANGED; // <
    kinds[0xEF] = CHANGED;
    kinds
};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::unwrap_in_result)]
mod tests;
