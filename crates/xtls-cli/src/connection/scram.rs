//! SCRAM (RFC 5802) with SHA-256 or SHA-1.

use std::mem;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sasl::common::Password;
use sasl::common::scram::{ScramProvider, Sha1, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use super::binding::Binding;
use super::sasl::{SaslFault, broken};

/// The most rounds that a server may ask for: RFC 5802 § 9 warns of many. Servers use thousands; so many take seconds.
const MAX_ITERATIONS: u32 = 10_000_000;

/// Which hash a mechanism has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
}

/// A login under way, from the client's first message on.
pub(super) struct Scram {
    hash: Hash,
    binding: Binding,
    password: Zeroizing<String>,
    nonce: String,
    /// The client's first message without its header.
    first: String,
    round: Round,
}

/// How far it has come (RFC 5802 § 3).
enum Round {
    First,
    /// The proof was sent, and the server's is waited for: this one.
    Final(Vec<u8>),
    /// The server has proven that it knows the password.
    Proven,
}

/// What a salted password comes to for one login (RFC 5802 § 3).
struct Proof {
    of_client: Vec<u8>,
    of_server: Vec<u8>,
}

impl Hash {
    /// The name of the mechanism that is not bound to anything.
    pub(super) fn mechanism(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => "SCRAM-SHA-256",
        }
    }
}

impl Scram {
    /// A login by `name` and a prepared password; `nonce` is random, and has no comma.
    pub(super) fn new(hash: Hash, binding: Binding, name: &str, password: Zeroizing<String>, nonce: String) -> Self {
        // RFC 5802 § 5.1.
        let name = name.replace('=', "=3D").replace(',', "=2C");
        let first = format!("n={name},r={nonce}");
        Self { hash, binding, password, nonce, first, round: Round::First }
    }

    /// The client's first message.
    pub(super) fn initial(&self) -> Vec<u8> {
        [self.binding.header().as_bytes(), self.first.as_bytes()].concat()
    }

    /// The answer to what the server asks.
    ///
    /// # Errors
    ///
    /// When it breaks the rules, or says no.
    pub(super) fn challenged(&mut self, data: &[u8]) -> Result<Vec<u8>, SaslFault> {
        match mem::replace(&mut self.round, Round::Proven) {
            Round::First => self.prove(data),
            // RFC 6120 § 6.3.10: what goes with the success may come before it.
            Round::Final(expected) => verify(data, &expected).map(|()| Vec::new()),
            Round::Proven => Err(broken("it asks for more")),
        }
    }

    /// The server says that the login has succeeded.
    ///
    /// # Errors
    ///
    /// When it has not proven that it knows the password.
    pub(super) fn succeeded(&self, data: &[u8]) -> Result<(), SaslFault> {
        match &self.round {
            Round::Final(expected) => verify(data, expected),
            Round::Proven => Ok(()),
            Round::First => Err(broken("it does not prove that it knows the password")),
        }
    }

    /// The client's final message (RFC 5802 § 3).
    fn prove(&mut self, data: &[u8]) -> Result<Vec<u8>, SaslFault> {
        let server = ServerFirst::read(data, &self.nonce)?;
        let bound = [self.binding.header().as_bytes(), self.binding.data()].concat();
        let without_proof = format!("c={},r={}", BASE64.encode(bound), server.nonce);
        let message = format!("{},{},{without_proof}", self.first, server.text);
        let prove = match self.hash {
            Hash::Sha1 => proof::<Sha1>,
            Hash::Sha256 => proof::<Sha256>,
        };
        let proof = prove(&self.password, &server.salt, server.rounds, message.as_bytes())
            .ok_or_else(|| broken("its first message leads to no key"))?;
        self.password.zeroize();
        self.round = Round::Final(proof.of_server);
        Ok(format!("{without_proof},p={}", BASE64.encode(proof.of_client)).into_bytes())
    }
}

/// RFC 5802 § 5: the server knows the password too.
fn verify(data: &[u8], expected: &[u8]) -> Result<(), SaslFault> {
    if let Some(error) = data.strip_prefix(b"e=") {
        let condition = String::from_utf8_lossy(error).into_owned();
        return Err(SaslFault::Refused { condition, text: None });
    }
    // Extensions may follow.
    let proof = data.split(|byte| *byte == b',').next().and_then(|first| first.strip_prefix(b"v="));
    match proof.and_then(|proof| BASE64.decode(proof).ok()) {
        Some(proof) if proof == expected => Ok(()),
        _ => Err(broken("it does not prove that it knows the password")),
    }
}

