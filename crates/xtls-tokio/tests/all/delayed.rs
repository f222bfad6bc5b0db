//! How many times a set-up goes to the peer and back: counted, on a line with a delay and a clock that stands still meanwhile.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep};
use xtls::{Config, TunnelOptions};
use xtls_tokio::{
    OuterStream, Received, Tunnel,
    memory::{self, MemoryStream},
};

use crate::common::{Client, Who, raw, run, stream};

/// What it takes to the other end.
const DELAY: Duration = Duration::from_millis(500);

/// A stream on which everything arrives later.
struct Delayed {
    inner: MemoryStream,
    coming: VecDeque<(Instant, Received<String>)>,
    timer: Pin<Box<Sleep>>,
    has_ended: bool,
    sent: Arc<AtomicUsize>,
}

impl Delayed {
    /// Counts in `sent` what goes in at this end.
    fn new(inner: MemoryStream, sent: &Arc<AtomicUsize>) -> Self {
        let timer = Box::pin(tokio::time::sleep(DELAY));
        Self { inner, coming: VecDeque::new(), timer, has_ended: false, sent: Arc::clone(sent) }
    }
}

impl OuterStream for Delayed {
    type Stanza = String;

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Received<String>> {
        while !self.has_ended
            && let Poll::Ready(came) = self.inner.poll_recv(cx)
        {
            self.has_ended = matches!(came, Received::Ended);
            self.coming.push_back((Instant::now() + DELAY, came));
        }
        let Some((at, _)) = self.coming.front() else { return Poll::Pending };
        self.timer.as_mut().reset(*at);
        match self.timer.as_mut().poll(cx) {
            Poll::Ready(()) => self.coming.pop_front().map_or(Poll::Pending, |(_, came)| Poll::Ready(came)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn start_send(&mut self, stanza: String) -> io::Result<()> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.inner.start_send(stanza)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_flush(cx)
    }
}

/// What a set-up costs on the way.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    /// How often a call goes there and back until it can be used, in halves.
    call: u128,
    /// The same for an offer, from when it is accepted.
    offer: u128,
    /// Stanzas of both ends.
    stanzas: usize,
}

async fn cost(options: TunnelOptions) -> Cost {
    let [one, other] = Who::both();
    let (there, here) = memory::pair(&one.jid, &other.jid, 64);
    let sent = Arc::new(AtomicUsize::new(0));
    let romeo = Client::start(one.engine(&other, Config::default()), Delayed::new(there, &sent));
    let juliet = Client::start(other.engine(&one, Config::default()), Delayed::new(here, &sent));
    let called = async {
        let start = Instant::now();
        let tunnel = romeo.handle.call(other.jid.clone(), options.clone()).await.unwrap();
        (tunnel, start.elapsed())
    };
    let taken = async {
        let offer = juliet.handle.incoming().await.unwrap();
        let start = Instant::now();
        (offer.accept(options.clone()).await.unwrap(), start.elapsed())
    };
    let (called, taken): ((Tunnel, Duration), (Tunnel, Duration)) = tokio::join!(called, taken);
    // What is still to be answered.
    tokio::time::sleep(4 * DELAY).await;
    let [call, offer] = [called.1, taken.1].map(|took| (took.as_millis() + 10) / DELAY.as_millis());
    Cost { call, offer, stanzas: sent.load(Ordering::Relaxed) }
}

#[test]
fn a_call_takes_five_round_trips_and_four_where_support_is_known() {
    run(async {
        // Service discovery; the offer and its acceptance; the opening of the bytestream; the ClientHello; our Finished and the
        // peer's word on it. No timer is in the way of any. Every request has a result; the last one, our word to the peer, is on the way
        // when both can use the tunnel.
        assert_eq!(cost(raw()).await, Cost { call: 10, offer: 6, stanzas: 20 });
        let (xml, mut known) = (cost(stream()).await, raw());
        known.check_support = false;
        assert_eq!(xml, Cost { call: 10, offer: 6, stanzas: 20 });
        assert_eq!(cost(known).await, Cost { call: 8, offer: 6, stanzas: 18 });
    });
}
