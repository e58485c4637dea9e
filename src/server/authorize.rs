//! What the listeners ask of the engine. A trait, so that a test can put a slow, a denying or a panicking one there.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::Checked;
use crate::engine::Engine;
use crate::model::admin::AdminRules;
use crate::model::caller::Callers;
use crate::model::introspection_status::IntrospectionStatus;
use crate::model::key_status::KeyStatus;
use crate::model::key_use::KeyUse;
use crate::model::limit::SharedStatus;
use crate::model::limit::StoreStatus;
use crate::model::request::Attributes;
use crate::model::request::Refusal;
use crate::model::response::Response;
use crate::model::status::AuditStatus;
use crate::snapshot::tls::Tls;
use crate::telemetry::clock;

/// Answers checks, and says who may ask for them.
pub trait Authorize: Send + Sync + 'static {
    /// Answer one check, at once where that can be done. `deadline` is what is left of the caller's patience, when it
    /// said so.
    fn check<'w>(
        &self,
        attributes: Result<Attributes<'w>, Refusal>,
        deadline: Option<Duration>,
    ) -> Checked<impl Future<Output = Response> + Send>;

    /// Answer a check that cannot be judged at all: always a denial.
    fn refuse(&self, refusal: &Refusal) -> Response;

    /// Who may ask. Read for every connection, so that a reload takes effect at once.
    fn callers(&self) -> Arc<Callers>;

    /// How connections that begin now are encrypted.
    fn tls(&self) -> Tls;

    /// What keeps us from being ready, in words for an operator; empty when nothing does.
    fn obstacles(&self) -> Vec<String>;

    /// How the keys of every issuer stand.
    fn key_statuses(&self) -> Vec<KeyStatus>;

    /// The keys that signed assertions are verified with, as a JWK set.
    fn assertion_keys(&self) -> Option<String>;

    /// How asking each provider about its tokens stands.
    fn introspection_statuses(&self) -> Vec<IntrospectionStatus>;

    /// When the API keys were last used.
    fn key_uses(&self) -> Vec<KeyUse> {
        Vec::new()
    }

    /// Who may do what on the admin listener.
    fn admin_rules(&self) -> Arc<AdminRules> {
        Arc::default()
    }

    /// The `insecure_` switches that are on.
    fn insecure(&self) -> Vec<String> {
        Vec::new()
    }

    /// How the audit log stands, if there is one.
    fn audit_status(&self) -> Option<AuditStatus> {
        None
    }

    /// How the store of budgets stands.
    fn limit_status(&self) -> StoreStatus {
        StoreStatus::default()
    }

    /// How the store stands that all instances take budgets from, if there is one.
    fn shared_limits_status(&self) -> Option<SharedStatus> {
        None
    }
}

impl Authorize for Engine {
    fn check<'w>(
        &self,
        attributes: Result<Attributes<'w>, Refusal>,
        deadline: Option<Duration>,
    ) -> Checked<impl Future<Output = Response> + Send> {
        Engine::check(self, attributes, deadline)
    }

    fn refuse(&self, refusal: &Refusal) -> Response {
        Engine::refuse(self, refusal)
    }

    fn callers(&self) -> Arc<Callers> {
        Arc::clone(&self.snapshot().callers)
    }

    fn tls(&self) -> Tls {
        self.snapshot().tls.clone()
    }

    fn obstacles(&self) -> Vec<String> {
        self.snapshot().obstacles(clock::now())
    }

    fn key_statuses(&self) -> Vec<KeyStatus> {
        self.snapshot().key_statuses()
    }

    fn assertion_keys(&self) -> Option<String> {
        self.snapshot().assertions.as_ref().map(|assertions| assertions.jwks().to_owned())
    }

    fn introspection_statuses(&self) -> Vec<IntrospectionStatus> {
        self.snapshot().introspection_statuses()
    }

    fn key_uses(&self) -> Vec<KeyUse> {
        self.snapshot().key_uses()
    }

    fn admin_rules(&self) -> Arc<AdminRules> {
        Arc::clone(&self.snapshot().admin)
    }

    fn insecure(&self) -> Vec<String> {
        self.snapshot().insecure.clone()
    }

    fn audit_status(&self) -> Option<AuditStatus> {
        Engine::audit_status(self)
    }

    fn limit_status(&self) -> StoreStatus {
        self.snapshot().limits.as_ref().map(|limits| limits.stores.local.status()).unwrap_or_default()
    }

    fn shared_limits_status(&self) -> Option<SharedStatus> {
        self.snapshot().shared_limits_status()
    }
}
