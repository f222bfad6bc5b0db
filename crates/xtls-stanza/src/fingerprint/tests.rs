use proptest::prelude::*;

use super::*;

const ALL: [HashAlgo; 6] =
    [HashAlgo::Md5, HashAlgo::Sha1, HashAlgo::Sha224, HashAlgo::Sha256, HashAlgo::Sha384, HashAlgo::Sha512];

/// FIPS 180 test vectors for "abc".
const SHA1_ABC: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";
const SHA224_ABC: &str = "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7";
const SHA256_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const SHA384_ABC: &str =
    "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7";
const SHA512_ABC: &str = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
/// RFC 1321, appendix A.5.
const MD5_ABC: &str = "900150983cd24fb0d6963f7d28e17f72";

#[test]
fn digests_are_those_of_the_test_vectors() {
    let table = [
        (HashAlgo::Sha1, SHA1_ABC),
        (HashAlgo::Sha224, SHA224_ABC),
        (HashAlgo::Sha256, SHA256_ABC),
        (HashAlgo::Sha384, SHA384_ABC),
        (HashAlgo::Sha512, SHA512_ABC),
    ];
    for (algo, hex) in table {
        let fingerprint = Fingerprint::of(algo, b"abc").unwrap();
        assert_eq!(fingerprint.hex(), hex);
        assert_eq!(fingerprint.digest().len(), algo.digest_len());
        assert_eq!(Fingerprint::parse(Some(algo.name()), hex), Ok(fingerprint));
        assert_eq!(Fingerprint::parse(None, hex), Ok(fingerprint), "by length");
        assert!(fingerprint.matches(b"abc"));
        assert!(!fingerprint.matches(b"abd"));
        assert_eq!(fingerprint.is_trustworthy(), algo != HashAlgo::Sha1);
    }
    assert_eq!(Fingerprint::sha256(b"abc").hex(), SHA256_ABC);
    assert_eq!(Fingerprint::sha1(b"abc").hex(), SHA1_ABC);
}

#[test]
fn md5_is_read_but_matches_nothing() {
    for algo in [None, Some("md5"), Some("MD-5")] {
        let fingerprint = Fingerprint::parse(algo, MD5_ABC).unwrap();
        assert_eq!(fingerprint.algo(), HashAlgo::Md5);
        assert!(!fingerprint.is_trustworthy());
        assert!(!fingerprint.matches(b"abc"));
    }
    assert_eq!(Fingerprint::of(HashAlgo::Md5, b"abc"), None);
}

#[test]
fn algorithm_names_are_read_with_and_without_dash_in_any_case() {
    for name in ["sha-256", "sha256", "SHA-256", "Sha256", " sha-256\n"] {
        assert_eq!(name.parse(), Ok(HashAlgo::Sha256), "{name:?}");
    }
    for name in ["sha1", "sha-1", "SHA-1", "SHA1"] {
        assert_eq!(name.parse(), Ok(HashAlgo::Sha1), "{name:?}");
    }
    for name in ["", "sha", "sha-3", "sha-2566", "sha-256-", "sha 256", "s-h-a-2-5-6", "sha3-256", "sha-512/256"] {
        assert_eq!(name.parse::<HashAlgo>(), Err(FingerprintError::UnknownAlgorithm(name.to_owned())));
    }
}

#[test]
fn wire_names_are_those_of_the_draft_and_xep_0300() {
    let names: Vec<String> = ALL.iter().map(HashAlgo::to_string).collect();
    assert_eq!(names, ["md5", "sha1", "sha-224", "sha-256", "sha-384", "sha-512"]);
    for algo in ALL {
        assert_eq!(algo.to_string().parse(), Ok(algo));
        assert_eq!(HashAlgo::by_digits(algo.digest_len() * 2), Some(algo));
    }
}

#[test]
fn whitespace_colons_and_dashes_are_skipped_and_case_is_folded() {
    let expected = Ok(Fingerprint::sha1(b"abc"));
    let texts = [
        "A9993E364706816ABA3E25717850C26C9CD0D89D",
        "A9:99:3E:36:47:06:81:6A:BA:3E:25:71:78:50:C2:6C:9C:D0:D8:9D",
        "a9-99-3e-36-47-06-81-6a-ba-3e-25-71-78-50-c2-6c-9c-d0-d8-9d",
        "\n\t  a9993e36 4706816a\r\n ba3e2571 7850c26c 9cd0d89d \n",
    ];
    for text in texts {
        assert_eq!(Fingerprint::parse(Some("sha-1"), text), expected);
        assert_eq!(Fingerprint::parse(None, text), expected);
        assert_eq!(Fingerprint::parse(Some(""), text), expected);
        assert_eq!(text.parse(), expected);
    }
}

