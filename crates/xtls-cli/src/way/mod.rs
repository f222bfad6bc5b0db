//! The way to a server: where it may be, and a connection there.

mod dns;
mod proxy;
mod srv;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use xtls_stanza::jid::DomainPart;

use crate::account::{CLIENT_PORT, DIRECT_PORT, Server};
use crate::args::WayArgs;
use crate::exit::Failure;
use crate::output::Output;
use crate::random::random;
use dns::{Dns, Kinds, Services};
use proxy::Proxy;
use srv::MAX_TARGETS;

/// Longest time that connecting and logging in may take together.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same through a proxy: one such as Tor has to make its own way first.
const PATIENCE_WITH_A_PROXY: Duration = Duration::from_secs(90);
/// How long one address may take until the stream there is open and secured, if there is another one to try.
const ATTEMPT: Duration = Duration::from_secs(10);
/// The port of the DNS.
const DNS_PORT: u16 = 53;

/// Where the server of a domain is looked for, and how it is reached.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// The user says where it is.
    pub(crate) server: Option<Server>,
    /// TLS begins with the connection.
    pub(crate) direct: bool,
    /// Nothing but addresses of this machine will do.
    loopback_only: bool,
    /// Who is asked in place of the system's DNS servers.
    dns: Option<SocketAddr>,
    proxy: Option<Proxy>,
    /// How the user names a server.
    option: &'static str,
}

/// A place where the server of a domain may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// A name, in A-labels, or an address.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// TLS begins with the connection there.
    pub(crate) direct: bool,
    /// The name is whole: this machine's search domains are not appended.
    is_whole: bool,
}

/// Why a server was not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Another one may do.
    Next(Failure),
    /// No other one is to be tried.
    Last(Failure),
    /// It sends us there (RFC 6120 § 4.9.3.19).
    Elsewhere(String),
}

/// What was tried.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    now: Option<Target>,
    failed: Vec<Failure>,
}

impl Way {
    /// The way that options say.
    ///
    /// # Errors
    ///
    /// When one of them cannot be used.
    pub(crate) fn new(
        output: Output,
        server: Option<Server>,
        direct: bool,
        loopback_only: bool,
        args: &WayArgs,
    ) -> Result<Self, Failure> {
        let WayArgs { dns, proxy, proxy_login_file } = args;
        if loopback_only && proxy.is_some() {
            return Err(Failure::usage(
                "--insecure-plaintext and --proxy do not go together: what goes through a proxy leaves this machine",
            ));
        }
        let proxy = proxy.as_deref().map(Proxy::parse).transpose().map_err(Failure::usage)?;
        let proxy = match (proxy, proxy_login_file) {
            (Some(proxy), Some(file)) => Some(proxy.with_login(output, file)?),
            (None, Some(_)) => return Err(Failure::usage("--proxy-login-file needs --proxy")),
            (proxy, None) => proxy,
        };
        let dns = dns.as_deref().map(dns_server).transpose().map_err(Failure::usage)?;
        Ok(Self { server, direct, loopback_only, dns, proxy, option: "--server HOST:PORT" })
    }

    /// The same where a server is named in another way than by `--server`.
    pub(crate) fn named_by(self, option: &'static str) -> Self {
        Self { option, ..self }
    }

    /// How long connecting and logging in may take together.
    pub(crate) fn patience(&self) -> Duration {
        if self.proxy.is_some() { PATIENCE_WITH_A_PROXY } else { PATIENCE }
    }

    /// Where the server of this domain may be, in the order in which it is to be tried: where the user says, or where the DNS says
    /// (RFC 6120 § 3.2.1), or at the domain itself (§ 3.2.2). There is one at least, and at most [`MAX_TARGETS`]. With a proxy
    /// the DNS is not asked.
    ///
    /// # Errors
    ///
    /// When the DNS says that there is none.
    pub(crate) async fn targets(&self, domain: &DomainPart) -> Result<Vec<Target>, Failure> {
        if let Some(server) = &self.server {
            return Ok(vec![self.at(server)]);
        }
        self.of(&host_of(domain), self.kinds()).await
    }

