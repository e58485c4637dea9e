use std::sync::atomic::AtomicBool;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::limit::Rate;
use crate::model::limit::Who;
use crate::model::limit::Window;
use crate::telemetry::clock;

const SECOND: u64 = 1_000_000_000;

fn rate(quota: u64, window: Window, burst: u64) -> Rate {
    Rate::new(quota, window, Some(burst)).expect("a rate")
}

/// One from this address, of a limit of its own.
fn take(address: u128, rate: Rate) -> Take<'static> {
    Take { definition: 7, who: Who::Address(address), rate, cost: 1, limit: 0, shadow: false, shared: None }
}

fn admits(store: &Local, takes: &[Take<'_>], now: u64) -> bool {
    store.take(takes, Tick(now), true).admitted
}

#[test]
fn r3_everybody_has_a_budget_of_their_own() {
    let (store, two) = (Local::new(0), rate(2, Window::Minute, 2));
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
    for who in whos {
        let take = Take { who, ..take(0, two) };
        assert!(admits(&store, &[take], SECOND) && admits(&store, &[take], SECOND), "{who:?}");
        assert!(!admits(&store, &[take], SECOND), "{who:?}");
        // Another limit, and another rate of the same one.
        assert!(admits(&store, &[Take { definition: 8, ..take }], SECOND), "{who:?}");
        assert!(admits(&store, &[Take { rate: rate(2, Window::Hour, 2), ..take }], SECOND), "{who:?}");
    }
}

#[test]
fn several_windows_are_taken_all_or_none() {
    let (store, short, long) = (Local::new(0), rate(2, Window::Second, 2), rate(5, Window::Day, 5));
    let both = [take(1, short), take(1, long)];
    let mut admitted = 0;
    for tenth in 0..40 {
        admitted += u64::from(admits(&store, &both, SECOND + tenth * SECOND / 10));
    }
    assert_eq!(admitted, 5, "the day's five: what the second refuses costs the day nothing");
    let taken = store.take(&both, Tick(10 * SECOND), true);
    assert!(!taken.admitted);
    let [short, long] = taken.standings.as_slice() else { panic!("{taken:?}") };
    assert_eq!((short.remaining, short.wait, long.remaining), (2, None, 0));
    assert!(long.wait.is_some_and(|wait| wait > 17_000 * SECOND), "{long:?}");
}

#[test]
fn who_only_looks_takes_nothing() {
    let (store, one) = (Local::new(0), rate(1, Window::Day, 1));
    for _ in 0..3 {
        let looked = store.take(&[take(1, one)], Tick(SECOND), false);
        assert!(looked.admitted);
        assert_eq!(looked.standings[0].remaining, 0, "what would be left");
    }
    assert!(admits(&store, &[take(1, one)], SECOND));
    assert!(!store.take(&[take(1, one)], Tick(SECOND), false).admitted);
    assert_eq!(store.status().held, 1);
}

#[test]
fn a_limit_that_only_counts_refuses_nothing_and_takes_whole() {
    let store = Local::new(0);
    let shadow = |rate| Take { shadow: true, limit: 1, ..take(1, rate) };
    let binding = take(1, rate(3, Window::Day, 3));
    let takes = [binding, shadow(rate(1, Window::Hour, 1)), shadow(rate(5, Window::Day, 5))];
    let outcome = |takes: &[Take<'_>]| {
        let taken = store.take(takes, Tick(SECOND), true);
        let waits: Vec<bool> = taken.standings.iter().map(|standing| standing.wait.is_some()).collect();
        (taken.admitted, waits, taken.standings[2].remaining)
    };
    assert_eq!(outcome(&takes), (true, vec![false, false, false], 4));
    assert_eq!(
        outcome(&takes),
        (true, vec![false, true, false], 4),
        "the hour is over its limit, so the day is spared"
    );
    assert_eq!(outcome(&takes), (true, vec![false, true, false], 4));
    assert_eq!(outcome(&takes), (false, vec![true, true, false], 4), "refused by the other one: nothing is counted");
}

#[test]
fn r4_a_million_strangers_take_no_more_memory_and_free_nobody() {
    let memory = 4 << 20;
    let (store, minute) = (Local::new(memory), rate(100, Window::Minute, 100));
    let offender = take(u128::MAX, minute);
    let mut now = SECOND;
    assert_eq!((0..1000).filter(|_| admits(&store, &[offender], now)).count(), 100);
    let places = store.status().places;
    assert!(places * size_of::<Slot>() as u64 <= memory);
    for stranger in 0..1_000_000_u128 {
        // Ten seconds in all: sixteen more for the offender.
        now += 10_000;
        assert!(admits(&store, &[take(stranger << 64, minute)], now), "{stranger}");
        if stranger % 1000 == 0 {
            let (before, after) = (now - SECOND, admits(&store, &[offender], now));
            let refilled = before / minute.interval();
            assert!(!after || refilled > 0, "the offender was freed after {before} ns");
        }
    }
    let refilled = usize::try_from((now - SECOND) / minute.interval()).expect("a number");
    let late = (0..1000).filter(|_| admits(&store, &[offender], now)).count();
    assert!(late <= refilled, "{late} of {refilled}");
    let status = store.status();
    assert_eq!((status.places, status.turned_away), (places, 0));
    assert!(status.held <= places && status.forgotten > 0, "{status:?}");
}

#[test]
fn r4_where_all_are_past_their_limit_a_newcomer_is_refused_until_one_is_not() {
    let (store, one) = (Local::new(0), rate(1, Window::Minute, 1));
    let offenders: Vec<u128> = (0..40_000).filter(|who| admits(&store, &[take(*who, one)], SECOND)).collect();
    let status = store.status();
    assert_eq!((status.held, status.forgotten), (status.places, 0), "every place is held, nobody was given up");
    assert_eq!(offenders.len() as u64, status.places);
    assert_eq!(status.turned_away, 40_000 - status.places);
    assert!(offenders.iter().all(|who| !admits(&store, &[take(*who, one)], 2 * SECOND)), "nobody was freed");
    let refused = store.take(&[take(1 << 90, one)], Tick(2 * SECOND), true);
    assert!(!refused.admitted);
    assert_eq!(refused.standings[0], Standing { remaining: 0, full_in: 0, wait: Some(59 * SECOND) });
    assert!(admits(&store, &[take(1 << 90, one)], 62 * SECOND));
}

#[test]
fn threads_share_one_budget() {
    let (store, hundred) = (Local::new(0), rate(100, Window::Day, 100));
    let other = rate(100, Window::Hour, 100);
    let admitted = AtomicU64::new(0);
    let start = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for turn in 0..4_u128 {
            let (store, admitted, start) = (&store, &admitted, &start);
            scope.spawn(move || {
                while !start.load(Ordering::Acquire) {
                    std::hint::spin_loop();
                }
                // In either order: locks are taken in one.
                let mut takes = [take(1, hundred), take(2, other)];
                if turn % 2 == 0 {
                    takes.reverse();
                }
                for _ in 0..1000 {
                    admitted.fetch_add(u64::from(admits(store, &takes, SECOND)), Ordering::Relaxed);
                }
            });
        }
        start.store(true, Ordering::Release);
    });
    assert_eq!(admitted.into_inner(), 100);
}

