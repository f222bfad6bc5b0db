//! Probing a server: what RFC 7590 § 3.6 wants users to be able to learn, and what the server offers.

use std::slice;
use std::time::Duration;

use tokio::net::TcpStream;
use xtls::link::{LinkConfig, LinkEvent, ServerTerms};
use xtls::{
    CloseReason, Fault, Identity, Security, TrustDecision, TrustPolicy,
    link::Features,
    tls::{KeyAlgorithm, PeerCertificate, TlsErrorKind},
    trust::Fingerprint,
};
use xtls_stanza::jid::BareJid;

use crate::account::{CLIENT_PORT, DIRECT_PORT, Server};
use crate::args::{self, ProbeArgs};
use crate::clock;
use crate::data::DataDir;
use crate::exit::{Code, Failure};
use crate::output::{self, Output, Report};
use crate::server::{Client, ServerTrust};
use crate::session::{shows_interference, tell};
use crate::way::{Refused, Target, Tried, Way};
use crate::wire::{self, wire};

/// A connection with a link to a server on it.
type Wire = wire::Wire<xtls::link::Client>;

/// The account in whose name the stream is opened inside TLS; nobody logs in to it.
const NOBODY: &str = "probe";

/// What is to be probed, and whom to believe.
struct Probe {
    way: Way,
    domain: BareJid,
    trust: ServerTrust,
    identity: Identity,
    jid: BareJid,
}

/// A server that was taken for what it says.
struct Seen {
    security: Box<Security>,
    clear: Option<Features>,
    features: Features,
}

pub(crate) async fn run(output: Output, data: &DataDir, args: &ProbeArgs) -> Result<(), Failure> {
    let probe = Probe::from_args(output, args)?;
    let mut servers = data.servers()?;
    let wait = Duration::from_secs(args.server.timeout);
    let mut tried = Tried::default();
    let looked = tokio::time::timeout(wait, probe.look(&mut tried)).await;
    let (at, looked) = looked.unwrap_or_else(|_| Err(probe.no_answer(&tried, wait)))?;
    let last = servers.last(&probe.domain);
    let changed = |now: Fingerprint| last.filter(|last| *last != now);
    let domain = probe.domain.as_str();
    let (wire, seen) = match looked {
        Looked::Taken(wire, seen) => (wire, seen),
        Looked::Refused(fault) => {
            if let Some(presented) = presented(&fault) {
                // Only the whole certificate tells why, and the handshake that failed does not give it.
                let shown = tokio::time::timeout(wait, probe.certificate(&at)).await.ok().flatten();
                if let Some(shown) = shown.filter(|shown| shown.fingerprint_sha256() == presented) {
                    let mut certificate = output::Certificate::new(domain, &shown);
                    certificate.refused = Some(probe.refusal(&fault));
                    certificate.changed_from = changed(presented).map(|last| last.to_string());
                    tell(output, &Report::Certificate(certificate))?;
                }
            }
            return Err(probe.failure(&at, &fault));
        }
    };
    if let Some(shown) = &seen.security.certificate {
        let now = shown.fingerprint_sha256();
        let mut certificate = output::Certificate::new(domain, shown);
        certificate.changed_from = changed(now).map(|last| last.to_string());
        tell(output, &Report::Certificate(certificate))?;
        if let Some(last) = changed(now) {
            output.warn(&format!("the certificate of {domain} is not the one of last time, which was {last}"));
        }
        if seen.security.out_of_date {
            output.warn(&format!("the certificate of {domain} is outside its dates"));
        }
        servers.remember(&probe.domain, now, clock::unix().as_secs())?;
    }
    tell(output, &Report::Server(probe.report(&at, &seen)))?;
    wire::end(*wire).await;
    if starttls(seen.clear.as_ref()) == Some(MISSING) {
        return Err(Failure::security(format!(
            "STARTTLS works at {domain} although it is not offered: somebody on the way takes the offer away, so that \
             clients would go on in clear"
        )));
    }
    Ok(())
}

/// How a look at the server came out.
enum Looked {
    /// With the connection, which is still open.
    Taken(Box<Wire>, Seen),
    Refused(Box<Fault>),
}

