//! Blocks and their results, recognised in the text of a stanza: no tree is made for them, and nothing is copied.

use xtls_stanza::{Iq, Limits, ns};

use super::{Payload, Request, is_nmtoken, unsigned_short};

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
        /// [`Request::Data`], of which nothing has been decoded.
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
    /// in a set a `<data>` with its namespace, `sid` and `seq`, and nothing else, around one run of characters that may be
    /// base64; in a result nothing. One space stands before each attribute and no other white space in or around the markup.
    /// There is no reference, nor anything in a value that XML changes or forbids.
    ///
    /// The text is taken as bytes, since nobody has to have looked whether it is UTF-8: what is recognised is.
    #[must_use]
    pub fn recognise(xml: &'a [u8], limits: &Limits) -> Option<Self> {
        if xml.len() > limits.stanza_bytes.min(Self::LONGEST) || !are_usual(limits) {
            return None;
        }
        let known = ["id", "from", "to", "type", "xmlns", "xml:lang"];
        let ([id, from, to, iq_type, namespace, _], rest) = attributes(xml.strip_prefix(b"<iq")?, known, limits)?;
        let (id, from) = (id.filter(|id| !id.is_empty())?, from?);
        if !namespace.is_none_or(ns::is_stanza) {
            return None;
        }
        match iq_type? {
            "result" if matches!(rest, b"/>" | b"></iq>") => Some(Self::Result(Iq::empty_result(id, Some(from), to))),
            "set" => {
                let ([namespace, sid, seq], rest) =
                    attributes(rest.strip_prefix(b"><data")?, ["xmlns", "sid", "seq"], limits)?;
                let text = rest.strip_prefix(b">")?.strip_suffix(b"</data></iq>")?;
                let sid = sid.filter(|sid| sid.len() <= Request::MAX_SID && is_nmtoken(sid))?;
                let seq = seq.and_then(unsigned_short)?;
                let is_block =
                    namespace == Some(ns::IBB) && text.iter().fold(true, |all, byte| all & may_be_base64(*byte));
                let request = Request::Data { sid, seq, payload: Payload::from(text) };
                is_block.then_some(Self::Data { id, from, request })
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

/// The values of the attributes at the start of `rest`, each of which has one of these names and is there once at most; and
/// what follows them.
fn attributes<'a, const N: usize>(
    mut rest: &'a [u8],
    names: [&str; N],
    limits: &Limits,
) -> Option<([Option<&'a str>; N], &'a [u8])> {
    let mut values = [None; N];
    while let Some(attribute) = rest.strip_prefix(b" ") {
        let equals = attribute.iter().position(|byte| *byte == b'=')?;
        let (name, [_, quote @ (b'\'' | b'"'), quoted @ ..]) = attribute.split_at_checked(equals)? else { return None };
        let place = values.get_mut(names.iter().position(|known| known.as_bytes() == name)?)?;
        let (value, after) = quoted.split_at_checked(quoted.iter().position(|byte| byte == quote)?)?;
        rest = after.strip_prefix(core::slice::from_ref(quote))?;
        if value.len() > limits.value_bytes || !value.iter().fold(true, |all, byte| all & stands_for_itself(*byte)) {
            return None;
        }
        if place.replace(core::str::from_utf8(value).ok()?).is_some() {
            return None;
        }
    }
    Some((values, rest))
}

/// Whether a byte of an attribute's value comes out as it is: no reference, no white space that XML 1.0 § 3.3.3 changes, and
/// no part of a character that § 2.2 forbids, which are controls, U+FFFE and U+FFFF.
fn stands_for_itself(byte: u8) -> bool {
    (byte >= b' ') & (byte != b'<') & (byte != b'&') & (byte != 0xEF)
}

/// Visible ASCII from `'` on, without `<` and `>`: all of base64, and nothing that is markup. Written so that the compiler makes
/// vector instructions of it.
fn may_be_base64(byte: u8) -> bool {
    (b'\''..=b'~').contains(&byte) & (byte | 2 != b'>')
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::unwrap_in_result)]
mod tests;
