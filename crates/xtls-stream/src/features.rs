//! Stream features (RFC 6120 § 4.3.2) and the elements that negotiate TLS (§ 5.4.2).

use xtls_stanza::{Element, ElementRef, TlsOffer, ns, write};

/// `<stream:features/>`: what the receiving entity is ready to negotiate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Features {
    /// TLS can be had (§ 5.4.1).
    pub starttls: Option<StartTlsFeature>,
    /// SASL mechanisms by name, in the order they stand (§ 6.4.1); none if there is no `<mechanisms/>`.
    pub mechanisms: Vec<String>,
    /// All others. Of a peer's, those are kept that hold [`Features::MAX_OTHERS`] bytes together; the rest is left out.
    pub others: Vec<Element>,
}

/// The `<starttls/>` among the features.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StartTlsFeature {
    /// Nothing goes without it (§ 5.3.1). That this is absent says nothing (RFC 7590 § 3.1).
    pub required: bool,
    /// Which methods and keys there are (XEP-0250 § 3.3.1).
    pub offer: Option<TlsOffer>,
}

impl Features {
    /// How many bytes the others of a peer's features may hold in memory: 65 536. They come before anybody is authenticated.
    pub const MAX_OTHERS: usize = 64 * 1024;

    /// TLS, with what XEP-0250 says about it.
    #[must_use]
    pub fn tls(offer: Option<TlsOffer>) -> Self {
        Self { starttls: Some(StartTlsFeature { required: false, offer }), ..Self::default() }
    }

    /// SASL mechanisms and other features.
    #[must_use]
    pub fn new(mechanisms: impl IntoIterator<Item = String>, others: Vec<Element>) -> Self {
        Self { starttls: None, mechanisms: mechanisms.into_iter().collect(), others }
    }

    /// Reads `<stream:features/>`; `None` when the element is something else.
    #[must_use]
    pub fn parse(element: ElementRef<'_>) -> Option<Self> {
        if !element.is("features", ns::STREAM) {
            return None;
        }
        let mut features = Self::default();
        let mut held = 0;
        for child in element.children() {
            if child.is("starttls", ns::TLS) {
                let required = child.child("required", ns::TLS).is_some();
                features.starttls = Some(StartTlsFeature { required, offer: TlsOffer::within(child) });
            } else if child.is("mechanisms", ns::SASL) {
                let names = child.children().filter(|name| name.is("mechanism", ns::SASL));
                features.mechanisms.extend(names.map(|name| name.text().trim().to_owned()));
            } else if held <= Self::MAX_OTHERS {
                let other = child.to_element();
                held += other.held_bytes();
                if held <= Self::MAX_OTHERS {
                    features.others.push(other);
                }
            }
        }
        Some(features)
    }

    /// The largest stanza that the server takes on this stream, in bytes, if it says so (XEP-0478 § 3.1). It may say something else
    /// in each features, so those after the login count (§ 4).
    #[must_use]
    pub fn stanza_limit(&self) -> Option<u32> {
        let limits = self.others.iter().find(|feature| feature.is("limits", ns::STREAM_LIMITS))?;
        let bytes = limits.child("max-bytes", ns::STREAM_LIMITS)?.text();
        bytes.trim().parse().ok()
    }

    /// Appends the element, to stand in a stream whose default namespace is `jabber:client` and which binds `stream`.
    pub fn write(&self, out: &mut String) {
        let begin = out.len();
        out.push_str("<stream:features>");
        let empty = out.len();
        if let Some(starttls) = &self.starttls {
            starttls.write(out);
        }
        if !self.mechanisms.is_empty() {
            out.push_str("<mechanisms");
            write::attribute(out, "xmlns", ns::SASL);
            out.push('>');
            for mechanism in &self.mechanisms {
                out.push_str("<mechanism>");
                write::text(out, mechanism);
                out.push_str("</mechanism>");
            }
            out.push_str("</mechanisms>");
        }
        for other in &self.others {
            other.root().write_xml(out, ns::CLIENT);
        }
        if out.len() == empty {
            out.truncate(begin);
            out.push_str("<stream:features/>");
        } else {
            out.push_str("</stream:features>");
        }
    }
}

impl StartTlsFeature {
    fn write(&self, out: &mut String) {
        let required = if self.required { "<required/>" } else { "" };
        tls_element(out, "starttls", required, self.offer.as_ref());
    }
}

/// A nonza of [`ns::TLS`]: `starttls`, `proceed` or `failure`, with XEP-0250's `<offer/>` where there is one.
pub(crate) fn tls_nonza(out: &mut Vec<u8>, name: &'static str, offer: Option<&TlsOffer>) {
    let mut text = String::with_capacity(64);
    tls_element(&mut text, name, "", offer);
    out.extend_from_slice(text.as_bytes());
}

fn tls_element(out: &mut String, name: &'static str, content: &'static str, offer: Option<&TlsOffer>) {
    out.push('<');
    out.push_str(name);
    write::attribute(out, "xmlns", ns::TLS);
    if content.is_empty() && offer.is_none() {
        out.push_str("/>");
        return;
    }
    out.push('>');
    out.push_str(content);
    if let Some(offer) = offer {
        offer.write(out);
    }
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::unwrap_in_result)]
mod tests {
    use xtls_stanza::Limits;

    use super::*;

    fn limit(limits: &str) -> Option<u32> {
        let features = format!("<features xmlns='{}'>{limits}</features>", ns::STREAM);
        let features = Element::parse(&features, &Limits::default()).unwrap();
        Features::parse(features.root()).unwrap().stanza_limit()
    }

    #[test]
    fn xep_0478_3_1_the_limit_of_the_example_is_read() {
        let with = |content: &str| limit(&format!("<limits xmlns='urn:xmpp:stream-limits:0'>{content}</limits>"));
        assert_eq!(with("<max-bytes>10000</max-bytes><idle-seconds>1800</idle-seconds>"), Some(10_000));
        assert_eq!(with("<idle-seconds>1800</idle-seconds><max-bytes> 4294967295 </max-bytes>"), Some(u32::MAX));
        // What is no number of the schema says nothing.
        for other in [
            "",
            "<max-bytes/>",
            "<max-bytes>-1</max-bytes>",
            "<max-bytes>4294967296</max-bytes>",
            "<max-bytes>many</max-bytes>",
        ] {
            assert_eq!(with(other), None, "{other}");
        }
        assert_eq!(limit("<limits xmlns='urn:other'><max-bytes>1</max-bytes></limits>"), None);
        assert_eq!(limit(""), None);
    }
}
