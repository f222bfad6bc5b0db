//! RFC 5246 § 7.4.1.4 (Hello Extensions).

use std::collections::BTreeSet;

use crate::codec::{Reader, put_vector16};
use crate::error::{Error, PeerMisbehaved};

/// RFC 5054 § 2.8.1.
pub(super) const SRP: u16 = 12;
/// RFC 7366 § 2.
pub(super) const ENCRYPT_THEN_MAC: u16 = 22;
/// RFC 7627 § 5.1.
pub(super) const EXTENDED_MASTER_SECRET: u16 = 23;
/// RFC 8446 § 4.2.1.
pub(super) const SUPPORTED_VERSIONS: u16 = 43;
/// RFC 5746 § 3.2.
pub(super) const RENEGOTIATION_INFO: u16 = 0xFF01;

/// Calls `each` with the type and data of every extension. The block may be missing as a whole.
pub(super) fn read<'a>(
    mut hello: Reader<'a>,
    mut each: impl FnMut(u16, &'a [u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    if hello.is_empty() {
        return Ok(());
    }
    let mut block = Reader::new(hello.vector16(0)?);
    hello.finish()?;
    let mut seen = BTreeSet::new();
    while !block.is_empty() {
        let number = block.u16()?;
        let data = block.vector16(0)?;
        // RFC 5246 § 7.4.1.4: there MUST NOT be more than one extension of the same type.
        if !seen.insert(number) {
            return Err(PeerMisbehaved::DuplicateExtension.into());
        }
        each(number, data)?;
    }
    Ok(())
}

/// An extension that says all by being there.
pub(super) fn flag(data: &[u8]) -> Result<bool, Error> {
    Reader::new(data).finish()?;
    Ok(true)
}

pub(super) fn put(out: &mut Vec<u8>, number: u16, data: &[u8]) {
    out.extend_from_slice(&number.to_be_bytes());
    put_vector16(out, data);
}

/// What both hellos carry: the three without which there is no session.
pub(super) fn put_required(out: &mut Vec<u8>) {
    put(out, EXTENDED_MASTER_SECRET, &[]);
    put(out, ENCRYPT_THEN_MAC, &[]);
    // RFC 5746 § 3.4: renegotiated_connection is empty in a first handshake.
    put(out, RENEGOTIATION_INFO, &[0]);
}
