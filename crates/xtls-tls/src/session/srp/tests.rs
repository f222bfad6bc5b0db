use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use rustls::SupportedCipherSuite;
use rustls::crypto::{CryptoProvider, GetRandomFailed, SecureRandom};

use super::*;
use crate::session::TlsSession;
use crate::testing::{Pair, juliet_config, record_lengths, romeo_config, srp_config};
use crate::{MAX_PASSWORD, MAX_RECORD, MAX_USERNAME, MIN_RECORD, SrpCredentials, SrpCredentialsError};
use crate::{default_provider, record_size_for_block, whole_records};

const WORD: &str = "wherefore art thou";

fn pair() -> Pair {
    Pair::srp(&srp_config(WORD), &srp_config(WORD))
}

fn connected() -> Pair {
    let mut pair = pair();
    pair.settle().unwrap();
    assert!(pair.client.handshake_complete() && pair.server.handshake_complete());
    pair
}

/// Random numbers from a seed, and no more than `fills` times.
#[derive(Debug)]
struct Seeded(Mutex<(ChaCha20Rng, usize)>);

impl SecureRandom for Seeded {
    fn fill(&self, buf: &mut [u8]) -> Result<(), GetRandomFailed> {
        let mut state = self.0.lock().map_err(|_| GetRandomFailed)?;
        state.1 = state.1.checked_sub(1).ok_or(GetRandomFailed)?;
        state.0.fill_bytes(buf);
        Ok(())
    }
}

fn seeded(password: &str, seed: u64, fills: usize) -> SrpConfig {
    let random = Box::leak(Box::new(Seeded(Mutex::new((ChaCha20Rng::seed_from_u64(seed), fills)))));
    let mut config = srp_config(password);
    config.provider = Arc::new(CryptoProvider { secure_random: random, ..(*default_provider()).clone() });
    config
}

fn seeded_pair() -> Pair {
    Pair::srp(&seeded(WORD, 1, usize::MAX), &seeded(WORD, 2, usize::MAX))
}

/// The errors of the server and of the client after one of them failed.
fn failures(mut pair: Pair) -> [Option<TlsError>; 2] {
    let mut errors = [None, None];
    while !pair.to_server.is_empty() || !pair.to_client.is_empty() {
        let records = std::mem::take(&mut pair.to_server);
        if let Err(error) = pair.server.read(&records, &mut pair.server_plaintext, &mut pair.to_client) {
            errors[0].get_or_insert(error);
        }
        let records = std::mem::take(&mut pair.to_client);
        if let Err(error) = pair.client.read(&records, &mut pair.client_plaintext, &mut pair.to_server) {
            errors[1].get_or_insert(error);
        }
    }
    assert!(!pair.client.handshake_complete() && !pair.server.handshake_complete());
    assert!(!pair.client.is_handshaking() && !pair.server.is_handshaking());
    assert!(pair.client_plaintext.is_empty() && pair.server_plaintext.is_empty());
    errors
}

#[test]
fn two_sides_with_one_password_are_connected() {
    let mut pair = pair();
    assert!(pair.client.is_handshaking() && pair.server.is_handshaking());
    assert_eq!((pair.client.parameters(), pair.server.parameters()), (None, None));
    pair.settle().unwrap();
    let expected = TlsParameters {
        version: TlsVersion::Tls12,
        cipher_suite: "TLS_SRP_SHA_WITH_AES_256_CBC_SHA",
        group: "srp-3072",
        resumed: false,
    };
    for session in [&pair.client, &pair.server] {
        assert!(session.handshake_complete() && !session.is_handshaking() && session.password_attempted());
        assert_eq!(session.parameters(), Some(expected));
        assert_eq!((session.peer_certificate(), session.tickets_received()), (None, 0));
    }
    assert_eq!(pair.flights.len(), 4);
    pair.client.write(b"up", &mut pair.to_server).unwrap();
    pair.server.write(b"down", &mut pair.to_client).unwrap();
    pair.client.write(&[], &mut pair.to_server).unwrap();
    pair.settle().unwrap();
    assert_eq!((&pair.server_plaintext[..], &pair.client_plaintext[..]), (&b"up"[..], &b"down"[..]));
}

