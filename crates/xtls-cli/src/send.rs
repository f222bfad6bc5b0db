//! `xtls send`: files and directories to a peer.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use xtls::{Application, Closed, Event};
use xtls_files::FileEnd;
use xtls_tokio::Incoming;

use crate::args::SendArgs;
use crate::chat::no_answer;
use crate::clock;
use crate::data::DataDir;
use crate::exit::{Code, Failure};
use crate::output::{Direction, Faster, Meter, Output, Progress, Throttled};
use crate::pipe::ways;
use crate::reach::{self, Calls};
use crate::session::{FileSetup, Happening, Open, Rules, Said, Session, Verdict, note};
use crate::transfer::{self, Fetched, Goods, Outbox, Rate, Sent, decline_offer};

/// How long the end in order may take.
const CLOSE_TIME: Duration = Duration::from_secs(15);

pub(crate) async fn run(output: Output, data: &DataDir, args: &SendArgs) -> Result<(), Failure> {
    let peer = args.peer.to_bare();
    let mut trust = data.trust()?;
    let mut rules = Rules::from_args(&args.trust, std::slice::from_ref(&peer), &mut trust)?;
    reach::check(&rules, &trust, &args.account.bare()?, &peer)?;
    let goods = gather(output, args).await?;
    rules.ask(output, peer.as_str())?;
    rules.warn(output);
    let mut door = ways::open_door(&args.transport, args.account.login.way.proxy.is_some()).await?;
    let mut session = Session::start_with(output, data, &args.account, trust, &rules, door.connects()).await?;
    let ways = ways::find(&session, &args.transport, &door, &[peer]).await;
    rules.go_by(ways.transports);
    let calls = Calls::new(rules, Application::XmlStream, vec![args.peer.to_bare()], false);
    let outbox = Outbox::new(goods, args.rate_limit.map(Rate::new));
    let outbox = outbox.ok_or_else(|| Failure::other("what is sent is being sent already"))?;
    let result = send(&mut session, calls, outbox, args, ways.faster).await;
    session.end().await;
    result
}

/// Finds what is to be sent, and hashes it where that is needed beforehand.
async fn gather(output: Output, args: &SendArgs) -> Result<Goods, Failure> {
    let (paths, follow) = (args.files.clone(), args.follow_links);
    let gathered = tokio::task::spawn_blocking(move || {
        let mut line = Progress::start(output, clock::now());
        transfer::gather(&paths, follow, &mut |hashed, all| {
            let now = clock::now();
            if let Some(line) = line.as_mut().filter(|line| now >= line.deadline()) {
                line.show_hashed(now, hashed, all);
            }
            ControlFlow::Continue(())
        })
    });
    let gathered = gathered.await.map_err(|e| Failure::other(e.to_string()))?;
    let (goods, left_out) = gathered.map_err(|e| Failure::other(e.to_string()))?;
    left_out.tell(output);
    Ok(goods)
}

/// Sends it, in as many tunnels as that takes where the peer is waited for.
async fn send(
    session: &mut Session,
    mut calls: Calls,
    mut outbox: Outbox,
    args: &SendArgs,
    faster: Faster,
) -> Result<(), Failure> {
    loop {
        calls.call(session, &args.peer, args.wait.patience).await?;
        let (opening, security) = calls.secured(session).await?;
        let peer = opening.peer();
        session.report_secured_over(&peer, &security, opening.path().as_ref())?;
        session.greet(&peer).await;
        let setup = FileSetup::new(session, calls.rules.options(Application::bytes()))?;
        let mut sending = Sending::new(Open::with_files(opening, setup), outbox, session.output, faster);
        let result = sending.run(session).await;
        outbox = sending.outbox;
        match result {
            Err(Stopped::Gone(failure)) if args.wait.patience.is_some() && session.lost().is_none() => {
                session.output.failure(&failure);
                outbox.begin_anew();
            }
            Err(Stopped::Gone(failure) | Stopped::Failed(failure)) => return Err(failure),
            Ok(()) => return Ok(()),
        }
    }
}

/// Why it was not sent.
enum Stopped {
    /// The peer is gone, or the way to it.
    Gone(Failure),
    Failed(Failure),
}

/// One tunnel, and what is sent in it.
struct Sending {
    open: Open,
    outbox: Outbox,
    meter: Meter,
    faster: Faster,
    outcome: Option<Result<(), Failure>>,
    until: Option<Instant>,
}

/// What is to be seen to.
enum Turn {
    Said(Said),
    Fetched(Option<Fetched>),
}

impl Sending {
    fn new(open: Open, outbox: Outbox, output: Output, faster: Faster) -> Self {
        let meter = Meter::new(output, open.peer.as_str(), Direction::Out);
        Self { open, outbox, meter, faster, outcome: None, until: None }
    }

