//! The example of embedding answers the `xtls` command through a real Prosody.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use xtls_interop::{Stage, Transport, build};

/// Ends the example with the test.
struct Example(Child);

impl Drop for Example {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_example_of_embedding_echoes_what_is_said_in_a_tunnel() {
    let stage = Stage::new(Transport::StartTls);
    let (alice, bob) = (stage.person("alice"), stage.person("bob"));
    let child = Command::new(build("echo-client"))
        .args([&bob.full(), &alice.bare(), &alice.fingerprint(), &bob.address])
        .env("XTLS_PASSWORD", &bob.password)
        // It trusts the authorities of the platform, which this variable replaces.
        .env("SSL_CERT_FILE", stage.server.ca_file())
        .env_remove("SSL_CERT_DIR")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the example starts");
    let mut example = Example(child);
    let mut said = BufReader::new(example.0.stdout.take().expect("standard output is piped")).lines();
    let mut line = || said.next().expect("the example goes on").expect("standard output is UTF-8");
    let announced = line();
    let fingerprint = announced.strip_prefix("sha-256:").expect("the digest is named");
    assert_eq!(line(), format!("online as {}", bob.full()));

    let mut chatting = alice.start(&["chat", &bob.bare(), "--trust", fingerprint]);
    assert_eq!(chatting.event("secured")["peer_sha256"], fingerprint);
    chatting.line("how silver-sweet sound lovers' tongues by night");
    assert_eq!(chatting.event("message")["body"], "how silver-sweet sound lovers' tongues by night");
    chatting.end_input();
    let ended = chatting.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(line(), format!("{} offers a tunnel", alice.full()));
}
