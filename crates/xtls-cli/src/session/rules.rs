//! Whom to let in: the options about trust, as decisions.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use xtls::{
    Application, Password, Terms, Transport, TrustPolicy, TunnelOptions,
    trust::{Authorities, Fingerprint, GuessLimits, HashAlgo, Method, TrustRecord, TrustStore as _},
};
use xtls_stanza::FingerprintError;
use xtls_stanza::jid::BareJid;
use zeroize::Zeroizing;

use crate::account;
use crate::args::TrustArgs;
use crate::data::TrustFile;
use crate::exit::Failure;
use crate::output::Output;

/// The options about trust.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Given on the command line.
    fingerprints: Vec<Fingerprint>,
    /// Names in the trust file that are no addresses.
    unread: Vec<String>,
    /// Peers that are given one, and that a password has secured before.
    instead_of_password: Vec<BareJid>,
    leap_of_faith: bool,
    /// The authorities trusted for the certificates of peers.
    authorities: Option<Arc<Authorities>>,
    /// Shared with whoever the tunnels go to.
    password: Option<Password>,
    /// Where it was read.
    password_file: Option<PathBuf>,
    /// It is to be asked for.
    asks: bool,
    /// Nothing but the password counts, whatever is known of the peer.
    by_password_alone: bool,
    /// What may carry a tunnel.
    transports: Vec<Transport>,
}

impl Rules {
    /// Reads the options, and the file of the password. The command line has `named` these peers and means no others; or it has
    /// named none, and means anybody. What it trusts them with goes to `trust`.
    ///
    /// # Errors
    ///
    /// A usage failure when a fingerprint or a password is none, or nobody's; a file that cannot be read; and a peer that is
    /// trusted with another certificate.
    pub(crate) fn from_args(args: &TrustArgs, named: &[BareJid], trust: &mut TrustFile) -> Result<Self, Failure> {
        let (mut fingerprints, mut instead_of_password) = (Vec::new(), Vec::new());
        for text in &args.fingerprints {
            let (peer, fingerprint) = given(text, named)?;
            trust.give(&peer, fingerprint)?;
            fingerprints.push(fingerprint);
            let record = trust.record(&peer).map_err(|e| Failure::other(e.to_string()))?;
            if trust.is_given(&peer) && record.secured_by.contains(&Method::Srp) {
                instead_of_password.push(peer);
            }
        }
        let password = args.srp_password_file.as_deref().map(password_from_file).transpose()?;
        let authorities = args.peer_ca_file.as_deref().map(authorities_from_file).transpose()?.map(Arc::new);
        Ok(Self {
            fingerprints,
            unread: trust.unread().to_vec(),
            instead_of_password,
            leap_of_faith: args.leap_of_faith,
            authorities,
            password,
            password_file: args.srp_password_file.clone(),
            asks: args.srp_password_prompt,
            by_password_alone: false,
            transports: vec![Transport::InBand],
        })
    }

    /// A password, and whatever certificate is pinned does not stand for it.
    pub(crate) fn by_password(password: Password, trust: &TrustFile) -> Self {
        Self { password: Some(password), by_password_alone: true, ..Self::by_pins(trust) }
    }

    /// The certificates that are pinned, and nothing else.
    pub(crate) fn by_pins(trust: &TrustFile) -> Self {
        Self {
            fingerprints: Vec::new(),
            unread: trust.unread().to_vec(),
            instead_of_password: Vec::new(),
            leap_of_faith: false,
            authorities: None,
            password: None,
            password_file: None,
            asks: false,
            by_password_alone: false,
            transports: vec![Transport::InBand],
        }
    }

    /// Asks for the password that is shared with these peers, if the options say so.
    ///
    /// # Errors
    ///
    /// A usage failure when nobody can be asked, or what is typed is no password.
    pub(crate) fn ask(&mut self, output: Output, peers: &str) -> Result<(), Failure> {
        if !self.asks {
            return Ok(());
        }
        if !output.can_ask() {
            return Err(Failure::usage(
                "--srp-password-prompt needs a terminal and no --json: give --srp-password-file FILE",
            ));
        }
        self.password = Some(password_from_terminal(peers)?);
        Ok(())
    }

    /// Lets tunnels go by these.
    pub(crate) fn go_by(&mut self, transports: Vec<Transport>) {
        self.transports = transports;
    }

    /// The conditions of a tunnel for this.
    pub(crate) fn options(&self, application: Application) -> TunnelOptions {
        let mut options = TunnelOptions::new(application, self.policy());
        options.terms = self.terms();
        options.over(self.transports.clone())
    }

    /// The conditions of a tunnel or a link.
    pub(crate) fn terms(&self) -> Terms {
        let mut terms = Terms::new(self.policy());
        if let Some(password) = &self.password {
            terms = terms.with_password(password.clone());
        }
        if self.by_password_alone {
            terms.methods = vec![Method::Srp];
        }
        terms
    }

    /// Those whose word counts for whom a certificate belongs to.
    pub(crate) fn authorities(&self) -> Option<Arc<Authorities>> {
        self.authorities.clone()
    }

