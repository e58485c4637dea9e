//! Where whole lines wait for a collector. The writer of the log brings them and never waits: what has no room is lost
//! to this collector, and counted.

use std::collections::VecDeque;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use crate::audit::collector::Line;
use crate::model::status::SinkStatus;
use crate::telemetry::metrics::SinkMetrics;

/// What a line has room for on the average, in octets.
const USUAL_OCTETS: usize = 2048;

/// Where nobody passes without a line, as many lines may be on their way when the last room is taken: those of the queue
/// twice (before the writer, and with it), and a margin for what the chain adds to them.
const PROMISED: usize = 4;

/// And at least so many octets are kept of them: where few lines may wait, one may be far longer than usual.
const PROMISED_OCTETS: usize = 1024 * 1024;

/// A bounded queue of lines for one collector.
pub(super) struct Outbox {
    name: &'static str,
    state: Mutex<State>,
    bell: Condvar,
    /// So many lines may wait.
    most: usize,
    /// So many are kept: no fewer than may wait.
    kept: usize,
    /// So many octets.
    kept_octets: usize,
    /// The longest line that the collector can be given, in octets.
    longest: usize,
    waiting: AtomicUsize,
    metrics: SinkMetrics,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Line>,
    octets: usize,
    /// Nothing more comes; what waits is given up at this moment.
    until: Option<Instant>,
    closed: bool,
}

impl Outbox {
    /// Room for `most` lines of at most `longest` octets. `promised`: what was queued before there was no more room is
    /// kept in any case.
    pub(super) fn new(name: &'static str, most: usize, longest: usize, promised: bool, metrics: SinkMetrics) -> Outbox {
        let most = most.max(1);
        let kept = if promised { most.saturating_mul(PROMISED) } else { most };
        let kept_octets = kept.saturating_mul(USUAL_OCTETS).max(if promised { PROMISED_OCTETS } else { 0 });
        let (state, bell, waiting) = (Mutex::default(), Condvar::new(), AtomicUsize::new(0));
        Outbox { name, state, bell, most, kept, kept_octets, longest, waiting, metrics }
    }

    /// Leave a line, if there is room for it.
    pub(super) fn offer(&self, line: &Line) {
        let mut state = self.lock();
        let octets = state.octets + line.octets.len();
        let crowded = !state.lines.is_empty() && octets > self.kept_octets;
        let lost = state.until.is_some() || state.closed || state.lines.len() >= self.kept || crowded;
        if lost || line.octets.len() > self.longest {
            drop(state);
            self.metrics.dropped(1);
            return;
        }
        state.octets = octets;
        state.lines.push_back(line.clone());
        let ring = state.lines.len() == 1;
        self.tell_waiting(&state);
        drop(state);
        if ring {
            self.bell.notify_all();
        }
    }

    /// Is there room, and will a line with a body so long fit?
    pub(super) fn has_room(&self, body: usize) -> bool {
        self.waiting.load(Ordering::Relaxed) < self.most && body.saturating_add(USUAL_OCTETS) <= self.longest
    }

    /// Look at the first lines, so many at most; waits so long for one. Says until when to try where nothing more
    /// comes.
    pub(super) fn look(&self, batch: &mut Vec<Line>, most: usize, wait: Duration) -> Option<Instant> {
        batch.clear();
        let state = self.wait(self.lock(), wait, |state| state.lines.is_empty() && state.until.is_none());
        batch.extend(state.lines.iter().take(most).cloned());
        state.until
    }

    /// The collector has taken so many of the lines looked at.
    pub(super) fn done(&self, lines: usize) {
        self.forget(lines);
        self.metrics.sent(lines as u64);
    }

    /// The collector can never take so many of them.
    pub(super) fn lose(&self, lines: usize) {
        self.forget(lines);
        self.metrics.dropped(lines as u64);
    }

    fn forget(&self, lines: usize) {
        let mut state = self.lock();
        let octets: usize = (0..lines).filter_map(|_| state.lines.pop_front()).map(|line| line.octets.len()).sum();
        state.octets = state.octets.saturating_sub(octets);
        self.tell_waiting(&state);
    }

    /// Wait, but not for somebody who wants to close. Says until when to try where somebody does.
    pub(super) fn pause(&self, length: Duration) -> Option<Instant> {
        self.wait(self.lock(), length, |state| state.until.is_none()).until
    }

    /// Take no more, and try until then. Whoever closes waits for it with [`Outbox::is_closed_by`].
    pub(super) fn close(&self, until: Instant) {
        self.lock().until = Some(until);
        self.bell.notify_all();
    }

    /// Wait so long until the collector has everything. Says whether it has.
    pub(super) fn is_closed_by(&self, within: Duration) -> bool {
        let state = self.wait(self.lock(), within, |state| !state.closed);
        state.closed && state.lines.is_empty()
    }

