//! The configuration file: what becomes of it whatever happens, and accounts in it at a real server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use xtls_interop::{Ended, Person, Prosody, Stage, Terminal, Transport, Xtls};

/// The signal of a process that writes more to a file than it may.
const SIGXFSZ: i32 = 25;
const OLD: &str =
    "# Alice's\n\n[accounts.home]\njid = \"alice@localhost\" # mine\n\n[peers]\nbob = \"bob@localhost\"\n";
const ADD: [&str; 6] = ["account", "add", "work", "--jid", "alice@work.example", "--no-login"];

fn config(data_dir: &Path) -> PathBuf {
    data_dir.join("xtls/config.toml")
}

/// A data directory with this configuration file in it.
fn with(text: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir(dir.path().join("xtls")).expect("a directory");
    fs::write(config(dir.path()), text).expect("a file");
    dir
}

fn text(data_dir: &Path) -> String {
    fs::read_to_string(config(data_dir)).expect("there is a configuration file")
}

/// Adds an account where no file may be longer than this. Whether a write beyond that kills or fails `prepared` says.
fn add_within(data_dir: &Path, bytes: usize, prepared: &str) -> Output {
    let command = Xtls::command(data_dir);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{prepared}exec \"$@\"")).arg("sh");
    shell.args(["prlimit", "--core=0", &format!("--fsize={bytes}")]).arg(Xtls::program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.args(ADD).stdin(Stdio::null()).output().expect("sh and prlimit run")
}

/// The file once the account is added.
fn new() -> String {
    let dir = with(OLD);
    let ended = Xtls::run(dir.path(), None, &ADD);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    text(dir.path())
}

#[test]
fn the_configuration_survives_a_kill_in_the_middle_of_any_write() {
    let (dir, new) = (with(OLD), new());
    let mut killed = 0;
    for bytes in (0..new.len()).step_by(13).chain([new.len() - 1]) {
        let status = add_within(dir.path(), bytes, "").status;
        assert_eq!(status.signal(), Some(SIGXFSZ), "{bytes}: {status}");
        assert_eq!(text(dir.path()), OLD, "{bytes}");
        killed += 1;
    }
    assert!(killed > 10);
    // Nothing that they left behind is in the way.
    let whole = add_within(dir.path(), new.len(), "");
    assert!(whole.status.success(), "{whole:?}");
    assert_eq!(text(dir.path()), new);
}

#[test]
fn a_configuration_that_there_is_no_room_for_is_told_and_the_old_one_stays() {
    let (dir, new) = (with(OLD), new());
    for bytes in [0, 1, new.len() - 1] {
        let output = add_within(dir.path(), bytes, "trap '' XFSZ; ");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
        assert!(stderr.contains("the configuration file") && stderr.contains("cannot be written"), "{stderr}");
        assert_eq!(text(dir.path()), OLD);
        let left: Vec<_> = fs::read_dir(dir.path().join("xtls")).expect("it is there").flatten().collect();
        assert_eq!(left.len(), 2, "the file and its lock: {left:?}");
    }
}

#[test]
fn processes_that_change_the_configuration_at_once_lose_nothing() {
    let dir = with(OLD);
    let names: Vec<String> = (0..8).map(|number| format!("a{number}")).collect();
    let start = |name: &String| {
        let jid = format!("{name}@localhost");
        Xtls::start(dir.path(), None, &["account", "add", name, "--jid", &jid, "--no-login"])
    };
    let running: Vec<Xtls> = names.iter().map(start).collect();
    running.into_iter().map(Xtls::wait).for_each(|ended| assert_eq!(ended.code, Some(0), "{}", ended.stderr));
    let listed = Xtls::run(dir.path(), None, &["account", "list"]);
    let mut listed: Vec<&str> = listed.named("account").filter_map(|account| account["name"].as_str()).collect();
    listed.sort_unstable();
    assert_eq!(listed[..8], names[..]);
    assert_eq!(listed[8..], ["home"]);
    assert!(text(dir.path()).starts_with("# Alice's\n\ndefault = \"home\"\n\n[accounts.home]\n"));
}

#[test]
fn accounts_are_listed_shown_chosen_and_removed() {
    let dir = with(OLD);
    let run = |args: &[&str]| Xtls::run(dir.path(), None, &[&["account"], args].concat());
    let one = |ended: Ended| ended.named("account").next().expect("an account is told").clone();
    assert_eq!(run(&ADD[1..]).code, Some(0));
    assert_eq!(run(&ADD[1..]).code, Some(2), "there is one of this name");
    let shown = one(run(&["show"]));
    assert_eq!(
        (&shown["name"], &shown["default"], &shown["password"]),
        (&"home".into(), &true.into(), &"prompt".into())
    );
    assert_eq!(one(run(&["default", "work"]))["default"], true);
    assert_eq!(one(run(&["show"]))["jid"], "alice@work.example");
    assert_eq!(run(&["list"]).named("account").count(), 2);
    assert_eq!(run(&["remove", "work"]).code, Some(0));
    for args in [&["remove", "work"][..], &["show", "work"], &["default", "work"]] {
        let ended = run(args);
        assert_eq!((ended.code, ended.named("error").count()), (Some(2), 1), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("there is no account work in the configuration file; it has home"),
            "{}",
            ended.stderr
        );
    }
    assert_eq!(text(dir.path()), OLD);
}

