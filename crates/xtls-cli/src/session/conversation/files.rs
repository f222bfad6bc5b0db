//! Files in a conversation: what the user sends, takes and refuses, and how far it is.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use xtls::{Application, TunnelId, TunnelOptions};
use xtls_stanza::jid::{BareJid, FullJid, Jid};
use xtls_tokio::Incoming;

use super::exchange::{Exchange, Total};
use super::paths::paths;
use super::{Conversation, Rules, Session, Talk, note};
use crate::args::{AccountArgs, FileArgs};
use crate::clock;
use crate::data::{DataDir, TrustFile};
use crate::exit::{Code, Failure};
use crate::files::{SourceError, Target};
use crate::output::{Faster, Output, Progress, Report, Throttled};
use crate::pipe::ways::{self, Ways};
use crate::session::tell;
use crate::terminal;
use crate::transfer::{Goods, LeftOut, gather};

/// How many things may be sent at once, to all peers.
const SENDING: usize = 8;
/// How often it is looked how far everything is.
const TICK: Duration = Duration::from_millis(250);

/// What files need in the tunnels of a conversation.
pub(crate) struct Sharing {
    ways: Ways,
    target: Result<Arc<Target>, String>,
}

/// The numbers by which the user names what is on its way. None is given twice.
#[derive(Debug, Default)]
pub(super) struct Numbers(u64);

/// What is on its way beside the tunnels, and how far everything was.
pub(super) struct Filing {
    output: Output,
    sharing: Option<Sharing>,
    pub(super) numbers: Numbers,
    gathering: Vec<Gathering>,
    sender: mpsc::UnboundedSender<Gathered>,
    receiver: mpsc::UnboundedReceiver<Gathered>,
    /// One line for everything that moves, and what that was.
    line: Option<Progress>,
    moving: Vec<u64>,
    next: Option<Instant>,
}

/// Something that is looked at before it is offered.
struct Gathering {
    number: u64,
    tunnel: Option<TunnelId>,
    peer: FullJid,
    /// As it was typed.
    name: String,
    looked: Arc<Looked>,
}

/// How far that is.
#[derive(Debug, Default)]
struct Looked {
    hashed: AtomicU64,
    all: AtomicU64,
    is_over: AtomicBool,
}

/// What was looked at, under its number.
#[derive(Debug)]
pub(crate) struct Gathered {
    number: u64,
    result: Box<Result<(Goods, LeftOut), SourceError>>,
}

/// Logs in for a conversation, in whose tunnels files can go if there are options for that.
///
/// # Errors
///
/// When these contradict one another, or name what is not there; and whatever stands in the way of the login.
pub(crate) async fn log_in(
    output: Output,
    data: &DataDir,
    account: &AccountArgs,
    trust: TrustFile,
    rules: &Rules,
    files: Option<&FileArgs>,
    peers: &[BareJid],
) -> Result<(Session, Option<Sharing>), Failure> {
    let Some(args) = files else {
        return Ok((Session::start(output, data, account, trust, rules).await?, None));
    };
    let target = match &args.files_to {
        Some(directory) => Ok(Target::open(directory).map_err(|e| Failure::usage(e.to_string()))?),
        // Whoever wants nothing but to chat needs none.
        None => Target::open(Path::new(".")).map_err(|e| format!("{e}; --files-to names another directory")),
    };
    let mut door = ways::open_door(&args.transport, account.login.way.proxy.is_some()).await?;
    let session = Session::start_with(output, data, account, trust, rules, door.connects()).await?;
    let ways = ways::find(&session, &args.transport, &door, peers).await;
    Ok((session, Some(Sharing { ways, target: target.map(Arc::new) })))
}

impl Sharing {
    /// Those of the tunnels that the bytes go by.
    pub(super) fn options(&self, rules: &Rules) -> TunnelOptions {
        rules.options(Application::bytes()).over(self.ways.transports.clone())
    }

    /// Where files go, or why none can.
    pub(super) fn target(&self) -> &Result<Arc<Target>, String> {
        &self.target
    }
}

impl Numbers {
    pub(super) fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        self.looked.is_over.store(true, Ordering::Relaxed);
    }
}

impl Filing {
    pub(super) fn new(output: Output, sharing: Option<Sharing>) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            output,
            sharing,
            numbers: Numbers::default(),
            gathering: Vec::new(),
            sender,
            receiver,
            line: None,
            moving: Vec::new(),
            next: None,
        }
    }

    pub(super) fn sharing(&self) -> Option<&Sharing> {
        self.sharing.as_ref()
    }

    /// What was looked at.
    pub(super) fn poll_gathered(&mut self, cx: &mut Context<'_>) -> Poll<Gathered> {
        match self.receiver.poll_recv(cx) {
            Poll::Ready(Some(gathered)) => Poll::Ready(gathered),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// When [`Conversation::show_files`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next
    }
}

