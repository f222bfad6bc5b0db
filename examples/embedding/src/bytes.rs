//! A file with its progress, and the receipt of the peer itself: acknowledgements come from servers.

use std::io::Write;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use xtls::{Application, Receipt, TrustPolicy, TunnelOptions, jid::FullJid};
use xtls_tokio::Handle;

use crate::{
    Failure,
    pair::{JULIET, friends},
};

pub(crate) async fn run(out: &mut impl Write) -> Result<(), Failure> {
    let [romeo, juliet] = friends()?;
    let receiving = tokio::spawn(receive(juliet));
    let file = vec![7; 2_000_000];
    send(&romeo, JULIET.parse()?, &file, |acked| {
        // A progress bar, in your client.
        let _ = writeln!(out, "{acked} of {}", file.len());
    })
    .await?;
    writeln!(out, "Juliet has {} bytes", receiving.await??.len())?;
    Ok(())
}

async fn send(handle: &Handle, peer: FullJid, file: &[u8], progress: impl FnMut(u64)) -> Result<(), Failure> {
    let mut tunnel = handle.call(peer, options()).await?.into_bytes().map_err(|_| "no bytes")?;
    tunnel.send_all(file, progress).await?;
    match tunnel.receipt().await {
        Receipt::Given => Ok(()),
        _ => Err("the peer has not said that it has the file".into()),
    }
}

async fn receive(handle: Handle) -> Result<Vec<u8>, Failure> {
    let offer = handle.incoming().await.ok_or("offline")?;
    let mut tunnel = offer.accept(options()).await?.into_bytes().map_err(|_| "no bytes")?;
    // Else the receipt is given as soon as all is read.
    tunnel.hold_receipt();
    let mut file = Vec::new();
    // It fails when what came may be a part.
    tunnel.read_to_end(&mut file).await?;
    // Here your client stores it.
    tunnel.give_receipt()?;
    tunnel.shutdown().await?;
    Ok(file)
}

fn options() -> TunnelOptions {
    TunnelOptions::new(Application::bytes(), TrustPolicy::Pinned)
}

#[test]
fn progress_is_told_until_all_is_there() {
    let out = crate::written(async |out| run(out).await);
    let (last, progress) = out.lines().collect::<Vec<_>>().split_last().map(|(l, p)| (*l, p.to_vec())).expect("lines");
    assert_eq!(last, "Juliet has 2000000 bytes");
    let told: Vec<u32> = progress.iter().filter_map(|line| line.strip_suffix(" of 2000000")?.parse().ok()).collect();
    assert!(told.len() == progress.len() && told.is_sorted() && told.last() == Some(&2_000_000), "{out}");
    assert!(told.iter().any(|acked| (1..2_000_000).contains(acked)), "{out}");
}
