//! A Prosody of its own for one test.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::Person;
use crate::certificates::Certificate;
use crate::wait::{self, free_port};

/// The domain that a server serves that has no neighbours.
pub(crate) const DOMAIN: &str = "localhost";
/// The accounts that exist, each with its name as a part of the password; see [`Prosody::password`].
pub(crate) const ACCOUNTS: [&str; 3] = ["alice", "bob", "carol"];

/// An account whose presence nobody sees, and that sees nobody's.
const LONER: &str = "dave";

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
    /// Whether who is logged in keeps the resource when somebody else asks for it (RFC 6120 § 7.7.2.2).
    keeps_resources: bool,
}

impl Site {
    fn alone(certificate: Certificate) -> Self {
        let domain = DOMAIN.to_owned();
        Self { domain, tls: &[], federation: Vec::new(), certificate, resumes: false, keeps_resources: false }
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
        write_resolver(dir.path(), &site);
        if transport == Transport::StartTls {
            site.certificate.write(dir.path(), &site.domain);
        }
        let port = free_port();
        let mut server = Self { child: spawn(dir.path(), port, transport, &site), port, dir, site };
        while !server.has_its_port() {
            // Somebody else took the port in the meantime.
            server.kill();
            server.port = free_port();
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

/// A module that plays a client of Carol's that knows of no tunnels: `carol@DOMAIN/phone`.
const PHONE: &str = r#"
local st = require "util.stanza";
local info = "http://jabber.org/protocol/disco#info";
module:hook("iq/full", function (event)
    local stanza = event.stanza;
    if stanza.attr.to ~= "carol@" .. module.host .. "/phone" or stanza.attr.type ~= "get" then return; end
    if stanza:get_child("query", info) then
        event.origin.send(st.reply(stanza):tag("query", { xmlns = info })
            :tag("identity", { category = "client", type = "phone" }):up():tag("feature", { var = info }));
    else
        event.origin.send(st.error_reply(stanza, "cancel", "service-unavailable"));
    end
    return true;
end, 10);
"#;

/// A module that delivers the stanza in a file, for [`Prosody::post`].
const POST: &str = r#"
local xml = require "util.xml";
local path = module:get_option_string("post_file");
module:add_timer(0.05, function ()
    local file = io.open(path);
    if file then
        local stanza = xml.parse(file:read("*a"));
        file:close();
        os.remove(path);
        module:send(stanza);
    end
    return 0.05;
end);
"#;

/// A module that says where the servers of other domains are, in place of DNS.
fn write_resolver(dir: &Path, site: &Site) {
    let mut servers = String::new();
    for (domain, port) in &site.federation {
        writeln!(servers, "    [\"{domain}\"] = {port};").expect("writing to a string");
    }
    let module = format!(
        r#"
module:set_global();
local service, manual = require "net.resolvers.service", require "net.resolvers.manual";
local servers = {{
{servers}}};
local new = service.new;
function service.new(host, name, kind, extra)
    local port = servers[host];
    if not port then return new(host, name, kind, extra); end
    local targets = {{}};
    if name == "xmpp-server" then targets[1] = {{ "tcp4", "127.0.0.1", port, extra }}; end
    return manual.new(targets, kind);
end
"#
    );
    fs::create_dir_all(dir.join("plugins")).expect("the directory of modules is created");
    fs::write(dir.join("plugins/mod_neighbours.lua"), module).expect("the module is written");
    fs::write(dir.join("plugins/mod_phone.lua"), PHONE).expect("the module is written");
    fs::write(dir.join("plugins/mod_post.lua"), POST).expect("the module is written");
}

fn configuration(dir: &Path, port: u16, transport: Transport, site: &Site) -> String {
    let dir = dir.display();
    let domain = &site.domain;
    let smacks = if site.resumes { r#""smacks", "# } else { "" };
    let mut text = format!(
        r#"
daemonize = false
run_as_root = true
pidfile = "{dir}/prosody.pid"
data_path = "{dir}/data"
log = {{ debug = "{dir}/prosody.log" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
http_ports = {{ }}
https_ports = {{ }}
component_ports = {{ }}
modules_enabled = {{ "disco", "roster", "saslauth", "tls", "ping", "groups", "posix", "dialback", "neighbours", "phone", {smacks}"post" }}
post_file = "{dir}/post.xml"
plugin_paths = {{ "{dir}/plugins" }}
authentication = "internal_plain"
storage = "internal"
groups_file = "{dir}/groups.txt"
"#
    );
    if site.keeps_resources {
        text.push_str("conflict_resolve = \"kick_new\"\n");
    }
    match transport {
        Transport::Plain => text.push_str("c2s_require_encryption = false\nallow_unencrypted_plain_auth = false\n"),
        Transport::StartTls => {
            text.push_str("c2s_require_encryption = true\n");
            let options: String = site.tls.iter().map(|option| format!("{option:?}, ")).collect();
            writeln!(
                text,
                r#"ssl = {{ key = "{dir}/server.key"; certificate = "{dir}/server.pem"; options = {{ {options}}} }}"#
            )
            .expect("writing to a string");
        }
    }
    match site.federation.iter().find(|(federated, _)| federated == domain) {
        Some((_, port)) => {
            writeln!(text, "s2s_ports = {{ {port} }}").expect("writing to a string");
            text.push_str("modules_disabled = { \"offline\" }\n");
        }
        None => text.push_str("s2s_ports = { }\nmodules_disabled = { \"s2s\", \"dialback\", \"offline\" }\n"),
    }
    writeln!(text, "VirtualHost \"{domain}\"").expect("writing to a string");
    text
}

/// Writes the accounts where `internal_plain` looks for them, and one group of all.
fn write_accounts(dir: &Path, site: &Site) {
    // Prosody escapes what is neither a letter nor a digit in names of hosts.
    let escaped =
        |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02x}") };
    let host: String = site.domain.bytes().map(escaped).collect();
    let accounts = dir.join("data").join(host).join("accounts");
    fs::create_dir_all(&accounts).expect("the data directory is created");
    let mut groups = String::from("[Everyone]\n");
    for account in ACCOUNTS.into_iter().chain([LONER]) {
        let password = Prosody::password(account);
        fs::write(accounts.join(format!("{account}.dat")), format!("return {{ [\"password\"] = \"{password}\"; }};\n"))
            .expect("an account is written");
        if account == LONER {
            continue;
        }
        let neighbours = site.federation.iter().map(|(domain, _)| domain).filter(|domain| **domain != site.domain);
        for domain in neighbours.chain([&site.domain]) {
            writeln!(groups, "{account}@{domain}={account}").expect("writing to a string");
        }
    }
    fs::write(dir.join("groups.txt"), groups).expect("the group is written");
}
