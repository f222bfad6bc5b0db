//! Logins through a SOCKS 5 proxy (RFC 1928): nothing else is connected to, and no DNS server is asked.

use std::fs;
use std::process::{Command, Stdio};

use xtls_interop::{Certificate, Nameserver, Person, Prosody, Request, Socks, Xtls};

use super::{assert_distrusts, assert_ends, assert_fails, assert_logs_in};

const DOMAIN: &str = "capulet.example";

/// Somebody who has a DNS server that would say where the server is, and a proxy.
fn by_proxy(person: &Person, proxy: &Socks, dns: &Nameserver, more: &[&str]) -> Person {
    person.found_by(&[&["--proxy", &proxy.url(), "--dns", &dns.address()], more].concat())
}

/// A DNS server that says where the server of the domain is.
fn dns(server: &Prosody) -> Nameserver {
    Nameserver::with(&[
        format!("_xmpp-client._tcp.{DOMAIN}. SRV 0 0 {} {DOMAIN}.", server.port()),
        format!("{DOMAIN}. A 127.0.0.1"),
    ])
}

fn name(host: &str, port: u16) -> Request {
    Request::Name(host.to_owned(), port)
}

#[test]
fn the_proxy_gets_the_name_and_no_dns_server_is_asked() {
    let server = Prosody::with_direct_tls(DOMAIN, Certificate::Good);
    let (dns, alice) = (dns(&server), server.person("alice"));
    let proxy = Socks::to(server.port());
    let seen = |options: &[&str], seen: Request| {
        assert_logs_in(&by_proxy(&alice, &proxy, &dns, options));
        assert_eq!(proxy.seen().last(), Some(&seen));
    };
    seen(&[], name(DOMAIN, 5222));
    seen(&["--server", "xmpp.capulet.example:5299"], name("xmpp.capulet.example", 5299));
    seen(&["--server", "localhost:5299"], name("localhost", 5299));
    seen(&["--server", "BÜCHER.example"], name("xn--bcher-kva.example", 5222));
    seen(&["--server", "192.0.2.1:5299"], Request::Address("192.0.2.1".to_owned(), 5299));
    seen(&["--server", "[2001:db8::1]"], Request::Address("2001:db8::1".to_owned(), 5222));
    let proxy = Socks::to(server.direct_port());
    assert_logs_in(&by_proxy(&alice, &proxy, &dns, &["--direct-tls"]));
    assert_eq!(proxy.seen(), [name(DOMAIN, 5223)]);
    assert!(dns.asked().is_empty(), "{:?}", dns.asked());
}

#[test]
fn the_proxy_gets_names_outside_of_ascii_by_their_a_labels() {
    let server = Prosody::for_domain("bücher.example", Certificate::Good);
    let (dns, proxy) = (dns(&server), Socks::to(server.port()));
    assert_logs_in(&by_proxy(&server.person("alice"), &proxy, &dns, &[]));
    assert_eq!(proxy.seen(), [name("xn--bcher-kva.example", 5222)]);
    assert!(dns.asked().is_empty(), "{:?}", dns.asked());
}