#[test]
fn passwords_are_prepared_alike_on_both_sides() {
    // RFC 4013 § 3: the first has a soft hyphen, and the second becomes the letters I and X.
    let mut pair = Pair::srp(&srp_config("I\u{ad}X"), &srp_config("\u{2168}"));
    pair.settle().unwrap();
    assert!(pair.client.handshake_complete());
}

#[test]
fn passwords_and_names_that_cannot_be_used_are_refused_before_anything_is_sent() {
    let refused = |name: &str, password: &str| SrpCredentials::new(name, password).unwrap_err();
    let name = "romeo@montague.lit";
    for empty in ["", "\u{ad}"] {
        assert_eq!(refused(name, empty), SrpCredentialsError::PasswordEmpty);
        assert_eq!(refused(empty, WORD), SrpCredentialsError::UsernameEmpty);
    }
    for prohibited in ["\u{7}", "\u{627}1", "\u{1f339}", "\u{221}"] {
        assert_eq!(refused(name, prohibited), SrpCredentialsError::PasswordProhibited);
        assert_eq!(refused(prohibited, WORD), SrpCredentialsError::UsernameProhibited);
    }
    assert_eq!(refused(name, &"x".repeat(MAX_PASSWORD + 1)), SrpCredentialsError::PasswordTooLong);
    assert_eq!(refused(&"x".repeat(MAX_USERNAME + 1), WORD), SrpCredentialsError::UsernameTooLong);
    let longest = SrpCredentials::new(&"x".repeat(MAX_USERNAME), &"y".repeat(MAX_PASSWORD)).unwrap();
    let longest = SrpConfig::new(longest, default_provider());
    let mut pair = Pair::srp(&longest, &longest);
    pair.settle().unwrap();
    assert!(pair.server.handshake_complete());
}

#[test]
fn p14_a_wrong_password_spends_one_guess_on_each_side() {
    let mut pair = Pair::srp(&srp_config("wherefore"), &srp_config(WORD));
    let error = pair.settle().unwrap_err();
    assert_eq!(error.kind(), &TlsErrorKind::AuthenticationFailed);
    assert_eq!(error.alert_sent().map(Alert::name), Some("bad_record_mac"));
    assert!(matches!(pair.to_client[..], [21, 3, 3, 0, 2, 2, 20]));
    assert!(pair.server.password_attempted());
    let error = pair.client.read(&pair.to_client, &mut Vec::new(), &mut Vec::new()).unwrap_err();
    assert_eq!((error.kind(), error.alert_sent()), (&TlsErrorKind::AuthenticationFailed, None));
    assert!(pair.client.password_attempted());
    for session in [&mut pair.client, &mut pair.server] {
        let (mut plaintext, mut out) = (Vec::new(), Vec::new());
        assert_eq!(session.read(b"more", &mut plaintext, &mut out).unwrap_err().kind(), error.kind(), "dead");
        assert_eq!(session.write(b"x", &mut out), Err(WriteError::Failed));
        session.close(&mut out);
        assert_eq!(session.export_keying_material(&mut [0; 8], b"l", None), Err(ExportError::NotSecured));
        assert!(plaintext.is_empty() && out.is_empty());
        assert_eq!(session.parameters(), None);
    }
}

#[test]
fn a_wrong_password_an_unknown_user_and_an_attacker_get_the_same_words() {
    let mut errors = Vec::new();
    errors.extend(failures(Pair::srp(&srp_config("wherefore"), &srp_config(WORD))));

    let credentials = SrpCredentials::new("mercutio@verona.lit", WORD).unwrap();
    let mercutio = SrpConfig::new(credentials, default_provider());
    let unknown = failures(Pair::srp(&mercutio, &srp_config(WORD)));
    assert_eq!(unknown[0].as_ref().and_then(TlsError::alert_sent).map(Alert::name), Some("unknown_psk_identity"));
    errors.extend(unknown);

    // An attacker changes the last byte of B, after which nothing but ServerHelloDone comes.
    let mut attacked = pair();
    attacked.server.read(&std::mem::take(&mut attacked.to_server), &mut Vec::new(), &mut attacked.to_client).unwrap();
    let last_of_b = attacked.to_client.len() - 5;
    attacked.to_client[last_of_b] ^= 1;
    errors.extend(failures(attacked));

    // An attacker changes the client's Finished.
    let mut attacked = pair();
    attacked.server.read(&std::mem::take(&mut attacked.to_server), &mut Vec::new(), &mut attacked.to_client).unwrap();
    let answer = std::mem::take(&mut attacked.to_client);
    attacked.client.read(&answer, &mut Vec::new(), &mut attacked.to_server).unwrap();
    *attacked.to_server.last_mut().unwrap() ^= 1;
    errors.extend(failures(attacked));

    let kinds: Vec<_> = errors.iter().map(|error| error.as_ref().unwrap().kind()).collect();
    assert_eq!(kinds, [&TlsErrorKind::AuthenticationFailed; 8]);
    let words: BTreeSet<String> = errors.iter().map(|error| error.as_ref().unwrap().to_string()).collect();
    let expected =
        "authentication failed: the password is not the same on both sides, or the connection is intercepted";
    assert_eq!(words, BTreeSet::from([expected.to_owned()]));
}

