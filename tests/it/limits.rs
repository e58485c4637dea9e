//! Limits whose budgets are in a real Redis: what several instances count together, and what each does without it.

pub(crate) mod instance;
mod outage;
mod promise;
mod reach;
mod redis;
mod same;

use instance::Instance;
use redis::Redis;

/// One limit by address, kept in Redis.
fn policy(redis: &str, routes: &str) -> String {
    format!(
        "limits: {{redis: {{{redis}}}}}\nhosts: {{app.test: {{routes: [\n{routes}\n  {{path: /free, public: true}}]}}}}\n"
    )
}

#[test]
fn instances_take_from_one_budget_and_a_reload_keeps_the_connection() {
    let Some(redis) = Redis::start(&[]) else { return };
    let text = policy(&redis.address(), "  {path: /day, public: true, limit: {per: address, rate: 5/day}},");
    let mut all = [Instance::start(&text), Instance::start(&text)];
    for instance in &mut all {
        instance.wait_for("postern_limit_store_up 1");
    }
    let seen: Vec<(u16, String)> = (0..6)
        .map(|number| {
            let reply = all[number % 2].ask("/day", "192.0.2.1");
            (reply.status, reply.all("ratelimit").join("|").chars().take(13).collect())
        })
        .collect();
    let left = |status, left| (status, format!("\"address\";r={left}"));
    // nginx gives 403 for 429.
    assert_eq!(seen, [left(200, 4), left(200, 3), left(200, 2), left(200, 1), left(200, 0), left(403, 0)]);
    assert_eq!(all[0].ask("/day", "192.0.2.2").status, 200, "another address has its own");
    let refused = all[1].ask("/day", "192.0.2.1");
    assert_eq!(
        (refused.all("x-auth-status"), refused.all("ratelimit-policy")),
        (vec!["429"], vec!["\"address\";q=5;w=86400"])
    );
    // Nobody is named in the store, everything in it ends, and it is where a cluster keeps it together.
    let keys = redis.ask(&["KEYS", "*"]);
    assert_eq!(keys.lines().filter(|key| key.starts_with("{postern}:")).count(), keys.lines().count(), "{keys}");
    assert!(!keys.contains("192.0.2"), "{keys}");
    for key in keys.lines() {
        let ttl: i64 = redis.ask(&["PTTL", key]).trim().parse().expect("milliseconds");
        assert!((1..=86_401_000).contains(&ttl), "{key} {ttl}");
    }
    let instance = &mut all[0];
    instance.change("5/day", "6/day");
    instance.wait_for("postern_config_generation 2");
    assert_eq!(instance.metric("postern_limit_store_connections_total"), 1);
    assert_eq!(instance.ask("/day", "192.0.2.1").status, 200, "another limit, another budget");
}

#[test]
fn all_limits_of_a_moment_are_one_question_and_an_offender_costs_none() {
    let Some(redis) = Redis::start(&[]) else { return };
    let limits =
        "[{per: address, rate: [100/h, 1000/day]}, {per: 'header:x-tenant', rate: 2/day}, {per: route, rate: 90/day}]";
    let text = policy(&redis.address(), &format!("  {{path: /many, public: true, limit: {limits}}},"));
    let mut instance = Instance::start(&text);
    instance.wait_for("postern_limit_store_up 1");
    let questions = || redis.calls("evalsha");
    let before = questions();
    assert_eq!(instance.ask("/many", "192.0.2.1").status, 200);
    assert_eq!(questions() - before, 2, "what is counted by address, and then everything else");
    assert_eq!(instance.ask("/many", "192.0.2.1").status, 200);
    assert_eq!(instance.ask("/many", "192.0.2.1").status, 403);
    let before = questions();
    // The gate is asked each time; whom the second question would refuse is known for a second.
    let refused = (0..20).filter(|_| instance.ask("/many", "192.0.2.1").status == 403).count();
    let asked = questions() - before;
    assert!(refused == 20 && (20..=30).contains(&asked), "{refused} refused, {asked} questions");
    assert!(instance.metric("postern_limit_store_spared_total") >= 10);
    assert_eq!(instance.ask("/free", "192.0.2.1").status, 200);
}
