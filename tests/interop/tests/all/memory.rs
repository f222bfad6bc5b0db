//! The trust file while others write it, and where it cannot be read or written.

use std::fs;
use std::path::{Path, PathBuf};

use xtls_interop::{Ended, Machine, Stage, Transport, Xtls};

/// How many certificates are trusted.
fn trusted(data_dir: &Path) -> usize {
    Xtls::run(data_dir, None, &["trust", "list"]).named("trusted").count()
}

/// Keeps a data directory from being written: the trust file has no lock where a directory is in the way, not even for root.
fn block(data_dir: &Path) -> PathBuf {
    let lock = data_dir.join("trust.json.lock");
    // There is none before the first change.
    let _ = fs::remove_file(&lock);
    fs::create_dir_all(&lock).expect("a directory");
    lock
}

fn assert_unwritable(words: &str, data_dir: &Path) {
    let why = format!("the trust file {} cannot be written: ", data_dir.join("trust.json").display());
    assert!(words.contains(&why), "{why:?} is not in: {words}");
}

/// The one warning of a peer that is not remembered.
fn assert_not_remembered(ended: &Ended, peer: &str, data_dir: &Path) {
    let told: Vec<_> = ended.named("store_failed").collect();
    let [told] = told[..] else { panic!("{:?}", ended.events) };
    assert_eq!(told["peer"], peer);
    let message = told["message"].as_str().expect("it has words");
    assert!(message.starts_with(&format!("that {peer} was secured, ")), "{message}");
    assert_unwritable(message, data_dir);
    assert_eq!(ended.stderr, format!("xtls: warning: {message}\n"));
}

#[test]
fn processes_that_write_at_once_lose_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let fingerprint = "ab".repeat(32);
    let add =
        |number| Xtls::start(dir.path(), None, &["trust", "add", &format!("peer{number}@localhost"), &fingerprint]);
    let adding: Vec<Xtls> = (0..12).map(add).collect();
    for adding in adding {
        let ended = adding.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    assert_eq!(trusted(dir.path()), 12);
}

#[test]
fn a_certificate_in_the_place_of_a_password_is_told_of() {
    let [romeo, juliet] = Machine::strangers();
    let files = [&romeo, &juliet].map(|machine| machine.file("password", "a rose by any other name\n"));
    for by_password in [true, false] {
        let (his, hers) = (format!("{}={}", romeo.jid, romeo.fingerprint()), juliet.fingerprint());
        let args = if by_password {
            files.each_ref().map(|file| ["--srp-password-file", file.as_str()])
        } else {
            [["--trust", hers.as_str()], ["--trust", his.as_str()]]
        };
        let (mut listening, port) = juliet.listen(&[args[1].as_slice(), &["--once"]].concat());
        let mut connected = romeo.connect(&juliet, port, &args[0]);
        for end in [&mut connected, &mut listening] {
            end.event("stream_open");
        }
        connected.end_input();
        for (end, peer) in [(connected, &juliet), (listening, &romeo)] {
            let ended = end.wait();
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            let told = format!("{} was secured by a password before, and no certificate of it was known", peer.jid);
            assert_eq!(ended.stderr.contains(&told), !by_password, "{}", ended.stderr);
        }
    }
}

#[test]
fn a_link_that_cannot_be_remembered_goes_on_with_a_warning() {
    let [romeo, juliet] = Machine::strangers();
    let (his, hers) = (romeo.fingerprint(), juliet.fingerprint());
    let (romeos, juliets) = (romeo.data_dir(), juliet.data_dir());
    block(&romeos);
    let lock = block(&juliets);
    let his_alone = format!("{}={his}", romeo.jid);
    let (mut listening, port) = juliet.listen(&["--trust", &his_alone, "--once"]);
    let mut connected = romeo.connect(&juliet, port, &["--trust", &hers]);
    connected.line("Wherefore art thou?");
    assert_eq!(listening.event("message")["body"], "Wherefore art thou?");
    connected.end_input();
    for (end, peer, data_dir) in [(connected, &juliet, &romeos), (listening, &romeo, &juliets)] {
        let ended = end.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_not_remembered(&ended, peer.jid, data_dir);
        assert_eq!(trusted(data_dir), 0);
    }
    fs::remove_dir(lock).expect("it is empty");
    juliet.trust(romeo.jid, &his);
    assert_eq!(trusted(&juliets), 1);
}

#[test]
fn a_tunnel_that_cannot_be_remembered_goes_on_with_a_warning() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    bob.trust(&alice);
    let _listening = bob.listen(&[]);
    block(alice.data_dir());
    let mut chatting = alice.start(&["chat", &bob.full(), "--leap-of-faith"]);
    chatting.event("stream_open");
    chatting.end_input();
    let ended = chatting.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_not_remembered(&ended, &bob.bare(), alice.data_dir());
    assert_eq!(trusted(alice.data_dir()), 0);
}

#[test]
fn a_guess_that_cannot_be_counted_is_not_made() {
    let [romeo, juliet] = Machine::strangers();
    let files = [&romeo, &juliet].map(|machine| machine.file("password", "a rose by any other name\n"));
    let lock = block(&romeo.data_dir());
    let (mut listening, port) = juliet.listen(&["--srp-password-file", &files[1]]);
    let connect = || romeo.connect(&juliet, port, &["--srp-password-file", &files[0]]);
    let ended = connect().wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!((ended.stderr.lines().count(), ended.named("secured").count()), (1, 0), "{}", ended.stderr);
    assert_unwritable(&ended.stderr, &romeo.data_dir());
    fs::remove_dir(lock).expect("it is empty");

    // At the other end it is told, and does not end the listener.
    let lock = block(&juliet.data_dir());
    listening.event("error");
    let ended = connect().wait();
    assert!(matches!(ended.code, Some(3 | 4)), "{}", ended.stderr);
    assert_unwritable(listening.event("error")["message"].as_str().expect("it has words"), &juliet.data_dir());
    fs::remove_dir(lock).expect("it is empty");
    let mut connected = connect();
    assert_eq!(connected.event("secured")["authenticated_by"], "password");
    connected.end_input();
    assert_eq!(connected.wait().code, Some(0));
}

#[test]
fn a_trust_file_that_is_damaged_meanwhile_is_named_and_does_not_end_a_listener() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let [romeo, juliet] = Machine::friends();
    let mut listening = bob.listen(&[]);
    let (mut link, port) = juliet.listen(&[]);
    for (waits, data_dir) in [(&mut listening, bob.data_dir()), (&mut link, &juliet.data_dir())] {
        let path = data_dir.join("trust.json");
        let sound = fs::read(&path).expect("the trust file");
        for (text, code) in [(b"damaged".as_slice(), None), (&sound, Some(0))] {
            fs::write(&path, text).expect("it is written");
            let mut begun = if data_dir == bob.data_dir() {
                alice.start(&["chat", &bob.full()])
            } else {
                romeo.connect(&juliet, port, &[])
            };
            if code.is_some() {
                begun.event("stream_open");
                begun.end_input();
                assert_eq!(begun.wait().code, code);
                continue;
            }
            let ended = begun.wait();
            assert!(matches!(ended.code, Some(3 | 4)), "{}", ended.stderr);
            let error = waits.event("error");
            let named = format!("the trust file {} is damaged", path.display());
            assert!(error["message"].as_str().is_some_and(|words| words.contains(&named)), "{error}");
            assert_eq!(fs::read(&path).expect("it is there"), text);
        }
    }
}
