//! Two engines, and the stanzas between them.

use xtls_bindings::{Engine, Event, Identity, Settings, Setup, Store};

pub(crate) const NOW: u64 = 1_760_000_000;
pub(crate) const ROMEO: &str = "romeo@montague.lit/orchard";
pub(crate) const JULIET: &str = "juliet@capulet.lit/balcony";

/// Both ends, and a server between them that stamps who a stanza is from.
pub(crate) struct Pair {
    pub(crate) ends: [Engine; 2],
    pub(crate) now: u64,
    pub(crate) events: [Vec<Event>; 2],
}

pub(crate) fn identity(jid: &str) -> Identity {
    Identity::generate(jid, "ecdsa-p256", NOW).expect("a key")
}

pub(crate) fn engine(jid: &str, identity: &Identity, store: &Store, settings: &Settings<'_>) -> Engine {
    let setup = Setup { jid, identity, store, settings, authorities: None, unix_time: NOW, now: 77 };
    let mut engine = Engine::new(&setup).expect("an engine");
    engine.set_features("https://exodus.example/", "client", "pc", &[]).expect("features");
    engine
}

impl Pair {
    /// Two that know one another's certificates.
    pub(crate) fn new() -> Self {
        let (his, hers) = (identity(ROMEO), identity(JULIET));
        let (romeos, juliets) = (Store::in_memory(), Store::in_memory());
        romeos.pin(JULIET, &hers.fingerprint().expect("a fingerprint")).expect("a pin");
        juliets.pin(ROMEO, &his.fingerprint().expect("a fingerprint")).expect("a pin");
        Self::of([engine(ROMEO, &his, &romeos, &[]), engine(JULIET, &hers, &juliets, &[])])
    }

    pub(crate) fn of(ends: [Engine; 2]) -> Self {
        Self { ends, now: 77, events: [Vec::new(), Vec::new()] }
    }

    /// Carries stanzas both ways until there are none.
    pub(crate) fn run(&mut self) {
        loop {
            let mut moved = false;
            for from in [0, 1] {
                moved |= self.carry(from);
                while let Some(event) = self.ends[from].poll_event() {
                    self.events[from].push(event);
                    moved = true;
                }
            }
            if !moved {
                return;
            }
            self.now += 1;
        }
    }

    /// Carries what this end has to say to the other one.
    fn carry(&mut self, from: usize) -> bool {
        let (mut moved, mut stanza) = (false, Vec::new());
        while self.ends[from].poll_transmit(self.now, &mut stanza).is_some() {
            let text = String::from_utf8(std::mem::take(&mut stanza)).expect("UTF-8");
            let stamped = text.replacen(" ", &format!(" from='{}' ", [ROMEO, JULIET][from]), 1);
            let handled = self.ends[1 - from].handle_stanza(self.now, stamped.as_bytes());
            assert_eq!(handled.disposition.as_str(), "consumed", "{stamped}");
            moved = true;
        }
        moved
    }

    /// The first event of this kind at this end, which is taken out.
    pub(crate) fn event(&mut self, end: usize, kind: &str) -> Event {
        let at = self.events[end].iter().position(|event| event.as_str() == kind);
        let seen = || self.events[end].iter().map(Event::as_str).collect::<Vec<_>>();
        let at = at.unwrap_or_else(|| panic!("no {kind} among {:?}", seen()));
        self.events[end].remove(at)
    }

    /// A tunnel between them, secured.
    pub(crate) fn tunnel(&mut self, application: &str) -> (u64, u64) {
        let options = [("trust", "pinned"), ("application", application)];
        let id = self.ends[0].initiate(self.now, JULIET, &options).expect("an offer");
        self.run();
        let offer = self.event(1, "incoming");
        assert_eq!((offer.peer.as_str(), offer.application.as_str()), (ROMEO, application));
        self.ends[1].accept(self.now, offer.id, &[("trust", "pinned")]).expect("accepted");
        self.run();
        (id, offer.id)
    }

    /// Sends a stanza to an end that has a queue of its own. Tells whether there was room.
    pub(crate) fn send_to_queue(&mut self, id: u64, stanza: &str, numbers: &mut Vec<u64>) -> bool {
        let sent = self.ends[0].send(self.now, id, stanza).is_ok();
        self.queue(numbers);
        sent
    }

    /// Carries stanzas both ways until there are none, and keeps the numbers of what the second end was told.
    pub(crate) fn queue(&mut self, numbers: &mut Vec<u64>) {
        loop {
            let mut moved = false;
            while let Some((event, number)) = self.ends[1].poll_event_held() {
                moved = true;
                if event.as_str() == "stanza" {
                    numbers.push(number);
                } else {
                    self.ends[1].release(number);
                }
            }
            for from in [0, 1] {
                moved |= self.carry(from);
            }
            if !moved {
                return;
            }
        }
    }
}
