//! The alert rules and the dashboard among the examples ask for nothing that a server does not show: metrics, labels and
//! the values of labels are held against what is exposed, so that a metric that is renamed cannot leave an alert silent.

mod promql;
pub(crate) mod yaml;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use postern::model::decision::Decision;
use postern::model::decision::DecisionId;
use postern::model::dialect::Dialect;
use postern::model::introspection_status::IntrospectionStatus;
use postern::model::key_status::KeyStatus;
use postern::model::key_status::TokenCacheStatus;
use postern::model::key_use::KeyUse;
use postern::model::limit::Asked as AskedHow;
use postern::model::limit::SharedStatus;
use postern::model::limit::StoreStatus;
use postern::model::limit::Weighed;
use postern::model::limit::Weight;
use postern::model::reason::Reason;
use postern::model::record::Counts;
use postern::model::record::Record;
use postern::model::reload::ReloadResult;
use postern::model::status::AuditStatus;
use postern::telemetry::Telemetry;
use postern::telemetry::metrics::Signal;
use postern::telemetry::metrics::Standing;
use promql::Asked;
use serde_json::Value;

use crate::proxy::parts::on_path;

/// Set to `1`: a missing promtool is a failure.
const REQUIRE_PROMTOOL: &str = "POSTERN_REQUIRE_PROMTOOL";
/// What Prometheus adds to whatever it scrapes.
const TARGET_LABELS: [&str; 2] = ["job", "instance"];

/// What is exposed: each metric with the values of each of its labels.
type Exposed = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

