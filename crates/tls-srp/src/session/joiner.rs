//! Puts handshake messages together: records may split and join them at will (RFC 5246 § 6.2.1).

use zeroize::Zeroizing;

use crate::error::DecodeError;
use crate::message::{HEADER, HandshakeType, MAX_HANDSHAKE_MESSAGE, Message};

/// Holds at most one unfinished message and what is left of one record.
#[derive(Default)]
pub(crate) struct Joiner {
    buffer: Zeroizing<Vec<u8>>,
}

impl Joiner {
    pub(crate) fn push(&mut self, fragment: &[u8]) {
        self.buffer.extend_from_slice(fragment);
    }

    #[cfg(test)]
    pub(super) fn buffered(&self) -> usize {
        self.buffer.capacity()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The message at the front, once it is whole. One that is too long is refused by its header.
    pub(crate) fn message(&self) -> Result<Option<Message<'_>>, DecodeError> {
        let Some([kind, length @ ..]) = self.buffer.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let length = match length {
            [0, high, low] => usize::from(u16::from_be_bytes([*high, *low])),
            _ => return Err(DecodeError::HandshakeTooLong),
        };
        if length > MAX_HANDSHAKE_MESSAGE {
            return Err(DecodeError::HandshakeTooLong);
        }
        Ok(self.buffer.get(..HEADER + length).map(|encoded| Message {
            kind: HandshakeType::from(*kind),
            body: &encoded[HEADER..],
            encoded,
        }))
    }

    /// Removes the message at the front.
    pub(crate) fn pop(&mut self) {
        if let Ok(Some(message)) = self.message() {
            let length = message.encoded.len();
            self.buffer.drain(..length);
        }
        if self.buffer.is_empty() {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn p03_length_at_the_limit_and_one_past_it() {
        let mut joiner = Joiner::default();
        joiner.push(&[1, 0, 0x40, 0]);
        assert!(joiner.message().unwrap().is_none());
        joiner.push(&vec![7; MAX_HANDSHAKE_MESSAGE]);
        let message = joiner.message().unwrap().unwrap();
        assert_eq!(message.body.len(), MAX_HANDSHAKE_MESSAGE);
        joiner.pop();
        assert!(joiner.is_empty());

        for header in [[1, 0, 0x40, 1], [1, 1, 0, 0], [1, 0xFF, 0xFF, 0xFF]] {
            let mut joiner = Joiner::default();
            joiner.push(&header);
            assert_eq!(joiner.message().err(), Some(DecodeError::HandshakeTooLong));
            assert!(joiner.buffer.capacity() < 64);
        }
    }

    #[test]
    fn messages_come_out_whole_and_in_order() {
        let mut joiner = Joiner::default();
        for byte in [0, 0, 0, 0, 14, 0, 0, 1, 9] {
            joiner.push(&[byte]);
        }
        let message = joiner.message().unwrap().unwrap();
        assert_eq!(message.kind, HandshakeType::HelloRequest);
        joiner.pop();
        let message = joiner.message().unwrap().unwrap();
        assert_eq!(message.kind, HandshakeType::ServerHelloDone);
        assert_eq!(message.encoded, [14, 0, 0, 1, 9]);
        joiner.pop();
        assert!(joiner.is_empty());
    }
}
