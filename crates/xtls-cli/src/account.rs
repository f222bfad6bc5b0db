//! The XMPP account to log in with: address, server, password.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use xtls_stanza::jid::FullJid;
use zeroize::Zeroizing;

use crate::args::AccountArgs;
use crate::exit::Failure;
use crate::output::Output;
use crate::server::ServerTrust;

/// The port of XMPP client connections (RFC 6120 § 3.2.2).
pub(crate) const CLIENT_PORT: u16 = 5222;
/// The port where TLS begins with the connection, by custom (XEP-0368 has none).
pub(crate) const DIRECT_PORT: u16 = 5223;
/// Longest first line of a password file, in bytes.
const MAX_LINE: usize = 4096;
/// The variable that may hold the password.
const PASSWORD_VARIABLE: &str = "XTLS_PASSWORD";

/// Host and port of the server to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// An account and the way to its server.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) jid: FullJid,
    pub(crate) server: Server,
    pub(crate) protection: Protection,
}

/// How the connection to the server is protected.
#[derive(Clone, Debug)]
pub(crate) enum Protection {
    /// By TLS, which begins with the connection if it is `direct`, else by STARTTLS.
    Tls { trust: ServerTrust, direct: bool },
    /// By nothing, even where the server offers TLS; loopback addresses only.
    Plaintext,
}

impl Account {
    /// Checks the options of an account, and reads the certificates that its server is checked against.
    ///
    /// # Errors
    ///
    /// A usage failure, or a file that cannot be read.
    pub(crate) fn from_args(output: Output, args: &AccountArgs) -> Result<Self, Failure> {
        if args.jid.local().is_none() {
            return Err(Failure::usage(format!(
                "--jid {} has no account name: give a full address such as juliet@capulet.example/xtls",
                args.jid
            )));
        }
        let port = if args.direct_tls { DIRECT_PORT } else { CLIENT_PORT };
        let server = match &args.server {
            Some(text) => Server::parse("--server ", text, port)?,
            None => Server { host: host_of(&args.jid), port },
        };
        let protection = if args.insecure_plaintext {
            Protection::Plaintext
        } else {
            let (fingerprints, ca_file) = (&args.server_fingerprints, args.ca_file.as_deref());
            let trust = ServerTrust::new(output, "--server-fingerprint", fingerprints, ca_file)?;
            Protection::Tls { trust, direct: args.direct_tls }
        };
        Ok(Self { jid: args.jid.clone(), server, protection })
    }
}

/// Where the server of an account is looked for: by its name in the DNS, or at its address.
fn host_of(jid: &FullJid) -> String {
    let domain = jid.domain_part();
    let address = || domain.to_ip_address().map(|address| address.to_string());
    domain.to_dns_name().or_else(address).unwrap_or_else(|| domain.to_string())
}