#[test]
fn m28_a_forged_alert_fails_the_attempt_and_spends_no_guess() {
    for (code, refusal) in [(115, true), (80, true), (20, true), (51, true), (40, false), (70, false)] {
        let mut client = TlsSession::srp_client(&srp_config(WORD), &mut Vec::new()).unwrap();
        let (mut plaintext, mut out) = (Vec::new(), Vec::new());
        let error = client.read(&[21, 3, 3, 0, 2, 2, code], &mut plaintext, &mut out).unwrap_err();
        let expected =
            if refusal { TlsErrorKind::AuthenticationFailed } else { TlsErrorKind::AlertReceived(Alert::new(code)) };
        assert_eq!((error.kind(), error.alert_sent()), (&expected, None));
        assert!(plaintext.is_empty() && out.is_empty());
        assert!(!client.password_attempted() && !client.is_handshaking() && !client.handshake_complete());
    }
}

#[test]
fn m08_a_client_with_a_password_is_refused_where_certificates_were_agreed_on() {
    let mut to_server = Vec::new();
    let client = TlsSession::srp_client(&srp_config(WORD), &mut to_server).unwrap();
    let mut pair = Pair::of(client, TlsSession::server(&juliet_config()).unwrap(), to_server);
    let error = pair.settle().unwrap_err();
    assert!(matches!(error.kind(), TlsErrorKind::PeerIncompatible(_)), "{error:?}");
    assert_eq!(error.alert_sent().map(Alert::name), Some("handshake_failure"));
    let error = pair.client.read(&pair.to_client, &mut Vec::new(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), &TlsErrorKind::AlertReceived(Alert::new(40)));
    assert!(!pair.client.password_attempted() && !pair.server.password_attempted());
}

#[test]
fn m08_a_client_with_a_certificate_is_refused_where_a_password_was_agreed_on() {
    let mut tls12 = romeo_config();
    let mut provider = (*default_provider()).clone();
    provider.cipher_suites.retain(|suite| matches!(suite, SupportedCipherSuite::Tls12(_)));
    tls12.provider = Arc::new(provider);
    for config in [romeo_config(), tls12] {
        let mut to_server = Vec::new();
        let client = TlsSession::client(&config, &mut to_server).unwrap();
        let mut pair = Pair::of(client, TlsSession::srp_server(&srp_config(WORD)).unwrap(), to_server);
        let error = pair.settle().unwrap_err();
        assert!(matches!(error.kind(), TlsErrorKind::PeerIncompatible(_)), "{error:?}");
        assert!(error.to_string().ends_with("none of the cipher suites with a password (SRP) that are spoken here"));
        assert_eq!(error.alert_sent().map(Alert::name), Some("handshake_failure"));
        let error = pair.client.read(&pair.to_client, &mut Vec::new(), &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), &TlsErrorKind::AlertReceived(Alert::new(40)));
        assert!(!pair.server.password_attempted());
    }
}

