//! `xtls probe` of real servers, and of those who are in their place.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use xtls_interop::{Certificate, Ejabberd, Ended, Impostor, Prosody, Stripper, Xtls};

const BAD: [(Certificate, &str); 3] = [
    (Certificate::Expired, "has expired"),
    (Certificate::WrongName, "it was issued for another server: elsewhere.example"),
    (Certificate::SelfSigned, "it is self-signed"),
];

/// Somebody who probes.
struct Prober {
    dir: TempDir,
}

impl Prober {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    fn probe(&self, address: &str, options: &[&str]) -> Ended {
        let mut args = vec!["probe", address, "--domain", "localhost"];
        args.extend(options);
        Xtls::run(self.dir.path(), None, &args)
    }

    fn probe_with(&self, address: &str, ca_file: &Path) -> Ended {
        self.probe(address, &["--ca-file", &ca_file.display().to_string()])
    }
}

fn only<'a>(ended: &'a Ended, name: &'a str) -> &'a Value {
    let found: Vec<&Value> = ended.named(name).collect();
    let [one] = found[..] else { panic!("{} events {name}: {:?}\n{}", found.len(), ended.events, ended.stderr) };
    one
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().expect("an array").iter().map(|text| text.as_str().expect("text")).collect()
}

/// It ended with this code and one line that has all these words.
fn assert_fails(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "{word} is not in: {}", ended.stderr);
    }
    assert!(ended.stderr.contains(only(ended, "error")["message"].as_str().expect("text")));
}

/// Everything of RFC 7590 § 3.6, and what is offered.
fn assert_tells_everything(ended: &Ended, address: &str) {
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let certificate = only(ended, "certificate");
    assert_eq!(certificate["subject"], "CN=A server for tests");
    assert_eq!(certificate["issuer"], "CN=Authority for tests");
    assert_eq!(texts(&certificate["dns_names"]), ["localhost"]);
    assert_eq!(certificate["not_before"], "2020-01-01T00:00:00Z");
    assert_eq!(certificate["not_after"], "2049-01-01T00:00:00Z");
    assert_eq!(certificate["sha256"].as_str().map(str::len), Some(64));
    assert_eq!(certificate["sha1"].as_str().map(str::len), Some(40));
    assert!(certificate["refused"].is_null() && certificate["changed_from"].is_null());
    let server = only(ended, "server");
    assert_eq!((&server["domain"], &server["address"]), (&"localhost".into(), &address.into()));
    assert_eq!((&server["authenticated_by"], &server["resumed"]), (&"authority".into(), &false.into()));
    assert_eq!(server["tls_version"], "TLS 1.3");
    assert!(server["cipher_suite"].as_str().is_some_and(|suite| suite.starts_with("TLS_")), "{server}");
    assert!(server["group"].as_str().is_some_and(|group| !group.is_empty()));
    let mechanisms = texts(&server["mechanisms"]);
    assert!(mechanisms.contains(&"PLAIN") && mechanisms.contains(&"SCRAM-SHA-1"), "{mechanisms:?}");
    assert_eq!(texts(&server["mechanisms_in_clear"]), Vec::<&str>::new());
}

/// What the certificate is that was not taken.
fn assert_refuses(ended: &Ended, certificate: Certificate, why: &str) {
    assert_fails(ended, 3, &["is not verified as that of localhost", why]);
    let shown = only(ended, "certificate");
    assert!(shown["refused"].as_str().is_some_and(|refused| refused.contains(why)), "{shown}");
    assert_eq!(shown["subject"], "CN=A server for tests");
    let issuer =
        if certificate == Certificate::SelfSigned { "CN=A server for tests" } else { "CN=Authority for tests" };
    assert_eq!(shown["issuer"], issuer);
    let names = if certificate == Certificate::WrongName { "elsewhere.example" } else { "localhost" };
    assert_eq!(texts(&shown["dns_names"]), [names]);
    assert!(ended.stderr.contains(shown["sha256"].as_str().expect("text")));
    assert_eq!(ended.named("server").count(), 0);
}

#[test]
fn rfc_7590_3_6_everything_about_a_prosody_is_told() {
    let server = Prosody::with_certificate(Certificate::Good);
    let ended = Prober::new().probe_with(&server.address(), &server.ca_file());
    assert_tells_everything(&ended, &server.address());
    assert_eq!(only(&ended, "server")["starttls"], "required");
    assert!(!server.log().contains("Authenticated as"), "nobody logs in");
}

