//! The options of `xtls probe`.

use std::path::PathBuf;

use clap::Args;
use xtls::jingle::Profile;
use xtls_stanza::jid::{BareJid, Jid};

use super::{AccountArgs, LoginArgs, TrustArgs, WayArgs};
use crate::exit::Failure;

#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// A peer's address, a domain, or a server's host and port
    #[arg(value_name = "PEER|HOST[:PORT]")]
    pub(crate) target: String,

    /// Trust these certificate authorities (PEM) for the server instead of the platform's, or the server's own certificate
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,

    /// Begin with TLS, without STARTTLS
    #[arg(long)]
    pub(crate) direct_tls: bool,

    /// Trust this certificate: a fingerprint in hex; may be repeated
    #[arg(long = "trust", value_name = "FINGERPRINT")]
    pub(crate) fingerprints: Vec<String>,

    #[command(flatten)]
    pub(crate) way: WayArgs,

    #[command(flatten)]
    pub(crate) server: ServerArgs,

    #[command(flatten)]
    pub(crate) peer: PeerArgs,

    /// The account that a peer is asked with, and the conditions of a tunnel with it.
    #[arg(skip)]
    pub(crate) filled: Option<Box<(AccountArgs, TrustArgs)>>,
}

/// What only a server is asked with.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options for a server")]
pub(crate) struct ServerArgs {
    /// The XMPP domain it serves [default: HOST]
    #[arg(long, value_name = "NAME", value_parser = super::domain)]
    pub(crate) domain: Option<BareJid>,

    /// How long the server may take to say what it offers, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) timeout: u64,
}

/// What only a peer is asked with: the account, and the conditions of a tunnel that would be opened.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options for a peer")]
pub(crate) struct PeerArgs {
    /// Your address, such as juliet@capulet.example. If the configuration file has an account with it, the rest is taken from there
    /// [default: the default account]
    #[arg(long, value_name = "JID")]
    pub(crate) jid: Option<Jid>,

    /// The account with this name in the configuration file
    #[arg(long, value_name = "NAME", conflicts_with = "jid")]
    pub(crate) account: Option<String>,

    /// Do not ask the peer what it is ready for, which shows your fingerprints to it and to the servers
    #[arg(long)]
    pub(crate) no_offer: bool,

    /// The server to connect to [default: the one that DNS names for your address; port 5222, or 5223 with --direct-tls]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) server: Option<String>,

    /// Trust the server's certificate with this fingerprint, whoever vouches for it; may be repeated
    #[arg(long = "server-fingerprint", value_name = "FINGERPRINT", conflicts_with_all = ["ca_file", "insecure_plaintext"])]
    pub(crate) server_fingerprints: Vec<String>,

    /// Read the password from the first line of this file [default: XTLS_PASSWORD, what the configuration file says, or a prompt]
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,

    /// Log in to the server without TLS, at loopback addresses only
    #[arg(long, conflicts_with_all = ["ca_file", "direct_tls"])]
    pub(crate) insecure_plaintext: bool,

    /// Write each stanza and event as a line of JSON to a new file, without the text of messages
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,

    /// What to offer and tolerate where specifications and old clients differ: strict, draft02 or tolerant [default: tolerant]
    #[arg(long, value_name = "PROFILE", value_parser = super::profile)]
    pub(crate) profile: Option<Profile>,

    /// As if whatever certificate a new peer shows were accepted
    #[arg(long, conflicts_with_all = ["fingerprints", "srp_password_file", "srp_password_prompt"])]
    pub(crate) leap_of_faith: bool,

    /// As if peers were accepted for whose address one of these authorities (PEM) vouches
    #[arg(long, value_name = "FILE", conflicts_with_all = ["leap_of_faith", "fingerprints"])]
    pub(crate) peer_ca_file: Option<PathBuf>,

    /// As if the password in the first line of this file were shared with the peer
    #[arg(long, value_name = "FILE")]
    pub(crate) srp_password_file: Option<PathBuf>,

    /// Ask for that password at the terminal, before anything else
    #[arg(long, conflicts_with = "srp_password_file")]
    pub(crate) srp_password_prompt: bool,
}

impl ProbeArgs {
    /// Whether it is a peer that is asked, and not a server.
    pub(crate) fn is_peer(&self) -> bool {
        self.target.contains('@')
    }

    /// # Errors
    ///
    /// A usage failure for what only a peer is asked with.
    pub(crate) fn check_server(&self) -> Result<(), Failure> {
        let PeerArgs { jid, account, server, server_fingerprints, password_file, insecure_plaintext, trace, .. } =
            &self.peer;
        let PeerArgs { no_offer, leap_of_faith, peer_ca_file, srp_password_file, srp_password_prompt, .. } = &self.peer;
        let given = [
            ("--jid", jid.is_some()),
            ("--account", account.is_some()),
            ("--server", server.is_some()),
            ("--server-fingerprint", !server_fingerprints.is_empty()),
            ("--password-file", password_file.is_some()),
            ("--insecure-plaintext", *insecure_plaintext),
            ("--trace", trace.is_some()),
            ("--no-offer", *no_offer),
            ("--leap-of-faith", *leap_of_faith),
            ("--peer-ca-file", peer_ca_file.is_some()),
            ("--srp-password-file", srp_password_file.is_some()),
            ("--srp-password-prompt", *srp_password_prompt),
        ];
        self.refuse(&given, "a peer, whose address has an @")?;
        if self.ca_file.is_some() && !self.fingerprints.is_empty() {
            return Err(Failure::usage("a server is trusted by --trust or by --ca-file, not by both".to_owned()));
        }
        Ok(())
    }

    /// # Errors
    ///
    /// A usage failure for what only a server is asked with.
    pub(crate) fn check_peer(&self) -> Result<(), Failure> {
        self.refuse(&[("--domain", self.server.domain.is_some())], "a server, which has no @")
    }

    fn refuse(&self, given: &[(&str, bool)], is_for: &str) -> Result<(), Failure> {
        match given.iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(Failure::usage(format!("{option} is for {is_for}; {} is none", self.target))),
            None => Ok(()),
        }
    }

    /// The account that a peer is asked with.
    pub(crate) fn account(&self) -> AccountArgs {
        let peer = &self.peer;
        AccountArgs {
            jid: peer.jid.clone(),
            account: peer.account.clone(),
            login: LoginArgs {
                server: peer.server.clone(),
                direct_tls: self.direct_tls,
                way: self.way.clone(),
                password_file: peer.password_file.clone(),
                ca_file: self.ca_file.clone(),
                server_fingerprints: peer.server_fingerprints.clone(),
                insecure_plaintext: peer.insecure_plaintext,
                stored_password: None,
            },
            trace: peer.trace.clone(),
            profile: peer.profile,
            is_passing: true,
        }
    }

    /// The conditions of a tunnel with a peer.
    pub(crate) fn trust(&self) -> TrustArgs {
        let PeerArgs { leap_of_faith, peer_ca_file, srp_password_file, srp_password_prompt, .. } = &self.peer;
        TrustArgs {
            fingerprints: self.fingerprints.clone(),
            leap_of_faith: *leap_of_faith,
            peer_ca_file: peer_ca_file.clone(),
            srp_password_file: srp_password_file.clone(),
            srp_password_prompt: *srp_password_prompt,
        }
    }
}
