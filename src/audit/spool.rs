//! Lines on the disk on their way to a collector that answers: they outlive the process, and what was not acknowledged
//! is sent again.
//!
//! A folder of numbered files, each a batch. One thread adds lines at the end, another takes whole files from the front;
//! a file that is being sent is not added to.

use std::collections::VecDeque;
use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::fs::OpenOptions;
use std::fs::TryLockError;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use crate::audit::collector::Collector;
use crate::audit::collector::Line;
use crate::audit::settings::SpoolSettings;

/// A batch is no longer than this, in octets, but for a single line that is.
const BATCH_OCTETS: u64 = 1024 * 1024;

/// Modes by which group or others may write.
const OTHERS_WRITE: u32 = 0o022;

/// How the files end.
const ENDING: &str = ".jsonl";

/// Lines that wait on the disk.
pub(super) struct Spool {
    settings: SpoolSettings,
    /// Held as long as we are the only ones here.
    _lock: File,
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Default)]
struct State {
    parts: VecDeque<Part>,
    octets: u64,
    next: u64,
    /// The last of the parts, while it may be added to.
    open: Option<File>,
    /// Nothing more comes; sending is given up at this moment.
    until: Option<Instant>,
    closed: bool,
}

/// A file.
struct Part {
    number: u64,
    octets: u64,
    lines: u64,
}

/// A whole file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) number: u64,
    pub(super) lines: u64,
    pub(super) octets: Vec<u8>,
}

impl Spool {
    /// Use a folder, made where it is not there, with what an earlier process left in it. A line that it could not
    /// finish is cut off.
    pub(super) fn open(settings: &SpoolSettings) -> io::Result<Spool> {
        let folder = &settings.path;
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        if fs::metadata(folder)?.permissions().mode() & OTHERS_WRITE != 0 {
            let message = "others may write to it, and so to the log: `chmod go-w` it, or name another";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(folder.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = "another process uses it; give each one its own";
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, message));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut state = State::default();
        for number in numbers(folder)? {
            let (octets, lines) = mend(&path_of(folder, number))?;
            state.next = number.saturating_add(1);
            if octets > 0 {
                state.octets += octets;
                state.parts.push_back(Part { number, octets, lines });
            }
        }
        Ok(Spool { settings: settings.clone(), _lock: lock, state: Mutex::new(state), bell: Condvar::new() })
    }

    /// Keep the first of these lines, and say how many; an error where there is no room for one.
    pub(super) fn append(&self, lines: &[Line]) -> io::Result<usize> {
        let mut state = self.lock();
        let mut kept = 0;
        while let Some(rest) = lines.get(kept..).filter(|rest| !rest.is_empty()) {
            match self.append_to_one(&mut state, rest) {
                Ok(more) => kept += more,
                Err(_) if kept > 0 => break,
                Err(error) => return Err(error),
            }
        }
        drop(state);
        self.bell.notify_all();
        Ok(kept)
    }

