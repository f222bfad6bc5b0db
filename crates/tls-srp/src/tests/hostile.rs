//! Peers that attack the key exchange or the order of things.

use crypto_bigint::BoxedUint;

use super::handshake::wrong_password;
use super::*;
use crate::group::constants::{N_1536, N_6144};
use crate::message::ServerKeyExchange;
use crate::srp::tests::{EXCHANGES, ZERO_SCRAMBLER};
use crate::{AlertDescription, AuthenticationFailed, DecodeError, PeerIncompatible, PeerMisbehaved};

/// The values of row P12 with what each deserves, for a group.
fn hostile_values(group: Group) -> Vec<(&'static str, Vec<u8>, Error)> {
    let illegal = Error::from(PeerMisbehaved::IllegalPublicValue);
    let n = group.parameters().n();
    let wide = BoxedUint::from_be_slice(n, group.bits() + 64).unwrap();
    let small = |value: u8| BoxedUint::from_be_slice(&[value], group.bits() + 64).unwrap();
    let minimal = |value: BoxedUint| value.to_be_bytes_trimmed_vartime().to_vec();
    let mut power = vec![0; 513];
    power[0] = 1;
    power[512] = 3;
    vec![
        ("0", vec![0], illegal),
        ("N", n.to_vec(), illegal),
        ("2N", minimal(wide.wrapping_add(&wide)), illegal),
        ("1", vec![1], illegal),
        ("N-1", minimal(wide.wrapping_sub(small(1))), illegal),
        ("N+2", minimal(wide.wrapping_add(small(2))), illegal),
        ("2^4096+3", power, illegal),
        ("leading zero", [&[0], &n[1..]].concat(), illegal),
        ("empty", vec![], DecodeError::VectorLength.into()),
        ("65535 bytes", vec![0xFF; 65535], DecodeError::HandshakeTooLong.into()),
    ]
}

/// `srp_A<1..2^16-1>`
fn client_key_exchange(a: &[u8]) -> Vec<u8> {
    let length = u16::try_from(a.len()).unwrap().to_be_bytes();
    message(16, &[&length, a].concat())
}

fn server_key_exchange(n: &[u8], g: &[u8], salt: &[u8], b: &[u8]) -> Vec<u8> {
    let vector = |body: &[u8]| [&u16::try_from(body.len()).unwrap().to_be_bytes(), body].concat();
    let salt = [&[u8::try_from(salt.len()).unwrap()], salt].concat();
    message(12, &[vector(n), vector(g), salt, vector(b)].concat())
}

/// A message in as many records as it needs.
fn in_records(message: &[u8]) -> Vec<u8> {
    message.chunks(1 << 14).flat_map(|chunk| plain(22, chunk)).collect()
}

/// A server that has sent its flight.
fn waiting_server(group: Group) -> (ClientSession, ServerSession, Vec<u8>) {
    let mut config = server_config();
    config.group = group;
    let mut server = ServerSession::new(config, Box::new(Seeded::new(2))).unwrap();
    let mut client = client(1);
    let hello = client.take(&[]).quiet();
    let flight = server.take(&hello).quiet();
    (client, server, flight)
}

/// A client that has had a genuine ServerHello, and the flight that it came from.
fn waiting_client() -> (ClientSession, Vec<Vec<u8>>) {
    let (mut client, _, flight) = waiting_server(Group::Rfc5054N1024);
    let flight = messages(&flight);
    let _ = client.take(&plain(22, &flight[0])).quiet();
    (client, flight)
}

#[test]
fn p12_hostile_a_is_refused_before_any_arithmetic() {
    for group in [Group::Rfc5054N1024, Group::Rfc5054N2048, Group::Rfc5054N8192] {
        for (name, a, error) in hostile_values(group) {
            if name == "2^4096+3" && group == Group::Rfc5054N8192 {
                continue; // a legal value there
            }
            let (_, mut server, _) = waiting_server(group);
            let before = EXCHANGES.get();
            let input = in_records(&client_key_exchange(&a));
            let mut output = None;
            let memory = allocation_counter::measure(|| output = Some(server.take(&input)));
            let output = output.unwrap();
            // One message of 16 KiB may wait in pieces; what the peer claims beyond that costs nothing.
            assert!(memory.bytes_max < 64 * 1024, "{name}: {}", memory.bytes_max);
            let alert = u8::from(error.alert().unwrap());
            died(&output, error, alert);
            assert_eq!(alert, if matches!(error, Error::Decode(_)) { 50 } else { 47 }, "{name}");
            assert_eq!(EXCHANGES.get(), before, "{name}");
        }
    }
}

