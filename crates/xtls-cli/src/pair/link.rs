//! A code and the address that shows it as one `xmpp:` URI (RFC 5122), and what is typed where a code is asked for (docs/wire.md § 7).

use std::fmt;

use xtls_stanza::jid::{FullJid, Jid};
use zeroize::Zeroizing;

use super::code::{Code, CodeFault};

/// The scheme, with what ends it.
const SCHEME: &str = "xmpp:";
/// The query type: what is to be done with the address.
const ACTION: &str = "xtls-pair";
/// The key of the code.
const CODE: &str = "code";

/// Why what was typed cannot be used. Nothing of it is in here but addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EntryFault {
    /// It is no code, or none of that address.
    Code(CodeFault),
    /// It is words, and nobody has said whose.
    Whose,
    /// It is a URI with an address that is none.
    Address,
    /// It is a URI for something else, or one without a code.
    Action,
    /// It is the URI of this address, and another one was named.
    Another(Jid),
}

/// The URI of a code that is shown at this address.
pub(super) fn link(shower: &FullJid, code: &Code) -> Zeroizing<String> {
    let mut address = String::from(SCHEME);
    if let Some(local) = shower.local() {
        encode(&mut address, local, "");
        address.push('@');
    }
    // The brackets and colons of an IPv6 address stand for themselves (RFC 3986 § 3.2.2).
    encode(&mut address, shower.domain(), "[]:");
    address.push('/');
    encode(&mut address, shower.resource(), "");
    let code = code.text("-");
    let parts = [address.as_str(), "?", ACTION, ";", CODE, "=", code.as_str()];
    // Made whole at once, so that no part of it stays behind while it grows.
    Zeroizing::new(parts.concat())
}

/// What is typed where the code of a peer is asked for: its four words, or the URI. Gives whose it is.
///
/// # Errors
///
/// When it is no code of that peer, or the peer is not known.
pub(super) fn entered(text: &str, named: Option<&Jid>) -> Result<(Jid, Code), EntryFault> {
    let text = text.trim();
    if !text.get(..SCHEME.len()).is_some_and(|start| start.eq_ignore_ascii_case(SCHEME)) {
        let peer = named.ok_or(EntryFault::Whose)?;
        let code = Code::parse(text, &peer.to_bare()).map_err(EntryFault::Code)?;
        return Ok((peer.clone(), code));
    }
    let (shower, code) = parse(text.get(SCHEME.len()..).unwrap_or_default())?;
    let peer = match named {
        None => shower,
        Some(named) if named.to_bare() != shower.to_bare() => return Err(EntryFault::Another(shower)),
        Some(named) => match (named.to_full(), shower.to_full()) {
            (Some(here), Some(there)) if here != there => return Err(EntryFault::Another(shower)),
            (None, Some(_)) => shower,
            _ => named.clone(),
        },
    };
    Ok((peer, code))
}

/// The address and the code of a URI, or of an IRI, without its scheme.
fn parse(text: &str) -> Result<(Jid, Code), EntryFault> {
    let (text, _fragment) = text.split_once('#').unwrap_or((text, ""));
    let (path, query) = text.split_once('?').ok_or(EntryFault::Action)?;
    let shower = address(path).ok_or(EntryFault::Address)?;
    let mut parts = query.split(';');
    if parts.next() != Some(ACTION) {
        return Err(EntryFault::Action);
    }
    let mut codes = parts.filter_map(|part| part.split_once('=')).filter(|(key, _)| *key == CODE);
    let (Some((_, code)), None) = (codes.next(), codes.next()) else { return Err(EntryFault::Action) };
    let code = Zeroizing::new(decode(code).ok_or(EntryFault::Action)?);
    let code = Code::parse(&code, &shower.to_bare()).map_err(EntryFault::Code)?;
    Ok((shower, code))
}

