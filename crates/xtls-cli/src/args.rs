//! The command line.

mod account;
mod files;
mod link;
mod pair;
mod pipe;
mod probe;
mod subscribe;
mod transport;
mod verify;
mod wait;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use xtls::jingle::Profile;
use xtls_stanza::jid::{BareJid, Jid};

use crate::config::Nicknames;

pub(crate) use account::{AccountArgs, AccountCommand, AddArgs, LoginArgs, TrustArgs, WayArgs};
pub(crate) use files::{FileArgs, ReceiveArgs, SendArgs};
pub(crate) use link::{LinkArgs, LinkCommand, LinkConnectArgs, LinkListArgs, LinkListenArgs};
pub(crate) use pair::PairArgs;
pub(crate) use pipe::PipeArgs;
pub(crate) use probe::ProbeArgs;
pub(crate) use subscribe::SubscribeArgs;
pub(crate) use transport::{DirectTo, TransportArgs, TransportKind};
pub(crate) use verify::VerifyArgs;
pub(crate) use wait::{Patience, WaitArgs};

/// End-to-end encrypted chat over XMPP, which servers carry and can neither read nor change.
#[derive(Debug, Parser)]
#[command(name = "xtls", version, max_term_width = 100, after_help = exit_codes())]
pub(crate) struct Cli {
    /// Print one JSON object per line on standard output and nothing else there (pipe: on standard error)
    #[arg(long, global = true, help_heading = GENERAL, display_order = 990)]
    pub(crate) json: bool,

    /// Where certificates and trust are kept [default: xtls in the platform's data directory]
    #[arg(long, global = true, value_name = "DIR", help_heading = GENERAL, display_order = 992)]
    pub(crate) data_dir: Option<PathBuf>,

