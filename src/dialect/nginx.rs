//! nginx's `auth_request` with our configuration, which writes the five attributes.
//!
//! nginx understands 2xx, 401 and 403; every other answer becomes a 500 and loses its headers and body. So what a
//! denial means travels in headers that the configuration puts back.

use bytes::Bytes;
use http::header::LOCATION;
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};

use super::forwarded::{self, READS};
use super::forwarding::Forwarding;
use crate::model::dialect::Dialect;
use crate::model::request::{Attributes, Refusal};

pub(super) const FORWARDING: Forwarding<5> = Forwarding { reads: READS, writes: &["x-forwarded-client-port"] };

pub(super) fn decode(parts: &Parts) -> Result<Attributes<'_>, Refusal> {
    forwarded::decode(Dialect::Nginx, &FORWARDING, parts)
}

/// Bring a denial down to 401, 403 or 503.
pub(super) fn fold(mut answer: http::Response<Bytes>) -> http::Response<Bytes> {
    let status = answer.status();
    match status.as_u16() {
        401 | 403 => {}
        300..=399 => {
            *answer.status_mut() = StatusCode::UNAUTHORIZED;
            if let Some(location) = answer.headers_mut().remove(LOCATION)
                && location.len() <= LONGEST_LOGIN
            {
                answer.headers_mut().insert(LOGIN, location);
            }
        }
        500..=599 => *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE,
        _ => {
            *answer.status_mut() = StatusCode::FORBIDDEN;
            answer.headers_mut().insert(STATUS, HeaderValue::from(status.as_u16()));
        }
    }
    answer
}

/// Where to log in, on a 401.
const LOGIN: HeaderName = HeaderName::from_static("x-login-url");
/// The status that was meant, on a 403.
pub(super) const STATUS: HeaderName = HeaderName::from_static("x-auth-status");
/// Past this the answer might not fit the smallest header buffer nginx is run with; then the 401 goes without it.
const LONGEST_LOGIN: usize = 2800;
