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

/// Whether a document may hold all of it.
pub(super) fn are_xml(text: &str) -> bool {
    // Told without a branch, as nearly always, so that the compiler makes vector instructions of it.
    !text.bytes().fold(false, |found, byte| found | needs_care(byte)) || text.chars().all(is_xml_char)
}

/// Namespaces in XML § 3: a name without a colon.
pub(crate) fn is_ncname(name: &str) -> bool {
    if name.bytes().all(|byte| is_in(byte, NAME)) {
        // As nearly all names are.
        return name.bytes().next().is_some_and(|first| is_name_start(first.into()));
    }
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

/// Appends characters: line ends become one line feed (XML 1.0 § 2.11), a forbidden character is a fault. `after_return`
/// says whether a carriage return stands before them, and is told whether one ends them.
pub(super) fn append_text(out: &mut String, text: &str, after_return: &mut bool) -> Result<(), ParseErrorKind> {
    let plain = !text.bytes().fold(false, |found, byte| found | needs_care(byte));
    if plain && !(*after_return && text.starts_with('\n')) {
        out.push_str(text);
        *after_return &= text.is_empty();
        return Ok(());
    }
    for c in text.chars() {
        match c {
            '\r' => out.push('\n'),
            '\n' if *after_return => {}
            c => push_checked(out, c)?,
        }
        *after_return = c == '\r';
    }
    Ok(())
}

/// Bytes that end a run of plain ones.
pub(super) struct Ends<const N: usize> {
    bytes: [u8; N],
    class: u8,
}

/// Of character data.
pub(super) const OF_TEXT: Ends<3> = Ends { bytes: [b'<', b'&', b']'], class: 1 << 1 };
/// Of a CDATA section.
pub(super) const OF_CDATA: Ends<1> = Ends { bytes: [b']'], class: 1 << 2 };
/// Of an attribute's value in quotation marks.
pub(super) const OF_QUOTED: Ends<6> = Ends { bytes: [b'"', b'<', b'&', b'\t', b'\n', b'\r'], class: 1 << 3 };
/// Of an attribute's value in apostrophes.
pub(super) const OF_APOSTROPHES: Ends<6> = Ends { bytes: [b'\'', b'<', b'&', b'\t', b'\n', b'\r'], class: 1 << 4 };

/// The class of ASCII's characters that may be in a name without a colon.
const NAME: u8 = 1;

/// The classes that each byte is of.
static CLASSES: [u8; 256] = classes();

#[allow(clippy::as_conversions, reason = "a byte as an index, and the other way round, in a constant")]
const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        if (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'_' | b'-' | b'.') {
            classes[byte] = NAME;
        }
        byte += 1;
    }
    mark(&mut classes, &OF_TEXT.bytes, OF_TEXT.class);
    mark(&mut classes, &OF_CDATA.bytes, OF_CDATA.class);
    mark(&mut classes, &OF_QUOTED.bytes, OF_QUOTED.class);
    mark(&mut classes, &OF_APOSTROPHES.bytes, OF_APOSTROPHES.class);
    classes
}

#[allow(clippy::as_conversions, reason = "a byte as an index, in a constant")]
const fn mark(classes: &mut [u8; 256], bytes: &[u8], class: u8) {
    let mut at = 0;
    while at < bytes.len() {
        classes[bytes[at] as usize] |= class;
        at += 1;
    }
}

fn is_in(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// How many bytes may be part of a name, as far as a byte tells: of ASCII those of [`NAME`] and the colon (XML 1.0 § 2.3).
pub(super) fn name_length(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| !is_in(byte, NAME) && byte != b':' && byte.is_ascii()).unwrap_or(bytes.len())
}

/// How many bytes there are before one that ends them. It counts those in 64 bytes at a time and without a branch, so that
/// the compiler makes vector instructions of it.
#[inline(never)]
pub(super) fn position<const N: usize>(bytes: &[u8], ends: &Ends<N>) -> usize {
    const STEP: usize = 64;
    let count = |byte| ends.bytes.iter().map(|&one| u8::from(byte == one)).fold(0_u8, u8::wrapping_add);
    let mut at = 0;
    for chunk in bytes.chunks_exact(STEP) {
        if chunk.iter().map(|&byte| count(byte)).fold(0_u8, u8::wrapping_add) != 0 {
            break;
        }
        at += STEP;
    }
    at + bytes[at..].iter().position(|&byte| is_in(byte, ends.class)).unwrap_or(bytes.len() - at)
}

/// Whether what stands after `&` can still become a reference (XML 1.0 § 4.1).
pub(super) fn check_reference(begun: &str) -> Result<(), ParseErrorKind> {
    let fault = |what| Err(ParseErrorKind::NotWellFormed(what));
    let Some(number) = begun.strip_prefix('#') else {
        let is_name = begun.split(':').all(|part| part.is_empty() || is_ncname(part)) && !begun.starts_with(':');
        return if is_name { Ok(()) } else { fault(NO_REFERENCE) };
    };
    let is_number = match number.strip_prefix('x') {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => number.bytes().all(|byte| byte.is_ascii_digit()),
    };
    if is_number { Ok(()) } else { fault(NO_CHARACTER) }
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
                    return Err(ParseErrorKind::NotWellFormed(NO_REFERENCE));
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
                .ok_or(ParseErrorKind::NotWellFormed(NO_CHARACTER))?
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

const NO_REFERENCE: &str = "`&` that begins no reference";
const NO_CHARACTER: &str = "a reference to no character that XML allows";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_wanted_bytes_is_found_wherever_it_stands() {
        for length in [0, 1, 63, 64, 65, 127, 128, 129, 200] {
            let plain = vec![b'x'; length];
            check(&plain, &OF_TEXT);
            check(&plain, &OF_CDATA);
            check(&plain, &OF_QUOTED);
            check(&plain, &OF_APOSTROPHES);
        }
    }

    fn check<const N: usize>(plain: &[u8], ends: &Ends<N>) {
        assert_eq!(position(plain, ends), plain.len());
        for at in 0..plain.len() {
            for end in 0..=u8::MAX {
                let mut bytes = plain.to_vec();
                bytes[at] = end;
                let expected = if ends.bytes.contains(&end) { at } else { plain.len() };
                assert_eq!(position(&bytes, ends), expected, "{end}");
                // As many as a byte can count come to the same as one.
                bytes[at..].fill(end);
                assert_eq!(position(&bytes, ends), expected, "{end}");
            }
        }
    }

    #[test]
    fn a_name_of_ascii_is_judged_as_any_other() {
        for byte in 0..128_u8 {
            let c = char::from(byte);
            for name in [format!("{c}"), format!("a{c}"), format!("a{c}b"), format!("é{c}b")] {
                let by_the_book = name.starts_with(is_name_start) && name.chars().all(is_name_char);
                assert_eq!(is_ncname(&name), by_the_book, "{name:?}");
            }
            assert_eq!(name_length(&[b'a', byte, b'b']) > 1, is_name_char(c) || c == ':', "{c:?}");
        }
        assert!(!is_ncname("") && name_length("é".as_bytes()) == 2);
    }
}
