//! RFC 5246 § 4 (Presentation Language): reading and writing numbers and vectors.

use crate::error::DecodeError;

/// Reads a message from front to back. It never looks past the end and allocates nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// `opaque v<min..2^8-1>`
    pub(crate) fn vector8(&mut self, min: usize) -> Result<&'a [u8], DecodeError> {
        let length = self.u8()?.into();
        self.vector(length, min)
    }

    /// `opaque v<min..2^16-1>`
    pub(crate) fn vector16(&mut self, min: usize) -> Result<&'a [u8], DecodeError> {
        let length = self.u16()?.into();
        self.vector(length, min)
    }

    fn vector(&mut self, length: usize, min: usize) -> Result<&'a [u8], DecodeError> {
        if length < min {
            return Err(DecodeError::VectorLength);
        }
        self.take(length)
    }

    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::TrailingData) }
    }
}

/// The `uint16` numbers of a vector, which must be a whole number of them.
pub(crate) fn u16s(vector: &[u8]) -> Result<impl Iterator<Item = u16> + Clone, DecodeError> {
    let (pairs, rest) = vector.as_chunks();
    if !rest.is_empty() {
        return Err(DecodeError::VectorLength);
    }
    Ok(pairs.iter().copied().map(u16::from_be_bytes))
}

/// Appends `v<0..2^8-1>`.
pub(crate) fn put_vector8(out: &mut Vec<u8>, body: &[u8]) {
    out.push(u8::try_from(body.len()).expect("what is sent has been checked to fit"));
    out.extend_from_slice(body);
}

/// Appends `v<0..2^16-1>`.
pub(crate) fn put_vector16(out: &mut Vec<u8>, body: &[u8]) {
    let length = u16::try_from(body.len()).expect("what is sent has been checked to fit");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_and_vectors_to_the_end() {
        let mut reader = Reader::new(&[1, 2, 3, 1, 9, 0, 2, 8, 7]);
        assert_eq!(reader.u8().unwrap(), 1);
        assert_eq!(reader.u16().unwrap(), 0x0203);
        assert_eq!(reader.vector8(1).unwrap(), [9]);
        assert_eq!(reader.finish(), Err(DecodeError::TrailingData));
        assert_eq!(reader.vector16(2).unwrap(), [8, 7]);
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn a_claimed_length_is_not_believed() {
        assert_eq!(Reader::new(&[5, 1]).vector8(0), Err(DecodeError::Truncated));
        let claim = [0xFF, 0xFF, 1];
        assert_eq!(Reader::new(&claim).vector16(0), Err(DecodeError::Truncated));
        assert_eq!(Reader::new(&[0]).vector8(1), Err(DecodeError::VectorLength));
        assert_eq!(u16s(&[1, 2, 3]).err(), Some(DecodeError::VectorLength));
    }
}
