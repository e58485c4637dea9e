//! The readings of a path: what the many kinds of backend would make of it.

use std::borrow::Cow;

use crate::model::path::Hazards;
use crate::model::path::PathError;
use crate::model::path::escape;
use crate::model::path::written_segments;

/// One reading: decoded segments, without the empty one a trailing slash leaves.
#[derive(Clone, Debug)]
pub struct Reading<'p> {
    /// The segments with a separator before each, in one piece: a long path has thousands of them.
    octets: Cow<'p, [u8]>,
    separator: u8,
    folded: bool,
}

impl<'p> Reading<'p> {
    /// The one reading of a path without hazards and escapes: as it is written.
    pub(in crate::model) fn plain(raw: &'p str) -> Reading<'p> {
        let octets = raw.strip_suffix('/').unwrap_or(raw).as_bytes();
        Reading { octets: Cow::Borrowed(octets), separator: b'/', folded: false }
    }

    /// As a server reads it that ignores ASCII case.
    pub(in crate::model) fn fold(&self) -> Reading<'static> {
        Reading { octets: Cow::Owned(self.octets.to_ascii_lowercase()), separator: self.separator, folded: true }
    }

    /// The segments from the root; none for `/`.
    pub fn segments(&self) -> impl Iterator<Item = &[u8]> + Clone {
        split(&self.octets, self.separator)
    }

    /// Is this the reading of a server that ignores ASCII case? Then patterns are compared folded too.
    pub fn folded(&self) -> bool {
        self.folded
    }

    /// The reading as decoded text, for expressions.
    pub fn decoded(&self) -> Cow<'_, str> {
        if self.octets.is_empty() {
            return Cow::Borrowed("/");
        }
        // Readings are UTF-8, or the path was refused; were one not, U+FFFD matches no expression by mistake.
        if self.separator == b'/' {
            return String::from_utf8_lossy(&self.octets);
        }
        let slashed = self.octets.iter().map(|octet| if *octet == self.separator { b'/' } else { *octet });
        let slashed = String::from_utf8(slashed.collect());
        Cow::Owned(slashed.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// The reading as text, for `explain`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for segment in self.segments() {
            text.push('/');
            escape::encode(segment, &mut text);
        }
        if text.is_empty() {
            text.push('/');
        }
        text
    }
}

impl PartialEq for Reading<'_> {
    fn eq(&self, other: &Reading<'_>) -> bool {
        self.folded == other.folded && self.segments().eq(other.segments())
    }
}

impl Eq for Reading<'_> {}

