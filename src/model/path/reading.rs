//! The readings of a path: what the many kinds of backend would make of it.

use std::borrow::Cow;

use crate::model::path::Hazards;
use crate::model::path::PathError;
use crate::model::path::escape;
use crate::model::path::written_segments;

/// One reading: decoded segments, without the empty one a trailing slash leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading<'p> {
    segments: Vec<Cow<'p, [u8]>>,
    folded: bool,
}

impl<'p> Reading<'p> {
    pub(in crate::model) fn new(segments: Vec<Cow<'p, [u8]>>, folded: bool) -> Reading<'p> {
        Reading { segments, folded }
    }

    /// The segments from the root; none for `/`.
    pub fn segments(&self) -> &[Cow<'p, [u8]>] {
        &self.segments
    }

    /// Is this the reading of a server that ignores ASCII case? Then patterns are compared folded too.
    pub fn folded(&self) -> bool {
        self.folded
    }

    /// The reading as text, for `explain`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for segment in &self.segments {
            text.push('/');
            escape::encode(segment, &mut text);
        }
        if text.is_empty() {
            text.push('/');
        }
        text
    }
}

type Segments = Vec<Vec<u8>>;

/// In how many ways a path may be read before it is refused, and how many octets they may hold together: what people
/// write has two or three readings.
const MOST: usize = 64;
const MOST_OCTETS: usize = 64 * 1024;

/// Every reading of a raw path that keeps case, without repeats, the canonical one first.
///
/// A server is a row of stages with a decoding between them. At each it may cut off what it takes for the end of a
/// segment or of the path, resolve dots and merge slashes, in either order or not at all: one that resolves before it
/// decodes takes `%2e%2e` for a name that a later `..` undoes.
pub(in crate::model) fn all(raw: &str, hazards: Hazards) -> Result<Vec<Segments>, PathError> {
    let written = Parts::written(raw);
    let canonical = written.decode(strictly)?.merge().resolve()?;
    let mut readings = Seen::default();
    readings.add(canonical.without_trailing_slash())?;
    let before = stage(vec![written])?;
    let once = stage(decode(&before, strictly)?)?;
    let twice =
        if hazards.any(Hazards::DOUBLE_ENCODING) { stage(decode(&once, escape::decode_again)?)? } else { Vec::new() };
    for reading in once.into_iter().chain(twice) {
        readings.add(reading.without_trailing_slash())?;
    }
    Ok(readings.paths.iter().map(Parts::segments).collect())
}

/// What may become of paths between two decodings.
fn stage(paths: Vec<Parts>) -> Result<Vec<Parts>, PathError> {
    let mut seen = Seen::default();
    for path in paths {
        for path in path.clone().cut_query().into_iter().chain([path]) {
            for path in path.clone().cut_parameters().into_iter().chain([path]) {
                let merged = path.merge();
                let resolved = path.resolve()?;
                seen.add(merged.resolve()?)?;
                seen.add(resolved.merge())?;
                seen.add(resolved)?;
                seen.add(merged)?;
                seen.add(path)?;
            }
        }
    }
    Ok(seen.paths)
}

/// Decoded, an encoded slash is a character, or a separator.
fn decode(paths: &[Parts], how: impl Fn(&[u8]) -> Result<Vec<u8>, PathError>) -> Result<Vec<Parts>, PathError> {
    let mut seen = Seen::default();
    for path in paths {
        let kept = path.decode(&how)?;
        if kept.0.contains(&b'/') {
            seen.add(kept.part())?;
        }
        seen.add(kept)?;
    }
    Ok(seen.paths)
}

fn strictly(segment: &[u8]) -> Result<Vec<u8>, PathError> {
    escape::decode(std::str::from_utf8(segment).map_err(|_| PathError::Utf8)?)
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
}

/// The segments of a path, with a [`Parts::SEPARATOR`] before each.
// INVARIANT: no segment holds a separator, because controls are refused however they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts(Vec<u8>);

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
        let after_first = self.0.split_first().map(|(_, rest)| rest);
        after_first.into_iter().flat_map(|rest| rest.split(|octet| *octet == Parts::SEPARATOR))
    }

    fn segments(&self) -> Segments {
        self.iter().map(<[u8]>::to_vec).collect()
    }

    fn decode(&self, how: impl Fn(&[u8]) -> Result<Vec<u8>, PathError>) -> Result<Parts, PathError> {
        let mut joined = Vec::with_capacity(self.0.len());
        for segment in self.iter() {
            joined.push(Parts::SEPARATOR);
            joined.extend(how(segment)?);
        }
        Ok(Parts(joined))
    }

    /// Every slash inside a segment made a separator.
    fn part(&self) -> Parts {
        Parts(self.0.iter().map(|octet| if *octet == b'/' { Parts::SEPARATOR } else { *octet }).collect())
    }

    /// Without what follows the first `;` of each segment, where there is one.
    fn cut_parameters(self) -> Option<Parts> {
        let cut = |segment| before(segment, |octet| octet == b';');
        self.0.contains(&b';').then(|| Parts::join(self.iter().map(cut)))
    }

    /// Without what follows the first `?` or `#`, where there is one: the target is put together again after decoding, and
    /// taken apart once more.
    fn cut_query(self) -> Option<Parts> {
        let is_end = |octet| matches!(octet, b'?' | b'#');
        self.0.iter().copied().any(is_end).then(|| Parts(before(&self.0, is_end).to_vec()))
    }

    /// Merge repeated slashes: drop empty segments, but keep a trailing one.
    fn merge(&self) -> Parts {
        let trailing = self.iter().last().filter(|segment| segment.is_empty());
        Parts::join(self.iter().filter(|segment| !segment.is_empty()).chain(trailing))
    }

    /// Resolve `.` and `..` as RFC 3986 §5.2.4 does, but refuse to climb above the root.
    fn resolve(&self) -> Result<Parts, PathError> {
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
        Ok(Parts::join(resolved.into_iter()))
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
