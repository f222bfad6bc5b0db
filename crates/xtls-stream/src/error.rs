//! Stream errors (RFC 6120 § 4.9).

use core::fmt;

use xtls_stanza::{Element, ElementRef, Shown, ns, write};

macro_rules! conditions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// A condition of RFC 6120 § 4.9.3. `Display` is its name on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum StreamCondition {
            $($(#[$doc])* $variant,)+
        }

        impl StreamCondition {
            /// All of them, in the order of the RFC.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name of its element.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

conditions! {
    /// § 4.9.3.1: XML that cannot be processed.
    BadFormat = "bad-format",
    /// § 4.9.3.2: a prefix that is missing or not supported.
    BadNamespacePrefix = "bad-namespace-prefix",
    /// § 4.9.3.3: another stream takes this one's place.
    Conflict = "conflict",
    /// § 4.9.3.4: the peer is believed to be gone.
    ConnectionTimeout = "connection-timeout",
    /// § 4.9.3.5: the addressed domain is served no longer.
    HostGone = "host-gone",
    /// § 4.9.3.6: the addressed entity is not served.
    HostUnknown = "host-unknown",
    /// § 4.9.3.7: an address is missing or not a JID.
    ImproperAddressing = "improper-addressing",
    /// § 4.9.3.8: a fault of one's own.
    InternalServerError = "internal-server-error",
    /// § 4.9.3.9: a `from` that is not the authenticated entity.
    InvalidFrom = "invalid-from",
    /// § 4.9.3.10: a namespace of stream or content that is not XMPP's.
    InvalidNamespace = "invalid-namespace",
    /// § 4.9.3.11: XML that does not validate.
    InvalidXml = "invalid-xml",
    /// § 4.9.3.12: data before authentication.
    NotAuthorized = "not-authorized",
    /// § 4.9.3.13: XML that is not well-formed.
    NotWellFormed = "not-well-formed",
    /// § 4.9.3.14: a local policy was violated.
    PolicyViolation = "policy-violation",
    /// § 4.9.3.15: a remote entity is needed and cannot be reached.
    RemoteConnectionFailed = "remote-connection-failed",
    /// § 4.9.3.16: the stream has to be set up anew.
    Reset = "reset",
    /// § 4.9.3.17: not enough resources.
    ResourceConstraint = "resource-constraint",
    /// § 4.9.3.18: XML that XMPP forbids.
    RestrictedXml = "restricted-xml",
    /// § 4.9.3.19: the service is elsewhere: [`StreamError::other_host`].
    SeeOtherHost = "see-other-host",
    /// § 4.9.3.20: the peer shuts down.
    SystemShutdown = "system-shutdown",
    /// § 4.9.3.21: none of the others.
    UndefinedCondition = "undefined-condition",
    /// § 4.9.3.22: not UTF-8.
    UnsupportedEncoding = "unsupported-encoding",
    /// § 4.9.3.23: a mandatory feature is not supported.
    UnsupportedFeature = "unsupported-feature",
    /// § 4.9.3.24: a first-level child that is not supported.
    UnsupportedStanzaType = "unsupported-stanza-type",
    /// § 4.9.3.25: a version of XMPP that is not supported.
    UnsupportedVersion = "unsupported-version",
}

/// A `<stream:error/>`: it ends the stream that it stands in (RFC 6120 § 4.9.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamError {
    /// What is wrong.
    pub condition: StreamCondition,
    /// More about it, for people.
    pub text: Option<String>,
    /// The language of `text`.
    pub lang: Option<String>,
    /// Where the service is, with [`StreamCondition::SeeOtherHost`]: a host name or address, a port after a colon.
    pub other_host: Option<String>,
    /// The application's own condition (§ 4.9.4).
    pub application: Option<Element>,
}

impl StreamCondition {
    /// The condition of this name. One that is unknown is to be taken as [`StreamCondition::UndefinedCondition`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|condition| condition.name() == name)
    }
}

impl StreamError {
    /// An error that says its condition alone.
    #[must_use]
    pub fn new(condition: StreamCondition) -> Self {
        Self { condition, text: None, lang: None, other_host: None, application: None }
    }

