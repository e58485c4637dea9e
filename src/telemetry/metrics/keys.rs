//! How the keys of issuers stand, and the tokens verified with them. One series a source; those of sources that are gone
//! go with them.

use jiff::Timestamp;
use prometheus::IntCounterVec;
use prometheus::IntGaugeVec;
use prometheus::Registry;

use crate::model::key_status::KeyStatus;
use crate::telemetry::metrics::counters;
use crate::telemetry::metrics::gauges;
use crate::telemetry::metrics::set;

/// Filled from the statuses whenever the metrics are asked for.
pub(super) struct KeyMetrics {
    held: IntGaugeVec,
    left_out: IntGaugeVec,
    refreshed: IntGaugeVec,
    age: IntGaugeVec,
    next: IntGaugeVec,
    failures: IntGaugeVec,
    fetches: IntCounterVec,
    changes: IntCounterVec,
    not_kept: IntCounterVec,
    token_lookups: IntCounterVec,
    tokens: IntGaugeVec,
}

impl KeyMetrics {
    pub(super) fn new(registry: &Registry) -> Result<KeyMetrics, prometheus::Error> {
        let gauges = |name, help| gauges(registry, name, help, &["source"]);
        let counters = |name, help, labels: &[&str]| counters(registry, name, help, labels);
        Ok(KeyMetrics {
            held: gauges("postern_keys", "Verification keys held for an identity source")?,
            left_out: gauges("postern_keys_left_out", "Published keys of an identity source that are not used")?,
            refreshed: gauges(
                "postern_keys_refreshed_timestamp_seconds",
                "When the keys of an identity source were last fetched, in seconds since 1970",
            )?,
            age: gauges("postern_keys_age_seconds", "Time since the keys of an identity source were last fetched")?,
            next: gauges(
                "postern_keys_next_refresh_timestamp_seconds",
                "When the keys of an identity source are fetched next, in seconds since 1970",
            )?,
            failures: gauges(
                "postern_keys_refresh_failures",
                "Failed fetches of the keys of an identity source since the last good one",
            )?,
            fetches: counters(
                "postern_keys_fetches_total",
                "Fetches of the keys of an identity source",
                &["source", "outcome"],
            )?,
            changes: counters(
                "postern_keys_changes_total",
                "Exchanges of the key set of an identity source for another",
                &["source"],
            )?,
            not_kept: counters(
                "postern_keys_not_kept_total",
                "Times the keys of an identity source could not be kept in the state folder",
                &["source"],
            )?,
            token_lookups: counters(
                "postern_token_cache_lookups_total",
                "Tokens looked for among the verified tokens of an identity source",
                &["source", "outcome"],
            )?,
            tokens: gauges("postern_token_cache_tokens", "Verified tokens of an identity source that are remembered")?,
        })
    }

    /// These, and only these, sources have keys.
    pub(super) fn show(&self, now: Timestamp, statuses: &[KeyStatus]) {
        for gauges in [&self.held, &self.left_out, &self.refreshed, &self.age, &self.next, &self.failures, &self.tokens]
        {
            gauges.reset();
        }
        for counters in [&self.fetches, &self.changes, &self.not_kept, &self.token_lookups] {
            counters.reset();
        }
        for status in statuses {
            self.show_one(now, status);
        }
    }

    fn show_one(&self, now: Timestamp, status: &KeyStatus) {
        let source = [&*status.source];
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        set(&self.held, &source, whole(status.keys));
        set(&self.left_out, &source, whole(status.left_out));
        set(&self.failures, &source, i64::from(status.failures));
        if let Some(fetched_at) = status.fetched_at {
            set(&self.refreshed, &source, fetched_at.as_second());
            set(&self.age, &source, now.duration_since(fetched_at).as_secs().max(0));
        }
        if let Some(next) = status.next_fetch {
            set(&self.next, &source, next.as_second());
        }
        if status.is_fetched {
            count(&self.fetches, &[&status.source, "good"], status.good_fetches);
            count(&self.fetches, &[&status.source, "failed"], status.failed_fetches);
            count(&self.changes, &source, status.changes);
            count(&self.not_kept, &source, status.not_kept);
        }
        if let Some(tokens) = &status.tokens {
            count(&self.token_lookups, &[&status.source, "hit"], tokens.hits);
            count(&self.token_lookups, &[&status.source, "miss"], tokens.misses);
            set(&self.tokens, &source, i64::try_from(tokens.tokens).unwrap_or(i64::MAX));
        }
    }
}

/// A counter that was reset before: what is counted elsewhere.
fn count(counters: &IntCounterVec, labels: &[&str], total: u64) {
    if let Ok(counter) = counters.get_metric_with_label_values(labels) {
        counter.inc_by(total);
    }
}
