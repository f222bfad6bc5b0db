//! Which servers get a password, by whatever their certificates are and however TLS begins.

use std::path::Path;

use xtls_interop::{Certificate, Ejabberd, Ended, Impostor, Person, Prosody, Stripper, Xtls};

use super::{assert_distrusts, assert_fails};

/// Somebody logs in, and ends.
#[track_caller]
fn assert_logs_in(person: &Person, options: &[&str]) {
    let listening = person.protected_by(options).listen(&[]);
    listening.interrupt();
    let ended = listening.wait();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

/// Somebody is refused, and the server gets to see no login.
fn refused(server: &Prosody, options: &[&str]) -> Ended {
    let ended = server.person("alice").protected_by(options).run(&["listen"]);
    assert!(!server.log().contains("<auth "), "{}", server.log());
    ended
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The fingerprint of a server's certificate, as `xtls probe` shows it to those who take another one for good.
fn fingerprint(address: &str, domain: &str) -> String {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let none = "ab".repeat(32);
    let ended = Xtls::run(dir.path(), None, &["probe", address, "--domain", domain, "--trust", &none]);
    let certificate = ended.named("certificate").next().unwrap_or_else(|| panic!("{}", ended.stderr));
    certificate["sha256"].as_str().expect("text").to_owned()
}

/// What `openssl req -x509` and Prosody's own generator make is an authority's certificate.
#[test]
fn a_self_made_certificate_is_good_where_it_is_given() {
    for certificate in [Certificate::SelfSigned, Certificate::OpenSsl, Certificate::ProsodyGenerator] {
        let server = Prosody::with_certificate(certificate);
        assert_logs_in(&server.person("alice"), &["--ca-file", &text(&server.certificate_file())]);
        let pin = fingerprint(&server.address(), "localhost");
        assert_logs_in(&server.person("bob"), &["--server-fingerprint", &pin]);
        let other = Prosody::with_certificate(certificate);
        let ended = refused(&other, &["--ca-file", &text(&server.certificate_file())]);
        assert_distrusts(&ended, &["TLS with the server localhost failed", "--ca-file", "--server-fingerprint"]);
        assert!(!ended.stderr.contains("Other("), "{}", ended.stderr);
    }
}

#[test]
fn probe_takes_a_self_made_certificate_as_the_login_does() {
    for certificate in [Certificate::SelfSigned, Certificate::OpenSsl] {
        let server = Prosody::with_certificate(certificate);
        let dir = tempfile::tempdir().expect("a temporary directory");
        let ca_file = text(&server.certificate_file());
        let probe = ["probe", &server.address(), "--domain", "localhost", "--ca-file", &ca_file];
        let ended = Xtls::run(dir.path(), None, &probe);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    }
}

/// RFC 6120 § 13.7.1.2: the names that a server's certificate may have.
#[test]
fn rfc_6120_13_7_1_2_a_server_is_known_by_its_service_or_address_alone() {
    for certificate in [Certificate::Service, Certificate::Address] {
        let server = Prosody::with_certificate(certificate);
        assert_logs_in(&server.person("alice"), &["--ca-file", &text(&server.ca_file())]);
    }
}

#[test]
fn a_domain_outside_of_ascii_is_known_by_its_a_labels() {
    let server = Prosody::for_domain("bücher.example", Certificate::Good);
    assert_logs_in(&server.person("alice"), &["--ca-file", &text(&server.ca_file())]);
}

#[test]
fn a_fingerprint_of_the_server_goes_without_authorities_names_and_dates() {
    for certificate in [Certificate::Expired, Certificate::WrongName, Certificate::Good] {
        let server = Prosody::with_certificate(certificate);
        let pin = fingerprint(&server.address(), "localhost");
        assert_logs_in(&server.person("alice"), &["--server-fingerprint", &pin]);
        let several = ["--server-fingerprint", &"ab".repeat(32), "--server-fingerprint", &pin];
        assert_logs_in(&server.person("bob"), &several);
    }
    let server = Prosody::with_certificate(Certificate::Good);
    let pin = fingerprint(&server.address(), "localhost");
    let ended = refused(&server, &["--server-fingerprint", &"ab".repeat(32)]);
    assert_distrusts(&ended, &["TLS with the server localhost failed", &pin, "none of those", "--server-fingerprint"]);
}

#[test]
fn a_probe_of_a_peer_takes_the_servers_fingerprint_too() {
    let server = Prosody::with_certificate(Certificate::Expired);
    let pin = fingerprint(&server.address(), "localhost");
    let (alice, bob) = (server.person("alice"), server.person("bob"));
    let with_pin = ["--server-fingerprint", pin.as_str()];
    let _listening = bob.protected_by(&with_pin).listen(&[]);
    let ended = alice.protected_by(&with_pin).run(&["probe", &bob.full()]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn each_bad_certificate_is_refused_in_its_own_words() {
    for (certificate, why) in [
        (Certificate::Expired, "has expired"),
        (Certificate::WrongName, "is not for localhost: it was issued for another server: elsewhere.example"),
        (Certificate::SelfSigned, "it is self-signed"),
        (Certificate::OpenSsl, "it is self-signed"),
    ] {
        let server = Prosody::with_certificate(certificate);
        let good = Prosody::with_certificate(Certificate::Good);
        // What openssl has made would be good if it were given.
        let ca_file = if certificate == Certificate::OpenSsl { good.ca_file() } else { server.ca_file() };
        let ended = refused(&server, &["--ca-file", &text(&ca_file)]);
        let pin = fingerprint(&server.address(), "localhost");
        assert_distrusts(&ended, &["TLS with the server localhost failed", &pin, why, "ask its operator"]);
    }
}

/// RFC 7627 § 5.2. Prosody binds logins to TLS 1.2 by tls-unique, which is not to be had here.
#[test]
fn rfc_7627_5_2_a_server_of_tls_1_2_needs_the_extended_master_secret() {
    let server = Prosody::with_tls(&["no_tlsv1_3"]);
    assert_logs_in(&server.person("alice"), &["--ca-file", &text(&server.ca_file())]);
    let log = server.log();
    assert!(log.contains("TLSv1.2") && log.contains("SCRAM-SHA-256-PLUS"), "{log}");
    let server = Prosody::with_tls(&["no_tlsv1_3", "no_extended_master_secret"]);
    let ended = refused(&server, &["--ca-file", &text(&server.ca_file())]);
    let words = ["TLS with the server localhost failed", "it has no extended_master_secret (RFC 7627)", "for TLS 1.3"];
    assert_fails(&ended, &words);
}

/// XEP-0368.
#[test]
fn tls_may_begin_with_the_connection() {
    let server = Ejabberd::start(Certificate::Good);
    let ca_file = text(&server.ca_file());
    let mut alice = server.person("alice");
    alice.address = server.direct_address();
    assert_logs_in(&alice, &["--direct-tls", "--ca-file", &ca_file]);
    // A port where TLS begins at once waits for it, or ends with an alert.
    let alert = Impostor::breaking_off(b"\x15\x03\x01\x00\x02\x02\x46");
    alice.address = alert.address();
    let ended = alice.protected_by(&["--ca-file", &ca_file]).run(&["listen"]);
    assert_fails(&ended, &["localhost begins with TLS at this port", "--direct-tls"]);
    // And the other way round.
    alice.address = server.address();
    let ended = alice.protected_by(&["--direct-tls", "--ca-file", &ca_file]).run(&["listen"]);
    assert_fails(&ended, &["localhost"]);
}

#[test]
fn starttls_that_was_taken_away_on_the_way_is_asked_for_all_the_same() {
    let server = Prosody::with_certificate(Certificate::Good);
    let mut alice = server.person("alice");
    alice.address = Stripper::start(server.port()).address();
    assert_logs_in(&alice, &["--ca-file", &text(&server.ca_file())]);
}

#[test]
fn a_server_without_starttls_gets_no_password() {
    let header =
        b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='1'>\
        <stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>\
        </stream:features>";
    let server = Prosody::with_certificate(Certificate::Good);
    for answer in [
        &b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"[..],
        b"<stream:error><unsupported-stanza-type xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>",
        b"",
    ] {
        let mut alice = server.person("alice");
        alice.address = Impostor::answering(header, "<starttls", answer).address();
        assert_fails(&alice.run(&["listen"]), &["localhost offers no STARTTLS", "would not be protected"]);
    }
}
