//! Every handler of what a peer sends, with an input of any size.

use std::time::{Duration, Instant};

use xtls::{Terms, TrustPolicy, event::Side};
use xtls_stanza::{Ids, Limits, jid::FullJid};
use xtls_stream::{DirectStream, StreamOptions, StreamRole, TunnelStream};
use xtls_testkit::{EntityId, EntityOptions, LinkPair, World};

use super::{cases::Case, measured};
use crate::common::{
    JULIET, MALLORY, ROMEO, message, noise, password, piping,
    script::{HEADER, Script, data, offer, security},
    streaming,
};

/// A stream in a tunnel, fed byte by byte or at once.
fn stream(text: &str, pieces: usize) {
    let jid = |text: &str| FullJid::new(text).unwrap();
    let mut stream = TunnelStream::new(StreamRole::Responder, jid(JULIET), jid(MALLORY), Limits::default());
    let (mut ids, mut out) = (Ids::new([1; 32]), Vec::new());
    let _ = stream.handle_bytes(HEADER.as_bytes(), &mut ids, &mut out);
    assert!(stream.is_open());
    measured(&mut || {
        for mut piece in text.as_bytes().chunks(pieces) {
            while !piece.is_empty() {
                piece = &piece[stream.handle_bytes(piece, &mut ids, &mut out)..];
                while stream.poll_event().is_some() {}
            }
        }
    });
}

fn direct(text: &str, pieces: usize) {
    let mut options = StreamOptions::new(Some("capulet.lit".parse().unwrap()), None);
    options.secured = true;
    let mut stream = DirectStream::receiving(options);
    let (mut ids, mut out) = (Ids::new([1; 32]), Vec::new());
    measured(&mut || {
        for piece in text.as_bytes().chunks(pieces) {
            let _ = stream.handle_bytes(piece, &mut ids, &mut out);
            while stream.poll_event().is_some() {}
        }
    });
}

/// What an engine does with a stanza of somebody without a tunnel.
fn stranger(stanza: &str) {
    let mut world = World::default();
    let juliet = world.add(JULIET, EntityOptions::seeded(1));
    measured(&mut || drop(world.deliver(juliet, stanza)));
}

/// What an engine does with what the peer says inside of an open tunnel, block by block.
fn inside(text: &str) {
    inside_cut(text, 4096);
}

fn inside_cut(text: &str, block: usize) {
    let mut script = Script::new(1);
    script.streaming();
    let records = script.seal(text.as_bytes());
    let blocks: Vec<_> = records.chunks(block).map(crate::common::base64).collect();
    let stanzas: Vec<_> = blocks
        .iter()
        .map(|block| {
            let seq = script.take_seq();
            format!("<iq type='set' id='x{seq}' from='{MALLORY}' to='{JULIET}'>{}</iq>", data("b1", &seq, block))
        })
        .collect();
    measured(&mut || {
        for stanza in &stanzas {
            let _ = script.world.deliver(script.juliet, stanza);
            script.world.with(script.juliet, |engine, _| while engine.poll_event().is_some() {});
        }
    });
}

