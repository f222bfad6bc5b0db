//! Which IP addresses may be dialled.
//!
//! A peer names addresses, and names that lead to addresses, before anybody is authenticated. Whoever dialled all of them would
//! scan networks for the peer that it cannot reach itself: the user's machine, the home network, a company's.

use core::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// Which IP addresses may be dialled that a peer has named: those of the Internet, and those of the networks that the caller adds.
///
/// It is asked about every address that a name has, right before that address is dialled. IPv4 addresses within IPv6 addresses
/// (`::ffff:0:0/96`, and `64:ff9b::/96` of NAT64) are judged as what they are.
///
/// ```
/// use xtls_s5b::{AddressKind, Networks};
///
/// let router = "192.168.1.1".parse()?;
/// let refused = Networks::default().check(router).expect_err("nobody allowed it");
/// assert_eq!(refused.kind, AddressKind::Private);
/// let home = Networks::default().with("192.168.0.0/16".parse()?);
/// assert_eq!(home.check(router), Ok(()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Networks {
    allowed: Vec<Network>,
}

/// The addresses that begin with the same bits, such as `192.168.0.0/16`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    /// Without bits beyond the prefix.
    first: IpAddr,
    prefix: u8,
}

/// An address that is not dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressRefused {
    /// The address, without IPv6 around an IPv4 address.
    pub address: IpAddr,
    /// What it is.
    pub kind: AddressKind,
}

/// What an address is that is not one of the Internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AddressKind {
    /// No address: `0.0.0.0` and `::`, which lead to this machine.
    Unspecified,
    /// This network: `0.0.0.0/8`, the same.
    ThisNetwork,
    /// This machine: `127.0.0.0/8` and `::1`.
    Loopback,
    /// The same cable: `169.254.0.0/16`, where clouds keep credentials too, and `fe80::/10`.
    LinkLocal,
    /// Private networks: `10.0.0.0/8`, `172.16.0.0/12` and `192.168.0.0/16`.
    Private,
    /// Unique local addresses: `fc00::/7`; and what was site-local before, `fec0::/10`.
    UniqueLocal,
    /// Between a provider and its customers: `100.64.0.0/10`.
    Shared,
    /// Groups: `224.0.0.0/4` and `ff00::/8`.
    Multicast,
    /// All of a network: `255.255.255.255`.
    Broadcast,
    /// Set aside for examples and measurements.
    Documentation,
    /// A way to IPv4 addresses, of which nobody can tell which (6to4, Teredo, `64:ff9b:1::/48`).
    Translation,
    /// Set aside for protocols or for the future.
    Reserved,
}

/// Why a text is no [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkError {
    /// There is no `/`.
    NoLength,
    /// What is before the `/` is no IP address.
    Address,
    /// What is after the `/` is no number of bits that such an address has.
    Length,
    /// The address has bits beyond the prefix: `10.0.0.1/8`.
    MoreBits,
}

impl Networks {
    /// The same and this network.
    #[must_use]
    pub fn with(mut self, network: Network) -> Self {
        self.allowed.push(network);
        self
    }

    /// Whether this address may be dialled.
    ///
    /// # Errors
    ///
    /// When it may not; and what it is.
    pub fn check(&self, address: IpAddr) -> Result<(), AddressRefused> {
        let address = unwrapped(address);
        match kind(address) {
            Some(kind) if !self.allowed.iter().any(|network| network.contains(address)) => {
                Err(AddressRefused { address, kind })
            }
            _ => Ok(()),
        }
    }
}

impl Network {
    /// The addresses that have the first `prefix` bits of `first`. A network of IPv4 addresses within IPv6 is one of IPv4.
    ///
    /// # Errors
    ///
    /// When there are not as many bits, or `first` has some that are set beyond them.
    pub fn new(first: IpAddr, prefix: u8) -> Result<Self, NetworkError> {
        let bits = if first.is_ipv4() { 32 } else { 128 };
        if prefix > bits {
            return Err(NetworkError::Length);
        }
        if masked(first, prefix) != first {
            return Err(NetworkError::MoreBits);
        }
        Ok(match (unwrapped(first), prefix.checked_sub(96)) {
            (inner @ IpAddr::V4(_), Some(prefix)) if first.is_ipv6() => Self { first: inner, prefix },
            _ => Self { first, prefix },
        })
    }

    /// Whether the address is one of them. One of IPv4 is none of IPv6.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        masked(address, self.prefix) == self.first
    }
}

/// The address with the first `prefix` bits alone.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let beyond = |bits: u32| bits.checked_sub(u32::from(prefix));
    match address {
        IpAddr::V4(v4) => {
            let mask = beyond(32).map_or(u32::MAX, |beyond| u32::MAX.checked_shl(beyond).unwrap_or(0));
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = beyond(128).map_or(u128::MAX, |beyond| u128::MAX.checked_shl(beyond).unwrap_or(0));
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

/// What it is an address of: a system takes `::ffff:127.0.0.1` to itself, and a translator `64:ff9b::10.0.0.1` into its network.
fn unwrapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xFFFF, high, low] | [0x64, 0xFF9B, 0, 0, 0, 0, high, low] => {
            Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)).into()
        }
        _ => address,
    }
}