#[test]
fn a_configuration_that_everybody_can_change_is_warned_of() {
    let dir = with(OLD);
    let path = config(dir.path());
    for (mode, warned) in [(0o666, true), (0o644, false)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
        let listed = Xtls::run(dir.path(), None, &["account", "list"]);
        assert_eq!(listed.code, Some(0), "{}", listed.stderr);
        assert_eq!(listed.stderr.contains("what it says to run: chmod o-w"), warned, "{}", listed.stderr);
    }
}

#[test]
fn a_broken_configuration_is_told_with_its_place_and_is_not_changed() {
    let broken = format!("{OLD}alice = 1\n");
    let dir = with(&broken);
    for args in [&ADD[..], &["listen"], &["chat", "bob"], &["account", "list"]] {
        let ended = Xtls::run(dir.path(), Some("password"), args);
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{}", ended.stderr);
        assert!(ended.stderr.contains("config.toml, line 8, column 9: alice is integer"), "{}", ended.stderr);
        assert_eq!(text(dir.path()), broken);
    }
}

#[test]
fn an_account_that_was_added_at_a_terminal_needs_no_more_options_and_a_nickname_is_a_peer() {
    let stage = Stage::new(Transport::StartTls);
    let (alice, bob) = stage.friends();
    let ca_file = stage.server.ca_file().display().to_string();
    let (right, wrong) = (alice.file("right", &Prosody::password("alice")), alice.file("wrong", "wrong"));
    let add = ["account", "add", "--ca-file", ca_file.as_str()];
    // A login that fails is told, and nothing is written unless that is wanted all the same.
    let typed = format!("alice\nalice@localhost\nno such file\n{wrong}\n{}\n\n", alice.address);
    let (code, said) = Xtls::converse(alice.data_dir(), &add, &typed);
    assert_eq!(code, Some(4), "{said}");
    for words in ["no account before an @", "there is no such file", "account or password is wrong", "was not added"] {
        assert!(said.contains(words), "{words} is not in: {said}");
    }
    assert!(!config(alice.data_dir()).exists());
    let typed = format!("alice@localhost\n{right}\n{}\n", alice.address);
    let (code, said) = Xtls::converse(alice.data_dir(), &add, &typed);
    assert_eq!(code, Some(0), "{said}");
    let groups: Vec<String> =
        alice.fingerprint().as_bytes().chunks(8).map(String::from_utf8_lossy).map(Into::into).collect();
    for words in ["logged in as alice@localhost/xtls-", &groups.join(" "), "account alice  (default)"] {
        assert!(said.contains(words), "{words} is not in: {said}");
    }
    let mut listening = Xtls::start(alice.data_dir(), None, &["listen"]);
    assert_eq!(listening.event("online")["jid"], "alice@localhost/xtls");

    // Bob's is written by hand.
    let secret = bob.file("secret", &format!("{}\nmore\n", Prosody::password("bob")));
    let text = format!(
        "accept-from = []\n[accounts.bob]\njid = \"bob@localhost/here\"\nserver = {:?}\nca-file = {ca_file:?}\n\
         password-command = [\"cat\", {secret:?}]\n[peers]\nalice = \"alice@localhost\"\n",
        bob.address
    );
    fs::create_dir_all(bob.data_dir().join("xtls")).expect("a directory");
    fs::write(config(bob.data_dir()), text).expect("a file");
    let mut chatting = Xtls::start(bob.data_dir(), None, &["chat", "alice"]);
    chatting.line("But soft!");
    chatting.end_input();
    assert_eq!(listening.event("message")["body"], "But soft!");
    let ended = chatting.wait();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(ended.named("online").next().expect("it was online")["jid"], "bob@localhost/here");
    listening.interrupt();
    assert_eq!(listening.wait().code, Some(0));
}

