//! Standard input and output as bytes, each in a thread of its own: files cannot be waited for otherwise.

use std::io::{self, IsTerminal, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::platform::{close_stdout, raw_stdout, stdin_size};

/// How much is read at once, and so the most that waits before the tunnel takes it; one more is read ahead.
const CHUNK: usize = 64 * 1024;

/// How long standard input may say nothing after the peer's has ended, before it is told that it is still open.
const SILENCE: Duration = Duration::from_secs(5);

/// What came from standard input.
#[derive(Debug)]
pub(crate) enum Input {
    Bytes(Vec<u8>),
    /// There is nothing more.
    End,
    /// It is a terminal: nobody types bytes, and its end would be waited for in vain.
    Terminal,
    /// It cannot be read.
    Failed(io::Error),
}

/// Standard input. The thread may still wait for a byte when the process ends: nothing waits for it.
pub(crate) struct Source {
    input: mpsc::Receiver<Input>,
    /// How much it is, if it is a file, and how much of that was taken.
    size: Option<u64>,
    taken: u64,
}

/// What was read ahead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ahead {
    pub(crate) bytes: usize,
    /// The end was among it.
    pub(crate) ended: bool,
}

/// Standard input that keeps a connection open after the peer's has ended: that is told once, when it has said nothing for
/// [`SILENCE`].
#[derive(Debug, Default)]
pub(crate) struct StillOpen {
    at: Option<Instant>,
    told: bool,
}

/// How long the peer may take to confirm that it has everything, before it is told what is waited for.
const CONFIRMATION: Duration = Duration::from_secs(2);

/// Standard input that has ended, and the peer's word is waited for that it has all of it: that is told once, when it takes longer than
/// [`CONFIRMATION`].
#[derive(Debug, Default)]
pub(crate) struct Unconfirmed {
    at: Option<Instant>,
}

impl Unconfirmed {
    /// Standard input has ended.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.at = Some(now + CONFIRMATION);
    }

    /// When to ask [`Unconfirmed::is_due`].
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.at
    }

    /// Whether it is to be told now. While bytes are on their way to the peer it is asked again after the same time.
    pub(crate) fn is_due(&mut self, now: Instant, waits: bool) -> bool {
        if self.at.is_none_or(|at| at > now) {
            return false;
        }
        self.at = (!waits).then(|| now + CONFIRMATION);
        waits
    }

    /// It has come, or never will.
    pub(crate) fn end(&mut self) {
        self.at = None;
    }
}

/// What standard output is ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    /// It has room for a piece.
    Room,
    /// There was nothing more to write, and all is written.
    Written,
    /// Nothing can be written any more.
    Failed,
}

/// Standard output. It takes one piece while another one is written.
pub(crate) struct Sink {
    /// None once there is nothing more to write.
    pieces: Option<mpsc::Sender<Vec<u8>>>,
    /// How the writing ended.
    end: oneshot::Receiver<io::Result<()>>,
    /// The same, once it was asked for.
    ended: Option<io::Result<()>>,
}

impl Source {
    /// Begins to read.
    pub(crate) fn start() -> Self {
        let (sender, input) = mpsc::channel(1);
        let size = stdin_size();
        thread::spawn(move || {
            if io::stdin().is_terminal() {
                // Nobody listens any more when the command is ending.
                let _ = sender.blocking_send(Input::Terminal);
            } else {
                forward(io::stdin(), &sender);
            }
        });
        Self { input, size, taken: 0 }
    }

    /// The next bytes, if some are `wanted`; dropping this loses nothing. After [`Input::End`] it never comes back.
    pub(crate) async fn next(&mut self, wanted: bool) -> Input {
        if wanted && let Some(input) = self.input.recv().await {
            if let Input::Bytes(bytes) = &input {
                self.taken += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            }
            return input;
        }
        std::future::pending().await
    }

    /// How much is left of a file; a file may have grown.
    pub(crate) fn left(&self) -> Option<u64> {
        self.size.map(|size| size.saturating_sub(self.taken))
    }

    /// What was read and not taken.
    pub(crate) fn ahead(&mut self) -> Ahead {
        let mut ahead = Ahead::default();
        while let Ok(input) = self.input.try_recv() {
            match input {
                Input::Bytes(bytes) => ahead.bytes += bytes.len(),
                Input::End | Input::Terminal => ahead.ended = true,
                Input::Failed(_) => {}
            }
        }
        ahead
    }
}

impl StillOpen {
    /// The peer's input has ended, and ours has not.
    pub(crate) fn begin(&mut self, now: Instant) {
        if !self.told {
            self.at = Some(now + SILENCE);
        }
    }

    /// Standard input has said something.
    pub(crate) fn heard(&mut self, now: Instant) {
        if self.at.is_some() {
            self.begin(now);
        }
    }

