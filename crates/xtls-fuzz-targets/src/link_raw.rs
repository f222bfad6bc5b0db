//! Links of each type, in both roles, with a stranger at the other end of the connection.

use std::time::Duration;

use xtls::event::Side;
use xtls::link::{ClientTerms, Features, LinkEvent, ServerTerms, ServerTls, StartTlsDialect};
use xtls::{Password, Terms, TrustPolicy};
use xtls_testkit::{LinkPair, SIDES};

use crate::input::Input;

/// No timer is longer.
const LONG: Duration = Duration::from_secs(3600);

const HEADER: &str =
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'";
const FEATURES: &str = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><offer xmlns='urn:xmpp:tmp:c2ctls'><srp/></offer>\
     </starttls></stream:features>";
const ASKS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const PROCEEDS: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

/// The first byte says which end there is and what the stranger has said already, the second how the bytes, which are the
/// rest, are cut; its highest bit, whether events are left alone until the end.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (kind, cut) = (input.byte(), input.byte());
    let bytes = input.rest();
    if cut & 0x80 == 0 {
        hear(kind, usize::from(cut), bytes, false);
    } else {
        // Where TLS has to begin and other bytes follow at once, what came before them is not told, as if it had not been
        // said. So how it ends is compared, and what was written.
        let whole = hear(kind, 0, bytes, true);
        assert_eq!(hear(kind, usize::from(cut & 0x7f), bytes, true), whole, "however it is cut");
    }
}

/// How it ended, if it did, and what was written.
fn hear(kind: u8, cut: usize, bytes: &[u8], ignores_events: bool) -> (Option<String>, Vec<u8>) {
    let (mut pair, side) = start(kind);
    pair.ignore_events(side, ignores_events);
    pair.run();
    for said in prelude(kind) {
        pair.inject(side, said.as_bytes());
        pair.run();
    }
    pair.cut = cut;
    pair.inject(side, bytes);
    let mut end = None;
    for _ in 0..4 {
        pair.run();
        take(&mut pair, side, kind, &mut end);
    }
    if ignores_events {
        pair.ignore_events(side, false);
        for _ in 0..4 {
            pair.run();
            take(&mut pair, side, kind, &mut end);
        }
    }
    let written = pair.sent(side).to_vec();
    // Whoever still waits does not wait for ever; only what is open has no timer.
    assert!(pair.link(side).poll_timeout().is_none() == end.is_some() || is_clear(kind), "{pair:?}");
    pair.run_for(LONG);
    pair.with_any(side, |link, now| link.close(now));
    pair.run_for(LONG);
    pair.cut_off(side);
    let mut later = end.clone();
    take(&mut pair, side, kind, &mut later);
    assert!(later.is_some() && pair.link(side).poll_timeout().is_none(), "it ends: {pair:?}");
    (end, written)
}

/// A link that a connection in clear is good enough for.
const fn is_clear(kind: u8) -> bool {
    kind & 7 == 4
}

fn take(pair: &mut LinkPair, side: Side, kind: u8, end: &mut Option<String>) {
    for event in pair.take_events(side) {
        assert!(end.is_none(), "nothing comes after the end: {event:?}");
        match &event {
            LinkEvent::Secured { .. } | LinkEvent::Confirmed | LinkEvent::ClientAuthenticated { .. } => {
                panic!("a stranger is nobody: {event:?}");
            }
            LinkEvent::Stanza { stanza } if !is_clear(kind) => {
                panic!("a stranger is not heard: {}", stanza.to_xml(""));
            }
            LinkEvent::FeaturesRequired { .. } => {
                let _ = pair.with_server(|link, now| link.send_features(now, &Features::default()));
            }
            LinkEvent::Closed(closed) => {
                let mut reason = format!("{:?}", closed.reason);
                // What it looks like is a guess from what was there when the fault showed.
                if let Some(at) = reason.find("looks_like") {
                    reason.truncate(at);
                }
                *end = Some(reason);
            }
            _ => {}
        }
    }
}

/// One end of a link; there is nothing, or nobody who is heard, at the other.
fn start(kind: u8) -> (LinkPair, Side) {
    let mut pair = LinkPair::new(3);
    for side in SIDES {
        pair.trust(side);
    }
    let mut client = ServerTerms::new(TrustPolicy::Pinned);
    let mut server = ClientTerms::new();
    match kind & 7 {
        kind @ 0..=3 => {
            for side in SIDES {
                pair.tamper(side, Vec::clear);
                if kind >= 2 {
                    pair.config(side).dialect = StartTlsDialect::Xep0035;
                }
            }
            let terms = Terms::new(TrustPolicy::Pinned).with_password(Password::new("wherefore").expect("a password"));
            pair.start(terms.clone(), Some(terms));
            (pair, SIDES[usize::from(kind & 1)])
        }
        kind @ (4 | 5) => {
            client.tls = if kind == 4 { ServerTls::Never } else { ServerTls::Required };
            client.present_certificate = true;
            pair.start_to_server(&client);
            (pair, Side::Initiator)
        }
        kind => {
            pair.name(Side::Responder, "pronto");
            server.direct_tls = kind == 7;
            pair.start_from_client(&server);
            (pair, Side::Responder)
        }
    }
}

/// What the stranger has said, so that any stage is near.
fn prelude(kind: u8) -> Vec<String> {
    let (to, from) = if kind & 1 == 0 || kind & 4 != 0 {
        ("romeo@forza", "juliet@pronto")
    } else {
        ("juliet@pronto", "romeo@forza")
    };
    let (header, answer) = match kind & 7 {
        4 | 5 => (format!("{HEADER} id='1' from='{from}'>"), PROCEEDS),
        6 => (format!("{HEADER} to='pronto'>"), ASKS),
        0 | 2 => (format!("{HEADER} id='1' from='{from}' to='{to}'>{FEATURES}"), PROCEEDS),
        _ => (format!("{HEADER} from='{from}' to='{to}'>"), ASKS),
    };
    match kind >> 3 & 3 {
        0 => vec![],
        1 => vec![header],
        2 if kind & 7 == 5 => vec![header, FEATURES.to_owned(), answer.to_owned()],
        2 => vec![header, answer.to_owned()],
        _ => vec![],
    }
}
