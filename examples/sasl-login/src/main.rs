//! Logs in to an XMPP server, and shows itself.
//!
//! ```sh
//! XTLS_PASSWORD=secret sasl-login juliet@capulet.example/balcony xmpp.capulet.example:5222
//! ```
//!
//! The link is the connection of RFC 6120: header, STARTTLS, the server's certificate, which the platform's authorities have
//! to vouch for, and the streams inside TLS. What it leaves to the embedder is here: a socket, SASL by a crate of its own,
//! bound to the TLS session where the server can do that, and the resource. xtls-tokio moves the bytes.

#![allow(clippy::print_stdout, reason = "a program for a terminal")]
#![allow(clippy::disallowed_methods, reason = "the embedder is where the clock is read")]
#![allow(clippy::wildcard_enum_match_arm, reason = "an embedder takes what it needs")]

use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::{SinkExt as _, StreamExt as _};
use sasl::client::Mechanism;
use sasl::client::mechanisms::{Plain, Scram};
use sasl::common::scram::{Sha1, Sha256};
use sasl::common::{ChannelBinding, Credentials};
use tokio::net::TcpStream;
use xtls::jid::FullJid;
use xtls::link::{Client, ClientLink, Features, LinkEvent, LinkSetup, ServerTerms};
use xtls::tls::{KeyAlgorithm, UnixTime};
use xtls::trust::{Authorities, MemoryTrustStore};
use xtls::xml::ns;
use xtls::{Element, Identity, Local, TrustPolicy};
use xtls_tokio::{PromptTcp, link::LinkStream};

type Failure = Box<dyn std::error::Error>;

const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
/// Which channel bindings a server can do (XEP-0440).
const SASL_CB: &str = "urn:xmpp:sasl-cb:0";

/// A link over its connection.
struct Connection(LinkStream<Client, PromptTcp>);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [account, server] = arguments.as_slice() else {
        return Err("usage: sasl-login FULLJID HOST:PORT; the password is in XTLS_PASSWORD".into());
    };
    let account: FullJid = account.parse()?;
    let password = std::env::var("XTLS_PASSWORD")?;
    let socket = PromptTcp::from(TcpStream::connect(server).await?);
    let mut connection = Connection(LinkStream::new(link(&account)?, socket));

    let features = connection.features().await?;
    if let Some(security) = connection.0.link().security() {
        println!("{security}");
    }
    let mechanism = login(&mut connection, &features, &account, &password).await?;
    println!("logged in by {mechanism}");
    connection.0.with_link(|link, now| link.restart_stream(now))?;
    connection.features().await?;
    println!("online as {}", bind(&mut connection, account.resource()).await?);

    let presence = Element::builder("presence", ns::CLIENT).build()?;
    connection.0.send(presence).await?;
    // The server tells it to every resource of the account, this one among them (RFC 6121 § 4.2.2).
    while connection.stanza().await?.name() != "presence" {}
    println!("available");
    Ok(connection.0.close().await?)
}

/// The client's end of a connection to the server of this account.
fn link(account: &FullJid) -> Result<ClientLink, Failure> {
    // No server gets to see it: that would take `ServerTerms::present_certificate`.
    let identity = Identity::generate(&account.to_bare(), KeyAlgorithm::EcdsaP256, UnixTime::now())?;
    let certificates = rustls_native_certs::load_native_certs().certs;
    let usable = certificates.into_iter().filter(|certificate| Authorities::from_der([certificate]).is_ok());
    let local = Local::new(account.clone().into(), identity);
    let local = local.with_authorities(Arc::new(Authorities::from_der(usable)?));
    let setup: LinkSetup = xtls_tokio::setup(local, MemoryTrustStore::default())?;
    let domain = account.domain_part().into();
    Ok(ClientLink::connect(setup, domain, &ServerTerms::new(TrustPolicy::Authorities), Instant::now())?)
}

