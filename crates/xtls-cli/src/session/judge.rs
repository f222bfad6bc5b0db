//! A certificate that is not trusted yet: what the command line says to it, and what is told of that.

use xtls::{TrustDecision, trust::TrustQuestion};
use xtls_stanza::jid::BareJid;

use super::{Rules, tell};
use crate::exit::Failure;
use crate::output::{Judged, Output, Report};

impl Rules {
    /// Answers the question about a certificate, and tells of it. The command line may have `named` the peer.
    ///
    /// # Errors
    ///
    /// When it cannot be told.
    pub(crate) fn judge(
        &self,
        output: Output,
        peer: &BareJid,
        question: &TrustQuestion,
        named: bool,
    ) -> Result<TrustDecision, Failure> {
        let TrustQuestion { certificate, previous, secured_by, .. } = question;
        let accepted = self.vouches_for(certificate, peer, named);
        tell(
            output,
            &Report::Judged(Judged {
                peer: peer.as_str(),
                sha256: certificate.fingerprint_sha256().hex(),
                accepted,
                previous: previous.iter().map(ToString::to_string).collect(),
                secured_by: secured_by.iter().map(|method| method.as_str()).collect(),
            }),
        )?;
        Ok(if accepted { TrustDecision::Accept } else { TrustDecision::Refuse })
    }
}
