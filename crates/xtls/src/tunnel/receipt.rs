//! Receipts: the peer's application has everything, says the peer, and nobody else can (docs/wire.md § 9).

use core::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use xtls_channel::Timer;
use xtls_jingle::{RECEIPT_NS, Role, Session, SessionState};
use xtls_tls::TlsVersion;
use zeroize::Zeroizing;

use super::{Inside, Phase, TunnelCore, bytes::RawBytes};
use crate::{
    error::ReceiptError,
    event::{Event, Receipt},
    shared::Shared,
};

/// What TLS exports the secret of a tunnel's receipts under, without a context (RFC 5705 § 4, RFC 8446 § 7.5).
const LABEL: &[u8] = b"EXPORTER-xtls-receipt";

/// When the peer is given a receipt for what it has sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum GiveReceipt {
    /// As soon as the application has [read](crate::Tunnel::read) the last byte, and knows that it is the last.
    #[default]
    WhenRead,
    /// When the application says so, by [`Tunnel::give_receipt`](crate::Tunnel::give_receipt): once it has stored everything, say.
    WhenTold,
    /// Never: what has come is of no use, or nobody will read the rest of it. The peer does not wait for it.
    Never,
}

/// The receipts of one tunnel, both ways.
#[derive(Default)]
pub(super) struct Receipts {
    /// What the proofs are made of; only where both ends have receipts.
    secret: Option<Zeroizing<[u8; 32]>>,
    give: GiveReceipt,
    /// The peer's has come.
    came: bool,
    /// Nobody waits for one any more.
    over: bool,
    /// How many times ours has come back.
    returned: u32,
}

impl TunnelCore {
    /// The tunnel is secured. The secret is taken now: TLS 1.2 wipes its own with the last close_notify, and so what comes is taken record
    /// by record until then.
    pub(super) fn prepare_receipts(&mut self) {
        let agreed = self.negotiation.session.as_ref().is_some_and(Session::has_receipts);
        if self.is_xml() || !agreed || self.receipts.secret.is_some() {
            return;
        }
        let exported = self.export_keying_material(32, LABEL, None).map(Zeroizing::new);
        let secret = exported.and_then(|exported| <[u8; 32]>::try_from(exported.as_slice()).ok());
        self.receipts.secret = secret.map(Zeroizing::new);
    }

    /// What is known of the peer's receipt.
    pub(crate) fn receipt(&self) -> Receipt {
        let Receipts { secret: Some(_), came, .. } = self.receipts else { return Receipt::Unsupported };
        match &self.inside {
            _ if came => Receipt::Given,
            Some(Inside::Bytes(raw)) if raw.written > 0 => Receipt::Missing,
            Some(_) | None => Receipt::NotNeeded,
        }
    }

    pub(crate) fn when_to_give_receipt(&mut self, give: GiveReceipt) {
        self.receipts.give = give;
        self.all_may_be_read();
    }

    /// The application has everything, and the peer is told.
    pub(crate) fn give_receipt(&mut self) -> Result<(), ReceiptError> {
        if self.is_xml() {
            return Err(ReceiptError::NotRaw);
        }
        if self.ended.is_some() {
            return Err(ReceiptError::Ended);
        }
        let (Some(secret), Some(Inside::Bytes(raw))) = (&self.receipts.secret, &self.inside) else {
            return Err(ReceiptError::Unsupported);
        };
        if !self.peer_closed() || !raw.inbox.is_empty() {
            return Err(ReceiptError::Early);
        }
        if raw.read == 0 {
            // Nothing needs none, and so whether one comes does not depend on who is faster.
            return Ok(());
        }
        if self.is_receipt_returned() {
            // It is given again when that is due.
            return Ok(());
        }
        let proof = proof(secret, self.role, raw.read);
        match self.negotiation.session.as_mut().map(|session| session.give_receipt(proof)) {
            Some(Ok(()) | Err(xtls_jingle::ReceiptError::Given)) => Ok(()),
            Some(Err(xtls_jingle::ReceiptError::NotAgreed)) => Err(ReceiptError::Unsupported),
            Some(Err(_)) | None => Err(ReceiptError::Ended),
        }
    }

    /// Whether our receipt is to be given again later.
    pub(super) fn is_receipt_returned(&self) -> bool {
        self.negotiation.session.as_ref().is_some_and(Session::is_receipt_returned)
    }

    /// Our receipt was answered with an error. If that is a temporary one it is given again, after twice as long each time.
    pub(super) fn receipt_refused(&mut self, shared: &Shared) {
        if self.ended.is_none() && self.is_receipt_returned() {
            let wait = shared.config.timers.retry.saturating_mul(1 << self.receipts.returned.min(Self::MOST_DOUBLINGS));
            self.receipts.returned += 1;
            // Data that came back does not wait for longer because of it.
            self.timers.set_if_unset(Timer::Retry, shared.after(wait));
        }
    }

    /// The wait before a receipt is given again doubles so many times at most: to a minute, by default.
    const MOST_DOUBLINGS: u32 = 5;

