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
