//! Stanza errors (RFC 6120 § 8.3).

use core::fmt;

use crate::{Element, ElementRef, ns, write};

/// What the sender is to do about an error (RFC 6120 § 8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorType {
    /// Retry after providing credentials.
    Auth,
    /// Do not retry.
    Cancel,
    /// Proceed: it was only a warning.
    Continue,
    /// Retry after changing what was sent.
    Modify,
    /// Retry after waiting: the fault is temporary.
    Wait,
}

/// A stanza error as it is sent and received.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StanzaError {
    /// What the sender is to do.
    pub error_type: ErrorType,
    /// The defined condition.
    pub condition: Condition,
    /// Human words, if any: untrusted when received; at most 1024 bytes are kept.
    pub text: Option<String>,
    /// The application-specific condition, if any (RFC 6120 § 8.3.4): its name and namespace.
    pub specific: Option<(String, String)>,
}

macro_rules! conditions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $type:ident;)*) => {
        /// The defined conditions (RFC 6120 § 8.3.3).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Condition {
            $($(#[$doc])* $variant,)*
        }

        impl Condition {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name of the element.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The type that RFC 6120 § 8.3.3 gives it in the first place.
            #[must_use]
            pub fn default_type(self) -> ErrorType {
                match self { $(Self::$variant => ErrorType::$type,)* }
            }
        }
    };
}

conditions! {
    /// Malformed, or it cannot be processed.
    BadRequest = "bad-request", Modify;
    /// Something of that name or address exists.
    Conflict = "conflict", Cancel;
    /// The feature is not implemented.
    FeatureNotImplemented = "feature-not-implemented", Cancel;
    /// The sender lacks permission.
    Forbidden = "forbidden", Auth;
    /// The addressee is gone from this address for good.
    Gone = "gone", Cancel;
    /// The server has a fault of its own.
    InternalServerError = "internal-server-error", Cancel;
    /// The addressed item does not exist.
    ItemNotFound = "item-not-found", Cancel;
    /// An address is malformed.
    JidMalformed = "jid-malformed", Modify;
    /// The addressee does not want this.
    NotAcceptable = "not-acceptable", Modify;
    /// No one may do this.
    NotAllowed = "not-allowed", Cancel;
    /// The sender must authenticate first.
    NotAuthorized = "not-authorized", Auth;
    /// A local policy forbids it.
    PolicyViolation = "policy-violation", Modify;
    /// The addressee is temporarily unavailable.
    RecipientUnavailable = "recipient-unavailable", Wait;
    /// Another address is to be used.
    Redirect = "redirect", Modify;
    /// The sender must register first.
    RegistrationRequired = "registration-required", Auth;
    /// The remote server does not exist.
    RemoteServerNotFound = "remote-server-not-found", Cancel;
    /// The remote server could not be reached in time.
    RemoteServerTimeout = "remote-server-timeout", Wait;
    /// Too busy.
    ResourceConstraint = "resource-constraint", Wait;
    /// The service is not provided.
    ServiceUnavailable = "service-unavailable", Cancel;
    /// The sender must subscribe first.
    SubscriptionRequired = "subscription-required", Auth;
    /// None of the others; an application-specific condition says more.
    UndefinedCondition = "undefined-condition", Cancel;
    /// Understood, but not expected now.
    UnexpectedRequest = "unexpected-request", Wait;
}

/// Bytes of `<text/>` that are kept.
const TEXT_BYTES: usize = 1024;

impl StanzaError {
    /// An error of this condition and the type that belongs to it.
    #[must_use]
    pub fn new(condition: Condition) -> Self {
        Self { error_type: condition.default_type(), condition, text: None, specific: None }
    }

    /// The same with another type.
    #[must_use]
    pub fn with_type(self, error_type: ErrorType) -> Self {
        Self { error_type, ..self }
    }

