//! What client and server have in common: records in and out, alerts, closing. The handshake is the [`Role`]'s.

mod common;
mod joiner;

use zeroize::Zeroizing;

use crate::alert::{self, AlertDescription, AlertLevel};
use crate::error::{AuthenticationFailed, DecodeError, Error, PeerMisbehaved};
use crate::error::{ExportError, Truncated, WriteError};
use crate::message::{HandshakeType, Message};
use crate::prf;
use crate::record::{ContentType, Expect, Header};
use crate::wipe;

pub(crate) use common::{Common, MAX_RECORD, MIN_RECORD};
pub(crate) use joiner::Joiner;

/// The most empty application data records in a row that are put up with. Each is a peer's free way of making us work.
pub const MAX_EMPTY_RECORDS: u8 = 16;

/// The most warnings in a session that are put up with, close_notify not counted.
pub const MAX_WARNINGS: u8 = 4;

/// One side of the handshake.
pub(crate) trait Role {
    /// Sends what is sent before anything is received.
    fn start(&mut self, common: &mut Common, out: &mut Vec<u8>) -> Result<(), Error>;

    /// Takes a handshake message before the handshake is complete.
    fn message(&mut self, common: &mut Common, message: Message<'_>, out: &mut Vec<u8>) -> Result<(), Error>;

    /// Takes a well-formed ChangeCipherSpec: [`PeerMisbehaved::UnexpectedMessage`] if it has no place here.
    fn change_cipher_spec(&mut self, common: &mut Common) -> Result<(), Error>;

    /// Whether the next message must be the peer's Finished.
    fn awaits_finished(&self) -> bool;

    /// The message by which this side's peer asks for another handshake.
    const RENEGOTIATION: HandshakeType;

    /// Whether this alert, before the handshake is complete, is how peers refuse a name or a password.
    fn is_refusal(alert: AlertDescription) -> bool;

    /// Forgets everything that is secret.
    fn wipe(&mut self);
}

pub(crate) struct Session<R> {
    common: Common,
    role: R,
    started: bool,
    empty_records: u8,
    warnings: u8,
    renegotiation_refused: bool,
    /// Why the session is dead, if it is.
    failed: Option<Error>,
}

impl<R: Role> Session<R> {
    pub(crate) fn new(common: Common, role: R) -> Self {
        Self { common, role, started: false, empty_records: 0, warnings: 0, renegotiation_refused: false, failed: None }
    }

    pub(crate) fn common(&self) -> &Common {
        &self.common
    }

    pub(crate) fn read(&mut self, records: &[u8], plaintext: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let handshaking = !self.common.is_connected();
        let work = || self.read_or_fail(records, plaintext, out);
        if handshaking { wipe::handshake(work) } else { wipe::records(work) }
    }

    fn read_or_fail(&mut self, records: &[u8], plaintext: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), Error> {
        self.try_read(records, plaintext, out).inspect_err(|error| {
            // After close_notify nothing more is written (RFC 5246 § 7.2.1).
            if let (Some(alert), false) = (error.alert(), self.common.closed_by_us) {
                // Without randomness there is no protected record to put an alert in.
                let _ = self.common.alert(AlertLevel::Fatal, alert, out);
            }
            self.fail(*error);
        })
    }

    fn try_read(&mut self, mut records: &[u8], plaintext: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), Error> {
        if !self.started {
            self.started = true;
            self.role.start(&mut self.common, out)?;
        }
        // RFC 5246 § 7.2.1: "Any data received after a closure alert is ignored."
        while !self.common.closed_by_peer {
            let expect = Expect { negotiated: self.common.negotiated, protected: self.common.opener.is_some() };
            let mut deframer = std::mem::take(&mut self.common.deframer);
            let record = deframer.next(&mut records, expect);
            self.common.deframer = deframer;
            let Some(record) = record? else {
                return Ok(());
            };
            self.record(record.header(), record.body(), plaintext, out)?;
        }
        Ok(())
    }