    /// Reads a `<stream:error/>`; `None` when the element is something else.
    ///
    /// The first condition counts; where there is none or an unknown one, it is undefined-condition.
    #[must_use]
    pub fn parse(element: ElementRef<'_>) -> Option<Self> {
        if !element.is("error", ns::STREAM) {
            return None;
        }
        let found = element.children().find(|child| child.ns() == ns::STREAM_ERRORS && child.name() != "text");
        let condition = found.and_then(|child| StreamCondition::parse(child.name()));
        let mut error = Self::new(condition.unwrap_or(StreamCondition::UndefinedCondition));
        if error.condition == StreamCondition::SeeOtherHost {
            error.other_host = found.map(|child| child.text().trim().to_owned()).filter(|host| !host.is_empty());
        }
        if let Some(text) = element.child("text", ns::STREAM_ERRORS) {
            error.text = Some(text.text());
            error.lang = text.attribute_in(ns::XML, "lang").map(str::to_owned);
        }
        error.application =
            element.children().find(|child| child.ns() != ns::STREAM_ERRORS).map(ElementRef::to_element);
        Some(error)
    }

    /// Whether a stanza may have been larger than the other end takes. RFC 6120 § 4.9.3.14 has policy-violation for that, with
    /// `<stanza-too-big/>` beside it; some servers say it in words alone, and others nothing.
    #[must_use]
    pub fn may_be_size(&self) -> bool {
        let says_so = |text: &str| ["big", "large", "size"].iter().any(|word| text.to_lowercase().contains(word));
        self.condition == StreamCondition::PolicyViolation
            && match (&self.application, &self.text) {
                (Some(own), _) => own.is("stanza-too-big", ns::ERRORS),
                (None, Some(text)) => says_so(text),
                (None, None) => true,
            }
    }

    /// Appends the element, to stand in a stream whose default namespace is `jabber:client` and which binds `stream`.
    pub fn write(&self, out: &mut String) {
        out.push_str("<stream:error><");
        out.push_str(self.condition.name());
        write::attribute(out, "xmlns", ns::STREAM_ERRORS);
        match &self.other_host {
            Some(host) if self.condition == StreamCondition::SeeOtherHost => {
                out.push('>');
                write::text(out, host);
                out.push_str("</");
                out.push_str(self.condition.name());
                out.push('>');
            }
            Some(_) | None => out.push_str("/>"),
        }
        if let Some(text) = &self.text {
            out.push_str("<text");
            write::attribute(out, "xmlns", ns::STREAM_ERRORS);
            write::optional_attribute(out, "xml:lang", self.lang.as_deref());
            out.push('>');
            write::text(out, text);
            out.push_str("</text>");
        }
        if let Some(application) = &self.application {
            application.root().write_xml(out, ns::CLIENT);
        }
        out.push_str("</stream:error>");
    }
}

impl From<StreamCondition> for StreamError {
    fn from(condition: StreamCondition) -> Self {
        Self::new(condition)
    }
}

impl fmt::Display for StreamCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The condition, where the service is, and the text, of which the first 256 characters are shown.
impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 256;
        let beginning = |text: &str| text.chars().take(SHOWN).collect::<String>();
        self.condition.fmt(f)?;
        if let Some(host) = &self.other_host {
            write!(f, " {}", Shown(&beginning(host)))?;
        }
        if let Some(text) = &self.text {
            write!(f, " ({})", Shown(&beginning(text)))?;
        }
        Ok(())
    }
}

impl core::error::Error for StreamError {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use xtls_stanza::Limits;

    use super::*;

    fn may_be_size(content: &str) -> bool {
        let error = format!("<error xmlns='{}'>{content}</error>", ns::STREAM);
        let error = Element::parse(&error, &Limits::default()).unwrap();
        StreamError::parse(error.root()).unwrap().may_be_size()
    }

    #[test]
    fn rfc_6120_4_9_3_14_a_stanza_too_large_is_recognised_as_the_rfc_and_servers_say_it() {
        const POLICY: &str = "<policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>";
        const TEXT: &str = "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>XML stanza is too big</text>";
        const TOO_BIG: &str = "<stanza-too-big xmlns='urn:xmpp:errors'/>";
        // That of the RFC, those of ejabberd 23.01 and Prosody 0.12, and one that says nothing more.
        for content in [
            format!("{POLICY}{TOO_BIG}"),
            format!("{POLICY}{TEXT}"),
            format!("{POLICY}{TEXT}{TOO_BIG}"),
            POLICY.to_owned(),
        ] {
            assert!(may_be_size(&content), "{content}");
        }
        for content in [
            format!("{POLICY}<too-many-stanzas xmlns='urn:xmpp:errors'/>"),
            format!("{POLICY}<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>Too fast</text>"),
            format!("{POLICY}<stanza-too-big xmlns='urn:other'/>"),
            "<conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>".to_owned(),
            format!("<resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>{TOO_BIG}"),
        ] {
            assert!(!may_be_size(&content), "{content}");
        }
    }
}
