//! An ejabberd of its own for one test.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::certificates::Certificate;
use crate::prosody::{ACCOUNTS, DOMAIN, LONER};
use crate::wait::{self, free_port};
use crate::{Person, Prosody};

/// What it says when the accounts are there.
const READY: &str = "the accounts are ready";

/// A running server with the same accounts as [`Prosody`], who see each other's presence. Clients must use STARTTLS, or
/// begin with TLS on a port of its own.
///
/// It runs in the foreground and without Erlang's distribution, so that no name server (epmd) is needed or left behind.
#[derive(Debug)]
pub struct Ejabberd {
    child: Child,
    ports: Ports,
    dir: TempDir,
    domain: String,
}

/// What it is made to do that it would not do by itself.
#[derive(Clone, Copy, Debug, Default)]
struct Rules {
    /// The largest stanza that it takes from a client, in bytes.
    stanza_limit: Option<u32>,
    /// Whether it reads from clients no faster than its package for Debian configures.
    throttles: bool,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    starttls: u16,
    direct: u16,
    /// Of the proxy for bytestreams (XEP-0065), if there is one.
    proxy: Option<u16>,
}

impl Ports {
    fn free(has_proxy: bool) -> Self {
        Self { starttls: free_port(), direct: free_port(), proxy: has_proxy.then(free_port) }
    }
}

impl Ejabberd {
    /// Starts a server with this certificate and waits until it takes connections.
    ///
    /// # Panics
    ///
    /// When ejabberd is not installed or does not start; the message holds its log.
    #[must_use]
    pub fn start(certificate: Certificate) -> Self {
        Self::for_domain(DOMAIN, certificate)
    }

    /// The same, with a good certificate and a proxy for bytestreams (XEP-0065).
    ///
    /// # Panics
    ///
    /// As [`Ejabberd::start`].
    #[must_use]
    pub fn with_proxy() -> Self {
        Self::launch(DOMAIN, Certificate::Good, true, Rules::default())
    }

    /// The same for this domain.
    ///
    /// # Panics
    ///
    /// As [`Ejabberd::start`].
    #[must_use]
    pub fn for_domain(domain: &str, certificate: Certificate) -> Self {
        Self::launch(domain, certificate, false, Rules::default())
    }

    /// Starts a server with a good certificate, which takes no larger stanzas than this from clients.
    ///
    /// # Panics
    ///
    /// As [`Ejabberd::start`].
    #[must_use]
    pub fn with_stanza_limit(bytes: u32) -> Self {
        Self::launch(DOMAIN, Certificate::Good, false, Rules { stanza_limit: Some(bytes), ..Rules::default() })
    }

    /// Starts a server with a good certificate, with the shaper for clients that its package for Debian configures.
    ///
    /// # Panics
    ///
    /// As [`Ejabberd::start`].
    #[must_use]
    pub fn throttling() -> Self {
        Self::launch(DOMAIN, Certificate::Good, false, Rules { throttles: true, ..Rules::default() })
    }

    fn launch(domain: &str, certificate: Certificate, has_proxy: bool, rules: Rules) -> Self {
        loop {
            let dir = tempfile::tempdir().expect("a temporary directory");
            certificate.write(dir.path(), domain);
            let (ports, domain) = (Ports::free(has_proxy), domain.to_owned());
            let mut server = Self { child: spawn(dir.path(), ports, &domain, rules), ports, dir, domain };
            // Else somebody took one of them in the meantime.
            if server.has_its_ports() {
                return server;
            }
        }
    }

    /// `HOST:PORT` for `--server`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.starttls)
    }

    /// The port of clients that use STARTTLS.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports.starttls
    }

    /// The port of clients that begin with TLS.
    #[must_use]
    pub fn direct_port(&self) -> u16 {
        self.ports.direct
    }

    /// The port of the proxy for bytestreams.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn proxy_port(&self) -> u16 {
        self.ports.proxy.expect("it was started with a proxy")
    }

    /// `HOST:PORT` of clients that begin with TLS.
    #[must_use]
    pub fn direct_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.direct)
    }

    /// The authority that signed the server's certificate, in PEM.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// One of alice, bob and carol, who see one another's presence, or dave.
    #[must_use]
    pub fn person(&self, name: &'static str) -> Person {
        Person::new(name, &self.domain, self.address(), &self.ca_file(), &self.dir.path().join("people"))
    }

    /// What the server wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("output.log")).unwrap_or_default()
    }

    /// Ends the server at once, as a crash would. What it has started itself ends with it.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until it listens, or says that it cannot.
    fn has_its_ports(&mut self) -> bool {
        let Ports { starttls, direct, proxy } = self.ports;
        let ports = [
            Some((starttls, "ejabberd_c2s")),
            Some((direct, "ejabberd_c2s")),
            proxy.map(|port| (port, "mod_proxy65_stream")),
        ];
        let listens: Vec<_> =
            ports.into_iter().flatten().map(|(port, of)| format!("connections at 127.0.0.1:{port} for {of}")).collect();
        wait::until("ejabberd to listen", || {
            let log = self.log();
            if log.contains("Failed to open socket") {
                return Some(false);
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("ejabberd ended with {status}:\n{log}");
            }
            (log.contains(READY) && listens.iter().all(|line| log.contains(line))).then_some(true)
        })
    }
}