    /// It has ended, or is read no more.
    pub(crate) fn end(&mut self) {
        (self.at, self.told) = (None, true);
    }

    /// When to ask [`StillOpen::is_due`].
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.at
    }

    /// Whether it is to be told now.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let due = self.at.is_some_and(|at| at <= now);
        if due {
            self.end();
        }
        due
    }

    /// The words for it.
    pub(crate) fn warning(peer: &str) -> String {
        format!(
            "{peer} has sent all it had, and standard input is still open: this goes on until it ends; with nothing to \
             send, give </dev/null"
        )
    }
}

impl Sink {
    /// Begins to write.
    pub(crate) fn start() -> Self {
        let (pieces, mut receiver) = mpsc::channel::<Vec<u8>>(1);
        let (ended, end) = oneshot::channel();
        thread::spawn(move || {
            let result = write_all(&mut receiver);
            close_stdout();
            // Nobody listens any more when the command is ending.
            let _ = ended.send(result);
        });
        Self { pieces: Some(pieces), end, ended: None }
    }

    /// Waits for room if there are bytes (`wanted`), or for the last of them to be written. That, and a failure, is told once. Dropping
    /// this loses nothing.
    pub(crate) async fn ready(&mut self, wanted: bool) -> Ready {
        if self.ended.is_some() {
            return std::future::pending().await;
        }
        let Some(pieces) = &self.pieces else {
            let ended = self.ended.insert(told((&mut self.end).await));
            return if ended.is_ok() { Ready::Written } else { Ready::Failed };
        };
        tokio::select! {
            // Before it is closed it only ends by a failure.
            end = &mut self.end => self.ended = Some(told(end)),
            room = pieces.reserve(), if wanted => {
                if room.is_ok() {
                    return Ready::Room;
                }
                self.ended = Some(told((&mut self.end).await));
            }
        }
        Ready::Failed
    }

    /// Writes a piece for which there is [`Ready::Room`].
    pub(crate) fn write(&self, piece: Vec<u8>) {
        if let Some(pieces) = &self.pieces {
            // What fails now is told by the next question for room, or by the end.
            let _ = pieces.try_send(piece);
        }
    }

    /// There is nothing more to write: standard output is closed after the last byte.
    pub(crate) fn close(&mut self) {
        self.pieces = None;
    }

    /// Whether it was told that nothing can be written any more.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.ended, Some(Err(_)))
    }

    /// Writes what is left and waits until all is written.
    pub(crate) async fn finish(mut self, rest: Vec<u8>) -> io::Result<()> {
        if let Some(pieces) = self.pieces.take()
            && !rest.is_empty()
        {
            let _ = pieces.send(rest).await;
        }
        match self.ended {
            Some(ended) => ended,
            None => told(self.end.await),
        }
    }
}

fn forward(mut from: impl Read, to: &mpsc::Sender<Input>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let input = match from.read(&mut buffer) {
            Ok(0) => Input::End,
            Ok(count) => Input::Bytes(buffer.get(..count).unwrap_or_default().to_vec()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => Input::Failed(e),
        };
        let last = !matches!(input, Input::Bytes(_));
        if to.blocking_send(input).is_err() || last {
            return;
        }
    }
}

fn write_all(pieces: &mut mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    // Standard output itself looks for line ends.
    let mut out = raw_stdout()?;
    while let Some(piece) = pieces.blocking_recv() {
        out.write_all(&piece)?;
    }
    out.flush()
}

/// The thread always tells how it ended, unless it panicked.
fn told(end: Result<io::Result<()>, oneshot::error::RecvError>) -> io::Result<()> {
    end.unwrap_or_else(|_| Err(io::Error::other("its thread is gone")))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_told_once_and_not_before_two_seconds() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut unconfirmed = Unconfirmed::default();
        assert!(!unconfirmed.is_due(after(60), true), "input goes on");
        unconfirmed.begin(start);
        assert!(!unconfirmed.is_due(after(2) - Duration::from_millis(1), true));
        assert!(!unconfirmed.is_due(after(2), false), "bytes are on their way");
        assert_eq!(unconfirmed.deadline(), Some(after(4)));
        assert!(unconfirmed.is_due(after(4), true));
        assert_eq!(unconfirmed.deadline(), None);
        assert!(!unconfirmed.is_due(after(60), true));
    }

    #[test]
    fn open_input_is_told_once_after_five_seconds_of_silence() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut open = StillOpen::default();
        open.heard(start);
        assert_eq!(open.deadline(), None, "the peer goes on");
        open.begin(start);
        open.heard(after(3));
        assert!(!open.is_due(after(8) - Duration::from_millis(1)));
        assert!(open.is_due(after(8)));
        open.begin(after(9));
        assert_eq!(open.deadline(), None);
        let mut ended = StillOpen::default();
        ended.begin(start);
        ended.end();
        assert!(!ended.is_due(after(60)));
    }
}
