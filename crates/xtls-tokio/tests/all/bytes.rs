//! Raw bytes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf},
    time::{Instant, timeout},
};
use xtls::{Config, config::Window};
use xtls_tokio::TunnelError;

use crate::common::{Faulty, bytes_between, noise, run, two};

#[test]
fn bytes_arrive_in_both_directions_and_each_ends_by_itself() {
    run(async {
        let clients = two(&Config::default());
        let [romeo, juliet] = bytes_between(&clients).await;
        let data = noise(1_000_000);
        let send = |mut tunnel: xtls_tokio::ByteTunnel| {
            let data = data.clone();
            async move {
                let (mut reader, mut writer) = tokio::io::split(&mut tunnel);
                let mut arrived = Vec::new();
                let write = async {
                    writer.write_all(&data).await.unwrap();
                    writer.shutdown().await.unwrap();
                };
                let (_, read) = tokio::join!(write, reader.read_to_end(&mut arrived));
                assert_eq!((read.unwrap(), arrived == data), (data.len(), true));
                let closed = tunnel.closed().await;
                assert_eq!((closed.truncated, closed.unacked, tunnel.unacked()), (false, 0, 0));
            }
        };
        tokio::join!(send(romeo), send(juliet));
    });
}

#[test]
fn all_of_a_reader_is_sent_and_told_of_as_it_is_acknowledged() {
    run(async {
        let clients = two(&Config::default());
        let [mut romeo, mut juliet] = bytes_between(&clients).await;
        let (data, mut told, mut heard) = (noise(1_000_000), Vec::new(), Vec::new());
        let send = romeo.send_all(data.as_slice(), |acked| told.push(acked));
        let (sent, read) = tokio::join!(send, juliet.read_to_end(&mut heard));
        assert_eq!((sent.unwrap(), read.unwrap(), heard == data), (1_000_000, 1_000_000, true));
        assert!(told.len() > data.len() / (32 * 1024), "{told:?}");
        assert!(told.is_sorted() && told[0] < 32 * 1024, "{told:?}");
        assert_eq!(told.last(), Some(&1_000_000));
    });
}

#[test]
fn a_peer_that_reads_nothing_for_now_does_not_stop_the_telling() {
    run(async {
        for size in [350_000_u64, 2_000_000] {
            let clients = two(&Config::default());
            let [mut romeo, mut juliet] = bytes_between(&clients).await;
            let (data, mut told, mut heard) = (noise(usize::try_from(size).unwrap()), Vec::new(), Vec::new());
            let (began, read_at) = (Instant::now(), Duration::from_secs(10));
            let send = romeo.send_all(data.as_slice(), |acked| told.push((began.elapsed(), acked)));
            let read = async {
                tokio::time::sleep(read_at).await;
                juliet.read_to_end(&mut heard).await.unwrap();
            };
            let (sent, ()) = tokio::join!(send, read);
            assert!(sent.unwrap() == size && heard == data);
            let meanwhile = told.iter().filter(|(when, _)| *when < read_at);
            let (count, most) = meanwhile.fold((0, 0), |(count, most), (_, acked)| (count + 1, most.max(*acked)));
            assert!(count >= 38 && most < size, "{count} {most}");
        }
    });
}

/// A file on a disk that breaks.
struct Broken;

impl AsyncRead for Broken {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::Error::other("broken")))
    }
}

#[test]
fn a_reader_that_fails_leaves_the_peer_with_a_part_that_it_knows_to_be_one() {
    run(async {
        let clients = two(&Config::default());
        let [mut romeo, mut juliet] = bytes_between(&clients).await;
        let failed = romeo.send_all(noise(1000).as_slice().chain(Broken), |_| {}).await.unwrap_err();
        assert_eq!((failed.to_string().as_str(), TunnelError::of(&failed).is_none()), ("broken", true));
        drop(romeo);
        let error = juliet.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    });
}

#[test]
fn a_peer_that_leaves_ends_what_is_sent() {
    run(async {
        let clients = two(&Config::default());
        let [mut romeo, juliet] = bytes_between(&clients).await;
        let leave = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(juliet);
        };
        let (sent, ()) = tokio::join!(romeo.send_all(tokio::io::repeat(7), |_| {}), leave);
        let error = sent.unwrap_err();
        assert!(matches!(TunnelError::of(&error), Some(TunnelError::Closed(closed)) if closed.unacked > 0), "{error}");
    });
}

#[test]
fn after_a_half_close_the_other_direction_goes_on() {
    run(async {
        let clients = two(&Config::default());
        let [mut romeo, mut juliet] = bytes_between(&clients).await;
        romeo.write_all(b"question").await.unwrap();
        // It waits for the peer's word, and not for the peer's end.
        romeo.shutdown().await.unwrap();
        assert_eq!(romeo.unacked(), 0);
        let refused = romeo.write(b"more").await.unwrap_err();
        assert!(matches!(TunnelError::of(&refused), Some(TunnelError::Finished)), "{refused}");
        let mut heard = String::new();
        juliet.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "question");
        juliet.write_all(b"answer").await.unwrap();
        juliet.shutdown().await.unwrap();
        heard.clear();
        romeo.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "answer");
    });
}

