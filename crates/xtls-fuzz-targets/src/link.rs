//! Links of each type: two ends that know one another, and somebody on the wire.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use xtls::event::Side;
use xtls::link::{ClientTerms, Features, LinkEvent, ServerTerms, StartTlsDialect};
use xtls::trust::Method;
use xtls::{Element, Password, Terms, TrustPolicy};
use xtls_stanza::ns;
use xtls_testkit::{LinkPair, SIDES};

use crate::flights::records;
use crate::input::Input;

/// No timer is longer.
const LONG: Duration = Duration::from_secs(3600);

/// The first byte says which type of link there is. Each byte after it is what an application does, or what becomes of what
/// comes over the wire next.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.byte();
    let mut game = Game::new(kind, input.rest());
    let mut steps = 0;
    while !game.input.borrow().is_empty() && steps < 100 {
        game.step();
        game.check();
        steps += 1;
    }
    game.finish();
}

struct Game {
    pair: LinkPair,
    input: Rc<RefCell<Vec<u8>>>,
    /// Whether anything on the wire was changed.
    tampered: Rc<RefCell<bool>>,
    is_client: bool,
    method: Method,
    sent: [Vec<String>; 2],
    heard: [Vec<String>; 2],
    secured: [bool; 2],
    closed: [bool; 2],
    /// The applications or the wire have ended something.
    ended: bool,
}

/// The bytes that are left, the next one last.
fn next(input: &RefCell<Vec<u8>>) -> u8 {
    input.borrow_mut().pop().unwrap_or_default()
}

impl Game {
    fn new(kind: u8, rest: &[u8]) -> Self {
        let mut pair = LinkPair::new(3);
        let is_client = kind & 3 >= 2;
        let with_password = kind & 0x3f == 0x21;
        if is_client {
            pair.name(Side::Initiator, "romeo@forza");
            pair.name(Side::Responder, "forza");
        }
        if !with_password {
            pair.trust(Side::Initiator);
            pair.trust(Side::Responder);
        }
        if kind & 4 != 0 {
            pair.tls12(Side::Responder);
        }
        let input: Rc<RefCell<Vec<u8>>> = Rc::new(RefCell::new(rest.iter().rev().copied().collect()));
        let tampered = Rc::new(RefCell::new(false));
        for side in SIDES {
            let (input, tampered) = (Rc::clone(&input), Rc::clone(&tampered));
            pair.tamper(side, move |bytes| {
                let before = bytes.clone();
                change(bytes, &input);
                *tampered.borrow_mut() |= *bytes != before;
            });
        }
        if is_client {
            let mut client = ServerTerms::new(TrustPolicy::Pinned);
            client.present_certificate = kind & 8 != 0;
            client.direct_tls = kind & 1 != 0;
            let mut server = ClientTerms::new();
            server.direct_tls = kind & 1 != 0;
            pair.start_client_and_server(&client, &server);
        } else {
            if kind & 8 != 0 && !with_password {
                for side in SIDES {
                    pair.config(side).dialect = StartTlsDialect::Xep0035;
                }
            }
            let mut terms = Terms::new(TrustPolicy::Pinned);
            if with_password {
                terms = terms.with_password(Password::new("wherefore").expect("a password"));
            }
            pair.start(terms.clone(), Some(terms));
        }
        Self {
            pair,
            input,
            tampered,
            is_client,
            method: if with_password { Method::Srp } else { Method::X509 },
            sent: Default::default(),
            heard: Default::default(),
            secured: [false; 2],
            closed: [false; 2],
            ended: false,
        }
    }

    fn step(&mut self) {
        let operation = next(&self.input);
        let side = SIDES[usize::from(operation >> 7)];
        match operation & 15 {
            0..=3 => drop(self.pair.turn()),
            4 | 5 => self.pair.run(),
            6 | 7 => {
                // Nobody on the wire may ever see this.
                let at = usize::from(operation >> 7);
                let body = format!("a-secret-of-{at}-{}", self.sent[at].len());
                let message =
                    Element::builder("message", ns::CLIENT).open("body", ns::CLIENT).text(&body).close().build();
                if self.pair.send(side, &message.expect("a message")).is_ok() {
                    self.sent[at].push(body);
                }
            }
            8 if next(&self.input) & 3 == 0 => {
                self.ended = true;
                self.pair.with_any(side, |link, now| link.close(now));
            }
            9 => {
                self.ended = true;
                let seconds = u64::from(next(&self.input));
                self.pair.run_for(Duration::from_secs(seconds));
            }
            10 if next(&self.input) & 3 == 0 => {
                self.ended = true;
                self.pair.cut_off(side);
            }
            11 => {
                let count = usize::from(next(&self.input) & 31);
                let bytes: Vec<u8> = (0..count).map(|_| next(&self.input)).collect();
                *self.tampered.borrow_mut() |= !bytes.is_empty();
                self.pair.inject(side, &bytes);
            }
            12 => self.pair.cut = usize::from(operation >> 4 & 7) * 13,
            13 => self.pair.pipe = usize::from(operation >> 4 & 7) * 500,
            _ => {}
        }
    }

