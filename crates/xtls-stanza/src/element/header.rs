//! The XML declaration that may stand before a stream.

use crate::ParseErrorKind;

/// Checks what stands between `<?xml` and `?>` (XML 1.0 § 2.8): XML 1.0 in UTF-8, the only one that XMPP knows (RFC 6120
/// §§ 11.5, 11.6).
pub(super) fn check_xml_declaration(inner: &str) -> Result<(), ParseErrorKind> {
    let mut rest = inner;
    if next_attribute(&mut rest)? != Some(("version", "1.0")) {
        return Err(FAULT);
    }
    let mut next = next_attribute(&mut rest)?;
    if let Some(("encoding", encoding)) = next {
        if !encoding.eq_ignore_ascii_case("utf-8") {
            return Err(ParseErrorKind::NotUtf8);
        }
        next = next_attribute(&mut rest)?;
    }
    if let Some(("standalone", "yes" | "no")) = next {
        next = next_attribute(&mut rest)?;
    }
    if next.is_none() { Ok(()) } else { Err(FAULT) }
}

/// Cuts off the next name and value.
fn next_attribute<'t>(rest: &mut &'t str) -> Result<Option<(&'t str, &'t str)>, ParseErrorKind> {
    const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];
    let trimmed = rest.trim_start_matches(SPACE);
    if trimmed.is_empty() {
        return Ok(None);
    }
    if trimmed.len() == rest.len() {
        return Err(FAULT);
    }
    let (name, after) = trimmed.split_once('=').ok_or(FAULT)?;
    let after = after.trim_start_matches(SPACE);
    let quote = after.chars().next().filter(|c| matches!(c, '"' | '\'')).ok_or(FAULT)?;
    let (value, left) = after[1..].split_once(quote).ok_or(FAULT)?;
    *rest = left;
    Ok(Some((name.trim_end_matches(SPACE), value)))
}

const FAULT: ParseErrorKind = ParseErrorKind::NotWellFormed("an XML declaration that is not one of XML 1.0");
