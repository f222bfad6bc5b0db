//! Two engines and a tunnel between them, without a server: stanzas go straight from one to the other.

use std::{hint::black_box, sync::Arc, time::Instant};

use rustls::crypto::CryptoProvider;
use xtls::{
    Application, Config, Engine, Event, Identity, Local, Setup, TrustPolicy, TunnelId, TunnelOptions,
    config::Window,
    jid::FullJid,
    tls::KeyAlgorithm,
    trust::{MemoryTrustStore, Pin},
};

use crate::clock;

/// The initiator's address: 37 bytes, as in the targets.
pub(crate) const ROMEO: &str = "romeo@montague.example/orchard-7f3a9c";
/// The responder's.
pub(crate) const JULIET: &str = "juliet@capulet.example/balcony-51be02";

/// Somebody with an address and a certificate.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    /// The address.
    pub(crate) jid: FullJid,
    /// The certificate and its key.
    pub(crate) identity: Identity,
}

/// Two engines and a tunnel between them that is secured at both ends; the first is the initiator.
pub(crate) struct Pair {
    /// The engines.
    pub(crate) ends: [Engine; 2],
    /// Their names for the tunnel.
    pub(crate) ids: [TunnelId; 2],
    /// The time, which stands still.
    pub(crate) now: Instant,
    stanza: String,
    received: Vec<u8>,
}

impl Who {
    /// Somebody with a new key.
    pub(crate) fn new(jid: &str, key: KeyAlgorithm) -> Self {
        let jid: FullJid = jid.parse().expect("a full JID");
        let identity = Identity::generate(&jid.to_bare(), key, clock::unix()).expect("an identity");
        Self { jid, identity }
    }

    /// Romeo and Juliet.
    pub(crate) fn both(key: KeyAlgorithm) -> [Self; 2] {
        [ROMEO, JULIET].map(|jid| Self::new(jid, key))
    }

    /// An engine that has the certificates of these peers pinned.
    pub(crate) fn engine(
        &self,
        config: Config,
        peers: &[&Self],
        provider: &Arc<CryptoProvider>,
        now: Instant,
    ) -> Engine {
        let mut store = MemoryTrustStore::default();
        for peer in peers {
            store.pin(&peer.jid.to_bare(), Pin::manual(peer.identity.fingerprint_sha256()));
        }
        let local = Local::new(self.jid.clone(), self.identity.clone()).with_provider(Arc::clone(provider));
        let mut seed = [0; 32];
        provider.secure_random.fill(&mut seed).expect("there are random numbers");
        let setup = Setup::new(local, Box::new(store), seed, clock::unix()).with_config(config);
        Engine::new(setup, now).expect("a sound configuration")
    }
}

/// What both ends of a bulk transfer are told: blocks of this size, 32 of them on their way, and room for all of them.
pub(crate) fn bulk_config(block: u16) -> Config {
    let mut config = direct_config();
    config.block_size = block;
    config.window = Window::Fixed(32);
    config.receive_buffer = 4 << 20;
    config.send_buffer = 1 << 20;
    config
}

/// The default, without a server that would say who a stanza is from.
pub(crate) fn direct_config() -> Config {
    let mut config = Config::default();
    config.stamp_from = true;
    config
}

/// A tunnel of raw bytes. Nobody answers service discovery here.
pub(crate) fn raw() -> TunnelOptions {
    let mut options = TunnelOptions::new(Application::bytes(), TrustPolicy::Pinned);
    options.check_support = false;
    options
}

/// A tunnel with an XML stream.
pub(crate) fn xml() -> TunnelOptions {
    let mut options = TunnelOptions::xml_stream(TrustPolicy::Pinned);
    options.check_support = false;
    options
}

/// Lets stanzas pass until nobody has anything more to say, accepts what is offered, and shows all other events with the number
/// of the end that tells of them.
pub(crate) fn settle(ends: [&mut Engine; 2], now: Instant, options: &TunnelOptions, mut on: impl FnMut(usize, Event)) {
    let [one, other] = ends;
    let mut stanza = String::new();
    loop {
        let mut quiet = true;
        for end in 0..2 {
            let (from, to) = if end == 0 { (&mut *one, &mut *other) } else { (&mut *other, &mut *one) };
            while from.poll_transmit(now, &mut stanza).is_some() {
                quiet = false;
                let _ = to.handle_stanza(now, &stanza);
                stanza.clear();
            }
            while let Some(event) = from.poll_event() {
                quiet = false;
                if let Event::Incoming(offer) = event {
                    from.accept(now, offer, options.clone()).expect("the offer stands");
                } else {
                    on(end, event);
                }
            }
        }
        if quiet {
            return;
        }
    }
}

