//! Bare rustls as most use it, and NAIVE: what comes together from crates that are there, a tree for each stanza.

use std::{
    hint::black_box,
    io::{Read as _, Write as _},
};

use xmpp_parsers::{
    ibb::{Data, StreamId},
    iq::Iq,
    jid::Jid,
};

use super::tls::{Configs, Ends};
use crate::engines::{JULIET, ROMEO};

/// The name of a bytestream, as long as ours.
pub(crate) const SID: &str = "xtls-8f14e45fceea167a";

/// A connection with rustls's own buffers, from client to server.
pub(crate) struct Buffered {
    ends: Ends,
    records: Vec<u8>,
    plain: Vec<u8>,
    seq: u16,
    from: Jid,
    to: Jid,
}

impl Buffered {
    /// After the handshake.
    pub(crate) fn new(configs: &Configs) -> Self {
        let jid = |text: &str| text.parse().expect("a JID");
        let (from, to) = (jid(ROMEO), jid(JULIET));
        Self { ends: configs.handshake(), records: Vec::new(), plain: vec![0; 1 << 20], seq: 0, from, to }
    }

    /// Encrypts and decrypts; nothing else.
    pub(crate) fn bare(&mut self, data: &[u8]) {
        self.encrypt(black_box(data));
        let records = std::mem::take(&mut self.records);
        let read = self.decrypt(&records, |_| ());
        self.records = records;
        assert_eq!(read, data.len(), "all of it is decrypted");
    }

    /// Encrypts, cuts into blocks, makes and parses a stanza of each and of its result, decrypts.
    pub(crate) fn naive(&mut self, data: &[u8], block: usize, mut on_bytes: impl FnMut(&[u8])) {
        self.encrypt(black_box(data));
        let records = std::mem::take(&mut self.records);
        let mut read = 0;
        for chunk in records.chunks(block) {
            self.seq = self.seq.wrapping_add(1);
            let payload = Data { seq: self.seq, sid: StreamId(SID.to_owned()), data: chunk.to_vec() };
            let request = Iq::from_set(format!("ibb-{:08}", self.seq), payload)
                .with_to(self.to.clone())
                .with_from(self.from.clone());
            let Iq::Set { payload, id, from, .. } = over_the_wire(&request) else { panic!("a request was sent") };
            let data = Data::try_from(payload).expect("it has data");
            read += self.decrypt(&data.data, &mut on_bytes);
            let result = Iq::empty_result(from.expect("it says who it is from"), id);
            black_box(over_the_wire(&result));
        }
        self.records = records;
        assert_eq!(read, data.len(), "all of it is decrypted");
    }

    fn encrypt(&mut self, data: &[u8]) {
        self.records.clear();
        self.ends.client.writer().write_all(data).expect("without a limit it takes all");
        while self.ends.client.wants_write() {
            self.ends.client.write_tls(&mut self.records).expect("a vector takes it");
        }
    }

    fn decrypt(&mut self, mut records: &[u8], mut on_bytes: impl FnMut(&[u8])) -> usize {
        let Self { ends: Ends { server, .. }, plain, .. } = self;
        let mut read = 0;
        while !records.is_empty() {
            server.read_tls(&mut records).expect("a slice gives it");
            server.process_new_packets().expect("the records are whole");
            // An error says that there is nothing more for now.
            while let Ok(count) = server.reader().read(plain) {
                if count == 0 {
                    break;
                }
                on_bytes(black_box(&plain[..count]));
                read += count;
            }
        }
        read
    }
}

/// Writes a stanza and parses what was written.
fn over_the_wire(stanza: &Iq) -> Iq {
    let bytes = xso::to_vec(stanza).expect("it can be written");
    let element: minidom::Element = std::str::from_utf8(&bytes).expect("it is text").parse().expect("it is XML");
    Iq::try_from(element).expect("it is an IQ")
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
    fn what_is_sent_arrives() {
        let configs = Configs::new(&Who::both(KeyAlgorithm::EcdsaP256), &bulk_provider());
        let mut connection = Buffered::new(&configs);
        let data = noise(100_000);
        connection.bare(&data);
        let mut arrived = Vec::new();
        connection.naive(&data, 4096, |bytes| arrived.extend_from_slice(bytes));
        assert!(arrived == data);
    }
}
