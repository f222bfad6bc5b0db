//! How data goes across: `<transport/>` (XEP-0166 § 6.2), those of XEP-0261 and XEP-0260 in particular.

use xtls_s5b::{S5bMalformed, S5bTransport};
use xtls_stanza::{ElementRef, ns, write};

use crate::{Dialect, IbbVersion, JingleFault, JingleVersion, MalformedKind, sid};

/// A transport.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// An in-band bytestream (XEP-0261), in one of the namespaces that the [`Dialect`] reads.
    Ibb(IbbTransport),
    /// A SOCKS5 bytestream (XEP-0260).
    S5b(S5bTransport),
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

/// An in-band bytestream as two ends agree on it, or as one offers it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InBand {
    /// How it begins and ends; an answer can change it.
    pub version: IbbVersion,
    /// Its sid, an NMTOKEN of at most [`MAX_SID`](crate::MAX_SID) bytes.
    pub sid: String,
    /// Bytes of one block, at least [`IbbTransport::MIN_BLOCK_SIZE`]; an answer can only lower it.
    pub block_size: u16,
}

/// What carries the data of a session, or is offered for that.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionTransport {
    /// Blocks in stanzas (XEP-0261).
    InBand(InBand),
    /// A connection that the two ends find (XEP-0260); what stands here is what the initiator offered.
    Socks5(S5bTransport),
}

impl InBand {
    /// A bytestream of `ibb:1`.
    #[must_use]
    pub fn new(sid: &str, block_size: u16) -> Self {
        Self { version: IbbVersion::Ibb1, sid: sid.to_owned(), block_size }
    }

    pub(crate) fn transport(&self) -> Transport {
        Transport::Ibb(IbbTransport::new(&self.sid, self.block_size).with_version(self.version))
    }

    /// What comes of this offer by an answer. XEP-0261 § 2.2: the responder may only lower the block size. Some raise it, and mean
    /// no harm; some leave the sid out.
    pub(crate) fn answered(&self, answer: &Transport) -> Result<Self, JingleFault> {
        match answer {
            Transport::S5b(_) | Transport::Other { .. } => {
                Err(JingleFault::NotAcceptable("another transport than was offered"))
            }
            Transport::Ibb(ibb) if ibb.sid.as_ref().is_some_and(|sid| *sid != self.sid) => {
                Err(JingleFault::NotAcceptable("another bytestream than was offered"))
            }
            Transport::Ibb(ibb) if ibb.in_messages => Err(JingleFault::NotAcceptable("data in IQ stanzas was offered")),
            Transport::Ibb(ibb) => {
                let block_size = ibb.block_size.unwrap_or(self.block_size).min(self.block_size);
                IbbTransport::check_block_size(block_size)?;
                // The namespace selects the behaviour, and the responder has the last word on what it can do.
                Ok(Self { version: ibb.version, sid: self.sid.clone(), block_size })
            }
        }
    }
}

impl SessionTransport {
    /// Its namespace.
    #[must_use]
    pub fn ns(&self) -> &'static str {
        match self {
            Self::InBand(in_band) => in_band.version.ns(),
            Self::Socks5(_) => ns::JINGLE_S5B,
        }
    }

    /// The in-band bytestream, if it is one.
    #[must_use]
    pub fn in_band(&self) -> Option<&InBand> {
        match self {
            Self::InBand(in_band) => Some(in_band),
            Self::Socks5(_) => None,
        }
    }

    pub(crate) fn transport(&self) -> Transport {
        match self {
            Self::InBand(in_band) => in_band.transport(),
            Self::Socks5(socks5) => Transport::S5b(socks5.clone()),
        }
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
        match S5bTransport::parse(element) {
            // TLS does not run over it, and so it is none that we know.
            Some(Err(S5bMalformed::Udp)) | None => {}
            Some(transport) => return Some(transport.map(Self::S5b).map_err(MalformedKind::Socks5)),
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
            Self::S5b(_) => ns::JINGLE_S5B,
            Self::Other { ns } => ns,
        }
    }

    /// Appends the element, to stand inside `<jingle/>`.
    pub fn write(&self, out: &mut String) {
        if let Self::S5b(transport) = self {
            return transport.write(out);
        }
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
