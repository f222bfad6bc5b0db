//! Certificates that were read lately.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::certificate::{CertificateFault, PeerCertificate};

/// The most certificates that a [`KnownCertificates`] keeps; those that were not seen for longest go first.
pub const MAX_KNOWN_CERTIFICATES: usize = 8;

/// The certificates that peers authenticated with lately, at most [`MAX_KNOWN_CERTIFICATES`], so that one is read once and kept
/// once for all sessions with its holder. Clones share it.
///
/// It spares work and memory, and says nothing about trust: each session judges a certificate anew.
#[derive(Clone, Default)]
pub struct KnownCertificates(Arc<Mutex<VecDeque<PeerCertificate>>>);

impl KnownCertificates {
    /// With none in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What [`PeerCertificate::from_der`] makes of it.
    pub(crate) fn read(&self, der: &[u8]) -> Result<PeerCertificate, CertificateFault> {
        let known = self.with(|kept| kept.iter().find(|one| **one.der() == *der).cloned());
        known.map_or_else(|| PeerCertificate::from_der(der), Ok)
    }

    /// Keeps one that was not refused.
    pub(crate) fn keep(&self, certificate: &PeerCertificate) {
        self.with(|kept| {
            if kept.front() != Some(certificate) {
                kept.retain(|one| one != certificate);
                kept.truncate(MAX_KNOWN_CERTIFICATES - 1);
                kept.push_front(certificate.clone());
            }
        });
    }

    fn with<R>(&self, action: impl FnOnce(&mut VecDeque<PeerCertificate>) -> R) -> R {
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for KnownCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KnownCertificates").field(&self.with(|kept| kept.len())).finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::TlsSession;
    use crate::testing::{juliet_config, romeo_config};

    fn same(one: &PeerCertificate, other: &PeerCertificate) -> bool {
        std::ptr::eq(one.der().as_ptr(), other.der().as_ptr())
    }

    #[test]
    fn eight_certificates_are_kept_and_that_which_was_seen_last_stays() {
        let known = KnownCertificates::new();
        let some: Vec<_> = (0..10).map(|_| crate::certificate::tests::some_certificate()).collect();
        known.keep(&some[0]);
        for one in &some[1..] {
            known.keep(one);
            known.keep(&some[0]);
        }
        for (number, one) in some.iter().enumerate() {
            let read = known.read(one.der()).unwrap();
            assert_eq!(read, *one);
            assert_eq!(same(&read, one), !(1..=2).contains(&number), "{number}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_kept_and_reading_alone_keeps_nothing() {
        let known = KnownCertificates::new();
        let one = crate::certificate::tests::some_certificate();
        assert_eq!(known.read(b"no certificate"), Err(CertificateFault::Malformed));
        assert!(!same(&known.read(one.der()).unwrap(), &one));
        assert_eq!(known.with(|kept| kept.len()), 0);
    }

    #[test]
    fn sessions_with_one_peer_share_what_was_read() {
        let (client, server) = (romeo_config(), juliet_config());
        let [one, other] = [(); 2].map(|()| {
            let mut records = Vec::new();
            let mut here = TlsSession::client(&client, &mut records).unwrap();
            let mut there = TlsSession::server(&server).unwrap();
            let (mut plaintext, mut answer) = (Vec::new(), Vec::new());
            while !here.handshake_complete() || !there.handshake_complete() {
                there.read(&records, &mut plaintext, &mut answer).unwrap();
                records.clear();
                here.read(&answer, &mut plaintext, &mut records).unwrap();
                answer.clear();
            }
            [here, there].map(|session| session.peer_certificate().unwrap().clone())
        });
        assert!(same(&one[0], &other[0]) && same(&one[1], &other[1]));
        assert!(!same(&one[0], &one[1]));
    }
}
