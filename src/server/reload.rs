//! A new policy for a running server: loaded and built beside the old one, and put in its place only when it is whole.
//!
//! What cannot be exchanged stays: the listeners keep their addresses. A bad policy changes nothing; it is said and
//! counted, and the old one goes on.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::sync::DropGuard;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::engine::Engine;
use crate::model::problem::Problems;
use crate::snapshot::Snapshot;

/// How long a new policy waits for keys that the old one has. Then it comes without them: a revocation must not wait for
/// an issuer that is down.
const KEYS_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at them.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Exchanges the policy of an engine.
pub struct Reload<L, N> {
    engine: Arc<Engine>,
    load: L,
    now: N,
    /// Ends the fetching of keys and the asking of providers for the policy in force.
    keys: DropGuard,
}

impl<L, N> Reload<L, N>
where
    L: FnMut() -> Result<Snapshot, Problems>,
    N: Fn() -> Timestamp + Clone + Send + Sync + 'static,
{
    /// Keep the keys of the policy in force fresh, and be ready to exchange it for what `load` brings. The fetching
    /// ends with the returned value.
    pub fn start(engine: Arc<Engine>, load: L, now: N) -> anyhow::Result<Reload<L, N>> {
        let keys = CancellationToken::new();
        let guard = keys.clone().drop_guard();
        engine.snapshot().keep_keys_fresh(now.clone(), &keys)?;
        engine.snapshot().ask_providers(now.clone(), &keys)?;
        engine.telemetry().metrics().in_force();
        Ok(Reload { engine, load, now, keys: guard })
    }

    /// Load a policy and put it in force. Says whether there is a new one; what is wrong has been logged otherwise.
    pub async fn reload(&mut self) -> bool {
        let accepted = match (self.load)() {
            Ok(snapshot) => self.exchange(Arc::new(snapshot)).await,
            Err(problems) => {
                for problem in &problems.0 {
                    let place = problem.place.as_ref().map(tracing::field::display);
                    let (key, help) = (&*problem.key, problem.help.as_deref());
                    error!(place, key, help, "{}", problem.message);
                }
                false
            }
        };
        self.engine.telemetry().metrics().reloaded(accepted);
        let policy = &*self.engine.snapshot().digest;
        match accepted {
            true => info!(policy, "a new policy is in force"),
            false => error!(policy, "the new policy is bad; the old one stays in force"),
        }
        accepted
    }

    async fn exchange(&mut self, new: Arc<Snapshot>) -> bool {
        let old = self.engine.snapshot();
        let keys = CancellationToken::new();
        // Whatever happens from here, nothing goes on for a policy that is not in force.
        let guard = keys.clone().drop_guard();
        new.take_keys_of(&old);
        let started = new.keep_keys_fresh(self.now.clone(), &keys).map_err(|error| error.to_string());
        let started =
            started.and_then(|()| new.ask_providers(self.now.clone(), &keys).map_err(|error| error.to_string()));
        if let Err(error) = started {
            error!(error, "the issuers of the new policy cannot be asked");
            return false;
        }
        if tokio::time::timeout(KEYS_WITHIN, self.keys_of(&old, &new)).await.is_err() {
            warn!(seconds = KEYS_WITHIN.as_secs(), "the new policy comes before all its keys could be fetched");
        }
        if new.listen != old.listen {
            warn!("the listeners keep their addresses until a restart");
        }
        new.remember(&old.key_uses());
        let metrics = self.engine.telemetry().metrics();
        metrics.insecure_switches(new.insecure.iter().map(String::as_str));
        self.engine.exchange(new);
        self.keys = guard;
        true
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
            if !lacking.map(|keys| keys.source()).any(|source| held(old, source, now)) {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
