//! Ends, and what may be done when.

use super::*;
use crate::record::ContentType;
use crate::{AlertDescription, ExportError, Truncated, WriteError};

#[test]
fn close_notify_both_ways() {
    let (mut client, mut server) = connected(1);
    assert_eq!(client.end_of_input(), Err(Truncated));
    let mut goodbye = Vec::new();
    client.close(&mut goodbye);
    assert_eq!(records(&goodbye).len(), 1);
    // Once.
    let length = goodbye.len();
    client.close(&mut goodbye);
    assert_eq!(goodbye.len(), length);
    assert_eq!(client.write(b"x", &mut goodbye), Err(WriteError::Closed));
    // What the server had written before it heard of it is still read.
    let mut late = Vec::new();
    server.write(b"late", &mut late).unwrap();
    assert_eq!(client.take(&late).plaintext, b"late");
    assert!(!client.peer_closed());

    let answer = server.take(&goodbye).quiet();
    assert!(server.peer_closed());
    assert_eq!(server.end_of_input(), Ok(()));
    assert_eq!(records(&answer).len(), 1);
    // RFC 5246 § 7.2.1: pending writes are discarded.
    assert_eq!(server.write(b"x", &mut Vec::new()), Err(WriteError::Closed));
    assert_eq!(client.take(&answer).quiet(), []);
    assert!(client.peer_closed());
    assert_eq!(client.end_of_input(), Ok(()));
}

/// RFC 5246 § 7.2.1: "Any data received after a closure alert is ignored."
#[test]
fn what_comes_after_close_notify_is_ignored() {
    let (mut client, mut server) = connected(1);
    let mut wire = Vec::new();
    client.close(&mut wire);
    let more = sealed!(client, ContentType::ApplicationData, b"more");
    wire.extend(more);
    wire.extend([99; 50]);
    let _ = server.take(&wire).quiet();
    assert_eq!(server.take(&[99; 50]).quiet(), []);
    assert!(server.peer_closed());
}

#[test]
fn m15_an_end_without_close_notify_is_a_truncation() {
    let (mut client, mut server) = connected(1);
    let mut data = Vec::new();
    client.write(b"half of it", &mut data).unwrap();
    assert_eq!(server.take(&data).plaintext, b"half of it");
    assert_eq!(server.end_of_input(), Err(Truncated));
    // In the handshake, in the middle of a record, and after this side's own close_notify too.
    assert_eq!(super::server(1).end_of_input(), Err(Truncated));
    let _ = server.take(&data[..7]).quiet();
    assert_eq!(server.end_of_input(), Err(Truncated));
    server.close(&mut Vec::new());
    assert_eq!(server.end_of_input(), Err(Truncated));
    // A fault is no clean end either.
    let _ = client.take(&[99; 5]);
    assert_eq!(client.end_of_input(), Err(Truncated));
}

/// Before Finished anyone can send close_notify, so there it is no end of data.
#[test]
fn close_notify_during_the_handshake_is_no_clean_end() {
    let mut server = server(1);
    let output = server.take(&plain(21, &[1, 0]));
    assert_eq!(output.result, Err(Error::AlertReceived(AlertDescription::CloseNotify)));
    assert!(output.records.is_empty());
    assert!(!server.peer_closed());
    assert_eq!(server.end_of_input(), Err(Truncated));
}

#[test]
fn closing_during_the_handshake_ends_the_session() {
    let mut client = client(1);
    let hello = client.take(&[]).quiet();
    let mut out = Vec::new();
    client.close(&mut out);
    assert_eq!(out, plain(21, &[1, 0]));
    assert_eq!(client.take(&hello).result, Err(Error::Closed));
    // Before the first word there is no need for a last one.
    let mut client = super::client(1);
    let mut out = Vec::new();
    client.close(&mut out);
    assert!(out.is_empty());
    let output = client.take(&[]);
    assert_eq!(output.result, Err(Error::Closed));
    assert!(output.records.is_empty());
}

#[test]
fn nothing_is_written_before_the_peer_is_authenticated() {
    let (mut client, mut server) = (client(1), server(1));
    let refused = |client: &mut ClientSession, server: &mut ServerSession, which: &str| {
        let mut out = Vec::new();
        if which.contains('c') {
            assert_eq!(client.write(b"x", &mut out), Err(WriteError::Handshaking));
        }
        if which.contains('s') {
            assert_eq!(server.write(b"x", &mut out), Err(WriteError::Handshaking));
        }
        assert!(out.is_empty());
    };
    refused(&mut client, &mut server, "cs");
    let hello = client.take(&[]).quiet();
    refused(&mut client, &mut server, "cs");
    let flight = server.take(&hello).quiet();
    refused(&mut client, &mut server, "cs");
    let answer = client.take(&flight).quiet();
    // The client has keys now, and the server has not proved anything.
    refused(&mut client, &mut server, "cs");
    let last = server.take(&answer).quiet();
    refused(&mut client, &mut server, "c");
    let _ = client.take(&last).quiet();
    assert!(client.write(b"x", &mut Vec::new()).is_ok());
}

#[test]
fn writing_nothing_sends_nothing() {
    let (mut client, _) = connected(1);
    let mut out = Vec::new();
    client.write(b"", &mut out).unwrap();
    assert!(out.is_empty());
}

#[test]
fn exporters_agree_and_depend_on_session_label_and_context() {
    let export = |client: &ClientSession, server: &ServerSession, label: &[u8], context| {
        let (mut ours, mut theirs) = ([0; 32], [0; 32]);
        client.export_keying_material(&mut ours, label, context).unwrap();
        server.export_keying_material(&mut theirs, label, context).unwrap();
        assert_eq!(ours, theirs);
        ours
    };
    let (client, server) = connected(1);
    let (other_client, other_server) = connected(2);
    let label = b"EXPORTER-Channel-Binding";
    let all = std::collections::BTreeSet::from([
        export(&client, &server, label, None),
        export(&client, &server, label, Some(b"")),
        export(&client, &server, label, Some(b"context")),
        export(&client, &server, b"EXPORTER-other", Some(b"")),
        export(&other_client, &other_server, label, Some(b"")),
    ]);
    assert_eq!(all.len(), 5);
}

#[test]
fn exporter_limits() {
    let (client, server) = (client(1), server(1));
    let mut out = [7; 4];
    let label = b"EXPORTER-x";
    let refused = client.export_keying_material(&mut out, label, None);
    assert_eq!(refused, Err(ExportError::NotConnected));
    let refused = server.export_keying_material(&mut out, label, None);
    assert_eq!(refused, Err(ExportError::NotConnected));
    let (mut client, mut server) = connected(1);
    let refused = client.export_keying_material(&mut out, b"key expansion", None);
    assert_eq!(refused, Err(ExportError::ReservedLabel));
    let context = vec![0; 65536];
    let refused = client.export_keying_material(&mut out, label, Some(&context));
    assert_eq!(refused, Err(ExportError::ContextTooLong));
    assert_eq!(out, [7; 4]);
    let accepted = client.export_keying_material(&mut out, label, Some(&context[1..]));
    assert_eq!(accepted, Ok(()));
    // Both sides have closed: the secret is gone.
    let mut wire = Vec::new();
    client.close(&mut wire);
    assert!(client.export_keying_material(&mut out, label, None).is_ok());
    let _ = server.take(&wire).quiet();
    let refused = server.export_keying_material(&mut out, label, None);
    assert_eq!(refused, Err(ExportError::NotConnected));
}
