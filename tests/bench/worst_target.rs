//! How long does the worst target take to read (P16)? Thousands of targets of 8 kB are put together from the pieces that
//! servers disagree about, and the dearest are printed, with what they begin with. Below a millisecond is well.
//!
//! `cargo bench --bench worst_target`

#![expect(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a measurement reads the clock and prints")]

use std::time::Duration;
use std::time::Instant;

use postern::model::path::Path;

const UNITS: [&str; 24] = [
    "a",
    "a/",
    "a/../",
    "a/./",
    "a;b/",
    "%2561/",
    "a%2f",
    "A/",
    "//",
    "%2e/",
    "%25/",
    "/",
    ".",
    "..",
    "%252f",
    "%252e/",
    "%3b",
    "%3f",
    "%23",
    ";",
    "Bx",
    "%41",
    "%25%32%66",
    "%c3%a9",
];

const TARGETS: usize = 4000;
const LENGTH: usize = 8180;

fn main() {
    let mut dice = Dice(7);
    let mut all: Vec<Measured> = (0..TARGETS).map(|_| measure(target(&mut dice))).collect();
    all.sort_by_key(|measured| std::cmp::Reverse(measured.time));
    for Measured { time, readings, target } in all.iter().take(5) {
        println!("{time:>12?} {readings:>4} readings  {}…", target.get(..60).unwrap_or(target));
    }
}

struct Measured {
    time: Duration,
    readings: usize,
    target: String,
}

/// The best of a few: the rest is what else the machine does.
fn measure(target: String) -> Measured {
    let once = || {
        let before = Instant::now();
        let readings = Path::parse(&target).map_or(0, |path| path.other_readings(true).len());
        (before.elapsed(), readings)
    };
    let (time, readings) = (0..5).map(|_| once()).min().unwrap_or_default();
    Measured { time, readings, target }
}

/// A few pieces, then two over and over, then a few again.
fn target(dice: &mut Dice) -> String {
    let (begin, bulk, end) = (dice.pieces(3), dice.pieces(2), dice.pieces(3));
    let times = (LENGTH - begin.len() - end.len()) / bulk.len();
    format!("/{begin}{}{end}", bulk.repeat(times))
}

/// The same throws in every run.
struct Dice(u64);

impl Dice {
    fn pieces(&mut self, count: usize) -> String {
        (0..count).filter_map(|_| UNITS.get(self.roll(UNITS.len())).copied()).collect()
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % sides.max(1)
    }
}