pub const HANDLERS: &[Case] = &[
    Case {
        name: "tunnel stream: stanzas",
        size: 100,
        run: |n| stream(&"<message><body>Hi</body></message>".repeat(n), 4096),
    },
    Case {
        name: "tunnel stream: byte by byte",
        size: 50,
        run: |n| stream(&"<message><body>Hi</body></message>".repeat(n), 1),
    },
    Case {
        name: "direct stream: stanzas",
        size: 4000,
        run: |n| direct(&format!("{}{}", HEADER.replace(JULIET, "capulet.lit"), " ".repeat(n)), 1),
    },
    Case {
        name: "engine: a message of a stranger",
        size: 4000,
        run: |n| stranger(&format!("<message from='{MALLORY}'><body>{}</body></message>", "t".repeat(n))),
    },
    Case {
        name: "engine: an offer",
        size: 4000,
        run: |n| {
            let jingle = offer("s1", "b1", 4096, &security(&[], &["x509"]));
            let jingle = jingle.replace("</content>", &format!("<x xmlns='urn:x'>{}</x></content>", "t".repeat(n)));
            stranger(&format!("<iq type='set' id='1' from='{MALLORY}'>{jingle}</iq>"));
        },
    },
    Case {
        name: "engine: an offer of a large description",
        size: 200,
        run: |n| {
            let jingle = offer("s1", "b1", 4096, &security(&[], &["x509"])).replace(
                "<description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>",
                &format!("<description xmlns='urn:x'>{}</description>", "<a b='c'>d</a>".repeat(n)),
            );
            stranger(&format!("<iq type='set' id='1' from='{MALLORY}'>{jingle}</iq>"));
        },
    },
    Case {
        name: "engine: a presence with capabilities",
        size: 400,
        run: |n| {
            let caps = format!(
                "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='{}' ver='AAAA'/>",
                "n".repeat(n)
            );
            stranger(&format!("<presence from='{MALLORY}'>{caps}</presence>"));
        },
    },
    Case {
        name: "engine: one stanza inside",
        size: 20_000,
        run: |n| inside(&format!("<message><body>{}</body></message>", "t".repeat(n))),
    },
    Case { name: "engine: many stanzas inside", size: 300, run: |n| inside(&"<message/>".repeat(n)) },
    Case { name: "engine: white space inside", size: 20_000, run: |n| inside(&" ".repeat(n)) },
    Case {
        name: "engine: bytes that are written, sent, acknowledged and read",
        size: 50_000,
        run: |n| {
            let (mut world, [romeo, juliet], [here, there]) = piping(1);
            let bytes = noise(n, 1);
            measured(&mut || {
                crate::common::write(&mut world, romeo, here, &bytes);
                world.run();
                assert_eq!(crate::common::read(&mut world, juliet, there).len().min(1), 1);
                world.run();
            });
        },
    },
    Case {
        name: "engine: stanzas that are sent at once",
        size: 50,
        run: |n| {
            let (mut world, [romeo, _], [here, _]) = streaming(1);
            measured(&mut || {
                for _ in 0..n {
                    crate::common::send(&mut world, romeo, here, "Hi").unwrap();
                }
                world.run();
            });
        },
    },
    Case {
        name: "engine: events that nobody takes",
        size: 100,
        run: |n| {
            let (mut world, [romeo, juliet], [here, _]) = streaming(1);
            world.ignore_events(juliet, true);
            for _ in 0..n {
                crate::common::send(&mut world, romeo, here, "Hi").unwrap();
            }
            measured(&mut || world.run());
        },
    },
    Case {
        name: "engine: presences beside tunnels with the same peer",
        size: 20,
        run: |n| {
            let (mut world, juliet) = same_peer(n);
            let presence = format!("<presence from='{ROMEO}' to='{JULIET}'/>");
            measured(&mut || drop(world.deliver(juliet, &presence)));
        },
    },
    Case {
        name: "engine: an answer beside tunnels with the same peer",
        size: 20,
        run: |n| {
            let (mut world, juliet) = same_peer(n);
            let answer = format!("<iq type='result' id='1' from='{ROMEO}' to='{JULIET}'/>");
            measured(&mut || drop(world.deliver(juliet, &answer)));
        },
    },
    Case {
        name: "engine: the end of the outer stream",
        size: 20,
        run: |n| {
            let (mut world, juliet) = same_peer(n);
            measured(&mut || world.with(juliet, |engine, now| engine.handle_disconnect(now)));
        },
    },
    Case { name: "engine: blocks of one byte", size: 60, run: |n| inside_cut(&" ".repeat(n), 1) },
    Case {
        name: "engine: timers that run out together",
        size: 20,
        run: |n| {
            let (mut world, juliet) = same_peer(n);
            let later = world.now() + Duration::from_secs(3600);
            measured(&mut || world.with(juliet, |engine, _| engine.handle_timeout(later)));
        },
    },
    Case {
        name: "engine: bytes by password",
        size: 20_000,
        run: |n| {
            let (mut world, ends) = password::strangers(1);
            let [here, there] = password::meet(&mut world, ends, password::by_word(), password::by_word());
            let bytes = noise(n, 1);
            measured(&mut || {
                crate::common::write(&mut world, ends[0], here, &bytes);
                world.run();
                assert!(!crate::common::read(&mut world, ends[1], there).is_empty());
                world.run();
            });
        },
    },
    Case { name: "link: stanzas", size: 50, run: |n| link(n, 0) },
    Case { name: "link: byte by byte", size: 20, run: |n| link(n, 1) },
];

/// So many tunnels that Juliet has offered to Romeo.
fn same_peer(tunnels: usize) -> (World, EntityId) {
    let mut world = World::default();
    let mut options = EntityOptions::seeded(1);
    options.config.tunnels_per_peer = 1024;
    options.config.tunnels = 1024;
    let juliet = world.add(JULIET, options);
    world.relay.set_online(ROMEO, true);
    let mut options = crate::common::raw(TrustPolicy::Ask);
    options.check_support = false;
    let peer: FullJid = ROMEO.parse().unwrap();
    for _ in 0..tunnels {
        world.with(juliet, |engine, now: Instant| engine.initiate(now, peer.clone(), options.clone())).unwrap();
    }
    world.run();
    (world, juliet)
}

/// So many stanzas over a link, handed over so many bytes at a time.
fn link(stanzas: usize, cut: usize) {
    let mut pair = LinkPair::new(1);
    pair.trust(Side::Initiator);
    pair.trust(Side::Responder);
    pair.connect(Terms::new(TrustPolicy::Pinned));
    for _ in 0..stanzas {
        pair.send(Side::Initiator, &message("Hi")).unwrap();
    }
    pair.cut = cut;
    measured(&mut || pair.run());
}
