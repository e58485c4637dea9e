//! Which requests get a span, and by what name. The client's trace decides where there is one, chance where not.

use std::hash::BuildHasher;
use std::hash::RandomState;
use std::sync::Arc;

use crate::model::decision::DecisionId;
use crate::model::record::Record;
use crate::telemetry::metrics::ExportMetrics;
use crate::telemetry::otlp::outbox::Outbox;
use crate::telemetry::otlp::span::Told;
use crate::telemetry::otlp::span::span;
use crate::telemetry::otlp::wire::trace::Span;

/// What spans are made of, and of what part of the requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracing {
    /// The part of the requests without a trace of their own that begin one: 0 to 1.
    pub sample: f64,
    /// Whether a request that is part of a trace has a span is what its caller says.
    pub follow_parent: bool,
    /// Spans hold the query of the request.
    pub include_query: bool,
    /// Spans hold the user.
    pub include_user: bool,
    /// Spans that may wait to be sent.
    pub queue: usize,
}

/// Makes spans and leaves them to whoever sends them.
pub(in crate::telemetry) struct Tracer {
    /// Of the last 56 bits of trace ids, those below this begin a trace.
    threshold: u64,
    follow_parent: bool,
    told: Told,
    outbox: Arc<Outbox<Span>>,
    metrics: ExportMetrics,
    /// Makes the ids of this process differ from those of every other.
    seeds: [u64; 3],
}

impl Tracer {
    pub(in crate::telemetry) fn new(settings: &Tracing, outbox: Arc<Outbox<Span>>, metrics: ExportMetrics) -> Tracer {
        // Ids need to be distinct, not secret, and the standard library seeds its hashers from the system.
        let random = RandomState::new();
        Tracer {
            threshold: (settings.sample.clamp(0.0, 1.0) * (1_u64 << 56) as f64) as u64,
            follow_parent: settings.follow_parent,
            told: Told { query: settings.include_query, user: settings.include_user },
            outbox,
            metrics,
            seeds: [random.hash_one(1), random.hash_one(2), random.hash_one(3)],
        }
    }

    /// Make a span of this record, if it is to have one.
    pub(in crate::telemetry) fn record(&self, record: &Record<'_>) {
        let [high, low, name] = self.seeds.map(|seed| mixed(record.decision_id, seed));
        let by_chance = low & ((1 << 56) - 1) < self.threshold;
        let (sampled, trace_id) = match record.trace {
            Some(trace) => (if self.follow_parent { trace.sampled } else { by_chance }, trace.trace_id),
            None => (by_chance, (u128::from(high) << 64 | u128::from(low)).max(1).to_be_bytes()),
        };
        if sampled && !self.outbox.offer(span(record, trace_id, name.max(1).to_be_bytes(), self.told)) {
            self.metrics.dropped(1);
        }
    }
}

/// Spread a decision id over all bits (the finaliser of SplitMix64). It is one to one for each seed, so that no two
/// decisions of a process and a day have the same.
fn mixed(id: DecisionId, seed: u64) -> u64 {
    // The process, and 48 bits of a counter; the time above them.
    let mut bits = (id.0 as u64) ^ ((id.0 >> 64) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ seed;
    bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests;
