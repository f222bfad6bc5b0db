//! The engine by itself, for bindings to be measured beside it: two of them in one thread, and bytes from one to the other. Each line of
//! standard input is a number of bytes, and is answered by the seconds that they took, in writes of
//! 64 KiB.
//!
//!     cargo run --release -p xtls-bindings --example bare -- 4096

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a measurement")]

use std::io::{BufRead as _, Write as _};
use std::time::Instant;

use xtls::config::Window;
use xtls::jid::FullJid;
use xtls::tls::{KeyAlgorithm, UnixTime, default_provider};
use xtls::trust::{MemoryTrustStore, Pin};
use xtls::{Application, Config, Engine, Event, Identity, Local, Setup, TrustPolicy, TunnelId, TunnelOptions};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

const JIDS: [&str; 2] = ["romeo@montague.example/orchard-7f3a9c", "juliet@capulet.example/balcony-51be02"];

/// What a binding that is measured does alike.
const WRITE: usize = 64 * 1024;

struct Pair {
    ends: [Engine; 2],
    stanza: Vec<u8>,
    received: Vec<u8>,
}

fn main() -> Fallible<()> {
    let block = std::env::args().nth(1).ok_or("the size of a block is missing")?.parse()?;
    let (mut pair, ids) = Pair::new(block)?;
    for line in std::io::stdin().lock().lines() {
        let bytes = line?.parse()?;
        let start = Instant::now();
        pair.transfer(ids, bytes)?;
        println!("{}", start.elapsed().as_secs_f64());
        std::io::stdout().flush()?;
    }
    Ok(())
}

impl Pair {
    /// Two engines, and the ids of a tunnel between them.
    fn new(block: u16) -> Fallible<(Self, [TunnelId; 2])> {
        let mut config = Config::default();
        config.block_size = block;
        config.window = Window::Fixed(32);
        (config.receive_buffer, config.send_buffer) = (4 << 20, 1 << 20);
        config.stamp_from = true;
        let time = UnixTime::now();
        let [romeo, juliet] = JIDS.map(str::parse::<FullJid>);
        let jids = [romeo?, juliet?];
        let make = |jid: &FullJid| Identity::generate(&jid.to_bare(), KeyAlgorithm::EcdsaP256, time);
        let identities = [make(&jids[0])?, make(&jids[1])?];
        let engine = |end: usize| -> Fallible<Engine> {
            let mut store = MemoryTrustStore::default();
            store.pin(&jids[1 - end].to_bare(), Pin::manual(identities[1 - end].fingerprint_sha256()));
            let mut seed = [0; 32];
            default_provider().secure_random.fill(&mut seed).map_err(|_| "no random numbers")?;
            let local = Local::new(jids[end].clone(), identities[end].clone());
            let setup = Setup::new(local, Box::new(store), seed, time).with_config(config.clone());
            Ok(Engine::new(setup, Instant::now())?)
        };
        let mut pair = Self { ends: [engine(0)?, engine(1)?], stanza: Vec::new(), received: Vec::new() };
        let mut options = TunnelOptions::new(Application::bytes(), TrustPolicy::Pinned);
        options.check_support = false;
        let his = pair.ends[0].initiate(Instant::now(), jids[1].clone(), options.clone())?;
        pair.carry();
        let Some(Event::Incoming(offer)) = pair.ends[1].poll_event() else { return Err("no offer".into()) };
        let hers = pair.ends[1].accept(Instant::now(), offer, options)?;
        while pair.carry() {}
        Ok((pair, [his, hers]))
    }

    /// Carries all stanzas there are at once, each way. Tells whether there were any.
    fn carry(&mut self) -> bool {
        let mut moved = false;
        for from in [0, 1] {
            while self.ends[from].poll_transmit_bytes(Instant::now(), &mut self.stanza).is_some() {
                moved = true;
                let _ = self.ends[1 - from].handle_stanza_bytes(Instant::now(), &self.stanza);
                self.stanza.clear();
            }
        }
        moved
    }

    fn transfer(&mut self, ids: [TunnelId; 2], bytes: usize) -> Fallible<()> {
        let data = vec![7; WRITE];
        let (mut written, mut received) = (0, 0);
        while received < bytes {
            let mut room = true;
            while room && written < bytes {
                let part = data.get(..WRITE.min(bytes - written)).unwrap_or_default();
                let count = self.tunnel(0, ids)?.write(Instant::now(), part)?;
                written += count;
                room = count == part.len();
            }
            self.carry();
            for end in [0, 1] {
                while self.ends[end].poll_event().is_some() {}
            }
            self.received.clear();
            let mut received_now = std::mem::take(&mut self.received);
            received += self.tunnel(1, ids)?.read(Instant::now(), &mut received_now);
            self.received = received_now;
        }
        Ok(())
    }

    fn tunnel(&mut self, end: usize, ids: [TunnelId; 2]) -> Fallible<xtls::Tunnel<'_>> {
        self.ends[end].tunnel(ids[end]).ok_or_else(|| "the tunnel has ended".into())
    }
}
