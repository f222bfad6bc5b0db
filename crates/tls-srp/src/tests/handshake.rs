//! Handshakes that succeed, and what is negotiated.

use super::*;
use crate::srp::tests::SHORT_SECRETS;
use crate::{AuthenticationFailed, CipherSuite, SrpConfigError};

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
            assert_eq!((client.cipher_suite(), client.group()), (None, None));
            connect(&mut client, &mut server);
            assert_eq!(client.cipher_suite(), Some(suite));
            assert_eq!(server.cipher_suite(), Some(suite));
            assert_eq!(client.group(), Some(group));
            assert_eq!(server.group(), Some(group));
            talk(&mut client, &mut server);
        }
    }
}

#[test]
fn the_default_group_has_3072_bits() {
    let config = ServerConfig::new(credentials("wherefore"));
    assert_eq!(config.group, Group::Rfc5054N3072);
}

/// Integers lose their leading zeros on the wire and in the premaster secret (RFC 5054 § 2.1), but not under PAD(). One in
/// 256 of S, A and B is short; a mistake fails only then.
#[test]
fn leading_zeros_in_4096_handshakes() {
    const SESSIONS: u64 = 4096;
    let (mut short_a, mut short_b) = (0, 0);
    SHORT_SECRETS.set(0);
    for seed in 0..SESSIONS {
        let (mut client, mut server) = (client(seed), server(seed));
        let hello = client.take(&[]).quiet();
        let flight = server.take(&hello).quiet();
        // ServerKeyExchange: N and B, g and the salt of 16 bytes, four lengths.
        let length = messages(&flight)[1].len() - 4;
        short_b += u32::from(length < 2 + 128 + 2 + 1 + 1 + 16 + 2 + 128);
        let flight = client.take(&flight).quiet();
        let length = messages(&flight)[0].len() - 4;
        short_a += u32::from(length < 2 + 128);
        let flight = server.take(&flight).quiet();
        assert!(client.take(&flight).quiet().is_empty());
        assert!(!client.is_handshaking() && !server.is_handshaking());
    }
    // Both sides computed each S.
    let short_s = SHORT_SECRETS.get() / 2;
    assert!(short_s >= 8 && short_a >= 8 && short_b >= 8, "{short_s} {short_a} {short_b}");
}

/// RFC 5054 § 2.2, figure 1, and nothing optional.
#[test]
fn flights_are_those_of_rfc5054_and_no_more() {
    let (mut client, mut server) = (client(1), server(1));
    let hello = client.take(&[]).quiet();
    let types = |bytes: &[u8]| messages(bytes).iter().map(|m| m[0]).collect::<Vec<_>>();
    assert_eq!(types(&hello), [1]);
    let flight = server.take(&hello).quiet();
    assert_eq!(types(&flight), [2, 12, 14]);
    let flight = client.take(&flight).quiet();
    assert_eq!(types(&flight), [16]);
    let record_types = |bytes: &[u8]| records(bytes).iter().map(|r| r[0]).collect::<Vec<_>>();
    assert_eq!(record_types(&flight), [22, 20, 22]);
    assert_eq!(records(&flight)[1], [20, 3, 3, 0, 1, 1]);
    let flight = server.take(&flight).quiet();
    assert_eq!(record_types(&flight), [20, 22]);
}

/// The ClientHello: TLS 1.2, no session id, both suites, null compression, and the four extensions.
#[test]
fn client_hello_byte_for_byte() {
    let hello = client(1).take(&[]).quiet();
    let mut random = [0; 32];
    Seeded::new(1).fill(&mut random).unwrap();
    let mut expected = hex("16 0303 0055  01 000051 0303");
    expected.extend_from_slice(&random);
    expected.extend(hex("00  0004 c020 c01d  01 00  0024  000c 0013 12"));
    expected.extend_from_slice(NAME.as_bytes());
    expected.extend(hex("0017 0000  0016 0000  ff01 0001 00"));
    assert_eq!(hello, expected);
}

#[test]
fn the_servers_order_of_suites_decides() {
    let mut config = server_config();
    config.suites.reverse();
    let mut server = ServerSession::new(config, Box::new(Seeded::new(2))).unwrap();
    let mut client = client(1);
    connect(&mut client, &mut server);
    assert_eq!(server.cipher_suite(), Some(CipherSuite::TlsSrpShaWithAes128CbcSha));
}

