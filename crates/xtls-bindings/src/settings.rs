//! Options as pairs of a name and a text: what any language can pass, and what can grow without anything breaking.

use core::{fmt, str::FromStr, time::Duration};

use xtls::config::{AnswerOffers, Window};
use xtls::jingle::{Description, Profile};
use xtls::tls::TlsVersion;
use xtls::{Application, Config, Element, Password, TrustPolicy, TunnelOptions};

use crate::{Code, Error, Result};

/// Pairs of a name and a text. A name that is not known is an error, and so is one that comes twice.
pub type Settings<'s> = [(&'s str, &'s str)];

/// The names of what an engine can be set to, besides those of its fields: `xtls::Config` has them, and their bounds and defaults.
/// Times are in milliseconds.
pub const CONFIG_SETTINGS: &[&str] = &[
    "profile",
    "tunnels_per_peer",
    "tunnels",
    "block_size",
    "window",
    "receive_buffer",
    "send_buffer",
    "sole_handler",
    "replace_tunnels",
    "answer_offers",
    "offers_password",
    "offers_insecure",
    "require_negotiation_hash",
    "stamp_from",
    "security.minimum_tls",
    "security.guesses.in_a_row",
    "security.guesses.cooldown",
    "security.guesses.by_name",
    "security.guesses.by_name_forgiven",
    "security.guesses.by_listener",
    "security.guesses.by_listener_forgiven",
    "timers.question",
    "timers.handshake",
    "timers.answer",
    "timers.confirm",
    "timers.close",
    "timers.end",
    "timers.receipt",
    "timers.stall",
    "timers.retry",
    "timers.liveness_idle",
    "timers.gone",
    "timers.drain",
    "timers.reuse",
    "timers.suspended",
    "stanza_limits.stanza_bytes",
    "tunnel_limits.stanza_bytes",
];

/// The names of what a tunnel can be set to. `trust` has to be there: there is no default.
pub const OPTION_SETTINGS: &[&str] =
    &["trust", "application", "password", "ask_password", "allow_downgrade", "check_support", "sid"];

/// The configuration that these settings make of the default.
pub(crate) fn config(settings: &Settings<'_>) -> Result<Config> {
    once(settings)?;
    let mut config = Config::default();
    settings.iter().try_for_each(|(name, value)| configure(&mut config, name, value))?;
    Ok(config)
}

/// The options that these settings say. The application is `offered`, if they name none.
pub(crate) fn options(settings: &Settings<'_>, offered: Option<&Application>) -> Result<TunnelOptions> {
    once(settings)?;
    let get = |wanted| settings.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    let trust = get("trust").ok_or_else(|| Error::new(Code::Setting, "`trust` is missing: there is no default"))?;
    let application = match (get("application"), offered) {
        (Some(name), _) => application(name)?,
        (None, Some(offered)) => offered.clone(),
        (None, None) => Application::XmlStream,
    };
    let mut options = TunnelOptions::new(application, policy(trust)?);
    for &(name, value) in settings {
        match name {
            "trust" | "application" => {}
            "password" => options.terms = options.terms.with_password(Password::new(value)?),
            "ask_password" => {
                if yes(name, value)? {
                    options.terms = options.terms.asking_password();
                }
            }
            "allow_downgrade" => options.terms.allow_downgrade = yes(name, value)?,
            "check_support" => options.check_support = yes(name, value)?,
            "sid" => options.sid = Some(value.to_owned()),
            other => return Err(unknown(other, OPTION_SETTINGS)),
        }
    }
    Ok(options)
}

/// The application that goes by this name: `xml-stream`, `bytes`, or the namespace of a description.
fn application(name: &str) -> Result<Application> {
    match name {
        "xml-stream" => Ok(Application::XmlStream),
        "bytes" => Ok(Application::bytes()),
        namespace => {
            let element = Element::builder("description", namespace).build();
            let description = element.ok().and_then(|element| Description::new(&element).ok());
            let words = || bad("application", namespace, "xml-stream, bytes, or a namespace");
            description.map(Application::Bytes).ok_or_else(words)
        }
    }
}

/// The name of an application, as [`application`] takes it.
pub(crate) fn application_name(application: &Application) -> String {
    match application {
        Application::XmlStream => "xml-stream".to_owned(),
        own if *own == Application::bytes() => "bytes".to_owned(),
        Application::Bytes(description) => description.ns().to_owned(),
        _ => String::new(),
    }
}

fn policy(name: &str) -> Result<TrustPolicy> {
    use TrustPolicy::{Ask, Authorities, LeapOfFaith, Pinned};
    let all = [Pinned, Ask, LeapOfFaith, Authorities];
    let found = all.into_iter().find(|policy| policy.as_str() == name);
    found.ok_or_else(|| bad("trust", name, TrustPolicy::NAMES.join(", ")))
}

