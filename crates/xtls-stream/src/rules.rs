//! What the specifications ask of headers, stanzas and stream errors.

use xtls_stanza::{Element, ns};

use crate::{
    StreamFault,
    address::{End, Named},
};

/// RFC 6120 § 8: the three kinds of stanza.
pub(crate) fn is_stanza(element: &Element) -> bool {
    element.ns() == ns::CLIENT && matches!(element.name(), "message" | "presence" | "iq")
}

/// Makes a stanza's address that of an end of the tunnel, in its prepared form. The address it bears if that is
/// somebody else's.
pub(crate) fn stamp(stanza: &mut Element, name: &str, end: &End) -> Result<(), String> {
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

/// RFC 6120 § 4.9.2: the condition and, for people, the text of a stream error.
pub(crate) fn reported(error: &Element) -> StreamFault {
    let condition = error.children().find(|child| child.ns() == ns::STREAM_ERRORS && child.name() != "text");
    StreamFault::Reported {
        condition: condition.map_or_else(|| "undefined-condition".to_owned(), |child| child.name().to_owned()),
        text: error.child("text", ns::STREAM_ERRORS).map(|text| text.text()),
    }
}
