//! What a chain has to be beyond what rustls-webpki looks at: it applies constraints to the form of name that they are
//! written in alone, and leaves key usages out.

use webpki::{Error, VerifiedPath};
use x509_parser::extensions::{GeneralName, GeneralSubtree};
use x509_parser::oid_registry::{OID_X509_EXT_KEY_USAGE, OID_X509_EXT_NAME_CONSTRAINTS};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::certificate::{CertificateFault, other_name_domains};

/// The names that an authority vouches for, as its name constraints have them (RFC 5280 § 4.2.1.10).
///
/// Constraints on DNS names bind the domains of XMPP addresses and of services too, which RFC 5280 leaves to constraints of
/// their own form: authorities that are limited have none of that form, since nobody but XMPP looks for such names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Constraints {
    permitted: Vec<String>,
    excluded: Vec<String>,
    /// There are some that are written for other names, and not understood.
    on_other_names: bool,
}

impl Constraints {
    /// Those of a certificate: what cannot be read is an error.
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Result<Self, CertificateFault> {
        let malformed = |_| CertificateFault::Malformed;
        let is_there = certificate.get_extension_unique(&OID_X509_EXT_NAME_CONSTRAINTS).map_err(malformed)?.is_some();
        let Some(extension) = certificate.name_constraints().map_err(malformed)? else {
            return if is_there { Err(CertificateFault::Malformed) } else { Ok(Self::default()) };
        };
        let subtrees = |subtrees: &Option<Vec<GeneralSubtree<'_>>>| -> Vec<String> {
            let dns = |subtree: &GeneralSubtree<'_>| {
                if let GeneralName::DNSName(name) = subtree.base { Some(name.to_ascii_lowercase()) } else { None }
            };
            subtrees.iter().flatten().filter_map(dns).collect()
        };
        let (permitted, excluded) = (&extension.value.permitted_subtrees, &extension.value.excluded_subtrees);
        let mut all = permitted.iter().chain(excluded).flatten();
        Ok(Self {
            permitted: subtrees(permitted),
            excluded: subtrees(excluded),
            on_other_names: all.any(|subtree| matches!(subtree.base, GeneralName::OtherName(..))),
        })
    }

    /// Whether all names of these domains may be vouched for; none stands for a name without a domain in the DNS.
    fn allow(&self, domains: &[Option<String>]) -> bool {
        let is_in = |domain: &str, subtrees: &[String]| subtrees.iter().any(|subtree| is_below(domain, subtree));
        let allows = |domain: &Option<String>| match domain {
            Some(domain) => {
                (self.permitted.is_empty() || is_in(domain, &self.permitted)) && !is_in(domain, &self.excluded)
            }
            None => self.permitted.is_empty() && self.excluded.is_empty(),
        };
        domains.is_empty() || (!self.on_other_names && domains.iter().all(allows))
    }
}

/// § 4.2.1.10: any name that is made by adding labels to the left, or none. With a full stop first it is one at least.
fn is_below(domain: &str, subtree: &str) -> bool {
    let Some(rest) = domain.strip_suffix(subtree) else { return false };
    rest.is_empty() && !subtree.starts_with('.')
        || subtree.is_empty()
        || !rest.is_empty() && (subtree.starts_with('.') || rest.ends_with('.'))
}

/// The domains of the names in a certificate that rustls-webpki does not look at.
pub(super) struct Believed(Vec<Option<String>>);

impl Believed {
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        Self(other_name_domains(certificate))
    }

    /// Whether a path that is good otherwise may vouch for these names. The anchor is trusted by itself: what it may be used
    /// for is not asked.
    pub(super) fn check(&self, path: &VerifiedPath<'_>, anchor: &Constraints) -> Result<(), Error> {
        let check = |constraints: &Constraints| {
            if constraints.allow(&self.0) { Ok(()) } else { Err(Error::NameConstraintViolation) }
        };
        check(anchor)?;
        for issuer in path.intermediate_certificates() {
            let der = issuer.der();
            let (_, issuer) = X509Certificate::from_der(&der).map_err(|_| Error::BadDer)?;
            // RFC 5280 § 6.1.4 (n).
            if !may(&issuer, |usage| usage.key_cert_sign()) {
                return Err(Error::EndEntityUsedAsCa);
            }
            check(&Constraints::of(&issuer).map_err(|_| Error::BadDer)?)?;
        }
        Ok(())
    }
}

/// Whether a certificate's key may be used so: § 4.2.1.3 restricts those alone that say what they are for.
pub(crate) fn may(
    certificate: &X509Certificate<'_>,
    used_so: impl FnOnce(&x509_parser::extensions::KeyUsage) -> bool,
) -> bool {
    match (certificate.get_extension_unique(&OID_X509_EXT_KEY_USAGE), certificate.key_usage()) {
        (Ok(None), _) => true,
        (Ok(Some(_)), Ok(Some(usage))) => used_so(usage.value),
        // What cannot be read allows nothing.
        (Ok(Some(_)), Ok(None) | Err(_)) | (Err(_), _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_5280_4_2_1_10_names_below_a_subtree_are_those_with_labels_added() {
        for domain in ["capulet.lit", "im.capulet.lit", "a.b.capulet.lit"] {
            assert!(is_below(domain, "capulet.lit"), "{domain}");
            assert!(is_below(domain, ""), "{domain}");
            assert_eq!(is_below(domain, ".capulet.lit"), domain != "capulet.lit", "{domain}");
        }
        for domain in ["acapulet.lit", "capulet.lit.example", "lit", "montague.lit", ".lit"] {
            assert!(!is_below(domain, "capulet.lit"), "{domain}");
        }
    }
}