    /// The same with words for people.
    #[must_use]
    pub fn with_text(self, text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..self }
    }

    /// The same with an application-specific condition.
    #[must_use]
    pub fn with_specific(self, name: &str, ns: &str) -> Self {
        Self { specific: Some((name.to_owned(), ns.to_owned())), ..self }
    }

    /// Whether `element` is an `<error/>` child of a stanza.
    #[must_use]
    pub fn is_error(element: ElementRef<'_>) -> bool {
        element.name() == "error" && ns::is_stanza(element.ns())
    }

    /// Reads an `<error/>` element. What it leaves out or misspells is filled in: an unknown condition becomes
    /// undefined-condition (RFC 6120 § 8.3.2), a missing type the condition's own.
    #[must_use]
    pub fn parse(element: ElementRef<'_>) -> Self {
        let defined = element
            .children()
            .filter(|child| child.ns() == ns::STANZA_ERRORS)
            .find_map(|child| Condition::ALL.iter().find(|condition| condition.as_str() == child.name()));
        let condition = defined.copied().unwrap_or(Condition::UndefinedCondition);
        let error_type = match element.attribute("type") {
            Some("auth") => ErrorType::Auth,
            Some("cancel") => ErrorType::Cancel,
            Some("continue") => ErrorType::Continue,
            Some("modify") => ErrorType::Modify,
            Some("wait") => ErrorType::Wait,
            _ => condition.default_type(),
        };
        let text = element.child("text", ns::STANZA_ERRORS).map(|text| shortened(text.text()));
        let specific = element
            .children()
            .find(|child| child.ns() != ns::STANZA_ERRORS)
            .map(|child| (child.name().to_owned(), child.ns().to_owned()));
        Self { error_type, condition, text, specific }
    }

    /// Appends the `<error/>` element.
    pub fn write(&self, out: &mut String) {
        out.push_str("<error type='");
        out.push_str(self.error_type.as_str());
        out.push_str("'><");
        out.push_str(self.condition.as_str());
        write::attribute(out, "xmlns", ns::STANZA_ERRORS);
        out.push_str("/>");
        if let Some(text) = &self.text {
            out.push_str("<text");
            write::attribute(out, "xmlns", ns::STANZA_ERRORS);
            write::attribute(out, "xml:lang", "en");
            out.push('>');
            write::text(out, text);
            out.push_str("</text>");
        }
        if let Some((name, ns)) = &self.specific {
            out.push('<');
            out.push_str(name);
            write::attribute(out, "xmlns", ns);
            out.push_str("/>");
        }
        out.push_str("</error>");
    }

    /// Whether the application-specific condition is this one.
    #[must_use]
    pub fn is_specific(&self, name: &str, ns: &str) -> bool {
        self.specific.as_ref().is_some_and(|(own, own_ns)| own == name && own_ns == ns)
    }

    /// The error that a whole error stanza of any kind carries, if `stanza` is one.
    #[must_use]
    pub fn of_stanza(stanza: &Element) -> Option<Self> {
        let is_error = stanza.attribute("type") == Some("error");
        let element = stanza.children().find(|child| Self::is_error(*child));
        element.filter(|_| is_error).map(Self::parse)
    }
}

impl From<Condition> for StanzaError {
    fn from(condition: Condition) -> Self {
        Self::new(condition)
    }
}

impl ErrorType {
    /// The value of the `type` attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Cancel => "cancel",
            Self::Continue => "continue",
            Self::Modify => "modify",
            Self::Wait => "wait",
        }
    }
}

impl fmt::Display for StanzaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.condition.as_str(), self.error_type.as_str())?;
        if let Some((name, _)) = &self.specific {
            write!(f, ", {name}")?;
        }
        match &self.text {
            Some(text) => write!(f, ": {}", text.escape_debug()),
            None => Ok(()),
        }
    }
}

impl core::error::Error for StanzaError {}

fn shortened(mut text: String) -> String {
    let mut end = TEXT_BYTES.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Limits;

    fn error_of(inner: &str) -> StanzaError {
        let xml = format!("<iq type='error' id='1'>{inner}</iq>");
        StanzaError::of_stanza(&Element::parse(&xml, &Limits::default()).unwrap()).unwrap()
    }

    #[test]
    fn every_condition_and_type_survives_the_wire() {
        let types = [ErrorType::Auth, ErrorType::Cancel, ErrorType::Continue, ErrorType::Modify, ErrorType::Wait];
        for (number, condition) in Condition::ALL.iter().enumerate() {
            let error = StanzaError::new(*condition)
                .with_type(types[number % types.len()])
                .with_text("<why> & 'how'")
                .with_specific("out-of-order", ns::JINGLE_ERRORS);
            let mut out = String::new();
            error.write(&mut out);
            assert_eq!(error_of(&out), error);
        }
    }

    #[test]
    fn rfc_6120_8_3_2_an_unknown_condition_is_undefined() {
        let error = error_of("<error type='wait'><blue-moon xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>");
        assert_eq!(error, StanzaError::new(Condition::UndefinedCondition).with_type(ErrorType::Wait));
    }

    #[test]
    fn a_missing_type_is_that_of_the_condition() {
        let error = error_of("<error><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>");
        assert_eq!(error, StanzaError::new(Condition::Forbidden));
    }

    #[test]
    fn the_kept_text_is_bounded() {
        let wrap = |text: &str| {
            error_of(&format!(
                "<error type='cancel'><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>{text}</text></error>"
            ))
        };
        assert_eq!(wrap(&"x".repeat(1024)).text.unwrap().len(), 1024);
        assert_eq!(wrap(&"x".repeat(1025)).text.unwrap().len(), 1024);
        // A character is never cut in two.
        assert_eq!(wrap(&format!("{}ä", "x".repeat(1023))).text.unwrap().len(), 1023);
    }

    #[test]
    fn display_escapes_what_the_peer_wrote() {
        let error = StanzaError::new(Condition::Gone).with_text("a\u{1b}[2J");
        assert_eq!(error.to_string(), "gone (cancel): a\\u{1b}[2J");
    }
}
