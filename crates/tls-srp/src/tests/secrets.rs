//! What must not be seen, and randomness that fails.

use super::*;
use crate::record::ContentType;
use crate::{AuthenticationFailed, WriteError};

/// Row L6: a password shows in no debug output and in no error.
#[test]
fn l06_the_password_is_nowhere_to_be_seen() {
    const CANARY: &str = "canary-9f31";
    let mut config = client_config();
    config.credentials = credentials(CANARY);
    let mut server_config = ServerConfig::new(credentials(CANARY));
    server_config.group = Group::Rfc5054N1024;
    let mut seen = format!("{config:?} {config:#?} {server_config:?}");
    let mut client = ClientSession::new(config, Box::new(Seeded::new(1))).unwrap();
    let mut server = ServerSession::new(server_config, Box::new(Seeded::new(2))).unwrap();
    seen += &format!("{client:?} {server:?}");
    connect(&mut client, &mut server);
    seen += &format!("{client:?} {server:#?}");
    let error = client.take(&[99; 5]).result.unwrap_err();
    seen += &format!("{error:?} {error} {client:?}");
    assert!(!seen.contains("canary"), "{seen}");
    // A password as bytes would look like this.
    assert!(!seen.contains("99, 97, 110, 97"));
}

/// Keeps what was drawn.
#[derive(Clone)]
struct Noting(std::sync::Arc<std::sync::Mutex<(Seeded, Vec<Vec<u8>>)>>);

impl Noting {
    fn new(seed: u64) -> Self {
        Self(std::sync::Arc::new(std::sync::Mutex::new((Seeded::new(seed), Vec::new()))))
    }

    fn drawn(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().1.clone()
    }
}

impl Random for Noting {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        let (seeded, drawn) = &mut *self.0.lock().map_err(|_| RandomFailed)?;
        seeded.fill(out)?;
        drawn.push(out.to_vec());
        Ok(())
    }
}

/// How any part of a secret may be written, white space left out.
fn forms(secret: &[u8]) -> impl Iterator<Item = String> {
    let hex = |part: &[u8]| part.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let list = |part: &[u8]| part.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
    secret.windows(6).flat_map(move |part| [hex(part), hex(part).to_uppercase(), list(part)])
}

/// Row L6: a, b, x, S, the master secret and what is exported show in nothing, at no step and after the end.
#[test]
fn l06_nothing_that_the_session_is_made_of_is_seen() {
    use crate::srp::{PrivateKey, PublicValue, ServerExchange};
    use sha1::{Digest as _, Sha1};

    let (of_client, of_server) = (Noting::new(1), Noting::new(2));
    let mut client = ClientSession::new(client_config(), Box::new(of_client.clone())).unwrap();
    let mut server = ServerSession::new(server_config(), Box::new(of_server.clone())).unwrap();
    let mut seen = String::new();
    let mut look = |client: &ClientSession, server: &ServerSession, what: &dyn core::fmt::Debug| {
        seen += &format!("{client:?} {client:#?} {server:?} {server:#?} {what:?}");
    };
    // What goes over the wire is no secret.
    let hello = client.take(&[]).quiet();
    look(&client, &server, &());
    let flight = server.take(&hello).quiet();
    look(&client, &server, &());
    let answer = client.take(&flight).quiet();
    look(&client, &server, &());
    let finished = server.take(&answer).quiet();
    look(&client, &server, &());
    assert!(client.take(&finished).quiet().is_empty());
    look(&client, &server, &());

    let (client_drew, server_drew) = (of_client.drawn(), of_server.drawn());
    // The hello randoms and the salt are sent, a and b are not.
    let ([_, a, ..], [_, salt, b, ..]) = (&client_drew[..], &server_drew[..]) else { panic!("two and three") };
    let sent =
        |what: &[u8]| [&hello, &flight, &answer].iter().any(|sent| sent.windows(what.len()).any(|at| at == what));
    assert!(sent(salt) && !sent(a) && !sent(b) && (a.len(), b.len()) == (32, 32));
    let credentials = credentials("wherefore");
    let x = Sha1::digest([&salt[..], &Sha1::digest(format!("{NAME}:wherefore"))].concat());
    let parameters = Group::Rfc5054N1024.parameters();
    let mut private = crate::wipe::wiped();
    private.copy_from_slice(b);
    let exchange = ServerExchange::new(parameters, PrivateKey::new(salt, &credentials), private).unwrap();
    let public = messages(&records(&answer)[0]).remove(0);
    let premaster = exchange.premaster(&PublicValue::parse(&public[6..], parameters).unwrap()).unwrap();
    let master = client.inner().parts().0.master.as_ref().unwrap().expose().to_vec();
    assert_eq!(master, server.inner().parts().0.master.as_ref().unwrap().expose());
    let mut exported = [0; 32];
    client.export_keying_material(&mut exported, b"EXPORTER-canary", None).unwrap();

    let data = sealed!(client, ContentType::ApplicationData, b"but soft what light");
    assert_eq!(server.take(&data).plaintext, b"but soft what light");
    look(&client, &server, &());
    let error = server.take(&[99; 5]).result.unwrap_err();
    look(&client, &server, &(error, error.to_string()));
    let tight: String = seen.split_whitespace().collect();
    assert!(tight.len() > 500);
    let secrets: [(&str, &[u8]); 8] = [
        ("a", a),
        ("b", b),
        ("x", &x),
        ("S", &premaster),
        ("the master secret", &master),
        ("what is exported", &exported),
        ("the password", b"wherefore"),
        ("plaintext", b"but soft what light"),
    ];
    for (name, secret) in secrets {
        assert!(forms(secret).all(|form| !tight.contains(&form)), "{name}");
    }
    assert!(!seen.contains("wherefore") && !seen.contains("but soft"));
}

