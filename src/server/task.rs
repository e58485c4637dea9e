//! The task of one HTTP/2 stream: it ends when its time is up, even where nobody takes the answer.
//!
//! hyper does not poll the body of an answer for which the peer gives no credit, so nothing in the service could do it.

use std::cell::Cell;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::time::Sleep;

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
        tokio::spawn(LASTING.scope(Cell::new(false), Stream { stream, longest: self.longest, timer: None }));
    }
}

pin_project! {
    /// One stream and its time. Written out, because an `async` block would keep room for the stream twice, and every
    /// check moves it several times.
    struct Stream<F> {
        #[pin]
        stream: F,
        longest: Duration,
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<F: Future> Future for Stream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        // Dropping the stream resets it. The timer is made only when there is something to wait for.
        if this.stream.poll(context).is_ready() {
            return Poll::Ready(());
        }
        if LASTING.with(Cell::get) {
            return Poll::Pending;
        }
        this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(*this.longest))).as_mut().poll(context)
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
