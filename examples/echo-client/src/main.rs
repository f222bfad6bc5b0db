//! A small XMPP client that answers everything said to it through an end-to-end encrypted tunnel.
//!
//! ```sh
//! XTLS_PASSWORD=secret echo-client bot@capulet.example/echo romeo@montague.example SHA256-FINGERPRINT [HOST:PORT]
//! ```
//!
//! It logs in by tokio-xmpp, takes tunnels from one peer whose certificate has the given fingerprint, and prints the
//! fingerprint of its own. Everything that an embedder has to do is here: an engine and a driver for each login, what the client
//! tells of itself, and the tunnels.

#![allow(clippy::print_stdout, reason = "a program for a terminal")]
#![allow(clippy::disallowed_methods, reason = "the embedder is where the clock is read")]

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use futures::{SinkExt as _, StreamExt as _};
use tokio_xmpp::{connect::DnsConfig, xmlstream::Timeouts};
use xtls::{
    Config, Element, Engine, Identity, Local, TrustPolicy, TunnelOptions,
    jid::{BareJid, FullJid, Jid},
    tls::{KeyAlgorithm, UnixTime},
    trust::{Fingerprint, MemoryTrustStore, Pin},
    xml::{Disco, DiscoIdentity, ns},
};
use xtls_tokio::{
    Driver, Handle, Incoming,
    tokio_xmpp::{NoDelayStartTls, XmppStream},
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The URI of this software (XEP-0115 § 4).
const NODE: &str = "urn:xtls:examples:echo-client";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [account, peer, fingerprint, server @ ..] = arguments.as_slice() else {
        return Err("usage: echo-client FULLJID PEER FINGERPRINT [HOST:PORT]; the password is in XTLS_PASSWORD".into());
    };
    let (account, peer): (FullJid, BareJid) = (account.parse()?, peer.parse()?);
    let password = std::env::var("XTLS_PASSWORD")?;
    xtls::rustls::crypto::aws_lc_rs::default_provider().install_default().map_err(|_| "TLS has a provider already")?;

    // A client that people use keeps its identity: `Identity::to_pem` and `Identity::from_pem`.
    let identity = Identity::generate(&account.to_bare(), KeyAlgorithm::EcdsaP256, UnixTime::now())?;
    println!("{}", identity.fingerprint_sha256());
    // Shared with the engine of each login, so that what one learns the next one knows. A bot that is meant to stay would
    // read and write a file: see `xtls::trust::TrustStore`.
    let mut trust = MemoryTrustStore::default();
    trust.pin(&peer, Pin::manual(Fingerprint::parse(None, fingerprint)?));
    let trust = Arc::new(Mutex::new(trust));

    let dns = match server {
        [address] => DnsConfig::Addr { addr: address.clone() },
        _ => DnsConfig::srv_default_client(account.domain()),
    };
    let account = Jid::from(account);
    let mut stream = XmppStream::connect(NoDelayStartTls::from(dns), &account, password, Timeouts::default())?;
    while let Some(jid) = stream.session().await? {
        println!("online as {jid}");
        let engine = engine(jid, identity.clone(), Arc::clone(&trust))?;
        let disco = Disco::new(engine.disco_info(DiscoIdentity::new("client", "bot")), NODE)?;
        // Of what is not for the engine nothing is wanted: requests are answered by the driver.
        let (driver, handle, _) = Driver::new(engine, stream);
        tokio::spawn(take_offers(handle));
        // The presence tells everybody that there are tunnels to be had here (XEP-0115).
        let ended = driver.with_presence(disco).await;
        println!("{}", ended.end);
        stream = ended.outer;
    }
    Ok(())
}

fn engine(jid: FullJid, identity: Identity, trust: Arc<Mutex<MemoryTrustStore>>) -> Result<Engine, Failure> {
    let mut config = Config::default();
    // Nothing else here speaks Jingle or in-band bytestreams.
    config.sole_handler = true;
    let setup = xtls_tokio::setup(Local::new(jid, identity), trust)?;
    Ok(Engine::new(setup.with_config(config), Instant::now())?)
}

/// Until the login has ended.
async fn take_offers(handle: Handle) {
    while let Some(offer) = handle.incoming().await {
        println!("{} offers a tunnel", offer.peer());
        tokio::spawn(async move {
            if let Err(error) = echo(offer).await {
                println!("{error}");
            }
        });
    }
}

/// Says what the peer says.
async fn echo(offer: Incoming) -> Result<(), Failure> {
    // What is no XML stream is declined by this.
    let tunnel = offer.accept(TunnelOptions::xml_stream(TrustPolicy::Pinned)).await?;
    if let Some(security) = tunnel.security() {
        println!("secured: {security}");
    }
    let mut tunnel = tunnel.into_xml().map_err(|_| "no XML stream")?;
    while let Some(stanza) = tunnel.next().await {
        let stanza = stanza?;
        let Some(body) = stanza.child("body", ns::CLIENT).filter(|_| stanza.name() == "message") else { continue };
        let echo = Element::builder("message", ns::CLIENT).attribute("type", "chat").open("body", ns::CLIENT);
        // A peer that asks faster than it listens waits.
        tunnel.send(echo.text(&body.text()).build()?).await?;
    }
    println!("closed");
    Ok(())
}
