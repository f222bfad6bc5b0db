//! What a stream writes of its own: header, features, errors, end.

use xtls_stanza::{ns, write};

use crate::StreamError;

/// What a stream header says (RFC 6120 § 4.7).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Header<'a> {
    pub(crate) from: Option<&'a str>,
    /// Where it is an answer (RFC 6120 § 4.7.3).
    pub(crate) id: Option<&'a str>,
    pub(crate) to: Option<&'a str>,
    /// XMPP 1.0; without it the stream is older.
    pub(crate) version: bool,
    pub(crate) lang: Option<&'a str>,
    /// XEP-0035 § 2.2: TLS can be had.
    pub(crate) announces_tls: bool,
    /// The features will have the negotiation hash.
    pub(crate) announces_hash: bool,
}

impl Header<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let mut text = String::with_capacity(192);
        text.push_str("<stream:stream");
        write::attribute(&mut text, "xmlns", ns::CLIENT);
        write::attribute(&mut text, "xmlns:stream", ns::STREAM);
        if self.announces_tls {
            write::attribute(&mut text, "xmlns:tls", ns::RFC_2595);
        }
        if self.announces_hash {
            write::attribute(&mut text, "xmlns:n", ns::NEGOTIATION_1);
        }
        write::optional_attribute(&mut text, "from", self.from);
        write::optional_attribute(&mut text, "id", self.id);
        write::optional_attribute(&mut text, "to", self.to);
        if self.version {
            write::attribute(&mut text, "version", "1.0");
        }
        write::optional_attribute(&mut text, "xml:lang", self.lang);
        text.push('>');
        out.extend_from_slice(text.as_bytes());
    }
}

/// XEP-0246 § 2. There is nothing to offer: the stream is secured already, and no resource to bind. The negotiation hash may
/// stand there.
pub(crate) fn features(hash: Option<&[u8; 32]>, out: &mut Vec<u8>) {
    match hash {
        Some(hash) => {
            out.extend_from_slice(b"<stream:features>");
            negotiation_hash(hash, out);
            out.extend_from_slice(b"</stream:features>");
        }
        None => out.extend_from_slice(b"<stream:features/>"),
    }
}

/// The negotiation hash (docs/wire.md § 5).
pub(crate) fn negotiation_hash(hash: &[u8; 32], out: &mut Vec<u8>) {
    let mut text = String::with_capacity(128);
    text.push_str("<hash");
    write::attribute(&mut text, "xmlns", ns::NEGOTIATION_1);
    text.push('>');
    hash.iter().for_each(|byte| text.push_str(&format!("{byte:02x}")));
    text.push_str("</hash>");
    out.extend_from_slice(text.as_bytes());
}

/// RFC 6120 § 4.9.1.
pub(crate) fn error(out: &mut Vec<u8>, error: &StreamError) {
    let mut text = String::with_capacity(128);
    error.write(&mut text);
    out.extend_from_slice(text.as_bytes());
}

/// XEP-0246 § 5.
pub(crate) fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"</stream:stream>");
}
