//! An account of the configuration file, as it is shown.

use std::io::{self, Write};

use serde::Serialize;

use super::{Shown, human};
use crate::config::{StoredAccount, StoredPassword};

/// The members of the `account` event.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Account {
    name: String,
    default: bool,
    jid: String,
    server: Option<String>,
    direct_tls: bool,
    insecure_plaintext: bool,
    dns: Option<String>,
    proxy: Option<String>,
    proxy_login_file: Option<String>,
    ca_file: Option<String>,
    server_fingerprints: Vec<String>,
    /// `prompt`, `file` or `command`.
    password: &'static str,
    password_file: Option<String>,
    /// The program and its arguments, which are those of `sh` where the file has a command of the shell.
    password_command: Option<Vec<String>>,
    accept_from: Option<Vec<String>>,
    leap_of_faith: bool,
    peer_ca_file: Option<String>,
    profile: &'static str,
    /// One line of a list.
    #[serde(skip)]
    is_brief: bool,
}

impl Account {
    pub(crate) fn new(account: &StoredAccount, default: bool) -> Self {
        let (login, policies) = (&account.login, &account.policies);
        let (password, password_file, password_command) = match &login.stored_password {
            None => ("prompt", None, None),
            Some(StoredPassword::File(file)) => ("file", Some(file.display().to_string()), None),
            Some(StoredPassword::Shell(line)) => {
                ("command", None, Some(vec!["sh".to_owned(), "-c".to_owned(), line.clone()]))
            }
            Some(StoredPassword::Program(words)) => ("command", None, Some(words.clone())),
        };
        let accept_from = policies.accept_from.as_ref();
        Self {
            name: account.name.clone(),
            default,
            jid: account.jid.to_string(),
            server: login.server.clone(),
            direct_tls: login.direct_tls,
            insecure_plaintext: login.insecure_plaintext,
            dns: login.way.dns.clone(),
            proxy: login.way.proxy.clone(),
            proxy_login_file: login.way.proxy_login_file.as_ref().map(|file| file.display().to_string()),
            ca_file: login.ca_file.as_ref().map(|file| file.display().to_string()),
            server_fingerprints: login.server_fingerprints.clone(),
            password,
            password_file,
            password_command,
            accept_from: accept_from.map(|peers| peers.iter().map(ToString::to_string).collect()),
            leap_of_faith: policies.leap_of_faith == Some(true),
            peer_ca_file: policies.peer_ca_file.as_ref().map(|file| file.display().to_string()),
            profile: policies.profile.unwrap_or_default().as_str(),
            is_brief: false,
        }
    }

    /// The same as one line of a list; with `--json` it has all members.
    pub(crate) fn brief(self) -> Self {
        Self { is_brief: true, ..self }
    }

    pub(super) fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let default = if self.default { "  (default)" } else { "" };
        if self.is_brief {
            return writeln!(out, "{}  {}{default}", Shown(&self.name), Shown(&self.jid));
        }
        writeln!(out, "* account {}{default}", Shown(&self.name))?;
        let line = |out: &mut dyn Write, name: &str, value: &str| writeln!(out, "    {name:<11} {}", Shown(value));
        line(out, "address", &self.jid)?;
        // Through a proxy the DNS is not asked.
        let own = if self.proxy.is_some() { "the host that the address names" } else { "where the DNS says" };
        line(out, "server", self.server.as_deref().unwrap_or(own))?;
        if self.insecure_plaintext {
            line(out, "protection", "none: login without TLS, at loopback addresses only")?;
        } else if self.direct_tls {
            line(out, "protection", "TLS from the beginning")?;
        }
        if let Some(dns) = &self.dns {
            line(out, "DNS", &format!("asks {dns}"))?;
        }
        if let Some(proxy) = &self.proxy {
            line(out, "proxy", proxy)?;
        }
        if let Some(file) = &self.proxy_login_file {
            line(out, "proxy login", &format!("the first line of {file}"))?;
        }
        if let Some(file) = &self.ca_file {
            line(out, "trusts", &format!("authorities in {file}"))?;
        }
        for fingerprint in &self.server_fingerprints {
            human::fingerprint(out, "trusts", fingerprint, ", the server's certificate")?;
        }
        match (&self.password_file, &self.password_command) {
            (Some(file), _) => line(out, "password", &format!("the first line of {file}"))?,
            (_, Some(words)) => {
                line(out, "password", &format!("the first line that is printed by: {}", words.join(" ")))?
            }
            (None, None) => line(out, "password", "is asked for")?,
        }
        match self.accept_from.as_deref() {
            None => {}
            Some([]) => line(out, "accepts", "every trusted peer")?,
            Some(peers) => line(out, "accepts", &peers.join(" "))?,
        }
        if self.leap_of_faith {
            line(out, "strangers", "are taken by a leap of faith")?;
        }
        if let Some(file) = &self.peer_ca_file {
            line(out, "strangers", &format!("are taken if authorities in {file} vouch for them"))?;
        }
        line(out, "profile", self.profile)
    }
}
