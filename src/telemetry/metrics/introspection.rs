//! How asking providers about tokens stands. The numbers live with those who ask; here they are only written down, each
//! time anew.

use prometheus::IntCounterVec;
use prometheus::IntGaugeVec;
use prometheus::Registry;
use prometheus::TextEncoder;
use prometheus::proto::MetricFamily;

use crate::model::introspection_status::IntrospectionStatus;
use crate::telemetry::metrics::counters;
use crate::telemetry::metrics::gauges;
use crate::telemetry::metrics::set;

/// The statuses in the Prometheus text format; nothing where there are none.
pub(in crate::telemetry) fn gather(statuses: &[IntrospectionStatus]) -> String {
    TextEncoder::new().encode_to_string(&families(statuses)).unwrap_or_default()
}

/// The statuses, one family a number.
pub(in crate::telemetry) fn families(statuses: &[IntrospectionStatus]) -> Vec<MetricFamily> {
    show(statuses).map(|registry| registry.gather()).unwrap_or_default()
}

fn show(statuses: &[IntrospectionStatus]) -> Result<Registry, prometheus::Error> {
    let registry = Registry::new();
    let calls: IntCounterVec = counters(
        &registry,
        "postern_introspection_calls_total",
        "Calls to the provider of an identity source: the token was good, refused, or the call failed",
        &["source", "outcome"],
    )?;
    let recalled = counters(
        &registry,
        "postern_introspection_recalled_total",
        "Requests answered by what the provider of an identity source said a moment ago",
        &["source"],
    )?;
    let held_back = counters(
        &registry,
        "postern_introspection_held_back_total",
        "Requests refused because the provider of an identity source could not be called now",
        &["source"],
    )?;
    let in_flight: IntGaugeVec = gauges(
        &registry,
        "postern_introspection_calls_in_flight",
        "Calls to the provider of an identity source under way",
        &["source"],
    )?;
    let breaker_open = gauges(
        &registry,
        "postern_introspection_breaker_open",
        "1 while the provider of an identity source is left alone because it failed several times in a row",
        &["source"],
    )?;
    for status in statuses {
        let source = &*status.source;
        for (outcome, number) in [("active", status.active), ("refused", status.refused), ("failed", status.failed)] {
            calls.get_metric_with_label_values(&[source, outcome])?.inc_by(number);
        }
        recalled.get_metric_with_label_values(&[source])?.inc_by(status.recalled);
        held_back.get_metric_with_label_values(&[source])?.inc_by(status.held_back);
        set(&in_flight, &[source], i64::try_from(status.in_flight).unwrap_or(i64::MAX));
        set(&breaker_open, &[source], i64::from(status.breaker_open));
    }
    Ok(registry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_a_source_is_a_series() {
        let status = IntrospectionStatus {
            source: "legacy".into(),
            active: 1,
            refused: 2,
            failed: 3,
            held_back: 4,
            recalled: 5,
            in_flight: 6,
            breaker_open: true,
        };
        let text = gather(&[status]);
        let series: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            series,
            [
                "postern_introspection_breaker_open{source=\"legacy\"} 1",
                "postern_introspection_calls_in_flight{source=\"legacy\"} 6",
                "postern_introspection_calls_total{outcome=\"active\",source=\"legacy\"} 1",
                "postern_introspection_calls_total{outcome=\"failed\",source=\"legacy\"} 3",
                "postern_introspection_calls_total{outcome=\"refused\",source=\"legacy\"} 2",
                "postern_introspection_held_back_total{source=\"legacy\"} 4",
                "postern_introspection_recalled_total{source=\"legacy\"} 5",
            ]
        );
        assert_eq!(gather(&[]), "");
    }
}
