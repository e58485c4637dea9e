//! Path patterns: literal segments, `*` or `{name}` for one segment, `**` at the end for all below.

use thiserror::Error;

use crate::model::path::escape;

/// A parsed path pattern. Two patterns that cover the same paths by the same shape are equal, whatever the
/// names in braces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathPattern {
    segments: Box<[Segment]>,
    /// Ends in `**`: covers the path so far and everything below.
    open: bool,
}

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// These octets.
    Literal(Box<[u8]>),
    /// Any one non-empty segment.
    Any,
}

/// Why a pattern is refused, and what to write instead.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PatternError {
    #[error("a path pattern starts with `/`")]
    NoSlash,
    #[error("a path pattern has no query or fragment; the query takes no part in path rules")]
    Query,
    #[error("`**` stands only at the end, as a segment of its own")]
    OpenInside,
    #[error("`{0}` mixes a wildcard with text; a segment is a literal, `*` or `{{name}}`")]
    Mixed(String),
    #[error("`{0}` is not a name in braces; write `{{id}}`")]
    Name(String),
    #[error("`{0}` is not written canonically; write `{1}`")]
    NotCanonical(String, String),
    #[error("`{0}` can never match: {1}")]
    Never(String, &'static str),
}

impl PathPattern {
    /// Read a pattern as a user writes it.
    pub fn parse(text: &str) -> Result<PathPattern, PatternError> {
        let Some(rest) = text.strip_prefix('/') else { return Err(PatternError::NoSlash) };
        if text.contains(['?', '#']) {
            return Err(PatternError::Query);
        }
        let mut segments = Vec::new();
        let mut open = false;
        let mut written = rest.split('/').peekable();
        while let Some(segment) = written.next() {
            let last = written.peek().is_none();
            match segment {
                // A trailing slash never changes the route.
                "" if last => {}
                "" => return Err(PatternError::NotCanonical(text.to_owned(), merge_slashes(text))),
                "**" if last => open = true,
                "**" => return Err(PatternError::OpenInside),
                "*" => segments.push(Segment::Any),
                _ if segment.starts_with('{') => segments.push(parse_name(segment)?),
                _ => segments.push(parse_literal(segment)?),
            }
        }
        Ok(PathPattern { segments: segments.into(), open })
    }

    /// The segments before a `**`.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Does the pattern end in `**`?
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Does it cover one path only?
    pub fn is_one_path(&self) -> bool {
        !self.open && !self.segments.contains(&Segment::Any)
    }

    /// The pattern as a server takes it that ignores ASCII case.
    pub fn folded(&self) -> PathPattern {
        let fold = |segment: &Segment| match segment {
            Segment::Literal(octets) => Segment::Literal(octets.to_ascii_lowercase().into()),
            Segment::Any => Segment::Any,
        };
        PathPattern { segments: self.segments.iter().map(fold).collect(), open: self.open }
    }

    /// Does a literal hold an upper-case ASCII letter?
    pub fn mentions_upper_case(&self) -> bool {
        self.segments
            .iter()
            .any(|segment| matches!(segment, Segment::Literal(octets) if octets.iter().any(u8::is_ascii_uppercase)))
    }

    /// Is there a path that both cover?
    pub fn overlaps(&self, other: &PathPattern) -> bool {
        let meets = |a: &Segment, b: &Segment| match (a, b) {
            (Segment::Literal(a), Segment::Literal(b)) => a == b,
            (Segment::Any, _) | (_, Segment::Any) => true,
        };
        let common = self.segments.iter().zip(&other.segments).all(|(a, b)| meets(a, b));
        common
            && match self.segments.len().cmp(&other.segments.len()) {
                std::cmp::Ordering::Equal => true,
                std::cmp::Ordering::Less => self.open,
                std::cmp::Ordering::Greater => other.open,
            }
    }

    /// Is every path of `other` covered by this pattern too?
    pub fn covers(&self, other: &PathPattern) -> bool {
        let within = |a: &Segment, b: &Segment| match (a, b) {
            (Segment::Literal(a), Segment::Literal(b)) => a == b,
            (Segment::Any, _) => true,
            (Segment::Literal(_), Segment::Any) => false,
        };
        let common = self.segments.iter().zip(&other.segments).all(|(a, b)| within(a, b));
        common
            && match self.segments.len().cmp(&other.segments.len()) {
                std::cmp::Ordering::Equal => self.open || !other.open,
                std::cmp::Ordering::Less => self.open,
                std::cmp::Ordering::Greater => false,
            }
    }
}

