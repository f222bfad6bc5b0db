//! What a hostile server does to one stanza, as a word: what histories are made of.

use core::{error::Error, fmt, str::FromStr, time::Duration};
use std::time::Instant;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use xtls_stanza::{Condition, Element, StanzaError};

use super::{Delivery, Passed, Relay};

/// Something that a hostile or broken server does to one stanza. As text it is a word and its parameter, such as `delay 250`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misdeed {
    /// `drop`: it is lost.
    Drop,
    /// `duplicate`: it comes twice.
    Duplicate,
    /// `swap`: it comes a millisecond later, after what the same sender sends at once.
    Swap,
    /// `delay MS`: it comes so many milliseconds later, and others overtake it.
    Delay(Duration),
    /// `flip N`: a bit of its block is flipped, bit N from the start, modulo the length.
    Flip(u32),
    /// `cut N`: so many bytes of its block are missing, modulo the length.
    Cut(u32),
    /// `garble N`: a character of its block that base64 does not have, at place N, modulo the length.
    Garble(u32),
    /// `split N`: its block comes as two of the same number, the first of N bytes, modulo the length.
    Split(u32),
    /// `spoof ADDRESS`: it comes from this address.
    Spoof(String),
    /// `bounce CONDITION`: it comes back as an error in the addressee's name.
    Bounce(Condition),
    /// `strip-security`: a Jingle offer or answer without `<security/>`.
    StripSecurity,
    /// `strip-method NAME`: a Jingle offer or answer without this method.
    StripMethod(String),
    /// `swap-method`: `x509` becomes `srp`, and the other way round.
    SwapMethod,
    /// `change-fingerprint`: another fingerprint of the same length.
    ChangeFingerprint,
    /// `block-size N`: the block size of an offer, an answer or an `<open/>`.
    BlockSize(String),
    /// `change-sid`: another sid, of Jingle or of the bytestream.
    ChangeSid,
    /// `replay N`: nothing happens to it, and the Nth stanza that has passed, modulo their number, comes again. It needs a
    /// relay that keeps a log.
    Replay(u32),
}

/// What was read is no [`Misdeed`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownMisdeed(pub String);

impl Relay {
    /// Does this to the next stanza that it can be done to. What is planned first goes first, and each stanza has one misdeed at
    /// most.
    pub fn plan(&mut self, misdeed: Misdeed) {
        self.planned.push_back(misdeed);
    }

    /// Takes back what is planned and not done.
    pub fn repent(&mut self) {
        self.planned.clear();
    }

    /// What was done so far, and when.
    #[must_use]
    pub fn misdeeds(&self) -> &[(Instant, Misdeed)] {
        &self.done
    }

    /// Lets a stanza go its way, or does the first planned thing that fits.
    pub(super) fn misbehave_or_pass(&mut self, departs: Instant, from: &str, sent: &Passed, element: &Element) {
        let fitting = self.planned.iter().position(|misdeed| misdeed.fits(&sent.stanza));
        let Some(misdeed) = fitting.and_then(|at| self.planned.remove(at)) else {
            return self.route(departs, from, &sent.to, sent.stanza.clone());
        };
        self.done.push((sent.at, misdeed.clone()));
        let stanza = sent.stanza.as_str();
        match misdeed {
            Misdeed::Drop => {}
            Misdeed::Duplicate => {
                self.route(departs, from, &sent.to, stanza.to_owned());
                self.route(departs, from, &sent.to, stanza.to_owned());
            }
            Misdeed::Swap => self.route_later(departs, Duration::from_millis(1), from, &sent.to, stanza),
            Misdeed::Delay(delay) => self.route_later(departs, delay, from, &sent.to, stanza),
            Misdeed::Bounce(condition) => self.bounce(departs, from, element, &StanzaError::new(condition)),
            Misdeed::Spoof(address) => {
                let mut spoofed = element.clone();
                if spoofed.set_attribute("from", &address).is_ok() {
                    self.route(departs, from, &sent.to, spoofed.to_xml(spoofed.ns()));
                }
            }
            Misdeed::Replay(number) => {
                self.route(departs, from, &sent.to, stanza.to_owned());
                let passed = self.passed.as_deref().unwrap_or_default();
                if let Some(again) = passed.get(pick(number, passed.len())).cloned() {
                    self.route(departs, from, &again.to, again.stanza);
                }
            }
            Misdeed::Split(at) => {
                for part in split(stanza, at).unwrap_or_default() {
                    self.route(departs, from, &sent.to, part);
                }
            }
            Misdeed::Flip(_)
            | Misdeed::Cut(_)
            | Misdeed::Garble(_)
            | Misdeed::StripSecurity
            | Misdeed::StripMethod(_)
            | Misdeed::SwapMethod
            | Misdeed::ChangeFingerprint
            | Misdeed::BlockSize(_)
            | Misdeed::ChangeSid => {
                if let Some(changed) = misdeed.change(stanza) {
                    self.route(departs, from, &sent.to, changed);
                }
            }
        }
    }

