//! Blocks and their results, whole and changed: the engine that recognises them in their text does what the one does that is
//! given elements.

use core::fmt::Write as _;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use xtls::{Application, Disposition, Element, Engine, Event, TrustPolicy, TunnelId, TunnelOptions};
use xtls_ibb::{PlainIq, Request};
use xtls_stanza::{Iq, IqType, Limits, ns};
use xtls_testkit::{EntityId, World};

use crate::input::Input;

/// What is done at most.
const STEPS: usize = 24;

/// The first byte says whether an XML stream runs inside. Then each step is a byte that says what comes next, one that says how
/// it is written, and one that says how often it is changed, with three bytes for each change. Where the input has ended, blocks
/// come as they should.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut twins = Twins::new(input.byte() & 1 == 0);
    for _ in 0..STEPS {
        let step = input.byte();
        let Some(parts) = twins.next(step, &mut input) else { continue };
        let mut stanza = parts.write(input.byte());
        assert!(PlainIq::recognise(stanza.as_bytes(), &Limits::default(), &mut Vec::new()).is_some(), "{stanza}");
        for _ in 0..input.byte() & 3 {
            change(&mut stanza, &mut input);
        }
        compare(&stanza);
        break_character(&stanza, usize::from(step));
        twins.hear(&stanza);
        if input.is_empty() && twins.is_over() {
            break;
        }
    }
}

/// What a block or a result consists of.
#[derive(Clone)]
struct Parts {
    id: String,
    from: String,
    to: String,
    /// Sid, seq and base64 of a block.
    data: Option<[String; 3]>,
}

impl Parts {
    /// In one of the ways in which servers write it.
    fn write(&self, style: u8) -> String {
        let quote = if style & 1 == 0 { '\'' } else { '"' };
        let attributes = |out: &mut String, mut attributes: Vec<(&str, &str)>| {
            let first = usize::from(style >> 5) % attributes.len();
            attributes.rotate_left(first);
            for (name, value) in attributes {
                let _ = write!(out, " {name}={quote}{value}{quote}");
            }
        };
        let mut out = String::from("<iq");
        let kind = if self.data.is_some() { "set" } else { "result" };
        let mut own = vec![("type", kind), ("id", &*self.id), ("from", &*self.from)];
        let optional = [(2, "to", &*self.to), (4, "xmlns", ns::CLIENT), (8, "xml:lang", "en")];
        own.extend(optional.iter().filter(|(bit, ..)| style & bit != 0).map(|(_, name, value)| (*name, *value)));
        attributes(&mut out, own);
        match &self.data {
            Some([sid, seq, base64]) => {
                out.push_str("><data");
                attributes(&mut out, vec![("xmlns", ns::IBB), ("seq", seq), ("sid", sid)]);
                let _ = write!(out, ">{base64}</data></iq>");
            }
            None if style & 16 == 0 => out.push_str("/>"),
            None => out.push_str("></iq>"),
        }
        out
    }

    fn of(stanza: &str, from: String, to: String) -> Option<Self> {
        let element = Element::parse(stanza, &Limits::default()).expect("an engine writes sound XML");
        let iq = Iq::parse(&element)?.ok()?;
        let data = match (iq.iq_type, iq.payload) {
            (IqType::Set, Some(payload)) if payload.is("data", ns::IBB) => {
                let value = |name| payload.attribute(name).unwrap_or_default().to_owned();
                Some([value("sid"), value("seq"), payload.text()])
            }
            (IqType::Result, None) => None,
            _ => return None,
        };
        Some(Self { id: iq.id.to_owned(), from, to, data })
    }
}

/// Puts out some characters somewhere, or where markup is, and puts others in.
fn change(stanza: &mut String, input: &mut Input<'_>) {
    const PUT: &[&str] = &[
        "",
        "",
        "'",
        "\"",
        "<",
        ">",
        "&",
        "=",
        "/",
        " ",
        "\n",
        "\r",
        "\t",
        "\0",
        "\u{7F}",
        "\u{E9}",
        "\u{FFFE}",
        "\u{FFFD}",
        "&amp;",
        "&#65;",
        "&#0;",
        "<!-- -->",
        "<![CDATA[QUJD]]>",
        "]]>",
        "<a/>",
        "x:",
        ":",
        " xmlns:x='urn:x'",
        " xmlns=''",
        " id='2'",
        " seq='1'",
        " sid='2'",
        " a='1'",
        "0",
        "A",
        "+",
        "</data>",
        "</iq>",
        "error",
        "get",
        "<data/>",
        "jabber:",
    ];
    let mut text: Vec<char> = stanza.chars().collect();
    let place = usize::from(input.number());
    let is_place = |at: &usize| place & 0x8000 == 0 || text.get(*at).is_none_or(|c| " <>/='\"".contains(*c));
    let places: Vec<usize> = (0..=text.len()).filter(is_place).collect();
    let at = places[place % places.len()];
    let what = input.byte();
    let end = text.len().min(at + usize::from(what >> 6));
    text.splice(at..end, PUT[usize::from(what & 63) % PUT.len()].chars());
    *stanza = text.into_iter().collect();
}

