//! tokio-xmpp as the outer stream, at a server that is played by hand over connections in memory.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use sasl::common::ChannelBinding;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufStream, DuplexStream, duplex},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_xmpp::{
    Error, Stanza,
    connect::ServerConnector,
    jid::Jid as TheirJid,
    stanzastream::StanzaStream,
    xmlstream::{PendingFeaturesRecv, StreamHeader, Timeouts, initiate_stream},
};
use xtls::{
    CloseReason, Config, Fault,
    jid::{FullJid, Jid},
};
use xtls_tokio::{
    CallError, Driver, End, Ended, Handle, Opening, OuterStanza as _, OuterStream, Received, Stanzas,
    tokio_xmpp::{XmppStream, from_minidom},
};

use crate::common::{JULIET, ROMEO, Who, body, raw, run};

const SM: &str = "urn:xmpp:sm:3";

/// Where the client connects to: the next of these ends. While there is none nothing can be reached.
#[derive(Clone, Debug, Default)]
struct Net(Arc<Mutex<VecDeque<DuplexStream>>>);

impl Net {
    /// A server that the client will reach.
    fn server(&self, buffer: usize) -> Server {
        let (here, there) = duplex(buffer);
        self.0.lock().unwrap().push_back(here);
        Server { connection: there }
    }
}

impl ServerConnector for Net {
    type Stream = BufStream<DuplexStream>;

    async fn connect(
        &self,
        jid: &TheirJid,
        ns: &'static str,
        timeouts: Timeouts,
    ) -> Result<(PendingFeaturesRecv<Self::Stream>, ChannelBinding), Error> {
        let next = self.0.lock().unwrap().pop_front();
        let connection = next.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionRefused))?;
        let header = StreamHeader { to: Some(jid.domain().as_str().into()), from: None, id: None };
        Ok((initiate_stream(BufStream::new(connection), ns, header, timeouts).await?, ChannelBinding::None))
    }
}

/// A server's end of a connection.
struct Server {
    connection: DuplexStream,
}

impl Server {
    /// What comes, up to and with this.
    async fn until(&mut self, end: &str) -> String {
        let mut came = Vec::new();
        while !came.ends_with(end.as_bytes()) {
            let byte = self.connection.read_u8().await;
            came.push(byte.unwrap_or_else(|error| panic!("{error} after {}", String::from_utf8_lossy(&came))));
        }
        String::from_utf8(came).unwrap()
    }

    async fn say(&mut self, text: &str) {
        self.connection.write_all(text.as_bytes()).await.unwrap();
    }

    /// Begins a stream and offers this.
    async fn stream(&mut self, features: &str) {
        while !self.until(">").await.contains("stream") {}
        self.say(&format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
             version='1.0' id='1' from='montague.example'><stream:features>{features}</stream:features>"
        ))
        .await;
    }

    /// Takes any password.
    async fn log_in(&mut self) {
        let sasl = "urn:ietf:params:xml:ns:xmpp-sasl";
        self.stream(&format!("<mechanisms xmlns='{sasl}'><mechanism>PLAIN</mechanism></mechanisms>")).await;
        self.until("</auth>").await;
        self.say(&format!("<success xmlns='{sasl}'/>")).await;
        self.stream(&format!("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm xmlns='{SM}'/>")).await;
    }

    /// Binds a resource, with stream management.
    async fn bind(&mut self) {
        let request = self.until("</iq>").await;
        let id = attribute(&request, "id");
        self.say(&format!(
            "<iq type='result' id='{id}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{ROMEO}</jid></bind></iq>"
        ))
        .await;
        assert!(self.until(">").await.contains("enable"));
        self.say(&format!("<enabled xmlns='{SM}' id='session' resume='true'/>")).await;
    }

    /// A new session.
    async fn begin(&mut self) {
        self.log_in().await;
        self.bind().await;
    }

    /// The session goes on, of which so many stanzas have come.
    async fn resume(&mut self, count: u32) {
        self.log_in().await;
        let asked = self.until(">").await;
        assert!(asked.contains("resume") && asked.contains("session"), "{asked}");
        self.say(&format!("<resumed xmlns='{SM}' previd='session' h='{count}'/>")).await;
    }
}