/// What it is, if it is none of the Internet.
fn kind(address: IpAddr) -> Option<AddressKind> {
    let table = if address.is_ipv4() { V4 } else { V6 };
    let found = table.iter().find(|(first, prefix, _)| masked(address, *prefix) == *first);
    match found {
        Some((.., kind)) => Some(*kind),
        // Of IPv6, 2000::/3 is what has been given out.
        None => (address.is_ipv6() && masked(address, 3) != IPV6_INTERNET).then_some(AddressKind::Reserved),
    }
}

const IPV6_INTERNET: IpAddr = v6([0x2000, 0, 0, 0, 0, 0, 0, 0]);

type Row = (IpAddr, u8, AddressKind);

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6(s: [u16; 8]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]))
}

/// IANA's registry of special IPv4 addresses; the first row that fits counts.
const V4: &[Row] = &[
    (v4(0, 0, 0, 0), 32, AddressKind::Unspecified),
    (v4(0, 0, 0, 0), 8, AddressKind::ThisNetwork),
    (v4(10, 0, 0, 0), 8, AddressKind::Private),
    (v4(100, 64, 0, 0), 10, AddressKind::Shared),
    (v4(127, 0, 0, 0), 8, AddressKind::Loopback),
    (v4(169, 254, 0, 0), 16, AddressKind::LinkLocal),
    (v4(172, 16, 0, 0), 12, AddressKind::Private),
    (v4(192, 0, 0, 0), 24, AddressKind::Reserved),
    (v4(192, 0, 2, 0), 24, AddressKind::Documentation),
    (v4(192, 88, 99, 0), 24, AddressKind::Translation),
    (v4(192, 168, 0, 0), 16, AddressKind::Private),
    (v4(198, 18, 0, 0), 15, AddressKind::Documentation),
    (v4(198, 51, 100, 0), 24, AddressKind::Documentation),
    (v4(203, 0, 113, 0), 24, AddressKind::Documentation),
    (v4(224, 0, 0, 0), 4, AddressKind::Multicast),
    (v4(255, 255, 255, 255), 32, AddressKind::Broadcast),
    (v4(240, 0, 0, 0), 4, AddressKind::Reserved),
];

/// The same of IPv6. What is neither here nor in 2000::/3 is reserved.
const V6: &[Row] = &[
    (v6([0; 8]), 128, AddressKind::Unspecified),
    (v6([0, 0, 0, 0, 0, 0, 0, 1]), 128, AddressKind::Loopback),
    (v6([0x64, 0xFF9B, 1, 0, 0, 0, 0, 0]), 48, AddressKind::Translation),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0]), 32, AddressKind::Translation),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0]), 23, AddressKind::Reserved),
    (v6([0x2001, 0xDB8, 0, 0, 0, 0, 0, 0]), 32, AddressKind::Documentation),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0]), 16, AddressKind::Translation),
    (v6([0x3FFF, 0, 0, 0, 0, 0, 0, 0]), 20, AddressKind::Documentation),
    (v6([0xFC00, 0, 0, 0, 0, 0, 0, 0]), 7, AddressKind::UniqueLocal),
    (v6([0xFE80, 0, 0, 0, 0, 0, 0, 0]), 10, AddressKind::LinkLocal),
    (v6([0xFEC0, 0, 0, 0, 0, 0, 0, 0]), 10, AddressKind::UniqueLocal),
    (v6([0xFF00, 0, 0, 0, 0, 0, 0, 0]), 8, AddressKind::Multicast),
];

impl FromStr for Network {
    type Err = NetworkError;

    /// Reads `ADDRESS/LENGTH`.
    ///
    /// # Errors
    ///
    /// When it is something else.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (first, prefix) = text.split_once('/').ok_or(NetworkError::NoLength)?;
        let first = first.parse().map_err(|_| NetworkError::Address)?;
        // A number in Rust may have a sign.
        if !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NetworkError::Length);
        }
        Self::new(first, prefix.parse().map_err(|_| NetworkError::Length)?)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "no address",
            Self::ThisNetwork | Self::Loopback => "an address of this machine",
            Self::LinkLocal => "a link-local address",
            Self::Private | Self::UniqueLocal => "an address of a private network",
            Self::Shared => "an address of a provider's own network",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "the broadcast address",
            Self::Documentation => "an address for documentation or measurements",
            Self::Translation => "an address that is translated into another one",
            Self::Reserved => "a reserved address",
        })
    }
}

impl fmt::Display for AddressRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}, and in no network that is allowed", self.address, self.kind)
    }
}

impl core::error::Error for AddressRefused {}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoLength => "a network is written ADDRESS/LENGTH, such as 192.168.0.0/16, and here is no /",
            Self::Address => "what is before the / is no IP address",
            Self::Length => "what is after the / is no number of bits: 0 to 32 for IPv4, 0 to 128 for IPv6",
            Self::MoreBits => "the address has bits set beyond the length: 10.0.0.0/8, not 10.0.0.1/8",
        })
    }
}

impl core::error::Error for NetworkError {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