impl Conversation {
    /// Takes an offered tunnel that is for the bytes of a file, and gives back any other one.
    pub(crate) fn take(&mut self, incoming: Incoming) -> Option<Incoming> {
        self.open.iter_mut().try_fold(incoming, |incoming, talk| talk.open.take(incoming))
    }

    /// Waits until everything is on disk that has come.
    pub(crate) async fn finish_files(&mut self) {
        for talk in &mut self.open {
            if let Some(code) = talk.end_files().await {
                self.keyboard.file_not_sent(code);
            }
        }
    }

    /// The user wants to send what this line names to whom lines go to.
    pub(super) fn send_files(&mut self, line: &str, there: &[Jid]) {
        let paths = match paths(line) {
            Ok(paths) => paths,
            Err(why) => return self.cannot_send(why, Code::Other),
        };
        let sends: usize = self.exchanges().map(Exchange::sends).sum();
        if sends + self.filing.gathering.len() >= SENDING {
            let why = format!("{SENDING} others are being sent, or offered: wait for one of them, or /refuse it");
            return self.cannot_send(&why, Code::Other);
        }
        let chosen = self.keyboard.chosen_of(there);
        let talk = chosen.and_then(|at| self.open.iter().filter(|talk| talk.open.is_ready()).nth(at));
        let Some(Talk { open, .. }) = talk else {
            let why = "nobody is there to send files to; /to PEER chooses whom lines go to";
            return self.cannot_send(why, Code::Connection);
        };
        let number = self.filing.numbers.next();
        let looked = Arc::new(Looked::default());
        let name = line.to_owned();
        let gathering =
            Gathering { number, tunnel: open.id(), peer: open.peer.clone(), name, looked: Arc::clone(&looked) };
        self.filing.gathering.push(gathering);
        let sender = self.filing.sender.clone();
        tokio::task::spawn_blocking(move || {
            let result = gather(&paths, false, &mut |hashed, all| {
                looked.hashed.store(hashed, Ordering::Relaxed);
                looked.all.store(all, Ordering::Relaxed);
                if looked.is_over.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            // Nobody waits for it any more when the command is ending.
            let _ = sender.send(Gathered { number, result: result.into() });
        });
    }

    /// Offers what was looked at.
    pub(super) fn gathered(&mut self, session: &Session, Gathered { number, result }: Gathered) -> Result<(), Failure> {
        let Some(at) = self.filing.gathering.iter().position(|one| one.number == number) else { return Ok(()) };
        let gathering = self.filing.gathering.remove(at);
        let peer = &gathering.peer;
        let (goods, left_out) = match *result {
            Ok(gathered) => gathered,
            Err(error) => {
                session.output.error_of(peer.as_str(), &error.to_string());
                self.keyboard.file_not_sent(Code::Other);
                return Ok(());
            }
        };
        left_out.tell(session.output);
        let name = goods.name().to_owned();
        let talk = self.open.iter_mut().find(|talk| talk.open.id() == gathering.tunnel);
        let Some((exchange, tunnel)) = talk.and_then(Talk::files) else {
            session.output.error_of(peer.as_str(), &format!("{name} was not sent: {peer} is not there any more"));
            self.keyboard.file_not_sent(Code::Connection);
            return Ok(());
        };
        note(session.output, &format!("* {name} is offered to {peer}"))?;
        exchange.send(number, goods, tunnel)
    }

    /// The user wants what a peer offers, or does not; or wants to break something off.
    pub(super) fn decide(&mut self, session: &Session, number: Option<u64>, takes: bool) -> Result<(), Failure> {
        let asked: Vec<u64> = self.exchanges().flat_map(Exchange::asked).collect();
        let number = match (number, asked.as_slice()) {
            (Some(number), _) => number,
            (None, [number]) => *number,
            (None, []) => {
                session.output.error("nothing is offered to you");
                return Ok(());
            }
            (None, _) => {
                session.output.error("several are offered to you: name one by its number, which /files tells");
                return Ok(());
            }
        };
        if takes {
            if !self.open.iter_mut().filter_map(|talk| talk.exchange.as_mut()).any(|exchange| exchange.take(number)) {
                session.output.error(&format!("nothing is offered to you as number {number}: see /files"));
            }
            return Ok(());
        }
        if let Some(at) = self.filing.gathering.iter().position(|one| one.number == number) {
            self.filing.gathering.remove(at);
            self.keyboard.file_not_sent(Code::Other);
            return note(session.output, &format!("* number {number} is not sent"));
        }
        for (exchange, tunnel) in self.open.iter_mut().filter_map(Talk::files) {
            if exchange.refuse(number, tunnel)? {
                return Ok(());
            }
        }
        session.output.error(&format!("nothing has the number {number}: see /files"));
        Ok(())
    }

    /// Tells what is on its way.
    pub(super) fn tell_files(&mut self, session: &Session) -> Result<(), Failure> {
        let Self { open, filing, .. } = self;
        let is_nothing =
            filing.gathering.is_empty() && open.iter().filter_map(|talk| talk.exchange.as_ref()).all(Exchange::is_idle);
        if is_nothing {
            return note(session.output, "* no file is on its way");
        }
        for Gathering { number, peer, name, looked, .. } in &filing.gathering {
            let (bytes, all) = (looked.hashed.load(Ordering::Relaxed), looked.all.load(Ordering::Relaxed));
            let size = (all > 0).then_some(all);
            let (number, peer, state, direction) = (*number, peer.as_str(), "preparing", "out");
            tell(session.output, &Report::File { number, peer, name, direction, state, bytes, size })?;
        }
        for (exchange, tunnel) in open.iter_mut().filter_map(Talk::files) {
            exchange.list(tunnel, &mut filing.numbers)?;
        }
        Ok(())
    }

    /// The conversation ends: whatever is still looked at is not sent.
    pub(super) fn drop_gathering(&mut self) {
        for gathering in self.filing.gathering.drain(..) {
            let Gathering { name, peer, .. } = &gathering;
            let why = format!("{name} was not sent: the conversation has ended");
            self.filing.output.error_of(peer.as_str(), &why);
            self.keyboard.file_not_sent(Code::Connection);
        }
    }

    /// Shows how far everything is, when that is due.
    pub(super) fn show_files(&mut self) {
        let now = clock::now();
        let Self { open, filing, keyboard, .. } = self;
        for exchange in open.iter_mut().filter_map(|talk| talk.exchange.as_mut()) {
            if let Some(code) = exchange.take_unsent() {
                keyboard.file_not_sent(code);
            }
            if exchange.take_news() {
                filing.next = None;
            }
        }
        if filing.next.is_some_and(|next| now < next) {
            return;
        }
        let mut total = Total::default();
        for (exchange, tunnel) in open.iter_mut().filter_map(Talk::files) {
            exchange.show(tunnel, now, &mut filing.numbers, &mut total);
        }
        let is_moving = !total.moving.is_empty();
        filing.next = is_moving.then(|| [Some(now + TICK), total.next].into_iter().flatten().min()).flatten();
        if filing.moving != total.moving {
            // The rate is that of what moves now.
            filing.line = None;
            if is_moving && terminal::is_active() {
                filing.line = Progress::start_from(filing.output, now, total.moved);
            }
            filing.moving = total.moving;
        }
        if let Some(line) = filing.line.as_mut().filter(|line| now >= line.deadline()) {
            line.show(now, total.moved);
        }
    }

    /// A server on the way of a tunnel here, or of a file of its own, lets little through.
    pub(super) fn throttled(&mut self, id: TunnelId, bytes_per_second: u64) {
        let Self { open, filing, .. } = self;
        let Some(talk) = open.iter_mut().find(|talk| talk.open.has(id)) else { return };
        let (file, unacked) = (talk.open.file_by(id), talk.open.unacked());
        let mut left = unacked;
        let mut moves = false;
        if let Some((exchange, tunnel)) = talk.files() {
            moves = !exchange.is_idle();
            left = match file {
                Some(file) => exchange.left_of(file, tunnel),
                // How much of files is left is told in another place.
                None => unacked.filter(|_| !moves),
            };
        }
        let faster = filing.sharing().filter(|_| moves).map_or(Faster::Send, |sharing| sharing.ways.faster);
        let peer = talk.open.peer.as_str();
        filing.output.throttled(Throttled::new(peer, bytes_per_second, left, faster));
    }

    fn cannot_send(&mut self, why: &str, code: Code) {
        self.filing.output.error(&format!("nothing was sent: {why}"));
        self.keyboard.file_not_sent(code);
    }

    fn exchanges(&self) -> impl Iterator<Item = &Exchange> {
        self.open.iter().filter_map(|talk| talk.exchange.as_ref())
    }
}