/// The value of an attribute, in either kind of quotes.
fn attribute(tag: &str, name: &str) -> String {
    let rest = tag.split_once(&format!(" {name}=")).unwrap_or_else(|| panic!("no {name} in {tag}")).1;
    rest.split(['\'', '"']).nth(1).unwrap().to_owned()
}

fn connect(net: &Net) -> XmppStream {
    let romeo: FullJid = ROMEO.parse().unwrap();
    XmppStream::connect(net.clone(), &Jid::from(romeo), "a rose".to_owned(), Timeouts::default()).unwrap()
}

/// A stream after its first login, over a connection that holds so many bytes.
async fn logged_in(buffer: usize) -> (Net, Server, XmppStream) {
    let net = Net::default();
    let mut server = net.server(buffer);
    let mut stream = connect(&net);
    let (jid, ()) = tokio::join!(stream.session(), server.begin());
    assert_eq!(jid.unwrap().unwrap().as_str(), ROMEO);
    (net, server, stream)
}

/// Romeo's engine on the stream.
fn driven(stream: XmppStream) -> (JoinHandle<Ended<XmppStream>>, Handle, Stanzas<Stanza>) {
    let [romeo, juliet] = Who::both();
    let (driver, handle, stanzas) = Driver::new(romeo.engine(&juliet, Config::default()), stream);
    (tokio::spawn(driver), handle, stanzas)
}

/// His offer to Juliet, without a question before.
fn offer(handle: &Handle) -> Opening {
    let mut options = raw();
    options.check_support = false;
    handle.open(JULIET.parse().unwrap(), options).unwrap()
}

async fn received(stream: &mut XmppStream) -> Received<Stanza> {
    poll_fn(|cx| stream.poll_recv(cx)).await
}

/// The text of a message.
fn text(received: &Received<Stanza>) -> String {
    let Received::Stanza(Stanza::Message(message)) = received else { panic!("{received:?}") };
    body(&from_minidom(&message.clone().into()).unwrap())
}

fn message(text: &str) -> String {
    format!("<message from='{JULIET}'><body>{text}</body></message>")
}

#[test]
fn xep_0198_5_suspension_and_resumption_come_in_their_place_among_the_stanzas() {
    run(async {
        let (net, mut server, mut stream) = logged_in(10_000).await;
        server.say(&message("before")).await;
        drop(server);
        assert_eq!(text(&received(&mut stream).await), "before");
        assert!(matches!(received(&mut stream).await, Received::Suspended));
        let mut server = net.server(10_000);
        let returns = async {
            server.resume(0).await;
            server.say(&message("after")).await;
        };
        let (first, ()) = tokio::join!(received(&mut stream), returns);
        assert!(matches!(first, Received::Resumed), "{first:?}");
        assert_eq!(text(&received(&mut stream).await), "after");
    });
}

/// Its time stands still while the stream is away, and goes on when it is back: the engine was told of both.
#[test]
fn xep_0198_5_an_engine_waits_while_the_stream_is_away_and_no_longer() {
    run(async {
        let (net, mut server, stream) = logged_in(100_000).await;
        let (_driver, handle, _stanzas) = driven(stream);
        let offered = offer(&handle);
        assert!(server.until("</iq>").await.contains("session-initiate"));
        sleep(Duration::from_secs(20)).await;
        drop(server);
        // An answer takes 30 s at most.
        assert!(timeout(Duration::from_secs(600), offered.secured()).await.is_err());
        let mut server = net.server(100_000);
        server.resume(1).await;
        let before = Instant::now();
        let Err(CallError::Closed(closed)) = offered.secured().await else { panic!("nobody has answered") };
        assert!(
            matches!(&closed.reason, CloseReason::Fault(fault) if matches!(**fault, Fault::Timeout { .. })),
            "{closed:?}"
        );
        let waited = before.elapsed();
        assert!((Duration::from_secs(29)..Duration::from_secs(31)).contains(&waited), "{waited:?}");
    });
}

