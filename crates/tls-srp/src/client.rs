//! The client's half of the handshake (RFC 5054 § 2.2).

use subtle::ConstantTimeEq;

use crate::alert::AlertDescription;
use crate::config::ClientConfig;
use crate::credentials::Credentials;
use crate::error::{AuthenticationFailed, DecodeError, Error, PeerIncompatible, PeerMisbehaved};
use crate::group::Group;
use crate::message::{self, ClientHello, ClientKeyExchange, HandshakeType, Message, ServerHello, ServerKeyExchange};
use crate::prf::{MasterSecret, RANDOM, Side, VERIFY_DATA};
use crate::record::{Opener, Sealer};
use crate::session::{Common, Role};
use crate::srp::{ClientExchange, IllegalPublicValue, PrivateKey, PrivateValue, PublicValue};
use crate::wipe::wiped;

pub(crate) struct Client {
    config: Option<ClientConfig>,
    state: State,
    /// RFC 5246 § 7.4.1.1: a HelloRequest during a handshake is to be ignored. Once.
    hello_request_ignored: bool,
}

enum State {
    Start,
    ServerHello {
        client_random: [u8; RANDOM],
    },
    ServerKeyExchange {
        client_random: [u8; RANDOM],
        server: ServerHello,
    },
    ServerHelloDone {
        client_random: [u8; RANDOM],
        server: ServerHello,
        group: Group,
        salt: Vec<u8>,
        public: PublicValue,
    },
    ChangeCipherSpec {
        opener: Opener,
        master: MasterSecret,
    },
    Finished {
        master: MasterSecret,
    },
    /// The handshake is over, for better or worse.
    Over,
}

impl Client {
    pub(crate) fn new(config: ClientConfig) -> Self {
        Self { config: Some(config), state: State::Start, hello_request_ignored: false }
    }

    fn config(&self) -> Result<&ClientConfig, Error> {
        self.config.as_ref().ok_or(Error::Closed)
    }

    fn server_hello(
        &self,
        common: &mut Common,
        client_random: [u8; RANDOM],
        message: Message<'_>,
    ) -> Result<State, Error> {
        let server = ServerHello::read(message.body, &self.config()?.suites)?;
        common.hash(message.encoded);
        common.negotiated = true;
        Ok(State::ServerKeyExchange { client_random, server })
    }

    fn server_key_exchange(
        &self,
        common: &mut Common,
        client_random: [u8; RANDOM],
        server: ServerHello,
        message: Message<'_>,
    ) -> Result<State, Error> {
        let params = ServerKeyExchange::read(message.body)?;
        // RFC 5054 § 2.5.3: a group that is not known MUST be rejected with insufficient_security.
        let group = Group::recognize(params.n, params.g, &self.config()?.groups).ok_or(PeerIncompatible::Group)?;
        let public = PublicValue::parse(params.b, group.parameters())?;
        common.hash(message.encoded);
        Ok(State::ServerHelloDone { client_random, server, group, salt: params.salt.to_vec(), public })
    }

    /// ServerHelloDone: all the arithmetic, and the second flight.
    fn server_hello_done(
        &mut self,
        common: &mut Common,
        (client_random, server): ([u8; RANDOM], ServerHello),
        group: Group,
        (salt, public): (&[u8], &PublicValue),
        message: Message<'_>,
        out: &mut Vec<u8>,
    ) -> Result<State, Error> {
        if !message.body.is_empty() {
            return Err(DecodeError::TrailingData.into());
        }
        common.hash(message.encoded);
        let exchange = exchange(common, &self.config()?.credentials, group, salt, public)?;
        // The password has done its work.
        self.config = None;

        let mut flight = Vec::new();
        let a = exchange.public.minimal();
        ClientKeyExchange { a: &a }.put(&mut flight);
        common.send_handshake(&flight, out)?;

        // RFC 7627 § 4: the hash covers everything up to and including ClientKeyExchange.
        let master = MasterSecret::new(&exchange.premaster, &common.handshake_hash(), client_random, server.random);
        let (ours, theirs) = master.keys(server.suite);
        common.send_change_cipher_spec(Sealer::new(&ours), out)?;

        let mut finished = Vec::new();
        let verify_data = master.verify_data(Side::Client, &common.handshake_hash());
        message::put_finished(&mut finished, &verify_data);
        common.send_handshake(&finished, out)?;
        // Whoever the server is, it can now tell whether its guess at the password was right.
        common.password_attempted = true;
        common.suite = Some(server.suite);
        common.group = Some(group);
        Ok(State::ChangeCipherSpec { opener: Opener::new(&theirs), master })
    }

    fn finished(common: &mut Common, master: MasterSecret, message: Message<'_>) -> Result<State, Error> {
        check_finished(common, &master, Side::Server, message)?;
        common.connected(master);
        Ok(State::Over)
    }

    /// RFC 5246 § 7.4.1.1: "This message will be ignored by the client if the client is currently negotiating a session."
    /// It is not part of the handshake hash.
    fn hello_request(&mut self, message: Message<'_>) -> Result<(), Error> {
        if !message.body.is_empty() {
            return Err(DecodeError::TrailingData.into());
        }
        if self.hello_request_ignored {
            return Err(PeerMisbehaved::RepeatedRenegotiation.into());
        }
        self.hello_request_ignored = true;
        Ok(())
    }
}

