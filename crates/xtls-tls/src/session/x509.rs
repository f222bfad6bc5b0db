//! A session of method `x509`: rustls.

mod alerts;

use std::fmt;
use std::io::{BufRead as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rustls::client::{ClientConfig, ClientConnection};
use rustls::server::ServerConnection;
use rustls::{CipherSuite, Connection, Error, HandshakeKind, IoState, NamedGroup, ProtocolVersion};
use rustls_pki_types::ServerName;

use self::alerts::plaintext_alert;
use crate::alert::Alert;
use crate::certificate::PeerCertificate;
use crate::config::{Basics, OwnCertificate, TLS12_OVERHEAD, TLS13_OVERHEAD, TlsConfig, TlsConfigError, TlsVersion};
use crate::error::{ExportError, TlsError, TlsErrorKind, WriteError};
use crate::records::{Framing, Opening, Records};
use crate::session::{MAX_HANDSHAKE, TlsParameters};
use crate::session_cache::Lease;
use crate::towards::{TowardsClient, TowardsServer};
use crate::verify::{PeerVerifier, Rule};

/// rustls reads so many bytes at a time, and has room for them at least.
const READ_AT_ONCE: usize = 4096;

/// The content type of records with data (RFC 8446 § 5.1).
const APPLICATION_DATA: u8 = 23;

/// One session over rustls. What its methods promise is said at [`TlsSession`](crate::TlsSession).
pub(super) struct X509Session {
    connection: Connection,
    verifier: Arc<PeerVerifier>,
    /// A client's certificate, which knows whether it was asked for.
    own: Option<Arc<OwnCertificate>>,
    /// What may have been resumed, until the handshake is over.
    lease: Option<Lease>,
    opening: Opening,
    framing: Framing,
    max_record: usize,
    /// How many more bytes of handshake are taken.
    handshake_left: usize,
    complete: bool,
    peer_closed: bool,
    closed: bool,
    failed: Option<TlsError>,
}

impl X509Session {
    pub(super) fn client(config: &TlsConfig, records_out: &mut Vec<u8>) -> Result<Self, TlsConfigError> {
        let verifier = Self::verifier(config);
        let own = OwnCertificate::of(Some(&config.identity));
        let rustls = config.client(Arc::clone(&verifier), Arc::clone(&own))?;
        Self::begin(rustls, own, no_name(), verifier, config.basics(), records_out)
    }

    pub(super) fn towards_server(config: &TowardsServer, records_out: &mut Vec<u8>) -> Result<Self, TlsConfigError> {
        let domain = config.server()?;
        let verifier = config.verifier(&domain);
        let lease = config.lease(&domain, &verifier);
        let (rustls, own) = config.client(Arc::clone(&verifier), lease.as_ref())?;
        let name = domain.server_name().clone();
        let mut session = Self::begin(rustls, own, name, verifier, config.basics(), records_out)?;
        session.lease = lease;
        Ok(session)
    }

    fn begin(
        rustls: ClientConfig,
        own: Arc<OwnCertificate>,
        name: ServerName<'static>,
        verifier: Arc<PeerVerifier>,
        basics: Basics<'_>,
        records_out: &mut Vec<u8>,
    ) -> Result<Self, TlsConfigError> {
        own.begin();
        let connection = ClientConnection::new(Arc::new(rustls), name).map_err(config_error)?;
        let mut session = Self::new(basics, connection.into(), verifier);
        session.own = Some(own);
        session.flush(records_out);
        Ok(session)
    }

    pub(super) fn server(config: &TlsConfig) -> Result<Self, TlsConfigError> {
        let verifier = Self::verifier(config);
        let rustls = config.server(Arc::clone(&verifier))?;
        let connection = ServerConnection::new(Arc::new(rustls)).map_err(config_error)?;
        Ok(Self::new(config.basics(), connection.into(), verifier))
    }

    pub(super) fn towards_client(config: &TowardsClient) -> Result<Self, TlsConfigError> {
        let verifier = config.verifier();
        let rustls = config.server(Arc::clone(&verifier))?;
        let connection = ServerConnection::new(Arc::new(rustls)).map_err(config_error)?;
        Ok(Self::new(config.basics(), connection.into(), verifier))
    }

    fn verifier(config: &TlsConfig) -> Arc<PeerVerifier> {
        let own = (!config.allow_own_key).then_some(&config.identity);
        let rule = Rule::Peer(config.verification.clone());
        let algorithms = config.provider.signature_verification_algorithms;
        PeerVerifier::knowing(rule, own, algorithms, config.known.clone())
    }

    fn new(basics: Basics<'_>, mut connection: Connection, verifier: Arc<PeerVerifier>) -> Self {
        // What is written is handed out at once, so the caller bounds it.
        connection.set_buffer_limit(None);
        Self {
            connection,
            verifier,
            own: None,
            lease: None,
            opening: Opening::default(),
            framing: Framing::default(),
            max_record: basics.record_size(),
            handshake_left: MAX_HANDSHAKE,
            complete: false,
            peer_closed: false,
            closed: false,
            failed: None,
        }
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
        self.check_opening(records, records_out)?;
        // How many bytes of the rest rustls has already.
        let (mut rest, mut ahead) = (records, 0);
        while !rest.is_empty() && !self.peer_closed {
            let length = self.framing.take(rest);
            // The first byte of the next record says nothing yet. With it rustls keeps the buffer that it made for a large one, and
            // does not make another step by step.
            let next = usize::from(self.complete && length > READ_AT_ONCE && rest.len() > length);
            let record = rest.get(ahead..length + next).unwrap_or_default();
            (rest, ahead) = (rest.get(length..).unwrap_or_default(), next);
            self.read_record(record, plaintext).map_err(|kind| self.fail(kind, records_out))?;
            // Only here, so that where the input was cut does not show in the output.
            if self.framing.end_of_record() {
                self.flush(records_out);
            }
        }
        Ok(())
    }

    pub(super) fn records(&self) -> Records {
        self.framing.progress()
    }

    /// What rustls would not tell as plainly: bytes that are no TLS at all, and clients of a time before
    /// signature_algorithms, to whom it says handshake_failure instead of protocol_version (RFC 5246 § E.1).
    fn check_opening(&mut self, records: &[u8], records_out: &mut Vec<u8>) -> Result<(), TlsError> {
        self.opening.see(records);
        let error = if !self.opening.may_be_tls() {
            TlsError::new(TlsErrorKind::NotTls, None)
        } else if let (Connection::Server(_), Some(minor)) = (&self.connection, self.opening.outdated_hello()) {
            let alert = Alert::PROTOCOL_VERSION;
            records_out.extend([21, 3, minor, 0, 2, 2, alert.code()]);
            // TLS 1.0 is 3.1 on the wire.
            let newest = match minor.checked_sub(1) {
                None => "SSL 3".to_owned(),
                Some(minor) => format!("TLS 1.{minor}"),
            };
            let what = format!("its newest version is {newest}, and TLS 1.2 is the oldest that will do");
            TlsError::new(TlsErrorKind::PeerIncompatible(what), Some(alert))
        } else {
            return Ok(());
        };
        self.failed = Some(error.clone());
        self.lease = None;
        Err(error)
    }

    /// A record or a piece of one. What lies within the bound of the handshake is judged first, so that where the input was cut
    /// makes no difference.
    fn read_record(&mut self, record: &[u8], plaintext: &mut Vec<u8>) -> Result<(), TlsErrorKind> {
        if self.complete {
            return self.feed(record, plaintext);
        }
        let (allowed, beyond) = record.split_at(record.len().min(self.handshake_left));
        self.handshake_left -= allowed.len();
        self.feed(allowed, plaintext)?;
        if !beyond.is_empty() {
            return Err(TlsErrorKind::HandshakeTooLong);
        }
        self.complete = !self.connection.is_handshaking();
        Ok(())
    }

    fn feed(&mut self, mut bytes: &[u8], plaintext: &mut Vec<u8>) -> Result<(), TlsErrorKind> {
        // rustls takes at most 4096 bytes at a time, and stops when 16 KiB of plaintext have piled up.
        while !bytes.is_empty() {
            match self.connection.read_tls(&mut bytes) {
                Ok(0) => break,
                Ok(_) => {}
                // One message alone is longer than rustls keeps, a little less than 64 KiB.
                Err(_full) => return Err(TlsErrorKind::HandshakeTooLong),
            }
            let processed = self.process();
            if !self.connection.is_handshaking() {
                self.judge_resumed()?;
            }
            self.drain(plaintext);
            self.peer_closed = processed?.peer_has_closed();
        }
        Ok(())
    }

    /// Before any plaintext passes, and before our Finished leaves.
    fn judge_resumed(&mut self) -> Result<(), TlsErrorKind> {
        let Some(lease) = self.lease.take() else { return Ok(()) };
        let chain = self.connection.peer_certificates().unwrap_or_default();
        lease.completed(chain, self.is_resumed(), &self.verifier).map_err(|error| {
            let kind = TlsErrorKind::from_rustls(&error, &self.verifier);
            // To the server this handshake succeeds. rustls has no alert for it to be told otherwise.
            self.flush(&mut Vec::new());
            kind
        })
    }

    fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    fn process(&mut self) -> Result<IoState, TlsErrorKind> {
        let process = || self.connection.process_new_packets();
        let processed = if self.closed {
            // rustls asserts, in debug builds alone, that no alert follows a close_notify; a peer that misbehaves after
            // we have closed makes it try. Which fault it was is lost then: nearly always a record that was altered.
            catch_unwind(AssertUnwindSafe(process)).unwrap_or(Err(Error::DecryptError))
        } else {
            self.connection.process_new_packets()
        };
        processed.map_err(|error| TlsErrorKind::from_rustls(&error, &self.verifier))
    }

    fn drain(&mut self, plaintext: &mut Vec<u8>) {
        let mut reader = self.connection.reader();
        // An error says that there is nothing more for now.
        while let Ok(chunk) = reader.fill_buf() {
            let length = chunk.len();
            if length == 0 {
                break;
            }
            plaintext.extend_from_slice(chunk);
            reader.consume(length);
        }
    }

    fn flush(&mut self, records_out: &mut Vec<u8>) {
        while self.connection.wants_write() {
            self.connection.write_tls(records_out).expect("a vector takes everything");
        }
    }

    fn fail(&mut self, kind: TlsErrorKind, records_out: &mut Vec<u8>) -> TlsError {
        let start = records_out.len();
        self.flush(records_out);
        if self.closed {
            // Nothing follows a close_notify (RFC 8446 § 6.1).
            records_out.truncate(start);
        } else if records_out.len() == start {
            self.last_alert(&kind, records_out);
        }
        let sent = records_out.get(start..).unwrap_or_default();
        let alert = if sent.is_empty() { None } else { plaintext_alert(sent).or_else(|| kind.certain_alert()) };
        let error = TlsError::new(kind, alert);
        self.failed = Some(error.clone());
        self.lease = None;
        error
    }

    pub(super) fn write(&mut self, plaintext: &[u8], records_out: &mut Vec<u8>) -> Result<(), WriteError> {
        if self.failed.is_some() {
            return Err(WriteError::Failed);
        }
        if self.closed {
            return Err(WriteError::Closed);
        }
        if !self.complete {
            return Err(WriteError::NotSecured);
        }
        let overhead = if self.is_tls12() { TLS12_OVERHEAD } else { TLS13_OVERHEAD };
        let payload = self.max_record - overhead;
        records_out.reserve(plaintext.len() + plaintext.len().div_ceil(payload) * overhead);
        for chunk in plaintext.chunks(payload) {
            let start = records_out.len();
            let taken = self.connection.writer().write(chunk);
            self.flush(records_out);
            // When the keys are used up, rustls sends a close_notify in place of the data and says nothing.
            if taken.ok() != Some(chunk.len()) || records_out.get(start) != Some(&APPLICATION_DATA) {
                self.closed = true;
                return Err(WriteError::Exhausted);
            }
        }
        Ok(())
    }

    pub(super) fn say_nothing(&mut self, records_out: &mut Vec<u8>) -> bool {
        let is_possible = self.complete && !self.closed && self.failed.is_none() && !self.is_tls12();
        let updated = is_possible && self.connection.refresh_traffic_keys().is_ok();
        self.flush(records_out);
        updated
    }

    pub(super) fn close(&mut self, records_out: &mut Vec<u8>) {
        if self.closed || self.failed.is_some() {
            return;
        }
        self.closed = true;
        self.connection.send_close_notify();
        self.flush(records_out);
    }

    pub(super) const fn is_handshaking(&self) -> bool {
        !self.complete && self.failed.is_none()
    }

    pub(super) const fn handshake_complete(&self) -> bool {
        self.complete
    }

    pub(super) const fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    pub(super) fn certificate_requested(&self) -> bool {
        self.own.as_ref().is_some_and(|own| own.was_requested())
    }

    pub(super) fn tickets_received(&self) -> u32 {
        match &self.connection {
            Connection::Client(client) => client.tls13_tickets_received(),
            Connection::Server(_) => 0,
        }
    }

    pub(super) fn peer_certificate(&self) -> Option<&PeerCertificate> {
        self.verifier.certificate().filter(|_| self.complete)
    }

    pub(super) fn is_vouched_for(&self) -> bool {
        self.complete && self.verifier.is_vouched_for()
    }

    pub(super) fn parameters(&self) -> Option<TlsParameters> {
        if !self.complete {
            return None;
        }
        Some(TlsParameters {
            version: if self.is_tls12() { TlsVersion::Tls12 } else { TlsVersion::Tls13 },
            cipher_suite: suite_name(self.connection.negotiated_cipher_suite()?.suite()),
            group: group_name(self.connection.negotiated_key_exchange_group()?.name()),
            resumed: self.is_resumed(),
        })
    }

    fn is_tls12(&self) -> bool {
        self.connection.protocol_version() == Some(ProtocolVersion::TLSv1_2)
    }

    pub(super) fn export_keying_material(
        &self,
        out: &mut [u8],
        label: &[u8],
        context: Option<&[u8]>,
    ) -> Result<(), ExportError> {
        if !self.complete || self.failed.is_some() {
            return Err(ExportError::NotSecured);
        }
        // rustls takes any label in TLS 1.2. No key would be given away by it, but the rule is the same in both engines.
        if tls_srp::is_reserved_label(label) {
            return Err(ExportError::ReservedLabel);
        }
        self.connection.export_keying_material(out, label, context).map(|_| ()).map_err(|_| ExportError::BadLength)
    }
}

impl fmt::Debug for X509Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match &self.connection {
            Connection::Client(_) => "client",
            Connection::Server(_) => "server",
        };
        f.debug_struct("TlsSession")
            .field("side", &side)
            .field("parameters", &self.parameters())
            .field("peer_certificate", &self.peer_certificate())
            .field("closed", &self.closed)
            .field("peer_closed", &self.peer_closed)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// Stands where rustls wants a name: a JID is none. It is never sent, and nothing is derived from it.
fn no_name() -> ServerName<'static> {
    ServerName::try_from("xtls.invalid").expect("a valid DNS name")
}

fn config_error(error: Error) -> TlsConfigError {
    if error == Error::FailedToGetRandomBytes {
        return TlsConfigError::NoRandom;
    }
    TlsConfigError::Provider(error.to_string())
}

/// rustls calls the suites of TLS 1.3 `TLS13_...`; the registry does not.
fn suite_name(suite: CipherSuite) -> &'static str {
    match suite.as_str() {
        Some("TLS13_AES_128_GCM_SHA256") => "TLS_AES_128_GCM_SHA256",
        Some("TLS13_AES_256_GCM_SHA384") => "TLS_AES_256_GCM_SHA384",
        Some("TLS13_CHACHA20_POLY1305_SHA256") => "TLS_CHACHA20_POLY1305_SHA256",
        Some(name) => name,
        None => "unknown",
    }
}

fn group_name(group: NamedGroup) -> &'static str {
    match group.as_str() {
        Some("X25519") => "x25519",
        Some(name) => name,
        None => "unknown",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::as_conversions)]
mod tests;
