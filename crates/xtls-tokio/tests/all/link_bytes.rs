//! Raw bytes over links.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{SinkExt, StreamExt, future::poll_fn};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, split},
    time::timeout,
};
use xtls::{
    CloseReason, Element,
    link::{LinkEvent, Peer},
    xml::{Condition, StanzaError, ns},
};
use xtls_tokio::link::{ByteLink, ByteLinkError, LinkStream};

use crate::{
    common::{body, element, message, noise, run},
    links::{ends, opened, stanza},
};

type Bytes = ByteLink<DuplexStream>;

/// Two ends of a link for bytes, over so many bytes of buffer.
async fn between(buffer: usize) -> [Bytes; 2] {
    let [romeo, juliet] = opened(ends(buffer)).await;
    [romeo.into_bytes([1; 32]), juliet.into_bytes([2; 32])]
}

/// One end for bytes, and the other one for whatever the test makes of it.
async fn with_a_stranger() -> (Bytes, LinkStream<Peer, DuplexStream>) {
    let [romeo, juliet] = opened(ends(100_000)).await;
    (romeo.into_bytes([1; 32]), juliet)
}

/// Romeo's bytes while Juliet does this.
async fn beside<T>(romeo: &mut Bytes, juliet: impl Future<Output = T>) -> T {
    tokio::select! {
        done = juliet => done,
        closed = romeo.closed() => panic!("{closed:?}"),
    }
}

async fn request(juliet: &mut LinkStream<Peer, DuplexStream>) -> Element {
    loop {
        match juliet.next().await.unwrap() {
            LinkEvent::Stanza { stanza } => return stanza,
            LinkEvent::Closed(closed) => panic!("{closed:?}"),
            _ => {}
        }
    }
}

fn id(stanza: &Element) -> String {
    stanza.attribute("id").unwrap().to_owned()
}

#[test]
fn bytes_go_both_ways_at_once_and_each_direction_ends_alone() {
    run(async {
        let sent = [noise(1_000_000), noise(900_001)];
        // Each end in two tasks, one for each direction.
        let [romeo, juliet] = between(10_000).await;
        let carry = |link: Bytes, bytes: Vec<u8>| async move {
            let (mut reads, mut writes) = split(link);
            let writing = tokio::spawn(async move {
                writes.write_all(&bytes).await.unwrap();
                writes.shutdown().await.unwrap();
                writes
            });
            let reading = tokio::spawn(async move {
                let mut came = Vec::new();
                reads.read_to_end(&mut came).await.unwrap();
                (reads, came)
            });
            let writes = writing.await.unwrap();
            let (reads, came) = reading.await.unwrap();
            let mut link = reads.unsplit(writes);
            assert!(link.is_finished() && link.unacked() == 0);
            let closed = link.closed().await;
            assert!(matches!(closed.reason, CloseReason::Done), "{closed:?}");
            assert!(link.fault().is_none());
            let _ = link.into_inner().close().await;
            came
        };
        let (at_romeo, at_juliet) = tokio::join!(carry(romeo, sent[0].clone()), carry(juliet, sent[1].clone()));
        assert!(at_juliet == sent[0] && at_romeo == sent[1]);
    });
}

/// Before anything was sent, so before the direction is opened.
#[test]
fn an_end_with_nothing_to_say_is_told_whenever_it_begins() {
    run(async {
        for shuts_down in [false, true] {
            let [mut romeo, mut juliet] = between(10_000).await;
            if !shuts_down {
                juliet.finish();
            }
            let hears = async {
                if shuts_down {
                    juliet.shutdown().await.unwrap();
                }
                let mut came = Vec::new();
                juliet.read_to_end(&mut came).await.unwrap();
                (came, juliet.closed().await)
            };
            let says = async {
                romeo.write_all(b"all of it").await.unwrap();
                romeo.finish();
                let closed = romeo.closed().await;
                (romeo.is_finished(), closed)
            };
            let ((came, at_juliet), (is_finished, at_romeo)) = tokio::join!(hears, says);
            assert!(is_finished && came == b"all of it");
            for closed in [at_romeo, at_juliet] {
                assert!(matches!(closed.reason, CloseReason::Done), "{closed:?}");
            }
        }
    });
}

#[test]
fn one_direction_that_is_shut_down_leaves_the_other_open() {
    run(async {
        let [mut romeo, mut juliet] = between(10_000).await;
        romeo.write_all(b"all of it").await.unwrap();
        let hears = async {
            let mut came = Vec::new();
            juliet.read_to_end(&mut came).await.unwrap();
            came
        };
        let (shut, came) = tokio::join!(romeo.shutdown(), hears);
        shut.unwrap();
        assert_eq!(came, b"all of it");
        assert_eq!(romeo.unacked(), 0);
        let error = romeo.write_all(b"more").await.unwrap_err();
        assert!(matches!(ByteLinkError::of(&error), Some(ByteLinkError::Finished)), "{error}");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        let answer = noise(1_000_000);
        let says = async {
            juliet.write_all(&answer).await.unwrap();
            juliet.finish();
            juliet.closed().await
        };
        let hears = async {
            let mut came = Vec::new();
            romeo.read_to_end(&mut came).await.unwrap();
            romeo.closed().await;
            came
        };
        let (closed, came) = tokio::join!(says, hears);
        assert!(came == answer && matches!(closed.reason, CloseReason::Done) && juliet.unacked() == 0);
    });
}

