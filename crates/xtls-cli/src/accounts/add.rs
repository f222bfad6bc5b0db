//! `xtls account add`: asks for what it needs, tries it, and writes it down.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::Path;

use xtls_stanza::jid::Jid;

use super::show;
use crate::account::{self, Account, CLIENT_PORT, Server};
use crate::args::AddArgs;
use crate::config::{Config, ConfigFile, Policies, StoredAccount, StoredPassword};
use crate::connection::Connection;
use crate::data::DataDir;
use crate::exit::Failure;
use crate::output::Output;
use crate::session;
use crate::trace::{self, Trace};

/// Longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 4096;

pub(super) async fn run(
    output: Output,
    data: impl FnOnce() -> Result<DataDir, Failure>,
    file: &ConfigFile,
    args: &AddArgs,
) -> Result<(), Failure> {
    // What is wrong with the file is told before anybody is asked anything.
    let config = file.read_or_new()?;
    let asks = output.can_ask() && io::stdin().is_terminal();
    let account = account(args, asks)?;
    config.check_new(&account)?;
    if !args.no_login
        && let Err(failure) = log_in(output, data, &config, &account).await
    {
        if !asks {
            return Err(failure);
        }
        output.failure(&failure);
        if !is_yes(&ask("Add the account all the same? [y/N] ")?) {
            return Err(Failure::new(failure.code, "the account was not added"));
        }
    }
    let config = file.add(&account, args.default)?;
    show(output, &config, config.named(&account.name)?)
}

/// The account that the options and the answers make.
fn account(args: &AddArgs, asks: bool) -> Result<StoredAccount, Failure> {
    let jid = match &args.jid {
        Some(jid) => jid.clone(),
        None if asks => ask_until("Your address, such as juliet@capulet.example: ", own_address)?,
        None => return Err(Failure::usage("an account needs an address: give --jid JID")),
    };
    let Some(local) = jid.local() else {
        return Err(Failure::usage(format!(
            "--jid {jid} has no account name: give one such as juliet@capulet.example"
        )));
    };
    let name = args.name.clone().unwrap_or_else(|| local.to_owned());
    let mut login = args.login.clone();
    if let Some(line) = &args.password_command {
        login.stored_password = Some(StoredPassword::Shell(line.clone()));
    } else if let Some(file) = login.password_file.take() {
        login.stored_password = Some(StoredPassword::File(file));
    } else if asks {
        login.stored_password = ask_until(
            "Password: [enter] to be asked each time, a file that has it, or !COMMAND that prints it: ",
            password_source,
        )?;
    }
    if login.server.is_none() && asks {
        login.server = ask_until("Server: [enter] for the one of the address, or HOST:PORT: ", server)?;
    }
    Ok(StoredAccount { name, jid, login, policies: Policies::default() })
}

/// Logs in and out again.
async fn log_in(
    output: Output,
    data: impl FnOnce() -> Result<DataDir, Failure>,
    config: &Config,
    account: &StoredAccount,
) -> Result<(), Failure> {
    let mut login = account.login.clone();
    // What holds for all accounts will hold for this one.
    login.way.fill(&config.way);
    let mut chosen = Account::new(output, &account.jid, &login)?;
    chosen.avoid_others()?;
    let jid = account.jid.to_bare();
    let identity = crate::identity::own(output, &data()?, &jid, None, true)?;
    // The source that is written down is what is tried.
    let password = match &account.login.stored_password {
        Some(source) => account::stored_password(output, &jid, source)?,
        None => account::password(output, &jid, &account.login)?,
    };
    let untraced = trace::Shared::new(Trace::create(None, output)?);
    let connection = Connection::login(chosen, &password, &identity, untraced).await?;
    session::note(output, &format!("* logged in as {}: it works", connection.jid()))?;
    connection.close().await;
    Ok(())
}

fn own_address(text: &str) -> Result<Jid, String> {
    let jid: Jid = text.parse().map_err(|e: xtls_stanza::jid::JidError| format!("this is no address: {e}"))?;
    if jid.local().is_none() { Err("this has no account before an @".to_owned()) } else { Ok(jid) }
}

fn password_source(text: &str) -> Result<Option<StoredPassword>, String> {
    match text.strip_prefix('!').map(str::trim) {
        Some("") => Err("there is no command after the !".to_owned()),
        Some(line) => Ok(Some(StoredPassword::Shell(line.to_owned()))),
        None if text.is_empty() => Ok(None),
        // Whoever types a password here is told before it is written down as the name of a file.
        None if Path::new(text).is_file() => Ok(Some(StoredPassword::File(text.into()))),
        None => Err("there is no such file; a password itself is never written down".to_owned()),
    }
}

fn server(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    Server::parse("", text, CLIENT_PORT).map(|_| Some(text.to_owned())).map_err(|failure| failure.message)
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.to_lowercase().as_str())
}

/// Asks until the answer is one.
fn ask_until<T>(question: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<T, Failure> {
    loop {
        match read(&ask(question)?) {
            Ok(answer) => return Ok(answer),
            Err(why) => writeln!(io::stderr(), "{why}").map_err(|e| no_terminal(&e))?,
        }
    }
}

/// Asks at the terminal.
///
/// # Errors
///
/// When there is no answer.
fn ask(question: &str) -> Result<String, Failure> {
    let mut prompt = io::stderr().lock();
    write!(prompt, "{question}").and_then(|()| prompt.flush()).map_err(|e| no_terminal(&e))?;
    let mut answer = String::new();
    let count = io::stdin().lock().take(MAX_ANSWER).read_line(&mut answer).map_err(|e| no_terminal(&e))?;
    if count == 0 {
        return Err(Failure::interrupted());
    }
    Ok(answer.trim().to_owned())
}

fn no_terminal(e: &io::Error) -> Failure {
    Failure::other(format!("nobody can be asked: {e}"))
}
