//! What is said byte by byte; the tables of states are in `states.rs`, and what random cuts come to in `cuts.rs`.

mod conformance;
mod cuts;
mod states;

use super::*;
use crate::DstAddr;

pub(super) const NAME: &str = "972b7bf47291ca609517f67f86b5081086052dad";
pub(super) const GREETING: &[u8] = &[5, 1, 0];
pub(super) const CHOICE: &[u8] = &[5, 0];

pub(super) fn name() -> DstAddr {
    NAME.parse().unwrap()
}

/// A request or reply: what its first three bytes are, and this address and port.
pub(super) fn message(head: [u8; 3], kind: u8, address: &[u8], port: u16) -> Vec<u8> {
    let mut bytes = head.to_vec();
    bytes.push(kind);
    if kind == DOMAIN {
        bytes.push(u8::try_from(address.len()).unwrap());
    }
    bytes.extend_from_slice(address);
    bytes.extend_from_slice(&port.to_be_bytes());
    bytes
}

pub(super) fn request() -> Vec<u8> {
    message([5, CONNECT, 0], DOMAIN, NAME.as_bytes(), 0)
}

pub(super) fn reply() -> Vec<u8> {
    message([5, SUCCEEDED, 0], DOMAIN, NAME.as_bytes(), 0)
}

/// A reply that refuses.
pub(super) fn refusal(code: u8) -> Vec<u8> {
    message([5, code, 0], IP_V4, &[0; 4], 0)
}

pub(super) fn polled(poll: impl FnOnce(&mut Vec<u8>) -> bool) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let has_polled = poll(&mut out);
    assert_eq!(has_polled, !out.is_empty());
    has_polled.then_some(out)
}

/// A client whose request is out.
pub(super) fn asked() -> Client {
    let mut client = Client::new(name());
    assert_eq!(polled(|out| client.poll(out)).unwrap(), GREETING);
    assert_eq!(client.handle_bytes(CHOICE), Ok(2));
    assert_eq!(polled(|out| client.poll(out)).unwrap(), request());
    client
}

/// An acceptor that waits for the request.
pub(super) fn chosen() -> Acceptor {
    let mut acceptor = Acceptor::new();
    assert_eq!(acceptor.handle_bytes(GREETING), Ok(3));
    assert_eq!(polled(|out| acceptor.poll(out)).unwrap(), CHOICE);
    acceptor
}
