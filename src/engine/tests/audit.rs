//! Nobody passes without a line where that is asked for.

use super::*;
use crate::audit::form::Form;
use crate::audit::settings::AuditSettings;
use crate::audit::settings::Fsync;
use crate::audit::settings::Target;
use crate::audit::settings::WhenFull;

/// A policy that keeps its lines in this folder.
fn bench(folder: &Path, when_full: WhenFull) -> (Bench, Arc<Audit>) {
    let settings = AuditSettings {
        when_full,
        queue: 100,
        fsync: Fsync::Never,
        form: Form { include_query: true, ..Form::default() },
        chain: false,
        ..AuditSettings::to(Target::File(folder.join("audit.jsonl")))
    };
    let mut bench = Bench::new();
    let metrics = bench.engine.telemetry().metrics().audit();
    let audit = Arc::new(Audit::start(&settings, metrics, "p").expect("a log"));
    bench.engine = bench.engine.with_audit(Arc::clone(&audit));
    (bench, audit)
}

#[tokio::test]
async fn an_allow_without_a_line_is_none_where_lines_are_required() {
    for (when_full, passes) in [(WhenFull::Refuse, false), (WhenFull::Drop, true)] {
        let folder = tempfile::tempdir().expect("a folder");
        let (bench, audit) = bench(folder.path(), when_full);
        passed(&bench.ask("/public/a?x=1", &[]).await);
        let refused = bench.ask("/private", &[]).await;
        assert_eq!(denied(&refused, "x").0, Reason::CredentialMissing);
        assert!(audit.close(Duration::from_secs(60)), "everything is written");
        let text = std::fs::File::open(folder.path().join("audit.jsonl")).and_then(std::io::read_to_string);
        let lines: Vec<Value> =
            text.expect("a log").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let effects: Vec<&str> = lines.iter().filter_map(|line| line["effect"].as_str()).collect();
        assert_eq!(effects, ["allow", "deny"]);
        assert_eq!((&lines[1]["query"], &lines[1]["client"]["from"]), (&json!("x=1"), &json!("dialect")));

        // A closed log takes no more.
        let without = bench.ask("/public/a", &[]).await;
        let refused = bench.ask("/private", &[]).await;
        assert_eq!(denied(&refused, "x").0, Reason::CredentialMissing, "a denial keeps its reason");
        match passes {
            true => drop(passed(&without)),
            false => assert_eq!(denied(&without, "cache-control"), (Reason::AuditUnavailable, 503, Some("no-store"))),
        }
        let text = bench.engine.telemetry().gather(&[]);
        assert!(text.contains("postern_audit_dropped_total 2\n"), "{text}");
        assert_eq!(text.contains("effect=\"deny\",reason=\"audit_unavailable\",route=\"app.test public\"} 1"), !passes);
    }
}

#[tokio::test]
async fn a_line_names_the_trace_that_the_client_says_also_when_the_request_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (bench, audit) = bench(folder.path(), WhenFull::Drop);
    let named = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
    passed(&bench.ask("/public/a", &[named]).await);
    assert_eq!(denied(&bench.ask("/public/%zz", &[named]).await, "x").0, Reason::BadTarget);
    assert_eq!(denied(&bench.ask("/robots/x", &[named]).await, "x").0, Reason::CredentialMissing);
    passed(&bench.ask("/public/a", &[("traceparent", "00-1-2-01")]).await);
    assert!(audit.close(Duration::from_secs(60)), "everything is written");
    let text = std::fs::File::open(folder.path().join("audit.jsonl")).and_then(std::io::read_to_string).expect("a log");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let traces: Vec<Value> =
        lines.filter(|line| line["kind"] == "decision").map(|mut line| line["trace"].take()).collect();
    let want = json!({"id": "0af7651916cd43dd8448eb211c80319c", "parent": "b7ad6b7169203331", "sampled": false});
    assert_eq!(traces, [want.clone(), want.clone(), want, Value::Null]);
}
