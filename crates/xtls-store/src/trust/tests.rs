#![allow(clippy::unwrap_used)]

use std::{fs, path::Path, thread, time::Duration};

use xtls::trust::{Attempts, Fingerprint, GuessCount, GuessLimits, Learned, Method, Pin};

use super::*;
use crate::lock;

fn jid(text: &str) -> BareJid {
    text.parse().unwrap()
}

fn pin(text: &[u8]) -> Pin {
    Pin::manual(Fingerprint::sha256(text))
}

fn add(store: &FileTrustStore, peer: &BareJid, pin: Pin) {
    store.change(|known| known.pin(peer, pin)).unwrap();
}

/// What the file says of a peer.
fn known(path: &Path, peer: &BareJid) -> TrustRecord {
    FileTrustStore::open(path.to_owned()).unwrap().record(peer).unwrap()
}

/// A guess at this time, where three wrong ones are allowed.
fn guess(unix_time: u64) -> Guess {
    let mut limits = GuessLimits::default();
    limits.cooldown = Duration::from_secs(600);
    Guess::new(at(unix_time), limits)
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

#[test]
fn it_does_what_every_store_has_to() {
    let open = |dir: &tempfile::TempDir| FileTrustStore::open(dir.path().join("trust.json")).unwrap();
    xtls_testkit::check_store(|| tempfile::tempdir().unwrap(), open);
}

#[test]
fn pins_are_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    let trust = FileTrustStore::open(path.clone()).unwrap();
    add(&trust, &jid("romeo@montague.lit"), pin(b"one"));
    add(&trust, &jid("romeo@montague.lit"), Pin::new(Fingerprint::sha256(b"two"), Learned::LeapOfFaith));
    let again = FileTrustStore::open(path.clone()).unwrap();
    assert_eq!(again.record(&jid("romeo@montague.lit")), trust.record(&jid("romeo@montague.lit")));
    assert_eq!(again.read().unwrap().known.iter().count(), 1);
    assert!(trust.change(|known| known.remove(&jid("romeo@montague.lit"))).unwrap());
    assert!(!trust.change(|known| known.remove(&jid("romeo@montague.lit"))).unwrap());
    assert_eq!(FileTrustStore::open(path).unwrap().read().unwrap().known.iter().count(), 0);
}

#[test]
fn a_peer_that_an_older_file_has_by_a_labels_and_by_u_labels_keeps_the_pins_of_both() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    let record = |text: &[u8]| {
        let fingerprint = Fingerprint::sha256(text);
        format!(r#"{{"pins":[{{"fingerprint":"{fingerprint}","learned":"manual"}}],"secured":true}}"#)
    };
    let (one, other) = (record(b"one"), record(b"other"));
    let text = format!(r#"{{"version":1,"peers":{{"a@xn--bcher-kva.example":{one},"a@bücher.example":{other}}}}}"#);
    fs::write(&path, text).unwrap();
    for spelling in ["a@xn--bcher-kva.example", "A@Bücher.example"] {
        let known = known(&path, &jid(spelling));
        assert_eq!(known.pins.len(), 2, "{spelling}");
        assert!([pin(b"one"), pin(b"other")].iter().all(|pin| known.pins.contains(pin)));
    }
}

#[test]
fn two_processes_do_not_undo_each_others_changes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    let one = FileTrustStore::open(path.clone()).unwrap();
    let two = FileTrustStore::open(path.clone()).unwrap();
    add(&one, &jid("a@b"), pin(b"a"));
    add(&two, &jid("c@d"), pin(b"c"));
    assert_eq!(FileTrustStore::open(path).unwrap().read().unwrap().known.iter().count(), 2);
}

#[test]
fn trust_that_is_taken_away_elsewhere_counts_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    let one = FileTrustStore::open(path.clone()).unwrap();
    add(&one, &jid("a@b"), pin(b"a"));
    let two = FileTrustStore::open(path).unwrap();
    two.change(|known| known.remove(&jid("a@b"))).unwrap();
    assert!(one.record(&jid("a@b")).unwrap().pins.is_empty());
}

