//! A chat client with end-to-end encrypted tunnels: chat, files with progress, a password prompt, trust and keys that are kept,
//! and a connection that may break and come back.
//!
//! ```sh
//! XTLS_PASSWORD=secret chat-client romeo@montague.example/orchard juliet@capulet.example DIRECTORY [HOST:PORT]
//! ```
//!
//! What is typed goes to the peer, `/file PATH` sends a file, and the end of the input ends the program. What it remembers is in
//! the directory; files that the peer sends go into `received` there. docs/guide/tokio.md explains the parts.

use std::{env, error::Error, io, path::Path, path::PathBuf, thread, time::Instant};

use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::{fs::File, sync::mpsc};
use tokio_xmpp::{connect::DnsConfig, xmlstream::Timeouts};
use xtls::{Application, Element, Engine, Identity, Local, Password, TrustDecision, TrustPolicy, TunnelOptions};
use xtls::{error::NotAsked, jid::BareJid, jid::FullJid, tls::UnixTime, xml::Disco, xml::DiscoIdentity, xml::ns};
use xtls_store::{IdentityFile, SqliteTrustStore, make_private_dir};
use xtls_tokio::{CallError, End, Handle, Question, Tunnel, tokio_xmpp::NoDelayStartTls, tokio_xmpp::XmppStream};

type Opened = Result<Tunnel, CallError>;
type Result<T, E = Box<dyn Error + Send + Sync>> = core::result::Result<T, E>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let mut next = || arguments.next().ok_or("chat-client FULLJID PEER DIRECTORY [HOST:PORT], and XTLS_PASSWORD");
    let (account, peer): (FullJid, BareJid) = (next()?.parse()?, next()?.parse()?);
    let (directory, password) = (PathBuf::from(next()?), env::var("XTLS_PASSWORD")?);
    let dns = next().map_or_else(|_| DnsConfig::srv_default_client(account.domain()), |at| DnsConfig::addr(&at));
    xtls::rustls::crypto::aws_lc_rs::default_provider().install_default().map_err(|_| "TLS has a provider already")?;

    // Our certificate is made once, since peers know us by it. What is known of them is a database.
    make_private_dir(&directory.join("received"))?;
    let make = || Identity::generate(&account.to_bare(), Default::default(), UnixTime::now());
    let identity = IdentityFile::new(directory.join("identity.pem")).read_or_make(make)?;
    let trust = SqliteTrustStore::open(directory.join("trust.sqlite"))?;

    let (lines, mut typed) = mpsc::channel(8);
    thread::spawn(move || io::stdin().lines().map_while(io::Result::ok).all(|line| lines.blocking_send(line).is_ok()));
    let mut stream = XmppStream::connect(NoDelayStartTls::from(dns), &account.into(), password, Timeouts::default())?;
    // An engine for each login. A connection that is resumed is no new login, and the tunnels go on.
    while let Some(jid) = stream.session().await? {
        println!("online as {jid}, with the certificate {}", identity.fingerprint_sha256());
        let engine = Engine::new(xtls_tokio::setup(Local::new(jid, identity.clone()), trust.clone())?, Instant::now())?;
        let disco = Disco::new(engine.disco_info(DiscoIdentity::new("client", "pc")), "https://chat-client.example")?;
        // The third has all other stanzas, for a client that does more than this.
        let (driver, handle, _) = xtls_tokio::Driver::new(engine, stream);
        let driver = tokio::spawn(driver.with_presence(disco));
        let end = talk(&handle, &peer, &directory, &mut typed).await;
        stream = driver.await?.outer;
        if let End::Shutdown = end {
            break;
        }
    }
    stream.close().await;
    Ok(())
}

/// What happens during one login. Tells how it ended.
async fn talk(handle: &Handle, peer: &BareJid, directory: &Path, typed: &mut mpsc::Receiver<String>) -> End {
    let mut chat = mpsc::channel(1).0;
    loop {
        tokio::select! {
            line = typed.recv() => {
                let Some(line) = line else { return handle.shutdown().await };
                let (handle, peer) = (handle.clone(), peer.clone());
                let call = async move |what| handle.call(peer, options(what)).await;
                match line.strip_prefix("/file ") {
                    Some(path) => spawn(send_file(call(Application::bytes()), path.into())),
                    None if chat.is_closed() => chat = begin_chat(call(Application::XmlStream), Some(line)),
                    None => chat.try_send(line).unwrap_or_else(|error| println!("not sent: {}", error.into_inner())),
                }
            }
            Some(asked) = handle.question() => answer(asked, typed).await.unwrap_or_else(|_| println!("too late")),
            Some(offer) = handle.incoming() => match offer.application() {
                _ if offer.peer().to_bare() != *peer => drop(offer), // which declines it
                Application::XmlStream => chat = begin_chat(offer.accept(options(Application::XmlStream)), None),
                _ => spawn(receive_file(offer.accept(options(Application::bytes())), directory.join("received"))),
            },
            end = handle.ended() => return end,
        }
    }
}