/// What is recognised is what the general way makes of it.
fn compare(stanza: &str) {
    let limits = Limits::default();
    let mut block = Vec::new();
    let Some(plain) = PlainIq::recognise(stanza.as_bytes(), &limits, &mut block) else { return };
    let element = Element::parse(stanza, &limits).unwrap_or_else(|fault| panic!("{fault}: {stanza}"));
    let iq = Iq::parse(&element).expect("an IQ").expect("a sound one");
    match plain {
        PlainIq::Data { id, from, request } => {
            assert_eq!((iq.iq_type, iq.id, iq.from), (IqType::Set, id, Some(from)), "{stanza}");
            let parsed = iq.payload.and_then(Request::parse).expect("of XEP-0047").expect("a sound request");
            let Request::Data { sid, seq, .. } = parsed else { panic!("no block: {stanza}") };
            let Request::Block { sid: own, seq: number, block } = request else { panic!("not decoded: {stanza}") };
            let decoded = BASE64_STANDARD.decode(iq.payload.expect("there is one").text()).expect("base64");
            assert_eq!((own, number, block), (sid, seq, &*decoded), "{stanza}");
        }
        PlainIq::Result(result) => {
            assert_eq!((result.id, result.from, result.to), (iq.id, iq.from, iq.to), "{stanza}");
            assert!(iq.iq_type == IqType::Result && iq.payload.is_none(), "{stanza}");
        }
        plain => panic!("{plain:?}"),
    }
}

/// What is not UTF-8 is not recognised.
fn break_character(stanza: &str, place: usize) {
    let mut bytes = stanza.as_bytes().to_vec();
    if let Some(byte) = bytes.len().checked_mul(place).and_then(|at| bytes.get_mut(at / 256)) {
        *byte |= 0x80;
    }
    if core::str::from_utf8(&bytes).is_err() {
        assert!(PlainIq::recognise(&bytes, &Limits::default(), &mut Vec::new()).is_none(), "{stanza}");
    }
}

/// Two worlds that are the same. In the first, Juliet's engine is given bytes, in the second elements.
struct Twins {
    worlds: [Scene; 2],
    /// The last stanza, which may come once more.
    last: Option<Parts>,
    written: u8,
}

struct Scene {
    world: World,
    romeo: EntityId,
    juliet: EntityId,
    /// Romeo's end and Juliet's.
    tunnels: [TunnelId; 2],
    /// What Romeo's engine and Juliet's have to send.
    to_send: [Vec<String>; 2],
}

impl Twins {
    fn new(is_stream: bool) -> Self {
        Self { worlds: [Scene::new(is_stream), Scene::new(is_stream)], last: None, written: 0 }
    }

    /// What comes to Juliet next.
    fn next(&mut self, step: u8, input: &mut Input<'_>) -> Option<Parts> {
        match step & 7 {
            // A result to a block of hers.
            5 => {
                let count = usize::from(input.byte() & 31);
                self.worlds.iter_mut().for_each(|scene| scene.say(1, count));
                let sent = self.worlds[0].to_send[1].iter().filter_map(|stanza| self.worlds[0].parts(1, stanza));
                let block = sent.rev().find(|parts| parts.data.is_some())?;
                let Parts { id, from, to, .. } = block;
                self.last = Some(Parts { id, from: to, to: from, data: None });
            }
            // The same once more.
            6 => {}
            7 => self.worlds.iter_mut().for_each(Scene::read),
            _ => {
                self.written = self.written.wrapping_add(1);
                let count = usize::from(self.written) % 40 + 1;
                self.worlds.iter_mut().for_each(|scene| scene.say(0, count));
                let scene = &mut self.worlds[0];
                let next = scene.to_send[0].iter().position(|stanza| stanza.contains("<data "));
                let stanza = next.map(|next| scene.to_send[0].remove(next))?;
                self.last = scene.parts(0, &stanza);
            }
        }
        self.last.clone()
    }