#[test]
fn a_script_adds_an_account_only_if_the_login_works() {
    let stage = Stage::new(Transport::StartTls);
    let alice = stage.person("alice");
    let ca_file = stage.server.ca_file().display().to_string();
    let add = |more: &[&str]| {
        let login = ["account", "add", "--server", &alice.address, "--ca-file", &ca_file];
        Xtls::run(alice.data_dir(), None, &[&login, more].concat())
    };
    let nobody = add(&[]);
    assert_eq!(nobody.code, Some(2), "{}", nobody.stderr);
    assert!(nobody.stderr.contains("give --jid"), "{}", nobody.stderr);
    let failing = add(&["--jid", "alice@localhost", "--password-command", "echo nothing of this is told; exit 7"]);
    assert_eq!(failing.code, Some(1), "{}", failing.stderr);
    assert!(
        failing.stderr.contains("failed with code 7") && !failing.stderr.contains("nothing of"),
        "{}",
        failing.stderr
    );
    let refused = add(&["--jid", "alice@localhost", "--password-command", "echo wrong"]);
    assert_eq!(refused.code, Some(4), "{}", refused.stderr);
    assert!(!config(alice.data_dir()).exists());
    let right = alice.file("right", &Prosody::password("alice"));
    let added = add(&["me", "--jid", "alice@localhost", "--password-command", &format!("cat {right}")]);
    assert_eq!(added.code, Some(0), "{}", added.stderr);
    let account = added.named("account").next().expect("the account is told");
    assert_eq!((&account["name"], &account["password"]), (&"me".into(), &"command".into()));
    let mut listening = Xtls::start(alice.data_dir(), None, &["listen", "--account", "me"]);
    assert_eq!(listening.event("online")["jid"], "alice@localhost/xtls");
    listening.interrupt();
    assert_eq!(listening.wait().code, Some(0));
}

/// Listens with an address that has no resource, and gives the one that the server bound.
fn listen_anywhere(alice: &Person) -> (Xtls, String) {
    let mut listening = alice.start_as(&alice.bare(), &["listen"]);
    let online = listening.event("online");
    let jid = online["jid"].as_str().expect("it has an address");
    let resource = jid.strip_prefix("alice@localhost/").expect("it is hers").to_owned();
    (listening, resource)
}

/// It goes on as if nothing had been.
fn assert_undisturbed(listening: Xtls) {
    listening.interrupt();
    let ended = listening.wait();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

fn is_random(resource: &str) -> bool {
    let random = resource.strip_prefix("xtls-").unwrap_or_default();
    random.len() == 16 && random.bytes().all(|digit| digit.is_ascii_hexdigit())
}

#[test]
fn rfc_6120_7_7_2_2_where_the_usual_resource_is_taken_a_random_one_is_and_nobody_is_ended() {
    let server = Prosody::keeping_resources();
    let here = server.person("alice");
    let mut elsewhere = here.clone();
    elsewhere.move_data("elsewhere");
    let (first, resource) = listen_anywhere(&here);
    assert_eq!(resource, "xtls");
    let (second, other) = listen_anywhere(&elsewhere);
    assert!(is_random(&other), "{other}");
    // One that the user has chosen is no other one.
    let refused = elsewhere.run(&["listen"]);
    assert_eq!(refused.code, Some(4), "{}", refused.stderr);
    assert!(refused.stderr.contains("refused the resource xtls: conflict"), "{}", refused.stderr);
    assert_undisturbed(first);
    assert_undisturbed(second);
}

#[test]
fn of_the_processes_of_one_user_the_first_has_the_usual_resource_until_it_ends() {
    // This server ends the earlier login.
    let server = Prosody::start(Transport::StartTls);
    let alice = server.person("alice");
    let (first, resource) = listen_anywhere(&alice);
    let (second, other) = listen_anywhere(&alice);
    assert_eq!(resource, "xtls");
    assert!(is_random(&other), "{other}");
    assert_undisturbed(first);
    let (third, resource) = listen_anywhere(&alice);
    assert_eq!(resource, "xtls");
    assert_undisturbed(second);
    assert_undisturbed(third);
}

#[test]
fn an_account_is_added_by_answers_at_a_terminal_and_the_password_does_not_show() {
    let stage = Stage::new(Transport::Plain);
    let alice = stage.person("alice");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut adding = Terminal::bare(dir.path(), 80, &["account", "add", "--insecure-plaintext"]);
    adding.at("Your address, such as juliet@capulet.example:");
    adding.keys("alice\r");
    adding.see("this has no account before an @");
    adding.at("Your address, such as juliet@capulet.example:");
    adding.keys("alice@localhost\r");
    adding.see("Password: [enter] to be asked each time");
    adding.keys("\r");
    adding.at("Server: [enter] for the one of the address, or HOST:PORT:");
    adding.keys(&format!("{}\r", stage.server.address()));
    adding.at("Password of alice@localhost:");
    adding.keys(&format!("{}\r", alice.password));
    let (code, shown) = adding.wait();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("* logged in as alice@localhost/xtls-") && shown.contains(": it works"), "{shown}");
    assert!(!adding.came().contains(&alice.password) && !text(dir.path()).contains(&alice.password));
    // What was answered is what is used from then on.
    let mut listening = Terminal::bare(dir.path(), 80, &["listen"]);
    listening.at("Password of alice@localhost:");
    listening.keys(&format!("{}\r", alice.password));
    listening.see("* online as alice@localhost/xtls");
    listening.at(">");
    listening.keys("\x03");
    assert_eq!(listening.wait().0, Some(0));
}
