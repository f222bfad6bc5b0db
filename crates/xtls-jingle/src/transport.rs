//! How data goes across: `<transport/>` (XEP-0166 § 6.2), and that of XEP-0261 in particular.

use xtls_stanza::{ElementRef, write};

use crate::{Dialect, IbbVersion, JingleFault, JingleVersion, MalformedKind, sid};

/// A transport.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// An in-band bytestream (XEP-0261), in one of the namespaces that the [`Dialect`] reads.
    Ibb(IbbTransport),
    /// Another one, of which the namespace is kept.
    Other {
        /// Its namespace.
        ns: String,
    },
}

/// The parameters of an in-band bytestream as one message states them (XEP-0261 § 2.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct IbbTransport {
    /// The namespace.
    pub version: IbbVersion,
    /// The bytestream's sid, an NMTOKEN of at most [`MAX_SID`](crate::MAX_SID) bytes. An offer must have it, unless it is
    /// of [`IbbVersion::Tmp`]; an answer that leaves it out means the offered one.
    pub sid: Option<String>,
    /// Bytes of one block before base64, 1 to 65 535; those below [`IbbTransport::MIN_BLOCK_SIZE`] are not agreed to. As with the sid, an answer that leaves it out means the offered
    /// one.
    pub block_size: Option<u16>,
    /// Whether data is to go in message stanzas, which have no acknowledgement, instead of IQs.
    pub in_messages: bool,
}

impl IbbTransport {
    /// The smallest block size that can be agreed, in bytes: 64. Each block is a stanza and an answer, so whoever names the
    /// block size, a server on the way too, chooses how many the same bytes take.
    pub const MIN_BLOCK_SIZE: u16 = 64;

    /// A bytestream of `ibb:1` in IQ stanzas.
    #[must_use]
    pub fn new(sid: &str, block_size: u16) -> Self {
        Self { version: IbbVersion::Ibb1, sid: Some(sid.to_owned()), block_size: Some(block_size), in_messages: false }
    }

    /// The same in another version.
    #[must_use]
    pub fn with_version(self, version: IbbVersion) -> Self {
        Self { version, ..self }
    }

    /// `block_size` is what this states, or stands for by leaving it out.
    pub(crate) fn check_block_size(block_size: u16) -> Result<(), JingleFault> {
        if block_size < Self::MIN_BLOCK_SIZE {
            return Err(JingleFault::NotAcceptable("blocks of less than 64 bytes"));
        }
        Ok(())
    }

    fn parse(element: ElementRef<'_>, version: IbbVersion) -> Result<Self, MalformedKind> {
        let sid = element.attribute("sid").map(|sid| {
            // XEP-0047 § 2.1: it MUST match the NMTOKEN datatype.
            if sid::is_nmtoken(sid) { Ok(sid.to_owned()) } else { Err(MalformedKind::IbbSid) }
        });
        let block_size = element.attribute("block-size").map(block_size);
        let in_messages = match element.attribute("stanza") {
            None | Some("iq") => false,
            Some("message") => true,
            Some(_) => return Err(MalformedKind::IbbStanza),
        };
        Ok(Self { version, sid: sid.transpose()?, block_size: block_size.transpose()?, in_messages })
    }
}

/// XEP-0047 § 2.1: a number not greater than 65535. Digits and nothing else; a block of no bytes carries nothing.
fn block_size(value: &str) -> Result<u16, MalformedKind> {
    if !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(MalformedKind::BlockSize);
    }
    value.parse().ok().filter(|size| *size > 0).ok_or(MalformedKind::BlockSize)
}

impl Transport {
    /// Reads a child of `<content/>`; `None` when it is something else.
    pub(crate) fn parse(element: ElementRef<'_>, dialect: &Dialect) -> Option<Result<Self, MalformedKind>> {
        if element.name() != "transport" || element.ns().is_empty() || JingleVersion::of(element.ns()).is_some() {
            return None;
        }
        Some(match dialect.ibb_version(element.ns()) {
            Some(version) => IbbTransport::parse(element, version).map(Self::Ibb),
            None => Ok(Self::Other { ns: element.ns().to_owned() }),
        })
    }

    /// Its namespace.
    #[must_use]
    pub fn ns(&self) -> &str {
        match self {
            Self::Ibb(ibb) => ibb.version.ns(),
            Self::Other { ns } => ns,
        }
    }

    /// Appends the element, to stand inside `<jingle/>`.
    pub fn write(&self, out: &mut String) {
        out.push_str("<transport");
        write::attribute(out, "xmlns", self.ns());
        if let Self::Ibb(ibb) = self {
            if let Some(size) = ibb.block_size {
                write::attribute(out, "block-size", &size.to_string());
            }
            write::optional_attribute(out, "sid", ibb.sid.as_deref());
            if ibb.in_messages {
                write::attribute(out, "stanza", "message");
            }
        }
        out.push_str("/>");
    }
}
