use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use rustls::crypto::{CryptoProvider, GetRandomFailed, SecureRandom, aws_lc_rs};
use rustls::{HandshakeKind, SupportedCipherSuite, Tls12CipherSuite};

use super::*;
use crate::records::HEADER;
use crate::session::{Method, TlsSession};
use crate::testing::{
    Pair, Presents, config, juliet, juliet_config, mallory, pin, record_lengths, romeo, romeo_config, srp_config,
    tls12_alone,
};
use crate::{CertificateFault, MAX_RECORD, MIN_RECORD, Verification, default_provider, whole_records};

mod misbehaviour;

/// The configurations of a pair that speaks TLS 1.2.
fn tls12_pair() -> (TlsConfig, TlsConfig) {
    (tls12_alone(romeo_config()), juliet_config())
}

#[test]
fn tls13_is_preferred_with_a_post_quantum_exchange() {
    let pair = Pair::connected(&romeo_config(), &juliet_config());
    let expected = TlsParameters {
        version: TlsVersion::Tls13,
        cipher_suite: "TLS_AES_256_GCM_SHA384",
        group: "X25519MLKEM768",
        resumed: false,
    };
    assert_eq!(pair.client.parameters(), Some(expected));
    assert_eq!(pair.server.parameters(), Some(expected));
    assert_eq!(pair.client.peer_certificate(), Some(juliet().as_peer_certificate()));
    assert_eq!(pair.server.peer_certificate(), Some(romeo().as_peer_certificate()));
}

#[test]
fn groups_that_only_one_side_knows_are_not_used() {
    for (group, expected) in [(aws_lc_rs::kx_group::X25519, "x25519"), (aws_lc_rs::kx_group::SECP256R1, "secp256r1")] {
        let mut server = juliet_config();
        server.provider = Arc::new(CryptoProvider { kx_groups: vec![group], ..aws_lc_rs::default_provider() });
        let pair = Pair::connected(&romeo_config(), &server);
        assert_eq!(pair.client.parameters().unwrap().group, expected);
    }
}

#[test]
fn tls12_is_the_floor_and_has_the_same_guarantees() {
    let (client, server) = tls12_pair();
    let mut pair = Pair::connected(&client, &server);
    let expected = TlsParameters {
        version: TlsVersion::Tls12,
        cipher_suite: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        group: "x25519",
        resumed: false,
    };
    assert_eq!(pair.client.parameters(), Some(expected));
    assert_eq!(pair.server.parameters(), Some(expected));
    assert_eq!(pair.server.peer_certificate(), Some(romeo().as_peer_certificate()));
    pair.client.write(b"up", &mut pair.to_server).unwrap();
    pair.server.write(b"down", &mut pair.to_client).unwrap();
    pair.settle().unwrap();
    assert_eq!((&pair.server_plaintext[..], &pair.client_plaintext[..]), (&b"up"[..], &b"down"[..]));
}

#[test]
fn p10_tls12_is_refused_where_tls13_is_the_minimum() {
    let (client, mut server) = tls12_pair();
    server.minimum = TlsVersion::Tls13;
    let mut pair = Pair::new(&client, &server);
    let error = pair.settle().unwrap_err();
    assert!(matches!(error.kind(), TlsErrorKind::PeerIncompatible(_)), "{error:?}");
    assert_eq!(error.alert_sent().map(Alert::name), Some("protocol_version"));
    let error = pair.client.read(&pair.to_client, &mut Vec::new(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), &TlsErrorKind::AlertReceived(Alert::new(70)));
    assert_eq!(error.to_string(), "the peer ended TLS with the alert protocol_version");
}

/// A ClientHello that offers nothing newer than `minor` (RFC 4346 § 7.4.1.2), with the suites of that time.
fn old_client_hello(minor: u8) -> Vec<u8> {
    let mut body = vec![3, minor];
    body.extend([0x5a; 32]);
    body.extend([0, 0, 4, 0xc0, 0x09, 0xc0, 0x13, 1, 0]);
    let mut hello =
        vec![22, 3, 1, 0, u8::try_from(body.len() + 4).unwrap(), 1, 0, 0, u8::try_from(body.len()).unwrap()];
    hello.extend(body);
    hello
}

#[test]
fn p10_tls_1_0_and_1_1_are_refused_with_protocol_version() {
    for minor in [1, 2] {
        let mut server = TlsSession::server(&juliet_config()).unwrap();
        let mut out = Vec::new();
        let error = server.read(&old_client_hello(minor), &mut Vec::new(), &mut out).unwrap_err();
        assert!(matches!(error.kind(), TlsErrorKind::PeerIncompatible(_)), "{error:?}");
        assert_eq!(error.alert_sent().map(Alert::name), Some("protocol_version"));
        assert!(matches!(out[..], [21, 3, _, 0, 2, 2, 70]), "{out:?}");
        assert!(!server.is_handshaking() && !server.handshake_complete());
    }
}

