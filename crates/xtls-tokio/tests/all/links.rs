//! Links over connections in memory.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::{
    io::{DuplexStream, duplex},
    time::timeout,
};
use xtls::{
    CloseReason, Fault, Identity, Local, Terms, TrustPolicy,
    jid::{BareJid, Jid},
    link::{LinkEvent, LinkSetup, Peer},
    tls::KeyAlgorithm,
    trust::{MemoryTrustStore, Pin},
};
use xtls_tokio::link::{LinkStream, connect, listen};

use crate::common::{body, message, run, unix};

/// Two ends that trust one another; Romeo connects.
pub(crate) fn ends(buffer: usize) -> [LinkStream<Peer, DuplexStream>; 2] {
    let who: [Jid; 2] = ["romeo@forza", "juliet@pronto"].map(|jid| jid.parse().unwrap());
    let identities =
        [0, 1].map(|at: usize| Identity::generate(&who[at].to_bare(), KeyAlgorithm::Ed25519, unix()).unwrap());
    let setup = |own: usize, peer: usize| {
        let mut store = MemoryTrustStore::default();
        let account: BareJid = who[peer].to_bare();
        store.pin(&account, Pin::manual(identities[peer].fingerprint_sha256()));
        let local = Local::new(who[own].clone(), identities[own].clone());
        LinkSetup::new(local, Box::new(store), [u8::try_from(own).unwrap(); 32], unix())
    };
    let (there, here) = duplex(buffer);
    let terms = Terms::new(TrustPolicy::Pinned);
    [connect(setup(0, 1), who[1].clone(), terms, there).unwrap(), listen(setup(1, 0), None, here).unwrap()]
}

/// Both streams are open; what else happened is gone.
pub(crate) async fn opened(
    [romeo, juliet]: [LinkStream<Peer, DuplexStream>; 2],
) -> [LinkStream<Peer, DuplexStream>; 2] {
    let open = async |mut end: LinkStream<Peer, DuplexStream>| {
        loop {
            match end.next().await.unwrap() {
                LinkEvent::Incoming { .. } => {
                    end.with_link(|link, now| link.accept(now, Terms::new(TrustPolicy::Pinned))).unwrap();
                }
                LinkEvent::StreamOpened => return end,
                LinkEvent::Closed(closed) => panic!("{}", closed.reason),
                _ => {}
            }
        }
    };
    let (romeo, juliet) = tokio::join!(open(romeo), open(juliet));
    [romeo, juliet]
}

pub(crate) async fn stanza(end: &mut LinkStream<Peer, DuplexStream>) -> Option<String> {
    loop {
        match end.next().await? {
            LinkEvent::Stanza { stanza } => return Some(body(&stanza)),
            LinkEvent::Closed(_) => return None,
            _ => {}
        }
    }
}

#[test]
fn a_link_opens_and_carries_stanzas_both_ways_and_closing_waits_for_the_end() {
    run(async {
        let [mut romeo, mut juliet] = opened(ends(1000)).await;
        assert!(romeo.link().security().is_some_and(|security| security.confirmed));
        let say = async {
            for number in 0..200 {
                romeo.send(message(&number.to_string())).await.unwrap();
            }
        };
        let hear = async {
            for number in 0..200 {
                assert_eq!(stanza(&mut juliet).await, Some(number.to_string()));
            }
        };
        tokio::join!(say, hear);
        juliet.send(message("enough")).await.unwrap();
        assert_eq!(stanza(&mut romeo).await, Some("enough".to_owned()));
        let rest = async {
            let mut reasons = Vec::new();
            while let Some(event) = juliet.next().await {
                if let LinkEvent::Closed(closed) = event {
                    reasons.push(closed.reason);
                }
            }
            reasons
        };
        let (closed, reasons) = tokio::join!(romeo.close(), rest);
        closed.unwrap();
        assert!(matches!(reasons[..], [CloseReason::Done]), "{reasons:?}");
        assert!(romeo.next().await.is_none());
        assert!(romeo.send(message("late")).await.is_err());
    });
}

#[test]
fn a_peer_that_does_not_read_holds_the_sender_back_and_loses_nothing() {
    run(async {
        let [mut romeo, mut juliet] = opened(ends(4096)).await;
        let (text, mut sent) = ("x".repeat(10_000), 0);
        while timeout(Duration::from_secs(1), romeo.feed(message(&format!("{sent} {text}")))).await.is_ok() {
            sent += 1;
        }
        // 256 KiB in the link, and as much that waits for the connection.
        assert!((50..58).contains(&sent), "{sent}");
        let hear = async {
            for number in 0..sent {
                assert_eq!(stanza(&mut juliet).await, Some(format!("{number} {text}")));
            }
            assert_eq!(stanza(&mut juliet).await, Some("on".to_owned()));
        };
        let (said, ()) = tokio::join!(romeo.send(message("on")), hear);
        said.unwrap();
    });
}

#[test]
fn a_connection_that_ends_is_told_after_what_came_before() {
    run(async {
        let [mut romeo, mut juliet] = opened(ends(4096)).await;
        romeo.send(message("last words")).await.unwrap();
        drop(romeo);
        assert_eq!(stanza(&mut juliet).await, Some("last words".to_owned()));
        let Some(LinkEvent::Closed(closed)) = juliet.next().await else { panic!("it is no end") };
        assert!(
            matches!(&closed.reason, CloseReason::Fault(fault) if matches!(**fault, Fault::EndedEarly { truncated: true, .. })),
            "{closed:?}"
        );
        assert!(juliet.next().await.is_none());
    });
}

#[test]
fn a_peer_that_says_nothing_is_not_waited_for_for_ever() {
    run(async {
        let [_silent, mut juliet] = ends(4096);
        // Nobody says anything: her time runs out.
        let end = async {
            loop {
                if let LinkEvent::Closed(closed) = juliet.next().await.unwrap() {
                    break closed.reason;
                }
            }
        };
        let reason = end.await;
        assert!(matches!(&reason, CloseReason::Fault(_)), "{reason:?}");
    });
}
