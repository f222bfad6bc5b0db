//! What a stream writes of its own: header, features, errors, end.

use xtls_stanza::{Id, ns, write};

use crate::address::End;

/// The stream header (XEP-0246 § 2): full JIDs (XEP-0247 § 2), and an id where it is an answer (RFC 6120 § 4.7.3).
pub(crate) fn header(out: &mut Vec<u8>, local: &End, peer: &End, id: Option<Id>) {
    let mut text = String::with_capacity(192);
    text.push_str("<stream:stream");
    write::attribute(&mut text, "xmlns", ns::CLIENT);
    write::attribute(&mut text, "xmlns:stream", ns::STREAM);
    write::attribute(&mut text, "from", local.full());
    write::optional_attribute(&mut text, "id", id.as_ref().map(Id::as_str));
    write::attribute(&mut text, "to", peer.full());
    write::attribute(&mut text, "version", "1.0");
    text.push('>');
    out.extend_from_slice(text.as_bytes());
}

/// XEP-0246 § 2. There is nothing to offer: the stream is secured already, and no resource to bind.
pub(crate) fn features(out: &mut Vec<u8>) {
    out.extend_from_slice(b"<stream:features/>");
}

/// RFC 6120 § 4.9.1. `condition` is the name of an element.
pub(crate) fn error(out: &mut Vec<u8>, condition: &'static str) {
    let mut text = String::with_capacity(128);
    text.push_str("<stream:error><");
    text.push_str(condition);
    write::attribute(&mut text, "xmlns", ns::STREAM_ERRORS);
    text.push_str("/></stream:error>");
    out.extend_from_slice(text.as_bytes());
}

/// XEP-0246 § 5.
pub(crate) fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"</stream:stream>");
}