/// Whatever a hello says of its length and its version, where reads cut it does not show.
#[test]
fn an_outdated_or_broken_hello_is_answered_alike_however_it_is_cut() {
    for length in [[0, 0], [0, 5], [0, 6], [0x40, 0], [0x40, 1], [0x48, 1], [0xff, 0xff]] {
        for version in [[0, 0], [2, 3], [3, 0], [3, 1], [3, 2], [3, 3], [9, 9]] {
            let mut hello = old_client_hello(1);
            hello[3..5].copy_from_slice(&length);
            hello[9..11].copy_from_slice(&version);
            let answer = |first: usize| {
                let mut server = TlsSession::server(&juliet_config()).unwrap();
                let (mut plaintext, mut out) = (Vec::new(), Vec::new());
                let (first, rest) = hello.split_at(first);
                let result = server.read(first, &mut plaintext, &mut out);
                (result.and_then(|()| server.read(rest, &mut plaintext, &mut out)), out)
            };
            let whole = answer(hello.len());
            // Whoever reads it knows it for TLS.
            assert!(matches!(whole.1[..], [] | [21, 3, _, 0, 2, 2, _]), "{whole:?}");
            for first in 1..hello.len() {
                assert_eq!(answer(first), whole, "{length:?} {version:?} cut at {first}");
            }
        }
    }
}

#[test]
fn bytes_that_are_not_tls_are_told_apart_at_once() {
    for garbage in [&b"<stream:stream "[..], b"<", b"GET / HTTP/1.1\r\n", &[0; 5], &[22, 2, 0], &[23, 3, 3, 0, 1, 0]] {
        let mut server = TlsSession::server(&juliet_config()).unwrap();
        let mut client = TlsSession::client(&romeo_config(), &mut Vec::new()).unwrap();
        for session in [&mut server, &mut client] {
            let (mut plaintext, mut out) = (Vec::new(), Vec::new());
            let error = session.read(garbage, &mut plaintext, &mut out).unwrap_err();
            assert_eq!(error.kind(), &TlsErrorKind::NotTls);
            assert_eq!(error.alert_sent(), None);
            assert!(plaintext.is_empty() && out.is_empty());
            assert!(!session.is_handshaking());
            assert_eq!(session.read(&[], &mut plaintext, &mut out).unwrap_err(), error, "dead");
            assert_eq!(session.write(b"x", &mut out), Err(WriteError::Failed));
        }
    }
}

/// What a client sends that has more to say about itself than anyone needs: its first flight, and all of its second.
fn talkative_client(certificates: usize, server: &mut TlsSession) -> (Vec<u8>, Vec<u8>) {
    let mut chain = vec![romeo().certificate().clone()];
    chain.resize(certificates, vec![0; 1000].into());
    let mut client = Presents::chain(chain, &romeo()).client(&[&rustls::version::TLS13]);
    let (mut hello, mut answer, mut flight) = (Vec::new(), Vec::new(), Vec::new());
    client.write_tls(&mut hello).unwrap();
    server.read(&hello, &mut Vec::new(), &mut answer).unwrap();
    let mut answer = &answer[..];
    while client.read_tls(&mut answer).unwrap() > 0 {
        client.process_new_packets().unwrap();
    }
    while client.wants_write() {
        client.write_tls(&mut flight).unwrap();
    }
    (hello, flight)
}

#[test]
fn p03_the_handshake_is_bounded_to_64_kib() {
    for step in [1, 999, MAX_HANDSHAKE] {
        let mut server = TlsSession::server(&juliet_config()).unwrap();
        let (hello, flight) = talkative_client(65, &mut server);
        let allowed = MAX_HANDSHAKE - hello.len();
        assert!(flight.len() > allowed);
        let mut out = Vec::new();
        for piece in flight.get(..allowed).unwrap().chunks(step) {
            server.read(piece, &mut Vec::new(), &mut out).unwrap();
        }
        assert!(server.is_handshaking(), "exactly as much as is allowed");
        let error = server.read(flight.get(allowed..=allowed).unwrap(), &mut Vec::new(), &mut out).unwrap_err();
        assert_eq!(error.kind(), &TlsErrorKind::HandshakeTooLong);
        assert!(!server.is_handshaking());
        assert!(out.is_empty() && error.alert_sent().is_none(), "rustls has no alert to encrypt but an end in order");
    }

    // A little less is read to the end, and then refused for what it is.
    let mut server = TlsSession::server(&juliet_config()).unwrap();
    let (hello, flight) = talkative_client(61, &mut server);
    assert!(hello.len() + flight.len() > MAX_HANDSHAKE - 4000 && hello.len() + flight.len() <= MAX_HANDSHAKE);
    let error = server.read(&flight, &mut Vec::new(), &mut Vec::new()).unwrap_err();
    let fault = CertificateFault::ChainTooLong { certificates: 61 };
    let presented = Some(romeo().fingerprint_sha256());
    assert_eq!(error.kind(), &TlsErrorKind::BadCertificate { presented, fault });
}

#[test]
fn p03_what_lies_within_the_bound_is_judged_however_it_is_cut() {
    // A header that is none of TLS, with a length that reaches beyond the bound.
    for size in [MAX_HANDSHAKE - 5, MAX_HANDSHAKE, 3 * MAX_HANDSHAKE] {
        let record = [&[0xff, 0xff, 0xff, 0xff, 0xff][..], &vec![0; size]].concat();
        let faults = [1, 7, 4096, record.len()].map(|step| {
            let mut server = TlsSession::server(&juliet_config()).unwrap();
            let (mut hello, mut out) = (Vec::new(), Vec::new());
            let _client = TlsSession::client(&romeo_config(), &mut hello).unwrap();
            server.read(&hello, &mut Vec::new(), &mut out).unwrap();
            record.chunks(step).find_map(|piece| server.read(piece, &mut Vec::new(), &mut out).err()).unwrap()
        });
        assert!(matches!(faults[0].kind(), TlsErrorKind::PeerMisbehaved(_)), "{:?}", faults[0]);
        assert!(faults.iter().all(|fault| fault == &faults[0]), "{faults:?}");
    }
}

