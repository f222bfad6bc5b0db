#![allow(clippy::unwrap_used)]

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use xtls::trust::{Fingerprint, GuessLimits, Method, Pin};

use super::*;

fn jid(text: &str) -> BareJid {
    text.parse().unwrap()
}

fn pin(text: &[u8]) -> Pin {
    Pin::manual(Fingerprint::sha256(text))
}

fn empty() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.sqlite");
    (dir, path)
}

fn open(path: &Path) -> SqliteTrustStore {
    SqliteTrustStore::open(path).unwrap()
}

/// A guess of one of many strangers.
fn guess(seconds: u64) -> Guess {
    let mut limits = GuessLimits::default();
    limits.by_listener = u32::MAX;
    Guess::new(UnixTime::since_unix_epoch(Duration::from_secs(seconds)), limits)
}

#[test]
fn it_does_what_every_store_has_to() {
    let place = || tempfile::tempdir().unwrap();
    xtls_testkit::check_store(place, |dir: &TempDir| open(&dir.path().join("trust.sqlite")));
    // By one connection, too.
    xtls_testkit::check_store(
        || {
            let dir = place();
            (open(&dir.path().join("trust.sqlite")), dir)
        },
        |(store, _)| store.clone(),
    );
}

#[test]
fn what_is_changed_is_found_again_whole() {
    let (_dir, path) = empty();
    let store = open(&path);
    let (own, peer) = (jid("c@d"), jid("a@b"));
    let permit = store
        .change(|known| {
            known.pin(&peer, pin(b"one"));
            known.pin(&peer, pin(b"two"));
            let record = known.of(&peer);
            record.note_secured(Method::Srp);
            record.note_secured(Method::X509);
            record.negotiation_hash = true;
            known.pin(&jid("e@f"), pin(b"three"));
            known.begin_guess(&own, &jid("stranger@f"), &guess(1000))
        })
        .unwrap();
    assert_eq!(permit, Ok(Permit::Granted));
    let known = store.read().unwrap();
    assert_eq!((known.iter().count(), known.listeners().count()), (3, 1));
    assert_eq!(open(&path).read().unwrap(), known);
    assert!(store.change(|known| known.remove(&jid("e@f"))).unwrap());
    assert!(store.change(|known| known.forgive(&own)).unwrap());
    let known = open(&path).read().unwrap();
    assert_eq!((known.iter().count(), known.listeners().count()), (2, 0));
    assert_eq!(known.record(&peer).unwrap().pins, [pin(b"one"), pin(b"two")]);
}

#[test]
fn of_strangers_as_many_are_remembered_as_in_memory_and_nothing_is_forgotten_of_others() {
    const MOST: usize = MemoryTrustStore::MAX_STRANGERS;
    let (_dir, path) = empty();
    let mut store = open(&path);
    let (own, friend) = (jid("c@d"), jid("friend@b"));
    store
        .change(|known| {
            known.pin(&friend, pin(b"a friend's"));
            for (number, time) in (0..MOST - 1).zip(1000..) {
                let _ = known.begin_guess(&own, &jid(&format!("{number}@b")), &guess(time)).unwrap();
            }
        })
        .unwrap();
    let strangers =
        |store: &SqliteTrustStore| store.read().unwrap().iter().filter(|(_, record)| record.is_strangers()).count();
    assert_eq!(store.begin_guess(&own, &friend, &guess(1)), Ok(Permit::Granted));
    // One more is as many as there may be; of one more than that, the one that has not tried for longest goes.
    for (more, kept) in [("more@b", true), ("most@b", false)] {
        assert_eq!(store.begin_guess(&own, &jid(more), &guess(9000)), Ok(Permit::Granted));
        assert_eq!(strangers(&store), MOST);
        assert_eq!(store.record(&jid("0@b")).unwrap().attempts.failed, u32::from(kept));
    }
    assert_eq!(store.record(&friend).unwrap().attempts.failed, 1);
    // With a guess at a new stranger, all strangers go whose guesses are forgiven by then.
    assert_eq!(store.begin_guess(&own, &jid("new@b"), &guess(10_000_000)), Ok(Permit::Granted));
    assert_eq!(strangers(&store), 1);
}

#[cfg(unix)]
#[test]
fn its_owner_alone_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;

    let (dir, path) = empty();
    let store = open(&path);
    let mut connection = store.lock();
    let transaction = connection.transaction().unwrap();
    transaction.execute("INSERT INTO listeners VALUES ('a@b', '{}')", []).unwrap();
    let modes: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().permissions().mode() & 0o777)
        .collect();
    assert_eq!(modes, [0o600; 2], "it and its journal");
}

#[test]
fn what_is_no_database_of_ours_is_named_and_kept() {
    let (_dir, path) = empty();
    let error = |words: &str| {
        let content = fs::read(&path).unwrap();
        let error = SqliteTrustStore::open(&path).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("the trust database {} ", path.display())) && text.contains(words), "{text}");
        assert!(fs::read(&path).unwrap() == content, "{words}");
        error
    };
    fs::write(&path, "no database, whatever it is called, and long enough to be one").unwrap();
    assert!(matches!(error("file is not a database").fault(), FileFault::Damaged(_)));
    fs::remove_file(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE songs (name TEXT)").unwrap();
    error("it is the database of something else");
    other.execute_batch("DROP TABLE songs; PRAGMA application_id = 7").unwrap();
    error("it is the database of something else");
    fs::remove_file(&path).unwrap();
    open(&path);
    let ours = Connection::open(&path).unwrap();
    ours.pragma_update(None, "user_version", VERSION + 1).unwrap();
    assert!(matches!(error("has version 3").fault(), FileFault::Version { found: 3, known: VERSION }));
}

