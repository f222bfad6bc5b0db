//! The configuration file: accounts, nicknames of peers, and policies. It is the user's: `xtls account` alone changes it, and leaves
//! whatever else stands there as it is.

mod edit;
mod fill;
mod read;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use directories::ProjectDirs;
use xtls::jingle::Profile;
use xtls_stanza::jid::{BareJid, Jid};
use xtls_store::is_writable_by_all;

use crate::args::{LoginArgs, WayArgs};
use crate::exit::Failure;
use crate::output::Output;
use read::Wrong;

/// Its name in the configuration directory.
const CONFIG_FILE: &str = "config.toml";
/// Longest file that is read or written, in bytes.
const MAX_FILE: usize = 64 * 1024;

/// Where the configuration file is, if there is one.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    /// None where there is no home directory.
    path: Option<PathBuf>,
    /// The command line names it.
    is_given: bool,
}

/// What the configuration file says.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// The account that is used where none is named.
    default: Option<String>,
    /// In the order of the file; no two have the same name or the same bare address.
    pub(crate) accounts: Vec<StoredAccount>,
    pub(crate) nicknames: Nicknames,
    /// For addresses that have no account here.
    policies: Policies,
    /// For them, and for servers that are probed.
    pub(crate) way: WayArgs,
}

/// An account of the configuration file.
#[derive(Clone, Debug)]
pub(crate) struct StoredAccount {
    pub(crate) name: String,
    /// It names an account at its domain.
    pub(crate) jid: Jid,
    pub(crate) login: LoginArgs,
    /// With those for all accounts, where it has none of its own.
    pub(crate) policies: Policies,
}

/// Where the password of an account is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoredPassword {
    /// In the first line of this file.
    File(PathBuf),
    /// In the first line that this command of the shell prints.
    Shell(String),
    /// In the first line that this program prints; the rest are its arguments. It is not empty.
    Program(Vec<String>),
}

/// What holds until the command line says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Policies {
    /// Whose offers alone are taken.
    pub(crate) accept_from: Option<Vec<BareJid>>,
    pub(crate) leap_of_faith: Option<bool>,
    /// Not together with a leap of faith.
    pub(crate) peer_ca_file: Option<PathBuf>,
    pub(crate) profile: Option<Profile>,
}

/// Short names of peers. They look like a domain without a dot, and compare like one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nicknames(BTreeMap<String, Jid>);

impl ConfigFile {
    /// The given file, or else the one in the platform's configuration directory.
    pub(crate) fn find(given: Option<&Path>) -> Self {
        let usual = || ProjectDirs::from("", "", "xtls").map(|dirs| dirs.config_dir().join(CONFIG_FILE));
        Self { path: given.map(Path::to_owned).or_else(usual), is_given: given.is_some() }
    }

    /// Warns of a file that every user of the machine can change: it names commands to run.
    pub(crate) fn warn_if_exposed(&self, output: Output) {
        let Some(path) = self.path.as_deref().filter(|path| path.exists()) else { return };
        for place in [Some(path), path.parent()].into_iter().flatten().filter(|place| is_writable_by_all(place)) {
            output.warn(&format!(
                "every user of this machine can change the configuration file, and what it says to run: chmod o-w {}",
                place.display()
            ));
        }
    }

    /// What the file says; nothing if there is none, unless the command line names it.
    ///
    /// # Errors
    ///
    /// A usage failure that names the place of whatever is wrong with it; a file that cannot be read.
    pub(crate) fn read(&self) -> Result<Config, Failure> {
        if let Some(path) = self.path.as_ref().filter(|path| self.is_given && !path.exists()) {
            return Err(Failure::usage(format!("there is no configuration file {}: check --config", path.display())));
        }
        self.read_or_new()
    }

    /// The same of a file that may be about to be made.
    ///
    /// # Errors
    ///
    /// As [`ConfigFile::read`].
    pub(crate) fn read_or_new(&self) -> Result<Config, Failure> {
        let Some(path) = &self.path else { return Ok(Config::default()) };
        let content = content(path)?.unwrap_or_default();
        parsed(path, &content).map(|(_, config)| config)
    }
}

