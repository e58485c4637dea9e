//! Where reloads are asked for: by a signal, on the admin pages, by a file that changed. They are done one at a time.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tracing::info;

use crate::model::reload::ReloadResult;
use crate::model::reload::ReloadStatus;
use crate::model::reload::WatchMode;
use crate::server::reload::Cause;
use crate::server::reload::Origin;
use crate::server::reload::Reload;
use crate::server::watch::Watch;

/// So many may wait for a reload.
const WAITING: usize = 16;

/// Asks for reloads, and tells how the policy stands.
#[derive(Clone)]
pub struct Reloads {
    asks: mpsc::Sender<oneshot::Sender<ReloadResult>>,
    status: Arc<ArcSwap<ReloadStatus>>,
}

/// Too many wait for a reload, or nobody does them any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many reloads are asked for")]
pub struct Busy;

impl Reloads {
    /// Have the policy read again, and wait for how that goes.
    pub async fn ask(&self) -> Result<ReloadResult, Busy> {
        let (done, result) = oneshot::channel();
        self.asks.try_send(done).map_err(|_| Busy)?;
        result.await.map_err(|_| Busy)
    }

    /// How the policy in force stands, and the last reload went.
    pub fn status(&self) -> Arc<ReloadStatus> {
        self.status.load_full()
    }
}

/// Does the reloads that are asked for.
pub struct ReloadDesk<O, N> {
    reload: Reload<O, N>,
    asked: mpsc::Receiver<oneshot::Sender<ReloadResult>>,
    status: Arc<ArcSwap<ReloadStatus>>,
}

impl<O, N> ReloadDesk<O, N>
where
    O: Origin,
    N: Fn() -> Timestamp + Clone + Send + Sync + 'static,
{
    /// A desk, and how to ask there.
    pub fn new(reload: Reload<O, N>) -> (ReloadDesk<O, N>, Reloads) {
        let (asks, asked) = mpsc::channel(WAITING);
        let status = Arc::new(ArcSwap::from_pointee(reload.status()));
        (ReloadDesk { reload, asked, status: Arc::clone(&status) }, Reloads { asks, status })
    }

    /// Work for ever. Without `watch`, files may change unnoticed.
    pub async fn run(mut self, mut watch: Option<Watch>) {
        let paths = self.reload.paths();
        watch = follow(watch, &paths).await;
        if let Some(watch) = &watch {
            info!(watch = watch.mode().name(), paths = paths.len(), "changes of the policy's files are noticed");
        }
        loop {
            watch = follow(watch, &self.reload.paths()).await;
            let mode = watch.as_ref().map(Watch::mode).unwrap_or_default();
            self.status.store(Arc::new(ReloadStatus { watch: mode, ..self.reload.status() }));
            let noticed = async {
                match &mut watch {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                asked = self.asked.recv() => match asked {
                    Some(first) => self.asked_for(first, watch.as_ref().map(Watch::mode).unwrap_or_default()).await,
                    None => return,
                },
                () = noticed => {
                    self.reload.reload(Cause::Noticed).await;
                }
            }
        }
    }

    /// One reload for everybody who asked before it began.
    async fn asked_for(&mut self, first: oneshot::Sender<ReloadResult>, mode: WatchMode) {
        let mut waiting = vec![first];
        while let Ok(another) = self.asked.try_recv() {
            waiting.push(another);
        }
        let result = self.reload.reload(Cause::Asked).await.unwrap_or(ReloadResult::Unchanged);
        // Whoever hears of it finds it in the status.
        self.status.store(Arc::new(ReloadStatus { watch: mode, ..self.reload.status() }));
        for asked in waiting {
            let _ = asked.send(result);
        }
    }
}

/// Watch these files and folders. Looking at them waits for their disks, which nobody else may have to.
async fn follow(watch: Option<Watch>, paths: &[PathBuf]) -> Option<Watch> {
    let (mut watch, paths) = (watch?, paths.to_vec());
    let followed = tokio::task::spawn_blocking(move || {
        watch.follow(&paths);
        watch
    });
    followed.await.ok()
}
