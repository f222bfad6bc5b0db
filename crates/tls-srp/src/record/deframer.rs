//! Cuts records out of input that may be split anywhere.

use super::{Expect, HEADER, Header};
use crate::error::Error;

/// Keeps the beginning of a record until the rest arrives: never more than one record, and no memory between records.
#[derive(Debug, Default)]
pub(crate) struct Deframer {
    partial: Vec<u8>,
}

/// A whole record: where it was found makes no difference.
#[derive(Debug)]
pub(crate) enum Record<'a> {
    /// All of it was in the input.
    Borrowed(Header, &'a [u8]),
    /// It had to be put together: header and body.
    Joined(Header, Vec<u8>),
}

impl Record<'_> {
    pub(crate) fn header(&self) -> Header {
        match self {
            Self::Borrowed(header, _) | Self::Joined(header, _) => *header,
        }
    }

    pub(crate) fn body(&self) -> &[u8] {
        match self {
            Self::Borrowed(_, body) => body,
            Self::Joined(_, record) => record.get(HEADER..).unwrap_or_default(),
        }
    }
}

impl Deframer {
    /// Takes one record from the front of `input`, or all of `input` if it ends before the record does.
    ///
    /// A header is judged as soon as it is complete, so that nothing is kept for the sake of a length that is not allowed.
    pub(crate) fn next<'a>(&mut self, input: &mut &'a [u8], expect: Expect) -> Result<Option<Record<'a>>, Error> {
        if self.partial.is_empty() {
            let Some((header, rest)) = input.split_first_chunk() else {
                self.keep(input, HEADER);
                return Ok(None);
            };
            let header = Header::parse(*header, expect)?;
            if let Some((body, rest)) = rest.split_at_checked(header.length) {
                *input = rest;
                return Ok(Some(Record::Borrowed(header, body)));
            }
            self.keep(input, HEADER + header.length);
            return Ok(None);
        }
        self.keep(input, HEADER);
        let Some((header, _)) = self.partial.split_first_chunk() else {
            return Ok(None);
        };
        let header = Header::parse(*header, expect)?;
        let whole = HEADER + header.length;
        self.keep(input, whole);
        if self.partial.len() < whole {
            return Ok(None);
        }
        Ok(Some(Record::Joined(header, std::mem::take(&mut self.partial))))
    }

    /// Moves input over until there are `wanted` bytes.
    fn keep(&mut self, input: &mut &[u8], wanted: usize) {
        let missing = wanted.saturating_sub(self.partial.len());
        let (taken, rest) = input.split_at(missing.min(input.len()));
        self.partial.extend_from_slice(taken);
        *input = rest;
    }

    pub(crate) fn clear(&mut self) {
        self.partial = Vec::new();
    }

    #[cfg(test)]
    pub(crate) fn buffered(&self) -> usize {
        self.partial.capacity()
    }
}
