use std::net::IpAddr;
use std::time::Duration;

use super::*;
use crate::model::client_ip::ClientAddress;
use crate::model::decision::Decision;
use crate::model::decision::RouteId;
use crate::model::dialect::Dialect;
use crate::model::problem::Place;
use crate::model::reason::Reason;
use crate::model::record::Client;
use crate::model::record::Counts;
use crate::model::trace::TraceContext;
use crate::telemetry::Telemetry;
use crate::telemetry::metrics::Signal;
use crate::telemetry::otlp::wire::common::any_value::Value;

const PARENT: TraceContext = TraceContext { trace_id: [7; 16], parent: [9; 8], sampled: true };

fn tracing(sample: f64) -> Tracing {
    Tracing { sample, follow_parent: true, include_query: false, include_user: false, queue: 8 }
}

/// The spans of decisions with these numbers and this parent.
async fn spans(settings: &Tracing, numbers: std::ops::Range<u128>, trace: Option<TraceContext>) -> Vec<Span> {
    let outbox = Arc::new(Outbox::new(100_000));
    let metrics = Telemetry::new().expect("telemetry").metrics().export(Signal::Traces).expect("counters");
    let tracer = Tracer::new(settings, Arc::clone(&outbox), metrics);
    let policy: Arc<str> = "digest".into();
    let route = RouteId { host: "wiki.test".into(), name: "pages".into(), place: Place::whole("policy.yaml") };
    let decision = Decision {
        route: Some(Arc::new(route)),
        place: Some(Place::whole("policy.yaml")),
        ..Decision::deny(Reason::RequirementFailed)
    };
    for number in numbers {
        tracer.record(&Record {
            at: jiff::Timestamp::from_second(1_800_000_000).expect("a time"),
            decision_id: DecisionId(1_800_000_000_000 << 80 | 77 << 48 | number),
            dialect: Dialect::Nginx,
            decision: &decision,
            status: 403,
            method: Some("GET"),
            host: Some("wiki.test"),
            path: Some("/pages"),
            query: Some("token=canary"),
            client: Some(Client { address: ClientAddress::Known(IpAddr::from([192, 0, 2, 7])), from: "dialect" }),
            mentioned: None,
            policy: &policy,
            generation: 3,
            took: Some(Duration::from_micros(40)),
            trace,
            replay: None,
            detail: Some("a detail that is for the log"),
            limits: &[],
            counts: Counts::default(),
        });
    }
    outbox.close();
    outbox.take(usize::MAX, usize::MAX, Duration::ZERO).await
}

#[tokio::test]
async fn the_caller_says_which_requests_have_a_span_and_chance_says_it_of_others() {
    let unsampled = Some(TraceContext { sampled: false, ..PARENT });
    let ignoring = |sample| Tracing { follow_parent: false, ..tracing(sample) };
    for (settings, trace, want) in [
        (tracing(0.0), None, 0),
        (tracing(1.0), None, 100),
        (tracing(0.0), Some(PARENT), 100),
        (tracing(1.0), unsampled, 0),
        (ignoring(0.0), Some(PARENT), 0),
        (ignoring(1.0), unsampled, 100),
    ] {
        assert_eq!(spans(&settings, 0..100, trace).await.len(), want, "{settings:?} {trace:?}");
    }
    for settings in [tracing(0.1), ignoring(0.1)] {
        let some = spans(&settings, 0..10_000, (!settings.follow_parent).then_some(PARENT)).await.len();
        assert!((800..1200).contains(&some), "{some} of 10000");
    }
}

#[tokio::test]
async fn no_two_spans_have_the_same_name() {
    let spans = spans(&tracing(1.0), 0..1000, None).await;
    let names = |name: fn(&Span) -> Vec<u8>| spans.iter().map(name).collect::<std::collections::HashSet<_>>();
    assert_eq!(names(|span| span.trace_id.clone()).len(), 1000);
    assert_eq!(names(|span| span.span_id.clone()).len(), 1000);
    assert!(spans.iter().all(|span| span.trace_id.len() == 16 && span.span_id.len() == 8));
    assert!(spans.iter().all(|span| span.parent_span_id.is_empty() && span.flags == 0x101));
}

#[tokio::test]
async fn a_span_tells_of_the_decision_and_of_nothing_that_was_not_asked_for() {
    let [span] = &spans(&tracing(0.0), 5..6, Some(PARENT)).await[..] else { panic!("one span") };
    assert_eq!((&span.trace_id[..], &span.parent_span_id[..]), (&[7; 16][..], &[9; 8][..]));
    assert_eq!((span.flags, span.kind, &*span.name), (0x301, 2, "authorize"));
    assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 40_000);
    let told = |span: &Span| {
        let text = |value: &Value| match value {
            Value::StringValue(text) => text.clone(),
            Value::IntValue(number) => number.to_string(),
            Value::BoolValue(_) | Value::DoubleValue(_) => panic!("{value:?}"),
        };
        let one = |attribute: &crate::telemetry::otlp::wire::common::KeyValue| {
            let value = attribute.value.as_ref().and_then(|any| any.value.as_ref()).expect("a value");
            (attribute.key.clone(), text(value))
        };
        let mut told: Vec<_> =
            span.attributes.iter().map(one).filter(|(key, _)| key != "postern.decision_id").collect();
        told.sort();
        told
    };
    let usual = [
        ("client.address", "192.0.2.7"),
        ("http.request.method", "GET"),
        ("http.response.status_code", "403"),
        ("postern.dialect", "nginx"),
        ("postern.effect", "deny"),
        ("postern.generation", "3"),
        ("postern.host_block", "wiki.test"),
        ("postern.policy", "digest"),
        ("postern.reason", "requirement_failed"),
        ("postern.route", "pages"),
        ("postern.rule", "policy.yaml:1:1"),
        ("server.address", "wiki.test"),
        ("url.path", "/pages"),
    ];
    assert_eq!(told(span), usual.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let asked = Tracing { include_query: true, ..tracing(1.0) };
    let [span] = &spans(&asked, 5..6, None).await[..] else { panic!("one span") };
    assert!(told(span).contains(&("url.query".to_owned(), "token=canary".to_owned())));
}
