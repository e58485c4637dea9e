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

/// Every reading of a raw path that keeps case, without repeats, the canonical one first.
pub(in crate::model) fn all(raw: &str, hazards: Hazards) -> Result<Vec<Segments>, PathError> {
    let mut readings = Vec::new();
    for once in raw_parameter_choices(raw)? {
        for decoded in decodings(once, hazards)? {
            for split in slash_choices(decoded) {
                for stripped in parameter_choices(split) {
                    dot_choices(stripped, &mut readings)?;
                }
            }
        }
    }
    Ok(readings)
}

/// Path parameters are kept, or cut at a raw `;` before anything is decoded.
fn raw_parameter_choices(raw: &str) -> Result<Vec<Segments>, PathError> {
    let mut choices = vec![written_segments(raw).map(escape::decode).collect::<Result<_, _>>()?];
    if raw.contains(';') {
        let before = |segment: &str| escape::decode(segment.split(';').next().unwrap_or_default());
        choices.push(written_segments(raw).map(before).collect::<Result<_, _>>()?);
    }
    Ok(choices)
}

fn decodings(once: Segments, hazards: Hazards) -> Result<Vec<Segments>, PathError> {
    if !hazards.any(Hazards::DOUBLE_ENCODING) {
        return Ok(vec![once]);
    }
    let twice = once.iter().map(|segment| escape::decode_again(segment)).collect::<Result<_, _>>()?;
    Ok(vec![once, twice])
}

/// An encoded slash is a character, or a separator.
fn slash_choices(kept: Segments) -> Vec<Segments> {
    if !kept.iter().any(|segment| segment.contains(&b'/')) {
        return vec![kept];
    }
    let parted = kept.iter().flat_map(|segment| segment.split(|byte| *byte == b'/').map(<[u8]>::to_vec)).collect();
    vec![kept, parted]
}

/// Path parameters are kept, or cut wherever the `;` came from.
fn parameter_choices(kept: Segments) -> Vec<Segments> {
    if !kept.iter().any(|segment| segment.contains(&b';')) {
        return vec![kept];
    }
    let cut = kept.iter().map(|segment| before_semicolon(segment)).collect();
    vec![kept, cut]
}

fn before_semicolon(segment: &[u8]) -> Vec<u8> {
    segment.split(|byte| *byte == b';').next().unwrap_or_default().to_vec()
}

/// Dots resolved after merging (canonical), before merging, without merging, or kept; slashes merged or not.
fn dot_choices(segments: Segments, readings: &mut Vec<Segments>) -> Result<(), PathError> {
    let merged = merge(segments.clone());
    let resolved_unmerged = resolve(segments.clone())?;
    for choice in [resolve(merged.clone())?, merge(resolved_unmerged.clone()), resolved_unmerged, merged, segments] {
        let choice = without_trailing_slash(choice);
        if !readings.contains(&choice) {
            readings.push(choice);
        }
    }
    Ok(())
}

/// Merge repeated slashes: drop empty segments, but keep a trailing one.
fn merge(segments: Segments) -> Segments {
    let trailing = segments.last().is_some_and(Vec::is_empty);
    let mut merged: Segments = segments.into_iter().filter(|segment| !segment.is_empty()).collect();
    if trailing {
        merged.push(Vec::new());
    }
    merged
}

/// Resolve `.` and `..` as RFC 3986 §5.2.4 does, but refuse to climb above the root.
fn resolve(segments: Segments) -> Result<Segments, PathError> {
    let mut resolved: Segments = Vec::with_capacity(segments.len());
    let count = segments.len();
    for (index, segment) in segments.into_iter().enumerate() {
        let last = index + 1 == count;
        match segment.as_slice() {
            b"." => {}
            b".." => {
                resolved.pop().ok_or(PathError::AboveRoot)?;
            }
            _ => {
                resolved.push(segment);
                continue;
            }
        }
        if last {
            resolved.push(Vec::new());
        }
    }
    Ok(resolved)
}

fn without_trailing_slash(mut segments: Segments) -> Segments {
    if segments.last().is_some_and(Vec::is_empty) {
        segments.pop();
    }
    segments
}
