//! `Forwarded` (RFC 7239): which addresses its elements name, from the right.
//!
//! Proxies append their element to whatever a client sent, so only the right end is anybody's word. A quotation mark
//! that a client leaves open would swallow what proxies append: then nothing of the field counts.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// The addresses of the elements of these lines, right to left; `None` for an element that names none. `Err` when a
/// quotation mark is left open.
pub fn addresses(lines: &[&str]) -> Result<Vec<Option<IpAddr>>, OpenQuote> {
    // Repeated fields mean what one field with commas means (RFC 9110 §5.3), and some proxies join them.
    let mut elements: Vec<String> = vec![String::new()];
    let mut quoted = Quoted::Outside;
    for (index, line) in lines.iter().enumerate() {
        let comma = (index > 0).then_some(',');
        for character in comma.into_iter().chain(line.chars()) {
            match (quoted, character) {
                (_, ',') => {
                    next(&mut elements, quoted, ',');
                    quoted = if quoted == Quoted::Escape { Quoted::Inside } else { quoted };
                    continue;
                }
                (Quoted::Outside, '"') | (Quoted::Escape, _) => quoted = Quoted::Inside,
                (Quoted::Inside, '"') => quoted = Quoted::Outside,
                (Quoted::Inside, '\\') => quoted = Quoted::Escape,
                (Quoted::Outside | Quoted::Inside, _) => {}
            }
            push(&mut elements, character);
        }
    }
    if quoted != Quoted::Outside {
        return Err(OpenQuote);
    }
    Ok(elements.iter().rev().map(|element| address(element.trim_matches([' ', '\t']))).collect())
}

/// A quotation mark was opened and not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenQuote;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quoted {
    Outside,
    Inside,
    Escape,
}

fn next(elements: &mut Vec<String>, quoted: Quoted, comma: char) {
    if quoted == Quoted::Outside {
        elements.push(String::new());
    } else {
        push(elements, comma);
    }
}

fn push(elements: &mut [String], character: char) {
    if let Some(element) = elements.last_mut() {
        element.push(character);
    }
}

/// There are four registered parameters; more than this is nobody's honest element.
const MAX_PARAMETERS: usize = 16;

/// The address that `for` names. An element with a fault anywhere, with two `for`, or with `unknown` or an obfuscated
/// name in it names none.
fn address(element: &str) -> Option<IpAddr> {
    let mut rest = element;
    let mut names = Vec::new();
    let mut client = None;
    loop {
        let (name, after) = rest.split_once('=')?;
        if !is_token(name) {
            return None;
        }
        let name = name.to_ascii_lowercase();
        let (value, after) = value(after)?;
        if name == "for" {
            client = Some(node(&value)?);
        }
        if names.contains(&name) || names.len() == MAX_PARAMETERS {
            return None;
        }
        names.push(name);
        match after.strip_prefix(';') {
            Some(more) => rest = more,
            None if after.is_empty() => return client,
            None => return None,
        }
    }
}

/// A token or a quoted string, and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (token, after) = text.split_at_checked(text.find(';').unwrap_or(text.len()))?;
        return is_token(token).then(|| (token.to_owned(), after));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(character),
        }
    }
    None
}

