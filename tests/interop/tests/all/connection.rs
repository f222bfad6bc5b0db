//! When the connection does not come about, or breaks.

use xtls_interop::{Ended, Impostor, Prosody, Stage, Tap, Transport};

/// It ended with this code and one line that has all these words.
fn assert_fails(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "{word} is not in: {}", ended.stderr);
    }
    let told = ended.named("error").filter(|error| ended.stderr.contains(error["message"].as_str().unwrap_or("?")));
    assert_eq!(told.count(), 1);
}

#[test]
fn a_wrong_password_is_told_once() {
    for transport in [Transport::Plain, Transport::StartTls] {
        let stage = Stage::new(transport);
        let mut alice = stage.person("alice");
        alice.password = "wrong".to_owned();
        assert_fails(&alice.run(&["listen"]), 4, &["login refused for alice@localhost", "check"]);
        assert_eq!(stage.server.log().matches("<auth ").count(), 1, "there is one attempt");
    }
}

#[test]
fn an_account_that_does_not_exist_cannot_log_in() {
    let stage = Stage::new(Transport::Plain);
    assert_fails(&stage.person("nobody").run(&["listen"]), 4, &["login refused for nobody@localhost"]);
}

#[test]
fn an_unknown_host_is_named() {
    let stage = Stage::new(Transport::Plain);
    let mut alice = stage.person("alice");
    alice.address = "no-such-host.invalid:5222".to_owned();
    assert_fails(&alice.run(&["listen"]), 4, &["unknown host no-such-host.invalid", "--server"]);
    let options = ["listen", "--jid", "alice@no-such-host.invalid/x"];
    let ended = xtls_interop::Xtls::run(alice.data_dir(), Some("password"), &options);
    assert_fails(
        &ended,
        4,
        &["unknown host no-such-host.invalid: there is no such name", "name the server with --server"],
    );
}

#[test]
fn an_unreachable_port_is_named() {
    let mut stage = Stage::new(Transport::Plain);
    let alice = stage.person("alice");
    stage.server.kill();
    let port = stage.server.port().to_string();
    assert_fails(&alice.run(&["listen"]), 4, &["cannot connect to 127.0.0.1", &port]);
}

/// What listening comes to at a server that answers a connection like this.
fn at_a_server_that_says(text: &'static str) -> Ended {
    let address = Impostor::breaking_off(text.as_bytes()).address();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = ["listen", "--insecure-plaintext", "--jid", "alice@localhost/x", "--server", &address];
    xtls_interop::Xtls::run(dir.path(), Some("password"), &options)
}

#[test]
fn a_server_that_speaks_no_xmpp_or_breaks_off_is_told() {
    let http = at_a_server_that_says("HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_fails(&http, 4, &["localhost", "check --server"]);
    let silent = at_a_server_that_says("");
    assert_fails(&silent, 4, &["localhost", "closed the connection"]);
    let header =
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='1'>";
    let broken_off = at_a_server_that_says(header);
    assert_fails(&broken_off, 4, &["localhost", "closed the connection"]);
}

#[test]
fn plaintext_is_for_loopback_only() {
    let stage = Stage::new(Transport::Plain);
    let mut alice = stage.person("alice");
    alice.address = "192.0.2.1:5222".to_owned();
    assert_fails(&alice.run(&["listen"]), 2, &["--insecure-plaintext", "192.0.2.1"]);
}

#[test]
fn a_server_whose_authority_is_not_trusted_gets_no_password() {
    let stage = Stage::new(Transport::StartTls);
    let ended = xtls_interop::Xtls::run(
        stage.person("alice").data_dir(),
        Some(&Prosody::password("alice")),
        &["listen", "--jid", "alice@localhost/x", "--server", &stage.server.address()],
    );
    assert_fails(&ended, 3, &["TLS with the server localhost failed", "--ca-file"]);
    assert!(!stage.server.log().contains("Authenticated as"), "{}", stage.server.log());
}

#[test]
fn a_server_that_wants_tls_is_not_told_the_password_without_it() {
    let stage = Stage::new(Transport::StartTls);
    let ended = xtls_interop::Xtls::run(
        stage.person("alice").data_dir(),
        Some(&Prosody::password("alice")),
        &["listen", "--insecure-plaintext", "--jid", "alice@localhost/x", "--server", &stage.server.address()],
    );
    assert_fails(&ended, 4, &["leave out --insecure-plaintext"]);
}

#[test]
fn a_second_login_with_the_same_resource_ends_the_first() {
    let stage = Stage::new(Transport::Plain);
    let alice = stage.person("alice");
    let first = alice.listen(&[]);
    let _second = alice.listen(&[]);
    assert_fails(&first.wait(), 4, &["conflict", "another resource"]);
}

#[test]
fn a_peer_that_is_killed_leaves_a_truncated_tunnel() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let mut listening = bob.listen(&[]);
    let mut chatting = alice.start(&["chat", &bob.full()]);
    chatting.event("stream_open");
    listening.event("stream_open");
    listening.kill();
    let closed = chatting.event("closed");
    assert_eq!(closed["truncated"], true);
    let ended = chatting.wait();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(ended.stderr.contains("broke off"), "{}", ended.stderr);
}

#[test]
fn a_message_to_a_peer_that_is_killed_is_told_as_not_acknowledged() {
    let stage = Stage::new(Transport::Plain);
    let (mut alice, bob) = stage.friends();
    let tap = Tap::start(stage.server.port());
    alice.address = tap.address();
    let mut listening = bob.listen(&[]);
    let mut chatting = alice.start(&["chat", &bob.full()]);
    chatting.event("stream_open");
    listening.event("stream_open");
    // It takes nothing any more, and is gone once the line is on its way.
    listening.pause();
    let sent = tap.sent().len();
    chatting.line("O true apothecary!");
    let _ = tap.sent_after(sent, "<data ");
    listening.kill();
    let closed = chatting.event("closed");
    assert_eq!(closed["truncated"], true);
    assert!(closed["unacked"].as_u64().is_some_and(|bytes| bytes > 18), "{closed}");
    let ended = chatting.wait();
    assert_eq!((ended.code, ended.named("undelivered").count()), (Some(4), 1), "{:?}", ended.events);
}

#[test]
fn a_server_that_dies_ends_tunnel_and_command() {
    let mut stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let mut listening = bob.listen(&[]);
    let mut chatting = alice.start(&["chat", &bob.full()]);
    chatting.event("stream_open");
    listening.event("stream_open");
    stage.server.kill();
    for mut end in [chatting, listening] {
        assert_eq!(end.event("closed")["truncated"], true);
        let ended = end.wait();
        assert_eq!(ended.code, Some(4), "{}", ended.stderr);
        assert!(ended.stderr.contains("server"), "{}", ended.stderr);
    }
}

#[test]
fn a_peer_that_is_not_there_cannot_be_reached() {
    let stage = Stage::new(Transport::Plain);
    let (alice, bob) = stage.friends();
    let ended = alice.run(&["chat", &bob.full()]);
    assert_fails(&ended, 4, &["bob@localhost/xtls", "online"]);
    let ended = alice.run(&["chat", &bob.bare()]);
    assert_fails(&ended, 4, &["bob@localhost is not online"]);
}
