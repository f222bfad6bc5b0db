//! The XMPP account to log in with: address, server, password.

mod password;

use std::path::Path;

use xtls::tls::default_provider;
use xtls_stanza::jid::{FullJid, Jid};

use crate::args::LoginArgs;
use crate::exit::Failure;
use crate::output::Output;
use crate::server::ServerTrust;
use crate::way::Way;

pub(crate) use password::{PASSWORD_FILE, first_line, password, stored_password, warn_if_exposed};

/// The port of XMPP client connections (RFC 6120 § 3.2.2).
pub(crate) const CLIENT_PORT: u16 = 5222;
/// The port where TLS begins with the connection, by custom (XEP-0368 has none).
pub(crate) const DIRECT_PORT: u16 = 5223;
/// The resource of an address that is given without one: peers look for it. What follows it with a hyphen is random.
pub(crate) const RESOURCE: &str = "xtls";

/// Host and port of the server to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// An account and the way to its server.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// With the resource that is asked for.
    pub(crate) jid: FullJid,
    /// The user did not choose the resource: another one will do.
    pub(crate) takes_any_resource: bool,
    pub(crate) way: Way,
    pub(crate) protection: Protection,
}

/// How the connection to the server is protected.
#[derive(Clone, Debug)]
pub(crate) enum Protection {
    /// By TLS.
    Tls { trust: ServerTrust },
    /// By nothing, even where the server offers TLS; loopback addresses only.
    Plaintext,
}

impl Account {
    /// Checks the options of an account, and reads the certificates that its server is checked against.
    ///
    /// # Errors
    ///
    /// A usage failure, or a file that cannot be read.
    pub(crate) fn new(output: Output, jid: &Jid, login: &LoginArgs) -> Result<Self, Failure> {
        if jid.local().is_none() {
            return Err(Failure::usage(format!(
                "--jid {jid} has no account name: give an address such as juliet@capulet.example"
            )));
        }
        let takes_any_resource = jid.resource().is_none();
        let jid = match jid.to_full() {
            Some(jid) => jid,
            None => with_resource(jid, RESOURCE)?,
        };
        let port = if login.direct_tls { DIRECT_PORT } else { CLIENT_PORT };
        let server = login.server.as_deref().map(|text| Server::parse("--server ", text, port)).transpose()?;
        let way = Way::new(output, server, login.direct_tls, login.insecure_plaintext, &login.way)?;
        let protection = if login.insecure_plaintext {
            Protection::Plaintext
        } else {
            let (fingerprints, ca_file) = (&login.server_fingerprints, login.ca_file.as_deref());
            let trust = ServerTrust::new(output, "--server-fingerprint", fingerprints, ca_file)?;
            Protection::Tls { trust }
        };
        Ok(Self { jid, takes_any_resource, way, protection })
    }

    /// Asks for a resource that nobody else has, if any will do.
    ///
    /// # Errors
    ///
    /// When there are no random numbers.
    pub(crate) fn avoid_others(&mut self) -> Result<(), Failure> {
        if self.takes_any_resource {
            self.jid = self.elsewhere()?;
        }
        Ok(())
    }

    /// The address with a random resource.
    ///
    /// # Errors
    ///
    /// When there are no random numbers.
    pub(crate) fn elsewhere(&self) -> Result<FullJid, Failure> {
        let mut random = [0; 8];
        let filled = default_provider().secure_random.fill(&mut random);
        filled.map_err(|_| Failure::other("the operating system gives no random numbers"))?;
        with_resource(&self.jid, &format!("{RESOURCE}-{:016x}", u64::from_be_bytes(random)))
    }
}

fn with_resource(jid: &Jid, resource: &str) -> Result<FullJid, Failure> {
    let full = FullJid::new(&format!("{}/{resource}", jid.to_bare()));
    full.map_err(|e| Failure::usage(format!("{jid} takes no resource: {e}")))
}

impl Server {
    /// Parses `HOST`, `HOST:PORT`, `[ADDRESS]` and `[ADDRESS]:PORT`; `option` is what stands before it on the command line.
    ///
    /// # Errors
    ///
    /// A usage failure.
    pub(crate) fn parse(option: &str, text: &str, default_port: u16) -> Result<Self, Failure> {
        let (host, port) = Self::split(text).ok_or_else(|| Self::no_place(option, text))?;
        Ok(Self { host: host.to_owned(), port: port.unwrap_or(default_port) })
    }

    /// What is said of text that is no such thing.
    pub(crate) fn no_place(option: &str, text: &str) -> Failure {
        Failure::usage(format!("{option}{text} is not HOST:PORT; an IPv6 address needs brackets, as in [::1]:5222"))
    }

    /// The host and the port, which there may be; `None` for what is neither.
    pub(crate) fn split(text: &str) -> Option<(&str, Option<u16>)> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
            }
            None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        if host.is_empty() {
            return None;
        }
        match port {
            Some(port) => port.parse().ok().filter(|port| *port != 0).map(|port| (host, Some(port))),
            None => Some((host, None)),
        }
    }
}

pub(crate) fn read_file(what: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|e| Failure::other(format!("{what} {} cannot be read: {e}; check the path", path.display())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn servers_are_parsed_with_and_without_port() {
        let server = |host: &str, port| Server { host: host.to_owned(), port };
        assert_eq!(Server::parse("--server ", "localhost:15222", CLIENT_PORT).unwrap(), server("localhost", 15222));
        assert_eq!(Server::parse("--server ", "xmpp.example", CLIENT_PORT).unwrap(), server("xmpp.example", 5222));
        assert_eq!(Server::parse("--server ", "[::1]:7", CLIENT_PORT).unwrap(), server("::1", 7));
        assert_eq!(Server::parse("--server ", "[::1]", CLIENT_PORT).unwrap(), server("::1", 5222));
    }

    #[test]
    fn wrong_servers_are_usage_failures() {
        for text in ["", ":5222", "host:", "host:0", "host:x", "host:65536", "::1", "[::1", "[::1]5222"] {
            assert_eq!(
                Server::parse("--server ", text, CLIENT_PORT).unwrap_err().code,
                crate::exit::Code::Usage,
                "{text}"
            );
        }
    }
}
