//! Both ends of SOCKS5 as bytestreams use it, and what is read of hosts, addresses and networks.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use xtls_s5b::{
    DstAddr, Host, Network, Networks,
    socks::{Acceptor, AcceptorFault, Client, ClientFault},
};

use crate::input::{Input, pieces};

const NAME: &str = "972b7bf47291ca609517f67f86b5081086052dad";

/// The first byte chooses what the rest is for.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.below(4) {
        0 => check_acceptor(&mut input),
        1 => check_client(&mut input),
        2 => check_both(&mut input),
        _ => check_addresses(&mut input),
    }
}

fn name() -> DstAddr {
    NAME.parse().expect("it is one")
}

/// Bytes at the end that listens: the same however they are cut, and what it accepts is what RFC 1928 has.
fn check_acceptor(input: &mut Input<'_>) {
    let pattern = input.byte();
    let accepts = input.byte() & 1 == 0;
    // What comes before the choice, and what after it; by lines, so that they are told apart.
    let greeting = input.line();
    let request = input.rest();
    let play = |greeting: &[&[u8]], request: &[&[u8]]| {
        let mut acceptor = Acceptor::new();
        for piece in greeting {
            let _ = acceptor.handle_bytes(piece);
        }
        let mut said = Vec::new();
        acceptor.poll(&mut said);
        for piece in request {
            let _ = acceptor.handle_bytes(piece);
        }
        let asked = acceptor.asked();
        let decided = if accepts { acceptor.accept() } else { acceptor.refuse() };
        assert_eq!(decided.is_ok(), asked.is_some());
        acceptor.poll(&mut said);
        assert!(!acceptor.poll(&mut said), "there is one answer");
        (said, asked, acceptor.is_accepted(), acceptor.fault())
    };
    let whole = play(&[greeting], &[request]);
    assert_eq!(play(&pieces(greeting, pattern), &pieces(request, pattern)), whole);
    let (said, asked, is_accepted, fault) = whole;
    assert_eq!(is_accepted, asked.is_some() && accepts);
    assert!(said.len() <= 2 + 262);
    if let Some(asked) = asked {
        assert_eq!(greeting.len(), 2 + usize::from(greeting[1]));
        assert!(greeting[0] == 5 && greeting[2..].contains(&0));
        let [5, 1, _, 3, 40, name @ .., _, _] = request else { panic!("{request:?}") };
        assert_eq!(core::str::from_utf8(name).ok().and_then(|name| name.parse().ok()), Some(asked));
        if is_accepted {
            assert_eq!(said[2..], [&[5, 0, 0], &request[3..]].concat());
        } else {
            assert_eq!((fault, &said[2..4]), (Some(AcceptorFault::Refused), &[5, 2][..]));
        }
    } else if let Some(fault) = fault {
        assert!(!fault.to_string().is_empty());
        assert!(said.is_empty() || said[0] == 5);
    }
}

/// Bytes at the end that dials: the same however they are cut, and what follows the reply is handed back.
fn check_client(input: &mut Input<'_>) {
    let pattern = input.byte();
    let bytes = input.rest();
    let play = |pieces: &[&[u8]]| {
        let mut client = Client::new(name());
        client.poll(&mut Vec::new());
        let mut bytestream = Vec::new();
        for piece in pieces {
            // A choice comes alone, and so its two bytes are given by themselves wherever the cut is.
            let mut rest = *piece;
            while !rest.is_empty() {
                let first = if client.poll(&mut Vec::new()) || client.is_connected() { rest.len() } else { 1 };
                match client.handle_bytes(&rest[..first]) {
                    Ok(taken) => {
                        let was_whole = taken < first || client.is_connected();
                        bytestream.extend_from_slice(&rest[taken..if was_whole { rest.len() } else { first }]);
                        rest = if was_whole { &[] } else { &rest[first..] };
                    }
                    Err(fault) => {
                        assert_eq!((client.fault(), client.handle_end()), (Some(fault), Err(fault)));
                        return (client.is_connected(), Some(fault), Vec::new());
                    }
                }
            }
        }
        (client.is_connected(), client.fault(), bytestream)
    };
    let whole = play(&[bytes]);
    assert_eq!(play(&pieces(bytes, pattern)), whole);
    let (is_connected, fault, bytestream) = whole;
    if is_connected {
        assert!(bytes.starts_with(&[5, 0, 5, 0]));
        assert!(bytes.ends_with(&bytestream) && bytestream.len() + 2 + 262 >= bytes.len());
    } else {
        assert!(bytestream.is_empty());
        assert!(fault.is_some() || bytes.len() < 2 + 262);
    }
    if let Some(ClientFault::Refused(code)) = fault {
        assert!(bytes[2..].starts_with(&[5, code.code()]) && code.code() > 0);
    }
}

