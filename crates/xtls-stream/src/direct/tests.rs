//! Two ends, or one whose other end is written by hand.

mod cells;
mod commands;
mod faults;
mod peers;
mod rfc_6120;
mod split;
mod starttls;
mod xep_0035;
mod xep_0250;

use xtls_stanza::jid::Jid;
use xtls_stanza::{Element, Ids, Limits, TlsOffer};

use super::*;
use crate::{Features, StreamSendError};

const SERVER: &str = "im.example.com";
const CLIENT: &str = "juliet@im.example.com";
const CLIENT_HEADER: &str = "<stream:stream from='juliet@im.example.com' to='im.example.com' version='1.0' \
    xml:lang='en' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
const SERVER_HEADER: &str = "<stream:stream from='im.example.com' id='t7AMCin9zjMNwQKDnplntZPIDEI=' \
    to='juliet@im.example.com' version='1.0' xml:lang='en' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";
const TLS_REQUIRED: &str = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>\
    </stream:features>";
const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const FAILURE: &str = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const NO_FEATURES: &str = "<stream:features/>";
const END: &str = "</stream:stream>";

/// One end, and what it writes.
struct Side {
    stream: DirectStream,
    ids: Ids,
    out: Vec<u8>,
}

impl Side {
    fn client(change: impl FnOnce(&mut StreamOptions)) -> Self {
        let mut options = StreamOptions::new(Some(jid(CLIENT)), Some(jid(SERVER)));
        change(&mut options);
        Self { stream: DirectStream::initiating(options), ids: Ids::new([1; 32]), out: Vec::new() }
    }

    fn server(change: impl FnOnce(&mut StreamOptions)) -> Self {
        let mut options = StreamOptions::new(Some(jid(SERVER)), None);
        change(&mut options);
        Self { stream: DirectStream::receiving(options), ids: Ids::new([2; 32]), out: Vec::new() }
    }

    /// Passes bytes in, all of which must be used, and shows the events.
    fn handle(&mut self, bytes: impl AsRef<[u8]>) -> Vec<String> {
        let bytes = bytes.as_ref();
        assert_eq!(self.stream.handle_bytes(bytes, &mut self.ids, &mut self.out), bytes.len());
        self.events()
    }

    fn events(&mut self) -> Vec<String> {
        core::iter::from_fn(|| self.stream.poll_event()).map(|event| show(&event)).collect()
    }

    fn written(&mut self) -> String {
        String::from_utf8(core::mem::take(&mut self.out)).unwrap()
    }

    /// Runs a command and returns what it wrote.
    fn does<E: core::fmt::Debug>(
        &mut self,
        command: impl FnOnce(&mut DirectStream, &mut Vec<u8>) -> Result<(), E>,
    ) -> String {
        assert_eq!(self.out, b"");
        command(&mut self.stream, &mut self.out).unwrap();
        self.written()
    }

    /// An initiating end whose header was answered and which has features.
    fn opened_client(features: &str, change: impl FnOnce(&mut StreamOptions)) -> Self {
        let mut client = Self::client(change);
        client.does(DirectStream::start);
        assert_eq!(client.handle(SERVER_HEADER), ["header"]);
        assert_eq!(client.handle(features).len(), 1);
        client
    }

    /// A receiving end that has sent features, empty ones where TLS has been negotiated.
    fn opened_server(change: impl FnOnce(&mut StreamOptions)) -> Self {
        let mut server = Self::server(change);
        assert_eq!(server.handle(CLIENT_HEADER), ["header"]);
        server.written();
        server.does(|stream, out| stream.send_features(&Features::default(), out));
        server
    }

    /// Passes bytes that must make the stream fail: the fault, and what was written.
    fn fails(&mut self, bytes: impl AsRef<[u8]>) -> (String, String) {
        let last = self.handle(bytes).pop().unwrap();
        assert_eq!(self.stream.stage(), DirectStage::Failed);
        assert!(self.handle("<message/>").is_empty());
        (last, self.written())
    }
}

fn jid(text: &str) -> Jid {
    Jid::new(text).unwrap()
}

fn element(xml: &str) -> Element {
    Element::parse(xml, &Limits::default()).unwrap()
}

fn show(event: &DirectEvent) -> String {
    let offer = |offer: &Option<TlsOffer>| {
        let mut text = String::new();
        offer.iter().for_each(|offer| offer.write(&mut text));
        text
    };
    match event {
        DirectEvent::Header(_) => "header".to_owned(),
        DirectEvent::Features(features) => {
            let mut text = String::new();
            features.write(&mut text);
            text
        }
        DirectEvent::StartTlsRequested { offer: asked } => format!("requested {}", offer(asked)),
        DirectEvent::StartTls { offer: chosen } => format!("tls {}", offer(chosen)),
        DirectEvent::Stanza(stanza) => stanza.to_xml("jabber:client"),
        DirectEvent::Nonza(nonza) => nonza.to_xml("jabber:client"),
        DirectEvent::Impersonation { claimed } => format!("impersonation {claimed}"),
        DirectEvent::Misaddressed { claimed } => format!("misaddressed {claimed}"),
        DirectEvent::Closed => "closed".to_owned(),
        DirectEvent::Failed(fault) => format!("{fault:?}"),
    }
}

fn stream_error(condition: &str) -> String {
    format!("<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>")
}

fn unlocked(options: &mut StreamOptions) {
    options.tls = TlsPolicy::IfOffered;
}

fn secured(options: &mut StreamOptions) {
    options.secured = true;
}

fn xep_0035(options: &mut StreamOptions) {
    options.dialect = StartTlsDialect::Xep0035;
}
