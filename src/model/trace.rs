//! The trace that a request is part of: W3C Trace Context, `traceparent`.

use crate::model::header::Headers;
use crate::model::header::Single;

/// The header field that names the trace (W3C Trace Context §3.2).
pub const TRACEPARENT: &str = "traceparent";

/// What a `traceparent` says: version 00 of W3C Trace Context §3.2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Never all zeros.
    pub trace_id: [u8; 16],
    /// The span of whoever asked; never all zeros.
    pub parent: [u8; 8],
    /// The caller may have recorded its span (the flag `sampled`).
    pub sampled: bool,
}

impl TraceContext {
    /// The trace that the client's header fields name. `None` also when there are several, or when it is malformed: the
    /// client says it, and nothing is decided by it.
    pub fn of(headers: &Headers<'_>) -> Option<TraceContext> {
        match headers.one(TRACEPARENT) {
            Single::One(value) => TraceContext::parse(value),
            Single::Absent | Single::Many => None,
        }
    }

    /// `00-<32 hex>-<16 hex>-<2 hex>`, in small letters, and not a letter more or less.
    pub fn parse(text: &[u8]) -> Option<TraceContext> {
        let (version, rest) = text.split_first_chunk::<3>()?;
        let (trace_id, rest) = rest.split_first_chunk::<32>()?;
        let (dash, rest) = rest.split_first()?;
        let (parent, rest) = rest.split_first_chunk::<16>()?;
        let (dash_again, flags) = rest.split_first()?;
        if version != b"00-" || (*dash, *dash_again) != (b'-', b'-') {
            return None;
        }
        let trace_id = octets::<16>(trace_id).filter(|id| *id != [0; 16])?;
        let parent = octets::<8>(parent).filter(|id| *id != [0; 8])?;
        let [flags] = octets::<1>(flags)?;
        Some(TraceContext { trace_id, parent, sampled: flags & 1 == 1 })
    }
}

/// Octets from twice as many small hex digits.
fn octets<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let digit = |letter: u8| match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    };
    let mut octets = [0; N];
    for (octet, [high, low]) in octets.iter_mut().zip(pairs) {
        *octet = digit(*high)? << 4 | digit(*low)?;
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn good() -> TraceContext {
        TraceContext {
            trace_id: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes(),
            parent: 0xb7ad_6b71_6920_3331_u64.to_be_bytes(),
            sampled: true,
        }
    }

    #[test]
    fn a_traceparent_is_of_version_00_to_the_letter() {
        let unsampled = Some(TraceContext { sampled: false, ..good() });
        for (text, want) in [
            (GOOD.to_owned(), Some(good())),
            (GOOD.replace("-01", "-00"), unsampled),
            (GOOD.replace("-01", "-fe"), unsampled),
            (GOOD.replace("-01", "-03"), Some(good())),
            (GOOD.to_ascii_uppercase(), None),
            (GOOD.replace("-01", "-0"), None),
            (GOOD.replace("-01", "-010"), None),
            (GOOD.replace("-01", "-01-x"), None),
            (GOOD.replace("-01", "-0g"), None),
            (GOOD.replace("-01", ""), None),
            (GOOD.replacen("00", "01", 1), None),
            (GOOD.replacen("00", "ff", 1), None),
            (GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)), None),
            (GOOD.replace("b7ad6b7169203331", &"0".repeat(16)), None),
            (GOOD.replace('-', "_"), None),
            (format!(" {GOOD}"), None),
            (format!("{GOOD},{GOOD}"), None),
            (String::new(), None),
        ] {
            assert_eq!(TraceContext::parse(text.as_bytes()), want, "{text}");
        }
        assert_eq!(TraceContext::parse(b"\xff"), None);
    }

    #[test]
    fn a_request_is_part_of_one_trace_or_of_none() {
        let mut headers = Headers::new(false);
        assert_eq!(TraceContext::of(&headers), None);
        headers.push("Traceparent", GOOD.as_bytes());
        assert_eq!(TraceContext::of(&headers), Some(good()));
        headers.push("traceparent", GOOD.as_bytes());
        assert_eq!(TraceContext::of(&headers), None);
    }
}
