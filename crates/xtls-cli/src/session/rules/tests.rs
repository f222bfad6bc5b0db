#![allow(clippy::unwrap_used)]

use xtls::{
    Identity,
    tls::KeyAlgorithm,
    trust::{Method, PasswordError, Pin},
};

use super::*;

/// An authority whose key nobody has.
const CA: &str = "-----BEGIN CERTIFICATE-----
MIIBkTCCATegAwIBAgIUZJt60I7Er4PPSKkqp47TKcVgVhAwCgYIKoZIzj0EAwIw
HjEcMBoGA1UEAwwTQXV0aG9yaXR5IGZvciB0ZXN0czAeFw0yNjExMjEwNDU1MDla
Fw0zNjExMTgwNDU1MDlaMB4xHDAaBgNVBAMME0F1dGhvcml0eSBmb3IgdGVzdHMw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAS1o/DI3LV7utfER72DB6OWA2npoVD5
yQz3EBJVoNEDe+SYAoQNDExRRuDbvXGZ4fnPN9M4OteuczRwuYIz/ZpDo1MwUTAd
BgNVHQ4EFgQUsiAg6ChuPwQwme//QIn7rWZ9xRowHwYDVR0jBBgwFoAUsiAg6Chu
PwQwme//QIn7rWZ9xRowDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBF
AiAi09yXycrxlP5dxAElmCSKNk+A8dYOHQ0cO1HAHQrwEwIhAOtV2HyZTS27q/VN
tY5yhbzwsG7m04G0Kip5EWkTPxlh
-----END CERTIFICATE-----
";

fn rules(leap_of_faith: bool) -> Rules {
    let dir = tempfile::tempdir().unwrap();
    Rules::from_args(&args(&[], leap_of_faith, None), &[], &mut trust(dir.path())).unwrap()
}

fn trust(dir: &Path) -> TrustFile {
    crate::data::DataDir::open(Some(dir)).unwrap().trust().unwrap()
}

fn juliet() -> BareJid {
    "juliet@capulet.lit".parse().unwrap()
}

fn pinned(fingerprint: Fingerprint) -> TrustRecord {
    let mut record = TrustRecord::default();
    record.add(Pin::manual(fingerprint));
    record
}

#[test]
fn nothing_known_and_nothing_given_means_pinned_and_no_chance() {
    let rules = rules(false);
    assert_eq!(rules.policy(), TrustPolicy::Pinned);
    assert!(!rules.may_trust(&TrustRecord::default()));
    assert!(rules.may_trust(&pinned(Fingerprint::sha256(b"x"))));
}

/// What the store says of Juliet and of Mallory once the command line has given this, and means these; or why it does not.
fn reading(texts: &[String], named: &[&str]) -> ([Vec<Pin>; 2], Option<Failure>) {
    let dir = tempfile::tempdir().unwrap();
    let mut trust = trust(dir.path());
    let named: Vec<BareJid> = named.iter().map(|peer| peer.parse().unwrap()).collect();
    let rules = Rules::from_args(&args(texts, false, None), &named, &mut trust);
    assert!(rules.as_ref().map_or(true, |rules| rules.policy() == TrustPolicy::Pinned));
    // Whenever it was.
    let timeless = |pins: Vec<Pin>| pins.iter().map(|pin| Pin::new(pin.fingerprint, pin.learned)).collect();
    ([juliet(), mallory()].map(|peer| timeless(trust.record(&peer).unwrap().pins)), rules.err())
}

fn given_to(texts: &[String], named: &[&str]) -> [Vec<Pin>; 2] {
    let (pins, failure) = reading(texts, named);
    assert!(failure.is_none(), "{failure:?}");
    pins
}

fn refused(texts: &[String], named: &[&str]) -> Failure {
    reading(texts, named).1.unwrap()
}

fn mallory() -> BareJid {
    "mallory@verona.lit".parse().unwrap()
}

const JULIET: &str = "juliet@capulet.lit";
const MALLORY: &str = "mallory@verona.lit";

#[test]
fn a_fingerprint_belongs_to_the_peer_it_is_given_for_and_to_nobody_else() {
    let [hers, his] = [Fingerprint::sha256(b"hers"), Fingerprint::sha256(b"his")];
    let both = [format!("{JULIET}={hers}"), format!("{MALLORY}={}", his.colon_hex())];
    let expected = [vec![Pin::manual(hers)], vec![Pin::manual(his)]];
    assert_eq!(given_to(&both, &[JULIET, MALLORY]), expected);
    assert_eq!(given_to(&both, &[]), expected);
    // Two of one peer, who has two devices.
    let two = given_to(&[format!("{JULIET}={hers}"), format!("{JULIET}={his}")], &[]);
    assert_eq!(two, [vec![Pin::manual(hers), Pin::manual(his)], vec![]]);
}

#[test]
fn without_an_address_a_fingerprint_is_the_one_peers_that_is_meant() {
    let sha1 = Fingerprint::sha1(b"certificate");
    let given = Fingerprint::sha256(b"certificate");
    for (text, pin) in [(given.hex(), given), (given.to_string(), given), (sha1.to_string(), sha1)] {
        assert_eq!(given_to(&[text], &[JULIET]), [vec![Pin::manual(pin)], vec![]]);
    }
    for named in [&[][..], &[JULIET, MALLORY]] {
        let failure = refused(&[given.hex()], named);
        assert_eq!(failure.code, crate::exit::Code::Usage);
        assert!(failure.message.contains("does not say whose") && failure.message.contains("BAREJID="), "{failure}");
    }
}

