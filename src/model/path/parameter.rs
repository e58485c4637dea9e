//! The parameters of a query, decoded as forms are (WHATWG URL §5.1).

/// A name or a value, decoded; `None` for a broken escape.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
                decoded.push(u8::try_from(high * 16 + low).ok()?);
            }
            _ => decoded.push(byte),
        }
    }
    Some(decoded)
}

/// The parameters of a query, undecoded: names and values.
pub fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// A query with nothing but some parameters, which says of each of them the same: also that nothing can be said, where a
/// `;` or a broken escape stands in it.
pub fn only(query: &str, wanted: impl Fn(&[u8]) -> bool) -> String {
    if query.contains(';') {
        return ";".to_owned();
    }
    let mut kept = String::new();
    for (name, value) in pairs(query) {
        let (Some(decoded), Some(_)) = (decode(name), decode(value)) else { return "%".to_owned() };
        if wanted(&decoded) {
            if !kept.is_empty() {
                kept.push('&');
            }
            kept.push_str(name);
            kept.push('=');
            kept.push_str(value);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_wanted_is_left_out_and_nothing_else() {
        for (query, want) in [
            ("a=1", "a=1"),
            ("a=1&token=canary", "a=1"),
            ("token=canary&%61=1&a", "%61=1&a="),
            ("token=canary", ""),
            ("", ""),
            ("token=can;ary", ";"),
            ("a=1&token=%zz", "%"),
        ] {
            assert_eq!(only(query, |name| name == b"a"), want, "{query}");
        }
    }
}
