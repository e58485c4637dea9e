//! The store in Redis against the one in the process: the same schedule gets the same answers.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use postern::limit::Local;
use postern::limit::Purse;
use postern::limit::Shared;
use postern::limit::Stores;
use postern::limit::purse::Counted;
use postern::limit::purse::Drawn;
use postern::limit::purse::Stop;
use postern::limit::shared::Heard;
use postern::limit::shared::Login;
use postern::limit::shared::Servers;
use postern::limit::shared::Settings;
use postern::model::limit::Asked;
use postern::model::limit::Rate;
use postern::model::limit::Take;
use postern::model::limit::WhenDown;
use postern::model::limit::Who;
use postern::model::limit::Window;
use postern::outbound::socket::Endpoint;
use postern::outbound::socket::HostPort;
use postern::telemetry::clock;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::runtime::Runtime;

use super::redis::Redis;
use crate::proxy::process::Signal;

/// Buckets that refill so slowly that no test sees it.
fn rate(burst: u64) -> Rate {
    Rate::new(1, Window::Day, Some(burst)).expect("a rate")
}

fn shared(runtime: &Runtime, redis: &Redis, prefix: &str) -> Stores {
    let server = Endpoint::Tcp(HostPort { host: "127.0.0.1".to_owned(), port: redis.port });
    let shared = Arc::new(Shared::new(Settings {
        servers: Servers::One(server),
        login: Login::default(),
        database: 0,
        prefix: prefix.to_owned(),
        deadline: Duration::from_secs(5),
    }));
    runtime.block_on(async {
        shared.start();
        while !shared.status().up {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    Stores { local: Arc::new(Local::new(0)), shared: Some(shared) }
}

/// Take, asking over the network where that is needed.
fn draw(runtime: &Runtime, stores: &Stores, takes: &[Take<'_>]) -> Drawn {
    let mut purse = Purse::taking(clock::instant());
    loop {
        let order = match purse.take(Stop::Caller, takes, stores) {
            Ok(drawn) => return drawn.clone(),
            Err(order) => order,
        };
        let (heard, _) = runtime.block_on(order.place(Duration::from_secs(5)));
        assert!(purse.hear(order.stop, heard), "asked twice");
    }
}

/// Whether it passed, and what is left where that was said.
fn outline(drawn: &Drawn) -> (bool, Vec<Option<(u64, bool)>>) {
    let count = |counted: &Counted| match counted {
        Counted::Stands(standing) => Some((standing.remaining, standing.wait.is_some())),
        Counted::Unasked | Counted::Uncounted | Counted::Unavailable => None,
    };
    (drawn.admitted, drawn.counts.iter().map(count).collect())
}

/// One request: for each of its buckets who, how large, what it costs, and whether it only counts.
fn requests() -> impl Strategy<Value = Vec<Vec<(u128, u64, u64, bool)>>> {
    let bucket = (0_u128..3, 1_u64..6, 1_u64..4, any::<bool>());
    prop::collection::vec(prop::collection::vec(bucket, 1..5), 1..25)
}

#[test]
fn both_stores_give_the_same_answers() {
    let Some(redis) = Redis::start(&[]) else { return };
    let runtime = Runtime::new().expect("a runtime");
    let far = shared(&runtime, &redis, "{same}");
    let schedule = Cell::new(0_u128);
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() });
    let outcome = runner.run(&requests(), |requests| {
        schedule.set(schedule.get() + 1);
        let near = Stores { local: Arc::new(Local::new(0)), shared: None };
        for request in &requests {
            let takes: Vec<Take<'_>> = request
                .iter()
                .enumerate()
                .map(|(limit, (who, burst, cost, shadow))| Take {
                    // A limit is one thing: where it stands, it counts or it binds.
                    definition: schedule.get() * 1000 + limit as u128 * 2 + u128::from(*shadow),
                    who: Who::Address(*who),
                    rate: rate(*burst),
                    cost: (*cost).min(*burst),
                    limit,
                    shadow: *shadow,
                    shared: Some(WhenDown::Refuse),
                })
                .collect();
            let (here, there) = (draw(&runtime, &near, &takes), draw(&runtime, &far, &takes));
            let (want, found) = (outline(&here), outline(&there));
            prop_assert_eq!(want.0, found.0, "{:?}", takes);
            for (want, found) in want.1.iter().zip(&found.1) {
                // Whoever was refused a moment ago is not asked about again, and nor are the others then.
                prop_assert!(found.is_none() || want == found, "{want:?} {found:?} {takes:?}");
            }
        }
        Ok(())
    });
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[test]
fn a_clock_that_is_put_back_makes_nobody_wait_longer_than_a_refill() {
    let Some(redis) = Redis::start(&[]) else { return };
    let runtime = Runtime::new().expect("a runtime");
    let stores = shared(&runtime, &redis, "{clock}");
    let rate = Rate::new(2, Window::Hour, None).expect("a rate");
    let one = |who| Take {
        definition: 1,
        who: Who::Address(who),
        rate,
        cost: 1,
        limit: 0,
        shadow: false,
        shared: Some(WhenDown::Refuse),
    };
    assert!(draw(&runtime, &stores, &[one(1)]).admitted);
    let keys = redis.ask(&["--raw", "KEYS", "{clock}:*"]);
    let probed = redis.ask(&["--raw", "GET", keys.lines().next().expect("a key")]);
    assert!(probed.trim().parse::<u64>().is_ok(), "{probed}");
    // As if all of it had been written by a clock a day ahead.
    for key in keys.lines() {
        let full: u64 = redis.ask(&["--raw", "GET", key]).trim().parse().expect("microseconds");
        redis.ask(&["SET", key, &(full + 86_400_000_000).to_string()]);
    }
    let drawn = draw(&runtime, &stores, &[one(1)]);
    let [Counted::Stands(standing)] = drawn.counts[..] else { panic!("{drawn:?}") };
    assert!(!drawn.admitted && standing.wait.is_some_and(|wait| wait <= rate.interval()), "{drawn:?}");
    assert_eq!((standing.remaining, standing.full_in), (0, rate.capacity()));
    let ends: Vec<i64> =
        keys.lines().map(|key| redis.ask(&["--raw", "PTTL", key]).trim().parse().expect("a time")).collect();
    assert!(ends.iter().any(|end| (1..=3_600_001).contains(end)), "it is settled, not only judged: {ends:?}");
    // Garbage is no budget at all, and no error: whoever may write there may do worse.
    for key in keys.lines() {
        redis.ask(&["SET", key, "garbage"]);
    }
    let another = shared(&runtime, &redis, "{clock}");
    assert!(draw(&runtime, &another, &[Take { cost: 2, ..one(1) }]).admitted);
}

#[test]
fn a_caller_of_thousands_of_groups_is_counted_like_any_other() {
    let Some(redis) = Redis::start(&[]) else { return };
    let runtime = Runtime::new().expect("a runtime");
    let stores = shared(&runtime, &redis, "{many}");
    let takes = |limit: u128| -> Vec<Take<'static>> {
        let take = |number| Take {
            definition: 1,
            who: Who::Address(number),
            rate: rate(2),
            cost: 1,
            limit: 0,
            shadow: false,
            shared: Some(WhenDown::Refuse),
        };
        (0..limit).map(take).collect()
    };
    for (admitted, left) in [(true, 1), (true, 0), (false, 0)] {
        let drawn = draw(&runtime, &stores, &takes(9000));
        let stands = |counted: &Counted| matches!(counted, Counted::Stands(standing) if standing.remaining == left);
        assert_eq!((drawn.admitted, drawn.counts.len()), (admitted, 9000));
        // Of a refusal that is remembered, only the first is said.
        assert!(drawn.counts.iter().filter(|counted| stands(counted)).count() >= if admitted { 9000 } else { 1 });
    }
    assert!(stores.shared.expect("a store").status().up);
}

#[test]
fn who_is_in_a_great_hurry_says_nothing_about_the_store_and_others_do() {
    let Some(mut redis) = Redis::start(&[]) else { return };
    let runtime = Runtime::new().expect("a runtime");
    let stores = shared(&runtime, &redis, "{hurry}");
    let up = || stores.shared.as_ref().expect("a store").status().up;
    redis.signal(Signal::Stop);
    let ask = |patience| {
        let take = Take {
            definition: 1,
            who: Who::Address(1),
            rate: rate(2),
            cost: 1,
            limit: 0,
            shadow: false,
            shared: Some(WhenDown::Refuse),
        };
        let order = Purse::taking(clock::instant()).take(Stop::Caller, &[take], &stores).expect_err("a question");
        let (heard, how) = runtime.block_on(order.place(patience));
        assert_eq!((heard, how), (Heard::Away, Asked::Late));
    };
    (0..5).for_each(|_| ask(Duration::from_millis(1)));
    assert!(up(), "a millisecond is no time");
    // The store may take five seconds; nobody waits for that.
    (0..3).for_each(|_| ask(Duration::from_millis(20)));
    assert!(!up());
    redis.signal(Signal::Continue);
}