    /// What makes the certificate of a peer acceptable.
    fn policy(&self) -> TrustPolicy {
        if self.leap_of_faith {
            TrustPolicy::LeapOfFaith
        } else if self.authorities.is_some() {
            TrustPolicy::Authorities
        } else {
            TrustPolicy::Pinned
        }
    }

    /// Whether a tunnel with a peer of whom this is known has any chance.
    pub(crate) fn may_trust(&self, known: &TrustRecord) -> bool {
        self.has_password() || self.may_trust_certificate(known)
    }

    /// Whether a password is there, or is to be asked for.
    pub(crate) fn has_password(&self) -> bool {
        self.password.is_some() || self.asks
    }

    /// Whether a certificate of such a peer may be accepted.
    pub(crate) fn may_trust_certificate(&self, known: &TrustRecord) -> bool {
        self.leap_of_faith || self.authorities.is_some() || !known.pins.is_empty()
    }

    /// What to say about fingerprints that are weak or stand in for a password, and a password file that everybody can read.
    pub(crate) fn warn(&self, output: Output) {
        for fingerprint in &self.fingerprints {
            warn_if_weak(output, fingerprint);
        }
        for name in &self.unread {
            output.warn(&format!(
                "{name:?} in the trust file is no address any more: what it was trusted with is kept, and verifies nobody"
            ));
        }
        for peer in &self.instead_of_password {
            output.warn(&format!(
                "{peer} was secured by a password before, and no certificate of it was known until now: ask its owner whether \
                 this is meant"
            ));
        }
        if let Some(path) = &self.password_file {
            account::warn_if_exposed(output, account::PASSWORD_FILE, path);
        }
    }

    /// What to say about a password that anybody may try; `from` is whose offers alone are taken, if not everybody's.
    ///
    /// # Errors
    ///
    /// When standard output is gone.
    pub(crate) fn note_who_may_try(&self, output: Output, from: &[BareJid]) -> Result<(), Failure> {
        if !self.has_password() || !from.is_empty() {
            return Ok(());
        }
        let GuessLimits { by_listener, .. } = GuessLimits::default();
        super::note(
            output,
            &format!(
                "* anybody may try the password, {by_listener} times in all and then once an hour; whoever does that keeps \
                 new peers out: --accept-from BAREJID names who may"
            ),
        )
    }
}

/// Whose certificate `--trust` gives: `BAREJID=FINGERPRINT`, or a fingerprint alone where one peer alone can be meant. A
/// fingerprint says nothing about whose it is, and what a certificate says about that, its owner has written.
fn given(text: &str, named: &[BareJid]) -> Result<(BareJid, Fingerprint), Failure> {
    let (owner, text) = match text.rsplit_once('=') {
        Some((owner, text)) => (Some(owner), text),
        None => (None, text),
    };
    let fingerprint = fingerprint(text).map_err(|e| not_a_fingerprint(text, &e))?;
    let peer = match (owner, named) {
        (Some(owner), _) => owner.parse::<BareJid>().map_err(|e| {
            Failure::usage(format!("--trust {owner}={text} names nobody: {owner} is no bare address: {e}"))
        })?,
        (None, [only]) => only.clone(),
        (None, _) => {
            return Err(Failure::usage(format!(
                "--trust {text} does not say whose certificate that is: give --trust BAREJID={text}"
            )));
        }
    };
    if !named.is_empty() && !named.contains(&peer) {
        return Err(Failure::usage(format!(
            "--trust names {peer}, with whom nothing is to be opened here: check the address"
        )));
    }
    Ok((peer, fingerprint))
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

/// The authorities in a PEM file.
fn authorities_from_file(path: &Path) -> Result<Authorities, Failure> {
    let text = account::read_file("the CA file for peers", path)?;
    Authorities::from_pem(&String::from_utf8_lossy(&text))
        .map_err(|e| Failure::usage(format!("{e}: see {}, which --peer-ca-file names", path.display())))
}

/// A password that the engine takes.
fn password_from_file(path: &Path) -> Result<Password, Failure> {
    let line = account::first_line(account::PASSWORD_FILE, path)?;
    Password::new(&line).map_err(|e| {
        Failure::usage(format!("{e}: see the first line of {}, which --srp-password-file names", path.display()))
    })
}

/// Asks in the terminal, without echo.
fn password_from_terminal(peers: &str) -> Result<Password, Failure> {
    let typed = rpassword::prompt_password(format!("Password shared with {peers}: "))
        .map_err(|e| Failure::other(format!("the password cannot be read from the terminal: {e}")))?;
    let typed = Zeroizing::new(typed);
    Password::new(&typed).map_err(|e| Failure::usage(format!("{e}: type another one")))
}

fn not_a_fingerprint(text: &str, why: &str) -> Failure {
    Failure::usage(format!("--trust {text} is no fingerprint: {why}; the peer gets its own with: xtls identity"))
}

#[cfg(test)]
mod tests;
