//! Bounds on the XML that is accepted.

/// Bounds on one stanza, checked while it is parsed.
///
/// Whatever exceeds one is refused with [`ParseErrorKind::Limit`](crate::ParseErrorKind::Limit), before memory is
/// spent on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one stanza's text, markup included. Default 262 144 (RFC 6120 § 13.12 asks for at least 10 000); at
    /// most 1 GiB counts, whatever is set.
    pub stanza_bytes: usize,
    /// Elements inside one another, the stanza itself being the first. Default 64.
    pub depth: usize,
    /// Attributes of one element, namespace declarations included. Default 64.
    pub attributes: usize,
    /// Namespace declarations of a stanza that are in force at one place, those of its surroundings not counted. Default 128.
    pub declarations: usize,
    /// Bytes of one name, prefix and colon included. Default 1024.
    pub name_bytes: usize,
    /// Bytes of one attribute's value after its references are resolved. Default 16 384.
    pub value_bytes: usize,
    /// Elements, attributes and pieces of text in one stanza. Default 16 384.
    pub nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stanza_bytes: 256 * 1024,
            depth: 64,
            attributes: 64,
            declarations: 128,
            name_bytes: 1024,
            value_bytes: 16 * 1024,
            nodes: 16 * 1024,
        }
    }
}
