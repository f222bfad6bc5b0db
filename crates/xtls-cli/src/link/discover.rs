//! Who takes links on the local network: multicast DNS (XEP-0174 §§ 3 and 4).
//!
//! Nothing of it is proven. It says where somebody may be reached; who that is, only the link itself can tell.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use mdns_sd::{DaemonEvent, IfKind, ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo};
use xtls_stanza::jid::Jid;

use super::address;
use crate::args::LinkListArgs;
use crate::clock;
use crate::exit::Failure;
use crate::output::{Output, Report};
use crate::session;

/// The type of the service (XEP-0174 § 3).
const SERVICE: &str = "_presence._tcp.local.";
/// Longest name of an instance, and of a machine, in bytes: a label of DNS (RFC 6763 § 4.1.1).
const MAX_LABEL: usize = 63;
/// Most entries that are kept.
const MAX_FOUND: usize = 256;
/// How long the goodbye may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// An announcement, until it is dropped.
pub(super) struct Announced {
    daemon: ServiceDaemon,
    name: String,
}

impl Announced {
    /// Announces that links for `jid` are taken at this address.
    ///
    /// # Errors
    ///
    /// When the name cannot be announced, or multicast DNS cannot be used.
    pub(super) fn new(output: Output, jid: &Jid, at: SocketAddr) -> Result<Self, Failure> {
        let machine = address::machine().ok_or_else(|| Failure::other("this machine has no name to announce"))?;
        let service = service(jid.as_str(), &machine, at)?;
        let name = service.get_fullname().to_owned();
        let daemon = ServiceDaemon::new().map_err(unusable)?;
        let events = daemon.monitor().map_err(unusable)?;
        thread::spawn(move || {
            // It ends with the daemon.
            while let Ok(event) = events.recv() {
                match event {
                    DaemonEvent::NameChange(change) => output.warn(&format!(
                        "{} is taken on this network: it is announced as {}",
                        change.original, change.new_name
                    )),
                    DaemonEvent::Error(e) => output.warn(&format!("the announcement: {e}")),
                    _ => {}
                }
            }
        });
        daemon.register(service).map_err(unusable)?;
        Ok(Self { daemon, name })
    }
}

impl Drop for Announced {
    /// Says goodbye (XEP-0174 § 9), as far as that can be done quickly.
    fn drop(&mut self) {
        if let Ok(done) = self.daemon.unregister(&self.name) {
            let _ = done.recv_timeout(FAREWELL);
        }
        if let Ok(done) = self.daemon.shutdown() {
            let _ = done.recv_timeout(FAREWELL);
        }
    }
}

/// The records of a link that is taken at this address: PTR, SRV, TXT, and A or AAAA.
///
/// TXT has what the type asks for and no more: who does not want to be found by name, first name or mail need not be.
fn service(name: &str, machine: &str, at: SocketAddr) -> Result<ServiceInfo, Failure> {
    if name.len() > MAX_LABEL || machine.len() > MAX_LABEL {
        return Err(Failure::usage(format!("{name} at {machine} is too long to be announced: give another --jid")));
    }
    let port = at.port().to_string();
    // The first one should be txtvers (XEP-0174 § 3.1).
    let txt = [("txtvers", "1"), ("port.p2pj", port.as_str()), ("status", "avail")];
    let everywhere = at.ip().is_unspecified();
    let addresses = if everywhere { String::new() } else { at.ip().to_string() };
    let host = format!("{machine}.local.");
    let service = ServiceInfo::new(SERVICE, name, &host, addresses, at.port(), &txt[..]).map_err(unusable)?;
    let mut service = if everywhere { service.enable_addr_auto() } else { service };
    if at.is_ipv4() {
        service.set_interfaces(vec![IfKind::IPv4]);
    }
    Ok(service)
}

/// What somebody announces.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    name: String,
    host: String,
    port: u16,
    addresses: Vec<String>,
    txt: BTreeMap<String, String>,
}

impl Found {
    fn new(service: &ResolvedService) -> Self {
        #[allow(clippy::disallowed_methods, reason = "sorted at once")]
        let mut addresses: Vec<String> = service.addresses.iter().map(ToString::to_string).collect();
        addresses.sort();
        let value = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let txt = service.txt_properties.iter().map(|property| (property.key().to_owned(), value(property.val())));
        Self {
            name: instance(&service.fullname),
            host: service.host.clone(),
            port: service.port,
            addresses,
            txt: txt.collect(),
        }
    }
}

/// The part of a whole name before the type, as it was meant (RFC 6763 § 4.3).
fn instance(whole: &str) -> String {
    let escaped = whole.strip_suffix(SERVICE).and_then(|rest| rest.strip_suffix('.')).unwrap_or(whole);
    let mut name = String::new();
    let mut letters = escaped.chars();
    while let Some(letter) = letters.next() {
        name.push(if letter == '\\' { letters.next().unwrap_or(letter) } else { letter });
    }
    name
}

