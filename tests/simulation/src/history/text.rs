//! Histories as text: the seed and the settings, then an operation a line. Empty lines and those that begin with `#` say
//! nothing.

use core::{error::Error, fmt, str::FromStr};

use super::{Action, History, LinkAction, Manners, Operation, Scene, Settings, StreamChange, Trust, Who, WireFault};

/// A line of a history that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryError {
    /// The line.
    pub line: String,
}

/// Words and what they stand for.
const TRUST: [(&str, Trust); 5] = [
    ("pinned", Trust::Pinned),
    ("ask", Trust::Ask),
    ("leap", Trust::LeapOfFaith),
    ("password", Trust::Password),
    ("wrong-password", Trust::WrongPassword),
];
const MANNERS: [(&str, Manners); 4] = [
    ("good", Manners::Good),
    ("refusing", Manners::Refusing),
    ("silent", Manners::Silent),
    ("mistaken", Manners::Mistaken),
];
const STREAM: [(&str, StreamChange); 6] = [
    ("offline", StreamChange::Offline),
    ("online", StreamChange::Online),
    ("suspend", StreamChange::Suspend),
    ("resume", StreamChange::Resume),
    ("hold", StreamChange::Hold),
    ("release", StreamChange::Release),
];
const ACTIONS: [(&str, Action); 6] = [
    ("finish", Action::Finish),
    ("close", Action::Close),
    ("abort", Action::Abort),
    ("open-stream", Action::OpenStream),
    ("close-stream", Action::CloseStream),
    ("certificates", Action::Certificates),
];

const SCENES: [(&str, Scene); 3] =
    [("tunnels", Scene::Tunnels), ("peer-link", Scene::PeerLink), ("server-link", Scene::ServerLink)];

fn word<T: PartialEq>(words: &[(&'static str, T)], meaning: &T) -> &'static str {
    words.iter().find(|(_, other)| other == meaning).map_or("?", |(word, _)| word)
}

fn meaning<T: Clone>(words: &[(&'static str, T)], word: &str) -> Option<T> {
    words.iter().find(|(other, _)| *other == word).map(|(_, meaning)| meaning.clone())
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { block_size, window, receive_buffer, send_buffer } = self.settings;
        writeln!(f, "seed {}", self.seed)?;
        if self.scene != Scene::Tunnels {
            writeln!(f, "scene {}", word(&SCENES, &self.scene))?;
        }
        writeln!(f, "settings {block_size} {window} {receive_buffer} {send_buffer}")?;
        self.operations.iter().try_for_each(|operation| writeln!(f, "{operation}"))
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Initiate { who, whom, xml, trust } => {
                write!(f, "{who} initiate {whom} {} {}", if *xml { "xml" } else { "bytes" }, word(&TRUST, trust))
            }
            Self::Tunnel { who, which, action: Action::Write(bytes) } => {
                write!(f, "{who} tunnel {which} write {bytes}")
            }
            Self::Tunnel { who, which, action: Action::Send(count) } => write!(f, "{who} tunnel {which} send {count}"),
            Self::Tunnel { who, which, action } => write!(f, "{who} tunnel {which} {}", word(&ACTIONS, action)),
            Self::Probe { who, whom } => write!(f, "{who} probe {whom}"),
            Self::Announce(who) => write!(f, "{who} announce"),
            Self::Slow(who, slow) => write!(f, "{who} {}", if *slow { "slow" } else { "quick" }),
            Self::Manners(who, manners) => write!(f, "{who} manners {}", word(&MANNERS, manners)),
            Self::Stream(who, change) => write!(f, "{who} {}", word(&STREAM, change)),
            Self::Restart => f.write_str("restart"),
            Self::Run(millis) => write!(f, "run {millis}"),
            Self::Latency(millis) => write!(f, "latency {millis}"),
            Self::Jitter(millis) => write!(f, "jitter {millis}"),
            Self::Bandwidth(bytes) => write!(f, "bandwidth {bytes}"),
            Self::Rate(stanzas) => write!(f, "rate {stanzas}"),
            Self::Limit(bytes) => write!(f, "limit {bytes}"),
            Self::Misdeed(misdeed) => write!(f, "misdeed {misdeed}"),
            Self::Inject(whom, stanza) => write!(f, "inject {whom} {stanza}"),
            Self::Connect(trust) => write!(f, "connect {}", word(&TRUST, trust)),
            Self::Link(who, LinkAction::Send(count)) => write!(f, "{who} link send {count}"),
            Self::Link(who, LinkAction::Write(bytes)) => write!(f, "{who} link write {bytes}"),
            Self::Link(who, LinkAction::Close) => write!(f, "{who} link close"),
            Self::Link(who, LinkAction::CutOff) => write!(f, "{who} link cut-off"),
            Self::Wire(who, fault) => write!(f, "{who} wire {fault}"),
            Self::Pieces(bytes) => write!(f, "pieces {bytes}"),
            Self::Pipe(bytes) => write!(f, "pipe {bytes}"),
            Self::Impostors(there) => f.write_str(if *there { "impostors" } else { "no-impostors" }),
        }
    }
}

impl fmt::Display for WireFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop => f.write_str("drop"),
            Self::Duplicate => f.write_str("duplicate"),
            Self::Flip(bit) => write!(f, "flip {bit}"),
            Self::Cut(bytes) => write!(f, "cut {bytes}"),
            Self::Insert(bytes) => write!(f, "insert {bytes}"),
            Self::Swap => f.write_str("swap"),
        }
    }
}

