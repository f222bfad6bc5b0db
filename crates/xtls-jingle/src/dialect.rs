//! What is emitted and accepted where the specifications, or the clients that were written to them, differ.

use xtls_stanza::ns;

use crate::{IbbVersion, JingleVersion, sid};

/// Run-time options: which namespaces are read, which one an offer has, and what is tolerated.
///
/// There are [`Dialect::STRICT`], [`Dialect::DRAFT_02`] and [`Dialect::TOLERANT`], one for each [`Profile`]. The default is
/// that of the default profile.
///
/// Nothing here weakens security: a tolerance never makes a method possible that not both ends offered.
///
/// ```
/// use xtls_jingle::{Dialect, IbbVersion};
///
/// let mut dialect = Dialect::STRICT;
/// dialect.offered_ibb = IbbVersion::Ibb0;
/// assert!(!dialect.legacy_namespaces);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dialect {
    /// Reads the namespaces of before 2009: [`JingleVersion::Jingle0`] and [`JingleVersion::Tmp`] for Jingle,
    /// `urn:xmpp:tmp:jingle:apps:xmlstream[:0]` for the application, [`IbbVersion::Tmp`] for the transport. A session is
    /// carried on in the namespaces that it was offered in; none of these is ever offered.
    pub legacy_namespaces: bool,
    /// Reads [`IbbVersion::Ibb0`]. Otherwise it is a transport like any other that is not supported.
    pub ibb_0: bool,
    /// The transport to be offered: a driver copies it to [`InBand::version`](crate::InBand::version).
    pub offered_ibb: IbbVersion,
    /// Takes a request whose content has no name, although XEP-0166 § 7.3 requires one, where the session has but one
    /// content. A session-initiate and a session-accept must have it all the same.
    pub nameless_content: bool,
    /// Takes a security-info that names several possible methods: it is acknowledged, and chooses nothing. Otherwise it is
    /// malformed (draft § 3: the initiator signals the one method it chose).
    pub several_methods: bool,
    /// Takes XML white space around and inside the base64 of a block, as the examples of XEP-0047 and of the draft have it.
    /// Otherwise it is refused like any character that is not base64 (XEP-0047 § 6).
    pub white_space: bool,
    /// Takes the sid of a session that is no NMTOKEN, which XEP-0166 § 7.1 only recommends: any of at most
    /// [`MAX_SID`](crate::MAX_SID) bytes without white space and control characters. The sid of a bytestream must be one all
    /// the same (XEP-0047 § 2.1).
    pub any_sid: bool,
    /// Takes a session-accept that names the responder as the creator of the content, which is the initiator's (XEP-0166
    /// § 7.3). It is known by its name.
    pub responder_creator: bool,
}

/// A named choice of all the options that differ from peer to peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Profile {
    /// What the specifications in force say, and nothing else.
    Strict,
    /// What draft-meyer-xmpp-e2e-encryption-02 itself writes: bytestreams are offered as `ibb:0`.
    Draft02,
    /// Offers what [`Profile::Strict`] offers, and takes whatever some client once sent.
    #[default]
    Tolerant,
}

macro_rules! table {
    ($($(#[$doc:meta])* $name:ident: $legacy:literal, $ibb_0:literal, $offered:ident, $nameless:literal, $several:literal,
        $white_space:literal, $any_sid:literal, $responder_creator:literal;)*) => {
        impl Dialect {
            $($(#[$doc])* pub const $name: Self = Self {
                legacy_namespaces: $legacy,
                ibb_0: $ibb_0,
                offered_ibb: IbbVersion::$offered,
                nameless_content: $nameless,
                several_methods: $several,
                white_space: $white_space,
                any_sid: $any_sid,
                responder_creator: $responder_creator,
            };)*
        }
    };
}

// Every difference between the profiles stands in this table. The columns: legacy_namespaces, ibb_0, offered_ibb,
// nameless_content, several_methods, white_space, any_sid, responder_creator.
table! {
    /// [`Profile::Strict`].
    STRICT:   false, true,  Ibb1, false, false, false, false, false;
    /// [`Profile::Draft02`].
    DRAFT_02: false, true,  Ibb0, true,  true,  true,  false, false;
    /// [`Profile::Tolerant`].
    TOLERANT: true,  true,  Ibb1, true,  true,  true,  true,  true;
}

impl Dialect {
    /// The version of a `<jingle/>` element in this namespace, if it is read at all.
    #[must_use]
    pub fn jingle_version(&self, ns: &str) -> Option<JingleVersion> {
        JingleVersion::of(ns).filter(|version| self.legacy_namespaces || !version.is_legacy())
    }

    /// The version of a `<transport/>` element in this namespace, if it is an in-band bytestream that is read as one.
    #[must_use]
    pub fn ibb_version(&self, ns: &str) -> Option<IbbVersion> {
        IbbVersion::of(ns).filter(|version| match version {
            IbbVersion::Ibb1 => true,
            IbbVersion::Ibb0 => self.ibb_0,
            IbbVersion::Tmp => self.legacy_namespaces,
        })
    }

    /// The features of Jingle to be advertised (XEP-0166 § 11, XEP-0261 § 4, draft § 7): every version that is supported
    /// and was ever registered.
    #[must_use]
    pub fn features(&self) -> &'static [&'static str] {
        const ALL: &[&str] =
            &[ns::JINGLE, ns::XMLSTREAM_0, ns::XMLSTREAM_1, ns::XTLS_0, ns::XTLS_1, ns::JINGLE_IBB, ns::JINGLE_IBB_0];
        if self.ibb_0 { ALL } else { &ALL[..ALL.len() - 1] }
    }

    /// Whether this may be the sid of a session.
    pub(crate) fn takes_sid(&self, sid: &str) -> bool {
        if self.any_sid { sid::is_visible(sid) } else { sid::is_nmtoken(sid) }
    }

    /// The namespace of an XML stream as an application, if it is read as one.
    pub(crate) fn xmlstream(&self, ns: &str) -> Option<&'static str> {
        let legacy: &[_] = if self.legacy_namespaces { &[ns::XMLSTREAM_TMP, ns::XMLSTREAM_TMP_0] } else { &[] };
        [ns::XMLSTREAM_0, ns::XMLSTREAM_1].iter().chain(legacy).copied().find(|known| *known == ns)
    }
}

impl Default for Dialect {
    fn default() -> Self {
        Profile::default().into()
    }
}

impl Profile {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Strict, Self::Draft02, Self::Tolerant];

    /// The name, as an option would spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Draft02 => "draft02",
            Self::Tolerant => "tolerant",
        }
    }

    /// The profile of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|profile| profile.as_str() == name)
    }
}

impl From<Profile> for Dialect {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Strict => Self::STRICT,
            Profile::Draft02 => Self::DRAFT_02,
            Profile::Tolerant => Self::TOLERANT,
        }
    }
}
