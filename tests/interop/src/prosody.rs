//! A Prosody of its own for one test.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

use crate::wait;

/// The domain that the server serves.
pub(crate) const DOMAIN: &str = "localhost";
/// The accounts that exist, each with its name as a part of the password; see [`Prosody::password`].
const ACCOUNTS: [&str; 3] = ["alice", "bob", "carol"];

/// Whether clients must use STARTTLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// Clients may log in without TLS.
    Plain,
    /// Clients must use STARTTLS; the certificate comes from the CA in [`Prosody::ca_file`].
    StartTls,
}

/// A running server with the accounts alice, bob and carol, who see each other's presence.
#[derive(Debug)]
pub struct Prosody {
    child: Child,
    port: u16,
    dir: TempDir,
}

impl Prosody {
    /// Starts a server and waits until it takes connections.
    ///
    /// # Panics
    ///
    /// When Prosody is not installed or does not start; the message holds its log.
    #[must_use]
    pub fn start(transport: Transport) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        write_accounts(dir.path());
        if transport == Transport::StartTls {
            write_certificates(dir.path());
        }
        let port = free_port();
        let mut server = Self { child: spawn(dir.path(), port, transport), port, dir };
        while !server.has_its_port() {
            // Somebody else took the port in the meantime.
            server.kill();
            server.port = free_port();
            server.child = spawn(server.dir.path(), server.port, transport);
        }
        server
    }

    /// The port on 127.0.0.1 that clients connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `HOST:PORT` for `--server`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The password of an account.
    #[must_use]
    pub fn password(account: &str) -> String {
        format!("{account}'s password <&>")
    }

    /// The authority that signed the server's certificate, in PEM.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// What the server wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        ["prosody.log", "output.log"]
            .iter()
            .map(|name| fs::read_to_string(self.dir.path().join(name)).unwrap_or_default())
            .collect()
    }

    /// Ends the server at once, as a crash would.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until it listens, or says that it cannot.
    fn has_its_port(&mut self) -> bool {
        let listens = format!("Activated service 'c2s' on [127.0.0.1]:{}", self.port);
        wait::until("Prosody to listen", || {
            let log = self.log();
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("Prosody ended with {status}:\n{log}");
            }
            if log.contains("Activated service 'c2s' on no ports") {
                return Some(false);
            }
            log.contains(&listens).then_some(true)
        })
    }
}

impl Drop for Prosody {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprint(&format!("--- Prosody's log\n{}", self.log()));
        }
    }
}

#[allow(clippy::print_stderr, reason = "shown with a failed test")]
fn eprint(text: &str) {
    eprintln!("{text}");
}

fn spawn(dir: &Path, port: u16, transport: Transport) -> Child {
    let config = dir.join("prosody.cfg.lua");
    fs::write(&config, configuration(dir, port, transport)).expect("the configuration is written");
    let _ = fs::remove_file(dir.join("prosody.log"));
    let output = fs::File::create(dir.join("output.log")).expect("the output file is created");
    Command::new("prosody")
        .arg("--config")
        .arg(&config)
        .arg("-F")
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("a second handle"))
        .stderr(output)
        .spawn()
        .unwrap_or_else(|e| panic!("prosody cannot be started: {e}; install it (on Debian: apt-get install prosody)"))
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn configuration(dir: &Path, port: u16, transport: Transport) -> String {
    let dir = dir.display();
    let mut text = format!(
        r#"
daemonize = false
run_as_root = true
pidfile = "{dir}/prosody.pid"
data_path = "{dir}/data"
log = {{ debug = "{dir}/prosody.log" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
s2s_ports = {{ }}
http_ports = {{ }}
https_ports = {{ }}
component_ports = {{ }}
modules_enabled = {{ "disco", "roster", "saslauth", "tls", "ping", "groups", "posix" }}
modules_disabled = {{ "s2s", "offline" }}
authentication = "internal_plain"
storage = "internal"
groups_file = "{dir}/groups.txt"
"#
    );
    match transport {
        Transport::Plain => text.push_str("c2s_require_encryption = false\nallow_unencrypted_plain_auth = false\n"),
        Transport::StartTls => {
            text.push_str("c2s_require_encryption = true\n");
            writeln!(text, r#"ssl = {{ key = "{dir}/server.key"; certificate = "{dir}/server.pem" }}"#)
                .expect("writing to a string");
        }
    }
    writeln!(text, "VirtualHost \"{DOMAIN}\"").expect("writing to a string");
    text
}

/// Writes the accounts where `internal_plain` looks for them, and one group of all.
fn write_accounts(dir: &Path) {
    let accounts = dir.join("data").join(DOMAIN).join("accounts");
    fs::create_dir_all(&accounts).expect("the data directory is created");
    let mut groups = String::from("[Everyone]\n");
    for account in ACCOUNTS {
        let password = Prosody::password(account);
        fs::write(accounts.join(format!("{account}.dat")), format!("return {{ [\"password\"] = \"{password}\"; }};\n"))
            .expect("an account is written");
        writeln!(groups, "{account}@{DOMAIN}={account}").expect("writing to a string");
    }
    fs::write(dir.join("groups.txt"), groups).expect("the group is written");
}

/// Writes an authority and a certificate for [`DOMAIN`] that it signed.
fn write_certificates(dir: &Path) {
    let authority_key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "Authority for tests");
    let authority = params.self_signed(&authority_key).expect("an authority");
    let issuer = Issuer::new(params, authority_key);

    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec![DOMAIN.to_owned()]).expect("parameters");
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");

    for (name, text) in
        [("ca.pem", authority.pem()), ("server.pem", certificate.pem()), ("server.key", key.serialize_pem())]
    {
        fs::write(dir.join(name), text).expect("a certificate is written");
    }
}
