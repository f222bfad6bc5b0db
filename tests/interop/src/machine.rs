//! Machines that talk to one another directly, with `xtls link`.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Xtls;
use crate::command::write_private;

/// Somebody at a machine of their own.
#[derive(Debug)]
pub struct Machine {
    /// The own bare address.
    pub jid: &'static str,
    dir: TempDir,
}

impl Machine {
    /// Romeo and Juliet, who know nothing of one another.
    #[must_use]
    pub fn strangers() -> [Self; 2] {
        ["romeo@forza", "juliet@pronto"].map(Self::new)
    }

    /// Romeo and Juliet, who trust one another's certificates.
    #[must_use]
    pub fn friends() -> [Self; 2] {
        let [romeo, juliet] = Self::strangers();
        romeo.trust(juliet.jid, &juliet.fingerprint());
        juliet.trust(romeo.jid, &romeo.fingerprint());
        [romeo, juliet]
    }

    /// Somebody of this address.
    ///
    /// # Panics
    ///
    /// When there is no temporary directory to be had.
    #[must_use]
    pub fn new(jid: &'static str) -> Self {
        Self { jid, dir: tempfile::tempdir().expect("a temporary directory") }
    }

    /// Where certificates and trust are kept.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The SHA-256 fingerprint of the own certificate, which is made if there is none.
    ///
    /// # Panics
    ///
    /// When the command fails.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let ended = Xtls::run(&self.data_dir(), None, &["identity", "--jid", self.jid]);
        let identity = ended.named("identity").next().expect("an identity is shown");
        identity["sha256"].as_str().expect("it has a fingerprint").to_owned()
    }

    /// What a peer has to run that trusts this certificate.
    #[must_use]
    pub fn trusted_by(&self) -> String {
        format!("xtls trust add {} sha-256:{}", self.jid, self.fingerprint())
    }

    /// Trusts a certificate of a peer, and none that was trusted before.
    ///
    /// # Panics
    ///
    /// When the command fails.
    pub fn trust(&self, peer: &str, fingerprint: &str) {
        let ended = Xtls::run(&self.data_dir(), None, &["trust", "add", peer, fingerprint, "--replace"]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }

    /// Writes a private file outside of the data directory, and gives its name.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    #[must_use]
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        write_private(&path, text);
        path.display().to_string()
    }

    /// Moves the own certificate away, so that the next run makes another one.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn lose_certificate(&self) {
        let path = self.data_dir().join("identities").join(format!("{}.pem", self.jid));
        std::fs::remove_file(path).expect("there is a certificate");
    }

    /// Listens on a free port of the loopback interface, and gives the port.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[must_use]
    pub fn listen(&self, args: &[&str]) -> (Xtls, u16) {
        self.listen_with(args, Xtls::start)
    }

    /// The same with a terminal as standard input, at which nobody types.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[must_use]
    pub fn listen_at_a_terminal(&self, args: &[&str]) -> (Xtls, u16) {
        self.listen_with(args, Xtls::start_at_a_terminal)
    }

    fn listen_with<'a>(&'a self, args: &[&'a str], start: fn(&Path, Option<&str>, &[&'a str]) -> Xtls) -> (Xtls, u16) {
        let mut all = vec!["link", "listen", "127.0.0.1:0", "--jid", self.jid];
        all.extend(args);
        let mut listening = start(&self.data_dir(), None, &all);
        let address = listening.event("listening")["address"].as_str().map(str::to_owned).expect("it has an address");
        let port = address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("it has a port");
        (listening, port)
    }

    /// Connects to a peer at a port of the loopback interface.
    #[must_use]
    pub fn connect(&self, peer: &Self, port: u16, args: &[&str]) -> Xtls {
        let address = format!("127.0.0.1:{port}");
        let mut all = vec!["link", "connect", &address, "--jid", self.jid, "--peer", peer.jid];
        all.extend(args);
        Xtls::start(&self.data_dir(), None, &all)
    }
}
