//! From an address to a bound socket. Errors say which setting and what to do.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::Path;
use std::path::PathBuf;

use socket2::Domain;
use socket2::Protocol;
use socket2::SockAddr;
use socket2::SockRef;
use socket2::Socket;
use socket2::Type;

use crate::model::listen::ListenAddress;
use crate::model::listen::UnixSocket;
use crate::server::peer;
use crate::server::peer::PeerRule;

/// A socket that is bound; once it is opened, connections wait in its queue until it is served.
pub struct Bound {
    pub(super) socket: Listening,
    address: ListenAddress,
    peers: Option<PeerRule>,
    setting: &'static str,
}

pub(super) enum Listening {
    Tcp(std::net::TcpListener),
    /// The file first, so that it goes before its socket.
    Unix(Option<SocketFile>, StdUnixListener),
}

/// May another process listen where we do?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// No: who comes second is told so.
    Alone,
    /// Yes, one of the same user that wants it as well (`SO_REUSEPORT`); it takes over the path of a unix socket.
    Shared,
}

impl Bound {
    /// Bind, so that nobody notices yet. `setting` is the key the address stands under, for the error: `listen.grpc`.
    pub fn bind(setting: &'static str, address: &ListenAddress, sharing: Sharing) -> Result<Bound, BindError> {
        let bound = match address {
            ListenAddress::Tcp(address) => tcp(setting, *address, sharing),
            ListenAddress::Unix(socket) => unix(setting, socket, sharing),
        };
        bound.map_err(|source| BindError { setting, address: address.to_string(), source })
    }

    /// Let connections come: from here on they come to us and not to the process that we take over from.
    pub fn open(mut self, sharing: Sharing) -> Result<Bound, BindError> {
        let opened = match (&mut self.socket, &self.address) {
            (Listening::Tcp(listener), _) => listen(SockRef::from(&*listener)),
            // Somebody may have come meanwhile, if only another listener of ours.
            (Listening::Unix(Some(file), _), ListenAddress::Unix(wanted)) => {
                check_free(&wanted.path, sharing).and_then(|()| file.move_to(&wanted.path))
            }
            (Listening::Unix(..), _) => Ok(()),
        };
        match opened {
            Ok(()) => Ok(self),
            Err(source) => Err(BindError { setting: self.setting, address: self.address.to_string(), source }),
        }
    }

    /// Refuse the address of another listener of ours: those who share with another process share with themselves, too.
    pub(super) fn keep_apart<'b>(&self, others: impl IntoIterator<Item = &'b Bound>) -> Result<(), BindError> {
        let is_ours = |other: &Bound| match (&self.address, &other.address) {
            (ListenAddress::Tcp(ours), ListenAddress::Tcp(theirs)) => ours == theirs,
            (ListenAddress::Unix(ours), ListenAddress::Unix(theirs)) => {
                ours.path == theirs.path && !ours.path.as_os_str().is_empty()
            }
            _ => false,
        };
        let Some(other) = others.into_iter().find(|other| is_ours(other)) else { return Ok(()) };
        let source = io::Error::new(io::ErrorKind::InvalidInput, format!("it is that of {}", other.setting));
        Err(BindError { setting: self.setting, address: self.address.to_string(), source })
    }

    /// Take a socket that somebody else has bound. Of `wanted` only holds who may connect.
    pub(super) fn adopt(setting: &'static str, socket: Socket, wanted: &ListenAddress) -> Result<Bound, BindError> {
        adopt(setting, socket, wanted).map_err(|source| BindError { setting, address: wanted.to_string(), source })
    }

    /// Who may connect, of those who may open it.
    pub(super) fn peers(&self) -> Option<PeerRule> {
        self.peers.clone()
    }

    /// The real address: with the port the system chose, when 0 was asked for.
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }
}

/// A listener that could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen at `{address}` ({setting}){}", hint(.source, .setting))]
pub struct BindError {
    setting: &'static str,
    address: String,
    source: io::Error,
}

