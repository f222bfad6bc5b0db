//! Every state of a tunnel with everything that can happen to it.
//!
//! The tables are texts beside this file. A situation or an input that is added has no cell there, and the test fails; so
//! does a cell that nothing stands for any more. What a test prints when it fails is the table as it is.

/// An enum that knows all of its variants, and a name for each.
macro_rules! listed {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$on:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$on])* $variant,)* }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

mod ends;
mod inputs;
mod scene;
mod situation;

use core::fmt::Write as _;

use xtls::event::Side;

use self::{inputs::Input, situation::Situation};

/// One line for each outcome, with the inputs that lead to it.
fn cells(situation: Situation, side: Side) -> String {
    let mut outcomes: Vec<(String, Vec<&str>)> = Vec::new();
    for input in Input::ALL.iter().copied() {
        let outcome = input.outcome(situation, side);
        match outcomes.iter_mut().find(|(seen, _)| *seen == outcome) {
            Some((_, inputs)) => inputs.push(input.name()),
            None => outcomes.push((outcome, vec![input.name()])),
        }
    }
    let mut out = String::new();
    for (outcome, inputs) in outcomes {
        writeln!(out, "  {outcome} <- {}", inputs.join(", ")).unwrap();
    }
    out
}

/// Each situation of each end that may be there.
fn ends_of_tunnels() -> impl Iterator<Item = (Situation, Side)> {
    Situation::ALL.iter().flat_map(|situation| situation.sides().iter().map(|side| (*situation, *side)))
}

#[test]
fn every_input_in_every_situation_of_a_tunnel() {
    let mut table = String::new();
    for (situation, side) in ends_of_tunnels() {
        write!(table, "{} {}\n{}", side.as_str(), situation.name(), cells(situation, side)).unwrap();
    }
    assert!(table == include_str!("states/cells.txt"), "another table than states/cells.txt:\n{table}");
}

#[test]
fn every_situation_but_the_lasting_ones_ends_by_itself_and_close_ends_each() {
    let mut table = String::new();
    for (situation, side) in ends_of_tunnels() {
        writeln!(table, "{} {}: {}", side.as_str(), situation.name(), ends::row(situation, side)).unwrap();
    }
    assert!(table == include_str!("states/ends.txt"), "another table than states/ends.txt:\n{table}");
}

/// Each phase and each state of the channel that the engine's `Debug` has a word for is one of a situation.
#[test]
fn the_situations_are_in_every_phase() {
    let phases = ["Ringing", "Asking", "Offered", "Password", "Running", "Closing", "Ended"];
    let channels = ["choosing", "handshake", "judging", "confirming", "secured", "closed"];
    let parts: Vec<_> = Situation::ALL.iter().copied().filter_map(Situation::parts).collect();
    assert!(phases.iter().all(|phase| parts.iter().any(|(seen, _)| seen == phase)));
    assert!(channels.iter().all(|channel| parts.iter().any(|(_, seen)| seen == channel)));
}
