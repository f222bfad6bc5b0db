//! What the peer sends.

use xtls_stanza::jid::Jid;
use xtls_stanza::{Element, Ids, StreamHeader, StreamItem, ns};

use super::{
    Addressing, DirectEvent, DirectFault, DirectStage, DirectStream, StartTlsDialect, StartTlsFault, TlsPolicy,
    event::Answer,
};
use crate::{
    Features, StartTlsFeature, StreamError, StreamFault,
    address::{End, Named},
    rules::{check_namespaces, is_stanza, is_supported, stamp, unsupported},
    write,
};

impl DirectStream {
    /// Brings in bytes, cut anyhow, decrypted once the stream is secured, and appends the answers: a header to a header,
    /// an end to an end, an error to a fault. Returns how many bytes were used.
    ///
    /// Fewer than all are used when the events that wait have reached their bound; the rest is to be passed again after
    /// polling. Once the stream is over all are used up and have no effect.
    ///
    /// After the last element in clear nothing may come but TLS's, which goes elsewhere: bytes that are passed here from
    /// the `<starttls/>` or `<proceed/>` on, in the same call or in another, are thrown away and fail the stream
    /// ([`StartTlsFault::Injection`]). A [`DirectEvent::StartTlsRequested`] or [`DirectEvent::StartTls`] that was not polled
    /// yet is withdrawn then.
    #[must_use = "bytes that were not used must be passed again"]
    pub fn handle_bytes(&mut self, bytes: &[u8], ids: &mut Ids, out: &mut Vec<u8>) -> usize {
        let mut input = bytes;
        while !self.is_over() {
            if self.waits_for_tls() {
                if input.is_empty() {
                    break;
                }
                self.events.withdraw_last(|event| {
                    matches!(event, DirectEvent::StartTls { .. } | DirectEvent::StartTlsRequested { .. })
                });
                self.break_down(StartTlsFault::Injection.into(), ids, out);
                break;
            }
            if !self.events.has_room() {
                break;
            }
            match self.reader.read(&mut input) {
                Ok(Some(item)) => {
                    let size = item.held_bytes();
                    if let Err(fault) = self.item(item, size, ids, out) {
                        self.break_down(fault, ids, out);
                    }
                }
                Ok(None) => break,
                Err(fault) => self.break_down(StreamFault::Xml(fault.kind).into(), ids, out),
            }
        }
        if self.is_over() { bytes.len() } else { bytes.len() - input.len() }
    }

    /// The connection ended in the incoming direction. After this end's end that is as good as the peer's; else the
    /// stream has failed.
    pub fn handle_end(&mut self, ids: &mut Ids, out: &mut Vec<u8>) {
        if self.stage == DirectStage::Closing {
            self.finish();
        } else if !self.is_over() {
            let fault = self.check_version().err().unwrap_or(DirectFault::EarlyEnd);
            self.break_down(fault, ids, out);
        }
    }

    /// After `<starttls/>` the initiating entity is silent until it is answered, and after `<proceed/>` the receiving
    /// one until the handshake begins (RFC 6120 §§ 5.3.3, 5.4.2).
    fn waits_for_tls(&self) -> bool {
        self.stage == DirectStage::Tls || (self.stage == DirectStage::Asked && !self.initiating)
    }

    fn item(&mut self, item: StreamItem, size: usize, ids: &mut Ids, out: &mut Vec<u8>) -> Result<(), DirectFault> {
        match item {
            StreamItem::Header(header) => self.header(header, size, ids, out),
            StreamItem::Stanza(child) => self.child(child, size),
            StreamItem::Close => self.peer_closed(out),
            // The stream reader knows no other items.
            _ => Err(StreamFault::UnsupportedStanza.into()),
        }
    }

