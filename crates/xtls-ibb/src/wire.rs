//! The three elements of XEP-0047, read and written.

mod plain;

use core::fmt::{self, Write as _};

use xtls_stanza::{ElementRef, Node, ns, write};

pub use self::plain::PlainIq;
use crate::{BytestreamFault, codec};

/// A request of XEP-0047, borrowed from the IQ of type set that carries it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Request<'a> {
    /// `<open/>` (§ 2.1), asking for data in IQs.
    Open {
        /// Which bytestream.
        sid: &'a str,
        /// The largest block in bytes before base64, 1 to 65535.
        block_size: u16,
    },
    /// `<data/>` (§ 2.2).
    Data {
        /// Which bytestream.
        sid: &'a str,
        /// Its number in this direction, modulo 65536.
        seq: u16,
        /// The base64 text, not yet looked at.
        payload: Payload<'a>,
    },
    /// `<data/>`, decoded already: what [`PlainIq::recognise`] makes of it.
    Block {
        /// Which bytestream.
        sid: &'a str,
        /// Its number in this direction, modulo 65536.
        seq: u16,
        /// The bytes.
        block: &'a [u8],
    },
    /// `<close/>` (§ 2.3).
    Close {
        /// Which bytestream.
        sid: &'a str,
    },
    /// An `<open/>` or `<data/>` that names its bytestream and is malformed otherwise: malformed data ends the
    /// bytestream, so it has to reach it.
    Malformed {
        /// Which bytestream.
        sid: &'a str,
        /// What is wrong with it.
        fault: BytestreamFault,
    },
}

/// The content of a `<data/>`: base64 that nobody has looked at yet.
#[derive(Clone, Copy)]
pub struct Payload<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    Text(&'a [u8]),
    /// Several pieces of text, or elements among them.
    Mixed(ElementRef<'a>),
}

impl<'a> Request<'a> {
    /// The longest sid that is taken, in bytes.
    pub const MAX_SID: usize = 256;

    /// Reads the payload of an IQ of type set. `None` when it is not of XEP-0047.
    ///
    /// Numbers are digits alone: no sign, no leading zero, no white space. Attributes and children that XEP-0047 does not
    /// know are ignored.
    ///
    /// # Errors
    ///
    /// When no bytestream can be told from it: [`BytestreamFault::UnknownElement`] or [`BytestreamFault::Sid`].
    #[must_use]
    pub fn parse(payload: ElementRef<'a>) -> Option<Result<Self, BytestreamFault>> {
        (payload.ns() == ns::IBB).then(|| Self::read(payload))
    }

    /// Which bytestream it is about.
    #[must_use]
    pub fn sid(&self) -> &'a str {
        match self {
            Self::Open { sid, .. } | Self::Data { sid, .. } | Self::Block { sid, .. } => sid,
            Self::Close { sid } | Self::Malformed { sid, .. } => sid,
        }
    }

    fn read(payload: ElementRef<'a>) -> Result<Self, BytestreamFault> {
        if !matches!(payload.name(), "open" | "data" | "close") {
            return Err(BytestreamFault::UnknownElement);
        }
        // XEP-0047 § 2.1: the sid is REQUIRED and MUST match the NMTOKEN datatype.
        let sid = payload.attribute("sid").filter(|sid| sid.len() <= Self::MAX_SID && is_nmtoken(sid));
        let sid = sid.ok_or(BytestreamFault::Sid)?;
        let parsed = match payload.name() {
            "open" => Self::read_open(sid, payload),
            "data" => Self::read_data(sid, payload),
            _ => Ok(Self::Close { sid }),
        };
        Ok(parsed.unwrap_or_else(|fault| Self::Malformed { sid, fault }))
    }

    fn read_open(sid: &'a str, open: ElementRef<'a>) -> Result<Self, BytestreamFault> {
        // XEP-0047 § 2.1: the block-size is REQUIRED and MUST NOT be greater than 65535.
        let block_size = open.attribute("block-size").and_then(unsigned_short).filter(|size| *size != 0);
        let block_size = block_size.ok_or(BytestreamFault::BlockSize)?;
        match open.attribute("stanza") {
            None | Some("iq") => Ok(Self::Open { sid, block_size }),
            Some("message") => Err(BytestreamFault::MessageStanzas),
            Some(_) => Err(BytestreamFault::StanzaKind),
        }
    }

    fn read_data(sid: &'a str, data: ElementRef<'a>) -> Result<Self, BytestreamFault> {
        // XEP-0047 § 2.2: a `<data/>` MUST possess a seq.
        let seq = data.attribute("seq").and_then(unsigned_short).ok_or(BytestreamFault::Seq)?;
        let plain = data.single_text().filter(|_| data.children().next().is_none());
        let payload = plain.map_or(Payload(Source::Mixed(data)), Payload::from);
        Ok(Self::Data { sid, seq, payload })
    }
}