    /// Nobody takes lines any more. Says how many are lost.
    pub(super) fn closed(&self) -> u64 {
        let mut state = self.lock();
        state.closed = true;
        let lost = state.lines.len() as u64;
        // Where nobody passes without a line, nobody passes any more.
        self.waiting.store(usize::MAX, Ordering::Relaxed);
        drop(state);
        self.metrics.dropped(lost);
        self.bell.notify_all();
        lost
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn metrics(&self) -> &SinkMetrics {
        &self.metrics
    }

    /// How it stands.
    pub(super) fn status(&self) -> SinkStatus {
        SinkStatus { queued: self.waiting.load(Ordering::Relaxed), ..self.metrics.status(self.name) }
    }

    fn tell_waiting(&self, state: &State) {
        // Who asks whether there is room asks by octets as well.
        let waiting = state.lines.len().max(state.octets / USUAL_OCTETS);
        self.waiting.store(waiting, Ordering::Relaxed);
        self.metrics.waiting(state.lines.len());
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
        // Nothing in here can be left half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::audit::collector::About;
    use crate::audit::collector::Kind;
    use crate::telemetry::Telemetry;
    use crate::telemetry::clock;

    /// An event's line of so many octets.
    pub(crate) fn line(seq: u64, octets: usize) -> Line {
        let about = About { at: Timestamp::UNIX_EPOCH, kind: Kind::Event("start") };
        Line { seq: Some(seq), about, octets: vec![b'x'; octets].into() }
    }

    pub(crate) fn outbox(most: usize, longest: usize, promised: bool) -> Outbox {
        let metrics = Telemetry::new().expect("telemetry").metrics().audit().sink("test");
        Outbox::new("test", most, longest, promised, metrics)
    }

    fn seqs(outbox: &Outbox, most: usize) -> Vec<u64> {
        let mut batch = Vec::new();
        outbox.look(&mut batch, most, Duration::ZERO);
        batch.iter().filter_map(|line| line.seq).collect()
    }

    #[test]
    fn lines_wait_until_they_are_taken_and_the_newest_is_lost_where_there_is_no_room() {
        let outbox = outbox(3, 10_000, false);
        (1..=5).for_each(|seq| outbox.offer(&line(seq, 10)));
        assert_eq!(outbox.status(), SinkStatus { name: "test".into(), queued: 3, dropped: 2, ..Default::default() });
        assert_eq!((seqs(&outbox, 2), seqs(&outbox, 9)), (vec![1, 2], vec![1, 2, 3]), "looking takes nothing");
        outbox.done(2);
        outbox.offer(&line(6, 10));
        assert_eq!(seqs(&outbox, 9), [3, 6]);
        assert_eq!((outbox.status().sent, outbox.status().queued), (2, 2));
    }

    #[test]
    fn what_was_promised_is_kept_when_there_is_no_room_for_more() {
        let outbox = outbox(2, 10_000, true);
        outbox.offer(&line(1, 10));
        assert!(outbox.has_room(10));
        outbox.offer(&line(2, 10));
        assert!(!outbox.has_room(10), "nothing more is promised");
        // Those that were in the queue, and with the writer, when the last one was promised.
        (3..=6).for_each(|seq| outbox.offer(&line(seq, 10)));
        assert_eq!((seqs(&outbox, 9), outbox.status().dropped), (vec![1, 2, 3, 4, 5, 6], 0));
        outbox.done(5);
        assert!(outbox.has_room(10));
    }

    #[test]
    fn what_was_promised_is_kept_however_long_it_is() {
        // A queue of one line, and the writer has one: both were promised before either came here.
        let outbox = outbox(1, usize::MAX, true);
        assert!(outbox.has_room(60_000));
        (1..=2).for_each(|seq| outbox.offer(&line(seq, 60_000)));
        assert!(!outbox.has_room(10));
        assert_eq!((seqs(&outbox, 9), outbox.status().dropped), (vec![1, 2], 0));
    }

    #[test]
    fn long_lines_take_the_room_of_several_and_too_long_ones_are_lost() {
        let outbox = outbox(3, 4 * USUAL_OCTETS, true);
        outbox.offer(&line(1, 4 * USUAL_OCTETS));
        assert!(!outbox.has_room(10), "as much as four");
        outbox.done(1);
        assert!(outbox.has_room(3 * USUAL_OCTETS));
        assert!(!outbox.has_room(3 * USUAL_OCTETS + 1), "with what stands before a body it may not fit");
        outbox.offer(&line(2, 4 * USUAL_OCTETS + 1));
        assert_eq!((seqs(&outbox, 9), outbox.status().dropped), (vec![], 1));
    }

    #[test]
    fn who_closes_hears_whether_anything_is_left() {
        let now = clock::instant();
        for left in [0, 1] {
            let outbox = outbox(3, 100, false);
            outbox.offer(&line(1, 10));
            outbox.done(1 - left);
            assert!(!outbox.is_closed_by(Duration::ZERO), "nobody has ended");
            outbox.close(now);
            outbox.offer(&line(2, 10));
            assert_eq!(outbox.look(&mut Vec::new(), 9, Duration::from_secs(60)), Some(now));
            assert_eq!((outbox.closed(), outbox.is_closed_by(Duration::ZERO)), (left as u64, left == 0));
            assert_eq!(outbox.status().dropped, 1 + left as u64);
            assert!(!outbox.has_room(1), "nobody sends it");
        }
    }
}
