//! Redis killed, paused, full and slow: each limit does what it says, nothing hangs, and all is well again afterwards.

use super::instance::Instance;
use super::redis::Redis;
use crate::proxy::process::Signal;

const LIMITED: &str = "\
hosts:
  app.test:
    routes:
      - {path: /local, public: true, limit: {per: address, rate: 2/day}}
      - {path: /allow, public: true, limit: {per: address, rate: 2/day, when_down: allow}}
      - {path: /refuse, public: true, limit: {per: address, rate: 2/day, when_down: refuse, name: strict}}
      - {path: /mine, public: true, limit: {per: address, rate: 2/day, store: local}}
      - {path: /counted, public: true, limit: {per: address, rate: 2/day, when_down: refuse, mode: shadow}}
      - {path: /free, public: true}
";

fn start(redis: &Redis, deadline: &str) -> Instance {
    let address = format!("address: 'redis://127.0.0.1:{}', deadline: {deadline}", redis.port);
    let mut instance = Instance::start(&format!("limits: {{redis: {{{address}}}}}\n{LIMITED}"));
    instance.wait_for("postern_limit_store_up 1");
    instance
}

/// The statuses of three requests of a client that nobody has counted before.
fn three(instance: &Instance, path: &str, from: &str) -> [u16; 3] {
    [(); 3].map(|()| instance.status(path, from))
}

/// As the policy says it is without a store.
fn is_away(instance: &Instance, from: &str) {
    assert_eq!(three(instance, "/local", from), [200, 200, 429], "each instance by itself");
    assert_eq!(three(instance, "/allow", from), [200, 200, 200]);
    assert_eq!(three(instance, "/refuse", from), [503, 503, 503]);
    assert_eq!(three(instance, "/mine", from), [200, 200, 429]);
    assert_eq!(three(instance, "/counted", from), [200, 200, 200], "what only counts refuses nobody");
    assert_eq!(three(instance, "/free", from), [200, 200, 200]);
    let refused = instance.ask("/refuse", from);
    // nginx: 503 stays 503.
    assert_eq!(refused.status, 503);
    assert!(refused.body.contains("limits_unavailable"), "{refused:?}");
}

/// As it is with one.
fn is_there(instance: &Instance, from: &str) {
    for path in ["/local", "/allow", "/refuse", "/mine"] {
        assert_eq!(three(instance, path, from), [200, 200, 429], "{path}\n{}", instance.log());
    }
    assert_eq!(three(instance, "/counted", from), [200, 200, 200]);
}

#[test]
fn a_killed_store_is_done_without_and_found_again() {
    let Some(mut redis) = Redis::start(&[]) else { return };
    let mut instance = start(&redis, "1s");
    is_there(&instance, "192.0.2.1");
    assert_eq!([(); 2].map(|()| instance.status("/refuse", "192.0.2.4")), [200, 200], "all it has");
    redis.kill();
    instance.wait_for("postern_limit_store_up 0");
    is_away(&instance, "192.0.2.2");
    let series = |outcome: &str, limit: &str| {
        instance.metric(
            &format!("postern_limit_requests_total{{limit=\"{limit}\",outcome=\"{outcome}\"}}").replace(", ", ","),
        )
    };
    let metrics = instance.page("/metrics");
    for line in [
        r#"postern_limit_requests_total{limit="strict",outcome="unavailable"} 4"#,
        r#"postern_limit_requests_total{limit="app.test /allow address",outcome="uncounted"} 3"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert_eq!(series("unavailable", "strict"), 4);
    let status: serde_json::Value = serde_json::from_str(&instance.page("/status")).expect("JSON");
    assert_eq!(status["shared_limits"]["up"], false, "{status}");
    assert!(status["shared_limits"]["last_error"].is_string(), "{status}");
    assert_eq!(status["status"], "ready", "its limits say what to do: {status}");
    redis.begin();
    instance.wait_for("postern_limit_store_up 1");
    is_there(&instance, "192.0.2.3");
    // The server has forgotten everything: the script, and what was used up.
    assert_eq!(instance.status("/refuse", "192.0.2.4"), 200);
    assert_eq!(instance.metric("postern_limit_store_connections_total"), 2);
}

#[test]
fn a_paused_store_is_given_up_and_found_again() {
    let Some(mut redis) = Redis::start(&[]) else { return };
    let mut instance = start(&redis, "50ms");
    redis.signal(Signal::Stop);
    // The first ones wait for as long as the store has; then nobody asks it any more.
    for _ in 0..3 {
        assert_eq!(instance.status("/refuse", "192.0.2.9"), 503);
    }
    instance.wait_for("postern_limit_store_up 0");
    is_away(&instance, "192.0.2.2");
    assert!(instance.page("/metrics").contains(r#"postern_limit_store_asked_seconds_count{outcome="late"} 3"#));
    redis.signal(Signal::Continue);
    instance.wait_for("postern_limit_store_up 1");
    is_there(&instance, "192.0.2.3");
}

#[test]
fn a_full_store_is_as_good_as_none() {
    let Some(redis) = Redis::start(&["--maxmemory-policy", "noeviction"]) else { return };
    let mut instance = start(&redis, "1s");
    is_there(&instance, "192.0.2.1");
    redis.ask(&["CONFIG", "SET", "maxmemory", "1mb"]);
    assert_eq!(instance.status("/refuse", "192.0.2.2"), 503);
    instance.wait_for("postern_limit_store_up 0");
    is_away(&instance, "192.0.2.3");
    let status: serde_json::Value = serde_json::from_str(&instance.page("/status")).expect("JSON");
    let error = status["shared_limits"]["last_error"].as_str().expect("an error");
    assert!(error.contains("OOM"), "{error}");
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    instance.wait_for("postern_limit_store_up 1");
    is_there(&instance, "192.0.2.4");
}

#[test]
fn a_store_that_takes_its_time_holds_up_nobody_for_longer_than_its_deadline() {
    let Some(redis) = Redis::start(&["--enable-debug-command", "yes"]) else { return };
    let mut instance = start(&redis, "20ms");
    // It answers nobody for a while, again and again.
    for round in 0..3 {
        let port = redis.port;
        let sleeper = std::thread::spawn(move || super::redis::cli(port, &["DEBUG", "SLEEP", "1"]));
        let from = format!("192.0.2.{round}");
        let mut seen = Vec::new();
        for _ in 0..6 {
            seen.push((instance.status("/refuse", &from), instance.status("/free", &from)));
        }
        assert!(seen.iter().all(|(limited, free)| [200, 429, 503].contains(limited) && *free == 200), "{seen:?}");
        sleeper.join().expect("a nap");
        instance.wait_for("postern_limit_store_up 1");
    }
    is_there(&instance, "192.0.2.100");
}

#[test]
fn who_starts_without_a_store_serves_by_what_its_limits_say() {
    let Some(mut redis) = Redis::start(&[]) else { return };
    redis.kill();
    let address = format!("address: 'redis://127.0.0.1:{}'", redis.port);
    let mut instance = Instance::start(&format!("limits: {{redis: {{{address}}}}}\n{LIMITED}"));
    is_away(&instance, "192.0.2.1");
    redis.begin();
    instance.wait_for("postern_limit_store_up 1");
    assert_eq!(instance.status("/free", "192.0.2.1"), 200);
}
