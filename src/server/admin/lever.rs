//! The pages that change something: a reload, and what is logged. Who asks has been admitted.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::StatusCode;
use http_body_util::BodyExt;
use http_body_util::Limited;
use serde_json::json;
use tracing::info;

use crate::model::reload::ReloadResult;
use crate::server::admin::Admin;
use crate::server::admin::Body;
use crate::server::admin::json_page;
use crate::server::admin::text;
use crate::server::authorize::Authorize;

/// The longest log level, in octets.
const LONGEST_LEVEL: usize = 4096;
/// How long it may take to come.
const WITHIN: Duration = Duration::from_secs(5);

const NOT_HERE: &str = "this process has no such lever\n";

impl<A: Authorize> Admin<A> {
    /// Have the policy read again, and say how that went.
    pub(super) async fn reload(&self) -> Response<Body> {
        let Some(reloads) = &self.control.reloads else { return text(StatusCode::NOT_FOUND, NOT_HERE) };
        info!(by = "admin", "reloading");
        let result = match reloads.ask().await {
            Ok(result) => result,
            Err(busy) => return text(StatusCode::SERVICE_UNAVAILABLE, format!("{busy}\n")),
        };
        let status = match result {
            ReloadResult::Accepted | ReloadResult::Unchanged => StatusCode::OK,
            ReloadResult::Refused => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let policy = self.policy();
        let problems = policy.last_reload.map(|last| last.problems).unwrap_or_default();
        let answer = json!({
            "result": result.name(),
            "generation": policy.generation,
            "policy": policy.digest,
            "problems": problems,
        });
        json_page(status, &answer)
    }

    pub(super) fn log_level(&self) -> Response<Body> {
        match &self.control.log_level {
            Some(level) => text(StatusCode::OK, level.current() + "\n"),
            None => text(StatusCode::NOT_FOUND, NOT_HERE),
        }
    }

    /// From now on log what the body says, as `--log-level` does.
    pub(super) async fn set_log_level<B>(&self, body: B) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Some(level) = &self.control.log_level else { return text(StatusCode::NOT_FOUND, NOT_HERE) };
        let read = tokio::time::timeout(WITHIN, Limited::new(body, LONGEST_LEVEL).collect()).await;
        let Ok(Ok(octets)) = read.map(|read| read.map(|body| body.to_bytes())) else {
            return text(StatusCode::BAD_REQUEST, "a log level is one short line, as `debug`\n");
        };
        let wanted = std::str::from_utf8(&octets).unwrap_or_default().trim();
        if wanted.is_empty() || wanted.contains(char::is_control) {
            return text(StatusCode::BAD_REQUEST, "a log level is one short line, as `debug`\n");
        }
        match level.set(wanted) {
            Ok(()) => {
                info!(level = wanted, "the log level was changed");
                self.log_level()
            }
            Err(error) => text(StatusCode::BAD_REQUEST, format!("{error}\n")),
        }
    }
}
