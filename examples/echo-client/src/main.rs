//! A small XMPP client that answers everything said to it through an end-to-end encrypted tunnel.
//!
//! ```sh
//! XTLS_PASSWORD=secret echo-client bot@capulet.example/echo romeo@montague.example SHA256-FINGERPRINT [HOST:PORT]
//! ```
//!
//! It logs in by tokio-xmpp, takes tunnels from one peer whose certificate has the given fingerprint, and prints the
//! fingerprint of its own. Everything that an embedder has to do is here: an engine for each login, every stanza handed
//! to it first, what it wants to send sent, its clock, its questions, the end.

#![allow(clippy::print_stdout, reason = "a program for a terminal")]
#![allow(clippy::disallowed_methods, reason = "the embedder is where the clock is read")]
#![allow(clippy::wildcard_enum_match_arm, reason = "an embedder takes what it needs")]

use std::{
    sync::{Arc, Mutex},
    time::{Instant, SystemTime},
};

use futures::StreamExt as _;
use tokio_xmpp::connect::{DnsConfig, StartTlsServerConnector};
use tokio_xmpp::minidom::Element as Tree;
use tokio_xmpp::xmlstream::Timeouts;
use tokio_xmpp::{Client, Stanza};
use xtls::Setup;
use xtls::jid::{BareJid, FullJid};
use xtls::tls::UnixTime;
use xtls::xml::{Disco, DiscoIdentity, DiscoInfo, Iq, IqType, Limits, ns};
use xtls::{
    Config, Disposition, Element, Engine, Event, Identity, Local, TrustPolicy, TunnelOptions,
    tls::KeyAlgorithm,
    trust::{Fingerprint, MemoryTrustStore, Pin},
};

type Failure = Box<dyn std::error::Error>;

/// The URI of this software (XEP-0115 § 4).
const NODE: &str = "urn:xtls:examples:echo-client";

/// What is decided once and outlives every login.
struct Settings {
    identity: Identity,
    /// Shared with the engine of each login, so that what one learns the next one knows. A bot that is meant to stay would
    /// read and write a file: see `xtls::trust::TrustStore`.
    trust: Arc<Mutex<MemoryTrustStore>>,
}

/// One login.
struct Online {
    engine: Engine,
    disco: Disco,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [account, peer, fingerprint, server @ ..] = arguments.as_slice() else {
        return Err("usage: echo-client FULLJID PEER FINGERPRINT [HOST:PORT]; the password is in XTLS_PASSWORD".into());
    };
    let account: FullJid = account.parse()?;
    // tokio-xmpp prepares addresses by RFC 6122: for some it would give the password to somebody else's server.
    let login = tokio_xmpp::jid::FullJid::new(account.canonical())?;
    if login.as_str() != account.canonical() {
        return Err(format!("tokio-xmpp takes {account} for {login}").into());
    }
    let peer: BareJid = peer.parse()?;
    let password = std::env::var("XTLS_PASSWORD")?;
    xtls::rustls::crypto::aws_lc_rs::default_provider().install_default().map_err(|_| "TLS has a provider already")?;

    // A client that people use keeps its identity: `Identity::to_pem` and `Identity::from_pem`.
    let identity = Identity::generate(&account.to_bare(), KeyAlgorithm::EcdsaP256, time_of_day()?)?;
    println!("{}", identity.fingerprint_sha256());
    let mut trust = MemoryTrustStore::default();
    trust.pin(&peer, Pin::manual(Fingerprint::parse(None, fingerprint)?));
    let settings = Settings { identity, trust: Arc::new(Mutex::new(trust)) };

    let dns = match server {
        [address] => DnsConfig::Addr { addr: address.clone() },
        _ => DnsConfig::srv_default_client(login.domain().as_str()),
    };
    let client = Client::new_with_connector(login, password, StartTlsServerConnector::from(dns), Timeouts::default());
    serve(client, &settings).await
}

/// Everything that happens, until the connection is given up.
async fn serve(mut client: Client, settings: &Settings) -> Result<(), Failure> {
    let mut online: Option<Online> = None;
    loop {
        let mut outgoing = Vec::new();
        if let Some(online) = &mut online {
            online.handle_events()?;
            online.collect(&mut outgoing);
        }
        for stanza in outgoing.drain(..) {
            send(&mut client, &stanza).await?;
        }
        let deadline = online.as_ref().and_then(|online| online.engine.poll_timeout()).map(|deadline| deadline.at);
        tokio::select! {
            event = client.next() => match event {
                Some(tokio_xmpp::Event::Online { resumed: true, .. }) => {}
                Some(tokio_xmpp::Event::Online { bound_jid, .. }) => {
                    // A new session: what ran in the old one is lost, and told.
                    if let Some(mut old) = online.take() {
                        old.engine.handle_disconnect(Instant::now());
                        old.handle_events()?;
                    }
                    let new = Online::new(bound_jid.as_str().parse()?, settings)?;
                    send(&mut client, &new.presence()).await?;
                    println!("online as {bound_jid}");
                    online = Some(new);
                }
                Some(tokio_xmpp::Event::Stanza(stanza)) => {
                    if let Some(online) = &mut online {
                        let answer = online.handle_stanza(&String::from(&Tree::from(stanza)))?;
                        if let Some(stanza) = answer {
                            send(&mut client, &stanza).await?;
                        }
                    }
                }
                Some(tokio_xmpp::Event::Disconnected(error)) => return Err(error.into()),
                None => return Ok(()),
            },
            () = sleep_until(deadline) => {
                if let Some(online) = &mut online {
                    online.engine.handle_timeout(Instant::now());
                }
            }
        }
    }
}

