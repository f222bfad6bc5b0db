//! Alerts that rustls does not send by itself.

use rustls::crypto::cipher::OutboundPlainMessage;
use rustls::{ConnectionTrafficSecrets, ContentType, ProtocolVersion};

use super::X509Session;
use crate::alert::Alert;
use crate::error::TlsErrorKind;
use crate::records::HEADER;

impl X509Session {
    /// RFC 5246 § 7.2.2, RFC 8446 § 6.2: whoever detects an error sends an alert. For records that come in the middle of a
    /// handshake message, for too many empty ones and for what is too long rustls has none. The only alert that it makes
    /// when it is asked to is close_notify: in clear it becomes the one that is due, and where it is encrypted it says at
    /// least that nothing more comes. Not so while the handshake goes on: there, whoever is on the way can bring this about,
    /// and that our data has ended in order is not theirs to say.
    pub(super) fn last_alert(&mut self, kind: &TlsErrorKind, records_out: &mut Vec<u8>) {
        let due = match kind {
            TlsErrorKind::PeerMisbehaved(_) => Alert::UNEXPECTED_MESSAGE,
            TlsErrorKind::HandshakeTooLong => Alert::DECODE_ERROR,
            TlsErrorKind::PeerIncompatible(_)
            | TlsErrorKind::NotTls
            | TlsErrorKind::BadRecord
            | TlsErrorKind::AlertReceived(_)
            | TlsErrorKind::BadCertificate { .. }
            | TlsErrorKind::AuthenticationFailed
            | TlsErrorKind::Internal(_) => return,
        };
        let start = records_out.len();
        self.connection.send_close_notify();
        self.flush(records_out);
        match records_out.get_mut(start..) {
            Some([21, 3, _, 0, 2, level, code]) => (*level, *code) = (2, due.code()),
            _ if self.connection.is_handshaking() => records_out.truncate(start),
            _ => {}
        }
    }

    /// rustls makes no alert that it is asked for but close_notify, so it gives up its keys with the session, and one record
    /// is made with them. Only a client of peers lets it do that ([`TlsConfig::client`]).
    pub(in crate::session) fn refuse(mut self, alert: Alert, records_out: &mut Vec<u8>) -> bool {
        const FATAL: u8 = 2;
        if !self.complete || self.closed || self.failed.is_some() {
            return false;
        }
        let Some(suite) = self.connection.negotiated_cipher_suite().and_then(|suite| suite.tls13()) else {
            return false;
        };
        self.flush(records_out);
        // A provider whose keys cannot be told sends none.
        let Ok(secrets) = self.connection.dangerous_extract_secrets() else { return false };
        let (number, secrets) = secrets.tx;
        let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets
        else {
            return false;
        };
        let payload = [FATAL, alert.code()];
        let message = OutboundPlainMessage {
            typ: ContentType::Alert,
            version: ProtocolVersion::TLSv1_2,
            payload: payload[..].into(),
        };
        let record = suite.aead_alg.encrypter(key, iv).encrypt(message, number);
        record.is_ok_and(|record| {
            records_out.extend(record.encode());
            true
        })
    }
}

/// The alert in the last of `records`, if it is not encrypted (RFC 8446 § 6).
pub(super) fn plaintext_alert(records: &[u8]) -> Option<Alert> {
    let start = records.len().checked_sub(HEADER + 2)?;
    match records.get(start..)? {
        [21, 3, _, 0, 2, _, code] => Some(Alert::new(*code)),
        _ => None,
    }
}
