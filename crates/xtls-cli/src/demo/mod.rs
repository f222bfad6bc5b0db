//! `xtls demo`: a whole tunnel inside this process, with real cryptography and a simulated server.

mod pair;
mod source;
mod transfer;

use xtls::{Application, Event, TrustPolicy, TunnelId, TunnelOptions};
use xtls_stanza::{Element, ns};

use crate::args::DemoArgs;
use crate::clock;
use crate::exit::Failure;
use crate::output::{self, Output, Report, Secured};
use crate::session::{note, tell};
use crate::trace::Trace;
use pair::{Pair, Side};
use source::Source;

/// What is said in the tunnel.
const LINES: [(Side, &str); 2] = [
    (Side::Romeo, "Shall I hear more, or shall I speak at this?"),
    (Side::Juliet, "What man art thou that thus bescreen'd in night"),
];

pub(crate) fn run(output: Output, args: &DemoArgs) -> Result<(), Failure> {
    let source = Source::new(args)?;
    let trace = Trace::create(args.trace.as_deref(), output)?.with_ladder(args.ladder.as_deref())?;
    let mut pair = Pair::new(output, trace, args.profile)?;
    let shown = show(&mut pair, output, source);
    // What went wrong is worth a picture too.
    let drawn = pair.draw();
    shown.and(drawn)
}

/// Everything that there is to see.
fn show(pair: &mut Pair, output: Output, source: Source) -> Result<(), Failure> {
    pair.report_identities()?;

    note(output, "\nRomeo offers Juliet a tunnel. The server between them sees these stanzas:\n")?;
    let tunnels = pair.open(TunnelOptions::xml_stream(TrustPolicy::Pinned))?;
    note(output, "")?;
    for (side, id) in tunnels {
        report_secured(pair, output, side, id)?;
    }
    talk(pair, output, tunnels)?;
    note(output, "\nRomeo closes the tunnel, every layer in order:\n")?;
    pair.with(Side::Romeo, |engine, now| engine.tunnel(tunnels[0].1).map(|mut tunnel| tunnel.close(now)));
    pair.run()?;
    report_closed(pair, output)?;

    note(output, "\nA second tunnel, for raw bytes:\n")?;
    let tunnels = pair.open(TunnelOptions::new(Application::bytes(), TrustPolicy::Pinned))?;
    pair.hush();
    let figures = transfer::run(pair, output, tunnels, source)?;
    note(output, "")?;
    tell(output, &figures.report())?;
    report_closed(pair, output)?;
    if figures.equal { Ok(()) } else { Err(Failure::other("the bytes that arrived are not those that were sent")) }
}

/// Both say something, and the other one gets it.
fn talk(pair: &mut Pair, output: Output, tunnels: [(Side, TunnelId); 2]) -> Result<(), Failure> {
    note(output, "\nThey talk; the server sees sizes only:\n")?;
    for (side, line) in LINES {
        let message = Element::builder("message", ns::CLIENT).attribute("type", "chat");
        let message = message.open("body", ns::CLIENT).text(line).close().build();
        let message = message.map_err(|e| Failure::other(format!("the message cannot be built: {e}")))?;
        let Some((_, id)) = tunnels.iter().find(|(of, _)| *of == side) else { continue };
        pair.with(side, |engine, now| engine.tunnel(*id).map(|mut tunnel| tunnel.send(now, &message)));
        pair.run()?;
        for event in pair.take_events(side.other()) {
            if let Event::Stanza { stanza, .. } = event {
                let body = stanza.child("body", ns::CLIENT).map(|body| body.text()).unwrap_or_default();
                let from = stanza.attribute("from").unwrap_or_default();
                tell(output, &Report::Message { peer: from, from, name: from, body: &body })?;
            }
        }
    }
    Ok(())
}

fn report_secured(pair: &mut Pair, output: Output, side: Side, id: TunnelId) -> Result<(), Failure> {
    let peer = pair.jid(side.other()).to_string();
    let security = pair.with(side, |engine, _| engine.tunnel(id).and_then(|tunnel| tunnel.security().cloned()));
    let security = security.ok_or_else(|| Failure::security("the tunnel was not secured"))?;
    tell(output, &Report::Secured(Secured::new(&peer, &security)))
}

fn report_closed(pair: &mut Pair, output: Output) -> Result<(), Failure> {
    for side in [Side::Romeo, Side::Juliet] {
        for event in pair.take_events(side) {
            if let Event::Closed(closed) = event {
                tell(
                    output,
                    &Report::Closed(output::Closed {
                        peer: Some(closed.peer.as_str()),
                        address: None,
                        by: closed.by.as_str(),
                        reason: &closed.reason.to_string(),
                        truncated: closed.truncated,
                        unacked: closed.unacked,
                        receipt: output::receipt(closed.receipt),
                    }),
                )?;
            }
        }
    }
    Ok(())
}

/// Seconds between two moments.
fn seconds_since(start: std::time::Instant) -> f64 {
    clock::now().duration_since(start).as_secs_f64()
}
