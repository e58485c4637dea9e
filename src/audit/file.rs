//! The file of the log: appended to by nobody but us, put aside when it is large or old, begun again when somebody else
//! moved it away.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::fs::TryLockError;
use std::io;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::audit::settings::Rotation;
use crate::audit::sink::Sink;
use crate::audit::tail::Tail;

/// Whether the file was moved away is looked at so often, in seconds.
const LOOK_EVERY: i64 = 1;

/// What the names of two files differ by at least.
const ONE: Duration = Duration::from_micros(1);

/// The file that is written to.
pub(super) struct LogFile {
    path: PathBuf,
    rotation: Rotation,
    file: File,
    /// Not a device or a pipe.
    regular: bool,
    size: u64,
    begun: Timestamp,
    looked: Timestamp,
}

impl LogFile {
    /// Open it, made where it is not there, and say how it ends. Where it is empty, that is how the one put aside last
    /// ends.
    pub(super) fn open(path: &Path, rotation: Rotation, now: Timestamp) -> io::Result<(LogFile, Tail)> {
        let mut file = open(path)?;
        let metadata = file.metadata()?;
        let regular = metadata.is_file();
        let mut tail = Tail::default();
        if regular && metadata.len() > 0 {
            tail = Tail::read(&mut file)?;
        } else if regular && let Some(earlier) = aside(path)?.pop() {
            // What is torn there stays: nothing is written to it any more.
            tail.last = Tail::read(&mut File::open(earlier)?)?.last;
        }
        // The age of a file that an earlier process began is not known better than by its last change.
        let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
        let begun = modified.filter(|_| metadata.len() > 0).unwrap_or(now);
        let log = LogFile { path: path.to_owned(), rotation, file, regular, size: metadata.len(), begun, looked: now };
        Ok((log, tail))
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let old = self.rotation.age.is_some_and(|age| now.duration_since(self.begun).unsigned_abs() >= age);
        self.size > 0 && (old || self.rotation.size.is_some_and(|size| self.size >= size))
    }

