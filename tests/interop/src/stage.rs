//! People with accounts on one server, each with a data directory of their own.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::command::write_private;
use crate::network::inside;
use crate::{Ended, Namespace, Prosody, Transport, Xtls};

/// A server and the people who use it.
#[derive(Debug)]
pub struct Stage {
    /// The server.
    pub server: Prosody,
    /// A second one that passes stanzas to the first, if there is one.
    pub other: Option<Prosody>,
    transport: Transport,
    dir: TempDir,
}

/// Somebody who runs `xtls`.
#[derive(Clone, Debug)]
pub struct Person {
    /// The account's name.
    pub name: &'static str,
    /// The server's domain.
    pub domain: String,
    /// The account's password.
    pub password: String,
    /// `HOST:PORT` to connect to.
    pub address: String,
    data_dir: PathBuf,
    protection: Vec<String>,
    /// How the server is found, if it is not named by its address.
    found_by: Option<Vec<String>>,
    /// The network namespace, if it is another one than that of the tests.
    namespace: Option<String>,
}

impl Stage {
    /// Starts the server.
    ///
    /// # Panics
    ///
    /// When Prosody does not start.
    #[must_use]
    pub fn new(transport: Transport) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self { server: Prosody::start(transport), other: None, transport, dir }
    }

    /// Starts two servers that pass stanzas to one another.
    ///
    /// # Panics
    ///
    /// When Prosody does not start.
    #[must_use]
    pub fn federated() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let [server, other] = Prosody::federated();
        Self { server, other: Some(other), transport: Transport::StartTls, dir }
    }

    /// One of alice, bob and carol. Bob is at the second server, if there is one.
    #[must_use]
    pub fn person(&self, name: &'static str) -> Person {
        let server = self.other.as_ref().filter(|_| name == "bob").unwrap_or(&self.server);
        let protection = match self.transport {
            Transport::Plain => vec!["--insecure-plaintext".to_owned()],
            Transport::StartTls => vec!["--ca-file".to_owned(), server.ca_file().display().to_string()],
        };
        Person {
            name,
            domain: server.domain().to_owned(),
            password: Prosody::password(name),
            address: server.address(),
            data_dir: self.dir.path().join(name),
            protection,
            found_by: None,
            namespace: None,
        }
    }

    /// Alice and Bob, who trust one another's certificates.
    #[must_use]
    pub fn friends(&self) -> (Person, Person) {
        let (alice, bob) = (self.person("alice"), self.person("bob"));
        alice.trust(&bob);
        bob.trust(&alice);
        (alice, bob)
    }
}

impl Person {
    /// Somebody at a server that wants STARTTLS, who keeps everything in a directory of their own inside of `dir`.
    pub(crate) fn new(name: &'static str, domain: &str, address: String, ca_file: &Path, dir: &Path) -> Self {
        Self {
            name,
            domain: domain.to_owned(),
            password: Prosody::password(name),
            address,
            data_dir: dir.join(name),
            protection: vec!["--ca-file".to_owned(), ca_file.display().to_string()],
            found_by: None,
            namespace: None,
        }
    }

    /// The same person, with these options to protect the connection to the server.
    #[must_use]
    pub fn protected_by(&self, options: &[&str]) -> Self {
        Self { protection: options.iter().map(|&option| option.to_owned()).collect(), ..self.clone() }
    }

    /// The same person, whose server is not named by its address: these options say how it is found.
    #[must_use]
    pub fn found_by(&self, options: &[&str]) -> Self {
        Self { found_by: Some(options.iter().map(|&option| option.to_owned()).collect()), ..self.clone() }
    }

    /// The same person, at a machine in this network.
    #[must_use]
    pub fn inside(&self, namespace: &Namespace) -> Self {
        Self { namespace: Some(namespace.path()), ..self.clone() }
    }

    /// The bare address.
    #[must_use]
    pub fn bare(&self) -> String {
        format!("{}@{}", self.name, self.domain)
    }

    /// The full address that [`Person::start`] uses.
    #[must_use]
    pub fn full(&self) -> String {
        format!("{}/xtls", self.bare())
    }

