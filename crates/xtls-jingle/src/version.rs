//! Which edition of a specification a namespace stands for.

use xtls_stanza::ns;

/// The namespace of a `<jingle/>` element. A session is carried on in the one that its session-initiate has, and Jingle's
/// own errors about it have one of the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum JingleVersion {
    /// `urn:xmpp:jingle:1`, in which sessions are offered.
    #[default]
    Jingle1,
    /// `urn:xmpp:jingle:0`, that of XEP-0247 and of the first text on XTLS.
    Jingle0,
    /// `urn:xmpp:tmp:jingle`, still older.
    Tmp,
}

/// The namespace of an in-band bytestream as a transport, which selects how the bytestream begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum IbbVersion {
    /// `urn:xmpp:jingle:transports:ibb:1`: the initiator sends `<open/>`, both may send `<close/>` (XEP-0261 §§ 2.2, 2.5).
    #[default]
    Ibb1,
    /// `urn:xmpp:jingle:transports:ibb:0`: the negotiation stands in for `<open/>`, the session-terminate for `<close/>`.
    Ibb0,
    /// `urn:xmpp:tmp:jingle:transports:ibb`: as `ibb:0`. An offer may leave out the sid, which is then that of the Jingle
    /// session, and the block size, which is then 4096.
    Tmp,
}

impl JingleVersion {
    /// All of them, the one that is emitted first.
    pub const ALL: &'static [Self] = &[Self::Jingle1, Self::Jingle0, Self::Tmp];

    /// The namespace.
    #[must_use]
    pub fn ns(self) -> &'static str {
        match self {
            Self::Jingle1 => ns::JINGLE,
            Self::Jingle0 => ns::JINGLE_0,
            Self::Tmp => ns::JINGLE_TMP,
        }
    }

    /// The version of this namespace.
    #[must_use]
    pub fn of(ns: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|version| version.ns() == ns)
    }

    /// The namespace of Jingle's own error conditions (XEP-0166 § 10) in this version. Those that come are understood in
    /// any of them: some clients mixed them up.
    #[must_use]
    pub fn errors_ns(self) -> &'static str {
        match self {
            Self::Jingle1 => ns::JINGLE_ERRORS,
            Self::Jingle0 => ns::JINGLE_ERRORS_0,
            Self::Tmp => ns::JINGLE_ERRORS_TMP,
        }
    }

    /// Whether only peers of before 2009 use it.
    #[must_use]
    pub fn is_legacy(self) -> bool {
        self != Self::Jingle1
    }
}

impl IbbVersion {
    /// All of them, the one that is emitted unless another is asked for first.
    pub const ALL: &'static [Self] = &[Self::Ibb1, Self::Ibb0, Self::Tmp];

    /// The namespace.
    #[must_use]
    pub fn ns(self) -> &'static str {
        match self {
            Self::Ibb1 => ns::JINGLE_IBB,
            Self::Ibb0 => ns::JINGLE_IBB_0,
            Self::Tmp => ns::JINGLE_IBB_TMP,
        }
    }

    /// The version of this namespace.
    #[must_use]
    pub fn of(ns: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|version| version.ns() == ns)
    }

    /// Whether the initiator must open the bytestream (XEP-0261 § 2.2), and both are to close it. Where not, data begins
    /// with seq 0 as soon as the session-accept is acknowledged, and the session-terminate ends it; an `<open/>` that
    /// comes all the same is answered as usual.
    #[must_use]
    pub fn has_open(self) -> bool {
        self == Self::Ibb1
    }
}