#[test]
fn p03_a_single_message_that_is_too_long_is_refused() {
    // RFC 8446 § 4: the length of a handshake message has 24 bits.
    let hello = |length: [u8; 3]| [&[22, 3, 1, 64, 0, 1][..], &length, &[3, 3], &[0; 16384 - 6]].concat();
    let mut server = TlsSession::server(&juliet_config()).unwrap();
    let error = server.read(&hello([0xff, 0xff, 0xff]), &mut Vec::new(), &mut Vec::new()).unwrap_err();
    assert!(matches!(error.kind(), TlsErrorKind::PeerMisbehaved(_)), "refused at its header: {error:?}");

    let mut server = TlsSession::server(&juliet_config()).unwrap();
    server.read(&hello([0, 0xff, 0xff]), &mut Vec::new(), &mut Vec::new()).unwrap();
    let record = [&[22, 3, 1, 64, 0][..], &[0; 16384]].concat();
    let error = (0..4).find_map(|_| server.read(&record, &mut Vec::new(), &mut Vec::new()).err()).unwrap();
    assert_eq!(error.kind(), &TlsErrorKind::HandshakeTooLong);
}

#[test]
fn data_is_not_counted_as_handshake() {
    let mut pair = Pair::connected(&romeo_config(), &juliet_config());
    pair.client.write(&vec![1; 3 * MAX_HANDSHAKE], &mut pair.to_server).unwrap();
    pair.settle().unwrap();
    assert_eq!(pair.server_plaintext.len(), 3 * MAX_HANDSHAKE);
}

#[test]
fn every_flight_fits_one_block_of_4096() {
    let (mut client, mut server) = (romeo_config(), juliet_config());
    client.max_record = 4096;
    server.max_record = 4096;
    let pair = Pair::connected(&client, &server);
    let lengths: Vec<usize> = pair.flights.iter().map(Vec::len).collect();
    assert_eq!(lengths.len(), 4, "three flights and the ticket");
    for (flight, length) in pair.flights.iter().zip(lengths) {
        assert!(length <= 4096);
        assert_eq!(whole_records(flight, 4096), length);
    }
}

#[test]
fn a_handshake_with_small_records_works() {
    for max_record in [0, MIN_RECORD, 100, 512] {
        let (mut client, mut server) = (romeo_config(), juliet_config());
        client.max_record = max_record;
        server.max_record = max_record;
        let pair = Pair::connected(&client, &server);
        for flight in &pair.flights {
            assert!(record_lengths(flight).into_iter().all(|length| length <= max_record.max(MIN_RECORD)));
        }
    }
}

#[test]
fn records_have_exactly_the_size_that_was_asked_for() {
    for max_record in [0, MIN_RECORD, 1000, 4096, 16380, MAX_RECORD, usize::MAX] {
        let expected = max_record.clamp(MIN_RECORD, MAX_RECORD);
        let mut client = romeo_config();
        client.max_record = max_record;
        let mut pair = Pair::connected(&client, &juliet_config());
        let payload = expected - 22;
        pair.client.write(&vec![0; 3 * payload + 1], &mut pair.to_server).unwrap();
        assert_eq!(record_lengths(&pair.to_server), [expected, expected, expected, 23]);
        pair.settle().unwrap();
        assert_eq!(pair.server_plaintext.len(), 3 * payload + 1);
    }
    for max_record in [1000, 4096, MAX_RECORD] {
        let (mut client, server) = tls12_pair();
        client.max_record = max_record;
        let mut pair = Pair::connected(&client, &server);
        pair.client.write(&vec![0; 2 * (max_record - 29)], &mut pair.to_server).unwrap();
        assert_eq!(record_lengths(&pair.to_server), [max_record, max_record]);
    }
}

#[test]
fn writes_of_any_size_are_taken_whole() {
    let mut pair = Pair::connected(&romeo_config(), &juliet_config());
    let data: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
    pair.client.write(&data, &mut pair.to_server).unwrap();
    pair.settle().unwrap();
    assert!(pair.server_plaintext == data);
    pair.client.write(&[], &mut pair.to_server).unwrap();
    assert!(pair.to_server.is_empty(), "nothing to send, nothing sent");
}

