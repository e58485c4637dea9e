//! Where lines wait for the writer. Whoever brings one never waits: it is taken, or there is no room.

use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::audit::collector::About;

/// After the first line of a batch, the writer gives others so long to come: under load it is woken some hundred times
/// a second and not for each line.
const LINGER: Duration = Duration::from_millis(2);

/// What a line has room for on the average: who sends long paths must not fill our memory.
const USUAL_OCTETS: usize = 2048;

/// A bounded queue of bodies of lines.
pub(super) struct Queue {
    state: Mutex<State>,
    bell: Condvar,
    most: usize,
    /// What is written is not taken.
    failing: AtomicBool,
    /// Lines for which there was no room, and of which the log does not tell yet.
    dropped: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Bodies, each with a line end, and what they tell of.
    bodies: String,
    abouts: Vec<About>,
    /// The writer waits for a first line.
    idle: bool,
    reopen: bool,
    closing: bool,
    closed: bool,
}

/// Lines that were taken.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Bodies, each with a line end.
    pub(super) bodies: String,
    /// What they tell of, one for each.
    pub(super) abouts: Vec<About>,
}

/// What the writer finds besides lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) lines: usize,
    /// The file may have been moved away.
    pub(super) reopen: bool,
    /// Nothing comes after these lines.
    pub(super) closing: bool,
}

impl Queue {
    /// Room for `most` lines.
    pub(super) fn new(most: usize) -> Queue {
        let (failing, dropped) = (AtomicBool::new(false), AtomicU64::new(0));
        Queue { state: Mutex::default(), bell: Condvar::new(), most: most.max(1), failing, dropped }
    }

    /// Leave a body, which holds no line end. `false`: there is no room for it.
    pub(super) fn offer(&self, body: &str, about: About) -> bool {
        let mut state = self.lock();
        let crowded =
            !state.bodies.is_empty() && state.bodies.len() + body.len() > self.most.saturating_mul(USUAL_OCTETS);
        if state.closing || state.abouts.len() >= self.most || crowded {
            return false;
        }
        state.bodies.push_str(body);
        state.bodies.push('\n');
        state.abouts.push(about);
        let ring = state.idle || state.abouts.len() == self.most.div_ceil(2);
        state.idle = false;
        drop(state);
        if ring {
            self.bell.notify_all();
        }
        true
    }

    /// How many lines wait.
    pub(super) fn waiting(&self) -> usize {
        self.lock().abouts.len()
    }

    /// How many may wait.
    pub(super) fn room(&self) -> usize {
        self.most
    }

    /// A line that could not be kept.
    pub(super) fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// How many could not be kept since this was asked last.
    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    /// Is what is written not taken at the moment?
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    pub(super) fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }

    /// Take all lines into `batch`, instead of what it holds. Waits so long for the first one.
    pub(super) fn take(&self, batch: &mut Batch, wait: Duration) -> Found {
        batch.bodies.clear();
        batch.abouts.clear();
        let mut state = self.lock();
        if state.is_quiet() {
            state.idle = true;
            state = self.wait(state, wait, State::is_quiet);
            state.idle = false;
        }
        let few = self.most.div_ceil(2);
        if !state.abouts.is_empty() && state.abouts.len() < few && !state.closing {
            state = self.wait(state, LINGER, |state| state.abouts.len() < few && !state.closing);
        }
        std::mem::swap(&mut state.bodies, &mut batch.bodies);
        std::mem::swap(&mut state.abouts, &mut batch.abouts);
        Found { lines: batch.abouts.len(), reopen: std::mem::take(&mut state.reopen), closing: state.closing }
    }

    /// Wait, but not for somebody who wants to close. Says whether somebody does.
    pub(super) fn pause(&self, length: Duration) -> bool {
        self.wait(self.lock(), length, |state| !state.closing).closing
    }

    /// Tell the writer that the file may have been moved away.
    pub(super) fn reopen(&self) {
        self.lock().reopen = true;
        self.bell.notify_all();
    }

    /// Take no more, and wait so long until everything is written. Says whether it is.
    pub(super) fn close(&self, within: Duration) -> bool {
        self.lock().closing = true;
        self.bell.notify_all();
        self.wait(self.lock(), within, |state| !state.closed).closed
    }

    /// The writer has ended.
    pub(super) fn closed(&self) {
        let mut state = self.lock();
        (state.closing, state.closed) = (true, true);
        drop(state);
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
        // Nothing in here can be left half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_quiet(&self) -> bool {
        self.abouts.is_empty() && !self.reopen && !self.closing
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::audit::collector::Kind;

    const NOW: Duration = Duration::ZERO;
    const ABOUT: About = About { at: Timestamp::UNIX_EPOCH, kind: Kind::Event("start") };

    #[test]
    fn lines_come_out_as_they_went_in_and_no_more_than_there_is_room_for() {
        let queue = Queue::new(3);
        let taken: Vec<bool> = ["a", "b", "c", "d"].map(|body| queue.offer(body, ABOUT)).into();
        assert_eq!(taken, [true, true, true, false]);
        let mut batch = Batch { bodies: "left over".to_owned(), abouts: vec![ABOUT; 7] };
        assert_eq!(queue.take(&mut batch, NOW), Found { lines: 3, ..Found::default() });
        assert_eq!((&*batch.bodies, batch.abouts.len()), ("a\nb\nc\n", 3));
        assert!(queue.offer("e", ABOUT), "there is room again");
        queue.take(&mut batch, NOW);
        assert_eq!((&*batch.bodies, batch.abouts.len()), ("e\n", 1));
        assert_eq!(queue.take(&mut batch, NOW), Found::default());
    }

    #[test]
    fn long_lines_take_the_room_of_several() {
        let queue = Queue::new(3);
        let long = "x".repeat(3 * USUAL_OCTETS);
        assert!(queue.offer(&long, ABOUT), "one has room, however long");
        assert!(!queue.offer("a", ABOUT));
        queue.take(&mut Batch::default(), NOW);
        assert!(queue.offer("a", ABOUT));
        assert!(!queue.offer(&long, ABOUT));
    }

    #[test]
    fn who_closes_hears_when_everything_is_written() {
        let queue = Queue::new(3);
        assert!(queue.offer("a", ABOUT));
        assert!(!queue.close(NOW), "nobody has written it");
        assert!(!queue.offer("b", ABOUT), "closed");
        let mut batch = Batch::default();
        assert_eq!(queue.take(&mut batch, NOW), Found { lines: 1, reopen: false, closing: true });
        queue.closed();
        assert!(queue.close(NOW));
        queue.reopen();
        assert!(queue.take(&mut batch, NOW).reopen);
    }

    #[test]
    fn a_writer_that_waits_is_woken() {
        let queue = Queue::new(100);
        let mut batch = Batch::default();
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(queue.offer("a", ABOUT)));
            assert_eq!(queue.take(&mut batch, Duration::from_secs(60)).lines, 1);
        });
    }
}
