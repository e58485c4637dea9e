//! Forward authorization over HTTP: one path for each proxy, so that each is read by its own rules only.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};

use super::{answer, caddy, envoy_http, forwarded, haproxy, ingress_nginx, nginx, refuse, traefik};
use crate::model::dialect::Dialect;
use crate::model::reason::Reason;
use crate::model::request::{Attributes, Refusal};
use crate::model::response::{Allow, Denial, Response, Verdict};

/// Which dialect is spoken at this path. The query is not part of it: Caddy adds the client's query to ours.
pub fn of_path(path: &str) -> Option<Dialect> {
    match path {
        "/auth/caddy" => Some(Dialect::Caddy),
        "/auth/traefik" => Some(Dialect::Traefik),
        "/auth/nginx" => Some(Dialect::Nginx),
        "/auth/ingress-nginx" => Some(Dialect::IngressNginx),
        "/auth/haproxy" => Some(Dialect::Haproxy),
        _ => path
            .strip_prefix(envoy_http::PREFIX)
            .is_some_and(|rest| rest.starts_with('/'))
            .then_some(Dialect::EnvoyHttp),
    }
}

/// Read the attributes of one check from the head of its request.
pub fn decode(dialect: Dialect, parts: &Parts) -> Result<Attributes<'_>, Refusal> {
    // RFC 9112 §3.2: a request without a host, or with two, is none. What sends one is not a proxy we know (D8).
    let own = forwarded::request_host(dialect, parts)?
        .ok_or_else(|| refuse(dialect, Reason::AttributeMissing, "the check's own host"))?;
    match dialect {
        Dialect::EnvoyHttp => envoy_http::decode(parts, own),
        Dialect::Caddy => caddy::decode(parts, own),
        Dialect::Traefik => traefik::decode(parts),
        Dialect::Nginx => nginx::decode(parts),
        Dialect::IngressNginx => ingress_nginx::decode(parts),
        Dialect::Haproxy => haproxy::decode(parts),
        Dialect::ExtAuthz => Err(refuse(dialect, Reason::MessageMalformed, "ext_authz is not spoken over plain HTTP")),
    }
}

/// Write the answer to a check that came with `method`.
pub fn encode(dialect: Dialect, method: &Method, response: &Response) -> http::Response<Bytes> {
    let allowed = match &response.verdict {
        Verdict::Allow(allow) if allow.reason.allows() => allowed(dialect, allow),
        Verdict::Allow(_) | Verdict::Deny(_) => None,
    };
    let mut answer = match (allowed, &response.verdict) {
        (Some(allowed), _) => allowed,
        (None, Verdict::Allow(_)) => failure(dialect, method, Reason::Internal),
        (None, Verdict::Deny(denial)) => sized(denied(dialect, denial), method),
    };
    if let Ok(id) = HeaderValue::from_bytes(&response.decision_id.text()) {
        answer.headers_mut().insert(answer::DECISION, id);
    }
    answer
}

/// The answer when no decision could be made: always a denial.
pub fn failure(dialect: Dialect, method: &Method, reason: Reason) -> http::Response<Bytes> {
    sized(denied(dialect, &answer::failure(reason)), method)
}

/// An allow; `None` when it cannot be written.
fn allowed(dialect: Dialect, allow: &Allow) -> Option<http::Response<Bytes>> {
    let headers = match dialect {
        Dialect::EnvoyHttp => envoy_http::allow(allow)?,
        Dialect::Caddy | Dialect::Traefik | Dialect::Nginx | Dialect::IngressNginx | Dialect::Haproxy => {
            answer::identity(allow)
        }
        Dialect::ExtAuthz => return None,
    };
    let mut answer = http::Response::new(Bytes::new());
    *answer.headers_mut() = headers;
    Some(answer)
}

fn denied(dialect: Dialect, denial: &Denial) -> http::Response<Bytes> {
    let answer = plain(denial);
    match dialect {
        Dialect::EnvoyHttp => envoy_http::fold(answer),
        Dialect::Nginx | Dialect::IngressNginx => nginx::fold(answer),
        Dialect::Caddy | Dialect::Traefik | Dialect::Haproxy | Dialect::ExtAuthz => answer,
    }
}

/// A denial as a proxy relays it that relays everything.
fn plain(denial: &Denial) -> http::Response<Bytes> {
    let mut answer = http::Response::new(Bytes::from(denial.body.clone()));
    *answer.status_mut() =
        StatusCode::from_u16(answer::denied_status(denial)).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    for (name, text) in answer::relayed(denial) {
        answer.headers_mut().append(name, HeaderValue::from(text));
    }
    if !denial.body.is_empty()
        && let Ok(kind) = HeaderValue::from_str(denial.content_type)
    {
        answer.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    }
    answer
}

/// Envoy checks with the client's method: an answer to HEAD has no body.
fn sized(mut answer: http::Response<Bytes>, method: &Method) -> http::Response<Bytes> {
    if method == Method::HEAD {
        *answer.body_mut() = Bytes::new();
    }
    let length = HeaderValue::from(answer.body().len());
    answer.headers_mut().insert(CONTENT_LENGTH, length);
    answer
}

#[cfg(test)]
mod tests;