#[test]
fn an_empty_list_in_the_configuration_is_refused() {
    let source = || Box::new(Seeded::new(1));
    let mut config = client_config();
    config.groups.clear();
    assert_eq!(ClientSession::new(config, source()).err(), Some(SrpConfigError::NoGroup));
    let mut config = client_config();
    config.suites.clear();
    let refused = ClientSession::new(config, source()).err();
    assert_eq!(refused, Some(SrpConfigError::NoCipherSuite));
    let mut config = server_config();
    config.suites.clear();
    let refused = ServerSession::new(config, source()).err();
    assert_eq!(refused, Some(SrpConfigError::NoCipherSuite));
}

/// The same randomness gives the same bytes, so a session can be replayed; other randomness, other bytes.
#[test]
fn transcripts_follow_from_the_randomness_alone() {
    let transcript = |seed| {
        let (mut client, mut server) = (client(seed), server(seed));
        let mut all = client.take(&[]).quiet();
        let flight = server.take(&all).quiet();
        let answer = client.take(&flight).quiet();
        let last = server.take(&answer).quiet();
        all.extend([flight, answer, last].concat());
        all
    };
    assert_eq!(transcript(5), transcript(5));
    assert_ne!(transcript(5), transcript(6));
}

/// Salt, hello randoms, A and B are new in each session.
#[test]
fn nothing_is_reused_between_sessions() {
    let mut server_seeds = Seeded::new(9);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..16 {
        let mut seed = [0; 8];
        server_seeds.fill(&mut seed).unwrap();
        let seed = u64::from_le_bytes(seed);
        let (mut client, mut server) = (client(seed), server(seed));
        let hello = client.take(&[]).quiet();
        let flight = server.take(&hello).quiet();
        let key_exchange = &messages(&flight)[1];
        let salt = &key_exchange[4 + 2 + 128 + 2 + 1..][..1 + 16];
        assert_eq!(salt[0], 16);
        assert!(seen.insert(salt[1..].to_vec()));
        assert!(seen.insert(key_exchange[4 + 2 + 128 + 3 + 17..].to_vec()));
        assert!(seen.insert(messages(&hello)[0][6..38].to_vec()));
        assert!(seen.insert(messages(&flight)[0][6..38].to_vec()));
        assert!(seen.insert(messages(&client.take(&flight).quiet())[0].clone()));
    }
}

/// Names and passwords that differ before preparation and are the same after it.
#[test]
fn both_sides_prepare_their_strings() {
    let config = ClientConfig::new(Credentials::new("\u{2168}", "a\u{AD}b").unwrap());
    let mut client = ClientSession::new(config, Box::new(Seeded::new(1))).unwrap();
    let config = ServerConfig::new(Credentials::new("IX", "ab").unwrap());
    let mut server = ServerSession::new(config, Box::new(Seeded::new(2))).unwrap();
    connect(&mut client, &mut server);
}

/// Runs a wrong password to the server's verdict.
pub(super) fn wrong_password(client_password: &str) -> (ClientSession, ServerSession, Output) {
    let mut config = client_config();
    config.credentials = credentials(client_password);
    let mut client = ClientSession::new(config, Box::new(Seeded::new(1))).unwrap();
    let mut server = server(1);
    let hello = client.take(&[]).quiet();
    let flight = server.take(&hello).quiet();
    let flight = client.take(&flight).quiet();
    let verdict = server.take(&flight);
    (client, server, verdict)
}

/// RFC 5054 § 2.6: bad_record_mac, and the client tells the user that name or password is wrong.
#[test]
fn a_wrong_password_is_bad_record_mac() {
    let (mut client, server, verdict) = wrong_password("wherefor");
    died(&verdict, AuthenticationFailed::Password, 20);
    assert!(server.is_handshaking() && server.password_attempted());
    let told = client.take(&verdict.records);
    assert_eq!(told.result, Err(AuthenticationFailed::Refused.into()));
    assert!(told.records.is_empty());
    assert!(client.is_handshaking() && client.password_attempted());
}