#[test]
fn p14_wrong_passwords_are_counted_across_restarts_and_outlive_the_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    let (own, peer) = (jid("c@d"), jid("a@b"));
    for (count, time) in [(1, 1000), (2, 1001), (3, 1002)] {
        let mut trust = FileTrustStore::open(path.clone()).unwrap();
        assert_eq!(trust.locked_until(&own, &peer, &guess(time)), Ok(None));
        // It is counted before anybody can see whether it is right.
        assert_eq!(trust.begin_guess(&own, &peer, &guess(time)), Ok(Permit::Granted));
        assert_eq!(known(&path, &peer).attempts.failed, count);
    }
    let mut trust = FileTrustStore::open(path.clone()).unwrap();
    assert_eq!(trust.locked_until(&own, &peer, &guess(1003)), Ok(Some(at(1602))));
    assert_eq!(trust.begin_guess(&own, &peer, &guess(1003)), Ok(Permit::Locked { until: at(1602) }));
    assert!(!trust.change(|known| known.remove(&peer)).unwrap(), "there is no certificate to forget");
    add(&trust, &peer, pin(b"a"));
    assert!(trust.change(|known| known.remove(&peer)).unwrap());
    let mut trust = FileTrustStore::open(path.clone()).unwrap();
    assert_eq!(trust.begin_guess(&own, &peer, &guess(1003)), Ok(Permit::Locked { until: at(1602) }));
    assert_eq!(trust.begin_guess(&own, &peer, &guess(1700)), Ok(Permit::Granted));
    trust.guess_was_right(&own, &peer).unwrap();
    // One wrong one of the four is forgiven a day; the right one is taken back.
    let attempts = known(&path, &peer).attempts;
    assert_eq!((attempts.failed, attempts.total), (0, GuessCount::new(3, at(1000))));
}

#[test]
fn p14_guesses_that_are_counted_at_once_are_all_counted() {
    const EACH: u32 = 8;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    let (own, peer) = (jid("c@d"), jid("a@b"));
    // Each of them has opened the file for itself, as a process does.
    let counters: Vec<_> = (0..4)
        .map(|number: u64| {
            let (own, peer, mut trust) = (own.clone(), peer.clone(), FileTrustStore::open(path.clone()).unwrap());
            thread::spawn(move || {
                let granted = (0..EACH).filter(|_| {
                    let mut many = guess(1000);
                    (many.limits.in_a_row, many.limits.by_name) = (20, 20);
                    trust.begin_guess(&own, &peer, &many) == Ok(Permit::Granted)
                });
                let granted = granted.count();
                add(&trust, &jid(&format!("{number}@b")), pin(b"a"));
                granted
            })
        })
        .collect();
    let granted: usize = counters.into_iter().map(|counter| counter.join().unwrap()).sum();
    // Of 32 guesses there are as many as may be made, and no more.
    assert_eq!((granted, known(&path, &peer).attempts.failed), (20, 20));
    assert_eq!(FileTrustStore::open(path).unwrap().read().unwrap().known.iter().count(), 5);
}

#[test]
fn a_trust_file_that_cannot_be_read_is_named_and_stands_for_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    let (own, peer) = (jid("c@d"), jid("a@b"));
    let mut trust = FileTrustStore::open(path.clone()).unwrap();
    add(&trust, &peer, pin(b"a"));
    fs::write(&path, "damaged").unwrap();
    let damaged = format!("the trust file {} is damaged: ", path.display());
    let failures = |trust: &mut FileTrustStore| {
        let counted = trust.begin_guess(&own, &peer, &guess(1000)).unwrap_err();
        [trust.record(&peer).unwrap_err(), counted, trust.guess_was_right(&own, &peer).unwrap_err()]
    };
    for error in failures(&mut trust) {
        assert!(error.to_string().starts_with(&damaged), "{error}");
    }
    assert_eq!(fs::read(&path).unwrap(), b"damaged");
    // Not even root can read a directory as a file.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    for error in failures(&mut trust) {
        assert!(
            error.to_string().starts_with(&format!("the trust file {} cannot be read: ", path.display())),
            "{error}"
        );
    }
}

#[test]
fn a_trust_file_that_cannot_be_written_is_named_and_nothing_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    let (own, peer) = (jid("c@d"), jid("a@b"));
    let mut trust = FileTrustStore::open(path.clone()).unwrap();
    let unwritable = format!("the trust file {} cannot be written: ", path.display());
    // Neither the lock file nor the new content can be written where a directory is in the way.
    for in_the_way in [lock::name_of(&path), dir.path().join(format!(".trust.json.{}", std::process::id()))] {
        fs::create_dir(&in_the_way).unwrap();
        let error = trust.begin_guess(&own, &peer, &guess(1000)).unwrap_err();
        assert!(error.to_string().starts_with(&unwritable), "{error}");
        assert!(error.to_string().ends_with("; check the permissions of its directory"), "{error}");
        assert_eq!(trust.record(&peer), Ok(TrustRecord::default()));
        fs::remove_dir(&in_the_way).unwrap();
    }
    // The lock is not left behind by a failure.
    assert_eq!(trust.begin_guess(&own, &peer, &guess(1000)), Ok(Permit::Granted));
}

