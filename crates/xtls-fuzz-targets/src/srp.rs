//! TLS-SRP: both ends, and what is between them changed; and either end alone with a stranger.

use tls_srp::{
    ClientConfig, ClientSession, Credentials, Error, Group, Random, RandomFailed, ServerConfig, ServerSession,
};

use crate::flights::{End, Rules, play};
use crate::input::{Input, pieces};

/// The first byte says whether the passwords are the same, how large records are and whether there is a stranger instead of
/// one of the ends; the second how reads are cut.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (options, cut) = (input.byte(), input.byte());
    match options & 7 {
        6 => alone(&mut client("wherefore", options), input.rest(), cut, || client("wherefore", options)),
        7 => alone(&mut server(options), input.rest(), cut, || server(options)),
        same => {
            let agree = same != 5;
            let play = |cut| {
                let password = if agree { "wherefore" } else { "therefore" };
                let mut client = client(password, options);
                let mut hello = Vec::new();
                client.read(&[], &mut Vec::new(), &mut hello).expect("it begins");
                let rules = Rules { last: 0, agree };
                play([Box::new(client), Box::new(server(options))], hello, &rules, input.clone(), cut)
            };
            let whole = play(0);
            if cut != 0 {
                assert_eq!(play(cut), whole, "however it is cut");
            }
        }
    }
}

/// An end that hears what it likes, and never believes anybody.
fn alone<E: Session>(whole: &mut E, bytes: &[u8], cut: u8, again: impl Fn() -> E) {
    let expected = hear(whole, &[bytes]);
    assert!(whole.is_handshaking() && expected.0.is_empty(), "a stranger is nobody");
    assert_eq!(hear(&mut again(), &pieces(bytes, cut)), expected, "however it is cut");
}

fn hear<E: Session>(end: &mut E, pieces: &[&[u8]]) -> (Vec<u8>, Vec<u8>, Result<(), Error>) {
    let (mut plaintext, mut out) = (Vec::new(), Vec::new());
    let mut result = end.read(&[], &mut plaintext, &mut out);
    for piece in pieces {
        result = end.read(piece, &mut plaintext, &mut out);
    }
    (plaintext, out, result)
}

fn client(password: &str, options: u8) -> ClientSession {
    let config = ClientConfig::new(credentials(password));
    let mut session = ClientSession::new(config, Box::new(Seeded(1))).expect("a sound configuration");
    session.set_max_record(record_size(options));
    session
}

fn server(options: u8) -> ServerSession {
    let mut config = ServerConfig::new(credentials("wherefore"));
    config.group = Group::Rfc5054N2048;
    let mut session = ServerSession::new(config, Box::new(Seeded(2))).expect("a sound configuration");
    session.set_max_record(record_size(options >> 2));
    session
}

const fn record_size(options: u8) -> usize {
    if options & 8 == 0 { 16_384 } else { 80 }
}

fn credentials(password: &str) -> Credentials {
    Credentials::new("romeo@montague.lit", password).expect("a name and a password")
}

/// Random numbers that are the same in each run (SplitMix64). For tests only, as all of this is.
struct Seeded(u64);

impl Random for Seeded {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        for chunk in out.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// What the two session types have in common.
trait Session {
    fn read(&mut self, records: &[u8], plaintext: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), Error>;
    fn is_handshaking(&self) -> bool;
}

macro_rules! ends {
    ($($name:ident),*) => {$(
        impl Session for $name {
            fn read(&mut self, records: &[u8], plaintext: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), Error> {
                self.read(records, plaintext, out)
            }

            fn is_handshaking(&self) -> bool {
                self.is_handshaking()
            }
        }

        impl End for $name {
            fn read(&mut self, records: &[u8], plaintext: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), String> {
                self.read(records, plaintext, out).map_err(|error| format!("{error:?}"))
            }

            fn write(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> bool {
                let before = out.len();
                let written = self.write(plaintext, out).is_ok();
                assert!(written || out.len() == before, "nothing is written then");
                written
            }

            fn close(&mut self, out: &mut Vec<u8>) {
                self.close(out);
            }

            fn is_complete(&self) -> bool {
                !self.is_handshaking()
            }

            fn peer_closed(&self) -> bool {
                self.peer_closed()
            }

            fn exported(&self) -> Option<[u8; 32]> {
                let mut out = [0; 32];
                self.export_keying_material(&mut out, b"EXPORTER-fuzz", Some(b"")).is_ok().then_some(out)
            }
        }
    )*};
}

ends!(ClientSession, ServerSession);
