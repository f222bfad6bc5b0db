//! Where the server of a domain is found (RFC 6120 § 3.2, XEP-0368), and what DNS servers may do.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use xtls_interop::{Certificate, Ejabberd, Impostor, Nameserver, Person, Prosody, Tap, Xtls};

use super::{assert_distrusts, assert_ends, assert_fails, assert_logs_in};

const DOMAIN: &str = "capulet.example";
const BOTH: [&str; 2] = ["SRV _xmpps-client._tcp.capulet.example.", "SRV _xmpp-client._tcp.capulet.example."];

/// A record of servers with STARTTLS, or of those where TLS begins with the connection.
fn srv(direct: bool, priority: u16, port: u16, target: &str) -> String {
    let service = if direct { "_xmpps-client" } else { "_xmpp-client" };
    format!("{service}._tcp.{DOMAIN}. SRV {priority} 1 {port} {target}")
}

fn here(name: &str) -> String {
    format!("{name} A 127.0.0.1")
}

/// A DNS server with these records, and where `xmpp.capulet.example` is this machine.
fn zone(records: &[String]) -> Nameserver {
    Nameserver::with(&[records, &[here("xmpp.capulet.example.")]].concat())
}

fn found_by(person: &Person, dns: &Nameserver) -> Person {
    person.found_by(&["--dns", &dns.address()])
}

/// A port of this machine where nobody listens, which nobody else gets as long as it is held.
fn dead() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.77.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

/// Somebody is refused, and the server gets to see no login.
#[track_caller]
fn assert_gets_no_login(server: &Prosody) {
    assert!(!server.log().contains("<auth "), "{}", server.log());
}

#[test]
fn rfc_6120_3_2_1_a_server_is_where_the_srv_record_says() {
    let server = Prosody::for_domain(DOMAIN, Certificate::Good);
    let dns = zone(&[srv(false, 0, server.port(), "xmpp.capulet.example.")]);
    assert_logs_in(&found_by(&server.person("alice"), &dns));
    let mut asked = dns.asked();
    asked.sort();
    asked.dedup();
    assert_eq!(
        asked,
        ["A xmpp.capulet.example.", "AAAA xmpp.capulet.example.", BOTH[1], BOTH[0]],
        "nothing but what is needed is asked"
    );
}

#[test]
fn xep_0368_3_tls_begins_with_the_connection_where_the_record_says_so() {
    let server = Prosody::with_direct_tls(DOMAIN, Certificate::Good);
    let dns = zone(&[srv(true, 0, server.direct_port(), "xmpp.capulet.example.")]);
    assert_logs_in(&found_by(&server.person("alice"), &dns));
    assert!(!server.log().contains("<starttls"), "{}", server.log());
    // The option asks for no other kind.
    let dns = zone(&[srv(true, 9, server.direct_port(), "xmpp.capulet.example."), srv(false, 0, 1, "a.b.")]);
    assert_logs_in(&server.person("alice").found_by(&["--direct-tls", "--dns", &dns.address()]));
    assert!(!dns.asked().contains(&BOTH[1].to_owned()), "{:?}", dns.asked());
}

#[test]
fn an_ejabberd_is_found_by_both_kinds_of_records() {
    let server = Ejabberd::for_domain(DOMAIN, Certificate::Good);
    for (direct, port) in [(true, server.direct_port()), (false, server.port())] {
        let dns = zone(&[srv(direct, 0, port, "xmpp.capulet.example.")]);
        assert_logs_in(&found_by(&server.person("alice"), &dns));
    }
}

/// XEP-0368 § 3, rule 1: whoever operates the server says by priorities which of the two is tried first.
#[test]
fn xep_0368_3_priorities_of_both_kinds_are_mixed() {
    let server = Prosody::with_direct_tls(DOMAIN, Certificate::Good);
    let (direct, starttls) = (Tap::start(server.direct_port()), Tap::start(server.port()));
    for first_is_direct in [true, false] {
        let dns = zone(&[
            srv(true, if first_is_direct { 1 } else { 2 }, direct.port(), "xmpp.capulet.example."),
            srv(false, if first_is_direct { 2 } else { 1 }, starttls.port(), "xmpp.capulet.example."),
        ]);
        assert_logs_in(&found_by(&server.person("alice"), &dns));
        assert_eq!(starttls.sent().contains("<starttls"), !first_is_direct);
        assert!(!direct.sent().is_empty());
    }
    assert_eq!((direct.cut(), starttls.cut()), (1, 1), "each was connected to once");
}

