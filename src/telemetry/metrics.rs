//! The Prometheus metrics. Labels come only from closed sets and configured names, so nobody outside can add a series (F8).

mod audit;
mod export;
pub(super) mod introspection;
mod keys;
mod limit;
mod reload;
mod request;
mod standing;

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use prometheus::Gauge;
use prometheus::Histogram;
use prometheus::HistogramOpts;
use prometheus::HistogramVec;
use prometheus::IntCounter;
use prometheus::IntCounterVec;
use prometheus::IntGauge;
use prometheus::IntGaugeVec;
use prometheus::Opts;
use prometheus::Registry;
use prometheus::TextEncoder;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;

use crate::model::dialect::Dialect;
use crate::model::key_status::KeyStatus;
use crate::model::key_use::KeyUse;
use crate::model::limit::Asked;
use crate::model::record::Record;
use crate::model::reload::ReloadResult;
use crate::telemetry::clock;
use crate::telemetry::key_uses::KeyUses;
pub use crate::telemetry::metrics::audit::AuditMetrics;
pub use crate::telemetry::metrics::audit::SinkMetrics;
use crate::telemetry::metrics::export::ExportCounters;
pub use crate::telemetry::metrics::export::ExportMetrics;
pub use crate::telemetry::metrics::export::Signal;
use crate::telemetry::metrics::keys::KeyMetrics;
use crate::telemetry::metrics::limit::LimitMetrics;
use crate::telemetry::metrics::reload::ReloadMetrics;
use crate::telemetry::metrics::request::RequestMetrics;
pub use crate::telemetry::metrics::request::RequestTime;
pub use crate::telemetry::metrics::request::RequestTimes;
pub use crate::telemetry::metrics::standing::Standing;
use crate::telemetry::metrics::standing::StandingMetrics;
use crate::telemetry::tally;

/// Upper bounds in seconds: a cached decision takes microseconds, a key fetch up to a second.
const SECONDS: [f64; 16] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
    0.5, 1.0,
];

/// Every metric of the process.
pub struct Metrics {
    id: u64,
    registry: Registry,
    decisions: IntCounterVec,
    durations: Vec<Histogram>,
    requests: RequestMetrics,
    ignored_forwarding: IntCounter,
    dropped_groups: IntCounter,
    dropped_values: IntCounter,
    spoofed: IntCounter,
    unknown_paths: IntCounter,
    admin_refused: IntCounter,
    late_checks: IntCounter,
    connections: IntGaugeVec,
    connections_refused: IntCounterVec,
    keys: KeyMetrics,
    audit: AuditMetrics,
    reloads: ReloadMetrics,
    limits: LimitMetrics,
    standing: StandingMetrics,
    export: ExportCounters,
    key_uses: KeyUses,
    insecure: IntGaugeVec,
    started: Timestamp,
    uptime: Gauge,
    gathering: Mutex<()>,
}

