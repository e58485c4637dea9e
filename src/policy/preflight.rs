//! CORS preflights: the question a browser asks, without credentials, before it sends the real request.

use crate::model::header::Single;
use crate::model::request::Request;

/// The method a preflight asks for: `OPTIONS` with both `Origin` and `Access-Control-Request-Method` (Fetch §4.8).
/// `None` for everything else, which is judged like any request.
pub fn wanted_method<'w>(request: &Request<'w>) -> Option<&'w str> {
    if request.method != "OPTIONS" {
        return None;
    }
    match (request.headers.one("origin"), request.headers.one("access-control-request-method")) {
        (Single::One(origin), Single::One(method)) if !origin.is_empty() => {
            std::str::from_utf8(method).ok().filter(|method| crate::model::request::is_method(method))
        }
        _ => None,
    }
}
