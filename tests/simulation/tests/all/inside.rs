//! A peer that is authenticated and misbehaves inside the tunnel (attack table, rows P20 to P25).
use std::time::Duration;

use crate::common::{
    JULIET, MALLORY, SECOND, bodies, closed, noise, piping, read, script::Script, sent_data, streaming, terminations,
    write,
};
use xtls::{Event, Fault, Timer};

/// Says something in an open stream, and gives what Juliet answered in it and how her tunnel ended.
fn said(seed: u8, text: &str) -> (String, Option<crate::common::Ended>) {
    let mut script = Script::new(seed);
    script.streaming();
    let answer = script.say(text);
    let ends = script.world.with(script.juliet, |engine, _| engine.tunnels().count() == 0);
    let end = ends.then(|| closed(&mut script.world, script.juliet));
    if ends {
        let reason = if end.as_ref().unwrap().security { "security-error" } else { "general-error" };
        assert_eq!(terminations(&script.world, JULIET, MALLORY), [reason]);
    }
    (answer, end)
}

#[test]
fn p20_what_xmpp_forbids_is_restricted_xml() {
    for forbidden in [
        "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]><message>&b;</message>",
        "<message><body>&unknown;</body></message>",
        "<?pi data?><message/>",
        "<!-- a comment --><message/>",
        "<message><!-- a comment --></message>",
    ] {
        let (answer, end) = said(1, forbidden);
        let end = end.unwrap_or_else(|| panic!("{forbidden}"));
        assert!(answer.contains("<restricted-xml "), "{forbidden}: {answer}");
        assert!(answer.ends_with("</stream:stream>"), "{answer}");
        assert!(matches!(end.fault, Some(Fault::Stream(_))) && end.truncated && !end.security, "{end:?}");
    }
    let mut script = Script::new(3);
    script.streaming();
    assert!(script.say("<message><body><![CDATA[only <text/>]]></body></message>").is_empty());
    assert_eq!(bodies(&script.world.take_events(script.juliet)), ["only <text/>"]);
}

#[test]
fn p20_what_is_not_well_formed_ends_the_stream() {
    for broken in ["<message></iq>", "<message a='1' a='2'/>", "<p:message/>", "<message>\u{1}</message>", "stray"] {
        let (answer, end) = said(5, broken);
        assert!(end.is_some_and(|end| matches!(end.fault, Some(Fault::Stream(_)))), "{broken}: {answer}");
        assert!(answer.contains("<stream:error>"), "{broken}: {answer}");
    }
}

#[test]
fn p21_limits_hold_at_the_limit_and_one_past_it() {
    let deep = |depth: usize| format!("<message>{}{}</message>", "<a>".repeat(depth - 1), "</a>".repeat(depth - 1));
    let wide = |count: usize| {
        let attributes: String = (0..count).map(|at| format!(" a{at}='v'")).collect();
        format!("<message{attributes}/>")
    };
    let long = |bytes: usize| {
        let rest = bytes - "<message><body></body></message>".len();
        format!("<message><body>{}</body></message>", "x".repeat(rest))
    };
    let named = |bytes: usize| format!("<message><{}/></message>", "n".repeat(bytes));
    let limits = xtls_stanza::Limits::default();
    // As docs/architecture.md has them.
    let told = (limits.stanza_bytes, limits.depth, limits.attributes, limits.name_bytes);
    assert_eq!(told, (256 * 1024, 64, 64, 1024));
    for (name, fits, exceeds) in [
        ("depth", deep(limits.depth), deep(limits.depth + 1)),
        ("attributes", wide(limits.attributes), wide(limits.attributes + 1)),
        ("bytes", long(limits.stanza_bytes), long(limits.stanza_bytes + 1)),
        ("names", named(limits.name_bytes), named(limits.name_bytes + 1)),
    ] {
        let (answer, end) = said(7, &fits);
        assert!(answer.is_empty() && end.is_none(), "{name}: {answer}");
        let (answer, end) = said(9, &exceeds);
        assert!(answer.contains("<policy-violation "), "{name}: {answer}");
        assert!(end.is_some_and(|end| matches!(end.fault, Some(Fault::Stream(_)))), "{name}");
    }
    for huge in [
        format!("<{}/>", "n".repeat(100_000)),
        format!("<message a='{}'/>", "v".repeat(300_000)),
        format!("<message {}/>", (0..100_000).map(|at| format!("xmlns:p{at}='n' ")).collect::<String>()),
    ] {
        let mut script = Script::new(11);
        script.streaming();
        let records = script.seal(huge.as_bytes());
        for block in records.chunks(4096) {
            if script.block(block).as_deref() != Some("result") {
                break;
            }
        }
        let (answer, _) = script.tls_read();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.contains("<policy-violation "), "{}: {answer}", &huge[..20]);
        assert!(matches!(closed(&mut script.world, script.juliet).fault, Some(Fault::Stream(_))));
    }
}

