//! What is refused in a ClientHello and in a ServerHello.

use super::*;
use crate::{AuthenticationFailed, DecodeError, PeerIncompatible, PeerMisbehaved};

/// A hello in its parts, acceptable until a test changes one.
#[derive(Clone)]
struct Hello {
    version: u16,
    session_id: Vec<u8>,
    suites: Vec<u16>,
    compressions: Vec<u8>,
    extensions: Vec<(u16, Vec<u8>)>,
    trailing: Vec<u8>,
}

const SRP: u16 = 12;
const ENCRYPT_THEN_MAC: u16 = 22;
const EXTENDED_MASTER_SECRET: u16 = 23;
const SUPPORTED_VERSIONS: u16 = 43;
const RENEGOTIATION_INFO: u16 = 0xFF01;

impl Hello {
    fn client() -> Self {
        let mut name = vec![u8::try_from(NAME.len()).unwrap()];
        name.extend_from_slice(NAME.as_bytes());
        let mut hello = Self::server();
        hello.suites = vec![0xC020, 0xC01D];
        hello.extensions.push((SRP, name));
        hello
    }

    fn server() -> Self {
        Self {
            version: 0x0303,
            session_id: Vec::new(),
            suites: vec![0xC020],
            compressions: vec![0],
            extensions: vec![
                (EXTENDED_MASTER_SECRET, vec![]),
                (ENCRYPT_THEN_MAC, vec![]),
                (RENEGOTIATION_INFO, vec![0]),
            ],
            trailing: Vec::new(),
        }
    }

    fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut hello = self.clone();
        change(&mut hello);
        hello
    }

    fn without(&self, extension: u16) -> Self {
        self.with(|hello| hello.extensions.retain(|(number, _)| *number != extension))
    }

    fn and(&self, extension: u16, data: &[u8]) -> Self {
        self.with(|hello| hello.extensions.push((extension, data.to_vec())))
    }

    fn encode(&self, server: bool) -> Vec<u8> {
        let length = |length: usize| u16::try_from(length).unwrap().to_be_bytes();
        let mut body = self.version.to_be_bytes().to_vec();
        body.extend([7; 32]);
        body.push(u8::try_from(self.session_id.len()).unwrap());
        body.extend(&self.session_id);
        if server {
            body.extend(self.suites[0].to_be_bytes());
            body.push(self.compressions[0]);
        } else {
            body.extend(length(2 * self.suites.len()));
            body.extend(self.suites.iter().flat_map(|suite| suite.to_be_bytes()));
            body.push(u8::try_from(self.compressions.len()).unwrap());
            body.extend(&self.compressions);
        }
        if !self.extensions.is_empty() {
            let mut block = Vec::new();
            for (number, data) in &self.extensions {
                block.extend(number.to_be_bytes());
                block.extend(length(data.len()));
                block.extend(data);
            }
            body.extend(length(block.len()));
            body.extend(block);
        }
        body.extend(&self.trailing);
        plain(22, &message(if server { 2 } else { 1 }, &body))
    }
}

/// Gives a server this ClientHello.
fn to_server(hello: &Hello) -> Output {
    server(1).take(&hello.encode(false))
}

/// Gives a client this ServerHello.
fn to_client(hello: &Hello) -> Output {
    let mut client = client(1);
    let _ = client.take(&[]).quiet();
    client.take(&hello.encode(true))
}

#[track_caller]
fn accepted(output: Output) {
    assert_eq!(output.result, Ok(()));
}

#[test]
fn the_hellos_that_the_rows_below_change_are_acceptable() {
    accepted(to_server(&Hello::client()));
    accepted(to_client(&Hello::server()));
}

