//! The state that both the record side and the handshake side of a session use.

use sha2::{Digest, Sha256};

use super::Joiner;
use crate::alert::{self, AlertDescription, AlertLevel};
use crate::group::Group;
use crate::prf::{MasterSecret, RANDOM};
use crate::random::{Random, RandomFailed};
use crate::record::{
    BLOCK, ContentType, Deframer, HEADER, Header, MAX_PLAINTEXT, OVERHEAD, Opener, Sealer, capacity, sealed_length,
};
use crate::suite::CipherSuite;

/// The smallest record that holds anything: one block.
pub(crate) const MIN_RECORD: usize = OVERHEAD + BLOCK;

/// A record with as much plaintext as TLS allows.
pub(crate) const MAX_RECORD: usize = HEADER + sealed_length(MAX_PLAINTEXT);

/// Where the random bytes come from.
pub(crate) type Source = Box<dyn Random + Send + Sync>;

pub(crate) struct Common {
    pub(crate) random: Source,
    pub(super) deframer: Deframer,
    pub(super) joiner: Joiner,
    /// The version is agreed on.
    pub(crate) negotiated: bool,
    pub(crate) opener: Option<Opener>,
    pub(crate) sealer: Option<Sealer>,
    /// The hash over all handshake messages so far (RFC 5246 § 7.4.9).
    transcript: Sha256,
    pub(super) max_record: usize,
    pub(crate) suite: Option<CipherSuite>,
    pub(crate) group: Option<Group>,
    /// Set when the handshake is complete, gone when the session is over.
    pub(crate) master: Option<MasterSecret>,
    complete: bool,
    /// A password was put to the test, ours at the peer's or the peer's at ours.
    pub(crate) password_attempted: bool,
    pub(crate) closed_by_us: bool,
    pub(crate) closed_by_peer: bool,
}

impl Common {
    pub(crate) fn new(random: Source) -> Self {
        Self {
            random,
            deframer: Deframer::default(),
            joiner: Joiner::default(),
            negotiated: false,
            opener: None,
            sealer: None,
            transcript: Sha256::new(),
            max_record: MAX_RECORD,
            suite: None,
            group: None,
            master: None,
            complete: false,
            password_attempted: false,
            closed_by_us: false,
            closed_by_peer: false,
        }
    }

    /// The handshake is complete: application data may flow.
    pub(crate) fn is_connected(&self) -> bool {
        self.complete
    }

    pub(crate) fn connected(&mut self, master: MasterSecret) {
        self.master = Some(master);
        self.complete = true;
    }

    pub(crate) fn hello_random(&mut self) -> Result<[u8; RANDOM], RandomFailed> {
        let mut random = [0; RANDOM];
        self.random.fill(&mut random)?;
        Ok(random)
    }

    /// Adds a message to the handshake hash.
    pub(crate) fn hash(&mut self, encoded: &[u8]) {
        self.transcript.update(encoded);
    }

    pub(crate) fn handshake_hash(&self) -> [u8; 32] {
        self.transcript.clone().finalize().into()
    }

    /// Sends handshake messages, and adds them to the handshake hash.
    pub(crate) fn send_handshake(&mut self, messages: &[u8], out: &mut Vec<u8>) -> Result<(), RandomFailed> {
        self.hash(messages);
        self.send(ContentType::Handshake, messages, out)
    }

    /// Sends ChangeCipherSpec (RFC 5246 § 7.1) and uses the keys from then on.
    pub(crate) fn send_change_cipher_spec(&mut self, sealer: Sealer, out: &mut Vec<u8>) -> Result<(), RandomFailed> {
        self.send(ContentType::ChangeCipherSpec, &[1], out)?;
        self.sealer = Some(sealer);
        Ok(())
    }

    pub(crate) fn alert(
        &mut self,
        level: AlertLevel,
        description: AlertDescription,
        out: &mut Vec<u8>,
    ) -> Result<(), RandomFailed> {
        self.send(ContentType::Alert, &alert::encode(level, description), out)
    }

    /// The most plaintext that goes into one record now.
    pub(super) fn capacity(&self) -> usize {
        match self.sealer {
            Some(_) => capacity(self.max_record),
            None => (self.max_record - HEADER).min(MAX_PLAINTEXT),
        }
    }

    /// Appends as many records as `payload` needs.
    pub(crate) fn send(
        &mut self,
        content_type: ContentType,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), RandomFailed> {
        payload.chunks(self.capacity()).try_for_each(|fragment| self.send_fragment(content_type, fragment, out))
    }

    /// Appends a record.
    pub(super) fn send_fragment(
        &mut self,
        content_type: ContentType,
        fragment: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), RandomFailed> {
        match &mut self.sealer {
            Some(sealer) => sealer.seal(content_type, fragment, &mut *self.random, out),
            None => {
                out.extend_from_slice(&Header::encode(content_type, fragment.len()));
                out.extend_from_slice(fragment);
                Ok(())
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn buffered(&self) -> usize {
        self.deframer.buffered() + self.joiner.buffered()
    }

    /// One protected record with any content, an empty one too.
    #[cfg(test)]
    pub(crate) fn send_whole(&mut self, content_type: ContentType, fragment: &[u8], out: &mut Vec<u8>) {
        let sealer = self.sealer.as_mut().expect("this side has keys");
        sealer.seal(content_type, fragment, &mut *self.random, out).expect("the test has randomness");
    }

    /// Forgets everything that is secret, and all buffers.
    pub(super) fn wipe(&mut self) {
        self.opener = None;
        self.sealer = None;
        self.master = None;
        self.joiner = Joiner::default();
        self.deframer.clear();
    }
}
