//! Domainparts (RFC 7622 § 3.2).

use core::net::{Ipv4Addr, Ipv6Addr};
use std::borrow::Cow;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use precis_profiles::UsernameCaseMapped;
use precis_profiles::precis_core::profile::Rules as _;

use super::{Refused, to_fixed_point};

/// How an A-label begins (RFC 5890 § 2.3.2.1).
const A_LABEL: &str = "xn--";
/// Limits of the DNS (RFC 1034 § 3.1), in text: without the root, and without the lengths of labels.
const MAX_LABEL: usize = 63;
const MAX_NAME: usize = 253;
/// What people type for a full stop: those of East Asian scripts, which mean the same in a domain.
const FULL_STOPS: [char; 3] = ['\u{3002}', '\u{FF0E}', '\u{FF61}'];
/// Of ASCII, labels have letters, digits and hyphens (RFC 5890 § 2.3.1), and `_`, which names of hosts have in practice.
const DENIED: AsciiDenyList = AsciiDenyList::new(true, "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~");

pub(super) fn prepare(text: &str) -> Result<Cow<'_, str>, Refused> {
    // § 3.2: before anything else.
    let text = text.strip_suffix('.').or_else(|| text.strip_suffix(FULL_STOPS)).unwrap_or(text);
    if is_ip_address(text) {
        return Ok(Cow::Borrowed(text));
    }
    ascii(text).unwrap_or_else(|| to_fixed_point(text, enforce))
}

/// The A-labels of a domain that was prepared; none for an IP address.
pub(super) fn to_dns_name(domain: &str) -> Option<String> {
    if is_ip_address(domain) {
        return None;
    }
    Uts46::new().to_ascii(domain.as_bytes(), DENIED, Hyphens::Allow, DnsLength::Verify).ok().map(Cow::into_owned)
}

/// What [`enforce`] says of ASCII without A-labels; none for anything else.
fn ascii(text: &str) -> Option<Result<Cow<'_, str>, Refused>> {
    let is_a_label = |label: &str| label.get(..A_LABEL.len()).is_some_and(|start| start.eq_ignore_ascii_case(A_LABEL));
    if !text.is_ascii() || text.split('.').any(is_a_label) {
        return None;
    }
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !text.split('.').all(|label| !label.is_empty() && label.bytes().all(is_allowed)) {
        return Some(Err(Refused::NotAllowed));
    }
    if text.len() > MAX_NAME || text.split('.').any(|label| label.len() > MAX_LABEL) {
        return Some(Err(Refused::TooLong));
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some(Ok(Cow::Owned(text.to_ascii_lowercase())));
    }
    Some(Ok(Cow::Borrowed(text)))
}

/// §§ 3.2.1 and 3.2.2: case, width, NFC and full stops are mapped, and A-labels become U-labels. What is a label after that
/// is decided by UTS 46: one that it would change further, by leaving characters out or taking them apart, is refused.
fn enforce(text: &str) -> Result<Cow<'_, str>, Refused> {
    let uts46 = Uts46::new();
    let mapped = map(text)?;
    let (unicode, result) = uts46.to_unicode(mapped.as_bytes(), DENIED, Hyphens::Allow);
    result.map_err(|_| Refused::NotAllowed)?;
    let mut labels = unicode.split('.');
    for label in mapped.split('.') {
        let prepared = labels.next().filter(|label| !label.is_empty()).ok_or(Refused::NotAllowed)?;
        let is_kept = if label.starts_with(A_LABEL) {
            // RFC 5890 § 2.3.2.1: an A-label and its U-label can be made of one another.
            let ascii = uts46.to_ascii(prepared.as_bytes(), DENIED, Hyphens::Allow, DnsLength::Ignore);
            ascii.is_ok_and(|ascii| ascii == label)
        } else {
            label == prepared
        };
        if !is_kept {
            return Err(Refused::NotAllowed);
        }
    }
    if labels.next().is_some() {
        return Err(Refused::NotAllowed);
    }
    uts46.to_ascii(unicode.as_bytes(), DENIED, Hyphens::Allow, DnsLength::Verify).map_err(|_| Refused::TooLong)?;
    Ok(Cow::Owned(unicode.into_owned()))
}