impl Probe {
    fn from_args(output: Output, args: &ProbeArgs) -> Result<Self, Failure> {
        let (host, port) = Server::split(&args.target).ok_or_else(|| Server::no_place("", &args.target))?;
        let domain = match &args.server.domain {
            Some(domain) => domain.clone(),
            None => args::domain(host)
                .map_err(|e| Failure::usage(format!("{host} is no XMPP domain: {e}; give one with --domain NAME")))?,
        };
        // A name that may be that of the domain alone is no host.
        let is_host = port.is_some() || args.server.domain.is_some();
        let default_port = if args.direct_tls { DIRECT_PORT } else { CLIENT_PORT };
        let server = is_host.then(|| Server { host: host.to_owned(), port: port.unwrap_or(default_port) });
        let way = Way::new(output, server, args.direct_tls, false, &args.way)?.named_by("HOST:PORT");
        let trust = ServerTrust::new(output, "--trust", &args.fingerprints, args.ca_file.as_deref())?;
        let jid = format!("{NOBODY}@{domain}").parse().map_err(|e| Failure::other(format!("{domain}: {e}")))?;
        let identity = Identity::generate(&jid, KeyAlgorithm::default(), clock::unix())
            .map_err(|e| Failure::other(format!("no certificate can be made: {e}")))?;
        Ok(Self { way, domain, trust, identity, jid })
    }

    /// Connects, and waits until a server has said what it offers. Gives where it is.
    async fn look(&self, tried: &mut Tried) -> Result<(Target, Looked), Failure> {
        let targets = self.way.targets(&self.domain.domain_part()).await?;
        let found = self.way.first_of(&targets, tried, async |target, stream| {
            Ok((target.clone(), self.look_at(target, stream).await?))
        });
        found.await.map_err(Refused::into_failure)
    }

    async fn look_at(&self, target: &Target, stream: TcpStream) -> Result<Looked, Refused> {
        let mut wire = self.wire(target, stream, self.trust.policy())?;
        loop {
            match wire::event(&mut wire).await {
                LinkEvent::Features(features) => {
                    let Some(security) = wire.link().security().cloned().map(Box::new) else {
                        return Err(Failure::other("the link is open and not secured").into());
                    };
                    let clear = wire.link().clear_features().cloned();
                    return Ok(Looked::Taken(Box::new(wire), Seen { security, clear, features }));
                }
                LinkEvent::Closed(closed) => {
                    let CloseReason::Fault(fault) = closed.reason else {
                        return Err(Refused::Next(self.gone(target)));
                    };
                    // Whoever is no server of the domain is told of at once, and not passed over.
                    let failure = self.failure(target, &fault);
                    return match failure.code {
                        Code::Security => Ok(Looked::Refused(fault)),
                        _ => Err(Refused::Next(failure)),
                    };
                }
                _ => {}
            }
        }
    }

    /// The certificate that the server has, whoever vouches for it. Nothing is sent to that server but the handshake.
    async fn certificate(&self, at: &Target) -> Option<PeerCertificate> {
        let mut tried = Tried::default();
        let connected = self.way.first_of(slice::from_ref(at), &mut tried, async |target, stream| {
            Ok(self.wire(target, stream, TrustPolicy::Ask)?)
        });
        let mut wire = connected.await.ok()?;
        loop {
            match wire::event(&mut wire).await {
                LinkEvent::TrustRequired { question } => {
                    // It was asked just now.
                    let _ = wire.with_link(|link, now| link.trust(now, TrustDecision::Refuse));
                    wire::end(wire).await;
                    return Some(question.certificate);
                }
                LinkEvent::Closed(_) => return None,
                _ => {}
            }
        }
    }

    fn wire(&self, target: &Target, stream: TcpStream, policy: TrustPolicy) -> Result<Wire, Failure> {
        let mut terms = ServerTerms::new(policy);
        terms.direct_tls = target.direct;
        let client = Client { jid: &self.jid, identity: &self.identity, domain: &self.domain };
        Ok(wire(stream, client.link(Some(&self.trust), &terms, LinkConfig::default())?))
    }

