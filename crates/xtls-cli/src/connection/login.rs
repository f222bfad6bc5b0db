//! From nothing to a bound resource: TCP, STARTTLS, SASL, bind. One attempt, no second one.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use jid::FullJid;
use sasl::common::{ChannelBinding, Credentials};
use tokio::io::BufStream;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_xmpp::client_login;
use tokio_xmpp::connect::AsyncReadAndWrite;
use tokio_xmpp::xmlstream::{
    InitiatingStream, ReadError, StreamHeader, Timeouts, XmppStream, XmppStreamElement, initiate_stream,
};
use xmpp_parsers::bind::{BindQuery, BindResponse};
use xmpp_parsers::iq::Iq;
use xmpp_parsers::ns;
use xmpp_parsers::sasl_cb::Type as BindingType;
use xmpp_parsers::stanza::Stanza;
use xmpp_parsers::starttls;
use xmpp_parsers::stream_features::StreamFeatures;

use super::error::{self, Where};
use super::tls;
use crate::account::{Account, Protection};
use crate::exit::Failure;

/// Longest time that connecting and logging in may take together.
const LOGIN_TIME: Duration = Duration::from_secs(30);
/// The SASL mechanisms that are used if the server offers them; the first of them that it offers is taken.
const MECHANISMS: [&str; 5] = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"];
/// Id of the bind request; nothing else is sent before its answer.
const BIND_ID: &str = "bind";

/// The bytes to and from the server.
pub(super) type Io = Box<dyn AsyncReadAndWrite>;

/// Connects, logs in and binds the resource.
///
/// Returns the connection, positioned after the answer to the bind request, and the address that the server bound.
pub(super) async fn login(account: &Account, password: &str) -> Result<(Io, FullJid), Failure> {
    tokio::time::timeout(LOGIN_TIME, attempt(account, password))
        .await
        .unwrap_or_else(|_| Err(error::no_answer(&account.server, LOGIN_TIME)))
}

async fn attempt(account: &Account, password: &str) -> Result<(Io, FullJid), Failure> {
    let context = Where { account };
    // Before anything goes out: a CA file that cannot be used is no reason to bother the server.
    let config = match &account.protection {
        Protection::Tls { roots } => Some(tls::client_config(roots.as_deref())?),
        Protection::Plaintext => None,
    };
    let tcp = connect(account).await?;
    let io: Io = Box::new(BufStream::new(tcp));
    let (mut features, mut stream) = context.open(io).await?;
    let mut exporter = None;
    if let Some(config) = config {
        if !features.can_starttls() {
            return Err(context.no_starttls());
        }
        let plain = context.starttls(stream).await?;
        let name = error::server_name(account)?;
        let encrypted = TlsConnector::from(config).connect(name, plain).await.map_err(|e| context.tls(&e))?;
        exporter = exported_binding(encrypted.get_ref().1);
        let io: Io = Box::new(BufStream::new(encrypted));
        (features, stream) = context.open(io).await?;
    }
    let binding = channel_binding(&features, exporter);
    let stream = context.authenticate(stream, &features, password, binding).await?;
    context.bind(stream).await
}

/// Connects to the first address of the server that answers.
async fn connect(account: &Account) -> Result<TcpStream, Failure> {
    let server = &account.server;
    let found = tokio::net::lookup_host((server.host.as_str(), server.port)).await;
    let addresses: Vec<_> = found.map_err(|e| error::unknown_host(server, &e))?.collect();
    if matches!(account.protection, Protection::Plaintext)
        && let Some(elsewhere) = addresses.iter().find(|address| !address.ip().is_loopback())
    {
        return Err(Failure::usage(format!(
            "--insecure-plaintext is for loopback addresses only, and {} is {}: leave it out to log in with TLS",
            server.host,
            elsewhere.ip()
        )));
    }
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Small stanzas must not wait for each other; without this they are only slower.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(e) => last = Some(e),
        }
    }
    Err(error::refused(server, last.as_ref()))
}

/// The channel binding of RFC 9266, which TLS 1.3 gives and TLS 1.2 only with care.
fn exported_binding(tls: &rustls::ClientConnection) -> Option<Vec<u8>> {
    if tls.protocol_version() != Some(rustls::ProtocolVersion::TLSv1_3) {
        return None;
    }
    tls.export_keying_material(vec![0; 32], b"EXPORTER-Channel-Binding", None).ok()
}

