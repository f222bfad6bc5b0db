//! However the outer stream ends, and whatever waits for something then: each is told why, and nothing is lost or stuck.

use std::{future::poll_fn, io, pin::Pin, time::Duration};

use futures::{Sink, SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::{sleep, timeout},
};
use xtls::{CloseReason, Closed, Config, Fault};
use xtls_tokio::{CallError, End, Received, TunnelError};

use crate::common::{Faulty, JULIET, body, bytes_between, message, noise, raw, run, stream, xml_between};

/// How it ends at Romeo's side.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    InOrder,
    Broken,
    NothingCanBeSent,
    NoStanza,
    DriverDropped,
}

const WAYS: [How; 5] = [How::InOrder, How::Broken, How::NothingCanBeSent, How::NoStanza, How::DriverDropped];

impl How {
    fn is(self, end: &End) -> bool {
        match (self, end) {
            (Self::InOrder, End::Ended) | (Self::DriverDropped, End::Dropped) => true,
            (Self::Broken, End::Lost(error)) => error.kind() == io::ErrorKind::ConnectionReset,
            (Self::NothingCanBeSent, End::Lost(error)) => error.kind() == io::ErrorKind::BrokenPipe,
            (Self::NoStanza, End::Lost(error)) => error.kind() == io::ErrorKind::InvalidData,
            _ => false,
        }
    }
}

fn is_disconnected(closed: &Closed) -> bool {
    matches!(&closed.reason, CloseReason::Fault(fault) if matches!(**fault, Fault::Disconnected))
}

fn is_told(error: &TunnelError, how: How) -> bool {
    match error {
        TunnelError::Closed(closed) => is_disconnected(closed),
        TunnelError::Gone(end) => how.is(end),
        TunnelError::Finished | TunnelError::Unsendable(_) | _ => false,
    }
}

fn is_told_io(error: &io::Error, how: How) -> bool {
    TunnelError::of(error).is_some_and(|error| is_told(error, how))
}

#[test]
fn whatever_waits_is_told_however_the_outer_stream_ends() {
    for how in WAYS {
        for (suspended, closes) in [(false, false), (false, true), (true, false), (true, true)] {
            run(whatever_waits(how, suspended, closes));
        }
    }
}