impl Metrics {
    pub(super) fn new() -> Result<Metrics, prometheus::Error> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let registry = Registry::new();
        let durations = keep(
            &registry,
            HistogramVec::new(
                HistogramOpts::new("postern_decision_duration_seconds", "Time from reading a check to its answer")
                    .buckets(SECONDS.to_vec()),
                &["dialect"],
            )?,
        )?;
        let build = gauges(&registry, "postern_build_info", "Always 1; the version is in the label", &["version"])?;
        build.get_metric_with_label_values(&[env!("CARGO_PKG_VERSION")])?.set(1);
        let started = clock::now();
        keep(&registry, Gauge::new("process_start_time_seconds", "When the process started, in seconds since 1970")?)?
            .set(started.as_millisecond() as f64 / 1000.0);
        let count = |name: &str, help: &str| keep(&registry, IntCounter::new(name, help)?);
        Ok(Metrics {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            decisions: counters(
                &registry,
                "postern_decisions_total",
                "Checks answered",
                &["dialect", "route", "effect", "reason"],
            )?,
            durations: Dialect::ALL
                .iter()
                .map(|dialect| durations.get_metric_with_label_values(&[dialect.name()]))
                .collect::<Result<_, _>>()?,
            requests: keep(&registry, RequestMetrics::new()?)?,
            ignored_forwarding: count(
                "postern_ignored_forwarding_headers_total",
                "Forwarding headers that the dialect does not read and that were ignored",
            )?,
            dropped_groups: count(
                "postern_dropped_groups_total",
                "Groups left out of identity headers because they do not fit",
            )?,
            dropped_values: count(
                "postern_dropped_values_total",
                "Names and mail addresses left out of identity headers because they do not fit",
            )?,
            spoofed: count(
                "postern_spoofed_headers_total",
                "Identity headers sent by clients that a weakened spoof guard let through to be overwritten",
            )?,
            unknown_paths: count(
                "postern_unknown_paths_total",
                "Requests to the HTTP listener outside the paths of the dialects, all refused",
            )?,
            admin_refused: count(
                "postern_admin_refused_total",
                "Requests to change something on the admin listener that came without a right to",
            )?,
            late_checks: count(
                "postern_late_checks_total",
                "Checks that waited for their turn longer than a quarter of their caller's patience, answered or not",
            )?,
            connections: gauges(&registry, "postern_connections", "Open connections", &["listener"])?,
            connections_refused: counters(
                &registry,
                "postern_connections_refused_total",
                "Connections closed at once: by a stranger, past a limit, or failed to be accepted",
                &["listener", "cause"],
            )?,
            keys: KeyMetrics::new(&registry)?,
            audit: AuditMetrics::new(&registry)?,
            reloads: ReloadMetrics::new(&registry)?,
            limits: LimitMetrics::new(&registry)?,
            standing: StandingMetrics::new(&registry)?,
            export: ExportCounters::new(&registry)?,
            key_uses: KeyUses::new(&registry)?,
            insecure: gauges(
                &registry,
                "postern_insecure_switch",
                "1 for each `insecure_` switch that is on",
                &["switch"],
            )?,
            uptime: keep(&registry, Gauge::new("postern_uptime_seconds", "Time since the process started")?)?,
            started,
            gathering: Mutex::new(()),
            registry,
        })
    }

    /// Count one decision.
    pub(super) fn count(&self, record: &Record<'_>) {
        tally::count(self.id, record, |record| self.decision_counter(record));
        if let (Some(histogram), Some(took)) = (self.durations.get(record.dialect as usize), record.took) {
            histogram.observe(took.as_secs_f64());
        }
        self.limits.count(record.limits);
        let counts = &record.counts;
        add(&self.ignored_forwarding, counts.ignored_forwarding);
        add(&self.dropped_groups, counts.dropped_groups);
        add(&self.dropped_values, counts.dropped_values);
        add(&self.spoofed, counts.spoofed);
    }

    /// One request to a path of the HTTP listener that is no dialect's.
    pub fn unknown_path(&self) {
        self.unknown_paths.inc();
    }

    /// One question to the shared store of limits has ended so, after this time.
    pub fn asked_limits(&self, how: Asked, took: Duration) {
        self.limits.asked(how, took);
    }

    /// Somebody wanted to change something on the admin listener who may not.
    pub fn admin_refused(&self) {
        self.admin_refused.inc();
    }

    /// One check whose turn came late.
    pub fn late_check(&self) {
        self.late_checks.inc();
    }

    /// How the audit log stands.
    pub fn audit(&self) -> AuditMetrics {
        self.audit.clone()
    }

    /// How telling a collector goes.
    pub fn export(&self, signal: Signal) -> Result<ExportMetrics, prometheus::Error> {
        self.export.of(signal)
    }

    /// How a reload ended; `generation` and `policy` are then in force.
    pub fn reloaded(&self, result: ReloadResult, generation: u64, policy: &str) {
        self.reloads.ended(result, clock::now(), generation, policy);
    }

    /// The policy that was read first is in force.
    pub fn in_force(&self, generation: u64, policy: &str) {
        self.reloads.in_force(clock::now(), generation, policy);
    }

    /// Where one more thread counts how long whole requests take.
    pub fn requests(&self) -> RequestTimes {
        self.requests.thread()
    }

    /// How we stand now.
    pub fn show_standing(&self, standing: &Standing) {
        let _alone = self.gathering.lock().unwrap_or_else(PoisonError::into_inner);
        self.limits.show(standing.limits);
        self.limits.show_shared(standing.shared_limits.as_ref());
        self.standing.show(standing);
    }

    /// From now on we are not ready, however we stand.
    pub fn stopping(&self) {
        self.standing.stop();
    }

    /// When API keys were last used: these, and only these, are shown.
    pub fn show_key_uses(&self, uses: &[KeyUse]) {
        self.key_uses.show(uses);
    }

    /// These, and only these, `insecure_` switches are on in the policy in force.
    pub fn insecure_switches<'a>(&self, switches: impl IntoIterator<Item = &'a str>) {
        self.insecure.reset();
        for switch in switches {
            set(&self.insecure, &[switch], 1);
        }
    }

    pub(super) fn listener(&self, name: &'static str) -> ListenerMetrics {
        let gauge = self.connections.get_metric_with_label_values(&[name]).ok();
        for cause in Refused::ALL {
            // From nought on, so that the first refusal is seen as a rise.
            let _ = self.connections_refused.get_metric_with_label_values(&[name, cause.name()]);
        }
        ListenerMetrics { name, open: gauge, refused: self.connections_refused.clone() }
    }

    /// When the process started.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// Every family as it stands now.
    pub(super) fn families(&self, now: Timestamp, keys: &[KeyStatus]) -> Vec<MetricFamily> {
        // Two at once could see each other's gauges half filled.
        let _alone = self.gathering.lock().unwrap_or_else(PoisonError::into_inner);
        self.keys.show(now, keys);
        self.uptime.set(now.duration_since(self.started).as_secs_f64().max(0.0));
        self.registry.gather()
    }

    pub(super) fn gather(&self, now: Timestamp, keys: &[KeyStatus]) -> String {
        let mut text = String::with_capacity(16 * 1024);
        // A family that cannot be written is left out; the others are worth more than an error.
        for family in self.families(now, keys) {
            let before = text.len();
            if TextEncoder::new().encode_utf8(&[family], &mut text).is_err() {
                text.truncate(before);
            }
        }
        text
    }

    fn decision_counter(&self, record: &Record<'_>) -> Option<IntCounter> {
        let decision = record.decision;
        let route = decision.route.as_ref().map(|route| route.to_string()).unwrap_or_default();
        let labels = [record.dialect.name(), &route, decision.effect().name(), decision.reason.code()];
        self.decisions.get_metric_with_label_values(&labels).ok()
    }
}

