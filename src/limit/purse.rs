//! What one request takes, and has taken.
//!
//! A walk that has to wait, for the keys of an issuer, the word of a provider or a store of budgets, is walked again from
//! its beginning. The purse remembers what was taken at each of its stations, so that it is taken once.

use std::sync::Arc;
use std::time::Instant;

use crate::limit::local::Local;
use crate::limit::shared::Heard;
use crate::limit::shared::Line;
use crate::limit::shared::Order;
use crate::limit::shared::Shared;
use crate::model::limit::Standing;
use crate::model::limit::Take;
use crate::model::limit::WhenDown;

/// Where a walk takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Before it is asked who the caller is: what is counted by address.
    Gate,
    /// When the caller is known and may pass: everything else.
    Caller,
}

/// Where budgets are kept.
#[derive(Clone, Debug)]
pub struct Stores {
    /// In this process.
    pub local: Arc<Local>,
    /// Where all instances take from them, if the policy names such a store.
    pub shared: Option<Arc<Shared>>,
}

/// What came of taking from one store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Nothing that binds refused.
    pub admitted: bool,
    /// How every bucket stands, in the order asked.
    pub standings: Vec<Standing>,
}

/// What came of taking at one stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// Nothing that binds refused.
    pub admitted: bool,
    /// What became of every bucket, in the order asked.
    pub counts: Vec<Counted>,
}

/// What became of one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It was asked, and stands so.
    Stands(Standing),
    /// Nobody asked: another one had refused before.
    Unasked,
    /// Its store cannot be asked, and whoever it counts may pass.
    Uncounted,
    /// Its store cannot be asked, and nobody passes.
    Unavailable,
}

/// The purse of one request.
#[derive(Clone, Debug)]
pub struct Purse {
    at: Instant,
    commit: bool,
    gate: Pocket,
    caller: Pocket,
}

/// One stop.
#[derive(Clone, Debug, Default)]
struct Pocket {
    heard: Option<Heard>,
    drawn: Option<Drawn>,
}

impl Purse {
    /// Of a request that came now, and takes what it needs.
    pub fn taking(at: Instant) -> Purse {
        Purse { at, commit: true, gate: Pocket::default(), caller: Pocket::default() }
    }

    /// Of one that only looks: nothing is taken from anybody, and no store is asked over the network. What is kept there
    /// is taken to be whole.
    pub fn looking(at: Instant) -> Purse {
        Purse { commit: false, ..Purse::taking(at) }
    }

