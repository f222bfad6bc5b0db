//! The server's half of the handshake (RFC 5054 § 2.2).

use crate::alert::AlertDescription;
use crate::client::check_finished;
use crate::config::ServerConfig;
use crate::credentials::Credentials;
use crate::error::{AuthenticationFailed, Error, PeerMisbehaved};
use crate::group::Group;
use crate::message::{self, ClientHello, ClientKeyExchange, HandshakeType, Message, ServerHello, ServerKeyExchange};
use crate::prf::{MasterSecret, RANDOM, Side};
use crate::random::{Random, RandomFailed};
use crate::record::{Opener, Sealer};
use crate::session::{Common, Role};
use crate::srp::{PrivateKey, PrivateValue, PublicValue, ServerExchange};
use crate::wipe::wiped;

/// Bytes of the salt. RFC 5054 § 2.8.2 allows 1 to 255.
const SALT: usize = 16;

pub(crate) struct Server {
    config: Option<ServerConfig>,
    state: State,
}

enum State {
    ClientHello,
    ClientKeyExchange {
        client_random: [u8; RANDOM],
        server: ServerHello,
        exchange: Box<ServerExchange>,
    },
    ChangeCipherSpec {
        opener: Opener,
        sealer: Sealer,
        master: MasterSecret,
    },
    Finished {
        sealer: Sealer,
        master: MasterSecret,
    },
    /// The handshake is over, for better or worse.
    Over,
}

impl Server {
    pub(crate) fn new(config: ServerConfig) -> Self {
        Self { config: Some(config), state: State::ClientHello }
    }

    fn client_hello(&mut self, common: &mut Common, message: Message<'_>, out: &mut Vec<u8>) -> Result<State, Error> {
        let config = self.config.take().ok_or(Error::Closed)?;
        let client = ClientHello::read(message.body, &config.suites)?;
        // RFC 5054 §§ 2.5.1.2, 2.5.1.3: unknown_psk_identity without a name and for a name that is not known. Both come
        // before any arithmetic.
        let name = client.username.ok_or(AuthenticationFailed::UsernameMissing)?;
        let user = config.user(name).ok_or(AuthenticationFailed::UsernameUnknown)?;
        common.hash(message.encoded);
        common.negotiated = true;
        common.suite = Some(client.suite);
        common.group = Some(config.group);

        let server = ServerHello { random: without_sentinel(common.hello_random()?), suite: client.suite };
        let salt = new_salt(&mut *common.random)?;
        let exchange = exchange(common, user, config.group, &salt)?;

        let mut flight = Vec::new();
        server.put(&mut flight);
        ServerKeyExchange {
            n: config.group.parameters().n(),
            g: &[config.group.generator()],
            salt: &salt,
            b: &exchange.public().minimal(),
        }
        .put(&mut flight);
        message::put_server_hello_done(&mut flight);
        common.send_handshake(&flight, out)?;
        Ok(State::ClientKeyExchange { client_random: client.random, server, exchange: Box::new(exchange) })
    }

    fn client_key_exchange(
        common: &mut Common,
        (client_random, server): ([u8; RANDOM], ServerHello),
        exchange: &ServerExchange,
        message: Message<'_>,
    ) -> Result<State, Error> {
        let client = ClientKeyExchange::read(message.body)?;
        let public = PublicValue::parse(client.a, exchange.group())?;
        common.hash(message.encoded);
        let premaster = exchange.premaster(&public)?;
        // RFC 7627 § 4: the hash covers everything up to and including ClientKeyExchange.
        let master = MasterSecret::new(&premaster, &common.handshake_hash(), client_random, server.random);
        let (theirs, ours) = master.keys(server.suite);
        Ok(State::ChangeCipherSpec { opener: Opener::new(&theirs), sealer: Sealer::new(&ours), master })
    }

    fn finished(
        common: &mut Common,
        sealer: Sealer,
        master: MasterSecret,
        message: Message<'_>,
        out: &mut Vec<u8>,
    ) -> Result<State, Error> {
        check_finished(common, &master, Side::Client, message)?;
        common.send_change_cipher_spec(sealer, out)?;
        let mut finished = Vec::new();
        let verify_data = master.verify_data(Side::Server, &common.handshake_hash());
        message::put_finished(&mut finished, &verify_data);
        common.send_handshake(&finished, out)?;
        common.connected(master);
        Ok(State::Over)
    }
}

