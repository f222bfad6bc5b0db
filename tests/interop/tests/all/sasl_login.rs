//! The example of a login over a link, at real servers.

use std::path::Path;
use std::process::{Command, Output};

use xtls_interop::{Certificate, Ejabberd, Prosody, build};

fn login(address: &str, ca_file: &Path, password: &str) -> Output {
    Command::new(build("sasl-login"))
        .args(["alice@localhost/balcony", address])
        .env("XTLS_PASSWORD", password)
        // It trusts the authorities of the platform, which this variable replaces.
        .env("SSL_CERT_FILE", ca_file)
        .env_remove("SSL_CERT_DIR")
        .output()
        .expect("the example starts")
}

/// By SCRAM, and bound to the connection where the server can: Prosody 13 and ejabberd 24 can, and older ones cannot in TLS 1.3.
fn assert_logs_in(output: &Output) {
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{complained}");
    let lines: Vec<&str> = said.lines().collect();
    let [security, login, online, available] = lines[..] else { panic!("{said}") };
    assert!(security.starts_with("x509, TLS 1.3, "), "{security}");
    assert!(
        ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"].map(|name| format!("logged in by {name}")).contains(&login.to_owned()),
        "{login}"
    );
    assert_eq!((online, available), ("online as alice@localhost/balcony", "available"));
}

#[test]
fn the_example_logs_in_to_prosody() {
    let server = Prosody::with_certificate(Certificate::Good);
    let output = login(&server.address(), &server.ca_file(), &Prosody::password("alice"));
    assert_logs_in(&output);
    let log = server.log();
    assert!(log.contains("<auth ") && log.contains("Authenticated as alice@localhost"), "{log}");
}

#[test]
fn the_example_logs_in_to_ejabberd() {
    let server = Ejabberd::start(Certificate::Good);
    let output = login(&server.address(), &server.ca_file(), &Prosody::password("alice"));
    assert_logs_in(&output);
}

#[test]
fn the_example_gives_no_password_to_a_server_that_is_not_verified_and_tells_of_a_wrong_one() {
    let server = Prosody::with_certificate(Certificate::WrongName);
    let output = login(&server.address(), &server.ca_file(), &Prosody::password("alice"));
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert!(!server.log().contains("<auth "), "{}", server.log());

    let server = Prosody::with_certificate(Certificate::Good);
    let output = login(&server.address(), &server.ca_file(), "wrong");
    assert!(!output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("login refused: not-authorized"), "{output:?}");
}
