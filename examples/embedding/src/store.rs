//! What is known of peers, kept in a directory: the first time the users are asked, and every time after that nobody is.

use std::{io::Write, path::Path};

use xtls::{
    Identity, TrustDecision, TrustPolicy, TunnelOptions,
    jid::FullJid,
    tls::{KeyAlgorithm, UnixTime},
};
use xtls_store::{FileTrustStore, IdentityFile, make_private_dir};
use xtls_tokio::{Handle, Question};

use crate::{
    Failure,
    pair::{JULIET, ROMEO, clients},
};

pub(crate) async fn run(directory: &Path, out: &mut impl Write) -> Result<(), Failure> {
    let ((his, his_store), (hers, her_store)) = (open(directory, ROMEO)?, open(directory, JULIET)?);
    let [romeo, juliet] = clients([his, hers], [his_store.clone(), her_store])?;
    let asked = [tokio::spawn(say_yes(romeo.clone())), tokio::spawn(say_yes(juliet.clone()))];

    let options = TunnelOptions::xml_stream(TrustPolicy::Ask);
    let accept = async { Ok(juliet.incoming().await.ok_or("offline")?.accept(options.clone()).await?) };
    let call = async { Ok::<_, Failure>(romeo.call(JULIET.parse::<FullJid>()?, options.clone()).await?) };
    let _tunnels: (xtls_tokio::Tunnel, xtls_tokio::Tunnel) = tokio::try_join!(call, accept)?;

    romeo.stop().await;
    juliet.stop().await;
    let mut questions = 0;
    for asked in asked {
        questions += asked.await?;
    }
    let pins: usize = his_store.read()?.known.iter().map(|(_, record)| record.pins.len()).sum();
    writeln!(out, "{questions} questions, and Romeo has {pins} certificate of Juliet's")?;
    Ok(())
}

/// The certificate and the store of a client, which are made the first time. Your client has both in one directory of its own.
fn open(directory: &Path, jid: &str) -> Result<(Identity, FileTrustStore), Failure> {
    let me = jid.parse::<FullJid>()?.to_bare();
    let directory = directory.join(me.to_string());
    make_private_dir(&directory)?;
    let make = || Identity::generate(&me, KeyAlgorithm::default(), UnixTime::now());
    let identity = IdentityFile::new(directory.join("identity.pem")).read_or_make(make)?;
    Ok((identity, FileTrustStore::open(directory.join("trust.json"))?))
}

/// A user who has compared all fingerprints beforehand. Tells how many questions there were.
async fn say_yes(handle: Handle) -> usize {
    let mut asked = 0;
    while let Some(question) = handle.question().await {
        asked += 1;
        if let Question::Certificate(question) = question {
            let _ = question.answer(TrustDecision::Accept);
        }
    }
    asked
}

#[test]
fn the_second_time_nobody_is_asked() {
    let dir = tempfile::tempdir().expect("a directory");
    let time = || crate::written(async |out| run(dir.path(), out).await);
    assert_eq!(time(), "2 questions, and Romeo has 1 certificate of Juliet's\n");
    assert_eq!(time(), "0 questions, and Romeo has 1 certificate of Juliet's\n");
}