/// RFC 6120 § 3.2.1, points 6 and 7.
#[test]
fn rfc_6120_3_2_1_the_next_server_is_tried_and_the_next_address() {
    let server = Prosody::for_domain(DOMAIN, Certificate::Good);
    let broken = Impostor::breaking_off(b"");
    // Nobody listens at the address of IPv6, which comes first.
    let both = ["xmpp.capulet.example. AAAA ::1".to_owned()];
    let records = [
        srv(false, 1, 1, "xmpp.capulet.example."),
        srv(false, 2, 5222, "nowhere.capulet.example."),
        srv(true, 3, server.port(), "xmpp.capulet.example."),
        srv(false, 4, broken.port(), "xmpp.capulet.example."),
        srv(false, 5, server.port(), "xmpp.capulet.example."),
    ];
    let dns = zone(&[&records[..], &both].concat());
    assert_logs_in(&found_by(&server.person("alice"), &dns));
}

/// What does not fit into a datagram is asked for over TCP.
#[test]
fn many_records_are_no_hindrance() {
    let server = Prosody::for_domain(DOMAIN, Certificate::Good);
    let mut records: Vec<String> =
        (1..=200).map(|n| srv(false, 9, n, &format!("a-server-with-a-long-name-{n}.capulet.example."))).collect();
    records.push(srv(false, 1, server.port(), "xmpp.capulet.example."));
    assert_logs_in(&found_by(&server.person("alice"), &zone(&records)));
}

#[test]
fn a_server_that_says_nothing_is_given_up_for_the_next_one() {
    let server = Prosody::for_domain(DOMAIN, Certificate::Good);
    let silent = Impostor::staying(b"");
    let dns = zone(&[
        srv(false, 1, silent.port(), "xmpp.capulet.example."),
        srv(false, 2, server.port(), "xmpp.capulet.example."),
    ]);
    assert_logs_in(&found_by(&server.person("alice"), &dns));
}

/// RFC 6120 § 3.2.1, point 8: what the records say is not gone behind.
#[test]
fn rfc_6120_3_2_1_servers_that_cannot_be_reached_are_all_named_and_no_other_is_tried() {
    let server = Prosody::for_domain(DOMAIN, Certificate::Good);
    let fallback = Tap::at_port(5222, server.port());
    let dns = zone(&[
        srv(false, 1, 1, "xmpp.capulet.example."),
        srv(true, 2, 2, "xmpp.capulet.example."),
        srv(false, 3, 3, "nowhere.capulet.example."),
        format!("{DOMAIN}. A {}", fallback.host()),
    ]);
    let ended = found_by(&server.person("alice"), &dns).run(&["listen"]);
    assert_fails(
        &ended,
        &[
            "cannot connect to xmpp.capulet.example port 1: Connection refused",
            "cannot connect to xmpp.capulet.example port 2: Connection refused",
            "unknown host nowhere.capulet.example: there is no such name",
            "--server",
        ],
    );
    assert_eq!(fallback.cut(), 0);
}

/// RFC 6120 § 3.2.2.
#[test]
fn rfc_6120_3_2_2_without_srv_records_the_server_is_at_the_domain_itself() {
    let server = Prosody::with_direct_tls(DOMAIN, Certificate::Good);
    let (starttls, direct) = (Tap::at_port(5222, server.port()), Tap::at_port(5223, server.direct_port()));
    let dns = Nameserver::with(&[format!("{DOMAIN}. A {}", starttls.host())]);
    assert_logs_in(&found_by(&server.person("alice"), &dns));
    assert_eq!(starttls.cut(), 1);
    let dns = Nameserver::with(&[format!("{DOMAIN}. A {}", direct.host())]);
    assert_logs_in(&server.person("alice").found_by(&["--direct-tls", "--dns", &dns.address()]));
}

/// RFC 6120 § 3.2.1, point 3, and XEP-0368 § 5.
#[test]
fn xep_0368_5_a_domain_that_says_it_has_no_server_is_believed() {
    let server = Prosody::with_direct_tls(DOMAIN, Certificate::Good);
    let alice = server.person("alice");
    let fallback = Tap::at_port(5222, server.port());
    let address = format!("{DOMAIN}. A {}", fallback.host());
    for says_no in
        [vec![srv(false, 0, 0, ".")], vec![srv(true, 0, 0, ".")], vec![srv(true, 0, 0, "."), srv(false, 0, 0, ".")]]
    {
        let dns = zone(&[&says_no[..], std::slice::from_ref(&address)].concat());
        let ended = found_by(&alice, &dns).run(&["listen"]);
        assert_fails(&ended, &["capulet.example has no XMPP server for clients", "whose target is a dot"]);
        assert!(!dns.asked().iter().any(|asked| asked.starts_with("A ")), "{:?}", dns.asked());
    }
    assert_eq!(fallback.cut(), 0);
    // One kind that is missing leaves the other one.
    let dns = zone(&[srv(true, 0, 0, "."), srv(false, 0, server.port(), "xmpp.capulet.example.")]);
    assert_logs_in(&found_by(&alice, &dns));
    let ended = alice.found_by(&["--direct-tls", "--dns", &dns.address()]).run(&["listen"]);
    assert_fails(&ended, &["no server where TLS begins with the connection", "leave out --direct-tls"]);
    let dns = zone(&[srv(false, 0, 0, "."), srv(true, 0, server.direct_port(), "xmpp.capulet.example.")]);
    assert_logs_in(&found_by(&alice, &dns));
}