#[test]
fn a_half_close_is_not_over_before_it_is_acknowledged() {
    run(async {
        let (clients, [_, control]) = Faulty::two(&Config::default());
        let [mut romeo, mut juliet] = bytes_between(&clients).await;
        control.lock().unwrap().stop(true);
        romeo.write_all(b"word").await.unwrap();
        // What is handed to the outer stream is flushed, whoever reads it.
        romeo.flush().await.unwrap();
        assert!(romeo.unacked() > 0);
        assert!(timeout(Duration::from_secs(20), romeo.shutdown()).await.is_err());
        control.lock().unwrap().stop(false);
        romeo.shutdown().await.unwrap();
        assert_eq!(romeo.unacked(), 0);
        assert_eq!(juliet.read_u32().await.unwrap(), u32::from_be_bytes(*b"word"));
    });
}

#[test]
fn a_flush_waits_for_what_the_outer_stream_has_no_room_for() {
    run(async {
        let mut config = Config::default();
        config.window = Window::Fixed(32);
        let (clients, [control, _]) = Faulty::two(&config);
        let [mut romeo, mut juliet] = bytes_between(&clients).await;
        control.lock().unwrap().stop(true);
        romeo.write_all(&noise(10_000)).await.unwrap();
        assert!(timeout(Duration::from_secs(20), romeo.flush()).await.is_err());
        control.lock().unwrap().stop(false);
        romeo.flush().await.unwrap();
        let mut arrived = vec![0; 10_000];
        juliet.read_exact(&mut arrived).await.unwrap();
        assert_eq!(arrived, noise(10_000));
    });
}

/// What nobody reads holds the writer back, at the documented bounds: all buffers on the way, and not a byte more.
#[test]
fn a_slow_reader_holds_the_writer_back_and_loses_nothing() {
    run(async {
        let mut config = Config::default();
        (config.send_buffer, config.receive_buffer) = (64 * 1024, 64 * 1024);
        let clients = two(&config);
        let [mut romeo, mut juliet] = bytes_between(&clients).await;
        let (data, mut written) = (noise(3_000_000), 0);
        // Nothing moves any more after a while.
        while let Ok(count) = timeout(Duration::from_secs(1), romeo.write(&data[written..])).await {
            written += count.unwrap();
        }
        // The writer's buffer, the reader's, and 32 blocks that are not acknowledged.
        assert!(written >= 2 * 64 * 1024, "{written}");
        assert!(written <= 2 * 64 * 1024 + 33 * 4096 + 16 * 1024, "{written}");
        // It is no fault: a chat beside it goes on, and so does this.
        let reader = tokio::spawn(async move {
            let mut arrived = Vec::new();
            let mut buffer = [0; 1000];
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                let count = juliet.read(&mut buffer).await.unwrap();
                if count == 0 {
                    return arrived;
                }
                arrived.extend_from_slice(&buffer[..count]);
            }
        });
        romeo.write_all(&data[written..]).await.unwrap();
        romeo.shutdown().await.unwrap();
        assert!(reader.await.unwrap() == data);
    });
}

#[test]
fn a_slow_reader_of_one_tunnel_does_not_hold_up_another() {
    run(async {
        let clients = two(&Config::default());
        let [mut slow, _unread] = bytes_between(&clients).await;
        while let Ok(count) = timeout(Duration::from_secs(1), slow.write(&[7; 65536])).await {
            count.unwrap();
        }
        let start = Instant::now();
        let [mut romeo, mut juliet] = bytes_between(&clients).await;
        let data = noise(500_000);
        let write = async {
            romeo.write_all(&data).await.unwrap();
            romeo.shutdown().await.unwrap();
        };
        let mut arrived = Vec::new();
        let (_, read) = tokio::join!(write, juliet.read_to_end(&mut arrived));
        assert_eq!(read.unwrap(), data.len());
        assert!(arrived == data && start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    });
}

#[test]
fn what_is_dropped_without_a_shutdown_the_peer_sees_as_truncated() {
    run(async {
        let clients = two(&Config::default());
        let [mut romeo, mut juliet] = bytes_between(&clients).await;
        romeo.write_all(b"half of it").await.unwrap();
        let mut heard = [0; 10];
        juliet.read_exact(&mut heard).await.unwrap();
        drop(romeo);
        let error = juliet.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let Some(TunnelError::Closed(closed)) = TunnelError::of(&error) else { panic!("{error}") };
        assert!(closed.truncated);
        assert!(juliet.end().is_some());
        assert_eq!(juliet.write(b"x").await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    });
}

#[test]
fn what_is_dropped_after_a_shutdown_ends_in_order_and_the_last_bytes_arrive() {
    run(async {
        let clients = two(&Config::default());
        let [mut romeo, mut juliet] = bytes_between(&clients).await;
        romeo.write_all(&noise(200_000)).await.unwrap();
        // Not waited for: what was written is on its way all the same.
        let _ = timeout(Duration::ZERO, romeo.shutdown()).await;
        drop(romeo);
        let mut arrived = Vec::new();
        juliet.read_to_end(&mut arrived).await.unwrap();
        assert!(arrived == noise(200_000));
    });
}