    fn record(&mut self, header: Header, body: &[u8], plaintext: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), Error> {
        match header.content_type {
            ContentType::ApplicationData => {
                // A message that application data interrupts is one that nobody sends.
                if !self.common.is_connected() || !self.common.joiner.is_empty() {
                    return Err(PeerMisbehaved::UnexpectedMessage.into());
                }
                self.application_data(body, plaintext)
            }
            ContentType::ChangeCipherSpec => {
                // Once keys are in use there is no further change of them.
                if self.common.opener.is_some() {
                    return Err(PeerMisbehaved::UnexpectedMessage.into());
                }
                // RFC 5246 § 7.1: a single byte of value 1. A handshake message may not span the change of keys: its first
                // half would have been unprotected.
                if body != [1] || !self.common.joiner.is_empty() {
                    return Err(PeerMisbehaved::IllegalChangeCipherSpec.into());
                }
                self.role.change_cipher_spec(&mut self.common)
            }
            ContentType::Alert => {
                let mut buffer = Zeroizing::new(Vec::new());
                let fragment = self.fragment(ContentType::Alert, body, &mut buffer)?;
                let alert = alert::decode(fragment).ok_or(DecodeError::Alert)?;
                self.alert(alert, out)
            }
            ContentType::Handshake => {
                let mut buffer = Zeroizing::new(Vec::new());
                let fragment = self.fragment(ContentType::Handshake, body, &mut buffer)?;
                self.handshake(fragment, out)
            }
        }
    }

    fn application_data(&mut self, body: &[u8], plaintext: &mut Vec<u8>) -> Result<(), Error> {
        let before = plaintext.len();
        let opener = self.common.opener.as_mut();
        opener.ok_or(PeerMisbehaved::UnexpectedMessage)?.open(ContentType::ApplicationData, body, plaintext)?;
        if plaintext.len() > before {
            self.empty_records = 0;
        } else if self.empty_records == MAX_EMPTY_RECORDS {
            return Err(PeerMisbehaved::TooManyEmptyRecords.into());
        } else {
            self.empty_records += 1;
        }
        Ok(())
    }

