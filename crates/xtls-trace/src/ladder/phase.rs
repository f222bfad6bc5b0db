//! How far a tunnel or a link is, seen by one end.

use std::collections::{BTreeMap, BTreeSet};

use xtls_stanza::ns;

use crate::line::{Line, What};
use crate::stanza::Stanza;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Outside,
    Negotiation,
    Handshake,
    Secured,
    Stream,
    Closing,
}

/// How far everybody is with everybody.
#[derive(Debug, Default)]
pub(super) struct Phases<'a> {
    of: BTreeMap<(&'a str, &'a str), Phase>,
    /// With whom something changed last.
    last: BTreeMap<&'a str, &'a str>,
    /// Where the tunnel has ended.
    over: BTreeSet<(&'a str, &'a str)>,
}

/// What a line means for the phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// The phase that the line is in.
    pub(super) phase: Phase,
    /// The phase has changed to this one; to none when all is over.
    pub(super) change: Option<Option<Phase>>,
}

impl Phase {
    pub(super) const ALL: [Self; 6] =
        [Self::Outside, Self::Negotiation, Self::Handshake, Self::Secured, Self::Stream, Self::Closing];

    /// The class in the picture's style sheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Outside => "outside",
            Self::Negotiation => "negotiation",
            Self::Handshake => "handshake",
            Self::Secured => "secured",
            Self::Stream => "stream",
            Self::Closing => "closing",
        }
    }

    /// What the legend calls it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Outside => "outside of tunnels",
            Self::Negotiation => "negotiation",
            Self::Handshake => "TLS handshake",
            Self::Secured => "secured",
            Self::Stream => "XML stream open",
            Self::Closing => "closing",
        }
    }
}

impl<'a> Phases<'a> {
    /// Takes note of the next line. With several tunnels between the same two, the last one that begins or ends counts.
    pub(super) fn follow(&mut self, line: &'a Line) -> Step {
        let own = line.own.as_str();
        // The events of a tunnel that has just ended have no peer any more.
        let nameless = matches!(line.what, What::Event { .. }).then(|| self.last.get(own).copied()).flatten();
        let Some(peer) = line.peer.as_deref().or(nameless) else { return Step { phase: Phase::Outside, change: None } };
        let before = self.of.get(&(own, peer)).copied().unwrap_or(Phase::Outside);
        let phase = next(before, &line.what);
        if phase != before {
            self.of.insert((own, peer), phase);
            self.last.insert(own, peer);
        }
        if phase != Phase::Closing {
            self.over.remove(&(own, peer));
            return Step { phase, change: (phase != before).then_some(Some(phase)) };
        }
        if matches!(&line.what, What::Event { event, .. } if event == "closed") && self.over.insert((own, peer)) {
            return Step { phase, change: Some(None) };
        }
        if self.over.contains(&(own, peer)) {
            return Step { phase: if is_last_word(&line.what) { phase } else { Phase::Outside }, change: None };
        }
        Step { phase, change: (phase != before).then_some(Some(phase)) }
    }
}

/// What still belongs to a tunnel that has ended: its end, and answers.
fn is_last_word(what: &What) -> bool {
    let What::Stanza { stanza, .. } = what else { return true };
    stanza.action.is_some() || stanza.payload.is_none() || stanza.namespace.as_deref() == Some(ns::IBB)
}

fn next(before: Phase, what: &What) -> Phase {
    match what {
        What::Stanza { stanza, .. } => after_stanza(before, stanza),
        What::Bytes { .. } if before == Phase::Outside => Phase::Negotiation,
        What::Event { event, .. } => match (event.as_ref(), before) {
            ("incoming", Phase::Outside | Phase::Closing) => Phase::Negotiation,
            ("encrypted", Phase::Outside | Phase::Negotiation) => Phase::Handshake,
            ("secured", Phase::Outside | Phase::Negotiation | Phase::Handshake) => Phase::Secured,
            ("stream_opened", Phase::Secured) => Phase::Stream,
            ("stream_closed" | "closed", Phase::Negotiation | Phase::Handshake | Phase::Secured | Phase::Stream) => {
                Phase::Closing
            }
            _ => before,
        },
        What::Bytes { .. } | What::Fault(_) | What::Op(_) | What::Connection(_) | What::Failure(_) | What::Other => {
            before
        }
    }
}

fn after_stanza(before: Phase, stanza: &Stanza) -> Phase {
    match (stanza.action.as_deref(), before) {
        (Some("session-initiate"), _) => return Phase::Negotiation,
        (Some("session-terminate"), Phase::Outside) => return Phase::Outside,
        (Some("session-terminate"), _) => return Phase::Closing,
        (Some(_), Phase::Outside) => return Phase::Negotiation,
        _ => {}
    }
    if stanza.namespace.as_deref() != Some(ns::IBB) {
        return before;
    }
    match (stanza.payload.as_deref(), before) {
        (Some("open"), Phase::Outside) => Phase::Negotiation,
        // The first byte in a bytestream is TLS's.
        (Some("data"), Phase::Outside | Phase::Negotiation) => Phase::Handshake,
        (Some("close"), Phase::Negotiation | Phase::Handshake | Phase::Secured | Phase::Stream) => Phase::Closing,
        _ => before,
    }
}