/// The counters of one listener.
#[derive(Clone)]
pub struct ListenerMetrics {
    name: &'static str,
    open: Option<IntGauge>,
    refused: IntCounterVec,
}

impl ListenerMetrics {
    /// The listener's name, as the label has it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Open connections.
    pub fn open(&self) -> i64 {
        self.open.as_ref().map(IntGauge::get).unwrap_or_default()
    }

    /// A connection was opened.
    pub fn opened(&self) {
        if let Some(gauge) = &self.open {
            gauge.inc();
        }
    }

    /// A connection was closed.
    pub fn closed(&self) {
        if let Some(gauge) = &self.open {
            gauge.dec();
        }
    }

    /// A connection was closed before anything was read from it.
    pub fn refused(&self, cause: Refused) {
        inc(&self.refused, &[self.name, cause.name()]);
    }
}

/// Why a connection was not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The peer is not among `callers`.
    Caller,
    /// All connections are taken.
    Limit,
    /// This peer has all it may have.
    PeerLimit,
    /// The system could not hand it over: no file descriptors, no memory.
    System,
    /// The TLS handshake failed: no TLS, no certificate that we take, or not in time.
    Handshake,
}

impl Refused {
    /// Every cause.
    pub const ALL: [Refused; 5] =
        [Refused::Caller, Refused::Limit, Refused::PeerLimit, Refused::System, Refused::Handshake];

    /// The label.
    pub fn name(self) -> &'static str {
        match self {
            Refused::Caller => "caller",
            Refused::Limit => "limit",
            Refused::PeerLimit => "peer_limit",
            Refused::System => "system",
            Refused::Handshake => "handshake",
        }
    }
}

fn keep<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

pub(super) fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, prometheus::Error> {
    keep(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

pub(super) fn gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntGaugeVec, prometheus::Error> {
    keep(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
}

fn add(counter: &IntCounter, by: u32) {
    if by > 0 {
        counter.inc_by(u64::from(by));
    }
}

fn inc(counters: &IntCounterVec, labels: &[&str]) {
    if let Ok(counter) = counters.get_metric_with_label_values(labels) {
        counter.inc();
    }
}

fn set(gauges: &IntGaugeVec, labels: &[&str], value: i64) {
    if let Ok(gauge) = gauges.get_metric_with_label_values(labels) {
        gauge.set(value);
    }
}

#[cfg(test)]
mod tests;
