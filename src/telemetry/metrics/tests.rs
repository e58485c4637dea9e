use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::model::decision::Decision;
use crate::model::decision::DecisionId;
use crate::model::decision::RouteId;
use crate::model::key_status::TokenCacheStatus;
use crate::model::problem::Place;
use crate::model::reason::Reason;
use crate::model::record::Counts;

fn route(host: &str, name: &str) -> Arc<RouteId> {
    Arc::new(RouteId { host: host.into(), name: name.into(), place: Place::whole("policy.yaml") })
}

/// Count one decision.
fn count(metrics: &Metrics, policy: &Arc<str>, route: Option<&Arc<RouteId>>, reason: Reason) {
    took(metrics, policy, route, reason, Some(Duration::from_micros(40)));
}

fn took(metrics: &Metrics, policy: &Arc<str>, route: Option<&Arc<RouteId>>, reason: Reason, took: Option<Duration>) {
    metrics.count(&Record {
        at: Timestamp::UNIX_EPOCH,
        decision_id: DecisionId(1),
        dialect: Dialect::ExtAuthz,
        decision: &Decision { route: route.cloned(), ..Decision::deny(reason) },
        status: reason.status(),
        method: None,
        host: Some("random.example.test"),
        path: Some("/random"),
        query: None,
        client: None,
        mentioned: None,
        policy,
        generation: 7,
        took,
        trace: None,
        replay: None,
        detail: None,
        limits: &[],
        counts: Counts { dropped_groups: 2, ..Counts::default() },
    });
}

fn lines<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(start)).collect()
}