/// rustls is given a byte more than a record that is large: that does not show.
#[test]
fn large_records_come_to_the_same_however_they_are_cut_and_whatever_follows_them() {
    // What is changed in the third of four records: which byte, and which bits of it.
    let in_header = [(0, 23), (0, 23 ^ 20), (0, 23 ^ 21), (0, 23 ^ 22), (1, 1), (3, 0x80), (3, 0x40), (4, 1)];
    for change in in_header.into_iter().chain([(100, 1)]).map(Some).chain([None]) {
        let outcome = |piece: usize| {
            let mut pair = Pair::connected(&romeo_config(), &juliet_config());
            pair.client.write(&vec![7; 4 * 16_384], &mut pair.to_server).unwrap();
            if let Some((at, bits)) = change {
                pair.to_server[2 * MAX_RECORD + at] ^= bits;
            }
            let read = |piece| pair.server.read(piece, &mut pair.server_plaintext, &mut pair.to_client);
            let result = pair.to_server.chunks(piece).try_for_each(read);
            let kind = result.map_err(|error| format!("{error:?}"));
            (kind, pair.server_plaintext.len(), pair.to_client.len())
        };
        let whole = outcome(usize::MAX);
        // What stands in a header before the length is not authenticated (RFC 8446 § 5.2).
        let is_bad = change.is_some_and(|(at, bits)| at >= 3 || bits == 23);
        assert!(if is_bad { whole.0.is_err() && whole.1 == 2 * 16_384 } else { whole.1 >= 2 * 16_384 }, "{change:?}");
        assert!(change.is_some() || whole.0.is_ok() && whole.1 == 4 * 16_384);
        for piece in [1000, MAX_RECORD - 1, MAX_RECORD, MAX_RECORD + 1, 2 * MAX_RECORD + 1] {
            assert_eq!(outcome(piece), whole, "{change:?} {piece}");
        }
    }
}

#[test]
fn l01_nothing_is_written_before_the_handshake_is_complete() {
    let mut pair = Pair::new(&romeo_config(), &juliet_config());
    let mut out = Vec::new();
    assert_eq!(pair.client.write(b"early", &mut out), Err(WriteError::NotSecured));
    assert_eq!(pair.server.write(b"early", &mut out), Err(WriteError::NotSecured));
    assert!(out.is_empty());
    let mut bytes = [0; 32];
    assert_eq!(pair.client.export_keying_material(&mut bytes, b"l", None), Err(ExportError::NotSecured));
    assert_eq!((pair.client.parameters(), pair.client.peer_certificate()), (None, None));

    // The server has sent its flight, but has not heard of the client's certificate.
    pair.server.read(&pair.to_server, &mut Vec::new(), &mut pair.to_client).unwrap();
    assert_eq!(pair.server.write(b"early", &mut out), Err(WriteError::NotSecured));
    assert!(out.is_empty() && pair.server.is_handshaking());

    pair.to_server.clear();
    pair.settle().unwrap();
    assert!(pair.client_plaintext.is_empty() && pair.server_plaintext.is_empty(), "nothing was kept for later");
    assert_eq!(pair.server.write(b"now", &mut out), Ok(()));
}

#[test]
fn closing_ends_one_direction_and_leaves_the_other() {
    let mut pair = Pair::connected(&romeo_config(), &juliet_config());
    pair.client.write(b"last", &mut pair.to_server).unwrap();
    pair.client.close(&mut pair.to_server);
    let sent = pair.to_server.len();
    pair.client.close(&mut pair.to_server);
    assert_eq!(pair.to_server.len(), sent, "closed once");
    assert_eq!(pair.client.write(b"more", &mut pair.to_server), Err(WriteError::Closed));
    assert_eq!(pair.to_server.len(), sent);
    assert!(!pair.server.peer_closed());
    pair.settle().unwrap();
    assert!(pair.server.peer_closed() && !pair.client.peer_closed());
    assert_eq!(pair.server_plaintext, b"last");

    pair.server.write(b"still here", &mut pair.to_client).unwrap();
    pair.server.close(&mut pair.to_client);
    pair.settle().unwrap();
    assert!(pair.client.peer_closed());
    assert_eq!(pair.client_plaintext, b"still here");
}

#[test]
fn a_change_of_keys_tells_the_application_nothing() {
    let mut pair = Pair::connected(&romeo_config(), &juliet_config());
    for _ in 0..100 {
        let before = pair.to_server.len();
        assert!(pair.client.say_nothing(&mut pair.to_server));
        assert!((1..64).contains(&(pair.to_server.len() - before)), "a small record");
        pair.client.write(b"a rose", &mut pair.to_server).unwrap();
        pair.server.write(b"by any name", &mut pair.to_client).unwrap();
        pair.settle().unwrap();
        assert_eq!(core::mem::take(&mut pair.server_plaintext), b"a rose");
        assert_eq!(core::mem::take(&mut pair.client_plaintext), b"by any name");
    }
    // Both at once, with an answer before each, and no data between.
    for _ in 0..3 {
        for _ in 0..15 {
            assert!(pair.client.say_nothing(&mut pair.to_server) && pair.server.say_nothing(&mut pair.to_client));
            pair.settle().unwrap();
        }
        pair.client.write(b"x", &mut pair.to_server).unwrap();
        pair.server.write(b"y", &mut pair.to_client).unwrap();
        pair.settle().unwrap();
    }
    assert_eq!((pair.server_plaintext.as_slice(), pair.client_plaintext.as_slice()), (&b"xxx"[..], &b"yyy"[..]));
    pair.client.close(&mut pair.to_server);
    let sent = pair.to_server.len();
    assert!(!pair.client.say_nothing(&mut pair.to_server) && pair.to_server.len() == sent, "nothing follows the end");
    let (client, server) = tls12_pair();
    let mut old = Pair::connected(&client, &server);
    assert!(!old.client.say_nothing(&mut old.to_server) && old.to_server.is_empty(), "TLS 1.2 cannot");
}