impl<'a> Payload<'a> {
    /// The text where it is one piece.
    pub(crate) fn single(self) -> Option<&'a [u8]> {
        match self.0 {
            Source::Text(text) => Some(text),
            Source::Mixed(_) => None,
        }
    }

    /// Its pieces of text in order; `None` in the place of an element.
    pub(crate) fn pieces(self) -> impl Iterator<Item = Option<&'a [u8]>> {
        let (text, mixed) = match self.0 {
            Source::Text(text) => (Some(Some(text)), None),
            Source::Mixed(element) => (None, Some(element)),
        };
        let nodes = mixed.map(|element| {
            element.nodes().map(|node| match node {
                Node::Text(text) => Some(text.as_bytes()),
                Node::Element(_) | _ => None,
            })
        });
        text.into_iter().chain(nodes.into_iter().flatten())
    }
}

impl<'a> From<&'a str> for Payload<'a> {
    fn from(base64: &'a str) -> Self {
        base64.as_bytes().into()
    }
}

impl<'a> From<&'a [u8]> for Payload<'a> {
    fn from(base64: &'a [u8]) -> Self {
        Self(Source::Text(base64))
    }
}

impl fmt::Debug for Payload<'_> {
    /// The content stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length: usize = self.pieces().flatten().map(<[u8]>::len).sum();
        write!(f, "Payload({length} characters)")
    }
}

/// Appends `<open/>` (XEP-0047 § 2.1), asking for data in IQs.
pub fn write_open(out: &mut String, sid: &str, block_size: u16) {
    start(out, "open");
    out.push_str(" block-size='");
    number(out, block_size);
    out.push('\'');
    write::attribute(out, "sid", sid);
    out.push_str(" stanza='iq'/>");
}

/// Appends `<data/>` with `block` in one run of base64 (XEP-0047 § 2.2).
pub fn write_data(out: &mut String, sid: &str, seq: u16, block: &[u8]) {
    start(out, "data");
    out.push_str(" seq='");
    number(out, seq);
    out.push('\'');
    write::attribute(out, "sid", sid);
    out.push('>');
    codec::encode(block, out);
    out.push_str("</data>");
}

/// Appends `<close/>` (XEP-0047 § 2.3).
pub fn write_close(out: &mut String, sid: &str) {
    start(out, "close");
    write::attribute(out, "sid", sid);
    out.push_str("/>");
}

fn start(out: &mut String, name: &str) {
    out.push('<');
    out.push_str(name);
    write::attribute(out, "xmlns", ns::IBB);
}

fn number(out: &mut String, number: u16) {
    // Writing to a string does not fail.
    let _ = write!(out, "{number}");
}

/// xs:unsignedShort, of which the one canonical form is taken.
fn unsigned_short(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = digits && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| canonical)
}

/// XML 1.0 § 2.3, production `Nmtoken`.
fn is_nmtoken(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_name_char)
}

/// XML 1.0 § 2.3, production `NameChar`.
fn is_name_char(c: char) -> bool {
    matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' | ':' | '\u{B7}'
        | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}'
        | '\u{200C}'..='\u{200D}' | '\u{203F}'..='\u{2040}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}'
        | '\u{FDF0}'..='\u{FFFD}' | '\u{10000}'..='\u{EFFFF}')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
