//! The options about the account, and `xtls account`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use xtls::jingle::Profile;
use xtls_stanza::jid::{BareJid, Jid};

use crate::config::StoredPassword;
use crate::exit::Failure;

/// Where these are shown.
const ACCOUNT: &str = "Account and server";
const TRUST: &str = "Trust in peers";

#[derive(Debug, Args)]
pub(crate) struct AccountArgs {
    /// Your address, such as juliet@capulet.example. If the configuration file has an account with it, the rest is taken from there
    /// [default: the default account]
    #[arg(help_heading = ACCOUNT, long, value_name = "JID")]
    pub(crate) jid: Option<Jid>,

    /// The account with this name in the configuration file
    #[arg(help_heading = ACCOUNT, long, value_name = "NAME", conflicts_with = "jid")]
    pub(crate) account: Option<String>,

    #[command(flatten)]
    pub(crate) login: LoginArgs,

    /// Write each stanza and event as a line of JSON to a new file, without the text of messages
    #[arg(help_heading = ACCOUNT, long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,

    /// What to offer and tolerate where specifications and old clients differ: strict, draft02 or tolerant [default: tolerant]
    #[arg(help_heading = ACCOUNT, long, value_name = "PROFILE", value_parser = super::profile)]
    pub(crate) profile: Option<Profile>,

    /// The login is soon over: it leaves the resource that peers look for to others.
    #[arg(skip)]
    pub(crate) is_passing: bool,
}

/// The way to the server of an account, and the password there.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct LoginArgs {
    /// The server to connect to [default: the one that DNS names for your address; port 5222, or 5223 with --direct-tls]
    #[arg(help_heading = ACCOUNT, long, value_name = "HOST:PORT")]
    pub(crate) server: Option<String>,

    /// Begin with TLS, without STARTTLS
    #[arg(help_heading = ACCOUNT, long, conflicts_with = "insecure_plaintext")]
    pub(crate) direct_tls: bool,

    #[command(flatten)]
    pub(crate) way: WayArgs,

    /// Read the password from the first line of this file [default: XTLS_PASSWORD, what the configuration file says, or a prompt]
    #[arg(help_heading = ACCOUNT, long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,

    /// Trust these certificate authorities (PEM) for the server instead of the platform's, or the server's own certificate
    #[arg(help_heading = ACCOUNT, long, value_name = "FILE", conflicts_with = "insecure_plaintext")]
    pub(crate) ca_file: Option<PathBuf>,

    /// Trust the server's certificate with this fingerprint, whoever vouches for it; may be repeated
    #[arg(help_heading = ACCOUNT, long = "server-fingerprint", value_name = "FINGERPRINT", conflicts_with_all = ["ca_file", "insecure_plaintext"])]
    pub(crate) server_fingerprints: Vec<String>,

    /// Log in to the server without TLS, at loopback addresses only
    #[arg(help_heading = ACCOUNT, long)]
    pub(crate) insecure_plaintext: bool,

    /// Where the configuration file says that the password is, if no option does.
    #[arg(skip)]
    pub(crate) stored_password: Option<StoredPassword>,
}

/// How servers are found and reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct WayArgs {
    /// Ask this DNS server instead of the system's
    #[arg(help_heading = ACCOUNT, long, value_name = "ADDRESS[:PORT]")]
    pub(crate) dns: Option<String>,

    /// Connect through this SOCKS 5 proxy, such as socks5://127.0.0.1:9050 for Tor. The proxy looks up the server's name: there is
    /// no other connection, and no DNS query
    #[arg(help_heading = ACCOUNT, long, value_name = "URL")]
    pub(crate) proxy: Option<String>,

    /// Log in to the proxy with USER:PASSWORD from the first line of this file
    #[arg(help_heading = ACCOUNT, long, value_name = "FILE")]
    pub(crate) proxy_login_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// Trust the certificate with this fingerprint, of a peer without a trusted one, and remember it once the tunnel is up. Leave out
    /// the address where one peer alone is named. May be repeated
    #[arg(help_heading = TRUST, long = "trust", value_name = "[BAREJID=]FINGERPRINT")]
    pub(crate) fingerprints: Vec<String>,

    /// Accept whatever certificate a new peer shows, and expect the same one from then on
    #[arg(help_heading = TRUST, long, conflicts_with_all = ["fingerprints", "srp_password_file", "srp_password_prompt"])]
    pub(crate) leap_of_faith: bool,

    /// Accept peers without a trusted certificate for whose address one of these authorities (PEM) vouches
    #[arg(help_heading = TRUST, long, value_name = "FILE", conflicts_with_all = ["leap_of_faith", "fingerprints"])]
    pub(crate) peer_ca_file: Option<PathBuf>,

    /// Share the password in the first line of this file with the peer, where no certificate is trusted
    #[arg(help_heading = TRUST, long, value_name = "FILE")]
    pub(crate) srp_password_file: Option<PathBuf>,

    /// Ask for that password at the terminal, before anything else
    #[arg(help_heading = TRUST, long, conflicts_with = "srp_password_file")]
    pub(crate) srp_password_prompt: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Add an account, once a login has shown that it works
    ///
    /// At a terminal this asks for what no option says. A password is never written down, only where to read it each time. An
    /// account that exists already is not changed.
    Add(Box<AddArgs>),

    /// List the accounts
    List,

    /// Show everything that the configuration file says for an account
    Show {
        /// The account's name [default: the default account]
        name: Option<String>,
    },

    /// Make an account the default
    Default {
        /// The account's name
        name: String,
    },

    /// Remove an account, but not its certificate, nor what is trusted
    Remove {
        /// The account's name
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// What to call the account [default: the first part of the address]
    pub(crate) name: Option<String>,

    /// Your address, such as juliet@capulet.example
    #[arg(long, value_name = "JID")]
    pub(crate) jid: Option<Jid>,

    #[command(flatten)]
    pub(crate) login: LoginArgs,

    /// Read the password each time from the first line that this shell command prints, such as "pass show xmpp"
    #[arg(long, value_name = "COMMAND", conflicts_with = "password_file")]
    pub(crate) password_command: Option<String>,

    /// Make it the default account; the first account is in any case
    #[arg(long)]
    pub(crate) default: bool,

    /// Add it without trying it
    #[arg(long)]
    pub(crate) no_login: bool,
}

impl AccountArgs {
    /// Who the user is.
    ///
    /// # Errors
    ///
    /// A usage failure when neither the command line nor the configuration file says it.
    pub(crate) fn jid(&self) -> Result<&Jid, Failure> {
        self.jid.as_ref().ok_or_else(|| {
            Failure::usage(
                "no account is named: give your address with --jid, or add an account once for all with: xtls account add",
            )
        })
    }

    /// The same without a resource.
    ///
    /// # Errors
    ///
    /// As [`AccountArgs::jid`].
    pub(crate) fn bare(&self) -> Result<BareJid, Failure> {
        self.jid().map(Jid::to_bare)
    }
}
