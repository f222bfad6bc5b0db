//! What the tests of links share.

use xtls::link::{LinkClosed, LinkEvent};
use xtls::{CloseReason, Fault, Password, Security, Terms, TrustPolicy, event::Side};
use xtls_stanza::{Element, ns};
use xtls_testkit::LinkPair;

pub(crate) const I: Side = Side::Initiator;
pub(crate) const R: Side = Side::Responder;

pub(crate) fn pinned() -> Terms {
    Terms::new(TrustPolicy::Pinned)
}

pub(crate) fn password(text: &str) -> Terms {
    pinned().with_password(Password::new(text).unwrap())
}

/// Two ends that have pinned one another.
pub(crate) fn friends(seed: u8) -> LinkPair {
    let mut pair = LinkPair::new(seed);
    pair.trust(I);
    pair.trust(R);
    pair
}

pub(crate) fn message(body: &str) -> Element {
    Element::builder("message", ns::CLIENT).open("body", ns::CLIENT).text(body).close().build().unwrap()
}

/// How an end was secured; it must be open.
pub(crate) fn secured(pair: &mut LinkPair, side: Side) -> Box<Security> {
    let mut security = None;
    let mut opened = false;
    for event in pair.take_events(side) {
        match event {
            LinkEvent::Secured { security: found } => {
                assert!(security.is_none() && !opened, "once, and first");
                security = Some(found);
            }
            LinkEvent::StreamOpened => opened = true,
            LinkEvent::Incoming { .. } | LinkEvent::PasswordRequired | LinkEvent::TrustRequired { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(opened, "{pair:?}");
    security.unwrap()
}

/// How an end's link ended; nothing of the peer's may have come before.
pub(crate) fn closed(pair: &mut LinkPair, side: Side) -> LinkClosed {
    let mut events = pair.take_events(side);
    let Some(LinkEvent::Closed(closed)) = events.pop() else { panic!("it goes on: {events:?} {pair:?}") };
    assert!(
        !events.iter().any(|event| matches!(event, LinkEvent::Stanza { .. } | LinkEvent::Nonza(_))),
        "nothing is handed on: {events:?}"
    );
    closed
}

/// The fault that ended an end's link.
pub(crate) fn fault(pair: &mut LinkPair, side: Side) -> Fault {
    match closed(pair, side).reason {
        CloseReason::Fault(fault) => *fault,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn bodies(events: &[LinkEvent]) -> Vec<String> {
    let of = |event: &LinkEvent| match event {
        LinkEvent::Stanza { stanza } => stanza.root().child("body", ns::CLIENT).map(|body| body.text()),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

/// What is in clear at the beginning of what an end has sent: all before the first TLS record.
pub(crate) fn clear(bytes: &[u8]) -> String {
    let tls = bytes.windows(3).position(|window| window[0] == 22 && window[1] == 3 && window[2] <= 3);
    String::from_utf8(bytes[..tls.unwrap_or(bytes.len())].to_vec()).unwrap()
}
