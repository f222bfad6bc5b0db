#![allow(clippy::unwrap_used, clippy::unwrap_in_result)]

use std::fs;

use clap::Parser as _;

use super::*;
use crate::args::{Cli, Command};
use crate::exit::Code;

/// A directory with this configuration file.
fn with(text: &str) -> (tempfile::TempDir, ConfigFile) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    fs::write(&path, text).unwrap();
    let file = ConfigFile::find(Some(&path));
    (dir, file)
}

fn text(dir: &tempfile::TempDir) -> String {
    fs::read_to_string(dir.path().join("config.toml")).unwrap()
}

fn account(name: &str, jid: &str) -> StoredAccount {
    let (login, policies) = (LoginArgs::default(), Policies::default());
    StoredAccount { name: name.to_owned(), jid: jid.parse().unwrap(), login, policies }
}

const WHOLE: &str = r#"# Juliet's
default = "home" # mostly
leap-of-faith = true
accept-from = ["romeo"]

# the balcony
[accounts.home]
jid = "juliet@capulet.example"
server = "xmpp.capulet.example:5222"
direct-tls = true
ca-file = "ca.pem"
password-command = ["pass", "show", "xmpp"]

[accounts."j.c"]
jid = "j@elsewhere.example/desk"
server-fingerprint = "abababababababababababababababababababababababababababababababab"
password-file = "/secret/password"
peer-ca-file = "peers.pem"
profile = "strict"
accept-from = ["nurse@capulet.example", "Romeo"]

[peers]
romeo = "romeo@montague.example"
"#;

#[test]
fn a_whole_file_is_read() {
    let (dir, file) = with(WHOLE);
    let config = file.read().unwrap();
    let [home, other] = &config.accounts[..] else { panic!("{config:?}") };
    assert!(config.is_default(home) && !config.is_default(other));
    assert_eq!((home.name.as_str(), home.jid.as_str()), ("home", "juliet@capulet.example"));
    assert_eq!(home.login.ca_file, Some(dir.path().join("ca.pem")), "it is beside the file that names it");
    let words = ["pass", "show", "xmpp"].map(str::to_owned).to_vec();
    assert_eq!(home.login.stored_password, Some(StoredPassword::Program(words)));
    assert_eq!(home.policies.leap_of_faith, Some(true));
    assert_eq!(home.policies.accept_from, Some(vec!["romeo@montague.example".parse().unwrap()]));
    // Of the two that exclude one another an account has both from the same place.
    assert_eq!((other.policies.leap_of_faith, other.policies.profile), (None, Some(Profile::Strict)));
    assert_eq!(other.policies.accept_from.as_ref().unwrap().len(), 2);
    assert_eq!(other.login.stored_password, Some(StoredPassword::File("/secret/password".into())));
}