    /// Put the file aside and begin another.
    fn rotate(&mut self, now: Timestamp) -> io::Result<()> {
        // Names are in the order of the chain, also when the clock was set back and when a name is free again.
        let newest = aside(&self.path)?.last().and_then(|newest| moment_of(&self.path, newest));
        let moment = newest.map_or(now, |newest| now.max(newest + ONE));
        let aside_path = name_aside(&self.path, moment);
        self.file.sync_all()?;
        fs::rename(&self.path, aside_path)?;
        self.begin(now)?;
        if let Some(keep) = self.rotation.keep {
            let files = aside(&self.path)?;
            for old in files.iter().take(files.len().saturating_sub(keep)) {
                fs::remove_file(old)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, now: Timestamp) -> io::Result<()> {
        let file = open(&self.path)?;
        let metadata = file.metadata()?;
        (self.regular, self.size) = (metadata.is_file(), metadata.len());
        (self.file, self.begun) = (file, now);
        Ok(())
    }

    /// Is the file at our path not ours any more?
    fn was_moved(&self) -> io::Result<bool> {
        let ours = self.file.metadata()?;
        match fs::metadata(&self.path) {
            Ok(there) => Ok((there.dev(), there.ino()) != (ours.dev(), ours.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }
}

impl Sink for LogFile {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let written = self.file.write(octets)?;
        self.size += written as u64;
        Ok(written)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.regular { self.file.sync_data() } else { Ok(()) }
    }

    fn tend(&mut self, now: Timestamp, reopen: bool) -> io::Result<()> {
        if !self.regular {
            return Ok(());
        }
        if reopen || now.duration_since(self.looked).as_secs().abs() >= LOOK_EVERY {
            self.looked = now;
            if self.was_moved()? {
                self.file.sync_all()?;
                return self.begin(now);
            }
        }
        if self.is_due(now) { self.rotate(now) } else { Ok(()) }
    }
}

/// Open for appending, so that only we do.
fn open(path: &Path) -> io::Result<File> {
    let device = fs::metadata(path).is_ok_and(|metadata| !metadata.is_file());
    // What an earlier process left is read as well.
    let file = OpenOptions::new().append(true).read(!device).create(!device).mode(0o600).open(path)?;
    match file.metadata()?.is_file().then(|| file.try_lock()) {
        Some(Err(TryLockError::WouldBlock)) => {
            Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process writes to it; give each one its own"))
        }
        Some(Err(TryLockError::Error(error))) => Err(error),
        None | Some(Ok(())) => Ok(file),
    }
}

/// What a file is called when it is put aside: `audit-20270131T120000.000000Z.jsonl`.
fn name_aside(path: &Path, moment: Timestamp) -> PathBuf {
    let (stem, end) = parts(path);
    let mut name = stem;
    name.push(moment.strftime("%Y%m%dT%H%M%S.%6fZ").to_string());
    name.push(end);
    path.with_file_name(name)
}

/// When it was put aside.
fn moment_of(path: &Path, aside: &Path) -> Option<Timestamp> {
    let (stem, end) = parts(path);
    let name = aside.file_name()?.to_str()?;
    name.strip_prefix(stem.to_str()?)?.strip_suffix(end.to_str()?)?.parse().ok()
}

/// What stands before and after the time in the names of files put aside.
fn parts(path: &Path) -> (OsString, OsString) {
    let mut stem = path.file_stem().unwrap_or_default().to_owned();
    stem.push("-");
    let mut end = OsString::new();
    if let Some(extension) = path.extension() {
        end.push(".");
        end.push(extension);
    }
    (stem, end)
}

/// The files put aside, oldest first.
fn aside(path: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (stem, end) = parts(path);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if is_moment_between(&entry.file_name(), &stem, &end) {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// Is it a name that we gave?
fn is_moment_between(name: &OsStr, stem: &OsStr, end: &OsStr) -> bool {
    let rest = name.as_encoded_bytes().strip_prefix(stem.as_encoded_bytes());
    let moment = rest.and_then(|rest| rest.strip_suffix(end.as_encoded_bytes())).unwrap_or_default();
    let shape = b"00000000T000000.000000Z";
    moment.len() == shape.len()
        && moment.iter().zip(shape).all(|(octet, like)| match like {
            b'0' => octet.is_ascii_digit(),
            _ => octet == like,
        })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::audit::chain::Link;
    use crate::audit::chain::hash;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("a time")
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        names.sort();
        names
    }

    fn read(path: &Path) -> String {
        File::open(path).and_then(io::read_to_string).expect("a file")
    }

    fn put(log: &mut LogFile, text: &str) {
        assert_eq!(log.write(text.as_bytes()).expect("written"), text.len());
    }

    #[test]
    fn a_file_is_put_aside_when_it_is_large_or_old_and_the_oldest_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.jsonl");
        fs::write(folder.path().join("audit-notes.jsonl"), "mine").expect("a file of others");
        let rotation = Rotation { size: Some(4), age: Some(Duration::from_secs(60)), keep: Some(2) };
        let (mut log, _) = LogFile::open(&path, rotation, at(0)).expect("opened");
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        log.tend(at(600), false).expect("an empty file is never put aside");
        log.begun = at(0);
        put(&mut log, "1\n");
        log.tend(at(59), false).expect("tended");
        assert_eq!(names(folder.path()), ["audit-notes.jsonl", "audit.jsonl"]);
        log.tend(at(60), false).expect("it is old");
        for number in 0..3 {
            put(&mut log, "12345\n");
            log.tend(at(60), false).unwrap_or_else(|error| panic!("{number}: {error}"));
        }
        put(&mut log, "new\n");
        let names = names(folder.path());
        assert_eq!(names.len(), 4, "{names:?}");
        let moments = ["audit-20270115T080100.000002Z.jsonl", "audit-20270115T080100.000003Z.jsonl"];
        assert_eq!(names[..2], moments, "two moments of one");
        assert_eq!(read(&path), "new\n");
        assert_eq!(moment_of(&path, &name_aside(&path, at(7))), Some(at(7)));
    }

    #[test]
    fn a_file_that_was_moved_away_is_begun_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, moved) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
        let (mut log, _) = LogFile::open(&path, Rotation::default(), at(0)).expect("opened");
        put(&mut log, "1\n");
        fs::rename(&path, &moved).expect("moved");
        log.tend(at(0), false).expect("it was just looked at");
        put(&mut log, "2\n");
        log.tend(at(0), true).expect("somebody says so");
        put(&mut log, "3\n");
        fs::remove_file(&path).expect("removed");
        log.tend(at(1), false).expect("it is looked at every second");
        put(&mut log, "4\n");
        assert_eq!((read(&moved), read(&path)), ("1\n2\n".to_owned(), "4\n".to_owned()));
    }

    #[test]
    fn one_process_at_a_time_writes_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.jsonl");
        let first = LogFile::open(&path, Rotation::default(), at(0)).expect("opened");
        let error = LogFile::open(&path, Rotation::default(), at(0)).err().expect("a second one");
        assert_eq!(error.to_string(), "another process writes to it; give each one its own");
        drop(first);
        LogFile::open(&path, Rotation::default(), at(0)).expect("the first is gone");
    }

    #[test]
    fn an_empty_file_goes_on_after_the_one_put_aside_last() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.jsonl");
        let line = r#"{"schema":1,"seq":9}"#;
        fs::write(name_aside(&path, at(1)), "{\"schema\":1,\"seq\":5}\n").expect("a file");
        fs::write(name_aside(&path, at(2)), format!("{line}\n")).expect("a file");
        let (_, tail) = LogFile::open(&path, Rotation::default(), at(3)).expect("opened");
        assert_eq!(tail.last, Some(Link { seq: 9, digest: hash(line.as_bytes()) }));
    }
}
