//! Row `setup`: how long it takes to open a tunnel through a real Prosody on loopback with `xtls-tokio`, beside pings between the
//! same two clients over the same connections: nothing waits for a timer, or for Nagle's algorithm.

use std::borrow::Cow;

use futures::{SinkExt as _, StreamExt as _};
use tokio::{
    io::BufStream,
    net::TcpStream,
    runtime::{Builder, Runtime},
};
use tokio_xmpp::{
    Error, Stanza,
    connect::ServerConnector,
    jid,
    xmlstream::{PendingFeaturesRecv, StreamHeader, Timeouts, initiate_stream},
};
use xtls::{
    Config, Element,
    jid::{FullJid, Jid},
    tls::KeyAlgorithm,
    xml::{Limits, ns},
};
use xtls_interop::{Prosody, Transport};
use xtls_tokio::{
    Driver, Handle, PromptTcp, Stanzas,
    tokio_xmpp::{XmppStream, to_stanza},
};

use crate::{
    clock,
    engines::{Who, raw},
    failure::Failure,
    plan::Plan,
    references::tls::bulk_provider,
    report::{Line, Target, Unit},
    row::Row,
    stats::{Subject, time},
};

/// What is exchanged before a tunnel is secured, where it is known that the peer has XTLS: `xtls-tokio` tests that number.
const ROUND_TRIPS: usize = 4;

/// Requests of both ends until then. Every one is answered, and the server passes on both: 16 stanzas.
const REQUESTS: usize = 8;

/// Bytes that such a tunnel takes over what its round trips take as pings, both ways: 8 KiB in all, as strace shows them.
const BYTES: usize = 7120;

/// Measures the row, if it is wanted.
pub(crate) fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    if !plan.wants(Row::Setup) {
        return Ok(Vec::new());
    }
    let clients = Clients::log_in()?;
    let mut subjects = [
        Subject::timed("tunnel", |times| clients.timed(times, Clients::tunnel)),
        Subject::timed("its round trips as pings", |times| {
            clients.timed(times, async |all| all.pings(ROUND_TRIPS, 0).await)
        }),
        Subject::timed("and as pings with as many bytes", |times| {
            clients.timed(times, async |all| all.pings(ROUND_TRIPS, BYTES).await)
        }),
        Subject::timed("its requests as pings with as many bytes", |times| {
            clients.timed(times, async |all| all.pings(REQUESTS, BYTES).await)
        }),
    ];
    plan.sampling().interleave(&mut subjects)?;
    for subject in &subjects {
        plan.note(format!("through Prosody: {} {:.2} ms", subject.name(), subject.median() * 1e3));
    }
    let beside = |name: &str, reference: &Subject<'_>| {
        let target = Target::new(Row::Setup, name, Unit::Time, 1.5, 1.2);
        target.line(Ok(time(subjects[0].samples(), reference.samples())))
    };
    Ok(vec![
        beside("a tunnel through Prosody / its round trips as pings", &subjects[1]),
        beside("a tunnel through Prosody / the same, with as many bytes", &subjects[2]),
        beside("a tunnel through Prosody / its requests as pings, with as many bytes", &subjects[3]),
    ])
}

/// Two clients of one server.
struct Clients {
    runtime: Runtime,
    caller: Client,
    listener: Client,
    _server: Prosody,
}

struct Client {
    jid: FullJid,
    handle: Handle,
    /// Nobody takes those of the listener, so that its driver answers pings.
    stanzas: Option<tokio::sync::Mutex<Stanzas<Stanza>>>,
}

impl Clients {
    fn log_in() -> Result<Self, Failure> {
        let server = Prosody::start(Transport::Plain);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(Failure::new)?;
        let who = ["alice", "bob"]
            .map(|name| Who::new(&format!("{name}@{}/bench", server.domain()), KeyAlgorithm::EcdsaP256));
        let [caller, listener] = [(0, 1), (1, 0)].map(|(one, other)| {
            runtime.block_on(Client::log_in(&server, &who[one], &who[other])).map_err(Failure::new)
        });
        let (caller, mut listener) = (caller?, listener?);
        listener.stanzas = None;
        Ok(Self { runtime, caller, listener, _server: server })
    }

