//! Character classes of XML 1.0 and Namespaces in XML.

use crate::ParseErrorKind;

/// XML 1.0 § 2.3, white space.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// XML 1.0 § 2.2, the characters that a document may hold.
pub(crate) fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}

/// Namespaces in XML § 3: a name without a colon.
pub(crate) fn is_ncname(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(is_name_start) && chars.all(is_name_char)
}

/// The name of an attribute without a namespace: `xmlns` would be a declaration instead (Namespaces in XML § 3).
pub(super) fn is_attribute_name(name: &str) -> bool {
    is_ncname(name) && name != "xmlns"
}

/// XML 1.0 § 2.3, `NameStartChar` without the colon.
fn is_name_start(c: char) -> bool {
    matches!(c, 'A'..='Z' | '_' | 'a'..='z'
        | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}'
        | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
        | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

/// XML 1.0 § 2.3, `NameChar` without the colon.
fn is_name_char(c: char) -> bool {
    is_name_start(c) || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// Appends character data: line ends become one line feed (XML 1.0 § 2.11), a forbidden character is a fault.
pub(super) fn append_text(out: &mut String, text: &str) -> Result<(), ParseErrorKind> {
    if text.bytes().fold(false, |found, byte| found | needs_care(byte)) {
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\r' => {
                    chars.next_if_eq(&'\n');
                    out.push('\n');
                }
                c => push_checked(out, c)?,
            }
        }
    } else {
        out.push_str(text);
    }
    Ok(())
}

/// Appends an attribute's value as it stands between its quotes: references resolved, white space turned into spaces
/// (XML 1.0 § 3.3.3).
pub(super) fn append_value(out: &mut String, raw: &str) -> Result<(), ParseErrorKind> {
    let mut rest = raw;
    while let Some(at) = rest.find(['&', '<', '\t', '\n', '\r']) {
        append_text(out, &rest[..at])?;
        let special = &rest[at..];
        rest = match special.as_bytes().first() {
            // XML 1.0 § 3.1, well-formedness constraint: no `<` in attribute values.
            Some(b'<') => return Err(ParseErrorKind::NotWellFormed("`<` in an attribute value")),
            Some(b'&') => {
                let Some((name, after)) = special[1..].split_once(';') else {
                    return Err(ParseErrorKind::NotWellFormed("`&` that begins no reference"));
                };
                out.push(resolve(name)?);
                after
            }
            _ => {
                out.push(' ');
                special.strip_prefix("\r\n").unwrap_or_else(|| &special[1..])
            }
        };
    }
    append_text(out, rest)
}

/// The character that a reference stands for. Only those of XML 1.0 § 4.6 and character references exist in XMPP
/// (RFC 6120 § 11.1).
pub(super) fn resolve(name: &str) -> Result<char, ParseErrorKind> {
    Ok(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => {
            let Some(number) = name.strip_prefix('#') else {
                // XML 1.0 § 4.1: a reference is a name between `&` and `;`.
                if !name.split(':').all(is_ncname) {
                    return Err(ParseErrorKind::NotWellFormed("`&` that begins no reference"));
                }
                return Err(ParseErrorKind::Restricted("an entity that XML does not predefine"));
            };
            let (digits, radix) = match number.strip_prefix('x') {
                Some(hex) => (hex, 16),
                None => (number, 10),
            };
            let all_digits = digits.chars().all(|c| c.is_digit(radix));
            let code = u32::from_str_radix(digits, radix).ok().filter(|_| all_digits);
            code.and_then(char::from_u32)
                .filter(|&c| is_xml_char(c))
                .ok_or(ParseErrorKind::NotWellFormed("a reference to no character that XML allows"))?
        }
    })
}

fn push_checked(out: &mut String, c: char) -> Result<(), ParseErrorKind> {
    if !is_xml_char(c) {
        return Err(ParseErrorKind::NotWellFormed("a character that XML does not allow"));
    }
    out.push(c);
    Ok(())
}

/// Control characters, and the first byte of U+FFFE and U+FFFF: nothing else can be a character that XML refuses.
fn needs_care(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\n' && byte != b'\t') || byte == 0xEF
}
