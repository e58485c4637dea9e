//! The one writer of the log: takes what waits in the queue, makes lines of it and hands them on; tries again when they
//! are not taken.

use std::io;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use jiff::Timestamp;
use tracing::error;
use tracing::info;

use crate::audit::chain::Chain;
use crate::audit::collector::About;
use crate::audit::collector::Kind;
use crate::audit::collector::Line;
use crate::audit::outbox::Outbox;
use crate::audit::queue::Batch;
use crate::audit::queue::Queue;
use crate::audit::settings::Fsync;
use crate::audit::sink::Sink;
use crate::telemetry::clock;
use crate::telemetry::metrics::AuditMetrics;

/// How often the writer looks after its file when there is nothing to write.
const TEND_EVERY: Duration = Duration::from_secs(1);
/// How long what is written may be in the system's memory only.
const SYNC_WITHIN: Duration = Duration::from_secs(1);
/// Between two attempts.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(1);
/// While it goes on failing, the operator is told so often.
const TELL_EVERY: Duration = Duration::from_secs(30);
/// How long the last lines are tried when we are about to end.
const LAST_ATTEMPTS: Duration = Duration::from_secs(3);

/// Octets of bodies that are written at once: a file is no larger than it may be by more than this.
const PART: usize = 64 * 1024;

/// Lines on their way.
pub(super) struct Writer<S> {
    sink: S,
    chain: Chain,
    /// Whole lines, of which the first `taken` octets are with the sink.
    pending: Vec<u8>,
    taken: usize,
    /// The same lines, for collectors. They get what the sink has, so that none knows of a line that the file does not.
    staged: Vec<Line>,
    outboxes: Vec<Arc<Outbox>>,
    /// Since when there is something with the sink that is not forced to the disk.
    unsynced: Option<Instant>,
    fsync: Fsync,
    metrics: AuditMetrics,
}

impl<S: Sink> Writer<S> {
    pub(super) fn new(sink: S, chain: Chain, fsync: Fsync, metrics: AuditMetrics) -> Writer<S> {
        let (pending, staged, outboxes) = (Vec::new(), Vec::new(), Vec::new());
        Writer { sink, chain, pending, taken: 0, staged, outboxes, unsynced: None, fsync, metrics }
    }

    /// The same lines go to these collectors, too.
    pub(super) fn with_outboxes(self, outboxes: Vec<Arc<Outbox>>) -> Writer<S> {
        Writer { outboxes, ..self }
    }

    /// A line of the log itself, made by `make`.
    pub(super) fn put(&mut self, kind: &'static str, now: Timestamp, make: impl FnOnce(&mut Chain, &mut Vec<u8>)) {
        let start = self.pending.len();
        make(&mut self.chain, &mut self.pending);
        self.stage(start, About { at: now, kind: Kind::Event(kind) });
    }

    /// Octets that end what somebody else began.
    pub(super) fn put_raw(&mut self, octets: &[u8]) {
        self.pending.extend_from_slice(octets);
    }

    /// Lines with these bodies, each of which has a line end, and a checkpoint where one is due.
    pub(super) fn put_bodies(&mut self, bodies: &str, abouts: &mut impl Iterator<Item = About>, now: Timestamp) {
        for (body, about) in bodies.lines().zip(abouts) {
            let start = self.pending.len();
            self.chain.line(body, now, &mut self.pending);
            self.stage(start, about);
            self.put_checkpoint(now);
        }
    }

    /// A checkpoint where one is due.
    pub(super) fn put_checkpoint(&mut self, now: Timestamp) {
        if self.chain.wants_checkpoint(now) {
            self.put("checkpoint", now, |chain, out| chain.signed("checkpoint", now, |_| {}, out));
        }
    }

    /// Keep the line that begins there for the collectors.
    fn stage(&mut self, start: usize, about: About) {
        if self.outboxes.is_empty() {
            return;
        }
        let octets = self.pending.get(start..).unwrap_or_default();
        let octets = octets.strip_suffix(b"\n").unwrap_or(octets).into();
        self.staged.push(Line { seq: self.chain.seq(), about, octets });
    }