    fn header(
        &mut self,
        header: StreamHeader,
        size: usize,
        ids: &mut Ids,
        out: &mut Vec<u8>,
    ) -> Result<(), DirectFault> {
        check_namespaces(&header)?;
        if self.initiating && self.stage == DirectStage::Start {
            return Err(DirectFault::Unexpected);
        }
        if !self.initiating {
            self.legacy = self.options.dialect == StartTlsDialect::Xep0035 && header.version().is_none();
        }
        let is_supported = header.version().is_some_and(|version| is_supported(version, self.initiating));
        self.unsupported = !self.legacy && !is_supported;
        if self.unsupported && self.initiating {
            // RFC 6120 § 4.9.1.2: an answer like this may begin a stream of nothing but an error, which tells more.
            self.stage = DirectStage::Features;
            return Ok(());
        }
        self.check_version()?;
        self.check_addresses(&header)?;
        let announces_tls = self.legacy && header.scope().binds(ns::RFC_2595);
        if !self.initiating {
            self.offered = announces_tls && self.may_offer_tls();
            self.answer_header(&header, ids, out);
            self.stage = if self.legacy { DirectStage::Open } else { DirectStage::Features };
        } else if self.stage == DirectStage::Header {
            self.stage = DirectStage::Features;
        }
        self.events.push(DirectEvent::Header(header), size);
        if self.initiating && self.legacy {
            // XEP-0035 § 2.2: what there is to know stands in the header.
            let starttls = announces_tls.then(StartTlsFeature::default);
            return self.features(Features { starttls, ..Features::default() }, 0);
        }
        if self.legacy && self.must_secure() && !self.offered {
            return Err(StartTlsFault::NotOffered.into());
        }
        Ok(())
    }

    /// RFC 6120 §§ 4.7.1, 4.7.2. Which name a server answers under is for TLS to judge, and for the caller.
    fn check_addresses(&mut self, header: &StreamHeader) -> Result<(), DirectFault> {
        match self.options.addressing {
            Addressing::Server if self.initiating => Ok(()),
            Addressing::Server => {
                let to = header.to().and_then(|to| Jid::new(to).ok()).ok_or(DirectFault::Addressing)?;
                if self.local.as_ref().is_some_and(|local| local.named(Some(to.as_str())) != Named::Full) {
                    return Err(StreamFault::To.into());
                }
                // RFC 6120 § 4.9.3.9.
                if self.peer.as_ref().is_some_and(|peer| matches!(peer.named(header.from()), Named::Other(_))) {
                    return Err(StreamFault::From.into());
                }
                Ok(())
            }
            Addressing::Peers => {
                if !adopt(&mut self.peer, header.from())? {
                    return Err(StreamFault::From.into());
                }
                if adopt(&mut self.local, header.to())? { Ok(()) } else { Err(StreamFault::To.into()) }
            }
        }
    }

    /// RFC 6120 § 4.7: the answer bears an identifier, comes from where the header was sent to, and goes to where it says
    /// it came from.
    fn answer_header(&self, header: &StreamHeader, ids: &mut Ids, out: &mut Vec<u8>) {
        let id = ids.next_id();
        let between_peers = self.options.addressing == Addressing::Peers;
        let local = self.local.as_ref().map(End::full).or_else(|| header.to());
        let peer = if between_peers { self.peer.as_ref().map(End::full) } else { header.from() };
        write::Header {
            from: local.filter(|_| !self.legacy),
            id: Some(id.as_str()),
            to: peer.filter(|_| !self.legacy),
            version: !self.legacy,
            lang: self.language(true),
            announces_tls: self.legacy && self.offered,
            announces_hash: false,
        }
        .write(out);
    }

    /// A first-level child of the stream.
    fn child(&mut self, child: Element, size: usize) -> Result<(), DirectFault> {
        if let Some(error) = StreamError::parse(child.root()) {
            return Err(DirectFault::Reported(Box::new(error)));
        }
        self.check_version()?;
        match child.ns() {
            ns::STREAM => match Features::parse(child.root()) {
                Some(features) if self.initiating => self.features(features, size),
                Some(_) | None => Err(StreamFault::UnsupportedStanza.into()),
            },
            ns::TLS => self.tls_child(&child, size),
            ns::RFC_2595 if self.legacy => self.tls_child(&child, size),
            ns::CLIENT | ns::SERVER | "" if !is_stanza(&child) => Err(unsupported(&child).into()),
            ns::CLIENT => self.stanza(child),
            _ => {
                self.check_content()?;
                self.events.push(DirectEvent::Nonza(child), size);
                Ok(())
            }
        }
    }