#[test]
fn a_file_from_before_passwords_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    fs::write(&path, r#"{"version":1,"peers":{"a@b":{"pins":[],"secured":true}}}"#).unwrap();
    let record = known(&path, &jid("a@b"));
    assert!(record.secured_before() && record.attempts == Attempts::default());
    let attempts =
        r#"{"version":1,"peers":{"a@b":{"pins":[],"secured":false,"wrong_passwords":{"count":3,"last":7}}}}"#;
    fs::write(&path, attempts).unwrap();
    let record = known(&path, &jid("a@b"));
    assert_eq!((record.attempts.failed, record.attempts.last), (3, at(7)));
    assert_eq!(record.attempts.total, GuessCount::new(3, at(7)), "what was in a row was in all");
}

#[test]
fn a_file_that_was_there_and_is_gone_is_an_error_and_no_empty_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    let (own, peer) = (jid("c@d"), jid("a@b"));
    let mut trust = FileTrustStore::open(path.clone()).unwrap();
    // It is not there yet.
    assert_eq!(trust.record(&peer), Ok(TrustRecord::default()));
    add(&trust, &peer, pin(b"a"));
    let mut again = FileTrustStore::open(path.clone()).unwrap();
    let kept = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let gone = format!("the trust file {} is gone", path.display());
    for trust in [&mut trust, &mut again] {
        let calls = [
            trust.record(&peer).unwrap_err(),
            trust.locked_until(&own, &peer, &guess(1000)).unwrap_err(),
            trust.begin_guess(&own, &peer, &guess(1000)).unwrap_err(),
        ];
        assert!(calls.iter().all(|error| error.to_string().starts_with(&gone)), "{calls:?}");
    }
    assert!(!path.exists(), "nothing is made in its place");
    fs::write(&path, kept).unwrap();
    assert_eq!(trust.clone().begin_guess(&own, &peer, &guess(1000)), Ok(Permit::Granted));
}

#[test]
fn a_damaged_file_is_reported_by_line_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    let trust = FileTrustStore::open(path.clone()).unwrap();
    for damaged in [
        "",
        "{\"version\":1,\n\"peers\":{",
        "{\"version\":1,\n\"peers\":{\"a@b\":{\"pins\":[],\"secured\":7}}}",
        "{\"version\":1,\"peers\":{\"a@b\":{\"pins\":[{\"fingerprint\":\"zz\",\"learned\":\"manual\"}],\"secured\":true}}}",
    ] {
        fs::write(&path, damaged).unwrap();
        let failure = FileTrustStore::open(path.clone()).unwrap_err();
        assert!(failure.to_string().contains("trust.json is damaged"), "{failure}");
        assert!(trust.change(|known| known.pin(&jid("a@b"), pin(b"a"))).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    }
    fs::write(&path, "{\"version\":1,\n\"peers\":{").unwrap();
    let failure = FileTrustStore::open(path.clone()).unwrap_err();
    assert!(failure.to_string().contains("line 2"), "{failure}");
    for peer in
        [r#"{"pins":[],"secured":true,"secured_by":["X509"]}"#, r#"{"pins":[],"secured":true,"secured_by":[7]}"#]
    {
        fs::write(&path, format!("{{\"version\":1,\"peers\":{{\n\"a@b\":{peer}}}}}")).unwrap();
        let failure = FileTrustStore::open(path.clone()).unwrap_err();
        assert!(failure.to_string().contains("is damaged") && failure.to_string().contains("line 2"), "{failure}");
    }
    let pin = format!(r#"{{"fingerprint":"{}","learned":"guessed"}}"#, "ab".repeat(32));
    fs::write(&path, format!(r#"{{"version":1,"peers":{{"a@b":{{"pins":[{pin}],"secured":true}}}}}}"#)).unwrap();
    let failure = FileTrustStore::open(path).unwrap_err();
    assert!(failure.to_string().contains("\"guessed\": a pin is learned by"), "{failure}");
}

#[test]
fn the_file_is_written_as_it_always_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    let fingerprints = ["ab", "cd", "ef"].map(|byte| byte.repeat(32));
    let text = format!(
        r#"{{
  "version": 4,
  "peers": {{
    "a@b": {{
      "pins": [
        {{
          "fingerprint": "sha-256:{}",
          "learned": "manual"
        }},
        {{
          "fingerprint": "sha-256:{}",
          "learned": "leap-of-faith"
        }},
        {{
          "fingerprint": "sha-256:{}",
          "learned": "pairing",
          "since": 9
        }}
      ],
      "secured": true,
      "secured_by": [
        "x509",
        "srp"
      ],
      "negotiation_hash": true,
      "wrong_passwords": {{
        "count": 1,
        "last": 7,
        "total": {{
          "count": 4,
          "since": 3
        }}
      }}
    }}
  }},
  "guessed_at": {{
    "c@d": {{
      "count": 2,
      "since": 5
    }}
  }}
}}
"#,
        fingerprints[0], fingerprints[1], fingerprints[2]
    );
    fs::write(&path, &text).unwrap();
    let trust = FileTrustStore::open(path.clone()).unwrap();
    add(&trust, &jid("c@d"), pin(b"c"));
    assert_ne!(fs::read_to_string(&path).unwrap(), text);
    trust.change(|known| known.remove(&jid("c@d"))).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert!(
        trust.change(|known| known.forgive(&jid("a@b"))).unwrap()
            && trust.change(|known| known.forgive(&jid("c@d"))).unwrap()
    );
    assert!(
        !trust.change(|known| known.forgive(&jid("a@b"))).unwrap()
            && !trust.change(|known| known.forgive(&jid("c@d"))).unwrap()
    );
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains("wrong_passwords") && !text.contains("guessed_at") && text.contains("manual"), "{text}");
}

