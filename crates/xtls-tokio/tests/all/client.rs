//! The rest of the client.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use xtls::{
    Config, Event,
    xml::{Disco, DiscoIdentity},
};
use xtls_tokio::{Driver, End, memory};

use crate::common::{Faulty, JULIET, ROMEO, Who, bytes_between, raw, run, two, xml_between};

#[test]
fn stanzas_that_are_not_the_engines_come_to_the_client_in_order() {
    run(async {
        let [romeo, juliet] = two(&Config::default());
        let mut stanzas = juliet.stanzas;
        let mut sender = romeo.stanzas.sender();
        for number in 0..200 {
            let say = sender.send(format!("<message id='{number}'/>"));
            let (said, heard) = tokio::join!(say, stanzas.next());
            said.unwrap();
            assert_eq!(heard.unwrap(), format!("<message from='{ROMEO}' id='{number}'/>"));
        }
    });
}

/// 32 wait for the client, and one in the driver and one in the queue's own slot; as many for the outer stream.
#[test]
fn a_client_that_takes_nothing_stops_the_outer_stream_at_the_bound_and_not_before() {
    run(async {
        let [one, other] = Who::both();
        let (there, here) = memory::pair(&one.jid, &other.jid, 0);
        let (driver, _handle, mut stanzas) = Driver::new(other.engine(&one, Config::default()), here);
        tokio::spawn(driver);
        let (driver, _other_handle, senders) = Driver::new(one.engine(&other, Config::default()), there);
        tokio::spawn(driver);
        let (mut sender, mut sent) = (senders.sender(), 0);
        while timeout(Duration::from_secs(1), sender.send(format!("<message id='{sent}'/>"))).await.is_ok() {
            sent += 1;
        }
        // 33 in the reader's queue and one in its driver; one in the memory stream; 33 in the writer's queue, at most.
        assert!((66..=69).contains(&sent), "{sent}");
        for number in 0..sent {
            let heard = stanzas.next().await.unwrap();
            assert_eq!(heard, format!("<message from='{ROMEO}' id='{number}'/>"));
        }
    });
}

#[test]
fn without_a_client_requests_are_answered_and_the_rest_is_dropped() {
    run(async {
        let [romeo, juliet] = two(&Config::default());
        drop(juliet.stanzas);
        let (mut stanzas, mut sender) = (romeo.stanzas, romeo.stanzas_sender);
        for number in 0..100 {
            sender.send(format!("<message id='{number}'/>")).await.unwrap();
        }
        let ping = format!("<iq type='get' id='p' to='{JULIET}'><ping xmlns='urn:xmpp:ping'/></iq>");
        sender.send(ping).await.unwrap();
        let answer = stanzas.next().await.unwrap();
        assert!(answer.contains("service-unavailable") && answer.contains("id='p'"), "{answer}");
        drop(juliet.handle);
    });
}

#[test]
fn service_discovery_is_answered_by_the_driver() {
    run(async {
        let [romeo, juliet] = two(&Config::default());
        let (mut stanzas, mut sender) = (romeo.stanzas, romeo.stanzas_sender);
        let query = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
        sender.send(format!("<iq type='get' id='d' to='{JULIET}'>{query}</iq>")).await.unwrap();
        let answer = stanzas.next().await.unwrap();
        assert!(answer.contains("urn:xmpp:jingle:security:xtls"), "{answer}");
        drop(juliet);
    });
}

#[test]
fn our_presence_goes_first_and_says_what_we_can_do() {
    run(async {
        let [one, other] = Who::both();
        let (here, there) = memory::pair(&one.jid, &other.jid, 16);
        let engine = one.engine(&other, Config::default());
        let info = engine.disco_info(DiscoIdentity::new("client", "pc"));
        let disco = Disco::new(info, "https://client.example").unwrap();
        let ver = disco.caps().ver().to_owned();
        let (driver, _handle, stanzas) = Driver::new(engine, here);
        stanzas.sender().send("<message/>".to_owned()).await.unwrap();
        tokio::spawn(driver.with_presence(disco));
        let (driver, _other_handle, mut heard) = Driver::new(other.engine(&one, Config::default()), there);
        tokio::spawn(driver);
        let presence = heard.next().await.unwrap();
        assert!(presence.starts_with("<presence") && presence.contains("https://client.example"), "{presence}");
        assert!(presence.contains(&format!("ver='{ver}'")), "{presence}");
        assert!(heard.next().await.unwrap().starts_with("<message"));
        // Whoever asks what the presence says is told.
        let query = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
        let ask = format!("<iq type='get' id='d' to='{ROMEO}'>{query}</iq>");
        heard.sender().send(ask).await.unwrap();
        assert!(heard.next().await.unwrap().contains("urn:xmpp:jingle:security:xtls"));
    });
}

