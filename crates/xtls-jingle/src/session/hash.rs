//! The negotiation hash: what was offered, answered and chosen, as this end saw it (docs/wire.md § 5).

use xtls_stanza::{Fingerprint, Method, SecurityOffer, ns};

use super::Session;
use crate::Creator;

/// What one end has said.
struct Said<'s> {
    creator: Creator,
    application: &'s str,
    transports: &'s [&'s str],
    security: &'s SecurityOffer,
}

impl Session {
    /// The negotiation hash, version 1: SHA-256 of what was offered and answered as this end saw it, and of the method. Two ends
    /// that saw the same have the same one. They compare it inside the tunnel, where nobody else can write: docs/wire.md § 5 has
    /// every byte.
    ///
    /// `None` until the session is accepted with a `<security/>` and a method is chosen or TLS has begun.
    #[must_use]
    pub fn negotiation_hash(&self) -> Option<[u8; 32]> {
        let (Some(answer), Some(method)) = (&self.answer, self.method) else { return None };
        let [offered_transports, answered_transports] = self.transports();
        let offered = Said {
            creator: Creator::Initiator,
            application: self.offer.description.ns(),
            transports: &offered_transports,
            security: &self.offer.security,
        };
        let answered = Said {
            creator: self.answer_creator,
            application: self.answer_application.as_deref().unwrap_or(offered.application),
            transports: &answered_transports,
            security: answer,
        };
        let mut text = Vec::with_capacity(1024);
        string(&mut text, ns::NEGOTIATION_1.as_bytes());
        for said in [offered, answered] {
            said.append(&self.offer.content_name, &mut text);
        }
        string(&mut text, method.as_str().as_bytes());
        <[u8; 32]>::try_from(Fingerprint::sha256(&text).digest()).ok()
    }
}

impl Said<'_> {
    /// `name` is that of the content; an answer without one means the offer's.
    fn append(&self, name: &str, out: &mut Vec<u8>) {
        let creator = match self.creator {
            Creator::Initiator => "initiator",
            Creator::Responder => "responder",
        };
        for part in [creator, name, self.application] {
            string(out, part.as_bytes());
        }
        set(out, self.transports.iter().map(|ns| encoded(&[ns.as_bytes()])));
        set(out, self.security.methods.iter().map(|method: &Method| encoded(&[method.as_str().as_bytes()])));
        let print = |print: &Fingerprint| encoded(&[print.algo().name().as_bytes(), print.digest()]);
        set(out, self.security.fingerprints.iter().map(print));
    }
}

/// A string: its length in four bytes, the highest first, and its bytes.
fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    count(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn encoded(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(parts.iter().map(|part| 4 + part.len()).sum());
    parts.iter().for_each(|part| string(&mut out, part));
    out
}

/// A set: how many elements, and these in the order of their bytes. Order and repetition say nothing.
fn set(out: &mut Vec<u8>, elements: impl Iterator<Item = Vec<u8>>) {
    let mut elements: Vec<_> = elements.collect();
    elements.sort_unstable();
    elements.dedup();
    count(out, elements.len());
    elements.iter().for_each(|element| out.extend_from_slice(element));
}

/// No part is anywhere near this long: an offer is a stanza.
fn count(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
}
