//! What the service manager is told (systemd's `sd_notify`). Without one, nothing happens.

use std::ffi::OsStr;
use std::io;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sd_notify::NotifyState;
use tracing::debug;

use crate::config::load::Machine;
use crate::config::load::World;

/// How long we wait for a manager whose queue is full.
const TOLD_WITHIN: Duration = Duration::from_millis(100);

/// Set when we are going: nothing takes that back.
static GOING: AtomicBool = AtomicBool::new(false);

/// We accept connections.
pub(super) fn ready(status: &str) {
    if GOING.load(Ordering::SeqCst) {
        return;
    }
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload has begun; [`ready`] says that it has ended.
pub(super) fn reloading() {
    let Ok(now) = NotifyState::monotonic_usec_now() else { return };
    if GOING.load(Ordering::SeqCst) {
        return;
    }
    notify(&[NotifyState::Reloading, now]);
}

/// We are going.
pub(super) fn stopping() {
    GOING.store(true, Ordering::SeqCst);
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
    let Some(name) = Machine.env("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&name, state) {
        debug!(error = %error, "the service manager was not told");
    }
}

fn send(name: &OsStr, state: &[NotifyState<'_>]) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    // A manager that does not listen must not keep those who answer.
    socket.set_write_timeout(Some(TOLD_WITHIN))?;
    socket.connect_addr(&address(name)?)?;
    let message: String = state.iter().map(|state| format!("{state}\n")).collect();
    socket.send(message.as_bytes()).map(drop)
}

/// 2026-11: `sd_notify::notify` takes `@name` for a file, where systemd means a name that has none (abstract, Linux).
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes().strip_prefix(b"@") {
        #[cfg(target_os = "linux")]
        Some(name) => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(name),
    }
}