fn hint(source: &io::Error, setting: &str) -> String {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "; is another postern running? stop it, set {setting} to another address, or start both with --take-over"
            )
        }
        io::ErrorKind::AddrNotAvailable => format!("; this machine does not have that address, set {setting}"),
        io::ErrorKind::PermissionDenied => {
            format!("; choose a port from 1024 up or a folder that this user may write to, in {setting}")
        }
        io::ErrorKind::NotFound => "; create the folder first, and let this user write to it".to_owned(),
        _ => String::new(),
    }
}

/// Connections that wait to be accepted: longer than the largest burst a proxy opens at once, and than one peer can
/// fill; the system caps it by itself.
pub(super) const BACKLOG: i32 = 8192;

fn adopt(setting: &'static str, socket: Socket, wanted: &ListenAddress) -> io::Result<Bound> {
    socket.set_nonblocking(true)?;
    let local = socket.local_addr()?;
    if let Some(address) = local.as_socket() {
        if matches!(wanted, ListenAddress::Unix(UnixSocket { peers: Some(_), .. })) {
            let message = "a TCP socket was handed over, and there is no telling whether one of its `peers` connects: hand over \
                           a unix socket, or leave `peers` out";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let address = ListenAddress::Tcp(address);
        return Ok(Bound { socket: Listening::Tcp(socket.into()), address, peers: None, setting });
    }
    let wanted = match wanted {
        ListenAddress::Unix(wanted) => wanted.clone(),
        ListenAddress::Tcp(_) => UnixSocket::at(PathBuf::new()),
    };
    let peers = wanted.peers.as_ref().map(PeerRule::resolve).transpose()?;
    let path = local.as_pathname().map(Path::to_owned).unwrap_or_default();
    let address = ListenAddress::Unix(UnixSocket { path, ..wanted });
    // Its file is the business of whoever made it.
    Ok(Bound { socket: Listening::Unix(None, socket.into()), address, peers, setting })
}

fn tcp(setting: &'static str, address: SocketAddr, sharing: Sharing) -> io::Result<Bound> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Without it, a restart has to wait for the connections of the last run to time out.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(sharing == Sharing::Shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    let listener = std::net::TcpListener::from(socket);
    let address = ListenAddress::Tcp(listener.local_addr()?);
    Ok(Bound { socket: Listening::Tcp(listener), address, peers: None, setting })
}

/// One that was handed over listens already, as long a queue as its owner wants.
fn listen(socket: SockRef<'_>) -> io::Result<()> {
    if socket.is_listener()? { Ok(()) } else { socket.listen(BACKLOG) }
}

/// The socket is made ready under another name, which nobody knows and nobody else may open, and then takes its place in
/// one step: whoever connects, at whatever moment, finds its final mode, and somebody who listens.
fn unix(setting: &'static str, wanted: &UnixSocket, sharing: Sharing) -> io::Result<Bound> {
    const NOBODY_ELSE: u32 = 0o600;
    let path = &wanted.path;
    let owner = wanted.owner.as_ref().map(peer::user).transpose()?;
    let group = wanted.group.as_ref().map(peer::group).transpose()?;
    let peers = wanted.peers.as_ref().map(PeerRule::resolve).transpose()?;
    check_free(path, sharing)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // The file gets the mode that the socket has when it is bound.
    let socket = fs::File::from(OwnedFd::from(socket));
    // No other socket of this machine has that number, while two containers that share a folder may both be process 1.
    let aside = path.with_file_name(format!(".{:x}", socket.metadata()?.ino()));
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    socket.set_permissions(fs::Permissions::from_mode(NOBODY_ELSE))?;
    let socket = Socket::from(OwnedFd::from(socket));
    socket.bind(&SockAddr::unix(&aside)?)?;
    let file = SocketFile::of(&aside)?;
    if (owner, group) != (None, None) {
        chown(&aside, owner, group).map_err(|error| {
            let message = "the socket cannot be given to that `owner` or `group`: a group of ours, or root, is needed";
            io::Error::new(error.kind(), message)
        })?;
    }
    fs::set_permissions(&aside, fs::Permissions::from_mode(wanted.mode))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let address = ListenAddress::Unix(wanted.clone());
    Ok(Bound { socket: Listening::Unix(Some(file), socket.into()), address, peers, setting })
}

/// A socket file that nobody answers behind is what a killed process left. Anything else is not ours to replace.
fn check_free(path: &Path, sharing: Sharing) -> io::Result<()> {
    let kind = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !kind.is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the path holds a file that is not a socket"));
    }
    if sharing == Sharing::Shared {
        return Ok(());
    }
    let asking = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    asking.set_nonblocking(true)?;
    match asking.connect(&SockAddr::unix(path)?) {
        Ok(()) => Err(io::Error::from(io::ErrorKind::AddrInUse)),
        // Its queue is full: it has no time, and lives.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::Error::from(io::ErrorKind::AddrInUse)),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error),
    }
}