/// Twice the input is at most two and a half times the work, counted in allocations and in the bytes of them.
#[test]
fn p21_a_stanza_in_small_pieces_costs_linear_work() {
    let work = |bytes: usize| {
        let mut script = Script::new(13);
        script.world.relay.set_latency(Duration::ZERO);
        script.streaming();
        let text = format!("<message><body>{}</body></message>", "x".repeat(bytes));
        let stanzas: Vec<_> = text
            .as_bytes()
            .chunks(100)
            .map(|piece| {
                let record = script.seal(piece);
                let data = crate::common::script::data("b1", &script.take_seq(), &crate::common::base64(&record));
                format!("<iq type='set' id='x' from='{MALLORY}'>{data}</iq>")
            })
            .collect();
        let info = allocation_counter::measure(|| {
            for stanza in &stanzas {
                let _ = script.world.deliver(script.juliet, stanza);
                // What is owed goes out, and is thrown away.
                let mut out = String::new();
                script.world.with(script.juliet, |engine, now| while engine.poll_transmit(now, &mut out).is_some() {});
            }
        });
        script.world.run();
        assert_eq!(bodies(&script.world.take_events(script.juliet))[0].len(), bytes);
        (info.count_total, info.bytes_total)
    };
    let (one, two) = (work(50_000), work(100_000));
    assert!(two.0 * 2 <= one.0 * 5, "{two:?} allocations and bytes instead of {one:?}");
    assert!(two.1 * 2 <= one.1 * 5, "{two:?} allocations and bytes instead of {one:?}");
}

#[test]
fn p23_the_stream_header_must_be_between_the_two() {
    let header = crate::common::script::HEADER;
    for (name, wrong, condition, security) in [
        ("from", header.replace("mallory@verona.lit/square", "benvolio@montague.lit/x"), "invalid-from", true),
        ("from another device", header.replace("/square", "/tower"), "invalid-from", true),
        ("to", header.replace("juliet@capulet.lit/balcony", "nurse@capulet.lit"), "host-unknown", true),
        ("version", header.replace(" version='1.0'", ""), "unsupported-version", false),
        ("namespace", header.replace("'jabber:client'", "'jabber:server'"), "invalid-namespace", false),
        ("stanza first", "<message xmlns='jabber:client'/>".to_owned(), "invalid-namespace", false),
    ] {
        let mut script = Script::new(15);
        script.secured();
        let answer = script.say(&wrong);
        assert!(answer.contains(&format!("<stream:error><{condition} ")), "{name}: {answer}");
        let end = closed(&mut script.world, script.juliet);
        assert!(matches!(end.fault, Some(Fault::Stream(_))), "{name}: {end:?}");
        assert_eq!(end.security, security, "{name}");
        let reason = if security { "security-error" } else { "general-error" };
        assert_eq!(terminations(&script.world, JULIET, MALLORY), [reason], "{name}");
    }
    // Bare addresses are XEP-0246's own way.
    let mut script = Script::new(17);
    script.secured();
    let answer = script.say(&header.replace("/square", "").replace("/balcony", ""));
    assert!(answer.contains("<stream:features>"), "{answer}");
    // A second header is not the document of a stream any more (RFC 6120 § 4.9.3.13).
    let answer = script.say(header);
    assert!(answer.contains("<stream:error><not-well-formed "), "{answer}");
    assert!(matches!(closed(&mut script.world, script.juliet).fault, Some(Fault::Stream(_))));
}

#[test]
fn p24_a_stanza_of_somebody_else_is_dropped_and_told() {
    let mut script = Script::new(19);
    script.streaming();
    let answer = script.say(
        "<message from='romeo@montague.lit/orchard'><body>I am Romeo</body></message>\
         <message to='nurse@capulet.lit'><body>for the nurse</body></message>\
         <message from='mallory@verona.lit'><body>me, bare</body></message><message><body>me</body></message>",
    );
    assert!(answer.is_empty());
    let events = script.world.take_events(script.juliet);
    let [
        Event::Impersonation { from, .. },
        Event::Misaddressed { to, .. },
        Event::Stanza { stanza: bare, .. },
        Event::Stanza { stanza: full, .. },
    ] = &*events
    else {
        panic!("{events:?}")
    };
    assert_eq!((from.as_str(), to.as_str()), ("romeo@montague.lit/orchard", "nurse@capulet.lit"));
    assert_eq!((bare.attribute("from"), full.attribute("from")), (Some("mallory@verona.lit"), Some(MALLORY)));
    assert_eq!(full.attribute("to"), Some(JULIET));
}

