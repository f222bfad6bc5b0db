use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn judged(text: &str) -> Option<AddressKind> {
    Networks::default().check(ip(text)).err().map(|refused| refused.kind)
}

/// Ranges: the first and the last address of each, and what it is.
const RANGES: &[(&str, &str, AddressKind)] = &[
    ("0.0.0.0", "0.0.0.0", AddressKind::Unspecified),
    ("0.0.0.1", "0.255.255.255", AddressKind::ThisNetwork),
    ("10.0.0.0", "10.255.255.255", AddressKind::Private),
    ("100.64.0.0", "100.127.255.255", AddressKind::Shared),
    ("127.0.0.0", "127.255.255.255", AddressKind::Loopback),
    ("169.254.0.0", "169.254.255.255", AddressKind::LinkLocal),
    ("172.16.0.0", "172.31.255.255", AddressKind::Private),
    ("192.0.0.0", "192.0.0.255", AddressKind::Reserved),
    ("192.0.2.0", "192.0.2.255", AddressKind::Documentation),
    ("192.88.99.0", "192.88.99.255", AddressKind::Translation),
    ("192.168.0.0", "192.168.255.255", AddressKind::Private),
    ("198.18.0.0", "198.19.255.255", AddressKind::Documentation),
    ("198.51.100.0", "198.51.100.255", AddressKind::Documentation),
    ("203.0.113.0", "203.0.113.255", AddressKind::Documentation),
    ("224.0.0.0", "239.255.255.255", AddressKind::Multicast),
    ("240.0.0.0", "255.255.255.254", AddressKind::Reserved),
    ("255.255.255.255", "255.255.255.255", AddressKind::Broadcast),
    ("::", "::", AddressKind::Unspecified),
    ("::1", "::1", AddressKind::Loopback),
    // Among them ::127.0.0.1, which once was a way to write 127.0.0.1.
    ("::2", "::fffe:ffff:ffff", AddressKind::Reserved),
    ("::1:0:0:0", "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", AddressKind::Reserved),
    ("64:ff9b::1:0:0", "64:ff9b:0:ffff:ffff:ffff:ffff:ffff", AddressKind::Reserved),
    ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", AddressKind::Translation),
    ("64:ff9b:2::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", AddressKind::Reserved),
    ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", AddressKind::Translation),
    ("2001:1::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", AddressKind::Reserved),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", AddressKind::Documentation),
    ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", AddressKind::Translation),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", AddressKind::Documentation),
    ("4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", AddressKind::Reserved),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", AddressKind::UniqueLocal),
    ("fe00::", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", AddressKind::Reserved),
    ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", AddressKind::LinkLocal),
    ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", AddressKind::UniqueLocal),
    ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", AddressKind::Multicast),
];

/// What lies between them is the Internet: its first and last addresses there.
const INTERNET: &[&str] = &[
    "1.0.0.0",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.1.255",
    "192.0.3.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "2000::",
    "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:200::",
    "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:db9::",
    "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2003::",
    "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "3fff:1000::",
    "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
];

#[test]
fn s5b_each_range_is_refused_from_its_first_to_its_last_address() {
    for (first, last, kind) in RANGES {
        assert_eq!(judged(first), Some(*kind), "{first}");
        assert_eq!(judged(last), Some(*kind), "{last}");
    }
}

#[test]
fn s5b_what_is_one_past_each_range_may_be_dialled() {
    for address in INTERNET {
        assert_eq!(judged(address), None, "{address}");
    }
}

#[test]
fn s5b_an_address_within_another_is_judged_as_what_it_is() {
    for (first, last, kind) in RANGES.iter().filter(|(first, ..)| ip(first).is_ipv4()) {
        for address in [first, last] {
            for wrapped in [format!("::ffff:{address}"), format!("64:ff9b::{address}")] {
                let refused = Networks::default().check(ip(&wrapped)).unwrap_err();
                assert_eq!(refused, AddressRefused { address: ip(address), kind: *kind }, "{wrapped}");
            }
        }
    }
    for address in INTERNET.iter().filter(|address| ip(address).is_ipv4()) {
        for wrapped in [format!("::ffff:{address}"), format!("64:ff9b::{address}")] {
            assert_eq!(judged(&wrapped), None, "{wrapped}");
        }
    }
    // One past either prefix there is nothing that is translated.
    for outside in ["::fffe:ffff:ffff", "::1:0:0:0", "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", "64:ff9b::1:0:0"] {
        assert_eq!(judged(outside), Some(AddressKind::Reserved), "{outside}");
    }
}

