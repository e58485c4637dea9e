//! Notices that the files of a policy change, in whatever way: written in place, replaced by a rename, or through a
//! symbolic link on the way to them that is exchanged, as Kubernetes does with `..data`.
//!
//! The folders are watched, not the files, since a watch stays with a file that was moved away. Where the system cannot
//! tell, we look every few seconds; and now and then in any case, for what a watch does not see: a network file system
//! that changes elsewhere.

mod trail;

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use notify::EventKind;
use notify::RecommendedWatcher;
use notify::RecursiveMode;
use notify::Watcher;
use notify::event::AccessKind;
use notify::event::AccessMode;
use tokio::sync::Notify;
use tracing::warn;

use crate::model::reload::WatchMode;
use crate::server::watch::trail::Inode;
use crate::server::watch::trail::Trail;

/// A look in any case.
const EVERY: Duration = Duration::from_secs(30);
/// While a file is missing, or the system cannot tell.
const SOON: Duration = Duration::from_secs(2);

/// Watches files and folders.
pub struct Watch {
    watcher: Option<RecommendedWatcher>,
    shared: Arc<Shared>,
    /// The folders that are watched, as they were when that began.
    watched: BTreeMap<PathBuf, Inode>,
    is_missing: bool,
}

/// What the thread that hears of events shares with us.
#[derive(Default)]
struct Shared {
    changed: Notify,
    trail: Mutex<Trail>,
    /// Watched folders that were moved or removed: a watch stayed with them.
    gone: Mutex<HashSet<PathBuf>>,
}

impl Shared {
    fn hear(&self, event: notify::Result<notify::Event>) {
        let concerns_us = match event {
            // Something was missed.
            Err(_) => true,
            Ok(event) if event.need_rescan() => true,
            Ok(event) if matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write)) => {
                false
            }
            Ok(event) => {
                let trail = lock(&self.trail);
                let gone = event.paths.iter().filter(|path| trail.folders.contains(*path));
                let gone: Vec<PathBuf> = gone.cloned().collect();
                let concerns_us = !gone.is_empty() || event.paths.iter().any(|path| trail.concerns(path));
                drop(trail);
                lock(&self.gone).extend(gone);
                concerns_us
            }
        };
        if concerns_us {
            self.changed.notify_one();
        }
    }
}

impl Watch {
    /// Watch nothing yet. The first look is due at once: files may have changed since they were read.
    pub fn start() -> Watch {
        let shared = Arc::new(Shared::default());
        let hearing = Arc::clone(&shared);
        let watcher = notify::recommended_watcher(move |event| hearing.hear(event));
        shared.changed.notify_one();
        Watch::with(watcher, shared)
    }

    fn with(watcher: notify::Result<RecommendedWatcher>, shared: Arc<Shared>) -> Watch {
        let watcher = watcher.inspect_err(say).ok();
        Watch { watcher, shared, watched: BTreeMap::new(), is_missing: false }
    }

    /// Watch these files and folders from now on, and no others. They need not be there.
    pub fn follow(&mut self, paths: &[PathBuf]) {
        let mut trail = Trail::default();
        for path in paths {
            trail.add(path);
        }
        self.is_missing = trail.is_missing;
        let folders = trail.folders.clone();
        *lock(&self.shared.trail) = trail;
        let Some(watcher) = &mut self.watcher else { return };
        let gone = std::mem::take(&mut *lock(&self.shared.gone));
        let now: BTreeMap<PathBuf, Inode> =
            folders.into_iter().filter_map(|folder| Some((folder.clone(), Inode::of(&folder)?))).collect();
        let stale = |folder: &Path, inode: &Inode| gone.contains(folder) || now.get(folder) != Some(inode);
        let old: Vec<PathBuf> = self
            .watched
            .iter()
            .filter(|(folder, inode)| stale(folder, inode))
            .map(|(folder, _)| folder.clone())
            .collect();
        for folder in old {
            // It may have ended with the folder.
            let _ = watcher.unwatch(&folder);
            self.watched.remove(&folder);
        }
        let mut begun = false;
        for (folder, inode) in now {
            if self.watched.contains_key(&folder) {
                continue;
            }
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    begun = true;
                    self.watched.insert(folder, inode);
                }
                // It went away just now.
                Err(error) if matches!(error.kind, notify::ErrorKind::PathNotFound) => self.is_missing = true,
                Err(error) => {
                    say(&error);
                    self.watcher = None;
                    self.watched.clear();
                    return;
                }
            }
        }
        if begun {
            // What happened before the watch began is seen by a look after it.
            self.shared.changed.notify_one();
        }
    }

    /// Wait until something may have changed.
    pub async fn changed(&mut self) {
        let pace = if self.is_missing || self.watcher.is_none() { SOON } else { EVERY };
        let _ = tokio::time::timeout(pace, self.shared.changed.notified()).await;
    }

    /// Who notices changes.
    pub fn mode(&self) -> WatchMode {
        if self.watcher.is_some() { WatchMode::Events } else { WatchMode::Polling }
    }
}

fn say(error: &notify::Error) {
    let seconds = SOON.as_secs();
    warn!(error = %error, seconds, "the system cannot tell when files change, so we look every few seconds");
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