#[test]
fn p12_hostile_b_is_refused_before_any_arithmetic() {
    for group in [Group::Rfc5054N1024, Group::Rfc5054N2048, Group::Rfc5054N8192] {
        for (name, b, error) in hostile_values(group) {
            if name == "2^4096+3" && group == Group::Rfc5054N8192 {
                continue;
            }
            let (mut client, _) = waiting_client();
            let before = EXCHANGES.get();
            let n = group.parameters().n();
            let hostile = server_key_exchange(n, &[group.generator()], &[7; 16], &b);
            let input = in_records(&hostile);
            let mut output = None;
            let memory = allocation_counter::measure(|| output = Some(client.take(&input)));
            let output = output.unwrap();
            assert!(memory.bytes_max < 64 * 1024, "{name}: {}", memory.bytes_max);
            let alert = u8::from(error.alert().unwrap());
            died(&output, error, alert);
            assert_eq!(alert, if matches!(error, Error::Decode(_)) { 50 } else { 47 }, "{name}");
            assert_eq!(EXCHANGES.get(), before, "{name}");
            assert!(!client.password_attempted());
        }
    }
}

#[test]
fn p13_unknown_groups_are_refused_before_any_arithmetic() {
    let n = |group: Group| group.parameters().n().to_vec();
    let mut composite = n(Group::Rfc5054N2048);
    composite[100] ^= 1;
    let mut even = n(Group::Rfc5054N3072);
    *even.last_mut().unwrap() ^= 1;
    let [n1536, n6144] = [N_1536, N_6144].map(hex);
    assert_eq!([n1536.len(), n6144.len()].map(|bytes| 8 * bytes), [1536, 6144]);
    for (n, g) in [
        (n(Group::Rfc5054N3072), vec![2]),
        (n(Group::Rfc5054N2048), vec![5]),
        (n(Group::Rfc5054N2048), vec![0, 2]),
        (n(Group::Rfc5054N2048), vec![1]),
        ([vec![0], n(Group::Rfc5054N2048)].concat(), vec![2]),
        (composite, vec![2]),
        (even, vec![5]),
        (n1536, vec![2]),
        (n6144, vec![5]),
        (vec![23], vec![5]),
        (vec![0], vec![0]),
    ] {
        let (mut client, _) = waiting_client();
        let before = EXCHANGES.get();
        let output = client.take(&plain(22, &server_key_exchange(&n, &g, &[7], &[9])));
        died(&output, PeerIncompatible::Group, 71);
        assert_eq!(EXCHANGES.get(), before);
    }
}

/// The group of 1024 bits is too small for whoever does not ask for it, as this crate's tests do.
#[test]
fn p13_small_groups_and_those_left_out_are_refused() {
    let config = ClientConfig::new(credentials("wherefore"));
    assert_eq!(config.groups, Group::ALL);
    assert!(Group::ALL.iter().all(|group| group.bits() >= 2048));
    let mut client = ClientSession::new(config, Box::new(Seeded::new(1))).unwrap();
    let mut server = server(1);
    let hello = client.take(&[]).quiet();
    let flight = server.take(&hello).quiet();
    died(&client.take(&flight), PeerIncompatible::Group, 71);
}