    /// Where certificates and trust are kept.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The SHA-256 fingerprint of the own certificate, which is made if there is none.
    ///
    /// # Panics
    ///
    /// When the command fails.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let ended = Xtls::run(&self.data_dir, None, &["identity", "--jid", &self.bare()]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let identity = ended.named("identity").next().expect("an identity is shown");
        identity["sha256"].as_str().expect("it has a fingerprint").to_owned()
    }

    /// What a peer has to run that trusts this certificate.
    #[must_use]
    pub fn trusted_by(&self) -> String {
        format!("xtls trust add {} sha-256:{}", self.bare(), self.fingerprint())
    }

    /// Keeps everything in another directory from now on, where nothing is known.
    pub fn move_data(&mut self, name: &str) {
        self.data_dir = self.data_dir.with_extension(name);
    }

    /// Trusts the certificate of a peer.
    ///
    /// # Panics
    ///
    /// When the command fails.
    pub fn trust(&self, peer: &Self) {
        self.trust_fingerprint(&peer.bare(), &peer.fingerprint());
    }

    /// Trusts a fingerprint, and none that was trusted before.
    ///
    /// # Panics
    ///
    /// When the command fails.
    pub fn trust_fingerprint(&self, peer: &str, fingerprint: &str) {
        let ended = Xtls::run(&self.data_dir, None, &["trust", "add", peer, fingerprint, "--replace"]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }

    /// Starts a command that needs the account; the options of the account are added.
    #[must_use]
    pub fn start(&self, args: &[&str]) -> Xtls {
        self.start_as(&self.full(), args)
    }

    /// The same with this address of the account.
    #[must_use]
    pub fn start_as(&self, jid: &str, args: &[&str]) -> Xtls {
        let program = inside(self.namespace.as_deref(), Xtls::program());
        Xtls::start_as(program, &self.data_dir, Some(&self.password), &self.with_account(jid, args))
    }

    /// The same with this file as standard input.
    #[must_use]
    pub fn start_with_file(&self, args: &[&str], file: &Path) -> Xtls {
        Xtls::start_with_file(&self.data_dir, Some(&self.password), &self.with_account(&self.full(), args), file)
    }

    /// The same with a terminal as standard input, at which nobody types.
    #[must_use]
    pub fn start_at_a_terminal(&self, args: &[&str]) -> Xtls {
        Xtls::start_at_a_terminal(&self.data_dir, Some(&self.password), &self.with_account(&self.full(), args))
    }

    /// Makes of this what [`Person::start`] starts, for users: `xtls`, or what runs that, stands there already.
    pub(crate) fn prepare(&self, command: &mut Command, args: &[&str]) {
        Xtls::prepare(command, &self.data_dir);
        command.args(self.with_account(&self.full(), args)).env("XTLS_PASSWORD", &self.password);
    }

    fn with_account(&self, jid: &str, args: &[&str]) -> Vec<String> {
        let mut all: Vec<String> = args.iter().map(ToString::to_string).collect();
        all.extend(["--jid".to_owned(), jid.to_owned()]);
        let named = || vec!["--server".to_owned(), self.address.clone()];
        all.extend(self.found_by.clone().unwrap_or_else(named));
        all.extend(self.protection.clone());
        all
    }

    /// Starts listening and waits until the server knows.
    #[must_use]
    pub fn listen(&self, args: &[&str]) -> Xtls {
        let mut all = vec!["listen"];
        all.extend(args);
        let mut listening = self.start(&all);
        listening.event("online");
        listening
    }

    /// Writes a private file beside the data directory, and gives its name.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    #[must_use]
    pub fn file(&self, extension: &str, text: &str) -> String {
        let path = self.data_dir.with_extension(extension);
        write_private(&path, text);
        path.display().to_string()
    }

    /// Runs a command that needs the account to its end, without input.
    #[must_use]
    pub fn run(&self, args: &[&str]) -> Ended {
        let mut running = self.start(args);
        running.end_input();
        running.wait()
    }
}
