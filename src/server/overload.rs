//! What an operator learns of overload: a line now and then, however many checks are turned away.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use tracing::warn;

/// Between two lines of one thread.
const APART: Duration = Duration::from_secs(10);

/// The account of one thread.
#[derive(Default)]
pub(super) struct Overload(Mutex<Refused>);

#[derive(Default)]
struct Refused {
    since_last_line: u64,
    last_line: Option<Instant>,
}

impl Overload {
    /// A check was turned away after this wait, for this cause, which is given back.
    pub(super) fn refused(&self, cause: &'static str, waited: Duration, now: Instant) -> &'static str {
        let refused = self.0.lock().unwrap_or_else(PoisonError::into_inner).count(now);
        if let Some(refused) = refused {
            let waited = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            warn!(cause, refused, waited_ms = waited, "overloaded: checks are answered with a denial");
        }
        cause
    }
}

impl Refused {
    /// Count one; how many to tell of, if it is time for a line.
    fn count(&mut self, now: Instant) -> Option<u64> {
        self.since_last_line += 1;
        if self.last_line.is_some_and(|last| now.duration_since(last) < APART) {
            return None;
        }
        self.last_line = Some(now);
        Some(std::mem::take(&mut self.since_last_line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::clock;

    #[test]
    fn a_line_tells_of_all_since_the_last_one() {
        let start = clock::instant();
        let mut refused = Refused::default();
        for (millis, want) in [(0, Some(1)), (1, None), (9_999, None), (10_000, Some(3)), (60_000, Some(1))] {
            assert_eq!(refused.count(start + Duration::from_millis(millis)), want, "{millis} ms");
        }
    }
}
