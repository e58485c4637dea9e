//! Asking one provider: what is remembered, which calls are under way, and whether another may start. Requests never
//! call; they order, and wait a little.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::sync::watch;
use url::Url;

use crate::authn::introspection::Heard;
use crate::authn::introspection::Outcome;
use crate::authn::introspection::Refused;
use crate::authn::introspection::answer::Demands;
use crate::authn::introspection::breaker::Breaker;
use crate::authn::introspection::client::IntrospectionClient;
use crate::authn::introspection::memory::Key;
use crate::authn::introspection::memory::Lifetimes;
use crate::authn::introspection::memory::Memory;
use crate::authn::jwks::EndpointError;
use crate::authn::jwks::fetchable;
use crate::authn::jwt::ClaimMapping;
use crate::model::introspection_status::IntrospectionStatus;
use crate::model::secret::Secret;
use crate::outbound::Limits;
use crate::outbound::Reach;

/// The most calls to one provider at a time. What cannot be asked is refused, not queued.
const MAX_CALLS: usize = 64;
/// The largest answer, in octets.
const MAX_ANSWER: usize = 256 * 1024;

/// What an introspector is built from.
#[derive(Debug)]
pub struct IntrospectorSettings {
    /// The source's name in the configuration.
    pub source: Arc<str>,
    /// Where to ask.
    pub url: String,
    /// How to ask.
    pub way: Way,
    /// What `iss` must be where the provider states it; also the issuer of its identities.
    pub issuer: Option<String>,
    /// One of these must be in `aud`; empty: any token of the provider will do.
    pub audience: Vec<String>,
    /// Where the provider writes what.
    pub mapping: ClaimMapping,
    /// Answers must say that the token is an access token. Asked for userinfo, a provider takes no others.
    pub typed: bool,
    /// How far the clocks may differ, in seconds.
    pub leeway: i64,
    /// How long answers are used; `None`: by those alone who wait for the very call.
    pub lifetimes: Option<Lifetimes>,
    /// The longest a call may take.
    pub timeout: Duration,
    /// Allow `http:`.
    pub insecure_http: bool,
}

/// How a provider is asked about a token.
#[derive(Debug)]
pub enum Way {
    /// By introspection, as this client.
    Introspection(IntrospectionClient),
    /// By asking for its user's data with the token itself.
    Userinfo,
}

/// Asks one provider about its tokens; shared by the source and the background task that calls.
pub struct Introspector {
    pub(super) url: Url,
    pub(super) way: Way,
    pub(super) limits: Limits,
    pub(super) demands: Demands,
    memory: Option<Memory>,
    under_way: Mutex<UnderWay>,
    orders: mpsc::Sender<Order>,
    /// The other end of `orders`, while nobody works on them.
    waiting: Mutex<Option<mpsc::Receiver<Order>>>,
    counts: Counts,
}

#[derive(Default)]
struct UnderWay {
    breaker: Breaker,
    /// One call a token, however many wait for it.
    flights: HashMap<Key, watch::Receiver<Option<Outcome>>>,
}

#[derive(Default)]
struct Counts {
    active: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    held_back: AtomicU64,
    recalled: AtomicU64,
}

/// A call to be made.
pub(super) struct Order {
    pub(super) token: Secret<String>,
    pub(super) flight: Flight,
}

/// The end of a call that others wait for.
pub(super) struct Flight {
    key: Key,
    landing: watch::Sender<Option<Outcome>>,
}

/// How a call ended.
pub(super) enum Landing {
    /// The provider spoke of the token.
    Heard(Outcome),
    /// It did not, for a reason that lies with the token or with us.
    Unheard(Refused),
    /// It did not, and the next call would hear no more.
    Failed(Refused),
}

impl Introspector {
    /// Build it, or say what is wrong with the URL.
    pub fn build(settings: IntrospectorSettings) -> Result<Introspector, EndpointError> {
        // The operator wrote this very host, so it may be in a private network (K2).
        let limits = Limits {
            total: settings.timeout,
            size: MAX_ANSWER,
            reach: Reach::Any,
            insecure_http: settings.insecure_http,
        };
        let url = fetchable(&settings.url, settings.insecure_http)?;
        let vouches = settings.issuer.as_deref().map_or_else(|| settings.source.clone(), Arc::from);
        let (orders, waiting) = mpsc::channel(MAX_CALLS);
        Ok(Introspector {
            url,
            way: settings.way,
            limits,
            demands: Demands {
                source: settings.source,
                vouches,
                issuer: settings.issuer,
                audience: settings.audience,
                leeway: settings.leeway,
                typed: settings.typed,
                mapping: settings.mapping,
            },
            memory: settings.lifetimes.map(Memory::new),
            under_way: Mutex::default(),
            orders,
            waiting: Mutex::new(Some(waiting)),
            counts: Counts::default(),
        })
    }