impl FromStr for History {
    type Err = HistoryError;

    fn from_str(text: &str) -> Result<Self, HistoryError> {
        let settings = Settings::default();
        let mut history = Self { seed: 0, scene: Scene::Tunnels, settings, operations: Vec::new() };
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let unknown = || HistoryError { line: line.to_owned() };
            if let Some(seed) = line.strip_prefix("seed ") {
                history.seed = seed.parse().map_err(|_| unknown())?;
            } else if let Some(scene) = line.strip_prefix("scene ") {
                history.scene = meaning(&SCENES, scene).ok_or_else(unknown)?;
            } else if let Some(settings) = line.strip_prefix("settings ") {
                history.settings = read_settings(settings).ok_or_else(unknown)?;
            } else {
                history.operations.push(read_operation(line).ok_or_else(unknown)?);
            }
        }
        Ok(history)
    }
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no line of a history: {:?}", self.line)
    }
}

impl Error for HistoryError {}

fn read_settings(text: &str) -> Option<Settings> {
    let mut words = text.split(' ');
    Some(Settings {
        block_size: words.next()?.parse().ok()?,
        window: words.next()?.parse().ok()?,
        receive_buffer: words.next()?.parse().ok()?,
        send_buffer: words.next()?.parse().ok()?,
    })
}

fn read_operation(line: &str) -> Option<Operation> {
    let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
    if let Some(who) = read_who(first) {
        return read_entity(who, rest);
    }
    let number = || rest.parse::<u32>().ok();
    Some(match first {
        "restart" => Operation::Restart,
        "run" => Operation::Run(number()?),
        "latency" => Operation::Latency(number()?),
        "jitter" => Operation::Jitter(number()?),
        "bandwidth" => Operation::Bandwidth(number()?),
        "rate" => Operation::Rate(number()?),
        "limit" => Operation::Limit(number()?),
        "misdeed" => Operation::Misdeed(rest.parse().ok()?),
        "connect" => Operation::Connect(meaning(&TRUST, rest)?),
        "pieces" => Operation::Pieces(number()?),
        "pipe" => Operation::Pipe(number()?),
        "impostors" => Operation::Impostors(true),
        "no-impostors" => Operation::Impostors(false),
        "inject" => {
            let (whom, stanza) = rest.split_once(' ')?;
            Operation::Inject(read_who(whom)?, stanza.to_owned())
        }
        _ => return None,
    })
}

fn read_entity(who: Who, text: &str) -> Option<Operation> {
    let mut words = text.split(' ');
    let verb = words.next()?;
    let mut next = || words.next();
    Some(match verb {
        "initiate" => Operation::Initiate {
            who,
            whom: read_who(next()?)?,
            xml: match next()? {
                "xml" => true,
                "bytes" => false,
                _ => return None,
            },
            trust: meaning(&TRUST, next()?)?,
        },
        "tunnel" => Operation::Tunnel {
            who,
            which: next()?.parse().ok()?,
            action: match next()? {
                "write" => Action::Write(next()?.parse().ok()?),
                "send" => Action::Send(next()?.parse().ok()?),
                action => meaning(&ACTIONS, action)?,
            },
        },
        "link" => Operation::Link(
            who,
            match next()? {
                "send" => LinkAction::Send(next()?.parse().ok()?),
                "write" => LinkAction::Write(next()?.parse().ok()?),
                "close" => LinkAction::Close,
                "cut-off" => LinkAction::CutOff,
                _ => return None,
            },
        ),
        "wire" => Operation::Wire(
            who,
            match next()? {
                "drop" => WireFault::Drop,
                "duplicate" => WireFault::Duplicate,
                "flip" => WireFault::Flip(next()?.parse().ok()?),
                "cut" => WireFault::Cut(next()?.parse().ok()?),
                "insert" => WireFault::Insert(next()?.parse().ok()?),
                "swap" => WireFault::Swap,
                _ => return None,
            },
        ),
        "probe" => Operation::Probe { who, whom: read_who(next()?)? },
        "announce" => Operation::Announce(who),
        "slow" => Operation::Slow(who, true),
        "quick" => Operation::Slow(who, false),
        "manners" => Operation::Manners(who, meaning(&MANNERS, next()?)?),
        change => Operation::Stream(who, meaning(&STREAM, change)?),
    })
}

fn read_who(name: &str) -> Option<Who> {
    Who::ALL.into_iter().find(|who| who.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Seeded;

    #[test]
    fn what_is_written_is_read_again() {
        for seed in 0..200 {
            let history = History::generate(seed, &mut Seeded::new(seed));
            assert_eq!(history.to_string().parse(), Ok(history));
        }
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        for line in ["romeo", "romeo tunnel 0", "romeo initiate juliet xml", "run", "run x", "misdeed x", "tybalt slow"]
        {
            assert_eq!(line.parse::<History>(), Err(HistoryError { line: line.to_owned() }));
        }
        let commented = "# why\n\nseed 3\n settings 256 1 2 1024\nrestart\n".parse::<History>();
        let settings = Settings { block_size: 256, window: 1, receive_buffer: 2, send_buffer: 1024 };
        let scene = Scene::Tunnels;
        assert_eq!(commented, Ok(History { seed: 3, scene, settings, operations: vec![Operation::Restart] }));
    }
}
