//! What the service manager is told (systemd's `sd_notify`). Without one, nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::debug;

/// We accept connections.
pub(super) fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload has begun; [`ready`] says that it has ended.
pub(super) fn reloading() {
    let Ok(now) = NotifyState::monotonic_usec_now() else { return };
    notify(&[NotifyState::Reloading, now]);
}

/// We are going.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("finishing what is under way")]);
}

/// Say that we live, twice in the time after which we would be taken for dead. For ever, or not at all.
pub(super) async fn watchdog() {
    let Some(period) = sd_notify::watchdog_enabled().map(|period| period / 2) else { return };
    let mut ticks = tokio::time::interval(period.max(Duration::from_millis(1)));
    loop {
        ticks.tick().await;
        notify(&[NotifyState::Watchdog]);
    }
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        debug!(error = %error, "the service manager was not told");
    }
}
