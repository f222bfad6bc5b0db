//! A client's link to its server as an outer stream, and the last words of links.

use std::{future::poll_fn, io, time::Duration};

use futures::StreamExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::{Instant, timeout},
};
use xtls::{
    CloseReason, Config, Fault, Identity, Local, TrustPolicy,
    jid::{BareJid, FullJid, Jid},
    link::{Client, ClientLink, LinkEvent, LinkSetup, ServerTerms, ServerTls},
    tls::KeyAlgorithm,
    trust::MemoryTrustStore,
};
use xtls_tokio::{
    Driver, End, OuterStream, Received,
    link::{LinkEnd, LinkStream, listen},
};

use crate::common::{JULIET, Who, body, message, raw, run, unix};

const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' \
                      id='1' from='montague.example'><stream:features><limits xmlns='urn:xmpp:stream-limits:0'>\
                      <max-bytes>10000</max-bytes></limits></stream:features>";

fn setup(own: &str) -> LinkSetup {
    let own: Jid = own.parse().unwrap();
    let identity = Identity::generate(&own.to_bare(), KeyAlgorithm::Ed25519, unix()).unwrap();
    LinkSetup::new(Local::new(own, identity), Box::new(MemoryTrustStore::default()), [7; 32], unix())
}

/// A client's end over so many bytes of buffer, at which a server in clear has begun; and the server's.
async fn at_a_server(buffer: usize) -> (LinkStream<Client, DuplexStream>, DuplexStream) {
    let (here, mut there) = duplex(buffer);
    let mut terms = ServerTerms::new(TrustPolicy::Pinned);
    terms.tls = ServerTls::Never;
    let domain: BareJid = "montague.example".parse().unwrap();
    let now = Instant::now().into_std();
    let link = ClientLink::connect(setup("romeo@montague.example"), domain.into(), &terms, now).unwrap();
    let mut link = LinkStream::new(link, here);
    let answers = async {
        until(&mut there, ">").await;
        there.write_all(HEADER.as_bytes()).await.unwrap();
    };
    let begins = async { while !matches!(link.next().await.unwrap(), LinkEvent::Features(_)) {} };
    tokio::join!(answers, begins);
    (link, there)
}

/// Reads until this has come; what has come.
async fn until(connection: &mut DuplexStream, end: &str) -> String {
    let mut came = Vec::new();
    while !came.ends_with(end.as_bytes()) {
        let byte = connection.read_u8().await.unwrap_or_else(|error| panic!("{error} after {came:?}"));
        came.push(byte);
    }
    String::from_utf8(came).unwrap()
}

async fn received(link: &mut LinkStream<Client, DuplexStream>) -> Received<xtls::Element> {
    poll_fn(|cx| link.poll_recv(cx)).await
}

#[test]
fn stanzas_pass_and_ends_are_told_as_what_they_are() {
    run(async {
        for in_order in [true, false] {
            let (mut link, mut server) = at_a_server(1000).await;
            server.write_all(b"<message><body>hello</body></message>").await.unwrap();
            let Received::Stanza(stanza) = received(&mut link).await else { panic!("it is no stanza") };
            assert_eq!(body(&stanza), "hello");
            poll_fn(|cx| OuterStream::poll_ready(&mut link, cx)).await.unwrap();
            OuterStream::start_send(&mut link, message("to you")).unwrap();
            poll_fn(|cx| OuterStream::poll_flush(&mut link, cx)).await.unwrap();
            assert!(until(&mut server, "</message>").await.contains("to you"));
            if in_order {
                server.write_all(b"</stream:stream>").await.unwrap();
                assert!(matches!(received(&mut link).await, Received::Ended));
            } else {
                server.write_all(b"<message>").await.unwrap();
                drop(server);
                let Received::Lost(error) = received(&mut link).await else { panic!("it is lost") };
                let end = error.get_ref().and_then(|error| error.downcast_ref::<LinkEnd>()).unwrap();
                assert!(
                    matches!(&end.closed.reason, CloseReason::Fault(fault) if matches!(**fault, Fault::EndedEarly { .. })),
                    "{end}"
                );
            }
        }
    });
}