#[test]
fn what_is_wrong_is_told_with_line_and_column_and_the_file_stays() {
    for (text, place, why) in [
        ("default = \"x\"", "line 1, column 11", "there is no account x"),
        ("defualt = \"x\"", "line 1, column 1", "there is no defualt here; there are default, accounts"),
        ("\n\n  [peers\n", "line 3, column 9", "unclosed table"),
        ("x = 1\nx = 2\n", "line 2, column 1", "duplicate key"),
        ("password = \"secret\"", "line 1, column 1", "a password has no place in this file"),
        ("[accounts.a]\njid = \"a@b\"\n  password = \"secret\"", "line 3, column 3", "a password has no place"),
        ("[accounts.a]\njid = \"b\"", "line 2, column 7", "no account before an @"),
        ("[accounts.a]\njid = \"ä ö@b\"", "line 2, column 7", "this is no address: "),
        ("[accounts.a]\n", "line 1, column 11", "the account a has no jid"),
        ("[accounts.\"a b\"]\njid = \"a@b\"", "line 1, column 11", "the name of an account has 1 to 64 bytes"),
        ("[accounts.a]\njid = \"a@b\"\n[accounts.b]\njid = \"A@B/c\"", "line 3, column 11", "b has the address of a"),
        ("accounts = 1", "line 1, column 12", "accounts is integer and has to be a table"),
        ("[accounts.a]\njid = 1", "line 2, column 7", "jid is integer and has to be a string"),
        ("[accounts.a]\nserver = \"x:y\"", "line 2, column 10", "x:y is not HOST:PORT"),
        ("[accounts.a]\ndirect-tls = \"yes\"", "line 2, column 14", "direct-tls is string and has to be true or false"),
        ("[accounts.a]\nca-file = \"\"", "line 2, column 11", "ca-file names no file"),
        ("[accounts.a]\nserver-fingerprint = [\"12\"]", "line 2, column 23", "this is no fingerprint: "),
        ("[accounts.a]\nca-file = \"x\"\ninsecure-plaintext = true", "line 3, column 1", "do not go together"),
        ("[accounts.a]\ndirect-tls = true\ninsecure-plaintext = true", "line 3, column 1", "do not go together"),
        ("[accounts.a]\npassword-command = \" \"", "line 2, column 20", "names no command"),
        ("[accounts.a]\npassword-command = []", "line 2, column 20", "names no command"),
        ("[accounts.a]\npassword-command = [\"a\", 1]", "line 2, column 26", "has integer where a string has to be"),
        ("[accounts.a]\npassword-file = \"a\"\npassword-command = \"b\"", "line 3, column 1", "do not go together"),
        ("[accounts.a]\ndns = \"dns.example\"", "line 2, column 7", "dns.example is no DNS server"),
        ("proxy = \"http://127.0.0.1\"", "line 1, column 9", "a proxy is given as socks5://ADDRESS:PORT"),
        ("proxy = \"socks5://a:secret@127.0.0.1\"", "line 1, column 9", "proxy-login-file in the configuration file"),
        ("[accounts.a]\nproxy = \"socks5://tor.example\"", "line 2, column 9", "would have to be looked up"),
        ("[accounts.a]\nproxy-login-file = \"\"", "line 2, column 20", "proxy-login-file names no file"),
        ("[accounts.a]\ntrace = \"b\"", "line 2, column 1", "there is no trace here; there are jid, server"),
        ("peer-ca-file = \"x\"\nleap-of-faith = true", "line 2, column 1", "do not go together"),
        ("profile = \"lax\"", "line 1, column 11", "this is none of strict, "),
        ("accept-from = [\"a@b\", \"@\"]", "line 1, column 23", "@ is no address: "),
        ("[peers]\n\"a.b\" = \"a@b\"", "line 2, column 1", "a.b is no nickname"),
        ("[peers]\na = \"@\"", "line 2, column 5", "this is no address: "),
        ("[peers]\na = \"a@b\"\nA = \"a@b\"", "line 3, column 1", "there is a nickname A already"),
    ] {
        let (dir, file) = with(text);
        let added = file.add(&account("new", "new@x"), false).unwrap_err();
        for failure in [file.read().unwrap_err(), added] {
            assert_eq!(failure.code, Code::Usage, "{text}: {failure}");
            let named = format!("config.toml, {place}: ");
            assert!(failure.message.contains(&named), "{text}: {failure}");
            assert!(failure.message.contains(why), "{text}: {failure}");
            assert!(!failure.message.contains("secret"), "{failure}");
        }
        assert_eq!(self::text(&dir), text);
    }
}

#[test]
fn what_is_not_utf_8_is_told_with_its_place() {
    let (dir, file) = with("");
    fs::write(dir.path().join("config.toml"), b"# \xc3\xa4\n# \xc3\xa4\xff\n").unwrap();
    let failure = file.read().unwrap_err();
    assert!(failure.message.contains("line 2, column 4: what stands here is not UTF-8"), "{failure}");
}

/// As some editors save it.
#[test]
fn a_byte_order_mark_hides_nothing() {
    let (dir, file) = with(&format!("\u{feff}{WHOLE}"));
    let config = file.read().unwrap();
    assert_eq!((config.accounts.len(), config.default.as_deref()), (2, Some("home")));
    file.add(&account("third", "third@b"), true).unwrap();
    let config = file.read().unwrap();
    assert_eq!((config.accounts.len(), config.default.as_deref()), (3, Some("third")));
    assert!(text(&dir).contains("# Juliet's"));
    // Places are told as people count them.
    let (_dir, file) = with("\u{feff}nonsense = 1\n");
    assert!(file.read().unwrap_err().message.contains("line 1, column 1: "), "{}", file.read().unwrap_err());
}

