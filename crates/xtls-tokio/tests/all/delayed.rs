//! How many times a set-up goes to the peer and back: counted, on a line with a delay and a clock that stands still meanwhile.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
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
}

impl Delayed {
    fn new(inner: MemoryStream) -> Self {
        Self { inner, coming: VecDeque::new(), timer: Box::pin(tokio::time::sleep(DELAY)), has_ended: false }
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
        self.inner.start_send(stanza)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_flush(cx)
    }
}

/// How many times a call goes there and back until it can be used, and an offer from when it is accepted, in halves.
async fn halves(options: TunnelOptions) -> [u128; 2] {
    let [one, other] = Who::both();
    let (there, here) = memory::pair(&one.jid, &other.jid, 64);
    let romeo = Client::start(one.engine(&other, Config::default()), Delayed::new(there));
    let juliet = Client::start(other.engine(&one, Config::default()), Delayed::new(here));
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
    [called.1, taken.1].map(|took| (took.as_millis() + 10) / DELAY.as_millis())
}

#[test]
fn a_call_takes_five_round_trips_and_four_where_support_is_known() {
    run(async {
        // Service discovery; the offer and its acceptance; the opening of the bytestream; the ClientHello; our Finished and the
        // peer's word on it. No timer is in the way of any.
        assert_eq!(halves(raw()).await, [10, 6]);
        let (xml, mut known) = (halves(stream()).await, raw());
        known.check_support = false;
        assert_eq!((xml, halves(known).await), ([10, 6], [8, 6]));
    });
}
