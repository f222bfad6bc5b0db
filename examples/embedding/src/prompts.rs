//! The questions that only a user can answer: for a password, and whether a certificate is the peer's.

use std::io::Write;

use xtls::{Password, TrustDecision, TrustPolicy, TunnelOptions, jid::FullJid, trust::MemoryTrustStore};
use xtls_tokio::{Handle, Question};

use crate::{
    Failure,
    pair::{JULIET, ROMEO, clients, identity},
};

pub(crate) async fn run(out: &mut impl Write) -> Result<(), Failure> {
    for (word, trusts) in [("a rose by any other name", "no"), ("", "yes"), ("", "no")] {
        writeln!(out, "the users type {word:?} and {trusts:?}")?;
        let stores = [MemoryTrustStore::default(), MemoryTrustStore::default()];
        let [romeo, juliet] = clients([identity(ROMEO)?, identity(JULIET)?], stores)?;
        let user = move |prompt: &str| if prompt.contains("password") { word } else { trusts }.to_owned();
        tokio::spawn(answer(juliet.clone(), user));
        let asked = tokio::spawn(answer(romeo.clone(), user));

        let options = TunnelOptions::xml_stream(TrustPolicy::Ask).asking_password();
        let accept = async { juliet.incoming().await?.accept(options.clone()).await.ok() };
        let (called, _accepted) = tokio::join!(romeo.call(JULIET.parse::<FullJid>()?, options.clone()), accept);
        match called {
            Ok(tunnel) => writeln!(out, "secured: {}", tunnel.security().ok_or("it is secured")?)?,
            Err(error) => writeln!(out, "{error}")?,
        }
        romeo.stop().await;
        for prompt in asked.await? {
            writeln!(out, "Romeo was asked: {prompt}")?;
        }
    }
    Ok(())
}

/// Asks the user whatever is to be asked, until the driver ends. Gives what it asked.
async fn answer(handle: Handle, user: impl Fn(&str) -> String) -> Vec<String> {
    let mut prompts = Vec::new();
    while let Some(question) = handle.question().await {
        let peer = question.peer().to_bare();
        let (prompt, answered) = match question {
            Question::Password(question) => {
                let prompt = format!("Which password do you share with {peer}? (empty: none)");
                let password = Password::new(&user(&prompt)).ok();
                (prompt, question.answer(password))
            }
            Question::Certificate(question) => {
                let asked = question.question();
                let changed = if asked.previous.is_empty() { "" } else { " IT HAS CHANGED." };
                let prompt =
                    format!("Is {} the certificate of {peer}?{changed}", asked.certificate.fingerprint_sha256());
                let is_yes = user(&prompt) == "yes";
                (prompt, question.answer(if is_yes { TrustDecision::Accept } else { TrustDecision::Refuse }))
            }
            _ => continue,
        };
        // It fails when the user took too long.
        prompts.push(if answered.is_ok() { prompt } else { format!("{prompt} It was too late.") });
    }
    prompts
}

#[test]
fn a_password_does_and_a_certificate_does_and_neither_does_not() {
    let out = crate::written(async |out| run(out).await);
    let parts: Vec<&str> = out.split("the users type ").skip(1).collect();
    let [password, certificate, nothing] = parts[..] else { panic!("{out}") };
    assert!(password.contains("secured: srp") && !password.contains("the certificate of"), "{out}");
    assert!(certificate.contains("secured: x509") && certificate.contains("asked: Is sha-256:"), "{out}");
    assert!(!nothing.contains("secured: ") && nothing.contains("no tunnel: "), "{out}");
    assert!(!out.contains("too late"), "{out}");
}