    /// Hand on what is pending, and force it to the disk where that is due. After an error, call it again: what was
    /// taken is not handed on twice.
    pub(super) fn push(&mut self, now: Instant, last: bool) -> io::Result<()> {
        while let Some(rest) = self.pending.get(self.taken..).filter(|rest| !rest.is_empty()) {
            match self.sink.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    let done = rest.get(..written).unwrap_or_default();
                    self.metrics.wrote(done.iter().filter(|octet| **octet == b'\n').count() as u64);
                    self.taken += written;
                    self.unsynced.get_or_insert(now);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.pending.clear();
        self.taken = 0;
        for line in self.staged.drain(..) {
            self.outboxes.iter().for_each(|outbox| outbox.offer(&line));
        }
        let due = match self.fsync {
            Fsync::Never => false,
            Fsync::Second => self.unsynced.is_some_and(|since| last || now.duration_since(since) >= SYNC_WITHIN),
            Fsync::Line => self.unsynced.is_some(),
        };
        if due {
            self.sink.sync()?;
            self.unsynced = None;
        }
        Ok(())
    }

    /// Look after the file. Only between whole lines, when nothing is pending.
    pub(super) fn tend(&mut self, now: Timestamp, reopen: bool) -> io::Result<()> {
        if self.pending.is_empty() { self.sink.tend(now, reopen) } else { Ok(()) }
    }

    fn unwritten(&self) -> u64 {
        let rest = self.pending.get(self.taken..).unwrap_or_default();
        rest.iter().filter(|octet| **octet == b'\n').count() as u64
    }
}

/// Write what comes into the queue until it is closed.
pub(super) fn run<S: Sink>(mut writer: Writer<S>, queue: &Arc<Queue>) {
    let _told = TellsTheEnd(queue);
    let mut trouble = Trouble::default();
    let mut batch = Batch::default();
    if !push(&mut writer, queue, &mut trouble, false) {
        return give_up(&writer, queue, 0);
    }
    loop {
        let found = queue.take(&mut batch, TEND_EVERY);
        look_after(&mut writer, &mut trouble, found.reopen);
        match queue.take_dropped() {
            0 => {}
            lines => {
                let now = clock::now();
                writer.put("dropped", now, |chain, out| {
                    chain.event("dropped", now, |line| line.number("lines", lines), out)
                });
            }
        }
        let mut abouts = batch.abouts.iter().copied();
        let mut parts = parts(&batch.bodies);
        while let Some(part) = parts.next() {
            writer.put_bodies(part, &mut abouts, clock::now());
            if !push(&mut writer, queue, &mut trouble, false) {
                return give_up(&writer, queue, parts.flat_map(str::lines).count());
            }
            look_after(&mut writer, &mut trouble, false);
        }
        let now = clock::now();
        writer.put_checkpoint(now);
        if found.closing {
            writer.put("stop", now, |chain, out| chain.signed("stop", now, |_| {}, out));
        }
        if !push(&mut writer, queue, &mut trouble, found.closing) {
            return give_up(&writer, queue, 0);
        }
        if found.closing {
            return;
        }
    }
}

/// The end has come, and what is left cannot be written: what the writer has, `more` lines, and what waits.
fn give_up<S: Sink>(writer: &Writer<S>, queue: &Queue, more: usize) {
    let waiting = queue.take(&mut Batch::default(), Duration::ZERO).lines;
    let lost = writer.unwritten() + (more + waiting) as u64;
    writer.metrics.dropped(lost);
    error!(lines = lost, "the last lines of the audit log are lost");
}

/// Begin another file where that is due. Where it cannot be done, the one there is can still be written to.
fn look_after<S: Sink>(writer: &mut Writer<S>, trouble: &mut Trouble, reopen: bool) {
    if let Err(error) = writer.tend(clock::now(), reopen) {
        writer.metrics.error();
        trouble.tell(&error, "log", "the audit log cannot be put aside or begun again");
    }
}

/// Bodies with their line ends in parts of about [`PART`].
fn parts(mut bodies: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let end = bodies.as_bytes().iter().skip(PART).position(|octet| *octet == b'\n');
        let (part, rest) = bodies.split_at_checked(end.map_or(bodies.len(), |end| PART + end + 1))?;
        bodies = rest;
        (!part.is_empty()).then_some(part)
    })
}

/// Hand everything on, however long it takes; `false` when it could not be done before the end.
fn push<S: Sink>(writer: &mut Writer<S>, queue: &Queue, trouble: &mut Trouble, last: bool) -> bool {
    let mut wait = RETRY_FIRST;
    let mut until: Option<Instant> = None;
    loop {
        let now = clock::instant();
        let Err(error) = writer.push(now, last) else {
            if queue.is_failing() {
                queue.set_failing(false);
                writer.metrics.failing(false);
                info!("the audit log is written again");
            }
            return true;
        };
        queue.set_failing(true);
        writer.metrics.failing(true);
        writer.metrics.error();
        trouble.tell(&error, "log", "the audit log cannot be written");
        // A pause ends at once for somebody who wants to close; then it is slept out.
        let closing = queue.pause(wait);
        if closing {
            let until = *until.get_or_insert_with(|| now + LAST_ATTEMPTS);
            if now >= until {
                return false;
            }
            std::thread::sleep(RETRY_FIRST);
        }
        wait = (wait * 2).min(RETRY_LAST);
    }
}

/// Says at the end, however it comes, that nobody needs to wait for the writer.
struct TellsTheEnd<'q>(&'q Queue);

impl Drop for TellsTheEnd<'_> {
    fn drop(&mut self) {
        // Without a writer nothing is taken.
        self.0.set_failing(true);
        self.0.closed();
    }
}

/// What went wrong, told at most so often.
#[derive(Default)]
pub(super) struct Trouble {
    told: Option<Instant>,
}

impl Trouble {
    pub(super) fn tell(&mut self, error: &io::Error, sink: &'static str, what: &'static str) {
        let now = clock::instant();
        if self.told.is_none_or(|told| now.duration_since(told) >= TELL_EVERY) {
            self.told = Some(now);
            error!(sink, %error, "{what}");
        }
    }
}

#[cfg(test)]
mod tests;
