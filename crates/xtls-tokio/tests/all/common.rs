//! Romeo and Juliet, and what is between them.

use std::{
    io,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use tokio::task::JoinHandle;
use xtls::{
    Application, Config, Element, Engine, Identity, Local, Setup, TrustPolicy, TunnelOptions,
    jid::FullJid,
    tls::{KeyAlgorithm, UnixTime},
    trust::{MemoryTrustStore, Pin},
    xml::{Disco, DiscoIdentity, Limits, ns},
};
use xtls_tokio::{
    ByteTunnel, Driver, Ended, Handle, OuterStream, Received, StanzaSender, Stanzas, XmlTunnel,
    memory::{self, MemoryStream},
};

pub(crate) const ROMEO: &str = "romeo@montague.example/orchard";
pub(crate) const JULIET: &str = "juliet@capulet.example/balcony";

/// Somebody with an address and a certificate.
pub(crate) struct Who {
    pub(crate) jid: FullJid,
    identity: Identity,
}

/// A client that runs.
pub(crate) struct Client<O: OuterStream> {
    pub(crate) handle: Handle,
    pub(crate) stanzas: Stanzas<O::Stanza>,
    pub(crate) stanzas_sender: StanzaSender<O::Stanza>,
    pub(crate) driver: JoinHandle<Ended<O>>,
}

impl Who {
    pub(crate) fn both() -> [Self; 2] {
        [ROMEO, JULIET].map(|jid| {
            let jid: FullJid = jid.parse().unwrap();
            let identity = Identity::generate(&jid.to_bare(), KeyAlgorithm::Ed25519, unix()).unwrap();
            Self { jid, identity }
        })
    }

    /// An engine that trusts this peer.
    pub(crate) fn engine(&self, peer: &Self, mut config: Config) -> Engine {
        config.sole_handler = true;
        self.engine_as(peer, config)
    }

    /// The same with nothing changed in the configuration.
    pub(crate) fn engine_as(&self, peer: &Self, config: Config) -> Engine {
        let mut store = MemoryTrustStore::default();
        store.pin(&peer.jid.to_bare(), Pin::manual(peer.identity.fingerprint_sha256()));
        self.engine_with(store, config)
    }

    pub(crate) fn engine_with(&self, store: MemoryTrustStore, config: Config) -> Engine {
        let local = Local::new(self.jid.clone(), self.identity.clone());
        let mut seed = [0; 32];
        local.provider.secure_random.fill(&mut seed).unwrap();
        let setup = Setup::new(local, Box::new(store), seed, unix()).with_config(config);
        Engine::new(setup, tokio::time::Instant::now().into_std()).unwrap()
    }
}

impl<O: OuterStream + 'static> Client<O> {
    pub(crate) fn start(engine: Engine, outer: O) -> Self {
        let disco = Disco::new(engine.disco_info(DiscoIdentity::new("client", "bot")), "urn:example:test").unwrap();
        let (driver, handle, stanzas) = Driver::new(engine, outer);
        let stanzas_sender = stanzas.sender();
        Self { handle, stanzas, stanzas_sender, driver: tokio::spawn(driver.with_disco(disco)) }
    }
}

pub(crate) fn unix() -> UnixTime {
    UnixTime::since_unix_epoch(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap())
}

/// Runs it under a clock that stands still while anything is to be done, and that a runaway would not stop.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let limit = Duration::from_secs(4 * 3600);
        tokio::time::timeout(limit, future).await.expect("nothing waits for ever")
    })
}

/// Two clients that trust one another.
pub(crate) fn two(config: &Config) -> [Client<MemoryStream>; 2] {
    let [romeo, juliet] = Who::both();
    let (one, other) = memory::pair(&romeo.jid, &juliet.jid, 16);
    [
        Client::start(romeo.engine(&juliet, config.clone()), one),
        Client::start(juliet.engine(&romeo, config.clone()), other),
    ]
}

pub(crate) fn raw() -> TunnelOptions {
    TunnelOptions::new(Application::bytes(), TrustPolicy::Pinned)
}

pub(crate) fn stream() -> TunnelOptions {
    TunnelOptions::xml_stream(TrustPolicy::Pinned)
}

