//! How sessions of files end, and the words for that on the wire.

use core::fmt;

use xtls_jingle::{Reason, ReasonCondition};
use xtls_stanza::{ElementRef, write};

use crate::ns;

macro_rules! ends {
    ($($(#[$doc:meta])* $variant:ident = $condition:ident, $specific:expr, $words:literal;)*) => {
        /// How a session ended.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum FileEnd {
            $($(#[$doc])* $variant,)*
            /// The peer broke the rules; the words say how.
            Protocol(&'static str),
            /// The peer gave a reason that has no meaning of its own for files.
            Other(ReasonCondition),
        }

        impl FileEnd {
            /// All that have no parameter.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            fn wire(self) -> (ReasonCondition, Option<(&'static str, &'static str)>) {
                match self {
                    $(Self::$variant => (ReasonCondition::$condition, $specific),)*
                    Self::Protocol(_) => (ReasonCondition::GeneralError, Some(("protocol", ns::FILES))),
                    Self::Other(condition) => (condition, None),
                }
            }

            fn words(self) -> &'static str {
                match self {
                    $(Self::$variant => $words,)*
                    Self::Protocol(words) => words,
                    Self::Other(condition) => condition.as_str(),
                }
            }
        }
    };
}

ends! {
    /// The file is there, and all that was to be compared agrees.
    Success = Success, None, "the file was received";
    /// The offer, or the request, was declined.
    Declined = Decline, None, "the file was declined";
    /// One of the two took it back, or broke it off.
    Cancelled = Cancel, None, "the transfer was broken off";
    /// There are too many sessions at once.
    Busy = Busy, None, "too many transfers at once";
    /// There is no such file, or no such part of it, or not for this peer (XEP-0234 § 9.1).
    NotAvailable = FailedApplication, Some(("file-not-available", ns::FILE_ERRORS)), "there is no such file";
    /// More bytes than there is room for, or than were announced (XEP-0234 § 9.2).
    TooLarge = MediaError, Some(("file-too-large", ns::FILE_ERRORS)), "the file is too large";
    /// The bytes ended before the file did.
    TooShort = MediaError, Some(("file-too-short", ns::FILES)), "the file ended too early";
    /// All bytes came, and their hash is another one.
    HashDiffers = MediaError, Some(("hash-differs", ns::FILES)), "the hash of the file differs";
    /// What the receiver has already is not what the sender's file begins with. It is to be asked for from its first byte on.
    RangeDiffers = MediaError, Some(("range-differs", ns::FILES)), "what was there already differs from the file";
    /// The hash that was promised did not come.
    NoHash = MediaError, Some(("no-hash", ns::FILES)), "the hash of the file was not told";
    /// The file changed at the sender while it was sent.
    FileChanged = FailedApplication, Some(("file-changed", ns::FILES)), "the file changed while it was sent";
    /// A part was asked for that is beyond the end of the file.
    BadRange = IncompatibleParameters, Some(("bad-range", ns::FILES)), "a part was asked for that the file does not have";
    /// The file could not be read or written.
    Failed = FailedApplication, None, "the file could not be read or written";
    /// What was to carry the bytes could not be opened, or ended.
    TransportFailed = FailedTransport, None, "the way for the bytes failed";
    /// The peer does not know what was asked for: files at all, or manifests.
    Unsupported = UnsupportedApplications, None, "files of this kind are not supported";
    /// There is no common way for the bytes.
    UnsupportedTransport = UnsupportedTransports, None, "there is no common way for the bytes";
    /// Something that was due did not come in time.
    Timeout = Timeout, None, "something that was due did not come in time";
    /// The XML stream that all of this went by is gone.
    Gone = Gone, None, "the connection is gone";
}

impl FileEnd {
    /// Whether the file is where it was to go.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Success
    }

    /// Reads a `<reason/>`; `None`: there is none.
    pub(crate) fn read(reason: Option<ElementRef<'_>>) -> Self {
        let Some(reason) = reason else { return Self::Other(ReasonCondition::Undefined) };
        let condition = Reason::parse(reason).condition;
        let says = |(name, ns): (&str, &str)| reason.child(name, ns).is_some();
        let specific = Self::ALL.iter().copied().find(|end| end.wire().1.is_some_and(says));
        if let Some(end) = specific {
            return end;
        }
        if says(("protocol", ns::FILES)) {
            return Self::Protocol("the peer says that a rule was broken");
        }
        // Some of the conditions stand for themselves, others only with more words.
        let plain = Self::ALL.iter().copied().find(|end| end.wire() == (condition, None));
        plain.unwrap_or(Self::Other(condition))
    }

    /// Appends the `<reason/>`.
    pub(crate) fn write(self, out: &mut String) {
        let (condition, specific) = self.wire();
        out.push_str("<reason><");
        out.push_str(condition.as_str());
        out.push_str("/>");
        if self != Self::Success {
            out.push_str("<text>");
            write::text(out, self.words());
            out.push_str("</text>");
        }
        if let Some((name, ns)) = specific {
            out.push('<');
            out.push_str(name);
            write::attribute(out, "xmlns", ns);
            out.push_str("/>");
        }
        out.push_str("</reason>");
    }
}

impl fmt::Display for FileEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Protocol(words) = self {
            write!(f, "the peer broke the rules of file transfer: {words}")
        } else if let Self::Other(condition) = self {
            write!(f, "the peer ended the transfer: {condition}")
        } else {
            f.write_str(self.words())
        }
    }
}