#[test]
fn bytes_that_are_not_tls_are_told_apart_at_once() {
    for garbage in [&b"<stream:stream "[..], b"<", &[0; 5], &[22, 2, 0], &[23, 3, 3, 0, 1, 0]] {
        let client = TlsSession::srp_client(&srp_config(WORD), &mut Vec::new()).unwrap();
        for mut session in [client, TlsSession::srp_server(&srp_config(WORD)).unwrap()] {
            let (mut plaintext, mut out) = (Vec::new(), Vec::new());
            let error = session.read(garbage, &mut plaintext, &mut out).unwrap_err();
            assert_eq!((error.kind(), error.alert_sent()), (&TlsErrorKind::NotTls, None));
            assert_eq!(session.read(&[], &mut plaintext, &mut out).unwrap_err(), error, "dead");
            assert_eq!(session.write(b"x", &mut out), Err(WriteError::Failed));
            session.close(&mut out);
            assert!(plaintext.is_empty() && out.is_empty() && !session.is_handshaking());
        }
    }
}

#[test]
fn p03_the_handshake_is_bounded_to_64_kib() {
    // A ClientHello that never ends, a byte in each record.
    let message = [&[1, 0, 0x3f, 0xff][..], &[0; 0x3fff]].concat();
    let records: Vec<u8> = message.iter().flat_map(|byte| [22, 3, 1, 0, 1, *byte]).collect();
    for step in [1, 999, MAX_HANDSHAKE] {
        let mut server = TlsSession::srp_server(&srp_config(WORD)).unwrap();
        let mut out = Vec::new();
        for piece in records.get(..MAX_HANDSHAKE).unwrap().chunks(step) {
            server.read(piece, &mut Vec::new(), &mut out).unwrap();
        }
        assert!(server.is_handshaking(), "exactly as much as is allowed");
        let more = records.get(MAX_HANDSHAKE..=MAX_HANDSHAKE).unwrap();
        let error = server.read(more, &mut Vec::new(), &mut out).unwrap_err();
        assert_eq!((error.kind(), error.alert_sent()), (&TlsErrorKind::HandshakeTooLong, None));
        assert!(!server.is_handshaking() && out.is_empty());
    }
    let mut server = TlsSession::srp_server(&srp_config(WORD)).unwrap();
    let error = server.read(&records, &mut Vec::new(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), &TlsErrorKind::HandshakeTooLong, "all at once");

    // A record that begins within the bound and ends behind it is not looked at, whatever it is.
    let whole = MAX_HANDSHAKE - MAX_HANDSHAKE % 6;
    let input = [records.get(..whole).unwrap(), &[23, 3, 1, 0, 1, 0]].concat();
    let mut server = TlsSession::srp_server(&srp_config(WORD)).unwrap();
    let error = server.read(&input, &mut Vec::new(), &mut Vec::new()).unwrap_err();
    assert_eq!((error.kind(), error.alert_sent()), (&TlsErrorKind::HandshakeTooLong, None));

    let mut server = TlsSession::srp_server(&srp_config(WORD)).unwrap();
    let mut out = Vec::new();
    let error = server.read(&[22, 3, 1, 0, 4, 1, 0, 0x40, 1], &mut Vec::new(), &mut out).unwrap_err();
    assert!(matches!(error.kind(), TlsErrorKind::PeerMisbehaved(_)), "a message of 16 KiB and 1: {error:?}");
    assert_eq!(error.alert_sent().map(Alert::name), Some("decode_error"));
}

#[test]
fn data_behind_the_handshake_is_not_counted_as_handshake() {
    let mut pair = pair();
    let flight = |bytes: &mut Vec<u8>| std::mem::take(bytes);
    pair.server.read(&flight(&mut pair.to_server), &mut Vec::new(), &mut pair.to_client).unwrap();
    pair.client.read(&flight(&mut pair.to_client), &mut Vec::new(), &mut pair.to_server).unwrap();
    pair.server.read(&flight(&mut pair.to_server), &mut Vec::new(), &mut pair.to_client).unwrap();
    pair.server.write(&vec![1; 3 * MAX_HANDSHAKE], &mut pair.to_client).unwrap();
    pair.client.read(&pair.to_client, &mut pair.client_plaintext, &mut pair.to_server).unwrap();
    assert_eq!(pair.client_plaintext.len(), 3 * MAX_HANDSHAKE, "in one call with the server's Finished");
}

