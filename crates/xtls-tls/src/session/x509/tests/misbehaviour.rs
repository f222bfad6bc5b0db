//! Records that no TLS stack sends, and how each is answered: in clear, and by a peer that has the keys.

use rustls::Connection;

use super::*;
use crate::testing::forger::Forger;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;

/// A handshake with a rustls peer, until neither has anything to say.
fn meet(session: &mut TlsSession, other: &mut Connection, mut to_session: Vec<u8>, mut to_other: Vec<u8>) {
    loop {
        let mut bytes = &to_other[..];
        while !bytes.is_empty() {
            other.read_tls(&mut bytes).unwrap();
            other.process_new_packets().unwrap();
        }
        while other.wants_write() {
            other.write_tls(&mut to_session).unwrap();
        }
        if to_session.is_empty() {
            break;
        }
        to_other.clear();
        session.read(&std::mem::take(&mut to_session), &mut Vec::new(), &mut to_other).unwrap();
    }
    assert!(session.handshake_complete() && !other.is_handshaking());
}

/// Our session, server or client, with a peer that has the keys of the handshake and sends what it likes.
fn with_forger(is_server: bool, is_tls13: bool) -> (TlsSession, Forger) {
    let version = Presents::versions()[usize::from(!is_tls13)];
    if is_server {
        let peer = Presents::chain(vec![romeo().certificate().clone()], &romeo());
        let mut session = TlsSession::server(&juliet_config()).unwrap();
        let mut other = peer.client(version);
        meet(&mut session, &mut other, Vec::new(), Vec::new());
        (session, Forger::new(other))
    } else {
        let peer = Presents::chain(vec![juliet().certificate().clone()], &juliet());
        let mut hello = Vec::new();
        let mut session = TlsSession::client(&romeo_config(), &mut hello).unwrap();
        let mut other = peer.server(version);
        meet(&mut session, &mut other, Vec::new(), hello);
        (session, Forger::new(other))
    }
}

/// Each of our sessions, with a word for which it is.
fn forgers() -> impl Iterator<Item = (String, TlsSession, Forger)> {
    [(true, true), (true, false), (false, true), (false, false)].into_iter().map(|(is_server, is_tls13)| {
        let (session, forger) = with_forger(is_server, is_tls13);
        (format!("server: {is_server}, TLS 1.3: {is_tls13}"), session, forger)
    })
}

/// How many of these a session takes without an error, and what it says to the one that is too many.
fn takes(session: &mut TlsSession, mut next: impl FnMut() -> Vec<u8>) -> (usize, TlsError, Vec<u8>) {
    for count in 0..100 {
        let mut out = Vec::new();
        if let Err(error) = session.read(&next(), &mut Vec::new(), &mut out) {
            assert!(session.write(b"x", &mut Vec::new()).is_err(), "dead");
            return (count, error, out);
        }
    }
    panic!("a hundred were taken");
}

/// An alert in a record of its own, encrypted: 2 bytes and what protects them.
fn is_one_alert(out: &[u8], is_tls13: bool) -> bool {
    record_lengths(out) == [5 + 2 + if is_tls13 { 17 } else { 24 }] && out[0] == if is_tls13 { DATA } else { ALERT }
}

