//! The security precondition: what `<security/>` says (draft-meyer-xmpp-e2e-encryption-02 § 3).

use core::fmt;
use core::str::FromStr;

use crate::{ElementRef, Fingerprint, ns, write};

/// A TLS method: how the two ends authenticate one another (draft § 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Method {
    /// TLS with X.509 certificates on both sides.
    X509,
    /// TLS with a secure remote password (RFC 5054).
    Srp,
}

/// Why a text is not the name of a [`Method`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MethodError {
    /// No method that is known has this name. Names are compared as they are: case and white space count.
    Unknown,
}

/// The content of a `<security/>` element: fingerprints of the sender's certificate and the methods it is ready for, in
/// the order it prefers them.
///
/// Nothing in it is proof: it crosses servers that nobody trusts. It only helps to choose a method.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SecurityOffer {
    /// Which of the two namespaces the element is in; an answer echoes it.
    pub version: XtlsVersion,
    /// The fingerprints that could be read, at most [`SecurityOffer::MAX`]. One that is misspelt or of an unknown algorithm
    /// is left out: it identifies nothing.
    pub fingerprints: Vec<Fingerprint>,
    /// The known methods without repetition; unknown names are ignored.
    pub methods: Vec<Method>,
}

/// The namespace of a `<security/>` element. The draft writes `xtls:0` in its examples and `xtls:1` in § 7: the same
/// protocol under two names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum XtlsVersion {
    /// `urn:xmpp:jingle:security:xtls:0`, emitted unless the peer began otherwise.
    #[default]
    Xtls0,
    /// `urn:xmpp:jingle:security:xtls:1`.
    Xtls1,
}

impl SecurityOffer {
    /// How many fingerprints are kept.
    pub const MAX: usize = 8;

    /// An offer in the given namespace.
    #[must_use]
    pub fn new(version: XtlsVersion, fingerprints: Vec<Fingerprint>, methods: Vec<Method>) -> Self {
        Self { version, fingerprints, methods }
    }

    /// Reads a `<security/>` element of either namespace; `None` when the element is something else, such as the
    /// precondition of another specification.
    #[must_use]
    pub fn parse(element: ElementRef<'_>) -> Option<Self> {
        let version = [XtlsVersion::Xtls0, XtlsVersion::Xtls1].into_iter().find(|v| v.ns() == element.ns())?;
        if element.name() != "security" {
            return None;
        }
        let children = |name| element.children().filter(move |child| child.is(name, version.ns()));
        let fingerprints = children("fingerprint")
            .filter_map(|child| Fingerprint::parse(child.attribute("algo"), &child.text()).ok())
            .take(Self::MAX)
            .collect();
        let mut methods = Vec::new();
        for method in children("method").filter_map(|child| child.attribute("name").and_then(Method::parse)) {
            if !methods.contains(&method) {
                methods.push(method);
            }
        }
        Some(Self { version, fingerprints, methods })
    }

    /// Appends the element.
    pub fn write(&self, out: &mut String) {
        out.push_str("<security");
        write::attribute(out, "xmlns", self.version.ns());
        out.push('>');
        for fingerprint in &self.fingerprints {
            out.push_str("<fingerprint");
            write::attribute(out, "algo", fingerprint.algo().name());
            out.push('>');
            write::text(out, &fingerprint.hex());
            out.push_str("</fingerprint>");
        }
        for method in &self.methods {
            out.push_str("<method");
            write::attribute(out, "name", method.as_str());
            out.push_str("/>");
        }
        out.push_str("</security>");
    }

    /// Whether it names no method that is known. Nothing can be agreed on such an offer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.methods.is_empty()
    }
}

impl Method {
    /// The name in the registry.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X509 => "x509",
            Self::Srp => "srp",
        }
    }

    /// The method of this name, as [`FromStr`] has it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        name.parse().ok()
    }
}

