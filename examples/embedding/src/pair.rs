//! Two clients with a queue in memory in the place of their server: what the other models stand on.

use std::time::Instant;

use xtls::{
    Engine, Identity, Local,
    jid::FullJid,
    tls::{KeyAlgorithm, UnixTime},
    trust::{MemoryTrustStore, Pin, TrustStore},
    xml::{Disco, DiscoIdentity},
};
use xtls_tokio::{
    Driver, Handle,
    memory::{self, MemoryStream},
};

use crate::Failure;

pub(crate) const ROMEO: &str = "romeo@montague.example/orchard";
pub(crate) const JULIET: &str = "juliet@capulet.example/balcony";

/// Two clients with these identities and stores, which run in this runtime.
pub(crate) fn clients(
    [his, hers]: [Identity; 2],
    [his_store, her_store]: [impl TrustStore + 'static; 2],
) -> Result<[Handle; 2], Failure> {
    let (romeo, juliet) = (ROMEO.parse()?, JULIET.parse()?);
    let (his_stream, her_stream) = memory::pair(&romeo, &juliet, 32);
    Ok([client(romeo, his, his_store, his_stream)?, client(juliet, hers, her_store, her_stream)?])
}

/// Two who know one another's certificates.
pub(crate) fn friends() -> Result<[Handle; 2], Failure> {
    let [his, hers] = [identity(ROMEO)?, identity(JULIET)?];
    let mut stores = [MemoryTrustStore::default(), MemoryTrustStore::default()];
    stores[0].pin(&JULIET.parse::<FullJid>()?.to_bare(), Pin::manual(hers.fingerprint_sha256()));
    stores[1].pin(&ROMEO.parse::<FullJid>()?.to_bare(), Pin::manual(his.fingerprint_sha256()));
    clients([his, hers], stores)
}

pub(crate) fn identity(jid: &str) -> Result<Identity, Failure> {
    Ok(Identity::generate(&jid.parse::<FullJid>()?.to_bare(), KeyAlgorithm::EcdsaP256, UnixTime::now())?)
}

fn client(
    jid: FullJid,
    identity: Identity,
    store: impl TrustStore + 'static,
    stream: MemoryStream,
) -> Result<Handle, Failure> {
    let engine = Engine::new(xtls_tokio::setup(Local::new(jid, identity), store)?, Instant::now())?;
    let disco = Disco::new(engine.disco_info(DiscoIdentity::new("client", "pc")), "https://client.example")?;
    let (driver, handle, _) = Driver::new(engine, stream);
    tokio::spawn(driver.with_disco(disco));
    Ok(handle)
}
