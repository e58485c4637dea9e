//! Nothing gets out of a check but an answer: a panic is caught, and waiting ends at the deadline.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

/// How a guarded future ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome<T> {
    Done(T),
    Panicked,
    Late,
}

/// Run `future` to its end, its panic, or until `limit` has passed. The timer is made only when there is something to
/// wait for, which most checks never do. Where the future lies is the caller's affair, so that there is room for it only
/// once.
pub(super) async fn guard<T>(limit: Duration, mut future: Pin<&mut Option<impl Future<Output = T>>>) -> Outcome<T> {
    let mut timer = None;
    let outcome = poll_fn(|context| {
        if let Some(future) = future.as_mut().as_pin_mut() {
            // A future that panicked is never polled again, so what it left half done is never seen.
            match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
                Ok(Poll::Ready(value)) => return Poll::Ready(Outcome::Done(value)),
                Err(_) => return Poll::Ready(Outcome::Panicked),
                Ok(Poll::Pending) => {}
            }
        }
        let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        timer.as_mut().poll(context).map(|()| Outcome::Late)
    })
    .await;
    match catch_unwind(AssertUnwindSafe(|| future.set(None))) {
        Ok(()) => outcome,
        Err(_) => Outcome::Panicked,
    }
}

/// Run `work`, or say that it panicked.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(200);

    #[tokio::test(start_paused = true)]
    async fn a_future_ends_in_one_of_three_ways() {
        assert_eq!(guard(LIMIT, pin!(Some(async { 1 }))).await, Outcome::Done(1));
        let waits = async {
            tokio::time::sleep(LIMIT / 2).await;
            2
        };
        assert_eq!(guard(LIMIT, pin!(Some(waits))).await, Outcome::Done(2));
        assert_eq!(guard(LIMIT, pin!(Some(std::future::pending::<()>()))).await, Outcome::Late);
        let panics = async {
            tokio::task::yield_now().await;
            panic!("a bug");
        };
        assert_eq!(guard::<()>(LIMIT, pin!(Some(panics))).await, Outcome::Panicked);
    }

    #[tokio::test]
    async fn a_panic_while_dropping_is_caught() {
        struct Grenade;
        impl Drop for Grenade {
            fn drop(&mut self) {
                panic!("a bug");
            }
        }
        let holds = async {
            let _grenade = Grenade;
            std::future::pending::<()>().await;
        };
        assert_eq!(guard(Duration::from_millis(1), pin!(Some(holds))).await, Outcome::Panicked);
    }
}
