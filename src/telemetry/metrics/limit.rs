//! What limits did, and how the store of budgets stands.

use std::time::Duration;

use prometheus::HistogramOpts;
use prometheus::HistogramVec;
use prometheus::IntCounter;
use prometheus::IntCounterVec;
use prometheus::IntGauge;
use prometheus::IntGaugeVec;
use prometheus::Registry;

use crate::model::limit::Asked;
use crate::model::limit::SharedStatus;
use crate::model::limit::StoreStatus;
use crate::model::limit::Weighed;
use crate::telemetry::metrics::counters;
use crate::telemetry::metrics::gauges;
use crate::telemetry::metrics::inc;
use crate::telemetry::metrics::keep;

pub(super) struct LimitMetrics {
    requests: IntCounterVec,
    places: IntGauge,
    held: IntGauge,
    forgotten: IntCounter,
    turned_away: IntCounter,
    store_up: IntGaugeVec,
    store_connections: IntCounter,
    store_spared: IntCounter,
    store_asked: HistogramVec,
}

/// From a tenth of a millisecond: a store stands near, or its deadline is small.
const ASKED_SECONDS: [f64; 9] = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25];

impl LimitMetrics {
    pub(super) fn new(registry: &Registry) -> Result<LimitMetrics, prometheus::Error> {
        let gauge = |name: &str, help: &str| keep(registry, IntGauge::new(name, help)?);
        let counter = |name: &str, help: &str| keep(registry, IntCounter::new(name, help)?);
        Ok(LimitMetrics {
            requests: counters(
                registry,
                "postern_limit_requests_total",
                "Requests by limit: it had room, refused, or (shadow) would have refused; without its store it was uncounted or unavailable",
                &["limit", "outcome"],
            )?,
            places: gauge("postern_limit_places", "Places for budgets; 0 where nothing is limited")?,
            held: gauge("postern_limit_places_held", "Places that hold a budget")?,
            forgotten: counter(
                "postern_limit_forgotten_total",
                "Budgets that were given up for others before they were full again; none of them was used up",
            )?,
            turned_away: counter(
                "postern_limit_turned_away_total",
                "Requests refused because every place for their budget is held by somebody who is past a limit",
            )?,
            store_up: gauges(
                registry,
                "postern_limit_store_up",
                "1 when the shared store of limits can be asked; not there where the policy names none",
                &[],
            )?,
            store_connections: counter(
                "postern_limit_store_connections_total",
                "Connections made to the shared store of limits",
            )?,
            store_spared: counter(
                "postern_limit_store_spared_total",
                "Requests refused without asking the shared store, because it had just said that it would",
            )?,
            store_asked: keep(
                registry,
                HistogramVec::new(
                    HistogramOpts::new(
                        "postern_limit_store_asked_seconds",
                        "How long questions to the shared store of limits took, by how they ended",
                    )
                    .buckets(ASKED_SECONDS.to_vec()),
                    &["outcome"],
                )?,
            )?,
        })
    }

    pub(super) fn count(&self, limits: &[Weighed]) {
        for Weighed { limit, outcome } in limits {
            inc(&self.requests, &[limit, outcome.name()]);
        }
    }

    pub(super) fn asked(&self, how: Asked, took: Duration) {
        if let Ok(histogram) = self.store_asked.get_metric_with_label_values(&[how.name()]) {
            histogram.observe(took.as_secs_f64());
        }
    }

    pub(super) fn show_shared(&self, status: Option<&SharedStatus>) {
        self.store_up.reset();
        let Some(status) = status else { return };
        self.store_up.with_label_values::<&str>(&[]).set(i64::from(status.up));
        for (counter, number) in [(&self.store_connections, status.connections), (&self.store_spared, status.spared)] {
            counter.reset();
            counter.inc_by(number);
        }
    }

    pub(super) fn show(&self, status: StoreStatus) {
        for (gauge, number) in [(&self.places, status.places), (&self.held, status.held)] {
            gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
        }
        for (counter, number) in [(&self.forgotten, status.forgotten), (&self.turned_away, status.turned_away)] {
            counter.reset();
            counter.inc_by(number);
        }
    }
}