#[test]
fn xep_0198_5_what_was_sent_while_the_stream_was_away_arrives_once_after_its_return() {
    run(async {
        let (net, server, stream) = logged_in(100_000).await;
        let (_driver, handle, mut stanzas) = driven(stream);
        drop(server);
        // Until the driver knows.
        sleep(Duration::from_secs(1)).await;
        let offered = offer(&handle);
        let hello = Stanza::from_text(format!("<message to='{JULIET}'><body>hello</body></message>")).unwrap();
        stanzas.sender().send(hello).await.unwrap();
        sleep(Duration::from_secs(60)).await;
        let mut server = net.server(100_000);
        server.resume(0).await;
        let (mut offers, mut hellos) = (0, 0);
        while offers == 0 || hellos == 0 {
            let came = server.until(">").await;
            offers += usize::from(came.contains("session-initiate"));
            hellos += usize::from(came.starts_with("hello"));
        }
        assert_eq!((offers, hellos), (1, 1));
        server.say(&message("and back")).await;
        let Some(Stanza::Message(said)) = stanzas.next().await else { panic!("nothing came") };
        assert_eq!(body(&from_minidom(&said.into()).unwrap()), "and back");
        drop(offered);
    });
}

#[test]
fn a_session_that_cannot_be_resumed_ends_the_driver_and_the_next_one_begins_on_the_same_stream() {
    run(async {
        let (net, mut server, stream) = logged_in(100_000).await;
        let (driver, handle, _stanzas) = driven(stream);
        let offered = offer(&handle);
        server.until("</iq>").await;
        drop(server);
        let mut server = net.server(100_000);
        let begins_anew = async {
            server.log_in().await;
            assert!(server.until(">").await.contains("resume"));
            server.say(&format!("<failed xmlns='{SM}' h='1'/>")).await;
            server.bind().await;
            server
        };
        let (ended, mut server) = tokio::join!(driver, begins_anew);
        let ended = ended.unwrap();
        assert!(
            matches!(&ended.end, End::Lost(error) if error.kind() == io::ErrorKind::ConnectionReset),
            "{}",
            ended.end
        );
        let Err(CallError::Closed(closed)) = offered.secured().await else { panic!("it went on") };
        assert!(matches!(&closed.reason, CloseReason::Fault(fault) if matches!(**fault, Fault::Disconnected)));
        let mut stream = ended.outer;
        assert_eq!(stream.session().await.unwrap().unwrap().as_str(), ROMEO);
        server.say(&message("hello again")).await;
        assert_eq!(text(&received(&mut stream).await), "hello again");
    });
}

/// 16 are handed over, and as many as tokio-xmpp and the connection take.
#[test]
fn a_server_that_does_not_read_stops_the_sender_and_not_the_receiver_and_loses_nothing() {
    run(async {
        let (_net, mut server, mut stream) = logged_in(2000).await;
        let (long, mut sent) = ("x".repeat(20_000), 0);
        while timeout(Duration::from_secs(1), poll_fn(|cx| stream.poll_ready(cx))).await.is_ok() {
            let say = format!("<message to='{JULIET}'><body>{sent} {long}</body></message>");
            stream.start_send(Stanza::from_text(say).unwrap()).unwrap();
            sent += 1;
        }
        assert!((16..24).contains(&sent), "{sent}");
        server.say(&message("meanwhile")).await;
        assert_eq!(text(&received(&mut stream).await), "meanwhile");
        // It does not say that there is room before there is.
        assert!(timeout(Duration::from_secs(1), poll_fn(|cx| stream.poll_ready(cx))).await.is_err());
        let reads = async {
            for number in 0..sent {
                let came = server.until("</message>").await;
                assert!(came.contains(&format!(">{number} xx")), "{number} is not in {}", came.len());
            }
            server
        };
        let (_server, ready) = tokio::join!(reads, poll_fn(|cx| stream.poll_ready(cx)));
        ready.unwrap();
    });
}

#[test]
fn closing_ends_the_stream_in_order() {
    run(async {
        let (_net, mut server, stream) = logged_in(10_000).await;
        let closes = async {
            server.until("stream>").await;
            server.say("</stream:stream>").await;
            let mut rest = Vec::new();
            let _ = server.connection.read_to_end(&mut rest).await;
        };
        tokio::join!(stream.close(), closes);
    });
}

#[test]
fn a_stream_that_tokio_xmpp_has_given_up_says_so_and_does_not_panic() {
    run(async {
        // It takes a connector that gives up for the end.
        let mut stream = XmppStream::new(StanzaStream::new(Box::new(|_, slot| drop(slot)), 16), 16);
        assert!(matches!(received(&mut stream).await, Received::Ended));
        assert!(stream.session().await.unwrap().is_none());
        poll_fn(|cx| stream.poll_ready(cx)).await.unwrap();
        let error = stream.start_send(Stanza::from_text(message("late")).unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
    });
}