fn parse_name(segment: &str) -> Result<Segment, PatternError> {
    let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let good = name.is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    });
    if good { Ok(Segment::Any) } else { Err(PatternError::Name(segment.to_owned())) }
}

fn parse_literal(segment: &str) -> Result<Segment, PatternError> {
    let never = |why| Err(PatternError::Never(segment.to_owned(), why));
    if segment.contains(['*', '{', '}']) {
        return Err(PatternError::Mixed(segment.to_owned()));
    }
    if segment.contains('\\') {
        return never("a path with a backslash is refused");
    }
    let Ok(octets) = escape::decode(segment) else {
        return never("it holds a bad escape or a control character");
    };
    if octets == b"." || octets == b".." {
        return never("dot segments are resolved before routes are matched");
    }
    if octets.contains(&b'/') {
        return never("an encoded slash belongs to no literal; use `*` and `encoded_slash: keep`");
    }
    if octets.contains(&b'\\') {
        return never("a path with a backslash is refused");
    }
    if !segment.contains('%') {
        return Ok(Segment::Literal(octets.into()));
    }
    // Either spelling of what must be escaped is good; an escape that need not be one is not.
    let mut canonical = String::new();
    escape::encode(&octets, &mut canonical);
    if segment.eq_ignore_ascii_case(&canonical) && octets_agree(segment, &canonical) {
        Ok(Segment::Literal(octets.into()))
    } else {
        Err(PatternError::NotCanonical(segment.to_owned(), canonical))
    }
}

/// `eq_ignore_ascii_case` forgives `%c3` for `%C3`, but must not forgive `A` for `a`.
fn octets_agree(a: &str, b: &str) -> bool {
    escape::decode(a).ok() == escape::decode(b).ok()
}

fn merge_slashes(text: &str) -> String {
    let mut merged = String::with_capacity(text.len());
    for character in text.chars() {
        if character != '/' || !merged.ends_with('/') {
            merged.push(character);
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> PathPattern {
        PathPattern::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn canonical_patterns_are_read() {
        for text in [
            "/",
            "/**",
            "/a",
            "/a/",
            "/a/*",
            "/a/{id}/b",
            "/a/**",
            "/@admin",
            "/v1:x",
            "/caf%C3%A9",
            "/caf%c3%a9",
            "/café",
            "/a b",
            "/a%20b",
            "/.well-known/x",
        ] {
            pattern(text);
        }
        assert_eq!(pattern("/a/{id}"), pattern("/a/*"));
        assert_eq!(pattern("/a/"), pattern("/a"));
        assert_eq!(pattern("/caf%c3%a9"), pattern("/café"));
    }

    #[test]
    fn other_patterns_say_what_to_write() {
        let not_canonical = |a: &str, b: &str| PatternError::NotCanonical(a.into(), b.into());
        for (text, want) in [
            ("", PatternError::NoSlash),
            ("a", PatternError::NoSlash),
            ("/a?b", PatternError::Query),
            ("/a#b", PatternError::Query),
            ("/**/a", PatternError::OpenInside),
            ("/a**", PatternError::Mixed("a**".into())),
            ("/*.png", PatternError::Mixed("*.png".into())),
            ("/a{id}", PatternError::Mixed("a{id}".into())),
            ("/{id", PatternError::Name("{id".into())),
            ("/{}", PatternError::Name("{}".into())),
            ("/{a/b}", PatternError::Name("{a".into())),
            ("//a", not_canonical("//a", "/a")),
            ("/%61dmin", not_canonical("%61dmin", "admin")),
            ("/%40admin", not_canonical("%40admin", "@admin")),
        ] {
            assert_eq!(PathPattern::parse(text), Err(want), "{text}");
        }
        for text in ["/a/../b", "/./a", "/a%2fb", "/a\\b", "/a%5cb", "/a%00", "/a%zz"] {
            assert!(matches!(PathPattern::parse(text), Err(PatternError::Never(..))), "{text}");
        }
    }

    #[test]
    fn overlap_and_cover() {
        for (a, b, overlaps, covers) in [
            ("/**", "/healthz", true, true),
            ("/healthz", "/**", true, false),
            ("/a/**", "/a", true, true),
            ("/a/**", "/a/**", true, true),
            ("/a", "/a/**", true, false),
            ("/a/*", "/a/b", true, true),
            ("/a/*", "/*/b", true, false),
            ("/a/b", "/a/c", false, false),
            ("/a/*", "/a", false, false),
            ("/a/*/c", "/a/**", true, false),
        ] {
            assert_eq!(
                (pattern(a).overlaps(&pattern(b)), pattern(a).covers(&pattern(b))),
                (overlaps, covers),
                "{a} {b}"
            );
        }
    }
}
