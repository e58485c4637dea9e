//! Where to listen: `127.0.0.1:9191`, `[::1]:9191`, `localhost:9191` or `unix:/run/postern/grpc.sock`.

use std::fmt;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// Where to listen. What is absent is not served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listen {
    pub grpc: Option<ListenAddress>,
    pub http: Option<ListenAddress>,
    pub admin: Option<ListenAddress>,
}

/// A place to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// Port 0 lets the system choose.
    Tcp(SocketAddr),
    Unix(UnixSocket),
}

/// A unix socket: its place, and who may connect to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixSocket {
    /// An absolute path.
    pub path: PathBuf,
    /// The mode of its file: who may write to it may connect.
    pub mode: u32,
    /// The owner of its file. Default: the user we run as.
    pub owner: Option<Account>,
    /// The group of its file. Default: the group we run as.
    pub group: Option<Account>,
    /// Only processes of these may connect. Default: whoever may by the mode.
    pub peers: Option<Peers>,
}

impl UnixSocket {
    /// Group members may connect: the proxy runs as another user. Others may not.
    pub const MODE: u32 = 0o660;

    /// One with the default mode, for the user and the group we run as.
    pub fn at(path: impl Into<PathBuf>) -> UnixSocket {
        UnixSocket { path: path.into(), mode: UnixSocket::MODE, owner: None, group: None, peers: None }
    }
}

/// A user or a group of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    Number(u32),
    Name(String),
}

impl FromStr for Account {
    type Err = NoAccount;

    fn from_str(text: &str) -> Result<Account, NoAccount> {
        // The highest number says `leave it` to the system, and is nobody's.
        match text.parse() {
            Ok(u32::MAX) => return Err(NoAccount),
            Ok(number) => return Ok(Account::Number(number)),
            Err(_) => {}
        }
        let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '$');
        match text.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_') && text.chars().all(fits) {
            true => Ok(Account::Name(text.to_owned())),
            false => Err(NoAccount),
        }
    }
}

/// A text that names no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAccount;

/// Processes, by the user or the primary group they run as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    pub users: Vec<Account>,
    pub groups: Vec<Account>,
}

/// Why a text is no address to listen at; each says what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenAddressError {
    #[error("`{0}` is not an address to listen at: write `host:port`, as `127.0.0.1:9191`, or `unix:/path`")]
    Shape(String),
    #[error("`{0}` has no host: write `127.0.0.1{0}` for this machine, or `0.0.0.0{0}` for every address")]
    NoHost(String),
    #[error("`{0}` names a host: write its address, or `localhost`")]
    Name(String),
    #[error("`{0}` is not an absolute path: write `unix:/run/postern/grpc.sock`")]
    RelativePath(String),
    #[error("`{path}` is too long for a unix socket: {length} octets, at most {}", MAX_PATH)]
    LongPath { path: String, length: usize },
}

/// `sun_path` holds 108 octets on Linux and 104 elsewhere, with the final NUL.
const MAX_PATH: usize = 103;

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<ListenAddress, ListenAddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            if !path.starts_with('/') || path.ends_with('/') {
                return Err(ListenAddressError::RelativePath(text.to_owned()));
            }
            if path.len() > MAX_PATH {
                return Err(ListenAddressError::LongPath { path: path.to_owned(), length: path.len() });
            }
            return Ok(ListenAddress::Unix(UnixSocket::at(path)));
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(ListenAddress::Tcp(address));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(ListenAddressError::Shape(text.to_owned()));
        };
        let Ok(port) = port.parse::<u16>() else {
            return Err(ListenAddressError::Shape(text.to_owned()));
        };
        match host {
            "" | "*" => Err(ListenAddressError::NoHost(format!(":{port}"))),
            "localhost" => Ok(ListenAddress::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))),
            _ if host.contains([':', '/', '[', ']']) => Err(ListenAddressError::Shape(text.to_owned())),
            _ => Err(ListenAddressError::Name(text.to_owned())),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Tcp(address) => address.fmt(f),
            ListenAddress::Unix(socket) => write!(f, "unix:{}", socket.path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_they_are_written() {
        for text in ["127.0.0.1:9191", "0.0.0.0:0", "[::1]:9191", "unix:/run/postern/grpc.sock"] {
            assert_eq!(text.parse::<ListenAddress>().map(|address| address.to_string()).as_deref(), Ok(text));
        }
        assert_eq!("localhost:80".parse(), Ok(ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 80)))));
    }

    #[test]
    fn accounts_are_names_or_numbers() {
        for (text, want) in [
            ("0", Ok(Account::Number(0))),
            ("4294967294", Ok(Account::Number(u32::MAX - 1))),
            ("www-data", Ok(Account::Name("www-data".to_owned()))),
            ("_envoy", Ok(Account::Name("_envoy".to_owned()))),
            ("", Err(NoAccount)),
            ("-1", Err(NoAccount)),
            ("4294967295", Err(NoAccount)),
            ("4294967296", Err(NoAccount)),
            ("two words", Err(NoAccount)),
            ("a:b", Err(NoAccount)),
        ] {
            assert_eq!(text.parse::<Account>(), want, "{text}");
        }
    }

    #[test]
    fn a_mistake_says_what_to_write() {
        for (text, want) in [
            ("9191", "`9191` is not an address to listen at: write `host:port`, as `127.0.0.1:9191`, or `unix:/path`"),
            (
                ":9191",
                "`:9191` has no host: write `127.0.0.1:9191` for this machine, or `0.0.0.0:9191` for every address",
            ),
            ("*:80", "`:80` has no host: write `127.0.0.1:80` for this machine, or `0.0.0.0:80` for every address"),
            ("postern.test:80", "`postern.test:80` names a host: write its address, or `localhost`"),
            (
                "127.0.0.1:99999",
                "`127.0.0.1:99999` is not an address to listen at: write `host:port`, as `127.0.0.1:9191`, or \
                 `unix:/path`",
            ),
            (
                "::1:80:",
                "`::1:80:` is not an address to listen at: write `host:port`, as `127.0.0.1:9191`, or `unix:/path`",
            ),
            (
                "http://127.0.0.1:80",
                "`http://127.0.0.1:80` is not an address to listen at: write `host:port`, as `127.0.0.1:9191`, or `unix:/path`",
            ),
            ("unix:run/grpc.sock", "`unix:run/grpc.sock` is not an absolute path: write `unix:/run/postern/grpc.sock`"),
        ] {
            assert_eq!(text.parse::<ListenAddress>().expect_err(text).to_string(), want, "{text}");
        }
        let long = format!("unix:/{}", "a".repeat(103));
        assert!(matches!(long.parse::<ListenAddress>(), Err(ListenAddressError::LongPath { length: 104, .. })));
    }
}