#[test]
fn a_step_back_of_the_clock_costs_one_refill_at_most() {
    let (store, ten) = (Local::new(0), rate(10, Window::Second, 10));
    while admits(&store, &[take(1, ten)], 100 * SECOND) {}
    assert!(!admits(&store, &[take(1, ten)], SECOND));
    assert!(!admits(&store, &[take(1, ten)], SECOND + ten.interval() - 1));
    assert!(admits(&store, &[take(1, ten)], SECOND + ten.interval()));
}

#[test]
fn ticks_never_step_back_before_their_beginning() {
    let (store, start) = (Local::new(0), clock::instant());
    let later = start + Duration::from_secs(5);
    assert_eq!(store.tick(later), Tick(1));
    assert_eq!(store.tick(start), Tick(1));
    assert_eq!(store.tick(later + Duration::from_nanos(9)), Tick(10));
}

proptest! {
    /// The store against one bucket a budget that is never forgotten: the same answers, for any order of callers.
    #[test]
    fn the_store_answers_as_buckets_that_are_never_forgotten(
        steps in prop::collection::vec((0_u128..6, 0_u64..400_000_000, 0_u64..4), 1..300),
    ) {
        let (store, rates) = (Local::new(0), [rate(3, Window::Second, 5), rate(40, Window::Minute, 12)]);
        let mut model = std::collections::HashMap::<(u128, usize), Bucket>::new();
        let mut now = Tick(1);
        for (who, step, cost) in steps {
            now.0 += step;
            let takes = rates.map(|rate| Take { cost, ..take(who, rate) });
            let next: Vec<_> = rates
                .iter()
                .enumerate()
                .map(|(number, rate)| model.get(&(who, number)).copied().unwrap_or_default().take(rate, now, cost))
                .collect();
            let want = next.iter().all(Result::is_ok);
            if want {
                model.extend(next.iter().enumerate().map(|(number, next)| ((who, number), next.expect("it is"))));
            }
            prop_assert_eq!(store.take(&takes, now, true).admitted, want);
        }
    }
}
