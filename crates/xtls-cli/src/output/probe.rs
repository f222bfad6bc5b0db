//! What `xtls probe` tells.

use std::io::{self, Write};

use serde::Serialize;
use xtls::tls::PeerCertificate;

use super::{Shown, human};
use crate::clock;

/// The members of the `certificate` event.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Certificate<'a> {
    pub(crate) domain: &'a str,
    subject: &'a str,
    issuer: &'a str,
    serial: &'a str,
    /// Names of hosts, services and XMPP addresses.
    dns_names: &'a [String],
    services: &'a [String],
    xmpp_addresses: Vec<&'a str>,
    /// RFC 3339.
    not_before: String,
    not_after: String,
    key: &'a str,
    signed_by: &'a str,
    sha1: Option<String>,
    sha256: String,
    /// Why it was not taken; none if it was.
    pub(crate) refused: Option<String>,
    /// The one of last time, if it was another one.
    pub(crate) changed_from: Option<String>,
    /// All of it, for people.
    #[serde(skip)]
    text: String,
}

/// The members of the `server` event.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Server<'a> {
    pub(crate) domain: &'a str,
    pub(crate) address: String,
    pub(crate) authenticated_by: &'a str,
    pub(crate) tls_version: String,
    pub(crate) cipher_suite: &'a str,
    pub(crate) group: &'a str,
    pub(crate) resumed: bool,
    /// `required`, `offered` or `missing`; none where TLS began with the connection.
    pub(crate) starttls: Option<&'static str>,
    /// SASL mechanisms in clear, and inside TLS.
    pub(crate) mechanisms_in_clear: Vec<&'a str>,
    pub(crate) mechanisms: Vec<&'a str>,
    /// What else is offered inside TLS.
    pub(crate) features: Vec<Feature<'a>>,
}

/// A stream feature.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Feature<'a> {
    pub(crate) name: &'a str,
    pub(crate) namespace: &'a str,
}

impl<'a> Certificate<'a> {
    pub(crate) fn new(domain: &'a str, shown: &'a PeerCertificate) -> Self {
        Self {
            domain,
            subject: shown.subject(),
            issuer: shown.issuer(),
            serial: shown.serial(),
            dns_names: shown.dns_names(),
            services: shown.srv_names(),
            xmpp_addresses: shown.xmpp_addrs().iter().map(|address| address.as_str()).collect(),
            not_before: clock::rfc3339(shown.not_before()),
            not_after: clock::rfc3339(shown.not_after()),
            key: shown.key_description(),
            signed_by: shown.signature_algorithm(),
            sha1: shown.fingerprint(xtls::trust::HashAlgo::Sha1).map(|sha1| sha1.hex()),
            sha256: shown.fingerprint_sha256().hex(),
            refused: None,
            changed_from: None,
            text: shown.to_string(),
        }
    }

    pub(super) fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "* certificate of {}", Shown(self.domain))?;
        for line in self.text.lines() {
            writeln!(out, "    {line}")?;
        }
        if let Some(why) = &self.refused {
            writeln!(out, "    NOT TRUSTED: {}", Shown(why))?;
        }
        if let Some(last) = &self.changed_from {
            writeln!(out, "    WARNING: this is not the certificate of last time:")?;
            human::fingerprint(out, "last time", last, "")?;
        }
        Ok(())
    }
}

impl Server<'_> {
    pub(super) fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "* server of {} at {}", Shown(self.domain), Shown(&self.address))?;
        let resumed = if self.resumed { "an earlier session resumed" } else { "a new session" };
        writeln!(out, "    encrypted      {}, {}, {}, {resumed}", self.tls_version, self.cipher_suite, self.group)?;
        writeln!(out, "    authenticated  by {}", self.authenticated_by)?;
        writeln!(out, "    STARTTLS       {}", self.starttls.unwrap_or("not needed: TLS began with the connection"))?;
        if !self.mechanisms_in_clear.is_empty() {
            writeln!(out, "    SASL in clear  {}", Shown(&self.mechanisms_in_clear.join(", ")))?;
        }
        let mechanisms = self.mechanisms.join(", ");
        writeln!(out, "    SASL           {}", Shown(if mechanisms.is_empty() { "none" } else { &mechanisms }))?;
        for Feature { name, namespace } in &self.features {
            writeln!(out, "    offers         {} ({})", Shown(name), Shown(namespace))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use xtls::{Identity, tls::KeyAlgorithm};

    use super::*;

    #[test]
    fn what_makes_a_certificate_suspicious_is_told_to_people() {
        let juliet = Identity::generate(&"juliet@capulet.lit".parse().unwrap(), KeyAlgorithm::default(), clock::unix());
        let juliet = juliet.unwrap();
        let mut certificate = Certificate::new("capulet.lit", juliet.as_peer_certificate());
        let shown = |certificate: &Certificate<'_>| {
            let mut out = Vec::new();
            certificate.human(&mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let text = shown(&certificate);
        assert!(text.starts_with("* certificate of capulet.lit\n    subject: "), "{text}");
        assert!(
            text.contains("\n    XMPP address: juliet@capulet.lit\n") && text.contains("\n    SHA-256: "),
            "{text}"
        );
        assert!(!text.contains("NOT TRUSTED") && !text.contains("WARNING"));
        certificate.refused = Some("why\u{1b}".to_owned());
        certificate.changed_from = Some("sha-256:00".to_owned());
        let more = "    NOT TRUSTED: why\\u{1b}\n    WARNING: this is not the certificate of last time:\n    \
                    last time   sha-256:00\n";
        assert_eq!(shown(&certificate), format!("{text}{more}"));
    }

    #[test]
    fn what_a_server_says_cannot_steer_a_terminal() {
        let server = Server {
            domain: "capulet.lit",
            address: "[::1]:5222".to_owned(),
            authenticated_by: "authority",
            tls_version: "TLS 1.3".to_owned(),
            cipher_suite: "s",
            group: "g",
            resumed: false,
            starttls: Some("offered"),
            mechanisms_in_clear: vec!["PLAIN"],
            mechanisms: vec!["A\n", "B"],
            features: vec![Feature { name: "bind", namespace: "urn:\u{202e}" }],
        };
        let mut out = Vec::new();
        server.human(&mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "* server of capulet.lit at [::1]:5222\n    \
             encrypted      TLS 1.3, s, g, a new session\n    \
             authenticated  by authority\n    \
             STARTTLS       offered\n    \
             SASL in clear  PLAIN\n    \
             SASL           A\\n, B\n    \
             offers         bind (urn:\\u{202e})\n"
        );
    }
}