/// Speaks SASL (RFC 6120 § 6) with the best mechanism that the server offers, and tells which.
async fn login(
    connection: &mut Connection,
    features: &Features,
    account: &FullJid,
    password: &str,
) -> Result<String, Failure> {
    let name = account.local().ok_or("the address has no account")?;
    let binding = channel_binding(connection, features);
    let credentials =
        Credentials::default().with_username(name).with_password(password).with_channel_binding(binding.clone());
    let offers = |name: &str| features.mechanisms.iter().any(|offered| offered == name);
    let scram = |hash: &str| match binding {
        ChannelBinding::TlsExporter(_) => offers(&format!("SCRAM-{hash}-PLUS")),
        _ => offers(&format!("SCRAM-{hash}")),
    };
    let mut mechanism: Box<dyn Mechanism> = if scram("SHA-256") {
        Box::new(Scram::<Sha256>::from_credentials(credentials)?)
    } else if scram("SHA-1") {
        Box::new(Scram::<Sha1>::from_credentials(credentials)?)
    } else if offers("PLAIN") {
        // The link is inside TLS, and the server is authenticated.
        Box::new(Plain::from_credentials(credentials)?)
    } else {
        return Err(format!("none of these mechanisms is known here: {:?}", features.mechanisms).into());
    };

    let first = mechanism.initial();
    let mut answer = Element::builder("auth", ns::SASL)
        .attribute("mechanism", mechanism.name())
        .text(&BASE64.encode(&first))
        .build()?;
    loop {
        connection.0.with_link(|link, now| link.send_nonza(now, &answer))?;
        let said = connection.nonza().await?;
        let data = data(&said)?;
        match said.name() {
            "challenge" => {
                check_nonce(&first, &data)?;
                let response = BASE64.encode(mechanism.response(&data)?);
                answer = Element::builder("response", ns::SASL).text(&response).build()?;
            }
            "success" => {
                // With SCRAM the server proves here that it knows the password too.
                mechanism.success(&data)?;
                return Ok(mechanism.name().to_owned());
            }
            _ => {
                let condition = said.children().next().map_or("no reason given", |condition| condition.name());
                return Err(format!("login refused: {condition}").into());
            }
        }
    }
}

/// What the server has said: base64, or one equals sign for nothing (RFC 6120 § 6.4.6).
fn data(said: &Element) -> Result<Vec<u8>, Failure> {
    let text: String = said.text().split_whitespace().collect();
    Ok(if text == "=" { Vec::new() } else { BASE64.decode(text)? })
}

/// RFC 5802 § 5.1 has the client see to this: the server's nonce goes on from the client's.
fn check_nonce(first: &[u8], challenge: &[u8]) -> Result<(), Failure> {
    let nonce = |message: &[u8]| {
        let message = String::from_utf8_lossy(message).into_owned();
        message.split(',').find_map(|attribute| attribute.strip_prefix("r=").map(str::to_owned))
    };
    match (nonce(first), nonce(challenge)) {
        (Some(ours), Some(theirs)) if theirs.starts_with(&ours) && theirs != ours => Ok(()),
        _ => Err("the server's nonce does not go on from ours".into()),
    }
}

/// Ties the login to this very TLS session where the server can do that (RFC 9266), and else says what was seen, so that
/// nobody can have taken the offer away (RFC 5802 § 6).
fn channel_binding(connection: &Connection, features: &Features) -> ChannelBinding {
    if !features.mechanisms.iter().any(|mechanism| mechanism.ends_with("-PLUS")) {
        return ChannelBinding::Unsupported;
    }
    let types = features.others.iter().filter(|feature| feature.is("sasl-channel-binding", SASL_CB));
    let exporter = types.flat_map(Element::children).any(|kind| kind.attribute("type") == Some("tls-exporter"));
    match connection.0.link().channel_binding() {
        Some(data) if exporter => ChannelBinding::TlsExporter(data.to_vec()),
        _ => ChannelBinding::None,
    }
}

/// Binds the resource (RFC 6120 § 7), and gives the address that the server has bound.
async fn bind(connection: &mut Connection, resource: &str) -> Result<String, Failure> {
    let request = Element::builder("iq", ns::CLIENT)
        .attribute("type", "set")
        .attribute("id", "bind")
        .open("bind", BIND)
        .open("resource", BIND)
        .text(resource)
        .build()?;
    connection.0.send(request).await?;
    let answer = connection.stanza().await?;
    let bound = answer.child("bind", BIND).and_then(|bind| bind.child("jid", BIND));
    Ok(bound.ok_or("the resource is refused")?.text())
}

impl Connection {
    async fn features(&mut self) -> Result<Features, Failure> {
        loop {
            if let LinkEvent::Features(features) = self.event().await? {
                return Ok(features);
            }
        }
    }

    async fn nonza(&mut self) -> Result<Element, Failure> {
        loop {
            if let LinkEvent::Nonza(nonza) = self.event().await? {
                return Ok(nonza);
            }
        }
    }

    async fn stanza(&mut self) -> Result<Element, Failure> {
        loop {
            if let LinkEvent::Stanza { stanza } = self.event().await? {
                return Ok(stanza);
            }
        }
    }

    /// The next event, of a link that is not to end.
    async fn event(&mut self) -> Result<LinkEvent, Failure> {
        match self.0.next().await {
            Some(LinkEvent::Closed(closed)) => Err(closed.reason.to_string().into()),
            Some(event) => Ok(event),
            None => Err("the link has ended".into()),
        }
    }
}
