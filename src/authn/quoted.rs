//! A stranger's text in our log: quoted, escaped and cut.

use std::fmt;

/// The most characters shown.
const SHOWN: usize = 80;

/// Shows the start of a text as a literal, controls and invisible characters escaped.
pub(super) struct Quoted<'t>(pub(super) &'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.0.char_indices().nth(SHOWN).and_then(|(end, _)| self.0.get(..end));
        match start {
            None => write!(f, "{:?}", self.0),
            Some(start) => write!(f, "{start:?}…"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_cut() {
        assert_eq!(Quoted("a\n\"\u{202e}").to_string(), r#""a\n\"\u{202e}""#);
        assert_eq!(Quoted(&"é".repeat(80)).to_string(), format!("\"{}\"", "é".repeat(80)));
        assert_eq!(Quoted(&"é".repeat(81)).to_string(), format!("\"{}\"…", "é".repeat(80)));
    }
}
