//! Addresses of XMPP entities, as RFC 7622 has them.
//!
//! An address keeps the spelling that it was read in beside its canonical form:
//!
//! - **The spelling** ([`Jid::as_str`], `Display`) is what goes into `to`. A server that prepares addresses by another rule
//!   than RFC 7622 (many prepare by RFC 6122, RFC 7622 § 5) is asked for what the user typed.
//! - **The canonical form** ([`Jid::canonical`], and its parts [`Jid::local`], [`Jid::domain`] and [`Jid::resource`]) is what
//!   addresses compare, order and hash by (RFC 7622 §§ 3.2.3, 3.3, 3.4), and what belongs into files and certificates. It is a
//!   fixed point: it parses, and to itself.
//!
//! A clone shares the text, and so does the bare address of a full one.

mod bare;
mod domain;
mod full;
mod local;
mod older;
mod resource;

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;
use std::borrow::Cow;
use std::sync::Arc;

pub use bare::{BareJid, DomainPart};
pub use full::FullJid;

/// The most bytes of a part (RFC 7622 § 3.1), before preparation and after it.
pub const MAX_PART: usize = 1023;

/// The most bytes of an address (RFC 7622 § 3.1): three parts and two separators.
pub const MAX_JID: usize = 3 * MAX_PART + 2;

/// An address, with a resourcepart or without (RFC 7622).
///
/// ```
/// use xtls_stanza::jid::Jid;
///
/// let typed: Jid = "Juliet@XN--STRAE-OQA.example/Balcony".parse()?;
/// assert_eq!(typed.as_str(), "Juliet@XN--STRAE-OQA.example/Balcony");
/// assert_eq!(typed.canonical(), "juliet@straße.example/Balcony");
/// assert_eq!(typed, "juliet@straße.example/Balcony".parse::<Jid>()?);
/// assert_ne!(typed, "juliet@strasse.example/Balcony".parse::<Jid>()?); // somebody else's domain
/// # Ok::<(), xtls_stanza::jid::JidError>(())
/// ```
#[derive(Clone)]
pub struct Jid {
    /// The canonical form, and after it the spelling where that is another.
    text: Arc<str>,
    canonical: Span,
    spelling: Span,
    /// How long the localpart is in the canonical form; 0 for none.
    local: u16,
}

/// Where in the text an address stands.
#[derive(Clone, Copy)]
struct Span {
    start: u16,
    /// The end of the domainpart.
    bare: u16,
    end: u16,
}

/// A part of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "RFC 7622 § 3.1 has these")]
pub enum JidPart {
    /// What stands before the `@`.
    Local,
    /// What every address has.
    Domain,
    /// What follows the first `/`.
    Resource,
}

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JidError {
    /// The part is there and empty, or the domainpart is missing (RFC 7622 §§ 3.2 to 3.4).
    Empty(JidPart),
    /// The part has more than [`MAX_PART`] bytes, as it was given or when it is prepared (RFC 7622 § 3.1). For a domain it can
    /// also be a limit of the DNS: 63 bytes for a label and 253 for the name, in A-labels.
    TooLong(JidPart),
    /// The part has a character that is not allowed there, or not where it stands (RFC 7622 §§ 3.2.1, 3.3, 3.3.1, 3.4).
    NotAllowed(JidPart),
    /// A full address was wanted, and there is no resourcepart.
    NoResource,
    /// A bare address was wanted, and there is a resourcepart.
    Resource,
    /// The address of a server was wanted, and there is a localpart.
    Local,
}

impl Jid {
    /// Reads an address.
    ///
    /// # Errors
    ///
    /// When it is none by RFC 7622. Nothing longer than [`MAX_PART`] is prepared.
    pub fn new(text: &str) -> Result<Self, JidError> {
        let spelt = Parts::split(text);
        let [local, domain, resource] = spelt.prepared()?;
        Ok(Self::assemble(&spelt, text, local.as_deref(), domain.as_deref().unwrap_or_default(), resource.as_deref()))
    }

