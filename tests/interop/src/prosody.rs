//! A Prosody of its own for one test.

mod setup;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::certificates::Certificate;
use crate::network::inside;
use crate::wait::{self, free_port};
use crate::{Namespace, Network, Person};
use setup::{configuration, write_accounts, write_modules};

/// The domain that a server serves that has no neighbours.
pub(crate) const DOMAIN: &str = "localhost";
/// The accounts that exist, each with its name as a part of the password; see [`Prosody::password`].
pub(crate) const ACCOUNTS: [&str; 3] = ["alice", "bob", "carol"];

/// An account whose presence nobody sees, and that sees nobody's.
pub(crate) const LONER: &str = "dave";

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
    site: Site,
}

/// Which server it is.
#[derive(Clone, Debug)]
struct Site {
    domain: String,
    /// What OpenSSL is told beside the certificate, in the words of LuaSec's `options`.
    tls: &'static [&'static str],
    /// The domains, its own among them, whose people see each other's presence, and where their servers take connections
    /// of servers; empty for one that stands alone.
    federation: Vec<(String, u16)>,
    certificate: Certificate,
    /// Whether streams can be resumed (XEP-0198).
    resumes: bool,
    /// Where TLS begins with the connection (XEP-0368), if it does anywhere.
    direct: Option<u16>,
    /// Where clients are sent that have begun TLS (RFC 6120 § 4.9.3.19).
    elsewhere: Option<String>,
    /// Whether who is logged in keeps the resource when somebody else asks for it (RFC 6120 § 7.7.2.2).
    keeps_resources: bool,
    /// Where its proxy for bytestreams (XEP-0065) takes connections, if it has one.
    proxy: Option<u16>,
    /// Whether it reads from clients and servers no faster than its package for Debian configures.
    throttles: bool,
    /// What it says of the largest stanza that it takes (XEP-0478), if anything.
    announced: Option<u32>,
    place: Place,
}

/// The machine that it runs at.
#[derive(Clone, Debug)]
struct Place {
    /// The network namespace, if it is another one than that of the tests.
    namespace: Option<String>,
    /// Where clients connect to.
    address: &'static str,
    /// Where those connect to who want the proxy; in its own namespace it listens nowhere else.
    proxy: &'static str,
}

impl Place {
    const HERE: Self = Self { namespace: None, address: "127.0.0.1", proxy: "127.0.0.1" };
}

impl Site {
    fn alone(certificate: Certificate) -> Self {
        let domain = DOMAIN.to_owned();
        Self {
            domain,
            tls: &[],
            federation: Vec::new(),
            certificate,
            resumes: false,
            direct: None,
            elsewhere: None,
            keeps_resources: false,
            proxy: None,
            throttles: false,
            announced: None,
            place: Place::HERE,
        }
    }
}

impl Prosody {
    /// Starts a server and waits until it takes connections.
    ///
    /// # Panics
    ///
    /// When Prosody is not installed or does not start; the message holds its log.
    #[must_use]
    pub fn start(transport: Transport) -> Self {
        Self::launch(Site::alone(Certificate::Good), transport)
    }

    /// Starts a server with this certificate, whose clients must use STARTTLS.
    ///
    /// # Panics
    ///
    /// As [`Prosody::start`].
    #[must_use]
    pub fn with_certificate(certificate: Certificate) -> Self {
        Self::launch(Site::alone(certificate), Transport::StartTls)
    }