impl Pair {
    /// Two engines of Romeo and Juliet with a tunnel of raw bytes, under the cipher suite that the references have.
    pub(crate) fn bulk(config: &Config, provider: &Arc<CryptoProvider>) -> Self {
        let who = Who::both(KeyAlgorithm::EcdsaP256);
        let mut pair = Self::connect(&who, config, &raw(), provider);
        for end in 0..2 {
            let suite = pair.tunnel(end, |tunnel| tunnel.security().map(|security| security.tls.cipher_suite));
            assert_eq!(suite, Some("TLS_AES_128_GCM_SHA256"), "both sides of a ratio encrypt alike");
        }
        pair
    }

    /// Two engines with a tunnel between them.
    pub(crate) fn connect(
        who: &[Who; 2],
        config: &Config,
        options: &TunnelOptions,
        provider: &Arc<CryptoProvider>,
    ) -> Self {
        let [romeo, juliet] = who;
        let now = clock::now();
        let mut ends = [
            romeo.engine(config.clone(), &[juliet], provider, now),
            juliet.engine(config.clone(), &[romeo], provider, now),
        ];
        let ids = open(ends.each_mut(), juliet, options, now);
        Self { ends, ids, now, stanza: String::new(), received: Vec::new() }
    }

    /// Sends bytes from the initiator to the responder, who reads all of them; every block is acknowledged. Each stanza is shown
    /// with the end that it comes from, and the bytes as they are read.
    pub(crate) fn transfer(
        &mut self,
        data: &[u8],
        mut on_stanza: impl FnMut(usize, &str),
        mut on_bytes: impl FnMut(&[u8]),
    ) {
        let Self { ends: [from, to], ids, now, stanza, received } = self;
        let (mut written, mut read) = (0, 0);
        while read < data.len() {
            let mut moved = false;
            if written < data.len() {
                let mut tunnel = from.tunnel(ids[0]).expect("the tunnel is open");
                written += tunnel.write(*now, &data[written..]).expect("it takes bytes");
            }
            while from.poll_transmit(*now, stanza).is_some() {
                moved = true;
                on_stanza(0, stanza);
                let _ = black_box(to.handle_stanza(*now, stanza));
                stanza.clear();
            }
            while let Some(event) = to.poll_event() {
                if let Event::Readable { id } = event {
                    read += to.tunnel(id).expect("the tunnel is open").read(*now, received);
                    on_bytes(black_box(received));
                    received.clear();
                }
            }
            while to.poll_transmit(*now, stanza).is_some() {
                moved = true;
                on_stanza(1, stanza);
                let _ = black_box(from.handle_stanza(*now, stanza));
                stanza.clear();
            }
            while let Some(event) = from.poll_event() {
                black_box(event);
            }
            assert!(moved || read == data.len(), "the transfer stands still after {read} of {} bytes", data.len());
        }
        assert_eq!(read, data.len(), "nothing comes that was not sent");
    }

    /// The same without an onlooker.
    pub(crate) fn send(&mut self, data: &[u8]) {
        self.transfer(data, |_, _| (), |_| ());
    }

    /// The same, and what comes is what was sent.
    pub(crate) fn send_and_compare(&mut self, data: &[u8]) {
        let mut arrived = Vec::with_capacity(data.len());
        self.transfer(data, |_, _| (), |bytes| arrived.extend_from_slice(bytes));
        assert!(arrived == data, "what comes is what was sent");
        assert_eq!(self.tunnel(0, |tunnel| tunnel.unacked()), 0, "all of it is acknowledged");
    }

    /// Does something with the tunnel at one end.
    pub(crate) fn tunnel<R>(&mut self, end: usize, action: impl FnOnce(xtls::Tunnel<'_>) -> R) -> R {
        action(self.ends[end].tunnel(self.ids[end]).expect("the tunnel is open"))
    }
}

/// Opens a tunnel between two engines, and gives both ends' names for it.
pub(crate) fn open([one, other]: [&mut Engine; 2], to: &Who, options: &TunnelOptions, now: Instant) -> [TunnelId; 2] {
    one.initiate(now, to.jid.clone(), options.clone()).expect("nothing keeps the offer back");
    let mut secured = [None, None];
    settle([one, other], now, options, |end, event| {
        if let Event::Secured { id, .. } = event {
            secured[end] = Some(id);
        }
    });
    secured.map(|id| id.expect("the tunnel is secured at both ends"))
}

/// Bytes that do not compress and are the same in each run.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::references::tls;

    #[test]
    fn addresses_are_as_long_as_in_the_targets() {
        assert_eq!([ROMEO.len(), JULIET.len()], [37, 37]);
    }

    #[test]
    fn bytes_arrive_as_they_were_sent_and_more_than_once() {
        let mut pair = Pair::bulk(&bulk_config(4096), &tls::bulk_provider());
        for length in [1, 4074, 100_000] {
            pair.send_and_compare(&noise(length));
        }
    }
}
