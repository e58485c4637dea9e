//! What a log keeps of a request so that another policy can judge it again.

use std::collections::BTreeSet;

use crate::model::claim_path::ClaimPath;
use crate::model::request::Request;

/// Fields that hold credentials whatever a policy says.
pub const CREDENTIALS: [&str; 5] =
    ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-forwarded-client-cert"];

/// What a policy looks at besides what every line of the log holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Header fields, lower-case.
    pub headers: BTreeSet<String>,
    /// Of these, those that hold credentials: no log keeps them.
    pub secret_headers: BTreeSet<String>,
    /// Parameters of the query, decoded.
    pub parameters: BTreeSet<String>,
    /// Claims of a verified credential.
    pub claims: BTreeSet<ClaimPath>,
    /// Tells apart the names that the spoof guard looks for.
    pub guard: String,
}

/// What became of the credentials of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seen {
    /// Nobody looked: the answer came before, or the route is public.
    #[default]
    Nothing,
    /// There were none.
    Absent,
    /// They proved who the caller is.
    Proven,
    /// They were no good. `login_helps`: it was a cookie past its end, and nothing else.
    Refused { login_helps: bool },
}

impl Seen {
    /// The name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Seen::Nothing => "not_asked",
            Seen::Absent => "absent",
            Seen::Proven => "proven",
            Seen::Refused { .. } => "refused",
        }
    }
}

/// What a line needs so that its request can be judged again.
#[derive(Clone, Debug)]
pub struct Replayable<'r> {
    pub request: &'r Request<'r>,
    pub reads: &'r Reads,
    pub seen: Seen,
    /// The identity sources that were asked, a list for each reading of the path that has its own.
    pub sources: Vec<Vec<&'r str>>,
    /// A person in a browser asks.
    pub navigation: bool,
    /// The method that a CORS preflight asks for.
    pub preflight: Option<&'r str>,
    /// Names of header fields that the spoof guard saw, and `connection` where that names one of ours.
    pub spoofed: Vec<String>,
}