#[test]
fn p10_versions_other_than_tls_1_2_are_refused() {
    let refused = PeerIncompatible::ProtocolVersion;
    for version in [0x0002, 0x0300, 0x0301, 0x0302] {
        died(&to_server(&Hello::client().with(|h| h.version = version)), refused, 70);
        died(&to_client(&Hello::server().with(|h| h.version = version)), refused, 70);
    }
    // A client may offer more than there is (RFC 5246 appendix E.1); a server may not answer with it.
    accepted(to_server(&Hello::client().with(|h| h.version = 0x0304)));
    died(&to_client(&Hello::server().with(|h| h.version = 0x0304)), refused, 70);
    // TLS 1.3 says so in an extension (RFC 8446 § 4.2.1), and may offer 1.2 beside it.
    let only_tls13 = Hello::client().and(SUPPORTED_VERSIONS, &[2, 3, 4]);
    died(&to_server(&only_tls13), refused, 70);
    accepted(to_server(&Hello::client().and(SUPPORTED_VERSIONS, &[4, 3, 4, 3, 3])));
    let tls13 = Hello::server().and(SUPPORTED_VERSIONS, &[3, 4]);
    died(&to_client(&tls13), PeerMisbehaved::UnsolicitedExtension, 110);
}

/// What a client that speaks only TLS 1.0 sends: an older version in the record and in the hello.
#[test]
fn p10_an_old_client_is_told_the_version() {
    let mut hello = Hello::client().with(|h| h.version = 0x0301).encode(false);
    hello[2] = 1;
    died(&server(1).take(&hello), PeerIncompatible::ProtocolVersion, 70);
}

#[test]
fn tls_fallback_scsv_is_no_offence_in_a_client_that_did_not_fall_back() {
    accepted(to_server(&Hello::client().with(|h| h.suites.push(0x5600))));
}

#[test]
fn m08_certificate_suites_are_refused() {
    let refused = PeerIncompatible::CipherSuites;
    // ECDHE, RSA, TLS 1.3, the SRP suites with 3DES and with certificates, and both SCSVs alone.
    for suites in [
        vec![0xC02F, 0xC030, 0x009C],
        vec![0x1301, 0x1302, 0x1303],
        vec![0xC01A, 0xC01B, 0xC01C, 0xC01E, 0xC01F, 0xC021, 0xC022],
        vec![0x00FF, 0x5600],
    ] {
        died(&to_server(&Hello::client().with(|h| h.suites = suites.clone())), refused, 40);
    }
    // Refused for the suites even where there is no name and nothing else fits.
    let other_tls = Hello::client().with(|h| {
        h.suites = vec![0xC02F];
        h.extensions.clear();
    });
    died(&to_server(&other_tls), refused, 40);
    // And the other way round: a server that chooses what was not offered.
    for suite in [0xC02F, 0xC01A, 0xC01E, 0xC021, 0x1301, 0x00FF] {
        let hello = Hello::server().with(|h| h.suites = vec![suite]);
        died(&to_client(&hello), PeerMisbehaved::UnofferedCipherSuite, 47);
    }
}

#[test]
fn a_suite_that_the_configuration_left_out_is_refused() {
    let mut config = client_config();
    config.suites.remove(0);
    let mut client = ClientSession::new(config, Box::new(Seeded::new(1))).unwrap();
    let _ = client.take(&[]).quiet();
    let output = client.take(&Hello::server().encode(true));
    died(&output, PeerMisbehaved::UnofferedCipherSuite, 47);
    let mut config = server_config();
    config.suites.remove(0);
    let mut server = ServerSession::new(config, Box::new(Seeded::new(1))).unwrap();
    let hello = Hello::client().with(|h| h.suites = vec![0xC020]);
    died(&server.take(&hello.encode(false)), PeerIncompatible::CipherSuites, 40);
}

