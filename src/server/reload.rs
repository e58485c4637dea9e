//! A new policy for a running server: loaded and built beside the old one, and put in its place only when it is whole.
//!
//! What cannot be exchanged stays: the listeners keep their addresses. A bad policy changes nothing; it is said and
//! counted, and the old one goes on. `desk` is where reloads are asked for.

mod desk;
mod origin;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::sync::DropGuard;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::engine::Engine;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::model::problem::Severity;
use crate::model::reload::LastReload;
use crate::model::reload::ReloadResult;
use crate::model::reload::ReloadStatus;
use crate::server::aside::aside;
use crate::snapshot::Snapshot;

pub use crate::server::reload::desk::Busy;
pub use crate::server::reload::desk::ReloadDesk;
pub use crate::server::reload::desk::Reloads;
pub use crate::server::reload::origin::Look;
pub use crate::server::reload::origin::Origin;

/// How long a new policy waits for keys that the old one has. Then it comes without them: a revocation must not wait for
/// an issuer that is down.
const KEYS_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at them.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Files are at rest when two looks so far apart see the same.
const REST: Duration = Duration::from_millis(100);
/// So many looks are taken before files are said to be never at rest: five seconds.
const MOST_LOOKS: usize = 50;
/// So often files are read that change while they are read.
const MOST_READS: usize = 10;
/// Requests under way may hold a policy that was replaced for so long; then whoever is last may clear it away.
const RETIRED_WITHIN: Duration = Duration::from_secs(30);
/// The most problems of a bad policy that are kept for status pages.
const MOST_PROBLEMS: usize = 20;

/// Why the policy is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody asked for it. Issuers and providers are asked anew, too, even if no file has changed.
    Asked,
    /// A file may have changed. What was tried before is not tried again.
    Noticed,
}

/// Exchanges the policy of an engine.
pub struct Reload<O, N> {
    engine: Arc<Engine>,
    origin: Arc<Mutex<O>>,
    now: N,
    /// Ends the fetching of keys and the asking of providers for the policy in force.
    keys: DropGuard,
    last: Option<LastReload>,
    since: Timestamp,
}

