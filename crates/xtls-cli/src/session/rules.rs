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

    fn rules(leap_of_faith: bool) -> Rules {
        let dir = tempfile::tempdir().unwrap();
        Rules::from_args(&args(&[], leap_of_faith, None), &[], &mut trust(dir.path())).unwrap()
    }

    fn trust(dir: &Path) -> TrustFile {
        crate::data::DataDir::open(Some(dir)).unwrap().trust().unwrap()
    }

    fn juliet() -> BareJid {
        "juliet@capulet.lit".parse().unwrap()
    }

    fn pinned(fingerprint: Fingerprint) -> TrustRecord {
        let mut record = TrustRecord::default();
        record.add(Pin::manual(fingerprint));
        record
    }

    #[test]
    fn nothing_known_and_nothing_given_means_pinned_and_no_chance() {
        let rules = rules(false);
        assert_eq!(rules.policy(), TrustPolicy::Pinned);
        assert!(!rules.may_trust(&TrustRecord::default()));
        assert!(rules.may_trust(&pinned(Fingerprint::sha256(b"x"))));
    }

    /// What the store says of Juliet and of Mallory once the command line has given this, and means these; or why it does not.
    fn reading(texts: &[String], named: &[&str]) -> ([Vec<Pin>; 2], Option<Failure>) {
        let dir = tempfile::tempdir().unwrap();
        let mut trust = trust(dir.path());
        let named: Vec<BareJid> = named.iter().map(|peer| peer.parse().unwrap()).collect();
        let rules = Rules::from_args(&args(texts, false, None), &named, &mut trust);
        assert!(rules.as_ref().map_or(true, |rules| rules.policy() == TrustPolicy::Pinned));
        // Whenever it was.
        let timeless = |pins: Vec<Pin>| pins.iter().map(|pin| Pin::new(pin.fingerprint, pin.learned)).collect();
        ([juliet(), mallory()].map(|peer| timeless(trust.record(&peer).unwrap().pins)), rules.err())
    }

    fn given_to(texts: &[String], named: &[&str]) -> [Vec<Pin>; 2] {
        let (pins, failure) = reading(texts, named);
        assert!(failure.is_none(), "{failure:?}");
        pins
    }

    fn refused(texts: &[String], named: &[&str]) -> Failure {
        reading(texts, named).1.unwrap()
    }

    fn mallory() -> BareJid {
        "mallory@verona.lit".parse().unwrap()
    }

    const JULIET: &str = "juliet@capulet.lit";
    const MALLORY: &str = "mallory@verona.lit";

    #[test]
    fn a_fingerprint_belongs_to_the_peer_it_is_given_for_and_to_nobody_else() {
        let [hers, his] = [Fingerprint::sha256(b"hers"), Fingerprint::sha256(b"his")];
        let both = [format!("{JULIET}={hers}"), format!("{MALLORY}={}", his.colon_hex())];
        let expected = [vec![Pin::manual(hers)], vec![Pin::manual(his)]];
        assert_eq!(given_to(&both, &[JULIET, MALLORY]), expected);
        assert_eq!(given_to(&both, &[]), expected);
        // Two of one peer, who has two devices.
        let two = given_to(&[format!("{JULIET}={hers}"), format!("{JULIET}={his}")], &[]);
        assert_eq!(two, [vec![Pin::manual(hers), Pin::manual(his)], vec![]]);
    }

    #[test]
    fn without_an_address_a_fingerprint_is_the_one_peers_that_is_meant() {
        let sha1 = Fingerprint::sha1(b"certificate");
        let given = Fingerprint::sha256(b"certificate");
        for (text, pin) in [(given.hex(), given), (given.to_string(), given), (sha1.to_string(), sha1)] {
            assert_eq!(given_to(&[text], &[JULIET]), [vec![Pin::manual(pin)], vec![]]);
        }
        for named in [&[][..], &[JULIET, MALLORY]] {
            let failure = refused(&[given.hex()], named);
            assert_eq!(failure.code, crate::exit::Code::Usage);
            assert!(
                failure.message.contains("does not say whose") && failure.message.contains("BAREJID="),
                "{failure}"
            );
        }
    }

    #[test]
    fn a_fingerprint_for_somebody_who_is_not_meant_or_for_nobody_is_a_usage_failure() {
        let given = Fingerprint::sha256(b"certificate").hex();
        for (text, named, why) in [
            (format!("{MALLORY}={given}"), &[JULIET][..], "mallory@verona.lit"),
            (format!("{JULIET}/balcony={given}"), &[], "no bare address"),
            (format!("={given}"), &[], "no bare address"),
        ] {
            let failure = refused(std::slice::from_ref(&text), named);
            assert_eq!(failure.code, crate::exit::Code::Usage, "{text}");
            assert!(failure.message.contains(why), "{failure}");
        }
        // The last one parts them: an address may have one of its own.
        let odd = "a=b@capulet.lit";
        let dir = tempfile::tempdir().unwrap();
        let mut trust = trust(dir.path());
        Rules::from_args(&args(&[format!("{odd}={given}")], false, None), &[], &mut trust).unwrap();
        assert_eq!(trust.record(&odd.parse().unwrap()).unwrap().pins.len(), 1);
    }

    #[test]
    fn a_pin_that_is_there_is_not_added_to_from_the_command_line() {
        let dir = tempfile::tempdir().unwrap();
        let mut trust = trust(dir.path());
        let [old, new] = [Fingerprint::sha256(b"old"), Fingerprint::sha256(b"new")];
        trust.add(&juliet(), Pin::manual(old)).unwrap();
        let failure = Rules::from_args(&args(&[new.hex()], false, None), &[juliet()], &mut trust).unwrap_err();
        assert_eq!(failure.code, crate::exit::Code::Security);
        for word in [&old.to_string(), &new.to_string(), "--replace", "--keep"] {
            assert!(failure.message.contains(word), "{word} in {failure}");
        }
        assert_eq!(trust.record(&juliet()).unwrap().pins, [Pin::manual(old)]);
        Rules::from_args(&args(&[old.hex()], false, None), &[juliet()], &mut trust).unwrap();
        assert_eq!(trust.record(&juliet()).unwrap().pins, [Pin::manual(old)]);
    }

    #[test]
    fn what_is_no_fingerprint_is_a_usage_failure() {
        for text in ["", "xyz", "12", "md5:d41d8cd98f00b204e9800998ecf8427e", "juliet@capulet.lit=xyz"] {
            let failure = refused(&[text.to_owned()], &[JULIET]);
            assert_eq!(failure.code, crate::exit::Code::Usage, "{text}");
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
        match Rules::from_args(&args(&[], false, Some(&path)), &[], &mut trust(dir.path())) {
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
        let code = || Rules::from_args(&args, &[], &mut trust(dir.path())).unwrap_err().code;
        assert_eq!(code(), crate::exit::Code::Other, "there is no such file");
        std::fs::write(&path, "no PEM").unwrap();
        assert_eq!(code(), crate::exit::Code::Usage);
        let nobodys = Identity::generate(&juliet(), KeyAlgorithm::default(), crate::clock::unix()).unwrap();
        std::fs::write(&path, nobodys.to_pem().certificate).unwrap();
        assert_eq!(code(), crate::exit::Code::Usage);
        std::fs::write(&path, CA).unwrap();
        let rules = Rules::from_args(&args, &[], &mut trust(dir.path())).unwrap();
        assert_eq!(rules.policy(), TrustPolicy::Authorities);
        assert_eq!(rules.authorities().unwrap().len(), 1);
        assert!(rules.may_trust(&TrustRecord::default()));
    }

    #[test]
    fn without_a_password_the_method_is_not_offered() {
        assert_eq!(rules(true).terms().methods, [Method::X509]);
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
