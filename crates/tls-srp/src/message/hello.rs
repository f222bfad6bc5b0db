//! RFC 5246 §§ 7.4.1.2 and 7.4.1.3: ClientHello and ServerHello.

use super::extension;
use crate::codec::{Reader, put_vector8, put_vector16, u16s};
use crate::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::prf::RANDOM;
use crate::suite::CipherSuite;

const TLS12: u16 = 0x0303;

/// RFC 5746 § 3.3: stands in for an empty renegotiation_info.
const EMPTY_RENEGOTIATION_INFO_SCSV: u16 = 0x00FF;

/// A session id is at most this long (RFC 5246 § 7.4.1.2).
const MAX_SESSION_ID: usize = 32;

/// What a server needs of a ClientHello that is acceptable.
#[derive(Debug)]
pub(crate) struct ClientHello<'a> {
    pub(crate) random: [u8; RANDOM],
    pub(crate) suite: CipherSuite,
    /// `srp_I` (RFC 5054 § 2.8.1), if it was there.
    pub(crate) username: Option<&'a [u8]>,
}

impl<'a> ClientHello<'a> {
    /// Parses a ClientHello and chooses from it: the first of `suites` that it offers.
    pub(crate) fn read(body: &'a [u8], suites: &[CipherSuite]) -> Result<Self, Error> {
        let mut reader = Reader::new(body);
        let version = reader.u16()?;
        let random = reader.array()?;
        session_id(&mut reader)?;
        let offered = u16s(reader.vector16(2)?)?;
        let compressions = reader.vector8(1)?;

        let mut username = None;
        let mut versions = None;
        let mut extended_master_secret = false;
        let mut encrypt_then_mac = false;
        let mut renegotiation_info = offered.clone().any(|number| number == EMPTY_RENEGOTIATION_INFO_SCSV);
        extension::read(reader, |number, data| {
            match number {
                extension::SRP => username = Some(whole_vector8(data)?),
                extension::EXTENDED_MASTER_SECRET => extended_master_secret = extension::flag(data)?,
                extension::ENCRYPT_THEN_MAC => encrypt_then_mac = extension::flag(data)?,
                extension::RENEGOTIATION_INFO => renegotiation_info = empty_renegotiation(data)?,
                extension::SUPPORTED_VERSIONS => {
                    let mut reader = Reader::new(data);
                    versions = Some(u16s(reader.vector8(2)?)?);
                    reader.finish()?;
                }
                // RFC 5246 § 7.4.1.4: a server MUST ignore extensions that it does not know.
                _ => {}
            }
            Ok(())
        })?;

        // RFC 5246 appendix E.1 and, for a client that no longer speaks 1.2, RFC 8446 § 4.2.1.
        let speaks_tls12 = versions.is_none_or(|mut versions| versions.any(|each| each == TLS12));
        if version < TLS12 || !speaks_tls12 {
            return Err(PeerIncompatible::ProtocolVersion.into());
        }
        if !compressions.contains(&0) {
            return Err(PeerIncompatible::Compression.into());
        }
        let suite = suites
            .iter()
            .copied()
            .find(|suite| offered.clone().any(|number| number == suite.code_point()))
            .ok_or(PeerIncompatible::CipherSuites)?;
        require(extended_master_secret, encrypt_then_mac, renegotiation_info)?;
        Ok(Self { random, suite, username })
    }

    /// Appends the ClientHello of this crate: no session id, null compression and the four extensions.
    pub(crate) fn put(out: &mut Vec<u8>, random: &[u8; RANDOM], suites: &[CipherSuite], username: &str) {
        super::put(out, 1, |out| {
            out.extend_from_slice(&TLS12.to_be_bytes());
            out.extend_from_slice(random);
            put_vector8(out, &[]);
            let suites: Vec<u8> = suites.iter().flat_map(|suite| suite.code_point().to_be_bytes()).collect();
            put_vector16(out, &suites);
            put_vector8(out, &[0]);
            let mut extensions = Vec::new();
            let mut name = Vec::new();
            put_vector8(&mut name, username.as_bytes());
            extension::put(&mut extensions, extension::SRP, &name);
            extension::put_required(&mut extensions);
            put_vector16(out, &extensions);
        });
    }
}

