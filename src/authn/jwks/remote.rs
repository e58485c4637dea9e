//! Keys that are fetched: where from, within what bounds, and how requests and the background task meet.

use std::future::Future;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::sync::watch;
use url::Url;

use crate::authn::jwks::cache::Ask;
use crate::authn::jwks::cache::Cache;
use crate::authn::jwks::cache::Held;
use crate::authn::jwks::cache::Step;
use crate::authn::jwks::cache::Times;
use crate::authn::jwks::discovery;
use crate::authn::jwks::set::KeySet;
use crate::authn::jwt::Algorithm;
use crate::model::key_status::KeyStatus;
use crate::outbound::Limits;
use crate::outbound::Reach;

/// What remote keys are built from.
#[derive(Clone, Debug)]
pub struct RemoteSettings {
    /// The source's name in the configuration, for status and logs.
    pub source: Arc<str>,
    /// The issuer, exactly as tokens write it.
    pub issuer: String,
    /// The key set's own address; without one it is discovered from the issuer.
    pub jwks_url: Option<String>,
    /// Hosts besides the issuer's that its discovery document may name for the keys (lower-case).
    pub allowed_hosts: Vec<String>,
    /// Whether a private address may be fetched from.
    pub reach: Reach,
    /// Allow `http:`.
    pub insecure_http: bool,
    /// The algorithms of the source: a set without a key for one of them is of no use.
    pub algorithms: Vec<Algorithm>,
    /// The intervals of the life-cycle.
    pub times: Times,
}

impl RemoteSettings {
    /// Keys that are discovered from a public https issuer.
    pub fn new(source: &str, issuer: &str) -> RemoteSettings {
        RemoteSettings {
            source: source.into(),
            issuer: issuer.to_owned(),
            jwks_url: None,
            allowed_hosts: vec![],
            reach: Reach::Public,
            insecure_http: false,
            algorithms: vec![],
            times: Times::default(),
        }
    }
}

/// Why remote keys cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    #[error("`{0}` is not a URL")]
    NotAUrl(String),
    #[error("`{0}` is not https")]
    NotHttps(String),
    #[error("a URL with a user name or password is not fetched")]
    Credentials,
}

/// Where keys are found.
#[derive(Clone, Debug)]
pub(super) enum Endpoint {
    /// The address of a discovery document.
    Discover(Url),
    /// The address of the key set.
    JwksUrl(Url),
}

/// How a wait for a fetch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchOutcome {
    /// A new set is in force; it may still lack the key.
    Fresh,
    /// The fetch failed.
    Failed,
    /// No fetch is allowed so soon after the last one.
    Cooldown,
}

/// One end of one fetch.
#[derive(Clone, Copy, Debug, Default)]
struct Finish {
    good: bool,
}

pub(super) struct Remote {
    endpoint: Endpoint,
    limits: Limits,
    allowed_hosts: Vec<String>,
    cache: Mutex<Cache>,
    /// What `cache` holds, for requests: they never meet the lock.
    held: ArcSwapOption<Held>,
    order: Notify,
    finishes: watch::Sender<Finish>,
}

impl Remote {
    pub(super) fn build(settings: RemoteSettings) -> Result<Remote, EndpointError> {
        let limits = Limits { reach: settings.reach, insecure_http: settings.insecure_http, ..Limits::default() };
        let endpoint = match &settings.jwks_url {
            Some(url) => Endpoint::JwksUrl(fetchable(url, &limits)?),
            None => Endpoint::Discover(fetchable(&discovery::location(&settings.issuer), &limits)?),
        };
        Ok(Remote {
            endpoint,
            limits,
            allowed_hosts: settings.allowed_hosts,
            cache: Mutex::new(Cache::new(settings.times, settings.algorithms)),
            held: ArcSwapOption::empty(),
            order: Notify::new(),
            finishes: watch::Sender::new(Finish::default()),
        })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn allowed_hosts(&self) -> &[String] {
        &self.allowed_hosts
    }

    /// Order a fetch, or join the running one, and wait for its end. Dropping the future cancels nothing.
    pub(super) fn fetch_now(
        &self,
        kid: Option<&str>,
        now: Timestamp,
    ) -> impl Future<Output = FetchOutcome> + Send + use<> {
        // Subscribed under the lock, so that the end of the fetch joined here cannot be missed.
        let (ask, mut finishes) = {
            let mut cache = self.cache();
            (cache.ask(kid, now), self.finishes.subscribe())
        };
        if ask == Ask::Ordered {
            self.order.notify_one();
        }
        async move {
            match ask {
                Ask::Cooldown => FetchOutcome::Cooldown,
                Ask::Ordered | Ask::Join => match finishes.changed().await {
                    Ok(()) if finishes.borrow().good => FetchOutcome::Fresh,
                    Ok(()) | Err(_) => FetchOutcome::Failed,
                },
            }
        }
    }

    /// Resolves when a request has ordered a fetch.
    pub(super) async fn ordered(&self) {
        self.order.notified().await;
    }

    pub(super) fn step(&self, now: Timestamp) -> Step {
        self.cache().step(now)
    }

    pub(super) fn abandoned(&self) {
        self.cache().abandoned();
    }

    /// Enter the end of a fetch. A new set is in force before those who wait for it are woken.
    pub(super) fn finished(&self, outcome: Result<KeySet, String>, now: Timestamp, random: u32) {
        let mut cache = self.cache();
        let good = cache.finished(outcome, now, random);
        self.held.store(cache.held());
        self.finishes.send_replace(Finish { good });
    }

    /// The set in force, unless it is too old.
    pub(super) fn current(&self, now: Timestamp) -> Option<Arc<KeySet>> {
        self.held.load().as_ref().and_then(|held| held.serve(now)).cloned()
    }

    pub(super) fn status(&self, source: Arc<str>, issuer: Arc<str>) -> KeyStatus {
        let cache = self.cache();
        let held = cache.held();
        let (failures, last_error) = cache.failures();
        let counts = cache.counts();
        KeyStatus {
            source,
            issuer,
            keys: held.as_ref().map_or(0, |held| held.set.keys().len()),
            left_out: held.as_ref().map_or(0, |held| held.set.left_out().len()),
            fetched_at: held.map(|held| held.fetched),
            next_fetch: cache.next_fetch(),
            good_fetches: counts.good,
            failed_fetches: counts.failed,
            changes: counts.changes,
            failures,
            last_error: last_error.map(str::to_owned),
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fetchable(text: &str, limits: &Limits) -> Result<Url, EndpointError> {
    let url = Url::parse(text).map_err(|_| EndpointError::NotAUrl(text.to_owned()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(EndpointError::Credentials);
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if limits.insecure_http => Ok(url),
        _ => Err(EndpointError::NotHttps(text.to_owned())),
    }
}
