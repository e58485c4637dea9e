//! The answer to a check, before a dialect writes it: an allow or a denial, never something between.

use std::sync::Arc;
use std::sync::OnceLock;

use bytes::Bytes;
use http::HeaderName;

use crate::model::decision::DecisionId;
use crate::model::header::HeaderText;
use crate::model::reason::Reason;

/// What the proxy is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    pub decision_id: DecisionId,
    pub verdict: Verdict,
}

/// Two shapes, so that no denial can carry an identity and no allow a body.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Allow(Allow),
    Deny(Denial),
}

/// The request may pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Allow {
    pub reason: Reason,
    /// What it changes in the request.
    pub headers: Arc<AllowHeaders>,
}

/// What an allow changes in the request on its way upstream. It depends on the caller and hardly on the request, so it
/// is made once and used for many answers.
#[derive(Clone, Debug)]
pub struct AllowHeaders {
    set: Vec<(HeaderName, HeaderText)>,
    remove: Vec<HeaderName>,
    written: OnceLock<Bytes>,
}

impl AllowHeaders {
    /// Set these and make the others absent. A name in both lists is set.
    pub fn new(set: Vec<(HeaderName, HeaderText)>, mut remove: Vec<HeaderName>) -> AllowHeaders {
        remove.retain(|name| !set.iter().any(|(kept, _)| kept == name));
        AllowHeaders { set, remove, written: OnceLock::new() }
    }

    /// Identity headers to set on the request upstream.
    pub fn set(&self) -> &[(HeaderName, HeaderText)] {
        &self.set
    }

    /// Headers that must be absent upstream: every owned identity header that is not set, and what holds nothing but
    /// credentials.
    pub fn remove(&self) -> &[HeaderName] {
        &self.remove
    }

    /// The whole answer as the gRPC listener sends it, for every allow with these headers the same octets.
    pub fn written(&self, write: impl FnOnce() -> Bytes) -> Bytes {
        self.written.get_or_init(write).clone()
    }
}

impl PartialEq for AllowHeaders {
    /// Whether it has been written is of no account.
    fn eq(&self, other: &AllowHeaders) -> bool {
        self.set == other.set && self.remove == other.remove
    }
}

/// The request may not pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Denial {
    pub reason: Reason,
    /// The status meant for the client: the reason's, or 302 for a login redirect.
    pub status: u16,
    /// For the client: `WWW-Authenticate`, `Location`, `Retry-After`, …; `Cache-Control` and the decision id too.
    pub headers: Vec<(HeaderName, HeaderText)>,
    pub content_type: &'static str,
    pub body: String,
}

impl Verdict {
    /// Why.
    pub fn reason(&self) -> Reason {
        match self {
            Verdict::Allow(allow) => allow.reason,
            Verdict::Deny(denial) => denial.reason,
        }
    }
}
