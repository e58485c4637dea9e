//! What a load looked at, so that a later look can tell whether a load would see the same.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use aws_lc_rs::digest;

use crate::config::load::Reader;
use crate::config::load::World;
use crate::config::load::is_policy_file;
use crate::model::secret::Secret;

/// A world that remembers what was asked of it, and reads each file once however often it is asked for.
pub struct Recorder<'w> {
    world: &'w dyn World,
    files: RefCell<BTreeMap<PathBuf, Read>>,
    folders: RefCell<BTreeMap<PathBuf, Seen>>,
}

/// One file as it was read.
struct Read {
    limit: usize,
    content: Result<Secret<Vec<u8>>, io::ErrorKind>,
}

/// What was there: equal only for equal content, or the same failure.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Digest([u8; 32]),
    Failed(io::ErrorKind),
}

impl<'w> Recorder<'w> {
    /// Remember what is asked of `world`.
    pub fn new(world: &'w dyn World) -> Recorder<'w> {
        Recorder { world, files: RefCell::default(), folders: RefCell::default() }
    }

    /// All that was asked for.
    pub fn finish(self) -> Inputs {
        let mut inputs = Inputs { folders: self.folders.into_inner(), ..Inputs::default() };
        for (path, Read { limit, content }) in self.files.into_inner() {
            let seen = match &content {
                Ok(content) => Seen::Digest(digest_of(content.expose())),
                Err(kind) => Seen::Failed(*kind),
            };
            inputs.files.insert(path.clone(), (limit, seen));
            if let Ok(content) = content {
                inputs.contents.insert(path, content);
            }
        }
        inputs
    }
}

impl World for Recorder<'_> {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let mut files = self.files.borrow_mut();
        let read = files.entry(path.to_owned()).or_insert_with(|| {
            let content = self.world.read(path, limit).map(Secret::new).map_err(|error| error.kind());
            Read { limit, content }
        });
        match &read.content {
            Ok(content) if content.expose().len() > limit => Err(io::ErrorKind::FileTooLarge.into()),
            Ok(content) => Ok(content.expose().clone()),
            // The system's own words say more than the kind.
            Err(kind) => Err(self.world.read(path, limit).err().unwrap_or_else(|| (*kind).into())),
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let listed = self.world.list(folder);
        self.folders.borrow_mut().insert(folder.to_owned(), names(&listed));
        listed
    }

    fn reader(&self, path: &Path, limit: usize) -> Reader {
        self.world.reader(path, limit)
    }

    fn env(&self, name: &str) -> Option<OsString> {
        self.world.env(name)
    }

    fn readable_by_others(&self, path: &Path) -> bool {
        self.world.readable_by_others(path)
    }

    // What changes with the machine is no file of the policy.
    fn memory_limit(&self) -> Option<u64> {
        self.world.memory_limit()
    }
}

/// Every file and folder that a load looked at, and what it saw.
#[derive(Default)]
pub struct Inputs {
    /// With the longest that is read of each.
    files: BTreeMap<PathBuf, (usize, Seen)>,
    folders: BTreeMap<PathBuf, Seen>,
    contents: BTreeMap<PathBuf, Secret<Vec<u8>>>,
}

impl Inputs {
    /// The same paths as they are now. Contents are not kept.
    pub fn look_again(&self, world: &dyn World) -> Inputs {
        let look = |(path, (limit, _)): (&PathBuf, &(usize, Seen))| {
            let seen = match world.read(path, *limit).map(Secret::new) {
                Ok(content) => Seen::Digest(digest_of(content.expose())),
                Err(error) => Seen::Failed(error.kind()),
            };
            (path.clone(), (*limit, seen))
        };
        Inputs {
            files: self.files.iter().map(look).collect(),
            folders: self.folders.keys().map(|path| (path.clone(), names(&world.list(path)))).collect(),
            contents: BTreeMap::new(),
        }
    }

    /// Does this hold all that `earlier` holds, unchanged?
    pub fn agrees_with(&self, earlier: &Inputs) -> bool {
        earlier.files.iter().all(|(path, (_, seen))| self.files.get(path).is_some_and(|(_, now)| now == seen))
            && earlier.folders.iter().all(|(path, seen)| self.folders.get(path) == Some(seen))
    }

    /// Was anything looked at that `other` has not looked at?
    pub fn reaches_beyond(&self, other: &Inputs) -> bool {
        self.files.keys().any(|path| !other.files.contains_key(path))
            || self.folders.keys().any(|path| !other.folders.contains_key(path))
    }

