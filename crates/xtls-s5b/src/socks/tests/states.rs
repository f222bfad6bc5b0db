//! Every state against everything that can come in or be called.
#![allow(clippy::wildcard_enum_match_arm, reason = "a table has the states that matter to a column")]

use super::*;

/// The states of a [`Client`], and how far it has read in each that reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialling {
    Greet,
    Greeted,
    ChoiceBegun,
    Ask,
    Asked,
    ReplyBegun,
    Connected,
    Failed,
}

use Dialling::*;

const DIALLING: [Dialling; 8] = [Greet, Greeted, ChoiceBegun, Ask, Asked, ReplyBegun, Connected, Failed];

fn client_in(state: Dialling) -> Client {
    let mut client = match state {
        Asked | ReplyBegun | Connected => asked(),
        Greet | Greeted | ChoiceBegun | Ask | Failed => Client::new(name()),
    };
    match state {
        Greet | Asked => {}
        Greeted | ChoiceBegun | Ask => {
            client.poll(&mut Vec::new());
            let came: &[u8] = match state {
                ChoiceBegun => &CHOICE[..1],
                Ask => CHOICE,
                _ => &[],
            };
            client.handle_bytes(came).unwrap();
        }
        ReplyBegun => assert_eq!(client.handle_bytes(&reply()[..30]), Ok(30)),
        Connected => assert_eq!(client.handle_bytes(&reply()), Ok(reply().len())),
        Failed => assert_eq!(client.handle_end(), Err(ClientFault::Ended)),
    }
    client
}

/// What it comes to: what was taken or the fault, then what it has to send next.
type ClientCell = (Result<usize, ClientFault>, &'static str);

/// What can happen to a client. Bytes are those of the reply's rest where it has begun to read.
fn client_inputs(state: Dialling) -> Vec<(&'static str, Vec<u8>)> {
    let begun = match state {
        ChoiceBegun => 1,
        ReplyBegun => 30,
        _ => 0,
    };
    let rest = |bytes: &[u8]| bytes.get(begun..).unwrap_or_default().to_vec();
    vec![
        ("nothing", Vec::new()),
        ("the choice", rest(CHOICE)),
        ("the reply", rest(&reply())),
        ("the reply and a byte", [rest(&reply()), vec![0x16]].concat()),
        ("a refusal", refusal(5)),
        ("another version", vec![4]),
    ]
}

fn client_expected(state: Dialling) -> [ClientCell; 7] {
    let failed = |fault| (Err(fault), "");
    let early = failed(ClientFault::Early);
    let ended = failed(ClientFault::Ended);
    match state {
        Greet => [(Ok(0), "greeting"), early, early, early, early, early, ended],
        // A reply begins like a choice of the method 0.
        Greeted => {
            let refusal = failed(ClientFault::Method(5));
            let version = failed(ClientFault::Version(4));
            [(Ok(0), ""), (Ok(2), "request"), early, early, refusal, version, ended]
        }
        ChoiceBegun => {
            let [method, other] = [ClientFault::Method(5), ClientFault::Method(4)].map(failed);
            [(Ok(0), ""), (Ok(1), "request"), early, early, method, other, ended]
        }
        Ask => [(Ok(0), "request"), early, early, early, early, early, ended],
        Asked => {
            let refusal = failed(ClientFault::Refused(ReplyCode::ConnectionRefused));
            let version = failed(ClientFault::Version(4));
            // The choice once more is the beginning of a reply.
            [(Ok(0), ""), (Ok(2), ""), (Ok(47), ""), (Ok(47), ""), refusal, version, ended]
        }
        // In the middle of the address anything goes.
        ReplyBegun => [(Ok(0), ""), (Ok(0), ""), (Ok(17), ""), (Ok(17), ""), (Ok(10), ""), (Ok(1), ""), ended],
        Connected => [(Ok(0), ""), (Ok(0), ""), (Ok(0), ""), (Ok(0), ""), (Ok(0), ""), (Ok(0), ""), (Ok(0), "")],
        // What it failed for is what it says.
        Failed => [(Ok(0), ""), ended, ended, ended, ended, ended, ended],
    }
}

#[test]
fn every_input_in_every_state_of_a_client() {
    for state in DIALLING {
        let expected = client_expected(state);
        for ((name, bytes), (outcome, next)) in client_inputs(state).into_iter().zip(expected) {
            let mut client = client_in(state);
            assert_eq!(client.handle_bytes(&bytes), outcome, "{state:?} × {name}");
            check_client(&mut client, outcome, next, &format!("{state:?} × {name}"));
        }
        let (outcome, next) = expected[6];
        let mut client = client_in(state);
        assert_eq!(client.handle_end().map(|()| 0), outcome, "{state:?} × the end");
        check_client(&mut client, outcome, next, &format!("{state:?} × the end"));
    }
}

fn check_client(client: &mut Client, outcome: Result<usize, ClientFault>, next: &str, cell: &str) {
    let sent = match polled(|out| client.poll(out)) {
        None => "",
        Some(bytes) if bytes == GREETING => "greeting",
        Some(bytes) if bytes == request() => "request",
        Some(other) => panic!("{cell}: {other:?}"),
    };
    assert_eq!(sent, next, "{cell}");
    if outcome.is_err() {
        assert_eq!(client.fault(), outcome.err(), "{cell}");
        assert_eq!(client.handle_bytes(CHOICE), outcome, "{cell}: a fault is for good");
        assert!(!client.is_connected());
    }
}

/// The states of an [`Acceptor`], and how far it has read in each that reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listening {
    New,
    GreetingBegun,
    Choose,
    Chosen,
    RequestBegun,
    Decides,
    Reply,
    Accepted,
    Refused,
}

