//! Changes of the configuration file, which keep what else stands there: comments, and the order of things.

use std::path::{Path, PathBuf};

use toml_edit::{Array, DocumentMut, Item, RawString, Table, Value, value};
use xtls_store::{PrivateFile, make_private_dir};

use super::{Config, ConfigFile, StoredAccount, StoredPassword, check_length, content, parsed, read};
use crate::exit::Failure;

impl ConfigFile {
    /// Adds an account; the first one, or with `as_default`, is the default then. Gives what the file says from then on.
    ///
    /// # Errors
    ///
    /// When there is an account of this name or address, the file cannot be used, or it cannot be written; it is as it was.
    pub(crate) fn add(&self, account: &StoredAccount, as_default: bool) -> Result<Config, Failure> {
        self.change(|document, config| {
            config.check_new(account)?;
            let table = written(account)?;
            let accounts = document.entry("accounts").or_insert_with(|| {
                let mut accounts = Table::new();
                accounts.set_implicit(true);
                Item::Table(accounts)
            });
            match accounts {
                Item::Value(Value::InlineTable(accounts)) => {
                    accounts.insert(account.name.as_str(), table.into_inline_table().into());
                }
                accounts => {
                    accounts[account.name.as_str()] = Item::Table(table);
                }
            }
            if as_default || config.accounts.is_empty() {
                set_default(document, &account.name);
            } else if let (None, [only]) = (&config.default, &config.accounts[..]) {
                // It was the default as long as it was the only one.
                set_default(document, &only.name);
            }
            Ok(())
        })
    }

    /// Makes an account the one that is used where none is named.
    ///
    /// # Errors
    ///
    /// When there is none of this name, the file cannot be used, or it cannot be written; it is as it was.
    pub(crate) fn set_default(&self, name: &str) -> Result<Config, Failure> {
        self.change(|document, config| {
            config.named(name)?;
            set_default(document, name);
            Ok(())
        })
    }

    /// Removes an account; if it was the default there is none.
    ///
    /// # Errors
    ///
    /// As [`ConfigFile::set_default`].
    pub(crate) fn remove(&self, name: &str) -> Result<Config, Failure> {
        self.change(|document, config| {
            config.named(name)?;
            if config.default.as_deref() == Some(name) {
                let (above, _) = parts(document.key("default").and_then(|key| key.leaf_decor().prefix()));
                document.remove("default");
                keep(document, &above, isize::MIN);
            }
            let Some(accounts) = document.get_mut("accounts").and_then(Item::as_table_like_mut) else { return Ok(()) };
            if let Some(Item::Table(table)) = accounts.remove(name) {
                let (above, _) = parts(table.decor().prefix());
                keep(document, &above, table.position().unwrap_or_default());
            }
            Ok(())
        })
    }

    /// Changes the file: one process at a time, and as a whole.
    fn change(&self, edit: impl FnOnce(&mut DocumentMut, &Config) -> Result<(), Failure>) -> Result<Config, Failure> {
        let path = self.target()?;
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            make_private_dir(dir).map_err(|e| {
                Failure::other(format!("the configuration directory {} cannot be made: {e}", dir.display()))
            })?;
        }
        let file = PrivateFile::new("configuration file", &path);
        let failure = |e: xtls_store::FileError| Failure::other(e.to_string());
        let _lock = file.lock().map_err(failure)?;
        let content = content(&path)?.unwrap_or_default();
        let (text, config) = parsed(&path, &content)?;
        let mut document: DocumentMut =
            text.parse().map_err(|e: toml_edit::TomlError| Failure::other(e.message().to_owned()))?;
        edit(&mut document, &config)?;
        let text = document.to_string();
        // What is written can be read.
        check_length(&path, text.len())?;
        let (_, config) = parsed(&path, text.as_bytes())?;
        file.write(text.as_bytes()).map_err(failure)?;
        Ok(config)
    }

    /// The file itself: a link to it stays.
    fn target(&self) -> Result<PathBuf, Failure> {
        let path = self.path.as_deref().ok_or_else(|| {
            Failure::other("there is no home directory to keep the configuration file in: give --config FILE")
        })?;
        // A name alone is in the working directory, which locks and renamings need by name.
        let path = std::path::absolute(path)
            .map_err(|e| Failure::other(format!("{} cannot be found: {e}", path.display())))?;
        if !path.is_symlink() {
            return Ok(path);
        }
        path.canonicalize()
            .map_err(|e| Failure::other(format!("the link {} leads to no file: {e}; remove it", path.display())))
    }
}

impl Config {
    /// # Errors
    ///
    /// A usage failure when the account cannot be added, or must not have this name.
    pub(crate) fn check_new(&self, account: &StoredAccount) -> Result<(), Failure> {
        let StoredAccount { name, jid, .. } = account;
        read::check_name(name).map_err(Failure::usage)?;
        if self.accounts.iter().any(|other| other.name == *name) {
            return Err(Failure::usage(format!(
                "there is an account {name} already: give another name, or remove it first with: xtls account remove {name}"
            )));
        }
        if let Some(other) = self.accounts.iter().find(|other| other.jid.to_bare() == jid.to_bare()) {
            return Err(Failure::usage(format!("the account {} has this address already", other.name)));
        }
        Ok(())
    }
}

