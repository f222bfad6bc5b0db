#![allow(clippy::unwrap_used)]

use super::*;

fn jid(text: &str) -> BareJid {
    text.parse().unwrap()
}

fn pin(text: &[u8]) -> Pin {
    Pin::manual(Fingerprint::sha256(text))
}

#[test]
fn pins_are_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    let mut trust = TrustFile::load(path.clone()).unwrap();
    trust.add(&jid("romeo@montague.lit"), pin(b"one")).unwrap();
    trust.add(&jid("romeo@montague.lit"), Pin::new(Fingerprint::sha256(b"two"), Learned::LeapOfFaith)).unwrap();
    let again = TrustFile::load(path.clone()).unwrap();
    assert_eq!(again.record(&jid("romeo@montague.lit")), trust.record(&jid("romeo@montague.lit")));
    assert_eq!(again.iter().count(), 1);
    assert!(trust.remove(&jid("romeo@montague.lit")).unwrap());
    assert!(!trust.remove(&jid("romeo@montague.lit")).unwrap());
    assert_eq!(TrustFile::load(path).unwrap().iter().count(), 0);
}

#[test]
fn two_processes_do_not_undo_each_others_changes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    let mut one = TrustFile::load(path.clone()).unwrap();
    let mut two = TrustFile::load(path.clone()).unwrap();
    one.add(&jid("a@b"), pin(b"a")).unwrap();
    two.add(&jid("c@d"), pin(b"c")).unwrap();
    assert_eq!(TrustFile::load(path).unwrap().iter().count(), 2);
}

#[test]
fn trust_that_is_taken_away_elsewhere_counts_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    let mut one = TrustFile::load(path.clone()).unwrap();
    one.add(&jid("a@b"), pin(b"a")).unwrap();
    let mut two = TrustFile::load(path.clone()).unwrap();
    two.remove(&jid("a@b")).unwrap();
    assert!(one.record(&jid("a@b")).pins.is_empty());
    fs::write(path, "damaged").unwrap();
    assert!(two.record(&jid("a@b")).pins.is_empty());
}

#[test]
fn p14_wrong_passwords_are_counted_across_restarts_and_outlive_the_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    let peer = jid("a@b");
    for (count, time) in [(1, 1000), (2, 1001), (3, 1002)] {
        let mut trust = TrustFile::load(path.clone()).unwrap();
        assert_eq!(trust.record(&peer).locked_until(3, 600, time), None);
        trust.password_tried(&peer, PasswordOutcome::Wrong, time);
        assert_eq!(TrustFile::load(path.clone()).unwrap().record(&peer).attempts.failed, count);
    }
    let mut trust = TrustFile::load(path.clone()).unwrap();
    assert_eq!(trust.record(&peer).locked_until(3, 600, 1003), Some(1602));
    assert!(!trust.remove(&peer).unwrap(), "there is no certificate to forget");
    trust.add(&peer, pin(b"a")).unwrap();
    assert!(trust.remove(&peer).unwrap());
    let mut trust = TrustFile::load(path.clone()).unwrap();
    assert_eq!(trust.record(&peer).locked_until(3, 600, 1003), Some(1602));
    trust.password_tried(&peer, PasswordOutcome::Right, 1700);
    assert_eq!(TrustFile::load(path).unwrap().record(&peer), TrustRecord::default());
}

#[test]
fn p14_wrong_passwords_count_in_this_run_where_the_file_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    let peer = jid("a@b");
    let mut trust = TrustFile::load(path.clone()).unwrap();
    fs::write(&path, "damaged").unwrap();
    for count in 1..=3 {
        trust.password_tried(&peer, PasswordOutcome::Wrong, 1000);
        assert_eq!(trust.record(&peer).attempts.failed, count);
        assert!(trust.take_failure().is_some());
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(trust.record(&peer).attempts.failed, 3);
    trust.password_tried(&peer, PasswordOutcome::Wrong, 1000);
    assert!(trust.take_failure().is_none());
    assert_eq!(TrustFile::load(path).unwrap().record(&peer).attempts.failed, 4);
}

#[test]
fn a_file_from_before_passwords_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    fs::write(&path, r#"{"version":1,"peers":{"a@b":{"pins":[],"secured":true}}}"#).unwrap();
    let record = TrustFile::load(path.clone()).unwrap().record(&jid("a@b"));
    assert!(record.secured_before() && record.attempts == Attempts::default());
    let attempts =
        r#"{"version":1,"peers":{"a@b":{"pins":[],"secured":false,"wrong_passwords":{"count":3,"last":7}}}}"#;
    fs::write(&path, attempts).unwrap();
    let record = TrustFile::load(path).unwrap().record(&jid("a@b"));
    assert_eq!((record.attempts.failed, record.attempts.last_unix), (3, 7));
}

#[test]
fn a_damaged_file_is_reported_by_line_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    let mut trust = TrustFile::load(path.clone()).unwrap();
    for damaged in [
        "",
        "{\"version\":1,\n\"peers\":{",
        "{\"version\":1,\n\"peers\":{\"a@b\":{\"pins\":[],\"secured\":7}}}",
        "{\"version\":1,\"peers\":{\"a@b\":{\"pins\":[{\"fingerprint\":\"zz\",\"learned\":\"manual\"}],\"secured\":true}}}",
    ] {
        fs::write(&path, damaged).unwrap();
        let failure = TrustFile::load(path.clone()).unwrap_err();
        assert!(failure.message.contains("trust.json is damaged"), "{failure}");
        assert!(trust.add(&jid("a@b"), pin(b"a")).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    }
    fs::write(&path, "{\"version\":1,\n\"peers\":{").unwrap();
    let failure = TrustFile::load(path).unwrap_err();
    assert!(failure.message.contains("line 2"), "{failure}");
}

#[test]
fn a_later_version_is_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    fs::write(&path, "{\"version\":2,\"anything\":[]}").unwrap();
    let failure = TrustFile::load(path.clone()).unwrap_err();
    assert!(failure.message.contains("version 2"), "{failure}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"version\":2,\"anything\":[]}");
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
        let mut trust = TrustFile::load(path.clone()).unwrap();
        assert_eq!(trust.record(&jid("a@b")).secured_by, methods, "{peer}");
        // What is written for another peer loses nothing of this one.
        trust.add(&jid("c@d"), pin(b"c")).unwrap();
        assert_eq!(TrustFile::load(path.clone()).unwrap().record(&jid("a@b")).secured_by, methods, "{peer}");
    }
}

#[test]
fn a_member_that_is_not_known_is_reported_and_not_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    let text = r#"{"version":1,"peers":{"a@b":{"pins":[],"secured":true,"newer":1}}}"#;
    fs::write(&path, text).unwrap();
    assert!(TrustFile::load(path.clone()).unwrap_err().message.contains("newer"));
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}
