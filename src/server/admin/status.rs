//! The status page: everything an operator asks first, and no secret.

use std::sync::atomic::Ordering;

use jiff::Timestamp;

use crate::model::introspection_status::IntrospectionStatus;
use crate::model::key_status::KeyStatus;
use crate::model::limit::SharedStatus;
use crate::model::listen::ListenAddress;
use crate::model::reload::ReloadStatus;
use crate::model::status::IssuerStatus;
use crate::model::status::ListenerStatus;
use crate::model::status::PolicyStatus;
use crate::model::status::ProviderStatus;
use crate::model::status::ReloadReport;
use crate::model::status::SharedLimitsStatus;
use crate::model::status::Status;
use crate::server::admin::Admin;
use crate::server::authorize::Authorize;

impl<A: Authorize> Admin<A> {
    /// How we are.
    pub(super) fn status(&self, now: Timestamp) -> Status {
        let reasons = self.obstacles();
        Status {
            status: self.state(&reasons).to_owned(),
            reasons,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: self.uptime(now),
            policy: self.policy(),
            listeners: [("grpc", &self.listen.grpc), ("http", &self.listen.http), ("admin", &self.listen.admin)]
                .into_iter()
                .filter_map(|(name, address)| Some((name.to_owned(), self.listener(name, address.as_ref()?))))
                .collect(),
            active_requests: self.active_requests(),
            keys: self.engine.key_statuses().into_iter().map(|keys| issuer(keys, now)).collect(),
            providers: self.engine.introspection_statuses().into_iter().map(provider).collect(),
            shared_limits: self.engine.shared_limits_status().map(shared_limits),
            audit: self.engine.audit_status(),
            insecure: self.engine.insecure(),
            log_level: self.control.log_level.as_ref().map(|level| level.current()),
        }
    }

    pub(super) fn uptime(&self, now: Timestamp) -> f64 {
        seconds_since(self.telemetry.metrics().started(), now)
    }

    /// Checks that wait for something.
    pub(super) fn active_requests(&self) -> usize {
        self.under_way.iter().map(|lane| lane.load(Ordering::Relaxed)).sum()
    }

    fn listener(&self, name: &'static str, address: &ListenAddress) -> ListenerStatus {
        ListenerStatus { address: address.to_string(), connections: self.telemetry.listener(name).open() }
    }

    pub(super) fn policy(&self) -> PolicyStatus {
        let path = self.control.policy_path.clone();
        let Some(reloads) = &self.control.reloads else { return PolicyStatus { path, ..PolicyStatus::default() } };
        let status = reloads.status();
        let ReloadStatus { generation, policy, since, last, watch, files } = &*status;
        PolicyStatus {
            path,
            digest: policy.clone(),
            generation: *generation,
            since: since.to_string(),
            files: *files,
            watch: watch.name().to_owned(),
            last_reload: last.as_ref().map(|last| ReloadReport {
                at: last.at.to_string(),
                result: last.result.name().to_owned(),
                problems: last.problems.clone(),
            }),
        }
    }
}

fn issuer(keys: KeyStatus, now: Timestamp) -> IssuerStatus {
    IssuerStatus {
        source: keys.source.to_string(),
        issuer: keys.issuer.to_string(),
        keys: keys.keys,
        age_seconds: keys.fetched_at.map(|fetched| seconds_since(fetched, now)),
        failures: keys.failures,
        last_error: keys.last_error,
        remembered_tokens: keys.tokens.map(|tokens| tokens.tokens),
    }
}

fn provider(asked: IntrospectionStatus) -> ProviderStatus {
    ProviderStatus {
        source: asked.source.to_string(),
        calls: asked.active + asked.refused + asked.failed,
        failed_calls: asked.failed,
        calls_under_way: asked.in_flight,
        left_alone: asked.breaker_open,
    }
}

fn shared_limits(store: SharedStatus) -> SharedLimitsStatus {
    let SharedStatus { address, tried: _, up, last_error, connections, spared } = store;
    SharedLimitsStatus { address, up, last_error, connections, spared }
}

/// To the millisecond: more would only look exact.
fn seconds_since(earlier: Timestamp, now: Timestamp) -> f64 {
    (now.duration_since(earlier).as_millis().max(0) as f64) / 1000.0
}
