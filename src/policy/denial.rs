//! What a refused client is told: a status, a reason code, a decision id, and for browsers the way to the login page.
//! Never an internal cause.

use http::HeaderName;
use http::header;
use serde::Serialize;
use thiserror::Error;

use crate::model::decision::DecisionId;
use crate::model::header::HeaderText;
use crate::model::reason::Reason;
use crate::model::request::Request;
use crate::model::request::Scheme;
use crate::model::response::Denial;
use crate::policy::host::HostBlock;
use crate::policy::navigation::is_navigation;

/// The header that names the decision.
pub const DECISION_HEADER: HeaderName = HeaderName::from_static("x-postern-decision");

/// The way to a login page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The page's URL around `{url}`; one part when it takes no URL.
    before: String,
    after: Option<String>,
    /// The scheme browsers use for this host.
    pub scheme: Scheme,
    /// `false`: browsers get a 401 page with a link instead of a redirect.
    pub redirect: bool,
}

/// Why a login URL is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LoginError {
    #[error("a login URL is absolute: `https://…`")]
    NotAbsolute,
    #[error("`{{url}}` stands at most once, in the query of the login URL")]
    Placeholder,
    #[error("a login URL holds only visible ASCII")]
    Octet,
}

impl Login {
    /// Read `https://sso.corp.test/login?rd={url}`.
    pub fn parse(text: &str, scheme: Scheme, redirect: bool) -> Result<Login, LoginError> {
        if !HeaderText::fits(text) || text.contains(['"', '<', '>', ' ', '\\']) {
            return Err(LoginError::Octet);
        }
        let absolute = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        if !absolute.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#'])) {
            return Err(LoginError::NotAbsolute);
        }
        let mut parts = text.split("{url}").map(str::to_owned);
        let before = parts.next().unwrap_or_default();
        let after = parts.next();
        let in_query = after.is_none() || before.contains('?');
        if parts.next().is_some() || !in_query || before.contains(['{', '}']) {
            return Err(LoginError::Placeholder);
        }
        Ok(Login { before, after, scheme, redirect })
    }

    /// The page for this request: `{url}` is one percent-encoded value, made of the canonical host and the raw
    /// target, so it can neither add parameters nor name another site.
    fn url(&self, request: &Request<'_>) -> String {
        let Some(after) = &self.after else { return self.before.clone() };
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        let mut wanted = format!("{scheme}://{}", request.host.name());
        if let Some(port) = request.host.port()
            && port != self.scheme.default_port()
        {
            wanted.push_str(&format!(":{port}"));
        }
        wanted.push_str(request.target);
        format!("{}{}{after}", self.before, percent_encode(&wanted))
    }
}

/// Everything outside RFC 3986 `unreserved` is escaped.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The schemes by which a client may prove who it is: what a 401 asks for (RFC 9110 §11.6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge {
    pub bearer: bool,
    pub basic: bool,
}

impl Default for Challenge {
    fn default() -> Challenge {
        Challenge { bearer: true, basic: false }
    }
}

/// The facts a denial is made of.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'r> {
    pub reason: Reason,
    pub decision_id: DecisionId,
    pub request: Option<&'r Request<'r>>,
    pub block: Option<&'r HostBlock>,
    /// A fresh session would help: no credential was sent, or only a cookie that has expired.
    pub login_helps: bool,
    pub challenge: Challenge,
}

