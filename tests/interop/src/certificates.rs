//! Certificates for servers: those that a client should take, and those that it should not.

use std::fs;
use std::path::Path;
use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
    date_time_ymd,
};

/// What is to be said of a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Certificate {
    /// The authority issued it, for the server's domain, and its dates are right.
    Good,
    /// As a good one, and its time is over.
    Expired,
    /// As a good one, for another domain.
    WrongName,
    /// For the server's domain, by itself.
    SelfSigned,
    /// The same, and it says that it is an authority's, as `openssl req -x509` makes it; there is no other authority.
    OpenSsl,
    /// The same as Prosody's generator makes it: the domain as DNS name, address and services.
    ProsodyGenerator,
    /// As a good one, and it names the domain by its service for clients alone (SRV-ID).
    Service,
    /// As a good one, and it names the domain as an XMPP address alone.
    Address,
}

/// What `prosodyctl cert generate` gives to `openssl req -x509` (util/openssl.lua).
const PROSODY_GENERATOR: &str = "[req]
distinguished_name = distinguished_name
x509_extensions = selfsigned
prompt = no
[distinguished_name]
commonName = A server for tests
[selfsigned]
basicConstraints = CA:TRUE
subjectAltName = @subject_alternative_name
[subject_alternative_name]
DNS.0 = DOMAIN
otherName.0 = 1.3.6.1.5.5.7.8.5;FORMAT:UTF8,UTF8:DOMAIN
otherName.1 = 1.3.6.1.5.5.7.8.7;IA5STRING:_xmpp-client.DOMAIN
otherName.2 = 1.3.6.1.5.5.7.8.7;IA5STRING:_xmpp-server.DOMAIN
";

impl Certificate {
    /// Writes an authority (`ca.pem`) and a certificate with its key (`server.pem`, `server.key`) into a directory.
    pub(crate) fn write(self, dir: &Path, domain: &str) {
        match self {
            Self::OpenSsl => {
                return openssl(
                    dir,
                    &["-subj", "/CN=A server for tests", "-addext", &format!("subjectAltName=DNS:{domain}")],
                );
            }
            Self::ProsodyGenerator => {
                let config = dir.join("openssl.cnf");
                fs::write(&config, PROSODY_GENERATOR.replace("DOMAIN", domain)).expect("a configuration is written");
                return openssl(dir, &["-config", &config.display().to_string()]);
            }
            Self::Good | Self::Expired | Self::WrongName | Self::SelfSigned | Self::Service | Self::Address => {}
        }
        let authority_key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "Authority for tests");
        let authority = params.self_signed(&authority_key).expect("an authority");
        let issuer = Issuer::new(params, authority_key);

        let key = KeyPair::generate().expect("a key");
        let name = if self == Self::WrongName { "elsewhere.example" } else { domain };
        let name = idna::domain_to_ascii(name).expect("a domain");
        let mut params = CertificateParams::new(vec![name]).expect("parameters");
        match self {
            Self::Service => {
                params.subject_alt_names.clear();
                params.custom_extensions.push(service(domain));
            }
            Self::Address => {
                let address = (vec![1, 3, 6, 1, 5, 5, 7, 8, 5], domain.into());
                params.subject_alt_names = vec![SanType::OtherName(address)];
            }
            Self::Good
            | Self::Expired
            | Self::WrongName
            | Self::SelfSigned
            | Self::OpenSsl
            | Self::ProsodyGenerator => {}
        }
        params.distinguished_name.push(DnType::CommonName, "A server for tests");
        // ejabberd cannot count the days of an end as late as the one that is the default here.
        let (from, until) = if self == Self::Expired { (2001, 2002) } else { (2020, 2049) };
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        let certificate = if self == Self::SelfSigned {
            params.self_signed(&key)
        } else {
            params.use_authority_key_identifier_extension = true;
            params.signed_by(&key, &issuer)
        };
        let certificate = certificate.expect("a certificate");
        for (name, text) in
            [("ca.pem", authority.pem()), ("server.pem", certificate.pem()), ("server.key", key.serialize_pem())]
        {
            fs::write(dir.join(name), text).expect("a certificate is written");
        }
    }
}

/// The service of clients as the only name in a certificate (RFC 4985), in DER.
fn service(domain: &str) -> CustomExtension {
    const ID_ON_DNS_SRV: [u8; 10] = [6, 8, 0x2B, 6, 1, 5, 5, 7, 8, 7];
    let tagged = |tag: u8, content: &[u8]| {
        let length = u8::try_from(content.len()).ok().filter(|length| *length < 128).expect("a short name");
        [&[tag, length], content].concat()
    };
    let text = tagged(0xA0, &tagged(0x16, format!("_xmpp-client.{domain}").as_bytes()));
    let names = tagged(0x30, &tagged(0xA0, &[&ID_ON_DNS_SRV[..], &text].concat()));
    CustomExtension::from_oid_content(&[2, 5, 29, 17], names)
}

/// Makes a certificate that is its own authority, by OpenSSL.
fn openssl(dir: &Path, options: &[&str]) {
    let output = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "30",
            "-keyout",
            "server.key",
            "-out",
            "server.pem",
        ])
        .args(options)
        .current_dir(dir)
        .output()
        .unwrap_or_else(|e| panic!("openssl cannot be started: {e}; install it (on Debian: apt-get install openssl)"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::copy(dir.join("server.pem"), dir.join("ca.pem")).expect("a certificate is copied");
}
