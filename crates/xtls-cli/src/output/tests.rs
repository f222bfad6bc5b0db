#![allow(clippy::unwrap_used)]

use super::*;

fn json(report: &Report<'_>) -> String {
    serde_json::to_string(report).unwrap()
}

#[test]
fn json_objects_have_the_documented_members() {
    assert_eq!(json(&Report::Online { jid: "a@b/c" }), r#"{"event":"online","jid":"a@b/c"}"#);
    assert_eq!(json(&Report::Listening { address: "[::1]:7" }), r#"{"event":"listening","address":"[::1]:7"}"#);
    let (addresses, txt) = (["10.0.0.1".to_owned()], BTreeMap::from([("txtvers".to_owned(), "1".to_owned())]));
    assert_eq!(
        json(&Report::Found { name: "a@b", host: "b.local.", port: 7, addresses: &addresses, txt: &txt }),
        r#"{"event":"found","name":"a@b","host":"b.local.","port":7,"addresses":["10.0.0.1"],"txt":{"txtvers":"1"}}"#
    );
    assert_eq!(json(&Report::StreamOpen { peer: "a@b/c" }), r#"{"event":"stream_open","peer":"a@b/c"}"#);
    assert_eq!(
        json(&Report::Recipient { peer: Some("a@b"), there: true }),
        r#"{"event":"recipient","peer":"a@b","there":true}"#
    );
    assert_eq!(
        json(&Report::Recipient { peer: None, there: false }),
        r#"{"event":"recipient","peer":null,"there":false}"#
    );
    assert_eq!(
        json(&Report::Message { peer: "a@b/c", from: "a@b", name: "a", body: "x\ny" }),
        r#"{"event":"message","peer":"a@b/c","from":"a@b","body":"x\ny"}"#
    );
    assert_eq!(
        json(&Report::NotSent { line: 7, peer: Some("a@b"), message: "why" }),
        r#"{"event":"not_sent","line":7,"peer":"a@b","message":"why"}"#
    );
    assert_eq!(json(&Report::Outside { peer: "a@b/c" }), r#"{"event":"outside","peer":"a@b/c"}"#);
    assert_eq!(
        json(&Report::Throttled(Throttled::new("a@b/c", 7000, Some(70_001), Faster::Auto))),
        r#"{"event":"throttled","peer":"a@b/c","bytes_per_second":7000,"left":70001,"seconds":10}"#
    );
    assert_eq!(
        json(&Report::Throttled(Throttled::new("a@b/c", 7000, None, Faster::Send))),
        r#"{"event":"throttled","peer":"a@b/c","bytes_per_second":7000,"left":null,"seconds":null}"#
    );
    let mut closed = Closed {
        peer: Some("a@b/c"),
        address: None,
        by: "remote",
        reason: "success",
        truncated: false,
        unacked: 3,
        receipt: None,
    };
    assert_eq!(
        json(&Report::Closed(closed)),
        r#"{"event":"closed","peer":"a@b/c","by":"remote","reason":"success","truncated":false,"unacked":3,"receipt":null}"#
    );
    (closed.peer, closed.address) = (None, Some("[::1]:7"));
    assert_eq!(
        json(&Report::Closed(closed)),
        r#"{"event":"closed","peer":null,"address":"[::1]:7","by":"remote","reason":"success","truncated":false,"unacked":3,"receipt":null}"#
    );
    assert_eq!(json(&Report::Error { peer: None, message: "no" }), r#"{"event":"error","peer":null,"message":"no"}"#);
}

#[test]
fn every_event_is_stamped_with_the_time() {
    let stamped = Stamped { time: "2026-01-02T03:04:05.678Z", report: &Report::StreamOpen { peer: "a@b/c" } };
    assert_eq!(
        serde_json::to_string(&stamped).unwrap(),
        r#"{"time":"2026-01-02T03:04:05.678Z","event":"stream_open","peer":"a@b/c"}"#
    );
}

#[test]
fn every_line_about_a_peer_names_it() {
    let peer = "romeo@montague.lit/orchard";
    let closed = Closed {
        peer: Some(peer),
        address: None,
        by: "remote",
        reason: "done",
        truncated: true,
        unacked: 3,
        receipt: None,
    };
    for report in [
        Report::Incoming { peer },
        Report::Redirected { peer, to: "romeo@montague.lit/hall" },
        Report::StreamOpen { peer },
        Report::Recipient { peer: Some(peer), there: true },
        Report::Recipient { peer: Some(peer), there: false },
        Report::Message { peer, from: peer, name: "a", body: "x" },
        Report::Outside { peer },
        Report::Closed(closed),
        Report::Closed(Closed { peer: None, address: Some(peer), ..closed }),
    ] {
        let mut out = Vec::new();
        human(&mut out, &report).unwrap();
        let shown = String::from_utf8(out).unwrap();
        assert!(!shown.is_empty() && shown.lines().all(|line| line.contains(peer)), "{shown}");
    }
}

#[test]
fn a_secured_event_is_one_flat_object() {
    let secured = Secured {
        peer: "a@b/c",
        method: "x509".to_owned(),
        tls_version: "TLS 1.3".to_owned(),
        cipher_suite: "s",
        group: "g",
        peer_sha256: None,
        authenticated_by: "pin",
        confirmed: true,
        changed: false,
        path: Some("in-band"),
        proxy: None,
    };
    let value: serde_json::Value = serde_json::from_str(&json(&Report::Secured(secured))).unwrap();
    let members: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        members,
        [
            "authenticated_by",
            "changed",
            "cipher_suite",
            "confirmed",
            "event",
            "group",
            "method",
            "path",
            "peer",
            "peer_sha256",
            "proxy",
            "tls_version"
        ]
    );
    assert!(value["peer_sha256"].is_null());
}

#[test]
fn a_peer_without_certificate_is_shown_without_one() {
    let mut secured = Secured {
        peer: "a@b/c",
        method: "srp".to_owned(),
        tls_version: "TLS 1.2".to_owned(),
        cipher_suite: "s",
        group: "g",
        peer_sha256: None,
        authenticated_by: "password",
        confirmed: true,
        changed: false,
        path: Some("in-band"),
        proxy: None,
    };
    let shown = |secured: &Secured<'_>| {
        let mut out = Vec::new();
        human(&mut out, &Report::Secured(secured.clone())).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert!(!shown(&secured).contains("sha-256"));
    secured.peer_sha256 = Some("0a".repeat(32));
    let groups = ["0a0a0a0a"; 8].join(" ");
    assert!(shown(&secured).contains(&format!("    certificate sha-256\n      {groups}\n")), "{}", shown(&secured));
    assert!(shown(&secured).lines().all(|line| line.len() < 80));
    assert!(!shown(&secured).contains("carried"), "as ever");
    (secured.path, secured.proxy) = (Some("proxy"), Some("proxy.example".to_owned()));
    assert!(shown(&secured).contains("    carried     through the proxy proxy.example\n"));
    (secured.path, secured.proxy) = (Some("direct"), None);
    assert!(shown(&secured).contains("    carried     directly\n"));
}

#[test]
fn what_is_known_of_a_peer_is_told_in_full_and_no_more() {
    let mut peer = Peer {
        jid: "a@b",
        pins: vec![Pinned { fingerprint: format!("sha-256:{}", "0a".repeat(32)), learned: "manual", since: None }],
        secured_by: vec!["x509"],
        negotiation_hash: false,
        wrong_passwords: 0,
        last_wrong: None,
        locked_until: None,
        wrong_in_all: 0,
        wrong_by_strangers: 0,
    };
    let shown = |peer: &Peer<'_>| {
        let mut out = Vec::new();
        human(&mut out, &Report::Peer(peer.clone())).unwrap();
        String::from_utf8(out).unwrap()
    };
    let groups = ["0a0a0a0a"; 8].join(" ");
    assert_eq!(
        shown(&peer),
        format!("* a@b\n    trusted     sha-256, by hand\n      {groups}\n    secured     before, by x509\n")
    );
    peer.pins = vec![Pinned { learned: "pairing", since: Some("T0".to_owned()), ..peer.pins.remove(0) }];
    assert!(shown(&peer).contains("    trusted     sha-256, by pairing, T0\n"), "{}", shown(&peer));
    peer.pins.clear();
    peer.secured_by.push("srp");
    (peer.wrong_passwords, peer.last_wrong) = (3, Some("T1".to_owned()));
    peer.locked_until = Some("T2".to_owned());
    (peer.wrong_in_all, peer.wrong_by_strangers) = (5, 7);
    peer.negotiation_hash = true;
    assert_eq!(
        shown(&peer),
        "* a@b\n    trusted     no certificate\n    secured     before, by x509 and srp\n    \
         negotiation has to be compared inside, as it was before\n    \
         passwords   3 wrong since the last right one, the last at T1\n    \
         passwords   5 wrong in the last days\n    \
         locked      no password is tried until T2\n    \
         strangers   tried 7 wrong passwords at this address of yours\n"
    );
    assert_eq!(
        json(&Report::Peer(peer)),
        r#"{"event":"peer","jid":"a@b","pins":[],"secured_by":["x509","srp"],"negotiation_hash":true,"wrong_passwords":3,"wrong_in_all":5,"last_wrong":"T1","locked_until":"T2","wrong_by_strangers":7}"#
    );
}

#[test]
fn text_of_the_peer_is_escaped_for_people() {
    let mut out = Vec::new();
    human(
        &mut out,
        &Report::Message { peer: "a@b/\u{202e}x", from: "a@b/\u{202e}x", name: "a", body: "\u{1b}]0;owned\u{7}" },
    )
    .unwrap();
    let txt = BTreeMap::from([("k\n".to_owned(), "\u{1b}[2J".to_owned())]);
    let addresses = ["fe80::1%\u{9b}".to_owned()];
    human(&mut out, &Report::Found { name: "\r", host: "\u{7}", port: 7, addresses: &addresses, txt: &txt }).unwrap();
    let shown = String::from_utf8(out).unwrap();
    assert_eq!(shown.lines().next(), Some("a@b/\\u{202e}x: \\u{1b}]0;owned\\u{7}"));
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    assert_eq!(shown.lines().count(), 4);
}

#[test]
fn what_could_not_be_written_is_named_with_the_reason() {
    let (peer, error) = ("a@b".parse::<BareJid>().unwrap(), StoreError::new("the disk is full"));
    let named = |method| not_remembered(Some(&peer), method, &error);
    assert_eq!(
        named(Some(Method::X509)),
        "that a@b was secured, and by which certificate, is not remembered: the disk is full"
    );
    assert_eq!(
        named(Some(Method::Srp)),
        "that a@b was secured, and that the password was right, is not remembered: the disk is full"
    );
    assert_eq!(named(None), "what was learned of a@b is not remembered: the disk is full");
    assert_eq!(not_remembered(None, None, &error), "what was learned of the peer is not remembered: the disk is full");
    assert_eq!(
        json(&Report::StoreFailed { peer: Some("a@b"), message: "why" }),
        r#"{"event":"store_failed","peer":"a@b","message":"why"}"#
    );
}