#[test]
fn records_fill_blocks_and_never_straddle_them() {
    for (block, in_each) in [(4096, vec![4089]), (32760, vec![16377, 16377]), (65535, vec![16377; 4])] {
        let mut config = srp_config(WORD);
        config.max_record = record_size_for_block(block);
        let mut pair = Pair::srp(&config, &config);
        pair.settle().unwrap();
        for flight in &pair.flights {
            assert_eq!(whole_records(flight, block), flight.len(), "a flight fits a block");
            assert!(record_lengths(flight).into_iter().all(|length| length <= config.max_record));
        }
        let payload = 10 * in_each.iter().map(|length| length - 42).sum::<usize>();
        pair.client.write(&vec![7; payload], &mut pair.to_server).unwrap();
        let mut rest = &pair.to_server[..];
        for _ in 0..10 {
            let (filled, more) = rest.split_at(whole_records(rest, block));
            assert_eq!(record_lengths(filled), in_each);
            rest = more;
        }
        assert!(rest.is_empty());
        pair.settle().unwrap();
        assert_eq!(pair.server_plaintext, vec![7; payload]);
    }
}

#[test]
fn records_have_at_most_the_size_that_was_asked_for() {
    for max_record in [0, MIN_RECORD, 100, 1000, MAX_RECORD, usize::MAX] {
        let expected = max_record.clamp(MIN_RECORD, MAX_RECORD);
        let mut config = srp_config(WORD);
        config.max_record = max_record;
        let mut pair = Pair::srp(&config, &config);
        pair.settle().unwrap();
        for flight in &pair.flights {
            assert!(record_lengths(flight).into_iter().all(|length| length <= expected));
        }
        pair.server.write(&[0; 50_000], &mut pair.to_client).unwrap();
        let lengths = record_lengths(&pair.to_client);
        assert!(lengths.iter().all(|length| *length <= expected));
        assert!(lengths[0] > expected - 16, "no block more would have fitted");
        pair.settle().unwrap();
        assert_eq!(pair.client_plaintext.len(), 50_000);
    }
}

#[test]
fn l01_nothing_is_written_before_the_handshake_is_complete() {
    let mut pair = pair();
    let mut out = Vec::new();
    let flight = std::mem::take(&mut pair.to_server);
    for answered in [false, true] {
        for session in [&mut pair.client, &mut pair.server] {
            assert_eq!(session.write(b"early", &mut out), Err(WriteError::NotSecured), "{answered}");
            assert_eq!(session.export_keying_material(&mut [0; 8], b"l", None), Err(ExportError::NotSecured));
            assert_eq!(session.parameters(), None);
        }
        if !answered {
            pair.server.read(&flight, &mut Vec::new(), &mut pair.to_client).unwrap();
        }
    }
    assert!(out.is_empty());
    pair.settle().unwrap();
    assert!(pair.client_plaintext.is_empty() && pair.server_plaintext.is_empty(), "nothing was kept for later");
}

#[test]
fn a_close_is_answered_and_ends_both_directions() {
    let mut pair = connected();
    pair.client.write(b"last", &mut pair.to_server).unwrap();
    pair.client.close(&mut pair.to_server);
    let sent = pair.to_server.len();
    pair.client.close(&mut pair.to_server);
    assert_eq!(pair.client.write(b"more", &mut pair.to_server), Err(WriteError::Closed));
    assert_eq!(pair.to_server.len(), sent, "closed once");
    // What was on its way already is still read.
    pair.server.write(b"crossing", &mut pair.to_client).unwrap();
    pair.client.read(&std::mem::take(&mut pair.to_client), &mut pair.client_plaintext, &mut Vec::new()).unwrap();
    assert!(!pair.client.peer_closed() && !pair.server.peer_closed());
    pair.settle().unwrap();
    assert!(pair.client.peer_closed() && pair.server.peer_closed());
    assert_eq!((&pair.server_plaintext[..], &pair.client_plaintext[..]), (&b"last"[..], &b"crossing"[..]));
    assert_eq!(pair.server.write(b"too late", &mut pair.to_client), Err(WriteError::Closed));
    pair.server.close(&mut pair.to_client);
    assert!(pair.to_client.is_empty(), "the answer was the server's close_notify");
    for session in [&mut pair.client, &mut pair.server] {
        assert_eq!(session.export_keying_material(&mut [0; 8], b"l", None), Err(ExportError::NotSecured));
        assert!(session.handshake_complete() && session.parameters().is_some());
        assert_eq!(session.read(b"<not tls at all/>", &mut Vec::new(), &mut Vec::new()), Ok(()), "ignored");
    }
}

