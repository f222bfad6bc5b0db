//! Histories from a source of choices.

use xtls_stanza::Condition;
use xtls_testkit::Misdeed;

use super::{Action, History, LinkAction, Manners, Operation, Scene, Settings, StreamChange, Trust, Who, WireFault};
use crate::dice::{Dice, Seeded};

/// Operations of a history at most.
const MOST: u32 = 80;

/// What a server may deliver that nobody sent.
const INJECTED: &[&str] = &[
    "<presence type='unavailable' from='juliet@capulet.lit/balcony' to='romeo@montague.lit/orchard'/>",
    "<presence type='unavailable' from='romeo@montague.lit/orchard' to='juliet@capulet.lit/balcony'/>",
    "<iq type='get' id='i1' from='capulet.lit' to='romeo@montague.lit/orchard'><ping xmlns='urn:xmpp:ping'/></iq>",
    "<iq type='set' id='i2' from='juliet@capulet.lit/balcony' to='romeo@montague.lit/orchard'>\
     <jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='s'><reason><success/></reason></jingle></iq>",
    "<iq type='set' id='i3' from='romeo@montague.lit/orchard' to='juliet@capulet.lit/balcony'>\
     <data xmlns='http://jabber.org/protocol/ibb' sid='s' seq='0'>AAAA</data></iq>",
    "<iq type='error' id='i4' from='juliet@capulet.lit/balcony' to='romeo@montague.lit/orchard'/>",
    "<message from='mallory@verona.lit/x' to='juliet@capulet.lit/balcony'><body>CANARY?</body></message>",
    "<iq type='set' id='i5' from='mallory@verona.lit/x' to='juliet@capulet.lit/balcony'>\
     <jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='m' initiator='romeo@montague.lit/orchard'/></iq>",
    "<message>",
    "<iq/>",
];

impl History {
    /// The history that a seed finds.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        Self::generate(seed, &mut Seeded::new(seed))
    }

    /// A history of these choices, in a world of this seed.
    #[must_use]
    pub fn generate(seed: u64, dice: &mut impl Dice) -> Self {
        // One in five is about links.
        let scene = match dice.roll(10) {
            0 => Scene::PeerLink,
            1 => Scene::ServerLink,
            _ => Scene::Tunnels,
        };
        let settings = settings(dice);
        // Some are all peace, most have some faults, and a few have nothing else.
        let hostility = dice.pick(&[0, 4, 8, 10, 14]);
        let count = 10 + dice.roll(MOST - 10);
        let about_links = scene != Scene::Tunnels;
        let mut operations = vec![if about_links { Operation::Connect(trust(dice)) } else { first(dice) }];
        while operations.len() < usize::try_from(count).unwrap_or(0) && !dice.is_empty() {
            let is_hostile = dice.roll(20) < hostility;
            operations.push(match (about_links, is_hostile) {
                (false, true) => hostile(dice),
                (false, false) => peaceful(dice),
                (true, true) => hostile_to_link(dice),
                (true, false) => peaceful_with_link(dice),
            });
        }
        Self { seed, scene, settings, operations }
    }
}

fn settings(dice: &mut impl Dice) -> Settings {
    Settings {
        block_size: dice.pick(&[4096, 4096, 256, 1024, 32_760]),
        window: dice.pick(&[0, 0, 1, 4, 32]),
        receive_buffer: dice.pick(&[65_536, 65_536, 1, 2000]),
        send_buffer: dice.pick(&[262_144, 262_144, 1024, 10_000]),
    }
}

/// Without a tunnel little happens.
fn first(dice: &mut impl Dice) -> Operation {
    let whom = dice.pick(&[Who::Juliet, Who::Juliet, Who::Chamber]);
    Operation::Initiate { who: Who::Romeo, whom, xml: dice.once_in(2), trust: trust(dice) }
}

/// TLS-SRP is the slow one: it comes seldom, but it comes.
fn trust(dice: &mut impl Dice) -> Trust {
    match dice.roll(20) {
        0 => Trust::Password,
        1 => Trust::WrongPassword,
        2..5 => Trust::Ask,
        5..8 => Trust::LeapOfFaith,
        _ => Trust::Pinned,
    }
}

/// The two that most is about, mostly.
fn who(dice: &mut impl Dice) -> Who {
    dice.pick(&[Who::Romeo, Who::Romeo, Who::Romeo, Who::Juliet, Who::Juliet, Who::Juliet, Who::Chamber, Who::Mallory])
}

fn action(dice: &mut impl Dice) -> Action {
    match dice.roll(24) {
        0..8 => Action::Write(dice.roll(2000)),
        8..10 => Action::Write(dice.roll(60_000)),
        10..15 => Action::Send(1 + dice.roll(10)),
        15..17 => Action::Finish,
        17..19 => Action::Close,
        19 => Action::Abort,
        20 => Action::OpenStream,
        21 => Action::CloseStream,
        _ => Action::Certificates,
    }
}

