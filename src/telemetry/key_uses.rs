//! The gauge that says when each API key was last used. Key ids come from the key file, never from a client (F8).

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::PoisonError;

use prometheus::IntGaugeVec;
use prometheus::Registry;

use crate::model::key_use::KeyUse;
use crate::telemetry::metrics::gauges;

/// The most keys shown of all sources together.
const MAX_SERIES: usize = 5000;

/// The gauge, and which keys it shows.
pub(super) struct KeyUses {
    gauge: IntGaugeVec,
    shown: Mutex<BTreeSet<(String, String)>>,
}

impl KeyUses {
    pub(super) fn new(registry: &Registry) -> Result<KeyUses, prometheus::Error> {
        let gauge = gauges(
            registry,
            "postern_api_key_last_used_timestamp_seconds",
            "When an API key last passed, in seconds since 1970; keys that never did are left out",
            &["source", "key"],
        )?;
        Ok(KeyUses { gauge, shown: Mutex::default() })
    }

    /// Show these. Keys that are gone disappear; nobody sees the gauge half filled.
    pub(super) fn show(&self, uses: &[KeyUse]) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = BTreeSet::new();
        for used in uses.iter().take(MAX_SERIES) {
            if let Ok(gauge) = self.gauge.get_metric_with_label_values(&[&used.source, &used.key]) {
                gauge.set(used.at);
                now.insert((used.source.to_string(), used.key.to_string()));
            }
        }
        for (source, key) in shown.difference(&now) {
            let _ = self.gauge.remove_label_values(&[source, key]);
        }
        *shown = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_and_go() {
        let registry = Registry::new();
        let uses = KeyUses::new(&registry).expect("a gauge");
        let used = |key: &str, at| KeyUse { source: "machines".into(), key: key.into(), at };
        let series = || {
            let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).expect("text");
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
        };
        uses.show(&[used("a", 1), used("b", 2)]);
        uses.show(&[used("b", 3), used("c", 4)]);
        assert_eq!(
            series(),
            [
                "postern_api_key_last_used_timestamp_seconds{key=\"b\",source=\"machines\"} 3",
                "postern_api_key_last_used_timestamp_seconds{key=\"c\",source=\"machines\"} 4",
            ]
        );
    }
}
