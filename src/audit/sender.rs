//! The thread of one collector: gives it what waits in its outbox, and tries again when it is not taken.

use std::io;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use tracing::error;
use tracing::info;

use crate::audit::collector::Collector;
use crate::audit::outbox::Outbox;
use crate::audit::writer::Trouble;
use crate::telemetry::clock;

/// Lines that a collector is given at once, at most.
const PART: usize = 512;
/// How often it is looked whether there is something to do.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Between two attempts.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(1);

/// Hand on what comes into the outbox until it is closed.
pub(super) fn run<C: Collector>(mut collector: C, outbox: &Arc<Outbox>) {
    let _told = TellsTheEnd(outbox);
    let (mut trouble, mut failing, mut wait) = (Trouble::default(), false, RETRY_FIRST);
    let mut batch = Vec::new();
    loop {
        let until = outbox.look(&mut batch, PART, LOOK_EVERY);
        if batch.is_empty() {
            match until {
                Some(_) => return,
                None => continue,
            }
        }
        match collector.send(&batch) {
            Ok(taken) => {
                outbox.done(taken.min(batch.len()));
                wait = RETRY_FIRST;
                if std::mem::take(&mut failing) {
                    outbox.metrics().failing(false);
                    info!(sink = outbox.name(), "audit lines are taken again");
                }
            }
            Err(error) => {
                failing = true;
                outbox.metrics().failing(true);
                outbox.metrics().error();
                if error.kind() == io::ErrorKind::FileTooLarge {
                    outbox.lose(1);
                }
                trouble.tell(&error, outbox.name(), "audit lines are not taken");
                if is_over(outbox.pause(wait)) {
                    return;
                }
                wait = (wait * 2).min(RETRY_LAST);
            }
        }
    }
}

/// Is it no use to try again? While it is not, a pause that ended for somebody who wants to close is slept out.
fn is_over(until: Option<Instant>) -> bool {
    let Some(until) = until else { return false };
    let over = clock::instant() + RETRY_FIRST >= until;
    if !over {
        std::thread::sleep(RETRY_FIRST);
    }
    over
}

/// Says at the end, however it comes, that nobody needs to wait for the collector.
struct TellsTheEnd<'o>(&'o Outbox);

impl Drop for TellsTheEnd<'_> {
    fn drop(&mut self) {
        let lost = self.0.closed();
        if lost > 0 {
            error!(sink = self.0.name(), lines = lost, "the last audit lines are lost to this collector");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::thread;

    use super::*;
    use crate::audit::collector::Line;
    use crate::audit::outbox::tests::line;
    use crate::audit::outbox::tests::outbox;

    /// Refuses so many times, and then takes one line at a time.
    #[derive(Clone, Default)]
    struct Shy(Arc<Mutex<(usize, Vec<u64>)>>);

    impl Collector for Shy {
        fn send(&mut self, lines: &[Line]) -> io::Result<usize> {
            let mut state = self.0.lock().expect("a lock");
            if state.0 > 0 {
                state.0 -= 1;
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            state.1.extend(lines[0].seq);
            Ok(1)
        }
    }

    /// What arrived, and how it stands in the end.
    fn run(refusals: usize, within: Duration) -> (Vec<u64>, u64, u64) {
        let (shy, outbox) = (Shy::default(), Arc::new(outbox(100, 100, false)));
        shy.0.lock().expect("a lock").0 = refusals;
        (1..=3).for_each(|seq| outbox.offer(&line(seq, 10)));
        thread::scope(|scope| {
            scope.spawn(|| super::run(shy.clone(), &outbox));
            outbox.close(clock::instant() + within);
            assert_eq!(outbox.is_closed_by(Duration::from_secs(20)), refusals < 100);
        });
        let arrived = shy.0.lock().expect("a lock").1.clone();
        (arrived, outbox.status().errors, outbox.status().dropped)
    }

    #[test]
    fn what_is_not_taken_is_tried_again_in_order_and_only_once() {
        assert_eq!(run(2, Duration::from_secs(20)), (vec![1, 2, 3], 2, 0));
    }

    #[test]
    fn a_collector_that_stays_away_does_not_keep_us_for_ever() {
        let (arrived, errors, dropped) = run(usize::MAX, Duration::from_millis(200));
        assert!(arrived.is_empty() && errors > 0 && dropped == 3, "{errors} {dropped}");
    }
}
