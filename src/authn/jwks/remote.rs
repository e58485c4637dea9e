//! Keys that are fetched: where from, within what bounds, and how requests and the background task meet.

use std::future::Future;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwapOption;
use jiff::SignedDuration;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::sync::watch;
use url::Host;
use url::Url;

use crate::authn::jwks::bearer::Bearer;
use crate::authn::jwks::cache::Ask;
use crate::authn::jwks::cache::Cache;
use crate::authn::jwks::cache::Held;
use crate::authn::jwks::cache::Step;
use crate::authn::jwks::cache::Times;
use crate::authn::jwks::discovery;
use crate::authn::jwks::set::KeySet;
use crate::authn::jwt::Algorithm;
use crate::model::key_status::KeyStatus;
use crate::outbound::Client;
use crate::outbound::Limits;
use crate::outbound::Reach;
use crate::outbound::is_public;
use crate::storage::Storage;

/// What remote keys are built from.
#[derive(Clone, Debug)]
pub struct RemoteSettings {
    /// The source's name in the configuration, for status and logs.
    pub source: Arc<str>,
    /// The issuer, exactly as tokens write it.
    pub issuer: String,
    /// The key set's own address; without one it is discovered from the issuer.
    pub jwks_url: Option<String>,
    /// Hosts the operator vouches for (lower-case): keys may come from there although the issuer is elsewhere, and
    /// although their addresses are private (K2).
    pub key_hosts: Vec<String>,
    /// Hosts on which this provider is known to publish its keys; their addresses must be public.
    pub known_hosts: Vec<String>,
    /// Allow `http:`.
    pub insecure_http: bool,
    /// The algorithms of the source: a set without a key for one of them is of no use.
    pub algorithms: Vec<Algorithm>,
    /// The intervals of the life-cycle.
    pub times: Times,
    /// The client to fetch with, where it is not everybody's: an issuer with a certificate authority of its own.
    pub client: Option<Client>,
    /// The token to fetch with. It is shown to the issuer's own host alone, and never over `http:`.
    pub bearer: Option<Bearer>,
}