fn split(octets: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> + Clone {
    let after_first = octets.split_first().map(|(_, rest)| rest);
    after_first.into_iter().flat_map(move |rest| rest.split(move |octet| *octet == separator))
}

/// In how many ways a path may be read before it is refused, and how many octets they may hold together: what people
/// write has two or three readings. The second number keeps the cost of the worst target below a millisecond.
const MOST: usize = 64;
const MOST_OCTETS: usize = 32 * 1024;

/// Every reading of a raw path that keeps case, without repeats, the canonical one first.
///
/// A server is a row of stages with a decoding between them. At each it may cut off what it takes for the end of a
/// segment or of the path, resolve dots and merge slashes, in either order or not at all: one that resolves before it
/// decodes takes `%2e%2e` for a name that a later `..` undoes.
pub(in crate::model) fn all(raw: &str, hazards: Hazards) -> Result<Vec<Parts>, PathError> {
    let written = Parts::written(raw);
    let decoded = Parts(escape::decode_joined(&written.0)?);
    let merged = decoded.merge().unwrap_or(decoded);
    let canonical = merged.resolve()?.unwrap_or(merged);
    let mut readings = Seen::default();
    readings.add(canonical.without_trailing_slash())?;
    let before = stage(vec![written])?;
    let once = stage(decode(&before, escape::decode_joined)?)?;
    let twice = if hazards.any(Hazards::DOUBLE_ENCODING) {
        stage(decode(&once, escape::decode_joined_again)?)?
    } else {
        Vec::new()
    };
    for reading in once.into_iter().chain(twice) {
        readings.add(reading.without_trailing_slash())?;
    }
    Ok(readings.paths)
}

/// What may become of paths between two decodings.
fn stage(paths: Vec<Parts>) -> Result<Vec<Parts>, PathError> {
    let mut seen = Seen::default();
    for path in paths {
        let without_query = path.cut_query();
        for path in without_query.into_iter().chain([path]) {
            let without_parameters = path.cut_parameters();
            for path in without_parameters.into_iter().chain([path]) {
                if let Some(resolved) = path.resolve()? {
                    seen.add_with_merged(resolved)?;
                }
                seen.add_with_merged(path)?;
            }
        }
    }
    Ok(seen.paths)
}

/// Decoded, an encoded slash is a character, or a separator.
fn decode(paths: &[Parts], how: fn(&[u8]) -> Result<Vec<u8>, PathError>) -> Result<Vec<Parts>, PathError> {
    let mut seen = Seen::default();
    for path in paths {
        let kept = Parts(how(&path.0)?);
        if kept.0.contains(&b'/') {
            seen.add(kept.part())?;
        }
        seen.add(kept)?;
    }
    Ok(seen.paths)
}

/// Paths without repeats, and not too many.
#[derive(Default)]
struct Seen {
    paths: Vec<Parts>,
    octets: usize,
}

impl Seen {
    fn add(&mut self, path: Parts) -> Result<(), PathError> {
        if self.paths.contains(&path) {
            return Ok(());
        }
        self.octets += path.0.len();
        if self.paths.len() == MOST || self.octets > MOST_OCTETS {
            return Err(PathError::Readings);
        }
        self.paths.push(path);
        Ok(())
    }

    /// The path as it is, and with its slashes merged: before what dots there are is resolved, and not resolved at all.
    fn add_with_merged(&mut self, path: Parts) -> Result<(), PathError> {
        if let Some(merged) = path.merge() {
            if let Some(resolved) = merged.resolve()? {
                self.add(resolved)?;
            }
            self.add(merged)?;
        }
        self.add(path)
    }
}

/// The segments of a path, with a [`Parts::SEPARATOR`] before each.
// INVARIANT: no segment holds a separator, because controls are refused however they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::model) struct Parts(Vec<u8>);

impl Parts {
    const SEPARATOR: u8 = 0;

    fn written(raw: &str) -> Parts {
        Parts::join(written_segments(raw).map(str::as_bytes))
    }

    fn join<'s>(segments: impl Iterator<Item = &'s [u8]>) -> Parts {
        let mut joined = Vec::new();
        for segment in segments {
            joined.push(Parts::SEPARATOR);
            joined.extend_from_slice(segment);
        }
        Parts(joined)
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        split(&self.0, Parts::SEPARATOR)
    }

    pub(in crate::model) fn reading(&self) -> Reading<'_> {
        Reading { octets: Cow::Borrowed(&self.0), separator: Parts::SEPARATOR, folded: false }
    }

    /// Every slash inside a segment made a separator.
    fn part(&self) -> Parts {
        Parts(self.0.iter().map(|octet| if *octet == b'/' { Parts::SEPARATOR } else { *octet }).collect())
    }

    /// Without what follows the first `;` of each segment, where there is one.
    fn cut_parameters(&self) -> Option<Parts> {
        let cut = |segment| before(segment, |octet| octet == b';');
        self.0.contains(&b';').then(|| Parts::join(self.iter().map(cut)))
    }

    /// Without what follows the first `?` or `#`, where there is one: the target is put together again after decoding, and
    /// taken apart once more.
    fn cut_query(&self) -> Option<Parts> {
        let is_end = |octet| matches!(octet, b'?' | b'#');
        self.0.iter().copied().any(is_end).then(|| Parts(before(&self.0, is_end).to_vec()))
    }

    /// Merge repeated slashes, where there are some: drop empty segments, but keep a trailing one.
    fn merge(&self) -> Option<Parts> {
        let repeated = self.0.windows(2).any(|pair| pair == [Parts::SEPARATOR; 2]);
        repeated.then(|| {
            let mut merged = self.0.clone();
            merged.dedup_by(|this, before| *this == Parts::SEPARATOR && *before == Parts::SEPARATOR);
            Parts(merged)
        })
    }

    /// Resolve `.` and `..`, where there are some, as RFC 3986 §5.2.4 does, but refuse to climb above the root.
    fn resolve(&self) -> Result<Option<Parts>, PathError> {
        if !self.iter().any(|segment| matches!(segment, b"." | b"..")) {
            return Ok(None);
        }
        let mut resolved: Vec<&[u8]> = Vec::new();
        let mut open = false;
        for segment in self.iter() {
            open = matches!(segment, b"." | b"..");
            match segment {
                b"." => {}
                b".." => drop(resolved.pop().ok_or(PathError::AboveRoot)?),
                _ => resolved.push(segment),
            }
        }
        if open {
            resolved.push(b"");
        }
        Ok(Some(Parts::join(resolved.into_iter())))
    }

    fn without_trailing_slash(mut self) -> Parts {
        if self.0.last() == Some(&Parts::SEPARATOR) {
            self.0.pop();
        }
        self
    }
}

fn before(text: &[u8], is_end: impl Fn(u8) -> bool) -> &[u8] {
    text.split(|octet| is_end(*octet)).next().unwrap_or_default()
}
