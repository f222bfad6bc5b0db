//! Futures that are dropped at any point.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use futures::{Sink, SinkExt, StreamExt};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use xtls::{Config, jid::FullJid};

use crate::common::{Faulty, JULIET, body, bytes_between, message, noise, raw, run, two, xml_between};

/// Polls so often, with everybody else having a turn in between, and drops it then.
async fn polled<F: Future>(future: F, mut polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if polls == 0 => Poll::Ready(None),
        Poll::Pending => {
            polls -= 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

/// What the writer does next.
#[derive(Clone, Debug)]
enum Step {
    /// Write so much.
    Write(usize),
    /// Flush.
    Flush,
    /// Let the outer stream pass nothing, or let it go on.
    Stop(bool),
    /// Let everybody do what there is to be done.
    Pause,
}

fn steps() -> impl Strategy<Value = Vec<(Step, usize)>> {
    let step = prop_oneof![
        6 => (1..60_000_usize).prop_map(Step::Write),
        2 => Just(Step::Flush),
        1 => any::<bool>().prop_map(Step::Stop),
        1 => Just(Step::Pause),
    ];
    prop::collection::vec((step, 0..6_usize), 1..60)
}

/// How much is read at once, and how often that is polled before it is dropped.
fn reads() -> impl Strategy<Value = Vec<(usize, usize)>> {
    prop::collection::vec((1..20_000_usize, 0..4_usize), 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn bytes_that_were_reported_as_written_arrive_whatever_was_dropped(steps in steps(), reads in reads()) {
        run(async {
            let mut config = Config::default();
            (config.send_buffer, config.receive_buffer) = (16 * 1024, 64 * 1024);
            let (clients, [control, _]) = Faulty::two(&config);
            let [mut romeo, mut juliet] = bytes_between(&clients).await;
            let reader = tokio::spawn(async move {
                let (mut arrived, mut buffer) = (Vec::new(), vec![0; 20_000]);
                for (size, polls) in reads.into_iter().cycle() {
                    match polled(juliet.read(&mut buffer[..size]), polls).await {
                        Some(read) => match read.unwrap() {
                            0 => break,
                            count => arrived.extend_from_slice(&buffer[..count]),
                        },
                        None => tokio::time::sleep(Duration::from_millis(1)).await,
                    }
                }
                arrived
            });
            let (data, mut written) = (noise(4_000_000), 0);
            for (step, polls) in steps {
                match step {
                    Step::Write(size) => {
                        let write = polled(romeo.write(&data[written..written + size]), polls).await;
                        written += write.transpose().unwrap().unwrap_or_default();
                    }
                    Step::Flush => drop(polled(romeo.flush(), polls).await),
                    Step::Stop(stop) => control.lock().unwrap().stop(stop),
                    Step::Pause => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
            control.lock().unwrap().stop(false);
            polled(romeo.shutdown(), 2).await;
            romeo.shutdown().await.unwrap();
            assert_eq!(romeo.unacked(), 0);
            let arrived = reader.await.unwrap();
            assert_eq!((arrived.len(), arrived == data[..written]), (written, true));
        });
    }

    #[test]
    fn stanzas_that_were_taken_arrive_in_order_whatever_was_dropped(steps in steps(), reads in reads()) {
        run(async {
            let mut config = Config::default();
            config.send_buffer = 16 * 1024;
            let (clients, [control, _]) = Faulty::two(&config);
            let [mut romeo, mut juliet] = xml_between(&clients).await;
            let reader = tokio::spawn(async move {
                let mut arrived = Vec::new();
                for (_, polls) in reads.into_iter().cycle() {
                    match polled(juliet.next(), polls).await {
                        Some(Some(stanza)) => arrived.push(body(&stanza.unwrap())),
                        Some(None) => break,
                        None => tokio::time::sleep(Duration::from_millis(1)).await,
                    }
                }
                arrived
            });
            let mut taken = Vec::new();
            for (step, polls) in steps {
                match step {
                    Step::Write(size) => {
                        let ready = polled(poll_fn(|cx| Pin::new(&mut romeo).poll_ready(cx)), polls).await;
                        if let Some(ready) = ready {
                            ready.unwrap();
                            let text = format!("{} {}", taken.len(), "x".repeat(size / 10));
                            Pin::new(&mut romeo).start_send(message(&text)).unwrap();
                            taken.push(text);
                        }
                    }
                    Step::Flush => drop(polled(SinkExt::<xtls::Element>::flush(&mut romeo), polls).await),
                    Step::Stop(stop) => control.lock().unwrap().stop(stop),
                    Step::Pause => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
            control.lock().unwrap().stop(false);
            polled(romeo.close(), 2).await;
            romeo.close().await.unwrap();
            let arrived = reader.await.unwrap();
            assert_eq!(arrived.len(), taken.len());
            assert!(arrived == taken);
        });
    }
}

/// Every point of a call, from before its first stanza to after the tunnel is there.
#[test]
fn a_call_that_is_dropped_at_any_point_leaves_nothing_behind() {
    run(async {
        let clients = two(&Config::default());
        let [romeo, juliet] = &clients;
        let peer: FullJid = JULIET.parse().unwrap();
        let mut came_about = 0;
        for polls in 0..60 {
            let accepting = async {
                let offer = juliet.handle.incoming().await.unwrap();
                offer.accept(raw()).await
            };
            let mut accepting = pin!(polled(accepting, 400));
            let call = polled(romeo.handle.call(peer.clone(), raw()), polls);
            let (called, accepted) = tokio::join!(call, &mut accepting);
            came_about += usize::from(called.is_some());
            drop((called, accepted));
            tokio::time::sleep(Duration::from_secs(120)).await;
            for client in &clients {
                let left = client.handle.with_engine(|engine, _| engine.tunnels().count());
                assert_eq!(left, 0, "after {polls} polls");
            }
        }
        assert!((1..60).contains(&came_about), "some were dropped before, and some not: {came_about}");
    });
}

#[test]
fn an_offer_is_not_lost_with_a_future_that_waited_for_it() {
    run(async {
        let clients = two(&Config::default());
        let [romeo, juliet] = &clients;
        let handle = romeo.handle.clone();
        let call = tokio::spawn(async move { handle.call(JULIET.parse::<FullJid>().unwrap(), raw()).await });
        let mut dropped = 0;
        let offer = loop {
            match polled(juliet.handle.incoming(), dropped % 3).await {
                Some(offer) => break offer.unwrap(),
                None => dropped += 1,
            }
            tokio::task::yield_now().await;
        };
        assert!(dropped > 0);
        let accepted = offer.accept(raw()).await.unwrap();
        assert_eq!(call.await.unwrap().unwrap().peer().as_str(), JULIET);
        drop(accepted);
    });
}