    fn features(&mut self, features: Features, size: usize) -> Result<(), DirectFault> {
        if self.stage == DirectStage::Closing {
            return Ok(());
        }
        if self.stage != DirectStage::Features {
            return Err(DirectFault::FeaturesTwice);
        }
        self.offered = features.starttls.is_some();
        if self.secured && self.offered {
            return Err(StartTlsFault::OfferedAgain.into());
        }
        if !self.secured && self.options.tls == TlsPolicy::Required && !self.offered && !self.asks_unoffered() {
            return Err(StartTlsFault::NotOffered.into());
        }
        self.demanded = features.starttls.as_ref().is_some_and(|starttls| starttls.required);
        self.stage = DirectStage::Open;
        self.events.push(DirectEvent::Features(features), size);
        Ok(())
    }

    fn stanza(&mut self, mut stanza: Element) -> Result<(), DirectFault> {
        self.check_content()?;
        let claim = match (self.options.addressing, &self.local, &self.peer) {
            (Addressing::Peers, Some(local), Some(peer)) => {
                let from = stamp(&mut stanza, "from", peer).map_err(|claimed| DirectEvent::Impersonation { claimed });
                from.and_then(|()| {
                    stamp(&mut stanza, "to", local).map_err(|claimed| DirectEvent::Misaddressed { claimed })
                })
            }
            // A header that leaves an end unknown is refused.
            (Addressing::Peers, _, _) => return Err(DirectFault::Addressing),
            (Addressing::Server, _, _) => Ok(()),
        };
        let size = stanza.held_bytes();
        let event = claim.err().unwrap_or(DirectEvent::Stanza(stanza));
        self.events.push(event, size);
        Ok(())
    }

    /// Whether stanzas and nonzas may come now.
    fn check_content(&self) -> Result<(), DirectFault> {
        if !self.secured && self.options.tls == TlsPolicy::Required {
            return Err(StartTlsFault::InClear.into());
        }
        if matches!(self.stage, DirectStage::Open | DirectStage::Closing) {
            Ok(())
        } else {
            Err(DirectFault::Unexpected)
        }
    }

    /// RFC 6120 § 4.7.5.
    fn check_version(&self) -> Result<(), DirectFault> {
        if self.unsupported { Err(StreamFault::Version.into()) } else { Ok(()) }
    }

    /// RFC 6120 § 4.4.
    fn peer_closed(&mut self, out: &mut Vec<u8>) -> Result<(), DirectFault> {
        self.check_version()?;
        let may_end = self.stage == DirectStage::Open && (self.secured || self.options.tls != TlsPolicy::Required);
        if self.stage == DirectStage::Asked && self.legacy {
            // XEP-0035 § 2.3: the end of the stream stands for yes, and the connection stays.
            self.begin_tls(None, 0);
        } else if self.stage == DirectStage::Closing {
            self.finish();
        } else if may_end {
            write::end(out);
            self.finish();
        } else {
            return Err(DirectFault::EarlyEnd);
        }
        Ok(())
    }

    fn finish(&mut self) {
        self.stage = DirectStage::Closed;
        self.reader.reset();
        self.events.push(DirectEvent::Closed, 0);
    }

    /// RFC 6120 § 4.9.1: a stream error stands inside a stream, so a header goes before it if need be, and the stream is
    /// closed after it.
    fn break_down(&mut self, fault: DirectFault, ids: &mut Ids, out: &mut Vec<u8>) {
        let unopened = !self.initiating && self.stage == DirectStage::Start && fault != DirectFault::EarlyEnd;
        if unopened {
            self.write_header(Some(ids.next_id()), out);
        }
        if unopened || self.is_outgoing() {
            match fault.answer() {
                Answer::Error(condition) => write::error(out, &condition.into()),
                Answer::TlsFailure => self.write_failure(out),
                Answer::Nothing => {}
            }
            write::end(out);
        }
        self.stage = DirectStage::Failed;
        self.reader.reset();
        self.events.push(DirectEvent::Failed(fault), 0);
    }
}

/// Holds an address against an end, which it becomes if none is known; whether they are the same.
fn adopt(end: &mut Option<End<Jid>>, address: Option<&str>) -> Result<bool, DirectFault> {
    match end {
        Some(end) => Ok(!matches!(end.named(address), Named::Other(_))),
        None => {
            let address = address.and_then(|address| Jid::new(address).ok()).ok_or(DirectFault::Addressing)?;
            *end = Some(End::new(address));
            Ok(true)
        }
    }
}
