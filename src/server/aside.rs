//! Work that takes long and hurries nobody, on a thread of its own that comes after those that answer checks.
//!
//! 2026-11: with 10,000 routes built anew five times a second on the processor that answers, checks waited in the median
//! half as long again, because the scheduler shares by turns of milliseconds. A thread that is nicer is interrupted.

use std::thread::Builder;

use tokio::sync::oneshot;

/// How much nicer such a thread is (nice(2)): it keeps a tenth of a processor that is wanted all the time, so that a new
/// policy comes late under overload, and comes.
#[cfg(target_os = "linux")]
const NICER_BY: i32 = 10;

/// The work panicked, or there is no thread to be had for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the work was given up")]
pub(super) struct GivenUp;

/// Do something aside. Dropping the future does not end the work.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, GivenUp> {
    let (done, result) = oneshot::channel();
    let thread = Builder::new().name("postern-aside".to_owned());
    let started = thread.spawn(move || {
        be_nice();
        let _ = done.send(work());
    });
    started.map_err(|_| GivenUp)?;
    result.await.map_err(|_| GivenUp)
}

/// On Linux a thread has a niceness of its own; elsewhere the process has one, which is left alone.
fn be_nice() {
    // Where that is forbidden, the work is done all the same.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICER_BY);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_is_done_aside_comes_after_those_who_answer() {
        let nice = || rustix::process::getpriority_process(None);
        let ours = nice().expect("a niceness");
        assert_eq!(aside(nice).await.expect("done"), Ok((ours + NICER_BY).min(19)));
        assert_eq!(nice(), Ok(ours), "only the thread that ends is nicer");
    }

    #[tokio::test]
    async fn work_that_panics_is_given_up() {
        assert_eq!(aside(|| panic!("as it may happen")).await, Err::<(), _>(GivenUp));
    }
}