#[test]
fn a_later_version_is_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    fs::write(&path, "{\"version\":5,\"anything\":[]}").unwrap();
    let failure = FileTrustStore::open(path.clone()).unwrap_err();
    assert!(failure.to_string().contains("version 5"), "{failure}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"version\":5,\"anything\":[]}");
}

#[test]
fn the_methods_that_secured_a_peer_are_kept_and_told_from_the_pins_of_an_older_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    let pins = format!(r#"[{{"fingerprint":"sha-256:{}","learned":"manual"}}]"#, "ab".repeat(32));
    for (peer, methods) in [
        (r#"{"pins":[],"secured":false}"#.to_owned(), vec![]),
        (r#"{"pins":[],"secured":true}"#.to_owned(), vec![Method::Srp]),
        (format!(r#"{{"pins":{pins},"secured":true}}"#), vec![Method::X509]),
        (format!(r#"{{"pins":{pins},"secured":false}}"#), vec![]),
        (r#"{"pins":[],"secured":true,"secured_by":["x509"]}"#.to_owned(), vec![Method::X509]),
        (r#"{"pins":[],"secured":true,"secured_by":["srp","x509"]}"#.to_owned(), vec![Method::Srp, Method::X509]),
    ] {
        fs::write(&path, format!(r#"{{"version":1,"peers":{{"a@b":{peer}}}}}"#)).unwrap();
        let trust = FileTrustStore::open(path.clone()).unwrap();
        assert_eq!(trust.record(&jid("a@b")).unwrap().secured_by, methods, "{peer}");
        // What is written for another peer loses nothing of this one.
        add(&trust, &jid("c@d"), pin(b"c"));
        assert_eq!(known(&path, &jid("a@b")).secured_by, methods, "{peer}");
    }
}

#[test]
fn a_member_that_is_not_known_is_reported_and_not_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    let text = r#"{"version":1,"peers":{"a@b":{"pins":[],"secured":true,"newer":1}}}"#;
    fs::write(&path, text).unwrap();
    assert!(FileTrustStore::open(path.clone()).unwrap_err().to_string().contains("newer"));
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn what_stands_under_a_name_that_is_no_address_any_more_is_kept_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    let pins = format!(r#"[{{"fingerprint":"sha-256:{}","learned":"manual"}}]"#, "ab".repeat(32));
    let text = format!(r#"{{"version":1,"peers":{{"\u265A@x":{{"pins":{pins},"secured":true}}}}}}"#);
    fs::write(&path, text).unwrap();
    let trust = FileTrustStore::open(path.clone()).unwrap();
    assert_eq!(trust.read().unwrap().unread().collect::<Vec<_>>(), ["\u{265A}@x"]);
    assert_eq!(trust.read().unwrap().known.iter().count(), 0);
    add(&trust, &jid("c@d"), pin(b"c"));
    let again = FileTrustStore::open(path.clone()).unwrap();
    assert_eq!(again.read().unwrap().unread().collect::<Vec<_>>(), ["\u{265A}@x"]);
    assert!(fs::read_to_string(&path).unwrap().contains(&"ab".repeat(32)));
    assert_eq!(again.read().unwrap().known.iter().count(), 1);
}
