//! RFC 5054 §§ 2.8.2 and 2.8.3: the key exchange messages of the suites without a signature.

use crate::codec::{Reader, put_vector8, put_vector16};
use crate::error::DecodeError;

/// `ServerSRPParams`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerKeyExchange<'a> {
    pub(crate) n: &'a [u8],
    pub(crate) g: &'a [u8],
    pub(crate) salt: &'a [u8],
    pub(crate) b: &'a [u8],
}

impl<'a> ServerKeyExchange<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let params =
            Self { n: reader.vector16(1)?, g: reader.vector16(1)?, salt: reader.vector8(1)?, b: reader.vector16(1)? };
        reader.finish()?;
        Ok(params)
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        super::put(out, 12, |out| {
            put_vector16(out, self.n);
            put_vector16(out, self.g);
            put_vector8(out, self.salt);
            put_vector16(out, self.b);
        });
    }
}

/// `ClientSRPPublic`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientKeyExchange<'a> {
    pub(crate) a: &'a [u8],
}

impl<'a> ClientKeyExchange<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let public = Self { a: reader.vector16(1)? };
        reader.finish()?;
        Ok(public)
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        super::put(out, 16, |out| put_vector16(out, self.a));
    }
}
