//! Whom to let in: the options about trust, as decisions.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use xtls::{
    Application, Password, Terms, TrustPolicy, TunnelOptions,
    tls::PeerCertificate,
    trust::{Authorities, Fingerprint, GuessLimits, HashAlgo, TrustRecord},
};
use xtls_stanza::FingerprintError;
use xtls_stanza::jid::BareJid;
use zeroize::Zeroizing;

use crate::account;
use crate::args::TrustArgs;
use crate::exit::Failure;
use crate::output::Output;

/// The options about trust.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Given on the command line, for this run.
    fingerprints: Vec<Fingerprint>,
    leap_of_faith: bool,
    /// The authorities trusted for the certificates of peers.
    authorities: Option<Arc<Authorities>>,
    /// Shared with whoever the tunnels go to.
    password: Option<Password>,
    /// Where it was read.
    password_file: Option<PathBuf>,
    /// It is to be asked for.
    asks: bool,
}

impl Rules {
    /// Reads the options, and the file of the password.
    ///
    /// # Errors
    ///
    /// A usage failure when a fingerprint or a password is none; or a file that cannot be read.
    pub(crate) fn from_args(args: &TrustArgs) -> Result<Self, Failure> {
        let parsed: Result<Vec<_>, Failure> =
            args.fingerprints.iter().map(|text| fingerprint(text).map_err(|e| not_a_fingerprint(text, &e))).collect();
        let password = args.srp_password_file.as_deref().map(password_from_file).transpose()?;
        let authorities = args.peer_ca_file.as_deref().map(authorities_from_file).transpose()?.map(Arc::new);
        Ok(Self {
            fingerprints: parsed?,
            leap_of_faith: args.leap_of_faith,
            authorities,
            password,
            password_file: args.srp_password_file.clone(),
            asks: args.srp_password_prompt,
        })
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

    /// The conditions of a tunnel for this.
    pub(crate) fn options(&self, application: Application) -> TunnelOptions {
        let mut options = TunnelOptions::new(application, self.policy());
        options.terms = self.terms();
        options
    }

    /// The conditions of a tunnel or a link.
    pub(crate) fn terms(&self) -> Terms {
        let terms = Terms::new(self.policy());
        match &self.password {
            Some(password) => terms.with_password(password.clone()),
            None => terms,
        }
    }

    /// Those whose word counts for whom a certificate belongs to.
    pub(crate) fn authorities(&self) -> Option<Arc<Authorities>> {
        self.authorities.clone()
    }

    /// What makes the certificate of a peer acceptable.
    fn policy(&self) -> TrustPolicy {
        if !self.fingerprints.is_empty() {
            TrustPolicy::Ask
        } else if self.leap_of_faith {
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
        self.leap_of_faith || self.authorities.is_some() || !self.fingerprints.is_empty() || !known.pins.is_empty()
    }

    /// Whether a certificate that the peer has proven to hold is one that the command line gives.
    ///
    /// Such a fingerprint says nothing about whose it is. The peer that the command line `named` goes by it; any other
    /// peer must find its own address in the certificate.
    pub(crate) fn vouches_for(&self, certificate: &PeerCertificate, peer: &BareJid, named: bool) -> bool {
        let is_given = self.fingerprints.iter().any(|given| given.matches(certificate.der()));
        is_given && (named || certificate.xmpp_addrs().contains(peer))
    }

    /// What to say about fingerprints that are weak, and a password file that everybody can read.
    pub(crate) fn warn(&self, output: Output) {
        for fingerprint in &self.fingerprints {
            warn_if_weak(output, fingerprint);
        }
        if let Some(path) = &self.password_file {
            account::warn_if_exposed(output, path);
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
    let line = account::first_line(path)?;
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
mod tests {
    #![allow(clippy::unwrap_used)]

    use xtls::{
        Identity,
        tls::KeyAlgorithm,
        trust::{Method, PasswordError, Pin},
    };

    use super::*;

    /// An authority whose key nobody has.
    const CA: &str = "-----BEGIN CERTIFICATE-----
MIIBkTCCATegAwIBAgIUZJt60I7Er4PPSKkqp47TKcVgVhAwCgYIKoZIzj0EAwIw
HjEcMBoGA1UEAwwTQXV0aG9yaXR5IGZvciB0ZXN0czAeFw0yNjExMjEwNDU1MDla
Fw0zNjExMTgwNDU1MDlaMB4xHDAaBgNVBAMME0F1dGhvcml0eSBmb3IgdGVzdHMw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAS1o/DI3LV7utfER72DB6OWA2npoVD5
yQz3EBJVoNEDe+SYAoQNDExRRuDbvXGZ4fnPN9M4OteuczRwuYIz/ZpDo1MwUTAd
BgNVHQ4EFgQUsiAg6ChuPwQwme//QIn7rWZ9xRowHwYDVR0jBBgwFoAUsiAg6Chu
PwQwme//QIn7rWZ9xRowDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBF
AiAi09yXycrxlP5dxAElmCSKNk+A8dYOHQ0cO1HAHQrwEwIhAOtV2HyZTS27q/VN
tY5yhbzwsG7m04G0Kip5EWkTPxlh
-----END CERTIFICATE-----
";

    fn rules(fingerprints: &[String], leap_of_faith: bool) -> Rules {
        Rules::from_args(&args(fingerprints, leap_of_faith, None)).unwrap()
    }

    fn juliet() -> BareJid {
        "juliet@capulet.lit".parse().unwrap()
    }

    fn certificate() -> PeerCertificate {
        Identity::generate(&juliet(), KeyAlgorithm::default(), crate::clock::unix())
            .unwrap()
            .as_peer_certificate()
            .clone()
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
            let args = args(&[text.to_owned()], false, None);
            assert_eq!(Rules::from_args(&args).unwrap_err().code, crate::exit::Code::Usage, "{text}");
        }
    }

    fn args(fingerprints: &[String], leap_of_faith: bool, file: Option<&Path>) -> TrustArgs {
        let (fingerprints, srp_password_file) = (fingerprints.to_vec(), file.map(Path::to_owned));
        TrustArgs { fingerprints, leap_of_faith, peer_ca_file: None, srp_password_file, srp_password_prompt: false }
    }

    /// What comes of a password file with this content.
    fn with_password(content: &str) -> (Option<Rules>, Option<Failure>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, content).unwrap();
        match Rules::from_args(&args(&[], false, Some(&path))) {
            Ok(rules) => (Some(rules), None),
            Err(failure) => (None, Some(failure)),
        }
    }

    #[test]
    fn a_password_gives_a_peer_of_whom_nothing_is_known_a_chance() {
        let rules = with_password("wherefore\n").0.unwrap();
        assert!(rules.may_trust(&TrustRecord::default()));
        assert!(!rules.may_trust_certificate(&TrustRecord::default()));
        assert_eq!(rules.terms().methods, [Method::X509, Method::Srp]);
        assert!(rules.terms().password.is_some());
    }

    #[test]
    fn authorities_give_a_peer_of_whom_nothing_is_known_a_chance_and_a_file_without_any_is_a_usage_failure() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let args = TrustArgs { peer_ca_file: Some(path.clone()), ..args(&[], false, None) };
        let code = || Rules::from_args(&args).unwrap_err().code;
        assert_eq!(code(), crate::exit::Code::Other, "there is no such file");
        std::fs::write(&path, "no PEM").unwrap();
        assert_eq!(code(), crate::exit::Code::Usage);
        let nobodys = Identity::generate(&juliet(), KeyAlgorithm::default(), crate::clock::unix()).unwrap();
        std::fs::write(&path, nobodys.to_pem().certificate).unwrap();
        assert_eq!(code(), crate::exit::Code::Usage);
        std::fs::write(&path, CA).unwrap();
        let rules = Rules::from_args(&args).unwrap();
        assert_eq!(rules.policy(), TrustPolicy::Authorities);
        assert_eq!(rules.authorities().unwrap().len(), 1);
        assert!(rules.may_trust(&TrustRecord::default()));
    }

    #[test]
    fn without_a_password_the_method_is_not_offered() {
        assert_eq!(rules(&[], true).terms().methods, [Method::X509]);
    }

    #[test]
    fn a_password_that_cannot_be_used_is_a_usage_failure_in_the_engines_words() {
        for (line, why) in [
            ("", PasswordError::Empty),
            ("\nsecond", PasswordError::Empty),
            ("\u{AD}\n", PasswordError::Empty),
            ("a\u{7}b", PasswordError::Prohibited),
            ("\u{1F339}", PasswordError::Prohibited),
            (&"x".repeat(1025), PasswordError::TooLong),
        ] {
            let failure = with_password(line).1.unwrap();
            assert_eq!(failure.code, crate::exit::Code::Usage, "{line}");
            assert!(failure.message.starts_with(&why.to_string()), "{failure}");
            assert!(line.is_empty() || !failure.message.contains(line), "the password shows: {failure}");
        }
        assert!(with_password(&"x".repeat(1024)).0.is_some());
    }
}
