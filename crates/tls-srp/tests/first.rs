//! What the first handshake of a process does that later ones do not. One test alone: it needs a process of its own.
#![allow(clippy::unwrap_used)]

use allocation_counter::{AllocationInfo, measure};
use tls_srp::{ClientConfig, ClientSession, Credentials, Group, Random, RandomFailed, ServerConfig, ServerSession};

/// Bytes that differ from call to call, which is all that a handshake asks for.
struct Counting(u8);

impl Random for Counting {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        for byte in out {
            self.0 = self.0.wrapping_mul(5).wrapping_add(131);
            *byte = self.0;
        }
        Ok(())
    }
}

fn handshake(group: Group) {
    let credentials = Credentials::new("juliet", "correct horse").unwrap();
    let mut client = ClientSession::new(ClientConfig::new(credentials.clone()), Box::new(Counting(1))).unwrap();
    let mut config = ServerConfig::new(credentials);
    config.group = group;
    let mut server = ServerSession::new(config, Box::new(Counting(2))).unwrap();
    let (mut to_server, mut to_client, mut plaintext) = (Vec::new(), Vec::new(), Vec::new());
    while client.is_handshaking() {
        client.read(&to_client, &mut plaintext, &mut to_server).unwrap();
        to_client.clear();
        server.read(&to_server, &mut plaintext, &mut to_client).unwrap();
        to_server.clear();
    }
    assert!(!server.is_handshaking());
}

/// The parameters of a group are made and kept: six numbers as long as N. A table of powers would be a hundred.
#[test]
fn the_first_handshake_of_a_process_makes_no_table() {
    for group in Group::ALL {
        let size = u64::from(group.bits() / 8);
        let [first, second, third] = [(); 3].map(|()| measure(|| handshake(group)));
        let kept = u64::try_from(first.bytes_current).unwrap();
        assert!((6 * size..7 * size).contains(&kept), "{group:?} keeps {kept} bytes");
        let more = |of: fn(&AllocationInfo) -> u64| of(&first) - of(&second);
        assert!(more(|info| info.bytes_total) < 20 * size, "{group:?}: {} bytes more", more(|info| info.bytes_total));
        assert!(more(|info| info.count_total) <= 16, "{group:?}: {} allocations more", more(|info| info.count_total));
        assert_eq!(second.bytes_current, 0);
        assert_eq!((second.count_total, second.bytes_total), (third.count_total, third.bytes_total));
    }
}