/// The address that a path is; one with an account to authenticate as before it (RFC 5122 § 2.3) is none here.
fn address(path: &str) -> Option<Jid> {
    let (bare, resource) = match path.split_once('/') {
        Some((bare, resource)) => (bare, Some(decode(resource)?)),
        None => (path, None),
    };
    let (local, domain) = bare.split_once('@').map_or((None, bare), |(local, domain)| (Some(local), domain));
    // What is written as a code is no separator (§ 2.7.2).
    let part = |text: &str| decode(text).filter(|part| !part.contains(['@', '/']) && !part.is_empty());
    let mut address = String::new();
    if let Some(local) = local {
        address.push_str(&part(local)?);
        address.push('@');
    }
    address.push_str(&part(domain)?);
    if let Some(resource) = resource {
        address.push('/');
        address.push_str(&resource);
    }
    Jid::new(&address).ok()
}

/// Writes what may stand in every part of a URI as it is, with these, and codes for all else.
fn encode(out: &mut String, text: &str, also: &str) {
    for byte in text.bytes() {
        let c = char::from(byte);
        if byte.is_ascii_alphanumeric() || "-._~".contains(c) || also.contains(c) {
            out.push(c);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// The text that codes stand for; `None` if they are none, or stand for no text.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || char::from(rest.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(if byte == b'%' { (digit()? << 4) | digit()? } else { byte });
    }
    String::from_utf8(bytes).ok()
}

impl fmt::Display for EntryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(fault) => fault.fmt(f),
            Self::Whose => {
                f.write_str("the words do not say whose code they are: give the xmpp: link, or name the peer")
            }
            Self::Address => f.write_str("the link has no address that could be reached"),
            Self::Action => f.write_str("the link is not for pairing, or has no code"),
            Self::Another(shower) => {
                write!(f, "that is the code of {shower}, which is not whom the command line names")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use xtls_stanza::jid::BareJid;

    use super::*;

    fn full(text: &str) -> FullJid {
        text.parse().unwrap()
    }

    fn jid(text: &str) -> Jid {
        text.parse().unwrap()
    }

    fn code(of: &str) -> Code {
        Code::new(b"verse", &of.parse::<BareJid>().unwrap())
    }

    const JULIET: &str = "juliet@capulet.example";

    #[test]
    fn a_link_is_an_address_and_a_code() {
        let code = code(JULIET);
        let shower = full("juliet@capulet.example/xtls");
        let link = link(&shower, &code);
        assert_eq!(link.as_str(), format!("xmpp:{shower}?xtls-pair;code={}", code.text("-").as_str()));
        assert_eq!(entered(&link, None), Ok((shower.into(), code)));
    }

    #[test]
    fn addresses_with_everything_in_them_are_read_back() {
        for address in [
            "d-artagnan.~_@gascon.example/x",
            "a=b;c!$(*)+,@x.example/?#&;=%40@/ !",
            "żółw@bücher.example/🌹 rose",
            "a@[::1]/x",
            "a@127.0.0.1/%",
            "capulet.example/a",
        ] {
            let shower = full(address);
            let code = Code::new(b"verse", &shower.to_bare());
            let link = link(&shower, &code);
            assert!(link.is_ascii() && !link.contains(' '), "{address}: {}", link.as_str());
            assert_eq!(entered(&link, None), Ok((shower.into(), code)), "{}", link.as_str());
        }
    }

    #[test]
    fn other_ways_to_write_the_same_link_are_read() {
        let code = code(JULIET);
        let text = code.text("-").to_string();
        let spaced = text.replace('-', "%20");
        for (written, peer) in [
            (format!("  XMPP:Juliet@Capulet.example?xtls-pair;code={text}\r"), JULIET),
            (format!("xmpp:{JULIET}/x?xtls-pair;lang=en;code={};x", text.to_uppercase()), "juliet@capulet.example/x"),
            (format!("xmpp:{JULIET}?xtls-pair;code={spaced}#end"), JULIET),
            (format!("xmpp:%6auliet@capulet.example?xtls-pair;code={text}"), JULIET),
        ] {
            assert_eq!(entered(&written, None), Ok((jid(peer), code.clone())), "{written}");
        }
        // An IRI needs no codes.
        let shower = jid("żółw@bücher.example/a");
        let other = Code::new(b"verse", &shower.to_bare());
        let written = format!("xmpp:{shower}?xtls-pair;code={}", other.text("-").as_str());
        assert_eq!(entered(&written, None), Ok((shower, other)));
    }

    #[test]
    fn what_is_no_link_for_pairing_is_told_without_the_code() {
        let text = code(JULIET).text("-").to_string();
        for (written, fault) in [
            ("xmpp:".to_owned(), EntryFault::Action),
            (format!("xmpp:{JULIET}"), EntryFault::Action),
            (format!("xmpp:{JULIET}?message;body={text}"), EntryFault::Action),
            (format!("xmpp:{JULIET}?xtls-pair"), EntryFault::Action),
            (format!("xmpp:{JULIET}?xtls-pair;code={text};code={text}"), EntryFault::Action),
            (format!("xmpp:{JULIET}?xtls-pair;code=%zz"), EntryFault::Action),
            (format!("xmpp:?xtls-pair;code={text}"), EntryFault::Address),
            (format!("xmpp://romeo@x/{JULIET}?xtls-pair;code={text}"), EntryFault::Address),
            (format!("xmpp:a%40b@capulet.example?xtls-pair;code={text}"), EntryFault::Address),
            (format!("xmpp:a%2Fb@capulet.example?xtls-pair;code={text}"), EntryFault::Address),
            (format!("xmpp:{JULIET}%ff?xtls-pair;code={text}"), EntryFault::Address),
            (format!("xmpp:{JULIET}?xtls-pair;code=able"), EntryFault::Code(CodeFault::Count(1))),
            (
                format!("xmpp:romeo@capulet.example?xtls-pair;code={text}"),
                EntryFault::Code(CodeFault::Check("romeo@capulet.example".parse().unwrap())),
            ),
        ] {
            let told = entered(&written, None).unwrap_err();
            assert_eq!(told, fault, "{written}");
            assert!(!text.split('-').any(|word| told.to_string().split(' ').any(|said| said == word)), "{told}");
        }
    }

    #[test]
    fn words_need_a_name_and_a_link_has_to_agree_with_it() {
        let code = code(JULIET);
        let words = code.text(" ");
        assert_eq!(entered(&words, None), Err(EntryFault::Whose));
        assert_eq!(entered(&words, Some(&jid(JULIET))), Ok((jid(JULIET), code.clone())));
        let written = link(&full("juliet@capulet.example/xtls"), &code);
        // The more that is said of the two counts.
        for named in [JULIET, "juliet@capulet.example/xtls"] {
            assert_eq!(entered(&written, Some(&jid(named))), Ok((jid("juliet@capulet.example/xtls"), code.clone())));
        }
        for other in ["romeo@montague.example", "juliet@capulet.example/other"] {
            let shower = jid("juliet@capulet.example/xtls");
            assert_eq!(entered(&written, Some(&jid(other))), Err(EntryFault::Another(shower)), "{other}");
        }
        let without = format!("xmpp:{JULIET}?xtls-pair;code={}", code.text("-").as_str());
        let named = jid("juliet@capulet.example/balcony");
        assert_eq!(entered(&without, Some(&named)), Ok((named, code)));
    }

    proptest! {
        #[test]
        fn any_resource_is_read_back(resource in "[^\\p{Cc}]{1,20}") {
            if let Ok(shower) = format!("{JULIET}/{resource}").parse::<FullJid>() {
                let code = code(JULIET);
                prop_assert_eq!(entered(&link(&shower, &code), None), Ok((shower.into(), code)));
            }
        }

        #[test]
        fn nothing_that_is_typed_is_a_panic(text in "(xmpp:)?[a-z@/?;=%#.\\-]{0,60}") {
            let _ = entered(&text, None);
            let _ = entered(&text, Some(&jid(JULIET)));
        }
    }
}