fn proof<H: ScramProvider>(password: &str, salt: &[u8], rounds: u32, message: &[u8]) -> Option<Proof> {
    let mut plain = Password::Plain(password.to_owned());
    let salted = H::derive(&plain, salt, rounds).ok().map(Zeroizing::new);
    if let Password::Plain(text) = &mut plain {
        text.zeroize();
    }
    let salted = salted?;
    let client_key = Zeroizing::new(H::hmac(b"Client Key", &salted).ok()?);
    let stored_key = Zeroizing::new(H::hash(&client_key));
    let signature = H::hmac(message, &stored_key).ok()?;
    let server_key = Zeroizing::new(H::hmac(b"Server Key", &salted).ok()?);
    Some(Proof {
        of_client: client_key.iter().zip(&signature).map(|(key, mask)| key ^ mask).collect(),
        of_server: H::hmac(message, &server_key).ok()?,
    })
}

/// The server's first message.
struct ServerFirst<'a> {
    text: &'a str,
    nonce: &'a str,
    salt: Vec<u8>,
    rounds: u32,
}

impl<'a> ServerFirst<'a> {
    /// RFC 5802 §§ 5.1, 7: what a client must see to. `own` is the nonce that the server's goes on from.
    fn read(data: &'a [u8], own: &str) -> Result<Self, SaslFault> {
        let text = std::str::from_utf8(data).map_err(|_| broken("it is not UTF-8"))?;
        let attributes: Vec<&str> = text.split(',').collect();
        let has =
            |names: &[&str], among: &[&str]| among.iter().any(|one| names.iter().any(|name| one.starts_with(name)));
        if has(&["m="], &attributes) {
            return Err(broken("it wants an extension that is not known here"));
        }
        let [r, s, i, extensions @ ..] = &attributes[..] else { return Err(broken("its first message is incomplete")) };
        let (Some(nonce), Some(s), Some(i)) = (r.strip_prefix("r="), s.strip_prefix("s="), i.strip_prefix("i=")) else {
            return Err(broken("its first message is incomplete"));
        };
        let salt = BASE64.decode(s).ok().filter(|salt| !salt.is_empty());
        let Some(salt) = salt.filter(|_| !has(&["r=", "s=", "i="], extensions)) else {
            return Err(broken("its first message is not well-formed"));
        };
        if nonce.strip_prefix(own).is_none_or(str::is_empty) {
            return Err(broken("its nonce does not go on from ours"));
        }
        let rounds = i.parse::<u32>().ok().filter(|_| i.bytes().all(|digit| digit.is_ascii_digit()));
        match rounds {
            Some(rounds @ 1..=MAX_ITERATIONS) => Ok(Self { text, nonce, salt, rounds }),
            _ => Err(broken(&format!("it asks for {i:.20} rounds, and not for 1 to {MAX_ITERATIONS}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn rfc_5802_5_the_example_of_the_document() {
        let nonce = "fyko+d2lbbFgONRv9qkxdawL".to_owned();
        let password = Zeroizing::new("pencil".to_owned());
        let mut scram = Scram::new(Hash::Sha1, Binding::None, "user", password, nonce);
        assert_eq!(scram.initial(), b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");
        let server = b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
        let last = "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=";
        assert_eq!(String::from_utf8(scram.challenged(server).unwrap()).unwrap(), last);
        assert_eq!(scram.succeeded(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="), Ok(()));
        assert_eq!(scram.succeeded(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=,x=y"), Ok(()));
        assert!(scram.succeeded(b"v=rmF9pqV8S7suAoZWja4dJRkFsKR=").is_err());
    }

    #[test]
    fn rounds_are_bounded_at_the_limit_and_one_past_it() {
        let read = |rounds: u32| ServerFirst::read(format!("r=abc,s=eA==,i={rounds}").as_bytes(), "ab").map(|_| ());
        assert_eq!(read(MAX_ITERATIONS), Ok(()));
        assert!(read(MAX_ITERATIONS + 1).is_err());
    }
}
