//! Budgets that all instances take from: a Redis server keeps them, by its own clock.
//!
//! All that is counted at one moment is one script, so one question, that takes from all or from none. The store is
//! told nobody's name. Who cannot ask it in time does what the limit says, and goes on asking.

mod dial;
mod link;
mod offenders;
mod order;
mod settings;

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use arc_swap::ArcSwapOption;
use redis::Script;
use tokio::sync::Notify;
use tracing::info;
use tracing::warn;

pub use settings::Login;
pub use settings::Servers;
pub use settings::Settings;

use crate::limit::purse::Stop;
use crate::limit::purse::Taken;
use crate::limit::shared::link::Link;
use crate::limit::shared::link::LinkError;
use crate::limit::shared::offenders::Offenders;
pub(super) use crate::limit::shared::order::Line;
use crate::model::limit::Asked;
use crate::model::limit::SharedStatus;
use crate::model::limit::Standing;

/// Answers in a row that came too late, after which the store is left alone until it answers again.
const LATE_IN_A_ROW: u64 = 3;

/// Whoever has not answered within so long is late, whatever time it was given.
const SOON: Duration = Duration::from_millis(5);

/// A store of budgets that is asked over the network.
pub struct Shared {
    settings: Settings,
    script: Script,
    /// `None`: it cannot be asked now.
    link: ArcSwapOption<Link>,
    /// Told when the link is lost, or nobody needs it any more.
    lost: Arc<Notify>,
    /// The first attempt to connect has ended, well or not.
    tried: AtomicBool,
    started: AtomicBool,
    late_in_a_row: AtomicU64,
    offenders: Offenders,
    last_error: Mutex<Option<String>>,
    connections: AtomicU64,
    spared: AtomicU64,
}

/// What was heard of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Told(Taken),
    /// Nothing, in the time there was.
    Away,
}

/// A question to it.
pub struct Order {
    /// Where the walk stands that asks.
    pub stop: Stop,
    lines: Vec<Line>,
    link: Arc<Link>,
    shared: Arc<Shared>,
}

impl Shared {
    /// A store that is not asked before [`Shared::start`].
    pub fn new(settings: Settings) -> Shared {
        Shared {
            settings,
            script: Script::new(include_str!("shared/take.lua")),
            link: ArcSwapOption::empty(),
            lost: Arc::new(Notify::new()),
            tried: AtomicBool::new(false),
            started: AtomicBool::new(false),
            late_in_a_row: AtomicU64::new(0),
            offenders: Offenders::new(),
            last_error: Mutex::new(None),
            connections: AtomicU64::new(0),
            spared: AtomicU64::new(0),
        }
    }

    /// What it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Connect, and connect again whenever that is needed, on a task that ends when nobody holds this any more. What is
    /// started already goes on.
    pub fn start(self: &Arc<Shared>) {
        if !self.started.swap(true, Ordering::Relaxed) {
            tokio::spawn(link::keep(Arc::downgrade(self), Arc::clone(&self.lost)));
        }
    }

    /// How it stands.
    pub fn status(&self) -> SharedStatus {
        SharedStatus {
            address: self.settings.servers.to_string(),
            tried: self.tried.load(Ordering::Relaxed),
            up: self.link.load().is_some(),
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            connections: self.connections.load(Ordering::Relaxed),
            spared: self.spared.load(Ordering::Relaxed),
        }
    }

    /// The question for these, or `None` when nobody can be asked.
    pub(super) fn order(self: &Arc<Shared>, stop: Stop, lines: Vec<Line>) -> Option<Order> {
        Some(Order { stop, lines, link: self.link.load_full()?, shared: Arc::clone(self) })
    }

    /// The first of these of which the store has said that it would refuse, and how its budget stands.
    pub(super) fn remembers(&self, lines: &[Line], now: Instant) -> Option<(usize, Standing)> {
        let binding = lines.iter().enumerate().filter(|(_, line)| !line.shadow);
        let mut refusing =
            binding.filter_map(|(number, line)| Some((number, self.offenders.find(line.budget, line.price, now)?)));
        let found = refusing.next();
        self.spared.fetch_add(u64::from(found.is_some()), Ordering::Relaxed);
        found
    }

    /// Remember who was refused.
    pub(super) fn remember(&self, lines: &[Line], told: &Taken, now: Instant) {
        for (line, standing) in lines.iter().zip(&told.standings).filter(|(line, _)| !line.shadow) {
            self.offenders.note(line.budget, line.price, now, *standing);
        }
    }

    /// A link that was made: from now on the store is asked.
    fn joined(&self, link: &Arc<Link>) {
        self.late_in_a_row.store(0, Ordering::Relaxed);
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.link.store(Some(Arc::clone(link)));
        self.tried.store(true, Ordering::Relaxed);
        info!(store = %self.settings.servers, "the store of limits answers");
    }

    /// There is no link now.
    fn failed(&self, error: &LinkError) {
        self.tried.store(true, Ordering::Relaxed);
        let text = error.in_full();
        let mut last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        // Once, not with every attempt.
        if last.as_ref() != Some(&text) || self.link.load().is_some() {
            warn!(store = %self.settings.servers, error = %text, "the store of limits cannot be asked");
        }
        *last = Some(text);
    }

    /// Is this the link by which it is asked?
    fn holds(&self, link: &Arc<Link>) -> bool {
        self.link.load().as_ref().is_some_and(|current| Arc::ptr_eq(current, link))
    }

    /// Leave it alone until it answers again, if this is the link by which it is asked. Was it?
    fn let_go(&self, link: &Arc<Link>, error: &LinkError) -> bool {
        let held = self.holds(link);
        if held {
            self.failed(error);
            self.link.store(None);
        }
        held
    }

    /// The same, on the word of somebody who has asked.
    fn give_up(&self, link: &Arc<Link>, error: &LinkError) {
        if self.let_go(link, error) {
            self.lost.notify_one();
        }
    }
}

impl Order {
    /// Ask. Takes no longer than the store may, nor than the caller waits.
    pub async fn place(&self, patience: Duration) -> (Heard, Asked) {
        let Order { lines, link, shared, .. } = self;
        let deadline = shared.settings.deadline.min(patience);
        let asked = link.ask(&shared.script, &shared.settings.prefix, lines);
        match tokio::time::timeout(deadline, asked).await {
            Ok(Ok(taken)) => {
                shared.late_in_a_row.store(0, Ordering::Relaxed);
                (Heard::Told(taken), Asked::Answered)
            }
            Ok(Err(error)) => {
                shared.give_up(link, &error);
                (Heard::Away, Asked::Failed)
            }
            // Somebody in a greater hurry than any store can be says nothing about this one.
            Err(_) if deadline < shared.settings.deadline.min(SOON) => (Heard::Away, Asked::Late),
            Err(_) => {
                if shared.late_in_a_row.fetch_add(1, Ordering::Relaxed).saturating_add(1) >= LATE_IN_A_ROW {
                    shared.give_up(link, &LinkError::Late(deadline));
                }
                (Heard::Away, Asked::Late)
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.lost.notify_one();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order").field("stop", &self.stop).field("lines", &self.lines).finish_non_exhaustive()
    }
}