    fn route_later(&mut self, departs: Instant, delay: Duration, from: &str, to: &str, stanza: &str) {
        let there = self.diverted.get(&(from.to_owned(), to.to_owned())).map_or(to, String::as_str).to_owned();
        let at = departs + self.line.latency + delay;
        self.schedule(at, Delivery { to: there, stanza: stanza.to_owned() });
    }
}

impl Misdeed {
    /// Whether it can be done to this stanza.
    fn fits(&self, stanza: &str) -> bool {
        match self {
            Self::Drop | Self::Duplicate | Self::Swap | Self::Delay(_) | Self::Spoof(_) | Self::Replay(_) => true,
            Self::Bounce(_) => stanza.contains("type='set'") || stanza.contains("type='get'"),
            Self::Split(at) => split(stanza, *at).is_some(),
            Self::Flip(_)
            | Self::Cut(_)
            | Self::Garble(_)
            | Self::StripSecurity
            | Self::StripMethod(_)
            | Self::SwapMethod
            | Self::ChangeFingerprint
            | Self::BlockSize(_)
            | Self::ChangeSid => self.change(stanza).is_some(),
        }
    }

    /// The stanza that this makes of another one; none where there is nothing to change.
    fn change(&self, stanza: &str) -> Option<String> {
        match self {
            Self::Flip(bit) => change_block(stanza, |bytes| {
                let bit = pick(*bit, bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }),
            Self::Cut(length) => {
                change_block(stanza, |bytes| bytes.truncate(bytes.len() - 1 - pick(*length, bytes.len())))
            }
            Self::Garble(at) => {
                let (start, end) = block(stanza)?;
                let at = start + pick(*at, end - start);
                Some(format!("{}!{}", &stanza[..at], &stanza[at + 1..]))
            }
            Self::StripSecurity => replace_between(stanza, "<security", "</security>", |_| String::new()),
            Self::StripMethod(name) => {
                let method = format!("<method name='{name}'/>");
                stanza.contains(&method).then(|| stanza.replace(&method, ""))
            }
            Self::SwapMethod => {
                let swapped = stanza.replace("name='x509'", "name='?'").replace("name='srp'", "name='x509'");
                Some(swapped.replace("name='?'", "name='srp'")).filter(|swapped| swapped != stanza)
            }
            Self::ChangeFingerprint => replace_between(stanza, "<fingerprint", "</fingerprint>", |found| {
                let text = found.rfind('>').map_or(0, |at| at + 1);
                let other = if found[text..].starts_with(['0']) { "1" } else { "0" };
                format!("{}{other}{}", &found[..text], found.get(text + 1..).unwrap_or_default())
            }),
            Self::BlockSize(size) => replace_value(stanza, "block-size='", |_| size.clone()),
            Self::ChangeSid => replace_value(stanza, " sid='", |sid| format!("x{sid}")),
            Self::Drop
            | Self::Duplicate
            | Self::Swap
            | Self::Delay(_)
            | Self::Split(_)
            | Self::Spoof(_)
            | Self::Bounce(_)
            | Self::Replay(_) => None,
        }
    }
}

/// A number below a length; 0 where there is none.
fn pick(number: u32, length: usize) -> usize {
    usize::try_from(number).unwrap_or(0).checked_rem(length).unwrap_or(0)
}

/// Where the text of the block in a data stanza is, if there is one that is not empty.
fn block(stanza: &str) -> Option<(usize, usize)> {
    let start = stanza.find("<data ")?;
    let start = start + stanza[start..].find('>')? + 1;
    let end = start + stanza[start..].find("</data>")?;
    (end > start).then_some((start, end))
}

fn change_block(stanza: &str, change: impl FnOnce(&mut Vec<u8>)) -> Option<String> {
    let (start, end) = block(stanza)?;
    let mut bytes = STANDARD.decode(&stanza[start..end]).ok().filter(|bytes| !bytes.is_empty())?;
    change(&mut bytes);
    Some(format!("{}{}{}", &stanza[..start], STANDARD.encode(bytes), &stanza[end..]))
}

fn split(stanza: &str, at: u32) -> Option<[String; 2]> {
    let (start, end) = block(stanza)?;
    let bytes = STANDARD.decode(&stanza[start..end]).ok().filter(|bytes| bytes.len() > 1)?;
    let (first, second) = bytes.split_at(1 + pick(at, bytes.len() - 1));
    Some([first, second].map(|part| format!("{}{}{}", &stanza[..start], STANDARD.encode(part), &stanza[end..])))
}

/// Changes what is between `start` and the `end` after it, in each place; both are taken out where nothing is left.
fn replace_between(stanza: &str, start: &str, end: &str, change: impl Fn(&str) -> String) -> Option<String> {
    let mut changed = String::with_capacity(stanza.len());
    let mut rest = stanza;
    while let Some(from) = rest.find(start) {
        let to = from + rest[from..].find(end)?;
        changed.push_str(&rest[..from]);
        let kept = change(&rest[from..to]);
        if !kept.is_empty() {
            changed.push_str(&kept);
            changed.push_str(end);
        }
        rest = &rest[to + end.len()..];
    }
    changed.push_str(rest);
    (changed != stanza).then_some(changed)
}

/// Changes the attribute value after the first `start`.
fn replace_value(stanza: &str, start: &str, change: impl FnOnce(&str) -> String) -> Option<String> {
    let from = stanza.find(start)? + start.len();
    let to = from + stanza[from..].find('\'')?;
    Some(format!("{}{}{}", &stanza[..from], change(&stanza[from..to]), &stanza[to..]))
}

impl fmt::Display for Misdeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop => f.write_str("drop"),
            Self::Duplicate => f.write_str("duplicate"),
            Self::Swap => f.write_str("swap"),
            Self::Delay(delay) => write!(f, "delay {}", delay.as_millis()),
            Self::Flip(bit) => write!(f, "flip {bit}"),
            Self::Cut(length) => write!(f, "cut {length}"),
            Self::Garble(at) => write!(f, "garble {at}"),
            Self::Split(at) => write!(f, "split {at}"),
            Self::Spoof(address) => write!(f, "spoof {address}"),
            Self::Bounce(condition) => write!(f, "bounce {}", condition.as_str()),
            Self::StripSecurity => f.write_str("strip-security"),
            Self::StripMethod(name) => write!(f, "strip-method {name}"),
            Self::SwapMethod => f.write_str("swap-method"),
            Self::ChangeFingerprint => f.write_str("change-fingerprint"),
            Self::BlockSize(size) => write!(f, "block-size {size}"),
            Self::ChangeSid => f.write_str("change-sid"),
            Self::Replay(number) => write!(f, "replay {number}"),
        }
    }
}

