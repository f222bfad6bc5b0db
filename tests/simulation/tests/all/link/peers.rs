//! The main paths between peers.

use xtls::link::PeerLink;
use xtls::{CloseReason, EndedBy, link::Stage, trust::Authentication};
use xtls_stanza::Method;
use xtls_testkit::{LinkPair, SIDES};

use super::common::{I, R, bodies, clear, closed, friends, message, password, pinned, secured};

fn talk(pair: &mut LinkPair) {
    for side in SIDES {
        pair.with(side, |link, now| link.send(now, &message("But soft!"))).unwrap();
        pair.run();
    }
    for side in SIDES {
        assert_eq!(bodies(&pair.take_events(side)), ["But soft!"]);
    }
    pair.with(I, PeerLink::close);
    pair.run();
    for (side, by) in [(I, EndedBy::Local), (R, EndedBy::Remote)] {
        let closed = closed(pair, side);
        assert!(matches!(closed.reason, CloseReason::Done) && closed.by == by, "{closed:?}");
        assert_eq!(pair.link(side).stage(), Stage::Ended);
    }
}

#[test]
fn peers_that_have_pinned_one_another_talk() {
    let mut pair = friends(1);
    pair.connect(pinned());
    let bindings = SIDES.map(|side| pair.link(side).channel_binding().unwrap());
    assert_eq!(bindings[0], bindings[1]);
    for side in SIDES {
        let security = secured(&mut pair, side);
        assert_eq!((security.method, security.authenticated_by), (Method::X509, Authentication::Pinned));
        assert!(security.confirmed && pair.record(side).secured_before());
        assert!(!clear(pair.sent(side)).contains("message"));
    }
    talk(&mut pair);
}

#[test]
fn peers_that_share_a_password_talk() {
    let mut pair = LinkPair::new(1);
    pair.connect(password("wherefore"));
    for side in SIDES {
        let security = secured(&mut pair, side);
        assert_eq!((security.method, security.authenticated_by), (Method::Srp, Authentication::Password));
    }
    talk(&mut pair);
}