#[test]
fn a_server_that_does_not_read_leaves_what_there_is_to_say_with_the_engine() {
    run(async {
        let (mut link, mut server) = at_a_server(1000).await;
        let (text, mut sent) = ("x".repeat(10_000), 0);
        let has_room = async |link: &mut LinkStream<Client, DuplexStream>| {
            let ready = poll_fn(|cx| {
                let _ = OuterStream::poll_flush(link, cx);
                OuterStream::poll_ready(link, cx)
            });
            timeout(Duration::from_secs(1), ready).await.is_ok_and(|ready| ready.is_ok())
        };
        while has_room(&mut link).await {
            OuterStream::start_send(&mut link, message(&format!("{sent} {text}"))).unwrap();
            sent += 1;
        }
        // 64 KiB and one stanza, and what the connection has taken.
        assert_eq!(sent, 7);
        let flush = poll_fn(|cx| OuterStream::poll_flush(&mut link, cx));
        let hear = async {
            for number in 0..sent {
                assert!(until(&mut server, "</message>").await.contains(&format!(">{number} xx")));
            }
        };
        let (flushed, ()) = tokio::join!(flush, hear);
        flushed.unwrap();
        assert!(has_room(&mut link).await);
    });
}

/// The server is played by hand: it sees the offer, and the end of it.
#[test]
fn a_driver_runs_over_a_link_and_gives_it_back() {
    run(async {
        let (link, mut server) = at_a_server(100_000).await;
        let [romeo, juliet] = Who::both();
        let (driver, handle, _stanzas) = Driver::new(romeo.engine(&juliet, Config::default()), link);
        let driver = tokio::spawn(driver);
        let mut options = raw();
        options.check_support = false;
        let offered = handle.open(JULIET.parse::<FullJid>().unwrap(), options).unwrap();
        let offer = until(&mut server, "</iq>").await;
        assert!(offer.contains("session-initiate") && offer.contains(JULIET), "{offer}");
        drop(offered);
        assert!(until(&mut server, "</iq>").await.contains("session-terminate"));
        handle.stop().await;
        let mut link = driver.await.unwrap().outer;
        let close = futures::SinkExt::close(&mut link);
        let hear = async {
            until(&mut server, "</stream:stream>").await;
            server.write_all(b"</stream:stream>").await.unwrap();
            drop(server);
        };
        let (closed, ()) = tokio::join!(close, hear);
        closed.unwrap();
    });
}

#[test]
fn last_words_are_heard_by_an_end_that_is_still_talking_and_not_for_ever() {
    run(async {
        for ends in [true, false] {
            let (here, mut there) = duplex(1000);
            let mut link = listen(setup("juliet@pronto"), None, here).unwrap();
            let told = async {
                let mut reason = None;
                while let Some(event) = link.next().await {
                    if let LinkEvent::Closed(closed) = event {
                        reason = Some((closed.reason, Instant::now()));
                    }
                }
                let (reason, at) = reason.unwrap();
                (reason, at.elapsed())
            };
            let talks = async {
                there.write_all("GET / HTTP/1.1\r\n".as_bytes()).await.unwrap();
                // More than the connection holds: somebody has to read it.
                let said = there.write_all(&[b'x'; 100_000]).await;
                if ends {
                    said.unwrap();
                    there.shutdown().await.unwrap();
                    let mut heard = Vec::new();
                    there.read_to_end(&mut heard).await.unwrap();
                    return None;
                }
                Some((said.map_err(|error: io::Error| error.kind()), there))
            };
            let ((reason, waited), kept) = tokio::join!(told, talks);
            assert!(matches!(reason, CloseReason::Fault(_)), "{reason:?}");
            if ends {
                assert!(waited < Duration::from_secs(1), "{waited:?}");
            } else {
                assert!((Duration::from_millis(1900)..Duration::from_millis(2100)).contains(&waited), "{waited:?}");
                assert!(kept.is_some_and(|(said, _)| said.is_ok()));
            }
        }
    });
}

/// XEP-0478 § 3.1, RFC 6120 § 4.9.3.14: what the server says of itself, and what it did.
#[test]
fn the_engine_is_told_what_the_server_announces_and_that_it_has_refused_a_stanza() {
    run(async {
        for (error, is_size) in [("policy-violation", true), ("conflict", false)] {
            let (link, mut server) = at_a_server(100_000).await;
            let [romeo, juliet] = Who::both();
            let (driver, handle, _stanzas) = Driver::new(romeo.engine(&juliet, Config::default()), link);
            let limit = || handle.with_engine(|engine, _| engine.stanza_limit());
            assert_eq!(limit(), Some(10_000));
            let driver = tokio::spawn(driver);
            // The offer is the largest stanza so far.
            let mut options = raw();
            options.check_support = false;
            let _opening = handle.open(juliet.jid.clone(), options).unwrap();
            until(&mut server, "</iq>").await;
            let words = format!("<stream:error><{error} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>");
            server.write_all(words.as_bytes()).await.unwrap();
            let ended = driver.await.unwrap();
            assert!(matches!(ended.end, End::Lost(_)), "{:?}", ended.end);
            assert_eq!(limit(), Some(if is_size { 2048 } else { 10_000 }));
        }
    });
}
