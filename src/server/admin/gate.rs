//! Who may see an admin page, and who may change something.

use http::HeaderValue;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header::AUTHORIZATION;
use http::header::HOST;
use http::header::WWW_AUTHENTICATE;

use crate::model::admin::AdminRules;
use crate::server::admin::Body;
use crate::server::admin::text;

/// How a request reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Via {
    Tcp,
    /// Whoever may open the socket may do everything.
    Unix,
}

/// Is the request for us, and not for a stranger whose name was made to point here? A browser would let the stranger's
/// page read the answer.
pub(super) fn is_for_us<B>(request: &Request<B>, via: Via, rules: &AdminRules) -> bool {
    let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let mut named = request.headers().get_all(HOST).iter().map(HeaderValue::as_bytes).chain(authority);
    via == Via::Unix || named.all(|name| std::str::from_utf8(name).is_ok_and(|name| rules.is_our_name(name)))
}

/// May the caller change something? If not, what to answer.
pub(super) fn admit<B>(request: &Request<B>, via: Via, rules: &AdminRules) -> Result<(), Box<Response<Body>>> {
    if via == Via::Unix {
        return Ok(());
    }
    let mut shown = request.headers().get_all(AUTHORIZATION).iter();
    let token = match (shown.next(), shown.next()) {
        (Some(only), None) => bearer(only.as_bytes()),
        _ => None,
    };
    if token.is_some_and(|token| rules.is_token(token)) {
        return Ok(());
    }
    if rules.token.is_none() {
        let message = "this needs the unix socket (`listen.admin: unix:/path`), or a token (`admin.token_file`)\n";
        return Err(Box::new(text(StatusCode::FORBIDDEN, message)));
    }
    let mut response = text(StatusCode::UNAUTHORIZED, "this needs the token of `admin.token_file` as a bearer token\n");
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    Err(Box::new(response))
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}
