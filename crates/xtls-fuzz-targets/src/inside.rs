//! A peer that is authenticated, and then says anything inside of an XML tunnel.

use std::time::Duration;

use xtls::event::Event;
use xtls::jingle::Description;
use xtls::{Application, Element, TrustPolicy, TunnelId, TunnelOptions};
use xtls_stanza::jid::Jid;
use xtls_stanza::ns;
use xtls_testkit::{EntityId, World};

use crate::input::{Input, pieces};

/// No timer of a tunnel is longer.
const LONG: Duration = Duration::from_secs(3600);

/// The first byte says whether the stream is opened in order first; the second how the bytes, which are the rest, are cut into
/// writes.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (options, cut) = (input.byte(), input.byte());
    let mut scene = Scene::new();
    if options & 1 == 0 {
        let header = format!(
            "<stream:stream xmlns='jabber:client' xmlns:stream='{}' from='{}' to='{}' version='1.0'>",
            ns::STREAM,
            scene.world.jid(scene.mallory),
            scene.world.jid(scene.juliet)
        );
        scene.say(header.as_bytes());
        assert!(scene.is_open, "the stream opens");
    }
    for piece in pieces(input.rest(), cut) {
        scene.say(piece);
    }
    scene.finish();
}

struct Scene {
    world: World,
    mallory: EntityId,
    juliet: EntityId,
    /// Mallory's end and Juliet's.
    tunnels: [TunnelId; 2],
    is_open: bool,
    is_over: bool,
    /// What Juliet said in the stream.
    answers: Vec<u8>,
}

impl Scene {
    /// For Mallory's engine what is inside are bytes, for Juliet's an XML stream: the description is one and the same.
    fn new() -> Self {
        let (mut world, mallory, juliet) = World::pair(7);
        let raw = TunnelOptions::new(Application::Bytes(Description::xmlstream()), TrustPolicy::Pinned);
        let peer = world.jid(juliet).clone();
        let here = world.with(mallory, |engine, now| engine.initiate(now, peer, raw)).expect("nothing keeps it back");
        world.run();
        let there = world.accept(juliet, TunnelOptions::xml_stream(TrustPolicy::Pinned)).expect("the offer arrives");
        world.run();
        let tunnels = [here, there];
        let mut scene = Self { world, mallory, juliet, tunnels, is_open: false, is_over: false, answers: Vec::new() };
        assert!(scene.hear(), "the tunnel is secured");
        scene
    }

    fn say(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let tunnel = self.tunnels[0];
            let written = self.world.with(self.mallory, |engine, now| {
                engine.tunnel(tunnel).map_or(Ok(0), |mut tunnel| tunnel.write(now, bytes))
            });
            self.world.run();
            self.hear();
            match written {
                Ok(written) if written > 0 => bytes = &bytes[written..],
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// What happened at Juliet's; whether the tunnel was secured.
    fn hear(&mut self) -> bool {
        let mut secured = false;
        let mut out = Vec::new();
        let tunnel = self.tunnels[0];
        self.world.with(self.mallory, |engine, now| engine.tunnel(tunnel).map(|mut tunnel| tunnel.read(now, &mut out)));
        self.answers.extend(out);
        self.world.run();
        drop(self.world.take_events(self.mallory));
        for event in self.world.take_events(self.juliet) {
            assert!(!self.is_over, "nothing comes after the end: {event:?}");
            match event {
                Event::Secured { .. } => secured = true,
                Event::StreamOpened { .. } => self.is_open = true,
                Event::StreamClosed { .. } => self.is_open = false,
                Event::Stanza { stanza, .. } => {
                    assert!(self.is_open, "no stanza without a stream");
                    self.check(&stanza);
                }
                Event::Closed(closed) => {
                    self.is_over = true;
                    assert_eq!(closed.peer, *self.world.jid(self.mallory));
                }
                Event::Impersonation { .. } | Event::Misaddressed { .. } => {}
                event => panic!("nothing else happens: {event:?}"),
            }
        }
        let queued: usize = self.world.with(self.juliet, |engine, _| engine.tunnels().count());
        assert!(queued <= 1);
        secured
    }

    /// Whatever it says, a stanza is from the peer and for this end.
    fn check(&self, stanza: &Element) {
        let is = |attribute: &str, end: EntityId| {
            let end = self.world.jid(end);
            stanza
                .attribute(attribute)
                .and_then(|jid| Jid::new(jid).ok())
                .is_some_and(|jid| jid == **end || jid == *end.to_bare())
        };
        assert!(is("from", self.mallory) && is("to", self.juliet), "{}", stanza.to_xml(""));
    }

    fn finish(mut self) {
        // What Juliet says is a stream, or more than one, whatever she was told.
        let text = String::from_utf8(core::mem::take(&mut self.answers)).expect("text is written");
        let mut reader = xtls_stanza::StreamReader::new(xtls_stanza::Limits::default());
        let mut rest = text.as_bytes();
        while reader.read(&mut rest).expect("what is written can be read").is_some() {}
        if self.is_open && !self.is_over {
            // She can still speak, and is heard.
            let message = Element::builder("message", ns::CLIENT).open("body", ns::CLIENT).text("Art thou not Romeo?");
            let message = message.close().build().expect("a message");
            let tunnel = self.tunnels[1];
            let sent = self.world.with(self.juliet, |engine, now| {
                engine.tunnel(tunnel).map(|mut tunnel| tunnel.send(now, &message).is_ok())
            });
            self.world.run();
            self.hear();
            let text = String::from_utf8_lossy(&self.answers);
            assert!(sent != Some(true) || text.contains("Art thou not Romeo?"), "{text}");
        }
        for id in [self.mallory, self.juliet] {
            let tunnel = self.tunnels[usize::from(id == self.juliet)];
            self.world.with(id, |engine, now| engine.tunnel(tunnel).map(|mut tunnel| tunnel.close(now)));
        }
        self.world.run_for(LONG);
        self.hear();
        assert!(self.is_over, "it ends");
        assert_eq!(self.world.with(self.juliet, |engine, _| engine.tunnels().count()), 0);
    }
}
