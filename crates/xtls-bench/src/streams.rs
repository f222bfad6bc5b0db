//! Row `streams`: payload through the streams of `xtls-tokio`, beside the engine driven by hand.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    runtime::{Builder, Runtime},
};
use xtls::tls::KeyAlgorithm;
use xtls_tokio::{ByteTunnel, Driver, Handle, Stanzas, memory};

use crate::{
    clock,
    engines::{Pair, Who, bulk_config, noise, raw},
    failure::Failure,
    plan::Plan,
    references::tls::bulk_provider,
    report::{Line, Target, Unit},
    row::Row,
    stats::{Subject, float, speed},
    transfer::{BLOCKS, Shape},
};

/// Two clients with drivers, and a tunnel between them; one thread polls all of it.
struct Streams {
    runtime: Runtime,
    ends: [ByteTunnel; 2],
    received: Vec<u8>,
    _clients: [(Handle, Stanzas<String>); 2],
}

/// Measures the row, if it is wanted.
pub(crate) fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    if plan.wants(Row::Streams) {
        for block in BLOCKS {
            lines.push(at(plan, block)?);
        }
    }
    Ok(lines)
}

fn at(plan: &Plan, block: usize) -> Result<Line, Failure> {
    let data = noise(Shape::of(block).write);
    let size = u16::try_from(block).map_err(Failure::new)?;
    let mut pair = Pair::bulk(&bulk_config(size), &bulk_provider());
    let mut streams = Streams::open(size);
    streams.send(&data);
    assert!(streams.received == data, "what comes is what was sent");
    let mut subjects = [Subject::new("engine", || pair.send(&data)), Subject::new("streams", || streams.send(&data))];
    plan.sampling().interleave(&mut subjects)?;
    for subject in &subjects {
        let rate = float(data.len()) / subject.median() / 1e6;
        plan.note(format!("blocks of {block}: {} {rate:.1} MB/s of payload", subject.name()));
    }
    let name = format!("payload through streams / the engine alone, blocks of {block}");
    let target = Target::new(Row::Streams, name, Unit::Speed, 0.8, 0.9);
    Ok(target.line(Ok(speed(subjects[1].samples(), subjects[0].samples()))))
}

impl Streams {
    fn open(block: u16) -> Self {
        let [romeo, juliet] = Who::both(KeyAlgorithm::EcdsaP256);
        let config = bulk_config(block);
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let (ends, clients) = runtime.block_on(async {
            let now = clock::now();
            let (there, here) = memory::pair(&romeo.jid, &juliet.jid, 64);
            let engine = |one: &Who, other: &Who| one.engine(config.clone(), &[other], &bulk_provider(), now);
            let (driver, caller, his) = Driver::new(engine(&romeo, &juliet), there);
            drop(tokio::spawn(driver));
            let (driver, listener, hers) = Driver::new(engine(&juliet, &romeo), here);
            drop(tokio::spawn(driver));
            let taken = async { listener.incoming().await.expect("an offer").accept(raw()).await };
            let (called, taken) = tokio::join!(caller.call(juliet.jid.clone(), raw()), taken);
            let ends = [called, taken].map(|tunnel| tunnel.expect("a tunnel").into_bytes().expect("raw bytes"));
            (ends, [(caller, his), (listener, hers)])
        });
        Self { runtime, ends, received: Vec::new(), _clients: clients }
    }

    /// Sends bytes from one end to the other, which reads all of them; and every block is acknowledged.
    fn send(&mut self, data: &[u8]) {
        let Self { runtime, ends: [from, to], received, .. } = self;
        received.resize(data.len(), 0);
        runtime.block_on(async {
            let write = async {
                from.write_all(data).await.expect("it takes bytes");
                from.flush().await.expect("it goes on");
            };
            let (_, read) = tokio::join!(write, to.read_exact(received));
            read.expect("all of it arrives");
            while from.unacked() > 0 {
                tokio::task::yield_now().await;
            }
        });
    }
}