async fn whatever_waits(how: How, suspended: bool, closes: bool) {
    let mut config = Config::default();
    config.tunnels_per_peer = 16;
    let ([romeo, juliet], [control, _]) = Faulty::two(&config);
    let clients = [romeo, juliet];
    let [mut reads, _a] = bytes_between(&clients).await;
    let [mut writes, _b] = bytes_between(&clients).await;
    let [mut flushes, _c] = bytes_between(&clients).await;
    let [mut shuts, _d] = bytes_between(&clients).await;
    let [waits, _e] = bytes_between(&clients).await;
    let [xml, _f] = xml_between(&clients).await;
    let (mut says, mut hears) = xml.split();
    let [romeo, juliet] = clients;

    let mut tasks = JoinSet::new();
    tasks.spawn(async move { is_told_io(&reads.read(&mut [0; 8]).await.unwrap_err(), how) });
    tasks.spawn(async move { is_told_io(&writes.write_all(&noise(4_000_000)).await.unwrap_err(), how) });
    let handle = romeo.handle.clone();
    tasks.spawn(async move {
        matches!(handle.call(JULIET.parse::<xtls::jid::FullJid>().unwrap(), raw()).await,
        Err(CallError::Closed(closed)) if is_disconnected(&closed))
    });
    sleep(Duration::from_secs(1)).await;
    // From here on nothing passes.
    control.lock().unwrap().stop(true);
    if suspended {
        control.lock().unwrap().say(Received::Suspended);
    }
    flushes.write_all(&noise(50_000)).await.unwrap();
    tasks.spawn(async move { is_told_io(&flushes.flush().await.unwrap_err(), how) });
    shuts.write_all(b"x").await.unwrap();
    tasks.spawn(async move { is_told_io(&shuts.shutdown().await.unwrap_err(), how) });
    tasks.spawn(async move { is_disconnected(&*waits.closed().await) });
    tasks.spawn(async move { matches!(hears.next().await, Some(Err(error)) if is_told(&error, how)) });
    tasks.spawn(async move {
        if closes {
            return is_told(&says.close().await.unwrap_err(), how);
        }
        loop {
            if let Err(error) = says.send(message(&"x".repeat(10_000))).await {
                return is_told(&error, how);
            }
        }
    });
    let account: xtls::jid::BareJid = "nobody@verona.example".parse().unwrap();
    let handle = romeo.handle.clone();
    tasks.spawn(async move { matches!(handle.call(account, raw()).await, Err(CallError::Gone(end)) if how.is(&end)) });
    let handle = romeo.handle.clone();
    tasks.spawn(async move { handle.incoming().await.is_none() });
    let handle = romeo.handle.clone();
    tasks.spawn(async move { handle.question().await.is_none() });
    let handle = romeo.handle.clone();
    tasks.spawn(async move { handle.notice().await.is_none() });
    let handle = romeo.handle.clone();
    tasks.spawn(async move { how.is(&handle.ended().await) });
    let mut stanzas = romeo.stanzas;
    tasks.spawn(async move { stanzas.next().await.is_none() });
    let mut sender = romeo.stanzas_sender;
    tasks.spawn(async move {
        loop {
            if let Err(end) = sender.send("<message/>".to_owned()).await {
                return how.is(&end);
            }
        }
    });
    sleep(Duration::from_secs(1)).await;
    assert!(tasks.try_join_next().is_none(), "{how:?}: all of them wait");

    {
        let mut control = control.lock().unwrap();
        match how {
            How::InOrder => control.say(Received::Ended),
            How::Broken => control.say(Received::Lost(io::ErrorKind::ConnectionReset.into())),
            How::NothingCanBeSent => control.break_sending(io::ErrorKind::BrokenPipe),
            How::NoStanza => control.say(Received::Stanza("<message><message>".to_owned())),
            How::DriverDropped => romeo.driver.abort(),
        }
    }
    let all = timeout(Duration::from_secs(1), tasks.join_all()).await;
    let all = all.unwrap_or_else(|_| panic!("{how:?}, {suspended}, {closes}: somebody waits on"));
    assert!(all.iter().all(|told| *told), "{how:?}: {all:?}");
    // So is who comes later.
    let late = romeo.handle.call(JULIET.parse::<xtls::jid::FullJid>().unwrap(), raw()).await;
    assert!(matches!(&late, Err(CallError::Gone(end)) if how.is(end)), "{how:?}: {late:?}");
    if how != How::DriverDropped {
        assert!(how.is(&romeo.driver.await.unwrap().end));
    }
    drop(juliet);
}

#[test]
fn what_came_before_the_end_is_read_after_it() {
    for how in WAYS {
        run(async move {
            let (clients, [control, _]) = Faulty::two(&Config::default());
            let [mut romeo, mut juliet] = bytes_between(&clients).await;
            let [mut hears, mut says] = xml_between(&clients).await;
            juliet.write_all(&noise(30_000)).await.unwrap();
            for number in 0..20 {
                says.send(message(&number.to_string())).await.unwrap();
            }
            sleep(Duration::from_secs(1)).await;
            let [one, _other] = clients;
            match how {
                How::InOrder => control.lock().unwrap().say(Received::Ended),
                How::Broken => control.lock().unwrap().say(Received::Lost(io::ErrorKind::ConnectionReset.into())),
                How::NothingCanBeSent => control.lock().unwrap().break_sending(io::ErrorKind::BrokenPipe),
                How::NoStanza => control.lock().unwrap().say(Received::Stanza("<".to_owned())),
                How::DriverDropped => one.driver.abort(),
            }
            sleep(Duration::from_secs(1)).await;
            let mut arrived = Vec::new();
            let error = romeo.read_to_end(&mut arrived).await.unwrap_err();
            assert!(arrived == noise(30_000), "{how:?}: {}", arrived.len());
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{how:?}");
            for number in 0..20 {
                assert_eq!(body(&hears.next().await.unwrap().unwrap()), number.to_string());
            }
            assert!(matches!(hears.next().await, Some(Err(error)) if is_told(&error, how)));
            assert!(hears.next().await.is_none());
        });
    }
}