    /// Where a server sends us that was found at `from`: to what it says, and if that has no port, to where the DNS says
    /// (RFC 6120 § 4.9.3.19).
    ///
    /// # Errors
    ///
    /// When it is no place, or the DNS says that there is no server.
    pub(crate) async fn elsewhere(&self, said: &str, from: &Target) -> Result<Vec<Target>, Failure> {
        let place = Server::split(said).and_then(|(host, port)| {
            let literal = host.parse::<IpAddr>().ok().map(|address| address.to_string());
            Some((literal.or_else(|| DomainPart::new(host).ok()?.to_dns_name())?, port))
        });
        let Some((host, port)) = place else {
            return Err(Failure::connection(format!(
                "the server at {from} sends you to {said}, which is no place: name the right one with {}",
                self.option
            )));
        };
        match port {
            Some(port) => Ok(vec![Target { host, port, direct: from.direct, is_whole: true }]),
            None => self.of(&host, self.kinds()).await,
        }
    }

    /// Connects to one of these places after the other, until `greet` has got something there.
    ///
    /// # Errors
    ///
    /// When none was taken: what is said names each. `Elsewhere` ends it too.
    pub(crate) async fn first_of<T>(
        &self,
        targets: &[Target],
        tried: &mut Tried,
        mut greet: impl AsyncFnMut(&Target, TcpStream) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        *tried = Tried::default();
        for (at, target) in targets.iter().enumerate() {
            tried.now = Some(target.clone());
            match self.reach(target, at + 1 == targets.len(), &mut greet).await {
                Err(Refused::Next(failure)) => tried.failed.push(failure),
                ended => return ended,
            }
        }
        Err(Refused::Next(tried.failure()))
    }

    async fn reach<T>(
        &self,
        target: &Target,
        is_last: bool,
        greet: &mut impl AsyncFnMut(&Target, TcpStream) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let places = self.places(target).await?;
        let mut why = Failure::connection(format!("unknown host {}: it has no address", target.host));
        for (at, place) in places.iter().enumerate() {
            let attempt = async {
                let stream = match (place, &self.proxy) {
                    (Some(address), _) => TcpStream::connect(address).await.map_err(|e| self.closed(target, &e))?,
                    (None, Some(proxy)) => proxy.connect(target).await.map_err(Refused::Next)?,
                    (None, None) => return Err(Refused::Last(Failure::other("there is no way to the server"))),
                };
                greet(target, stream).await
            };
            // The last one has all the time that is left.
            let ended = if is_last && at + 1 == places.len() {
                attempt.await
            } else {
                let silent = || Err(Refused::Next(silent(target)));
                tokio::time::timeout(ATTEMPT, attempt).await.unwrap_or_else(|_| silent())
            };
            match ended {
                Err(Refused::Next(failure)) => why = failure,
                ended => return ended,
            }
        }
        Err(Refused::Next(why))
    }

    /// The addresses to connect to; `None` stands for whatever a proxy connects to.
    async fn places(&self, target: &Target) -> Result<Vec<Option<SocketAddr>>, Refused> {
        if self.proxy.is_some() {
            return Ok(vec![None]);
        }
        let Target { host, port, is_whole, .. } = target;
        let found = Dns::new(self.dns).map_err(Refused::Last)?.addresses(host, *is_whole).await;
        let found = found.map_err(|why| {
            let advice = match host.ends_with(".onion") {
                true => "such a name needs Tor: give its proxy with --proxy socks5://127.0.0.1:9050".to_owned(),
                false => self.advice_on_hosts(),
            };
            Refused::Next(Failure::connection(format!("unknown host {host}: {why}; {advice}")))
        })?;
        if let Some(elsewhere) = found.iter().find(|address| self.loopback_only && !address.is_loopback()) {
            return Err(Refused::Last(Failure::usage(format!(
                "--insecure-plaintext is for loopback addresses only, and {host} is {elsewhere}: leave it out to log in \
                 with TLS"
            ))));
        }
        Ok(found.into_iter().map(|address| Some(SocketAddr::new(address, *port))).collect())
    }

    /// Where the DNS says that the servers of a host, in A-labels, are.
    async fn of(&self, host: &str, kinds: Kinds) -> Result<Vec<Target>, Failure> {
        let direct = kinds == Kinds::Direct;
        let itself = Target { host: host.to_owned(), port: port(direct), direct, is_whole: true };
        if self.proxy.is_some() || host.parse::<IpAddr>().is_ok() {
            return Ok(vec![itself]);
        }
        match Dns::new(self.dns)?.services(host, kinds).await {
            Services::At(records) => {
                let seed = random::<{ 8 * MAX_TARGETS }>()?;
                let mut numbers =
                    seed.chunks_exact(8).map(|bytes| bytes.iter().fold(0, |n, b| (n << 8) | u64::from(*b)));
                Ok(srv::order(records, |most| numbers.next().unwrap_or_default() % (most + 1)))
            }
            // RFC 6120 § 3.2.1, point 3, and XEP-0368 § 5: nothing else is to be tried then.
            Services::Nowhere => Err(Failure::connection(match kinds {
                Kinds::Direct => format!(
                    "{host} has no server where TLS begins with the connection, says its DNS (an SRV record whose target is \
                     a dot): leave out --direct-tls, or name the server with {}",
                    self.option
                ),
                Kinds::Both | Kinds::StartTls => format!(
                    "{host} has no XMPP server for clients, says its DNS (an SRV record whose target is a dot): check the \
                     address, or name the server with {}",
                    self.option
                ),
            })),
            Services::Unknown => Ok(vec![itself]),
        }
    }

