//! Listening sockets that the service manager holds and hands over (systemd's `sd_listen_fds`): what connects while nobody
//! runs waits in them.

use std::io;

use listenfd::ListenFd;
use socket2::Socket;

/// A socket for each listener that was handed one over.
#[derive(Debug, Default)]
pub struct Inherited {
    pub(super) grpc: Option<Socket>,
    pub(super) http: Option<Socket>,
    pub(super) admin: Option<Socket>,
}

/// Why sockets that were handed over cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    #[error(
        "the service manager hands over a socket named `{0}`: write `FileDescriptorName=grpc`, `http` or `admin` in its \
         socket unit"
    )]
    Name(String),
    #[error("the service manager hands over two sockets named `{0}`: a listener has one")]
    Twice(String),
    #[error("the socket named `{name}` that the service manager hands over is no listening stream socket")]
    Kind { name: String, source: io::Error },
}

impl Inherited {
    /// Take what is there. To be called before there are threads, since it clears the environment, so that no child takes
    /// the same. `names` is `LISTEN_FDNAMES`: a name for each socket, separated by colons.
    pub fn take(names: &str) -> Result<Inherited, InheritError> {
        let mut handed = ListenFd::from_env();
        let mut names = names.split(':');
        let mut inherited = Inherited::default();
        for index in 0..handed.len() {
            let name = names.next().unwrap_or_default().to_owned();
            let place = match name.as_str() {
                "grpc" => &mut inherited.grpc,
                "http" => &mut inherited.http,
                "admin" => &mut inherited.admin,
                _ => return Err(InheritError::Name(name)),
            };
            if place.is_some() {
                return Err(InheritError::Twice(name));
            }
            match listening(&mut handed, index) {
                Ok(socket) => *place = Some(socket),
                Err(source) => return Err(InheritError::Kind { name, source }),
            }
        }
        Ok(inherited)
    }
}

fn listening(handed: &mut ListenFd, index: usize) -> io::Result<Socket> {
    let gone = || io::Error::from(io::ErrorKind::NotFound);
    let socket = match handed.take_tcp_listener(index) {
        Ok(listener) => Socket::from(listener.ok_or_else(gone)?),
        Err(_) => Socket::from(handed.take_unix_listener(index)?.ok_or_else(gone)?),
    };
    if socket.is_listener()? { Ok(socket) } else { Err(io::ErrorKind::InvalidInput.into()) }
}
