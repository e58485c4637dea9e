//! How long answers took: counts in buckets that are a sixty-fourth of their value wide, so that recording is one addition.

use std::time::Duration;

const FINE: u32 = 6;
const BUCKETS: usize = (64 - FINE as usize + 1) << FINE;

pub(crate) struct Latency {
    counts: Vec<u64>,
    total: u64,
    longest: Duration,
}

impl Latency {
    pub(crate) fn new() -> Latency {
        Latency { counts: vec![0; BUCKETS], total: 0, longest: Duration::ZERO }
    }

    pub(crate) fn record(&mut self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(nanoseconds)) {
            *count += 1;
        }
        self.total += 1;
        self.longest = self.longest.max(took);
    }

    /// The time that this share of the answers did not exceed; exact for the longest.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        if share >= 1.0 {
            return self.longest;
        }
        let rank = (share * self.total as f64).ceil() as u64;
        let mut passed = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            passed += count;
            if passed >= rank.max(1) {
                return Duration::from_nanos(upper(bucket)).min(self.longest);
            }
        }
        self.longest
    }
}

/// Below 64 each value has a bucket; above, each power of two has 64.
fn bucket(value: u64) -> usize {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(FINE + 1);
    ((shift as usize) << FINE) + (value >> shift) as usize
}

fn upper(bucket: usize) -> u64 {
    let shift = (bucket >> FINE).saturating_sub(1);
    let fine = (bucket - (shift << FINE)) as u64;
    ((fine + 1) << shift) - 1
}
