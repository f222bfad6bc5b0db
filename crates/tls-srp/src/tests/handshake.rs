//! Handshakes that succeed, and what is negotiated.

use super::*;
use crate::CipherSuite;

/// Data both ways, and a clean end.
fn talk(client: &mut ClientSession, server: &mut ServerSession) {
    let mut records = Vec::new();
    client.write(b"from the client", &mut records).unwrap();
    let heard = server.take(&records);
    assert_eq!(heard.plaintext, b"from the client");
    assert_eq!((heard.result, heard.records.len()), (Ok(()), 0));
    let mut records = Vec::new();
    server.write(b"from the server", &mut records).unwrap();
    assert_eq!(client.take(&records).plaintext, b"from the server");
    let mut records = Vec::new();
    client.close(&mut records);
    let answer = server.take(&records).quiet();
    assert!(server.peer_closed());
    assert!(client.take(&answer).quiet().is_empty());
    assert!(client.peer_closed());
}

#[test]
fn every_suite_with_every_group() {
    for suite in CipherSuite::ALL {
        for group in Group::ALL {
            let mut config = client_config();
            config.suites = vec![suite];
            let mut client = ClientSession::new(config, Box::new(Seeded::new(1))).unwrap();
            let mut config = server_config();
            config.group = group;
            let mut server = ServerSession::new(config, Box::new(Seeded::new(2))).unwrap();
            connect(&mut client, &mut server);
            assert_eq!(client.cipher_suite(), Some(suite));
            assert_eq!(server.cipher_suite(), Some(suite));
            assert_eq!(client.group(), Some(group));
            assert_eq!(server.group(), Some(group));
            talk(&mut client, &mut server);
        }
    }
}