    /// Is what both looked at the same?
    pub fn fits(&self, other: &Inputs) -> bool {
        self.files.iter().all(|(path, (_, seen))| other.files.get(path).is_none_or(|(_, there)| there == seen))
            && self.folders.iter().all(|(path, seen)| other.folders.get(path).is_none_or(|there| there == seen))
    }

    /// Add the paths of another, as it saw them, where this has not looked.
    pub fn extend(&mut self, other: &Inputs) {
        for (path, seen) in &other.files {
            self.files.entry(path.clone()).or_insert_with(|| seen.clone());
        }
        for (path, seen) in &other.folders {
            self.folders.entry(path.clone()).or_insert_with(|| seen.clone());
        }
    }

    /// Files and folders, whether they could be read or not.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().chain(self.folders.keys()).map(PathBuf::as_path)
    }

    /// How many files there were.
    pub fn files(&self) -> usize {
        self.files.values().filter(|(_, seen)| matches!(seen, Seen::Digest(_))).count()
    }

    /// What was read, by path.
    pub fn contents(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.contents.iter().map(|(path, content)| (path.as_path(), content.expose().as_slice()))
    }

    /// What was read of one file.
    pub fn content(&self, path: &Path) -> Option<&[u8]> {
        self.contents.get(path).map(|content| content.expose().as_slice())
    }

    /// Keep no longer what these files held.
    pub fn forget<'p>(&mut self, paths: impl IntoIterator<Item = &'p Path>) {
        for path in paths {
            self.contents.remove(path);
        }
    }
}

/// Paths only: a file may hold a secret (F6).
impl fmt::Debug for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.paths()).finish()
    }
}

/// A folder is the names of the policy files in it, and of nothing else.
fn names(listed: &io::Result<Vec<PathBuf>>) -> Seen {
    match listed {
        Err(error) => Seen::Failed(error.kind()),
        Ok(paths) => {
            let mut names: Vec<&Path> =
                paths.iter().map(PathBuf::as_path).filter(|path| is_policy_file(path)).collect();
            names.sort();
            let mut text = Vec::new();
            for name in names {
                text.extend_from_slice(name.as_os_str().as_encoded_bytes());
                text.push(0);
            }
            Seen::Digest(digest_of(&text))
        }
    }
}

fn digest_of(content: &[u8]) -> [u8; 32] {
    let mut octets = [0; 32];
    octets.copy_from_slice(digest::digest(&digest::SHA256, content).as_ref());
    octets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::Pretend;

    fn record(world: &Pretend) -> Inputs {
        let recorder = Recorder::new(world);
        let _ = recorder.list(Path::new("/p"));
        for path in ["/p/a.yaml", "/p/keys", "/p/none"] {
            let _ = recorder.read(Path::new(path), 100);
        }
        recorder.finish()
    }

    #[test]
    fn a_look_sees_every_change_and_nothing_else() {
        let world = Pretend::new().file("/p/a.yaml", "a").file("/p/keys", "k").file("/p/.a.yaml.swp", "x");
        let inputs = record(&world);
        for (now, want, what) in [
            (world.clone(), true, "nothing"),
            (world.clone().file("/p/notes.txt", "x"), true, "a file that is none of ours"),
            (world.clone().file("/p/.b.yaml", "x"), true, "a hidden file"),
            (world.clone().file("/p/keys", "K"), false, "a named file"),
            (world.clone().file("/p/a.yaml", "ab"), false, "the policy"),
            (world.clone().file("/p/b.yaml", "b"), false, "a file more"),
            (world.clone().file("/p/none", ""), false, "a file that was missing"),
            (Pretend::new().file("/p/a.yaml", "a"), false, "a file less"),
        ] {
            assert_eq!(inputs.look_again(&now).agrees_with(&inputs), want, "{what}");
        }
    }

    #[test]
    fn a_file_is_read_once() {
        let world = Pretend::new().file("/p/keys", "before");
        let recorder = Recorder::new(&world);
        assert_eq!(recorder.read(Path::new("/p/keys"), 100).expect("a file"), b"before");
        assert!(recorder.read(Path::new("/p/keys"), 2).is_err(), "each caller has its own limit");
        let inputs = recorder.finish();
        assert_eq!(inputs.content(Path::new("/p/keys")), Some(&b"before"[..]));
        assert_eq!(format!("{inputs:?}"), "{\"/p/keys\"}");
    }
}