    /// Starts a server with a good certificate, whose clients must use STARTTLS, with these options of OpenSSL's.
    ///
    /// # Panics
    ///
    /// As [`Prosody::start`].
    #[must_use]
    pub fn with_tls(options: &'static [&'static str]) -> Self {
        Self::launch(Site { tls: options, ..Site::alone(Certificate::Good) }, Transport::StartTls)
    }

    /// Starts a server with a good certificate, whose clients must use STARTTLS and can resume their streams (XEP-0198).
    ///
    /// # Panics
    ///
    /// As [`Prosody::start`].
    #[must_use]
    pub fn resuming() -> Self {
        Self::launch(Site { resumes: true, ..Site::alone(Certificate::Good) }, Transport::StartTls)
    }

    /// Starts a server with a good certificate, whose clients must use STARTTLS, and keep their resources when somebody else asks
    /// for them.
    ///
    /// # Panics
    ///
    /// As [`Prosody::start`].
    #[must_use]
    pub fn keeping_resources() -> Self {
        Self::launch(Site { keeps_resources: true, ..Site::alone(Certificate::Good) }, Transport::StartTls)
    }

    /// Starts a server with a good certificate, whose clients must use STARTTLS, and which has a proxy for bytestreams (XEP-0065).
    ///
    /// # Panics
    ///
    /// As [`Prosody::start`].
    #[must_use]
    pub fn with_proxy() -> Self {
        let site = Site { proxy: Some(free_port()), ..Site::alone(Certificate::Good) };
        Self::launch(site, Transport::StartTls)
    }

    /// The same in a network of its own, with its proxy at [`Network::PROXY`].
    ///
    /// # Panics
    ///
    /// As [`Prosody::start`].
    #[must_use]
    pub fn in_network(namespace: &Namespace) -> Self {
        let place = Place { namespace: Some(namespace.path()), address: Network::SERVER, proxy: Network::PROXY };
        let site = Site { proxy: Some(free_port()), place, ..Site::alone(Certificate::Good) };
        Self::launch(site, Transport::StartTls)
    }

    /// Starts a server with a good certificate, whose clients must use STARTTLS, with the limits that its package for Debian configures:
    /// it reads 10 kB a second from each client.
    ///
    /// # Panics
    ///
    /// As [`Prosody::start`].
    #[must_use]
    pub fn throttling() -> Self {
        Self::launch(Site { throttles: true, ..Site::alone(Certificate::Good) }, Transport::StartTls)
    }

    /// The same, and it announces how large stanzas may be (XEP-0478), as Prosody 13 does.
    ///
    /// # Panics
    ///
    /// As [`Prosody::start`].
    #[must_use]
    pub fn throttling_and_announcing() -> Self {
        let site = Site { throttles: true, announced: Some(262_144), ..Site::alone(Certificate::Good) };
        Self::launch(site, Transport::StartTls)
    }

    /// Starts a server with a good certificate, whose clients must use STARTTLS, and that announces how large stanzas may be (XEP-0478),
    /// as Prosody 13 does.
    ///
    /// # Panics
    ///
    /// As [`Prosody::start`].
    #[must_use]
    pub fn announcing(bytes: u32) -> Self {
        Self::launch(Site { announced: Some(bytes), ..Site::alone(Certificate::Good) }, Transport::StartTls)
    }

    /// Starts a server for this domain with a good certificate, whose clients must use STARTTLS.
    ///
    /// # Panics
    ///
    /// As [`Prosody::start`].
    #[must_use]
    pub fn for_domain(domain: &str, certificate: Certificate) -> Self {
        let site = Site { domain: domain.to_owned(), ..Site::alone(certificate) };
        Self::launch(site, Transport::StartTls)
    }

    /// The same, where TLS begins with the connection on a port of its own: [`Prosody::direct_port`].
    ///
    /// # Panics
    ///
    /// As [`Prosody::start`].
    #[must_use]
    pub fn with_direct_tls(domain: &str, certificate: Certificate) -> Self {
        let site = Site { domain: domain.to_owned(), direct: Some(free_port()), ..Site::alone(certificate) };
        Self::launch(site, Transport::StartTls)
    }

    /// The same, and it sends every client to another place as soon as TLS has begun.
    ///
    /// # Panics
    ///
    /// As [`Prosody::start`].
    #[must_use]
    pub fn sending_elsewhere(domain: &str, place: &str) -> Self {
        let elsewhere = Some(place.to_owned());
        let site = Site { domain: domain.to_owned(), elsewhere, ..Site::alone(Certificate::Good) };
        Self::launch(site, Transport::StartTls)
    }

    /// One of alice, bob and carol, who see one another's presence, or dave.
    #[must_use]
    pub fn person(&self, name: &'static str) -> Person {
        Person::new(name, self.domain(), self.address(), &self.ca_file(), &self.dir.path().join("people"))
    }

    /// Starts two servers that pass stanzas to one another, encrypted and authenticated by dialback (XEP-0220), and waits
    /// until they take connections. Clients must use STARTTLS.
    ///
    /// # Panics
    ///
    /// As [`Prosody::start`].
    #[must_use]
    pub fn federated() -> [Self; 2] {
        loop {
            let sites = ["capulet.example", "montague.example"].map(|domain| (domain.to_owned(), free_port()));
            let servers = sites
                .clone()
                .map(|(domain, _)| Site { domain, federation: sites.to_vec(), ..Site::alone(Certificate::Good) })
                .map(|site| Self::launch(site, Transport::StartTls));
            // Else somebody took a port in the meantime.
            if servers.iter().all(|server| !server.log().contains("Activated service 's2s' on no ports")) {
                return servers;
            }
        }
    }

    fn launch(site: Site, transport: Transport) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        write_accounts(dir.path(), &site);
        write_modules(dir.path(), &site);
        if transport == Transport::StartTls {
            site.certificate.write(dir.path(), &site.domain);
        }
        let port = free_port();
        let mut server = Self { child: spawn(dir.path(), port, transport, &site), port, dir, site };
        while !server.has_its_port() {
            // Somebody else took the port in the meantime.
            server.kill();
            server.port = free_port();
            server.site.direct = server.site.direct.map(|_| free_port());
            server.site.proxy = server.site.proxy.map(|_| free_port());
            server.child = spawn(server.dir.path(), server.port, transport, &server.site);
        }
        server
    }

    /// The domain of the accounts.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.site.domain
    }

    /// The port that clients connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port where TLS begins with the connection.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn direct_port(&self) -> u16 {
        self.site.direct.expect("it was started with such a port")
    }

    /// The port of the proxy for bytestreams.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn proxy_port(&self) -> u16 {
        self.site.proxy.expect("it was started with a proxy")
    }

    /// `HOST:PORT` for `--server`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", self.site.place.address, self.port)
    }

    /// The password of an account.
    #[must_use]
    pub fn password(account: &str) -> String {
        format!("{account}'s password <&>")
    }

    /// The server's certificate, in PEM.
    #[must_use]
    pub fn certificate_file(&self) -> PathBuf {
        self.dir.path().join("server.pem")
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

    /// Waits until every request of one client to another has its answer, so that nothing is on its way.
    ///
    /// # Panics
    ///
    /// When that does not come.
    pub fn wait_until_quiet(&self) {
        wait::until("an answer to every request", || {
            let log = self.log();
            let iqs = || log.lines().filter_map(|line| line.split_once("Received[c2s]: <iq ")).map(|(_, iq)| iq);
            let between_clients = |kinds: [&str; 2]| {
                let of_these = |iq: &&str| kinds.iter().any(|kind| iq.contains(&format!("type='{kind}'")));
                let full = |iq: &&str| iq.split_once("to='").is_some_and(|(_, to)| to.contains("/"));
                iqs().filter(of_these).filter(full).count()
            };
            let asked = between_clients(["get", "set"]);
            (asked > 0 && asked == between_clients(["result", "error"])).then_some(())
        });
    }

    /// Shuts the server down in order.
    ///
    /// What reaches a Prosody after it has closed a stream, and before it could write its last words, makes it drop those words
    /// (its `server_epoll` takes the empty socket for a failed connection). So nothing may be on its way:
    /// [`Prosody::wait_until_quiet`].
    ///
    /// # Panics
    ///
    /// When the signal cannot be sent.
    pub fn shut_down(&self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(status.success(), "kill failed");
    }

    /// Lets the server deliver a stanza, in whose name whatever.
    ///
    /// # Panics
    ///
    /// When it does not take it.
    pub fn post(&self, stanza: &str) {
        let (draft, posted) = (self.dir.path().join("draft.xml"), self.dir.path().join("post.xml"));
        fs::write(&draft, stanza).and_then(|()| fs::rename(&draft, &posted)).expect("the stanza is written");
        wait::until("the server to deliver a stanza", || (!posted.exists()).then_some(()));
    }

    /// From now on a client with this address is asked for a sign of life (XEP-0199) again and again, 0.3 s after it has answered the last
    /// time. Gives how long each answer has taken so far, in which it is asked, and nobody else.
    ///
    /// # Panics
    ///
    /// When that cannot be written down.
    pub fn ping(&self, jid: &str) -> impl Fn() -> Vec<Duration> + use<> {
        let (who, took) =
            (self.dir.path().join("ping"), self.dir.path().join(format!("took-{}", jid.replace('/', "-"))));
        fs::write(&who, format!("{jid} {}", took.display())).expect("it is written");
        move || {
            let text = fs::read_to_string(&took).unwrap_or_default();
            // The last line may not be whole yet.
            let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
            lines.map(|line| Duration::from_secs_f64(line.parse().expect("a number of seconds"))).collect()
        }
    }

    /// Ends the server at once, as a crash would.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until it listens, or says that it cannot.
    fn has_its_port(&mut self) -> bool {
        let Place { address, proxy, .. } = self.site.place;
        let listens = format!("Activated service 'c2s' on [{address}]:{}", self.port);
        wait::until("Prosody to listen", || {
            let log = self.log();
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("Prosody ended with {status}:\n{log}");
            }
            if log.contains("Activated service 'c2s' on no ports") {
                return Some(false);
            }
            for (service, address, port) in
                [("c2s_direct_tls", address, self.site.direct), ("proxy65", proxy, self.site.proxy)]
            {
                let Some(port) = port else { continue };
                if log.contains(&format!("Activated service '{service}' on no ports")) {
                    return Some(false);
                }
                if !log.contains(&format!("Activated service '{service}' on [{address}]:{port}")) {
                    return None;
                }
            }
            let federates = self.site.federation.is_empty() || log.contains("Activated service 's2s' on ");
            (log.contains(&listens) && federates).then_some(true)
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

fn spawn(dir: &Path, port: u16, transport: Transport, site: &Site) -> Child {
    let config = dir.join("prosody.cfg.lua");
    fs::write(&config, configuration(dir, port, transport, site)).expect("the configuration is written");
    let _ = fs::remove_file(dir.join("prosody.log"));
    let output = fs::File::create(dir.join("output.log")).expect("the output file is created");
    inside(site.place.namespace.as_deref(), "prosody")
        .arg("--config")
        .arg(&config)
        .arg("-F")
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("a second handle"))
        .stderr(output)
        .spawn()
        .unwrap_or_else(|e| panic!("prosody cannot be started: {e}; install it (on Debian: apt-get install prosody)"))
}
