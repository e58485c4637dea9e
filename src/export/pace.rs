//! How long to wait before a call is tried again.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// Twice as long each time, and not all processes at once.
pub(super) struct Pace {
    next: Duration,
    /// A part of the wait that is this process's own, 0 to 255.
    own: u8,
}

impl Pace {
    pub(super) fn new(own: u8) -> Pace {
        Pace { next: FIRST, own }
    }

    /// A call was taken.
    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }

    /// A call failed: wait so long.
    pub(super) fn wait(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(LONGEST);
        now + now / 4 * u32::from(self.own) / 255
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_half_a_minute() {
        let waits = |own| {
            let mut pace = Pace::new(own);
            (0..7).map(|_| pace.wait().as_millis()).collect::<Vec<_>>()
        };
        assert_eq!(waits(0), [1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        assert_eq!(waits(255), [1250, 2500, 5000, 10000, 20000, 37500, 37500]);
        let mut pace = Pace::new(0);
        pace.wait();
        pace.wait();
        pace.reset();
        assert_eq!(pace.wait(), FIRST);
    }
}
