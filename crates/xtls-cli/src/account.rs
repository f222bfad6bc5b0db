//! The XMPP account to log in with: address, server, password.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::path::Path;

use jid::FullJid;
use zeroize::Zeroizing;

use crate::args::AccountArgs;
use crate::exit::Failure;

/// The port of XMPP client connections (RFC 6120 § 3.2.2).
const CLIENT_PORT: u16 = 5222;
/// Longest password that is read, in bytes.
const MAX_PASSWORD: u64 = 4096;
/// The variable that may hold the password.
const PASSWORD_VARIABLE: &str = "XTLS_PASSWORD";

/// Host and port of the server to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// An account and the way to its server.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) jid: FullJid,
    pub(crate) server: Server,
    pub(crate) protection: Protection,
}

/// How the connection to the server is protected.
#[derive(Debug)]
pub(crate) enum Protection {
    /// STARTTLS; the roots in PEM, or the platform's.
    Tls { roots: Option<Vec<u8>> },
    /// None; loopback addresses only.
    Plaintext,
}

impl Account {
    /// Checks the options of an account and reads the file of roots.
    ///
    /// # Errors
    ///
    /// A usage failure, or a file that cannot be read.
    pub(crate) fn from_args(args: &AccountArgs) -> Result<Self, Failure> {
        if args.jid.node().is_none() {
            return Err(Failure::usage(format!(
                "--jid {} has no account name: give a full address such as juliet@capulet.example/xtls",
                args.jid
            )));
        }
        let server = match &args.server {
            Some(text) => Server::parse(text)?,
            None => Server { host: args.jid.domain().to_string(), port: CLIENT_PORT },
        };
        let protection = if args.insecure_plaintext {
            Protection::Plaintext
        } else {
            let roots = args.ca_file.as_deref().map(|path| read_file("the CA file", path)).transpose()?;
            Protection::Tls { roots }
        };
        Ok(Self { jid: args.jid.clone(), server, protection })
    }
}

impl Server {
    /// Parses `HOST`, `HOST:PORT`, `[ADDRESS]` and `[ADDRESS]:PORT`.
    fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = || {
            Failure::usage(format!(
                "--server {text} is not HOST:PORT; an IPv6 address needs brackets, as in [::1]:5222"
            ))
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
            None => CLIENT_PORT,
        };
        if host.is_empty() {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

/// Reads the password from the file, the environment or the terminal, in this order.
///
/// # Errors
///
/// When there is none: the file cannot be read or is empty, or nobody can be asked.
pub(crate) fn password(args: &AccountArgs) -> Result<Zeroizing<String>, Failure> {
    if let Some(path) = &args.password_file {
        return password_from_file(path);
    }
    if let Some(value) = std::env::var_os(PASSWORD_VARIABLE) {
        let value = value.into_string().map_err(|_| Failure::usage(format!("{PASSWORD_VARIABLE} is not UTF-8")))?;
        return not_empty(Zeroizing::new(value), PASSWORD_VARIABLE);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(format!(
            "no password for {}: give --password-file FILE or set {PASSWORD_VARIABLE}",
            args.jid
        )));
    }
    let typed = rpassword::prompt_password(format!("Password of {}: ", args.jid.to_bare()))
        .map_err(|e| Failure::other(format!("the password cannot be read from the terminal: {e}")))?;
    not_empty(Zeroizing::new(typed), "the password typed")
}

fn password_from_file(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let name = path.display();
    let unreadable =
        |e: std::io::Error| Failure::other(format!("the password file {name} cannot be read: {e}; give another file"));
    let file = File::open(path).map_err(unreadable)?;
    let mut line = Zeroizing::new(String::with_capacity(256));
    BufReader::new(file.take(MAX_PASSWORD)).read_line(&mut line).map_err(unreadable)?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    not_empty(line, &format!("the first line of {name}"))
}

fn not_empty(password: Zeroizing<String>, source: &str) -> Result<Zeroizing<String>, Failure> {
    if password.is_empty() {
        Err(Failure::usage(format!("{source} is empty, a password was expected")))
    } else {
        Ok(password)
    }
}

fn read_file(what: &str, path: &Path) -> Result<Vec<u8>, Failure> {
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
        assert_eq!(Server::parse("localhost:15222").unwrap(), server("localhost", 15222));
        assert_eq!(Server::parse("xmpp.example").unwrap(), server("xmpp.example", 5222));
        assert_eq!(Server::parse("[::1]:7").unwrap(), server("::1", 7));
        assert_eq!(Server::parse("[::1]").unwrap(), server("::1", 5222));
    }

    #[test]
    fn wrong_servers_are_usage_failures() {
        for text in ["", ":5222", "host:", "host:0", "host:x", "host:65536", "::1", "[::1", "[::1]5222"] {
            assert_eq!(Server::parse(text).unwrap_err().code, crate::exit::Code::Usage, "{text}");
        }
    }

    #[test]
    fn only_the_first_line_of_the_password_file_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, " secret \r\nsecond\n").unwrap();
        assert_eq!(password_from_file(&path).unwrap().as_str(), " secret ");
        std::fs::write(&path, "\nsecond\n").unwrap();
        assert!(password_from_file(&path).unwrap_err().message.contains("is empty"));
        assert!(password_from_file(&dir.path().join("absent")).is_err());
    }
}