#[test]
fn key_exchanges_that_cannot_be_parsed_are_decode_error() {
    let parameters = Group::Rfc5054N1024.parameters();
    let good = server_key_exchange(parameters.n(), &[2], &[7; 16], &[9]);
    let body = &good[4..];
    assert!(ServerKeyExchange::read(body).is_ok());
    for length in 0..body.len() {
        let (mut client, _) = waiting_client();
        let output = client.take(&plain(22, &message(12, &body[..length])));
        died(&output, DecodeError::Truncated, 50);
    }
    let (mut client, _) = waiting_client();
    let output = client.take(&plain(22, &message(12, &[body, &[0]].concat())));
    died(&output, DecodeError::TrailingData, 50);
    // An empty N, g, salt or B.
    for empty in 0..4 {
        let mut parts: [&[u8]; 4] = [parameters.n(), &[2], &[7; 16], &[9]];
        parts[empty] = &[];
        let (mut client, _) = waiting_client();
        let hostile = server_key_exchange(parts[0], parts[1], parts[2], parts[3]);
        died(&client.take(&plain(22, &hostile)), DecodeError::VectorLength, 50);
    }
    // ServerHelloDone and Finished have fixed lengths, and ClientKeyExchange has nothing after A.
    let (mut client, flight) = waiting_client();
    let _ = client.take(&plain(22, &flight[1])).quiet();
    died(&client.take(&plain(22, &message(14, &[0]))), DecodeError::TrailingData, 50);
    let (_, mut server, _) = waiting_server(Group::Rfc5054N1024);
    let long = message(16, &[0, 1, 9, 9]);
    died(&server.take(&plain(22, &long)), DecodeError::TrailingData, 50);
    let (_, mut server, _) = waiting_server(Group::Rfc5054N1024);
    died(&server.take(&plain(22, &message(16, &[0, 2, 9]))), DecodeError::Truncated, 50);
}

/// RFC 5054 § 2.8.2: `srp_s<1..2^8-1>`.
#[test]
fn salts_of_1_and_255_bytes_are_used() {
    for length in [1, 255] {
        let (mut client, flight) = waiting_client();
        let n = Group::Rfc5054N1024.parameters().n();
        let _ = client.take(&plain(22, &server_key_exchange(n, &[2], &vec![7; length], &[9]))).quiet();
        let answer = client.take(&plain(22, &flight[2])).quiet();
        assert_eq!(records(&answer).len(), 3);
    }
}

/// With u = 0 the password does not matter; SRP-6a aborts then.
#[test]
fn zero_scrambler_ends_either_side() {
    let (mut client, mut server, flight) = waiting_server(Group::Rfc5054N1024);
    let mut second = waiting_server(Group::Rfc5054N1024).0;
    let answer = second.take(&flight);
    ZERO_SCRAMBLER.set(true);
    let client_output = client.take(&flight);
    let server_output = server.take(&answer.records);
    ZERO_SCRAMBLER.set(false);
    died(&client_output, PeerMisbehaved::IllegalPublicValue, 47);
    died(&server_output, PeerMisbehaved::IllegalPublicValue, 47);
}

/// One guess to a session, and one wrong word is answered like another, however near it comes. (Whether it takes as long is
/// for `examples/timing.rs`; that a wrong name is answered otherwise is deliberate: see the threat model.)
#[test]
fn p14_one_guess_and_the_answer_tells_nothing_of_a_wrong_word() {
    let (_, mut server, verdict) = wrong_password("x");
    for word in ["wherefore and so on and so on", "Wherefore", "wherefor", "wherefora", "herefore"] {
        assert_eq!(wrong_password(word).2, verdict, "{word}");
    }
    // The session is spent: the right word comes too late.
    let mut client = client(1);
    let hello = client.take(&[]).quiet();
    let again = server.take(&hello);
    assert_eq!(again.result, Err(AuthenticationFailed::Password.into()));
    assert!(again.records.is_empty());
}

/// A client that goes as far as ClientKeyExchange and leaves has tested nothing.
#[test]
fn p14_only_a_finished_is_a_guess() {
    let (mut client, mut server, flight) = waiting_server(Group::Rfc5054N1024);
    let answer = records(&client.take(&flight).quiet());
    assert!(client.password_attempted());
    let _ = server.take(&answer[0]).quiet();
    let _ = server.take(&answer[1]).quiet();
    assert!(!server.password_attempted());
    let _ = server.take(&answer[2]).quiet();
    assert!(server.password_attempted());
}

#[test]
fn p15_early_change_cipher_spec() {
    // CVE-2014-0224: before the key exchange, and then going on as if nothing had happened.
    let mut server = server(1);
    died(&server.take(&plain(20, &[1])), PeerMisbehaved::UnexpectedMessage, 10);
    let (_, mut server, _) = waiting_server(Group::Rfc5054N1024);
    died(&server.take(&plain(20, &[1])), PeerMisbehaved::UnexpectedMessage, 10);
    let (mut client, _) = waiting_client();
    died(&client.take(&plain(20, &[1])), PeerMisbehaved::UnexpectedMessage, 10);
}

