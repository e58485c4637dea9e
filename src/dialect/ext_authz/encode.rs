//! `Response` to `CheckResponse`.

use super::CheckResponse;
use super::proto::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use super::proto::envoy::service::auth::v3::check_response::HttpResponse;
use super::proto::envoy::service::auth::v3::{DeniedHttpResponse, OkHttpResponse};
use super::proto::envoy::r#type::v3::HttpStatus;
use super::proto::google::rpc::Status;
use crate::dialect::answer;
use crate::model::decision::DecisionId;
use crate::model::reason::Reason;
use crate::model::response::{Allow, Denial, Response, Verdict};

/// Write the answer.
pub fn encode(response: &Response) -> CheckResponse {
    match &response.verdict {
        Verdict::Allow(allow) if allow.reason.allows() => allowed(allow),
        Verdict::Allow(_) => denied(&answer::failure(Reason::Internal), Some(response.decision_id)),
        Verdict::Deny(denial) => denied(denial, Some(response.decision_id)),
    }
}

/// The answer when no decision could be made: always a denial, never a gRPC error, which `failure_mode_allow` would
/// turn into an allow.
pub fn failure(reason: Reason) -> CheckResponse {
    denied(&answer::failure(reason), None)
}

/// Envoy overwrites a header that is set without `append`, and lets a removal win over a value.
fn allowed(allow: &Allow) -> CheckResponse {
    CheckResponse {
        status: Some(Status { code: OK, message: String::new() }),
        http_response: Some(HttpResponse::OkResponse(OkHttpResponse {
            headers: allow.headers.set().map(|(name, text)| header(name.as_str(), text)).collect(),
            headers_to_remove: allow.headers.remove().iter().map(|name| name.as_str().to_owned()).collect(),
            response_headers_to_add: allow
                .told
                .iter()
                .map(|(name, text)| header(name.as_str(), text.as_str()))
                .collect(),
        })),
    }
}

// INVARIANT: the only place that makes a denial; its status is never 0 and a `denied_response` is always there.
fn denied(denial: &Denial, id: Option<DecisionId>) -> CheckResponse {
    let meant = answer::denied_status(denial);
    let code = grpc_code(meant);
    // Envoy's list of statuses has no 425, and an answer it cannot read is a failure, which may be set to allow.
    let status = if meant == 425 { 403 } else { meant };
    let mut headers: Vec<_> =
        answer::relayed(denial).map(|(name, text)| header(name.as_str(), text.as_str())).collect();
    if !denial.body.is_empty() {
        headers.push(header("content-type", denial.content_type));
    }
    // Without this header a gRPC client would be told UNAVAILABLE for a rate limit, and would retry.
    headers.push(header("grpc-status", &code.to_string()));
    if let Some(id) = id {
        headers.push(header(answer::DECISION.as_str(), &id.to_string()));
    }
    CheckResponse {
        status: Some(Status { code, message: String::new() }),
        http_response: Some(HttpResponse::DeniedResponse(DeniedHttpResponse {
            status: Some(HttpStatus { code: i32::from(status) }),
            headers,
            body: denial.body.clone(),
        })),
    }
}

const OK: i32 = 0;

/// The gRPC code that says to a gRPC client what the HTTP status says to others.
fn grpc_code(status: u16) -> i32 {
    const INVALID_ARGUMENT: i32 = 3;
    const PERMISSION_DENIED: i32 = 7;
    const RESOURCE_EXHAUSTED: i32 = 8;
    const UNAVAILABLE: i32 = 14;
    const UNAUTHENTICATED: i32 = 16;
    match status {
        300..=399 | 401 => UNAUTHENTICATED,
        400 => INVALID_ARGUMENT,
        425 => UNAVAILABLE,
        429 => RESOURCE_EXHAUSTED,
        500..=599 => UNAVAILABLE,
        _ => PERMISSION_DENIED,
    }
}

fn header(name: &str, value: &str) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue { key: name.to_owned(), value: value.to_owned(), raw_value: Vec::new() }),
    }
}