/// A tunnel of raw bytes between the two; Romeo calls.
pub(crate) async fn bytes_between<O: OuterStream>([romeo, juliet]: &[Client<O>; 2]) -> [ByteTunnel; 2] {
    let called = romeo.handle.call(JULIET.parse::<FullJid>().unwrap(), raw());
    let taken = async { juliet.handle.incoming().await.unwrap().accept(raw()).await };
    let (called, taken) = tokio::join!(called, taken);
    [called.unwrap().into_bytes().unwrap(), taken.unwrap().into_bytes().unwrap()]
}

/// The same with an XML stream.
pub(crate) async fn xml_between<O: OuterStream>([romeo, juliet]: &[Client<O>; 2]) -> [XmlTunnel; 2] {
    let called = romeo.handle.call(JULIET.parse::<FullJid>().unwrap(), stream());
    let taken = async { juliet.handle.incoming().await.unwrap().accept(stream()).await };
    let (called, taken) = tokio::join!(called, taken);
    [called.unwrap().into_xml().unwrap(), taken.unwrap().into_xml().unwrap()]
}

/// Bytes that are not all the same.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * 7 + at / 251) % 256).unwrap()).collect()
}

pub(crate) fn message(body: &str) -> Element {
    Element::builder("message", ns::CLIENT).open("body", ns::CLIENT).text(body).build().unwrap()
}

pub(crate) fn body(stanza: &Element) -> String {
    stanza.child("body", ns::CLIENT).map(|body| body.text()).unwrap_or_default()
}

pub(crate) fn element(text: &str) -> Element {
    Element::parse(text, &Limits::default()).unwrap()
}

/// An outer stream whose misfortunes a test decides on. What it holds back is kept in order.
pub(crate) struct Faulty {
    inner: MemoryStream,
    control: Arc<Mutex<Control>>,
}

/// What a [`Faulty`] stream does.
#[derive(Default)]
pub(crate) struct Control {
    /// To be received before anything else.
    say: Vec<Received<String>>,
    /// Nothing passes, in either direction.
    stopped: bool,
    /// Nothing more is taken to be sent.
    full: bool,
    /// What sending comes to.
    breaks: Option<io::ErrorKind>,
    waker: Option<Waker>,
}

impl Faulty {
    pub(crate) fn new(inner: MemoryStream) -> (Self, Arc<Mutex<Control>>) {
        let control = Arc::new(Mutex::new(Control::default()));
        (Self { inner, control: Arc::clone(&control) }, control)
    }

    /// Two clients, each with a hand on its stream.
    pub(crate) fn two(config: &Config) -> ([Client<Self>; 2], [Arc<Mutex<Control>>; 2]) {
        let [romeo, juliet] = Who::both();
        let (one, other) = memory::pair(&romeo.jid, &juliet.jid, 16);
        let ((one, first), (other, second)) = (Self::new(one), Self::new(other));
        let clients = [
            Client::start(romeo.engine(&juliet, config.clone()), one),
            Client::start(juliet.engine(&romeo, config.clone()), other),
        ];
        (clients, [first, second])
    }
}

impl Control {
    pub(crate) fn say(&mut self, received: Received<String>) {
        self.say.push(received);
        self.wake();
    }

    pub(crate) fn stop(&mut self, stopped: bool) {
        self.stopped = stopped;
        self.wake();
    }

    pub(crate) fn fill(&mut self, full: bool) {
        self.full = full;
        self.wake();
    }

    pub(crate) fn break_sending(&mut self, kind: io::ErrorKind) {
        self.breaks = Some(kind);
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl OuterStream for Faulty {
    type Stanza = String;

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Received<String>> {
        let mut control = self.control.lock().unwrap();
        control.waker = Some(cx.waker().clone());
        if !control.say.is_empty() {
            return Poll::Ready(control.say.remove(0));
        }
        if control.stopped { Poll::Pending } else { self.inner.poll_recv(cx) }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut control = self.control.lock().unwrap();
        control.waker = Some(cx.waker().clone());
        match control.breaks {
            Some(kind) => Poll::Ready(Err(kind.into())),
            None if control.stopped || control.full => Poll::Pending,
            None => self.inner.poll_ready(cx),
        }
    }

    fn start_send(&mut self, stanza: String) -> io::Result<()> {
        self.inner.start_send(stanza)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_flush(cx)
    }
}