#[test]
fn p15_finished_before_change_cipher_spec() {
    let (mut client, mut server, flight) = waiting_server(Group::Rfc5054N1024);
    let answer = records(&client.take(&flight).quiet());
    // In one record with ClientKeyExchange, unprotected.
    let joined = [&answer[0][5..], &message(20, &[0; 12])].concat();
    died(&server.take(&plain(22, &joined)), PeerMisbehaved::UnexpectedMessage, 10);
    // The client's side of it: Finished straight after ServerHelloDone.
    let flight = [&flight[..], &plain(22, &message(20, &[0; 12]))].concat();
    let (mut client, _, _) = waiting_server(Group::Rfc5054N1024);
    let output = client.take(&flight);
    assert_eq!(output.result, Err(PeerMisbehaved::UnexpectedMessage.into()));
}

#[test]
fn p15_application_data_before_finished_is_not_delivered() {
    let (mut client, mut server, flight) = waiting_server(Group::Rfc5054N1024);
    let answer = records(&client.take(&flight).quiet());
    let data = sealed!(client, crate::record::ContentType::ApplicationData, b"too early");
    let _ = server.take(&answer[0]).quiet();
    let _ = server.take(&answer[1]).quiet();
    died(&server.take(&data), PeerMisbehaved::UnexpectedMessage, 10);
    // Unprotected data as the first thing a server ever gets.
    let mut server = super::server(1);
    died(&server.take(&plain(23, b"x")), PeerMisbehaved::UnexpectedMessage, 10);
}

#[test]
fn p15_no_message_spans_the_change_of_keys() {
    let (mut client, mut server, flight) = waiting_server(Group::Rfc5054N1024);
    let answer = records(&client.take(&flight).quiet());
    // The first bytes of a Finished, unprotected, behind ClientKeyExchange.
    let joined = [&answer[0][5..], &[20, 0, 0]].concat();
    let _ = server.take(&plain(22, &joined)).quiet();
    let output = server.take(&answer[1]);
    died(&output, PeerMisbehaved::IllegalChangeCipherSpec, 10);
}

#[test]
fn p15_change_cipher_spec_comes_once() {
    let (mut client, mut server, flight) = waiting_server(Group::Rfc5054N1024);
    let answer = records(&client.take(&flight).quiet());
    let _ = server.take(&answer[0]).quiet();
    let _ = server.take(&answer[1]).quiet();
    died(&server.take(&answer[1]), PeerMisbehaved::UnexpectedMessage, 10);
}

/// A right MAC and a wrong verify_data: the keys agree, so it is not the password.
#[test]
fn a_finished_that_does_not_match_is_decrypt_error() {
    let (mut client, mut server, flight) = waiting_server(Group::Rfc5054N1024);
    let answer = records(&client.take(&flight).quiet());
    let _ = server.take(&answer[0]).quiet();
    let _ = server.take(&answer[1]).quiet();
    client.inner().parts().0.sealer.as_mut().unwrap().set_used(0, 0);
    let forged = sealed!(client, crate::record::ContentType::Handshake, &message(20, &[0; 12]));
    died(&server.take(&forged), AuthenticationFailed::Finished, 51);
    // And one of the wrong length.
    for (length, error) in [(11, DecodeError::Truncated), (13, DecodeError::TrailingData)] {
        let (mut client, mut server, flight) = waiting_server(Group::Rfc5054N1024);
        let answer = records(&client.take(&flight).quiet());
        let _ = server.take(&answer[..2].concat()).quiet();
        client.inner().parts().0.sealer.as_mut().unwrap().set_used(0, 0);
        let body = vec![0; length];
        let forged = sealed!(client, crate::record::ContentType::Handshake, &message(20, &body));
        died(&server.take(&forged), error, 50);
    }
}