#[test]
fn a_database_from_before_pins_had_dates_is_read_and_raised() {
    let (_dir, path) = empty();
    let store = open(&path);
    store.change(|known| known.pin(&jid("a@b"), pin(b"one"))).unwrap();
    drop(store);
    let old = Connection::open(&path).unwrap();
    old.pragma_update(None, "user_version", OLDEST).unwrap();
    let dated = pin(b"two").with_since(UnixTime::since_unix_epoch(Duration::from_secs(7)));
    let store = open(&path);
    store.change(|known| known.pin(&jid("a@b"), dated)).unwrap();
    assert_eq!(kind(&old).unwrap(), (APPLICATION, VERSION));
    assert_eq!(open(&path).record(&jid("a@b")).unwrap().pins, [pin(b"one"), dated]);
}

#[test]
fn a_database_that_cannot_be_made_or_read_is_named() {
    let (dir, path) = empty();
    let nowhere = dir.path().join("missing/trust.sqlite");
    let error = SqliteTrustStore::open(&nowhere).unwrap_err();
    assert!(matches!(error.fault(), FileFault::Write(e) if e.kind() == io::ErrorKind::NotFound), "{error}");
    assert_eq!(error.path(), nowhere);
    fs::create_dir(&path).unwrap();
    assert_eq!(SqliteTrustStore::open(&path).unwrap_err().path(), path);
}

#[test]
fn a_record_that_cannot_be_read_is_an_error_and_not_a_first_acquaintance() {
    for (column, text) in [("record", "{}}"), ("record", r#"{"pins":[{"fingerprint":"zz"}]}"#), ("address", "a@b@c/d")]
    {
        let (_dir, path) = empty();
        let mut store = open(&path);
        store.change(|known| known.pin(&jid("a@b"), pin(b"one"))).unwrap();
        let broken = Connection::open(&path).unwrap();
        broken.execute(&format!("UPDATE peers SET {column} = ?1"), [text]).unwrap();
        assert!(matches!(store.read().unwrap_err().fault(), FileFault::Damaged(_)), "{text}");
        assert!(store.change(|known| known.pin(&jid("c@d"), pin(b"two"))).is_err(), "{text}");
        if column == "record" {
            let error = store.record(&jid("a@b")).unwrap_err().to_string();
            assert!(error.contains("is damaged: \"a@b\": "), "{error}");
            assert!(store.begin_guess(&jid("e@f"), &jid("a@b"), &guess(1000)).is_err());
        }
    }
}

#[test]
fn a_writer_that_does_not_end_is_waited_for_and_then_told() {
    let (_dir, path) = empty();
    let mut store = open(&path);
    let mut other = Connection::open(&path).unwrap();
    let held = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    // Reading goes on beside it.
    assert_eq!(store.record(&jid("a@b")), Ok(TrustRecord::default()));
    #[allow(clippy::disallowed_methods, reason = "it is waited for in real time")]
    let begun = Instant::now();
    let error = store.begin_guess(&jid("c@d"), &jid("a@b"), &guess(1000)).unwrap_err().to_string();
    #[allow(clippy::disallowed_methods, reason = "it is waited for in real time")]
    let waited = begun.elapsed();
    assert!(error.ends_with("another process has held its lock for 5 s; end it, or try again"), "{error}");
    assert!(waited >= Duration::from_secs(4), "{waited:?}");
    drop(held);
    assert_eq!(store.begin_guess(&jid("c@d"), &jid("a@b"), &guess(1000)), Ok(Permit::Granted));
    assert_eq!(store.record(&jid("a@b")).unwrap().attempts.failed, 1);
}

#[test]
fn a_change_that_panics_changes_nothing_and_the_store_goes_on() {
    let (_dir, path) = empty();
    let store = open(&path);
    let broken = catch_unwind(AssertUnwindSafe(|| {
        store.change(|known| {
            known.pin(&jid("a@b"), pin(b"one"));
            panic!("a mistake");
        })
    }));
    assert!(broken.is_err());
    assert_eq!(store.read().unwrap().iter().count(), 0);
    store.change(|known| known.pin(&jid("a@b"), pin(b"one"))).unwrap();
    assert_eq!(open(&path).read().unwrap().iter().count(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_database_that_is_deleted_under_it_counts_no_more_guesses() {
    let (_dir, path) = empty();
    let mut store = open(&path);
    let (own, peer) = (jid("c@d"), jid("a@b"));
    assert_eq!(store.begin_guess(&own, &peer, &guess(1000)), Ok(Permit::Granted));
    fs::remove_file(&path).unwrap();
    let error = store.begin_guess(&own, &peer, &guess(1001)).unwrap_err();
    assert!(error.to_string().contains("cannot be written"), "{error}");
    // What was known is not forgotten as long as it is open.
    assert_eq!(store.record(&peer).unwrap().attempts.failed, 1);
}