#[test]
fn rfc_7590_3_6_everything_about_an_ejabberd_is_told() {
    let server = Ejabberd::start(Certificate::Good);
    let prober = Prober::new();
    let ended = prober.probe_with(&server.address(), &server.ca_file());
    assert_tells_everything(&ended, &server.address());
    assert_eq!(only(&ended, "server")["starttls"], "required");
    // Where TLS begins with the connection (XEP-0368).
    let ca_file = server.ca_file().display().to_string();
    let ended = prober.probe(&server.direct_address(), &["--direct-tls", "--ca-file", &ca_file]);
    assert_tells_everything(&ended, &server.direct_address());
    assert!(only(&ended, "server")["starttls"].is_null());
}

#[test]
fn a_prosody_with_a_bad_certificate_is_refused_with_exit_code_3_and_its_certificate_shown() {
    for (certificate, why) in BAD {
        let server = Prosody::with_certificate(certificate);
        let ended = Prober::new().probe_with(&server.address(), &server.ca_file());
        assert_refuses(&ended, certificate, why);
    }
}

#[test]
fn an_ejabberd_with_a_bad_certificate_is_refused_with_exit_code_3_and_its_certificate_shown() {
    for (certificate, why) in BAD {
        let server = Ejabberd::start(certificate);
        let ended = Prober::new().probe_with(&server.address(), &server.ca_file());
        assert_refuses(&ended, certificate, why);
    }
}

#[test]
fn an_authority_of_somebody_elses_is_no_authority() {
    let server = Prosody::with_certificate(Certificate::Good);
    let other = Prosody::with_certificate(Certificate::Good);
    let prober = Prober::new();
    // It has the same name.
    assert_fails(
        &prober.probe_with(&server.address(), &other.ca_file()),
        3,
        &["a signature in its chain is not valid"],
    );
    // Nor is it one of the platform's.
    assert_fails(&prober.probe(&server.address(), &[]), 3, &["no authority that is trusted issued it", "--ca-file"]);
    assert_eq!(fs::read_dir(prober.dir.path()).expect("a directory").count(), 0, "nothing is remembered of it");
}