    /// The canonical form of an address that is not needed itself: nothing is copied where it is in that form.
    ///
    /// # Errors
    ///
    /// As for [`Jid::new`].
    pub fn canonicalize(text: &str) -> Result<Cow<'_, str>, JidError> {
        let spelt = Parts::split(text);
        let prepared = spelt.prepared()?;
        let is_canonical =
            prepared.each_ref().map(Option::as_deref) == [spelt.local, Some(spelt.domain), spelt.resource];
        if is_canonical { Ok(Cow::Borrowed(text)) } else { Ok(Cow::Owned(Self::new(text)?.canonical().to_owned())) }
    }

    fn assemble(parts: &Parts<'_>, spelt: &str, local: Option<&str>, domain: &str, resource: Option<&str>) -> Self {
        let length = |part: Option<&str>| part.map_or(0, |part| part.len() + 1);
        let bare = length(local) + domain.len();
        let end = bare + length(resource);
        let same = parts.local == local && parts.domain == domain && parts.resource == resource;
        let text = if same {
            Arc::from(spelt)
        } else {
            let mut text = String::with_capacity(end + spelt.len());
            for (part, separator) in [(local, "@"), (Some(domain), "")] {
                text.extend(part.into_iter().flat_map(|part| [part, separator]));
            }
            text.extend(resource.into_iter().flat_map(|part| ["/", part]));
            text.push_str(spelt);
            Arc::from(text)
        };
        let canonical = Span::of(0, bare, end);
        let spelt_bare = spelt.len() - length(parts.resource);
        let spelling = if same { canonical } else { Span::of(end, end + spelt_bare, end + spelt.len()) };
        Self { text, canonical, spelling, local: narrow(local.map_or(0, str::len)) }
    }

    /// The spelling that it was read in: for `to`, and for showing what was typed. To compare, use the address itself, or
    /// [`Jid::canonical`].
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.get(self.spelling.start, self.spelling.end)
    }

    /// The canonical form.
    #[must_use]
    pub fn canonical(&self) -> &str {
        self.get(self.canonical.start, self.canonical.end)
    }

    /// The localpart, in its canonical form (RFC 7622 § 3.3).
    #[must_use]
    pub fn local(&self) -> Option<&str> {
        (self.local > 0).then(|| self.get(0, self.local))
    }

    /// The domainpart, in its canonical form (RFC 7622 § 3.2).
    #[must_use]
    pub fn domain(&self) -> &str {
        let start = if self.local > 0 { self.local + 1 } else { 0 };
        self.get(start, self.canonical.bare)
    }

    /// The resourcepart, in its canonical form (RFC 7622 § 3.4).
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.is_full().then(|| self.get(self.canonical.bare + 1, self.canonical.end))
    }

    /// The domainpart as an address of its own, with its spelling.
    #[must_use]
    pub fn domain_part(&self) -> DomainPart {
        DomainPart::of(self)
    }

    /// The address without its resourcepart, with the spelling of the rest. Nothing is copied.
    #[must_use]
    pub fn to_bare(&self) -> BareJid {
        BareJid::of(self.clone())
    }

    /// The same for an address that is not needed any more.
    #[must_use]
    pub fn into_bare(self) -> BareJid {
        BareJid::of(self)
    }

    /// The same address, if it has a resourcepart.
    #[must_use]
    pub fn to_full(&self) -> Option<FullJid> {
        FullJid::try_from(self.clone()).ok()
    }

    /// Whether there is a resourcepart.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.canonical.end > self.canonical.bare
    }

    /// Whether there is no resourcepart.
    #[must_use]
    pub const fn is_bare(&self) -> bool {
        !self.is_full()
    }

    /// What an entity makes of it that prepares addresses by RFC 6122, as many servers do (RFC 7622 § 5). It may be somebody
    /// else's address, or none.
    #[must_use]
    pub fn prepared_by_rfc_6122(&self) -> Cow<'_, str> {
        older::prepare(self)
    }

    /// Whether an entity that prepares addresses by RFC 6122, as many servers do (RFC 7622 § 5), takes both for one, although
    /// they are two: such as `straße.example` and `strasse.example`.
    #[must_use]
    pub fn is_confused_with(&self, other: &Self) -> bool {
        self != other && older::prepare(self) == older::prepare(other)
    }

    fn get(&self, start: u16, end: u16) -> &str {
        self.text.get(usize::from(start)..usize::from(end)).unwrap_or_default()
    }
}