    /// The same, into one file.
    fn append_to_one(&self, state: &mut State, lines: &[Line]) -> io::Result<usize> {
        let full = |part: &Part| part.octets >= BATCH_OCTETS || part.lines >= self.settings.batch as u64;
        if state.open.is_none() || state.parts.back().is_none_or(full) {
            self.begin(state)?;
        }
        let (Some(file), Some(part)) = (state.open.as_mut(), state.parts.back_mut()) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let room = self.settings.size.saturating_sub(state.octets);
        let (mut octets, mut count) = (Vec::new(), 0);
        for line in lines {
            let long = (octets.len() + line.octets.len() + 1) as u64;
            let crowded = part.lines + count >= self.settings.batch as u64 || part.octets + long > BATCH_OCTETS;
            if long > room || (crowded && part.lines + count > 0) {
                break;
            }
            octets.extend_from_slice(&line.octets);
            octets.push(b'\n');
            count += 1;
        }
        if count == 0 {
            return match part.lines {
                0 => Err(io::Error::new(io::ErrorKind::StorageFull, "the spool holds all that it may")),
                // Not into this file.
                _ => {
                    state.open = None;
                    if room > 0 { Ok(0) } else { Err(io::ErrorKind::StorageFull.into()) }
                }
            };
        }
        if let Err(error) = file.write_all(&octets).and_then(|()| file.sync_data()) {
            // What was begun is taken back, and whatever comes goes into another file.
            let _cut_off_at_the_next_start_otherwise = file.set_len(part.octets);
            state.open = None;
            return Err(error);
        }
        part.octets += octets.len() as u64;
        part.lines += count;
        state.octets += octets.len() as u64;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn begin(&self, state: &mut State) -> io::Result<()> {
        state.open = None;
        // An empty one is begun again.
        if state.parts.back().is_some_and(|part| part.lines == 0) {
            let empty = state.parts.pop_back();
            let _left_for_the_next_start = empty.map(|part| fs::remove_file(path_of(&self.settings.path, part.number)));
        }
        // Whatever comes of it, this number is used up: the file may be there even when it cannot be used.
        let number = state.next;
        state.next = number.saturating_add(1);
        let file =
            OpenOptions::new().append(true).create_new(true).mode(0o600).open(path_of(&self.settings.path, number))?;
        File::open(&self.settings.path)?.sync_all()?;
        state.parts.push_back(Part { number, octets: 0, lines: 0 });
        state.open = Some(file);
        Ok(())
    }

    /// The first batch. Waits so long for one, and for it to be whole. Says until when to try where nothing more comes.
    /// A batch whose file somebody has removed is empty.
    pub(super) fn first(&self, wait: Duration) -> io::Result<(Option<Batch>, Option<Instant>)> {
        let empty = |state: &State| state.parts.front().is_none_or(|part| part.lines == 0);
        let whole = |state: &State| {
            let full = |part: &Part| part.octets >= BATCH_OCTETS || part.lines >= self.settings.batch as u64;
            state.parts.len() > 1 || state.parts.front().is_some_and(full)
        };
        let mut state = self.wait(self.lock(), wait, |state| state.until.is_none() && empty(state));
        if !empty(&state) {
            let interval = self.settings.interval;
            state = self.wait(state, interval, |state| state.until.is_none() && !whole(state));
        }
        let until = state.until;
        if empty(&state) {
            return Ok((None, until));
        }
        if state.parts.len() == 1 {
            state.open = None;
        }
        let Some(part) = state.parts.front() else { return Ok((None, until)) };
        let (number, lines) = (part.number, part.lines);
        let (size, path) = (part.octets, path_of(&self.settings.path, number));
        drop(state);
        let mut octets = Vec::new();
        match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            file => drop(file?.take(size).read_to_end(&mut octets)?),
        }
        Ok((Some(Batch { number, lines, octets }), until))
    }