/// Every bit of the first two flights matters: a change anywhere ends the handshake on one side or the other.
#[test]
fn no_bit_of_the_handshake_can_be_changed() {
    let mut reference = client(1);
    let hello = reference.take(&[]).quiet();
    let flight = server(1).take(&hello).quiet();
    let mut survived = Vec::new();
    for (flight_number, length) in [(0, hello.len()), (1, flight.len())] {
        for index in (0..length).step_by(3) {
            let (mut client, mut server) = (client(1), server(1));
            let mut first = client.take(&[]).quiet();
            if flight_number == 0 {
                first[index] ^= 1 << (index % 8);
            }
            let mut second = server.take(&first).records;
            if flight_number == 1 {
                second[index] ^= 1 << (index % 8);
            }
            let third = client.take(&second).records;
            let fourth = server.take(&third).records;
            let _ = client.take(&fourth);
            if !client.is_handshaking() {
                survived.push((flight_number, index));
            }
        }
    }
    // The minor version of the first record is the one thing that is not authenticated (RFC 5246 appendix E.1).
    survived.retain(|place| *place != (0, 2));
    assert_eq!(survived, []);
}

/// A client's own messages sent back to it, and a server's to it: neither completes.
#[test]
fn reflection_completes_nothing() {
    let mut client = client(1);
    let hello = client.take(&[]).quiet();
    died(&client.take(&hello), PeerMisbehaved::UnexpectedMessage, 10);
    let (_, mut server, flight) = waiting_server(Group::Rfc5054N1024);
    died(&server.take(&flight), PeerMisbehaved::UnexpectedMessage, 10);
    // Two clients that know the same password, each taken for a server by the other.
    let (mut left, mut right) = (super::client(1), super::client(2));
    let left_hello = left.take(&[]).quiet();
    let right_hello = right.take(&[]).quiet();
    assert!(left.take(&right_hello).result.is_err());
    assert!(right.take(&left_hello).result.is_err());
}

/// A recorded session, played again to a fresh server or a fresh client.
#[test]
fn replay_completes_nothing() {
    let (mut client, mut server, flight) = waiting_server(Group::Rfc5054N1024);
    let answer = client.take(&flight).quiet();
    let last = server.take(&answer).quiet();
    let mut fresh = super::server(77);
    let hello = super::client(1).take(&[]).quiet();
    let _ = fresh.take(&hello).quiet();
    let output = fresh.take(&answer);
    died(&output, AuthenticationFailed::Password, 20);
    let mut fresh = super::client(78);
    let _ = fresh.take(&[]).quiet();
    let _ = fresh.take(&flight).quiet();
    let output = fresh.take(&last);
    assert_eq!(output.result, Err(AuthenticationFailed::Password.into()));
}

/// Someone who knows no password plays the server with a verifier of a guess.
#[test]
fn a_server_that_does_not_know_the_password_learns_no_more_than_that() {
    let mut config = server_config();
    config = {
        let mut wrong = ServerConfig::new(credentials("guess"));
        wrong.group = config.group;
        wrong
    };
    let mut server = ServerSession::new(config, Box::new(Seeded::new(2))).unwrap();
    let mut client = client(1);
    let hello = client.take(&[]).quiet();
    let flight = server.take(&hello).quiet();
    let answer = client.take(&flight).quiet();
    assert!(server.take(&answer).result.is_err());
    assert!(client.is_handshaking());
    // It claims success nevertheless, under keys of its own.
    let (_, other) = connected(5);
    let mut other = other;
    let forged = sealed!(other, crate::record::ContentType::Handshake, &message(20, &[0; 12]));
    let output = client.take(&[plain(20, &[1]), forged].concat());
    assert_eq!(output.result, Err(AuthenticationFailed::Password.into()));
    assert_eq!(output.records.len(), 57);
}

#[test]
fn m28_forged_alerts_end_the_attempt_and_nothing_more() {
    for (number, error) in [
        (115, Error::from(AuthenticationFailed::Refused)),
        (80, AuthenticationFailed::Refused.into()),
        (20, AuthenticationFailed::Refused.into()),
        (40, Error::AlertReceived(AlertDescription::HandshakeFailure)),
        (0, Error::AlertReceived(AlertDescription::CloseNotify)),
    ] {
        // In answer to ClientHello: nothing was tested, so no guess is to be counted.
        let mut client = client(1);
        let _ = client.take(&[]).quiet();
        let output = client.take(&fatal(number));
        assert_eq!(output.result, Err(error));
        assert!(output.records.is_empty());
        assert!(!client.password_attempted());
        // After the client's Finished it may have been.
        let (mut client, _, flight) = waiting_server(Group::Rfc5054N1024);
        let _ = client.take(&flight).quiet();
        assert_eq!(client.take(&fatal(number)).result, Err(error));
        assert!(client.password_attempted());
    }
}