#[cfg(test)]
impl Server {
    pub(crate) fn state(&self) -> &'static str {
        match self.state {
            State::ClientHello => "ClientHello",
            State::ClientKeyExchange { .. } => "ClientKeyExchange",
            State::ChangeCipherSpec { .. } => "ChangeCipherSpec",
            State::Finished { .. } => "Finished",
            State::Over => "Over",
        }
    }
}

impl Role for Server {
    /// The client speaks first.
    fn start(&mut self, _: &mut Common, _: &mut Vec<u8>) -> Result<(), Error> {
        Ok(())
    }

    fn message(&mut self, common: &mut Common, message: Message<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        use HandshakeType as Kind;
        self.state = match (std::mem::replace(&mut self.state, State::Over), message.kind) {
            (State::ClientHello, Kind::ClientHello) => self.client_hello(common, message, out)?,
            (State::ClientKeyExchange { client_random, server, exchange }, Kind::ClientKeyExchange) => {
                Self::client_key_exchange(common, (client_random, server), &exchange, message)?
            }
            (State::Finished { sealer, master }, Kind::Finished) => {
                Self::finished(common, sealer, master, message, out)?
            }
            _ => return Err(PeerMisbehaved::UnexpectedMessage.into()),
        };
        Ok(())
    }

    fn change_cipher_spec(&mut self, common: &mut Common) -> Result<(), Error> {
        let state = std::mem::replace(&mut self.state, State::Over);
        let State::ChangeCipherSpec { opener, sealer, master } = state else {
            return Err(PeerMisbehaved::UnexpectedMessage.into());
        };
        common.opener = Some(opener);
        self.state = State::Finished { sealer, master };
        Ok(())
    }

    fn awaits_finished(&self) -> bool {
        matches!(self.state, State::Finished { .. })
    }

    const RENEGOTIATION: HandshakeType = HandshakeType::ClientHello;

    /// A client refuses by not logging in.
    fn is_refusal(_: AlertDescription) -> bool {
        false
    }

    fn wipe(&mut self) {
        self.config = None;
        self.state = State::Over;
    }
}

/// A fresh salt. It never begins with a zero: OpenSSL takes the salt for a number, and its client would hash it without
/// leading zeros and so fail with the right password, once in 256 times.
fn new_salt(random: &mut dyn Random) -> Result<[u8; SALT], RandomFailed> {
    let mut salt = [0; SALT];
    random.fill(&mut salt)?;
    salt[0] = salt[0].max(1);
    Ok(salt)
}

/// RFC 5054 § 2.5.3, with a fresh b.
fn exchange(common: &mut Common, user: &Credentials, group: Group, salt: &[u8]) -> Result<ServerExchange, Error> {
    let mut b: PrivateValue = wiped();
    common.random.fill(b.as_mut_slice())?;
    let x = PrivateKey::new(salt, user);
    ServerExchange::new(group.parameters(), x, b).ok_or(Error::RandomFailed)
}

/// RFC 8446 § 4.1.3: a random that ends in `DOWNGRD` and 0 or 1 tells a client that a better version was struck out. This
/// server has none, so it must not say so, not even once in 2^63 sessions.
fn without_sentinel(mut random: [u8; RANDOM]) -> [u8; RANDOM] {
    if random[24..].starts_with(b"DOWNGRD") {
        random[24] ^= 1;
    }
    random
}

#[cfg(test)]
#[test]
fn no_downgrade_sentinel_is_ever_sent() {
    let mut random = [7; RANDOM];
    assert_eq!(without_sentinel(random), random);
    random[24..].copy_from_slice(b"DOWNGRD\x01");
    assert_ne!(without_sentinel(random)[24..], *b"DOWNGRD\x01");
    assert_eq!(without_sentinel(random)[..24], [7; 24]);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    struct Filled(u8);

    impl Random for Filled {
        fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
            out.fill(self.0);
            Ok(())
        }
    }

    #[test]
    fn a_salt_never_begins_with_a_zero() {
        assert_eq!(new_salt(&mut Filled(0)).unwrap()[..2], [1, 0]);
        assert_eq!(new_salt(&mut Filled(9)).unwrap(), [9; SALT]);
    }
}
