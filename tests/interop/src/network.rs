//! Networks of a test's own, with a router that loses, refuses or translates what it is told to.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use crate::wait;

/// A network namespace. It has no name, and so ends with its last process; each of these ends with the test, however that ends.
#[derive(Debug)]
pub struct Namespace {
    /// It does nothing, inside of the namespace.
    holder: Child,
}

/// Alice, Bob and a server, each at a machine with an address of its own, and a router between the three.
#[derive(Debug)]
pub struct Network {
    /// Where Alice is.
    pub alice: Namespace,
    /// Where Bob is.
    pub bob: Namespace,
    /// Where the server is.
    pub server: Namespace,
    router: Namespace,
}

impl Namespace {
    /// One with no interface but that of its own host.
    fn unnamed() -> Self {
        let mut command = mortal("unshare");
        command.args(["--net", "sleep", "infinity"]);
        let holder = command.spawn().expect("unshare and setpriv are installed (on Debian: util-linux)");
        let mut made = Self { holder };
        let own = std::fs::read_link("/proc/self/ns/net").expect("there are network namespaces");
        wait::until("a network namespace", || {
            let ended = made.holder.try_wait().expect("its state is known");
            assert!(ended.is_none(), "no network namespace can be made: run this as root");
            std::fs::read_link(made.path()).ok().filter(|link| *link != own)
        });
        made.ip("link set lo up");
        made
    }

    /// A program inside of it, that ends with the test.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        inside(Some(&self.path()), program)
    }

    /// What [`inside`] takes.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.holder.id())
    }

    fn run(&self, program: &str, arguments: &[&str], input: &str) -> String {
        let mut command = self.command(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("nsenter is installed");
        let mut stdin = child.stdin.take().expect("it is a pipe");
        stdin.write_all(input.as_bytes()).expect("it reads its input");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        assert!(
            output.status.success(),
            "{program} {arguments:?} {input}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn ip(&self, arguments: &str) {
        self.run("ip", &arguments.split(' ').collect::<Vec<_>>(), "");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

impl Network {
    /// Where Alice is reached.
    pub const ALICE: &str = "10.1.0.2";
    /// Where Bob is reached.
    pub const BOB: &str = "10.2.0.2";
    /// Where the server takes clients.
    pub const SERVER: &str = "10.3.0.2";
    /// Where the server takes those who want its proxy.
    pub const PROXY: &str = "10.3.0.3";
    /// All of them.
    pub const ALL: &str = "10.0.0.0/8";

    /// Everybody reaches everybody, except as these rules of nft (its chain of what is forwarded) have it. There the router's interfaces
    /// are called `alice`, `bob` and `server`.
    ///
    /// # Panics
    ///
    /// When it cannot be had: only root can, with the packages iproute2 and nftables.
    #[must_use]
    pub fn with(rules: &[String]) -> Self {
        let network = Self {
            alice: Namespace::unnamed(),
            bob: Namespace::unnamed(),
            server: Namespace::unnamed(),
            router: Namespace::unnamed(),
        };
        let places = [
            (&network.alice, "alice", Self::ALICE),
            (&network.bob, "bob", Self::BOB),
            (&network.server, "server", Self::SERVER),
        ];
        for (end, name, address) in places {
            let gateway = address.replace(".0.2", ".0.1");
            network.router.ip(&format!("link add {name} type veth peer name lan netns {}", end.holder.id()));
            network.router.ip(&format!("addr add {gateway}/24 dev {name}"));
            network.router.ip(&format!("link set {name} up"));
            end.ip(&format!("addr add {address}/24 dev lan"));
            end.ip("link set lan up");
            end.ip(&format!("route add default via {gateway}"));
        }
        network.server.ip(&format!("addr add {}/24 dev lan", Self::PROXY));
        network.router.run("sh", &["-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"], "");
        network.follow("add chain ip router forward { type filter hook forward priority 0; }");
        for rule in rules {
            network.follow(&format!("add rule ip router forward {rule}"));
        }
        network
    }

    /// Bob is at home from now on: the router puts its own address in place of his, and lets nobody in who was not called.
    pub fn translate_bob(&self) {
        self.follow("add chain ip router translate { type nat hook postrouting priority srcnat; }");
        self.follow("add rule ip router translate iifname bob masquerade");
        self.follow("add rule ip router forward oifname bob ct state new drop");
    }

    /// How many packets the router has taken out of the traffic by rules with a `counter`.
    ///
    /// # Panics
    ///
    /// When it does not say.
    #[must_use]
    pub fn counted(&self) -> u64 {
        let rules = self.router.run("nft", &["list", "chain", "ip", "router", "forward"], "");
        let counts = rules.split("counter packets ").skip(1);
        counts.map(|rest| rest.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0_u64)).sum()
    }

    fn follow(&self, line: &str) {
        self.router.run("nft", &["-f", "-"], &format!("add table ip router\n{line}\n"));
    }
}

/// A program, inside of the namespace of this file if there is one: then it ends with the test.
pub(crate) fn inside(namespace: Option<&str>, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let Some(namespace) = namespace else { return Command::new(program) };
    let mut command = mortal("nsenter");
    command.arg(format!("--net={namespace}")).arg("--").arg(program);
    command
}

/// A program that ends with the thread that starts it, even if the test is killed.
fn mortal(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]).stdin(Stdio::null());
    command
}
