//! What a server says before it ends the stream.

use xtls_interop::{Impostor, Prosody, Stage, Tap, Transport, Xtls};

use super::assert_fails;
use super::scripted::{HEADER, Scripted, Talk};

const ELSEWHERE: &str = "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>\
    [2001:41D0:1:A49b::1]:9222</see-other-host><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>We have moved</text>\
    </stream:error></stream:stream>";
const RULE: &str = "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
    <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>Too fast</text></stream:error></stream:stream>";

/// Alice's command and Bob's, with a tunnel open between the two, after this was done to the server or the way from it to Alice;
/// and the server, which ends when it is dropped.
fn with_a_tunnel_open(command: &str, act: impl FnOnce(&Stage, &Tap)) -> (Stage, [Xtls; 2]) {
    let stage = Stage::new(Transport::Plain);
    let tap = Tap::start(stage.server.port());
    let (mut alice, bob) = stage.friends();
    alice.address = tap.address();
    let (listen, open) = match command {
        "pipe" => (&["pipe", "--listen"][..], "secured"),
        _ => (&["listen"][..], "stream_open"),
    };
    let mut listening = bob.start(listen);
    listening.event("online");
    let mut talking = alice.start(&[command, &bob.full()]);
    talking.event(open);
    listening.event(open);
    stage.server.wait_until_quiet();
    act(&stage, &tap);
    (stage, [talking, listening])
}

/// It says what the server said, once, and not that the connection broke.
#[track_caller]
fn assert_tells(command: Xtls, words: &[&str]) {
    let ended = command.wait();
    let told: Vec<&str> = ended.named("error").filter_map(|error| error["message"].as_str()).collect();
    let [one] = told[..] else { panic!("{told:?}") };
    for word in words {
        assert!(one.contains(word), "{word} is not in: {one}");
    }
    assert!(!one.contains("broke"), "{one}");
    assert_eq!(ended.code, Some(4));
    assert_eq!(ended.named("closed").count(), 1);
}

#[test]
fn rfc_6120_4_9_3_19_another_host_is_told_with_its_text_while_a_tunnel_is_open() {
    for command in ["chat", "pipe"] {
        let (_server, [talking, _]) = with_a_tunnel_open(command, |_, tap| tap.say_last(ELSEWHERE));
        assert_tells(talking, &["see-other-host [2001:41D0:1:A49b::1]:9222 (We have moved)", "--server"]);
    }
}

#[test]
fn rfc_6120_4_9_3_14_a_rule_is_told_while_a_tunnel_is_open() {
    let (_server, [talking, _]) = with_a_tunnel_open("chat", |_, tap| tap.say_last(RULE));
    assert_tells(talking, &["policy-violation (Too fast)", "the server has a rule against what was sent"]);
}

#[test]
fn rfc_6120_4_9_3_20_a_shutdown_is_told_at_both_ends_while_a_tunnel_is_open() {
    let (_server, ends) = with_a_tunnel_open("chat", |stage, _| stage.server.shut_down());
    for end in ends {
        assert_tells(end, &["system-shutdown", "try again later"]);
    }
}

#[test]
fn rfc_6120_4_9_3_3_a_conflict_is_told_while_a_tunnel_is_open() {
    let (_server, [talking, _]) = with_a_tunnel_open("chat", |stage, _| {
        let again = stage.person("alice").listen(&[]);
        again.interrupt();
        assert_eq!(again.wait().code, Some(0));
    });
    assert_tells(talking, &["conflict", "choose another resource"]);
}

/// RFC 6120 § 4.9.1.2: a server may say no in answer to the first header, and that one may be of an older version.
#[test]
fn rfc_6120_4_9_1_2_an_error_after_a_header_without_a_version_is_told() {
    for version in ["", "version='0.9'", "version='1.0'"] {
        let header = HEADER.replace("version='1.0' xml:lang", &format!("{version} xml:lang"));
        let said = format!("{header}{RULE}");
        let server = Scripted::in_clear(move |talk: &mut Talk| {
            talk.header()?;
            talk.say(&said)
        });
        assert_fails(&server.fails(), &["policy-violation (Too fast)", "the server has a rule"]);
    }
    // The same where TLS was to come, and to those who only probe.
    let said =
        b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1'><stream:error>\
        <host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>Not \
        here</text></stream:error></stream:stream>";
    let server = Prosody::start(Transport::StartTls);
    let mut alice = server.person("alice");
    alice.address = Impostor::breaking_off(said).address();
    assert_fails(&alice.run(&["listen"]), &["host-unknown (Not here)", "check --jid and --server"]);
    let probed = Xtls::run(alice.data_dir(), None, &["probe", &alice.address, "--domain", "localhost"]);
    assert_eq!(probed.code, Some(4));
    assert!(probed.stderr.contains("host-unknown (Not here)"), "{}", probed.stderr);
}

#[test]
fn a_server_of_another_version_that_says_no_more_is_told_as_that() {
    let old = Scripted::in_clear(|talk: &mut Talk| {
        talk.header()?;
        talk.say(&HEADER.replace("version='1.0' xml:lang", "xml:lang"))?;
        talk.say("<message/>")
    });
    assert_fails(&old.fails(), &["cannot be read as XMPP", "not a stream of XMPP 1.0"]);
}