#[test]
fn p11_what_is_required_is_required() {
    for (extension, refused) in [
        (EXTENDED_MASTER_SECRET, PeerIncompatible::ExtendedMasterSecretRequired),
        (ENCRYPT_THEN_MAC, PeerIncompatible::EncryptThenMacRequired),
        (RENEGOTIATION_INFO, PeerIncompatible::RenegotiationInfoRequired),
    ] {
        died(&to_server(&Hello::client().without(extension)), refused, 40);
        died(&to_client(&Hello::server().without(extension)), refused, 40);
    }
    let refused = PeerIncompatible::ExtendedMasterSecretRequired;
    died(&to_server(&Hello::client().with(|h| h.extensions.clear())), refused, 40);
    died(&to_client(&Hello::server().with(|h| h.extensions.clear())), refused, 40);
}

#[test]
fn p11_compression_is_refused() {
    let only = Hello::client().with(|h| h.compressions = vec![1]);
    died(&to_server(&only), PeerIncompatible::Compression, 47);
    accepted(to_server(&Hello::client().with(|h| h.compressions = vec![1, 0])));
    let chosen = Hello::server().with(|h| h.compressions = vec![1]);
    died(&to_client(&chosen), PeerMisbehaved::UnofferedCompression, 47);
}

/// RFC 5746 § 3.6: the signalling suite does for a client, and the server answers with the extension all the same.
#[test]
fn rfc_5746_3_6_the_signalling_suite_stands_in_for_the_extension() {
    let hello = Hello::client().without(RENEGOTIATION_INFO).with(|h| h.suites.push(0x00FF));
    let output = to_server(&hello);
    accepted(output);
}

/// RFC 5746 §§ 3.4, 3.6.
#[test]
fn rfc_5746_3_4_renegotiation_info_must_be_empty() {
    let refused = PeerMisbehaved::IllegalRenegotiationInfo;
    let full = |hello: Hello| hello.without(RENEGOTIATION_INFO).and(RENEGOTIATION_INFO, &[1, 9]);
    died(&to_server(&full(Hello::client())), refused, 40);
    died(&to_client(&full(Hello::server())), refused, 40);
}

/// RFC 5054 §§ 2.5.1.2, 2.5.1.3. The other name costs the server no arithmetic, and tests no password.
#[test]
fn p14_unknown_and_missing_names_are_unknown_psk_identity_and_no_guess() {
    let missing = AuthenticationFailed::UsernameMissing;
    died(&to_server(&Hello::client().without(SRP)), missing, 115);
    let before = crate::srp::tests::EXCHANGES.get();
    for name in [&b"juliet@capulet.lit"[..], b"romeo@montague.li", b"Romeo@montague.lit", b"\xFF"] {
        let mut data = vec![u8::try_from(name.len()).unwrap()];
        data.extend_from_slice(name);
        let hello = Hello::client().without(SRP).and(SRP, &data);
        let mut server = server(1);
        died(&server.take(&hello.encode(false)), AuthenticationFailed::UsernameUnknown, 115);
        assert!(!server.password_attempted());
    }
    assert_eq!(crate::srp::tests::EXCHANGES.get(), before);
}

#[test]
fn malformed_names_are_decode_error() {
    for (data, error) in [
        (&[][..], DecodeError::Truncated),
        (&[0], DecodeError::VectorLength),
        (&[2, b'a'], DecodeError::Truncated),
        (&[1, b'a', b'b'], DecodeError::TrailingData),
    ] {
        let hello = Hello::client().without(SRP).and(SRP, data);
        died(&to_server(&hello), error, 50);
    }
}

#[test]
fn extensions_twice_are_refused_known_or_not() {
    let twice = PeerMisbehaved::DuplicateExtension;
    for extension in [SRP, ENCRYPT_THEN_MAC, EXTENDED_MASTER_SECRET, RENEGOTIATION_INFO, 9999] {
        let mut hello = Hello::client();
        if extension == 9999 {
            hello = hello.and(9999, b"x");
        }
        let again = hello.extensions.iter().find(|(n, _)| *n == extension).unwrap().clone();
        died(&to_server(&hello.and(again.0, &again.1)), twice, 47);
    }
    for extension in [ENCRYPT_THEN_MAC, EXTENDED_MASTER_SECRET, RENEGOTIATION_INFO] {
        let hello = Hello::server();
        let again = hello.extensions.iter().find(|(n, _)| *n == extension).unwrap().clone();
        died(&to_client(&hello.and(again.0, &again.1)), twice, 47);
    }
}