    /// How long it takes to do this so often, without what is done in between.
    fn timed(&self, times: u64, work: impl AsyncFn(&Self) -> f64) -> Result<f64, Failure> {
        self.runtime.block_on(async {
            let mut seconds = 0.0;
            for _ in 0..times {
                seconds += work(self).await;
            }
            Ok(seconds)
        })
    }

    /// So many pings, one after the other, with so many bytes in all.
    async fn pings(&self, count: usize, bytes: usize) -> f64 {
        let bytes = "x".repeat(bytes / count);
        let stanzas = self.caller.stanzas.as_ref().expect("the caller takes its stanzas");
        let mut stanzas = stanzas.lock().await;
        let mut sender = stanzas.sender();
        let start = clock::now();
        for id in 0..count {
            let id = id.to_string();
            let ping = Element::builder("iq", ns::CLIENT)
                .attribute("type", "get")
                .attribute("id", &id)
                .attribute("to", self.listener.jid.as_str())
                .open("ping", "urn:xmpp:ping")
                .text(&bytes);
            let ping = to_stanza(&ping.build().expect("a sound element")).expect("tokio-xmpp takes it");
            sender.send(ping).await.expect("the stream is there");
            // Presence may come in between.
            while !matches!(stanzas.next().await.expect("the stream goes on"), Stanza::Iq(answer) if answer.id() == id.as_str())
            {
            }
        }
        clock::since(start)
    }

    async fn tunnel(&self) -> f64 {
        let start = clock::now();
        let taken = async { self.listener.handle.incoming().await.expect("an offer").accept(raw()).await };
        let (called, taken) = tokio::join!(self.caller.handle.call(self.listener.jid.clone(), raw()), taken);
        let seconds = clock::since(start);
        let ends = [called, taken].map(|tunnel| tunnel.expect("a tunnel").into_bytes().expect("raw bytes"));
        // Both say that there is no more, so that nothing of it is left for the next one.
        let [mut from, mut to] = ends;
        let (one, other) =
            tokio::join!(tokio::io::AsyncWriteExt::shutdown(&mut from), tokio::io::AsyncWriteExt::shutdown(&mut to));
        one.and(other).expect("it ends in order");
        // The server answers in order: after these, nothing of the tunnel is left to pass on.
        self.pings(1, 0).await;
        seconds
    }
}

impl Client {
    async fn log_in(server: &Prosody, who: &Who, peer: &Who) -> std::io::Result<Self> {
        let name = who.jid.local().unwrap_or_default();
        let jid = Jid::from(who.jid.clone());
        let connector = Plain(server.address());
        let mut stream = XmppStream::connect(connector, &jid, Prosody::password(name), Timeouts::default())?;
        let bound = stream.session().await?.ok_or(std::io::ErrorKind::NotConnected)?;
        let engine = who.engine(Config::default(), &[peer], &bulk_provider(), clock::now());
        let (driver, handle, mut stanzas) = Driver::new(engine, stream);
        drop(tokio::spawn(driver));
        // RFC 6121 § 8.5.3.1: servers deliver IQs between those who share presence.
        let presence = Element::parse("<presence><priority>-1</priority></presence>", &Limits::default());
        let presence = to_stanza(&presence.expect("it is XML")).expect("tokio-xmpp takes it");
        stanzas.sender().send(presence).await.map_err(std::io::Error::other)?;
        // It comes back when the server has taken note of it.
        while !matches!(stanzas.next().await, Some(Stanza::Presence(_)) | None) {}
        Ok(Self { jid: bound, handle, stanzas: Some(tokio::sync::Mutex::new(stanzas)) })
    }
}

/// Connects without TLS, which would be a part of the ping as well.
#[derive(Debug, Clone)]
struct Plain(String);

impl ServerConnector for Plain {
    type Stream = BufStream<PromptTcp>;

    async fn connect(
        &self,
        jid: &jid::Jid,
        ns: &'static str,
        timeouts: Timeouts,
    ) -> Result<(PendingFeaturesRecv<Self::Stream>, sasl::common::ChannelBinding), Error> {
        let header = StreamHeader { to: Some(Cow::Borrowed(jid.domain().as_str())), from: None, id: None };
        let socket = PromptTcp::from(TcpStream::connect(&self.0).await?);
        let stream = initiate_stream(BufStream::new(socket), ns, header, timeouts).await?;
        Ok((stream, sasl::common::ChannelBinding::None))
    }
}
