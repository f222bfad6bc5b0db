//! A client in a simulated world, whose server is hostile if you want it to be, and where minutes pass at once.

use std::{
    collections::VecDeque,
    io::Write,
    time::{Duration, Instant},
};

use xtls::{
    Element, Engine, Event, Local, Setup, TrustPolicy, TunnelId, TunnelOptions,
    jid::FullJid,
    trust::{MemoryTrustStore, Pin},
    xml::ns,
};
use xtls_testkit::{Client, Connection, EntityId, Network, provider, unix};

use crate::{
    Failure,
    pair::{JULIET, ROMEO},
};

/// 2026-01-01.
const TODAY: u64 = 1_767_225_600;

/// Your client: it greets whoever it has a tunnel with, and remembers what it hears.
pub(crate) struct Greeter {
    engine: Engine,
    presence: VecDeque<String>,
    pub(crate) heard: Vec<String>,
    pub(crate) secured: usize,
    /// Those that it opened or accepted and that have not ended.
    pub(crate) tunnels: Vec<TunnelId>,
}

impl Greeter {
    /// Knows the peer's certificate. All of it follows from the addresses.
    pub(crate) fn new(me: &str, peer: &str, now: Instant) -> Self {
        let identity = |jid: &FullJid| provider::identity(&jid.to_bare(), [jid.as_str().as_bytes()[0]; 32], TODAY);
        let (me, peer): (FullJid, FullJid) = (me.parse().expect("an address"), peer.parse().expect("an address"));
        let mut store = MemoryTrustStore::default();
        store.pin(&peer.to_bare(), Pin::manual(identity(&peer).fingerprint_sha256()));
        let local = Local::new(me.clone(), identity(&me)).with_provider(provider::deterministic());
        let engine = Engine::new(Setup::new(local, Box::new(store), [1; 32], unix(TODAY)), now).expect("a sound setup");
        Self { engine, presence: VecDeque::new(), heard: Vec::new(), secured: 0, tunnels: Vec::new() }
    }

    pub(crate) fn call(&mut self, now: Instant, peer: &str) {
        let tunnel = self.engine.initiate(now, peer.parse().expect("an address"), options());
        self.tunnels.push(tunnel.expect("the offer makes sense"));
    }

    fn on_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Incoming(offer) => self.tunnels.extend(self.engine.accept(now, offer, options())),
            Event::Secured { .. } => self.secured += 1,
            Event::StreamOpened { id } => {
                let greeting =
                    Element::builder("message", ns::CLIENT).open("body", ns::CLIENT).text("good day").build();
                if let (Some(mut tunnel), Ok(greeting)) = (self.engine.tunnel(id), greeting) {
                    tunnel.send(now, &greeting).expect("it has just opened");
                }
            }
            Event::Stanza { stanza, .. } => self.heard.extend(stanza.child("body", ns::CLIENT).map(|body| body.text())),
            Event::Closed(closed) => self.tunnels.retain(|tunnel| *tunnel != closed.id),
            _ => {}
        }
    }
}

impl Client for Greeter {
    fn handle_stanza(&mut self, now: Instant, stanza: &str) {
        // A client that does more than this has more to do with what is not the engine's.
        let _ = self.engine.handle_stanza(now, stanza);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.engine.handle_timeout(now);
    }

    fn handle_connection(&mut self, now: Instant, change: Connection) {
        match change {
            Connection::Offline => self.engine.handle_disconnect(now),
            Connection::Suspended => self.engine.handle_suspended(now),
            Connection::Resumed => self.engine.handle_resumed(now),
            _ => self.presence.push_back("<presence/>".to_owned()),
        }
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut String) -> bool {
        while let Some(event) = self.engine.poll_event() {
            self.on_event(now, event);
        }
        match self.presence.pop_front() {
            Some(presence) => out.push_str(&presence),
            None => return self.engine.poll_transmit(now, out).is_some(),
        }
        true
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.engine.poll_timeout().map(|due| due.at)
    }
}

fn options() -> TunnelOptions {
    let mut options = TunnelOptions::xml_stream(TrustPolicy::Pinned);
    options.check_support = false; // It does not answer service discovery.
    options
}

/// Romeo and Juliet, logged in, 50 ms apart.
pub(crate) fn world() -> (Network<Greeter>, EntityId, EntityId) {
    let mut network = Network::new(Duration::from_millis(25));
    let now = network.now();
    let romeo = network.join(ROMEO, 1, Greeter::new(ROMEO, JULIET, now));
    let juliet = network.join(JULIET, 2, Greeter::new(JULIET, ROMEO, now));
    network.log_in(romeo);
    network.log_in(juliet);
    (network, romeo, juliet)
}

pub(crate) fn run(out: &mut impl Write) -> Result<(), Failure> {
    let (mut network, romeo, juliet) = world();
    network.act(romeo, |client, now| client.call(now, JULIET));
    network.run_for(Duration::from_millis(300));
    // Her connection is away for a minute, in the middle of the handshake.
    network.suspend(juliet);
    network.run_for(Duration::from_secs(60));
    network.resume(juliet);
    network.run_for(Duration::from_secs(10));
    writeln!(out, "after {:?} Juliet has heard {:?}", network.elapsed(), network.client(juliet).heard)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use xtls_testkit::Misdeed;

    use super::*;

    #[test]
    fn a_minute_without_a_connection_loses_nothing() {
        let out = crate::written(async |out| run(out));
        assert_eq!(out, "after 70.3s Juliet has heard [\"good day\"]\n");
    }

    #[test]
    fn a_server_in_the_middle_is_told_nothing() {
        for misdeed in [Misdeed::ChangeFingerprint, Misdeed::StripSecurity] {
            let (mut network, romeo, juliet) = world();
            network.relay.plan(misdeed);
            network.act(romeo, |client, now| client.call(now, JULIET));
            network.run_for(Duration::from_secs(900));
            assert_eq!(network.relay.misdeeds().len(), 1);
            for client in [network.client(romeo), network.client(juliet)] {
                assert!(
                    client.heard.is_empty() && client.secured == 0 && client.tunnels.is_empty(),
                    "{:?}",
                    client.heard
                );
            }
        }
    }
}
