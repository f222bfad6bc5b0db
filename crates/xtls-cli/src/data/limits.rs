//! How large stanzas are that servers take, of those that have ended a connection because of one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use xtls_stanza::jid::BareJid;
use xtls_store::{FileError, PrivateFile};

use crate::exit::Failure;

/// The version of the format that is written and understood.
const VERSION: u32 = 1;
/// The most domains that are remembered; of more, the oldest are forgotten.
const MAX_SERVERS: usize = 1000;
/// For how long, in seconds: servers change.
const MEMORY: u64 = 30 * 24 * 60 * 60;

/// The file of limits. Nothing is trusted by it.
#[derive(Debug)]
pub(crate) struct LimitsFile(PrivateFile);

/// The file's own words.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    /// By domain.
    servers: BTreeMap<String, Limit>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    /// What is sent at most.
    bytes: u32,
    /// Since when, in seconds of Unix time.
    since: u64,
}

impl LimitsFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(PrivateFile::new("file of limits", path))
    }

    /// The largest stanza to send to the server of a domain, if one was refused in the last thirty days.
    ///
    /// # Errors
    ///
    /// When the file is damaged, of another version, or cannot be read.
    pub(crate) fn of(&self, domain: &BareJid, unix_time: u64) -> Result<Option<u32>, Failure> {
        let servers = self.read().map_err(failure)?;
        let limit = servers.get(domain.canonical()).filter(|limit| unix_time.saturating_sub(limit.since) < MEMORY);
        Ok(limit.map(|limit| limit.bytes))
    }

    /// Remembers what the server of a domain is sent at most from now on.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or written; it stays as it is.
    pub(crate) fn remember(&self, domain: &BareJid, bytes: u32, unix_time: u64) -> Result<(), Failure> {
        let _lock = self.0.lock().map_err(failure)?;
        let mut servers = self.read().map_err(failure)?;
        servers.insert(domain.canonical().to_owned(), Limit { bytes, since: unix_time });
        while servers.len() > MAX_SERVERS {
            let others = servers.iter().filter(|(name, _)| *name != domain.canonical());
            let Some(oldest) = others.min_by_key(|(_, limit)| limit.since).map(|(name, _)| name.clone()) else { break };
            servers.remove(&oldest);
        }
        let stored = Stored { version: VERSION, servers };
        let mut text = serde_json::to_vec_pretty(&stored).map_err(|e| Failure::other(e.to_string()))?;
        text.push(b'\n');
        self.0.write(&text).map_err(failure)
    }

    fn read(&self) -> Result<BTreeMap<String, Limit>, FileError> {
        let Some(text) = self.0.read()? else { return Ok(BTreeMap::new()) };
        let stored: Stored = serde_json::from_slice(&text).map_err(|e| self.0.damaged(e))?;
        if stored.version != VERSION {
            let why = format_args!("its version is {} and only {VERSION} is known", stored.version);
            return Err(self.0.damaged(why));
        }
        Ok(stored.servers)
    }
}

fn failure(error: FileError) -> Failure {
    Failure::other(error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn domain(number: usize) -> BareJid {
        format!("{number}.example").parse().unwrap()
    }

    #[test]
    fn a_limit_is_remembered_for_thirty_days_and_those_of_1000_domains() {
        let dir = tempfile::tempdir().unwrap();
        let file = || LimitsFile::new(dir.path().join("limits.json"));
        assert_eq!(file().of(&domain(0), 0).unwrap(), None);
        file().remember(&domain(0), 2848, 100).unwrap();
        file().remember(&domain(0), 2048, 1000).unwrap();
        assert_eq!(file().of(&domain(0), 1000 + MEMORY - 1).unwrap(), Some(2048));
        assert_eq!(file().of(&domain(0), 1000 + MEMORY).unwrap(), None);
        assert_eq!(file().of(&domain(1), 1000).unwrap(), None);
        for number in 1..MAX_SERVERS {
            file().remember(&domain(number), 2048, 1001).unwrap();
        }
        assert_eq!(file().of(&domain(0), 1001).unwrap(), Some(2048));
        file().remember(&domain(MAX_SERVERS), 2048, 0).unwrap();
        assert_eq!(file().of(&domain(0), 1001).unwrap(), None, "the oldest but that which is new");
        assert_eq!(file().of(&domain(MAX_SERVERS), 0).unwrap(), Some(2048));
    }

    #[test]
    fn what_cannot_be_read_is_named_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("limits.json");
        for text in ["{", r#"{"version":2,"servers":{}}"#, r#"{"version":1,"servers":{},"more":1}"#] {
            std::fs::write(&path, text).unwrap();
            let file = LimitsFile::new(path.clone());
            assert!(file.of(&domain(0), 0).unwrap_err().message.contains("limits.json"), "{text}");
            assert!(file.remember(&domain(0), 1, 0).is_err());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}
