//! The command line.

mod account;
mod link;
mod pair;
mod probe;
mod verify;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use xtls::jingle::Profile;
use xtls_stanza::jid::{BareJid, Jid};

use crate::config::Nicknames;

pub(crate) use account::{AccountArgs, AccountCommand, AddArgs, LoginArgs, TrustArgs};
pub(crate) use link::{LinkArgs, LinkCommand, LinkConnectArgs, LinkListArgs, LinkListenArgs};
pub(crate) use pair::PairArgs;
pub(crate) use probe::ProbeArgs;
pub(crate) use verify::VerifyArgs;

/// End-to-end encrypted chat over XMPP: the servers carry it, and cannot read or change it.
#[derive(Debug, Parser)]
#[command(name = "xtls", version, max_term_width = 100, after_help = exit_codes())]
pub(crate) struct Cli {
    /// Print one JSON object a line on standard output, and nothing else there; pipe does so on standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Where certificates and trust are kept [default: "xtls" in the data directory of the platform]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// The configuration file [default: xtls/config.toml in the configuration directory of the platform]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Every exit code with its meaning.
pub(crate) const EXIT_CODES: [(u8, &str); 5] = [
    (0, "done"),
    (1, "other failure"),
    (2, "wrong usage"),
    (
        3,
        "security failure: peer or probed server not verified, certificate changed, wrong password, no XTLS at the peer",
    ),
    (
        4,
        "connection or protocol failure: login refused, unknown host, server or peer gone, no XMPP, something not sent",
    ),
];

fn exit_codes() -> String {
    let lines: Vec<String> = EXIT_CODES.iter().map(|(code, meaning)| format!("  {code}  {meaning}")).collect();
    format!("Exit codes:\n{}", lines.join("\n"))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show a whole tunnel inside this process: no account, no server, no network
    Demo(DemoArgs),

    /// Show and change the accounts of the configuration file
    #[command(subcommand)]
    Account(AccountCommand),

    /// Show your certificate and its fingerprints; create it the first time
    Identity(IdentityArgs),

    /// Show and change which certificates are trusted
    #[command(subcommand)]
    Trust(TrustCommand),

    /// Trust a peer's certificate, and have it trust yours, by a code that one of you shows and the other one types
    ///
    /// Without PEER a code of four words is shown, and the same as a link: tell it to the one person whom it is for, by
    /// telephone or face to face, who runs "xtls pair" with your address. Words may be cut to their first four letters. A
    /// mistyped code is told before anything is sent. The code is good once and for ten minutes, and three wrong ones end it.
    /// With --json the code is read from standard input when "code_wanted" is told.
    Pair(Box<PairArgs>),

    /// Compare a short string with a peer that is trusted by a leap of faith, which shows whether somebody is in the middle
    ///
    /// Both users run this, one of them with the other one's address. Each sees ten digits, and the same as three words; they read
    /// them to one another, by telephone or face to face, and type whether they are the same. If both say so, the certificate is
    /// the peer's. If they differ, somebody is in the middle, and a leap of faith is taken back. With --json the answer is read
    /// from standard input when "answer_wanted" is told.
    Verify(VerifyArgs),

    /// Wait for tunnels from trusted peers, print messages and send lines of standard input
    ///
    /// Lines of standard input go to the first peer that comes, and to no other one before the user chooses it with a line
    /// "/to JID", which is read at a terminal and with --json. The end of input closes in order; empty standard input just
    /// means that there is nothing to send.
    Listen(ListenArgs),

    /// Open a tunnel to a peer: lines of standard input are messages, the end of input closes in order
    Chat(ChatArgs),

    /// Carry standard input to a peer, and what it sends to standard output, byte for byte
    ///
    /// The end of standard input ends our direction; the end of the peer's closes standard output. A terminal is no input:
    /// nothing is read from it. Everything else is told on standard error, with --json too. With a password there is one end for both directions: the first input to end
    /// that had at least one byte brings it about.
    Pipe(PipeArgs),

    /// Ask a peer what it can do, or a server how a connection to it is secured
    ///
    /// An address with an @ is a peer. It is asked whether it has XTLS, what it answers to our offer (XEP-0250; peers answer
    /// those that they know), and by what a tunnel would be secured, without opening one. All of that went through the servers
    /// and proves nothing.
    ///
    /// Anything else is a server. It is connected to without logging in, for everything that RFC 7590 says users should be
    /// able to learn: whether the connection is encrypted and the server authenticated, by what, with which certificate, and
    /// whether that is the one of last time.
    Probe(Box<ProbeArgs>),

    /// Talk to another machine directly, without a server between the two
    #[command(subcommand)]
    Link(LinkCommand),

    /// Write the script that completes this command line in a shell to standard output
    Completions {
        /// The shell
        shell: Shell,
    },

    /// Write the manual page to standard output, in roff
    Man {
        /// Write the pages of this command and of each subcommand into this directory, over those of before
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
    /// How much to move through the raw-bytes tunnel: a number, or one with KiB, MiB or GiB
    #[arg(long, value_name = "N", default_value = "8MiB", value_parser = byte_count)]
    pub(crate) bytes: u64,

    /// Move this file in place of made-up bytes
    #[arg(long, value_name = "FILE", conflicts_with = "bytes")]
    pub(crate) file: Option<PathBuf>,

    /// Write a line of JSON for each stanza and each event to a new file, without message content
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,

    /// Draw who sends what when into a new SVG file, without message content
    #[arg(long, value_name = "FILE")]
    pub(crate) ladder: Option<PathBuf>,

    /// What is offered and tolerated where specifications and old clients differ: strict, draft02 or tolerant
    #[arg(long, value_name = "PROFILE", default_value = "tolerant", value_parser = profile)]
    pub(crate) profile: Profile,
}

#[derive(Debug, Args)]
pub(crate) struct IdentityArgs {
    /// The account that the certificate is for; without it, every certificate that exists is shown
    #[arg(long, value_name = "JID")]
    pub(crate) jid: Option<Jid>,

    /// What kind of key a new certificate is to have [default: p256]
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
        /// A fingerprint in hex (colons allowed, "sha-256:" or "sha1:" before it allowed), or a PEM file
        #[arg(value_name = "FINGERPRINT-OR-PEM")]
        certificate: String,
        /// The peer has several certificates: trust those that are trusted already as well
        #[arg(long, conflicts_with = "replace")]
        keep: bool,
        /// The peer has changed its certificate: trust none any more that is trusted already
        #[arg(long)]
        replace: bool,
    },

    /// Trust no certificate of a peer any more
    Remove {
        /// The peer's bare address
        jid: BareJid,
    },

    /// Forget the wrong passwords that were tried with a peer, or by strangers at an address of yours
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

    /// Take tunnels from this peer only; may be repeated [default: from every trusted peer]
    #[arg(long, value_name = "BAREJID")]
    pub(crate) accept_from: Vec<BareJid>,

    /// What the configuration file calls peers
    #[arg(skip)]
    pub(crate) nicknames: Nicknames,

    /// Answer each message with its own text; standard input is not read
    #[arg(long)]
    pub(crate) echo: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ChatArgs {
    /// A full address, or a bare one: then a resource with XTLS is looked for among those online
    pub(crate) peer: Jid,

    #[command(flatten)]
    pub(crate) account: AccountArgs,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,

    /// What the configuration file calls peers
    #[arg(skip)]
    pub(crate) nicknames: Nicknames,
}

#[derive(Debug, Args)]
pub(crate) struct PipeArgs {
    /// A full address, or a bare one: then a resource with XTLS is looked for among those online
    #[arg(required_unless_present = "listen", conflicts_with = "listen")]
    pub(crate) peer: Option<Jid>,

    /// Wait for a peer to open the tunnel; the first one that is verified is served, and only that
    #[arg(long)]
    pub(crate) listen: bool,

    /// With --listen, take tunnels from this peer only; may be repeated [default: from every trusted peer]
    #[arg(long, value_name = "BAREJID", requires = "listen")]
    pub(crate) accept_from: Vec<BareJid>,

    /// The end of standard input ends both directions, in order
    #[arg(long)]
    pub(crate) close_on_eof: bool,

    #[command(flatten)]
    pub(crate) account: AccountArgs,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,
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
