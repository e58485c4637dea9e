//! The promise itself, under load on two instances at once: in no stretch of time is more admitted than what is refilled
//! in it, and one burst.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use super::instance::Instance;
use super::policy;
use super::redis::Redis;
use crate::proxy::process::Deadline;

const CLIENTS: usize = 4;
const LENGTH: Duration = Duration::from_secs(4);
const QUOTA: u64 = 40;
const BURST: u64 = 10;

#[test]
fn two_instances_together_admit_no_more_than_one_budget() {
    let Some(redis) = Redis::start(&[]) else { return };
    let limit = format!("{{per: address, rate: {QUOTA}/s, burst: {BURST}}}");
    let text = policy(&redis.address(), &format!("  {{path: /busy, public: true, limit: {limit}}},"));
    let instances = [Instance::start(&text), Instance::start(&text)];
    let admitted: Mutex<Vec<(Instant, Instant)>> = Mutex::default();
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (instance, admitted) = (&instances[number % 2], &admitted);
            scope.spawn(move || {
                let until = Deadline::after(LENGTH);
                while !until.passed() {
                    let asked = Instant::now();
                    if instance.status("/busy", "192.0.2.1") == 200 {
                        admitted.lock().expect("times").push((asked, Instant::now()));
                    }
                }
            });
        }
    });
    let admitted = admitted.into_inner().expect("times");
    // One was taken at some moment between its question and its answer. Between the earliest question and the latest
    // answer of any of them lies at least the time in which they were taken.
    let interval = Duration::from_secs(1) / u32::try_from(QUOTA).expect("small");
    let mut starts: Vec<Instant> = admitted.iter().map(|(asked, _)| *asked).collect();
    starts.sort_unstable();
    for from in &starts {
        let mut ends: Vec<Instant> =
            admitted.iter().filter(|(asked, _)| asked >= from).map(|(_, answered)| *answered).collect();
        ends.sort_unstable();
        for (number, end) in ends.iter().enumerate() {
            let refilled = end.duration_since(*from).as_nanos() / interval.as_nanos();
            let most = u128::from(BURST) + refilled + 1;
            assert!((number as u128) < most, "{} within {:?}", number + 1, end.duration_since(*from));
        }
    }
    for instance in &instances {
        let uncounted = r#"postern_limit_requests_total{limit="app.test /busy address",outcome="uncounted"}"#;
        assert!(!instance.page("/metrics").contains(uncounted));
        assert!(instance.metric("postern_limit_store_connections_total") == 1, "{}", instance.log());
    }
    assert!(admitted.len() as u64 >= BURST + QUOTA, "some pass: {}", admitted.len());
}