#[test]
fn rfc_7622_3_addresses_are_the_same_in_every_spelling_and_no_looser() {
    let (_dir, file) = with(
        "[accounts.home]\njid = 'Juliet@XN--STRAE-OQA.example/Desk'\nserver = 'x:5'\naccept-from = ['B\u{fc}cher', 'a@b.']\n\
         [peers]\nxn--bcher-kva = 'Romeo@MONTAGUE.example'\n",
    );
    let config = file.read().unwrap();
    let [home] = &config.accounts[..] else { panic!("{config:?}") };
    assert_eq!(
        home.policies.accept_from,
        Some(["romeo@montague.example", "a@b"].map(|jid| jid.parse().unwrap()).to_vec())
    );
    let fill = |jid: &str| {
        let mut command = Cli::try_parse_from(["xtls", "chat", "b\u{fc}cher", "--jid", jid]).unwrap().command;
        file.fill(&mut command).unwrap();
        let Command::Chat(args) = command else { panic!("it is chat") };
        args
    };
    let args = fill("juliet@stra\u{df}e.example");
    assert_eq!((args.peer.as_str(), args.account.login.server.as_deref()), ("Romeo@MONTAGUE.example", Some("x:5")));
    // What older software takes for the same is somebody else's.
    assert_eq!(fill("juliet@strasse.example").account.login.server, None);
    let names = |text: &str| {
        let (_dir, file) = with(text);
        file.read().map(|config| config.accounts.len()).map_err(|failure| failure.message)
    };
    let two = |other: &str| format!("[accounts.a]\njid = 'j@stra\u{df}e.example'\n[accounts.b]\njid = '{other}'\n");
    assert_eq!(names(&two("j@strasse.example")), Ok(2));
    assert!(names(&two("J@xn--strae-oqa.example/x")).unwrap_err().contains("b has the address of a"));
}

#[test]
fn a_file_of_64_kib_is_read_and_one_byte_more_is_not() {
    let (dir, file) = with(&format!("#{}\n", "x".repeat(MAX_FILE - 2)));
    assert!(file.read().unwrap().accounts.is_empty());
    // What cannot be read any more is not written.
    let failure = file.add(&account("a", "a@b"), false).unwrap_err();
    assert!(failure.message.ends_with("is longer than 64 KiB"), "{failure}");
    assert_eq!(text(&dir).len(), MAX_FILE);
    fs::write(dir.path().join("config.toml"), "#".repeat(MAX_FILE + 1)).unwrap();
    assert!(file.read().unwrap_err().message.ends_with("is longer than 64 KiB"));
}

#[test]
fn no_file_says_nothing_unless_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sub/config.toml");
    let file = ConfigFile { path: Some(path.clone()), is_given: false };
    assert!(file.read().unwrap().accounts.is_empty());
    assert_eq!(ConfigFile::find(Some(&path)).read().unwrap_err().code, Code::Usage);
    file.add(&account("a", "a@b"), false).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "default = \"a\"\n\n[accounts.a]\njid = \"a@b\"\n");
}

#[test]
fn changes_keep_comments_and_order() {
    let (dir, file) = with(WHOLE);
    file.add(&account("new", "new@x.example"), false).unwrap();
    let new = "\n[accounts.new]\njid = \"new@x.example\"\n";
    assert_eq!(text(&dir), WHOLE.replace("\n[peers]", &format!("{new}\n[peers]")));
    file.remove("new").unwrap();
    assert_eq!(text(&dir), WHOLE);
    file.set_default("j.c").unwrap();
    assert_eq!(text(&dir), WHOLE.replace("\"home\" #", "\"j.c\" #"));
    file.remove("home").unwrap();
    let (start, end) = (WHOLE.find("\n# the balcony").unwrap(), WHOLE.find("\n[accounts.\"j.c\"]").unwrap());
    let without = format!("{}{}", &WHOLE[..start], &WHOLE[end..]).replace("\"home\" #", "\"j.c\" #");
    assert_eq!(text(&dir), without);
    let failures = [file.remove("home").unwrap_err(), file.set_default("home").unwrap_err()];
    assert!(failures.iter().all(|failure| failure.code == Code::Usage && failure.message.ends_with("it has j.c")));
}

