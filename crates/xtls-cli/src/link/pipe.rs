//! Standard input and output over a link, byte for byte.

use std::sync::Arc;
use std::task::{Context, Poll};

use xtls::CloseReason;
use xtls::jingle::ReasonCondition;
use xtls::link::{LinkClosed, LinkEvent};
use xtls_stanza::jid::Jid;
use xtls_tokio::PromptTcp;
use xtls_tokio::link::{ByteLink, ByteLinkError};

use super::Wire;
use super::end::End;
use super::open::report_closed;
use super::verdict;
use crate::clock;
use crate::exit::Failure;
use crate::pipe::flow::{Came, Flow, Unacked, Way};
use crate::pipe::write_out;
use crate::platform::Signals;
use crate::session;
use crate::wire;

/// Moves bytes until the link has ended, and then what is left to standard output.
///
/// # Errors
///
/// When not everything went through, or standard input or output failed.
pub(super) async fn carry(end: &End, wire: Wire, signals: &mut Signals) -> Result<(), Failure> {
    let peer = wire.link().peer().cloned().ok_or_else(|| Failure::other("a link with nobody"))?;
    let mut seed = [0; 32];
    end.random(&mut seed)?;
    let disco = end.disco.clone();
    let link = wire.into_bytes(seed).answering(move |request| disco.answer(request));
    let mut flow = Flow::new(link, peer, false, end.output);
    let result = run(&mut flow, end, signals).await;
    let rest = flow.rest();
    let Flow { way, sink, .. } = flow;
    wire::end(way.into_inner()).await;
    result?;
    write_out(sink, rest).await
}

async fn run(flow: &mut Flow<ByteLink<PromptTcp>>, end: &End, signals: &mut Signals) -> Result<(), Failure> {
    loop {
        flow.break_off_if_unfinished();
        let deadline = flow.deadline();
        tokio::select! {
            came = flow.step() => match came {
                Came::End(closed) => return closed_as(flow, end, &closed),
                Came::Other(LinkEvent::StoreFailed { error }) => end.store_failed(flow.way.link(), &error),
                Came::Other(LinkEvent::Stanza { stanza }) if session::body(&stanza).is_some() => {
                    let words = format!("{} sends messages, and no bytes: --pipe is for both ends", flow.peer);
                    flow.fail(Failure::connection(words));
                }
                Came::Moved | Came::Other(_) => {}
            },
            () = signals.next() => flow.interrupt().inspect_err(|_| flow.way.abort())?,
            () = clock::sleep_until(deadline) => {
                let no_answer = |peer: &Jid| Failure::connection(format!("{peer} does not answer the end")).about(peer);
                flow.time(end.output, no_answer).inspect_err(|_| flow.way.abort())?;
            }
        }
    }
}

fn closed_as(flow: &mut Flow<ByteLink<PromptTcp>>, end: &End, closed: &LinkClosed) -> Result<(), Failure> {
    let (Unacked(unacked), ours_is_done) = flow.unacked(flow.way.unacked());
    let peer = flow.peer.clone();
    report_closed(end, closed, peer.as_str(), unacked)?;
    if let Some(failure) = flow.failure.take() {
        return Err(failure);
    }
    if let Some(fault) = flow.way.fault() {
        return Err(Failure::connection(words(&peer, fault)).about(&peer));
    }
    if flow.unfinished {
        return Err(Failure::interrupted());
    }
    if let Some(Failure { code, message, peer }) = verdict::failure(closed, "the peer", true, &end.own()) {
        return Err(Failure { code, message: format!("{message}; {}", Unacked(unacked)), peer });
    }
    let is_done = matches!(closed.reason, CloseReason::Done) && flow.way.is_finished() && ours_is_done && unacked == 0;
    if is_done || flow.sink.has_failed() {
        return Ok(());
    }
    Err(Failure::connection(format!(
        "{peer} ended the link before all bytes had passed: what came may be incomplete; {}",
        Unacked(unacked)
    ))
    .about(&peer))
}

/// What the peer did with bytes that ended the link.
fn words(peer: &Jid, fault: &ByteLinkError) -> String {
    match fault {
        ByteLinkError::NotTaken(error) => {
            format!("{peer} takes no bytes: {}; --pipe is for both ends", error.condition.as_str())
        }
        ByteLinkError::Refused(error) => format!("{peer} refuses bytes: {}", error.condition.as_str()),
        ByteLinkError::Stopped => format!("{peer} takes no more bytes"),
        ByteLinkError::Unexpected => format!("{peer} sends bytes where none may come"),
        ByteLinkError::Gap => format!("{peer} lets bytes go missing"),
        ByteLinkError::Malformed(fault) => format!("{peer} sends bytes that are none: {fault}"),
        fault => format!("the link with {peer} broke off: {fault}"),
    }
}

impl Way for ByteLink<PromptTcp> {
    const NAME: &'static str = "link";
    type End = Arc<LinkClosed>;
    type Other = LinkEvent;

    fn unacked(&self) -> u64 {
        Self::unacked(self)
    }

    fn is_finished(&self) -> bool {
        Self::is_finished(self)
    }

    fn finish(&mut self, _: bool) {
        Self::finish(self);
    }

    fn awaits_receipt(&self) -> bool {
        false
    }

    /// Its acknowledgements are inside of TLS and so the peer's own word: there is no further one.
    fn confirm(&mut self) {}

    /// It ends when both directions have.
    fn end(&mut self) {
        Self::finish(self);
    }

    fn break_off(&mut self, _: ReasonCondition) {
        Self::break_off(self);
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Arc<LinkClosed>> {
        self.poll_closed(cx)
    }

    fn poll_other(&mut self, cx: &mut Context<'_>) -> Poll<LinkEvent> {
        self.poll_event(cx)
    }
}