#[test]
fn a_reader_that_takes_nothing_stops_the_writer_at_the_bound_and_loses_nothing() {
    run(async {
        let [mut romeo, mut juliet] = between(10_000).await;
        let sent = noise(2_500_000);
        let (mut reads, mut writes) = split(&mut romeo);
        let taken = Arc::new(AtomicUsize::new(0));
        let writing = async {
            for piece in sent.chunks(10_000) {
                writes.write_all(piece).await.unwrap();
                taken.fetch_add(piece.len(), Ordering::SeqCst);
            }
            writes.shutdown().await.unwrap();
        };
        let reading = async {
            // She does everything but read.
            assert!(timeout(Duration::from_secs(60), juliet.closed()).await.is_err());
            // 512 KiB are acknowledged, four blocks are on their way, and 256 KiB wait with him.
            let before = taken.load(Ordering::SeqCst);
            assert!((800_000..960_000).contains(&before), "{before}");
            let mut came = Vec::new();
            juliet.read_to_end(&mut came).await.unwrap();
            came
        };
        let keeps = async { reads.read(&mut [0]).await };
        tokio::select! {
            ((), came) = async { tokio::join!(writing, reading) } => assert!(came == sent),
            other = keeps => panic!("{other:?}"),
        }
    });
}

#[test]
fn flushing_waits_until_the_connection_has_it_all() {
    run(async {
        let [mut romeo, mut juliet] = between(1000).await;
        romeo.write_all(&noise(20_000)).await.unwrap();
        assert!(timeout(Duration::from_secs(5), romeo.flush()).await.is_err());
        let (flushed, _) = tokio::join!(romeo.flush(), timeout(Duration::from_secs(1), juliet.closed()));
        flushed.unwrap();
    });
}

#[test]
fn an_end_before_the_end_is_told_to_reader_and_writer_after_what_came() {
    run(async {
        for (breaks_off, is_truncated) in [(true, false), (false, true)] {
            let [mut romeo, mut juliet] = between(10_000).await;
            juliet.write_all(b"so far").await.unwrap();
            let flushed = juliet.flush();
            let (flushed, _) = tokio::join!(flushed, timeout(Duration::from_millis(10), romeo.closed()));
            flushed.unwrap();
            let ends = async {
                if breaks_off {
                    juliet.break_off();
                    juliet.closed().await;
                }
                drop(juliet);
            };
            let told = async {
                let mut came = Vec::new();
                let error = romeo.read_to_end(&mut came).await.unwrap_err();
                assert_eq!((came.as_slice(), error.kind()), (&b"so far"[..], io::ErrorKind::UnexpectedEof));
                let Some(ByteLinkError::Closed(closed)) = ByteLinkError::of(&error) else { panic!("{error}") };
                assert_eq!(matches!(closed.reason, CloseReason::Fault(_)), is_truncated, "{closed:?}");
                let error = romeo.write_all(b"late").await.unwrap_err();
                assert!(matches!(ByteLinkError::of(&error), Some(ByteLinkError::Closed(_))), "{error}");
                assert!(romeo.flush().await.is_ok(), "nothing waits");
            };
            tokio::join!(ends, told);
        }
    });
}

#[test]
fn messages_come_as_events_and_requests_are_answered() {
    run(async {
        let (mut romeo, mut juliet) = with_a_stranger().await;
        beside(&mut romeo, juliet.send(message("and words"))).await.unwrap();
        let event = poll_fn(|cx| romeo.poll_event(cx)).await;
        assert!(matches!(&event, LinkEvent::Stanza { stanza } if body(stanza) == "and words"), "{event:?}");
        let ask = |id: &str| {
            element(&format!("<iq xmlns='{}' type='get' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>", ns::CLIENT))
        };
        let asks = async {
            juliet.send(ask("one")).await.unwrap();
            loop {
                let answer = request(&mut juliet).await;
                if answer.attribute("id") == Some("one") {
                    return answer;
                }
            }
        };
        let answer = beside(&mut romeo, asks).await;
        assert_eq!(StanzaError::of_stanza(&answer).unwrap().condition, Condition::ServiceUnavailable);
        let mut romeo = romeo.answering(|request| Some(format!("<iq type='result' id='{}'/>", id(request))));
        let asks = async {
            juliet.send(ask("two")).await.unwrap();
            request(&mut juliet).await
        };
        let answer = beside(&mut romeo, asks).await;
        assert_eq!((answer.attribute("id"), answer.attribute("type")), (Some("two"), Some("result")));
    });
}

