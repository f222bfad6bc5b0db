//! What a login is bound to: RFC 5802 § 6, with the rules of XEP-0440 § 3.

use std::fmt;

use xtls::link::Features;
use xtls_stanza::Element;

use super::sasl::{PLUS, SaslFault, offers};
use super::scram::Hash;

/// Which channel bindings a server has (XEP-0440).
pub(super) const SASL_CB: &str = "urn:xmpp:sasl-cb:0";
/// The binding to the connection itself (RFC 9266).
const EXPORTER: &str = "tls-exporter";
/// The binding to the server's certificate (RFC 5929 § 4).
const END_POINT: &str = "tls-server-end-point";

/// What this end of a connection could bind a login to.
#[derive(Clone, Debug, Default)]
pub(super) struct Bindings {
    /// `tls-exporter`, which is there with TLS 1.3: that is what RFC 9266 defines it for without more conditions.
    pub(super) exporter: Option<[u8; 32]>,
    /// `tls-server-end-point`, which most certificates have.
    pub(super) end_point: Option<Vec<u8>>,
}

/// What a login is bound to.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Binding {
    /// This end has none, or none that the server has.
    None,
    /// The server shows none. One that has one knows then that its offer was taken away, and refuses.
    Missing,
    /// To this, of this type.
    To(&'static str, Vec<u8>),
}

impl Binding {
    /// The strongest one that both ends have.
    ///
    /// # Errors
    ///
    /// When somebody has taken away those that every server has.
    pub(super) fn choose(features: &Features, own: &Bindings) -> Result<Self, SaslFault> {
        if own.exporter.is_none() && own.end_point.is_none() {
            return Ok(Self::None);
        }
        if !features.mechanisms.iter().any(|mechanism| mechanism.ends_with(PLUS)) {
            return Ok(Self::Missing);
        }
        let is_usable =
            [Hash::Sha256, Hash::Sha1].iter().any(|hash| offers(features, &format!("{}{PLUS}", hash.mechanism())));
        let announced = features.others.iter().filter(|feature| feature.is("sasl-channel-binding", SASL_CB));
        let types: Vec<&str> =
            announced.flat_map(Element::children).filter_map(|kind| kind.attribute("type")).collect();
        // Rule 7: the stronger one where it is to be had.
        let exporter = own.exporter.map(|exporter| (EXPORTER, exporter.to_vec()));
        let end_point = own.end_point.clone().map(|end_point| (END_POINT, end_point));
        let best = [exporter, end_point].into_iter().flatten().find(|(kind, _)| types.contains(kind));
        if let Some((kind, data)) = best {
            return Ok(if is_usable { Self::To(kind, data) } else { Self::None });
        }
        // Rule 6: each server has to have the binding to its certificate, so that it was taken away. In TLS 1.2 many are older
        // than that rule, and have tls-unique alone.
        if own.exporter.is_some() && !types.is_empty() && !types.contains(&END_POINT) {
            return Err(SaslFault::NoBinding);
        }
        // Those that announce no types are older than RFC 9266, such as ejabberd 23: they mean tls-unique, which TLS 1.3 does
        // not have, and refuse both the exporter and `y`.
        Ok(Self::None)
    }

    /// Whether the mechanism has to be a -PLUS one.
    pub(super) fn is_bound(&self) -> bool {
        matches!(self, Self::To(..))
    }

    /// The header of the client's first message (RFC 5802 § 7).
    pub(super) fn header(&self) -> String {
        match self {
            Self::None => "n,,".to_owned(),
            Self::Missing => "y,,".to_owned(),
            Self::To(kind, _) => format!("p={kind},,"),
        }
    }

    /// What follows the header where both are proven.
    pub(super) fn data(&self) -> &[u8] {
        match self {
            Self::None | Self::Missing => &[],
            Self::To(_, data) => data,
        }
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.header())
    }
}
