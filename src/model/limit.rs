//! The nouns of rate limits: how much in what time, counted for whom, and how it stands.

use std::fmt;
use std::sync::Arc;

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// A moment of the clock that never steps, in nanoseconds since some moment of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(pub u64);

/// In what time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    Second,
    Minute,
    Hour,
    Day,
}

impl Window {
    /// Every window.
    pub const ALL: [Window; 4] = [Window::Second, Window::Minute, Window::Hour, Window::Day];

    /// As the policy writes it.
    pub fn name(self) -> &'static str {
        match self {
            Window::Second => "s",
            Window::Minute => "min",
            Window::Hour => "h",
            Window::Day => "day",
        }
    }

    /// Its length.
    pub fn seconds(self) -> u64 {
        match self {
            Window::Second => 1,
            Window::Minute => 60,
            Window::Hour => 3600,
            Window::Day => 86_400,
        }
    }
}

/// `quota` in a `window`, refilled evenly, and at most `burst` at once. Within any stretch of time no more is admitted
/// than what is refilled in it, and one burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    quota: u64,
    window: Window,
    burst: u64,
    /// Nanoseconds until one is refilled, rounded up.
    interval: u64,
}

/// Why numbers are no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    #[error("a rate admits at least 1 and at most {MOST} in its time")]
    Quota,
    #[error("a burst is at least 1")]
    NoBurst,
    #[error("so large a burst takes more than a year to refill")]
    Burst,
}

/// More than this in any time is no limit.
const MOST: u64 = 1_000_000_000;
/// The longest time in which a burst is refilled.
const YEAR: u64 = 366 * 86_400 * SECOND;

impl Rate {
    /// A rate; without a burst of its own the quota may come at once.
    pub fn new(quota: u64, window: Window, burst: Option<u64>) -> Result<Rate, RateError> {
        if !(1..=MOST).contains(&quota) {
            return Err(RateError::Quota);
        }
        let burst = burst.unwrap_or(quota);
        if burst == 0 {
            return Err(RateError::NoBurst);
        }
        let interval = (window.seconds() * SECOND).div_ceil(quota);
        match interval.checked_mul(burst) {
            Some(capacity) if capacity <= YEAR => Ok(Rate { quota, window, burst, interval }),
            _ => Err(RateError::Burst),
        }
    }

    /// What is refilled in one window.
    pub fn quota(&self) -> u64 {
        self.quota
    }

    /// The time in which the quota is refilled.
    pub fn window(&self) -> Window {
        self.window
    }

    /// The most that is admitted at once.
    pub fn burst(&self) -> u64 {
        self.burst
    }

    /// Nanoseconds until one is refilled.
    pub fn interval(&self) -> u64 {
        self.interval
    }

    /// Nanoseconds until an empty bucket is full again.
    pub fn capacity(&self) -> u64 {
        self.interval.saturating_mul(self.burst)
    }

    /// Microseconds until one is refilled, rounded up: what a store counts in whose numbers are shorter than ours. Never
    /// more is admitted than by [`Rate::interval`].
    pub fn interval_micros(&self) -> u64 {
        self.interval.div_ceil(1000)
    }
}

impl fmt::Display for Rate {
    /// As the policy writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.quota, self.window.name())
    }
}

/// For whom is counted. Two requests share a budget where these are equal: they are made of canonical parts only, so
/// no spelling of an address, a path or a header makes another one (R3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who<'r> {
    /// An IPv4 address, or the network of an IPv6 address that one client has whole.
    Address(u128),
    /// All whose address is not known.
    UnknownAddress,
    /// A subject of an issuer.
    Subject { issuer: &'r str, subject: &'r str },
    /// All members of a group together.
    Group { issuer: &'r str, group: &'r str },
    /// All who are in no group that the policy mentions.
    NoGroup,
    /// All requests to a route.
    Route { host: &'r str, name: &'r str },
    /// The value of a header field.
    Header(&'r [u8]),
    /// All without one sound value of the header field.
    NoHeader,
}