#[test]
fn jingle_for_another_stack_goes_there_and_else_is_refused() {
    run(async {
        let jingle = "<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='SID'/>";
        let iq = |sid: &str| format!("<iq type='set' id='{sid}' to='{JULIET}'>{}</iq>", jingle.replace("SID", sid));
        let [one, other] = Who::both();
        let (there, here) = memory::pair(&one.jid, &other.jid, 16);
        let mut config = Config::default();
        config.sole_handler = false;
        let (driver, _handle, mut taken) = Driver::new(other.engine_as(&one, config), here);
        tokio::spawn(driver.beside(|stanza: &String| stanza.contains("sid='ours'")));
        let (driver, _other_handle, mut answers) = Driver::new(one.engine(&other, Config::default()), there);
        tokio::spawn(driver);
        let mut sender = answers.sender();
        sender.send(iq("nobodys")).await.unwrap();
        sender.send(iq("ours")).await.unwrap();
        assert!(taken.next().await.unwrap().contains("sid='ours'"));
        let answer = answers.next().await.unwrap();
        assert!(answer.contains("id='nobodys'") && answer.contains("unknown-session"), "{answer}");
    });
}

#[test]
fn what_the_engine_tells_besides_comes_as_notices() {
    run(async {
        let clients = two(&Config::default());
        let [mut romeo, mut juliet] = xml_between(&clients).await;
        // Nobody else can be spoken for inside of a tunnel: a server's trick needs a client that does it, so ask for certificates.
        let (id, handle) = (romeo.id(), &clients[0].handle);
        handle.with_engine(|engine, now| engine.tunnel(id).unwrap().request_certificates(now)).unwrap();
        let notice = handle.notice().await.unwrap();
        assert!(matches!(&notice.event, Event::CertificatesReceived { result: Ok(found), .. } if found.len() == 1));
        assert_eq!(notice.missed, 0);
        let (closed, end) = tokio::join!(romeo.close(), juliet.next());
        closed.unwrap();
        assert!(end.is_none());
    });
}

#[test]
fn two_hundred_and_fifty_six_notices_wait_and_those_that_are_older_are_counted() {
    run(async {
        let [romeo, _juliet] = two(&Config::default());
        let ask = async || {
            let peer = JULIET.parse().unwrap();
            romeo.handle.with_engine(|engine, now| engine.probe(now, peer, &raw())).unwrap();
            // It is answered, one way or the other.
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        for notices in [256, 257, 300] {
            for _ in 0..notices {
                ask().await;
            }
            for number in 0..256 {
                let notice = romeo.handle.notice().await.unwrap();
                assert!(matches!(notice.event, Event::Probed { .. }));
                assert_eq!(notice.missed, if number == 0 { notices - 256 } else { 0 });
            }
            assert!(timeout(Duration::from_secs(1), romeo.handle.notice()).await.is_err());
        }
    });
}

/// 64 answers wait for room in the outer stream; then nothing is received before there is.
#[test]
fn who_asks_and_does_not_listen_is_not_heard_after_64_answers() {
    run(async {
        let ([romeo, juliet], [_, control]) = Faulty::two(&Config::default());
        control.lock().unwrap().fill(true);
        let (mut answers, mut sender, mut asked) = (romeo.stanzas, romeo.stanzas_sender, 0);
        let query = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
        let ask = |number: usize| format!("<iq type='get' id='d{number}' to='{JULIET}'>{query}</iq>");
        while timeout(Duration::from_secs(1), sender.send(ask(asked))).await.is_ok() {
            asked += 1;
        }
        // Beside them, 17 are in the memory stream and 33 in the queue of whoever asks.
        assert_eq!(asked, 64 + 17 + 33);
        control.lock().unwrap().fill(false);
        for number in 0..asked {
            let answer = answers.next().await.unwrap();
            assert!(answer.contains(&format!("id='d{number}'")), "{answer}");
        }
        drop(juliet);
    });
}

#[test]
fn a_shutdown_ends_tunnels_in_order_and_gives_the_outer_stream_back() {
    run(async {
        let clients = two(&Config::default());
        let [mut romeo, mut juliet] = bytes_between(&clients).await;
        let [one, _other] = clients;
        romeo.write_all(b"all of it").await.unwrap();
        let mut heard = Vec::new();
        let (end, read) = tokio::join!(one.handle.shutdown(), juliet.read_to_end(&mut heard));
        assert!(matches!(end, End::Shutdown), "{end}");
        assert_eq!((read.unwrap(), heard.as_slice()), (9, &b"all of it"[..]));
        let ended = one.driver.await.unwrap();
        assert!(matches!(ended.end, End::Shutdown));
        // It can be used again.
        let _: memory::MemoryStream = ended.outer;
        assert!(one.handle.incoming().await.is_none() && one.handle.question().await.is_none());
    });
}

#[test]
fn a_driver_that_nobody_can_use_any_more_ends() {
    run(async {
        let clients = two(&Config::default());
        let [romeo, juliet] = bytes_between(&clients).await;
        let [one, other] = clients;
        drop((one.handle, one.stanzas, one.stanzas_sender));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!one.driver.is_finished(), "a tunnel is in use");
        drop(romeo);
        assert!(matches!(one.driver.await.unwrap().end, End::Shutdown));
        drop((juliet, other));
    });
}
