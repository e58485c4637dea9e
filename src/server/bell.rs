//! A waker that notes when it was called: between that and our turn lies the wait behind other tasks of the thread.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Wake;
use std::task::Waker;
use std::time::Duration;
use std::time::Instant;

use crate::telemetry::clock;

/// The waker of one task and what it noted.
pub(super) struct Bell {
    rope: Arc<Rope>,
    waker: Waker,
}

struct Rope {
    task: Waker,
    hung: Instant,
    /// Nanoseconds from `hung` to the first call since they were asked for; 0 for none.
    rung: AtomicU64,
}

impl Bell {
    /// A bell for the task of this context.
    pub(super) fn of(context: &Context<'_>) -> Bell {
        let rope = Arc::new(Rope { task: context.waker().clone(), hung: clock::instant(), rung: AtomicU64::new(0) });
        Bell { waker: Waker::from(Arc::clone(&rope)), rope }
    }

    /// Does it wake the task of this context?
    pub(super) fn wakes(&self, context: &Context<'_>) -> bool {
        self.rope.task.will_wake(context.waker())
    }

    /// What to wait with.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// When it rang first since this was asked last.
    pub(super) fn rang(&self) -> Option<Instant> {
        match self.rope.rung.swap(0, Ordering::Relaxed) {
            0 => None,
            nanos => Some(self.rope.hung + Duration::from_nanos(nanos)),
        }
    }
}

/// Wait for this, and tell when it was there: before our turn came.
pub(super) async fn heard<F: Future>(future: F) -> (F::Output, Instant) {
    let mut future = pin!(future);
    let mut bell = None;
    let output = poll_fn(|context| {
        let bell = bell.get_or_insert_with(|| Bell::of(context));
        if !bell.wakes(context) {
            *bell = Bell::of(context);
        }
        future.as_mut().poll(&mut Context::from_waker(bell.waker()))
    });
    let output = output.await;
    (output, bell.and_then(|bell| bell.rang()).unwrap_or_else(clock::instant))
}

impl Wake for Rope {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.rung.load(Ordering::Relaxed) == 0 {
            let nanos = u64::try_from(clock::instant().duration_since(self.hung).as_nanos()).unwrap_or(u64::MAX);
            self.rung.store(nanos.max(1), Ordering::Relaxed);
        }
        self.task.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_bell_wakes_its_task_and_notes_the_first_time() {
        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        let context = Context::from_waker(&waker);
        let bell = Bell::of(&context);
        assert!(bell.wakes(&context) && !bell.wakes(&Context::from_waker(Waker::noop())));
        assert_eq!(bell.rang(), None);
        let before = clock::instant();
        bell.waker().wake_by_ref();
        let between = clock::instant();
        bell.waker().wake_by_ref();
        let rang = bell.rang().expect("it rang");
        assert!(before <= rang && rang <= between);
        assert_eq!(bell.rang(), None, "asked once");
        assert_eq!(task.0.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn what_is_heard_was_there_before_our_turn() {
        let (tell, told) = tokio::sync::oneshot::channel();
        let hearing = tokio::spawn(heard(told));
        tokio::task::yield_now().await;
        tell.send(()).expect("somebody hears");
        let between = clock::instant();
        let (output, at) = hearing.await.expect("the task");
        assert_eq!(output, Ok(()));
        assert!(at <= between);
    }
}
