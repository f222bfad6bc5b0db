//! The words of the configuration file.

use std::path::{Path, PathBuf};

use directories::BaseDirs;
use toml_edit::{Document, Item, Key, TableLike};
use xtls::jingle::Profile;
use xtls_stanza::jid::{BareJid, Jid};

use super::{Config, Nicknames, Policies, StoredAccount, StoredPassword};
use crate::account::{CLIENT_PORT, Server};
use crate::args::{LoginArgs, WayArgs};
use crate::session;
use crate::way::{check_proxy, dns_server};

/// The keys of the whole file, of an account, and of both.
const OF_ALL: [&str; 3] = ["default", "accounts", "peers"];
const OF_AN_ACCOUNT: [&str; 8] = [
    "jid",
    "server",
    "direct-tls",
    "ca-file",
    "server-fingerprint",
    "insecure-plaintext",
    "password-file",
    "password-command",
];
const OF_BOTH: [&str; 7] =
    ["accept-from", "leap-of-faith", "peer-ca-file", "profile", "dns", "proxy", "proxy-login-file"];
/// Longest name of an account, in bytes.
const MAX_NAME: usize = 64;

/// What is wrong, and at which byte.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) why: String,
}

type Read<T> = Result<T, Wrong>;

/// Reads the text of the file; other files that it names are in `dir`, unless it says where.
///
/// # Errors
///
/// What is not TOML, a key that is not known, and a value that cannot be used.
pub(super) fn config(text: &str, dir: &Path) -> Read<Config> {
    let document = Document::parse(text).map_err(|e| Wrong {
        at: e.span().map_or(0, |span| span.start),
        why: e.message().split_whitespace().collect::<Vec<_>>().join(" "),
    })?;
    let root = entries(document.as_table());
    let find = |key: &str| root.iter().find(|entry| entry.key == key);
    let nicknames = find("peers").map(nicknames).transpose()?.unwrap_or_default();
    let reader = Reader { dir, nicknames: &nicknames };
    let (mut policies, mut way) = (Policies::default(), WayArgs::default());
    for entry in root.iter().filter(|entry| !OF_ALL.contains(&entry.key)) {
        if !reader.policy(entry, &mut policies)? && !reader.way(entry, &mut way)? {
            return Err(entry.unknown(&[OF_ALL.as_slice(), &OF_BOTH].concat()));
        }
    }
    let mut accounts: Vec<StoredAccount> = Vec::new();
    for entry in find("accounts").map(Entry::table).transpose()?.unwrap_or_default() {
        let account = reader.account(&entry, &policies, &way)?;
        if let Some(other) = accounts.iter().find(|other| other.jid.to_bare() == account.jid.to_bare()) {
            return Err(entry.wrong_key(format!("{} has the address of {}", account.name, other.name)));
        }
        accounts.push(account);
    }
    let default = match find("default") {
        Some(entry) => {
            let name = entry.string()?;
            if !accounts.iter().any(|account| account.name == name) {
                return Err(entry.wrong(format!("there is no account {name}")));
            }
            Some(name.to_owned())
        }
        None => None,
    };
    Ok(Config { default, accounts, policies, way, nicknames })
}

/// Whether an account may have this name.
///
/// # Errors
///
/// Why not.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > MAX_NAME || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(format!("the name of an account has 1 to {MAX_NAME} bytes, and no white space"));
    }
    Ok(())
}

/// A key with its value.
struct Entry<'a> {
    key: &'a str,
    /// Where the key is.
    at: usize,
    item: &'a Item,
}

fn entries(table: &dyn TableLike) -> Vec<Entry<'_>> {
    let at = |key: &str| table.key(key).and_then(Key::span).map_or(0, |span| span.start);
    table.iter().map(|(key, item)| Entry { key, at: at(key), item }).collect()
}

impl<'a> Entry<'a> {
    /// The value is wrong.
    fn wrong(&self, why: impl Into<String>) -> Wrong {
        Wrong { at: self.item.span().map_or(self.at, |span| span.start), why: why.into() }
    }

    /// The key is wrong.
    fn wrong_key(&self, why: impl Into<String>) -> Wrong {
        Wrong { at: self.at, why: why.into() }
    }

    fn unknown(&self, known: &[&str]) -> Wrong {
        self.wrong_key(match self.key {
            "password" => {
                "a password has no place in this file: password-command or password-file says where it is, and \
                           without them it is asked for"
                    .to_owned()
            }
            key => format!("there is no {key} here; there are {}", known.join(", ")),
        })
    }