fn peaceful(dice: &mut impl Dice) -> Operation {
    match dice.roll(40) {
        0..4 => Operation::Initiate { who: who(dice), whom: who(dice), xml: dice.once_in(2), trust: trust(dice) },
        4..20 => Operation::Tunnel { who: who(dice), which: dice.roll(4), action: action(dice) },
        20..32 => Operation::Run(dice.pick(&[0, 10, 60, 60, 200, 200, 1000, 5000, 40_000])),
        32 => Operation::Probe { who: who(dice), whom: who(dice) },
        33 => Operation::Announce(who(dice)),
        34 => Operation::Slow(who(dice), dice.once_in(2)),
        35 => Operation::Manners(
            who(dice),
            dice.pick(&[Manners::Good, Manners::Good, Manners::Refusing, Manners::Silent, Manners::Mistaken]),
        ),
        36 => Operation::Latency(dice.pick(&[0, 50, 50, 300, 3000])),
        37 => Operation::Jitter(dice.pick(&[0, 20, 500])),
        38 => Operation::Bandwidth(dice.pick(&[0, 0, 2000, 100_000])),
        _ => Operation::Run(100),
    }
}

fn hostile(dice: &mut impl Dice) -> Operation {
    match dice.roll(32) {
        0..18 => Operation::Misdeed(misdeed(dice)),
        18..23 => Operation::Stream(
            who(dice),
            dice.pick(&[
                StreamChange::Offline,
                StreamChange::Online,
                StreamChange::Suspend,
                StreamChange::Resume,
                StreamChange::Hold,
                StreamChange::Release,
            ]),
        ),
        23..26 => Operation::Inject(who(dice), dice.pick(INJECTED).to_owned()),
        26 => Operation::Rate(dice.pick(&[0, 0, 5, 100])),
        27 => Operation::Limit(dice.pick(&[0, 0, 1000, 10_000])),
        28 => Operation::Restart,
        29 => Operation::Impostors(dice.once_in(2)),
        _ => Operation::Run(dice.pick(&[100, 1000, 60_000, 700_000])),
    }
}

fn end(dice: &mut impl Dice) -> Who {
    dice.pick(&[Who::Romeo, Who::Juliet])
}

fn peaceful_with_link(dice: &mut impl Dice) -> Operation {
    match dice.roll(30) {
        0..8 => Operation::Link(end(dice), LinkAction::Send(1 + dice.roll(10))),
        8..13 => Operation::Link(end(dice), LinkAction::Write(dice.roll(60_000))),
        13..15 => Operation::Connect(trust(dice)),
        15 => Operation::Link(end(dice), LinkAction::Close),
        16 => Operation::Slow(end(dice), dice.once_in(2)),
        17..20 => Operation::Pieces(dice.pick(&[0, 0, 1, 7, 1000])),
        20..23 => Operation::Pipe(dice.pick(&[0, 0, 100, 4096, 65_536])),
        23 => Operation::Manners(
            end(dice),
            dice.pick(&[Manners::Good, Manners::Good, Manners::Refusing, Manners::Silent, Manners::Mistaken]),
        ),
        _ => Operation::Run(dice.pick(&[0, 10, 100, 1000, 70_000])),
    }
}

fn hostile_to_link(dice: &mut impl Dice) -> Operation {
    let number = dice.roll(60_000);
    let who = end(dice);
    match dice.roll(12) {
        0 => Operation::Wire(who, WireFault::Drop),
        1 => Operation::Wire(who, WireFault::Duplicate),
        2..5 => Operation::Wire(who, WireFault::Flip(number)),
        5..7 => Operation::Wire(who, WireFault::Cut(number)),
        7 => Operation::Wire(who, WireFault::Insert(1 + number % 300)),
        8 => Operation::Wire(who, WireFault::Swap),
        9 => Operation::Link(who, LinkAction::CutOff),
        // A link that was broken is of no more interest.
        10 => Operation::Connect(trust(dice)),
        _ => Operation::Run(number),
    }
}

fn misdeed(dice: &mut impl Dice) -> Misdeed {
    let number = dice.roll(60_000);
    match dice.roll(22) {
        0..2 => Misdeed::Drop,
        2..4 => Misdeed::Duplicate,
        4 => Misdeed::Swap,
        5 => Misdeed::Delay(core::time::Duration::from_millis(u64::from(number))),
        6..8 => Misdeed::Flip(number),
        8 => Misdeed::Cut(number),
        9 => Misdeed::Garble(number),
        10 => Misdeed::Split(number),
        11 => Misdeed::Spoof(who(dice).address().to_owned()),
        12..15 => Misdeed::Bounce(dice.pick(&[
            Condition::ServiceUnavailable,
            Condition::RecipientUnavailable,
            Condition::RemoteServerTimeout,
            Condition::ItemNotFound,
            Condition::PolicyViolation,
            Condition::ResourceConstraint,
            Condition::FeatureNotImplemented,
        ])),
        15 => Misdeed::StripSecurity,
        16 => Misdeed::StripMethod(dice.pick(&["x509", "srp"]).to_owned()),
        17 => Misdeed::SwapMethod,
        18 => Misdeed::ChangeFingerprint,
        19 => Misdeed::BlockSize(dice.pick(&["0", "1", "64", "63", "65535", "65536", "-1", "x"]).to_owned()),
        20 => Misdeed::ChangeSid,
        _ => Misdeed::Replay(number),
    }
}