/// What stands in the file for an account that was given by options.
fn written(account: &StoredAccount) -> Result<Table, Failure> {
    let mut table = Table::new();
    let login = &account.login;
    table["jid"] = value(account.jid.as_str());
    if let Some(server) = &login.server {
        table["server"] = value(server);
    }
    for (key, given) in [("direct-tls", login.direct_tls), ("insecure-plaintext", login.insecure_plaintext)] {
        if given {
            table[key] = value(true);
        }
    }
    let way = &login.way;
    for (key, given) in [("dns", &way.dns), ("proxy", &way.proxy)] {
        if let Some(given) = given {
            table[key] = value(given);
        }
    }
    if let Some(file) = &way.proxy_login_file {
        table["proxy-login-file"] = value(path(file)?);
    }
    if let Some(file) = &login.ca_file {
        table["ca-file"] = value(path(file)?);
    }
    if !login.server_fingerprints.is_empty() {
        table["server-fingerprint"] = value(login.server_fingerprints.iter().map(String::as_str).collect::<Array>());
    }
    match &login.stored_password {
        Some(StoredPassword::File(file)) => table["password-file"] = value(path(file)?),
        Some(StoredPassword::Shell(line)) => table["password-command"] = value(line),
        Some(StoredPassword::Program(words)) => {
            table["password-command"] = value(words.iter().map(String::as_str).collect::<Array>());
        }
        None => {}
    }
    Ok(table)
}

/// Where a file is, whatever directory the next command runs in.
fn path(given: &Path) -> Result<String, Failure> {
    let path = std::path::absolute(given).ok().and_then(|path| path.to_str().map(str::to_owned));
    path.ok_or_else(|| Failure::usage(format!("{} cannot stand in a configuration file", given.display())))
}

fn set_default(document: &mut DocumentMut, name: &str) {
    if let Some(Item::Value(old)) = document.get_mut("default") {
        // With what stands behind it.
        let decor = old.decor().clone();
        *old = name.into();
        *old.decor_mut() = decor;
        return;
    }
    // Keys of the file stand before its tables, and words about the file before both.
    let is_first = document.iter().all(|(_, item)| !item.is_value());
    let mut heading = String::new();
    if let Some(table) = next_table(document, isize::MIN).filter(|_| is_first) {
        let (above, own) = parts(table.decor().prefix());
        table.decor_mut().set_prefix(format!("\n{own}"));
        heading = above;
    }
    document["default"] = value(name);
    if let Some(mut key) = document.key_mut("default").filter(|_| is_first) {
        key.leaf_decor_mut().set_prefix(heading);
    }
}

/// What stands above a key or a table: up to the last empty line, which is not about it, and the comment right above it.
fn parts(prefix: Option<&RawString>) -> (String, String) {
    let text = prefix.and_then(RawString::as_str).unwrap_or_default();
    let mut end = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        at += line.len();
        if line.trim().is_empty() {
            end = at;
        }
    }
    let (above, own) = text.split_at(end);
    (above.to_owned(), own.to_owned())
}

/// Keeps what stood above something that was removed and is not about it: it stands above the next table now, or at the end.
fn keep(document: &mut DocumentMut, above: &str, position: isize) {
    if above.trim().is_empty() {
        return;
    }
    if let Some(table) = next_table(document, position) {
        let below = table.decor().prefix().and_then(RawString::as_str).unwrap_or_default();
        let joined = format!("{above}{}", below.trim_start_matches('\n'));
        table.decor_mut().set_prefix(joined);
        return;
    }
    let joined = format!("{above}{}", document.trailing().as_str().unwrap_or_default());
    document.set_trailing(joined);
}

/// The first table of the text after a position: of the file, or of an account.
fn next_table(document: &mut DocumentMut, after: isize) -> Option<&mut Table> {
    let mut found: Option<(isize, String, Option<String>)> = None;
    let mut consider = |table: &Table, name: &str, inner: Option<&str>| {
        let Some(position) = table.position().filter(|position| *position > after) else { return };
        if found.as_ref().is_none_or(|(least, ..)| position < *least) {
            found = Some((position, name.to_owned(), inner.map(str::to_owned)));
        }
    };
    for (name, item) in document.iter() {
        let Some(table) = item.as_table() else { continue };
        consider(table, name, None);
        for (inner, item) in table.iter() {
            if let Some(table) = item.as_table() {
                consider(table, name, Some(inner));
            }
        }
    }
    let (_, name, inner) = found?;
    let table = document.get_mut(&name)?.as_table_mut()?;
    match inner {
        Some(inner) => table.get_mut(&inner)?.as_table_mut(),
        None => Some(table),
    }
}