#[test]
fn p25_an_application_that_takes_no_events_withholds_acknowledgements() {
    let (mut world, [romeo, juliet], [tunnel, _]) = streaming(21);
    world.ignore_events(juliet, true);
    let before = sent_data(&world, crate::common::ROMEO, JULIET);
    let mut sent = 0;
    for _ in 0..2000 {
        if crate::common::send(&mut world, romeo, tunnel, &"x".repeat(1000)).is_ok() {
            sent += 1;
        }
        world.run();
    }
    // The sender's buffer, its window and the receiver's buffer, and no more.
    assert!((200..700).contains(&sent), "{sent}");
    let blocks = sent_data(&world, crate::common::ROMEO, JULIET) - before;
    assert!(blocks <= 64 + 32 + 1, "{blocks}");
    // Pings are answered all the while.
    world.run_for(500 * SECOND);
    assert!(world.take_events(romeo).is_empty());
    world.ignore_events(juliet, false);
    world.run();
    let mut got = bodies(&world.take_events(juliet)).len();
    for _ in 0..10 {
        world.run();
        got += bodies(&world.take_events(juliet)).len();
    }
    assert_eq!(got, sent);
    assert!(matches!(&*world.take_events(romeo), [Event::Writable { .. }]));
}

#[test]
fn p25_impersonations_count_as_well() {
    let mut script = Script::new(23);
    script.streaming();
    script.world.ignore_events(script.juliet, true);
    script.answers = true;
    let flood = "<message from='romeo@montague.lit/orchard'/>".repeat(90);
    let mut acknowledged = 0;
    for _ in 0..60 {
        let record = script.seal(flood.as_bytes());
        if script.block(&record).as_deref() == Some("result") {
            acknowledged += 1;
        }
    }
    assert!((1..4).contains(&acknowledged), "64 KiB of what they hold in memory: {acknowledged}");
    // Whoever ignores the window is stopped at 32 blocks more.
    script.world.ignore_events(script.juliet, false);
    script.settle();
    let end = closed(&mut script.world, script.juliet);
    assert!(matches!(end.fault, Some(Fault::Bytestream(_))), "{end:?}");
}

#[test]
fn p25_raw_bytes_that_nobody_reads_are_bounded_and_none_is_lost() {
    let (mut world, [romeo, juliet], [tunnel, theirs]) = piping(25);
    let bytes = noise(1024 * 1024, 3);
    let mut at = 0;
    for _ in 0..200 {
        at += write(&mut world, romeo, tunnel, &bytes[at..]);
        world.run();
    }
    assert!(at < bytes.len());
    // Within the stall time the peer is only slow. Both ends are alive.
    world.run_for(550 * SECOND);
    assert!(world.take_events(romeo).iter().all(|event| matches!(event, Event::Writable { .. })));
    let mut got = Vec::new();
    while got.len() < bytes.len() {
        let part = read(&mut world, juliet, theirs);
        assert!(!part.is_empty());
        assert!(part.len() <= 64 * 1024 + 32 * 4096, "{}", part.len());
        got.extend(part);
        world.run();
        at += write(&mut world, romeo, tunnel, &bytes[at..]);
        world.run();
    }
    assert!(got == bytes);
}

#[test]
fn p25_a_peer_that_answers_and_never_opens_the_stream_is_not_waited_for_without_end() {
    let mut script = Script::new(41);
    script.secured();
    let mut waited = 0;
    while waited < 120 && script.world.with(script.juliet, |engine, _| engine.tunnels().count() > 0) {
        script.world.run_for(Duration::from_secs(1));
        script.settle();
        waited += 1;
    }
    assert_eq!(waited, 30);
    let end = closed(&mut script.world, script.juliet);
    assert!(matches!(end.fault, Some(Fault::Timeout { timer: Timer::Stream, .. })) && !end.security, "{end:?}");
    assert_eq!(terminations(&script.world, JULIET, MALLORY), ["timeout"]);
}

/// RFC 6120 § 8.2.3 asks the application for bad-request: the engine hands it what it does not know itself, and the tunnel lives.
#[test]
fn a_request_in_a_tunnel_that_is_malformed_is_the_applications_to_answer() {
    for malformed in [
        "<iq type='get' id='1'/>",
        "<iq type='set' id='1'><a xmlns='n'/><b xmlns='n'/></iq>",
        "<iq type='jump' id='1'><a xmlns='n'/></iq>",
        "<iq type='get'><a xmlns='n'/></iq>",
        "<iq type='result'/>",
    ] {
        let mut script = Script::new(9);
        script.streaming();
        assert_eq!(script.say(malformed), "");
        let events = script.world.take_events(script.juliet);
        let [.., Event::Stanza { stanza, .. }] = &*events else { panic!("{malformed}: {events:?}") };
        assert_eq!(stanza.name(), "iq");
    }
}
