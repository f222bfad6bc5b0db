//! Every message in every state of both sides: the whole table, cell by cell.

use super::*;
use crate::record::ContentType;
use crate::{AuthenticationFailed, PeerMisbehaved};

/// What can happen, one letter to a cell.
///
/// - `>` the handshake goes on to the next column
/// - `.` nothing happens: ignored, or counted
/// - `d` plaintext is delivered
/// - `n` answered with the warning no_renegotiation
/// - `c` answered with close_notify: the session is over
/// - `C` the session is over, and there is no answer
/// - `X` the session dies, the peer gets unexpected_message (10)
/// - `x` the session dies, the peer gets nothing, as this side has said goodbye already
/// - `K` the session dies, the peer gets bad_record_mac (20): what the record protection does not know
/// - `D` the session dies, the peer gets decode_error (50)
/// - `R` the session dies of [`AuthenticationFailed::Refused`], without an answer
/// - `A` the session dies of the alert that was received, without an answer
/// - `E` the session is dead already and says why again
fn outcome(before: &str, after: Option<&str>, output: &Output, protected: bool) -> char {
    let alert = |number: u8| {
        if protected {
            let sent = output.result.err().and_then(|error| error.alert());
            output.records.len() == 57 && output.records[0] == 21 && sent == Some(number.into())
        } else {
            output.records == fatal(number)
        }
    };
    let nothing = output.records.is_empty() && output.plaintext.is_empty();
    match output.result {
        Ok(()) if !output.plaintext.is_empty() && output.records.is_empty() => 'd',
        Ok(()) if after == Some("Closed") && before != "Closed" && nothing => 'C',
        Ok(()) if after == Some("Closed") && before != "Closed" => 'c',
        Ok(()) if after != Some(before) => '>',
        Ok(()) if nothing => '.',
        Ok(()) if output.records.len() == 57 => 'n',
        Err(_) if before == "Dead" && nothing => 'E',
        Err(error) if error.alert().is_some() && nothing => 'x',
        Err(Error::PeerMisbehaved(PeerMisbehaved::BadRecordMac)) if alert(20) => 'K',
        Err(Error::AuthenticationFailed(AuthenticationFailed::Password)) if alert(20) => 'K',
        Err(Error::AuthenticationFailed(AuthenticationFailed::Refused)) if nothing => 'R',
        Err(Error::AlertReceived(_)) if nothing => 'A',
        Err(Error::PeerMisbehaved(_)) if alert(10) => 'X',
        Err(Error::Decode(_)) if alert(50) => 'D',
        _ => panic!("in {before}: {output:?}"),
    }
}

