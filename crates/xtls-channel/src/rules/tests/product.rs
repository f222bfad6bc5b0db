//! What holds of the rules whatever they are asked: each invariant over the whole product of what they go by.

mod chosen;
mod offered;

use super::*;

/// What a peer may say it speaks: the four sets of methods first, then another order, and one of them twice.
const LISTS: [&[Method]; 6] =
    [&[], X509, SRP, BOTH, &[Method::Srp, Method::X509], &[Method::Srp, Method::X509, Method::Srp]];
const TRUST: [TrustPolicy; 4] = [Pinned, Ask, LeapOfFaith, Authorities];
const SAID: [Said; 4] = [Said::Nothing, Said::Password, Said::NoPassword, Said::NoAnswer];
const EITHER: [bool; 2] = [false, true];

/// What a peer announces, as seen from one that may be known by a pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announced {
    Nothing,
    ThePin,
    Another,
    /// By a digest that no pin is made with.
    Incomparable,
}

const ANNOUNCED: [Announced; 4] = [Announced::Nothing, Announced::ThePin, Announced::Another, Announced::Incomparable];

/// One question to the rules, before the peer has said anything.
#[derive(Debug)]
struct Known {
    policy: Policy,
    standing: Standing,
}

/// The same with what the peer said.
#[derive(Debug)]
struct Case<'k> {
    known: &'k Known,
    theirs: &'static [Method],
    announced: Announced,
}

impl Known {
    fn allows(&self, method: Method) -> bool {
        self.policy.methods.contains(&method)
    }

    fn is_pinned(&self) -> bool {
        !self.standing.pins.is_empty()
    }

    fn is_locked(&self) -> bool {
        self.standing.locked_until.is_some()
    }

    /// Whether the terms have a password method that works with this initiator's name.
    fn may_share(&self) -> bool {
        self.allows(Method::Srp) && self.standing.has_user_name
    }

    fn was_secured(&self) -> bool {
        !self.standing.secured_by.is_empty()
    }

    fn was_secured_by(&self, method: Method) -> bool {
        self.standing.secured_by.contains(&method)
    }

    /// Secured by a password before, and by nothing that can be shown instead.
    fn by_password_alone(&self) -> bool {
        self.was_secured_by(Method::Srp) && !self.was_secured_by(Method::X509) && !self.is_pinned()
    }

    /// A certificate would be taken because it came first.
    fn would_leap(&self) -> bool {
        self.policy.trust == LeapOfFaith && !self.is_pinned()
    }

    fn saying(&self, said: Said) -> Self {
        Self { policy: self.policy.clone(), standing: self.standing.clone().said(said) }
    }

    fn offerable(&self) -> Result<Vec<Method>, Unofferable> {
        offerable(&self.policy, &self.standing)
    }

    fn offers(&self, method: Method) -> bool {
        self.offerable().is_ok_and(|methods| methods.contains(&method))
    }

    fn takes_unknown(&self) -> bool {
        takes_unknown(&self.policy, &self.standing)
    }

    fn choose(&self, theirs: &[Method], announced: Announced) -> Choice {
        let announced = match announced {
            Announced::Nothing => Vec::new(),
            Announced::ThePin => vec![pin()],
            Announced::Another => vec![other()],
            Announced::Incomparable => vec![Fingerprint::sha1(b"another certificate")],
        };
        choose(Offered { methods: theirs, announced: &announced }, &self.policy, &self.standing)
    }
}

impl Case<'_> {
    fn choice(&self) -> Choice {
        self.known.choose(self.theirs, self.announced)
    }

    /// The methods that are chosen; none if it does not go on.
    fn chosen(&self) -> Vec<Method> {
        methods(self.choice())
    }

    fn speaks(&self, method: Method) -> bool {
        self.theirs.contains(&method)
    }

    /// Whether the certificate may be the pinned one, by all that is said.
    fn may_be_pinned(&self) -> bool {
        self.known.is_pinned() && self.announced != Announced::Another
    }

    /// Whether a leap of faith comes of it.
    fn leaps(&self) -> bool {
        self.known.would_leap() && self.chosen().contains(&Method::X509)
    }

    /// The same with a peer that speaks both methods.
    fn with_all_methods(&self) -> Self {
        Self { theirs: BOTH, ..*self }
    }
}

fn methods(choice: Choice) -> Vec<Method> {
    if let Choice::Methods(methods) = choice { methods } else { Vec::new() }
}

/// Asks everything that is known before the peer says anything.
fn each_known(mut check: impl FnMut(&Known)) -> usize {
    let mut count = 0;
    for (trust, allowed, allow_downgrade) in TRUST
        .iter()
        .flat_map(|trust| LISTS[..4].iter().flat_map(move |list| EITHER.map(|allow| (*trust, *list, allow))))
    {
        for bits in 0..16_u8 {
            let [pinned, locked, has_user_name, has_authorities] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
            for (said, history) in SAID.iter().flat_map(|said| LISTS[..4].iter().map(move |list| (*said, *list))) {
                let policy = Policy { methods: allowed.to_vec(), trust, allow_downgrade };
                let pins = if pinned { vec![pin()] } else { Vec::new() };
                let locked_until = locked.then(lock);
                let secured_by = history.to_vec();
                let standing = Standing { pins, secured_by, locked_until, has_user_name, has_authorities, said };
                check(&Known { policy, standing });
                count += 1;
            }
        }
    }
    count
}

/// Asks everything.
fn each(mut check: impl FnMut(&Case<'_>)) -> usize {
    let mut count = 0;
    each_known(|known| {
        for (theirs, announced) in LISTS.iter().flat_map(|list| ANNOUNCED.map(|announced| (*list, announced))) {
            check(&Case { known, theirs, announced });
            count += 1;
        }
    });
    count
}
