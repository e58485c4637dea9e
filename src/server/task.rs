//! The task of one HTTP/2 stream: it ends when its time is up, even where nobody takes the answer.
//!
//! hyper does not poll the body of an answer for which the peer gives no credit, so nothing in the service could do it.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use hyper::rt::Executor;

tokio::task_local! {
    static LASTING: Cell<bool>;
}

/// Let the stream of this very task last as long as its peer wants.
pub(super) fn let_last() {
    let _ = LASTING.try_with(|lasting| lasting.set(true));
}

/// Runs the streams of HTTP/2 connections.
#[derive(Clone, Debug)]
pub(super) struct Timed {
    /// From the head to the last octet of the answer.
    pub(super) longest: Duration,
}

impl<F> Executor<F> for Timed
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let longest = self.longest;
        tokio::spawn(LASTING.scope(Cell::new(false), async move {
            let mut stream = pin!(stream);
            let mut timer = None;
            // Dropping the stream resets it. The timer is made only when there is something to wait for.
            poll_fn(|context| {
                if stream.as_mut().poll(context).is_ready() {
                    return Poll::Ready(());
                }
                if LASTING.with(Cell::get) {
                    return Poll::Pending;
                }
                timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(longest))).as_mut().poll(context)
            })
            .await;
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_in_time_unless_it_may_last() {
        for lasts in [false, true] {
            let (held, mut gone) = tokio::sync::oneshot::channel::<()>();
            Timed { longest: Duration::from_secs(1) }.execute(async move {
                if lasts {
                    let_last();
                }
                std::future::pending::<()>().await;
                drop(held);
            });
            let ended = tokio::time::timeout(Duration::from_secs(10), &mut gone).await;
            assert_eq!(ended.is_err(), lasts);
        }
    }
}
