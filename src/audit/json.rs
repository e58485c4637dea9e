//! Writing JSON on one line, whatever is in it.

use std::cell::Cell;
use std::fmt::Display;
use std::fmt::Write;

use serde_json::Value;

thread_local! {
    /// The last second that was written here, and how.
    static SECOND: Cell<(i64, [u8; 19])> = const { Cell::new((i64::MIN, [0; 19])) };
}

/// The members of one object, written one after the other. The braces are the caller's.
pub(super) struct Members<'o> {
    out: &'o mut String,
    first: bool,
}

impl<'o> Members<'o> {
    /// Members at the end of `out`.
    pub(super) fn new(out: &'o mut String) -> Members<'o> {
        Members { out, first: true }
    }

    pub(super) fn text(&mut self, name: &'static str, value: &str) {
        self.name(name);
        quote(self.out, value);
    }

    /// A word of ours, which needs no escapes.
    pub(super) fn word(&mut self, name: &'static str, word: &'static str) {
        self.name(name);
        self.out.push('"');
        self.out.push_str(word);
        self.out.push('"');
    }

    /// Something whose text needs no escapes: a number of ours, a time, an id.
    pub(super) fn plain(&mut self, name: &'static str, value: impl Display) {
        self.name(name);
        // Writing to a string cannot fail.
        let _ = write!(self.out, "\"{value}\"");
    }

    /// A moment in UTC, to the microsecond (RFC 3339).
    pub(super) fn time(&mut self, name: &'static str, at: jiff::Timestamp) {
        // Before 1970 the parts of a second count backwards.
        let (second, part) = (at.as_second(), at.subsec_nanosecond());
        let (known, text) = SECOND.get();
        // Most lines are of the same second as the one before.
        if known != second || part < 0 {
            self.plain(name, format_args!("{at:.6}"));
            if part >= 0 {
                self.note_second(second);
            }
            return;
        }
        let micro = part / 1000;
        self.name(name);
        self.out.push('"');
        self.out.push_str(std::str::from_utf8(&text).unwrap_or_default());
        self.out.push('.');
        for unit in [100_000, 10_000, 1000, 100, 10, 1] {
            self.out.push(char::from(b'0' + (micro / unit % 10).unsigned_abs() as u8));
        }
        self.out.push_str("Z\"");
    }

    /// Remember how a second is written that was just written as `2026-12-01T12:53:36.918711Z"`. A year of another length
    /// is not remembered.
    fn note_second(&self, second: i64) {
        let Some((text, rest)) = self.out.as_bytes().last_chunk::<28>().and_then(|end| end.split_first_chunk::<19>())
        else {
            return;
        };
        if rest.starts_with(b".") && self.out.as_bytes().iter().nth_back(28) == Some(&b'"') {
            SECOND.set((second, *text));
        }
    }

    /// `file:line`.
    pub(super) fn place(&mut self, name: &'static str, file: &str, line: u32) {
        self.text(name, file);
        // The quote goes behind the number.
        self.out.pop();
        let _ = write!(self.out, ":{line}\"");
    }

    pub(super) fn number(&mut self, name: &'static str, value: u64) {
        self.name(name);
        let _ = write!(self.out, "{value}");
    }

    pub(super) fn truth(&mut self, name: &'static str, value: bool) {
        self.name(name);
        self.out.push_str(if value { "true" } else { "false" });
    }

    /// Octets in lower-case hex.
    pub(super) fn hex(&mut self, name: &'static str, octets: &[u8]) {
        self.name(name);
        self.out.push('"');
        for digit in octets.iter().flat_map(|octet| [octet >> 4, octet & 15]) {
            self.out.push(char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
        }
        self.out.push('"');
    }

    pub(super) fn integer(&mut self, name: &'static str, value: i64) {
        self.name(name);
        let _ = write!(self.out, "{value}");
    }

    /// A member whose name comes from outside.
    pub(super) fn value(&mut self, name: &str, value: &Value) {
        self.named(name);
        tree(self.out, value);
    }

    /// The same with a list of texts.
    pub(super) fn named_texts<'t>(&mut self, name: &str, values: impl Iterator<Item = &'t str>) {
        self.named(name);
        list(self.out, values);
    }

    /// A list of lists of texts.
    pub(super) fn lists<'t>(&mut self, name: &'static str, lists: impl Iterator<Item = impl Iterator<Item = &'t str>>) {
        self.name(name);
        self.out.push('[');
        for (number, values) in lists.enumerate() {
            if number > 0 {
                self.out.push(',');
            }
            list(self.out, values);
        }
        self.out.push(']');
    }