#[test]
fn m15_an_end_without_close_notify_does_not_look_like_an_orderly_one() {
    let mut pair = Pair::connected(&romeo_config(), &juliet_config());
    pair.client.write(b"last", &mut pair.to_server).unwrap();
    pair.client.close(&mut pair.to_server);
    let cut = pair.to_server.len() - 1;
    pair.to_server.truncate(cut);
    pair.settle().unwrap();
    assert_eq!(pair.server_plaintext, b"last");
    assert!(!pair.server.peer_closed());
}

#[test]
fn what_follows_a_close_notify_is_ignored() {
    let mut pair = Pair::connected(&romeo_config(), &juliet_config());
    pair.client.close(&mut pair.to_server);
    pair.to_server.extend(b"<not tls at all/>");
    pair.settle().unwrap();
    assert_eq!(pair.server.read(b"more", &mut pair.server_plaintext, &mut pair.to_client), Ok(()));
    assert!(pair.server.peer_closed() && pair.server_plaintext.is_empty());
}

#[test]
fn m13_an_altered_record_ends_the_session() {
    let mut pair = Pair::connected(&romeo_config(), &juliet_config());
    pair.client.write(b"first", &mut pair.to_server).unwrap();
    pair.client.write(b"second", &mut pair.to_server).unwrap();
    *pair.to_server.last_mut().unwrap() ^= 1;
    let error = pair.settle().unwrap_err();
    assert_eq!(error.kind(), &TlsErrorKind::BadRecord);
    assert_eq!(error.alert_sent().map(Alert::name), Some("bad_record_mac"));
    assert_eq!(pair.server_plaintext, b"first", "what came before it is delivered");
    assert_eq!(pair.server.write(b"x", &mut pair.to_client), Err(WriteError::Failed));
    assert_eq!(pair.server.export_keying_material(&mut [0; 8], b"l", None), Err(ExportError::NotSecured));
    let length = pair.to_client.len();
    pair.server.close(&mut pair.to_client);
    assert_eq!(pair.to_client.len(), length, "no close_notify after a fatal alert");
    let error = pair.client.read(&pair.to_client, &mut Vec::new(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), &TlsErrorKind::AlertReceived(Alert::BAD_RECORD_MAC));
}

#[test]
fn a_fault_after_we_have_closed_is_an_error_and_nothing_follows_the_close_notify() {
    let mut pair = Pair::connected(&romeo_config(), &juliet_config());
    pair.server.close(&mut pair.to_client);
    pair.settle().unwrap();
    pair.client.write(b"first", &mut pair.to_server).unwrap();
    pair.client.write(b"second", &mut pair.to_server).unwrap();
    *pair.to_server.last_mut().unwrap() ^= 1;
    let error = pair.settle().unwrap_err();
    assert_eq!(error.kind(), &TlsErrorKind::BadRecord);
    assert_eq!(error.alert_sent(), None);
    assert_eq!(pair.server_plaintext, b"first");
    assert!(pair.to_client.is_empty());
}

#[test]
fn m11_a_record_that_is_replayed_ends_the_session() {
    let mut pair = Pair::connected(&romeo_config(), &juliet_config());
    pair.client.write(b"once", &mut pair.to_server).unwrap();
    pair.to_server.extend_from_within(..);
    assert_eq!(pair.settle().unwrap_err().kind(), &TlsErrorKind::BadRecord);
    assert_eq!(pair.server_plaintext, b"once");
}

#[test]
fn m17_a_replayed_session_does_not_complete() {
    let pair = Pair::connected(&romeo_config(), &juliet_config());
    let mut server = TlsSession::server(&juliet_config()).unwrap();
    let mut plaintext = Vec::new();
    server.read(pair.flights.first().unwrap(), &mut plaintext, &mut Vec::new()).unwrap();
    let error = server.read(pair.flights.get(2).unwrap(), &mut plaintext, &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), &TlsErrorKind::BadRecord);
    assert!(!server.handshake_complete() && plaintext.is_empty());
}

#[test]
fn exported_keying_material_is_the_same_on_both_sides_and_in_no_other_session() {
    let export = |session: &TlsSession, label: &[u8], context: Option<&[u8]>| {
        let mut bytes = [0; 32];
        session.export_keying_material(&mut bytes, label, context).unwrap();
        bytes
    };
    let binding = b"EXPORTER-Channel-Binding";
    let (tls12_client, tls12_server) = tls12_pair();
    for (client, server) in [(romeo_config(), juliet_config()), (tls12_client, tls12_server)] {
        let pair = Pair::connected(&client, &server);
        let ours = export(&pair.client, binding, Some(b""));
        assert_eq!(ours, export(&pair.server, binding, Some(b"")));
        assert_ne!(ours, export(&pair.client, b"EXPORTER-Other", Some(b"")));
        assert_ne!(ours, export(&pair.client, binding, Some(b"context")));
        assert_ne!(ours, [0; 32]);
        let other = Pair::connected(&client, &server);
        assert_ne!(ours, export(&other.client, binding, Some(b"")));
        assert_eq!(pair.client.export_keying_material(&mut [], binding, None), Err(ExportError::BadLength));
        let context = vec![0; 65536];
        let too_long = pair.client.export_keying_material(&mut [0; 8], binding, Some(&context));
        assert_eq!(too_long, Err(ExportError::ContextTooLong));
        assert_eq!(pair.client.export_keying_material(&mut [0; 8], binding, context.get(1..)), Ok(()));
    }
}