impl Drop for Ejabberd {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprint(&format!("--- ejabberd's log\n{}", self.log()));
        }
    }
}

#[allow(clippy::print_stderr, reason = "shown with a failed test")]
fn eprint(text: &str) {
    eprintln!("{text}");
}

fn spawn(dir: &Path, ports: Ports, domain: &str, rules: Rules) -> Child {
    let config = dir.join("ejabberd.yml");
    fs::write(&config, configuration(dir, ports, domain, rules)).expect("the configuration is written");
    let output = fs::File::create(dir.join("output.log")).expect("the output file is created");
    // `erl` replaces itself by the emulator, so that this is the process to end.
    Command::new("erl")
        .args(["-noinput", "-mnesia", "dir"])
        .arg(format!("\"{}\"", dir.join("data").display()))
        .args(["-s", "ejabberd", "-eval", &accounts(domain)])
        .env("EJABBERD_CONFIG_PATH", &config)
        .env("EJABBERD_LOG_PATH", dir.join("ejabberd.log"))
        .env("ERL_CRASH_DUMP", dir.join("crash.dump"))
        .env("ERL_LIBS", libraries())
        .env("HOME", dir)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("a second handle"))
        .stderr(output)
        .spawn()
        .unwrap_or_else(|e| {
            panic!("erl cannot be started: {e}; install ejabberd (on Debian: apt-get install ejabberd)")
        })
}

/// Where ejabberd's own code is: beside the libraries of the machine's architecture.
fn libraries() -> PathBuf {
    let has_it = |dir: &PathBuf| {
        let names = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.into_iter().any(|name| name.to_string_lossy().starts_with("ejabberd-"))
    };
    let below = fs::read_dir("/usr/lib").expect("/usr/lib is there").flatten().map(|entry| entry.path());
    let found = below.filter(|path| path.is_dir()).find(has_it);
    found.expect("ejabberd is installed (on Debian: apt-get install ejabberd)")
}

fn configuration(dir: &Path, Ports { starttls, direct, proxy }: Ports, domain: &str, rules: Rules) -> String {
    let dir = dir.display();
    let limit = rules.stanza_limit.map(|bytes| format!("    max_stanza_size: {bytes}\n")).unwrap_or_default();
    // As in /etc/ejabberd/ejabberd.yml.
    let (shaper, shapers) = if rules.throttles {
        (
            "    shaper: c2s_shaper\n",
            "shaper:\n  normal:\n    rate: 3000\n    burst_size: 20000\n  fast: 200000\n\
             shaper_rules:\n  c2s_shaper:\n    normal: all\n",
        )
    } else {
        ("", "")
    };
    // The number of connections is that of Debian's configuration.
    let proxy = proxy.map_or(String::new(), |port| {
        format!("  mod_proxy65:\n    access: all\n    max_connections: 5\n    ip: \"127.0.0.1\"\n    port: {port}\n")
    });
    format!(
        r#"
hosts: ["{domain}"]
loglevel: info
certfiles: ["{dir}/server.pem", "{dir}/server.key"]
auth_method: internal
auth_password_format: plain
s2s_access: none
listen:
  - port: {starttls}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    starttls_required: true
{limit}{shaper}  - port: {direct}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    tls: true
{shapers}modules:
  mod_disco: {{}}
  mod_roster: {{}}
  mod_shared_roster: {{}}
{proxy}"#
    )
}

/// Makes the accounts, and one group of all but the loner. Passwords are written as numbers, for they have quotes in them.
fn accounts(domain: &str) -> String {
    let mut text = String::new();
    let group = r#"[{displayed_groups, [<<"everyone">>]}]"#;
    writeln!(text, r#"{{atomic, _}} = mod_shared_roster:create_group(<<"{domain}">>, <<"everyone">>, {group}),"#)
        .expect("writing to a string");
    for account in ACCOUNTS.into_iter().chain([LONER]) {
        let password: Vec<String> = Prosody::password(account).bytes().map(|byte| byte.to_string()).collect();
        let password = password.join(",");
        writeln!(text, r#"ok = ejabberd_auth:try_register(<<"{account}">>, <<"{domain}">>, <<{password}>>),"#)
            .expect("writing to a string");
        if account != LONER {
            let member = format!(r#"{{<<"{account}">>, <<"{domain}">>}}"#);
            writeln!(text, r#"mod_shared_roster:add_user_to_group(<<"{domain}">>, {member}, <<"everyone">>),"#)
                .expect("writing to a string");
        }
    }
    writeln!(text, r#"io:format("{READY}~n")."#).expect("writing to a string");
    text
}