/// The name in the registry, which [`FromStr`] reads back.
impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads the name in the registry.
impl FromStr for Method {
    type Err = MethodError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Self::X509, Self::Srp].into_iter().find(|method| method.as_str() == name).ok_or(MethodError::Unknown)
    }
}

impl fmt::Display for MethodError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("an unknown method: `x509` and `srp` are known"),
        }
    }
}

impl core::error::Error for MethodError {}

impl XtlsVersion {
    /// The namespace.
    #[must_use]
    pub fn ns(self) -> &'static str {
        match self {
            Self::Xtls0 => ns::XTLS_0,
            Self::Xtls1 => ns::XTLS_1,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{Element, HashAlgo, Limits};

    fn parse(xml: &str) -> Option<SecurityOffer> {
        SecurityOffer::parse(Element::parse(xml, &Limits::default()).unwrap().root())
    }

    #[test]
    fn what_is_written_reads_back() {
        for version in [XtlsVersion::Xtls0, XtlsVersion::Xtls1] {
            let offer = SecurityOffer::new(
                version,
                [HashAlgo::Sha1, HashAlgo::Sha256].map(|algo| Fingerprint::of(algo, b"der").unwrap()).to_vec(),
                vec![Method::Srp, Method::X509],
            );
            let mut out = String::new();
            offer.write(&mut out);
            assert_eq!(parse(&out), Some(offer));
        }
    }

    #[test]
    fn names_of_methods_read_back_and_nothing_else_is_one() {
        for method in [Method::X509, Method::Srp] {
            assert_eq!(method.to_string().parse(), Ok(method));
            assert_eq!(Method::parse(method.as_str()), Some(method));
        }
        for name in ["", "x50", "x5099", "X509", " srp", "srp\n", "srp\0", "openpgp", "\u{ff53}rp"] {
            assert_eq!(name.parse::<Method>(), Err(MethodError::Unknown), "{name:?}");
            assert_eq!(Method::parse(name), None, "{name:?}");
        }
        assert_eq!(MethodError::Unknown.to_string(), "an unknown method: `x509` and `srp` are known");
    }

    #[test]
    fn unknown_methods_are_ignored_and_repetition_is_folded() {
        let offer = parse(
            "<security xmlns='urn:xmpp:jingle:security:xtls:0'><method name='openpgp'/><method name='srp'/>\
             <method/><method name='srp'/><method name='x509'/></security>",
        );
        assert_eq!(offer.unwrap().methods, [Method::Srp, Method::X509]);
    }

    #[test]
    fn an_empty_element_offers_nothing() {
        assert!(parse("<security xmlns='urn:xmpp:jingle:security:xtls:1'/>").unwrap().is_empty());
    }

    #[test]
    fn a_misspelt_fingerprint_identifies_nothing() {
        let offer = parse(
            "<security xmlns='urn:xmpp:jingle:security:xtls:0'>\
             <fingerprint algo='sha1'>RomeoX509CertSHA1Hash</fingerprint><method name='x509'/></security>",
        )
        .unwrap();
        assert_eq!(offer.fingerprints, []);
        assert_eq!(offer.methods, [Method::X509]);
    }

    #[test]
    fn at_most_eight_fingerprints_are_kept() {
        let many = |count: usize| {
            let one = format!("<fingerprint>{}</fingerprint>", "ab".repeat(20));
            parse(&format!("<security xmlns='urn:xmpp:jingle:security:xtls:0'>{}</security>", one.repeat(count)))
                .unwrap()
        };
        assert_eq!(many(8).fingerprints.len(), 8);
        assert_eq!(many(9).fingerprints.len(), 8);
    }

    #[test]
    fn the_precondition_of_another_specification_is_not_ours() {
        assert_eq!(parse("<security xmlns='urn:xmpp:jingle:security:stub:0'><method name='x509'/></security>"), None);
        assert_eq!(parse("<secure xmlns='urn:xmpp:jingle:security:xtls:0'/>"), None);
    }
}
