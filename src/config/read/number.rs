//! Which plain scalars are numbers and truth values: one spelling each.

use std::str::FromStr;

/// A number as JSON spells it.
pub(super) fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    is_whole(whole) && fraction.is_none_or(are_digits) && exponent.is_none_or(are_digits)
}

/// An integer without sign, leading zeros or separators, if it fits.
pub(super) fn parse_whole<N: FromStr>(text: &str) -> Option<N> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if is_whole(digits) { text.parse().ok() } else { None }
}

/// A number that a float holds exactly enough: integers beyond 2^53 are not.
pub(super) fn parse_float(text: &str) -> Option<f64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let number = text.parse::<f64>().ok().filter(|number| is_number(text) && number.is_finite())?;
    (number.fract() != 0.0 || number.abs() < EXACT).then_some(number)
}

/// `true` or `false`.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Would some YAML reader take this plain text for a truth value or a number, although we do not?
pub(super) fn is_doubtful(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let word = matches!(lower.as_str(), "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n");
    let unsigned = lower.strip_prefix(['+', '-']).unwrap_or(&lower);
    let numeric = matches!(unsigned, ".inf" | ".nan")
        || unsigned.starts_with("0x") && unsigned.len() > 2 && unsigned.bytes().skip(2).all(|b| b.is_ascii_hexdigit())
        || unsigned.starts_with("0o") && unsigned.len() > 2 && unsigned.bytes().skip(2).all(|b| b.is_ascii_digit())
        || unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && unsigned.bytes().any(|b| b.is_ascii_digit())
            && unsigned.replace('_', "").parse::<f64>().is_ok();
    (word && parse_bool(text).is_none()) || (numeric && !is_number(text))
}

fn is_whole(text: &str) -> bool {
    are_digits(text) && (text == "0" || !text.starts_with('0'))
}

fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_a_number_a_doubt_or_neither() {
        for (text, number, doubtful) in [
            ("0", true, false),
            ("12", true, false),
            ("-3", true, false),
            ("1.5", true, false),
            ("1e9", true, false),
            ("1.5E-3", true, false),
            ("007", false, true),
            ("+1", false, true),
            ("1_000", false, true),
            ("0x1F", false, true),
            ("0o17", false, true),
            (".5", false, true),
            ("1.", false, true),
            (".inf", false, true),
            ("yes", false, true),
            ("True", false, true),
            ("true", false, false),
            ("1.2.3", false, false),
            ("-", false, false),
            ("", false, false),
            ("admin", false, false),
            ("infinity", false, false),
            ("2026-01-01", false, false),
        ] {
            assert_eq!((is_number(text), is_doubtful(text)), (number, doubtful), "{text}");
        }
    }

    #[test]
    fn floats_are_exact_or_refused() {
        for (text, want) in [
            ("9007199254740991", Some(9_007_199_254_740_991.0)),
            ("9007199254740993", None),
            ("1e400", None),
            ("0.1", Some(0.1)),
            ("inf", None),
        ] {
            assert_eq!(parse_float(text), want, "{text}");
        }
    }
}