#[test]
fn words_about_the_file_stay_above_what_is_in_it() {
    let (dir, file) = with("# Mine\n\n# one\n[accounts.one]\njid = \"a@b\"\n\n# all\n[peers]\n");
    file.add(&account("two", "c@d"), false).unwrap();
    let two = "\n[accounts.two]\njid = \"c@d\"\n";
    let all = format!("# Mine\n\ndefault = \"one\"\n\n# one\n[accounts.one]\njid = \"a@b\"\n{two}\n# all\n[peers]\n");
    assert_eq!(text(&dir), all, "the only account was the default, and still is");
    file.remove("one").unwrap();
    assert_eq!(text(&dir), format!("# Mine\n{two}\n# all\n[peers]\n"));
    file.remove("two").unwrap();
    assert_eq!(text(&dir), "# Mine\n\n# all\n[peers]\n");
}

#[test]
fn accounts_in_other_forms_of_toml_can_be_changed_too() {
    for form in
        ["accounts = { one = { jid = \"a@b\" } }\n", "[accounts]\none.jid = \"a@b\"\n", "accounts.one.jid = \"a@b\"\n"]
    {
        let (_dir, file) = with(form);
        let names = |config: Config| config.accounts.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(file.add(&account("two", "c@d"), true).unwrap()), ["one", "two"], "{form}");
        assert_eq!(names(file.remove("one").unwrap()), ["two"], "{form}");
    }
}

#[test]
fn an_account_is_written_with_all_that_was_given() {
    let (_dir, file) = with("");
    let mut given = account("a", "a@b/c");
    given.login = LoginArgs {
        server: Some("x:5223".to_owned()),
        direct_tls: true,
        server_fingerprints: vec!["ab".repeat(32)],
        way: WayArgs {
            dns: Some("192.0.2.1".to_owned()),
            proxy: Some("socks5://127.0.0.1:9050".to_owned()),
            proxy_login_file: Some("/secret/login".into()),
        },
        stored_password: Some(StoredPassword::Shell("pass show \"x\"".to_owned())),
        ..LoginArgs::default()
    };
    let config = file.add(&given, false).unwrap();
    assert_eq!(format!("{:?}", config.named("a").unwrap()), format!("{given:?}"));
    let taken = [account("a", "other@b"), account("b", "A@b/x"), account("", "c@d")];
    assert!(taken.iter().all(|other| file.add(other, false).unwrap_err().code == Code::Usage));
}

#[cfg(unix)]
#[test]
fn a_link_to_the_file_stays() {
    let (dir, file) = with("");
    let link = dir.path().join("link.toml");
    std::os::unix::fs::symlink("config.toml", &link).unwrap();
    ConfigFile::find(Some(&link)).add(&account("a", "a@b"), false).unwrap();
    assert!(link.is_symlink());
    assert_eq!(file.read().unwrap().accounts.len(), 1);
    fs::remove_file(dir.path().join("config.toml")).unwrap();
    let failure = ConfigFile::find(Some(&link)).add(&account("a", "a@b"), false).unwrap_err();
    assert!(failure.message.contains("leads to no file"), "{failure}");
}

/// The command line with what the file says.
fn filled(file: &ConfigFile, line: &str) -> Result<Command, Failure> {
    let mut cli = Cli::try_parse_from(line.split(' ')).unwrap();
    file.fill(&mut cli.command).map(|()| cli.command)
}

