//! What a tunnel of this session needs for files.

use std::time::Duration;

use xtls::TunnelOptions;
use xtls_files::FilesConfig;
use xtls_tokio::{FileTunnel, Handle, XmlTunnel};

use super::Session;
use crate::exit::Failure;
use crate::random::random;

/// How long the user at the other end may take to decide: as long as anybody is likely to wait for that.
const DECISION_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// What is needed for files in one tunnel.
#[derive(Debug)]
pub(crate) struct FileSetup {
    handle: Handle,
    options: TunnelOptions,
    config: FilesConfig,
    seed: [u8; 32],
}

impl FileSetup {
    /// Bytes go by tunnels of these options, where they can.
    ///
    /// # Errors
    ///
    /// When the system has no random numbers.
    pub(crate) fn new(session: &Session, options: TunnelOptions) -> Result<Self, Failure> {
        let mut config = FilesConfig::default();
        config.tunnels = true;
        config.features = session.features_inside();
        config.decision = DECISION_TIME;
        Ok(Self { handle: session.handle.clone(), options, config, seed: random()? })
    }

    /// Files in this tunnel.
    pub(super) fn files_in(self, tunnel: XmlTunnel) -> FileTunnel {
        FileTunnel::new(tunnel, self.handle, self.seed, self.options, self.config)
    }
}
