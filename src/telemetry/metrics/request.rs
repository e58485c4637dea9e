//! How long whole requests take: from their first octets to when their answer is with the transport.
//!
//! Each thread counts for itself, so that no counter goes from processor to processor; what they counted is added up when
//! somebody asks.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use prometheus::core::Collector;
use prometheus::core::Desc;
use prometheus::proto;

use crate::model::dialect::Dialect;
use crate::telemetry::clock;
use crate::telemetry::metrics::SECONDS;

const NAME: &str = "postern_request_duration_seconds";
const HELP: &str = "Time from the first octets of a request to when its answer was handed to the transport";

/// The histogram of all threads.
#[derive(Clone)]
pub(super) struct RequestMetrics {
    desc: Arc<Desc>,
    threads: Arc<Mutex<Vec<Arc<Counted>>>>,
}

impl RequestMetrics {
    pub(super) fn new() -> Result<RequestMetrics, prometheus::Error> {
        let desc = Desc::new(NAME.to_owned(), HELP.to_owned(), vec!["dialect".to_owned()], HashMap::new())?;
        Ok(RequestMetrics { desc: Arc::new(desc), threads: Arc::default() })
    }

    /// One more thread that counts.
    pub(super) fn thread(&self) -> RequestTimes {
        let counted = Arc::<Counted>::default();
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&counted));
        RequestTimes(counted)
    }
}

impl Collector for RequestMetrics {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let metrics = Dialect::ALL.iter().map(|dialect| {
            let one = |counted: &Arc<Counted>| counted.dialects.get(*dialect as usize).map(Times::read);
            let total = threads.iter().filter_map(one).fold(Read::default(), Read::plus);
            let mut label = proto::LabelPair::default();
            label.set_name("dialect".to_owned());
            label.set_value(dialect.name().to_owned());
            let mut metric = proto::Metric::from_label(vec![label]);
            metric.set_histogram(total.histogram());
            metric
        });
        let mut family = proto::MetricFamily::default();
        family.set_name(NAME.to_owned());
        family.set_help(HELP.to_owned());
        family.set_field_type(proto::MetricType::HISTOGRAM);
        family.set_metric(metrics.collect());
        vec![family]
    }
}

/// Where one thread counts its requests.
#[derive(Clone)]
pub struct RequestTimes(Arc<Counted>);

impl RequestTimes {
    /// A request of this dialect, whose first octets arrived then. It is over when what is given is dropped.
    pub fn since(&self, arrived: Instant, dialect: Dialect) -> RequestTime {
        RequestTime { counted: Arc::clone(&self.0), arrived, dialect }
    }
}

/// One request under way; counted when it is dropped.
pub struct RequestTime {
    counted: Arc<Counted>,
    arrived: Instant,
    dialect: Dialect,
}

impl Drop for RequestTime {
    fn drop(&mut self) {
        if let Some(times) = self.counted.dialects.get(self.dialect as usize) {
            times.count(clock::instant().saturating_duration_since(self.arrived));
        }
    }
}

#[derive(Default)]
struct Counted {
    dialects: [Times; Dialect::ALL.len()],
}

/// The requests of one dialect by how long they took.
#[derive(Default)]
struct Times {
    /// Requests up to each bound and above the one before, then those above all.
    buckets: [AtomicU64; SECONDS.len() + 1],
    nanos: AtomicU64,
}

impl Times {
    fn count(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = SECONDS.iter().position(|bound| seconds <= *bound).unwrap_or(SECONDS.len());
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn read(&self) -> Read {
        let nanos = self.nanos.load(Ordering::Relaxed);
        Read { buckets: self.buckets.each_ref().map(|bucket| bucket.load(Ordering::Relaxed)), nanos }
    }
}

#[derive(Default)]
struct Read {
    buckets: [u64; SECONDS.len() + 1],
    nanos: u64,
}

impl Read {
    fn plus(mut self, other: Read) -> Read {
        for (bucket, more) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket += more;
        }
        self.nanos = self.nanos.wrapping_add(other.nanos);
        self
    }

    fn histogram(&self) -> proto::Histogram {
        let mut below = 0;
        let buckets = SECONDS.iter().zip(self.buckets).map(|(bound, count)| {
            below += count;
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(below);
            bucket
        });
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(self.buckets.iter().sum());
        histogram.set_sample_sum(Duration::from_nanos(self.nanos).as_secs_f64());
        histogram
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;
    use prometheus::TextEncoder;

    use super::*;

    #[test]
    fn what_threads_count_is_added_up() {
        let registry = Registry::new();
        let metrics = RequestMetrics::new().expect("a name");
        registry.register(Box::new(metrics.clone())).expect("one of its name");
        let threads = [metrics.thread(), metrics.thread()];
        for (thread, micros) in [(0, 10), (1, 11), (0, 2_000_000)] {
            let nginx = threads[thread].0.dialects.get(Dialect::Nginx as usize).expect("every dialect");
            nginx.count(Duration::from_micros(micros));
        }
        drop(threads[0].since(clock::instant(), Dialect::Caddy));
        let text = TextEncoder::new().encode_to_string(&registry.gather()).expect("text");
        for line in [
            "# TYPE postern_request_duration_seconds histogram",
            "postern_request_duration_seconds_bucket{dialect=\"nginx\",le=\"0.00001\"} 1",
            "postern_request_duration_seconds_bucket{dialect=\"nginx\",le=\"0.000025\"} 2",
            "postern_request_duration_seconds_bucket{dialect=\"nginx\",le=\"1\"} 2",
            "postern_request_duration_seconds_bucket{dialect=\"nginx\",le=\"+Inf\"} 3",
            "postern_request_duration_seconds_sum{dialect=\"nginx\"} 2.000021",
            "postern_request_duration_seconds_count{dialect=\"nginx\"} 3",
            "postern_request_duration_seconds_count{dialect=\"caddy\"} 1",
            "postern_request_duration_seconds_count{dialect=\"traefik\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
