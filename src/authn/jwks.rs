//! The keys of one issuer: a file's, a secret, or a set that is fetched and kept fresh.

mod bearer;
mod cache;
mod discovery;
mod kept;
mod key;
mod pem;
mod refresh;
mod remote;
mod set;
mod thrift;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use jiff::Timestamp;
use tracing::info;
use tracing::warn;

use crate::authn::jwks::kept::Kept;
use crate::model::key_status::KeyStatus;
use crate::storage::Storage;
use remote::Remote;

pub use bearer::Bearer;
pub use cache::Times;
pub use key::Key;
pub(in crate::authn) use key::MAX_KID;
pub use key::Unusable;
pub use pem::PemError;
pub use refresh::run;
pub use remote::EndpointError;
pub use remote::FetchOutcome;
pub use remote::RemoteSettings;
pub(in crate::authn) use remote::fetchable;
pub(in crate::authn) use set::Fit;
pub use set::KeySet;
pub use set::KeySetError;
pub use set::LeftOut;
pub use set::MAX_SIZE;

/// The keys of one issuer, shared by its source, the background task that refreshes them, and the status page.
/// Keys never leave their issuer: a token is only ever verified with the keys of the issuer it names (J12).
pub struct Keys {
    source: Arc<str>,
    issuer: Arc<str>,
    origin: Origin,
}

enum Origin {
    /// A file or a secret: these never change.
    Fixed(Arc<KeySet>),
    Remote(Box<Remote>),
}

impl Keys {
    /// Keys that never change: from a file or a secret.
    pub fn fixed(source: &str, issuer: &str, set: KeySet) -> Keys {
        Keys { source: source.into(), issuer: issuer.into(), origin: Origin::Fixed(Arc::new(set)) }
    }

    /// Keys that [`run`] fetches. There are none before its first success.
    pub fn remote(settings: RemoteSettings) -> Result<Keys, EndpointError> {
        Ok(Keys {
            source: settings.source.clone(),
            issuer: settings.issuer.as_str().into(),
            origin: Origin::Remote(Box::new(Remote::build(settings)?)),
        })
    }

    /// The name of the source they are for.
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// The issuer these keys belong to.
    pub fn issuer(&self) -> &Arc<str> {
        &self.issuer
    }

    /// Are these keys fetched, and so in need of [`run`]?
    pub fn is_remote(&self) -> bool {
        self.as_remote().is_some()
    }

    /// Has no fetch of them ended yet, well or badly?
    pub fn is_untried(&self) -> bool {
        let status = self.status();
        status.is_fetched && status.good_fetches == 0 && status.failed_fetches == 0
    }

    /// The set of keys that never change.
    pub(in crate::authn) fn fixed_set(&self) -> Option<&KeySet> {
        match &self.origin {
            Origin::Fixed(set) => Some(set),
            Origin::Remote(_) => None,
        }
    }

    /// The set in force; `None` when there is none yet or it is too old (K4).
    pub fn current(&self, now: Timestamp) -> Option<Arc<KeySet>> {
        match &self.origin {
            Origin::Fixed(set) => Some(set.clone()),
            Origin::Remote(remote) => remote.current(now),
        }
    }

    /// Wait for the one fetch that may bring the key. How long to wait is the caller's business; dropping the
    /// future does not stop the fetch.
    pub fn fetch_now(&self, kid: Option<&str>, now: Timestamp) -> impl Future<Output = FetchOutcome> + Send + use<> {
        let brought = kid.is_some_and(|kid| self.current(now).is_some_and(|set| set.has(kid)));
        let fetch = self.as_remote().filter(|_| !brought).map(|remote| remote.fetch_now(kid, now));
        async move {
            match fetch {
                Some(fetch) => fetch.await,
                None => FetchOutcome::Fresh,
            }
        }
    }

    /// Use the keys that an earlier policy held, until newer ones are fetched: those of the same issuer from the same
    /// address, and none else.
    pub fn take_over(&self, other: &Keys) {
        if let (Some(remote), Some(other)) =
            (self.as_remote(), other.as_remote().filter(|_| self.issuer == other.issuer))
        {
            remote.take_over(other);
        }
    }

    /// Keep a copy of what is fetched from now on, and use the keys that an earlier process kept there until newer ones
    /// are fetched. Anything wrong with those is logged, and they are left alone. Waits for the disk.
    pub fn keep_in(&self, storage: &Arc<dyn Storage>, now: Timestamp) {
        let Some(remote) = self.as_remote() else { return };
        remote.keep_in(storage);
        let name = kept::name(&self.issuer, remote.address());
        let file = match storage.load(&name) {
            Ok(Some(file)) => file,
            Ok(None) => return,
            Err(error) => {
                warn!(keys.issuer = %self.issuer, file = %name, error = %error, "kept keys are ignored");
                return;
            }
        };
        match Kept::read(&file, &self.issuer, remote.address(), remote.max_stale(), now) {
            Ok((set, fetched)) => {
                remote.restored(Arc::new(set), fetched);
                info!(keys.issuer = %self.issuer, fetched_at = %fetched, "the keys of an earlier run are used until they are fetched");
            }
            Err(error) => warn!(keys.issuer = %self.issuer, file = %name, error = %error, "kept keys are ignored"),
        }
    }

    /// Keep a document that was fetched and is in force. Waits for the disk.
    fn keep(&self, storage: &dyn Storage, document: &[u8], fetched: Timestamp) {
        let Some(remote) = self.as_remote() else { return };
        let Some(kept) = Kept::new(&self.issuer, remote.address(), fetched, document) else { return };
        let saved = match kept.to_file() {
            Ok(file) => {
                storage.save(&kept::name(&self.issuer, remote.address()), &file).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = saved {
            remote.not_kept();
            warn!(keys.issuer = %self.issuer, error = %error, "the keys could not be kept for the next start");
        }
    }

    /// Storage was asked for, and there is none.
    pub fn not_kept(&self) {
        if let Some(remote) = self.as_remote() {
            remote.not_kept();
        }
    }

    /// The numbers of these keys.
    pub fn status(&self) -> KeyStatus {
        let (source, issuer) = (self.source.clone(), self.issuer.clone());
        match &self.origin {
            Origin::Fixed(set) => KeyStatus {
                source,
                issuer,
                keys: set.keys().len(),
                left_out: set.left_out().len(),
                ..KeyStatus::default()
            },
            Origin::Remote(remote) => remote.status(source, issuer),
        }
    }

    /// Enter the end of a fetch by hand.
    #[cfg(test)]
    pub(crate) fn enter(&self, outcome: Result<KeySet, String>, now: Timestamp) {
        self.as_remote().expect("remote keys").finished(outcome, now, u32::MAX / 2);
    }

    fn as_remote(&self) -> Option<&Remote> {
        match &self.origin {
            Origin::Fixed(_) => None,
            Origin::Remote(remote) => Some(remote),
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("issuer", &self.issuer).field("remote", &self.is_remote()).finish()
    }
}
