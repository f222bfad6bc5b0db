//! The actions of XEP-0166 § 7.2.

use core::fmt;

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// What a `<jingle/>` element asks for (XEP-0166 § 7.2).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Action {
            $($(#[$doc])* $variant,)*
        }

        impl Action {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The value of the `action` attribute.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

actions! {
    /// Accepts a content-add.
    ContentAccept = "content-accept";
    /// Adds a content.
    ContentAdd = "content-add";
    /// Changes who sends.
    ContentModify = "content-modify";
    /// Rejects a content-add.
    ContentReject = "content-reject";
    /// Removes a content.
    ContentRemove = "content-remove";
    /// Hints about the application.
    DescriptionInfo = "description-info";
    /// Tells of a security precondition: here, which method the initiator has chosen.
    SecurityInfo = "security-info";
    /// Accepts the session.
    SessionAccept = "session-accept";
    /// Tells of the session; empty, it is a ping (XEP-0166 § 6.8).
    SessionInfo = "session-info";
    /// Offers a session.
    SessionInitiate = "session-initiate";
    /// Ends the session.
    SessionTerminate = "session-terminate";
    /// Accepts a transport-replace.
    TransportAccept = "transport-accept";
    /// Tells of the transport.
    TransportInfo = "transport-info";
    /// Rejects a transport-replace.
    TransportReject = "transport-reject";
    /// Asks for another transport.
    TransportReplace = "transport-replace";
}

impl Action {
    /// The action of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.as_str() == name)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
