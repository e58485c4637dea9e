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
    /// By the unix socket, whose file says who may read.
    Unix,
    /// By the unix socket, from us, from root, or from somebody who is named: they may do everything.
    Operator,
}

/// Is the request for us, and not for a stranger whose name was made to point here? A browser would let the stranger's
/// page read the answer.
pub(super) fn is_for_us<B>(request: &Request<B>, via: Via, rules: &AdminRules) -> bool {
    let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let mut named = request.headers().get_all(HOST).iter().map(HeaderValue::as_bytes).chain(authority);
    via != Via::Tcp || named.all(|name| std::str::from_utf8(name).is_ok_and(|name| rules.is_our_name(name)))
}

/// May the caller change something? If not, what to answer.
pub(super) fn admit<B>(request: &Request<B>, via: Via, rules: &AdminRules) -> Result<(), Box<Response<Body>>> {
    if via == Via::Operator {
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
        let message = match via {
            Via::Unix => "this is for the user that runs us, for root, and for `peers` of `listen.admin`\n",
            Via::Tcp | Via::Operator => {
                "this needs the unix socket (`listen.admin: unix:/path`), or a token (`admin.token_file`)\n"
            }
        };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Secret;

    #[test]
    fn f9_only_an_operator_pulls_a_lever_without_the_token() {
        let with = AdminRules { token: Some(Secret::new(b"0123456789abcdef".to_vec())), hosts: Vec::new() };
        let shown =
            Request::post("/reload").header(AUTHORIZATION, "Bearer 0123456789abcdef").body(()).expect("request");
        let bare = Request::post("/reload").body(()).expect("request");
        for (via, rules, request, want) in [
            (Via::Operator, &AdminRules::default(), &bare, None),
            (Via::Unix, &AdminRules::default(), &bare, Some(StatusCode::FORBIDDEN)),
            (Via::Unix, &with, &bare, Some(StatusCode::UNAUTHORIZED)),
            (Via::Unix, &with, &shown, None),
            (Via::Tcp, &AdminRules::default(), &shown, Some(StatusCode::FORBIDDEN)),
            (Via::Tcp, &with, &bare, Some(StatusCode::UNAUTHORIZED)),
            (Via::Tcp, &with, &shown, None),
        ] {
            let refused = admit(request, via, rules).err().map(|response| response.status());
            assert_eq!(refused, want, "{via:?}");
        }
    }
}