/// Both ends, with one byte of what passes between them changed, or none.
fn check_both(input: &mut Input<'_>) {
    let (place, change) = (input.below(128), input.byte());
    let cuts = input.byte();
    let (mut client, mut acceptor) = (Client::new(name()), Acceptor::new());
    let mut passed = 0;
    let mut damage = |bytes: &mut Vec<u8>| {
        for byte in bytes {
            *byte ^= if passed == place { change } else { 0 };
            passed += 1;
        }
    };
    let mut bytes = Vec::new();
    while client.poll(&mut bytes) {
        damage(&mut bytes);
        for piece in pieces(&bytes, cuts) {
            let _ = acceptor.handle_bytes(piece);
        }
        bytes.clear();
        if acceptor.asked() == Some(name()) {
            acceptor.accept().expect("it has asked");
        } else if acceptor.asked().is_some() {
            acceptor.refuse().expect("it has asked");
        }
        if acceptor.poll(&mut bytes) {
            damage(&mut bytes);
            for piece in pieces(&bytes, cuts) {
                let _ = client.handle_bytes(piece);
            }
            bytes.clear();
        }
    }
    if change == 0 || place >= passed {
        assert!(client.is_connected() && acceptor.is_accepted());
    }
    assert!(!client.is_connected() || acceptor.is_accepted(), "a client is connected to one that has accepted");
}

/// Hosts, networks, and which addresses are in which.
fn check_addresses(input: &mut Input<'_>) {
    let text = input.line();
    if let Ok(text) = core::str::from_utf8(text) {
        if let Ok(host) = Host::new(text) {
            assert!(host.as_str() == text && (1..=Host::MAX).contains(&text.len()));
            assert!(!text.contains(|c: char| c.is_control() || c.is_whitespace()));
        }
        if let Ok(network) = text.parse::<Network>() {
            assert_eq!(network.to_string().parse(), Ok(network));
            check_address(input, Networks::default().with(network));
        }
        if let Ok(dst_addr) = text.parse::<DstAddr>() {
            assert_eq!(dst_addr.to_string(), text.to_ascii_lowercase());
        }
    }
    check_address(input, Networks::default());
}

fn check_address(input: &mut Input<'_>, networks: Networks) {
    let mut bytes = [0; 16];
    bytes.iter_mut().for_each(|byte| *byte = input.byte());
    let [.., a, b, c, d] = bytes;
    let v4 = Ipv4Addr::new(a, b, c, d);
    let judged = networks.check(v4.into());
    assert_eq!(networks.check(v4.to_ipv6_mapped().into()), judged);
    let nat64: IpAddr =
        Ipv6Addr::new(0x64, 0xFF9B, 0, 0, 0, 0, u16::from(a) << 8 | u16::from(b), u16::from(c) << 8 | u16::from(d))
            .into();
    assert_eq!(networks.check(nat64), judged);
    for address in [IpAddr::from(v4), Ipv6Addr::from(bytes).into()] {
        if let Err(refused) = networks.check(address) {
            assert!(networks.clone().with(single(refused.address)).check(address).is_ok());
        }
    }
    if networks == Networks::default() {
        let is_inside =
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || v4.octets()[0] == 0;
        assert!(!is_inside || judged.is_err());
    }
}

/// The network of one address.
fn single(address: IpAddr) -> Network {
    Network::new(address, if address.is_ipv4() { 32 } else { 128 }).expect("it has no more bits")
}