impl Online {
    fn new(jid: FullJid, settings: &Settings) -> Result<Self, Failure> {
        let local = Local::new(jid, settings.identity.clone());
        let mut config = Config::default();
        // Nothing else here speaks Jingle or in-band bytestreams.
        config.sole_handler = true;
        let store = Box::new(Arc::clone(&settings.trust));
        let setup = Setup::new(local, store, seed()?, time_of_day()?).with_config(config);
        let engine = Engine::new(setup, Instant::now())?;
        let info = DiscoInfo::new(DiscoIdentity::new("client", "bot")).with_features(engine.features().iter().copied());
        let disco = Disco::new(info, NODE)?;
        Ok(Self { engine, disco })
    }

    /// The presence that tells everybody that there are tunnels to be had here (XEP-0115).
    fn presence(&self) -> String {
        let mut presence = String::from("<presence>");
        self.disco.caps().write(&mut presence);
        presence.push_str("</presence>");
        presence
    }

    /// The engine sees every stanza first; what it does not want is ours. Gives what is to be answered.
    fn handle_stanza(&mut self, stanza: &str) -> Result<Option<String>, Failure> {
        let element = Element::parse(stanza, &Limits::default())?;
        match self.engine.handle_element(Instant::now(), &element) {
            Disposition::NotOurs => {}
            // With `Config::sole_handler` nothing is left unclaimed.
            Disposition::Consumed | Disposition::Observed | _ => return Ok(None),
        }
        let Some(Ok(iq)) = Iq::parse(&element) else { return Ok(None) };
        let (Some(from), IqType::Get | IqType::Set) = (iq.from, iq.iq_type) else { return Ok(None) };
        let mut answer = String::new();
        if !self.disco.answer(&iq, from, None, &mut answer) {
            let error = xtls::xml::StanzaError::new(xtls::xml::Condition::ServiceUnavailable);
            Iq::write_error(&mut answer, iq.id, from, None, &error);
        }
        Ok(Some(answer))
    }

    /// What the engine tells and asks.
    fn handle_events(&mut self) -> Result<(), Failure> {
        while let Some(event) = self.engine.poll_event() {
            let now = Instant::now();
            match event {
                Event::Incoming(incoming) => {
                    println!("{} offers a tunnel", incoming.peer);
                    let options = TunnelOptions::xml_stream(TrustPolicy::Pinned);
                    // What is no XML stream is declined by this.
                    if let Err(error) = self.engine.accept(now, incoming, options) {
                        println!("declined: {error}");
                    }
                }
                Event::Secured { security, .. } => println!("secured: {security}"),
                Event::Stanza { id, stanza } => {
                    let Some(body) = stanza.child("body", ns::CLIENT).filter(|_| stanza.name() == "message") else {
                        continue;
                    };
                    let echo = Element::builder("message", ns::CLIENT)
                        .attribute("type", "chat")
                        .open("body", ns::CLIENT)
                        .text(&body.text())
                        .build()?;
                    // A peer that asks faster than it listens is not answered.
                    let sent = self.engine.tunnel(id).map(|mut tunnel| tunnel.send(now, &echo));
                    println!("echoed: {}", matches!(sent, Some(Ok(()))));
                }
                Event::Closed(closed) => println!("closed: {closed:?}"),
                other => println!("{other:?}"),
            }
        }
        Ok(())
    }

    /// What the engine wants to send.
    fn collect(&mut self, outgoing: &mut Vec<String>) {
        let mut stanza = String::new();
        while self.engine.poll_transmit(Instant::now(), &mut stanza).is_some() {
            outgoing.push(std::mem::take(&mut stanza));
        }
    }
}

/// Sends a stanza of the engine through tokio-xmpp, which holds trees.
async fn send(client: &mut Client, stanza: &str) -> Result<(), Failure> {
    let tree = Tree::from_reader_with_prefixes(stanza.as_bytes(), String::from(ns::CLIENT))?;
    client.send_stanza(Stanza::try_from(tree)?).await?;
    Ok(())
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn time_of_day() -> Result<UnixTime, Failure> {
    Ok(UnixTime::since_unix_epoch(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?))
}

/// Identifiers are made from this: 32 bytes from the operating system.
fn seed() -> Result<[u8; 32], Failure> {
    let mut seed = [0; 32];
    xtls::rustls::crypto::aws_lc_rs::default_provider().secure_random.fill(&mut seed).map_err(|_| "no randomness")?;
    Ok(seed)
}
