//! The link to the shared store: made in the background, tried by writing, lost, and made again.

use std::io;
use std::sync::Arc;
use std::sync::Weak;
use std::time::Duration;

use redis::RedisError;
use redis::Script;
use redis::aio::MultiplexedConnection;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::limit::purse::Taken;
use crate::limit::shared::Shared;
use crate::limit::shared::dial;
use crate::limit::shared::dial::Open;
use crate::limit::shared::order;
use crate::limit::shared::order::Line;
use crate::limit::shared::settings::Settings;
use crate::model::limit::Rate;
use crate::model::limit::Take;
use crate::model::limit::Who;
use crate::model::limit::Window;
use crate::outbound::tls::TlsError;

/// A connection, a login and one question must not take longer together.
const CONNECTED_WITHIN: Duration = Duration::from_secs(1);
/// The first wait after a failure; doubled with each that follows.
const WAIT_FIRST: Duration = Duration::from_millis(50);
/// The longest wait.
const WAIT_LAST: Duration = Duration::from_secs(1);

/// Why the store cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("no connection")]
    Connect(#[source] io::Error),
    #[error("no TLS")]
    Tls(#[source] TlsError),
    #[error("nobody answers to connections within {CONNECTED_WITHIN:?}")]
    Unanswered,
    #[error("no sentinel knows a master called `{0}`")]
    NoMaster(String),
    #[error("it refuses")]
    Redis(#[from] RedisError),
    #[error("the connection has ended")]
    Ended,
    #[error("its answer is none to the question")]
    Answer,
    #[error("several answers in a row took longer than {0:?}")]
    Late(Duration),
}

impl LinkError {
    /// With everything behind it.
    pub(super) fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(&format!(": {error}"));
            source = error.source();
        }
        text
    }
}

/// A connection that has answered.
pub(super) struct Link {
    connection: MultiplexedConnection,
    ended: CancellationToken,
    _driver: AbortOnDropHandle<()>,
}

impl Link {
    /// One question, for as long as it takes.
    pub(super) async fn ask(&self, script: &Script, prefix: &str, lines: &[Line]) -> Result<Taken, LinkError> {
        let mut call = script.prepare_invoke();
        for line in lines {
            call.key(line.budget.key(prefix));
            call.arg(line.price).arg(line.capacity).arg(line.limit).arg(u8::from(line.shadow));
        }
        let answer: Vec<i64> = call.invoke_async(&mut self.connection.clone()).await?;
        order::taken(lines, &answer).ok_or(LinkError::Answer)
    }
}

/// Keep a link while somebody needs one.
pub(super) async fn keep(shared: Weak<Shared>, lost: Arc<Notify>) {
    let mut wait = WAIT_FIRST;
    loop {
        let Some(held) = shared.upgrade() else { return };
        let made = tokio::time::timeout(CONNECTED_WITHIN, make(&held.settings, &held.script)).await;
        match made.unwrap_or(Err(LinkError::Unanswered)) {
            Ok(link) => {
                let link = Arc::new(link);
                held.joined(&link);
                drop(held);
                if !outlive(&shared, &lost, &link).await {
                    return;
                }
                drop(link);
                wait = WAIT_FIRST;
                tokio::time::sleep(spread(wait)).await;
            }
            Err(error) => {
                held.failed(&error);
                drop(held);
                tokio::time::sleep(spread(wait)).await;
                wait = wait.saturating_mul(2).min(WAIT_LAST);
            }
        }
    }
}

/// Wait until a link has ended or was given up. False when nobody needs one any more.
async fn outlive(shared: &Weak<Shared>, lost: &Notify, link: &Arc<Link>) -> bool {
    loop {
        tokio::select! {
            () = lost.notified() => {}
            () = link.ended.cancelled() => {}
        }
        let Some(held) = shared.upgrade() else { return false };
        if link.ended.is_cancelled() {
            held.let_go(link, &LinkError::Ended);
        }
        // The news may be about the link before this one.
        if !held.holds(link) {
            return true;
        }
    }
}

/// A server that answers a ping may still not take what we write: it is a replica, it is full, or we may not.
async fn make(settings: &Settings, script: &Script) -> Result<Link, LinkError> {
    let Open { connection, driver, ended } = dial::open(settings).await?;
    let link = Link { connection, ended, _driver: driver };
    // So much that it is never used up: what is not taken is not written.
    let Ok(rate) = Rate::new(1_000_000, Window::Second, None) else { return Ok(link) };
    let probe = Take { definition: 0, who: Who::NoGroup, rate, cost: 1, limit: 0, shadow: true, shared: None };
    link.ask(script, &settings.prefix, &[Line::of(&probe)]).await?;
    Ok(link)
}

/// Up to a half longer, so that instances that have lost it together do not come back together.
fn spread(wait: Duration) -> Duration {
    let mut octet = [0_u8];
    // Chance needs to be uneven here, not secret; without any, nothing is spread.
    let _ = aws_lc_rs::rand::fill(&mut octet);
    wait.saturating_add(wait.saturating_mul(u32::from(octet[0])) / 512)
}
