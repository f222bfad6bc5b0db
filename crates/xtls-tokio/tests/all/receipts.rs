//! Receipts for raw bytes: the peer's application has everything.

use std::time::Duration;

use futures::FutureExt as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use xtls::{Config, EndedBy, Receipt, error::ReceiptError};

use crate::common::{bytes_between, noise, run, two};

#[test]
fn it_is_given_once_the_reader_has_seen_the_end_and_not_before() {
    run(async {
        let clients = two(&Config::default());
        let [mut romeo, mut juliet] = bytes_between(&clients).await;
        romeo.write_all(&noise(1000)).await.unwrap();
        romeo.shutdown().await.unwrap();
        assert_eq!(romeo.unacked(), 0, "say the servers");
        // All of it is out of the engine, but for what tells that it is all.
        juliet.read_exact(&mut [0; 1000]).await.unwrap();
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert!(romeo.receipt().now_or_never().is_none());
        assert_eq!(juliet.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(romeo.receipt().await, Receipt::Given);
        // The other direction has its own.
        juliet.write_all(b"thanks").await.unwrap();
        juliet.shutdown().await.unwrap();
        romeo.read_to_end(&mut Vec::new()).await.unwrap();
        assert_eq!(juliet.receipt().await, Receipt::Given);
        for (tunnel, by) in [(&romeo, EndedBy::Remote), (&juliet, EndedBy::Local)] {
            let closed = tunnel.closed().await;
            assert_eq!((closed.by, closed.receipt), (by, Receipt::Given));
            assert_eq!(tunnel.receipt().await, Receipt::Given, "after the end too");
        }
    });
}

#[test]
fn one_that_is_held_is_given_by_the_application() {
    run(async {
        let clients = two(&Config::default());
        let [mut romeo, mut juliet] = bytes_between(&clients).await;
        juliet.hold_receipt();
        romeo.write_all(&noise(100_000)).await.unwrap();
        romeo.begin_close();
        juliet.read_exact(&mut [0; 1]).await.unwrap();
        assert_eq!(juliet.give_receipt(), Err(ReceiptError::Early), "there is more to read");
        juliet.read_to_end(&mut Vec::new()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert!(romeo.receipt().now_or_never().is_none() && romeo.end().is_none());
        assert_eq!(juliet.give_receipt(), Ok(()));
        assert_eq!(romeo.receipt().await, Receipt::Given);
        romeo.closed().await;
    });
}

#[test]
fn a_reader_that_is_dropped_before_the_end_gives_none() {
    run(async {
        for in_order in [false, true] {
            let clients = two(&Config::default());
            let [mut romeo, mut juliet] = bytes_between(&clients).await;
            romeo.write_all(&noise(1000)).await.unwrap();
            romeo.shutdown().await.unwrap();
            juliet.read_exact(&mut [0; 10]).await.unwrap();
            if in_order {
                juliet.finish().unwrap();
            }
            drop(juliet);
            let began = tokio::time::Instant::now();
            assert_eq!(romeo.receipt().await, Receipt::Missing, "{in_order}");
            assert!(began.elapsed() < Duration::from_secs(10), "it is not waited for");
        }
    });
}