/// `xtls link list`: shows who is there.
///
/// # Errors
///
/// When multicast DNS cannot be used, or standard output not be written.
pub(super) fn list(output: Output, args: &LinkListArgs) -> Result<(), Failure> {
    let daemon = ServiceDaemon::new().map_err(unusable)?;
    let events = daemon.browse(SERVICE).map_err(unusable)?;
    let until = clock::now() + Duration::from_secs(args.seconds);
    let mut found = BTreeMap::new();
    while let Ok(event) = events.recv_deadline(until) {
        match event {
            ServiceEvent::ServiceResolved(service) if has_room(&found, &service.fullname) => {
                found.insert(service.fullname.clone(), Found::new(&service));
            }
            ServiceEvent::ServiceRemoved(_, whole) => drop(found.remove(&whole)),
            _ => {}
        }
    }
    if let Ok(done) = daemon.shutdown() {
        let _ = done.recv_timeout(FAREWELL);
    }
    for Found { name, host, port, addresses, txt } in found.values() {
        session::tell(output, &Report::Found { name, host, port: *port, addresses, txt })?;
    }
    if found.is_empty() {
        session::note(output, "* nobody announces links here: xtls link listen 0.0.0.0 --announce")?;
    }
    Ok(())
}

fn unusable(e: mdns_sd::Error) -> Failure {
    Failure::other(format!("multicast DNS cannot be used: {e}"))
}

/// Whether an entry of this name is kept.
fn has_room<V>(found: &BTreeMap<String, V>, name: &str) -> bool {
    found.len() < MAX_FOUND || found.contains_key(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::exit::Code;

    fn announced(name: &str, at: &str) -> ServiceInfo {
        service(name, "pronto", at.parse().unwrap()).unwrap()
    }

    #[test]
    fn xep_0174_3_the_records_name_user_machine_and_port_and_nothing_personal() {
        let service = announced("juliet@pronto", "10.2.1.187:5562");
        assert_eq!(service.get_type(), "_presence._tcp.local.");
        assert_eq!(service.get_fullname(), "juliet@pronto._presence._tcp.local.");
        assert_eq!((service.get_hostname(), service.get_port()), ("pronto.local.", 5562));
        assert!(!service.is_addr_auto());
        let resolved = service.as_resolved_service();
        let txt: Vec<_> = resolved.txt_properties.iter().map(|one| (one.key(), one.val_str())).collect();
        assert_eq!(txt, [("txtvers", "1"), ("port.p2pj", "5562"), ("status", "avail")]);
        assert!(announced("juliet@pronto", "0.0.0.0:1").is_addr_auto());
        assert!(announced("juliet@pronto", "[::]:1").is_addr_auto());
    }

    #[test]
    fn what_is_announced_is_what_is_found() {
        for name in ["juliet@pronto", "juliet@capulet.example", r"a\b.c@d", "jülïet@pronto"] {
            let found = Found::new(&announced(name, "10.2.1.187:5562").as_resolved_service());
            assert_eq!(found.name, name);
            assert_eq!((found.host.as_str(), found.port), ("pronto.local.", 5562));
            assert_eq!(found.addresses, ["10.2.1.187"]);
            assert_eq!(found.txt["port.p2pj"], "5562");
        }
    }

    #[test]
    fn xep_0174_3_1_a_peer_that_says_nothing_in_txt_is_found_too() {
        let silent = ServiceInfo::new(SERVICE, "romeo@forza", "forza.local.", "10.2.1.188", 5562, None).unwrap();
        let found = Found::new(&silent.as_resolved_service());
        assert_eq!((found.name.as_str(), found.port, found.txt.len()), ("romeo@forza", 5562, 0));
    }

    #[test]
    fn rfc_6763_4_1_1_a_label_at_the_limit_is_announced_and_one_past_it_is_not() {
        let at = "10.2.1.187:5562".parse().unwrap();
        let name = |length: usize| format!("{}@pronto", "x".repeat(length - 7));
        assert!(service(&name(MAX_LABEL), "pronto", at).is_ok());
        assert_eq!(service(&name(MAX_LABEL + 1), "pronto", at).unwrap_err().code, Code::Usage);
        assert_eq!(service("juliet@pronto", &"x".repeat(MAX_LABEL + 1), at).unwrap_err().code, Code::Usage);
    }

    #[test]
    fn names_of_strangers_are_taken_as_they_come() {
        assert_eq!(instance(r"a\.b\\c._presence._tcp.local."), r"a.b\c");
        assert_eq!(instance("a (2)._presence._tcp.local."), "a (2)");
        for odd in ["", r"\", "elsewhere._other._udp.local."] {
            assert_eq!(instance(odd), odd);
        }
    }

    #[test]
    fn two_hundred_and_fifty_six_entries_are_kept_and_not_one_more() {
        let mut found = BTreeMap::new();
        for number in 0..MAX_FOUND {
            assert!(has_room(&found, &number.to_string()), "{number}");
            found.insert(number.to_string(), ());
        }
        // One that is told of again is kept as it is told.
        assert!(!has_room(&found, "another") && has_room(&found, "7"));
    }
}