#[test]
fn m15_an_end_without_close_notify_does_not_look_like_an_orderly_one() {
    let mut pair = connected();
    pair.client.write(b"last", &mut pair.to_server).unwrap();
    pair.client.close(&mut pair.to_server);
    pair.to_server.pop();
    pair.settle().unwrap();
    assert_eq!(pair.server_plaintext, b"last");
    assert!(!pair.server.peer_closed());
}

#[test]
fn a_record_tells_the_application_nothing() {
    let mut pair = pair();
    assert!(!pair.client.say_nothing(&mut pair.to_server), "not before the handshake");
    pair.settle().unwrap();
    for _ in 0..3 {
        for _ in 0..15 {
            assert!(pair.client.say_nothing(&mut pair.to_server));
            assert!(pair.server.say_nothing(&mut pair.to_client));
        }
        assert!(record_lengths(&pair.to_server).iter().all(|length| *length < 64));
        pair.settle().unwrap();
        assert!(pair.server_plaintext.is_empty() && pair.client_plaintext.is_empty());
        pair.client.write(b"a rose", &mut pair.to_server).unwrap();
        pair.server.write(b"by any name", &mut pair.to_client).unwrap();
        pair.settle().unwrap();
        assert_eq!(core::mem::take(&mut pair.server_plaintext), b"a rose");
        assert_eq!(core::mem::take(&mut pair.client_plaintext), b"by any name");
    }
    pair.client.close(&mut pair.to_server);
    assert!(!pair.client.say_nothing(&mut Vec::new()), "nor after the end");
}

#[test]
fn closing_during_the_handshake_ends_it_without_a_fault() {
    let mut pair = pair();
    pair.server.read(&std::mem::take(&mut pair.to_server), &mut Vec::new(), &mut pair.to_client).unwrap();
    pair.client.close(&mut pair.to_server);
    assert!(matches!(pair.to_server[..], [21, 3, 3, 0, 2, 1, 0]), "a close_notify");
    assert!(!pair.client.is_handshaking() && !pair.client.handshake_complete());
    let mut out = Vec::new();
    assert_eq!(pair.client.read(&pair.to_client, &mut Vec::new(), &mut out), Ok(()));
    assert_eq!(pair.client.write(b"x", &mut out), Err(WriteError::Closed));
    assert!(out.is_empty() && !pair.client.password_attempted());
    let error = pair.server.read(&pair.to_server, &mut Vec::new(), &mut out).unwrap_err();
    assert_eq!(error.kind(), &TlsErrorKind::AlertReceived(Alert::new(0)));
}

#[test]
fn m13_an_altered_record_ends_the_session() {
    let mut pair = connected();
    pair.client.write(b"first", &mut pair.to_server).unwrap();
    pair.client.write(b"second", &mut pair.to_server).unwrap();
    *pair.to_server.last_mut().unwrap() ^= 1;
    let error = pair.settle().unwrap_err();
    assert_eq!(error.kind(), &TlsErrorKind::BadRecord);
    assert_eq!(error.alert_sent().map(Alert::name), Some("bad_record_mac"));
    assert_eq!(pair.server_plaintext, b"first", "what came before it is delivered");
    let error = pair.client.read(&pair.to_client, &mut Vec::new(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), &TlsErrorKind::AlertReceived(Alert::BAD_RECORD_MAC));
}

#[test]
fn after_our_close_a_fault_sends_no_alert() {
    let mut pair = connected();
    pair.server.close(&mut pair.to_client);
    pair.client.write(b"crossing", &mut pair.to_server).unwrap();
    *pair.to_server.last_mut().unwrap() ^= 1;
    let mut out = Vec::new();
    let error = pair.server.read(&pair.to_server, &mut pair.server_plaintext, &mut out).unwrap_err();
    assert_eq!((error.kind(), error.alert_sent()), (&TlsErrorKind::BadRecord, None));
    assert!(out.is_empty() && pair.server_plaintext.is_empty());
}

#[test]
fn m17_a_replayed_session_does_not_complete() {
    let recorded = connected().flights;
    let mut server = TlsSession::srp_server(&srp_config(WORD)).unwrap();
    server.read(&recorded[0], &mut Vec::new(), &mut Vec::new()).unwrap();
    let error = server.read(&recorded[2], &mut Vec::new(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), &TlsErrorKind::AuthenticationFailed);
}