/// Whoever is wrong, the words are the same.
#[test]
fn a_wrong_password_and_an_attacker_read_the_same() {
    let words: std::collections::BTreeSet<String> = [
        AuthenticationFailed::Password,
        AuthenticationFailed::Finished,
        AuthenticationFailed::Refused,
        AuthenticationFailed::UsernameUnknown,
        AuthenticationFailed::UsernameMissing,
    ]
    .map(|failed| Error::from(failed).to_string())
    .into();
    assert_eq!(words.len(), 1);
}

/// A source that fails ends the session; at each of the places where it is asked.
#[test]
fn l03_failing_randomness_ends_the_session() {
    let plenty: Vec<u8> = {
        let mut bytes = vec![0; 400];
        Seeded::new(7).fill(&mut bytes).unwrap();
        bytes
    };
    let with = |bytes: usize| Box::new(Bytes(plenty[..bytes].to_vec()));
    // Client: hello random, a, and an IV for Finished.
    for bytes in [0, 31, 32, 63, 64, 79] {
        let mut client = ClientSession::new(client_config(), with(bytes)).unwrap();
        let hello = client.take(&[]);
        let output = if bytes < 32 {
            hello
        } else {
            let flight = server(1).take(&hello.quiet()).quiet();
            client.take(&flight)
        };
        assert_eq!(output.result, Err(Error::RandomFailed));
        assert!(!client.password_attempted());
        if bytes < 64 {
            assert_eq!(output.records, fatal(80));
        }
        assert!(client.take(&[]).records.is_empty());
    }
    // Server: hello random, salt, b, IV for Finished.
    for bytes in [0, 31, 47, 79] {
        let mut server = ServerSession::new(server_config(), with(bytes)).unwrap();
        let hello = client(1).take(&[]).quiet();
        died(&server.take(&hello), Error::RandomFailed, 80);
    }
    let mut server = ServerSession::new(server_config(), with(80)).unwrap();
    let mut client = client(1);
    let hello = client.take(&[]).quiet();
    let flight = server.take(&hello).quiet();
    let answer = client.take(&flight).quiet();
    assert_eq!(server.take(&answer).result, Err(Error::RandomFailed));
    assert!(server.is_handshaking());
}

#[test]
fn l03_failing_randomness_while_writing_sends_nothing() {
    let mut bytes = vec![0; 32 + 32 + 16 + 16];
    Seeded::new(7).fill(&mut bytes).unwrap();
    let mut client = ClientSession::new(client_config(), Box::new(Bytes(bytes))).unwrap();
    let mut server = server(1);
    connect(&mut client, &mut server);
    // Enough for the first of two records.
    let mut out = b"before".to_vec();
    let refused = client.write(&[0; (1 << 14) + 1], &mut out);
    assert_eq!(refused, Err(WriteError::RandomFailed));
    assert_eq!(out, b"before");
    assert_eq!(client.write(b"x", &mut out), Err(WriteError::Closed));
    assert_eq!(client.take(&[]).result, Err(Error::RandomFailed));
}

/// A source of zeros would make A = 1, and S with it a public value.
#[test]
fn l03_a_source_of_zeros_is_no_source() {
    let zeros = || Box::new(Bytes(vec![0; 1000]));
    let mut client = ClientSession::new(client_config(), zeros()).unwrap();
    let hello = client.take(&[]).quiet();
    let flight = server(1).take(&hello).quiet();
    died(&client.take(&flight), Error::RandomFailed, 80);
}

/// When a session dies, its keys die with it.
#[test]
fn keys_are_forgotten_at_the_end() {
    let (mut client, mut server) = connected(1);
    let mut wire = Vec::new();
    client.close(&mut wire);
    let answer = server.take(&wire).quiet();
    let _ = client.take(&answer).quiet();
    for common in [client.inner().parts().0, server.inner().parts().0] {
        assert!(common.opener.is_none() && common.sealer.is_none() && common.master.is_none());
    }
    // A fault in the second half of a record that was kept.
    let (mut client, mut server) = connected(1);
    let mut record = sealed!(server, ContentType::ApplicationData, &[0; 100]);
    record[100] ^= 1;
    let _ = client.take(&record[..99]).quiet();
    assert!(client.inner().parts().0.buffered() > 0);
    assert!(client.take(&record[99..]).result.is_err());
    let mut handshaking = super::client(1);
    let _ = handshaking.take(&[22, 3, 3, 0, 50, 2]);
    handshaking.close(&mut Vec::new());
    assert_eq!(handshaking.inner().parts().0.buffered(), 0);
    let (common, role) = client.inner().parts();
    assert_eq!(common.buffered(), 0);
    assert!(common.opener.is_none() && common.sealer.is_none() && common.master.is_none());
    assert_eq!(role.state(), "Over");
}

#[test]
fn sessions_can_move_to_another_thread() {
    fn movable<T: Send>() {}
    movable::<ClientSession>();
    movable::<ServerSession>();
}
