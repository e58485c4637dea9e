//! The one account of a decision: the audit line, the metrics and the span are views of it.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::model::client_ip::ClientAddress;
use crate::model::decision::Decision;
use crate::model::decision::DecisionId;
use crate::model::dialect::Dialect;
use crate::model::limit::Weighed;
use crate::model::replay::Replayable;
use crate::model::trace::TraceContext;

/// Everything worth knowing about one check, made once when it is answered. It borrows: whoever keeps something of it
/// copies that.
#[derive(Clone, Debug)]
pub struct Record<'r> {
    pub at: jiff::Timestamp,
    pub decision_id: DecisionId,
    pub dialect: Dialect,
    pub decision: &'r Decision,
    /// The status the answer carries, before a dialect folds it; 200 for an allow.
    pub status: u16,
    /// Canonical method, host and path; `None` when the request could not be read so far.
    pub method: Option<&'r str>,
    pub host: Option<&'r str>,
    pub path: Option<&'r str>,
    /// The raw query, without its `?`.
    pub query: Option<&'r str>,
    /// `None` when the request could not be read so far.
    pub client: Option<Client>,
    /// The groups that the policy names anywhere: of a caller's groups, only these can have mattered.
    pub mentioned: Option<&'r HashSet<Arc<str>>>,
    /// Digest of the policy that decided.
    pub policy: &'r Arc<str>,
    /// Which policy of this process that was: 1 for that of the start, one more with each reload.
    pub generation: u64,
    /// From the decoded check to its answer; `None` for a check that was never begun.
    pub took: Option<Duration>,
    /// The trace that the request says it is part of; `None` also where nobody asks.
    pub trace: Option<TraceContext>,
    /// What another policy needs to judge the request again; `None` where nobody keeps it.
    pub replay: Option<Replayable<'r>>,
    /// For the operator: what exactly was wrong. Never sent to the client.
    pub detail: Option<&'r str>,
    /// The limits that counted the request.
    pub limits: &'r [Weighed],
    /// What was left out or ignored on the way.
    pub counts: Counts,
}

impl Record<'_> {
    /// The limit that refused the request.
    pub fn refused_by(&self) -> Option<&str> {
        self.limits.iter().find(|weighed| weighed.outcome.refuses()).map(|weighed| &*weighed.limit)
    }

    /// The client's address, when it is known.
    pub fn client_ip(&self) -> Option<IpAddr> {
        self.client.and_then(|client| client.address.ip())
    }
}

/// The client's address and how it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    pub address: ClientAddress,
    /// As `client_ip.from` writes it: `dialect`, `xff`, `forwarded` or `header`.
    pub from: &'static str,
}

/// Small things that happened on the way and are only counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Forwarding header fields the dialect does not read.
    pub ignored_forwarding: u32,
    /// Groups left out because they do not fit a header or contain the separator.
    pub dropped_groups: u32,
    /// Names or mail addresses left out because they do not fit a header.
    pub dropped_values: u32,
    /// Identity headers of the client that a weakened spoof guard let through to be overwritten.
    pub spoofed: u32,
}
