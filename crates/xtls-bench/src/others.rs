//! Row `others`: a stanza that is not for the engine, beside what a client does with it anyway: parsing it into an element of minidom.

use std::hint::black_box;

use mockalloc::record_allocs;
use xtls::{Disposition, tls::KeyAlgorithm};

use crate::{
    engines::{JULIET, Pair, Who, direct_config, xml},
    failure::Failure,
    plan::Plan,
    references::tls::bulk_provider,
    report::{Line, Target, Unit},
    row::Row,
    stats::{Quartiles, Subject, float_u64, time},
};

const CLIENT: &str = "jabber:client";
const STRANGER: &str = "from='mercutio@montague.lit/square'";

/// Measures row `others`, if it is wanted.
pub(crate) fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    if !plan.wants(Row::Others) {
        return Ok(Vec::new());
    }
    let mut pair = Pair::connect(&Who::both(KeyAlgorithm::EcdsaP256), &direct_config(), &xml(), &bulk_provider());
    let mut lines = Vec::new();
    for (name, stanza) in stanzas() {
        let now = pair.now;
        let engine = &mut pair.ends[1];
        let mut look = || {
            let disposition = black_box(engine.handle_stanza(now, black_box(&stanza)));
            assert!(matches!(disposition, Disposition::NotOurs), "{disposition:?}");
        };
        // Who it is from is remembered by then.
        look();
        let count = float_u64(record_allocs(&mut look).num_allocs());
        // minidom wants a namespace on the element itself.
        let declared = stanza.replacen(' ', &format!(" xmlns='{CLIENT}' "), 1);
        let parse = || drop(black_box(black_box(&declared).parse::<minidom::Element>().expect("it is XML")));
        let mut subjects = [Subject::new("engine", look), Subject::new("minidom", parse)];
        plan.sampling().interleave(&mut subjects)?;
        for subject in &subjects {
            plan.note(format!("{name}: {} {:.2} us", subject.name(), subject.median() * 1e6));
        }
        let times = time(subjects[0].samples(), subjects[1].samples());
        let allocations = Quartiles { q1: count, median: count, q3: count };
        let target = |what: &str, unit, gate, aim| Target::new(Row::Others, format!("{what}, {name}"), unit, gate, aim);
        lines.extend([
            target("a stanza that is not ours / minidom", Unit::Time, 0.5, 0.25).line(Ok(times)),
            target("allocations for a stanza that is not ours", Unit::Allocations, 3.0, 0.0).line(Ok(allocations)),
        ]);
    }
    Ok(lines)
}

fn stanzas() -> [(&'static str, String); 3] {
    let to = format!("{STRANGER} to='{JULIET}'");
    let feature = |number: usize| format!("<feature var='urn:example:feature:{number}'/>");
    let features: String = (0..40).map(feature).collect();
    [
        (
            "a message",
            format!(
                "<message {to} type='chat' id='9f1'><body>Wherefore art thou, Romeo? Deny thy father &amp; refuse thy name</body>\
                 <active xmlns='http://jabber.org/protocol/chatstates'/></message>"
            ),
        ),
        ("a presence", format!("<presence {to}><show>away</show><status>asleep</status></presence>")),
        (
            "an answer with 40 features",
            format!(
                "<iq {to} type='result' id='d1'><query xmlns='http://jabber.org/protocol/disco#info'>{features}</query></iq>"
            ),
        ),
    ]
}