#[test]
fn exported_keying_material_is_the_same_on_both_sides_and_in_no_other_session() {
    let export = |session: &TlsSession, label: &[u8], context: Option<&[u8]>| {
        let mut bytes = [0; 32];
        session.export_keying_material(&mut bytes, label, context).map(|()| bytes)
    };
    let binding = b"EXPORTER-Channel-Binding";
    let pair = connected();
    let ours = export(&pair.client, binding, Some(b"")).unwrap();
    assert_eq!(export(&pair.server, binding, Some(b"")), Ok(ours));
    for (label, context) in [(&binding[..], None), (binding, Some(&b"context"[..])), (b"EXPORTER-Other", Some(b""))] {
        let other = export(&pair.client, label, context).unwrap();
        assert_eq!(export(&pair.server, label, context), Ok(other));
        assert_ne!(other, ours);
    }
    assert_ne!(export(&connected().client, binding, Some(b"")), Ok(ours));
    assert_eq!(pair.client.export_keying_material(&mut [], binding, None), Err(ExportError::BadLength));
    assert_eq!(export(&pair.client, b"key expansion", None), Err(ExportError::ReservedLabel));
    assert_eq!(export(&pair.client, binding, Some(&[0; 65536])), Err(ExportError::ContextTooLong));
    assert!(export(&pair.client, binding, Some(&[0; 65535])).is_ok());
}

/// A handshake, data both ways and the end, as all the bytes in both directions.
fn transcript(mut pair: Pair) -> (Vec<Vec<u8>>, [Option<TlsParameters>; 2]) {
    pair.settle().unwrap();
    pair.client.write(&[1; 20_000], &mut pair.to_server).unwrap();
    pair.server.write(&[2; 300], &mut pair.to_client).unwrap();
    pair.settle().unwrap();
    pair.server.close(&mut pair.to_client);
    pair.settle().unwrap();
    assert_eq!((pair.server_plaintext.len(), pair.client_plaintext.len()), (20_000, 300));
    (pair.flights, [pair.client.parameters(), pair.server.parameters()])
}

#[test]
fn the_same_random_numbers_make_the_same_bytes() {
    let first = transcript(seeded_pair());
    assert_eq!(transcript(seeded_pair()), first);
    let other = Pair::srp(&seeded(WORD, 3, usize::MAX), &seeded(WORD, 2, usize::MAX));
    assert_ne!(transcript(other), first);
}

#[test]
fn l03_without_random_numbers_there_is_no_session() {
    let mut out = Vec::new();
    let client = TlsSession::srp_client(&seeded(WORD, 1, 0), &mut out);
    assert_eq!(client.unwrap_err(), TlsConfigError::NoRandom);
    assert!(out.is_empty());

    let mut pair = Pair::srp(&srp_config(WORD), &seeded(WORD, 1, 0));
    let error = pair.settle().unwrap_err();
    assert!(matches!(error.kind(), TlsErrorKind::Internal(_)), "{error:?}");
    assert_eq!(error.alert_sent().map(Alert::name), Some("internal_error"));
}

#[test]
fn l03_random_numbers_that_run_out_are_an_error_wherever_they_do() {
    let mut faults = BTreeSet::new();
    for fills in 1..12 {
        for (client, server) in [(fills, usize::MAX), (usize::MAX, fills)] {
            let mut pair = Pair::srp(&seeded(WORD, 1, client), &seeded(WORD, 2, server));
            let side = if client == fills { "client" } else { "server" };
            if let Err(error) = pair.settle() {
                assert!(matches!(error.kind(), TlsErrorKind::Internal(_)), "{error:?}");
                faults.insert((side, "read", error.alert_sent().map(Alert::code)));
                continue;
            }
            let (session, out) = match side {
                "client" => (&mut pair.client, &mut pair.to_server),
                _ => (&mut pair.server, &mut pair.to_client),
            };
            let written = (0..12).find_map(|_| session.write(b"x", out).err());
            assert_eq!(written, Some(WriteError::Failed));
            assert!(!session.is_handshaking());
            let error = session.read(&[], &mut Vec::new(), out).unwrap_err();
            assert!(matches!(error.kind(), TlsErrorKind::Internal(_)), "{error:?}");
            assert_eq!(session.export_keying_material(&mut [0; 8], b"l", None), Err(ExportError::NotSecured));
            let length = out.len();
            session.close(out);
            assert_eq!(out.len(), length);
            faults.insert((side, "write", None));
        }
    }
    // Without random numbers there is no IV for an alert either, once there are keys.
    let expected = [
        ("client", "read", None),
        ("client", "read", Some(80)),
        ("client", "write", None),
        ("server", "read", None),
        ("server", "read", Some(80)),
        ("server", "write", None),
    ];
    assert_eq!(faults, BTreeSet::from(expected));
}

