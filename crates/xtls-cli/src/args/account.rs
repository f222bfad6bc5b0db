//! The options about the account, and `xtls account`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use xtls::jingle::Profile;
use xtls_stanza::jid::{BareJid, Jid};

use crate::config::StoredPassword;
use crate::exit::Failure;

#[derive(Debug, Args)]
pub(crate) struct AccountArgs {
    /// Your address, such as juliet@capulet.example; one without a resource gets one. Of an account of the configuration file
    /// with this address all else counts that no option says [default: the default account there]
    #[arg(long, value_name = "JID")]
    pub(crate) jid: Option<Jid>,

    /// The account of this name in the configuration file
    #[arg(long, value_name = "NAME", conflicts_with = "jid")]
    pub(crate) account: Option<String>,

    #[command(flatten)]
    pub(crate) login: LoginArgs,

    /// Write a line of JSON for each stanza and each event to a new file, without message content
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,

    /// What is offered and tolerated where specifications and old clients differ: strict, draft02 or tolerant [default:
    /// tolerant]
    #[arg(long, value_name = "PROFILE", value_parser = super::profile)]
    pub(crate) profile: Option<Profile>,

    /// The login is soon over: it leaves the resource that peers look for to others.
    #[arg(skip)]
    pub(crate) is_passing: bool,
}

/// The way to the server of an account, and the password there.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct LoginArgs {
    /// Connect to this server [default port: 5222, or 5223 with --direct-tls; default server: the one that DNS names for
    /// your address]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) server: Option<String>,

    /// Begin with TLS, without STARTTLS
    #[arg(long, conflicts_with = "insecure_plaintext")]
    pub(crate) direct_tls: bool,

    #[command(flatten)]
    pub(crate) way: WayArgs,

    /// Read the password from the first line of this file [else: XTLS_PASSWORD, else what the configuration file says, else a
    /// prompt]
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,

    /// Trust these certificate authorities (PEM) for the server, in place of the platform's; or the server's own certificate
    #[arg(long, value_name = "FILE", conflicts_with = "insecure_plaintext")]
    pub(crate) ca_file: Option<PathBuf>,

    /// Trust this certificate of the server, whoever vouches for it: a fingerprint in hex; may be repeated
    #[arg(long = "server-fingerprint", value_name = "FINGERPRINT", conflicts_with_all = ["ca_file", "insecure_plaintext"])]
    pub(crate) server_fingerprints: Vec<String>,

    /// Log in without TLS to the server; only to loopback addresses
    #[arg(long)]
    pub(crate) insecure_plaintext: bool,

    /// Where the configuration file says that the password is, if no option does.
    #[arg(skip)]
    pub(crate) stored_password: Option<StoredPassword>,
}

/// How servers are found and reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct WayArgs {
    /// Ask this DNS server, not those of the system
    #[arg(long, value_name = "ADDRESS[:PORT]")]
    pub(crate) dns: Option<String>,

    /// Connect through this SOCKS 5 proxy, such as socks5://127.0.0.1:9050 for Tor. It looks up the server's name: nothing else is
    /// connected to, and no DNS server is asked
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<String>,

    /// Log in to the proxy with USER:PASSWORD from the first line of this file
    #[arg(long, value_name = "FILE")]
    pub(crate) proxy_login_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// Trust this certificate of a peer that none is trusted of, and remember it when the tunnel is up: its fingerprint in hex.
    /// The address may be left out where one peer alone is named. May be repeated
    #[arg(long = "trust", value_name = "[BAREJID=]FINGERPRINT")]
    pub(crate) fingerprints: Vec<String>,

    /// Accept the certificate of a peer that was never seen before, and expect the same from then on
    #[arg(long, conflicts_with_all = ["fingerprints", "srp_password_file", "srp_password_prompt"])]
    pub(crate) leap_of_faith: bool,

    /// Accept a peer without a trusted certificate if one of these certificate authorities (PEM) vouches for its address
    #[arg(long, value_name = "FILE", conflicts_with_all = ["leap_of_faith", "fingerprints"])]
    pub(crate) peer_ca_file: Option<PathBuf>,

    /// Share the password in the first line of this file with the peer: it stands for a certificate that is not trusted
    #[arg(long, value_name = "FILE")]
    pub(crate) srp_password_file: Option<PathBuf>,

    /// Ask for that password in the terminal, before anything else
    #[arg(long, conflicts_with = "srp_password_file")]
    pub(crate) srp_password_prompt: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Add an account, once a login has shown that it works
    ///
    /// At a terminal, what no option says is asked for. A password is never written: only where it is to be read, each time.
    /// Nothing is changed about an account that is there.
    Add(Box<AddArgs>),

    /// List the accounts
    List,

    /// Show all that the configuration file says for an account
    Show {
        /// The account's name [default: the default account]
        name: Option<String>,
    },

    /// Make an account the one that is used where none is named
    Default {
        /// The account's name
        name: String,
    },

    /// Remove an account; its certificate, and what is trusted, stay
    Remove {
        /// The account's name
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// What to call the account here; without it, what stands before the @ of the address
    pub(crate) name: Option<String>,

    /// Your address, such as juliet@capulet.example; one without a resource gets one with each login
    #[arg(long, value_name = "JID")]
    pub(crate) jid: Option<Jid>,

    #[command(flatten)]
    pub(crate) login: LoginArgs,

    /// Read the password, each time, from the first line that this command of the shell prints, such as "pass show xmpp"
    #[arg(long, value_name = "COMMAND", conflicts_with = "password_file")]
    pub(crate) password_command: Option<String>,

    /// Make it the account that is used where none is named, which the first account is in any case
    #[arg(long)]
    pub(crate) default: bool,

    /// Add it without a login
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
