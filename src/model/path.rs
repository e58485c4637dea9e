//! The path of a request: refused when no route can want it, marked where servers disagree about it.
//!
//! Proxies and applications resolve odd paths in different ways, and most bypasses live in that difference. So a
//! path with a hazard has several *readings*, one for each thing a backend might make of it; a policy must allow
//! them all. The upstream path is never rewritten.

pub mod escape;
pub mod parameter;
pub mod reading;

use std::borrow::Cow;

use thiserror::Error;

use crate::model::path::reading::Parts;
use crate::model::path::reading::Reading;

/// The longest request target that is judged, in octets.
pub const MAX_TARGET: usize = 8 * 1024;

/// A request path without its query.
#[derive(Clone, Debug)]
pub struct Path<'w> {
    raw: &'w str,
    query: Option<&'w str>,
    hazards: Hazards,
    /// Every reading that keeps case, the canonical one first. None for a plain path, which has but one: its segments are
    /// simply those of `raw`.
    readings: Vec<Parts>,
}

/// Why a target is refused whatever the policy says.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PathError {
    #[error("target is longer than {MAX_TARGET} octets")]
    TooLong,
    #[error("target does not start with `/`")]
    NotOrigin,
    #[error("target holds an octet outside 0x21-0x7E")]
    Octet,
    #[error("target holds `#`")]
    Fragment,
    #[error("path holds `%` without two hexadecimal digits")]
    Escape,
    #[error("path holds an escaped control character")]
    Control,
    #[error("path is not UTF-8 once decoded")]
    Utf8,
    #[error("path holds a backslash, raw or encoded")]
    Backslash,
    #[error("path holds a dot segment with `;`")]
    DotParameter,
    #[error("path climbs above the root")]
    AboveRoot,
    #[error("path can be read in too many ways")]
    Readings,
}

/// What in a path servers are known to disagree about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hazards(u8);

impl Hazards {
    /// `.` or `..` segments, raw or encoded.
    pub const DOTS: Hazards = Hazards(1);
    /// Two slashes in a row.
    pub const SLASHES: Hazards = Hazards(2);
    /// `;`, raw or `%3b`.
    pub const PARAMETER: Hazards = Hazards(4);
    /// `%2f`.
    pub const ENCODED_SLASH: Hazards = Hazards(8);
    /// `%25` followed by two hexadecimal digits.
    pub const DOUBLE_ENCODING: Hazards = Hazards(16);
    /// An upper-case ASCII letter, raw or encoded.
    pub const UPPER_CASE: Hazards = Hazards(32);
    /// `%3f` or `%23`: the end of the path, to a server that decodes before it looks for the query.
    pub const ENCODED_END: Hazards = Hazards(64);

    /// Is any of these marked?
    pub fn any(self, of: Hazards) -> bool {
        self.0 & of.0 != 0
    }

    /// Is nothing marked?
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names of what is marked, for `explain`.
    pub fn names(self) -> Vec<&'static str> {
        [
            (Hazards::DOTS, "dot segment"),
            (Hazards::SLASHES, "repeated slash"),
            (Hazards::PARAMETER, "`;`"),
            (Hazards::ENCODED_SLASH, "`%2f`"),
            (Hazards::DOUBLE_ENCODING, "double encoding"),
            (Hazards::UPPER_CASE, "upper-case letter"),
            (Hazards::ENCODED_END, "`%3f` or `%23`"),
        ]
        .into_iter()
        .filter(|(hazard, _)| self.any(*hazard))
        .map(|(_, name)| name)
        .collect()
    }

    fn mark(&mut self, hazard: Hazards) {
        self.0 |= hazard.0;
    }
}

impl std::ops::BitOr for Hazards {
    type Output = Hazards;

    fn bitor(self, other: Hazards) -> Hazards {
        Hazards(self.0 | other.0)
    }
}

impl<'w> Path<'w> {
    /// Read a request target (path and query), or say why no route can want it. One scan when nothing is odd.
    pub fn parse(target: &'w str) -> Result<Path<'w>, PathError> {
        if target.len() > MAX_TARGET {
            return Err(PathError::TooLong);
        }
        if !target.starts_with('/') {
            return Err(PathError::NotOrigin);
        }
        // Without a way out in the middle the compiler looks at many octets at a time.
        let fits = |byte: u8| (0x21..=0x7E).contains(&byte) & (byte != b'#');
        if !target.bytes().fold(true, |all, byte| all & fits(byte)) {
            let first = target.bytes().find(|byte| !fits(*byte));
            return Err(if first == Some(b'#') { PathError::Fragment } else { PathError::Octet });
        }
        let end = target.bytes().position(|byte| byte == b'?');
        let (raw, query) = end.and_then(|end| target.split_at_checked(end)).unwrap_or((target, ""));
        let query = query.strip_prefix('?');
        if is_ordinary(raw) {
            return Ok(Path { raw, query, hazards: Hazards::default(), readings: Vec::new() });
        }
        let hazards = scan(raw)?;
        let plain = hazards.is_empty() && !raw.contains('%');
        let mut path = Path { raw, query, hazards, readings: Vec::new() };
        if !plain {
            path.readings = reading::all(raw, hazards)?;
            // Where `%2f` is a character, resolving can take away what stood before a `..%2f`. The canonical path must
            // be one that we would take.
            if path.needs_opt_in() {
                reading::all(&path.canonical_text(), hazards)?;
            }
        }
        Ok(path)
    }

    /// The path as the client sent it.
    pub fn raw(&self) -> &'w str {
        self.raw
    }