impl Config {
    /// The account of this name.
    ///
    /// # Errors
    ///
    /// A usage failure when there is none.
    pub(crate) fn named(&self, name: &str) -> Result<&StoredAccount, Failure> {
        self.accounts.iter().find(|account| account.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.accounts.iter().map(|account| account.name.as_str()).collect();
            let others = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Failure::usage(format!("there is no account {name} in the configuration file; it has {others}"))
        })
    }

    /// The account that is used where none is named: the one that the file says, or the only one.
    ///
    /// # Errors
    ///
    /// A usage failure when there are several, and the file says nothing.
    pub(crate) fn default_account(&self) -> Result<Option<&StoredAccount>, Failure> {
        match (&self.default, &self.accounts[..]) {
            (Some(name), _) => self.named(name).map(Some),
            (None, []) => Ok(None),
            (None, [only]) => Ok(Some(only)),
            (None, _) => Err(Failure::usage(
                "the configuration file has several accounts and no default: give --account NAME, or choose one with: xtls \
                 account default NAME",
            )),
        }
    }

    /// Whether it is the account that is used where none is named.
    pub(crate) fn is_default(&self, account: &StoredAccount) -> bool {
        self.default_account().ok().flatten().is_some_and(|default| default.name == account.name)
    }
}

impl Nicknames {
    #[cfg(test)]
    pub(crate) fn of(peers: &[(&str, &str)]) -> Self {
        let peer = |(name, peer): &(&str, &str)| Some(((*name).to_owned(), peer.parse().ok()?));
        Self(peers.iter().filter_map(peer).collect())
    }

    /// All of them.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// What the user calls this peer. One that stands for a resource is the name of no other one.
    pub(crate) fn name_of(&self, peer: &Jid) -> Option<&str> {
        let is_meant = |meant: &Jid| meant == peer || (meant.resource().is_none() && meant.to_bare() == peer.to_bare());
        self.0.iter().find(|(_, meant)| is_meant(meant)).map(|(name, _)| name.as_str())
    }

    /// Whom an address stands for that the user has given; what is no nickname stands for itself. A resource after a nickname
    /// is the peer's.
    pub(crate) fn resolve(&self, given: Jid) -> Jid {
        if given.local().is_some() {
            return given;
        }
        match (self.0.get(given.to_bare().canonical()), given.resource()) {
            (None, _) => given,
            (Some(peer), None) => peer.clone(),
            (Some(peer), Some(resource)) => format!("{}/{resource}", peer.to_bare()).parse().unwrap_or(given),
        }
    }
}

/// All of the file; `None` if there is none.
fn content(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let name = path.display();
    let unreadable = |e| Failure::other(format!("the configuration file {name} cannot be read: {e}"));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(unreadable(e)),
    };
    let mut content = Vec::new();
    let most = u64::try_from(MAX_FILE).unwrap_or(u64::MAX);
    file.take(most + 1).read_to_end(&mut content).map_err(unreadable)?;
    check_length(path, content.len())?;
    Ok(Some(content))
}

fn check_length(path: &Path, length: usize) -> Result<(), Failure> {
    if length <= MAX_FILE {
        return Ok(());
    }
    Err(Failure::usage(format!("the configuration file {} is longer than {} KiB", path.display(), MAX_FILE / 1024)))
}

/// What the content of the file says, and it as text.
fn parsed<'a>(path: &Path, content: &'a [u8]) -> Result<(&'a str, Config), Failure> {
    let read = || -> Result<(&'a str, Config), Wrong> {
        let text = std::str::from_utf8(content)
            .map_err(|e| Wrong { at: e.valid_up_to(), why: "what stands here is not UTF-8".to_owned() })?;
        Ok((text, read::config(text, path.parent().unwrap_or_else(|| Path::new("")))?))
    };
    read().map_err(|Wrong { at, why }| {
        let before = String::from_utf8_lossy(content.get(..at).unwrap_or(content));
        // Nobody sees it.
        let before = before.trim_start_matches('\u{feff}');
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Failure::usage(format!("the configuration file {}, line {line}, column {column}: {why}", path.display()))
    })
}

#[cfg(test)]
mod tests;
