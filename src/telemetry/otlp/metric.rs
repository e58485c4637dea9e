//! What Prometheus is shown, as OTLP metrics: counters and histograms add up since the start of the process.

use jiff::Timestamp;
use prometheus::proto;
use prometheus::proto::MetricType;

use crate::telemetry::otlp::nanos;
use crate::telemetry::otlp::text;
use crate::telemetry::otlp::wire::common::KeyValue;
use crate::telemetry::otlp::wire::metrics::AggregationTemporality;
use crate::telemetry::otlp::wire::metrics::Gauge;
use crate::telemetry::otlp::wire::metrics::Histogram;
use crate::telemetry::otlp::wire::metrics::HistogramDataPoint;
use crate::telemetry::otlp::wire::metrics::Metric;
use crate::telemetry::otlp::wire::metrics::NumberDataPoint;
use crate::telemetry::otlp::wire::metrics::Sum;
use crate::telemetry::otlp::wire::metrics::metric::Data;
use crate::telemetry::otlp::wire::metrics::number_data_point::Value;

/// The families as they stand now, counted since `started`. A name keeps no `_total`, as OpenTelemetry has it: whoever makes
/// Prometheus series of them adds it again.
pub(in crate::telemetry) fn metrics(
    families: &[proto::MetricFamily],
    started: Timestamp,
    now: Timestamp,
) -> Vec<Metric> {
    let span = Since { started: nanos(started), now: nanos(now) };
    families.iter().filter_map(|family| span.metric(family)).collect()
}

#[derive(Clone, Copy)]
struct Since {
    started: u64,
    now: u64,
}

impl Since {
    fn metric(self, family: &proto::MetricFamily) -> Option<Metric> {
        let cumulative = AggregationTemporality::Cumulative.into();
        let points = family.get_metric().iter();
        let data = match family.get_field_type() {
            MetricType::COUNTER => Data::Sum(Sum {
                data_points: points.map(|point| self.number(point, point.get_counter().get_value(), true)).collect(),
                aggregation_temporality: cumulative,
                is_monotonic: true,
            }),
            MetricType::GAUGE => Data::Gauge(Gauge {
                data_points: points.map(|point| self.number(point, point.get_gauge().get_value(), false)).collect(),
            }),
            MetricType::HISTOGRAM => Data::Histogram(Histogram {
                data_points: points.map(|point| self.histogram(point)).collect(),
                aggregation_temporality: cumulative,
            }),
            // We have none.
            MetricType::SUMMARY | MetricType::UNTYPED => return None,
        };
        let name = family.name();
        let unit = if name.contains("_seconds") { "s" } else { "" };
        Some(Metric {
            name: name.strip_suffix("_total").unwrap_or(name).to_owned(),
            description: family.help().to_owned(),
            unit: unit.to_owned(),
            data: Some(data),
        })
    }

    fn number(self, point: &proto::Metric, value: f64, adds_up: bool) -> NumberDataPoint {
        NumberDataPoint {
            start_time_unix_nano: if adds_up { self.started } else { 0 },
            time_unix_nano: self.now,
            value: Some(Value::AsDouble(value)),
            attributes: labels(point),
        }
    }

    /// Prometheus counts what is up to each bound, OTLP what lies between them.
    fn histogram(self, point: &proto::Metric) -> HistogramDataPoint {
        let histogram = point.get_histogram();
        let bounded = histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite());
        let mut below = 0;
        let mut between = |up_to: u64| up_to.saturating_sub(std::mem::replace(&mut below, up_to));
        let mut bucket_counts: Vec<u64> = bounded.clone().map(|bucket| between(bucket.cumulative_count())).collect();
        bucket_counts.push(between(histogram.get_sample_count()));
        HistogramDataPoint {
            start_time_unix_nano: self.started,
            time_unix_nano: self.now,
            count: bucket_counts.iter().sum(),
            sum: Some(histogram.get_sample_sum()),
            bucket_counts,
            explicit_bounds: bounded.map(proto::Bucket::upper_bound).collect(),
            attributes: labels(point),
        }
    }
}

fn labels(point: &proto::Metric) -> Vec<KeyValue> {
    point.get_label().iter().map(|label| text(label.name(), label.value())).collect()
}

#[cfg(test)]
mod tests {
    use prometheus::HistogramOpts;
    use prometheus::HistogramVec;
    use prometheus::IntCounterVec;
    use prometheus::IntGauge;
    use prometheus::Opts;
    use prometheus::Registry;

    use super::*;

    #[test]
    fn counters_add_up_gauges_stand_and_histograms_count_between_their_bounds() {
        let registry = Registry::new();
        let counter = IntCounterVec::new(Opts::new("a_total", "As"), &["route"]).expect("a counter");
        let gauge = IntGauge::new("b", "Bs").expect("a gauge");
        let options = HistogramOpts::new("c_seconds", "Cs").buckets(vec![0.1, 1.0]);
        let histogram = HistogramVec::new(options, &["dialect"]).expect("a histogram");
        for collector in [
            Box::new(counter.clone()) as Box<dyn prometheus::core::Collector>,
            Box::new(gauge.clone()),
            Box::new(histogram.clone()),
        ] {
            registry.register(collector).expect("one of its name");
        }
        counter.with_label_values(&["wiki"]).inc_by(3);
        gauge.set(-2);
        for seconds in [0.05, 0.5, 0.75, 7.0] {
            histogram.with_label_values(&["nginx"]).observe(seconds);
        }
        let at = |second| Timestamp::from_second(second).expect("a time");
        let point = |start_time_unix_nano, value, attributes| NumberDataPoint {
            start_time_unix_nano,
            time_unix_nano: 30_000_000_000,
            value: Some(Value::AsDouble(value)),
            attributes,
        };
        let metric = |name: &str, description: &str, unit: &str, data| Metric {
            name: name.to_owned(),
            description: description.to_owned(),
            unit: unit.to_owned(),
            data: Some(data),
        };
        let cumulative = AggregationTemporality::Cumulative.into();
        let counted = point(20_000_000_000, 3.0, vec![text("route", "wiki")]);
        let took = HistogramDataPoint {
            start_time_unix_nano: 20_000_000_000,
            time_unix_nano: 30_000_000_000,
            count: 4,
            sum: Some(8.3),
            bucket_counts: vec![1, 2, 1],
            explicit_bounds: vec![0.1, 1.0],
            attributes: vec![text("dialect", "nginx")],
        };
        assert_eq!(
            metrics(&registry.gather(), at(20), at(30)),
            [
                metric(
                    "a",
                    "As",
                    "",
                    Data::Sum(Sum {
                        data_points: vec![counted],
                        aggregation_temporality: cumulative,
                        is_monotonic: true
                    })
                ),
                metric("b", "Bs", "", Data::Gauge(Gauge { data_points: vec![point(0, -2.0, Vec::new())] })),
                metric(
                    "c_seconds",
                    "Cs",
                    "s",
                    Data::Histogram(Histogram { data_points: vec![took], aggregation_temporality: cumulative })
                ),
            ]
        );
    }
}
