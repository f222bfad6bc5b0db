//! What can go wrong with the connection to the server, as one line that says what failed and what to do.

use std::io;
use std::time::Duration;

use rustls::CertificateError;
use rustls_pki_types::ServerName;
use tokio_xmpp::Error;
use tokio_xmpp::error::AuthError;
use xmpp_parsers::sasl::DefinedCondition as SaslCondition;
use xmpp_parsers::stream_error::StreamError;

use crate::account::{Account, Server};
use crate::exit::Failure;

/// The account that an error is about.
pub(super) struct Where<'a> {
    pub(super) account: &'a Account,
}

pub(super) fn unknown_host(server: &Server, e: &io::Error) -> Failure {
    Failure::connection(format!(
        "unknown host {}: {e}; check the address, or name the server with --server HOST:PORT",
        server.host
    ))
}

pub(super) fn refused(server: &Server, e: Option<&io::Error>) -> Failure {
    let why = e.map_or_else(|| "it has no address".to_owned(), ToString::to_string);
    Failure::connection(format!(
        "cannot connect to {} port {}: {why}; check that the server runs there, or give --server HOST:PORT",
        server.host, server.port
    ))
}

pub(super) fn no_answer(server: &Server, waited: Duration) -> Failure {
    Failure::connection(format!(
        "no complete login at {} port {} within {} s: check host and port, and try again later",
        server.host,
        server.port,
        waited.as_secs()
    ))
}

/// The name that the server's certificate must carry: the domain of the account (RFC 6120 § 13.7.2.1).
pub(super) fn server_name(account: &Account) -> Result<ServerName<'static>, Failure> {
    let domain = account.jid.domain().as_str();
    ServerName::try_from(domain.to_owned())
        .map_err(|_| Failure::usage(format!("{domain} is no name that a certificate can be checked against")))
}

/// A stream error, by its condition and its text if there is one (RFC 6120 § 4.9.3).
pub(super) fn stream_error(condition: &str, text: Option<&str>, account: &str) -> Failure {
    let advice = match condition {
        "conflict" => "another client logged in with the same resource: choose another resource in --jid",
        "host-unknown" => "the server does not serve this domain: check --jid and --server",
        "policy-violation" => "the server has a rule against what was sent",
        "system-shutdown" => "the server is shutting down: try again later",
        "not-authorized" => "the server ended the login: check the account",
        _ => "try again later",
    };
    let text = text.map(|text| format!(" ({text})")).unwrap_or_default();
    Failure::connection(format!("the server ended the stream of {account}: {condition}{text}; {advice}"))
}

/// The server closed the connection or the stream without an error.
pub(super) fn gone(domain: &str) -> Failure {
    Failure::connection(format!("the server {domain} closed the connection: log in again"))
}

/// The server does not give a sign of life.
pub(super) fn silent(domain: &str) -> Failure {
    Failure::connection(format!("the server {domain} does not answer any more: check the network, and log in again"))
}

/// Reading or writing failed.
pub(super) fn broken(domain: &str, e: &io::Error) -> Failure {
    Failure::connection(format!("the connection to the server {domain} broke: {e}; log in again"))
}

/// What the server sent is no XMPP.
pub(super) fn not_xmpp(domain: &str, why: &str) -> Failure {
    Failure::connection(format!("what {domain} sent cannot be read as XMPP: {why}; check --server"))
}

impl Where<'_> {
    fn domain(&self) -> &str {
        self.account.jid.domain().as_str()
    }

    pub(super) fn gone(&self) -> Failure {
        gone(self.domain())
    }

    pub(super) fn no_starttls(&self) -> Failure {
        Failure::connection(format!(
            "{} offers no STARTTLS: the login would not be protected; ask its operator, or check --server",
            self.domain()
        ))
    }

    pub(super) fn bad_bind(&self, why: &str) -> Failure {
        Failure::connection(format!(
            "the server refused the resource {}: {why}; choose another one in --jid",
            self.account.jid.resource()
        ))
    }

    pub(super) fn unreadable(&self, e: &tokio_xmpp::xmlstream::ReadError) -> Failure {
        not_xmpp(self.domain(), &e.to_string())
    }

    pub(super) fn stream_error(&self, e: &StreamError) -> Failure {
        let text = e.texts.values().next().map(String::as_str);
        stream_error(&e.condition.to_string(), text, self.account.jid.as_str())
    }

    /// The TLS handshake with the server failed.
    pub(super) fn tls(&self, e: &io::Error) -> Failure {
        let domain = self.domain();
        let reason = e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let (what, advice) = match reason {
            Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => (
                "its certificate is from no trusted authority".to_owned(),
                "if that is expected, give the authority with --ca-file FILE",
            ),
            Some(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => (format!("its certificate is not for {domain}"), "check --server, or ask the operator"),
            Some(rustls::Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            )) => ("its certificate has expired".to_owned(), "check the clock, or ask the operator"),
            Some(other) => (other.to_string(), "check --server and --ca-file"),
            None => (e.to_string(), "check --server"),
        };
        Failure::connection(format!("TLS with the server {domain} failed: {what}; {advice}"))
    }

    /// Stream negotiation or login failed.
    pub(super) fn negotiation(&self, e: Error) -> Failure {
        let domain = self.domain();
        match e {
            Error::Auth(e) => self.login(e),
            Error::StreamError(e) => self.stream_error(&e.0),
            Error::Disconnected => self.gone(),
            // The XML parser's words for an end in the middle of a stream.
            Error::Io(e) if e.to_string().starts_with("invalid eof") => self.gone(),
            Error::Io(e) => match e.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                    not_xmpp(domain, &e.to_string())
                }
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                    self.gone()
                }
                _ => broken(domain, &e),
            },
            other => not_xmpp(domain, &other.to_string()),
        }
    }

    fn login(&self, e: AuthError) -> Failure {
        let account = self.account.jid.to_bare();
        Failure::connection(match e {
            AuthError::Fail(SaslCondition::NotAuthorized) => {
                format!("login refused for {account}: account or password is wrong; check --jid and the password")
            }
            AuthError::Fail(condition) => {
                format!("login refused for {account}: {condition:?}; ask the server's operator")
            }
            AuthError::NoMechanism => format!(
                "login refused for {account}: the server offers no way to log in that is safe here (SCRAM or PLAIN); \
                 if it wants TLS, leave out --insecure-plaintext"
            ),
            AuthError::Sasl(e) => {
                format!("login of {account} broken off: the server's part of it is wrong ({e}); check --server")
            }
            AuthError::ComponentFail => format!("login refused for {account}"),
        })
    }
}