#[test]
fn an_account_is_the_one_that_is_named_or_has_the_address_or_is_the_default() {
    let (_dir, file) = with(WHOLE);
    let own = |line: &str| match filled(&file, line) {
        Ok(Command::Chat(args)) => (args.account.jid().unwrap().to_string(), args.account.login.server),
        other => panic!("{other:?}"),
    };
    let home = Some("xmpp.capulet.example:5222".to_owned());
    assert_eq!(own("xtls chat x@y"), ("juliet@capulet.example".to_owned(), home.clone()));
    assert_eq!(own("xtls chat x@y --account j.c"), ("j@elsewhere.example/desk".to_owned(), None));
    assert_eq!(own("xtls chat x@y --jid Juliet@capulet.example/a"), ("Juliet@capulet.example/a".to_owned(), home));
    assert_eq!(own("xtls chat x@y --jid a@b/c"), ("a@b/c".to_owned(), None));
    assert_eq!(filled(&file, "xtls chat x@y --account z").unwrap_err().code, Code::Usage);
    let (_dir, two) = with("[accounts.a]\njid='a@b'\n[accounts.b]\njid='b@b'\n");
    assert!(filled(&two, "xtls chat x@y").unwrap_err().message.contains("several accounts and no default"));
    let (_dir, none) = with("");
    let Ok(Command::Chat(args)) = filled(&none, "xtls chat x@y") else { panic!("it is filled") };
    assert_eq!(args.account.jid().unwrap_err().code, Code::Usage);
}

#[test]
fn the_command_line_goes_before_the_file() {
    let (dir, file) = with(WHOLE);
    let login = |line: &str| match filled(&file, line) {
        Ok(Command::Chat(args)) => args.account.login,
        other => panic!("{other:?}"),
    };
    let elsewhere = login("xtls chat x@y --server z");
    assert_eq!((elsewhere.server.as_deref(), elsewhere.direct_tls), (Some("z"), false));
    assert_eq!(elsewhere.ca_file, Some(dir.path().join("ca.pem")));
    let pinned = login("xtls chat x@y --server-fingerprint ab");
    assert_eq!((pinned.ca_file, pinned.server_fingerprints.len(), pinned.direct_tls), (None, 1, true));
    let in_clear = login("xtls chat x@y --insecure-plaintext");
    assert!(in_clear.insecure_plaintext && !in_clear.direct_tls && in_clear.ca_file.is_none());
    let (_dir, plain) = with("[accounts.a]\njid='a@b'\ninsecure-plaintext=true\n");
    let Ok(Command::Chat(args)) = filled(&plain, "xtls chat x@y --direct-tls") else { panic!("it is filled") };
    assert!(!args.account.login.insecure_plaintext);
}

#[test]
fn a_proxy_holds_for_all_unless_an_account_or_the_command_line_has_another_one() {
    let (dir, file) = with(
        "proxy = \"socks5://127.0.0.1:1\"\nproxy-login-file = \"of-all\"\ndns = \"192.0.2.1\"\n\
         [accounts.a]\njid = \"a@b\"\n[accounts.c]\njid = \"c@d\"\nproxy = \"socks5://127.0.0.1:2\"\ndns = \"192.0.2.2:5\"\n",
    );
    let way = |line: &str| match filled(&file, line) {
        Ok(Command::Chat(args)) => args.account.login.way,
        Ok(Command::Probe(args)) => args.filled.map_or(args.way, |filled| filled.0.login.way),
        other => panic!("{other:?}"),
    };
    let expected = |proxy: &str, login: Option<&str>, dns: &str| WayArgs {
        proxy: Some(proxy.to_owned()),
        proxy_login_file: login.map(|name| dir.path().join(name)),
        dns: Some(dns.to_owned()),
    };
    let of_all = expected("socks5://127.0.0.1:1", Some("of-all"), "192.0.2.1");
    for line in ["chat x@y --account a", "chat x@y --jid e@f", "probe b.example", "probe x@y --account a"] {
        assert_eq!(way(&format!("xtls {line}")), of_all, "{line}");
    }
    // A login is for the proxy that it stands beside.
    assert_eq!(way("xtls chat x@y --account c"), expected("socks5://127.0.0.1:2", None, "192.0.2.2:5"));
    let given = "xtls chat x@y --account a --proxy socks5://127.0.0.1:3";
    assert_eq!(way(given), expected("socks5://127.0.0.1:3", None, "192.0.2.1"));
    assert_eq!(way("xtls probe b.example --dns 192.0.2.3"), WayArgs { dns: Some("192.0.2.3".to_owned()), ..of_all });
}

