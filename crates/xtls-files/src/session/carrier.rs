//! What carries the bytes of a file: an in-band bytestream inside of the stream, or a tunnel of its own.

use xtls_ibb::{Bytestream, BytestreamConfig, BytestreamRole, BytestreamState};
use xtls_jingle::{IbbTransport, IbbVersion, Role, Transport};
use xtls_stanza::{ElementRef, write};

use crate::{FilesConfig, ns};

/// The longest sid of a tunnel that is taken, in bytes.
const MAX_SID: usize = xtls_jingle::MAX_SID;

#[derive(Debug)]
pub(super) enum Carrier {
    /// None is needed, or none is agreed yet.
    None,
    /// XEP-0261: blocks inside of the stream.
    InBand(Box<Bytestream>),
    /// A tunnel that the embedder drives.
    Tunnel(Pipe),
}

/// What stands between the file and its tunnel.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) sid: String,
    pub(super) is_open: bool,
    /// It has ended in order, or failed after all was through.
    pub(super) is_over: bool,
    /// Bytes that the tunnel has not taken yet.
    pub(super) out: Vec<u8>,
}

impl Carrier {
    /// What we offer.
    pub(super) fn offer(role: Role, by_tunnel: bool, sid: &str, config: &FilesConfig) -> Self {
        if by_tunnel { Self::tunnel(sid) } else { Self::in_band(role, sid, config.block_size, config) }
    }

    /// What the peer offers: [`Carrier::None`] if that is nothing that is known here, and `None` if it is, and cannot be used.
    pub(super) fn offered(transport: &Transport, element: ElementRef<'_>, config: &FilesConfig) -> Option<Self> {
        match transport {
            Transport::Ibb(ibb) => {
                // The block size that XEP-0047 § 2.1 recommends, where none is said.
                let size = ibb.block_size.unwrap_or(4096).min(config.block_size);
                let sid = ibb.sid.as_deref().filter(|_| is_usable(ibb, size))?;
                Some(Self::in_band(Role::Responder, sid, size, config))
            }
            Transport::Other { ns } if ns == ns::TUNNEL_TRANSPORT && config.tunnels => {
                Some(Self::tunnel(tunnel_sid(element)?))
            }
            // The peer knows tunnels, so it is one that can offer the file again.
            Transport::Other { ns } if ns == ns::TUNNEL_TRANSPORT => None,
            Transport::Other { .. } | Transport::S5b(_) | _ => Some(Self::None),
        }
    }

    fn in_band(role: Role, sid: &str, block_size: u16, config: &FilesConfig) -> Self {
        // XEP-0261 § 2.1: the initiator opens the bytestream.
        let role = if role == Role::Initiator { BytestreamRole::Opener } else { BytestreamRole::Acceptor };
        let mut bounds = BytestreamConfig::default();
        bounds.window = config.window;
        bounds.outgoing_bytes = config.buffer_bytes;
        Self::InBand(Box::new(Bytestream::new(role, sid, block_size, bounds)))
    }

    fn tunnel(sid: &str) -> Self {
        Self::Tunnel(Pipe { sid: sid.to_owned(), is_open: false, is_over: false, out: Vec::new() })
    }

    /// The peer accepted what we offered, by this. The words say why it does not fit.
    pub(super) fn agree(&mut self, transport: &Transport, element: ElementRef<'_>) -> Result<(), &'static str> {
        match (self, transport) {
            (Self::InBand(bytestream), Transport::Ibb(ibb)) => {
                // XEP-0261 § 2.2: the responder can only lower the block size.
                let size = ibb.block_size.unwrap_or(u16::MAX).min(bytestream.block_size());
                if !is_usable(ibb, size) || ibb.sid.as_deref().is_some_and(|sid| sid != bytestream.sid()) {
                    return Err("another bytestream than the one that was offered");
                }
                let role = bytestream.role();
                bytestream.agree(role, size);
                Ok(())
            }
            (Self::Tunnel(pipe), Transport::Other { ns })
                if ns == ns::TUNNEL_TRANSPORT && tunnel_sid(element) == Some(&pipe.sid) =>
            {
                Ok(())
            }
            _ => Err("another transport than the one that was offered"),
        }
    }

    /// Appends the `<transport/>`.
    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::None => {}
            Self::InBand(bytestream) => {
                Transport::Ibb(IbbTransport::new(bytestream.sid(), bytestream.block_size())).write(out);
            }
            Self::Tunnel(pipe) => {
                out.push_str("<transport");
                write::attribute(out, "xmlns", ns::TUNNEL_TRANSPORT);
                write::attribute(out, "sid", &pipe.sid);
                out.push_str("/>");
            }
        }
    }

    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The sid of what carries the bytes.
    pub(super) fn sid(&self) -> Option<&str> {
        self.bytestream().map(|bytestream| bytestream.sid()).or_else(|| self.tunnel_sid())
    }

    /// There is nothing to carry: no tunnel is needed for that.
    pub(super) fn spare(&mut self) {
        if matches!(self, Self::Tunnel(_)) {
            *self = Self::None;
        }
    }

    pub(super) fn open(&mut self) {
        if let Self::InBand(bytestream) = self
            && bytestream.role() == BytestreamRole::Opener
        {
            bytestream.open();
        }
    }

    pub(super) fn tunnel_sid(&self) -> Option<&str> {
        match self {
            Self::Tunnel(pipe) => Some(&pipe.sid),
            Self::None | Self::InBand(_) => None,
        }
    }

    pub(super) fn pipe(&mut self) -> Option<&mut Pipe> {
        match self {
            Self::Tunnel(pipe) => Some(pipe),
            Self::None | Self::InBand(_) => None,
        }
    }

    pub(super) fn bytestream(&self) -> Option<&Bytestream> {
        match self {
            Self::InBand(bytestream) => Some(bytestream),
            Self::None | Self::Tunnel(_) => None,
        }
    }

    pub(super) fn bytestream_mut(&mut self) -> Option<&mut Bytestream> {
        match self {
            Self::InBand(bytestream) => Some(bytestream),
            Self::None | Self::Tunnel(_) => None,
        }
    }

    /// Whether bytes can go by it now.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::None => true,
            Self::InBand(bytestream) => bytestream.state() >= BytestreamState::Open,
            Self::Tunnel(pipe) => pipe.is_open,
        }
    }

    /// Bytes that wait to be sent.
    pub(super) fn queued(&self) -> usize {
        match self {
            Self::None => 0,
            Self::InBand(bytestream) => bytestream.queued(),
            Self::Tunnel(pipe) => pipe.out.len(),
        }
    }

    /// Bytes that were sent and are not acknowledged, where that is known.
    pub(super) fn unacked(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::InBand(bytestream) => bytestream.unacked(),
            Self::Tunnel(pipe) => crate::hash::wide(pipe.out.len()),
        }
    }
}

fn is_usable(ibb: &IbbTransport, block_size: u16) -> bool {
    ibb.version == IbbVersion::Ibb1 && !ibb.in_messages && block_size >= IbbTransport::MIN_BLOCK_SIZE
}

fn tunnel_sid(transport: ElementRef<'_>) -> Option<&str> {
    transport.attribute("sid").filter(|sid| !sid.is_empty() && sid.len() <= MAX_SID)
}