    /// The content of a record that is not application data. RFC 5246 § 6.2.1: it MUST NOT be empty.
    fn fragment<'a>(
        &mut self,
        content_type: ContentType,
        body: &'a [u8],
        buffer: &'a mut Zeroizing<Vec<u8>>,
    ) -> Result<&'a [u8], Error> {
        let fragment = match &mut self.common.opener {
            None => body,
            Some(opener) => {
                let opened = opener.open(content_type, body, buffer);
                if self.role.awaits_finished() {
                    self.common.password_attempted = true;
                    // RFC 5054 § 2.6: with the wrong password "the finished messages will fail to decrypt properly".
                    if opened == Err(PeerMisbehaved::BadRecordMac.into()) {
                        return Err(AuthenticationFailed::Password.into());
                    }
                }
                opened?;
                buffer
            }
        };
        if fragment.is_empty() {
            return Err(PeerMisbehaved::EmptyFragment.into());
        }
        Ok(fragment)
    }

    fn handshake(&mut self, fragment: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let mut joiner = std::mem::take(&mut self.common.joiner);
        joiner.push(fragment);
        while let Some(message) = joiner.message()? {
            if self.common.is_connected() {
                self.post_handshake(message, out)?;
            } else {
                self.role.message(&mut self.common, message, out)?;
            }
            joiner.pop();
        }
        self.common.joiner = joiner;
        Ok(())
    }

    /// There is one handshake to a session. A peer that asks for another is told so, and ends the session if it insists.
    fn post_handshake(&mut self, message: Message<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        if message.kind != R::RENEGOTIATION {
            return Err(PeerMisbehaved::UnexpectedMessage.into());
        }
        if self.renegotiation_refused {
            return Err(PeerMisbehaved::RepeatedRenegotiation.into());
        }
        self.renegotiation_refused = true;
        if !self.common.closed_by_us {
            let alert = AlertDescription::NoRenegotiation;
            self.common.alert(AlertLevel::Warning, alert, out)?;
        }
        Ok(())
    }

    fn alert(&mut self, (level, description): (AlertLevel, AlertDescription), out: &mut Vec<u8>) -> Result<(), Error> {
        if description == AlertDescription::CloseNotify {
            if !self.common.is_connected() {
                return Err(Error::AlertReceived(description));
            }
            self.close(out);
            self.common.closed_by_peer = true;
            self.common.wipe();
            return Ok(());
        }
        match level {
            AlertLevel::Fatal if !self.common.is_connected() && R::is_refusal(description) => {
                Err(AuthenticationFailed::Refused.into())
            }
            AlertLevel::Fatal => Err(Error::AlertReceived(description)),
            AlertLevel::Warning if self.warnings == MAX_WARNINGS => Err(PeerMisbehaved::TooManyWarnings.into()),
            AlertLevel::Warning => {
                self.warnings += 1;
                Ok(())
            }
        }
    }

    pub(crate) fn write(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), WriteError> {
        self.write_records(plaintext, plaintext.len().div_ceil(self.common.capacity()), out)
    }

    /// RFC 5246 § 6.2.1: "Zero-length fragments of Application data MAY be sent".
    pub(crate) fn write_empty(&mut self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        self.write_records(&[], 1, out)
    }

    fn write_records(&mut self, plaintext: &[u8], records: usize, out: &mut Vec<u8>) -> Result<(), WriteError> {
        if self.failed.is_some() || self.common.closed_by_us {
            return Err(WriteError::Closed);
        }
        let Some(sealer) = self.common.sealer.as_ref().filter(|_| self.common.is_connected()) else {
            return Err(WriteError::Handshaking);
        };
        if !sealer.allows(records, plaintext.len()) {
            return Err(WriteError::KeyExhausted);
        }
        let before = out.len();
        let sent = wipe::records(|| match plaintext {
            [] if records > 0 => self.common.send_fragment(ContentType::ApplicationData, &[], out),
            _ => self.common.send(ContentType::ApplicationData, plaintext, out),
        });
        sent.map_err(|failed| {
            out.truncate(before);
            self.fail(failed.into());
            WriteError::RandomFailed
        })
    }

    pub(crate) fn close(&mut self, out: &mut Vec<u8>) {
        if self.failed.is_some() || self.common.closed_by_us {
            return;
        }
        if self.started {
            let alert = AlertDescription::CloseNotify;
            let sent = wipe::records(|| self.common.alert(AlertLevel::Warning, alert, out));
            if let Err(failed) = sent {
                return self.fail(failed.into());
            }
        }
        self.common.closed_by_us = true;
        if !self.common.is_connected() {
            self.fail(Error::Closed);
        }
    }

    pub(crate) fn end_of_input(&self) -> Result<(), Truncated> {
        if self.common.closed_by_peer { Ok(()) } else { Err(Truncated) }
    }

    pub(crate) fn set_max_record(&mut self, wire: usize) {
        self.common.max_record = wire.clamp(MIN_RECORD, MAX_RECORD);
    }

    pub(crate) fn export(&self, out: &mut [u8], label: &[u8], context: Option<&[u8]>) -> Result<(), ExportError> {
        if prf::is_reserved_label(label) {
            return Err(ExportError::ReservedLabel);
        }
        let context = match context {
            None => None,
            Some(context) => {
                let length = u16::try_from(context.len());
                Some((length.map_err(|_| ExportError::ContextTooLong)?, context))
            }
        };
        let master = self.common.master.as_ref();
        let master = master.ok_or(ExportError::NotConnected)?;
        wipe::records(|| master.export(label, context, out));
        Ok(())
    }

    fn fail(&mut self, error: Error) {
        self.failed = Some(error);
        self.common.wipe();
        self.role.wipe();
    }

    #[cfg(test)]
    pub(crate) fn parts(&mut self) -> (&mut Common, &mut R) {
        (&mut self.common, &mut self.role)
    }
}
