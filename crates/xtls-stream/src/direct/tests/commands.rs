//! Every stage of either side with every command.

use super::*;
use crate::StreamCondition;

/// The commands, in the order of the columns: the outcome, `-` for success.
fn run(side: &mut Side, command: usize) -> String {
    let stanza = element("<message xmlns='jabber:client'/>");
    let auth = element("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    let (stream, out) = (&mut side.stream, &mut side.out);
    let show = |error: &dyn core::fmt::Debug| format!("{error:?}");
    let result = match command {
        0 => stream.start(out).map_err(|error| show(&error)),
        1 => stream.send_features(&Features::default(), out).map_err(|error| show(&error)),
        2 => stream.start_tls(None, out).map_err(|error| show(&error)),
        3 => stream.proceed(None, out).map_err(|error| show(&error)),
        4 => stream.refuse(out).map_err(|error| show(&error)),
        5 => stream.secured(out).map_err(|error| show(&error)),
        6 => stream.send(&stanza, out).map_err(|error| show(&error)),
        7 => stream.send_nonza(&auth, out).map_err(|error| show(&error)),
        8 => stream.restart(out).map_err(|error| show(&error)),
        9 => stream.keep_alive(out).map_err(|error| show(&error)),
        10 => stream.close(out).map_err(|error| show(&error)),
        _ => stream.fail(&StreamCondition::Reset.into(), &mut side.ids, out).map_err(|error| show(&error)),
    };
    result.err().unwrap_or_else(|| "-".to_owned())
}

#[track_caller]
fn row(stage: DirectStage, make: impl Fn() -> Side, expected: &str) {
    let mut found = Vec::new();
    for command in 0..12 {
        let mut side = make();
        side.written();
        assert_eq!(side.stream.stage(), stage);
        let outcome = run(&mut side, command);
        // Whoever is refused has changed nothing and written nothing.
        if outcome != "-" {
            assert_eq!((side.stream.stage(), side.written()), (stage, String::new()), "{stage:?} {command}");
        }
        found.push(outcome);
    }
    assert_eq!(found.join(" "), expected, "{stage:?}");
}

fn client(to: DirectStage, change: fn(&mut StreamOptions)) -> Side {
    let mut side = Side::client(change);
    if to == DirectStage::Start {
        return side;
    }
    side.does(DirectStream::start);
    if to == DirectStage::Header {
        return side;
    }
    side.handle(SERVER_HEADER);
    if to == DirectStage::Features {
        return side;
    }
    side.handle(if side.stream.is_secured() { NO_FEATURES } else { TLS_REQUIRED });
    if matches!(to, DirectStage::Asked | DirectStage::Tls) {
        side.does(|stream, out| stream.start_tls(None, out));
    }
    if to == DirectStage::Tls {
        side.handle(PROCEED);
    }
    if to == DirectStage::Closing {
        side.does(DirectStream::close);
    }
    if to == DirectStage::Failed {
        side.fails("<!---->");
    }
    if to == DirectStage::Closed {
        side.handle(END);
    }
    side
}

fn server(to: DirectStage, change: fn(&mut StreamOptions)) -> Side {
    let mut side = Side::server(change);
    if to == DirectStage::Start {
        return side;
    }
    side.handle(CLIENT_HEADER);
    side.written();
    if to == DirectStage::Features {
        return side;
    }
    side.does(|stream, out| stream.send_features(&Features::default(), out));
    if matches!(to, DirectStage::Asked | DirectStage::Tls) {
        side.handle(STARTTLS);
    }
    if to == DirectStage::Tls {
        side.does(|stream, out| stream.proceed(None, out));
    }
    if to == DirectStage::Closing {
        side.does(DirectStream::close);
    }
    if to == DirectStage::Failed {
        side.fails("<!---->");
    }
    if to == DirectStage::Closed {
        side.handle(END);
    }
    side
}

#[rustfmt::skip]
#[test]
fn commands_of_the_initiating_entity() {
    use DirectStage::{Asked, Closed, Closing, Failed, Features, Header, Open, Start, Tls};
    // start features start_tls proceed refuse secured | send nonza restart keep_alive close fail
    row(Start, || client(Start, |_| {}), "- NotOpen Stage Role Role Stage NotOpen NotOpen Stage Stage Stage Stage");
    row(Header, || client(Header, |_| {}), "Stage NotOpen Stage Role Role Stage NotOpen NotOpen Stage Stage - -");
    row(Features, || client(Features, |_| {}), "Stage NotOpen Stage Role Role Stage NotOpen NotOpen Stage - - -");
    row(Open, || client(Open, |_| {}), "Stage NotOpen - Role Role Stage TlsRequired TlsRequired TlsRequired - - -");
    row(Open, || client(Open, secured), "Stage NotOpen NoTls Role Role Stage - - - - - -");
    row(Asked, || client(Asked, |_| {}), "Stage NotOpen Stage Role Role Stage NotOpen NotOpen Stage Stage - -");
    row(Tls, || client(Tls, |_| {}), "Stage NotOpen Stage Role Role - NotOpen NotOpen Stage Stage Stage Stage");
    for stage in [Closing, Closed, Failed] {
        row(stage, || client(stage, secured), "Stage NotOpen Stage Role Role Stage NotOpen NotOpen Stage Stage Stage Stage");
    }
}

#[rustfmt::skip]
#[test]
fn commands_of_the_receiving_entity() {
    use DirectStage::{Asked, Closed, Closing, Failed, Features, Open, Start, Tls};
    // start features start_tls proceed refuse secured | send nonza restart keep_alive close fail
    row(Start, || server(Start, |_| {}), "Role NotOpen Role Stage Stage Stage NotOpen NotOpen Stage Stage Stage -");
    row(Features, || server(Features, |_| {}), "Role - Role Stage Stage Stage NotOpen NotOpen Stage - - -");
    row(Open, || server(Open, |_| {}), "Role NotOpen Role Stage Stage Stage TlsRequired TlsRequired TlsRequired - - -");
    row(Open, || server(Open, secured), "Role NotOpen Role Stage Stage Stage - - - - - -");
    row(Asked, || server(Asked, |_| {}), "Role NotOpen Role - - Stage NotOpen NotOpen Stage Stage - -");
    row(Tls, || server(Tls, |_| {}), "Role NotOpen Role Stage Stage - NotOpen NotOpen Stage Stage Stage Stage");
    for stage in [Closing, Closed, Failed] {
        row(stage, || server(stage, secured), "Role NotOpen Role Stage Stage Stage NotOpen NotOpen Stage Stage Stage Stage");
    }
}

/// What belongs to the stream itself is not the caller's to send.
#[test]
fn only_nonzas_are_sent_as_nonzas_and_stanzas_as_stanzas() {
    for xml in [
        STARTTLS,
        PROCEED,
        FAILURE,
        "<x xmlns='http://etherx.jabber.org/streams'/>",
        "<x xmlns='jabber:client'/>",
        "<x/>",
    ] {
        let mut side = client(DirectStage::Open, secured);
        let sent = side.stream.send_nonza(&element(xml), &mut side.out);
        assert_eq!((sent, side.out.len()), (Err(StreamSendError::Reserved), 0), "{xml}");
        let sent = side.stream.send(&element(xml), &mut side.out);
        assert_eq!((sent, side.out.len()), (Err(StreamSendError::NotAStanza), 0), "{xml}");
    }
}
