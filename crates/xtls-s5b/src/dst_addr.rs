//! What names a bytestream at a SOCKS5 server: a hash in the place of a host name.

use core::{fmt, str::FromStr};

use sha1::{Digest as _, Sha1};
use xtls_stanza::jid::Jid;

/// The DST.ADDR of a bytestream: SHA-1 of its sid, the requester and the target, as 40 hexadecimal digits (XEP-0065 § 5.3.2).
///
/// Whoever knows all three can make it. It says which bytestream a connection is for, and authenticates nobody.
///
/// ```
/// use xtls_s5b::DstAddr;
///
/// let romeo = "romeo@montague.lit/orchard".parse()?;
/// let juliet = "juliet@capulet.lit/balcony".parse()?;
/// let by_romeo = DstAddr::new("vj3hs98y", &romeo, &juliet);
/// assert_eq!(by_romeo.to_string(), "972b7bf47291ca609517f67f86b5081086052dad");
/// assert_eq!("972B7BF47291CA609517F67F86B5081086052DAD".parse(), Ok(by_romeo));
/// # Ok::<(), xtls_stanza::jid::JidError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DstAddr([u8; 20]);

/// The text is no [`DstAddr`]: it is not 40 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DstAddrError;

impl DstAddr {
    /// How many characters it has as text.
    pub const LEN: usize = 40;

    /// The one that the requester and the target of a bytestream agree on. At a proxy the requester is whoever brought the proxy
    /// in and has it activated (XEP-0260 §§ 2.2, 2.3).
    ///
    /// XEP-0065 § 5.3.2: the addresses are those of the exchange of stanzas, prepared. A server has prepared those that it stamps, by
    /// its own rule, and so they are taken as they are spelt: pass the address that your server bound, and the `from` that the
    /// peer's stanzas have, not what somebody typed.
    #[must_use]
    pub fn new(sid: &str, requester: &Jid, target: &Jid) -> Self {
        let mut hash = Sha1::new();
        for part in [sid, requester.as_str(), target.as_str()] {
            hash.update(part.as_bytes());
        }
        Self(hash.finalize().into())
    }

    /// Both that clients make for a direct connection: some take the initiator of the Jingle session for the requester, others
    /// the owner of the candidate. A listener expects either.
    #[must_use]
    pub fn of_either_order(sid: &str, one: &Jid, other: &Jid) -> [Self; 2] {
        [Self::new(sid, one, other), Self::new(sid, other, one)]
    }

    /// Reads 40 hexadecimal digits, as they come from a socket.
    pub(crate) fn from_ascii(text: &[u8]) -> Result<Self, DstAddrError> {
        let mut digest = [0; 20];
        let (pairs, []) = text.as_chunks::<2>() else { return Err(DstAddrError) };
        if pairs.len() != digest.len() {
            return Err(DstAddrError);
        }
        for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self(digest))
    }
}

fn digit(byte: u8) -> Result<u8, DstAddrError> {
    let value = char::from(byte).to_digit(16).ok_or(DstAddrError)?;
    u8::try_from(value).map_err(|_| DstAddrError)
}

impl FromStr for DstAddr {
    type Err = DstAddrError;

    /// Reads 40 hexadecimal digits of any case.
    ///
    /// # Errors
    ///
    /// When it is anything else.
    fn from_str(text: &str) -> Result<Self, DstAddrError> {
        Self::from_ascii(text.as_bytes())
    }
}

impl fmt::Display for DstAddr {
    /// Small letters: proxies compare it with their own as text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for DstAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for DstAddrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a bytestream is not 40 hexadecimal digits")
    }
}

impl core::error::Error for DstAddrError {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        text.parse().unwrap()
    }

    #[test]
    fn xep_0065_5_3_2_it_is_the_hash_of_sid_requester_and_target() {
        // The examples of XEP-0260 §§ 2.2 and 2.3.
        let [romeo, juliet] = ["romeo@montague.lit/orchard", "juliet@capulet.lit/balcony"].map(jid);
        let both = DstAddr::of_either_order("vj3hs98y", &romeo, &juliet);
        assert_eq!(both[0], DstAddr::new("vj3hs98y", &romeo, &juliet));
        assert_eq!(both[0].to_string(), "972b7bf47291ca609517f67f86b5081086052dad");
        assert_eq!(both[1].to_string(), "1a12fb7bc625e55f3ed5b29a53dbe0e4aa7d80ba");
    }

    #[test]
    fn xep_0065_5_3_2_addresses_are_taken_as_the_server_stamped_them() {
        let [stamped, canonical] = ["juliet@xn--strae-oqa.example/b", "juliet@straße.example/b"].map(jid);
        assert_eq!(stamped, canonical);
        let other = jid("romeo@montague.lit/orchard");
        assert_ne!(DstAddr::new("s", &stamped, &other), DstAddr::new("s", &canonical, &other));
    }

    #[test]
    fn forty_digits_are_read_in_any_case_and_nothing_else() {
        let text = "0123456789abcdefABCDEF0123456789abcdef00";
        let read: DstAddr = text.parse().unwrap();
        assert_eq!(read.to_string(), text.to_ascii_lowercase());
        for wrong in
            ["", "0", &text[1..], &text[2..], &format!("{text}0"), &format!("{text}00"), &text.replace('A', "g")]
        {
            assert_eq!(wrong.parse::<DstAddr>(), Err(DstAddrError), "{wrong}");
        }
        // A sign is a digit to nobody, nor is what is more than a byte.
        for wrong in ["+1", "é"] {
            assert_eq!(format!("{wrong}{}", &text[2..]).parse::<DstAddr>(), Err(DstAddrError), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back(digest: [u8; 20]) {
            let written = DstAddr(digest).to_string();
            proptest::prop_assert_eq!(written.len(), DstAddr::LEN);
            proptest::prop_assert_eq!(written.parse(), Ok(DstAddr(digest)));
        }
    }
}
