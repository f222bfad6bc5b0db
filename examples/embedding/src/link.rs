//! A link over TCP: two entities without a server.

use std::io::Write;

use futures::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use xtls::{
    Element, Identity, Local, Terms, TrustPolicy,
    jid::Jid,
    link::{LinkEvent, LinkSetup},
    trust::{MemoryTrustStore, Pin},
    xml::ns,
};
use xtls_tokio::{PromptTcp, link};

use crate::{
    Failure,
    pair::{JULIET, ROMEO, identity},
};

pub(crate) async fn run(out: &mut impl Write) -> Result<(), Failure> {
    let [his, hers] = [identity(ROMEO)?, identity(JULIET)?];
    let (his_setup, her_setup) = (setup(ROMEO, his.clone(), JULIET, &hers)?, setup(JULIET, hers, ROMEO, &his)?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let hearing = tokio::spawn(async move { hear(her_setup, listener.accept().await?.0).await });
    say(his_setup, JULIET.parse()?, TcpStream::connect(address).await?, "But, soft!").await?;
    for heard in hearing.await?? {
        writeln!(out, "Juliet heard {heard:?}")?;
    }
    Ok(())
}

/// Connects to a peer, says one thing and closes the link.
async fn say(setup: LinkSetup, peer: Jid, socket: TcpStream, what: &str) -> Result<(), Failure> {
    let mut link = link::connect(setup, peer, Terms::new(TrustPolicy::Pinned), PromptTcp::from(socket))?;
    while let Some(event) = link.next().await {
        match event {
            LinkEvent::StreamOpened => {
                let message = Element::builder("message", ns::CLIENT).open("body", ns::CLIENT).text(what).build()?;
                link.send(message).await?;
                link.with_link(|link, now| link.close(now));
            }
            LinkEvent::Closed(closed) if closed.reason.is_security() => return Err(closed.reason.to_string().into()),
            _ => {}
        }
    }
    Ok(())
}

/// The other end: hears what a trusted peer says, until the link is closed.
async fn hear(setup: LinkSetup, socket: TcpStream) -> Result<Vec<String>, Failure> {
    let (mut link, mut heard) = (link::listen(setup, None, PromptTcp::from(socket))?, Vec::new());
    while let Some(event) = link.next().await {
        match event {
            // Who it is from is only a claim until it is secured.
            LinkEvent::Incoming { .. } => {
                link.with_link(|link, now| link.accept(now, Terms::new(TrustPolicy::Pinned)))?;
            }
            LinkEvent::Stanza { stanza } => heard.extend(stanza.child("body", ns::CLIENT).map(|body| body.text())),
            LinkEvent::Closed(closed) if closed.reason.is_security() => return Err(closed.reason.to_string().into()),
            _ => {}
        }
    }
    Ok(heard)
}

fn setup(me: &str, identity: Identity, peer: &str, peers: &Identity) -> Result<LinkSetup, Failure> {
    let mut store = MemoryTrustStore::default();
    store.pin(&peer.parse::<Jid>()?.to_bare(), Pin::manual(peers.fingerprint_sha256()));
    Ok(xtls_tokio::setup(Local::new(me.parse()?, identity), store)?)
}

#[test]
fn what_one_end_says_the_other_hears() {
    assert_eq!(crate::written(async |out| run(out).await), "Juliet heard \"But, soft!\"\n");
}
