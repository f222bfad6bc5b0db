//! What the command tells: text for users, or one JSON object a line.
//!
//! With `--json` nothing but events goes to standard output. Errors go to standard error in both cases. Where standard
//! output carries data, everything goes to standard error, and with `--json` nothing but events.

mod account;
mod chat;
mod file;
mod human;
mod meter;
mod offer;
mod pair;
mod peer;
mod probe;
mod progress;
mod subscription;
mod throttled;
mod verify;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;
use xtls::Receipt;
use xtls::trust::{Method, StoreError};
use xtls_stanza::jid::BareJid;

use crate::clock;
use crate::exit::Failure;
use crate::terminal;

pub(crate) use account::Account;
pub(crate) use chat::excerpt;
pub(crate) use file::TAKE_IT;
use human::human;
pub(crate) use meter::{Direction, Meter};
pub(crate) use offer::{Announced, Key, Probed};
pub(crate) use pair::{ShownCode, code_prompt};
pub(crate) use peer::{Peer, Pinned};
pub(crate) use probe::{Certificate, Feature, Server};
pub(crate) use progress::{Moved, Progress};
pub(crate) use subscription::Subscription;
pub(crate) use throttled::{Faster, Throttled};
pub(crate) use xtls_stanza::Shown;

/// One thing that happened. The names and members are the JSON interface of the command.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Report<'a> {
    /// Logged in, with the resource that the server bound.
    Online { jid: &'a str },
    /// Links are taken at this address.
    Listening { address: &'a str },
    /// `link list`: somebody says that links are taken there. `txt` is what else is said.
    Found { name: &'a str, host: &'a str, port: u16, addresses: &'a [String], txt: &'a BTreeMap<String, String> },
    /// A certificate of our own; fingerprints in lower-case hex, `not_after` in RFC 3339.
    Identity {
        jid: &'a str,
        sha1: &'a str,
        sha256: &'a str,
        key: &'a str,
        not_after: &'a str,
        /// It is new, or was asked for: users do not have to see it each time.
        #[serde(skip)]
        is_news: bool,
    },
    /// `account`: an account of the configuration file.
    Account(Account),
    /// The peer is not there yet, and is waited for; `online` if its account is, without XTLS.
    Waiting { peer: &'a str, online: bool },
    /// `subscribe`: who sees whose presence.
    Subscription(Subscription<'a>),
    /// A peer asks for a tunnel, or for a link.
    Incoming { peer: &'a str },
    /// The peer, or a server in its name, sent the offer on to another of its resources.
    Redirected { peer: &'a str, to: &'a str },
    /// The peer is verified and the tunnel encrypted.
    Secured(Secured<'a>),
    /// Messages can be exchanged.
    StreamOpen { peer: &'a str },
    /// Whom lines of standard input are for from now on, and whether they can be sent to it.
    Recipient { peer: Option<&'a str>, there: bool },
    /// `pair`: a code that a peer may type now.
    Code(ShownCode<'a>),
    /// `pair`: the next line of standard input is to be the code of this peer, or, where none is named, a link.
    CodeWanted { peer: Option<&'a str> },
    /// `pair`: another code was tried than the right one, by whichever end; so many wrong ones there may still be.
    WrongCode { peer: &'a str, left: u32 },
    /// `pair`: both ends are verified by certificates, and this one of the peer is remembered.
    Paired { peer: &'a str, fingerprint: &'a str },
    /// What the users compare.
    Compare { peer: &'a str, digits: &'a str, words: &'a str },
    /// The next line of standard input is to say whether it is the same: these are the lines for it.
    AnswerWanted { peer: &'a str, yes: &'a str, no: &'a str },
    /// Both users have said so, and this certificate of the peer is remembered as its own.
    Verified { peer: &'a str, fingerprint: &'a str },
    /// A message came through the tunnel. `name` is what the user calls the peer.
    Message {
        peer: &'a str,
        from: &'a str,
        #[serde(skip)]
        name: &'a str,
        body: &'a str,
    },
    /// The peer's end has confirmed that it has this line of standard input.
    Delivered {
        line: u64,
        peer: &'a str,
        #[serde(skip)]
        text: &'a str,
    },
    /// A line of standard input was sent, and the tunnel ended before the peer's end had confirmed it; the same is on standard error.
    Undelivered { line: u64, peer: &'a str, message: &'a str },
    /// `/who`: a tunnel that is open, the fingerprint of the peer's certificate, and whether lines go to it.
    Present { peer: &'a str, method: &'a str, fingerprint: Option<&'a str>, chosen: bool },
    /// A peer has written outside of tunnels, where servers can read it; told once for each peer.
    Outside { peer: &'a str },
    /// A line of standard input, the first being 1, was not sent; the same is on standard error. `peer` is whom it was for.
    NotSent { line: u64, peer: Option<&'a str>, message: &'a str },
    /// A server on the way lets few bytes through; the same line is on standard error, unless events are there.
    Throttled(Throttled<'a>),
    /// A peer offers a file, or with `files` so many of them. `free` is the room that is left where it would go. With `asks` a line of
    /// standard input is to say whether it is wanted: `yes` or `no`.
    FileOffered {
        peer: &'a str,
        name: &'a str,
        size: u64,
        files: Option<u64>,
        free: Option<u64>,
        asks: bool,
        yes: Option<&'a str>,
        no: Option<&'a str>,
    },
    /// `/files`: something that is on its way. `state` is `preparing`, `offered`, `asked` or `moving`.
    File {
        number: u64,
        peer: &'a str,
        name: &'a str,
        direction: &'a str,
        state: &'a str,
        bytes: u64,
        size: Option<u64>,
    },
    /// The bytes of a file begin to go, or to come, or those of several to come. `there` says how many of them are there already.
    FileStarted { peer: &'a str, name: &'a str, direction: &'a str, size: u64, there: u64 },
    /// So many bytes of a file, or of several, are there. `direction` is `in` or `out`.
    FileProgress {
        peer: &'a str,
        name: &'a str,
        direction: &'a str,
        bytes: u64,
        size: u64,
        bytes_per_second: u64,
        seconds: Option<u64>,
    },
    /// A file of a peer, or several, are at this path, and their checksums agree.
    FileReceived { peer: &'a str, name: &'a str, size: u64, files: Option<u64>, path: &'a str },
    /// The peer has a file, or several, and its checksums agree.
    FileSent { peer: &'a str, name: &'a str, size: u64, files: Option<u64> },
    /// A tunnel or a link ended.
    Closed(Closed<'a>),
    /// Something failed; the same line is on standard error. `peer` is whom it is about, if it is about one.
    Error { peer: Option<&'a str>, message: &'a str },
    /// Something that is said in words, such as what a command has done.
    Note { message: &'a str },
    /// Something could be better; the same line is on standard error, unless events are there.
    Warning { peer: Option<&'a str>, message: &'a str },
    /// The trust file could not be written; the same line is on standard error.
    StoreFailed { peer: Option<&'a str>, message: &'a str },
    /// A pinned certificate of `trust list`.
    Trusted { jid: &'a str, fingerprint: &'a str, learned: &'a str, since: Option<&'a str> },
    /// Everything known of a peer, for `trust show`.
    Peer(Peer<'a>),
    /// `probe`: what a peer told of itself, and what a tunnel with it would come to.
    Probe(Probed<'a>),
    /// `probe`: the certificate of a server, whether it was taken or not.
    Certificate(Certificate<'a>),
    /// `probe`: how the connection to a server is secured, and what the server offers.
    Server(Server<'a>),
    /// `demo`: a stanza passed the simulated server.
    Stanza { number: u64, from: &'a str, to: &'a str, what: &'a str, bytes: usize },
    /// `demo`: the transfer is over.
    Transfer { bytes: u64, seconds: f64, stanzas: u64, wire_bytes: u64, equal: bool },
}

/// An event as `--json` writes it.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(title = "An event of xtls --json"))]
struct Stamped<'a> {
    /// When it is told: RFC 3339 with milliseconds.
    time: &'a str,
    #[serde(flatten)]
    report: &'a Report<'a>,
}

/// The members of the `closed` event.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Closed<'a> {
    /// None for a link that ended before the other end said who it is.
    pub(crate) peer: Option<&'a str>,
    /// Where such a link came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<&'a str>,
    pub(crate) by: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) truncated: bool,
    /// Plaintext bytes.
    pub(crate) unacked: u64,
    /// Whether the peer has confirmed that it has everything: `given` or `missing`, or none where nothing confirms it.
    pub(crate) receipt: Option<&'a str>,
}

/// The members of the `secured` event.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Secured<'a> {
    pub(crate) peer: &'a str,
    pub(crate) method: String,
    pub(crate) tls_version: String,
    pub(crate) cipher_suite: &'a str,
    pub(crate) group: &'a str,
    /// None where a password authenticates.
    pub(crate) peer_sha256: Option<String>,
    pub(crate) authenticated_by: &'a str,
    pub(crate) confirmed: bool,
    pub(crate) changed: bool,
    /// What carries a tunnel: `in-band`, `direct` or `proxy`; none of a link, which is direct.
    pub(crate) path: Option<&'static str>,
    /// Which proxy, by its XMPP address.
    pub(crate) proxy: Option<String>,
}

/// Where reports go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    /// Standard output carries data.
    beside_data: bool,
    #[cfg(test)]
    silent: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            beside_data: false,
            #[cfg(test)]
            silent: false,
        }
    }

    /// Nowhere: what tests tell would be among their results.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self { json: true, beside_data: true, silent: true }
    }

    /// The same on standard error: standard output carries data.
    pub(crate) fn beside_data(self) -> Self {
        Self { beside_data: true, ..self }
    }

    fn write(self, action: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        #[cfg(test)]
        if self.silent {
            return Ok(());
        }
        if terminal::is_active() && !self.beside_data {
            let mut text = Vec::new();
            action(&mut text)?;
            if let Some(result) = terminal::print(&String::from_utf8_lossy(&text)) {
                return result;
            }
            return io::stdout().lock().write_all(&text);
        }
        if self.beside_data {
            return progress::beside(|| action(&mut io::stderr().lock()));
        }
        let mut out = io::stdout().lock();
        action(&mut out)?;
        out.flush()
    }

    /// One line for users on standard error.
    fn complain(message: &str) {
        let line = format!("xtls: {message}\n");
        // Nowhere is left to report a failure of these.
        if !io::stderr().is_terminal() || terminal::print(&line).is_none() {
            let _ = progress::beside(|| io::stderr().lock().write_all(line.as_bytes()));
        }
    }

    /// Whether a user watches: a progress bar makes sense only then.
    pub(crate) fn is_interactive(self) -> bool {
        !self.json && io::stdout().is_terminal() && io::stderr().is_terminal()
    }

    /// Whether lines of standard input can be commands: their answers are read by the user, or by a program.
    pub(crate) fn takes_commands(self) -> bool {
        self.json || io::stdin().is_terminal()
    }

    /// Whether lines are edited at a terminal while something is told.
    pub(crate) fn can_edit(self) -> bool {
        !self.json && !self.beside_data && terminal::can_edit()
    }

    /// Whether somebody sits at a terminal who can be asked for something.
    pub(crate) fn can_ask(self) -> bool {
        !self.json && is_somebody_there()
    }

    /// Tells of one event.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written, for example because its reader is gone.
    pub(crate) fn report(self, report: &Report<'_>) -> io::Result<()> {
        if self.json {
            // In one piece: standard error is shared with other processes.
            let mut line = serde_json::to_vec(&Stamped { time: &clock::timestamp(), report })?;
            line.push(b'\n');
            self.write(|out| out.write_all(&line))
        } else {
            self.write(|out| human(out, report))
        }
    }

    /// A remark in words, and the `note` event with `--json`.
    ///
    /// # Errors
    ///
    /// As [`Output::report`].
    pub(crate) fn note(self, line: &str) -> io::Result<()> {
        match line.trim() {
            "" if self.json => Ok(()),
            message if self.json => self.report(&Report::Note { message: message.trim_start_matches("* ") }),
            _ => self.write(|out| writeln!(out, "{line}")),
        }
    }

    /// One line on standard error about something that works and could be better.
    pub(crate) fn warn(self, message: &str) {
        self.warn_of(None, message);
    }

    /// The same about a peer, which the message names.
    pub(crate) fn warn_of(self, peer: Option<&str>, message: &str) {
        // Nowhere is left to report a failure of these.
        if !(self.json && self.beside_data) {
            Self::complain(&format!("warning: {}", Shown(message)));
        }
        if self.json {
            let _ = self.report(&Report::Warning { peer, message });
        }
    }

    /// A warning that what was learned of a peer, secured by this method, could not be written: one line on standard error,
    /// and the `store_failed` event with `--json`.
    pub(crate) fn store_failed(self, peer: Option<&BareJid>, method: Option<Method>, error: &StoreError) {
        let message = not_remembered(peer, method, error);
        // Nowhere is left to report a failure of these two.
        if !(self.json && self.beside_data) {
            Self::complain(&format!("warning: {}", Shown(&message)));
        }
        if self.json {
            let _ = self.report(&Report::StoreFailed { peer: peer.map(|peer| peer.as_str()), message: &message });
        }
    }

    /// One line on standard error, and the `error` event with `--json`.
    pub(crate) fn error(self, message: &str) {
        self.error_line(message, &Report::Error { peer: None, message });
    }

    /// The same about a peer, which the message names.
    pub(crate) fn error_of(self, peer: &str, message: &str) {
        self.error_line(message, &Report::Error { peer: Some(peer), message });
    }

    /// The same about what went wrong.
    pub(crate) fn failure(self, failure: &Failure) {
        let message = failure.message.as_str();
        self.error_line(message, &Report::Error { peer: failure.peer.as_deref(), message });
    }

    /// One line on standard error, and the `not_sent` event with `--json`. The message names the peer.
    pub(crate) fn not_sent(self, line: u64, peer: Option<&str>, message: &str) {
        self.error_line(message, &Report::NotSent { line, peer, message });
    }

    /// One line on standard error, and the `undelivered` event with `--json`. The message names the peer.
    pub(crate) fn undelivered(self, line: u64, peer: &str, message: &str) {
        self.error_line(message, &Report::Undelivered { line, peer, message });
    }

    fn error_line(self, message: &str, report: &Report<'_>) {
        // Nowhere is left to report a failure of these two.
        if !(self.json && self.beside_data) {
            Self::complain(&Shown(message).to_string());
        }
        if self.json {
            let _ = self.report(report);
        }
    }
}

/// Whether the user can be asked for a password: that is done at the terminal itself, whatever standard input is.
pub(crate) fn is_somebody_there() -> bool {
    io::stdin().is_terminal() || io::stderr().is_terminal()
}

/// What the trust file does not know now, and why.
/// A peer's receipt in a report.
pub(crate) fn receipt(receipt: Receipt) -> Option<&'static str> {
    matches!(receipt, Receipt::Given | Receipt::Missing).then(|| receipt.as_str())
}

fn not_remembered(peer: Option<&BareJid>, method: Option<Method>, error: &StoreError) -> String {
    let peer = peer.map_or("the peer", |peer| peer.as_str());
    match method {
        Some(Method::X509) => format!("that {peer} was secured, and by which certificate, is not remembered: {error}"),
        Some(Method::Srp) => {
            format!("that {peer} was secured, and that the password was right, is not remembered: {error}")
        }
        _ => format!("what was learned of {peer} is not remembered: {error}"),
    }
}

#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;
