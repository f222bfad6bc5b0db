//! SASL: which mechanism, and what goes back and forth (RFC 6120 § 6, RFC 5802).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sasl::client::mechanisms::{Plain, Scram};
use sasl::client::{Mechanism, MechanismError};
use sasl::common::scram::{Sha1, Sha256};
use sasl::common::{ChannelBinding, Credentials};
use xtls::link::Features;
use xtls_stanza::{Element, ns};
use zeroize::Zeroizing;

/// Which channel bindings a server has (XEP-0440).
const SASL_CB: &str = "urn:xmpp:sasl-cb:0";
/// What a mechanism is called that is bound to the TLS session.
const PLUS: &str = "-PLUS";
/// The most rounds that a server may ask for: RFC 5802 § 9 warns of many. Servers use thousands; so many take seconds.
const MAX_ITERATIONS: u32 = 10_000_000;

/// A login under way, by one mechanism.
pub(super) struct Exchange {
    mechanism: Box<dyn Mechanism>,
    scram: Option<Round>,
}

/// How far SCRAM has come (RFC 5802 § 3).
enum Round {
    /// The client's first message bears this nonce.
    First { nonce: String },
    /// The proof was sent, and the server's is waited for.
    Final,
    /// The server has proven that it knows the password.
    Proven,
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
    /// The server broke the rules of the mechanism.
    Broken(String),
}

impl Exchange {
    /// Takes the best mechanism that there is on both sides, and gives it with the element that begins it. `exporter` is the
    /// channel binding `tls-exporter` of this connection (RFC 9266), where it has one.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub(super) fn begin(
        features: &Features,
        name: &str,
        password: &str,
        exporter: Option<[u8; 32]>,
    ) -> Result<(Self, Element), SaslFault> {
        let binding = channel_binding(features, exporter)?;
        let password = prepared(password);
        let credentials = Credentials::default().with_password(password.as_str());
        // RFC 5802 § 5.1: the mechanism takes the name as it goes out.
        let escaped = name.replace('=', "=3D").replace(',', "=2C");
        let for_scram = || credentials.clone().with_username(escaped.as_str()).with_channel_binding(binding.clone());
        let offers = |hash: &str| {
            let plus = if matches!(binding, ChannelBinding::TlsExporter(_)) { PLUS } else { "" };
            offers(features, &format!("SCRAM-{hash}{plus}"))
        };
        let broken = |e: MechanismError| SaslFault::Broken(e.to_string());
        let (mut mechanism, is_scram): (Box<dyn Mechanism>, bool) = if offers("SHA-256") {
            (Box::new(Scram::<Sha256>::from_credentials(for_scram()).map_err(broken)?), true)
        } else if offers("SHA-1") {
            (Box::new(Scram::<Sha1>::from_credentials(for_scram()).map_err(broken)?), true)
        } else if self::offers(features, "PLAIN") {
            (Box::new(Plain::from_credentials(credentials.with_username(name)).map_err(broken)?), false)
        } else {
            return Err(SaslFault::NoMechanism(features.mechanisms.clone()));
        };
        let initial = Zeroizing::new(mechanism.initial());
        let scram = is_scram.then(|| Round::First { nonce: nonce(&initial).unwrap_or_default() });
        let auth = Element::builder("auth", ns::SASL).attribute("mechanism", mechanism.name()).text(&encoded(&initial));
        let auth = auth.build().map_err(|e| SaslFault::Broken(e.to_string()))?;
        Ok((Self { mechanism, scram }, auth))
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
        match &self.scram {
            Some(Round::First { nonce }) => {
                check_first(data, nonce)?;
                let response = self.mechanism.response(data).map_err(|e| SaslFault::Broken(e.to_string()))?;
                self.scram = Some(Round::Final);
                Ok(response)
            }
            // RFC 6120 § 6.3.10: what goes with the success may come before it.
            Some(Round::Final) => {
                self.verify(data)?;
                self.scram = Some(Round::Proven);
                Ok(Vec::new())
            }
            Some(Round::Proven) | None => Err(broken("it asks for more")),
        }
    }

    fn succeeded(&mut self, data: &[u8]) -> Result<(), SaslFault> {
        match &self.scram {
            Some(Round::Final) => self.verify(data),
            Some(Round::Proven) | None => Ok(()),
            Some(Round::First { .. }) => Err(broken("it does not prove that it knows the password")),
        }
    }

    /// RFC 5802 § 5: the server knows the password too.
    fn verify(&mut self, data: &[u8]) -> Result<(), SaslFault> {
        if let Some(error) = data.strip_prefix(b"e=") {
            let condition = String::from_utf8_lossy(error).into_owned();
            return Err(SaslFault::Refused { condition, text: None });
        }
        self.mechanism.success(data).map_err(|e| SaslFault::Broken(e.to_string()))
    }
}

