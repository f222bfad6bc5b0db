//! `xtls receive`: files and directories of peers.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use xtls::{Application, Closed, Event};
use xtls_files::{FileEnd, FileEvent, FileId};

use crate::args::ReceiveArgs;
use crate::clock;
use crate::data::DataDir;
use crate::exit::Failure;
use crate::files::Target;
use crate::output::{Direction, Faster, Meter, Output, TAKE_IT, Throttled};
use crate::pipe::ways;
use crate::reach::Calls;
use crate::send::decline;
use crate::session::{FileSetup, Happening, Input, Lines, Open, Rules, Said, Session, Verdict, answer};
use crate::transfer::{self, Arrived, Gist, Inbox, Stored};

/// How long the end in order may take.
const CLOSE_TIME: Duration = Duration::from_secs(15);
/// How long a peer has to end the tunnel when all has come; then this end does. Peers that chat as well leave it open.
const PEER_TIME: Duration = Duration::from_secs(3);
/// How long a peer may be there without offering anything.
const IDLE_TIME: Duration = Duration::from_secs(120);

pub(crate) async fn run(output: Output, data: &DataDir, args: &ReceiveArgs) -> Result<(), Failure> {
    let target = Target::open(&args.directory).map_err(|e| Failure::usage(e.to_string()))?;
    let mut trust = data.trust()?;
    let mut rules = Rules::from_args(&args.trust, &args.accept_from, &mut trust)?;
    rules.ask(output, args.accept_from.first().map_or("your peers", |peer| peer.as_str()))?;
    rules.warn(output);
    rules.note_who_may_try(output, &args.accept_from)?;
    let mut door = ways::open_door(&args.transport, args.account.login.way.proxy.is_some()).await?;
    let mut session = Session::start_with(output, data, &args.account, trust, &rules, door.connects()).await?;
    let ways = ways::find(&session, &args.transport, &door, &args.accept_from).await;
    rules.go_by(ways.transports);
    session.allow_offers(&args.accept_from);
    let calls = Calls::new(rules, Application::XmlStream, args.accept_from.clone(), true);
    let result = receive(&mut session, calls, &Arc::new(target), args, ways.faster).await;
    session.end().await;
    result
}

/// Serves one peer after the other.
async fn receive(
    session: &mut Session,
    mut calls: Calls,
    target: &Arc<Target>,
    args: &ReceiveArgs,
    faster: Faster,
) -> Result<(), Failure> {
    let words = ["yes", "no"].map(str::to_owned).to_vec();
    let mut lines = Lines::answers(session.output, TAKE_IT.to_owned(), words);
    loop {
        let (opening, security) = match calls.secured(session).await {
            // Nothing was on its way.
            Err(failure) if args.keep_going && failure.is_interruption() => return Ok(()),
            secured => secured?,
        };
        let peer = opening.peer();
        session.report_secured_over(&peer, &security, opening.path().as_ref())?;
        session.greet(&peer).await;
        let setup = FileSetup::new(session, calls.rules.options(Application::bytes()))?;
        let open = Open::with_files(opening, setup);
        let bare = peer.to_bare();
        let inbox = Inbox::new(bare.clone(), Arc::clone(target), args.overwrite);
        let is_allowed = args.accept_from.contains(&bare);
        let meter = Meter::new(session.output, peer.as_str(), Direction::In);
        let mut receiving = Receiving {
            open,
            inbox,
            meter,
            faster,
            lines: &mut lines,
            asked: Vec::new(),
            is_allowed,
            ends_when_done: !args.keep_going,
            complete: false,
            failed: false,
            is_over: false,
            is_closing: false,
            interrupted: false,
            until: Some(clock::now() + IDLE_TIME),
        };
        let result = receiving.run(session).await;
        let (complete, failed) = (receiving.complete, receiving.failed);
        // What has come is kept.
        receiving.inbox.finish().await;
        result?;
        if complete && !failed && !args.keep_going {
            return Ok(());
        }
    }
}

/// One tunnel, and what comes in it.
struct Receiving<'l> {
    open: Open,
    inbox: Inbox,
    meter: Meter,
    faster: Faster,
    lines: &'l mut Lines,
    /// What the user is asked about; the first one now.
    asked: Vec<(FileId, Gist)>,
    /// Nothing is asked.
    is_allowed: bool,
    ends_when_done: bool,
    /// Something has come, whole.
    complete: bool,
    /// Something has not.
    failed: bool,
    /// Nothing is taken any more.
    is_over: bool,
    /// The end of the tunnel was said.
    is_closing: bool,
    /// By Ctrl-C.
    interrupted: bool,
    until: Option<Instant>,
}

/// What is to be seen to.
enum Turn {
    Said(Said),
    Stored(Stored),
    Input(Input),
}

