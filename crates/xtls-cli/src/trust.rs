//! `xtls trust`: which certificates are trusted.

use std::path::Path;

use xtls::{
    tls::{CertificateFault, PeerCertificate, default_provider},
    trust::{Fingerprint, GuessCount, Pin, TrustRecord},
};
use xtls_stanza::jid::BareJid;

use crate::account;
use crate::args::TrustCommand;
use crate::clock;
use crate::data::{DataDir, what_becomes_of_others};
use crate::exit::Failure;
use crate::output::{Output, Peer, Pinned, Report};
use crate::reach;
use crate::session;

pub(crate) fn run(output: Output, data: &DataDir, command: &TrustCommand) -> Result<(), Failure> {
    let mut trust = data.trust()?;
    match command {
        TrustCommand::List => {
            for (jid, record) in trust.known().iter() {
                for pin in &record.pins {
                    let Pinned { fingerprint, learned, since } = &pinned(pin);
                    let since = since.as_deref();
                    session::tell(output, &Report::Trusted { jid: jid.as_str(), fingerprint, learned, since })?;
                }
            }
            for name in trust.unread() {
                session::note(
                    output,
                    &format!(
                        "* {name:?} in the trust file is no address any more: what it was trusted with verifies nobody"
                    ),
                )?;
            }
            if trust.known().iter().all(|(_, record)| record.pins.is_empty()) {
                session::note(output, "* no certificate is trusted yet: xtls trust add JID FINGERPRINT")?;
            }
        }
        TrustCommand::Show { jid } => {
            let record = trust.known().iter().find(|(known, _)| *known == jid).map(|(_, record)| record);
            let listener = trust.known().listeners().find(|(own, _)| *own == jid).map(|(_, count)| *count);
            if record.is_none() && listener.is_none() {
                return Err(unknown(jid));
            }
            let (guess, nothing) = (reach::guess(), TrustRecord::default());
            let record = record.unwrap_or(&nothing);
            let by_strangers = listener.unwrap_or_default().at(guess.time, guess.limits.by_listener_forgiven);
            let total = record.attempts.total.at(guess.time, guess.limits.by_name_forgiven);
            let peer = Peer {
                jid: jid.as_str(),
                pins: record.pins.iter().map(pinned).collect(),
                secured_by: record.secured_by.iter().map(|method| method.as_str()).collect(),
                negotiation_hash: record.negotiation_hash,
                wrong_passwords: record.attempts.failed,
                wrong_in_all: total.count,
                last_wrong: (record.attempts.failed > 0).then(|| clock::date(record.attempts.last)),
                locked_until: record.locked_until(&GuessCount::default(), &guess).map(clock::date),
                wrong_by_strangers: by_strangers.count,
            };
            session::tell(output, &Report::Peer(peer))?;
        }
        TrustCommand::Add { jid, certificate, keep, replace } => {
            let fingerprint = fingerprint_or_pem(&certificate.join(" "))?;
            let pin = Pin::manual(fingerprint).with_since(clock::unix());
            if *replace {
                for gone in trust.replace(jid, pin)? {
                    session::note(
                        output,
                        &format!("* {jid} is not trusted any more with {}", grouped(&gone.fingerprint)),
                    )?;
                }
            } else if *keep {
                trust.add(jid, pin)?;
            } else if let Some(known) = trust.add_alone(jid, pin)? {
                return Err(Failure::usage(format!(
                    "{jid} is trusted with {} already: {}",
                    known.fingerprint,
                    what_becomes_of_others(jid, &fingerprint)
                )));
            }
            session::warn_if_weak(output, &fingerprint);
            let Pinned { fingerprint, learned, since } = pinned(&pin);
            let (fingerprint, since) = (fingerprint.as_str(), since.as_deref());
            session::tell(output, &Report::Trusted { jid: jid.as_str(), fingerprint, learned, since })?;
        }
        TrustCommand::Remove { jid } => {
            if !trust.remove(jid)? {
                return Err(unknown(jid));
            }
            session::note(output, &format!("* {jid} is not trusted any more"))?;
        }
        TrustCommand::Reset { jid } => {
            if !trust.forgive(jid)? {
                return Err(Failure::other(format!(
                    "no wrong password was tried with {jid}: see xtls trust show {jid}"
                )));
            }
            session::note(output, &format!("* wrong passwords with {jid} are forgotten"))?;
        }
    }
    Ok(())
}

fn pinned(pin: &Pin) -> Pinned {
    Pinned {
        fingerprint: pin.fingerprint.to_string(),
        learned: pin.learned.as_str(),
        since: pin.since.map(clock::date),
    }
}

/// As users read it to one another.
fn grouped(fingerprint: &Fingerprint) -> String {
    format!("{}\n      {}", fingerprint.algo(), fingerprint.grouped())
}

fn unknown(jid: &BareJid) -> Failure {
    Failure::other(format!("{jid} is not known: see xtls trust list"))
}

/// What is not a fingerprint is the name of a file.
fn fingerprint_or_pem(text: &str) -> Result<Fingerprint, Failure> {
    let why = match session::fingerprint(text) {
        Ok(fingerprint) => return Ok(fingerprint),
        Err(why) => why,
    };
    let path = Path::new(text);
    if !path.exists() {
        return Err(Failure::usage(format!("{text} is neither a fingerprint ({why}) nor a file")));
    }
    let unusable = |why: String| Failure::other(format!("{text} holds no certificate that can be trusted: {why}"));
    let pem = account::read_file("the certificate file", path)?;
    let certificate = PeerCertificate::from_pem(&String::from_utf8_lossy(&pem)).map_err(|e| unusable(e.to_string()))?;
    match certificate.check_usable(&default_provider()) {
        Ok(()) => Ok(certificate.fingerprint_sha256()),
        Err(fault @ CertificateFault::UnsupportedKey) => {
            Err(unusable(format!("{fault}: {}", certificate.key_description())))
        }
        Err(fault) => Err(unusable(fault.to_string())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use xtls::{Identity, tls::KeyAlgorithm};

    use super::*;
    use crate::exit::Code;

    #[test]
    fn a_pem_file_stands_for_its_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("peer.pem");
        let identity = Identity::generate(&"a@b".parse().unwrap(), KeyAlgorithm::default(), clock::unix()).unwrap();
        std::fs::write(&path, identity.to_pem().certificate).unwrap();
        assert_eq!(fingerprint_or_pem(path.to_str().unwrap()).unwrap(), identity.fingerprint_sha256());
        std::fs::write(&path, "no PEM").unwrap();
        assert_eq!(fingerprint_or_pem(path.to_str().unwrap()).unwrap_err().code, Code::Other);
    }

    #[test]
    fn neither_fingerprint_nor_file_is_a_usage_failure() {
        assert_eq!(fingerprint_or_pem("no/such/file.pem").unwrap_err().code, Code::Usage);
        assert!(fingerprint_or_pem(&"ab:".repeat(32)).is_ok());
    }
}