/// By certificates that are known, or a password that both users type, or certificates that they accept.
fn options(what: Application) -> TunnelOptions {
    TunnelOptions::new(what, TrustPolicy::Ask).asking_password()
}

async fn answer(question: Question, typed: &mut mpsc::Receiver<String>) -> Result<(), NotAsked> {
    if let Question::Certificate(asked) = &question {
        let (shown, known) = (asked.question().certificate.fingerprint_sha256(), &asked.question().previous);
        println!("{} shows the certificate {shown}, known were {known:?}. Trust it? (yes)", asked.peer());
    } else {
        println!("Which password do you share with {}? (empty: none)", question.peer());
    }
    match (question, typed.recv().await.unwrap_or_default()) {
        (Question::Password(question), line) => question.answer(Password::new(&line).ok()),
        (Question::Certificate(question), line) if line == "yes" => question.answer(TrustDecision::Accept),
        _ => Ok(()), // A certificate that nobody accepts is refused.
    }
}

/// Begins a chat, and gives what takes the lines that are said in it after the first.
fn begin_chat(tunnel: impl Future<Output = Opened> + Send + 'static, first: Option<String>) -> mpsc::Sender<String> {
    let (sender, mut lines) = mpsc::channel(32);
    let _ = first.map(|line| sender.try_send(line));
    let message = |line: &str| Element::builder("message", ns::CLIENT).open("body", ns::CLIENT).text(line).build();
    spawn(async move {
        let mut tunnel = tunnel.await?.into_xml().map_err(|_| "no XML stream")?;
        println!("chat with {}, {}", tunnel.peer(), tunnel.security().ok_or("it is secured")?);
        loop {
            tokio::select! {
                said = tunnel.next() => match said.transpose()? {
                    // Debug's quotes keep a terminal from obeying what is in it.
                    Some(said) => println!("{:?}", said.child("body", ns::CLIENT).map(|body| body.text()).unwrap_or_default()),
                    None => return Ok("the chat is over".into()),
                },
                Some(line) = lines.recv() => tunnel.send(message(&line)?).await?,
            }
        }
    });
    sender
}

async fn send_file(tunnel: impl Future<Output = Opened>, path: PathBuf) -> Result<String> {
    let (file, name) = (File::open(&path).await?, path.file_name().ok_or("no name")?.to_string_lossy());
    let (size, mut tunnel) = (file.metadata().await?.len(), tunnel.await?.into_bytes().map_err(|_| "no bytes")?);
    tunnel.write_all(format!("{name}\n").as_bytes()).await?;
    tunnel.send_all(file, |acked| println!("{name:?}: {acked} of {size} bytes")).await?;
    Ok(format!("{name:?} {}", if tunnel.receipt().await == xtls::Receipt::Given { "is there" } else { "was sent" }))
}

async fn receive_file(tunnel: impl Future<Output = Opened>, to: PathBuf) -> Result<String> {
    let mut tunnel = BufReader::new(tunnel.await?.into_bytes().map_err(|_| "no bytes")?);
    let name = (&mut tunnel).take(1000).lines().next_line().await?.unwrap_or_default();
    // Its last part, since the peer is not to say where it goes; and no file that is there is written over.
    let path = to.join(Path::new(&name).file_name().ok_or("no name")?);
    let mut file = File::create_new(&path).await?;
    let size = tokio::io::copy_buf(&mut tunnel, &mut file).await?;
    tokio::try_join!(file.sync_all(), tunnel.shutdown())?;
    Ok(format!("{path:?} has come, {size} bytes"))
}

/// Says what came of it.
fn spawn(task: impl Future<Output = Result<String>> + Send + 'static) {
    tokio::spawn(async move { println!("{}", task.await.unwrap_or_else(|error| error.to_string())) });
}