#[test]
fn unknown_extensions_are_ignored_by_the_server_and_refused_by_the_client() {
    accepted(to_server(&Hello::client().and(0, b"server name").and(9999, &[])));
    for extension in [SRP, 0, 11, 35, 9999] {
        let hello = Hello::server().and(extension, &[1, b'x']);
        died(&to_client(&hello), PeerMisbehaved::UnsolicitedExtension, 110);
    }
}

/// RFC 5246 § 7.4.1.3: a server may name the session for later. There is no later.
#[test]
fn session_ids_are_not_used() {
    accepted(to_client(&Hello::server().with(|h| h.session_id = vec![1; 32])));
    let output = to_server(&Hello::client().with(|h| h.session_id = vec![1; 32]));
    assert_eq!(messages(&output.records)[0][4 + 2 + 32], 0);
    let too_long = DecodeError::VectorLength;
    died(&to_server(&Hello::client().with(|h| h.session_id = vec![1; 33])), too_long, 50);
    died(&to_client(&Hello::server().with(|h| h.session_id = vec![1; 33])), too_long, 50);
}

/// RFC 8446 § 4.1.3's sentinel means nothing to a client that speaks 1.2 alone.
#[test]
fn downgrade_sentinel_is_ignored() {
    let mut hello = Hello::server().encode(true);
    hello[5 + 4 + 2 + 24..][..8].copy_from_slice(b"DOWNGRD\x01");
    let mut client = client(1);
    let _ = client.take(&[]).quiet();
    accepted(client.take(&hello));
}

#[test]
fn hellos_with_bytes_to_spare_or_missing_are_decode_error() {
    let spare = DecodeError::TrailingData;
    died(&to_server(&Hello::client().with(|h| h.trailing = vec![0])), spare, 50);
    died(&to_client(&Hello::server().with(|h| h.trailing = vec![0])), spare, 50);
    let flag = |hello: Hello| hello.without(ENCRYPT_THEN_MAC).and(ENCRYPT_THEN_MAC, &[0]);
    died(&to_server(&flag(Hello::client())), spare, 50);
    died(&to_client(&flag(Hello::server())), spare, 50);
    let none = DecodeError::VectorLength;
    died(&to_server(&Hello::client().with(|h| h.suites.clear())), none, 50);
    died(&to_server(&Hello::client().with(|h| h.compressions.clear())), none, 50);
    for (data, error) in [
        (&[][..], DecodeError::Truncated),
        (&[0], DecodeError::VectorLength),
        (&[3, 3, 3, 3], DecodeError::VectorLength),
        (&[2, 3, 3, 3], DecodeError::TrailingData),
    ] {
        died(&to_server(&Hello::client().and(SUPPORTED_VERSIONS, data)), error, 50);
    }
    // Cut anywhere: never accepted, never a panic.
    for server_hello in [false, true] {
        let hello = if server_hello { Hello::server() } else { Hello::client() };
        let encoded = hello.encode(server_hello);
        let body = &encoded[9..];
        for length in 0..body.len() {
            let cut = plain(22, &message(if server_hello { 2 } else { 1 }, &body[..length]));
            let output = if server_hello {
                let mut client = client(1);
                let _ = client.take(&[]).quiet();
                client.take(&cut)
            } else {
                server(1).take(&cut)
            };
            let error = output.result.unwrap_err();
            assert!(
                matches!(error, Error::Decode(_)) || error.alert() == Some(crate::AlertDescription::HandshakeFailure)
            );
        }
    }
}