#[derive(Clone, Copy, Debug)]
enum Input {
    Handshake(u8),
    ChangeCipherSpec(&'static [u8]),
    Data(&'static [u8]),
    Alert(&'static [u8]),
}
use Input::{Alert, ChangeCipherSpec, Data, Handshake};

impl Input {
    fn content_type(self) -> ContentType {
        match self {
            Handshake(_) => ContentType::Handshake,
            ChangeCipherSpec(_) => ContentType::ChangeCipherSpec,
            Data(_) => ContentType::ApplicationData,
            Alert(_) => ContentType::Alert,
        }
    }
}

/// The messages that an honest handshake of these two sessions had so far, by number.
type Samples = std::collections::BTreeMap<u8, Vec<u8>>;

struct Rig {
    client: ClientSession,
    server: ServerSession,
    samples: Samples,
    /// The genuine Finished, already sealed.
    finished: Vec<u8>,
}

const SERVER_COLUMNS: [&str; 7] =
    ["ClientHello", "ClientKeyExchange", "ChangeCipherSpec", "Finished", "Over", "HalfClosed", "Closed"];

const CLIENT_COLUMNS: [&str; 9] = [
    "Start",
    "ServerHello",
    "ServerKeyExchange",
    "ServerHelloDone",
    "ChangeCipherSpec",
    "Finished",
    "Over",
    "HalfClosed",
    "Closed",
];

fn rig() -> Rig {
    Rig { client: client(3), server: server(3), samples: Samples::new(), finished: Vec::new() }
}

impl Rig {
    fn learn(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let messages = messages(bytes);
        for message in &messages {
            self.samples.insert(message[0], message.clone());
        }
        messages
    }

    /// A client that is in this state.
    fn client_in(state: &str) -> Self {
        let mut rig = rig();
        if state == "Start" {
            return rig;
        }
        let hello = rig.client.take(&[]).quiet();
        rig.learn(&hello);
        let flight = rig.server.take(&hello).quiet();
        let place = CLIENT_COLUMNS.iter().position(|name| *name == state);
        let place = place.unwrap_or(7);
        for message in rig.learn(&flight).iter().take(place - 1) {
            let out = rig.client.take(&plain(22, message)).quiet();
            if !out.is_empty() {
                rig.learn(&out);
                let answer = records(&rig.server.take(&out).quiet());
                rig.finished = answer[1].clone();
            }
        }
        if place >= 5 {
            rig.client.take(&plain(20, &[1])).quiet();
        }
        if place == 5 {
            rig.server.inner().parts().0.sealer.as_mut().unwrap().set_used(0, 0);
        }
        if place >= 6 {
            let finished = rig.finished.clone();
            rig.client.take(&finished).quiet();
        }
        match state {
            "HalfClosed" => rig.client.close(&mut Vec::new()),
            "Closed" => {
                let mut goodbye = Vec::new();
                rig.server.close(&mut goodbye);
                let _ = rig.client.take(&goodbye).quiet();
            }
            "Dead" => assert!(rig.client.take(&[99; 5]).result.is_err()),
            _ => {}
        }
        rig
    }

    /// A server that is in this state.
    fn server_in(state: &str) -> Self {
        let mut rig = rig();
        let hello = rig.client.take(&[]).quiet();
        rig.learn(&hello);
        let place = SERVER_COLUMNS.iter().position(|name| *name == state);
        let place = place.unwrap_or(4);
        if place >= 1 {
            let flight = rig.server.take(&hello).quiet();
            rig.learn(&flight);
            let answer = rig.client.take(&flight).quiet();
            rig.learn(&answer);
            let answer = records(&answer);
            rig.finished = answer[2].clone();
            if place <= 3 {
                rig.client.inner().parts().0.sealer.as_mut().unwrap().set_used(0, 0);
            }
            for record in answer.iter().take(place - 1) {
                let _ = rig.server.take(record).quiet();
            }
        }
        match state {
            "HalfClosed" => rig.server.close(&mut Vec::new()),
            "Closed" => {
                let mut goodbye = Vec::new();
                rig.client.close(&mut goodbye);
                let _ = rig.server.take(&goodbye).quiet();
            }
            "Dead" => assert!(rig.server.take(&[99; 5]).result.is_err()),
            _ => {}
        }
        rig
    }

    fn fragment(&self, input: Input) -> Vec<u8> {
        match input {
            Handshake(number) => match self.samples.get(&number) {
                Some(message) => message.clone(),
                None if number == 2 => {
                    let suite = crate::CipherSuite::TlsSrpShaWithAes128CbcSha;
                    let mut hello = Vec::new();
                    let random = [5; 32];
                    crate::message::ServerHello { random, suite }.put(&mut hello);
                    hello
                }
                None if number == 16 => message(16, &[0, 1, 2]),
                None if number == 20 => message(20, &[0; 12]),
                None => message(number, &[]),
            },
            ChangeCipherSpec(bytes) | Data(bytes) | Alert(bytes) => bytes.to_vec(),
        }
    }
}

/// The name of a column for a session that is alive.
macro_rules! state {
    ($session:expr) => {{
        let (common, role) = $session.inner().parts();
        match role.state() {
            "Over" if common.closed_by_peer => "Closed",
            "Over" if common.closed_by_us => "HalfClosed",
            state => state,
        }
    }};
}

macro_rules! enumerate {
    ($receiver:ident, $sender:ident, $rig:expr, $columns:expr, $table:expr) => {
        let columns: Vec<&str> = $columns.into_iter().chain(["Dead"]).collect();
        let mut cells = 0;
        for (input, row) in $table {
            let expected: Vec<char> = row.chars().filter(|c| !c.is_whitespace()).collect();
            assert_eq!(expected.len(), columns.len(), "{input:?}");
            for (state, expected) in columns.iter().zip(expected) {
                let mut rig: Rig = $rig(state);
                if *state != "Dead" {
                    assert_eq!(state!(rig.$receiver), *state);
                }
                let fragment = rig.fragment(input);
                let protected = rig.$receiver.inner().parts().0.opener.is_some();
                let record = match input {
                    Handshake(20) if *state == "Finished" => rig.finished.clone(),
                    // Not protected whatever the state.
                    ChangeCipherSpec(_) => plain(20, &fragment),
                    _ if protected => sealed!(rig.$sender, input.content_type(), &fragment),
                    _ => plain(input.content_type().number(), &fragment),
                };
                // A client in `Start` speaks before it listens.
                let mut output = rig.$receiver.take(&record);
                if *state == "Start" {
                    let hello = records(&output.records)[0].len();
                    output.records.drain(..hello);
                }
                let after = output.result.is_ok().then(|| state!(rig.$receiver));
                let before = if *state == "Start" { "ServerHello" } else { state };
                let sealer = rig.$receiver.inner().parts().0.sealer.is_some();
                let sealed_alert = sealer || (output.result.is_err() && output.records.len() == 57);
                let seen = outcome(before, after, &output, sealed_alert);
                assert_eq!(seen, expected, "{input:?} in {state}: {output:?}");
                if seen == '>' {
                    let next = columns.iter().position(|name| *name == before).unwrap() + 1;
                    assert_eq!(after, Some(columns[next]), "{input:?} in {state}");
                }
                cells += 1;
            }
        }
        assert_eq!(cells, columns.len() * $table.len());
    };
}

#[test]
fn every_message_in_every_state_of_the_client() {
    // Columns: Start, ServerHello, ServerKeyExchange, ServerHelloDone, ChangeCipherSpec, Finished, connected, closed by
    // this side, closed by both, dead.
    let table = [
        (Handshake(0), ". . . . . X n . . E"),  // HelloRequest
        (Handshake(1), "X X X X X X X x . E"),  // ClientHello
        (Handshake(2), "> > X X X X X x . E"),  // ServerHello
        (Handshake(4), "X X X X X X X x . E"),  // NewSessionTicket
        (Handshake(11), "X X X X X X X x . E"), // Certificate
        (Handshake(12), "X X > X X X X x . E"), // ServerKeyExchange
        (Handshake(13), "X X X X X X X x . E"), // CertificateRequest
        (Handshake(14), "X X X > X X X x . E"), // ServerHelloDone
        (Handshake(15), "X X X X X X X x . E"), // CertificateVerify
        (Handshake(16), "X X X X X X X x . E"), // ClientKeyExchange
        (Handshake(20), "X X X X X > X x . E"), // Finished
        (Handshake(22), "X X X X X X X x . E"), // CertificateStatus
        (Handshake(99), "X X X X X X X x . E"), // no such message
        (ChangeCipherSpec(&[1]), "X X X X > X X x . E"),
        (ChangeCipherSpec(&[2]), "X X X X X X X x . E"),
        (ChangeCipherSpec(&[1, 1]), "X X X X X X X x . E"),
        (ChangeCipherSpec(&[]), "X X X X X X X x . E"),
        (Data(b"data"), "X X X X X X d d . E"),
        (Data(b""), "X X X X X X . . . E"),
        (Alert(&[1, 0]), "A A A A A A c C . E"),   // close_notify
        (Alert(&[1, 90]), ". . . . . . . . . E"),  // a warning
        (Alert(&[2, 40]), "A A A A A A A A . E"),  // handshake_failure
        (Alert(&[2, 20]), "R R R R R R A A . E"),  // bad_record_mac
        (Alert(&[2, 80]), "R R R R R R A A . E"),  // internal_error
        (Alert(&[2, 115]), "R R R R R R A A . E"), // unknown_psk_identity
        (Alert(&[3, 0]), "D D D D D D D x . E"),
    ];
    enumerate!(client, server, Rig::client_in, CLIENT_COLUMNS, table);
}

#[test]
fn every_message_in_every_state_of_the_server() {
    // Columns: ClientHello, ClientKeyExchange, ChangeCipherSpec, Finished, connected, closed by this side, closed by both,
    // dead.
    let table = [
        (Handshake(0), "X X X X X x . E"),  // HelloRequest
        (Handshake(1), "> X X X n . . E"),  // ClientHello
        (Handshake(2), "X X X X X x . E"),  // ServerHello
        (Handshake(4), "X X X X X x . E"),  // NewSessionTicket
        (Handshake(11), "X X X X X x . E"), // Certificate
        (Handshake(12), "X X X X X x . E"), // ServerKeyExchange
        (Handshake(13), "X X X X X x . E"), // CertificateRequest
        (Handshake(14), "X X X X X x . E"), // ServerHelloDone
        (Handshake(15), "X X X X X x . E"), // CertificateVerify
        (Handshake(16), "X > X X X x . E"), // ClientKeyExchange
        (Handshake(20), "X X X > X x . E"), // Finished
        (Handshake(22), "X X X X X x . E"), // CertificateStatus
        (Handshake(99), "X X X X X x . E"), // no such message
        (ChangeCipherSpec(&[1]), "X X > X X x . E"),
        (ChangeCipherSpec(&[2]), "X X X X X x . E"),
        (ChangeCipherSpec(&[1, 1]), "X X X X X x . E"),
        (ChangeCipherSpec(&[]), "X X X X X x . E"),
        (Data(b"data"), "X X X X d d . E"),
        (Data(b""), "X X X X . . . E"),
        (Alert(&[1, 0]), "A A A A c C . E"),   // close_notify
        (Alert(&[1, 90]), ". . . . . . . E"),  // a warning
        (Alert(&[2, 40]), "A A A A A A . E"),  // handshake_failure
        (Alert(&[2, 20]), "A A A A A A . E"),  // bad_record_mac
        (Alert(&[2, 80]), "A A A A A A . E"),  // internal_error
        (Alert(&[2, 115]), "A A A A A A . E"), // unknown_psk_identity
        (Alert(&[3, 0]), "D D D D D x . E"),
    ];
    enumerate!(server, client, Rig::server_in, SERVER_COLUMNS, table);
}
