//! Denials as browsers get them: when a redirect, to where, and what a page repeats of the request.
//! Input: as [`asked`](super::asked), without credentials.

use postern::dialect::ext_authz;
use postern::model::header::Headers;
use postern::model::response::{Denial, Verdict};
use postern::policy::navigation::is_navigation;

use super::asked::Asked;
use super::world::authorize;

const PAGE: &str = "https://sso.test/login?rd=";

pub fn run(input: &[u8]) {
    let Some(asked) = Asked::parse(input) else { return };
    let check = asked.check_request(false);
    let Verdict::Deny(denial) = authorize(ext_authz::decode(&ext_authz::Check::from(&check))).verdict else { return };
    let navigation = navigates(&asked);
    assert!(!navigation || looks_like_a_browser(&asked), "{asked:#?}");
    let locations: Vec<&str> = denial
        .headers
        .iter()
        .filter(|(name, _)| *name == http::header::LOCATION)
        .map(|(_, url)| url.as_str())
        .collect();
    assert_eq!(denial.status == 302, locations.len() == 1, "{denial:?}");
    if let Some(url) = locations.first() {
        assert!(navigation, "a redirect for a program: {asked:#?}");
        leads_back(url, &asked);
    }
    assert_eq!(denial.status == 401, denial.headers.iter().any(|(name, _)| *name == http::header::WWW_AUTHENTICATE));
    repeats_nothing(&denial);
}

fn navigates(asked: &Asked) -> bool {
    let mut headers = Headers::new(false);
    for (name, value) in &asked.headers {
        headers.push(name, value.as_bytes());
    }
    is_navigation(&asked.method, &headers)
}

/// Without this no browser window waits.
fn looks_like_a_browser(asked: &Asked) -> bool {
    let values = |wanted: &str| -> Vec<String> {
        let of = asked.headers.iter().filter(|(name, _)| name == wanted);
        of.map(|(_, value)| value.to_ascii_lowercase()).collect()
    };
    let accept = values("accept").join(",");
    let html = accept.contains("text/html") || accept.contains("application/xhtml+xml");
    let says = match values("sec-fetch-mode").as_slice() {
        [] => html,
        [mode] => mode == "navigate",
        _ => false,
    };
    matches!(asked.method.as_str(), "GET" | "HEAD") && says
}

/// The login page gets one value, which is the page that was asked for and nothing else.
fn leads_back(url: &str, asked: &Asked) {
    let value = url.strip_prefix(PAGE).unwrap_or_else(|| panic!("{url}"));
    let mut decoded = Vec::new();
    let mut octets = value.bytes();
    while let Some(octet) = octets.next() {
        if octet == b'%' {
            let digits: String = octets.by_ref().take(2).map(char::from).collect();
            decoded.push(u8::from_str_radix(&digits, 16).expect("an escape"));
        } else {
            assert!(octet.is_ascii_alphanumeric() || b"-._~".contains(&octet), "{url}");
            decoded.push(octet);
        }
    }
    let back = String::from_utf8(decoded).expect("text");
    let rest = back.strip_prefix("https://wiki.test").unwrap_or_else(|| panic!("{back}"));
    let target = match rest.strip_prefix(':') {
        Some(port) => port.trim_start_matches(|letter: char| letter.is_ascii_digit()),
        None => rest,
    };
    assert_eq!(target, asked.target, "{back}");
}

fn repeats_nothing(denial: &Denial) {
    let page = denial.content_type.starts_with("text/html");
    assert!(page || denial.body.is_empty() || denial.body.starts_with('{'));
    // Marks of HTML and JSON are only our own, however much of the request stands between them.
    if page {
        let marks = |mark: char| denial.body.matches(mark).count();
        let link = usize::from(denial.body.contains("<a href="));
        let ours = [('<', 17 + 4 * link), ('>', 17 + 4 * link), ('"', 8 + 2 * link), ('\'', 0)];
        for (mark, count) in ours {
            assert_eq!(marks(mark), count, "{mark} in {}", denial.body);
        }
        return;
    }
    let octets = |text: &str| text.contains(['<', '>', '"', '\'']);
    if denial.body.is_empty() {
        return;
    }
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&denial.body).expect("an object");
    for value in object.values().filter_map(|value| value.as_str()) {
        assert!(!octets(value), "{}", denial.body);
    }
}