/// RFC 8446 § 5.1, RFC 5246 § 7.2.2: "unexpected_message", in clear as long as there are no keys.
#[test]
fn rfc_5246_7_2_2_records_in_the_middle_of_a_handshake_message_are_answered_with_an_alert() {
    let fatal = [ALERT, 3, 3, 0, 2, 2, 10];
    // In the middle of the ClientHello.
    for (between, content) in [(ALERT, &[1, 90][..]), (CHANGE_CIPHER_SPEC, &[1]), (DATA, b"x")] {
        let mut hello = Vec::new();
        TlsSession::client(&romeo_config(), &mut hello).unwrap();
        let mut interleaved = vec![HANDSHAKE, 3, 1, 0, 20];
        interleaved.extend(&hello[5..25]);
        interleaved.extend([between, 3, 3, 0, content.len() as u8]);
        interleaved.extend(content);
        let mut server = TlsSession::server(&juliet_config()).unwrap();
        let mut out = Vec::new();
        let error = server.read(&interleaved, &mut Vec::new(), &mut out).unwrap_err();
        assert!(matches!(error.kind(), TlsErrorKind::PeerMisbehaved(_)), "{between}: {error:?}");
        assert_eq!((&out[..], error.alert_sent()), (&fatal[..], Some(Alert::UNEXPECTED_MESSAGE)), "{between}");
    }
    // In the middle of the client's second flight, in clear in TLS 1.2.
    let (client, server) = tls12_pair();
    let mut pair = Pair::new(&client, &server);
    pair.server.read(&std::mem::take(&mut pair.to_server), &mut Vec::new(), &mut pair.to_client).unwrap();
    pair.client.read(&pair.to_client, &mut Vec::new(), &mut pair.to_server).unwrap();
    let certificate = &pair.to_server[5..];
    for (between, content) in [(ALERT, &[1, 90][..]), (CHANGE_CIPHER_SPEC, &[1])] {
        let mut server = TlsSession::server(&server).unwrap();
        server.read(&first_flight(&client), &mut Vec::new(), &mut Vec::new()).unwrap();
        let mut interleaved = vec![HANDSHAKE, 3, 3, 0, 20];
        interleaved.extend(&certificate[..20]);
        interleaved.extend([between, 3, 3, 0, content.len() as u8]);
        interleaved.extend(content);
        let mut out = Vec::new();
        let error = server.read(&interleaved, &mut Vec::new(), &mut out).unwrap_err();
        assert!(matches!(error.kind(), TlsErrorKind::PeerMisbehaved(_)), "{between}: {error:?}");
        assert_eq!((&out[..], error.alert_sent()), (&fatal[..], Some(Alert::UNEXPECTED_MESSAGE)), "{between}");
    }
    // With the keys, where a message after the handshake is interrupted.
    for (which, mut session, mut forger) in forgers() {
        let is_tls13 = which.ends_with("true");
        let (mut out, mut plaintext) = (Vec::new(), Vec::new());
        session.read(&forger.record(HANDSHAKE, &[4, 0, 0, 9, 0]), &mut plaintext, &mut out).unwrap();
        let error = session.read(&forger.record(DATA, b"x"), &mut plaintext, &mut out).unwrap_err();
        assert!(matches!(error.kind(), TlsErrorKind::PeerMisbehaved(_)), "{which}: {error:?}");
        assert!(is_one_alert(&out, is_tls13) && plaintext.is_empty(), "{which}: {out:?}");
    }
}

fn first_flight(config: &TlsConfig) -> Vec<u8> {
    let mut hello = Vec::new();
    TlsSession::client(config, &mut hello).unwrap();
    hello
}

/// Row P4.
#[test]
fn p04_floods_of_empty_records_and_warnings_end_the_session_with_an_alert() {
    for (which, mut session, mut forger) in forgers() {
        let is_tls13 = which.ends_with("true");
        let (count, error, out) = takes(&mut session, || forger.record(DATA, &[]));
        assert_eq!(count, 32, "{which}");
        assert!(matches!(error.kind(), TlsErrorKind::PeerMisbehaved(_)), "{which}: {error:?}");
        assert!(is_one_alert(&out, is_tls13), "{which}: {out:?}");
    }
    for (which, mut session, mut forger) in forgers() {
        let is_tls13 = which.ends_with("true");
        // user_canceled, the one warning that TLS 1.3 knows beside close_notify.
        let (count, error, out) = takes(&mut session, || forger.record(ALERT, &[1, 90]));
        assert_eq!(count, 4, "{which}");
        assert!(matches!(error.kind(), TlsErrorKind::PeerMisbehaved(_)), "{which}: {error:?}");
        assert!(is_one_alert(&out, is_tls13), "{which}: {out:?}");
    }
    // What is between the empty ones is data, and sets the count back; a warning does not.
    let (mut session, mut forger) = with_forger(true, true);
    let mut plaintext = Vec::new();
    for _ in 0..100 {
        session.read(&forger.record(DATA, &[]), &mut plaintext, &mut Vec::new()).unwrap();
        session.read(&forger.record(DATA, b"x"), &mut plaintext, &mut Vec::new()).unwrap();
    }
    assert_eq!(plaintext.len(), 100);
}