    /// Take at a stop, once; or say what must be asked over the network first.
    pub fn take(&mut self, stop: Stop, takes: &[Take<'_>], stores: &Stores) -> Result<&Drawn, Order> {
        let (at, commit) = (self.at, self.commit);
        let Pocket { heard, drawn } = self.pocket(stop);
        let drawn_now = match drawn.take() {
            Some(drawn) => drawn,
            None => draw(stop, takes, stores, heard.as_ref(), (at, commit))?,
        };
        Ok(drawn.insert(drawn_now))
    }

    /// Remember what the shared store answered at a stop. False when it was asked there before: who asks twice would ask
    /// for ever.
    #[must_use]
    pub fn hear(&mut self, stop: Stop, heard: Heard) -> bool {
        let pocket = self.pocket(stop);
        let first = pocket.heard.is_none();
        pocket.heard.get_or_insert(heard);
        first
    }

    fn pocket(&mut self, stop: Stop) -> &mut Pocket {
        match stop {
            Stop::Gate => &mut self.gate,
            Stop::Caller => &mut self.caller,
        }
    }
}

fn draw(
    stop: Stop,
    takes: &[Take<'_>],
    Stores { local, shared }: &Stores,
    heard: Option<&Heard>,
    (at, commit): (Instant, bool),
) -> Result<Drawn, Order> {
    let now = local.tick(at);
    let shared = shared.as_ref().filter(|_| commit && takes.iter().any(|take| take.shared.is_some()));
    let Some(shared) = shared else {
        let Taken { admitted, standings } = local.take(takes, now, commit);
        return Ok(Drawn { admitted, counts: standings.into_iter().map(Counted::Stands).collect() });
    };
    let mut draft = Draft::new(takes);
    let (near, far) = (Part::of(takes, |take| take.shared.is_none()), Part::of(takes, |take| take.shared.is_some()));
    let lines: Vec<Line> = far.takes.iter().map(Line::of).collect();
    let heard = match heard {
        Some(heard) => heard.clone(),
        None => {
            // What can be refused here costs nobody a question.
            if let Some((number, standing)) = shared.remembers(&lines, at) {
                draft.put(far.numbers.get(number).copied(), Counted::Stands(standing));
                return Ok(draft.refused());
            }
            let looked = near.look(&mut draft, |part| local.take(part, now, false));
            if !looked {
                return Ok(draft.refused());
            }
            match shared.order(stop, lines.clone()) {
                Some(order) => return Err(order),
                None => Heard::Away,
            }
        }
    };
    Ok(match heard {
        Heard::Told(told) => {
            shared.remember(&lines, &told, at);
            let admitted = far.look(&mut draft, |_| told);
            let here = near.look(&mut draft, |part| local.take(part, now, admitted));
            draft.ended(admitted && here)
        }
        Heard::Away => {
            let refuses = |take: &Take<'_>| take.shared == Some(WhenDown::Refuse);
            for (number, take) in takes.iter().enumerate() {
                match take.shared {
                    Some(WhenDown::Allow) => draft.put(Some(number), Counted::Uncounted),
                    Some(WhenDown::Refuse) if take.shadow => draft.put(Some(number), Counted::Uncounted),
                    Some(WhenDown::Refuse) => draft.put(Some(number), Counted::Unavailable),
                    Some(WhenDown::Local) | None => {}
                }
            }
            let none_refuses = !takes.iter().any(|take| refuses(take) && !take.shadow);
            let counted = |take: &Take<'_>| matches!(take.shared, None | Some(WhenDown::Local));
            let here = Part::of(takes, counted).look(&mut draft, |part| local.take(part, now, none_refuses));
            draft.ended(none_refuses && here)
        }
    })
}

/// Some of the takes, and which of all they are.
struct Part<'t> {
    numbers: Vec<usize>,
    takes: Vec<Take<'t>>,
}

impl<'t> Part<'t> {
    fn of(takes: &[Take<'t>], which: impl Fn(&Take<'t>) -> bool) -> Part<'t> {
        let (numbers, takes) =
            takes.iter().enumerate().filter(|(_, take)| which(take)).map(|(n, take)| (n, *take)).unzip();
        Part { numbers, takes }
    }

    /// Ask a store about them, and note what it says. Are they admitted?
    fn look(&self, draft: &mut Draft, ask: impl FnOnce(&[Take<'t>]) -> Taken) -> bool {
        if self.takes.is_empty() {
            return true;
        }
        let taken = ask(&self.takes);
        for (number, standing) in self.numbers.iter().zip(&taken.standings) {
            draft.put(Some(*number), Counted::Stands(*standing));
        }
        // INVARIANT: a store that says less than it was asked has admitted nobody.
        taken.admitted && taken.standings.len() == self.takes.len()
    }
}

/// What is known so far of every bucket.
struct Draft(Vec<Counted>);

impl Draft {
    fn new(takes: &[Take<'_>]) -> Draft {
        Draft(vec![Counted::Unasked; takes.len()])
    }

    fn put(&mut self, number: Option<usize>, counted: Counted) {
        if let Some(place) = number.and_then(|number| self.0.get_mut(number)) {
            *place = counted;
        }
    }

    fn refused(self) -> Drawn {
        self.ended(false)
    }

    fn ended(self, admitted: bool) -> Drawn {
        Drawn { admitted, counts: self.0 }
    }
}
