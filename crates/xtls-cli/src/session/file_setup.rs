//! What a tunnel of this session needs for files.

use xtls::{Application, TunnelOptions};
use xtls_files::FilesConfig;
use xtls_tokio::{FileTunnel, Handle, XmlTunnel};

use super::{Rules, Session};
use crate::exit::Failure;
use crate::random::random;

/// What is needed for files in one tunnel.
#[derive(Debug)]
pub(crate) struct FileSetup {
    handle: Handle,
    options: TunnelOptions,
    config: FilesConfig,
    seed: [u8; 32],
}

impl FileSetup {
    /// Bytes go by what these rules let carry them.
    ///
    /// # Errors
    ///
    /// When the system has no random numbers.
    pub(crate) fn new(session: &Session, rules: &Rules) -> Result<Self, Failure> {
        let mut config = FilesConfig::default();
        config.tunnels = true;
        config.features = session.features_inside();
        let options = rules.options(Application::bytes());
        Ok(Self { handle: session.handle.clone(), options, config, seed: random()? })
    }

    /// Files in this tunnel.
    pub(super) fn files_in(self, tunnel: XmlTunnel) -> FileTunnel {
        FileTunnel::new(tunnel, self.handle, self.seed, self.options, self.config)
    }
}
