//! What the specifications ask of headers, stanzas and stream errors.

use core::borrow::Borrow;

use xtls_stanza::jid::Jid;
use xtls_stanza::{Element, StreamHeader, ns};

use crate::{
    StreamError, StreamFault, StreamSendError,
    address::{End, Named},
};

/// RFC 6120 § 4.8: the stream's own namespace, and that of its content, which the header need not declare (§ 4.8.2): then
/// each stanza declares it.
pub(crate) fn check_namespaces(header: &StreamHeader) -> Result<(), StreamFault> {
    let content = matches!(header.default_ns(), ns::CLIENT | ns::STREAM | "");
    if header.name() == "stream" && header.ns() == ns::STREAM && content { Ok(()) } else { Err(StreamFault::Namespace) }
}

/// What is wrong with a first-level child that may not come.
pub(crate) fn unsupported(child: &Element) -> StreamFault {
    // RFC 6120 § 4.8.3: a content namespace that is not supported.
    if child.ns() == ns::SERVER { StreamFault::Namespace } else { StreamFault::UnsupportedStanza }
}

/// RFC 6120 § 8: the three kinds of stanza.
pub(crate) fn is_stanza(element: &Element) -> bool {
    element.ns() == ns::CLIENT && matches!(element.name(), "message" | "presence" | "iq")
}

/// Makes a stanza's address that of an end of the tunnel, as that one is spelt. The address it bears if that is
/// somebody else's.
pub(crate) fn stamp<J: Borrow<Jid>>(stanza: &mut Element, name: &str, end: &End<J>) -> Result<(), String> {
    let address = stanza.attribute(name);
    let wanted = match end.named(address) {
        Named::Nothing | Named::Full => end.full(),
        Named::Bare => end.bare(),
        Named::Other(claimed) => return Err(claimed.to_owned()),
    };
    if address != Some(wanted) {
        // A JID holds no character that XML cannot carry (RFC 7622 § 3); if the stanza is too large to be stamped, it is
        // nobody's.
        return stanza.set_attribute(name, wanted).map_err(|_| wanted.to_owned());
    }
    Ok(())
}

/// RFC 6120 § 4.7.5: numbers, leading zeros ignored. The side that opens a stream says the highest version it knows and
/// is answered with 1.0, so it may say more; an answer may not.
pub(crate) fn is_supported(version: &str, is_answer: bool) -> bool {
    let number = |digits: &str| digits.parse::<u32>().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let Some((major, minor)) = version.split_once('.') else { return false };
    match (number(major), number(minor)) {
        (Some(major), Some(minor)) if is_answer => (major, minor) == (1, 0),
        (Some(major), Some(_)) => major >= 1,
        _ => false,
    }
}

/// Appends a stanza as it stands in a stream, without the addresses that name the ends (XEP-0246 § 4).
pub(crate) fn write_without_addresses<J: Borrow<Jid>>(
    stanza: &Element,
    local: &End<J>,
    peer: &End<J>,
    out: &mut String,
) -> Result<(), StreamSendError> {
    let from = local.named(stanza.attribute("from"));
    let to = peer.named(stanza.attribute("to"));
    if matches!(from, Named::Other(_)) {
        return Err(StreamSendError::From);
    }
    if matches!(to, Named::Other(_)) {
        return Err(StreamSendError::To);
    }
    let left_out: &[&str] = match (from, to) {
        (Named::Full, Named::Full) => &["from", "to"],
        (Named::Full, _) => &["from"],
        (_, Named::Full) => &["to"],
        (Named::Nothing | Named::Bare | Named::Other(_), Named::Nothing | Named::Bare | Named::Other(_)) => &[],
    };
    stanza.root().write_xml_without(out, ns::CLIENT, left_out);
    Ok(())
}

/// RFC 6120 § 4.9.2: the fault that the peer reports by a `<stream:error/>`.
pub(crate) fn reported(error: StreamError) -> StreamFault {
    StreamFault::Reported { condition: error.condition.name().to_owned(), text: error.text }
}