impl FromStr for Misdeed {
    type Err = UnknownMisdeed;

    fn from_str(text: &str) -> Result<Self, UnknownMisdeed> {
        let unknown = || UnknownMisdeed(text.to_owned());
        let (word, parameter) = text.split_once(' ').unwrap_or((text, ""));
        let number = || parameter.parse::<u32>().map_err(|_| unknown());
        Ok(match word {
            "drop" => Self::Drop,
            "duplicate" => Self::Duplicate,
            "swap" => Self::Swap,
            "delay" => Self::Delay(Duration::from_millis(number()?.into())),
            "flip" => Self::Flip(number()?),
            "cut" => Self::Cut(number()?),
            "garble" => Self::Garble(number()?),
            "split" => Self::Split(number()?),
            "spoof" => Self::Spoof(parameter.to_owned()),
            "bounce" => Self::Bounce(condition(parameter).ok_or_else(unknown)?),
            "strip-security" => Self::StripSecurity,
            "strip-method" => Self::StripMethod(parameter.to_owned()),
            "swap-method" => Self::SwapMethod,
            "change-fingerprint" => Self::ChangeFingerprint,
            "block-size" => Self::BlockSize(parameter.to_owned()),
            "change-sid" => Self::ChangeSid,
            "replay" => Self::Replay(number()?),
            _ => return Err(unknown()),
        })
    }
}

/// The condition of this name, among those that servers answer with.
fn condition(name: &str) -> Option<Condition> {
    let conditions = [
        Condition::ServiceUnavailable,
        Condition::RecipientUnavailable,
        Condition::RemoteServerNotFound,
        Condition::RemoteServerTimeout,
        Condition::ItemNotFound,
        Condition::NotAcceptable,
        Condition::BadRequest,
        Condition::Forbidden,
        Condition::PolicyViolation,
        Condition::ResourceConstraint,
        Condition::InternalServerError,
        Condition::FeatureNotImplemented,
        Condition::UnexpectedRequest,
        Condition::Conflict,
    ];
    conditions.into_iter().find(|condition| condition.as_str() == name)
}

impl fmt::Display for UnknownMisdeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is nothing that a server does", self.0)
    }
}

impl Error for UnknownMisdeed {}
