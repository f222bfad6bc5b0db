//! SOCKS 5 (RFC 1928): another machine connects in our place, and looks up the host's name.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use tokio::net::TcpStream;
use tokio_socks::Error;
use tokio_socks::tcp::Socks5Stream;
use zeroize::Zeroizing;

use super::Target;
use crate::account::{Server, first_line, warn_if_exposed};
use crate::exit::Failure;
use crate::output::Output;

/// Where proxies of this kind are, if nothing else is said (RFC 1928 § 3).
const PROXY_PORT: u16 = 1080;
/// What a file with the login of a proxy is called.
const LOGIN_FILE: &str = "proxy login file";
/// Most bytes of a name or a password (RFC 1929 § 2, by way of RFC 1928 § 3).
const MAX_LOGIN: usize = 255;

/// A proxy, with what it is logged in to with.
#[derive(Clone)]
pub(crate) struct Proxy {
    /// One at least. They are of this proxy, by whatever family.
    addresses: Vec<SocketAddr>,
    shown: String,
    login: Option<Login>,
}

#[derive(Clone)]
struct Login {
    user: String,
    password: Zeroizing<String>,
}

impl Proxy {
    /// Parses `socks5://ADDRESS[:PORT]`; `socks5h`, as some call it where the proxy looks up names, is the same.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words that do not repeat a password.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let rest = ["socks5://", "socks5h://"].iter().find_map(|scheme| url.strip_prefix(scheme));
        let Some(rest) = rest.map(|rest| rest.strip_suffix('/').unwrap_or(rest)) else {
            return Err("a proxy is given as socks5://ADDRESS:PORT, such as socks5://127.0.0.1:9050".to_owned());
        };
        if rest.contains('@') {
            return Err(
                "no name and no password go into the address of a proxy, where others could read them: give a \
                        file with --proxy-login-file, or proxy-login-file in the configuration file, whose first line \
                        is USER:PASSWORD"
                    .to_owned(),
            );
        }
        let Server { host, port } = Server::parse("", rest, PROXY_PORT).map_err(|failure| failure.message)?;
        let hosts = match host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) if host.eq_ignore_ascii_case("localhost") => {
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            }
            Err(_) => {
                return Err(format!(
                    "the proxy has to be an IP address or localhost: the name {host} would have to be looked up, which a \
                     proxy is to save"
                ));
            }
        };
        let addresses = hosts.into_iter().map(|host| SocketAddr::new(host, port)).collect();
        Ok(Self { addresses, shown: rest.to_owned(), login: None })
    }

    /// The same, logged in to with the first line of a file, `USER:PASSWORD`.
    ///
    /// # Errors
    ///
    /// When the file has no such line.
    pub(super) fn with_login(self, output: Output, file: &Path) -> Result<Self, Failure> {
        warn_if_exposed(output, LOGIN_FILE, file);
        let line = first_line(LOGIN_FILE, file)?;
        let parts = line.split_once(':').map(|(user, password)| (user.to_owned(), Zeroizing::new(password.to_owned())));
        let fits = |text: &str| (1..=MAX_LOGIN).contains(&text.len());
        match parts {
            Some((user, password)) if fits(&user) && fits(&password) => {
                Ok(Self { login: Some(Login { user, password }), ..self })
            }
            _ => Err(Failure::usage(format!(
                "the first line of {} is not USER:PASSWORD, each of 1 to {MAX_LOGIN} bytes: check --proxy-login-file",
                file.display()
            ))),
        }
    }

    /// Has the proxy connect to a server.
    ///
    /// # Errors
    ///
    /// Why it does not.
    pub(super) async fn connect(&self, target: &Target) -> Result<TcpStream, Failure> {
        let socket = self.reach().await?;
        let place = (target.host.as_str(), target.port);
        let connected = match &self.login {
            None => Socks5Stream::connect_with_socket(socket, place).await,
            Some(Login { user, password }) => {
                Socks5Stream::connect_with_password_and_socket(socket, place, user, password).await
            }
        };
        connected.map(Socks5Stream::into_inner).map_err(|e| self.refused(target, &e))
    }

    async fn reach(&self) -> Result<TcpStream, Failure> {
        let mut why = String::new();
        for address in &self.addresses {
            match TcpStream::connect(address).await {
                Ok(socket) => return Ok(socket),
                Err(e) => why = e.to_string(),
            }
        }
        Err(Failure::connection(format!(
            "cannot connect to the proxy {}: {why}; check --proxy, and that the proxy runs",
            self.shown
        )))
    }

    /// What the proxy answers in place of a connection.
    fn refused(&self, target: &Target, error: &Error) -> Failure {
        let shown = &self.shown;
        let of_itself = |what: &str| Failure::connection(format!("the proxy {shown} {what}"));
        match error {
            Error::NoAcceptableAuthMethods | Error::AuthorizationRequired => {
                of_itself("wants a login, and takes none that is to be had here; check --proxy-login-file")
            }
            Error::PasswordAuthFailure(_) => of_itself("refuses the login; check --proxy-login-file"),
            Error::InvalidResponseVersion | Error::InvalidReservedByte | Error::UnknownAddressType => {
                of_itself("does not speak SOCKS 5; check --proxy")
            }
            Error::Io(e) => Failure::connection(format!("the proxy {shown} broke off: {e}; check --proxy")),
            // The replies of RFC 1928 § 6, and those of an extension.
            reply => {
                let reply = match reply {
                    Error::UnknownAuthMethod | Error::UnknownError => "a reply that RFC 1928 has not".to_owned(),
                    reply => reply.to_string(),
                };
                Failure::connection(format!(
                    "the proxy {shown} cannot connect to {target}: {reply}; check that the server is there, or give \
                     --server HOST:PORT"
                ))
            }
        }
    }
}

