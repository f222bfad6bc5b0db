//! The data directory, without any server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use xtls_interop::{Ended, Xtls};

const LISTEN: [&str; 5] = ["listen", "--jid", "alice@localhost/x", "--server", "127.0.0.1:1"];

fn run(data_dir: &Path, args: &[&str]) -> Ended {
    Xtls::run(data_dir, Some("password"), args)
}

#[test]
fn a_data_directory_that_cannot_be_made_is_one_clear_line() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("file");
    fs::write(&file, "kept").expect("a file");
    // Below a regular file not even root may make anything.
    for args in [LISTEN.as_slice(), &["identity", "--jid", "alice@localhost"], &["trust", "list"]] {
        let ended = run(&file.join("data"), args);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1);
        assert!(ended.stderr.contains("file/data") && ended.stderr.contains("--data-dir"), "{}", ended.stderr);
    }
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "kept");
}

#[test]
fn a_corrupt_trust_file_is_named_and_kept_byte_for_byte() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("trust.json");
    let corrupt = b"{\"version\":1,\n\"peers\":{\"bob@localhost\":{\"pins\":[\xff";
    fs::write(&path, corrupt).expect("a file");
    let fingerprint = "ab".repeat(32);
    let commands: [&[&str]; 4] = [
        &LISTEN,
        &["trust", "list"],
        &["trust", "add", "bob@localhost", &fingerprint],
        &["chat", "bob@localhost/x", "--leap-of-faith", "--jid", "alice@localhost/x", "--server", "127.0.0.1:1"],
    ];
    for args in commands {
        let ended = run(dir.path(), args);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1);
        assert!(ended.stderr.contains("trust.json is damaged") && ended.stderr.contains("line 2"), "{}", ended.stderr);
        assert_eq!(fs::read(&path).expect("it is there"), corrupt);
    }
    assert_eq!(fs::read_dir(dir.path()).expect("it is there").count(), 1, "nothing else was written");
}

#[test]
fn a_certificate_is_added_to_others_only_where_the_user_says_what_becomes_of_them() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let [old, new] = ["ab", "cd"].map(|byte| format!("sha-256:{}", byte.repeat(32)));
    let add = |fingerprint: &str, more: &[&str]| {
        run(dir.path(), &[&["trust", "add", "bob@localhost", fingerprint][..], more].concat())
    };
    let trusted = || {
        let shown = run(dir.path(), &["trust", "list"]);
        let fingerprint = |event: &serde_json::Value| event["fingerprint"].as_str().map(str::to_owned);
        shown.named("trusted").filter_map(fingerprint).collect::<Vec<_>>()
    };
    assert_eq!(add(&old, &[]).code, Some(0));
    assert_eq!(add(&old, &[]).code, Some(0), "the same once more");
    let refused = add(&new, &[]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    for word in [&old, &new, "--keep", "--replace"] {
        assert!(refused.stderr.contains(word), "{word} is not in: {}", refused.stderr);
    }
    assert_eq!(trusted(), std::slice::from_ref(&old));
    assert_eq!(add(&new, &["--keep"]).code, Some(0));
    assert_eq!(trusted(), [old, new.clone()]);
    assert_eq!(add(&new, &["--replace"]).code, Some(0));
    assert_eq!(trusted(), [new]);
}

#[test]
fn trust_is_added_listed_and_removed() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let fingerprint = "0a:".repeat(31) + "0A";
    assert_eq!(run(dir.path(), &["trust", "add", "bob@localhost", &fingerprint]).code, Some(0));
    let listed = run(dir.path(), &["trust", "list"]);
    let pin = listed.named("trusted").next().expect("a pin");
    assert_eq!((&pin["jid"], &pin["learned"]), (&"bob@localhost".into(), &"manual".into()));
    assert_eq!(pin["fingerprint"], format!("sha-256:{}", "0a".repeat(32)).as_str());
    assert_eq!(run(dir.path(), &["trust", "remove", "bob@localhost"]).code, Some(0));
    assert_eq!(run(dir.path(), &["trust", "remove", "bob@localhost"]).code, Some(1));
    assert_eq!(run(dir.path(), &["trust", "list"]).named("trusted").count(), 0);
    assert_eq!(run(dir.path(), &["trust", "add", "bob@localhost", "zz"]).code, Some(2));
}

#[test]
fn an_identity_stays_the_same_and_its_key_is_private() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("data");
    assert_eq!(run(&data, &["identity"]).code, Some(2), "nobody is named yet");
    let first = run(&data, &["identity", "--jid", "alice@localhost"]);
    let second = run(&data, &["identity"]);
    assert_eq!(first.events, second.events);
    let identity = first.named("identity").next().expect("an identity");
    assert_eq!(identity["jid"], "alice@localhost");
    assert_eq!(identity["sha256"].as_str().map(str::len), Some(64));
    assert_eq!(identity["sha1"].as_str().map(str::len), Some(40));
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("identities/alice@localhost.pem")), 0o600);
}

#[test]
fn wrong_usage_ends_with_2() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let commands: [&[&str]; 4] = [
        &["shout"],
        &["listen"],
        &["listen", "--jid", "alice@localhost/x", "--server", "localhost:none"],
        &["chat", "bob@localhost", "--jid", "alice@localhost/x", "--trust", "12"],
    ];
    for args in commands {
        let ended = run(dir.path(), args);
        assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert_eq!((ended.events.len(), ended.named("error").count()), (1, 1), "{:?}", ended.events);
    }
}

#[test]
fn without_a_password_and_a_terminal_nothing_is_tried() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let ended = Xtls::run(dir.path(), None, &LISTEN);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("XTLS_PASSWORD"), "{}", ended.stderr);
}

