//! What the command tells: text for people, or one JSON object a line.
//!
//! With `--json` nothing but events goes to standard output. Errors go to standard error in both cases. Where standard
//! output carries data, everything goes to standard error, and with `--json` nothing but events.

mod offer;
mod probe;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

pub(crate) use offer::{Announced, Key, Probed};
pub(crate) use probe::{Certificate, Feature, Server};
pub(crate) use xtls_stanza::Shown;

/// One thing that happened. The names and members are the JSON interface of the command.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Report<'a> {
    /// Logged in, with the resource that the server bound.
    Online { jid: &'a str },
    /// Links are taken at this address.
    Listening { address: &'a str },
    /// `link list`: somebody says that links are taken there. `txt` is what else is said.
    Found { name: &'a str, host: &'a str, port: u16, addresses: &'a [String], txt: &'a BTreeMap<String, String> },
    /// A certificate of our own; fingerprints in lower-case hex, `not_after` in RFC 3339.
    Identity { jid: &'a str, sha1: &'a str, sha256: &'a str, key: &'a str, not_after: &'a str },
    /// A peer asks for a tunnel, or for a link.
    Incoming { peer: &'a str },
    /// The peer, or a server in its name, sent the offer on to another of its resources.
    Redirected { to: &'a str },
    /// The peer is verified and the tunnel encrypted.
    Secured(Secured<'a>),
    /// Messages can be exchanged.
    StreamOpen,
    /// A message came through the tunnel.
    Message { from: &'a str, body: &'a str },
    /// A tunnel ended. `unacked` counts plaintext bytes.
    Closed { by: &'a str, reason: &'a str, truncated: bool, unacked: u64 },
    /// Something failed; the same line is on standard error.
    Error { message: &'a str },
    /// Something could be better; only where events are on standard error, which has a line for it otherwise.
    Warning { message: &'a str },
    /// A pinned certificate of `trust list`.
    Trusted { jid: &'a str, fingerprint: &'a str, learned: &'a str },
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

/// The members of the `secured` event.
#[derive(Clone, Debug, Serialize)]
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
}

/// The members of the `peer` event.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Peer<'a> {
    pub(crate) jid: &'a str,
    pub(crate) pins: Vec<Pinned>,
    /// The methods by which a tunnel with it was secured and confirmed.
    pub(crate) secured_by: Vec<&'static str>,
    /// Since the last right one.
    pub(crate) wrong_passwords: u32,
    /// When the last wrong one was, and until when none is tried; RFC 3339.
    pub(crate) last_wrong: Option<String>,
    pub(crate) locked_until: Option<String>,
}

/// A trusted certificate.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Pinned {
    pub(crate) fingerprint: String,
    pub(crate) learned: &'static str,
}

/// Where reports go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    /// Standard output carries data.
    beside_data: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, beside_data: false }
    }

    /// The same on standard error: standard output carries data.
    pub(crate) fn beside_data(self) -> Self {
        Self { beside_data: true, ..self }
    }

    fn write(self, action: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut out: Box<dyn Write> =
            if self.beside_data { Box::new(io::stderr().lock()) } else { Box::new(io::stdout().lock()) };
        action(&mut out)?;
        out.flush()
    }

    /// Whether a person watches: a progress bar makes sense only then.
    pub(crate) fn is_interactive(self) -> bool {
        !self.json && io::stdout().is_terminal() && io::stderr().is_terminal()
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
            let mut line = serde_json::to_vec(report)?;
            line.push(b'\n');
            self.write(|out| out.write_all(&line))
        } else {
            self.write(|out| human(out, report))
        }
    }

    /// A remark for people; nothing with `--json`.
    ///
    /// # Errors
    ///
    /// As [`Output::report`].
    pub(crate) fn note(self, line: &str) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        self.write(|out| writeln!(out, "{line}"))
    }

    /// One line on standard error about something that works and could be better.
    pub(crate) fn warn(self, message: &str) {
        // Nowhere is left to report a failure of these.
        if self.json && self.beside_data {
            let _ = self.report(&Report::Warning { message });
            return;
        }
        let _ = writeln!(io::stderr().lock(), "xtls: warning: {}", Shown(message));
    }

    /// One line on standard error, and the `error` event with `--json`.
    pub(crate) fn error(self, message: &str) {
        let line = Shown(message).to_string();
        // Nowhere is left to report a failure of these two.
        if !(self.json && self.beside_data) {
            let _ = writeln!(io::stderr().lock(), "xtls: {line}");
        }
        if self.json {
            let _ = self.report(&Report::Error { message });
        }
    }
}

/// Whether a person can be asked for a password: that is done at the terminal itself, whatever standard input is.
pub(crate) fn is_somebody_there() -> bool {
    io::stdin().is_terminal() || io::stderr().is_terminal()
}

fn human(out: &mut dyn Write, report: &Report<'_>) -> io::Result<()> {
    match report {
        Report::Online { jid } => writeln!(out, "* online as {}", Shown(jid)),
        Report::Listening { address } => writeln!(out, "* listening at {address}"),
        Report::Found { name, host, port, addresses, txt } => human_found(out, name, host, *port, addresses, txt),
        Report::Identity { jid, sha1, sha256, key, not_after } => {
            writeln!(out, "* certificate of {} ({key}, valid until {not_after})", Shown(jid))?;
            writeln!(out, "    sha-256 {sha256}")?;
            writeln!(out, "    sha1    {sha1}")
        }
        Report::Incoming { peer } => writeln!(out, "* {} asks for a connection", Shown(peer)),
        Report::Redirected { to } => writeln!(out, "* redirected to {}", Shown(to)),
        Report::Secured(secured) => human_secured(out, secured),
        Report::StreamOpen => writeln!(out, "* stream open"),
        Report::Message { from, body } => writeln!(out, "{}: {}", Shown(from), Shown(body)),
        Report::Closed { by, reason, truncated, unacked } => {
            write!(out, "* closed by {by}: {}", Shown(reason))?;
            if *truncated {
                write!(out, " (truncated: the end may be missing)")?;
            }
            if *unacked > 0 {
                write!(out, " ({unacked} bytes not acknowledged)")?;
            }
            writeln!(out)
        }
        // Said on standard error already.
        Report::Error { .. } | Report::Warning { .. } => Ok(()),
        Report::Trusted { jid, fingerprint, learned } => writeln!(out, "{}  {fingerprint}  {learned}", Shown(jid)),
        Report::Peer(peer) => human_peer(out, peer),
        Report::Probe(probed) => probed.human(out),
        Report::Certificate(certificate) => certificate.human(out),
        Report::Server(server) => server.human(out),
        Report::Stanza { number, from, to, what, bytes } => {
            writeln!(out, "{number:>4}  {from} -> {to}  {what:<44} {bytes:>6} B")
        }
        Report::Transfer { bytes, seconds, stanzas, wire_bytes, equal } => {
            human_transfer(out, *bytes, *seconds, *stanzas, *wire_bytes, *equal)
        }
    }
}

fn human_secured(out: &mut dyn Write, s: &Secured<'_>) -> io::Result<()> {
    writeln!(out, "* secured with {}", Shown(s.peer))?;
    writeln!(out, "    method      {} (authenticated by {})", s.method, s.authenticated_by)?;
    writeln!(out, "    encryption  {}, {}, {}", s.tls_version, s.cipher_suite, s.group)?;
    if let Some(sha256) = &s.peer_sha256 {
        writeln!(out, "    peer        sha-256 {sha256}")?;
    }
    let confirmed = if s.confirmed { "yes: both ends are verified" } else { "no: the peer has not confirmed us" };
    writeln!(out, "    confirmed   {confirmed}")?;
    if s.changed {
        writeln!(out, "    WARNING     this is not the certificate of last time")?;
    }
    Ok(())
}

fn human_peer(out: &mut dyn Write, peer: &Peer<'_>) -> io::Result<()> {
    writeln!(out, "* {}", Shown(peer.jid))?;
    for Pinned { fingerprint, learned } in &peer.pins {
        writeln!(out, "    trusted     {fingerprint} ({learned})")?;
    }
    if peer.pins.is_empty() {
        writeln!(out, "    trusted     no certificate")?;
    }
    if peer.secured_by.is_empty() {
        writeln!(out, "    secured     never before")?;
    } else {
        writeln!(out, "    secured     before, by {}", peer.secured_by.join(" and "))?;
    }
    if let Some(last) = &peer.last_wrong {
        writeln!(out, "    passwords   {} wrong since the last right one, the last at {last}", peer.wrong_passwords)?;
    }
    if let Some(until) = &peer.locked_until {
        writeln!(out, "    locked      no password is tried until {until}")?;
    }
    Ok(())
}

fn human_found(
    out: &mut dyn Write,
    name: &str,
    host: &str,
    port: u16,
    addresses: &[String],
    txt: &BTreeMap<String, String>,
) -> io::Result<()> {
    writeln!(out, "{}  {} port {port}", Shown(name), Shown(host))?;
    writeln!(out, "    addresses   {}", Shown(&addresses.join(" ")))?;
    for (key, value) in txt {
        writeln!(out, "    {}={}", Shown(key), Shown(value))?;
    }
    Ok(())
}

fn human_transfer(
    out: &mut dyn Write,
    bytes: u64,
    seconds: f64,
    stanzas: u64,
    wire_bytes: u64,
    equal: bool,
) -> io::Result<()> {
    let verdict = if equal { "all bytes equal" } else { "THE BYTES DIFFER" };
    let rate = mebibytes(bytes) / seconds.max(f64::EPSILON);
    writeln!(out, "* transferred {bytes} bytes in {seconds:.2} s, {rate:.1} MiB/s: {verdict}")?;
    writeln!(out, "    on the wire {stanzas} stanzas, {wire_bytes} bytes, acknowledgements included")
}

/// For people: what a float loses does not matter here.
#[allow(clippy::as_conversions, clippy::cast_precision_loss)]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn json(report: &Report<'_>) -> String {
        serde_json::to_string(report).unwrap()
    }

    #[test]
    fn json_objects_have_the_documented_members() {
        assert_eq!(json(&Report::Online { jid: "a@b/c" }), r#"{"event":"online","jid":"a@b/c"}"#);
        assert_eq!(json(&Report::Listening { address: "[::1]:7" }), r#"{"event":"listening","address":"[::1]:7"}"#);
        let (addresses, txt) = (["10.0.0.1".to_owned()], BTreeMap::from([("txtvers".to_owned(), "1".to_owned())]));
        assert_eq!(
            json(&Report::Found { name: "a@b", host: "b.local.", port: 7, addresses: &addresses, txt: &txt }),
            r#"{"event":"found","name":"a@b","host":"b.local.","port":7,"addresses":["10.0.0.1"],"txt":{"txtvers":"1"}}"#
        );
        assert_eq!(json(&Report::StreamOpen), r#"{"event":"stream_open"}"#);
        assert_eq!(
            json(&Report::Message { from: "a", body: "x\ny" }),
            r#"{"event":"message","from":"a","body":"x\ny"}"#
        );
        assert_eq!(
            json(&Report::Closed { by: "remote", reason: "success", truncated: false, unacked: 3 }),
            r#"{"event":"closed","by":"remote","reason":"success","truncated":false,"unacked":3}"#
        );
        assert_eq!(json(&Report::Error { message: "no" }), r#"{"event":"error","message":"no"}"#);
    }

    #[test]
    fn a_secured_event_is_one_flat_object() {
        let secured = Secured {
            peer: "a@b/c",
            method: "x509".to_owned(),
            tls_version: "TLS 1.3".to_owned(),
            cipher_suite: "s",
            group: "g",
            peer_sha256: None,
            authenticated_by: "pin",
            confirmed: true,
            changed: false,
        };
        let value: serde_json::Value = serde_json::from_str(&json(&Report::Secured(secured))).unwrap();
        let members: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            members,
            [
                "authenticated_by",
                "changed",
                "cipher_suite",
                "confirmed",
                "event",
                "group",
                "method",
                "peer",
                "peer_sha256",
                "tls_version"
            ]
        );
        assert!(value["peer_sha256"].is_null());
    }

    #[test]
    fn a_peer_without_certificate_is_shown_without_one() {
        let mut secured = Secured {
            peer: "a@b/c",
            method: "srp".to_owned(),
            tls_version: "TLS 1.2".to_owned(),
            cipher_suite: "s",
            group: "g",
            peer_sha256: None,
            authenticated_by: "password",
            confirmed: true,
            changed: false,
        };
        let shown = |secured: &Secured<'_>| {
            let mut out = Vec::new();
            human_secured(&mut out, secured).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(!shown(&secured).contains("sha-256"));
        secured.peer_sha256 = Some("00".to_owned());
        assert!(shown(&secured).contains("    peer        sha-256 00\n"));
    }

    #[test]
    fn what_is_known_of_a_peer_is_told_in_full_and_no_more() {
        let mut peer = Peer {
            jid: "a@b",
            pins: vec![Pinned { fingerprint: "sha-256:00".to_owned(), learned: "manual" }],
            secured_by: vec!["x509"],
            wrong_passwords: 0,
            last_wrong: None,
            locked_until: None,
        };
        let shown = |peer: &Peer<'_>| {
            let mut out = Vec::new();
            human(&mut out, &Report::Peer(peer.clone())).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown(&peer), "* a@b\n    trusted     sha-256:00 (manual)\n    secured     before, by x509\n");
        peer.pins.clear();
        peer.secured_by.push("srp");
        (peer.wrong_passwords, peer.last_wrong) = (3, Some("T1".to_owned()));
        peer.locked_until = Some("T2".to_owned());
        assert_eq!(
            shown(&peer),
            "* a@b\n    trusted     no certificate\n    secured     before, by x509 and srp\n    \
             passwords   3 wrong since the last right one, the last at T1\n    \
             locked      no password is tried until T2\n"
        );
        assert_eq!(
            json(&Report::Peer(peer)),
            r#"{"event":"peer","jid":"a@b","pins":[],"secured_by":["x509","srp"],"wrong_passwords":3,"last_wrong":"T1","locked_until":"T2"}"#
        );
    }

    #[test]
    fn text_of_the_peer_is_escaped_for_people() {
        let mut out = Vec::new();
        human(&mut out, &Report::Message { from: "a@b/\u{202e}x", body: "\u{1b}]0;owned\u{7}" }).unwrap();
        let txt = BTreeMap::from([("k\n".to_owned(), "\u{1b}[2J".to_owned())]);
        let addresses = ["fe80::1%\u{9b}".to_owned()];
        human(&mut out, &Report::Found { name: "\r", host: "\u{7}", port: 7, addresses: &addresses, txt: &txt })
            .unwrap();
        let shown = String::from_utf8(out).unwrap();
        assert_eq!(shown.lines().next(), Some("a@b/\\u{202e}x: \\u{1b}]0;owned\\u{7}"));
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
        assert_eq!(shown.lines().count(), 4);
    }
}
