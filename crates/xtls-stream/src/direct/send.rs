//! What this end sends: features, stanzas, nonzas, white space.

use xtls_stanza::{Element, ns};

use super::{Addressing, CommandError, DirectStage, DirectStream, TlsPolicy};
use crate::{
    Features, StreamSendError,
    rules::{is_stanza, write_without_addresses},
};

impl DirectStream {
    /// Receiving: answers the header with features. Before TLS the machine puts `<starttls/>` there itself, as its policy
    /// has it, and takes of `features.starttls` only the offer of XEP-0250. On a stream of XEP-0035, which has none,
    /// nothing is written.
    ///
    /// # Errors
    ///
    /// [`StreamSendError::TlsRequired`] for anything else in clear where TLS is required; [`StreamSendError::Reserved`]
    /// for `starttls` where TLS is not to be had; [`StreamSendError::NotOpen`] at any other stage, and on the initiating
    /// side.
    pub fn send_features(&mut self, features: &Features, out: &mut Vec<u8>) -> Result<(), StreamSendError> {
        let in_legacy = self.legacy && self.stage == DirectStage::Open;
        if self.initiating || !(self.stage == DirectStage::Features || in_legacy) {
            return Err(StreamSendError::NotOpen);
        }
        let offers_tls = self.may_offer_tls();
        if !offers_tls && features.starttls.is_some() {
            return Err(StreamSendError::Reserved);
        }
        if self.must_secure() && !(features.mechanisms.is_empty() && features.others.is_empty()) {
            return Err(StreamSendError::TlsRequired);
        }
        if self.legacy {
            return Ok(());
        }
        let mut features = features.clone();
        if offers_tls {
            features.starttls.get_or_insert_default().required = self.options.tls == TlsPolicy::Required;
        }
        let mut text = String::new();
        features.write(&mut text);
        self.append(&text, out)?;
        self.offered = offers_tls;
        self.stage = DirectStage::Open;
        Ok(())
    }

    /// Sends a message, presence or IQ. Between peers, addresses that name the ends are left out (XEP-0246 § 4).
    ///
    /// # Errors
    ///
    /// When stanzas cannot be sent now, or this one has no place in the stream. Nothing is appended then.
    pub fn send(&mut self, stanza: &Element, out: &mut Vec<u8>) -> Result<(), StreamSendError> {
        self.check_open()?;
        if !is_stanza(stanza) {
            return Err(StreamSendError::NotAStanza);
        }
        let mut text = String::with_capacity(stanza.held_bytes());
        match (self.options.addressing, &self.local, &self.peer) {
            (Addressing::Peers, Some(local), Some(peer)) => write_without_addresses(stanza, local, peer, &mut text)?,
            // A header that leaves an end unknown is refused.
            (Addressing::Peers, _, _) => return Err(StreamSendError::NotOpen),
            (Addressing::Server, _, _) => stanza.root().write_xml(&mut text, ns::CLIENT),
        }
        self.append(&text, out)
    }

    /// Sends another first-level child, such as those that negotiate SASL.
    ///
    /// # Errors
    ///
    /// When nothing can be sent now, or it belongs to the stream itself: a stanza, an element of the stream's namespace or
    /// one that negotiates TLS. Nothing is appended then.
    pub fn send_nonza(&mut self, nonza: &Element, out: &mut Vec<u8>) -> Result<(), StreamSendError> {
        self.check_open()?;
        if matches!(nonza.ns(), ns::STREAM | ns::TLS | ns::RFC_2595 | ns::CLIENT | "") {
            return Err(StreamSendError::Reserved);
        }
        self.append(&nonza.to_xml(ns::CLIENT), out)
    }

    /// Sends white space, which keeps the connection alive (RFC 6120 § 4.6.1).
    ///
    /// # Errors
    ///
    /// Before the headers are there, after the end, and while TLS is being negotiated (RFC 6120 § 5.3.3).
    pub fn keep_alive(&mut self, out: &mut Vec<u8>) -> Result<(), CommandError> {
        if !matches!(self.stage, DirectStage::Features | DirectStage::Open) {
            return Err(CommandError::Stage);
        }
        out.push(b' ');
        Ok(())
    }

    fn check_open(&self) -> Result<(), StreamSendError> {
        if self.stage != DirectStage::Open {
            return Err(StreamSendError::NotOpen);
        }
        if self.must_secure() { Err(StreamSendError::TlsRequired) } else { Ok(()) }
    }

    fn append(&self, text: &str, out: &mut Vec<u8>) -> Result<(), StreamSendError> {
        if text.len() > self.options.limits.stanza_bytes {
            return Err(StreamSendError::TooLarge);
        }
        out.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
