//! Options as texts.

use xtls_bindings::{CONFIG_SETTINGS, Code, Engine, OPTION_SETTINGS, Settings, Setup, Store};

use crate::pair::{JULIET, NOW, Pair, ROMEO, identity};

fn refused(settings: &Settings<'_>) -> Option<(Code, String)> {
    let (identity, store) = (identity(ROMEO), Store::in_memory());
    let setup =
        Setup { jid: ROMEO, identity: &identity, store: &store, settings, authorities: None, unix_time: NOW, now: 0 };
    Engine::new(&setup).err().map(|error| (error.code, error.words))
}

#[test]
fn each_setting_that_is_named_is_one() {
    let texts = |name: &str| match name {
        "profile" => "strict",
        "answer_offers" => "never",
        "security.minimum_tls" => "1.3",
        "block_size" => "4096",
        "receive_buffer" | "send_buffer" | "stanza_limits.stanza_bytes" | "tunnel_limits.stanza_bytes" => "65536",
        "sole_handler"
        | "replace_tunnels"
        | "offers_password"
        | "offers_insecure"
        | "require_negotiation_hash"
        | "stamp_from" => "true",
        name if name.contains("cooldown") || name.contains("forgiven") || name.starts_with("timers.") => "2500",
        _ => "3",
    };
    let all: Vec<_> = CONFIG_SETTINGS.iter().map(|name| (*name, texts(name))).collect();
    assert_eq!(refused(&all), None);
    // Each value reaches the engine's own judgement, or is refused by name before.
    for name in CONFIG_SETTINGS {
        let (code, words) = refused(&[(name, "nonsense")]).expect("no value of any");
        assert!(code == Code::Setting && words.contains(name), "{words}");
    }
    for (name, value) in
        [("timers.answer", "0"), ("block_size", "255"), ("window", "33"), ("security.guesses.in_a_row", "0")]
    {
        let (code, words) = refused(&[(name, value)]).expect("out of bounds");
        assert!(code == Code::Config && words.contains(name), "{words}");
    }
}

#[test]
fn what_is_no_setting_is_refused_by_name() {
    for settings in [&[("colour", "red")][..], &[("window", "3"), ("window", "4")], &[("timers.answer", "-1")]] {
        let (code, words) = refused(settings).expect("refused");
        assert!(code == Code::Setting && words.contains(settings[0].0), "{words}");
    }
}

#[test]
fn the_options_of_a_tunnel_are_read_or_refused_by_name() {
    let mut pair = Pair::new();
    let mut refused =
        |settings: &Settings<'_>| pair.ends[0].initiate(NOW, JULIET, settings).map_err(|error| error.code);
    assert_eq!(refused(&[]), Err(Code::Setting), "there is no default for trust");
    assert_eq!(refused(&[("trust", "anybody")]), Err(Code::Setting));
    assert_eq!(refused(&[("trust", "pinned"), ("colour", "red")]), Err(Code::Setting));
    assert_eq!(refused(&[("trust", "pinned"), ("check_support", "yes")]), Err(Code::Setting));
    assert_eq!(refused(&[("trust", "pinned"), ("password", "")]), Err(Code::PasswordEmpty));
    assert_eq!(refused(&[("trust", "pinned"), ("sid", "")]), Err(Code::Sid));
    assert_eq!(refused(&[("trust", "authorities"), ("application", "urn:xmpp:jingle:1")]), Err(Code::Setting));
    let all = [
        ("trust", "ask"),
        ("application", "urn:example:chess"),
        ("password", "rose"),
        ("ask_password", "true"),
        ("allow_downgrade", "true"),
        ("check_support", "false"),
        ("sid", "chess1"),
    ];
    assert_eq!(all.map(|(name, _)| name), OPTION_SETTINGS);
    assert!(refused(&all).is_ok());
    let mut refused = |peer: &str| pair.ends[0].initiate(NOW, peer, &[("trust", "pinned")]).map_err(|error| error.code);
    assert_eq!(refused("juliet@capulet.lit"), Err(Code::Address), "no resource");
    assert_eq!(refused(ROMEO), Err(Code::OwnAddress));
    assert_eq!(refused("paris@verona.lit/x"), Err(Code::NotPinned));
}