#[test]
fn policies_hold_until_the_command_line_says_otherwise() {
    let (dir, file) = with(WHOLE);
    let listen = |line: &str| match filled(&file, line) {
        Ok(Command::Listen(args)) => args,
        other => panic!("{other:?}"),
    };
    let home = listen("xtls listen");
    assert!(home.trust.leap_of_faith && home.account.profile.is_none());
    assert_eq!(home.accept_from[..], ["romeo@montague.example".parse::<BareJid>().unwrap()]);
    for given in ["--trust romeo=ab", "--srp-password-prompt", "--peer-ca-file x"] {
        assert!(!listen(&format!("xtls listen {given}")).trust.leap_of_faith, "{given}");
    }
    let other = listen("xtls listen --account j.c --srp-password-prompt --accept-from ROMEO");
    assert_eq!(other.trust.peer_ca_file, Some(dir.path().join("peers.pem")));
    assert_eq!(other.account.profile, Some(Profile::Strict));
    assert_eq!(other.accept_from[..], ["romeo@montague.example".parse::<BareJid>().unwrap()]);
    // Those of the file are for whoever has no account in it.
    assert!(listen("xtls listen --jid a@b").trust.leap_of_faith);
    let Ok(Command::Pipe(pipe)) = filled(&file, "xtls pipe romeo") else { panic!("it is filled") };
    assert!(pipe.accept_from.is_empty());
    let Ok(Command::Pipe(pipe)) = filled(&file, "xtls pipe --listen") else { panic!("it is filled") };
    assert_eq!(pipe.accept_from.len(), 1);
}

#[test]
fn a_nickname_stands_wherever_a_peer_does() {
    let (_dir, file) = with(WHOLE);
    let romeo = "romeo@montague.example";
    let found = |line: &str| format!("{:?}", filled(&file, line).unwrap());
    for line in [
        "xtls chat romeo",
        "xtls chat Romeo/orchard",
        "xtls pipe romeo",
        "xtls pipe --listen --accept-from romeo",
        "xtls pair romeo",
        "xtls pair --accept-from romeo",
        "xtls probe romeo",
        "xtls trust show romeo",
        "xtls trust add romeo ab",
        "xtls trust remove romeo",
        "xtls trust reset romeo",
        "xtls link connect x --peer romeo",
        "xtls link listen --accept-from romeo",
        "xtls link listen --trust romeo=ab",
    ] {
        assert!(found(line).contains(romeo), "{line}");
    }
    assert!(found("xtls chat Romeo/orchard").contains("romeo@montague.example/orchard"));
    // What is no nickname stands for itself.
    assert!(
        matches!(filled(&file, "xtls chat juliet").unwrap(), Command::Chat(args) if args.peer.as_str() == "juliet")
    );
    // A file that is wrong is not in the way of those that need nothing of it.
    let (_dir, broken) = with("no TOML");
    assert!(filled(&broken, "xtls trust show romeo@montague.example").is_ok());
    // It may say that a server is to be reached by a proxy alone.
    assert_eq!(filled(&broken, "xtls probe montague.example").unwrap_err().code, Code::Usage);
    assert_eq!(filled(&broken, "xtls trust show romeo").unwrap_err().code, Code::Usage);
}

#[test]
fn what_several_add_at_once_is_all_there() {
    const EACH: usize = 8;
    let (_dir, file) = with(WHOLE);
    let path = file.path.clone();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let file = ConfigFile { path: path.clone(), is_given: true };
            std::thread::spawn(move || {
                (0..EACH).for_each(|at| {
                    let name = format!("a{}", writer * EACH + at);
                    file.add(&account(&name, &format!("{name}@x.example")), false).unwrap();
                });
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    assert_eq!(file.read().unwrap().accounts.len(), 2 + 4 * EACH);
}