/// RFC 6120 § 13.7.2.1: what the DNS says is no reason to believe a server.
#[test]
fn rfc_6120_13_7_2_1_a_dns_that_lies_gets_no_password() {
    // The certificate is good for the host that the records name.
    let wrong = Prosody::with_direct_tls(DOMAIN, Certificate::WrongName);
    let alice = wrong.person("alice");
    for (is_direct, port) in [(false, wrong.port()), (true, wrong.direct_port())] {
        let dns = Nameserver::with(&[srv(is_direct, 0, port, "elsewhere.example."), here("elsewhere.example.")]);
        let ended = found_by(&alice, &dns).run(&["listen"]);
        let why = "issued for another server: elsewhere.example";
        assert_distrusts(&ended, &["TLS with the server capulet.example failed", why]);
        assert_gets_no_login(&wrong);
    }
    // Whoever comes after a liar is not asked any more.
    let good = Prosody::for_domain(DOMAIN, Certificate::Good);
    let dns = Nameserver::with(&[
        srv(false, 0, wrong.port(), "elsewhere.example."),
        srv(false, 1, good.port(), "elsewhere.example."),
        here("elsewhere.example."),
    ]);
    let both =
        [fs::read_to_string(wrong.ca_file()), fs::read_to_string(good.ca_file())].map(|text| text.expect("a file"));
    let ca_file = alice.file("authorities", &both.concat());
    let alice = alice.protected_by(&["--ca-file", &ca_file]);
    assert_distrusts(&found_by(&alice, &dns).run(&["listen"]), &["TLS with the server capulet.example failed"]);
    assert_gets_no_login(&good);
    // By an address alone it is the same. A server that does not even say that it is the domain's is told as that.
    let tap = Tap::at_port(5222, wrong.port());
    let dns = Nameserver::with(&[format!("{DOMAIN}. A {}", tap.host())]);
    assert_distrusts(&found_by(&alice, &dns).run(&["listen"]), &["TLS with the server capulet.example failed"]);
    assert_gets_no_login(&wrong);
    let other = Prosody::for_domain("elsewhere.example", Certificate::Good);
    let dns = Nameserver::with(&[srv(false, 0, other.port(), "elsewhere.example."), here("elsewhere.example.")]);
    assert_fails(&found_by(&alice, &dns).run(&["listen"]), &["host-unknown"]);
    assert_gets_no_login(&other);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "these tests run in real time")]
fn a_dns_server_that_never_answers_is_told_in_time() {
    let server = Prosody::for_domain(DOMAIN, Certificate::Good);
    let dns = Nameserver::silent();
    let start = Instant::now();
    let ended = found_by(&server.person("alice"), &dns).run(&["listen"]);
    assert_fails(&ended, &["unknown host capulet.example: no DNS server answers"]);
    let took = start.elapsed();
    assert!((Duration::from_secs(12)..Duration::from_secs(20)).contains(&took), "{took:?}");
    assert!(dns.asked().len() >= 6, "each question is asked again: {:?}", dns.asked().len());
}

#[test]
fn a_dns_server_that_answers_rubbish_is_told() {
    let server = Prosody::for_domain(DOMAIN, Certificate::Good);
    let ended = found_by(&server.person("alice"), &Nameserver::babbling()).run(&["listen"]);
    assert_fails(&ended, &["unknown host capulet.example: "]);
    let nobody = server.person("alice").found_by(&["--dns", "127.0.0.1:1"]).run(&["listen"]);
    assert_fails(&nobody, &["unknown host capulet.example: "]);
}

#[test]
fn a_domain_outside_of_ascii_is_asked_for_by_its_a_labels() {
    let server = Prosody::for_domain("bücher.example", Certificate::Good);
    let dns = Nameserver::with(&[
        format!("_xmpp-client._tcp.xn--bcher-kva.example. SRV 0 0 {} xn--bcher-kva.example.", server.port()),
        here("xn--bcher-kva.example."),
    ]);
    assert_logs_in(&found_by(&server.person("alice"), &dns));
}

