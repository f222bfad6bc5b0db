//! A tunnel between standard input and standard output.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use xtls::{Application, Closed, Event, Receipt, error::FinishError, jingle::ReasonCondition};
use xtls_tokio::{ByteTunnel, Tunnel};

use super::flow::{Came, Flow, Unacked, Way};
use super::streams::Sink;
use crate::chat::no_answer;
use crate::exit::Failure;
use crate::output::{Faster, Throttled};
use crate::reach;
use crate::session::{Happening, Session, Verdict};

/// How it went; and what standard output does not have yet.
pub(super) struct Carried {
    pub(super) result: Result<(), Failure>,
    pub(super) sink: Sink,
    pub(super) rest: Vec<u8>,
}

/// Moves bytes until the tunnel has ended.
///
/// # Errors
///
/// When it was not waited for: nothing is left to be done then.
pub(super) async fn carry(
    session: &mut Session,
    mut tunnel: ByteTunnel,
    application: &Application,
    close_on_eof: bool,
    faster: Faster,
) -> Result<Carried, Failure> {
    // What was read is not on standard output yet.
    tunnel.hold_receipt();
    let peer = tunnel.peer().into();
    let mut flow = Flow::new(tunnel, peer, close_on_eof, session.output);
    let mut rest = Vec::new();
    let result = loop {
        flow.break_off_if_unfinished();
        let deadline = flow.deadline();
        match session.next(flow.step(), deadline).await {
            Ok(Happening::Beside(Came::End(closed))) => break closed_as(&mut flow, session, &closed),
            // What cannot be said on standard error is lost.
            Ok(Happening::Notice(Event::Confirmed { id })) if id == flow.way.id() => {
                let security = flow.way.security();
                let path = flow.way.path();
                let _ =
                    security.map(|security| session.report_secured_over(&flow.way.peer(), &security, path.as_ref()));
            }
            Ok(Happening::Notice(Event::Throttled { id, bytes_per_second })) if id == flow.way.id() => {
                session.output.throttled(Throttled::new(flow.peer.as_str(), bytes_per_second, flow.left(), faster));
            }
            Ok(Happening::Incoming(incoming)) => reach::decline(incoming, application),
            Ok(Happening::Interrupted) => flow.interrupt()?,
            Ok(Happening::Time) => flow.time(session.output, no_answer)?,
            Ok(Happening::Beside(Came::Moved | Came::Other(_)) | Happening::Stanza(_) | Happening::Notice(_)) => {}
            Err(lost) => {
                // The end comes when that is read.
                rest = flow.rest();
                break Err(lost_as(&mut flow, session, lost));
            }
        }
    };
    rest.extend(flow.rest());
    Ok(Carried { result: flow.failure.map_or(result, Err), sink: flow.sink, rest })
}

fn closed_as(flow: &mut Flow<ByteTunnel>, session: &Session, closed: &Closed) -> Result<(), Failure> {
    session.report_closed(closed)?;
    if flow.unfinished {
        return Err(Failure::interrupted());
    }
    if flow.broken_off {
        return Ok(());
    }
    let (known, input_ended) = known(flow, closed);
    let ours_is_done = input_ended || flow.has_no_input();
    match Verdict::of(closed, session.own()) {
        Verdict::Failed(Failure { code, message, peer }) => {
            Err(Failure { code, message: format!("{message}; {known}"), peer })
        }
        Verdict::Disconnected => Err(session.lost().map_or_else(
            || Failure::connection(format!("the connection to the server is gone; {known}")),
            |Failure { code, message, .. }| Failure::new(code, format!("{message}; {known}")),
        )),
        Verdict::Done | Verdict::GaveWay
            if ours_is_done && (flow.has_no_input() || matches!(known, Known::Confirmed)) =>
        {
            Ok(())
        }
        Verdict::Done | Verdict::GaveWay if ours_is_done && matches!(known, Known::Unacked(Unacked(0))) => {
            Err(unconfirmed(closed))
        }
        Verdict::Done | Verdict::GaveWay => Err(Failure::connection(format!(
            "{} ended the tunnel before standard input had ended, or before it had everything: {known}",
            closed.peer
        ))
        .about(&closed.peer)),
    }
}

/// What is known of standard input at the peer.
enum Known {
    /// The peer has all of it, and says so.
    Confirmed,
    /// So much is missing, say servers. With 0 all of it may be there.
    Unacked(Unacked),
}

/// That, and whether there is nothing more to read.
fn known(flow: &mut Flow<ByteTunnel>, closed: &Closed) -> (Known, bool) {
    let is_given = closed.receipt == Receipt::Given;
    // A receipt is for all that the tunnel took.
    let (unacked, input_ended) = flow.unacked(if is_given { 0 } else { closed.unacked });
    let is_confirmed = is_given && unacked.0 == 0 && !flow.has_no_input();
    (if is_confirmed { Known::Confirmed } else { Known::Unacked(unacked) }, input_ended)
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Confirmed => f.write_str("the peer has confirmed that it has all of standard input"),
            Self::Unacked(unacked) => unacked.fmt(f),
        }
    }
}

/// It ended in order, and only the servers say that the peer has everything.
fn unconfirmed(closed: &Closed) -> Failure {
    let peer = &closed.peer;
    let why = if closed.receipt == Receipt::Unsupported {
        "cannot confirm that it has everything, its software does not do that"
    } else {
        "has not confirmed in time that it has everything"
    };
    Failure::connection(format!(
        "{peer} {why}: servers have acknowledged all of standard input, which proves nothing; ask its owner whether all of it came"
    ))
    .about(peer)
}

/// The connection is gone.
fn lost_as(flow: &mut Flow<ByteTunnel>, session: &Session, Failure { code, message, peer }: Failure) -> Failure {
    let end = Tunnel::end(&flow.way).map(|closed| {
        let _ = session.report_closed(&closed);
        known(flow, &closed).0
    });
    Failure { message: end.map_or_else(|| message.clone(), |known| format!("{message}; {known}")), code, peer }
}

impl Way for ByteTunnel {
    const NAME: &'static str = "tunnel";
    type End = Arc<Closed>;
    type Other = Infallible;

    fn unacked(&self) -> u64 {
        Tunnel::unacked(self)
    }

    fn is_finished(&self) -> bool {
        Tunnel::is_finished(self)
    }

    /// TLS 1.2 has one end for both directions. Input that never had a byte does not bring it about: it may be the other
    /// direction that matters.
    fn finish(&mut self, any: bool) {
        if Self::finish(self) == Err(FinishError::NotInThisTls) && any {
            self.begin_close();
        }
    }

    fn awaits_receipt(&self) -> bool {
        self.receipt().now_or_never().is_none()
    }

    fn confirm(&mut self) {
        // A peer that takes no receipt, or is gone, goes without.
        let _ = self.give_receipt();
    }

    fn end(&mut self) {
        self.begin_close();
    }

    fn break_off(&mut self, condition: ReasonCondition) {
        self.abort(condition);
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Arc<Closed>> {
        self.poll_closed(cx)
    }

    fn poll_other(&mut self, _: &mut Context<'_>) -> Poll<Infallible> {
        Poll::Pending
    }
}