#[test]
fn l06_debug_shows_no_secret() {
    let config = srp_config("canary-in-a-coal-mine");
    let mut pair = Pair::srp(&config, &config);
    let before = format!("{config:?} {config:#?} {:?} {:#?}", pair.client, pair.server);
    pair.settle().unwrap();
    let after = format!("{:?} {:#?}", pair.client, pair.server);
    let wrong = failures(Pair::srp(&config, &srp_config("pigeon-on-a-roof")));
    let error = format!("{wrong:?} {:?}", SrpCredentials::new("romeo@montague.lit", "canary\u{7}"));
    for text in [&before, &after, &error] {
        assert!(!text.contains("canary") && !text.contains("pigeon"), "{text}");
    }
    assert!(before.contains("romeo@montague.lit") && after.contains("srp-3072"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_session_does_the_same_however_its_input_is_cut(
        cuts in proptest::collection::vec(1_usize..900, 1..40),
        alter in proptest::option::of((0_usize..3, any::<proptest::sample::Index>())),
    ) {
        // What a whole session reads, with a fault in it or without one.
        let (flights, _) = transcript(seeded_pair());
        for side in [0, 1] {
            let mut input: Vec<Vec<u8>> = flights.iter().skip(side).step_by(2).cloned().collect();
            if let Some((flight, place)) = alter {
                let flight = flight % input.len();
                let place = place.index(input[flight].len());
                input[flight][place] ^= 0x20;
            }
            let run = |cuts: &[usize]| {
                let mut out = Vec::new();
                let mut session = if side == 0 {
                    TlsSession::srp_server(&seeded(WORD, 2, usize::MAX)).unwrap()
                } else {
                    TlsSession::srp_client(&seeded(WORD, 1, usize::MAX), &mut out).unwrap()
                };
                let mut plaintext = Vec::new();
                let mut result = Ok(());
                let mut cuts = cuts.iter().cycle();
                let input = input.concat();
                let mut rest = &input[..];
                while !rest.is_empty() {
                    let (piece, more) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                    result = session.read(piece, &mut plaintext, &mut out);
                    rest = more;
                }
                (result, plaintext, out, session.parameters(), session.peer_closed(), session.password_attempted())
            };
            prop_assert_eq!(run(&cuts), run(&[usize::MAX]));
        }
    }

    #[test]
    fn l08_no_bytes_and_no_order_of_calls_make_a_session_panic(
        flight in 0_usize..4,
        kept in any::<proptest::sample::Index>(),
        noise in proptest::collection::vec(any::<u8>(), 1..600),
    ) {
        let (flights, _) = transcript(seeded_pair());
        let mut bytes = flights[..flight].iter().skip(flight % 2).step_by(2).flatten().copied().collect::<Vec<u8>>();
        let kept = kept.index(flights[flight].len());
        bytes.extend(&flights[flight][..kept]);
        bytes.extend(&noise);
        let (mut plaintext, mut out) = (Vec::new(), Vec::new());
        let client = TlsSession::srp_client(&seeded(WORD, 1, usize::MAX), &mut out).unwrap();
        for mut session in [client, TlsSession::srp_server(&seeded(WORD, 2, usize::MAX)).unwrap()] {
            let _ = session.read(&bytes, &mut plaintext, &mut out);
            let _ = session.write(b"x", &mut out);
            session.close(&mut out);
            let _ = session.read(&bytes, &mut plaintext, &mut out);
            let _ = session.export_keying_material(&mut [0; 8], b"l", None);
            session.close(&mut out);
        }
        prop_assert!(plaintext.is_empty());
    }
}