/// Binds the login to the TLS connection where the server offers it for the exporter (XEP-0440).
fn channel_binding(features: &StreamFeatures, exporter: Option<Vec<u8>>) -> ChannelBinding {
    let offered = features.sasl_mechanisms.iter().any(|name| name.ends_with("-PLUS"))
        && features.sasl_cb.as_ref().is_some_and(|binding| binding.types.contains(&BindingType::TlsExporter));
    match exporter {
        Some(data) if offered => ChannelBinding::TlsExporter(data),
        _ => ChannelBinding::None,
    }
}

impl Where<'_> {
    async fn open(&self, io: Io) -> Result<(StreamFeatures, XmppStream<Io>), Failure> {
        let pending = initiate_stream(io, ns::JABBER_CLIENT, self.header(), Timeouts::default())
            .await
            .map_err(|e| self.negotiation(e.into()))?;
        pending.recv_features().await.map_err(|e| self.negotiation(e.into()))
    }

    fn header(&self) -> StreamHeader<'_> {
        StreamHeader { to: Some(Cow::Borrowed(self.account.jid.domain().as_str())), from: None, id: None }
    }

    async fn starttls(&self, mut stream: XmppStream<Io>) -> Result<Io, Failure> {
        let request = XmppStreamElement::Starttls(starttls::Nonza::Request(starttls::Request));
        stream.send(&request).await.map_err(|e| self.negotiation(e.into()))?;
        match self.next(&mut stream).await? {
            XmppStreamElement::Starttls(starttls::Nonza::Proceed(_)) => Ok(stream.into_inner()),
            _ => Err(self.no_starttls()),
        }
    }

    async fn authenticate(
        &self,
        stream: XmppStream<Io>,
        features: &StreamFeatures,
        password: &str,
        binding: ChannelBinding,
    ) -> Result<XmppStream<Io>, Failure> {
        let name = self.account.jid.node().map_or("", |node| node.as_str());
        let credentials =
            Credentials::default().with_username(name).with_password(password).with_channel_binding(binding);
        let usable: BTreeSet<String> =
            features.sasl_mechanisms.iter().filter(|offer| MECHANISMS.contains(&offer.as_str())).cloned().collect();
        let restarted: InitiatingStream<Io> =
            client_login(stream, usable, credentials).await.map_err(|e| self.negotiation(e))?;
        let pending = restarted.send_header(self.header()).await.map_err(|e| self.negotiation(e.into()))?;
        let (_, stream) = pending.recv_features().await.map_err(|e| self.negotiation(e.into()))?;
        Ok(stream)
    }

    async fn bind(&self, mut stream: XmppStream<Io>) -> Result<(Io, FullJid), Failure> {
        let resource = self.account.jid.resource().to_string();
        let request = Iq::from_set(BIND_ID, BindQuery::new(Some(resource)));
        stream.send(&XmppStreamElement::Stanza(Stanza::Iq(request))).await.map_err(|e| self.negotiation(e.into()))?;
        loop {
            // RFC 6120 § 7.1: the server sends nothing but the answer before the resource is bound.
            let XmppStreamElement::Stanza(Stanza::Iq(answer)) = self.next(&mut stream).await? else { continue };
            match answer {
                Iq::Result { id, payload: Some(payload), .. } if id == BIND_ID => {
                    let bound = BindResponse::try_from(payload).map_err(|e| self.bad_bind(&e.to_string()))?;
                    return Ok((stream.into_inner(), bound.jid));
                }
                Iq::Error { id, error, .. } if id == BIND_ID => {
                    return Err(self.bad_bind(&format!("{:?}", error.defined_condition)));
                }
                Iq::Get { .. } | Iq::Set { .. } | Iq::Result { .. } | Iq::Error { .. } => {}
            }
        }
    }

    async fn next(&self, stream: &mut XmppStream<Io>) -> Result<XmppStreamElement, Failure> {
        loop {
            return match stream.next().await {
                Some(Ok(element)) => match element.into_read_error() {
                    Ok(XmppStreamElement::StreamError(e)) => Err(self.stream_error(&e.0)),
                    Ok(element) => Ok(element),
                    Err(e) => Err(self.unreadable(&e)),
                },
                Some(Err(ReadError::SoftTimeout)) => continue,
                Some(Err(ReadError::StreamFooterReceived)) | None => Err(self.gone()),
                Some(Err(e)) => Err(self.unreadable(&e)),
            };
        }
    }
}