/// Whichever the engine: see `tls_srp`'s own test.
#[test]
fn rfc_5705_6_labels_of_tls_itself_are_refused() {
    let (tls12_client, tls12_server) = tls12_pair();
    let srp = || {
        let mut pair = Pair::srp(&srp_config("wherefore"), &srp_config("wherefore"));
        pair.settle().unwrap();
        pair
    };
    for pair in
        [Pair::connected(&romeo_config(), &juliet_config()), Pair::connected(&tls12_client, &tls12_server), srp()]
    {
        for session in [&pair.client, &pair.server] {
            for label in
                ["client finished", "server finished", "master secret", "extended master secret", "key expansion"]
            {
                let mut out = [7; 32];
                let refused = session.export_keying_material(&mut out, label.as_bytes(), None);
                assert_eq!((refused, out), (Err(ExportError::ReservedLabel), [7; 32]), "{label}");
            }
            assert_eq!(session.export_keying_material(&mut [0; 32], b"EXPORTER-key expansion", None), Ok(()));
        }
    }
}

#[test]
fn the_client_learns_from_a_ticket_that_it_was_accepted() {
    for (send_ticket, expected) in [(true, 1), (false, 0)] {
        let mut server = juliet_config();
        server.send_ticket = send_ticket;
        let pair = Pair::connected(&romeo_config(), &server);
        assert_eq!(pair.client.tickets_received(), expected);
        assert_eq!(pair.server.tickets_received(), 0);
        // Between peers a certificate is always asked for.
        assert!(pair.client.certificate_requested() && !pair.server.certificate_requested());
        assert_eq!(pair.flights.len(), if send_ticket { 4 } else { 3 });
    }
    let (client, server) = tls12_pair();
    assert_eq!(Pair::connected(&client, &server).client.tickets_received(), 0);
}

#[test]
fn rfc_8446_6_2_a_client_that_refuses_after_the_handshake_sends_a_fatal_alert() {
    let suites = default_provider().cipher_suites.iter().filter(|suite| suite.tls13().is_some()).count();
    for at in 0..suites {
        let mut config = romeo_config();
        let mut provider = (*default_provider()).clone();
        let suite = provider.cipher_suites.iter().copied().filter(|suite| suite.tls13().is_some()).nth(at).unwrap();
        provider.cipher_suites = vec![suite];
        config.provider = Arc::new(provider);
        let mut pair = Pair::connected(&config, &juliet_config());
        // What was written before arrives before.
        pair.client.write(b"but soft", &mut pair.to_server).unwrap();
        let written = pair.to_server.len();
        assert!(pair.client.refuse(Alert::CERTIFICATE_UNKNOWN, &mut pair.to_server));
        // Two bytes, their content type and the tag, in a record that looks like data.
        assert_eq!(record_lengths(&pair.to_server[written..]), [HEADER + 2 + 1 + 16]);
        assert_eq!(pair.to_server[written], APPLICATION_DATA);
        let error = pair
            .server
            .read(&pair.to_server, &mut pair.server_plaintext, &mut pair.to_client)
            .expect_err("the alert is fatal");
        assert_eq!(*error.kind(), TlsErrorKind::AlertReceived(Alert::CERTIFICATE_UNKNOWN), "{suite:?}");
        assert_eq!(pair.server_plaintext, b"but soft");
        assert!(!pair.server.peer_closed());
    }
    assert_eq!(suites, 3);
}

#[test]
fn nobody_else_has_an_alert_to_refuse_with() {
    let refuses = |session: TlsSession| {
        let mut out = Vec::new();
        let refuses = session.refuse(Alert::CERTIFICATE_UNKNOWN, &mut out);
        assert_eq!(refuses, !out.is_empty());
        refuses
    };
    let connected = || Pair::connected(&romeo_config(), &juliet_config());
    assert!(refuses(connected().client));
    assert!(!refuses(connected().server));
    // RFC 8446 § 6.1: nothing follows a close_notify.
    let mut closed = connected();
    closed.client.close(&mut closed.to_server);
    assert!(!refuses(closed.client));
    let mut failed = connected();
    let broken = [&[23, 3, 3, 0, 32][..], &[0; 32]].concat();
    assert!(failed.client.read(&broken, &mut Vec::new(), &mut Vec::new()).is_err());
    assert!(!refuses(failed.client));
    let (client, server) = tls12_pair();
    assert!(!refuses(Pair::connected(&client, &server).client));
    assert!(!refuses(Pair::new(&romeo_config(), &juliet_config()).client), "there are no keys yet");
}

