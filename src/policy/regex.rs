//! `path_regex`: what patterns cannot say. Linear in time, anchored at both ends, over a reading decoded.

use std::hash::Hash;
use std::hash::Hasher;

use regex::Regex;
use regex::RegexBuilder;
use thiserror::Error;

use crate::model::path::reading::Reading;

/// A compiled expression and its twin that ignores ASCII case.
#[derive(Clone, Debug)]
pub struct PathRegex {
    text: String,
    exact: Regex,
    folded: Regex,
}

/// The largest program an expression may become, in octets.
const SIZE_LIMIT: usize = 1 << 20;

/// Why an expression is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PathRegexError {
    #[error("`{0}` is not a regular expression: {1}")]
    Syntax(String, String),
    #[error("`{0}` can never match: a path begins with `/`")]
    NoSlash(String),
    #[error("`{0}` becomes too large a program")]
    TooLarge(String),
}

impl PathRegex {
    /// Compile. `^` and `$` are added, so the expression covers the whole path or nothing.
    pub fn parse(text: &str) -> Result<PathRegex, PathRegexError> {
        let unanchored = text.trim_start_matches(['^', '(', '?', ':']);
        if !unanchored.starts_with(['/', '[', '.', '\\']) {
            return Err(PathRegexError::NoSlash(text.to_owned()));
        }
        let compile = |expression: &str, fold: bool| {
            RegexBuilder::new(expression).case_insensitive(fold).size_limit(SIZE_LIMIT).build().map_err(|error| {
                match error {
                    regex::Error::CompiledTooBig(_) => PathRegexError::TooLarge(text.to_owned()),
                    // The last line says what; the lines before it draw our wrapping.
                    other => {
                        let said = other.to_string();
                        let what = said.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                        PathRegexError::Syntax(text.to_owned(), what)
                    }
                }
            })
        };
        // Alone first: parentheses that close ours and open others, `/a)|(/b`, would go round the anchors.
        compile(text, false)?;
        let whole = format!("^(?:{text})$");
        Ok(PathRegex { text: text.to_owned(), exact: compile(&whole, false)?, folded: compile(&whole, true)? })
    }

    /// Does it cover this reading?
    pub fn matches(&self, reading: &Reading<'_>) -> bool {
        self.covers(&reading.decoded(), reading.folded())
    }

    /// Does it cover a reading with this text? Whoever asks many expressions makes the text once.
    pub fn covers(&self, decoded: &str, folded: bool) -> bool {
        let regex = if folded { &self.folded } else { &self.exact };
        regex.is_match(decoded)
    }

    /// Does the expression hold an upper-case letter that stands for itself?
    pub fn mentions_upper_case(&self) -> bool {
        self.text.bytes().any(|byte| byte.is_ascii_uppercase())
    }
}

impl PartialEq for PathRegex {
    fn eq(&self, other: &PathRegex) -> bool {
        self.text == other.text
    }
}

impl Eq for PathRegex {}

impl Hash for PathRegex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::path::Path;

    #[test]
    fn p13_expressions_are_anchored_and_see_the_path_decoded() {
        for (text, path, want) in [
            ("/api/v[0-9]+/.*", "/api/v12/x", true),
            ("/api/v[0-9]+", "/api/v12/x", false),
            ("/api/v[0-9]+", "/x/api/v1", false),
            ("^/a$", "/a", true),
            ("/a|/b", "/b", true),
            ("/a|/b", "/bc", false),
            ("/a b", "/a%20b", true),
            ("/caf.", "/caf%C3%A9", true),
            (r"/.*\.png", "/img/x.png", true),
            (r"/.*\.png", "/img/x.png/admin", false),
            ("/", "/", true),
            ("/a", "/A", false),
        ] {
            let regex = PathRegex::parse(text).expect(text);
            assert_eq!(regex.matches(&Path::parse(path).expect(path).canonical()), want, "{text} {path}");
        }
        let path = Path::parse("/A").expect("a path");
        let folded = path.other_readings(true);
        assert!(folded.iter().all(|reading| PathRegex::parse("/a").expect("a regex").matches(reading)));
    }

    #[test]
    fn p16_bad_and_huge_expressions_are_refused() {
        assert!(matches!(PathRegex::parse("/a("), Err(PathRegexError::Syntax(..))));
        assert!(matches!(PathRegex::parse(r"/(a)\1"), Err(PathRegexError::Syntax(..))));
        assert!(matches!(PathRegex::parse("/a)|(/b"), Err(PathRegexError::Syntax(..))));
        assert!(matches!(PathRegex::parse("/a)|(?:/b"), Err(PathRegexError::Syntax(..))));
        assert!(matches!(PathRegex::parse("a/b"), Err(PathRegexError::NoSlash(..))));
        assert!(matches!(PathRegex::parse("/(a{1000}){1000}"), Err(PathRegexError::TooLarge(..))));
    }
}
