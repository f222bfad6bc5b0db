//! A session of method `srp`: tls-srp.

use std::fmt;

use tls_srp::{ClientConfig, ClientSession, Error, Group, ServerConfig, ServerSession};

use crate::alert::Alert;
use crate::config::{TlsConfigError, TlsVersion};
use crate::error::{ExportError, TlsError, TlsErrorKind, WriteError};
use crate::records::{Framing, Opening, Records, ends_with_alert};
use crate::session::{MAX_HANDSHAKE, TlsParameters};
use crate::srp::SrpConfig;

/// One session over tls-srp. What its methods promise is said at [`TlsSession`](crate::TlsSession).
pub(super) struct SrpSession {
    side: Side,
    opening: Opening,
    framing: Framing,
    /// Bytes that may still come while handshaking.
    handshake_left: usize,
    closed: bool,
    failed: Option<TlsError>,
}

enum Side {
    Client(ClientSession),
    Server(ServerSession),
}

/// Calls the same method of whichever side it is.
macro_rules! either {
    ($self:ident.$($call:tt)+) => {
        match &$self.side {
            Side::Client(session) => session.$($call)+,
            Side::Server(session) => session.$($call)+,
        }
    };
    (mut $self:ident.$($call:tt)+) => {
        match &mut $self.side {
            Side::Client(session) => session.$($call)+,
            Side::Server(session) => session.$($call)+,
        }
    };
}

impl SrpSession {
    pub(super) fn client(config: &SrpConfig, records_out: &mut Vec<u8>) -> Result<Self, TlsConfigError> {
        let client = ClientConfig::new(config.credentials.clone());
        let session = ClientSession::new(client, config.random()).map_err(config_error)?;
        let mut session = Self::new(config, Side::Client(session));
        let mut hello = Vec::new();
        match either!(mut session.read(&[], &mut Vec::new(), &mut hello)) {
            Ok(()) => records_out.append(&mut hello),
            Err(Error::RandomFailed) => return Err(TlsConfigError::NoRandom),
            Err(error) => return Err(TlsConfigError::Provider(error.to_string())),
        }
        Ok(session)
    }

    pub(super) fn server(config: &SrpConfig) -> Result<Self, TlsConfigError> {
        let server = ServerConfig::new(config.credentials.clone());
        let session = ServerSession::new(server, config.random()).map_err(config_error)?;
        Ok(Self::new(config, Side::Server(session)))
    }

    fn new(config: &SrpConfig, side: Side) -> Self {
        let mut session = Self {
            side,
            opening: Opening::default(),
            framing: Framing::default(),
            handshake_left: MAX_HANDSHAKE,
            closed: false,
            failed: None,
        };
        either!(mut session.set_max_record(config.record_size()));
        session
    }