/// Row P4: in TLS 1.3 one stands in a handshake for the sake of middleboxes (RFC 8446 § D.4); in TLS 1.2 each has its place.
#[test]
fn p04_change_cipher_specs_have_their_place_and_no_other() {
    let ccs = || vec![CHANGE_CIPHER_SPEC, 3, 3, 0, 1, 1];
    // As the first record it is none of TLS's.
    let mut server = TlsSession::server(&juliet_config()).unwrap();
    let (count, error, out) = takes(&mut server, ccs);
    assert_eq!((count, error.kind(), out.len()), (0, &TlsErrorKind::NotTls, 0));
    // In the middle of a handshake of TLS 1.3, in which the server has its keys, and no alert to encrypt but an end in order.
    let mut server = TlsSession::server(&juliet_config()).unwrap();
    server.read(&first_flight(&romeo_config()), &mut Vec::new(), &mut Vec::new()).unwrap();
    let (count, error, out) = takes(&mut server, ccs);
    assert_eq!(count, 2);
    assert!(matches!(error.kind(), TlsErrorKind::PeerMisbehaved(_)), "{error:?}");
    assert!(out.is_empty() && error.alert_sent().is_none(), "{out:?}");
    // Early in TLS 1.2 (CVE-2014-0224), where nothing is encrypted yet.
    let (client, server) = tls12_pair();
    let mut server = TlsSession::server(&server).unwrap();
    server.read(&first_flight(&client), &mut Vec::new(), &mut Vec::new()).unwrap();
    let (count, error, out) = takes(&mut server, ccs);
    assert_eq!(count, 0);
    assert!(matches!(error.kind(), TlsErrorKind::PeerMisbehaved(_)), "{error:?}");
    assert!(matches!(out[..], [ALERT, 3, 3, 0, 2, 2, 10]), "{out:?}");
    // And with the keys, once all is done.
    for (which, mut session, mut forger) in forgers() {
        let is_tls13 = which.ends_with("true");
        let (count, error, out) = takes(&mut session, || forger.record(CHANGE_CIPHER_SPEC, &[1]));
        assert_eq!(count, 0, "{which}");
        assert!(matches!(error.kind(), TlsErrorKind::PeerMisbehaved(_)), "{which}: {error:?}");
        assert!(is_one_alert(&out, is_tls13), "{which}: {out:?}");
    }
}

/// Row P9: there is one handshake to a session, whichever side asks for another, and in TLS 1.3 there is not even a question.
#[test]
fn p09_renegotiation_is_refused_once_and_then_fatal() {
    const HELLO_REQUEST: [u8; 4] = [0; 4];
    for (which, mut session, mut forger) in forgers() {
        let (is_server, is_tls13) = (which.starts_with("server: true"), which.ends_with("true"));
        let question =
            if is_server { first_flight(&tls12_alone(romeo_config()))[5..].to_vec() } else { HELLO_REQUEST.to_vec() };
        if !is_tls13 {
            // no_renegotiation, a warning (RFC 5246 § 7.2.2), and the session goes on.
            let (mut out, mut plaintext) = (Vec::new(), Vec::new());
            session.read(&forger.record(HANDSHAKE, &question), &mut plaintext, &mut out).unwrap();
            assert!(is_one_alert(&out, false), "{which}: {out:?}");
            session.read(&forger.record(DATA, b"x"), &mut plaintext, &mut out).unwrap();
            assert_eq!(plaintext, b"x");
        }
        let mut out = Vec::new();
        let error = session.read(&forger.record(HANDSHAKE, &question), &mut Vec::new(), &mut out).unwrap_err();
        assert!(matches!(error.kind(), TlsErrorKind::PeerMisbehaved(_)), "{which}: {error:?}");
        assert!(is_one_alert(&out, is_tls13), "{which}: {out:?}");
    }
}