    /// The name of the source it is for.
    pub fn source(&self) -> &Arc<str> {
        &self.demands.source
    }

    /// Who vouches for its identities: the configured issuer, or the source.
    pub fn issuer(&self) -> &Arc<str> {
        &self.demands.vouches
    }

    /// What was said of this token a moment ago.
    pub(super) fn recall(&self, token: &str, now: Timestamp) -> Option<Outcome> {
        let outcome = self.memory.as_ref()?.recall(&self.key(token), now)?;
        count(&self.counts.recalled);
        Some(outcome)
    }

    /// Order a call about this token, or join the one under way, and wait for its end. How long to wait is the caller's
    /// business; dropping the future does not stop the call.
    pub fn ask(&self, token: &Secret<String>, now: Timestamp) -> impl Future<Output = Heard> + Send + use<> {
        let of = self.key(token.expose());
        let flight = self.board(of, token, now);
        async move {
            let gone = || Refused::unavailable("the call to the provider was given up");
            let outcome = match flight {
                Ok(mut flight) => match flight.wait_for(Option::is_some).await {
                    Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(gone())),
                    Err(_) => Err(gone()),
                },
                Err(known) => known,
            };
            Heard { of, outcome }
        }
    }

    /// How asking stands.
    pub fn status(&self) -> IntrospectionStatus {
        let under_way = self.under_way();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        IntrospectionStatus {
            source: self.source().clone(),
            active: read(&self.counts.active),
            refused: read(&self.counts.refused),
            failed: read(&self.counts.failed),
            held_back: read(&self.counts.held_back),
            recalled: read(&self.counts.recalled),
            in_flight: under_way.flights.len(),
            breaker_open: !under_way.breaker.is_closed(),
        }
    }

    /// The orders, for the one task that works on them; `None` while another does.
    pub(super) fn take_orders(&self) -> Option<mpsc::Receiver<Order>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn return_orders(&self, orders: mpsc::Receiver<Order>) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(orders);
    }

    /// Enter the end of a call. What is remembered is so before the call counts as ended, so that nobody calls again
    /// in between.
    pub(super) fn land(&self, flight: &Flight, landing: Landing, now: Timestamp, random: u32) {
        let outcome = match landing {
            Landing::Heard(ref outcome) => {
                count(if outcome.is_ok() { &self.counts.active } else { &self.counts.refused });
                if let Some(memory) = &self.memory {
                    memory.keep(flight.key, outcome, now);
                }
                outcome.clone()
            }
            Landing::Unheard(ref refused) | Landing::Failed(ref refused) => {
                count(&self.counts.failed);
                Err(refused.clone())
            }
        };
        let mut under_way = self.under_way();
        match landing {
            Landing::Heard(_) | Landing::Unheard(_) => under_way.breaker.succeeded(),
            Landing::Failed(_) => under_way.breaker.failed(now, random),
        }
        under_way.flights.remove(&flight.key);
        drop(under_way);
        flight.landing.send_replace(Some(outcome));
    }

    /// The call about this token, or what is known without one.
    fn board(
        &self,
        key: Key,
        token: &Secret<String>,
        now: Timestamp,
    ) -> Result<watch::Receiver<Option<Outcome>>, Outcome> {
        let mut under_way = self.under_way();
        if let Some(flight) = under_way.flights.get(&key) {
            return Ok(flight.clone());
        }
        // A call may have ended since this request looked.
        if let Some(outcome) = self.memory.as_ref().and_then(|memory| memory.recall(&key, now)) {
            return Err(outcome);
        }
        let hold_back = |why| {
            count(&self.counts.held_back);
            Err(Err(Refused::unavailable(why)))
        };
        if under_way.flights.len() >= MAX_CALLS {
            return hold_back("too many calls to the provider are under way");
        }
        if !under_way.breaker.admit(now) {
            return hold_back("the provider failed several times in a row and is left alone for a while");
        }
        let (landing, flight) = watch::channel(None);
        let order = Order { token: token.clone(), flight: Flight { key, landing } };
        if self.orders.try_send(order).is_err() {
            under_way.breaker.failed(now, u32::MAX / 2);
            return hold_back("calls to the provider are not made any more");
        }
        under_way.flights.insert(key, flight.clone());
        Ok(flight)
    }

    /// What this token goes by here.
    pub(super) fn key(&self, token: &str) -> Key {
        Key::of(self.source(), token)
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Introspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspector").field("source", self.source()).finish_non_exhaustive()
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