impl Server {
    /// Parses `HOST`, `HOST:PORT`, `[ADDRESS]` and `[ADDRESS]:PORT`; `option` is what stands before it on the command line.
    ///
    /// # Errors
    ///
    /// A usage failure.
    pub(crate) fn parse(option: &str, text: &str, default_port: u16) -> Result<Self, Failure> {
        let wrong = || {
            Failure::usage(format!("{option}{text} is not HOST:PORT; an IPv6 address needs brackets, as in [::1]:5222"))
        };
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(wrong)?) })
        } else {
            match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?,
            None => default_port,
        };
        if host.is_empty() {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

/// Warns of a password file that other users of the machine can read.
pub(crate) fn warn_if_exposed(output: Output, path: &Path) {
    if xtls_store::is_readable_by_all(path) {
        let name = path.display();
        output.warn(&format!("the password file {name} can be read by every user of this machine: chmod 600 {name}"));
    }
}

/// Reads the password from the file, the environment or the terminal, in this order.
///
/// # Errors
///
/// When there is none: the file cannot be read or is empty, or nobody can be asked.
pub(crate) fn password(output: Output, args: &AccountArgs) -> Result<Zeroizing<String>, Failure> {
    if let Some(path) = &args.password_file {
        warn_if_exposed(output, path);
        return not_empty(first_line(path)?, &format!("the first line of {}", path.display()));
    }
    if let Some(value) = std::env::var_os(PASSWORD_VARIABLE) {
        let value = value.into_string().map_err(|_| Failure::usage(format!("{PASSWORD_VARIABLE} is not UTF-8")))?;
        return not_empty(Zeroizing::new(value), PASSWORD_VARIABLE);
    }
    if !crate::output::is_somebody_there() {
        return Err(Failure::usage(format!(
            "no password for {}: give --password-file FILE or set {PASSWORD_VARIABLE}",
            args.jid
        )));
    }
    let typed = rpassword::prompt_password(format!("Password of {}: ", args.jid.to_bare()))
        .map_err(|e| Failure::other(format!("the password cannot be read from the terminal: {e}")))?;
    not_empty(Zeroizing::new(typed), "the password typed")
}

/// The first line of a password file, without its end and a byte order mark before it; it may be empty. No other copy of it is left in memory.
///
/// # Errors
///
/// When the file cannot be read, or the line is longer than 4096 bytes or not UTF-8.
pub(crate) fn first_line(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let name = path.display();
    let unreadable =
        |e: std::io::Error| Failure::other(format!("the password file {name} cannot be read: {e}; give another file"));
    let mut file = File::open(path).map_err(unreadable)?;
    let mut buffer = Zeroizing::new([0; MAX_LINE + 1]);
    let mut filled = 0;
    let line = loop {
        let room = buffer.get_mut(filled..).unwrap_or_default();
        let count = match file.read(room) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            count => count.map_err(unreadable)?,
        };
        filled += count;
        let read = buffer.get(..filled).unwrap_or_default();
        if let Some(end) = read.iter().position(|byte| *byte == b'\n') {
            break read.get(..end).unwrap_or_default();
        }
        if filled > MAX_LINE {
            return Err(Failure::usage(format!("the first line of {name} is longer than {MAX_LINE} bytes")));
        }
        if count == 0 {
            break read;
        }
    };
    match std::str::from_utf8(line) {
        // Some editors write a byte order mark, which nobody types.
        Ok(line) => Ok(Zeroizing::new(line.trim_start_matches('\u{feff}').trim_end_matches('\r').to_owned())),
        Err(_) => Err(Failure::usage(format!("the first line of {name} is not UTF-8"))),
    }
}

fn not_empty(password: Zeroizing<String>, source: &str) -> Result<Zeroizing<String>, Failure> {
    if password.is_empty() {
        Err(Failure::usage(format!("{source} is empty, a password was expected")))
    } else {
        Ok(password)
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

    #[test]
    fn only_the_first_line_of_the_password_file_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, " secret \r\nsecond\n").unwrap();
        assert_eq!(first_line(&path).unwrap().as_str(), " secret ");
        std::fs::write(&path, "\u{feff} secret \r\nsecond\n").unwrap();
        assert_eq!(first_line(&path).unwrap().as_str(), " secret ");
        std::fs::write(&path, "\nsecond\n").unwrap();
        assert_eq!(first_line(&path).unwrap().as_str(), "");
        assert!(not_empty(first_line(&path).unwrap(), "it").unwrap_err().message.contains("is empty"));
        assert!(first_line(&dir.path().join("absent")).is_err());
    }

    #[test]
    fn a_line_is_never_cut_short() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        for end in ["", "\n", "\nsecond"] {
            std::fs::write(&path, "x".repeat(MAX_LINE) + end).unwrap();
            assert_eq!(first_line(&path).unwrap().len(), MAX_LINE);
            std::fs::write(&path, "x".repeat(MAX_LINE + 1) + end).unwrap();
            assert_eq!(first_line(&path).unwrap_err().code, crate::exit::Code::Usage);
        }
        std::fs::write(&path, b"\xff\n").unwrap();
        assert_eq!(first_line(&path).unwrap_err().code, crate::exit::Code::Usage);
    }
}