#[test]
fn the_demonstration_moves_a_file_unchanged() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("file");
    fs::write(&file, vec![7; 100_001]).expect("a file");
    let ended = run(dir.path(), &["demo", "--file", &file.display().to_string()]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let transfer = ended.named("transfer").next().expect("the transfer is told");
    assert_eq!((&transfer["bytes"], &transfer["equal"]), (&100_001.into(), &true.into()));
    for secured in ended.named("secured") {
        assert_eq!(secured["tls_version"], "TLS 1.3");
        assert_eq!(secured["confirmed"], true);
    }
    assert_eq!(ended.named("secured").count(), 2);
    assert!(ended.named("closed").all(|closed| closed["reason"] == "done"), "{:#?}", ended.events);
}

#[test]
fn trust_show_tells_what_is_known_of_one_peer() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let unknown = run(dir.path(), &["trust", "show", "bob@localhost"]);
    assert_eq!(unknown.code, Some(1), "{}", unknown.stderr);
    assert_eq!(unknown.stderr, "xtls: bob@localhost is not known: see xtls trust list\n");

    let fingerprint = "ab".repeat(32);
    assert_eq!(run(dir.path(), &["trust", "add", "bob@localhost", &fingerprint]).code, Some(0));
    let shown = run(dir.path(), &["trust", "show", "bob@localhost"]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    let since = shown.events[0]["pins"][0]["since"].clone();
    assert!(since.as_str().is_some_and(|since| since.ends_with('Z')), "{since}");
    let expected = serde_json::json!({
        "event": "peer", "jid": "bob@localhost", "secured_by": [], "negotiation_hash": false, "wrong_passwords": 0, "wrong_in_all": 0, "last_wrong": null,
        "wrong_by_strangers": 0,
        "locked_until": null, "pins": [{ "fingerprint": format!("sha-256:{fingerprint}"), "learned": "manual", "since": since }],
    });
    assert_eq!(shown.events, [expected]);
}

/// Makes a self-signed certificate with these options of `openssl req`, and gives its file.
fn certificate(dir: &Path, name: &str, options: &[&str]) -> String {
    let path = |extension: &str| dir.join(name).with_extension(extension).display().to_string();
    let certificate = path("pem");
    let status = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-subj", "/CN=bob", "-out", &certificate, "-keyout", &path("key")])
        .args(options)
        .stderr(Stdio::null())
        .status()
        .expect("openssl is installed");
    assert!(status.success(), "openssl makes no certificate with {options:?}");
    certificate
}

#[test]
fn a_certificate_that_can_never_work_is_not_trusted_and_named() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let critical = ["-newkey", "ed25519", "-addext", "1.2.3.4=critical,DER:0500"];
    for (name, options, words) in [
        ("ed448", ["-newkey", "ed448"].as_slice(), "kind or length that is not accepted: Ed448"),
        ("pss", &["-newkey", "rsa-pss"], "kind or length that is not accepted: RSA-PSS"),
        ("rsa", &["-newkey", "rsa:1024"], "kind or length that is not accepted: RSA 1024"),
        ("critical", &critical, "a critical extension that is not understood: 1.2.3.4"),
    ] {
        let file = certificate(dir.path(), name, options);
        let ended = run(&dir.path().join("data"), &["trust", "add", "bob@localhost", &file]);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{words:?} is not in: {}", ended.stderr);
    }
    assert_eq!(run(&dir.path().join("data"), &["trust", "list"]).named("trusted").count(), 0);
    // A mark before it hides nothing.
    let file = certificate(dir.path(), "good", &["-newkey", "ed25519"]);
    let text = fs::read_to_string(&file).expect("it is there");
    fs::write(&file, format!("\u{feff}{text}")).expect("it is written");
    assert_eq!(run(&dir.path().join("data"), &["trust", "add", "bob@localhost", &file]).code, Some(0));
}

#[test]
fn what_every_user_can_read_or_change_is_warned_of() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("data");
    let chmod = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    assert_eq!(run(&data, &["identity", "--jid", "alice@localhost"]).stderr, "");
    let key = data.join("identities/alice@localhost.pem");
    for (path, mode, private) in [(&key, 0o644, 0o600), (&data, 0o777, 0o700)] {
        chmod(path, mode);
        let warned = run(&data, &["identity"]).stderr;
        assert_eq!(warned.lines().count(), 1, "{warned}");
        assert!(warned.starts_with("xtls: warning: ") && warned.contains(&path.display().to_string()), "{warned}");
        chmod(path, private);
    }
    let file = dir.path().join("password");
    fs::write(&file, "a rose").expect("it is written");
    chmod(&file, 0o644);
    let name = file.display().to_string();
    let account = run(&data, &[&LISTEN[..], &["--password-file", &name]].concat());
    let shared = run(&data, &[&LISTEN[..], &["--srp-password-file", &name]].concat());
    for warned in [account.stderr, shared.stderr] {
        assert!(warned.contains(&format!("the password file {name} can be read by every user")), "{warned}");
    }
    chmod(&file, 0o640);
    let account = run(&data, &[&LISTEN[..], &["--password-file", &name]].concat());
    assert!(!account.stderr.contains("warning"), "{}", account.stderr);
}

#[test]
fn a_certificate_that_was_trusted_under_an_address_that_older_software_confuses_is_told_of() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let fingerprint = "ab".repeat(32);
    assert_eq!(run(dir.path(), &["trust", "add", "juliet@strasse.example", &fingerprint]).code, Some(0));
    let chat = ["chat", "juliet@straße.example/x", "--jid", "romeo@localhost/x", "--server", "127.0.0.1:1"];
    let ended = run(dir.path(), &chat);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("; one of juliet@strasse.example is, which is another address"), "{}", ended.stderr);
}
