//! Two harnesses for a fuzzer. Whatever a server sends, your client does not panic, believes nothing, and comes to rest; and whatever
//! happens between two of them, they hear nothing but each other, and nothing hangs.
//!
//! They are ordinary functions, which a test calls with random bytes. As the body of a target they are for cargo-fuzz, which wants nightly:
//!
//! ```text
//! libfuzzer_sys::fuzz_target!(|data: &[u8]| { my_client::fuzz(data); });
//! ```

use std::{io::Write, path::Path, time::Duration};

use xtls_testkit::{Client as _, Misdeed};

use crate::{
    Failure,
    pair::{JULIET, ROMEO},
    simulated::{Greeter, world},
};

/// What it begins with: stanzas of which some bytes are changed. Your own traffic is good for that, and shows what is missing here.
const STANZAS: [&str; 5] = [
    "<iq type='set' id='1' from='juliet@capulet.example/balcony'><jingle xmlns='urn:xmpp:jingle:1' \
     action='session-initiate' initiator='juliet@capulet.example/balcony' sid='s'><content creator='initiator' name='c'>\
     <description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/><transport xmlns='urn:xmpp:jingle:transports:ibb:1' \
     block-size='4096' sid='b'/><security xmlns='urn:xmpp:jingle:security:xtls:1'><method name='x509'/></security>\
     </content></jingle></iq>",
    "<iq type='set' id='2' from='juliet@capulet.example/balcony'><open xmlns='http://jabber.org/protocol/ibb' sid='b' \
     block-size='4096'/></iq>",
    "<iq type='set' id='3' from='juliet@capulet.example/balcony'><data xmlns='http://jabber.org/protocol/ibb' sid='b' \
     seq='0'>FgMBAAA=</data></iq>",
    "<presence from='juliet@capulet.example/balcony' type='unavailable'/>",
    "<iq type='error' id='1' from='juliet@capulet.example/balcony'/>",
];

/// The first byte says whether it calls, and each four bytes after that are something that happens. Gives how many stanzas the client has sent.
pub(crate) fn fuzz(data: &[u8]) -> usize {
    let mut now = std::time::Instant::now();
    let mut client = Greeter::new(ROMEO, JULIET, now);
    let (calls, data) = data.split_first().unwrap_or((&0, &[]));
    if calls % 2 == 1 {
        client.call(now, JULIET);
    }
    let (mut sent, mut came) = (0, 1);
    for happening in data.chunks(4) {
        let [what, at, to, ..] = *happening else { break };
        if what < 32 {
            now += Duration::from_secs(at.into());
            client.handle_timeout(now);
        } else {
            let mut stanza = STANZAS[usize::from(what) % STANZAS.len()].as_bytes().to_vec();
            let place = usize::from(at) * stanza.len() / 256;
            // Without a new byte it is as it was.
            stanza[place] = if to == 0 { stanza[place] } else { to };
            // A stream is UTF-8, or it is not read.
            client.handle_stanza(now, &String::from_utf8_lossy(&stanza));
            came += 1;
        }
        sent += drain(&mut client, now);
    }
    // Nobody has shown a certificate, so nothing is secured, and nothing was said.
    assert!(client.secured == 0 && client.heard.is_empty());
    // Nobody has much done by saying little.
    assert!(sent <= 8 * came + 64, "{sent} stanzas for {came}");
    // In the end nothing waits.
    for _ in 0..10_000 {
        let Some(due) = client.poll_timeout() else { return sent };
        now = now.max(due);
        client.handle_timeout(now);
        sent += drain(&mut client, now);
    }
    panic!("it does not come to rest");
}

/// Takes what it sends, and counts it.
fn drain(client: &mut Greeter, now: std::time::Instant) -> usize {
    let (mut stanza, mut count) = (String::new(), 0);
    while client.poll_transmit(now, &mut stanza) {
        assert!(stanza.starts_with("<iq"), "{stanza}");
        stanza.clear();
        count += 1;
    }
    count
}

/// Two clients and a server in between, where each byte is something that happens.
pub(crate) fn fuzz_world(data: &[u8]) {
    let (mut network, romeo, juliet) = world();
    network.act(romeo, |client, now| client.call(now, JULIET));
    for byte in data {
        match byte % 10 {
            0 => network.relay.plan(Misdeed::Drop),
            1 => network.relay.plan(Misdeed::Duplicate),
            2 => network.relay.plan(Misdeed::Flip(u32::from(*byte))),
            3 => network.relay.plan(Misdeed::StripSecurity),
            4 => network.relay.plan(Misdeed::ChangeFingerprint),
            5 => network.suspend(juliet),
            6 => network.resume(juliet),
            7 => network.disconnect(romeo),
            8 => network.log_in(romeo),
            _ => network.run_for(Duration::from_millis(u64::from(*byte))),
        }
    }
    network.relay.repent();
    network.resume(juliet);
    network.run_for(Duration::from_secs(900));
    for client in [network.client(romeo), network.client(juliet)] {
        assert!(client.heard.len() <= 1 && client.heard.iter().all(|words| words == "good day"), "{:?}", client.heard);
        assert!(client.tunnels.is_empty() || client.secured > 0, "a tunnel is neither secured nor ended");
    }
}

/// Plays one input in both, such as one that a fuzzer has found.
pub(crate) fn run(file: &Path, out: &mut impl Write) -> Result<(), Failure> {
    let data = std::fs::read(file)?;
    fuzz_world(&data);
    let sent = fuzz(&data);
    writeln!(out, "it holds; the client has sent {sent} stanzas")?;
    Ok(())
}

#[cfg(test)]
proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn whatever_a_server_sends_holds(data in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
        fuzz(&data);
    }

    #[test]
    fn whatever_happens_between_two_holds(data in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40)) {
        fuzz_world(&data);
    }
}

#[test]
fn an_input_is_played() {
    let dir = tempfile::tempdir().expect("a directory");
    // It does not call. An offer, as it is; a block of data that has nothing before it; 20 s; and what is no XML.
    let input = [0, 35, 0, 0, 0, 37, 0, 0, 0, 0, 20, 0, 0, 38, 0, b'!', 0];
    std::fs::write(dir.path().join("input"), input).expect("it is written");
    let out = crate::written(async |out| run(&dir.path().join("input"), out));
    // It acknowledges the offer and accepts it, refuses the data, and ends what does not go on.
    assert_eq!(out, "it holds; the client has sent 4 stanzas\n");
}