    fn of_type(&self, wanted: &str) -> Wrong {
        self.wrong(format!("{} is {} and has to be {wanted}", self.key, self.item.type_name()))
    }

    fn string(&self) -> Read<&'a str> {
        self.item.as_str().ok_or_else(|| self.of_type("a string"))
    }

    fn boolean(&self) -> Read<bool> {
        self.item.as_bool().ok_or_else(|| self.of_type("true or false"))
    }

    fn table(&self) -> Read<Vec<Self>> {
        self.item.as_table_like().map(entries).ok_or_else(|| self.of_type("a table"))
    }

    /// Strings, each with its place.
    fn strings(&self) -> Read<Vec<(usize, &'a str)>> {
        let array = self.item.as_array().ok_or_else(|| self.of_type("an array of strings"))?;
        let string = |value: &'a toml_edit::Value| {
            let at = value.span().map_or(self.at, |span| span.start);
            let why = || format!("{} has {} where a string has to be", self.key, value.type_name());
            value.as_str().map(|text| (at, text)).ok_or_else(|| Wrong { at, why: why() })
        };
        array.iter().map(string).collect()
    }

    /// The same where a string alone may stand for an array of it.
    fn one_or_more(&self) -> Read<Vec<(usize, &'a str)>> {
        match self.item.as_str() {
            Some(text) => Ok(vec![(self.wrong("").at, text)]),
            None => self.strings(),
        }
    }
}

fn nicknames(entry: &Entry<'_>) -> Read<Nicknames> {
    let mut nicknames = Nicknames::default();
    for entry in entry.table()? {
        let name: Option<BareJid> = entry.key.parse().ok().filter(|_| !entry.key.contains(['@', '.']));
        let name = name.ok_or_else(|| {
            entry.wrong_key(format!("{} is no nickname: those have letters, digits and hyphens", entry.key))
        })?;
        let peer: Jid = entry.string()?.parse().map_err(|e| entry.wrong(format!("this is no address: {e}")))?;
        if nicknames.0.insert(name.canonical().to_owned(), peer).is_some() {
            return Err(entry.wrong_key(format!("there is a nickname {} already", entry.key)));
        }
    }
    Ok(nicknames)
}

struct Reader<'a> {
    dir: &'a Path,
    nicknames: &'a Nicknames,
}

