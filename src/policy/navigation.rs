//! Is a person behind this request, looking at a browser window?

use crate::model::header::Headers;
use crate::model::header::Single;

/// GET or HEAD with `Sec-Fetch-Mode: navigate`, or, from browsers that do not say, an `Accept` that prefers HTML.
pub fn is_navigation(method: &str, headers: &Headers<'_>) -> bool {
    if !matches!(method, "GET" | "HEAD") {
        return false;
    }
    match headers.one("sec-fetch-mode") {
        Single::One(mode) => mode == b"navigate",
        Single::Many => false,
        Single::Absent => prefers_html(headers),
    }
}

/// `text/html` is named, and nothing that a program would read is wanted more (RFC 9110 §12.5.1).
fn prefers_html(headers: &Headers<'_>) -> bool {
    let mut html = 0;
    let mut other = 0;
    for value in headers.all("accept") {
        let Ok(value) = std::str::from_utf8(value) else { return false };
        for range in value.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let Some(kind) = parts.next() else { continue };
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1000, thousandths);
            if kind.eq_ignore_ascii_case("text/html") || kind.eq_ignore_ascii_case("application/xhtml+xml") {
                html = html.max(quality);
            } else if !kind.contains('*') && !kind.starts_with("image/") {
                other = other.max(quality);
            }
        }
    }
    html > 0 && html >= other
}

/// A quality value in thousandths; what is not one counts as 0.
fn thousandths(text: &str) -> u32 {
    match text.parse::<f32>() {
        Ok(quality) if (0.0..=1.0).contains(&quality) => (quality * 1000.0) as u32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_told_from_programs() {
        const FIREFOX: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (method, headers, want) in [
            ("GET", vec![("accept", FIREFOX)], true),
            ("HEAD", vec![("accept", FIREFOX)], true),
            ("POST", vec![("accept", FIREFOX)], false),
            ("GET", vec![("accept", "*/*")], false),
            ("GET", vec![], false),
            ("GET", vec![("accept", "application/json")], false),
            ("GET", vec![("accept", "application/json, text/html;q=0.5")], false),
            ("GET", vec![("accept", "text/html;q=0")], false),
            ("GET", vec![("accept", "text/html;q=oops")], false),
            ("GET", vec![("accept", FIREFOX), ("sec-fetch-mode", "cors")], false),
            ("GET", vec![("accept", "*/*"), ("sec-fetch-mode", "navigate")], true),
            ("POST", vec![("sec-fetch-mode", "navigate")], false),
        ] {
            let mut list = Headers::new(false);
            for (name, value) in &headers {
                list.push(name, value.as_bytes());
            }
            assert_eq!(is_navigation(method, &list), want, "{method} {headers:?}");
        }
    }
}