/// Every system call that sends something to an address is looked at.
#[test]
fn nothing_but_the_proxy_is_connected_to() {
    let server = Prosody::for_domain(DOMAIN, Certificate::Good);
    let (dns, proxy, alice) = (dns(&server), Socks::to(server.port()), server.person("alice"));
    let calls = |way: &[&str], place: &str| {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let trace = dir.path().join("calls");
        let password = alice.file("password", &alice.password);
        let output = Command::new("strace")
            .args(["-f", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o"])
            .arg(&trace)
            .arg(Xtls::program())
            .env("XDG_CONFIG_HOME", dir.path())
            .arg("--data-dir")
            .arg(dir.path())
            .args(["account", "add", "--jid", &alice.bare(), "--password-file", &password, "--dns", &dns.address()])
            .args(["--ca-file", &server.ca_file().display().to_string()])
            .args(way)
            .stdin(Stdio::null())
            .output()
            .expect("strace starts: tests/run installs it");
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
        let calls = fs::read_to_string(trace).expect("the calls are written");
        let mut places: Vec<String> = calls.lines().filter_map(port_in).collect();
        places.sort();
        places.dedup();
        assert!(places.contains(&place.to_owned()), "{calls}");
        places
    };
    let port = proxy.port().to_string();
    assert_eq!(calls(&["--proxy", &proxy.url()], &port).len(), 1, "the proxy alone");
    assert!(dns.asked().is_empty(), "{:?}", dns.asked());
    // What is looked at would show others.
    assert_eq!(calls(&[], &server.port().to_string()).len(), 2, "the server and the DNS server");
    assert!(!dns.asked().is_empty());
}

/// The port that a system call names, if it names an address of the network.
fn port_in(call: &str) -> Option<String> {
    let (_, rest) = call.split_once("_port=htons(")?;
    rest.split_once(')').map(|(port, _)| port.to_owned())
}

#[test]
fn a_proxy_may_want_a_login() {
    let server = Prosody::for_domain(DOMAIN, Certificate::Good);
    let (dns, alice) = (dns(&server), server.person("alice"));
    let proxy = Socks::with_login(server.port(), "juliet", "of:the balcony");
    let with = |login: &str| {
        let file = alice.file("login", login);
        by_proxy(&alice, &proxy, &dns, &["--proxy-login-file", &file])
    };
    assert_logs_in(&with("juliet:of:the balcony\n"));
    assert_fails(&with("juliet:of").run(&["listen"]), &["refuses the login", "--proxy-login-file"]);
    let none = by_proxy(&alice, &proxy, &dns, &[]).run(&["listen"]);
    assert_fails(&none, &["wants a login", "--proxy-login-file"]);
    assert_ends(&with("juliet").run(&["listen"]), 2, &["is not USER:PASSWORD"]);
    // One that wants none takes those who have one.
    let open = Socks::to(server.port());
    let file = alice.file("login", "juliet:x");
    assert_logs_in(&by_proxy(&alice, &open, &dns, &["--proxy-login-file", &file]));
}

/// RFC 1928 § 6.
#[test]
fn rfc_1928_6_what_a_proxy_replies_is_told() {
    let server = Prosody::for_domain(DOMAIN, Certificate::Good);
    let (dns, alice) = (dns(&server), server.person("alice"));
    for (reply, words) in [
        (1, "General SOCKS server failure"),
        (2, "Connection not allowed by ruleset"),
        (3, "Network unreachable"),
        (4, "Host unreachable"),
        (5, "Connection refused"),
        (6, "TTL expired"),
        (7, "Command not supported"),
        (8, "Address type not supported"),
        (0xF0, "a reply that RFC 1928 has not"),
    ] {
        let ended = by_proxy(&alice, &Socks::replying(reply), &dns, &[]).run(&["listen"]);
        assert_fails(&ended, &["cannot connect to capulet.example port 5222", words, "the proxy 127.0.0.1:"]);
    }
    assert!(dns.asked().is_empty(), "{:?}", dns.asked());
}

#[test]
fn a_proxy_that_is_none_is_told_and_nobody_is_connected_to_without_it() {
    let server = Prosody::for_domain(DOMAIN, Certificate::Good);
    let alice = server.person("alice");
    let with = |proxy: &str| alice.found_by(&["--server", &server.address(), "--proxy", proxy]).run(&["listen"]);
    assert_fails(&with("socks5://127.0.0.1:1"), &["cannot connect to the proxy 127.0.0.1:1: Connection refused"]);
    // A server says nothing to what it does not understand, or says something else.
    let web = xtls_interop::Impostor::breaking_off(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_fails(&with(&format!("socks5://{}", web.address())), &["does not speak SOCKS 5", "--proxy"]);
    let closing = xtls_interop::Impostor::breaking_off(b"");
    assert_fails(&with(&format!("socks5://{}", closing.address())), &["broke off", "--proxy"]);
    assert!(!server.log().contains("New connection"), "{}", server.log());
}

#[test]
fn a_proxy_that_leads_to_another_server_gets_no_password() {
    let server = Prosody::for_domain(DOMAIN, Certificate::WrongName);
    let ended = by_proxy(&server.person("alice"), &Socks::to(server.port()), &dns(&server), &[]).run(&["listen"]);
    assert_distrusts(&ended, &["TLS with the server capulet.example failed", "for another server: elsewhere.example"]);
    assert!(!server.log().contains("<auth "), "{}", server.log());
}

#[test]
fn a_probe_goes_through_the_proxy_too() {
    let server = Prosody::for_domain(DOMAIN, Certificate::Good);
    let (dns, proxy) = (dns(&server), Socks::to(server.port()));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let ca_file = server.ca_file().display().to_string();
    let probe = |options: &[&str]| {
        let ended = Xtls::run(dir.path(), None, &[&["probe", DOMAIN, "--ca-file", &ca_file], options].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    };
    probe(&["--proxy", &proxy.url(), "--dns", &dns.address()]);
    assert_eq!(proxy.seen(), [name(DOMAIN, 5222)]);
    // The file says it for all.
    fs::create_dir_all(dir.path().join("xtls")).expect("a directory");
    let config = format!("proxy = {:?}\ndns = {:?}\n", proxy.url(), dns.address());
    fs::write(dir.path().join("xtls/config.toml"), config).expect("the file is written");
    probe(&[]);
    assert_eq!(proxy.seen().len(), 2);
    // One that is refused is connected to a second time, to show its certificate.
    let refused = Xtls::run(dir.path(), None, &["probe", DOMAIN]);
    assert_ends(&refused, 3, &["is not verified as that of capulet.example"]);
    assert_eq!((proxy.seen().len(), refused.named("certificate").count()), (4, 1));
    // A peer is asked with an account, for which it holds as well.
    let alice = server.person("alice");
    let password = alice.file("password", &alice.password);
    let args =
        ["probe", "bob@capulet.example", "--jid", &alice.bare(), "--password-file", &password, "--ca-file", &ca_file];
    let asked = Xtls::run(dir.path(), None, &args);
    assert_ends(&asked, 4, &["bob@capulet.example"]);
    assert_eq!(proxy.seen().len(), 5);
    assert!(dns.asked().is_empty(), "{:?}", dns.asked());
}

#[test]
fn the_configuration_file_says_which_proxy() {
    let server = Prosody::for_domain(DOMAIN, Certificate::Good);
    let (of_all, of_alice) = (Socks::to(server.port()), Socks::with_login(server.port(), "juliet", "secret"));
    let alice = server.person("alice");
    let password = alice.file("password", &alice.password);
    let login = alice.file("login", "juliet:secret");
    let ca_file = server.ca_file().display().to_string();
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir_all(dir.path().join("xtls")).expect("a directory");
    fs::write(dir.path().join("xtls/config.toml"), format!("proxy = {:?}\n", of_all.url()))
        .expect("the file is written");
    let jid = alice.bare();
    let add = ["account", "add", "--jid", &jid, "--password-file", &password, "--ca-file", &ca_file];
    let added = Xtls::run(dir.path(), None, &add);
    assert_eq!(added.code, Some(0), "{}", added.stderr);
    let shown = added.named("account").next().expect("an account");
    assert_eq!(shown["proxy"], of_all.url(), "it holds for this account too");
    assert_eq!(of_all.seen(), [name(DOMAIN, 5222)]);
    assert!(
        !fs::read_to_string(dir.path().join("xtls/config.toml")).expect("text").contains("[accounts.alice]\nproxy")
    );

    assert_eq!(Xtls::run(dir.path(), None, &["account", "remove", "alice"]).code, Some(0));
    let own = ["--proxy", &of_alice.url(), "--proxy-login-file", &login];
    let added = Xtls::run(dir.path(), None, &[&add[..], &own].concat());
    assert_eq!(added.code, Some(0), "{}", added.stderr);
    let listening = Xtls::start(dir.path(), None, &["listen"]);
    let mut listening = listening;
    listening.event("online");
    listening.interrupt();
    assert_eq!(listening.wait().code, Some(0));
    assert_eq!((of_alice.seen().len(), of_all.seen().len()), (2, 1));
    let text = fs::read_to_string(dir.path().join("xtls/config.toml")).expect("text");
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn what_is_no_proxy_is_wrong_usage_and_a_login_is_not_repeated() {
    let server = Prosody::for_domain(DOMAIN, Certificate::Good);
    let alice = server.person("alice");
    let with = |options: &[&str]| alice.found_by(options).run(&["listen"]);
    let told = with(&["--proxy", "socks5://juliet:secret@127.0.0.1:9050"]);
    assert_ends(&told, 2, &["--proxy-login-file"]);
    assert!(!told.stderr.contains("secret") && !told.stderr.contains("juliet"), "{}", told.stderr);
    assert_ends(&with(&["--proxy", "socks5://tor.example:9050"]), 2, &["would have to be looked up"]);
    assert_ends(&with(&["--proxy", "http://127.0.0.1:9050"]), 2, &["socks5://ADDRESS:PORT"]);
    assert_ends(&with(&["--proxy-login-file", "x"]), 2, &["--proxy-login-file needs --proxy"]);
    let in_clear = alice.protected_by(&["--insecure-plaintext"]).found_by(&["--proxy", "socks5://127.0.0.1:9050"]);
    assert_ends(&in_clear.run(&["listen"]), 2, &["--insecure-plaintext and --proxy do not go together"]);
}