#[test]
fn every_alert_asks_for_what_is_exposed_and_says_what_to_do() {
    let exposed = exposed(&everything());
    let manual = read("docs/operations.md");
    let runbook = section(&manual, "Alerts").expect("a section on alerts").to_owned();
    let (mut names, mut wrong) = (BTreeSet::new(), Vec::new());
    for rule in rules() {
        let text = |pointer: &str| rule.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (name, expr, description) = (text("/alert"), text("/expr"), text("/annotations/description"));
        let asked = promql::asked(&expr);
        wrong.extend(unknown(&asked, &exposed).into_iter().map(|what| format!("{name}: {what}")));
        let mut check = |good: bool, what: &str| {
            if !good {
                wrong.push(format!("{name}: {what}"))
            }
        };
        check(!asked.is_empty(), "asks for nothing");
        check(names.insert(name.clone()), "is there twice");
        check(["critical", "warning", "info"].contains(&text("/labels/severity").as_str()), "has no known severity");
        check(!text("/annotations/summary").is_empty(), "has no summary");
        check(runbook.contains(&format!("| `{name}` |")), "has no line in docs/operations.md");
        let told = description.split('`').skip(1).step_by(2).collect::<BTreeSet<_>>();
        check(asked.iter().any(|asked| told.contains(asked.metric.as_str())), "does not name its metric");
        let heading = description.rsplit_once("See docs/operations.md, ").map(|(_, end)| end.trim_end_matches('.'));
        check(heading.is_some_and(|heading| section(&manual, heading).is_some()), "names no section of the manual");
    }
    let documented = runbook.lines().filter_map(|line| line.strip_prefix("| `Postern")?.split('`').next());
    wrong.extend(
        documented
            .filter(|rest| !names.contains(&format!("Postern{rest}")))
            .map(|rest| format!("no rule Postern{rest}")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(names.len() >= 20, "{names:?}");
}

#[test]
fn every_panel_asks_for_what_is_exposed() {
    let exposed = exposed(&everything());
    let dashboard: Value = serde_json::from_str(&read("examples/grafana.json")).expect("JSON");
    let mut expressions = Vec::new();
    strings(&dashboard, "", &mut expressions);
    expressions.retain(|(key, _)| ["expr", "definition", "query"].contains(&key.as_str()));
    let mut wrong = Vec::new();
    for (_, expr) in &expressions {
        wrong.extend(unknown(&promql::asked(expr), &exposed).into_iter().map(|what| format!("{expr}: {what}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "ids are given once");
    // Nobody writes a metric for no panel: what is not shown is left out by intention.
    let shown: BTreeSet<_> =
        expressions.iter().flat_map(|(_, expr)| promql::asked(expr)).map(|asked| asked.metric).collect();
    let families: BTreeSet<_> = exposed.keys().map(|name| promql::family(name)).collect();
    let hidden: Vec<_> =
        families.iter().filter(|name| !shown.iter().any(|shown| promql::family(shown) == **name)).collect();
    let left_out = [
        "postern_admin_refused_total",
        "postern_api_key_last_used_timestamp_seconds",
        "postern_dropped_groups_total",
        "postern_dropped_values_total",
        "postern_keys_not_kept_total",
        "postern_keys_refreshed_timestamp_seconds",
        "postern_unknown_paths_total",
        "postern_uptime_seconds",
        "up",
    ];
    assert_eq!(hidden, left_out.iter().collect::<Vec<_>>());
}

#[test]
fn what_is_not_exposed_is_found_out() {
    let exposed = exposed(&everything());
    for (expr, want) in [
        ("rate(postern_decisions_total[5m])", &[][..]),
        ("postern_decision_duration_seconds_bucket{le=\"+Inf\",instance=~\"a\"}", &[]),
        ("postern_decision_total > 0", &["there is no metric `postern_decision_total`"]),
        ("postern_decisions_total{path=\"/\"}", &["`postern_decisions_total` has no label `path`"]),
        (
            "postern_decisions_total{reason=~\"internal|bad\"}",
            &["`reason` of `postern_decisions_total` is never `bad`"],
        ),
        (
            "postern_connections_refused_total{cause=\"tls\"}",
            &["`cause` of `postern_connections_refused_total` is never `tls`"],
        ),
        ("postern_decisions_total{reason=~\"token_.*\"}", &[]),
        (
            "postern_decisions_total{reason=~\"nothing_.*\"}",
            &["`reason` of `postern_decisions_total` is never `nothing_.*`"],
        ),
    ] {
        assert_eq!(unknown(&promql::asked(expr), &exposed), want, "{expr}");
    }
}

#[test]
fn promtool_takes_the_rules_and_the_metrics() {
    let Some(promtool) = promtool() else { return };
    let output = Command::new(&promtool).args(["check", "rules", "examples/alerts.yaml"]).current_dir(root()).output();
    let output = output.expect("promtool runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut child = Command::new(&promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    child.stdin.take().expect("a pipe").write_all(everything().as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].map(|octets| String::from_utf8_lossy(&octets).into_owned()).concat();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

fn promtool() -> Option<PathBuf> {
    let found = on_path("promtool");
    if found.is_none() {
        let required = std::env::var_os(REQUIRE_PROMTOOL).is_some_and(|value| value == "1");
        assert!(!required, "promtool is not installed, and {REQUIRE_PROMTOOL} is set");
        // Past the test runner's capture, so that it is never silent.
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: the checks of promtool: the system has none (Debian: prometheus)");
    }
    found
}

/// All that a server shows once everything has happened in it.
fn everything() -> String {
    let telemetry = Telemetry::new().expect("telemetry");
    let metrics = telemetry.metrics();
    for result in ReloadResult::ALL {
        metrics.reloaded(result, 2, "p2");
    }
    metrics.insecure_switches(["spoof_guard"]);
    for sink in ["syslog", "otlp"] {
        metrics.audit().sink(sink);
    }
    for how in AskedHow::ALL {
        metrics.asked_limits(how, Duration::from_millis(1));
    }
    metrics.show_key_uses(&[KeyUse { source: "robots".into(), key: "k".into(), at: 1 }]);
    metrics.show_standing(&Standing {
        shared_limits: Some(SharedStatus::default()),
        ready: true,
        audit: Some(AuditStatus::default()),
        certificates: vec![("grpc", Timestamp::UNIX_EPOCH), ("http", Timestamp::UNIX_EPOCH)],
        limits: StoreStatus::default(),
    });
    for signal in [Signal::Traces, Signal::Metrics] {
        metrics.export(signal).expect("counters");
    }
    let policy: Arc<str> = "p2".into();
    for (number, reason) in Reason::ALL.into_iter().enumerate() {
        telemetry.record(&Record {
            at: Timestamp::UNIX_EPOCH,
            decision_id: DecisionId(1),
            dialect: Dialect::ALL[number % Dialect::ALL.len()],
            decision: &Decision { reason, ..Decision::deny(Reason::Internal) },
            status: reason.status(),
            method: None,
            host: None,
            path: None,
            query: None,
            client: None,
            mentioned: None,
            policy: &policy,
            generation: 2,
            took: Some(Duration::from_micros(40)),
            trace: None,
            replay: None,
            detail: None,
            limits: &Weight::ALL.map(|outcome| Weighed { limit: "address".into(), outcome }),
            counts: Counts::default(),
        });
    }
    for name in ["grpc", "http", "admin"] {
        telemetry.listener(name);
    }
    let keys = KeyStatus {
        source: "people".into(),
        is_fetched: true,
        keys: 1,
        fetched_at: Some(Timestamp::UNIX_EPOCH),
        next_fetch: Some(Timestamp::UNIX_EPOCH),
        tokens: Some(TokenCacheStatus::default()),
        ..KeyStatus::default()
    };
    let provider = IntrospectionStatus {
        source: "legacy".into(),
        active: 1,
        refused: 1,
        failed: 1,
        held_back: 1,
        recalled: 1,
        in_flight: 1,
        breaker_open: true,
    };
    telemetry.gather(&[keys]) + &telemetry.gather_introspection(&[provider])
}

fn exposed(text: &str) -> Exposed {
    let mut exposed = Exposed::new();
    exposed.entry("up".to_owned()).or_default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').expect("a value");
        for Asked { metric, labels } in promql::asked(series) {
            let known = exposed.entry(metric).or_default();
            for (label, value) in labels {
                known.entry(label).or_default().extend(value);
            }
        }
    }
    exposed
}

/// What is asked for and never there.
fn unknown(asked: &[Asked], exposed: &Exposed) -> Vec<String> {
    let mut unknown = Vec::new();
    for Asked { metric, labels } in asked {
        let Some(known) = exposed.get(metric) else {
            unknown.push(format!("there is no metric `{metric}`"));
            continue;
        };
        for (label, values) in labels.iter().filter(|(label, _)| !TARGET_LABELS.contains(&label.as_str())) {
            match known.get(label) {
                None => unknown.push(format!("`{metric}` has no label `{label}`")),
                Some(known) => unknown.extend(
                    values
                        .iter()
                        .filter(|value| !some(value, known))
                        .map(|value| format!("`{label}` of `{metric}` is never `{value}`")),
                ),
            }
        }
    }
    unknown
}

/// Is one of these so? A value may end in `.*`.
fn some(value: &str, known: &BTreeSet<String>) -> bool {
    match value.strip_suffix(".*") {
        Some(start) => known.iter().any(|known| known.starts_with(start)),
        None => known.contains(value),
    }
}

/// Every text of a JSON document, with its key.
fn strings(value: &Value, key: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => found.push((key.to_owned(), text.clone())),
        Value::Array(items) => items.iter().for_each(|item| strings(item, key, found)),
        Value::Object(members) => members.iter().for_each(|(key, member)| strings(member, key, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn rules() -> Vec<Value> {
    let groups = yaml::read(&read("examples/alerts.yaml"))["groups"].clone();
    let groups = groups.as_array().expect("groups").clone();
    groups.iter().flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
}

/// What stands under a heading of the second level.
fn section<'t>(text: &'t str, heading: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("\n## {heading}\n"))?;
    Some(rest.split("\n## ").next().unwrap_or_default())
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}