    /// The query as the client sent it, without `?`.
    pub fn query(&self) -> Option<&'w str> {
        self.query
    }

    /// What servers may disagree about in this path.
    pub fn hazards(&self) -> Hazards {
        self.hazards
    }

    /// `%2f` and double encoding pass only where a route opts in.
    pub fn needs_opt_in(&self) -> bool {
        self.hazards.any(Hazards::ENCODED_SLASH | Hazards::DOUBLE_ENCODING)
    }

    /// Decoded once, slashes merged, dots resolved, the rest kept: the reading that names the route, and the one
    /// that identity, limits and the log use.
    pub fn canonical(&self) -> Reading<'_> {
        self.readings.first().map_or_else(|| Reading::plain(self.raw), Parts::reading)
    }

    /// The canonical reading as text, escaped where it must be.
    pub fn canonical_text(&self) -> Cow<'w, str> {
        match self.readings.first() {
            None => Cow::Borrowed(self.raw),
            Some(parts) => {
                let mut text = String::with_capacity(self.raw.len());
                for segment in parts.reading().segments() {
                    text.push('/');
                    escape::encode(segment, &mut text);
                }
                if text.is_empty() || self.raw.ends_with('/') && !text.ends_with('/') {
                    text.push('/');
                }
                Cow::Owned(text)
            }
        }
    }

    /// Every other thing a backend might make of this path. `fold` adds the readings of servers that ignore case.
    pub fn other_readings(&self, fold: bool) -> Vec<Reading<'_>> {
        let kept = self.readings.iter().skip(1).map(Parts::reading);
        if !fold {
            return kept.collect();
        }
        let folded = std::iter::once(self.canonical().fold()).chain(kept.clone().map(|reading| reading.fold()));
        kept.clone().chain(folded).collect()
    }
}

/// The segments of a raw path as they are written, an empty last one for a trailing slash.
fn written_segments(raw: &str) -> std::str::Split<'_, char> {
    raw.strip_prefix('/').unwrap_or(raw).split('/')
}

/// Is there nothing odd in a raw path? Most are so, and need not be taken apart.
fn is_ordinary(raw: &str) -> bool {
    // Without a way out in the middle the compiler looks at many octets at a time.
    let octets = raw.as_bytes();
    let unremarkable = octets.iter().fold(true, |all, octet| all & is_unremarkable(*octet));
    let pairs = octets.iter().zip(octets.get(1..).unwrap_or_default());
    unremarkable & pairs.fold(true, |all, (octet, next)| all & !((*octet == b'/') & (*next == b'/' || *next == b'.')))
}

/// One pass over the raw path: refuse what no route can want, mark what servers disagree about.
fn scan(raw: &str) -> Result<Hazards, PathError> {
    let mut hazards = Hazards::default();
    let mut segments = written_segments(raw).peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_some() {
            hazards.mark(Hazards::SLASHES);
        }
        if segment.bytes().all(is_unremarkable) && !segment.starts_with('.') {
            continue;
        }
        // Without an escape it is what it is.
        if !segment.contains('%') {
            inspect(segment.as_bytes(), &mut hazards)?;
            continue;
        }
        let decoded = escape::decode(segment)?;
        inspect(&decoded, &mut hazards)?;
        if hazards.any(Hazards::DOUBLE_ENCODING) {
            let twice = escape::decode_again(&decoded)?;
            inspect(&twice, &mut hazards)?;
        }
    }
    Ok(hazards)
}

fn is_unremarkable(byte: u8) -> bool {
    !byte.is_ascii_uppercase() && !matches!(byte, b'%' | b'\\' | b';')
}

fn inspect(decoded: &[u8], hazards: &mut Hazards) -> Result<(), PathError> {
    if decoded.contains(&b'\\') {
        return Err(PathError::Backslash);
    }
    for part in decoded.split(|byte| *byte == b'/') {
        match part {
            b"." | b".." => hazards.mark(Hazards::DOTS),
            [b'.', b';', ..] | [b'.', b'.', b';', ..] => return Err(PathError::DotParameter),
            _ => {}
        }
    }
    for byte in decoded {
        match byte {
            b'/' => hazards.mark(Hazards::ENCODED_SLASH),
            b';' => hazards.mark(Hazards::PARAMETER),
            b'?' | b'#' => hazards.mark(Hazards::ENCODED_END),
            b'A'..=b'Z' => hazards.mark(Hazards::UPPER_CASE),
            _ => {}
        }
    }
    let percent_again = decoded
        .windows(3)
        .any(|window| matches!(window, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()));
    if percent_again {
        hazards.mark(Hazards::DOUBLE_ENCODING);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