/// The mappings of § 3.2.2. Letters are mapped one by one, as PRECIS does (§ 3.5 on the final sigma).
fn map(text: &str) -> Result<Cow<'_, str>, Refused> {
    let profile = UsernameCaseMapped::new();
    let lower: String = text.chars().flat_map(lower).collect();
    let wide = profile.width_mapping_rule(lower).map_err(|_| Refused::NotAllowed)?;
    let composed = profile.normalization_rule(wide).map_err(|_| Refused::NotAllowed)?;
    Ok(if composed.contains(FULL_STOPS) { Cow::Owned(composed.replace(FULL_STOPS, ".")) } else { composed })
}

/// A letter in lower case, but for those of Cherokee: folding, which labels have to be stable under (RFC 5892 § 2.2), has
/// their upper case.
fn lower(letter: char) -> impl Iterator<Item = char> {
    let is_cherokee = matches!(letter, '\u{13A0}'..='\u{13FD}' | '\u{AB70}'..='\u{ABBF}');
    let upper = is_cherokee.then(|| letter.to_uppercase());
    let lower = (!is_cherokee).then(|| letter.to_lowercase());
    upper.into_iter().flatten().chain(lower.into_iter().flatten())
}

/// An IPv4address, or an IPv6 address in brackets, with a zone or without (RFC 7622 § 3.1, RFC 6874 § 2). There are no
/// addresses of later versions.
fn is_ip_address(text: &str) -> bool {
    if text.parse::<Ipv4Addr>().is_ok() {
        return true;
    }
    let Some(literal) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else { return false };
    let (address, zone) = literal.split_once("%25").map_or((literal, None), |(address, zone)| (address, Some(zone)));
    address.parse::<Ipv6Addr>().is_ok() && zone.is_none_or(is_zone)
}

/// RFC 6874 § 2: characters that URIs do not reserve. Those in percent-encoding would be one zone in several spellings.
fn is_zone(zone: &str) -> bool {
    !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_is_prepared_as_uts_46_says() {
        let every = (0..=0x7f_u8).flat_map(|byte| {
            let char = char::from(byte);
            [format!("{char}"), format!("a{char}"), format!("{char}a"), format!("a{char}b.example")]
        });
        let mixed = [
            "Capulet.LIT".to_owned(),
            "r3---sn-x.example".to_owned(),
            "-a-.b_c".to_owned(),
            "a..b".to_owned(),
            ".a".to_owned(),
            String::new(),
            "a".repeat(63),
            "a".repeat(64),
            format!("{}.{}", ["a".repeat(62).as_str(); 4].join("."), "b"),
            format!("{}.{}", ["a".repeat(62).as_str(); 4].join("."), "bb"),
        ];
        let mut agreed = 0;
        for text in every.chain(mixed) {
            let Some(fast) = ascii(&text) else { panic!("{text:?} is ASCII") };
            let general = to_fixed_point(&text, enforce);
            // The general rule does not tell an empty label from one that is too long.
            assert_eq!(fast.clone().ok(), general.clone().ok(), "{text:?}");
            agreed += usize::from(fast == general);
        }
        assert!(agreed > 500, "{agreed}");
    }

    #[test]
    fn limits_of_the_dns_hold_for_a_labels() {
        let long = |letters: usize| format!("{}.example", "ü".repeat(letters));
        let label = |letters: usize| {
            let name = long(letters);
            let ascii = Uts46::new().to_ascii(name.as_bytes(), DENIED, Hyphens::Allow, DnsLength::Ignore);
            ascii.unwrap_or_default().split('.').next().map_or(0, str::len)
        };
        let most = (1..100).take_while(|letters| label(*letters) <= MAX_LABEL).last().unwrap_or_default();
        assert!(label(most) == MAX_LABEL && prepare(&long(most)).is_ok());
        assert_eq!(prepare(&long(most + 1)), Err(Refused::TooLong));
    }
}
