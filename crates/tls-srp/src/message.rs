//! RFC 5246 § 7.4 (Handshake Protocol): the messages, as they are sent and as they are read.

mod extension;
mod hello;
mod key_exchange;

pub(crate) use hello::{ClientHello, ServerHello};
pub(crate) use key_exchange::{ClientKeyExchange, ServerKeyExchange};

/// Bytes of a handshake message header: type and length.
pub(crate) const HEADER: usize = 4;

/// The longest body of a handshake message that is accepted: 16 KiB, several times what any message here needs.
pub const MAX_HANDSHAKE_MESSAGE: usize = 1 << 14;

/// RFC 5246 § 7.4: `HandshakeType`, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandshakeType {
    HelloRequest,
    ClientHello,
    ServerHello,
    ServerKeyExchange,
    ServerHelloDone,
    ClientKeyExchange,
    Finished,
    /// Anything else: no suite spoken here has a use for it.
    Other,
}

impl From<u8> for HandshakeType {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::HelloRequest,
            1 => Self::ClientHello,
            2 => Self::ServerHello,
            12 => Self::ServerKeyExchange,
            14 => Self::ServerHelloDone,
            16 => Self::ClientKeyExchange,
            20 => Self::Finished,
            _ => Self::Other,
        }
    }
}

/// A whole handshake message as it was received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) kind: HandshakeType,
    pub(crate) body: &'a [u8],
    /// Header and body: what the handshake hash covers (RFC 5246 § 7.4.9).
    pub(crate) encoded: &'a [u8],
}

/// Appends a message whose body `write` appends.
pub(crate) fn put(out: &mut Vec<u8>, number: u8, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&[number, 0, 0, 0]);
    let start = out.len();
    write(out);
    let length = u32::try_from(out.len() - start).expect("own messages are short");
    out[start - 3..start].copy_from_slice(&length.to_be_bytes()[1..]);
}

/// ServerHelloDone (RFC 5246 § 7.4.5).
pub(crate) fn put_server_hello_done(out: &mut Vec<u8>) {
    put(out, 14, |_| {});
}

/// Finished (RFC 5246 § 7.4.9).
pub(crate) fn put_finished(out: &mut Vec<u8>, verify_data: &[u8]) {
    put(out, 20, |out| out.extend_from_slice(verify_data));
}