/// The file of a unix socket, removed at the end unless another process has put its own there meanwhile.
pub(super) struct SocketFile {
    path: PathBuf,
    mark: Mark,
}

/// Tells one file from its successor. Inode numbers alone are given out again.
#[derive(PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
    made: (i64, i64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<SocketFile> {
        Ok(SocketFile { path: path.to_owned(), mark: Mark::of(path)? })
    }

    /// Put it in the place of whatever is at `path`.
    fn move_to(&mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        path.clone_into(&mut self.path);
        Ok(())
    }
}

impl Mark {
    fn of(path: &Path) -> io::Result<Mark> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(Mark { device: metadata.dev(), inode: metadata.ino(), made: (metadata.mtime(), metadata.mtime_nsec()) })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if Mark::of(&self.path).is_ok_and(|now| now == self.mark)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(error = %error, path = %self.path.display(), "socket file not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream as StdUnixStream;

    use super::*;
    use crate::model::listen::Account;
    use crate::model::listen::Peers;

    fn bind(setting: &'static str, address: &ListenAddress, sharing: Sharing) -> Result<Bound, BindError> {
        Bound::bind(setting, address, sharing)?.open(sharing)
    }

    fn at(path: &Path) -> ListenAddress {
        ListenAddress::Unix(UnixSocket::at(path))
    }

    fn failure(address: &ListenAddress) -> String {
        match bind("listen.http", address, Sharing::Alone) {
            Ok(_) => panic!("{address} was bound"),
            Err(error) => format!("{:#}", anyhow::Error::from(error)),
        }
    }

    #[test]
    fn port_0_tells_the_real_port() {
        let any = "127.0.0.1:0".parse().expect("address");
        let bound = bind("listen.http", &any, Sharing::Alone).expect("bind");
        assert!(matches!(bound.address(), ListenAddress::Tcp(address) if address.port() != 0));
    }

    fn at_any_port(sharing: Sharing) -> Bound {
        bind("listen.http", &"127.0.0.1:0".parse().expect("address"), sharing).expect("bind")
    }

    #[test]
    fn an_address_is_shared_by_those_who_both_want_it() {
        let (alone, shared) = (at_any_port(Sharing::Alone), at_any_port(Sharing::Shared));
        for (address, sharing, works) in [
            (alone.address(), Sharing::Shared, false),
            (shared.address(), Sharing::Alone, false),
            (shared.address(), Sharing::Shared, true),
        ] {
            assert_eq!(bind("listen.http", address, sharing).is_ok(), works, "{address} {sharing:?}");
        }
    }

    #[test]
    fn the_path_of_a_socket_is_taken_over_by_who_may_share_it() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("grpc.sock");
        let next = || bind("listen.grpc", &at(&path), Sharing::Shared).expect("bind");
        let first = next();
        let _waits_with_the_first = StdUnixStream::connect(&path).expect("connect");
        let second = next();
        let _waits_with_the_second = StdUnixStream::connect(&path).expect("connect");
        for bound in [&first, &second] {
            let Listening::Unix(_, listener) = &bound.socket else { panic!("a unix socket") };
            assert!(listener.accept().is_ok(), "one connection each");
            assert!(listener.accept().is_err(), "one connection each");
        }
        drop(first);
        assert!(path.exists(), "it is the second one's by now");
        drop(second);
        assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 0, "nothing is left");
    }

    #[test]
    fn an_address_in_use_says_so_and_what_to_do() {
        let bound = at_any_port(Sharing::Alone);
        let message = failure(bound.address());
        let want = format!(
            "cannot listen at `{}` (listen.http); is another postern running? stop it, set listen.http to another \
             address, or start both with --take-over: ",
            bound.address()
        );
        // What follows are the system's own words.
        assert!(message.starts_with(&want), "{message}");
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("grpc.sock");
        drop(StdUnixListener::bind(&path).expect("a socket nobody answers behind"));
        let bound = bind("listen.grpc", &at(&path), Sharing::Alone).expect("replaces the stale socket");
        let mode = fs::metadata(&path).expect("socket").permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        assert!(failure(&at(&path)).contains("is another postern running?"));
        drop(bound);
        assert!(!path.exists(), "removed at the end");
    }

    #[test]
    fn a_socket_belongs_to_whom_it_is_given() {
        let folder = tempfile::tempdir().expect("folder");
        let ours = fs::metadata(folder.path()).expect("folder");
        let wanted = |owner: Account| {
            let path = folder.path().join("grpc.sock");
            let group = Some(Account::Number(ours.gid()));
            ListenAddress::Unix(UnixSocket { mode: 0o606, owner: Some(owner), group, ..UnixSocket::at(path) })
        };
        let address = wanted(Account::Number(ours.uid()));
        let _bound = bind("listen.grpc", &address, Sharing::Alone).expect("bind");
        let made = fs::metadata(folder.path().join("grpc.sock")).expect("socket");
        assert_eq!((made.mode() & 0o777, made.uid(), made.gid()), (0o606, ours.uid(), ours.gid()));
        let message = failure(&wanted(Account::Name("no-such-user".to_owned())));
        assert!(message.ends_with("there is no user `no-such-user` in /etc/passwd: write the number"), "{message}");
    }

    #[test]
    fn who_has_no_time_to_accept_lives_too() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("grpc.sock");
        let busy = Socket::new(Domain::UNIX, Type::STREAM, None).expect("socket");
        busy.bind(&SockAddr::unix(&path).expect("address")).expect("bind");
        busy.listen(0).expect("listen");
        let _fills_the_queue = StdUnixStream::connect(&path).expect("connect");
        let (said, heard) = std::sync::mpsc::channel();
        let address = at(&path);
        std::thread::spawn(move || said.send(failure(&address)));
        let message = heard.recv_timeout(std::time::Duration::from_secs(5)).expect("it does not wait");
        assert!(message.contains("is another postern running?"), "{message}");
    }

    #[test]
    fn a_socket_that_is_handed_over_cannot_drop_the_peers() {
        let held = || {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
            socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("bind");
            socket.listen(1).expect("listen");
            socket
        };
        let path = Path::new("/run/postern/grpc.sock");
        let peers = Some(Peers { users: vec![Account::Number(101)], groups: Vec::new() });
        let fenced = ListenAddress::Unix(UnixSocket { peers, ..UnixSocket::at(path) });
        let message = match Bound::adopt("listen.grpc", held(), &fenced) {
            Ok(_) => panic!("anybody may connect"),
            Err(error) => format!("{:#}", anyhow::Error::from(error)),
        };
        assert_eq!(
            message,
            "cannot listen at `unix:/run/postern/grpc.sock` (listen.grpc): a TCP socket was handed over, and there is no \
             telling whether one of its `peers` connects: hand over a unix socket, or leave `peers` out"
        );
        assert!(Bound::adopt("listen.grpc", held(), &at(path)).is_ok(), "`callers` says who may ask");
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("precious");
        fs::write(&path, "text").expect("file");
        assert!(failure(&at(&path)).contains("not a socket"));
        assert_eq!(fs::metadata(&path).expect("file").len(), 4);
    }

    #[test]
    fn a_missing_folder_is_named_as_such() {
        let folder = tempfile::tempdir().expect("folder");
        assert!(failure(&at(&folder.path().join("none/grpc.sock"))).contains("create the folder first"));
    }

    #[test]
    fn the_socket_of_a_successor_is_not_removed() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("grpc.sock");
        let bound = bind("listen.grpc", &at(&path), Sharing::Alone).expect("bind");
        fs::remove_file(&path).expect("the successor removes it");
        let _successor = StdUnixListener::bind(&path).expect("the successor binds");
        drop(bound);
        assert!(path.exists());
    }
}
