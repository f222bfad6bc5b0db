//! What the configuration file adds to the command line, which goes before it.

use xtls_stanza::jid::{BareJid, Jid};

use super::{Config, ConfigFile, Nicknames, Policies};
use crate::args::{AccountArgs, Command, LinkArgs, LinkCommand, LoginArgs, TrustArgs, TrustCommand, WayArgs};
use crate::exit::Failure;

impl ConfigFile {
    /// Puts accounts, policies and peers in where the command line leaves that to the file.
    ///
    /// # Errors
    ///
    /// When the file cannot be used, or has not what the command line asks for.
    pub(crate) fn fill(&self, command: &mut Command) -> Result<(), Failure> {
        match command {
            Command::Listen(args) => {
                let config = self.read()?;
                let policies = config.fill(&mut args.account, &mut args.trust)?;
                config.accept_from(&policies, &mut args.accept_from);
                args.nicknames = config.nicknames;
            }
            Command::Chat(args) => {
                let config = self.read()?;
                config.fill(&mut args.account, &mut args.trust)?;
                config.nicknames.put_in(&mut args.peer);
                args.nicknames = config.nicknames;
            }
            Command::Pair(args) => {
                let config = self.read()?;
                // Whom it is for is not known to the file yet.
                config.fill_account(&mut args.account)?;
                args.put_in(|peer| config.nicknames.put_in(peer));
                args.accept_from.iter_mut().for_each(|peer| config.nicknames.put_in_bare(peer));
            }
            Command::Verify(args) => {
                let config = self.read()?;
                config.fill_account(&mut args.account)?;
                args.peer.iter_mut().for_each(|peer| config.nicknames.put_in(peer));
                args.accept_from.iter_mut().for_each(|peer| config.nicknames.put_in_bare(peer));
            }
            Command::Subscribe(args) => {
                let config = self.read()?;
                config.fill_account(&mut args.account)?;
                args.account.is_passing = true;
                args.peer.iter_mut().for_each(|peer| config.nicknames.put_in(peer));
            }
            Command::Pipe(args) => {
                let config = self.read()?;
                let policies = config.fill(&mut args.account, &mut args.trust)?;
                args.peer.iter_mut().for_each(|peer| config.nicknames.put_in(peer));
                if args.listen {
                    config.accept_from(&policies, &mut args.accept_from);
                }
            }
            Command::Send(args) => {
                let config = self.read()?;
                config.fill(&mut args.account, &mut args.trust)?;
                config.nicknames.put_in(&mut args.peer);
            }
            Command::Receive(args) => {
                // Whoever is accepted by the file's word is a peer to talk to; what it sends is asked about.
                self.read()?.fill(&mut args.account, &mut args.trust)?;
            }
            Command::Probe(args) => {
                if let Ok(mut peer) = args.target.parse::<Jid>() {
                    self.name(&mut peer)?;
                    // What is no peer is a server, and stays as it was given.
                    if peer.local().is_some() {
                        args.target = peer.to_string();
                    }
                }
                if args.is_peer() {
                    let (mut account, mut trust) = (args.account(), args.trust());
                    self.read()?.fill(&mut account, &mut trust)?;
                    args.filled = Some(Box::new((account, trust)));
                } else {
                    args.way.fill(&self.read()?.way);
                }
            }
            Command::Link(LinkCommand::Listen(args)) => {
                let config = self.read()?;
                config.link(&mut args.link);
                args.accept_from.iter_mut().for_each(|peer| config.nicknames.put_in_bare(peer));
                args.link.nicknames = config.nicknames;
            }
            Command::Link(LinkCommand::Connect(args)) => {
                let config = self.read()?;
                config.link(&mut args.link);
                config.nicknames.put_in_bare(&mut args.peer);
                args.link.nicknames = config.nicknames;
            }
            Command::Trust(
                TrustCommand::Show { jid }
                | TrustCommand::Add { jid, .. }
                | TrustCommand::Remove { jid }
                | TrustCommand::Reset { jid },
            ) => {
                let mut peer: Jid = jid.clone().into();
                self.name(&mut peer)?;
                *jid = peer.into_bare();
            }
            Command::Trust(TrustCommand::List)
            | Command::Link(LinkCommand::List(_))
            | Command::Demo(_)
            | Command::Account(_)
            | Command::Identity(_)
            | Command::Completions { .. }
            | Command::Man { .. } => {}
        }
        Ok(())
    }

