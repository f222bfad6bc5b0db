//! What the two ends know, as disco#info tells it.

use xtls_stanza::{DiscoInfo, ns as xmpp};

use crate::{FileHashAlgo, FilesConfig, ns};

/// What the peer knows of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PeerFeatures {
    /// Jingle file transfer (XEP-0234).
    pub files: bool,
    /// What goes beyond that: manifests, and checks of what is there already.
    pub extended: bool,
    /// Bytes by a tunnel of their own.
    pub tunnels: bool,
}

impl PeerFeatures {
    pub(crate) fn of(info: &DiscoInfo) -> Self {
        Self {
            files: info.supports(ns::FILE_TRANSFER),
            extended: info.supports(ns::FILES),
            tunnels: info.supports(ns::TUNNEL_TRANSPORT),
        }
    }
}

/// What we say. XEP-0234 § 11 and XEP-0300 § 5: what is known MUST be told.
pub(crate) fn own(config: &FilesConfig) -> DiscoInfo {
    let hashes: Vec<String> = FileHashAlgo::ALL.iter().map(|algo| algo.feature()).collect();
    let mut info = DiscoInfo::new(config.identity.clone())
        .with_features([xmpp::JINGLE, xmpp::JINGLE_IBB, xmpp::IBB, ns::FILE_TRANSFER, ns::HASHES, ns::FILES])
        .with_features(hashes.iter().map(String::as_str))
        .with_features(config.features.iter().map(String::as_str));
    if config.tunnels {
        info = info.with_feature(ns::TUNNEL_TRANSPORT);
    }
    info
}