    /// The configuration file [default: xtls/config.toml in the platform's configuration directory]
    #[arg(long, global = true, value_name = "FILE", help_heading = GENERAL, display_order = 991)]
    pub(crate) config: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where options are shown that every command has.
pub(crate) const GENERAL: &str = "General options";

/// Every exit code with its meaning.
pub(crate) const EXIT_CODES: [(u8, &str); 5] = [
    (0, "done"),
    (1, "other failure"),
    (2, "wrong usage"),
    (3, "security: not verified, certificate changed, wrong password, no XTLS"),
    (4, "connection: login refused, host or peer gone, no XMPP, not all was sent"),
];

fn exit_codes() -> String {
    let lines: Vec<String> = EXIT_CODES.iter().map(|(code, meaning)| format!("  {code}  {meaning}")).collect();
    format!("Exit codes:\n{}", lines.join("\n"))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show a tunnel inside this process: no account, no network
    Demo(DemoArgs),

    /// Show and change the accounts in the configuration file
    #[command(subcommand)]
    Account(AccountCommand),

    /// Show your certificate, and create it the first time
    Identity(IdentityArgs),

    /// Show and change which certificates are trusted
    #[command(subcommand)]
    Trust(TrustCommand),

    /// Trust one another's certificates by a one-time code
    ///
    /// Without PEER, this shows a code of four words, and the same code as a link. Give it to the one user it is for, by phone or
    /// in person; that user runs "xtls pair" with your address. Words may be shortened to their first four letters. A mistyped
    /// code is noticed before anything is sent. The code works once, for ten minutes, and three wrong ones end it. With --json
    /// the code is read from standard input after the event "code_wanted".
    Pair(Box<PairArgs>),

    /// Compare a short string, to find a man in the middle
    ///
    /// For users who trust one another by a leap of faith. Both run this, one of them with the other's address. Each sees ten digits, and the same as three words. Read them to
    /// one another, by phone or in person, and type whether they are the same. If both say yes, the certificate is the peer's. If
    /// they differ, somebody is in the middle, and the leap of faith is taken back. In a chat, /verify does the same. With --json
    /// the answer is read from standard input after the event "answer_wanted".
    Verify(VerifyArgs),

    /// Wait for trusted peers and chat with them
    ///
    /// Lines of standard input are messages to the first peer that comes. The line "/to PEER" chooses another one, "/send FILE" sends
    /// files, and "/help" shows more such commands, at a terminal and with --json. The end of input ends in order; empty input just
    /// means that there is nothing to send.
    Listen(Box<ListenArgs>),

    /// Chat with a peer
    ///
    /// Lines of standard input are messages. The line "/send FILE" sends files, and "/help" shows more such commands, at a terminal
    /// and with --json. The end of input ends in order.
    Chat(Box<ChatArgs>),

    /// Carry standard input to a peer, and back, byte for byte
    ///
    /// The end of standard input ends your direction; the end of the peer's direction closes standard output. Nothing is read from
    /// a terminal. Everything else is told on standard error, with --json too. With a password both directions end at once: when
    /// the first input ends that had at least one byte.
    Pipe(PipeArgs),

    /// Send files and directories to a peer
    ///
    /// The peer runs "xtls receive", or chats. Names, sizes and bytes go inside of the tunnel. What breaks goes on where it stopped when the same is
    /// sent again: the part that the peer has is compared first. The exit code is 0 only if the peer has everything, and its
    /// checksums agree.
    Send(Box<SendArgs>),

    /// Take files from peers
    ///
    /// Shows what a peer offers, with names, sizes and the room that is left, and takes it if you say yes. What broke off is kept as
    /// NAME.xtls-part, and goes on when the peer sends the same again. Nothing is written outside of DIR, and never through a link.
    Receive(Box<ReceiveArgs>),

    /// Ask what a peer can do, or how a server is secured
    ///
    /// An address with an @ is a peer. It is asked whether it has XTLS and what it answers to an offer (XEP-0250; peers answer
    /// those they know). That tells how a tunnel would be secured, without opening one. The answers came through the servers, so
    /// they prove nothing.
    ///
    /// Anything else is a server: that of a domain, as DNS names it, or with a port or --domain the host itself. This connects to it without logging in, and shows what RFC 7590 says users should be able to
    /// learn: whether the connection is encrypted and the server authenticated, how, by which certificate, and whether that has
    /// changed since last time.
    Probe(Box<ProbeArgs>),

    /// See when peers are online, and let them see you
    ///
    /// Not needed for tunnels: peers that know each other find one another without it. This asks PEER for its presence, and lets PEER
    /// see yours; once both users have run it, each sees the other. A request of anybody else is never approved. Without PEER, it
    /// shows whose presence you see, who sees yours, and who waits to be approved.
    Subscribe(SubscribeArgs),

    /// Talk to another machine directly, without a server
    #[command(subcommand)]
    Link(LinkCommand),

    /// Print the completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },

    /// Print the manual page in roff
    Man {
        /// Write the pages of all subcommands into this directory, replacing older ones
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

impl Command {
    /// Whether standard output carries data, so that everything else goes to standard error.
    pub(crate) fn has_data(&self) -> bool {
        match self {
            Self::Pipe(_) => true,
            Self::Link(link) => link.has_data(),
            _ => false,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How much to transfer in a tunnel for raw bytes: a number, or one with KiB, MiB or GiB
    #[arg(long, value_name = "N", default_value = "8MiB", value_parser = byte_count)]
    pub(crate) bytes: u64,

    /// Transfer this file instead of made-up bytes
    #[arg(long, value_name = "FILE", conflicts_with = "bytes")]
    pub(crate) file: Option<PathBuf>,

    /// Write each stanza and event as a line of JSON to a new file, without the text of messages
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,

    /// Draw who sends what when into a new SVG file, without the text of messages
    #[arg(long, value_name = "FILE")]
    pub(crate) ladder: Option<PathBuf>,

    /// What to offer and tolerate where specifications and old clients differ: strict, draft02 or tolerant
    #[arg(long, value_name = "PROFILE", default_value = "tolerant", value_parser = profile)]
    pub(crate) profile: Profile,
}

#[derive(Debug, Args)]
pub(crate) struct IdentityArgs {
    /// The account that the certificate is for [default: show every certificate there is]
    #[arg(long, value_name = "JID")]
    pub(crate) jid: Option<Jid>,

    /// The kind of key for a new certificate [default: p256]
    #[arg(long, value_name = "KIND", requires = "jid")]
    pub(crate) key: Option<Key>,
}

/// The kinds of key that a certificate can be made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Key {
    P256,
    Ed25519,
    Rsa3072,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// List the trusted certificates
    List,

    /// Show everything that is known of a peer
    Show {
        /// The peer's bare address, such as romeo@montague.example
        jid: BareJid,
    },

    /// Trust a certificate of a peer
    Add {
        /// The peer's bare address, such as romeo@montague.example
        jid: BareJid,
        /// A fingerprint in hex, as xtls identity shows it or with colons, "sha-256:" or "sha1:" before it; or a PEM file
        #[arg(value_name = "FINGERPRINT-OR-PEM", required = true)]
        certificate: Vec<String>,
        /// The peer has several certificates: go on trusting the others too
        #[arg(long, conflicts_with = "replace")]
        keep: bool,
        /// The peer has changed its certificate: trust the others no more
        #[arg(long)]
        replace: bool,
    },

    /// Trust no certificate of a peer any more
    Remove {
        /// The peer's bare address
        jid: BareJid,
    },

    /// Forget wrong passwords: those tried with a peer, or by strangers at an address of yours
    Reset {
        /// The bare address of the peer, or yours
        jid: BareJid,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListenArgs {
    #[command(flatten)]
    pub(crate) account: AccountArgs,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,

    /// Accept tunnels from this peer only; may be repeated [default: every trusted peer]
    #[arg(long, value_name = "BAREJID")]
    pub(crate) accept_from: Vec<BareJid>,

    #[command(flatten)]
    pub(crate) files: FileArgs,

    /// What the configuration file calls peers
    #[arg(skip)]
    pub(crate) nicknames: Nicknames,

    /// Answer each message with its own text; do not read standard input
    #[arg(long)]
    pub(crate) echo: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ChatArgs {
    /// The peer: a full address, a bare one (one of its resources with XTLS is found), or a nickname
    pub(crate) peer: Jid,

    #[command(flatten)]
    pub(crate) wait: WaitArgs,

    #[command(flatten)]
    pub(crate) account: AccountArgs,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,

    #[command(flatten)]
    pub(crate) files: FileArgs,

    /// What the configuration file calls peers
    #[arg(skip)]
    pub(crate) nicknames: Nicknames,
}

/// What is wrong with the command line, in one line; `None` when clap has something else to show: help, or the version.
pub(crate) fn slip(error: &clap::Error) -> Option<String> {
    use clap::error::ErrorKind;
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            None
        }
        _ => {
            let text = error.render().to_string();
            let said = text.split("Usage:").next().unwrap_or_default().split("For more information").next();
            let words: Vec<&str> = said.unwrap_or_default().split_whitespace().collect();
            let line = words.join(" ");
            Some(format!("{}; see xtls --help", line.strip_prefix("error: ").unwrap_or(&line)))
        }
    }
}

/// An address that is a domain and nothing else.
pub(crate) fn domain(name: &str) -> Result<BareJid, String> {
    let address: BareJid = name.parse().map_err(|e: xtls_stanza::jid::JidError| e.to_string())?;
    if address.local().is_some() { Err("it has an account before the domain".to_owned()) } else { Ok(address) }
}

/// The profile of this name.
fn profile(name: &str) -> Result<Profile, String> {
    Profile::parse(name).ok_or_else(|| {
        let names: Vec<&str> = Profile::ALL.iter().map(|profile| profile.as_str()).collect();
        format!("it is none of {}", names.join(", "))
    })
}

/// Parses `8388608`, `8192KiB`, `8MiB` or `1GiB`.
fn byte_count(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text.get(digits.len()..).unwrap_or_default().trim();
    let factor: u64 = match unit {
        "" | "B" => 1,
        "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        _ => return Err(format!("the unit {unit:?} is none of KiB, MiB, GiB")),
    };
    let count: u64 = digits.parse().map_err(|_| "not a number of bytes".to_owned())?;
    count.checked_mul(factor).ok_or_else(|| "too large".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn byte_counts_take_binary_units() {
        assert_eq!(byte_count("17"), Ok(17));
        assert_eq!(byte_count("8MiB"), Ok(8 << 20));
        assert_eq!(byte_count("2 KiB"), Ok(2048));
        assert!(byte_count("").is_err());
        assert!(byte_count("8MB").is_err());
        assert!(byte_count("18446744073709551615KiB").is_err());
    }

    #[test]
    fn a_domain_has_no_account() {
        assert_eq!(domain("Capulet.Example").unwrap().canonical(), "capulet.example");
        for name in ["juliet@capulet.example", "capulet.example/x", ""] {
            assert!(domain(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_wrong_command_line_is_told_in_one_line_with_everything_that_is_missing() {
        let slip_of = |args: &[&str]| slip(&Cli::try_parse_from(args).unwrap_err()).unwrap();
        let missing = slip_of(&["xtls", "trust", "add"]);
        assert!(missing.contains("<JID>") && missing.contains("<FINGERPRINT-OR-PEM>"), "{missing}");
        assert!(!missing.contains('\n') && !missing.contains("Usage"), "{missing}");
        let both = slip_of(&["xtls", "demo", "--bytes", "1", "--file", "x"]);
        assert!(both.starts_with("the argument '--bytes <N>' cannot be used with '--file <FILE>'"), "{both}");
        assert!(slip(&Cli::try_parse_from(["xtls", "--help"]).unwrap_err()).is_none());
    }

    #[test]
    fn the_password_is_no_argument() {
        assert!(Cli::try_parse_from(["xtls", "listen", "--jid", "a@b/c", "--password", "x"]).is_err());
    }
}