    /// Sends it, and ends the tunnel.
    async fn run(&mut self, session: &mut Session) -> Result<(), Stopped> {
        loop {
            self.show();
            let deadline = [self.until, self.meter.deadline()].into_iter().flatten().min();
            let (open, outbox) = (&mut self.open, &mut self.outbox);
            let beside = async {
                tokio::select! {
                    biased;
                    said = poll_fn(|cx| open.poll(cx)) => Turn::Said(said),
                    fetched = poll_fn(|cx| outbox.poll_next(cx)) => Turn::Fetched(fetched),
                }
            };
            let happening = session.next(beside, deadline).await.map_err(Stopped::Gone)?;
            let sent = match happening {
                Happening::Beside(Turn::Said(Said::StreamOpened)) => {
                    let offered = format!("* {} is offered to {}", self.outbox.goods.name(), self.open.peer);
                    note(session.output, &offered).map_err(Stopped::Failed)?;
                    self.open.files().and_then(|tunnel| self.outbox.offer(tunnel))
                }
                Happening::Beside(Turn::Said(Said::File(event))) => {
                    let now = clock::now();
                    self.open.files().and_then(|tunnel| {
                        decline_offer(&event, tunnel);
                        self.outbox.handle(&event, tunnel, now)
                    })
                }
                Happening::Beside(Turn::Fetched(fetched)) => {
                    let now = clock::now();
                    self.open.files().and_then(|tunnel| self.outbox.take(fetched, tunnel, now))
                }
                Happening::Beside(Turn::Said(Said::Stanza(stanza))) => {
                    let name = self.open.peer.to_string();
                    self.open.receive(session, &stanza, &name, false).map_err(Stopped::Failed)?;
                    None
                }
                Happening::Beside(Turn::Said(Said::Closed(closed))) => return self.closed(session, &closed),
                Happening::Incoming(incoming) => {
                    decline(&mut self.open, incoming);
                    None
                }
                Happening::Interrupted if self.outcome.is_some() => {
                    return Err(Stopped::Failed(Failure::interrupted()));
                }
                Happening::Interrupted => {
                    if let Some(tunnel) = self.open.files() {
                        self.outbox.cancel(tunnel);
                    }
                    self.end(Err(Failure::interrupted()));
                    None
                }
                Happening::Time => {
                    if self.until.is_some_and(|until| until <= clock::now()) {
                        // How the tunnel ends makes no difference any more.
                        let outcome = self.outcome.take().unwrap_or_else(|| Err(no_answer(&self.open.peer)));
                        return outcome.map_err(Stopped::Failed);
                    }
                    None
                }
                Happening::Notice(Event::Throttled { id, bytes_per_second }) if self.open.has(id) => {
                    let left = self.open.files().map(|tunnel| self.outbox.progress(tunnel).1);
                    let peer = self.open.peer.as_str();
                    session.output.throttled(Throttled::new(peer, bytes_per_second, left, self.faster));
                    None
                }
                Happening::Beside(Turn::Said(Said::Secured(_) | Said::StreamClosed | Said::Sent(..)))
                | Happening::Notice(_)
                | Happening::Stanza(_) => None,
            };
            if let Some(sent) = sent {
                self.sent(session, sent)?;
            }
        }
    }

    /// It is over: what is left is to end the tunnel.
    fn sent(&mut self, session: &Session, sent: Sent) -> Result<(), Stopped> {
        let goods = &self.outbox.goods;
        let name = goods.name();
        sent.tell(session.output, &self.open.peer, goods).map_err(Stopped::Failed)?;
        if matches!(sent, Sent::Begun { .. }) {
            return Ok(());
        }
        self.meter.stop();
        // A peer that is gone is told by the end of the tunnel.
        if !matches!(sent, Sent::Ended { end: FileEnd::Gone, .. }) {
            let result = sent.result(&self.open.peer, name);
            self.end(result);
        }
        Ok(())
    }

    fn end(&mut self, outcome: Result<(), Failure>) {
        if self.outcome.is_none() {
            self.outcome = Some(outcome);
            self.until = Some(clock::now() + CLOSE_TIME);
            self.open.close();
        }
    }

    fn closed(&mut self, session: &Session, closed: &Closed) -> Result<(), Stopped> {
        self.meter.stop();
        session.report_closed(closed).map_err(Stopped::Failed)?;
        if let Some(outcome) = self.outcome.take() {
            return outcome.map_err(Stopped::Failed);
        }
        let name = self.outbox.goods.name();
        let again = format!("{name} was not sent to the end; run the same again: it goes on where it stopped");
        Err(match Verdict::of(closed, session.own()) {
            Verdict::Failed(Failure { code: Code::Security, message, peer }) => {
                Stopped::Failed(Failure { code: Code::Security, message, peer })
            }
            Verdict::Failed(Failure { code, message, peer }) => {
                Stopped::Gone(Failure { code, message: format!("{message}; {again}"), peer })
            }
            Verdict::Disconnected => {
                let lost = session.lost();
                Stopped::Gone(lost.unwrap_or_else(|| Failure::connection(again)))
            }
            Verdict::Done | Verdict::GaveWay => Stopped::Gone(
                Failure::connection(format!("{} ended the tunnel: {again}", closed.peer)).about(&closed.peer),
            ),
        })
    }

    fn show(&mut self) {
        let Self { open, outbox, meter, .. } = self;
        if let Some(tunnel) = open.files().filter(|_| outbox.has_begun()) {
            let (done, left) = outbox.progress(tunnel);
            meter.show(clock::now(), outbox.goods.name(), done, left);
        }
    }
}

/// Takes a tunnel that is for the bytes of a file; there is no room for any other.
pub(crate) fn decline(open: &mut Open, incoming: Incoming) {
    if let Some(incoming) = open.take(incoming) {
        reach::decline(incoming, &Application::XmlStream);
    }
}
