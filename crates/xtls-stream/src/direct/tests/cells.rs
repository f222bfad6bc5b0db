//! Every stage of either side with every kind of input.

use super::*;
use crate::StreamFault;

const AUTH: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
const ERROR: &str = "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
const OFFER: &str = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>";

/// The kinds of input, in the order of the columns.
const INPUTS: [(&str, &str); 13] = [
    ("blank", " "),
    ("header", ""),
    ("feat", NO_FEATURES),
    ("offer", OFFER),
    ("starttls", STARTTLS),
    ("proceed", PROCEED),
    ("failure", FAILURE),
    ("stanza", "<message/>"),
    ("nonza", AUTH),
    ("error", ERROR),
    ("other", "<stream:other/>"),
    ("broken", "<!---->"),
    ("end", END),
];

/// What came of an input: the events in short, and the stage if it changed.
fn outcome(mut side: Side, input: &str, header: &str) -> String {
    let before = side.stream.stage();
    let input = if input.is_empty() { header } else { input };
    let used = side.stream.handle_bytes(input.as_bytes(), &mut side.ids, &mut side.out);
    assert_eq!(used, input.len());
    let mut words = Vec::new();
    while let Some(event) = side.stream.poll_event() {
        words.push(match event {
            DirectEvent::Header(_) => "header".to_owned(),
            DirectEvent::Features(_) => "features".to_owned(),
            DirectEvent::StartTlsRequested { .. } => "requested".to_owned(),
            DirectEvent::StartTls { .. } => "tls".to_owned(),
            DirectEvent::Stanza(_) | DirectEvent::Nonza(_) => "taken".to_owned(),
            DirectEvent::Closed => "closed".to_owned(),
            DirectEvent::Failed(fault) => match fault {
                DirectFault::Stream(StreamFault::Xml(_)) => "!xml".to_owned(),
                DirectFault::Stream(fault) => format!("!{fault:?}"),
                DirectFault::StartTls(fault) => format!("!{fault:?}"),
                DirectFault::Reported(_) => "!reported".to_owned(),
                DirectFault::Addressing
                | DirectFault::FeaturesTwice
                | DirectFault::Unexpected
                | DirectFault::EarlyEnd => {
                    format!("!{fault:?}")
                }
            },
            DirectEvent::Impersonation { .. } | DirectEvent::Misaddressed { .. } => "dropped".to_owned(),
        });
    }
    let after = side.stream.stage();
    // A failed stream is a failed stream.
    assert_eq!(
        after == DirectStage::Failed,
        before == DirectStage::Failed || words.iter().any(|word| word.contains('!'))
    );
    if after != before && after != DirectStage::Failed {
        words.push(format!("→{after:?}"));
    }
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

#[track_caller]
fn row(stage: &str, make: impl Fn() -> Side, header: &str, expected: &[&str; 13]) {
    for ((name, input), expected) in INPUTS.iter().zip(expected) {
        assert_eq!(outcome(make(), input, header), *expected, "{stage}, {name}");
    }
}

fn started(change: impl FnOnce(&mut StreamOptions)) -> Side {
    let mut client = Side::client(change);
    client.does(DirectStream::start);
    client
}

fn answered(change: impl FnOnce(&mut StreamOptions)) -> Side {
    let mut client = started(change);
    client.handle(SERVER_HEADER);
    client
}

fn asked(change: impl FnOnce(&mut StreamOptions)) -> Side {
    let mut client = Side::opened_client(OFFER, change);
    client.does(|stream, out| stream.start_tls(None, out));
    client
}

fn agreed() -> Side {
    let mut client = asked(|_| {});
    client.handle(PROCEED);
    client
}

fn called(change: impl FnOnce(&mut StreamOptions)) -> Side {
    let mut server = Side::server(change);
    server.handle(CLIENT_HEADER);
    server.written();
    server
}

fn requested() -> Side {
    let mut server = Side::opened_server(|_| {});
    server.handle(STARTTLS);
    server
}

fn granted() -> Side {
    let mut server = requested();
    server.does(|stream, out| stream.proceed(None, out));
    server.events();
    server
}

fn then<E: core::fmt::Debug>(
    mut side: Side,
    command: impl FnOnce(&mut DirectStream, &mut Vec<u8>) -> Result<(), E>,
) -> Side {
    side.does(command);
    side
}

fn failed(mut side: Side) -> Side {
    side.fails("<!---->");
    side
}

const INJECTED: [&str; 13] = ["!Injection"; 13];
const NOTHING: [&str; 13] = ["-"; 13];

/// A stanza where a header belongs is a stream of a wrong namespace.
const NO_HEADER: &str = "!Namespace";

#[rustfmt::skip]
#[test]
fn cells_of_the_initiating_entity() {
    let header = SERVER_HEADER;
    // Inside of a stream whose prefix is not bound, what has one is malformed; so are ends of no stream.
    row("Start", || Side::client(|_| {}), header,
        &["-", "!Unexpected", "!xml", "!xml", NO_HEADER, NO_HEADER, NO_HEADER, NO_HEADER, NO_HEADER, "!xml", "!xml", "!xml", "!xml"]);
    for make in [|| started(|_| {}), || started(secured)] {
        row("Header", make, header,
            &["-", "header →Features", "!xml", "!xml", NO_HEADER, NO_HEADER, NO_HEADER, NO_HEADER, NO_HEADER, "!xml", "!xml", "!xml", "!xml"]);
    }
    row("Features", || answered(|_| {}), header,
        &["-", "!xml", "features →Open", "features →Open", "!Unexpected", "!Unexpected", "!Unexpected", "!InClear", "!InClear", "!reported", "!UnsupportedStanza", "!xml", "!EarlyEnd"]);
    row("Features, TLS an offer", || answered(unlocked), header,
        &["-", "!xml", "features →Open", "features →Open", "!Unexpected", "!Unexpected", "!Unexpected", "!Unexpected", "!Unexpected", "!reported", "!UnsupportedStanza", "!xml", "!EarlyEnd"]);
    row("Features, secured", || answered(secured), header,
        &["-", "!xml", "features →Open", "!OfferedAgain", "!Unexpected", "!Unexpected", "!Unexpected", "!Unexpected", "!Unexpected", "!reported", "!UnsupportedStanza", "!xml", "!EarlyEnd"]);
    row("Open", || Side::opened_client(OFFER, |_| {}), header,
        &["-", "!xml", "!FeaturesTwice", "!FeaturesTwice", "!Unexpected", "!Unexpected", "!Unexpected", "!InClear", "!InClear", "!reported", "!UnsupportedStanza", "!xml", "!EarlyEnd"]);
    row("Open, TLS an offer", || Side::opened_client(OFFER, unlocked), header,
        &["-", "!xml", "!FeaturesTwice", "!FeaturesTwice", "!Unexpected", "!Unexpected", "!Unexpected", "taken", "taken", "!reported", "!UnsupportedStanza", "!xml", "closed →Closed"]);
    row("Open, secured", || Side::opened_client(NO_FEATURES, secured), header,
        &["-", "!xml", "!FeaturesTwice", "!FeaturesTwice", "!Unexpected", "!Unexpected", "!Unexpected", "taken", "taken", "!reported", "!UnsupportedStanza", "!xml", "closed →Closed"]);
    row("Asked", || asked(|_| {}), header,
        &["-", "!xml", "!FeaturesTwice", "!FeaturesTwice", "!Unexpected", "tls →Tls", "!Refused", "!InClear", "!InClear", "!reported", "!UnsupportedStanza", "!xml", "!EarlyEnd"]);
    row("Asked, TLS an offer", || asked(unlocked), header,
        &["-", "!xml", "!FeaturesTwice", "!FeaturesTwice", "!Unexpected", "tls →Tls", "!Refused", "!Unexpected", "!Unexpected", "!reported", "!UnsupportedStanza", "!xml", "!EarlyEnd"]);
    row("Tls", agreed, header, &INJECTED);
    row("Closing, never answered", || then(started(|_| {}), DirectStream::close), header,
        &["-", "header", "!xml", "!xml", NO_HEADER, NO_HEADER, NO_HEADER, NO_HEADER, NO_HEADER, "!xml", "!xml", "!xml", "!xml"]);
    row("Closing, in clear", || then(asked(|_| {}), DirectStream::close), header,
        &["-", "!xml", "-", "-", "-", "-", "-", "!InClear", "!InClear", "!reported", "!UnsupportedStanza", "!xml", "closed →Closed"]);
    row("Closing, secured", || then(Side::opened_client(NO_FEATURES, secured), DirectStream::close), header,
        &["-", "!xml", "-", "-", "-", "-", "-", "taken", "taken", "!reported", "!UnsupportedStanza", "!xml", "closed →Closed"]);
    row("Closed", || { let mut side = Side::opened_client(NO_FEATURES, secured); side.handle(END); side }, header, &NOTHING);
    row("Failed", || failed(Side::opened_client(NO_FEATURES, secured)), header, &NOTHING);
}

#[rustfmt::skip]
#[test]
fn cells_of_the_receiving_entity() {
    let header = CLIENT_HEADER;
    for make in [|| Side::server(|_| {}), || then(granted(), DirectStream::secured), || then(Side::opened_server(secured), DirectStream::restart)] {
        row("Start", make, header,
            &["-", "header →Features", "!xml", "!xml", NO_HEADER, NO_HEADER, NO_HEADER, NO_HEADER, NO_HEADER, "!xml", "!xml", "!xml", "!xml"]);
    }
    row("Features", || called(|_| {}), header,
        &["-", "!xml", "!UnsupportedStanza", "!UnsupportedStanza", "!Unexpected", "!Unexpected", "!Unexpected", "!InClear", "!InClear", "!reported", "!UnsupportedStanza", "!xml", "!EarlyEnd"]);
    row("Features, secured", || called(secured), header,
        &["-", "!xml", "!UnsupportedStanza", "!UnsupportedStanza", "!AskedAgain", "!Unexpected", "!Unexpected", "!Unexpected", "!Unexpected", "!reported", "!UnsupportedStanza", "!xml", "!EarlyEnd"]);
    row("Open", || Side::opened_server(|_| {}), header,
        &["-", "!xml", "!UnsupportedStanza", "!UnsupportedStanza", "requested →Asked", "!Unexpected", "!Unexpected", "!InClear", "!InClear", "!reported", "!UnsupportedStanza", "!xml", "!EarlyEnd"]);
    row("Open, TLS an offer", || Side::opened_server(unlocked), header,
        &["-", "!xml", "!UnsupportedStanza", "!UnsupportedStanza", "requested →Asked", "!Unexpected", "!Unexpected", "taken", "taken", "!reported", "!UnsupportedStanza", "!xml", "closed →Closed"]);
    row("Open, without TLS", || Side::opened_server(|options| options.tls = TlsPolicy::Never), header,
        &["-", "!xml", "!UnsupportedStanza", "!UnsupportedStanza", "!AskedUnoffered", "!Unexpected", "!Unexpected", "taken", "taken", "!reported", "!UnsupportedStanza", "!xml", "closed →Closed"]);
    row("Open, secured", || Side::opened_server(secured), header,
        &["-", "!xml", "!UnsupportedStanza", "!UnsupportedStanza", "!AskedAgain", "!Unexpected", "!Unexpected", "taken", "taken", "!reported", "!UnsupportedStanza", "!xml", "closed →Closed"]);
    row("Asked", requested, header, &INJECTED);
    row("Tls", granted, header, &INJECTED);
    row("Closing, refused", || then(requested(), DirectStream::refuse), header,
        &["-", "!xml", "!UnsupportedStanza", "!UnsupportedStanza", "-", "-", "-", "!InClear", "!InClear", "!reported", "!UnsupportedStanza", "!xml", "closed →Closed"]);
    row("Closing, secured", || then(Side::opened_server(secured), DirectStream::close), header,
        &["-", "!xml", "!UnsupportedStanza", "!UnsupportedStanza", "-", "-", "-", "taken", "taken", "!reported", "!UnsupportedStanza", "!xml", "closed →Closed"]);
    row("Closed", || { let mut side = Side::opened_server(secured); side.handle(END); side }, header, &NOTHING);
    row("Failed", || failed(Side::opened_server(secured)), header, &NOTHING);
}