    fn at(&self, server: &Server) -> Target {
        let Server { host, port } = server;
        // Names of hosts that are no domains, such as one with an underscore, stay as they are.
        let host = DomainPart::new(host).ok().and_then(|domain| domain.to_dns_name()).unwrap_or_else(|| host.clone());
        Target { host, port: *port, direct: self.direct, is_whole: false }
    }

    fn kinds(&self) -> Kinds {
        match (self.direct, self.loopback_only) {
            (true, _) => Kinds::Direct,
            (false, true) => Kinds::StartTls,
            (false, false) => Kinds::Both,
        }
    }

    fn closed(&self, target: &Target, e: &std::io::Error) -> Refused {
        let advice = self.advice_on_servers();
        Refused::Next(Failure::connection(format!("cannot connect to {target}: {e}; {advice}")))
    }

    fn advice_on_hosts(&self) -> String {
        match &self.server {
            Some(_) => format!("check {}", self.option),
            None => format!("check the address, or name the server with {}", self.option),
        }
    }

    fn advice_on_servers(&self) -> String {
        match &self.server {
            Some(_) => "check that the server runs there".to_owned(),
            None => format!("check that the server runs there, or name another one with {}", self.option),
        }
    }
}

impl Tried {
    /// Which server has not answered.
    pub(crate) fn now(&self) -> String {
        self.now.as_ref().map_or_else(|| "any place".to_owned(), ToString::to_string)
    }

    /// What came of those before, as the end of a line.
    pub(crate) fn before(&self) -> String {
        self.failed.iter().map(|failure| format!("; {}", without_advice(failure))).collect()
    }

    /// All that failed, as one failure.
    fn failure(&mut self) -> Failure {
        let Some(last) = self.failed.pop() else { return Failure::connection("there is no server to connect to") };
        if self.failed.is_empty() {
            return last;
        }
        let before = self.failed.iter().map(|failure| format!("{}; ", without_advice(failure))).collect::<String>();
        Failure::new(last.code, format!("{before}{last}"))
    }
}

/// What follows the semicolon in each line is what to do.
fn without_advice(failure: &Failure) -> &str {
    failure.message.split_once("; ").map_or(failure.message.as_str(), |(what, _)| what)
}

fn silent(target: &Target) -> Failure {
    Failure::connection(format!("no answer at {target} within {} s; try again later", ATTEMPT.as_secs()))
}

fn port(direct: bool) -> u16 {
    if direct { DIRECT_PORT } else { CLIENT_PORT }
}

/// Where the server of a domain is looked for: by its name in the DNS, or at its address.
fn host_of(domain: &DomainPart) -> String {
    let address = || domain.to_ip_address().map(|address| address.to_string());
    domain.to_dns_name().or_else(address).unwrap_or_else(|| domain.to_string())
}

/// Parses `ADDRESS[:PORT]`.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn dns_server(text: &str) -> Result<SocketAddr, String> {
    let server = Server::parse("", text, DNS_PORT).ok();
    let address = server.and_then(|Server { host, port }| Some(SocketAddr::new(host.parse().ok()?, port)));
    address.ok_or_else(|| format!("{text} is no DNS server: give its IP address, with or without a port"))
}

/// Whether this is a proxy.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn check_proxy(url: &str) -> Result<(), String> {
    Proxy::parse(url).map(|_| ())
}

impl Refused {
    /// The failure of whoever is sent nowhere else.
    pub(crate) fn into_failure(self) -> Failure {
        match self {
            Self::Next(failure) | Self::Last(failure) => failure,
            Self::Elsewhere(place) => Failure::connection(format!("the server sends you to {place}")),
        }
    }
}

impl Target {
    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// A failure is the end, unless something else is said.
impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Last(failure)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests;
