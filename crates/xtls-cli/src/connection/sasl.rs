//! SASL: which mechanism, and what goes back and forth (RFC 6120 § 6, RFC 5802).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use xtls::link::Features;
use xtls::tls::default_provider;
use xtls_stanza::{Element, ns};
use zeroize::Zeroizing;

use super::binding::{Binding, Bindings};
use super::scram::{Hash, Scram};

/// What a mechanism is called that is bound to the TLS connection.
pub(super) const PLUS: &str = "-PLUS";

/// A login under way, by one mechanism.
pub(super) enum Exchange {
    Scram(Box<Scram>),
    /// All is said with the first message (RFC 4616).
    Plain,
}

/// What came of something that the server said.
#[derive(Debug)]
pub(super) enum Heard {
    /// This is to be answered.
    Response(Element),
    /// The client is authenticated.
    Success,
}

/// Why a login did not come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SaslFault {
    /// The server has no mechanism that is used here; these it has.
    NoMechanism(Vec<String>),
    /// The server has channel bindings, and none of those that it must have.
    NoBinding,
    /// The server said no.
    Refused { condition: String, text: Option<String> },
    /// The operating system gives no random numbers.
    NoRandom,
    /// The server broke the rules of the mechanism.
    Broken(String),
}

impl Exchange {
    /// Takes the best mechanism that there is on both sides, and gives it with the element that begins it. `own` is what this end
    /// can bind a login to.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub(super) fn begin(
        features: &Features,
        name: &str,
        password: &str,
        own: &Bindings,
    ) -> Result<(Self, Element), SaslFault> {
        let binding = Binding::choose(features, own)?;
        let password = prepared(password);
        let plus = if binding.is_bound() { PLUS } else { "" };
        let mechanisms = [Hash::Sha256, Hash::Sha1].map(|hash| (hash, format!("{}{plus}", hash.mechanism())));
        let scram = mechanisms.into_iter().find(|(_, mechanism)| offers(features, mechanism));
        let (exchange, mechanism, initial) = if let Some((hash, mechanism)) = scram {
            let scram = Scram::new(hash, binding, name, password, nonce()?);
            let initial = scram.initial();
            (Self::Scram(Box::new(scram)), mechanism, Zeroizing::new(initial))
        } else if offers(features, "PLAIN") {
            let initial = [b"\0", name.as_bytes(), b"\0", password.as_bytes()].concat();
            (Self::Plain, "PLAIN".to_owned(), Zeroizing::new(initial))
        } else {
            return Err(SaslFault::NoMechanism(features.mechanisms.clone()));
        };
        let auth = Element::builder("auth", ns::SASL).attribute("mechanism", &mechanism).text(&encoded(&initial));
        let auth = auth.build().map_err(|e| SaslFault::Broken(e.to_string()))?;
        Ok((exchange, auth))
    }

    /// Takes something of the namespace of SASL that the server has said.
    ///
    /// # Errors
    ///
    /// When the login has failed.
    pub(super) fn hear(&mut self, said: &Element) -> Result<Heard, SaslFault> {
        match said.name() {
            "challenge" => {
                let response = Zeroizing::new(self.challenged(&decoded(said)?)?);
                let mut element = Element::builder("response", ns::SASL);
                if !response.is_empty() {
                    element = element.text(&encoded(&response));
                }
                element.build().map(Heard::Response).map_err(|e| SaslFault::Broken(e.to_string()))
            }
            "success" => self.succeeded(&decoded(said)?).map(|()| Heard::Success),
            "failure" => Err(refused(said)),
            _ => Err(broken("it says something that has no place there")),
        }
    }

    fn challenged(&mut self, data: &[u8]) -> Result<Vec<u8>, SaslFault> {
        match self {
            Self::Scram(scram) => scram.challenged(data),
            Self::Plain => Err(broken("it asks for more")),
        }
    }

    fn succeeded(&self, data: &[u8]) -> Result<(), SaslFault> {
        match self {
            Self::Scram(scram) => scram.succeeded(data),
            Self::Plain => Ok(()),
        }
    }
}

/// A nonce for one login.
fn nonce() -> Result<String, SaslFault> {
    let mut random = [0; 24];
    let filled = default_provider().secure_random.fill(&mut random);
    filled.map(|()| BASE64.encode(random)).map_err(|_| SaslFault::NoRandom)
}

pub(super) fn offers(features: &Features, mechanism: &str) -> bool {
    features.mechanisms.iter().any(|offered| offered == mechanism)
}

/// RFC 5802 § 2.2. A password that has no prepared form is used as it is, as servers do that prepare none.
fn prepared(password: &str) -> Zeroizing<String> {
    match stringprep::saslprep(password) {
        Ok(prepared) if !prepared.is_empty() => Zeroizing::new(prepared.into_owned()),
        _ => Zeroizing::new(password.to_owned()),
    }
}

/// RFC 6120 § 6.5.
fn refused(failure: &Element) -> SaslFault {
    let condition = failure.children().find(|child| child.ns() == ns::SASL && child.name() != "text");
    SaslFault::Refused {
        condition: condition.map_or("no reason given", |condition| condition.name()).to_owned(),
        text: failure.child("text", ns::SASL).map(|text| text.text()).filter(|text| !text.is_empty()),
    }
}

/// RFC 6120 § 6.4.2: data of no length is one equals sign.
fn encoded(data: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(if data.is_empty() { "=".to_owned() } else { BASE64.encode(data) })
}

/// What an element holds, in base64; white space between does not matter.
fn decoded(element: &Element) -> Result<Vec<u8>, SaslFault> {
    let text: String = element.text().split_whitespace().collect();
    if text == "=" {
        return Ok(Vec::new());
    }
    BASE64.decode(text).map_err(|_| broken("what it says is not base64"))
}

pub(super) fn broken(why: &str) -> SaslFault {
    SaslFault::Broken(why.to_owned())
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scram(_) => "Scram",
            Self::Plain => "Plain",
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
