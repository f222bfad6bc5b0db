//! Row L6 over whole sessions: whatever can be formatted is, at every step, and nothing of it shows a secret in any form.
//!
//! By default the library crates log nothing, and could not: `.ci/sans-io` finds no crate for logging below them. What the feature
//! `tracing` writes is looked through in `crates/xtls/tests/tracing.rs`.

use core::fmt::Debug;
use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use xtls::{
    Password, Terms, TrustDecision, TrustPolicy, TunnelId, TunnelOptions,
    event::Side,
    jingle::{Reason, ReasonCondition},
};
use xtls_testkit::{EntityId, LinkPair, World};

use crate::common::{message, noise, raw, xml};

const WORD: &str = "cAnArY-wherefore-7391-art-thou";
const SAID: &str = "cAnArY-but-soft-what-light-4417";

/// Everything that was formatted, and what must not be in it.
#[derive(Default)]
struct Watch {
    shown: String,
    secrets: Vec<(&'static str, Vec<u8>)>,
}

impl Watch {
    fn new(plaintext: &[u8]) -> Self {
        let mut watch = Self::default();
        watch.keep("password", WORD.as_bytes());
        watch.keep("plaintext", plaintext);
        watch
    }

    fn show(&mut self, thing: &impl Debug) {
        self.shown += &format!("{thing:?}\n{thing:#?}\n");
    }

    fn keep(&mut self, what: &'static str, secret: &[u8]) {
        assert!(secret.len() >= 16, "short enough to be there by chance: {what}");
        if !self.secrets.iter().any(|(_, known)| known == secret) {
            self.secrets.push((what, secret.to_vec()));
        }
    }

    /// The key of a certificate: of its encoding the part that is no header and no public key.
    fn keep_key(&mut self, identity: &xtls::Identity) {
        let pem = identity.to_pem();
        let body: String = pem.key.expose().lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(body).unwrap();
        // OneAsymmetricKey: both kinds of keys have their private value in the first octet strings of 32 bytes.
        let at = der.windows(2).position(|window| window == [4, 32]).expect("a private key of 32 bytes");
        self.keep("private key", &der[at + 2..at + 34]);
        self.show(&pem);
        self.show(identity);
    }

