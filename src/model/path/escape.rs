//! Percent escapes of one path segment (RFC 3986 §2.1), strictly.

use crate::model::path::PathError;

/// Decode every escape of a segment. Refuses bad escapes, controls and what is not UTF-8.
pub fn decode(segment: &str) -> Result<Vec<u8>, PathError> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (bytes.next().and_then(hex), bytes.next().and_then(hex)) else {
            return Err(PathError::Escape);
        };
        decoded.push(high << 4 | low);
    }
    check(decoded)
}

/// Decode what a backend that decodes twice would see: here a lone `%` is literal.
pub fn decode_again(segment: &[u8]) -> Result<Vec<u8>, PathError> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment;
    loop {
        match rest {
            [] => return check(decoded),
            [b'%', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                decoded.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                rest = tail;
            }
            [byte, tail @ ..] => {
                decoded.push(*byte);
                rest = tail;
            }
        }
    }
}

/// Decode whole paths, whose segments stand behind a NUL each, as [`decode`] does their segments.
pub(in crate::model) fn decode_joined(segments: &[u8]) -> Result<Vec<u8>, PathError> {
    joined(segments, |_| Err(PathError::Escape))
}

/// The same as [`decode_again`] does.
pub(in crate::model) fn decode_joined_again(segments: &[u8]) -> Result<Vec<u8>, PathError> {
    joined(segments, Ok)
}

/// `lone` says what becomes of a `%` that begins no escape.
fn joined(segments: &[u8], lone: impl Fn(u8) -> Result<u8, PathError>) -> Result<Vec<u8>, PathError> {
    let mut decoded = Vec::with_capacity(segments.len());
    let mut rest = segments;
    loop {
        let plain = rest.iter().position(|octet| *octet == b'%').unwrap_or(rest.len());
        let (before, after) = rest.split_at(plain);
        decoded.extend_from_slice(before);
        let escape = match after {
            [] => break,
            [_, high, low, ..] => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        let width = match escape {
            Some(0) => return Err(PathError::Control),
            Some(octet) => {
                decoded.push(octet);
                3
            }
            None => {
                decoded.push(lone(b'%')?);
                1
            }
        };
        rest = after.get(width..).unwrap_or_default();
    }
    if std::str::from_utf8(&decoded).is_err() {
        return Err(PathError::Utf8);
    }
    // The controls of ASCII, and those of Latin-1 in UTF-8.
    let control = |octet: &u8| matches!(octet, 1..=0x1F | 0x7F);
    let latin = |pair: &[u8]| matches!(pair, [0xC2, 0x80..=0x9F]);
    if decoded.iter().any(control) || decoded.contains(&0xC2) && decoded.windows(2).any(latin) {
        return Err(PathError::Control);
    }
    Ok(decoded)
}

/// Write a segment with everything escaped that RFC 3986 does not list in `pchar`.
pub fn encode(segment: &[u8], text: &mut String) {
    for &byte in segment {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push(hex_digit(byte >> 4));
            text.push(hex_digit(byte & 15));
        }
    }
}

fn check(decoded: Vec<u8>) -> Result<Vec<u8>, PathError> {
    let text = std::str::from_utf8(&decoded).map_err(|_| PathError::Utf8)?;
    if text.chars().any(char::is_control) {
        return Err(PathError::Control);
    }
    Ok(decoded)
}

/// The upper-case digit of a value below 16.
fn hex_digit(value: u8) -> char {
    char::from(if value < 10 { b'0' + value } else { b'A' + value - 10 })
}

fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_paths_are_decoded_as_their_segments_are() {
        for path in [
            "",
            "/",
            "//",
            "/a%41/%25",
            "/%2561/%252f",
            "/%c3%a9/%C2%A0",
            "/%c3/%a9",
            "/%",
            "/a%/41",
            "/%4/1",
            "/%zz",
            "/%00",
            "/%01",
            "/%7f",
            "/%c2%80",
            "/%c2%9f/a",
            "/%c2/%80",
            "/%2500",
            "/%25c2%2580",
            "/%2525%",
            "/a%2",
        ] {
            let segments = || path.split('/').skip(1);
            let join = |decoded: Result<Vec<Vec<u8>>, PathError>| {
                let behind = |segment: Vec<u8>| [&[0][..], &segment].concat();
                decoded.ok().map(|segments| segments.into_iter().flat_map(behind).collect::<Vec<u8>>())
            };
            let joined = path.replace('/', "\0");
            let want = join(segments().map(decode).collect());
            assert_eq!(decode_joined(joined.as_bytes()).ok(), want, "{path}");
            let want = join(segments().map(|segment| decode_again(segment.as_bytes())).collect());
            assert_eq!(decode_joined_again(joined.as_bytes()).ok(), want, "{path} again");
        }
    }
}
