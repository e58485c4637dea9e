//! Lengths of time as a policy writes them: `60s`, `10m`, `24h`, `7d`, or a bare number of seconds.

use std::ops::RangeInclusive;

use crate::config::at::At;
use crate::model::problem::Problem;
use crate::model::problem::Problems;

/// Seconds within `range`, or `default` when nothing is written, or when what is written is no `what`.
pub(super) fn seconds(
    written: Option<&At<String>>,
    what: &str,
    range: RangeInclusive<i64>,
    default: i64,
    problems: &mut Problems,
) -> i64 {
    let Some(written) = written else { return default };
    match parse(written).filter(|seconds| range.contains(seconds)) {
        Some(seconds) => seconds,
        None => {
            let message = format!("`{}` is not a {what}", written.value);
            let help = format!("write `{}` to `{}`", text(*range.start()), text(*range.end()));
            problems.push(Problem::error(written.place.clone(), "", message).help(help));
            default
        }
    }
}

fn parse(written: &str) -> Option<i64> {
    let written = written.trim();
    let digits = written.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = written.strip_prefix(digits)?;
    let factor = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return None,
    };
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok())??;
    number.checked_mul(factor)
}

/// As one would write it.
fn text(seconds: i64) -> String {
    match [(24 * 3600, "d"), (3600, "h"), (60, "m")].into_iter().find(|(unit, _)| seconds > 0 && seconds % unit == 0) {
        Some((unit, letter)) => format!("{}{letter}", seconds / unit),
        None => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_a_unit() {
        for (written, want) in [
            ("0", Some(0)),
            ("60", Some(60)),
            ("60s", Some(60)),
            ("10m", Some(600)),
            (" 24h ", Some(86_400)),
            ("7d", Some(604_800)),
            ("", None),
            ("s", None),
            ("1.5h", None),
            ("-1s", None),
            ("+1s", None),
            ("1 h", None),
            ("1w", None),
            ("1H", None),
            ("1hm", None),
            ("99999999999999999999", None),
            ("9999999999999999d", None),
        ] {
            assert_eq!(parse(written), want, "{written:?}");
        }
        for (seconds, want) in [(0, "0s"), (59, "59s"), (60, "1m"), (3600, "1h"), (172_800, "2d"), (90, "90s")] {
            assert_eq!(text(seconds), want);
        }
    }
}