#[test]
fn a_pin_goes_without_authorities_and_dates() {
    let server = Prosody::with_certificate(Certificate::Expired);
    let prober = Prober::new();
    let refused = prober.probe_with(&server.address(), &server.ca_file());
    let pin = only(&refused, "certificate")["sha256"].as_str().expect("text").to_owned();
    let ended = prober.probe(&server.address(), &["--trust", &pin]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(only(&ended, "server")["authenticated_by"], "pinned");
    assert!(ended.stderr.contains("warning: the certificate of localhost is outside its dates"), "{}", ended.stderr);
    let other = prober.probe(&server.address(), &["--trust", &"ab".repeat(32)]);
    assert_fails(&other, 3, &["it is none of those that were given with --trust", &pin]);
    assert_eq!(only(&other, "certificate")["sha256"], pin);
}

#[test]
fn a_certificate_that_changed_is_told_once() {
    let (first, second) = (Prosody::with_certificate(Certificate::Good), Prosody::with_certificate(Certificate::Good));
    let prober = Prober::new();
    let ended = prober.probe_with(&first.address(), &first.ca_file());
    let old = only(&ended, "certificate")["sha256"].clone();
    // One that is refused is not remembered.
    let refused = prober.probe_with(&second.address(), &first.ca_file());
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    let same = prober.probe_with(&first.address(), &first.ca_file());
    assert_eq!((same.code, same.stderr.as_str()), (Some(0), ""));
    assert!(only(&same, "certificate")["changed_from"].is_null());

    let changed = prober.probe_with(&second.address(), &second.ca_file());
    assert_eq!(changed.code, Some(0), "{}", changed.stderr);
    let from = only(&changed, "certificate")["changed_from"].as_str().expect("text");
    assert_eq!(from.strip_prefix("sha-256:"), old.as_str());
    assert!(changed.stderr.contains("warning: the certificate of localhost is not the one of last time"));
    let again = prober.probe_with(&second.address(), &second.ca_file());
    assert_eq!((again.code, again.stderr.as_str()), (Some(0), ""));
}

#[test]
fn starttls_that_is_taken_away_is_told_with_exit_code_3() {
    let prosody = Prosody::with_certificate(Certificate::Good);
    let ejabberd = Ejabberd::start(Certificate::Good);
    for (port, ca_file) in [(prosody.port(), prosody.ca_file()), (ejabberd.port(), ejabberd.ca_file())] {
        let address = Stripper::start(port).address();
        let ended = Prober::new().probe_with(&address, &ca_file);
        // TLS was asked for all the same, and the server itself took that up.
        assert_fails(&ended, 3, &["somebody on the way takes the offer away"]);
        let server = only(&ended, "server");
        assert_eq!((&server["starttls"], &server["authenticated_by"]), (&"missing".into(), &"authority".into()));
    }
}

#[test]
fn a_server_without_tls_is_told_with_exit_code_3() {
    let refusing = Impostor::answering(
        b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='1'>\
          <stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>\
          </stream:features>",
        "<starttls",
        b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>",
    );
    let ca = Prosody::with_certificate(Certificate::Good);
    let ended = Prober::new().probe_with(&refusing.address(), &ca.ca_file());
    assert_fails(&ended, 3, &["does not begin TLS", "would not be protected"]);
    assert_eq!(ended.named("server").count(), 0);
}

#[test]
fn what_is_no_server_is_told_with_exit_code_4() {
    let server = Prosody::with_certificate(Certificate::Good);
    let prober = Prober::new();
    let probe = |impostor: &Impostor| prober.probe_with(&impostor.address(), &server.ca_file());
    assert_fails(&probe(&Impostor::breaking_off(b"HTTP/1.1 400 Bad Request\r\n\r\n")), 4, &["HTTP", "--direct-tls"]);
    assert_fails(&probe(&Impostor::breaking_off(b"")), 4, &["broke off"]);
    assert_fails(&probe(&Impostor::breaking_off(b"<?xml version='1.0'?><stream:stream xm")), 4, &["broke off"]);
    let ca_file = server.ca_file().display().to_string();
    let silent = Impostor::staying(b"");
    let options = ["--ca-file", &ca_file, "--timeout", "1"];
    assert_fails(&prober.probe(&silent.address(), &options), 4, &["within 1 s", "--timeout"]);
    // TLS where there is none, and the other way round.
    assert_fails(&prober.probe(&server.address(), &["--direct-tls", "--ca-file", &ca_file]), 4, &["localhost"]);
    let ejabberd = Ejabberd::start(Certificate::Good);
    let ended = prober.probe(&ejabberd.direct_address(), &["--ca-file", &ca_file, "--timeout", "5"]);
    assert_fails(&ended, 4, &["localhost"]);
    assert_fails(&prober.probe("no-such-host.invalid", &[]), 4, &["unknown host no-such-host.invalid"]);
    let mut server = server;
    let address = server.address();
    server.kill();
    assert_fails(&prober.probe(&address, &[]), 4, &["cannot connect to 127.0.0.1"]);
}

#[test]
fn slips_on_the_command_line_have_exit_code_2() {
    let prober = Prober::new();
    assert_fails(&prober.probe("127.0.0.1:0", &[]), 2, &["127.0.0.1:0 is not HOST:PORT"]);
    assert_fails(&prober.probe("127.0.0.1", &["--trust", "xyz"]), 2, &["--trust xyz is no fingerprint"]);
    assert_fails(&prober.probe("127.0.0.1", &["--timeout", "0"]), 2, &["--timeout"]);
    let both = ["--trust", &"ab".repeat(32), "--ca-file", "x"];
    assert_fails(&prober.probe("127.0.0.1", &both), 2, &["by --trust or by --ca-file, not by both"]);
    assert_fails(&prober.probe("127.0.0.1", &["--jid", "a@b/c"]), 2, &["--jid is for a peer", "127.0.0.1 is none"]);
    assert_fails(&prober.probe("bob@localhost", &["--jid", "a@b/c"]), 2, &["--domain is for a server"]);
    assert_fails(&prober.probe("127.0.0.1", &["--ca-file", "/no/such/file"]), 1, &["the CA file", "cannot be read"]);
}

#[test]
fn a_server_without_extended_master_secret_is_told_as_that() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let settings = "openssl_conf = conf\n[conf]\nssl_conf = ssl\n[ssl]\nsystem_default = defaults\n[defaults]\n\
                    Options = -ExtendedMasterSecret\nMaxProtocol = TLSv1.2\n";
    fs::write(dir.path().join("settings"), settings).expect("the settings are written");
    let openssl = || {
        let mut openssl = Command::new("openssl");
        openssl.current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        openssl
    };
    let request = ["req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=localhost", "-out", "server.pem"];
    let names = ["-keyout", "server.key", "-addext", "subjectAltName=DNS:localhost"];
    let made = openssl().args(request).args(names).status().expect("openssl is installed");
    assert!(made.success());
    // A port that was free a moment ago.
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let mut server = openssl()
        .env("OPENSSL_CONF", path("settings"))
        .args(["s_server", "-quiet", "-accept", &address, "-cert", "server.pem", "-key", "server.key"])
        .spawn()
        .expect("openssl starts");
    let options = ["--direct-tls", "--ca-file", &path("server.pem")];
    let mut ended = Prober::new().probe(&address, &options);
    for _ in 0..100 {
        if !ended.stderr.contains("cannot connect") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        ended = Prober::new().probe(&address, &options);
    }
    let _ = server.kill();
    let _ = server.wait();
    assert_fails(&ended, 3, &["it has no extended_master_secret", "ask its operator for TLS 1.3"]);
    assert!(!ended.stderr.contains("intercepted"), "{}", ended.stderr);
}