#[test]
fn p19_no_session_is_ever_resumed() {
    let (client, server) = (romeo_config(), juliet_config());
    let (tls12_client, tls12_server) = tls12_pair();
    // Ours never offers to resume. A client of somebody else's does, with the ticket that it was given, and is not followed.
    // In TLS 1.2 it is given none.
    let plays =
        [(&client, &server, false, false), (&client, &server, true, true), (&tls12_client, &tls12_server, true, false)];
    for (client, server, would_resume, has_ticket) in plays {
        // Even with the very same rustls configurations, which is where tickets would be kept.
        let counter = Counting::new(client.provider.signature_verification_algorithms);
        let mut client_config = client
            .client(
                PeerVerifier::new(
                    Rule::Peer(Verification::Deferred),
                    None,
                    client.provider.signature_verification_algorithms,
                ),
                OwnCertificate::of(Some(&client.identity)),
            )
            .unwrap();
        client_config.dangerous().set_certificate_verifier(counter.clone());
        if would_resume {
            client_config.resumption = rustls::client::Resumption::in_memory_sessions(8);
        }
        let verifier = X509Session::verifier(server);
        let server_config = Arc::new(server.server(verifier.clone()).unwrap());
        let client_config = Arc::new(client_config);
        let mut first_hello = 0;
        for round in 1..=3 {
            let connection = ClientConnection::new(client_config.clone(), no_name()).unwrap();
            let mut to_server = Vec::new();
            let mut session = X509Session::new(client.basics(), connection.into(), X509Session::verifier(client));
            session.flush(&mut to_server);
            if round == 1 {
                first_hello = to_server.len();
            } else {
                assert_eq!(to_server.len() > first_hello, has_ticket, "a ClientHello with a ticket in it is longer");
            }
            let mut pair = Pair::new(client, server);
            pair.client = TlsSession::x509(session);
            pair.to_server = to_server;
            let connection = ServerConnection::new(server_config.clone()).unwrap();
            pair.server = TlsSession::x509(X509Session::new(server.basics(), connection.into(), verifier.clone()));
            pair.settle().unwrap();
            for session in [&pair.client, &pair.server] {
                let Method::X509(session) = &session.0 else { panic!("made with certificates") };
                assert_eq!(session.connection.handshake_kind(), Some(HandshakeKind::Full));
            }
            assert_eq!(counter.calls.load(Ordering::Relaxed), round);
        }
    }
}

/// Counts how often it is asked.
#[derive(Debug)]
struct Counting {
    inner: Arc<PeerVerifier>,
    calls: AtomicUsize,
}

impl Counting {
    fn new(algorithms: rustls::crypto::WebPkiSupportedAlgorithms) -> Arc<Self> {
        let inner = PeerVerifier::new(Rule::Peer(Verification::Deferred), None, algorithms);
        Arc::new(Self { inner, calls: AtomicUsize::new(0) })
    }
}

impl rustls::client::danger::ServerCertVerifier for Counting {
    fn verify_server_cert(
        &self,
        end_entity: &rustls_pki_types::CertificateDer<'_>,
        intermediates: &[rustls_pki_types::CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: rustls_pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, Error> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &rustls_pki_types::CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        rustls::client::danger::ServerCertVerifier::verify_tls12_signature(&*self.inner, message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &rustls_pki_types::CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        rustls::client::danger::ServerCertVerifier::verify_tls13_signature(&*self.inner, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::client::danger::ServerCertVerifier::supported_verify_schemes(&*self.inner)
    }
}

#[test]
fn the_client_hello_names_nobody() {
    let mut hello = Vec::new();
    TlsSession::client(&romeo_config(), &mut hello).unwrap();
    for name in [&b"xtls.invalid"[..], b"juliet", b"capulet"] {
        assert!(!hello.windows(name.len()).any(|window| window == name));
    }
    // RFC 6066 § 3: extension 0 is server_name, and RFC 7301 § 3.1: 16 is ALPN.
    assert!(extensions(&hello).iter().all(|kind| *kind != 0 && *kind != 16), "{:?}", extensions(&hello));
    assert!(extensions(&hello).contains(&43), "supported_versions is there");
}

/// The extension types of a ClientHello in one record (RFC 8446 § 4.1.2).
fn extensions(hello: &[u8]) -> Vec<u16> {
    let number = |at: usize| u16::from_be_bytes([hello[at], hello[at + 1]]);
    let mut at = HEADER + 4 + 2 + 32;
    at += 1 + usize::from(hello[at]);
    at += 2 + usize::from(number(at));
    at += 1 + usize::from(hello[at]);
    let end = at + 2 + usize::from(number(at));
    at += 2;
    let mut kinds = Vec::new();
    while at < end {
        kinds.push(number(at));
        at += 4 + usize::from(number(at + 2));
    }
    kinds
}

#[derive(Debug)]
struct NoRandom;

impl SecureRandom for NoRandom {
    fn fill(&self, _buf: &mut [u8]) -> Result<(), GetRandomFailed> {
        Err(GetRandomFailed)
    }
}

#[test]
fn l03_without_random_numbers_there_is_no_handshake() {
    let provider = Arc::new(CryptoProvider { secure_random: &NoRandom, ..(*default_provider()).clone() });
    let (mut client, mut server) = (romeo_config(), juliet_config());
    server.provider = provider.clone();
    let mut pair = Pair::new(&client, &server);
    let error = pair.settle().unwrap_err();
    assert!(matches!(error.kind(), TlsErrorKind::Internal(_)), "{error:?}");
    assert!(!pair.server.handshake_complete());

    client.provider = provider;
    let mut out = Vec::new();
    assert_eq!(TlsSession::client(&client, &mut out).unwrap_err(), TlsConfigError::NoRandom);
    assert!(out.is_empty());
}

#[test]
fn a_provider_without_suites_is_a_configuration_error() {
    let mut config = romeo_config();
    config.provider = Arc::new(CryptoProvider { cipher_suites: Vec::new(), ..(*default_provider()).clone() });
    assert!(matches!(TlsSession::client(&config, &mut Vec::new()), Err(TlsConfigError::Provider(_))));
    assert!(matches!(TlsSession::server(&config), Err(TlsConfigError::Provider(_))));
}

#[test]
fn suites_without_common_ground_are_an_incompatibility() {
    let only = |suite| {
        let provider = CryptoProvider { cipher_suites: vec![suite], ..(*default_provider()).clone() };
        Arc::new(provider)
    };
    let (mut client, mut server) = (romeo_config(), juliet_config());
    client.minimum = TlsVersion::Tls13;
    server.minimum = TlsVersion::Tls13;
    client.provider = only(aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256);
    server.provider = only(aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256);
    let mut pair = Pair::new(&client, &server);
    let error = pair.settle().unwrap_err();
    assert!(matches!(error.kind(), TlsErrorKind::PeerIncompatible(_)), "{error:?}");
    assert_eq!(error.alert_sent().map(Alert::name), Some("handshake_failure"));

    for (suite, name) in [
        (aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256, "TLS_AES_128_GCM_SHA256"),
        (aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256, "TLS_CHACHA20_POLY1305_SHA256"),
    ] {
        client.provider = only(suite);
        server.provider = default_provider();
        assert_eq!(Pair::connected(&client, &server).client.parameters().unwrap().cipher_suite, name);
    }
}

#[test]
fn keys_that_are_used_up_in_tls12_are_not_used_further() {
    let Some(SupportedCipherSuite::Tls12(suite)) =
        aws_lc_rs::ALL_CIPHER_SUITES.iter().find(|suite| matches!(suite, SupportedCipherSuite::Tls12(_)))
    else {
        panic!("there is a suite for TLS 1.2");
    };
    let common = rustls::crypto::CipherSuiteCommon {
        suite: suite.common.suite,
        hash_provider: suite.common.hash_provider,
        confidentiality_limit: 10,
    };
    let limited: &'static Tls12CipherSuite = Box::leak(Box::new(Tls12CipherSuite {
        common,
        prf_provider: suite.prf_provider,
        kx: suite.kx,
        sign: suite.sign,
        aead_alg: suite.aead_alg,
    }));
    let (mut client, server) = tls12_pair();
    client.provider = Arc::new(CryptoProvider {
        cipher_suites: vec![SupportedCipherSuite::Tls12(limited)],
        ..(*default_provider()).clone()
    });
    let mut pair = Pair::connected(&client, &server);
    let mut written = 0;
    let error = loop {
        match pair.client.write(b"x", &mut pair.to_server) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 20);
    };
    assert_eq!(error, WriteError::Exhausted);
    pair.settle().unwrap();
    assert_eq!(pair.server_plaintext.len(), written, "everything that was reported as written arrives");
    assert!(pair.server.peer_closed());
}