/// What the peer does that is no way to treat bytes, and what it is told as.
#[test]
fn xep_0047_2_2_what_a_peer_does_wrong_ends_the_link_and_is_named() {
    let ibb = "http://jabber.org/protocol/ibb";
    let error = |id: &str, condition: &str| {
        format!(
            "<iq type='error' id='{id}'><error type='cancel'><{condition} \
             xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        )
    };
    for case in 0..5 {
        run(async {
            let (mut romeo, mut juliet) = with_a_stranger().await;
            romeo.write_all(b"x").await.unwrap();
            let wrongs = async {
                let open = request(&mut juliet).await;
                let sid = open.child("open", ibb).unwrap().attribute("sid").unwrap().to_owned();
                let opened = format!("<iq type='result' id='{}'/>", id(&open));
                let wrong = match case {
                    0 => vec![error(&id(&open), "service-unavailable")],
                    1 => vec![opened, format!("<iq type='set' id='1'><close xmlns='{ibb}' sid='{sid}'/></iq>")],
                    2 => vec![
                        opened,
                        format!("<iq type='set' id='1'><data xmlns='{ibb}' sid='{sid}' seq='0'>eA==</data></iq>"),
                    ],
                    3 => vec![
                        format!("<iq type='set' id='1'><open xmlns='{ibb}' sid='hers' block-size='4096'/></iq>"),
                        format!("<iq type='set' id='2'><data xmlns='{ibb}' sid='hers' seq='1'>eA==</data></iq>"),
                    ],
                    _ => {
                        juliet.send(element(&with_ns(&opened))).await.unwrap();
                        let data = request(&mut juliet).await;
                        vec![error(&id(&data), "not-acceptable")]
                    }
                };
                for wrong in wrong {
                    juliet.send(element(&with_ns(&wrong))).await.unwrap();
                }
                while stanza(&mut juliet).await.is_some() {}
            };
            let told = async {
                let mut came = Vec::new();
                let error = romeo.read_to_end(&mut came).await.unwrap_err();
                let error = ByteLinkError::of(&error).unwrap().clone();
                let is_it = match case {
                    0 => matches!(error, ByteLinkError::NotTaken(_)),
                    1 => matches!(error, ByteLinkError::Stopped),
                    2 => matches!(error, ByteLinkError::Unexpected),
                    3 => matches!(error, ByteLinkError::Malformed(_)),
                    _ => matches!(error, ByteLinkError::Refused(_)),
                };
                assert!(is_it, "{case}: {error}");
                assert!(came.is_empty() && romeo.fault().is_some());
                let _ = romeo.into_inner().close().await;
            };
            tokio::join!(wrongs, told);
        });
    }
}

fn with_ns(stanza: &str) -> String {
    stanza.replacen("<iq ", "<iq xmlns='jabber:client' ", 1)
}

#[test]
fn sixty_four_events_wait_and_later_ones_go() {
    run(async {
        let (mut romeo, mut juliet) = with_a_stranger().await;
        let says = async {
            for number in 0..100 {
                juliet.send(message(&number.to_string())).await.unwrap();
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        beside(&mut romeo, says).await;
        for number in 0..64 {
            let event = poll_fn(|cx| romeo.poll_event(cx)).await;
            assert!(matches!(&event, LinkEvent::Stanza { stanza } if body(stanza) == number.to_string()), "{event:?}");
        }
        assert!(timeout(Duration::from_secs(1), poll_fn(|cx| romeo.poll_event(cx))).await.is_err());
    });
}

#[test]
fn who_asks_over_a_link_and_does_not_listen_is_not_heard_after_64_answers() {
    run(async {
        let (romeo, mut juliet) = with_a_stranger().await;
        let long = "x".repeat(100_000);
        let mut romeo = romeo.answering(move |request| {
            let id = id(request);
            Some(format!("<iq type='result' id='{id}'><long xmlns='urn:example:long'>{long}</long></iq>"))
        });
        let asks = async {
            for number in 0..200 {
                let ask = format!("<iq type='get' id='ask-{number}'><ping xmlns='urn:xmpp:ping'/></iq>");
                juliet.send(element(&with_ns(&ask))).await.unwrap();
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            let mut answers = 0;
            while let Ok(answer) = timeout(Duration::from_secs(1), request(&mut juliet)).await {
                answers += usize::from(answer.attribute("id").is_some_and(|id| id.starts_with("ask-")));
            }
            answers
        };
        let answers = beside(&mut romeo, asks).await;
        // What the connection holds, what the link does, and one that it had no room for.
        assert!((64 + 3..64 + 8).contains(&answers), "{answers}");
    });
}
