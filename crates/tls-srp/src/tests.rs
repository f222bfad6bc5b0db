//! Whole sessions, in memory. Rows of the project's attack table keep their number in their name (`p09_...`, `m28_...`).
#![allow(clippy::unwrap_used, clippy::as_conversions)]

mod alerts;
mod closing;
mod fsm;
mod handshake;
mod hello;
mod hostile;
#[cfg(target_os = "linux")]
mod memory;
mod recorded;
mod records;
mod secrets;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::{
    ClientConfig, ClientSession, Credentials, Error, Group, Random, RandomFailed, ServerConfig, ServerSession,
};

/// Bytes from hexadecimal; white space is skipped.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    assert!(digits.len().is_multiple_of(2));
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Random bytes that are the same in each run.
pub(crate) struct Seeded(ChaCha8Rng);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }
}

impl Random for Seeded {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        self.0.fill_bytes(out);
        Ok(())
    }
}

/// Exactly these bytes, and then a failure.
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Random for Bytes {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        if out.len() > self.0.len() {
            return Err(RandomFailed);
        }
        out.copy_from_slice(&self.0[..out.len()]);
        self.0.drain(..out.len());
        Ok(())
    }
}

pub(crate) const NAME: &str = "romeo@montague.lit";

pub(crate) fn credentials(password: &str) -> Credentials {
    Credentials::new(NAME, password).unwrap()
}

/// A client that accepts the quick group too.
pub(crate) fn client_config() -> ClientConfig {
    let mut config = ClientConfig::new(credentials("wherefore"));
    config.groups.push(Group::Rfc5054N1024);
    config
}

/// A server that uses the quick group.
pub(crate) fn server_config() -> ServerConfig {
    let mut config = ServerConfig::new(credentials("wherefore"));
    config.group = Group::Rfc5054N1024;
    config
}

pub(crate) fn client(seed: u64) -> ClientSession {
    ClientSession::new(client_config(), Box::new(Seeded::new(seed))).unwrap()
}

pub(crate) fn server(seed: u64) -> ServerSession {
    ServerSession::new(server_config(), Box::new(Seeded::new(!seed))).unwrap()
}

/// What the two session types have in common, for tests that do not care which it is.
pub(crate) trait End {
    fn take(&mut self, records: &[u8]) -> Output;
}

/// All that one `read` gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) result: Result<(), Error>,
    pub(crate) plaintext: Vec<u8>,
    pub(crate) records: Vec<u8>,
}

macro_rules! end {
    ($name:ident) => {
        impl End for $name {
            fn take(&mut self, records: &[u8]) -> Output {
                let (mut plaintext, mut out) = (Vec::new(), Vec::new());
                let result = self.read(records, &mut plaintext, &mut out);
                Output { result, plaintext, records: out }
            }
        }
    };
}

end!(ClientSession);
end!(ServerSession);

impl Output {
    /// The records of an output that is no error and has no plaintext.
    #[track_caller]
    pub(crate) fn quiet(self) -> Vec<u8> {
        assert_eq!(self.result, Ok(()));
        assert!(self.plaintext.is_empty());
        self.records
    }
}

/// Runs a handshake to its end.
#[track_caller]
pub(crate) fn connect(client: &mut ClientSession, server: &mut ServerSession) {
    let hello = client.take(&[]).quiet();
    let flight = server.take(&hello).quiet();
    let flight = client.take(&flight).quiet();
    assert!(client.is_handshaking() && server.is_handshaking());
    let flight = server.take(&flight).quiet();
    assert!(client.is_handshaking() && !server.is_handshaking());
    assert!(client.take(&flight).quiet().is_empty());
    assert!(!client.is_handshaking());
}

pub(crate) fn connected(seed: u64) -> (ClientSession, ServerSession) {
    let (mut client, mut server) = (client(seed), server(seed));
    connect(&mut client, &mut server);
    (client, server)
}

/// A record that is not protected.
pub(crate) fn plain(content_type: u8, fragment: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(fragment.len()).unwrap().to_be_bytes();
    [&[content_type, 3, 3, high, low], fragment].concat()
}

/// A handshake message.
pub(crate) fn message(number: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[number], &length[1..], body].concat()
}

/// The records in `bytes`, headers included.
pub(crate) fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while let [_, _, _, high, low, ..] = bytes {
        let length = 5 + usize::from(u16::from_be_bytes([*high, *low]));
        records.push(bytes[..length].to_vec());
        bytes = &bytes[length..];
    }
    assert!(bytes.is_empty());
    records
}

/// The handshake messages in the unprotected handshake records of `bytes`, headers included.
pub(crate) fn messages(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut joined = Vec::new();
    for record in records(bytes).iter().take_while(|record| record[0] == 22) {
        joined.extend_from_slice(&record[5..]);
    }
    let mut messages = Vec::new();
    let mut rest = &joined[..];
    while let [_, _, high, low, ..] = rest {
        let length = 4 + usize::from(u16::from_be_bytes([*high, *low]));
        messages.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
    messages
}

/// An unprotected fatal alert with this number.
pub(crate) fn fatal(number: u8) -> Vec<u8> {
    plain(21, &[2, number])
}

/// Asserts that the session died of `error` and told the peer so in the clear.
#[track_caller]
pub(crate) fn died(output: &Output, error: impl Into<Error>, alert: u8) {
    let error = error.into();
    assert_eq!(output.result, Err(error));
    assert_eq!(error.alert().map(u8::from), Some(alert));
    assert_eq!(output.records, fatal(alert));
    assert!(output.plaintext.is_empty());
}

/// A sealed record from this session's side.
macro_rules! sealed {
    ($session:expr, $content_type:expr, $fragment:expr) => {{
        let mut out = Vec::new();
        let (common, _) = $session.inner().parts();
        let content_type = $content_type;
        common.send_whole(content_type, $fragment, &mut out);
        out
    }};
}
pub(crate) use sealed;