impl RemoteSettings {
    /// Keys that are discovered from a public https issuer.
    pub fn new(source: &str, issuer: &str) -> RemoteSettings {
        RemoteSettings {
            source: source.into(),
            issuer: issuer.to_owned(),
            jwks_url: None,
            key_hosts: vec![],
            known_hosts: vec![],
            insecure_http: false,
            algorithms: vec![],
            times: Times::default(),
            client: None,
            bearer: None,
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
    #[error("`{0}` is in a private network")]
    Private(String),
    #[error("the token to fetch with is for `{0}` alone, over https, and the keys are elsewhere")]
    NotForBearer(String),
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
    client: Option<Client>,
    bearer: Option<Bearer>,
    /// Scheme, host and port that may see the bearer.
    own: Option<url::Origin>,
    insecure_http: bool,
    key_hosts: Vec<String>,
    known_hosts: Vec<String>,
    cache: Mutex<Cache>,
    /// What `cache` holds, for requests: they never meet the lock.
    held: ArcSwapOption<Held>,
    order: Notify,
    finishes: watch::Sender<Finish>,
    /// How often the keys could not be kept for the next start.
    not_kept: AtomicU64,
    storage: OnceLock<Arc<dyn Storage>>,
}

impl Remote {
    pub(super) fn build(settings: RemoteSettings) -> Result<Remote, EndpointError> {
        let endpoint = match &settings.jwks_url {
            Some(url) => Endpoint::JwksUrl(reachable(url, &settings)?),
            None => Endpoint::Discover(reachable(&discovery::location(&settings.issuer), &settings)?),
        };
        // An issuer that is no URL (it may be any text beside a `jwks_url`) has no host of its own.
        let own = Url::parse(&settings.issuer).ok().filter(|url| url.scheme() == "https").map(|url| url.origin());
        let (Endpoint::Discover(asked) | Endpoint::JwksUrl(asked)) = &endpoint;
        if settings.bearer.is_some() && own.as_ref() != Some(&asked.origin()) {
            return Err(EndpointError::NotForBearer(settings.issuer));
        }
        Ok(Remote {
            endpoint,
            client: settings.client,
            bearer: settings.bearer,
            own,
            insecure_http: settings.insecure_http,
            key_hosts: settings.key_hosts,
            known_hosts: settings.known_hosts,
            cache: Mutex::new(Cache::new(settings.times, settings.algorithms)),
            held: ArcSwapOption::empty(),
            order: Notify::new(),
            finishes: watch::Sender::new(Finish::default()),
            not_kept: AtomicU64::new(0),
            storage: OnceLock::new(),
        })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The address that was configured or follows from the issuer.
    pub(super) fn address(&self) -> &str {
        match &self.endpoint {
            Endpoint::Discover(url) | Endpoint::JwksUrl(url) => url.as_str(),
        }
    }

    /// The client to fetch with, if this issuer has one of its own.
    pub(super) fn client(&self) -> Option<&Client> {
        self.client.as_ref()
    }

    /// The token to fetch this with: nobody but the issuer itself sees it.
    pub(super) fn bearer(&self, url: &Url) -> Option<&Bearer> {
        self.bearer.as_ref().filter(|_| self.own.as_ref() == Some(&url.origin()))
    }

    pub(super) fn max_stale(&self) -> SignedDuration {
        self.cache().max_stale()
    }

    /// Where a copy of what is fetched is kept.
    pub(super) fn storage(&self) -> Option<&Arc<dyn Storage>> {
        self.storage.get()
    }

    /// Keep it there. Keys that are kept already stay where they are.
    pub(super) fn keep_in(&self, storage: &Arc<dyn Storage>) {
        let _where_it_is_kept = self.storage.get_or_init(|| Arc::clone(storage));
    }

    /// Keys of the same issuer that were fetched from the same address within the same bounds: use them until newer ones
    /// are fetched. A host that is not vouched for any more may have been the one they came from.
    pub(super) fn take_over(&self, other: &Remote) {
        let held = other.cache().held();
        let same = self.address() == other.address()
            && self.insecure_http == other.insecure_http
            && self.key_hosts == other.key_hosts
            && self.known_hosts == other.known_hosts;
        if let Some(held) = held.filter(|_| same) {
            self.restored(held.set.clone(), held.fetched);
        }
    }

    /// Put the keys of an earlier process or policy in force.
    pub(super) fn restored(&self, set: Arc<KeySet>, fetched: Timestamp) {
        let mut cache = self.cache();
        cache.restored(set, fetched);
        self.held.store(cache.held());
    }

    pub(super) fn not_kept(&self) {
        self.not_kept.fetch_add(1, Ordering::Relaxed);
    }

    /// The bounds of a fetch from there: private addresses only of hosts the operator vouches for.
    pub(super) fn limits(&self, url: &Url) -> Limits {
        let vouched = self.key_hosts.iter().any(|host| url.host_str() == Some(host));
        let reach = if vouched { Reach::Any } else { Reach::Public };
        Limits { reach, insecure_http: self.insecure_http, ..Limits::default() }
    }

    /// May the discovery document send us to this host for the keys?
    pub(super) fn may_lead_to(&self, host: &str) -> bool {
        self.key_hosts.iter().chain(&self.known_hosts).any(|known| known == host)
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

    /// Enter the end of a fetch. A new set is in force before those who wait for it are woken. Says whether it is.
    pub(super) fn finished(&self, outcome: Result<KeySet, String>, now: Timestamp, random: u32) -> bool {
        let mut cache = self.cache();
        let good = cache.finished(outcome, now, random);
        self.held.store(cache.held());
        self.finishes.send_replace(Finish { good });
        good
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
            is_fetched: true,
            keys: held.as_ref().map_or(0, |held| held.set.keys().len()),
            left_out: held.as_ref().map_or(0, |held| held.set.left_out().len()),
            fetched_at: held.map(|held| held.fetched),
            next_fetch: cache.next_fetch(),
            good_fetches: counts.good,
            failed_fetches: counts.failed,
            changes: counts.changes,
            not_kept: self.not_kept.load(Ordering::Relaxed),
            failures,
            last_error: last_error.map(str::to_owned),
            tokens: None,
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A URL that `outbound` would fetch.
pub(in crate::authn) fn fetchable(text: &str, insecure_http: bool) -> Result<Url, EndpointError> {
    let url = Url::parse(text).map_err(|_| EndpointError::NotAUrl(text.to_owned()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(EndpointError::Credentials);
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if insecure_http => Ok(url),
        _ => Err(EndpointError::NotHttps(text.to_owned())),
    }
}

/// The same where private addresses are reached only at hosts the operator vouches for.
fn reachable(text: &str, settings: &RemoteSettings) -> Result<Url, EndpointError> {
    let url = fetchable(text, settings.insecure_http)?;
    // What a name resolves to is judged when it is dialled; an address can be judged now.
    let address = match url.host() {
        Some(Host::Ipv4(address)) => Some(address.into()),
        Some(Host::Ipv6(address)) => Some(address.into()),
        Some(Host::Domain(_)) | None => None,
    };
    let host = url.host_str().unwrap_or_default();
    let private = host == "localhost" || address.is_some_and(|address| !is_public(address));
    if private && !settings.key_hosts.iter().any(|known| known == host) {
        return Err(EndpointError::Private(host.to_owned()));
    }
    Ok(url)
}