/// Without the password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proxy").field(&self.shown).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::exit::Code;

    #[test]
    fn a_proxy_is_an_address_of_socks_5() {
        let addresses = |url: &str| {
            let addresses = Proxy::parse(url).unwrap().addresses;
            addresses.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(addresses("socks5://127.0.0.1:9050"), ["127.0.0.1:9050"]);
        assert_eq!(addresses("socks5h://192.0.2.1/"), ["192.0.2.1:1080"]);
        assert_eq!(addresses("socks5://[::1]:7"), ["[::1]:7"]);
        assert_eq!(addresses("socks5://localhost:9150"), ["127.0.0.1:9150", "[::1]:9150"]);
        for (url, why) in [
            ("127.0.0.1:9050", "socks5://ADDRESS:PORT"),
            ("http://127.0.0.1:9050", "socks5://ADDRESS:PORT"),
            ("socks4://127.0.0.1:9050", "socks5://ADDRESS:PORT"),
            ("socks5://", "is not HOST:PORT"),
            ("socks5://127.0.0.1:0", "is not HOST:PORT"),
            ("socks5://tor.example:9050", "would have to be looked up"),
        ] {
            let wrong = Proxy::parse(url).unwrap_err();
            assert!(wrong.contains(why), "{url}: {wrong}");
        }
    }

    #[test]
    fn a_login_in_the_address_is_refused_and_not_repeated() {
        let wrong = Proxy::parse("socks5://juliet:secret@127.0.0.1:9050").unwrap_err();
        assert!(wrong.contains("--proxy-login-file") && wrong.contains("proxy-login-file in"), "{wrong}");
        assert!(!wrong.contains("secret") && !wrong.contains("juliet"), "{wrong}");
    }

    #[test]
    fn the_login_is_the_first_line_of_a_file_and_does_not_show() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("login");
        let with = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Proxy::parse("socks5://127.0.0.1:9050").unwrap().with_login(Output::new(false), &path)
        };
        let proxy = with("juliet:se:cret\nmore\n").unwrap();
        let Login { user, password } = proxy.login.as_ref().unwrap();
        assert_eq!((user.as_str(), password.as_str()), ("juliet", "se:cret"));
        assert!(!format!("{proxy:?}").contains("cret"), "{proxy:?}");
        let long = |user: usize, password: usize| format!("{}:{}", "u".repeat(user), "p".repeat(password));
        assert!(with(&long(MAX_LOGIN, MAX_LOGIN)).is_ok());
        let past = [long(MAX_LOGIN + 1, 1), long(1, MAX_LOGIN + 1), long(0, 1), long(1, 0), "secret".to_owned()];
        for text in past {
            let failure = with(&text).unwrap_err();
            assert_eq!(failure.code, Code::Usage);
            assert!(!failure.message.contains("secret") && !failure.message.contains("pp"), "{failure}");
        }
    }
}
