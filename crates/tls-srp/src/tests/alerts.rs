//! Alerts that come in, and renegotiation.

use super::*;
use crate::record::ContentType;
use crate::{AlertDescription, MAX_WARNINGS, PeerMisbehaved};

#[test]
fn p04_warnings_at_the_limit_and_one_past_it() {
    // Unprotected, during the handshake.
    let mut server = server(1);
    for _ in 0..MAX_WARNINGS {
        assert_eq!(server.take(&plain(21, &[1, 90])).quiet(), []);
    }
    died(&server.take(&plain(21, &[1, 90])), PeerMisbehaved::TooManyWarnings, 10);
    // And protected; both count together.
    let (mut client, mut server) = connected(1);
    for number in [90, 100, 41, 112] {
        let warning = sealed!(server, ContentType::Alert, &[1, number]);
        assert_eq!(client.take(&warning).quiet(), []);
    }
    let warning = sealed!(server, ContentType::Alert, &[1, 90]);
    let output = client.take(&warning);
    assert_eq!(output.result, Err(PeerMisbehaved::TooManyWarnings.into()));
}

#[test]
fn a_fatal_alert_ends_the_session_and_is_not_answered() {
    for number in [10, 20, 40, 80, 115, 200] {
        let (mut client, mut server) = connected(1);
        let alert = sealed!(server, ContentType::Alert, &[2, number]);
        let output = client.take(&alert);
        let description = AlertDescription::from(number);
        assert_eq!(output.result, Err(Error::AlertReceived(description)));
        assert!(output.records.is_empty());
        // Nothing works any more.
        assert!(client.write(b"x", &mut Vec::new()).is_err());
        assert!(client.export_keying_material(&mut [0; 4], b"EXPORTER-x", None).is_err());
        let mut out = Vec::new();
        client.close(&mut out);
        assert!(out.is_empty());
    }
}

/// Each fault's alert is fatal, goes out once, and is protected once there are keys.
#[test]
fn one_alert_goes_out() {
    let (mut client, mut server) = connected(1);
    let output = server.take(&[99; 5]);
    assert_eq!(output.records.len(), 57);
    assert_eq!(client.take(&output.records).result, Err(Error::AlertReceived(AlertDescription::UnexpectedMessage)));
    assert!(server.take(&[99; 5]).records.is_empty());
}

#[test]
fn p09_hello_request_is_refused_once_and_then_fatal() {
    let (mut client, mut server) = connected(1);
    let request = sealed!(server, ContentType::Handshake, &message(0, &[]));
    let refusal = client.take(&request).quiet();
    assert_eq!(server.take(&refusal).quiet(), []);
    // The session lives on.
    let mut data = Vec::new();
    client.write(b"still here", &mut data).unwrap();
    assert_eq!(server.take(&data).plaintext, b"still here");
    let request = sealed!(server, ContentType::Handshake, &message(0, &[]));
    let output = client.take(&request);
    assert_eq!(output.result, Err(PeerMisbehaved::RepeatedRenegotiation.into()));
    assert_eq!(server.take(&output.records).result, Err(Error::AlertReceived(AlertDescription::UnexpectedMessage)));
}

#[test]
fn p09_a_second_client_hello_is_refused_once_and_then_fatal() {
    let (mut client, mut server) = connected(1);
    let hello = messages(&super::client(2).take(&[]).quiet()).concat();
    let request = sealed!(client, ContentType::Handshake, &hello);
    let refusal = server.take(&request).quiet();
    assert_eq!(client.take(&refusal).quiet(), []);
    let request = sealed!(client, ContentType::Handshake, &hello);
    let output = server.take(&request);
    assert_eq!(output.result, Err(PeerMisbehaved::RepeatedRenegotiation.into()));
}

/// RFC 5246 § 7.4.1.1: ignored during the handshake, once, and no part of the handshake hash.
#[test]
fn p09_hello_request_during_the_handshake_is_ignored_once() {
    let (mut client, mut server) = (client(1), server(1));
    let hello = client.take(&[]).quiet();
    let request = plain(22, &message(0, &[]));
    assert_eq!(client.take(&request).quiet(), []);
    let flight = server.take(&hello).quiet();
    let answer = client.take(&flight).quiet();
    let last = server.take(&answer).quiet();
    let _ = client.take(&last).quiet();
    assert!(!client.is_handshaking());

    let mut client = super::client(1);
    let _ = client.take(&[]).quiet();
    let _ = client.take(&request).quiet();
    died(&client.take(&request), PeerMisbehaved::RepeatedRenegotiation, 10);
    let mut client = super::client(1);
    let _ = client.take(&[]).quiet();
    let output = client.take(&plain(22, &message(0, &[1])));
    died(&output, crate::DecodeError::TrailingData, 50);
}