/// How the login is bound to the TLS session: RFC 5802 § 6, with the rules of XEP-0440 § 3.
///
/// `n` where this end has no binding, `p` where both ends have this one, and `y` where the server shows none: a server that has
/// one then knows that its offer was taken away, and refuses.
fn channel_binding(features: &Features, exporter: Option<[u8; 32]>) -> Result<ChannelBinding, SaslFault> {
    let Some(exporter) = exporter else { return Ok(ChannelBinding::None) };
    if !features.mechanisms.iter().any(|mechanism| mechanism.ends_with(PLUS)) {
        return Ok(ChannelBinding::Unsupported);
    }
    let announced = features.others.iter().filter(|feature| feature.is("sasl-channel-binding", SASL_CB));
    let types: Vec<&str> = announced.flat_map(Element::children).filter_map(|kind| kind.attribute("type")).collect();
    if types.contains(&"tls-exporter") {
        let is_known = ["SHA-256", "SHA-1"].iter().any(|hash| offers(features, &format!("SCRAM-{hash}{PLUS}")));
        return Ok(if is_known { ChannelBinding::TlsExporter(exporter.to_vec()) } else { ChannelBinding::None });
    }
    // Rule 6: each server has to have the one or the other, so that both were taken away.
    if !types.is_empty() && !types.contains(&"tls-server-end-point") {
        return Err(SaslFault::NoBinding);
    }
    // Those that announce no types are older than RFC 9266, such as ejabberd 23: they mean tls-unique, which TLS 1.3 does not
    // have, and refuse both the exporter and `y`.
    Ok(ChannelBinding::None)
}

fn offers(features: &Features, mechanism: &str) -> bool {
    features.mechanisms.iter().any(|offered| offered == mechanism)
}

/// RFC 5802 § 2.2. A password that has no prepared form is used as it is, as servers do that prepare none.
fn prepared(password: &str) -> Zeroizing<String> {
    match stringprep::saslprep(password) {
        Ok(prepared) if !prepared.is_empty() => Zeroizing::new(prepared.into_owned()),
        _ => Zeroizing::new(password.to_owned()),
    }
}

/// The nonce in the client's first message.
fn nonce(initial: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(initial).ok()?;
    text.split(',').find_map(|attribute| attribute.strip_prefix("r=")).map(str::to_owned)
}

/// RFC 5802 §§ 5.1, 7: what a client must see to in the server's first message.
fn check_first(data: &[u8], nonce: &str) -> Result<(), SaslFault> {
    let text = std::str::from_utf8(data).map_err(|_| broken("it is not UTF-8"))?;
    let attributes: Vec<&str> = text.split(',').collect();
    let has = |names: &[&str], among: &[&str]| among.iter().any(|one| names.iter().any(|name| one.starts_with(name)));
    if has(&["m="], &attributes) {
        return Err(broken("it wants an extension that is not known here"));
    }
    let [r, s, i, extensions @ ..] = &attributes[..] else { return Err(broken("its first message is incomplete")) };
    let (Some(r), Some(s), Some(i)) = (r.strip_prefix("r="), s.strip_prefix("s="), i.strip_prefix("i=")) else {
        return Err(broken("its first message is incomplete"));
    };
    if s.is_empty() || has(&["r=", "s=", "i="], extensions) {
        return Err(broken("its first message is not well-formed"));
    }
    if nonce.is_empty() || r.strip_prefix(nonce).is_none_or(str::is_empty) {
        return Err(broken("its nonce does not go on from ours"));
    }
    let rounds = i.parse::<u32>().ok().filter(|_| i.bytes().all(|digit| digit.is_ascii_digit()));
    match rounds {
        Some(1..=MAX_ITERATIONS) => Ok(()),
        _ => Err(broken(&format!("it asks for {i:.20} rounds, and not for 1 to {MAX_ITERATIONS}"))),
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

fn broken(why: &str) -> SaslFault {
    SaslFault::Broken(why.to_owned())
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("mechanism", &self.mechanism.name()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
