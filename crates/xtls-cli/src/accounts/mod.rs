//! `xtls account`: the accounts of the configuration file.

mod add;

use crate::args::AccountCommand;
use crate::config::{Config, ConfigFile, StoredAccount};
use crate::data::DataDir;
use crate::exit::Failure;
use crate::output::{Account, Output, Report};
use crate::session;

/// `data` opens the data directory, which only a login needs.
pub(crate) async fn run(
    output: Output,
    data: impl FnOnce() -> Result<DataDir, Failure>,
    file: &ConfigFile,
    command: &AccountCommand,
) -> Result<(), Failure> {
    match command {
        AccountCommand::Add(args) => add::run(output, data, file, args).await,
        AccountCommand::List => {
            let config = file.read()?;
            for account in &config.accounts {
                let shown = Account::new(account, config.is_default(account)).brief();
                session::tell(output, &Report::Account(shown))?;
            }
            if config.accounts.is_empty() {
                session::note(output, "* there is no account yet: xtls account add")?;
            }
            Ok(())
        }
        AccountCommand::Show { name } => {
            let config = file.read()?;
            let account = match name {
                Some(name) => config.named(name)?,
                None => config
                    .default_account()?
                    .ok_or_else(|| Failure::usage("there is no account yet: add one with: xtls account add"))?,
            };
            show(output, &config, account)
        }
        AccountCommand::Default { name } => {
            let config = file.set_default(name)?;
            show(output, &config, config.named(name)?)
        }
        AccountCommand::Remove { name } => {
            let config = file.remove(name)?;
            session::note(
                output,
                &format!("* account {name} is removed; its certificate, and what is trusted, are where they were"),
            )?;
            if config.default_account().is_err() {
                session::note(output, "* there is no default account now: xtls account default NAME")?;
            }
            Ok(())
        }
    }
}

fn show(output: Output, config: &Config, account: &StoredAccount) -> Result<(), Failure> {
    session::tell(output, &Report::Account(Account::new(account, config.is_default(account))))
}