#[test]
fn errors_say_what_was_wrong() {
    let error = |algo, text| Fingerprint::parse(algo, text).unwrap_err();
    assert_eq!(error(Some("sha1"), ""), FingerprintError::Empty);
    assert_eq!(error(None, " :\n"), FingerprintError::Empty);
    assert_eq!(error(Some("sha1"), SHA256_ABC), FingerprintError::Length { algo: HashAlgo::Sha1, digits: 64 });
    assert_eq!(error(Some("sha1"), "a"), FingerprintError::Length { algo: HashAlgo::Sha1, digits: 1 });
    assert_eq!(error(None, "abcd"), FingerprintError::UnknownLength { digits: 4 });
    assert_eq!(error(None, "a9 99g"), FingerprintError::BadCharacter { character: 'g', position: 6 });
    assert_eq!(error(None, "é0"), FingerprintError::BadCharacter { character: 'é', position: 1 });
    // A non-breaking space is not XML whitespace, a full-width digit is not a digit.
    assert_eq!(error(None, "\u{a0}"), FingerprintError::BadCharacter { character: '\u{a0}', position: 1 });
    assert_eq!(error(None, "\u{ff11}"), FingerprintError::BadCharacter { character: '\u{ff11}', position: 1 });
    assert_eq!(error(Some("blake2"), SHA1_ABC).to_string(), "unknown hash algorithm \"blake2\"");
    assert_eq!(error(Some("sha1"), "abcd").to_string(), "a sha1 fingerprint has 40 hexadecimal digits, not 4");
    assert_eq!(error(None, "zz").to_string(), "character 1 of the fingerprint, 'z', is not a hexadecimal digit");
}

#[test]
fn a_fingerprint_of_one_digit_too_few_or_too_many_is_refused() {
    for algo in ALL {
        let digits = algo.digest_len() * 2;
        assert!(Fingerprint::parse(Some(algo.name()), &"a".repeat(digits)).is_ok());
        for wrong in [digits - 1, digits + 1] {
            let text = "a".repeat(wrong);
            assert_eq!(
                Fingerprint::parse(Some(algo.name()), &text),
                Err(FingerprintError::Length { algo, digits: wrong })
            );
            assert_eq!(Fingerprint::parse(None, &text), Err(FingerprintError::UnknownLength { digits: wrong }));
        }
    }
    let long = "a".repeat(100_000);
    assert_eq!(Fingerprint::parse(None, &long), Err(FingerprintError::UnknownLength { digits: 100_000 }));
}

#[test]
fn names_of_unknown_algorithms_are_shortened() {
    let FingerprintError::UnknownAlgorithm(name) = Fingerprint::parse(Some(&"x".repeat(5000)), "aa").unwrap_err()
    else {
        panic!("another error");
    };
    assert_eq!(name.len(), 32);
}

#[test]
fn people_may_name_the_algorithm_before_the_digits() {
    let expected = Ok(Fingerprint::sha256(b"abc"));
    assert_eq!(format!("sha-256:{SHA256_ABC}").parse(), expected);
    assert_eq!(format!("SHA256: {}", SHA256_ABC.to_uppercase()).parse(), expected);
    assert_eq!(format!("sha-256:{}", Fingerprint::sha256(b"abc").colon_hex()).parse(), expected);
    assert_eq!(SHA256_ABC.parse(), expected);
    assert_eq!(
        format!("crc:{SHA256_ABC}").parse::<Fingerprint>(),
        Err(FingerprintError::UnknownAlgorithm("crc".to_owned()))
    );
    assert_eq!(
        format!("sha1:{SHA256_ABC}").parse::<Fingerprint>(),
        Err(FingerprintError::Length { algo: HashAlgo::Sha1, digits: 64 })
    );
}

#[test]
fn debug_and_display_show_algorithm_and_digest() {
    let fingerprint = Fingerprint::sha256(b"abc");
    assert_eq!(format!("{fingerprint:?}"), format!("sha-256:{SHA256_ABC}"));
    assert_eq!(fingerprint.to_string(), format!("sha-256:{SHA256_ABC}"));
    assert!(fingerprint.colon_hex().starts_with("BA:78:16:BF:"));
    assert_eq!(fingerprint.colon_hex().len(), 32 * 3 - 1);
    assert!(fingerprint.grouped().starts_with("ba7816bf 8f01cfea "));
    assert_eq!(fingerprint.grouped().len(), 71);
}

#[test]
fn digests_of_different_algorithms_are_different_fingerprints() {
    let zeros = |algo: HashAlgo| Fingerprint::parse(Some(algo.name()), &"0".repeat(algo.digest_len() * 2)).unwrap();
    assert_ne!(zeros(HashAlgo::Sha1), zeros(HashAlgo::Sha256));
    assert!(zeros(HashAlgo::Sha1) < zeros(HashAlgo::Sha256));
}

proptest! {
    #[test]
    fn every_form_of_a_fingerprint_reads_back(data in proptest::collection::vec(any::<u8>(), 0..64), index in 1_usize..6) {
        let fingerprint = Fingerprint::of(*ALL.get(index).unwrap(), &data).unwrap();
        let algo = fingerprint.algo();
        prop_assert_eq!(Fingerprint::parse(Some(algo.name()), &fingerprint.hex()), Ok(fingerprint));
        prop_assert_eq!(Fingerprint::parse(None, &fingerprint.colon_hex()), Ok(fingerprint));
        prop_assert_eq!(fingerprint.grouped().parse(), Ok(fingerprint));
        prop_assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        prop_assert!(fingerprint.matches(&data));
    }

    #[test]
    fn no_text_makes_the_parser_panic(algo in proptest::option::of(".{0,12}"), text in ".{0,200}") {
        if let Ok(fingerprint) = Fingerprint::parse(algo.as_deref(), &text) {
            prop_assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        }
        drop(text.parse::<Fingerprint>());
    }
}