    fn check(&self) {
        assert!(self.shown.len() > 1000 && self.shown.contains("Password(..)"), "{}", self.shown);
        let forms =
            self.secrets.iter().flat_map(|(what, secret)| forms(secret).into_iter().map(move |form| (form, what)));
        if let Some((form, what)) = first_found(&self.shown, forms) {
            panic!("{what} as {form}");
        }
    }
}

/// The first of these texts that is in `shown`, white space left out. They are found by their first eight bytes, in one go.
fn first_found<W>(shown: &str, forms: impl Iterator<Item = (String, W)>) -> Option<(String, W)> {
    let tight: Vec<u8> = shown.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let mut by_beginning: HashMap<[u8; 8], Vec<(String, W)>> = HashMap::new();
    for (form, what) in forms {
        let beginning = *form.as_bytes().first_chunk().expect("eight bytes or more");
        by_beginning.entry(beginning).or_default().push((form, what));
    }
    for at in 0..tight.len() {
        let Some(candidates) = tight[at..].first_chunk().and_then(|beginning| by_beginning.get_mut(beginning)) else {
            continue;
        };
        if let Some(found) = candidates.iter().position(|(form, _)| tight[at..].starts_with(form.as_bytes())) {
            return Some(candidates.swap_remove(found));
        }
    }
    None
}

/// How bytes may be written, white space left out: as text, as numbers, in hexadecimal and in base64, of which a part is enough.
fn forms(secret: &[u8]) -> Vec<String> {
    let mut forms: Vec<String> = Vec::new();
    for part in secret.windows(8) {
        forms.extend(std::str::from_utf8(part).ok().map(str::to_owned).filter(|text| text.is_ascii()));
        forms.push(part.iter().map(u8::to_string).collect::<Vec<_>>().join(","));
        for separator in ["", ":", ","] {
            let lower: Vec<_> = part.iter().map(|byte| format!("{byte:02x}")).collect();
            forms.push(lower.join(separator));
            forms.push(lower.join(separator).to_uppercase());
        }
        forms.push(part.iter().map(|byte| format!("0x{byte:02x}")).collect::<Vec<_>>().join(","));
    }
    for shift in 0..3 {
        let text = STANDARD.encode(&secret[shift..]);
        forms.push(text[..text.len() / 2].to_owned());
    }
    // White space is left out of what they are looked for in.
    forms.retain(|form| form.len() >= 8 && !form.contains(char::is_whitespace));
    forms
}

#[test]
fn l06_each_form_of_a_secret_is_recognised() {
    let secret = noise(32, 1);
    let decimal = format!("{secret:?}");
    let debug = format!("{:#?}", Some(&secret));
    let hex: String = secret.iter().map(|byte| format!("{byte:02X}:")).collect();
    let text = format!("x{WORD}x");
    for (shown, secret) in [
        (decimal, &secret[..]),
        (debug, &secret[..]),
        (hex, &secret[..]),
        (STANDARD.encode([&b"ab"[..], &secret].concat()), &secret[..]),
        (text, WORD.as_bytes()),
    ] {
        let forms = forms(secret).into_iter().map(|form| (form, ()));
        assert!(first_found(&shown, forms).is_some(), "{shown}");
    }
}

/// Shows all of a world, and keeps what its tunnels derive.
fn look(watch: &mut Watch, world: &mut World, ends: [EntityId; 2], tunnels: &[TunnelId]) {
    watch.show(world);
    for (id, tunnel) in ends.into_iter().zip(tunnels) {
        world.with(id, |engine, _| {
            watch.show(engine);
            if let Some(tunnel) = engine.tunnel(*tunnel) {
                watch.show(&tunnel);
                watch.show(&tunnel.security());
                for label in [b"EXPORTER-canary".as_slice(), b"EXPORTER-Channel-Binding"] {
                    if let Some(material) = tunnel.export_keying_material(32, label, None) {
                        watch.keep("exported", &material);
                    }
                }
            }
        });
    }
    for id in ends {
        let events = world.take_events(id);
        watch.show(&events);
        world.with_store(id, |store| watch.show(store));
        watch.keep_key(world.identity(id));
    }
}

/// A tunnel from its offer to its end, by certificates or by the word.
fn tunnel(watch: &mut Watch, is_raw: bool, by_word: bool, wrong: bool) {
    let (mut world, romeo, juliet) = World::pair(7);
    let ends = [romeo, juliet];
    let options = |word: &str| {
        let options: TunnelOptions = if is_raw { raw(TrustPolicy::Pinned) } else { xml(TrustPolicy::Pinned) };
        let mut options = options.with_password(Password::new(word).unwrap());
        options.terms.methods = vec![if by_word { xtls::trust::Method::Srp } else { xtls::trust::Method::X509 }];
        options
    };
    watch.show(&options(WORD));
    let peer = world.jid(juliet).clone();
    let here = world.with(romeo, |engine, now| engine.initiate(now, peer, options(WORD))).unwrap();
    look(watch, &mut world, ends, &[here]);
    world.run_for(core::time::Duration::from_secs(1));
    let theirs = options(if wrong { "another word altogether" } else { WORD });
    let Some(there) = world.accept(juliet, theirs) else { panic!("it is offered") };
    let tunnels = [here, there];
    // Step by step, so that every state is looked at.
    for _ in 0..12 {
        world.run_for(core::time::Duration::from_millis(50));
        look(watch, &mut world, ends, &tunnels);
    }
    let plaintext = watch.secrets[1].1.clone();
    for (id, tunnel) in ends.into_iter().zip(tunnels) {
        world.with(id, |engine, now| {
            let Some(mut tunnel) = engine.tunnel(tunnel) else { return };
            if is_raw {
                watch.show(&tunnel.write(now, &plaintext));
            } else {
                let said = message(std::str::from_utf8(&plaintext).unwrap());
                watch.show(&said);
                watch.show(&tunnel.send(now, &said));
            }
            watch.show(&tunnel);
            watch.show(&tunnel.trust(now, TrustDecision::Accept));
            watch.show(&tunnel.provide_password(now, Some(Password::new(WORD).unwrap())));
        });
        look(watch, &mut world, ends, &tunnels);
    }
    for _ in 0..4 {
        world.run_for(core::time::Duration::from_millis(50));
        look(watch, &mut world, ends, &tunnels);
    }
    world.with(romeo, |engine, now| {
        if let Some(mut tunnel) = engine.tunnel(here) {
            tunnel.abort(now, Reason::new(ReasonCondition::Cancel));
        }
    });
    world.run_for(core::time::Duration::from_secs(2));
    look(watch, &mut world, ends, &tunnels);
}

#[test]
fn l06_no_secret_of_a_tunnel_is_shown_by_anything() {
    for by_word in [false, true] {
        for is_raw in [false, true] {
            for wrong in [false, true] {
                let plaintext = if is_raw { noise(64, 5) } else { SAID.as_bytes().to_vec() };
                let mut watch = Watch::new(&plaintext);
                tunnel(&mut watch, is_raw, by_word, wrong && by_word);
                let exported = watch.secrets.iter().any(|(what, _)| *what == "exported");
                assert_eq!(exported, !(wrong && by_word));
                watch.check();
            }
        }
    }
}

#[test]
fn l06_no_secret_of_a_link_is_shown_by_anything() {
    for by_word in [false, true] {
        for wrong in [false, true] {
            let mut watch = Watch::new(SAID.as_bytes());
            let mut pair = LinkPair::new(3);
            let terms = |word: &str| {
                let mut terms = Terms::new(TrustPolicy::Pinned).with_password(Password::new(word).unwrap());
                terms.methods = vec![if by_word { xtls::trust::Method::Srp } else { xtls::trust::Method::X509 }];
                terms
            };
            for side in [Side::Initiator, Side::Responder] {
                pair.trust(side);
                watch.keep_key(pair.identity(side));
            }
            watch.show(&terms(WORD));
            pair.start(terms(WORD), Some(terms(if wrong { "another word altogether" } else { WORD })));
            let mut goes_on = true;
            while goes_on {
                goes_on = pair.turn();
                watch.show(&pair);
                for side in [Side::Initiator, Side::Responder] {
                    watch.show(&pair.take_events(side));
                    watch.show(&pair.link(side).security());
                    pair.with_store(side, |store| watch.show(store));
                    if let Some(binding) = pair.link(side).channel_binding() {
                        watch.keep("exported", &binding);
                    }
                }
            }
            for side in [Side::Initiator, Side::Responder] {
                watch.show(&pair.send(side, &message(SAID)));
                watch.show(&pair);
                pair.run();
                watch.show(&pair);
                watch.show(&pair.take_events(side));
            }
            pair.inject(Side::Initiator, b"what is no record");
            pair.run();
            watch.show(&pair);
            watch.show(&pair.take_events(Side::Initiator));
            let exported = watch.secrets.iter().any(|(what, _)| *what == "exported");
            assert_eq!(exported, !(wrong && by_word));
            watch.check();
        }
    }
}