    /// Hands the same to both, and compares what they do.
    fn hear(&mut self, stanza: &str) {
        let [text, elements] = &mut self.worlds;
        let by_text = text.act(|engine, now| engine.handle_stanza_bytes(now, stanza.as_bytes()));
        let by_element = elements.act(|engine, now| match Element::parse(stanza, &Limits::default()) {
            Ok(element) => engine.handle_element(now, &element),
            Err(fault) => Disposition::Malformed(fault),
        });
        assert_eq!(by_text, by_element, "{stanza}");
        // Romeo goes on when he is answered.
        self.worlds.iter_mut().for_each(Scene::acknowledge);
    }

    fn is_over(&mut self) -> bool {
        // Looks at tunnels are counted, and so both are asked.
        let over = self.worlds.each_mut().map(|scene| {
            let tunnel = scene.tunnels[1];
            scene.world.with(scene.juliet, |engine, _| engine.tunnel(tunnel).is_none())
        });
        assert_eq!(over[0], over[1]);
        over[0]
    }
}

impl Scene {
    fn new(is_stream: bool) -> Self {
        let (mut world, romeo, juliet) = World::pair(7);
        let options = if is_stream {
            TunnelOptions::xml_stream(TrustPolicy::Pinned)
        } else {
            TunnelOptions::new(Application::bytes(), TrustPolicy::Pinned)
        };
        let (here, there) = world.connect_with(romeo, juliet, options);
        drop(world.take_events(juliet));
        Self { world, romeo, juliet, tunnels: [here, there], to_send: Default::default() }
    }

    /// One of the two writes, and its engine says what that comes to.
    fn say(&mut self, side: usize, count: usize) {
        let (entity, tunnel) = ([self.romeo, self.juliet][side], self.tunnels[side]);
        let body = "x".repeat(count);
        let message = Element::builder("message", ns::CLIENT).open("body", ns::CLIENT).text(&body).close();
        let message = message.build().expect("a message");
        let sent = &mut self.to_send[side];
        self.world.with(entity, |engine, now| {
            if let Some(mut tunnel) = engine.tunnel(tunnel) {
                let _ = tunnel.send(now, &message);
                let _ = tunnel.write(now, body.as_bytes());
            }
            let mut out = String::new();
            while engine.poll_transmit(now, &mut out).is_some() {
                sent.push(core::mem::take(&mut out));
            }
        });
    }

    /// Hands Romeo the results that Juliet sent.
    fn acknowledge(&mut self) {
        let sent = self.to_send[1].iter().filter_map(|stanza| self.parts(1, stanza));
        let results: Vec<_> = sent.filter(|parts| parts.data.is_none()).collect();
        self.to_send[1].retain(|stanza| stanza.contains("<data "));
        for result in results {
            let _ = self.world.deliver(self.romeo, &result.write(0));
        }
    }

    fn read(&mut self) {
        let tunnel = self.tunnels[1];
        self.world.with(self.juliet, |engine, now| {
            engine.tunnel(tunnel).map(|mut tunnel| tunnel.read(now, &mut Vec::new()));
        });
    }

    /// All that an engine of Juliet's says of a stanza, and what it does.
    fn act(&mut self, action: impl FnOnce(&mut Engine, std::time::Instant) -> Disposition) -> String {
        let sent = &mut self.to_send[1];
        let tunnel = self.tunnels[1];
        self.world.with(self.juliet, |engine, now| {
            let mut done = format!("{:?}\n", action(engine, now));
            while let Some(event) = engine.poll_event() {
                let _ = match event {
                    Event::Stanza { stanza, .. } => writeln!(done, "{}", stanza.to_xml("")),
                    event => writeln!(done, "{event:?}"),
                };
            }
            let mut out = String::new();
            while engine.poll_transmit(now, &mut out).is_some() {
                let _ = writeln!(done, "{out}");
                sent.push(core::mem::take(&mut out));
            }
            let unacked = engine.tunnel(tunnel).map(|tunnel| tunnel.unacked());
            let _ = write!(done, "{unacked:?} {:?} {}", engine.poll_timeout().map(|due| due.timer), engine.work());
            done
        })
    }

    fn parts(&self, side: usize, stanza: &str) -> Option<Parts> {
        let [from, to] = if side == 0 { [self.romeo, self.juliet] } else { [self.juliet, self.romeo] };
        Parts::of(stanza, self.world.jid(from).to_string(), self.world.jid(to).to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn engines_do_the_same_whichever_way_a_stanza_is_read(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            super::run(&data);
        }
    }
}