    fn check(&mut self) {
        for (at, side) in SIDES.into_iter().enumerate() {
            for event in self.pair.take_events(side) {
                assert!(!self.closed[at], "nothing comes after the end: {event:?}");
                self.event(at, side, event);
            }
            let wire = self.pair.sent(side);
            assert!(!wire.windows(12).any(|window| window == b"a-secret-of-"), "nothing goes in clear");
        }
    }

    fn event(&mut self, at: usize, side: Side, event: LinkEvent) {
        match event {
            LinkEvent::Secured { security } => {
                assert!(!self.secured[at], "once");
                self.secured[at] = true;
                assert!(self.is_client && at == 1 || security.method == self.method);
                let other = self.pair.identity(SIDES[1 - at]).certificate();
                let shown = security.certificate.as_ref().map(|certificate| certificate.der());
                assert!(shown.is_none_or(|shown| shown == other), "nobody is taken for another");
                assert_eq!(shown.is_some(), self.method == Method::X509, "everybody is known by something");
            }
            LinkEvent::Stanza { stanza } => {
                assert!(self.secured[at], "nothing is handed on before");
                let body = stanza.child("body", ns::CLIENT).map(|body| body.text()).unwrap_or_default();
                self.heard[at].push(body);
                assert!(self.sent[1 - at].starts_with(&self.heard[at]), "in order, once, and as it was sent");
            }
            LinkEvent::FeaturesRequired { .. } if side == Side::Responder => {
                // The link may have ended since it asked.
                let _ = self.pair.with_server(|link, now| link.send_features(now, &Features::default()));
            }
            LinkEvent::Features(features) if features.mechanisms.iter().any(|name| name == "EXTERNAL") => {
                let _ = self.pair.with_client(|link, now| link.authenticate_external(now, None));
            }
            LinkEvent::Closed(_) => self.closed[at] = true,
            LinkEvent::TrustRequired { .. } | LinkEvent::PasswordRequired | LinkEvent::Impersonation { .. } => {
                panic!("nobody is asked, and nobody lies inside: {event:?}");
            }
            _ => {}
        }
    }

    /// Nobody meddles any more.
    fn finish(mut self) {
        self.input.borrow_mut().clear();
        for _ in 0..4 {
            self.pair.run();
            self.check();
        }
        if !*self.tampered.borrow() && !self.ended {
            assert!(
                self.secured[0] && (self.is_client || self.secured[1]),
                "left alone they come together: {:?}",
                self.pair
            );
            // What a client says before it is authenticated ends its stream (RFC 6120 § 4.3.5).
            assert!(
                self.is_client || self.heard[0] == self.sent[1] && self.heard[1] == self.sent[0],
                "all of it arrives"
            );
        }
        self.pair.run_for(LONG);
        self.check();
        for side in SIDES {
            self.pair.with_any(side, |link, now| link.close(now));
        }
        self.pair.run_for(LONG);
        self.check();
        assert_eq!(self.closed, [true, true], "it ends: {:?}", self.pair);
        assert!(SIDES.iter().all(|side| self.pair.link(*side).poll_timeout().is_none()));
    }
}

/// What becomes of what an end has just sent.
fn change(bytes: &mut Vec<u8>, input: &RefCell<Vec<u8>>) {
    let operation = next(input);
    let at = usize::from(next(input)) * bytes.len() / 256;
    match operation & 31 {
        16 | 17 => bytes[at] ^= next(input),
        18 => drop(bytes.drain(at..)),
        19 => drop(bytes.drain(..at)),
        20 => {
            let count = usize::from(next(input) & 15);
            let more: Vec<u8> = (0..count).map(|_| next(input)).collect();
            bytes.splice(at..at, more);
        }
        21 => bytes.extend_from_within(at..),
        22 | 23 => {
            let mut records = records(bytes);
            let number = at % records.len();
            match operation >> 5 & 3 {
                0 => drop(records.remove(number)),
                1 => records.push(records[number].clone()),
                2 => records.swap(number, 0),
                _ => records.insert(0, records[number].clone()),
            }
            *bytes = records.concat();
        }
        24 => bytes.clear(),
        25 => {
            // STARTTLS is taken away, or demanded.
            let text = String::from_utf8_lossy(bytes).replace("urn:ietf:params:xml:ns:xmpp-tls", "urn:x");
            *bytes = text.into_bytes();
        }
        26 => {
            let text = String::from_utf8_lossy(bytes).replace("<srp/>", "").replace("<keyinfo", "<other");
            *bytes = text.into_bytes();
        }
        27 => {
            let text = String::from_utf8_lossy(bytes).replace("forza", "verona");
            *bytes = text.into_bytes();
        }
        28 => bytes.splice(..0, *b"<message><body>from nobody</body></message>").for_each(drop),
        29 => bytes.extend_from_slice(b"<message><body>from nobody</body></message>"),
        _ => {}
    }
}