    fn report<'a>(&'a self, at: &Target, seen: &'a Seen) -> output::Server<'a> {
        let Seen { security, clear, features } = seen;
        let names = |features: &'a Features| features.mechanisms.iter().map(String::as_str).collect();
        output::Server {
            domain: self.domain.as_str(),
            address: at.address(),
            authenticated_by: security.authenticated_by.as_str(),
            tls_version: security.tls.version.to_string(),
            cipher_suite: security.tls.cipher_suite,
            group: security.tls.group,
            resumed: security.tls.resumed,
            starttls: if at.direct { None } else { starttls(clear.as_ref()) },
            mechanisms_in_clear: clear.as_ref().map(names).unwrap_or_default(),
            mechanisms: names(features),
            features: features
                .others
                .iter()
                .map(|feature| output::Feature { name: feature.name(), namespace: feature.ns() })
                .collect(),
        }
    }

    /// Why a certificate was not taken, in words about it.
    fn refusal(&self, fault: &Fault) -> String {
        match fault {
            Fault::Tls(error) => match error.kind() {
                TlsErrorKind::BadCertificate { fault, .. } => fault.to_string(),
                _ => error.to_string(),
            },
            Fault::CertificateChanged { .. } => "it is none of those that were given with --trust".to_owned(),
            fault => fault.to_string(),
        }
    }

    /// Why the server was not taken, and what to do.
    fn failure(&self, at: &Target, fault: &Fault) -> Failure {
        let (domain, address) = (&self.domain, at.address());
        if let Some(presented) = presented(fault) {
            return Failure::security(format!(
                "the server at {address} is not verified as that of {domain}, its certificate {presented} is not taken: \
                 {}; ask its operator, or give --ca-file or --trust",
                self.refusal(fault)
            ));
        }
        match fault {
            Fault::NoTls | Fault::StartTls(_) => Failure::security(format!(
                "the server of {domain} at {address} does not begin TLS: {fault}; a login there would not be protected"
            )),
            fault if is_not_tls(fault) => Failure::connection(format!(
                "what the server of {domain} at {address} speaks is not TLS: check host, port and --direct-tls"
            )),
            Fault::EndedEarly { .. } => {
                Failure::connection(format!("the server of {domain} at {address} broke off: {fault}; try again later"))
            }
            Fault::Tls(error) if !shows_interference(error.kind()) => Failure::security(format!(
                "the connection to {domain} at {address} cannot be secured: {error}; ask its operator for TLS 1.3"
            )),
            fault if fault.is_security() => Failure::security(format!(
                "the connection to {domain} at {address} is not safe: {fault}; the connection may be intercepted"
            )),
            fault => Failure::connection(format!(
                "the server of {domain} at {address} cannot be used: {fault}; check host, port and --direct-tls"
            )),
        }
    }

    fn gone(&self, at: &Target) -> Failure {
        let (domain, address) = (&self.domain, at.address());
        Failure::connection(format!("the server of {domain} at {address} closed the connection: try again"))
    }

    fn no_answer(&self, tried: &Tried, waited: Duration) -> Failure {
        Failure::connection(format!(
            "the server of {} at {} has not said what it offers within {} s: check host and port, or give it more \
             --timeout{}",
            self.domain,
            tried.now(),
            waited.as_secs(),
            tried.before()
        ))
    }
}

/// What [`starttls`] says of a server that does not offer it.
const MISSING: &str = "missing";

/// What a server said of STARTTLS; `None` where it was not asked.
fn starttls(clear: Option<&Features>) -> Option<&'static str> {
    Some(match &clear?.starttls {
        Some(starttls) if starttls.required => "required",
        Some(_) => "offered",
        None => MISSING,
    })
}

/// Whether something else came where TLS should have been.
fn is_not_tls(fault: &Fault) -> bool {
    matches!(fault, Fault::Tls(error) if *error.kind() == TlsErrorKind::NotTls)
}

/// The certificate that was not taken.
fn presented(fault: &Fault) -> Option<Fingerprint> {
    match fault {
        Fault::Tls(error) => match error.kind() {
            TlsErrorKind::BadCertificate { presented, .. } => *presented,
            _ => None,
        },
        Fault::CertificateChanged { presented, .. } => *presented,
        Fault::NotTrusted { fingerprint } => *fingerprint,
        _ => None,
    }
}
