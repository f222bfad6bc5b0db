//! Tunnels over connections of their own.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};
use xtls::{
    Config, Transport, TunnelOptions,
    jid::FullJid,
    transports::{Endpoint, Exposure, Host, Networks, Reach},
    xml::{Disco, DiscoIdentity},
};
use xtls_tokio::{ByteTunnel, Driver, memory};

use crate::common::{Client, JULIET, Who, noise, raw};

/// With sockets, and so in the time of day.
fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(Duration::from_secs(60), future).await.expect("nothing waits for ever") })
}

type Both = [Client<memory::MemoryStream>; 2];

/// Romeo, who listens here, and Juliet.
async fn two() -> (Both, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut listener = Some(listener);
    let [romeo, juliet] = Who::both();
    let (one, other) = memory::pair(&romeo.jid, &juliet.jid, 32);
    let mut config = Config::default();
    config.socks5 = true;
    let mut start = |who: &Who, peer: &Who, outer| {
        let engine = who.engine(peer, config.clone());
        let disco = Disco::new(engine.disco_info(DiscoIdentity::new("client", "bot")), "urn:example:test").unwrap();
        let (driver, handle, stanzas) = Driver::new(engine, outer);
        let stanzas_sender = stanzas.sender();
        let mut driver = driver.with_disco(disco);
        if let Some(listener) = listener.take() {
            driver = driver.with_listener(listener);
        }
        Client { handle, stanzas, stanzas_sender, driver: tokio::spawn(driver) }
    };
    ([start(&romeo, &juliet, one), start(&juliet, &romeo, other)], port)
}

fn over(reach: Reach) -> TunnelOptions {
    raw().over(vec![Transport::Socks5(reach), Transport::InBand])
}

/// Romeo offers his listener, and Juliet may dial this.
async fn tunnels([romeo, juliet]: &Both, port: u16, networks: Networks) -> [ByteTunnel; 2] {
    let here = Endpoint::new(Host::new("127.0.0.1").unwrap(), port);
    let offer = over(Reach::new(Exposure::Direct).with_endpoint(here));
    let answer = over(Reach::new(Exposure::Direct).within(networks));
    let accept = async { juliet.handle.incoming().await.unwrap().accept(answer).await.unwrap() };
    let peer: FullJid = JULIET.parse().unwrap();
    let (one, other) = tokio::join!(romeo.handle.call(peer, offer), accept);
    [one.unwrap().into_bytes().unwrap(), other.into_bytes().unwrap()]
}

fn loopback() -> Networks {
    Networks::default().with("127.0.0.0/8".parse().unwrap())
}

#[test]
fn bytes_go_both_ways_by_a_connection_and_each_ends_by_itself() {
    run(async {
        let (clients, port) = two().await;
        let [romeo, juliet] = tunnels(&clients, port, loopback()).await;
        let data = noise(8_000_000);
        let send = |mut tunnel: ByteTunnel| {
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
                assert_eq!((closed.truncated, closed.unacked), (false, 0), "{closed:?}");
            }
        };
        tokio::join!(send(romeo), send(juliet));
        let [one, other] = clients;
        timeout(Duration::from_secs(5), async { tokio::join!(one.handle.shutdown(), other.handle.shutdown()) })
            .await
            .expect("nothing keeps the drivers");
    });
}

#[test]
fn an_address_that_may_not_be_dialled_is_not_and_the_tunnel_goes_in_band() {
    run(async {
        let (clients, port) = two().await;
        let [mut romeo, mut juliet] = tunnels(&clients, port, Networks::default()).await;
        romeo.write_all(b"a rose").await.unwrap();
        romeo.shutdown().await.unwrap();
        let mut heard = Vec::new();
        juliet.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"a rose");
    });
}

#[test]
fn visitors_that_nobody_expects_are_refused_and_sixteen_that_say_nothing_keep_the_others_waiting_for_ten_seconds() {
    run(async {
        let (_clients, port) = two().await;
        let mut stranger = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stranger.write_all(&[5, 1, 0]).await.unwrap();
        let mut answer = [0; 2];
        stranger.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, [5, 0]);
        let mut request = vec![5, 1, 0, 3, 40];
        request.extend_from_slice(&[b'a'; 40]);
        request.extend_from_slice(&[0, 0]);
        stranger.write_all(&request).await.unwrap();
        let mut rest = Vec::new();
        stranger.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest[..2], [5, 2], "not allowed");
        let mut idle = Vec::new();
        for _ in 0..16 {
            idle.push(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
        }
        let began = Instant::now();
        let mut late = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        late.write_all(&[5, 1, 0]).await.unwrap();
        late.read_exact(&mut answer).await.unwrap();
        let waited = began.elapsed();
        assert!((Duration::from_secs(9)..Duration::from_secs(12)).contains(&waited), "{waited:?}");
        for mut idle in idle {
            assert_eq!(idle.read(&mut answer).await.unwrap(), 0);
        }
    });
}
