//! What can go wrong with the connection to the server, as one line that says what failed and what to do.

use std::time::Duration;

use xtls::link::{ClientLink, DirectFault, StartTlsFault, StreamCondition, StreamError};
use xtls::tls::{CertificateFault, TlsError, TlsErrorKind};
use xtls::trust::Fingerprint;
use xtls::{CloseReason, Fault};
use xtls_stanza::jid::{BareJid, FullJid};

use super::sasl::SaslFault;
use crate::account::{Account, Protection};
use crate::exit::{Code, Failure};
use crate::way::Tried;

/// Words about the connection of this account.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'a> {
    pub(super) account: &'a Account,
}

impl Words<'_> {
    /// Whose server it has to be: the domain of the account (RFC 6120 § 13.7.2.1).
    pub(super) fn domain(&self) -> BareJid {
        self.account.jid.domain_part().into()
    }

    pub(super) fn no_answer(&self, tried: &Tried, waited: Duration) -> Failure {
        Failure::connection(format!(
            "no complete login at {} within {} s: check host and port, and try again later{}",
            tried.now(),
            waited.as_secs(),
            tried.before()
        ))
    }

    /// What failed at the place that the server has sent us to: not the user has named it.
    pub(super) fn failed_elsewhere(&self, place: &str, failure: &Failure) -> Failure {
        let code = if failure.code == Code::Usage { Code::Connection } else { failure.code };
        Failure::new(code, format!("the server sends you to {place}, and there: {failure}"))
    }

    /// It sends us to a second place after the first (RFC 6120 § 4.9.3.19).
    pub(super) fn sent_on(&self, first: &str, second: &str) -> Failure {
        Failure::connection(format!(
            "{} sends you to {first}, and what is there sends you on to {second}, which is not followed: if that is right, \
             give it with --server",
            self.server()
        ))
    }

    /// The server requires TLS, and there is to be none.
    pub(super) fn wants_tls(&self) -> Failure {
        Failure::connection(format!("{} lets nobody log in without TLS: leave out --insecure-plaintext", self.server()))
    }

    pub(super) fn bad_bind(&self, wanted: &FullJid, why: &str) -> Failure {
        let resource = wanted.resource();
        Failure::connection(format!("the server refused the resource {resource}: {why}; choose another one in --jid"))
    }

    pub(super) fn sasl(&self, fault: SaslFault) -> Failure {
        let account = self.account.jid.to_bare();
        Failure::connection(match fault {
            SaslFault::Refused { condition, .. } if condition == "not-authorized" => {
                format!("login refused for {account}: account or password is wrong; check --jid and the password")
            }
            SaslFault::Refused { condition, text } => {
                let text = text.map(|text| format!(" ({text})")).unwrap_or_default();
                format!("login refused for {account}: {condition}{text}; ask the server's operator")
            }
            SaslFault::NoMechanism(offered) => {
                let offered = if offered.is_empty() { "none at all".to_owned() } else { offered.join(", ") };
                let advice = match self.account.protection {
                    Protection::Plaintext => "; if it wants TLS, leave out --insecure-plaintext",
                    Protection::Tls { .. } => "",
                };
                format!(
                    "login refused for {account}: the server offers no way to log in that is safe here (SCRAM or PLAIN), \
                     but {offered}{advice}"
                )
            }
            SaslFault::NoBinding => format!(
                "login of {account} broken off: the server binds logins to TLS, and what it says of how leaves out what \
                 every server has; somebody may be in between"
            ),
            SaslFault::NoRandom => return Failure::other("the operating system gives no random numbers"),
            SaslFault::Broken(why) => {
                format!("login of {account} broken off: the server's part of it is wrong ({why}); check --server")
            }
        })
    }

    /// The link has ended.
    pub(super) fn ended(&self, link: &ClientLink, reason: &CloseReason) -> Failure {
        let CloseReason::Fault(fault) = reason else { return self.gone() };
        let was_in_clear = link.security().is_none() && matches!(self.account.protection, Protection::Tls { .. });
        // One that does not offer TLS may end the stream when it is asked for it.
        let has_no_tls = was_in_clear && link.clear_features().is_some_and(|features| features.starttls.is_none());
        match &**fault {
            Fault::NoTls | Fault::StartTls(StartTlsFault::Refused | StartTlsFault::NotOffered) => self.no_tls(),
            Fault::Link(_) | Fault::EndedEarly { .. } | Fault::Timeout { .. } if has_no_tls => self.no_tls(),
            Fault::Link(DirectFault::Reported(error)) => self.stream_error(error),
            Fault::EndedEarly { .. } => self.gone(),
            Fault::Tls(error) => self.tls(error),
            Fault::CertificateChanged { presented, .. } | Fault::NotTrusted { fingerprint: presented } => {
                self.certificate(*presented, "it is none of those that were given with --server-fingerprint")
            }
            Fault::NotXmpp { looks_like: Some("TLS") } => Failure::connection(format!(
                "{} begins with TLS at this port: give --direct-tls, or the port for STARTTLS with --server",
                self.server()
            )),
            Fault::NotXmpp { .. } | Fault::Link(DirectFault::Stream(_)) => self.not_xmpp(fault),
            Fault::Timeout { .. } => {
                Failure::connection(format!("{} does not answer: check --server, and try again later", self.server()))
            }
            fault if fault.is_security() => Failure::security(format!(
                "the connection to {} is not safe: {fault}; somebody may be in between",
                self.server()
            )),
            fault => self.not_xmpp(fault),
        }
    }

    /// The server does not give a sign of life.
    pub(super) fn silent(&self) -> Failure {
        Failure::connection(format!("{} does not answer any more: check the network, and log in again", self.server()))
    }

    /// A stream error, with what the server says of it (RFC 6120 § 4.9.3).
    fn stream_error(&self, error: &StreamError) -> Failure {
        use StreamCondition as Condition;
        let advice = match error.condition {
            Condition::Conflict => "another client logged in with the same resource: choose another resource in --jid",
            Condition::HostUnknown | Condition::HostGone => {
                "the server does not serve this domain: check --jid and --server"
            }
            Condition::PolicyViolation if error.may_be_size() => {
                "a stanza was larger than it takes: try again, they will be smaller"
            }
            Condition::PolicyViolation => "the server has a rule against what was sent",
            Condition::SystemShutdown => "the server is shutting down: try again later",
            Condition::NotAuthorized => "the server ended the login: check the account",
            Condition::SeeOtherHost => "the server sends you elsewhere: log in again, or give that with --server",
            _ => "try again later",
        };
        let account = &self.account.jid;
        Failure::connection(format!("the server ended the stream of {account}: {error}; {advice}"))
    }

    /// The server closed the connection or the stream without an error.
    fn gone(&self) -> Failure {
        Failure::connection(format!("{} closed the connection: log in again", self.server()))
    }

    fn no_tls(&self) -> Failure {
        Failure::connection(format!(
            "{} offers no STARTTLS: the login would not be protected; ask its operator, or check --server",
            self.server()
        ))
    }

    /// What the server sent is no XMPP.
    fn not_xmpp(&self, fault: &Fault) -> Failure {
        let domain = self.account.jid.domain();
        Failure::connection(format!("what {domain} sent cannot be read as XMPP: {fault}; check --server"))
    }

    /// The TLS handshake failed.
    fn tls(&self, error: &TlsError) -> Failure {
        let (what, advice) = match error.kind() {
            TlsErrorKind::BadCertificate { presented, fault } => {
                let domain = self.account.jid.domain();
                return match fault {
                    CertificateFault::WrongServer { .. } => {
                        self.certificate(*presented, &format!("it is not for {domain}: {fault}"))
                    }
                    fault => self.certificate(*presented, &fault.to_string()),
                };
            }
            TlsErrorKind::NotTls => ("it does not speak TLS there".to_owned(), "check --server and --direct-tls"),
            TlsErrorKind::PeerIncompatible(what) => (what.clone(), "ask its operator for TLS 1.3"),
            kind => (kind.to_string(), "check --server"),
        };
        Failure::connection(format!("TLS with {} failed: {what}; {advice}", self.server()))
    }

    /// The certificate was not taken.
    fn certificate(&self, presented: Option<Fingerprint>, why: &str) -> Failure {
        let shown = presented.map(|presented| format!(" {presented}")).unwrap_or_default();
        Failure::security(format!(
            "TLS with {} failed: its certificate{shown} was not taken: {why}; ask its operator, and if it is meant give \
             --ca-file FILE or --server-fingerprint FINGERPRINT",
            self.server()
        ))
    }

    fn server(&self) -> String {
        format!("the server {}", self.account.jid.domain())
    }
}