const LISTENING: [Listening; 9] = [
    Listening::New,
    Listening::GreetingBegun,
    Listening::Choose,
    Listening::Chosen,
    Listening::RequestBegun,
    Listening::Decides,
    Listening::Reply,
    Listening::Accepted,
    Listening::Refused,
];

fn acceptor_in(state: Listening) -> Acceptor {
    let mut acceptor = match state {
        Listening::New | Listening::GreetingBegun | Listening::Choose => Acceptor::new(),
        _ => chosen(),
    };
    let came = match state {
        Listening::New | Listening::Chosen => Vec::new(),
        Listening::GreetingBegun => GREETING[..2].to_vec(),
        Listening::Choose => GREETING.to_vec(),
        Listening::RequestBegun => request()[..30].to_vec(),
        Listening::Decides | Listening::Reply | Listening::Accepted | Listening::Refused => request(),
    };
    assert_eq!(acceptor.handle_bytes(&came), Ok(came.len()));
    match state {
        Listening::Reply | Listening::Accepted => acceptor.accept().unwrap(),
        Listening::Refused => acceptor.refuse().unwrap(),
        _ => {}
    }
    if matches!(state, Listening::Accepted | Listening::Refused) {
        assert!(acceptor.poll(&mut Vec::new()));
    }
    acceptor
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Happens {
    Comes(&'static str),
    Ends,
    Accept,
    Refuse,
}

const HAPPENS: [Happens; 8] = [
    Happens::Comes("greeting"),
    Happens::Comes("request"),
    Happens::Comes("another version"),
    Happens::Comes("the end of what has begun"),
    Happens::Comes("nothing"),
    Happens::Ends,
    Happens::Accept,
    Happens::Refuse,
];

/// What is taken, and what is sent next; or the fault, and the last words.
fn acceptor_expected(state: Listening) -> [&'static str; 8] {
    match state {
        Listening::New => {
            ["3 choice", "Early: none", "Version(4): ", "0 ", "0 ", "Ended: ", "nothing asked", "nothing asked"]
        }
        // The first byte of what comes is the method.
        Listening::GreetingBegun => [
            "NoMethod: none",
            "NoMethod: none",
            "NoMethod: none",
            "1 choice",
            "0 ",
            "Ended: ",
            "nothing asked",
            "nothing asked",
        ],
        Listening::Choose => [
            "Early: none",
            "Early: none",
            "Early: none",
            "0 choice",
            "0 choice",
            "Ended: ",
            "nothing asked",
            "nothing asked",
        ],
        // A greeting is the beginning of a request.
        Listening::Chosen => {
            ["3 ", "47 asked", "Version(4): ", "0 ", "0 ", "Ended: ", "nothing asked", "nothing asked"]
        }
        // In the middle of the name anything is a part of it.
        Listening::RequestBegun => {
            ["3 ", "NotABytestream: 2", "1 ", "17 asked", "0 ", "Ended: ", "nothing asked", "nothing asked"]
        }
        Listening::Decides => {
            ["Early: 1", "Early: 1", "Early: 1", "0 asked", "0 asked", "Ended: ", "0 reply", "Refused: 2"]
        }
        Listening::Reply => {
            ["Early: 1", "Early: 1", "Early: 1", "0 reply", "0 reply", "Ended: ", "nothing asked", "nothing asked"]
        }
        Listening::Accepted => ["0 ", "0 ", "0 ", "0 ", "0 ", "0 ", "nothing asked", "nothing asked"],
        Listening::Refused => {
            ["Refused: ", "Refused: ", "Refused: ", "0 ", "0 ", "Refused: ", "nothing asked", "nothing asked"]
        }
    }
}

#[test]
fn every_input_in_every_state_of_an_acceptor() {
    for state in LISTENING {
        for (happens, expected) in HAPPENS.into_iter().zip(acceptor_expected(state)) {
            let mut acceptor = acceptor_in(state);
            let whole = match state {
                Listening::GreetingBegun => GREETING[2..].to_vec(),
                Listening::RequestBegun => request()[30..].to_vec(),
                _ => Vec::new(),
            };
            let outcome = match happens {
                Happens::Comes("greeting") => acceptor.handle_bytes(GREETING),
                Happens::Comes("request") => acceptor.handle_bytes(&request()),
                Happens::Comes("another version") => acceptor.handle_bytes(&[4]),
                Happens::Comes("the end of what has begun") => acceptor.handle_bytes(&whole),
                Happens::Comes(_) => acceptor.handle_bytes(&[]),
                Happens::Ends => acceptor.handle_end().map(|()| 0),
                Happens::Accept | Happens::Refuse => {
                    let done = if happens == Happens::Accept { acceptor.accept() } else { acceptor.refuse() };
                    if done == Err(NothingAsked) {
                        assert_eq!(expected, "nothing asked", "{state:?} × {happens:?}");
                        continue;
                    }
                    acceptor.fault().map_or(Ok(0), Err)
                }
            };
            let was_asked = acceptor.asked().is_some();
            let next = match polled(|out| acceptor.poll(out)) {
                None if was_asked => "asked".to_owned(),
                None => String::new(),
                Some(bytes) if bytes == CHOICE => "choice".to_owned(),
                Some(bytes) if bytes == [5, 0xFF] => "none".to_owned(),
                Some(bytes) if bytes == reply() => "reply".to_owned(),
                Some(bytes) => {
                    assert_eq!(bytes, refusal(bytes[1]));
                    bytes[1].to_string()
                }
            };
            let cell = match outcome {
                Ok(taken) => format!("{taken} {next}"),
                Err(fault) => format!("{fault:?}: {next}"),
            };
            assert_eq!(cell, expected, "{state:?} × {happens:?}");
            assert_eq!(acceptor.fault(), outcome.err().or_else(|| acceptor.fault()), "{state:?} × {happens:?}");
        }
    }
}
