//! Text that is not printable ASCII, written into a header in a way that an application can undo.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::model::header::HeaderText;

/// How text is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// As it is. What does not fit is not sent.
    #[default]
    Plain,
    /// `%` and everything else outside 0x20–0x7E as `%XX` of its UTF-8: always undone by decoding once.
    Percent,
    /// Where needed an encoded word, `=?UTF-8?B?…?=` (RFC 2047), or several with spaces between.
    Rfc2047,
}

impl Encoding {
    /// The text as it is sent, without `separator`; `None` when it cannot be. Control characters are never sent, in
    /// no disguise: whoever decodes them would have them (I5).
    pub fn write(self, text: &str, separator: Option<char>) -> Option<Cow<'_, str>> {
        let separates = |written: &str| separator.is_some_and(|separator| written.contains(separator));
        if text.is_empty() || text.chars().any(char::is_control) {
            return None;
        }
        let written = match self {
            Encoding::Plain => Cow::Borrowed(text),
            Encoding::Percent => percent(text, separator),
            Encoding::Rfc2047 if HeaderText::fits(text) && !separates(text) && !text.contains("=?") => {
                Cow::Borrowed(text)
            }
            Encoding::Rfc2047 => Cow::Owned(encoded_words(text)),
        };
        (HeaderText::fits(&written) && !separates(&written)).then_some(written)
    }
}

fn percent(text: &str, separator: Option<char>) -> Cow<'_, str> {
    let stays = |character: char| matches!(character, ' '..='~') && character != '%' && Some(character) != separator;
    // A header value loses spaces at its ends.
    let ends = text.starts_with(' ') || text.ends_with(' ');
    if text.chars().all(stays) && !ends {
        return Cow::Borrowed(text);
    }
    let mut written = String::with_capacity(text.len() * 3);
    for character in text.chars() {
        if stays(character) && !(ends && character == ' ') {
            written.push(character);
        } else {
            let mut octets = [0; 4];
            for octet in character.encode_utf8(&mut octets).bytes() {
                written.push_str(&format!("%{octet:02X}"));
            }
        }
    }
    Cow::Owned(written)
}

/// RFC 2047 §2: a word has at most 75 characters, and §5 (3): no character is parted. 45 octets become 60.
fn encoded_words(text: &str) -> String {
    const OCTETS: usize = 45;
    let mut words = Vec::new();
    let mut word = String::new();
    for character in text.chars() {
        if word.len() + character.len_utf8() > OCTETS {
            words.push(encoded_word(&word));
            word.clear();
        }
        word.push(character);
    }
    words.push(encoded_word(&word));
    words.join(" ")
}

fn encoded_word(text: &str) -> String {
    format!("=?UTF-8?B?{}?=", STANDARD.encode(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i5_text_is_written_as_configured_or_not_at_all() {
        use Encoding::{Percent, Plain, Rfc2047};
        for (encoding, text, separator, want) in [
            (Plain, "Alice Archer", None, Some("Alice Archer")),
            (Plain, "100%", None, Some("100%")),
            (Plain, "Zo\u{eb}", None, None),
            (Plain, " a", None, None),
            (Plain, "", None, None),
            (Plain, "a,b", Some(','), None),
            (Percent, "Alice Archer", None, Some("Alice Archer")),
            (Percent, "Zo\u{eb} Archer", None, Some("Zo%C3%AB Archer")),
            (Percent, "100%", None, Some("100%25")),
            (Percent, " a b", None, Some("%20a%20b")),
            (Percent, "a,b", Some(','), Some("a%2Cb")),
            (Percent, "a b", Some(' '), Some("a%20b")),
            (Percent, "\u{1f600}", None, Some("%F0%9F%98%80")),
            (Rfc2047, "Alice Archer", None, Some("Alice Archer")),
            (Rfc2047, "Zo\u{eb}", None, Some("=?UTF-8?B?Wm/Dqw==?=")),
            (Rfc2047, "=?UTF-8?B?cm9vdA==?=", None, Some("=?UTF-8?B?PT9VVEYtOD9CP2NtOXZkQT09Pz0=?=")),
            (Rfc2047, "a,b", Some(','), Some("=?UTF-8?B?YSxi?=")),
            (Rfc2047, " a", None, Some("=?UTF-8?B?IGE=?=")),
        ] {
            assert_eq!(encoding.write(text, separator).as_deref(), want, "{encoding:?} {text:?}");
        }
    }

    #[test]
    fn i5_control_characters_are_never_sent() {
        for encoding in [Encoding::Plain, Encoding::Percent, Encoding::Rfc2047] {
            for text in ["a\r\nRemote-User: root", "a\0", "\u{85}", "\u{7f}", "\u{9b}31m"] {
                assert_eq!(encoding.write(text, None), None, "{encoding:?} {text:?}");
            }
        }
    }

    #[test]
    fn long_text_becomes_several_words() {
        let text = "\u{e9}".repeat(40);
        let written = Encoding::Rfc2047.write(&text, None).expect("words");
        let words: Vec<&str> = written.split(' ').collect();
        assert_eq!(words.len(), 2);
        assert!(words.iter().all(|word| word.len() <= 75), "{written}");
        let decoded: String = words
            .iter()
            .map(|word| word.trim_start_matches("=?UTF-8?B?").trim_end_matches("?="))
            .map(|word| String::from_utf8(STANDARD.decode(word).expect("base64")).expect("whole characters"))
            .collect();
        assert_eq!(decoded, text);
        assert_eq!(Encoding::Rfc2047.write(&text, Some(' ')), None, "the words would be taken for groups");
    }

    proptest::proptest! {
        /// Nothing but printable ASCII leaves, and percent-encoding is undone by decoding once.
        #[test]
        fn i5_nothing_but_printable_ascii_is_written(text in ".{0,60}") {
            for encoding in [Encoding::Plain, Encoding::Percent, Encoding::Rfc2047] {
                if let Some(written) = encoding.write(&text, Some(',')) {
                    assert!(HeaderText::fits(&written) && !written.contains(','), "{written}");
                }
            }
            if let Some(written) = Encoding::Percent.write(&text, None) {
                assert_eq!(undone(&written), text);
            }
        }
    }

    fn undone(text: &str) -> String {
        let mut octets = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            octets.extend(before.bytes());
            let (digits, after) = after.split_at(2);
            octets.push(u8::from_str_radix(digits, 16).expect("two digits"));
            rest = after;
        }
        octets.extend(rest.bytes());
        String::from_utf8(octets).expect("UTF-8")
    }
}