fn configure(config: &mut Config, name: &str, value: &str) -> Result<()> {
    let timers = &mut config.timers;
    let guesses = &mut config.security.guesses;
    match name {
        "profile" => {
            config.profile = Profile::parse(value).ok_or_else(|| bad(name, value, "strict, draft02 or tolerant"))?;
        }
        "tunnels_per_peer" => config.tunnels_per_peer = number(name, value)?,
        "tunnels" => config.tunnels = number(name, value)?,
        "block_size" => config.block_size = number(name, value)?,
        "window" => config.window = window(value)?,
        "receive_buffer" => config.receive_buffer = number(name, value)?,
        "send_buffer" => config.send_buffer = number(name, value)?,
        "sole_handler" => config.sole_handler = yes(name, value)?,
        "replace_tunnels" => config.replace_tunnels = yes(name, value)?,
        "answer_offers" => {
            config.answer_offers = match value {
                "never" => AnswerOffers::Never,
                "allowed" => AnswerOffers::Allowed,
                "known" => AnswerOffers::Known,
                _ => return Err(bad(name, value, "never, allowed or known")),
            }
        }
        "offers_password" => config.offers_password = yes(name, value)?,
        "offers_insecure" => config.offers_insecure = yes(name, value)?,
        "require_negotiation_hash" => config.require_negotiation_hash = yes(name, value)?,
        "stamp_from" => config.stamp_from = yes(name, value)?,
        "security.minimum_tls" => {
            config.security.minimum_tls = match value {
                "1.2" => TlsVersion::Tls12,
                "1.3" => TlsVersion::Tls13,
                _ => return Err(bad(name, value, "1.2 or 1.3")),
            }
        }
        "security.guesses.in_a_row" => guesses.in_a_row = number(name, value)?,
        "security.guesses.cooldown" => guesses.cooldown = time(name, value)?,
        "security.guesses.by_name" => guesses.by_name = number(name, value)?,
        "security.guesses.by_name_forgiven" => guesses.by_name_forgiven = time(name, value)?,
        "security.guesses.by_listener" => guesses.by_listener = number(name, value)?,
        "security.guesses.by_listener_forgiven" => guesses.by_listener_forgiven = time(name, value)?,
        "timers.question" => timers.question = time(name, value)?,
        "timers.handshake" => timers.handshake = time(name, value)?,
        "timers.answer" => timers.answer = time(name, value)?,
        "timers.confirm" => timers.confirm = time(name, value)?,
        "timers.close" => timers.close = time(name, value)?,
        "timers.end" => timers.end = time(name, value)?,
        "timers.receipt" => timers.receipt = time(name, value)?,
        "timers.stall" => timers.stall = time(name, value)?,
        "timers.retry" => timers.retry = time(name, value)?,
        "timers.liveness_idle" => timers.liveness_idle = time(name, value)?,
        "timers.gone" => timers.gone = time(name, value)?,
        "timers.drain" => timers.drain = time(name, value)?,
        "timers.reuse" => timers.reuse = time(name, value)?,
        "timers.suspended" => timers.suspended = time(name, value)?,
        "stanza_limits.stanza_bytes" => config.stanza_limits.stanza_bytes = number(name, value)?,
        "tunnel_limits.stanza_bytes" => config.tunnel_limits.stanza_bytes = number(name, value)?,
        other => return Err(unknown(other, CONFIG_SETTINGS)),
    }
    Ok(())
}

/// A window: `adaptive`, or a number of blocks.
pub(crate) fn window(value: &str) -> Result<Window> {
    if value == "adaptive" { Ok(Window::Adaptive) } else { number("window", value).map(Window::Fixed) }
}

fn number<N: FromStr>(name: &str, value: &str) -> Result<N> {
    value.parse().map_err(|_| bad(name, value, "a whole number that is not too large"))
}

fn time(name: &str, value: &str) -> Result<Duration> {
    number(name, value).map(Duration::from_millis)
}

fn yes(name: &str, value: &str) -> Result<bool> {
    number(name, value).map_err(|_| bad(name, value, "true or false"))
}

fn once(settings: &Settings<'_>) -> Result<()> {
    let twice =
        settings.iter().enumerate().find(|(at, (name, _))| settings.iter().take(*at).any(|(one, _)| one == name));
    twice.map_or(Ok(()), |(_, (name, _))| Err(Error::new(Code::Setting, format_args!("`{name}` is there twice"))))
}

/// What a value is not. A password never comes here: [`Password::new`] says what is wrong with one.
fn bad(name: &str, value: &str, wanted: impl fmt::Display) -> Error {
    Error::new(Code::Setting, format_args!("`{name}` is {value:?}, and can be {wanted}"))
}

fn unknown(name: &str, known: &[&str]) -> Error {
    Error::new(Code::Setting, format_args!("there is no setting {name:?}; there are {}", known.join(", ")))
}
