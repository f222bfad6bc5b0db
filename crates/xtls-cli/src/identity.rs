//! `xtls identity`: your certificate.

use xtls::{Identity, tls::KeyAlgorithm, trust::HashAlgo};
use xtls_stanza::jid::{BareJid, Jid};

use crate::args::{IdentityArgs, Key};
use crate::clock;
use crate::data::DataDir;
use crate::exit::Failure;
use crate::output::{Output, Report};
use crate::session;

pub(crate) fn run(output: Output, data: &DataDir, args: &IdentityArgs) -> Result<(), Failure> {
    if let Some(jid) = &args.jid {
        return own(output, data, &Jid::to_bare(jid), args.key.map(kind), true).map(drop);
    }
    let identities = data.identities()?;
    if identities.is_empty() {
        return Err(Failure::usage("there is no certificate yet: name the account that it is for with --jid JID"));
    }
    for identity in &identities {
        // One that was made elsewhere may name nobody.
        let jid = identity.as_peer_certificate().xmpp_addrs().first().map_or("", |jid| jid.as_str());
        report(output, jid, identity, true)?;
    }
    Ok(())
}

const fn kind(key: Key) -> KeyAlgorithm {
    match key {
        Key::P256 => KeyAlgorithm::EcdsaP256,
        Key::Ed25519 => KeyAlgorithm::Ed25519,
        Key::Rsa3072 => KeyAlgorithm::Rsa3072,
    }
}

/// Your certificate for an account, which is made if there is none. A new one is shown, and an old one where it is to be `shown`.
///
/// # Errors
///
/// When its file cannot be used, or has a key of another kind than is asked for.
pub(crate) fn own(
    output: Output,
    data: &DataDir,
    jid: &BareJid,
    key: Option<KeyAlgorithm>,
    shown: bool,
) -> Result<Identity, Failure> {
    let found = data.identity(jid, key)?;
    found.warnings.iter().for_each(|warning| output.warn(warning));
    report(output, jid.as_str(), &found.identity, shown || found.is_new)?;
    Ok(found.identity)
}

/// Shows one of your certificates; with `--json` whether that is news or not.
pub(crate) fn report(output: Output, jid: &str, identity: &Identity, is_news: bool) -> Result<(), Failure> {
    let certificate = identity.as_peer_certificate();
    let sha1 = certificate.fingerprint(HashAlgo::Sha1).map(|sha1| sha1.hex()).unwrap_or_default();
    session::tell(
        output,
        &Report::Identity {
            jid,
            sha1: &sha1,
            sha256: &certificate.fingerprint_sha256().hex(),
            key: certificate.key_description(),
            not_after: &clock::rfc3339(certificate.not_after()),
            is_news,
        },
    )
}