    /// Puts the address in place of a nickname. Of what cannot be one the file is not asked.
    fn name(&self, peer: &mut Jid) -> Result<(), Failure> {
        if peer.local().is_none() && !peer.domain().contains('.') {
            self.read()?.nicknames.put_in(peer);
        }
        Ok(())
    }
}

impl Config {
    /// Fills in the account and the policies, which it gives.
    fn fill(&self, account: &mut AccountArgs, trust: &mut TrustArgs) -> Result<Policies, Failure> {
        self.nicknames.put_in_owners(trust);
        let policies = self.fill_account(account)?;
        // What goes together there goes together here, and what the command line says of strangers is all there is.
        let gives_password = trust.srp_password_file.is_some() || trust.srp_password_prompt;
        if trust.fingerprints.is_empty() && !trust.leap_of_faith && trust.peer_ca_file.is_none() {
            trust.leap_of_faith = policies.leap_of_faith == Some(true) && !gives_password;
            trust.peer_ca_file.clone_from(&policies.peer_ca_file);
        }
        Ok(policies.clone())
    }

    /// Fills in the account, and gives the policies.
    fn fill_account(&self, account: &mut AccountArgs) -> Result<&Policies, Failure> {
        let stored = match (&account.account, &account.jid) {
            (Some(name), _) => Some(self.named(name)?),
            (None, Some(jid)) => self.accounts.iter().find(|stored| stored.jid.to_bare() == jid.to_bare()),
            (None, None) => self.default_account()?,
        };
        let policies = stored.map_or(&self.policies, |stored| &stored.policies);
        if let Some(stored) = stored {
            account.jid.get_or_insert_with(|| stored.jid.clone());
            account.login.fill(&stored.login);
        }
        account.login.way.fill(stored.map_or(&self.way, |stored| &stored.login.way));
        account.profile = account.profile.or(policies.profile);
        Ok(policies)
    }

    /// Whose offers are taken.
    fn accept_from(&self, policies: &Policies, given: &mut Vec<BareJid>) {
        given.iter_mut().for_each(|peer| self.nicknames.put_in_bare(peer));
        if given.is_empty() {
            given.extend(policies.accept_from.iter().flatten().cloned());
        }
    }

    fn link(&self, args: &mut LinkArgs) {
        self.nicknames.put_in_owners(&mut args.trust);
    }
}

impl LoginArgs {
    /// What the command line says of the server goes before all that the file says of it, and so does what makes the server's
    /// certificate acceptable.
    fn fill(&mut self, stored: &Self) {
        let (direct_tls, insecure_plaintext) = (self.direct_tls, self.insecure_plaintext);
        if self.server.is_none() {
            self.server.clone_from(&stored.server);
            self.direct_tls |= stored.direct_tls && !insecure_plaintext;
        }
        if self.ca_file.is_none() && self.server_fingerprints.is_empty() && !insecure_plaintext {
            self.ca_file.clone_from(&stored.ca_file);
            self.server_fingerprints.clone_from(&stored.server_fingerprints);
            self.insecure_plaintext = stored.insecure_plaintext && !direct_tls;
        }
        self.stored_password.clone_from(&stored.stored_password);
    }
}

impl WayArgs {
    /// A login to a proxy is for the proxy that it stands beside.
    pub(crate) fn fill(&mut self, stored: &Self) {
        if self.dns.is_none() {
            self.dns.clone_from(&stored.dns);
        }
        if self.proxy.is_none() {
            self.proxy.clone_from(&stored.proxy);
            if self.proxy_login_file.is_none() {
                self.proxy_login_file.clone_from(&stored.proxy_login_file);
            }
        }
    }
}

impl Nicknames {
    fn put_in(&self, peer: &mut Jid) {
        *peer = self.resolve(peer.clone());
    }

    fn put_in_bare(&self, peer: &mut BareJid) {
        *peer = self.resolve(peer.clone().into()).into_bare();
    }

    /// Those of `--trust BAREJID=FINGERPRINT`.
    fn put_in_owners(&self, trust: &mut TrustArgs) {
        for text in &mut trust.fingerprints {
            let Some((owner, fingerprint)) = text.rsplit_once('=') else { continue };
            // What is no address is told where the options are read.
            if let Ok(owner) = owner.parse::<Jid>().map(|owner| self.resolve(owner).into_bare()) {
                *text = format!("{owner}={fingerprint}");
            }
        }
    }
}