impl Receiving<'_> {
    async fn run(&mut self, session: &mut Session) -> Result<(), Failure> {
        loop {
            let deadline = [self.until, self.meter.deadline()].into_iter().flatten().min();
            let wanted = !self.asked.is_empty() && !self.is_over;
            let Self { open, inbox, lines, .. } = self;
            let beside = async {
                tokio::select! {
                    biased;
                    said = poll_fn(|cx| open.poll(cx)) => Turn::Said(said),
                    stored = poll_fn(|cx| inbox.poll_next(cx)) => Turn::Stored(stored),
                    input = lines.next(wanted) => Turn::Input(input),
                }
            };
            let arrived = match session.next(beside, deadline).await? {
                Happening::Beside(Turn::Said(Said::File(event))) if self.declines(&event) => None,
                Happening::Beside(Turn::Said(Said::File(event))) => {
                    self.open.files().and_then(|tunnel| self.inbox.handle(&event, tunnel))
                }
                Happening::Beside(Turn::Stored(stored)) => {
                    self.open.files().and_then(|tunnel| self.inbox.stored(stored, tunnel))
                }
                Happening::Beside(Turn::Input(input)) => {
                    self.typed(session, &input)?;
                    None
                }
                Happening::Beside(Turn::Said(Said::Stanza(stanza))) => {
                    let name = self.open.peer.to_string();
                    self.open.receive(session, &stanza, &name, false)?;
                    None
                }
                Happening::Beside(Turn::Said(Said::Closed(closed))) => return self.closed(session, &closed),
                Happening::Incoming(incoming) => {
                    decline(&mut self.open, incoming);
                    None
                }
                Happening::Interrupted => {
                    if std::mem::replace(&mut self.interrupted, true) {
                        return Err(Failure::interrupted());
                    }
                    if let Some(tunnel) = self.open.files() {
                        self.inbox.cancel(tunnel);
                    }
                    self.close();
                    None
                }
                Happening::Time => {
                    if self.until.is_some_and(|until| until <= clock::now()) {
                        if self.is_closing {
                            return self.outcome();
                        }
                        self.close();
                    }
                    None
                }
                Happening::Notice(Event::Throttled { id, bytes_per_second }) if self.open.has(id) => {
                    let left = self.inbox.progress().next().map(|(.., left)| left);
                    let peer = self.open.peer.as_str();
                    session.output.throttled(Throttled::new(peer, bytes_per_second, left, self.faster));
                    None
                }
                Happening::Beside(Turn::Said(
                    Said::StreamOpened | Said::Secured(_) | Said::StreamClosed | Said::Sent(..),
                ))
                | Happening::Notice(_)
                | Happening::Stanza(_) => None,
            };
            if let Some(arrived) = arrived {
                self.arrived(session, arrived)?;
            }
            self.show();
        }
    }

    /// Nothing is sent from here, and nothing is taken once it is over.
    fn declines(&mut self, event: &FileEvent) -> bool {
        let (id, end) = match event {
            FileEvent::Requested { id, .. } => (*id, FileEnd::NotAvailable),
            FileEvent::Offered { id, .. } if self.is_over => (*id, FileEnd::Declined),
            _ => return false,
        };
        if let Some(tunnel) = self.open.files() {
            transfer::end(tunnel, id, end);
        }
        true
    }

    fn arrived(&mut self, session: &Session, arrived: Arrived) -> Result<(), Failure> {
        let answers = (!self.is_allowed).then_some(("yes", "no"));
        arrived.tell(session.output, &self.open.peer, answers)?;
        match arrived {
            Arrived::Ask { id, .. } if self.is_allowed => self.inbox.take(id),
            Arrived::Ask { id, what, .. } => self.asked.push((id, what)),
            Arrived::Done { .. } => {
                self.complete = true;
                self.meter.stop();
            }
            Arrived::Failed { id, .. } => {
                self.failed = true;
                self.meter.stop();
                self.asked.retain(|(asked, _)| *asked != id);
            }
            Arrived::Begun { .. } | Arrived::Detour { .. } | Arrived::Wrong { .. } => {}
        }
        self.settle();
        Ok(())
    }

    /// The user has typed something.
    fn typed(&mut self, session: &Session, input: &Input) -> Result<(), Failure> {
        let answer = match input {
            Input::Line(line) => answer(line),
            Input::Unusable(_) => None,
            Input::End => Some(false),
        };
        let Some((id, what)) = self.asked.first().cloned() else { return Ok(()) };
        match answer {
            Some(true) => {
                self.asked.remove(0);
                self.inbox.take(id);
            }
            Some(false) => {
                self.asked.remove(0);
                if let Some(tunnel) = self.open.files() {
                    self.inbox.refuse(id, tunnel);
                }
                if *input == Input::End {
                    session.output.failure(&Failure::usage(format!(
                        "nobody says whether {} is wanted: name its sender with --accept-from, or answer yes",
                        what.name
                    )));
                    self.failed = true;
                }
            }
            None => session.output.error("answer yes or no"),
        }
        self.settle();
        Ok(())
    }

    /// When nothing is left to be done the tunnel ends; a peer that offers nothing is not waited for without end.
    fn settle(&mut self) {
        if self.is_over {
            return;
        }
        if !self.inbox.is_idle() {
            self.until = None;
        } else if self.complete && self.ends_when_done {
            // The peer ends the tunnel when it has heard of it.
            self.is_over = true;
            self.until = Some(clock::now() + PEER_TIME);
        } else if self.until.is_none() {
            self.until = Some(clock::now() + IDLE_TIME);
        }
    }

    fn outcome(&self) -> Result<(), Failure> {
        if self.interrupted { Err(Failure::interrupted()) } else { Ok(()) }
    }

    fn close(&mut self) {
        (self.is_over, self.is_closing) = (true, true);
        self.until = Some(clock::now() + CLOSE_TIME);
        self.open.close();
    }

    fn closed(&mut self, session: &Session, closed: &Closed) -> Result<(), Failure> {
        self.meter.stop();
        session.report_closed(closed)?;
        match Verdict::of(closed, session.own()) {
            _ if self.interrupted => self.outcome(),
            // Another one may come.
            Verdict::Failed(failure) => {
                session.output.failure(&failure);
                Ok(())
            }
            // What the server said comes next.
            Verdict::Disconnected => session.lost().map_or(Ok(()), Err),
            Verdict::Done | Verdict::GaveWay => Ok(()),
        }
    }

    fn show(&mut self) {
        if let Some((_, what, done, left)) = self.inbox.progress().next() {
            self.meter.show(clock::now(), &what.name, done, left);
        }
    }
}