#[test]
fn a_stream_that_is_away_for_minutes_and_resumed_loses_nothing() {
    run(async {
        let (clients, [control, _]) = Faulty::two(&Config::default());
        let [mut romeo, mut juliet] = bytes_between(&clients).await;
        for minutes in [1, 5, 9] {
            {
                let mut control = control.lock().unwrap();
                control.say(Received::Suspended);
                control.stop(true);
            }
            romeo.write_all(b"there").await.unwrap();
            juliet.write_all(b"back").await.unwrap();
            sleep(Duration::from_secs(60 * minutes)).await;
            {
                let mut control = control.lock().unwrap();
                control.say(Received::Resumed);
                control.stop(false);
            }
            juliet.read_exact(&mut [0; 5]).await.unwrap();
            romeo.read_exact(&mut [0; 4]).await.unwrap();
        }
    });
}

#[test]
fn a_stream_that_is_away_for_too_long_ends_its_tunnels_and_not_the_driver() {
    run(async {
        let (clients, [control, _]) = Faulty::two(&Config::default());
        let [mut romeo, _juliet] = bytes_between(&clients).await;
        control.lock().unwrap().say(Received::Suspended);
        control.lock().unwrap().stop(true);
        let error = romeo.read(&mut [0; 1]).await.unwrap_err();
        assert!(is_told_io(&error, How::Broken), "{error}");
        control.lock().unwrap().say(Received::Resumed);
        control.lock().unwrap().stop(false);
        assert!(!clients[0].driver.is_finished());
        let [mut romeo, mut juliet] = bytes_between(&clients).await;
        romeo.write_all(b"anew").await.unwrap();
        juliet.read_exact(&mut [0; 4]).await.unwrap();
    });
}

#[test]
fn an_offer_and_a_stream_in_the_making_end_with_the_outer_stream_too() {
    run(async {
        let (clients, [_, control]) = Faulty::two(&Config::default());
        let [romeo, juliet] = &clients;
        let call =
            timeout(Duration::from_secs(5), romeo.handle.call(JULIET.parse::<xtls::jid::FullJid>().unwrap(), stream()));
        let ring = async {
            let offer = juliet.handle.incoming().await.unwrap();
            control.lock().unwrap().say(Received::Ended);
            sleep(Duration::from_secs(1)).await;
            offer.accept(stream()).await
        };
        let (called, accepted) = tokio::join!(call, ring);
        assert!(matches!(accepted, Err(CallError::Gone(End::Ended))), "{accepted:?}");
        // Nobody tells Romeo before his time is up, or his server does.
        assert!(called.is_err());
    });
}

#[test]
fn the_sink_of_a_tunnel_that_has_ended_is_ready_to_say_so() {
    run(async {
        let (clients, [control, _]) = Faulty::two(&Config::default());
        let [mut romeo, _juliet] = xml_between(&clients).await;
        control.lock().unwrap().say(Received::Ended);
        sleep(Duration::from_secs(1)).await;
        poll_fn(|cx| Pin::new(&mut romeo).poll_ready(cx)).await.unwrap();
        assert!(Pin::new(&mut romeo).start_send(message("x")).is_err());
        assert!(romeo.flush().await.is_err() && romeo.close().await.is_err());
    });
}
