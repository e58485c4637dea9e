//! Where messages wait to be sent. Whoever brings one never waits: it is taken, or there is no room.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use prost::Message;
use tokio::sync::Notify;

/// What a message has room for on the average: who sends long paths must not fill our memory.
const USUAL_OCTETS: usize = 1024;

/// A bounded queue of messages to a collector.
pub struct Outbox<M> {
    state: Mutex<State<M>>,
    bell: Notify,
    most: usize,
}

struct State<M> {
    messages: VecDeque<M>,
    octets: usize,
    /// The sender waits for a first message.
    idle: bool,
    closing: bool,
}

impl<M: Message> Outbox<M> {
    /// Room for `most` messages.
    pub fn new(most: usize) -> Outbox<M> {
        let state = State { messages: VecDeque::new(), octets: 0, idle: false, closing: false };
        Outbox { state: Mutex::new(state), bell: Notify::new(), most: most.max(1) }
    }

    /// Leave a message. `false`: there is no room for it.
    pub fn offer(&self, message: M) -> bool {
        let size = message.encoded_len();
        let mut state = self.lock();
        let crowded = state.octets + size > self.most.saturating_mul(USUAL_OCTETS) && state.octets > 0;
        if state.closing || state.messages.len() >= self.most || crowded {
            return false;
        }
        state.messages.push_back(message);
        state.octets += size;
        let ring = state.idle || state.messages.len() == self.most.div_ceil(2);
        state.idle = false;
        drop(state);
        if ring {
            self.bell.notify_one();
        }
        true
    }

    /// Take the oldest, `most` at most and about so many octets. Waits for a first one, and then so long for others;
    /// gives none only when the box is closed and empty.
    pub async fn take(&self, most: usize, octets: usize, linger: Duration) -> Vec<M> {
        while self.is_quiet() {
            self.bell.notified().await;
        }
        let many = || async {
            while !self.has_many() {
                self.bell.notified().await;
            }
        };
        // Time is up, or there is enough: either will do.
        let _ = tokio::time::timeout(linger, many()).await;
        let mut state = self.lock();
        let mut taken = Vec::new();
        let mut size = 0;
        while taken.len() < most && size < octets {
            let Some(message) = state.messages.pop_front() else { break };
            size += message.encoded_len();
            taken.push(message);
        }
        state.octets = if state.messages.is_empty() { 0 } else { state.octets.saturating_sub(size) };
        taken
    }

    /// Take no more. What is there can still be taken out.
    pub fn close(&self) {
        self.lock().closing = true;
        self.bell.notify_one();
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.lock().messages.len()
    }

    /// Is there nothing to take, and may something come? Then the next one rings.
    fn is_quiet(&self) -> bool {
        let mut state = self.lock();
        state.idle = state.messages.is_empty() && !state.closing;
        state.idle
    }

    fn has_many(&self) -> bool {
        let state = self.lock();
        state.closing || state.messages.len() >= self.most.div_ceil(2)
    }

    fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const LINGER: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn what_has_no_room_is_not_taken() {
        let outbox = Outbox::new(4);
        for (text, want) in [("a", true), ("b", true), ("c", true), ("d", true), ("e", false)] {
            assert_eq!(outbox.offer(text.to_owned()), want, "{text}");
        }
        assert_eq!(outbox.take(3, 1000, LINGER).await, ["a", "b", "c"]);
        assert!(outbox.offer("x".repeat(4 * USUAL_OCTETS - 100)));
        assert!(!outbox.offer("y".repeat(200)), "too many octets");
        assert_eq!(outbox.take(9, 1, LINGER).await, ["d"]);
        outbox.close();
        assert!(!outbox.offer("late".to_owned()));
        assert_eq!(outbox.take(9, 1, LINGER).await.len(), 1);
        assert!(outbox.take(9, 1, LINGER).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_sender_lingers_until_there_is_enough() {
        let outbox = Arc::new(Outbox::new(4));
        let taking =
            |outbox: Arc<Outbox<String>>| tokio::spawn(async move { outbox.take(9, 1000, LINGER).await.len() });
        let first = taking(Arc::clone(&outbox));
        tokio::task::yield_now().await;
        assert!(outbox.offer("a".to_owned()));
        tokio::time::sleep(LINGER / 2).await;
        assert!(!first.is_finished());
        assert!(outbox.offer("b".to_owned()));
        assert_eq!(first.await.expect("taken"), 2, "half full");
        assert!(outbox.offer("c".to_owned()));
        assert_eq!(taking(Arc::clone(&outbox)).await.expect("taken"), 1, "time is up");
        let last = taking(Arc::clone(&outbox));
        tokio::task::yield_now().await;
        outbox.close();
        assert_eq!(last.await.expect("ended"), 0);
    }
}