impl<O, N> Reload<O, N>
where
    O: Origin,
    N: Fn() -> Timestamp + Clone + Send + Sync + 'static,
{
    /// Keep the keys of the policy in force fresh, and be ready to exchange it for what `origin` brings. The fetching
    /// ends with the returned value.
    pub fn start(engine: Arc<Engine>, origin: O, now: N) -> anyhow::Result<Reload<O, N>> {
        let keys = CancellationToken::new();
        let guard = keys.clone().drop_guard();
        let snapshot = engine.snapshot();
        snapshot.keep_keys_fresh(now.clone(), &keys)?;
        snapshot.ask_providers(now.clone(), &keys)?;
        snapshot.share_budgets();
        engine.telemetry().metrics().in_force(snapshot.generation, &snapshot.digest);
        let since = now();
        Ok(Reload { engine, origin: Arc::new(Mutex::new(origin)), now, keys: guard, last: None, since })
    }

    /// Load a policy and put it in force if it is good and new. What is wrong has been logged otherwise. `None`: nothing
    /// has changed, and nobody asked.
    pub async fn reload(&mut self, cause: Cause) -> Option<ReloadResult> {
        let result = match self.attempt(cause).await {
            Ok(result) => result?,
            Err(problems) => {
                for problem in &problems.0 {
                    let place = problem.place.as_ref().map(tracing::field::display);
                    let (key, help) = (&*problem.key, problem.help.as_deref());
                    match problem.severity {
                        Severity::Error => error!(place, key, help, "{}", problem.message),
                        Severity::Warning => warn!(place, key, help, "{}", problem.message),
                    }
                }
                let errors = problems.0.iter().filter(|problem| problem.severity == Severity::Error);
                self.ended(ReloadResult::Refused, errors.take(MOST_PROBLEMS).map(told).collect());
                let policy = &*self.engine.snapshot().digest;
                error!(policy, "the new policy is bad; the old one stays in force");
                return Some(ReloadResult::Refused);
            }
        };
        self.ended(result, Vec::new());
        let snapshot = self.engine.snapshot();
        let (policy, generation) = (&*snapshot.digest, snapshot.generation);
        match result {
            ReloadResult::Accepted => info!(policy, generation, "a new policy is in force"),
            ReloadResult::Unchanged => info!(policy, generation, "the policy is unchanged"),
            ReloadResult::Refused => {}
        }
        Some(result)
    }

    /// How the policy in force stands.
    pub fn status(&self) -> ReloadStatus {
        let snapshot = self.engine.snapshot();
        ReloadStatus {
            generation: snapshot.generation,
            policy: snapshot.digest.to_string(),
            since: self.since,
            last: self.last.clone(),
            files: self.with_origin(|origin| origin.files()),
            ..ReloadStatus::default()
        }
    }

    /// What to watch: files and folders, whether they are there or not.
    pub fn paths(&self) -> Vec<std::path::PathBuf> {
        self.with_origin(|origin| origin.paths())
    }

    fn with_origin<T>(&self, ask: impl FnOnce(&mut O) -> T) -> T {
        ask(&mut self.origin.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Let the origin do what may wait for the disk, or for a large policy to be built, where that hinders nobody.
    async fn off<T: Send + 'static>(&self, work: impl FnOnce(&mut O) -> T + Send + 'static) -> Result<T, Problems> {
        let origin = Arc::clone(&self.origin);
        let done = aside(move || work(&mut origin.lock().unwrap_or_else(PoisonError::into_inner)));
        done.await
            .map_err(|_| problem("the reload was given up: reading the policy failed, or no thread could be started"))
    }

    async fn attempt(&mut self, cause: Cause) -> Result<Option<ReloadResult>, Problems> {
        for _ in 0..MOST_READS {
            let look = self.rest().await?;
            let renews = cause == Cause::Asked && self.engine.snapshot().asks_others();
            if look == Look::InForce && !renews {
                // A mistake that was taken back is news, too.
                let mended = self.last.as_ref().is_some_and(|last| last.result == ReloadResult::Refused);
                let is_news = cause == Cause::Asked || mended;
                self.off(Origin::forget).await?;
                return Ok(is_news.then_some(ReloadResult::Unchanged));
            }
            if look == Look::Tried && cause == Cause::Noticed {
                return Ok(None);
            }
            let loaded = self.off(move |origin| origin.load(cause)).await?;
            let in_time = self.off(Origin::read_what_was_seen).await?;
            if !in_time || (self.off(Origin::read_more).await? && !self.rests_still().await?) {
                continue;
            }
            let (snapshot, unchanged) = (loaded?, look == Look::InForce);
            return self.exchange(snapshot, unchanged).await.map(Some);
        }
        Err(problem("the files of the policy never come to rest, so none of them is read"))
    }

    /// Wait until the files are at rest, and say what they are then.
    async fn rest(&self) -> Result<Look, Problems> {
        let mut look = self.off(Origin::look).await?;
        for _ in 0..MOST_LOOKS {
            if look == Look::Unknown {
                return Ok(look);
            }
            tokio::time::sleep(REST).await;
            let (again, still) = self.off(|origin| (origin.look(), origin.saw_the_same())).await?;
            look = again;
            if still {
                return Ok(look);
            }
        }
        Err(problem("the files of the policy never come to rest, so none of them is read"))
    }

    /// Files that were looked at for the first time by the load: are they still what was read?
    async fn rests_still(&self) -> Result<bool, Problems> {
        tokio::time::sleep(REST).await;
        self.off(|origin| {
            origin.look();
            origin.read_what_was_seen()
        })
        .await
    }

    async fn exchange(&mut self, mut new: Snapshot, unchanged: bool) -> Result<ReloadResult, Problems> {
        let old = self.engine.snapshot();
        new.generation = if unchanged { old.generation } else { old.generation.saturating_add(1) };
        if !new.take_budgets_of(&old) {
            warn!("the memory for limits has another size: every budget begins anew");
        }
        let new = Arc::new(new);
        let keys = CancellationToken::new();
        // Whatever happens from here, nothing goes on for a policy that is not in force.
        let guard = keys.clone().drop_guard();
        new.take_keys_of(&old);
        new.take_tokens_of(&old);
        let started = new.keep_keys_fresh(self.now.clone(), &keys).map_err(|error| error.to_string());
        let started =
            started.and_then(|()| new.ask_providers(self.now.clone(), &keys).map_err(|error| error.to_string()));
        started.map_err(|error| problem(&format!("the issuers of the new policy cannot be asked: {error}")))?;
        new.share_budgets();
        if tokio::time::timeout(KEYS_WITHIN, self.keys_of(&old, &new)).await.is_err() {
            warn!(seconds = KEYS_WITHIN.as_secs(), "the new policy comes before all its keys could be fetched");
        }
        if new.listen != old.listen {
            warn!("the listeners keep their addresses until a restart");
        }
        for listener in new.tls.plainer_than(&old.tls) {
            warn!(listener, "this listener speaks no TLS any more");
        }
        new.remember(&old.key_uses());
        let metrics = self.engine.telemetry().metrics();
        metrics.insecure_switches(new.insecure.iter().map(String::as_str));
        self.engine.exchange(new);
        self.keys = guard;
        self.off(Origin::keep).await?;
        if !unchanged {
            self.since = (self.now)();
        }
        retire(old);
        Ok(if unchanged { ReloadResult::Unchanged } else { ReloadResult::Accepted })
    }

    fn ended(&mut self, result: ReloadResult, problems: Vec<String>) {
        let snapshot = self.engine.snapshot();
        self.engine.telemetry().metrics().reloaded(result, snapshot.generation, &snapshot.digest);
        self.last = Some(LastReload { at: (self.now)(), result, problems });
    }

    /// Until the new policy lacks no keys but those that the old one lacks, too, and has tried to fetch the others: a
    /// reload is how an operator has withdrawn keys forgotten at once.
    async fn keys_of(&self, old: &Snapshot, new: &Snapshot) {
        let held = |snapshot: &Snapshot, source: &str, now| {
            snapshot.keys.iter().any(|keys| **keys.source() == *source && keys.current(now).is_some())
        };
        loop {
            let now = (self.now)();
            let lacking = new.keys.iter().filter(|keys| keys.current(now).is_none() || keys.is_untried());
            // The store of limits is tried before the policy is in force, so that readiness does not flicker.
            let tried = new.shared_limits_status().is_none_or(|store| store.tried);
            if tried && !lacking.map(|keys| keys.source()).any(|source| held(old, source, now)) {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// A large policy takes milliseconds to clear away: not on a thread that answers checks, as long as that can be helped.
fn retire(old: Arc<Snapshot>) {
    tokio::spawn(async move {
        let unused = async {
            while Arc::strong_count(&old) > 1 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let _ = tokio::time::timeout(RETIRED_WITHIN, unused).await;
        let _ = aside(move || drop(old)).await;
    });
}

fn problem(message: &str) -> Problems {
    Problems(vec![Problem::error(None, "", message)])
}

/// A problem in one line.
fn told(problem: &Problem) -> String {
    let place = problem.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
    let key = if problem.key.is_empty() { String::new() } else { format!("{}: ", problem.key) };
    let help = problem.help.as_deref().map(|help| format!("; {help}")).unwrap_or_default();
    format!("{place}{key}{}{help}", problem.message)
}
