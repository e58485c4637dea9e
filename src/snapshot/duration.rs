//! Lengths of time as a policy writes them: `250ms`, `60s`, `10m`, `24h`, `7d`, or a bare number of seconds.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::at::At;
use crate::model::problem::Problem;
use crate::model::problem::Problems;

/// Read a length within bounds, or take `default` when nothing is written, or when what is written is no `what`.
pub(super) fn read(
    written: Option<&At<String>>,
    default: Duration,
    what: &str,
    bounds: RangeInclusive<Duration>,
    problems: &mut Problems,
) -> Duration {
    let Some(written) = written else { return default };
    match parse(written).filter(|length| bounds.contains(length)) {
        Some(length) => length,
        None => {
            let message = format!("`{}` is not a {what}", written.value);
            let help = format!("write `{}` to `{}`", show(*bounds.start()), show(*bounds.end()));
            problems.push(Problem::error(written.place.clone(), "", message).help(help));
            default
        }
    }
}

/// The same in whole seconds; what is written below one is cut off.
pub(super) fn seconds(
    written: Option<&At<String>>,
    what: &str,
    range: RangeInclusive<i64>,
    default: i64,
    problems: &mut Problems,
) -> i64 {
    let length = |seconds: i64| Duration::from_secs(seconds.max(0).unsigned_abs());
    let bounds = length(*range.start())..=length(*range.end());
    let read = read(written, length(default), what, bounds, problems);
    i64::try_from(read.as_secs()).unwrap_or(default)
}

/// A length of time as it is written, if it is one.
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let (_, milliseconds) = UNITS.into_iter().find(|(unit, _)| text.strip_prefix(number) == Some(unit))?;
    let is_number = !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit());
    let number = number.parse::<u64>().ok().filter(|_| is_number)?;
    Some(Duration::from_millis(number.checked_mul(milliseconds)?))
}

/// The units, and how many milliseconds each has. One without a letter is seconds.
const UNITS: [(&str, u64); 6] =
    [("d", 24 * 3_600_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("", 1000), ("ms", 1)];

/// As one would write it.
fn show(length: Duration) -> String {
    let milliseconds = length.as_millis();
    let fits = |unit: &u64| milliseconds > 0 && milliseconds.is_multiple_of(u128::from(*unit));
    match UNITS.into_iter().find(|(name, unit)| !name.is_empty() && fits(unit)) {
        Some((name, unit)) => format!("{}{name}", milliseconds / u128::from(unit)),
        None => "0s".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_a_unit() {
        for (text, want) in [
            ("250ms", Some(250)),
            ("10s", Some(10_000)),
            (" 2m ", Some(120_000)),
            ("60", Some(60_000)),
            ("24h", Some(86_400_000)),
            ("7d", Some(604_800_000)),
            ("0", Some(0)),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("+1s", None),
            ("1.5s", None),
            ("1w", None),
            ("1 s", None),
            ("1sm", None),
            ("99999999999999999999s", None),
            ("18446744073709551615s", None),
        ] {
            assert_eq!(parse(text), want.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn lengths_are_shown_as_they_would_be_written() {
        for text in ["0s", "50ms", "1s", "90s", "10m", "2h", "30d"] {
            assert_eq!(parse(text).map(show).as_deref(), Some(text));
        }
    }
}