    /// A batch has arrived.
    pub(super) fn done(&self, number: u64) -> io::Result<()> {
        let mut state = self.lock();
        match fs::remove_file(path_of(&self.settings.path, number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        if let Some(part) = state.parts.pop_front_if(|part| part.number == number) {
            state.octets = state.octets.saturating_sub(part.octets);
        }
        Ok(())
    }

    /// Lines that wait.
    pub(super) fn lines(&self) -> u64 {
        self.lock().parts.iter().map(|part| part.lines).sum()
    }

    /// Wait, but not for somebody who wants to close. Says until when to try where somebody does.
    pub(super) fn pause(&self, length: Duration) -> Option<Instant> {
        self.wait(self.lock(), length, |state| state.until.is_none()).until
    }

    /// Send what is here until then.
    pub(super) fn close(&self, until: Instant) {
        self.lock().until = Some(until);
        self.bell.notify_all();
    }

    /// Wait so long until nothing is sent any more.
    pub(super) fn await_closed(&self, within: Duration) {
        drop(self.wait(self.lock(), within, |state| !state.closed));
    }

    /// Nothing is sent any more.
    pub(super) fn closed(&self) {
        self.lock().closed = true;
        self.bell.notify_all();
    }

    fn wait<'s>(
        &self,
        state: MutexGuard<'s, State>,
        length: Duration,
        mut goes_on: impl FnMut(&State) -> bool,
    ) -> MutexGuard<'s, State> {
        let waited = self.bell.wait_timeout_while(state, length, |state| goes_on(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whatever was left half done is put right by the next start.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for std::sync::Arc<Spool> {
    fn send(&mut self, lines: &[Line]) -> io::Result<usize> {
        self.append(lines)
    }
}

fn path_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(name_of(number))
}

fn name_of(number: u64) -> String {
    format!("{number:020}{ENDING}")
}

/// The numbers of the files there are, in their order.
fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(ENDING)?.parse::<u64>().ok());
        // Files that are called otherwise are not ours.
        numbers.extend(number.filter(|number| *number < u64::MAX && *name == *name_of(*number)));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Cut off what ends no line; says how many octets and lines are left. A file without any is removed.
fn mend(path: &Path) -> io::Result<(u64, u64)> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut octets = Vec::new();
    file.read_to_end(&mut octets)?;
    let whole = octets.iter().rposition(|octet| *octet == b'\n').map_or(0, |last| last + 1) as u64;
    if whole == 0 {
        fs::remove_file(path)?;
    } else if whole < octets.len() as u64 {
        file.set_len(whole)?;
        file.sync_all()?;
    }
    Ok((whole, octets.iter().filter(|octet| **octet == b'\n').count() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::outbox::tests::line;

    const NOW: Duration = Duration::ZERO;

    fn settings(folder: &Path, size: u64) -> SpoolSettings {
        SpoolSettings { path: folder.join("spool"), size, batch: 2, interval: NOW }
    }

    fn lines(count: u64) -> Vec<Line> {
        (1..=count).map(|seq| line(seq, 9)).collect()
    }

    /// The lines of each batch, all of which arrive.
    fn sent(spool: &Spool) -> Vec<u64> {
        std::iter::from_fn(|| {
            let batch = spool.first(NOW).expect("read").0?;
            assert_eq!(batch.octets.len() as u64, batch.lines * 10);
            spool.done(batch.number).expect("done");
            Some(batch.lines)
        })
        .collect()
    }

    #[test]
    fn lines_come_out_in_batches_and_what_did_not_arrive_is_there_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = settings(folder.path(), 1000);
        let spool = Spool::open(&settings).expect("a spool");
        assert!(Spool::open(&settings).is_err(), "one process a spool");
        assert_eq!(spool.append(&lines(5)).expect("kept"), 5);
        let first = spool.first(NOW).expect("read").0.expect("a batch");
        assert_eq!((first.lines, spool.lines()), (2, 5));
        assert_eq!(spool.first(NOW).expect("read").0.expect("a batch"), first, "the same until it has arrived");
        spool.done(first.number).expect("done");
        drop(spool);
        // A kill in the middle of a line.
        let last = path_of(&settings.path, 2);
        OpenOptions::new().append(true).open(&last).expect("a file").write_all(b"half").expect("written");
        let spool = Spool::open(&settings).expect("a spool");
        assert_eq!(spool.append(&lines(1)).expect("kept"), 1);
        assert_eq!(sent(&spool), [2, 1, 1]);
        assert_eq!(
            (spool.lines(), fs::read_dir(&settings.path).expect("a folder").count()),
            (0, 1),
            "but for the lock"
        );
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = settings(folder.path(), 1000);
        drop(Spool::open(&settings).expect("made with mode 0700"));
        for (mode, good) in [(0o755, true), (0o775, false), (0o757, false), (0o700, true)] {
            fs::set_permissions(&settings.path, fs::Permissions::from_mode(mode)).expect("a mode");
            let opened = Spool::open(&settings).map(drop).map_err(|error| error.to_string());
            assert_eq!(opened.is_ok(), good, "{mode:o}: {opened:?}");
        }
    }

    #[test]
    fn a_spool_holds_no_more_than_it_may() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(&settings(folder.path(), 35)).expect("a spool");
        assert_eq!(spool.append(&lines(5)).expect("kept"), 3);
        for _ in 0..3 {
            assert_eq!(spool.append(&lines(1)).expect_err("full").kind(), io::ErrorKind::StorageFull);
        }
        assert_eq!(sent(&spool), [2, 1]);
        assert_eq!(spool.append(&lines(1)).expect("there is room again"), 1);
        assert_eq!(sent(&spool), [1]);
    }

    #[test]
    fn what_others_put_there_or_take_away_does_not_stop_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = settings(folder.path(), 1000);
        let spool = Spool::open(&settings).expect("a spool");
        assert_eq!(spool.append(&lines(2)).expect("kept"), 2);
        // A file by the next name, as a begin leaves it that failed half-way.
        fs::write(path_of(&settings.path, 1), b"").expect("written");
        assert!(spool.append(&lines(1)).is_err());
        assert_eq!(spool.append(&lines(1)).expect("kept by another name"), 1);
        fs::remove_file(path_of(&settings.path, 0)).expect("removed");
        let gone = spool.first(NOW).expect("read").0.expect("a batch");
        assert_eq!(gone, Batch { number: 0, lines: 2, octets: vec![] });
        spool.done(gone.number).expect("done");
        assert_eq!((spool.lines(), spool.lock().octets), (1, 10));
        drop(spool);
        for name in ["7.jsonl", "+0000000000000000009.jsonl", "18446744073709551615.jsonl", "x.jsonl", "8"] {
            fs::write(settings.path.join(name), b"not ours\n").expect("written");
        }
        let spool = Spool::open(&settings).expect("a spool");
        assert_eq!(sent(&spool), [1]);
        assert!(settings.path.join("7.jsonl").exists());
    }

    #[test]
    fn what_is_being_sent_is_not_added_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(&settings(folder.path(), 1000)).expect("a spool");
        spool.append(&lines(1)).expect("kept");
        let first = spool.first(NOW).expect("read").0.expect("a batch");
        spool.append(&lines(1)).expect("kept");
        spool.done(first.number).expect("done");
        assert_eq!(sent(&spool), [1]);
    }
}