/// Row P26: neither records nor certificates are compressed, and whoever insists is refused.
#[test]
fn p26_tls_compression_is_never_offered_and_refused() {
    // The legacy_compression_methods of a ClientHello: after version, random, session id and suites.
    let methods = |hello: &[u8]| {
        let mut at = 5 + 4 + 2 + 32;
        at += 1 + usize::from(hello[at]);
        at += 2 + usize::from(u16::from_be_bytes([hello[at], hello[at + 1]]));
        at
    };
    for config in [romeo_config(), tls12_alone(romeo_config())] {
        let hello = first_flight(&config);
        let at = methods(&hello);
        assert_eq!(hello[at..at + 2], [1, 0], "null alone");
        // RFC 8879 § 3: compress_certificate.
        assert!(!extensions(&hello).contains(&27), "{:?}", extensions(&hello));

        let mut insisting = hello;
        insisting[at + 1] = 1;
        let mut server = TlsSession::server(&juliet_config()).unwrap();
        let mut out = Vec::new();
        let error = server.read(&insisting, &mut Vec::new(), &mut out).unwrap_err();
        assert!(
            matches!(error.kind(), TlsErrorKind::PeerIncompatible(_) | TlsErrorKind::PeerMisbehaved(_)),
            "{error:?}"
        );
        assert!(matches!(out[..], [ALERT, 3, _, 0, 2, 2, 40 | 47]), "{out:?}");
    }
}

/// Row M15: whoever is on the way can make a handshake fail, and nothing that the session says then is an end in order. The other
/// side may be through with its handshake, and would take it for all that there was to say.
#[test]
fn m15_a_handshake_that_fails_by_another_hand_says_nothing_of_an_end() {
    let tls13 = (romeo_config(), juliet_config());
    let mut completed = 0;
    for (which, (client, server)) in [("TLS 1.3", tls13), ("TLS 1.2", tls12_pair())] {
        for injected in [
            &[CHANGE_CIPHER_SPEC, 3, 3, 0, 1, 1][..],
            &[HANDSHAKE, 3, 3, 0, 4, 20, 0, 0, 12],
            &[ALERT, 3, 3, 0, 2, 1, 90],
            &[ALERT, 3, 3, 0, 2, 1, 0],
            &[DATA, 3, 3, 0, 1, 7],
            &[DATA, 3, 3, 0xff, 0xff],
        ] {
            // After every number of flights, to either side, until it fails.
            for (flights, to_server) in (0..4).flat_map(|flights| [(flights, false), (flights, true)]) {
                let mut pair = Pair::new(&client, &server);
                for _ in 0..flights {
                    let (to_server, to_client) = (&mut pair.to_server, &mut pair.to_client);
                    pair.server.read(&std::mem::take(to_server), &mut Vec::new(), to_client).unwrap();
                    pair.client.read(&std::mem::take(to_client), &mut Vec::new(), to_server).unwrap();
                }
                let (hit, other, mut out) = if to_server {
                    (&mut pair.server, &mut pair.client, std::mem::take(&mut pair.to_client))
                } else {
                    (&mut pair.client, &mut pair.server, std::mem::take(&mut pair.to_server))
                };
                let failed = (0..40).any(|_| hit.read(injected, &mut Vec::new(), &mut out).is_err());
                let _ = other.read(&out, &mut Vec::new(), &mut Vec::new());
                completed += u32::from(failed && other.handshake_complete());
                let place = format!("{which}, {injected:?} after {flights} to the server: {to_server}");
                assert!(!failed || !other.peer_closed(), "{place}");
            }
        }
    }
    assert!(completed > 10, "the other side is through in {completed}");
}
