//! `Authorization/Check` over gRPC, and the health service beside it.
//!
//! Whatever is sent to the path of the check and however it goes, the caller gets gRPC status OK and a `CheckResponse`.
//! A gRPC error would be an allow under Envoy's `failure_mode_allow`.

use std::convert::Infallible;
use std::pin::Pin;
use std::pin::pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::header::CONTENT_TYPE;
use http_body::Body;
use http_body::Frame;
use hyper::body::Incoming;
use tower::Service;

use crate::dialect::ext_authz;
use crate::engine::Checked;
use crate::model::dialect::Dialect;
use crate::model::reason::Reason;
use crate::model::request::Refusal;
use crate::model::response as model;
use crate::model::response::Verdict;
use crate::server::authorize::Authorize;
use crate::server::frame;
use crate::server::frame::FrameError;
use crate::server::guard::Outcome;
use crate::server::guard::caught;
use crate::server::guard::guard;
use crate::server::lane::Lane;
use crate::server::lane::Underway;
use crate::server::task;
use crate::telemetry::clock;
use crate::telemetry::metrics::RequestTime;

/// The service whose health is reported by name.
pub(super) const SERVICE: &str = "envoy.service.auth.v3.Authorization";
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
const HEALTH: &str = "/grpc.health.v1.Health/";

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Answer any request to the gRPC listener. Of its head, no more is kept than is needed: the future is moved around
/// for every check. It `arrived` then, and has waited for its turn since.
pub(super) fn answer<A: Authorize>(
    lane: Arc<Lane<A>>,
    request: Request<Incoming>,
    arrived: Instant,
) -> impl Future<Output = Result<Response<Answer>, Infallible>> + Send + use<A> {
    let asked = caught(|| Asked::of(request, arrived));
    async move {
        Ok(match asked {
            Some(Asked::Check(head, body)) => {
                let time = lane.times.since(head.arrived, Dialect::ExtAuthz);
                let (octets, underway) = match lane.enter() {
                    Ok(underway) => (check(&lane, head, body).await, Some(underway)),
                    Err(cause) => (refuse(&lane, Reason::Overloaded, cause.to_owned()), None),
                };
                reply(Answer::Message { octets: Some(octets), _underway: underway, _time: Some(time) })
            }
            Some(Asked::Health(request)) => {
                // Watching goes on for as long as one wants.
                task::let_last();
                let mut health = lane.health.clone();
                match Box::pin(health.call(*request)).await {
                    Ok(response) => response.map(Answer::Health),
                    Err(never) => match never {},
                }
            }
            Some(Asked::Unknown) => {
                const UNIMPLEMENTED: HeaderValue = HeaderValue::from_static("12");
                let mut response = reply(Answer::Empty);
                response.headers_mut().insert(GRPC_STATUS, UNIMPLEMENTED);
                response
            }
            None => {
                let octets = refuse(&lane, Reason::Internal, "reading the head panicked".to_owned());
                reply(Answer::Message { octets: Some(octets), _underway: None, _time: None })
            }
        })
    }
}

/// What is asked for.
enum Asked {
    Check(Head, Incoming),
    Health(Box<Request<Incoming>>),
    Unknown,
}

/// What the head of a check says.
struct Head {
    arrived: Instant,
    /// The caller's patience, less what the way back takes.
    deadline: Option<Duration>,
    /// Why this is no gRPC call.
    fault: Option<String>,
}

impl Asked {
    fn of(request: Request<Incoming>, arrived: Instant) -> Asked {
        let path = request.uri().path();
        if path == CHECK {
            let deadline = request.headers().get(GRPC_TIMEOUT).and_then(frame::timeout).map(in_time);
            let fault = if request.method() != Method::POST {
                Some(format!("method {:?}", request.method().as_str()))
            } else if !request.headers().get(CONTENT_TYPE).is_some_and(is_grpc) {
                Some("the content type is not application/grpc".to_owned())
            } else {
                None
            };
            return Asked::Check(Head { arrived, deadline, fault }, request.into_body());
        }
        if path.starts_with(HEALTH) { Asked::Health(Box::new(request)) } else { Asked::Unknown }
    }
}

