//! The machine as a load sees it, and a pretended one for demonstrations and tests.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::load::memory;

/// Reads one file.
pub type Reader = Arc<dyn Fn() -> io::Result<Vec<u8>> + Send + Sync>;

/// Files and environment variables.
pub trait World {
    /// The content of a file; [`io::ErrorKind::FileTooLarge`] when it is longer than `limit` octets.
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>>;

    /// The paths of what lies in a folder, in any order; [`io::ErrorKind::NotADirectory`] for a file.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;

    /// What reads a file again whenever it is called, after the load, too. Other errors as for [`World::read`].
    fn reader(&self, path: &Path, limit: usize) -> Reader;

    /// An environment variable.
    fn env(&self, name: &str) -> Option<OsString>;

    /// May every user of the machine read this file? Not if they cannot enter a folder on the way to it. False where nobody
    /// can say.
    fn readable_by_others(&self, path: &Path) -> bool;

    /// The memory that this process may use, in octets, by its control groups; `None` where nobody limits it.
    fn memory_limit(&self) -> Option<u64>;
}

/// The machine we run on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

impl World for Machine {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        fs::File::open(path)?.take((limit as u64).saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() > limit { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
    }

    fn reader(&self, path: &Path, limit: usize) -> Reader {
        let path = path.to_owned();
        Arc::new(move || Machine.read(&path, limit))
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    fn env(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    fn readable_by_others(&self, path: &Path) -> bool {
        const READ: u32 = 0o004;
        const ENTER: u32 = 0o001;
        let permits = |path: &Path, what: u32| {
            fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & what == what)
        };
        let Ok(path) = fs::canonicalize(path) else { return false };
        permits(&path, READ) && path.ancestors().skip(1).all(|folder| permits(folder, ENTER))
    }

    fn memory_limit(&self) -> Option<u64> {
        memory::limit(self)
    }
}

/// The machine as a running server sees it: nothing but files is read, since a pipe would keep it waiting for ever.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl World for Disk {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let kind = fs::metadata(path)?.file_type();
        if kind.is_file() || kind.is_dir() {
            return Machine.read(path, limit);
        }
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file but a pipe, a socket or a device"))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        Machine.list(folder)
    }

    fn reader(&self, path: &Path, limit: usize) -> Reader {
        Machine.reader(path, limit)
    }

    fn env(&self, name: &str) -> Option<OsString> {
        Machine.env(name)
    }

    fn readable_by_others(&self, path: &Path) -> bool {
        Machine.readable_by_others(path)
    }

    fn memory_limit(&self) -> Option<u64> {
        Machine.memory_limit()
    }
}

/// Files and variables that exist only here.
#[derive(Clone, Default)]
pub struct Pretend {
    files: BTreeMap<PathBuf, Vec<u8>>,
    variables: BTreeMap<String, OsString>,
}

impl Pretend {
    /// A world that holds nothing.
    pub fn new() -> Pretend {
        Pretend::default()
    }

    /// The same world with one more file.
    pub fn file(mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Pretend {
        self.files.insert(path.into(), content.into());
        self
    }

    /// The same world with one more variable.
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<OsString>) -> Pretend {
        self.variables.insert(name.into(), value.into());
        self
    }

    fn is_folder(&self, path: &Path) -> bool {
        self.files.keys().any(|file| file != path && file.starts_with(path))
    }
}

impl fmt::Debug for Pretend {
    /// Names only: a file or a variable may hold a secret (F6).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (files, variables): (Vec<_>, Vec<_>) = (self.files.keys().collect(), self.variables.keys().collect());
        f.debug_struct("Pretend").field("files", &files).field("variables", &variables).finish()
    }
}

impl World for Pretend {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        match self.files.get(path) {
            Some(content) if content.len() > limit => Err(io::ErrorKind::FileTooLarge.into()),
            Some(content) => Ok(content.clone()),
            None if self.is_folder(path) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        if self.files.contains_key(folder) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        if !self.is_folder(folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(self.files.keys().filter(|file| file.parent() == Some(folder)).cloned().collect())
    }

    fn reader(&self, path: &Path, limit: usize) -> Reader {
        let (world, path) = (self.clone(), path.to_owned());
        Arc::new(move || world.read(&path, limit))
    }

    fn env(&self, name: &str) -> Option<OsString> {
        self.variables.get(name).cloned()
    }

    fn readable_by_others(&self, _: &Path) -> bool {
        false
    }

    fn memory_limit(&self) -> Option<u64> {
        memory::limit(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_server_waits_for_no_pipe() {
        let place = tempfile::tempdir().expect("a folder");
        let [pipe, file] = ["pipe", "file"].map(|name| place.path().join(name));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
        fs::write(&file, "x").expect("written");
        let (done, read) = std::sync::mpsc::channel();
        let found = [pipe, file, place.path().to_owned(), PathBuf::from("/dev/zero")];
        std::thread::spawn(move || done.send(found.map(|path| Disk.read(&path, 9).map_err(|error| error.kind()))));
        let read = read.recv_timeout(std::time::Duration::from_secs(10)).expect("nothing is waited for");
        let no_file = || Err(io::ErrorKind::InvalidInput);
        assert_eq!(read, [no_file(), Ok(b"x".to_vec()), Err(io::ErrorKind::IsADirectory), no_file()]);
    }
}
