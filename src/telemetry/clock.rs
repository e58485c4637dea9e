//! The only reader of the clock. Everything else is told the time.

use std::time::Duration;
use std::time::Instant;

use jiff::Timestamp;

/// The time of day: for records, token lifetimes and schedules.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The clock that never steps: for measuring and for deadlines.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn instant() -> Instant {
    Instant::now()
}

/// The moment so long from now, by the clock that timers go by.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
pub fn after(wait: Duration) -> tokio::time::Instant {
    tokio::time::Instant::now() + wait
}