/// One bucket to take from.
#[derive(Clone, Copy, Debug)]
pub struct Take<'r> {
    /// Names the definition of the limit, the same before and after a reload.
    pub definition: u128,
    pub who: Who<'r>,
    pub rate: Rate,
    pub cost: u64,
    /// The number of the limit among those of this request: what one limit takes, it takes whole or not at all.
    pub limit: usize,
    /// The limit refuses nothing.
    pub shadow: bool,
    /// It is kept where all instances take from it, and this is done when that store cannot be asked; `None`: it is
    /// kept in this process alone.
    pub shared: Option<WhenDown>,
}

/// What becomes of a limit while the store that it is kept in cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WhenDown {
    /// Each instance counts by itself.
    Local,
    /// Nobody is counted.
    Allow,
    /// Nobody passes.
    Refuse,
}

/// How one bucket stands after a request, in nanoseconds where it is about time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What would be admitted at once.
    pub remaining: u64,
    /// Until the bucket is full again.
    pub full_in: u64,
    /// Why nothing was taken from it: until it admits such a request.
    pub wait: Option<u64>,
}

/// What a limit made of one request, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighed {
    /// The limit's name.
    pub limit: Arc<str>,
    pub outcome: Weight,
}

/// What a limit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Weight {
    /// It had room.
    Allowed,
    /// It refused the request.
    Limited,
    /// It would have refused the request, and only counts.
    Shadow,
    /// Its store could not be asked, and the request passed without being counted.
    Uncounted,
    /// Its store could not be asked, and the request was refused for it.
    Unavailable,
}

impl Weight {
    /// Every one.
    pub const ALL: [Weight; 5] =
        [Weight::Allowed, Weight::Limited, Weight::Shadow, Weight::Uncounted, Weight::Unavailable];

    /// The label of the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Weight::Allowed => "allowed",
            Weight::Limited => "limited",
            Weight::Shadow => "shadow",
            Weight::Uncounted => "uncounted",
            Weight::Unavailable => "unavailable",
        }
    }

    /// Did it keep the request from passing?
    pub fn refuses(self) -> bool {
        matches!(self, Weight::Limited | Weight::Unavailable)
    }
}

/// How the store of budgets stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStatus {
    /// Places for budgets.
    pub places: u64,
    /// Places that hold one, be it full again.
    pub held: u64,
    /// Budgets that were given up for others before they were full again.
    pub forgotten: u64,
    /// Requests refused because every place for their budget is held by one who is past a limit.
    pub turned_away: u64,
}

/// How the store stands that all instances take from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedStatus {
    /// Where it is, without anything secret.
    pub address: String,
    /// The first attempt to connect has ended, well or not.
    pub tried: bool,
    /// It answers.
    pub up: bool,
    /// Why it did not, the last time it was lost or could not be had.
    pub last_error: Option<String>,
    /// Connections that were made to it.
    pub connections: u64,
    /// Requests refused without asking it, because it had said a moment ago that they would be.
    pub spared: u64,
}

/// How a question to that store ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// It answered.
    Answered,
    /// It did not within the time it has.
    Late,
    /// It could not, or the connection was lost.
    Failed,
}

impl Asked {
    /// Every one.
    pub const ALL: [Asked; 3] = [Asked::Answered, Asked::Late, Asked::Failed];

    /// The label of the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Asked::Answered => "answered",
            Asked::Late => "late",
            Asked::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_refilled_no_faster_than_it_says() {
        for (quota, window, burst, want) in [
            (100, Window::Minute, None, Ok((600_000_000, 60 * SECOND))),
            (7, Window::Second, Some(1), Ok((142_857_143, 142_857_143))),
            (1, Window::Day, Some(366), Ok((86_400 * SECOND, YEAR))),
            (1, Window::Day, Some(367), Err(RateError::Burst)),
            (1, Window::Day, Some(u64::MAX), Err(RateError::Burst)),
            (0, Window::Day, None, Err(RateError::Quota)),
            (MOST + 1, Window::Day, None, Err(RateError::Quota)),
            (1, Window::Second, Some(0), Err(RateError::NoBurst)),
        ] {
            let rate = Rate::new(quota, window, burst);
            assert_eq!(rate.map(|rate| (rate.interval(), rate.capacity())), want, "{quota} {window:?} {burst:?}");
        }
    }
}