    /// A list of texts.
    pub(super) fn texts<'t>(&mut self, name: &'static str, values: impl Iterator<Item = &'t str>) {
        self.name(name);
        list(self.out, values);
    }

    /// A list whose elements somebody else writes.
    pub(super) fn array(&mut self, name: &'static str, fill: impl FnOnce(&mut String)) {
        self.name(name);
        self.out.push('[');
        fill(self.out);
        self.out.push(']');
    }

    pub(super) fn object(&mut self, name: &'static str, fill: impl FnOnce(&mut Members<'_>)) {
        self.name(name);
        self.out.push('{');
        fill(&mut Members::new(self.out));
        self.out.push('}');
    }

    fn named(&mut self, name: &str) {
        if !self.first {
            self.out.push(',');
        }
        self.first = false;
        quote(self.out, name);
        self.out.push(':');
    }

    fn name(&mut self, name: &'static str) {
        if !self.first {
            self.out.push(',');
        }
        self.first = false;
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
    }
}

fn list<'t>(out: &mut String, values: impl Iterator<Item = &'t str>) {
    out.push('[');
    for (number, value) in values.enumerate() {
        if number > 0 {
            out.push(',');
        }
        quote(out, value);
    }
    out.push(']');
}

/// Any value. Claims are no deeper than their reader took them, which is 32 levels.
fn tree(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => drop(write!(out, "{number}")),
        Value::String(text) => quote(out, text),
        Value::Array(values) => {
            out.push('[');
            for (number, value) in values.iter().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                tree(out, value);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            let mut inside = Members::new(out);
            for (name, value) in members {
                inside.value(name, value);
            }
            out.push('}');
        }
    }
}

/// A JSON text (RFC 8259 §7). Besides what must be escaped, everything is that is not a plain character: C1, and the
/// marks that turn the direction of writing or end a line (F7).
fn quote(out: &mut String, text: &str) {
    out.push('"');
    let plain = |byte: u8| (0x20..0x7f).contains(&byte) & (byte != b'"') & (byte != b'\\');
    // To the end in any case: so many are looked at together.
    if text.bytes().fold(true, |all, byte| all & plain(byte)) {
        out.push_str(text);
    } else {
        for character in text.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                ' '..='~' => out.push(character),
                // One character stays itself only where Rust would show it so.
                _ if !character.is_ascii() && character.escape_debug().len() == 1 => out.push(character),
                _ => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_if_nothing_was_remembered() {
        let nanoseconds = [0, 1, 999, 1000, 123_456_789, 999_999_000, 999_999_999];
        let seconds = [0, 1, 59, 1_796_129_616, 1_796_129_617, 253_402_207_200, -1, -62_135_596_800, -5_000_000_000];
        for second in seconds {
            for nanosecond in nanoseconds {
                for _ in 0..2 {
                    let at = jiff::Timestamp::new(second, nanosecond).expect("a time");
                    let mut out = String::new();
                    Members::new(&mut out).time("t", at);
                    assert_eq!(out, format!("\"t\":\"{at:.6}\""), "{second} {nanosecond}");
                }
            }
        }
    }

    #[test]
    fn f7_whatever_a_text_holds_it_is_one_line_and_reads_back() {
        for (text, want) in [
            ("/a b", r#""/a b""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("wiki\r\n{}", r#""wiki\u000d\u000a{}""#),
            ("\u{1b}[31m\u{7f}", r#""\u001b[31m\u007f""#),
            ("\u{85}\u{9b}", r#""\u0085\u009b""#),
            ("a\u{202e}b\u{2066}c\u{2028}d\u{feff}", r#""a\u202eb\u2066c\u2028d\ufeff""#),
            ("jörg 東京", "\"jörg 東京\""),
            ("\u{e0001}", r#""\udb40\udc01""#),
        ] {
            let mut out = String::new();
            quote(&mut out, text);
            assert_eq!(out, want, "{text:?}");
            assert_eq!(serde_json::from_str::<String>(&out).expect("JSON"), text);
        }
    }
}