/// One check, to the octets of its answer.
async fn check<A: Authorize>(lane: &Lane<A>, head: Head, body: Incoming) -> Bytes {
    let waited = clock::instant().saturating_duration_since(head.arrived);
    let limit = head.deadline.unwrap_or(lane.limits.longest).min(lane.limits.longest).saturating_sub(waited);
    match guard(limit, pin!(Some(judge(lane, head, body)))).await {
        Outcome::Done(answer) => answer,
        Outcome::Panicked => refuse(lane, Reason::Internal, "the check panicked".to_owned()),
        Outcome::Late => refuse(lane, Reason::DeadlineExceeded, format!("no decision within {limit:?}")),
    }
}

async fn judge<A: Authorize>(lane: &Lane<A>, head: Head, body: Incoming) -> Bytes {
    let Head { arrived, deadline, fault } = head;
    let malformed = |detail: String| refuse(lane, Reason::MessageMalformed, detail);
    if let Some(fault) = fault {
        return malformed(fault);
    }
    let message = match frame::read(body, lane.limits.message, lane.unfinished.place()).await {
        Ok(message) => message,
        Err(crowded @ FrameError::Crowded) => return refuse(lane, Reason::Overloaded, crowded.to_string()),
        Err(error) => return malformed(error.to_string()),
    };
    // Not before the message is there, which may come after its head.
    if let Err(cause) = lane.turn(arrived, deadline) {
        return refuse(lane, Reason::Overloaded, cause.to_owned());
    }
    let message = match ext_authz::read(&message) {
        Ok(message) => message,
        Err(refusal) => return malformed(refusal.detail),
    };
    let left = deadline.map(|deadline| deadline.saturating_sub(clock::instant().duration_since(arrived)));
    match lane.engine.check(ext_authz::decode(&message), left).boxed() {
        Checked::Answered(response) => written(&response),
        Checked::Waits(response) => written(&response.await),
    }
}

/// The octets of an answer. Allows to one caller are the same, so they are written once.
fn written(response: &model::Response) -> Bytes {
    let write = || frame::write(&ext_authz::encode(response));
    match &response.verdict {
        Verdict::Allow(allow) if allow.reason.allows() && allow.told.is_empty() => allow.headers.written(write),
        Verdict::Allow(_) | Verdict::Deny(_) => write(),
    }
}

fn refuse<A: Authorize>(lane: &Lane<A>, reason: Reason, detail: String) -> Bytes {
    let refusal = Refusal { dialect: Dialect::ExtAuthz, reason, detail };
    caught(|| frame::write(&ext_authz::encode(&lane.engine.refuse(&refusal))))
        .unwrap_or_else(|| lane.last_resort.clone())
}

/// The caller gives up at its deadline, so we answer a little before: one tenth is for the way.
fn in_time(timeout: Duration) -> Duration {
    timeout / 10 * 9
}

fn is_grpc(kind: &HeaderValue) -> bool {
    let kind = kind.as_bytes();
    kind.strip_prefix(GRPC.as_bytes()).is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

fn reply(answer: Answer) -> Response<Answer> {
    let mut response = Response::new(answer);
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// The body of an answer.
pub(super) enum Answer {
    /// A message that is still to be sent, or was; then the trailers, which always say OK. Until then the check is
    /// under way.
    Message {
        octets: Option<Bytes>,
        _underway: Option<Underway>,
        _time: Option<RequestTime>,
    },
    /// Whatever the health service says.
    Health(tonic::body::Body),
    Empty,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        const OK: HeaderValue = HeaderValue::from_static("0");
        let this = self.get_mut();
        match this {
            Answer::Message { octets, .. } => {
                let frame = match octets.take() {
                    Some(octets) => Frame::data(octets),
                    None => {
                        *this = Answer::Empty;
                        let mut trailers = HeaderMap::with_capacity(1);
                        trailers.insert(GRPC_STATUS, OK);
                        Frame::trailers(trailers)
                    }
                };
                Poll::Ready(Some(Ok(frame)))
            }
            Answer::Health(body) => Pin::new(body).poll_frame(context),
            Answer::Empty => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Answer::Message { .. } => false,
            Answer::Health(body) => body.is_end_stream(),
            Answer::Empty => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_grpc_is_grpc() {
        for (kind, want) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/json", false),
            ("", false),
        ] {
            assert_eq!(is_grpc(&HeaderValue::from_static(kind)), want, "{kind}");
        }
    }

    #[test]
    fn the_answer_leaves_before_the_deadline() {
        assert_eq!(in_time(Duration::from_millis(200)), Duration::from_millis(180));
        assert_eq!(in_time(Duration::ZERO), Duration::ZERO);
    }
}