    /// It is time to give a receipt again that came back.
    pub(super) fn give_receipt_again(&mut self) {
        let is_returned = self.is_receipt_returned();
        if let (Some(secret), Some(Inside::Bytes(raw)), Some(session)) =
            (&self.receipts.secret, &self.inside, self.negotiation.session.as_mut().filter(|_| is_returned))
        {
            // What it is refused for now is that the session is over.
            let _ = session.give_receipt(proof(secret, self.role, raw.read));
        }
    }

    /// The application has read something, or nothing more will come.
    pub(super) fn all_may_be_read(&mut self) {
        if self.receipts.give == GiveReceipt::WhenRead && self.ended.is_none() && self.peer_closed() {
            // Whatever is in the way, bytes that were not read or a peer without receipts, there is none.
            let _ = self.give_receipt();
        }
    }

    /// The peer says that it has everything. Whether it is the peer: a server that makes one up, has seen one in another tunnel, or
    /// turns ours round, does not know the secret, and nothing comes of it.
    pub(super) fn receipt_came(&mut self, shown: &[u8; 32], shared: &mut Shared) -> bool {
        let (Some(secret), Some(Inside::Bytes(raw))) = (&self.receipts.secret, &self.inside) else { return false };
        // How many bytes it is for is only settled by our end.
        if !raw.ended || raw.written == 0 || self.ended.is_some() {
            return false;
        }
        let expected = proof(secret, other(self.role), raw.written);
        if !bool::from(expected.ct_eq(shown)) {
            return false;
        }
        if !self.receipts.came {
            self.receipts.came = true;
            shared.events.push(Event::Receipt { id: self.id, bytes: raw.written });
        }
        true
    }

    /// Whether an end in order has to wait for a receipt, of the peer's or of ours: once the session has ended there is no way for
    /// one.
    pub(super) fn awaits_receipts(&self) -> bool {
        let (Some(Inside::Bytes(raw)), Some(transport)) = (&self.inside, &self.transport) else { return false };
        let is_possible = self.phase == Phase::Closing
            && self.receipts.secret.is_some()
            && !self.receipts.over
            && !transport.carrier.is_closed()
            && self.negotiation.session.as_ref().is_some_and(|session| session.state() == SessionState::Active);
        is_possible && (raw.ended && raw.written > 0 && !self.receipts.came || self.owes_receipt(raw))
    }

    /// A receipt has not come, or was not given, in time.
    pub(super) fn receipt_timed_out(&mut self) {
        self.receipts.over = true;
    }

    /// Whether the peer waits for a receipt of ours.
    fn owes_receipt(&self, raw: &RawBytes) -> bool {
        let Some(session) = &self.negotiation.session else { return false };
        if session.has_given_receipt() {
            return session.is_receipt_open();
        }
        // RFC 5246 § 7.2.1: the other side of TLS 1.2 answers the end of one direction with that of the other, at once.
        let answers = || self.security().is_some_and(|security| security.tls.version < TlsVersion::Tls13);
        let is_due = if self.peer_closed() { raw.read > 0 || !raw.inbox.is_empty() } else { answers() };
        is_due && self.receipts.give != GiveReceipt::Never
    }
}

impl fmt::Debug for Receipts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipts").field("give", &self.give).field("came", &self.came).finish_non_exhaustive()
    }
}

/// What shows that the end of this role has so many bytes of the other one.
fn proof(secret: &[u8; 32], receiver: Role, bytes: u64) -> [u8; 32] {
    let receiver = if receiver == Role::Initiator { "initiator" } else { "responder" };
    let mut hash = Sha256::new();
    for string in [RECEIPT_NS.as_bytes(), receiver.as_bytes(), &bytes.to_be_bytes(), secret] {
        hash.update(u32::try_from(string.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(string);
    }
    hash.finalize().into()
}

fn other(role: Role) -> Role {
    if role == Role::Initiator { Role::Responder } else { Role::Initiator }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(proof: [u8; 32]) -> String {
        proof.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The examples of docs/wire.md § 9.
    #[test]
    fn a_proof_depends_on_the_secret_on_who_has_received_and_on_how_much() {
        let secret = [1; 32];
        assert_eq!(
            shown(proof(&secret, Role::Responder, 1_000_000)),
            "89fb7943b0978ee72bd07c86d74e525c4ac92587cb9be7659697d5782b58b8a4"
        );
        assert_eq!(
            shown(proof(&secret, Role::Initiator, 1)),
            "05d8e6f4eeb517e6564197c0df8e110cbc2b7a9bc84860266a65b17707a19e1d"
        );
        let all = [
            proof(&secret, Role::Responder, 1_000_000),
            proof(&secret, Role::Initiator, 1_000_000),
            proof(&secret, Role::Responder, 1_000_001),
            proof(&secret, Role::Responder, 0),
            proof(&[2; 32], Role::Responder, 1_000_000),
        ];
        assert_eq!(std::collections::BTreeSet::from(all).len(), all.len());
    }
}
