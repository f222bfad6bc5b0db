//! Where a connection goes: what `host` and `port` of a streamhost or a candidate may be.

use core::{fmt, net::IpAddr};

/// A host as a peer or a proxy names it: an IP address, or a name to be resolved (XEP-0065 § 9.2).
///
/// It says nothing about where that leads: each address that comes of it goes through
/// [`Networks::check`](crate::Networks::check).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(String);

/// Why a text is no [`Host`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostError {
    /// It is empty, or has more than [`Host::MAX`] bytes.
    Length,
    /// It has a character that neither names nor addresses have: a control character, white space, or punctuation.
    Character(char),
}

impl Host {
    /// The most bytes of one.
    pub const MAX: usize = 255;

    /// Reads one.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn new(text: &str) -> Result<Self, HostError> {
        if text.is_empty() || text.len() > Self::MAX {
            return Err(HostError::Length);
        }
        match text.chars().find(|c| !is_of_a_host(*c)) {
            Some(wrong) => Err(HostError::Character(wrong)),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// As it was read.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address that it is, where it is no name.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.0.parse().ok()
    }
}

/// Letters and digits of any script; with `_`, which the DNS has although host names have not, and `:` for IPv6.
fn is_of_a_host(c: char) -> bool {
    match c {
        '-' | '.' | '_' | ':' => true,
        c if c.is_ascii() => c.is_ascii_alphanumeric(),
        // What does not show, or steers the reading direction, cannot be in a name that somebody means.
        '\u{ad}'
        | '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => false,
        c => !c.is_control() && !c.is_whitespace(),
    }
}

/// Reads a port: a decimal number from 1 to 65535 (XEP-0065 § 9.2). Nobody can connect to 0.
pub(crate) fn port(text: &str) -> Option<u16> {
    // A number in Rust may have a sign.
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_decimal && *port > 0)
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => write!(f, "a host has 1 to {} bytes", Host::MAX),
            Self::Character(wrong) => write!(f, "a host has no character like {wrong:?}"),
        }
    }
}

impl core::error::Error for HostError {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address() {
        for name in
            ["proxy.example", "proxy.example.", "_x.a-b.example", "straße.example", "例え.テスト", "127.0.0.1.example"]
        {
            let host = Host::new(name).unwrap();
            assert_eq!((host.as_str(), host.address()), (name, None));
        }
        for address in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"] {
            assert_eq!(Host::new(address).unwrap().address(), Some(address.parse().unwrap()));
        }
    }

    #[test]
    fn a_host_has_255_bytes_at_most() {
        assert!(Host::new(&"a".repeat(255)).is_ok());
        for wrong in ["", &"a".repeat(256)] {
            assert_eq!(Host::new(wrong), Err(HostError::Length));
        }
    }

    #[test]
    fn a_host_has_no_control_characters_nor_what_else_is_in_no_name() {
        for wrong in "\0\t\n\r\u{1b}\u{7f}\u{85}\u{a0}\u{200e}\u{202e}\u{2066}\u{feff} /\\@#?%[]'\"<>&;$`".chars() {
            let text = format!("proxy{wrong}.example");
            assert_eq!(Host::new(&text), Err(HostError::Character(wrong)), "{text:?}");
        }
    }

    #[test]
    fn a_port_is_a_decimal_number_from_1_to_65535() {
        assert_eq!(["1", "65535", "0080"].map(port), [Some(1), Some(65535), Some(80)]);
        for wrong in ["0", "65536", "", "+80", "-1", "80 ", "0x50", "8o", "٨٠", "99999999999999999999"] {
            assert_eq!(port(wrong), None, "{wrong}");
        }
    }
}
