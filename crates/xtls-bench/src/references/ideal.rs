//! IDEAL: nothing but what cannot be left out. rustls without buffers works in place, stanzas are written by hand and looked
//! through for their angle brackets, base64 is the fastest there is, and nothing is acknowledged.

use std::{hint::black_box, io::Write as _, sync::Arc};

use rustls::{
    client::UnbufferedClientConnection,
    server::UnbufferedServerConnection,
    unbuffered::{ConnectionState, UnbufferedStatus},
};

use super::{
    buffered::SID,
    tls::{Configs, server_name},
};
use crate::engines::{JULIET, ROMEO};

/// A connection, from client to server, and the buffers around it.
pub(crate) struct Ideal {
    client: UnbufferedClientConnection,
    server: UnbufferedServerConnection,
    records: Vec<u8>,
    stanza: Vec<u8>,
    received: Vec<u8>,
}

impl Ideal {
    /// After the handshake, with room for writes of so many bytes.
    pub(crate) fn new(configs: &Configs, most: usize) -> Self {
        let (client, server) = handshake(configs);
        Self { client, server, records: vec![0; 2 * most], stanza: Vec::new(), received: vec![0; 2 * most] }
    }

    /// Encrypts, makes stanzas of whole blocks, finds and decodes what is in them, decrypts.
    pub(crate) fn run(&mut self, data: &[u8], block: usize, mut on_bytes: impl FnMut(&[u8])) {
        let Self { client, server, records, stanza, received } = self;
        let encrypted = encrypt(client, black_box(data), records);
        let (mut have, mut read) = (0, 0);
        for chunk in records[..encrypted].chunks(block) {
            write_stanza(stanza, chunk);
            // The brackets of <iq>, <data>, </data> and </iq>: the text is between the fourth and the fifth.
            let mut brackets = memchr::memchr2_iter(b'<', b'>', stanza);
            let (Some(start), Some(end)) = (brackets.nth(3), brackets.next()) else {
                panic!("the stanza has brackets")
            };
            assert_eq!(brackets.count(), 3, "and nothing else in it has");
            let text = &stanza[start + 1..end];
            have += base64_turbo::STANDARD.decode_slice(text, &mut received[have..]).expect("it is base64");
            let mut done = 0;
            while done < have {
                let UnbufferedStatus { discard, state } = server.process_tls_records(&mut received[done..have]);
                let mut used = discard;
                let state = state.expect("the records are whole");
                if let ConnectionState::ReadTraffic(mut traffic) = state {
                    while let Some(record) = traffic.next_record() {
                        let record = record.expect("the record is authentic");
                        read += record.payload.len();
                        on_bytes(black_box(record.payload));
                        used += record.discard;
                    }
                } else {
                    assert!(matches!(state, ConnectionState::WriteTraffic(_)), "the handshake is over");
                    if used == 0 {
                        // A record that is not whole yet.
                        break;
                    }
                }
                done += used;
            }
            received.copy_within(done..have, 0);
            have -= done;
        }
        assert_eq!(read, data.len(), "all of it is decrypted");
    }
}

fn encrypt(client: &mut UnbufferedClientConnection, data: &[u8], out: &mut [u8]) -> usize {
    match client.process_tls_records(&mut []).state {
        Ok(ConnectionState::WriteTraffic(mut traffic)) => traffic.encrypt(data, out).expect("there is room"),
        _ => panic!("the handshake is over"),
    }
}

fn write_stanza(out: &mut Vec<u8>, block: &[u8]) {
    out.clear();
    write!(
        out,
        "<iq xmlns='jabber:client' from='{ROMEO}' to='{JULIET}' id='ibb-00000007' type='set'>\
         <data xmlns='http://jabber.org/protocol/ibb' seq='7' sid='{SID}'>"
    )
    .expect("a vector takes it");
    let start = out.len();
    out.resize(start + block.len().div_ceil(3) * 4, 0);
    base64_turbo::STANDARD.encode_slice(block, &mut out[start..]).expect("there is room");
    out.extend_from_slice(b"</data></iq>");
}

/// What an end comes to when it is asked to go on.
enum Step {
    /// It has more to do.
    More,
    /// It waits for the other end.
    Waits,
    /// It is done.
    Done,
}

fn handshake(configs: &Configs) -> (UnbufferedClientConnection, UnbufferedServerConnection) {
    let mut client = UnbufferedClientConnection::new(Arc::clone(&configs.client), server_name()).expect("a client");
    let mut server = UnbufferedServerConnection::new(Arc::clone(&configs.server)).expect("a server");
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    for _ in 0..16 {
        let client_done = go_on(&mut to_client, |input| step(client.process_tls_records(input), &mut to_server));
        let server_done = go_on(&mut to_server, |input| step(server.process_tls_records(input), &mut to_client));
        if client_done && server_done && to_client.is_empty() && to_server.is_empty() {
            return (client, server);
        }
    }
    panic!("the handshake takes a few flights");
}

/// Lets an end go on until it waits or is done, and tells whether it is done.
fn go_on(input: &mut Vec<u8>, mut step: impl FnMut(&mut [u8]) -> (usize, Step)) -> bool {
    loop {
        let (used, step) = step(input);
        input.drain(..used);
        match step {
            Step::More => {}
            Step::Waits => return false,
            Step::Done => return true,
        }
    }
}

fn step<D>(status: UnbufferedStatus<'_, '_, D>, out: &mut Vec<u8>) -> (usize, Step) {
    let state = status.state.expect("both are who they are");
    let step = if let ConnectionState::EncodeTlsData(mut flight) = state {
        let start = out.len();
        out.resize(start + 8192, 0);
        let written = flight.encode(&mut out[start..]).expect("there is room");
        out.truncate(start + written);
        Step::More
    } else if let ConnectionState::TransmitTlsData(flight) = state {
        flight.done();
        Step::More
    } else if matches!(state, ConnectionState::BlockedHandshake) {
        Step::Waits
    } else {
        assert!(matches!(state, ConnectionState::WriteTraffic(_)), "nothing else belongs to a handshake");
        Step::Done
    };
    (status.discard, step)
}

#[cfg(test)]
mod tests {
    use xtls::tls::KeyAlgorithm;

    use super::*;
    use crate::{
        engines::{Who, noise},
        references::tls::bulk_provider,
    };

    #[test]
    fn what_is_sent_arrives_in_blocks_of_any_size() {
        let configs = Configs::new(&Who::both(KeyAlgorithm::EcdsaP256), &bulk_provider());
        let data = noise(100_000);
        let mut ideal = Ideal::new(&configs, data.len());
        for block in [4096, 32_760, 65_535] {
            let mut arrived = Vec::new();
            ideal.run(&data, block, |bytes| arrived.extend_from_slice(bytes));
            assert!(arrived == data, "{block}");
        }
    }
}