impl Reader<'_> {
    /// Takes a policy; whether it is one.
    fn policy(&self, entry: &Entry<'_>, into: &mut Policies) -> Read<bool> {
        match entry.key {
            "accept-from" => {
                let peer = |(at, text): (usize, &str)| {
                    let peer: Jid =
                        text.parse().map_err(|e| Wrong { at, why: format!("{text} is no address: {e}") })?;
                    Ok(self.nicknames.resolve(peer).into_bare())
                };
                into.accept_from = Some(entry.strings()?.into_iter().map(peer).collect::<Read<_>>()?);
            }
            "leap-of-faith" => into.leap_of_faith = Some(entry.boolean()?),
            "peer-ca-file" => into.peer_ca_file = Some(self.path(entry)?),
            "profile" => {
                let profile = Profile::parse(entry.string()?);
                let names = || Profile::ALL.iter().map(|profile| profile.as_str()).collect::<Vec<_>>().join(", ");
                into.profile = Some(profile.ok_or_else(|| entry.wrong(format!("this is none of {}", names())))?);
            }
            _ => return Ok(false),
        }
        if into.leap_of_faith == Some(true) && into.peer_ca_file.is_some() {
            return Err(entry.wrong_key("leap-of-faith and peer-ca-file do not go together"));
        }
        Ok(true)
    }

    /// Takes a part of the way to servers; whether it is one.
    fn way(&self, entry: &Entry<'_>, into: &mut WayArgs) -> Read<bool> {
        let checked = |text: &str, check: fn(&str) -> Result<(), String>| {
            check(text).map_err(|why| entry.wrong(why)).map(|()| Some(text.to_owned()))
        };
        match entry.key {
            "dns" => into.dns = checked(entry.string()?, |text| dns_server(text).map(|_| ()))?,
            "proxy" => into.proxy = checked(entry.string()?, check_proxy)?,
            "proxy-login-file" => into.proxy_login_file = Some(self.path(entry)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn account(&self, account: &Entry<'_>, for_all: &Policies, way_of_all: &WayArgs) -> Read<StoredAccount> {
        check_name(account.key).map_err(|why| account.wrong_key(why))?;
        let (mut jid, mut login, mut own) = (None, LoginArgs::default(), Policies::default());
        for entry in account.table()? {
            match entry.key {
                "jid" => jid = Some(own_address(&entry)?),
                "server" => {
                    let text = entry.string()?;
                    Server::parse("", text, CLIENT_PORT).map_err(|e| entry.wrong(e.message))?;
                    login.server = Some(text.to_owned());
                }
                "direct-tls" => login.direct_tls = entry.boolean()?,
                "insecure-plaintext" => login.insecure_plaintext = entry.boolean()?,
                "ca-file" => login.ca_file = Some(self.path(&entry)?),
                "server-fingerprint" => {
                    for (at, text) in entry.one_or_more()? {
                        let wrong = |why| Wrong { at, why: format!("this is no fingerprint: {why}") };
                        session::fingerprint(text).map_err(wrong)?;
                        login.server_fingerprints.push(text.to_owned());
                    }
                }
                "password-file" | "password-command" if login.stored_password.is_some() => {
                    return Err(entry.wrong_key("password-file and password-command do not go together"));
                }
                "password-file" => login.stored_password = Some(StoredPassword::File(self.path(&entry)?)),
                "password-command" => login.stored_password = Some(password_command(&entry)?),
                _ if self.policy(&entry, &mut own)? || self.way(&entry, &mut login.way)? => {}
                _ => return Err(entry.unknown(&[OF_AN_ACCOUNT.as_slice(), &OF_BOTH].concat())),
            }
            // As on the command line.
            let ways = [login.ca_file.is_some(), !login.server_fingerprints.is_empty(), login.insecure_plaintext];
            if ways.into_iter().filter(|given| *given).count() > 1 {
                return Err(entry.wrong_key("ca-file, server-fingerprint and insecure-plaintext do not go together"));
            }
            if login.direct_tls && login.insecure_plaintext {
                return Err(entry.wrong_key("direct-tls and insecure-plaintext do not go together"));
            }
        }
        let jid = jid.ok_or_else(|| account.wrong_key(format!("the account {} has no jid", account.key)))?;
        login.way.fill(way_of_all);
        Ok(StoredAccount { name: account.key.to_owned(), jid, login, policies: own.over(for_all) })
    }

    /// A file, which may be said from this one on, or from the home directory.
    fn path(&self, entry: &Entry<'_>) -> Read<PathBuf> {
        let text = entry.string()?;
        if text.is_empty() {
            return Err(entry.wrong(format!("{} names no file", entry.key)));
        }
        match text.strip_prefix("~/") {
            Some(rest) => {
                let dirs = BaseDirs::new().ok_or_else(|| entry.wrong("there is no home directory for ~"))?;
                Ok(dirs.home_dir().join(rest))
            }
            None => Ok(self.dir.join(text)),
        }
    }
}

fn own_address(entry: &Entry<'_>) -> Read<Jid> {
    let jid: Jid = entry.string()?.parse().map_err(|e| entry.wrong(format!("this is no address: {e}")))?;
    if jid.local().is_none() {
        return Err(entry.wrong("this address has no account before an @"));
    }
    Ok(jid)
}

fn password_command(entry: &Entry<'_>) -> Read<StoredPassword> {
    let command = match entry.item.as_str() {
        Some(line) => StoredPassword::Shell(line.to_owned()),
        None => StoredPassword::Program(entry.strings()?.into_iter().map(|(_, word)| word.to_owned()).collect()),
    };
    let is_empty = match &command {
        StoredPassword::Shell(line) => line.trim().is_empty(),
        StoredPassword::Program(words) => words.first().is_none_or(String::is_empty),
        StoredPassword::File(_) => false,
    };
    if is_empty { Err(entry.wrong("password-command names no command")) } else { Ok(command) }
}

impl Policies {
    /// These, and where they say nothing the others.
    fn over(self, others: &Self) -> Self {
        let says_nothing = self.leap_of_faith.is_none() && self.peer_ca_file.is_none();
        // The two exclude one another, so that they come from the same place.
        let of_strangers = if says_nothing { others } else { &self };
        Self {
            leap_of_faith: of_strangers.leap_of_faith,
            peer_ca_file: of_strangers.peer_ca_file.clone(),
            accept_from: self.accept_from.clone().or_else(|| others.accept_from.clone()),
            profile: self.profile.or(others.profile),
        }
    }
}
