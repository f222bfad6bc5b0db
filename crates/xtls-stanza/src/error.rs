//! Why a piece of XML was refused.

use core::{fmt, str::Utf8Error};

/// Why a piece of XML was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseError {
    /// What was wrong.
    pub kind: ParseErrorKind,
    /// Byte offset into the parsed text, or into the stream, at which it was noticed: as a rule that of the markup or text
    /// run that holds the fault.
    pub offset: usize,
}

/// What was wrong with a piece of XML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// A bound of [`Limits`](crate::Limits) was exceeded; the name is the field's.
    Limit(&'static str),
    /// The text breaks a rule of XML 1.0 or of Namespaces in XML; the words say which.
    NotWellFormed(&'static str),
    /// A feature of XML that XMPP forbids (RFC 6120 § 11.1): a comment, a processing instruction, a document type
    /// declaration or an entity of its own.
    Restricted(&'static str),
    /// A prefix that no declaration binds (Namespaces in XML § 5, RFC 6120 § 4.9.3.2).
    UndeclaredPrefix,
    /// The text is not UTF-8 (RFC 6120 § 11.6).
    NotUtf8,
}

impl ParseErrorKind {
    /// The stream error condition that answers this fault (RFC 6120 § 4.9.3).
    #[must_use]
    pub fn stream_condition(self) -> &'static str {
        match self {
            Self::Limit(_) => "policy-violation",
            Self::NotWellFormed(_) => "not-well-formed",
            Self::Restricted(_) => "restricted-xml",
            Self::UndeclaredPrefix => "bad-namespace-prefix",
            Self::NotUtf8 => "unsupported-encoding",
        }
    }
}

impl fmt::Display for ParseErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(limit) => write!(f, "more than the limit `{limit}` allows"),
            Self::NotWellFormed(what) => write!(f, "not well-formed: {what}"),
            Self::Restricted(what) => write!(f, "forbidden in XMPP: {what}"),
            Self::UndeclaredPrefix => f.write_str("a namespace prefix that is not declared"),
            Self::NotUtf8 => f.write_str("not UTF-8"),
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.kind, self.offset)
    }
}

impl core::error::Error for ParseError {}

/// [`ParseErrorKind::NotUtf8`], where the first character is that is none.
impl From<Utf8Error> for ParseError {
    fn from(error: Utf8Error) -> Self {
        Self { kind: ParseErrorKind::NotUtf8, offset: error.valid_up_to() }
    }
}
