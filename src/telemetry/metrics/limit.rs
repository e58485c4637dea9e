//! What limits did, and how the store of budgets stands.

use prometheus::IntCounter;
use prometheus::IntCounterVec;
use prometheus::IntGauge;
use prometheus::Registry;

use crate::model::limit::StoreStatus;
use crate::model::limit::Weighed;
use crate::telemetry::metrics::counters;
use crate::telemetry::metrics::inc;
use crate::telemetry::metrics::keep;

pub(super) struct LimitMetrics {
    requests: IntCounterVec,
    places: IntGauge,
    held: IntGauge,
    forgotten: IntCounter,
    turned_away: IntCounter,
}

impl LimitMetrics {
    pub(super) fn new(registry: &Registry) -> Result<LimitMetrics, prometheus::Error> {
        let gauge = |name: &str, help: &str| keep(registry, IntGauge::new(name, help)?);
        let counter = |name: &str, help: &str| keep(registry, IntCounter::new(name, help)?);
        Ok(LimitMetrics {
            requests: counters(
                registry,
                "postern_limit_requests_total",
                "Requests counted by a limit: it had room, refused, or (shadow) would have refused",
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
        })
    }

    pub(super) fn count(&self, limits: &[Weighed]) {
        for Weighed { limit, outcome } in limits {
            inc(&self.requests, &[limit, outcome.name()]);
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