    pub(super) fn read(
        &mut self,
        records: &[u8],
        plaintext: &mut Vec<u8>,
        records_out: &mut Vec<u8>,
    ) -> Result<(), TlsError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.closed && !self.handshake_complete() {
            return Ok(());
        }
        self.opening.see(records);
        if !self.opening.may_be_tls() {
            return Err(self.abandon(TlsErrorKind::NotTls));
        }
        let mut rest = records;
        // Record by record, to see where the handshake ends.
        while !rest.is_empty() && !self.handshake_complete() {
            let (record, more) = rest.split_at(self.framing.take(rest));
            let allowed = record.len().min(self.handshake_left);
            self.handshake_left -= allowed;
            self.feed(record.get(..allowed).unwrap_or_default(), plaintext, records_out)?;
            if allowed < record.len() {
                return Err(self.abandon(TlsErrorKind::HandshakeTooLong));
            }
            self.framing.end_of_record();
            rest = more;
        }
        if rest.is_empty() {
            return Ok(());
        }
        self.framing.follow(rest);
        self.feed(rest, plaintext, records_out)
    }

    pub(super) fn records(&self) -> Records {
        self.framing.progress()
    }

    fn feed(&mut self, bytes: &[u8], plaintext: &mut Vec<u8>, records_out: &mut Vec<u8>) -> Result<(), TlsError> {
        let start = records_out.len();
        let logging_in = matches!(self.side, Side::Client(_)) && !self.handshake_complete();
        either!(mut self.read(bytes, plaintext, records_out)).map_err(|error| {
            let sent = records_out.get(start..).is_some_and(ends_with_alert);
            let alert = error.alert().filter(|_| sent).map(|alert| Alert::new(alert.into()));
            let error = TlsError::new(TlsErrorKind::from_srp(error, logging_in), alert);
            self.failed = Some(error.clone());
            error
        })
    }

    /// Ends the session for a fault that tls-srp does not know of.
    fn abandon(&mut self, kind: TlsErrorKind) -> TlsError {
        // Wipes what is secret. The close_notify is not for the peer, for whom this is no orderly end.
        either!(mut self.close(&mut Vec::new()));
        let error = TlsError::new(kind, None);
        self.failed = Some(error.clone());
        error
    }

    pub(super) fn write(&mut self, plaintext: &[u8], records_out: &mut Vec<u8>) -> Result<(), WriteError> {
        if self.failed.is_some() {
            return Err(WriteError::Failed);
        }
        either!(mut self.write(plaintext, records_out)).map_err(|error| match error {
            tls_srp::WriteError::Closed => WriteError::Closed,
            tls_srp::WriteError::Handshaking => WriteError::NotSecured,
            tls_srp::WriteError::KeyExhausted => {
                self.close(records_out);
                WriteError::Exhausted
            }
            tls_srp::WriteError::RandomFailed | _ => {
                self.failed = Some(TlsError::new(TlsErrorKind::Internal(error.to_string()), None));
                WriteError::Failed
            }
        })
    }

    pub(super) fn say_nothing(&mut self, records_out: &mut Vec<u8>) -> bool {
        self.failed.is_none() && either!(mut self.write_empty(records_out)).is_ok()
    }

    pub(super) fn close(&mut self, records_out: &mut Vec<u8>) {
        if self.closed || self.failed.is_some() {
            return;
        }
        self.closed = true;
        either!(mut self.close(records_out));
    }

    pub(super) fn is_handshaking(&self) -> bool {
        !self.handshake_complete() && !self.closed && self.failed.is_none()
    }

    pub(super) fn handshake_complete(&self) -> bool {
        !either!(self.is_handshaking())
    }

    pub(super) fn peer_closed(&self) -> bool {
        either!(self.peer_closed())
    }

    pub(super) fn password_attempted(&self) -> bool {
        either!(self.password_attempted())
    }

    pub(super) fn parameters(&self) -> Option<TlsParameters> {
        if !self.handshake_complete() {
            return None;
        }
        Some(TlsParameters {
            version: TlsVersion::Tls12,
            cipher_suite: either!(self.cipher_suite())?.name(),
            group: group_name(either!(self.group())?),
            resumed: false,
        })
    }

    pub(super) fn export_keying_material(
        &self,
        out: &mut [u8],
        label: &[u8],
        context: Option<&[u8]>,
    ) -> Result<(), ExportError> {
        if !self.handshake_complete() || self.failed.is_some() {
            return Err(ExportError::NotSecured);
        }
        if out.is_empty() {
            return Err(ExportError::BadLength);
        }
        either!(self.export_keying_material(out, label, context)).map_err(|error| match error {
            tls_srp::ExportError::ReservedLabel => ExportError::ReservedLabel,
            tls_srp::ExportError::ContextTooLong => ExportError::ContextTooLong,
            tls_srp::ExportError::NotConnected | _ => ExportError::NotSecured,
        })
    }
}

impl fmt::Debug for SrpSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match &self.side {
            Side::Client(_) => "client",
            Side::Server(_) => "server",
        };
        f.debug_struct("TlsSession")
            .field("side", &side)
            .field("parameters", &self.parameters())
            .field("password_attempted", &self.password_attempted())
            .field("closed", &self.closed)
            .field("peer_closed", &self.peer_closed())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

fn config_error(error: tls_srp::SrpConfigError) -> TlsConfigError {
    TlsConfigError::Provider(error.to_string())
}

/// The registry has no names for these groups.
fn group_name(group: Group) -> &'static str {
    match group {
        Group::Rfc5054N2048 => "srp-2048",
        Group::Rfc5054N3072 => "srp-3072",
        Group::Rfc5054N4096 => "srp-4096",
        Group::Rfc5054N8192 => "srp-8192",
        _ => "unknown",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::as_conversions)]
mod tests;