impl Refused<'_> {
    /// The answer to the client.
    pub fn denial(&self) -> Denial {
        let status = self.reason.status();
        let mut headers = vec![(header::CACHE_CONTROL, NO_STORE), (DECISION_HEADER, self.decision_id_text())];
        let navigation = self.request.is_some_and(|request| is_navigation(request.method, &request.headers));
        let login = match (status, self.request, self.block.and_then(|block| block.login.as_ref())) {
            (401, Some(request), Some(login)) if navigation => {
                HeaderText::new(login.url(request)).map(|url| (login, url))
            }
            _ => None,
        };
        if let Some((Login { redirect: true, .. }, url)) = &login
            && self.login_helps
        {
            headers.push((header::LOCATION, url.clone()));
            return Denial { reason: self.reason, status: 302, headers, content_type: PLAIN, body: String::new() };
        }
        if status == 401 {
            headers.push((header::WWW_AUTHENTICATE, self.challenge()));
        }
        if let Some(seconds) = self.retry_after() {
            headers.push((header::RETRY_AFTER, seconds));
        }
        let (content_type, body) = if navigation {
            (HTML, self.page(status, login.as_ref().map(|(_, url)| url.as_str())))
        } else {
            (PROBLEM, self.problem(status))
        };
        Denial { reason: self.reason, status, headers, content_type, body }
    }

    /// RFC 6750 §3: no error code when no credential was sent. One field for both schemes: some proxies pass on only
    /// the first.
    fn challenge(&self) -> HeaderText {
        let missing = self.reason == Reason::CredentialMissing;
        match self.challenge {
            Challenge { bearer: false, basic: true } => BASIC,
            Challenge { basic: true, .. } if missing => BEARER_OR_BASIC,
            Challenge { basic: true, .. } => BEARER_OR_BASIC_INVALID,
            Challenge { .. } if missing => CHALLENGE,
            Challenge { .. } => CHALLENGE_INVALID,
        }
    }

    /// When the same request may fare better.
    fn retry_after(&self) -> Option<HeaderText> {
        match self.reason {
            Reason::TooManyFailures => Some(A_MINUTE),
            Reason::UpstreamUnavailable | Reason::Overloaded => Some(A_SECOND),
            _ => None,
        }
    }

    fn decision_id_text(&self) -> HeaderText {
        HeaderText::new(self.decision_id.to_string()).unwrap_or(UNKNOWN_DECISION)
    }

    /// RFC 9457.
    fn problem(&self, status: u16) -> String {
        let decision = self.decision_id.to_string();
        let problem = Problem {
            decision: &decision,
            reason: self.reason.code(),
            status,
            title: title(status),
            kind: "about:blank",
        };
        // Nothing in it can fail to be written.
        serde_json::to_string(&problem).unwrap_or_default()
    }

    fn page(&self, status: u16, login: Option<&str>) -> String {
        let title = title(status);
        let link = login.map(|url| format!("<p><a href=\"{}\">Log in</a></p>\n", escape_html(url))).unwrap_or_default();
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
             content=\"width=device-width\">\n<title>{status} {title}</title>\n<style>body{{font:1rem/1.5 system-ui,\
             sans-serif;max-width:32rem;margin:15vh auto;padding:0 1rem}}code{{color:#666}}</style>\n<h1>{title}</h1>\n\
             <p>{sentence}</p>\n{link}<p><code>{reason} · {id}</code></p>\n</html>\n",
            sentence = sentence(status),
            reason = self.reason.code(),
            id = self.decision_id,
        )
    }
}

/// A body for programs.
#[derive(Serialize)]
struct Problem<'r> {
    decision: &'r str,
    reason: &'static str,
    status: u16,
    title: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
}

const PROBLEM: &str = "application/problem+json";
const HTML: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

const NO_STORE: HeaderText = HeaderText::constant("no-store");
const UNKNOWN_DECISION: HeaderText = HeaderText::constant("unknown");
const CHALLENGE: HeaderText = HeaderText::constant("Bearer realm=\"postern\"");
const CHALLENGE_INVALID: HeaderText = HeaderText::constant("Bearer realm=\"postern\", error=\"invalid_token\"");

const BASIC: HeaderText = HeaderText::constant("Basic realm=\"postern\", charset=\"UTF-8\"");
const BEARER_OR_BASIC: HeaderText =
    HeaderText::constant("Bearer realm=\"postern\", Basic realm=\"postern\", charset=\"UTF-8\"");
const BEARER_OR_BASIC_INVALID: HeaderText = HeaderText::constant(
    "Bearer realm=\"postern\", error=\"invalid_token\", Basic realm=\"postern\", charset=\"UTF-8\"",
);
const A_MINUTE: HeaderText = HeaderText::constant("60");
const A_SECOND: HeaderText = HeaderText::constant("1");

fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        425 => "Too Early",
        429 => "Too Many Requests",
        _ => "Service Unavailable",
    }
}

fn sentence(status: u16) -> &'static str {
    match status {
        400 => "This address cannot be judged safely, so it is refused.",
        401 => "You need to log in to see this.",
        403 => "You are not permitted to see this.",
        425 => "This request came too early in its connection. Please send it again.",
        429 => "Too many requests. Please wait a moment.",
        _ => "It cannot be decided at the moment whether you may see this. Please try again.",
    }
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