#[test]
fn a_fingerprint_for_somebody_who_is_not_meant_or_for_nobody_is_a_usage_failure() {
    let given = Fingerprint::sha256(b"certificate").hex();
    for (text, named, why) in [
        (format!("{MALLORY}={given}"), &[JULIET][..], "mallory@verona.lit"),
        (format!("{JULIET}/balcony={given}"), &[], "no bare address"),
        (format!("={given}"), &[], "no bare address"),
    ] {
        let failure = refused(std::slice::from_ref(&text), named);
        assert_eq!(failure.code, crate::exit::Code::Usage, "{text}");
        assert!(failure.message.contains(why), "{failure}");
    }
    // The last one parts them: an address may have one of its own.
    let odd = "a=b@capulet.lit";
    let dir = tempfile::tempdir().unwrap();
    let mut trust = trust(dir.path());
    Rules::from_args(&args(&[format!("{odd}={given}")], false, None), &[], &mut trust).unwrap();
    assert_eq!(trust.record(&odd.parse().unwrap()).unwrap().pins.len(), 1);
}

#[test]
fn a_pin_that_is_there_is_not_added_to_from_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut trust = trust(dir.path());
    let [old, new] = [Fingerprint::sha256(b"old"), Fingerprint::sha256(b"new")];
    trust.add(&juliet(), Pin::manual(old)).unwrap();
    let failure = Rules::from_args(&args(&[new.hex()], false, None), &[juliet()], &mut trust).unwrap_err();
    assert_eq!(failure.code, crate::exit::Code::Security);
    for word in [&old.to_string(), &new.to_string(), "--replace", "--keep"] {
        assert!(failure.message.contains(word), "{word} in {failure}");
    }
    assert_eq!(trust.record(&juliet()).unwrap().pins, [Pin::manual(old)]);
    Rules::from_args(&args(&[old.hex()], false, None), &[juliet()], &mut trust).unwrap();
    assert_eq!(trust.record(&juliet()).unwrap().pins, [Pin::manual(old)]);
}

#[test]
fn what_is_no_fingerprint_is_a_usage_failure() {
    for text in ["", "xyz", "12", "md5:d41d8cd98f00b204e9800998ecf8427e", "juliet@capulet.lit=xyz"] {
        let failure = refused(&[text.to_owned()], &[JULIET]);
        assert_eq!(failure.code, crate::exit::Code::Usage, "{text}");
    }
}

fn args(fingerprints: &[String], leap_of_faith: bool, file: Option<&Path>) -> TrustArgs {
    let (fingerprints, srp_password_file) = (fingerprints.to_vec(), file.map(Path::to_owned));
    TrustArgs { fingerprints, leap_of_faith, peer_ca_file: None, srp_password_file, srp_password_prompt: false }
}

/// What comes of a password file with this content.
fn with_password(content: &str) -> (Option<Rules>, Option<Failure>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    std::fs::write(&path, content).unwrap();
    match Rules::from_args(&args(&[], false, Some(&path)), &[], &mut trust(dir.path())) {
        Ok(rules) => (Some(rules), None),
        Err(failure) => (None, Some(failure)),
    }
}

#[test]
fn a_password_gives_a_peer_of_whom_nothing_is_known_a_chance() {
    let rules = with_password("wherefore\n").0.unwrap();
    assert!(rules.may_trust(&TrustRecord::default()));
    assert!(!rules.may_trust_certificate(&TrustRecord::default()));
    assert_eq!(rules.terms().methods, [Method::X509, Method::Srp]);
    assert!(rules.terms().password.is_some());
}

#[test]
fn authorities_give_a_peer_of_whom_nothing_is_known_a_chance_and_a_file_without_any_is_a_usage_failure() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let args = TrustArgs { peer_ca_file: Some(path.clone()), ..args(&[], false, None) };
    let code = || Rules::from_args(&args, &[], &mut trust(dir.path())).unwrap_err().code;
    assert_eq!(code(), crate::exit::Code::Other, "there is no such file");
    std::fs::write(&path, "no PEM").unwrap();
    assert_eq!(code(), crate::exit::Code::Usage);
    let nobodys = Identity::generate(&juliet(), KeyAlgorithm::default(), crate::clock::unix()).unwrap();
    std::fs::write(&path, nobodys.to_pem().certificate).unwrap();
    assert_eq!(code(), crate::exit::Code::Usage);
    std::fs::write(&path, CA).unwrap();
    let rules = Rules::from_args(&args, &[], &mut trust(dir.path())).unwrap();
    assert_eq!(rules.policy(), TrustPolicy::Authorities);
    assert_eq!(rules.authorities().unwrap().len(), 1);
    assert!(rules.may_trust(&TrustRecord::default()));
}

#[test]
fn without_a_password_the_method_is_not_offered() {
    assert_eq!(rules(true).terms().methods, [Method::X509]);
}

#[test]
fn a_password_that_cannot_be_used_is_a_usage_failure_in_the_engines_words() {
    for (line, why) in [
        ("", PasswordError::Empty),
        ("\nsecond", PasswordError::Empty),
        ("\u{AD}\n", PasswordError::Empty),
        ("a\u{7}b", PasswordError::Prohibited),
        ("\u{1F339}", PasswordError::Prohibited),
        (&"x".repeat(1025), PasswordError::TooLong),
    ] {
        let failure = with_password(line).1.unwrap();
        assert_eq!(failure.code, crate::exit::Code::Usage, "{line}");
        assert!(failure.message.starts_with(&why.to_string()), "{failure}");
        assert!(line.is_empty() || !failure.message.contains(line), "the password shows: {failure}");
    }
    assert!(with_password(&"x".repeat(1024)).0.is_some());
}