/// The parts of an address as they are spelt.
struct Parts<'a> {
    local: Option<&'a str>,
    domain: &'a str,
    resource: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// § 3.2: first the first `/` and what follows it goes, then the first `@` and what precedes it.
    fn split(text: &'a str) -> Self {
        let (bare, resource) = match text.split_once('/') {
            Some((bare, resource)) => (bare, Some(resource)),
            None => (text, None),
        };
        match bare.split_once('@') {
            Some((local, domain)) => Self { local: Some(local), domain, resource },
            None => Self { local: None, domain: bare, resource },
        }
    }

    /// Each part that is there in its canonical form: localpart, domainpart and resourcepart. What is in it already is borrowed.
    fn prepared(&self) -> Result<[Option<Cow<'a, str>>; 3], JidError> {
        // § 3.1: the separators are looked for before anything is transformed.
        Ok([
            self.local.map(|local| prepare(JidPart::Local, local, local::prepare)).transpose()?,
            Some(prepare(JidPart::Domain, self.domain, domain::prepare)?),
            self.resource.map(|resource| prepare(JidPart::Resource, resource, resource::prepare)).transpose()?,
        ])
    }
}

impl Span {
    fn of(start: usize, bare: usize, end: usize) -> Self {
        Self { start: narrow(start), bare: narrow(bare), end: narrow(end) }
    }

    const fn to_bare(self) -> Self {
        Self { end: self.bare, ..self }
    }
}

/// A place in a text of at most two addresses.
fn narrow(place: usize) -> u16 {
    u16::try_from(place).expect("two addresses have 6142 bytes at most")
}

/// Prepares a part within its bounds, which hold before and after (§ 3.1).
fn prepare<'a>(
    part: JidPart,
    text: &'a str,
    prepare: impl FnOnce(&'a str) -> Result<Cow<'a, str>, Refused>,
) -> Result<Cow<'a, str>, JidError> {
    check_length(part, text)?;
    let prepared = prepare(text).map_err(|refused| match refused {
        Refused::TooLong => JidError::TooLong(part),
        Refused::NotAllowed => JidError::NotAllowed(part),
    })?;
    check_length(part, &prepared)?;
    Ok(prepared)
}

const fn check_length(part: JidPart, text: &str) -> Result<(), JidError> {
    match text.len() {
        0 => Err(JidError::Empty(part)),
        1..=MAX_PART => Ok(()),
        _ => Err(JidError::TooLong(part)),
    }
}

/// Why a part cannot be prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    TooLong,
    NotAllowed,
}

/// Applies a rule, and refuses what it would change a second time: two addresses that are one only after two rounds could
/// be told apart or not, depending on who looks.
fn to_fixed_point(
    text: &str,
    rule: impl for<'a> Fn(&'a str) -> Result<Cow<'a, str>, Refused>,
) -> Result<Cow<'_, str>, Refused> {
    let once = rule(text)?;
    if rule(&once)? == once { Ok(once) } else { Err(Refused::NotAllowed) }
}

impl PartialEq for Jid {
    fn eq(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

impl Eq for Jid {}

impl PartialOrd for Jid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Jid {
    fn cmp(&self, other: &Self) -> Ordering {
        self.canonical().cmp(other.canonical())
    }
}

impl Hash for Jid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical().hash(state);
    }
}

impl FromStr for Jid {
    type Err = JidError;

    fn from_str(text: &str) -> Result<Self, JidError> {
        Self::new(text)
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for JidPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "the part before the @",
            Self::Domain => "the domain",
            Self::Resource => "the part after the /",
        })
    }
}

impl fmt::Display for JidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty(part) => write!(f, "{part} is empty"),
            Self::TooLong(part) => write!(f, "{part} is too long"),
            Self::NotAllowed(part) => write!(f, "{part} has a character that is not allowed there"),
            Self::NoResource => f.write_str("it has no resource: nothing follows a /"),
            Self::Resource => f.write_str("it has a resource: what follows the /"),
            Self::Local => f.write_str("it has an account: what is before the @"),
        }
    }
}

impl core::error::Error for JidError {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