#[test]
fn f8_decisions_are_counted_by_configured_names_only() {
    let metrics = Metrics::new().expect("metrics");
    let policy: Arc<str> = "p1".into();
    let wiki = route("wiki.test", "/**");
    for _ in 0..3 {
        count(&metrics, &policy, Some(&wiki), Reason::Permitted);
    }
    count(&metrics, &policy, Some(&wiki), Reason::RequirementFailed);
    count(&metrics, &policy, None, Reason::HostUnknown);
    let text = metrics.gather(Timestamp::UNIX_EPOCH, &[]);
    assert_eq!(
        lines(&text, "postern_decisions_total"),
        [
            r#"postern_decisions_total{dialect="ext_authz",effect="allow",reason="permitted",route="wiki.test /**"} 3"#,
            r#"postern_decisions_total{dialect="ext_authz",effect="deny",reason="host_unknown",route=""} 1"#,
            r#"postern_decisions_total{dialect="ext_authz",effect="deny",reason="requirement_failed",route="wiki.test /**"} 1"#,
        ]
    );
    assert_eq!(lines(&text, "postern_dropped_groups_total"), ["postern_dropped_groups_total 10"]);
    assert_eq!(
        lines(&text, "postern_decision_duration_seconds_count{dialect=\"ext_authz\"}"),
        [r#"postern_decision_duration_seconds_count{dialect="ext_authz"} 5"#]
    );
    assert!(!text.contains("random"), "{text}");
}

#[test]
fn a_new_policy_keeps_the_counters_of_the_old_one() {
    let metrics = Metrics::new().expect("metrics");
    for digest in ["p1", "p2", "p1"] {
        let policy: Arc<str> = digest.into();
        count(&metrics, &policy, Some(&route("wiki.test", "/**")), Reason::Public);
    }
    let text = metrics.gather(Timestamp::UNIX_EPOCH, &[]);
    assert_eq!(
        lines(&text, "postern_decisions_total"),
        [r#"postern_decisions_total{dialect="ext_authz",effect="allow",reason="public",route="wiki.test /**"} 3"#]
    );
}

#[test]
fn two_sets_of_metrics_do_not_mix() {
    let (one, two) = (Metrics::new().expect("metrics"), Metrics::new().expect("metrics"));
    let policy: Arc<str> = "p1".into();
    for _ in 0..2 {
        count(&one, &policy, None, Reason::Internal);
        count(&two, &policy, None, Reason::Internal);
    }
    for metrics in [&one, &two] {
        let text = metrics.gather(Timestamp::UNIX_EPOCH, &[]);
        assert_eq!(lines(&text, "postern_decisions_total").len(), 1, "{text}");
        assert!(text.contains(r#"reason="internal",route=""} 2"#), "{text}");
    }
}

#[test]
fn threads_add_to_the_same_counter() {
    let metrics = Metrics::new().expect("metrics");
    let policy: Arc<str> = "p1".into();
    let wiki = route("wiki.test", "/**");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..100).for_each(|_| count(&metrics, &policy, Some(&wiki), Reason::Public)));
        }
    });
    assert!(metrics.gather(Timestamp::UNIX_EPOCH, &[]).contains(r#"route="wiki.test /**"} 400"#));
}

#[test]
fn refusals_are_shown_before_the_first_one() {
    let metrics = Metrics::new().expect("metrics");
    let listener = metrics.listener("grpc");
    listener.refused(Refused::Handshake);
    let text = metrics.gather(Timestamp::UNIX_EPOCH, &[]);
    assert_eq!(
        lines(&text, "postern_connections_refused_total"),
        [
            r#"postern_connections_refused_total{cause="caller",listener="grpc"} 0"#,
            r#"postern_connections_refused_total{cause="handshake",listener="grpc"} 1"#,
            r#"postern_connections_refused_total{cause="limit",listener="grpc"} 0"#,
            r#"postern_connections_refused_total{cause="peer_limit",listener="grpc"} 0"#,
            r#"postern_connections_refused_total{cause="system",listener="grpc"} 0"#,
        ]
    );
}

#[test]
fn insecure_switches_follow_the_policy_in_force() {
    let metrics = Metrics::new().expect("metrics");
    metrics.insecure_switches(["spoof_guard", "callers"]);
    metrics.insecure_switches(["callers"]);
    let text = metrics.gather(Timestamp::UNIX_EPOCH, &[]);
    assert_eq!(lines(&text, "postern_insecure_switch"), [r#"postern_insecure_switch{switch="callers"} 1"#]);
}

#[test]
fn a_refusal_without_a_duration_does_not_lower_the_others() {
    let metrics = Metrics::new().expect("metrics");
    let policy: Arc<str> = "p1".into();
    count(&metrics, &policy, None, Reason::HostUnknown);
    took(&metrics, &policy, None, Reason::Overloaded, None);
    let text = metrics.gather(Timestamp::UNIX_EPOCH, &[]);
    assert_eq!(lines(&text, "postern_decisions_total").len(), 2, "{text}");
    let duration = |what: &str| {
        lines(&text, &format!("postern_decision_duration_seconds_{what}{{dialect=\"ext_authz\"}}")).concat()
    };
    assert_eq!(duration("count"), r#"postern_decision_duration_seconds_count{dialect="ext_authz"} 1"#);
    assert_eq!(duration("sum"), r#"postern_decision_duration_seconds_sum{dialect="ext_authz"} 0.00004"#);
}

#[test]
fn keys_are_shown_as_they_stand() {
    let metrics = Metrics::new().expect("metrics");
    let status = |source: &str, keys, fetched_at, failures| KeyStatus {
        source: source.into(),
        issuer: "https://sso.test".into(),
        keys,
        left_out: 1,
        fetched_at: Option::map(fetched_at, |second| Timestamp::from_second(second).expect("a time")),
        failures,
        is_fetched: source != "file",
        next_fetch: Option::map(fetched_at, |second| Timestamp::from_second(second + 600).expect("a time")),
        good_fetches: 7,
        failed_fetches: 3,
        changes: 2,
        not_kept: 1,
        tokens: (source == "people").then_some(TokenCacheStatus { hits: 40, misses: 5, tokens: 4 }),
        last_error: None,
    };
    let shown = |statuses: &[KeyStatus]| {
        let now = Timestamp::from_second(1_800_000_090).expect("a time");
        let text = metrics.gather(now, statuses);
        let of = |prefix| lines(&text, prefix).into_iter().map(str::to_owned).collect::<Vec<_>>();
        [of("postern_keys"), of("postern_token_cache")].concat()
    };
    let all = [status("people", 2, Some(1_800_000_000), 0), status("robots", 0, None, 3), status("file", 1, None, 0)];
    assert_eq!(
        shown(&all),
        [
            r#"postern_keys{source="file"} 1"#,
            r#"postern_keys{source="people"} 2"#,
            r#"postern_keys{source="robots"} 0"#,
            r#"postern_keys_age_seconds{source="people"} 90"#,
            r#"postern_keys_changes_total{source="people"} 2"#,
            r#"postern_keys_changes_total{source="robots"} 2"#,
            r#"postern_keys_fetches_total{outcome="failed",source="people"} 3"#,
            r#"postern_keys_fetches_total{outcome="failed",source="robots"} 3"#,
            r#"postern_keys_fetches_total{outcome="good",source="people"} 7"#,
            r#"postern_keys_fetches_total{outcome="good",source="robots"} 7"#,
            r#"postern_keys_left_out{source="file"} 1"#,
            r#"postern_keys_left_out{source="people"} 1"#,
            r#"postern_keys_left_out{source="robots"} 1"#,
            r#"postern_keys_next_refresh_timestamp_seconds{source="people"} 1800000600"#,
            r#"postern_keys_not_kept_total{source="people"} 1"#,
            r#"postern_keys_not_kept_total{source="robots"} 1"#,
            r#"postern_keys_refresh_failures{source="file"} 0"#,
            r#"postern_keys_refresh_failures{source="people"} 0"#,
            r#"postern_keys_refresh_failures{source="robots"} 3"#,
            r#"postern_keys_refreshed_timestamp_seconds{source="people"} 1800000000"#,
            r#"postern_token_cache_lookups_total{outcome="hit",source="people"} 40"#,
            r#"postern_token_cache_lookups_total{outcome="miss",source="people"} 5"#,
            r#"postern_token_cache_tokens{source="people"} 4"#,
        ]
    );
    assert_eq!(shown(&all), shown(&all), "to be asked is not counted");
    assert_eq!(shown(&[]), Vec::<String>::new(), "a source that is gone leaves nothing behind");
}