#[cfg(test)]
impl Client {
    pub(crate) fn state(&self) -> &'static str {
        match self.state {
            State::Start => "Start",
            State::ServerHello { .. } => "ServerHello",
            State::ServerKeyExchange { .. } => "ServerKeyExchange",
            State::ServerHelloDone { .. } => "ServerHelloDone",
            State::ChangeCipherSpec { .. } => "ChangeCipherSpec",
            State::Finished { .. } => "Finished",
            State::Over => "Over",
        }
    }
}

impl Role for Client {
    fn start(&mut self, common: &mut Common, out: &mut Vec<u8>) -> Result<(), Error> {
        let client_random = common.hello_random()?;
        let config = self.config()?;
        let mut hello = Vec::new();
        let username = config.credentials.username();
        ClientHello::put(&mut hello, &client_random, &config.suites, username);
        common.send_handshake(&hello, out)?;
        self.state = State::ServerHello { client_random };
        Ok(())
    }

    fn message(&mut self, common: &mut Common, message: Message<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        use HandshakeType as Kind;
        self.state = match (std::mem::replace(&mut self.state, State::Over), message.kind) {
            // RFC 5246 § 7.4.9: nothing may come between ChangeCipherSpec and Finished, so not there.
            (
                state @ (State::ServerHello { .. }
                | State::ServerKeyExchange { .. }
                | State::ServerHelloDone { .. }
                | State::ChangeCipherSpec { .. }),
                Kind::HelloRequest,
            ) => {
                self.hello_request(message)?;
                state
            }
            (State::ServerHello { client_random }, Kind::ServerHello) => {
                self.server_hello(common, client_random, message)?
            }
            (State::ServerKeyExchange { client_random, server }, Kind::ServerKeyExchange) => {
                self.server_key_exchange(common, client_random, server, message)?
            }
            (State::ServerHelloDone { client_random, server, group, salt, public }, Kind::ServerHelloDone) => {
                self.server_hello_done(common, (client_random, server), group, (&salt, &public), message, out)?
            }
            (State::Finished { master }, Kind::Finished) => Self::finished(common, master, message)?,
            _ => return Err(PeerMisbehaved::UnexpectedMessage.into()),
        };
        Ok(())
    }

    fn change_cipher_spec(&mut self, common: &mut Common) -> Result<(), Error> {
        let state = std::mem::replace(&mut self.state, State::Over);
        let State::ChangeCipherSpec { opener, master } = state else {
            return Err(PeerMisbehaved::UnexpectedMessage.into());
        };
        common.opener = Some(opener);
        self.state = State::Finished { master };
        Ok(())
    }

    fn awaits_finished(&self) -> bool {
        matches!(self.state, State::Finished { .. })
    }

    const RENEGOTIATION: HandshakeType = HandshakeType::HelloRequest;

    /// RFC 5054 §§ 2.5.1.3, 2.6 for the first two; the third is what GnuTLS says to a name that it does not know. All three
    /// can be forged until Finished, so nothing but the failure may be concluded from them.
    fn is_refusal(alert: AlertDescription) -> bool {
        matches!(
            alert,
            AlertDescription::UnknownPskIdentity | AlertDescription::BadRecordMac | AlertDescription::InternalError
        )
    }

    fn wipe(&mut self) {
        self.config = None;
        self.state = State::Over;
    }
}

/// RFC 5054 § 2.6, with a fresh a (§ 2.5.4).
fn exchange(
    common: &mut Common,
    credentials: &Credentials,
    group: Group,
    salt: &[u8],
    public: &PublicValue,
) -> Result<ClientExchange, Error> {
    let mut a: PrivateValue = wiped();
    common.random.fill(a.as_mut_slice())?;
    let x = PrivateKey::new(salt, credentials);
    let exchange = ClientExchange::new(group.parameters(), &x, &a, public)?;
    exchange.ok_or(Error::RandomFailed)
}

/// RFC 5246 § 7.4.9: "Recipients of Finished messages MUST verify that the contents are correct."
pub(crate) fn check_finished(
    common: &mut Common,
    master: &MasterSecret,
    side: Side,
    message: Message<'_>,
) -> Result<(), Error> {
    let verify_data: [u8; VERIFY_DATA] = match message.body.try_into() {
        Ok(verify_data) => verify_data,
        Err(_) if message.body.len() < VERIFY_DATA => return Err(DecodeError::Truncated.into()),
        Err(_) => return Err(DecodeError::TrailingData.into()),
    };
    let expected = master.verify_data(side, &common.handshake_hash());
    if !bool::from(expected.ct_eq(&verify_data)) {
        return Err(AuthenticationFailed::Finished.into());
    }
    common.hash(message.encoded);
    Ok(())
}

impl From<IllegalPublicValue> for Error {
    fn from(IllegalPublicValue: IllegalPublicValue) -> Self {
        PeerMisbehaved::IllegalPublicValue.into()
    }
}