/// What a client needs of a ServerHello that is acceptable.
#[derive(Debug)]
pub(crate) struct ServerHello {
    pub(crate) random: [u8; RANDOM],
    pub(crate) suite: CipherSuite,
}

impl ServerHello {
    /// Parses the answer to a ClientHello that offered `suites`.
    pub(crate) fn read(body: &[u8], suites: &[CipherSuite]) -> Result<Self, Error> {
        let mut reader = Reader::new(body);
        let version = reader.u16()?;
        let random = reader.array()?;
        // Nothing was offered for resumption, so whatever id the server gives, this is a new session.
        session_id(&mut reader)?;
        let suite = reader.u16()?;
        let compression = reader.u8()?;

        let mut extended_master_secret = false;
        let mut encrypt_then_mac = false;
        let mut renegotiation_info = false;
        extension::read(reader, |number, data| {
            match number {
                extension::EXTENDED_MASTER_SECRET => extended_master_secret = extension::flag(data)?,
                extension::ENCRYPT_THEN_MAC => encrypt_then_mac = extension::flag(data)?,
                extension::RENEGOTIATION_INFO => renegotiation_info = empty_renegotiation(data)?,
                // RFC 5246 § 7.4.1.4: an extension that was not offered MUST be answered with unsupported_extension. That
                // goes for srp too: it was offered, but it exists in a ClientHello only (RFC 5054 § 2.8.1).
                _ => return Err(PeerMisbehaved::UnsolicitedExtension.into()),
            }
            Ok(())
        })?;

        if version != TLS12 {
            return Err(PeerIncompatible::ProtocolVersion.into());
        }
        let suite = suites
            .iter()
            .copied()
            .find(|offered| offered.code_point() == suite)
            .ok_or(PeerMisbehaved::UnofferedCipherSuite)?;
        if compression != 0 {
            return Err(PeerMisbehaved::UnofferedCompression.into());
        }
        require(extended_master_secret, encrypt_then_mac, renegotiation_info)?;
        Ok(Self { random, suite })
    }

    /// Appends a ServerHello without a session id: there is nothing to resume.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        super::put(out, 2, |out| {
            out.extend_from_slice(&TLS12.to_be_bytes());
            out.extend_from_slice(&self.random);
            put_vector8(out, &[]);
            out.extend_from_slice(&self.suite.code_point().to_be_bytes());
            out.push(0);
            let mut extensions = Vec::new();
            extension::put_required(&mut extensions);
            put_vector16(out, &extensions);
        });
    }
}

/// RFC 7627 § 5.2 lets either side insist; so do RFC 7366 and RFC 5746 § 4.1 by not forbidding it.
fn require(extended_master_secret: bool, encrypt_then_mac: bool, renegotiation_info: bool) -> Result<(), Error> {
    if !extended_master_secret {
        return Err(PeerIncompatible::ExtendedMasterSecretRequired.into());
    }
    if !encrypt_then_mac {
        return Err(PeerIncompatible::EncryptThenMacRequired.into());
    }
    if !renegotiation_info {
        return Err(PeerIncompatible::RenegotiationInfoRequired.into());
    }
    Ok(())
}

fn session_id(reader: &mut Reader<'_>) -> Result<(), Error> {
    if reader.vector8(0)?.len() > MAX_SESSION_ID {
        return Err(crate::error::DecodeError::VectorLength.into());
    }
    Ok(())
}

/// `opaque v<1..2^8-1>` and nothing after it.
fn whole_vector8(data: &[u8]) -> Result<&[u8], Error> {
    let mut reader = Reader::new(data);
    let vector = reader.vector8(1)?;
    reader.finish()?;
    Ok(vector)
}

/// RFC 5746 §§ 3.4, 3.6: content in a first handshake MUST end it with handshake_failure.
fn empty_renegotiation(data: &[u8]) -> Result<bool, Error> {
    let mut reader = Reader::new(data);
    let connection = reader.vector8(0)?;
    reader.finish()?;
    if connection.is_empty() { Ok(true) } else { Err(PeerMisbehaved::IllegalRenegotiationInfo.into()) }
}
