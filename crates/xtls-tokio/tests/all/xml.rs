//! XML streams.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::time::timeout;
use xtls::{Config, error::SendError};
use xtls_tokio::TunnelError;

use crate::common::{body, element, message, run, two, xml_between};

#[test]
fn stanzas_pass_both_ways_in_order_and_closing_waits_for_the_end() {
    run(async {
        let clients = two(&Config::default());
        let [mut romeo, mut juliet] = xml_between(&clients).await;
        let say = async {
            for number in 0..500 {
                romeo.feed(message(&number.to_string())).await.unwrap();
            }
            romeo.flush().await.unwrap();
        };
        let hear = async {
            for number in 0..500 {
                assert_eq!(body(&juliet.next().await.unwrap().unwrap()), number.to_string());
            }
        };
        tokio::join!(say, hear);
        juliet.send(message("enough")).await.unwrap();
        assert_eq!(body(&romeo.next().await.unwrap().unwrap()), "enough");
        let rest = async { juliet.next().await.is_none() };
        let (closed, is_over) = tokio::join!(romeo.close(), rest);
        closed.unwrap();
        assert!(is_over);
        assert!(!juliet.closed().await.truncated);
    });
}

#[test]
fn what_cannot_be_sent_leaves_the_stream_as_it_was() {
    run(async {
        let clients = two(&Config::default());
        let [mut romeo, mut juliet] = xml_between(&clients).await;
        let foreign = element("<message xmlns='jabber:client' to='mercutio@verona.example'/>");
        let refused = romeo.send(foreign).await.unwrap_err();
        assert!(matches!(refused, TunnelError::Unsendable(SendError::ForeignAddress)), "{refused}");
        romeo.send(message("still here")).await.unwrap();
        assert_eq!(body(&juliet.next().await.unwrap().unwrap()), "still here");
    });
}

#[test]
fn a_stream_that_is_dropped_is_truncated_and_what_came_is_read_first() {
    run(async {
        let clients = two(&Config::default());
        let [mut romeo, mut juliet] = xml_between(&clients).await;
        romeo.send(message("and")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(romeo);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(body(&juliet.next().await.unwrap().unwrap()), "and");
        let Some(Err(TunnelError::Closed(closed))) = juliet.next().await else { panic!("it is no end") };
        assert!(closed.truncated);
        assert!(juliet.next().await.is_none());
        assert!(matches!(juliet.send(message("x")).await, Err(TunnelError::Closed(_))));
    });
}

/// Stanzas that nobody takes stop the peer at the engine's bound, although they wait here.
#[test]
fn a_reader_that_takes_nothing_stops_the_peer_at_the_receive_buffer_and_loses_nothing() {
    run(async {
        let mut config = Config::default();
        (config.send_buffer, config.receive_buffer) = (64 * 1024, 64 * 1024);
        let clients = two(&config);
        let [mut romeo, mut juliet] = xml_between(&clients).await;
        let text = "x".repeat(1000);
        let mut sent = 0;
        loop {
            let stanza = message(&format!("{sent} {text}"));
            match timeout(Duration::from_secs(1), romeo.feed(stanza)).await {
                Ok(fed) => fed.unwrap(),
                Err(_) => break,
            }
            sent += 1;
        }
        // Some 64 KiB wait to be sent and as much to be read, with 32 blocks between; an element holds more than its text.
        assert!((100..400).contains(&sent), "{sent}");
        let hear = async {
            for number in 0..sent {
                let stanza = juliet.next().await.unwrap().unwrap();
                assert_eq!(body(&stanza), format!("{number} {text}"));
            }
            assert_eq!(body(&juliet.next().await.unwrap().unwrap()), "on");
        };
        let (said, ()) = tokio::join!(romeo.send(message("on")), hear);
        said.unwrap();
    });
}