#[test]
fn s5b_private_addresses_are_dialled_within_the_networks_of_the_caller_alone() {
    let networks = ["192.168.1.0/24", "10.1.0.0/16", "fd00:1::/32", "127.0.0.1/32"];
    let allowed = networks.iter().fold(Networks::default(), |allowed, network| allowed.with(network.parse().unwrap()));
    for inside in ["192.168.1.0", "192.168.1.255", "10.1.0.0", "10.1.255.255", "fd00:1::", "127.0.0.1"] {
        assert_eq!(allowed.check(ip(inside)), Ok(()), "{inside}");
    }
    for wrapped in ["::ffff:192.168.1.7", "64:ff9b::10.1.2.3", "::ffff:127.0.0.1"] {
        assert_eq!(allowed.check(ip(wrapped)), Ok(()), "{wrapped}");
    }
    for outside in
        ["192.168.0.255", "192.168.2.0", "10.0.255.255", "10.2.0.0", "fd00:0:ffff::", "fd00:2::", "127.0.0.2"]
    {
        assert!(allowed.check(ip(outside)).is_err(), "{outside}");
    }
    // One of IPv4 allows nothing of IPv6 and the other way round, however short.
    let all_v4 = Networks::default().with("0.0.0.0/0".parse().unwrap());
    assert!(all_v4.check(ip("10.0.0.1")).is_ok() && all_v4.check(ip("::1")).is_err());
    let all_v6 = Networks::default().with("::/0".parse().unwrap());
    assert!(all_v6.check(ip("::1")).is_ok() && all_v6.check(ip("::ffff:10.0.0.1")).is_err());
}

#[test]
fn a_network_is_an_address_and_how_many_of_its_bits_count() {
    for text in ["0.0.0.0/0", "10.0.0.0/8", "172.16.0.0/12", "192.0.2.1/32", "::/0", "fc00::/7", "2001:db8::1/128"] {
        assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
    }
    // Of IPv4 within IPv6, IPv4 is left.
    for (text, read) in [("::ffff:10.0.0.0/104", "10.0.0.0/8"), ("64:ff9b::/96", "0.0.0.0/0"), ("::ffff:0:0/95", "")] {
        let network = text.parse::<Network>().map(|network| network.to_string());
        assert_eq!(network.unwrap_or_default(), read, "{text}");
    }
    for (text, error) in [
        ("10.0.0.0", NetworkError::NoLength),
        ("", NetworkError::NoLength),
        ("/8", NetworkError::Address),
        ("10.0.0/8", NetworkError::Address),
        ("010.0.0.0/8", NetworkError::Address),
        ("localhost/8", NetworkError::Address),
        ("[::1]/128", NetworkError::Address),
        ("10.0.0.0/", NetworkError::Length),
        ("10.0.0.0/33", NetworkError::Length),
        ("10.0.0.0/256", NetworkError::Length),
        ("10.0.0.0/+8", NetworkError::Length),
        ("10.0.0.0/-8", NetworkError::Length),
        ("10.0.0.0/8/8", NetworkError::Length),
        ("10.0.0.0/ 8", NetworkError::Length),
        ("::/129", NetworkError::Length),
        ("10.0.0.1/8", NetworkError::MoreBits),
        ("10.128.0.0/8", NetworkError::MoreBits),
        ("0.0.0.1/0", NetworkError::MoreBits),
        ("fe00::/6", NetworkError::MoreBits),
    ] {
        assert_eq!(text.parse::<Network>(), Err(error), "{text}");
    }
}

#[test]
fn what_is_refused_is_named() {
    let refused = Networks::default().check(ip("::ffff:169.254.169.254")).unwrap_err();
    assert_eq!(refused.to_string(), "169.254.169.254 is a link-local address, and in no network that is allowed");
}

proptest::proptest! {
    #[test]
    fn s5b_what_std_knows_to_be_special_is_refused(bits: u32, v6: u128) {
        let address = Ipv4Addr::from_bits(bits);
        let is_special = address.is_private()
            || address.is_loopback()
            || address.is_link_local()
            || address.is_multicast()
            || address.is_broadcast()
            || address.is_documentation()
            || address.is_unspecified();
        if is_special {
            proptest::prop_assert!(Networks::default().check(address.into()).is_err());
        }
        let judged = Networks::default().check(address.into()).is_ok();
        proptest::prop_assert_eq!(Networks::default().check(address.to_ipv6_mapped().into()).is_ok(), judged);
        let address = Ipv6Addr::from_bits(v6);
        let is_special = address.is_loopback() || address.is_multicast() || address.is_unique_local()
            || address.is_unicast_link_local() || address.is_unspecified();
        if is_special {
            proptest::prop_assert!(Networks::default().check(address.into()).is_err());
        }
    }

    #[test]
    fn a_network_has_its_first_address_and_the_bits_of_each_other_one(bits: u128, prefix in 0_u8..=128) {
        let network = Network::new(masked(Ipv6Addr::from_bits(bits).into(), prefix), prefix).unwrap();
        proptest::prop_assert!(network.contains(unwrapped(Ipv6Addr::from_bits(bits).into())));
        if prefix > 0 && network.first.is_ipv6() {
            let other = bits ^ 1 << (128 - u32::from(prefix));
            proptest::prop_assert!(!network.contains(Ipv6Addr::from_bits(other).into()));
        }
        proptest::prop_assert_eq!(network.to_string().parse(), Ok(network));
    }
}
