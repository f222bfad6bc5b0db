//! Resourceparts: the OpaqueString profile (RFC 8265 § 4.2, RFC 7622 § 3.4).

use std::borrow::Cow;

use precis_profiles::OpaqueString;
use precis_profiles::precis_core::profile::Profile as _;
use precis_profiles::precis_core::{DerivedPropertyValue, FreeformClass, StringClass as _};

use super::{Refused, to_fixed_point};

pub(super) fn prepare(text: &str) -> Result<Cow<'_, str>, Refused> {
    // RFC 8264 §§ 4.3.1 and 9.11: of ASCII, the space and `!` to `~` are valid, and no rule maps them.
    if text.is_ascii() {
        let is_allowed = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        return if is_allowed { Ok(Cow::Borrowed(text)) } else { Err(Refused::NotAllowed) };
    }
    to_fixed_point(text, enforce)
        .or_else(|refused| if is_tolerated(text) { Ok(Cow::Borrowed(text)) } else { Err(refused) })
}

fn enforce(text: &str) -> Result<Cow<'_, str>, Refused> {
    OpaqueString::new().enforce(text).map_err(|_| Refused::NotAllowed)
}

/// Whether nothing but the age of the profile's tables (Unicode 6.3), or a joiner or variation selector, which emoji have,
/// speaks against it. It is then taken byte for byte: nothing rests on a resourcepart but whether it is the same.
fn is_tolerated(text: &str) -> bool {
    let rest: String = text.chars().filter(|char| !is_excused(*char)).collect();
    rest.len() < text.len() && (rest.is_empty() || enforce(&rest).is_ok())
}

fn is_excused(char: char) -> bool {
    matches!(
        char,
        '\u{200C}' | '\u{200D}' | '\u{180B}'..='\u{180D}' | '\u{180F}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}'
    ) || FreeformClass::default().get_value_from_char(char) == DerivedPropertyValue::Unassigned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_is_prepared_as_the_profile_says() {
        let every = (0..=0x7f_u8).map(|byte| char::from(byte).to_string());
        for text in every.chain(["foo bar", " foo", "foo@bar/baz", "a\tb", "Balcony"].map(str::to_owned)) {
            assert_eq!(prepare(&text), to_fixed_point(&text, enforce), "{text:?}");
        }
    }
}
