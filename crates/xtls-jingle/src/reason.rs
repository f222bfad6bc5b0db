//! Why something was done: `<reason/>` (XEP-0166 § 7.4).

use core::fmt;

use xtls_stanza::{ElementRef, write};

use crate::sid;

macro_rules! conditions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// The conditions of XEP-0166 § 7.4.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ReasonCondition {
            $($(#[$doc])* $variant,)*
            /// Read only: a condition that XEP-0166 does not define, or none at all. It is written as general-error.
            Undefined,
        }

        impl ReasonCondition {
            /// All that are defined: without [`ReasonCondition::Undefined`].
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name of the element.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Undefined => "general-error",
                }
            }
        }
    };
}

conditions! {
    /// Another session that exists is to be used.
    AlternativeSession = "alternative-session";
    /// Busy.
    Busy = "busy";
    /// The initiator takes the offer back.
    Cancel = "cancel";
    /// Connectivity problems.
    ConnectivityError = "connectivity-error";
    /// The offer is declined.
    Decline = "decline";
    /// A time limit was exceeded.
    Expired = "expired";
    /// The application could not be set up.
    FailedApplication = "failed-application";
    /// The transport could not be set up.
    FailedTransport = "failed-transport";
    /// An application error of no particular kind.
    GeneralError = "general-error";
    /// The entity goes offline.
    Gone = "gone";
    /// The application is supported, but not with these parameters.
    IncompatibleParameters = "incompatible-parameters";
    /// Media could not be processed.
    MediaError = "media-error";
    /// A local security policy was violated.
    SecurityError = "security-error";
    /// The normal course of things.
    Success = "success";
    /// A request was not answered in time.
    Timeout = "timeout";
    /// None of the offered applications is supported.
    UnsupportedApplications = "unsupported-applications";
    /// None of the offered transports is supported.
    UnsupportedTransports = "unsupported-transports";
}

/// A `<reason/>` element.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reason {
    /// What it was.
    pub condition: ReasonCondition,
    /// Words for people: untrusted when received; at most [`Reason::MAX_TEXT`] bytes are kept.
    pub text: Option<String>,
    /// The session to use instead; only with [`ReasonCondition::AlternativeSession`].
    pub alternative_sid: Option<String>,
}

impl Reason {
    /// How many bytes of `<text/>` are kept.
    pub const MAX_TEXT: usize = 1024;

    /// A reason of this condition without more.
    #[must_use]
    pub fn new(condition: ReasonCondition) -> Self {
        Self { condition, text: None, alternative_sid: None }
    }

    /// The same with words for people.
    #[must_use]
    pub fn with_text(self, text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..self }
    }

    /// The existing session `sid` is to be used instead (XEP-0166 § 6.7).
    #[must_use]
    pub fn alternative_session(sid: &str) -> Self {
        Self { alternative_sid: Some(sid.to_owned()), ..Self::new(ReasonCondition::AlternativeSession) }
    }

    /// Reads a `<reason/>` element of whichever version of Jingle. Of several conditions the first that is known counts; without one the condition is
    /// [`ReasonCondition::Undefined`]: why a session ended is no ground to refuse that it did.
    #[must_use]
    pub fn parse(element: ElementRef<'_>) -> Self {
        let known = |child: ElementRef<'_>| {
            ReasonCondition::ALL.iter().copied().find(|condition| child.is(condition.as_str(), element.ns()))
        };
        let found = element.children().find_map(|child| known(child).map(|condition| (condition, child)));
        let (condition, alternative_sid) = match found {
            Some((ReasonCondition::AlternativeSession, child)) => {
                let sid = child.child("sid", element.ns()).map(|sid| sid.text()).filter(|sid| sid::is_visible(sid));
                (ReasonCondition::AlternativeSession, sid)
            }
            Some((condition, _)) => (condition, None),
            None => (ReasonCondition::Undefined, None),
        };
        let text = element.child("text", element.ns()).map(|text| shortened(text.text()));
        Self { condition, text, alternative_sid }
    }

    /// Appends the element, to stand inside `<jingle/>`.
    pub fn write(&self, out: &mut String) {
        let name = self.condition.as_str();
        out.push_str("<reason><");
        out.push_str(name);
        match &self.alternative_sid {
            Some(sid) if self.condition == ReasonCondition::AlternativeSession => {
                out.push_str("><sid>");
                write::text(out, sid);
                out.push_str("</sid></");
                out.push_str(name);
                out.push('>');
            }
            Some(_) | None => out.push_str("/>"),
        }
        if let Some(text) = &self.text {
            out.push_str("<text>");
            write::text(out, text);
            out.push_str("</text>");
        }
        out.push_str("</reason>");
    }
}

impl From<ReasonCondition> for Reason {
    fn from(condition: ReasonCondition) -> Self {
        Self::new(condition)
    }
}

impl fmt::Display for ReasonCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Undefined { "an undefined reason" } else { self.as_str() })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)?;
        match &self.text {
            Some(text) => write!(f, ": {}", text.escape_debug()),
            None => Ok(()),
        }
    }
}

fn shortened(mut text: String) -> String {
    let mut end = Reason::MAX_TEXT.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}
