use core::time::Duration;

use super::*;
#[cfg(feature = "serde")]
use crate::guess::GuessLimits;

#[cfg(feature = "serde")]
fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

#[test]
fn how_a_pin_was_learned_reads_back_and_nothing_else_does() {
    for learned in [Learned::Manual, Learned::LeapOfFaith, Learned::Pairing, Learned::Comparison] {
        assert_eq!(learned.to_string().parse(), Ok(learned));
        assert_eq!(learned.to_string(), learned.as_str());
    }
    for name in ["", "manua", "manually", "Manual", " manual", "leap-of-faith\n", "leap of faith", "leap_of_faith"] {
        assert_eq!(name.parse::<Learned>(), Err(LearnedError::Unknown), "{name:?}");
    }
    assert_eq!(
        LearnedError::Unknown.to_string(),
        "a pin is learned by `manual`, `leap-of-faith`, `pairing` or `comparison`"
    );
}

#[cfg(feature = "serde")]
#[test]
fn a_record_is_written_in_words_and_read_back() {
    let mut record = TrustRecord::default();
    record.add(Pin::new(Fingerprint::sha256(b"certificate"), Learned::LeapOfFaith));
    record.add(Pin::new(Fingerprint::sha256(b"another"), Learned::Pairing).with_since(at(777)));
    record.note_secured(Method::Srp);
    let _ = record.begin_guess(&mut GuessCount::default(), &Guess::new(at(1000), GuessLimits::default()));
    let text = serde_json::to_string(&record).expect("it can be written");
    for word in [
        "\"sha-256:",
        "\"leap-of-faith\"",
        "\"pairing\",\"since\":777",
        "\"srp\"",
        "\"failed\":1",
        "\"count\":1",
        "1000",
    ] {
        assert!(text.contains(word), "{word} in {text}");
    }
    assert_eq!(serde_json::from_str::<TrustRecord>(&text).ok(), Some(record));
    // What was added since is as good as absent.
    assert_eq!(serde_json::from_str::<TrustRecord>("{}").ok(), Some(TrustRecord::default()));
    for broken in ["\"leap\"", "1", "null"] {
        assert!(serde_json::from_str::<Learned>(broken).is_err(), "{broken}");
    }
}

#[test]
fn a_users_word_replaces_a_leap_of_faith_and_not_the_other_way_round() {
    let fingerprint = Fingerprint::sha256(b"certificate");
    let mut record = TrustRecord::default();
    record.add(Pin::new(fingerprint, Learned::LeapOfFaith));
    record.add(Pin::manual(fingerprint));
    record.add(Pin::new(fingerprint, Learned::LeapOfFaith));
    assert_eq!(record.pins, [Pin::manual(fingerprint)]);
    // Whichever of the two the user did last counts.
    let paired = Pin::new(fingerprint, Learned::Pairing).with_since(UnixTime::since_unix_epoch(Duration::from_secs(7)));
    record.add(paired);
    record.add(Pin::new(fingerprint, Learned::LeapOfFaith));
    assert_eq!(record.pins, [paired]);
}

#[test]
fn a_weak_pin_gives_way_to_the_strong_one_for_the_same_certificate() {
    let weak = Pin::manual(Fingerprint::sha1(b"certificate"));
    let strong = Pin::manual(Fingerprint::sha256(b"certificate"));
    let other = Pin::manual(Fingerprint::sha1(b"another device's"));
    let mut record = TrustRecord { pins: vec![weak, other], ..TrustRecord::default() };
    let learn = Learn { pin: strong, replaces: vec![weak.fingerprint] };
    let judged_by = Some(vec![other.fingerprint, weak.fingerprint]);
    let confirmed = Confirmed::new(Method::X509, judged_by, Some(learn));
    assert_eq!(record.confirm(&confirmed), Confirmation::Remembered);
    assert_eq!(record.pins, [other, strong]);
}

#[test]
fn a_confirmation_by_pins_that_have_changed_is_refused_and_changes_nothing() {
    let [first, second] = [b"one".as_slice(), b"other"].map(|der| Pin::manual(Fingerprint::sha256(der)));
    let leap = |pin| Confirmed::new(Method::X509, Some(Vec::new()), Some(Learn { pin, replaces: Vec::new() }));
    let mut record = TrustRecord::default();
    assert_eq!(record.confirm(&leap(first)), Confirmation::Remembered);
    let before = record.clone();
    assert_eq!(record.confirm(&leap(second)), Confirmation::PinsChanged);
    // One that was taken away, and one that was put in its place.
    for judged_by in [vec![first.fingerprint, second.fingerprint], vec![second.fingerprint]] {
        let by_pin = Confirmed::new(Method::X509, Some(judged_by), None);
        assert_eq!(record.confirm(&by_pin), Confirmation::PinsChanged);
    }
    assert_eq!(record, before);
    // Pins are nothing to a password.
    assert_eq!(record.confirm(&Confirmed::new(Method::Srp, None, None)), Confirmation::Remembered);
    assert_eq!(record.secured_by, [Method::X509, Method::Srp]);
}
