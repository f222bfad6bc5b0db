//! What users read: every report in words, within 80 columns where the names in it leave room.

use std::collections::BTreeMap;
use std::io::{self, Write};

use xtls::trust::Fingerprint;

use super::{Closed, Peer, Pinned, Report, Secured, Shown, chat, file, pair, subscription, verify};

pub(super) fn human(out: &mut dyn Write, report: &Report<'_>) -> io::Result<()> {
    match report {
        Report::Online { jid } => writeln!(out, "* online as {}", Shown(jid)),
        Report::Listening { address } => writeln!(out, "* listening at {address}"),
        Report::Found { name, host, port, addresses, txt } => human_found(out, name, host, *port, addresses, txt),
        // Whoever wants to see it again asks for it: xtls identity.
        Report::Identity { is_news: false, .. } => Ok(()),
        Report::Identity { jid, sha1, sha256, key, not_after, .. } => {
            let day = not_after.split('T').next().unwrap_or_default();
            writeln!(out, "* your certificate for {}", Shown(jid))?;
            writeln!(out, "    key         {key}, valid until {day}")?;
            fingerprint(out, "fingerprint", sha256, "")?;
            fingerprint(out, "", sha1, "")
        }
        Report::Account(account) => account.human(out),
        Report::Waiting { peer, online } => subscription::waiting(out, peer, *online),
        Report::Subscription(subscription) => subscription.human(out),
        Report::Incoming { peer } => writeln!(out, "* {} asks for a connection", Shown(peer)),
        Report::Redirected { peer, to } => writeln!(out, "* {} redirected us to {}", Shown(peer), Shown(to)),
        Report::Secured(secured) => human_secured(out, secured),
        Report::StreamOpen { peer } => writeln!(out, "* open with {}", Shown(peer)),
        Report::Recipient { peer: Some(peer), there: true } => writeln!(out, "* lines go to {}", Shown(peer)),
        Report::Recipient { peer: Some(peer), .. } => {
            writeln!(out, "* lines are for {}, who is not there: they are not sent", Shown(peer))
        }
        Report::Recipient { peer: None, .. } => writeln!(out, "* lines go to nobody yet"),
        Report::Message { from, name, body, .. } => chat::message(out, from, name, body),
        Report::Delivered { text, .. } => chat::delivered(out, text),
        Report::Present { peer, method, fingerprint, chosen } => {
            chat::present(out, peer, method, *fingerprint, *chosen)
        }
        Report::Outside { peer } => {
            writeln!(
                out,
                "* {} has written outside of a tunnel, where servers can read it: it is not shown",
                Shown(peer)
            )
        }
        Report::Code(code) => code.human(out),
        Report::CodeWanted { peer } => pair::wanted(out, *peer),
        Report::WrongCode { peer, left } => pair::wrong(out, peer, *left),
        Report::Paired { peer, fingerprint } => pair::paired(out, peer, fingerprint),
        Report::Compare { peer, digits, words } => verify::compare(out, peer, digits, words),
        Report::AnswerWanted { yes, no, .. } => verify::wanted(out, yes, no),
        Report::Verified { peer, fingerprint } => verify::verified(out, peer, fingerprint),
        Report::FileOffered { .. }
        | Report::File { .. }
        | Report::FileStarted { .. }
        | Report::FileReceived { .. }
        | Report::FileSent { .. } => file::human(out, report),
        Report::Closed(closed) => human_closed(out, closed),
        // Said on standard error already.
        Report::Note { .. }
        | Report::Error { .. }
        | Report::Warning { .. }
        | Report::Throttled(_)
        // A line that changes shows it.
        | Report::FileProgress { .. }
        | Report::NotSent { .. }
        | Report::Undelivered { .. }
        | Report::StoreFailed { .. } => Ok(()),
        Report::Trusted { jid, fingerprint, learned, since } => {
            writeln!(out, "* {}", Shown(jid))?;
            self::fingerprint(out, "trusted", fingerprint, &format!(", {}", how(learned, *since)))
        }
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

fn human_closed(out: &mut dyn Write, closed: &Closed<'_>) -> io::Result<()> {
    let who = closed.peer.or(closed.address).unwrap_or("somebody");
    write!(out, "* closed with {}, by {}: {}", Shown(who), closed.by, Shown(closed.reason))?;
    if closed.truncated {
        write!(out, " (truncated: the end may be missing)")?;
    }
    if closed.unacked > 0 {
        write!(out, " ({} bytes not acknowledged)", closed.unacked)?;
    }
    writeln!(out)
}

fn human_secured(out: &mut dyn Write, s: &Secured<'_>) -> io::Result<()> {
    writeln!(out, "* secured with {}", Shown(s.peer))?;
    let method = in_words(&s.method);
    match s.authenticated_by {
        "password" => writeln!(out, "    method      {method}")?,
        by => writeln!(out, "    method      {method} ({by})")?,
    }
    writeln!(out, "    encryption  {}, {}, {}", s.tls_version, s.cipher_suite, s.group)?;
    if let Some(sha256) = &s.peer_sha256 {
        fingerprint(out, "certificate", sha256, "")?;
    }
    let confirmed = if s.confirmed { "yes: both ends are verified" } else { "no: the peer has not confirmed us" };
    writeln!(out, "    confirmed   {confirmed}")?;
    match (s.path, &s.proxy) {
        (Some("proxy"), Some(proxy)) => writeln!(out, "    carried     through the proxy {}", Shown(proxy))?,
        (Some("direct"), _) => writeln!(out, "    carried     directly")?,
        _ => {}
    }
    if s.changed {
        writeln!(out, "    WARNING     this is not the certificate of last time")?;
    }
    Ok(())
}

fn human_peer(out: &mut dyn Write, peer: &Peer<'_>) -> io::Result<()> {
    writeln!(out, "* {}", Shown(peer.jid))?;
    for Pinned { fingerprint, learned, since } in &peer.pins {
        self::fingerprint(out, "trusted", fingerprint, &format!(", {}", how(learned, since.as_deref())))?;
    }
    if peer.pins.is_empty() {
        writeln!(out, "    trusted     no certificate")?;
    }
    if peer.secured_by.is_empty() {
        writeln!(out, "    secured     never before")?;
    } else {
        writeln!(out, "    secured     before, by {}", peer.secured_by.join(" and "))?;
    }
    if peer.negotiation_hash {
        writeln!(out, "    negotiation has to be compared inside, as it was before")?;
    }
    if let Some(last) = &peer.last_wrong {
        writeln!(out, "    passwords   {} wrong since the last right one, the last at {last}", peer.wrong_passwords)?;
    }
    if peer.wrong_in_all > peer.wrong_passwords {
        writeln!(out, "    passwords   {} wrong in the last days", peer.wrong_in_all)?;
    }
    if let Some(until) = &peer.locked_until {
        writeln!(out, "    locked      no password is tried until {until}")?;
    }
    if peer.wrong_by_strangers > 0 {
        writeln!(out, "    strangers   tried {} wrong passwords at this address of yours", peer.wrong_by_strangers)?;
    }
    Ok(())
}

/// A method in words.
pub(super) fn in_words(method: &str) -> &str {
    match method {
        "x509" => "certificate",
        "srp" => "password",
        other => other,
    }
}

/// A fingerprint in groups of eight digits on a line of its own: 77 columns for a SHA-256.
pub(super) fn fingerprint(out: &mut dyn Write, label: &str, text: &str, more: &str) -> io::Result<()> {
    match text.parse::<Fingerprint>() {
        Ok(fingerprint) => {
            writeln!(out, "    {label:<11} {}{more}\n      {}", fingerprint.algo(), fingerprint.grouped())
        }
        // What was taken from a file by hand.
        Err(_) => writeln!(out, "    {label:<11} {}{more}", Shown(text)),
    }
}

/// How and when a certificate was learned, in words.
fn how(learned: &str, since: Option<&str>) -> String {
    let way = match learned {
        "manual" => "by hand",
        "leap-of-faith" => "by leap of faith",
        "pairing" => "by pairing",
        "comparison" => "by comparing a string",
        other => other,
    };
    since.map_or_else(|| way.to_owned(), |since| format!("{way}, {since}"))
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