#[test]
fn l06_debug_shows_no_key_material() {
    let pair = Pair::connected(&romeo_config(), &juliet_config());
    let text = format!("{:?} {:#?} {:?}", pair.client, pair.server, romeo_config());
    let mut secret = [0; 32];
    pair.client.export_keying_material(&mut secret, b"EXPORTER-Canary", None).unwrap();
    let pem = romeo().to_pem();
    let key = pem.key.expose().lines().nth(1).unwrap();
    assert!(!text.contains(key) && !text.contains("PRIVATE KEY"));
    assert!(text.contains("TLS_AES_256_GCM_SHA384") && text.contains(&romeo().fingerprint_sha256().to_string()));
}

#[test]
fn sessions_can_be_moved_between_threads() {
    const fn send<T: Send + Sync>() {}
    send::<TlsSession>();
    send::<TlsConfig>();
}

#[test]
fn l02_a_session_with_ourselves_is_refused_unless_it_is_allowed() {
    let own = config(&romeo(), pin(&romeo()));
    let mut pair = Pair::new(&own, &own);
    let error = pair.settle().unwrap_err();
    let expected =
        TlsErrorKind::BadCertificate { presented: Some(romeo().fingerprint_sha256()), fault: CertificateFault::OwnKey };
    assert_eq!(error.kind(), &expected);

    let mut own = own;
    own.allow_own_key = true;
    Pair::connected(&own, &own);
}

#[test]
fn errors_say_plainly_what_was_wrong() {
    let mut pair = Pair::new(&romeo_config(), &config(&mallory(), pin(&romeo())));
    let error = pair.settle().unwrap_err();
    let expected = format!(
        "the peer's certificate {} was refused: it is not the certificate that this peer is known by",
        mallory().fingerprint_sha256()
    );
    assert_eq!(error.to_string(), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn l08_no_bytes_make_a_session_panic(prefix in proptest::option::of(0_usize..2000), noise in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut hello = Vec::new();
        let mut client = TlsSession::client(&romeo_config(), &mut hello).unwrap();
        let mut server = TlsSession::server(&juliet_config()).unwrap();
        let mut bytes = prefix.map_or_else(Vec::new, |length| hello.get(..length.min(hello.len())).unwrap().to_vec());
        bytes.extend(&noise);
        let (mut plaintext, mut out) = (Vec::new(), Vec::new());
        for session in [&mut client, &mut server] {
            let _ = session.read(&bytes, &mut plaintext, &mut out);
            let _ = session.write(b"x", &mut out);
            prop_assert!(!session.handshake_complete());
            session.close(&mut out);
            let _ = session.read(&bytes, &mut plaintext, &mut out);
        }
        prop_assert!(plaintext.is_empty());
    }
}
