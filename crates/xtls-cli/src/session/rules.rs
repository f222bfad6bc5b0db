//! Whom to let in: the options about trust, as decisions.

use jid::BareJid;
use xtls::{Fingerprint, HashAlgo, PeerCertificate, TrustPolicy, TrustRecord};
use xtls_stanza::FingerprintError;

use crate::args::TrustArgs;
use crate::exit::Failure;
use crate::output::Output;

/// The options about trust.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Given on the command line, for this run.
    fingerprints: Vec<Fingerprint>,
    leap_of_faith: bool,
}

impl Rules {
    /// Reads the options.
    ///
    /// # Errors
    ///
    /// A usage failure when a fingerprint is none.
    pub(crate) fn from_args(args: &TrustArgs) -> Result<Self, Failure> {
        let parsed: Result<Vec<_>, Failure> =
            args.fingerprints.iter().map(|text| fingerprint(text).map_err(|e| not_a_fingerprint(text, &e))).collect();
        Ok(Self { fingerprints: parsed?, leap_of_faith: args.leap_of_faith })
    }

    /// What makes the certificate of a peer acceptable.
    pub(crate) fn policy(&self) -> TrustPolicy {
        if !self.fingerprints.is_empty() {
            TrustPolicy::Ask
        } else if self.leap_of_faith {
            TrustPolicy::LeapOfFaith
        } else {
            TrustPolicy::Pinned
        }
    }

    /// Whether a tunnel with a peer of whom this is known has any chance.
    pub(crate) fn may_trust(&self, known: &TrustRecord) -> bool {
        self.leap_of_faith || !self.fingerprints.is_empty() || !known.pins.is_empty()
    }

    /// Whether a certificate that the peer has proven to hold is one that the command line gives.
    ///
    /// Such a fingerprint says nothing about whose it is. The peer that the command line `named` goes by it; any other
    /// peer must find its own address in the certificate.
    pub(crate) fn vouches_for(&self, certificate: &PeerCertificate, peer: &BareJid, named: bool) -> bool {
        let is_given = self.fingerprints.iter().any(|given| given.matches(certificate.der()));
        is_given && (named || certificate.xmpp_addrs().contains(peer))
    }

    /// What to say about fingerprints that are weak.
    pub(crate) fn warn(&self, output: Output) {
        for fingerprint in &self.fingerprints {
            warn_if_weak(output, fingerprint);
        }
    }
}

/// Parses a fingerprint: hex, with or without colons, with or without an algorithm before it.
///
/// # Errors
///
/// When it is none, or one that nobody should rely on.
pub(crate) fn fingerprint(text: &str) -> Result<Fingerprint, String> {
    let fingerprint: Fingerprint = text.trim().parse().map_err(|e: FingerprintError| e.to_string())?;
    // MD5 matches nothing; SHA-1 still stands against a second preimage.
    if fingerprint.algo() == HashAlgo::Md5 { Err("MD5 can be forged".to_owned()) } else { Ok(fingerprint) }
}

/// Says so if a fingerprint is one that should be replaced.
pub(crate) fn warn_if_weak(output: Output, fingerprint: &Fingerprint) {
    if !fingerprint.is_trustworthy() {
        output.warn(&format!(
            "{} is weak: compare the sha-256 fingerprint, which xtls identity shows too",
            fingerprint.algo()
        ));
    }
}

fn not_a_fingerprint(text: &str, why: &str) -> Failure {
    Failure::usage(format!("--trust {text} is no fingerprint: {why}; the peer gets its own with: xtls identity"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use xtls::{Identity, KeyKind, Pin};

    use super::*;

    fn rules(fingerprints: &[String], leap_of_faith: bool) -> Rules {
        Rules::from_args(&TrustArgs { fingerprints: fingerprints.to_vec(), leap_of_faith }).unwrap()
    }

    fn juliet() -> BareJid {
        "juliet@capulet.lit".parse().unwrap()
    }

    fn certificate() -> PeerCertificate {
        Identity::generate(&juliet(), KeyKind::default(), 1_700_000_000).unwrap().as_peer_certificate().clone()
    }

    fn pinned(fingerprint: Fingerprint) -> TrustRecord {
        let mut record = TrustRecord::default();
        record.add(Pin::manual(fingerprint));
        record
    }

    #[test]
    fn nothing_known_and_nothing_given_means_pinned_and_no_chance() {
        let rules = rules(&[], false);
        assert_eq!(rules.policy(), TrustPolicy::Pinned);
        assert!(!rules.may_trust(&TrustRecord::default()));
        assert!(rules.may_trust(&pinned(Fingerprint::sha256(b"x"))));
    }

    #[test]
    fn a_given_fingerprint_does_not_vouch_for_another_address() {
        let certificate = certificate();
        let given = certificate.fingerprint_sha256();
        let sha1 = Fingerprint::sha1(certificate.der());
        for text in [given.hex(), given.colon_hex(), format!("sha-256:{}", given.hex()), format!("sha1:{}", sha1.hex())]
        {
            let rules = rules(&[text], false);
            assert_eq!(rules.policy(), TrustPolicy::Ask);
            assert!(rules.vouches_for(&certificate, &juliet(), false));
            let mallory: BareJid = "mallory@capulet.lit".parse().unwrap();
            assert!(!rules.vouches_for(&certificate, &mallory, false));
            assert!(rules.vouches_for(&certificate, &mallory, true));
        }
        assert!(!rules(&["ab".repeat(32)], false).vouches_for(&certificate, &juliet(), true));
    }

    #[test]
    fn what_is_no_fingerprint_is_a_usage_failure() {
        for text in ["", "xyz", "12", "md5:d41d8cd98f00b204e9800998ecf8427e"] {
            let args = TrustArgs { fingerprints: vec![text.to_owned()], leap_of_faith: false };
            assert_eq!(Rules::from_args(&args).unwrap_err().code, crate::exit::Code::Usage, "{text}");
        }
    }
}
