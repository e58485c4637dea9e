//! What a collector is told by a running server: which traces go on, what stands in a span, and what becomes of spans when
//! the collector is away, slow, or refuses them.

mod collector;
mod rotel;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tempfile::TempDir;

use crate::otlp::collector::Collector;
use crate::otlp::collector::Mood;
use crate::otlp::collector::wait_until;
use crate::proxy::client;
use crate::proxy::ports;
use crate::proxy::process::Process;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A running `postern serve` that tells a collector.
struct Served {
    http: u16,
    admin: u16,
    folder: TempDir,
    process: Process,
}

impl Served {
    /// With this for `telemetry.otlp`.
    fn start(otlp: &str) -> Served {
        Served::start_with(otlp, "")
    }

    /// The same with more of a policy.
    fn start_with(otlp: &str, more: &str) -> Served {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
        let (http, admin) = (ports::free(), ports::free());
        let policy = format!(
            "version: 1\nlisten: {{grpc: 'unix:{}/grpc.sock', http: '127.0.0.1:{http}', admin: '127.0.0.1:{admin}'}}\n\
             telemetry: {{otlp: {{{otlp}}}}}\n{more}\nhosts: {{app.test: {{routes: [{{name: open, path: /open, public: true}}]}}}}\n...\n",
            folder.path().display()
        );
        fs::write(folder.path().join("policy.yaml"), policy).expect("a policy");
        fs::write(folder.path().join("header"), "Bearer of-the-collector\n").expect("a header");
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
        // Nobody has asked for these.
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://192.0.2.1:4317").env("OTEL_SERVICE_NAME", "somebody");
        command.args(["serve", "-c", "policy.yaml"]).current_dir(folder.path());
        let mut process = Process::start("postern", &mut command, &folder.path().join("log"));
        process.wait_until("/readyz", || {
            client::send(admin, b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .is_ok_and(|reply| reply.status == 200)
        });
        Served { http, admin, folder, process }
    }

    /// Ask about a path, with this for `traceparent`; whether it may pass.
    fn ask(&self, path: &str, traceparent: Option<&str>) -> bool {
        let trace = traceparent.map(|trace| format!("traceparent: {trace}\r\n")).unwrap_or_default();
        let question = format!(
            "GET /auth/nginx HTTP/1.1\r\nHost: postern\r\nConnection: close\r\nX-Forwarded-Method: GET\r\n\
             X-Forwarded-Proto: https\r\nX-Forwarded-Host: app.test\r\nX-Forwarded-Uri: {path}\r\n\
             X-Forwarded-For: 192.0.2.7\r\nAuthorization: Bearer canary-token\r\nCookie: session=canary-cookie\r\n{trace}\r\n"
        );
        client::send(self.http, question.as_bytes()).expect("an answer").status == 200
    }

    fn metric(&self, series: &str) -> u64 {
        let page = client::send(self.admin, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let page = page.expect("metrics").body;
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or_default()
    }

    /// End it as an operator does, and give its log.
    fn end(self) -> String {
        let Served { folder, process, .. } = self;
        drop(process);
        fs::read_to_string(folder.path().join("log")).expect("a log")
    }
}

fn told(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute))).collect()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[test]
fn a_trace_goes_on_over_grpc_and_over_http() {
    for (protocol, path, trace) in [
        ("grpc", "", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
        ("http", "/otlp/", "/otlp/v1/traces"),
    ] {
        let collector = Collector::start(ports::free(), Mood::Takes);
        let served = Served::start(&format!(
            "endpoint: 'http://127.0.0.1:{}{path}', protocol: {protocol}, headers: {{authorization: {{file: header}}}}, \
             service_name: edge, resource: {{deployment.environment.name: test}}, traces: {{sample: 0}}",
            collector.port
        ));
        assert!(served.ask("/open?token=canary-query", Some(&format!("00-{TRACE}-{PARENT}-01"))));
        assert!(served.ask("/open", Some(&format!("00-{TRACE}-{PARENT}-00"))), "not sampled");
        assert!(served.ask("/open", None), "chance says no");
        assert!(!served.ask("/closed", Some("00-00000000000000000000000000000001-0000000000000002-01")));
        collector.until("two spans", |collector| collector.spans().len() >= 2);
        let log = served.end();
        let spans = collector.spans();
        let [open, closed]: &[Span; 2] = spans.as_slice().try_into().unwrap_or_else(|_| panic!("{spans:?}"));
        assert_eq!((hex(&open.trace_id), hex(&open.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
        assert_eq!(hex(&closed.trace_id), "00000000000000000000000000000001");
        assert!(open.span_id.len() == 8 && open.span_id != closed.span_id);
        assert_eq!((open.kind(), open.flags, &*open.name), (SpanKind::Server, 0x301, "authorize"));
        assert!(open.start_time_unix_nano > 0 && open.end_time_unix_nano > open.start_time_unix_nano);
        let mut attributes = told(&open.attributes);
        for (varies, length) in [("postern.decision_id", 26), ("postern.policy", 64)] {
            assert_eq!(attributes.remove(varies).expect(varies).len(), length);
        }
        let want = [
            ("client.address", "192.0.2.7"),
            ("http.request.method", "GET"),
            ("http.response.status_code", "200"),
            ("postern.dialect", "nginx"),
            ("postern.effect", "allow"),
            ("postern.generation", "1"),
            ("postern.host_block", "app.test"),
            ("postern.reason", "public"),
            ("postern.route", "open"),
            ("postern.rule", "policy.yaml:5:29"),
            ("server.address", "app.test"),
            ("url.path", "/open"),
        ];
        assert_eq!(attributes, want.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        let denied = told(&closed.attributes);
        assert_eq!((&*denied["postern.effect"], &*denied["postern.reason"]), ("deny", "route_unknown"));
        let resource = told(&collector.resource_spans()[0].resource.as_ref().expect("a resource").attributes);
        assert_eq!(
            (&*resource["service.name"], &*resource["deployment.environment.name"]),
            ("edge", "test"),
            "{resource:?}"
        );
        for heard in collector.heard() {
            assert_eq!(heard.path, trace);
            assert_eq!(heard.headers["authorization"], "Bearer of-the-collector");
            let message = String::from_utf8_lossy(&heard.message).into_owned();
            assert!(!message.contains("canary"), "{message}");
        }
        assert!(!log.contains("canary") && !log.contains("of-the-collector"), "{log}");
    }
}

#[test]
fn a_request_without_a_trace_begins_one_by_chance() {
    let collector = Collector::start(ports::free(), Mood::Takes);
    let endpoint = format!("endpoint: 'http://127.0.0.1:{}'", collector.port);
    let served = Served::start(&format!("{endpoint}, traces: {{sample: 1, include_query: true}}"));
    assert!(served.ask("/open?a=b", None) && served.ask("/open?a=b", Some("malformed")));
    // At the end all are told, however short it was before.
    served.end();
    let spans = collector.spans();
    assert_eq!(spans.len(), 2);
    assert!(spans.iter().all(|span| span.parent_span_id.is_empty() && told(&span.attributes)["url.query"] == "a=b"));
    assert_ne!(spans[0].trace_id, spans[1].trace_id);
}

#[test]
fn spans_wait_for_a_collector_that_is_away() {
    let port = ports::free();
    let served = Served::start(&format!("endpoint: 'http://127.0.0.1:{port}', traces: {{sample: 1}}"));
    assert!(served.ask("/open", None));
    wait_until("a call that fails", || served.metric("postern_otlp_errors_total{signal=\"traces\"}") > 0);
    let collector = Collector::start(port, Mood::Takes);
    collector.until("the first span", |collector| collector.spans().len() == 1);
    drop(collector);
    assert!(served.ask("/open", None));
    let failed = served.metric("postern_otlp_errors_total{signal=\"traces\"}");
    wait_until("another", || served.metric("postern_otlp_errors_total{signal=\"traces\"}") > failed);
    let collector = Collector::start(port, Mood::Takes);
    collector.until("the second span", |collector| collector.spans().len() == 1);
    wait_until("an account", || served.metric("postern_otlp_sent_total{signal=\"traces\"}") == 2);
    assert_eq!(served.metric("postern_otlp_dropped_total{signal=\"traces\"}"), 0);
    let log = served.end();
    for line in ["the collector does not take calls", "the collector takes calls again"] {
        assert_eq!(log.matches(line).count(), 2, "{line}: {log}");
    }
}

#[test]
fn a_collector_that_never_answers_costs_spans_and_no_time() {
    let collector = Collector::start(ports::free(), Mood::Hangs);
    let endpoint = format!("endpoint: 'http://127.0.0.1:{}'", collector.port);
    let served = Served::start(&format!("{endpoint}, traces: {{sample: 1, queue: 4}}, metrics: {{interval: 60s}}"));
    assert!(served.ask("/open", None));
    collector.until("a call", |collector| !collector.heard().is_empty());
    let started = Instant::now();
    assert!((0..20).all(|_| served.ask("/open", None)));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(served.metric("postern_otlp_dropped_total{signal=\"traces\"}"), 16);
    let started = Instant::now();
    let log = served.end();
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    assert!(log.contains("\"stopped\""), "{log}");
    assert!(log.contains("the collector was not told of the last spans"), "{log}");
}

#[test]
fn what_is_refused_is_not_sent_again() {
    for protocol in ["grpc", "http"] {
        let collector = Collector::start(ports::free(), Mood::Refuses);
        let endpoint = format!("endpoint: 'http://127.0.0.1:{}', protocol: {protocol}", collector.port);
        let served = Served::start(&format!("{endpoint}, traces: {{sample: 1}}"));
        assert!(served.ask("/open", None));
        wait_until("a loss", || served.metric("postern_otlp_dropped_total{signal=\"traces\"}") == 1);
        served.end();
        assert_eq!(collector.heard().len(), 1);
    }
}

#[test]
fn metrics_are_told_now_and_then_and_at_the_end() {
    let collector = Collector::start(ports::free(), Mood::Takes);
    let endpoint = format!("endpoint: 'http://127.0.0.1:{}', protocol: http", collector.port);
    let served = Served::start(&format!("{endpoint}, metrics: {{interval: 1s}}"));
    collector.until("metrics", |collector| !collector.metrics().is_empty());
    let ready = |collector: &Collector| {
        let metrics = collector.metrics();
        let ready = metrics.iter().find(|metric| metric.name == "postern_ready").expect("a gauge");
        let Some(Data::Gauge(gauge)) = &ready.data else { panic!("{ready:?}") };
        gauge.data_points[0].value
    };
    assert_eq!(ready(&collector), Some(number_data_point::Value::AsDouble(1.0)));
    assert!(served.ask("/open", None) && !served.ask("/closed", None));
    served.end();
    assert_eq!(ready(&collector), Some(number_data_point::Value::AsDouble(0.0)), "it was about to end");
    let metrics = collector.metrics();
    let named = |name: &str| metrics.iter().find(|metric| metric.name == name).expect(name).data.clone().expect("data");
    let Data::Sum(decisions) = named("postern_decisions") else { panic!("a counter") };
    assert!(decisions.is_monotonic);
    assert_eq!(decisions.aggregation_temporality(), AggregationTemporality::Cumulative);
    let [allowed, denied] = &decisions.data_points[..] else { panic!("{decisions:?}") };
    assert_eq!(allowed.value, Some(number_data_point::Value::AsDouble(1.0)));
    assert!(0 < allowed.start_time_unix_nano && allowed.start_time_unix_nano < allowed.time_unix_nano);
    assert_eq!(told(&allowed.attributes)["route"], "app.test open");
    assert_eq!(told(&denied.attributes)["reason"], "route_unknown");
    let Data::Histogram(requests) = named("postern_request_duration_seconds") else { panic!("a histogram") };
    let nginx = requests.data_points.iter().find(|point| told(&point.attributes)["dialect"] == "nginx");
    let nginx = nginx.expect("nginx asked");
    assert_eq!((nginx.count, nginx.bucket_counts.iter().sum::<u64>()), (2, 2));
    assert_eq!(nginx.bucket_counts.len(), nginx.explicit_bounds.len() + 1);
    assert!(nginx.sum.is_some_and(|sum| sum > 0.0));
}

#[test]
fn audit_lines_are_log_records_to_the_octet() {
    for protocol in ["grpc", "http"] {
        let collector = Collector::start(ports::free(), Mood::Takes);
        let endpoint = format!("endpoint: 'http://127.0.0.1:{}', protocol: {protocol}", collector.port);
        let served = Served::start_with(&endpoint, "audit: {otlp: true}");
        assert!(served.ask("/open", None) && !served.ask("/closed", None));
        served.end();
        let records = collector.records();
        let bodies: Vec<_> = records
            .iter()
            .map(|record| match record.body.as_ref().and_then(|body| body.value.as_ref()) {
                Some(Value::StringValue(line)) => line.clone(),
                other => panic!("{other:?}"),
            })
            .collect();
        let told: Vec<_> = records
            .iter()
            .map(|record| (&*record.severity_text, record.severity_number, &*record.event_name))
            .collect();
        let (event, decision) = ("postern.audit", "postern.decision");
        assert_eq!(told, [("INFO", 9, event), ("INFO", 9, decision), ("WARN", 13, decision), ("INFO", 9, event)]);
        let line: serde_json::Value = serde_json::from_str(&bodies[2]).expect("JSON");
        let attributes = crate::otlp::told(&records[2].attributes);
        assert_eq!(line["id"], *attributes["postern.decision_id"]);
        assert_eq!((&line["effect"], &*attributes["postern.effect"]), (&"deny".into(), "deny"));
        assert!(records.iter().all(|record| record.time_unix_nano > 0));
        // What the collector has can be judged like a file.
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
        fs::write(folder.path().join("received.jsonl"), bodies.join("\n") + "\n").expect("written");
        let mut verify = Command::new(env!("CARGO_BIN_EXE_postern"));
        let verified = verify.args(["audit", "verify", "received.jsonl"]).current_dir(folder.path()).output();
        let verified = verified.expect("it runs");
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    }
}

#[test]
fn audit_lines_wait_for_a_collector_that_is_away() {
    let port = ports::free();
    let endpoint = format!("endpoint: 'http://127.0.0.1:{port}'");
    let served = Served::start_with(&endpoint, "audit: {otlp: true}");
    assert!(served.ask("/open", None));
    wait_until("a call that fails", || served.metric("postern_audit_sink_failing{sink=\"otlp\"}") == 1);
    let collector = Collector::start(port, Mood::Takes);
    collector.until("both lines", |collector| collector.records().len() == 2);
    served.end();
    assert_eq!(collector.records().len(), 3, "and the end of the log");
}
