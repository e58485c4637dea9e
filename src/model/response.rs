//! The answer to a check, before a dialect writes it: an allow or a denial, never something between.

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
    /// Identity headers to set on the request upstream. Never a name that is also in `remove`.
    pub set: Vec<(HeaderName, HeaderText)>,
    /// Headers that must be absent upstream: every owned identity header that is not set.
    pub remove: Vec<HeaderName>,
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
