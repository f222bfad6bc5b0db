//! Files in a tunnel, and by tunnels of their own.

use futures::{SinkExt, StreamExt};
use xtls::{Config, jid::FullJid};
use xtls_tokio::{
    FileTunnel, FileTurn, Incoming,
    memory::MemoryStream,
    xtls_files::{FileEnd, FileEvent, FileHasher, FileId, FileInfo, Files, FilesConfig},
};

use crate::common::{Client, JULIET, body, message, noise, raw, run, two, xml_between};

/// How one end came out.
#[derive(Default)]
struct Outcome {
    got: Vec<u8>,
    said: Vec<String>,
    tunnels: usize,
    end: Option<FileEnd>,
}

/// Sends this file, and takes whatever comes, until it has ended.
async fn serve(
    client: &Client<MemoryStream>,
    tunnel: &mut FileTunnel,
    file: &[u8],
    takes: impl Fn(&Incoming) -> bool,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut sent = 0;
    let mut write = |tunnel: &mut FileTunnel, id: FileId| {
        while let Some(rest) = file.get(sent..).filter(|rest| !rest.is_empty()) {
            let taken = tunnel.with_files(|files, now| files.write(now, id, rest)).unwrap();
            if taken == 0 {
                break;
            }
            sent += taken;
        }
    };
    loop {
        tokio::select! {
            turn = tunnel.next() => match turn {
                None | Some(Err(_)) => return outcome,
                Some(Ok(FileTurn::Stanza(stanza))) => outcome.said.push(body(&stanza)),
                Some(Ok(FileTurn::File(event))) => match *event {
                    FileEvent::Offered { id, .. } => {
                        tunnel.with_files(|files, now| files.accept(now, id, FileHasher::default())).unwrap();
                    }
                    FileEvent::Accepted { id, .. } | FileEvent::Writable { id } => write(tunnel, id),
                    FileEvent::Readable { id } => {
                        tunnel.with_files(|files, now| files.read(now, id, &mut outcome.got));
                    }
                    FileEvent::Checked { id, compared } => {
                        assert!(compared);
                        tunnel.with_files(|files, now| files.stored(now, id)).unwrap();
                    }
                    FileEvent::Ended { end, .. } => {
                        outcome.end = Some(end);
                        return outcome;
                    }
                    _ => {}
                },
                Some(Ok(_)) => {}
            },
            incoming = client.handle.incoming() => {
                let incoming = incoming.unwrap();
                assert!(tunnel.awaits(&incoming));
                if takes(&incoming) {
                    outcome.tunnels += 1;
                    tunnel.accept(incoming);
                }
            }
        }
    }
}

async fn file_tunnels(clients: &[Client<MemoryStream>; 2], tunnels: bool) -> [FileTunnel; 2] {
    let mut config = FilesConfig::default();
    config.tunnels = tunnels;
    let [romeo, juliet] = xml_between(clients).await;
    let with = |xml, at: usize| {
        FileTunnel::new(xml, clients[at].handle.clone(), [u8::try_from(at).unwrap(); 32], raw(), config.clone())
    };
    [with(romeo, 0), with(juliet, 1)]
}

#[test]
fn a_file_goes_inside_of_the_tunnel_or_by_one_of_its_own_and_messages_go_on_beside_it() {
    for by_tunnel in [false, true] {
        run(async {
            let file = noise(3_000_000);
            let clients = two(&Config::default());
            let [mut romeo, mut juliet] = file_tunnels(&clients, by_tunnel).await;
            romeo.with_files(|files, now| files.offer(now, FileInfo::new("letter", 3_000_000))).unwrap();
            romeo.send(message("it comes")).await.unwrap();
            let sends = serve(&clients[0], &mut romeo, &file, |_| true);
            let takes = serve(&clients[1], &mut juliet, &[], |_| true);
            let (sent, taken) = tokio::join!(sends, takes);
            assert_eq!((sent.end, taken.end), (Some(FileEnd::Success), Some(FileEnd::Success)));
            assert!(taken.got == file);
            assert_eq!(taken.said, ["it comes"]);
            assert_eq!((sent.tunnels, taken.tunnels), (0, usize::from(by_tunnel)));
            romeo.send(message("and now")).await.unwrap();
            let Some(Ok(FileTurn::Stanza(stanza))) = juliet.next().await else { panic!("the stream goes on") };
            assert_eq!(body(&stanza), "and now");
        });
    }
}

#[test]
fn a_tunnel_that_cannot_be_had_ends_the_session_and_the_file_goes_inside() {
    run(async {
        let file = noise(200_000);
        let clients = two(&Config::default());
        let [mut romeo, mut juliet] = file_tunnels(&clients, true).await;
        let offer = |files: &mut Files, now| files.offer(now, FileInfo::new("letter", 200_000));
        romeo.with_files(offer).unwrap();
        // What is dropped is declined.
        let (sent, taken) = tokio::join!(
            serve(&clients[0], &mut romeo, &file, |_| true),
            serve(&clients[1], &mut juliet, &[], |_| false)
        );
        assert_eq!((sent.end, taken.end), (Some(FileEnd::TransportFailed), Some(FileEnd::TransportFailed)));
        romeo.with_files(|files, _| files.use_tunnels(false));
        romeo.with_files(offer).unwrap();
        let (sent, taken) = tokio::join!(
            serve(&clients[0], &mut romeo, &file, |_| true),
            serve(&clients[1], &mut juliet, &[], |_| false)
        );
        assert_eq!((sent.end, taken.end), (Some(FileEnd::Success), Some(FileEnd::Success)));
        assert!(taken.got == file);
    });
}

#[test]
fn bytes_that_nobody_has_agreed_on_are_not_awaited() {
    run(async {
        let clients = two(&Config::default());
        let [mut romeo, mut juliet] = file_tunnels(&clients, true).await;
        let call = clients[0].handle.call(JULIET.parse::<FullJid>().unwrap(), raw().named("chosen-by-nobody"));
        let other = async {
            tokio::select! {
                _ = juliet.next() => panic!("nothing is about files"),
                incoming = clients[1].handle.incoming() => incoming.unwrap(),
            }
        };
        let incoming = tokio::select! {
            incoming = other => incoming,
            _ = call => panic!("it is not taken"),
            _ = romeo.next() => panic!("nothing is about files"),
        };
        assert_eq!(incoming.sid(), "chosen-by-nobody");
        assert!(!juliet.awaits(&incoming));
    });
}

#[test]
fn the_end_of_the_stream_ends_what_is_on_its_way() {
    run(async {
        let clients = two(&Config::default());
        let [mut romeo, juliet] = file_tunnels(&clients, false).await;
        romeo.with_files(|files, now| files.offer(now, FileInfo::new("letter", 5))).unwrap();
        drop(juliet);
        let sent = serve(&clients[0], &mut romeo, b"words", |_| true).await;
        assert_eq!(sent.end, Some(FileEnd::Gone));
        assert!(romeo.next().await.is_none_or(|end| end.is_err()));
    });
}