/// RFC 6120 § 3.2.3.
#[test]
fn rfc_6120_3_2_3_a_server_that_is_named_is_not_looked_for() {
    let server = Prosody::for_domain(DOMAIN, Certificate::Good);
    let dns = zone(&[srv(false, 0, 1, "nowhere.capulet.example.")]);
    let named = |host: &str| {
        let address = format!("{host}:{}", server.port());
        server.person("alice").found_by(&["--dns", &dns.address(), "--server", &address])
    };
    for host in ["127.0.0.1", "localhost"] {
        assert_logs_in(&named(host));
    }
    assert!(dns.asked().is_empty(), "addresses and this machine are known: {:?}", dns.asked());
    assert_logs_in(&named("xmpp.capulet.example"));
    assert!(!dns.asked().iter().any(|asked| asked.contains("SRV")), "{:?}", dns.asked());
}

#[test]
fn nobody_is_asked_about_this_machine_and_addresses() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let dns = zone(&[]);
    for domain in ["localhost", "127.77.0.1", "[::1]", "nobody.invalid"] {
        let jid = format!("alice@{domain}");
        let ended = Xtls::run(dir.path(), Some("x"), &["listen", "--jid", &jid, "--dns", &dns.address()]);
        assert!(matches!(ended.code, Some(3 | 4)), "{domain}: {}", ended.stderr);
    }
    assert!(dns.asked().is_empty(), "{:?}", dns.asked());
}

#[test]
fn what_goes_in_clear_goes_nowhere_but_to_this_machine_whatever_the_dns_says() {
    let server = Prosody::for_domain(DOMAIN, Certificate::Good);
    let alice = server.person("alice").protected_by(&["--insecure-plaintext"]);
    let (_listener, port) = dead();
    let dns = Nameserver::with(&[srv(false, 0, port, "away.example."), "away.example. A 192.0.2.1".to_owned()]);
    let ended = found_by(&alice, &dns).run(&["listen"]);
    assert_ends(&ended, 2, &["--insecure-plaintext is for loopback addresses only", "away.example is 192.0.2.1"]);
    assert!(!dns.asked().contains(&BOTH[0].to_owned()), "{:?}", dns.asked());
}

#[test]
fn a_probe_of_a_domain_finds_its_server_and_a_host_is_taken_as_it_is() {
    let server = Prosody::with_direct_tls(DOMAIN, Certificate::Good);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let ca_file = server.ca_file().display().to_string();
    let dns = zone(&[
        srv(false, 1, 1, "xmpp.capulet.example."),
        srv(false, 2, server.port(), "xmpp.capulet.example."),
        srv(true, 3, server.direct_port(), "xmpp.capulet.example."),
        here("capulet.example."),
    ]);
    let asked = dns.address();
    let probe = |options: &[&str]| {
        let args = [&["probe", "--dns", &asked, "--ca-file", &ca_file], options].concat();
        let ended = Xtls::run(dir.path(), None, &args);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let told = ended.named("server").next().expect("a server").clone();
        (told["address"].as_str().expect("text").to_owned(), told["starttls"].as_str().map(str::to_owned))
    };
    let starttls = (format!("xmpp.capulet.example:{}", server.port()), Some("required".to_owned()));
    assert_eq!(probe(&[DOMAIN]), starttls);
    let direct = (format!("xmpp.capulet.example:{}", server.direct_port()), None);
    assert_eq!(probe(&[DOMAIN, "--direct-tls"]), direct);
    let before = dns.asked().len();
    let at_port = format!("{DOMAIN}:{}", server.port());
    assert_eq!(probe(&[&at_port]), (at_port.clone(), Some("required".to_owned())));
    let of_host = format!("xmpp.{DOMAIN}:{}", server.port());
    assert_eq!(probe(&[&of_host, "--domain", DOMAIN]), starttls);
    assert!(!dns.asked()[before..].iter().any(|asked| asked.contains("SRV")), "{:?}", dns.asked());
    // Where the DNS lies the certificate is shown, of the server that it names.
    let wrong = Prosody::for_domain(DOMAIN, Certificate::WrongName);
    let lying = Nameserver::with(&[srv(false, 0, wrong.port(), "elsewhere.example."), here("elsewhere.example.")]);
    let wrong_ca = wrong.ca_file().display().to_string();
    let args = ["probe", DOMAIN, "--dns", &lying.address(), "--ca-file", &wrong_ca];
    let ended = Xtls::run(dir.path(), None, &args);
    assert_ends(&ended, 3, &["is not verified as that of capulet.example", "elsewhere.example"]);
    assert_eq!(ended.named("certificate").count(), 1);
}

#[test]
fn a_dns_server_is_an_address() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for text in ["dns.example", "127.0.0.1:x", "127.0.0.1:0", ""] {
        let args = ["listen", "--jid", "alice@capulet.example", "--dns", text];
        assert_ends(&Xtls::run(dir.path(), Some("x"), &args), 2, &["is no DNS server"]);
    }
}