/// RFC 7239 §6: an IPv4 address, or an IPv6 address in brackets, and perhaps a port, which may be obfuscated.
fn node(text: &str) -> Option<IpAddr> {
    let (name, port) = match text.strip_prefix('[') {
        Some(inner) => {
            let (inner, port) = inner.split_once(']')?;
            (IpAddr::V6(inner.parse::<Ipv6Addr>().ok()?), port)
        }
        None => {
            let (name, port) = text.split_at_checked(text.find(':').unwrap_or(text.len()))?;
            (IpAddr::V4(name.parse::<Ipv4Addr>().ok()?), port)
        }
    };
    let obfuscated = |port: &str| {
        port.strip_prefix('_').is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        })
    };
    let sound = port.is_empty() || port.strip_prefix(':').is_some_and(|port| super::is_port(port) || obfuscated(port));
    sound.then(|| name.to_canonical())
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Vec<String>, OpenQuote> {
        let text = |address: Option<IpAddr>| address.map_or("?".to_owned(), |address| address.to_string());
        addresses(lines).map(|all| all.into_iter().map(text).collect())
    }

    #[test]
    fn an_element_names_an_address_in_one_grammar() {
        for (element, want) in [
            ("for=192.0.2.1", "192.0.2.1"),
            ("FOR=192.0.2.1;proto=https;by=203.0.113.43", "192.0.2.1"),
            ("proto=http;for=\"192.0.2.1:4711\"", "192.0.2.1"),
            ("for=\"192.0.2.1:_port\"", "192.0.2.1"),
            ("for=\"[2001:db8::1]\"", "2001:db8::1"),
            ("for=\"[2001:db8::1]:47011\"", "2001:db8::1"),
            ("for=\"[::ffff:192.0.2.1]\"", "192.0.2.1"),
            ("for=\"\\192.0.2.1\"", "192.0.2.1"),
            ("for=192.0.2.1;host=\"a,b;for=6.6.6.6\"", "192.0.2.1"),
            (" for=192.0.2.1\t", "192.0.2.1"),
            ("", "?"),
            ("for", "?"),
            ("for=", "?"),
            ("=192.0.2.1", "?"),
            ("for=unknown", "?"),
            ("for=_hidden", "?"),
            ("proto=https", "?"),
            ("for=192.0.2.1;for=6.6.6.6", "?"),
            ("for=192.0.2.1;", "?"),
            ("for=192.0.2.1; proto=http", "?"),
            ("for =192.0.2.1", "?"),
            ("for=192.0.2.1:80", "?"),
            ("for=[2001:db8::1]", "?"),
            ("for=2001:db8::1", "?"),
            ("for=\"2001:db8::1\"", "?"),
            ("for=\"[fe80::1%eth0]\"", "?"),
            ("for=\"[192.0.2.1]\"", "?"),
            ("for=\"192.0.2.1\"x", "?"),
            ("for=\"192.0.2.1:\"", "?"),
            ("for=\"192.0.2.1:_\"", "?"),
            ("for=\"192.0.2.1:99999\"", "?"),
            ("for=\"192.0.2.01\"", "?"),
            ("for=\"0x7f.0.0.1\"", "?"),
            ("for=192.0.2.1;b\u{e4}=1", "?"),
        ] {
            assert_eq!(read(&[element]), Ok(vec![want.to_owned()]), "{element}");
        }
    }

    #[test]
    fn a2_elements_come_from_the_right_and_quotes_hold_commas() {
        for (lines, want) in [
            (vec!["for=6.6.6.6, for=192.0.2.1,for=10.0.0.1"], vec!["10.0.0.1", "192.0.2.1", "6.6.6.6"]),
            (vec!["for=6.6.6.6", "for=192.0.2.1"], vec!["192.0.2.1", "6.6.6.6"]),
            (vec!["for=x;a=\",for=6.6.6.6\", for=192.0.2.1"], vec!["192.0.2.1", "?"]),
            (vec!["for=\"a\\\",b\", for=192.0.2.1"], vec!["192.0.2.1", "?"]),
            (vec!["for=6.6.6.6,, for=192.0.2.1"], vec!["192.0.2.1", "?", "6.6.6.6"]),
            (vec!["rubbish;;==, for=192.0.2.1"], vec!["192.0.2.1", "?"]),
            (vec!["\\, for=192.0.2.1"], vec!["192.0.2.1", "?"]),
        ] {
            assert_eq!(read(&lines), Ok(want.iter().map(|text| (*text).to_owned()).collect()), "{lines:?}");
        }
    }

    #[test]
    fn a2_a_quote_left_open_hides_nothing() {
        for lines in [
            vec!["for=6.6.6.6;x=\", for=192.0.2.1"],
            vec!["for=6.6.6.6;x=\"", "for=192.0.2.1"],
            vec!["for=6.6.6.6;x=\", for=\"[2001:db8::1]\""],
            vec!["for=6.6.6.6;x=\"\\", "for=\"[2001:db8::1]\";by=\"[2001:db8::2]\""],
            vec!["\"\\"],
            vec!["a=\"\\", "\"\""],
        ] {
            assert_eq!(read(&lines), Err(OpenQuote), "{lines:?}");
        }
    }
}
