//! Fingerprints as they stand in stanzas and as people type them.

use xtls_stanza::{Fingerprint, FingerprintError, HashAlgo, KeyName};

use crate::input::Input;

/// The first line is the name of an algorithm, the rest the digits.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (Ok(name), Ok(text)) = (core::str::from_utf8(input.line()), core::str::from_utf8(input.rest())) else { return };
    let algo = name.parse::<HashAlgo>();
    if let Ok(algo) = algo {
        assert_eq!(algo.name().parse(), Ok(algo));
    }
    for (named, parsed) in [(Some(name), Fingerprint::parse(Some(name), text)), (None, Fingerprint::parse(None, text))]
    {
        match parsed {
            Ok(fingerprint) => {
                assert_eq!(fingerprint.digest(), digits(text).expect("digits and separators"));
                let is_named = named.is_some_and(|name| !name.trim().is_empty());
                assert!(!is_named || algo == Ok(fingerprint.algo()));
                check(&fingerprint);
            }
            Err(fault) => check_fault(&fault, text, algo.as_ref().ok().copied().filter(|_| named.is_some())),
        }
    }
    if let Ok(fingerprint) = text.parse::<Fingerprint>() {
        check(&fingerprint);
    }
    let own = Fingerprint::sha256(data);
    assert!(own.matches(data) && own.is_trustworthy());
    assert_eq!(text.parse::<Fingerprint>().is_ok_and(|other| other == own), other_digits(text, &own));
}

fn check(fingerprint: &Fingerprint) {
    let algo = fingerprint.algo();
    assert_eq!(fingerprint.digest().len(), algo.digest_len());
    assert_eq!(fingerprint.to_string().parse().as_ref(), Ok(fingerprint));
    for text in [fingerprint.hex(), fingerprint.colon_hex()] {
        assert_eq!(Fingerprint::parse(Some(algo.name()), &text).as_ref(), Ok(fingerprint));
        assert_eq!(Fingerprint::parse(None, &text).as_ref(), Ok(fingerprint), "the length tells the algorithm");
        assert_eq!(text.parse().as_ref(), Ok(fingerprint));
    }
    assert_eq!(KeyName::from(fingerprint).fingerprint().as_ref(), Some(fingerprint));
    assert!(!fingerprint.matches(b"something else"));
}

/// The digest by the book: every digit in its place, separators anywhere.
fn digits(text: &str) -> Option<Vec<u8>> {
    let kept: Vec<char> = text.chars().filter(|c| !matches!(c, ' ' | '\t' | '\r' | '\n' | ':' | '-')).collect();
    let pairs = kept.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).ok());
    // A sign is no digit, whatever the standard library says.
    pairs.collect::<Option<Vec<u8>>>().filter(|_| kept.len().is_multiple_of(2) && !kept.contains(&'+'))
}

fn check_fault(fault: &FingerprintError, text: &str, algo: Option<HashAlgo>) {
    let sound = digits(text);
    match fault {
        FingerprintError::Empty => assert!(sound.is_some_and(|digest| digest.is_empty())),
        FingerprintError::Length { algo: named, digits } => {
            assert!(algo == Some(*named) && *digits != named.digest_len() * 2);
        }
        FingerprintError::UnknownLength { digits } => assert!(![32, 40, 56, 64, 96, 128].contains(digits)),
        FingerprintError::BadCharacter { character, position } => {
            assert!(sound.is_none() && text.chars().nth(position - 1) == Some(*character));
        }
        FingerprintError::UnknownAlgorithm(name) => assert!(name.chars().count() <= 32),
        _ => {}
    }
    assert!(fault.to_string().len() < 400);
}

/// Whether a text spells these very digits.
fn other_digits(text: &str, own: &Fingerprint) -> bool {
    let spelt = text.split_once(':').filter(|(name, _)| name.parse() == Ok(own.algo())).map_or(text, |(_, rest)| rest);
    digits(spelt).is_some_and(|digest| digest == own.digest())
}
