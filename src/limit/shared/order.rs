//! One question to the shared store, and what its answer means. No IO.

use aws_lc_rs::digest;

use crate::limit::purse::Taken;
use crate::model::limit::Rate;
use crate::model::limit::Standing;
use crate::model::limit::Take;
use crate::model::limit::Who;

/// Names a budget among all that a store keeps: the same in every instance that has the same limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Budget(pub(super) [u8; 16]);

/// What is asked of one budget, in the store's own measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::limit) struct Line {
    pub(super) budget: Budget,
    /// Microseconds that taking costs, and that the budget has when it is full.
    pub(super) price: u64,
    pub(super) capacity: u64,
    /// The number of its limit.
    pub(super) limit: usize,
    pub(super) shadow: bool,
    interval: u64,
}

impl Budget {
    /// Whoever is counted is not named: keys are seen by everybody who may look into the store.
    pub(super) fn of(take: &Take<'_>) -> Budget {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&take.definition.to_be_bytes());
        context.update(&take.rate.interval().to_be_bytes());
        context.update(&take.rate.burst().to_be_bytes());
        let mut part = |octets: &[u8]| {
            context.update(&(octets.len() as u64).to_be_bytes());
            context.update(octets);
        };
        match take.who {
            Who::Address(address) => {
                part(b"address");
                part(&address.to_be_bytes());
            }
            Who::UnknownAddress => part(b"unknown address"),
            Who::Subject { issuer, subject } => {
                part(b"subject");
                part(issuer.as_bytes());
                part(subject.as_bytes());
            }
            Who::Group { issuer, group } => {
                part(b"group");
                part(issuer.as_bytes());
                part(group.as_bytes());
            }
            Who::NoGroup => part(b"no group"),
            Who::Route { host, name } => {
                part(b"route");
                part(host.as_bytes());
                part(name.as_bytes());
            }
            Who::Header(value) => {
                part(b"header");
                part(value);
            }
            Who::NoHeader => part(b"no header"),
        }
        Budget(context.finish().as_ref().first_chunk().copied().unwrap_or_default())
    }

    /// Its key. A prefix in braces keeps all of them on one node of a cluster, where one script may touch them together.
    pub(super) fn key(self, prefix: &str) -> String {
        use std::fmt::Write;
        let mut key = format!("{prefix}:");
        for octet in self.0 {
            // Writing to a text cannot fail.
            let _ = write!(key, "{octet:02x}");
        }
        key
    }
}

impl Line {
    pub(in crate::limit) fn of(take: &Take<'_>) -> Line {
        let interval = take.rate.interval_micros();
        Line {
            budget: Budget::of(take),
            price: interval.saturating_mul(take.cost),
            capacity: capacity(&take.rate),
            limit: take.limit,
            shadow: take.shadow,
            interval,
        }
    }
}

fn capacity(rate: &Rate) -> u64 {
    rate.interval_micros().saturating_mul(rate.burst())
}

/// What an answer to these lines says; `None` where it is none.
pub(super) fn taken(lines: &[Line], answer: &[i64]) -> Option<Taken> {
    let (pairs, []) = answer.as_chunks::<2>() else { return None };
    if pairs.len() != lines.len() {
        return None;
    }
    let mut taken = Taken { admitted: true, standings: Vec::with_capacity(lines.len()) };
    for (line, [debt, wait]) in lines.iter().zip(pairs) {
        let (debt, wait) = (u64::try_from(*debt).ok()?, u64::try_from(*wait).ok()?);
        if wait > 0 && !line.shadow {
            taken.admitted = false;
        }
        taken.standings.push(Standing {
            remaining: line.capacity.saturating_sub(debt) / line.interval.max(1),
            full_in: debt.saturating_mul(1000),
            wait: (wait > 0).then(|| wait.saturating_mul(1000)),
        });
    }
    Some(taken)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::model::limit::WhenDown;
    use crate::model::limit::Window;

    fn take(who: Who<'_>) -> Take<'_> {
        let rate = Rate::new(7, Window::Second, Some(3)).expect("a rate");
        Take { definition: 7, who, rate, cost: 2, limit: 1, shadow: false, shared: Some(WhenDown::Local) }
    }

    #[test]
    fn r3_everybody_has_a_key_of_their_own_and_is_not_named_in_it() {
        let whos = [
            Who::Address(1),
            Who::Address(2),
            Who::UnknownAddress,
            Who::Subject { issuer: "a", subject: "bc" },
            Who::Subject { issuer: "ab", subject: "c" },
            Who::Group { issuer: "a", group: "bc" },
            Who::NoGroup,
            Who::Route { host: "a", name: "bc" },
            Who::Header(b"abc"),
            Who::Header(b""),
            Who::NoHeader,
        ];
        let mut takes: Vec<Take<'_>> = whos.into_iter().map(take).collect();
        takes.push(Take { definition: 8, ..take(Who::NoHeader) });
        takes.push(Take { rate: Rate::new(7, Window::Minute, Some(3)).expect("a rate"), ..take(Who::NoHeader) });
        takes.push(Take { rate: Rate::new(7, Window::Second, Some(4)).expect("a rate"), ..take(Who::NoHeader) });
        let keys: HashSet<String> = takes.iter().map(|take| Budget::of(take).key("{p}")).collect();
        assert_eq!(keys.len(), takes.len());
        assert!(keys.iter().all(|key| key.len() == 36 && key.starts_with("{p}:")), "{keys:?}");
        // What it costs and what it may do change nothing.
        let other = Take { cost: 9, limit: 4, shadow: true, shared: Some(WhenDown::Refuse), ..take(Who::NoHeader) };
        assert_eq!(Budget::of(&other), Budget::of(&take(Who::NoHeader)));
    }

    #[test]
    fn an_answer_of_another_shape_is_none() {
        let lines = [Line::of(&take(Who::NoGroup)), Line::of(&Take { shadow: true, ..take(Who::NoGroup) })];
        assert_eq!((lines[0].price, lines[0].capacity), (2 * 142_858, 3 * 142_858), "never faster than the rate");
        for bad in [&[][..], &[1, 0, 1], &[1, 0], &[1, 0, 1, 0, 1, 0], &[1, 0, -1, 0], &[1, -1, 1, 0]] {
            assert_eq!(taken(&lines, bad), None, "{bad:?}");
        }
        let standing = |remaining, full_in, wait| Standing { remaining, full_in, wait };
        let want = |admitted, first, second| Some(Taken { admitted, standings: vec![first, second] });
        let fits = standing(1, 285_716_000, None);
        assert_eq!(taken(&lines, &[285_716, 0, 0, 5]), want(true, fits, standing(3, 0, Some(5000))));
        assert_eq!(
            taken(&lines, &[285_716, 1, 0, 0]),
            want(false, Standing { wait: Some(1000), ..fits }, standing(3, 0, None))
        );
    }
}
